"""A small table in one call: bins, tree, ascent, modes and labels, by the steps of those files.

    stage by stage      input -> | bins | -> | tree | -> | ascent | -> | modes | -> | labels |
    here                input -> | bins  ->  tree  ->  ascent  ->  modes  ->  labels |

A fit of a thousand rows is a dozen kernels of a few microseconds each, and the interpreter takes
ten times as long between them. One kernel in their place takes a fit of 1,000 x 2 rows that are all
in one ball from 562 us to 153, and finds the same to the last bit. A first fit with an empty cache,
most of which is compiling, takes 12.0 s and not 18.8: no kernel is parallel, no tracks are kept.

It fits what is plain. Of whatever is not (too many bins, no row near any seed, a number near the
end of its range) it makes nothing, and the stages do it.
"""

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.ascent import HISTORY_DTYPE
from meanshift_fast._cluster.modes import collapse, sweep
from meanshift_fast._cluster.seeding import (
    LEAST_BIN,
    MAX_DOUBLE_NUMBER,
    MAX_SINGLE_NUMBER,
    count_part,
    span_bins,
)
from meanshift_fast._index import projected
from meanshift_fast._index.moment_tree import MAX_UNORDERED_ROWS, arrange_chunk, sum_blocks
from meanshift_fast._index.nearest import label_by_all, limit_square
from meanshift_fast._index.traversal import STACK, move_to_mean, sum_balls
from meanshift_fast._index.tree_order import CHUNK, split_into_leaves
from meanshift_fast._input.weights import UNWEIGHTED
from meanshift_fast._jit.compiler import as_step, empty_floats, empty_integers, serial, step
from meanshift_fast._jit.simd import LANES, flat, full, item, put, store

MAX_ROWS = CHUNK  # which are arranged at once
MAX_VALUES = 1 << 16
# Values times bins: what a round of the ascent may read. One thread takes some ten
# milliseconds for as many rounds as are usual, and Ctrl-C waits for it. 1,000 x 16 rows from 809
# bins take 1.4 ms, and stage by stage 2.2. Where clusters are wide the stages can be faster, by a
# second thread and by tracks: 1,000 x 8 rows from 630 bins take 4.2 ms here and 3.2 there, if
# the second processor is free.
MAX_VALUES_A_ROUND = 1 << 24
MAX_ROUNDS = 512
N_FIELDS = len(HISTORY_DTYPE.names or ())  # of the history, in its order
MAX_BANDWIDTH = 1e38  # which float32 holds, as it does the narrowest
MAX_COORDINATE = 1e150  # whose square is a number

_span_bins = as_step(span_bins)
_collapse = as_step(collapse)
_sweep = as_step(sweep)
_SINGLE = np.empty(0, dtype=np.float32)  # bins' numbers: times a bandwidth, seeds in their type


class Fit(NamedTuple):
    """What a fit finds.

    Attributes
    ----------
    modes : float64 array of shape (n_modes, n_features)
        The modes, by falling support.
    support : float64 array of shape (n_modes,)
        The weight in the ball that each is the mean of.
    labels : int64 array of shape (n_samples,)
        The number of each row's nearest mode; -1 beyond the limit.
    history : structured array of shape (n_rounds,)
        The rounds, as in :class:`meanshift_fast._cluster.ascent.Ascent`.
    """

    modes: NDArray[np.float64]
    support: NDArray[np.float64]
    labels: NDArray[np.int64]
    history: NDArray[np.void]


# A step for each stage. The caller makes the arrays: steps go on with flat pointers, which keep no
# array alive.


@step
def _largest(values, n_values):
    """The largest absolute value."""
    largest = 0.0
    for i in range(n_values):
        largest = max(largest, abs(item(values, i)))
    return largest


