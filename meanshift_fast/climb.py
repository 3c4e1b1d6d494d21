"""The climb: rounds of shifts, until every trajectory rests.

In a round all live trajectories take one step; the ones at rest leave, the others go on. That
is scikit-learn's climb turned inside out (it follows one seed after the other to its end), and
the place for everything that looks at the climb as a whole: history, progress, Ctrl-C, coalescing.

    seed      0  1  2  3        a cell knows who first came into it, and who comes into it
              |  |  |  |        later, in the same round or another, goes on as that one:
    round 1   |  |--'  |
    round 2   |--'     |        stories   0  0  0  1        what becomes of a seed is told by
    round 3   *        *                                    the story that it is part of

Neighbours soon run into each other's cells. Of a million rows in 20 blobs, a cell's side being a
hundredth of the bandwidth, 0.8 shifts a row are taken where 14.7 were, and the cells cost 4 % of
the time that they leave.

Of seeds most of which repeat others, only the distinct ones take steps, and all are told.

Where a mean depends on the position alone, some rounds are taken at once and told one by one: see
tracks.py.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast.compiled import serial, step
from meanshift_fast.hashing import mixed
from meanshift_fast.pieces import pieces
from meanshift_fast.progress import Report
from meanshift_fast.repeats import find_repeats, may_repeat
from meanshift_fast.tracks import Outcome, Tracks
from meanshift_fast.units import readonly

FIRST = 1 << 20  # positions of the first piece that looks for company

HISTORY_DTYPE = np.dtype(
    [
        ("round", np.int64),
        ("n_active", np.int64),
        ("mean_shift", np.float64),
        ("max_shift", np.float64),
        ("n_converged", np.int64),
    ]
)

ShiftPositions = Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]
NextSteps = Callable[
    [NDArray[np.float64], int, float],
    tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
]

# So many trajectories keep tracks: more would fill them up. A fit of 60,000 / 100,000 / 200,000 x 2
# rows takes 133 / 281 / 930 ms with tracks and 141 / 290 / 775 without.
TRACKED = 1 << 16
TRACKED_NUMBERS = 1 << 18  # in their positions
REPEAT = 2  # equal seeds for each distinct one, on the average, from which they climb as one


class Climb(NamedTuple):
    """Where the trajectories ended, and how.

    Attributes
    ----------
    ends : float64 array of shape (n_stories, n_features)
        The last mean of each story. Without coalescing each seed has its own, in their order.
    support : float64 array of shape (n_stories,)
        The weight in the ball that the last mean was computed from; 0 where it was empty.
    stories : int64 array of shape (n_seeds,), or None
        The story that each seed is part of; None where each has its own.
    n_iter : int
        The most moves that a trajectory made before its last.
    history : structured array of shape (n_rounds,)
        For each round its number (from 1), how many trajectories took a step, their mean and
        largest move, and how many seeds' stories have come to rest so far.
    """

    ends: NDArray[np.float64]
    support: NDArray[np.float64]
    stories: NDArray[np.int64] | None
    n_iter: int
    history: NDArray[np.void]


# Coalescing: a forest of seeds, each leading to whom it follows, and a table of cells.


@step
def _leader_of(leaders, seed):
    while leaders[seed] != seed:
        leaders[seed] = leaders[leaders[seed]]
        seed = leaders[seed]
    return seed


@serial
def _cell_keys(positions, side, cells, words, keys):
    """Mix the coordinates of each position's cell into a key of 64 bits, never 0.

    Coordinates beyond all floats stand for themselves; adding 0.0 makes one cell of -0.0 and 0.0.
    """
    for i in range(positions.shape[0]):
        key = np.int64(0)
        for f in range(positions.shape[1]):
            cells[f] = np.rint(positions[i, f] / side) + 0.0
            if not np.isfinite(cells[f]):
                cells[f] = positions[i, f]
            key = mixed(key, words[f])
        keys[i] = key | 1


@serial
def _meet(keys, live, leaders, sizes, rests, cell_keys, cell_seeds, goes_on):
    """Let each trajectory follow whoever came into its cell before; how many cells are new.

    Nobody comes to follow himself, however the paths cross: who leads is always looked up.
    """
    last_slot = cell_keys.shape[0] - 1
    n_new = n_resting = 0
    for i in range(keys.shape[0]):
        seed = live[i]
        slot = (keys[i] >> 1) & last_slot
        while cell_keys[slot] != 0 and cell_keys[slot] != keys[i]:
            slot = (slot + 1) & last_slot
        goes_on[i] = True
        if cell_keys[slot] == 0:
            cell_keys[slot] = keys[i]
            cell_seeds[slot] = seed
            n_new += 1
            continue
        leader = _leader_of(leaders, cell_seeds[slot])
        if leader != seed:
            goes_on[i] = False
            leaders[seed] = leader
            sizes[leader] += sizes[seed]
            if rests[leader]:
                n_resting += sizes[seed]
    return n_new, n_resting


@serial
def _move_cells(cell_keys, cell_seeds, more_keys, more_seeds):
    last_slot = more_keys.shape[0] - 1
    for old in range(cell_keys.shape[0]):
        if cell_keys[old] != 0:
            slot = (cell_keys[old] >> 1) & last_slot
            while more_keys[slot] != 0:
                slot = (slot + 1) & last_slot
            more_keys[slot] = cell_keys[old]
            more_seeds[slot] = cell_seeds[old]


@serial
def _number_leaders(leaders, start, stop, n_stories, stories):
    """Number some of the seeds that lead themselves, from ``n_stories``; how many there are now."""
    for seed in range(start, stop):
        if leaders[seed] == seed:
            stories[seed] = n_stories
            n_stories += 1
    return n_stories


@serial
def _tell_followers(leaders, start, stop, stories):
    """Write the number of each seed's leader."""
    for seed in range(start, stop):
        stories[seed] = stories[_leader_of(leaders, seed)]


