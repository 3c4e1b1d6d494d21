"""The heart: one shift of many positions, each to the mean of the rows in its ball.

A position goes down the moment tree block by block. The sixteen children of a block are judged
at once, in lanes: those inside the ball are taken by their sums, those outside are passed over,
and those that the sphere cuts are opened, down to the leaves, whose sixteen rows are then tested
one and all. No neighbour is ever listed.

    alone          one position    lanes: the children of a block, the rows of a leaf
    in a group     16 positions    lanes: the children of a block, judged for the box that holds
                                   the sixteen; then the sixteen positions, row by row

Sixteen neighbours in space share one descent, and every row that they read serves all of them:
1.2 us a position against 2.6 us alone (1M x 2 rows, 22,900 in the ball). A group far wider than
a leaf would open leaves that most of its members need not see; its members go alone.

The bounds of a box and the test of a row are one expression, summed over the features in the
same order and never contracted. Rounding is monotone, so a box judged inside holds no row that
the test would refuse, and the closed ball falls as in scikit-learn to the last bit.
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast.compiled import parallel, step
from meanshift_fast.lanes import (
    bits,
    flat,
    full,
    item,
    load,
    lowest,
    mask_of,
    put,
    store,
    total,
    where,
)
from meanshift_fast.pieces import pieces
from meanshift_fast.tree import MomentTree

LANES = 16
BLOCK = 64  # positions a task shifts: enough to outweigh its start, few enough to share out
STACK = 160  # fifteen siblings wait at each level; ten levels hold 16^10 rows
EARLY = 8  # features between two looks at whether a partial distance is already too large
MANY = 8  # features beyond which positions go alone
FIRST = 1 << 31  # values that the first piece of a shift reads at most: half a second
WIDE_GROUP = 2.0  # a group wider than so many leaves is shifted one by one

# So many trajectories or fewer take some steps by themselves. A climb of 495 seeds among
# 1M x 2 rows takes 20 ms so and 30 ms step by step. How many steps matters little: fewer calls
# against more steps from where another has been. With 2, 4, 8 and 16 a fit of the photograph's 362
# seeds takes 54 to 59 ms, and one of 20,000 x 2 rows 33 to 39.
FEW = 4096
STEPS = 8


@step
def _test_rows(points, point_weights, leaf, weights_row, n_features, place, radius_sq, sums):
    """Add a leaf's rows in one position's ball to its sums; the lanes are the rows."""
    zero = full(0.0)
    distance_sq = zero
    first = 0
    while first < n_features:
        for f in range(first, min(first + EARLY, n_features)):
            away = load(points, leaf * n_features + f) - item(place, f)
            distance_sq = distance_sq + away * away
        if bits(distance_sq <= radius_sq) == 0:
            return
        first += EARLY
    inside = distance_sq <= radius_sq
    weights = where(inside, load(point_weights, weights_row), zero)
    store(sums, n_features, load(sums, n_features) + weights)
    for f in range(n_features):
        rows = where(inside, load(points, leaf * n_features + f), zero)
        store(sums, f, load(sums, f) + rows * weights)


@step
def _test_positions(
    points, point_weights, leaf, weights_row, n_features, places, radius_sq, scratch, hits, sums
):
    """Add a leaf's rows to the sums of a group; the lanes are the positions.

    Distances go feature by feature over all sixteen rows, then sums likewise, so that a feature
    of the positions and a sum stay in registers: 1.2 us a position, against 1.8 us row by row.
    """
    zero = full(0.0)
    for row in range(LANES):
        store(scratch, row, zero)
    for f in range(n_features):
        place = load(places, f)
        for row in range(LANES):
            away = item(points, (leaf * n_features + f) * LANES + row) - place
            store(scratch, row, load(scratch, row) + away * away)
    support = load(sums, n_features)
    for row in range(LANES):
        inside = load(scratch, row) <= radius_sq
        put(hits, row, bits(inside))
        weight = full(item(point_weights, weights_row * LANES + row))
        support = support + where(inside, weight, zero)
    store(sums, n_features, support)
    for f in range(n_features):
        feature_sum = load(sums, f)
        for row in range(LANES):
            value = item(points, (leaf * n_features + f) * LANES + row)
            share = full(value * item(point_weights, weights_row * LANES + row))
            feature_sum = feature_sum + where(mask_of(item(hits, row)), share, zero)
        store(sums, f, feature_sum)


@step
def _judge(lower, upper, block, n_features, low, high, radius_sq):
    """Which children's boxes the balls of a box of positions reach, and which they all hold."""
    zero = full(0.0)
    near_sq = zero
    far_sq = zero
    first = 0
    while first < n_features:
        for f in range(first, min(first + EARLY, n_features)):
            low_edge = load(lower, block * n_features + f)
            high_edge = load(upper, block * n_features + f)
            below = low_edge - item(high, f)
            above = item(low, f) - high_edge
            outside = where(below > above, below, above)
            outside = where(outside > 0.0, outside, zero)
            near_sq = near_sq + outside * outside
            to_low = item(high, f) - low_edge
            to_high = high_edge - item(low, f)
            across = where(to_low > to_high, to_low, to_high)
            far_sq = far_sq + across * across
        if bits(near_sq <= radius_sq) == 0:
            break
        first += EARLY
    return near_sq <= radius_sq, far_sq <= radius_sq


