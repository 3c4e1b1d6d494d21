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
MIN_SEEDS = 128  # that pay for the probe
PROBED_POSITIONS = 32
GOLDEN_RATIO = 0.5 * (5.0**0.5 - 1.0)
PROBED_VALUES = 1 << 20  # of rows converted at a time
# The probe looks at so many rows first, and at all where these leave it open. The share of open
# rows among these has a standard error of 0.03. It is biased upwards, because rows of a sample lie
# farther apart and stand for wider leaves. Of 100,000 x 64 blobs all rows take 110 ms, these 0.2,
# and a fit 320.
FIRST_LOOK_ROWS, FIRST_LOOK_ERROR = 256, 0.1
MIN_WIDTH_ROWS = 4  # of these, in the distance that stands for the width of a leaf


def is_worth(points: NDArray[np.float64], radius: float, n_seeds: int) -> bool:
    """Whether products pay for an ascent from so many seeds."""
    if n_seeds < MIN_SEEDS or not _is_of_size(points, n_seeds):
        return False
    if _is_settled_by_few(points, radius) or not _is_in_range(points):
        return False
    distances, most_sq = probe(points, points)
    return (
        open_share(distances, np.full(len(distances), radius)) > thresholds.MIN_PRODUCT_OPEN_SHARE
        and error_of(points.shape[1]) * most_sq <= thresholds.MAX_PRODUCT_ERROR * radius * radius
    )


def _is_settled_by_few(points: NDArray[np.float64], radius: float) -> bool:
    """Whether a first look at some rows shows that few are open."""
    n_samples = len(points)
    if n_samples <= FIRST_LOOK_ROWS:
        return False
    # Steps of the golden ratio: no period in the order of the rows makes the sample one-sided.
    places = np.arange(FIRST_LOOK_ROWS) * GOLDEN_RATIO % 1.0 * n_samples
    with np.errstate(over="ignore", invalid="ignore"):  # of coordinates that products do not serve
        distances, _ = probe(points, points.take(places.astype(np.int64), axis=0))
        kth = max(LANES * FIRST_LOOK_ROWS // n_samples + 1, MIN_WIDTH_ROWS)
        share = open_share(distances, np.full(len(distances), radius), kth)
    return bool(share <= thresholds.MIN_PRODUCT_OPEN_SHARE - FIRST_LOOK_ERROR)


def is_worth_for_neighbours(points: NDArray[np.float64], quantile: float) -> bool:
    """Whether products pay for finding the distances that hold such a part of the rows."""
    n_samples = len(points)
    if not (_is_of_size(points, n_samples) and _is_in_range(points)):
        return False
    distances, most_sq = probe(points, points)
    k = min(int(quantile * n_samples), n_samples - 1)
    radii = np.partition(distances, k, axis=1)[:, k]
    least_sq = float(radii.min()) ** 2
    return (
        open_share(distances, radii) > thresholds.MIN_PRODUCT_OPEN_NEIGHBOUR_SHARE
        and error_of(points.shape[1]) * most_sq <= thresholds.MAX_PRODUCT_ERROR * least_sq
    )


def is_worth_for_gaussian(points: NDArray[np.float64], n_seeds: int, accuracy: float) -> bool:
    """Whether products pay for shifts of so many seeds among rows in bandwidths."""
    if n_seeds < MIN_SEEDS or not (_is_of_size(points, n_seeds) and _is_in_range(points)):
        return False
    return weighing_share(points, accuracy) > thresholds.MIN_PRODUCT_GAUSSIAN_SHARE


def weighing_share(points: NDArray[np.float64], accuracy: float) -> float:
    """Which part of rows in bandwidths, about some, weigh enough for a tree to sum them."""
    n_samples = len(points)
    distances, _ = probe(points, points)
    exponents = 0.5 * distances * distances
    least = np.partition(exponents, min(LANES, n_samples - 1), axis=1)[:, LANES // 2]
    depth = np.log(n_samples / max(accuracy, 1e-16))
    return float((exponents <= least[:, None] + depth).mean())


def _is_of_size(points: NDArray[np.float64], n_seeds: int) -> bool:
    """Whether a table is of a size for products."""
    n_samples, n_features = points.shape
    is_wide = bool(MIN_FEATURES <= n_features <= MAX_FEATURES)
    return is_wide and bool(n_seeds * n_samples >= thresholds.MIN_PRODUCT_PAIRS)


def _is_in_range(points: NDArray[np.float64]) -> bool:
    """Whether all coordinates are in the range of the error bound of products."""
    return max(float(points.max()), -float(points.min())) < MAX_COORDINATE


def probe(
    points: NDArray[np.float64], others: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """The distances of some rows to others, about, and the largest squared norm of those."""
    n_samples, n_features = others.shape
    places = points[:: -(-len(points) // PROBED_POSITIONS)]
    middle = places.mean(axis=0)
    places = places - middle
    norms_sq = np.einsum("ij,ij->i", places, places)
    step = max(PROBED_VALUES // n_features, 1)
    distances_sq, most_sq = np.empty((len(places), n_samples)), 0.0
    with blas_alone():
        for start in range(0, n_samples, step):
            rows = others[start : start + step] - middle
            rows_sq = np.einsum("ij,ij->i", rows, rows)
            most_sq = max(most_sq, float(rows_sq.max()))
            some = distances_sq[:, start : start + step]
            some[:] = places @ rows.T
            some *= -2.0
            some += rows_sq
            some += norms_sq[:, None]
    return np.sqrt(np.maximum(distances_sq, 0.0, out=distances_sq), out=distances_sq), most_sq


def open_share(
    distances: NDArray[np.float64], radii: NDArray[np.float64], kth: int = LANES
) -> float:
    """Which part of the rows, on average over the probed ones, trees would measure.

    The distance to the k-th nearest row stands for the width of a leaf.
    """
    kth = min(kth, distances.shape[1] - 1)
    widths = np.partition(distances, kth, axis=1)[:, kth]
    return float((np.abs(distances - radii[:, None]) <= widths[:, None]).mean())
