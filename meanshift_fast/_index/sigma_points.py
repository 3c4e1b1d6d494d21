"""Proxies: a few rows that stand for all the rows of a node, for the Gaussian shift.

    rows of a node      its proxies, n = 2 features
       . :.                   x            the mean, plus and minus sqrt(n) times the columns of
     . : .: .     -->       x   x          the Cholesky factor of the covariance: of the node's
       :. .                   x            weight, mean and second moments, for any function

What the node's third moments, and its rows' and proxies' fourth, add to an error is measured here
too. Above four features a node is its mean, and the error begins with the second moments.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.moment_tree import MomentTree
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import parallel, step
from meanshift_fast._jit.simd import LANES, flat, full, item, load, put, store, total, where

MOST_FEATURES = 4  # that a node has more than one proxy for
FIRST_CHUNK_VALUES = 1 << 27  # read or measured by the first chunk, at most: less than a second
HUGE = 1e300  # less than what fills up the last leaf


class Proxies(NamedTuple):
    r"""What the Gaussian shift knows of each child of each block, beside the moment tree.

    Attributes
    ----------
    mean : float64 array of shape (n_blocks, n_features, 16)
        The children's means.
    rows : float64 array of shape (n_blocks, n_proxies, n_features, 16)
        The rows that stand for the child's, each for an equal part of its weight.
    radius : float64 array of shape (n_blocks, 16)
        How far a row or a proxy is from the mean at most.
    skew : float64 array of shape (n_blocks, 16)
        The Frobenius norm of the mean of d d d, d a row minus the mean; 0 with one proxy.
    tail : float64 array of shape (n_blocks, 16)
        The mean of \|d\|^4, of the rows plus of the proxies; of \|d\|^2 with one proxy.
    """

    mean: NDArray[np.float64]
    rows: NDArray[np.float64]
    radius: NDArray[np.float64]
    skew: NDArray[np.float64]
    tail: NDArray[np.float64]


@step
def _row_weights(points, point_weights, weighted, leaf, n_features):
    """The weights of a leaf's rows; 0 for what fills up the last leaf."""
    there = load(points, leaf * n_features) < full(HUGE)
    return where(there, load(point_weights, leaf * weighted), full(0.0))


@step
def _mean_of(points, point_weights, weighted, first, stop, n_features, origin, weight, sums, mean):
    """Average the rows of some leaves, as offsets from a corner of their box."""
    for f in range(n_features):
        store(sums, f, full(0.0))
    for leaf in range(first, stop):
        weights = _row_weights(points, point_weights, weighted, leaf, n_features)
        there = weights > full(0.0)
        for f in range(n_features):
            away = load(points, leaf * n_features + f) - item(origin, f)
            store(sums, f, load(sums, f) + where(there, away * weights, full(0.0)))
    for f in range(n_features):
        put(mean, f, item(origin, f) + total(load(sums, f)) / weight)


