r"""The moment tree: rows in blocks of sixteen, blocks in blocks of sixteen, sums in every block.

    rank   0 ... 15 | 16 ... 31 |  ...  | 240 ... 255 | 256 ...          rows, neighbours in space
           leaf 0   | leaf 1    |  ...  | leaf 15     | leaf 16 ...
           \________________ block ___________________/ \____ block ...
                              \_____________ block of blocks _____________ ...  up to block 0

A block holds the bounding box, the weight and the weighted sum of each of its sixteen children. A
flat shift adds a child inside the ball by its sums, skips one outside, and opens those that the
sphere cuts: its cost goes with the sphere's surface, about n^(1 - 1/d), and not with the ball.

The order of the rows is that of a kd-tree whose splits fall at multiples of sixteen ranks (see
`tree_order.py`): every leaf is full but the last, parents and children are found by arithmetic,
and no pointer is stored or followed.
"""

import math
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.tree_order import (
    CHUNK_ROWS,
    ChunkMemory,
    sort_into_cells,
    split_at_medians,
    split_into_leaves,
)
from meanshift_fast._input.weights import UNWEIGHTED
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import empty_floats, empty_integers, parallel, serial, step
from meanshift_fast._jit.simd import (
    LANES,
    flat,
    full,
    item,
    least,
    load,
    mask_of,
    most,
    put,
    store,
    total,
    where,
)

FIRST_CHUNK_VALUES = 1 << 23  # read or measured by the first chunk, at most: less than a second
# Rows up to which leaves are split at medians; of one chunk they take 65 us, and not 43.
MAX_MEDIAN_ROWS = 1 << 18
MAX_UNORDERED_ROWS = 64  # to sort fewer in space gains nothing


class MomentTree(NamedTuple):
    """Rows in an order of neighbourhood, and the moments of all their blocks.

    Attributes
    ----------
    points : float64 array of shape (n_leaves, n_features, 16)
        The rows, a leaf's sixteen side by side; the last leaf is filled up with +inf.
    point_weights : float64 array of shape (n_leaves, 16), or (1, 16) where all weights are 1
        The rows' weights.
    order : int32 array of shape (n_samples,); int64 from 2^31 rows on
        The row of the table at each rank; rank r is lane r % 16 of leaf r // 16.
    lower, upper : float64 arrays of shape (n_blocks, n_features, 16)
        The bounding boxes of each block's children; +inf and -inf where there is no child.
    weight : float64 array of shape (n_blocks, 16)
        The children's weights.
    weighted_sum : float64 array of shape (n_blocks, n_features, 16)
        The children's sums of weight times row.
    first_child : int64 array of shape (n_blocks,)
        The number of each block's first child; the others follow.
    n_upper : int
        Children of blocks below this number are blocks, those of the others are leaves.
    leaf_width : float
        The median diagonal of the leaves' boxes.
    """

    points: NDArray[np.float64]
    point_weights: NDArray[np.float64]
    order: NDArray[np.signedinteger]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    weight: NDArray[np.float64]
    weighted_sum: NDArray[np.float64]
    first_child: NDArray[np.int64]
    n_upper: int
    leaf_width: float


# Moments: of leaves, then of blocks.


@step
def _pack_leaf(points, weights, n_features, order, leaf, size, weighted, packed, packed_weights):
    """Lay a leaf's rows side by side."""
    start = leaf * LANES
    for f in range(n_features):
        first = start * n_features + f * LANES
        if size < LANES:
            store(packed, leaf * n_features + f, full(np.inf))
        for lane in range(size):
            put(packed, first + lane, item(points, item(order, start + lane) * n_features + f))
    if weighted:
        store(packed_weights, leaf, full(0.0))
        for lane in range(size):
            put(packed_weights, start + lane, item(weights, item(order, start + lane)))


@step
def _sum_leaf(packed, packed_weights, n_features, leaf, size, weighted, moments, block, lane):
    """Write a leaf's box, weight and weighted sum into its lane of its block."""
    lower, upper, weight, weighted_sum = moments
    zero, there = full(0.0), mask_of((1 << size) - 1)
    weights = where(there, load(packed_weights, leaf * weighted), zero)
    put(weight, block * LANES + lane, total(weights))
    for f in range(n_features):
        rows = load(packed, leaf * n_features + f)
        place = (block * n_features + f) * LANES + lane
        put(lower, place, least(rows))
        put(upper, place, most(where(there, rows, full(-np.inf))))
        put(weighted_sum, place, total(where(there, rows, zero) * weights))