def _tell_stories(leaders: NDArray[np.int64], stories: NDArray[np.int64]) -> None:
    """Number the seeds that lead themselves, and write each seed's leader's number.

    In pieces: 10M seeds that follow strangers far away take 0.3 s.
    """
    n_stories = 0
    for start, stop in pieces(len(leaders), first=FIRST):
        n_stories = _number_leaders(leaders, start, stop, n_stories, stories)
    for start, stop in pieces(len(leaders), first=FIRST):
        _tell_followers(leaders, start, stop, stories)


class _Meetings:
    """Who follows whom, and the cells that trajectories have come into.

    A cell is known by a key of 63 bits: that two of a million cells share one, and are taken for
    one, has a chance of 1 in 18 million.
    """

    def __init__(self, n_seeds: int, side: float) -> None:
        self.side = side
        self.leaders = np.arange(n_seeds)
        self.sizes = np.ones(n_seeds, dtype=np.int64)
        self.rests = np.zeros(n_seeds, dtype=np.bool_)
        self.cell_keys = np.zeros(4 << n_seeds.bit_length(), dtype=np.int64)
        self.cell_seeds = np.empty(len(self.cell_keys), dtype=np.int64)
        self.n_cells = 0

    def meet(
        self, positions: NDArray[np.float64], live: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], int]:
        """Find which trajectories go on, and how many seeds came to follow one at rest."""
        while 2 * (self.n_cells + len(live)) > len(self.cell_keys):
            more_keys = np.zeros(2 * len(self.cell_keys), dtype=np.int64)
            more_seeds = np.empty_like(more_keys)
            _move_cells(self.cell_keys, self.cell_seeds, more_keys, more_seeds)
            self.cell_keys, self.cell_seeds = more_keys, more_seeds
        cells = np.empty(positions.shape[1])
        keys = np.empty(len(live), dtype=np.int64)
        goes_on = np.empty(len(live), dtype=np.bool_)
        n_resting = 0
        for start, stop in pieces(len(live), first=FIRST):
            some = slice(start, stop)
            _cell_keys(positions[some], self.side, cells, cells.view(np.int64), keys[some])
            n_new, n_joining = _meet(
                keys[some], live[some], self.leaders, self.sizes, self.rests, self.cell_keys,
                self.cell_seeds, goes_on[some],
            )  # fmt: skip
            self.n_cells += n_new
            n_resting += n_joining
        return goes_on, n_resting

    def rest(self, seeds: NDArray[np.int64]) -> int:
        """Note that some trajectories rest, and how many seeds they speak for."""
        self.rests[seeds] = True
        return int(self.sizes[seeds].sum())


def _follow_tracks(
    next_steps: NextSteps,
    positions: NDArray[np.float64],
    numbers: NDArray[np.int64] | None,
    n_rounds: int,
    rest: float,
    report: Callable[[int], None],
) -> Outcome:
    """Let trajectories take so many steps, or until they rest, none from where another has been.

    Fewer steps where their tracks fill up the memory. Who goes along another's track is reported
    as one who needs no more steps. ``numbers`` as in `_take_step`.
    """
    tracks = Tracks(positions, rest, numbers)
    while tracks.live.size and tracks.n_steps < n_rounds and not tracks.is_full:
        tracks.go_on(*next_steps(tracks.positions(), n_rounds - tracks.n_steps, rest))
        report(len(tracks.live))
    return tracks.read_off(n_rounds)


def _take_step(
    shift_positions: ShiftPositions,
    positions: NDArray[np.float64],
    numbers: NDArray[np.int64] | None,
    bandwidth: float,
    rest: float,
) -> Outcome:
    """Let trajectories take a step, from the positions so numbered; None: one from each."""
    # With a bandwidth of 0 they stay: the mean of equal rows need not be bit-equal to them.
    ends = positions if bandwidth > 0.0 else positions.copy()
    support, moves = shift_positions(positions)
    if bandwidth == 0.0:
        moves = np.zeros_like(moves)
    if numbers is not None:
        ends, support, moves = ends.take(numbers, axis=0), support[numbers], moves[numbers]
    at_rest = (moves <= rest) | (support == 0.0)
    told = (len(moves), float(moves.mean()), float(moves.max()), int(np.count_nonzero(at_rest)))
    return Outcome(ends, support, at_rest, [told])


