"""The index of a sphere: a cap's mean lies inside it, and its direction is where a shift leads.

    position --ball of another index--> mean --divided by its length--> position on the sphere
                                          `-- of length 0: rows spread evenly, the position stays

A cap is the part of the sphere in a ball about its middle, so any index of balls finds its rows.
The direction of their sum is the mean of directions, and ascends the density of the von Mises-
Fisher kernel where rows weigh exp(-chord^2 / 2 b^2) [1]_. A move is measured along the sphere, from
its chord: the arccosine of a dot product has no digits left for a metre on Earth.

An error of the mean turns its direction by up to the arcsine of the error over the length of the
mean. So where rows are spread widely and the mean is short, it is found again, more exactly.

References
----------
.. [1] K. V. Mardia and P. E. Jupp, "Directional Statistics", Wiley, 2000,
   :doi:`10.1002/9780470316979`, sections 9.3 and 12.6.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.acceleration import fixed_points
from meanshift_fast._index.base import Index, Walk
from meanshift_fast._index.moment_tree import MomentTree
from meanshift_fast._jit.compiler import parallel, step
from meanshift_fast._jit.simd import flat, item, put
from meanshift_fast._jit.threads import available_threads

EVEN = 1e-12  # sphere radii: a mean so short is of rows spread evenly, and has no direction
FIRST_ACCURACY_SHARE = 0.5  # of what is promised: a mean may be half as long as the radius
MORE_EXACTLY = 16.0  # times, from one look at short means to the next
LEAST_ACCURACY = 1e-14  # bandwidths; below, every row is summed
POLISH_ACCURACY = 1e-12  # bandwidths, of the shifts that find stationary points


@step
def _bring_one_back(means, begun, first, n_features, divisor):
    """Bring a mean to the sphere; or back to where it began, if it has no direction. The angle."""
    length_sq = away_sq = 0.0
    for f in range(first, first + n_features):
        value = item(means, f) * divisor
        length_sq += value * value
    length = math.sqrt(length_sq)
    if length <= EVEN:
        for f in range(first, first + n_features):
            put(means, f, item(begun, f))
        return 0.0
    for f in range(first, first + n_features):
        value = item(means, f) / length
        put(means, f, value)
        away = (value - item(begun, f)) * divisor
        away_sq += away * away
    return 2.0 * math.asin(min(0.5 * math.sqrt(away_sq), 1.0))


@parallel
def _bring_back(means, begun, support, divisor, moves, n_parts):
    n_rows, n_features = means.shape
    for part in prange(n_parts):
        for i in range(part * n_rows // n_parts, (part + 1) * n_rows // n_parts):
            moves[i] = 0.0
            if support[i] > 0.0:
                angle = _bring_one_back(
                    flat(means), flat(begun), i * n_features, n_features, divisor
                )
                moves[i] = angle / divisor


@dataclass(frozen=True)
class SphereIndex(Index):
    """Rows on a sphere about 0, in the balls of another index.

    Attributes
    ----------
    inner : Index
        Of the same rows; of a smooth one the accuracy is `FIRST_ACCURACY_SHARE` of the promise.
    divisor : float
        One over the radius of the sphere.
    radius : float
        The bandwidth as the length of an arc, in the unit of the positions.
    accuracy : float
        The largest error of a smooth shift, in bandwidths along the sphere; 0 for others.
    """

    inner: Index
    divisor: float
    radius: float
    accuracy: float = 0.0
    depends_on_position_alone: bool = False
    is_smooth: bool = False

    @classmethod
    def of(cls, inner: Index, divisor: float, radius: float, accuracy: float) -> Self:
        """The index on a sphere of another."""
        smooth = inner.is_smooth
        return cls(
            inner, divisor, radius, accuracy if smooth else 0.0, inner.depends_on_position_alone,
            smooth,
        )  # fmt: skip

    @property
    def order(self) -> NDArray[np.signedinteger]:
        """The rows in an order of neighbourhood."""
        return self.inner.order

    def shift(
        self, positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move every position to the direction of the sum of the rows about it."""
        begun = positions.copy()
        support, _ = self.inner.shift(positions)
        if self.accuracy > 0.0:
            self._settle_short_means(begun, positions)
        return support, self._brought_back(positions, begun, support)

    def walk(self, positions: NDArray[np.float64], n_steps: int, rest: float) -> Walk:
        """Take one step of each position, as the inner index takes some of a few."""
        if self.is_smooth:
            return super().walk(positions, n_steps, rest)
        begun = positions.copy()
        support = self.inner.walk(positions, 1, rest).support
        moves = self._brought_back(positions, begun, support[:, 0])
        return Walk(positions[:, None], support, moves[:, None])

    def _brought_back(
        self, means: NDArray[np.float64], begun: NDArray[np.float64], support: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Bring means to the sphere, in place; the lengths of the moves."""
        moves = np.empty(len(means))
        support = np.ascontiguousarray(support)
        _bring_back(means, begun, support, self.divisor, moves, available_threads())
        return moves

    def _settle_short_means(self, begun: NDArray[np.float64], means: NDArray[np.float64]) -> None:
        """Find those means again, more exactly, whose directions may be off by too much."""
        bandwidth = self.radius * self.divisor  # an angle
        promised = math.sin(min(self.accuracy * bandwidth, 0.5 * math.pi))
        error, which = FIRST_ACCURACY_SHARE * self.accuracy, np.arange(len(means))
        while error > 0.0:
            lengths = np.linalg.norm(means[which] * self.divisor, axis=1)
            which = which[error * bandwidth > lengths * promised]
            if not which.size:
                break
            error = error / MORE_EXACTLY if error > LEAST_ACCURACY else 0.0
            again = begun[which]
            self.inner.with_accuracy(error).shift(again)
            means[which] = again

    def sorts(self, *, scattered: bool, coalescing: bool) -> bool:
        """As the inner index does."""
        return self.inner.sorts(scattered=scattered, coalescing=coalescing)

    def refined(self) -> Self:
        """The same with a hundredth of the error."""
        return replace(self, inner=self.inner.refined(), accuracy=self.accuracy / 100.0)

    def polish(self, modes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move modes to where the density is stationary along the sphere."""
        exact = replace(self, inner=self.inner.with_accuracy(POLISH_ACCURACY), accuracy=0.0)
        return fixed_points(exact.shift, modes, exact.on_sphere)

    def on_sphere(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring positions to the sphere."""
        lengths = np.linalg.norm(positions * self.divisor, axis=1)
        brought: NDArray[np.float64] = positions / lengths[:, None]
        return brought

    def boxes(self) -> MomentTree | None:
        """The tree of the inner index."""
        return self.inner.boxes()

    @property
    def reach(self) -> float:
        """That of the inner index."""
        return self.inner.reach

    def density(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """As the inner index measures it, by chords."""
        return self.inner.density(places)
