"""MeanShift: scikit-learn's interface to the pipeline."""

from __future__ import annotations

import inspect
from importlib import metadata
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from meanshift_fast._cluster.inputs import takes_one_thread
from meanshift_fast._cluster.labelling import label_by_basin
from meanshift_fast._cluster.model import (
    REFERENCES,
    adopt,
    bandwidth_of,
    drop_references,
    fitted,
    forget,
    kept_of,
    refer_to,
    settings_of,
    shapes_of,
)
from meanshift_fast._cluster.stages import log_remarks
from meanshift_fast._index.kernels import KERNELS
from meanshift_fast._index.nearest import labels_take_one_thread, nearest_labels
from meanshift_fast._input.checks import check_parameters, checked_table
from meanshift_fast._input.metrics import WORDS as METRICS
from meanshift_fast._input.progress import Report, reporting
from meanshift_fast._input.scaling import NOT_NEGATIVE, POSITIVE, readonly_table
from meanshift_fast._input.weights import checked_weights
from meanshift_fast._jit.threads import borrowed_threads
from meanshift_fast.shapes import ShapesMixin


class MeanShift(ShapesMixin, ClusterMixin, BaseEstimator):
    """Mean shift clustering, scikit-learn's own answer from a compiled engine.

    Every seed moves to the mean of the rows within the bandwidth, again and again, until it rests
    on a peak of the density; peaks within one bandwidth of a stronger one are merged into it, and
    every row takes the label of the nearest that remain. Read more in :doc:`/tutorial` and
    :doc:`/guides/index`.

    Parameters
    ----------
    bandwidth : float, {"scott", "silverman", "stable", "fine"} or array-like of shape \
(n_features,), default=None
        Radius of the ball, or standard deviation of the Gaussian kernel, in the unit of the
        columns of X. None: estimated by :func:`estimate_bandwidth`; "scott", "silverman": by that
        rule of it; "stable": from the longest plateau of :func:`bandwidth_curve`. None and
        "stable" find the radius of a ball, and the Gaussian takes it divided by
        ``sqrt(n_features + 2)``: a coordinate then has the variance that it has in the ball;
        "fine": a narrow one made for merging by ``min_prominence``, likewise for either kernel. An
        array gives each feature its own bandwidth, and makes an ellipsoid of the ball.
    kernel : {"flat", "gaussian"}, default="flat"
        "flat": every row in the ball counts the same. "gaussian": every row counts, by
        ``exp(-d**2 / 2)`` for a distance of d bandwidths. Centres are then polished: they are
        stationary points of the density to a millionth of the bandwidth.
    seeds : array-like of shape (n_seeds, n_features), default=None
        Where the trajectories start. None: at the rows, or at their bins with ``bin_seeding``.
    bin_seeding : bool, default=False
        Start from the occupied bins of a grid of side ``bandwidth`` rather than from every row:
        far fewer trajectories. Ignored where ``seeds`` are given.
    min_bin_freq : int, default=1
        Only bins that hold at least so many rows are seeds. 1 takes every occupied bin, whatever
        its rows weigh.
    cluster_all : bool, default=True
        True: a row beyond the bandwidth of every centre (an orphan) takes the nearest all the
        same. False: its label is -1, in ``predict`` as in ``fit``.
    assign : {"nearest", "basin"}, default="nearest"
        "nearest": a row belongs to the nearest centre. "basin": to the centre that its own
        trajectory reaches, so that clusters may have any shape; ``predict`` then ascends too, and
        the model keeps the rows for it.
    tol : float, default=1e-3
        A trajectory rests when a move is at most ``tol * bandwidth``.
    max_iter : int, default=300
        A trajectory that has not come to rest ends after ``max_iter + 1`` means.
    coalesce : float, default=0.0
        Trajectories that come into the same cell of side ``coalesce * bandwidth`` go on as one.
        0 follows every seed to its own endpoint, as scikit-learn does. 0.01 makes the ascent of
        millions of seeds several times faster, and moves few rows from basin to basin.
    accuracy : float, default=1e-3
        For the Gaussian kernel: how far one shift may be from that of the sums over all rows, at
        most, in bandwidths. 0 sums every row.
    min_support : float, default=0
        Centres of less support (``mode_weight_``) are dropped before rows are labelled. From 1 on
        a weight, such as a number of rows; below 1 a share of the heaviest centre's. Their rows
        take the nearest centre that is left; in basins, the one nearest to their own. With
        ``cluster_all=False`` that is -1 beyond the bandwidth; in basins, and where modes are
        merged by prominence, for all of them.
    min_prominence : float or "auto", default=0
        Modes less prominent than this are merged into the cluster across their highest saddle, so
        that clusters may have any shape. A mode's prominence is 1 - saddle / density: how far the
        density falls, from the mode, on the best way to a denser one; 1 where there is none. 0
        merges none. "auto" merges those that sampling alone may have produced: see the notes.
    metric : {"euclidean", "haversine", "cosine"}, default="euclidean"
        How distances are measured. "haversine": X is latitude and longitude in radians, in that
        order, and ``bandwidth`` is a great-circle angle in radians, at most pi: kilometres /
        6371.0088. "cosine": rows are brought to length 1, centres are unit vectors, and
        ``bandwidth`` is a cosine distance (1 - cos of the angle), at most 2. A trajectory then
        goes to the direction of the sum of the rows in the closed cap.
    period : array-like of shape (n_features,), default=None
        For columns that wrap around, such as hours of a day: their period, None for those that do
        not, as ``(24, None)``. Distances and means go the short way round, and centres lie in
        [0, period). The bandwidth of such a column is at most half its period.
    n_jobs : int, default=None
        Threads: None for all that Numba may use, a number for so many, -1 for all. The result
        does not depend on it. Without given seeds, tables whose values times rows are at most
        524,288 take one thread. So do up to 4,096 values from bins of a given bandwidth, and most
        plain fits (flat kernel, nearest labels, no weights) of up to 1,024 rows and 65,536 values.
    progress : "auto", bool or callable, default="auto"
        "auto": a bar on stderr where that is a terminal or a notebook, once a call has lasted 5 s;
        it is gone at the end. Compiling is named there in a line, once a process. Nothing is
        written anywhere else. True: a bar from the start. False: none. A callable is called as
        ``progress(done, total, stage)``.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_modes, n_features)
        The centres, by falling support; float16 or float32 where X is that, else float64, in the
        machine's byte order.
    labels_ : int64 ndarray of shape (n_samples,)
        The label of each row: the number of its centre, or -1.
    n_iter_ : int
        The most moves that a trajectory made before its last.
    bandwidth_ : float, or float64 ndarray of shape (n_features,)
        The bandwidth that was used.
    mode_weight_ : float64 ndarray of shape (n_modes,)
        The support of each centre: the weight of the rows in the last ball it was computed from;
        with the Gaussian kernel, of all rows as the kernel weighs them around it.
    history_ : structured ndarray of shape (n_rounds,)
        For each round of the ascent: ``round``, ``n_active`` trajectories that took a step, their
        ``mean_shift`` and ``max_shift`` (in bandwidths, where each feature has its own), and
        ``n_converged``, how many rest so far. With ``coalesce`` those that are linked to another
        rest when that one does.
    modes_ : ndarray of shape (n_modes, n_features)
        All modes, before merging by prominence; ``cluster_centers_`` are the densest of each
        cluster. This and the following four where ``min_prominence`` is not 0.
    mode_density_ : float64 ndarray of shape (n_modes,)
        The density at each: the weight of the rows as the kernel counts them, the flat one by its
        shadow, ``1 - d**2`` for a distance of d bandwidths.
    mode_prominence_ : float64 ndarray of shape (n_modes,)
        Between 0 and 1.
    mode_labels_ : int64 ndarray of shape (n_modes,)
        The cluster of each mode. Where that was dropped for its support, -1 with
        ``cluster_all=False``, and else the nearest.
    merge_tree_ : float64 ndarray of shape (n_modes - 1, 4)
        How modes join, in the form of :func:`scipy.cluster.hierarchy.linkage`, with prominences as
        heights: ``scipy.cluster.hierarchy.dendrogram`` draws it. Parts that do not touch join at 1.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X had names and all are strings.

    See Also
    --------
    estimate_bandwidth : A bandwidth from the distances to the k-th neighbours.
    trace : The trajectories of single points.

    Notes
    -----
    Time: the tree takes n log n; a shift n^(1 - 1/d) for n rows in d dimensions, where
    scikit-learn's takes as long as the ball is full. A Gaussian shift takes some ten times that,
    and neighbours share it; above four dimensions it takes all rows that matter. Memory besides
    the table, as float64: 10 d + 30 bytes a row, 9 d more with the Gaussian kernel, and 30 d + 40
    bytes a seed, of up to 32,768 seeds 200 d + 450 more; in basins every row is a seed.
    :doc:`/explanations/memory` has the whole formula.

    A fitted model is arrays and numbers. Pickled it takes ``8 * n_samples`` bytes and some 3 kB;
    with ``assign="basin"`` ``8 * n_samples * n_features`` more, and 8 for each weight; with
    ``min_prominence`` ``8 * n_samples`` more. With ``assign="nearest"`` it refers, in memory alone,
    to the table of the fit, or to what was made of a list or frame.

    A row of weight w is w rows: in the bandwidth, the bins, the balls and the supports. Rows of
    weight 0 take part in none of these, and are labelled.

    With the Gaussian kernel, endpoints merge as with the flat one, what is left is polished, and
    merges once more; a row's basin is that of the mode which the endpoint nearest to its own
    became.

    Labels by basin are those of [1]_ section 4, steps 1 to 3. Rows that were no seeds ascend as
    well; such a row whose trajectory ends beyond the bandwidth of every centre is an orphan.
    ``predict`` answers for rows equal to rows of the fit with their label, and lets every other
    ascend by itself, whatever ``coalesce`` is.

    The saddle of two basins is the highest value, over pairs of neighbouring rows in them, of the
    lower density of the two. Rows are neighbours where one is among the seven nearest distinct rows
    of the other, ties included, and no farther than two radii of the ball, of the Gaussian
    ``2 * sqrt(n_features + 2)`` bandwidths. Basins join in the order of falling saddles,
    the less dense to the denser [3]_. "auto" measures a mode's *contrast*, its prominence times its
    height above the saddle in standard errors, and merges the modes whose contrast is at most the
    geometric middle of the widest gap, by ratio, between the sorted contrasts: clipped to 0.25 and
    4.5, these two included. A mode without a saddle is not merged. A sum of kernel values has a
    variance of ``2**(-n_features / 2)`` times itself, ``4 / (n_features + 4)`` with the flat
    kernel.

    Differs from :class:`sklearn.cluster.MeanShift` where that is better: all threads by default;
    ``predict`` honours ``cluster_all``; an estimated bandwidth of zero gives each distinct row
    its cluster; bins whose centres have all rows out of reach give way to the rows as seeds, with
    a warning; errors name the parameter. :doc:`/from_scikit_learn` has
    the whole table.

    References
    ----------
    .. [1] D. Comaniciu and P. Meer, "Mean shift: a robust approach toward feature space
       analysis", IEEE Transactions on Pattern Analysis and Machine Intelligence 24 (5), 2002,
       pp. 603-619, :doi:`10.1109/34.1000236`, sections 2 and 4.
    .. [2] K. Fukunaga and L. Hostetler, "The estimation of the gradient of a density function,
       with applications in pattern recognition", IEEE Transactions on Information Theory 21 (1),
       1975, pp. 32-40, :doi:`10.1109/TIT.1975.1055330`.
    .. [3] F. Chazal, L. J. Guibas, S. Y. Oudot and P. Skraba, "Persistence-based clustering in
       Riemannian manifolds", Journal of the ACM 60 (6), 2013, :doi:`10.1145/2535927`.

    Examples
    --------
    >>> import numpy as np
    >>> from meanshift_fast import MeanShift
    >>> X = np.array([[1, 1], [2, 1], [1, 0], [4, 7], [3, 5], [3, 6]])
    >>> model = MeanShift(bandwidth=2).fit(X)
    >>> model.labels_
    array([1, 1, 1, 0, 0, 0])
    >>> model.predict([[0, 0], [5, 5]])
    array([1, 0])
    """

    _doc_link_module = "meanshift_fast"

    @property
    def _doc_link_template(self) -> str:
        """The manual's page, for the HTML representation; without an address of it, no link."""
        address = _manual_address()
        module = type(self).__module__.removesuffix(".estimator")
        return address and f"{address}/reference/{module}.{{estimator_name}}.html"

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 (scikit-learn's convention)
        "bandwidth": [
            POSITIVE,
            StrOptions({"scott", "silverman", "stable", "fine"}),
            "array-like",
            None,
        ],
        "kernel": [StrOptions(set(KERNELS))],
        "seeds": ["array-like", None],
        "bin_seeding": ["boolean"],
        "min_bin_freq": [Interval(Integral, 1, None, closed="left")],
        "cluster_all": ["boolean"],
        "assign": [StrOptions({"nearest", "basin"})],
        "tol": [NOT_NEGATIVE],
        "coalesce": [NOT_NEGATIVE],
        "accuracy": [NOT_NEGATIVE],
        "min_support": [NOT_NEGATIVE],
        "min_prominence": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "metric": [StrOptions(set(METRICS))],
        "period": ["array-like", None],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_jobs": [Integral, None],
        "progress": ["boolean", callable, StrOptions({"auto"})],
    }

    def __init__(
        self,
        *,
        bandwidth: float | str | ArrayLike | None = None,
        kernel: str = "flat",
        seeds: ArrayLike | None = None,
        bin_seeding: bool = False,
        min_bin_freq: int = 1,
        cluster_all: bool = True,
        assign: str = "nearest",
        tol: float = 1e-3,
        max_iter: int = 300,
        coalesce: float = 0.0,
        accuracy: float = 1e-3,
        min_support: float = 0.0,
        min_prominence: float | str = 0.0,
        metric: str = "euclidean",
        period: ArrayLike | None = None,
        n_jobs: int | None = None,
        progress: bool | str | Report = "auto",
    ) -> None:
        self.bandwidth = bandwidth
        self.kernel = kernel
        self.seeds = seeds
        self.bin_seeding = bin_seeding
        self.min_bin_freq = min_bin_freq
        self.cluster_all = cluster_all
        self.assign = assign
        self.tol = tol
        self.max_iter = max_iter
        self.coalesce = coalesce
        self.accuracy = accuracy
        self.min_support = min_support
        self.min_prominence = min_prominence
        self.metric = metric
        self.period = period
        self.n_jobs = n_jobs
        self.progress = progress

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles hold: the rows of the fit only where basins need them."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name not in REFERENCES}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle; parameters that it is older than take their defaults."""
        parameters = inspect.signature(type(self).__init__).parameters.values()
        known = {p.name: p.default for p in parameters if p.default is not p.empty}
        super().__setstate__(known | state)

    def _validate_params(self) -> None:
        check_parameters(self)

    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Find the centres of X and label its rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to cluster.
        y : Ignored
            Present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            The rows' weights: a row of weight w is w rows. None counts each once.

        Returns
        -------
        self : MeanShift
            The fitted model.

        Raises
        ------
        ValueError
            Where X is not a finite table, weights are negative, not finite, all 0, not one for
            each row or their sum not between 1e-25 and 1e25, a parameter is out of range, no seed
            is left: "No point was within bandwidth=...", or there are too many bandwidths in X to
            count: 1e280 between 0 and a row, 1e140 with the Gaussian kernel, and 1.8e308 with bins
            or where one bandwidth, flat, is for all columns; or where no centre has
            ``min_support``.
        """
        # scikit-learn's decorator does the same and more that is not needed here, in 10 us.
        if not get_config()["skip_parameter_validation"]:
            self._validate_params()
        drop_references(self)
        try:
            table = checked_table(self, X)
            weights = checked_weights(sample_weight, len(table))
            log_remarks(table, self, getattr(self, "feature_names_in_", None))
            adopt(self, fitted(self, table, weights))
            refer_to(self, table, weights)
        except BaseException:
            forget(self)
            raise
        return self

    def fit_predict(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None, **kwargs: Any
    ) -> NDArray[np.int64]:
        """Find the centres of X and label its rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to cluster.
        y : Ignored
            Present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            The rows' weights, as in :meth:`fit`.
        **kwargs : Any
            What else the ``fit`` of a subclass takes.

        Returns
        -------
        labels : int64 ndarray of shape (n_samples,)
            ``labels_``.
        """
        if sample_weight is not None:
            kwargs["sample_weight"] = sample_weight
        labels: NDArray[np.int64] = self.fit(X, **kwargs).labels_
        return labels

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Label rows by the nearest centre, or by the centre that they ascend to.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to label.

        Returns
        -------
        labels : int64 ndarray of shape (n_samples,)
            The number of the nearest centre, the first of equals; with ``cluster_all=False``,
            -1 beyond the bandwidth of every centre. With ``assign="basin"``, of the nearest to
            where the row's trajectory ends, and a row that equals one of the fit has its label.

        Raises
        ------
        ValueError
            Where X is not a finite table of as many columns as the model was fitted with, or
            ``assign`` became "basin" after the fit.
        """
        check_is_fitted(self, "cluster_centers_")
        table, settings = checked_table(self, X, reset=False), settings_of(self)
        metric = settings.metric
        points = readonly_table(metric.enter(table))
        if self.assign == "basin":
            kept = kept_of(self)
            if kept is None:
                raise ValueError(
                    'assign="basin" labels with the rows of the fit, which assign="nearest" did '
                    "not keep; fit again"
                )
            alone = takes_one_thread(kept.points, len(points))
            with borrowed_threads(self.n_jobs, alone=alone), reporting(self.progress) as report:
                return label_by_basin(kept, points, self.bandwidth_, settings, report)
        shapes = shapes_of(self)
        modes = self.cluster_centers_ if shapes is None else shapes.modes
        modes = readonly_table(metric.enter(modes, "cluster_centers_"))
        if points.shape[1] != modes.shape[1]:  # centres that were set by hand
            raise ValueError(
                f"X has {points.shape[1]} features, but {type(self).__name__} has cluster_centers_ "
                f"of {modes.shape[1]}"
            )
        units = settings.units(bandwidth_of(self), modes)
        alone = labels_take_one_thread(points, modes)
        with borrowed_threads(self.n_jobs, alone=alone), reporting(self.progress, "labels"):
            labels = nearest_labels(
                units.enter(points), units.enter(modes), limit=settings.limit(units.radius),
                period=units.period,
            )  # fmt: skip
        return labels if shapes is None else np.append(shapes.labels, -1)[labels]


def _manual_address() -> str:
    """The address that the package's metadata call "Documentation"; empty where they have none."""
    try:
        lines = metadata.metadata("meanshift_fast").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    parts = (line.partition(",") for line in lines)
    addresses: dict[str, str] = {name.strip(): address.strip() for name, _, address in parts}
    return addresses.get("Documentation", "").rstrip("/")
