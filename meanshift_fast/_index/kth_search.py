"""The search for k-th neighbours down a moment tree: a prediction for each row, then one count.

    x --------|----:-----|-------->  distance
       below  | listed   |  above
       counted   ^ k-th     skipped

The distance to the k-th neighbour changes little from row to row in the tree's order: it is
predicted from the rows before. A traversal counts the weight nearer than a bracket about the
prediction and lists the distances in it, of which the k-th is selected. Where the bracket does not
hold it, the counts at its ends give the next bracket. Of 1M x 2 rows one count in twenty is a
second one, and the bracket holds some 80 rows.

Two linear predictions are kept, and the one with the smaller errors so far is used: of the distance
r, and of r^2 - |x|^2. The second fits where r is not much larger than the steps from row to row:
100,000 x 8 rows are off by 0.09 and not 0.27 for a hundredth of the rows (r is 3.1), and by 0.05
and 0.04 for a third (r is 36).

Boxes and rows are measured by one expression, and rounding is monotone: no row of a box that is
counted as a whole lies in the bracket. So the k-th distance is exact, whatever was predicted.

Where columns wrap, a row is measured from a position and from its image across the seam, along each
column from the nearer of the two: d columns have two values each, and not 2^d images.

    0 ....... y ......... x ... P ... y + P         |x - y| or |x - (y + P)|
"""

import math
from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.box_distances import gap_and_span
from meanshift_fast._index.kth_select import kth_sq
from meanshift_fast._index.traversal import STACK_BLOCKS, push_children, views_of
from meanshift_fast._jit.compiler import empty_floats, empty_integers, inlined, parallel, step
from meanshift_fast._jit.simd import (
    LANES,
    bits,
    fetch_add,
    flat,
    full,
    item,
    load,
    lowest,
    put,
    store,
    total,
    where,
)

ROUNDING = 1e-9  # relative, of a bound on the change of a k-th distance: far more than it can be
SMALLEST_REACH = 1e-150  # lets a bracket of no width hold the distance 0
SMALLEST_MOVE_SQ = 1e-200  # between two rows, for their difference to correct a gradient
# Half the width of a bracket in mean errors of predictions, and how much more for each feature: a
# second count takes the longer the more there are, a longer list does not.
BRACKET_IN_ERRORS, BRACKET_A_FEATURE = 2.5, 0.0625
MAX_PREDICTIONS = 2  # counts about a prediction before the bracket is halved
MAX_LISTED_WEIGHT = 4096.0  # in a bracket that was halved
MAX_HALVINGS = 64
# How much of an error corrects the gradient, and how much the mean error.
GRADIENT_RATE, ERROR_RATE = 0.5, 0.06


class SearchMemory(NamedTuple):
    """The memory of a thread, flat pointers.

    Attributes
    ----------
    stack
        Blocks that wait.
    listed, listed_weights
        Squared distances in the leaves that a bracket cuts, and weights.
    kept, kept_weights
        For a selection.
    position, image, before, origin
        A row, its image across the seams, the row before it, and the first of a take.
    gradient
        The gradients of the two predictions.
    period
        None where no column wraps; 0 for one that does not.
    """

    stack: NDArray[np.int64]
    listed: NDArray[np.float64]
    listed_weights: NDArray[np.float64]
    kept: NDArray[np.float64]
    kept_weights: NDArray[np.float64]
    position: NDArray[np.float64]
    image: NDArray[np.float64]
    before: NDArray[np.float64]
    origin: NDArray[np.float64]
    gradient: NDArray[np.float64]
    period: NDArray[np.float64] | None


class State(NamedTuple):
    """A row's k-th distance and what predicts that of the next row.

    Attributes
    ----------
    distance : float
        To the k-th neighbour.
    from_origin_sq : float
        The row's squared distance from the origin.
    errors : tuple of two floats
        The mean errors of the predictions.
    """

    distance: float
    from_origin_sq: float
    errors: tuple[float, float]


# Distances along one column. Numba leaves out the branch of what is no period.


@step
def _lesser(first, second):
    """The lesser of two vectors, lane by lane."""
    return where(first < second, first, second)


@step
def _away_sq(values, memory, f, period):
    """Squared distances of values from the position along a column."""
    away = values - item(memory.position, f)
    if period is None:
        return away * away
    other = values - item(memory.image, f)
    return _lesser(away * away, other * other)


@step
def _gap_and_span_sq(low, high, memory, f, period):
    """Squared distances of the nearer and of the farther edge of boxes along a column."""
    value = item(memory.position, f)
    gap, span = gap_and_span(low, high, value, value)
    gap_sq, span_sq = gap * gap, span * span
    if period is None:
        return gap_sq, span_sq
    image = item(memory.image, f)
    gap, span = gap_and_span(low, high, image, image)
    return _lesser(gap_sq, gap * gap), _lesser(span_sq, span * span)


@step
def _place(memory, f, value, period):
    """Set the position and its image along a column."""
    put(memory.position, f, value)
    if period is not None:
        length = item(period, f)
        put(memory.image, f, value + length if value < 0.5 * length else value - length)


