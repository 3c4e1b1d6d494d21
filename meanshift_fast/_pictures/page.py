"""The page: where rows come to lie on it, in which colours, and how many at a time.

    1 column     across: the column; up: the density, which is the hill that trajectories climb
    2 columns    the columns
    more         the first two principal components, and the axes say so

Up to 20,000 rows are markers. More are a raster: each pixel takes the mean colour of its rows and
is the more opaque the more they are, so that a million rows take no longer than the counting.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index.density import flat_density, gaussian_density
from meanshift_fast._input.scaling import Units, units_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_Floats = NDArray[np.float64]

# Each keeps a contrast of 3 to a white page and to one of #0d1117, and any two of them, grey
# included, are 24 apart in CIELAB as seen with and without protanopia, deuteranopia and tritanopia
# (the matrices of Machado and others, 2009). Found by search: seven and no more are as far apart.
COLOURS = ("#485ab4", "#d87e00", "#1ea860", "#ba2424", "#ba7ec0", "#8400ff", "#f636ff")
GREY = "#808080"  # orphans, and rows that have no label to show

MOST_MARKERS = 20_000
RASTER = 400  # pixels a side
HILL = 1000  # places at which the density of one column is asked for
MOST_APART = 5000  # centres that choose their colours by their neighbours'; the others take turns
SLIMMEST = 3.0  # a page that much longer than wide, in bandwidths, is stretched


class Page(NamedTuple):
    """How rows come onto the page: centred, turned, and named.

    Attributes
    ----------
    rows : float64 array of shape (n_samples, n_features)
        The rows that the page is about.
    weights : float64 array of shape (n_samples,) or (0,)
        Their weights.
    kernel : str
        "flat" or "gaussian".
    units : Units
        The bandwidth.
    origin : float64 array of shape (n_features,)
        What is subtracted first.
    axes : float64 array of shape (n_features, n_axes)
        The directions of the page's axes; a column's own lengths, or principal components.
    names : list of str
        What the two axes are called.
    """

    rows: _Floats
    weights: _Floats
    kernel: str
    units: Units
    origin: _Floats
    axes: _Floats
    names: list[str]

    def lay(self, rows: _Floats) -> _Floats:
        """Lay rows onto the page."""
        laid: _Floats = (rows - self.origin) @ self.axes
        if laid.shape[1] == 1:
            laid = np.column_stack([laid, self.density(rows)])
        return laid

    def density(self, places: _Floats) -> _Floats:
        """Measure the density at some places."""
        entered = self.units.enter(self.rows), self.weights, self.units.enter(places)
        if self.kernel == "gaussian" and self.units.radius > 0.0:
            return gaussian_density(*entered)
        return flat_density(*entered, self.units.radius)

    def hill(self) -> _Floats | None:
        """Outline the density along the only column; None where there are more."""
        if self.rows.shape[1] > 1:
            return None
        reach = self.ball()[1, 0]
        places = np.linspace(self.rows.min() - reach, self.rows.max() + reach, HILL)
        return self.lay(places[:, None])

    def ball(self) -> _Floats:
        """Outline a ball about 0: its shadow on the page, or its width where a hill is drawn."""
        widths = np.broadcast_to(self.units.divisor, len(self.origin)) * self.units.radius
        if len(widths) == 1:
            return np.array([[-widths[0], 0.0], [widths[0], 0.0]])
        angle = np.linspace(0, 2 * np.pi, 73)
        # An ellipsoid's shadow is an ellipse, and a root of its matrix draws it.
        shadow = (self.axes * widths[:, None] ** 2).T @ self.axes
        shares, directions = np.linalg.eigh(shadow)
        outline: _Floats = np.column_stack([np.cos(angle), np.sin(angle)]) * np.sqrt(shares)
        turned: _Floats = outline @ directions.T
        return turned


def page_of(
    rows: _Floats,
    weights: _Floats,
    bandwidth: float | _Floats,
    kernel: str,
    names: list[str] | None = None,
) -> Page:
    """Choose the page: the columns where there are at most two, else principal components.

    Where each feature has its own bandwidth, components are those of the columns in bandwidths.
    """
    n_features = rows.shape[1]
    units = units_of(bandwidth, rows, in_bandwidths=kernel == "gaussian")
    if n_features <= 2:
        names = names or [f"feature {f}" for f in range(n_features)]
        if n_features == 1:
            names = [names[0], "density: rows, the nearer the more"]
        return Page(rows, weights, kernel, units, np.zeros(n_features), np.eye(n_features), names)
    mean = rows.mean(axis=0)
    own = np.ndim(units.divisor) == 1
    lengths = np.broadcast_to(units.divisor if own else 1.0, n_features)
    away = (rows - mean) / lengths
    variances, directions = np.linalg.eigh(away.T @ away)
    axes = directions[:, :-3:-1]
    # A component has no sign of its own: its largest loading is made positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    shares = variances[:-3:-1] / max(variances.sum(), np.finfo(float).tiny)
    said = [
        f"principal component {i + 1} ({share:.0%} of variance{', in bandwidths' if own else ''})"
        for i, share in enumerate(shares)
    ]
    return Page(rows, weights, kernel, units, mean, axes / lengths[:, None], said)


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


def ink_of(ax: "Axes") -> tuple[Any, Any]:
    """Tell the colour of the axes' lines, which is seen on any page, and that of its paper."""
    return ax.spines["left"].get_edgecolor(), ax.get_facecolor()


