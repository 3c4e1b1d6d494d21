"""A small table in one call: the steps of all stages, with no interpreter between them.

    stage by stage      rows -> | bins | -> | tree | -> | ascent | -> | modes | -> | labels |
    here                rows -> | bins  ->  tree  ->  ascent  ->  modes  ->  labels |

A fit of a thousand rows is a dozen kernels of a few microseconds each, and the interpreter takes
ten times as long between them: 1,000 x 2 rows that are all in one ball take 0.18 ms here, and stage
by stage 0.61. What one kernel finds is equal to the last bit. It is serial and keeps no memo, so
that a first fit with an empty cache compiles less.
"""

from functools import lru_cache
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.history import HISTORY_DTYPE, count_move, write_history
from meanshift_fast._cluster.inputs import Bandwidth, Rows, Settings
from meanshift_fast._cluster.modes import collapse, merging_radius, sweep
from meanshift_fast._cluster.seeding import (
    LEAST_BIN,
    MAX_DOUBLE_NUMBER,
    MAX_SINGLE_NUMBER,
    count_part,
    span_bins,
)
from meanshift_fast._index import thresholds
from meanshift_fast._index.moment_tree import (
    MAX_UNORDERED_ROWS,
    MomentTree,
    arrange_chunk,
    sum_blocks,
)
from meanshift_fast._index.nearest import limit_square
from meanshift_fast._index.nearest_kernels import label_by_all
from meanshift_fast._index.projected import max_seeds_without
from meanshift_fast._index.stopping import is_at_rest, rest_of
from meanshift_fast._index.traversal import STACK_BLOCKS, Group, move_to_mean, sum_balls, views_of
from meanshift_fast._index.tree_order import CHUNK_ROWS, ChunkMemory, split_into_leaves
from meanshift_fast._input.weights import UNWEIGHTED
from meanshift_fast._jit.compiler import as_step, empty_floats, empty_integers, serial, step
from meanshift_fast._jit.simd import LANES, flat, full, item, put, store

MAX_ROWS = CHUNK_ROWS  # that one chunk of a tree arranges
MAX_VALUES = 1 << 16
MAX_ITER = 511  # rounds for which the totals have room
MAX_BANDWIDTH = 1e38  # which float32 holds
MAX_COORDINATE = 1e150  # whose square float64 holds

_span_bins = as_step(span_bins)
_collapse = as_step(collapse)
_sweep = as_step(sweep)
_SINGLES = np.empty(0, dtype=np.float32)  # numbers of bins: times a bandwidth, seeds in their dtype


@step
def _find_seeds(
    points, bandwidth, min_bin_freq, is_single, slots, origin, stride, no_stride, place, rows,
    counts, no_inverse, seeds,
):  # fmt: skip
    """Write the centres of bins that hold enough rows as `bin_seeds` does; how many, or 0."""
    n_rows, n_features = points.shape
    if not _span_bins(points, bandwidth, origin, stride) <= slots.shape[0]:
        stride = no_stride  # too many for a slot each: they are hashed
    n_bins = count_part(
        points, np.int64(0), n_rows, bandwidth, origin, stride, slots, np.int64(0), rows, counts,
        no_inverse, place,
    )  # fmt: skip
    if n_bins > seeds.shape[0] or n_bins == n_rows:
        return 0
    n_values = 0
    for k in range(n_bins):
        for f in range(n_features):
            value = item(flat(points), item(flat(rows), k) * n_features + f)
            number = np.rint(value / bandwidth)
            center = number * bandwidth if abs(number) <= MAX_DOUBLE_NUMBER else value
            if is_single and abs(number) <= MAX_SINGLE_NUMBER:
                center = np.float64(np.float32(number) * np.float32(bandwidth))
            if not abs(center) <= MAX_COORDINATE:
                return 0
            put(flat(seeds), n_values + f, center)
        n_values += n_features if item(flat(counts), k) >= min_bin_freq else 0
    return n_values // n_features


@step
def _empty_tree(n_rows, n_features, order):
    """Memory for the tree of at most four blocks of leaves, with one above where there are some."""
    n_leaves = (n_rows + LANES - 1) // LANES
    n_lowest = (n_leaves + LANES - 1) // LANES
    n_upper = int(n_lowest > 1)
    n_blocks = n_upper + n_lowest
    size = n_blocks * n_features * LANES
    return MomentTree(
        empty_floats(n_leaves * n_features * LANES), empty_floats(LANES).reshape(1, LANES), order,
        empty_floats(size), empty_floats(size), empty_floats(n_blocks * LANES), empty_floats(size),
        empty_integers(n_blocks), n_upper, 0.0,
    )  # fmt: skip


