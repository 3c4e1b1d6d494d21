"""What streams and Dask take: ``python -m bench.streams`` prints it, in about five minutes.

Every line is a process of its own. A stream's rows are made as they are asked for, 20 blobs in a
40-box as float32, so that its memory is what the fit takes. Dask's cluster is two workers of one
thread, on this machine: its figures say how the work divides, not how fast a cluster is.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence

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
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
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
    chunk = rows // 16
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


def _measured(program: str, *arguments: str) -> dict[str, float]:
    """Run a program in a process of its own; the figures that it prints last."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table of each."""
    parser = argparse.ArgumentParser(prog="python -m bench.streams", description=__doc__)
    parser.add_argument("--most", type=float, default=1e8, help="rows of the longest stream")
    chosen = parser.parse_args(arguments)
    sizes = [rows for rows in (1e6, 1e7, 1e8) if rows <= chosen.most]
    print("stream, float32 x 2: rows, seconds, ns a row, peak MB, centres")
    for rows in sizes:
        found = _measured(_STREAM, str(rows))
        print(
            f"{rows:,.0f}  {found['fit_s']:.2f}  {found['fit_s'] / rows * 1e9:.0f}  "
            f"{found['peak_bytes'] / 1e6:.0f}  {found['centers']}",
            flush=True,
        )
    print("dask, float64 x 2: rows, workers, seconds of fit, of labels, centres")
    for rows in sizes:
        for workers in (1, 2):
            found = _measured(_DASK, str(rows), str(workers))
            print(
                f"{rows:,.0f}  {workers}  {found['fit_s']:.2f}  {found['labels_s']:.2f}  "
                f"{found['centers']}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
