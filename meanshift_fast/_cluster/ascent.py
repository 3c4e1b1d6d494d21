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
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.memo import Outcome, Tracks
from meanshift_fast._index.equal_rows import find_repeats, may_repeat
from meanshift_fast._input.progress import Report
from meanshift_fast._input.scaling import readonly
from meanshift_fast._jit.chunks import pieces
from meanshift_fast._jit.compiler import serial, step
from meanshift_fast._jit.hashing import mixed
from meanshift_fast._jit.simd import flat, item, put

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
OrderOf = Callable[[NDArray[np.float64]], NDArray[np.signedinteger]]
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
    history : structured array of shape (n_rounds,)
        For each round its number (from 1), how many trajectories took a step, their mean and
        largest move, and how many seeds' stories have come to rest so far.
    """

    ends: NDArray[np.float64]
    support: NDArray[np.float64]
    stories: NDArray[np.int64] | None
    history: NDArray[np.void]


# Coalescing: a forest of seeds, each leading to whom it follows, and a table of cells.


@step
def _leader_of(leaders, rank):
    while leaders[rank] != rank:
        leaders[rank] = leaders[leaders[rank]]
        rank = leaders[rank]
    return rank


@serial
def _cell_keys(positions, side, cells, words, keys):
    """Make a key of 64 bits of each position's cell, never 0: its block's mixed, its place there.

    A block is eight cells: 4 x 2 in two columns, 2 x 2 x 2 along the first three of more.
    Coordinates beyond all floats stand for themselves; adding 0.0 makes one cell of -0.0 and 0.0.
    """
    n_features = positions.shape[1]
    for i in range(positions.shape[0]):
        key, place = np.int64(0), np.int64(0)
        for f in range(n_features):
            cells[f] = np.rint(positions[i, f] / side) + 0.0
            if np.isfinite(cells[f]):
                width = 1 << (2 - f + n_features) // n_features
                block = np.floor(cells[f] / width) + 0.0
                place = place * width + np.int64(cells[f] - block * width)
                cells[f] = block
            else:
                cells[f] = positions[i, f]
            key = mixed(key, words[f])
        keys[i] = key & ~15 | place << 1 | 1


@step
def _slot_of(key, slots, last_slot):
    """Find the slot of a cell, or the empty one where it would be: two numbers, key and leader."""
    slot = ((key >> 4 << 3) + (key >> 1 & 7)) & last_slot
    while item(slots, 2 * slot) != 0 and item(slots, 2 * slot) != key:
        slot = (slot + 1) & last_slot
    return slot


@serial
def _meet(keys, live, positions, start, n_kept, leaving, leaders, sizes, rests, slots):
    """Let trajectories, from ``start``, follow whoever came into their cells before.

    Who goes on, and does not leave, moves up to the first ``n_kept``. Returns how many these are
    then, how many cells are new and how many seeds came to follow one at rest. Nobody comes to
    follow himself, however the paths cross: who leads is always looked up.
    """
    n_features, last_slot = positions.shape[1], slots.shape[0] // 2 - 1
    table, places = flat(slots), flat(positions)
    n_new = n_resting = 0
    for i in range(start, start + keys.shape[0]):
        if leaving[i]:
            continue
        rank, key = live[i], keys[i - start]
        slot = _slot_of(key, table, last_slot)
        if item(table, 2 * slot) == 0:
            put(table, 2 * slot, key)
            put(table, 2 * slot + 1, rank)
            n_new += 1
        else:
            leader = _leader_of(leaders, item(table, 2 * slot + 1))
            if leader != rank:
                leaders[rank] = leader
                sizes[leader] += sizes[rank]
                if rests[leader]:
                    n_resting += sizes[rank]
                continue
        live[n_kept] = rank
        for f in range(n_features):
            put(places, n_kept * n_features + f, item(places, i * n_features + f))
        n_kept += 1
    return n_kept, n_new, n_resting


@serial
def _move_cells(slots, more_slots):
    table, last_slot = flat(more_slots), more_slots.shape[0] // 2 - 1
    for old in range(0, slots.shape[0], 2):
        if slots[old] != 0:
            slot = _slot_of(slots[old], table, last_slot)
            put(table, 2 * slot, slots[old])
            put(table, 2 * slot + 1, slots[old + 1])


@serial
def _tell_followers(leaders, order, start, stop, stories):
    """Write for some ranks who leads the seed, by rank."""
    for rank in range(start, stop):
        stories[order[rank]] = _leader_of(leaders, rank)


@serial
def _number_leaders(stories, order, start, stop, n_stories, leading):
    """List who leads among some seeds, from ``n_stories``; how many there are now."""
    for seed in range(start, stop):
        if order[stories[seed]] == seed:
            leading[n_stories] = stories[seed]
            n_stories += 1
    return n_stories


class _Meetings:
    """Who follows whom, and the cells that trajectories have come into.

    A trajectory is known by its rank in the order of the climb: neighbours in space are neighbours
    in all arrays. So are the cells of a block in their table. All but the shifts takes 133 ms of
    the climb of a million rows in 20 blobs, and took 217 by the numbers of the seeds, with cells
    anywhere in their table.

    A cell is known by a key of 63 bits: that two of a million cells share one, and are taken for
    one, has a chance of 1 in 18 million.
    """

    def __init__(self, n_seeds: int, side: float) -> None:
        self.side = side
        self.leaders = np.arange(n_seeds)
        self.sizes = np.ones(n_seeds, dtype=np.int64)
        self.rests = np.zeros(n_seeds, dtype=np.bool_)
        self.slots = np.zeros(8 << n_seeds.bit_length(), dtype=np.int64)
        self.n_cells = 0

    def meet(
        self,
        positions: NDArray[np.float64],
        live: NDArray[np.int64],
        leaving: NDArray[np.bool_],
    ) -> tuple[int, int]:
        """Move up the trajectories that go on; how many, and how many seeds follow one at rest."""
        while 4 * (self.n_cells + len(live)) > len(self.slots):
            more_slots = np.zeros(2 * len(self.slots), dtype=np.int64)
            _move_cells(self.slots, more_slots)
            self.slots = more_slots
        cells = np.empty(positions.shape[1])
        n_kept = n_resting = 0
        for start, stop in pieces(len(live), first=FIRST):
            keys = np.empty(stop - start, dtype=np.int64)
            _cell_keys(positions[start:stop], self.side, cells, cells.view(np.int64), keys)
            n_kept, n_new, n_joining = _meet(
                keys, live, positions, start, n_kept, leaving, self.leaders, self.sizes,
                self.rests, self.slots,
            )  # fmt: skip
            self.n_cells += n_new
            n_resting += n_joining
        return n_kept, n_resting

    def rest(self, ranks: NDArray[np.int64]) -> int:
        """Note that some trajectories rest, and how many seeds they speak for."""
        self.rests[ranks] = True
        return int(self.sizes[ranks].sum())

    def tell(self, order: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Number the stories in the order of the seeds that lead; each seed's, and their ranks.

        In pieces: 10M seeds that follow strangers far away take 0.3 s.
        """
        stories, leading, n_stories = np.empty_like(order), np.empty_like(order), 0
        for start, stop in pieces(len(order), first=FIRST):
            _tell_followers(self.leaders, order, start, stop, stories)
        for start, stop in pieces(len(order), first=FIRST):
            n_stories = _number_leaders(stories, order, start, stop, n_stories, leading)
        leading = leading[:n_stories]
        numbers = self.sizes  # which have served
        numbers[leading] = np.arange(n_stories)
        return numbers.take(stories), leading