@step
def _arrange(points, tree, careful, level_starts, memory):
    """Build the tree of the rows, each of weight 1."""
    store(flat(tree.point_weights), 0, full(1.0))
    moments = tree.lower, tree.upper, tree.weight, tree.weighted_sum
    arrange_chunk(
        points, UNWEIGHTED, tree.order, np.int64(0), careful, tree.n_upper,
        (tree.points, tree.point_weights, *moments), *memory,
    )  # fmt: skip
    level_starts[0], level_starts[1], level_starts[-1] = 0, 1, tree.first_child.shape[0]
    n_leaves = (points.shape[0] + LANES - 1) // LANES
    sum_blocks(level_starts, n_leaves, points.shape[1], tree.first_child, *moments)


@step
def _ascend(tree, positions, n_seeds, order, memory, ball, rest, sums, stack, support, totals):
    """Follow seeds to their endpoints, one after the other in the order of `order_of`."""
    n_features, at, weights = positions.shape[1], flat(positions), flat(support)
    place, shared, own, views = flat(sums[0]), flat(sums[1]), flat(sums[2]), views_of(tree)
    for i in range(n_seeds):
        put(flat(order), i, i)
    numbers, integers = memory
    if n_seeds > MAX_UNORDERED_ROWS:
        spare = ChunkMemory(
            flat(numbers[0]), flat(numbers[1]), flat(integers[0]), flat(integers[1]),
            flat(integers[2]),
        )  # fmt: skip
        split_into_leaves(at, n_features, flat(order), np.int64(0), n_seeds, np.bool_(False), spare)
    for rank in range(n_seeds):
        i, number, at_rest = item(flat(order), rank), 0, False
        while not at_rest and number < totals.shape[0]:
            for f in range(n_features):
                put(place, f, item(at, i * n_features + f))
            # Not `sum_ball`, whose three traversals take 0.5 s more to compile.
            sum_balls(
                views, None, n_features, Group(place, place, place, shared), None, True, ball,
                flat(stack), shared, own,
            )  # fmt: skip
            weight, move = move_to_mean(at, i, n_features, shared, own, 0)
            at_rest = is_at_rest(move, weight, rest)
            put(weights, i, weight)
            count_move(flat(totals), number, move, at_rest)
            number += 1


@step
def _merge(endpoints, n_seeds, support, bandwidth_sq, slots, waiting, kept):
    """Move the endpoints that any row is near to the front, and merge them; how many modes."""
    n_features, n_ends = endpoints.shape[1], np.int64(0)
    at, weights = flat(endpoints), flat(support)
    for i in range(n_seeds):
        if item(weights, i) > 0.0:
            put(weights, n_ends, item(weights, i))
            for f in range(n_features):
                put(at, n_ends * n_features + f, item(at, i * n_features + f))
            n_ends += 1
    if n_ends == 0:
        return 0
    n_waiting = _collapse(endpoints, np.int64(0), n_ends, support, slots, waiting, np.int64(0))
    # As many visits as a sweep for each endpoint takes.
    n_modes, _, _ = _sweep(
        endpoints, support, bandwidth_sq, waiting, n_waiting, np.int64(-1), n_ends * n_ends, kept,
        np.int64(0),
    )  # fmt: skip
    return n_modes