@step
def _moments_of(points, point_weights, weighted, first, stop, n_features, deep, mean, away, sums):
    """Sum central moments over the rows of some leaves; returns radius squared and tail.

    Where ``deep``, ``sums`` takes the second moments and then the third, for f <= g <= h, and
    the tail is of the fourth power.
    """
    zero = full(0.0)
    for k in range(n_features * (n_features + 1) * (n_features + 5) // 6 * deep):
        store(sums, k, zero)
    radius_sq, tail = zero, zero
    for leaf in range(first, stop):
        weights = _row_weights(points, point_weights, weighted, leaf, n_features)
        there = weights > zero
        away_sq = zero
        for f in range(n_features):
            offset = where(there, load(points, leaf * n_features + f) - item(mean, f), zero)
            store(away, f, offset)
            away_sq = away_sq + offset * offset
        radius_sq = where(away_sq > radius_sq, away_sq, radius_sq)
        if not deep:
            tail = tail + weights * away_sq
            continue
        tail = tail + weights * away_sq * away_sq
        pair, triple = 0, n_features * (n_features + 1) // 2
        for f in range(n_features):
            once = weights * load(away, f)
            for g in range(f, n_features):
                twice = once * load(away, g)
                store(sums, pair, load(sums, pair) + twice)
                pair += 1
                for h in range(g, n_features):
                    store(sums, triple, load(sums, triple) + twice * load(away, h))
                    triple += 1
    store(away, 0, radius_sq)
    most_sq = 0.0
    for lane in range(LANES):
        most_sq = max(most_sq, item(away, lane))
    return most_sq, total(tail)


@step
def _skew_of(sums, n_features):
    """The Frobenius norm of the third moments, each counted as often as its features permute."""
    norm_sq, triple = 0.0, n_features * (n_features + 1) // 2
    for f in range(n_features):
        for g in range(f, n_features):
            for h in range(g, n_features):
                moment = total(load(sums, triple))
                times = 6.0
                if f == g and g == h:
                    times = 1.0
                elif f == g or g == h:
                    times = 3.0
                norm_sq += times * moment * moment
                triple += 1
    return math.sqrt(norm_sq)


@step
def _factor(sums, n_features, weight, factor):
    """Write the Cholesky factor of the second moments times the features, column by column.

    Returns the largest square of a column, and the mean of their squares' squares.
    """
    pair = 0
    for f in range(n_features):
        for g in range(f, n_features):
            value = total(load(sums, pair)) / weight * n_features
            pair += 1
            for j in range(f):
                value -= item(factor, j * n_features + f) * item(factor, j * n_features + g)
            if g == f:
                value = math.sqrt(max(value, 0.0))
            else:
                pivot = item(factor, f * n_features + f)
                value = value / pivot if pivot > 0.0 else 0.0
            put(factor, f * n_features + g, value)
    most_sq, fourth = 0.0, 0.0
    for f in range(n_features):
        length_sq = 0.0
        for g in range(f, n_features):
            length_sq += item(factor, f * n_features + g) * item(factor, f * n_features + g)
        most_sq = max(most_sq, length_sq)
        fourth += length_sq * length_sq / n_features
    return most_sq, fourth


@step
def _leaves_below(first_child, n_upper, block):
    """The first leaf below a block, and how many leaves each of its children holds."""
    size = 1
    while block < n_upper:
        block, size = first_child[block], size * LANES
    return first_child[block], size


@step
def _stand_in(tree, proxies, block, lane, memory):
    """Find the proxies of one child of a block from the rows below it."""
    mean, rows, radius, skew, tail = proxies
    n_features, n_proxies = rows.shape[2], rows.shape[1]
    deep = np.int64(n_proxies > 1)
    weighted = np.int64(tree.point_weights.shape[0] > 1)
    points, point_weights = flat(tree.points), flat(tree.point_weights)
    away, sums, origin, center = flat(memory[0]), flat(memory[1]), flat(memory[2]), flat(memory[3])
    weight = tree.weight[block, lane]
    first, size = _leaves_below(tree.first_child, tree.n_upper, block)
    start = first + lane * size
    stop = min(start + size, tree.points.shape[0])
    for f in range(n_features):
        put(origin, f, tree.lower[block, f, lane])
    _mean_of(points, point_weights, weighted, start, stop, n_features, origin, weight, sums, center)
    radius_sq, power = _moments_of(
        points, point_weights, weighted, start, stop, n_features, deep, center, away, sums
    )
    fourth = 0.0
    for f in range(n_features):
        mean[block, f, lane] = item(center, f)
        rows[block, 0, f, lane] = item(center, f)
    if deep:
        most_sq, fourth = _factor(sums, n_features, weight, away)
        radius_sq = max(radius_sq, most_sq)
        skew[block, lane] = _skew_of(sums, n_features) / weight
        for j in range(n_features):
            for f in range(n_features):
                step_size = item(away, j * n_features + f) if f >= j else 0.0
                rows[block, 2 * j, f, lane] = item(center, f) + step_size
                rows[block, 2 * j + 1, f, lane] = item(center, f) - step_size
    radius[block, lane] = math.sqrt(radius_sq)
    tail[block, lane] = power / weight + fourth


@step
def _stand_in_lane(tree, proxies, start, stop, lane, memory):
    for block in range(start, stop):
        if tree.weight[block, lane] > 0.0:
            _stand_in(tree, proxies, block, lane, memory)


@parallel
def _stand_in_all(tree, proxies, n_sums, start, stop):
    for lane in prange(LANES):
        memory = np.empty((4, n_sums, LANES))
        _stand_in_lane(tree, proxies, start, stop, np.int64(lane), memory)


def find_proxies(tree: MomentTree) -> Proxies:
    """Find the proxies of all children of a tree's blocks.

    Parameters
    ----------
    tree : MomentTree
        The rows, in bandwidths.

    Returns
    -------
    Proxies
        The same for every number of threads.

    Notes
    -----
    Each level of the tree is one more pass over the rows: 10 ms in all for 1M x 2 rows on two
    cores. Memory, for d features, d^2 + (d + 3) / 2 bytes a row; above four, d + 3 / 2.
    """
    n_blocks, n_features = tree.lower.shape[:2]
    n_proxies = 2 * n_features if n_features <= MOST_FEATURES else 1
    proxies = Proxies(
        mean=np.zeros((n_blocks, n_features, LANES)),
        rows=np.zeros((n_blocks, n_proxies, n_features, LANES)),
        radius=np.zeros((n_blocks, LANES)),
        skew=np.zeros((n_blocks, LANES)),
        tail=np.zeros((n_blocks, LANES)),
    )
    n_moments = n_features * (n_features + 1) * (n_features + 5) // 6
    n_sums = max(n_moments, n_features) if n_proxies > 1 else n_features
    # The first block has all rows below it, the next sixteen a sixteenth each, and so on;
    # 10M x 2 rows take 0.24 s in all.
    for start, stop in chunks(n_blocks, first=max(FIRST_CHUNK_VALUES // tree.points.size, 1)):
        _stand_in_all(tree, proxies, n_sums, start, stop)
    return proxies
