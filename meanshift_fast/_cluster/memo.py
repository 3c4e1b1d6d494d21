"""The memo: steps of trajectories by the position they start from, so that each is taken once.

    seed 0   a --> b --> c --> d --> e *          a place is entered once, with the step that
    seed 1   f --> g --> c                        starts from it; a trajectory that comes to a
    seed 2   h --> i --> j --> d                  place with a step goes on by that step

A flat shift depends on the position alone, and has the same mean wherever the ball holds the same
rows, so trajectories come through the very same places, bit by bit. Of 20,000 rows of 20 blobs,
each a seed, the ascent takes 259,000 shifts, of which 131,000 are distinct; of the 362 bins of a
photograph 28,900 and 11,500; of 1,797 digits 12,500 and 8,500. Every seed's trajectory, with each
of its moves and the round of it, is read from the memo at the end.

A fit of the photograph takes 45 ms with the memo and 160 without, one of the digits 23 and 30, one
of 20,000 x 2 rows 24 and 29 (medians of nine, two threads).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.history import count_move
from meanshift_fast._index import thresholds
from meanshift_fast._index.stopping import is_at_rest
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import serial, step
from meanshift_fast._jit.hashing import find_slot, hash_of_patterns
from meanshift_fast._jit.simd import flat, item, put

OPEN = -1  # a place without a step
PENDING = -2  # a place whose step is about to be computed

MAX_SEED_VALUES = 1 << 18  # of the first places; each place holds its values
MIN_VALUES = 8192  # that a memo has room for: few seeds take many steps, and to grow takes time
FIRST_CHUNK_SEEDS = 1 << 16  # seeds of the first chunk that is read


def serves(positions: NDArray[np.float64]) -> bool:
    """Whether a memo pays for trajectories from these positions."""
    return len(positions) <= thresholds.MAX_MEMO_TRAJECTORIES and positions.size <= MAX_SEED_VALUES


@step
def _enter(patterns, n_features, n_places, slots, last_slot, arrivals, first):
    """Find the number of the place that arrivals[first:] spell; ``n_places`` where it is new.

    Places are compared bit by bit: 0.0 and -0.0 are two, which costs a shift and no more.
    """
    code = hash_of_patterns(arrivals, first, n_features)
    slot = find_slot(code, arrivals, first, n_features, patterns, n_features, slots, last_slot)
    if item(slots, slot) > 0:
        return item(slots, slot) - 1
    put(slots, slot, n_places + 1)
    for f in range(n_features):
        put(patterns, n_places * n_features + f, item(arrivals, first + f))
    return n_places


@serial
def _begin(patterns, slots, arrivals, first_places):
    """Enter the first places, and note the number of each; how many are distinct."""
    n_features, n_places = arrivals.shape[1], np.int64(0)  # a literal: `_enter` twice
    patterns, table, arriving = flat(patterns), flat(slots), flat(arrivals)
    for i in range(arrivals.shape[0]):
        first_places[i] = _enter(
            patterns, n_features, n_places, table, slots.shape[0] - 1, arriving, i * n_features
        )
        n_places = max(n_places, first_places[i] + 1)
    return n_places


@serial
def _record(
    patterns, next_places, support, moves, n_places, slots, live, arrivals, new_support, new_moves,
    rest, first,
):  # fmt: skip
    """Enter steps round by round, until their trajectories rest or come to a place that has one.

    Begins with the round ``first``; returns how many places there are, and the round to go on with
    where there is no room for it.

    In ``live`` each place becomes the next, or -1 where the trajectory rests or the place has a
    step already. Rounds are entered in order: a trajectory that comes to a known place is never
    at an earlier round than the one that entered it, so the rounds that are left suffice.
    """
    n_steps, n_features = arrivals.shape[1:]
    patterns, table, arriving = flat(patterns), flat(slots), flat(arrivals)
    for number in range(first, n_steps):
        if n_places + live.shape[0] > next_places.shape[0]:
            return n_places, number
        for i in range(live.shape[0]):
            here = live[i]
            if here < 0:
                continue
            there = _enter(
                patterns, n_features, n_places, table, slots.shape[0] - 1, arriving,
                (i * n_steps + number) * n_features,
            )  # fmt: skip
            if there == n_places:
                next_places[there] = OPEN
                n_places += 1
            support[here] = new_support[i, number]
            moves[here] = new_moves[i, number]
            next_places[here] = there
            live[i] = -1
            at_rest = is_at_rest(moves[here], support[here], rest)
            if not at_rest and next_places[there] == OPEN:
                next_places[there] = PENDING
                live[i] = there
    return n_places, n_steps


@serial
def _follow(
    first_places, places, next_places, support, moves, rest, ends, last_support, at_rest, totals
):
    """Follow seeds through the memo, for as many rounds as ``totals`` has room for.

    Writes the endpoint of each, its support, and whether it is at rest; adds up for each round how
    many moved, the sum and the largest of their moves, and how many came to rest. Returns how many
    are not at rest, and the rounds of the longest trajectory.
    """
    n_open = n_rounds = 0
    n_features, sums = places.shape[1], flat(totals)
    next_place, weights, lengths = flat(next_places), flat(support), flat(moves)
    means, endpoints = flat(places), flat(ends)
    for seed in range(first_places.shape[0]):
        here = last = first_places[seed]
        rests = False
        number = 0
        while number < totals.shape[0] and not rests:
            last, here = here, item(next_place, here)
            move = item(lengths, last)
            rests = is_at_rest(move, item(weights, last), rest)
            count_move(sums, number, move, rests)
            number += 1
        at_rest[seed] = rests
        last_support[seed] = item(weights, last)
        for f in range(n_features):
            put(endpoints, seed * n_features + f, item(means, here * n_features + f))
        n_open += not rests
        n_rounds = max(n_rounds, number)
    return n_open, n_rounds


class Outcome(NamedTuple):
    """What became of trajectories in some rounds.

    Attributes
    ----------
    endpoints : float64 array of shape (n_trajectories, n_features)
        Their last means.
    support : float64 array of shape (n_trajectories,)
        The weights in the balls that these were computed from.
    at_rest : bool array of shape (n_trajectories,)
        Whether they are at rest.
    totals : float64 array of shape (n_rounds, 4)
        Of each round, as `count_move` adds them up: how many moved, the sum of their moves, the
        largest, and how many came to rest.
    """

    endpoints: NDArray[np.float64]
    support: NDArray[np.float64]
    at_rest: NDArray[np.bool_]
    totals: NDArray[np.float64]


class Memo:
    """The places that some trajectories have come to, and the step from each.

    Parameters
    ----------
    positions : C-ordered float64 array of shape (n_seeds, n_features)
        Where they start.
    rest : float
        A trajectory rests after a move of at most this, or where its ball is empty.
    numbers : int64 array of shape (n_trajectories,), optional
        The position of each trajectory; None: one for each position.

    Attributes
    ----------
    live : int64 array of shape (n_live,)
        The places whose step is about to be computed.
    n_steps : int
        How many rounds are entered.
    """

    def __init__(
        self, positions: NDArray[np.float64], rest: float, numbers: NDArray[np.int64] | None = None
    ) -> None:
        n_seeds, n_features = positions.shape
        self.rest = rest
        self.n_steps = 0
        self._room = thresholds.MAX_MEMO_VALUES // (n_features + 8)
        size = min(max(8 * n_seeds, MIN_VALUES // (n_features + 8)), self._room)
        self._make_tables(max(size, 2 * n_seeds), n_features)
        self._first_places = np.empty(n_seeds, dtype=np.int64)
        self._n_places = _begin(
            self._patterns, self._slots, positions.view(np.int64), self._first_places
        )
        if numbers is not None:
            self._first_places = self._first_places[numbers]
        self.live = np.arange(self._n_places)
        self._next_places[: self._n_places] = PENDING

    def _make_tables(self, size: int, n_features: int) -> None:
        """Make room for so many places, and for each two to four slots.

        In one block, which the allocator keeps for the next fit: in five, 10 MB came fresh from the
        system each time, 5 ms of the 45 of 20,000 x 2 rows.
        """
        n_slots = 2 << size.bit_length()
        block = np.empty(size * (n_features + 3) + n_slots)
        self._support, self._moves = block[:size], block[size : 2 * size]
        self._next_places = block[2 * size : 3 * size].view(np.int64)
        self._slots = block[3 * size : 3 * size + n_slots].view(np.int64)
        self._slots[:] = 0
        self._places = block[3 * size + n_slots :].reshape(size, n_features)
        self._patterns = self._places.view(np.int64)

    def _grow(self) -> None:
        old = self._next_places, self._support, self._moves
        known = self._n_places
        patterns = self._patterns[:known]
        self._make_tables(2 * len(self._places), patterns.shape[1])
        _begin(self._patterns, self._slots, patterns, np.empty(known, dtype=np.int64))
        for more, some in zip((self._next_places, self._support, self._moves), old, strict=True):
            more[:known] = some[:known]

    @property
    def is_full(self) -> bool:
        """Whether the memo should be read, and a new one begun."""
        return self.n_steps > 0 and self._n_places >= self._room

    def positions(self) -> NDArray[np.float64]:
        """The live places, shape (n_live, n_features)."""
        return self._places.take(self.live, axis=0)

    def record(
        self, places: NDArray[np.float64], support: NDArray[np.float64], moves: NDArray[np.float64]
    ) -> None:
        """Enter steps from the live places.

        Parameters
        ----------
        places : float64 array of shape (n_live, n_steps, n_features)
            Where each step led; what comes after a rest is not read.
        support, moves : float64 arrays of shape (n_live, n_steps)
            The weight in each ball, and the length of each move.
        """
        patterns = places.view(np.int64)
        n_entered = 0
        while n_entered < moves.shape[1]:
            self._n_places, n_entered = _record(
                self._patterns, self._next_places, self._support, self._moves, self._n_places,
                self._slots, self.live, patterns, support, moves, self.rest, n_entered,
            )  # fmt: skip
            if n_entered < moves.shape[1]:
                self._grow()
        self.live = self.live[self.live >= 0]
        self.n_steps += moves.shape[1]

    def outcome(self, n_rounds: int) -> Outcome:
        """Read every trajectory for so many rounds, or fewer while some are live."""
        n_seeds = len(self._first_places)
        if self.live.size:
            n_rounds = self.n_steps
        endpoints = np.empty((n_seeds, self._places.shape[1]))
        support = np.empty(n_seeds)
        at_rest = np.empty(n_seeds, dtype=np.bool_)
        size = min(n_rounds, 64)
        while True:
            totals, n_open, n_rounds_found = np.zeros((size, 4)), 0, 0
            for start, stop in chunks(n_seeds, first=FIRST_CHUNK_SEEDS):
                n_left, n_longest = _follow(
                    self._first_places[start:stop], self._places, self._next_places, self._support,
                    self._moves, self.rest, endpoints[start:stop], support[start:stop],
                    at_rest[start:stop], totals,
                )  # fmt: skip
                n_open, n_rounds_found = n_open + n_left, max(n_rounds_found, n_longest)
            if n_open == 0 or size == n_rounds:
                break
            size = min(8 * size, n_rounds)
        return Outcome(endpoints, support, at_rest, totals[:n_rounds_found])
