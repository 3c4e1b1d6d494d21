"""What test_layers.py runs in a process of its own, under each of Numba's threading layers.

A main module, because spawned children import it. It forks a process for each layer, before any
kernel has run. Its arguments are a folder, and for each layer the kinds of children to start. Each
step writes a line of JSON to the file of its layer in the folder.
"""

import hashlib
import json
import multiprocessing
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numba
import numpy as np

import samples
from meanshift_fast import MeanShift, estimate_bandwidth

AT_ONCE = 4
LOOKS = 50
CASES = {
    "every row a seed": (samples.blobs(6000, 2), {"bandwidth": 0.5}),
    "bins": (samples.blobs(60_000, 2, n_blobs=9), {"bandwidth": 0.7, "bin_seeding": True}),
    "cells": (samples.blobs(270_000, 2), {"bandwidth": 0.4, "seeds": samples.blobs(90, 2)}),
    "estimated": (samples.blobs(2000, 3), {}),
}


def digest(name, progress=False):
    """Everything that a fit and a predict say of a case."""
    X, params = CASES[name]
    model = MeanShift(progress=progress, **params).fit(X)
    said = (model.cluster_centers_, model.labels_, model.mode_weight_, model.history_)
    said = (*said, model.predict(X), estimate_bandwidth(X[:2000]))
    return hashlib.sha256(b"".join(np.asarray(part).tobytes() for part in said)).hexdigest()


def digests():
    return {name: digest(name) for name in CASES}


def at_once():
    """Every case in a thread of its own, all at once; and the threads of Numba, as found after."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(CASES, pool.map(digest, CASES), strict=True))
    return found | {"threads": numba.get_num_threads()}


def child(queue):
    queue.put([digests(), at_once()])


def grandchild(queue):
    """A child of a child that has not run a kernel is none of the process that has."""
    process = multiprocessing.get_context("fork").Process(target=child, args=(queue,))
    process.start()
    process.join()


def in_a_child(method, target=child):
    """What a child process says, and how it ends."""
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=target, args=(queue,))
    process.start()
    process.join(600)
    process.kill()
    return [process.exitcode, None if queue.empty() else queue.get()]


KINDS_OF_CHILDREN = {
    "fork": ("fork",),
    "fork, twice": ("fork", grandchild),
    "forkserver": ("forkserver",),
    "spawn": ("spawn",),
}


def threads_that_run(me):
    """How many threads of this process run now, one of them not counted."""
    states = [
        task.joinpath("stat").read_text().rpartition(")")[2].split()[0]
        for task in Path("/proc/self/task").iterdir()
        if int(task.name) != me and task.exists()
    ]
    return states.count("R")


def running():
    """The most threads seen to run at once while four fits ascend, this one not counted.

    They ascend when all four have come so far, and again until some were seen to run at 50 looks.
    """
    everybody_here = threading.Barrier(AT_ONCE)
    waited = set()

    def wait(done, total, stage):
        if stage == "tree" and threading.get_ident() not in waited:
            waited.add(threading.get_ident())
            everybody_here.wait(300)

    X = samples.blobs(40_000, 2)
    me, seen = threading.get_native_id(), []

    def fit_until_seen():
        while len(seen) < LOOKS:
            MeanShift(bandwidth=1.0, progress=wait).fit(X)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        fits = [pool.submit(fit_until_seen) for _ in range(AT_ONCE)]
        while len(seen) < LOOKS and not any(fit.done() for fit in fits):
            if len(waited) == AT_ONCE and (n_running := threads_that_run(me)) > 0:
                seen.append(n_running)
    for fit in fits:
        fit.result()
    return max(seen)


def main(children):
    """Take all steps under the layer that Numba has been given."""
    steps = {
        "here": digests,
        "layer": numba.threading_layer,
        "at once": at_once,
        **{name: partial(in_a_child, *KINDS_OF_CHILDREN[name]) for name in children},
        "here, after": digests,
    }
    if os.path.isdir("/proc/self/task"):
        steps["running"] = running
    for name, step in steps.items():
        print(json.dumps([name, step()]), flush=True)


def under(layer, run, path, *args):
    """Run something under a layer, in a fork that has its own file for stdout."""
    os.environ["NUMBA_THREADING_LAYER"] = numba.config.THREADING_LAYER = layer
    os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), 1)
    run(*args)


def run_at_once(started):
    """Run some processes to their end."""
    for process in started:
        process.start()
    for process in started:
        process.join()
    if any(process.exitcode for process in started):
        sys.exit(f"exit codes {[process.exitcode for process in started]}")


if __name__ == "__main__":
    import forks

    folder, children = Path(sys.argv[1]), json.loads(sys.argv[2])
    fork = multiprocessing.get_context("fork").Process
    processes = [
        fork(target=under, args=(layer, main, folder / layer, kinds))
        for layer, kinds in children.items()
    ]
    run_at_once(processes[:1])  # what it compiles the others load
    # The threads load kernels for one thread, as "workqueue" demands, under the compiler's lock.
    of_forks = fork(target=under, args=("workqueue", forks.main, folder / "forks"))
    run_at_once([*processes[1:], of_forks])