# Of 20 ns a row the first read of each row from the table is 7. To copy a chunk's rows before they
# are cut took as long. To prefetch the next chunk's rows took longer: by turns, medians of fifteen,
# 436 ms of 10M rows without and 492 with, 39 and 45 of 1M.


@step
def arrange_chunk(points, weights, order, chunk, careful, n_upper, tree_arrays, numbers, integers):
    """Put a chunk of the rows in order, and write its leaves and their moments."""
    packed, packed_weights, lower, upper, weight, weighted_sum = tree_arrays
    moments = (flat(lower), flat(upper), flat(weight), flat(weighted_sum))
    n_rows, n_features = points.shape
    weighted = np.int64(weights.shape[0] > 0)
    start = chunk * CHUNK_ROWS
    stop = min(start + CHUNK_ROWS, n_rows)
    memory = ChunkMemory(
        flat(numbers[0]), flat(numbers[1]), flat(integers[0]), flat(integers[1]), flat(integers[2])
    )
    split_into_leaves(flat(points), n_features, flat(order), start, stop, careful, memory)
    for leaf in range(start // LANES, (stop + LANES - 1) // LANES):
        size = min(LANES, stop - leaf * LANES)
        _pack_leaf(
            flat(points), flat(weights), n_features, flat(order), leaf, size, weighted,
            flat(packed), flat(packed_weights),
        )  # fmt: skip
        _sum_leaf(
            flat(packed), flat(packed_weights), n_features, leaf, size, weighted,
            moments, n_upper + leaf // LANES, leaf % LANES,
        )  # fmt: skip


@parallel
def _arrange(points, weights, order, first, last, careful, n_upper, tree_arrays):
    for chunk in prange(last - first):
        at = np.int64(first + chunk)  # prange counts unsigned: the chunk would compile twice
        numbers = empty_floats(CHUNK_ROWS), empty_floats(CHUNK_ROWS)
        integers = (
            empty_integers(CHUNK_ROWS),
            empty_integers(CHUNK_ROWS),
            empty_integers(CHUNK_ROWS),
        )
        arrange_chunk(points, weights, order, at, careful, n_upper, tree_arrays, numbers, integers)


@step
def sum_blocks(
    level_starts, n_leaves, n_features, first_child, lower, upper, weight, weighted_sum
):  # fmt: skip
    """Write the moments of blocks from the bottom up, and the number of each one's first child.

    Blocks of leaves have the moments of their leaves, but not those of absent children.
    """
    n_levels = level_starts.shape[0] - 1
    lows, highs, weights, sums = flat(lower), flat(upper), flat(weight), flat(weighted_sum)
    for level in range(n_levels - 1, -1, -1):
        start, stop = level_starts[level], level_starts[level + 1]
        first, n_children, n_known = 0, n_leaves, n_leaves
        if level < n_levels - 1:
            first, n_children, n_known = stop, level_starts[level + 2] - stop, 0
        for block in range(start, stop):
            first_child[block] = first + (block - start) * LANES
        for k in range(n_known, (stop - start) * LANES):
            block, lane, child = start + k // LANES, k % LANES, first + k
            is_there = k < n_children
            put(weights, block * LANES + lane, total(load(weights, child)) if is_there else 0.0)
            for f in range(n_features):
                to, of = (block * n_features + f) * LANES + lane, child * n_features + f
                put(lows, to, least(load(lows, of)) if is_there else np.inf)
                put(highs, to, most(load(highs, of)) if is_there else -np.inf)
                put(sums, to, total(load(sums, of)) if is_there else 0.0)


@step
def _leaf_widths(lower, upper, first, stride, widths_sq):
    """List the squared diagonals of the leaves in every stride-th block; how many they are."""
    lows, highs, widths = flat(lower), flat(upper), flat(widths_sq)
    n_features, n_widths = lower.shape[1], 0
    for block in range(first, lower.shape[0], stride):
        for lane in range(LANES):
            place = block * n_features * LANES + lane
            if item(lows, place) <= item(highs, place):
                width_sq = 0.0
                for f in range(n_features):
                    side = item(highs, place + f * LANES) - item(lows, place + f * LANES)
                    width_sq += side * side
                put(widths, n_widths, width_sq)
                n_widths += 1
    return n_widths


@serial
def _sum_and_measure(
    level_starts, n_leaves, first_child, lower, upper, weight, weighted_sum, n_upper, stride,
    widths_sq,
):  # fmt: skip
    """Write the moments of blocks, and list the squared diagonals of some leaves; of how many.

    One kernel: in place of a dozen calls of NumPy the tree of a thousand rows takes 61 us and not
    81. With the diagonals alone by NumPy it takes 155 us where it takes 127.
    """
    sum_blocks(
        level_starts, n_leaves, lower.shape[1], first_child, lower, upper, weight, weighted_sum
    )
    return _leaf_widths(lower, upper, n_upper, stride, widths_sq)


# The build.


def _aligned(*shapes: tuple[int, ...]) -> list[NDArray[np.float64]]:
    """Arrays that begin on cache lines, for loads of sixteen lanes; the shapes end in 16.

    One allocation: six took a fifth of the time in which the tree of a thousand rows is built.
    """
    sizes = [8 * math.prod(shape) for shape in shapes]
    memory = np.empty(sum(sizes) + 64, dtype=np.uint8)
    first = -memory.__array_interface__["data"][0] % 64
    starts = accumulate(sizes, initial=first)
    return [
        np.ndarray(shape, np.float64, memory, start)
        for shape, start in zip(shapes, starts, strict=False)
    ]


def in_lanes(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lay rows out as the leaves of a tree are, in their own order."""
    n_rows, n_features = rows.shape
    leaves = np.full((-(-n_rows // LANES) * LANES, n_features), np.inf)
    leaves[:n_rows] = rows
    return np.ascontiguousarray(leaves.reshape(-1, LANES, n_features).swapaxes(1, 2))


def order_of(points: NDArray[np.float64]) -> NDArray[np.signedinteger]:
    """Put rows in an order in which neighbours in space follow one another: their numbers, so.

    The rows are read-only and finite, at least one. Up to 64 stay as they are.
    """
    if len(points) <= MAX_UNORDERED_ROWS:
        return np.arange(len(points), dtype=np.int32)
    return build(points, UNWEIGHTED).order


def build(
    points: NDArray[np.float64], weights: NDArray[np.float64], *, careful: bool = False
) -> MomentTree:
    """Build the moment tree of a table; it is the same for every number of threads.

    ``points`` are read-only C-ordered rows, finite, at least one; ``weights`` are read-only, and
    empty where all are 1. ``careful`` splits at medians from the root down, which is always done
    from 1,025 to 2^18 rows. At 1M x 2 rows the build takes 50 ms and not 31, and a shift among
    neighbours 1.0 us and not 1.3.

    Time n log(chunk); memory besides the table: one copy of it, 4 bytes a row for the order and
    (3 n_features + 1) / 2 bytes a row for the blocks; while building, up to 13 more bytes a row,
    and a quarter of a byte for each thread, of eight at most.
    """
    n_samples, n_features = points.shape
    n_leaves = -(-n_samples // LANES)
    level_sizes = [-(-n_leaves // LANES)]
    while level_sizes[0] > 1:
        level_sizes.insert(0, -(-level_sizes[0] // LANES))
    level_starts = [0, *accumulate(level_sizes)]
    n_blocks, n_upper = level_starts[-1], level_starts[-2]

    careful = careful or CHUNK_ROWS < n_samples <= MAX_MEDIAN_ROWS
    order = split_at_medians(points) if careful else sort_into_cells(points)
    children = (n_blocks, n_features, LANES)
    packed, packed_weights, lower, upper = _aligned(
        (n_leaves, n_features, LANES), (n_leaves if weights.size else 1, LANES), children, children
    )
    weight, sums = _aligned((n_blocks, LANES), children)  # apart: labels need no sums
    if not weights.size:
        packed_weights.fill(1.0)
    moments = (lower, upper, weight, sums)
    tree_arrays = (packed, packed_weights, *moments)
    for start, stop in chunks(
        -(-n_samples // CHUNK_ROWS), first=FIRST_CHUNK_VALUES // (CHUNK_ROWS * n_features)
    ):
        _arrange(points, weights, order, start, stop, careful, n_upper, tree_arrays)
    first_child = np.empty(n_blocks, dtype=np.int64)
    # The median diagonal of the leaves' boxes, from a thousand blocks spread over the tree.
    n_lowest = n_blocks - n_upper
    widths_sq = np.empty(min(n_lowest, 1000) * LANES)
    n_widths = _sum_and_measure(
        np.array(level_starts), n_leaves, first_child, *moments, n_upper, -(-n_lowest // 1000),
        widths_sq,
    )  # fmt: skip
    middle, known = n_widths // 2, widths_sq[:n_widths]
    known.partition(middle)
    leaf_width = math.sqrt(known[middle])
    return MomentTree(packed, packed_weights, order, *moments, first_child, n_upper, leaf_width)
