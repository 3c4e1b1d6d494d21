"""Each row takes the label of its nearest mode.

    all modes        sixteen rows in lanes, against one mode after the other
    block by block   the same down a tree of the rows, against the modes still in the race: one is
                     out of it where another lies nearer to all of a block's box
    row by row       sixteen modes in lanes, down a tree of the modes, the nearest block first

All three sum squared distances feature by feature, in order, and answer with the first of equal
modes: which of them runs is a matter of speed alone. Few modes need no tree. In two or three
dimensions blocks are small and the second way wins. In many, where a block is as wide as the
table, the third wins if the modes lie apart, and nothing beats the first if they do not. No rule
of thumb tells that from afar, so where there are many modes a few rows try. One thread, ns a row:

    n_features, n_modes     2, 20   2, 1,000   2, 100,000   8, 1,000   64, 1,000   64, 50,000
    all modes                   5        105       11,000        300       2,200      166,000
    block by block              6          9          320        310       2,400      184,000
    row by row                 54        185          610        290         910        2,700
"""

import math
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.moment_tree import MomentTree, build, in_lanes
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import empty_floats, parallel, serial, step
from meanshift_fast._jit.simd import LANES, bits, flat, full, item, load, lowest, put, store, where

LEAVES = 256  # leaves of one task: those of a block of blocks
ROWS = LEAVES * LANES  # rows of one task; fewer where each meets so much that a task takes long
TASKS = 16  # of the first chunk, where tasks are of fewer rows
PART = 512  # and where all rows would be one: 1,797 digits and 342 modes take 1.6 ms and not 3
SMALL = 1 << 23  # rows times modes that take a millisecond or so whatever the way
FEW_MODES = 64  # no tree of the rows is faster than that
FEW_ROWS = 4096  # no tree of the modes pays for them
FIRST_CHUNK_VALUES = 1 << 31  # read or measured by the first chunk, at most: less than a second
TRIES = 8  # leaves that try it block by block, and eight times as many rows row by row

_UNWEIGHTED = np.empty(0)
_UNWEIGHTED.flags.writeable = False


# All modes.


@step
def _gather(points, first, stop, n_features, group):
    """Sixteen rows side by side; beyond the last one, the last again."""
    for f in range(n_features):
        for lane in range(LANES):
            row = min(first + lane, stop - 1)
            put(group, f * LANES + lane, item(points, row * n_features + f))


@step
def _nearest(rows, group, n_features, modes, numbers, n_modes):
    """Find the nearest of some modes to each of sixteen rows: squared distances, numbers."""
    # Leaving a sum once it exceeds all sixteen best gains nothing, not in 64 dimensions either:
    # the rows of a table are no neighbours, and one of them has its own mode still to meet.
    best_sq, best = full(np.inf), full(0.0)
    for k in range(n_modes):
        mode = k // LANES * n_features * LANES + k % LANES
        distance_sq = full(0.0)
        for f in range(n_features):
            away = load(rows, group * n_features + f) - item(modes, mode + f * LANES)
            distance_sq = distance_sq + away * away
        nearer = distance_sq < best_sq
        best_sq = where(nearer, distance_sq, best_sq)
        best = where(nearer, full(item(numbers, k)), best)
    return best_sq, best


@step
def label_by_all(points, start, stop, modes, numbers, limit_sq, group, labels):
    """Label rows start:stop by the nearest of all modes, which are laid out in lanes."""
    n_features, n_modes = points.shape[1], numbers.shape[0]
    rows = flat(group)
    for first in range(start, stop, LANES):
        _gather(flat(points), first, stop, n_features, rows)
        best_sq, best = _nearest(rows, 0, n_features, flat(modes), flat(numbers), n_modes)
        store(rows, 0, where(best_sq <= limit_sq, best, full(-1.0)))
        for row in range(first, min(first + LANES, stop)):
            labels[row] = int(item(rows, row - first))


