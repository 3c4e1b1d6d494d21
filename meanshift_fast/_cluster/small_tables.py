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
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.bins import BinGrid, Bins, count_part, span_bins
from meanshift_fast._cluster.history import HISTORY_DTYPE, count_move, write_history
from meanshift_fast._cluster.inputs import Bandwidth, Rows, Settings
from meanshift_fast._cluster.modes import collapse, merging_radius, sweep
from meanshift_fast._cluster.seeding import (
    LEAST_BIN,
    MAX_DOUBLE_NUMBER,
    MAX_SINGLE_NUMBER,
)
from meanshift_fast._cluster.shared_bins import Trial, trial_of
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
from meanshift_fast._jit.simd import LANES, bit_patterns, flat, full, item, put, store

MAX_ROWS = CHUNK_ROWS  # that one chunk of a tree arranges
MAX_VALUES = 1 << 16
MAX_ITER = 511  # rounds for which the totals have room
MAX_BANDWIDTH = 1e38  # which float32 holds
MAX_COORDINATE = 1e150  # whose square float64 holds

_span_bins = as_step(span_bins)
_collapse = as_step(collapse)
_sweep = as_step(sweep)
_HISTORY_FIELDS = HISTORY_DTYPE.itemsize // 8
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


class Room(NamedTuple):
    """Memory that a fit writes to.

    Attributes
    ----------
    order : int32 array of shape (n_samples,)
        The rows' numbers.
    slots : int32 array of shape (2, n_slots)
        Zeros, for two hash tables.
    positions : float64 array of shape (n_most, n_features)
        As many seeds as there may be; overwritten by the endpoints.
    support : float64 array of shape (n_most,)
    kept : int64 array of shape (n_most,)
        Which endpoints are the modes.
    totals : float64 array of shape (max_iter + 1, 4)
        Zeros, for the rounds.
    labels : int64 array of shape (n_samples,)
    """

    order: NDArray[np.int32]
    slots: NDArray[np.int32]
    positions: NDArray[np.float64]
    support: NDArray[np.float64]
    kept: NDArray[np.int64]
    totals: NDArray[np.float64]
    labels: NDArray[np.int64]


class Found(NamedTuple):
    """What a fit in one call finds: centres and their support, the history and the labels.

    ``may_miss_modes`` says whether bins may have missed modes: see `shared_bins`.
    """

    centers: NDArray[np.float64]
    support: NDArray[np.float64]
    history: NDArray[np.void]
    labels: NDArray[np.int64]
    may_miss_modes: bool


@step
def _find_seeds(points, rules, slots, seeds):
    """Write the centres of bins that hold enough rows as `bin_seeds` does; how many, or 0."""
    (n_rows, n_features), bandwidth = points.shape, rules.bandwidth
    origin, stride = empty_floats(n_features), empty_floats(n_features)
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
def _ascend(tree, positions, n_seeds, order, memory, ball, rest, sums, stack, support, totals):
    """Follow seeds to their endpoints, one after the other in the order of `order_of`."""
    n_features, at, weights = positions.shape[1], flat(positions), flat(support)
    views, flat_sums = views_of(tree), (flat(sums[0]), flat(sums[1]), flat(sums[2]))
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
            weight, move = _shift(views, at, i, n_features, ball, flat_sums, flat(stack))
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


@step
def _nearest(positions, i, modes):
    """The nearest to position ``i`` of the modes, and its squared distance."""
    (endpoints, kept, n_modes), n_features = modes, positions.shape[1]
    nearest, least_sq = 0, np.inf
    for k in range(n_modes):
        away_sq, first = 0.0, item(flat(kept), k) * n_features
        for f in range(n_features):
            away = item(flat(positions), i * n_features + f) - item(flat(endpoints), first + f)
            away_sq += away * away
        if away_sq < least_sq:
            nearest, least_sq = k, away_sq
    return nearest, least_sq


@step
def _stay_away(views, sample, modes, trial, ball, rest, sums, stack, n_rounds):
    """Whether enough sampled rows come near no mode on their way; each is left where it is then."""
    (n_rows, n_features), n_near = sample.shape, 0
    flat_sums = flat(sums[0]), flat(sums[1]), flat(sums[2])
    for i in range(n_rows):
        number, at_rest = 0, False
        _, away_sq = _nearest(sample, i, modes)
        while away_sq > trial.near_sq and not at_rest and number < n_rounds:
            weight, move = _shift(views, flat(sample), i, n_features, ball, flat_sums, flat(stack))
            at_rest = is_at_rest(move, weight, rest)
            _, away_sq = _nearest(sample, i, modes)
            number += 1
        n_near += away_sq <= trial.near_sq
        if n_near > n_rows - trial.min_stray:
            return False
    return True


@step
def _count_stray(endpoints, modes, found):
    """How many endpoints are at another mode than most of those that the fit has as one cluster."""
    n_ends = endpoints.shape[0]
    pairs = empty_integers(modes[2] * found[2])
    for k in range(pairs.shape[0]):
        pairs[k] = 0
    for i in range(n_ends):
        mode, _ = _nearest(endpoints, i, modes)
        other, _ = _nearest(endpoints, i, found)
        pairs[mode * found[2] + other] += 1
    n_stray = n_ends
    for mode in range(modes[2]):
        most = 0
        for other in range(found[2]):
            most = max(most, pairs[mode * found[2] + other])
        n_stray -= most
    return n_stray


