"""Tables and levels of products: how many numbers of rows and positions are multiplied.

    all columns                          the table in float32
    heads of 16 or 64 axes               of the positions, which are means of many rows each

With V of orthonormal columns and the rests r = p' - V V'p', s = x' - V V'x'

    p'x' = (V'p')(V'x') + r s,        |r s| <= |r| |s|

V is orthonormal to about 1e-14, and rests are bounded with 2^-40 of the squared lengths more, which
is far above what is missing.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index.ball_sums import sum_all
from meanshift_fast._index.singles import Singles, error_of, is_single, rounding_of, singles_of
from meanshift_fast._jit.blas import blas_alone

HEAD_AXES = (16, 64)
HEAD_SAMPLE = 256  # positions that choose the axes
HEAD_ROWS = 512  # that say how much axes settle
HEAD_BLOCK_ROWS = 2048  # projected at a time
MIN_HEAD_POSITIONS = 1024
MAX_MEASURED_SHARE = 1 / 256  # of a position's rows; more are settled by all columns
SCAN_IN_FEATURES = 12  # what it takes to scan a product, in features of it
MAX_SKEW = 1e-13
MIDDLE_ROWS = 512  # that give the middle


class ProductTable(NamedTuple):
    """Rows for products.

    Attributes
    ----------
    points : read-only float64 array of shape (n_samples, n_features)
        The rows, in their own order.
    weights : float64 array of shape (n_samples,) or (0,)
        Their weights; empty where all are 1.
    middle : float64 array of shape (n_features,)
        The mean of the rows, or about it.
    singles : Singles
        The rows about the middle.
    sums : float64 array of shape (n_features,)
        The weighted sum of all rows.
    weight : float
        That of all rows.
    """

    points: NDArray[np.float64]
    weights: NDArray[np.float64]
    middle: NDArray[np.float64]
    singles: Singles
    sums: NDArray[np.float64]
    weight: float


class Level(NamedTuple):
    """Numbers of rows and positions whose products settle pairs.

    Attributes
    ----------
    rows, places : float32 arrays of shapes (n_padded, n_numbers), (n_positions, n_numbers)
        What is multiplied.
    scale : float
        The product of both scales.
    tails, offs : float64 arrays of shapes (n_padded,), (n_positions,)
        Bounds of the lengths of what the numbers leave out; empty where they leave out nothing.
    error : float
        The largest error of a product, relative to the norms.
    """

    rows: NDArray[np.float32]
    places: NDArray[np.float32]
    scale: float
    tails: NDArray[np.float64]
    offs: NDArray[np.float64]
    error: float


def table_of(points: NDArray[np.float64], weights: NDArray[np.float64]) -> ProductTable:
    """Convert a table, of coordinates up to MAX_COORDINATE."""
    middle = np.ascontiguousarray(points[:: -(-len(points) // MIDDLE_ROWS)].mean(axis=0))
    spread = points[:: -(-len(points) // MIDDLE_ROWS)] - middle
    if middle @ middle <= np.einsum("ij,ij->", spread, spread) / len(spread) and is_single(points):
        middle[:] = 0.0  # norms are larger by at most two fifths, and the copy may be exact
    sums = np.zeros(points.shape[1])
    weight = float(sum_all(points, weights, sums))
    return ProductTable(points, weights, middle, singles_of(points, middle), sums, weight)


# Heads: the products of a few axes.


def _axes_of(away: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal columns, the first ones along the largest spread of some positions."""
    n_axes = min(HEAD_AXES[-1], *away.shape)
    _, vectors = np.linalg.eigh(away @ away.T)
    axes: NDArray[np.float64] = np.linalg.qr(away.T @ vectors[:, : -n_axes - 1 : -1])[0]
    return axes


def _shares_settled(
    away: NDArray[np.float64],
    rows: NDArray[np.float64],
    axes: NDArray[np.float64],
    counts: tuple[int, ...],
    radius: float,
) -> list[float]:
    """Of which part of some positions so many axes settle nearly all of some rows."""
    along, rows_along = away @ axes, rows @ axes
    norms_sq = np.einsum("ij,ij->i", away, away)
    rows_sq = np.einsum("ij,ij->i", rows, rows)
    least = 0.5 * (norms_sq[:, None] + rows_sq - radius * radius)
    shares = []
    for n in counts:
        head, rows_head = along[:, :n], rows_along[:, :n]
        off, tail = _rest_of(norms_sq, head), _rest_of(rows_sq, rows_head)
        is_open = np.abs(head @ rows_head.T - least) <= off[:, None] * tail
        shares.append(float((is_open.mean(axis=1) <= MAX_MEASURED_SHARE).mean()))
    return shares


def _worth(shares: list[float], counts: tuple[int, ...], n_features: int) -> list[int]:
    """Which numbers of axes settle enough positions to pay for their products and scans."""
    worth, settled = [], 0.0
    for share, n in zip(shares, counts, strict=True):
        gain = (share - settled) * (n_features + SCAN_IN_FEATURES)
        if gain > (1.0 - settled) * (n + SCAN_IN_FEATURES):
            worth.append(n)
            settled = share
    return worth


def _rest_of(
    norms_sq: NDArray[np.float64], along: NDArray[np.float64], rounding: float = 0.0
) -> NDArray[np.float64]:
    """Bound what rows or positions have off some axes."""
    off_sq = norms_sq - np.einsum("ij,ij->i", along, along)
    rest: NDArray[np.float64] = np.sqrt(np.maximum(off_sq, 0.0) + rounding * norms_sq)
    return rest


def heads(
    table: ProductTable,
    away: NDArray[np.float64],
    norms: NDArray[np.float64],
    numbers: NDArray[np.int64],
    scale: float,
    radius: float,
) -> list[Level]:
    """Levels of a few axes that pay for some positions; none, where none does.

    ``away`` and ``norms`` are of all positions about the middle of the table, ``numbers`` those of
    the positions to settle; ``scale`` is a power of two that brings their norms to about 1.
    """
    n_samples, n_features = table.points.shape
    counts = tuple(n for n in HEAD_AXES if n < n_features)
    if len(numbers) < MIN_HEAD_POSITIONS or not counts:
        return []
    with blas_alone():
        some = away[numbers[:: -(-len(numbers) // HEAD_SAMPLE)]]
        axes = _axes_of(some)
        if np.abs(axes.T @ axes - np.eye(axes.shape[1])).max() > MAX_SKEW:
            return []
        rows = table.points[:: -(-n_samples // HEAD_ROWS)] - table.middle
        shares = _shares_settled(some, rows, axes, counts, radius)
        counts = tuple(_worth(shares, counts, n_features))
        if not counts:
            return []
        axes = np.ascontiguousarray(axes[:, : counts[-1]])
        along, rows_along = away @ axes, np.zeros((len(table.singles.norms), axes.shape[1]))
        for start in range(0, n_samples, HEAD_BLOCK_ROWS):
            block = table.points[start : start + HEAD_BLOCK_ROWS] - table.middle
            np.dot(block, axes, out=rows_along[start : start + len(block)])
    rounding, rows_norms = rounding_of(n_features), table.singles.norms
    return [
        Level(
            (rows_along[:, :n] * table.singles.scale).astype(np.float32),
            (along[:, :n] * scale).astype(np.float32),
            table.singles.scale * scale,
            _rest_of(rows_norms * rows_norms, rows_along[:, :n], rounding),
            _rest_of(norms * norms, along[:, :n], rounding),
            error_of(n),
        )
        for n in counts
    ]
