"""The trajectory of one point: the mean of its neighbours, again and again.

    Euclidean                                    a kernel's mean in plain NumPy   \
                                                                                   > trajectory
    on a sphere, or where columns wrap           an index without any error       /

A trajectory has some ten steps, each a pass over the rows in blocks. The code is readable line by
line beside the paper; `ascent` moves many points at once with compiled kernels.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index import choice
from meanshift_fast._index.kernels import KERNELS
from meanshift_fast._index.plain_rows import unit_of
from meanshift_fast._index.stopping import rest_of
from meanshift_fast._input.metrics import Metric
from meanshift_fast._input.scaling import readonly_table
from meanshift_fast._input.weights import without_weightless

Floats = NDArray[np.float64]
Trajectory = tuple[Floats, Floats, Floats]  # positions, lengths of the moves, support


def trajectories(
    metric: Metric,
    points: Floats,
    weights: Floats,
    starts: Floats,
    bandwidth: float,
    kernel: str,
    tol: float,
    max_iter: int,
) -> list[Trajectory]:
    """Shift each start until a move is at most tol * bandwidth; positions in the rows' columns."""
    if metric.is_plain:
        mean, scale = KERNELS[kernel].mean, unit_of(bandwidth)

        def step(position: Floats) -> tuple[Floats, float, float]:
            """The mean, its weight, and how far it is."""
            place, weight = mean(points, weights, bandwidth, position)
            return place, weight, math.hypot(*(place - position) * scale) / scale

        return [_trajectory(step, origin, rest_of(tol, bandwidth), max_iter) for origin in starts]
    rows, weights = without_weightless(metric.enter(points), weights)
    entered, begun = readonly_table(rows), readonly_table(metric.enter(starts, "start"))
    units = metric.units(bandwidth, entered, begun, in_bandwidths=KERNELS[kernel].in_bandwidths)
    index = choice.build(
        units.enter(entered), weights, radius=units.radius, kernel=kernel, accuracy=0.0,
        space=units,
    )  # fmt: skip

    def shift(position: Floats) -> tuple[Floats, float, float]:
        """As `step`, in the engine's columns."""
        mean = position[None].copy()
        support, moves = index.shift(mean)
        # A fit's trajectory rests where its neighbourhood weighs nothing.
        return mean[0], float(support[0]), float(moves[0]) if support[0] else 0.0

    found = []
    for start, origin in zip(units.enter(begun), starts, strict=True):
        places, moves, support = _trajectory(shift, start, rest_of(tol, index.radius), max_iter)
        positions = [metric.leave(units.leave(place[None]))[0] for place in places[1:]]
        lengths = moves * float(np.max(units.divisor))
        found.append((np.array([origin, *positions]), lengths, support))
    return found


def _trajectory(
    step: Callable[[Floats], tuple[Floats, float, float]],
    origin: Floats,
    rest: float,
    max_iter: int,
) -> Trajectory:
    """Shift a point until it rests, or its neighbourhood is empty, which is no step.

    The rule of `_index/stopping.py`, but that a Gaussian's weight may be too small for a number.
    """
    positions = [origin]
    shifts: list[float] = []
    support: list[float] = []
    while len(shifts) <= max_iter:
        mean, weight, shift = step(positions[-1])
        if weight == 0.0 and shift == 0.0:
            break
        positions.append(mean)
        shifts.append(shift)
        support.append(weight)
        if shift <= rest:
            break
    return np.array(positions), np.array(shifts), np.array(support, dtype=np.float64)


def rows_near(metric: Metric, points: Floats, centre: Floats, bandwidth: float) -> NDArray[np.intp]:
    """The rows in a closed ball about a position, both in the rows' columns; in order."""
    entered = readonly_table(metric.enter(points))
    position = readonly_table(metric.enter(centre[None]))[0]
    return np.flatnonzero(metric.distances(entered, position) <= metric.side(bandwidth))
