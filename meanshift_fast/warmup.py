"""warm_up compiles before the first fit; other functions show compiled kernels and threads."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numba import threading_layer
from numba.extending import is_jitted

from meanshift_fast._index.moment_tree import MAX_MEDIAN_ROWS
from meanshift_fast._jit.compiler import Parallel
from meanshift_fast._jit.threads import thread_count
from meanshift_fast.estimator import MeanShift


def warm_up() -> None:
    """Compile, or load from the cache, what a first fit and predict need.

    Call it where a pause is welcome: it takes some seconds with an empty cache, and a fraction of
    one after. ``meanshift-fast warmup`` does the same from the command line. What few fits need
    (the Gaussian kernel, ``coalesce``, hundreds of centres) compiles where it is first met.

    See Also
    --------
    MeanShift : What it warms up.

    Examples
    --------
    >>> from meanshift_fast import warm_up
    >>> warm_up()
    """
    grid = np.stack(np.meshgrid(np.arange(80.0), np.arange(80.0)), axis=-1).reshape(-1, 2)
    model = MeanShift(bandwidth=20.0, bin_seeding=True, cluster_all=False).fit(grid)
    model.predict(grid)
    # Thousands of trajectories shift in blocks, few alone; rows of the fit are looked up.
    MeanShift(bandwidth=20.0, assign="basin").fit(grid).predict(grid[:2] + 0.5)
    # Large tables have bins in several parts, which are joined, and a tree over cells.
    large = np.tile(0.3 * grid, (MAX_MEDIAN_ROWS // len(grid) + 1, 1))
    MeanShift(bandwidth=8.0, bin_seeding=True).fit(large)
    MeanShift().fit(grid[:1100])
    # Small ones are fitted in one call, and their bandwidth is estimated in another.
    MeanShift(bin_seeding=True).fit(grid[:200])
    # Many columns have an index of their own, where the rows lie near few axes.
    MeanShift(bandwidth=20.0).fit(np.tile(grid[:300], (1, 20)))


def compiled_count() -> int:
    """Count the kernels that this process compiled because no cache had them."""
    return sum(
        len(kernel.overloads) - sum(kernel.stats.cache_hits.values()) for kernel in _kernels()
    )


def cache_folders() -> list[Path]:
    """List the folders that hold compiled kernels; none where no folder can be written."""
    folders = {kernel.stats.cache_path for kernel in _kernels()}
    return sorted(Path(folder) for folder in folders if folder)


def threads_and_layer() -> tuple[int, int, str]:
    """Count the threads of a fit and those of the machine, and name Numba's threading layer.

    Counting the threads starts them, and only then is the layer known.
    """
    counts = thread_count(None), thread_count(-1)
    return *counts, threading_layer()


def _kernels() -> list[Any]:
    values = [
        value.spread if isinstance(value, Parallel) else value
        for name, module in list(sys.modules.items())
        if name.startswith("meanshift_fast.")
        for value in vars(module).values()
    ]
    return list({id(value): value for value in values if is_jitted(value)}.values())
