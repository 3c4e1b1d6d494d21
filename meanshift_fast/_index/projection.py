"""Projections of rows in many columns: sixteen axes of large spread, and the distance from them.

    row x, middle c          along the axes: z = V'(x - c)          off the axes: q = |x - c - V z|

The axes are found by power iteration on some of the rows. They need not be the principal axes: any
orthonormal ones give true bounds, see `projected.py`, which uses them.
"""

from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.moment_tree import MomentTree, build
from meanshift_fast._jit.compiler import parallel, serial, step
from meanshift_fast._jit.simd import LANES, flat, full, fused, item, load, put, store, total

MAX_AXES = 16
SAMPLE_ROWS = 512  # that choose the axes
POWER_ITERATIONS = 8
TASK_ROWS = 256  # that one task projects


class Projections(NamedTuple):
    """Rows in the order of a moment tree over their projections.

    Attributes
    ----------
    rows : float64 array of shape (n_samples, width)
        The rows by rank; zeros fill up the features to a multiple of sixteen.
    row_weights : float64 array of shape (n_samples,) or (0,)
        Their weights; empty where all are 1.
    sums : float64 array of shape (n_blocks, 16, width)
        The weighted sums of the rows of each block's children.
    middle : float64 array of shape (width,)
        The mean of some rows.
    axes : float64 array of shape (n_axes, width)
        Orthonormal directions, that of the largest spread first.
    extent : float
        The largest distance of a row from the middle.
    blur : float
        The error of projections, relative to the lengths that they are made of.
    """

    rows: NDArray[np.float64]
    row_weights: NDArray[np.float64]
    sums: NDArray[np.float64]
    middle: NDArray[np.float64]
    axes: NDArray[np.float64]
    extent: float
    blur: float


@step
def project_position(middle, axes, n_axes, n_vectors, place, off, projection):
    """Project a position; returns its distance from the middle."""
    distance_sq = full(0.0)
    for k in range(n_vectors):
        away = load(place, k) - load(middle, k)
        store(off, k, away)
        distance_sq = fused(away, away, distance_sq)
    for axis in range(n_axes):
        along = full(0.0)
        for k in range(n_vectors):
            along = fused(load(off, k), load(axes, axis * n_vectors + k), along)
        put(projection, axis, total(along))
    off_sq = full(0.0)
    for k in range(n_vectors):
        away = load(off, k)
        for axis in range(n_axes):
            away = fused(load(axes, axis * n_vectors + k), -item(projection, axis), away)
        off_sq = fused(away, away, off_sq)
    put(projection, n_axes, np.sqrt(total(off_sq)))
    return np.sqrt(total(distance_sq))


@step
def _project_rows(points, start, stop, middle, axes, projections, distances, memory):
    n_features, n_axes, width = points.shape[1], axes.shape[0], axes.shape[1]
    for row in range(start, stop):
        for f in range(n_features):
            put(flat(memory[0]), f, points[row, f])
        distances[row] = project_position(
            flat(middle), flat(axes), n_axes, width // LANES, flat(memory[0]), flat(memory[1]),
            flat(memory[2]),
        )  # fmt: skip
        for axis in range(n_axes + 1):
            projections[row, axis] = memory[2, axis]


