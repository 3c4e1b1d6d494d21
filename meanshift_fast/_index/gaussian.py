r"""The Gaussian shift: nodes of the moment tree as a few rows each, and a promise about the error.

The density at x and its gradient are sums over the rows p of weight w, in bandwidths:

    D = sum w k(p - x)      N = sum w (p - x) k(p - x)      k(y) = exp(-|y|^2 / 2)

and a shift goes by s = N / D. Two things make it cheap.

Proxies. A node stands for 2n rows (n features) that have its weight, mean and second moments: the
mean plus and minus the columns of the moments' Cholesky factor. Of each block's sixteen children,
those that may be summed by their proxies are, those too far to matter are dropped, the others
are opened. With c the mean, u = c - x, a = |u|, and r the radius of the rows and proxies about c,
Taylor's formula to the third order about c differs between rows and proxies by, for one unit of
weight,

    |error of D| <= skew/6 |H3(u)| e  +  tail/24 A4(b) e exp(t)      skew = |mean of d d d|
    |error of N| <= skew/6 |H4(u)| e  +  tail/24 A5(b) e exp(t)      tail = mean of |d|^4, of both

d being rows minus mean and e = k(u). The proxies' third moments vanish; what the rows' leave is a
Frobenius norm times a Frobenius norm,

    |H3|^2 = a^6 - 6 a^4 + 3 (n + 2) a^2
    |H4|^2 = a^8 - 12 a^6 + 6 (n + 6) a^4 - 12 (n + 2) a^2 + 3 n (n + 2)

All that follows is on the segments from u to u + d, where |y| <= b = a + r and k(y) <= e exp(t),
t = a r (1 / (1 - t) stands for that exponential, and is more). There the fourth derivative of k
along d is He4(z) k, z the coordinate along d, and that of its gradient has the length
sqrt(He5(z)^2 + (|y|^2 - z^2) He4(z)^2) k; A4 and A5 are the largest that these get for |y| <= b.
The error of s is that of N - s' D, divided by D, s' being the shift that comes out, no longer than
|s| + accuracy. And |s|^2 <= 2 log(W / D), W the weight of all rows, because log is concave:
E[log 1/k] <= log E[1/k], the means being over the weights w k. So a node of weight w is taken
where its error of N - s' D is at most

    accuracy (OWN w e exp(-t - r^2/2)  +  (1 - OWN) w D_least / W)

a share of what it adds to D itself, and one of a lower bound of D handed out by weight: over all
nodes, no more than accuracy times D. A node all of whose rows are farther than T is dropped,
(T + |s|) k(T) being its second share. D_least is what the nearest leaf's rows give, and all that
is passed on the way down to it, each node as if all its rows were at its far end.

Cumulants. Positions within rho of a center share one pass. With v = x - center, y = p - center,
and mean over the weights w k(y), the shifted position is the center plus the gradient of
log mean exp(y v), which the pass expands to the third order in v from the mean products of up to
four features of y. What is left is at most

    R = rho^4/24 sup |fifth cumulant|  <=  rho^4/24 (M5 + 10 M2 M3)

with M_j bounds of the mean |y - mean y|^j over the weights tilted by exp(y v): to the center's
m_j the tilt adds no more than rho m_(j+1) + rho^2/2 exp(rho Y) m_(j+2), no row being farther than
Y from the mean, and the mean itself moves by rho M2. A group whose R is not within its share of
the accuracy splits. Nodes are taken as for the position of the group that they serve worst:
errors at a + rho, e at a - rho. For that |H3| and |H4| are replaced by what never falls as a
grows: n is at least 2, and |H4|^2 at least what it is at 0. Among 1M rows in 20 blobs a shift
takes 1.6 us on two cores, and 22 us if each position has its own pass.

Above three features there are no groups; above four a node is its mean, one proxy, and its error
begins with the second moments (A2, A3, tail the mean of |d|^2). Positions so far from all rows
that k vanishes measure from their nearest row q: |p - x|^2 - |q - x|^2 takes the place of
|p - x|^2 in every exponent, and N / D is the same.
"""

