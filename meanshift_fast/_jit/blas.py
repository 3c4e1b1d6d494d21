"""Matrix products on the threads of a fit: each thread multiplies, and scans what it multiplied.

    tasks --> thread 1: product of a tile, kernel on it, the next task
          `-> thread 2: ...                                             BLAS on one thread each

The threads of a BLAS library keep spinning for a while after a product, beside Numba's. So BLAS is
held to the thread that calls it, and products run side by side: each is still in its thread's cache
when a `serial` kernel reads it.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.deferral import deferred_signals
from meanshift_fast._jit.threads import available_threads

Task = TypeVar("Task")

FIRST_CHUNK_PRODUCTS = 1 << 32  # numbers that the first chunk multiplies and adds, at most

_lock = threading.Lock()
_n_users = 0
_limits: Any = None
_controller: Any = None


def _reset_users() -> None:
    """Give BLAS its threads back in a forked child, where no other thread runs."""
    global _lock, _n_users
    _lock = threading.Lock()
    if _n_users:
        _n_users = 0
        _limits.restore_original_limits()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_users)


@contextmanager
def blas_alone() -> Iterator[None]:
    """Hold BLAS to the calling thread; the last of several users at once restores its setting."""
    global _n_users, _limits, _controller
    with _lock:
        if _n_users == 0:
            if _controller is None:  # it searches the libraries for some milliseconds
                _controller = ThreadpoolController()
            _limits = _controller.limit(limits=1, user_api="blas")
        _n_users += 1
    try:
        yield
    finally:
        with _lock:
            _n_users -= 1
            if _n_users == 0:
                _limits.restore_original_limits()


def _run(
    tasks: Sequence[Task], worker: Callable[[], Callable[[Task], None]], n_threads: int
) -> None:
    """Run tasks on some threads, the calling one among them."""
    waiting, lock = iter(tasks), threading.Lock()

    def work() -> None:
        """Run tasks until none is left."""
        run = worker()
        while True:
            with lock:
                task = next(waiting, None)
            if task is None:
                return
            run(task)

    n_others = min(n_threads, len(tasks)) - 1
    if n_others < 1:
        work()
        return
    with ThreadPoolExecutor(n_others) as pool:
        # A signal that is handled while a thread starts would leave it out of those the pool ends.
        with deferred_signals():
            others = [pool.submit(work) for _ in range(n_others)]
        work()
        for other in others:
            other.result()


def run_tasks(
    tasks: Sequence[Task], worker: Callable[[], Callable[[Task], None]], *, n_products: int
) -> None:
    """Run tasks of matrix products on all threads of a fit, in chunks.

    No task is None; they run in any order, and at once. ``worker`` is called once on each thread,
    and returns what runs a task, with memory of its own. ``n_products`` is how many numbers a task
    multiplies and adds, for the length of the first chunk.
    """
    n_threads = available_threads()
    first = max(FIRST_CHUNK_PRODUCTS // n_products, n_threads)
    with blas_alone():
        for start, stop in chunks(len(tasks), first=first, multiple=n_threads):
            _run(tasks[start:stop], worker, n_threads)
