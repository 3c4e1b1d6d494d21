"""Gaussian shifts of positions that lie together: one expansion about a center for all of them.

    positions --densest ball of some--> center --rows, once--> mean, covariance
                                           |
    each position within the ball --- v ---'--> mean + covariance v, within R of its shift

After two or three rounds most trajectories lie together. With y the rows, w their weights about the
center c, of sum 1, m the mean and C the covariance, the shifted position of c + v is the gradient
of  m v + log sum w exp(v (y - m)).  That is  m + C v  and the integral over t from 0 to 1 of
(1 - t) E_t[(v (y - m_t))^2 (y - m_t)], with E_t the mean over the weights tilted by exp(t v y) and
m_t that of the rows. With D the largest |y - m|, A = |v| D, q = v C v, and s the Frobenius norm of
C, a tilt by t multiplies a second moment about m by at most e^tA, and moves the mean by at most
t e^tA sqrt(s q). So what is left out is at most

    R = q (f(A) D + e^2A sqrt(s q) / 6)        f(A) = (e^A - 1 - A) / A^2, between 1/2 and 0.72

and that of the logarithm of the density, m v + q / 2, at most R |v| / 3. Positions for which R is
too much take products of their own, as do all where few lie together.

The covariance is multiplied by v in float32: off by (n_features + 8) u s |v|. Where the accuracy
leaves room it is summed of float32 rows too, K at a time: with X as in filled_rows.py, a row about
m times the root of its share r is off by 8 u X sqrt(r), the products by K u of what they add, and
that is at most X^2 in all: together (K + 16) u X^2 |v|. What is float64 has the rounding of a shift
by products in float64, doubled times A, which is at most 1: at most three times that.

One thread, processor time: a shift of 4,000 token embeddings of 256 columns takes 190 ms by
products, and 30 ms where 3,838 of them share an expansion, a quarter of that the covariance. Of
fits at the bandwidths 0.35 and 0.5 all but the first two rounds, or the first one, are such.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index import thresholds
from meanshift_fast._index.filled_rows import ROWS_AT_ONCE, FilledRows, Shifted
from meanshift_fast._index.singles import BLOCK_VALUES, UNIT_ROUNDOFF, error_of
from meanshift_fast._jit.blas import blas_alone, run_tasks

MAX_GROUPS = 8  # of a shift
MAX_EXPANDED_FEATURES = 2048  # whose covariances take 50 MB
SAMPLED_POSITIONS = 512  # that are counted
PROBED_POSITIONS = 16  # about which they are counted
CANDIDATE_RADII = 1.5  # from a center, in radii
RADIUS_SHRINKAGE = 0.75  # where less than half of the candidates can be shifted
MEMBERS_AT_ONCE = 512
TILE_FEATURES = 128  # of a covariance, for one task
COVARIANCE_SHARE = 1.0 / 16.0  # of the accuracy, for rows in float32
ROUNDING_SHARE = 1.0 / 64.0  # of the accuracy, for the center's own shift
REMAINDER_SHARE = 1.0 - 3.0 * ROUNDING_SHARE

_Floats = NDArray[np.float64]


class Expansion(NamedTuple):
    """The shift about a center.

    Attributes
    ----------
    center, mean : float64 arrays of shape (n_features,)
        About the middle of the rows.
    covariance : float32 array of shape (n_features, n_features)
    spread : float
        The covariance's Frobenius norm.
    farthest : float
        The largest distance of a row from the mean.
    rounding : float
        How far off the covariance times a vector is, relative to the vector's length.
    log_density : float
        The logarithm of sum W exp(y c - y^2 / 2), W the rows' weights.
    """

    center: _Floats
    mean: _Floats
    covariance: NDArray[np.float32]
    spread: float
    farthest: float
    rounding: float
    log_density: float


def serves(rows: FilledRows, n_positions: int, accuracy: float) -> bool:
    """Whether groups of so many positions can pay, and an expansion be as near as promised."""
    n_features = rows.singles.shape[1]
    return (
        n_features <= MAX_EXPANDED_FEATURES
        and n_positions >= thresholds.MIN_EXPANDED_A_FEATURE * n_features
        and bool(rows.errors(np.zeros(1), np.float64)[0] <= ROUNDING_SHARE * accuracy)
    )


def shift_groups(
    rows: FilledRows, shifted: Shifted, numbers: NDArray[np.int64], accuracy: float
) -> NDArray[np.int64]:
    """Shift those of some positions that lie together; the numbers of the others.

    ``numbers`` are those of the positions that may be shifted, off by ``accuracy`` at most.
    """
    radius = _usual_radius(rows, accuracy)
    # So many positions pay for a covariance.
    fewest = thresholds.MIN_EXPANDED_A_FEATURE * shifted.positions.shape[1]
    for _ in range(MAX_GROUPS):
        if len(numbers) < fewest:
            break
        members, center = _densest(rows, shifted.positions, numbers, radius, fewest)
        if len(members) < fewest:
            break
        norm = np.sqrt(np.einsum("i,i->", center, center))[None]
        if rows.errors(norm, np.float64)[0] > ROUNDING_SHARE * accuracy:
            break
        expansion = expand(rows, center, radius, COVARIANCE_SHARE * accuracy)
        is_shifted = _shift_members(expansion, rows.middle, shifted, members, accuracy)
        numbers = np.setdiff1d(numbers, members[is_shifted], assume_unique=True)
        n_shifted = np.count_nonzero(is_shifted)
        if n_shifted < fewest:
            break
        if 2 * n_shifted < len(members):
            radius *= RADIUS_SHRINKAGE
    return numbers


def _usual_radius(rows: FilledRows, accuracy: float) -> float:
    """How far from a center R is the accuracy where rows spread evenly along all columns."""
    variance = rows.variance / rows.points.shape[1]
    return math.sqrt(2.0 * accuracy / max(rows.extent * variance, 1e-300))


def _densest(
    rows: FilledRows, positions: _Floats, among: NDArray[np.int64], radius: float, fewest: float
) -> tuple[NDArray[np.int64], _Floats]:
    """The positions that may share an expansion, and its center, the mean of the nearest of them.

    Of some positions, those about the one with most of a sample within a radius; none where these
    are too few.
    """
    sample = positions[among[:: -(-len(among) // SAMPLED_POSITIONS)]] - rows.middle
    some = sample[:: -(-len(sample) // PROBED_POSITIONS)]
    squares = np.einsum("ij,ij->i", sample, sample)
    with blas_alone():
        distances_sq = squares[:, None] - 2.0 * (sample @ some.T)
    distances_sq += np.einsum("ij,ij->i", some, some)
    is_near = distances_sq <= radius * radius
    is_near = is_near[:, is_near.sum(axis=0).argmax()]
    if is_near.mean() * len(among) < fewest:
        return among[:0], some[0]
    center, candidates = sample[is_near].mean(axis=0), []
    step = max(BLOCK_VALUES // positions.shape[1], 1)
    for start in range(0, len(among), step):
        numbers = among[start : start + step]
        v = positions.take(numbers, axis=0) - (rows.middle + center)
        is_candidate = np.einsum("ij,ij->i", v, v) <= (CANDIDATE_RADII * radius) ** 2
        candidates.append(numbers[is_candidate])
    return np.concatenate(candidates), center


def expand(rows: FilledRows, center: _Floats, radius: float, rounding: float) -> Expansion:
    """Sum the rows about a center, which is relative to their middle.

    Shifts are expanded up to ``radius`` from the center, and may be off by ``rounding`` because of
    rows in float32.
    """
    n_samples, n_features = rows.points.shape
    blocks = rows.blocks()
    exponents, means = np.empty(n_samples), np.empty((len(blocks), n_features))
    farthest_sq = np.empty(len(blocks))

    def measure(number: int) -> None:
        """Multiply a block of rows by the center."""
        start, stop = blocks[number]
        exponents[start:stop] = rows.away(start, stop) @ center

    def add(number: int) -> None:
        """Sum a block of rows by their shares."""
        start, stop = blocks[number]
        means[number] = shares[start:stop] @ rows.away(start, stop)

    def bound(number: int) -> None:
        """Find the largest squared distance of a block's rows from the mean."""
        away = rows.away(*blocks[number])
        away -= mean
        farthest_sq[number] = np.einsum("ij,ij->i", away, away).max()

    numbers, n_products = range(len(blocks)), n_samples * n_features // len(blocks)
    run_tasks(numbers, lambda: measure, n_products=n_products)
    exponents -= rows.offsets[:n_samples]
    reference = float(exponents.max())
    shares = np.exp(exponents - reference)
    weight = float(shares.sum())
    shares /= weight
    run_tasks(numbers, lambda: add, n_products=n_products)
    mean = means.sum(axis=0)
    run_tasks(numbers, lambda: bound, n_products=n_products)
    single_rounding = 1.01 * (ROWS_AT_ONCE + 16) * UNIT_ROUNDOFF * rows.extent**2
    are_single = single_rounding * radius <= rounding
    covariance = _covariance(rows, shares, mean, np.float32 if are_single else np.float64)
    added = single_rounding if are_single else 0.0
    spread = math.sqrt(float((covariance**2).sum())) + added
    return Expansion(
        center, mean, covariance.astype(np.float32), spread, math.sqrt(float(farthest_sq.max())),
        error_of(n_features) * spread + added, math.log(weight) + reference,
    )  # fmt: skip


