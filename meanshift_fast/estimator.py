"""MeanShift and mean_shift: the pipeline, in the order in which the data takes it.

input -> bandwidth -> seeds -> moment tree -> climb -> modes -> labels
"""

from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from meanshift_fast._cluster import small_tables as small
from meanshift_fast._cluster.ascent import Climb, climb
from meanshift_fast._cluster.bandwidth_rules import find_bandwidth
from meanshift_fast._cluster.basins import Follow, Labelled, Landings, basin_labels, row_labels
from meanshift_fast._cluster.modes import merge_modes
from meanshift_fast._cluster.seeding import bin_seeds, warn_of_bins, whole_rows_once
from meanshift_fast._index import moment_tree as tree
from meanshift_fast._index import projected as sketch
from meanshift_fast._index import soft_cells as slabs
from meanshift_fast._index.flat import next_steps, shift
from meanshift_fast._index.gaussian import GROUPED, gaussian_shift, polish
from meanshift_fast._index.nearest import nearest_labels
from meanshift_fast._index.sigma_points import find_proxies
from meanshift_fast._index.traversal import MANY
from meanshift_fast._input.checks import check_parameters, checked_table, plain_table
from meanshift_fast._input.extent import extremes
from meanshift_fast._input.messages import cut
from meanshift_fast._input.progress import Report, reporting
from meanshift_fast._input.scaling import (
    NOT_NEGATIVE,
    POSITIVE,
    Units,
    checked_lengths,
    readonly,
    readonly_table,
    units_of,
)
from meanshift_fast._input.weights import UNWEIGHTED, checked_weights, without_weightless
from meanshift_fast._jit.threads import borrowed_threads

# Values of a table that one thread fits from bins in a millisecond or so. A second one gains
# nothing, and where all processors are busy they wait for each other: beside two processes that do
# the same, 1,000 x 2 rows in 133 bins, stage by stage, take two threads 5.7 ms and one 1.6.
TINY = 4096

_Rows = tree.MomentTree | sketch.Sketch | slabs.SlabTree
Polish = Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]


class _Kernel(NamedTuple):
    """A kernel on some rows: the climb, that of rows again, a patient one, its modes' polish."""

    follow: Follow
    again: Follow
    patient: Follow | None
    polish: Polish | None


