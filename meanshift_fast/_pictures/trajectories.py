"""Trajectories on the page: those of a fit, and the picture of a trace."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import validate_data

from meanshift_fast._pictures.page import (
    COLOURS,
    GREY,
    Page,
    draw_rows,
    ink_of,
    key,
    make_round,
    new_axes,
    page_of,
    put_beside,
    rgb_of,
    told,
)
from meanshift_fast.trace import Trace, counted, trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Floats = NDArray[np.float64]

FEW = 12  # trajectories that are drawn with the ball about their start


def paths_of(page: Page, starts: ArrayLike, estimator: Any) -> tuple[_Floats, ...]:
    """Follow trajectories, in the engine's unit, and lay them onto the page."""
    begun = np.asarray(validate_data(estimator, starts, reset=False), dtype=np.float64)
    if page.units.radius == 0.0:
        return tuple(page.lay(np.stack([start, start])) for start in begun)
    story = trace(
        page.units.enter(page.rows),
        page.units.enter(begun),
        bandwidth=page.units.radius,
        kernel=page.kernel,
        tol=estimator.tol,
        max_iter=estimator.max_iter,
        sample_weight=page.weights if page.weights.size else None,
    )
    return tuple(page.lay(page.units.leave(positions)) for positions in story.positions)


def draw_trace(story: Trace, ax: "Axes | None" = None) -> "Axes":
    """Draw stories over their rows: each start, its steps, its first ball and its end.

    Of many stories the balls are left out, and starts and ends are small.
    """
    ax = new_axes() if ax is None else ax
    ink, paper = ink_of(ax)
    points = story.points
    page = page_of(points, story.weights, story.bandwidth, story.kernel)
    few, flat = len(story.positions) <= FEW, story.kernel == "flat"
    colours = np.tile(rgb_of([])[-1], (len(points), 1))
    for start, shifts in enumerate(story.shifts):
        if len(shifts) and flat:
            colours[story.neighbours(0, start)] = rgb_of([COLOURS[0]])[0]
    draw_rows(ax, page.lay(points), colours)
    for positions in story.positions:
        path = page.lay(positions)
        if few:
            ax.plot(*(path[0] + page.ball()).T, color=COLOURS[0], linestyle="--", linewidth=1)
        ax.plot(*path.T, color=paper, linewidth=3.5, zorder=3)
        ax.plot(*path.T, color=ink, linewidth=1.2, marker=".", zorder=3)
        for (x, y), marker, colour in ((path[0], "o", COLOURS[0]), (path[-1], "X", COLOURS[1])):
            ax.scatter(
                x, y, s=90 if few else 20, marker=marker, color=colour, edgecolors=paper, zorder=4
            )
    steps = [len(shifts) for shifts in story.shifts]
    count = counted(steps[0], "shift") if len(steps) == 1 else f"{len(steps):,} trajectories"
    ax.set(
        xlabel=page.names[0], ylabel=page.names[1],
        title=f"{count} among {counted(len(points), 'row')}, {told(story.bandwidth)}",
    )  # fmt: skip
    make_round(ax, page.ball())
    entries = [
        key("start", color=COLOURS[0], marker="o", markersize=9, linestyle=""),
        key("one bandwidth about it", color=COLOURS[0], linestyle="--", linewidth=1),
        key("its neighbours", color=COLOURS[0], marker=".", linestyle=""),
        key("other rows" if flat else "rows", color=GREY, marker=".", linestyle=""),
        key("step to their mean", color=ink, marker=".", linewidth=1.2),
        key("where it ends", color=COLOURS[1], marker="X", markersize=9, linestyle=""),
    ]
    # The Gaussian's neighbours are all rows, the nearer the more.
    put_beside(ax, entries if flat else entries[:2] + entries[3:])
    return ax
