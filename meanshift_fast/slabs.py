r"""One shift among cells: a cell that the sphere cuts counts by the part of it in the ball.

    position                                sphere
       x . . . . . . . . d . . . . . . *       :          *  the point of a cell
       x . . . . . . . . . r . . . . . . . . . :
                              |<-------- w ----:--->|     the cell, as a slab across the way

    counts by   1 / 2 + (r - d) / w,   at least 0, at most 1

A point of a cell stands for rows that are spread over it. Where it counts whole or not at all, the
means of balls jump by a cell: with cells of a sixteenth of the bandwidth they are off by some 0.004
bandwidths, and a plateau's mode by 0.05. How far a cell's rows vary tells its width: rows spread
evenly over a width w have a variance of w^2 / 12, seen from any side.

A square root is saved: r - d = (r^2 - d^2) / (r + d), and r + d is 2 r where the sphere cuts. Then
the sums of a block whose box lies between

    d^2 <= r^2 - r w   inside          d^2 > r^2 + r w   outside          w the width of the widest

need not be opened, as in shift.py, whose descent this is: positions go alone, or sixteen of them
through one descent. (Numba's cache does not see a kernel of another file change, so the two share
no code.) A point of no width is in the closed ball or is not, as a row is there.
"""

from typing import NamedTuple

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
from meanshift_fast.weights import UNWEIGHTED

LANES = 16
BLOCK = 64  # positions a task shifts
STACK = 160  # fifteen siblings wait at each level; ten levels hold 16^10 points
MANY = 8  # features beyond which positions go alone
FIRST = 1 << 31  # values that the first piece of a shift reads at most: half a second
WIDE_GROUP = 2.0  # a group wider than so many leaves is shifted one by one
NARROW = 1 / 256  # bandwidths: cells no wider than this are points, and shift.py's


class SlabTree(NamedTuple):
    """The moment tree of points of cells, and how wide the cells are.

    Attributes
    ----------
    steepness : float64 array of shape (n_leaves, 16)
        One over the width of each point's cell; 0 where that is 0.
    widest : float
        The largest width, in the unit of the points.
    points, point_weights, order, lower, upper, weight, weighted_sum, first_child, n_upper,
    leaf_width
        Of the moment tree: see tree.py. Numba hands no tuple of tuples to a parallel loop.
    """

    steepness: NDArray[np.float64]
    widest: float
    points: NDArray[np.float64]
    point_weights: NDArray[np.float64]
    order: NDArray[np.signedinteger]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    weight: NDArray[np.float64]
    weighted_sum: NDArray[np.float64]
    first_child: NDArray[np.int64]
    n_upper: int
    leaf_width: float


@step
def _part(distance_sq, steepness, sphere):
    """The part of each slab in the ball."""
    radius_sq, per_square = sphere[0], sphere[1]
    zero, one = full(0.0), full(1.0)
    part = (radius_sq - distance_sq) * per_square * steepness + 0.5
    part = where(part > 0.0, part, zero)
    part = where(part < 1.0, part, one)
    return where(steepness > 0.0, part, where(distance_sq <= radius_sq, one, zero))


@step
def _add_rows(views, leaf, weighted, n_features, place, sphere, sums):
    """Add a leaf's points to the sums of one position; the lanes are the points."""
    points, point_weights, steepness = views[0], views[1], views[2]
    zero = full(0.0)
    distance_sq = zero
    for f in range(n_features):
        away = load(points, leaf * n_features + f) - item(place, f)
        distance_sq = distance_sq + away * away
    if bits(distance_sq <= sphere[2]) == 0:
        return
    part = _part(distance_sq, load(steepness, leaf), sphere)
    weights = part * load(point_weights, leaf * weighted)
    store(sums, n_features, load(sums, n_features) + weights)
    for f in range(n_features):
        rows = where(part > 0.0, load(points, leaf * n_features + f), zero)
        store(sums, f, load(sums, f) + rows * weights)


