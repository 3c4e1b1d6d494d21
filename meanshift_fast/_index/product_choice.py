"""Whether matrix products pay: a probe of some positions.

    d16        distance to the sixteenth row, about the width of a leaf
    |---- r - d16 ====== r ====== r + d16 ---->        rows whose leaves the sphere may cut: open

Trees of boxes, or of projections, measure the open rows of a position; products settle all rows,
each for a few parts of a hundred of what it takes to measure one. Rows that fill their dimensions
have their neighbours about as far as all others, and nearly all are open. In separated clusters,
however many, few are.
"""

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index import thresholds
from meanshift_fast._index.singles import MAX_COORDINATE, MAX_FEATURES, error_of
from meanshift_fast._jit.blas import blas_alone
from meanshift_fast._jit.simd import LANES

MIN_FEATURES = 33  # fewer are left to the tree and its projections
PROBED_POSITIONS = 32
PROBED_VALUES = 1 << 20  # of rows converted at a time


def is_worth(points: NDArray[np.float64], radius: float, n_seeds: int) -> bool:
    """Whether products pay for an ascent from so many seeds, every eighth row or more."""
    n_samples, n_features = points.shape
    if not MIN_FEATURES <= n_features <= MAX_FEATURES or n_seeds <= max(n_samples // 8, LANES):
        return False
    if n_seeds * n_samples < thresholds.MIN_PRODUCT_PAIRS:
        return False
    if not max(float(points.max()), -float(points.min())) < MAX_COORDINATE:
        return False
    return _open_share(points, radius) > thresholds.MIN_PRODUCT_OPEN_SHARE


def _open_share(points: NDArray[np.float64], radius: float) -> float:
    """Which part of the rows, on average over some of them, trees would measure.

    0 where rows are so far from each other that products in float32 would leave many open.
    """
    n_samples, n_features = points.shape
    places = points[:: -(-n_samples // PROBED_POSITIONS)]
    middle = places.mean(axis=0)
    places = places - middle
    norms_sq = np.einsum("ij,ij->i", places, places)
    step = max(PROBED_VALUES // n_features, 1)
    distances_sq = np.empty((len(places), n_samples))
    most_sq = 0.0
    with blas_alone():
        for start in range(0, n_samples, step):
            rows = points[start : start + step] - middle
            rows_sq = np.einsum("ij,ij->i", rows, rows)
            most_sq = max(most_sq, float(rows_sq.max()))
            some = distances_sq[:, start : start + step]
            some[:] = places @ rows.T
            some *= -2.0
            some += rows_sq
            some += norms_sq[:, None]
    if error_of(n_features) * most_sq > thresholds.MAX_PRODUCT_ERROR * radius * radius:
        return 0.0
    distances = np.sqrt(np.maximum(distances_sq, 0.0))
    kth = min(LANES, n_samples - 1)
    widths = np.partition(distances, kth, axis=1)[:, kth]
    return float((np.abs(distances - radius) <= widths[:, None]).mean())
