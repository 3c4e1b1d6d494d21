"""Axes: a new figure, equal bandwidths across and up, legends, and words in titles.

A new figure has its legend beside the axes. Axes that the caller gives may have neighbours, so
that nothing leaves their room: legends.py finds a place for the legend, and what is written about
the axes is as small as it must be.
"""

import re
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._input.messages import not_installed
from meanshift_fast._pictures.legends import ROOM_USED, put_legend
from meanshift_fast._pictures.slots import keep_in_slot, lay_out, settle, twins_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.text import Text

_Floats = NDArray[np.float64]

MAX_ASPECT = 3.0  # a page longer than that in bandwidths is stretched
TEXT_SIZES = (12, 11, 10, 9, 8, 7, 6)  # points, of titles and labels that must fit
MIN_LINE_CHARACTERS = 20  # of broken ones, however slim the axes
N_SIZES_BESIDE = 4  # of these, in a figure of its own; its lines are broken then


def new_axes() -> "Axes":
    """Make a figure of one axes, whose layout leaves room for a legend beside it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise not_installed("drawing needs matplotlib", "plot") from error
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
    ax: "Axes",
    entries: list["Artist"],
    *,
    is_new: bool,
    legend: bool,
    n_spare: int = 0,
    away: float = 1.01,
) -> None:
    """Set the legend, and fit what is written about axes that the caller gave.

    Of the legend's entries those that matter least come first: ``n_spare`` of them are left out
    together where there is little room. ``is_new``: the axes stand in a figure of their own, and
    the legend beside them begins ``away`` widths of theirs to the right.
    """
    if is_new:
        if legend:
            ax.set_anchor("W")  # of axes made slim the layout sees then how far the legend reaches
            ax.legend(handles=entries, loc="upper left", bbox_to_anchor=(away, 1), frameon=False)
        settle(ax)
        if _shrink(ax.title, float(ax.get_window_extent().width), TEXT_SIZES[:N_SIZES_BESIDE]):
            settle(ax)
        return
    lay_out(ax)
    keep_in_slot(ax, is_laid_out=not _fit_words(ax))
    if legend:
        put_legend(ax, entries, n_spare)
        _fit_words(ax)
        keep_in_slot(ax)


def _fit_words(ax: "Axes") -> bool:
    """Make what is written about axes no longer than they are; return whether any was longer."""
    width, height = ROOM_USED * np.asarray(ax.get_window_extent().size)
    were_long = [_shrink(ax.title, width), _shrink(ax.xaxis.label, width)]
    were_long += [_shrink(twin.yaxis.label, height, upright=True) for twin in twins_of(ax)]
    return any(were_long)


def _shrink(
    text: "Text", length: float, sizes: tuple[int, ...] = TEXT_SIZES, *, upright: bool = False
) -> bool:
    """Make letters smaller until a line is no longer than the axes, and break it if need be.

    Returns whether that changed any.
    """
    lines, given = text.get_text().split("\n"), text.get_fontsize()
    for size in sizes:
        if size < float(text.get_fontsize()):
            text.set_fontsize(size)
        box = text.get_window_extent()
        if (box.height if upright else box.width) <= length:
            return bool(text.get_fontsize() != given)
    excess = (box.height if upright else box.width) / length
    most = max(int(max(map(len, lines)) / excess), MIN_LINE_CHARACTERS)
    text.set_text("\n".join(_broken(" ".join(lines), most)))
    return True


def _broken(words: str, most: int) -> list[str]:
    """Break a text into lines of at most so many characters, at commas and brackets if they fit."""
    phrases = wrap(re.sub(r"(?<!,) (?!\()", "\u00a0", words), most, break_long_words=False)
    if max(map(len, phrases)) <= most:
        return [line.replace("\u00a0", " ") for line in phrases]
    return wrap(words, most, break_long_words=False)
