"""The nearest of many modes by matrix products, where columns are many.

    |x - m|^2 = |x'|^2 + |m'|^2 - 2 x'm',  x' and m' about a middle, the product in float32

Each product is off by a bounded part of |x'| |m'|: see `singles.py`. A mode whose least possible
distance exceeds the largest possible of another is not the nearest. What is left, mostly one mode,
is measured by the one expression, so labels are those of the other ways to the last tie.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index.singles import (
    MAX_COORDINATE,
    MAX_FEATURES,
    VANISHING,
    Singles,
    error_of,
    rounding_of,
    scale_of,
    singles_of,
)
from meanshift_fast._jit.blas import blas_alone, run_tasks
from meanshift_fast._jit.compiler import serial, step
from meanshift_fast._jit.simd import (
    LANES,
    bits,
    flat,
    full,
    item,
    least,
    load,
    load_from,
    lowest,
    where,
)

# One thread, 20,000 rows, ms with all modes in lanes and by products; 0.9 to 1.2 x below these:
#     columns, modes    256, 500    64, 1,000    128, 200    48, 400    512, 64    96, 100
#     lanes                  421          148          65         43        118         23
#     products               124           72          36         29         93         20
MIN_FEATURES = 48
MIN_MODES = 64
MIN_VALUES = 1 << 27  # rows times modes times features
BLOCK_VALUES = 1 << 18  # products of a block: 1 MB
N_PROBED = 64
MAX_MEASURED_SHARE = 0.05  # of the modes, a row: more take longer than to measure all in lanes
# Of the time to measure a mode, as `nearest.py` counts it.
TIME_OF_PRODUCT = 0.4


class ModeProducts(NamedTuple):
    """Modes for products.

    Attributes
    ----------
    modes : float64 array of shape (n_modes, n_features)
    middle : float64 array of shape (n_features,)
        Their mean.
    singles : Singles
        The modes about it, filled up to a multiple of sixteen.
    half : float64 array of shape (n_padded,)
        Half their squared norms; infinite for what fills up.
    """

    modes: NDArray[np.float64]
    middle: NDArray[np.float64]
    singles: Singles
    half: NDArray[np.float64]

    @classmethod
    def of(cls, modes: NDArray[np.float64]) -> "ModeProducts":
        """Convert modes of any number."""
        middle = modes.mean(axis=0)
        singles = singles_of(modes, middle)
        half = singles.half_squares(len(modes))
        return cls(np.ascontiguousarray(modes), middle, singles, half)


@step
def _bounds(values, squares, lengths, row, k, scale, slope):
    """The least and the largest half squared distance to sixteen modes, less the row's part."""
    near = load(squares, k) - load_from(values, (row + k) * LANES) * scale
    return near - load(lengths, k) * slope, near + load(lengths, k) * slope


@step
def _measure(left, k, table, row, modes, n_features, best, best_sq):
    """Measure some of sixteen modes: the nearest so far, its squared distance, and how many."""
    n_measured = 0
    while left != 0:
        mode = k * LANES + lowest(left)
        left &= left - 1
        n_measured += 1
        distance_sq = 0.0
        for f in range(n_features):
            away = item(table, row + f) - item(modes, mode * n_features + f)
            distance_sq += away * away
        if distance_sq < best_sq:
            best_sq, best = distance_sq, np.int64(mode)
    return best, best_sq, n_measured


