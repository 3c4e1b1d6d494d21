"""Tables in files: npy, csv and parquet, in the order of the rows.

open_table(path) -> Table -- read() ----> one Batch, all rows
-- parts() ---> Batch after Batch, each of bounded size
-- batches() -> the same as arrays, or as (array, weights)
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from meanshift_fast._files.csv_format import Csv
from meanshift_fast._files.npy_format import Npy
from meanshift_fast._files.parquet_format import Parquet
from meanshift_fast._files.tables import (
    MAX_BATCH_VALUES,
    Batch,
    Choice,
    File,
    check_names,
    column_list,
    import_pyarrow,
)
from meanshift_fast._input.messages import cut, quoted

_FORMATS: dict[str, Callable[[Path], File]] = {".npy": Npy, ".csv": Csv, ".parquet": Parquet}
FORMATS = tuple(_FORMATS)


@dataclass(frozen=True)
class Table:
    """A table in a file, with its columns chosen and its rows unread; made by `open_table`.

    Attributes
    ----------
    path : Path
        The file, or the folder of parquet files.
    choice : Choice
        Its columns.
    n_rows : int
        How many rows; in csv a guess, from the length of the first lines.
    has_names : bool
        Whether the columns have names, not only numbers.
    left_out : dict of str to str
        The columns that were left out because they hold no numbers, and what each holds; empty
        where the features were named.
    """

    path: Path
    choice: Choice
    n_rows: int
    has_names: bool
    left_out: dict[str, str]
    _file: File

    def parts(self, most_values: int = MAX_BATCH_VALUES) -> Iterator[Batch]:
        """Read the rows in parts of at most so many values (and at least one row) each.

        Raises
        ------
        ValueError
            Where a value is no finite number, the file is broken, or there are no rows.
        """
        n_rows = 0
        for part in self._file.parts(self.choice, most_values):
            if part.weights is not None and (part.weights < 0.0).any():
                row = int(np.argmax(part.weights < 0.0))
                raise ValueError(
                    f"{self.path}: column {quoted(self.choice.weight)} must hold weights of at "
                    f"least 0, got {part.weights[row]} at row {n_rows + row}"
                )
            n_rows += len(part.X)
            if len(part.X):
                yield part
        if n_rows == 0:
            raise ValueError(f"{self.path} has no rows; there is nothing to cluster")

    def batches(self) -> Iterator[Any]:
        """Read the rows as arrays or, where there is a weight column, (array, weights) tuples."""
        for part in self.parts():
            yield part.X if part.weights is None else (part.X, part.weights)

    def read(self) -> Batch:
        """Read all rows; an npy file without weights is mapped, and read as it is used."""
        X, weights, kept = zip(*self.parts(np.iinfo(np.int64).max), strict=True)
        if len(X) == 1:
            return Batch(X[0], weights[0], kept[0])
        return Batch(
            np.concatenate(X),
            np.concatenate(weights) if self.choice.weight is not None else None,
            import_pyarrow().concat_tables(kept) if self.choice.keep else None,
        )


def open_table(
    path: str | Path,
    *,
    columns: Sequence[str] | None = None,
    weight_column: str | None = None,
    keep: Sequence[str] = (),
) -> Table:
    """Look into a file and choose its columns.

    Parameters
    ----------
    path : str or Path
        A file that ends in .npy, .csv or .parquet, or a folder of parquet files, which are one
        table in the order of their names, numbers in them counted as numbers.
    columns : sequence of str, default=None
        The features, by name, or by number from 0 in an npy file. None: all columns of numbers
        but the weights and those to keep.
    weight_column : str, default=None
        The column that holds the rows' weights.
    keep : sequence of str, default=()
        Columns to hand through unread.

    Returns
    -------
    Table
        Its rows are still in the file: ``read()`` gives them all, ``batches()`` in batches.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is not of its format, or has no such columns.
    ImportError
        If the format needs pyarrow and it is not installed.

    See Also
    --------
    meanshift_fast.stream.fit_batches : Takes ``table.batches``.

    Notes
    -----
    A csv column holds numbers if its first value is one. Cells that are empty or mean it (such as
    NA and null), a NaN, an infinity and a number with a comma leave that to those below them. An
    index that pandas left in a parquet file is no column unless it is named.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from meanshift_fast.io import open_table
    >>> with TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/points.npy", [[1.0, 2.0], [3.0, 4.0]])
    ...     open_table(f"{folder}/points.npy", columns=["1"]).read().X.tolist()
    [[2.0], [4.0]]
    """
    path = Path(path)
    file = _opened(path)
    choice, left_out = _chosen(path, file, columns, weight_column, list(keep))
    check_names(path, choice.all, file.names)
    if len(set(choice.features)) < len(choice.features):
        raise ValueError(f"columns must differ, got {cut(', '.join(choice.features))}")
    if weight_column in choice.features:
        raise ValueError(
            f"the weight column must be none of the features, got {quoted(weight_column)} as both; "
            "leave it out of the columns to cluster by, or cluster without weights"
        )
    file.check(choice)
    return Table(path, choice, file.n_rows, not isinstance(file, Npy), left_out, file)


def _opened(path: Path) -> File:
    """Open a file by the format that its name ends in."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    form = ".parquet" if path.is_dir() else path.suffix.lower()
    if form not in FORMATS:
        raise ValueError(
            f"{path} must end in {', '.join(FORMATS)} or be a folder of parquet files, "
            f"got {quoted(path.suffix)}"
        )
    return _FORMATS[form](path)


def _chosen(
    path: Path, file: File, columns: Sequence[str] | None, weight: str | None, keep: list[str]
) -> tuple[Choice, dict[str, str]]:
    """Choose the features where none are named, and list the columns left out for it."""
    if columns is not None:
        return Choice(list(columns), weight, keep), {}
    others = {weight, *keep}
    features = [name for name in file.numeric if name not in others]
    if not features:
        raise ValueError(
            f"{path} has no column of numbers to cluster by; {column_list(file.names)}"
        )
    left_out = {name: held for name, held in file.others.items() if name not in others}
    return Choice(features, weight, keep), left_out
