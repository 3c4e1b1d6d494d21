"""The traversal of the moment tree: the steps that the kernels of flat and soft shifts share.

A traversal goes down block by block. The sixteen children of a block are tested at once, in lanes:
those inside the ball are added by their sums, those outside are skipped, and those that the sphere
cuts are opened, down to the leaves, whose sixteen rows are then tested. No neighbour is listed.

    alone          one position    lanes: the children of a block, the rows of a leaf
    in a group     16 positions    lanes: the children of a block, tested against the box of the
                                   sixteen; then the sixteen positions, row by row

Sixteen neighbours in space share one traversal, and every row that it reads serves all of them:
1.2 us a position against 2.6 us alone (1M x 2 rows, 22,900 in the ball). A group far wider than
a leaf would open leaves that most of its members do not need; its members are shifted alone.

A kernel passes two things:

    inverse_widths    None where a row counts whole or not at all; else one number for each row,
                      for the part of a cell that counts: see `soft_cells.py`
    ball              (outer_sq, whole_sq): rows farther than the first do not count, rows no
                      farther than the second count whole; for cells (outer_sq, whole_sq,
                      radius_sq, per_square)

The bounds of a box and the test of a row are one expression, summed over the features in the
same order and never contracted. Rounding is monotone, so a box found inside holds no row that
the test would refuse.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index.box_distances import gap_and_span
from meanshift_fast._jit.compiler import inlined, step
from meanshift_fast._jit.simd import (
    LANES,
    accumulator,
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

BLOCK_POSITIONS = 64  # of a task: enough to outweigh its start, few enough to share out
STACK_BLOCKS = 160  # fifteen siblings at each level; ten levels hold 16^10 rows
FEATURES_A_CHECK = 8  # between two tests of whether a partial distance is already too large
MAX_GROUPED_FEATURES = 8  # in more, positions are shifted alone
# A group wider than so many leaves is shifted one by one. With 1, 2, 3, 4, 6 and 10 the basins of
# 1M x 2 rows, from 673,470 cells, take 1.44, 1.22, 1.13, 1.16, 1.19 and 1.23 s, and an ascent from
# every row 6.67, 6.06, 5.99, 6.05, 6.18 and 6.28 s.
MAX_GROUP_WIDTH_IN_LEAVES = 3.0


class TreeViews(NamedTuple):
    """The arrays of a moment tree as flat pointers."""

    points: NDArray[np.float64]
    point_weights: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    weight: NDArray[np.float64]
    weighted_sum: NDArray[np.float64]
    first_child: NDArray[np.int64]
    weighted: np.int64
    """The step from one leaf's row of weights to the next: 1, or 0 where all weights are 1."""
    n_upper: int


class Group(NamedTuple):
    """Sixteen positions in lanes, or one: flat pointers.

    Attributes
    ----------
    places
        Vectors of sixteen values, one for each feature; for a position alone, its values.
    low, high
        The box of the positions.
    scratch
        Memory for sixteen vectors.
    """

    places: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    scratch: NDArray[np.float64]


# The depth-first walk of every traversal of the tree. Other walks are those of labels
# (`nearest_kernels.py`: the nearest node first) and of modes (`_cluster/ball_removal.py`: the stack
# says which blocks are in the ball as a whole).


@step
def push_children(stack, waiting, first_child, chosen):
    """Push the chosen children of a block, given as bits; the number of blocks that wait."""
    while chosen != 0:
        put(stack, waiting, first_child + lowest(chosen))
        chosen &= chosen - 1
        waiting += 1
    return waiting


# By how much rows count. Numba drops the branch that the type of `inverse_widths` rules out.


@step
def _part_inside(distance_sq, inverse_widths, ball):
    """The part of each cell in the ball."""
    radius_sq, per_square = ball[2], ball[3]
    zero, one = full(0.0), full(1.0)
    part = (radius_sq - distance_sq) * per_square * inverse_widths + 0.5
    part = where(part > 0.0, part, zero)
    part = where(part < 1.0, part, one)
    return where(inverse_widths > 0.0, part, where(distance_sq <= radius_sq, one, zero))


@inlined
def _shares(distance_sq, weights, inverse_widths, leaf, ball):
    """What a leaf's rows count for one position; the lanes are the rows."""
    if inverse_widths is None:
        return where(distance_sq <= ball[0], weights, full(0.0))
    return _part_inside(distance_sq, load(inverse_widths, leaf), ball) * weights


@inlined
def _add_rows(views, inverse_widths, leaf, n_features, place, ball, sums):
    """Add a leaf's rows to the sums of one position; the lanes are the rows."""
    points, zero = views.points, full(0.0)
    distance_sq = zero
    first = 0
    while first < n_features:
        for f in range(first, min(first + FEATURES_A_CHECK, n_features)):
            away = load(points, leaf * n_features + f) - item(place, f)
            distance_sq = distance_sq + away * away
        if bits(distance_sq <= ball[0]) == 0:
            return
        first += FEATURES_A_CHECK
    weights = load(views.point_weights, leaf * views.weighted)
    shares = _shares(distance_sq, weights, inverse_widths, leaf, ball)
    store(sums, n_features, load(sums, n_features) + shares)
    for f in range(n_features):
        rows = where(shares > 0.0, load(points, leaf * n_features + f), zero)
        store(sums, f, load(sums, f) + rows * shares)


