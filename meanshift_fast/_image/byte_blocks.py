"""Blocks of an image of bytes: bounds of many, and the test and the sums of those that are cut.

    groups of 2 x 8 blocks    inside --> their sums
                              cut    --> integer distances    surely inside --> pairs are added
                                                              unsure        --> the float64 test

Sums of integers are exact in any order: pixels are tested and added at once, two bands by one
instruction. The distance of a pixel and a position that is rounded to a 128th of a byte is exact,
and the rounding of the position bounds what it says of the position itself (`lattice.py`).
"""

import numpy as np

from meanshift_fast._image.byte_pairs import BITS, UNIT
from meanshift_fast._image.cut_blocks import (
    GROUP_VALUES,
    MAX_LISTED,
    exactly_inside,
    lists_at,
    place_of_listed,
    with_space,
)
from meanshift_fast._jit.compiler import inlined, step
from meanshift_fast._jit.simd import (
    LANES,
    are_equal,
    bit_patterns,
    bits,
    item,
    load,
    lowest,
    mask_of,
    n_set,
    put,
    total,
)
from meanshift_fast._jit.simd_pairs import (
    add_where,
    firsts,
    larger_halves,
    load_pairs,
    minus,
    pair_of,
    raised,
    seconds,
    smaller_halves,
    sum_of_squares,
)


@inlined
def position_of(scaled, at, n_bands):
    """The pairs of a position, whose bands in 128ths of a byte are in the room."""
    second = np.int64(item(scaled, at + 1)) if n_bands > 1 else np.int64(0)
    third = np.int64(item(scaled, at + 2)) if n_bands > 2 else np.int64(0)
    return pair_of(np.int64(item(scaled, at)), second), pair_of(third, UNIT)


@inlined
def bounds_of_pairs(boxes, at, stride, position):
    """The squared distances in range of sixteen blocks, at least and at most."""
    one, two = position
    below_1 = minus(load_pairs(boxes, at), one)
    above_1 = minus(one, load_pairs(boxes, at + 2 * stride))
    below_2 = minus(load_pairs(boxes, at + stride), two)
    above_2 = minus(two, load_pairs(boxes, at + 3 * stride))
    zero = pair_of(0, 0)
    near_1 = larger_halves(larger_halves(below_1, above_1), zero)
    near_2 = larger_halves(larger_halves(below_2, above_2), zero)
    far_1, far_2 = smaller_halves(below_1, above_1), smaller_halves(below_2, above_2)
    return sum_of_squares(near_1, near_2), sum_of_squares(far_1, far_2)


@inlined
def _add_open(pixels, group, number, sums, units, is_joint, rooms, n_unsure):
    """Test the open blocks of a group, add what is surely inside, and list unsure blocks."""
    (room, scaled, center), (first, second) = rooms, sums
    patterns, lists = bit_patterns(room), lists_at(pixels.n_bands)
    start, still_open = item(patterns, group + 2), item(patterns, group + 6)
    y, x = item(patterns, group + 3), item(patterns, group + 4)
    within, values = item(patterns, group + 5), pixels.blocks
    n_here, n_below, n_right = np.int64(0), np.int64(0), np.int64(0)
    while still_open != 0:
        k = lowest(still_open)
        still_open &= still_open - 1
        down, across = k & 1, k >> 1
        at = (start + across + down * pixels.n_across) * (2 * LANES)
        one, two = load_pairs(values, at), load_pairs(values, at + LANES)
        distances_sq = sum_of_squares(
            minus(raised(one, BITS), units.position[0]), minus(raised(two, BITS), units.position[1])
        )
        if (within >> k) & 1 == 0:
            offset = (
                item(room, center + 1) - (y + 4 * down),
                item(room, center + 2) - (x + 4 * across),
            )
            distances_sq = with_space(distances_sq, offset, units, is_joint, scaled)
        surely = distances_sq <= units.surely
        if not are_equal(surely, distances_sq <= units.surely_not):
            put(patterns, lists + n_unsure, LANES * number + k)
            n_unsure += 1
            continue
        found = n_set(bits(surely))
        n_here += found
        n_below += found * down
        n_right += found * across
        first, second = add_where(surely, first, one), add_where(surely, second, two)
    return first, second, n_here * y + 4 * n_below, n_here * x + 4 * n_right, n_unsure


@step
def sum_bytes(pixels, n_groups, units, lengths, is_joint, rooms):
    """Sum the open blocks of all groups, and add those that are inside.

    Returns
    -------
    tuple of int
        The pixels inside of open blocks, and their sums of rows and columns.
    """
    n_bands, room = pixels.n_bands, rooms[0]
    patterns, lists = bit_patterns(room), lists_at(n_bands)
    rows, columns, n_unsure = np.int64(0), np.int64(0), np.int64(0)
    first, second = pair_of(0, 0), pair_of(0, 0)
    first_whole, second_whole = first, second
    for number in range(n_groups):
        group = lists + 2 * MAX_LISTED + GROUP_VALUES * number
        at, whole = item(patterns, group), item(patterns, group + 1)
        if whole != 0:
            inside = mask_of(whole)
            first_whole = add_where(inside, first_whole, load_pairs(pixels.sums, at))
            second_whole = add_where(
                inside, second_whole, load_pairs(pixels.sums, at + pixels.stride)
            )
        first, second, down, across, n_unsure = _add_open(
            pixels, group, number, (first, second), units, is_joint, rooms, n_unsure
        )
        rows, columns = rows + down, columns + across
    for i in range(n_unsure):
        listed = place_of_listed(pixels, i, lists, patterns)
        found = exactly_inside(pixels, listed, units, lengths, is_joint, n_bands, rooms)
        at, inside, n_here = listed[0] * 2 * LANES, mask_of(found), n_set(found)
        rows, columns = rows + n_here * listed[1], columns + n_here * listed[2]
        first = add_where(inside, first, load_pairs(pixels.blocks, at))
        second = add_where(inside, second, load_pairs(pixels.blocks, at + LANES))
    _add_band(room, 0, total(firsts(first)) + total(firsts(first_whole)))
    if n_bands > 1:
        _add_band(room, 1, total(seconds(first)) + total(seconds(first_whole)))
    if n_bands > 2:
        _add_band(room, 2, total(firsts(second)) + total(firsts(second_whole)))
    counts = seconds(second)
    rows += np.int64(total(counts * load(room, 1)))
    columns += np.int64(total(counts * load(room, 0)))
    return np.int64(total(counts)), rows, columns


@inlined
def _add_band(room, band, value):
    """Add to the sum of a band."""
    put(room, (2 + band) * LANES, item(room, (2 + band) * LANES) + value)
