"""Threads are borrowed: counted, clamped to what the machine has, shared out, given back.

    one fit at a time         all the threads that it may use
    several fits at once      an equal share each, and at least the calling thread
    in a forked child         the calling thread: Numba's threads do not survive a fork

Numba's threading layers have different limits. "workqueue" aborts the process where two threads
enter it at once, and under GNU OpenMP, on Linux Numba's "omp", Numba ends a forked child. A library
cannot choose the layer (the first kernel to run, or the user, has chosen), so in these cases
kernels run on the calling thread. Under "omp" each calling thread gets a team of its own: four fits
at once on sixteen processors would run on 64 threads.
"""

import contextlib
import importlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter

import numba

# The locks of Numba's compiler, of the start of its threads, and of LLVM, in the order in which
# Numba takes them. A child forked while another thread held one would wait for it without end.
_LOCKS = (
    ("numba.core.compiler_lock", "global_compiler_lock"),
    ("numba.np.ufunc.parallel", "_backend_init_thread_lock"),
    ("llvmlite.binding.ffi", "lib._lock"),
)

MAX_PARTS = 8  # of a table that is shared out to threads

_at_work: set[int] = set()  # the Python threads that are in a fit
_is_forked = False  # from a process where Numba's threads ran


def _note_fork() -> None:
    """Note in a forked child whether Numba's threads ran before the fork."""
    global _is_forked
    try:
        numba.threading_layer()
    except ValueError:  # no threads were started, and the child may start some
        return
    _is_forked = True


_held_over_fork = contextlib.ExitStack()


def _hold_locks() -> None:
    """Take the locks before a fork, so that the thread that forks holds them in its child."""
    for module, name in _LOCKS:
        with contextlib.suppress(ImportError, AttributeError):  # private, and may be gone
            lock = attrgetter(name)(importlib.import_module(module))
            _held_over_fork.enter_context(lock)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_hold_locks,
        after_in_parent=_held_over_fork.close,
        after_in_child=_held_over_fork.close,
    )
    os.register_at_fork(after_in_child=_note_fork)


def available_threads() -> int:
    """The number of threads that the calling thread may use at present."""
    return 1 if _is_forked else int(numba.get_num_threads())


def part_count() -> int:
    """How many parts a table is shared out in, each with memory of its own."""
    return min(available_threads(), MAX_PARTS)


def is_only_fit() -> bool:
    """Whether no other fit runs in this process, and Numba's threads were not lost in a fork."""
    return len(_at_work) < 2 and not _is_forked


@contextmanager
def thread_share() -> Iterator[bool]:
    """Take a share of Numba's threads for one kernel; False where there is none.

    Under "workqueue" only one thread may enter: a kernel that started while its fit was the only
    one keeps the threads to its end, and no other fit counts as the only one until that fit ends.
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


def no_threads_error() -> ValueError:
    """The error for ``n_jobs=0``."""
    return ValueError("n_jobs must not be 0, got 0; use None or -1 for all threads, 1 for one")


def thread_count(n_jobs: int | None) -> int:
    """The number of threads that ``n_jobs`` stands for: at least one, at most all of Numba's.

    None is as many as Numba may use at present; negative is joblib's convention, -1 all, -2 all but
    one. Raises the ValueError of `no_threads_error` for 0.
    """
    most = numba.config.NUMBA_NUM_THREADS
    if n_jobs is None:
        return available_threads()
    if n_jobs == 0:
        raise no_threads_error()
    wanted = n_jobs if n_jobs > 0 else most + 1 + n_jobs
    return int(min(max(wanted, 1), most))


def task_threads(n_jobs: int | None) -> int:
    """The ``n_jobs`` of a task of Dask, whose workers run as many as there are processors."""
    return 1 if n_jobs is None else n_jobs


@contextmanager
def borrowed_threads(n_jobs: int | None, *, alone: bool = False) -> Iterator[int]:
    """Let Numba use the threads that ``n_jobs`` stands for, and restore its setting after.

    ``alone`` means one thread, whatever ``n_jobs`` would allow.
    """
    if _is_forked:
        yield 1
        return
    # n_jobs=0 is an error of one thread too. Counting the others takes 1.3 us.
    count = 1 if alone and n_jobs != 0 else thread_count(n_jobs)
    before = numba.get_num_threads()
    caller = threading.get_ident()
    is_nested = caller in _at_work
    try:
        if count != before:  # to set them takes 2 us, a tenth of what labels a few rows
            numba.set_num_threads(count)
        _at_work.add(caller)
        yield count
    finally:
        if not is_nested:
            _at_work.discard(caller)
        numba.set_num_threads(before)
