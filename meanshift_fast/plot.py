"""MeanShiftDisplay: what a fit found, where its trajectories went, how its climb came to rest.

    1 column     across: the column; up: how many rows are within the bandwidth, which is the
                 hill that the trajectories climb
    2 columns    the columns
    more         the first two principal components, and the axes say so

Up to 20,000 rows are markers. More are a raster: each pixel takes the mean colour of its rows and
is the more opaque the more they are, so that a million rows take no longer than the counting.
"""

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from meanshift_fast.trace import Trace, trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Floats = NDArray[np.float64]

# Of a luminance between 0.13 and 0.33, to be seen on white pages and on black ones, and chosen by
# search for the largest least difference (24 in CIELAB) between any two as seen with and without
# protanopia, deuteranopia and tritanopia (the matrices of Machado and others, 2009).
COLOURS = ("#2d5fcf", "#ef7900", "#1d9650", "#a14699", "#529ef3", "#c6230b", "#7c33ff")
GREY = "#808080"  # orphans, and rows that have no label to show

MOST_MARKERS = 20_000
RASTER = 400  # pixels a side
GRID = 200  # positions a side that basins are asked for
NAMED = 12  # clusters that the legend names one by one


class Plane(NamedTuple):
    """How rows come onto the page: centred, turned, and named.

    Attributes
    ----------
    origin : float64 array of shape (n_features,)
        What is subtracted first.
    axes : float64 array of shape (n_features, 2) or (1, 1)
        The directions of the page's two axes, orthonormal.
    names : list of str
        What the axes are called.
    """

    origin: _Floats
    axes: _Floats
    names: list[str]

    def __call__(self, rows: _Floats) -> _Floats:
        """Lay rows onto the page."""
        laid: _Floats = (rows - self.origin) @ self.axes
        return laid


def plane_of(points: _Floats, names: list[str] | None = None) -> Plane:
    """Choose the page: the columns where there are at most two, else principal components."""
    n_features = points.shape[1]
    if n_features <= 2:
        names = names or [f"feature {f}" for f in range(n_features)]
        return Plane(np.zeros(n_features), np.eye(n_features), names)
    mean = points.mean(axis=0)
    away = points - mean
    variances, directions = np.linalg.eigh(away.T @ away)
    axes = directions[:, :-3:-1]
    # A component has no sign of its own: its largest loading is made positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    shares = variances[:-3:-1] / max(variances.sum(), np.finfo(float).tiny)
    said = [
        f"principal component {i + 1} ({share:.0%} of variance)" for i, share in enumerate(shares)
    ]
    return Plane(mean, axes, said)


def new_axes() -> "Axes":
    """Make a figure of one axes, whose layout leaves room for a legend beside it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "drawing needs matplotlib, which is not installed; "
            'install it with: pip install "meanshift_fast[plot]"'
        ) from error
    return plt.subplots(layout="constrained")[1]


def colours_apart(centers: _Floats) -> list[str]:
    """Choose the clusters' colours as on a map: one used twice is used far apart."""
    chosen: list[int] = []
    for i, center in enumerate(centers):
        away = np.full(len(COLOURS), np.inf)
        for j, colour in enumerate(chosen):
            away[colour] = min(away[colour], float(np.linalg.norm(centers[j] - center)))
        chosen.append(i if i < len(COLOURS) else int(away.argmax()))
    return [COLOURS[colour] for colour in chosen]


