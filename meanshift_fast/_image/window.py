"""The window: the sums of the pixels around a position, sixteen at a time.

    boxes of sixteen blocks     outside: passed over     inside: their sums are added
                                cut: its sixteen pixels are tested

    room of a thread, in vectors and then in values:
    columns, rows, boxes of the lanes | weight | plane, row, column | bands | center ... | mean ...
    vector 0, 1, 2                      3        4, 5, 6              7 on

Whether a pixel is inside is decided by one expression, the squares summed axis by axis and then
band by band, as the plain twin of the tests does. The bounds of a block are the same expression at
the ends of its box, so that none is judged otherwise than its pixels. The order of a sum depends on
the position alone. Whole numbers, as pixels have them, are summed exactly.
"""

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
    lowest,
    mask_of,
    put,
    store,
    total,
    where,
)

MARGIN = 1e-6  # pixels by which limits are wider than rounding could make them
LEFT = -1.0  # the weight of a window that holds pixels which are not in memory


@step
def center_at(n_bands):
    """Where in a thread's room the position is; the mean comes after its 3 + n_bands values."""
    return LANES * (7 + n_bands)


def room_of(n_bands: int) -> NDArray[np.float64]:
    """Make the room of a thread."""
    room = np.zeros(LANES * (7 + n_bands) + 2 * (3 + n_bands))
    room[: 3 * LANES] = [*np.tile(range(4), 4), *np.repeat(range(4), 4), *range(0, 64, 4)]
    return room


@inlined
def _larger(a, b):
    return where(a > b, a, b)


@inlined
def _add_block(blocks, at, corner, plane_sq, lengths, is_joint, n_bands, room, center):
    """Add the pixels of a block that are inside; ``corner`` is its first row and column."""
    zero = full(0.0)
    rows, columns = load(room, 1) + corner[0], load(room, 0) + corner[1]
    down = (rows - item(room, center + 1)) * item(lengths, 1)
    across = (columns - item(room, center + 2)) * item(lengths, 2)
    distance_sq = (down * down + plane_sq) + across * across
    if not is_joint:
        distance_sq = where(distance_sq <= item(lengths, 3), zero, full(np.inf))
    for band in range(n_bands):
        away = load_from(blocks, at + 16 * band) - item(room, center + 3 + band)
        distance_sq = distance_sq + away * away
    inside = distance_sq <= (1.0 if is_joint else item(lengths, 4))
    store(room, 3, load(room, 3) + where(inside, full(1.0), zero))
    store(room, 5, load(room, 5) + where(inside, rows, zero))
    store(room, 6, load(room, 6) + where(inside, columns, zero))
    for band in range(n_bands):
        values = load_from(blocks, at + 16 * band)
        store(room, 7 + band, load(room, 7 + band) + where(inside, values, zero))


@inlined
def _bounds_in_range(boxes, stride, at, near_sq, far_sq, n_bands, room, center):
    """Add to squared bounds what the bands of sixteen boxes add at least, and at most."""
    for band in range(n_bands):
        value = item(room, center + 3 + band)
        below = load_from(boxes, (3 + n_bands + band) * stride + at) - value
        above = value - load_from(boxes, (3 + 2 * n_bands + band) * stride + at)
        near, far = _larger(_larger(below, above), full(0.0)), _larger(below * -1.0, above * -1.0)
        near_sq, far_sq = near * near + near_sq, far * far + far_sq
    return near_sq, far_sq


