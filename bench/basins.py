"""Basins with coalescing trajectories, the Gaussian kernel, bandwidths, merging, log densities.

Of these only the log density has a counterpart elsewhere. They are timed beside the plain way to
the same answer (the exact basins, the sum over all rows), the bandwidth beside the fit that it is
for, and merging beside the fit without it.
"""

import math
from statistics import median
from typing import Any

import numba
import numpy as np
from scipy.spatial.distance import cdist
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KernelDensity

from bench.clock import median_seconds, seconds
from bench.workloads import BINS, WORKLOADS, Floats, blobs
from meanshift_fast import MeanShift, estimate_bandwidth
from meanshift_fast._index import moment_tree as tree
from meanshift_fast._index.gaussian import gaussian_shift
from meanshift_fast._index.sigma_points import find_sigma_points
from meanshift_fast._input.weights import UNWEIGHTED

LEAST_ARI = 0.9995  # to the basins of trajectories that all go to their own end
COALESCE = 0.01
ACCURACY = 1e-3
MAX_LOG_DIFFERENCE = 1e-9  # of log densities, from scikit-learn's
SAMPLE = 64  # rows that brute force shifts
DENSITY_SAMPLE = 256  # places that scikit-learn measures the density at
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


def prominence(rows: int) -> dict[str, float]:
    """Time basin fits without and with merging by prominence, and log densities of all rows.

    By turns. The fits in eight columns are of a tenth of the rows; KernelDensity measures a sample.

    Returns
    -------
    dict
        Seconds of the fits, microseconds a row of both log densities, and the largest difference
        of the two.
    """
    points, wide = blobs(rows), blobs(rows // 10, 8)
    wide_bandwidth = WORKLOADS["bins-8d"].settings.bandwidth
    fits = [
        *_with_and_without(points, BINS.bandwidth), *_with_and_without(wide, wide_bandwidth),
    ]  # fmt: skip
    ours, theirs = fits[0], KernelDensity(kernel="epanechnikov", bandwidth=BINS.bandwidth)
    theirs.fit(points)
    places = points[np.linspace(0, rows - 1, DENSITY_SAMPLE).astype(np.int64)]
    away = float(np.abs(ours.score_samples(places) - theirs.score_samples(places)).max())
    assert away <= MAX_LOG_DIFFERENCE, f"log densities must be KernelDensity's, got {away} off"
    works: list[Any] = [
        (model.fit, table) for model, table in zip(fits, (points, points, wide, wide), strict=True)
    ]
    works += [(ours.score_samples, points), (theirs.score_samples, places)]
    names = ("plain_s", "merged_s", "plain_8_s", "merged_8_s", "ours_s", "theirs_s")
    turns = [[seconds(*work) for work in works] for _ in range(TURNS)]
    found = dict(zip(names, map(median, zip(*turns, strict=True)), strict=True))
    return found | {
        "rows": rows,
        "difference": away,
        "ours_us": 1e6 * found["ours_s"] / rows,
        "kernel_density_us": 1e6 * found["theirs_s"] / DENSITY_SAMPLE,
    }


def _with_and_without(points: Floats, bandwidth: float) -> tuple[MeanShift, MeanShift]:
    """Fit basins without and with merging; with it, a cut that merges nothing is the first fit."""
    settings: dict[str, Any] = {"bandwidth": bandwidth, "assign": "basin", "coalesce": COALESCE}
    plain = MeanShift(**settings).fit(points)
    merged = MeanShift(**settings, min_prominence="auto").fit(points)
    np.testing.assert_array_equal(merged.labels_at(0.0), plain.labels_)
    return plain, merged
