"""The occupied bins of a grid, in the order in which rows enter them.

    row     0  1  2  3  4  5  6         a slot of the table
    bin     a  b  a  c  b  a  c    ->   for each bin: its number    ->   first row  0  1  3
                                        in order of appearance           rows       3  2  2

A bin is known by its first row. Its coordinates are not kept, and never become integers, so that
none is too large. Where the bins between the lowest and the highest row are few, each has a slot
of its own; else they are hashed. The table is as long in either case, and pages of it without
a bin take no memory.

Each thread reads a part of the rows, with slots of its own; in the end the bins of the other
parts are merged into those of the first, in order.
"""

from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index import thresholds
from meanshift_fast._index.tree_order import row_type
from meanshift_fast._input.extent import extremes
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import empty_floats, inlined, parallel, serial, step
from meanshift_fast._jit.hashing import mixed
from meanshift_fast._jit.simd import bit_patterns, flat, item, put
from meanshift_fast._jit.threads import part_count

BLOCK = 512  # rows that stay in cache while each of their columns is read
FIRST_CHUNK_ROWS = 1 << 20  # rows of the first chunk


class BinGrid(NamedTuple):
    """The grid whose bins are found. In a step its arrays are flat.

    Attributes
    ----------
    size : float
        The side of a bin.
    origin, stride : float64 arrays of shape (n_features,)
        The numbers of the lowest bin, and how far apart the slots of neighbours are.
    is_hashed : bool
        Whether the bins are too many for a slot each; then neither counts.
    """

    size: float
    origin: NDArray[np.float64]
    stride: NDArray[np.float64]
    is_hashed: bool


class Bins(NamedTuple):
    """The bins found so far, in order of appearance. In a step its arrays are flat.

    Attributes
    ----------
    slots : int array
        The number of the bin in each slot, from 1 on: zeros at first, a power of two of them.
    rows, counts : int64 arrays
        The first row of each bin, and how many rows it holds.
    """

    slots: NDArray[np.signedinteger]
    rows: NDArray[np.int64]
    counts: NDArray[np.int64]


# A million rows in two columns take one thread 4.8 ms and two 3.3; handed on as arrays and not as
# flat pointers, they took one 7.6. Rounding a block's values beforehand, to use vectors, took half
# as long again.


@step
def _bin(value, bin_size):
    """Round to a bin, half to even; adding 0.0 makes one bin of -0.0 and 0.0."""
    return np.rint(value / bin_size) + 0.0


@serial
def span_bins(points, bin_size, origin, stride):
    """Find the lowest bin and, for each feature, how far apart the numbers of neighbours are.

    Returns how many bins lie between the extremes: all that there are have numbers below.
    """
    for f in range(points.shape[1]):
        origin[f] = stride[f] = points[0, f]
    for start in range(0, points.shape[0], BLOCK):
        stop = min(start + BLOCK, points.shape[0])
        for f in range(points.shape[1]):
            least, most = origin[f], stride[f]
            for i in range(start, stop):
                least = min(least, points[i, f])
                most = max(most, points[i, f])
            origin[f], stride[f] = least, most
    n_spanned = 1.0
    for f in range(points.shape[1]):
        one, other = _bin(origin[f], bin_size), _bin(stride[f], bin_size)
        origin[f], stride[f] = min(one, other), n_spanned
        n_spanned *= abs(one - other) + 1.0
    return n_spanned


# All arrays of a step are flat, but for those of the last.


@step
def _own_slot(points, row, n_features, grid):
    """The slot of a row's bin where each bin has one."""
    number = 0.0
    for f in range(n_features):
        value = _bin(item(points, row * n_features + f), grid.size)
        number += (value - item(grid.origin, f)) * item(grid.stride, f)
    return int(number)


@step
def _hashed_slot(points, row, n_features, bin_size, bins, last_slot, place):
    """The slot of a row's bin, or where it will be."""
    # `hash_of_patterns` would read back what was just written: a million rows of two columns in
    # nearly as many bins take 130 ms this way and 155 ms with it.
    code = np.int64(0)
    for f in range(n_features):
        put(place, f, _bin(item(points, row * n_features + f), bin_size))
        code = mixed(code, item(bit_patterns(place), f))
    # The last bits of whole numbers are zeros: one more round of mixing spreads the hash.
    slot = mixed(code, np.int64(0)) & last_slot
    while item(bins.slots, slot) > 0:
        known = item(bins.rows, item(bins.slots, slot) - 1) * n_features
        f = 0
        while f < n_features and _bin(item(points, known + f), bin_size) == item(place, f):
            f += 1
        if f == n_features:
            break
        slot = (slot + 1) & last_slot
    return slot


