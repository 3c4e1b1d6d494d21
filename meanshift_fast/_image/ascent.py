"""The ascent: each pixel's trajectory, in a memo of exact positions.

    pixel 0   a --> b --> c --> d *          a position is entered once, with the step from it;
    pixel 1   e --> f --> c                  a trajectory stops at a known position
    pixel 2   g --> h --> i --> h            a cycle: it ends at its smallest position

The step from a position depends on its bits alone, so a trajectory that reaches a position of
another continues as that one, exactly. A position that is resolved holds its endpoint and the
number of steps to it, by which ``max_iter`` ends each trajectory where it would end without a memo.
A cycle is found where a trajectory reaches a position of its own, and its endpoint does not depend
on where it was entered: results are equal to the last bit for every number of threads and tiling.

Each thread has a memo of its own, which is emptied when it is full.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._image.cut_blocks import center_at, rooms_of
from meanshift_fast._image.lattice import Lattice, Window
from meanshift_fast._image.order import TAKEN_PIXELS, next_index, place_of
from meanshift_fast._image.window import LEFT, mean_of_window, pixels_of
from meanshift_fast._input.progress import Report
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import inlined, parallel, step
from meanshift_fast._jit.hashing import find_slot, mixed
from meanshift_fast._jit.simd import bit_patterns, flat, item, put
from meanshift_fast._jit.threads import available_threads

FACTOR = -0x61C8864680B583EB  # odd: its powers keep all bits of a pattern
OPEN = -1  # the next position, or the endpoint, is not known
ON_PATH = -2  # on the trajectory that is followed at present
GONE = -3  # the endpoint lies beyond what is in memory
# More steps than this would not fit in a memo.
MAX_ITERATIONS = 1 << 16
# Positions that a thread's memo has room for: 0.3 to 1.2 MB. With 1 << 14 the window (8, 16) has
# 3 % fewer steps, and took 1.31 s of processor time for 0.95 beside other work, waiting for memory;
# (32, 32) has 11 % fewer steps, which take longer.
MIN_MEMO_POSITIONS, MAX_MEMO_POSITIONS = 1 << 12, 1 << 14
POSITIONS_PER_WINDOW_PIXEL = 8  # between those bounds
FIRST_CHUNK_VALUES = 1 << 28  # values that the first chunk reads, at most


class Ascending(NamedTuple):
    """How trajectories are followed.

    Attributes
    ----------
    window : Window
        What is averaged.
    max_iter : int
        Moves of a trajectory, at most.
    tol : float
        The length of a move after which a trajectory rests, in units of both radii together.
    """

    window: Window
    max_iter: int
    tol: float


class Memo(NamedTuple):
    """Room for the positions of each thread.

    Attributes
    ----------
    positions : float64 array of shape (n_threads, n_positions, 3 + n_bands)
        The positions.
    links : int32 array of shape (n_threads, 3 * n_positions)
        The next position of each, then its endpoint, then the steps to that.
    slots : int32 array of shape (n_threads, n_slots)
        The hash table.
    path : int32 array of shape (n_threads, n_positions)
        The trajectory that is followed.
    room : float64 array of shape (n_threads, n)
        As `window.py` lays it out.
    scaled : float32 array of shape (n_threads, n)
        The same of float32.
    counts : int64 array of shape (n_threads, 8)
        First, how many positions there are; the rest keeps the counts on cache lines of their own.
    """

    positions: NDArray[np.float64]
    links: NDArray[np.int32]
    slots: NDArray[np.int32]
    path: NDArray[np.int32]
    room: NDArray[np.float64]
    scaled: NDArray[np.float32]
    counts: NDArray[np.int64]


def _memo_for(n_threads: int, n_bands: int, n_in_window: int, max_iter: int) -> Memo:
    """Make the memo of each thread, with room for the longest trajectory."""
    wanted = max(POSITIONS_PER_WINDOW_PIXEL * n_in_window, MIN_MEMO_POSITIONS)
    n_positions = max(min(wanted, MAX_MEMO_POSITIONS), 2 * max_iter + 2)
    return Memo(
        np.empty((n_threads, n_positions, 3 + n_bands)),
        np.empty((n_threads, 3 * n_positions), dtype=np.int32),
        np.zeros((n_threads, 2 << (n_positions - 1).bit_length()), dtype=np.int32),
        np.empty((n_threads, n_positions), dtype=np.int32),
        *rooms_of(n_threads, n_bands),
        np.zeros((n_threads, 8), dtype=np.int64),
    )


class Tables(NamedTuple):
    """The memo of a thread as flat pointers, with the sizes of its tables."""

    positions: Any
    links: Any
    slots: Any
    path: Any
    room: Any
    scaled: Any
    counts: Any
    size: int
    n_room: int
    last_slot: int


@step
def _hash_of_position(patterns, first, size):
    """Mix the bit patterns of a position, side by side.

    The mean of a window is waited for here: not by a chain of multiplications.
    """
    code, factor = np.int64(0), np.int64(1)
    for k in range(first, first + size):
        pattern = item(patterns, k)
        factor *= FACTOR
        code += (pattern ^ (pattern >> 32)) * factor
    return mixed(np.int64(0), code)


@step
def _enter(positions, slots, last_slot, n_positions, size, room, first):
    """Find the number of ``room[first:]``, or enter it as number ``n_positions``; bit by bit."""
    patterns = bit_patterns(room)
    code = _hash_of_position(patterns, first, size)
    slot = find_slot(code, patterns, first, size, bit_patterns(positions), size, slots, last_slot)
    if item(slots, slot) > 0:
        return item(slots, slot) - 1
    put(slots, slot, n_positions + 1)
    for k in range(size):
        put(positions, n_positions * size + k, item(room, first + k))
    return n_positions


@step
def _is_at_rest(positions, size, here, there, lengths):
    """Whether a move is short, in units of both radii together."""
    space_sq, range_sq = 0.0, 0.0
    for axis in range(3):
        move = item(positions, there * size + axis) - item(positions, here * size + axis)
        move *= item(lengths, axis)
        space_sq += move * move
    for band in range(3, size):
        move = item(positions, there * size + band) - item(positions, here * size + band)
        range_sq += move * move
    return space_sq / item(lengths, 3) + range_sq / item(lengths, 4) <= item(lengths, 8)


@step
def _is_before(positions, size, one, other):
    """Whether a position is smaller than another, by the first value that differs."""
    for k in range(size):
        a, b = item(positions, one * size + k), item(positions, other * size + k)
        if a != b:
            return a < b
    return False


@step
def _resolve(positions, size, links, n_room, path, n_path):
    """Write the endpoint of all positions of a path, from where its last step leads."""
    last = n_path - 1
    here = item(path, last)
    end = item(links, n_room + here)
    if end != ON_PATH:  # it rests, or leaves the pixels in memory
        last -= 1
    elif item(links, n_room + item(links, here)) == ON_PATH:  # a cycle
        first, least = last, here
        while item(path, first) != item(links, here):
            first -= 1
            if _is_before(positions, size, item(path, first), least):
                least = item(path, first)
        for k in range(first, n_path):
            put(links, n_room + item(path, k), least)
            put(links, 2 * n_room + item(path, k), n_path - first)
        last = first - 1
    for k in range(last, -1, -1):
        here = item(path, k)
        there = item(links, here)
        put(links, n_room + here, item(links, n_room + there))
        put(links, 2 * n_room + here, item(links, 2 * n_room + there) + 1)


@step
def _advance(here, pixels, lengths, is_joint, tables, n_positions):
    """Take the step from a position that has none; how many positions there are then.

    Sets its endpoint where it rests, or where its window is not in memory.
    """
    positions, links, slots, _, room, scaled, _, size, n_room, last_slot = tables
    center = center_at(size - 3)
    for k in range(size):
        put(room, center + k, item(positions, here * size + k))
    weight = mean_of_window(pixels, lengths, is_joint, room, scaled)
    if weight <= 0.0:
        put(links, here, here)
        put(links, n_room + here, GONE if weight == LEFT else here)
        put(links, 2 * n_room + here, 1)
        return n_positions
    there = _enter(positions, slots, last_slot, n_positions, size, room, center + size)
    if there == n_positions:
        put(links, there, OPEN)
        put(links, n_room + there, OPEN)
        n_positions += 1
    put(links, here, there)
    if _is_at_rest(positions, size, here, there, lengths):
        put(links, n_room + here, there)
        put(links, 2 * n_room + here, 1)
    return n_positions


@step
def _end_within(start, links, n_room, max_iter):
    """The number of a resolved position's endpoint, or of where ``max_iter`` steps lead."""
    if item(links, 2 * n_room + start) <= max_iter:
        return item(links, n_room + start)
    for _ in range(max_iter):
        start = item(links, start)
    return start


