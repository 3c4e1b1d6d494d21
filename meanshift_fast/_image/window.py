"""The window: the sums of the pixels around a position, sixteen at a time.

          . . x x x . .        the rows that the disk reaches, from the first column to the last
          . x x x x x .        that it may reach; sixteen columns are tested at once
          x x x o x x x
          . x x x x x .        a lane adds up its pixels row after row, and the lanes are added
          . . x x x . .        at the end: the order depends on the position alone

A thread's room, in vectors and then in values:

    lanes 0 to 15 | weight | plane, row, column | bands | center ... | mean ...
    vector 0        1        2, 3, 4              5 on

Whether a pixel is inside is decided by one expression, the squares summed axis by axis and then
band by band, as the plain twin of the tests does. The limits of rows and columns only have to hold
all pixels that may be inside. Whole numbers, as pixels have them, are summed exactly.
"""

import numpy as np

from meanshift_fast._jit.compiler import inlined, step
from meanshift_fast._jit.simd import (
    LANES,
    bits,
    flat,
    full,
    item,
    load,
    load_from,
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
    return LANES * (5 + n_bands)


def room_size(n_bands: int) -> int:
    """How many values a thread's room has."""
    return LANES * (5 + n_bands) + 2 * (3 + n_bands)


@inlined
def _range_sq(planes, stride, at, distance_sq, room, center, n_bands):
    """Add the squared differences of the bands to those in space, band by band."""
    for band in range(n_bands):
        away = load_from(planes, band * stride + at) - item(room, center + 3 + band)
        distance_sq = distance_sq + away * away
    return distance_sq


@inlined
def _add_row(planes, stride, row, limits, off_sq, lengths, is_joint, n_bands, room, center):
    """Add the pixels of a row that are inside, columns ``limits[0]`` to ``limits[1]``.

    Returns how many there are, lane by lane.
    """
    column, last = limits
    zero, one, infinite = full(0.0), full(1.0), full(np.inf)
    range_limit = 1.0 if is_joint else item(lengths, 4)
    counts = zero
    columns = load(room, 0)
    while column <= last:
        here = columns + float(column)
        away = (here - item(room, center + 2)) * item(lengths, 2)
        space_sq = away * away + off_sq
        if not is_joint:
            space_sq = where(space_sq <= item(lengths, 3), zero, infinite)
        inside = (
            _range_sq(planes, stride, row + column, space_sq, room, center, n_bands) <= range_limit
        )
        if bits(inside) != 0:
            counts = counts + where(inside, one, zero)
            store(room, 4, load(room, 4) + where(inside, here, zero))
            for band in range(n_bands):
                values = load_from(planes, band * stride + row + column)
                store(room, 5 + band, load(room, 5 + band) + where(inside, values, zero))
        column += LANES
    return counts


@inlined
def _limits(center, reach, first, last):
    """The first and the last pixel along an axis that a window may reach."""
    low = max(np.int64(np.ceil(center - reach - MARGIN)), first)
    return low, min(np.int64(np.floor(center + reach + MARGIN)), last)


@inlined
def _scan(lattice, lengths, is_joint, n_bands, room, center):
    """Sum the window around the position in the room."""
    planes, frame = flat(lattice.planes), flat(lattice.frame)
    n_rows, n_columns = lattice.planes.shape[2], lattice.planes.shape[3]
    stride = lattice.planes.shape[1] * n_rows * n_columns
    limit_sq = item(lengths, 3)
    for vector in range(1, 5 + n_bands):
        store(room, vector, full(0.0))
    first_z, last_z = _limits(item(room, center + 0), item(lengths, 5), 0, item(frame, 6) - 1)
    first_y, last_y = _limits(item(room, center + 1), item(lengths, 6), 0, item(frame, 7) - 1)
    for z in range(first_z, last_z + 1):
        away = (z - item(room, center + 0)) * item(lengths, 0)
        plane_sq = away * away
        for y in range(first_y, last_y + 1):
            away = (y - item(room, center + 1)) * item(lengths, 1)
            off_sq = plane_sq + away * away
            reach = np.sqrt(max(limit_sq - off_sq, 0.0)) / item(lengths, 2)
            limits = _limits(item(room, center + 2), reach, 0, item(frame, 8) - 1)
            row = ((z - item(frame, 0)) * n_rows + y - item(frame, 1)) * n_columns - item(frame, 2)
            counts = _add_row(
                planes, stride, row, limits, off_sq, lengths, is_joint, n_bands, room, center
            )  # fmt: skip
            store(room, 1, load(room, 1) + counts)
            store(room, 2, load(room, 2) + counts * float(z))
            store(room, 3, load(room, 3) + counts * float(y))


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
    n_bands = lattice.planes.shape[0]
    center = center_at(n_bands)
    if not _is_in_memory(flat(lattice.frame), lengths, room, center):
        return LEFT
    _scan(lattice, lengths, is_joint, n_bands, room, center)
    weight = total(load(room, 1))
    if weight > 0.0:
        for value in range(3 + n_bands):
            put(room, center + 3 + n_bands + value, total(load(room, 2 + value)) / weight)
    return weight