class MeanShift(ClusterMixin, BaseEstimator):
    """Mean shift clustering, scikit-learn's own answer from a compiled engine.

    Every seed moves to the mean of the rows within the bandwidth, again and again, until it rests
    on a peak of the density; peaks within one bandwidth of a stronger one are merged into it, and
    every row takes the label of the nearest that remain.

    Parameters
    ----------
    bandwidth : float, {"scott", "silverman", "stable"} or array-like of shape (n_features,), \
default=None
        Radius of the ball, or standard deviation of the Gaussian kernel, in the unit of the
        columns of X. None: estimated by :func:`estimate_bandwidth`; "scott", "silverman": by that
        rule of it; "stable": from the longest plateau of :func:`bandwidth_curve`. None and
        "stable" find the radius of a ball, and the Gaussian takes it divided by
        ``sqrt(n_features + 2)``: a coordinate then has the variance that it has in the ball. An
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
        trajectory reaches, so that clusters may have any shape; ``predict`` then climbs too, and
        the model keeps the rows for it.
    tol : float, default=1e-3
        A trajectory rests when a move is at most ``tol * bandwidth``.
    max_iter : int, default=300
        A trajectory that has not come to rest ends after ``max_iter + 1`` means.
    coalesce : float, default=0.0
        Trajectories that come into the same cell of side ``coalesce * bandwidth`` go on as one.
        0 follows every seed to its own end, as scikit-learn does. 0.01 makes the climb of
        millions of seeds several times faster, and moves few rows from basin to basin.
    accuracy : float, default=1e-3
        For the Gaussian kernel: how far one shift may be from that of the sums over all rows, at
        most, in bandwidths. 0 sums every row.
    n_jobs : int, default=None
        Threads: None for all that Numba may use, a number for so many, -1 for all. The result
        does not depend on it. From bins of a given bandwidth, up to 4,096 values take one thread,
        and so do most plain fits (flat kernel, nearest labels, no weights) of up to 1,024 rows and
        65,536 values.
    progress : bool or callable, default=False
        True: a bar on stderr. A callable is called as ``progress(done, total, stage)``.

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
        For each round of the climb: ``round``, ``n_active`` trajectories that took a step, their
        ``mean_shift`` and ``max_shift`` (in bandwidths, where each feature has its own), and
        ``n_converged``, how many rest so far. With ``coalesce`` those that follow another rest
        when that one does.
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
    scikit-learn's takes as long as the ball is full. A Gaussian shift takes some ten times that,
    and neighbours share it; above four dimensions it takes all rows that matter. Memory besides
    the table, as float64: 10 d + 30 bytes a row, 9 d more with the Gaussian kernel, and 30 d + 40
    bytes a seed, of up to 65,536 seeds 200 d + 450 more; in basins every row is a seed. The README
    has the whole formula.

    A fitted model is arrays and numbers. Pickled it takes ``8 * n_samples`` bytes and some 3 kB;
    with ``assign="basin"`` ``8 * n_samples * n_features`` more, and 8 for each weight. The README
    has the whole formula.

    A row of weight w is w rows: in the bandwidth, the bins, the balls and the supports. Rows of
    weight 0 take part in none of these, and are labelled.

    With the Gaussian kernel, ends merge as with the flat one, what is left is polished, and merges
    once more; a row's basin is that of the mode which the end nearest to its own became.

    Labels by basin are those of [1]_ section 4, steps 1 to 3. Rows that were no seeds climb as
    well; such a row whose trajectory ends beyond the bandwidth of every centre is an orphan.
    ``predict`` answers for rows equal to rows of the fit with their label, and lets every other
    climb for itself, whatever ``coalesce`` is.

    Differs from :class:`sklearn.cluster.MeanShift` where that is better: all threads by default;
    ``predict`` honours ``cluster_all``; an estimated bandwidth of zero gives each distinct row
    its cluster; bins whose centres have all rows out of reach give way to the rows as seeds, with
    a warning; errors name the parameter. See the README.

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
        "bandwidth": [
            POSITIVE,
            StrOptions({"scott", "silverman", "stable"}),
            "array-like",
            None,
        ],
        "kernel": [StrOptions({"flat", "gaussian"})],
        "seeds": ["array-like", None],
        "bin_seeding": ["boolean"],
        "min_bin_freq": [Interval(Integral, 1, None, closed="left")],
        "cluster_all": ["boolean"],
        "assign": [StrOptions({"nearest", "basin"})],
        "tol": [NOT_NEGATIVE],
        "coalesce": [NOT_NEGATIVE],
        "accuracy": [NOT_NEGATIVE],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_jobs": [Integral, None],
        "progress": ["boolean", callable],
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
        self.coalesce = coalesce
        self.accuracy = accuracy
        self.n_jobs = n_jobs
        self.progress = progress

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
            or where one bandwidth, flat, is for all columns.
        """
        # scikit-learn's decorator does the same and more that nothing here asks for, in 10 us.
        if not get_config()["skip_parameter_validation"]:
            self._validate_params()
        return self._fit_rows(X, sample_weight)

    def _fit_rows(
        self,
        X: ArrayLike,
        sample_weight: ArrayLike | None,
        widths: NDArray[np.float64] = UNWEIGHTED,
    ) -> Self:
        """Fit to rows; or to points of cells, so many bandwidths wide."""
        try:
            table = checked_table(self, X)
            weights = checked_weights(sample_weight, len(table))
            is_given = isinstance(self.bandwidth, Real)
            alone = table.size <= TINY and is_given and self._is_plain()
            with borrowed_threads(self.n_jobs, alone=alone), reporting(self.progress) as report:
                self._fit_table(table, weights, widths, report)
        except BaseException:
            # No model is left: the old centres, with another number of columns than `predict`
            # now takes, would be read beyond their end.
            self.__dict__.pop("cluster_centers_", None)
            raise
        return self

    def _is_plain(self) -> bool:
        """Whether nothing is asked for but the flat kernel's climb from bins, coalescing or not."""
        return (
            self.bin_seeding
            and self.seeds is None
            and self.kernel == "flat"
            and self.assign == "nearest"
        )

    def fit_predict(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
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

        Returns
        -------
        labels : int64 ndarray of shape (n_samples,)
            ``labels_``.
        """
        labels: NDArray[np.int64] = self.fit(X, sample_weight=sample_weight).labels_
        return labels

    def _fit_table(
        self,
        table: NDArray[Any],
        weights: NDArray[np.float64],
        widths: NDArray[np.float64],
        report: Report,
    ) -> None:
        X, row_weights = without_weightless(table, weights)
        row_widths = _with_weight(widths, weights)
        points = readonly_table(X)
        report(0, 1, "bandwidth")
        bandwidth = self._bandwidth(points, row_weights)
        is_bare = X is table and not row_weights.size and not widths.size  # rows, each of weight 1
        if is_bare and self._fit_small(points, bandwidth, X.dtype):
            return
        units = units_of(
            bandwidth, extremes(points), in_bandwidths=self.kernel == "gaussian",
            in_bins=self.bin_seeding and self.seeds is None,
        )  # fmt: skip
        report(0, 1, "seeds")
        seeds = self._seeds(X, points, row_weights, bandwidth)

        report(0, 1, "tree")
        entered = units.enter(points)
        tree_rows, tree_weights = entered, row_weights
        if seeds is not points and self.assign == "nearest" and not widths.size:
            # no row of its own will climb
            tree_rows, tree_weights = whole_rows_once(entered, row_weights)
        rows: _Rows | None = None
        may_sketch = self.kernel == "flat" and units.radius > 0.0 and not widths.size
        if may_sketch and sketch.is_worth(tree_rows, len(seeds)):
            rows = sketch.draw(tree_rows, tree_weights)
        if rows is None:
            careful = len(seeds) > len(points) // 16
            rows = _tree_of(tree_rows, tree_weights, row_widths * units.radius, careful=careful)
        kernel = self._kernel_on(rows, units.radius, report)
        follow = kernel.follow
        order = _order_of(rows) if tree_rows is entered else None
        climb_rows = partial(follow, entered, order=order, coalesce=float(self.coalesce))
        if seeds is points:
            path = climb_rows()
        else:
            starts = units.enter(readonly_table(seeds))
            path = follow(starts, order=tree.order_of(starts), coalesce=float(self.coalesce))
            if self.seeds is None and not np.count_nonzero(path.support):
                # In 30 columns a bin's centre may be far from all rows, its own included.
                warn_of_bins(bandwidth)
                seeds, path = points, climb_rows()
        report(0, 1, "modes")
        landings = self._keep_modes(path, units, bandwidth, X.dtype, kernel.polish)

        report(0, 1, "labels")
        limit = None if self.cluster_all else units.radius
        self._keep(None)
        if self.assign == "nearest":
            modes = units.enter(readonly_table(self.cluster_centers_))
            every = entered if X is table else units.enter(readonly_table(table))
            every_tree = None
            if isinstance(rows, tree.MomentTree) and tree_rows is every:
                # Its sums have served: 16 MB of 10M x 2 rows, at the peak of the fit.
                none, no_sums = rows.weight[:0].copy(), rows.weighted_sum[:0].copy()
                every_tree = rows._replace(weight=none, weighted_sum=no_sums)
                del rows, kernel, follow, climb_rows
            self.labels_ = nearest_labels(every, modes, limit=limit, tree=every_tree)
            return
        if seeds is not points:
            path = climb_rows()
        self.labels_ = row_labels(
            path, entered, landings, order=_order_of(rows), limit=limit, follow=kernel.again,
            patient=kernel.patient, side=float(self.coalesce) * units.radius,
        )  # fmt: skip
        kept = Labelled(
            points, row_weights, self.labels_, *landings.within(units.leave), widths=row_widths
        )
        if X is not table:
            self._keep(kept)
            every = readonly_table(table)
            self.labels_ = self._basins(every, report)
            kept = kept._replace(points=every, weights=weights, labels=self.labels_, widths=widths)
        if np.may_share_memory(kept.points, table):  # whose owner may write to it
            kept = kept._replace(points=kept.points.copy())
        self._keep(kept)

    def _fit_small(
        self,
        points: NDArray[np.float64],
        bandwidth: float | NDArray[np.float64],
        dtype: np.dtype[Any],
    ) -> bool:
        """Fit a small table in one call, if no more is asked for than that does; whether it did."""
        if not self._is_plain() or self.coalesce or self.progress:
            return False
        found = small.fit(
            points, bandwidth, dtype, min_bin_freq=int(self.min_bin_freq), tol=float(self.tol),
            max_iter=int(self.max_iter), cluster_all=bool(self.cluster_all),
        )  # fmt: skip
        if found is None:
            return False
        self._keep(None)
        self._set_fitted(bandwidth, found.modes, found.support, found.history)
        self.labels_ = found.labels
        return True

    def _keep_modes(
        self,
        path: Climb,
        units: Units,
        bandwidth: float | NDArray[np.float64],
        dtype: np.dtype[Any],
        polish_modes: Polish | None,
    ) -> Landings:
        """Merge the ends of a climb into modes, and set what a fit finds but for the labels."""
        ends, support = path.ends, path.support
        n_reached = np.count_nonzero(support)
        if n_reached == 0:
            raise ValueError(
                f"No point was within bandwidth={_told(bandwidth)} of any seed: every ball is "
                f"empty. {_remedy(bandwidth, units.leave(ends))}"
            )
        if n_reached < len(support):
            ends, support = ends[support > 0.0], support[support > 0.0]
        dtype = dtype.newbyteorder("=") if dtype.kind == "f" else np.dtype(np.float64)
        modes, support = merge_modes(_rounded(ends, units, dtype), support, units.radius)
        places = readonly_table(modes)
        landings = Landings(places, np.arange(len(modes)), places)
        if polish_modes:
            polished, density = polish_modes(landings.places)
            polished = _rounded(polished, units, dtype)
            modes, support = merge_modes(polished, density, units.radius)
            became = nearest_labels(polished, modes)
            landings = Landings(landings.places, became, readonly_table(modes))
        if isinstance(units.divisor, float):
            for name in ("mean_shift", "max_shift"):
                path.history[name] = units.leave(path.history[name])
        self._set_fitted(bandwidth, units.leave(modes).astype(dtype), support, path.history)
        return landings

    def _set_fitted(
        self,
        bandwidth: float | NDArray[np.float64],
        centers: NDArray[Any],
        support: NDArray[np.float64],
        history: NDArray[np.void],
    ) -> None:
        """Set what a fit finds, but for the labels."""
        self.bandwidth_ = bandwidth if isinstance(bandwidth, np.ndarray) else float(bandwidth)
        self.cluster_centers_ = centers
        self.n_iter_ = len(history) - 1
        self.mode_weight_ = support
        self.history_ = history

    def _bandwidth(
        self, points: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> float | NDArray[np.float64]:
        """The bandwidth as given, or as found."""
        if self.bandwidth is None or isinstance(self.bandwidth, str):
            every_row = self.seeds is None and not self.bin_seeding and self.kernel == "flat"
            return find_bandwidth(
                self.bandwidth, self.kernel, points, weights,
                every_row=every_row, coalesce=float(self.coalesce),
            )  # fmt: skip
        if isinstance(self.bandwidth, Real):
            return self.bandwidth  # type: ignore[return-value]
        return checked_lengths("bandwidth", self.bandwidth, points.shape[1])

    def _kernel_on(self, rows: _Rows, radius: float, report: Report) -> _Kernel:
        """What the kernel does on some rows: a kernel is a way to shift positions."""
        follow = partial(
            climb, bandwidth=radius, tol=float(self.tol), max_iter=int(self.max_iter), report=report
        )
        if isinstance(rows, sketch.Sketch):
            once = partial(sketch.shift, rows, bandwidth=radius)
            some = partial(sketch.next_steps, rows, bandwidth=radius)
            follow = partial(follow, once, next_steps=some)
            return _Kernel(follow, follow, None, None)
        if isinstance(rows, slabs.SlabTree):
            follow = partial(follow, partial(slabs.shift, rows, bandwidth=radius))
            return _Kernel(follow, follow, None, None)
        if self.kernel == "flat" or radius == 0.0:
            once = partial(shift, rows, bandwidth=radius)
            some = partial(next_steps, rows, bandwidth=radius)
            follow = partial(follow, once, next_steps=some)
            grouped = rows.points.shape[1] <= MANY
            again = partial(follow, order_of=tree.order_of) if grouped else follow
            return _Kernel(follow, again, None, None)
        if self.coalesce and rows.points.shape[1] <= GROUPED:  # all rows are in order already
            follow = partial(follow, order_of=tree.order_of)
        among = partial(gaussian_shift, rows, find_proxies(rows))
        patient = partial(follow, partial(among, accuracy=self.accuracy / 100.0))
        follow = partial(follow, partial(among, accuracy=float(self.accuracy)))
        return _Kernel(
            follow,
            follow,
            partial(patient, tol=float(self.tol) / 100.0),
            partial(polish, *among.args),
        )

    def _seeds(
        self,
        X: NDArray[Any],
        points: NDArray[np.float64],
        weights: NDArray[np.float64],
        bandwidth: float | NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """The seeds as a float64 table; ``points`` itself where every row is one."""
        if self.seeds is not None:
            if np.ndim(self.seeds) != 2 or 0 in np.shape(self.seeds):
                raise ValueError(
                    f"seeds must be a table of at least one row and {points.shape[1]} columns, got "
                    f"shape {np.shape(self.seeds)}; seeds=None starts from the rows of X"
                )
            seeds = plain_table(self.seeds, "seeds")
            if seeds.shape[1] != points.shape[1]:
                raise ValueError(
                    f"seeds must have as many columns as X, got {seeds.shape[1]} columns where "
                    f"X has {points.shape[1]}"
                )
            return readonly_table(seeds)
        if not self.bin_seeding:
            return points
        seeds = bin_seeds(X, bandwidth, self.min_bin_freq, weights=weights)
        if seeds is X:
            return points
        if len(seeds) == 0:
            raise ValueError(
                f"min_bin_freq={self.min_bin_freq} leaves no seed: no bin of side "
                f"{_told(bandwidth)} holds so many rows; give a smaller min_bin_freq or a larger "
                "bandwidth"
            )
        return readonly_table(seeds)

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Label rows by the nearest centre, or by the centre that they climb to.

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
        points = readonly_table(checked_table(self, X, reset=False))
        if self.assign == "basin":
            with borrowed_threads(self.n_jobs), reporting(self.progress) as report:
                return self._basins(points, report)
        modes = readonly_table(self.cluster_centers_)
        units = self._units(modes)
        limit = None if self.cluster_all else units.radius
        with borrowed_threads(self.n_jobs):
            return nearest_labels(units.enter(points), units.enter(modes), limit=limit)

    def _keep(self, known: Labelled | None) -> None:
        """Keep what labels other rows, if anything: arrays and a number, as every format can."""
        for name in Labelled._fields:
            self.__dict__.pop(f"_kept_{name}", None)
        if known:
            self.__dict__ |= {f"_kept_{name}": value for name, value in known._asdict().items()}

    @property
    def _labelled(self) -> Labelled | None:
        """What is kept, as the kernels take it: formats forget that an array is read-only."""
        if "_kept_points" not in self.__dict__:
            return None
        kept = {name: f"_kept_{name}" for name in Labelled._fields}
        known = Labelled(**{n: self.__dict__[of] for n, of in kept.items() if of in self.__dict__})
        return known._replace(
            points=readonly(known.points),
            weights=readonly(known.weights),
            places=readonly(known.places),
            peaks=readonly(known.peaks),
            sizes=readonly(known.sizes),
        )

    def _units(self, *tables: NDArray[np.float64]) -> Units:
        """The unit that the fitted model measures in."""
        return units_of(self.bandwidth_, *tables, in_bandwidths=self.kernel == "gaussian")

    def _basins(self, points: NDArray[np.float64], report: Report) -> NDArray[np.int64]:
        """Look up the labels of rows of the fit; let all others climb."""
        known = self._labelled
        if known is None:
            raise ValueError(
                'assign="basin" labels with the rows of the fit, which assign="nearest" did not '
                "keep; fit again"
            )
        found = known.find(points)
        labels = known.labels[found]
        new = np.flatnonzero(found < 0)
        if new.size:
            rows, weights = without_weightless(known.points, known.weights)
            widths = _with_weight(known.widths, known.weights)
            units = self._units(rows, known.landings.places)
            seeds = units.enter(readonly_table(points[new]))
            entered = units.enter(readonly_table(rows))
            built = _tree_of(entered, weights, widths * units.radius)
            kernel = self._kernel_on(built, units.radius, report)
            path = kernel.follow(seeds, order=tree.order_of(seeds))
            limit = None if self.cluster_all else units.radius
            landings = known.landings.within(units.enter)
            labels[new] = basin_labels(path, landings, limit=limit, patient=kernel.patient)
        return labels


def mean_shift(
    X: ArrayLike,
    *,
    bandwidth: float | str | ArrayLike | None = None,
    seeds: ArrayLike | None = None,
    bin_seeding: bool = False,
    min_bin_freq: int = 1,
    cluster_all: bool = True,
    max_iter: int = 300,
    n_jobs: int | None = None,
    kernel: str = "flat",
    assign: str = "nearest",
    tol: float = 1e-3,
    coalesce: float = 0.0,
    accuracy: float = 1e-3,
    progress: bool | Report = False,
    sample_weight: ArrayLike | None = None,
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Cluster X by mean shift; :class:`MeanShift` as a function.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The rows to cluster.
    bandwidth : float, {"scott", "silverman", "stable"} or array-like of shape (n_features,), \
default=None
        Radius of the ball, or standard deviation of the Gaussian, in the unit of the columns of
        X; None or a word: found in X.
    seeds : array-like of shape (n_seeds, n_features), default=None
        Where the trajectories start. None: at the rows, or at their bins with ``bin_seeding``.
    bin_seeding : bool, default=False
        Start from the occupied bins of a grid of side ``bandwidth`` rather than from every row.
    min_bin_freq : int, default=1
        Only bins that hold at least so many rows are seeds.
    cluster_all : bool, default=True
        Whether a row beyond the bandwidth of every centre takes the nearest. False: label -1.
    max_iter : int, default=300
        A trajectory that has not come to rest ends after ``max_iter + 1`` means.
    n_jobs : int, default=None
        Threads: None for all that Numba may use, a number for so many, -1 for all.
    kernel : {"flat", "gaussian"}, default="flat"
        How rows count: all in the ball the same, or every row by its distance.
    assign : {"nearest", "basin"}, default="nearest"
        A row takes the nearest centre, or the one that its own trajectory reaches.
    tol : float, default=1e-3
        A trajectory rests when a move is at most ``tol * bandwidth``.
    coalesce : float, default=0.0
        Trajectories that come into the same cell of side ``coalesce * bandwidth`` go on as one.
    accuracy : float, default=1e-3
        For the Gaussian kernel: the largest error of a shift, in bandwidths.
    progress : bool or callable, default=False
        True: a bar on stderr. A callable is called as ``progress(done, total, stage)``.
    sample_weight : array-like of shape (n_samples,), default=None
        The rows' weights, as in :meth:`MeanShift.fit`.

    Returns
    -------
    cluster_centers : ndarray of shape (n_modes, n_features)
        The centres, by falling support.
    labels : int64 ndarray of shape (n_samples,)
        The label of each row.

    See Also
    --------
    MeanShift : The same as an estimator, whose reference says more of each parameter.
    sklearn.cluster.mean_shift : Has the same signature as far as it goes.

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
        coalesce=coalesce,
        accuracy=accuracy,
        n_jobs=n_jobs,
        progress=progress,
    ).fit(X, sample_weight=sample_weight)
    return model.cluster_centers_, model.labels_


def warm_up() -> None:
    """Compile, or load from the cache, what a first fit and predict need.

    Call it where a pause is welcome: it takes some seconds with an empty cache, and a fraction of
    one after. ``meanshift-fast warmup`` does the same from the command line. What few fits need
    (the Gaussian kernel, ``coalesce``, hundreds of centres) compiles where it is first met.

    See Also
    --------
    MeanShift : What it warms up.

    Examples
    --------
    >>> from meanshift_fast import warm_up
    >>> warm_up()
    """
    grid = np.stack(np.meshgrid(np.arange(80.0), np.arange(80.0)), axis=-1).reshape(-1, 2)
    model = MeanShift(bandwidth=20.0, bin_seeding=True, cluster_all=False).fit(grid)
    model.predict(grid)
    # Thousands of trajectories shift in blocks, few alone; rows of the fit are looked up.
    MeanShift(bandwidth=20.0, assign="basin").fit(grid).predict(grid[:2] + 0.5)
    # Large tables have bins in several parts, which are joined, and a tree over cells.
    large = np.tile(0.3 * grid, (tree.CAREFUL // len(grid) + 1, 1))
    MeanShift(bandwidth=8.0, bin_seeding=True).fit(large)
    MeanShift().fit(grid[:1100])
    # Small ones are fitted in one call, and their bandwidth is estimated in another.
    MeanShift(bin_seeding=True).fit(grid[:200])
    # Many columns have a climb of their own, where the rows lie near few axes.
    MeanShift(bandwidth=20.0).fit(np.tile(grid[:300], (1, 20)))


def _with_weight(widths: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The widths, if any, of the cells that `without_weightless` leaves."""
    return widths[weights > 0.0] if widths.size and weights.size else widths


def _tree_of(
    rows: NDArray[np.float64],
    weights: NDArray[np.float64],
    widths: NDArray[np.float64],
    *,
    careful: bool = False,
) -> tree.MomentTree | slabs.SlabTree:
    """Rows for the kernels; points of cells where there are widths."""
    built = tree.build(rows, weights, careful=careful)
    return slabs.lay(built, widths) if widths.size else built


def _order_of(rows: _Rows) -> NDArray[np.signedinteger]:
    """The rows of the table in an order of neighbourhood."""
    return rows.tree.order if isinstance(rows, slabs.SlabTree) else rows.order


def _rounded(
    places: NDArray[np.float64], units: Units, dtype: np.dtype[Any]
) -> NDArray[np.float64]:
    """Places in the engine's unit as the dtype of the centres holds them.

    Not inside its caller, where NDArray[np.float64] is made anew at every call: 13 us.
    """
    return units.enter(readonly_table(units.leave(places).astype(dtype, copy=False)))


def _remedy(bandwidth: float | NDArray[np.float64], ends: NDArray[np.float64]) -> str:
    """What helps where every ball at the end of a climb is empty."""
    largest = float(np.abs(ends).max())
    step = float(np.spacing(largest))
    if not 0.0 < np.min(bandwidth) < step:
        return "Give seeds nearer to the rows, or a larger bandwidth."
    return (
        f"Numbers as large as {largest:g} are {step:.2g} apart in float64, and the mean of rows "
        "may be as far from all of them. Subtract a row from all rows, or give a larger bandwidth."
    )


def _told(bandwidth: float | NDArray[np.float64]) -> str:
    """The bandwidth for a message."""
    return f"{bandwidth:g}" if np.ndim(bandwidth) == 0 else cut(str(bandwidth))
