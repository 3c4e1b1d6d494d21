"""The mean distance to the k-th neighbour, which an estimated bandwidth is.

    few rows    all pairs measured, one thread                                   kth_select.py
    more rows   a moment tree: its blocks' middles from the root down, then the
                rows, each group within the shell its parent's distance gives    kth_search.py

The shell is only a guess of where the k-th distance lies. Bounds of boxes are computed by the
expression that computes distances, and rounding is monotone, so the k-th distance is exact whenever
it lies in the shell; where it does not, everything is measured.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index import moment_tree as tree
from meanshift_fast._index.equal_rows import find_repeats, may_repeat
from meanshift_fast._index.kth_search import ROWS_AT_ONCE, measure_rows, search_groups
from meanshift_fast._index.kth_select import kth_sq
from meanshift_fast._input.weights import UNWEIGHTED
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import serial
from meanshift_fast._jit.simd import LANES, flat
from meanshift_fast._jit.threads import available_threads

# Rows, and values, up to which one thread measures all pairs: 20 x 2 rows take 0.07 ms (with a tree
# 0.45), 300 take 0.7 (0.8), 1,000 take 3.5 (1.7, with two threads). In return a first fit of them,
# which compiles for most of its time, takes 13.4 s and not 19.1: medians of three, by turns.
MAX_PAIRS_ROWS = 1024
MAX_PAIRS_VALUES = 1 << 14
FIRST_CHUNK_VALUES = 1 << 30  # read or measured by the first chunk, at most: less than a second


# Few rows: all pairs are measured, with no tree and no kernel over threads.


@serial
def _search_pairs(leaves, weights, k, most_sq, every_leaf, distances, kept, kept_weights, found):
    """Find the k-th distance of each row, the rows being in leaves in their own order."""
    n_leaves, n_features, n_rows = leaves.shape[0], leaves.shape[1], found.shape[0]
    points, lane_weights, listed = flat(leaves), flat(weights), flat(every_leaf)
    measured, left, left_weights = flat(distances), flat(kept), flat(kept_weights)
    everything = (0.0, most_sq, most_sq)
    for first in range(0, n_rows, ROWS_AT_ONCE):
        stop, leaf = min(first + ROWS_AT_ONCE, n_rows), first // LANES
        own = leaf * LANES
        measure_rows(
            points, listed, n_leaves, points, leaf * n_features, n_features, first - own,
            stop - 1 - own, measured,
        )  # fmt: skip
        for row in range(first, stop):
            distance_sq = kth_sq(
                measured, (row - first) * n_leaves, lane_weights, n_leaves, k, everything, left,
                left_weights,
            )  # fmt: skip
            found[row] = math.sqrt(distance_sq)


def _kth_distances_of_few(
    points: NDArray[np.float64], weights: NDArray[np.float64], k: float
) -> NDArray[np.float64]:
    """Measure each row's distance to its k-th neighbour, in the order of the rows."""
    leaves = tree.in_lanes(points)
    n_lanes = len(leaves) * LANES
    lane_weights = np.zeros(n_lanes)
    lane_weights[: len(points)] = weights if weights.size else 1.0
    span = points.max(axis=0) - points.min(axis=0)
    found = np.empty(len(points))
    _search_pairs(
        leaves, lane_weights, k, 1.001 * float(span @ span), np.arange(len(leaves)),
        np.empty(ROWS_AT_ONCE * n_lanes), np.empty(n_lanes), np.empty(n_lanes), found,
    )  # fmt: skip
    return found


# More rows: a search from the root of their tree.


def _flattened(rows: tree.MomentTree) -> tuple[Any, ...]:
    """Lay the tree out as the kernels take it: lanes in rows, whatever they belong to."""
    return (
        rows.points.reshape(-1, LANES),
        rows.point_weights,
        rows.lower.reshape(-1, LANES),
        rows.upper.reshape(-1, LANES),
        rows.weight,
        rows.first_child,
        rows.n_upper,
    )


