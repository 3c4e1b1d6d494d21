"""The window: the sums of the pixels around a position, sixteen at a time.

    boxes of sixteen blocks     outside: passed over     inside: their sums are added
                                cut: its sixteen pixels are tested

    the test of a pixel:    float32 distance    surely inside | unsure: the float64 test | outside

Whether a pixel is inside is decided by one expression in float64, the squares summed axis by axis
and then band by band, as the plain twin of the tests does. A filter in float32 decides nearly
all pixels, by an error bound that holds for each: `Lattice.filter` has its limits, between which
the expression decides. A block whose sixteen pixels are all inside adds its sums, to the same lane
whichever test found that, so the order of a sum depends on the position alone. Whole numbers, as
pixels have them, are summed exactly.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._jit.compiler import inlined, step
from meanshift_fast._jit.simd import (
    LANES,
    bits,
    flat,
    full,
    item,
    load,
    load_from,
    load_narrow,
    lowest,
    mask_of,
    n_set,
    put,
    store,
    total,
    where,
)

MARGIN = 1e-6  # pixels by which limits are wider than rounding could make them
LEFT = -1.0  # the weight of a window that holds pixels which are not in memory
ALL_LANES = (1 << LANES) - 1
# The lanes of a block in its last two rows and in its odd rows; and the same of its columns.
ROWS_2, ROWS_1, COLUMNS_2, COLUMNS_1 = 0xFF00, 0xF0F0, 0xCCCC, 0xAAAA


class Pixels(NamedTuple):
    """A lattice as flat pointers and numbers, which steps pass on without counting references."""

    blocks: Any
    narrow: Any
    boxes: Any
    sums: Any
    frame: Any
    filter: Any
    n_bands: int
    n_down: int
    n_across: int
    stride: int


@inlined
def pixels_of(lattice):
    """The pointers of a lattice, which the caller holds."""
    _, n_down, n_across, n_bands, _ = lattice.blocks.shape
    stride = lattice.boxes.shape[1] * n_down * (n_across + LANES)
    return Pixels(
        flat(lattice.blocks), flat(lattice.narrow), flat(lattice.boxes), flat(lattice.sums),
        flat(lattice.frame), flat(lattice.filter), n_bands, n_down, n_across, stride,
    )  # fmt: skip


@step
def center_at(n_bands):
    """The index of the position in a thread's room; the mean follows its 3 + n_bands values."""
    return LANES * (2 + 2 * n_bands)


def room_of(n_bands: int) -> NDArray[np.float64]:
    """Make the room of a thread: columns, rows, sums of pixels and of blocks; position, mean."""
    room = np.zeros(LANES * (2 + 2 * n_bands) + 2 * (3 + n_bands))
    room[: 2 * LANES] = [*np.tile(range(4), 4), *np.repeat(range(4), 4)]
    return room


def narrow_room_of(n_bands: int) -> NDArray[np.float32]:
    """Make its room of float32: columns, rows and boxes of the lanes, zeros, the scaled bands."""
    room = np.zeros(4 * LANES + n_bands, dtype=np.float32)
    room[: 3 * LANES] = [*np.tile(range(4), 4), *np.repeat(range(4), 4), *range(0, 64, 4)]
    return room


@inlined
def _larger(a, b):
    """The larger of two vectors, lane by lane."""
    return where(a > b, a, b)


@inlined
def _exactly_inside(blocks, at, corner, plane_sq, lengths, is_joint, n_bands, room, center):
    """The lanes of a block that are inside, by the expression in float64."""
    down = ((load(room, 1) + corner[0]) - item(room, center + 1)) * item(lengths, 1)
    across = ((load(room, 0) + corner[1]) - item(room, center + 2)) * item(lengths, 2)
    distance_sq = (down * down + plane_sq) + across * across
    if not is_joint:
        distance_sq = where(distance_sq <= item(lengths, 3), full(0.0), full(np.inf))
    for band in range(n_bands):
        away = load_from(blocks, at + LANES * band) - item(room, center + 3 + band)
        distance_sq = distance_sq + away * away
    return bits(distance_sq <= (1.0 if is_joint else item(lengths, 4)))


