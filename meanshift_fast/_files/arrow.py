"""Record batches of pyarrow as arrays of finite numbers."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._files.tables import Batch, Choice, Complain, check_finite, import_pyarrow


def numpy_type(kind: Any) -> np.dtype[Any] | None:
    """NumPy's type for a column of numbers of pyarrow's; None for all others."""
    types = import_pyarrow().types
    if types.is_integer(kind) or types.is_floating(kind):
        dtype: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
        return dtype
    return np.dtype(np.float64) if types.is_decimal(kind) else None


def batch_of(rows: Any, choice: Choice, dtype: Any, complain: Complain) -> Batch:
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
    check_finite(X, names, complain)
    return X
