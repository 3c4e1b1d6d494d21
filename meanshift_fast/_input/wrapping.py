"""Columns that wrap around: values brought between the seams, and the short way round."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def wrapped(table: NDArray[Any], period: NDArray[np.float64]) -> NDArray[Any]:
    """Wrap the columns of a table, in place, to [0, period); those of infinite period stay."""
    for column in np.flatnonzero(period < math.inf):
        values = np.mod(table[:, column], period[column])
        # What is just below 0 is rounded up to the period.
        table[:, column] = np.where(values < table.dtype.type(period[column]), values, 0.0)
    return table


def short_way(
    points: NDArray[np.float64], position: NDArray[np.float64], period: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How far points are from a position along each column, the short way round; at least 0."""
    away = np.abs(points - position)
    return np.minimum(away, np.abs(period - away))
