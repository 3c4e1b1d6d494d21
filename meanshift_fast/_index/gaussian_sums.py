"""One pass of the Gaussian shift over the moment tree: sums over all rows that matter.

    of a block's children:   too far to matter       passed over
                             error bound within      summed by their sigma points
                             its share
                             else                    opened, down to the rows of a leaf

Sums are over w k(y), y from the center to a row or sigma point, in lanes that are still to be
added up. How many a pass takes is its ``depth``:

    depth 0    1, y                                               one position
    depth 1    and products of two features of y                  Newton's step
    depth 2    and of three and four; |y|^4 y, |y|^6, max |y|^2   a group's cumulants
"""

import math

from meanshift_fast._index.box_distances import distances_sq, gaps_sq
from meanshift_fast._index.error_bounds import Center, choose_reference, limits_of, summable
from meanshift_fast._index.sigma_points import HUGE
from meanshift_fast._index.traversal import push_children
from meanshift_fast._jit.compiler import step
from meanshift_fast._jit.simd import bits, exp, full, item, load, lowest, mask_of, put, store, where


@step
def sum_places(n_features):
    """Where the sums of pairs, triples and quadruples of features begin, and the last ones."""
    pair = n_features + 1
    n_pairs = n_features * (n_features + 1) // 2
    n_triples = n_pairs * (n_features + 2) // 3
    triple = pair + n_pairs
    quad = triple + n_triples
    return pair, triple, quad, quad + n_triples * (n_features + 3) // 4


@step
def _add_products(weights, n_features, depth, scratch, sums):
    """Add the products of up to four features of y, f <= g <= h <= m; y is in ``scratch``."""
    pair, triple, quad, _ = sum_places(n_features)
    for f in range(n_features):
        once = weights * load(scratch, f)
        store(sums, f, load(sums, f) + once)
        for g in range(f, n_features):
            twice = once * load(scratch, g)
            store(sums, pair, load(sums, pair) + twice)
            pair += 1
            for h in range(g, n_features if depth == 2 else g):
                thrice = twice * load(scratch, h)
                store(sums, triple, load(sums, triple) + thrice)
                triple += 1
                for m in range(h, n_features):
                    store(sums, quad, load(sums, quad) + thrice * load(scratch, m))
                    quad += 1


@step
def _add_powers(weights, n_features, scratch, sums):
    """Add |y|^4 y and |y|^6, and note the largest |y|^2."""
    away_sq = full(0.0)
    for f in range(n_features):
        away_sq = away_sq + load(scratch, f) * load(scratch, f)
    place = sum_places(n_features)[3]
    fourth = weights * away_sq * away_sq
    for f in range(n_features):
        store(sums, place + f, load(sums, place + f) + fourth * load(scratch, f))
    place += n_features
    store(sums, place, load(sums, place) + fourth * away_sq)
    most_sq = load(sums, place + 1)
    store(sums, place + 1, where(away_sq > most_sq, away_sq, most_sq))


@step
def _add_points(points, at, mask, weights, n_features, depth, center, scratch, sums):
    """Add sixteen weighted points to the sums."""
    zero = full(0.0)
    exponent = zero
    for f in range(n_features):
        point = load(points, at * n_features + f)
        away = where(mask, point - item(center.position, f), zero)
        store(scratch, f, away)
        gap = where(mask, point - item(center.reference, f), zero)
        exponent = exponent + gap * (away + item(center.offset, f))
    weights = where(mask, weights * exp(exponent * -0.5), zero)
    store(sums, n_features, load(sums, n_features) + weights)
    if depth == 0:
        for f in range(n_features):
            store(sums, f, load(sums, f) + weights * load(scratch, f))
        return
    _add_products(weights, n_features, depth, scratch, sums)
    if depth == 2:
        _add_powers(weights, n_features, scratch, sums)


@step
def _n_sums(n_features, depth):
    pair, triple, _, place = sum_places(n_features)
    if depth == 2:
        return place + n_features + 2
    return triple if depth == 1 else pair


@step
def _sum_nodes(nodes, work, center, limits, depth):
    """Sum over all rows that matter to the positions about a center."""
    n_features, n_sigma, sums, scratch = nodes.n_features, nodes.n_sigma, work.sums, work.scratch
    farthest = limits.farthest + center.radius
    drop_sq = min(farthest * farthest, HUGE)
    for k in range(_n_sums(n_features, depth)):
        store(sums, k, full(0.0))
    put(work.stack, 0, 0)
    waiting = 1
    while waiting > 0:
        waiting -= 1
        block = item(work.stack, waiting)
        gap_sq = gaps_sq(nodes.lower, nodes.upper, block, n_features, center.position, 0)
        live = bits(gap_sq <= drop_sq)
        if live == 0:
            continue
        taken = live & summable(nodes, block, center, limits)
        if taken != 0:
            weights = load(nodes.weight, block) * (1.0 / n_sigma)
            for j in range(n_sigma):
                _add_points(
                    nodes.sigma_points, block * n_sigma + j, mask_of(taken), weights, n_features,
                    depth, center, scratch, sums,
                )  # fmt: skip
        live &= ~taken
        child = item(nodes.first_child, block)
        if block < nodes.n_upper:
            waiting = push_children(work.stack, waiting, child, live)
            continue
        while live != 0:
            leaf = child + lowest(live)
            live &= live - 1
            near = distances_sq(nodes.points, leaf, n_features, center.position, 0) <= drop_sq
            _add_points(
                nodes.points, leaf, near, load(nodes.point_weights, leaf * nodes.is_weighted),
                n_features, depth, center, scratch, sums,
            )  # fmt: skip


@step
def sum_about(nodes, work, radius, accuracy, depth):
    """Sum over all rows that matter to the positions within ``radius`` of ``work.position``.

    Returns the squared distance of the log-sum-exp reference. Where that is not 0, there are no
    sums for a radius: positions so far from all rows need a reference each.
    """
    reference_sq, density = choose_reference(nodes, work)
    if radius > 0.0:
        if reference_sq > 0.0:
            return reference_sq
        longest = limits_of(density, nodes.total_weight, reference_sq, accuracy).longest
        density *= math.exp(-radius * longest - 0.5 * radius * radius)
    limits = limits_of(density, nodes.total_weight, reference_sq, accuracy)
    center = Center(work.position, work.reference, work.offset, reference_sq, radius)
    _sum_nodes(nodes, work, center, limits, depth)
    return reference_sq
