"""Where the two sides of a threshold cross on this machine.

    python -m bench.calibrate               the names
    python -m bench.calibrate NAME          measure both sides, by turns, and print where they cross

Every threshold of `meanshift_fast._index.thresholds` chooses between two ways to one answer. Here
it is set so low, and so high, that one way does all, for work of growing size on both of its sides.
"""

import argparse
import math
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.workloads import directions
from meanshift_fast import MeanShift, estimate_bandwidth, get_bin_seeds
from meanshift_fast._cluster.modes import merge_modes
from meanshift_fast._cluster.seeding import bin_seeds
from meanshift_fast._index import product_choice, thresholds
from meanshift_fast._index.singles import error_of

HUGE = sys.maxsize


class Work(NamedTuple):
    """Work of one size.

    Attributes
    ----------
    value : float
        Its size, in the threshold's unit.
    run : callable
        Does it.
    """

    value: float
    run: Callable[[], Any]


class Calibration(NamedTuple):
    """How one threshold is measured.

    Attributes
    ----------
    unit : str
        What it counts.
    below, above : dict
        The thresholds that make all work go the way of small work, and that of large work.
    sizes : sequence of int
        Of the work, ascending; the first takes no time.
    work : callable
        Makes the work of a size.
    """

    unit: str
    below: dict[str, float]
    above: dict[str, float]
    sizes: Sequence[int]
    work: Callable[[int], Work]


def _blobs(n_rows: int, n_features: int = 2, n_blobs: int = 20) -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    centers = rng.uniform(0.0, 40.0, (n_blobs, n_features))
    return centers[rng.integers(n_blobs, size=n_rows)] + rng.standard_normal((n_rows, n_features))


def _fit(X: NDArray[Any], value: float, **params: Any) -> Work:
    return Work(value, lambda: MeanShift(**params).fit(X))


def _from_bins(n_rows: int) -> Work:
    X = _blobs(n_rows, 8, n_blobs=4)
    n_seeds = len(get_bin_seeds(X, 1.0))
    return _fit(X, float(n_seeds * X.size), bandwidth=1.0, bin_seeding=True)


def _on_threads(n_rows: int) -> Work:
    X = _blobs(n_rows)
    return _fit(X, float(X.size), bandwidth=1.0, bin_seeding=True)


def _in_basins(n_rows: int) -> Work:
    X = _blobs(n_rows)
    work = float(n_rows * X.size)
    return _fit(X, work, bandwidth=2.0, kernel="gaussian", assign="basin")


def _labels(n_rows: int) -> Work:
    X = _blobs(n_rows)
    model = MeanShift(bandwidth=2.0, bin_seeding=True).fit(_blobs(2000))
    value = float(X.size * len(model.cluster_centers_))
    return Work(value, lambda: model.predict(X))


def _from_rows(n_rows: int) -> Work:
    return _fit(_blobs(n_rows), float(n_rows), bandwidth=2.0)


def _held_values(n_rows: int) -> Work:
    X = _blobs(n_rows)
    return _fit(X, float(8 * n_rows * (X.shape[1] + 8)), bandwidth=2.0)


def _pixels(n_rows: int) -> Work:
    X = np.random.default_rng(0).integers(0, max(int((n_rows / 3) ** (1 / 3)), 1), (n_rows, 3))
    return _fit(X.astype(np.float64), float(n_rows), bandwidth=4.0, bin_seeding=True)


def _bins(n_rows: int) -> Work:
    X = _blobs(n_rows)
    return Work(float(n_rows), lambda: bin_seeds(X, 0.5, 1))


