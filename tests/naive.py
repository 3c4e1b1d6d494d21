"""Mean shift in plain NumPy: slow, short, and the definition of what the package computes.

Every public function of the package has its twin here, written to be read and not to be
fast: no tree, no batch, no thread, one trajectory at a time. A test is "twin and kernel
agree", and `test_naive.py` holds the twins themselves to scikit-learn.

The algorithm is the mean shift of [1]_, with a flat kernel unless said otherwise: a trajectory
moves to the mean of the closed ball around it until it rests (sections 2.1 and 2.2), and the
points of convergence that lie within a bandwidth of each other are one mode (section 4.1, "cluster
delineation"). Order, ties and stopping are those of scikit-learn 1.9.

References
----------
.. [1] D. Comaniciu and P. Meer, "Mean shift: a robust approach toward feature space
   analysis", IEEE Transactions on Pattern Analysis and Machine Intelligence, 24(5), 2002,
   pp. 603-619. :doi:`10.1109/34.1000236`
"""

import warnings
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

import numpy as np


class Fit(NamedTuple):
    """What `mean_shift` found: the fitted attributes of the estimator, by their short names."""

    centers: np.ndarray  # (n_modes, n_features), the dtype of the points
    labels: np.ndarray  # (n_samples,), -1 for an orphan
    n_iter: int
    support: np.ndarray  # (n_modes,), the weight of the ball each centre is the mean of
    history: np.ndarray  # (n_rounds,), structured
    bandwidth: float


HISTORY = np.dtype(
    [
        ("round", np.int64),
        ("n_active", np.int64),
        ("mean_shift", np.float64),
        ("max_shift", np.float64),
        ("n_converged", np.int64),
    ]
)


def distances_sq(points, position):
    """Squared distance of each point to the position, summed column by column.

    The order of the sum is part of the definition: a point on the sphere must fall on the
    same side for everybody who sums in this order.
    """
    total_sq = np.zeros(len(points))
    for column in (points - position).T:
        total_sq += column * column
    return total_sq


def shift(points, weights, position, bandwidth):
    """One mean shift: the weighted mean of the closed ball, and the weight in it.

    The flat kernel's case of [1]_ equation (17), the position plus its mean shift vector.
    An empty ball has no mean: the position stays and the weight is 0.
    """
    inside = distances_sq(points, position) <= bandwidth * bandwidth
    support = weights[inside].sum()
    if support == 0:
        return position, 0.0
    # A ball of radius 0 holds copies of its own centre. Their mean is that centre, which a
    # rounded sum over a rounded count may miss.
    if bandwidth == 0:
        return position, support
    return (weights[:, None] * points)[inside].sum(axis=0) / support, support


def flat_density(points, weights, places, bandwidth):
    """The hill that flat trajectories climb: [1]_ equation (12) for the shadow kernel, unscaled."""
    away_sq = np.array([distances_sq(points, place) for place in places]) / bandwidth**2
    return (weights * np.maximum(1 - away_sq, 0)).sum(axis=1)


def gaussian_density(points, weights, places, bandwidth):
    """The hill that Gaussian trajectories climb: what every row counts, summed."""
    away_sq = np.array([distances_sq(points, place) for place in places]) / bandwidth**2
    return (weights * np.exp(-0.5 * away_sq)).sum(axis=1)


def gaussian_shift(points, weights, position, bandwidth):
    """One mean shift with the Gaussian kernel: [1]_ equation (17) with a normal profile.

    Each point counts by exp(-d^2 / 2), d bandwidths away. Far from all points every such number
    would vanish; counted from the nearest point instead, none that matters does.

    Returns
    -------
    mean : (n_features,).
    density : the sum of the weights, so counted; it may vanish.
    """
    squares = distances_sq(points / bandwidth, position / bandwidth)
    nearest = squares.min()
    counts = weights * np.exp(-0.5 * (squares - nearest))
    return np.average(points, axis=0, weights=counts), counts.sum() * np.exp(-0.5 * nearest)


def slab_shift(points, weights, widths, position, bandwidth):
    """One mean shift among points that stand for rows spread through slabs across the sphere.

    A slab of width w whose middle is the point counts by the part of it in the ball. How far the
    sphere is from the point, (r^2 - d^2) / (r + d), is taken as (r^2 - d^2) / (2 r), which is the
    same where the part is neither 0 nor 1, to the first order. A slab of no width is a point, and
    the ball closed. Returns the mean and the weight, as `shift`.
    """
    to_position_sq = distances_sq(points, position)
    parts = (to_position_sq <= bandwidth * bandwidth).astype(float)
    wide = widths > 0
    depths = (bandwidth**2 - to_position_sq[wide]) / (2 * bandwidth)
    parts[wide] = np.clip(0.5 + depths / widths[wide], 0, 1)
    support = (weights * parts).sum()
    if support == 0:
        return position, 0.0
    return np.average(points, axis=0, weights=weights * parts), support


