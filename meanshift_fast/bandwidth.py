"""The bandwidth: how far, on the average, a row's k-th neighbour is.

    x --------|------:--:------|-------->  distance
       inside   shell   ^         outside
       counted  measured  k-th    passed over

Sixteen neighbouring rows, a leaf of the moment tree, are searched together. Their k-th distances
differ from that of the middle of their box by no more than they are away from it (the triangle
inequality), which leaves a thin shell: nodes inside it are counted by their weight, and only the
leaves that it cuts are measured. The middle's own k-th distance was found in the same way, as one
of sixteen in the block above, and so on up to the root.

For the result the shell is but a guess. Bounds of boxes are computed by the expression that
computes distances, and rounding is monotone, so the k-th distance is exact whenever it lies in
the shell; where it does not, everything is measured.
"""

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from meanshift_fast import tree
from meanshift_fast.checks import checked
from meanshift_fast.compiled import parallel, step
from meanshift_fast.lanes import LANES, bits, full, load, lowest, store, total, where
from meanshift_fast.pieces import pieces
from meanshift_fast.threads import allowed, borrowed_threads
from meanshift_fast.units import numeric_table, readonly_table
from meanshift_fast.weights import UNWEIGHTED, checked_weights, without_weightless

QUAD = 4  # rows measured at once: 64 columns take half the time that one at a time takes
STACK = 256  # blocks waiting in a depth-first walk: at most 15 a level and one
SLACK = 1e-9  # relative, around a shell: far more than rounding takes from it
TINY = 1e-300  # lets a shell of no width hold the distance 0
FEW = 48  # weight of the distances that are selected from as they are
SMOOTH = 7  # passes that interpolate. Blobs need no more, and giving up sooner cost them 30 %
PASSES = 20  # by then only equal distances are left
TRIES = 64  # looks for a distance inside the bracket, where interpolation fails
FIRST = 1 << 31  # values that the first piece of a search measures at most: half a second


# The shell about a group of sixteen positions.


@step
def _reach(lower, upper, owner, positions, first, n_features, n_rows, scratch):
    """Find how far a group's positions are, at most, from the middle of the group's box."""
    block, lane = owner
    sum_sq = full(0.0)
    for f in range(n_features):
        i = block * n_features + f
        gap = load(positions, first + f) - (0.5 * lower[i, lane] + 0.5 * upper[i, lane])
        sum_sq = sum_sq + gap * gap
    store(scratch, 0, sum_sq)
    reach_sq = 0.0
    for j in range(n_rows):
        reach_sq = max(reach_sq, scratch[0, j])
    return math.sqrt(reach_sq)


@step
def _candidates(tree_arrays, owner, inner_sq, outer_sq, stack, leaves, weights):
    """Weigh what is inside the shell, list the leaves in it and their rows' weights.

    A node is inside where each of its rows is nearer than ``inner_sq`` to all of the group's box,
    outside where none is as near as ``outer_sq`` to any of it.
    """
    _, point_weights, lower, upper, weight, first_child, n_upper = tree_arrays
    n_features = lower.shape[0] // weight.shape[0]
    own_block, own_lane = owner
    weighted = point_weights.shape[0] > 1
    zero = full(0.0)
    counted = zero
    n_leaves = 0
    stack[0] = 0
    top = 1
    while top > 0:
        top -= 1
        block = stack[top]
        near_sq = zero
        far_sq = zero
        extent = zero
        for f in range(n_features):
            own = own_block * n_features + f
            low, high = load(lower, block * n_features + f), load(upper, block * n_features + f)
            below, above = low - upper[own, own_lane], lower[own, own_lane] - high
            gap = where(below > above, below, above)
            gap = where(gap > 0.0, gap, zero)
            span = where(below > above, above, below)
            near_sq = near_sq + gap * gap
            far_sq = far_sq + span * span
            extent = extent + (high - low)
        inside = far_sq < inner_sq
        counted = counted + where(inside, load(weight, block), zero)
        cut = bits(near_sq < outer_sq) & ~bits(inside)
        flat = bits(extent <= 0.0)
        while cut:
            lane = lowest(cut)
            cut &= cut - 1
            child = first_child[block] + lane
            if block < n_upper and not (flat >> lane) & 1:
                stack[top] = child
                top += 1
                continue
            if block < n_upper:
                # Equal rows by the hundred: the first of them stands for all.
                store(weights, n_leaves, zero)
                weights[n_leaves, 0] = weight[block, lane]
                parent = block
                while parent < n_upper:
                    parent, child = child, first_child[child]
            else:
                store(weights, n_leaves, load(point_weights, child if weighted else 0))
            leaves[n_leaves] = child
            n_leaves += 1
    return total(counted), n_leaves


