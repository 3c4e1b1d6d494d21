"""Many modes: their balls are removed from a tree of the endpoints, which are sorted meanwhile.

A ball costs a handful of blocks of the tree. The endpoints are sorted as they are needed: by
support, and by coordinates only among equals that no ball has removed by then.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index.box_distances import gap_and_span
from meanshift_fast._index.moment_tree import build
from meanshift_fast._index.traversal import views_of
from meanshift_fast._input.weights import UNWEIGHTED
from meanshift_fast._jit.compiler import serial, step
from meanshift_fast._jit.simd import LANES, bits, flat, full, item, load, lowest, put

MAX_CALL_VISITS = 1 << 23  # visits, or endpoints sorted, in one call: some tenths of a second


# Balls are removed.


class Remaining(NamedTuple):
    """Which endpoints of a tree are not removed yet.

    Attributes
    ----------
    endpoints : int64 array of shape (n_leaves,)
        A bit for each endpoint of a leaf.
    children : int64 array of shape (n_blocks,)
        A bit for each child of a block with any endpoint.
    parent : int64 array of shape (n_blocks,)
        The block above; 0 for the first, which has none.
    stack : int64 array
        Memory for blocks that a ball touches.
    """

    endpoints: NDArray[np.int64]
    children: NDArray[np.int64]
    parent: NDArray[np.int64]
    stack: NDArray[np.int64]


@serial
def _count_in(tree, n_ends, remaining):
    """Set the bits of all endpoints; and note the parent of each block."""
    for block in range(remaining.parent.shape[0]):
        children = bits(load(flat(tree.weight), block) > 0.0)
        remaining.children[block] = children
        while block < tree.n_upper and children != 0:
            remaining.parent[tree.first_child[block] + lowest(children)] = block
            children &= children - 1
    remaining.endpoints[:] = (1 << LANES) - 1
    if n_ends % LANES != 0:
        remaining.endpoints[-1] = (1 << n_ends % LANES) - 1


@step
def _remove(views, remaining, leaf, gone):
    """Remove some of a leaf's endpoints; clear the bits of blocks that become empty."""
    here = item(remaining.endpoints, leaf) & ~gone
    put(remaining.endpoints, leaf, here)
    block, child = views.n_upper + leaf // LANES, leaf % LANES
    closing = here == 0
    while closing:
        here = item(remaining.children, block) & ~(1 << child)
        put(remaining.children, block, here)
        closing = here == 0 and block > 0
        above = item(remaining.parent, block)
        block, child = above, block - item(views.first_child, above)


# The three tests stop where no further feature can change their result: 100,000 endpoints that are
# all modes, in 64 dimensions, take 79 ms from here on, and took 114 ms with every feature read.


@step
def _touched(lower, upper, block, n_features, endpoints, center, radius_sq, among):
    """Find which of some children the ball touches; the last of them is not tested."""
    near_sq = full(0.0)
    touched, f = among, 0
    while touched & (touched - 1) != 0 and f < n_features:
        low, high = load(lower, block * n_features + f), load(upper, block * n_features + f)
        value = item(endpoints, center + f)
        gap, _ = gap_and_span(low, high, value, value)
        near_sq = near_sq + gap * gap
        touched &= bits(near_sq <= radius_sq)
        f += 1
    return touched


@step
def _inside(lower, upper, block, n_features, endpoints, center, radius_sq, among):
    """Find which of some children lie in the ball."""
    far_sq = full(0.0)
    inside, f = among, 0
    while inside != 0 and f < n_features:
        low, high = load(lower, block * n_features + f), load(upper, block * n_features + f)
        value = item(endpoints, center + f)
        _, span = gap_and_span(low, high, value, value)
        far_sq = far_sq + span * span
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
def _remove_ball(views, remaining, n_features, endpoints, center, radius_sq):
    """Remove the endpoints in the ball around one of them, whose features begin at ``center``."""
    put(remaining.stack, 0, 0)
    n_stacked = 1
    while n_stacked > 0:
        n_stacked -= 1
        block = item(remaining.stack, n_stacked)
        is_whole = block < 0
        block = ~block if is_whole else block
        touched = inside = item(remaining.children, block)
        if not is_whole:
            touched = _touched(
                views.lower, views.upper, block, n_features, endpoints, center, radius_sq, touched
            )
            inside = _inside(
                views.lower, views.upper, block, n_features, endpoints, center, radius_sq, touched
            )
        while touched != 0:
            lane = lowest(touched)
            touched &= touched - 1
            child = item(views.first_child, block) + lane
            is_inside = inside >> lane & 1 == 1
            if block < views.n_upper:
                put(remaining.stack, n_stacked, ~child if is_inside else child)
                n_stacked += 1
            else:
                gone = item(remaining.endpoints, child)
                if not is_inside:
                    gone = _in_ball(
                        views.points, child, n_features, endpoints, center, radius_sq, gone
                    )
                _remove(views, remaining, child, gone)