def _covariance(rows: FilledRows, shares: _Floats, mean: _Floats, dtype: Any) -> _Floats:
    """The covariance of rows, in a type, by their shares of the weight."""
    n_features = len(mean)
    covariance, roots = np.zeros((n_features, n_features)), np.sqrt(shares)[:, None].astype(dtype)
    table: NDArray[Any] = rows.points
    center = (rows.middle + mean).astype(dtype)
    if dtype == np.float32:
        table, center = rows.singles[: len(roots)], mean.astype(dtype)
    starts = range(0, n_features, TILE_FEATURES)
    tiles = [(first, second) for first in starts for second in starts if first <= second]

    def add(tile: tuple[int, int]) -> None:
        """Sum a tile and its mirror image."""
        across, down = (slice(first, first + TILE_FEATURES) for first in tile)
        added = covariance[across, down]
        for start in range(0, len(roots), ROWS_AT_ONCE):
            some = slice(start, start + ROWS_AT_ONCE)
            left = (table[some, across] - center[across]) * roots[some]
            right = left
            if across != down:
                right = (table[some, down] - center[down]) * roots[some]
            added += left.T @ right
        if across != down:
            covariance[down, across] = added.T

    n_products = len(rows.points) * min(TILE_FEATURES, n_features) ** 2
    run_tasks(tiles, lambda: add, n_products=n_products)
    return covariance


