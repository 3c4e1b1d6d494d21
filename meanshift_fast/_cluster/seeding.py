"""Seeds, and equal rows: the occupied bins of a grid, in the order in which rows enter them.

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

import warnings
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index import thresholds
from meanshift_fast._index.tree_order import row_type
from meanshift_fast._input.extent import extremes
from meanshift_fast._input.messages import caller_level, cut
from meanshift_fast._input.scaling import readonly_table
from meanshift_fast._input.weights import UNWEIGHTED
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import empty_floats, inlined, parallel, serial, step
from meanshift_fast._jit.hashing import mixed
from meanshift_fast._jit.simd import bit_patterns, flat, item, put
from meanshift_fast._jit.threads import part_count

MAX_SAMPLE_ROWS = 8192  # of the sample that predicts whether rows repeat
BLOCK = 512  # rows that stay in cache while each of their columns is read
FIRST_CHUNK_ROWS = 1 << 20  # rows of the first chunk
LEAST_BIN = float(np.finfo(np.float32).tiny)
MAX_SINGLE_NUMBER = float(1 << 24)  # up to which float32 holds every whole number
MAX_DOUBLE_NUMBER = float(1 << 53)  # the same of float64


# A million rows in two columns take one thread 4.8 ms and two 3.3; handed on as arrays and not as
# flat pointers, they took one 7.6. Rounding a block's values
# beforehand, to use vectors, took half as long again.


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
def _own_slot(points, row, n_features, bin_size, origin, stride):
    """The slot of a row's bin where each bin has one."""
    number = 0.0
    for f in range(n_features):
        value = _bin(item(points, row * n_features + f), bin_size)
        number += (value - item(origin, f)) * item(stride, f)
    return int(number)


@step
def _hashed_slot(points, row, n_features, bin_size, slots, last_slot, rows, bins):
    """The slot of a row's bin, or where it will be; ``rows`` are the first rows of the bins."""
    # `hash_of_patterns` would read back what was just written: a million rows of two columns in
    # nearly as many bins take 130 ms this way and 155 ms with it.
    code = np.int64(0)
    for f in range(n_features):
        put(bins, f, _bin(item(points, row * n_features + f), bin_size))
        code = mixed(code, item(bit_patterns(bins), f))
    # The last bits of whole numbers are zeros: one more round of mixing spreads the hash.
    slot = mixed(code, np.int64(0)) & last_slot
    while item(slots, slot) > 0:
        known = item(rows, item(slots, slot) - 1) * n_features
        f = 0
        while f < n_features and _bin(item(points, known + f), bin_size) == item(bins, f):
            f += 1
        if f == n_features:
            break
        slot = (slot + 1) & last_slot
    return slot


@inlined
def _enter(table, row, n_features, bin_size, grid, slots, last_slot, rows, counts, n_bins, bins):
    """Find a row's bin, or enter it as the bin ``n_bins``; its number."""
    origin, stride, hashes = grid
    if hashes:
        slot = _hashed_slot(table, row, n_features, bin_size, slots, last_slot, rows, bins)
    else:
        slot = _own_slot(table, row, n_features, bin_size, origin, stride)
    if item(slots, slot) == 0:
        put(slots, slot, n_bins + 1)
        put(rows, n_bins, row)
        put(counts, n_bins, 0)
    return item(slots, slot) - 1


@step
def count_part(
    points, start, stop, bin_size, origin, stride, slots, n_bins, rows, counts, inverse, bins
):
    """Note the first of rows start:stop in each new bin, and count each bin's; how many bins."""
    n_features, last_slot = points.shape[1], slots.shape[0] - 1
    grid = flat(origin), flat(stride), stride.shape[0] == 0
    table, marks, firsts, sizes = flat(points), flat(slots), flat(rows), flat(counts)
    for i in range(start, stop):
        number = _enter(
            table, i, n_features, bin_size, grid, marks, last_slot, firsts, sizes, n_bins,
            flat(bins),
        )  # fmt: skip
        n_bins = max(n_bins, number + 1)
        put(sizes, number, item(sizes, number) + 1)
        if inverse.shape[0] > 0:
            inverse[i] = number
    return n_bins


