"""The descent of the moment tree that the shifts share: steps that their kernels are made of.

A position goes down block by block. The sixteen children of a block are judged at once, in lanes:
those inside the ball are taken by their sums, those outside are passed over, and those that the
sphere cuts are opened, down to the leaves, whose sixteen rows are then tested one and all. No
neighbour is ever listed.

    alone          one position    lanes: the children of a block, the rows of a leaf
    in a group     16 positions    lanes: the children of a block, judged for the box that holds
                                   the sixteen; then the sixteen positions, row by row

Sixteen neighbours in space share one descent, and every row that they read serves all of them:
1.2 us a position against 2.6 us alone (1M x 2 rows, 22,900 in the ball). A group far wider than
a leaf would open leaves that most of its members need not see; its members go alone.

Two things a kernel says of its rows:

    steepness    None where a row counts whole or not at all; else an array of one number a row,
                 which tells by what part a row near the sphere counts: see slabs.py
    ball         (reach_sq, whole_sq): rows farther than the one do not count, rows no farther than
                 the other count whole; for slabs (reach_sq, whole_sq, radius_sq, per_square)

The bounds of a box and the test of a row are one expression, summed over the features in the
same order and never contracted. Rounding is monotone, so a box judged inside holds no row that
the test would refuse.
"""

import numpy as np

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

BLOCK = 64  # positions a task shifts: enough to outweigh its start, few enough to share out
STACK = 160  # fifteen siblings wait at each level; ten levels hold 16^10 rows
EARLY = 8  # features between two looks at whether a partial distance is already too large
MANY = 8  # features beyond which positions go alone
# A group wider than so many leaves is shifted one by one. With 1, 2, 3, 4, 6 and 10 the basins of
# 1M x 2 rows, climbing from 673,470 cells, take 1.44, 1.22, 1.13, 1.16, 1.19 and 1.23 s, and a
# climb from every row 6.67, 6.06, 5.99, 6.05, 6.18 and 6.28 s.
WIDE_GROUP = 3.0


# By how much rows count. Numba drops the branch that the kind of steepness rules out.


@step
def _part(distance_sq, steepness, ball):
    """The part of each slab in the ball."""
    radius_sq, per_square = ball[2], ball[3]
    zero, one = full(0.0), full(1.0)
    part = (radius_sq - distance_sq) * per_square * steepness + 0.5
    part = where(part > 0.0, part, zero)
    part = where(part < 1.0, part, one)
    return where(steepness > 0.0, part, where(distance_sq <= radius_sq, one, zero))


@inlined
def _shares(distance_sq, weights, steepness, leaf, ball):
    """What a leaf's rows count for one position; the lanes are the rows."""
    if steepness is None:
        return where(distance_sq <= ball[0], weights, full(0.0))
    return _part(distance_sq, load(steepness, leaf), ball) * weights


@inlined
def _add_rows(points, point_weights, steepness, leaf, weights_row, n_features, place, ball, sums):
    """Add a leaf's rows to the sums of one position; the lanes are the rows."""
    zero = full(0.0)
    distance_sq = zero
    first = 0
    while first < n_features:
        for f in range(first, min(first + EARLY, n_features)):
            away = load(points, leaf * n_features + f) - item(place, f)
            distance_sq = distance_sq + away * away
        if bits(distance_sq <= ball[0]) == 0:
            return
        first += EARLY
    shares = _shares(distance_sq, load(point_weights, weights_row), steepness, leaf, ball)
    store(sums, n_features, load(sums, n_features) + shares)
    for f in range(n_features):
        rows = where(shares > 0.0, load(points, leaf * n_features + f), zero)
        store(sums, f, load(sums, f) + rows * shares)


