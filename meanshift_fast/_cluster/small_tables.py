"""A small table in one call: the steps of all stages, with no interpreter between them.

    stage by stage      rows -> | bins | -> | tree | -> | ascent | -> | modes | -> | labels |
    here                rows -> | bins  ->  tree  ->  ascent  ->  modes  ->  labels |

A fit of a thousand rows is a dozen kernels of a few microseconds, and the interpreter takes longer
between them: 1,000 x 2 rows in one ball take 0.05 ms here, and stage by stage 0.29. What is found
is equal to the last bit. The kernel is serial and has no memo: a first fit compiles less.
"""

from functools import lru_cache
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.bins import BinGrid, Bins, count_part, span_bins
from meanshift_fast._cluster.history import HISTORY_DTYPE, N_FIELDS, count_move, write_history
from meanshift_fast._cluster.inputs import Bandwidth, Rows, Settings
from meanshift_fast._cluster.modes import collapse, merging_radius, sweep
from meanshift_fast._cluster.seeding import LEAST_BIN, MAX_DOUBLE_NUMBER, MAX_SINGLE_NUMBER
from meanshift_fast._cluster.shared_bins import trial_of
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
from meanshift_fast._input.scaling import is_number
from meanshift_fast._input.weights import UNWEIGHTED
from meanshift_fast._jit.compiler import (
    as_step,
    empty_floats,
    empty_integers,
    inlined,
    serial,
    step,
)
from meanshift_fast._jit.simd import LANES, flat, full, item, put, store

MAX_ROWS = CHUNK_ROWS  # that one chunk of a tree arranges
MAX_VALUES = 1 << 16
MAX_ITER = 511  # rounds for which the totals have room
MAX_BANDWIDTH = 1e38  # which float32 holds
MAX_COORDINATE = 1e150  # whose square float64 holds

_span_bins = as_step(span_bins)
_collapse = as_step(collapse)
_sweep = as_step(sweep)
_write_history = as_step(write_history)
_SINGLES = np.empty(0, dtype=np.float32)  # numbers of bins: times a bandwidth, seeds in their dtype


class Rules(NamedTuple):
    """What a fit compares with.

    Attributes
    ----------
    bandwidth : float
    min_bin_freq : float
        How many rows a bin with a seed holds, at least.
    is_single : bool
        Whether the seeds are float32.
    rest : float
        The longest move that is a trajectory's last.
    merging_sq : float
        The squared distance within which an endpoint merges with a mode.
    limit_sq : float
        The squared distance from the nearest mode beyond which a row has no label.
    """

    bandwidth: float
    min_bin_freq: float
    is_single: bool
    rest: float
    merging_sq: float
    limit_sq: float


class Memory(NamedTuple):
    """Memory that the steps share.

    Attributes
    ----------
    numbers, integers : two and three arrays of shape (CHUNK_ROWS,)
        What putting rows in order takes.
    sums : three float64 arrays of shape ((n_features + 1) * LANES,)
        A position, and the sums of its ball.
    stack : int64 array of shape (STACK_BLOCKS,)
    totals : float64 array of shape (max_iter + 1, 4)
        Of the rounds.
    """

    numbers: tuple[NDArray[np.float64], ...]
    integers: tuple[NDArray[np.int64], ...]
    sums: tuple[NDArray[np.float64], ...]
    stack: NDArray[np.int64]
    totals: NDArray[np.float64]


class SmallFit(NamedTuple):
    """What a fit in one call finds: centres and their support, the history and the labels.

    ``may_miss_modes`` says whether bins may have missed modes: see `shared_bins`.
    """

    centers: NDArray[np.float64]
    support: NDArray[np.float64]
    history: NDArray[np.void]
    labels: NDArray[np.int64]
    may_miss_modes: bool


@step
def _empty_table(n_rows, n_features):
    return empty_floats(n_rows * n_features).reshape(n_rows, n_features)


@step
def _zeros(n):
    zeros = np.empty(n, np.int32)
    for k in range(n):
        put(flat(zeros), k, 0)
    return zeros


@step
def _slots_for(n_items):
    """A hash table for so many items: a power of two of slots, more than twice as many."""
    n_slots = 1
    while n_slots <= 2 * n_items:
        n_slots *= 2
    return _zeros(n_slots)


