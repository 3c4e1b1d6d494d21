"""One shift of many positions, where there are many features: through a sketch of every row.

In many dimensions no box of sixteen rows is small, and a tree of boxes opens nearly all its leaves.
But rows seldom fill their dimensions. Sixteen axes along which they spread most, and how far a row
lies off these axes, are a sketch of seventeen numbers that tells most rows in or out:

    row x, middle c          along the axes: z = V'(x - c)          off the axes: q = |x - c - V z|

    |z - z'|^2 + (q - q')^2  <=  |x - x'|^2  <=  |z - z'|^2 + (q + q')^2

The moment tree is built over the sketches. A child whose box is beyond the ball by the left bound
is passed over, one inside it by the right bound is taken by its sums, the others are opened. A row
of a leaf that the left bound does not rule out is measured in all its features.

Sketches are rounded, and so are axes. With E = V'V - 1, both bounds hold up to a factor 1 + 2 |E|,
and a computed sketch is off by no more than some (n_features + n_axes) eps |x - c|. What is judged
by sketches is therefore judged for a ball that is wider, or narrower, by

    blur * (bandwidth + reach + |x' - c|),      reach = the largest |x - c|

with a blur far above both. The sum over the features of a row, in any order, is within
(n_features + 2) eps of the exact one: where that could tell on which side of the sphere a row lies,
it is summed once more, feature by feature, as scikit-learn's definition and shift.py do. So the
rows in a ball are the same as in shift.py to the last one.

A position that has come near its end moves little. What lies surely inside or outside for all
places within some slack of where it is, is then settled once, and only the shell between is looked
at again, until the position has left the slack:

    bandwidth - slack    <    looked at in every shift    <=    bandwidth + slack
    summed once                                                 passed over

Of the shell's rows the distances are known from where it was made. One that lay farther from the
sphere than the position has gone since is still on its side of it, and is not measured: of the 22
rows in a shell of digits, 14. A fit of 3,000 x 128 rows of six factors, a tenth of them in a ball,
takes 518 ms so, and 620 with all of the shell measured.

The climb of 1,797 digits of 64 pixels takes 69 ms by the tree and 13 ms by sketches with shells.
"""

import sys
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index import moment_tree as tree
from meanshift_fast._index.base import Index, Walk
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import parallel, serial, step
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

AXES = 16
# Positions that a thread draws at a time: neighbours in space, where they were so given. The fit of
# the digits takes 22.3 ms so, and 24.1 if each of two threads has half; with 1 or 16 as with 4.
BLOCK = 4
STACK = 160  # fifteen siblings wait at each level; ten levels hold 16^10 rows
HELD = 64  # rows that wait to be summed, a feature's sum then staying in registers
EARLY = 8  # numbers of a sketch between two looks at whether a partial distance is too large
FIRST_CHUNK_VALUES = 1 << 30  # read or measured by the first chunk, at most: less than a second
STEPS = 16  # that a position takes in a call; the first scans all rows (digits: 5 and 32 as 16)
SAMPLE = 512  # rows that choose the axes
TURNS = 8
ROWS = 256  # rows that one task sketches
FEATURES = 33  # fewer are left to the tree: 10,000 x 32 gains nothing
NEAR_MOVE, SLACK, WIDEST = 0.25, 1.5, 0.15  # the shell's width, see _slack_after