@step
def _add_whole(
    points, point_weights, leaf, weights_row, n_features, radius_sq, distances_sq, hits, sums
):  # fmt: skip
    """Add the rows in the balls of a group. Masks, where shares would do, spare it a twentieth."""
    zero = full(0.0)
    support = load(sums, n_features)
    for row in range(LANES):
        inside = load(distances_sq, row) <= radius_sq
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
def _add_parts(
    points, point_weights, steepness, leaf, weights_row, n_features, ball, distances_sq, sums
):  # fmt: skip
    """Add the parts of slabs in the balls of a group; their shares take the distances' place."""
    zero = full(0.0)
    support = load(sums, n_features)
    for row in range(LANES):
        steep = full(item(steepness, leaf * LANES + row))
        weight = item(point_weights, weights_row * LANES + row)
        shares = _part(load(distances_sq, row), steep, ball) * weight
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
def _add_few(points, point_weights, leaf, weights_row, n_features, places, radius_sq, sums):
    """Add the rows in the balls of a group, row by row, with all sums in registers.

    In two columns and three: shifting 100,000 rows takes one thread 0.46 us and 1.65 us each, and
    0.64 to 0.85 and 2.3 feature by feature.
    """
    zero, few = full(0.0), accumulator()
    for f in range(n_features + 1):
        store(few, f, load(sums, f))
    for row in range(LANES):
        distance_sq = zero
        for f in range(n_features):
            away = item(points, (leaf * n_features + f) * LANES + row) - load(places, f)
            distance_sq = distance_sq + away * away
        inside = distance_sq <= radius_sq
        weight = item(point_weights, weights_row * LANES + row)
        for f in range(n_features):
            share = full(item(points, (leaf * n_features + f) * LANES + row) * weight)
            store(few, f, load(few, f) + where(inside, share, zero))
        store(few, n_features, load(few, n_features) + where(inside, full(weight), zero))
    for f in range(n_features + 1):
        store(sums, f, load(few, f))


@step
def _add_positions(
    points, point_weights, steepness, leaf, weights_row, n_features, places, ball, scratch, hits,
    sums,
):  # fmt: skip
    """Add a leaf's rows to the sums of a group; the lanes are the positions.

    With more features than fit into registers, distances go feature by feature over all
    sixteen rows, then sums likewise, so that a feature of the positions and a sum stay there.
    """
    two, three = np.int64(2), np.int64(3)  # no literals, as in sum_ball
    if steepness is None and n_features == two:
        _add_few(points, point_weights, leaf, weights_row, two, places, ball[0], sums)
        return
    if steepness is None and n_features == three:
        _add_few(points, point_weights, leaf, weights_row, three, places, ball[0], sums)
        return
    for row in range(LANES):
        store(scratch, row, full(0.0))
    for f in range(n_features):
        place = load(places, f)
        for row in range(LANES):
            away = item(points, (leaf * n_features + f) * LANES + row) - place
            store(scratch, row, load(scratch, row) + away * away)
    if steepness is None:
        _add_whole(
            points, point_weights, leaf, weights_row, n_features, ball[0], scratch, hits, sums
        )
    else:
        _add_parts(
            points, point_weights, steepness, leaf, weights_row, n_features, ball, scratch, sums
        )


# From block 0 down to the leaves.


@inlined
def _judge(lower, upper, block, n_features, low, high, ball):
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
            # A NaN stays one, and is near nothing: there would be no end to what it reaches.
            outside = where(below > above, below, above)
            outside = where(outside < 0.0, zero, outside)
            near_sq = near_sq + outside * outside
            to_low = item(high, f) - low_edge
            to_high = high_edge - item(low, f)
            across = where(to_low > to_high, to_low, to_high)
            far_sq = far_sq + across * across
        if bits(near_sq <= ball[0]) == 0:
            break
        first += EARLY
    near = bits(near_sq <= ball[0])
    return near, bits(far_sq <= ball[1]) & near


@step
def views_of(tree):
    """The arrays of a moment tree as flat pointers, for :func:`sum_balls`."""
    return (
        flat(tree.points), flat(tree.point_weights), flat(tree.lower), flat(tree.upper),
        flat(tree.weight), flat(tree.weighted_sum), flat(tree.first_child),
        np.int64(tree.point_weights.shape[0] > 1), tree.n_upper,
    )  # fmt: skip


