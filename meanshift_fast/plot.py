"""MeanShiftDisplay: what a fit found, where its trajectories went, how its climb came to rest.

What is drawn, from the paper up:

    basins       what `predict` says of every place, pale
    rows         in the colours of their labels
    contours     the density that trajectories climb
    balls        one bandwidth about each centre
    paths        trajectories, from their starts to their ends
    centres      in the ink of the axes, which is seen on any page

All words stand beside the axes, none over data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from meanshift_fast._input.messages import counted
from meanshift_fast._input.weights import checked_weights
from meanshift_fast._pictures.axes import bandwidth_label, key, make_round, new_axes, put_beside
from meanshift_fast._pictures.colours import COLOURS, GREY, colours_apart, ink_of, rgb_of
from meanshift_fast._pictures.projection import Page, page_of
from meanshift_fast._pictures.rasters import draw_rows
from meanshift_fast.trace import trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Floats = NDArray[np.float64]

GRID = 200  # positions a side at which basins and contours are asked for
NAMED = 12  # clusters that the legend names one by one
LEVELS = np.linspace(0.0, 1.0, 8)[1:-1] ** 2  # of contours, denser where the density is low


class Field(NamedTuple):
    """What is known at every place of a grid.

    Attributes
    ----------
    values : array of shape (n_up, n_across)
        The labels or densities, from below.
    extent : tuple of float
        Left, right, bottom and top of the grid.
    """

    values: NDArray[Any]
    extent: tuple[float, float, float, float]


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
    ball : ndarray of shape (n_corners, 2)
        The outline of one bandwidth about the origin of the page.
    bandwidth : str
        The bandwidth, for the title.
    paths : list of ndarray of shape (n_steps + 1, 2), default=()
        Trajectories as laid on the page.
    hill : ndarray of shape (n_places, 2) or None, default=None
        The density along the only column.
    basins : Field or None, default=None
        The label at each position of a grid.
    contours : Field or None, default=None
        The density at each position of a grid.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        The figure they are in.

    See Also
    --------
    bandwidth_curve : The number of clusters at each bandwidth; it has a ``plot`` as well.
    trace : Single points' trajectories; they have a ``plot``, too.

    Examples
    --------
    >>> from meanshift_fast import MeanShift
    >>> from meanshift_fast.datasets import demo_table
    >>> from meanshift_fast.plot import MeanShiftDisplay
    >>> X = demo_table()
    >>> model = MeanShift(bandwidth=2.5).fit(X)
    >>> display = MeanShiftDisplay.from_estimator(model, X, contours=True, starts=X[:3])
    >>> display.ax_.get_title()
    '3 clusters of 300 rows, bandwidth 2.5'
    """

    def __init__(
        self,
        *,
        rows: _Floats,
        labels: NDArray[np.int64],
        centers: _Floats,
        names: list[str],
        ball: _Floats,
        bandwidth: str,
        paths: tuple[_Floats, ...] = (),
        hill: _Floats | None = None,
        basins: Field | None = None,
        contours: Field | None = None,
    ) -> None:
        self.rows = rows
        self.labels = labels
        self.centers = centers
        self.names = names
        self.ball = ball
        self.bandwidth = bandwidth
        self.paths = paths
        self.hill = hill
        self.basins = basins
        self.contours = contours

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        starts: ArrayLike | None = None,
        basins: bool = False,
        contours: bool = False,
        ax: Axes | None = None,
    ) -> Self:
        """Draw a fitted estimator and the rows it labels.

        Parameters
        ----------
        estimator : MeanShift
            Fitted.
        X : array-like of shape (n_samples, n_features)
            The rows.
        sample_weight : array-like of shape (n_samples,), default=None
            The rows' weights, where the fit had them: for trajectories, contours and the hill
            over one column.
        starts : array-like of shape (n_starts, n_features), default=None
            Where trajectories begin that are drawn to their ends.
        basins : bool, default=False
            Whether to colour the page by what ``predict`` says of each place; two columns only.
        contours : bool, default=False
            Whether to draw lines of equal density; two columns only. It is the density that the
            trajectories climb: a row counts the more the nearer it is, up to one bandwidth.
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.

        Returns
        -------
        MeanShiftDisplay
            With what it drew on in ``ax_`` and ``figure_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            Where basins or contours are asked for and X has not two columns, or weights are not
            one number for each row.

        Notes
        -----
        A million rows take half a second, contours and basins included; the contours of the
        Gaussian kernel two seconds more.
        """
        check_is_fitted(estimator, "cluster_centers_")
        names = list(getattr(estimator, "feature_names_in_", [])) or None
        labels = estimator.predict(X)
        points = np.asarray(validate_data(estimator, X, reset=False), dtype=np.float64)
        weights = checked_weights(sample_weight, len(points))
        for asked, name in ((basins, "basins"), (contours, "contours")):
            if asked and points.shape[1] != 2:
                raise ValueError(
                    f"{name}=True needs two columns, got {points.shape[1]}; a page shows no more. "
                    "Fit two of the columns, or leave it out"
                )
        centers = np.asarray(estimator.cluster_centers_, dtype=np.float64)
        page = page_of(points, weights, estimator.bandwidth_, estimator.kernel, names)
        display = cls(
            rows=page.lay(points),
            labels=labels,
            centers=page.lay(centers),
            names=page.names,
            ball=page.ball(),
            bandwidth=bandwidth_label(estimator.bandwidth_),
            hill=page.hill(),
            paths=() if starts is None else _paths(page, starts, estimator),
            basins=_field(page, centers, estimator.predict) if basins else None,
            contours=_field(page, centers, page.density) if contours else None,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
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
        from matplotlib.collections import LineCollection

        ink, paper = ink_of(ax)
        colours = colours_apart(self.centers)
        if self.basins is not None:
            pale = rgb_of(colours)[self.basins.values]
            ax.imshow(
                pale, extent=self.basins.extent, origin="lower", alpha=0.25, aspect="auto", zorder=0
            )
        if self.hill is not None:
            ax.plot(*self.hill.T, color=ink, linewidth=0.6, zorder=0)
        draw_rows(ax, self.rows, rgb_of(colours)[self.labels], on_line=self.hill is not None)
        if self.contours is not None:
            density, (left, right, bottom, top) = self.contours
            across, up = (np.linspace(*ends, GRID) for ends in ((left, right), (bottom, top)))
            levels = LEVELS * max(density.max(), np.finfo(float).tiny)
            ax.contour(
                across, up, density, levels, colors=[ink], linewidths=0.6, alpha=0.7, zorder=2
            )
        balls = LineCollection(
            list(self.centers[:, None] + self.ball),
            colors=[ink],
            linewidths=1.1,
            linestyles="--",
            zorder=2,
        )
        ax.add_collection(balls)
        for path in self.paths:
            ax.plot(*path.T, color=paper, linewidth=3.5, zorder=3)
            ax.plot(*path.T, color=ink, linewidth=1.2, marker=".", markersize=4, zorder=3)
        ax.scatter(
            self.centers[:, 0],
            self.centers[:, 1],
            marker="X",
            s=float(np.clip(1200 / len(colours), 25, 90)),
            color=ink,
            edgecolors=paper,
            zorder=4,
        )
        if self.basins is None and self.contours is None:
            ax.use_sticky_edges = False  # an image alone would end at its own edge
            ax.autoscale_view()
        make_round(ax, self.ball)
        ax.set(
            xlabel=self.names[0], ylabel=self.names[1],
            title=f"{counted(len(colours), 'cluster')} of {counted(len(self.rows), 'row')}, "
            f"{self.bandwidth}",
        )  # fmt: skip
        self._legend(ax, colours)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _legend(self, ax: Axes, colours: list[str]) -> None:
        """Say beside the axes, where no row is, what is what; many clusters are not named."""
        ink, _ = ink_of(ax)
        sizes = np.bincount(self.labels + 1, minlength=len(colours) + 1)
        entries = []
        if len(colours) <= NAMED:
            entries = [
                key(
                    f"cluster {label}: {counted(size, 'row')}",
                    color=colour,
                    marker="o",
                    linestyle="",
                )
                for label, (colour, size) in enumerate(zip(colours, sizes[1:], strict=True))
            ]
        if sizes[0]:
            orphans = f"orphans: {counted(sizes[0], 'row')}"
            entries.append(key(orphans, color=GREY, marker="o", linestyle=""))
        entries.append(key("centre", color=ink, marker="X", linestyle=""))
        entries.append(key("one bandwidth about it", color=ink, linewidth=1.1, linestyle="--"))
        if self.paths:
            entries.append(key("trajectory", color=ink, marker=".", linewidth=1.2))
        if self.contours is not None:
            entries.append(key("equal density", color=ink, linewidth=0.6))
        if self.hill is not None:
            entries.append(key("density", color=ink, linewidth=0.6))
        put_beside(ax, entries)

    @staticmethod
    def plot_history(estimator: Any, *, ax: Axes | None = None) -> Axes:
        """Draw the training trace: how far trajectories moved, and how many, round by round.

        Parameters
        ----------
        estimator : MeanShift
            Fitted.
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.

        Returns
        -------
        matplotlib Axes
            The axes drawn on; its scale of lengths is logarithmic. The bars have a scale of
            their own on the right.
        """
        check_is_fitted(estimator, "history_")
        ax = new_axes() if ax is None else ax
        history, own = estimator.history_, np.ndim(estimator.bandwidth_) == 1
        rest = estimator.tol * (1.0 if own else estimator.bandwidth_)
        bars = ax.twinx()
        bars.bar(history["round"], history["n_active"], width=0.7, color=GREY, alpha=0.3)
        bars.set_ylabel("trajectories still moving")
        bars.yaxis.set_major_formatter("{x:,.0f}")
        ax.set_zorder(bars.get_zorder() + 1)
        ax.patch.set_visible(False)
        for name, colour in (("max_shift", COLOURS[1]), ("mean_shift", COLOURS[0])):
            moved = history[history[name] > 0]
            ax.plot(moved["round"], moved[name], marker="o", color=colour)
        if rest > 0:
            ax.axhline(rest, color=ink_of(ax)[0], linestyle="--", linewidth=1)
        resting, last = history["n_converged"][-1], history[-1]
        moving = "" if last["max_shift"] <= rest else ", others move"
        ax.set(
            yscale="log", xlabel="round",
            ylabel=f"length of a step, in {'bandwidths' if own else 'the unit of the columns'}",
            title=f"{resting:,} at rest after {counted(len(history), 'round')}{moving}",
        )  # fmt: skip
        ax.locator_params(axis="x", integer=True)
        put_beside(
            bars,
            [
                key("largest step", color=COLOURS[1], marker="o"),
                key("mean step", color=COLOURS[0], marker="o"),
                key("a step this short is rest", color=ink_of(ax)[0], linestyle="--", linewidth=1),
                key("still moving", color=GREY, alpha=0.3, linewidth=8),
            ],
            away=1.2,
        )
        return ax


def _paths(page: Page, starts: ArrayLike, estimator: Any) -> tuple[_Floats, ...]:
    """Follow trajectories, in the engine's unit, and lay them onto the page."""
    begun = np.asarray(validate_data(estimator, starts, reset=False), dtype=np.float64)
    if page.units.radius == 0.0:
        return tuple(page.lay(np.stack([start, start])) for start in begun)
    traced = trace(
        page.units.enter(page.rows),
        page.units.enter(begun),
        bandwidth=page.units.radius,
        kernel=page.kernel,
        tol=estimator.tol,
        max_iter=estimator.max_iter,
        sample_weight=page.weights if page.weights.size else None,
    )
    return tuple(page.lay(page.units.leave(positions)) for positions in traced.positions)


def _field(page: Page, centers: _Floats, measure: Any) -> Field:
    """Measure something at each position of a grid, as far as the rows are felt."""
    reach = page.ball().max(axis=0) * (1.05 if page.kernel == "flat" else 2.5)
    low = np.minimum(page.rows.min(axis=0), centers.min(axis=0)) - reach
    high = np.maximum(page.rows.max(axis=0), centers.max(axis=0)) + reach
    low, high = np.where(low < high, [low, high], [low - 1.0, high + 1.0])
    across, up = (np.linspace(low[f], high[f], GRID) for f in range(2))
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    return Field(measure(grid).reshape(GRID, GRID), extent)
