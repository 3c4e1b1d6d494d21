"""Endpoints become modes: the one of most support removes all others in its ball, then the next.

    endpoints --collapse--> distinct endpoints --sweep--> modes
                                     |
                                     | still waiting after many sweeps
                                     v
                        tree of the endpoints --sift--> modes, in the same order

Trajectories that converge to one point end as equal tuples, which a hash table finds at once. A
sweep then keeps the first of the endpoints that wait, drops those in its ball and finds the next
first in the same pass: with few modes this reads the endpoints a few times and sorts nothing. Where
many modes survive, sweeps would be quadratic. So after a budget of sweeps the endpoints that still
wait go into a tree, in which a ball costs a handful of blocks, and are sorted as they are needed:
by support, and by coordinates only among equals that no ball has removed by then.
"""

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index import thresholds
from meanshift_fast._index.moment_tree import build
from meanshift_fast._input.weights import UNWEIGHTED
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import serial, step
from meanshift_fast._jit.hashing import find_row_slot
from meanshift_fast._jit.simd import (
    LANES,
    bit_patterns,
    bits,
    flat,
    full,
    fused,
    item,
    load,
    load_from,
    lowest,
    put,
    total,
    where,
)

FIRST_CHUNK_ENDPOINTS = 1 << 20  # endpoints of the first chunk in which equal ones are found
SURE = 1.0 + 1e-9  # times a square: what exceeds that in some order of adding exceeds it in any
MAX_CALL_VISITS = 1 << 23  # visits, or endpoints sorted, in one call: some tenths of a second


# Equal endpoints.


@serial
def collapse(endpoints, start, stop, support, slots, waiting, n_distinct):
    """List the first of each new tuple in start:stop, with the support of the last; how many."""
    n_features, last_slot = endpoints.shape[1], slots.shape[0] - 1
    table, marks = flat(endpoints), flat(slots)
    for row in range(start, stop):
        slot = find_row_slot(table, bit_patterns(table), n_features, row, table, marks, last_slot)
        if item(marks, slot) == 0:
            put(marks, slot, row + 1)
            waiting[n_distinct] = row
            n_distinct += 1
        support[item(marks, slot) - 1] = support[row]
    return n_distinct


# Few modes: sweep over all that wait.


@step
def _is_before(endpoints, n_features, support, i, j):
    """Whether endpoint i comes before j: by support, then by coordinates, both descending."""
    more = item(support, i) - item(support, j)
    f = 0
    while more == 0.0 and f < n_features:
        more = item(endpoints, i * n_features + f) - item(endpoints, j * n_features + f)
        f += 1
    return more > 0.0


@step
def _is_beyond(endpoints, n_features, i, j, bandwidth_sq):
    """Whether endpoint i lies outside the ball around endpoint j."""
    # Sixteen features at once, in any order, come first: of digits, 342 modes among 1,700
    # endpoints take 1.2 ms so, and 2.7 feature by feature.
    far_sq = full(0.0)
    for f in range(0, n_features - LANES + 1, LANES):
        away = load_from(endpoints, i * n_features + f) - load_from(endpoints, j * n_features + f)
        far_sq = fused(away, away, far_sq)
        if total(far_sq) > bandwidth_sq * SURE:
            return True
    distance_sq = 0.0
    f = 0
    while f < n_features and distance_sq <= bandwidth_sq:
        away = item(endpoints, i * n_features + f) - item(endpoints, j * n_features + f)
        distance_sq += away * away
        f += 1
    return distance_sq > bandwidth_sq


@serial
def sweep(endpoints, support, bandwidth_sq, waiting, n_waiting, first, n_visits, modes, n_modes):
    """Keep modes until none waits or the visits are spent.

    Returns how many are kept, how many still wait and the first of these in the order of the
    output. ``first`` is -1 where it is still to be found.
    """
    n_features = endpoints.shape[1]
    if first < 0:
        first = waiting[0]
        for k in range(1, n_waiting):
            if _is_before(flat(endpoints), n_features, flat(support), waiting[k], first):
                first = waiting[k]
    while n_waiting > 0 and n_visits > 0:
        mode = first
        modes[n_modes] = mode
        n_modes += 1
        n_visits -= n_waiting
        n_left = 0
        for k in range(n_waiting):
            row = waiting[k]
            if _is_beyond(flat(endpoints), n_features, row, mode, bandwidth_sq):
                if n_left == 0 or _is_before(
                    flat(endpoints), n_features, flat(support), row, first
                ):
                    first = row
                waiting[n_left] = row
                n_left += 1
        n_waiting = n_left
    return n_modes, n_waiting, first