class Sketch(NamedTuple):
    """Rows in the order of a moment tree over their sketches.

    Attributes
    ----------
    rows : float64 array of shape (n_samples, width)
        The rows by rank; zeros fill up the features to a multiple of sixteen.
    row_weights : float64 array of shape (n_samples,) or (0,)
        Their weights; empty where all are 1.
    sums : float64 array of shape (n_blocks, 16, width)
        The weighted sums of the rows of each block's children.
    middle : float64 array of shape (width,)
        The mean of some rows.
    axes : float64 array of shape (n_axes, width)
        Orthonormal directions, that of the largest spread first.
    reach : float
        The largest distance of a row from the middle.
    blur : float
        How far sketches may be wrong, relative to the lengths that they are made of.
    sketches, order, lower, upper, weight, first_child, n_upper
        Of the moment tree over the sketches, n_axes + 1 numbers each: see tree.py. Not the tree as
        it is, since Numba hands no tuple of tuples to a parallel loop.
    """

    rows: NDArray[np.float64]
    row_weights: NDArray[np.float64]
    sums: NDArray[np.float64]
    middle: NDArray[np.float64]
    axes: NDArray[np.float64]
    reach: float
    blur: float
    sketches: NDArray[np.float64]
    order: NDArray[np.signedinteger]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    weight: NDArray[np.float64]
    first_child: NDArray[np.int64]
    n_upper: int


