"""How many threads of a process were at work, in a worker as well as here. Linux only."""

import threading
import time
from pathlib import Path

from meanshift_fast import MeanShift
from samples import blobs


def processor_times():
    """Nanoseconds on a processor, of each thread of this process."""
    return {
        task.name: int((task / "schedstat").read_text().split()[0])
        for task in Path("/proc/self/task").iterdir()
    }


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
    """The centres of a table of blobs, and how many threads found them."""
    X = blobs(100_000, 2, seed=seed)
    model = MeanShift(bandwidth=1.0, bin_seeding=True, n_jobs=n_jobs)
    return model.fit(X).cluster_centers_, threads_at_work(lambda: model.fit(X).predict(X))