@parallel
def _count_bins(
    points, parts, start, stop, bin_size, origin, stride, slots, slot_starts, n_bins, rows, counts,
    inverse,
):  # fmt: skip
    """Count the bins of rows start:stop of each part, in slots and a stretch of its own.

    ``slots`` come as zeros, a power of two of them for each part. An ``inverse`` with room for
    them takes the rows' bins.
    """
    for part in prange(parts.shape[0] - 1):
        first, last = parts[part], parts[part + 1]
        bins = empty_floats(points.shape[1])
        n_bins[part] = count_part(
            points, min(first + start, last), min(first + stop, last), bin_size, origin, stride,
            slots[slot_starts[part] : slot_starts[part + 1]], n_bins[part], rows[first:],
            counts[first:], inverse, bins,
        )  # fmt: skip


@serial
def _join_part(points, start, stop, bin_size, origin, stride, slots, n_bins, rows, counts, bins):
    """Merge the bins that rows[start:stop] begin into the first ``n_bins``; how many there are.

    There are no more of them than rows were read, so a row is read before it is overwritten.
    """
    n_features, last_slot = points.shape[1], slots.shape[0] - 1
    grid = flat(origin), flat(stride), stride.shape[0] == 0
    table, marks, firsts, sizes = flat(points), flat(slots), flat(rows), flat(counts)
    for k in range(start, stop):
        row, size = item(firsts, k), item(sizes, k)
        number = _enter(
            table, row, n_features, bin_size, grid, marks, last_slot, firsts, sizes, n_bins,
            flat(bins),
        )  # fmt: skip
        n_bins = max(n_bins, number + 1)
        put(sizes, number, item(sizes, number) + size)
    return n_bins


