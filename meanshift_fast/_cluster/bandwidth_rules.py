"""Rules for a bandwidth that is not given: k-th neighbours, rules of thumb, the stable plateau."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.scale_space import count_clusters, longest_plateau, spread_of
from meanshift_fast._index.equal_rows import find_repeats
from meanshift_fast._index.kernels import KERNELS
from meanshift_fast._index.kth_neighbors import mean_kth_distance, median_kth_distance
from meanshift_fast._input.messages import caller_level, counted
from meanshift_fast._input.metrics import EUCLIDEAN, Metric
from meanshift_fast._input.scaling import readonly
from meanshift_fast._input.weights import UNWEIGHTED


class Found(NamedTuple):
    """A bandwidth, given or found, and the number of clusters that its rule predicts, or None."""

    bandwidth: Any
    n_clusters: int | None = None

    def warn_of(self, n_centers: int) -> None:
        """Warn where a fit has another number of centres than the rule predicts."""
        if self.n_clusters is not None and self.n_clusters != n_centers:
            warnings.warn(
                f'bandwidth="stable": {counted(self.n_clusters, "cluster")} last longest, but the '
                f"fit has {counted(n_centers, 'centre')}; min_support drops centres of few rows, "
                "and bandwidth_curve shows other plateaus (manual: guides/bandwidth)",
                stacklevel=caller_level(),
            )


def find_bandwidth(
    rule: str | None,
    kernel: str,
    points: NDArray[np.float64],
    weights: NDArray[np.float64] = UNWEIGHTED,
    *,
    quantile: float = 0.3,
    every_row: bool = False,
    coalesce: float = 0.0,
    min_support: float = 0.0,
    metric: Metric = EUCLIDEAN,
) -> Found:
    """Find a kernel's bandwidth by a rule, in the unit of the columns.

    Parameters
    ----------
    rule : {"scott", "silverman", "stable", "fine"} or None
        None: the mean distance to the k-th nearest row, as `estimate_bandwidth` finds it, where a
        ball holds a share ``quantile`` of the rows. "fine": as `fine_radius`.
    kernel : {"flat", "gaussian"}
        None, "stable" and "fine" find the radius of a ball. The Gaussian takes the standard
        deviation of a coordinate in that ball: the radius over ``sqrt(n_features + 2)``.
    points, weights, every_row, coalesce, min_support
        As in `count_clusters`.

    Returns
    -------
    Found
        NumPy's own number, as in scikit-learn: float32 bins times it are float64, times a Python
        float they are not.
    """
    metric.check_rule(rule)
    if rule in ("scott", "silverman"):
        return Found(rule_of_thumb(points, rule, weights=weights))
    n_clusters = None
    if rule == "stable":
        curve = count_clusters(
            points, weights, None, every_row=every_row, coalesce=coalesce, min_support=min_support,
            metric=metric,
        )  # fmt: skip
        radius, n_clusters = curve.bandwidth, int(longest_plateau(curve.plateaus)["n_clusters"])
    elif rule == "fine":
        radius = fine_radius(points, weights, metric=metric)
    else:
        radius = mean_kth_distance(points, quantile=quantile, weights=weights, metric=metric)
    length = KERNELS[kernel].bandwidth_of(radius, metric.dimension(points.shape[1]))
    return Found(np.float64(metric.bandwidth_of(length)), n_clusters)


def _n_neighbours_of_fine(total: float) -> float:
    """The number of neighbours within the fine radius, of rows of a total weight."""
    return float(2.0 * total ** (1.0 / 3.0))


def fine_radius(
    points: NDArray[np.float64], weights: NDArray[np.float64], *, metric: Metric
) -> np.float64:
    """Find the radius of a small ball for half of the rows, for merging by prominence.

    A length: the median distance to the k-th neighbour, k being ``2 * n ** (1 / 3)`` of n rows.
    Where that is 0, of the distinct rows.

    Notes
    -----
    By the spread of the rows, as rules of thumb have it, no row has a neighbour in reach where
    there are many columns: of 50 generated families of tables in 2 to 20 columns, two seeds each,
    the mean adjusted Rand index was 0.81 at 0.35 of Silverman's bandwidth and 0.84 with 3 times
    n^(1/3), merged within 3.5 standard errors; with k fixed at 8, 16 and 32 it was 0.77, 0.81 and
    0.81. On 76 kinds of public tables, merged below the widest gap of contrasts, it is 0.78, 0.80
    and 0.77 with 1.5, 2 and 3 times.
    """
    total = weights.sum() if weights.size else float(len(points))
    radius = median_kth_distance(points, _n_neighbours_of_fine(total), weights, metric=metric)
    if radius <= metric.min_length:
        firsts, _ = find_repeats(points)
        distinct = readonly(points[firsts])
        radius = median_kth_distance(distinct, _n_neighbours_of_fine(len(firsts)), metric=metric)
    return radius


def rule_of_thumb(
    points: NDArray[np.float64], rule: str, *, weights: NDArray[np.float64] = UNWEIGHTED
) -> np.float64:
    """Scale the spread of the rows by a power of their number.

    The spread is the root of the mean of the columns' variances.

    Notes
    -----
    Scott [1]_ equation (6.42) takes n^(-1 / (d + 4)) standard deviations for n rows in d columns;
    Silverman [2]_ equation (4.14) takes (4 / (d + 2))^(1 / (d + 4)) times as many.

    References
    ----------
    .. [1] D. W. Scott, "Multivariate Density Estimation", Wiley, 1992,
       :doi:`10.1002/9780470316849`.
    .. [2] B. W. Silverman, "Density Estimation for Statistics and Data Analysis", Chapman and
       Hall, 1986.
    """
    n_features = points.shape[1]
    total = weights.sum() if weights.size else float(len(points))
    factor = total ** (-1.0 / (n_features + 4))
    if rule == "silverman":
        factor *= (4.0 / (n_features + 2)) ** (1.0 / (n_features + 4))
    return np.float64(spread_of(points, weights) * factor)
