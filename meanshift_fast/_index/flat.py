"""The heart: one shift of many positions, each to the mean of the rows in its ball.

The sums of a ball come from the moment tree, by the descent of descent.py: alone or sixteen
positions at once, and no neighbour is ever listed. Each row counts whole or not at all, and the
closed ball falls as in scikit-learn to the last bit: no box is judged otherwise than its rows.
"""

from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.base import Index, Walk, without_sums
from meanshift_fast._index.moment_tree import MomentTree
from meanshift_fast._index.traversal import (
    BLOCK,
    MANY,
    STACK,
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

# So many trajectories or fewer take some steps by themselves. A climb of 495 seeds among
# 1M x 2 rows takes 16 ms so and 34 ms step by step. How many steps matters little: fewer calls
# against more steps from where another has been. With 2, 4, 8 and 16 a fit of the photograph's 362
# seeds takes 43 to 46 ms, and one of 20,000 x 2 rows 27 to 29.
FEW = 4096
STEPS = 8
DRAWN = 1024  # positions that a thread draws at a time, at most: neighbours
DRAWS = 8  # of a thread, at least, where there are so many to draw
TASKS = 64  # enough to share out, few enough for neighbours to be many


# Who is done with some blocks draws the next. With halves, where a thread that the machine slows
# down is waited for, a million rows of two columns take 10.1 to 13.3 s to climb, and 7.8 to 9.6 so.


@step
def _shift_some(tree, positions, radius_sq, support, moves, counter, n_drawn, numbers, integers):
    """Shift positions, block by block, until none is left to draw."""
    places = flat(counter)
    start = fetch_add(places, n_drawn)
    while start < positions.shape[0]:
        end = min(start + n_drawn, positions.shape[0])
        for first in range(start, end, BLOCK):
            shift_block(
                tree, None, positions, first, min(first + BLOCK, end), (radius_sq, radius_sq),
                support, moves, numbers, integers,
            )  # fmt: skip
        start = fetch_add(places, n_drawn)


@parallel
def _flat_shifts(tree, positions, radius_sq, support, moves, counter, n_drawn, n_threads):
    for _ in prange(n_threads):
        numbers, integers = room_for(positions.shape[1])
        _shift_some(tree, positions, radius_sq, support, moves, counter, n_drawn, numbers, integers)


@step
def _follow_some(
    tree, positions, first, stop, radius_sq, rest, places, support, moves, memory, stack
):  # fmt: skip
    """Shift some positions again and again, until they rest or there is no more room."""
    n_features, n_steps = positions.shape[1], support.shape[1]
    views, stack, at, led_to = views_of(tree), flat(stack), flat(positions), flat(places)
    shared, own, place = flat(memory[0]), flat(memory[1]), flat(memory[2])
    for f in range(n_features + 1):
        store(own, f, full(0.0))  # one alone has nothing to itself
    for i in range(first, stop):
        for number in range(n_steps):
            for f in range(n_features):
                put(place, f, item(at, i * n_features + f))
            sum_ball(views, n_features, place, (radius_sq, radius_sq), stack, shared)
            support[i, number], moves[i, number] = move_to_mean(at, i, n_features, shared, own, 0)
            for f in range(n_features):
                put(led_to, (i * n_steps + number) * n_features + f, item(at, i * n_features + f))
            if moves[i, number] <= rest or support[i, number] == 0.0:
                break


# Neighbours in space read the same leaves, and find them in cache if they are one task's: a climb
# from 495 bins of 1M x 2 rows takes one thread 41 ms, and 58 if each task has some from everywhere.
# Half of the tasks, one after the other, are one of two threads'; they should not have half of the
# space, where trajectories may be longer. Of more threads each has a few stretches. Tasks that are
# drawn, here and where trees are built and rows labelled, gained nothing: 100,000 x 8 rows took 125
# to 152 ms without, and 131 to 175 drawn.


@step
def _part_of(task, n_tasks):
    """Which of the parts a task has: every second one, then those between."""
    half = (n_tasks + 1) // 2
    return 2 * task if task < half else 2 * (task - half) + 1


@parallel
def _follow_all(tree, positions, radius_sq, rest, places, support, moves):
    n_positions = positions.shape[0]
    n_tasks = min(n_positions, TASKS)
    for task in prange(n_tasks):
        size = (positions.shape[1] + 1) * LANES
        memory = empty_floats(size), empty_floats(size), empty_floats(size)
        stack = empty_integers(STACK)
        part = _part_of(np.int64(task), n_tasks)  # prange counts unsigned: compiled twice
        first, stop = part * n_positions // n_tasks, (part + 1) * n_positions // n_tasks
        _follow_some(
            tree, positions, first, stop, radius_sq, rest, places, support, moves, memory, stack
        )  # fmt: skip


def _square_of(bandwidth: float) -> float:
    """The square, or the largest number: an infinite ball would reach children that are none."""
    return min(bandwidth * bandwidth, FLAT_MOST)


def _drawn_at_once(n_positions: int, multiple: int) -> int:
    """How many positions a thread draws: of few, few, so that no thread is left without.

    A piece of 120,000 x 48 rows is some 80 positions. Where a draw was 1,024, one thread took all:
    1,000 positions took two threads 5.3 s, and take 1.5.
    """
    share = n_positions // (DRAWS * available_threads())
    return max(min(share, DRAWN) // multiple, 1) * multiple


def shift(
    tree: MomentTree, positions: NDArray[np.float64], bandwidth: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move every position, in place, to the weighted mean of the rows in its ball.

    Parameters
    ----------
    tree : MomentTree
        The rows.
    positions : C-ordered float64 array of shape (n_positions, n_features)
        Overwritten by the means; a position with an empty ball stays where it is. Fastest where
        neighbours in space follow one another.
    bandwidth : float
        Radius of the closed ball, in the unit of the positions.

    Returns
    -------
    support : float64 array of shape (n_positions,)
        The weight in each ball, around the position as it was; 0 where the ball is empty.
    moves : float64 array of shape (n_positions,)
        How far each position went.

    Notes
    -----
    About n^(1 - 1/d) for each position. Bit-equal for every number of threads.
    """
    support = np.empty(len(positions))
    moves = np.empty(len(positions))
    first = FIRST_CHUNK_VALUES // tree.points.size
    # Positions in many columns go alone, and each may take as long as blocks of them in few.
    multiple = BLOCK if positions.shape[1] <= MANY else 1
    for start, stop in chunks(len(positions), first=first, multiple=multiple):
        n_drawn = _drawn_at_once(stop - start, multiple)
        _flat_shifts(
            tree, positions[start:stop], _square_of(bandwidth), support[start:stop],
            moves[start:stop], np.zeros(1, dtype=np.int64), n_drawn, available_threads(),
        )  # fmt: skip
    return support, moves


def next_steps(
    tree: MomentTree,
    positions: NDArray[np.float64],
    n_steps: int,
    rest: float,
    bandwidth: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Take the next steps of trajectories: one of many, some of a few.

    With a task for each step of each block of them, a few trajectories far apart would spend a
    third of the time on waiting for the last. They go alone, for several steps each.

    Parameters
    ----------
    tree : MomentTree
        The rows.
    positions : C-ordered float64 array of shape (n_positions, n_features)
        Where they stand; overwritten by their last means. Fastest where neighbours in space follow
        one another.
    n_steps : int
        At most so many steps of each, at least 1.
    rest : float
        A position rests after a move of at most this, or where its ball is empty.
    bandwidth : float
        Radius of the closed ball, in the unit of the positions as ``rest`` is.

    Returns
    -------
    places : float64 array of shape (n_positions, n_taken, n_features)
        Where each step led; nothing is set after a rest.
    support, moves : float64 arrays of shape (n_positions, n_taken)
        For each step the weight in the ball and the length of the move.

    Notes
    -----
    Bit-equal for every number of threads.
    """
    if len(positions) > FEW:
        support, moves = shift(tree, positions, bandwidth)
        return positions[:, None], support[:, None], moves[:, None]
    n_steps = min(n_steps, STEPS)
    places = np.empty((len(positions), n_steps, positions.shape[1]))
    support = np.empty((len(positions), n_steps))
    moves = np.empty((len(positions), n_steps))
    first = max(FIRST_CHUNK_VALUES // (tree.points.size * n_steps), 1)
    for start, stop in chunks(len(positions), first=first):
        _follow_all(
            tree, positions[start:stop], _square_of(bandwidth), rest, places[start:stop],
            support[start:stop], moves[start:stop],
        )  # fmt: skip
    return places, support, moves


@dataclass(frozen=True)
class FlatIndex(Index):
    """Rows that count alike within the closed ball."""

    tree: MomentTree
    radius: float
    depends_on_position_alone = True

    @property
    def order(self) -> NDArray[np.signedinteger]:
        """The rows in the order of the tree."""
        return self.tree.order

    def shift(
        self, positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move every position to the mean of the rows in its ball."""
        return shift(self.tree, positions, self.radius)

    def walk(self, positions: NDArray[np.float64], n_steps: int, rest: float) -> Walk:
        """Take one step of many positions, some of a few."""
        return Walk(*next_steps(self.tree, positions, n_steps, rest, self.radius))

    def sorts(self, *, scattered: bool, coalescing: bool) -> bool:
        """Blocks of neighbours share a traversal; trajectories of all rows stay in order."""
        return scattered and self.tree.points.shape[1] <= MANY

    def boxes(self) -> MomentTree:
        """The tree without its sums."""
        return without_sums(self.tree)
