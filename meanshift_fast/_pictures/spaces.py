"""Pages of other metrics: a map in degrees, directions as principal components, wrapped columns.

haversine    longitude across, latitude up; a cap is what it looks like there, in two pieces
             where it lies over the date line
cosine       rows of length 1, by their principal components
period       rows between 0 and the period; a trajectory over a seam is cut there
"""

import math
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index.density import density
from meanshift_fast._index.kernels import KERNELS
from meanshift_fast._index.torus import repeated
from meanshift_fast._input.metrics import Metric
from meanshift_fast._input.scaling import readonly_table
from meanshift_fast._pictures.projection import DENSITY_POSITIONS, Page, axes_of

_Floats = NDArray[np.float64]

CAP_CORNERS = 181
HALF_TURN = 180.0  # degrees


def page_in(
    metric: Metric,
    rows: _Floats,
    weights: _Floats,
    bandwidth: Any,
    kernel: str,
    names: list[str] | None = None,
) -> Page:
    """Choose the projection of rows in a metric's space."""
    entered = readonly_table(metric.enter(rows))
    units = metric.units(bandwidth, entered, in_bandwidths=KERNELS[kernel].in_bandwidths)
    kinds = {"map": _Globe, "wrapped": _WrappedPage}
    if metric.page == "map":
        latitude, longitude = names or ["latitude", "longitude"]
        axes = np.zeros(3), np.eye(3), [f"{longitude}, degrees", f"{latitude}, degrees"]
    else:
        axes = axes_of(entered, units.divisor, names)
    return kinds.get(metric.page, Page)(entered, weights, kernel, units, metric, *axes)


class _WrappedPage(Page):
    """Rows whose columns wrap around."""

    def density(self, places: _Floats) -> _Floats:
        """Measure the density at some places, across the seams."""
        units = self.units
        reach = KERNELS[self.kernel].image_reach(units.radius, units.period)
        images = repeated(units.enter(self.rows), units.period, reach)
        at = units.enter(readonly_table(self.metric.enter(places)))
        return density(self.kernel, images.points, images.of(self.weights), at, units.radius)

    def density_curve(self) -> _Floats | None:
        """Outline the density along the only column, from 0 to the period."""
        if self.rows.shape[1] > 1:
            return None
        end = np.nextafter(float(self.metric.period[0]), 0.0)
        return self.lay(np.linspace(0.0, end, DENSITY_POSITIONS)[:, None])

    def path(self, positions: _Floats) -> _Floats:
        """Lay a trajectory, cut where it goes over a seam."""
        return cut_at_seams(self.lay(positions), positions, self.metric)


def cut_at_seams(laid: _Floats, positions: _Floats, metric: Metric) -> _Floats:
    """A trajectory on the page, with a gap where its positions go over a seam, if there are any."""
    if not metric.period.size:
        return laid
    rows = metric.enter(positions)
    is_cut = (np.abs(np.diff(rows, axis=0)) > 0.5 * metric.period).any(axis=1)
    return np.insert(laid, np.flatnonzero(is_cut) + 1, np.nan, axis=0)


class _Globe(Page):
    """Places on a map in degrees, longitude across and latitude up; rows are unit vectors."""

    def lay(self, rows: _Floats) -> _Floats:
        """Lay latitudes and longitudes in radians onto the map."""
        places = np.degrees(rows[:, ::-1])
        places[:, 0] = np.mod(places[:, 0] + HALF_TURN, 2 * HALF_TURN) - HALF_TURN
        return places

    def places(self, grid: _Floats) -> _Floats:
        """The latitudes and longitudes of positions on the map, in radians."""
        return np.clip(np.radians(grid[:, ::-1]), [-math.pi / 2, -np.inf], [math.pi / 2, np.inf])

    def corners(self) -> tuple[_Floats, _Floats]:
        """The lowest and the highest longitude and latitude of the rows."""
        laid = self.lay(self.metric.leave(self.rows))
        return laid.min(axis=0), laid.max(axis=0)

    def clipped(self, low: _Floats, high: _Floats) -> tuple[_Floats, _Floats]:
        """What of a rectangle is on the map."""
        edge = np.array([HALF_TURN, HALF_TURN / 2])
        return np.maximum(low, -edge), np.minimum(high, edge)

    def density_curve(self) -> None:
        """A map has none."""

    def _angle(self) -> float:
        return self.units.angle / self.units.sphere if self.units.angle else 0.0

    def ball(self) -> _Floats:
        """Outline a cap about 0 as it looks in the middle of the map: a circle on the ground."""
        low, high = self.corners()
        across = max(math.cos(math.radians(0.5 * (low[1] + high[1]))), 0.1)
        turn, angle = np.linspace(0, 2 * np.pi, 73), math.degrees(self._angle())
        return np.column_stack([np.cos(turn) / across, np.sin(turn)]) * angle

    def caps(self, positions: _Floats) -> list[_Floats]:
        """Outline the cap of a bandwidth about each of some places, cut at the date line."""
        metric, angle = self.metric, self._angle()
        turn = np.linspace(0, 2 * np.pi, CAP_CORNERS)[:, None]
        outlines: list[_Floats] = []
        for vector in metric.enter(positions):
            # The smallest part of a vector says along which axis another is least parallel to it.
            away = np.eye(3)[np.abs(vector).argmin()]
            one = np.cross(vector, away)
            one /= np.linalg.norm(one)
            other = np.cross(vector, one)
            ring = math.cos(angle) * vector
            ring = ring + math.sin(angle) * (np.cos(turn) * one + np.sin(turn) * other)
            outlines.append(self.path(metric.leave(ring)))
        return outlines

    def path(self, positions: _Floats) -> _Floats:
        """Lay a line of places, cut at the date line and drawn up to it."""
        laid = self.lay(positions)
        pieces = [laid[:1]]
        for before, after in pairwise(laid):
            if abs(after[0] - before[0]) > HALF_TURN:
                edge = math.copysign(HALF_TURN, before[0])
                left = edge - before[0]
                share = left / (left + after[0] + edge) if left + after[0] + edge else 0.5
                height = before[1] + share * (after[1] - before[1])
                pieces.append(np.array([[edge, height], [np.nan, np.nan], [-edge, height]]))
            pieces.append(after[None])
        return np.concatenate(pieces)