@step
def _memory_for(n_features, n_rounds):
    size, totals = (n_features + 1) * LANES, _empty_table(n_rounds, 4)
    for k in range(totals.size):
        put(flat(totals), k, 0.0)
    return Memory(
        (empty_floats(CHUNK_ROWS), empty_floats(CHUNK_ROWS)),
        (empty_integers(CHUNK_ROWS), empty_integers(CHUNK_ROWS), empty_integers(CHUNK_ROWS)),
        (empty_floats(size), empty_floats(size), empty_floats(size)),
        empty_integers(STACK_BLOCKS), totals,
    )  # fmt: skip


@step
def _find_seeds(points, rules, seeds):
    """Write the centres of bins that hold enough rows as `bin_seeds` does; how many, or 0."""
    (n_rows, n_features), bandwidth = points.shape, rules.bandwidth
    origin, stride, slots = empty_floats(n_features), empty_floats(n_features), _slots_for(n_rows)
    is_hashed = not _span_bins(points, bandwidth, origin, stride) <= slots.shape[0]
    bins = Bins(slots, empty_integers(n_rows), empty_integers(n_rows))
    n_bins = count_part(
        points, np.int64(0), n_rows, BinGrid(bandwidth, origin, stride, is_hashed), bins,
        np.int64(0), empty_integers(0), empty_floats(n_features),
    )  # fmt: skip
    if n_bins > seeds.shape[0] or n_bins == n_rows:
        return 0
    n_values = 0
    for k in range(n_bins):
        for f in range(n_features):
            value = item(flat(points), item(flat(bins.rows), k) * n_features + f)
            number = np.rint(value / bandwidth)
            center = number * bandwidth if abs(number) <= MAX_DOUBLE_NUMBER else value
            if rules.is_single and abs(number) <= MAX_SINGLE_NUMBER:
                center = np.float64(np.float32(number) * np.float32(bandwidth))
            if not abs(center) <= MAX_COORDINATE:
                return 0
            put(flat(seeds), n_values + f, center)
        n_values += n_features if item(flat(bins.counts), k) >= rules.min_bin_freq else 0
    return n_values // n_features


@step
def _empty_tree(n_rows, n_features):
    """Memory for the tree of at most four blocks of leaves, with one above where there are some."""
    n_leaves = (n_rows + LANES - 1) // LANES
    n_lowest = (n_leaves + LANES - 1) // LANES
    n_upper = int(n_lowest > 1)
    n_blocks = n_upper + n_lowest
    size = n_blocks * n_features * LANES
    return MomentTree(
        empty_floats(n_leaves * n_features * LANES), _empty_table(1, LANES), _zeros(n_rows),
        empty_floats(size), empty_floats(size), empty_floats(n_blocks * LANES), empty_floats(size),
        empty_integers(n_blocks), n_upper, 0.0,
    )  # fmt: skip


@step
def _arrange(points, tree, careful, memory):
    """Build the tree of the rows, each of weight 1."""
    level_starts = empty_integers(2 + tree.n_upper)
    store(flat(tree.point_weights), 0, full(1.0))
    for i in range(points.shape[0]):
        put(flat(tree.order), i, i)
    moments = tree.lower, tree.upper, tree.weight, tree.weighted_sum
    arrange_chunk(
        points, UNWEIGHTED, tree.order, np.int64(0), careful, tree.n_upper,
        (tree.points, tree.point_weights, *moments), memory.numbers, memory.integers,
    )  # fmt: skip
    level_starts[0], level_starts[1], level_starts[-1] = 0, 1, tree.first_child.shape[0]
    n_leaves = (points.shape[0] + LANES - 1) // LANES
    sum_blocks(level_starts, n_leaves, points.shape[1], tree.first_child, *moments)


@inlined
def _shift(views, at, i, n_features, ball, sums, stack):
    """Move position ``i`` to the mean of its ball; its support and the length of the move."""
    place, shared, own = sums  # flat, as the stack: no references are counted
    for f in range(n_features):
        put(place, f, item(at, i * n_features + f))
    # Not `sum_ball`, whose three traversals take 0.5 s more to compile.
    sum_balls(
        views, None, n_features, Group(place, place, place, shared), None, True, ball, stack,
        shared, own,
    )  # fmt: skip
    return move_to_mean(at, i, n_features, shared, own, 0)


