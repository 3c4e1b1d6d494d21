"""Writers of labels and centres in each format; for `atomic.write_whole`."""

from collections.abc import Iterable
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._files.formats import TABLES, UNNAMED
from meanshift_fast._files.tables import import_pyarrow
from meanshift_fast._input.messages import quoted


def write_labels(
    part: Path | IO[bytes],
    form: str,
    batches: Iterable[tuple[Any, Any]],
    source: object = "the table",
) -> None:
    """Write labels and kept columns, batch by batch.

    npy: an array of shape (n_samples,). Else: the kept columns, then ``label``. The batches, at
    least one, are labels of consecutive rows and their kept columns as a pyarrow.Table, or None;
    an error calls these by their ``source``.
    """
    if form in UNNAMED:
        _write(part, form, (labels for labels, _ in batches))
        return
    arrow = import_pyarrow()
    tables = (
        arrow.table({"label": labels})
        if kept is None
        else _in_types_of(form, kept, source).append_column("label", [labels])
        for labels, kept in batches
    )
    _write(part, form, tables)


def _in_types_of(form: str, kept: Any, source: object) -> Any:
    """Kept columns in types that a format has: text as polars holds it becomes plain text."""
    arrow = import_pyarrow()
    for place, field in enumerate(kept.schema):
        column, kind = kept.column(place), field.type
        try:
            if _is_view(kind):
                column = column.cast(arrow.large_string())
            elif arrow.types.is_dictionary(kind) and _is_view(kind.value_type):
                column = column.cast(arrow.dictionary(kind.index_type, arrow.large_string()))
            # One value of each column is written first: pyarrow's own error names no column.
            _write(BytesIO(), form, [arrow.table({"": column[:1]})])
        except arrow.ArrowException as error:
            other = ", or write parquet" if form == ".csv" and arrow.types.is_nested(kind) else ""
            raise ValueError(
                f"{source}: column {quoted(field.name)} must be of a type that {form[1:]} holds to "
                f"be kept, got {kind}; leave it out of --keep{other}"
            ) from error
        if column.type != kind:
            kept = kept.set_column(place, field.name, column)
    return kept


def _is_view(kind: Any) -> bool:
    """Whether a type of Arrow is that of texts that lie apart, which few functions take."""
    return str(kind) in ("string_view", "utf8_view")


def spread_labels(labels: NDArray[np.int64], missing: NDArray[np.bool_] | None, empty: bool) -> Any:
    """Labels of all rows of a file; those with missing values have none, or -1."""
    if missing is None:
        return labels
    spread = np.full(len(missing), -1, dtype=np.int64)
    spread[~missing] = labels
    return import_pyarrow().array(spread, mask=missing) if empty else spread


def write_centers(part: Path, form: str, centers: NDArray[Any], names: list[str]) -> None:
    """Write centres: row k is that of label k; csv and parquet have the features' names."""
    if form in UNNAMED:
        _write(part, form, [centers])
        return
    columns = [np.ascontiguousarray(column) for column in centers.T]
    _write(part, form, [import_pyarrow().table(columns, names=names)])


def write_table(part: Path, form: str, columns: dict[str, NDArray[Any]]) -> None:
    """Write a table of csv or parquet from its columns."""
    _write(part, form, [import_pyarrow().table(columns)])


def _write(part: Path | IO[bytes], form: str, batches: Iterable[Any]) -> None:
    """Write arrays, or tables with the columns of the first; a file that is open stays open."""
    write = TABLES[form].write
    assert write is not None
    with part.open("wb") if isinstance(part, Path) else nullcontext(part) as file:
        write(file, batches)