# What is left is sorted, a part at a time.


class Ranks(NamedTuple):
    """The ranks of a tree's endpoints, partly sorted.

    Attributes
    ----------
    values : float64 array of shape (n_ends,)
        What each is sorted by in its part.
    ranks : int64 array of shape (n_ends,)
    parts : int64 array of shape (n_parts, 3)
        Where each part that waits starts and stops, the first part last, and its key: 0 is the
        support, f + 1 is feature f. The endpoints of a part agree in all keys before its own.
    """

    values: NDArray[np.float64]
    ranks: NDArray[np.int64]
    parts: NDArray[np.int64]


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
def _sift(endpoints, tree, remaining, sorting, bandwidth_sq, n_parts, modes, n_modes, n_steps):
    """Keep the first endpoint that is left and remove its ball, until none is left.

    Sorts the parts, the first part first. Stops where the steps are spent or there is no room for
    more parts; returns how many parts wait, and how many modes there are.
    """
    n_features, views = tree.points.shape[1], views_of(tree)
    at, (values, ranks, parts) = flat(endpoints), sorting
    bits_left = Remaining(
        flat(remaining.endpoints), flat(remaining.children), flat(remaining.parent),
        flat(remaining.stack),
    )  # fmt: skip
    while n_parts > 0 and n_steps > 0 and n_parts + 2 <= parts.shape[0]:
        n_parts -= 1
        start, stop, key = parts[n_parts, 0], parts[n_parts, 1], parts[n_parts, 2]
        n_steps -= 16 + stop - start
        stop = _drop_removed(flat(values), flat(ranks), start, stop, bits_left.endpoints)
        if stop - start > 1:
            equal, below = _partition(flat(values), flat(ranks), start, stop)
            parts[n_parts] = below, stop, key
            parts[n_parts + 1] = equal, below, key + 1
            parts[n_parts + 2] = start, equal, key
            n_parts += 3
            if below - equal > 1:
                for k in range(equal, below):
                    values[k] = tree.points[ranks[k] // LANES, key, ranks[k] % LANES]
        elif stop > start:
            rank = ranks[start]
            modes[n_modes] = tree.order[rank]
            _remove(views, bits_left, rank // LANES, 1 << rank % LANES)
            _remove_ball(
                views, bits_left, n_features, at, modes[n_modes] * n_features, bandwidth_sq
            )
            n_modes += 1
    return n_parts, n_modes


def sift_out(
    endpoints: NDArray[np.float64],
    support: NDArray[np.float64],
    bandwidth_sq: float,
    modes: NDArray[np.int64],
) -> int:
    """Write the modes among distinct endpoints, row numbers in order; how many."""
    endpoints.flags.writeable = False
    tree = build(endpoints, UNWEIGHTED)
    n_leaves, n_blocks = len(tree.points), len(tree.first_child)
    remaining = Remaining(
        np.empty(n_leaves, dtype=np.int64),
        np.empty(n_blocks, dtype=np.int64),
        np.zeros(n_blocks, dtype=np.int64),
        np.empty(LANES * LANES, dtype=np.int64),
    )
    _count_in(tree, len(endpoints), remaining)
    parts, n_parts, n_modes = np.zeros((256, 3), dtype=np.int64), 1, 0
    parts[0, 1] = len(endpoints)
    sorting = Ranks(support[tree.order], np.arange(len(endpoints)), parts)
    while n_parts > 0:
        n_parts, n_modes = _sift(
            endpoints, tree, remaining, sorting, bandwidth_sq, n_parts, modes, n_modes,
            MAX_CALL_VISITS,
        )  # fmt: skip
        if n_parts + 2 > len(parts):
            parts = np.concatenate([parts, np.zeros_like(parts)])
            sorting = sorting._replace(parts=parts)
    return n_modes