def climb(
    shift_positions: ShiftPositions,
    seeds: NDArray[np.float64],
    bandwidth: float,
    *,
    tol: float,
    max_iter: int,
    report: Report,
    next_steps: NextSteps | None = None,
    coalesce: float = 0.0,
    order: NDArray[np.signedinteger] | None = None,
) -> Climb:
    """Follow every seed to its end.

    Parameters
    ----------
    shift_positions : callable
        One step: moves positions, a C-ordered float64 array of shape (n_positions, n_features),
        in place, and answers with the support and the length of each move.
    seeds : float64 array of shape (n_seeds, n_features)
        Where the trajectories start.
    bandwidth : float
        In the unit of the seeds.
    tol : float
        A trajectory rests when its move is at most ``tol * bandwidth``.
    max_iter : int
        At most ``max_iter + 1`` means are taken, as in scikit-learn.
    report : callable
        Told after each round, or each call of ``next_steps``, how many trajectories need no more
        steps: ``report(n_done, n_seeds, "climb")``.
    next_steps : callable, optional
        The next steps of trajectories, where a mean depends on the position alone and is worth
        remembering: ``next_steps(positions, n_steps, rest)`` takes at most ``n_steps`` of each,
        until a move is at most ``rest`` or a ball is empty, and answers with where each step led,
        of shape (n_positions, n_taken, n_features), and with the supports and the lengths of the
        moves, both of shape (n_positions, n_taken). The history tells them round by round.
    coalesce : float, default=0
        A trajectory that comes into a cell of side ``coalesce * bandwidth`` that another has been
        in goes on as that one; of several in the same round, as the first in the order of the
        climb. 0 follows every seed to its own end.
    order : int array of shape (n_seeds,), optional
        An order of the seeds in which neighbours in space follow one another. Costs nothing
        where the seeds are the rows of the tree, and keeps what a shift reads in cache: 2.1 us
        against 3.4 us a shift at 1M x 2 rows.

    Returns
    -------
    Climb
        The same for every number of threads.
    """
    live = np.arange(len(seeds)) if order is None else order.astype(np.int64)
    positions = seeds.take(live, axis=0)  # a tenth of what seeds[live] takes
    # Tracks find who is equal by themselves, and so do cells.
    repeat = coalesce == 0.0 and len(seeds) > TRACKED and may_repeat(positions)
    if repeat:
        repeat = REPEAT * len(find_repeats(readonly(positions))[0]) <= len(seeds)
    ends = np.empty(seeds.shape)
    support = np.empty(len(seeds))
    rounds: list[tuple[int, int, float, float, int]] = []
    n_resting = n_done = 0
    rest, side = tol * bandwidth, coalesce * bandwidth
    meetings = _Meetings(len(seeds), side) if side > 0.0 else None
    if meetings:
        goes_on, _ = meetings.meet(positions, live)
        live, positions = live[goes_on], positions.compress(goes_on, axis=0)

    def tell(n_live: int) -> None:
        """Report, and never less than before: full tracks forget who goes along with whom."""
        nonlocal n_done
        n_done = max(n_done, len(seeds) - n_live)
        report(n_done, len(seeds), "climb")

    while live.size and len(rounds) <= max_iter:
        starts, numbers = positions, None
        if repeat:
            firsts, numbers = find_repeats(readonly(positions))
            starts = positions.take(firsts, axis=0)
        few = len(starts) <= TRACKED and starts.size <= TRACKED_NUMBERS
        if next_steps and few and not meetings and bandwidth > 0.0:
            n_rounds = max_iter + 1 - len(rounds)
            taken = _follow_tracks(next_steps, starts, numbers, n_rounds, rest, tell)
        else:
            taken = _take_step(shift_positions, starts, numbers, bandwidth, rest)
        positions, weights, at_rest, told = taken
        is_over = len(rounds) + len(told) > max_iter
        leaving = np.ones_like(at_rest) if is_over else at_rest
        ends[live[leaving]] = positions.compress(leaving, axis=0)
        support[live[leaving]] = weights[leaving]
        for n_active, mean, largest, n_rested in told[:-1]:
            rounds.append((len(rounds) + 1, n_active, mean, largest, n_resting + n_rested))
        n_resting += meetings.rest(live[at_rest]) if meetings else told[-1][3]
        going = ~leaving
        live, positions = live[going], positions.compress(going, axis=0)
        if meetings:
            goes_on, n_joining = meetings.meet(positions, live)
            live, positions = live[goes_on], positions.compress(goes_on, axis=0)
            n_resting += n_joining
        rounds.append((len(rounds) + 1, *told[-1][:3], n_resting))
        tell(live.size)
    stories = None
    if meetings:
        stories = np.empty(len(seeds), dtype=np.int64)
        _tell_stories(meetings.leaders, stories)
        leading = meetings.leaders == np.arange(len(seeds))
        ends, support = ends.compress(leading, axis=0), support[leading]
    return Climb(ends, support, stories, len(rounds) - 1, np.array(rounds, dtype=HISTORY_DTYPE))
