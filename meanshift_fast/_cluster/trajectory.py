"""The trajectory of one point in plain NumPy: the mean of its neighbours, again and again.

    rows_in_ball -> ball_mean    \
                                  > step of trajectory
    all rows -> gaussian_mean    /

    on a sphere, or where columns wrap: an index of all rows, without any error -> trajectories_in

A trajectory has some ten steps, each a pass over the rows in blocks. The code is readable line by
line beside the paper; `ascent` moves many points at once with compiled kernels.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index import choice
from meanshift_fast._input.metrics import Metric
from meanshift_fast._input.scaling import readonly_table
from meanshift_fast._input.weights import without_weightless

Floats = NDArray[np.float64]

BLOCK_VALUES = 1 << 20  # that a block of rows may hold, distances and copies together: 8 MiB


def trajectory(
    step: Callable[[Floats], tuple[Floats, float]],
    origin: Floats,
    bandwidth: float,
    tol: float,
    max_iter: int,
) -> tuple[Floats, Floats, Floats]:
    """Shift a point until a move is at most tol * bandwidth: its positions, shifts and support."""
    positions = [origin]
    shifts: list[float] = []
    support: list[float] = []
    scale = _unit(bandwidth)
    while len(shifts) <= max_iter:
        mean, weight = step(positions[-1])
        if mean is positions[-1]:
            break
        shift = math.hypot(*(mean - positions[-1]) * scale) / scale
        positions.append(mean)
        shifts.append(shift)
        support.append(weight)
        if shift <= tol * bandwidth:  # `_index/stopping.py`; of an empty ball it has left
            break
    return np.array(positions), np.array(shifts), np.array(support, dtype=np.float64)


def ball_mean(
    points: Floats, weights: Floats, bandwidth: float, centre: Floats
) -> tuple[Floats, float]:
    """The mean of the rows in a ball, and their weight; the centre itself where there are none."""
    # Without it, a sum of the very largest numbers overflows.
    shrink = 2.0**-64 if max(points.max(), -points.min()) > 1e280 else 1.0
    weight, total = 0.0, np.zeros(points.shape[1])
    for first, inside, block in rows_in_ball(points, centre, bandwidth):
        if weights.size:
            each = weights[first + inside]
            weight += each.sum()
            total += (each[:, None] * block[inside] * shrink).sum(axis=0)
        else:
            weight += len(inside)
            total += (block[inside] * shrink).sum(axis=0)
    return (centre, 0.0) if weight == 0.0 else (total / weight / shrink, weight)


def gaussian_mean(
    points: Floats, weights: Floats, bandwidth: float, centre: Floats
) -> tuple[Floats, float]:
    """The mean of all rows, weighted by the Gaussian kernel, and their weight."""
    distance_sq = np.concatenate([squares for _, squares, _ in _squares(points, centre, bandwidth)])
    with np.errstate(over="ignore"):
        distance_sq /= (bandwidth * _unit(bandwidth)) ** 2
    counting = weights > 0.0 if weights.size else np.ones(len(points), dtype=bool)
    # The nearest row is the log-sum-exp reference: far from all rows, every exponential vanishes.
    nearest = distance_sq[counting].min()
    with np.errstate(under="ignore", invalid="ignore"):
        counts = np.where(counting, np.exp(0.5 * (nearest - distance_sq)), 0.0)
        if not np.isfinite(nearest):  # every square overflows: all rows count the same
            counts = counting.astype(np.float64)
        if weights.size:
            counts = counts * (weights / weights.max())
        share = counts / counts.sum()
        weight = counts.sum() * np.exp(-0.5 * nearest)
    return share @ points, float(weight * (weights.max() if weights.size else 1.0))


MEANS = {"flat": ball_mean, "gaussian": gaussian_mean}


def rows_in_ball(
    points: Floats, centre: Floats, bandwidth: float
) -> Iterator[tuple[int, NDArray[np.intp], Floats]]:
    """Yield blocks: the number of the first row, which rows lie in the ball, the block itself."""
    radius_sq = (bandwidth * _unit(bandwidth)) ** 2
    for first, distance_sq, block in _squares(points, centre, bandwidth):
        yield first, np.flatnonzero(distance_sq <= radius_sq), block


def _squares(
    points: Floats, centre: Floats, bandwidth: float
) -> Iterator[tuple[int, Floats, Floats]]:
    """Yield blocks: the number of the first row, squared distances in `_unit`, the block itself."""
    n_samples, n_features = points.shape
    n_rows = max(1, BLOCK_VALUES // (n_features + 3))
    scale = _unit(bandwidth)
    for first in range(0, n_samples, n_rows):
        block = points[first : first + n_rows]
        distance_sq = np.zeros(len(block))
        # A row whose squared distance overflows lies outside.
        with np.errstate(over="ignore"):
            for feature in range(n_features):
                difference = (block[:, feature] - centre[feature]) * scale
                distance_sq += difference * difference
        yield first, distance_sq, block


def _unit(bandwidth: float) -> float:
    """The power of two that makes a bandwidth about 1.

    Multiplying by it rounds nothing, so comparisons come out as without it. Squares neither
    overflow nor vanish where data and bandwidth are as large as 1e200, or as small.
    """
    return 2.0 ** -min(max(math.frexp(bandwidth)[1], -1000), 1000)


# Other metrics than the Euclidean.


def trajectories_in(
    metric: Metric,
    points: Floats,
    weights: Floats,
    starts: Floats,
    bandwidth: float,
    kernel: str,
    tol: float,
    max_iter: int,
) -> list[tuple[Floats, Floats, Floats]]:
    """As `trajectory`, of some starts in the space of a metric; positions in the rows' columns."""
    rows, weights = without_weightless(metric.enter(points), weights)
    entered, begun = readonly_table(rows), readonly_table(metric.enter(starts, "start"))
    units = metric.units(bandwidth, entered, begun, in_bandwidths=kernel == "gaussian")
    index = choice.build(
        units.enter(entered), weights, radius=units.radius, kernel=kernel, accuracy=0.0,
        space=units,
    )  # fmt: skip
    found = []
    for start, origin in zip(units.enter(begun), starts, strict=True):
        positions = [origin]
        shifts: list[float] = []
        support: list[float] = []
        position = start[None].copy()
        while len(shifts) <= max_iter:
            weight, move = index.shift(position)
            if weight[0] == 0.0:
                break
            positions.append(metric.leave(units.leave(position))[0])
            shifts.append(float(move[0]) * float(np.max(units.divisor)))
            support.append(float(weight[0]))
            if move[0] <= tol * index.radius:
                break
        found.append((np.array(positions), np.array(shifts), np.array(support)))
    return found


def rows_near(metric: Metric, points: Floats, centre: Floats, bandwidth: float) -> NDArray[np.intp]:
    """The rows in a closed ball about a position, both in the rows' columns; in order."""
    entered = readonly_table(metric.enter(points))
    position = readonly_table(metric.enter(centre[None]))[0]
    return np.flatnonzero(metric.distances(entered, position) <= metric.side(bandwidth))