@step
def _add_shares(views, inverse_widths, leaf, n_features, ball, distances_sq, sums):
    """Add what rows count in the balls of a group; their shares take the distances' place."""
    points, zero = views.points, full(0.0)
    first_weight = leaf * views.weighted * LANES
    support = load(sums, n_features)
    for row in range(LANES):
        weight, distance_sq = item(views.point_weights, first_weight + row), load(distances_sq, row)
        if inverse_widths is None:
            shares = where(distance_sq <= ball[0], full(weight), zero)
        else:
            inverse = full(item(inverse_widths, leaf * LANES + row))
            shares = _part_inside(distance_sq, inverse, ball) * weight
        store(distances_sq, row, shares)
        support = support + shares
    store(sums, n_features, support)
    for f in range(n_features):
        feature_sum = load(sums, f)
        for row in range(LANES):
            shares = load(distances_sq, row)
            value = item(points, (leaf * n_features + f) * LANES + row)
            feature_sum = feature_sum + where(shares > 0.0, shares * value, zero)
        store(sums, f, feature_sum)


@inlined
def _add_few(views, leaf, n_features, places, radius_sq, sums):
    """Add the rows in the balls of a group, row by row, with all sums in registers.

    In two columns and three: shifting 100,000 rows takes one thread 0.46 us and 1.65 us each, and
    0.64 to 0.85 and 2.3 feature by feature.
    """
    points, first_weight = views.points, leaf * views.weighted * LANES
    zero, few = full(0.0), accumulator()
    for f in range(n_features + 1):
        store(few, f, load(sums, f))
    for row in range(LANES):
        distance_sq = zero
        for f in range(n_features):
            away = item(points, (leaf * n_features + f) * LANES + row) - load(places, f)
            distance_sq = distance_sq + away * away
        inside = distance_sq <= radius_sq
        weight = item(views.point_weights, first_weight + row)
        for f in range(n_features):
            share = full(item(points, (leaf * n_features + f) * LANES + row) * weight)
            store(few, f, load(few, f) + where(inside, share, zero))
        store(few, n_features, load(few, n_features) + where(inside, full(weight), zero))
    for f in range(n_features + 1):
        store(sums, f, load(few, f))


@step
def _add_positions(views, inverse_widths, leaf, n_features, group, ball, sums):
    """Add a leaf's rows to the sums of a group; the lanes are the positions.

    With more features than fit into registers, distances go feature by feature over all
    sixteen rows, then sums likewise, so that a feature of the positions and a sum stay there.
    """
    two, three = np.int64(2), np.int64(3)  # no literals, as in sum_ball
    if inverse_widths is None and n_features == two:
        _add_few(views, leaf, two, group.places, ball[0], sums)
        return
    if inverse_widths is None and n_features == three:
        _add_few(views, leaf, three, group.places, ball[0], sums)
        return
    scratch = group.scratch
    for row in range(LANES):
        store(scratch, row, full(0.0))
    for f in range(n_features):
        place = load(group.places, f)
        for row in range(LANES):
            away = item(views.points, (leaf * n_features + f) * LANES + row) - place
            store(scratch, row, load(scratch, row) + away * away)
    _add_shares(views, inverse_widths, leaf, n_features, ball, scratch, sums)


# From block 0 down to the leaves.


@inlined
def _classify_children(lower, upper, block, n_features, low, high, ball):
    """Bits of the children's boxes that some ball of a box of positions reaches, and all hold."""
    zero = full(0.0)
    near_sq = zero
    far_sq = zero
    first = 0
    while first < n_features:
        for f in range(first, min(first + FEATURES_A_CHECK, n_features)):
            gap, span = gap_and_span(
                load(lower, block * n_features + f), load(upper, block * n_features + f),
                item(low, f), item(high, f),
            )  # fmt: skip
            near_sq = near_sq + gap * gap
            far_sq = far_sq + span * span
        if bits(near_sq <= ball[0]) == 0:
            break
        first += FEATURES_A_CHECK
    near = bits(near_sq <= ball[0])
    return near, bits(far_sq <= ball[1]) & near


@step
def views_of(tree):
    """The arrays of a moment tree as :func:`sum_balls` takes them."""
    return TreeViews(
        flat(tree.points), flat(tree.point_weights), flat(tree.lower), flat(tree.upper),
        flat(tree.weight), flat(tree.weighted_sum), flat(tree.first_child),
        np.int64(tree.point_weights.shape[0] > 1), tree.n_upper,
    )  # fmt: skip


