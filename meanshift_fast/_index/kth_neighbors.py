"""The bandwidth: how far, on the average, a row's k-th neighbour is.

    x --------|------:--:------|-------->  distance
       inside   shell   ^         outside
       counted  measured  k-th    passed over

Sixteen neighbouring rows, a leaf of the moment tree, are searched together. Their k-th distances
differ from that of the middle of their box by no more than they are away from it (the triangle
inequality), which leaves a thin shell: nodes inside it are counted by their weight, and only the
leaves that it cuts are measured. The middle's own k-th distance was found in the same way, as one
of sixteen in the block above, and so on up to the root.

Where that shell cuts a crowd (the group lies far out and wide apart, or its spheres pass through a
heavy speck) each row closes in on its own from the root down: of a level's nodes, the k-th of the
least possible distances and the k-th of the largest bound the row's.

For the result the shell is but a guess. Bounds of boxes are computed by the expression that
computes distances, and rounding is monotone, so the k-th distance is exact whenever it lies in
the shell; where it does not, everything is measured.

Few rows need none of this: all pairs are measured.
"""

import math
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index import moment_tree as tree
from meanshift_fast._index.equal_rows import find_repeats, may_repeat
from meanshift_fast._input.weights import UNWEIGHTED
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import empty_floats, empty_integers, parallel, serial, step
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
from meanshift_fast._jit.threads import available_threads

QUAD = 4  # rows measured at once: 64 columns take half the time that one at a time takes
STACK = 256  # blocks waiting in a depth-first walk: at most 15 a level and one
SLACK = 1e-9  # relative, around a shell: far more than rounding takes from it
TINY = 1e-300  # lets a shell of no width hold the distance 0
# Rows, and values, up to which one thread measures all pairs: 20 x 2 rows take 0.07 ms (with a tree
# 0.45), 300 take 0.7 (0.8), 1,000 take 3.5 (1.7, with two threads). In return a first fit of them,
# which compiles for most of its time, takes 13.4 s and not 19.1: medians of three, by turns.
FEW_ROWS = 1024
FEW_VALUES = 1 << 14
FEW = 48  # weight of the distances that are selected from as they are
SMOOTH = 7  # passes that interpolate. Blobs need no more, and giving up sooner cost them 30 %
PASSES = 20  # by then only equal distances are left
TRIES = 64  # looks for a distance inside the bracket, where interpolation fails
CROWD = 128  # leaves in a group's shell from which its rows may be better off alone
WORTH = 3  # leaves in it for each node that a row looks at alone
PATIENCE = 15  # groups that do not try it after one that found it not worth while
FIRST_CHUNK_VALUES = 1 << 30  # read or measured by the first chunk, at most: less than a second


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
def _measure(points, leaves, n_leaves, positions, first, n_features, j, last, distances):
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


# The k-th of the measured distances of one row.


@step
def _one_between(distances, first, n_leaves, low, high):
    """Pick some distance between low and high, or the middle where it meets none."""
    place = n_leaves
    for _ in range(TRIES):
        place = (place * 69069 + 12345) % (n_leaves * LANES)
        value = item(distances, first * LANES + place)
        if low < value < high:
            return value
    return 0.5 * low + 0.5 * high