@inlined
def _narrow_distances_sq(narrow, at, down_sq, left, unit, is_within, is_joint, n_bands, scaled):
    """The squared distances of a block's pixels in float32, in units of the radii.

    Those in space and in range together for a joint window, else the larger of the two.
    """
    away = load_narrow(narrow, at) - item(scaled, 4 * LANES)
    range_sq = away * away
    for band in range(1, n_bands):
        away = load_narrow(narrow, at + LANES * band) - item(scaled, 4 * LANES + band)
        range_sq = range_sq + away * away
    if is_within:
        return range_sq
    across = (load_narrow(scaled, 0) - left) * unit
    space_sq = across * across + down_sq
    if is_joint:
        return space_sq + range_sq
    return _larger(space_sq, range_sq)


@inlined
def _add_block(pixels, block, at, k, inside, n_bands, room):
    """Add the bands of the lanes of block k of sixteen that are inside; its sums where all are."""
    if inside == ALL_LANES:
        for band in range(n_bands):
            lane = LANES * (2 + n_bands + band) + k
            put(room, lane, item(room, lane) + item(pixels.sums, band * pixels.stride + at + k))
    elif inside != 0:
        for band in range(n_bands):
            values = load_from(pixels.blocks, (block * n_bands + band) * LANES)
            values = where(mask_of(inside), values, full(0.0))
            store(room, 2 + band, load(room, 2 + band) + values)


@inlined
def _add_whole(pixels, at, whole, n_bands, room):
    """Add the sums of those of sixteen blocks that are inside; how many, and their indices' sum."""
    if whole != 0:
        for band in range(n_bands):
            values = load_from(pixels.sums, band * pixels.stride + at)
            values = where(mask_of(whole), values, full(0.0))
            store(room, 2 + n_bands + band, load(room, 2 + n_bands + band) + values)
    indices = n_set(whole & 0xAAAA) + 2 * n_set(whole & 0xCCCC)
    return n_set(whole), indices + 4 * n_set(whole & 0xF0F0) + 8 * n_set(whole & 0xFF00)


@inlined
def _bounds_across(left, unit, near_sq, far_sq, scaled):
    """Add to squared bounds what sixteen blocks in a row add across, at least and at most."""
    below = load_narrow(scaled, 2 * LANES) - left
    above = (left - 3.0) - load_narrow(scaled, 2 * LANES)
    zero = load_narrow(scaled, 3 * LANES)
    near = _larger(_larger(below, above), zero) * unit
    far_sq = _larger(below * below, above * above) * (unit * unit) + far_sq
    return near * near + near_sq, far_sq


@inlined
def _open_and_whole(pixels, at, near_sq, far_sq, n_bands, scaled):
    """Of sixteen blocks those that a window may reach, and those surely inside, as bits."""
    zero = load_narrow(scaled, 3 * LANES)
    for band in range(n_bands):
        value = item(scaled, 4 * LANES + band)
        below = load_narrow(pixels.boxes, band * pixels.stride + at) - value
        above = value - load_narrow(pixels.boxes, (n_bands + band) * pixels.stride + at)
        near = _larger(_larger(below, above), zero)
        near_sq = near * near + near_sq
        far_sq = _larger(below * below, above * above) + far_sq
    surely, surely_not = np.float32(item(pixels.filter, 0)), np.float32(item(pixels.filter, 1))
    return bits(near_sq <= surely_not), bits(far_sq <= surely)


@inlined
def _limits(center, reach, first, last):
    """The first and the last pixel along an axis that a window may reach."""
    low = max(np.int64(np.ceil(center - reach - MARGIN)), first)
    return low, min(np.int64(np.floor(center + reach + MARGIN)), last)


