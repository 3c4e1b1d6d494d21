"""Run the bench, write its results, draw its plots, and put its tables into README and manual.

``python -m bench.report`` takes more than an hour, ``--quick`` some minutes on fewer rows;
``--large`` adds the raster of 100 million pixels to the part "images".
``--check`` ends with status 1 and a list if the run misses a target. ``--parts NAME ...`` measures
some parts anew and takes the others from ``bench/results.json``; without a name it measures
nothing, and writes plots and tables from there.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

from cpuinfo import get_cpu_info

from bench import basins, cells, cliffs, columns, curves, explore, images, metrics, process, streams
from bench.plots import draw_curves
from bench.table_rows import basin_rows, explorer_rows, speed_rows, spoken
from bench.targets import Results, shortfalls
from meanshift_fast import __version__, warm_up

ROOT = Path(__file__).parent.parent
BENCH = BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
README, MANUAL = ROOT / "README.md", ROOT / "docs/performance.md"
RESULTS = ROOT / "bench/results.json"
# What the README has room for.
CHOSEN = ("bins-1m", "china", "bins-8d", "rows-20k", "rows-1m", "bandwidth")

# A picture for each set of curves: its title, and what is below its x axis.
PICTURES = {
    "rows": ("Blobs in the plane, with bins", "rows"),
    "features": ("Blobs, every row a seed", "features"),
    "threads": ("Blobs in the plane, every row a seed", "threads"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; give its exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows, some minutes")
    parser.add_argument("--check", action="store_true", help="exit 1 if a target is missed")
    parser.add_argument(
        "--parts", nargs="*", choices=PARTS, metavar="PART",
        help=f"measure these anew, of {', '.join(PARTS)}; the others are as they were",
    )  # fmt: skip
    parser.add_argument(
        "--large",
        action="store_true",
        help="segment the raster of 100 million pixels too, as --check does",
    )
    chosen = parser.parse_args(arguments)
    if chosen.quick and (chosen.check or chosen.large or chosen.parts is not None):
        parser.error("--check, --large and --parts need the full sizes; leave out --quick")

    # An hour before the last line is the time to fail.
    pages = {path: path.read_text() for path in (README, MANUAL)}
    for path in pages:
        rewritten(pages[path], "", *BENCH)
    for name in OWN_TABLES:
        rewritten(pages[MANUAL], "", *markers(name))
    names = list(PARTS) if chosen.parts is None else chosen.parts
    older = None if chosen.parts is None else json.loads(RESULTS.read_text())
    results = measure(names, chosen.quick, older)
    if "images" in names:
        if chosen.large or chosen.check:
            with part("raster"):
                results["images"]["raster"] = images.large_raster()
        elif older:
            results["images"]["raster"] = older.get("images", {}).get("raster", {})
    write(results, pages)

    if not chosen.check:
        return 0
    missed = shortfalls(results)
    print("\n".join(missed) or "every target is reached")
    return 1 if missed else 0


def write(results: Results, pages: dict[Path, str]) -> None:
    """Write the results, the plots, and the tables between the pages' markers."""
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    for name, (title, axis) in PICTURES.items():
        draw_curves(
            results["curves"][name], ROOT / f"bench/plots/{name}.svg", title=title, axis=axis
        )
    README.write_text(rewritten(pages[README], "\n".join(short_tables(results)), *BENCH))
    text = rewritten(pages[MANUAL], "\n".join(tables(results)), *BENCH)
    for name in OWN_TABLES:
        text = rewritten(text, "\n".join(own_tables(name, results)), *markers(name))
    MANUAL.write_text(text)


@contextmanager
def part(name: str) -> Iterator[None]:
    """Tell on stderr how long a part of the run took."""
    start = perf_counter()
    yield
    print(f"{name}: {perf_counter() - start:.0f} s", file=sys.stderr, flush=True)


def measure(names: Iterable[str], quick: bool, results: Results | None = None) -> Results:
    """Run some parts; the others are those of older results, if there are any."""
    results = dict(results or {})
    for name in names:
        with part(name):
            results |= PARTS[name](quick)
        results["runs"] = results.get("runs", {}) | {name: run_now(quick)}
    return results


