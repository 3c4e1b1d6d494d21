"""The search for k-th neighbours down a moment tree, sixteen neighbouring rows at a time.

    x --------|------:--:------|-------->  distance
       inside   shell   ^         outside
       counted  measured  k-th    passed over

The k-th distances of a group's rows differ from that of the middle of their box by no more than
the rows are away from it (the triangle inequality). Nodes inside the shell between these bounds
are counted by their weight, and only the leaves that it cuts are measured. Where a shell holds too
many leaves, each row descends on its own, a level of the tree at a time.
"""

import math

import numpy as np
from numba import prange

from meanshift_fast._index.kth_select import kth_sq
from meanshift_fast._jit.compiler import empty_floats, empty_integers, parallel, step
from meanshift_fast._jit.simd import (
    LANES,
    bits,
    flat,
    full,
    item,
    load,
    lowest,
    mask_of,
    most,
    put,
    store,
    total,
    where,
)

ROWS_AT_ONCE = 4  # 64 columns take half the time that one row at a time takes
STACK = 256  # blocks waiting in a depth-first traversal: at most 15 a level and one
ROUNDING = 1e-9  # relative, around a shell: far more than rounding takes from it
SMALLEST_SQ = 1e-300  # lets a shell of no width hold the distance 0
MIN_SHARED_LEAVES = 128  # in a group's shell, from which its rows may be faster alone
SHARED_LEAVES_PER_NODE = 3  # alone, a row may look at one node for so many leaves of the shell
SKIPPED_GROUPS = 15  # that do not try it after one for which it did not pay


# The shell about a group of sixteen positions. All arrays of a step are flat.


@step
def _reach(lower, upper, own, positions, first, n_features, n_rows):
    """Find how far a group's positions are, at most, from the middle of the group's box."""
    sum_sq = full(0.0)
    for f in range(n_features):
        middle = 0.5 * item(lower, own + f * LANES) + 0.5 * item(upper, own + f * LANES)
        gap = load(positions, first + f) - middle
        sum_sq = sum_sq + gap * gap
    return math.sqrt(most(where(mask_of((1 << n_rows) - 1), sum_sq, full(0.0))))


@step
def _bounds(lower, upper, block, n_features, lows, highs, own):
    """The squared distances that all pairs of a block's children and a box lie between.

    The box has its features at every sixteenth value of ``lows`` and ``highs`` from ``own`` on.
    """
    near_sq = far_sq = zero = full(0.0)
    for f in range(n_features):
        low, high = load(lower, block * n_features + f), load(upper, block * n_features + f)
        below, above = low - item(highs, own + f * LANES), item(lows, own + f * LANES) - high
        gap = where(below > above, below, above)
        gap = where(gap > 0.0, gap, zero)
        span = where(below > above, above, below)
        near_sq = near_sq + gap * gap
        far_sq = far_sq + span * span
    return near_sq, far_sq


@step
def _candidates(views, n_features, own, inner_sq, outer_sq, stack, leaves, weights):
    """Weigh what is inside the shell, list the leaves in it and their rows' weights.

    A node is inside where each of its rows is nearer than ``inner_sq`` to all of the group's box,
    outside where none is as near as ``outer_sq`` to any of it.
    """
    _, point_weights, lower, upper, weight, first_child, n_upper, weighted = views
    zero = full(0.0)
    counted = zero
    n_leaves = 0
    put(stack, 0, 0)
    top = 1
    while top > 0:
        top -= 1
        block = item(stack, top)
        near_sq, far_sq = _bounds(lower, upper, block, n_features, lower, upper, own)
        inside = far_sq < inner_sq
        counted = counted + where(inside, load(weight, block), zero)
        cut = bits(near_sq < outer_sq) & ~bits(inside)
        while cut:
            child = item(first_child, block) + lowest(cut)
            cut &= cut - 1
            if block < n_upper:
                put(stack, top, child)
                top += 1
                continue
            store(weights, n_leaves, load(point_weights, child * weighted))
            put(leaves, n_leaves, child)
            n_leaves += 1
    return total(counted), n_leaves


