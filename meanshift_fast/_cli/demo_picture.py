"""The demo's picture: panels of one size in rows of two, the palette in the fourth place.

    photograph     its segments, outlined
    its colours    palette
    filtered       the same by OpenCV            only where the demo compares

Without pyplot, the caller's backend and figures stay as they are.
"""

import importlib.util
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from meanshift_fast._files.atomic import write_whole
from meanshift_fast._input.messages import not_installed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Colours = npt.NDArray[np.uint8]

OUTLINE = (255, 255, 0)  # as in scikit-image's mark_boundaries
_ENLARGED = 2  # dots of an outlined image for each pixel, along each axis: outlines are one wide
# In inches. At 200 dots an inch a panel shows each of the demo's pixels as a square of 2 x 2 dots.
_SIDE, _MARGIN, _HEAD = 6.4, 0.4, 1.0
_DOTS = 200
_MIN_LABELLED_SHARE = 0.06  # a narrower swatch has no room for its label
_TITLE: dict[str, Any] = {"size": 17, "weight": "bold", "color": "#1a1a1a", "family": "DejaVu Sans"}
_NOTE: dict[str, Any] = {"size": 12, "color": "#5f5f5f", "family": "DejaVu Sans"}


class Panel(NamedTuple):
    """An image of red, green and blue, uint8 of shape (n_rows, n_columns, 3), and its title."""

    image: _Colours
    title: str
    note: str


class Palette(NamedTuple):
    """Colours, uint8 of shape (n_colours, 3), and their shares of the pixels."""

    colours: _Colours
    shares: npt.NDArray[np.float64]


def draw(panels: Sequence[Panel], palette: Palette, output: Path) -> None:
    """Draw panels of equal proportions, and the palette as the fourth, into a PNG file."""
    require_matplotlib()
    from matplotlib.figure import Figure

    n_rows, n_columns = panels[0].image.shape[:2]
    height = _SIDE * n_rows / n_columns
    full_width = 2 * _SIDE + 3 * _MARGIN
    n_rows_of_panels = max(len(panels) // 2 + 1, 2)
    full_height = n_rows_of_panels * (height + _HEAD) + _MARGIN
    figure = Figure(figsize=(full_width, full_height), dpi=_DOTS, facecolor="white")

    def axes_at(place: int, title: str, note: str) -> "Axes":
        """Add the axes of a place, and write its title and note."""
        left = _MARGIN + place % 2 * (_SIDE + _MARGIN)
        bottom = full_height - (place // 2 + 1) * (height + _HEAD)
        box = (left / full_width, bottom / full_height, _SIDE / full_width, height / full_height)
        axes = figure.add_axes(box)
        axes.set_axis_off()
        top = bottom + height
        figure.text(left / full_width, (top + 0.42) / full_height, title, **_TITLE)
        figure.text(left / full_width, (top + 0.15) / full_height, note, **_NOTE)
        return axes

    for number, panel in enumerate(panels):
        axes = axes_at(number + (number >= 3), panel.title, panel.note)
        axes.imshow(panel.image, aspect="auto", interpolation="nearest")
    note = "each colour as high as its share of the pixels"
    _draw_palette(axes_at(3, "The palette", note), palette)
    write_whole({output: partial(figure.savefig, format="png")})


def _draw_palette(axes: "Axes", palette: Palette) -> None:
    """Fill the axes with a swatch for each colour, the largest share at the top."""
    axes.set(xlim=(0, 1), ylim=(1, 0))
    order = np.argsort(-palette.shares, kind="stable")
    shares, colours = palette.shares[order], palette.colours[order]
    for top, share, colour in zip(np.cumsum(shares) - shares, shares, colours, strict=True):
        code = "#{:02x}{:02x}{:02x}".format(*colour)
        axes.barh(top, 1, share, align="edge", color=code, edgecolor="#5f5f5f", linewidth=0.6)
        if share < _MIN_LABELLED_SHARE:
            continue
        # Rec. 709 luma, the perceived brightness.
        ink = "white" if colour @ (0.2126, 0.7152, 0.0722) < 128 else "#1a1a1a"
        style = {**_TITLE, "va": "center", "color": ink, "size": 15}
        axes.text(0.04, top + share / 2, f"{share:.0%}", **style)
        axes.text(0.96, top + share / 2, code, ha="right", **style)


def outlined(photograph: _Colours, labels: npt.NDArray[np.int32]) -> _Colours:
    """Each segment in its mean colour, enlarged, with a line between two segments."""
    flat = labels.ravel()
    counts = np.maximum(np.bincount(flat), 1)
    sums = [np.bincount(flat, photograph[..., band].ravel()) for band in range(3)]
    means = (np.array(sums) / counts).T.round().astype(np.uint8)
    large = labels.repeat(_ENLARGED, axis=0).repeat(_ENLARGED, axis=1)
    image = means[large]
    image[:-1][large[:-1] != large[1:]] = OUTLINE
    image[:, :-1][large[:, :-1] != large[:, 1:]] = OUTLINE
    return image


def require_matplotlib() -> None:
    """Raise the error that names how matplotlib is installed, where it is not."""
    if importlib.util.find_spec("matplotlib") is None:
        raise not_installed("drawing the picture needs matplotlib", "demo")
