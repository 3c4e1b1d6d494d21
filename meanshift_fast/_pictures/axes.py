"""Axes: a new figure, equal bandwidths across and up, the legend beside it, and words in titles."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_Floats = NDArray[np.float64]

MAX_ASPECT = 3.0  # a page longer than that in bandwidths is stretched


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


def bandwidth_label(bandwidth: float | _Floats) -> str:
    """Write the bandwidth for a title."""
    widths = np.atleast_1d(bandwidth)
    if len(widths) == 1:
        return f"bandwidth {widths[0]:.4g}"
    if len(widths) > 3:
        return f"bandwidths from {widths.min():.4g} to {widths.max():.4g}"
    return f"bandwidths {', '.join(f'{width:.4g}' for width in widths)}"


def key(label: str, **style: Any) -> "Artist":
    """Make an entry of a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **style)


def put_beside(ax: "Axes", entries: list["Artist"], away: float = 1.01) -> None:
    """Set a legend to the right of the axes, ``away`` of their widths from their left."""
    ax.legend(handles=entries, loc="upper left", bbox_to_anchor=(away, 1), frameon=False)
