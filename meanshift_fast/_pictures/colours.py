"""Colours: those of clusters and of rows without a label, and those that any page shows."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Floats = NDArray[np.float64]

# Each keeps a contrast of 3 to a white page and to one of #0d1117, and any two of them, grey
# included, are 24 apart in CIELAB as seen with and without protanopia, deuteranopia and tritanopia
# (the matrices of Machado and others, 2009). Found by search: seven and no more are as far apart.
COLOURS = ("#485ab4", "#d87e00", "#1ea860", "#ba2424", "#ba7ec0", "#8400ff", "#f636ff")
GREY = "#808080"  # orphans, and rows that have no label to show

MIN_CONTRAST = 3.0  # of lines to the page
MAX_CENTERS_APART = 5000  # with colours unlike their neighbours'; the others cycle through them


def ink_of(ax: "Axes") -> tuple[Any, Any]:
    """Return the colour of lines, which the page shows, and that of the page.

    Lines are as the axes' frame; where a style hides the frame, as the axes' words, or black or
    white. A page that is seen through shows the figure behind it.
    """
    from matplotlib.colors import to_rgb, to_rgba

    page = np.ones(3)
    for paper in (ax.figure.get_facecolor(), ax.get_facecolor()):
        *colour, opaque = to_rgba(paper)
        page = opaque * np.array(colour) + (1.0 - opaque) * page
    inks = [to_rgba(ax.spines["left"].get_edgecolor()), to_rgba(ax.xaxis.label.get_color())]
    for ink in [*inks, to_rgba("black")]:
        if ink[3] > 0.0 and contrast(np.array(ink[:3]), page) >= MIN_CONTRAST:
            return ink[:3], tuple(page)
    return to_rgb("white"), tuple(page)


def contrast(one: _Floats, other: _Floats) -> float:
    """Return the ratio of two colours' luminances, from 1 to 21, as web pages are held to."""
    luminances = [
        np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        @ (0.2126, 0.7152, 0.0722)
        for rgb in (one, other)
    ]
    dark, bright = sorted(luminances)
    return float((bright + 0.05) / (dark + 0.05))


def colours_apart(centers: _Floats) -> list[str]:
    """Choose the clusters' colours as on a map: one used twice is used far apart."""
    chosen = np.arange(len(centers)) % len(COLOURS)
    for i in range(len(COLOURS), min(len(centers), MAX_CENTERS_APART)):
        chosen[i] = farthest_colour(chosen[:i], centers[:i] - centers[i])
    return [COLOURS[colour] for colour in chosen]


def farthest_colour(taken: NDArray[np.int64], offsets: _Floats) -> int:
    """The number of the colour whose nearest centre is farthest away.

    ``offsets``: from each centre so far.
    """
    away = np.full(len(COLOURS), np.inf)
    np.minimum.at(away, taken, lengths(offsets))
    return int(away.argmax())


def lengths(offsets: _Floats) -> _Floats:
    """The lengths over the last axis; of offsets of any magnitude, whose squares may overflow."""
    _, exponent = np.frexp(np.abs(offsets).max(initial=0.0))
    scaled: _Floats = np.linalg.norm(np.ldexp(offsets, -exponent), axis=-1)
    return np.ldexp(scaled, exponent)


def rgb_of(colours: list[str]) -> _Floats:
    """Return the colours as rows of red, green and blue, grey last, at index -1."""
    codes = [*colours, GREY]
    return np.array([[int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)] for code in codes])