def gaussian_mean_shift(points, bandwidth, weights=None, tol=1e-5, max_iter=5000):
    """Modes and basin labels with the Gaussian kernel, from a plain climb of every row.

    A climb this patient leaves its ends close enough to the modes to merge them and be done: no
    polish. It has no shortcut to share with what it checks.

    Returns
    -------
    modes : (n_modes, n_features), densest first.
    labels : (n_samples,), the mode nearest to each row's end.
    """
    weights = np.ones(len(points)) if weights is None else weights
    ends, density = points.astype(float), np.zeros(len(points))
    live = np.arange(len(points))
    for _ in range(max_iter):
        moved = np.empty((len(live), points.shape[1]))
        for i, row in enumerate(live):
            moved[i], density[row] = gaussian_shift(points, weights, ends[row], bandwidth)
        lengths = np.linalg.norm((moved - ends[live]) / bandwidth, axis=1)
        ends[live] = moved
        live = live[lengths > tol]
        if live.size == 0:
            break
    modes, _ = merge_modes(ends / bandwidth, density, 1.0)
    return modes * bandwidth, nearest_labels(ends / bandwidth, modes, 1.0)


def trajectory(points, weights, start, bandwidth, tol=1e-3, max_iter=300):
    """One seed's story: the successive locations of [1]_ section 2.2, until they rest.

    Returns
    -------
    positions : (n_steps + 1, n_features), the start first.
    shifts : (n_steps,), the lengths of the moves.
    support : (n_steps,), the weights of the balls; one more entry, 0, when the last ball
        was empty.
    """
    positions, shifts, support = [start], [], []
    while len(shifts) <= max_iter:
        mean, weight = shift(points, weights, positions[-1], bandwidth)
        support.append(weight)
        if weight == 0:
            break
        shifts.append(np.linalg.norm(mean - positions[-1]))
        positions.append(mean)
        if shifts[-1] <= tol * bandwidth:
            break
    return np.array(positions), np.array(shifts), np.array(support)


def climb(points, weights, seeds, bandwidth, tol=1e-3, max_iter=300):
    """The story of each seed, its `trajectory`, one after the other."""
    return [trajectory(points, weights, seed, bandwidth, tol, max_iter) for seed in seeds]


def ends_of(stories):
    """Where each story ends, the weight of its last ball, and how many balls it took."""
    ends = np.array([positions[-1] for positions, _, _ in stories])
    support = np.array([weights[-1] for _, _, weights in stories])
    n_steps = np.array([len(weights) for _, _, weights in stories])
    return ends, support, n_steps


def history(stories, bandwidth, tol=1e-3):
    """The training trace: the same stories told round by round, all of them in step.

    A round counts the trajectories that looked at a ball in it, and those that rest by its
    end: their last move was at most `tol * bandwidth`, or their ball was empty, and that is
    a move of 0.
    """
    moves = [np.append(shifts, [0.0] * int(support[-1] == 0)) for _, shifts, support in stories]
    rows, n_converged = [], 0
    for i in range(max(map(len, moves))):
        lengths = np.array([shifts[i] for shifts in moves if len(shifts) > i])
        n_converged += np.count_nonzero(lengths <= tol * bandwidth)
        rows.append((i + 1, len(lengths), lengths.mean(), lengths.max(), n_converged))
    return np.array(rows, dtype=HISTORY)


def root_of(links, seed):
    """The root of a seed in a forest of links."""
    return seed if links[seed] == seed else root_of(links, links[seed])


def coalesced(points, weights, seeds, bandwidth, coalesce, tol=1e-3, max_iter=300):
    """Seeds in step; one that comes into a cell that another came into is linked to that one.

    To its root, and never to itself: a trajectory may come back into a cell whose first is linked
    by now. In a round the order is that of the seeds.

    Returns
    -------
    roots : (n_seeds,), the root of each seed's links; itself where there are none.
    ends, support : of each seed's root.
    rounds : list of (n_active, n_converged), round by round.
    """
    links = list(range(len(seeds)))
    first_in, resting, rounds = {}, set(), []

    def go_on(live, positions):
        for seed in live:
            cell = tuple(np.round(positions[seed] / (coalesce * bandwidth)))
            links[seed] = root_of(links, first_in.setdefault(cell, seed))
        return [seed for seed in live if links[seed] == seed]

    positions, support = np.array(seeds, dtype=float), np.zeros(len(seeds))
    live = go_on(range(len(seeds)), positions)
    while live and len(rounds) <= max_iter:
        n_active = len(live)
        for seed in live:
            mean, support[seed] = shift(points, weights, positions[seed], bandwidth)
            if np.linalg.norm(mean - positions[seed]) <= tol * bandwidth:
                resting.add(seed)
            positions[seed] = mean
        if len(rounds) < max_iter:
            live = go_on([seed for seed in live if seed not in resting], positions)
        rounds.append((n_active, sum(root_of(links, s) in resting for s in range(len(seeds)))))
    roots = np.array([root_of(links, seed) for seed in range(len(seeds))])
    return roots, positions[roots], support[roots], rounds


