"""MeanShift and mean_shift: the pipeline, in the order in which the data takes it.

input -> bandwidth -> seeds -> moment tree -> climb -> modes -> labels
"""

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin, _fit_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from meanshift_fast import tree
from meanshift_fast.bandwidth import mean_kth_distance
from meanshift_fast.climb import climb
from meanshift_fast.labels import nearest_labels
from meanshift_fast.modes import merge_modes
from meanshift_fast.progress import Report, reporting
from meanshift_fast.seeding import bin_seeds
from meanshift_fast.threads import borrowed_threads

_UNWEIGHTED: NDArray[np.float64] = np.empty(0)
_UNWEIGHTED.flags.writeable = False


class MeanShift(ClusterMixin, BaseEstimator):
    """Mean shift clustering, scikit-learn's own answer from a compiled engine.

    Every seed moves to the mean of the rows within the bandwidth, again and again, until it rests
    on a peak of the density; peaks within one bandwidth of a stronger one are merged into it, and
    every row takes the label of the nearest that remain.

    Parameters
    ----------
    bandwidth : float, default=None
        Radius of the ball, in the unit of the columns of X. None: estimated by
        :func:`estimate_bandwidth`.
    kernel : {"flat"}, default="flat"
        "flat": every row in the ball counts the same.
    seeds : array-like of shape (n_seeds, n_features), default=None
        Where the trajectories start. None: at the rows, or at their bins with ``bin_seeding``.
    bin_seeding : bool, default=False
        Start from the occupied bins of a grid of side ``bandwidth`` rather than from every row:
        far fewer trajectories. Ignored where ``seeds`` are given.
    min_bin_freq : int, default=1
        Only bins that hold at least so many rows are seeds.
    cluster_all : bool, default=True
        True: a row beyond the bandwidth of every centre (an orphan) takes the nearest all the
        same. False: its label is -1, in ``predict`` as in ``fit``.
    assign : {"nearest"}, default="nearest"
        "nearest": a row belongs to the nearest centre.
    tol : float, default=1e-3
        A trajectory rests when a move is at most ``tol * bandwidth``.
    max_iter : int, default=300
        A trajectory that has not come to rest ends after ``max_iter + 1`` means.
    n_jobs : int, default=None
        Threads: None for all that Numba may use, a number for so many, -1 for all. The result
        does not depend on it.
    progress : bool or callable, default=False
        True: a bar on stderr. A callable is called as ``progress(done, total, stage)``.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_modes, n_features)
        The centres, by falling support; X's dtype where that is floating, else float64.
    labels_ : int64 ndarray of shape (n_samples,)
        The label of each row: the number of its centre, or -1.
    n_iter_ : int
        The most moves that a trajectory made before its last.
    bandwidth_ : float
        The bandwidth that was used.
    mode_weight_ : float64 ndarray of shape (n_modes,)
        The support of each centre: the number of rows in the last ball it was computed from.
    history_ : structured ndarray of shape (n_rounds,)
        For each round of the climb: ``round``, ``n_active`` trajectories that took a step, their
        ``mean_shift`` and ``max_shift``, and ``n_converged``, how many rest so far.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where X had names and all are strings.

    See Also
    --------
    estimate_bandwidth : A bandwidth from the distances to the k-th neighbours.
    trace : The story of single points.

    Notes
    -----
    Time: the tree takes n log n; a shift n^(1 - 1/d) for n rows in d dimensions, where
    scikit-learn's takes as long as the ball is full. Memory: about twice the table's (as
    float64) besides the table, and 16 bytes a row.

    Differs from :class:`sklearn.cluster.MeanShift` where that is better: all threads by default;
    ``predict`` honours ``cluster_all``; an estimated bandwidth of zero gives each distinct row
    its cluster; errors name the parameter. See the README.

    References
    ----------
    .. [1] D. Comaniciu and P. Meer, "Mean shift: a robust approach toward feature space
       analysis", IEEE Transactions on Pattern Analysis and Machine Intelligence 24 (5), 2002,
       pp. 603-619, :doi:`10.1109/34.1000236`, sections 2 and 4.
    .. [2] K. Fukunaga and L. Hostetler, "The estimation of the gradient of a density function,
       with applications in pattern recognition", IEEE Transactions on Information Theory 21 (1),
       1975, pp. 32-40, :doi:`10.1109/TIT.1975.1055330`.

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

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 (scikit-learn's convention)
        "bandwidth": [Interval(Real, 0, None, closed="neither"), None],
        "kernel": [StrOptions({"flat"})],
        "seeds": ["array-like", None],
        "bin_seeding": ["boolean"],
        "min_bin_freq": [Interval(Integral, 1, None, closed="left")],
        "cluster_all": ["boolean"],
        "assign": [StrOptions({"nearest"})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_jobs": [Integral, None],
        "progress": ["boolean", callable],
    }

    def __init__(
        self,
        *,
        bandwidth: float | None = None,
        kernel: str = "flat",
        seeds: ArrayLike | None = None,
        bin_seeding: bool = False,
        min_bin_freq: int = 1,
        cluster_all: bool = True,
        assign: str = "nearest",
        tol: float = 1e-3,
        max_iter: int = 300,
        n_jobs: int | None = None,
        progress: bool | Report = False,
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
        self.n_jobs = n_jobs
        self.progress = progress

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Find the centres of X and label its rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to cluster.
        y : Ignored
            Present by convention.

        Returns
        -------
        self : MeanShift
            The fitted model.

        Raises
        ------
        ValueError
            Where X is not a finite table, a parameter is out of range, or no seed is left: "No
            point was within bandwidth=...".
        """
        table: NDArray[Any] = validate_data(self, X)
        with borrowed_threads(self.n_jobs), reporting(self.progress) as report:
            self._fit_table(table, _table(table), report)
        return self

    def _fit_table(self, X: NDArray[Any], points: NDArray[np.float64], report: Report) -> None:
        report(0, 1, "bandwidth")
        bandwidth = self.bandwidth
        if bandwidth is None:
            bandwidth = mean_kth_distance(points, quantile=0.3)
        report(0, 1, "seeds")
        seeds = self._seeds(X, points, bandwidth)

        report(0, 1, "tree")
        scale = _unit_scale(float(bandwidth), points)
        radius = float(bandwidth) * scale
        rows = tree.build(
            _scaled(points, scale), _UNWEIGHTED, careful=len(seeds) > len(points) // 16
        )
        path = climb(
            rows,
            _scaled(seeds, scale),
            radius,
            tol=self.tol,
            max_iter=self.max_iter,
            order=rows.order if seeds is points else None,
            report=report,
        )
        reached = path.support > 0
        if not reached.any():
            raise ValueError(
                f"No point was within bandwidth={bandwidth:g} of any seed: every ball is empty. "
                "Give seeds nearer to the rows, or a larger bandwidth."
            )

        report(0, 1, "modes")
        dtype = X.dtype if X.dtype.kind == "f" else np.dtype(np.float64)
        ends = (path.ends[reached] / scale).astype(dtype)
        modes, support = merge_modes(_scaled(_table(ends), scale), path.support[reached], radius)
        report(0, 1, "labels")
        limit = None if self.cluster_all else radius
        labels = nearest_labels(_scaled(points, scale), _table(modes), limit=limit)

        for name in ("mean_shift", "max_shift"):
            path.history[name] /= scale
        self.bandwidth_ = float(bandwidth)
        self.cluster_centers_ = (modes / scale).astype(dtype)
        self.labels_ = labels
        self.n_iter_ = path.n_iter
        self.mode_weight_ = support
        self.history_ = path.history

    def _seeds(
        self, X: NDArray[Any], points: NDArray[np.float64], bandwidth: float
    ) -> NDArray[np.float64]:
        """The seeds as a float64 table; ``points`` itself where every row is one."""
        if self.seeds is not None:
            if np.ndim(self.seeds) != 2 or np.shape(self.seeds)[0] == 0:
                raise ValueError(
                    f"seeds must be a table of at least one row and {points.shape[1]} columns, got "
                    f"shape {np.shape(self.seeds)}; seeds=None starts from the rows of X"
                )
            seeds = check_array(self.seeds, input_name="seeds")
            if seeds.shape[1] != points.shape[1]:
                raise ValueError(
                    f"seeds must have as many columns as X, got {seeds.shape[1]} columns where "
                    f"X has {points.shape[1]}"
                )
            return _table(seeds)
        if not self.bin_seeding:
            return points
        seeds = bin_seeds(X, bandwidth, self.min_bin_freq)
        if seeds is X:
            return points
        if len(seeds) == 0:
            raise ValueError(
                f"min_bin_freq={self.min_bin_freq} leaves no seed: no bin of side "
                f"{bandwidth:g} holds so many rows; give a smaller min_bin_freq or a larger "
                "bandwidth"
            )
        return _table(seeds)

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Label rows by the nearest centre.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows to label.

        Returns
        -------
        labels : int64 ndarray of shape (n_samples,)
            The number of the nearest centre, the first of equals; with ``cluster_all=False``,
            -1 beyond the bandwidth of every centre.
        """
        check_is_fitted(self, "cluster_centers_")
        points = _table(validate_data(self, X, reset=False))
        modes = _table(self.cluster_centers_)
        scale = min(_unit_scale(self.bandwidth_, points), _unit_scale(self.bandwidth_, modes))
        limit = None if self.cluster_all else self.bandwidth_ * scale
        with borrowed_threads(self.n_jobs):
            return nearest_labels(_scaled(points, scale), _scaled(modes, scale), limit=limit)


def mean_shift(
    X: ArrayLike,
    *,
    bandwidth: float | None = None,
    seeds: ArrayLike | None = None,
    bin_seeding: bool = False,
    min_bin_freq: int = 1,
    cluster_all: bool = True,
    max_iter: int = 300,
    n_jobs: int | None = None,
    kernel: str = "flat",
    assign: str = "nearest",
    tol: float = 1e-3,
    progress: bool | Report = False,
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Cluster X by mean shift; :class:`MeanShift` as a function.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The rows to cluster.
    bandwidth, seeds, bin_seeding, min_bin_freq, cluster_all, max_iter, n_jobs
        As in :class:`MeanShift`, and as in :func:`sklearn.cluster.mean_shift`.
    kernel, assign, tol, progress
        As in :class:`MeanShift`.

    Returns
    -------
    cluster_centers : ndarray of shape (n_modes, n_features)
        The centres, by falling support.
    labels : int64 ndarray of shape (n_samples,)
        The label of each row.

    Examples
    --------
    >>> import numpy as np
    >>> from meanshift_fast import mean_shift
    >>> X = np.array([[1, 1], [2, 1], [1, 0], [4, 7], [3, 5], [3, 6]])
    >>> centers, labels = mean_shift(X, bandwidth=2)
    >>> labels
    array([1, 1, 1, 0, 0, 0])
    """
    model = MeanShift(
        bandwidth=bandwidth,
        kernel=kernel,
        seeds=seeds,
        bin_seeding=bin_seeding,
        min_bin_freq=min_bin_freq,
        cluster_all=cluster_all,
        assign=assign,
        tol=tol,
        max_iter=max_iter,
        n_jobs=n_jobs,
        progress=progress,
    ).fit(X)
    return model.cluster_centers_, model.labels_