@inlined
def _enter(points, row, n_features, grid, bins, last_slot, n_bins, place):
    """Find a row's bin, or enter it as the bin ``n_bins``; its number."""
    if grid.is_hashed:
        slot = _hashed_slot(points, row, n_features, grid.size, bins, last_slot, place)
    else:
        slot = _own_slot(points, row, n_features, grid)
    if item(bins.slots, slot) == 0:
        put(bins.slots, slot, n_bins + 1)
        put(bins.rows, n_bins, row)
        put(bins.counts, n_bins, 0)
    return item(bins.slots, slot) - 1


@step
def _flat_grid(grid):
    return BinGrid(grid.size, flat(grid.origin), flat(grid.stride), grid.is_hashed)


@step
def _flat_bins(bins):
    return Bins(flat(bins.slots), flat(bins.rows), flat(bins.counts))


@step
def count_part(points, start, stop, grid, bins, n_bins, inverse, place):
    """Note the first of rows start:stop in each new bin, and count each bin's; how many bins."""
    n_features, last_slot = points.shape[1], bins.slots.shape[0] - 1
    table, lattice, noted = flat(points), _flat_grid(grid), _flat_bins(bins)
    for i in range(start, stop):
        number = _enter(table, i, n_features, lattice, noted, last_slot, n_bins, flat(place))
        n_bins = max(n_bins, number + 1)
        put(noted.counts, number, item(noted.counts, number) + 1)
        if inverse.shape[0] > 0:
            inverse[i] = number
    return n_bins


@parallel
def _count_bins(points, parts, start, stop, grid, bins, slot_starts, n_bins, inverse):
    """Count the bins of rows start:stop of each part, in slots and a stretch of its own.

    ``bins`` has a power of two of slots for each part. An ``inverse`` with room for them takes the
    rows' bins.
    """
    for part in prange(parts.shape[0] - 1):
        first, last = parts[part], parts[part + 1]
        own = Bins(
            bins.slots[slot_starts[part] : slot_starts[part + 1]], bins.rows[first:],
            bins.counts[first:],
        )  # fmt: skip
        n_bins[part] = count_part(
            points, min(first + start, last), min(first + stop, last), grid, own, n_bins[part],
            inverse, empty_floats(points.shape[1]),
        )  # fmt: skip


@serial
def _join_part(points, start, stop, grid, bins, n_bins, place):
    """Merge the bins that rows[start:stop] begin into the first ``n_bins``; how many there are.

    There are no more of them than rows were read, so a row is read before it is overwritten.
    """
    n_features, last_slot = points.shape[1], bins.slots.shape[0] - 1
    table, lattice, noted = flat(points), _flat_grid(grid), _flat_bins(bins)
    for k in range(start, stop):
        row, size = item(noted.rows, k), item(noted.counts, k)
        number = _enter(table, row, n_features, lattice, noted, last_slot, n_bins, flat(place))
        n_bins = max(n_bins, number + 1)
        put(noted.counts, number, item(noted.counts, number) + size)
    return n_bins


def find_bins(
    points: NDArray[np.float64], bin_size: float, inverse: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the first row of each bin, in order of appearance, and how many rows it holds.

    ``points`` are read-only and C-ordered, and ``bin_size`` is positive. An ``inverse`` of shape
    (n_samples,) takes the number of each row's bin; one of shape (0,) none.
    """
    n_samples = len(points)
    is_shared = not inverse.size and n_samples >= thresholds.MIN_PARALLEL_BIN_ROWS
    n_parts = part_count() if is_shared else 1
    part = -(-n_samples // n_parts)
    starts = [*range(0, n_samples, part), n_samples]
    # The first part's slots are enough for all rows: the other parts' bins are merged into them.
    n_slots = [1 << (2 * n).bit_length() for n in (n_samples, *[part] * (len(starts) - 2))]
    slot_starts = np.array([0, *accumulate(n_slots)])
    bins = Bins(
        np.zeros(slot_starts[-1], dtype=row_type(n_samples)), np.empty(n_samples, dtype=np.int64),
        np.empty(n_samples, dtype=np.int64),
    )  # fmt: skip
    origin, stride = np.empty(points.shape[1]), np.empty(points.shape[1])
    n_spanned = span_bins(extremes(points), bin_size, origin, stride)
    grid = BinGrid(bin_size, origin, stride, not n_spanned <= min(n_slots))
    parts, n_found = np.array(starts), np.zeros(len(n_slots), dtype=np.int64)
    for start, stop in chunks(part, first=FIRST_CHUNK_ROWS):
        _count_bins(points, parts, start, stop, grid, bins, slot_starts, n_found, inverse)
    n_bins = int(n_found[0])
    for first, n_more in zip(starts[1:-1], n_found[1:].tolist(), strict=True):
        first_bins = bins._replace(slots=bins.slots[: n_slots[0]])
        for start, stop in chunks(n_more, first=FIRST_CHUNK_ROWS):
            n_bins = _join_part(
                points, first + start, first + stop, grid, first_bins, n_bins,
                np.empty_like(origin),
            )  # fmt: skip
    return bins.rows[:n_bins], bins.counts[:n_bins]