def bin_seeds(points, bin_size, min_bin_freq=1, weights=None):
    """The occupied cells' centres, in the order in which the rows first enter them.

    Rounds half to even, as NumPy does. Numbers up to 2^24 pass through float32 on the way, as
    scikit-learn's all do; those beyond stay float64, and beyond 2^53, where floats are farther
    apart than the cells, the cell is at its row. A row of weight w is w rows, and with weights
    other than 1 the rows are never too few.
    """
    if bin_size == 0:
        return points
    weights = np.ones(len(points)) if weights is None else weights
    numbers = np.round(points / bin_size).astype(np.float64)
    far = np.abs(numbers) > 2**24
    numbers[far] = np.round(points.astype(np.float64) / np.float64(bin_size))[far]
    frequency, first = Counter(), {}
    for point, number, weight in zip(points, numbers, weights, strict=True):
        frequency[tuple(number)] += weight
        first.setdefault(tuple(number), point)
    # sums of fractions may come out a little short
    cells = [
        cell
        for cell, count in frequency.items()
        if min_bin_freq == 1 or count >= min_bin_freq * (1 - 1e-10)
    ]
    if len(cells) == len(points) and (weights == 1).all():
        warnings.warn(
            f"Binning data failed with provided bin_size={bin_size:f}, using data points as seeds.",
            stacklevel=2,
        )
        return points
    cells = np.array(cells).reshape(-1, points.shape[1])
    centers = cells.astype(np.float32) * bin_size
    if not (np.abs(cells) > 2**24).any():
        return centers
    firsts = np.array([first[tuple(cell)] for cell in cells])
    exact = np.where(np.abs(cells) > 2**53, firsts, cells * np.float64(bin_size))
    return np.where(np.abs(cells) > 2**24, exact, centers)


def condense(points, cell_size, weights=None, n_parts=1):
    """Each occupied cell's weighted mean and weight, and the cell of each row.

    A cell of no weight keeps its first row. With ``n_parts`` the cells are so many equal parts of
    each side of those: the bin, rounded half to even, and then the part of it.
    """
    weights = np.ones(len(points)) if weights is None else weights
    members = {}
    bins = np.round(points / cell_size)
    parts = np.floor((points / cell_size - bins + 0.5) * n_parts).clip(0, n_parts - 1)
    for row, cell in enumerate(bins * n_parts + parts):
        members.setdefault(tuple(cell), []).append(row)
    means, totals, inverse = [], [], np.empty(len(points), dtype=np.int64)
    for number, rows in enumerate(members.values()):
        total = weights[rows].sum()
        mean = np.average(points[rows], axis=0, weights=weights[rows]) if total else points[rows[0]]
        means.append(mean)
        totals.append(total)
        inverse[rows] = number
    return np.array(means), np.array(totals), inverse


def cell_variances(points, inverse, sizes, weights=None):
    """How much the rows of each cell vary, in squares of ``sizes``: the mean over the features."""
    weights = np.ones(len(points)) if weights is None else weights
    variances = np.zeros(inverse.max() + 1)
    for cell in range(len(variances)):
        rows, counts = points[inverse == cell] / sizes, weights[inverse == cell]
        if counts.sum() > 0:
            mean = np.average(rows, axis=0, weights=counts)
            variances[cell] = np.average((rows - mean) ** 2, axis=0, weights=counts).mean()
    return variances


def beside_others(numbers, labels):
    """Whether each cell has a neighbour, one number off along one feature, of another label."""
    label_of = {tuple(number): label for number, label in zip(numbers, labels, strict=True)}
    steps = np.vstack([np.eye(numbers.shape[1]), -np.eye(numbers.shape[1])])
    return np.array(
        [
            any(label_of.get(tuple(number + step), label) != label for step in steps)
            for number, label in zip(numbers, labels, strict=True)
        ]
    )