class MeanShiftDisplay:
    """A picture of a fitted mean shift, after scikit-learn's displays.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, 2)
        The rows as laid on the page.
    labels : int64 ndarray of shape (n_samples,)
        Their labels.
    centers : ndarray of shape (n_modes, 2)
        The centres as laid on the page.
    names : list of str
        What the axes are called.
    circle : ndarray of shape (n_corners, 2) or None
        The outline of the ball about the origin of the page.
    paths : list of ndarray of shape (n_steps + 1, 2), default=()
        Trajectories as laid on the page.
    basins : tuple of (labels of shape (n, n), extent) or None, default=None
        The label at each position of a grid, and the grid's left, right, bottom and top.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        The figure they are in.
    """

    def __init__(
        self,
        *,
        rows: _Floats,
        labels: NDArray[np.int64],
        centers: _Floats,
        names: list[str],
        circle: _Floats | None,
        paths: tuple[_Floats, ...] = (),
        basins: tuple[NDArray[np.int64], tuple[float, float, float, float]] | None = None,
    ) -> None:
        self.rows = rows
        self.labels = labels
        self.centers = centers
        self.names = names
        self.circle = circle
        self.paths = paths
        self.basins = basins

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        starts: ArrayLike | None = None,
        basins: bool = False,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw a fitted estimator and the rows it labels.

        Parameters
        ----------
        estimator : MeanShift
            Fitted.
        X : array-like of shape (n_samples, n_features)
            The rows.
        starts : array-like of shape (n_starts, n_features), default=None
            Where trajectories begin that are drawn to their ends.
        basins : bool, default=False
            Whether to colour the page by what ``predict`` says of each place; two columns only.
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.

        Returns
        -------
        MeanShiftDisplay
            With what it drew on in ``ax_`` and ``figure_``.

        Raises
        ------
        ValueError
            Where basins are asked for and X has not two columns.
        """
        check_is_fitted(estimator, "cluster_centers_")
        names = list(getattr(estimator, "feature_names_in_", [])) or None
        labels = estimator.predict(X)
        points = np.asarray(validate_data(estimator, X, reset=False), dtype=np.float64)
        centers = np.asarray(estimator.cluster_centers_, dtype=np.float64)
        if basins and points.shape[1] != 2:
            raise ValueError(
                f"basins=True needs two columns, got {points.shape[1]}; a page shows no more"
            )
        bandwidth = estimator.bandwidth_
        plane = plane_of(points, names)
        paths: list[_Floats] = []
        if starts is not None:
            paths = trace(points, starts, bandwidth=bandwidth).positions

        def laid(rows: _Floats) -> _Floats:
            return with_height(points, rows, bandwidth) if points.shape[1] == 1 else plane(rows)

        display = cls(
            rows=laid(points),
            labels=labels,
            centers=laid(centers),
            names=axis_names(plane),
            circle=None if points.shape[1] == 1 else bandwidth * unit_circle(),
            paths=tuple(laid(path) for path in paths),
            basins=_basins(estimator, points) if basins else None,
        )
        return display.plot(ax=ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw, the background first and the centres last.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.

        Returns
        -------
        MeanShiftDisplay
            Itself.
        """
        ax = new_axes() if ax is None else ax
        colours = colours_apart(self.centers)
        if self.basins is not None:
            regions, extent = self.basins
            ax.imshow(
                _rgb(colours)[regions], extent=extent, origin="lower", alpha=0.22, aspect="auto"
            )
        draw_rows(ax, self.rows, _rgb(colours)[self.labels])
        for path in self.paths:
            ax.plot(*path.T, color="black", linewidth=2.6, zorder=3)
            ax.plot(*path.T, color="white", linewidth=1.2, marker=".", markersize=3, zorder=3)
        if self.circle is not None:
            for center, colour in zip(self.centers, colours, strict=True):
                ax.plot(*(center + self.circle).T, color=colour, linewidth=1, zorder=2)
            ax.set_aspect("equal")
        ax.scatter(
            self.centers[:, 0],
            self.centers[:, 1],
            marker="X",
            s=90,
            c=colours,
            edgecolors="white",
            zorder=4,
        )
        ax.set(xlabel=self.names[0], ylabel=self.names[1])
        self._legend(ax, colours)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _legend(self, ax: "Axes", colours: list[str]) -> None:
        """Name the clusters beside the axes, where no row is; many are only counted."""
        from matplotlib.lines import Line2D

        sizes = np.bincount(self.labels + 1, minlength=len(colours) + 1)
        style: dict[str, Any] = {"linestyle": "", "marker": "o"}
        if len(colours) <= NAMED:
            entries = [
                Line2D([], [], color=colour, label=f"{label}: {size:,} rows", **style)
                for label, (colour, size) in enumerate(zip(colours, sizes[1:], strict=True))
            ]
        else:
            style["marker"] = "X"
            entries = [Line2D([], [], color=GREY, label=f"{len(colours)} clusters", **style)]
            style["marker"] = "o"
        if sizes[0]:
            entries.append(Line2D([], [], color=GREY, label=f"orphans: {sizes[0]:,} rows", **style))
        ax.legend(handles=entries, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)

    @staticmethod
    def plot_history(estimator: Any, *, ax: "Axes | None" = None) -> "Axes":
        """Draw the training trace: how far trajectories moved, round by round.

        Parameters
        ----------
        estimator : MeanShift
            Fitted.
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.

        Returns
        -------
        matplotlib Axes
            The axes drawn on; its scale of lengths is logarithmic.
        """
        check_is_fitted(estimator, "history_")
        ax = new_axes() if ax is None else ax
        history = estimator.history_
        rest = estimator.tol * estimator.bandwidth_
        for name, said, colour in (
            ("max_shift", "largest shift", COLOURS[1]),
            ("mean_shift", "mean shift", COLOURS[0]),
        ):
            moved = history[history[name] > 0]
            ax.plot(moved["round"], moved[name], marker="o", color=colour, label=said)
        if rest > 0:
            ax.axhline(rest, color=GREY, linestyle="--", label="at rest below")
        share = history["n_converged"][-1] / max(history["n_active"][0], 1)
        ax.set(
            yscale="log", xlabel="round", ylabel="length, in the unit of the columns",
            title=f"{history['n_active'][0]:,} trajectories, {share:.0%} at rest after "
            f"{len(history)} rounds",
        )  # fmt: skip
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
        return ax