def find_bins(
    points: NDArray[np.float64], bin_size: float, inverse: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the bins of a table.

    Parameters
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows; finite, at least one.
    bin_size : float
        Not 0.
    inverse : int64 array of shape (n_samples,) or (0,)
        Overwritten by the number of each row's bin, where there is room.

    Returns
    -------
    rows : int64 array of shape (n_bins,)
        The first row of each bin, in order of appearance.
    counts : int64 array of shape (n_bins,)
        How many rows each bin holds.
    """
    n_samples = len(points)
    is_shared = not inverse.size and n_samples >= thresholds.MIN_PARALLEL_BIN_ROWS
    n_parts = part_count() if is_shared else 1
    part = -(-n_samples // n_parts)
    starts = [*range(0, n_samples, part), n_samples]
    # The first part's slots are enough for all rows: the other parts' bins are merged into them.
    n_slots = [1 << (2 * n).bit_length() for n in (n_samples, *[part] * (len(starts) - 2))]
    slot_starts = np.array([0, *accumulate(n_slots)])
    slots = np.zeros(slot_starts[-1], dtype=row_type(n_samples))
    origin, stride = np.empty(points.shape[1]), np.empty(points.shape[1])
    rows, counts = np.empty(n_samples, dtype=np.int64), np.empty(n_samples, dtype=np.int64)
    if not span_bins(extremes(points), bin_size, origin, stride) <= min(n_slots):
        stride = stride[:0]
    parts, n_found = np.array(starts), np.zeros(len(n_slots), dtype=np.int64)
    for start, stop in chunks(part, first=FIRST_CHUNK_ROWS):
        _count_bins(
            points, parts, start, stop, bin_size, origin, stride, slots, slot_starts, n_found,
            rows, counts, inverse,
        )  # fmt: skip
    n_bins = int(n_found[0])
    for first, n_more in zip(starts[1:-1], n_found[1:].tolist(), strict=True):
        for start, stop in chunks(n_more, first=FIRST_CHUNK_ROWS):
            n_bins = _join_part(
                points, first + start, first + stop, bin_size, origin, stride,
                slots[: n_slots[0]], n_bins, rows, counts, np.empty_like(origin),
            )  # fmt: skip
    return rows[:n_bins], counts[:n_bins]


def whole_rows_once(
    points: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make of equal rows of whole numbers one row of their weight, where that halves the table.

    Pixels repeat: of the 273,280 of a photograph 96,615 are distinct. Finding them takes 7 ms; the
    tree is built in 5 ms and not in 19, and the ascent takes 80 ms and not 150. Sums of whole
    numbers are whole numbers, and come out the same.

    Parameters
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows; finite.
    weights : read-only float64 array of shape (n_samples,) or (0,)
        The rows' weights; with any, nothing is done.

    Returns
    -------
    points : read-only C-ordered float64 array of shape (n_distinct, n_features)
        The distinct rows in order of appearance, or the rows as they came.
    weights : read-only float64 array of shape (n_distinct,) or (0,)
        How often each occurs, or the weights as they came.
    """
    if weights.size or len(points) < thresholds.MIN_COUNTED_ROWS:
        return points, weights
    no_inverse = np.empty(0, dtype=np.int64)
    some = readonly_table(points[:: -(-len(points) // MAX_SAMPLE_ROWS)])
    if (some != np.rint(some)).any():
        return points, weights
    # Were half of the rows distinct, so many of the sample would repeat.
    n_repeated = len(some) - len(find_bins(some, 1.0, no_inverse)[0])
    if n_repeated < len(some) ** 2 / len(points) or (points != np.rint(points)).any():
        return points, weights
    rows, counts = find_bins(points, 1.0, no_inverse)
    if 2 * len(rows) > len(points):
        return points, weights
    distinct, often = points.take(rows, axis=0), counts.astype(np.float64)
    distinct.flags.writeable = often.flags.writeable = False
    return distinct, often


def _full_bins(
    points: NDArray[np.float64], bin_size: float, min_bin_freq: float, weights: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Find the first row of each bin that holds enough rows."""
    inverse = np.empty(weights.size, dtype=np.int64)
    rows, counts = find_bins(points, bin_size, inverse)
    if min_bin_freq <= 1:  # every occupied bin, however little it weighs
        return rows
    if weights.size == 0:
        return rows[counts >= min_bin_freq]
    # Sums of fractions come out a little short of a whole number, depending on their order.
    return rows[np.bincount(inverse, weights) >= min_bin_freq * (1.0 - 1e-10)]


def warn_of_bins(bin_size: float | NDArray[np.float64]) -> None:
    """Warn that the rows are the seeds, as from the line that called the package."""
    text = cut(str(bin_size) if isinstance(bin_size, np.ndarray) else f"{float(bin_size):f}")
    warnings.warn(
        f"Binning data failed with provided bin_size={text}, using data points as seeds.",
        stacklevel=caller_level(),
    )


class BinSeeds(NamedTuple):
    """The seeds of a table.

    Attributes
    ----------
    table : array of shape (n_seeds, n_features)
        Where they lie, in the unit of the columns.
    are_rows : bool
        Whether they are the rows: bins have no size, or are as many as the rows.
    """

    table: NDArray[Any]
    are_rows: bool


def bin_seeds(
    X: NDArray[Any],
    bin_size: float | NDArray[np.float64],
    min_bin_freq: float,
    *,
    weights: NDArray[np.float64] = UNWEIGHTED,
) -> BinSeeds:
    """Find the seeds of a table that needs no checks; :func:`get_bin_seeds` otherwise.

    Parameters
    ----------
    X : numeric array of shape (n_samples, n_features)
        The rows in their own dtype; finite, at least one.
    bin_size : float, or float64 array of shape (n_features,)
        Finite; of an array, positive.
    min_bin_freq : float
        Only bins that hold at least so many rows have a seed; all do where it is at most 1.
    weights : read-only float64 array of shape (n_samples,) or (0,), default=empty
        The rows' weights; a bin holds as many rows as they weigh.

    Returns
    -------
    BinSeeds
        X where ``bin_size`` is 0 or there are as many bins as rows, and no weights.
    """
    if isinstance(bin_size, np.ndarray) and (bin_size == bin_size[0]).all():
        bin_size = float(bin_size[0])
    if np.ndim(bin_size) == 0 and bin_size == 0:
        return BinSeeds(X, True)
    table, size = _in_bins(X, bin_size)
    points = readonly_table(table)
    rows = _full_bins(points, size, min_bin_freq, weights)
    if len(rows) == len(X) and weights.size == 0:
        warn_of_bins(bin_size)
        return BinSeeds(X, True)
    with np.errstate(over="ignore"):
        numbers = np.rint(points.take(rows, axis=0) / size)
    return BinSeeds(_centers(numbers, bin_size, X[rows]), False)


def _in_bins(X: NDArray[Any], bin_size: float | NDArray[np.float64]) -> tuple[NDArray[Any], float]:
    """The rows in a unit in which all sides of a bin are one length, and that length."""
    if isinstance(bin_size, np.ndarray):
        with np.errstate(over="ignore"):
            return X / bin_size, 1.0
    if X.dtype == np.float64:
        return X, float(bin_size)
    # NumPy chooses the precision of the quotient: a Python float follows X. Where it cannot hold
    # the bin size, scikit-learn divides by zero; where it cannot hold the bins' numbers,
    # scikit-learn makes one bin of many. In both cases float64 replaces it.
    with np.errstate(over="ignore", under="ignore"):
        precision = np.true_divide(X[:0], bin_size).dtype
        if precision == np.float64 or precision.type(bin_size) == 0:
            return X, float(bin_size)
        most = np.abs(np.array([X.min(), X.max()], dtype=X.dtype) / bin_size).max()
        if not np.isfinite(most):
            return X, float(bin_size)
        numbers = np.round(X / bin_size)
        if most > MAX_SINGLE_NUMBER:
            exact = np.rint(X.astype(np.float64) / float(bin_size))
            numbers = np.where(np.abs(numbers) > MAX_SINGLE_NUMBER, exact, numbers)
    return numbers, 1.0


def _centers(
    numbers: NDArray[np.float64], bin_size: float | NDArray[np.float64], rows: NDArray[Any]
) -> NDArray[Any]:
    """The centres of bins, from their numbers and a row of each.

    Up to `MAX_SINGLE_NUMBER` they are scikit-learn's, which pass through float32. Each
    number is judged alone: the rounding of one row far away moves no other seed.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        singles: NDArray[Any] = numbers.astype(np.float32) * bin_size
        # Numbers that float32 cannot hold make scikit-learn's seeds zero, infinite or NaN.
        serve = (np.abs(numbers) <= MAX_SINGLE_NUMBER) & np.isfinite(singles)
    serve &= np.abs(bin_size) >= LEAST_BIN
    if serve.all():
        return singles
    return np.where(serve, singles, centers_of(numbers, np.float64(bin_size), rows))


def centers_of(
    numbers: NDArray[np.float64], bin_size: float | NDArray[np.float64], rows: NDArray[Any]
) -> NDArray[np.float64]:
    """The centres of bins in float64; a row's own coordinate where floats have no centre there.

    Parameters
    ----------
    numbers : float64 array of shape (n_bins, n_features)
        The bins' numbers, whole.
    bin_size : float, or float64 array of shape (n_features,)
        The sides of a bin.
    rows : array of shape (n_bins, n_features)
        A row of each bin.

    Returns
    -------
    float64 array of shape (n_bins, n_features)
    """
    with np.errstate(over="ignore"):
        centers = numbers * bin_size
    # Beyond 2^53 a bin is narrower than the step between floats: one coordinate of rows is in it.
    serve = (np.abs(numbers) <= MAX_DOUBLE_NUMBER) & np.isfinite(centers)
    return np.where(serve, centers, rows)
