"""The window: the sums of the pixels around a position, sixteen at a time.

    boxes of 2 x 8 blocks       outside: passed over     inside: their sums are added
                                cut: their pixels are tested (`cut_blocks.py`)

Whether a pixel is inside is decided by one expression in float64, the squares summed axis by axis
and then band by band, as the plain twin of the tests does. A filter in float32, or in integers
where pixels are bytes (`byte_blocks.py`), decides nearly all pixels, by an error bound that holds
for each: `Lattice.filter` has its limits, between which the expression decides. A block whose
sixteen pixels are all inside adds its sums, to the same lane whichever test found that, so the
order of a sum depends on the position alone. Whole numbers, as pixels have them, are summed
exactly.
"""

from typing import Any, NamedTuple

import numpy as np

from meanshift_fast._image.byte_blocks import bounds_of_pairs, position_of, sum_bytes
from meanshift_fast._image.cut_blocks import (
    MAX_GROUPS,
    MAX_LISTED,
    Units,
    center_at,
    larger,
    list_group,
    sum_listed,
)
from meanshift_fast._image.lattice import FARTHEST, FILTER_VALUES
from meanshift_fast._jit.compiler import inlined, step
from meanshift_fast._jit.simd import (
    LANES,
    bits,
    flat,
    full,
    holds_integers,
    item,
    load,
    load_narrow,
    mask_of,
    n_set,
    put,
    store,
    total,
    where,
)

MARGIN = 1e-6  # pixels by which limits are wider than rounding could make them
LEFT = -1.0  # the weight of a window that holds pixels which are not in memory
SECOND_ROW = 0xAAAA  # of sixteen blocks those in the second row


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
    n_pairs: int
    stride: int


@inlined
def pixels_of(lattice):
    """The pointers of a lattice, which the caller holds."""
    _, n_down, n_across, _, _ = lattice.blocks.shape
    _, n_planes, n_pairs, _ = lattice.boxes.shape
    n_bands = lattice.filter.shape[0] - FILTER_VALUES
    return Pixels(
        flat(lattice.blocks), flat(lattice.narrow), flat(lattice.boxes), flat(lattice.sums),
        flat(lattice.frame), flat(lattice.filter), n_bands, n_down, n_across, n_pairs,
        n_planes * n_pairs * (2 * n_across + LANES),
    )  # fmt: skip


@inlined
def _bounds_in_space(bounds, left, unit, scaled):
    """The squared distances in space of sixteen blocks in two rows, at least and at most."""
    zero, is_second = load_narrow(scaled, 3 * LANES), mask_of(SECOND_ROW)
    near_sq = where(is_second, zero + bounds[2], zero + bounds[0])
    far_sq = where(is_second, zero + bounds[3], zero + bounds[1])
    below = load_narrow(scaled, 2 * LANES) - left
    above = (left - 3.0) - load_narrow(scaled, 2 * LANES)
    near = larger(larger(below, above), zero) * unit
    far_sq = larger(below * below, above * above) * (unit * unit) + far_sq
    return near * near + near_sq, far_sq


@inlined
def _bounds_in_range(pixels, at, near_sq, far_sq, units, n_bands, scaled):
    """Add what the boxes of sixteen blocks add in range to squared bounds, at least and at most."""
    if holds_integers(pixels.boxes):
        near, far = bounds_of_pairs(pixels.boxes, at, pixels.stride, units.position)
        return near_sq + near, far_sq + far
    zero = load_narrow(scaled, 3 * LANES)
    for band in range(n_bands):
        value = item(scaled, 4 * LANES + band)
        below = load_narrow(pixels.boxes, band * pixels.stride + at) - value
        above = value - load_narrow(pixels.boxes, (n_bands + band) * pixels.stride + at)
        near = larger(larger(below, above), zero)
        near_sq = near * near + near_sq
        far_sq = larger(below * below, above * above) + far_sq
    return near_sq, far_sq


@inlined
def _reached_and_whole(pixels, at, bounds, left, units, is_joint, n_bands, scaled):
    """Of sixteen blocks those that a window may reach, those surely inside, as bits.

    And those within the spatial radius of a product window.
    """
    near_sq, far_sq = _bounds_in_space(bounds, left, units.across, scaled)
    if is_joint:
        near_sq, far_sq = _bounds_in_range(pixels, at, near_sq, far_sq, units, n_bands, scaled)
        return bits(near_sq <= units.surely_not), bits(far_sq <= units.surely), 0
    reached, within = bits(near_sq <= units.surely_not), bits(far_sq <= units.surely)
    zero = load_narrow(scaled, 3 * LANES)
    near_sq, far_sq = _bounds_in_range(pixels, at, zero, zero, units, n_bands, scaled)
    reached, whole = reached & bits(near_sq <= units.surely_not), bits(far_sq <= units.surely)
    return reached, whole & within, within


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
def _bounds_of_pair(center, y, plane_sq, unit):
    """The same of both rows of blocks of a pair, from a row of pixels on, with their plane's."""
    near_a, far_a = _bounds(center, y, y + 3.0, unit)
    near_b, far_b = _bounds(center, y + 4.0, y + 7.0, unit)
    return near_a + plane_sq, far_a + plane_sq, near_b + plane_sq, far_b + plane_sq


@inlined
def _count_whole(whole, x, y):
    """The pixels of those of sixteen blocks that are inside, and their sums of rows and columns."""
    n_blocks = n_set(whole)
    below = n_set(whole & SECOND_ROW)
    right = n_set(whole & 0xCCCC) + 2 * n_set(whole & 0xF0F0) + 4 * n_set(whole & 0xFF00)
    return (
        16 * n_blocks, n_blocks * (16 * y + 24) + 64 * below, n_blocks * (16 * x + 24) + 64 * right
    )  # fmt: skip