def draw_trace(story: Trace, ax: "Axes | None" = None) -> "Axes":
    """Draw stories over their rows: each start, its steps, its first ball and its end."""
    ax = new_axes() if ax is None else ax
    points = story.points
    plane = plane_of(points)

    def laid(rows: _Floats) -> _Floats:
        return with_height(points, rows, story.bandwidth) if points.shape[1] == 1 else plane(rows)

    rows = laid(points)
    draw_rows(ax, rows, np.tile(_rgb([])[-1], (len(rows), 1)))
    for positions in story.positions:
        path = laid(positions)
        if points.shape[1] > 1:
            ball = path[0] + story.bandwidth * unit_circle()
            ax.plot(*ball.T, color=COLOURS[0], linestyle="--", linewidth=1)
        ax.plot(*path.T, color=COLOURS[0], marker=".", zorder=3)
        ax.scatter(path[0, 0], path[0, 1], s=70, color=COLOURS[0], edgecolors="white", zorder=4)
        ax.scatter(
            path[-1, 0],
            path[-1, 1],
            s=100,
            marker="X",
            color=COLOURS[1],
            edgecolors="white",
            zorder=4,
        )
    ax.set(
        xlabel=axis_names(plane)[0], ylabel=axis_names(plane)[1],
        title="From the dot, its ball dashed, to the cross",
    )  # fmt: skip
    if points.shape[1] > 1:
        ax.set_aspect("equal")
    return ax


def draw_rows(ax: "Axes", rows: _Floats, colours: _Floats) -> None:
    """Draw rows in their colours: markers where they are few, else a raster."""
    if len(rows) <= MOST_MARKERS:
        size = float(np.clip(4000 / len(rows), 2, 18))
        ax.scatter(rows[:, 0], rows[:, 1], s=size, c=colours, linewidths=0, alpha=0.75, zorder=1)
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
    # The cube root lets a pixel of one row be seen beside one of a thousand.
    image[:, 3] = np.where(counts > 0, 0.15 + 0.85 * np.cbrt(counts / counts.max()), 0.0)
    extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    ax.imshow(
        image.reshape(RASTER, RASTER, 4), extent=extent, origin="lower", aspect="auto", zorder=1
    )


def with_height(points: _Floats, rows: _Floats, bandwidth: float) -> _Floats:
    """Set rows of one column upon the hill they climb: how many points are in their balls."""
    values = np.sort(points[:, 0])
    ball = values.searchsorted(rows[:, 0] + bandwidth, "right")
    ball -= values.searchsorted(rows[:, 0] - bandwidth, "left")
    return np.column_stack([rows[:, 0], ball])


def axis_names(plane: Plane) -> list[str]:
    """Name both axes of the page; the second of one column is the hill's height."""
    return plane.names if len(plane.names) > 1 else [*plane.names, "rows within the bandwidth"]


def unit_circle() -> _Floats:
    """Return the corners of a circle of radius 1 about 0."""
    angle = np.linspace(0, 2 * np.pi, 73)
    return np.column_stack([np.cos(angle), np.sin(angle)])


def _rgb(colours: list[str]) -> _Floats:
    """Return the colours as rows of red, green and blue, grey last, where -1 finds it."""
    codes = [*colours, GREY]
    return np.array([[int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)] for code in codes])


def _basins(
    estimator: Any, points: _Floats
) -> tuple[NDArray[np.int64], tuple[float, float, float, float]]:
    """Ask ``predict`` for the label of each position of a grid over the rows."""
    low, high = points.min(axis=0), points.max(axis=0)
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
    across, up = (np.linspace(low[f], high[f], GRID) for f in range(2))
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    labels = estimator.predict(grid).reshape(GRID, GRID)
    return labels, (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
