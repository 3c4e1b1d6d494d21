"""Choosing a bandwidth: `estimate_bandwidth`, and the curve of clusters against bandwidth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from meanshift_fast._cluster.bandwidth_rules import find_bandwidth, rule_of_thumb
from meanshift_fast._cluster.inputs import takes_one_thread
from meanshift_fast._cluster.scale_space import count_clusters, longest_plateau
from meanshift_fast._index.kth_neighbors import mean_kth_distance
from meanshift_fast._input.checks import checked, plain_table
from meanshift_fast._input.messages import counted, quoted
from meanshift_fast._input.metrics import WORDS as METRICS
from meanshift_fast._input.metrics import metric_of
from meanshift_fast._input.progress import Report, reporting
from meanshift_fast._input.scaling import is_number, numbers_of, readonly_table
from meanshift_fast._input.weights import checked_weights, without_weightless
from meanshift_fast._jit.threads import borrowed_threads

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@checked(
    {
        "X": ["array-like"],
        "quantile": [Interval(Real, 0, 1, closed="both")],
        "n_samples": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "sample_weight": ["array-like", Real, None],
        "method": [StrOptions({"quantile", "scott", "silverman"})],
        "metric": [StrOptions(set(METRICS))],
        "period": ["array-like", None],
        "progress": ["boolean", callable, StrOptions({"auto"})],
    },
)
def estimate_bandwidth(
    X: ArrayLike,
    *,
    quantile: float = 0.3,
    n_samples: int | None = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    sample_weight: ArrayLike | None = None,
    method: str = "quantile",
    metric: str = "euclidean",
    period: ArrayLike | None = None,
    progress: bool | str | Report = "auto",
) -> np.float64:
    """Estimate a bandwidth for mean shift: the mean distance to the k-th nearest row.

    The figure of :func:`sklearn.cluster.estimate_bandwidth`, in less than quadratic time where
    there are few columns; or a rule of thumb from the spread of the rows, in a pass over them.
    Read more in :doc:`/guides/bandwidth`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The rows.
    quantile : float, default=0.3
        Between 0 and 1. The ball about each row grows until it holds this part of the rows:
        ``k = int(n_samples * quantile)`` of them, at least 1, the row itself counted. 0.5 is the
        mean of the median distances.
    n_samples : int, default=None
        Take so many rows, drawn at random without replacement, for all. None: every row.
    random_state : int, RandomState instance or None, default=0
        What draws the ``n_samples`` rows.
    n_jobs : int, default=None
        Threads: None for all that Numba may use, a number for so many, -1 for all. The result
        does not depend on it.
    sample_weight : array-like of shape (n_samples,), default=None
        The rows' weights: a row of weight w is w rows. None counts each once. Where their sum is
        so small that ``k`` comes to 0, they are shares, and ``k`` is not rounded. ``n_samples``
        rows are drawn from those that have any.
    method : {"quantile", "scott", "silverman"}, default="quantile"
        "quantile": the mean distance to the k-th nearest row. "scott" and "silverman": the spread
        of the rows times ``n ** (-1 / (d + 4))`` for n rows in d columns, by Silverman's rule
        times ``(4 / (d + 2)) ** (1 / (d + 4))``; ``quantile`` is not used then. They measure the
        spread of columns, and serve the Euclidean metric without a period only.
    metric : {"euclidean", "haversine", "cosine"}, default="euclidean"
        As in :class:`MeanShift`. Distances on a sphere are angles; with "cosine" 1 - cos of their
        mean is returned.
    period : array-like of shape (n_features,), default=None
        As in :class:`MeanShift`.
    progress : "auto", bool or callable, default="auto"
        As in :class:`MeanShift`.

    Returns
    -------
    bandwidth : np.float64
        In the unit of the columns of X; an angle in radians, or a cosine distance, where that is
        the metric's. 0 where each row has enough equals, on a sphere 3.6e-15 radians, which
        rounding takes; by the rules of thumb, where all rows are equal.

    Raises
    ------
    ValueError
        Where X is not a finite table, ``quantile`` is outside [0, 1], ``n_samples`` is less than
        1, ``n_jobs`` is 0, ``method`` is none of those, or weights are negative, not finite, all
        0 or not one for each row.

    See Also
    --------
    MeanShift : Uses this estimate, at its defaults, where it is given no bandwidth.

    Notes
    -----
    Time: n^2 for n rows up to 1,024 of 16,384 values; beyond that about n in one column, n^(1.5) in
    two and n^(1.7) in three, as a row measures only what its k-th neighbour's sphere cuts; from
    five columns on n^2, as the sphere cuts nearly all. Equal rows are searched once. Memory: twice
    the table's, and up to 60 bytes a row and thread.

    A fixed share of the rows is a wide ball, wider than most clusters where there are many: try
    a smaller ``quantile`` if few clusters come out. [1]_ section 4 discusses the choice.

    The rules of thumb are for the density of one normal cloud, and for a Gaussian kernel's
    standard deviation [2]_. The spread is the root of the mean of the columns' variances: columns
    of different units need a bandwidth each.

    References
    ----------
    .. [1] D. Comaniciu and P. Meer, "Mean shift: a robust approach toward feature space
       analysis", IEEE Transactions on Pattern Analysis and Machine Intelligence 24 (5), 2002,
       pp. 603-619, :doi:`10.1109/34.1000236`, section 4.
    .. [2] D. W. Scott, "Multivariate Density Estimation", Wiley, 1992,
       :doi:`10.1002/9780470316849`, section 6.3.

    Examples
    --------
    >>> import numpy as np
    >>> from meanshift_fast import estimate_bandwidth
    >>> X = np.array([[1, 1], [2, 1], [1, 0], [4, 7], [3, 5], [3, 6]])
    >>> round(float(estimate_bandwidth(X, quantile=0.5)), 6)
    1.619129
    """
    table, space = plain_table(X), metric_of(metric, period)
    space.check_rule(method)
    table, weights = without_weightless(table, checked_weights(sample_weight, len(table)))
    random_state = check_random_state(random_state)
    if n_samples is not None:
        drawn = random_state.permutation(len(table))[:n_samples]
        table = table[drawn]
        if weights.size:
            weights = weights[drawn]
            weights.flags.writeable = False
    points = readonly_table(space.enter(table))
    alone = takes_one_thread(points)
    with borrowed_threads(n_jobs, alone=alone), reporting(progress, "bandwidth") as report:
        report(0, 1, "bandwidth")
        if method != "quantile":
            return rule_of_thumb(points, method, weights=weights)
        length = mean_kth_distance(points, quantile=quantile, weights=weights, metric=space)
        return np.float64(space.bandwidth_of(length))


def kernel_bandwidth(
    X: ArrayLike,
    rule: str | None,
    kernel: str,
    *,
    quantile: float = 0.3,
    metric: str = "euclidean",
    period: ArrayLike | None = None,
    n_jobs: int | None = None,
    sample_weight: ArrayLike | None = None,
) -> np.float64:
    """Estimate a kernel's bandwidth as `MeanShift` does where every row is a seed.

    Parameters
    ----------
    X, quantile, metric, period, n_jobs, sample_weight
        As in `estimate_bandwidth`.
    rule : {"scott", "silverman", "stable", "fine"} or None
        As the parameter ``bandwidth`` of `MeanShift`.
    kernel : {"flat", "gaussian"}
        Whose bandwidth.

    Returns
    -------
    np.float64
        In the unit of the columns of X; 0 where most rows are equal, or are so few that
        ``quantile`` times their number is below 2.
    """
    table, space = plain_table(X), metric_of(metric, period)
    table, weights = without_weightless(table, checked_weights(sample_weight, len(table)))
    points = readonly_table(space.enter(table))
    alone = takes_one_thread(points)
    with borrowed_threads(n_jobs, alone=alone), reporting("auto", "bandwidth"):
        found = find_bandwidth(
            rule, kernel, points, weights, quantile=quantile, every_row=True, metric=space
        )
    return np.float64(found.bandwidth)


@dataclass(frozen=True, eq=False, repr=False)
class BandwidthCurve:
    """The number of clusters at each bandwidth of a ladder, and its plateaus.

    Attributes
    ----------
    bandwidths : ndarray of shape (n_rungs,), float64
        The ladder, ascending, in the unit of the columns of X.
    n_clusters : ndarray of shape (n_rungs,), int64
        The modes of each rung, stragglers not counted.
    n_modes : ndarray of shape (n_rungs,), int64
        All modes of each rung.
    plateaus : structured ndarray of shape (n_plateaus,)
        For each run of equal counts: ``n_clusters``, the bandwidths ``low`` and ``high`` between
        which it lasts, and ``stability``, how many times the bandwidth doubles between them.
    bandwidth : float
        The one to use, on the longest plateau, in the unit of the columns of X.
    n_centers : int
        How many centres a fit at that bandwidth has, from bins or, with ``bin_seeding=False`` and
        up to 200,000 rows, from every row; mostly as many as the plateau's clusters.

    See Also
    --------
    bandwidth_curve : Makes it.

    Examples
    --------
    >>> from meanshift_fast import bandwidth_curve
    >>> from meanshift_fast.datasets import demo_table
    >>> curve = bandwidth_curve(demo_table(), [0.5, 1, 2, 4, 8])
    >>> curve.n_clusters
    array([34,  5,  3,  2,  1])
    """

    bandwidths: NDArray[np.float64]
    n_clusters: NDArray[np.int64]
    n_modes: NDArray[np.int64]
    plateaus: NDArray[np.void]
    bandwidth: float
    n_centers: int

    @property
    def stable(self) -> np.void:
        """The longest plateau, the finest of equals; ``runners_up`` names others if it is weak."""
        return longest_plateau(self.plateaus)

    @property
    def runners_up(self) -> NDArray[np.void]:
        """The next two plateaus by length, where the longest is shorter than a doubling."""
        ranked = np.argsort(-self.plateaus["stability"].round(9), kind="stable")
        return self.plateaus[ranked[1:3] if self.stable["stability"] < 1.0 else ranked[:0]]

    def __repr__(self) -> str:
        """Write the longest plateau, what a fit there has, and the runners-up."""
        facts = [f"{_lasting(self.stable)} longest, {_range(self.stable)}"]
        facts += [f"then {_lasting(plateau)}, {_range(plateau)}" for plateau in self.runners_up]
        fit = f"a fit at {self.bandwidth:.4g} has {counted(self.n_centers, 'centre')}"
        return f"<BandwidthCurve: {'; '.join([*facts, fit])}>"

    def plot(self, ax: Axes | None = None, *, legend: bool = True) -> Axes:
        """Draw the curve and mark its longest plateau.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; the legend then lies where it hides no data, inside, beside or below, or
            is left out. None: a new figure, the legend beside.
        legend : bool, default=True
            Whether to draw a legend.

        Returns
        -------
        matplotlib Axes
            The axes drawn on; both of its scales are logarithmic.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from meanshift_fast._pictures.charts import draw_curve

        return draw_curve(self, ax, legend=legend)


