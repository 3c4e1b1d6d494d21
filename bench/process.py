"""What only a whole process shows: import time, cold start, peak memory."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

from bench.workloads import BINS, blobs

_IMPORT = """
from time import perf_counter
start = perf_counter()
import {module}
print(perf_counter() - start)
"""

# Up to 1,024 rows are fitted in one call, more stage by stage.
FIRST_FITS = (1_000, 5_000)

# The estimated bandwidth and the bins are there so that no stage is left out.
_FIRST_FIT = """
import sys
from time import perf_counter
import numpy as np
from meanshift_fast import MeanShift
points = np.load(sys.argv[1])
start = perf_counter()
MeanShift(bin_seeding=True).fit(points)
print(perf_counter() - start)
"""

# Linux hands a child the parent's ru_maxrss across exec (a child of 9 MB reported 495 MB here);
# VmHWM begins anew. Elsewhere ru_maxrss is clean, and macOS counts it in bytes.
_PEAK = """
import resource, sys
import numpy as np
from meanshift_fast import MeanShift
points = np.load(sys.argv[1])
MeanShift(bandwidth=float(sys.argv[2]), bin_seeding=True).fit(points)
if sys.platform == "linux":
    lines = dict(line.split(":") for line in open("/proc/self/status"))
    print(1024 * int(lines["VmHWM"].split()[0]))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def figure_of(code: str, *arguments: str, cache: Path | None = None) -> float:
    """Run code in a new interpreter and read the figure that it prints."""
    environment = os.environ if cache is None else os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def import_seconds(*modules: str, repeats: int) -> list[float]:
    """Time the import of modules, each in its own process.

    Parameters
    ----------
    *modules : str
        Dotted names.
    repeats : int
        Processes for each module, after one that fills the disk's cache. The modules take turns.

    Returns
    -------
    seconds : list of float
        The median for each module.
    """
    rounds = [
        [figure_of(_IMPORT.format(module=module)) for module in modules] for _ in range(repeats + 1)
    ]
    return [median(times) for times in zip(*rounds[1:], strict=True)]


def first_fit_seconds(rows: int, repeats: int) -> tuple[float, float]:
    """Time the first fit of a process, without the import.

    Parameters
    ----------
    rows : int
        Of blobs in the plane.
    repeats : int
        Processes with a filled cache.

    Returns
    -------
    cold : float
        With an empty Numba cache: once, in seconds.
    later : float
        With the cache that the cold one left: the median of `repeats` processes, in seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "points.npy")
        np.save(table, blobs(rows))
        cache = Path(folder, "cache")
        cold, *later = (figure_of(_FIRST_FIT, str(table), cache=cache) for _ in range(repeats + 1))
    return cold, median(later)


def peak_memory(rows: int) -> tuple[int, int]:
    """Measure the largest memory of a process that loads points and fits them.

    Parameters
    ----------
    rows : int
        Of blobs in the plane, clustered with bins.

    Returns
    -------
    points : int
        What the points themselves take, in bytes.
    peak : int
        The largest resident memory, in bytes: interpreter, points and fit.
    """
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "points.npy")
        points = blobs(rows)
        np.save(table, points)
        return points.nbytes, int(figure_of(_PEAK, str(table), str(BINS.bandwidth)))