@step
def _add_positions(views, leaf, weighted, n_features, places, sphere, scratch, sums):
    """Add a leaf's points to the sums of a group; the lanes are the positions."""
    points, point_weights, steepness = views[0], views[1], views[2]
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
        steep = full(item(steepness, leaf * LANES + row))
        weight = item(point_weights, leaf * weighted * LANES + row)
        share = _part(load(scratch, row), steep, sphere) * weight
        store(scratch, row, share)
        support = support + share
    store(sums, n_features, support)
    for f in range(n_features):
        feature_sum = load(sums, f)
        for row in range(LANES):
            share = load(scratch, row)
            value = item(points, (leaf * n_features + f) * LANES + row)
            feature_sum = feature_sum + where(share > 0.0, share * value, zero)
        store(sums, f, feature_sum)


@step
def _judge(lower, upper, block, n_features, low, high, sphere):
    """Which children's boxes the slabs of a box of positions reach, and which count whole."""
    zero = full(0.0)
    near_sq, far_sq = zero, zero
    for f in range(n_features):
        low_edge = load(lower, block * n_features + f)
        high_edge = load(upper, block * n_features + f)
        below, above = low_edge - item(high, f), item(low, f) - high_edge
        outside = where(below > above, below, above)
        outside = where(outside > 0.0, outside, zero)
        near_sq = near_sq + outside * outside
        to_low, to_high = item(high, f) - low_edge, high_edge - item(low, f)
        across = where(to_low > to_high, to_low, to_high)
        far_sq = far_sq + across * across
    near = bits(near_sq <= sphere[2])
    return near, bits(far_sq <= sphere[3]) & near


@step
def _sum_balls(
    views, first_child, n_upper, weighted, n_features, places, low, high, alone, sphere, stack,
    scratch, shared, own,
):  # fmt: skip
    """Sum the points in the balls of a group, or of one position: see shift.py."""
    lower, upper, weight, weighted_sum = views[3], views[4], views[5], views[6]
    zero = full(0.0)
    for f in range(n_features + 1):
        store(shared, f, zero)
        store(own, f, zero)
    put(stack, 0, 0)
    waiting = 1
    while waiting > 0:
        waiting -= 1
        block = item(stack, waiting)
        near, inside = _judge(lower, upper, block, n_features, low, high, sphere)
        if inside != 0:
            whole = mask_of(inside)
            for f in range(n_features):
                taken = where(whole, load(weighted_sum, block * n_features + f), zero)
                store(shared, f, load(shared, f) + taken)
            taken = where(whole, load(weight, block), zero)
            store(shared, n_features, load(shared, n_features) + taken)
        cut = near & ~inside
        while cut != 0:
            opened = item(first_child, block) + lowest(cut)
            cut &= cut - 1
            if block < n_upper:
                put(stack, waiting, opened)
                waiting += 1
            elif alone:
                _add_rows(views, opened, weighted, n_features, low, sphere, shared)
            else:
                _add_positions(
                    views, opened, weighted, n_features, places, sphere, scratch, own
                )  # fmt: skip


@step
def _bound_group(positions, first, size, n_features, places, low, high):
    """Lay a group's positions into lanes and bound them; returns the diagonal squared."""
    width_sq = 0.0
    for f in range(n_features):
        least = most = item(positions, first * n_features + f)
        for lane in range(LANES):
            place = item(positions, (first + min(lane, size - 1)) * n_features + f)
            put(places, f * LANES + lane, place)
            least, most = min(least, place), max(most, place)
        put(low, f, least)
        put(high, f, most)
        width_sq += (most - least) * (most - least)
    return width_sq


