"""Bounds of the Gaussian shift: which nodes its sums may leave out or take by their sigma points.

    density at a center, from below --> longest shift --> share of the accuracy for each node
                                                              |
                 drop (too far to matter)  <--  a node  -->  sum its sigma points
                                                  `------->  open it

docs/explanations/gaussian_promise.md derives every bound; its sections are named below.
"""

import math
from typing import Any, NamedTuple

from meanshift_fast._index.box_distances import distances_sq, gaps_sq
from meanshift_fast._index.sigma_points import HUGE
from meanshift_fast._index.traversal import push_children
from meanshift_fast._jit.compiler import step
from meanshift_fast._jit.simd import (
    LANES,
    bits,
    exp,
    full,
    item,
    load,
    lowest,
    put,
    sqrt,
    store,
    total,
    where,
)

OWN_SHARE = 0.8  # of the accuracy: for what a node adds to the density itself
VANISHED_DENSITY = 1e-200  # times all weight: below it exponents are measured from the nearest row


class Center(NamedTuple):
    """Where sums are taken: for positions within ``radius`` of a center.

    ``position``, ``reference`` (the log-sum-exp reference: exponents are measured from there) and
    ``offset``, from the one to the other, are flat pointers.
    """

    position: Any
    reference: Any
    offset: Any
    reference_sq: float
    radius: float


class Limits(NamedTuple):
    """How long a shift may be, the two shares of the accuracy, and how far rows matter."""

    longest: float
    own: float
    share: float
    farthest: float


class Workspace(NamedTuple):
    """Memory of one task, as flat pointers."""

    stack: Any
    scratch: Any
    sums: Any
    position: Any
    reference: Any
    offset: Any


# The density from below, and what exponents are measured from.


@step
def _least_density(nodes, position, scratch):
    """Bound the density from below by the nearest leaf and all that is passed on the way to it."""
    zero = full(0.0)
    block, density = 0, 0.0
    while True:
        away_sq = distances_sq(nodes.mean, block, nodes.n_features, position, 0)
        weights = load(nodes.weight, block)
        farthest = sqrt(away_sq) + load(nodes.radius, block)
        store(scratch, 0, where(weights > zero, away_sq, full(HUGE)))
        store(scratch, 1, weights * exp(farthest * farthest * -0.5))
        nearest = 0
        for lane in range(1, LANES):
            if item(scratch, lane) < item(scratch, nearest):
                nearest = lane
        put(scratch, LANES + nearest, 0.0)
        density += total(load(scratch, 1))
        child = item(nodes.first_child, block) + nearest
        if block >= nodes.n_upper:
            break
        block = child
    distance_sq = distances_sq(nodes.points, child, nodes.n_features, position, 0)
    kernel = where(distance_sq < full(HUGE), exp(distance_sq * -0.5), zero)
    return density + total(kernel * load(nodes.point_weights, child * nodes.is_weighted))


@step
def _nearest_of_leaf(nodes, leaf, position, nearest_sq, scratch, nearest):
    """Write a leaf's row to ``nearest`` if it is nearer; returns the least squared distance."""
    store(scratch, 0, distances_sq(nodes.points, leaf, nodes.n_features, position, 0))
    for row in range(LANES):
        if item(scratch, row) < nearest_sq:
            nearest_sq = item(scratch, row)
            put(scratch, LANES, item(nodes.point_weights, leaf * nodes.is_weighted * LANES + row))
            for f in range(nodes.n_features):
                put(nearest, f, item(nodes.points, (leaf * nodes.n_features + f) * LANES + row))
    return nearest_sq


@step
def _nearest_row(nodes, position, stack, scratch, nearest):
    """Write the row nearest to a position to ``nearest``; returns its squared distance, weight."""
    nearest_sq = HUGE
    put(scratch, LANES, 0.0)  # the weight of the nearest row
    put(stack, 0, 0)
    waiting = 1
    while waiting > 0:
        waiting -= 1
        block = item(stack, waiting)
        gap_sq = gaps_sq(nodes.lower, nodes.upper, block, nodes.n_features, position, 0)
        closer, child = bits(gap_sq < full(nearest_sq)), item(nodes.first_child, block)
        if block < nodes.n_upper:
            waiting = push_children(stack, waiting, child, closer)
            continue
        while closer != 0:
            leaf = child + lowest(closer)
            closer &= closer - 1
            nearest_sq = _nearest_of_leaf(nodes, leaf, position, nearest_sq, scratch, nearest)
    return nearest_sq, item(scratch, LANES)


