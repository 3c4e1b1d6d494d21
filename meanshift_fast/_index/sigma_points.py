"""Sigma points: a few weighted points that stand for all rows of a node, for the Gaussian shift.

    rows of a node      its sigma points, n = 2 features
       . :.                   x            the mean, plus and minus sqrt(n) times the columns of
     . : .: .     -->       x   x          the Cholesky factor of the covariance: of the node's
       :. .                   x            weight, mean and second moments

What the node's third moments, and the fourth of its rows and sigma points, add to an error is
measured here too. Above four features a node is its mean, and the error begins with the second
moments. See docs/explanations/gaussian_promise.md.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.moment_tree import MomentTree
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import parallel, step
from meanshift_fast._jit.simd import LANES, flat, full, item, load, most, put, store, total, where

MAX_SPREAD_FEATURES = 4  # up to which a node has more than one sigma point
FIRST_CHUNK_VALUES = 1 << 27  # that the blocks of the first chunk go through: less than a second
HUGE = 1e300  # less than what fills up the last leaf


class SigmaPoints(NamedTuple):
    r"""The sigma points of each child of each block of a moment tree.

    Attributes
    ----------
    mean : float64 array of shape (n_blocks, n_features, 16)
        The children's means.
    points : float64 array of shape (n_blocks, n_sigma, n_features, 16)
        The sigma points, each for an equal part of the child's weight.
    radius : float64 array of shape (n_blocks, 16)
        The largest distance of a row or a sigma point from the mean.
    skew : float64 array of shape (n_blocks, 16)
        The Frobenius norm of the mean of d d d, d a row minus the mean; 0 with one sigma point.
    tail : float64 array of shape (n_blocks, 16)
        The mean of \|d\|^4, of the rows plus of the sigma points; of \|d\|^2 with one.
    """

    mean: NDArray[np.float64]
    points: NDArray[np.float64]
    radius: NDArray[np.float64]
    skew: NDArray[np.float64]
    tail: NDArray[np.float64]


class Nodes(NamedTuple):
    """A moment tree and its sigma points as steps read them: flat pointers and counts."""

    points: Any
    point_weights: Any
    lower: Any
    upper: Any
    weight: Any
    first_child: Any
    mean: Any
    sigma_points: Any
    radius: Any
    skew: Any
    tail: Any
    n_upper: int
    n_features: int
    n_sigma: int
    is_weighted: Any
    total_weight: float


@step
def nodes_of(tree, sigma):
    """A tree and its sigma points as :class:`Nodes`."""
    return Nodes(
        flat(tree.points), flat(tree.point_weights), flat(tree.lower), flat(tree.upper),
        flat(tree.weight), flat(tree.first_child), flat(sigma.mean), flat(sigma.points),
        flat(sigma.radius), flat(sigma.skew), flat(sigma.tail), tree.n_upper,
        sigma.points.shape[2], sigma.points.shape[1], np.int64(tree.point_weights.shape[0] > 1),
        total(load(tree.weight, 0)),
    )  # fmt: skip


class _Leaves(NamedTuple):
    """The leaves below a node: ``start`` to ``stop`` of a tree's."""

    points: Any
    point_weights: Any
    is_weighted: Any
    n_features: int
    start: int
    stop: int


@step
def _leaves_below(tree, block, lane):
    """The leaves below a child of a block."""
    size, first = 1, block
    while first < tree.n_upper:
        first, size = tree.first_child[first], size * LANES
    start = tree.first_child[first] + lane * size
    return _Leaves(
        flat(tree.points), flat(tree.point_weights), np.int64(tree.point_weights.shape[0] > 1),
        tree.points.shape[1], start, min(start + size, tree.points.shape[0]),
    )  # fmt: skip


@step
def _row_weights(leaves, leaf):
    """The weights of a leaf's rows; 0 for what fills up the last leaf."""
    exists = load(leaves.points, leaf * leaves.n_features) < full(HUGE)
    return where(exists, load(leaves.point_weights, leaf * leaves.is_weighted), full(0.0))


@step
def _write_mean(leaves, weight, origin, sums, mean):
    """Average the rows of some leaves, as offsets from a corner of their box."""
    n_features = leaves.n_features
    for f in range(n_features):
        store(sums, f, full(0.0))
    for leaf in range(leaves.start, leaves.stop):
        weights = _row_weights(leaves, leaf)
        exists = weights > full(0.0)
        for f in range(n_features):
            away = load(leaves.points, leaf * n_features + f) - item(origin, f)
            store(sums, f, load(sums, f) + where(exists, away * weights, full(0.0)))
    for f in range(n_features):
        put(mean, f, item(origin, f) + total(load(sums, f)) / weight)


