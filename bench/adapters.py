"""One small adapter a library: the same call, the same answer, whatever it is called there."""

from collections.abc import Callable
from typing import NamedTuple

import mlpack
import numpy as np
import numpy.typing as npt
import sklearn.cluster

import meanshift_fast
from bench.workloads import Floats, Settings, Workload


class Clustering(NamedTuple):
    """An answer: centres of shape (n_modes, n_features) and a label for each row."""

    centers: Floats
    labels: npt.NDArray[np.int64]


class Library(NamedTuple):
    """One of the libraries that are compared.

    Attributes
    ----------
    name : str
        Its name in the package index.
    fit : callable
        ``fit(points, settings, seeds=None)`` gives a `Clustering`; `seeds` replace the bins.
    any_seeds : bool
        Whether it can climb from every row and from given seeds, or from bins only.
    least_ari, farthest_center : float
        What its answer must keep to beside scikit-learn's, the second in bandwidths.
    """

    name: str
    fit: Callable[..., Clustering]
    any_seeds: bool
    least_ari: float
    farthest_center: float


def _fit_ours(points: Floats, settings: Settings, seeds: Floats | None = None) -> Clustering:
    model = meanshift_fast.MeanShift(
        bandwidth=settings.bandwidth,
        seeds=seeds,
        bin_seeding=settings.bin_seeding and seeds is None,
    ).fit(points)
    return Clustering(model.cluster_centers_, model.labels_)


def _fit_scikit_learn(
    points: Floats, settings: Settings, seeds: Floats | None = None
) -> Clustering:
    model = sklearn.cluster.MeanShift(
        bandwidth=settings.bandwidth,
        seeds=seeds,
        bin_seeding=settings.bin_seeding and seeds is None,
        n_jobs=settings.n_jobs,
    ).fit(points)
    return Clustering(model.cluster_centers_, model.labels_)


def _fit_mlpack(points: Floats, settings: Settings, seeds: None = None) -> Clustering:
    answer = mlpack.mean_shift(input_=points, radius=settings.bandwidth, labels_only=True)
    return Clustering(answer["centroid"], answer["output"].ravel().astype(np.int64))


NUMPY_BLOCK = 1000  # positions at a time
MAX_ROUNDS = 301  # scikit-learn's
REST = 1e-3  # of the bandwidth


def _numpy_ends(
    X: Floats, starts: Floats, bandwidth: float
) -> tuple[Floats, npt.NDArray[np.float64]]:
    """Follow starts by the lines of NumPy that everybody writes: expanded squares, a mask."""
    squares, ends, support = (X * X).sum(axis=1), starts.copy(), np.zeros(len(starts))
    live = np.arange(len(starts))
    for _ in range(MAX_ROUNDS):
        still = []
        for some in np.array_split(live, -(-len(live) // NUMPY_BLOCK)):
            places = ends[some]
            distances_sq = squares + (places * places).sum(axis=1)[:, None] - 2 * places @ X.T
            inside = (distances_sq <= bandwidth**2).astype(X.dtype)
            support[some] = inside.sum(axis=1)
            ends[some] = inside @ X / support[some][:, None]
            moved = np.linalg.norm(ends[some] - places, axis=1)
            still.append(some[moved > REST * bandwidth])
        live = np.concatenate(still)
        if not live.size:
            break
    return ends, support


def _fit_numpy(points: Floats, settings: Settings, seeds: Floats | None = None) -> Clustering:
    X, bandwidth = points.astype(np.float64), settings.bandwidth
    starts = X if seeds is None else seeds.astype(np.float64)
    ends, support = _numpy_ends(X, starts, bandwidth)
    ranked = ends[np.lexsort((*ends.T[::-1], support))[::-1]]
    centers: list[npt.NDArray[np.float64]] = []
    while len(ranked):
        centers.append(ranked[0])
        ranked = ranked[np.linalg.norm(ranked - ranked[0], axis=1) > bandwidth]
    modes = np.array(centers)
    distances_sq = (modes * modes).sum(axis=1) - 2 * X @ modes.T
    return Clustering(modes, distances_sq.argmin(axis=1))


OURS = Library("meanshift_fast", _fit_ours, True, least_ari=1.0, farthest_center=1e-6)
SCIKIT_LEARN = Library("scikit-learn", _fit_scikit_learn, True, least_ari=1.0, farthest_center=0.0)
# Of the modes within a radius mlpack keeps the first it meets, scikit-learn the heaviest: its
# centres can lie anywhere, and only its labels are held to.
MLPACK = Library("mlpack", _fit_mlpack, False, least_ari=0.9, farthest_center=np.inf)

NUMPY = Library("NumPy", _fit_numpy, True, least_ari=1.0, farthest_center=1e-6)

# scikit-learn first: the others are held to its answer.
LIBRARIES = (SCIKIT_LEARN, MLPACK, OURS)


def libraries_for(workload: Workload) -> list[Library]:
    """List who is timed on this work, the reference first.

    mlpack climbs from bins only. Where the reference climbs from a sample because the whole would
    take hours, its time says something about every row, and nothing about bins.
    """
    if workload.sample is not None and workload.settings.bin_seeding:
        return [OURS]
    rivals = (*LIBRARIES[:-1], NUMPY, OURS) if workload.fills_columns else LIBRARIES
    return [library for library in rivals if library.any_seeds or workload.settings.bin_seeding]