@step
def _label(points, endpoints, kept, limit_sq, packed, numbers, group, labels):
    """Label each row with its nearest mode."""
    n_rows, n_features = points.shape
    for k in range(numbers.shape[0]):
        put(flat(numbers), k, np.float64(k))
        for f in range(n_features):
            value = item(flat(endpoints), item(flat(kept), k) * n_features + f)
            put(flat(packed), (k // LANES * n_features + f) * LANES + k % LANES, value)
    label_by_all(points, np.int64(0), n_rows, packed, numbers, limit_sq, group, labels)


@serial
def _fit(
    points, bandwidth, min_bin_freq, is_single, rest, merging_sq, limit_sq, order, slots, positions,
    support, kept, totals, reals, integers, labels,
):  # fmt: skip
    """Fit; how many modes there are, whose endpoints ``kept`` numbers, and how many rounds; or 0.

    ``positions`` has room for as many seeds as there may be, and ends with the endpoints; ``reals``
    and ``integers`` are the history.
    """
    n_rows, n_features = points.shape
    n_seeds = _find_seeds(
        points, bandwidth, min_bin_freq, is_single, slots[0], empty_floats(n_features),
        empty_floats(n_features), empty_floats(0), empty_floats(n_features), empty_integers(n_rows),
        empty_integers(n_rows), empty_integers(0), positions,
    )  # fmt: skip
    if n_seeds == 0:
        return 0, 0
    tree, square = _empty_tree(n_rows, n_features, order), bandwidth * bandwidth
    memory = (
        (empty_floats(CHUNK_ROWS), empty_floats(CHUNK_ROWS)),
        (empty_integers(CHUNK_ROWS), empty_integers(CHUNK_ROWS), empty_integers(CHUNK_ROWS)),
    )
    _arrange(points, tree, n_seeds > n_rows // 16, empty_integers(2 + tree.n_upper), memory)
    size = (n_features + 1) * LANES
    sums = empty_floats(size), empty_floats(size), empty_floats(size)
    _ascend(
        tree, positions, n_seeds, order, memory, (square, square), rest, sums,
        empty_integers(STACK_BLOCKS), support, totals,
    )  # fmt: skip
    n_modes = _merge(
        positions, n_seeds, support, merging_sq, slots[1], empty_integers(n_seeds), kept
    )
    _label(
        points, positions, kept, limit_sq, empty_floats((n_modes + LANES) * n_features),
        empty_floats(n_modes), empty_floats(n_features * LANES), labels,
    )  # fmt: skip
    return n_modes, write_history(flat(totals), totals.shape[0], flat(reals), flat(integers))


@lru_cache(maxsize=64)
def _divides_alike(dtype: np.dtype[Any], kind: type) -> bool:
    """Whether the kernel finds the bins that NumPy does, of such rows by such a bandwidth.

    Centres of narrow floats are rounded; and NumPy divides bytes by float32 in float32.
    """
    is_wide = dtype.kind in "iu" or (dtype.kind == "f" and dtype.itemsize == 8)
    quotient, product = np.asarray(np.empty(0, dtype) / kind(1)), np.asarray(_SINGLES * kind(1))
    return is_wide and quotient.dtype == np.float64 and product.dtype in (np.float32, np.float64)


def serves(rows: Rows, bandwidth: Bandwidth, settings: Settings) -> bool:
    """Whether a fit is plain and its table small: the numbers of columns, values and rounds."""
    points = rows.points
    return (
        len(points) <= MAX_ROWS
        and points.size <= MAX_VALUES
        and rows.are_bare
        and settings.are_plain
        and settings.coalesce == 0.0
        and settings.max_iter <= MAX_ITER
        and isinstance(bandwidth, Real)
        and LEAST_BIN <= float(bandwidth) <= MAX_BANDWIDTH
        and _divides_alike(rows.table.dtype, type(bandwidth))
    )


def fit(
    rows: Rows, bandwidth: Any, settings: Settings
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.void], NDArray[np.int64]]:
    """Fit a table that `serves`: its centres, their support, the history and the labels.

    To the last bit what the stages find; no centre where they must: where bins give no seeds that
    serve, or no row is near one.
    """
    points, radius = rows.points, float(bandwidth)
    n_rows, n_features = points.shape
    most_values = thresholds.MAX_SMALL_SEED_VALUES
    if settings.n_jobs == 1:
        most_values = thresholds.MAX_SMALL_SEED_VALUES_ALONE
    most = min(n_rows, most_values // points.size, max_seeds_without(points))
    positions, support = np.empty((most, n_features)), np.empty(most)
    kept, totals = np.empty(most, dtype=np.int64), np.zeros((settings.max_iter + 1, 4))
    history = np.empty((len(totals), HISTORY_DTYPE.itemsize // 8))
    labels, order = np.empty(n_rows, dtype=np.int64), np.arange(n_rows, dtype=np.int32)
    slots = np.zeros((2, 1 << (2 * n_rows).bit_length()), dtype=np.int32)
    merging = merging_radius(radius)
    # Python's numbers: for others `_fit` would compile anew, for 8 s.
    n_modes, n_rounds = _fit(
        points, radius, float(min(settings.min_bin_freq, n_rows + 1)),
        (_SINGLES * bandwidth).dtype == np.float32, rest_of(settings.tol, radius),
        merging * merging, limit_square(settings.limit(radius)), order, slots, positions,
        support, kept, totals, history, history.view(np.int64), labels,
    )  # fmt: skip
    kept, rounds = kept[:n_modes], history[:n_rounds].copy().view(HISTORY_DTYPE)[:, 0]
    return positions.take(kept, axis=0), support.take(kept), rounds, labels
