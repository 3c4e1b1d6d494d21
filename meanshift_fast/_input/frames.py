"""DataFrames and Arrow tables: which column holds what is no number, and in which row.

scikit-learn and NumPy convert a whole table, and their errors name neither. So where they refuse
one, its columns are looked at one by one. Columns of times are looked for before: polars makes
numbers of them.
"""

import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from meanshift_fast._input.messages import number_text, quoted

# As the types of times begin in pandas, polars and Arrow, in lower case.
_TIMES = re.compile("date|time|duration|period")

_FILL = "fill it, or drop the row"
_CODE = "code words as numbers, or leave the column out"
_COUNT = "count times in days or seconds, or leave the column out"


def is_frame(X: Any) -> bool:
    """Whether a table has columns with names and types."""
    # The names of a lazy frame are not read: polars would warn of the cost.
    return _is_lazy(X) or (hasattr(X, "columns") and (hasattr(X, "dtypes") or hasattr(X, "schema")))


def with_names(X: Any) -> Any:
    """A record batch of Arrow as a table, whose names scikit-learn reads; others as given."""
    arrow: Any = sys.modules.get("pyarrow")
    is_batch = isinstance(X, getattr(arrow, "RecordBatch", ()))
    return arrow.Table.from_batches([X]) if is_batch else X


def refuse_times(X: Any, name: str) -> None:
    """Refuse a frame with a column of times, or one that has no rows yet."""
    types = _types(X)
    for place, (column, kind) in enumerate(types):
        if _TIMES.match(kind.lower()):
            value = "" if _is_lazy(X) or not len(X) else f"{quoted(str(_column(X, place)[0]))} of "
            raise ValueError(f"{number_text(name, column, f'{value}type {kind}', 0)}; {_COUNT}")
    if _is_lazy(X):
        raise ValueError(
            f"{name} must hold rows, got a {type(X).__name__} of {len(types)} columns, which holds "
            "a query; call its collect()"
        )


def refuse_column(X: Any, name: str) -> None:
    """Refuse the first value of a frame that is no finite number; return where all are."""
    for place, (column, _) in enumerate(_types(X)):
        values = np.asarray(_column(X, place))
        bad = _first_bad(values)
        if bad is not None:
            row, got, remedy = bad
            raise ValueError(f"{number_text(name, column, got, row)}; {remedy}")


def _is_lazy(X: Any) -> bool:
    return hasattr(X, "collect_schema") and hasattr(X, "collect")


def _types(X: Any) -> list[tuple[str, str]]:
    """The names of the columns and of their types."""
    if hasattr(X, "iloc"):
        return [(str(name), str(kind)) for name, kind in zip(X.columns, X.dtypes, strict=True)]
    if hasattr(X, "collect_schema"):
        return [(name, str(kind)) for name, kind in X.collect_schema().items()]
    return [(field.name, str(field.type)) for field in X.schema]


def _column(X: Any, place: int) -> Any:
    """A column of any frame, by its number."""
    if hasattr(X, "iloc"):
        return X.iloc[:, place].array
    ways: list[Callable[[int], Any]] = [
        getattr(X, way) for way in ("to_series", "column") if hasattr(X, way)
    ]
    return ways[0](place)


def _first_bad(values: np.ndarray[Any, Any]) -> tuple[int, str, str] | None:
    """The row of the first value that is no finite number, the value, and what to do about it."""
    if values.dtype.kind in "biuf":
        bad = np.flatnonzero(~np.isfinite(values))
        return (int(bad[0]), _number(values[bad[0]]), _FILL) if len(bad) else None
    for row, value in enumerate(values.tolist()):
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            return row, "no value", _FILL
        try:
            number = float(value)
        except (TypeError, ValueError):
            return row, quoted(value), _CODE
        except OverflowError:
            return row, quoted(value), "scale the column"
        if not np.isfinite(number):
            return row, _number(number), _FILL
    return None


def _number(value: Any) -> str:
    return f"{value:g}".replace("nan", "NaN")
