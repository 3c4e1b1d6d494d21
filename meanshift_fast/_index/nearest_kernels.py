"""The kernels of `nearest.py`: rows against all modes, block by block, and row by row."""

from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.box_distances import distances_sq, gap_and_span, gaps_sq
from meanshift_fast._jit.compiler import empty_floats, inlined, parallel, serial, step
from meanshift_fast._jit.simd import (
    LANES,
    bits,
    flat,
    full,
    item,
    least,
    load,
    lowest,
    put,
    store,
    where,
)

TASK_LEAVES = 256  # those of a block of blocks


class PackedModes(NamedTuple):
    """Modes in lanes, and their numbers.

    Attributes
    ----------
    positions : float64 array of shape (n_groups, n_features, 16)
        Sixteen modes side by side; the last group is filled up with +inf.
    numbers : float64 array of shape (n_modes,)
        As float64, so that a lane can hold one.
    """

    positions: NDArray[np.float64]
    numbers: NDArray[np.float64]


# All modes.


@step
def _gather_rows(points, first, stop, n_features, group):
    """Sixteen rows side by side; beyond the last one, the last again."""
    for f in range(n_features):
        for lane in range(LANES):
            row = min(first + lane, stop - 1)
            put(group, f * LANES + lane, item(points, row * n_features + f))


@step
def _nearest(rows, group, n_features, modes, across, numbers, n_modes):
    """Find the nearest of some modes to each of sixteen rows: squared distances, numbers.

    ``across`` has the modes across the seams; None where no column wraps.
    """
    # To break off a sum that exceeds all sixteen best gains nothing, not in 64 dimensions either:
    # the rows of a table are no neighbours, and one of them has not reached its own mode.
    best_sq, best = full(np.inf), full(0.0)
    for k in range(n_modes):
        mode = k // LANES * n_features * LANES + k % LANES
        distance_sq = full(0.0)
        for f in range(n_features):
            values = load(rows, group * n_features + f)
            away = values - item(modes, mode + f * LANES)
            away_sq = away * away
            if across is not None:
                away = values - item(across, mode + f * LANES)
                away_sq = where(away_sq < away * away, away_sq, away * away)
            distance_sq = distance_sq + away_sq
        nearer = distance_sq < best_sq
        best_sq = where(nearer, distance_sq, best_sq)
        best = where(nearer, full(item(numbers, k)), best)
    return best_sq, best


@step
def label_by_all(points, start, stop, modes, numbers, limit_sq, group, labels, across=None):
    """Label rows start:stop by the nearest of all modes, which are laid out in lanes.

    ``across`` holds the periods of the columns; None where none wraps.
    """
    n_features, n_modes = points.shape[1], numbers.shape[0]
    rows, others = flat(group), None if across is None else flat(across)
    for first in range(start, stop, LANES):
        _gather_rows(flat(points), first, stop, n_features, rows)
        best_sq, best = _nearest(rows, 0, n_features, flat(modes), others, flat(numbers), n_modes)
        store(rows, 0, where(best_sq <= limit_sq, best, full(-1.0)))
        for row in range(first, min(first + LANES, stop)):
            labels[row] = int(item(rows, row - first))


