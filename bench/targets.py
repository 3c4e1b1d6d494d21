"""The targets that ``python -m bench.report --check`` holds a full run to."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from bench.cliffs import smallest_lead
from bench.images import WINDOWS
from bench.process import FIRST_FITS

# What report.py writes to results.json.
Results = dict[str, Any]


class Target(NamedTuple):
    """A figure of a run and its bound.

    Attributes
    ----------
    name, work : str
        What to call it.
    figure : callable
        Reads the figure from the results.
    bound : float
        What it must reach.
    unit : str
        Printed after both.
    at_least : bool
        Whether the bound is the least allowed; otherwise it is the most.
    """

    name: str
    work: str
    figure: Callable[[Results], float]
    bound: float
    unit: str = "x"
    at_least: bool = True

    def shortfall(self, results: Results) -> str | None:
        """Say how the figure misses the bound; None if it does not."""
        try:
            figure = self.figure(results)
        except KeyError:
            return f"{self.name} {self.work}: not measured"
        if figure >= self.bound if self.at_least else figure <= self.bound:
            return None
        word = "at least" if self.at_least else "at most"
        return (
            f"{self.name} {self.work}: {figure:.3g} {self.unit}, "
            f"must be {word} {self.bound:g} {self.unit}"
        )


def ratio(workload: str, library: str) -> Callable[[Results], float]:
    """Read how many times longer than ours a library takes."""

    def figure(results: Results) -> float:
        speed = results["speed"][workload]
        return float(speed[library]["seconds"] / speed["meanshift_fast"]["seconds"])

    return figure


def _first_fit(rows: int, key: str) -> Callable[[Results], float]:
    """Read the time of a first fit of so many rows."""

    def figure(results: Results) -> float:
        return float(results["first_fits"][str(rows)][key])

    return figure


def _growth(results: Results) -> float:
    """Read the largest time for a row, from 1e5 rows up, over the time for a row at 1e5."""
    curve = results["curves"]["rows"]["meanshift_fast"]
    times = [curve[str(rows)] / rows for rows in (10**5, 10**6, 10**7)]
    return float(max(times) / times[0])


def _estimate(key: str) -> Callable[[Results], float]:
    """Read the time of an estimated bandwidth over that of the fit from every row."""

    def figure(results: Results) -> float:
        return float(results["basins"][key] / results["basins"]["plain_s"])

    return figure


def _prominence(key: str, other: str) -> Callable[[Results], float]:
    """Read the ratio of two times of merging by prominence, or of log densities."""

    def figure(results: Results) -> float:
        return float(results["prominence"][key] / results["prominence"][other])

    return figure


def _over_numpy(results: Results) -> float:
    """Read the least ratio of NumPy's times of Gaussian fits in many columns to ours."""
    fits = results["gaussian_columns"].values()
    return min(float(times["numpy_s"] / times["ours_s"]) for times in fits)


def _over_opencv(window: str) -> Callable[[Results], float]:
    """Read how many times longer OpenCV takes for a window on the photograph."""

    def figure(results: Results) -> float:
        found = results["images"]["windows"][window]
        return float(found["opencv_s"] / found["seconds"])

    return figure


def _over_orfeo(results: Results) -> float:
    """Read Orfeo's processor time over ours; infinite where it is not installed."""
    found = results["images"]["orfeo"]
    return float(found["orfeo_processor_s"] / found["processor_s"]) if found else math.inf


def _over_plane(key: str) -> Callable[[Results], float]:
    """Read how many times longer places on the globe take than in the plane."""

    def figure(results: Results) -> float:
        times = results["metrics"]["times"]
        return float(times[f"globe_{key}"] / times[f"plane_{key}"])

    return figure


def _over_published(results: Results) -> float:
    """Read how many times longer the published shift takes; infinite where it is not installed."""
    found = results["metrics"]["shift"]
    return float(found["published_s"] / found["ours_s"]) if found else math.inf


def _two_threads(results: Results) -> float:
    times = results["curves"]["threads"]["meanshift_fast"]
    return float(times["1"] / times["2"])