def run_now(quick: bool) -> Results:
    """Say when, with what and on what a part was measured."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "quick": quick,
        "machine": f"{get_cpu_info()['brand_raw']}, {os.cpu_count()} cores, {platform.system()}",
        "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }


def measure_processes(quick: bool) -> Results:
    """Imports, first fits and memory, in processes of their own."""
    repeats = 1 if quick else 7
    import_s, sklearn_import_s = process.import_seconds(
        "meanshift_fast", "sklearn.cluster", repeats=repeats
    )
    first_fits = {
        str(rows): dict(
            zip(("cold_s", "later_s"), process.first_fit_seconds(rows, repeats), strict=True)
        )
        for rows in process.FIRST_FITS[: 1 if quick else None]
    }
    points_bytes, peak_bytes = process.peak_memory(10**6 if quick else 10**7)
    return {
        "import_s": import_s,
        "sklearn_import_s": sklearn_import_s,
        "first_fits": first_fits,
        "points_bytes": points_bytes,
        "peak_bytes": peak_bytes,
    }


def measure_fits(quick: bool) -> Results:
    """Fits beside their own plain way."""
    warm_up()
    n_rows = 20_000 if quick else 10**6
    fit_s, labelling_s = curves.floor(10**6)
    once_s, tenfold_s = curves.tenfold(10**5 if quick else 10**6)
    return {
        "fit_s": fit_s,
        "labelling_s": labelling_s,
        "once_s": once_s,
        "tenfold_s": tenfold_s,
        "basins": basins.basins(n_rows),
        "gaussian": basins.gaussian_shifts(n_rows),
        "prominence": basins.prominence(n_rows),
        "gaussian_columns": columns.gaussian_fits(1_000 if quick else 4_000),
    }


def measure_curves(quick: bool) -> Results:
    """Seconds against rows, features and threads."""
    features = (1, 8, 64) if quick else (1, 2, 4, 8, 16, 32, 64, 128)
    found = {
        "rows": curves.against_rows(10**power for power in range(3, 5 if quick else 8)),
        "features": curves.against_features(features, 500 if quick else 2_000),
        "threads": {"meanshift_fast": curves.against_threads(50_000 if quick else 10**6)},
    }
    return {"curves": found}


def measure_cliffs(quick: bool) -> Results:
    """The sweep of shapes."""
    blobs = cliffs.cells(
        [10**power for power in range(3, 4 if quick else 7)],
        (2, 32) if quick else (1, 2, 4, 8, 16, 32, 64),
    )
    filled = cliffs.filled_cells(
        (1000,) if quick else (1000, 4000, 20_000), (64,) if quick else (64, 256, 1024)
    )
    return {"cliffs": cliffs.sweep((*blobs, *filled))}


def measure_explorer(quick: bool) -> Results:
    """Changes of the explorer's bandwidth, through a browser."""
    sizes = explore.ROWS[: 1 if quick else None]
    return {"explorer": {str(n_rows): explore.change_seconds(n_rows) for n_rows in sizes}}


def versions() -> dict[str, str]:
    """Name what was measured; the package is the checkout's, installed or not."""
    others = {name: version(name) for name in ("scikit-learn", "mlpack", "numba", "numpy")}
    return {"meanshift_fast": __version__, "python": platform.python_version(), **others}