@parallel
def label_all_by_all(points, n_rows, modes, numbers, limit_sq, labels, across):
    """Label all rows by every mode, so many rows a task; across seams, the short way round."""
    for task in prange((points.shape[0] + n_rows - 1) // n_rows):
        start, stop = task * n_rows, min((task + 1) * n_rows, points.shape[0])
        group = empty_floats(points.shape[1] * LANES)
        label_by_all(points, start, stop, modes, numbers, limit_sq, group, labels, across)


# Block by block.


@inlined
def _near_and_far_sq(modes, group, low, high, box, n_features):
    """The least and the largest squared distances of sixteen modes from a box."""
    near_sq = far_sq = full(0.0)
    for f in range(n_features):
        value = load(modes, group * n_features + f)
        edges = item(low, box * n_features + f), item(high, box * n_features + f)
        gap, span = gap_and_span(edges[0], edges[1], value, value)
        near_sq = near_sq + gap * gap
        far_sq = far_sq + span * span
    return near_sq, far_sq


@step
def _least_far_sq(modes, n_modes, low, high, box, n_features):
    """The least over some modes of the largest squared distance from a mode to a box."""
    least_sq = full(np.finfo(np.float64).max)  # infinitely far modes are never nearest: -1, or 0
    for group in range((n_modes + LANES - 1) // LANES):
        _, far_sq = _near_and_far_sq(modes, group, low, high, box, n_features)
        least_sq = where(far_sq < least_sq, far_sq, least_sq)
    return least(least_sq)


@step
def _copy_mode(modes, group, lane, n_features, kept, n_kept):
    """Append one mode to others that lie in lanes."""
    at = n_kept // LANES * n_features * LANES + n_kept % LANES
    for f in range(n_features):
        value = item(modes, (group * n_features + f) * LANES + lane)
        put(kept, at + f * LANES, value)


@step
def _keep_near(modes, numbers, n_modes, low, high, box, n_features, kept, kept_numbers):
    """Keep the modes that may be nearest to a point in a box, in their order; how many."""
    most_sq = _least_far_sq(modes, n_modes, low, high, box, n_features)
    n_kept = np.int64(0)
    for group in range((n_modes + LANES - 1) // LANES):
        near_sq, _ = _near_and_far_sq(modes, group, low, high, box, n_features)
        near = bits(near_sq <= most_sq)
        while near != 0:
            lane = lowest(near)
            near &= near - 1
            _copy_mode(modes, group, lane, n_features, kept, n_kept)
            put(kept_numbers, n_kept, item(numbers, group * LANES + lane))
            n_kept += 1
    for k in range(n_kept, (n_kept + LANES - 1) // LANES * LANES):
        at = k // LANES * n_features * LANES + k % LANES
        for f in range(n_features):
            put(kept, at + f * LANES, np.inf)
    return n_kept


@serial
def label_by_blocks(points, order, start, stop, boxes, modes, limit_sq, memory, labels):
    """Label the rows of leaves start:stop; against how many modes these were measured, in sum.

    The leaves are of one block of blocks, and the first is the first of a block.
    """
    low, high, wide_low, wide_high = boxes
    n_features = points.shape[1]
    some, some_numbers = flat(memory.positions[0]), flat(memory.numbers[0])
    few, few_numbers = flat(memory.positions[1]), flat(memory.numbers[1])
    scratch = memory.positions.shape[1] - 1
    n_some = _keep_near(
        flat(modes.positions), flat(modes.numbers), modes.numbers.shape[0], flat(wide_low),
        flat(wide_high), start // TASK_LEAVES, n_features, some, some_numbers,
    )  # fmt: skip
    n_few = n_met = 0
    for leaf in range(start, stop):
        if leaf % LANES == 0:
            n_few = _keep_near(
                some, some_numbers, n_some, flat(low), flat(high), leaf // LANES, n_features, few,
                few_numbers,
            )  # fmt: skip
        n_met += n_few
        best_sq, best = _nearest(flat(points), leaf, n_features, few, None, few_numbers, n_few)
        store(few, scratch, where(best_sq <= limit_sq, best, full(-1.0)))
        for rank in range(leaf * LANES, min((leaf + 1) * LANES, order.shape[0])):
            labels[order[rank]] = int(item(few, (scratch - leaf) * LANES + rank))
    return n_met


@parallel
def label_all_by_blocks(points, order, begin, end, n_leaves, boxes, modes, limit_sq, labels):
    """Label the rows of some leaves by the modes near each block, so many leaves a task."""
    for task in prange((end - begin + n_leaves - 1) // n_leaves):
        start, stop = begin + task * n_leaves, min(begin + (task + 1) * n_leaves, end)
        memory = PackedModes(
            np.empty((2, modes.positions.shape[0] * modes.positions.shape[1] + 1, LANES)),
            np.empty((2, modes.numbers.shape[0])),
        )
        label_by_blocks(points, order, start, stop, boxes, modes, limit_sq, memory, labels)


# Row by row, by a queue of nodes. A depth-first traversal, as in `traversal.py`, opened
# two nodes in five before a row's own mode, of 50,000 modes in 64 dimensions; with the nearest
# node first a row opens 8.


@step
def _push(queue_sq, queue, size, node_sq, node):
    """Add a node to the queue, a binary heap of squared distances."""
    at, parent = size, (size - 1) // 2
    while at > 0 and item(queue_sq, parent) > node_sq:
        put(queue_sq, at, item(queue_sq, parent))
        put(queue, at, item(queue, parent))
        at, parent = parent, (parent - 1) // 2
    put(queue_sq, at, node_sq)
    put(queue, at, node)


@step
def _pop(queue_sq, queue, size):
    """Remove the first; ``size`` is the number of nodes left."""
    last_sq, last = item(queue_sq, size), item(queue, size)
    at, child = 0, 1
    child += child + 1 < size and item(queue_sq, child + 1) < item(queue_sq, child)
    while child < size and item(queue_sq, child) < last_sq:
        put(queue_sq, at, item(queue_sq, child))
        put(queue, at, item(queue, child))
        at, child = child, 2 * child + 1
        child += child + 1 < size and item(queue_sq, child + 1) < item(queue_sq, child)
    put(queue_sq, at, last_sq)
    put(queue, at, last)


@serial
def label_by_tree(points, start, stop, tree, limit_sq, queue, queue_sq, scratch, labels):
    """Label rows by a tree of the modes; how many blocks and leaves they opened, all in all."""
    order, first_child, n_features = tree.order, tree.first_child, points.shape[1]
    n_blocks, n_modes = first_child.shape[0], order.shape[0]
    n_opened = 0
    for row in range(start, stop):
        best_sq, best = np.finfo(np.float64).max, n_modes
        queue_sq[0], queue[0], size, at = 0.0, 0, 1, row * n_features
        while size > 0 and queue_sq[0] <= best_sq:
            node = queue[0]
            size -= 1
            _pop(flat(queue_sq), flat(queue), size)
            if node < n_blocks:
                edges = flat(tree.lower), flat(tree.upper)
                gap_sq = gaps_sq(*edges, node, n_features, flat(points), at)
                first = first_child[node] + (0 if node < tree.n_upper else n_blocks)
            else:
                leaf = node - n_blocks
                gap_sq = distances_sq(flat(tree.points), leaf, n_features, flat(points), at)
                first = leaf * LANES
            n_opened += 1
            near = bits(gap_sq <= best_sq)
            store(flat(scratch), 0, gap_sq)
            while near != 0:
                lane = lowest(near)
                near &= near - 1
                lane_sq = scratch[lane]
                if node < n_blocks:
                    _push(flat(queue_sq), flat(queue), size, lane_sq, first + lane)
                    size += 1
                elif lane_sq < best_sq or (lane_sq == best_sq and order[first + lane] < best):
                    best_sq, best = lane_sq, order[first + lane]
        if best == n_modes:  # every square overflowed
            labels[row] = 0 if limit_sq == np.inf else -1
        else:
            labels[row] = best if best_sq <= limit_sq else -1
    return n_opened


@parallel
def label_all_by_tree(points, n_rows, tree, limit_sq, labels):
    """Label all rows by a tree of the modes, so many rows a task."""
    for task in prange((points.shape[0] + n_rows - 1) // n_rows):
        start, stop = task * n_rows, min((task + 1) * n_rows, points.shape[0])
        n_nodes = tree.first_child.shape[0] + tree.points.shape[0]
        queue_sq, queue = np.empty(n_nodes), np.empty(n_nodes, dtype=np.int64)
        scratch = np.empty(LANES)
        label_by_tree(points, start, stop, tree, limit_sq, queue, queue_sq, scratch, labels)