@step
def _add_products(weights, away, n_features, sums):
    """Add a leaf's weighted products of two features of ``away`` and of three, for f <= g <= h."""
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


@step
def _sum_moments(leaves, is_spread, mean, away, sums):
    """Sum central moments over the rows of some leaves; returns radius squared and tail.

    Where ``is_spread``, ``sums`` takes the second moments and then the third, and the tail is of
    the fourth power.
    """
    n_features, zero = leaves.n_features, full(0.0)
    for k in range(n_features * (n_features + 1) * (n_features + 5) // 6 * is_spread):
        store(sums, k, zero)
    radius_sq, tail = zero, zero
    for leaf in range(leaves.start, leaves.stop):
        weights = _row_weights(leaves, leaf)
        exists = weights > zero
        away_sq = zero
        for f in range(n_features):
            offset = load(leaves.points, leaf * n_features + f) - item(mean, f)
            offset = where(exists, offset, zero)
            store(away, f, offset)
            away_sq = away_sq + offset * offset
        radius_sq = where(away_sq > radius_sq, away_sq, radius_sq)
        if is_spread:
            tail = tail + weights * away_sq * away_sq
            _add_products(weights, away, n_features, sums)
        else:
            tail = tail + weights * away_sq
    return most(radius_sq), total(tail)


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
def _write_cholesky(sums, n_features, weight, factor):
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
def _write_sigma_points(tree, sigma, block, lane, memory):
    """Find the sigma points of one child of a block from the rows below it."""
    n_features = sigma.points.shape[2]
    is_spread = np.int64(sigma.points.shape[1] > 1)
    away, sums, origin, center = flat(memory[0]), flat(memory[1]), flat(memory[2]), flat(memory[3])
    weight = tree.weight[block, lane]
    leaves = _leaves_below(tree, block, lane)
    for f in range(n_features):
        put(origin, f, tree.lower[block, f, lane])
    _write_mean(leaves, weight, origin, sums, center)
    radius_sq, power = _sum_moments(leaves, is_spread, center, away, sums)
    fourth = 0.0
    for f in range(n_features):
        sigma.mean[block, f, lane] = item(center, f)
        sigma.points[block, 0, f, lane] = item(center, f)
    if is_spread:
        most_sq, fourth = _write_cholesky(sums, n_features, weight, away)
        radius_sq = max(radius_sq, most_sq)
        sigma.skew[block, lane] = _skew_of(sums, n_features) / weight
        for j in range(n_features):
            for f in range(n_features):
                offset = item(away, j * n_features + f) if f >= j else 0.0
                sigma.points[block, 2 * j, f, lane] = item(center, f) + offset
                sigma.points[block, 2 * j + 1, f, lane] = item(center, f) - offset
    sigma.radius[block, lane] = math.sqrt(radius_sq)
    sigma.tail[block, lane] = power / weight + fourth


@step
def _write_lane(tree, sigma, start, stop, lane, memory):
    for block in range(start, stop):
        if tree.weight[block, lane] > 0.0:
            _write_sigma_points(tree, sigma, block, lane, memory)


@parallel
def _write_all(tree, sigma, n_sums, start, stop):
    for lane in prange(LANES):
        memory = np.empty((4, n_sums, LANES))
        _write_lane(tree, sigma, start, stop, np.int64(lane), memory)


def find_sigma_points(tree: MomentTree) -> SigmaPoints:
    """Find the sigma points of all children of a tree's blocks; the rows are in bandwidths.

    Each level of the tree is one more pass over the rows: 10 ms in all for 1M x 2 rows on two
    cores. Memory, for d features, d^2 + (d + 3) / 2 bytes a row; above four, d + 3 / 2. The same
    for every number of threads.
    """
    n_blocks, n_features = tree.lower.shape[:2]
    n_sigma = 2 * n_features if n_features <= MAX_SPREAD_FEATURES else 1
    sigma = SigmaPoints(
        mean=np.zeros((n_blocks, n_features, LANES)),
        points=np.zeros((n_blocks, n_sigma, n_features, LANES)),
        radius=np.zeros((n_blocks, LANES)),
        skew=np.zeros((n_blocks, LANES)),
        tail=np.zeros((n_blocks, LANES)),
    )
    n_moments = n_features * (n_features + 1) * (n_features + 5) // 6
    n_sums = max(n_moments, n_features) if n_sigma > 1 else n_features
    # The first block has all rows below it, the next sixteen a sixteenth each, and so on;
    # 10M x 2 rows take 0.24 s in all.
    for start, stop in chunks(n_blocks, first=max(FIRST_CHUNK_VALUES // tree.points.size, 1)):
        _write_all(tree, sigma, n_sums, start, stop)
    return sigma