@step
def _endpoint_of(start, pixels, lengths, is_joint, max_iter, tables, n_positions):
    """Follow a trajectory; the number of its endpoint, or GONE, and how many positions there are.

    It is followed until it rests, or reaches a position that is resolved, or one of its own.
    """
    positions, links, path, size, n_room = (
        tables.positions, tables.links, tables.path, tables.size, tables.n_room
    )  # fmt: skip
    here, n_path = start, np.int64(0)
    while item(links, n_room + here) == OPEN and n_path < max_iter:
        put(path, n_path, here)
        n_path += 1
        put(links, n_room + here, ON_PATH)
        if item(links, here) == OPEN:
            n_positions = _advance(here, pixels, lengths, is_joint, tables, n_positions)
            if item(links, n_room + here) != ON_PATH:
                break
        here = item(links, here)
    if item(links, n_room + here) == OPEN:  # after the last step that is allowed
        for k in range(n_path):
            put(links, n_room + item(path, k), OPEN)
        return here, n_positions
    if n_path:
        _resolve(positions, size, links, n_room, path, n_path)
    return _end_within(start, links, n_room, max_iter), n_positions


@inlined
def _tables_of(memo, t):
    """The memo of a thread."""
    n_room, size = memo.positions.shape[1:]
    return Tables(
        flat(memo.positions[t]), flat(memo.links[t]), flat(memo.slots[t]), flat(memo.path[t]),
        flat(memo.room[t]), flat(memo.scaled[t]), flat(memo.counts[t]), size, n_room,
        memo.slots.shape[1] - 1,
    )  # fmt: skip


