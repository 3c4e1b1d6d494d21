"""Rows laid on the page: across and up by columns or components, and as pixels where many.

    1 column     across: the column; up: rows stacked where they lie, a histogram
    2 columns    the columns
    more         two of the columns or of the two principal components, chosen from menus

The picture of an answer is a raster: each pixel takes the mean colour of its rows, and is the more
opaque the more they are. The pixels of rows are computed once, so that a new answer costs a count.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._explore.pixels import draw_pixels
from meanshift_fast._input.metrics import EUCLIDEAN, Metric
from meanshift_fast._pictures.colours import COLOURS, GREY, rgb_of
from meanshift_fast._pictures.projection import Page, components_of
from meanshift_fast._pictures.rasters import MAX_MARKERS, opacity
from meanshift_fast._pictures.spaces import cut_at_seams, page_in

_Floats = NDArray[np.float64]

COMPONENTS = ("principal component 1", "principal component 2")
RASTER_SHAPE = (400, 520)  # pixels up and across
STACK_COLUMNS = 260  # of the histogram of one column
PALETTE = [GREY, *COLOURS]  # by the numbers of rows' colours
N_COLOURS = len(PALETTE)
MARGIN = 0.04  # of the rows' extent, about them


class Projection(NamedTuple):
    """Rows on the page.

    Attributes
    ----------
    across, up : str
        The columns or components chosen.
    page : Page
        How positions are laid onto the page, and what its axes are called.
    laid : float64 array of shape (n_samples, 2)
        The rows on the page.
    low, high : float64 arrays of shape (2,)
        The corners of the page.
    place : int32 array of shape (n_samples,) or (0,)
        The number of each row's pixel among those that have rows, times `N_COLOURS`; empty where
        rows are markers.
    pixel : int64 array of shape (n_pixels,) or (0,)
        Which pixels have rows.
    alpha : uint32 array of shape (n_pixels,) or (0,)
        How opaque each pixel is, in the highest byte.
    """

    across: str
    up: str
    page: Page
    laid: _Floats
    low: _Floats
    high: _Floats
    place: NDArray[np.int32]
    pixel: NDArray[np.int64]
    alpha: NDArray[np.uint32]

    @property
    def is_raster(self) -> bool:
        """Whether rows are drawn as a raster."""
        return self.place.size > 0

    @property
    def is_one_column(self) -> bool:
        """Whether rows are stacked over one column."""
        return len(self.page.axes) == 1

    def lay(self, places: _Floats) -> _Floats:
        """Lay positions onto the page; those of one column lie on its lower edge."""
        if self.is_one_column:
            return np.column_stack([self.page.metric.enter(places), np.zeros(len(places))])
        return self.page.lay(places)

    def path(self, places: _Floats) -> _Floats:
        """Lay a trajectory onto the page, cut where it goes over a seam or the date line."""
        if self.is_one_column:
            return cut_at_seams(self.lay(places), places, self.page.metric)
        return self.page.path(places)

    def balls(self, centers: _Floats, bandwidth: float) -> list[_Floats]:
        """Outline the ball of a bandwidth about each of some positions."""
        units = self.page.metric.units(bandwidth, self.page.rows)
        page = self.page._replace(units=units)
        ball = page.ball()
        if self.is_one_column:
            height = 0.02 * (self.high[1] - self.low[1])
            corners = (0, height), (0, 0), (1, 0), (1, height)
            ball = np.array([[ball[i, 0], y] for i, y in corners])
        return page.caps(centers) or list(self.lay(centers)[:, None] + ball)

    def start(self, across: float, up: float, points: _Floats) -> tuple[_Floats, int | None]:
        """The position, in all columns, of a point of the page.

        Where the page shows all columns, the point itself; else the row that is drawn nearest,
        with its number.
        """
        if self.page.metric.page == "map":
            return self.page.places(np.array([[across, up]]))[0], None
        if self.is_one_column:
            return np.array([across]), None
        square = len(self.page.axes) == 2 and not set(COMPONENTS) & {self.across, self.up}
        if square and self.across != self.up:
            return self.page.axes @ np.array([across, up]) + self.page.origin, None
        offsets = (self.laid - (across, up)) / (self.high - self.low)
        row = int(np.einsum("ij,ij->i", offsets, offsets).argmin())
        return np.array(points[row]), row

    def picture(self, colours: NDArray[np.uint8]) -> NDArray[np.uint32]:
        """Draw rows in the numbers of their colours, in `PALETTE`.

        Returns pixels of alpha, blue, green and red, of shape (n_up, n_across), from below.
        """
        image = np.zeros(RASTER_SHAPE, dtype=np.uint32)
        counts = np.zeros(len(self.pixel) * N_COLOURS, dtype=np.int32)
        draw_pixels(
            self.place, colours, _RED_GREEN_BLUE, self.pixel, self.alpha, counts, image.reshape(-1)
        )
        return image


_RED_GREEN_BLUE = 255.0 * rgb_of(PALETTE)[:-1]  # without a second grey


def choices_of(names: list[str]) -> list[str]:
    """The choices in the menus of axes."""
    return [*names, *COMPONENTS] if len(names) > 1 else list(names)


def project(
    points: _Floats,
    names: list[str],
    across: str | None = None,
    up: str | None = None,
    metric: Metric = EUCLIDEAN,
) -> Projection:
    """Lay rows onto the page; latitudes and longitudes are always a map.

    ``across`` and ``up`` are columns or `COMPONENTS`; None: the columns where there are two, else
    components.
    """
    page = page_in(metric, points[:1], np.empty(0), 1.0, "flat", names)
    if metric.page == "map":
        return _bounded(names[1], names[0], page, page.lay(points))
    points = metric.enter(points)
    if len(names) == 1:
        page = page._replace(names=[names[0], "rows"])
        return _bounded(names[0], "rows", page, _stacked(points[:, 0]))
    if across is None or up is None:
        across, up = names if len(names) == 2 else COMPONENTS
    return _on_columns(page, points, names, across, up)


def _on_columns(page: Page, points: _Floats, names: list[str], across: str, up: str) -> Projection:
    """Lay rows by columns or components."""
    n_features = len(names)
    if across not in COMPONENTS and up not in COMPONENTS:
        columns = [names.index(across), names.index(up)]
        origin, axes = np.zeros(n_features), np.zeros((n_features, 2))
        axes[columns, [0, 1]] = 1.0
        page = page._replace(origin=origin, axes=axes, names=[across, up])
        return _bounded(across, up, page, points[:, columns])
    padded = points if n_features > 2 else np.pad(points, ((0, 0), (0, 1)))
    mean, components, titles = components_of(padded)
    origin = mean[:n_features]
    axes, named = np.zeros((n_features, 2)), ["", ""]
    for k, chosen in enumerate((across, up)):
        if chosen in COMPONENTS:
            which = COMPONENTS.index(chosen)
            axes[:, k], named[k] = components[:n_features, which], titles[which]
        else:
            axes[names.index(chosen), k], named[k] = 1.0, f"{chosen}, from its mean"
    page = page._replace(origin=origin, axes=axes, names=named)
    return _bounded(across, up, page, (points - origin) @ axes)


def _stacked(column: _Floats) -> _Floats:
    """Rows of one column, each above those that lie in its part of the column: a histogram."""
    low, high = column.min(), column.max()
    width = (high - low) / STACK_COLUMNS or 1.0
    part = np.minimum((column - low) / width, STACK_COLUMNS - 1).astype(np.int64)
    order = np.argsort(part, kind="stable")
    firsts = np.searchsorted(part[order], part[order])
    heights = np.empty(len(column))
    heights[order] = np.arange(len(column)) - firsts + 1
    return np.column_stack([column, heights])


def _bounded(across: str, up: str, page: Page, laid: _Floats) -> Projection:
    """Bound the page by its rows and a margin, and make a raster where rows are many."""
    low, high = laid.min(axis=0), laid.max(axis=0)
    high = np.where(high > low, high, low + 1.0)
    margin = MARGIN * (high - low)
    low, high = low - margin, high + margin
    raster = _raster(laid, low, high) if len(laid) > MAX_MARKERS else _NO_RASTER
    return Projection(across, up, page, laid, low, high, *raster)


_NO_RASTER = (
    np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.uint32),
)  # fmt: skip


def _raster(laid: _Floats, low: _Floats, high: _Floats) -> tuple[Any, Any, Any]:
    """The pixels of rows, as `Projection` has them."""
    n_up, n_across = RASTER_SHAPE
    parts = (laid - low) / (high - low) * (n_across, n_up)
    across, up = parts.astype(np.int32).T
    pixels = np.minimum(up, n_up - 1) * n_across + np.minimum(across, n_across - 1)
    counts = np.bincount(pixels, minlength=n_up * n_across)
    pixel = np.flatnonzero(counts)
    numbers = np.zeros(len(counts), dtype=np.int32)
    numbers[pixel] = np.arange(len(pixel)) * N_COLOURS
    alpha = np.rint(255 * opacity(counts[pixel])).astype(np.uint32) << 24
    return numbers[pixels], pixel, alpha
