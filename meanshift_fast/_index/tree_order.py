"""The order of a moment tree's rows: a kd-tree whose splits fall at multiples of 16 ranks.

    all rows  --counting sort-->  cells of about 32 rows  --one task each-->  chunks of 1,024 ranks
                                  a cell heavier than a chunk:                cut along the widest
                                  ranks split at medians                      side, to leaves

Every split falls at a multiple of a power of two times sixteen ranks, so that every leaf is full
but the last. Rows are first sorted into cells (the widest side is halved again and again; a
counting sort, both passes parallel); then every chunk of 1,024 ranks is cut along its widest side
into four parts by buckets, and so is each part, in cache. Where a cell holds more than a chunk
(a dense cluster, an outlier that stretches the grid) the ranks are split at medians from further
up.
"""

from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._input.extent import bounds_of
from meanshift_fast._jit.compiler import parallel, serial, step
from meanshift_fast._jit.simd import (
    LANES,
    ROUNDER,
    bit_patterns,
    flat,
    item,
    least,
    load,
    most,
    put,
    store,
    where,
)
from meanshift_fast._jit.threads import part_count

MAX_SPLIT_RANKS = 1 << 24  # ranks split at medians by one call: some tenths of a second
# Chunks of 4,096 rows and 128 rows a cell made the build of 1M x 2 rows 4 ms longer, of 40 of one
# thread: larger cells leave one more level of cuts to each chunk.
CHUNK_ROWS = 1024  # rows that one task arranges in cache: 4 blocks of 16 leaves of 16 rows
ROWS_PER_CELL = 32  # on average
BUCKETS = 256  # a power of two: the last bits of a rounded value are its bucket


# Order: rows into cells.


@step
def _count_cells(points, start, stop, features, origin, scale, bit_table, cells, counts):
    """Find the cells of rows start:stop, and count the rows of each cell."""
    last = float(bit_table.shape[1] - 1)
    for i in range(start, stop):
        cell = 0
        for k in range(features.shape[0]):
            # Halves, because the extent of finite values need not be finite.
            number = (points[i, features[k]] * 0.5 - origin[k]) * scale[k]
            cell |= bit_table[k, int(min(number, last))]
        cells[i] = cell
        counts[cell] += 1


@step
def _place(cells, start, stop, position, order):
    """Write rows start:stop at the next ranks of their cells."""
    for i in range(start, stop):
        cell = cells[i]
        order[position[cell]] = i
        position[cell] += 1


@step
def _counts_to_positions(counts, cell_start):
    """Turn counts into first ranks, cell by cell and then part by part."""
    rank = 0
    for cell in range(counts.shape[1]):
        cell_start[cell] = rank
        for part in range(counts.shape[0]):
            count = counts[part, cell]
            counts[part, cell] = rank
            rank += count
    cell_start[counts.shape[1]] = rank


@parallel
def _count_and_place(points, features, origin, scale, bit_table, cells, counts, cell_start, order):
    """Sort rows into cells: count, then place, both in parallel parts."""
    # In one call: 10M x 2 rows take 0.1 s, for which Ctrl-C may wait.
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
    """The feature of largest extent over every stride-th rank, or -1 where all are equal."""
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
    """Move values below the pivot to the front, without a branch to predict."""
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
    """The median of three values."""
    x, y, z = item(values, a), item(values, b), item(values, c)
    return max(min(x, y), min(max(x, y), z))


@step
def _select(values, order, start, stop, rank):
    """Reorder ranks start:stop, whose values are given, so that ``rank`` splits low from high."""
    # The pivot is the median of nine evenly spaced values, from a pseudo-random start. With a fixed
    # start an adversarial order was quadratic: 3.9 ms for 9,000 rows that take 0.5.
    first, last, random = start, stop, stop
    while last - first > 1:
        third = (last - first) // 3
        pivot = _median_of_three(
            values, first - start, first + (last - first) // 2 - start, last - 1 - start
        )
        if third > 12:
            random = (random * 1103515245 + 12345) & 0x7FFFFFFF
            ninth = third // 3
            left = first - start + (random >> 8) % (third - 2 * ninth)
            centre, right = left + third, left + 2 * third
            low = _median_of_three(values, left, left + ninth, left + 2 * ninth)
            middle = _median_of_three(values, centre, centre + ninth, centre + 2 * ninth)
            high = _median_of_three(values, right, right + ninth, right + 2 * ninth)
            pivot = max(min(low, middle), min(max(low, middle), high))
        split = _partition(values, order, start, last, first, pivot, False)
        if split == first:  # the pivot is the least: split off all its equals
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

    Values in one bucket stay unsorted, so boxes may overlap by a bucket's width.
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


