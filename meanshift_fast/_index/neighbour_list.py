"""The neighbour list with a skin of the projected index: rows that a moving position may pass.

A position near its endpoint moves little. It keeps a neighbour list with a skin: what lies inside
or outside for all positions within the skin's width is settled once, and only the listed rows can
change sides, until the position has left the skin:

    bandwidth - width    <    listed    <=    bandwidth + width
    summed once                                   skipped

A listed row keeps its distance from where the list was made. If that differs from the bandwidth by
more than the position has moved since, the row is still on its side and is not measured.

One thread, CPU time, medians of three turns, each the best of twelve: the fit of 1,797 digits with
the bandwidths 20, 22 and 25 takes 53, 64 and 76 ms so, 53, 67 and 83 if all listed rows are
measured, and 81, 108 and 96 without a skin.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index.box_distances import gap_and_span
from meanshift_fast._index.traversal import FEATURES_A_CHECK, TreeViews, push_children
from meanshift_fast._jit.compiler import inlined, step
from meanshift_fast._jit.simd import LANES, bits, full, fused, item, load, lowest, put, store, total

HELD_ROWS = 64  # rows that wait to be summed, a feature's sum then staying in registers
MAX_MOVE_IN_RADII, SKIN_IN_MOVES, MAX_SKIN_IN_RADII = 0.25, 1.5, 0.15  # see skin_width


class ListViews(NamedTuple):
    """Projections and their tree as the steps take them, all arrays as flat pointers.

    Attributes
    ----------
    n_vectors : int
        Vectors of sixteen values that a row takes.
    size : int
        Numbers of a projection.
    """

    rows: NDArray[np.float64]
    row_weights: NDArray[np.float64]
    weighted: bool
    child_sums: NDArray[np.float64]
    tree: TreeViews
    n_features: int
    n_vectors: int
    size: int


class ListMemory(NamedTuple):
    """The memory of one trajectory, in flat pointers.

    Attributes
    ----------
    place, off, projection
        The position, its difference from the middle, and its projection.
    sums, base
        The sums of the ball, and those of the rows nearer than all of the skin.
    home
        Where the list was made.
    stack, held
        Blocks that wait, and rows that wait to be summed.
    skin, skin_distances
        The ranks of the listed rows, and their distances from home.
    """

    place: NDArray[np.float64]
    off: NDArray[np.float64]
    projection: NDArray[np.float64]
    sums: NDArray[np.float64]
    base: NDArray[np.float64]
    home: NDArray[np.float64]
    stack: NDArray[np.int64]
    held: NDArray[np.int64]
    skin: NDArray[np.int64]
    skin_distances: NDArray[np.float64]


# The box tests of `traversal.py` with three changes: sums may be fused, because the blur is far
# above all rounding; the last feature of the right bound is a sum; and a block of which no child is
# near, or inside, is left before all features are read.


@inlined
def _within(tree, block, n_tested, size, projection, distance_sq, limit_sq, farther):
    """Bits of the boxes of projections whose nearer or farther edges are within the limit.

    Of ``size`` columns the first ``n_tested`` are added to ``distance_sq``, that of the others.
    """
    first = 0
    while first < n_tested:
        for f in range(first, min(first + FEATURES_A_CHECK, n_tested)):
            k, value = block * size + f, item(projection, f)
            gap, span = gap_and_span(load(tree.lower, k), load(tree.upper, k), value, value)
            edge = span if farther else gap
            distance_sq = fused(edge, edge, distance_sq)
        if bits(distance_sq <= limit_sq) == 0:
            return 0
        first += FEATURES_A_CHECK
    return bits(distance_sq <= limit_sq)


@step
def _inside(tree, block, size, projection, limit_sq):
    """Bits of the boxes of projections in which no row can be farther than the limit."""
    off = load(tree.upper, block * size + size - 1) + item(projection, size - 1)
    return _within(tree, block, size - 1, size, projection, off * off, limit_sq, True)


@step
def _possible_and_sure(projections, leaf, size, projection, outer_sq, inner_sq):
    """Bits of a leaf's rows that may be in the ball by their projections, and that surely are."""
    distance_sq = full(0.0)
    first = 0
    while first < size:
        for f in range(first, min(first + FEATURES_A_CHECK, size)):
            away = load(projections, leaf * size + f) - item(projection, f)
            distance_sq = fused(away, away, distance_sq)
        if bits(distance_sq <= outer_sq) == 0:
            return 0, 0
        first += FEATURES_A_CHECK
    # (q + q')^2 is (q - q')^2 + 4 q q'
    off = load(projections, leaf * size + size - 1) * (4.0 * item(projection, size - 1))
    possible = bits(distance_sq <= outer_sq)
    return possible, possible & bits(distance_sq + off <= inner_sq)


@step
def _distance_sq(rows, row, n_vectors, place):
    distance_sq = full(0.0)
    for k in range(n_vectors):
        away = load(rows, row * n_vectors + k) - load(place, k)
        distance_sq = fused(away, away, distance_sq)
    return total(distance_sq)