def colours_apart(centers: _Floats) -> list[str]:
    """Choose the clusters' colours as on a map: one used twice is used far apart."""
    chosen = np.arange(len(centers)) % len(COLOURS)
    for i in range(len(COLOURS), min(len(centers), MOST_APART)):
        away = np.full(len(COLOURS), np.inf)
        np.minimum.at(away, chosen[:i], np.linalg.norm(centers[:i] - centers[i], axis=1))
        chosen[i] = away.argmax()
    return [COLOURS[colour] for colour in chosen]


def rgb_of(colours: list[str]) -> _Floats:
    """Return the colours as rows of red, green and blue, grey last, where -1 finds it."""
    codes = [*colours, GREY]
    return np.array([[int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)] for code in codes])


def draw_rows(ax: "Axes", rows: _Floats, colours: _Floats, *, on_line: bool = False) -> None:
    """Draw rows in their colours: markers where they are few, else a raster.

    On a line, many rows hide each other, and a few thousand from end to end show as much.
    """
    if on_line and len(rows) > MOST_MARKERS:
        kept = rows[:, 0].argsort()[:: -(-len(rows) // MOST_MARKERS)]
        rows, colours = rows[kept], colours[kept]
    if len(rows) <= MOST_MARKERS:
        size = float(np.clip(4000 / len(rows), 2, 18))
        ax.scatter(rows[:, 0], rows[:, 1], s=size, c=colours, linewidths=0, zorder=1)
        return
    low, high = rows.min(axis=0), rows.max(axis=0)
    high = np.where(high > low, high, low + 1.0)
    across, up = ((rows - low) / (high - low) * (RASTER - 1)).astype(np.int64).T
    pixel = up * RASTER + across
    counts = np.bincount(pixel, minlength=RASTER * RASTER)
    image = np.zeros((RASTER * RASTER, 4))
    for channel in range(3):
        total = np.bincount(pixel, colours[:, channel], RASTER * RASTER)
        image[:, channel] = total / np.maximum(counts, 1)
    # The cube root lets a pixel of one row be seen beside one of a thousand, and the quantile, the
    # others beside the one pixel that holds a photograph's whole sky.
    full = np.quantile(counts[counts > 0], 0.99)
    image[:, 3] = np.where(counts > 0, 0.25 + 0.75 * np.cbrt(np.minimum(counts / full, 1.0)), 0.0)
    extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    ax.imshow(
        image.reshape(RASTER, RASTER, 4), extent=extent, origin="lower", aspect="auto", zorder=1
    )


def make_round(ax: "Axes", ball: _Floats) -> None:
    """Let a ball look round, where that does not make the page too slim."""
    width, height = np.ptp(ball, axis=0)
    if min(width, height) <= 0.0:
        return
    across, up = np.ptp(ax.get_xlim()) / width, np.ptp(ax.get_ylim()) / height
    if 1 / SLIMMEST <= across / up <= SLIMMEST:
        ax.set_aspect(width / height)


def told(bandwidth: float | _Floats) -> str:
    """Name the bandwidth in few words."""
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
