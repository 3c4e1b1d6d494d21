"""MeanShiftDisplay: what a fit found, where trajectories went, how the ascent converged."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from meanshift_fast._cluster.model import settings_of, shapes_of
from meanshift_fast._input.checks import checked_table
from meanshift_fast._input.metrics import metric_of
from meanshift_fast._input.scaling import Units
from meanshift_fast._input.weights import checked_weights
from meanshift_fast._pictures.charts import draw_history
from meanshift_fast._pictures.fit import draw_fit
from meanshift_fast._pictures.projection import Field, Page, field_of
from meanshift_fast._pictures.prominences import draw_prominence
from meanshift_fast._pictures.spaces import page_in
from meanshift_fast.trace import trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Floats = NDArray[np.float64]


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
    lesser : ndarray of shape (n_lesser, 2) or None, default=None
        The modes that were merged into clusters by prominence, as laid on the page.
    projected : bool, default=False
        Whether the page's axes are principal components, and balls their projections.
    caps : list of ndarray of shape (n_corners, 2) or None, default=None
        The outline of one bandwidth about each centre, where it does not look alike everywhere; NaN
        parts its pieces.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        The figure they are in.

    See Also
    --------
    meanshift_fast.bandwidth_curve : The number of clusters at each bandwidth; it has a ``plot``.
    meanshift_fast.trace : Single points' trajectories; they have a ``plot``, too.

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
        lesser: _Floats | None = None,
        projected: bool = False,
        caps: list[_Floats] | None = None,
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
        self.lesser = lesser
        self.projected = projected
        self.caps = caps

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
        legend: bool = True,
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
            trajectories ascend: a row counts the more the nearer it is, up to one bandwidth.
        ax : matplotlib Axes, default=None
            Where to draw; the legend then lies where it hides no data, inside, beside or below, or
            is left out. None: a new figure, the legend beside.
        legend : bool, default=True
            Whether to draw a legend.

        Returns
        -------
        MeanShiftDisplay
            With what it drew on in ``ax_`` and ``figure_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            Where basins or contours are to be drawn and X has not two columns, or weights are not
            one number for each row.
        """
        check_is_fitted(estimator, "cluster_centers_")
        names = list(getattr(estimator, "feature_names_in_", [])) or None
        labels = estimator.predict(X)
        points = np.asarray(checked_table(estimator, X, reset=False), dtype=np.float64)
        weights = checked_weights(sample_weight, len(points))
        for is_drawn, name in ((basins, "basins"), (contours, "contours")):
            if is_drawn and points.shape[1] != 2:
                raise ValueError(
                    f"{name}=True needs two columns, got {points.shape[1]}; a page shows no more. "
                    "Fit two of the columns, or leave it out"
                )
        centers = np.asarray(estimator.cluster_centers_, dtype=np.float64)
        metric = metric_of(estimator.metric, estimator.period)
        page = page_in(metric, points, weights, estimator.bandwidth_, estimator.kernel, names)
        lesser = _merged_modes(estimator)
        display = cls(
            rows=page.lay(points),
            labels=labels,
            centers=page.lay(centers),
            names=page.names,
            ball=page.ball(),
            bandwidth=metric.bandwidth_text(estimator.bandwidth_),
            hill=page.density_curve(),
            paths=() if starts is None else _paths(page, starts, estimator),
            basins=field_of(page, centers, _without_names(estimator).predict) if basins else None,
            contours=field_of(page, centers, page.density) if contours else None,
            lesser=None if lesser is None else page.lay(lesser),
            projected=points.shape[1] > 2,
            caps=page.caps(centers),
        )
        return display.plot(ax=ax, legend=legend)

    def plot(self, ax: Axes | None = None, *, legend: bool = True) -> Self:
        """Draw, the background first and the centres last.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; the legend then lies where it hides no data, inside, beside or below, or
            is left out. None: a new figure, the legend beside.
        legend : bool, default=True
            Whether to draw a legend.

        Returns
        -------
        MeanShiftDisplay
            Itself.
        """
        self.ax_ = draw_fit(self, ax, legend=legend)
        self.figure_ = self.ax_.figure
        return self

    @staticmethod
    def plot_history(estimator: Any, *, ax: Axes | None = None, legend: bool = True) -> Axes:
        """Draw the training trace: how far trajectories moved, and how many, round by round.

        Parameters
        ----------
        estimator : MeanShift
            Fitted.
        ax : matplotlib Axes, default=None
            Where to draw; the legend then lies where it hides no data, inside, beside or below, or
            is left out. None: a new figure, the legend beside.
        legend : bool, default=True
            Whether to draw a legend.

        Returns
        -------
        matplotlib Axes
            The axes drawn on; its scale of lengths is logarithmic. The bars have a scale of
            their own on the right.
        """
        check_is_fitted(estimator, "history_")
        return draw_history(estimator, ax, legend=legend)

    @staticmethod
    def plot_prominence(estimator: Any, *, ax: Axes | None = None, legend: bool = True) -> Axes:
        """Draw the prominences: each mode at its density and its saddle's, and the threshold.

        Parameters
        ----------
        estimator : MeanShift
            Fitted with ``min_prominence`` above 0.
        ax : matplotlib Axes, default=None
            Where to draw; the legend then lies where it hides no data, inside, beside or below, or
            is left out. None: a new figure, the legend beside.
        legend : bool, default=True
            Whether to draw a legend.

        Returns
        -------
        matplotlib Axes
            The axes drawn on; both of its scales are logarithmic. A gap between the modes far
            from the diagonal and the others is where a threshold belongs.

        Raises
        ------
        ValueError
            Where the model was fitted with ``min_prominence=0``.
        """
        check_is_fitted(estimator, "cluster_centers_")
        return draw_prominence(estimator, ax, legend=legend)


def _merged_modes(estimator: Any) -> _Floats | None:
    """The modes that were merged into a cluster; None for a fit without prominence."""
    shapes = shapes_of(estimator)
    if shapes is None:
        return None
    _, is_merged, _ = shapes.kinds(settings_of(estimator))
    return np.asarray(shapes.modes[is_merged], dtype=np.float64)


def _without_names(estimator: Any) -> Any:
    """Copy an estimator that asks no names of an array's columns."""
    nameless = copy(estimator)
    vars(nameless).pop("feature_names_in_", None)
    return nameless


def _paths(page: Page, starts: ArrayLike, estimator: Any) -> tuple[_Floats, ...]:
    """Follow trajectories, in the engine's unit, and lay them onto the page."""
    if not hasattr(starts, "columns"):
        estimator = _without_names(estimator)
    begun = np.asarray(checked_table(estimator, starts, reset=False), dtype=np.float64)
    if page.units.radius == 0.0:
        return tuple(page.lay(np.stack([start, start])) for start in begun)
    metric, units = metric_of(estimator.metric, estimator.period), page.units
    if metric.has_arcs:
        rows, units = metric.leave(page.rows), Units(1.0, estimator.bandwidth_)
    else:
        rows, begun = units.enter(page.rows), units.enter(begun)
    period = units.period.astype(object)
    period[np.isinf(units.period)] = None
    traced = trace(
        rows,
        begun,
        bandwidth=units.radius,
        kernel=page.kernel,
        tol=estimator.tol,
        max_iter=estimator.max_iter,
        metric=estimator.metric,
        period=period if len(period) else None,
        sample_weight=page.weights if page.weights.size else None,
    )
    return tuple(page.path(units.leave(positions)) for positions in traced.positions)