class ChunkMemory(NamedTuple):
    """Memory to arrange a chunk in, flat pointers: of float64, then of int64."""

    values: NDArray[np.float64]
    rounded: NDArray[np.float64]
    spare: NDArray[np.int64]
    counts: NDArray[np.int64]
    stack: NDArray[np.int64]


@step
def split_into_leaves(points, n_features, order, start, stop, careful, memory):
    """Arrange ranks start:stop, a chunk at most: cut the widest side again and again, to leaves.

    ``careful`` splits at medians.
    """
    values, stack = memory.values, memory.stack
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
            values, order, first, last, memory.rounded, memory.counts, memory.spare
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
    """Split ranks along their widest feature; False where all rows are equal."""
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
    """Split at medians the ranges of chunks that lie in one cell.

    Stops after ``n_ranks`` ranks; returns how many ranges are left on the stack.
    """
    while waiting > 0 and n_ranks > 0:
        waiting -= 1
        start, stop, split_all = stack[waiting, 0], stack[waiting, 1], stack[waiting, 2] != 0
        if stop - start <= CHUNK_ROWS:
            continue
        half = CHUNK_ROWS
        while half * 2 < stop - start:
            half *= 2
        rank = start + half
        if split_all or _cell_size(cell_start, rank) > CHUNK_ROWS:
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
        for bit, halved in enumerate(reversed(halvings)):
            if halved == feature:
                bit_table[k, : steps.size] |= (steps & 1) << bit
                steps >>= 1
        bit_table[k, steps.size :] = bit_table[k, steps.size - 1]
    with np.errstate(over="ignore"):
        scale = np.minimum(2.0**n_bits / half_extent[features], np.finfo(np.float64).max)
    return features, lower[features] * 0.5, scale, bit_table


def row_type(n_samples: int) -> type[np.signedinteger]:
    """The type of a row's number: with half of int64's bytes 10M rows take 40 MB less."""
    return np.int32 if n_samples < 1 << 31 else np.int64


def sort_into_cells(points: NDArray[np.float64]) -> NDArray[np.signedinteger]:
    """The numbers of the rows, sorted into cells."""
    n_samples = len(points)
    if n_samples <= CHUNK_ROWS:
        return np.arange(n_samples, dtype=np.int32)
    lower, upper = bounds_of(points)
    features, origin, scale, bit_table = _cell_grid(lower, upper, n_samples // ROWS_PER_CELL)
    n_cells = 1 << sum(int(bits.max()).bit_count() for bits in bit_table)
    cells = np.empty(n_samples, dtype=np.int32)
    counts = np.zeros((part_count(), n_cells), dtype=row_type(n_samples))
    cell_start = np.empty(n_cells + 1, dtype=np.int64)
    order = np.empty(n_samples, dtype=row_type(n_samples))
    _count_and_place(points, features, origin, scale, bit_table, cells, counts, cell_start, order)
    _split_all(points, order, cell_start)
    return order


def _split_all(
    points: NDArray[np.float64], order: NDArray[np.signedinteger], cell_start: NDArray[np.int64]
) -> None:
    """Split heavy cells, in calls between which Ctrl-C is noticed."""
    values = np.empty(len(order))
    stack = np.zeros((64, 3), dtype=np.int64)
    stack[0, 1], waiting = len(order), 1
    while waiting > 0:
        waiting = _split_heavy_cells(
            points, order, cell_start, values, stack, waiting, MAX_SPLIT_RANKS
        )


def split_at_medians(points: NDArray[np.float64]) -> NDArray[np.signedinteger]:
    """The numbers of the rows, split at medians into chunks, as if all lay in one heavy cell."""
    order = np.arange(len(points), dtype=row_type(len(points)))
    if len(points) > CHUNK_ROWS:
        _split_all(points, order, np.array([0, len(points)]))
    return order
