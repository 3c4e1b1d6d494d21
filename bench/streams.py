"""What streams and Dask take: ``python -m bench.streams`` measures it, in about five minutes.

Every line is a process of its own. A stream's rows are made as they are asked for, 20 blobs in a
40-box as float32, so that its memory is what the fit takes. Dask's cluster is two workers of one
thread, on this machine: its figures say how the work divides, not how fast a cluster is.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from math import ceil, log

import numpy as np

from bench.adapters import Clustering
from bench.agreement import agreement
from bench.clock import seconds
from bench.targets import Results
from meanshift_fast import MeanShift
from meanshift_fast.stream import fit_batches

_STREAM = """
import json, resource, sys, time
import numpy as np
from meanshift_fast import warm_up
from meanshift_fast.stream import fit_batches

rows, chunk = int(float(sys.argv[1])), 1_000_000
centers = np.random.default_rng(3).uniform(0, 40, (20, 2)).astype(np.float32)

making = [0.0]

def batches():
    for first in range(0, rows, chunk):
        start = time.perf_counter()
        rng = np.random.default_rng(first)
        size = min(chunk, rows - first)
        batch = rng.standard_normal((size, 2), dtype=np.float32)
        batch += centers[rng.integers(20, size=size)]
        making[0] += time.perf_counter() - start
        yield batch

warm_up()
fit_batches([next(batches())], bandwidth=1.5, bin_seeding=True)  # loads the kernels
making[0] = 0.0
start = time.perf_counter()
model = fit_batches(batches, bandwidth=1.5, bin_seeding=True)
fit = time.perf_counter() - start - making[0]
if sys.platform == "linux":  # as in process.py
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    peak = 1024 * int(lines["VmHWM"].split()[0])
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"making_s": making[0], "fit_s": fit, "peak_bytes": peak,
                  "centers": len(model.cluster_centers_)}))
"""

_DASK = """
import json, sys, time
import dask.array as da
from distributed import Client, LocalCluster
from meanshift_fast import warm_up
from meanshift_fast.dask import MeanShift
import numpy as np