# Many modes: remove balls in a tree of the endpoints. A leaf's `left` has a bit for each of its
# endpoints that is not removed yet, a block's `left_below` one for each child with any left.


@serial
def _count_in(weight, first_child, n_upper, n_ends, left, left_below, parent):
    """Set the bits of all endpoints; and note the parent of each block."""
    for block in range(parent.shape[0]):
        children = bits(load(weight, block) > 0.0)
        left_below[block] = children
        while block < n_upper and children != 0:
            parent[first_child[block] + lowest(children)] = block
            children &= children - 1
    left[:] = (1 << LANES) - 1
    if n_ends % LANES != 0:
        left[-1] = (1 << n_ends % LANES) - 1


@step
def _remove(leaf, gone, first_child, n_upper, parent, left, left_below):
    """Remove some of a leaf's endpoints; clear the bits of blocks that become empty."""
    here = item(left, leaf) & ~gone
    put(left, leaf, here)
    block, child = n_upper + leaf // LANES, leaf % LANES
    closing = here == 0
    while closing:
        here = item(left_below, block) & ~(1 << child)
        put(left_below, block, here)
        closing = here == 0 and block > 0
        above = item(parent, block)
        block, child = above, block - item(first_child, above)


# The three tests stop where no further feature can change their result: 100,000 endpoints that are
# all modes, in 64 dimensions, take 79 ms from here on, and took 114 ms with every feature read.


@step
def _touched(lower, upper, block, n_features, endpoints, center, radius_sq, among):
    """Find which of some children the ball touches; the last of them is not tested."""
    zero = full(0.0)
    near_sq = zero
    touched, f = among, 0
    while touched & (touched - 1) != 0 and f < n_features:
        below = load(lower, block * n_features + f) - item(endpoints, center + f)
        above = item(endpoints, center + f) - load(upper, block * n_features + f)
        outside = where(below > above, below, above)
        outside = where(outside > 0.0, outside, zero)
        near_sq = near_sq + outside * outside
        touched &= bits(near_sq <= radius_sq)
        f += 1
    return touched


@step
def _inside(lower, upper, block, n_features, endpoints, center, radius_sq, among):
    """Find which of some children lie in the ball."""
    far_sq = full(0.0)
    inside, f = among, 0
    while inside != 0 and f < n_features:
        to_low = item(endpoints, center + f) - load(lower, block * n_features + f)
        to_high = load(upper, block * n_features + f) - item(endpoints, center + f)
        across = where(to_low > to_high, to_low, to_high)
        far_sq = far_sq + across * across
        inside &= bits(far_sq <= radius_sq)
        f += 1
    return inside


@step
def _in_ball(leaves, leaf, n_features, endpoints, center, radius_sq, among):
    """Find which of some endpoints of a leaf are in the ball."""
    distance_sq = full(0.0)
    inside, f = among, 0
    while inside != 0 and f < n_features:
        away = load(leaves, leaf * n_features + f) - item(endpoints, center + f)
        distance_sq = distance_sq + away * away
        inside &= bits(distance_sq <= radius_sq)
        f += 1
    return inside


@step
def _remove_ball(
    endpoints, center, radius_sq, n_features, leaves, lower, upper, first_child, n_upper,
    parent, left, left_below, stack
):  # fmt: skip
    """Remove the endpoints in the ball around one of them, whose features begin at ``center``."""
    put(stack, 0, 0)
    n_stacked = 1
    while n_stacked > 0:
        n_stacked -= 1
        block = item(stack, n_stacked)
        is_whole = block < 0
        block = ~block if is_whole else block
        touched = inside = item(left_below, block)
        if not is_whole:
            touched = _touched(
                lower, upper, block, n_features, endpoints, center, radius_sq, touched
            )
            inside = _inside(lower, upper, block, n_features, endpoints, center, radius_sq, touched)
        while touched != 0:
            lane = lowest(touched)
            touched &= touched - 1
            child = item(first_child, block) + lane
            is_inside = inside >> lane & 1 == 1
            if block < n_upper:
                put(stack, n_stacked, ~child if is_inside else child)
                n_stacked += 1
            else:
                gone = item(left, child)
                if not is_inside:
                    gone = _in_ball(leaves, child, n_features, endpoints, center, radius_sq, gone)
                _remove(child, gone, first_child, n_upper, parent, left, left_below)


