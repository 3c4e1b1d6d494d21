"""Blocks that a window cuts: listed, tested pixel by pixel, and added.

    groups of 2 x 8 blocks --list--> blocks that are cut --test--> lanes that are inside --> sums
           |                                 `- all sixteen inside -.
           `--------- those inside ---------------------------------+--> their sums

    the test of a pixel:    float32 distance    surely inside | unsure: the float64 test | outside

Blocks are listed for many rows before one loop tests them and another one adds them: few branches
that nothing predicts, and the sum of a band stays in a register. With a test and a sum block
after block, each row on its own, a joint window (8, 16) took 1.2 times as long.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._image.byte_pairs import band_of, beyond
from meanshift_fast._jit.compiler import inlined, step
from meanshift_fast._jit.simd import (
    LANES,
    bit_patterns,
    bits,
    full,
    fused,
    holds_integers,
    item,
    load,
    load_from,
    load_narrow,
    lowest,
    mask_of,
    n_set,
    put,
    store,
    where,
)

ALL_LANES = (1 << LANES) - 1
# The lanes of a block in its last two rows and in its odd rows; and the same of its columns.
ROWS_2, ROWS_1, COLUMNS_2, COLUMNS_1 = 0xFF00, 0xF0F0, 0xCCCC, 0xAAAA
MAX_LISTED = 128  # blocks, before their pixels are tested; twice as many fill the groups
# Groups of sixteen blocks, before that: 16 bits hold the sums of their bytes, and twice the room of
# the listed blocks all those that are unsure.
MAX_GROUPS = 16
GROUP_VALUES = 7  # of a group in the room: see `list_group`


class Units(NamedTuple):
    """What distances are measured in, and the limits of the filter.

    In float32 both radii are 1, or the range radius in 128ths where pixels are bytes.

    Attributes
    ----------
    plane_sq, exact_plane_sq : float
        The squared distance of a plane of pixels; and that of the expression in float64.
    down, across : float
        The distances of neighbouring rows and columns.
    reach_sq : float
        The squared spatial radius, or a little more.
    per_distance : float
        Columns that are a distance of 1 apart.
    surely, surely_not : float32
        Squared distances up to which a pixel is surely inside, and from which it surely is not.
    position : tuple of two vectors of pairs
        The bands of an image of bytes, in 128ths of one; of others nothing reads it.
    """

    plane_sq: Any
    exact_plane_sq: Any
    down: Any
    across: Any
    reach_sq: Any
    per_distance: Any
    surely: Any
    surely_not: Any
    position: Any


@step
def center_at(n_bands):
    """The index of the position in a thread's room; the mean follows its 3 + n_bands values."""
    return LANES * (2 + 2 * n_bands)


@step
def lists_at(n_bands):
    """The index of the listed blocks in a thread's room; lanes and groups follow them."""
    return center_at(n_bands) + 2 * (3 + n_bands)