def main():
    rows, n_workers = int(float(sys.argv[1])), int(sys.argv[2])
    chunk = -(-rows // 16)
    with LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0") as cluster:
        with Client(cluster):
            centers = np.random.default_rng(3).uniform(0, 40, (20, 2))
            rng = da.random.default_rng(0)
            which = rng.integers(20, size=rows, chunks=chunk)
            X = rng.standard_normal((rows, 2), chunks=(chunk, 2))
            X = (X + which.map_blocks(lambda w: centers[w], new_axis=1, chunks=(X.chunks[0], (2,)),
                                      dtype=float)).persist()
            X.sum().compute()
            warm_up()
            model = MeanShift(bandwidth=1.5, bin_seeding=True)
            model.fit(X[: 2 * chunk]).labels_.sum().compute()
            start = time.perf_counter()
            model.fit(X)
            fit = time.perf_counter() - start
            start = time.perf_counter()
            model.labels_.sum().compute()
            print(json.dumps({"fit_s": fit, "labels_s": time.perf_counter() - start,
                              "centers": len(model.cluster_centers_)}))

if __name__ == "__main__":
    main()
"""


PARTITIONS = 16
# What is predicted, of what nobody measured: rows, workers, partitions.
FAR = 10**10, 100, 1000


def _measured(program: str, *arguments: str) -> dict[str, float]:
    """Run a program in a process of its own; the figures that it prints last."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def measure(quick: bool) -> Results:
    """Measure streams, Dask, and how near a stream comes to a fit in memory.

    Returns
    -------
    dict
        "stream": rows -> its figures; "dask": rows -> workers -> its figures; "retina": see
        `retina`.
    """
    sizes = (10**5,) if quick else (10**6, 10**7, 10**8)
    return {
        "stream": {str(rows): _measured(_STREAM, str(rows)) for rows in sizes},
        "dask": {
            str(rows): {str(n): _measured(_DASK, str(rows), str(n)) for n in (1, 2)}
            for rows in sizes
        },
        "retina": retina(10 if quick else 1),
    }


def retina(every: int) -> Results:
    """Compare a stream of scikit-image's picture of a retina with a fit in memory.

    Parameters
    ----------
    every : int
        Take every so many-th of its 1,990,921 pixels.

    Returns
    -------
    dict
        "rows", "memory_s", "stream_s" (with the labels), "centers", "center_distance" in
        bandwidths and "ari".
    """
    from skimage import data

    points = np.ascontiguousarray(data.retina().reshape(-1, 3)[::every], dtype=np.float64)
    cuts = np.linspace(0, len(points), 11).astype(int)
    batches = [points[start:stop] for start, stop in pairwise(cuts)]
    bandwidth = 20.0
    answers = []

    def in_memory() -> None:
        model = MeanShift(bandwidth=bandwidth, bin_seeding=True).fit(points)
        answers.append(Clustering(model.cluster_centers_, model.labels_))

    def streamed() -> None:
        model = fit_batches(batches, bandwidth=bandwidth, bin_seeding=True)
        labels = np.concatenate([model.predict(batch) for batch in batches])
        answers.append(Clustering(model.cluster_centers_, labels))

    in_memory()  # these two compile
    streamed()
    answers.clear()
    memory_s, stream_s = seconds(in_memory), seconds(streamed)
    found = agreement(answers[1], answers[0], bandwidth)
    return {
        "rows": len(points),
        "bandwidth": bandwidth,
        "memory_s": memory_s,
        "stream_s": stream_s,
        "centers": len(answers[0].centers),
        **found._asdict(),
    }


def tables(results: Results) -> Iterator[str]:
    """Write the lines of the manual's part on streams and Dask."""
    yield "| a stream of float32 x 2, rows | fit | a row | peak of the whole process |"
    yield "| ---: | ---: | ---: | ---: |"
    for rows, found in results["stream"].items():
        yield (
            f"| {int(rows):,} | {found['fit_s']:.2f} s | {found['fit_s'] / int(rows) * 1e9:.0f} ns "
            f"| {found['peak_bytes'] / 1e6:,.0f} MB |"
        )
    yield ""
    yield (
        "| Dask, float64 x 2, rows | fit, 1 worker | fit, 2 workers | labels, 1 worker "
        "| labels, 2 workers |"
    )
    yield "| ---: | ---: | ---: | ---: | ---: |"
    for rows, workers in results["dask"].items():
        times = [workers[n][stage] for stage in ("fit_s", "labels_s") for n in ("1", "2")]
        yield f"| {int(rows):,} | {' | '.join(f'{time:.2f} s' for time in times)} |"
    yield ""
    retina = results["retina"]
    yield (
        f"The {retina['rows']:,} pixels of scikit-image's retina, bandwidth "
        f"{retina['bandwidth']:g}: {retina['memory_s']:.2f} s in memory, "
        f"{retina['stream_s']:.2f} s as a stream with its labels; {retina['centers']} centres, "
        f"at most {retina['center_distance']:.0e} bandwidths apart, ARI {retina['ari']:.5f}."
    )
    yield ""
    yield predicted(results)


def predicted(results: Results) -> str:
    """Say what the longest runs of one worker would make of far more rows on far more workers."""
    rows, n_workers, n_partitions = FAR
    least, most = (results["dask"][size]["1"] for size in _ends(results["dask"]))
    sizes = [int(size) for size in _ends(results["dask"])]
    spared = max(sizes[1] - sizes[0], 1)
    a_row = {stage: max(most[stage] - least[stage], 0.0) / spared for stage in least}
    if sizes[0] == sizes[1]:
        a_row = {stage: most[stage] / sizes[1] for stage in most}
    fixed = max(least["fit_s"] - a_row["fit_s"] * sizes[0], 0.0) / PARTITIONS
    condense = rows / n_workers * a_row["fit_s"] + n_partitions / n_workers * fixed
    labels = rows / n_workers * a_row["labels_s"]
    levels = ceil(log(n_partitions, 8))
    return (
        f"**A prediction, not a measurement:** for {rows:,} rows on {n_workers} workers in "
        f"{n_partitions:,} partitions these figures give {condense:.0f} s of condensing, with as "
        f"much merging and fitting as there was here, and {labels:.0f} s for the labels. The "
        f"merging has {levels} levels where it had {ceil(log(PARTITIONS, 8))}. The reading of the "
        "rows and the moving of cells over a network are not in it, and nothing above 2 workers "
        "was measured."
    )


def _ends(sizes: Results) -> tuple[str, str]:
    ordered = sorted(sizes, key=int)
    return ordered[0], ordered[-1]


if __name__ == "__main__":
    print("\n".join(tables(measure(quick="--quick" in sys.argv[1:]))))