import math

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.moment_tree import MomentTree
from meanshift_fast._index.sigma_points import Proxies
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import parallel, step
from meanshift_fast._jit.simd import (
    LANES,
    bits,
    exp,
    flat,
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

BLOCK = 1024  # positions a task shifts, and a group holds at most
FIRST_CHUNK_VALUES = 1 << 30  # read or measured by the first chunk, at most: less than a second
STACK = 160  # fifteen siblings wait at each level; ten levels hold 16^10 rows
GROUPED = 3  # features up to which positions go in groups
NEWTON = 64  # features up to which modes are polished by Newton's steps
OWN = 0.8  # of what is promised, a node's share for what it adds itself
NODES = 0.7  # of what is promised, the share of the proxies where positions go in groups
VANISHED = 1e-200  # times all weight: a density that is measured from the nearest row
USUAL = 1.0  # R / rho^4, before any is known
WIDEST = 1.0  # rho of the widest group, in bandwidths
ROUNDED = 1e-13  # of the moments about the center, what their differences may be wrong by
HUGE = 1e300
FAR = 1e9  # bandwidths, beyond which squares do not tell which row is the nearest


# How far a position's sums reach.


@step
def _gaps_sq(lower, upper, block, n_features, place):
    """Squared distances of a position to the boxes of a block's children."""
    zero = full(0.0)
    gap_sq = zero
    for f in range(n_features):
        below = load(lower, block * n_features + f) - item(place, f)
        above = item(place, f) - load(upper, block * n_features + f)
        outside = where(below > above, below, above)
        outside = where(outside < zero, zero, outside)  # a NaN stays one, and is near nothing
        gap_sq = gap_sq + outside * outside
    return gap_sq


@step
def _row_gaps_sq(points, leaf, n_features, place):
    """Squared distances of a position to a leaf's rows; infinite to what fills it up."""
    gap_sq = full(0.0)
    for f in range(n_features):
        away = load(points, leaf * n_features + f) - item(place, f)
        gap_sq = gap_sq + away * away
    return gap_sq


@step
def _least_density(views, first_child, n_upper, weighted, n_features, place, scratch):
    """Bound the density from below by the nearest leaf and all that is passed on the way to it."""
    points, point_weights, _, _, weight, mean, _, radius, _, _ = views
    zero = full(0.0)
    block, density = 0, 0.0
    while True:
        away_sq = zero
        for f in range(n_features):
            away = load(mean, block * n_features + f) - item(place, f)
            away_sq = away_sq + away * away
        weights = load(weight, block)
        farthest = sqrt(away_sq) + load(radius, block)
        store(scratch, 0, where(weights > zero, away_sq, full(HUGE)))
        store(scratch, 1, weights * exp(farthest * farthest * -0.5))
        nearest = 0
        for lane in range(1, LANES):
            if item(scratch, lane) < item(scratch, nearest):
                nearest = lane
        put(scratch, LANES + nearest, 0.0)
        density += total(load(scratch, 1))
        child = item(first_child, block) + nearest
        if block >= n_upper:
            break
        block = child
    gap_sq = _row_gaps_sq(points, child, n_features, place)
    kernel = where(gap_sq < full(HUGE), exp(gap_sq * -0.5), zero)
    return density + total(kernel * load(point_weights, child * weighted))


@step
def _nearest_row(views, first_child, n_upper, weighted, n_features, place, stack, scratch, nearest):
    """Write the row nearest to a position to ``nearest``; returns its squared distance, weight."""
    points, point_weights, lower, upper = views[:4]
    best_sq, best_weight = HUGE, 0.0
    put(stack, 0, 0)
    waiting = 1
    while waiting > 0:
        waiting -= 1
        block = item(stack, waiting)
        closer = bits(_gaps_sq(lower, upper, block, n_features, place) < full(best_sq))
        while closer != 0:
            child = item(first_child, block) + lowest(closer)
            closer &= closer - 1
            if block < n_upper:
                put(stack, waiting, child)
                waiting += 1
                continue
            store(scratch, 0, _row_gaps_sq(points, child, n_features, place))
            for row in range(LANES):
                if item(scratch, row) < best_sq:
                    best_sq = item(scratch, row)
                    best_weight = item(point_weights, child * weighted * LANES + row)
                    for f in range(n_features):
                        value = item(points, (child * n_features + f) * LANES + row)
                        put(nearest, f, value)
    return best_sq, best_weight


@step
def _refer(
    views, first_child, n_upper, weighted, n_features, all_weight, place, reference, offset, stack,
    scratch,
):  # fmt: skip
    """Choose what exponents are measured from: the place itself, or its nearest row if all vanish.

    Returns the squared distance to it, and a lower bound of the density, measured so.
    """
    reference_sq = 0.0
    least = _least_density(views, first_child, n_upper, weighted, n_features, place, scratch)
    for f in range(n_features):
        put(reference, f, item(place, f))
    if least <= VANISHED * all_weight:
        reference_sq, least = _nearest_row(
            views, first_child, n_upper, weighted, n_features, place, stack, scratch, reference
        )
    for f in range(n_features):
        put(offset, f, item(reference, f) - item(place, f))
    return reference_sq, least


@step
def _limits(density, weight, reference_sq, accuracy):
    """How long the shift may be, what share of the promise is handed out, how far rows matter."""
    reach = math.sqrt(reference_sq + 2.0 * max(math.log(weight / density), 0.0)) + accuracy
    share = (1.0 - OWN) * accuracy * density / weight
    if share == 0.0:
        return reach, share, HUGE
    deficit = reference_sq - 2.0 * math.log(share)
    # T of (T + s) k(T) = share, from above: each step stays there.
    farthest = math.sqrt(deficit) + reach + 1.0
    for _ in range(3):
        farthest = math.sqrt(deficit + 2.0 * math.log(farthest + reach))
    return reach, share, farthest * (1.0 + 1e-12)


# Sums over all rows.


@step
def _errors(away, radius, skew, tail, n_features, n_proxies, reach):
    """Bound (1 - t) times a node's error of N - s D, for one unit of weight and of e.

    1 / (1 - t), which is more than exp(t), stands for that in the tail.
    """
    b = away + radius
    b_sq = b * b
    if n_proxies == 1:
        gradient = b * (b_sq - 3.0)
        gradient = where(gradient > 2.0, gradient, full(2.0))
        density = where(b_sq > 2.0, b_sq - 1.0, full(1.0))
        return tail * (gradient + density * reach) * 0.5
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
    norms = sqrt(where(fourth > least, fourth, full(least))) + sqrt(third) * reach
    return skew * norms * (1.0 / 6.0) + tail * (gradient + density * reach) * (1.0 / 24.0)


@step
def _taken(views, block, n_features, n_proxies, frame, limits):
    """Which children may be summed by their proxies, for every position about a center."""
    _, _, _, _, _, mean, _, radius, skew, tail = views
    place, reference, offset, reference_sq, rho = frame
    reach, own, share, _ = limits
    exponent = full(0.0)
    for f in range(n_features):
        center = load(mean, block * n_features + f)
        away = center - item(place, f) + item(offset, f)
        exponent = exponent + (center - item(reference, f)) * away
    away_sq = exponent + reference_sq
    away = sqrt(where(away_sq > 0.0, away_sq, full(0.0)))
    if rho > 0.0:
        nearest = where(away > rho, away - rho, full(0.0))
        exponent = nearest * nearest
        away = away + rho
    radii = load(radius, block)
    rest = full(1.0) - away * radii
    e = exp(exponent * -0.5)
    error = e * _errors(
        away, radii, load(skew, block), load(tail, block), n_features, n_proxies, reach
    )
    allowed = rest * (e * (rest - radii * radii * 0.5) * own + share)
    return bits(rest > 0.0) & bits(error <= allowed)


@step
def _add_rows(rows, at, mask, weights, n_features, deep, frame, scratch, sums):
    """Add sixteen weighted rows to the sums over w k: of y and of 1, and the deeper the more.

    At depth 1 of products of two features of y, f <= g; at depth 2 also of three and four; of
    |y|^4 y; of |y|^6; and, not a sum, the largest |y|^2.
    """
    place, reference, offset, _, _ = frame
    zero = full(0.0)
    exponent = zero
    for f in range(n_features):
        row = load(rows, at * n_features + f)
        away = where(mask, row - item(place, f), zero)
        store(scratch, f, away)
        gap = where(mask, row - item(reference, f), zero)
        exponent = exponent + gap * (away + item(offset, f))
    weights = where(mask, weights * exp(exponent * -0.5), zero)
    store(sums, n_features, load(sums, n_features) + weights)
    if deep == 0:
        for f in range(n_features):
            store(sums, f, load(sums, f) + weights * load(scratch, f))
        return
    pair, triple, quad, further = _places(n_features)
    away_sq = zero
    for f in range(n_features):
        once = weights * load(scratch, f)
        store(sums, f, load(sums, f) + once)
        away_sq = away_sq + load(scratch, f) * load(scratch, f)
        for g in range(f, n_features):
            twice = once * load(scratch, g)
            store(sums, pair, load(sums, pair) + twice)
            pair += 1
            for h in range(g, n_features if deep == 2 else g):
                thrice = twice * load(scratch, h)
                store(sums, triple, load(sums, triple) + thrice)
                triple += 1
                for m in range(h, n_features):
                    store(sums, quad, load(sums, quad) + thrice * load(scratch, m))
                    quad += 1
    if deep == 1:
        return
    fourth = weights * away_sq * away_sq
    for f in range(n_features):
        store(sums, further + f, load(sums, further + f) + fourth * load(scratch, f))
    further += n_features
    store(sums, further, load(sums, further) + fourth * away_sq)
    most_sq = load(sums, further + 1)
    store(sums, further + 1, where(away_sq > most_sq, away_sq, most_sq))


@step
def _places(n_features):
    """Where among the sums those of pairs, of triples and of quadruples begin, and the others."""
    pair = n_features + 1
    n_pairs = n_features * (n_features + 1) // 2
    n_triples = n_pairs * (n_features + 2) // 3
    triple = pair + n_pairs
    quad = triple + n_triples
    return pair, triple, quad, quad + n_triples * (n_features + 3) // 4


@step
def _sum_all(
    views, first_child, n_upper, weighted, n_features, n_proxies, deep, frame, limits, stack,
    scratch, sums,
):  # fmt: skip
    """Sum over all rows that matter to the positions about a center."""
    points, point_weights, lower, upper, weight, _, proxies, _, _, _ = views
    place, rho = frame[0], frame[4]
    farthest = limits[3] + rho
    drop_sq = min(farthest * farthest, HUGE)
    pair, triple, _, further = _places(n_features)
    for k in range(further + n_features + 2 if deep == 2 else (triple if deep == 1 else pair)):
        store(sums, k, full(0.0))
    put(stack, 0, 0)
    waiting = 1
    while waiting > 0:
        waiting -= 1
        block = item(stack, waiting)
        live = bits(_gaps_sq(lower, upper, block, n_features, place) <= drop_sq)
        if live == 0:
            continue
        taken = live & _taken(views, block, n_features, n_proxies, frame, limits)
        if taken != 0:
            each = load(weight, block) * (1.0 / n_proxies)
            for j in range(n_proxies):
                _add_rows(
                    proxies, block * n_proxies + j, mask_of(taken), each, n_features, deep, frame,
                    scratch, sums,
                )  # fmt: skip
        live &= ~taken
        child = item(first_child, block)
        while live != 0:
            opened = child + lowest(live)
            live &= live - 1
            if block < n_upper:
                put(stack, waiting, opened)
                waiting += 1
                continue
            near = _row_gaps_sq(points, opened, n_features, place) <= drop_sq
            _add_rows(
                points, opened, near, load(point_weights, opened * weighted), n_features, deep,
                frame, scratch, sums,
            )  # fmt: skip


# Shifts from the sums.


@step
def _bound_group(positions, first, stop, n_features, center):
    """Write the middle of some positions' box; returns how far from it they are at most."""
    for f in range(n_features):
        low = high = item(positions, first * n_features + f)
        for i in range(first + 1, stop):
            low = min(low, item(positions, i * n_features + f))
            high = max(high, item(positions, i * n_features + f))
        put(center, f, 0.5 * low + 0.5 * high)
    most_sq = 0.0
    for i in range(first, stop):
        away_sq = 0.0
        for f in range(n_features):
            away = item(positions, i * n_features + f) - item(center, f)
            away_sq += away * away
        most_sq = max(most_sq, away_sq)
    return math.sqrt(most_sq)


# Positions that are left of rows of a tree are no whole nodes of it. Halved in the middle, groups
# spanned the gaps between nodes: the first shift of the 673,470 cells of 0.01 bandwidths that a
# million rows in 20 blobs lie in took 39,753 passes and takes 20,775; one of all rows 20,285.


@step
def _widest_gap(positions, first, stop, n_features):
    """Where to split some positions: of those in the middle half, between the two farthest apart.

    Between the first two equals; with no gap at all, as of NaNs, in the middle.
    """
    edge = (stop - first) // 4
    widest, most_sq = (first + stop) // 2, 0.0
    for i in range(first + max(edge, 1), stop - edge):
        gap_sq = 0.0
        for f in range(n_features):
            gap = item(positions, i * n_features + f) - item(positions, (i - 1) * n_features + f)
            gap_sq += gap * gap
        if gap_sq > most_sq:
            widest, most_sq = i, gap_sq
    return widest


@step
def _series(sums, n_features, series):
    """Divide the sums by the weight, and products by the factorials of how often a feature occurs.

    So the terms of mean exp(y v) are these times products of features of v. Returns the weight.
    """
    weight = total(load(sums, n_features))
    pair, triple, quad, further = _places(n_features)
    for f in range(n_features):
        put(series, f, total(load(sums, f)) / weight)
        put(series, further + f, total(load(sums, further + f)) / weight)
        for g in range(f, n_features):
            in_two = 2.0 if g == f else 1.0
            put(series, pair, total(load(sums, pair)) / weight / in_two)
            pair += 1
            for h in range(g, n_features):
                in_three = in_two * (1.0 if h != g else (3.0 if g == f else 2.0))
                put(series, triple, total(load(sums, triple)) / weight / in_three)
                triple += 1
                for m in range(h, n_features):
                    times = 1.0
                    if m == h:
                        times += 1.0 + (h == g) + (h == g and g == f)
                    put(series, quad, total(load(sums, quad)) / weight / (in_three * times))
                    quad += 1
    further += n_features
    put(series, further, total(load(sums, further)) / weight)
    most_sq = 0.0
    for lane in range(LANES):
        most_sq = max(most_sq, item(sums, (further + 1) * LANES + lane))
    put(series, further + 1, most_sq)
    return weight


@step
def _terms(series, n_features, v, gradients):
    """The terms of mean exp(y v) of second to fourth order; their gradients are written."""
    pair, triple, quad, _ = _places(n_features)
    for k in range(3 * n_features):
        put(gradients, k, 0.0)
    second, third, fourth = 0, n_features, 2 * n_features
    for f in range(n_features):
        a = item(v, f)
        for g in range(f, n_features):
            b = item(v, g)
            c = item(series, pair)
            pair += 1
            put(gradients, second + f, item(gradients, second + f) + c * b)
            put(gradients, second + g, item(gradients, second + g) + c * a)
            for h in range(g, n_features):
                d = item(v, h)
                c = item(series, triple)
                triple += 1
                put(gradients, third + f, item(gradients, third + f) + c * b * d)
                put(gradients, third + g, item(gradients, third + g) + c * a * d)
                put(gradients, third + h, item(gradients, third + h) + c * a * b)
                for m in range(h, n_features):
                    e = item(v, m)
                    c = item(series, quad)
                    quad += 1
                    put(gradients, fourth + f, item(gradients, fourth + f) + c * b * d * e)
                    put(gradients, fourth + g, item(gradients, fourth + g) + c * a * d * e)
                    put(gradients, fourth + h, item(gradients, fourth + h) + c * a * b * e)
                    put(gradients, fourth + m, item(gradients, fourth + m) + c * a * b * d)
    p1, p2, p3, p4 = 0.0, 0.0, 0.0, 0.0
    for f in range(n_features):
        p1 += item(series, f) * item(v, f)
        p2 += item(gradients, second + f) * item(v, f) / 2.0
        p3 += item(gradients, third + f) * item(v, f) / 3.0
        p4 += item(gradients, fourth + f) * item(v, f) / 4.0
    return p1, p2, p3, p4


@step
def _remainder(series, n_features, rho, gradients):
    """Bound R over rho^4, from the central moments m2, m4 and m6 about the mean y."""
    further = _places(n_features)[3]
    sixth, most_sq = item(series, further + n_features), item(series, further + n_features + 1)
    # With v the mean itself, the terms are its products with the raw moments.
    c, b2, b3, _ = _terms(series, n_features, series, gradients)
    b2, b3 = 2.0 * b2, 6.0 * b3
    a1, a2, a1_b, a2_b, a1_b2 = 0.0, 0.0, 0.0, 0.0, 0.0
    pair, triple, quad, _ = _places(n_features)
    for f in range(n_features):
        a2_b += item(series, further + f) * item(series, f)
        for g in range(f, n_features):
            a1 += 2.0 * item(series, pair) if g == f else 0.0
            pair += 1
            for h in range(g, n_features):
                moment = item(series, triple)
                triple += 1
                if g == f:
                    a1_b += moment * (6.0 if h == g else 2.0) * item(series, h)
                elif h == g:
                    a1_b += moment * 2.0 * item(series, f)
                for m in range(h, n_features):
                    moment = item(series, quad)
                    quad += 1
                    # |y|^2 (y mean)^2 and |y|^4: products in which two features are the same.
                    once = item(series, f) * item(series, f)
                    if f == g and g == h and h == m:
                        a2 += 24.0 * moment
                        a1_b2 += 24.0 * moment * once
                    elif f == g and h == m:
                        a2 += 8.0 * moment
                        a1_b2 += 4.0 * moment * (once + item(series, m) * item(series, m))
                    elif g == h and (f == g or h == m):
                        a1_b2 += 12.0 * moment * item(series, f) * item(series, m)
                    elif f == g:
                        a1_b2 += 4.0 * moment * item(series, h) * item(series, m)
                    elif g == h:
                        a1_b2 += 4.0 * moment * item(series, f) * item(series, m)
                    elif h == m:
                        a1_b2 += 4.0 * moment * item(series, f) * item(series, g)
    m2 = a1 - c
    m4 = a2 - 4.0 * a1_b + 2.0 * c * a1 + 4.0 * b2 - 3.0 * c * c
    m6 = sixth - 6.0 * a2_b + 3.0 * c * a2 + 12.0 * a1_b2 - 12.0 * c * a1_b + 3.0 * c * c * a1
    m6 = m6 - 8.0 * b3 + 12.0 * c * b2 - 5.0 * c * c * c
    # What is lost where these differences are small.
    m2 = max(m2, 0.0) + ROUNDED * a1
    m4 = max(m4, 0.0) + ROUNDED * a2
    m6 = max(m6, 0.0) + ROUNDED * sixth
    m3, m5 = math.sqrt(m2 * m4), math.sqrt(m4 * m6)
    farthest = math.sqrt(most_sq) + math.sqrt(c)
    growth = 0.5 * rho * rho * math.exp(min(rho * farthest, 700.0))
    e2 = m2 + rho * m3 + growth * m4
    e3 = m3 + rho * m4 + growth * m5
    e5 = m5 + rho * m6 + growth * m6 * farthest
    drift = rho * e2
    e3 = (e3 ** (1.0 / 3.0) + drift) ** 3.0
    e5 = (e5**0.2 + drift) ** 5.0
    return (e5 + 10.0 * e2 * e3) / 24.0


@step
def _move_by_cumulants(positions, i, n_features, center, series, v, gradients):
    """Shift a position about a center; returns the move, and how much denser it is there (log)."""
    v_sq = 0.0
    for f in range(n_features):
        away = item(positions, i * n_features + f) - item(center, f)
        put(v, f, away)
        v_sq += away * away
    p1, p2, p3, p4 = _terms(series, n_features, v, gradients)
    # The gradient of log(1 + p1 + ... + p4) to the third order.
    third = 1.0 - p1
    second = third - p2 + p1 * p1
    first = second - p3 + 2.0 * p1 * p2 - p1 * p1 * p1
    move_sq = 0.0
    for f in range(n_features):
        away = item(series, f) * first + item(gradients, f) * second
        away += item(gradients, n_features + f) * third + item(gradients, 2 * n_features + f)
        move_sq += (away - item(v, f)) * (away - item(v, f))
        put(positions, i * n_features + f, item(center, f) + away)
    denser = p1 + (p2 - 0.5 * p1 * p1) + (p3 - p1 * p2 + p1 * p1 * p1 / 3.0)
    denser += p4 - p1 * p3 - 0.5 * p2 * p2 + p1 * p1 * p2 - 0.25 * p1 * p1 * p1 * p1
    return math.sqrt(move_sq), denser - 0.5 * v_sq


@step
def _views(tree, proxies):
    return (
        flat(tree.points), flat(tree.point_weights), flat(tree.lower), flat(tree.upper),
        flat(tree.weight), flat(proxies.mean), flat(proxies.rows), flat(proxies.radius),
        flat(proxies.skew), flat(proxies.tail),
    )  # fmt: skip


@step
def _shift_group(
    views, first_child, n_upper, weighted, all_weight, positions, first, stop, rho, accuracy,
    support, moves, memory, stack, n_features, n_proxies,
):  # fmt: skip
    """Shift the positions about a center, or none where R is too large; the bound of R / rho^4."""
    scratch, sums, center, reference, offset, series = memory
    reference_sq, least = _refer(
        views, first_child, n_upper, weighted, n_features, all_weight, center, reference, offset,
        stack, scratch,
    )  # fmt: skip
    if reference_sq > 0.0 and rho > 0.0:
        return HUGE
    promise = accuracy * NODES if rho > 0.0 else accuracy
    if rho > 0.0:
        reach, _, _ = _limits(least, all_weight, reference_sq, promise)
        least *= math.exp(-rho * reach - 0.5 * rho * rho)
    reach, share, farthest = _limits(least, all_weight, reference_sq, promise)
    deep = 2 * np.int64(rho > 0.0)
    _sum_all(
        views, first_child, n_upper, weighted, n_features, n_proxies, deep,
        (center, reference, offset, reference_sq, rho), (reach, OWN * promise, share, farthest),
        stack, scratch, sums,
    )  # fmt: skip
    if deep == 0:
        weight, move_sq = total(load(sums, n_features)), 0.0
        for f in range(n_features):
            move = total(load(sums, f)) / weight
            move_sq += move * move
            put(center, f, item(center, f) + move)
        for i in range(first, stop):
            support[i], moves[i] = weight * math.exp(-0.5 * reference_sq), math.sqrt(move_sq)
            for f in range(n_features):
                put(positions, i * n_features + f, item(center, f))
        return 0.0
    weight = _series(sums, n_features, series)
    remainder = _remainder(series, n_features, rho, scratch)
    if remainder * rho * rho * rho * rho <= accuracy * (1.0 - NODES):
        gradients = sums
        for i in range(first, stop):
            moves[i], denser = _move_by_cumulants(
                positions, i, n_features, center, series, scratch, gradients
            )
            support[i] = weight * math.exp(denser)
    return remainder


@step
def _shift_block(tree, proxies, positions, block, size, accuracy, support, moves, memory, stack):
    """Shift a block of positions, in groups as large as the promise allows."""
    n_features, n_proxies = positions.shape[1], proxies.rows.shape[1]
    views = _views(tree, proxies)
    spaces = (
        flat(memory[0]), flat(memory[1]), flat(memory[2]), flat(memory[3]), flat(memory[4]),
        flat(memory[5]),
    )  # fmt: skip
    weighted, all_weight = np.int64(tree.point_weights.shape[0] > 1), total(load(tree.weight, 0))
    target = (1.0 - NODES) * accuracy
    remainder, widest = USUAL, WIDEST if n_features <= GROUPED else 0.0
    groups = flat(stack[1])
    put(groups, 0, block * size)
    put(groups, 1, min((block + 1) * size, positions.shape[0]))
    waiting = 2
    while waiting > 0:
        waiting -= 2
        first, stop = item(groups, waiting), item(groups, waiting + 1)
        rho = _bound_group(flat(positions), first, stop, n_features, spaces[2])
        # What R was about the last center is about what it is here.
        if rho == 0.0 or (rho <= widest and rho * rho * rho * rho * remainder <= target):
            here = _shift_group(
                views, flat(tree.first_child), tree.n_upper, weighted, all_weight, flat(positions),
                first, stop, rho, accuracy, support, moves, spaces, flat(stack[0]), n_features,
                n_proxies,
            )  # fmt: skip
            if rho > 0.0 and here < HUGE:
                remainder = here
            if rho == 0.0 or rho * rho * rho * rho * here <= target:
                continue
        middle = _widest_gap(flat(positions), first, stop, n_features)
        put(groups, waiting, first)
        put(groups, waiting + 1, middle)
        put(groups, waiting + 2, middle)
        put(groups, waiting + 3, stop)
        waiting += 4


@parallel
def _gaussian_shifts(tree, proxies, positions, size, accuracy, support, moves):
    for block in prange((positions.shape[0] + size - 1) // size):
        n_features = positions.shape[1]
        memory = np.empty((6, 40 if n_features <= GROUPED else 2 * n_features, LANES))
        stack = np.empty((2, STACK), np.int64)
        at = np.int64(block)  # prange counts unsigned, which would compile the block twice
        _shift_block(tree, proxies, positions, at, size, accuracy, support, moves, memory, stack)


def _bring_near(
    tree: MomentTree, positions: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Bring what is far from all rows nearer to them, straight on; which it is, and where it was.

    From so far the same row is the nearest, but for ties that no position is exact enough to tell.
    """
    low, high = tree.lower[0].min(axis=1), tree.upper[0].max(axis=1)
    middle = 0.5 * low + 0.5 * high
    reach = FAR + float(np.sqrt(((high - middle) ** 2).sum()))
    none = np.empty(0, dtype=np.intp)
    most = np.maximum(positions.max(axis=0) - middle, middle - positions.min(axis=0))
    if most.max() <= reach:
        return none, positions[none]
    far = np.flatnonzero((np.abs(positions - middle) > reach).any(axis=1))
    begun = positions[far]
    away = begun - middle
    away /= np.abs(away).max(axis=1)[:, None]
    away *= reach / np.sqrt((away * away).sum(axis=1))[:, None]
    positions[far] = middle + away
    return far, begun


def gaussian_shift(
    tree: MomentTree, proxies: Proxies, positions: NDArray[np.float64], *, accuracy: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move every position, in place, to the mean of all rows as the Gaussian kernel weighs them.

    Parameters
    ----------
    tree : MomentTree
        The rows, in bandwidths.
    proxies : Proxies
        The tree's.
    positions : C-ordered float64 array of shape (n_positions, n_features)
        In bandwidths; overwritten by the means. Fastest where neighbours in space follow one
        another.
    accuracy : float
        How far a mean may be from that of the exact sums, in bandwidths. With 0 every row is
        summed, up to rounding.

    Returns
    -------
    support : float64 array of shape (n_positions,)
        The weight of the rows as the kernel weighs them, around the position as it was; 0 where
        that is less than 1e-308.
    moves : float64 array of shape (n_positions,)
        How far each position went.

    Notes
    -----
    Bit-equal for every number of threads.
    """
    support = np.empty(len(positions))
    moves = np.empty(len(positions))
    far, begun = _bring_near(tree, positions)
    # A task for each 64 positions where they are few, so that there is one for each thread.
    size = min(max(len(positions) // 64, 64), BLOCK)
    # A pass may sum every row.
    first = FIRST_CHUNK_VALUES // tree.points.size
    if positions.shape[1] > GROUPED or accuracy == 0.0:
        # Each goes alone, then, and where passes are long a block of 1,024 is: it took 5.1 s for
        # one of 120,000 x 48 rows, on one thread, which no Ctrl-C could end.
        size = min(size, max(first // 16, 1))
    for start, stop in chunks(len(positions), first=first, multiple=size):
        _gaussian_shifts(
            tree, proxies, positions[start:stop], size, min(accuracy, 1.0),
            support[start:stop], moves[start:stop],
        )  # fmt: skip
    if far.size:
        moves[far] = np.sqrt(((positions[far] - begun) ** 2).sum(axis=1))
    return support, moves


# Modes.


@step
def _newton_step(sums, n_features, factor, move):
    """Solve (1 - K) step = s, K being the covariance of y and s the shift; the step's length.

    That is Newton's for the logarithm of the density, whose Hessian is K - 1. Returns -1, with s
    itself for a step, where the Hessian is not negative definite.
    """
    weight = total(load(sums, n_features))
    for f in range(n_features):
        put(move, f, total(load(sums, f)) / weight)
    pair = n_features + 1
    for f in range(n_features):
        for g in range(f, n_features):
            value = item(move, f) * item(move, g) - total(load(sums, pair)) / weight
            put(factor, g * n_features + f, value + (1.0 if g == f else 0.0))
            pair += 1
    for f in range(n_features):
        for g in range(f, n_features):
            value = item(factor, g * n_features + f)
            for j in range(f):
                value -= item(factor, g * n_features + j) * item(factor, f * n_features + j)
            if g > f:
                value /= item(factor, f * n_features + f)
            elif value > 1e-12:
                value = math.sqrt(value)
            else:
                return -1.0
            put(factor, g * n_features + f, value)
    for f in range(n_features):
        value = item(move, f)
        for j in range(f):
            value -= item(factor, f * n_features + j) * item(move, j)
        put(move, f, value / item(factor, f * n_features + f))
    length_sq = 0.0
    for back in range(n_features):
        f = n_features - 1 - back
        value = item(move, f)
        for g in range(f + 1, n_features):
            value -= item(factor, g * n_features + f) * item(move, g)
        value /= item(factor, f * n_features + f)
        put(move, f, value)
        length_sq += value * value
    return math.sqrt(length_sq)


@step
def _polish_one(tree, proxies, modes, i, accuracy, tol, max_iter, sums, spaces, stack):
    """Climb to where the density is stationary; returns the density there."""
    n_features, n_proxies = modes.shape[1], proxies.rows.shape[1]
    views, first_child, stack = _views(tree, proxies), flat(tree.first_child), flat(stack)
    weighted, all_weight = np.int64(tree.point_weights.shape[0] > 1), total(load(tree.weight, 0))
    sums, scratch, place, reference, offset, best, move, factor = (
        flat(sums), flat(spaces[0]), flat(spaces[1]), flat(spaces[2]), flat(spaces[3]),
        flat(spaces[4]), flat(spaces[5]), flat(spaces[6]),
    )  # fmt: skip
    for f in range(n_features):
        put(place, f, modes[i, f])
    depth = np.int64(n_features <= NEWTON)
    highest, density, tried = -np.inf, 0.0, False
    for _ in range(max_iter):
        reference_sq, least = _refer(
            views, first_child, tree.n_upper, weighted, n_features, all_weight, place, reference,
            offset, stack, scratch,
        )  # fmt: skip
        reach, share, farthest = _limits(least, all_weight, reference_sq, accuracy)
        _sum_all(
            views, first_child, tree.n_upper, weighted, n_features, n_proxies, depth,
            (place, reference, offset, reference_sq, 0.0), (reach, OWN * accuracy, share, farthest),
            stack, scratch, sums,
        )  # fmt: skip
        weight = total(load(sums, n_features))
        height = math.log(weight) - 0.5 * reference_sq
        if tried and height < highest - 1e-12:
            # Newton's step went down: take the shift that it replaced, which cannot.
            tried = False
            for f in range(n_features):
                put(place, f, item(best, f))
            continue
        highest, density, shift_sq = height, math.exp(height), 0.0
        for f in range(n_features):
            shift = total(load(sums, f)) / weight
            shift_sq += shift * shift
            modes[i, f] = item(place, f)
            put(best, f, item(place, f) + shift)
        length = _newton_step(sums, n_features, factor, move) if depth == 1 else -1.0
        tried = 0.0 <= length <= 1.0
        if 0.0 <= length <= tol or shift_sq <= 1e-4 * tol * tol:
            break
        for f in range(n_features):
            put(place, f, item(place, f) + item(move, f) if tried else item(best, f))
    return density


@parallel
def _polish_all(tree, proxies, modes, accuracy, tol, max_iter, density):
    for i in prange(modes.shape[0]):
        n = modes.shape[1]
        n_squares = n * n if n <= NEWTON else 0
        sums = np.empty((n + 1 + (n_squares + n) // 2, LANES))
        spaces = np.empty((7, n + 2 + n_squares // LANES, LANES))
        stack = np.empty(STACK, np.int64)
        at = np.int64(i)
        density[at] = _polish_one(
            tree, proxies, modes, at, accuracy, tol, max_iter, sums, spaces, stack
        )


def polish(
    tree: MomentTree, proxies: Proxies, modes: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move modes to where the density is stationary, which trajectories only come near.

    Parameters
    ----------
    tree : MomentTree
        The rows, in bandwidths.
    proxies : Proxies
        The tree's.
    modes : float64 array of shape (n_modes, n_features)
        Where trajectories came to rest, in bandwidths.

    Returns
    -------
    modes : float64 array of shape (n_modes, n_features)
        Stationary to 1e-7 bandwidths: so long is the next Newton step.
    density : float64 array of shape (n_modes,)
        The weight of the rows as the kernel weighs them, around each.

    Notes
    -----
    Newton steps of at most a bandwidth where the Hessian of the log density is negative definite,
    plain shifts elsewhere and where a Newton step would lead down, so that the density never
    falls. Some five passes over the rows near each mode. Above 64 features all are plain shifts.
    """
    polished = modes.copy()
    density = np.empty(len(modes))
    for start, stop in chunks(len(modes), first=1):
        _polish_all(tree, proxies, polished[start:stop], 1e-10, 1e-7, 1000, density[start:stop])
    return polished, density
