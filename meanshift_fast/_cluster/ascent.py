"""The ascent: rounds of shifts, until every trajectory is at rest.

    live positions --index.shift or walk--> means --> at rest?  yes: endpoint, support
         ^                                             |  no
         `---------------------------------------------'       one round, one row of the history

In a round all live trajectories take one step. scikit-learn follows one seed after the other to
its end; rounds compute the same steps, and what concerns all trajectories (history, progress,
Ctrl-C, coalescing) is done between them.

Seeds most of which repeat others are stepped once for each distinct one. Where a shift depends on
the position alone, steps are memoised and several rounds are taken at once: see memo.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.coalescing import Coalescing
from meanshift_fast._cluster.history import history_of
from meanshift_fast._cluster.memo import Memo, Outcome, serves
from meanshift_fast._index import thresholds
from meanshift_fast._index.base import Index
from meanshift_fast._index.equal_rows import find_repeats, may_repeat
from meanshift_fast._index.moment_tree import order_of
from meanshift_fast._index.stopping import are_at_rest, rest_of
from meanshift_fast._input.progress import Report, note_round
from meanshift_fast._input.scaling import readonly

MIN_SEEDS_A_DISTINCT_ONE = 2  # from which equal seeds are stepped as one


class Ascent(NamedTuple):
    """Where trajectories ended, and how.

    Attributes
    ----------
    endpoints : float64 array of shape (n_trajectories, n_features)
        The last mean of each trajectory. Without coalescing each seed has its own, in their order.
    support : float64 array of shape (n_trajectories,)
        The weight that the last mean was computed from; 0 where the neighbourhood was empty.
    trajectories : int64 array of shape (n_seeds,), or None
        The trajectory that each seed is part of; None where each has its own.
    history : structured array of shape (n_rounds,)
        For each round its number (from 1), how many trajectories took a step, their mean and
        largest move, and how many seeds' trajectories are at rest.
    """

    endpoints: NDArray[np.float64]
    support: NDArray[np.float64]
    trajectories: NDArray[np.int64] | None
    history: NDArray[np.void]


@dataclass(frozen=True)
class _Stepping:
    """How the trajectories of an ascent take steps."""

    index: Index
    rest: float
    has_repeats: bool
    is_coalescing: bool
    is_sorting: bool
    report: Callable[[int], None]

    def advance(self, positions: NDArray[np.float64], n_rounds: int, *, is_first: bool) -> Outcome:
        """Take at most so many rounds of all trajectories; at least one."""
        starts, numbers = positions, None
        if self.has_repeats:
            firsts, numbers = find_repeats(readonly(positions))
            starts = positions.take(firsts, axis=0)
        if self.index.depends_on_position_alone and not self.is_coalescing and serves(starts):
            return self._walk(starts, numbers, n_rounds)
        return self._step(starts, numbers, is_sorting=self.is_sorting and not is_first)

    def _walk(
        self, positions: NDArray[np.float64], numbers: NDArray[np.int64] | None, n_rounds: int
    ) -> Outcome:
        """Memoise steps until all trajectories rest, the memo is full or the rounds are spent."""
        memo = Memo(positions, self.rest, numbers)
        while memo.live.size and memo.n_steps < n_rounds and not memo.is_full:
            walk = self.index.walk
            if self.is_sorting and memo.n_steps:
                walk = partial(_sorted_anew, self.index.walk)
            memo.record(*walk(memo.positions(), n_rounds - memo.n_steps, self.rest))
            self.report(len(memo.live))
        return memo.outcome(n_rounds)

    def _step(
        self, positions: NDArray[np.float64], numbers: NDArray[np.int64] | None, *, is_sorting: bool
    ) -> Outcome:
        """Take one step of each trajectory, from the positions so numbered; None: one each."""
        shift = partial(_sorted_anew, self.index.shift) if is_sorting else self.index.shift
        support, moves = shift(positions)
        if numbers is not None:
            positions = positions.take(numbers, axis=0)
            support, moves = support[numbers], moves[numbers]
        at_rest = are_at_rest(moves, support, self.rest)
        totals = [len(moves), moves.sum(), moves.max(), np.count_nonzero(at_rest)]
        return Outcome(positions, support, at_rest, np.array([totals], dtype=np.float64))


def _sorted_anew(move: Callable[..., Any], positions: NDArray[np.float64], *args: Any) -> Any:
    """Move positions in an order of neighbourhood found anew; the answers are in their own order.

    The 8,128 rows of a million that ascend again, along the borders of 20 basins, take 210 ms so
    for their 24 rounds and 350 in the order that they began in. The 159,360 trajectories of a
    million that take a second step gain nothing.
    """
    if not np.isfinite(positions).all():
        return move(positions, *args)
    order = order_of(readonly(positions))
    moved = positions.take(order, axis=0)
    answers = move(moved, *args)
    positions[order] = moved
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return tuple(values.take(back, axis=0) for values in answers)


class _Progress:
    """Reports how many trajectories need no more steps, never fewer than before."""

    def __init__(self, n_seeds: int, report: Report) -> None:
        self.n_seeds, self.n_done, self.report = n_seeds, 0, report

    def __call__(self, n_live: int) -> None:
        self.n_done = max(self.n_done, self.n_seeds - n_live)  # a memo begun anew has more live
        self.report(self.n_done, self.n_seeds, "climb")


def ascend(
    index: Index,
    seeds: NDArray[np.float64],
    *,
    tol: float,
    max_iter: int,
    report: Report,
    coalesce: float = 0.0,
    order: NDArray[np.signedinteger] | None = None,
    sorts_anew: bool = False,
) -> Ascent:
    """Follow every seed to its endpoint.

    Parameters
    ----------
    seeds : float64 array of shape (n_seeds, n_features)
        Where the trajectories start, in the unit of the index.
    tol : float
        A trajectory is at rest when its move is at most ``tol * index.radius``.
    max_iter : int
        At most ``max_iter + 1`` means are taken, as in scikit-learn.
    report : callable
        Called after each round, or each walk: ``report(n_done, n_seeds, "climb")``.
    coalesce : float, default=0
        A trajectory that comes into a cell of side ``coalesce * index.radius`` in which another
        has been goes on as that one; of several in the same round, as the first in the order of
        the ascent. 0 follows every seed to its own end.
    order : int array of shape (n_seeds,), optional
        An order of the seeds in which neighbours in space follow one another. It costs nothing
        where the seeds are the rows of the index, and keeps what a shift reads in cache: 2.1 us
        against 3.4 us a shift at 1M x 2 rows.
    sorts_anew : bool, default=False
        Whether to sort the trajectories into such an order after each round: `Index.sorts` says
        where that pays.

    Returns
    -------
    Ascent
        The same for every number of threads.
    """
    ranked = np.arange(len(seeds)) if order is None else order.astype(np.int64)
    positions, live = seeds.take(ranked, axis=0), ranked  # a tenth of what seeds[ranked] takes
    progress = _Progress(len(seeds), report)
    coalescing = (
        Coalescing(len(seeds), coalesce * index.radius) if coalesce * index.radius else None
    )
    stepping = _Stepping(
        index, rest_of(tol, index.radius), coalescing is None and _has_repeats(positions),
        coalescing is not None, sorts_anew, progress,
    )  # fmt: skip
    endpoints, support = np.empty(seeds.shape), np.empty(len(seeds))
    totals: list[NDArray[np.float64]] = []  # of walks, each of some rounds
    n_rounds = 0
    if coalescing:
        live = np.arange(len(seeds))
        n_kept, _ = coalescing.link(positions, live, np.zeros(len(seeds), dtype=np.bool_))
        live, positions = live[:n_kept], positions[:n_kept]
    while live.size and n_rounds <= max_iter:
        outcome = stepping.advance(positions, max_iter + 1 - n_rounds, is_first=n_rounds == 0)
        n_rounds += len(outcome.totals)
        leaving = np.ones_like(outcome.at_rest) if n_rounds > max_iter else outcome.at_rest
        endpoints[live[leaving]] = outcome.endpoints.compress(leaving, axis=0)
        support[live[leaving]] = outcome.support[leaving]
        live, positions = _going_on(coalescing, live, outcome, leaving)
        totals.append(outcome.totals)
        note_round(report, n_rounds, live.size, outcome.totals[-1, 2] / (index.radius or 1.0))
        progress(live.size)
    trajectories = None
    if coalescing:
        trajectories, roots = coalescing.trajectories(ranked)
        endpoints, support = endpoints.take(roots, axis=0), support.take(roots)
    return Ascent(endpoints, support, trajectories, history_of(np.concatenate(totals)))


def _has_repeats(positions: NDArray[np.float64]) -> bool:
    """Whether most seeds equal another; the memo of few trajectories finds equal ones anyway."""
    if len(positions) <= thresholds.MAX_MEMO_TRAJECTORIES or not may_repeat(positions):
        return False
    return MIN_SEEDS_A_DISTINCT_ONE * len(find_repeats(readonly(positions))[0]) <= len(positions)


def _going_on(
    coalescing: Coalescing | None,
    live: NDArray[np.int64],
    outcome: Outcome,
    leaving: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The trajectories that take another step, and where they are.

    Coalescing counts seeds: those that rest with a root, or were linked to one at rest, are
    written to the last round's total.
    """
    positions = outcome.endpoints
    if coalescing is None:
        going = ~leaving
        return live[going], positions.compress(going, axis=0)
    n_at_rest = coalescing.rest(live[outcome.at_rest])
    n_kept, n_linked = coalescing.link(positions, live, leaving)
    outcome.totals[-1, 3] = n_at_rest + n_linked
    return live[:n_kept], positions[:n_kept]
