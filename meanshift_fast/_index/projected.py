"""The index of rows in many columns: most rows are settled by their projections.

In many columns no box of sixteen rows is small, and a tree of boxes opens nearly all its leaves.
But rows seldom fill their dimensions. Coordinates along the sixteen axes of largest spread, and the
distance off these axes, are a projection of seventeen numbers (`projection.py`) that bounds
distances from both sides:

    row x, middle c          along the axes: z = V'(x - c)          off the axes: q = |x - c - V z|

    |z - z'|^2 + (q - q')^2  <=  |x - x'|^2  <=  |z - z'|^2 + (q + q')^2

The moment tree is built over the projections. A child whose box is beyond the ball by the left
bound is skipped, one inside it by the right bound is added by its sums, the others are opened. A
row of a leaf that the left bound does not rule out is measured in all its features.

Projections are rounded, and so are axes. With E = V'V - 1, both bounds hold up to a factor
1 + 2 |E|, and a computed projection is off by at most some (n_features + n_axes) eps |x - c|. So
projections decide for a ball that is wider, or narrower, by

    blur * (bandwidth + extent + |x' - c|),      extent = the largest |x - c|

with a blur far above both. The sum over the features of a row, in any order, is within
(n_features + 2) eps of the exact one: where that could decide on which side of the sphere a row
lies, it is summed once more, feature by feature, as the flat index does. So the rows in a ball are
the flat index's, to the last one.

A position near its endpoint keeps a neighbour list with a skin: see `neighbour_list.py`.
"""

import sys
from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.base import Index, Walk, empty_walk
from meanshift_fast._index.epanechnikov import sum_epanechnikov
from meanshift_fast._index.moment_tree import MomentTree, build
from meanshift_fast._index.neighbour_list import (
    HELD_ROWS,
    ListMemory,
    ListViews,
    list_neighbours,
    skin_width,
    sum_neighbours,
)
from meanshift_fast._index.projection import Projections, project_position
from meanshift_fast._index.stopping import is_at_rest
from meanshift_fast._index.traversal import STACK_BLOCKS, views_of
from meanshift_fast._input.scaling import readonly, readonly_table
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import parallel, step
from meanshift_fast._jit.simd import LANES, fetch_add, flat, item, load, put, store
from meanshift_fast._jit.threads import available_threads

# Positions that a thread takes at a time: neighbours in space, if given in such an order. The fit
# of the digits takes 22.3 ms so, and 24.1 if each of two threads has half; with 1 or 16 as with 4.
POSITIONS_A_TAKE = 4
FIRST_CHUNK_VALUES = 1 << 30  # read or measured by the first chunk, at most: less than a second
# That a position takes in a call; the first scans all rows. Digits take as long with 5 and 32.
STEPS_A_CALL = 16
MIN_FEATURES = 33  # fewer are left to the tree: 10,000 x 32 gains nothing


@step
def _follow_one(data, views, memory, radius, rest, places, first, support, moves):
    """Shift a position again and again, until it rests or there is no more room.

    The means are written to places[first:].
    """
    middle, axes, n_axes = flat(data.middle), flat(data.axes), data.axes.shape[0]
    n_features, place, home = views.n_features, memory.place, memory.home
    width = unsure = moved = base_support = 0.0
    n_skin = np.int64(0)
    for number in range(support.shape[0]):
        if number == 0 or moved > width:
            width = skin_width(moves[number - 1], radius) if number > 0 else 0.0
            distance = project_position(
                middle, axes, n_axes, views.n_vectors, place, memory.off, memory.projection
            )
            unsure = data.blur * (radius + data.extent + distance)
            base_support, n_skin = list_neighbours(
                views, memory, radius + width + unsure, radius - width - unsure
            )
            for k in range(views.n_vectors):
                store(home, k, load(place, k))
            width *= 1.0 - data.blur
            moved = 0.0
        weight = base_support + sum_neighbours(views, memory, radius, moved + unsure, n_skin)
        move_sq = moved_sq = 0.0
        if weight > 0.0:
            for f in range(n_features):
                mean = item(memory.sums, f) / weight
                move = mean - item(place, f)
                move_sq += move * move
                away = mean - item(home, f)
                moved_sq += away * away
                put(place, f, mean)
        moved = np.sqrt(moved_sq)
        support[number], moves[number] = weight, np.sqrt(move_sq)
        for f in range(n_features):
            put(places, first + number * n_features + f, item(place, f))
        if is_at_rest(moves[number], weight, rest):
            break


