"""Direct sums of the Gaussian shift: up to sixteen positions that lie together, near few rows.

    positions --> their box --traversal--> near leaves --> near rows     lanes: the positions
                                |                |            `--> sums of w and w y
                                |                `--> other rows \
                                `--> other leaves ----------------`--> what they may add, at most

Where rows lie sparsely, most of a pass of `gaussian_sums.py` is the traversal and the bounds of
nodes, which save few rows there. Here a group shares one traversal, and every row near its box is
summed for all of it. What the others may add is bounded by their distance from the box; a position
whose promise that could break has a pass of its own. See "Few rows" in
docs/explanations/gaussian_promise.md.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from meanshift_fast._index.box_distances import box_gaps_sq
from meanshift_fast._index.error_bounds import OWN_SHARE, limits_of
from meanshift_fast._index.sigma_points import HUGE
from meanshift_fast._index.traversal import push_children
from meanshift_fast._jit.compiler import inlined, step
from meanshift_fast._jit.simd import (
    LANES,
    accumulator,
    bits,
    exp,
    full,
    item,
    load,
    lowest,
    mask_of,
    put,
    sqrt,
    store,
    total,
    where,
)

LEAST_DENSITY = 1e-3  # rows of mean weight: that of a position whose sums may be direct
# Rows that may lie just beyond the near ones where the density is one row. If all rows might lie
# there, more are near: a shift of 20,000 places at 50 km takes one thread 43 ms so, and 28.
ROWS_BEYOND = 32.0
# Near leaves for each position of a group, up to which sums are direct. Processor time of a shift
# of 10,000 rows spread evenly, 40 and 160 in a square bandwidth: without direct sums 20 and 39 us,
# up to 8 leaves 18 and 34, 16: 11 and 39, 32: 6.6 and 25, 64: 6.4 and 16, 128: the same. Of 3,000
# rows in six columns, a tenth of a row in a cube: 26 without, 10 to 13 with up to 32 and 64.
LEAVES_A_POSITION = 64


class Reach(NamedTuple):
    """How far rows are near and leaves looked at, squared; what the leaves beyond may add."""

    near_sq: float
    far_sq: float
    beyond: float
    least: float
    accuracy: float


class Leaves(NamedTuple):
    """Near leaves: their numbers as a flat pointer, how many, and what the others may add."""

    numbers: Any
    n: int
    others: float


@step
def reach_of(total_weight, n_rows, accuracy):
    """The reach of direct sums: the whole accuracy is for the rows beyond it."""
    least, promise = LEAST_DENSITY * total_weight / n_rows, accuracy / (1.0 - OWN_SHARE)
    far = limits_of(least, total_weight, 0.0, promise).farthest
    near = min(limits_of(1.0, ROWS_BEYOND, 0.0, promise).farthest, far)
    return Reach(min(near * near, HUGE), min(far * far, HUGE), accuracy * least, least, accuracy)


@step
def _most_of(weights, gap_sq, chosen):
    """At most so much the chosen of sixteen add to |N - sD|, for a shift s of a bandwidth."""
    bound = weights * exp(gap_sq * -0.5) * (sqrt(gap_sq) + 1.0)
    return where(mask_of(chosen), bound, full(0.0))


@step
def near_leaves(nodes, group, reach, most, stack, numbers):
    """List the leaves near a group's box; ``most`` of them, or as many as were found then."""
    put(stack, 0, 0)
    waiting, found, others = 1, 0, full(0.0)
    while waiting > 0 and found <= most:
        waiting -= 1
        block = item(stack, waiting)
        gap_sq = box_gaps_sq(
            nodes.lower, nodes.upper, block, nodes.n_features, group.low, group.high
        )
        child = item(nodes.first_child, block)
        if block < nodes.n_upper:
            waiting = push_children(stack, waiting, child, bits(gap_sq <= reach.far_sq))
            continue
        near = bits(gap_sq <= reach.near_sq)
        rest = bits(gap_sq <= reach.far_sq) & ~near
        if rest != 0:
            others = others + _most_of(load(nodes.weight, block), gap_sq, rest)
        found = push_children(numbers, found, child, near)
    return Leaves(numbers, found, total(others) + reach.beyond)


@inlined
def _add_row(nodes, leaf, row, n_features, places, sums):
    """Add a row to the sums of all positions."""
    distance_sq = full(0.0)
    for f in range(n_features):
        away = item(nodes.points, (leaf * n_features + f) * LANES + row) - load(places, f)
        distance_sq = distance_sq + away * away
    weight = item(nodes.point_weights, leaf * nodes.is_weighted * LANES + row)
    share = exp(distance_sq * -0.5) * weight
    for f in range(n_features):
        away = item(nodes.points, (leaf * n_features + f) * LANES + row) - load(places, f)
        store(sums, f, load(sums, f) + share * away)
    store(sums, n_features, load(sums, n_features) + share)


@inlined
def _sum_leaves(nodes, n_features, group, near_sq, leaves, sums):
    """Sum the near rows of near leaves; what the other rows may add."""
    points, others = nodes.points, full(0.0)
    for f in range(n_features + 1):
        store(sums, f, full(0.0))
    for k in range(leaves.n):
        leaf = item(leaves.numbers, k)
        gap_sq = box_gaps_sq(points, points, leaf, n_features, group.low, group.high)
        near = bits(gap_sq <= near_sq)
        rest = bits(gap_sq <= HUGE) & ~near
        if rest != 0:
            weights = load(nodes.point_weights, leaf * nodes.is_weighted)
            others = others + _most_of(weights, gap_sq, rest)
        while near != 0:
            _add_row(nodes, leaf, lowest(near), n_features, group.places, sums)
            near &= near - 1
    return total(others)


@step
def _sum_directly(nodes, group, near_sq, leaves, sums):
    """The same, with all sums of two columns and three in registers."""
    two, three, few = np.int64(2), np.int64(3), accumulator()  # no literals, as in sum_ball
    n_features = nodes.n_features
    if n_features != two and n_features != three:
        return _sum_leaves(nodes, n_features, group, near_sq, leaves, sums)
    if n_features == two:
        others = _sum_leaves(nodes, two, group, near_sq, leaves, few)
    else:
        others = _sum_leaves(nodes, three, group, near_sq, leaves, few)
    for f in range(n_features + 1):
        store(sums, f, load(few, f))
    return others


@step
def shift_directly(nodes, group, first, size, reach, leaves, sums, positions, support, moves):
    """Shift a group by the rows of near leaves; bits of those whose promise that could break."""
    n_features, left = nodes.n_features, 0
    others = leaves.others + _sum_directly(nodes, group, reach.near_sq, leaves, sums)
    for member in range(size):
        weight, move_sq = item(sums, n_features * LANES + member), 0.0
        for f in range(n_features):
            move = item(sums, f * LANES + member)
            move_sq += move * move
        move = math.sqrt(move_sq) / weight if weight >= reach.least else HUGE
        if move == HUGE or others * max(move, 1.0) > reach.accuracy * weight:
            left |= 1 << member
            continue
        place = (first + member) * n_features
        for f in range(n_features):
            to = item(positions, place + f) + item(sums, f * LANES + member) / weight
            put(positions, place + f, to)
        support[first + member], moves[first + member] = weight, move
    return left