@step
def _select(values, weights, stop, target):
    """Find the least of the first ``stop`` values up to which weights sum to the target."""
    start = 0
    while stop - start > 1:
        a, b, c = item(values, start), item(values, (start + stop) // 2), item(values, stop - 1)
        pivot = max(min(a, b), min(max(a, b), c))
        less, more = start, stop
        weight_less = weight_equal = 0.0
        i = start
        while i < more:
            value, weight = item(values, i), item(weights, i)
            if value < pivot:
                put(values, i, item(values, less))
                put(weights, i, item(weights, less))
                put(values, less, value)
                put(weights, less, weight)
                weight_less += weight
                less += 1
                i += 1
            elif value > pivot:
                more -= 1
                put(values, i, item(values, more))
                put(weights, i, item(weights, more))
                put(values, more, value)
                put(weights, more, weight)
            else:
                weight_equal += weight
                i += 1
        if target <= weight_less:
            stop = less
        elif target <= weight_less + weight_equal or more == stop:
            return pivot
        else:
            target -= weight_less + weight_equal
            start = more
    return item(values, start)


@step
def _kth_sq(distances, first, weights, n_leaves, target, shell, kept, kept_weights):
    """Find the distance up to which weights sum to the target; -1 where the shell lacks it.

    Counting passes over all distances close in on it; the few that are left are selected from.
    Selecting from all of them took several times as long where distances are of many scales.
    """
    inner_sq, outer_sq, most_sq = shell
    zero = full(0.0)
    low, high = 0.0, most_sq
    below, reached = 0.0, np.inf
    bound, lean = inner_sq, 0.0
    for count in range(PASSES):
        passed = zero
        for i in range(n_leaves):
            near = load(distances, first + i) < bound
            passed = passed + where(near, load(weights, i), zero)
        if total(passed) < target:
            low, below, lean = bound, total(passed), 0.06
        else:
            high, reached, lean = bound, total(passed), -0.06
        if count == 0:
            bound = outer_sq
            continue
        if count == 1:
            if low != inner_sq or high != outer_sq:
                return -1.0
            lean = 0.0
        if reached - below <= FEW:
            break
        if count > SMOOTH:
            bound = _one_between(distances, first, n_leaves, low, high)
        else:
            # First straight at the target; then a little past it, on the side that the last
            # pass left wide, so that both ends close in.
            share = (target - below) / (reached - below) + lean
            bound = low + (high - low) * min(max(share, 0.02), 0.98)
    n_kept = np.int64(0)  # a literal would compile `_select` a second time
    for i in range(n_leaves):
        values = load(distances, first + i)
        left = bits(values < high) & ~bits(values < low)
        while left:
            lane = lowest(left)
            left &= left - 1
            put(kept, n_kept, item(distances, (first + i) * LANES + lane))
            put(kept_weights, n_kept, item(weights, i * LANES + lane))
            n_kept += 1
    return _select(kept, kept_weights, n_kept, target - below)


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
        n_all = np.int64(n_open)  # the literal that it begins as would compile `_kth_sq` twice
        for side in range(2):
            low_sq, high_sq = (
                high_sq,
                _kth_sq(distances, side * n_all, weights, n_all, target, shell, kept, kept_weights),
            )
        if low_sq == high_sq:
            return counted, 0, (low_sq, high_sq, most_sq), low_sq < 0.0
        shell = (low_sq, high_sq * (1.0 + SLACK) + TINY, most_sq)
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
    """Find the k-th distances of a group's rows; whether it was in vain to take them one by one."""
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
        slack = SLACK * (radius + reach)
        inner = max(radius - reach - slack, 0.0)
        outer = radius + reach + slack
        shell = (inner * inner, min(outer * outer + TINY, most_sq), most_sq)
    counted, n_cut, n_shared, j = 0.0, 0, 0, 0
    alone = is_listed = in_vain = missed = False
    while j < n_rows:
        stop, bounds = min(j + QUAD, n_rows), shell
        if not alone and not is_listed:
            counted, n_cut = _candidates(
                views, n_features, own, shell[0], shell[1], stack, leaves, weights
            )
            is_listed, n_shared = True, n_cut
            alone = may_narrow and not in_vain and n_cut >= CROWD
        if alone:
            counted, n_cut, bounds, gave_up = _narrow(
                views, n_features, k, most_sq, positions, first * LANES + j, memory,
                n_shared // WORTH,
            )  # fmt: skip
            is_listed, stop = False, j + 1
            if gave_up:
                alone, in_vain = False, True
                continue
        at = np.int64(j)  # likewise
        _measure(points, leaves, n_cut, positions, first, n_features, at, stop - 1, distances)
        had_missed, missed = missed, False
        for i in range(j, stop):
            kth_sq = bounds[0]  # where no leaf may hold it, it is known
            if n_cut > 0 or not alone:
                kth_sq = _kth_sq(
                    distances, (i - j) * n_cut, weights, n_cut, k - counted, bounds, kept,
                    kept_weights,
                )  # fmt: skip
            missed |= kth_sq < 0.0
            put(found, rank + i, math.sqrt(max(kth_sq, 0.0)))
        if missed and not had_missed:
            shell, alone, is_listed, in_vain = everything, False, False, True
        else:
            j = stop
    return in_vain


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
        in_vain = _search_group(
            views, n_features, k, most_sq,
            (first_block + place // LANES) * n_features * LANES + place % LANES, middle[group],
            flat(positions), group * n_features, min(LANES, found.shape[0] - rank), wait == 0,
            flat(stack), memory, flat(found), rank,
        )  # fmt: skip
        wait = PATIENCE if in_vain else max(wait - 1, 0)


@parallel
def _search(tree_arrays, k, most_sq, first_block, first_group, middle, positions, n_parts, found):
    for part in prange(n_parts):
        at = np.int64(part)  # prange counts unsigned
        n_leaves = tree_arrays[0].shape[0] * tree_arrays[4].shape[0] // tree_arrays[2].shape[0]
        size = n_leaves * LANES
        integers = empty_integers(STACK), empty_integers(n_leaves), empty_integers(n_leaves)
        numbers = (
            empty_floats(size),
            empty_floats(QUAD * size),
            empty_floats(size),
            empty_floats(size),
        )
        _search_part(
            tree_arrays, k, most_sq, first_block, first_group, middle, positions, at, n_parts,
            found, integers, numbers,
        )  # fmt: skip


# Few rows: all pairs are measured, with no tree and no kernel over threads.


@serial
def _search_pairs(leaves, weights, k, most_sq, every_leaf, distances, kept, kept_weights, found):
    """Find the k-th distance of each row, the rows being in leaves in their own order."""
    n_leaves, n_features, n_rows = leaves.shape[0], leaves.shape[1], found.shape[0]
    points, lane_weights, listed = flat(leaves), flat(weights), flat(every_leaf)
    measured, left, left_weights = flat(distances), flat(kept), flat(kept_weights)
    everything = (0.0, most_sq, most_sq)
    for first in range(0, n_rows, QUAD):
        stop, leaf = min(first + QUAD, n_rows), first // LANES
        own = leaf * LANES
        _measure(
            points, listed, n_leaves, points, leaf * n_features, n_features, first - own,
            stop - 1 - own, measured,
        )  # fmt: skip
        for row in range(first, stop):
            kth_sq = _kth_sq(
                measured, (row - first) * n_leaves, lane_weights, n_leaves, k, everything, left,
                left_weights,
            )  # fmt: skip
            found[row] = math.sqrt(kth_sq)


def _kth_distances_of_few(
    points: NDArray[np.float64], weights: NDArray[np.float64], k: float
) -> NDArray[np.float64]:
    """Measure each row's distance to its k-th neighbour, in the order of the rows."""
    leaves = tree.in_lanes(points)
    n_lanes = len(leaves) * LANES
    lane_weights = np.zeros(n_lanes)
    lane_weights[: len(points)] = weights if weights.size else 1.0
    span = points.max(axis=0) - points.min(axis=0)
    found = np.empty(len(points))
    _search_pairs(
        leaves, lane_weights, k, 1.001 * float(span @ span), np.arange(len(leaves)),
        np.empty(QUAD * n_lanes), np.empty(n_lanes), np.empty(n_lanes), found,
    )  # fmt: skip
    return found


# More rows: a search from the root of their tree.


def _flattened(rows: tree.MomentTree) -> tuple[Any, ...]:
    """Lay the tree out as the kernels take it: lanes in rows, whatever they belong to."""
    return (
        rows.points.reshape(-1, LANES),
        rows.point_weights,
        rows.lower.reshape(-1, LANES),
        rows.upper.reshape(-1, LANES),
        rows.weight,
        rows.first_child,
        rows.n_upper,
    )


def _kth_distances(rows: tree.MomentTree, k: float) -> NDArray[np.float64]:
    """Measure each row's distance to its k-th neighbour, in the tree's order."""
    tree_arrays = _flattened(rows)
    n_leaves, n_features = rows.points.shape[:2]
    with np.errstate(invalid="ignore"):  # where there is no child, there is no middle
        middles = (0.5 * rows.lower + 0.5 * rows.upper).reshape(-1, LANES)
    span = rows.upper[0].max(axis=1) - rows.lower[0].min(axis=1)
    most_sq = 1.001 * float(span @ span)
    first_chunk = FIRST_CHUNK_VALUES // (LANES * rows.points.size)

    def search(
        n_found: int, first_block: int, middle: NDArray[np.float64], positions: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        found = np.empty(n_found)
        for start, stop in chunks(len(middle), first=first_chunk):
            _search(
                tree_arrays,
                k,
                most_sq,
                first_block,
                start,
                middle[start:stop],
                positions[start * n_features : stop * n_features],
                available_threads(),
                found[start * LANES : stop * LANES],
            )
        return found

    level_sizes = [n_leaves]
    while level_sizes[0] > LANES:
        level_sizes.insert(0, -(-level_sizes[0] // LANES))
    radius = np.array([-1.0])  # about the middle of the root: not known
    parent = first = 0
    for size in level_sizes:
        stop = first + -(-size // LANES)
        radius = search(size, parent, radius, middles[first * n_features : stop * n_features])
        parent, first = first, stop
    return search(len(rows.order), parent, radius, tree_arrays[0])


def _rows_once(
    points: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make of equal rows one of their weight. 200,000 rows of ten binary columns are 1,024."""
    if not may_repeat(points):
        return points, weights
    firsts, numbers = find_repeats(points)
    if len(firsts) == len(points):
        return points, weights
    rows = points.take(firsts, axis=0)
    together = np.bincount(numbers, weights if weights.size else None).astype(np.float64)
    rows.flags.writeable = together.flags.writeable = False
    return rows, together


def mean_kth_distance(
    points: NDArray[np.float64],
    *,
    quantile: float,
    weights: NDArray[np.float64] = UNWEIGHTED,
) -> np.float64:
    """Average over the rows how far the k-th neighbour is; `estimate_bandwidth` of a ready table.

    Parameters
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows; finite, at least one.
    quantile : float
        Between 0 and 1. ``k = int(n_samples * quantile)``, at least 1, and a row is its own
        first neighbour.
    weights : read-only float64 array of shape (n_samples,) or (0,), default=empty
        The rows' weights, positive; empty where all are 1. A row of weight w is w rows; where
        ``k`` would come to 0, it is the weight times the quantile, not rounded.

    Returns
    -------
    np.float64
        In the unit of the columns of ``points``. The same for every number of threads.

    Notes
    -----
    Of up to 1,024 rows of 16,384 values all pairs are measured. Beyond that the time is about
    n_samples^(1.5) in two dimensions, and never much more than that of measuring all pairs; memory
    besides the tree, at most 60 bytes a row and thread.
    """
    weight = float(weights.sum()) if weights.size else len(points)
    k = float(max(int(weight * quantile), 1))
    is_weighted = weights.size > 0
    points, weights = _rows_once(points, weights)
    if is_weighted:
        if weight * quantile < 1.0:  # as of weights that sum to 1, which are no numbers of rows
            k = weight * quantile or float(weights.min())
        # Sums of fractions come out a little short of a whole number, depending on their order.
        k *= 1.0 - 1e-10
    if weights.size:
        # The search selects where some rows are left, and counts weight for it: so a row weighs
        # about 1. 20,000 rows x 2 that weigh 1 together took 0.60 s and not 0.15.
        unit = np.ldexp(1.0, -int(np.frexp(weight / len(points))[1]))
        weights = weights * unit
        weights.flags.writeable = False
        weight, k = weight * unit, k * unit

    low, high = points.min(axis=0), points.max(axis=0)
    half_span = 0.5 * high - 0.5 * low  # halves, because a span need not be finite
    exponent = int(np.frexp(half_span.max())[1])
    if half_span.max() == 0.0:
        return np.float64(0.0)
    if abs(exponent) > 400:
        # Squares would leave the range of floats. A power of two scales exactly, and a column
        # of one value, which might grow too large, is in no distance.
        points = np.ascontiguousarray(np.ldexp(points[:, half_span > 0.0], -exponent))
        points.flags.writeable = False
    else:
        exponent = 0
    if len(points) <= FEW_ROWS and points.size <= FEW_VALUES:
        radii = _kth_distances_of_few(points, weights, k)
    else:
        rows = tree.build(points, weights)
        radii = np.empty(len(points))
        radii[rows.order] = _kth_distances(rows, k)
    if weights.size:
        radii *= weights
    with np.errstate(over="ignore"):
        mean = np.ldexp(radii.sum() / weight, exponent)
    if not np.isfinite(mean):
        raise ValueError(
            f"X must leave room for distances, got columns as wide as {half_span.max():g} times 2; "
            "divide X by that, or give a bandwidth"
        )
    return np.float64(mean)