def _kth_distances(rows: tree.MomentTree, k: float) -> NDArray[np.float64]:
    """Measure each row's distance to its k-th neighbour, in the tree's order."""
    tree_arrays = _flattened(rows)
    n_leaves, n_features = rows.points.shape[:2]
    with np.errstate(invalid="ignore"):  # where there is no child, there is no middle
        middles = (0.5 * rows.lower + 0.5 * rows.upper).reshape(-1, LANES)
    span = rows.upper[0].max(axis=1) - rows.lower[0].min(axis=1)
    most_sq = 1.001 * float(span @ span)
    first_chunk = FIRST_CHUNK_VALUES // (LANES * rows.points.size)

    def search(
        n_found: int, first_block: int, middle: NDArray[np.float64], positions: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        found = np.empty(n_found)
        for start, stop in chunks(len(middle), first=first_chunk):
            search_groups(
                tree_arrays,
                k,
                most_sq,
                first_block,
                start,
                middle[start:stop],
                positions[start * n_features : stop * n_features],
                available_threads(),
                found[start * LANES : stop * LANES],
            )
        return found

    level_sizes = [n_leaves]
    while level_sizes[0] > LANES:
        level_sizes.insert(0, -(-level_sizes[0] // LANES))
    radius = np.array([-1.0])  # about the middle of the root: not known
    parent = first = 0
    for size in level_sizes:
        stop = first + -(-size // LANES)
        radius = search(size, parent, radius, middles[first * n_features : stop * n_features])
        parent, first = first, stop
    return search(len(rows.order), parent, radius, tree_arrays[0])


def _rows_once(
    points: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make of equal rows one of their weight. 200,000 rows of ten binary columns are 1,024."""
    if not may_repeat(points):
        return points, weights
    firsts, numbers = find_repeats(points)
    if len(firsts) == len(points):
        return points, weights
    rows = points.take(firsts, axis=0)
    together = np.bincount(numbers, weights if weights.size else None).astype(np.float64)
    rows.flags.writeable = together.flags.writeable = False
    return rows, together


def _with_unit_weights(
    points: NDArray[np.float64], quantile: float, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float, float]:
    """The distinct rows, weights of about 1, how much weight to find, and all weight."""
    weight = float(weights.sum()) if weights.size else float(len(points))
    k = float(max(int(weight * quantile), 1))
    is_weighted = weights.size > 0
    points, weights = _rows_once(points, weights)
    if is_weighted:
        if weight * quantile < 1.0:  # as of weights that sum to 1, which are no numbers of rows
            k = weight * quantile or float(weights.min())
        # Sums of fractions come out a little short of a whole number, depending on their order.
        k *= 1.0 - 1e-10
    if weights.size:
        # The search selects where some rows are left, and counts weight for it: so a row weighs
        # about 1. 20,000 rows x 2 that weigh 1 together took 0.60 s and not 0.15.
        unit = np.ldexp(1.0, -int(np.frexp(weight / len(points))[1]))
        weights = weights * unit
        weights.flags.writeable = False
        weight, k = weight * unit, k * unit
    return points, weights, k, weight


def mean_kth_distance(
    points: NDArray[np.float64],
    *,
    quantile: float,
    weights: NDArray[np.float64] = UNWEIGHTED,
) -> np.float64:
    """Average over the rows how far the k-th neighbour is; `estimate_bandwidth` of a ready table.

    Parameters
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows; finite, at least one.
    quantile : float
        Between 0 and 1. ``k = int(n_samples * quantile)``, at least 1, and a row is its own
        first neighbour.
    weights : read-only float64 array of shape (n_samples,) or (0,), default=empty
        The rows' weights, positive; empty where all are 1. A row of weight w is w rows; where
        ``k`` would come to 0, it is the weight times the quantile, not rounded.

    Returns
    -------
    np.float64
        In the unit of the columns of ``points``. The same for every number of threads.

    Notes
    -----
    Of up to 1,024 rows of 16,384 values all pairs are measured. Beyond that the time is about
    n_samples^(1.5) in two dimensions, and never much more than that of measuring all pairs; memory
    besides the tree, at most 60 bytes a row and thread.
    """
    points, weights, k, weight = _with_unit_weights(points, quantile, weights)
    low, high = points.min(axis=0), points.max(axis=0)
    half_span = 0.5 * high - 0.5 * low  # halves, because a span need not be finite
    exponent = int(np.frexp(half_span.max())[1])
    if half_span.max() == 0.0:
        return np.float64(0.0)
    if abs(exponent) > 400:
        # Squares would leave the range of floats. A power of two scales exactly, and a column
        # of one value, which might grow too large, is in no distance.
        points = np.ascontiguousarray(np.ldexp(points[:, half_span > 0.0], -exponent))
        points.flags.writeable = False
    else:
        exponent = 0
    if len(points) <= MAX_PAIRS_ROWS and points.size <= MAX_PAIRS_VALUES:
        radii = _kth_distances_of_few(points, weights, k)
    else:
        rows = tree.build(points, weights)
        radii = np.empty(len(points))
        radii[rows.order] = _kth_distances(rows, k)
    if weights.size:
        radii *= weights
    with np.errstate(over="ignore"):
        mean = np.ldexp(radii.sum() / weight, exponent)
    if not np.isfinite(mean):
        raise ValueError(
            f"X must leave room for distances, got columns as wide as {half_span.max():g} times 2; "
            "divide X by that, or give a bandwidth"
        )
    return np.float64(mean)