@serial
def _label_block(
    products, unit, half, norms, slopes, offsets, points, first_row, modes, limit_sq, labels
):
    """Label rows from ``first_row`` on by their products with all modes; how many were measured.

    Parameters
    ----------
    products : float32 array of shape (n_rows, n_padded)
    unit : float
        What a product is divided by.
    half, norms : float64 arrays of shape (n_padded,)
        Of the modes.
    slopes, offsets : float64 arrays of shape (n_rows,)
        The error of a row's product with a mode of norm 1, and what is added to it for any mode.
    """
    n_vectors, n_features, n_measured = products.shape[1] // LANES, points.shape[1], 0
    arrays = flat(products), flat(half), flat(norms)
    for i in range(products.shape[0]):
        own, slope, scale, most = i * n_vectors, item(flat(slopes), i), 1.0 / unit, full(np.inf)
        for k in range(n_vectors):
            _, high = _bounds(*arrays, own, k, scale, slope)
            most = where(high < most, high, most)
        bound = least(most) + 2.0 * item(flat(offsets), i)
        row, best, best_sq = (first_row + i) * n_features, np.int64(-1), np.inf
        for k in range(n_vectors):
            low, _ = _bounds(*arrays, own, k, scale, slope)
            left = bits(low <= bound)
            if left != 0:
                best, best_sq, n = _measure(
                    left, k, flat(points), row, flat(modes), n_features, best, best_sq
                )
                n_measured += n
        labels[first_row + i] = best if best_sq <= limit_sq else -1
    return n_measured


def label_by_products(
    points: NDArray[np.float64],
    modes: ModeProducts,
    limit_sq: float,
    labels: NDArray[np.int64],
) -> None:
    """Label each row with its nearest mode; -1 where the squared distance exceeds ``limit_sq``.

    Memory: a float32 copy of the modes; on each thread some 4 MB, or 64 bytes a mode and 192 bytes
    a feature if that is more.
    """
    n_padded, n_features = modes.singles.values.shape
    n_rows = max(BLOCK_VALUES // max(n_padded, n_features), LANES)

    def worker() -> Callable[[int], None]:
        """Make the memory of a thread, and the function that runs its tasks."""
        products = np.empty((n_rows, n_padded), dtype=np.float32)

        def run(start: int) -> None:
            """Label the rows from ``start`` on, a block of products."""
            _label_some(
                points, start, min(start + n_rows, len(points)), modes, limit_sq, products, labels
            )

        return run

    n_products = n_rows * n_padded * n_features
    run_tasks(range(0, len(points), n_rows), worker, n_products=n_products)


def _label_some(
    points: NDArray[np.float64],
    start: int,
    stop: int,
    modes: ModeProducts,
    limit_sq: float,
    products: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> int:
    """Label some rows, with memory for their products; how many modes were measured."""
    away = points[start:stop] - modes.middle
    norms = np.sqrt(np.einsum("ij,ij->i", away, away))
    scale, n_features = scale_of(float(norms.max())), points.shape[1]
    made, narrow = products[: stop - start], np.empty(away.shape, dtype=np.float32)
    np.multiply(away, scale, out=narrow, casting="same_kind")
    np.dot(narrow, modes.singles.values.T, out=made)
    unit, most = scale * modes.singles.scale, float(modes.singles.norms.max())
    offsets = (
        rounding_of(n_features) * (norms * norms + most * most) + VANISHING * n_features / unit
    )
    return int(
        _label_block(
            made, unit, modes.half, modes.singles.norms, error_of(n_features) * norms, offsets,
            points, start, modes.modes, limit_sq, labels,
        )
    )  # fmt: skip


def may_serve(points: NDArray[np.float64], modes: NDArray[np.float64]) -> bool:
    """Whether a table and its modes are large enough for products, and have room in float32."""
    (n_samples, n_features), n_modes = points.shape, len(modes)
    return (
        MIN_FEATURES <= n_features <= MAX_FEATURES
        and n_modes >= MIN_MODES
        and n_samples * n_modes * n_features >= MIN_VALUES
        and max(modes.max(), -modes.min(), points.max(), -points.min()) <= MAX_COORDINATE
    )


def measured_share(points: NDArray[np.float64], modes: ModeProducts) -> float:
    """The share of the modes that products leave to be measured, of a few rows that are tried.

    A far mode or row leaves the products without digits.
    """
    tried = np.ascontiguousarray(points[:: -(-len(points) // N_PROBED)])
    products = np.empty((len(tried), len(modes.half)), dtype=np.float32)
    ignored = np.empty(len(tried), dtype=np.int64)
    with blas_alone():
        n_measured = _label_some(tried, 0, len(tried), modes, np.inf, products, ignored)
    return n_measured / (len(tried) * len(modes.modes))
