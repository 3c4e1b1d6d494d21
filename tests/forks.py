"""What layers.py runs in a process of its own: forks while eight threads fit.

Prints how each child ended: 0, or a signal's number below 0 where it hung.
"""

import json
import multiprocessing
import threading
import time

import samples
from meanshift_fast import MeanShift, estimate_bandwidth

N_THREADS, N_FORKS, LIMIT_S = 8, 12, 1500
X = samples.blobs(3000, 2)


def fit():
    MeanShift(bandwidth=0.5, bin_seeding=True).fit(X)


def work(until):
    while not until.is_set():
        MeanShift(bandwidth=0.5).fit(X).predict(X)
        estimate_bandwidth(X[:600])


def main():
    fit()  # Numba's threads run
    until = threading.Event()
    threads = [threading.Thread(target=work, args=(until,)) for _ in range(N_THREADS)]
    for thread in threads:
        thread.start()
    children = []
    for _ in range(N_FORKS):
        time.sleep(0.02)
        children.append(multiprocessing.get_context("fork").Process(target=fit))
        children[-1].start()
    until.set()
    limit = time.monotonic() + LIMIT_S
    for child in children:
        child.join(max(0.0, limit - time.monotonic()))
        child.kill()
        child.join()
    print(json.dumps([child.exitcode for child in children]))
