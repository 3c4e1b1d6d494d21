"""How time grows: with the rows, with the features, with the threads; and the floor beneath it."""

from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from bench.adapters import LIBRARIES, OURS, SCIKIT_LEARN, Library
from bench.clock import median_seconds, seconds
from bench.workloads import BINS, Floats, Settings, blobs
from meanshift_fast import MeanShift
from meanshift_fast._jit.compiler import parallel

# Library -> size -> seconds. JSON has no numbers for keys, so the sizes are text.
Curves = dict[str, dict[str, float]]

PATIENCE_S = 60.0
TURNS = 5  # of what is compared with itself


class Case(NamedTuple):
    """One size on the axis of a curve."""

    size: int
    points: Floats
    settings: Settings


def _curves(libraries: Iterable[Library], cases: Iterable[Case], *, grow: bool) -> Curves:
    """Time libraries in all cases.

    A library leaves where its last fit took a minute or, where times ``grow``, where its next one
    would if time grew as the size.
    """
    curves: Curves = {library.name: {} for library in libraries}
    for size, points, settings in cases:
        for library in libraries:
            curve = curves[library.name]
            if not curve:
                library.fit(points[:100], settings)  # starting its processes takes seconds
            last, took = next(reversed(curve.items()), (str(size), 0.0))
            if took * (size / int(last) if grow else 1.0) <= PATIENCE_S:
                curve[str(size)] = median_seconds(library.fit, points, settings)
    return curves


def against_rows(sizes: Iterable[int]) -> Curves:
    """Time every library on blobs in the plane, with bins.

    A library leaves where its next fit would take a minute, were time to grow as the rows.
    """
    return _curves(LIBRARIES, (Case(rows, blobs(rows), BINS) for rows in sizes), grow=True)


def against_features(sizes: Iterable[int], rows: int) -> Curves:
    """Time ours and scikit-learn on blobs with every row a seed.

    The bandwidth grows as the root of the number of features, as the width of a blob does.
    scikit-learn leaves where its last fit took a minute: its time may well fall with the features.
    """
    cases = (Case(d, blobs(rows, d), Settings(1.5 * d**0.5, n_jobs=-1)) for d in sizes)
    return _curves((SCIKIT_LEARN, OURS), cases, grow=False)


def against_threads(rows: int) -> dict[str, float]:
    """Time ours on blobs in the plane with every row a seed, on 1, 2, 4, ... threads and all.

    By turns: what slows the machine down for a minute slows down all of them.
    """
    points, all_threads = blobs(rows), numba.get_num_threads()
    counts = {2**power for power in range(all_threads.bit_length())} | {all_threads}
    taken: dict[int, list[float]] = {count: [] for count in sorted(counts)}
    for _ in range(TURNS):
        for count, times in taken.items():
            times.append(seconds(MeanShift(bandwidth=BINS.bandwidth, n_jobs=count).fit, points))
    return {str(count): median(times) for count, times in taken.items()}


def tenfold(rows: int) -> tuple[float, float]:
    """Time fits with bins of blobs in the plane, and of ten times as many, by turns.

    Returns
    -------
    once, tenfold : float
        Seconds.
    """
    tables = blobs(rows), blobs(10 * rows)
    model = MeanShift(bandwidth=BINS.bandwidth, bin_seeding=BINS.bin_seeding)
    turns = [[seconds(model.fit, points) for points in tables] for _ in range(TURNS + 1)]
    once, ten = zip(*turns[1:], strict=True)  # the first was the warm-up
    return median(once), median(ten)


@parallel
def _label(points: Floats, centers: Floats, labels: npt.NDArray[np.int64]) -> None:
    for row in numba.prange(points.shape[0]):
        nearest_sq = np.inf
        for mode in range(centers.shape[0]):
            gap_sq = 0.0
            for feature in range(points.shape[1]):
                gap_sq += (points[row, feature] - centers[mode, feature]) ** 2
            if gap_sq < nearest_sq:
                nearest_sq = gap_sq
                labels[row] = mode


def floor(rows: int) -> tuple[float, float]:
    """Time a fit with bins beside the least that any fit must do: one look at each row.

    Returns
    -------
    fit : float
        Seconds of the whole fit.
    labelling : float
        Seconds of a plain parallel pass that gives each row the nearest of the fit's centres.
    """
    points = blobs(rows)
    model = MeanShift(bandwidth=BINS.bandwidth, bin_seeding=BINS.bin_seeding)
    centers, labels = model.fit(points).cluster_centers_, np.empty(rows, np.int64)
    return median_seconds(model.fit, points), median_seconds(_label, points, centers, labels)
