"""The mean distance to the k-th neighbour, which an estimated bandwidth is.

rows --> all pairs are measured, where rows are few ------------------> kth_select
     |-> products with all rows, where rows fill many columns --------> kth_products
     `-> moment_tree --> a count about a prediction (kth_search) -----> kth_select --> mean
                         the only way where columns wrap
"""

import math

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index import kth_products, product_choice
from meanshift_fast._index import moment_tree as tree
from meanshift_fast._index.equal_rows import distinct_rows, may_repeat
from meanshift_fast._index.kth_search import search_all
from meanshift_fast._index.kth_select import kth_sq
from meanshift_fast._input.metrics import EUCLIDEAN, Metric
from meanshift_fast._input.weights import UNWEIGHTED
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import serial, step
from meanshift_fast._jit.simd import LANES, flat, full, item, load, store
from meanshift_fast._jit.threads import available_threads

# Rows, and values, up to which one thread measures all pairs: 20 x 2 rows take 0.07 ms (with a tree
# 0.45), 300 take 0.7 (0.8), 1,000 take 3.5 (1.7, with two threads). Besides, a first fit of so few
# rows, mostly compilation, takes two thirds of the time.
MAX_PAIRS_ROWS = 1024
MAX_PAIRS_VALUES = 1 << 14
# Ranks that a thread searches at a time; the first of them without a prediction, by a dozen counts.
MIN_RANKS_A_TAKE, MAX_RANKS_A_TAKE = 64, 512
ROWS_AT_ONCE = 4  # 64 columns take half the time that one row at a time takes
FIRST_CHUNK_VALUES = 1 << 27  # values that a count for each row of the first chunk reads at most


# Few rows: all pairs are measured, with no tree and no kernel over threads.


@step
def _measure_rows(points, n_leaves, first, n_features, j, last, distances):
    """Squared distances of rows j to j + 3 of a leaf, none beyond ``last``, to all leaves."""
    own = first * LANES
    for i in range(n_leaves):
        a_sq = b_sq = c_sq = d_sq = full(0.0)
        for f in range(n_features):
            values = load(points, i * n_features + f)
            at = own + f * LANES
            a = values - item(points, at + j)
            b = values - item(points, at + min(j + 1, last))
            c = values - item(points, at + min(j + 2, last))
            d = values - item(points, at + min(j + 3, last))
            a_sq, b_sq, c_sq, d_sq = a_sq + a * a, b_sq + b * b, c_sq + c * c, d_sq + d * d
        store(distances, i, a_sq)
        store(distances, n_leaves + i, b_sq)
        store(distances, 2 * n_leaves + i, c_sq)
        store(distances, 3 * n_leaves + i, d_sq)


@serial
def _search_pairs(leaves, weights, k, everything, memory, found):
    """Find the k-th distance of each row, the rows being in leaves in their own order."""
    n_leaves, n_features, n_rows = leaves.shape[0], leaves.shape[1], found.shape[0]
    points, lane_weights = flat(leaves), flat(weights)
    distances, kept, kept_weights = memory
    measured, left, left_weights = flat(distances), flat(kept), flat(kept_weights)
    for first in range(0, n_rows, ROWS_AT_ONCE):
        stop, leaf = min(first + ROWS_AT_ONCE, n_rows), first // LANES
        own = leaf * LANES
        _measure_rows(
            points, n_leaves, leaf * n_features, n_features, first - own, stop - 1 - own, measured
        )
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
    everything = (0.0, 1.001 * float(span @ span), float(lane_weights.sum()))
    memory = np.empty(ROWS_AT_ONCE * n_lanes), np.empty(n_lanes), np.empty(n_lanes)
    _search_pairs(leaves, lane_weights, k, everything, memory, found)
    return found


# More rows: a search down their tree.


