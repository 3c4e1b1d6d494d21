"""How many threads of a process may work and did, in a worker as well as here. Linux only."""

import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numba

from meanshift_fast import MeanShift
from meanshift_fast._jit.compiler import Parallel
from samples import blobs


def processor_times():
    """Nanoseconds on a processor, of each thread of this process."""
    return {
        task.name: int((task / "schedstat").read_text().split()[0])
        for task in Path("/proc/self/task").iterdir()
    }


_open = []  # the sets of those who note threads at present
_lock = threading.Lock()


def _noted(kernel):
    for seen in _open:
        seen.add(numba.get_num_threads())
    return vars(kernel)["spread"]


@contextmanager
def threads_allowed():
    """The numbers of threads that Numba may use for the parallel kernels called meanwhile: a set.

    However busy the processors are; which thread then does how much of the work depends on them.
    """
    seen = set()
    with _lock:
        _open.append(seen)
        Parallel.spread = property(_noted)  # goes before the attribute of each kernel
    try:
        yield seen
    finally:
        with _lock:
            _open[:] = [other for other in _open if other is not seen]
            if not _open:
                del Parallel.spread


def threads_at_work(work, seconds=1.0):
    """Repeat some work for so long on processors: how many threads took over a fifth of the time.

    The main thread does not count where another one works: in a worker it is an event loop, which
    takes a twentieth of the time and once took a fifth.
    """
    work()  # whatever compiles does so now
    before, end = processor_times(), time.process_time() + seconds
    while time.process_time() < end:
        work()
    after = processor_times()
    if threading.current_thread() is not threading.main_thread():
        after.pop(str(threading.main_thread().native_id), None)
    took = [spent - before.get(task, 0) for task, spent in after.items()]
    return sum(spent > sum(took) / 5 for spent in took)


def fit_and_count(seed, n_jobs=None):
    """The centres of a table of blobs, how many threads may find them, and how many did."""
    X = blobs(100_000, 2, seed=seed)
    model = MeanShift(bandwidth=1.0, bin_seeding=True, n_jobs=n_jobs)
    with threads_allowed() as allowed:
        centers = model.fit(X).cluster_centers_
    return centers, max(allowed), threads_at_work(lambda: model.fit(X).predict(X))
