"""The flat kernel: the rows in the closed ball count the same, and no others."""

import math

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index.base import Index, Kernel, Request
from meanshift_fast._index.flat import FlatIndex
from meanshift_fast._index.moment_tree import MomentTree
from meanshift_fast._index.plain_rows import rows_in_ball
from meanshift_fast._index.soft_cells import SoftCellIndex

_Floats = NDArray[np.float64]


class FlatKernel(Kernel):
    """Its mean shift ascends the density of its shadow, Epanechnikov's kernel."""

    is_ball = True
    in_bandwidths = False
    picture_bandwidths = 1.05
    neighbour_bandwidths = 1.0
    neighbours = "those of the {:,} rows within the bandwidth"
    title = "flat"

    def index(self, tree: MomentTree, request: Request) -> tuple[Index, str]:
        """Soft cells, or rows; `choice.py` has the indexes of balls that need no tree."""
        if request.widths.size:
            widths, radius = request.widths * request.radius, request.radius
            return SoftCellIndex.of(tree, widths, radius), "the rows are wide cells"
        return FlatIndex(tree, request.radius), "no other index pays"

    def mean(
        self, points: _Floats, weights: _Floats, bandwidth: float, position: _Floats
    ) -> tuple[_Floats, float]:
        """The mean of the rows in a ball, and their weight; the position itself without rows."""
        # Without it, a sum of the very largest numbers overflows.
        shrink = 2.0**-64 if max(points.max(), -points.min()) > 1e280 else 1.0
        weight, total = 0.0, np.zeros(points.shape[1])
        for first, inside, block in rows_in_ball(points, position, bandwidth):
            each = weights[first + inside] if weights.size else np.ones(len(inside))
            weight += each.sum()
            total += (each[:, None] * block[inside] * shrink).sum(axis=0)
        return (position, 0.0) if weight == 0.0 else (total / weight / shrink, weight)

    def bandwidth_of(self, radius: float, n_features: int) -> float:
        """The radius."""
        return radius

    def image_reach(self, radius: float, period: _Floats) -> float:
        """The radius."""
        return radius

    def log_norm(self, n_features: int) -> float:
        """The logarithm of the integral of Epanechnikov's kernel."""
        ball = 0.5 * n_features * math.log(math.pi) - math.lgamma(0.5 * n_features + 1.0)
        return ball + math.log(2.0 / (n_features + 2.0))

    def variance_share(self, n_features: int) -> float:
        """That of Epanechnikov's kernel."""
        return 4.0 / (n_features + 4.0)
