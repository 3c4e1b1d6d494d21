"""The parquet format: a file, or a folder of files that are one table."""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any

from meanshift_fast._files.arrow import (
    batch_of,
    check_types,
    column_kinds,
    common_type,
    read_batches,
)
from meanshift_fast._files.tables import (
    MAX_BATCH_VALUES,
    Batch,
    Choice,
    import_pyarrow,
    refuse_value,
)
from meanshift_fast._input.messages import quoted


class Parquet:
    """A parquet file, or several that are one table."""

    has_names = True

    def __init__(self, path: Path) -> None:
        self.path = path
        files = self.files = _parquet_files(path) if path.is_dir() else [path]
        self.schemas = []
        self.n_rows = 0
        for file in files:
            with _opened_parquet(file) as opened:
                self.schemas.append(opened.schema_arrow)
                self.n_rows += opened.metadata.num_rows
        self.names = self.schemas[0].names
        self.numeric, self.others = column_kinds(self.schemas[0])

    def check(self, choice: Choice) -> None:
        """Check that all files have the columns, of types that fit."""
        for file, schema in zip(self.files, self.schemas, strict=True):
            check_types(file, schema, choice)
            for name in choice.keep:
                kind, first = schema.field(name).type, self.schemas[0].field(name).type
                if kind != first:
                    raise ValueError(
                        f"{file}: column {quoted(name)} must be of one type to be kept, got "
                        f"{kind}, and {first} in {self.files[0].name}"
                    )

    def parts(self, choice: Choice, most_values: int) -> Iterator[Batch]:
        """Read file after file; where types differ, into the one that holds all."""
        dtype = common_type(self.schemas, choice.features)
        # pyarrow allocates a whole batch, even where fewer rows are left.
        n_rows = max(1, min(most_values, MAX_BATCH_VALUES) // len(choice.all))
        for file in self.files:
            first = 0
            with _opened_parquet(file) as opened:
                batches = opened.iter_batches(n_rows, columns=choice.all)
                for batch in read_batches(file, batches):
                    yield batch_of(batch, choice, dtype, partial(refuse_value, file, first))
                    first += batch.num_rows


def _parquet_files(folder: Path) -> list[Path]:
    """List a folder's parquet files, subfolders too, "part.10" after "part.9"."""
    names = (path.relative_to(folder) for path in folder.rglob("*.parquet"))
    # Names that begin with a dot or an underscore are written beside the data by other programs.
    shown = [name for name in names if not any(part[0] in "._" for part in name.parts)]

    def in_order(name: Path) -> list[tuple[int, str]]:
        """Split a name into numbers and texts, to sort by."""
        runs = re.findall(r"\d+|\D+", str(name))
        return [(int(run), "") if run.isdecimal() else (-1, run) for run in runs]

    files = [folder / name for name in sorted(shown, key=in_order)]
    if not files:
        raise ValueError(f"{folder} is a folder without parquet files; their names end in .parquet")
    return files


def _opened_parquet(path: Path) -> Any:
    """Open a parquet file, to be read through a buffer of a megabyte."""
    arrow = import_pyarrow()
    with path.open("rb"):  # a file that cannot be opened must not be called damaged
        pass
    try:
        # With pre_buffer, all that was read stays in memory until the end: 350 MB of a file of 500.
        return arrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
    except (arrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a parquet file, or is cut off: {error}") from error


def write_parquet(file: IO[bytes], tables: Iterable[Any]) -> None:
    """Write parquet, batch by batch."""
    arrow = import_pyarrow()
    tables = iter(tables)
    first = next(tables)
    with arrow.parquet.ParquetWriter(file, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table)
