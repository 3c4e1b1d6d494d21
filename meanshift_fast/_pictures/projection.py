"""The projection to the page: where rows lie on it, and what its axes are called.

1 column     across: the column; up: the density, whose maxima trajectories ascend to
2 columns    the columns
more         the first two principal components, and the axes say so
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index.density import density
from meanshift_fast._index.kernels import KERNELS
from meanshift_fast._input.metrics import Metric
from meanshift_fast._input.scaling import Units, readonly_table

_Floats = NDArray[np.float64]

DENSITY_POSITIONS = 1000  # at which the density of one column is computed
GRID_POSITIONS = 200  # a side, at which basins and contours are computed


class Field(NamedTuple):
    """A quantity at each position of a grid.

    Attributes
    ----------
    values : array of shape (n_up, n_across)
        The labels or densities, from below.
    extent : tuple of float
        Left, right, bottom and top of the grid.
    """

    values: NDArray[Any]
    extent: tuple[float, float, float, float]


class Page(NamedTuple):
    """A projection of rows to the page, and the names of its axes.

    Attributes
    ----------
    rows : read-only float64 array of shape (n_samples, n_features)
        The rows that the page is about, in the engine's columns.
    weights : float64 array of shape (n_samples,) or (0,)
        Their weights.
    kernel : str
        A name of `KERNELS`.
    units : Units
        The bandwidth.
    metric : Metric
        How distances are measured.
    origin : float64 array of shape (n_features,)
        What is subtracted first.
    axes : float64 array of shape (n_features, n_axes)
        The directions of the page's axes; a column's own lengths, or principal components.
    names : list of str
        What the two axes are called.
    """

    rows: _Floats
    weights: _Floats
    kernel: str
    units: Units
    metric: Metric
    origin: _Floats
    axes: _Floats
    names: list[str]

    def lay(self, rows: _Floats) -> _Floats:
        """Lay rows onto the page."""
        laid: _Floats = (self.metric.enter(rows) - self.origin) @ self.axes
        if laid.shape[1] == 1:
            laid = np.column_stack([laid, self.density(rows)])
        return laid

    def path(self, positions: _Floats) -> _Floats:
        """Lay a trajectory onto the page."""
        return self.lay(positions)

    def places(self, grid: _Floats) -> _Floats:
        """The rows that lie at positions of the page, where it shows both columns."""
        return grid

    def corners(self) -> tuple[_Floats, _Floats]:
        """The lowest and the highest position of the rows on a page of both columns."""
        return self.rows.min(axis=0), self.rows.max(axis=0)

    def clipped(self, low: _Floats, high: _Floats) -> tuple[_Floats, _Floats]:
        """What of a rectangle is on the page."""
        return low, high

    def caps(self, positions: _Floats) -> list[_Floats] | None:
        """Outline one bandwidth about each of some places; None where all look as `ball`."""
        return None

    def density(self, places: _Floats) -> _Floats:
        """Measure the density at some places."""
        at = self.units.enter(readonly_table(self.metric.enter(places)))
        rows = self.units.enter(self.rows)
        return density(self.kernel, rows, self.weights, at, self.units.radius)

    def density_curve(self) -> _Floats | None:
        """Outline the density along the only column; None where there are more."""
        if self.rows.shape[1] > 1:
            return None
        reach = self.ball()[1, 0]
        places = np.linspace(self.rows.min() - reach, self.rows.max() + reach, DENSITY_POSITIONS)
        return self.lay(places[:, None])

    def ball(self) -> _Floats:
        """Outline a ball about 0: its projection, or its width where a density is drawn."""
        widths = np.broadcast_to(self.units.divisor, len(self.origin)) * self.units.radius
        return ball_outline(widths, self.axes)


def ball_outline(widths: _Floats, axes: _Floats) -> _Floats:
    """Outline the projection of an ellipsoid about 0, or its width where there is one column."""
    if len(widths) == 1:
        return np.array([[-widths[0], 0.0], [widths[0], 0.0]])
    angle = np.linspace(0, 2 * np.pi, 73)
    # The projection of an ellipsoid is an ellipse; a square root of its matrix outlines it.
    half_axes, unit = _without_exponent(axes * widths[:, None])
    shares, directions = np.linalg.eigh(half_axes.T @ half_axes)
    outline: _Floats = np.column_stack([np.cos(angle), np.sin(angle)]) * np.sqrt(shares)
    turned: _Floats = outline @ directions.T * unit
    return turned


def axes_of(
    rows: _Floats, divisor: float | _Floats, names: list[str] | None = None
) -> tuple[_Floats, _Floats, list[str]]:
    """The origin, the axes and their names: of at most two columns themselves, else components.

    Where each feature has its own bandwidth, components are those of the columns in bandwidths.
    """
    n_features = rows.shape[1]
    if n_features > 2:
        return components_of(rows, divisor)
    names = names or [f"feature {f}" for f in range(n_features)]
    if n_features == 1:
        names = [names[0], "density: rows, the nearer the more"]
    return np.zeros(n_features), np.eye(n_features), names


def components_of(
    rows: _Floats, divisor: float | _Floats = 1.0
) -> tuple[_Floats, _Floats, list[str]]:
    """The mean of rows, the axes of their first two principal components, and their names.

    ``divisor`` as in `Units`: components are those of the columns in it, where each has its own.
    """
    scaled, unit = _without_exponent(rows)
    mean = scaled.mean(axis=0)
    own = np.ndim(divisor) == 1
    lengths = np.broadcast_to(divisor if own else 1.0, rows.shape[1])
    away, _ = _without_exponent((scaled - mean) / lengths)
    variances, axes = _principal_axes(away)
    # A component has no sign of its own: its largest loading is made positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    shares = variances[:2] / max(variances.sum(), np.finfo(float).tiny)
    names = [
        f"principal component {i + 1} ({share:.0%} of variance{', in bandwidths' if own else ''})"
        for i, share in enumerate(shares)
    ]
    return mean * unit, axes / lengths[:, None], names


def _without_exponent(table: _Floats) -> tuple[_Floats, float]:
    """A table over a power of two, so that its squares are numbers; and that power."""
    exponent = min(int(np.frexp(np.abs(table).max())[1]), 1023)
    return np.ldexp(table, -exponent), float(np.ldexp(1.0, exponent))


def _principal_axes(away: _Floats) -> tuple[_Floats, _Floats]:
    """All variances, and the two axes of the largest; through n x n products of few rows."""
    away = np.pad(away, ((0, max(0, 2 - len(away))), (0, 0)))
    n_rows, n_features = away.shape
    if n_rows >= n_features:
        variances, directions = np.linalg.eigh(away.T @ away)
        return variances[::-1], directions[:, :-3:-1]
    variances, turned = np.linalg.eigh(away @ away.T)
    # The second axis is orthogonal to the first where the rows have no second direction, too.
    axes, _ = np.linalg.qr(away.T @ turned[:, :-3:-1])
    return variances[::-1], axes


def field_of(page: Page, centers: _Floats, measure: Callable[[_Floats], NDArray[Any]]) -> Field:
    """Measure a quantity at each position of a grid over all that a kernel reaches."""
    reach = page.ball().max(axis=0) * KERNELS[page.kernel].picture_bandwidths
    (low, high), at = page.corners(), page.lay(centers)
    low, high = np.minimum(low, at.min(axis=0)) - reach, np.maximum(high, at.max(axis=0)) + reach
    low, high = page.clipped(low, high)
    low, high = np.where(low < high, [low, high], [low - 1.0, high + 1.0])
    across, up = (np.linspace(low[f], high[f], GRID_POSITIONS) for f in range(2))
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    return Field(measure(page.places(grid)).reshape(GRID_POSITIONS, GRID_POSITIONS), extent)
