"""Endpoints become modes: the one of most support removes all others in its ball, then the next.

    endpoints --collapse--> distinct endpoints --sweep--> modes
                                     |
                                     | still waiting after many sweeps
                                     v
                        tree of the endpoints --sift--> modes, in the same order (ball_removal)

Trajectories that converge to one point end as equal tuples, which a hash table finds at once. A
sweep then keeps the first of the endpoints that wait, drops those in its ball and finds the next
first in the same pass: with few modes this reads the endpoints a few times and sorts nothing. Where
many modes survive, sweeps would be quadratic. So after a budget of sweeps the endpoints that still
wait go into a tree.
"""

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.ball_removal import MAX_CALL_VISITS, sift_out
from meanshift_fast._index import thresholds
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import serial, step
from meanshift_fast._jit.hashing import find_row_slot
from meanshift_fast._jit.simd import (
    LANES,
    bit_patterns,
    flat,
    full,
    fused,
    item,
    load_from,
    put,
    total,
)

FIRST_CHUNK_ENDPOINTS = 1 << 20  # endpoints of the first chunk in which equal ones are found
SURE = 1.0 + 1e-9  # times a square: what exceeds that in some order of adding exceeds it in any


# Equal endpoints.


@serial
def collapse(endpoints, start, stop, support, slots, waiting, n_distinct):
    """List the first of each new tuple in start:stop, with the support of the last; how many."""
    n_features, last_slot = endpoints.shape[1], slots.shape[0] - 1
    table, marks = flat(endpoints), flat(slots)
    for row in range(start, stop):
        slot = find_row_slot(table, bit_patterns(table), n_features, row, table, marks, last_slot)
        if item(marks, slot) == 0:
            put(marks, slot, row + 1)
            waiting[n_distinct] = row
            n_distinct += 1
        support[item(marks, slot) - 1] = support[row]
    return n_distinct


# Few modes: sweep over all that wait.


@step
def _is_before(endpoints, n_features, support, i, j):
    """Whether endpoint i comes before j: by support, then by coordinates, both descending."""
    more = item(support, i) - item(support, j)
    f = 0
    while more == 0.0 and f < n_features:
        more = item(endpoints, i * n_features + f) - item(endpoints, j * n_features + f)
        f += 1
    return more > 0.0


@step
def _is_beyond(endpoints, n_features, i, j, bandwidth_sq):
    """Whether endpoint i lies outside the ball around endpoint j."""
    # Sixteen features at once, in any order, come first: of digits, 342 modes among 1,700
    # endpoints take 1.2 ms so, and 2.7 feature by feature.
    far_sq = full(0.0)
    for f in range(0, n_features - LANES + 1, LANES):
        away = load_from(endpoints, i * n_features + f) - load_from(endpoints, j * n_features + f)
        far_sq = fused(away, away, far_sq)
        if total(far_sq) > bandwidth_sq * SURE:
            return True
    distance_sq = 0.0
    f = 0
    while f < n_features and distance_sq <= bandwidth_sq:
        away = item(endpoints, i * n_features + f) - item(endpoints, j * n_features + f)
        distance_sq += away * away
        f += 1
    return distance_sq > bandwidth_sq


@serial
def sweep(endpoints, support, bandwidth_sq, waiting, n_waiting, first, n_visits, modes, n_modes):
    """Keep modes until none waits or the visits are spent.

    Returns how many are kept, how many still wait and the first of these in the order of the
    output. ``first`` is -1 where it is still to be found.
    """
    n_features = endpoints.shape[1]
    if first < 0:
        first = waiting[0]
        for k in range(1, n_waiting):
            if _is_before(flat(endpoints), n_features, flat(support), waiting[k], first):
                first = waiting[k]
    while n_waiting > 0 and n_visits > 0:
        mode = first
        modes[n_modes] = mode
        n_modes += 1
        n_visits -= n_waiting
        n_left = 0
        for k in range(n_waiting):
            row = waiting[k]
            if _is_beyond(flat(endpoints), n_features, row, mode, bandwidth_sq):
                if n_left == 0 or _is_before(
                    flat(endpoints), n_features, flat(support), row, first
                ):
                    first = row
                waiting[n_left] = row
                n_left += 1
        n_waiting = n_left
    return n_modes, n_waiting, first


# The merge.


def merging_radius(bandwidth: float) -> float:
    """How near to a mode an endpoint merges with it: within a bandwidth, as in scikit-learn."""
    return bandwidth


def count_supported(support: NDArray[np.float64], min_support: float) -> int:
    """Count the modes of enough support: a weight from 1 on, below 1 a share of the first mode's.

    The support is descending, and empty where no ball holds a row.
    """
    least = min_support if min_support >= 1.0 else min_support * support.max(initial=0.0)
    return int(np.count_nonzero(support >= least))


def merge_modes(
    endpoints: NDArray[np.float64], support: NDArray[np.float64], radius: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Merge the endpoints of trajectories into modes.

    Parameters
    ----------
    endpoints : read-only C-ordered float64 array of shape (n_seeds, n_features)
        Where the trajectories ended, in the order of the seeds; finite, at least one.
    support : float64 array of shape (n_seeds,)
        The weight in the last ball of each seed; positive.
    radius : float
        Of a mode's ball, in the unit of the columns; with 0 only equal endpoints merge.

    Returns
    -------
    modes : float64 array of shape (n_modes, n_features)
        The modes, by support and then by coordinates, both descending.
    mode_support : float64 array of shape (n_modes,)
        The weight in the ball that each mode is the mean of; of equal endpoints, the last one's.

    Notes
    -----
    As in scikit-learn's ``MeanShift``: equal endpoints are one; the first of all, in the order
    of the output, is a mode and removes every other in the closed ball around it, and so does
    the first of the rest, until none is left.

    Time n_seeds times the smaller of n_modes and 16, in units of 5 to 30 ns; for more modes also
    a tree of the endpoints that then wait, a sort of them, and a fraction of a microsecond a mode.
    Memory 40 to 56 bytes a seed, and with the tree two copies of the endpoints that go into it.
    """
    n_seeds = len(endpoints)
    radius_sq = float(radius) * float(radius)
    support = support.copy()
    slots = np.zeros(2 << n_seeds.bit_length(), dtype=np.int64)
    waiting = np.empty(n_seeds, dtype=np.int64)
    n_waiting = 0
    for start, stop in chunks(n_seeds, first=FIRST_CHUNK_ENDPOINTS):
        n_waiting = collapse(endpoints, start, stop, support, slots, waiting, n_waiting)
    n_visits = max(thresholds.MAX_ENDPOINT_SWEEPS * n_waiting, thresholds.MIN_ENDPOINT_VISITS)
    kept = np.empty(n_waiting, dtype=np.int64)
    n_modes, first = 0, -1
    while n_waiting > 0 and n_visits > 0:
        visits_left = n_visits - max(n_waiting, MAX_CALL_VISITS)
        n_modes, n_waiting, first = sweep(
            endpoints, support, radius_sq, waiting, n_waiting, first,
            min(n_visits, MAX_CALL_VISITS), kept, n_modes,
        )  # fmt: skip
        n_visits = visits_left
    if n_waiting > 0:
        rows = waiting[:n_waiting]
        more = kept[n_modes:]
        n_more = sift_out(endpoints.take(rows, axis=0), support[rows], radius_sq, more)
        more[:n_more] = rows[more[:n_more]]
        n_modes += n_more
    kept = kept[:n_modes]
    return endpoints.take(kept, axis=0), support[kept]
