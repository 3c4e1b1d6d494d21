"""The climb: rounds of shifts, until every trajectory rests.

In a round all live trajectories take one step; the ones at rest leave, the others go on. That
is scikit-learn's climb turned inside out (it follows one seed after the other to its end), and
the place for everything that looks at the climb as a whole: history, progress, Ctrl-C.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast.progress import Report
from meanshift_fast.shift import shift
from meanshift_fast.tree import MomentTree

HISTORY_DTYPE = np.dtype(
    [
        ("round", np.int64),
        ("n_active", np.int64),
        ("mean_shift", np.float64),
        ("max_shift", np.float64),
        ("n_converged", np.int64),
    ]
)


class Climb(NamedTuple):
    """Where the trajectories ended, and how.

    Attributes
    ----------
    ends : float64 array of shape (n_seeds, n_features)
        The last mean of each trajectory, in the order of the seeds.
    support : float64 array of shape (n_seeds,)
        The weight in the ball that the last mean was computed from; 0 where it was empty.
    n_iter : int
        The most moves that a trajectory made before its last.
    history : structured array of shape (n_rounds,)
        For each round its number (from 1), how many trajectories took a step, their mean and
        largest move, and how many have come to rest so far.
    """

    ends: NDArray[np.float64]
    support: NDArray[np.float64]
    n_iter: int
    history: NDArray[np.void]


def climb(
    tree: MomentTree,
    seeds: NDArray[np.float64],
    bandwidth: float,
    *,
    tol: float,
    max_iter: int,
    report: Report,
    order: NDArray[np.int64] | None = None,
) -> Climb:
    """Follow every seed to its end.

    Parameters
    ----------
    tree : MomentTree
        The rows.
    seeds : float64 array of shape (n_seeds, n_features)
        Where the trajectories start.
    bandwidth : float
        Radius of the ball, in the unit of the rows.
    tol : float
        A trajectory rests when its move is at most ``tol * bandwidth``.
    max_iter : int
        At most ``max_iter + 1`` means are taken, as in scikit-learn.
    order : int64 array of shape (n_seeds,), optional
        An order of the seeds in which neighbours in space follow one another. Costs nothing
        where the seeds are the rows of the tree, and keeps what a shift reads in cache: 2.1 us
        against 3.4 us a shift at 1M x 2 rows.
    report : callable
        Told after each round how many trajectories rest: ``report(n_resting, n_seeds, "climb")``.

    Returns
    -------
    Climb
    """
    live = np.arange(len(seeds)) if order is None else order
    positions = seeds[live]
    ends = np.empty(seeds.shape)
    support = np.empty(len(seeds))
    rounds = []
    n_resting = 0
    for number in range(1, max_iter + 2):
        weights, moves = shift(tree, positions, bandwidth)
        if bandwidth == 0.0:  # the mean of equal rows need not be bit-equal to them
            positions, moves = seeds[live], np.zeros_like(moves)
        at_rest = (moves <= tol * bandwidth) | (weights == 0.0)
        n_resting += int(np.count_nonzero(at_rest))
        rounds.append((number, len(moves), moves.mean(), moves.max(), n_resting))
        leaving = at_rest if number <= max_iter else np.ones_like(at_rest)
        ends[live[leaving]] = positions[leaving]
        support[live[leaving]] = weights[leaving]
        live, positions = live[~leaving], positions[~leaving]
        report(len(seeds) - live.size, len(seeds), "climb")
        if live.size == 0:
            break
    return Climb(ends, support, len(rounds) - 1, np.array(rounds, dtype=HISTORY_DTYPE))
