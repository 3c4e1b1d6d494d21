"""Basins with coalescing trajectories, the Gaussian kernel, estimated bandwidths of many rows.

No other library can be timed on these. They are timed beside the plain way to the same answer (the
exact basins, the sum over all rows), and the bandwidth beside the fit that it is for.
"""

import math
from statistics import median
from typing import Any

import numba
import numpy as np
from scipy.spatial.distance import cdist
from sklearn.metrics import adjusted_rand_score

from bench.clock import median_seconds, seconds
from bench.workloads import BINS, Floats, blobs
from meanshift_fast import MeanShift, estimate_bandwidth
from meanshift_fast._index import moment_tree as tree
from meanshift_fast._index.gaussian import gaussian_shift
from meanshift_fast._index.sigma_points import find_sigma_points
from meanshift_fast._input.weights import UNWEIGHTED

LEAST_ARI = 0.9995  # to the basins of trajectories that all go to their own end
COALESCE = 0.01
ACCURACY = 1e-3
SAMPLE = 64  # rows that brute force shifts
TURNS = 3


@numba.njit(parallel=True, nogil=True)  # type: ignore[untyped-decorator]
def _brute_force(points: Floats, positions: Floats, means: Floats) -> None:
    for i in numba.prange(positions.shape[0]):
        density = x = y = 0.0
        for row in range(points.shape[0]):
            to_x = points[row, 0] - positions[i, 0]
            to_y = points[row, 1] - positions[i, 1]
            kernel = math.exp(-0.5 * (to_x * to_x + to_y * to_y))
            density += kernel
            x += kernel * to_x
            y += kernel * to_y
        means[i, 0] = positions[i, 0] + x / density
        means[i, 1] = positions[i, 1] + y / density


def basins(rows: int) -> dict[str, float]:
    """Time basin fits of blobs whose trajectories coalesce, and estimates of their bandwidth.

    By turns with the plain fit whose every row is a seed: minutes apart the machine's state
    decides. The estimate in eight columns is of a tenth of the rows.

    Returns
    -------
    dict
        Seconds of the three fits and the two estimates, and how near the flat fit's labels are to
        the exact basins.
    """
    points, wide = blobs(rows), blobs(rows // 10, 8)
    check_estimate(points[:2000])
    check_estimate(wide[:2000])
    exact = MeanShift(bandwidth=BINS.bandwidth, assign="basin").fit(points).labels_
    plain = MeanShift(bandwidth=BINS.bandwidth)
    flat, gaussian = (
        MeanShift(bandwidth=BINS.bandwidth, assign="basin", coalesce=COALESCE, kernel=kernel)
        for kernel in ("flat", "gaussian")
    )
    models = plain, flat, gaussian
    for model in models:
        model.fit(points[:10_000])  # whatever compiles does so now
    works: list[Any] = [(model.fit, points) for model in models]
    works += [(estimate_bandwidth, points), (estimate_bandwidth, wide)]
    turns = [[seconds(*work) for work in works] for _ in range(TURNS)]
    plain_s, flat_s, gaussian_s, estimate_s, wide_s = map(median, zip(*turns, strict=True))
    ari = float(adjusted_rand_score(exact, flat.labels_))
    assert ari >= LEAST_ARI, f"coalesced basins must keep an ARI of {LEAST_ARI}, got {ari}"
    return {
        "rows": rows,
        "ari": ari,
        "plain_s": plain_s,
        "flat_s": flat_s,
        "gaussian_s": gaussian_s,
        "estimate_s": estimate_s,
        "estimate_8_s": wide_s,
    }


def check_estimate(points: Floats, quantile: float = 0.3) -> None:
    """Check an estimated bandwidth against sorted distances; compiles what it needs."""
    k = int(len(points) * quantile)
    distances = np.sort(cdist(points, points), axis=1)
    exact = float(distances[:, k - 1].mean())
    found = float(estimate_bandwidth(points, quantile=quantile))
    assert abs(found - exact) <= 1e-9 * exact, f"a bandwidth must be {exact}, got {found}"


def gaussian_shifts(rows: int) -> dict[str, float]:
    """Time one Gaussian shift of every row of some blobs beside the sum over all rows.

    Returns
    -------
    dict
        Microseconds a row of both, on all threads, and the largest error among the rows that
        brute force shifted, in bandwidths.
    """
    points = blobs(rows) / BINS.bandwidth
    points.flags.writeable = False
    built = tree.build(points, UNWEIGHTED, careful=True)
    sigma, positions = find_sigma_points(built), np.take(points, built.order, axis=0)

    def shifted() -> Floats:
        means = positions.copy()
        gaussian_shift(built, sigma, means, accuracy=ACCURACY)
        return means

    some = np.linspace(0, rows - 1, SAMPLE).astype(np.int64)
    means = np.empty((SAMPLE, 2))
    _brute_force(points, positions[some], means)
    error = float(np.linalg.norm(shifted()[some] - means, axis=1).max())
    assert error <= ACCURACY, f"a shift must be within {ACCURACY} bandwidths, got {error}"
    ours_s = median_seconds(shifted, budget=20, most=5)
    brute_s = median_seconds(_brute_force, points, positions[some], means)
    return {
        "rows": rows,
        "error": error,
        "ours_us": 1e6 * ours_s / rows,
        "brute_us": 1e6 * brute_s / SAMPLE,
    }
