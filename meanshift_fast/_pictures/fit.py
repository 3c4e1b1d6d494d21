"""The picture of a fit, in layers from the paper up.

    basins       what `predict` says of every place, pale
    rows         in the colours of their labels
    contours     the density whose modes trajectories converge to
    balls        one bandwidth about each centre
    paths        trajectories, from their starts to their endpoints
    centres      in the ink of the axes, which is seen on any page

Words stand beside the axes, or in the axes' emptiest corner where the caller gave them.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from meanshift_fast._input.messages import counted
from meanshift_fast._pictures.axes import ball_label, finish, key, make_round, new_axes
from meanshift_fast._pictures.colours import GREY, colours_apart, ink_of, rgb_of
from meanshift_fast._pictures.rasters import draw_rows

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MAX_NAMED_CLUSTERS = 12  # that the legend names one by one
LEVELS = np.linspace(0.0, 1.0, 8)[1:-1] ** 2  # of contours, denser where the density is low


def draw_fit(display: Any, ax: "Axes | None" = None, *, legend: bool = True) -> "Axes":
    """Draw a `MeanShiftDisplay`, the background first and the centres last."""
    is_new, ax = ax is None, new_axes() if ax is None else ax
    colours = colours_apart(display.centers)
    _draw_background(ax, display, colours)
    _draw_foreground(ax, display)
    if display.basins is None and display.contours is None:
        ax.use_sticky_edges = False  # an image alone would end at its own edge
        ax.autoscale_view()
    make_round(ax, display.ball)
    n_clusters, n_rows = counted(len(colours), "cluster"), counted(len(display.rows), "row")
    ax.set(
        xlabel=display.names[0],
        ylabel=display.names[1],
        title=f"{n_clusters} of {n_rows}, {display.bandwidth}",
    )
    entries, n_spare = _entries(ax, display, colours)
    finish(ax, entries, is_new=is_new, legend=legend, n_spare=n_spare)
    return ax


def _draw_background(ax: "Axes", display: Any, colours: list[str]) -> None:
    """Draw basins, the hill of one column, rows and contours."""
    ink, _ = ink_of(ax)
    if display.basins is not None:
        labels, extent = display.basins
        pale = rgb_of(colours)[labels]
        ax.imshow(pale, extent=extent, origin="lower", alpha=0.25, aspect="auto", zorder=0)
    if display.hill is not None:
        ax.plot(*display.hill.T, color=ink, linewidth=0.6, zorder=0)
    row_colours = rgb_of(colours)[display.labels]
    draw_rows(ax, display.rows, row_colours, on_line=display.hill is not None)
    if display.contours is not None:
        density, (left, right, bottom, top) = display.contours
        n_up, n_across = density.shape
        across, up = np.linspace(left, right, n_across), np.linspace(bottom, top, n_up)
        levels = LEVELS * max(density.max(), np.finfo(float).tiny)
        ax.contour(across, up, density, levels, colors=[ink], linewidths=0.6, alpha=0.7, zorder=2)


def _draw_foreground(ax: "Axes", display: Any) -> None:
    """Draw balls, trajectories and centres."""
    from matplotlib.collections import LineCollection

    ink, paper = ink_of(ax)
    centers = display.centers
    outlines = display.caps or list(centers[:, None] + display.ball)
    balls = LineCollection(outlines, colors=[ink], linewidths=1.1, linestyles="--", zorder=2)
    ax.add_collection(balls)
    for path in display.paths:
        ax.plot(*path.T, color=paper, linewidth=4.5, zorder=3)
        ax.plot(*path.T, color=ink, linewidth=1.8, marker=".", markersize=6, zorder=3)
    size = float(np.clip(1200 / len(centers), 25, 90))
    if display.lesser is not None:
        x, y = display.lesser.T
        ax.scatter(x, y, marker="X", s=size / 4, color=ink, edgecolors=paper, zorder=4)
    x, y = centers.T
    ax.scatter(x, y, marker="X", s=size, color=ink, edgecolors=paper, zorder=4)


def _entries(ax: "Axes", display: Any, colours: list[str]) -> tuple[list["Artist"], int]:
    """The entries of the legend, and how many are clusters; many clusters are not named."""
    ink, _ = ink_of(ax)
    sizes = np.bincount(display.labels + 1, minlength=len(colours) + 1)
    dot: dict[str, Any] = {"marker": "o", "linestyle": ""}
    entries: list[Artist] = []
    if len(colours) <= MAX_NAMED_CLUSTERS:
        for label, (colour, size) in enumerate(zip(colours, sizes[1:], strict=True)):
            entries.append(key(f"cluster {label}: {counted(size, 'row')}", color=colour, **dot))
    n_named = len(entries)
    if sizes[0]:
        entries.append(key(f"orphans: {counted(sizes[0], 'row')}", color=GREY, **dot))
    entries.append(key("centre", color=ink, marker="X", markersize=9, linestyle=""))
    if display.lesser is not None and len(display.lesser):
        entries.append(key("merged mode", color=ink, marker="X", markersize=6, linestyle=""))
    entries.append(key(ball_label(display.projected), color=ink, linewidth=1.1, linestyle="--"))
    if display.paths:
        entries.append(key("trajectory", color=ink, marker=".", linewidth=1.8))
    if display.contours is not None:
        entries.append(key("equal density", color=ink, linewidth=0.6))
    if display.hill is not None:
        entries.append(key("density", color=ink, linewidth=0.6))
    return entries, n_named