def _shift_members(
    expansion: Expansion,
    middle: _Floats,
    shifted: Shifted,
    numbers: NDArray[np.int64],
    accuracy: float,
) -> NDArray[np.bool_]:
    """Shift the positions for which the remainder allows it; which these are."""
    center, mean, covariance, spread, farthest, rounding, log_density = expansion
    positions, support, moves = shifted
    n_features, is_shifted = len(mean), np.zeros(len(numbers), dtype=np.bool_)
    allowed = REMAINDER_SHARE * accuracy

    def shift(start: int) -> None:
        """Shift a block of positions, where their remainders allow it."""
        some = numbers[start : start + MEMBERS_AT_ONCE]
        places = positions.take(some, axis=0) - middle
        v = places - center
        v_sq = np.einsum("ij,ij->i", v, v)
        shifts = (v.astype(np.float32) @ covariance).astype(np.float64)
        variances = np.einsum("ij,ij->i", v, shifts)
        lengths = np.sqrt(v_sq)
        error = remainders(lengths, variances + rounding * v_sq, spread, farthest)
        fits = error + rounding * lengths <= allowed
        is_shifted[start : start + MEMBERS_AT_ONCE] = fits
        shifts += mean
        exponents = log_density + v @ mean + 0.5 * variances
        exponents -= 0.5 * np.einsum("ij,ij->i", places, places)
        some = some[fits]
        support[some] = np.exp(exponents[fits])
        moves[some] = np.sqrt(((shifts - places)[fits] ** 2).sum(axis=1))
        positions[some] = shifts[fits] + middle

    n_products = MEMBERS_AT_ONCE * n_features * n_features
    run_tasks(range(0, len(numbers), MEMBERS_AT_ONCE), lambda: shift, n_products=n_products)
    return is_shifted


def remainders(lengths: _Floats, variances: _Floats, spread: float, farthest: float) -> _Floats:
    """Bound R for positions so far from the center; infinite where A is more than 1."""
    with np.errstate(over="ignore", invalid="ignore"):
        tilts = lengths * farthest
        variances = np.maximum(variances, 0.0)
        bounded = np.minimum(tilts, 1.0)
        growth = 0.5 + bounded * (1.0 / 6.0 + bounded * (1.0 / 24.0 + bounded / 100.0))
        error = growth * farthest + np.exp(2.0 * bounded) / 6.0 * np.sqrt(spread * variances)
        error *= variances
    return np.where(tilts <= 1.0, error, np.inf)
