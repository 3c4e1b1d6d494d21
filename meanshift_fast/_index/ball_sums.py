"""Sums of the rows whose bits are set: gathered in the order of the table, in float64.

So a mean is a function of the rows in the ball, to the last bit, whatever found them. Where more
than half of the rows are inside, those outside are subtracted from the sum of all, unless they
weigh so much more that the difference would lose digits.
"""

import numpy as np
from numba import prange

from meanshift_fast._jit.compiler import empty_floats, empty_integers, parallel, serial, step
from meanshift_fast._jit.simd import (
    LANES,
    flat,
    full,
    item,
    load,
    load_from,
    lowest,
    n_set,
    put,
    store,
)

MAX_WEIGHT_RATIO = 64.0  # of all rows outside to all inside, in a difference: six bits are lost
TASK_POSITIONS = 16  # whose rows a thread sums
ROWS_AT_ONCE = 4  # that are added to a sum while it is in registers


@step
def _list_rows(patterns, word, n_masks, flipped, n_samples, listed):
    """List the rows whose bits differ from ``flipped``, ascending; how many."""
    n_listed = np.int64(0)
    for k in range(n_masks):
        pattern = np.int64(item(patterns, word + k)) ^ flipped
        while pattern != 0:
            row = k * LANES + lowest(pattern)
            pattern &= pattern - 1
            put(listed, n_listed, row)
            n_listed += row < n_samples
    return n_listed


@step
def _count_inside(patterns, word, n_masks):
    """How many bits of some masks are set."""
    n_inside = np.int64(0)
    for k in range(n_masks):
        n_inside += n_set(np.int64(item(patterns, word + k)))
    return n_inside


@step
def _add_rows(values, weights, weighted, n_features, listed, first, n_rows, sums):
    """Add four of the listed rows to the sums, or the last few, one after the other."""
    a = item(listed, first)
    b = item(listed, first + min(1, n_rows - 1))
    c = item(listed, first + min(2, n_rows - 1))
    d = item(listed, first + min(3, n_rows - 1))
    n_whole = n_features // LANES * LANES
    for f in range(0, n_whole, LANES):
        k = f // LANES
        total = load(sums, k)
        if weighted:
            total = total + load_from(values, a * n_features + f) * item(weights, a)
            if n_rows == ROWS_AT_ONCE:
                total = total + load_from(values, b * n_features + f) * item(weights, b)
                total = total + load_from(values, c * n_features + f) * item(weights, c)
                total = total + load_from(values, d * n_features + f) * item(weights, d)
        else:
            total = total + load_from(values, a * n_features + f)
            if n_rows == ROWS_AT_ONCE:
                total = total + load_from(values, b * n_features + f)
                total = total + load_from(values, c * n_features + f)
                total = total + load_from(values, d * n_features + f)
        store(sums, k, total)
    for f in range(n_whole, n_features):
        for j in range(first, first + n_rows):
            row = item(listed, j)
            share = item(weights, row) if weighted else 1.0
            put(sums, f, item(sums, f) + item(values, row * n_features + f) * share)


@step
def _add_listed(values, weights, weighted, n_features, listed, n_listed, sums):
    """Sum the listed rows; their weight. Four rows at a time are read from start to end."""
    for k in range(n_features // LANES + 1):
        store(sums, k, full(0.0))
    n_fours = n_listed // ROWS_AT_ONCE * ROWS_AT_ONCE
    for j in range(0, n_fours, ROWS_AT_ONCE):
        _add_rows(values, weights, weighted, n_features, listed, j, ROWS_AT_ONCE, sums)
    for j in range(n_fours, n_listed):
        _add_rows(values, weights, weighted, n_features, listed, j, 1, sums)
    if not weighted:
        return float(n_listed)
    weight = 0.0
    for j in range(n_listed):
        weight += item(weights, item(listed, j))
    return weight


@step
def _move_some(table, masks, places, first, stop, memory, support, moves):
    """Move positions first:stop to the means of their balls."""
    values, weights, total_sums, total_weight, may_subtract, n_rows = table
    n_samples, n_features = n_rows, places.shape[1]
    n_masks, weighted = masks.shape[1], weights.shape[0] > 0
    patterns, positions = flat(masks), flat(places)
    listed, sums = flat(memory[0]), flat(memory[1])
    for i in range(first, stop):
        n_inside = _count_inside(patterns, i * n_masks, n_masks)
        subtract = may_subtract and 2 * n_inside > n_samples
        while True:
            flipped = np.int64(0xFFFF if subtract else 0)
            n_listed = _list_rows(patterns, i * n_masks, n_masks, flipped, n_samples, listed)
            weight = _add_listed(
                flat(values), flat(weights), weighted, n_features, listed, n_listed, sums
            )
            if not subtract or MAX_WEIGHT_RATIO * (total_weight - weight) >= weight:
                break
            subtract = False
        if subtract:
            weight = total_weight - weight
        move_sq = 0.0
        if n_inside > 0:
            for f in range(n_features):
                value = item(sums, f)
                if subtract:
                    value = total_sums[f] - value
                mean = value / weight
                move = mean - item(positions, i * n_features + f)
                move_sq += move * move
                put(positions, i * n_features + f, mean)
        support[i] = weight
        moves[i] = np.sqrt(move_sq)


@parallel
def move_to_means(table, masks, places, support, moves):
    """Move all positions to the means of the balls that the bits say."""
    for task in prange((places.shape[0] + TASK_POSITIONS - 1) // TASK_POSITIONS):
        first = np.int64(task) * TASK_POSITIONS
        stop = min(first + TASK_POSITIONS, places.shape[0])
        memory = (
            empty_integers(table[5] + LANES),
            empty_floats((places.shape[1] // LANES + 1) * LANES),
        )
        _move_some(table, masks, places, first, stop, memory, support, moves)


@serial
def sum_all(points, weights, sums):
    """Sum all rows in their order; their weight."""
    n_samples, n_features = points.shape
    table, weighted, weight = flat(points), weights.shape[0] > 0, 0.0
    for row in range(n_samples):
        share = weights[row] if weighted else 1.0
        weight += share
        for f in range(n_features):
            sums[f] += item(table, row * n_features + f) * share
    return weight
