"""Tracks: where trajectories have been, bit by bit, and where they went from there.

    seed 0   a --> b --> c --> d --> e *          a place is entered once, with the move that
    seed 1   f --> g --> c                        leads on from it. Who comes to a place where
    seed 2   h --> i --> j --> d                  another has been goes on as that one did.

The mean of a ball depends on where the ball is and, but for its last bits, on nothing else, so
what comes after c need not be computed again: who comes first settles the bits. And a flat ball
has the same mean wherever it holds the same rows, so trajectories do come through the very same
places. Of 20,000 rows of 20 blobs, each a seed, the climb takes 259,000 shifts, and 131,000 of
them are distinct; of the 362 bins of a photograph 28,900 and 11,500; of 1,797 digits 12,500 and
8,500. Nothing is lost: every seed's story, with each of its moves and the round that it was made
in, is read off the tracks in the end.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._jit.chunks import pieces
from meanshift_fast._jit.compiler import serial, step
from meanshift_fast._jit.hashing import hash_of_words
from meanshift_fast._jit.simd import flat, item, put

UNTAKEN = -1  # nobody has gone on from here
AHEAD = -2  # somebody stands here and is about to

# Numbers that tracks hold before they are read off and begun anew, which forgets who has been
# where: with half as many a fit of 60,000 x 2 rows takes 155 ms and not 132.
VALUES = 1 << 23
FIRST = 1 << 16  # seeds in the first piece that is read off


@step
def _enter(words, n_features, n_places, slots, last_slot, arrivals, first):
    """Find the number of the place that arrivals[first:] spell; ``n_places`` where it is new.

    Places are compared bit by bit: 0.0 and -0.0 are two, which costs a shift and no more.
    """
    slot = hash_of_words(arrivals, first, n_features) & last_slot
    while item(slots, slot) > 0:
        known = item(slots, slot) - 1
        f = 0
        while f < n_features and item(words, known * n_features + f) == item(arrivals, first + f):
            f += 1
        if f == n_features:
            return known
        slot = (slot + 1) & last_slot
    put(slots, slot, n_places + 1)
    for f in range(n_features):
        put(words, n_places * n_features + f, item(arrivals, first + f))
    return n_places


@serial
def _begin(words, slots, arrivals, stands):
    """Enter the first places, and note the number of each; how many are distinct."""
    n_features, n_places = arrivals.shape[1], np.int64(0)  # a literal: `_enter` twice
    words, table, arriving = flat(words), flat(slots), flat(arrivals)
    for i in range(arrivals.shape[0]):
        stands[i] = _enter(
            words, n_features, n_places, table, slots.shape[0] - 1, arriving, i * n_features
        )
        n_places = max(n_places, stands[i] + 1)
    return n_places


@serial
def _go_on(
    words, onward, support, moves, n_places, slots, live, arrivals, new_support, new_moves, rest,
    first,
):  # fmt: skip
    """Enter steps round by round, until their trajectories rest or come to where one has been.

    Begins with a round, and returns how many places there are and with which round to go on where
    there is no room for it.

    Overwrites in ``live`` where each stands by where it stands then, or by -1 where it is told.
    Going round by round, who joins another is never earlier than that one was: the rounds that
    are left to him suffice.
    """
    n_steps, n_features = arrivals.shape[1:]
    words, table, arriving = flat(words), flat(slots), flat(arrivals)
    for number in range(first, n_steps):
        if n_places + live.shape[0] > onward.shape[0]:
            return n_places, number
        for i in range(live.shape[0]):
            here = live[i]
            if here < 0:
                continue
            there = _enter(
                words, n_features, n_places, table, slots.shape[0] - 1, arriving,
                (i * n_steps + number) * n_features,
            )  # fmt: skip
            if there == n_places:
                onward[there] = UNTAKEN
                n_places += 1
            support[here] = new_support[i, number]
            moves[here] = new_moves[i, number]
            onward[here] = there
            live[i] = -1
            at_rest = moves[here] <= rest or support[here] == 0.0
            if not at_rest and onward[there] == UNTAKEN:
                onward[there] = AHEAD
                live[i] = there
    return n_places, n_steps


@serial
def _read_off(stands, places, onward, support, moves, rest, ends, last_support, at_rest, told):
    """Follow seeds along the tracks, for as many rounds as there is room to tell.

    Notes where each ends, with what support, and whether it rests there; and adds to what is told
    of each round how many moved, the sum and the largest of their moves, and how many came to
    rest. Returns how many do not rest, and how many rounds the longest story has.
    """
    n_open = n_rounds = 0
    n_features, tale = places.shape[1], flat(told)
    next_place, weights, lengths = flat(onward), flat(support), flat(moves)
    coming, going = flat(places), flat(ends)
    for seed in range(stands.shape[0]):
        here = last = stands[seed]
        rests = False
        number = 0
        while number < told.shape[0] and not rests:
            last, here = here, item(next_place, here)
            move = item(lengths, last)
            rests = move <= rest or item(weights, last) == 0.0
            at = 4 * number
            put(tale, at, item(tale, at) + 1.0)
            put(tale, at + 1, item(tale, at + 1) + move)
            put(tale, at + 2, max(item(tale, at + 2), move))
            put(tale, at + 3, item(tale, at + 3) + rests)
            number += 1
        at_rest[seed] = rests
        last_support[seed] = item(weights, last)
        for f in range(n_features):
            put(going, seed * n_features + f, item(coming, here * n_features + f))
        n_open += not rests
        n_rounds = max(n_rounds, number)
    return n_open, n_rounds


class Outcome(NamedTuple):
    """What became of trajectories in some rounds.

    Attributes
    ----------
    ends : float64 array of shape (n_seeds, n_features)
        Their last means.
    support : float64 array of shape (n_seeds,)
        The weights in the balls that these were computed from.
    at_rest : bool array of shape (n_seeds,)
        Whether they rest.
    rounds : list of tuples
        For each round how many took a step, their mean and largest move, and how many rest by then.
    """

    ends: NDArray[np.float64]
    support: NDArray[np.float64]
    at_rest: NDArray[np.bool_]
    rounds: list[tuple[int, float, float, int]]


class Tracks:
    """The places that some trajectories have come to.

    Parameters
    ----------
    positions : C-ordered float64 array of shape (n_seeds, n_features)
        Where they stand.
    rest : float
        A trajectory rests after a move of at most this, or where its ball is empty.
    numbers : int64 array of shape (n_trajectories,), optional
        The position of each trajectory; None: one for each position.

    Attributes
    ----------
    live : int64 array of shape (n_live,)
        The places from where somebody is about to go on; each is one trajectory, for however many.
    n_steps : int
        How many steps the live ones have taken.
    """

    def __init__(
        self,
        positions: NDArray[np.float64],
        rest: float,
        numbers: NDArray[np.int64] | None = None,
    ) -> None:
        n_seeds, n_features = positions.shape
        self.rest = rest
        self.n_steps = 0
        self._room = VALUES // (n_features + 8)
        self._make_tables(max(min(8 * n_seeds, self._room), 2 * n_seeds), n_features)
        self._stands = np.empty(n_seeds, dtype=np.int64)
        self._n_places = _begin(self._words, self._slots, positions.view(np.int64), self._stands)
        if numbers is not None:
            self._stands = self._stands[numbers]
        self.live = np.arange(self._n_places)
        self._onward[: self._n_places] = AHEAD

    def _make_tables(self, size: int, n_features: int) -> None:
        """Make room for so many places, and for each two to four slots.

        In one block, which the allocator keeps for the next fit: in five, 10 MB came fresh from the
        system each time, 5 ms of the 45 of 20,000 x 2 rows.
        """
        n_slots = 2 << size.bit_length()
        block = np.empty(size * (n_features + 3) + n_slots)
        self._support, self._moves = block[:size], block[size : 2 * size]
        self._onward = block[2 * size : 3 * size].view(np.int64)
        self._slots = block[3 * size : 3 * size + n_slots].view(np.int64)
        self._slots[:] = 0
        self._places = block[3 * size + n_slots :].reshape(size, n_features)
        self._words = self._places.view(np.int64)

    def _grow(self) -> None:
        old = self._onward, self._support, self._moves
        known = self._n_places
        words = self._words[:known]
        self._make_tables(2 * len(self._places), words.shape[1])
        _begin(self._words, self._slots, words, np.empty(known, dtype=np.int64))
        for more, some in zip((self._onward, self._support, self._moves), old, strict=True):
            more[:known] = some[:known]

    @property
    def is_full(self) -> bool:
        """Whether the tracks should be read off, and new ones begun."""
        return self.n_steps > 0 and self._n_places >= self._room

    def positions(self) -> NDArray[np.float64]:
        """Where the live trajectories stand, shape (n_live, n_features)."""
        return self._places.take(self.live, axis=0)

    def go_on(
        self,
        places: NDArray[np.float64],
        support: NDArray[np.float64],
        moves: NDArray[np.float64],
    ) -> None:
        """Enter the next steps of the live trajectories.

        Parameters
        ----------
        places : float64 array of shape (n_live, n_steps, n_features)
            Where each step led; what comes after a rest is not looked at.
        support, moves : float64 arrays of shape (n_live, n_steps)
            The weight in each ball, and the length of each move.
        """
        words = places.view(np.int64)
        n_entered = 0
        while n_entered < moves.shape[1]:
            self._n_places, n_entered = _go_on(
                self._words, self._onward, self._support, self._moves, self._n_places,
                self._slots, self.live, words, support, moves, self.rest, n_entered,
            )  # fmt: skip
            if n_entered < moves.shape[1]:
                self._grow()
        self.live = self.live[self.live >= 0]
        self.n_steps += moves.shape[1]

    def read_off(self, n_rounds: int) -> Outcome:
        """Tell what became of every seed in so many rounds, or fewer while some are live."""
        n_seeds = len(self._stands)
        if self.live.size:
            n_rounds = self.n_steps
        ends = np.empty((n_seeds, self._places.shape[1]))
        support = np.empty(n_seeds)
        at_rest = np.empty(n_seeds, dtype=np.bool_)
        size = min(n_rounds, 64)
        while True:
            told, n_open, n_told = np.zeros((size, 4)), 0, 0
            for start, stop in pieces(n_seeds, first=FIRST):
                n_more, n_longest = _read_off(
                    self._stands[start:stop], self._places, self._onward, self._support,
                    self._moves, self.rest, ends[start:stop], support[start:stop],
                    at_rest[start:stop], told,
                )  # fmt: skip
                n_open, n_told = n_open + n_more, max(n_told, n_longest)
            if n_open == 0 or size == n_rounds:
                break
            size = min(8 * size, n_rounds)
        rounds, n_rested = [], 0
        for n_active, moved, largest, n_resting in told[:n_told].tolist():
            n_rested += int(n_resting)
            rounds.append((int(n_active), moved / n_active, largest, n_rested))
        return Outcome(ends, support, at_rest, rounds)