@step
def choose_reference(nodes, work):
    """Write the log-sum-exp reference: the position itself, or its nearest row if all vanish.

    Returns the squared distance to it, and a lower bound of the density, measured from there.
    """
    reference_sq = 0.0
    least = _least_density(nodes, work.position, work.scratch)
    for f in range(nodes.n_features):
        put(work.reference, f, item(work.position, f))
    if least <= VANISHED_DENSITY * nodes.total_weight:
        reference_sq, least = _nearest_row(
            nodes, work.position, work.stack, work.scratch, work.reference
        )
    for f in range(nodes.n_features):
        put(work.offset, f, item(work.reference, f) - item(work.position, f))
    return reference_sq, least


@step
def limits_of(density, total_weight, reference_sq, accuracy):
    """The limits that a lower bound of the density gives: see "The shares"."""
    log_ratio = max(math.log(total_weight / density), 0.0)
    longest = math.sqrt(reference_sq + 2.0 * log_ratio) + accuracy
    share = (1.0 - OWN_SHARE) * accuracy * density / total_weight
    farthest = HUGE
    if share != 0.0:
        deficit = reference_sq - 2.0 * math.log(share)
        # T of (T + s) k(T) = share, from above: each step stays there.
        farthest = math.sqrt(deficit) + longest + 1.0
        for _ in range(3):
            farthest = math.sqrt(deficit + 2.0 * math.log(farthest + longest))
        farthest *= 1.0 + 1e-12
    return Limits(longest, OWN_SHARE * accuracy, share, farthest)


# The error of a node.


@step
def node_errors(away, radius, skew, tail, n_features, n_sigma, longest):
    """Bound (1 - t) times a node's error of N - s D, for one unit of weight and of e.

    See "One node": 1 / (1 - t), which is more than exp(t), stands for that in the tail.
    """
    b = away + radius
    b_sq = b * b
    if n_sigma == 1:
        gradient = b * (b_sq - 3.0)
        gradient = where(gradient > 2.0, gradient, full(2.0))
        density = where(b_sq > 2.0, b_sq - 1.0, full(1.0))
        return tail * (gradient + density * longest) * 0.5
    gradient = where(b < 1.5, full(7.28), full(22.9))
    steep = b * (b_sq * (b_sq - 10.0) + 15.0)
    gradient = where(steep > gradient, steep, gradient)
    density = where(b < 1.1, full(3.0), full(6.0))
    steep = b_sq * (b_sq - 6.0) + 3.0
    density = where(steep > density, steep, density)
    n = max(float(n_features), 2.0)
    least = 3.0 * n * (n + 2.0)
    a_sq = away * away
    third = a_sq * (a_sq * (a_sq - 6.0) + 3.0 * (n + 2.0))
    fourth = a_sq * (a_sq * (a_sq - 12.0) + 6.0 * (n + 6.0)) - 12.0 * (n + 2.0)
    fourth = a_sq * fourth + least
    norms = sqrt(where(fourth > least, fourth, full(least))) + sqrt(third) * longest
    return skew * norms * (1.0 / 6.0) + tail * (gradient + density * longest) * (1.0 / 24.0)


@step
def summable(nodes, block, center, limits):
    """Which children may be summed by their sigma points, for all positions about a center."""
    n_features, rho = nodes.n_features, center.radius
    exponent = full(0.0)
    for f in range(n_features):
        mean = load(nodes.mean, block * n_features + f)
        away = mean - item(center.position, f) + item(center.offset, f)
        exponent = exponent + (mean - item(center.reference, f)) * away
    away_sq = exponent + center.reference_sq
    away = sqrt(where(away_sq > 0.0, away_sq, full(0.0)))
    if rho > 0.0:
        nearest = where(away > rho, away - rho, full(0.0))
        exponent = nearest * nearest
        away = away + rho
    radius = load(nodes.radius, block)
    rest = full(1.0) - away * radius
    e = exp(exponent * -0.5)
    error = e * node_errors(
        away, radius, load(nodes.skew, block), load(nodes.tail, block), n_features,
        nodes.n_sigma, limits.longest,
    )  # fmt: skip
    allowed = rest * (e * (rest - radius * radius * 0.5) * limits.own + limits.share)
    return bits(rest > 0.0) & bits(error <= allowed)
