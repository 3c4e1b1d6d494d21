"""Distances of positions and boxes to sixteen boxes, and to the sixteen points of a leaf."""

from meanshift_fast._jit.compiler import step
from meanshift_fast._jit.simd import full, item, load, where


@step
def gap_and_span(low_edge, high_edge, low, high):
    """Along one feature: the least and the largest distance of a box from sixteen others.

    One expression for the kernels that must agree with the test of a row. The span may be negative:
    its square is used. A NaN stays one, and is near nothing.
    """
    below, above = low_edge - high, low - high_edge
    gap = where(below > above, below, above)
    return where(gap < 0.0, full(0.0), gap), where(below > above, above, below)


@step
def gaps_sq(lower, upper, block, n_features, values, at):
    """Squared distances of a position, the values from ``at`` on, to a block's sixteen boxes."""
    gap_sq = full(0.0)
    for f in range(n_features):
        edges = load(lower, block * n_features + f), load(upper, block * n_features + f)
        value = item(values, at + f)
        gap, _ = gap_and_span(edges[0], edges[1], value, value)
        gap_sq = gap_sq + gap * gap
    return gap_sq


@step
def distances_sq(points, leaf, n_features, values, at):
    """Squared distances of a position to a leaf's sixteen points; infinite where there is none."""
    distance_sq = full(0.0)
    for f in range(n_features):
        away = load(points, leaf * n_features + f) - item(values, at + f)
        distance_sq = distance_sq + away * away
    return distance_sq


@step
def box_gaps_sq(lower, upper, block, n_features, low, high):
    """Squared distances of a box to a block's sixteen boxes, or to a leaf's sixteen points."""
    gap_sq = full(0.0)
    for f in range(n_features):
        edges = load(lower, block * n_features + f), load(upper, block * n_features + f)
        gap, _ = gap_and_span(edges[0], edges[1], item(low, f), item(high, f))
        gap_sq = gap_sq + gap * gap
    return gap_sq
