"""The picture of a trace: trajectories over the rows."""

from typing import TYPE_CHECKING, Any

import numpy as np

from meanshift_fast._index.kernels import KERNELS
from meanshift_fast._input.messages import counted
from meanshift_fast._input.metrics import metric_of
from meanshift_fast._pictures.axes import ball_label, finish, key, make_round, new_axes
from meanshift_fast._pictures.colours import COLOURS, GREY, ink_of, rgb_of
from meanshift_fast._pictures.rasters import draw_rows
from meanshift_fast._pictures.spaces import page_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_BALLS = 12  # trajectories that are drawn with the ball about their start
START_SIZE, END_SIZE, MANY_SIZE = 40, 80, 20  # square points; the last, of many trajectories


def draw_trajectories(traced: Any, ax: "Axes | None" = None, *, legend: bool = True) -> "Axes":
    """Draw a `Trace` over its rows: each start, its steps, its first ball and its end.

    Of many trajectories the balls are left out, and starts and ends are small.
    """
    is_new, ax = ax is None, new_axes() if ax is None else ax
    ink, paper = ink_of(ax)
    points = traced.points
    metric = metric_of(traced.metric, traced.period)
    page = page_in(metric, points, traced.weights, traced.bandwidth, traced.kernel)
    few, flat = len(traced.positions) <= MAX_BALLS, KERNELS[traced.kernel].is_ball
    colours = np.tile(rgb_of([])[-1], (len(points), 1))
    for start, shifts in enumerate(traced.shifts):
        if len(shifts) and flat:
            colours[traced.neighbours(0, start)] = rgb_of([COLOURS[0]])[0]
    draw_rows(ax, page.lay(points), colours)
    for positions in traced.positions:
        path = page.path(positions)
        if few:
            (ball,) = page.caps(positions[:1]) or [path[0] + page.ball()]
            ax.plot(*ball.T, color=COLOURS[0], linestyle="--", linewidth=1)
        ax.plot(*path.T, color=paper, linewidth=4.0, zorder=3)
        ax.plot(*path.T, color=ink, linewidth=1.5, marker=".", zorder=3)
        ends = ((path[0], "o", COLOURS[0], START_SIZE), (path[-1], "X", COLOURS[1], END_SIZE))
        for (x, y), marker, colour, size in ends:
            size = size if few else MANY_SIZE
            ax.scatter(x, y, s=size, marker=marker, color=colour, edgecolors=paper, zorder=4)
    steps = [len(shifts) for shifts in traced.shifts]
    count = counted(steps[0], "shift") if len(steps) == 1 else f"{len(steps):,} trajectories"
    width = metric.bandwidth_text(traced.bandwidth)
    ax.set(
        xlabel=page.names[0], ylabel=page.names[1],
        title=f"{count} among {counted(len(points), 'row')}, {width}",
    )  # fmt: skip
    make_round(ax, page.ball())
    entries = [
        key("start", color=COLOURS[0], marker="o", markersize=6, linestyle=""),
        key(ball_label(points.shape[1] > 2), color=COLOURS[0], linestyle="--", linewidth=1),
        key("its neighbours", color=COLOURS[0], marker=".", linestyle=""),
        key("other rows" if flat else "rows", color=GREY, marker=".", linestyle=""),
        key("step to their mean", color=ink, marker=".", linewidth=1.5),
        key("where it ends", color=COLOURS[1], marker="X", markersize=9, linestyle=""),
    ]
    # The Gaussian's neighbours are all rows, the nearer the more.
    entries = entries if flat else entries[:2] + entries[3:]
    finish(ax, entries, is_new=is_new, legend=legend)
    return ax
