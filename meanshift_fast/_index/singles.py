"""Tables in float32, whose products bound squared distances from both sides.

    row x, position p, middle c        x' = x - c        |x - p|^2 = |x'|^2 + |p'|^2 - 2 x'p'

A row is in the ball of radius r where  x'p' - |x'|^2 / 2 >= (|p'|^2 - r^2) / 2.

With u = 2^-24, float32 rounds each x' and p' by u, relative, and a sum of d products, in any order
and fused or not, is off by at most d u / (1 - d u) times the sum of their magnitudes, which is at
most |x'| |p'| (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1). So the
product is off by at most (d + 8) u |x'| |p'|, a hundredth more for d up to 65,536, whatever the
library, its blocks and its threads. Both tables are scaled by powers of two to norms of about 1:
nothing overflows, and what vanishes is less than d 2^-90. All else is float64: its rounding is less
than 2 (d + 8) 2^-53 of the squared lengths, and 2^-40 up to some 4,000 columns.

A table of float32 about 0 is its own middle, and is not scaled: then the copy is exact, and sums
can be gathered from it.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._jit.simd import LANES

MAX_FEATURES = 1 << 16  # the bound's hundredth
MAX_COORDINATE = 1e100  # whose squares are far from overflow
BLOCK_VALUES = 1 << 18  # converted at a time
UNIT_ROUNDOFF = 2.0**-24  # of float32
DOUBLE_ROUNDOFF = 2.0**-53  # of float64
LEAST_ROUNDING = 2.0**-40  # relative, of float64 sums: in few columns far more than it can be
VANISHING = 2.0**-90  # for each feature
MAX_EXACT_SCALE = 2.0**16  # of a table that is left unscaled
LEAST_LENGTH = 1e-120  # so that the product of two scales is a number


class Singles(NamedTuple):
    """A table about a middle, in float32.

    Attributes
    ----------
    values : float32 array of shape (n_padded, n_features)
        The scaled rows; zeros fill up their number to a multiple of sixteen.
    norms : float64 array of shape (n_padded,)
        The distances from the middle, in the unit of the table; 0 for what fills up.
    scale : float
        A power of two.
    are_exact : bool
        Whether the values are the rows themselves, in every bit.
    """

    values: NDArray[np.float32]
    norms: NDArray[np.float64]
    scale: float
    are_exact: bool = False

    def half_squares(self, n_rows: int) -> NDArray[np.float64]:
        """Half of the squared norms of the rows, shape (n_padded,); infinite where no row is."""
        half: NDArray[np.float64] = 0.5 * self.norms * self.norms
        half[n_rows:] = np.inf
        return half


def padded(n_rows: int) -> int:
    """The next multiple of sixteen."""
    return -(-n_rows // LANES) * LANES


def error_of(n_features: int) -> float:
    """The largest error of a product, relative to the norms of both factors."""
    return 1.01 * (n_features + 8) * UNIT_ROUNDOFF


def rounding_of(n_features: int) -> float:
    """The largest error of what is summed in float64, relative to the squared lengths."""
    return max(LEAST_ROUNDING, 2.0 * (n_features + 8) * DOUBLE_ROUNDOFF)


def scale_of(length: float) -> float:
    """The power of two that brings a length to between 1/2 and 1."""
    return math.ldexp(1.0, -math.frexp(max(length, LEAST_LENGTH))[1])


def converted(
    table: NDArray[np.float64], middle: NDArray[np.float64], scale: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Convert a table about a middle, a block at a time: scaled values, and squared norms.

    Both are filled up to a multiple of sixteen rows with zeros.
    """
    n_rows, n_features = table.shape
    step = max(BLOCK_VALUES // n_features, 1)
    values = np.zeros((padded(n_rows), n_features), dtype=np.float32)
    norms_sq = np.zeros(len(values))
    away = np.empty((min(step, n_rows), n_features))
    for start in range(0, n_rows, step):
        stop = min(start + step, n_rows)
        some = np.subtract(table[start:stop], middle, out=away[: stop - start])
        norms_sq[start:stop] = np.einsum("ij,ij->i", some, some)
        np.multiply(some, scale, out=values[start:stop], casting="same_kind")
    return values, norms_sq


def singles_of(table: NDArray[np.float64], middle: NDArray[np.float64]) -> Singles:
    """Convert a table, finite and at most MAX_COORDINATE, about a middle.

    The middle is 0 for a table that float32 may hold exactly.
    """
    reach = max(
        float((table.max(axis=0) - middle).max()), float((middle - table.min(axis=0)).max())
    )
    scale = scale_of(reach * math.sqrt(table.shape[1]))
    # Exact values are left as they are, where float32's exponents have room for the scale.
    may_be_exact = not middle.any() and 1.0 / MAX_EXACT_SCALE <= scale <= MAX_EXACT_SCALE
    scale = 1.0 if may_be_exact else scale
    values, norms_sq = converted(table, middle, scale)
    return Singles(values, np.sqrt(norms_sq), scale, may_be_exact and is_single(table))


def is_single(table: NDArray[np.float64]) -> bool:
    """Whether float32 holds a table exactly; the first row that it does not ends the search."""
    step = max(BLOCK_VALUES // table.shape[1], 1)
    parts = (table[start : start + step] for start in range(0, len(table), step))
    with np.errstate(over="ignore"):
        return all(bool((part.astype(np.float32) == part).all()) for part in parts)
