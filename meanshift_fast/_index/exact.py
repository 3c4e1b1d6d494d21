"""The index of a bandwidth of 0: a neighbourhood is the rows that equal the position."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index.base import TreeIndex
from meanshift_fast._index.flat import FlatIndex
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
        return self.density(positions), np.zeros(len(positions))

    def density(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weigh the rows that equal each place."""
        return FlatIndex(self.tree, 0.0).shift(places.copy())[0]
