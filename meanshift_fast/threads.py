"""Threads are borrowed: counted, clamped to what the machine has, given back."""

from collections.abc import Iterator
from contextlib import contextmanager

import numba


def thread_count(n_jobs: int | None) -> int:
    """How many threads ``n_jobs`` stands for.

    Parameters
    ----------
    n_jobs : int or None
        None: as many as Numba may use at present. A positive number: that many, clamped to
        what Numba started with. Negative: joblib's convention, -1 all, -2 all but one.

    Returns
    -------
    int
        Between 1 and ``numba.config.NUMBA_NUM_THREADS``.

    Raises
    ------
    ValueError
        "n_jobs must not be 0, ..."
    """
    most = numba.config.NUMBA_NUM_THREADS
    if n_jobs is None:
        return int(numba.get_num_threads())
    if n_jobs == 0:
        raise ValueError("n_jobs must not be 0, got 0; use None or -1 for all threads, 1 for one")
    wanted = n_jobs if n_jobs > 0 else most + 1 + n_jobs
    return int(min(max(wanted, 1), most))


@contextmanager
def borrowed_threads(n_jobs: int | None) -> Iterator[int]:
    """Let Numba use the threads that ``n_jobs`` stands for, and restore its setting after."""
    before = numba.get_num_threads()
    numba.set_num_threads(thread_count(n_jobs))
    try:
        yield numba.get_num_threads()
    finally:
        numba.set_num_threads(before)
