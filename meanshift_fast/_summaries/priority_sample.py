"""A priority sample [1]_ of rows, which does not depend on how they are partitioned.

A row's priority is its weight over a uniform hash of its number; the rows of the highest
priorities are the sample. The sample of several partitions is among the samples of each.

.. [1] N. Duffield, C. Lund and M. Thorup, "Priority sampling for estimation of arbitrary subset
   sums", Journal of the ACM 54 (6), 2007, article 32, :doi:`10.1145/1314690.1314696`, section 2.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._input.scaling import readonly, readonly_table
from meanshift_fast._input.weights import UNWEIGHTED

SIZE = 1 << 15  # rows
MAX_BLOCK_ROWS = 1 << 26  # whose halves of 27 bits float64 sums without rounding
UNIT_BITS = 1126  # a unit of an exact sum is 2**-1126: float64's least, with a whole significand


def _uniform_hashes(first: int, n_rows: int) -> NDArray[np.float64]:
    """Hash the numbers of consecutive rows to (0, 1], with the finaliser of splitmix64."""
    mixed = np.arange(first + 1, first + n_rows + 1, dtype=np.uint64)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    mixed >>= np.uint64(11)
    return (mixed.astype(np.float64) + 1.0) * 2.0**-53


def _exact_sum(weights: NDArray[np.float64]) -> int:
    """The sum of up to MAX_BLOCK_ROWS weights in units, without rounding.

    Significands of 53 bits are summed in two halves for each exponent. A weight takes 20 ns.
    """
    fractions, exponents = np.frexp(weights)
    significands = (fractions * 2.0**53).astype(np.int64)
    shifts = exponents + (UNIT_BITS - 53)
    upper = np.bincount(shifts, significands >> 27)
    lower = np.bincount(shifts, significands & ((1 << 27) - 1))
    return sum(
        ((int(upper[shift]) << 27) + int(lower[shift])) << shift
        for shift in np.flatnonzero(upper + lower).tolist()
    )


class Sample:
    """The rows of the highest priorities, and the weight of all rows.

    Parameters
    ----------
    first : int, default=0
        The number of the first row to add.
    """

    def __init__(self, first: int = 0) -> None:
        self.next = first
        self._total_units = 0  # exact, so that no order of batches or merges rounds it otherwise
        self._rows: NDArray[np.float64] | None = None
        self._numbers = np.empty(0, dtype=np.int64)
        self._weights = np.empty(0)
        self._priorities = np.empty(0)

    @property
    def total(self) -> float:
        """The weight of all rows, rounded once; infinite beyond float64."""
        try:
            return self._total_units / (1 << UNIT_BITS)
        except OverflowError:
            return math.inf

    def add(self, table: NDArray[Any], weights: NDArray[np.float64] = UNWEIGHTED) -> None:
        """Add finite rows, numbered on; no weights are weights of 1."""
        if weights.size == 0:
            weights = np.ones(len(table))
            self._total_units += len(table) << UNIT_BITS
        else:
            blocks = range(0, len(weights), MAX_BLOCK_ROWS)
            self._total_units += sum(_exact_sum(weights[i : i + MAX_BLOCK_ROWS]) for i in blocks)
        with np.errstate(over="ignore"):  # the total of such weights is refused
            priorities = weights / _uniform_hashes(self.next, len(table))
        # the first row beyond the sample is kept: its priority is the threshold
        least = self._priorities.min() if len(self._priorities) > SIZE else 0.0
        drawn = np.flatnonzero(priorities > least)
        self._join(table[drawn], self.next + drawn, weights[drawn], priorities[drawn])
        self.next += len(table)

    def merge(self, other: "Sample") -> None:
        """Add the sample of another partition."""
        self._total_units += other._total_units
        if other._rows is not None:
            self._join(other._rows, other._numbers, other._weights, other._priorities)

    def _join(
        self,
        rows: NDArray[Any],
        numbers: NDArray[np.int64],
        weights: NDArray[np.float64],
        priorities: NDArray[np.float64],
    ) -> None:
        """Keep the rows of the highest priorities, and the first beyond them."""
        if self._rows is None:
            self._rows = np.empty((0, rows.shape[1]))
        numbers = np.concatenate([self._numbers, numbers])
        priorities = np.concatenate([self._priorities, priorities])
        first = np.lexsort((numbers, -priorities))[: SIZE + 1]
        self._rows = np.concatenate([self._rows, rows.astype(np.float64)])[first]
        self._weights = np.concatenate([self._weights, weights])[first]
        self._numbers, self._priorities = numbers[first], priorities[first]

    def drawn(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The sample, in the order of the rows' numbers, and weights that add up to all rows'.

        All rows of any weight where there are at most SIZE. The weights are empty where all are 1.
        """
        rows, weights, numbers = self._rows, self._weights, self._numbers
        assert rows is not None
        if len(rows) > SIZE:
            rows, numbers = rows[:SIZE], numbers[:SIZE]
            weights = np.maximum(weights[:SIZE], self._priorities[SIZE])
            weights *= self.total / weights.sum()
        order = numbers.argsort()
        weights = weights[order]
        return readonly_table(rows[order]), UNWEIGHTED if (weights == 1.0).all() else readonly(
            weights
        )
