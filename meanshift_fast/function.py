"""mean_shift: the estimator as a function, as in scikit-learn."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanshift_fast._input.checks import checked
from meanshift_fast._input.progress import Report
from meanshift_fast.estimator import MeanShift


@checked({"X": ["array-like"], "sample_weight": ["array-like", Real, None]})
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
    min_support: float = 0.0,
    min_prominence: float | str = 0.0,
    metric: str = "euclidean",
    period: ArrayLike | None = None,
    progress: bool | str | Report = "auto",
    sample_weight: ArrayLike | None = None,
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Cluster X by mean shift; :class:`MeanShift` as a function.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The rows to cluster.
    bandwidth : float, {"scott", "silverman", "stable", "fine"} or array-like of shape \
(n_features,), default=None
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
    min_support : float, default=0
        Centres of less support are dropped: a weight, or below 1 a share of the heaviest's.
    min_prominence : float or "auto", default=0
        Modes less prominent are merged into the cluster across their highest saddle.
    metric : {"euclidean", "haversine", "cosine"}, default="euclidean"
        How distances are measured: in the columns, between latitudes and longitudes in radians on
        a sphere, or by the cosine between rows.
    period : array-like of shape (n_features,), default=None
        For columns that wrap around: their period, None for those that do not.
    progress : "auto", bool or callable, default="auto"
        As in :class:`MeanShift`.
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
        min_support=min_support,
        min_prominence=min_prominence,
        metric=metric,
        period=period,
        n_jobs=n_jobs,
        progress=progress,
    ).fit(X, sample_weight=sample_weight)
    return model.cluster_centers_, model.labels_