@step
def _draw(middle, axes, n_axes, width, place, off, sketch):
    """Sketch a position; returns its distance from the middle."""
    distance_sq = full(0.0)
    for k in range(width // LANES):
        away = load(place, k) - load(middle, k)
        store(off, k, away)
        distance_sq = fused(away, away, distance_sq)
    for axis in range(n_axes):
        along = full(0.0)
        for k in range(width // LANES):
            along = fused(load(off, k), load(axes, axis * (width // LANES) + k), along)
        put(sketch, axis, total(along))
    off_sq = full(0.0)
    for k in range(width // LANES):
        away = load(off, k)
        for axis in range(n_axes):
            away = fused(load(axes, axis * (width // LANES) + k), -item(sketch, axis), away)
        off_sq = fused(away, away, off_sq)
    put(sketch, n_axes, np.sqrt(total(off_sq)))
    return np.sqrt(total(distance_sq))


@step
def _draw_rows(points, start, stop, middle, axes, sketches, distances, memory):
    n_features, n_axes, width = points.shape[1], axes.shape[0], axes.shape[1]
    for row in range(start, stop):
        for f in range(n_features):
            put(flat(memory[0]), f, points[row, f])
        distances[row] = _draw(
            flat(middle), flat(axes), n_axes, width, flat(memory[0]), flat(memory[1]),
            flat(memory[2]),
        )  # fmt: skip
        for axis in range(n_axes + 1):
            sketches[row, axis] = memory[2, axis]


@parallel
def _draw_all(points, middle, axes, sketches, distances):
    for task in prange((points.shape[0] + ROWS - 1) // ROWS):
        start, stop = np.int64(task * ROWS), min((task + 1) * ROWS, points.shape[0])
        memory = np.zeros((3, axes.shape[1] + LANES))
        _draw_rows(points, start, stop, middle, axes, sketches, distances, memory)


@step
def _straighten(axes, axis, chunks):
    """Make an axis orthogonal to those before it and of length 1; or 0, if it lies among them."""
    for _ in range(2):
        length_sq = full(0.0)
        for k in range(chunks):
            length_sq = length_sq + load(axes, axis * chunks + k) * load(axes, axis * chunks + k)
        before = np.sqrt(total(length_sq))
        for other in range(axis):
            along = full(0.0)
            for k in range(chunks):
                along = along + load(axes, axis * chunks + k) * load(axes, other * chunks + k)
            shared = total(along)
            for k in range(chunks):
                part = load(axes, other * chunks + k) * shared
                store(axes, axis * chunks + k, load(axes, axis * chunks + k) - part)
        length_sq = full(0.0)
        for k in range(chunks):
            length_sq = length_sq + load(axes, axis * chunks + k) * load(axes, axis * chunks + k)
        length = np.sqrt(total(length_sq))
        scale = 1.0 / length if length > 1e-9 * before else 0.0
        for k in range(chunks):
            store(axes, axis * chunks + k, load(axes, axis * chunks + k) * scale)


@serial
def _turn(sample, spread, axes, turned, n_turns):
    """Turn axes towards the largest spread of some rows about their middle, by power iteration.

    They need not come to be the principal axes: any orthonormal ones give true bounds.
    """
    width, n_axes = sample.shape[1], axes.shape[0]
    chunks = width // LANES
    rows, products, old, new = flat(sample), flat(spread), flat(axes), flat(turned)
    for row in range(sample.shape[0]):
        for f in range(width):
            value = item(rows, row * width + f)
            for k in range(chunks):
                product = load(rows, row * chunks + k) * value
                store(products, f * chunks + k, load(products, f * chunks + k) + product)
    for _ in range(n_turns):
        for axis in range(n_axes):
            for k in range(chunks):
                store(new, axis * chunks + k, full(0.0))
            for f in range(width):
                value = item(old, axis * width + f)
                for k in range(chunks):
                    product = load(products, f * chunks + k) * value
                    store(new, axis * chunks + k, load(new, axis * chunks + k) + product)
        for axis in range(n_axes):
            _straighten(new, axis, chunks)
            for k in range(chunks):
                store(old, axis * chunks + k, load(new, axis * chunks + k))


@step
def _near(lower, upper, block, size, sketch, limit_sq):
    """Which of sixteen boxes of sketches come nearer than the limit."""
    zero = full(0.0)
    gap_sq = zero
    first = 0
    while first < size:
        for f in range(first, min(first + EARLY, size)):
            below = load(lower, block * size + f) - item(sketch, f)
            above = item(sketch, f) - load(upper, block * size + f)
            outside = where(below > above, below, above)
            outside = where(outside > 0.0, outside, zero)
            gap_sq = fused(outside, outside, gap_sq)
        if bits(gap_sq <= limit_sq) == 0:
            return 0
        first += EARLY
    return bits(gap_sq <= limit_sq)


@step
def _inside(lower, upper, block, size, sketch, limit_sq):
    """In which of sixteen boxes of sketches no row can be farther than the limit."""
    off = load(upper, block * size + size - 1) + item(sketch, size - 1)
    far_sq = off * off
    first = 0
    while first < size - 1:
        for f in range(first, min(first + EARLY, size - 1)):
            to_low = item(sketch, f) - load(lower, block * size + f)
            to_high = load(upper, block * size + f) - item(sketch, f)
            across = where(to_low > to_high, to_low, to_high)
            far_sq = fused(across, across, far_sq)
        if bits(far_sq <= limit_sq) == 0:
            return 0
        first += EARLY
    return bits(far_sq <= limit_sq)


@step
def _sort_out(sketches, leaf, size, sketch, outer_sq, inner_sq):
    """Which rows of a leaf their sketches do not rule out, and which of these are surely inside."""
    distance_sq = full(0.0)
    first = 0
    while first < size:
        for f in range(first, min(first + EARLY, size)):
            away = load(sketches, leaf * size + f) - item(sketch, f)
            distance_sq = fused(away, away, distance_sq)
        if bits(distance_sq <= outer_sq) == 0:
            return 0, 0
        first += EARLY
    # (q + q')^2 is (q - q')^2 + 4 q q'
    off = load(sketches, leaf * size + size - 1) * (4.0 * item(sketch, size - 1))
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
    views, first_child, n_upper, chunks, size, place, sketch, outer, inner, stack, held, shell,
    sums,
):  # fmt: skip
    """Sum the rows nearer than ``inner`` and list those up to ``outer``: weight, and how many.

    To be listed is to have one's rank and one's distance in the two parts of ``shell``. No row
    is nearer than a negative ``inner``, not even one whose sketch is that of the position.
    """
    rows, row_weights, weighted, child_sums, sketches, lower, upper, weight = views
    outer_sq, inner_sq = outer * outer, inner * abs(inner)
    for k in range(chunks):
        store(sums, k, full(0.0))
    support, n_held, n_shell, waiting = 0.0, 0, 0, 1
    put(stack, 0, 0)
    while waiting > 0:
        waiting -= 1
        block = item(stack, waiting)
        near = _near(lower, upper, block, size, sketch, outer_sq)
        inside = near
        if near != 0:
            inside &= _inside(lower, upper, block, size, sketch, inner_sq)
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
            possible, sure = _sort_out(sketches, opened, size, sketch, outer_sq, inner_sq)
            while possible != 0:
                lane = lowest(possible)
                possible &= possible - 1
                row = opened * LANES + lane
                distance_sq = 0.0
                if (sure >> lane) & 1 == 0:
                    distance_sq = _distance_sq(rows, row, chunks, place)
                put(held, n_held, row)
                n_held += distance_sq <= inner_sq
                put(shell[0], n_shell, row)
                put(shell[1], n_shell, np.sqrt(distance_sq))
                n_shell += (distance_sq > inner_sq) & (distance_sq <= outer_sq)
            if n_held >= HELD - LANES:
                support += _add_rows(rows, row_weights, weighted, chunks, held, n_held, sums)
                n_held = 0
    support += _add_rows(rows, row_weights, weighted, chunks, held, n_held, sums)
    return support, n_shell


@step
def _sum_shell(
    views, n_features, chunks, place, radius, settled, shell, n_shell, held, base, sums
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
    for j in range(n_shell):
        row, beyond = item(shell[0], j), item(shell[1], j) - radius
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
        if n_held == HELD:
            support += _add_rows(rows, row_weights, weighted, chunks, held, n_held, sums)
            n_held = 0
    return support + _add_rows(rows, row_weights, weighted, chunks, held, n_held, sums)


@step
def _slack_after(move, radius):
    """How far a position that came by such a move may go before the rows are scanned again.

    What is left of a path is about one and a half of its last moves. Digits take 29 ms without a
    shell and 17 with; after a long move, though, a shell holds most rows and costs 5 times more
    than it saves (10,000 x 64, a tenth of the rows in a ball). Shells a third wider, after moves up
    to 0.35 of the radius, leave digits as they are and slow 1,000 x 64 rows down from 12 to 15 ms.
    """
    return min(SLACK * move, WIDEST * radius) if move <= NEAR_MOVE * radius else 0.0


@step
def _follow_one(
    sketch, views, first_child, middle, axes, n_features, radius, rest, places, first, support,
    moves, memory, stack, held, shell,
):  # fmt: skip
    """Shift a position again and again, until it rests or there is no more room.

    Where the steps led is written to places[first:].
    """
    place, off, drawn, sums, base, home = memory
    width, n_axes = sketch.rows.shape[1], sketch.axes.shape[0]
    chunks = width // LANES
    slack = unsure = moved = base_support = 0.0
    n_shell = 0
    for number in range(support.shape[0]):
        if number == 0 or moved > slack:
            slack = _slack_after(moves[number - 1], radius) if number > 0 else 0.0
            distance = _draw(middle, axes, n_axes, width, place, off, drawn)
            unsure = sketch.blur * (radius + sketch.reach + distance)
            base_support, n_shell = _scan(
                views, first_child, sketch.n_upper, chunks, n_axes + 1, place, drawn,
                radius + slack + unsure, radius - slack - unsure, stack, held, shell, base,
            )  # fmt: skip
            for k in range(chunks):
                store(home, k, load(place, k))
            slack *= 1.0 - sketch.blur
            moved = 0.0
        weight = base_support + _sum_shell(
            views, n_features, chunks, place, radius, moved + unsure, shell, n_shell, held, base,
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
    sketch, positions, radius, rest, places, support, moves, counter, memory, integers, distances
):  # fmt: skip
    """Follow positions, some at a time, until none is left to draw."""
    views = (
        flat(sketch.rows), flat(sketch.row_weights), sketch.row_weights.shape[0] > 0,
        flat(sketch.sums), flat(sketch.sketches), flat(sketch.lower), flat(sketch.upper),
        flat(sketch.weight),
    )  # fmt: skip
    middle, axes, first_child = flat(sketch.middle), flat(sketch.axes), flat(sketch.first_child)
    lanes = (
        flat(memory[0]), flat(memory[1]), flat(memory[2]), flat(memory[3]), flat(memory[4]),
        flat(memory[5]),
    )  # fmt: skip
    n_features, at, led_to = positions.shape[1], flat(positions), flat(places)
    stack, held = flat(integers), flat(integers[STACK:])
    shell = flat(integers[STACK + HELD + 1 :]), flat(distances)
    start = fetch_add(flat(counter), BLOCK)
    while start < positions.shape[0]:
        for i in range(start, min(start + BLOCK, positions.shape[0])):
            for f in range(n_features):
                put(lanes[0], f, item(at, i * n_features + f))
            _follow_one(
                sketch, views, first_child, middle, axes, n_features, radius, rest, led_to,
                i * places.shape[1] * n_features, support[i], moves[i], lanes, stack, held, shell,
            )  # fmt: skip
            for f in range(n_features):
                put(at, i * n_features + f, item(lanes[0], f))
        start = fetch_add(flat(counter), BLOCK)


@parallel
def _follow_all(sketch, positions, radius, rest, places, support, moves, counter, n_threads):
    for _ in prange(n_threads):
        memory = np.zeros((6, sketch.rows.shape[1] + LANES))
        integers = np.empty(STACK + HELD + 2 + sketch.order.shape[0], np.int64)
        distances = np.empty(sketch.order.shape[0] + 1)
        _follow_some(
            sketch, positions, radius, rest, places, support, moves, counter, memory, integers,
            distances,
        )  # fmt: skip


def _child_sums(rows: NDArray[np.float64], n_blocks: int) -> NDArray[np.float64]:
    """Sum the weighted rows of leaves, of blocks of leaves, and so on up to block 0."""
    sums = np.zeros((n_blocks, LANES, rows.shape[1]))
    children = np.add.reduceat(rows, np.arange(0, len(rows), LANES), axis=0)
    last = n_blocks
    while last > 0:
        first = last - -(-len(children) // LANES)
        sums[first:last].reshape(-1, rows.shape[1])[: len(children)] = children
        children, last = sums[first:last].sum(axis=1), first
    return sums


def _filled(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fill up the last axis with zeros to a multiple of sixteen."""
    filled = np.zeros((*table.shape[:-1], -(-table.shape[-1] // LANES) * LANES))
    filled[..., : table.shape[-1]] = table
    return filled


def _axes_of(away: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Directions of a large spread, as rows, and how much of the sum of squares lies along them.

    No library of linear algebra is called: its threads go on spinning for a while, and a fit of
    10,000 x 64 rows took 122 ms instead of 54.
    """
    variances = np.einsum("ij,ij->j", away, away)
    widest = np.argsort(-variances, kind="stable")[:AXES]
    axes = np.eye(away.shape[1])[widest]
    _turn(away, np.zeros((away.shape[1],) * 2), axes, np.empty_like(axes), TURNS)
    axes = np.ascontiguousarray(axes[axes.any(axis=1)])
    along = np.einsum("if,jf->ij", away, axes)
    return axes, float(np.einsum("ij,ij->", along, along))


def draw(points: NDArray[np.float64], weights: NDArray[np.float64]) -> Sketch | None:
    """Sketch the rows of a table.

    Parameters
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows; finite, at least one.
    weights : read-only float64 array of shape (n_samples,) or (0,)
        The rows' weights; empty where all are 1.

    Returns
    -------
    Sketch or None
        None where sketches would tell little: the axes hold less than half of the spread (one
        Gaussian in 64 dimensions loses a tenth of its time to them), or squares overflow.

    Notes
    -----
    Memory besides the table: two copies of it and 17 numbers a row; while drawing, one copy more.
    """
    n_samples, n_features = points.shape
    some = points[:: -(-n_samples // SAMPLE)]
    middle = _filled(some.mean(axis=0))
    with np.errstate(over="ignore", invalid="ignore"):
        away = _filled(some) - middle
        spread_sq = float(np.einsum("ij,ij->", away, away))
        largest = max(abs(float(points.max())), abs(float(points.min())))
    if not (1e-100 < spread_sq < 1e200 and largest < 1e100):
        return None
    axes, part = _axes_of(away)
    if not part > 0.5 * spread_sq:
        return None
    sketches = np.empty((n_samples, len(axes) + 1))
    distances = np.empty(n_samples)
    _draw_all(points, middle, axes, sketches, distances)
    sketches.flags.writeable = False
    reach = float(distances.max())
    skew = np.linalg.norm(np.einsum("if,jf->ij", axes, axes) - np.eye(len(axes)))
    blur = float(4.0 * skew + (n_features + 64) * 2.0**-46)
    built = tree.build(sketches, weights, careful=True)
    rows, row_weights = _filled(points[built.order]), np.empty(0)
    weighted_rows = rows
    if weights.size:
        row_weights = weights[built.order]
        weighted_rows = rows * row_weights[:, None]
    sums = _child_sums(weighted_rows, len(built.first_child))
    return Sketch(
        rows, row_weights, sums, middle, axes, reach, blur, built.points,
        built.order, built.lower, built.upper, built.weight, built.first_child, built.n_upper,
    )  # fmt: skip


def is_worth(points: NDArray[np.float64], n_seeds: int) -> bool:
    """Whether so many seeds pay for the sketches of a table."""
    return n_seeds > most_without(points)


def most_without(points: NDArray[np.float64]) -> int:
    """Find the largest number of seeds that sketches of a table do not pay for.

    Parameters
    ----------
    points : float64 array of shape (n_samples, n_features)
        The rows.

    Returns
    -------
    int
        An eighth of the rows, at least 16; in fewer columns than sketches are for, as many as
        there can be.
    """
    n_samples, n_features = points.shape
    return max(n_samples // 8, LANES) if n_features >= FEATURES else sys.maxsize


def next_steps(
    sketch: Sketch, positions: NDArray[np.float64], n_steps: int, rest: float, bandwidth: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Take the next steps of trajectories: as :func:`meanshift_fast._index.flat.next_steps`.

    ``positions`` are C-ordered, float64 and overwritten, ``bandwidth`` is positive.
    """
    n_steps = min(n_steps, STEPS)
    places = np.empty((len(positions), n_steps, positions.shape[1]))
    support = np.empty((len(positions), n_steps))
    moves = np.empty((len(positions), n_steps))
    first = max(FIRST_CHUNK_VALUES // (sketch.rows.size * n_steps), 1)
    for start, stop in chunks(len(positions), first=first, multiple=BLOCK):
        _follow_all(
            sketch, positions[start:stop], float(bandwidth), float(rest),
            places[start:stop], support[start:stop], moves[start:stop],
            np.zeros(1, dtype=np.int64), available_threads(),
        )  # fmt: skip
    return places, support, moves


def shift(
    sketch: Sketch, positions: NDArray[np.float64], bandwidth: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move every position once, in place: the first of its :func:`next_steps`.

    Returns
    -------
    support, moves : float64 arrays of shape (n_positions,)
        The weight in each ball, 0 where it is empty, and how far each position went.
    """
    _, support, moves = next_steps(sketch, positions, 1, 0.0, bandwidth)
    return support[:, 0], moves[:, 0]


@dataclass(frozen=True)
class ProjectedIndex(Index):
    """Rows in many columns, most of them settled by their projections on sixteen axes."""

    projections: Sketch
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
