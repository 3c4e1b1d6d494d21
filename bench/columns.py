"""Gaussian fits of rows that fill many columns, beside the lines of NumPy that everybody writes."""

from collections.abc import Callable
from statistics import median
from time import sleep

import numpy as np

from bench.adapters import MAX_ROUNDS, NUMPY_BLOCK, REST
from bench.clock import seconds
from bench.workloads import Floats, embeddings
from meanshift_fast import MeanShift

BANDWIDTHS = (0.35, 0.5)  # 12 and 7 rounds
FARTHEST = 0.02  # bandwidths between an end of NumPy's and the nearest centre, at the median
TURNS = 3
SPIN_S = 0.2  # a BLAS library's threads keep a processor busy for 40 to 65 ms after a product


def gaussian_fits(rows: int) -> dict[str, dict[str, float]]:
    """Time Gaussian fits of token embeddings by turns with NumPy's, which neither merge nor label.

    Returns
    -------
    dict
        For each bandwidth, as text, the seconds of both, the rounds, and how far in bandwidths the
        ends of NumPy's trajectories are from our centres, at the median.
    """
    points = np.ascontiguousarray(embeddings(rows).astype(np.float64))
    found = {}
    for bandwidth in BANDWIDTHS:
        model = MeanShift(bandwidth=bandwidth, kernel="gaussian")
        model.fit(points[: rows // 2])  # whatever compiles does so now
        ours, theirs = zip(
            *(
                (rested_seconds(model.fit, points), rested_seconds(numpy_ends, points, bandwidth))
                for _ in range(TURNS)
            ),
            strict=True,
        )
        ends = numpy_ends(points, bandwidth)[:: max(rows // 200, 1)]
        away = np.linalg.norm(ends[:, None] - model.cluster_centers_, axis=2).min(axis=1)
        farthest = float(np.median(away)) / bandwidth
        assert farthest <= FARTHEST, f"ends must be within {FARTHEST} of a centre, got {farthest}"
        found[str(bandwidth)] = {
            "rows": rows,
            "ours_s": median(ours),
            "numpy_s": median(theirs),
            "rounds": int(model.n_iter_) + 1,
            "away": farthest,
        }
    return found


def rested_seconds(function: Callable[..., object], *arguments: object) -> float:
    """Time one call after the threads of a product before it have come to rest."""
    sleep(SPIN_S)
    return seconds(function, *arguments)


def numpy_ends(X: Floats, bandwidth: float) -> Floats:
    """Follow every row by expanded squares and exponentials, in float64."""
    squares, ends, live = (X * X).sum(axis=1), X.copy(), np.arange(len(X))
    for _ in range(MAX_ROUNDS):
        still = []
        for some in np.array_split(live, -(-len(live) // NUMPY_BLOCK)):
            places = ends[some]
            distances_sq = squares + (places * places).sum(axis=1)[:, None] - 2 * places @ X.T
            weights = np.exp(distances_sq * (-0.5 / bandwidth**2))
            ends[some] = weights @ X / weights.sum(axis=1)[:, None]
            moved = np.linalg.norm(ends[some] - places, axis=1)
            still.append(some[moved > REST * bandwidth])
        live = np.concatenate(still)
        if not live.size:
            break
    return ends
