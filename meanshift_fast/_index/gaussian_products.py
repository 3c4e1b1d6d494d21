"""The Gaussian shift by matrix products, where rows fill many columns: within the promise.

    positions x rows --product--> exponents --exp--> weights x rows --product--> means

Both products are float32 where the accuracy leaves room for its error, and else float64. With X the
largest |x'| about the middle and n rows, an exponent off by d changes a weight by a factor within
e^d, so the mean by at most  (e^d - 1) / (2 - e^d) 2X.  An exponent's product is off by at most
(n_features + 8) u |p'| X, and its squares, in float64, by as many times 2^-53 (|p'|^2 + X^2). The
weighted sum is off by (K + 4) u X, relative to the sum of weights, where K rows are multiplied at a
time and sums of these are float64. A position for which these exceed the accuracy is left to the
tree.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index.gaussian_index import GaussianIndex
from meanshift_fast._index.moment_tree import MomentTree
from meanshift_fast._index.newton import (
    ACCURACY,
    MAX_NEWTON_FEATURES,
    MAX_STEPS,
    SHIFT_TOLERANCE,
)
from meanshift_fast._index.sigma_points import find_sigma_points
from meanshift_fast._index.singles import DOUBLE_ROUNDOFF, UNIT_ROUNDOFF
from meanshift_fast._jit.blas import run_tasks
from meanshift_fast._jit.compiler import serial
from meanshift_fast._jit.simd import (
    LANES,
    exp,
    flat,
    full,
    load,
    load_from,
    most,
    put,
    store,
    total,
    where,
)

BLOCK_VALUES = 1 << 20  # weights of a block: 8 MB
ROWS_AT_ONCE = 256  # whose weighted sum may be float32
FIRST_CHUNK_PRODUCTS = 1 << 32  # multiplied and added in the first chunk, at most

# Types of the two products, the fastest first; and bounds of what they serve.
_TYPES = {
    1: (np.float32, np.float32), 2: (np.float64, np.float32), 3: (np.float64, np.float64),
}  # fmt: skip
MAX_EXPONENT_ERROR = 0.1
MAX_SQUARE = 1e30  # in squared bandwidths: float32's exponents have room for it


@serial
def _weigh(products, half, weights, exponents, totals, references):
    """Make of products the weights of the rows, relative to the largest exponent's.

    Parameters
    ----------
    products : float32 or float64 array of shape (n_positions, n_padded)
    half : float64 array of shape (n_padded,)
        Half the squared norms; +inf for what fills up.
    weights : float64 array of shape (n_padded,)
        Of the rows.
    exponents : float64 array of shape (n_positions, n_padded)
        Overwritten by the weights.
    totals, references : float64 arrays of shape (n_positions,)
        Overwritten by the sums of weights and the largest exponents.
    """
    n_vectors = products.shape[1] // LANES
    values, squares, shares, out = flat(products), flat(half), flat(weights), flat(exponents)
    for i in range(products.shape[0]):
        first, largest = i * n_vectors, full(-np.inf)
        for k in range(n_vectors):
            exponent = load_from(values, (first + k) * LANES) - load(squares, k)
            store(out, first + k, exponent)
            largest = where(exponent > largest, exponent, largest)
        reference, sums = most(largest), full(0.0)
        for k in range(n_vectors):
            weight = exp(load(out, first + k) - reference) * load(shares, k)
            store(out, first + k, weight)
            sums = sums + weight
        put(flat(totals), i, total(sums))
        put(flat(references), i, reference)


@dataclass(frozen=True)
class FilledGaussianIndex(GaussianIndex):
    """The Gaussian index of rows in many columns, whose shifts are matrix products.

    Attributes
    ----------
    away : float64 array of shape (n_padded, n_features)
        The rows about the middle; zeros fill them up to a multiple of sixteen.
    singles : float32 array of shape (n_padded, n_features)
        The same.
    half, weights : float64 arrays of shape (n_padded,)
        Half the squared norms, +inf for what fills up, and the rows' weights.
    middle : float64 array of shape (n_features,)
    """

    away: NDArray[np.float64]
    singles: NDArray[np.float32]
    half: NDArray[np.float64]
    weights: NDArray[np.float64]
    middle: NDArray[np.float64]

    @classmethod
    def on(
        cls,
        tree: MomentTree,
        radius: float,
        accuracy: float,
        points: NDArray[np.float64],
        weights: NDArray[np.float64],
    ) -> Self:
        """The index on a tree and its rows."""
        n_samples, n_features = points.shape
        n_padded = -(-n_samples // LANES) * LANES
        middle = points.mean(axis=0)
        away, shares, half = np.zeros((n_padded, n_features)), *np.zeros((2, n_padded))
        np.subtract(points, middle, out=away[:n_samples])
        half[:] = 0.5 * np.einsum("ij,ij->i", away, away)
        half[n_samples:] = np.inf
        shares[:n_samples] = weights if weights.size else 1.0
        return cls(
            tree, find_sigma_points(tree), accuracy, radius, away, away.astype(np.float32), half,
            shares, middle,
        )  # fmt: skip

    def shift(
        self, positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move every position to the mean of all rows, as the kernel weighs them."""
        with np.errstate(over="ignore", invalid="ignore"):
            norms = np.sqrt(((positions - self.middle) ** 2).sum(axis=1))
        kinds = self._kinds(norms)
        support, moves = np.empty(len(positions)), np.empty(len(positions))
        for kind in np.unique(kinds):
            numbers = np.flatnonzero(kinds == kind)
            places = positions.take(numbers, axis=0)
            if kind == 0:
                support[numbers], moves[numbers] = super().shift(places)
            else:
                support[numbers], moves[numbers] = self._multiply(places, *_TYPES[kind])
            positions[numbers] = places
        return support, moves

    def polish(self, modes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move modes to where the density is stationary; in many columns by plain shifts."""
        if modes.shape[1] <= MAX_NEWTON_FEATURES:
            return super().polish(modes)
        fine, places, left = self.with_accuracy(ACCURACY), modes.copy(), np.arange(len(modes))
        polished, density = modes.copy(), np.empty(len(modes))
        for _ in range(MAX_STEPS):
            polished[left] = places
            density[left], moves = fine.shift(places)
            is_moving = moves > SHIFT_TOLERANCE
            left, places = left[is_moving], places[is_moving]
            if not len(left):
                break
        return polished, density

    def _kinds(self, norms: NDArray[np.float64]) -> NDArray[np.int64]:
        """For each position the first types of both products whose error is allowed; 0 for none."""
        n_features = self.away.shape[1]
        reach = math.sqrt(2.0 * float(self.half[np.isfinite(self.half)].max()))
        kinds = np.zeros(len(norms), dtype=np.int64)
        for kind in reversed(_TYPES):
            first, second = (_roundoff(dtype) for dtype in _TYPES[kind])
            lengths = norms * norms + reach * reach
            off = 1.01 * (n_features + 8) * (first * norms * reach + DOUBLE_ROUNDOFF * lengths)
            n_added = ROWS_AT_ONCE if second == UNIT_ROUNDOFF else len(self.half)
            error = 2.0 * reach * np.expm1(off) / np.maximum(1.0 - np.expm1(off), 1e-9)
            error += (
                1.01 * (n_added + 4) * second * reach + DOUBLE_ROUNDOFF * len(self.half) * reach
            )
            fits = (error <= self.accuracy) & (off < MAX_EXPONENT_ERROR) & (lengths < MAX_SQUARE)
            kinds[fits] = kind
        return kinds

    def _multiply(
        self, places: NDArray[np.float64], first: Any, second: Any
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move positions, in place, by products of these types."""
        n_padded, n_features = self.away.shape
        support, moves = np.empty(len(places)), np.empty(len(places))
        left = self.singles if first == np.float32 else self.away
        right = self.singles if second == np.float32 else self.away
        n_rows = max(BLOCK_VALUES // n_padded, LANES)
        step = ROWS_AT_ONCE if second == np.float32 else n_padded

        def worker() -> Callable[[int], None]:
            """Make a worker with memory of its own."""
            products = np.empty((n_rows, n_padded), dtype=first)
            exponents = np.empty((n_rows, n_padded))

            def run(start: int) -> None:
                """Sum the rows' weights and products for some positions."""
                stop = min(start + n_rows, len(places))
                some = places[start:stop] - self.middle
                made, weighed = products[: len(some)], exponents[: len(some)]
                np.dot(some.astype(first), left.T, out=made)
                totals, references = np.empty(len(some)), np.empty(len(some))
                _weigh(made, self.half, self.weights, weighed, totals, references)
                means = np.zeros((len(some), n_features))
                for row in range(0, n_padded, step):
                    shares = weighed[:, row : row + step].astype(second, copy=False)
                    means += shares @ right[row : row + step]
                means /= totals[:, None]
                exponent = references - 0.5 * np.einsum("ij,ij->i", some, some)
                support[start:stop] = totals * np.exp(np.minimum(exponent, 0.0))
                moves[start:stop] = np.sqrt(((means - some) ** 2).sum(axis=1))
                np.add(means, self.middle, out=places[start:stop])

            return run

        n_products = n_rows * n_padded * n_features
        run_tasks(range(0, len(places), n_rows), worker, first=FIRST_CHUNK_PRODUCTS // n_products)
        return support, moves


def _roundoff(dtype: Any) -> float:
    return UNIT_ROUNDOFF if dtype == np.float32 else DOUBLE_ROUNDOFF
