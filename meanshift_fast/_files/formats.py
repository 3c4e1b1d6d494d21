"""The formats of tables: which columns a file has, and its rows in parts.

Opening looks at a header or a footer and at no rows. npy needs NumPy only and is mapped, not read;
pyarrow reads csv and parquet. Errors name the file, the column and the row: rows count from 0,
lines of text from 1.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._input.messages import cut, quoted

# Values that a batch may hold: 32 MiB as float64. Larger ones gain no time.
BATCH_VALUES = 1 << 22
_CSV_BLOCK_BYTES = 1 << 23
# A column may begin with empty cells. So many rows are searched for what it holds.
_HEAD_ROWS = 1000
# What stands, in lower case, where there is no value.
_MISSING = {"", "na", "n/a", "#n/a", "<na>", "null", "none", "-", "--", "?", "."}
_ENDLESS = {"nan", "inf", "infinity"}
# A number whose decimal point is a comma, or whose thousands are parted by commas.
_WITH_COMMAS = re.compile(r"[+-]?\d+(,\d+)+(\.\d*)?")

Complain = Callable[[int, str, object], NoReturn]


class Batch(NamedTuple):
    """Some rows of a table.

    Attributes
    ----------
    X : array of shape (n_rows, n_features)
        The features: finite numbers.
    weights : float64 array of shape (n_rows,), or None
        The weight column, where there is one.
    kept : pyarrow.Table of n_rows rows, or None
        The columns to keep, as they are, where there are any.
    """

    X: NDArray[Any]
    weights: NDArray[np.float64] | None
    kept: Any


class Choice(NamedTuple):
    """Which columns are what, by name; in an npy file the names are the numbers."""

    features: list[str]
    weight: str | None
    keep: list[str]

    @property
    def numbers(self) -> list[str]:
        """The columns that must hold numbers."""
        return self.features if self.weight is None else [*self.features, self.weight]

    @property
    def all(self) -> list[str]:
        """Every column that is read, once."""
        return list(dict.fromkeys([*self.numbers, *self.keep]))


class File(Protocol):
    """A format: the names of the columns, those that hold numbers, and the rows in parts.

    ``others`` says of columns that hold none what they hold.
    """

    names: list[str]
    numeric: list[str]
    others: dict[str, str]
    n_rows: int

    def check(self, choice: Choice) -> None:
        """Refuse columns of types that do not fit, where the format has types."""

    def parts(self, choice: Choice, most_values: int) -> Iterator[Batch]:
        """Read the rows in parts of at most so many values; refuse what is no finite number."""


def import_pyarrow() -> Any:
    """Import pyarrow with its csv and parquet, for those who have it.

    Raises
    ------
    ImportError
        With the command that installs it.
    """
    try:
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "csv and parquet files need pyarrow, which is not installed; "
            'install it with: pip install "meanshift_fast[io]"'
        ) from error
    return pyarrow


def check_name(path: Path, name: str, names: Sequence[str]) -> None:
    """Check that there is one column of a name."""
    if name not in names:
        raise ValueError(f"{path} has no column {quoted(name)}; {told_columns(names)}")
    if names.count(name) > 1:
        raise ValueError(
            f"{path} has {names.count(name)} columns {quoted(name)}; give each its own name"
        )


def told_columns(names: Sequence[str]) -> str:
    """Tell, for an error, which columns there are."""
    told = ", ".join(map(quoted, names[:20])) or "none"
    return f"its columns are {told}" + (f" and {len(names) - 20} more" if len(names) > 20 else "")


class Npy:
    """A file of `numpy.save`; its columns are called by their numbers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows = _mapped(path)
        self.n_rows = len(self._rows)
        self.names = [str(column) for column in range(self._rows.shape[1])]
        self.numeric = self.names
        self.others: dict[str, str] = {}

    def check(self, choice: Choice) -> None:
        """All columns are numbers of one type."""

    def parts(self, choice: Choice, most_values: int) -> Iterator[Batch]:
        """Take slices of the map, views where all columns are taken."""
        features = [int(name) for name in choice.features]
        is_whole = features == list(range(self._rows.shape[1]))
        n_rows = max(1, most_values // len(features))
        for first in range(0, len(self._rows), n_rows):
            rows = self._rows[first : first + n_rows]
            X = rows if is_whole else rows[:, features]
            _check_finite(X, choice.features, self._complainer(first))
            weights = None
            if choice.weight is not None:
                weights = rows[:, int(choice.weight)].astype(np.float64)
                _check_finite(weights[:, np.newaxis], [choice.weight], self._complainer(first))
            kept = None
            if choice.keep:
                columns = {name: np.ascontiguousarray(rows[:, int(name)]) for name in choice.keep}
                kept = import_pyarrow().table(columns)
            yield Batch(X, weights, kept)

    def _complainer(self, first: int) -> Complain:
        return lambda row, name, value: _complain(self.path, name, value, first + row)


def _check_finite(X: NDArray[Any], names: Sequence[str], complain: Complain) -> None:
    """Complain about the first row that holds a NaN or an infinity; in steps, to save memory."""
    if X.dtype.kind != "f":
        return
    n_rows = max(1, BATCH_VALUES // X.shape[1])
    for first in range(0, len(X), n_rows):
        is_finite = np.isfinite(X[first : first + n_rows])
        if not is_finite.all():
            row, place = np.argwhere(~is_finite)[0]
            complain(first + int(row), names[place], X[first + row, place])


def _complain(path: Path, name: str, value: object, row: int) -> NoReturn:
    raise ValueError(
        f"{path}: column {quoted(name)} must hold finite numbers, got {value} at row {row}"
    )


def _mapped(path: Path) -> NDArray[Any]:
    """Map an npy file, and refuse what is no table of numbers."""
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty, not an npy file")
    with path.open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise ValueError(f"{path} is not an npy file; numpy.save writes one")
    try:
        rows: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        if "pickle" in str(error) or "Python objects" in str(error):
            raise ValueError(
                f"{path} holds pickled Python objects, which could run code when read; save a "
                "plain array of numbers"
            ) from error
        raise ValueError(f"{path} is cut off or damaged: {error}") from error
    if rows.dtype.kind not in "biuf":
        fields = "; numpy.lib.recfunctions.structured_to_unstructured makes a plain table of fields"
        raise ValueError(
            f"{path} must hold real numbers, got dtype {cut(str(rows.dtype))}"
            + (fields if rows.dtype.names else "")
        )
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ValueError(
            f"{path} must hold a table of shape (n_samples, n_features), got shape {rows.shape}; "
            "one column is reshape(-1, 1)"
        )
    if not rows.dtype.isnative:
        return rows.astype(rows.dtype.newbyteorder("="))
    return rows


class _Quotes(io.FileIO):
    """A file that counts the double quotes that it reads."""

    count = 0

    def read(self, size: int | None = -1) -> Any:
        text = super().read(size)
        self.count += text.count(b'"') if text else 0
        return text


class Csv:
    """Comma-separated UTF-8 text whose first line names the columns; empty lines are skipped.

    pyarrow reads it, ten times as fast as Python's `csv`. Where it fails, the latter reads again
    from the start, for it knows the lines.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_rows = _guessed_lines(path)
        rows = self._lines()
        try:
            _, self.names = next(rows)
        except StopIteration:
            raise ValueError(f"{path} is empty; its first line must name the columns") from None
        if _are_numbers(self.names) and not _are_places(self.names):
            raise ValueError(
                f"{path}: the first line must name the columns, got numbers, "
                f"{cut(','.join(self.names[:5]))}; put a line of names before it"
            )
        told = _told_by_values((cells for _, cells in islice(rows, _HEAD_ROWS)), len(self.names))
        pairs = list(zip(self.names, told, strict=True))
        self.numeric = [name for name, other in pairs if not other]
        self.others = {name: other for name, other in pairs if other}

    def check(self, choice: Choice) -> None:
        """Text has no types."""

    def parts(self, choice: Choice, most_values: int) -> Iterator[Batch]:
        """Parse block by block; kept columns stay text, as they are."""
        arrow = import_pyarrow()
        types = dict.fromkeys(choice.keep, arrow.string())
        types |= dict.fromkeys(choice.numbers, arrow.float64())
        n_rows = max(1, most_values // len(choice.features))
        options = {
            "read_options": arrow.csv.ReadOptions(block_size=_CSV_BLOCK_BYTES),
            "parse_options": arrow.csv.ParseOptions(newlines_in_values=True),
            "convert_options": arrow.csv.ConvertOptions(
                column_types=types, include_columns=choice.all, null_values=[""]
            ),
        }
        with _Quotes(self.path) as file:
            try:
                with arrow.csv.open_csv(file, **options) as blocks:
                    for block in blocks:
                        for first in range(0, block.num_rows, n_rows):
                            rows = block.slice(first, n_rows)
                            yield _batch(rows, choice, np.float64, self._complain)
            except arrow.ArrowException as error:
                self._find_fault(choice)
                raise ValueError(f"{self.path}: {error}") from error
            if file.count % 2:
                # pyarrow takes a quote that is never closed for a text that ends with the file.
                self._find_fault(choice)

    def _complain(self, row: int, name: str, value: object) -> NoReturn:
        self._find_fault(Choice([name], None, []))
        raise ValueError(
            f"{self.path}: column {quoted(name)} must hold finite numbers, got {value}"
        )

    def _find_fault(self, choice: Choice) -> None:
        """Raise an error about the first line that cannot be right; return where there is none."""
        places = [(self.names.index(name), name) for name in choice.numbers]
        for row, (line, cells) in enumerate(islice(self._lines(), 1, None)):
            if len(cells) != len(self.names):
                raise ValueError(
                    f"{self.path}: line {line} has {len(cells)} field(s) where the first line "
                    f"names {len(self.names)} columns"
                )
            for place, name in places:
                if not _is_number(cells[place]):
                    value = quoted(cells[place]) if cells[place].strip() else "an empty cell"
                    raise ValueError(
                        f"{self.path}: column {quoted(name)} must hold finite numbers, got "
                        f"{value} at row {row}, line {line}"
                    )

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Read with Python's `csv`: the number of the line, the cells; header first."""
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                for cells in reader:
                    if cells:
                        yield reader.line_num, cells
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{self.path}: line {_foreign_line(self.path)} is not UTF-8 text; save the "
                    "file as UTF-8"
                ) from error
            except csv.Error as error:
                raise ValueError(f"{self.path}: line {reader.line_num}: {error}") from error


def _guessed_lines(path: Path) -> int:
    """Guess a text's number of lines from the length of the first."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
    n_lines = len(head.splitlines())
    return n_lines * path.stat().st_size // max(len(head), 1)


def _foreign_line(path: Path) -> int:
    """Find the first line that is not UTF-8; the decoder knows only blocks of them."""
    with path.open(encoding="utf-8", errors="surrogateescape") as file:
        return next(n for n, line in enumerate(file, 1) if re.search("[\udc80-\udcff]", line))


def _is_number(text: str) -> bool:
    """Whether a text is a finite number."""
    try:
        return bool(np.isfinite(float(text))) and "_" not in text
    except ValueError:
        return False


def _is_almost_number(text: str) -> bool:
    """Whether a text may stand among numbers and is no finite one: NaN, -inf, 1e999, 1,5."""
    if text.lstrip("+-").lower() in _ENDLESS or _WITH_COMMAS.fullmatch(text):
        return True
    try:
        return "_" not in text and bool(np.isinf(float(text)))
    except ValueError:
        return False


def _are_numbers(names: Sequence[str]) -> bool:
    """Whether a line that should name the columns is one of values."""
    return any(map(_is_number, names)) and all(
        _is_number(name) or _is_almost_number(name.strip()) for name in names
    )


def _told_by_values(rows: Iterable[list[str]], n_columns: int) -> list[str]:
    """Tell what each column holds; of one that holds numbers nothing.

    The first number or word decides. Where there is neither but what almost is a number, the column
    is one of numbers too: the error that follows names the row, and leaving it out would hide it.
    """
    told = ["no value"] * n_columns
    undecided = set(range(n_columns))
    for cells in rows:
        for column in list(undecided):
            value = cells[column].strip() if column < len(cells) else ""
            if value.lower() in _MISSING:
                continue
            if _is_almost_number(value):
                told[column] = ""
                continue
            told[column] = "" if _is_number(value) else f"text, e.g. {quoted(value)}"
            undecided.remove(column)
        if not undecided:
            break
    return told


def _are_places(names: Sequence[str]) -> bool:
    """Whether names are the columns' numbers, as pandas writes where there are no names."""
    return all(name.isdecimal() and int(name) < len(names) for name in names)


class Parquet:
    """A parquet file, or several that are one table."""

    def __init__(self, path: Path, files: list[Path]) -> None:
        self.path = path
        self.files = files
        self.schemas = []
        self.n_rows = 0
        for file in files:
            with _opened_parquet(file) as opened:
                self.schemas.append(opened.schema_arrow)
                self.n_rows += opened.metadata.num_rows
        self.names = self.schemas[0].names
        fields = [f for f in self.schemas[0] if not re.fullmatch(r"__index_level_\d+__", f.name)]
        self.numeric = [field.name for field in fields if _numpy_type(field.type)]
        self.others = {
            field.name: cut(str(field.type)) for field in fields if not _numpy_type(field.type)
        }

    def check(self, choice: Choice) -> None:
        """Check that all files have the columns, of types that fit."""
        for file, schema in zip(self.files, self.schemas, strict=True):
            for name in choice.all:
                check_name(file, name, schema.names)
                kind, first = schema.field(name).type, self.schemas[0].field(name).type
                if name in choice.numbers and _numpy_type(kind) is None:
                    raise ValueError(
                        f"{file}: column {quoted(name)} must hold numbers, got {kind} from row 0 on"
                    )
                if name in choice.keep and kind != first:
                    raise ValueError(
                        f"{file}: column {quoted(name)} must be of one type to be kept, got "
                        f"{kind}, and {first} in {self.files[0].name}"
                    )

    def parts(self, choice: Choice, most_values: int) -> Iterator[Batch]:
        """Read file after file; where types differ, into the one that holds all."""
        arrow = import_pyarrow()
        types = [_numpy_type(s.field(name).type) for s in self.schemas for name in choice.features]
        dtype = np.result_type(*types)
        # pyarrow sets the space for a batch aside before it knows how many rows there are.
        n_rows = max(1, min(most_values, BATCH_VALUES) // len(choice.all))
        for file in self.files:
            first = 0

            def complain(row: int, name: str, value: object) -> NoReturn:
                _complain(file, name, value, first + row)  # noqa: B023 (called in this turn)

            with _opened_parquet(file) as opened:
                batches = opened.iter_batches(n_rows, columns=choice.all)
                while True:
                    try:
                        batch = next(batches, None)
                    except (arrow.ArrowException, OSError) as error:
                        raise ValueError(f"{file} is damaged: {error}") from error
                    if batch is None:
                        break
                    yield _batch(batch, choice, dtype, complain)
                    first += batch.num_rows


def parquet_files(folder: Path) -> list[Path]:
    """List a folder's parquet files, subfolders too, "part.10" after "part.9"."""
    names = (path.relative_to(folder) for path in folder.rglob("*.parquet"))
    # Names that begin with a dot or an underscore are the notes of those who wrote the folder.
    shown = [name for name in names if not any(part[0] in "._" for part in name.parts)]

    def in_order(name: Path) -> list[tuple[int, str]]:
        pieces = re.findall(r"\d+|\D+", str(name))
        return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in pieces]

    files = [folder / name for name in sorted(shown, key=in_order)]
    if not files:
        raise ValueError(f"{folder} is a folder without parquet files; their names end in .parquet")
    return files


def _opened_parquet(path: Path) -> Any:
    arrow = import_pyarrow()
    with path.open("rb"):  # what cannot be opened is not to be called damaged
        pass
    try:
        # With pre_buffer, all that was read stays in memory until the end: 350 MB of a file of 500.
        return arrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
    except (arrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a parquet file, or is cut off: {error}") from error


def _numpy_type(kind: Any) -> np.dtype[Any] | None:
    """NumPy's type for a column of numbers of pyarrow's; None for all others."""
    types = import_pyarrow().types
    if types.is_integer(kind) or types.is_floating(kind):
        dtype: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
        return dtype
    return np.dtype(np.float64) if types.is_decimal(kind) else None


def _batch(rows: Any, choice: Choice, dtype: Any, complain: Complain) -> Batch:
    """Turn a record batch of pyarrow's into arrays."""
    X = _numbers(rows, choice.features, dtype, complain)
    weights = None
    if choice.weight is not None:
        weights = _numbers(rows, [choice.weight], np.float64, complain)[:, 0]
    kept = None
    if choice.keep:
        kept = import_pyarrow().Table.from_batches([rows.select(choice.keep)])
    return Batch(X, weights, kept)


def _numbers(rows: Any, names: Iterable[str], dtype: Any, complain: Complain) -> NDArray[Any]:
    arrow = import_pyarrow()
    names = list(names)
    X = np.empty((rows.num_rows, len(names)), dtype=dtype)
    for place, name in enumerate(names):
        column = rows.column(name)
        if column.null_count:
            complain(column.is_valid().to_pylist().index(False), name, "no value")
        if arrow.types.is_decimal(column.type):
            column = column.cast(arrow.float64())
        X[:, place] = column.to_numpy(zero_copy_only=False)
    _check_finite(X, names, complain)
    return X