@step
def _shift_block(tree, positions, block, sphere, support, moves, memory, stack):
    """Shift a block of positions in place; one whose ball is empty stays, with support 0."""
    n_features = positions.shape[1]
    views = (
        flat(tree.points), flat(tree.point_weights), flat(tree.steepness), flat(tree.lower),
        flat(tree.upper), flat(tree.weight), flat(tree.weighted_sum),
    )  # fmt: skip
    first_child, stack, at = flat(tree.first_child), flat(stack), flat(positions)
    shared, own, places, scratch, low, high = (
        flat(memory[0]), flat(memory[1]), flat(memory[2]), flat(memory[3]), flat(memory[4]),
        flat(memory[5]),
    )  # fmt: skip
    weighted = np.int64(tree.point_weights.shape[0] > 1)
    widest_group = WIDE_GROUP * tree.leaf_width
    first, stop = block * BLOCK, min((block + 1) * BLOCK, positions.shape[0])
    while first < stop:
        size = min(LANES, stop - first)
        width_sq = _bound_group(at, first, size, n_features, places, low, high)
        alone = width_sq > widest_group * widest_group or size == 1 or n_features > MANY
        if alone:
            size = 1
            _bound_group(at, first, size, n_features, places, low, high)
        _sum_balls(
            views, first_child, tree.n_upper, weighted, n_features, places, low, high, alone,
            sphere, stack, scratch, shared, own,
        )  # fmt: skip
        for member in range(size):
            row = first + member
            weight = total(load(shared, n_features)) + item(own, n_features * LANES + member)
            move_sq = 0.0
            for f in range(n_features if weight > 0.0 else 0):
                mean = (total(load(shared, f)) + item(own, f * LANES + member)) / weight
                move = mean - item(at, row * n_features + f)
                move_sq += move * move
                put(at, row * n_features + f, mean)
            support[row], moves[row] = weight, np.sqrt(move_sq)
        first += size


@parallel
def _shift_all(tree, positions, sphere, support, moves):
    for block in prange((positions.shape[0] + BLOCK - 1) // BLOCK):
        memory = np.empty((6, positions.shape[1] + LANES, LANES))
        stack = np.empty(STACK, np.int64)
        at = np.int64(block)  # prange counts unsigned, which would compile the block twice
        _shift_block(tree, positions, at, sphere, support, moves, memory, stack)


def widths_of(variances: NDArray[np.float64]) -> NDArray[np.float64]:
    """How wide cells are whose rows vary so much.

    Parameters
    ----------
    variances : float64 array of shape (n_cells,)
        In squares of the bandwidth.

    Returns
    -------
    float64 array of shape (n_cells,) or (0,)
        In bandwidths. Empty where none is wider than a 256th: such cells are points.
    """
    widths = np.sqrt(12.0 * variances)
    return widths if widths.max(initial=0.0) > NARROW else UNWEIGHTED


def lay(tree: MomentTree, widths: NDArray[np.float64]) -> SlabTree:
    """Give the points of a tree their widths.

    Parameters
    ----------
    tree : MomentTree
        Points of cells.
    widths : float64 array of shape (n_cells,)
        Their widths, in the unit of the points and in the order of the table.

    Returns
    -------
    SlabTree
    """
    steepness = np.zeros(tree.points.shape[::2])
    ranks = steepness.reshape(-1)[: len(widths)]
    ordered = widths[tree.order]
    np.divide(1.0, ordered, out=ranks, where=ordered > 0.0)
    return SlabTree(
        steepness, float(widths.max()), tree.points, tree.point_weights, tree.order, tree.lower,
        tree.upper, tree.weight, tree.weighted_sum, tree.first_child, tree.n_upper,
        tree.leaf_width,
    )  # fmt: skip


def shift(
    tree: SlabTree, positions: NDArray[np.float64], bandwidth: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move every position, in place, to the mean of the slabs in its ball.

    Parameters
    ----------
    tree : SlabTree
        The points of cells.
    positions : C-ordered float64 array of shape (n_positions, n_features)
        Overwritten by the means; a position with an empty ball stays where it is. Fastest where
        neighbours in space follow one another.
    bandwidth : float
        Radius of the ball, positive, in the unit of the positions.

    Returns
    -------
    support, moves : float64 arrays of shape (n_positions,)
        The weight in each ball, 0 where it is empty, and how far each position went.

    Notes
    -----
    Bit-equal for every number of threads.
    """
    support, moves = np.empty((2, len(positions)))
    radius_sq, reach = bandwidth * bandwidth, bandwidth * tree.widest
    sphere = (radius_sq, 0.5 / bandwidth, radius_sq + reach, radius_sq - reach)
    first = FIRST // tree.points.size
    for start, stop in pieces(len(positions), first=first, multiple=BLOCK):
        _shift_all(tree, positions[start:stop], sphere, support[start:stop], moves[start:stop])
    return support, moves