@step
def _follow_some(data, tree, positions, radius, rest, walk, counter, numbers, integers, distances):
    """Follow positions, some at a time, until none is left to take."""
    n_features, at, n_steps = positions.shape[1], flat(positions), walk.support.shape[1]
    views = ListViews(
        flat(data.rows), flat(data.row_weights), data.row_weights.shape[0] > 0,
        flat(data.sums), views_of(tree), n_features, data.rows.shape[1] // LANES,
        data.axes.shape[0] + 1,
    )  # fmt: skip
    memory = ListMemory(
        flat(numbers[0]), flat(numbers[1]), flat(numbers[2]), flat(numbers[3]), flat(numbers[4]),
        flat(numbers[5]), flat(integers), flat(integers[STACK_BLOCKS:]),
        flat(integers[STACK_BLOCKS + HELD_ROWS + 1 :]), flat(distances),
    )  # fmt: skip
    start = fetch_add(flat(counter), POSITIONS_A_TAKE)
    while start < positions.shape[0]:
        for i in range(start, min(start + POSITIONS_A_TAKE, positions.shape[0])):
            for f in range(n_features):
                put(memory.place, f, item(at, i * n_features + f))
            _follow_one(
                data, views, memory, radius, rest, flat(walk.places), i * n_steps * n_features,
                walk.support[i], walk.moves[i],
            )  # fmt: skip
            for f in range(n_features):
                put(at, i * n_features + f, item(memory.place, f))
        start = fetch_add(flat(counter), POSITIONS_A_TAKE)


@parallel
def _follow_all(data, tree, positions, radius, rest, walk, counter, n_threads):
    for _ in prange(n_threads):
        n_rows = data.rows.shape[0]
        numbers = np.zeros((6, data.rows.shape[1] + LANES))
        integers = np.empty(STACK_BLOCKS + HELD_ROWS + 2 + n_rows, np.int64)
        distances = np.empty(n_rows + 1)
        _follow_some(
            data, tree, positions, radius, rest, walk, counter, numbers, integers, distances
        )


def is_worth(points: NDArray[np.float64], n_seeds: int) -> bool:
    """Whether so many seeds pay for projections of a table."""
    return n_seeds > max_seeds_without(points)


def max_seeds_without(points: NDArray[np.float64]) -> int:
    """The largest number of seeds that projections of a table do not pay for.

    In fewer columns than projections are for, as many as there can be.
    """
    n_samples, n_features = points.shape
    return max(n_samples // 8, LANES) if n_features >= MIN_FEATURES else sys.maxsize


@dataclass(frozen=True)
class ProjectedIndex(Index):
    """Rows in many columns, most of them settled by the tree of their projections on few axes."""

    tree: MomentTree
    projections: Projections
    radius: float
    depends_on_position_alone = True

    @property
    def order(self) -> NDArray[np.signedinteger]:
        """The rows in the order of the tree of their projections."""
        return self.tree.order

    def shift(
        self, positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move every position to the mean of the rows in its ball: the first step of a walk."""
        _, support, moves = self.walk(positions, 1, 0.0)
        return support[:, 0], moves[:, 0]

    def walk(self, positions: NDArray[np.float64], n_steps: int, rest: float) -> Walk:
        """Take some steps of each position."""
        data, walk = self.projections, empty_walk(positions, min(n_steps, STEPS_A_CALL))
        first = max(FIRST_CHUNK_VALUES // (data.rows.size * walk.support.shape[1]), 1)
        for start, stop in chunks(len(positions), first=first, multiple=POSITIONS_A_TAKE):
            _follow_all(
                data, self.tree, positions[start:stop], float(self.radius), float(rest),
                walk.part(start, stop), np.zeros(1, dtype=np.int64), available_threads(),
            )  # fmt: skip
        return walk

    def density(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum the shadow of the kernel, Epanechnikov's, on a tree of the rows themselves."""
        held = self.projections
        rows = readonly_table(held.rows[:, : places.shape[1]])
        return sum_epanechnikov(build(rows, readonly(held.row_weights)), places, self.radius)