def _kth_distances(
    rows: tree.MomentTree, k: float, period: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Measure each row's distance to its k-th neighbour, in the tree's order."""
    span = rows.upper[0].max(axis=1) - rows.lower[0].min(axis=1)
    most = 1.001 * math.sqrt(float(span @ span))
    periods = np.where(period < math.inf, period, 0.0) if period.size else None
    found = np.empty(len(rows.order))
    first = FIRST_CHUNK_VALUES // rows.points.size
    for start, stop in chunks(len(found), first=first, multiple=LANES):
        counter, n_threads = np.zeros(1, dtype=np.int64), available_threads()
        n_taken = min(max((stop - start) // (2 * n_threads), MIN_RANKS_A_TAKE), MAX_RANKS_A_TAKE)
        search_all(rows, periods, k, most, (start, stop, n_taken), counter, n_threads, found)
    return found


def _rows_once(
    points: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make of equal rows one of their weight. 200,000 rows of ten binary columns are 1,024."""
    if not may_repeat(points):
        return points, weights
    rows, together = distinct_rows(points, weights)
    return (points, weights) if len(rows) == len(points) else (rows, together)


def _with_unit_weights(
    points: NDArray[np.float64], quantile: float, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float, float]:
    """The distinct rows, weights of about 1, how much weight to find, and all weight."""
    weight = float(weights.sum()) if weights.size else float(len(points))
    k = float(max(int(weight * quantile), 1))
    is_weighted = weights.size > 0
    points, weights = _rows_once(points, weights)
    if is_weighted:
        if weight * quantile < 1.0:  # weights may sum to 1, and are then no numbers of rows
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


def _kth_in_order(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    k: float,
    period: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Measure each row's distance to its k-th neighbour, in the order of the rows."""
    if not period.size:
        if len(points) <= MAX_PAIRS_ROWS and points.size <= MAX_PAIRS_VALUES:
            return _kth_distances_of_few(points, weights, k)
        weight = float(weights.sum()) if weights.size else float(len(points))
        if product_choice.is_worth_for_neighbours(points, k / weight):
            return kth_products.kth_distances(points, weights, k)
    rows = tree.build(points, weights, careful=True)
    radii = np.empty(len(points))
    radii[rows.order] = _kth_distances(rows, k, period)
    return radii


def _kth_radii(
    points: NDArray[np.float64], quantile: float, weights: NDArray[np.float64], metric: Metric
) -> tuple[NDArray[np.float64], NDArray[np.float64], float, int]:
    """The distances of distinct rows to their k-th neighbours; weights, their sum, an exponent."""
    points, weights, k, weight = _with_unit_weights(points, quantile, weights)
    low, high = points.min(axis=0), points.max(axis=0)
    period = metric.period
    half_span = 0.5 * high - 0.5 * low  # halves, because a span need not be finite
    exponent = int(np.frexp(half_span.max())[1])
    if half_span.max() == 0.0:
        return np.zeros(len(points)), weights, weight, 0
    if abs(exponent) > 400:
        # Squares would leave the range of floats. A power of two scales exactly, and a column
        # of one value, which might grow too large, is in no distance.
        points = np.ascontiguousarray(np.ldexp(points[:, half_span > 0.0], -exponent))
        points.flags.writeable = False
        period = np.ldexp(period[half_span > 0.0], -exponent) if period.size else period
    else:
        exponent = 0
    radii = metric.lengths(_kth_in_order(points, weights, k, period))
    return radii, weights, weight, exponent


def mean_kth_distance(
    points: NDArray[np.float64],
    *,
    quantile: float,
    weights: NDArray[np.float64] = UNWEIGHTED,
    metric: Metric = EUCLIDEAN,
) -> np.float64:
    """Average over the rows how far the k-th neighbour is; `estimate_bandwidth` of a ready table.

    ``points`` are read-only C-ordered rows in the engine's columns, finite, at least one; weights
    are read-only and positive, and empty where all are 1. ``k = int(n_samples * quantile)``, at
    least 1, and a row is its own first neighbour. A row of weight w is w rows; where ``k`` would
    come to 0, it is the weight times the quantile, not rounded. The distance is in the unit of the
    columns, on a sphere an angle, and the same for every number of threads.

    Of up to 1,024 rows of 16,384 values all pairs are measured. Beyond that the time is about
    n_samples^(1.5) in two dimensions, and that of measuring all pairs in many, by matrix products
    where rows fill their dimensions; memory besides the tree, or a float32 copy, 32 bytes a row and
    thread.
    """
    radii, weights, weight, exponent = _kth_radii(points, quantile, weights, metric)
    if weights.size:
        radii *= weights
    with np.errstate(over="ignore"):
        mean = np.ldexp(radii.sum() / weight, exponent)
    if not np.isfinite(mean):
        half_span = 0.5 * points.max(axis=0) - 0.5 * points.min(axis=0)
        raise ValueError(
            f"X must leave room for distances, got columns as wide as {half_span.max():g} times 2; "
            "divide X by that, or give a bandwidth"
        )
    return np.float64(max(mean, metric.min_length))


def median_kth_distance(
    points: NDArray[np.float64],
    k: float,
    weights: NDArray[np.float64] = UNWEIGHTED,
    *,
    metric: Metric = EUCLIDEAN,
) -> np.float64:
    """Find the median over the rows of the distance to the k-th neighbour besides the row itself.

    As `mean_kth_distance`; ``k`` is how much weight a ball is to hold besides the row's.
    """
    total = weights.sum() if weights.size else float(len(points))
    quantile = min((k + 1.5) / total, 1.0)
    radii, weights, weight, exponent = _kth_radii(points, quantile, weights, metric)
    order = np.argsort(radii, kind="stable")
    below = np.cumsum(weights[order]) if weights.size else np.arange(1.0, len(radii) + 1.0)
    middle = min(int(np.searchsorted(below, 0.5 * weight)), len(radii) - 1)
    return np.float64(max(np.ldexp(radii[order[middle]], exponent), metric.min_length))
