"""The flat index: each position shifts to the mean of the rows in its closed ball, exactly.

    positions --traversal--> sums of each ball --> means       one step of many (`shift`)
                                                               some steps of a few (`walk`)

The sums of a ball come from the moment tree by the traversal of `traversal.py`, for one position or
for sixteen at once. A row counts whole or not at all, and the test of the closed ball is
scikit-learn's to the last bit: a box is never classified otherwise than its rows.
"""

from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.base import TreeIndex, Walk, empty_walk
from meanshift_fast._index.epanechnikov import sum_epanechnikov
from meanshift_fast._index.moment_tree import MomentTree
from meanshift_fast._index.stopping import is_at_rest
from meanshift_fast._index.traversal import (
    BLOCK_POSITIONS,
    MAX_GROUPED_FEATURES,
    STACK_BLOCKS,
    move_to_mean,
    room_for,
    shift_block,
    sum_ball,
    views_of,
)
from meanshift_fast._input.scaling import FLAT_MOST
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import empty_floats, empty_integers, parallel, step
from meanshift_fast._jit.simd import LANES, fetch_add, flat, full, item, put, store
from meanshift_fast._jit.threads import available_threads

FIRST_CHUNK_VALUES = 1 << 30  # read or measured by the first chunk, at most: less than a second

# Up to so many trajectories take some steps in a call. The ascent of 495 seeds among 1M x 2 rows
# takes 16 ms so, and 34 ms step by step. The number of steps matters little: more of them are fewer
# calls, and more steps that the memo holds. With 2, 4, 8 and 16 a fit of the photograph's 362 seeds
# takes 43 to 46 ms, and one of 20,000 x 2 rows 27 to 29.
MAX_WALKING_POSITIONS = 4096
STEPS_A_CALL = 8
MAX_POSITIONS_A_TAKE = 1024  # of a thread: neighbours
MIN_TAKES_A_THREAD = 8  # where there are so many
MAX_TASKS = 64  # enough to share out, few enough for neighbours to be many


# A thread that has finished takes the next blocks. With one half for each of two threads, where the
# slower one is waited for, an ascent of 1M x 2 rows takes 10.1 to 13.3 s, and 7.8 to 9.6 so.


@step
def _shift_some(tree, positions, radius_sq, support, moves, counter, n_taken, numbers, integers):
    """Shift positions, block by block, until none is left to take."""
    places = flat(counter)
    start = fetch_add(places, n_taken)
    while start < positions.shape[0]:
        end = min(start + n_taken, positions.shape[0])
        for first in range(start, end, BLOCK_POSITIONS):
            shift_block(
                tree, None, positions, first, min(first + BLOCK_POSITIONS, end),
                (radius_sq, radius_sq), support, moves, numbers, integers,
            )  # fmt: skip
        start = fetch_add(places, n_taken)


@parallel
def _shift_all(tree, positions, radius_sq, support, moves, counter, n_taken, n_threads):
    for _ in prange(n_threads):
        numbers, integers = room_for(positions.shape[1])
        _shift_some(tree, positions, radius_sq, support, moves, counter, n_taken, numbers, integers)


@step
def _follow_some(tree, positions, first, stop, radius_sq, rest, walk, memory, stack):
    """Shift some positions again and again, until they rest or there is no more room."""
    n_features, n_steps = positions.shape[1], walk.support.shape[1]
    views, stack, at, means = views_of(tree), flat(stack), flat(positions), flat(walk.places)
    shared, own, place = flat(memory[0]), flat(memory[1]), flat(memory[2])
    for f in range(n_features + 1):
        store(own, f, full(0.0))  # a position alone uses `shared` only
    for i in range(first, stop):
        for number in range(n_steps):
            for f in range(n_features):
                put(place, f, item(at, i * n_features + f))
            sum_ball(views, n_features, place, (radius_sq, radius_sq), stack, shared)
            weight, move = move_to_mean(at, i, n_features, shared, own, 0)
            walk.support[i, number], walk.moves[i, number] = weight, move
            for f in range(n_features):
                put(means, (i * n_steps + number) * n_features + f, item(at, i * n_features + f))
            if is_at_rest(move, weight, rest):
                break


# Neighbours in space read the same leaves, and find them in cache if one task has them: an ascent
# from 495 bins of 1M x 2 rows takes one thread 41 ms, and 58 if each task's lie everywhere. Numba
# gives each of two threads one half of the tasks; that should not be one half of the space, where
# trajectories may be longer. Tasks taken one by one, here and where trees are built and rows
# labelled, gained nothing: 100,000 x 8 rows took 125 to 152 ms without, and 131 to 175 so.