@step
def _try_rows(points, tree, n_modes, rules, trial, memory, ball, sums, stack, room):
    """Whether rows ascend to modes that the bins have missed: see `shared_bins`."""
    n_features, n_rows = points.shape[1], trial.n_rows
    sample = empty_floats(n_rows * n_features).reshape(n_rows, n_features)
    for i in range(n_rows):
        for f in range(n_features):
            sample[i, f] = points[i * (points.shape[0] - 1) // (n_rows - 1), f]
    modes = room.positions, room.kept, n_modes
    if not _stay_away(
        views_of(tree), sample, modes, trial, ball, rules.rest, sums, stack, room.totals.shape[0]
    ):
        return False
    support, kept = empty_floats(n_rows), empty_integers(n_rows)
    _ascend(
        tree, sample, n_rows, room.order, memory, ball, rules.rest, sums, stack, support,
        room.totals,
    )  # fmt: skip
    for k in range(room.slots.shape[1]):
        room.slots[1, k] = 0
    n_found = _merge(
        sample, n_rows, support, rules.merging_sq, room.slots[1], empty_integers(n_rows), kept
    )
    return _count_stray(sample, modes, (sample, kept, n_found)) >= trial.min_stray


@serial
def _fit(points, numbers, order, slots, positions, support, kept, totals, history, labels):
    """Fit; how many modes there are, or 0, how many rounds, and whether rows reach other modes.

    ``numbers`` are those of `Rules` and of `Trial`, and the rest is a `Room`: to find the types of
    three such tuples would take 8 of the 70 us of a fit.
    """
    n_rows, n_features = points.shape
    rules = Rules(numbers[0], numbers[1], numbers[2] > 0.0, numbers[3], numbers[4], numbers[5])
    trial = Trial(int(numbers[6]), int(numbers[7]), numbers[8], numbers[9])
    room = Room(order, slots, positions, support, kept, totals, labels)
    n_seeds = _find_seeds(points, rules, room.slots[0], room.positions)
    if n_seeds == 0:
        return 0, 0, False
    tree, square = _empty_tree(n_rows, n_features, room.order), rules.bandwidth * rules.bandwidth
    memory = (
        (empty_floats(CHUNK_ROWS), empty_floats(CHUNK_ROWS)),
        (empty_integers(CHUNK_ROWS), empty_integers(CHUNK_ROWS), empty_integers(CHUNK_ROWS)),
    )
    _arrange(points, tree, n_seeds > n_rows // 16, empty_integers(2 + tree.n_upper), memory)
    size = (n_features + 1) * LANES
    sums = empty_floats(size), empty_floats(size), empty_floats(size)
    ball, stack = (square, square), empty_integers(STACK_BLOCKS)
    _ascend(
        tree, room.positions, n_seeds, room.order, memory, ball, rules.rest, sums, stack,
        room.support, room.totals,
    )  # fmt: skip
    n_modes = _merge(
        room.positions, n_seeds, room.support, rules.merging_sq, room.slots[1],
        empty_integers(n_seeds), room.kept,
    )  # fmt: skip
    _label(
        points, room.positions, room.kept, rules.limit_sq,
        empty_floats((n_modes + LANES) * n_features), empty_floats(n_modes),
        empty_floats(n_features * LANES), room.labels,
    )  # fmt: skip
    reals = flat(history)
    n_rounds = write_history(flat(totals), totals.shape[0], reals, bit_patterns(reals))
    may_miss = n_modes > 0 and trial.n_rows > 0 and n_seeds <= trial.max_bins
    if may_miss:
        may_miss = _try_rows(points, tree, n_modes, rules, trial, memory, ball, sums, stack, room)
    return n_modes, n_rounds, may_miss


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


def fit(rows: Rows, bandwidth: Any, settings: Settings) -> Found:
    """Fit a table that `serves`.

    To the last bit what the stages find; no centre where they must: where bins give no seeds that
    serve, or no row is near one.
    """
    points, radius = rows.points, float(bandwidth)
    n_rows, n_features = points.shape
    most = min(n_rows, thresholds.MAX_SMALL_SEED_VALUES // points.size, max_seeds_without(points))
    merging, history = merging_radius(radius), np.empty((settings.max_iter + 1, _HISTORY_FIELDS))
    rules = Rules(
        radius, float(min(settings.min_bin_freq, n_rows + 1)),
        (_SINGLES * bandwidth).dtype == np.float32, rest_of(settings.tol, radius),
        merging * merging, limit_square(settings.limit(radius)),
    )  # fmt: skip
    numbers = np.array(rules + trial_of(points, radius, settings.min_bin_freq))
    positions, support = np.empty((most, n_features)), np.empty(most)
    kept, labels = np.empty(most, dtype=np.int64), np.empty(n_rows, dtype=np.int64)
    n_modes, n_rounds, may_miss = _fit(
        points, numbers, np.arange(n_rows, dtype=np.int32),
        np.zeros((2, 1 << (2 * n_rows).bit_length()), dtype=np.int32), positions, support, kept,
        np.zeros((len(history), 4)), history, labels,
    )  # fmt: skip
    kept, rounds = kept[:n_modes], history[:n_rounds].copy().view(HISTORY_DTYPE)[:, 0]
    return Found(positions.take(kept, axis=0), support.take(kept), rounds, labels, may_miss)