@step
def _put_in_order(positions, n_positions, order, memory):
    """Write the numbers of positions in the order of `order_of`."""
    for i in range(n_positions):
        put(flat(order), i, i)
    if n_positions > MAX_UNORDERED_ROWS:
        numbers, integers = memory.numbers, memory.integers
        spare = ChunkMemory(
            flat(numbers[0]), flat(numbers[1]), flat(integers[0]), flat(integers[1]),
            flat(integers[2]),
        )  # fmt: skip
        split_into_leaves(
            flat(positions), positions.shape[1], flat(order), np.int64(0), n_positions,
            np.bool_(False), spare,
        )  # fmt: skip


@step
def _ascend(tree, positions, n_positions, rules, n_rounds, memory, support):
    """Follow positions to their endpoints, one after the other, in the order of `order_of`."""
    order = np.empty(n_positions, np.int32)
    _put_in_order(positions, n_positions, order, memory)
    n_features, at = positions.shape[1], flat(positions)
    square = rules.bandwidth * rules.bandwidth
    views, ball, stack = views_of(tree), (square, square), flat(memory.stack)
    sums = flat(memory.sums[0]), flat(memory.sums[1]), flat(memory.sums[2])
    totals = flat(memory.totals)
    for rank in range(n_positions):
        i, number, at_rest = item(flat(order), rank), 0, False
        while not at_rest and number < n_rounds:
            weight, move = _shift(views, at, i, n_features, ball, sums, stack)
            at_rest = is_at_rest(move, weight, rules.rest)
            put(flat(support), i, weight)
            count_move(totals, number, move, at_rest)
            number += 1


@step
def _merge(endpoints, n_seeds, weights, merging_sq, modes, support):
    """Move the endpoints that any row is near to the front, and merge them; how many modes."""
    n_features, n_ends = endpoints.shape[1], np.int64(0)
    at, n_modes = flat(endpoints), np.int64(0)
    for i in range(n_seeds):
        if item(flat(weights), i) > 0.0:
            put(flat(weights), n_ends, item(flat(weights), i))
            for f in range(n_features):
                put(at, n_ends * n_features + f, item(at, i * n_features + f))
            n_ends += 1
    if n_ends > 0:
        waiting, kept = empty_integers(n_seeds), empty_integers(n_seeds)
        n_waiting = _collapse(
            endpoints, np.int64(0), n_ends, weights, _slots_for(n_seeds), waiting, np.int64(0)
        )
        # As many visits as a sweep for each endpoint takes.
        n_modes, _, _ = _sweep(
            endpoints, weights, merging_sq, waiting, n_waiting, np.int64(-1), n_ends * n_ends, kept,
            np.int64(0),
        )  # fmt: skip
        for k in range(n_modes):
            put(flat(support), k, item(flat(weights), kept[k]))
            for f in range(n_features):
                put(flat(modes), k * n_features + f, item(at, kept[k] * n_features + f))
    return n_modes