@step
def _add_held(views, held, n_held, sums):
    """Add the held rows to the sums; their weight."""
    rows, row_weights, n_vectors = views.rows, views.row_weights, views.n_vectors
    support = 0.0
    if views.weighted:
        for j in range(n_held):
            support += item(row_weights, item(held, j))
        for k in range(n_vectors):
            feature_sums = load(sums, k)
            for j in range(n_held):
                row = item(held, j)
                values = load(rows, row * n_vectors + k)
                feature_sums = feature_sums + values * item(row_weights, row)
            store(sums, k, feature_sums)
        return support
    for k in range(n_vectors):
        feature_sums = load(sums, k)
        for j in range(n_held):
            feature_sums = feature_sums + load(rows, item(held, j) * n_vectors + k)
        store(sums, k, feature_sums)
    return float(n_held)


@step
def _add_children(views, block, inside, sums, support):
    """Add the sums of the children of a block that are inside, and their weights to a weight."""
    while inside != 0:
        child = block * LANES + lowest(inside)
        inside &= inside - 1
        support += item(views.tree.weight, child)
        for k in range(views.n_vectors):
            store(sums, k, load(sums, k) + load(views.child_sums, child * views.n_vectors + k))
    return support


@step
def _scan_leaf(views, memory, leaf, outer_sq, inner_sq, n_held, n_skin):
    """Hold a leaf's rows that are inside, and list those in the skin; how many there are now."""
    possible, sure = _possible_and_sure(
        views.tree.points, leaf, views.size, memory.projection, outer_sq, inner_sq
    )
    while possible != 0:
        lane = lowest(possible)
        possible &= possible - 1
        row = leaf * LANES + lane
        distance_sq = 0.0
        if (sure >> lane) & 1 == 0:
            distance_sq = _distance_sq(views.rows, row, views.n_vectors, memory.place)
        put(memory.held, n_held, row)
        n_held += distance_sq <= inner_sq
        put(memory.skin, n_skin, row)
        put(memory.skin_distances, n_skin, np.sqrt(distance_sq))
        n_skin += (distance_sq > inner_sq) & (distance_sq <= outer_sq)
    return n_held, n_skin


@step
def list_neighbours(views, memory, outer, inner):
    """Sum the rows nearer than ``inner`` and list those up to ``outer``: weight, and how many.

    No row is nearer than a negative ``inner``, not even one whose projection is the position's.
    """
    tree, size, sums, held = views.tree, views.size, memory.base, memory.held
    outer_sq, inner_sq = outer * outer, inner * abs(inner)
    for k in range(views.n_vectors):
        store(sums, k, full(0.0))
    support, n_held, n_skin, waiting = 0.0, np.int64(0), np.int64(0), np.int64(1)
    put(memory.stack, 0, 0)
    while waiting > 0:
        waiting -= 1
        block = item(memory.stack, waiting)
        near = _within(tree, block, size, size, memory.projection, full(0.0), outer_sq, False)
        inside = near
        if near != 0:
            inside &= _inside(tree, block, size, memory.projection, inner_sq)
        support = _add_children(views, block, inside, sums, support)
        cut, child = near & ~inside, item(tree.first_child, block)
        if block < tree.n_upper:
            waiting = push_children(memory.stack, waiting, child, cut)
            continue
        while cut != 0:
            leaf = child + lowest(cut)
            cut &= cut - 1
            n_held, n_skin = _scan_leaf(views, memory, leaf, outer_sq, inner_sq, n_held, n_skin)
            if n_held >= HELD_ROWS - LANES:
                support += _add_held(views, held, n_held, sums)
                n_held = np.int64(0)
    support += _add_held(views, held, n_held, sums)
    return support, n_skin


@step
def sum_neighbours(views, memory, radius, settled, n_skin):
    """Add the listed rows in the ball to the sum of those surely inside; their weight.

    Rows whose listed distances differ from the radius by more than ``settled`` are not measured.
    """
    rows, place, n_vectors = views.rows, memory.place, views.n_vectors
    radius_sq = radius * radius
    doubt = radius_sq * (views.n_features + 8) * 2.0**-50
    for k in range(n_vectors):
        store(memory.sums, k, load(memory.base, k))
    support, n_held = 0.0, np.int64(0)
    for j in range(n_skin):
        row, beyond = item(memory.skin, j), item(memory.skin_distances, j) - radius
        if abs(beyond) <= settled:
            distance_sq = _distance_sq(rows, row, n_vectors, place)
            beyond = distance_sq - radius_sq
            if abs(beyond) <= doubt:
                distance_sq = 0.0
                for f in range(views.n_features):
                    away = item(rows, row * n_vectors * LANES + f) - item(place, f)
                    distance_sq += away * away
                beyond = distance_sq - radius_sq
        put(memory.held, n_held, row)
        n_held += beyond <= 0.0
        if n_held == HELD_ROWS:
            support += _add_held(views, memory.held, n_held, memory.sums)
            n_held = np.int64(0)
    return support + _add_held(views, memory.held, n_held, memory.sums)


@step
def skin_width(move, radius):
    """How far a position may go after such a move before the rows are scanned again.

    What is left of a trajectory is about one and a half of its last moves. After a long move a skin
    would hold most rows, and cost 5 times more than it saves (10,000 x 64, a tenth of the rows in a
    ball). Skins a third wider, after moves up to 0.35 of the radius, leave digits as they are and
    slow 1,000 x 64 rows down from 12 to 15 ms.
    """
    if move > MAX_MOVE_IN_RADII * radius:
        return 0.0
    return min(SKIN_IN_MOVES * move, MAX_SKIN_IN_RADII * radius)
