"""The Gaussian shift by matrix products, where rows fill many columns: within the promise.

    positions x rows --product--> exponents --exp--> weights x rows --product--> means

Both products are float32 where the accuracy leaves room for its error, which filled_rows.py bounds,
and else float64. A position for which neither is near enough is left to the tree. Positions that
lie together share an expansion: see expansion.py. Exponents in float64 and weights in float32 were
a third way: fits of 4,000 token embeddings at the bandwidth 0.25 took 6 % longer without it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index import expansion
from meanshift_fast._index.acceleration import fixed_points
from meanshift_fast._index.filled_rows import ROWS_AT_ONCE, FilledRows, Shifted
from meanshift_fast._index.gaussian import GaussianIndex
from meanshift_fast._index.moment_tree import MomentTree
from meanshift_fast._index.newton import ACCURACY, MAX_NEWTON_FEATURES, SHIFT_TOLERANCE
from meanshift_fast._index.sigma_points import find_sigma_points
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

BLOCK_BYTES = 1 << 23  # of products

_TYPES: dict[int, Any] = {1: np.float32, 2: np.float64}  # of products, the fastest first


@serial
def _weigh(products, offsets, totals, references):
    """Make of products the weights of the rows, relative to the largest exponent's.

    ``offsets`` are subtracted to give exponents, +inf for what fills up. ``totals`` are the sums of
    weights, ``references`` the largest exponents.
    """
    n_vectors = products.shape[1] // LANES
    values, subtracted = flat(products), flat(offsets)
    for i in range(products.shape[0]):
        first, largest = i * n_vectors, full(-np.inf)
        for k in range(n_vectors):
            exponent = load_from(values, (first + k) * LANES) - load(subtracted, k)
            largest = where(exponent > largest, exponent, largest)
        reference, sums = most(largest), full(0.0)
        for k in range(n_vectors):
            exponent = load_from(values, (first + k) * LANES) - load(subtracted, k)
            weight = exp(exponent - reference)
            store(values, first + k, weight)
            sums = sums + weight
        put(flat(totals), i, total(sums))
        put(flat(references), i, reference)


@dataclass(frozen=True)
class FilledGaussianIndex(GaussianIndex):
    """The Gaussian index of rows in many columns, whose shifts are matrix products."""

    rows: FilledRows

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
        rows = FilledRows.of(points, weights)
        return cls(tree, find_sigma_points(tree), accuracy, radius, rows)

    def shift(
        self, positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move every position to the mean of all rows, as the kernel weighs them."""
        rows, accuracy, shifted = self.rows, self.accuracy, Shifted.of(positions)
        kinds = self._kinds(rows.norms(positions))
        left = np.flatnonzero(kinds)
        if expansion.serves(rows, len(left), accuracy):
            left = expansion.shift_groups(rows, shifted, left, accuracy)
        for kind in np.unique(kinds[left]):
            self._multiply(shifted, left[kinds[left] == kind], _TYPES[kind])
        far = np.flatnonzero(kinds == 0)
        if len(far):
            places = positions.take(far, axis=0)
            shifted.support[far], shifted.moves[far] = super().shift(places)
            positions[far] = places
        return shifted.support, shifted.moves

    def polish(self, modes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move modes to where the density is stationary; in many columns without its Hessian.

        4,000 token embeddings at the bandwidth 0.25 have 3,800 modes, some of which plain shifts
        come near in 1,000 steps, and accelerated ones in 9: the fit takes 7.2 s of one thread so,
        and took 12.5.
        """
        if modes.shape[1] <= MAX_NEWTON_FEATURES:
            return super().polish(modes)
        exact = self.with_accuracy(ACCURACY)
        return fixed_points(exact.shift, modes, np.asarray, tolerance=SHIFT_TOLERANCE)

    def _kinds(self, norms: NDArray[np.float64]) -> NDArray[np.int64]:
        """For each position the first type of products whose error is allowed; 0 for none."""
        kinds = np.zeros(len(norms), dtype=np.int64)
        for kind in reversed(_TYPES):
            kinds[self.rows.errors(norms, _TYPES[kind]) <= self.accuracy] = kind
        return kinds

    def _multiply(self, shifted: Shifted, numbers: NDArray[np.int64], dtype: Any) -> None:
        """Shift the positions of some numbers by products of a type."""
        rows, (positions, support, moves) = self.rows, shifted
        n_padded, n_features = rows.singles.shape
        n_positions = max(BLOCK_BYTES // (n_padded * np.dtype(dtype).itemsize), LANES)
        blocks = rows.blocks()
        slices = [slice(row, row + ROWS_AT_ONCE) for row in range(0, n_padded, ROWS_AT_ONCE)]

        def worker() -> Callable[[int], None]:
            """Make a worker with memory of its own."""
            products = np.empty((n_positions, n_padded), dtype=dtype)

            def run(start: int) -> None:
                """Sum the rows' weights and products for some positions."""
                moved = numbers[start : start + n_positions]
                some = positions.take(moved, axis=0) - rows.middle
                made = products[: len(some)]
                if dtype == np.float32:
                    np.dot(some.astype(dtype), rows.singles.T, out=made)
                else:
                    made[:, blocks[-1][1] :] = 0.0
                    for row, end in blocks:
                        made[:, row:end] = some @ rows.away(row, end).T
                totals, references = np.empty(len(some)), np.empty(len(some))
                _weigh(made, rows.offsets, totals, references)
                means = np.zeros((len(some), n_features))
                if dtype == np.float32:
                    for some_rows in slices:
                        means += made[:, some_rows] @ rows.singles[some_rows]
                else:
                    for row, end in blocks:
                        means += made[:, row:end] @ rows.away(row, end)
                means /= totals[:, None]
                exponent = references - 0.5 * np.einsum("ij,ij->i", some, some)
                support[moved] = totals * np.exp(np.minimum(exponent, rows.log_heaviest))
                moves[moved] = np.sqrt(((means - some) ** 2).sum(axis=1))
                positions[moved] = means + rows.middle

            return run

        n_products = n_positions * n_padded * n_features
        tasks = range(0, len(numbers), n_positions)
        run_tasks(tasks, worker, n_products=n_products)