@step
def measure_rows(points, leaves, n_leaves, positions, first, n_features, j, last, distances):
    """Squared distances of a group's rows j to j + 3, none beyond ``last``, to the leaves."""
    own = first * LANES
    for i in range(n_leaves):
        a_sq = b_sq = c_sq = d_sq = full(0.0)
        for f in range(n_features):
            values = load(points, item(leaves, i) * n_features + f)
            place = own + f * LANES
            a = values - item(positions, place + j)
            b = values - item(positions, place + min(j + 1, last))
            c = values - item(positions, place + min(j + 2, last))
            d = values - item(positions, place + min(j + 3, last))
            a_sq, b_sq, c_sq, d_sq = a_sq + a * a, b_sq + b * b, c_sq + c * c, d_sq + d * d
        store(distances, i, a_sq)
        store(distances, n_leaves + i, b_sq)
        store(distances, 2 * n_leaves + i, c_sq)
        store(distances, 3 * n_leaves + i, d_sq)


# One row alone. Where a shell cuts a crowd of rows (they lie far from the group and near each
# other, or the group lies far out and wide apart) the row has a thinner one.


@step
def _narrow(views, n_features, k, most_sq, positions, place, memory, n_most):
    """Close in on a row's k-th distance, a level of the tree at a time.

    Of the distances to a level's nodes the least and the largest possible are known, and the k-th
    of either bounds the row's. Only nodes that may hold it are opened.

    Returns the weight of what is nearer, how many leaves may hold the k-th distance, its shell,
    and whether it gave up, there being more than ``n_most`` nodes to look at.
    """
    _, point_weights, lower, upper, weight, first_child, n_upper, weighted = views
    blocks, leaves, weights, distances, kept, kept_weights = memory
    zero = full(0.0)
    counted, shell = 0.0, (0.0, most_sq, most_sq)
    n_seen, n_open, is_last = 0, 1, False
    put(leaves, 0, 0)
    while not is_last:
        for i in range(n_open):
            block = item(leaves, i)
            near_sq, far_sq = _bounds(lower, upper, block, n_features, positions, positions, place)
            put(blocks, i, block)
            store(weights, i, load(weight, block))
            store(distances, i, near_sq)
            store(distances, n_open + i, far_sq)
        target, low_sq, high_sq = k - counted, 0.0, 0.0
        n_all = np.int64(n_open)  # the literal that it begins as would compile `kth_sq` twice
        for side in range(2):
            low_sq, high_sq = (
                high_sq,
                kth_sq(distances, side * n_all, weights, n_all, target, shell, kept, kept_weights),
            )
        if low_sq == high_sq:
            return counted, 0, (low_sq, high_sq, most_sq), low_sq < 0.0
        shell = (low_sq, high_sq * (1.0 + ROUNDING) + SMALLEST_SQ, most_sq)
        is_last = item(blocks, 0) >= n_upper
        inner, n_cut = zero, 0
        for i in range(n_open):
            block = item(blocks, i)
            inside = load(distances, n_open + i) < low_sq
            inner = inner + where(inside, load(weight, block), zero)
            cut = bits(load(distances, i) <= high_sq) & ~bits(inside)
            while cut:
                child = item(first_child, block) + lowest(cut)
                cut &= cut - 1
                if is_last:
                    store(weights, n_cut, load(point_weights, child * weighted))
                put(leaves, n_cut, child)
                n_cut += 1
        counted += total(inner)
        n_seen, n_open = n_seen + n_open, n_cut
        if n_seen + n_open > n_most or low_sq < 0.0 or high_sq < 0.0:
            return counted, n_cut, shell, True
    return counted, n_open, shell, False


# All groups.


