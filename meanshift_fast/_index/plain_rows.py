"""Distances of rows to a position in plain NumPy, block by block: the steps of a trace."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

BLOCK_VALUES = 1 << 20  # that a block of rows may hold, distances and copies together: 8 MiB


def rows_in_ball(
    points: _Floats, centre: _Floats, bandwidth: float
) -> Iterator[tuple[int, NDArray[np.intp], _Floats]]:
    """Yield blocks: the number of the first row, which rows lie in the ball, the block itself."""
    radius_sq = (bandwidth * unit_of(bandwidth)) ** 2
    for first, distance_sq, block in squared_distances(points, centre, bandwidth):
        yield first, np.flatnonzero(distance_sq <= radius_sq), block


def squared_distances(
    points: _Floats, centre: _Floats, bandwidth: float
) -> Iterator[tuple[int, _Floats, _Floats]]:
    """Yield blocks: the number of the first row, squares in `unit_of`, the block itself."""
    n_samples, n_features = points.shape
    n_rows = max(1, BLOCK_VALUES // (n_features + 3))
    scale = unit_of(bandwidth)
    for first in range(0, n_samples, n_rows):
        block = points[first : first + n_rows]
        distance_sq = np.zeros(len(block))
        # A row whose squared distance overflows lies outside.
        with np.errstate(over="ignore"):
            for feature in range(n_features):
                difference = (block[:, feature] - centre[feature]) * scale
                distance_sq += difference * difference
        yield first, distance_sq, block


def unit_of(bandwidth: float) -> float:
    """The power of two that makes a bandwidth about 1.

    Multiplying by it rounds nothing, so comparisons come out as without it. Squares neither
    overflow nor vanish where data and bandwidth are as large as 1e200, or as small.
    """
    return 2.0 ** -min(max(math.frexp(bandwidth)[1], -1000), 1000)