@step
def _find_seeds(
    points, bandwidth, min_bin_freq, is_single, origin, stride, no_stride, bins, slots, rows,
    counts, inverse, seeds,
):  # fmt: skip
    """Put seeds where `bin_seeds` does, in the bins that hold enough rows; how many.

    0 where there is no room for all bins, each row has its own, none is full or a seed is too far.
    """
    n_rows, n_features = points.shape
    if not _span_bins(points, bandwidth, origin, stride) <= slots.shape[0]:
        stride = no_stride  # too many for a slot each: they are hashed
    n_bins = count_part(
        points, np.int64(0), n_rows, bandwidth, origin, stride, slots, np.int64(0), rows, counts,
        inverse, bins,
    )  # fmt: skip
    if n_bins > seeds.shape[0] or n_bins == n_rows:
        return 0
    table, first_rows, sizes, places = flat(points), flat(rows), flat(counts), flat(seeds)
    n_values = 0
    for k in range(n_bins):
        if item(sizes, k) >= min_bin_freq:
            for f in range(n_features):
                value = item(table, item(first_rows, k) * n_features + f)
                number = np.rint(value / bandwidth)
                place = number * bandwidth if abs(number) <= MAX_DOUBLE_NUMBER else value
                if is_single and abs(number) <= MAX_SINGLE_NUMBER:
                    place = np.float64(np.float32(number) * np.float32(bandwidth))
                if not abs(place) <= MAX_COORDINATE:
                    return 0
                put(places, n_values, place)
                n_values += 1
    return n_values // n_features


@step
def _arrange(
    points, unweighted, order, careful, n_leaves, n_upper, tree_arrays, level_starts, first_child,
    numbers, integers,
):  # fmt: skip
    """Build the tree of the rows."""
    n_features = points.shape[1]
    _, ones, lower, upper, weight, sums = tree_arrays
    store(flat(ones), 0, full(1.0))
    arrange_chunk(
        points, unweighted, order, np.int64(0), careful, n_upper, tree_arrays, numbers, integers
    )
    sum_blocks(level_starts, n_leaves, n_features, first_child, lower, upper, weight, sums)


@step
def _order(positions, n_seeds, order, numbers, integers):
    """Write the seeds' numbers in the order of `order_of`, in which a history adds up moves."""
    for i in range(n_seeds):
        put(flat(order), i, i)
    if n_seeds > MAX_UNORDERED_ROWS:
        split_into_leaves(
            flat(positions), positions.shape[1], flat(order), np.int64(0), n_seeds, np.bool_(False),
            flat(numbers[0]), flat(numbers[1]), flat(integers[0]), flat(integers[1]),
            flat(integers[2]),
        )  # fmt: skip


@step
def _ascend(
    tree_arrays, first_child, n_upper, positions, n_seeds, order, radius_sq, rest, n_rounds, stack,
    numbers, support, history, history_counts,
):  # fmt: skip
    """Follow seeds, one after the other in an order; how many rounds it took, 0 for too many.

    ``history`` and ``history_counts`` are one array of zeros, seen as numbers and as integers.
    """
    packed, ones, lower, upper, weight, sums = tree_arrays
    views = (
        flat(packed), flat(ones), flat(lower), flat(upper), flat(weight), flat(sums),
        flat(first_child), np.int64(0), n_upper,
    )  # fmt: skip
    n_features, n_rounds_taken = positions.shape[1], 0
    most_rounds, n_fields = history.shape
    at, weights, moves, counts = flat(positions), flat(support), flat(history), flat(history_counts)
    place, shared, own = flat(numbers[0]), flat(numbers[1]), flat(numbers[2])
    ranked = flat(order)
    for rank in range(n_seeds):
        i, number, rests = item(ranked, rank), 0, False
        while not rests and number < n_rounds:
            if number == most_rounds:
                return 0
            for f in range(n_features):
                put(place, f, item(at, i * n_features + f))
            # Not `sum_ball`, whose three descents take 0.5 s more to compile.
            sum_balls(
                views, None, n_features, place, place, place, True, (radius_sq, radius_sq),
                flat(stack), shared, None, shared, own,
            )  # fmt: skip
            weight_near, move = move_to_mean(at, i, n_features, shared, own, 0)
            rests = move <= rest or weight_near == 0.0
            put(weights, i, weight_near)
            record = n_fields * number
            put(counts, record + 1, item(counts, record + 1) + 1)
            put(moves, record + 2, item(moves, record + 2) + move)
            put(moves, record + 3, max(item(moves, record + 3), move))
            put(counts, record + 4, item(counts, record + 4) + rests)
            number += 1
        n_rounds_taken = max(n_rounds_taken, number)
    n_rested = 0
    for number in range(n_rounds_taken):
        record = n_fields * number
        n_rested += item(counts, record + 4)
        put(counts, record, number + 1)
        put(moves, record + 2, item(moves, record + 2) / item(counts, record + 1))
        put(counts, record + 4, n_rested)
    return n_rounds_taken