@inlined
def _bounds(center, first, last, unit):
    """The least and the largest squared distance to pixels from first to last along an axis."""
    below, above = first - center, center - last
    near = max(max(below, above), 0.0) * unit
    far = max(-below, -above) * unit
    return near * near, far * far


@inlined
def _blocks_within(px, left_sq, unit, is_joint):
    """The first and the last block of a row with all pixels within the spatial radius."""
    if is_joint or left_sq <= 0.0:
        return 1, 0
    reach = np.sqrt(left_sq) / unit - MARGIN
    return np.int64(np.ceil((px - reach) / 4.0)), np.int64(np.floor((px + reach - 3.0) / 4.0))


@inlined
def _inside(pixels, block, corner, plane_sq, down_sq, is_within, lengths, is_joint, n_bands, rooms):
    """The lanes of a block that are inside, as bits."""
    room, scaled, center, unit = rooms
    at, left = block * n_bands * LANES, item(room, center + 2) - corner[1]
    # Blocks within the spatial radius need no test in space: two calls, because one call with a
    # variable flag would always make the test.
    if is_within:
        distances_sq = _narrow_distances_sq(
            pixels.narrow, at, down_sq, left, unit, True, is_joint, n_bands, scaled
        )
    else:
        distances_sq = _narrow_distances_sq(
            pixels.narrow, at, down_sq, left, unit, False, is_joint, n_bands, scaled
        )
    surely = bits(distances_sq <= np.float32(item(pixels.filter, 0)))
    if surely == bits(distances_sq <= np.float32(item(pixels.filter, 1))):
        return surely
    return _exactly_inside(
        pixels.blocks, at, corner, plane_sq, lengths, is_joint, n_bands, room, center
    )


@inlined
def _add_blocks(pixels, z, down, plane_sq, lengths, is_joint, n_bands, rooms):
    """Sum the pixels of a row of blocks that are inside; pixels, and sums of rows and columns."""
    room, scaled, center, narrow_unit = rooms
    frame, unit, px = pixels.frame, item(lengths, 2), item(room, center + 2)
    limit_sq, y = item(lengths, 3), float(4 * down)
    near_y, far_y = _bounds(item(room, center + 1), y, y + 3.0, item(lengths, 1))
    near_y, far_y = near_y + plane_sq, far_y + plane_sq
    column, last = _limits(px, np.sqrt(max(limit_sq - near_y, 0.0)) / unit, 0, item(frame, 8) - 1)
    first_within, last_within = _blocks_within(px, limit_sq - far_y, unit, is_joint)
    # In float32 the spatial radius is 1, as that of a joint window is in all units.
    to_one = narrow_unit / unit
    below = load_narrow(scaled, LANES) - (item(room, center + 1) - y)
    below = below * (item(lengths, 1) * to_one)
    down_sq = below * below + plane_sq * (to_one * to_one)
    row = (z - item(frame, 0)) * pixels.n_down + down - item(frame, 1) // 4
    across, last = column // 4, last // 4
    n, rows, columns = 0, 0, 0
    while across <= last:
        first = across - item(frame, 2) // 4
        near_sq, far_sq = load_narrow(scaled, 3 * LANES), load_narrow(scaled, 3 * LANES)
        if is_joint:
            near_sq, far_sq = _bounds_across(
                px - 4.0 * across, narrow_unit, near_sq + near_y, far_sq + far_y, scaled
            )
        at = row * (pixels.n_across + LANES) + first
        open_blocks, whole = _open_and_whole(pixels, at, near_sq, far_sq, n_bands, scaled)
        open_blocks &= (2 << min(last - across, LANES - 1)) - 1
        whole &= open_blocks
        if not is_joint:
            low, high = max(first_within - across, 0), min(last_within - across, LANES - 1)
            whole &= (2 << high) - (1 << low) if high >= low else 0
        n_whole, indices = _add_whole(pixels, at, whole, n_bands, room)
        n += 16 * n_whole
        rows += n_whole * (64 * down + 24)
        columns += n_whole * (64 * across + 24) + 64 * indices
        open_blocks &= ~whole
        while open_blocks != 0:
            k = lowest(open_blocks)
            open_blocks &= open_blocks - 1
            block, x = row * pixels.n_across + first + k, 4 * (across + k)
            is_within = first_within <= across + k <= last_within
            inside = _inside(
                pixels, block, (y, float(x)), plane_sq, down_sq, is_within, lengths, is_joint,
                n_bands, rooms,
            )  # fmt: skip
            _add_block(pixels, block, at, k, inside, n_bands, room)
            n_here = n_set(inside)
            n += n_here
            rows += n_here * 4 * down + 2 * n_set(inside & ROWS_2) + n_set(inside & ROWS_1)
            columns += n_here * x + 2 * n_set(inside & COLUMNS_2) + n_set(inside & COLUMNS_1)
        across += LANES
    return n, rows, columns