def warm_up() -> None:
    """Compile, or load from the cache, all that a first fit and predict need.

    Call it where a pause is welcome: it takes some seconds with an empty cache, and a fraction of
    one after. ``meanshift-fast warmup`` does the same from the command line.

    Examples
    --------
    >>> from meanshift_fast import warm_up
    >>> warm_up()
    """
    grid = np.stack(np.meshgrid(np.arange(80.0), np.arange(80.0)), axis=-1).reshape(-1, 2)
    model = MeanShift(bandwidth=20.0, bin_seeding=True, cluster_all=False).fit(grid)
    model.predict(grid)
    MeanShift().fit(grid[:200])


def _table(array: NDArray[Any]) -> NDArray[np.float64]:
    """The array as kernels take it: float64, C-ordered, read-only; a copy only where it must."""
    table = np.ascontiguousarray(array, dtype=np.float64).view()
    table.flags.writeable = False
    return table


def _unit_scale(bandwidth: float, points: NDArray[np.float64]) -> float:
    """The power of two by which to multiply all lengths so that no square over- or underflows.

    1 for all but extreme data. Else it brings the bandwidth near 1, as far as the largest
    coordinate stays finite when summed. Multiplying by a power of two is exact.
    """
    largest = max(points.max(), -points.min())
    if bandwidth == 0.0 or (1e-100 <= bandwidth <= 1e150 and largest <= 1e280):
        return 1.0
    exponent = -int(np.frexp(bandwidth)[1])
    room = 930 - int(np.frexp(largest)[1])
    return float(np.ldexp(1.0, min(exponent, room, 1000)))


def _scaled(table: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    return table if scale == 1.0 else _table(table * scale)
