"""Tables in files: npy, csv and parquet, in and out, in the order of the rows.

    open_table(path) -> Table -- read() ----> one Batch, all rows
                              -- parts() ---> Batch after Batch, each of bounded size
                              -- batches() -> the same as arrays, or as (array, weights)

    write_whole({path: write, ...})           all files, or none

What is written goes into a file beside the target, and takes its name when it is complete. A full
disk, Ctrl-C or an error on the way leaves an old file as it was, and nothing else behind.
"""

import csv
import io
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._files.formats import (
    BATCH_VALUES,
    Batch,
    Choice,
    Csv,
    File,
    Npy,
    Parquet,
    check_name,
    import_pyarrow,
    parquet_files,
    told_columns,
)
from meanshift_fast._input.messages import cut, quoted

FORMATS = (".npy", ".csv", ".parquet")


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

    def parts(self, most_values: int = BATCH_VALUES) -> Iterator[Batch]:
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
        Its rows are still in the file: ``read()`` gives them all, ``batches()`` in portions.

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
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    file: File
    if path.is_dir():
        file = Parquet(path, parquet_files(path))
    elif (form := path.suffix.lower()) == ".npy":
        file = Npy(path)
    elif form == ".csv":
        file = Csv(path)
    elif form == ".parquet":
        file = Parquet(path, [path])
    else:
        raise ValueError(
            f"{path} must end in {', '.join(FORMATS)} or be a folder of parquet files, "
            f"got {quoted(path.suffix)}"
        )
    keep = list(keep)
    left_out: dict[str, str] = {}
    if columns is None:
        others = {weight_column, *keep}
        columns = [name for name in file.numeric if name not in others]
        left_out = {name: held for name, held in file.others.items() if name not in others}
        if not columns:
            raise ValueError(
                f"{path} has no column of numbers to cluster by; {told_columns(file.names)}"
            )
    choice = Choice(list(columns), weight_column, keep)
    for name in choice.all:
        check_name(path, name, file.names)
    if len(set(choice.features)) < len(choice.features):
        raise ValueError(f"columns must differ, got {cut(', '.join(choice.features))}")
    if weight_column in choice.features:
        raise ValueError(
            f"the weight column must be none of the features, got {quoted(weight_column)} as both; "
            "leave it out of the columns to cluster by, or cluster without weights"
        )
    file.check(choice)
    return Table(path, choice, file.n_rows, not isinstance(file, Npy), left_out, file)


def real_path(path: Path) -> Path:
    """Follow links; unlike `Path.resolve`, as far as it goes where they go in a circle."""
    return Path(os.path.realpath(path))


def check_target(path: Path) -> None:
    """Check before the work that a file can be written after it.

    Raises
    ------
    OSError
        If the folder is missing or closed to us, or something other than a file is there.
    """
    folder = real_path(path).parent
    if not folder.is_dir():
        raise NotADirectoryError(f"cannot write {path}: there is no folder {folder}; create it")
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no ordinary file"
        raise FileExistsError(f"cannot write {path}: it is {kind}; choose another name")
    by_effect = os.access in os.supports_effective_ids
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=by_effect):
        raise PermissionError(f"cannot write {path}: the folder {folder} is not open for writing")


def write_whole(writers: Mapping[Path, Callable[[Path], None]]) -> None:
    """Write files, all of them or none.

    Parameters
    ----------
    writers : mapping of Path to callable
        For each file that is to be, ``write(part)``, which writes to another name in the same
        folder. A link stays a link: what it points to is replaced.

    Raises
    ------
    OSError
        "cannot write ...", with the system's reason.
    """
    targets = {path: real_path(path) for path in writers}
    parts = {path: to.with_name(f".{to.name}.{os.getpid()}.part") for path, to in targets.items()}
    try:
        for path, write in writers.items():
            with _telling(path):
                write(parts[path])
        with _undisturbed():
            for path, target in targets.items():
                with _telling(path):
                    os.replace(parts[path], target)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put Ctrl-C and SIGTERM off for a moment; Python raises them in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    before = {
        number: signal.signal(number, lambda n, _: heard.append(n))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    for again in heard:
        signal.raise_signal(again)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error


def write_labels(part: Path, form: str, pieces: Iterable[tuple[NDArray[np.int64], Any]]) -> None:
    """Write labels, and what is kept beside them, piece by piece.

    Parameters
    ----------
    part : Path
        Where to.
    form : {".npy", ".csv", ".parquet"}
        npy: an array of shape (n_samples,). Else: the kept columns, then ``label``.
    pieces : iterable of (int64 array of shape (n_rows,), pyarrow.Table or None)
        At least one; labels and kept columns of consecutive rows.
    """
    if form == ".npy":
        _write_npy(part, (labels for labels, _ in pieces))
        return
    arrow = import_pyarrow()
    tables = (
        arrow.table({"label": labels}) if kept is None else kept.append_column("label", [labels])
        for labels, kept in pieces
    )
    _write_tables(part, form, tables)


def write_centers(part: Path, form: str, centers: NDArray[Any], names: list[str]) -> None:
    """Write centres: row k is that of label k; csv and parquet have the features' names."""
    if form == ".npy":
        _write_npy(part, [centers])
        return
    columns = [np.ascontiguousarray(column) for column in centers.T]
    _write_tables(part, form, [import_pyarrow().table(columns, names=names)])


def _write_tables(part: Path, form: str, tables: Iterable[Any]) -> None:
    """Write tables of pyarrow's, all with the columns of the first."""
    (_write_csv if form == ".csv" else _write_parquet)(part, tables)


def _write_npy(part: Path, pieces: Iterable[NDArray[Any]]) -> None:
    with part.open("wb") as file:
        n_rows = 0
        for piece in pieces:
            if n_rows == 0:
                _npy_header(file, piece, 0)
            file.write(np.ascontiguousarray(piece).data)
            n_rows += len(piece)
        file.seek(0)
        _npy_header(file, piece, n_rows)


def _npy_header(file: IO[bytes], piece: NDArray[Any], n_rows: int) -> None:
    """Write the header, which NumPy pads so that the number of rows may grow in place."""
    header = np.lib.format.header_data_from_array_1_0(np.ascontiguousarray(piece))
    np.lib.format.write_array_header_1_0(file, header | {"shape": (n_rows, *piece.shape[1:])})


def _write_csv(part: Path, tables: Iterable[Any]) -> None:
    arrow = import_pyarrow()
    options = arrow.csv.WriteOptions(include_header=False)
    with part.open("wb") as file:
        is_first = True
        for table in tables:
            if is_first:
                # pyarrow would put every name into quotes.
                names = io.StringIO()
                csv.writer(names, lineterminator="\n").writerow(table.column_names)
                file.write(names.getvalue().encode())
                is_first = False
            arrow.csv.write_csv(table, file, options)


def _write_parquet(part: Path, tables: Iterable[Any]) -> None:
    arrow = import_pyarrow()
    tables = iter(tables)
    first = next(tables)
    with part.open("wb") as file, arrow.parquet.ParquetWriter(file, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table)