@inlined
def sum_balls(
    views, steepness, n_features, places, low, high, alone, ball, stack, scratch, hits, shared, own
):  # fmt: skip
    """Sum the rows in the balls of a group of positions, or of one position alone.

    ``low`` and ``high`` bound the positions. What all balls share goes to ``shared``, in lanes
    that are still to be added up; what a member has to itself, to its lane of ``own``. One alone
    has nothing to itself, and needs neither ``scratch`` nor ``hits``; None for ``hits`` leaves what
    a group needs uncompiled.
    """
    points, point_weights, lower, upper, weight, weighted_sum, first_child, weighted, n_upper = (
        views
    )
    zero = full(0.0)
    for f in range(n_features + 1):
        store(shared, f, zero)
        store(own, f, zero)
    put(stack, 0, 0)
    waiting = 1
    while waiting > 0:
        waiting -= 1
        block = item(stack, waiting)
        near, inside = _judge(lower, upper, block, n_features, low, high, ball)
        if inside != 0:
            whole = mask_of(inside)
            for f in range(n_features):
                taken = where(whole, load(weighted_sum, block * n_features + f), zero)
                store(shared, f, load(shared, f) + taken)
            taken = where(whole, load(weight, block), zero)
            store(shared, n_features, load(shared, n_features) + taken)
        cut = near & ~inside
        child = item(first_child, block)
        while cut != 0:
            opened = child + lowest(cut)
            cut &= cut - 1
            if block < n_upper:
                put(stack, waiting, opened)
                waiting += 1
            elif hits is None or alone:  # the first is known to the compiler
                _add_rows(
                    points, point_weights, steepness, opened, opened * weighted, n_features, low,
                    ball, shared,
                )  # fmt: skip
            else:
                _add_positions(
                    points, point_weights, steepness, opened, opened * weighted, n_features,
                    places, ball, scratch, hits, own,
                )  # fmt: skip


@step
def sum_ball(views, n_features, place, ball, stack, sums):
    """Sum the rows in the ball of one position, where each counts whole or not at all.

    In two columns and three the sums stay in registers: a climb from 495 bins of 1M x 2 rows takes
    one thread 29 ms and not 34, one of the photograph's 362 in three columns 46 and not 59.
    """
    # Literals would make Numba compile the descent for each of them anew.
    two, three, few = np.int64(2), np.int64(3), accumulator()
    if n_features != two and n_features != three:
        sum_balls(
            views, None, n_features, place, place, place, True, ball, stack, sums, None, sums, sums
        )
        return
    if n_features == two:
        sum_balls(views, None, two, place, place, place, True, ball, stack, sums, None, few, sums)
    else:
        sum_balls(views, None, three, place, place, place, True, ball, stack, sums, None, few, sums)
    for f in range(n_features + 1):
        store(sums, f, load(few, f))


# From the sums to where the positions go.


@step
def move_to_mean(positions, i, n_features, shared, own, member):
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
def room_for(n_features):
    """Memory for :func:`shift_block`, of numbers and of integers."""
    return np.empty((6, n_features + LANES, LANES)), np.empty(STACK + LANES, np.int64)


@step
def shift_block(tree, steepness, positions, first, stop, ball, support, moves, numbers, integers):
    """Shift positions first:stop in place; one whose ball is empty stays, with support 0.

    Who goes with whom, and with it the last bits, depends on where they begin, up to MANY features.
    ``numbers`` and ``integers`` are from :func:`room_for`; ``steepness`` is None or an array.
    """
    n_features = positions.shape[1]
    steep = None if steepness is None else flat(steepness)
    views, at = views_of(tree), flat(positions)
    stack, hits = flat(integers), flat(integers[STACK:])
    shared, own, places, scratch, low, high = (
        flat(numbers[0]), flat(numbers[1]), flat(numbers[2]), flat(numbers[3]), flat(numbers[4]),
        flat(numbers[5]),
    )  # fmt: skip
    widest = WIDE_GROUP * tree.leaf_width  # squared by hand: compiling a power takes 0.6 s
    widest_sq = widest * widest
    while first < stop:
        size = min(LANES, stop - first)
        width_sq = _bound_group(at, first, size, n_features, places, low, high)
        # Of the 673,470 cells that a million rows lie in, 95,039 go alone, and the rest in 38,737
        # groups.
        alone = width_sq > widest_sq or size == 1 or n_features > MANY
        if alone:
            size = min(size, 1)
            _bound_group(at, first, size, n_features, places, low, high)
        sum_balls(
            views, steep, n_features, places, low, high, alone, ball, stack, scratch, hits,
            shared, own,
        )  # fmt: skip
        for member in range(size):
            support[first + member], moves[first + member] = move_to_mean(
                at, first + member, n_features, shared, own, member
            )
        first += size