def _lasting(plateau: np.void) -> str:
    count = int(plateau["n_clusters"])
    return "1 cluster lasts" if count == 1 else f"{count:,} clusters last"


def _range(plateau: np.void) -> str:
    return f"{plateau['low']:.4g} to {plateau['high']:.4g}"


@checked(
    {
        "bin_seeding": ["boolean"],
        "progress": ["boolean", callable, StrOptions({"auto"})],
    },
)
def bandwidth_curve(
    X: ArrayLike,
    bandwidths: ArrayLike | None = None,
    *,
    bin_seeding: bool = True,
    min_support: float = 0.0,
    metric: str = "euclidean",
    period: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    n_jobs: int | None = None,
    progress: bool | str | Report = "auto",
) -> BandwidthCurve:
    """Count the clusters of X at each bandwidth of a ladder, each rung started from the last.

    Read more in :doc:`/guides/bandwidth`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The rows.
    bandwidths : array-like of shape (n_rungs,), default=None
        The ladder, positive and ascending. None: from the bandwidth whose ball holds the square
        root of the number of rows, up by eighths of an octave until one cluster is left, or the
        bandwidth is the largest that the metric has.
    bin_seeding : bool, default=True
        True: the bandwidth is to suit a fit from bins. False: a fit from every row as well, which
        takes longer to try, and is not tried with more than 200,000 rows.
    min_support : float, default=0
        As in :class:`MeanShift`: modes of less support are no clusters, and no centres of a fit.
    metric : {"euclidean", "haversine", "cosine"}, default="euclidean"
        As in :class:`MeanShift`. On a sphere the octaves are those of angles.
    period : array-like of shape (n_features,), default=None
        As in :class:`MeanShift`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; a row of weight 0 is none.
    n_jobs : int, default=None
        Threads, as in :class:`MeanShift`.
    progress : "auto", bool or callable, default="auto"
        As in :class:`MeanShift`; the stages are "bandwidth", with the rungs done, of all where the
        ladder is given, and "trial".

    Returns
    -------
    BandwidthCurve
        The counts and the plateaus; its ``bandwidth`` is the one to use.

    Raises
    ------
    ValueError
        Where X is not a finite table, or the bandwidths or weights are out of range.

    See Also
    --------
    MeanShift : With ``bandwidth="stable"`` it uses the bandwidth that is found here.
    estimate_bandwidth : Quicker rules, which do not look at clusters.

    Notes
    -----
    Without ``min_support`` a mode is a straggler, and no cluster, where its ball holds less than
    the square root of the number of rows and less than a twentieth of what the heaviest mode's
    holds. One cluster lasts for ever; it is counted up to the root mean square distance of the rows
    from their mean.

    The first rung starts from at most 10,000 rows, later ones from the modes of the last, so a
    mode that no trajectory of the first rung reaches is not found.

    The bandwidth to use is the first of the third quarter of the longest plateau, from its middle
    upwards by sixteenths of an octave, at which a fit has as many centres as the plateau has
    clusters. Where none has (a row far from all others is a centre at every bandwidth), it is the
    one that comes nearest, and ``n_centers`` says how near. ``MeanShift(bandwidth="stable")`` uses
    that bandwidth, and warns where it has another number of centres.

    References
    ----------
    .. [1] Y. Leung, J.-S. Zhang and Z.-B. Xu, "Clustering by scale-space filtering", IEEE
       Transactions on Pattern Analysis and Machine Intelligence 22 (12), 2000, pp. 1396-1410,
       :doi:`10.1109/34.895974`.

    Examples
    --------
    >>> from meanshift_fast import bandwidth_curve
    >>> from meanshift_fast.datasets import demo_table
    >>> int(bandwidth_curve(demo_table()).stable["n_clusters"])
    3
    """
    table = plain_table(X)
    points, weights = without_weightless(table, checked_weights(sample_weight, len(table)))
    space, ladder = metric_of(metric, period), None
    points = space.enter(points)
    if bandwidths is not None:
        ladder = _checked_ladder(bandwidths)
        space.checked_bandwidth(float(ladder[-1]), table.shape[1])
        ladder = np.array([space.length_of(float(bandwidth)) for bandwidth in ladder])
    if not (is_number(min_support) and 0.0 <= min_support < math.inf):
        raise ValueError(f"min_support must be a number of at least 0, got {quoted(min_support)}")
    alone = takes_one_thread(points)
    with borrowed_threads(n_jobs, alone=alone), reporting(progress, "bandwidth") as report:
        found = count_clusters(
            readonly_table(points),
            weights,
            ladder,
            every_row=not bin_seeding,
            min_support=min_support,
            metric=space,
            recount=True,
            report=report,
        )
    for name in ("low", "high"):
        found.plateaus[name] = space.bandwidth_of(found.plateaus[name])
    return BandwidthCurve(
        *found._replace(
            bandwidths=space.bandwidth_of(found.bandwidths),
            bandwidth=float(space.bandwidth_of(found.bandwidth)),
        )
    )


def _checked_ladder(bandwidths: ArrayLike) -> NDArray[np.float64]:
    ladder = numbers_of("bandwidths", np.asarray(bandwidths)).astype(np.float64)
    if ladder.ndim != 1 or ladder.size == 0:
        raise ValueError(f"bandwidths must be a list of numbers, got shape {ladder.shape}")
    fits = np.isfinite(ladder).all() and ladder[0] > 0 and (np.diff(ladder) > 0).all()
    if np.ma.is_masked(bandwidths) or not fits:
        raise ValueError(
            f"bandwidths must be positive, finite and ascending, got {quoted(bandwidths)}; sort "
            "them"
        )
    return ladder