# The count.


@inlined
def _count_children(views, n_features, memory, low_sq, high_sq, block):
    """The weight of the children of a block that are nearer than a bracket, and that it cuts."""
    near_sq = far_sq = full(0.0)
    for f in range(n_features):
        gap_sq, span_sq = _gap_and_span_sq(
            load(views.lower, block * n_features + f), load(views.upper, block * n_features + f),
            memory, f, memory.period,
        )  # fmt: skip
        near_sq = near_sq + gap_sq
        far_sq = far_sq + span_sq
    inside = far_sq < low_sq
    weights = where(inside, load(views.weight, block), full(0.0))
    return weights, bits(near_sq < high_sq) & ~bits(inside)


@inlined
def _count_between(views, n_features, low, high, memory):
    """The weights nearer than two distances; how many leaves are listed that have rows between.

    A leaf is listed as a whole, its rows that are not between with a weight of 0: a branch for each
    row between took as long.
    """
    zero, n_listed = full(0.0), np.int64(0)
    low_sq, high_sq = low * low, high * high
    counted = below = reached = zero
    put(memory.stack, 0, 0)
    waiting = np.int64(1)
    while waiting > 0:
        waiting -= 1
        block = item(memory.stack, waiting)
        weights, cut = _count_children(views, n_features, memory, low_sq, high_sq, block)
        counted = counted + weights
        child = item(views.first_child, block)
        if block < views.n_upper:
            waiting = push_children(memory.stack, waiting, child, cut)
            continue
        while cut != 0:
            leaf = child + lowest(cut)
            cut &= cut - 1
            distance_sq = zero
            for f in range(n_features):
                values = load(views.points, leaf * n_features + f)
                distance_sq = distance_sq + _away_sq(values, memory, f, memory.period)
            nearer, near = distance_sq < low_sq, distance_sq < high_sq
            weights = load(views.point_weights, leaf * views.weighted)
            less, least = where(near, weights, zero), where(nearer, weights, zero)
            below, reached = below + least, reached + less
            store(memory.listed, n_listed, distance_sq)
            store(memory.listed_weights, n_listed, less - least)
            n_listed += bits(near) != bits(nearer)
    whole = total(counted)
    return whole + total(below), whole + total(reached), n_listed


@step
def _count(views, n_features, low, high, memory):
    """Count between two distances; two features have a traversal of their own."""
    two = np.int64(2)  # no literal, for which the traversal would be compiled anew
    if n_features == two:
        return _count_between(views, two, low, high, memory)
    return _count_between(views, n_features, low, high, memory)


# The distance of one row.


@step
def _selected(memory, n_listed, target, low, high, weight):
    """The distance among the listed up to which weights sum to the target."""
    bracket = (low * low, high * high, weight)
    found_sq = kth_sq(
        memory.listed, 0, memory.listed_weights, n_listed, target, bracket, memory.kept,
        memory.kept_weights,
    )  # fmt: skip
    return math.sqrt(found_sq)


@step
def _by_halving(views, n_features, k, most, memory):
    """Find a row's k-th distance with no prediction: halve a bracket until it holds few rows."""
    low, below, high, reached = 0.0, 0.0, most, np.inf
    n_halvings = 0
    while reached - below > MAX_LISTED_WEIGHT and n_halvings < MAX_HALVINGS:
        middle = 0.5 * (low + high)
        nearer, _, _ = _count(views, n_features, middle, middle, memory)
        if nearer < k:
            low, below = middle, nearer
        else:
            high, reached = middle, nearer
        n_halvings += 1
    below, reached, n_listed = _count(views, n_features, low, high, memory)
    return _selected(memory, n_listed, k - below, low, high, reached - below)


@step
def _by_prediction(views, n_features, k, most, predicted, width, bounds, memory):
    """Find a row's k-th distance, which is about as predicted and between two bounds."""
    least, largest = bounds
    low, high = max(predicted - width, least), min(predicted + width, largest)
    for _ in range(MAX_PREDICTIONS):
        below, reached, n_listed = _count(views, n_features, low, high, memory)
        if below < k <= reached:
            return _selected(memory, n_listed, k - below, low, high, reached - below)
        # Rows are taken to lie as densely beyond the bracket as in it.
        per_weight = 2.0 * (high - low) / max(reached - below, 1.0)
        if k <= below:
            low, high = max(low - per_weight * (below - k + 8.0), least), low
        else:
            low, high = high, min(high + per_weight * (k - reached + 8.0), largest)
    return _by_halving(views, n_features, k, most, memory)


# From row to row.


@step
def _predict(memory, n_features, state):
    """Both predictions for a row, its squared distances from the row before and the origin."""
    moved_sq = from_origin_sq = plain = curved = 0.0
    for f in range(n_features):
        away = item(memory.position, f) - item(memory.before, f)
        out = item(memory.position, f) - item(memory.origin, f)
        moved_sq += away * away
        from_origin_sq += out * out
        plain += away * item(memory.gradient, f)
        curved += away * item(memory.gradient, n_features + f)
    plain += state.distance
    curved += state.distance * state.distance - state.from_origin_sq + from_origin_sq
    return plain, math.sqrt(max(curved, 0.0)), moved_sq, from_origin_sq


