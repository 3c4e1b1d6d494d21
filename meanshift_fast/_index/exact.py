"""The index of a bandwidth of 0: a neighbourhood is the rows that equal the position."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index import flat
from meanshift_fast._index.base import TreeIndex
from meanshift_fast._index.moment_tree import MomentTree


@dataclass(frozen=True)
class ExactIndex(TreeIndex):
    """Rows in the balls of positions equal to them only, which never move."""

    tree: MomentTree
    radius: float = 0.0

    def shift(
        self, positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Leave every position: the mean of equal rows need not be bit-equal to them."""
        support, _ = flat.shift(self.tree, positions.copy(), 0.0)
        return support, np.zeros(len(positions))

    def density(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weigh the rows that equal each place."""
        return flat.shift(self.tree, places.copy(), 0.0)[0]
