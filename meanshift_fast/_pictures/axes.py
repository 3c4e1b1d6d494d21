"""Axes: a new figure, equal bandwidths across and up, legends, and words in titles.

A new figure has its legend beside the axes. Axes that the caller gives may have neighbours, so
that nothing leaves their room: the legend lies inside, and what is written about them is as small
as it must be.
"""

from textwrap import wrap
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.gridspec import SubplotSpec
    from matplotlib.text import Text

_Floats = NDArray[np.float64]

MAX_ASPECT = 3.0  # a page longer than that in bandwidths is stretched
TEXT_SIZES = (12, 11, 10, 9, 8, 7, 6)  # points, of titles and labels that must fit
LEGEND_SIZES = (8, 7, 6, 5)  # points, of a legend inside the axes
MAX_LEGEND_SHARE = 0.3  # of the axes' area
ROOM_USED = 0.87  # of the axes' width and height, by words and legend
GAP = 0.01  # of the figure, to the neighbours' axes


def new_axes() -> "Axes":
    """Make a figure of one axes, whose layout leaves room for a legend beside it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "drawing needs matplotlib, which is not installed; "
            'install it with: pip install "meanshift_fast[plot]"'
        ) from error
    return plt.subplots(figsize=(7.2, 4.8), layout="constrained")[1]


def make_round(ax: "Axes", ball: _Floats) -> None:
    """Let a ball look round, where that does not make the page too slim."""
    width, height = np.ptp(ball, axis=0)
    if min(width, height) <= 0.0:
        return
    across, up = np.ptp(ax.get_xlim()) / width, np.ptp(ax.get_ylim()) / height
    if 1 / MAX_ASPECT <= across / up <= MAX_ASPECT:
        ax.set_aspect(width / height)


def ball_label(is_projected: bool) -> str:
    """Name the outline of a ball, which is a shadow where there are more than two columns."""
    return f"one bandwidth about it{', projected' if is_projected else ''}"


def key(label: str, **style: Any) -> "Artist":
    """Make an entry of a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **style)


def finish(
    ax: "Axes", entries: list["Artist"], *, is_new: bool, legend: bool, away: float = 1.01
) -> None:
    """Set the legend, and fit what is written about axes that the caller gave.

    Parameters
    ----------
    ax : Axes
        Drawn.
    entries : list of Artist
        The legend's, those that may be left out first.
    is_new : bool
        Whether the axes stand in a figure of their own.
    legend : bool
        Whether there is a legend.
    away : float, default=1.01
        How far to the right a legend beside the axes begins, in widths of theirs.
    """
    if is_new:
        if legend:
            ax.legend(handles=entries, loc="upper left", bbox_to_anchor=(away, 1), frameon=False)
        return
    _lay_out(ax)
    width, height = ROOM_USED * np.asarray(ax.get_window_extent().size)
    _shrink(ax.title, width)
    _shrink(ax.xaxis.label, width)
    _shrink(ax.yaxis.label, height, upright=True)
    spec = ax.get_subplotspec()
    if spec is not None and ax.figure.get_layout_engine() is None:
        _keep_in_slot(ax, spec)
    if legend:
        _put_inside(ax, entries)


def _lay_out(ax: "Axes") -> None:
    """Lay out the figure as it stands; axes that are drawn later may take some of the room."""
    figure = ax.figure.canvas.figure
    engine = figure.get_layout_engine()
    if engine is not None:
        with catch_warnings():
            simplefilter("ignore")  # of a figure too small to be laid out; drawing warns of it
            engine.execute(figure)
    ax.apply_aspect()


def _keep_in_slot(ax: "Axes", spec: "SubplotSpec") -> None:
    """Make axes smaller until what is written about them is in their slot of a grid.

    A slot has the gaps on the left of its axes and below, and the figure's edges where it is at
    them.
    """
    from matplotlib.transforms import Bbox

    figure: Any = ax.figure
    _, tops, _, rights = spec.get_gridspec().get_grid_positions(figure)
    rows, columns = spec.rowspan, spec.colspan
    slot = np.array([
        [rights[columns.start - 1] + GAP if columns.start else 0.0,
         tops[rows.stop] + GAP if rows.stop < len(tops) else 0.0],
        [rights[columns.stop - 1] if columns.stop < len(rights) else 1.0,
         tops[rows.start] if rows.start else 1.0],
    ])  # fmt: skip
    everything: Any = ax.get_tightbbox()
    written = everything.transformed(figure.transSubfigure.inverted()).get_points()
    given = ax.get_position(original=True).get_points()
    low = given[0] + np.maximum(slot[0] - written[0], 0.0)
    high = given[1] - np.maximum(written[1] - slot[1], 0.0)
    if (low < high).all():
        ax.set_position(Bbox([low, high]))
        ax.set_in_layout(True)
        ax.apply_aspect()


def _shrink(text: "Text", length: float, *, upright: bool = False) -> None:
    """Make letters smaller until a line is no longer than the axes, and break it if need be."""
    words = text.get_text()
    for size in TEXT_SIZES:
        if size < float(text.get_fontsize()):
            text.set_fontsize(size)
        box = text.get_window_extent()
        if (box.height if upright else box.width) <= length:
            return
    excess = (box.height if upright else box.width) / length
    text.set_text("\n".join(wrap(words, max(int(len(words) / excess), 10))))


def _put_inside(ax: "Axes", entries: list["Artist"]) -> None:
    """Set a legend inside the axes; where they are too small, without the first entries, or none.

    Clusters are the first: their colours are seen on the rows.
    """
    room = ROOM_USED * np.asarray(ax.get_window_extent().size)
    for first in (0, *(i for i in (len(entries) - 6, len(entries) - 3) if i > 0)):
        for size in LEGEND_SIZES:
            legend = ax.legend(
                handles=entries[first:], loc="best", fontsize=size, framealpha=0.8,
                handlelength=1.5, borderpad=0.3, labelspacing=0.3, borderaxespad=0.3,
            )  # fmt: skip
            box = legend.get_window_extent()
            if box.width * box.height <= MAX_LEGEND_SHARE * room.prod() and (box.size < room).all():
                return
    legend.remove()