@inlined
def sum_balls(views, inverse_widths, n_features, group, grouped, alone, ball, stack, shared, own):
    """Sum the rows in the balls of a group of positions, or of one position alone.

    What all balls share goes to ``shared``, in lanes that are still to be added up; what only one
    member's ball holds, to its lane of ``own``. A position alone uses ``shared`` only. None for
    ``grouped`` leaves the steps of a group of sixteen uncompiled (an argument, because Numba prunes
    branches on arguments only).
    """
    zero = full(0.0)
    for f in range(n_features + 1):
        store(shared, f, zero)
        store(own, f, zero)
    put(stack, 0, 0)
    waiting = 1
    while waiting > 0:
        waiting -= 1
        block = item(stack, waiting)
        near, inside = _classify_children(
            views.lower, views.upper, block, n_features, group.low, group.high, ball
        )
        if inside != 0:
            whole = mask_of(inside)
            for f in range(n_features):
                taken = where(whole, load(views.weighted_sum, block * n_features + f), zero)
                store(shared, f, load(shared, f) + taken)
            taken = where(whole, load(views.weight, block), zero)
            store(shared, n_features, load(shared, n_features) + taken)
        cut, child = near & ~inside, item(views.first_child, block)
        if block < views.n_upper:
            waiting = push_children(stack, waiting, child, cut)
            continue
        while cut != 0:
            leaf = child + lowest(cut)
            cut &= cut - 1
            if grouped is None or alone:  # the first is known to the compiler
                _add_rows(views, inverse_widths, leaf, n_features, group.low, ball, shared)
            else:
                _add_positions(views, inverse_widths, leaf, n_features, group, ball, own)


@step
def sum_ball(views, n_features, place, ball, stack, sums):
    """Sum the rows in the ball of one position, where each counts whole or not at all.

    In two columns and three the sums stay in registers: an ascent from 495 bins of 1M x 2 rows
    takes one thread 29 ms and not 34, one of the photograph's 362 in three columns 46 and not 59.
    """
    # Literals would make Numba compile the traversal for each of them anew.
    two, three, few = np.int64(2), np.int64(3), accumulator()
    group = Group(place, place, place, sums)
    if n_features != two and n_features != three:
        sum_balls(views, None, n_features, group, None, True, ball, stack, sums, sums)
        return
    if n_features == two:
        sum_balls(views, None, two, group, None, True, ball, stack, few, sums)
    else:
        sum_balls(views, None, three, group, None, True, ball, stack, few, sums)
    for f in range(n_features + 1):
        store(sums, f, load(few, f))


# From the sums to the means.


@step
def move_to_mean(positions, i, n_features, shared, own, member):
    """Move position ``i`` to the mean of its ball; its support and the length of the move."""
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
def fill_group(positions, first, size, n_features, group):
    """Write a group's positions into lanes and bound them; their box's diagonal squared."""
    width_sq = 0.0
    for f in range(n_features):
        least = most = item(positions, first * n_features + f)
        for lane in range(LANES):
            place = item(positions, (first + min(lane, size - 1)) * n_features + f)
            put(group.places, f * LANES + lane, place)
            least = min(least, place)
            most = max(most, place)
        put(group.low, f, least)
        put(group.high, f, most)
        width_sq += (most - least) * (most - least)
    return width_sq


@step
def room_for(n_features):
    """Memory for :func:`shift_block`, of numbers and of integers."""
    return np.empty((6, n_features + LANES, LANES)), np.empty(STACK_BLOCKS, np.int64)


@step
def shift_block(
    tree, inverse_widths, positions, first, stop, ball, support, moves, numbers, integers
):
    """Shift positions first:stop in place; one whose ball is empty stays, with support 0.

    In up to MAX_GROUPED_FEATURES features the groups, and with them the last bits of a mean, depend
    on ``first``. ``numbers`` and ``integers`` are from :func:`room_for`; ``inverse_widths`` is None
    or an array.
    """
    n_features = positions.shape[1]
    inverses = None if inverse_widths is None else flat(inverse_widths)
    views, at, stack = views_of(tree), flat(positions), flat(integers)
    shared, own = flat(numbers[0]), flat(numbers[1])
    group = Group(flat(numbers[2]), flat(numbers[4]), flat(numbers[5]), flat(numbers[3]))
    widest = MAX_GROUP_WIDTH_IN_LEAVES * tree.leaf_width
    widest_sq = widest * widest  # by hand: compiling a power takes 0.6 s
    while first < stop:
        size = min(LANES, stop - first)
        width_sq = fill_group(at, first, size, n_features, group)
        # Of the 673,470 cells of a million rows, 95,039 are shifted alone, the others in 38,737
        # groups.
        alone = width_sq > widest_sq or size == 1 or n_features > MAX_GROUPED_FEATURES
        if alone:
            size = min(size, 1)
            fill_group(at, first, size, n_features, group)
        sum_balls(views, inverses, n_features, group, True, alone, ball, stack, shared, own)
        for member in range(size):
            support[first + member], moves[first + member] = move_to_mean(
                at, first + member, n_features, shared, own, member
            )
        first += size
