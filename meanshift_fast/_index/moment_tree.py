r"""The moment tree: rows in blocks of sixteen, blocks in blocks of sixteen, sums in every block.

    rank   0 ... 15 | 16 ... 31 |  ...  | 240 ... 255 | 256 ...          rows, neighbours in space
           leaf 0   | leaf 1    |  ...  | leaf 15     | leaf 16 ...
           \________________ block ___________________/ \____ block ...
                              \_____________ block of blocks _____________ ...  up to block 0

A block holds, for each of its sixteen children, the bounding box, the weight and the weighted
sum. A flat query takes a child inside the ball by its sums, passes over one outside, and opens
the ones that the sphere cuts: its cost goes with the sphere's surface, about n^(1 - 1/d), and
not with the ball.

The order of the rows is that of a kd-tree whose splits fall at ranks that are multiples of a
power of two times sixteen: every leaf is full but the last, parents and children are found by
arithmetic, and there is not one pointer to follow. Two steps make the order. Rows are first
sorted into cells (halving the widest side again and again, a counting sort, both passes
parallel); then every chunk of 1,024 ranks is cut into slabs and slabs of slabs, in cache. Where
one cell holds more than a chunk (a heavy cluster, an outlier that stretches the grid) the ranks
are split at medians from further up.
"""

