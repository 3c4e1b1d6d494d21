"""Sums of Epanechnikov's kernel over the rows in a closed ball, from the moment tree.

A flat mean shift ascends the density in which a row counts by its distance ([1]_, section 2.1:
Epanechnikov's kernel, the shadow of the flat one). With the mean m of a node's rows, their weight W
and their spread S, the weighted sum of squared distances from m, a node in the ball counts

    sum of w_i (1 - |x - x_i|^2 / h^2)  =  W (1 - |x - m|^2 / h^2) - S / h^2

so that no row is listed, and no digits are lost far from 0. The spreads of the nodes are a pass of
their own over the tree: shifts need none.

References
----------
.. [1] D. Comaniciu and P. Meer, "Mean shift: a robust approach toward feature space analysis",
   IEEE Transactions on Pattern Analysis and Machine Intelligence 24 (5), 2002, pp. 603-619,
   :doi:`10.1109/34.1000236`, section 2.
"""

from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.box_distances import distances_sq, gap_and_span
from meanshift_fast._index.moment_tree import MomentTree
from meanshift_fast._index.traversal import STACK_BLOCKS, push_children, views_of
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import empty_floats, empty_integers, parallel, step
from meanshift_fast._jit.simd import (
    LANES,
    bits,
    flat,
    full,
    item,
    load,
    lowest,
    mask_of,
    put,
    total,
    where,
)

BLOCK_PLACES = 64  # of a task
FIRST_CHUNK_VALUES = 1 << 30  # read or measured by the first chunk, at most: less than a second
CHUNK_LEAVES = 1 << 15  # whose spreads NumPy finds at a time


class Spreads(NamedTuple):
    """What a moment tree lacks for second moments.

    Attributes
    ----------
    mean : float64 array of shape (n_blocks, n_features, 16)
        The mean of each child's rows.
    spread : float64 array of shape (n_blocks, 16)
        The weighted sum of squared distances of each child's rows from it; 0 where there is none.
    """

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]


def find_spreads(tree: MomentTree) -> Spreads:
    """Find the means and spreads of all nodes of a moment tree, from the leaves up."""
    n_blocks = len(tree.lower)
    weight = np.where(tree.weight > 0.0, tree.weight, 1.0)
    mean = tree.weighted_sum / weight[:, None, :]
    spread = np.zeros((n_blocks, LANES))
    n_leaves, n_upper = len(tree.points), tree.n_upper
    of_leaves = spread[n_upper:].reshape(-1)
    for start in range(0, n_leaves, CHUNK_LEAVES):
        stop = min(start + CHUNK_LEAVES, n_leaves)
        lanes = np.arange(start, stop)
        middle = mean[n_upper + lanes // LANES, :, lanes % LANES]
        away = tree.points[start:stop] - middle[:, :, None]
        away[~np.isfinite(away)] = 0.0  # lanes without a row
        distance_sq = np.einsum("lfr,lfr->lr", away, away)
        weights = tree.point_weights[start:stop] if len(tree.point_weights) > 1 else 1.0
        of_leaves[start:stop] = (distance_sq * weights).sum(axis=1)
    for block in range(n_upper - 1, -1, -1):
        first = tree.first_child[block]
        children = slice(first, min(first + LANES, n_blocks))
        n_children = children.stop - first
        weights = tree.weight[children]
        away = mean[children] - mean[block].T[:n_children, :, None]
        distance_sq = np.einsum("cfk,cfk->ck", away, away)
        sums = (spread[children] + weights * distance_sq).sum(axis=1)
        spread[block, :n_children] = np.where(tree.weight[block, :n_children] > 0.0, sums, 0.0)
    return Spreads(mean, spread)


@step
def _sum_ball(views, spreads, n_features, place, radius_sq, stack):
    """Sum the kernel over the rows in the ball of one place."""
    zero, one, inverse_sq = full(0.0), full(1.0), full(1.0 / radius_sq)
    mean, spread = spreads
    sums = zero
    put(stack, 0, 0)
    waiting = 1
    while waiting > 0:
        waiting -= 1
        block = item(stack, waiting)
        near_sq, far_sq, mean_sq = zero, zero, zero
        for f in range(n_features):
            value, k = item(place, f), block * n_features + f
            gap, span = gap_and_span(load(views.lower, k), load(views.upper, k), value, value)
            near_sq = near_sq + gap * gap
            far_sq = far_sq + span * span
            away = load(mean, k) - value
            mean_sq = mean_sq + away * away
        near = bits(near_sq <= radius_sq)
        inside = bits(far_sq <= radius_sq) & near
        if inside != 0:
            counts = load(views.weight, block) * (one - mean_sq * inverse_sq)
            counts = counts - load(spread, block) * inverse_sq
            sums = sums + where(mask_of(inside), counts, zero)
        cut, child = near & ~inside, item(views.first_child, block)
        if block < views.n_upper:
            waiting = push_children(stack, waiting, child, cut)
            continue
        while cut != 0:
            leaf = child + lowest(cut)
            cut &= cut - 1
            distance_sq = distances_sq(views.points, leaf, n_features, place, 0)
            weights = load(views.point_weights, leaf * views.weighted)
            counts = weights * (one - distance_sq * inverse_sq)
            sums = sums + where(distance_sq <= radius_sq, counts, zero)
    return total(sums)


@step
def _sum_some(tree, spreads, places, first, stop, radius_sq, density, place, stack):
    views, at, n_features = views_of(tree), flat(places), places.shape[1]
    nodes = flat(spreads.mean), flat(spreads.spread)
    for i in range(first, stop):
        for f in range(n_features):
            put(flat(place), f, item(at, i * n_features + f))
        density[i] = _sum_ball(views, nodes, n_features, flat(place), radius_sq, flat(stack))


@parallel
def _sum_all(tree, spreads, places, radius_sq, density):
    for block in prange((places.shape[0] + BLOCK_PLACES - 1) // BLOCK_PLACES):
        first = np.int64(block) * BLOCK_PLACES  # prange counts unsigned: compiled twice
        stop = min(first + BLOCK_PLACES, places.shape[0])
        place, stack = empty_floats(places.shape[1]), empty_integers(STACK_BLOCKS)
        _sum_some(tree, spreads, places, first, stop, radius_sq, density, place, stack)


def sum_epanechnikov(
    tree: MomentTree, places: NDArray[np.float64], radius: float
) -> NDArray[np.float64]:
    """Sum Epanechnikov's kernel over the rows, at some places, for a positive radius.

    A row at the place counts its weight, one a radius away nothing. About n^(1 - 1/d) for each
    place, fastest where neighbours in space follow one another; bit-equal for every number of
    threads.
    """
    density = np.empty(len(places))
    spreads = find_spreads(tree)
    first = FIRST_CHUNK_VALUES // tree.points.size
    for start, stop in chunks(len(places), first=first):
        _sum_all(tree, spreads, places[start:stop], radius * radius, density[start:stop])
    return np.maximum(density, 0.0, out=density)
