"""Record batches of pyarrow as arrays of finite numbers."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._files.tables import (
    Batch,
    Choice,
    Complain,
    check_names,
    finite_batch,
    import_pyarrow,
)
from meanshift_fast._input.messages import cut, quoted


def numpy_type(kind: Any) -> np.dtype[Any] | None:
    """NumPy's type for a column of numbers of pyarrow's; None for all others."""
    types = import_pyarrow().types
    if types.is_integer(kind) or types.is_floating(kind):
        dtype: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
        return dtype
    return np.dtype(np.float64) if types.is_decimal(kind) else None


def common_type(schemas: Iterable[Any], names: Sequence[str]) -> np.dtype[Any]:
    """NumPy's type that holds the values of some columns, of all files of a table."""
    kinds = [numpy_type(schema.field(name).type) for schema in schemas for name in names]
    return np.result_type(*kinds)


def read_batches(file: Path, batches: Iterable[Any]) -> Iterator[Any]:
    """Read the record batches of a file, which an error names."""
    try:
        yield from batches
    except (import_pyarrow().ArrowException, OSError) as error:
        raise ValueError(f"{file} is damaged: {error}") from error


def column_kinds(schema: Any) -> tuple[list[str], dict[str, str]]:
    """List the columns of numbers, and what the others hold; without an index of pandas."""
    fields = [field for field in schema if not re.fullmatch(r"__index_level_\d+__", field.name)]
    numeric = [field.name for field in fields if numpy_type(field.type)]
    return numeric, {f.name: cut(str(f.type)) for f in fields if not numpy_type(f.type)}


def check_types(file: Path, schema: Any, choice: Choice) -> None:
    """Check that a schema has the columns, and numbers in those that must hold them."""
    check_names(file, choice.all, schema.names)
    for name in choice.numbers:
        kind = schema.field(name).type
        if numpy_type(kind) is None:
            raise ValueError(
                f"{file}: column {quoted(name)} must hold numbers, got {kind} from row 0 on"
            )


def batch_of(rows: Any, choice: Choice, dtype: Any, complain: Complain) -> Batch:
    """Turn a record batch of pyarrow's into arrays."""
    missing = np.zeros(rows.num_rows, dtype=np.bool_) if choice.drop_missing else None
    X = _numbers(rows, choice.features, dtype, complain, missing)
    weights = kept = None
    if choice.weight is not None:
        weights = _numbers(rows, [choice.weight], np.float64, complain, missing)[:, 0]
    if choice.keep:
        kept = import_pyarrow().Table.from_batches([rows.select(choice.keep)])
    return finite_batch(Batch(X, weights, kept, missing), choice, complain)


def _numbers(
    rows: Any,
    names: Iterable[str],
    dtype: Any,
    complain: Complain,
    missing: NDArray[np.bool_] | None,
) -> NDArray[Any]:
    """The columns as one array; nulls are errors, or noted in ``missing``."""
    arrow = import_pyarrow()
    names = list(names)
    X = np.empty((rows.num_rows, len(names)), dtype=dtype)
    for number, name in enumerate(names):
        column = rows.column(name)
        if column.null_count and missing is None:
            complain(column.is_valid().to_pylist().index(False), name, "no value")
        if column.null_count and missing is not None:
            missing |= column.is_null().to_numpy(zero_copy_only=False)
            column = column.fill_null(0)
        if arrow.types.is_decimal(column.type):
            column = column.cast(arrow.float64())
        X[:, number] = column.to_numpy(zero_copy_only=False)
    return X