def _anew(
    order_of: OrderOf, move: Callable[..., Any], positions: NDArray[np.float64], *args: Any
) -> Any:
    """Move positions in an order of neighbourhood found anew; what is answered is in their own.

    The 8,128 rows of a million that climb again, along the borders of 20 basins, take 210 ms so for
    their 24 rounds and 350 in the order that they began in. The 159,360 trajectories of a million
    that take a second step gain nothing.
    """
    if not np.isfinite(positions).all():
        return move(positions, *args)
    order = order_of(readonly(positions))
    moved = positions.take(order, axis=0)
    told = move(moved, *args)
    positions[order] = moved
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return tuple(values.take(back, axis=0) for values in told)


def _follow_tracks(
    next_steps: NextSteps,
    positions: NDArray[np.float64],
    numbers: NDArray[np.int64] | None,
    n_rounds: int,
    rest: float,
    report: Callable[[int], None],
    order_of: OrderOf | None,
) -> Outcome:
    """Let trajectories take so many steps, or until they rest, none from where another has been.

    Fewer steps where their tracks fill up the memory. Who goes along another's track is reported
    as one who needs no more steps. ``numbers`` as in `_take_step`.
    """
    tracks = Tracks(positions, rest, numbers)
    while tracks.live.size and tracks.n_steps < n_rounds and not tracks.is_full:
        move = partial(_anew, order_of, next_steps) if order_of and tracks.n_steps else next_steps
        tracks.go_on(*move(tracks.positions(), n_rounds - tracks.n_steps, rest))
        report(len(tracks.live))
    return tracks.read_off(n_rounds)


