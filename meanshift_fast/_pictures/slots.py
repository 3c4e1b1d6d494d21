"""Slots: the room of axes in a grid of them, as it is or as a layout of matplotlib's makes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAP = 0.01  # of the figure, to the neighbours' axes
MAX_STEPS = 12  # of making axes smaller
# Of a figure of one axes. Most figures need one layout; one that shrinks by some pixels at a time
# needs ten.
MAX_LAYOUTS = 40
TOLERANCE = 0.0001  # of the figure, by which words may reach out of a slot


def twins_of(ax: "Axes") -> list[Any]:
    """Axes, and others that lie in the same place and have another scale."""
    return [other for other in ax.figure.axes if other.bbox.bounds == ax.bbox.bounds]


def lay_out(ax: "Axes") -> None:
    """Lay out the figure as it stands; axes that are drawn later may take some of the room."""
    figure = ax.figure.canvas.figure
    engine = figure.get_layout_engine()
    if engine is not None:
        with catch_warnings():
            simplefilter("ignore")  # of a figure too small to be laid out; drawing warns of it
            engine.execute(figure)
    ax.apply_aspect()


def settle(ax: "Axes", *, is_laid_out: bool = False) -> None:
    """Lay out the figure until nothing of some axes reaches over its edges, or nothing changes.

    A layout makes the room of axes smaller by what reaches out of it. Axes of equal bandwidths do
    not fill their room, and become smaller only when it is as slim as they are. A layout measures
    all axes of the figure twice: one that was laid out as it stands needs the first one no more.
    """
    page, before = ax.figure.bbox, None
    for _ in range(MAX_LAYOUTS):
        if not is_laid_out:
            lay_out(ax)
        is_laid_out = False
        everything: Any = ax.get_tightbbox()
        is_in = (everything.min >= page.min).all() and (everything.max <= page.max).all()
        room = ax.get_position(original=True).bounds
        if is_in or (everything.bounds, room) == before:
            return
        before = everything.bounds, room


@contextmanager
def moved_back(ax: "Axes") -> Iterator[None]:
    """Give all axes of a figure the places again that they had, without a layout."""
    axes: list[Any] = ax.figure.canvas.figure.axes
    rooms = [other.get_position(original=True).frozen() for other in axes]
    places = [other.get_position().frozen() for other in axes]
    are_in_layout = [other.get_in_layout() for other in axes]
    yield
    for other, room, place, is_in_layout in zip(axes, rooms, places, are_in_layout, strict=True):
        other.set_position(room, which="original")
        other.set_position(place, which="active")
        other.set_in_layout(is_in_layout)


def keep_in_slot(ax: "Axes", *, is_laid_out: bool = False) -> None:
    """Make axes smaller until what is written about them is in their slot of a grid.

    A slot has the gaps on the left of its axes and below, and the figure's edges where it is at
    them. A layout of matplotlib's does the same.
    """
    from matplotlib.transforms import Bbox

    figure: Any = ax.figure
    spec = ax.get_subplotspec()
    if figure.get_layout_engine() is not None:
        settle(ax, is_laid_out=is_laid_out)
        return
    if spec is None:
        return
    _, tops, _, rights = spec.get_gridspec().get_grid_positions(figure)
    rows, columns = spec.rowspan, spec.colspan
    slot = np.array([
        [rights[columns.start - 1] + GAP if columns.start else 0.0,
         tops[rows.stop] + GAP if rows.stop < len(tops) else 0.0],
        [rights[columns.stop - 1] if columns.stop < len(rights) else 1.0,
         tops[rows.start] if rows.start else 1.0],
    ])  # fmt: skip
    for _ in range(MAX_STEPS):  # axes of equal bandwidths move by a half of what their room does
        everything: Any = ax.get_tightbbox()
        written = everything.transformed(figure.transSubfigure.inverted()).get_points()
        given = ax.get_position(original=True).get_points()
        low = given[0] + np.maximum(slot[0] - written[0], 0.0)
        high = given[1] - np.maximum(written[1] - slot[1], 0.0)
        if (low >= high).any() or np.abs([low, high] - given).max() < TOLERANCE:
            return
        ax.set_position(Bbox([low, high]))
        ax.set_in_layout(True)
        ax.apply_aspect()
