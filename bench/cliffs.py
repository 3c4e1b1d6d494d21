"""A sweep for cliffs: shapes of data on which another library would be faster than ours.

A cell of the sweep is a number of rows, of features, and of rows in a ball. Its cost varies by
seven orders of magnitude, so the others run against a deadline: who has not finished in three
times our time and a second is slower, and is stopped.
"""

import multiprocessing
import warnings
from collections.abc import Iterable, Iterator
from functools import lru_cache
from multiprocessing.pool import Pool
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from bench.adapters import LIBRARIES, OURS
from bench.clock import median_seconds
from bench.workloads import Floats, Settings, blobs, sampled
from meanshift_fast import get_bin_seeds, warm_up

# Where the bins are more (or reach no row), all climb from so many of the rows, and mlpack, which
# cannot, sits out: more seeds would say nothing new of a cell and take hours in the largest.
MOST_SEEDS = 2_000


class Cell(NamedTuple):
    """One cell: blobs of a shape, and the rows in a ball around a typical row (itself counted)."""

    rows: int
    features: int
    neighbours: int


class Work(NamedTuple):
    """What a cell asks of a library."""

    points: Floats
    settings: Settings
    seeds: Floats | None


def cells(rows: Iterable[int], features: Iterable[int]) -> Iterator[Cell]:
    """List the cells for some numbers of rows and features: balls of 3 rows to all of them."""
    features = tuple(features)
    for n in rows:
        for d in features:
            for neighbours in (3, n // 100, n // 10, n):
                yield Cell(n, d, neighbours)


@lru_cache(maxsize=1)
def _points(rows: int, features: int) -> Floats:
    return blobs(rows, features)


@lru_cache(maxsize=1)
def _work(cell: Cell) -> Work:
    points = _points(cell.rows, cell.features)
    if cell.neighbours == cell.rows:
        bandwidth = float(np.linalg.norm(np.ptp(points, axis=0)))
    else:
        distances = cdist(sampled(points, 32), points)
        kth = np.partition(distances, cell.neighbours - 1, axis=1)[:, cell.neighbours - 1]
        bandwidth = float(np.median(kth))
    grid = get_bin_seeds(points, bandwidth)
    # In many dimensions the middle of every bin can be more than a bandwidth from all rows, and
    # then there is nothing to climb: scikit-learn refuses, as we do.
    bins = len(grid) <= MOST_SEEDS and bool(cdist(sampled(points, 1_000), grid).min() <= bandwidth)
    seeds = None if bins else sampled(points, MOST_SEEDS)
    return Work(points, Settings(float(bandwidth), bin_seeding=bins), seeds)


def _prepare(cell: Cell) -> bool:
    """Make the work of a cell in the worker; say whether it climbs from bins."""
    return _work(cell).settings.bin_seeding


def _time(name: str, cell: Cell) -> float:
    library = next(library for library in LIBRARIES if library.name == name)
    if library is OURS:  # what only few cells need compiles now: 1.8 s in a cell that takes 4 ms
        library.fit(*_work(cell))
    # Nine calls of a fifth of a millisecond would be over before the machine is calm.
    return median_seconds(library.fit, *_work(cell), budget=0.3, most=99)


def _start() -> None:
    # As many bins as rows is a warning, and in this sweep a matter of course.
    warnings.simplefilter("ignore")
    warm_up()


def _worker() -> Pool:
    return multiprocessing.get_context("spawn").Pool(1, _start)


def sweep(cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """Time ours in every cell, and the others until they have lost.

    Returns
    -------
    findings : list of dict
        For each cell its numbers, "bins" (whether all climb from bins), "ours_s", and "others_s":
        for each library that can do the cell its seconds, None if it was stopped.
    """
    findings = []
    worker = _worker()
    for cell in cells:
        bins = worker.apply(_prepare, (cell,))
        ours = worker.apply(_time, (OURS.name, cell))
        others: dict[str, float | None] = {}
        for library in LIBRARIES:
            if library is OURS or not (bins or library.any_seeds):
                continue
            worker.apply(_prepare, (cell,))  # a worker that replaced a stopped one has nothing yet
            try:
                race = worker.apply_async(_time, (library.name, cell))
                others[library.name] = race.get(3 * ours + 1)
            except multiprocessing.TimeoutError:
                others[library.name] = None
                worker.terminate()
                worker.join()
                worker = _worker()
        findings.append(cell._asdict() | {"bins": bins, "ours_s": ours, "others_s": others})
    worker.terminate()
    worker.join()
    return findings


def nearest_race(findings: list[dict[str, Any]]) -> tuple[float, str]:
    """Find where another library comes nearest to ours.

    Returns
    -------
    ratio : float
        The other's time over ours; infinite if every race was stopped.
    where : str
        The cell and the library, in words.
    """
    races = [
        (
            seconds / found["ours_s"],
            f"{found['rows']:,} x {found['features']}, {found['neighbours']:,} rows in a ball, "
            f"{'bins' if found['bins'] else 'rows as seeds'}, {name}",
        )
        for found in findings
        for name, seconds in found["others_s"].items()
        if seconds is not None
    ]
    return min(races, default=(float("inf"), "every race was stopped"))
