"""Mean shift on the sphere and on columns that wrap, in plain NumPy: slow, short, the definition.

A position on the sphere is a unit vector; a distance is the angle between two, by an arctangent. A
shift leads to the direction of the weighted sum of the rows in the closed cap, or with the Gaussian
kernel of all rows, by exp(-chord^2 / (2 bandwidth^2)); a sum of length 0 leads nowhere. On columns
that wrap, distances and means go the short way round; of the Gaussian all images of a row count.
All else is as in `naive`.
"""

from functools import partial

import numpy as np

import naive

EVEN = 1e-12  # a mean of unit vectors so short has no direction


def vectors(places):
    """Unit vectors of latitudes and longitudes in radians."""
    latitude, longitude = np.asarray(places, dtype=float).T
    x, y = np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude)
    return np.column_stack([x, y, np.sin(latitude)])


def places(positions):
    """Latitudes and longitudes of positions; at a pole the longitude is 0."""
    x, y, z = positions.T
    across = np.hypot(x, y)
    longitude = np.where(across < 1e-15, 0.0, np.arctan2(y, x))
    return np.column_stack([np.arctan2(z, across), longitude])


def directions(rows):
    """Rows at length 1."""
    return rows / np.linalg.norm(rows, axis=1)[:, None]


def angles(points, position):
    """The angle between each unit vector and another."""
    apart = np.linalg.norm(points - position, axis=1)
    together = np.linalg.norm(points + position, axis=1)
    return 2.0 * np.arctan2(apart, together)


def _direction(total, weight, position):
    length = np.linalg.norm(total)
    return position if length <= EVEN * weight else total / length


def cap_shift(points, weights, position, angle):
    """One shift with the flat kernel, and the weight in the cap."""
    inside = angles(points, position) <= angle * (1.0 + 1e-12)
    support = weights[inside].sum()
    if support == 0:
        return position, 0.0
    return _direction((weights[:, None] * points)[inside].sum(axis=0), support, position), support


def fisher_shift(points, weights, position, angle):
    """One shift with the Gaussian kernel, and the weight of all rows as it counts them."""
    squares = ((points - position) ** 2).sum(axis=1) / angle**2
    nearest = squares.min()
    counts = weights * np.exp(-0.5 * (squares - nearest))
    total = (counts[:, None] * points).sum(axis=0)
    moved = _direction(total, counts.sum(), position)
    return moved, counts.sum() * np.exp(-0.5 * nearest)


def away(points, position, period):
    """How far points are along each column, the short way round."""
    apart = points - position
    for column in np.flatnonzero(np.isfinite(period)):
        half = period[column] / 2
        apart[:, column] = (apart[:, column] + half) % period[column] - half
    return apart


def torus_shift(points, weights, position, bandwidth, *, period):
    """One shift with the flat kernel on columns that wrap."""
    apart = away(points, position, period)
    inside = (apart**2).sum(axis=1) <= bandwidth**2 * (1.0 + 1e-12)
    support = weights[inside].sum()
    if support == 0:
        return position, 0.0
    return position + (weights[:, None] * apart)[inside].sum(axis=0) / support, support


def torus_gaussian_shift(points, weights, position, bandwidth, *, period):
    """One shift with the Gaussian kernel: every image of every row counts.

    The sum over the images is a product of sums, one along each column.
    """
    apart = away(points, position, period)
    nearest = (apart**2).sum(axis=1) / bandwidth**2
    counts = weights * np.exp(-0.5 * (nearest - nearest.min()))
    means = apart.copy()
    for column in np.flatnonzero(np.isfinite(period)):
        images = apart[:, column, None] + np.arange(-12, 13) * period[column]
        share = np.exp(-0.5 * (images**2 - apart[:, column, None] ** 2) / bandwidth**2)
        counts = counts * share.sum(axis=1)
        means[:, column] = (share * images).sum(axis=1) / share.sum(axis=1)
    moved = position + (counts[:, None] * means).sum(axis=0) / counts.sum()
    return moved, counts.sum() * np.exp(-0.5 * nearest.min())