@step
def _merge(ends, n_seeds, support, bandwidth_sq, slots, waiting, kept, modes, mode_support):
    """Merge the ends that any row is near, by sweeps alone; how many modes that makes, or 0."""
    n_features, n_ends = ends.shape[1], np.int64(0)  # a literal would compile `collapse` twice
    at, weights, kept_ends, found = flat(ends), flat(support), flat(kept), flat(modes)
    for i in range(n_seeds):
        if item(weights, i) > 0.0:
            put(weights, n_ends, item(weights, i))
            for f in range(n_features):
                put(at, n_ends * n_features + f, item(at, i * n_features + f))
            n_ends += 1
    if n_ends == 0:
        return 0
    for k in range(slots.shape[0]):
        put(flat(slots), k, 0)
    n_waiting = _collapse(ends, np.int64(0), n_ends, support, slots, waiting, np.int64(0))
    # So many visits are enough though each end were a mode.
    n_modes, _, _ = _sweep(
        ends, support, bandwidth_sq, waiting, n_waiting, np.int64(-1), n_ends * n_ends, kept,
        np.int64(0),
    )  # fmt: skip
    for k in range(n_modes):
        end = item(kept_ends, k)
        put(flat(mode_support), k, item(weights, end))
        for f in range(n_features):
            put(found, k * n_features + f, item(at, end * n_features + f))
    return n_modes