@step
def _sum_balls(
    views, first_child, n_upper, weighted, n_features, places, low, high, alone, radius_sq,
    stack, scratch, hits, shared, own,
):  # fmt: skip
    """Sum the rows in the balls of a group of positions, or of one position alone.

    ``low`` and ``high`` bound the positions. What all balls share goes to ``shared``, in lanes
    that are still to be added up; what a member has to itself, to its lane of ``own``.
    """
    points, point_weights, lower, upper, weight, weighted_sum = views
    zero = full(0.0)
    for f in range(n_features + 1):
        store(shared, f, zero)
        store(own, f, zero)
    put(stack, 0, 0)
    waiting = 1
    while waiting > 0:
        waiting -= 1
        block = item(stack, waiting)
        near, inside = _judge(lower, upper, block, n_features, low, high, radius_sq)
        inside = mask_of(bits(inside) & bits(near))
        cut = bits(near) & ~bits(inside)
        if bits(inside) != 0:
            for f in range(n_features):
                taken = where(inside, load(weighted_sum, block * n_features + f), zero)
                store(shared, f, load(shared, f) + taken)
            taken = where(inside, load(weight, block), zero)
            store(shared, n_features, load(shared, n_features) + taken)
        child = item(first_child, block)
        while cut != 0:
            opened = child + lowest(cut)
            cut &= cut - 1
            if block < n_upper:
                put(stack, waiting, opened)
                waiting += 1
            elif alone:
                _test_rows(
                    points, point_weights, opened, opened * weighted, n_features, low, radius_sq,
                    shared,
                )  # fmt: skip
            else:
                _test_positions(
                    points, point_weights, opened, opened * weighted, n_features, places,
                    radius_sq, scratch, hits, own,
                )  # fmt: skip


@step
def _move_to_mean(positions, i, n_features, shared, own, member):
    """Put position ``i`` at the mean of its ball; returns its support and how far it went."""
    support = total(load(shared, n_features)) + item(own, n_features * LANES + member)
    move_sq = 0.0
    if support > 0.0:
        for f in range(n_features):
            mean = (total(load(shared, f)) + item(own, f * LANES + member)) / support
            move = mean - item(positions, i * n_features + f)
            move_sq += move * move
            put(positions, i * n_features + f, mean)
    return support, np.sqrt(move_sq)


@step
def _bound_group(positions, first, size, n_features, places, low, high):
    """Lay a group's positions into lanes and bound them; returns the diagonal squared."""
    width_sq = 0.0
    for f in range(n_features):
        least = most = item(positions, first * n_features + f)
        for lane in range(LANES):
            place = item(positions, (first + min(lane, size - 1)) * n_features + f)
            put(places, f * LANES + lane, place)
            least = min(least, place)
            most = max(most, place)
        put(low, f, least)
        put(high, f, most)
        width_sq += (most - least) * (most - least)
    return width_sq


@step
def _shift_block(tree, positions, block, radius_sq, support, moves, memory, stack, hits):
    """Shift a block of positions in place; one whose ball is empty stays, with support 0."""
    n_features = positions.shape[1]
    views = (
        flat(tree.points), flat(tree.point_weights), flat(tree.lower), flat(tree.upper),
        flat(tree.weight), flat(tree.weighted_sum),
    )  # fmt: skip
    first_child, stack, hits = flat(tree.first_child), flat(stack), flat(hits)
    shared, own, places, scratch, low, high = (
        flat(memory[0]), flat(memory[1]), flat(memory[2]), flat(memory[3]), flat(memory[4]),
        flat(memory[5]),
    )  # fmt: skip
    weighted = np.int64(tree.point_weights.shape[0] > 1)
    widest = WIDE_GROUP * tree.leaf_width  # squared by hand: compiling a power takes 0.6 s
    widest_sq = widest * widest
    flat_positions = flat(positions)
    first = block * BLOCK
    stop = min(first + BLOCK, positions.shape[0])
    while first < stop:
        size = min(LANES, stop - first)
        width_sq = _bound_group(flat_positions, first, size, n_features, places, low, high)
        alone = width_sq > widest_sq or size == 1 or n_features > MANY
        if alone:
            size = min(size, 1)
            _bound_group(flat_positions, first, size, n_features, places, low, high)
        _sum_balls(
            views, first_child, tree.n_upper, weighted, n_features, places, low, high, alone,
            radius_sq, stack, scratch, hits, shared, own,
        )  # fmt: skip
        for member in range(size):
            support[first + member], moves[first + member] = _move_to_mean(
                flat_positions, first + member, n_features, shared, own, member
            )
        first += size


