"""A sweep for cliffs: shapes of data on which another library would be faster than ours.

A cell of the sweep is a number of rows, of features, and of rows in a ball. Its cost varies by
seven orders of magnitude, so the others run against a deadline: who has not finished in half as
long again as we took (a tenth, where we took long), and a second, is slower, and is stopped.
"""

import multiprocessing
import warnings
from collections.abc import Iterable, Iterator
from functools import lru_cache
from multiprocessing.pool import Pool
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from bench.adapters import LIBRARIES, NUMPY, OURS, Library
from bench.clock import median_seconds, seconds
from bench.workloads import Floats, Settings, blobs, directions, sampled
from meanshift_fast import get_bin_seeds, warm_up

# Where the bins are more (or reach no row), all climb from some of the rows, and mlpack, which
# cannot, sits out: more seeds would say nothing new of a cell and take hours in the largest.
MOST_BINS = 2_000
N_SEEDS = 1_000
PATIENCE = 1.5  # of our time; with 3 a cell waited three minutes for nobody
LESS = 1.1  # of it, where that is long, and a tenth of it a second or more
NEAR = 1.5  # times ours: such a race is run again, both sides by turns, and medians count
AGAIN = 4  # for the machine has moods: 0.23 and 0.39 ms for the same fit within a minute
LONG = 10.0  # seconds of a first fit that are its figure, whatever it compiled


class Cell(NamedTuple):
    """One cell: a shape, the rows in a ball around a typical row (itself counted), what rows.

    Blobs, or unit rows in all directions, which fill their dimensions.
    """

    rows: int
    features: int
    neighbours: int
    filled: bool = False


class Asked(NamedTuple):
    """What a cell asks of a library, beside the points."""

    settings: Settings
    seeds: Floats | None


def cells(rows: Iterable[int], features: Iterable[int]) -> Iterator[Cell]:
    """List the cells for some numbers of rows and features: balls of 3 rows to all of them."""
    features = tuple(features)
    for n in rows:
        for d in features:
            for neighbours in (3, n // 100, n // 10, n):
                yield Cell(n, d, neighbours)


def filled_cells(rows: Iterable[int], features: Iterable[int]) -> Iterator[Cell]:
    """List cells of rows that fill their dimensions: a hundredth and a third of them in a ball."""
    features = tuple(features)
    for n in rows:
        for d in features:
            for neighbours in (n // 100, n // 3):
                yield Cell(n, d, neighbours, filled=True)


@lru_cache(maxsize=1)
def _points(rows: int, features: int, filled: bool = False) -> Floats:
    return directions(rows, features, noise=20.0) if filled else blobs(rows, features)


def _rivals(cell: Cell) -> tuple[Library, ...]:
    """Who is timed in a cell: NumPy's lines where no index tells anything."""
    return (*LIBRARIES, NUMPY) if cell.filled else LIBRARIES


def _bandwidth(cell: Cell, points: Floats) -> float:
    if cell.neighbours == cell.rows:
        return float(np.linalg.norm(np.ptp(points, axis=0)))
    distances = cdist(sampled(points, 32), points)
    kth = np.partition(distances, cell.neighbours - 1, axis=1)[:, cell.neighbours - 1]
    return float(np.median(kth))


def _asked(cell: Cell) -> Asked:
    """Find what the libraries are asked for in a cell."""
    points = _points(cell.rows, cell.features, cell.filled)
    bandwidth = _bandwidth(cell, points)
    grid = get_bin_seeds(points, bandwidth)
    # In many dimensions the middle of every bin can be more than a bandwidth from all rows, and
    # then there is nothing to climb: scikit-learn refuses, as we do.
    reaches = bool(cdist(sampled(points, 1_000), grid).min() <= bandwidth)
    bins = not cell.filled and len(grid) <= MOST_BINS and reaches
    return Asked(Settings(bandwidth, bin_seeding=bins), None if bins else sampled(points, N_SEEDS))


def _make(cell: Cell) -> None:
    """Make the points, outside the race."""
    _points(cell.rows, cell.features, cell.filled)


def _time(name: str, cell: Cell, asked: Asked) -> float:
    library = next(library for library in _rivals(cell) if library.name == name)
    points = _points(cell.rows, cell.features, cell.filled)
    if library is OURS:  # what only few cells need compiles now: 1.8 s in a cell that takes 4 ms
        first = seconds(library.fit, points, *asked)
        if first > LONG:
            return first
    # Nine calls of a fifth of a millisecond would be over before the machine is calm.
    return median_seconds(library.fit, points, *asked, budget=0.3, most=99)


def _start(ours: bool) -> None:
    # As many bins as rows is a warning, and in this sweep a matter of course.
    warnings.simplefilter("ignore")
    if ours:
        warm_up()


def _worker(*, ours: bool = False) -> Pool:
    """Start a worker, and wait until it is there: it would disturb the next race.

    From a server that has imported all once. 90 of 175 races end with a stopped worker, and the
    next takes 0.02 s to come, where one that imports for itself takes 3 s.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    worker = context.Pool(1, _start, (ours,))
    worker.apply(int)
    return worker


def sweep(cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """Time ours in every cell, and the others until they have lost.

    Returns
    -------
    findings : list of dict
        For each cell its numbers, "bins" (whether all climb from bins), "ours_s", and "others_s":
        for each library that can do the cell its seconds, None if it was stopped.
    """
    findings = []
    own, rival = _worker(ours=True), _worker()
    for cell in cells:
        asked = own.apply(_asked, (cell,))
        ours = own.apply(_time, (OURS.name, cell, asked))
        bins = asked.settings.bin_seeding
        others: dict[str, float | None] = {}
        for library in _rivals(cell):
            if library is OURS or not (bins or library.any_seeds):
                continue
            rival.apply(_make, (cell,))  # a worker that replaced a stopped one has nothing yet
            try:
                race = rival.apply_async(_time, (library.name, cell, asked))
                patience = PATIENCE if ours < LONG else LESS
                others[library.name] = race.get(patience * ours + 1)
            except multiprocessing.TimeoutError:
                others[library.name] = None
                rival.terminate()
                rival.join()
                rival = _worker()
        near = {name: [took] for name, took in others.items() if took and took < NEAR * ours}
        times = {OURS.name: [ours], **near}
        for _ in range(AGAIN if near else 0):
            for name, taken in times.items():
                worker = own if name == OURS.name else rival
                taken.append(worker.apply(_time, (name, cell, asked)))
        ours = median(times[OURS.name])
        others |= {name: median(taken) for name, taken in near.items()}
        findings.append(cell._asdict() | {"bins": bins, "ours_s": ours, "others_s": others})
    for worker in (own, rival):
        worker.close()  # and not terminated: what they hold of the system would be left behind
        worker.join()
    return findings


def smallest_lead(findings: list[dict[str, Any]]) -> tuple[float, str]:
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
            f"{found['rows']:,} x {found['features']}{' filled' if found.get('filled') else ''}, "
            f"{found['neighbours']:,} rows in a ball, "
            f"{'bins' if found['bins'] else 'rows as seeds'}, {name}",
        )
        for found in findings
        for name, seconds in found["others_s"].items()
        if seconds is not None
    ]
    return min(races, default=(float("inf"), "every race was stopped"))
