"""Writers of labels and centres in each format; for `atomic.write_whole`."""

import csv
import io
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._files.tables import import_pyarrow


def write_labels(part: Path | IO[bytes], form: str, batches: Iterable[tuple[Any, Any]]) -> None:
    """Write labels and kept columns, batch by batch.

    npy: an array of shape (n_samples,). Else: the kept columns, then ``label``. The batches, at
    least one, are labels of consecutive rows and their kept columns as a pyarrow.Table, or None.
    """
    if form == ".npy":
        _write_npy(part, (labels for labels, _ in batches))
        return
    arrow = import_pyarrow()
    tables = (
        arrow.table({"label": labels}) if kept is None else kept.append_column("label", [labels])
        for labels, kept in batches
    )
    _write_tables(part, form, tables)


def spread_labels(labels: NDArray[np.int64], missing: NDArray[np.bool_] | None, empty: bool) -> Any:
    """Labels of all rows of a file; those with missing values have none, or -1."""
    if missing is None:
        return labels
    spread = np.full(len(missing), -1, dtype=np.int64)
    spread[~missing] = labels
    return import_pyarrow().array(spread, mask=missing) if empty else spread


def write_centers(part: Path, form: str, centers: NDArray[Any], names: list[str]) -> None:
    """Write centres: row k is that of label k; csv and parquet have the features' names."""
    if form == ".npy":
        _write_npy(part, [centers])
        return
    columns = [np.ascontiguousarray(column) for column in centers.T]
    _write_tables(part, form, [import_pyarrow().table(columns, names=names)])


def write_table(part: Path, form: str, columns: dict[str, NDArray[Any]]) -> None:
    """Write a table of csv or parquet from its columns."""
    _write_tables(part, form, [import_pyarrow().table(columns)])


def _write_tables(part: Path | IO[bytes], form: str, tables: Iterable[Any]) -> None:
    """Write tables of pyarrow's, all with the columns of the first."""
    with _opened(part) as file:
        (_write_csv if form == ".csv" else _write_parquet)(file, tables)


def _opened(part: Path | IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    """Open a path for writing; a file that is open stays open."""
    return part.open("wb") if isinstance(part, Path) else nullcontext(part)


def _write_npy(part: Path | IO[bytes], batches: Iterable[NDArray[Any]]) -> None:
    """Write an npy file batch by batch; the header again once the rows are counted."""
    with _opened(part) as file:
        n_rows = 0
        for batch in batches:
            if n_rows == 0:
                _npy_header(file, batch, 0)
            file.write(np.ascontiguousarray(batch).data)
            n_rows += len(batch)
        file.seek(0)
        _npy_header(file, batch, n_rows)


def _npy_header(file: IO[bytes], batch: NDArray[Any], n_rows: int) -> None:
    """Write the header, which NumPy pads so that the number of rows may grow in place."""
    header = np.lib.format.header_data_from_array_1_0(np.ascontiguousarray(batch))
    np.lib.format.write_array_header_1_0(file, header | {"shape": (n_rows, *batch.shape[1:])})


def _write_csv(file: IO[bytes], tables: Iterable[Any]) -> None:
    """Write csv, with quotes in the header only where needed."""
    arrow = import_pyarrow()
    options = arrow.csv.WriteOptions(include_header=False)
    is_first = True
    for table in tables:
        if is_first:
            # pyarrow would put every name into quotes.
            names = io.StringIO()
            csv.writer(names, lineterminator="\n").writerow(table.column_names)
            file.write(names.getvalue().encode())
            is_first = False
        arrow.csv.write_csv(table, file, options)


def _write_parquet(file: IO[bytes], tables: Iterable[Any]) -> None:
    """Write parquet, batch by batch."""
    arrow = import_pyarrow()
    tables = iter(tables)
    first = next(tables)
    with arrow.parquet.ParquetWriter(file, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table)
