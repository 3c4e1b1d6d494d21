"""Legends of axes that the caller gave: they hide no data, and stay in the room of the axes.

    inside      where no row, line, bar or number lies; not where a layout may yet move the axes
    beside      in the room that equal bandwidths across and up leave free
    below       under the label, where the axes keep most of their height
    none        elsewhere

All entries are tried in each place, and then the last ones: clusters are left out together, and
their colours are seen on the rows.
"""

from collections.abc import Callable
from functools import cache, partial
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._pictures.slots import keep_in_slot, moved_back, twins_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.path import Path

LEGEND_SIZES = (8, 7, 6)  # points; smaller ones are not legible on a screen
MARKER_POINTS = 10.0  # of a legend whose markers have their own size
MAX_LEGEND_SHARE = 0.3  # of the axes' area, inside
ROOM_USED = 0.87  # of the axes' width and height, by words and legend
MIN_HEIGHT_LEFT = 0.6  # of the axes' height, above a legend
MAX_WIDTH_BESIDE = 0.9  # of the axes' room, by axes with a legend beside them
MIN_SIDE_INCHES = 0.8  # of axes; smaller ones have no legend
MARKER_INCHES = 0.06  # how far a marker reaches from its row
N_LAST_ENTRIES = 3  # that small axes have
PAD_INCHES = 0.04  # between a legend and what is next to it
# Where matplotlib puts them: its name of the place, and how far right and up that is.
CORNERS: dict[Any, tuple[float, float]] = {
    "upper right": (1.0, 1.0), "upper left": (0.0, 1.0), "lower right": (1.0, 0.0),
    "lower left": (0.0, 0.0), "center right": (1.0, 0.5), "center left": (0.0, 0.5),
    "upper center": (0.5, 1.0), "lower center": (0.5, 0.0),
}  # fmt: skip
STYLE: dict[str, Any] = {
    "handlelength": 1.5, "borderpad": 0.3, "labelspacing": 0.3, "borderaxespad": 0.3,
    "columnspacing": 1.0,
}  # fmt: skip

_Floats = NDArray[np.float64]


class Marks(NamedTuple):
    """What of axes is data, in pixels of the figure.

    Attributes
    ----------
    points : ndarray of shape (n_points, 2)
        Rows, and pixels of a raster of them.
    paths : list of Path
        Lines; those from end to end of the axes are left out.
    boxes : ndarray of shape (n_boxes, 2, 2)
        Bars and written numbers, each by its lowest and its highest corner.
    """

    points: _Floats
    paths: "list[Path]"
    boxes: _Floats

    def any_in(self, low: _Floats, high: _Floats) -> bool:
        """Whether any lies in a rectangle."""
        from matplotlib.transforms import Bbox

        box = Bbox([low, high])
        return bool(
            ((self.points > low) & (self.points < high)).all(axis=1).any()
            or ((self.boxes[:, 0] < high) & (self.boxes[:, 1] > low)).all(axis=1).any()
            or any(path.intersects_bbox(box, filled=False) for path in self.paths)
        )


def marks_of(ax: "Axes") -> Marks:
    """Collect what of axes, and of others in the same place, is data."""
    from matplotlib.collections import PathCollection

    points, paths, boxes = [np.empty((0, 2))], [], []
    for drawn in ax.collections:
        if isinstance(drawn, PathCollection):
            points.append(drawn.get_offset_transform().transform(drawn.get_offsets()))
    for image in ax.images:
        pixels = np.asarray(image.get_array())
        # A raster of rows; basins have no opacity.
        if pixels.ndim == 3 and pixels.shape[2] == 4:
            left, right, bottom, top = image.get_extent()
            up, across = np.nonzero(pixels[:, :, 3])
            share = np.column_stack([across + 0.5, up + 0.5]) / pixels.shape[1::-1]
            points.append(
                ax.transData.transform(share * [right - left, top - bottom] + [left, bottom])
            )
    for line in ax.lines:
        # Between 0 and 1 the transform of the axes equals that of the data.
        if line.get_transform() is ax.transData:
            paths.append(line.get_transform().transform_path(line.get_path()))
    for artist in (*ax.texts, *(bar for twin in twins_of(ax) for bar in twin.patches)):
        boxes.append(artist.get_window_extent().get_points())
    return Marks(np.concatenate(points), paths, np.reshape(boxes, (-1, 2, 2)))