@step
def _label(points, modes, n_modes, limit_sq, labels):
    """Label each row with its nearest mode."""
    n_rows, n_features = points.shape
    packed, numbers = empty_floats((n_modes + LANES) * n_features), empty_floats(n_modes)
    for k in range(n_modes):
        put(flat(numbers), k, np.float64(k))
        for f in range(n_features):
            value = item(flat(modes), k * n_features + f)
            put(flat(packed), (k // LANES * n_features + f) * LANES + k % LANES, value)
    group = empty_floats(n_features * LANES)
    label_by_all(points, np.int64(0), n_rows, packed, numbers, limit_sq, group, labels)


@step
def _count_near(places, modes, n_modes, near_sq):
    """How many places are near a mode."""
    labels, n_near = empty_integers(places.shape[0]), 0
    _label(places, modes, n_modes, near_sq, labels)
    for i in range(places.shape[0]):
        n_near += item(flat(labels), i) >= 0
    return n_near


@step
def _may_miss_modes(tree, modes, n_modes, rules, trial, memory):
    """Whether too few of some rows come near a mode in some steps: see `shared_bins`."""
    n_tried, number = trial.places.shape[0], 0
    n_near = _count_near(trial.places, modes, n_modes, trial.near_sq)
    while n_near < trial.min_near and number < trial.n_means:
        _ascend(tree, trial.places, n_tried, rules, 1, memory, empty_floats(n_tried))
        n_near = _count_near(trial.places, modes, n_modes, trial.near_sq)
        number += 1
    return n_near < trial.min_near


@serial
def _fit(points, rules, trial, modes, support, history, labels):
    """Fit; how many modes there are, or 0, how many rounds, and whether bins may miss modes."""
    (n_rows, n_features), most_rounds = points.shape, history.shape[0]
    positions = _empty_table(modes.shape[0], n_features)
    n_seeds = _find_seeds(points, rules, positions)
    if n_seeds == 0:
        return 0, 0, False
    memory, weights = _memory_for(n_features, most_rounds), empty_floats(n_seeds)
    tree = _empty_tree(n_rows, n_features)
    _arrange(points, tree, n_seeds > n_rows // 16, memory)
    _ascend(tree, positions, n_seeds, rules, most_rounds, memory, weights)
    n_modes = _merge(positions, n_seeds, weights, rules.merging_sq, modes, support)
    _label(points, modes, n_modes, rules.limit_sq, labels)
    n_rounds = _write_history(memory.totals, history)
    is_tried = n_modes > 0 and n_seeds <= trial.max_bins
    may_miss = is_tried and _may_miss_modes(tree, modes, n_modes, rules, trial, memory)
    return n_modes, n_rounds, may_miss


@lru_cache(maxsize=64)
def _divides_alike(dtype: np.dtype[Any], kind: type) -> bool:
    """Whether the kernel finds the bins that NumPy does, of such rows by such a bandwidth.

    Centres of narrow floats are rounded; and NumPy divides bytes by float32 in float32.
    """
    is_wide = dtype.kind in "iu" or (dtype.kind == "f" and dtype.itemsize == 8)
    quotient, product = np.asarray(np.empty(0, dtype) / kind(1)), np.asarray(_SINGLES * kind(1))
    return is_wide and quotient.dtype == np.float64 and product.dtype in (np.float32, np.float64)


@lru_cache(maxsize=64)
def _seeds_are_single(kind: type) -> bool:
    """Whether NumPy's numbers of bins times a bandwidth of this type are float32."""
    return bool((_SINGLES * kind(1)).dtype == np.float32)


def serves(rows: Rows, bandwidth: Bandwidth, settings: Settings) -> bool:
    """Whether a fit is plain and its table small: the numbers of columns, values and rounds."""
    points, kind = rows.points, cast(Any, type(bandwidth))
    return (
        len(points) <= MAX_ROWS
        and points.size <= MAX_VALUES
        and rows.are_bare
        and settings.are_plain
        and settings.coalesce == 0.0
        and settings.max_iter <= MAX_ITER
        and is_number(bandwidth)
        and LEAST_BIN <= float(bandwidth) <= MAX_BANDWIDTH
        and _divides_alike(rows.table.dtype, kind)
    )


def fit(rows: Rows, bandwidth: Any, settings: Settings) -> SmallFit:
    """Fit a table that `serves`.

    To the last bit what the stages find; no centre where they must: where bins give no seeds that
    serve, or no row is near one.
    """
    points, radius, kind = rows.points, float(bandwidth), cast(Any, type(bandwidth))
    n_rows, n_features = points.shape
    most = min(n_rows, thresholds.MAX_SMALL_SEED_VALUES // points.size, max_seeds_without(points))
    merging = merging_radius(radius)
    rules = Rules(
        radius, float(min(settings.min_bin_freq, n_rows + 1)), _seeds_are_single(kind),
        rest_of(settings.tol, radius), merging * merging, limit_square(settings.limit(radius)),
    )  # fmt: skip
    modes, support = np.empty((most, n_features)), np.empty(most)
    history = np.empty((settings.max_iter + 1, N_FIELDS))
    labels = np.empty(n_rows, np.int64)
    n_modes, n_rounds, may_miss = _fit(
        points, rules, trial_of(points, radius, settings), modes, support, history, labels
    )
    rounds = history[:n_rounds].copy().view(HISTORY_DTYPE)[:, 0]
    return SmallFit(modes[:n_modes].copy(), support[:n_modes].copy(), rounds, labels, may_miss)