import math
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._input.extent import PARTS, bounds_of
from meanshift_fast._input.weights import UNWEIGHTED
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import empty_floats, empty_integers, parallel, serial, step
from meanshift_fast._jit.simd import (
    LANES,
    ROUNDER,
    bit_patterns,
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
from meanshift_fast._jit.threads import available_threads

FIRST_CHUNK_VALUES = 1 << 23  # read or measured by the first chunk, at most: less than a second
RANKS = 1 << 24  # ranks that are split at medians in one go: as much
# Chunks of 4,096 rows and 128 rows a cell made the build of 1M x 2 rows 4 ms longer, of 40 of one
# thread: what the cells do not sort, a chunk must, by a level more of cuts.
CHUNK = 1024  # rows that one task arranges in cache: 4 blocks of 16 leaves of 16 rows
PER_CELL = 32  # rows in a cell, on average
CAREFUL = 1 << 18  # rows up to which medians are worth it; of one chunk they take 65 us, and not 43
FEW = 64  # rows that need no order of neighbourhood
BUCKETS = 256  # a power of two: the last bits of a rounded value are its bucket


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


# Order: rows into cells.


@step
def _count_cells(points, start, stop, features, origin, scale, bit_table, cells, counts):
    last = float(bit_table.shape[1] - 1)
    for i in range(start, stop):
        cell = 0
        for k in range(features.shape[0]):
            # Halves, because the extent of finite values need not be finite.
            place = (points[i, features[k]] * 0.5 - origin[k]) * scale[k]
            cell |= bit_table[k, int(min(place, last))]
        cells[i] = cell
        counts[cell] += 1


@step
def _place(cells, start, stop, position, order):
    for i in range(start, stop):
        cell = cells[i]
        order[position[cell]] = i
        position[cell] += 1


@step
def _counts_to_positions(counts, cell_start):
    rank = 0
    for cell in range(counts.shape[1]):
        cell_start[cell] = rank
        for part in range(counts.shape[0]):
            count = counts[part, cell]
            counts[part, cell] = rank
            rank += count
    cell_start[counts.shape[1]] = rank


@parallel
def _sort_into_cells(points, features, origin, scale, bit_table, cells, counts, cell_start, order):
    # In one go: 10M x 2 rows take 0.1 s, which Ctrl-C may wait for.
    n_parts, n_rows = counts.shape[0], points.shape[0]
    for part in prange(n_parts):
        start, stop = part * n_rows // n_parts, (part + 1) * n_rows // n_parts
        _count_cells(points, start, stop, features, origin, scale, bit_table, cells, counts[part])
    _counts_to_positions(counts, cell_start)
    for part in prange(n_parts):
        start, stop = part * n_rows // n_parts, (part + 1) * n_rows // n_parts
        _place(cells, start, stop, counts[part], order)


# Order: cells into chunks, chunks into leaves.


@step
def _widest_feature(points, n_features, order, start, stop, stride):
    """The feature of largest extent over every stride-th rank, or -1 where there is none."""
    widest, extent = -1, 0.0
    for f in range(n_features):
        low = high = item(points, item(order, start) * n_features + f)
        for i in range(start, stop, stride):
            value = item(points, item(order, i) * n_features + f)
            low = min(low, value)
            high = max(high, value)
        half = high * 0.5 - low * 0.5
        if half > extent:
            widest, extent = f, half
    return widest


@step
def _gather_widest(points, n_features, order, start, stop, values):
    """The values at ranks start:stop of their widest feature; False where all rows are equal."""
    stride = max(1, (stop - start) // 64)
    feature = _widest_feature(points, n_features, order, start, stop, stride)
    if feature < 0 and stride > 1:
        feature = _widest_feature(points, n_features, order, start, stop, min(stride, 1))
    if feature < 0:
        return False
    for i in range(start, stop):
        put(values, i - start, item(points, item(order, i) * n_features + feature))
    return True


@step
def _partition(values, order, start, stop, first, pivot, equal_goes_left):
    """Move what is below the pivot to the front, without a branch to predict."""
    split = first
    for i in range(first, stop):
        value, row = item(values, i - start), item(order, i)
        put(values, i - start, item(values, split - start))
        put(order, i, item(order, split))
        put(values, split - start, value)
        put(order, split, row)
        split += (value < pivot) | (equal_goes_left & (value == pivot))
    return split


@step
def _median_of_three(values, a, b, c):
    x, y, z = item(values, a), item(values, b), item(values, c)
    return max(min(x, y), min(max(x, y), z))


@step
def _select(values, order, start, stop, rank):
    """Reorder ranks start:stop, whose values are given, so that ``rank`` splits low from high."""
    # The median of nine that lie evenly, at a place that moves. Where they lay still, an order made
    # for them was quadratic: 3.9 ms for 9,000 rows that take 0.5.
    first, last, draw = start, stop, stop
    while last - first > 1:
        third = (last - first) // 3
        pivot = _median_of_three(
            values, first - start, first + (last - first) // 2 - start, last - 1 - start
        )
        if third > 12:
            draw = (draw * 1103515245 + 12345) & 0x7FFFFFFF
            ninth = third // 3
            left = first - start + (draw >> 8) % (third - 2 * ninth)
            centre, right = left + third, left + 2 * third
            low = _median_of_three(values, left, left + ninth, left + 2 * ninth)
            middle = _median_of_three(values, centre, centre + ninth, centre + 2 * ninth)
            high = _median_of_three(values, right, right + ninth, right + 2 * ninth)
            pivot = max(min(low, middle), min(max(low, middle), high))
        split = _partition(values, order, start, last, first, pivot, False)
        if split == first:  # the pivot is the least: set all its equals aside
            split = _partition(values, order, start, last, first, pivot, True)
            if rank < split:
                return
        if rank < split:
            last = split
        else:
            first = split


@step
def _least_and_most(values, n_values):
    """The least and the largest of sixteen values or more: sixteen at a time, then what is left."""
    lows = highs = load(values, 0)
    whole = n_values // LANES
    for k in range(1, whole):
        row = load(values, k)
        lows = where(row < lows, row, lows)
        highs = where(row > highs, row, highs)
    low, high = least(lows), most(highs)
    for i in range(whole * LANES, n_values):
        low = min(low, item(values, i))
        high = max(high, item(values, i))
    return low, high


@step
def _sort_into_buckets(values, order, start, stop, rounded, counts, spare):
    """Sort ranks start:stop by buckets of their values; False where one is crowded.

    What shares a bucket stays unsorted, so boxes may overlap by a bucket's width.
    """
    n_rows = stop - start
    n_buckets = min(BUCKETS, n_rows)
    low, high = _least_and_most(values, n_rows)
    half = high * 0.5 - low * 0.5
    if not half > 1e-290:
        return False
    scale = (n_buckets - 1) / half
    for bucket in range(n_buckets + 1):
        put(counts, bucket, 0)
    for k in range((n_rows + LANES - 1) // LANES):
        store(rounded, k, (load(values, k) * 0.5 - low * 0.5) * scale + ROUNDER)
    buckets = bit_patterns(rounded)
    for i in range(n_rows):
        bucket = item(buckets, i) & (BUCKETS - 1)
        put(counts, bucket + 1, item(counts, bucket + 1) + 1)
        put(spare, i, item(order, start + i))
    crowd = 0
    for bucket in range(n_buckets):
        crowd = max(crowd, item(counts, bucket + 1))
        put(counts, bucket + 1, item(counts, bucket) + item(counts, bucket + 1))
    if crowd > max(n_rows // 8, 8):
        return False
    for i in range(n_rows):
        bucket = item(buckets, i) & (BUCKETS - 1)
        put(order, start + item(counts, bucket), item(spare, i))
        put(counts, bucket, item(counts, bucket) + 1)
    return True


@step
def split_into_leaves(
    points, n_features, order, start, stop, careful, values, rounded, spare, counts, stack
):
    """Arrange ranks start:stop, a chunk at most: cut the widest side again and again, to leaves.

    ``careful`` splits at medians. The last five are memory for a chunk.
    """
    put(stack, 0, start)
    put(stack, 1, stop)
    waiting = 2
    while waiting > 0:
        waiting -= 2
        first, last = item(stack, waiting), item(stack, waiting + 1)
        if last - first <= LANES or not _gather_widest(
            points, n_features, order, first, last, values
        ):
            continue
        in_order = not careful and _sort_into_buckets(
            values, order, first, last, rounded, counts, spare
        )
        ways = 4 if in_order else 2
        part = LANES
        while part * ways < last - first:
            part *= ways
        if not in_order:
            _select(values, order, first, last, first + part)
        while first < last:
            put(stack, waiting, first)
            put(stack, waiting + 1, min(first + part, last))
            waiting += 2
            first += part


@step
def _split_range(points, order, values, start, stop, rank):
    pointers = flat(order), flat(values)
    if not _gather_widest(flat(points), points.shape[1], pointers[0], start, stop, pointers[1]):
        return False
    _select(pointers[1], pointers[0], start, stop, rank)
    return True


@step
def _cell_size(cell_start, rank):
    """The number of rows in the cell that holds a rank."""
    cell, above = 0, cell_start.shape[0] - 1
    while above - cell > 1:
        middle = (cell + above) // 2
        if cell_start[middle] <= rank:
            cell = middle
        else:
            above = middle
    return cell_start[above] - cell_start[cell]


@serial
def _split_heavy_cells(points, order, cell_start, values, stack, waiting, n_ranks):
    """Split at medians the ranges of chunks that the cells alone cannot tell apart.

    Goes on until so many ranks have been seen; how many ranges still wait on the stack.
    """
    while waiting > 0 and n_ranks > 0:
        waiting -= 1
        start, stop, split_all = stack[waiting, 0], stack[waiting, 1], stack[waiting, 2] != 0
        if stop - start <= CHUNK:
            continue
        half = CHUNK
        while half * 2 < stop - start:
            half *= 2
        rank = start + half
        if split_all or _cell_size(cell_start, rank) > CHUNK:
            n_ranks -= stop - start
            split_all = _split_range(points, order, values, start, stop, rank)
            if not split_all:
                continue
        for first, last in ((start, rank), (rank, stop)):
            # One by one: a row assigned as a whole compiles for 2 s, its error message mostly.
            stack[waiting, 0], stack[waiting, 1] = first, last
            stack[waiting, 2] = np.int64(split_all)
            waiting += 1
    return waiting


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


# Of a chunk's 20 ns a row the first look at each row, far away in the table, is 7. To copy the rows
# in before they are cut, and cut the copy, took as long: what it spared, moving them again cost.
# To prefetch the next chunk's rows, leaf by leaf, took longer: by turns, medians of fifteen, 436 ms
# of 10M rows without and 492 with, 39 and 45 of 1M (into the second cache 395 and 442, 39 and 42).


@step
def arrange_chunk(points, weights, order, chunk, careful, n_upper, tree_arrays, numbers, integers):
    """Put a chunk of the rows in order, and write its leaves and their moments."""
    packed, packed_weights, lower, upper, weight, weighted_sum = tree_arrays
    moments = (flat(lower), flat(upper), flat(weight), flat(weighted_sum))
    n_rows, n_features = points.shape
    weighted = np.int64(weights.shape[0] > 0)
    start = chunk * CHUNK
    stop = min(start + CHUNK, n_rows)
    split_into_leaves(
        flat(points), n_features, flat(order), start, stop, careful, flat(numbers[0]),
        flat(numbers[1]), flat(integers[0]), flat(integers[1]), flat(integers[2]),
    )  # fmt: skip
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
        numbers = empty_floats(CHUNK), empty_floats(CHUNK)
        integers = empty_integers(CHUNK), empty_integers(CHUNK), empty_integers(CHUNK)
        arrange_chunk(points, weights, order, at, careful, n_upper, tree_arrays, numbers, integers)


@step
def sum_blocks(
    level_starts, n_leaves, n_features, first_child, lower, upper, weight, weighted_sum
):  # fmt: skip
    """Write the moments of blocks from the bottom up, and the number of each one's first child.

    Blocks of leaves have those of their leaves, and miss those of children that are not there.
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
    """Arrays that begin on cache lines, as loads of sixteen lanes like it; the shapes end in 16.

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


def _cell_grid(lower, upper, n_cells):
    """Halve the widest side until there are ``n_cells`` cells.

    Returns the features that were halved, and for each the origin (halved), the cells in half an
    extent, and the bits that each step along it contributes to the number of a cell.
    """
    half_extent = upper * 0.5 - lower * 0.5
    side = half_extent.copy()
    halvings: list[int] = []
    while 1 << len(halvings) < n_cells and side.max() > 0.0:
        halvings.append(int(side.argmax()))
        side[halvings[-1]] *= 0.5
    features = np.unique(np.array(halvings, dtype=np.int64))
    n_bits = np.bincount(halvings, minlength=half_extent.size)[features] if halvings else features
    bit_table = np.zeros((features.size, 1 << max(n_bits, default=0)), dtype=np.int64)
    for k, feature in enumerate(features):
        steps = np.arange(1 << n_bits[k])
        left = int(n_bits[k])
        for place, halved in enumerate(reversed(halvings)):
            if halved == feature:
                bit_table[k, : steps.size] |= (steps & 1) << place
                steps >>= 1
                left -= 1
        bit_table[k, steps.size :] = bit_table[k, steps.size - 1]
    with np.errstate(over="ignore"):
        scale = np.minimum(2.0**n_bits / half_extent[features], np.finfo(np.float64).max)
    return features, lower[features] * 0.5, scale, bit_table


def row_type(n_samples: int) -> type[np.signedinteger]:
    """The type of a row's number. Half of int64's bytes: 40 MB of 10M rows, and their traffic."""
    return np.int32 if n_samples < 1 << 31 else np.int64


def _order_in_cells(points: NDArray[np.float64]) -> NDArray[np.signedinteger]:
    """The rows sorted into cells, ready to be arranged in chunks."""
    n_samples = len(points)
    if n_samples <= CHUNK:
        return np.arange(n_samples, dtype=np.int32)
    lower, upper = bounds_of(points)
    features, origin, scale, bit_table = _cell_grid(lower, upper, n_samples // PER_CELL)
    n_cells = 1 << sum(int(bits.max()).bit_count() for bits in bit_table)
    cells = np.empty(n_samples, dtype=np.int32)
    counts = np.zeros((min(available_threads(), PARTS), n_cells), dtype=row_type(n_samples))
    cell_start = np.empty(n_cells + 1, dtype=np.int64)
    order = np.empty(n_samples, dtype=row_type(n_samples))
    _sort_into_cells(points, features, origin, scale, bit_table, cells, counts, cell_start, order)
    _split(points, order, cell_start)
    return order


def _split(
    points: NDArray[np.float64], order: NDArray[np.signedinteger], cell_start: NDArray[np.int64]
) -> None:
    """Split heavy cells, and let Ctrl-C be heard now and then."""
    values = np.empty(len(order))
    stack = np.zeros((64, 3), dtype=np.int64)
    stack[0, 1], waiting = len(order), 1
    while waiting > 0:
        waiting = _split_heavy_cells(points, order, cell_start, values, stack, waiting, RANKS)


def _split_at_medians(points: NDArray[np.float64]) -> NDArray[np.signedinteger]:
    """The rows split at medians into chunks, as if all lay in one heavy cell."""
    order = np.arange(len(points), dtype=row_type(len(points)))
    if len(points) > CHUNK:
        _split(points, order, np.array([0, len(points)]))
    return order


def order_of(points: NDArray[np.float64]) -> NDArray[np.signedinteger]:
    """Put rows in an order in which neighbours in space follow one another.

    Parameters
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows; finite, at least one.

    Returns
    -------
    int array of shape (n_samples,)
        Their numbers, in that order. Up to 64 rows are as good in any, and stay as they are.
    """
    if len(points) <= FEW:
        return np.arange(len(points), dtype=np.int32)
    return build(points, UNWEIGHTED).order


def build(
    points: NDArray[np.float64], weights: NDArray[np.float64], *, careful: bool = False
) -> MomentTree:
    """Build the moment tree of a table.

    Parameters
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows; finite, at least one.
    weights : read-only float64 array of shape (n_samples,) or (0,)
        The rows' weights; empty where all are 1.
    careful : bool, default=False
        Split at medians from the root down, which is always done from 1,025 to 2^18 rows. At 1M x 2
        rows the build takes 50 ms and not 31, and a shift among neighbours 1.0 us and not 1.3.

    Returns
    -------
    MomentTree
        The same for every number of threads.

    Notes
    -----
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

    careful = careful or CHUNK < n_samples <= CAREFUL
    order = _split_at_medians(points) if careful else _order_in_cells(points)
    children = (n_blocks, n_features, LANES)
    packed, packed_weights, lower, upper = _aligned(
        (n_leaves, n_features, LANES), (n_leaves if weights.size else 1, LANES), children, children
    )
    weight, sums = _aligned((n_blocks, LANES), children)  # apart, as labels need no sums
    if not weights.size:
        packed_weights.fill(1.0)
    moments = (lower, upper, weight, sums)
    tree_arrays = (packed, packed_weights, *moments)
    for start, stop in chunks(
        -(-n_samples // CHUNK), first=FIRST_CHUNK_VALUES // (CHUNK * n_features)
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