def _follow_one(
    next_steps: NextSteps,
    position: NDArray[np.float64],
    n_rounds: int,
    rest: float,
    report: Callable[[int], None],
) -> Outcome:
    """Let the only trajectory take so many steps, or until it rests: it meets nobody.

    A fit of 1,000 x 2 rows from one seed takes 191 us so, and 216 along tracks. From four seeds,
    each by itself, it took 536 and along tracks 543, for thirty lines more: dropped.
    """
    rounds: list[tuple[int, float, float, int]] = []
    is_open = True
    while is_open and len(rounds) < n_rounds:
        _, support, moves = next_steps(position, n_rounds - len(rounds), rest)
        for weight, move in zip(support[0].tolist(), moves[0].tolist(), strict=True):
            is_open = not (move <= rest or weight == 0.0)
            rounds.append((1, move, move, int(not is_open)))
            if not is_open:
                break
        report(int(is_open))
    return Outcome(position, np.array([weight]), np.array([not is_open]), rounds)


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
    order_of: OrderOf | None = None,
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
    order_of : callable, optional
        Finds such an order of positions, given as a read-only table, of which it is asked after
        each round. Trajectories that have been neighbours part, and others meet. None: they keep
        the order that they began in.

    Returns
    -------
    Climb
        The same for every number of threads.
    """
    ranked = np.arange(len(seeds)) if order is None else order
    live = ranked.astype(np.int64)
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
        live = np.arange(len(seeds))
        n_kept, _ = meetings.meet(positions, live, np.zeros(len(seeds), dtype=np.bool_))
        live, positions = live[:n_kept], positions[:n_kept]

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
            if len(live) == 1:
                taken = _follow_one(next_steps, starts, n_rounds, rest, tell)
            else:
                taken = _follow_tracks(next_steps, starts, numbers, n_rounds, rest, tell, order_of)
        else:
            move = shift_positions
            if order_of and rounds:
                move = partial(_anew, order_of, shift_positions)
            taken = _take_step(move, starts, numbers, bandwidth, rest)
        positions, weights, at_rest, told = taken
        is_over = len(rounds) + len(told) > max_iter
        leaving = np.ones_like(at_rest) if is_over else at_rest
        ends[live[leaving]] = positions.compress(leaving, axis=0)
        support[live[leaving]] = weights[leaving]
        for n_active, mean, largest, n_rested in told[:-1]:
            rounds.append((len(rounds) + 1, n_active, mean, largest, n_resting + n_rested))
        n_resting += meetings.rest(live[at_rest]) if meetings else told[-1][3]
        if meetings:
            n_kept, n_joining = meetings.meet(positions, live, leaving)
            live, positions = live[:n_kept], positions[:n_kept]
            n_resting += n_joining
        else:
            going = ~leaving
            live, positions = live[going], positions.compress(going, axis=0)
        rounds.append((len(rounds) + 1, *told[-1][:3], n_resting))
        tell(live.size)
    stories = None
    if meetings:
        stories, leading = meetings.tell(ranked.astype(np.int64))
        ends, support = ends.take(leading, axis=0), support.take(leading)
    return Climb(ends, support, stories, np.array(rounds, dtype=HISTORY_DTYPE))