@parallel
def _label_all_by_all(points, n_rows, modes, numbers, limit_sq, labels):
    for task in prange((points.shape[0] + n_rows - 1) // n_rows):
        start, stop = task * n_rows, min((task + 1) * n_rows, points.shape[0])
        group = empty_floats(points.shape[1] * LANES)
        label_by_all(points, start, stop, modes, numbers, limit_sq, group, labels)


# Block by block.


@step
def _narrow(modes, numbers, n_modes, low, high, box, n_features, fewer, fewer_numbers):
    """Keep the modes that may be nearest to a place in a box, in their order; how many."""
    zero = full(0.0)
    least_sq = full(np.finfo(np.float64).max)  # infinitely far modes never win: no label, or 0
    for group in range((n_modes + LANES - 1) // LANES):
        far_sq = zero
        for f in range(n_features):
            value = load(modes, group * n_features + f)
            to_low = value - item(low, box * n_features + f)
            to_high = item(high, box * n_features + f) - value
            across = where(to_low > to_high, to_low, to_high)
            far_sq = far_sq + across * across
        least_sq = where(far_sq < least_sq, far_sq, least_sq)
    store(fewer, 0, least_sq)
    reach_sq = item(fewer, 0)
    for lane in range(1, LANES):
        reach_sq = min(reach_sq, item(fewer, lane))

    n_fewer = 0
    for group in range((n_modes + LANES - 1) // LANES):
        near_sq = zero
        for f in range(n_features):
            value = load(modes, group * n_features + f)
            below = item(low, box * n_features + f) - value
            above = value - item(high, box * n_features + f)
            outside = where(below > above, below, above)
            outside = where(outside > 0.0, outside, zero)
            near_sq = near_sq + outside * outside
        near = bits(near_sq <= reach_sq)
        while near != 0:
            lane = lowest(near)
            near &= near - 1
            place = n_fewer // LANES * n_features * LANES + n_fewer % LANES
            for f in range(n_features):
                value = item(modes, (group * n_features + f) * LANES + lane)
                put(fewer, place + f * LANES, value)
            put(fewer_numbers, n_fewer, item(numbers, group * LANES + lane))
            n_fewer += 1
    for k in range(n_fewer, (n_fewer + LANES - 1) // LANES * LANES):
        place = k // LANES * n_features * LANES + k % LANES
        for f in range(n_features):
            put(fewer, place + f * LANES, np.inf)
    return n_fewer


@serial
def _label_by_blocks(
    points, order, start, stop, boxes, modes, numbers, limit_sq, fewer, fewer_numbers, labels
):
    """Label the rows of leaves start:stop; how many modes these met, all in all.

    The leaves are of one block of blocks, and the first is the first of a block.
    """
    low, high, wide_low, wide_high = boxes
    n_features = points.shape[1]
    some, some_numbers = flat(fewer[0]), flat(fewer_numbers[0])
    few, few_numbers = flat(fewer[1]), flat(fewer_numbers[1])
    scratch = fewer.shape[1] - 1
    n_some = _narrow(
        flat(modes), flat(numbers), numbers.shape[0], flat(wide_low), flat(wide_high),
        start // LEAVES, n_features, some, some_numbers,
    )  # fmt: skip
    n_few = n_met = 0
    for leaf in range(start, stop):
        if leaf % LANES == 0:
            n_few = _narrow(
                some, some_numbers, n_some, flat(low), flat(high), leaf // LANES, n_features, few,
                few_numbers,
            )  # fmt: skip
        n_met += n_few
        best_sq, best = _nearest(flat(points), leaf, n_features, few, few_numbers, n_few)
        store(few, scratch, where(best_sq <= limit_sq, best, full(-1.0)))
        for rank in range(leaf * LANES, min((leaf + 1) * LANES, order.shape[0])):
            labels[order[rank]] = int(item(few, (scratch - leaf) * LANES + rank))
    return n_met


@parallel
def _label_all_by_blocks(
    points, order, begin, end, n_leaves, boxes, modes, numbers, limit_sq, labels
):
    for task in prange((end - begin + n_leaves - 1) // n_leaves):
        start, stop = begin + task * n_leaves, min(begin + (task + 1) * n_leaves, end)
        fewer = np.empty((2, modes.shape[0] * modes.shape[1] + 1, LANES))
        fewer_numbers = np.empty((2, numbers.shape[0]))
        _label_by_blocks(
            points, order, start, stop, boxes, modes, numbers, limit_sq, fewer, fewer_numbers,
            labels,
        )  # fmt: skip


# Row by row. (Depth first, rows of 50,000 modes in 64 dimensions went through two in five of them
# before they came to their own; the nearest block first, through 8 leaves and blocks.)


@step
def _push(queue_sq, queue, size, node_sq, node):
    place, parent = size, (size - 1) // 2
    while place > 0 and item(queue_sq, parent) > node_sq:
        put(queue_sq, place, item(queue_sq, parent))
        put(queue, place, item(queue, parent))
        place, parent = parent, (parent - 1) // 2
    put(queue_sq, place, node_sq)
    put(queue, place, node)


@step
def _pop(queue_sq, queue, size):
    """Fill the place of the first with the last; ``size`` counts what is left."""
    last_sq, last = item(queue_sq, size), item(queue, size)
    place, child = 0, 1
    child += child + 1 < size and item(queue_sq, child + 1) < item(queue_sq, child)
    while child < size and item(queue_sq, child) < last_sq:
        put(queue_sq, place, item(queue_sq, child))
        put(queue, place, item(queue, child))
        place, child = child, 2 * child + 1
        child += child + 1 < size and item(queue_sq, child + 1) < item(queue_sq, child)
    put(queue_sq, place, last_sq)
    put(queue, place, last)


@step
def _gaps_sq(lower, upper, block, points, row, n_features):
    """Squared distances of a row to sixteen boxes; to modes, where lower and upper are those."""
    zero = full(0.0)
    gap_sq = zero
    for f in range(n_features):
        below = load(lower, block * n_features + f) - item(points, row * n_features + f)
        above = item(points, row * n_features + f) - load(upper, block * n_features + f)
        outside = where(below > above, below, above)
        outside = where(outside > 0.0, outside, zero)
        gap_sq = gap_sq + outside * outside
    return gap_sq


@serial
def _label_by_tree(points, start, stop, modes, limit_sq, queue, queue_sq, scratch, labels):
    """Label rows start:stop; how many blocks and leaves they opened, all in all."""
    leaves, order, lower, upper, first_child, n_upper = modes
    n_features, n_blocks, n_modes = points.shape[1], first_child.shape[0], order.shape[0]
    n_opened = 0
    for row in range(start, stop):
        best_sq, best = np.finfo(np.float64).max, n_modes
        queue_sq[0], queue[0], size = 0.0, 0, 1
        while size > 0 and queue_sq[0] <= best_sq:
            node = queue[0]
            size -= 1
            _pop(flat(queue_sq), flat(queue), size)
            if node < n_blocks:
                gap_sq = _gaps_sq(flat(lower), flat(upper), node, flat(points), row, n_features)
                first = first_child[node] + (0 if node < n_upper else n_blocks)
            else:
                leaf = node - n_blocks
                gap_sq = _gaps_sq(flat(leaves), flat(leaves), leaf, flat(points), row, n_features)
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
def _label_all_by_tree(points, n_rows, modes, n_nodes, limit_sq, labels):
    for task in prange((points.shape[0] + n_rows - 1) // n_rows):
        start, stop = task * n_rows, min((task + 1) * n_rows, points.shape[0])
        queue_sq, queue = np.empty(n_nodes), np.empty(n_nodes, dtype=np.int64)
        scratch = np.empty(LANES)
        _label_by_tree(points, start, stop, modes, limit_sq, queue, queue_sq, scratch, labels)


# The labels.


def limit_square(limit: float | None) -> float:
    """Find the largest number whose square root is at most ``limit``; None is no limit."""
    if limit is None:
        return math.inf
    square = limit * limit
    while math.sqrt(square) > limit:
        square = math.nextafter(square, 0.0)
    while square < math.inf and math.sqrt(math.nextafter(square, math.inf)) <= limit:
        square = math.nextafter(square, math.inf)
    return square


def _boxes(rows: MomentTree) -> tuple[NDArray[np.float64], ...]:
    """Bound the blocks of leaves, then the blocks of those: low and high corners of each."""
    low = rows.lower[rows.n_upper :].min(axis=2)
    high = rows.upper[rows.n_upper :].max(axis=2)
    starts = np.arange(0, len(low), LANES)
    return low, high, np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)


def _modes_met(
    rows: MomentTree,
    boxes: tuple[NDArray[np.float64], ...],
    modes: NDArray[np.float64],
    numbers: NDArray[np.float64],
    labels: NDArray[np.int64],
) -> float:
    """Count the modes that a row meets block by block, on average over a few leaves."""
    fewer = np.empty((2, len(modes) * modes.shape[1] + 1, LANES))
    fewer_numbers = np.empty((2, len(numbers)))
    n_tasks = len(boxes[2])
    leaves = range(0, n_tasks * LEAVES, -(-n_tasks // TRIES) * LEAVES)
    n_met = [
        _label_by_blocks(
            rows.points, rows.order, leaf, leaf + 1, boxes, modes, numbers, np.inf, fewer,
            fewer_numbers, labels,
        )
        for leaf in leaves
    ]  # fmt: skip
    return float(np.mean(n_met))


def _blocks_opened(points: NDArray[np.float64], modes: tuple[Any, ...], n_nodes: int) -> float:
    """Count the blocks and leaves that a row opens row by row, on average over a few rows."""
    tried = np.ascontiguousarray(points[:: -(-len(points) // (8 * TRIES))])
    tried.flags.writeable = False
    queue, queue_sq = np.empty(n_nodes, dtype=np.int64), np.empty(n_nodes)
    ignored = np.empty(len(tried), dtype=np.int64)
    n_opened = _label_by_tree(
        tried, 0, len(tried), modes, np.inf, queue, queue_sq, np.empty(LANES), ignored
    )
    return float(n_opened / len(tried))


def _rows_a_task(n_rows: int, most: int) -> int:
    """How many rows are one task's where so many are the first chunk."""
    return min(max(n_rows // (TASKS * LANES), 1) * LANES, most)


def nearest_labels(
    points: NDArray[np.float64],
    modes: NDArray[np.float64],
    *,
    limit: float | None = None,
    tree: MomentTree | None = None,
) -> NDArray[np.int64]:
    """Label each row with its nearest mode.

    Parameters
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows; finite, at least one.
    modes : float64 array of shape (n_modes, n_features)
        The modes; finite, at least one.
    limit : float, optional
        Rows farther than this from every mode, in the unit of the columns, get no label. None
        labels all.
    tree : MomentTree, optional
        A tree of the same rows, where there is one: many modes are then labelled faster.

    Returns
    -------
    int64 array of shape (n_samples,)
        The index of each row's nearest mode, the first of equals; -1 beyond the limit. The same
        for every number of threads, with a tree and without.

    Notes
    -----
    Time n_samples * n_features times the modes that a row meets: all of them where they are few,
    or where many form one cloud in many dimensions; else a handful, or about log(n_modes) blocks
    of sixteen. Memory besides the labels: a few copies of the modes for each thread and, where a
    tree is used, a hundredth of the table.

    A row is beyond the limit where the square root of its squared distance exceeds it, as in
    scikit-learn's ``MeanShift(cluster_all=False)``. Distances whose squares overflow are equal,
    and exceed every limit.
    """
    (n_samples, n_features), n_modes = points.shape, len(modes)
    if n_modes == 1 and limit is None:  # which takes 2 us of a thousand rows, and a search 15
        return np.zeros(n_samples, dtype=np.int64)
    limit_sq = limit_square(limit)
    labels = np.empty(n_samples, dtype=np.int64)
    packed, numbers = in_lanes(modes), np.arange(float(n_modes))
    is_small = n_samples * n_modes < SMALL

    boxes, n_met = None, float(n_modes)
    if tree is not None and n_modes > FEW_MODES and not is_small:
        boxes = _boxes(tree)
        n_met = _modes_met(tree, boxes, packed, numbers, labels)
    # A block opened takes 45 + 1.2 n_features ns, a mode met 0.036 (n_features + 1) ns, and
    # nobody opens less than three blocks.
    modes_for_a_block = 32 * (40 + n_features) / (n_features + 1)
    if n_met > 3 * modes_for_a_block and n_samples > FEW_ROWS and not is_small:
        table = np.ascontiguousarray(modes).view()
        table.flags.writeable = False
        built = build(table, _UNWEIGHTED)
        n_nodes = len(built.first_child) + len(built.points)
        nodes = (
            built.points, built.order, built.lower, built.upper, built.first_child, built.n_upper,
        )  # fmt: skip
        n_like = _blocks_opened(points, nodes, n_nodes) * modes_for_a_block
        if n_like < n_met:
            first = min(TASKS * ROWS, int(FIRST_CHUNK_VALUES / max(n_like * n_features, 1.0)))
            n_rows = _rows_a_task(first, ROWS)
            for start, stop in chunks(n_samples, first=first, multiple=n_rows):
                some = points[start:stop], labels[start:stop]
                _label_all_by_tree(some[0], n_rows, nodes, n_nodes, limit_sq, some[1])
            return labels
    first = FIRST_CHUNK_VALUES // packed.size
    if tree is None or boxes is None:
        n_rows = _rows_a_task(first, ROWS if n_samples > ROWS else PART)
        for start, stop in chunks(n_samples, first=first, multiple=n_rows):
            some = points[start:stop], labels[start:stop]
            _label_all_by_all(some[0], n_rows, packed, numbers, limit_sq, some[1])
    else:
        # A task of 4,096 rows that meet 60,000 modes in 48 columns took 1.5 s, and Ctrl-C waits for
        # it. With tasks of 256, four such take 6.0 s and not 4.8: that is what it costs.
        n_leaves = LEAVES if ROWS * n_met * n_features < FIRST_CHUNK_VALUES else LANES
        for start, stop in chunks(len(tree.points), first=first // LANES, multiple=n_leaves):
            _label_all_by_blocks(
                tree.points, tree.order, start, stop, n_leaves, boxes, packed, numbers, limit_sq,
                labels,
            )  # fmt: skip
    return labels