def ascend(shift, distance, points, weights, seeds, rest, max_iter):
    """Where each seed ends, the weight it was last computed from, and how many shifts it took."""
    ends, support, steps = [], [], []
    for seed in seeds:
        position = seed
        n_steps = 0
        while n_steps <= max_iter:
            n_steps += 1
            moved, weight = shift(points, weights, position)
            length = distance(moved[None], position)[0]
            position = moved
            if length <= rest or weight == 0:
                break
        ends.append(position)
        support.append(weight)
        steps.append(n_steps)
    return np.array(ends), np.array(support), np.array(steps)


def merge(ends, support, distance, radius):
    """As `naive.merge_modes`, by another distance."""
    weight_at = {tuple(e): w for e, w in zip(ends, support, strict=True) if w > 0}
    waiting = sorted(((weight, end) for end, weight in weight_at.items()), reverse=True)
    modes = []
    while waiting:
        weight, mode = waiting.pop(0)
        modes.append((weight, mode))
        waiting = [
            entry for entry in waiting if distance(np.array([entry[1]]), np.array(mode))[0] > radius
        ]
    return np.array([mode for _, mode in modes]), np.array([weight for weight, _ in modes])


def nearest(points, modes, distance, radius, cluster_all):
    """The nearest mode of each row, by another distance."""
    lengths = np.array([distance(points, mode) for mode in modes])
    labels = lengths.argmin(axis=0)
    if not cluster_all:
        labels[lengths.min(axis=0) > radius] = -1
    return labels


def mean_shift(
    X,
    *,
    bandwidth,
    metric="haversine",
    period=None,
    kernel="flat",
    assign="nearest",
    bin_seeding=False,
    cluster_all=True,
    weights=None,
    tol=1e-3,
    max_iter=300,
):
    """The whole of mean shift with another metric: centres in the columns of X, labels, support."""
    X = np.asarray(X, dtype=float)
    weights = np.ones(len(X)) if weights is None else weights
    radius = side = bandwidth
    if metric == "haversine":
        every, leave = vectors(X), places
    elif metric == "cosine":
        every, leave = directions(X), lambda positions: positions
        radius = 2.0 * np.arcsin(np.sqrt(bandwidth / 2.0))
    if metric == "euclidean":
        period = np.array([np.inf if p is None else p for p in period])
        shifts = torus_shift, torus_gaussian_shift
        shift = partial(shifts[kernel == "gaussian"], bandwidth=bandwidth, period=period)
        every = away(X, np.zeros(X.shape[1]), period) % period
        every = np.where(np.isfinite(period), every, X)

        def distance(points, position):
            return np.sqrt((away(points, position, period) ** 2).sum(axis=1))

        def leave(positions):
            return np.where(np.isfinite(period), positions % period, positions)

        bring = leave
    else:
        shift = partial([cap_shift, fisher_shift][kernel == "gaussian"], angle=radius)
        distance, bring, side = angles, directions, 2.0 * np.sin(radius / 2.0)
    points, heavy = every[weights > 0], weights[weights > 0]
    seeds = points
    if bin_seeding:
        seeds = bring(naive.bin_seeds(points, side, weights=heavy).astype(float))
    rest = (1e-7 if kernel == "gaussian" else tol) * radius
    most = 20_000 if kernel == "gaussian" else max_iter
    ends, support, steps = ascend(shift, distance, points, heavy, seeds, rest, most)
    ends = bring(ends)
    modes, mode_support = merge(ends, support, distance, radius)
    labelled = every
    if assign == "basin":
        labelled = bring(ascend(shift, distance, points, heavy, every, rest, most)[0])
    labels = nearest(labelled, modes, distance, radius, cluster_all)
    return leave(modes), labels, mode_support, steps.max() - 1


def kth_distance(points, quantile, distance, weights=None):
    """The mean distance to the k-th nearest row, by another distance."""
    weights = np.ones(len(points)) if weights is None else weights
    share = weights.sum() * quantile
    k = int(share) or share or weights.min()
    radii = []
    for point in points:
        lengths = distance(points, point)
        order = np.argsort(lengths, kind="stable")
        reached = np.searchsorted(weights[order].cumsum(), k * (1 - 1e-10))
        radii.append(lengths[order[min(reached, len(points) - 1)]])
    return np.average(radii, weights=weights)