# Many modes: sort what is left, a part at a time.


@step
def _drop_removed(values, ranks, start, stop, left):
    """Keep the ranks of start:stop that are not removed; where they end."""
    kept = start
    for k in range(start, stop):
        rank = item(ranks, k)
        put(values, kept, item(values, k))
        put(ranks, kept, rank)
        kept += item(left, rank // LANES) >> rank % LANES & 1
    return kept


@step
def _swap(values, ranks, i, j):
    """Swap two ranks and their values."""
    value, rank = item(values, i), item(ranks, i)
    put(values, i, item(values, j))
    put(ranks, i, item(ranks, j))
    put(values, j, value)
    put(ranks, j, rank)


@step
def _partition(values, ranks, start, stop):
    """Order start:stop into values above a pivot, equal to it and below; the two borders."""
    # The median of three at random. Of the first, middle and last, earlier partitions and removals
    # leave an order that made it quadratic: 2.7 s for a line of 1M endpoints that takes 0.5 s.
    size = stop - start
    state = (stop * 1103515245 + 12345) & 0x7FFFFFFF
    a = item(values, start + state % size)
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    b = item(values, start + state % size)
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    c = item(values, start + state % size)
    pivot = max(min(a, b), min(max(a, b), c))
    equal, k, below = start, start, stop
    while k < below:
        value = item(values, k)
        if value > pivot:
            _swap(values, ranks, k, equal)
            equal += 1
            k += 1
        elif value < pivot:
            below -= 1
            _swap(values, ranks, k, below)
        else:
            k += 1
    return equal, below


@serial
def _sift(
    endpoints, leaves, order, lower, upper, first_child, n_upper, values, ranks, bandwidth_sq,
    parent, left, left_below, stack, parts, n_parts, modes, n_modes, n_steps
):  # fmt: skip
    """Keep the first endpoint that is left and remove its ball, until none is left.

    Sorts parts of the endpoints, the first part first. Those of a part agree in all keys before
    the part's own, key 0 being the support, which ``values`` holds, and key f + 1 feature f.
    Stops where the steps are spent or there is no room for more parts; returns how many parts
    wait, and how many modes there are.
    """
    n_features = leaves.shape[1]
    while n_parts > 0 and n_steps > 0 and n_parts + 2 <= parts.shape[0]:
        n_parts -= 1
        start, stop, key = parts[n_parts, 0], parts[n_parts, 1], parts[n_parts, 2]
        n_steps -= 16 + stop - start
        stop = _drop_removed(flat(values), flat(ranks), start, stop, flat(left))
        if stop - start > 1:
            equal, below = _partition(flat(values), flat(ranks), start, stop)
            parts[n_parts] = below, stop, key
            parts[n_parts + 1] = equal, below, key + 1
            parts[n_parts + 2] = start, equal, key
            n_parts += 3
            if below - equal > 1:
                for k in range(equal, below):
                    values[k] = leaves[ranks[k] // LANES, key, ranks[k] % LANES]
        elif stop > start:
            rank = ranks[start]
            modes[n_modes] = order[rank]
            n_modes += 1
            _remove(
                rank // LANES, 1 << rank % LANES, flat(first_child), n_upper,
                flat(parent), flat(left), flat(left_below),
            )  # fmt: skip
            _remove_ball(
                flat(endpoints), order[rank] * n_features, bandwidth_sq, n_features, flat(leaves),
                flat(lower), flat(upper), flat(first_child), n_upper,
                flat(parent), flat(left), flat(left_below), flat(stack),
            )  # fmt: skip
    return n_parts, n_modes


# The merge.


def _sift_out(
    endpoints: NDArray[np.float64],
    support: NDArray[np.float64],
    bandwidth_sq: float,
    modes: NDArray[np.int64],
) -> int:
    """Write the modes among distinct endpoints, row numbers in order; how many."""
    endpoints.flags.writeable = False
    tree = build(endpoints, UNWEIGHTED)
    left = np.empty(len(tree.points), dtype=np.int64)
    left_below = np.empty_like(tree.first_child)
    parent = np.zeros_like(tree.first_child)
    _count_in(tree.weight, tree.first_child, tree.n_upper, len(endpoints), left, left_below, parent)
    values, ranks = support[tree.order], np.arange(len(endpoints))
    stack = np.empty(LANES * LANES, dtype=np.int64)
    parts, n_parts, n_modes = np.zeros((256, 3), dtype=np.int64), 1, 0
    parts[0, 1] = len(endpoints)
    while n_parts > 0:
        n_parts, n_modes = _sift(
            endpoints, tree.points, tree.order, tree.lower, tree.upper, tree.first_child,
            tree.n_upper, values, ranks, bandwidth_sq, parent, left, left_below, stack, parts,
            n_parts, modes, n_modes, MAX_CALL_VISITS,
        )  # fmt: skip
        if n_parts + 2 > len(parts):
            parts = np.concatenate([parts, np.zeros_like(parts)])
    return n_modes


def merging_radius(bandwidth: float) -> float:
    """How near to a mode an endpoint merges with it: within a bandwidth, as in scikit-learn."""
    return bandwidth


def count_supported(support: NDArray[np.float64], min_support: float) -> int:
    """Count the modes of enough support, which come first.

    Parameters
    ----------
    support : float64 array of shape (n_modes,)
        Descending; empty where no ball holds a row.
    min_support : float
        A weight from 1 on; below 1 a share of the first mode's.
    """
    least = min_support if min_support >= 1.0 else min_support * support.max(initial=0.0)
    return int(np.count_nonzero(support >= least))


def merge_modes(
    endpoints: NDArray[np.float64], support: NDArray[np.float64], radius: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Merge the endpoints of trajectories into modes.

    Parameters
    ----------
    endpoints : read-only C-ordered float64 array of shape (n_seeds, n_features)
        Where the trajectories ended, in the order of the seeds; finite, at least one.
    support : float64 array of shape (n_seeds,)
        The weight in the last ball of each seed; positive.
    radius : float
        Of a mode's ball, in the unit of the columns; with 0 only equal endpoints merge.

    Returns
    -------
    modes : float64 array of shape (n_modes, n_features)
        The modes, by support and then by coordinates, both descending.
    mode_support : float64 array of shape (n_modes,)
        The weight in the ball that each mode is the mean of; of equal endpoints, the last one's.

    Notes
    -----
    As in scikit-learn's ``MeanShift``: equal endpoints are one; the first of all, in the order
    of the output, is a mode and removes every other in the closed ball around it, and so does
    the first of the rest, until none is left.

    Time n_seeds times the smaller of n_modes and 16, in units of 5 to 30 ns; for more modes also
    a tree of the endpoints that then wait, a sort of them, and a fraction of a microsecond a mode.
    Memory 40 to 56 bytes a seed, and with the tree two copies of the endpoints that go into it.
    """
    n_seeds = len(endpoints)
    radius_sq = float(radius) * float(radius)
    support = support.copy()
    slots = np.zeros(2 << n_seeds.bit_length(), dtype=np.int64)
    waiting = np.empty(n_seeds, dtype=np.int64)
    n_waiting = 0
    for start, stop in chunks(n_seeds, first=FIRST_CHUNK_ENDPOINTS):
        n_waiting = collapse(endpoints, start, stop, support, slots, waiting, n_waiting)
    n_visits = max(thresholds.MAX_ENDPOINT_SWEEPS * n_waiting, thresholds.MIN_ENDPOINT_VISITS)
    kept = np.empty(n_waiting, dtype=np.int64)
    n_modes, first = 0, -1
    while n_waiting > 0 and n_visits > 0:
        visits_left = n_visits - max(n_waiting, MAX_CALL_VISITS)
        n_modes, n_waiting, first = sweep(
            endpoints, support, radius_sq, waiting, n_waiting, first,
            min(n_visits, MAX_CALL_VISITS), kept, n_modes,
        )  # fmt: skip
        n_visits = visits_left
    if n_waiting > 0:
        rows = waiting[:n_waiting]
        more = kept[n_modes:]
        n_more = _sift_out(endpoints.take(rows, axis=0), support[rows], radius_sq, more)
        more[:n_more] = rows[more[:n_more]]
        n_modes += n_more
    kept = kept[:n_modes]
    return endpoints.take(kept, axis=0), support[kept]
