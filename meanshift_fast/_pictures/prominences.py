"""The diagram of prominences: each mode at its density and its saddle's.

density |   o     o  apart      a mode far above the diagonal is far above its saddle: those
|  /threshold           beyond the threshold are clusters, the others are merged
| / .. /
|/_.__/_____ saddle     on the diagonal the prominence is 0
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from meanshift_fast._cluster.model import settings_of, shapes_of
from meanshift_fast._input.messages import counted
from meanshift_fast._pictures.axes import finish, key, new_axes
from meanshift_fast._pictures.colours import COLOURS, GREY, ink_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_PLACES = 200  # of the threshold's line


def draw_prominence(estimator: Any, ax: "Axes | None" = None, *, legend: bool = True) -> "Axes":
    """Draw the modes of a fit, clusters, merged or of too little support, and the threshold."""
    shapes, settings = shapes_of(estimator), settings_of(estimator)
    if shapes is None:
        raise ValueError(
            "plot_prominence needs a model that was fitted with min_prominence above 0, and this "
            "was not; fit again"
        )
    is_new, ax = ax is None, new_axes() if ax is None else ax
    density, n_modes = shapes.density, len(shapes.density)
    saddle = density * (1.0 - shapes.prominence)
    positive = saddle[saddle > 0.0]
    edge = 0.5 * float(min(positive.min(initial=np.inf), density.min()))
    is_cluster, is_merged, is_dropped = shapes.kinds(settings)
    ink = ink_of(ax)[0]
    levels = np.geomspace(edge, 1.5 * density.max(), N_PLACES)
    ax.plot(levels, levels, color=ink, linewidth=0.6)
    least = np.maximum(shapes.tree.least_saddle(levels, shapes.rule(settings)), edge)
    ax.plot(least, levels, color=COLOURS[1], linestyle="--")
    places = np.maximum(saddle, edge)
    ax.scatter(places[is_merged], density[is_merged], s=14, color=GREY, zorder=3)
    ax.scatter(places[is_cluster], density[is_cluster], s=55, color=COLOURS[0], zorder=4)
    word = settings.min_prominence
    limit = word if isinstance(word, str) else f"{word:g}"
    ax.set(
        xscale="log",
        yscale="log",
        xlim=(0.8 * edge, 1.6 * density.max()),
        xlabel="density at the highest saddle (left edge: none)",
        ylabel="density at the mode",
        title=f"{counted(int(is_cluster.sum()), 'cluster')} of {counted(n_modes, 'mode')}",
    )
    entries = [
        key("cluster", color=COLOURS[0], marker="o", linestyle=""),
        key("merged mode", color=GREY, marker="o", linestyle="", markersize=4),
        key(f"threshold, {limit}", color=COLOURS[1], linestyle="--"),
        key("prominence 0", color=ink, linewidth=0.6),
    ]
    if is_dropped.any():
        ax.scatter(places[is_dropped], density[is_dropped], s=20, marker="x", color=GREY, zorder=3)
        dropped = key("too little support", color=GREY, marker="x", linestyle="", markersize=5)
        entries.insert(2, dropped)
    finish(ax, entries, is_new=is_new, legend=legend)
    return ax