@parallel
def _flat_shifts(tree, positions, radius_sq, support, moves):
    for block in prange((positions.shape[0] + BLOCK - 1) // BLOCK):
        memory = np.empty((6, positions.shape[1] + LANES, LANES))
        stack = np.empty(STACK, np.int64)
        hits = np.empty(LANES, np.int64)
        at = np.int64(block)  # prange counts unsigned, which would compile the block twice
        _shift_block(tree, positions, at, radius_sq, support, moves, memory, stack, hits)


@step
def _follow_some(
    tree, positions, first, stride, radius_sq, rest, places, support, moves, memory, stack, hits
):  # fmt: skip
    """Shift every stride-th position again and again, until it rests or there is no more room."""
    n_features = positions.shape[1]
    views = (
        flat(tree.points), flat(tree.point_weights), flat(tree.lower), flat(tree.upper),
        flat(tree.weight), flat(tree.weighted_sum),
    )  # fmt: skip
    first_child, stack, hits, flat_positions, led_to = (
        flat(tree.first_child), flat(stack), flat(hits), flat(positions), flat(places),
    )  # fmt: skip
    shared, own, place = flat(memory[0]), flat(memory[1]), flat(memory[2])
    weighted = np.int64(tree.point_weights.shape[0] > 1)
    n_steps = support.shape[1]
    for i in range(first, positions.shape[0], stride):
        for number in range(n_steps):
            for f in range(n_features):
                put(place, f, item(flat_positions, i * n_features + f))
            _sum_balls(
                views, first_child, tree.n_upper, weighted, n_features, place, place, place, True,
                radius_sq, stack, own, hits, shared, own,
            )  # fmt: skip
            support[i, number], moves[i, number] = _move_to_mean(
                flat_positions, i, n_features, shared, own, 0
            )
            for f in range(n_features):
                mean = item(flat_positions, i * n_features + f)
                put(led_to, (i * n_steps + number) * n_features + f, mean)
            if moves[i, number] <= rest or support[i, number] == 0.0:
                break


@parallel
def _follow_all(tree, positions, radius_sq, rest, places, support, moves):
    n_tasks = min(positions.shape[0], BLOCK)
    for task in prange(n_tasks):
        memory = np.empty((3, positions.shape[1] + 1, LANES))
        stack = np.empty(STACK, np.int64)
        hits = np.empty(LANES, np.int64)
        at = np.int64(task)  # prange counts unsigned, which would compile the loop twice
        _follow_some(
            tree, positions, at, n_tasks, radius_sq, rest, places, support, moves, memory, stack,
            hits,
        )  # fmt: skip


def shift(
    tree: MomentTree, positions: NDArray[np.float64], bandwidth: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move every position, in place, to the weighted mean of the rows in its ball.

    Parameters
    ----------
    tree : MomentTree
        The rows.
    positions : C-ordered float64 array of shape (n_positions, n_features)
        Overwritten by the means; a position with an empty ball stays where it is. Fastest where
        neighbours in space follow one another.
    bandwidth : float
        Radius of the closed ball, in the unit of the positions.

    Returns
    -------
    support : float64 array of shape (n_positions,)
        The weight in each ball, around the position as it was; 0 where the ball is empty.
    moves : float64 array of shape (n_positions,)
        How far each position went.

    Notes
    -----
    About n^(1 - 1/d) for each position. Bit-equal for every number of threads.
    """
    support = np.empty(len(positions))
    moves = np.empty(len(positions))
    first = FIRST // tree.points.size
    for start, stop in pieces(len(positions), first=first, multiple=BLOCK):
        _flat_shifts(
            tree, positions[start:stop], bandwidth * bandwidth, support[start:stop],
            moves[start:stop],
        )  # fmt: skip
    return support, moves


def next_steps(
    tree: MomentTree,
    positions: NDArray[np.float64],
    n_steps: int,
    rest: float,
    bandwidth: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Take the next steps of trajectories: one of many, some of a few.

    With a task for each step of each block of them, a few trajectories far apart would spend a
    third of the time on waiting for the last. They go alone, for several steps each.

    Parameters
    ----------
    tree : MomentTree
        The rows.
    positions : C-ordered float64 array of shape (n_positions, n_features)
        Where they stand; overwritten by their last means.
    n_steps : int
        At most so many steps of each, at least 1.
    rest : float
        A position rests after a move of at most this, or where its ball is empty.
    bandwidth : float
        Radius of the closed ball, in the unit of the positions as ``rest`` is.

    Returns
    -------
    places : float64 array of shape (n_positions, n_taken, n_features)
        Where each step led; nothing is set after a rest.
    support, moves : float64 arrays of shape (n_positions, n_taken)
        For each step the weight in the ball and the length of the move.

    Notes
    -----
    Bit-equal for every number of threads.
    """
    if len(positions) > FEW:
        support, moves = shift(tree, positions, bandwidth)
        return positions[:, None], support[:, None], moves[:, None]
    n_steps = min(n_steps, STEPS)
    places = np.empty((len(positions), n_steps, positions.shape[1]))
    support = np.empty((len(positions), n_steps))
    moves = np.empty((len(positions), n_steps))
    first = max(FIRST // (tree.points.size * n_steps), 1)
    for start, stop in pieces(len(positions), first=first):
        _follow_all(
            tree, positions[start:stop], bandwidth * bandwidth, rest, places[start:stop],
            support[start:stop], moves[start:stop],
        )  # fmt: skip
    return places, support, moves
