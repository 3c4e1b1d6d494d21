"""The index of rows in many columns: most rows are settled by their projections.

In many columns no box of sixteen rows is small, and a tree of boxes opens nearly all its leaves.
But rows seldom fill their dimensions. Coordinates along the sixteen axes of largest spread, and the
distance off these axes, are a projection of seventeen numbers (`projection.py`) that bounds
distances from both sides:

    row x, middle c          along the axes: z = V'(x - c)          off the axes: q = |x - c - V z|

    |z - z'|^2 + (q - q')^2  <=  |x - x'|^2  <=  |z - z'|^2 + (q + q')^2

The moment tree is built over the projections. A child whose box is beyond the ball by the left
bound is skipped, one inside it by the right bound is added by its sums, the others are opened. A
row of a leaf that the left bound does not rule out is measured in all its features.

Projections are rounded, and so are axes. With E = V'V - 1, both bounds hold up to a factor
1 + 2 |E|, and a computed projection is off by at most some (n_features + n_axes) eps |x - c|. So
projections decide for a ball that is wider, or narrower, by

    blur * (bandwidth + reach + |x' - c|),      reach = the largest |x - c|

with a blur far above both. The sum over the features of a row, in any order, is within
(n_features + 2) eps of the exact one: where that could decide on which side of the sphere a row
lies, it is summed once more, feature by feature, as the flat index does. So the rows in a ball are
the flat index's, to the last one.

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

import sys
from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.base import Index, Walk
from meanshift_fast._index.projection import Projections, project_position
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import parallel, step
from meanshift_fast._jit.simd import (
    LANES,
    bits,
    fetch_add,
    flat,
    full,
    fused,
    item,
    load,
    lowest,
    put,
    store,
    total,
    where,
)
from meanshift_fast._jit.threads import available_threads

# Positions that a thread takes at a time: neighbours in space, if given in such an order. The fit
# of the digits takes 22.3 ms so, and 24.1 if each of two threads has half; with 1 or 16 as with 4.
POSITIONS_A_TAKE = 4
STACK = 160  # fifteen siblings wait at each level; ten levels hold 16^10 rows
HELD_ROWS = 64  # rows that wait to be summed, a feature's sum then staying in registers
FEATURES_A_CHECK = (
    8  # numbers of a projection between two looks at whether a partial distance is too large
)
FIRST_CHUNK_VALUES = 1 << 30  # read or measured by the first chunk, at most: less than a second
STEPS_A_CALL = (
    16  # that a position takes in a call; the first scans all rows (digits: 5 and 32 as 16)
)
MIN_FEATURES = 33  # fewer are left to the tree: 10,000 x 32 gains nothing
MAX_MOVE_IN_RADII, SKIN_IN_MOVES, MAX_SKIN_IN_RADII = 0.25, 1.5, 0.15  # see _skin_width


@step
def _near(lower, upper, block, size, projection, limit_sq):
    """Which of sixteen boxes of projections come nearer than the limit."""
    zero = full(0.0)
    gap_sq = zero
    first = 0
    while first < size:
        for f in range(first, min(first + FEATURES_A_CHECK, size)):
            below = load(lower, block * size + f) - item(projection, f)
            above = item(projection, f) - load(upper, block * size + f)
            outside = where(below > above, below, above)
            outside = where(outside > 0.0, outside, zero)
            gap_sq = fused(outside, outside, gap_sq)
        if bits(gap_sq <= limit_sq) == 0:
            return 0
        first += FEATURES_A_CHECK
    return bits(gap_sq <= limit_sq)


@step
def _inside(lower, upper, block, size, projection, limit_sq):
    """In which of sixteen boxes of projections no row can be farther than the limit."""
    off = load(upper, block * size + size - 1) + item(projection, size - 1)
    far_sq = off * off
    first = 0
    while first < size - 1:
        for f in range(first, min(first + FEATURES_A_CHECK, size - 1)):
            to_low = item(projection, f) - load(lower, block * size + f)
            to_high = load(upper, block * size + f) - item(projection, f)
            across = where(to_low > to_high, to_low, to_high)
            far_sq = fused(across, across, far_sq)
        if bits(far_sq <= limit_sq) == 0:
            return 0
        first += FEATURES_A_CHECK
    return bits(far_sq <= limit_sq)


@step
def _sort_out(projections, leaf, size, projection, outer_sq, inner_sq):
    """Which rows of a leaf are possibly in the ball by their projections, and which surely."""
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
def _distance_sq(rows, row, chunks, place):
    distance_sq = full(0.0)
    for k in range(chunks):
        away = load(rows, row * chunks + k) - load(place, k)
        distance_sq = fused(away, away, distance_sq)
    return total(distance_sq)


@step
def _add_rows(rows, row_weights, weighted, chunks, held, n_held, sums):
    """Add some rows to the sums; returns their weight."""
    support = 0.0
    if weighted:
        for j in range(n_held):
            support += item(row_weights, item(held, j))
        for k in range(chunks):
            feature_sums = load(sums, k)
            for j in range(n_held):
                row = item(held, j)
                feature_sums = feature_sums + load(rows, row * chunks + k) * item(row_weights, row)
            store(sums, k, feature_sums)
        return support
    for k in range(chunks):
        feature_sums = load(sums, k)
        for j in range(n_held):
            feature_sums = feature_sums + load(rows, item(held, j) * chunks + k)
        store(sums, k, feature_sums)
    return float(n_held)


@step
def _scan(
    views, first_child, n_upper, chunks, size, place, projection, outer, inner, stack, held, skin,
    sums,
):  # fmt: skip
    """Sum the rows nearer than ``inner`` and list those up to ``outer``: weight, and how many.

    The two parts of ``skin`` list their ranks and distances. No row is nearer than a negative
    ``inner``, not even one whose projection is that of the position.
    """
    rows, row_weights, weighted, child_sums, projections, lower, upper, weight = views
    outer_sq, inner_sq = outer * outer, inner * abs(inner)
    for k in range(chunks):
        store(sums, k, full(0.0))
    support, n_held, n_skin, waiting = 0.0, 0, 0, 1
    put(stack, 0, 0)
    while waiting > 0:
        waiting -= 1
        block = item(stack, waiting)
        near = _near(lower, upper, block, size, projection, outer_sq)
        inside = near
        if near != 0:
            inside &= _inside(lower, upper, block, size, projection, inner_sq)
        cut = near & ~inside
        while inside != 0:
            child = block * LANES + lowest(inside)
            inside &= inside - 1
            support += item(weight, child)
            for k in range(chunks):
                store(sums, k, load(sums, k) + load(child_sums, child * chunks + k))
        while cut != 0:
            opened = item(first_child, block) + lowest(cut)
            cut &= cut - 1
            if block < n_upper:
                put(stack, waiting, opened)
                waiting += 1
                continue
            possible, sure = _sort_out(projections, opened, size, projection, outer_sq, inner_sq)
            while possible != 0:
                lane = lowest(possible)
                possible &= possible - 1
                row = opened * LANES + lane
                distance_sq = 0.0
                if (sure >> lane) & 1 == 0:
                    distance_sq = _distance_sq(rows, row, chunks, place)
                put(held, n_held, row)
                n_held += distance_sq <= inner_sq
                put(skin[0], n_skin, row)
                put(skin[1], n_skin, np.sqrt(distance_sq))
                n_skin += (distance_sq > inner_sq) & (distance_sq <= outer_sq)
            if n_held >= HELD_ROWS - LANES:
                support += _add_rows(rows, row_weights, weighted, chunks, held, n_held, sums)
                n_held = 0
    support += _add_rows(rows, row_weights, weighted, chunks, held, n_held, sums)
    return support, n_skin


@step
def _sum_skin(
    views, n_features, chunks, place, radius, settled, skin, n_skin, held, base, sums
):  # fmt: skip
    """Add the listed rows in the ball to the sum of those surely inside; returns their weight.

    Rows whose listed distances differ from the radius by more than ``settled`` are not measured.
    """
    radius_sq = radius * radius
    doubt = radius_sq * (n_features + 8) * 2.0**-50
    rows, row_weights, weighted = views[0], views[1], views[2]
    for k in range(chunks):
        store(sums, k, load(base, k))
    support, n_held = 0.0, 0
    for j in range(n_skin):
        row, beyond = item(skin[0], j), item(skin[1], j) - radius
        if abs(beyond) <= settled:
            distance_sq = _distance_sq(rows, row, chunks, place)
            beyond = distance_sq - radius_sq
            if abs(beyond) <= doubt:
                distance_sq = 0.0
                for f in range(n_features):
                    away = item(rows, row * chunks * LANES + f) - item(place, f)
                    distance_sq += away * away
                beyond = distance_sq - radius_sq
        put(held, n_held, row)
        n_held += beyond <= 0.0
        if n_held == HELD_ROWS:
            support += _add_rows(rows, row_weights, weighted, chunks, held, n_held, sums)
            n_held = 0
    return support + _add_rows(rows, row_weights, weighted, chunks, held, n_held, sums)


@step
def _skin_width(move, radius):
    """How far a position that came by such a move may go before the rows are scanned again.

    What is left of a trajectory is about one and a half of its last moves. After a long move a skin
    would hold most rows, and cost 5 times more than it saves (10,000 x 64, a tenth of the rows in a
    ball). Skins a third wider, after moves up to 0.35 of the radius, leave digits as they are and
    slow 1,000 x 64 rows down from 12 to 15 ms.
    """
    return (
        min(SKIN_IN_MOVES * move, MAX_SKIN_IN_RADII * radius)
        if move <= MAX_MOVE_IN_RADII * radius
        else 0.0
    )


@step
def _follow_one(
    data, views, first_child, middle, axes, n_features, radius, rest, places, first, support,
    moves, memory, stack, held, skin,
):  # fmt: skip
    """Shift a position again and again, until it rests or there is no more room.

    Where the steps led is written to places[first:].
    """
    place, off, projection, sums, base, home = memory
    width, n_axes = data.rows.shape[1], data.axes.shape[0]
    chunks = width // LANES
    width_of_skin = unsure = moved = base_support = 0.0
    n_skin = 0
    for number in range(support.shape[0]):
        if number == 0 or moved > width_of_skin:
            width_of_skin = _skin_width(moves[number - 1], radius) if number > 0 else 0.0
            distance = project_position(middle, axes, n_axes, width, place, off, projection)
            unsure = data.blur * (radius + data.reach + distance)
            base_support, n_skin = _scan(
                views, first_child, data.n_upper, chunks, n_axes + 1, place, projection,
                radius + width_of_skin + unsure, radius - width_of_skin - unsure, stack, held,
                skin, base,
            )  # fmt: skip
            for k in range(chunks):
                store(home, k, load(place, k))
            width_of_skin *= 1.0 - data.blur
            moved = 0.0
        weight = base_support + _sum_skin(
            views, n_features, chunks, place, radius, moved + unsure, skin, n_skin, held, base,
            sums,
        )  # fmt: skip
        move_sq = moved_sq = 0.0
        if weight > 0.0:
            for f in range(n_features):
                mean = item(sums, f) / weight
                move = mean - item(place, f)
                move_sq += move * move
                away = mean - item(home, f)
                moved_sq += away * away
                put(place, f, mean)
        moved = np.sqrt(moved_sq)
        support[number], moves[number] = weight, np.sqrt(move_sq)
        for f in range(n_features):
            put(places, first + number * n_features + f, item(place, f))
        if moves[number] <= rest or weight == 0.0:
            break


@step
def _follow_some(
    data, positions, radius, rest, places, support, moves, counter, memory, integers, distances
):  # fmt: skip
    """Follow positions, some at a time, until none is left to take."""
    views = (
        flat(data.rows), flat(data.row_weights), data.row_weights.shape[0] > 0,
        flat(data.sums), flat(data.leaves), flat(data.lower), flat(data.upper),
        flat(data.weight),
    )  # fmt: skip
    middle, axes, first_child = flat(data.middle), flat(data.axes), flat(data.first_child)
    lanes = (
        flat(memory[0]), flat(memory[1]), flat(memory[2]), flat(memory[3]), flat(memory[4]),
        flat(memory[5]),
    )  # fmt: skip
    n_features, at, led_to = positions.shape[1], flat(positions), flat(places)
    stack, held = flat(integers), flat(integers[STACK:])
    skin = flat(integers[STACK + HELD_ROWS + 1 :]), flat(distances)
    start = fetch_add(flat(counter), POSITIONS_A_TAKE)
    while start < positions.shape[0]:
        for i in range(start, min(start + POSITIONS_A_TAKE, positions.shape[0])):
            for f in range(n_features):
                put(lanes[0], f, item(at, i * n_features + f))
            _follow_one(
                data, views, first_child, middle, axes, n_features, radius, rest, led_to,
                i * places.shape[1] * n_features, support[i], moves[i], lanes, stack, held, skin,
            )  # fmt: skip
            for f in range(n_features):
                put(at, i * n_features + f, item(lanes[0], f))
        start = fetch_add(flat(counter), POSITIONS_A_TAKE)


@parallel
def _follow_all(data, positions, radius, rest, places, support, moves, counter, n_threads):
    for _ in prange(n_threads):
        memory = np.zeros((6, data.rows.shape[1] + LANES))
        integers = np.empty(STACK + HELD_ROWS + 2 + data.order.shape[0], np.int64)
        distances = np.empty(data.order.shape[0] + 1)
        _follow_some(
            data, positions, radius, rest, places, support, moves, counter, memory, integers,
            distances,
        )  # fmt: skip


def is_worth(points: NDArray[np.float64], n_seeds: int) -> bool:
    """Whether so many seeds pay for projections of a table."""
    return n_seeds > max_seeds_without(points)


def max_seeds_without(points: NDArray[np.float64]) -> int:
    """Find the largest number of seeds that projections of a table do not pay for.

    Parameters
    ----------
    points : float64 array of shape (n_samples, n_features)
        The rows.

    Returns
    -------
    int
        An eighth of the rows, at least 16; in fewer columns than projections are for, as many as
        there can be.
    """
    n_samples, n_features = points.shape
    return max(n_samples // 8, LANES) if n_features >= MIN_FEATURES else sys.maxsize


def next_steps(
    data: Projections, positions: NDArray[np.float64], n_steps: int, rest: float, bandwidth: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Take the next steps of trajectories: as :func:`meanshift_fast._index.flat.next_steps`.

    ``positions`` are C-ordered, float64 and overwritten, ``bandwidth`` is positive.
    """
    n_steps = min(n_steps, STEPS_A_CALL)
    places = np.empty((len(positions), n_steps, positions.shape[1]))
    support = np.empty((len(positions), n_steps))
    moves = np.empty((len(positions), n_steps))
    first = max(FIRST_CHUNK_VALUES // (data.rows.size * n_steps), 1)
    for start, stop in chunks(len(positions), first=first, multiple=POSITIONS_A_TAKE):
        _follow_all(
            data, positions[start:stop], float(bandwidth), float(rest),
            places[start:stop], support[start:stop], moves[start:stop],
            np.zeros(1, dtype=np.int64), available_threads(),
        )  # fmt: skip
    return places, support, moves


def shift(
    data: Projections, positions: NDArray[np.float64], bandwidth: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move every position once, in place: the first of its :func:`next_steps`.

    Returns
    -------
    support, moves : float64 arrays of shape (n_positions,)
        The weight in each ball, 0 where it is empty, and how far each position went.
    """
    _, support, moves = next_steps(data, positions, 1, 0.0, bandwidth)
    return support[:, 0], moves[:, 0]


@dataclass(frozen=True)
class ProjectedIndex(Index):
    """Rows in many columns, most of them settled by their projections on sixteen axes."""

    projections: Projections
    radius: float
    depends_on_position_alone = True

    @property
    def order(self) -> NDArray[np.signedinteger]:
        """The rows in the order of the tree of their projections."""
        return self.projections.order

    def shift(
        self, positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move every position to the mean of the rows in its ball."""
        return shift(self.projections, positions, self.radius)

    def walk(self, positions: NDArray[np.float64], n_steps: int, rest: float) -> Walk:
        """Take some steps of each position."""
        return Walk(*next_steps(self.projections, positions, n_steps, rest, self.radius))