def rooms_of(n_threads: int, n_bands: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Make the rooms of threads, a row for each, of float64 and of float32.

    Columns, rows, sums of pixels and of blocks; position, mean; listed blocks, the lanes of those
    that are cut, groups. In float32 columns, rows and boxes of the lanes, zeros, the scaled bands.
    The last values of a row keep the next thread's on other cache lines.
    """
    n_listed = 2 * MAX_LISTED + GROUP_VALUES * MAX_GROUPS
    rooms = np.zeros((n_threads, LANES * (3 + 2 * n_bands) + 2 * (3 + n_bands) + n_listed))
    narrow = np.zeros((n_threads, 6 * LANES + n_bands), dtype=np.float32)
    rooms[:, : 2 * LANES] = [*np.tile(range(4), 4), *np.repeat(range(4), 4)]
    narrow[:, : 2 * LANES] = rooms[:, : 2 * LANES]
    narrow[:, 2 * LANES : 3 * LANES] = np.repeat(range(0, 32, 4), 2)
    return rooms, narrow


@inlined
def larger(a, b):
    """The larger of two vectors, lane by lane."""
    return where(a > b, a, b)


@inlined
def exactly_inside(pixels, listed, units, lengths, is_joint, n_bands, rooms):
    """The lanes of a listed block that are inside, by the expression in float64."""
    (block, y, x, _), (room, _, center) = listed, rooms
    down = ((load(room, 1) + float(y)) - item(room, center + 1)) * item(lengths, 1)
    across = ((load(room, 0) + float(x)) - item(room, center + 2)) * item(lengths, 2)
    distance_sq = (down * down + units.exact_plane_sq) + across * across
    if not is_joint:
        distance_sq = where(distance_sq <= item(lengths, 3), full(0.0), full(np.inf))
    for band in range(n_bands):
        if holds_integers(pixels.blocks):
            values = band_of(pixels.blocks, block, band) / item(pixels.filter, 4)
        else:
            values = load_from(pixels.blocks, (block * n_bands + band) * LANES)
        away = values - item(room, center + 3 + band)
        distance_sq = distance_sq + away * away
    if holds_integers(pixels.blocks):
        distance_sq = distance_sq + beyond(pixels.blocks, block)
    return bits(distance_sq <= (1.0 if is_joint else item(lengths, 4)))


@inlined
def with_space(range_sq, offset, units, is_joint, scaled):
    """The squared distances of a block's pixels, of those in range.

    Those in space and in range together for a joint window, else the larger of the two.
    """
    down = (load_narrow(scaled, LANES) - offset[0]) * units.down
    across = (load_narrow(scaled, 0) - offset[1]) * units.across
    space_sq = fused(across, across, down * down + units.plane_sq)
    return space_sq + range_sq if is_joint else larger(space_sq, range_sq)


@inlined
def _distances_sq(pixels, listed, units, is_joint, n_bands, rooms):
    """The squared distances of a listed block's pixels in float32, in units of the radii."""
    (block, y, x, is_within), (room, scaled, center) = listed, rooms
    at = block * n_bands * LANES
    away = load_narrow(pixels.narrow, at) - item(scaled, 4 * LANES)
    range_sq = away * away
    for band in range(1, n_bands):
        away = load_narrow(pixels.narrow, at + LANES * band) - item(scaled, 4 * LANES + band)
        range_sq = fused(away, away, range_sq)
    # Returned here: one expression with a flag would always make the test in space.
    if is_within:
        return range_sq
    offset = item(room, center + 1) - float(y), item(room, center + 2) - float(x)
    return with_space(range_sq, offset, units, is_joint, scaled)


@inlined
def place_of_listed(pixels, i, lists, patterns):
    """Of a listed block its number in memory, its first row and column, and if it is within."""
    code = item(patterns, lists + i)
    group, k = lists + 2 * MAX_LISTED + GROUP_VALUES * (code >> 4), code & 15
    block = item(patterns, group + 2) + (k >> 1) + (k & 1) * pixels.n_across
    y, x = item(patterns, group + 3) + 4 * (k & 1), item(patterns, group + 4) + 4 * (k >> 1)
    return block, y, x, (item(patterns, group + 5) >> k) & 1 != 0


@inlined
def _count_inside(inside, y, x):
    """The pixels inside of a block, and their sums of rows and columns."""
    n_here = n_set(inside)
    return (
        n_here,
        n_here * y + 2 * n_set(inside & ROWS_2) + n_set(inside & ROWS_1),
        n_here * x + 2 * n_set(inside & COLUMNS_2) + n_set(inside & COLUMNS_1),
    )


@inlined
def _test_listed(pixels, n_listed, units, lengths, is_joint, n_bands, rooms):
    """Test the pixels of listed blocks; those inside, sums of rows and columns, blocks to add.

    The blocks of which some lanes are inside replace those that are listed, with their lanes; a
    block that is all inside is marked in its group.
    """
    room = rooms[0]
    patterns, lists = bit_patterns(room), lists_at(n_bands)
    n, rows, columns, n_cut = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for i in range(n_listed):
        listed = place_of_listed(pixels, i, lists, patterns)
        block, y, x, _ = listed
        distances_sq = _distances_sq(pixels, listed, units, is_joint, n_bands, rooms)
        inside = bits(distances_sq <= units.surely)
        if inside != bits(distances_sq <= units.surely_not):
            inside = exactly_inside(pixels, listed, units, lengths, is_joint, n_bands, rooms)
        found = _count_inside(inside, y, x)
        n, rows, columns = n + found[0], rows + found[1], columns + found[2]
        code = item(patterns, lists + i)
        group, k = lists + 2 * MAX_LISTED + GROUP_VALUES * (code >> 4), code & 15
        # Without branches, which nothing could predict.
        is_whole = np.int64(inside == ALL_LANES)
        put(patterns, group + 1, item(patterns, group + 1) | (is_whole << k))
        put(patterns, lists + n_cut, block)
        put(patterns, lists + MAX_LISTED + n_cut, inside)
        n_cut += np.int64(inside != 0) - is_whole
    return n, rows, columns, n_cut


@inlined
def _add_cut(pixels, n_cut, n_bands, room):
    """Add the bands of the lanes that are inside, of blocks that are cut."""
    patterns, lists = bit_patterns(room), lists_at(n_bands)
    for band in range(n_bands):
        values = load(room, 2 + band)
        for i in range(n_cut):
            at = (item(patterns, lists + i) * n_bands + band) * LANES
            inside = mask_of(item(patterns, lists + MAX_LISTED + i))
            values = values + where(inside, load_from(pixels.blocks, at), full(0.0))
        store(room, 2 + band, values)


@inlined
def _add_whole(pixels, n_groups, n_bands, room):
    """Add the sums of the blocks that are inside, of all groups."""
    patterns, groups = bit_patterns(room), lists_at(n_bands) + 2 * MAX_LISTED
    for _ in range(n_groups):
        at, whole = item(patterns, groups), item(patterns, groups + 1)
        groups += GROUP_VALUES
        if whole != 0:
            for band in range(n_bands):
                values = load_from(pixels.sums, band * pixels.stride + at)
                values = where(mask_of(whole), values, full(0.0))
                store(room, 2 + n_bands + band, load(room, 2 + n_bands + band) + values)


@step
def sum_listed(pixels, n_listed, n_groups, units, lengths, is_joint, rooms):
    """Sum what is listed; pixels inside of blocks that are cut, and sums of rows and columns."""
    n_bands, room = pixels.n_bands, rooms[0]
    if n_bands == 3:  # loops over so many bands are unrolled
        three = np.int64(3)
        found = _test_listed(pixels, n_listed, units, lengths, is_joint, three, rooms)
        _add_cut(pixels, found[3], three, room)
        _add_whole(pixels, n_groups, three, room)
    else:
        found = _test_listed(pixels, n_listed, units, lengths, is_joint, n_bands, rooms)
        _add_cut(pixels, found[3], n_bands, room)
        _add_whole(pixels, n_groups, n_bands, room)
    return found[:3]


@inlined
def list_group(pixels, open_blocks, group, n_listed, n_groups, n_bands, room):
    """List the blocks of a group of sixteen that are cut; how many are listed."""
    patterns, lists = bit_patterns(room), lists_at(n_bands)
    at = lists + 2 * MAX_LISTED + GROUP_VALUES * n_groups
    sums, whole, block, y, x, within = group
    put(patterns, at, sums)
    put(patterns, at + 1, whole)
    put(patterns, at + 2, block)
    put(patterns, at + 3, y)
    put(patterns, at + 4, x)
    put(patterns, at + 5, within)
    put(patterns, at + 6, open_blocks)
    if holds_integers(pixels.blocks):
        return n_listed
    while open_blocks != 0:
        put(patterns, lists + n_listed, LANES * n_groups + lowest(open_blocks))
        open_blocks &= open_blocks - 1
        n_listed += 1
    return n_listed