@step
def _clear(slots, last_slot):
    """Empty a memo; how many positions it holds."""
    for slot in range(last_slot + 1):
        put(slots, slot, 0)
    return np.int64(0)


class Followed(NamedTuple):
    """The pixels of a call, and what is found of them.

    Attributes
    ----------
    numbers, rows : uint32 arrays of shape (n_pixels,)
        Their numbers in memory, and the rows that are written.
    endpoints : float64 array of shape (n, n_space + n_bands)
        Where they end.
    is_gone : bool array of shape (n,), or (0,) where the whole image is in memory
        Whether a trajectory left what is in memory.
    """

    numbers: NDArray[np.uint32]
    rows: NDArray[np.uint32]
    endpoints: NDArray[np.float64]
    is_gone: NDArray[np.bool_]


@step
def _follow_some(pixels, lengths, is_joint, max_iter, followed, tables, counter):
    """Follow pixels that this thread takes until none is left to take."""
    numbers, rows, endpoints, is_gone = followed
    positions, links, slots, _, room, _, counts, size, n_room, last_slot = tables
    n_positions, center = item(counts, 0), center_at(size - 3)
    first_axis = size - endpoints.shape[1]  # a picture has no planes
    i = next_index(np.int64(-1), counter)
    while i < numbers.shape[0]:
        if n_positions + max_iter + 2 > n_room:
            n_positions = _clear(slots, last_slot)
        target = np.int64(rows[i])
        place_of(np.int64(numbers[i]), pixels, room, center)
        entry = _enter(positions, slots, last_slot, n_positions, size, room, center)
        if entry == n_positions:
            put(links, entry, OPEN)
            put(links, n_room + entry, OPEN)
            n_positions += 1
        end, n_positions = _endpoint_of(
            entry, pixels, lengths, is_joint, max_iter, tables, n_positions
        )
        if end == GONE:
            is_gone[target] = True
        else:
            for k in range(first_axis, size):
                endpoints[target, k - first_axis] = item(positions, end * size + k)
        i = next_index(i, counter)
    put(counts, 0, n_positions)


@parallel
def _follow_all(lattice, lengths, is_joint, max_iter, followed, memo, counter):
    """Follow pixels, on all threads that have a memo."""
    for t in prange(memo.counts.shape[0]):
        _follow_some(
            pixels_of(lattice), flat(lengths), is_joint, max_iter, followed, _tables_of(memo, t),
            flat(counter),
        )  # fmt: skip


def follow(
    lattice: Lattice,
    how: Ascending,
    numbers: NDArray[np.uint32],
    rows: NDArray[np.uint32],
    endpoints: NDArray[np.float64],
    report: Report,
) -> NDArray[np.bool_]:
    """Follow pixels to their endpoints.

    Parameters
    ----------
    numbers, rows : uint32 arrays of shape (n_pixels,)
        The numbers, in memory, of pixels to follow, and the rows where endpoints are written.
        Fastest where neighbours follow one another.
    endpoints : float64 array of shape (n, n_space + n_bands)
        Written: the position, in pixels of the image, and the bands.

    Returns
    -------
    bool array of shape (n,), or (0,) where the whole image is in memory
        Whether a trajectory reached a window that is not in memory; its endpoint is not written.

    Notes
    -----
    Bit-equal for every number of threads, and for every part of the image that is in memory. The
    stage that ``report`` gets is "climb".
    """
    window, max_iter, tol = how
    n_values = window.n_values(lattice)
    n_in_window = n_values // lattice.n_bands
    memo = _memo_for(available_threads(), lattice.n_bands, n_in_window, max_iter)
    is_gone = np.zeros(0 if lattice.is_whole else len(endpoints), dtype=np.bool_)
    lengths = window.lengths(tol)
    first = max(FIRST_CHUNK_VALUES // n_values // 16, TAKEN_PIXELS)
    report(0, len(numbers), "climb")
    for start, stop in chunks(len(numbers), first=first):
        followed = Followed(numbers[start:stop], rows[start:stop], endpoints, is_gone)
        _follow_all(
            lattice, lengths, window.is_joint, max_iter, followed, memo,
            np.zeros(1, dtype=np.int64),
        )  # fmt: skip
        report(stop, len(numbers), "climb")
    return is_gone