@inlined
def _scan(pixels, lengths, is_joint, n_bands, room, scaled, center):
    """Sum the window around the position in the room; pixels, and sums of planes, rows, columns."""
    frame, filter = pixels.frame, pixels.filter
    for band in range(n_bands):
        store(room, 2 + band, full(0.0))
        store(room, 2 + n_bands + band, full(0.0))
        value = (item(room, center + 3 + band) - item(filter, 3 + band)) * item(filter, 2)
        put(scaled, 4 * LANES + band, value)
    unit = item(lengths, 2) / (1.0 if is_joint else np.sqrt(item(lengths, 3)))
    n, planes, rows, columns = 0, 0, 0, 0
    first_z, last_z = _limits(item(room, center), item(lengths, 5), 0, item(frame, 6) - 1)
    first_y, last_y = _limits(item(room, center + 1), item(lengths, 6), 0, item(frame, 7) - 1)
    for z in range(first_z, last_z + 1):
        away = (z - item(room, center)) * item(lengths, 0)
        for down in range(first_y // 4, last_y // 4 + 1):
            n_here, rows_here, columns_here = _add_blocks(
                pixels, z, down, away * away, lengths, is_joint, n_bands,
                (room, scaled, center, unit),
            )  # fmt: skip
            n, planes = n + n_here, planes + n_here * z
            rows, columns = rows + rows_here, columns + columns_here
    return n, planes, rows, columns


@inlined
def _is_in_memory(frame, lengths, room, center):
    """Whether all pixels of the image that a window may reach are in memory."""
    for axis in range(3):
        low, high = _limits(
            item(room, center + axis), item(lengths, 5 + axis), 0, item(frame, 6 + axis) - 1
        )
        if low < item(frame, axis) or high > item(frame, 3 + axis):
            return False
    return True


@step
def mean_of_window(pixels, lengths, is_joint, room, scaled):
    """Write the mean of the pixels in the window around a position; how many they are.

    Parameters
    ----------
    pixels : Pixels
        The lattice.
    lengths : flat pointer to float64
        As `Window.lengths` gives them.
    is_joint : bool
        The kind of the window.
    room : flat pointer to float64
        Holds the position; the mean is written to it.
    scaled : flat pointer to float32
        Its room of float32.

    Returns
    -------
    float
        0 where the window is empty, LEFT where some of it is not in memory.
    """
    n_bands = pixels.n_bands
    center = center_at(n_bands)
    if not _is_in_memory(pixels.frame, lengths, room, center):
        return LEFT
    if n_bands == 3:  # loops over so many bands are unrolled
        found = _scan(pixels, lengths, is_joint, np.int64(3), room, scaled, center)
    else:
        found = _scan(pixels, lengths, is_joint, n_bands, room, scaled, center)
    n, mean = found[0], center + 3 + n_bands
    if n > 0:
        for axis in range(3):
            put(room, mean + axis, found[1 + axis] / n)
        for band in range(n_bands):
            value = total(load(room, 2 + band)) + total(load(room, 2 + n_bands + band))
            put(room, mean + 3 + band, value / n)
    return float(n)