def measure_speed(quick: bool) -> Results:
    """Run test_speed.py.

    Returns
    -------
    dict
        ``speed``: workload -> library -> its figures. "seconds" is the median of the rounds or,
        where only a sample of the seeds was moved, what all of them would take.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "speed.json")
        # Without the options of the tests, which run in two processes.
        command = [sys.executable, "-m", "pytest", "-o", "addopts=", "bench/test_speed.py", "-q"]
        command += [f"--benchmark-json={answer}", *(["--quick"] if quick else [])]
        subprocess.run(command, cwd=ROOT, check=True)
        found = json.loads(answer.read_text())

    speed: Results = {}
    for benchmark in found["benchmarks"]:
        info, seconds = benchmark["extra_info"], benchmark["stats"]["median"]
        if "sample" in info:
            climbing = (seconds - info["fixed_s"]) / info["sample"]
            seconds = info["fixed_s"] + climbing * info["rows"]
        workload, library = info.pop("workload"), info.pop("library")
        rounds = benchmark["stats"]["rounds"]
        speed.setdefault(workload, {})[library] = info | {"seconds": seconds, "rounds": rounds}
    return {"speed": speed}


# In about the order of the manual's tables.
PARTS: dict[str, Callable[[bool], Results]] = {
    "speed": measure_speed,
    "processes": measure_processes,
    "fits": measure_fits,
    "curves": measure_curves,
    "cliffs": measure_cliffs,
    "streams": lambda quick: {"streams": streams.measure(quick)},
    "cells": lambda quick: {"cells": cells.measure(quick)},
    "images": lambda quick: {"images": images.measure(quick)},
    "metrics": lambda quick: {"metrics": metrics.measure(quick)},
    "explorer": measure_explorer,
}

# Parts with markers of their own in the manual, and the modules that write them.
OWN_TABLES = {"streams": streams, "cells": cells, "images": images, "metrics": metrics}


def measured(results: Results, names: Iterable[str]) -> str:
    """Say when and on what some parts were measured, those of one run together."""
    runs: dict[str, list[str]] = {}
    for name in names:
        if name in results["runs"]:
            run = results["runs"][name]
            quick = " --quick" if run["quick"] else ""
            words = f"`python -m bench.report{quick}` on {run['date']}: {run['machine']}"
            runs.setdefault(f"{words}; {run['versions']}", []).append(name)
    if len(runs) == 1:
        return next(iter(runs))
    return "; ".join(f"{', '.join(parts)} by {words}" for words, parts in runs.items())


def rewritten(page: str, tables: str, begin: str = BEGIN, end: str = END) -> str:
    """Put tables between two of a page's markers.

    Raises
    ------
    ValueError
        If the markers are not there once each, in order.
    """
    before, is_begun, rest = page.partition(begin)
    _, is_ended, after = rest.partition(end)
    if not (is_begun and is_ended) or begin in rest or end in after:
        raise ValueError(f"the page must hold one {begin} and after it one {end}; put them back")
    return f"{before}{begin}\n{tables}\n{end}{after}"


def short_tables(results: Results) -> Iterator[str]:
    """Write the lines of the README's part."""
    run = results["runs"]["speed"]
    yield from speed_rows(results, CHOSEN)
    yield ""
    yield (
        f"Medians of warm fits on {run['machine']}, {run['date']}; ~ "
        "is a sample of the seeds, scaled. [Performance](docs/performance.md) has the versions, "
        "more rows, first fits, memory, streams and Dask, and how it was measured."
    )


def tables(results: Results) -> Iterator[str]:
    """Write the lines of the manual's part."""
    others = [name for name in PARTS if name not in OWN_TABLES]
    yield (
        f"Medians of warm fits, all sides of a part in one run: {measured(results, others)}. In "
        "brackets, how many times longer than meanshift_fast."
    )
    yield ""
    yield from speed_rows(results, results["speed"])
    yield ""
    yield (
        "A time with ~ is scikit-learn's on a sample of the seeds, scaled to all of them. mlpack "
        "keeps the first mode it meets and not the heaviest, hence its ARI."
    )
    yield ""
    yield from basin_rows(results)
    yield ""
    yield "| a whole process | |"
    yield "| --- | ---: |"
    yield f"| `import meanshift_fast` | {spoken(results['import_s'])} |"
    yield f"| `import sklearn.cluster` | {spoken(results['sklearn_import_s'])} |"
    for rows, first in results["first_fits"].items():
        what = f"{int(rows):,} rows"
        yield f"| first fit ever, of {what}, kernels compiled | {spoken(first['cold_s'])} |"
        yield f"| first fit of a later process, of {what} | {spoken(first['later_s'])} |"
    yield (
        f"| peak memory of a process that fits {results['points_bytes'] / 1e6:,.0f} MB of points "
        f"| {results['peak_bytes'] / 1e6:,.0f} MB |"
    )
    yield ""
    yield from explorer_rows(results.get("explorer", {}))
    for name, (title, axis) in PICTURES.items():
        yield f"![{title}: seconds against {axis}](../bench/plots/{name}.svg)"
    yield ""
    nearest, where = cliffs.smallest_lead(results["cliffs"])
    yield (
        f"A sweep over {len(results['cliffs'])} shapes of data looks for one on which another "
        f"library is faster. The smallest lead: {nearest:.2g} x ({where})."
    )


def markers(name: str) -> tuple[str, str]:
    """Name the markers of a part that has its own."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def own_tables(name: str, results: Results) -> Iterator[str]:
    """Write the lines of a part that has its own; nothing for results older than it."""
    if name in results:
        yield f"Measured by {measured(results, [name])}."
        yield ""
        yield from OWN_TABLES[name].tables(results[name])


if __name__ == "__main__":
    sys.exit(main())