@step
def _measure(points, leaves, n_leaves, positions, first, n_features, j, last, distances):
    """Squared distances of a group's rows j to j + 3, none beyond ``last``, to the leaves."""
    for i in range(n_leaves):
        a_sq = b_sq = c_sq = d_sq = full(0.0)
        for f in range(n_features):
            values = load(points, leaves[i] * n_features + f)
            a = values - positions[first + f, j]
            b = values - positions[first + f, min(j + 1, last)]
            c = values - positions[first + f, min(j + 2, last)]
            d = values - positions[first + f, min(j + 3, last)]
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
        value = distances[first + place // LANES, place % LANES]
        if low < value < high:
            return value
    return 0.5 * low + 0.5 * high


@step
def _select(values, weights, stop, target):
    """Find the least of the first ``stop`` values up to which weights sum to the target."""
    start = 0
    while stop - start > 1:
        a, b, c = values[start], values[(start + stop) // 2], values[stop - 1]
        pivot = max(min(a, b), min(max(a, b), c))
        less, more = start, stop
        weight_less = weight_equal = 0.0
        i = start
        while i < more:
            value, weight = values[i], weights[i]
            if value < pivot:
                values[i], weights[i] = values[less], weights[less]
                values[less], weights[less] = value, weight
                weight_less += weight
                less += 1
                i += 1
            elif value > pivot:
                more -= 1
                values[i], weights[i] = values[more], weights[more]
                values[more], weights[more] = value, weight
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
    return values[start]


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
            kept[n_kept] = distances[first + i, lane]
            kept_weights[n_kept] = weights[i, lane]
            n_kept += 1
    return _select(kept, kept_weights, n_kept, target - below)


# All groups.


@step
def _search_part(
    tree_arrays, k, most_sq, first_block, first_group, middle, positions, part, n_parts, found
):
    points, _, lower, upper, weight = tree_arrays[:5]
    n_features = lower.shape[0] // weight.shape[0]
    n_leaves = points.shape[0] // n_features
    stack = np.empty(STACK, dtype=np.int64)
    leaves = np.empty(n_leaves, dtype=np.int64)
    weights = np.empty((n_leaves, LANES))
    distances = np.empty((QUAD * n_leaves, LANES))
    kept = np.empty(n_leaves * LANES)
    kept_weights = np.empty(n_leaves * LANES)
    for group in range(part, middle.shape[0], n_parts):
        first = group * n_features
        rank = group * LANES
        n_rows = min(LANES, found.shape[0] - rank)
        place = first_group + group
        owner = (first_block + place // LANES, place % LANES)
        shell = (0.0, most_sq, most_sq)
        radius = middle[group]
        if radius >= 0.0:
            reach = _reach(lower, upper, owner, positions, first, n_features, n_rows, distances)
            if reach == 0.0:
                for j in range(n_rows):
                    found[rank + j] = radius
                continue
            slack = SLACK * (radius + reach)
            inner = max(radius - reach - slack, 0.0)
            outer = radius + reach + slack
            shell = (inner * inner, min(outer * outer + TINY, most_sq), most_sq)
        for _ in range(2):
            counted, n_cut = _candidates(
                tree_arrays, owner, shell[0], shell[1], stack, leaves, weights
            )
            missed = False
            for j in range(n_rows):
                if j % QUAD == 0:
                    last = n_rows - 1
                    _measure(
                        points, leaves, n_cut, positions, first, n_features, j, last, distances
                    )
                offset, target = j % QUAD * n_cut, k - counted
                kth_sq = _kth_sq(
                    distances, offset, weights, n_cut, target, shell, kept, kept_weights
                )
                missed |= kth_sq < 0.0
                found[rank + j] = math.sqrt(max(kth_sq, 0.0))
            if not missed:
                break
            shell = (0.0, most_sq, most_sq)


@parallel
def _search(tree_arrays, k, most_sq, first_block, first_group, middle, positions, n_parts, found):
    for part in prange(n_parts):
        at = np.int64(part)  # prange counts unsigned
        _search_part(
            tree_arrays, k, most_sq, first_block, first_group, middle, positions, at, n_parts, found
        )


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
    first_piece = FIRST // (LANES * rows.points.size)

    def search(
        n_found: int, first_block: int, middle: NDArray[np.float64], positions: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        found = np.empty(n_found)
        for start, stop in pieces(len(middle), first=first_piece):
            _search(
                tree_arrays,
                k,
                most_sq,
                first_block,
                start,
                middle[start:stop],
                positions[start * n_features : stop * n_features],
                allowed(),
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
    Time about n_samples^(1.5) in two dimensions, never more than that of measuring all pairs;
    memory besides the tree, at most 60 bytes a row and thread.
    """
    weight = float(weights.sum()) if weights.size else len(points)
    k = float(max(int(weight * quantile), 1))
    if weights.size:
        if weight * quantile < 1.0:  # as of weights that sum to 1, which are no numbers of rows
            k = weight * quantile or float(weights.min())
        # Sums of fractions come out a little short of a whole number, depending on their order.
        k *= 1.0 - 1e-10
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
    rows = tree.build(points, weights)
    radii = _kth_distances(rows, k)
    if weights.size:
        radii *= weights[rows.order]
    with np.errstate(over="ignore"):
        mean = np.ldexp(radii.sum() / weight, exponent)
    if not np.isfinite(mean):
        raise ValueError(
            f"X must leave room for distances, got columns as wide as {half_span.max():g} times 2; "
            "divide X by that, or give a bandwidth"
        )
    return np.float64(mean)


def rule_of_thumb(
    points: NDArray[np.float64], rule: str, *, weights: NDArray[np.float64] = UNWEIGHTED
) -> np.float64:
    """Scale the spread of the rows by a power of their number.

    Parameters
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows; finite, at least one.
    rule : {"scott", "silverman"}
        Which power.
    weights : read-only float64 array of shape (n_samples,) or (0,), default=empty
        The rows' weights; empty where all are 1. A row of weight w is w rows.

    Returns
    -------
    np.float64
        In the unit of the columns. The spread is the root of the mean of the columns' variances.

    Notes
    -----
    Scott [1]_ equation (6.42) takes n^(-1 / (d + 4)) standard deviations for n rows in d columns;
    Silverman [2]_ equation (4.14) takes (4 / (d + 2))^(1 / (d + 4)) times as many.

    References
    ----------
    .. [1] D. W. Scott, "Multivariate Density Estimation", Wiley, 1992,
       :doi:`10.1002/9780470316849`.
    .. [2] B. W. Silverman, "Density Estimation for Statistics and Data Analysis", Chapman and
       Hall, 1986.
    """
    n_features = points.shape[1]
    each = weights if weights.size else np.ones(len(points))
    # A power of two keeps the squares of extreme data finite, and rounds nothing.
    unit = np.ldexp(1.0, min(max(int(np.frexp(np.abs(points).max())[1]), -1000), 1000))
    # From the first row, so that rows that are all equal have a spread of exactly 0.
    offsets = points / unit
    offsets -= offsets[0].copy()
    total = each.sum()
    share = each / total
    offsets -= share @ offsets
    spread = np.sqrt((share @ (offsets * offsets)).mean()) * unit
    factor = total ** (-1.0 / (n_features + 4))
    if rule == "silverman":
        factor *= (4.0 / (n_features + 2)) ** (1.0 / (n_features + 4))
    return np.float64(spread * factor)


@checked(
    {
        "X": ["array-like"],
        "quantile": [Interval(Real, 0, 1, closed="both")],
        "n_samples": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "sample_weight": ["array-like", None],
        "method": [StrOptions({"quantile", "scott", "silverman"})],
    },
)
def estimate_bandwidth(
    X: ArrayLike,
    *,
    quantile: float = 0.3,
    n_samples: int | None = None,
    random_state: Any = 0,
    n_jobs: int | None = None,
    sample_weight: ArrayLike | None = None,
    method: str = "quantile",
) -> np.float64:
    """Estimate a bandwidth for mean shift: the mean distance to the k-th nearest row.

    The figure of :func:`sklearn.cluster.estimate_bandwidth`, found without its quadratic time; or
    a rule of thumb from the spread of the rows, in a pass over them.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The rows.
    quantile : float, default=0.3
        Between 0 and 1. The ball about each row grows until it holds this part of the rows:
        ``k = int(n_samples * quantile)`` of them, at least 1, the row itself counted. 0.5 is the
        mean of the median distances.
    n_samples : int, default=None
        Take so many rows, drawn at random without replacement, for all. None: every row.
    random_state : int, RandomState instance or None, default=0
        What draws the ``n_samples`` rows.
    n_jobs : int, default=None
        Threads: None for all that Numba may use, a number for so many, -1 for all. The result
        does not depend on it.
    sample_weight : array-like of shape (n_samples,), default=None
        The rows' weights: a row of weight w is w rows. None counts each once. Where their sum is
        so small that ``k`` comes to 0, they are shares, and ``k`` is not rounded. ``n_samples``
        rows are drawn from those that have any.
    method : {"quantile", "scott", "silverman"}, default="quantile"
        "quantile": the mean distance to the k-th nearest row. "scott" and "silverman": the spread
        of the rows times ``n ** (-1 / (d + 4))`` for n rows in d columns, by Silverman's rule
        times ``(4 / (d + 2)) ** (1 / (d + 4))``; ``quantile`` is not used then.

    Returns
    -------
    bandwidth : np.float64
        In the unit of the columns of X. 0 where each row has enough equals; by the rules of
        thumb, where all rows are equal.

    Raises
    ------
    ValueError
        Where X is not a finite table, ``quantile`` is outside [0, 1], ``n_samples`` is less than
        1, ``n_jobs`` is 0, ``method`` is none of those, or weights are negative, not finite, all
        0 or not one for each row.

    See Also
    --------
    MeanShift : Uses this estimate, at its defaults, where it is given no bandwidth.

    Notes
    -----
    Time: about n^(1.5) for n rows in two dimensions, as a row measures only what its k-th
    neighbour's sphere cuts; in tens of dimensions n^2, by vector instructions. Memory: twice the
    table's, and up to 60 bytes a row and thread.

    A fixed share of the rows is a wide ball, wider than most clusters where there are many: try
    a smaller ``quantile`` if few clusters come out. [1]_ section 4 discusses the choice.

    The rules of thumb are for the density of one normal cloud, and for a Gaussian kernel's
    standard deviation [2]_. The spread is the root of the mean of the columns' variances: columns
    of different units need a bandwidth each.

    References
    ----------
    .. [1] D. Comaniciu and P. Meer, "Mean shift: a robust approach toward feature space
       analysis", IEEE Transactions on Pattern Analysis and Machine Intelligence 24 (5), 2002,
       pp. 603-619, :doi:`10.1109/34.1000236`, section 4.
    .. [2] D. W. Scott, "Multivariate Density Estimation", Wiley, 1992,
       :doi:`10.1002/9780470316849`, section 6.3.

    Examples
    --------
    >>> import numpy as np
    >>> from meanshift_fast import estimate_bandwidth
    >>> X = np.array([[1, 1], [2, 1], [1, 0], [4, 7], [3, 5], [3, 6]])
    >>> round(float(estimate_bandwidth(X, quantile=0.5)), 6)
    1.619129
    """
    table = numeric_table(check_array(X))
    table, weights = without_weightless(table, checked_weights(sample_weight, len(table)))
    random_state = check_random_state(random_state)
    if n_samples is not None:
        drawn = random_state.permutation(len(table))[:n_samples]
        table = table[drawn]
        if weights.size:
            weights = weights[drawn]
            weights.flags.writeable = False
    points = readonly_table(table)
    with borrowed_threads(n_jobs):
        if method != "quantile":
            return rule_of_thumb(points, method, weights=weights)
        return mean_kth_distance(points, quantile=quantile, weights=weights)