@step
def _label(points, modes, n_modes, limit_sq, packed, mode_numbers, group, labels):
    """Label each row with its nearest mode."""
    n_rows, n_features = points.shape
    for k in range(packed.shape[0]):
        put(flat(packed), k, np.inf)
    for k in range(n_modes):
        put(flat(mode_numbers), k, np.float64(k))
        for f in range(n_features):
            place = (k // LANES * n_features + f) * LANES + k % LANES
            put(flat(packed), place, item(flat(modes), k * n_features + f))
    label_by_all(points, np.int64(0), n_rows, packed, mode_numbers, limit_sq, group, labels)


@serial
def _fit(
    points, bandwidth, min_bin_freq, is_single, rest, n_rounds, limit_sq, unweighted, order, slots,
    positions, modes, support, history, history_counts, labels,
):  # fmt: skip
    """Fit; how many modes there are and after how many rounds, or 0 and 0 where the stages must.

    ``positions`` has room for as many seeds as there may be. The seeds become their ends, of which
    those that any row is near move to the front.
    """
    n_rows, n_features = points.shape
    if not _largest(flat(points), n_rows * n_features) <= MAX_COORDINATE:
        return 0, 0
    n_seeds = _find_seeds(
        points, bandwidth, min_bin_freq, is_single, empty_floats(n_features),
        empty_floats(n_features), empty_floats(0), empty_floats(n_features), slots,
        empty_integers(n_rows), empty_integers(n_rows), empty_integers(0), positions,
    )  # fmt: skip
    if n_seeds == 0:
        return 0, 0

    # As in `tree.build`: at most four blocks of leaves, and one above where there are several.
    n_leaves = (n_rows + LANES - 1) // LANES
    n_lowest = (n_leaves + LANES - 1) // LANES
    n_upper = int(n_lowest > 1)
    n_blocks = n_upper + n_lowest
    level_starts, first_child = empty_integers(2 + n_upper), empty_integers(n_blocks)
    level_starts[0], level_starts[1], level_starts[-1] = 0, 1, n_blocks
    size = n_blocks * n_features * LANES
    tree_arrays = (
        empty_floats(n_leaves * n_features * LANES), empty_floats(LANES), empty_floats(size),
        empty_floats(size), empty_floats(n_blocks * LANES), empty_floats(size),
    )  # fmt: skip
    numbers = empty_floats(CHUNK), empty_floats(CHUNK)
    integers = empty_integers(CHUNK), empty_integers(CHUNK), empty_integers(CHUNK)
    _arrange(
        points, unweighted, order, n_seeds > n_rows // 16, n_leaves, n_upper, tree_arrays,
        level_starts, first_child, numbers, integers,
    )  # fmt: skip

    n_lanes = (n_features + 1) * LANES
    weights, radius_sq = empty_floats(n_seeds), bandwidth * bandwidth
    _order(positions, n_seeds, order, numbers, integers)  # over that of the rows, which has served
    n_rounds_taken = _ascend(
        tree_arrays, first_child, n_upper, positions, n_seeds, order, radius_sq, rest,
        n_rounds, empty_integers(STACK),
        (empty_floats(n_lanes), empty_floats(n_lanes), empty_floats(n_lanes)), weights, history,
        history_counts,
    )  # fmt: skip
    if n_rounds_taken == 0:
        return 0, 0
    n_slots = 1  # a power of two, and more than twice the seeds
    while n_slots <= 2 * n_seeds:
        n_slots *= 2
    n_modes = _merge(
        positions, n_seeds, weights, radius_sq, empty_integers(n_slots), empty_integers(n_seeds),
        empty_integers(n_seeds), modes, support,
    )  # fmt: skip
    if n_modes == 0:
        return 0, 0
    n_groups = (n_modes + LANES - 1) // LANES
    _label(
        points, modes, n_modes, limit_sq, empty_floats(n_groups * n_features * LANES),
        empty_floats(n_modes), empty_floats(n_features * LANES), labels,
    )  # fmt: skip
    return n_modes, n_rounds_taken


def fit(
    points: NDArray[np.float64],
    bandwidth: Any,
    dtype: np.dtype[Any],
    *,
    min_bin_freq: int,
    tol: float,
    max_iter: int,
    cluster_all: bool,
) -> Fit | None:
    """Fit a table with the flat kernel, from its bins, and label by the nearest mode.

    Parameters
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows, each of weight 1; finite, at least one.
    bandwidth : float, or float64 array of shape (n_features,)
        Radius of the ball and side of the bins, of the type in which seeds are computed.
    dtype : dtype
        Of the rows, before they became float64.
    min_bin_freq : int
        Only bins that hold at least so many rows are seeds.
    tol : float
        A trajectory rests when its move is at most ``tol * bandwidth``.
    max_iter : int
        At most ``max_iter + 1`` means are taken.
    cluster_all : bool
        Whether rows farther than the bandwidth from every mode get a label.

    Returns
    -------
    Fit or None
        What the stages would find, to the last bit; None where they must.

    Notes
    -----
    Up to 1,024 rows and 65,536 values, from fewer bins than rows: in sixteen columns or fewer any
    number of them, in more up to 2^24 by the number of values, and no more than do without
    projections. To find that each row has a bin of its own, or that there are too many, costs three
    passes over the rows: 32 us of 1,000 x 2.
    """
    n_rows, n_features = points.shape
    if n_rows > MAX_ROWS or points.size > MAX_VALUES or not isinstance(bandwidth, Real):
        return None
    radius = float(bandwidth)
    if not LEAST_BIN <= radius <= MAX_BANDWIDTH:
        return None
    if dtype != np.float64:
        # Centres of narrow floats are rounded; and where NumPy divides in less than float64, as it
        # does bytes by a bandwidth of float32, bins are others.
        is_narrow = dtype.kind == "f" and dtype.itemsize < 8
        quotient = np.asarray(np.empty(0, dtype) / bandwidth)
        if is_narrow or quotient.dtype != np.float64:
            return None
    product = np.asarray(_SINGLE * bandwidth).dtype
    if product not in (np.float32, np.float64):
        return None
    most = min(n_rows, MAX_VALUES_A_ROUND // points.size, projected.max_seeds_without(points))
    limit_sq = limit_square(None if cluster_all else radius)
    positions, modes = np.empty((2, most, n_features))
    history, support = np.zeros((MAX_ROUNDS, N_FIELDS)), np.empty(most)
    labels, order = np.empty(n_rows, dtype=np.int64), np.arange(n_rows, dtype=np.int32)
    slots = np.zeros(1 << (2 * n_rows).bit_length(), dtype=np.int32)
    # Numbers that int64 holds, of Python's types: for others `_fit` would compile anew, for 8 s.
    n_modes, n_rounds = _fit(
        points, radius, min(min_bin_freq, n_rows + 1), bool(product == np.float32),
        tol * radius, min(max_iter, MAX_ROUNDS) + 1, limit_sq, UNWEIGHTED, order, slots,
        positions, modes, support, history, history.view(np.int64), labels,
    )  # fmt: skip
    if n_modes == 0:
        return None
    rounds = history[:n_rounds].copy().view(HISTORY_DTYPE)[:, 0]
    return Fit(modes[:n_modes].copy(), support[:n_modes].copy(), labels, rounds)
