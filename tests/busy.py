"""How many threads of a process were at work, in a worker as well as here. Linux only."""

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
    """Repeat some work for so long: how many threads did a third as much as the busiest.

    A worker's event loop does a tenth as much, and did a quarter once.
    """
    work()  # whatever compiles does so now
    before, end = processor_times(), time.process_time() + seconds
    while time.process_time() < end:
        work()
    after = processor_times()
    took = [spent - before.get(task, 0) for task, spent in after.items()]
    return sum(spent > max(took) / 3 for spent in took)


def fit_and_count(seed, n_jobs=None):
    """The centres of a table of blobs, and how many threads found them."""
    X = blobs(100_000, 2, seed=seed)
    # Climbing, which all threads do: of a fit from bins a second one does a third, and waits.
    model = MeanShift(bandwidth=1.0, seeds=X[:2000], n_jobs=n_jobs)
    return model.fit(X).cluster_centers_, threads_at_work(lambda: model.fit(X))