@inlined
def _scan_plane(pixels, z, units, lengths, is_joint, n_bands, rooms):
    """Sum the pixels of a plane that are inside; pixels, and sums of rows and columns."""
    room, scaled, center = rooms
    frame, py, px = pixels.frame, item(room, center + 1), item(room, center + 2)
    left, row_values = item(frame, 2) >> 2, 2 * pixels.n_across + LANES
    first_y, last_y = _limits(py, item(lengths, 6), 0, item(frame, 7) - 1)
    first_x, last_x = _limits(px, item(lengths, 7), 0, item(frame, 8) - 1)
    n, rows, columns, n_listed, n_groups = 0, 0, 0, 0, 0
    for pair in range(first_y >> 3, (last_y >> 3) + 1):
        bounds = _bounds_of_pair(py, 8.0 * pair, units.plane_sq, units.down)
        first, last = first_x >> 2, last_x >> 2
        if last - first >= LANES // 2:  # the window is narrower above and below
            reach_sq = max(units.reach_sq - min(bounds[0], bounds[2]), 0.0)
            reach = min(np.sqrt(reach_sq) * units.per_distance, item(lengths, 7)) + MARGIN
            # Positive numbers are cut off at once; the first block may be one too many.
            first = max(first, np.int64(max(px - reach, 0.0)) >> 2)
            last = min(last, np.int64(px + reach) >> 2)
            last = max(last, first)  # the last pair has the call below
        row = (z - item(frame, 0)) * pixels.n_pairs + pair - (item(frame, 1) >> 3)
        upper = (z - item(frame, 0)) * pixels.n_down + 2 * pair - (item(frame, 1) >> 2)
        for across in range(first, last + 1, LANES // 2):
            at = row * row_values + 2 * (across - left)
            reached, whole, within = _reached_and_whole(
                pixels, at, bounds, px - 4.0 * across, units, is_joint, n_bands, scaled
            )
            if whole != 0:
                found = _count_whole(whole, 4 * across, 8 * pair)
                n, rows, columns = n + found[0], rows + found[1], columns + found[2]
            group = at, whole, upper * pixels.n_across + across - left, 8 * pair, 4 * across, within
            n_listed = list_group(
                pixels, reached & ~whole, group, n_listed, n_groups, n_bands, room
            )
            n_groups += 1
            is_last = pair == last_y >> 3 and across + LANES // 2 > last
            if is_last or n_groups == MAX_GROUPS or n_listed > MAX_LISTED - LANES:
                if holds_integers(pixels.blocks):
                    found = sum_bytes(pixels, n_groups, units, lengths, is_joint, rooms)
                else:
                    found = sum_listed(pixels, n_listed, n_groups, units, lengths, is_joint, rooms)
                n, rows, columns = n + found[0], rows + found[1], columns + found[2]
                n_listed, n_groups = 0, 0
    return n, rows, columns


@inlined
def _scan(pixels, lengths, is_joint, n_bands, room, scaled, center):
    """Sum the window around the position in the room; pixels, and sums of planes, rows, columns."""
    frame, filter = pixels.frame, pixels.filter
    for band in range(n_bands):
        store(room, 2 + band, full(0.0))
        store(room, 2 + n_bands + band, full(0.0))
        value = item(room, center + 3 + band) - item(filter, FILTER_VALUES + band)
        value = min(max(value * item(filter, 3), -FARTHEST), FARTHEST)
        if holds_integers(pixels.blocks):
            value = np.rint(value)
        put(scaled, 4 * LANES + band, value)
    position = position_of(scaled, 4 * LANES, n_bands)
    unit = item(filter, 2)
    to_unit = unit if is_joint else unit / np.sqrt(item(lengths, 3))
    surely, surely_not = np.float32(item(filter, 0)), np.float32(item(filter, 1))
    n, planes, rows, columns = 0, 0, 0, 0
    first_z, last_z = _limits(item(room, center), item(lengths, 5), 0, item(frame, 6) - 1)
    for z in range(first_z, last_z + 1):
        away = (z - item(room, center)) * item(lengths, 0)
        units = Units(
            away * away * (to_unit * to_unit), away * away, item(lengths, 1) * to_unit,
            item(lengths, 2) * to_unit, (1.0 + MARGIN) * unit * unit,
            1.0 / (item(lengths, 2) * to_unit), surely, surely_not, position,
        )  # fmt: skip
        n_here, rows_here, columns_here = _scan_plane(
            pixels, z, units, lengths, is_joint, n_bands, (room, scaled, center)
        )
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

    ``room`` and ``scaled``, those of a thread as `rooms_of` makes them, hold the position, and the
    mean is written to the room. ``lengths`` are those of `Window.lengths`. Returns 0 where the
    window is empty, LEFT where some of it is not in memory.
    """
    n_bands = pixels.n_bands
    center = center_at(n_bands)
    if not _is_in_memory(pixels.frame, lengths, room, center):
        return LEFT
    found = _scan(pixels, lengths, is_joint, n_bands, room, scaled, center)
    n, mean = found[0], center + 3 + n_bands
    if n > 0:
        for axis in range(3):
            put(room, mean + axis, found[1 + axis] / n)
        for band in range(n_bands):
            value = total(load(room, 2 + band)) + total(load(room, 2 + n_bands + band))
            put(room, mean + 3 + band, value / n / item(pixels.filter, 4))
    return float(n)
