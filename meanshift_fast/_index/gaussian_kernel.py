"""The Gaussian kernel: every row counts, by exp(-d^2 / 2) at a distance of d bandwidths."""

import math

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index import product_choice
from meanshift_fast._index.base import Index, Kernel, Request
from meanshift_fast._index.gaussian import GaussianIndex
from meanshift_fast._index.gaussian_products import FilledGaussianIndex
from meanshift_fast._index.moment_tree import MomentTree
from meanshift_fast._index.plain_rows import squared_distances, unit_of

_Floats = NDArray[np.float64]

TAIL_SQ = 80.0  # squared bandwidths beyond the nearest image of a row, where images weigh nothing


class GaussianKernel(Kernel):
    """Its mean shift ascends the sum of the rows' kernel values, the support of a shift."""

    is_ball = False
    in_bandwidths = True
    picture_bandwidths = 2.5
    neighbour_bandwidths = 3.0  # beyond which a row counts for less than a ninetieth
    neighbours = (
        "all {:,} rows, each of weight exp(-d^2 / 2) at a distance of d times the bandwidth"
    )
    title = "Gaussian"

    def index(self, tree: MomentTree, request: Request) -> tuple[Index, str]:
        """Products where rows fill many columns, else the tree's expansions."""
        points, weights, radius, accuracy, n_seeds, _ = request
        if product_choice.is_worth_for_gaussian(points, n_seeds, accuracy):
            filled = FilledGaussianIndex.on(tree, radius, accuracy, points, weights)
            return filled, "the kernel is Gaussian, and the rows fill their dimensions"
        return GaussianIndex.of(tree, radius, accuracy), "the kernel is Gaussian"

    def mean(
        self, points: _Floats, weights: _Floats, bandwidth: float, position: _Floats
    ) -> tuple[_Floats, float]:
        """The mean of all rows, weighted by the kernel, and their weight."""
        blocks = squared_distances(points, position, bandwidth)
        distance_sq = np.concatenate([squares for _, squares, _ in blocks])
        with np.errstate(over="ignore"):
            distance_sq /= (bandwidth * unit_of(bandwidth)) ** 2
        counting = weights > 0.0 if weights.size else np.ones(len(points), dtype=bool)
        # The nearest row is the log-sum-exp reference: far from all rows, all exponentials vanish.
        nearest = distance_sq[counting].min()
        with np.errstate(under="ignore", invalid="ignore"):
            counts = np.where(counting, np.exp(0.5 * (nearest - distance_sq)), 0.0)
            if not np.isfinite(nearest):  # every square overflows: all rows count the same
                counts = counting.astype(np.float64)
            if weights.size:
                counts = counts * (weights / weights.max())
            share = counts / counts.sum()
            weight = counts.sum() * np.exp(-0.5 * nearest)
        return share @ points, float(weight * (weights.max() if weights.size else 1.0))

    def bandwidth_of(self, radius: float, n_features: int) -> float:
        """The standard deviation of a coordinate in the ball."""
        return radius / math.sqrt(n_features + 2)

    def image_reach(self, radius: float, period: _Floats) -> _Floats:
        """So far, in bandwidths, that an image left out weighs at most exp(-40) of the nearest."""
        reach: _Floats = np.sqrt(0.25 * period * period + TAIL_SQ)
        return reach

    def log_norm(self, n_features: int) -> float:
        """That of a normal density in bandwidths."""
        return 0.5 * n_features * math.log(2.0 * math.pi)

    def variance_share(self, n_features: int) -> float:
        """That of a normal density, which at a row is 1."""
        return float(2.0 ** (-0.5 * n_features))