@inlined
def _add_boxes(boxes, stride, at, is_whole, n_bands, room):
    """Add the sums of the blocks that are inside."""
    store(room, 3, load(room, 3) + where(is_whole, load_from(boxes, at), full(0.0)))
    for k in range(2 + n_bands):
        sums = load_from(boxes, (1 + k) * stride + at)
        store(room, 5 + k, load(room, 5 + k) + where(is_whole, sums, full(0.0)))


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
def _scan(lattice, lengths, is_joint, n_bands, room, center):
    """Sum the window around the position in the room."""
    blocks, boxes, frame = flat(lattice.blocks), flat(lattice.boxes), flat(lattice.frame)
    n_down, n_across = lattice.blocks.shape[1], lattice.blocks.shape[2]
    stride = lattice.boxes.shape[1] * n_down * (n_across + LANES)
    limit_sq, range_limit = item(lengths, 3), 1.0 if is_joint else item(lengths, 4)
    zero, infinite = full(0.0), full(np.inf)
    px, unit = item(room, center + 2), item(lengths, 2)
    for vector in range(3, 7 + n_bands):
        store(room, vector, zero)
    first_z, last_z = _limits(item(room, center), item(lengths, 5), 0, item(frame, 6) - 1)
    first_y, last_y = _limits(item(room, center + 1), item(lengths, 6), 0, item(frame, 7) - 1)
    for z in range(first_z, last_z + 1):
        away = (z - item(room, center)) * item(lengths, 0)
        plane_sq = away * away
        before = load(room, 3)
        for down in range(first_y // 4, last_y // 4 + 1):
            y = float(4 * down)
            near_y, far_y = _bounds(item(room, center + 1), y, y + 3.0, item(lengths, 1))
            near_y, far_y = near_y + plane_sq, far_y + plane_sq
            reach = np.sqrt(max(limit_sq - near_y, 0.0)) / unit
            column, last = _limits(px, reach, 0, item(frame, 8) - 1)
            row = (z - item(frame, 0)) * n_down + down - item(frame, 1) // 4
            across, last = column // 4, last // 4
            while across <= last:
                local = across - item(frame, 2) // 4
                at = row * (n_across + LANES) + local
                below = (load(room, 2) + 4.0 * across) - px
                above = px - (load(room, 2) + (4.0 * across + 3.0))
                near = _larger(_larger(below, above), zero) * unit
                far = _larger(below * -1.0, above * -1.0) * unit
                near_sq, far_sq = near * near + near_y, far * far + far_y
                if not is_joint:
                    near_sq = where(near_sq <= limit_sq, zero, infinite)
                    far_sq = where(far_sq <= limit_sq, zero, infinite)
                near_sq, far_sq = _bounds_in_range(
                    boxes, stride, at, near_sq, far_sq, n_bands, room, center
                )  # fmt: skip
                is_whole = far_sq <= range_limit
                whole, open_blocks = bits(is_whole), bits(near_sq <= range_limit)
                if whole != 0:
                    _add_boxes(boxes, stride, at, mask_of(whole), n_bands, room)
                open_blocks &= ~whole
                while open_blocks != 0:
                    k = lowest(open_blocks)
                    open_blocks &= open_blocks - 1
                    _add_block(
                        blocks, (row * n_across + local + k) * n_bands * 16,
                        (y, 4.0 * (across + k)), plane_sq, lengths, is_joint, n_bands, room, center,
                    )  # fmt: skip
                across += LANES
        store(room, 4, load(room, 4) + (load(room, 3) - before) * float(z))


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
def mean_of_window(lattice, lengths, is_joint, room):
    """Write the mean of the pixels in the window around a position; how many they are.

    Parameters
    ----------
    lattice : Lattice
        The pixels.
    lengths : flat pointer to float64
        As `Window.lengths` gives them.
    is_joint : bool
        The kind of the window.
    room : flat pointer to float64
        With the position; the mean goes there.

    Returns
    -------
    float
        0 where the window is empty, LEFT where some of it is not in memory.
    """
    n_bands = lattice.blocks.shape[3]
    center = center_at(n_bands)
    if not _is_in_memory(flat(lattice.frame), lengths, room, center):
        return LEFT
    if n_bands == 3:  # loops over so many bands are unrolled
        _scan(lattice, lengths, is_joint, np.int64(3), room, center)
    else:
        _scan(lattice, lengths, is_joint, n_bands, room, center)
    weight = total(load(room, 3))
    if weight > 0.0:
        for value in range(3 + n_bands):
            put(room, center + 3 + n_bands + value, total(load(room, 4 + value)) / weight)
    return weight