def merge_modes(ends, support, bandwidth):
    """Group the points of convergence ([1]_ section 4.1, step 2): which ends are modes.

    Equal ends are one, with the support of the last of them. The heaviest end, then the
    largest by coordinates, is a mode and removes every other end within the bandwidth; so
    does the heaviest of the rest, until none is left.

    Returns
    -------
    modes : (n_modes, n_features), heaviest first.
    support : (n_modes,).
    """
    weight_at = {
        tuple(end): weight for end, weight in zip(ends, support, strict=True) if weight > 0
    }
    waiting = sorted(((weight, end) for end, weight in weight_at.items()), reverse=True)
    modes = []
    while waiting:
        weight, mode = waiting.pop(0)
        modes.append((weight, mode))
        others = np.array([end for _, end in waiting], dtype=float).reshape(-1, len(mode))
        far = distances_sq(others, np.array(mode)) > bandwidth * bandwidth
        waiting = [entry for entry, keep in zip(waiting, far, strict=True) if keep]
    return np.array([mode for _, mode in modes]), np.array([weight for weight, _ in modes])


def supported(support, min_support):
    """How many modes, heaviest first, have so much support, or below 1 that share of the first's.

    Dropped are the others, before rows are labelled; a basin of theirs is that of the nearest mode
    left, or of none.
    """
    least = min_support if min_support >= 1 else min_support * support[0]
    return sum(weight >= least for weight in support)


def neighbours(points, k, reach):
    """Pairs of distinct rows of which one is among the k nearest of the other, and within reach."""
    _, firsts = np.unique(points, axis=0, return_index=True)
    pairs = set()
    for i in firsts:
        away_sq = distances_sq(points[firsts], points[i])
        others = np.sort(away_sq[firsts != i])
        if len(others):
            most = min(others[:k][-1] if len(others) >= k else np.inf, reach * reach)
            near = firsts[(away_sq <= most) & (firsts != i)]
            pairs |= {(min(i, j), max(i, j)) for j in near}
    return pairs


def saddles(points, labels, density, k, reach):
    """For each two basins that touch: the highest of the lower densities of two neighbours."""
    found = {}
    for i, j in neighbours(points, k, reach):
        if labels[i] != labels[j] and labels[i] >= 0 and labels[j] >= 0:
            pair = min(labels[i], labels[j]), max(labels[i], labels[j])
            found[pair] = max(found.get(pair, 0.0), min(density[i], density[j]))
    return found


def prominences(density, found):
    """1 - saddle / density of each mode, over the best way to a denser one; 1 where there is none.

    The best ways are those of a matrix whose entries only grow: no tree, no order of merging.
    """
    n_modes = len(density)
    ways = np.zeros((n_modes, n_modes))
    for (i, j), saddle in found.items():
        ways[i, j] = ways[j, i] = saddle
    for via in range(n_modes):
        ways = np.maximum(ways, np.minimum(ways[:, via : via + 1], ways[via]))
    highest = np.zeros(n_modes)
    for i in range(n_modes):
        denser = [j for j in range(n_modes) if (density[j], -j) > (density[i], -i)]
        highest[i] = max((ways[i, j] for j in denser), default=0.0)
    return np.maximum(1 - highest / density, 0)


def merge_by_prominence(density, found, min_prominence):
    """The head of each mode's cluster: basins join from the highest saddle down, as in ToMATo."""
    heads = list(range(len(density)))
    for (i, j), saddle in sorted(found.items(), key=lambda entry: (-entry[1], entry[0])):
        i, j = heads[i], heads[j]
        if (density[j], -j) > (density[i], -i):
            i, j = j, i
        if i != j and max(1 - saddle / density[j], 0) < min_prominence:
            heads = [i if head == j else head for head in heads]
    return np.array(heads)


def is_merged_by_gap(density, prominence, kernel, n_features):
    """Which modes "auto" merges: of less contrast than the middle of the widest gap."""
    share = 2 ** (-n_features / 2) if kernel == "gaussian" else 4 / (n_features + 4)
    saddle = density * (1 - prominence)
    error = np.sqrt(share * (density + saddle))
    contrast = prominence * (density - saddle) / error
    values = sorted([0.25, 4.5, *(min(max(c, 0.25), 4.5) for c in contrast[prominence < 1])])
    gaps = [high / low for low, high in pairwise(values)]
    widest = int(np.argmax(gaps))
    return (prominence < 1) & (contrast**2 <= values[widest] * values[widest + 1])


