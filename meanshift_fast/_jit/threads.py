"""Threads are borrowed: counted, clamped to what the machine has, shared out, given back.

    one fit at a time         all the threads that it may use
    several fits at once      each its share of them, and at least its own
    in a forked child         its own: no thread of Numba's lives on there

Numba's three threading layers differ in what they bear. "workqueue" aborts the process where two
threads enter it at once, and GNU OpenMP, on Linux Numba's "omp", is ended by Numba in a forked
child. A library cannot choose the layer (the first one to run, or the user, has chosen), so there
kernels run on the thread that calls them. Under "omp" each thread that calls gets a team of its
own: four fits at once on sixteen processors would run on 64 threads.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numba

_at_work: set[int] = set()  # the Python threads that are in a fit
_is_forked = False  # from a process where Numba's threads ran


def _note_fork() -> None:
    global _is_forked
    try:
        numba.threading_layer()
    except ValueError:  # they never ran, and may start here
        return
    _is_forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def available_threads() -> int:
    """How many threads the caller's thread may use at present."""
    return 1 if _is_forked else int(numba.get_num_threads())


def are_ours() -> bool:
    """Whether Numba's threads are there, and nobody else is at work in this process."""
    return len(_at_work) < 2 and not _is_forked


@contextmanager
def our_share() -> Iterator[bool]:
    """Take a share of Numba's threads for one kernel; False where there is none to be had.

    Under "workqueue" no two can have a share: who saw himself alone before the others came
    keeps the threads to the end of the kernel, and nobody sees himself alone until he leaves.
    """
    if _is_forked or numba.threading_layer() == "workqueue":
        yield False
        return
    before = numba.get_num_threads()
    share = numba.config.NUMBA_NUM_THREADS // max(len(_at_work), 1)
    numba.set_num_threads(max(1, min(before, share)))
    try:
        yield True
    finally:
        numba.set_num_threads(before)


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
        return available_threads()
    if n_jobs == 0:
        raise ValueError("n_jobs must not be 0, got 0; use None or -1 for all threads, 1 for one")
    wanted = n_jobs if n_jobs > 0 else most + 1 + n_jobs
    return int(min(max(wanted, 1), most))


@contextmanager
def borrowed_threads(n_jobs: int | None, *, alone: bool = False) -> Iterator[int]:
    """Let Numba use the threads that ``n_jobs`` stands for, and restore its setting after.

    ``alone`` asks for one thread, whatever ``n_jobs`` would allow.
    """
    count = thread_count(n_jobs)
    if alone:
        count = 1
    if _is_forked:
        yield 1
        return
    before = numba.get_num_threads()
    me = threading.get_ident()
    is_nested = me in _at_work
    try:
        numba.set_num_threads(count)
        _at_work.add(me)
        yield count
    finally:
        if not is_nested:
            _at_work.discard(me)
        numba.set_num_threads(before)