@parallel
def _project_all(points, middle, axes, projections, distances):
    for task in prange((points.shape[0] + TASK_ROWS - 1) // TASK_ROWS):
        start, stop = np.int64(task * TASK_ROWS), min((task + 1) * TASK_ROWS, points.shape[0])
        memory = np.zeros((3, axes.shape[1] + LANES))
        _project_rows(points, start, stop, middle, axes, projections, distances, memory)


@step
def _dot(one, i, other, j, n_vectors):
    """The product of row ``i`` of one matrix and row ``j`` of another."""
    sums = full(0.0)
    for k in range(n_vectors):
        sums = sums + load(one, i * n_vectors + k) * load(other, j * n_vectors + k)
    return total(sums)


@step
def _add_multiple(one, i, other, j, n_vectors, factor):
    """Add ``factor`` times row ``j`` of one matrix to row ``i`` of another."""
    for k in range(n_vectors):
        product = load(other, j * n_vectors + k) * factor
        store(one, i * n_vectors + k, load(one, i * n_vectors + k) + product)


@step
def _orthonormalise(axes, axis, n_vectors):
    """Make an axis orthogonal to those before it and of length 1; or 0, if it lies among them."""
    for _ in range(2):
        before = np.sqrt(_dot(axes, axis, axes, axis, n_vectors))
        for other in range(axis):
            shared = _dot(axes, axis, axes, other, n_vectors)
            _add_multiple(axes, axis, axes, other, n_vectors, -shared)
        length = np.sqrt(_dot(axes, axis, axes, axis, n_vectors))
        scale = 1.0 / length if length > 1e-9 * before else 0.0
        for k in range(n_vectors):
            store(axes, axis * n_vectors + k, load(axes, axis * n_vectors + k) * scale)


@step
def _add_spread(rows, n_rows, width, spread):
    """Add the products of features, summed over the rows."""
    for row in range(n_rows):
        for f in range(width):
            _add_multiple(spread, f, rows, row, width // LANES, item(rows, row * width + f))


@step
def _times_spread(spread, old, new, axis, width):
    """Multiply an axis by the products of features."""
    for f in range(width):
        _add_multiple(new, axis, spread, f, width // LANES, item(old, axis * width + f))


@step
def _times_rows(rows, n_rows, old, new, axis, width):
    """The same without the products: the sum of the rows times their parts along the axis."""
    for row in range(n_rows):
        along = _dot(rows, row, old, axis, width // LANES)
        _add_multiple(new, axis, rows, row, width // LANES, along)


@serial
def _iterate(sample, products, axes, multiplied):
    """Turn axes towards the largest spread of some rows about their middle, by power iteration.

    ``products`` is zeros, for the products of features; empty where the rows are multiplied
    instead.
    """
    n_rows, width, n_axes = sample.shape[0], sample.shape[1], axes.shape[0]
    has_spread = products.shape[0] > 0
    rows, spread, old, new = flat(sample), flat(products), flat(axes), flat(multiplied)
    _add_spread(rows, n_rows if has_spread else 0, width, spread)
    for _ in range(POWER_ITERATIONS):
        for k in range(n_axes * width // LANES):
            store(new, k, full(0.0))
        for axis in range(n_axes):
            if has_spread:
                _times_spread(spread, old, new, axis, width)
            else:
                _times_rows(rows, n_rows, old, new, axis, width)
        for axis in range(n_axes):
            _orthonormalise(new, axis, width // LANES)
        for k in range(n_axes * width // LANES):
            store(old, k, load(new, k))


def _child_sums(rows: NDArray[np.float64], n_blocks: int) -> NDArray[np.float64]:
    """Sum the weighted rows of leaves, of blocks of leaves, and so on up to block 0."""
    sums = np.zeros((n_blocks, LANES, rows.shape[1]))
    children = np.add.reduceat(rows, np.arange(0, len(rows), LANES), axis=0)
    last = n_blocks
    while last > 0:
        first = last - -(-len(children) // LANES)
        sums[first:last].reshape(-1, rows.shape[1])[: len(children)] = children
        children, last = sums[first:last].sum(axis=1), first
    return sums


def _filled(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fill up the last axis with zeros to a multiple of sixteen."""
    filled = np.zeros((*table.shape[:-1], -(-table.shape[-1] // LANES) * LANES))
    filled[..., : table.shape[-1]] = table
    return filled


def _axes_of(away: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Directions of a large spread, as rows, and how much of the sum of squares lies along them.

    No library of linear algebra is called: its threads go on spinning for a while, and a fit of
    10,000 x 64 rows took 122 ms instead of 54.
    """
    variances = np.einsum("ij,ij->j", away, away)
    widest = np.argsort(-variances, kind="stable")[:MAX_AXES]
    n_rows, width = away.shape
    axes = np.zeros((len(widest), width))
    axes[np.arange(len(widest)), widest] = 1.0
    # An axis times the rows and back is 2 n_rows width products, and width squared without them.
    n_products = 0 if 2 * n_rows < width else width
    products = np.zeros((n_products, n_products))
    _iterate(away, products, axes, np.empty_like(axes))
    axes = np.ascontiguousarray(axes[axes.any(axis=1)])
    along = np.einsum("if,jf->ij", away, axes)
    return axes, float(np.einsum("ij,ij->", along, along))


def project(
    points: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[MomentTree, Projections] | None:
    """Project the rows of a table, to n_axes + 1 numbers each, and build the tree of these.

    None where projections decide little: where the axes hold less than half of the spread (one
    Gaussian in 64 dimensions loses a tenth of its time to them), or squares overflow. ``points``
    are read-only, C-ordered and finite. Memory besides the table: two copies of it and 18 numbers a
    row; while building, one copy more.
    """
    n_samples, n_features = points.shape
    some = points[:: -(-n_samples // SAMPLE_ROWS)]
    middle = _filled(some.mean(axis=0))
    with np.errstate(over="ignore", invalid="ignore"):
        away = _filled(some) - middle
        spread_sq = float(np.einsum("ij,ij->", away, away))
        largest = max(abs(float(points.max())), abs(float(points.min())))
    if not (1e-100 < spread_sq < 1e200 and largest < 1e100):
        return None
    axes, part = _axes_of(away)
    if not part > 0.5 * spread_sq:
        return None
    projections = np.empty((n_samples, len(axes) + 1))
    distances = np.empty(n_samples)
    _project_all(points, middle, axes, projections, distances)
    projections.flags.writeable = False
    extent = float(distances.max())
    skew = np.linalg.norm(np.einsum("if,jf->ij", axes, axes) - np.eye(len(axes)))
    blur = float(4.0 * skew + (n_features + 64) * 2.0**-46)
    built = build(projections, weights, careful=True)
    rows, row_weights = _filled(points[built.order]), np.empty(0)
    weighted_rows = rows
    if weights.size:
        row_weights = weights[built.order]
        weighted_rows = rows * row_weights[:, None]
    sums = _child_sums(weighted_rows, len(built.first_child))
    return built, Projections(rows, row_weights, sums, middle, axes, extent, blur)