def _endpoints(n_modes: int) -> Work:
    """Of 20,000 endpoints, so many are modes: as many sweeps would find them all."""
    rng = np.random.default_rng(0)
    ends = np.arange(float(n_modes)).repeat(-(-20_000 // n_modes))[:, None] * [3.0, 0.0]
    ends = np.ascontiguousarray(ends + rng.uniform(0.0, 0.5, ends.shape))
    ends.flags.writeable = False
    support = rng.uniform(1.0, 9.0, len(ends))
    return Work(float(n_modes), lambda: merge_modes(ends, support, 1.0))


def _visits(n_ends: int) -> Work:
    """As many modes as endpoints: sweeps visit half of their square."""
    ends = np.ascontiguousarray(np.arange(float(n_ends))[:, None] * [3.0, 0.0])
    ends.flags.writeable = False
    support = np.ones(n_ends)
    return Work(n_ends * n_ends / 2.0, lambda: merge_modes(ends, support, 1.0))


def _readonly(X: NDArray[np.float64]) -> NDArray[np.float64]:
    X.flags.writeable = False
    return X


def _filled(noise: int) -> NDArray[np.float64]:
    """Unit rows about fifty directions, with so many hundredths of noise."""
    return _readonly(directions(1500, 64, noise=noise / 100.0))


def _settled(noise: int) -> Work:
    X, bandwidth = _filled(noise), 1.2 * noise / 100.0 / math.hypot(1.0, noise / 100.0)
    distances, _ = product_choice.probe(X, X)
    share = product_choice.open_share(distances, np.full(len(distances), bandwidth))
    return _fit(X, share, bandwidth=bandwidth)


def _pairs(n_rows: int) -> Work:
    return _fit(directions(n_rows, 64), float(n_rows * n_rows), bandwidth=1.0)


def _neighbours(noise: int) -> Work:
    X = _filled(noise)
    distances, _ = product_choice.probe(X, X)
    k = len(X) // 100
    share = product_choice.open_share(distances, np.partition(distances, k, axis=1)[:, k])
    return Work(share, lambda: estimate_bandwidth(X, quantile=0.01))


def _weighed(noise: int) -> Work:
    X, bandwidth = _filled(noise), 0.12
    share = product_choice.weighing_share(_readonly(X / bandwidth), 1e-3)
    return _fit(X, share, bandwidth=bandwidth, kernel="gaussian", max_iter=3)


def _together(n_positions: int) -> Work:
    """Positions about the middle of rows in 64 columns; they come nearer to it in each round."""
    rng = np.random.default_rng(0)
    X = _readonly(rng.standard_normal((20_000, 64)) / 8.0)
    seeds = 1e-3 * rng.standard_normal((n_positions, 64))
    return _fit(X, n_positions / 64.0, bandwidth=0.5, kernel="gaussian", seeds=seeds, max_iter=3)


def _spread(length: int) -> Work:
    """Rows in two groups so far apart: the error of a product is in squared bandwidths."""
    X = directions(1500, 64)
    X[::2, 0] += float(length)
    return _fit(X, error_of(64) * length * length / 4.0, bandwidth=1.0)


def _sides(name: str) -> dict[str, dict[str, float]]:
    return {"below": {name: HUGE}, "above": {name: 0}}


CALIBRATIONS = {
    "MAX_SMALL_SEED_VALUES": Calibration(
        "values times seeds", **_sides("MAX_SMALL_SEED_VALUES"),
        sizes=(30, 100, 200, 400, 600, 800, 1000), work=_from_bins,
    ),
    "MAX_ONE_THREAD_VALUES": Calibration(
        "values", **_sides("MAX_ONE_THREAD_VALUES"),
        sizes=(30, 1100, 2000, 4000, 8000, 16_000), work=_on_threads,
    ),
    "MAX_ONE_THREAD_ROW_VALUES": Calibration(
        "values times rows", **_sides("MAX_ONE_THREAD_ROW_VALUES"),
        sizes=(30, 100, 250, 500, 1000, 2000), work=_in_basins,
    ),
    "MAX_ONE_THREAD_LABEL_VALUES": Calibration(
        "values times modes", **_sides("MAX_ONE_THREAD_LABEL_VALUES"),
        sizes=(30, 1000, 4000, 8000, 16_000, 64_000), work=_labels,
    ),
    "MAX_MEMO_TRAJECTORIES": Calibration(
        "trajectories", **_sides("MAX_MEMO_TRAJECTORIES"),
        sizes=(30, 1000, 5000, 10_000, 20_000, 40_000, 60_000, 100_000), work=_from_rows,
    ),
    "MAX_MEMO_VALUES": Calibration(
        "values of eight places a seed", {"MAX_MEMO_VALUES": HUGE}, {"MAX_MEMO_VALUES": 1 << 22},
        sizes=(30, 20_000, 40_000, 60_000), work=_held_values,
    ),
    "MIN_PRODUCT_PAIRS": Calibration(
        "pairs", {"MIN_PRODUCT_PAIRS": HUGE}, {"MIN_PRODUCT_PAIRS": 0},
        sizes=(40, 100, 200, 400, 800, 1600), work=_pairs,
    ),
    "MIN_PRODUCT_OPEN_SHARE": Calibration(
        "of the rows", {"MIN_PRODUCT_OPEN_SHARE": 9.0}, {"MIN_PRODUCT_OPEN_SHARE": -1.0},
        sizes=(5, 20, 30, 40, 50, 60, 80), work=_settled,
    ),
    "MIN_PRODUCT_OPEN_NEIGHBOUR_SHARE": Calibration(
        "of the rows", {"MIN_PRODUCT_OPEN_NEIGHBOUR_SHARE": 9.0},
        {"MIN_PRODUCT_OPEN_NEIGHBOUR_SHARE": -1.0}, sizes=(5, 20, 30, 40, 50, 60, 80),
        work=_neighbours,
    ),
    "MIN_PRODUCT_GAUSSIAN_SHARE": Calibration(
        "of the rows", {"MIN_PRODUCT_GAUSSIAN_SHARE": 9.0}, {"MIN_PRODUCT_GAUSSIAN_SHARE": -1.0},
        sizes=(5, 20, 40, 70, 150, 400), work=_weighed,
    ),
    "MIN_EXPANDED_A_FEATURE": Calibration(
        "positions a feature", {"MIN_EXPANDED_A_FEATURE": 1e9}, {"MIN_EXPANDED_A_FEATURE": 1e-9},
        sizes=(16, 128, 192, 256, 384, 512), work=_together,
    ),
    "MAX_PRODUCT_ERROR": Calibration(
        "squared bandwidths", {"MAX_PRODUCT_ERROR": HUGE, "MIN_PRODUCT_OPEN_SHARE": -1.0},
        {"MAX_PRODUCT_ERROR": -1.0}, sizes=(10, 30, 100, 300, 1000), work=_spread,
    ),
    "MIN_COUNTED_ROWS": Calibration(
        "rows", **_sides("MIN_COUNTED_ROWS"),
        sizes=(30, 1500, 3000, 10_000, 30_000, 100_000), work=_pixels,
    ),
    "MIN_PARALLEL_BIN_ROWS": Calibration(
        "rows", **_sides("MIN_PARALLEL_BIN_ROWS"),
        sizes=(30, 10_000, 30_000, 100_000, 300_000), work=_bins,
    ),
    "MAX_ENDPOINT_SWEEPS": Calibration(
        "sweeps",
        {"MAX_ENDPOINT_SWEEPS": HUGE >> 20, "MIN_ENDPOINT_VISITS": 0},
        {"MAX_ENDPOINT_SWEEPS": 0, "MIN_ENDPOINT_VISITS": 0},
        sizes=(2, 4, 8, 16, 32, 64, 128, 256), work=_endpoints,
    ),
    "MIN_ENDPOINT_VISITS": Calibration(
        "visits",
        {"MAX_ENDPOINT_SWEEPS": 0, "MIN_ENDPOINT_VISITS": HUGE >> 1},
        {"MAX_ENDPOINT_SWEEPS": 0, "MIN_ENDPOINT_VISITS": 0},
        sizes=(20, 100, 200, 400, 700, 1000, 2000), work=_visits,
    ),
}  # fmt: skip


def _seconds(values: dict[str, float], run: Callable[[], Any]) -> float:
    """The seconds of one run, with thresholds set for its length."""
    before = {name: getattr(thresholds, name) for name in values}
    try:
        for name, value in values.items():
            setattr(thresholds, name, value)
        began = time.perf_counter()
        run()
        return time.perf_counter() - began
    finally:
        for name, value in before.items():
            setattr(thresholds, name, value)


def measured(calibration: Calibration, work: Work, n_turns: int) -> tuple[float, float]:
    """The median seconds of each side, by turns, after a turn that compiles."""
    times: list[list[float]] = [[], []]
    for _ in range(n_turns + 1):
        for side, values in enumerate((calibration.below, calibration.above)):
            times[side].append(_seconds(values, work.run))
    low, high = (statistics.median(side[1:]) for side in times)
    return low, high


def number(value: float) -> str:
    """Write a size: whole, or as a part."""
    return f"{value:,.0f}" if abs(value) >= 1.0 else f"{value:.3f}"


def crossing(values: Sequence[float], ratios: Sequence[float]) -> str:
    """Say where the ratio of the times, above over below, falls through 1."""
    faster_above = [value for value, ratio in zip(values, ratios, strict=True) if ratio < 1.0]
    faster_below = [value for value, ratio in zip(values, ratios, strict=True) if ratio >= 1.0]
    if not faster_above:
        return f"do not cross up to {number(values[-1])}"
    if not faster_below:
        return f"do not cross from {number(values[0])}"
    if faster_below[-1] < faster_above[0]:
        return f"cross about {number(math.sqrt(faster_below[-1] * faster_above[0]))}"
    return f"cross more than once, from {number(faster_above[0])} to {number(faster_below[-1])}"


def calibrate(name: str, *, n_sizes: int, n_turns: int) -> None:
    """Measure both sides of a threshold, and print where they cross."""
    calibration = CALIBRATIONS[name]
    print(f"{name} = {getattr(thresholds, name):,} {calibration.unit}")
    values, ratios = [], []
    for size in calibration.sizes[:n_sizes]:
        work = calibration.work(size)
        below, above = measured(calibration, work, n_turns)
        values.append(work.value)
        ratios.append(above / below)
        print(
            f"{number(work.value):>14}   below {1e3 * below:9.3f} ms   above {1e3 * above:9.3f} ms"
            f"   above / below {ratios[-1]:.2f}",
            flush=True,
        )
    print(f"the sides {crossing(values, ratios)} {calibration.unit}")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.calibrate", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", nargs="?", choices=CALIBRATIONS, help="the threshold")
    parser.add_argument("--sizes", type=int, default=99, help="measure the first so many sizes")
    parser.add_argument("--turns", type=int, default=9, help="of which medians are taken")
    args = parser.parse_args(argv)
    if args.name is None:
        print("\n".join(CALIBRATIONS))
        return
    with warnings.catch_warnings(action="ignore"):  # each row of a tiny table has its own bin
        calibrate(args.name, n_sizes=args.sizes, n_turns=args.turns)


if __name__ == "__main__":
    main()