def put_legend(ax: "Axes", entries: "list[Artist]", n_spare: int) -> None:
    """Set the legend of axes that were laid out, where it hides no data; or none.

    Without room for all entries, the first ``n_spare`` are left out, and then all but the last.
    """
    if min(ax.get_window_extent().size) < MIN_SIDE_INCHES * ax.figure.dpi:
        return
    fewer = entries[n_spare:]
    tried = [entries, fewer, fewer[-N_LAST_ENTRIES:]]
    tried = [listed for k, listed in enumerate(tried) if listed not in tried[:k]]
    beside = partial(_put_beside, free_of=cache(_size_beside))  # which lays out the figure
    places: list[Callable[..., bool]] = [_put_inside, beside, _put_below]
    for listed, put in product(tried, places[1:] if _may_move(ax) else places):
        if put(ax, listed):
            return
    _take_away(ax)


def _may_move(ax: "Axes") -> bool:
    """Whether axes are laid out anew when their neighbours are drawn."""
    figure: Any = ax.figure.canvas.figure
    return figure.get_layout_engine() is not None and len(figure.axes) > len(twins_of(ax))


def _take_away(ax: "Axes") -> None:
    """Remove the legend, if any."""
    if (legend := ax.get_legend()) is not None:
        legend.remove()


def _style(size: int) -> dict[str, Any]:
    """The style of a legend in letters of so many points; markers become smaller with them."""
    return {**STYLE, "fontsize": size, "markerscale": size / MARKER_POINTS}


def _put_inside(ax: "Axes", entries: "list[Artist]") -> bool:
    """Set a legend in a corner, or in the middle of a side, without data."""
    marks, room = marks_of(ax), np.asarray(ax.get_window_extent().get_points())
    width, margin = room[1] - room[0], MARKER_INCHES * ax.figure.dpi
    for size in LEGEND_SIZES:
        legend = ax.legend(handles=entries, framealpha=0.8, loc="center", **_style(size))
        box = np.asarray(legend.get_window_extent().size)
        pad = 2.0 * STYLE["borderaxespad"] * size * ax.figure.dpi / 72.0
        if box.prod() > MAX_LEGEND_SHARE * width.prod() or (box > ROOM_USED * width).any():
            continue
        for name, share in CORNERS.items():
            low = room[0] + np.asarray(share) * (width - box - pad)
            if not marks.any_in(low - margin, low + box + pad + margin):
                legend.set_loc(name)
                return True
    return False


def _size_beside(ax: "Axes") -> _Floats | None:
    """Measure the room on the right of axes that stand at the left edge of theirs, if they may."""
    if ax.get_window_extent().width >= MAX_WIDTH_BESIDE * _room(ax).width:
        return None
    _take_away(ax)
    anchor = ax.get_anchor()
    with moved_back(ax):
        ax.set_anchor("W")
        keep_in_slot(ax)
        inside = ax.get_window_extent()
        # What is written is a little wider in the sizes that a layout finds last.
        free = 0.95 * (_room(ax).x1 - inside.x1) - PAD_INCHES * ax.figure.dpi
        ax.set_anchor(anchor)
    return np.array([free, inside.height])


def _put_beside(
    ax: "Axes", entries: "list[Artist]", free_of: Callable[["Axes"], _Floats | None]
) -> bool:
    """Set a legend where the axes are slimmer than their room, and move them to its left edge."""
    free = free_of(ax)
    if free is None:
        return False
    for size in LEGEND_SIZES:
        legend = ax.legend(
            handles=entries, loc="upper left", bbox_to_anchor=(1, 1), frameon=False,
            **_style(size),
        )  # fmt: skip
        if (np.asarray(legend.get_window_extent().size) <= free).all():
            ax.set_anchor("W")
            legend.set_in_layout(False)
            keep_in_slot(ax)
            legend.set_in_layout(True)
            return True
    _take_away(ax)
    return False


def _put_below(ax: "Axes", entries: "list[Artist]") -> bool:
    """Set a legend under the label; a layout, or the caller, then makes the axes smaller."""
    from matplotlib.transforms import ScaledTranslation

    if ax.get_subplotspec() is None:
        return False
    inside, room, dpi = ax.get_window_extent(), _room(ax), ax.figure.dpi
    label: Any = ax.xaxis.get_tightbbox()
    down = (inside.y0 - label.y0) / dpi + PAD_INCHES
    under = ax.transAxes + ScaledTranslation(0, -down, ax.figure.dpi_scale_trans)
    for size, n_columns in product(LEGEND_SIZES, (3, 2, 1)):
        legend = ax.legend(
            handles=entries, loc="upper center", bbox_to_anchor=(0.5, 0),
            bbox_transform=under, ncols=n_columns, frameon=False, **_style(size),
        )  # fmt: skip
        box = legend.get_window_extent()
        is_high = box.height > (1.0 - MIN_HEIGHT_LEFT) * room.height
        if box.width <= inside.width and not is_high:
            return True
    return False


def _room(ax: "Axes") -> Any:
    """The room of axes before bandwidths were made equal, in pixels."""
    figure: Any = ax.figure
    return ax.get_position(original=True).transformed(figure.transSubfigure)
