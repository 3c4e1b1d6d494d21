"""Rows on the page: markers where they are few, else a raster.

Each pixel of a raster takes the mean colour of its rows and is the more opaque the more they are,
so that a million rows take no longer than the counting.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Floats = NDArray[np.float64]

MAX_MARKERS = 20_000
RASTER_PIXELS = 400  # a side


def draw_rows(ax: "Axes", rows: _Floats, colours: _Floats, *, on_line: bool = False) -> None:
    """Draw rows in their colours: markers where they are few, else a raster.

    On a line many rows hide each other; every k-th of them, in order, shows as much.
    """
    if on_line and len(rows) > MAX_MARKERS:
        kept = rows[:, 0].argsort()[:: -(-len(rows) // MAX_MARKERS)]
        rows, colours = rows[kept], colours[kept]
    if len(rows) <= MAX_MARKERS:
        size = float(np.clip(4000 / len(rows), 2, 18))
        ax.scatter(rows[:, 0], rows[:, 1], s=size, c=colours, linewidths=0, zorder=1)
        return
    low, high = rows.min(axis=0), rows.max(axis=0)
    high = np.where(high > low, high, low + 1.0)
    across, up = ((rows - low) / (high - low) * (RASTER_PIXELS - 1)).astype(np.int64).T
    pixel = up * RASTER_PIXELS + across
    counts = np.bincount(pixel, minlength=RASTER_PIXELS * RASTER_PIXELS)
    image = np.zeros((RASTER_PIXELS * RASTER_PIXELS, 4))
    for channel in range(3):
        total = np.bincount(pixel, colours[:, channel], RASTER_PIXELS * RASTER_PIXELS)
        image[:, channel] = total / np.maximum(counts, 1)
    image[:, 3] = opacity(counts)
    extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    pixels = image.reshape(RASTER_PIXELS, RASTER_PIXELS, 4)
    ax.imshow(pixels, extent=extent, origin="lower", aspect="auto", zorder=1)


def opacity(counts: NDArray[np.int64]) -> _Floats:
    """How opaque pixels of so many rows are, from 0 to 1."""
    # The cube root keeps a pixel of one row visible beside one of a thousand; the quantile keeps
    # all visible beside a pixel that holds most rows, as the sky of a photograph does.
    full = np.quantile(counts[counts > 0], 0.99)
    return np.where(counts > 0, 0.25 + 0.75 * np.cbrt(np.minimum(counts / full, 1.0)), 0.0)
