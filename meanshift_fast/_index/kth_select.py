"""The k-th smallest of weighted distances: counting passes narrow a bracket, then a selection.

distances  0 ------[ low ...... high ]------------>     weight below each end is known
                      interpolate, count, narrow        until a few are left to select from
"""

import numpy as np

from meanshift_fast._jit.compiler import step
from meanshift_fast._jit.simd import LANES, bits, full, item, load, lowest, put, total, where

MAX_SELECTED_WEIGHT = 48  # weight of the distances that are selected from without another pass
# Passes that interpolate. Blobs need no more, and with fewer they took 30 % longer.
MAX_INTERPOLATED_PASSES = 7
MAX_PASSES = 20  # by then only equal distances are left
MAX_PROBES = 64  # distances looked at for one within the bracket, where interpolation fails


@step
def _one_between(distances, first, n_leaves, low, high):
    """Pick some distance between low and high; their middle where none is found."""
    at = n_leaves
    for _ in range(MAX_PROBES):
        at = (at * 69069 + 12345) % (n_leaves * LANES)
        value = item(distances, first * LANES + at)
        if low < value < high:
            return value
    return 0.5 * low + 0.5 * high


@step
def select_weighted(values, weights, stop, target):
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
def kth_sq(distances, first, weights, n_leaves, target, bracket, kept, kept_weights):
    """Find the squared distance up to which weights sum to the target.

    ``bracket`` is (low, high, weight): no distance with a weight is below the first, the one to
    find is below the second, and the third is the weight of all that are.

    Counting passes over all distances narrow the bracket; a selection among the few left follows.
    Selecting from all of them took several times as long where distances are of many scales.
    """
    low, high, reached = bracket
    below, lean, zero = 0.0, 0.0, full(0.0)
    n_passes = 0
    while reached - below > MAX_SELECTED_WEIGHT and n_passes < MAX_PASSES:
        if n_passes > MAX_INTERPOLATED_PASSES:
            bound = _one_between(distances, first, n_leaves, low, high)
        else:
            # First straight at the target; then a little past it, on the side that the last
            # pass left wide, so that both ends move.
            share = (target - below) / (reached - below) + lean
            bound = low + (high - low) * min(max(share, 0.02), 0.98)
        passed = zero
        for i in range(n_leaves):
            near = load(distances, first + i) < bound
            passed = passed + where(near, load(weights, i), zero)
        if total(passed) < target:
            low, below, lean = bound, total(passed), 0.06
        else:
            high, reached, lean = bound, total(passed), -0.06
        n_passes += 1
    n_kept = np.int64(0)  # a literal would compile `select_weighted` a second time
    for i in range(n_leaves):
        values = load(distances, first + i)
        left = bits(values < high) & ~bits(values < low)
        while left:
            lane = lowest(left)
            left &= left - 1
            put(kept, n_kept, item(distances, (first + i) * LANES + lane))
            put(kept_weights, n_kept, item(weights, i * LANES + lane))
            n_kept += 1
    return select_weighted(kept, kept_weights, n_kept, target - below)
