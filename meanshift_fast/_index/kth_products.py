"""The distance to the k-th neighbour by matrix products, where rows fill many columns.

    squared distances of a row in float32     ----|---[ a - 2e : a : a + 2e ]---|---->
    a is the k-th of them, e their error           counted      measured

Each squared distance is off by at most e, so the true k-th is within e of a: what is nearer than
a - 2e is nearer than the k-th, and the few within 2e of a are measured by the one expression. So
the k-th distance is exact.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index.kth_select import kth_sq, select_weighted
from meanshift_fast._index.singles import VANISHING, error_of, padded, rounding_of, singles_of
from meanshift_fast._jit.blas import run_tasks
from meanshift_fast._jit.compiler import serial, step
from meanshift_fast._jit.simd import (
    LANES,
    bits,
    flat,
    full,
    item,
    load,
    load_from,
    lowest,
    put,
    store,
    total,
    where,
)

BLOCK_VALUES = 1 << 21  # products of a block: 8 MB


@step
def _measure_near(
    points, row, n_features, measured, lane_weights, n_leaves, low, high, kept, kept_weights
):
    """Measure rows between two approximate distances: how many, and the weight of those nearer."""
    nearer, n_kept, zero = full(0.0), np.int64(0), full(0.0)
    own = row * n_features
    for k in range(n_leaves):
        distance_sq = load(measured, k)
        below = distance_sq < low
        nearer = nearer + where(below, load(lane_weights, k), zero)
        left = bits(distance_sq <= high) & ~bits(below)
        while left != 0:
            other = k * LANES + lowest(left)
            left &= left - 1
            exact, first = 0.0, other * n_features
            for f in range(n_features):
                away = item(points, first + f) - item(points, own + f)
                exact += away * away
            put(kept, n_kept, exact)
            put(kept_weights, n_kept, item(lane_weights, other))
            n_kept += 1
    return n_kept, total(nearer)


@serial
def _search_block(
    products, scale, norms_sq, errors, points, first_row, k, bracket, weights, memory, found
):
    """Find the squared k-th distances of some rows from their products with all."""
    n_leaves, n_features = products.shape[1] // LANES, points.shape[1]
    values, squares, lane_weights = flat(products), flat(norms_sq), flat(weights)
    measured, kept, kept_weights, table = memory[0], memory[1], memory[2], flat(points)
    measured, kept, kept_weights = flat(measured), flat(kept), flat(kept_weights)
    for i in range(products.shape[0]):
        row = first_row + i
        own_sq, zero = item(squares, row), full(0.0)
        for j in range(n_leaves):
            product = load_from(values, (i * n_leaves + j) * LANES)
            distance_sq = load(squares, j) + own_sq - product * scale
            store(measured, j, where(distance_sq > 0.0, distance_sq, zero))
        near_sq = kth_sq(
            measured, 0, lane_weights, n_leaves, k, bracket, kept, kept_weights
        )  # fmt: skip
        wide = 2.0 * errors[row]
        n_kept, nearer = _measure_near(
            table, row, n_features, measured, lane_weights, n_leaves, near_sq - wide,
            near_sq + wide, kept, kept_weights,
        )  # fmt: skip
        found[row] = np.sqrt(select_weighted(kept, kept_weights, n_kept, k - nearer))


def kth_distances(
    points: NDArray[np.float64], weights: NDArray[np.float64], k: float
) -> NDArray[np.float64]:
    """Find each row's distance to its k-th neighbour: exact, whatever the BLAS library.

    ``points`` are read-only and C-ordered, as `singles.py` takes them; ``weights`` are empty where
    all are 1; ``k`` is the weight to find, that of the row itself among it. Memory: a float32 copy
    of the table, and 8 MB and 24 bytes a row on each thread.
    """
    n_samples, n_features = points.shape
    singles = singles_of(points, points.mean(axis=0))
    norms_sq = singles.norms * singles.norms
    most_sq, unit = float(norms_sq.max()), singles.scale * singles.scale
    norms_sq[n_samples:] = np.inf
    errors = 2.0 * error_of(n_features) * np.sqrt(most_sq) * singles.norms[:n_samples]
    errors += 4.0 * rounding_of(n_features) * most_sq + 2.0 * VANISHING * n_features / unit
    lane_weights = np.zeros(padded(n_samples))
    lane_weights[:n_samples] = weights if weights.size else 1.0
    bracket = (0.0, 4.1 * most_sq, float(lane_weights.sum()))
    found = np.empty(n_samples)
    n_rows = max(BLOCK_VALUES // len(norms_sq), 1)

    def worker() -> Callable[[int], None]:
        """Make the memory of a thread, and the function that runs its tasks."""
        products = np.empty((n_rows, len(norms_sq)), dtype=np.float32)
        memory = tuple(np.empty(len(norms_sq)) for _ in range(3))

        def run(start: int) -> None:
            """Search the rows from ``start`` on, a block of products."""
            stop = min(start + n_rows, n_samples)
            some = products[: stop - start]
            np.dot(singles.values[start:stop], singles.values.T, out=some)
            _search_block(
                some, 2.0 / unit, norms_sq, errors, points, start, k, bracket, lane_weights,
                memory, found,
            )  # fmt: skip

        return run

    n_products = n_rows * len(norms_sq) * n_features
    run_tasks(range(0, n_samples, n_rows), worker, n_products=n_products)
    return found