@step
def _correct(memory, n_features, state, predicted, moved_sq, from_origin_sq, distance):
    """Correct gradients and mean errors by what was found; the state after this row."""
    plain, curved = predicted
    if moved_sq > SMALLEST_MOVE_SQ:
        rate = GRADIENT_RATE / moved_sq
        missed, missed_sq = rate * (distance - plain), rate * (distance**2 - curved**2)
        for f in range(n_features):
            away = item(memory.position, f) - item(memory.before, f)
            put(memory.gradient, f, item(memory.gradient, f) + missed * away)
            g = n_features + f
            put(memory.gradient, g, item(memory.gradient, g) + missed_sq * away)
    errors = (
        state.errors[0] + ERROR_RATE * (abs(distance - plain) - state.errors[0]),
        state.errors[1] + ERROR_RATE * (abs(distance - curved) - state.errors[1]),
    )
    return State(distance, from_origin_sq, errors)


@step
def _next_row(views, n_features, k, most, state, memory):
    """Find the k-th distance of the row after one with a state; the row's own state."""
    plain, curved, moved_sq, from_origin_sq = _predict(memory, n_features, state)
    if moved_sq == 0.0:
        return state
    # A k-th distance changes by no more than its row moves.
    reach = math.sqrt(moved_sq)
    reach += ROUNDING * (reach + state.distance) + SMALLEST_REACH
    bounds = (max(state.distance - reach, 0.0), state.distance + reach)
    plain = min(max(plain, bounds[0]), bounds[1])
    curved = min(max(curved, bounds[0]), bounds[1])
    predicted, error = plain, state.errors[0]
    if state.errors[1] < error:
        predicted, error = curved, state.errors[1]
    width = (BRACKET_IN_ERRORS + BRACKET_A_FEATURE * n_features) * error if error > 0.0 else reach
    distance = _by_prediction(views, n_features, k, most, predicted, width, bounds, memory)
    return _correct(memory, n_features, state, (plain, curved), moved_sq, from_origin_sq, distance)


@step
def _search_ranks(views, n_features, k, most, start, stop, memory, found):
    """Find the k-th distances of the rows at ranks start:stop."""
    state = State(0.0, 0.0, (0.0, 0.0))
    for rank in range(start, stop):
        for f in range(n_features):
            at = (rank // LANES * n_features + f) * LANES + rank % LANES
            _place(memory, f, item(views.points, at), memory.period)
        if rank == start:
            state = State(_by_halving(views, n_features, k, most, memory), 0.0, (0.0, 0.0))
            for f in range(n_features):
                put(memory.origin, f, item(memory.position, f))
                put(memory.gradient, f, 0.0)
                put(memory.gradient, n_features + f, 0.0)
        else:
            state = _next_row(views, n_features, k, most, state, memory)
        put(found, rank, state.distance)
        for f in range(n_features):
            put(memory.before, f, item(memory.position, f))


@step
def _search_in(tree, period, k, most, ranks, counter, stack, lists, rows, found):
    """Search ranks, some at a time, until none is left to take; in memory for it."""
    views, n_features = views_of(tree), tree.lower.shape[1]
    start, stop, n_taken = ranks
    periods = None if period is None else flat(period)
    memory = SearchMemory(
        flat(stack), flat(lists[0]), flat(lists[1]), flat(lists[2]), flat(lists[3]),
        flat(rows[0]), flat(rows[1]), flat(rows[2]), flat(rows[3]), flat(rows[4]),
        periods,
    )  # fmt: skip
    first = start + fetch_add(flat(counter), n_taken)
    while first < stop:
        last = min(first + n_taken, stop)
        _search_ranks(views, n_features, k, most, first, last, memory, flat(found))
        first = start + fetch_add(flat(counter), n_taken)


@step
def _search_some(tree, period, k, most, ranks, counter, found):
    """Search ranks, some at a time, until none is left to take."""
    n_leaves, n_features, _ = tree.points.shape
    size = (n_leaves + 1) * LANES
    lists = empty_floats(size), empty_floats(size), empty_floats(size), empty_floats(size)
    rows = (
        empty_floats(n_features), empty_floats(n_features), empty_floats(n_features),
        empty_floats(n_features), empty_floats(2 * n_features),
    )  # fmt: skip
    stack = empty_integers(STACK_BLOCKS)
    _search_in(tree, period, k, most, ranks, counter, stack, lists, rows, found)


@parallel
def search_all(tree, period, k, most, ranks, counter, n_threads, found):
    """Search the ranks start:stop, ``n_taken`` at a time; ``ranks`` is these three.

    ``period`` is None where no column wraps, and 0 for a column that does not.
    """
    for _ in prange(n_threads):
        _search_some(tree, period, k, most, ranks, counter, found)