TARGETS = (
    Target("T1", "1M x 2, bins, over scikit-learn", ratio("bins-1m", "scikit-learn"), 400),
    Target("T1", "1M x 2, bins, over mlpack", ratio("bins-1m", "mlpack"), 80),
    Target("T2", "china.jpg, bins, over scikit-learn", ratio("china", "scikit-learn"), 300),
    Target("T2", "china.jpg, bins, over mlpack", ratio("china", "mlpack"), 120),
    Target("T3", "20k x 2, every row, over scikit-learn", ratio("rows-20k", "scikit-learn"), 1000),
    Target("T4", "1M x 2, every row, over scikit-learn", ratio("rows-1m", "scikit-learn"), 1000),
    Target(
        "T5",
        "1M x 2, basins with coalesce=0.01, over T4",
        lambda results: results["basins"]["plain_s"] / results["basins"]["flat_s"],
        5,
    ),
    Target("T5", "the same, ARI to exact basins", lambda found: found["basins"]["ari"], 0.9995, ""),
    Target(
        "T5",
        "the same with the Gaussian kernel, over the flat one's time",
        lambda results: results["basins"]["gaussian_s"] / results["basins"]["flat_s"],
        3,
        at_least=False,
    ),
    Target(
        "T6",
        "1M x 2, a Gaussian shift of each row, over brute force",
        lambda results: results["gaussian"]["brute_us"] / results["gaussian"]["ours_us"],
        500,
    ),
    Target("T7", "estimate_bandwidth over scikit-learn", ratio("bandwidth", "scikit-learn"), 150),
    Target(
        "T8",
        "10M x 2, bins, over the time at 1M",
        lambda results: results["tenfold_s"] / results["once_s"],
        12,
        at_least=False,
    ),
    Target(
        "T8",
        "10M x 2, peak memory beyond three times the points",
        lambda results: (results["peak_bytes"] - 3 * results["points_bytes"]) / 1e6,
        300,
        "MB",
        at_least=False,
    ),
    Target("T9", "100k x 8, bins, over scikit-learn", ratio("bins-8d", "scikit-learn"), 60),
    Target("T9", "100k x 8, bins, over mlpack", ratio("bins-8d", "mlpack"), 6),
    Target("T9", "digits, every row, over scikit-learn", ratio("digits", "scikit-learn"), 80),
    Target(
        "T10",
        "import beyond that of sklearn.cluster",
        lambda results: results["import_s"] - results["sklearn_import_s"],
        0.5,
        "s",
        at_least=False,
    ),
    *(
        Target(
            "T10", f"first fit of {rows:,} rows, {when}", _first_fit(rows, key), most, "s", False
        )
        for rows in FIRST_FITS
        for when, key, most in (("empty cache", "cold_s", 12), ("later process", "later_s", 0.5))
    ),
    Target(
        "T11",
        "1M x 2, every row, 2 threads over 1",
        _two_threads,
        1.8,
    ),
    Target(
        "T12",
        "1M x 2, bins, over one labelling pass",
        lambda results: results["fit_s"] / results["labelling_s"],
        2.5,
        at_least=False,
    ),
    *(
        Target(name, f"{what}, estimate_bandwidth, over T4", _estimate(key), most, at_least=False)
        for name, what, key, most in (
            ("T14", "1M x 2", "estimate_s", 0.6),
            ("T15", "100k x 8", "estimate_8_s", 0.35),
        )
    ),
    Target("T13", "token embeddings, over NumPy's products", ratio("embeddings", "NumPy"), 10),
    Target("T13", "token embeddings, over scikit-learn", ratio("embeddings", "scikit-learn"), 60),
    Target("T13", "Gaussian fits of token embeddings, over NumPy's products", _over_numpy, 3),
    *(
        Target(
            "T17",
            f"photograph, ({space}, {band}), over OpenCV",
            _over_opencv(f"{space}, {band}"),
            wanted,
        )
        for (space, band), wanted in WINDOWS.items()
    ),
    Target("T17", "photograph, joint, over Orfeo's processor time", _over_orfeo, 10),
    Target(
        "T17",
        "16 photographs at (8, 16), over one",
        lambda results: (
            results["images"]["large"]["seconds"] / results["images"]["large"]["once_s"]
        ),
        16,
        at_least=False,
    ),
    *(
        Target(
            "T16",
            f"900,000 places by haversine, {work}, over the plane",
            _over_plane(key),
            3,
            at_least=False,
        )
        for work, key in (("fit", "fit_s"), ("estimate_bandwidth", "estimate_s"))
    ),
    Target("metrics", "a Gaussian shift of places, over sconce-scms", _over_published, 100),
    Target(
        "images",
        "memory beside the image",
        lambda results: max(results["images"]["memory"].values()),
        80,
        "bytes a pixel",
        at_least=False,
    ),
    Target(
        "images",
        "100M pixels through Dask, peak memory of the process",
        lambda results: results["images"]["raster"]["peak_bytes"] / 1e6,
        2000,
        "MB",
        at_least=False,
    ),
    Target(
        "T18",
        "1M x 2, the explorer's picture after a change of the bandwidth",
        lambda results: 1e3 * results["explorer"][str(10**6)]["change_s"],
        150,
        "ms",
        at_least=False,
    ),
    *(
        Target(
            "T19",
            f"{what}, basins with coalesce=0.01, merged by prominence over not",
            _prominence(f"merged{suffix}_s", f"plain{suffix}_s"),
            most,
            at_least=False,
        )
        for what, suffix, most in (("1M x 2", "", 1.5), ("100k x 8", "_8", 2))
    ),
    Target(
        "density",
        "1M x 2, score_samples of a row, over KernelDensity",
        _prominence("kernel_density_us", "ours_us"),
        50,
    ),
    Target(
        "streams",
        "100M x 2 float32, peak memory of the process",
        lambda results: results["streams"]["stream"][str(10**8)]["peak_bytes"] / 1e6,
        1000,
        "MB",
        at_least=False,
    ),
    Target(
        "streams",
        "retina, centres to those in memory",
        lambda results: results["streams"]["retina"]["center_distance"],
        0.05,
        "bandwidths",
        at_least=False,
    ),
    Target(
        "streams",
        "retina, ARI to the labels in memory",
        lambda results: results["streams"]["retina"]["ari"],
        0.998,
        "",
    ),
    Target("growth", "time for a row, 1e5 to 1e7 rows", _growth, 1.2, at_least=False),
    Target(
        "cliffs",
        "smallest lead of the sweep",
        lambda results: smallest_lead(results["cliffs"])[0],
        1.0,
    ),
)


def shortfalls(results: Results) -> list[str]:
    """List what a full run misses, a line each; nothing if it reaches every target."""
    return [line for target in TARGETS if (line := target.shortfall(results))]
