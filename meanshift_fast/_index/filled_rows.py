"""Rows that fill many columns, about their middle, and how far off sums of their products are.

With X the largest |x'| about the middle and n rows, an exponent off by d changes a weight by a
factor within e^d. The mean m moves by the weighted mean of these changes times x' - m. Since the
weighted mean of |x' - m| is at most the root of the variance, and that at most X, the mean moves by
at most  (e^d - 1) / (2 - e^d) X.  An exponent's product is off by at most
(n_features + 8) u |p'| X, and its squares, in float64, by as many times 2^-53 (|p'|^2 + X^2). The
weighted sum is off by (K + 4) u X, relative to the sum of weights, where K rows are multiplied at a
time and sums of these are float64.
"""

import math
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index.singles import BLOCK_VALUES, DOUBLE_ROUNDOFF, UNIT_ROUNDOFF, converted
from meanshift_fast._jit.simd import LANES

ROWS_AT_ONCE = 256  # whose weighted sum may be float32
MAX_EXPONENT_ERROR = 0.1
MAX_SQUARE = 1e30  # in squared bandwidths: float32's exponents have room for it


class Shifted(NamedTuple):
    """Positions that are shifted in place, some after others, and what is found of each.

    Attributes
    ----------
    positions : float64 array of shape (n_positions, n_features)
        Overwritten by where a shift leads.
    support, moves : float64 arrays of shape (n_positions,)
        Overwritten by the density, and the length of the move.
    """

    positions: NDArray[np.float64]
    support: NDArray[np.float64]
    moves: NDArray[np.float64]

    @classmethod
    def of(cls, positions: NDArray[np.float64]) -> Self:
        """Positions of which nothing is known yet."""
        return cls(positions, np.empty(len(positions)), np.empty(len(positions)))


class FilledRows(NamedTuple):
    """Rows in bandwidths, and what products need of them.

    Attributes
    ----------
    points : float64 array of shape (n_samples, n_features)
        The rows themselves.
    middle : float64 array of shape (n_features,)
    singles : float32 array of shape (n_padded, n_features)
        The rows about the middle; zeros fill them up to a multiple of sixteen.
    offsets : float64 array of shape (n_padded,)
        Half the squared norms less the logarithms of the weights; +inf for what fills up. So no
        weight underflows beside a heavier one that is far away.
    variance : float
        The mean squared norm.
    extent : float
        The largest norm.
    log_heaviest : float
        The logarithm of the largest weight.
    """

    points: NDArray[np.float64]
    middle: NDArray[np.float64]
    singles: NDArray[np.float32]
    offsets: NDArray[np.float64]
    variance: float
    extent: float
    log_heaviest: float

    @classmethod
    def of(cls, points: NDArray[np.float64], weights: NDArray[np.float64]) -> Self:
        """Convert rows."""
        n_samples, middle = len(points), points.mean(axis=0)
        singles, norms_sq = converted(points, middle, 1.0)
        offsets = 0.5 * norms_sq
        offsets[n_samples:] = np.inf
        half = offsets[:n_samples]
        variance, extent = 2.0 * float(half.mean()), math.sqrt(2.0 * float(half.max()))
        if weights.size:
            half -= np.log(weights)
        heaviest = float(weights.max()) if weights.size else 1.0
        return cls(points, middle, singles, offsets, variance, extent, math.log(heaviest))

    def blocks(self) -> list[tuple[int, int]]:
        """Where blocks of rows start and stop, each of about BLOCK_VALUES values."""
        n_samples, n_features = self.points.shape
        step = max(BLOCK_VALUES // (n_features * LANES), 1) * LANES
        return [(start, min(start + step, n_samples)) for start in range(0, n_samples, step)]

    def away(self, start: int, stop: int) -> NDArray[np.float64]:
        """Some rows about the middle."""
        away: NDArray[np.float64] = self.points[start:stop] - self.middle
        return away

    def norms(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """The distances of positions from the middle."""
        norms, step = np.empty(len(positions)), max(BLOCK_VALUES // len(self.middle), 1)
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(positions), step):
                some = positions[start : start + step] - self.middle
                norms[start : start + step] = np.sqrt(np.einsum("ij,ij->i", some, some))
        return norms

    def errors(self, norms: NDArray[np.float64], dtype: Any) -> NDArray[np.float64]:
        """Bound the error of shifts by products of a type, for positions so far from the middle.

        In bandwidths; infinite where products do not serve.
        """
        n_rows, n_features = self.singles.shape
        extent, is_single = self.extent, dtype == np.float32
        unit = UNIT_ROUNDOFF if is_single else DOUBLE_ROUNDOFF
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = norms * norms + extent * extent
            off = 1.01 * (n_features + 8) * (unit * norms * extent + DOUBLE_ROUNDOFF * lengths)
            error = extent * np.expm1(off) / np.maximum(1.0 - np.expm1(off), 1e-9)
        n_added = ROWS_AT_ONCE if is_single else n_rows
        error += (1.01 * (n_added + 4) * unit + DOUBLE_ROUNDOFF * n_rows) * extent
        serves = (off < MAX_EXPONENT_ERROR) & (lengths < MAX_SQUARE)
        return np.where(serves, error, np.inf)