@step
def _part_of(task, n_tasks):
    """The part of the positions that a task has: every second part, then those between."""
    half = (n_tasks + 1) // 2
    return 2 * task if task < half else 2 * (task - half) + 1


@parallel
def _follow_all(tree, positions, radius_sq, rest, walk):
    n_positions = positions.shape[0]
    n_tasks = min(n_positions, MAX_TASKS)
    for task in prange(n_tasks):
        size = (positions.shape[1] + 1) * LANES
        memory = empty_floats(size), empty_floats(size), empty_floats(size)
        stack = empty_integers(STACK_BLOCKS)
        part = _part_of(np.int64(task), n_tasks)  # prange counts unsigned: compiled twice
        first, stop = part * n_positions // n_tasks, (part + 1) * n_positions // n_tasks
        _follow_some(tree, positions, first, stop, radius_sq, rest, walk, memory, stack)


def _square_of(bandwidth: float) -> float:
    """The square, at most the largest number: an infinite ball would reach absent children."""
    return min(bandwidth * bandwidth, FLAT_MOST)


def _positions_a_take(n_positions: int, multiple: int) -> int:
    """How many positions a thread takes at once: of few positions few, so that each has some.

    A chunk of 120,000 x 48 rows is some 80 positions. Taken 1,024 at once, one thread had them all:
    1,000 positions took two threads 5.3 s, and take 1.5.
    """
    share = n_positions // (MIN_TAKES_A_THREAD * available_threads())
    return max(min(share, MAX_POSITIONS_A_TAKE) // multiple, 1) * multiple


@dataclass(frozen=True)
class FlatIndex(TreeIndex):
    """Rows that count whole in the closed ball, and not at all beyond it."""

    tree: MomentTree
    radius: float
    depends_on_position_alone = True

    def shift(
        self, positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move every position to the mean of the rows in its ball; about n^(1 - 1/d) for each."""
        support, moves = np.empty(len(positions)), np.empty(len(positions))
        first, radius_sq = FIRST_CHUNK_VALUES // self.tree.points.size, _square_of(self.radius)
        # Positions in many columns are shifted alone, and one may take as long as a block in few.
        multiple = BLOCK_POSITIONS if positions.shape[1] <= MAX_GROUPED_FEATURES else 1
        for start, stop in chunks(len(positions), first=first, multiple=multiple):
            n_taken = _positions_a_take(stop - start, multiple)
            _shift_all(
                self.tree, positions[start:stop], radius_sq, support[start:stop],
                moves[start:stop], np.zeros(1, dtype=np.int64), n_taken, available_threads(),
            )  # fmt: skip
        return support, moves

    def walk(self, positions: NDArray[np.float64], n_steps: int, rest: float) -> Walk:
        """Take one step of many positions, some of a few.

        With a task for each step of each block, a few trajectories far apart would spend a third of
        the time waiting for the last. They are shifted alone, several steps each.
        """
        if len(positions) > MAX_WALKING_POSITIONS:
            return super().walk(positions, n_steps, rest)
        walk = empty_walk(positions, min(n_steps, STEPS_A_CALL))
        first = max(FIRST_CHUNK_VALUES // (self.tree.points.size * walk.support.shape[1]), 1)
        radius_sq = _square_of(self.radius)
        for start, stop in chunks(len(positions), first=first):
            _follow_all(self.tree, positions[start:stop], radius_sq, rest, walk.part(start, stop))
        return walk

    def sorts(self, *, scattered: bool, coalescing: bool) -> bool:
        """Scattered positions gain, where groups share a traversal; those of all rows stay so."""
        return scattered and self.tree.points.shape[1] <= MAX_GROUPED_FEATURES

    def density(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum the shadow of the kernel, Epanechnikov's."""
        return sum_epanechnikov(self.tree, places, self.radius)


@dataclass(frozen=True)
class ExactIndex(TreeIndex):
    """The index of a bandwidth of 0: a neighbourhood is the rows that equal the position."""

    tree: MomentTree
    radius: float = 0.0

    def shift(
        self, positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Leave every position: the mean of equal rows need not be bit-equal to them."""
        return self.density(positions), np.zeros(len(positions))

    def density(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weigh the rows that equal each place."""
        return FlatIndex(self.tree, 0.0).shift(places.copy())[0]
