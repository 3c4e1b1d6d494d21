"""What each format of tables offers: the names of its columns, and its rows in parts.

Errors name the file, the column and the row: rows count from 0, lines of text from 1.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._input.messages import not_installed, number_text, quoted

# Values that a batch may hold: 32 MiB as float64. Larger ones gain no time.
MAX_BATCH_VALUES = 1 << 22
DROP_MISSING = "; --drop-missing (drop_missing=True) leaves out the rows of missing values"

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
        The columns to keep, as they are, where there are any; also of rows with missing values.
    missing : bool array, or None
        Which rows of the file had missing values, where they are dropped; X has the others.
    """

    X: NDArray[Any]
    weights: NDArray[np.float64] | None
    kept: Any
    missing: NDArray[np.bool_] | None = None

    @property
    def n_rows(self) -> int:
        """How many rows of the file it has, also those with missing values."""
        return len(self.X if self.missing is None else self.missing)

    def row_of(self, row: int) -> int:
        """The number, among all rows of the batch, of a row of X."""
        return int(row if self.missing is None else np.flatnonzero(~self.missing)[row])


class Choice(NamedTuple):
    """The columns to read and their roles, by name; in an npy file names are numbers."""

    features: list[str]
    weight: str | None
    keep: list[str]
    drop_missing: bool = False

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

    ``others`` maps each column without numbers to what it holds; where the columns have no names,
    their numbers serve.
    """

    names: list[str]
    numeric: list[str]
    others: dict[str, str]
    n_rows: int
    has_names: bool

    def check(self, choice: Choice) -> None:
        """Refuse columns of types that do not fit, where the format has types."""

    def parts(self, choice: Choice, most_values: int) -> Iterator[Batch]:
        """Read the rows in parts of at most so many values; refuse values that are not finite."""


def import_pyarrow() -> Any:
    """Import pyarrow with its csv and parquet modules, or name the command that installs it."""
    try:
        import pyarrow
        import pyarrow.csv
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise not_installed("files other than npy and npz need pyarrow", "io") from error
    return pyarrow


def check_names(path: Path, chosen: Sequence[str], names: Sequence[str]) -> None:
    """Check that there is one column of each name."""
    counts = Counter(names)
    for name in chosen:
        if name not in counts:
            raise ValueError(f"{path} has no column {quoted(name)}; {column_list(names)}")
        if counts[name] > 1:
            raise ValueError(
                f"{path} has {counts[name]} columns {quoted(name)}; give each its own name"
            )


def column_list(names: Sequence[str]) -> str:
    """List the columns for an error."""
    listed = ", ".join(map(quoted, names[:20])) or "none"
    return f"its columns are {listed}" + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def check_finite(X: NDArray[Any], names: Sequence[str], complain: Complain) -> None:
    """Refuse the first row that holds a NaN or an infinity; in blocks, to save memory."""
    if X.dtype.kind != "f":
        return
    n_rows = max(1, MAX_BATCH_VALUES // X.shape[1])
    for first in range(0, len(X), n_rows):
        is_finite = np.isfinite(X[first : first + n_rows])
        if not is_finite.all():
            row, column = np.argwhere(~is_finite)[0]
            complain(first + int(row), names[column], X[first + row, column])


def finite_batch(batch: Batch, choice: Choice, complain: Complain) -> Batch:
    """Refuse what is not finite; where ``missing`` is an array, drop rows with NaNs first."""
    X, weights, kept, missing = batch
    if missing is not None:
        if X.dtype.kind == "f":
            missing = missing | np.isnan(X).any(axis=1)
        if weights is not None:
            missing = missing | np.isnan(weights)
        X, weights = X[~missing], None if weights is None else weights[~missing]
    batch = Batch(X, weights, kept, missing)

    def complain_of(row: int, name: str, value: object) -> NoReturn:
        """Refuse a value by its row before rows were dropped."""
        complain(batch.row_of(row), name, value)

    check_finite(X, choice.features, complain_of)
    if weights is not None and choice.weight is not None:
        check_finite(weights[:, np.newaxis], [choice.weight], complain_of)
    return batch


def refuse_value(path: Path, first: int, row: int, name: str, value: object) -> NoReturn:
    """Raise the error of a value that is no finite number, of the rows from ``first`` on."""
    is_missing = str(value) in ("no value", "nan")
    raise ValueError(number_text(path, name, value, first + row) + DROP_MISSING * is_missing)
