"""Cumulants of a Gaussian shift: one pass over the rows serves all positions of a group.

    sums about a center --> series: terms of mean exp(y v), v from the center to a position
                              |
                              |--> remainder: how far the shifts may be off
                              `--> each position's shift: gradient of log mean exp(y v)

See "Groups of positions" in docs/explanations/gaussian_promise.md.
"""

import math

from meanshift_fast._index.gaussian_sums import sum_places
from meanshift_fast._jit.compiler import step
from meanshift_fast._jit.simd import item, load, most, put, total

MOMENT_ROUNDING = 1e-13  # of the moments about the center: what their differences may be wrong by


@step
def write_series(sums, n_features, series):
    """Divide the sums by the weight, and products by the factorials of how often a feature occurs.

    So the terms of mean exp(y v) are these times products of features of v. Returns the weight.
    """
    weight = total(load(sums, n_features))
    pair, triple, quad, last = sum_places(n_features)
    for f in range(n_features):
        put(series, f, total(load(sums, f)) / weight)
        put(series, last + f, total(load(sums, last + f)) / weight)
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
    last += n_features
    put(series, last, total(load(sums, last)) / weight)
    put(series, last + 1, most(load(sums, last + 1)))
    return weight


@step
def _terms(series, n_features, v, gradients):
    """The terms of mean exp(y v) up to the fourth order; writes the gradients of the last three."""
    pair, triple, quad, _ = sum_places(n_features)
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
def _of_quadruple(moment, series, f, g, h, m):
    """What the term of four features adds to the means of |y|^4 and of |y|^2 (y mean)^2.

    Only those in which two features are equal do.
    """
    once = item(series, f) * item(series, f)
    if f == g and g == h and h == m:
        return 24.0 * moment, 24.0 * moment * once
    if f == g and h == m:
        return 8.0 * moment, 4.0 * moment * (once + item(series, m) * item(series, m))
    if g == h and (f == g or h == m):
        return 0.0, 12.0 * moment * item(series, f) * item(series, m)
    if f == g:
        return 0.0, 4.0 * moment * item(series, h) * item(series, m)
    if g == h:
        return 0.0, 4.0 * moment * item(series, f) * item(series, m)
    if h == m:
        return 0.0, 4.0 * moment * item(series, f) * item(series, g)
    return 0.0, 0.0


@step
def _contractions(series, n_features):
    """The means of |y|^2, |y|^4, |y|^2 (y mean), |y|^4 (y mean) and |y|^2 (y mean)^2."""
    a1, a2, a1_b, a2_b, a1_b2 = 0.0, 0.0, 0.0, 0.0, 0.0
    pair, triple, quad, last = sum_places(n_features)
    for f in range(n_features):
        a2_b += item(series, last + f) * item(series, f)
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
                    to_a2, to_a1_b2 = _of_quadruple(item(series, quad), series, f, g, h, m)
                    a2 += to_a2
                    a1_b2 += to_a1_b2
                    quad += 1
    return a1, a2, a1_b, a2_b, a1_b2


@step
def remainder(series, n_features, rho, gradients):
    """Bound R over rho^4, from the central moments m2, m4 and m6 about the mean y."""
    last = sum_places(n_features)[3] + n_features
    sixth, most_sq = item(series, last), item(series, last + 1)
    # With v the mean itself, the terms are its products with the raw moments.
    c, b2, b3, _ = _terms(series, n_features, series, gradients)
    b2, b3 = 2.0 * b2, 6.0 * b3
    a1, a2, a1_b, a2_b, a1_b2 = _contractions(series, n_features)
    m2 = a1 - c
    m4 = a2 - 4.0 * a1_b + 2.0 * c * a1 + 4.0 * b2 - 3.0 * c * c
    m6 = sixth - 6.0 * a2_b + 3.0 * c * a2 + 12.0 * a1_b2 - 12.0 * c * a1_b + 3.0 * c * c * a1
    m6 = m6 - 8.0 * b3 + 12.0 * c * b2 - 5.0 * c * c * c
    # What is lost where these differences are small.
    m2 = max(m2, 0.0) + MOMENT_ROUNDING * a1
    m4 = max(m4, 0.0) + MOMENT_ROUNDING * a2
    m6 = max(m6, 0.0) + MOMENT_ROUNDING * sixth
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
def move_by_cumulants(positions, i, n_features, center, series, v, gradients):
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