@step
def _search_group(
    views, n_features, k, most_sq, own, radius, positions, first, n_rows, may_narrow, stack, memory,
    found, rank,
):  # fmt: skip
    """Find the k-th distances of a group's rows; whether taking them one by one did not pay."""
    points, lower, upper = views[0], views[2], views[3]
    _, leaves, weights, distances, kept, kept_weights = memory
    everything = (0.0, most_sq, most_sq)
    shell = everything
    if radius >= 0.0:
        reach = _reach(lower, upper, own, positions, first, n_features, n_rows)
        if reach == 0.0:
            for j in range(n_rows):
                put(found, rank + j, radius)
            return False
        rounding = ROUNDING * (radius + reach)
        inner = max(radius - reach - rounding, 0.0)
        outer = radius + reach + rounding
        shell = (inner * inner, min(outer * outer + SMALLEST_SQ, most_sq), most_sq)
    counted, n_cut, n_shared, j = 0.0, 0, 0, 0
    alone = is_listed = does_not_pay = missed = False
    while j < n_rows:
        stop, bounds = min(j + ROWS_AT_ONCE, n_rows), shell
        if not alone and not is_listed:
            counted, n_cut = _candidates(
                views, n_features, own, shell[0], shell[1], stack, leaves, weights
            )
            is_listed, n_shared = True, n_cut
            alone = may_narrow and not does_not_pay and n_cut >= MIN_SHARED_LEAVES
        if alone:
            counted, n_cut, bounds, gave_up = _narrow(
                views, n_features, k, most_sq, positions, first * LANES + j, memory,
                n_shared // SHARED_LEAVES_PER_NODE,
            )  # fmt: skip
            is_listed, stop = False, j + 1
            if gave_up:
                alone, does_not_pay = False, True
                continue
        at = np.int64(j)  # as in `_narrow`
        measure_rows(points, leaves, n_cut, positions, first, n_features, at, stop - 1, distances)
        had_missed, missed = missed, False
        for i in range(j, stop):
            found_sq = bounds[0]  # where no leaf may hold it, it is known
            if n_cut > 0 or not alone:
                found_sq = kth_sq(
                    distances, (i - j) * n_cut, weights, n_cut, k - counted, bounds, kept,
                    kept_weights,
                )  # fmt: skip
            missed |= found_sq < 0.0
            put(found, rank + i, math.sqrt(max(found_sq, 0.0)))
        if missed and not had_missed:
            shell, alone, is_listed, does_not_pay = everything, False, False, True
        else:
            j = stop
    return does_not_pay


@step
def _search_part(
    tree_arrays, k, most_sq, first_block, first_group, middle, positions, part, n_parts, found,
    integers, numbers,
):  # fmt: skip
    points, point_weights, lower, upper, weight, first_child, n_upper = tree_arrays
    n_features = lower.shape[0] // weight.shape[0]
    views = (
        flat(points), flat(point_weights), flat(lower), flat(upper), flat(weight),
        flat(first_child), n_upper, np.int64(point_weights.shape[0] > 1),
    )  # fmt: skip
    stack, blocks, leaves = integers
    weights, distances, kept, kept_weights = numbers
    memory = (
        flat(blocks), flat(leaves), flat(weights), flat(distances), flat(kept), flat(kept_weights)
    )  # fmt: skip
    wait = 0
    for group in range(part, middle.shape[0], n_parts):
        rank, place = group * LANES, first_group + group
        does_not_pay = _search_group(
            views, n_features, k, most_sq,
            (first_block + place // LANES) * n_features * LANES + place % LANES, middle[group],
            flat(positions), group * n_features, min(LANES, found.shape[0] - rank), wait == 0,
            flat(stack), memory, flat(found), rank,
        )  # fmt: skip
        wait = SKIPPED_GROUPS if does_not_pay else max(wait - 1, 0)


@parallel
def search_groups(
    tree_arrays, k, most_sq, first_block, first_group, middle, positions, n_parts, found
):
    for part in prange(n_parts):
        at = np.int64(part)  # prange counts unsigned
        n_leaves = tree_arrays[0].shape[0] * tree_arrays[4].shape[0] // tree_arrays[2].shape[0]
        size = n_leaves * LANES
        integers = empty_integers(STACK), empty_integers(n_leaves), empty_integers(n_leaves)
        numbers = (
            empty_floats(size),
            empty_floats(ROWS_AT_ONCE * size),
            empty_floats(size),
            empty_floats(size),
        )
        _search_part(
            tree_arrays, k, most_sq, first_block, first_group, middle, positions, at, n_parts,
            found, integers, numbers,
        )  # fmt: skip