def nearest_labels(points, modes, bandwidth, cluster_all=True):
    """Index of the nearest mode, the first of equals; -1 beyond the bandwidth if so asked.

    The shortcut of scikit-learn for step 3 of [1]_ section 4.1, which would assign a point
    to the mode that its own trajectory reaches.
    """
    to_mode_sq = np.array([distances_sq(points, mode) for mode in modes])
    labels = to_mode_sq.argmin(axis=0)
    if not cluster_all:
        labels[np.sqrt(to_mode_sq.min(axis=0)) > bandwidth] = -1
    return labels


def estimate_bandwidth(points, *, quantile=0.3, weights=None):
    """Mean radius of the balls that hold `quantile` of the weight, their own centre included.

    With unit weights: the mean distance to the k-th nearest row, k = int(n * quantile), at
    least 1, each row being its own nearest. A row of weight w is w rows; where that makes k
    less than 1, k is not rounded.
    """
    weights = np.ones(len(points)) if weights is None else weights
    share = weights.sum() * quantile
    k = int(share) or share or weights.min()
    radii = np.empty(len(points))
    for i, point in enumerate(points):
        to_point_sq = distances_sq(points, point)
        # stable, so that the row itself comes before what lies at no distance after it
        order = np.argsort(to_point_sq, kind="stable")
        # sums of fractions may come out a little short
        reached = np.searchsorted(weights[order].cumsum(), k * (1 - 1e-10))
        radii[i] = np.sqrt(to_point_sq[order[min(reached, len(points) - 1)]])
    return np.average(radii, weights=weights)


def rule_of_thumb(points, rule, weights=None):
    """The spread of the rows, all columns together, times a power of the number of rows."""
    weights = np.ones(len(points)) if weights is None else weights
    n_features = points.shape[1]
    center = np.average(points, axis=0, weights=weights)
    spread = np.sqrt(np.average((points - center) ** 2, axis=0, weights=weights).mean())
    n_samples = weights.sum()
    if rule == "silverman":
        n_samples *= (n_features + 2) / 4
    return spread * n_samples ** (-1 / (n_features + 4))


def mean_shift(
    X,
    *,
    bandwidth=None,
    seeds=None,
    bin_seeding=False,
    min_bin_freq=1,
    cluster_all=True,
    tol=1e-3,
    max_iter=300,
    weights=None,
    assign="nearest",
    min_support=0,
):
    """The whole of mean shift clustering with a flat kernel, a stage a line."""
    all_points = np.asarray(X).astype(float)
    weights = np.ones(len(all_points)) if weights is None else weights
    X, weights = np.asarray(X)[weights > 0], weights[weights > 0]
    points = X.astype(float)
    if bandwidth is None:
        bandwidth = estimate_bandwidth(points, weights=weights)
    if seeds is None:
        seeds = bin_seeds(X, bandwidth, min_bin_freq, weights) if bin_seeding else X
    seeds = np.asarray(seeds, dtype=float)

    stories = climb(points, weights, seeds, bandwidth, tol, max_iter)
    if bin_seeding and len(seeds) and not any(support.any() for _, _, support in stories):
        # all rows are out of the reach of all centres of bins: they are their own seeds then
        stories = climb(points, weights, points, bandwidth, tol, max_iter)
    ends, support, n_steps = ends_of(stories)
    dtype = X.dtype if X.dtype.kind == "f" else np.float64
    modes, mode_support = merge_modes(ends.astype(dtype), support, bandwidth)
    if len(modes) == 0:
        raise ValueError(f"No point was within bandwidth={bandwidth:f} of any seed.")
    if assign == "basin":
        stories_of_all = climb(points, weights, all_points, bandwidth, tol, max_iter)
        labelled, _, _ = ends_of(stories_of_all)
    else:
        labelled = all_points
    n_kept = supported(mode_support, min_support)
    if assign == "basin":
        own = nearest_labels(labelled, modes, bandwidth, cluster_all)
        of_modes = nearest_labels(modes, modes[:n_kept], bandwidth)
        if not cluster_all:
            of_modes[n_kept:] = -1
        labels = np.where(own < 0, -1, of_modes[own])
    else:
        labels = nearest_labels(labelled, modes[:n_kept], bandwidth, cluster_all)
    return Fit(
        centers=modes[:n_kept],
        labels=labels,
        n_iter=n_steps.max() - 1,
        support=mode_support[:n_kept],
        history=history(stories, bandwidth, tol),
        bandwidth=bandwidth,
    )


def steps_taken(support, moves, rest):
    """How many steps each row tells: up to the first that is at most ``rest`` or has no support."""
    is_last = (moves <= rest) | (support == 0.0)
    return np.where(is_last.any(axis=1), is_last.argmax(axis=1) + 1, moves.shape[1])
