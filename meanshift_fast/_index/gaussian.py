"""The Gaussian index: every position shifts to the mean of all rows, weighed by their distance.

    positions that lie together, in an order of neighbourhood
        |-- within a part of a bandwidth --> one pass for all, and a series about their center
        |-- sixteen, near few rows --------> direct_sums: each near row for all of them
        `-- else --------------------------> a pass each

    a pass: moment tree, sigma_points --> gaussian_sums <-- error_bounds: which nodes it may take

``accuracy`` is a promise; docs/explanations/gaussian_promise.md derives it. Above three features
there are no series; above four a node is its mean, one sigma point. Positions so far from all rows
that the kernel vanishes measure exponents from their nearest row, and go alone.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.base import TreeIndex
from meanshift_fast._index.direct_sums import (
    LEAVES_A_POSITION,
    near_leaves,
    reach_of,
    shift_directly,
)
from meanshift_fast._index.error_bounds import Workspace
from meanshift_fast._index.gaussian_sums import sum_about
from meanshift_fast._index.moment_tree import MomentTree
from meanshift_fast._index.newton import polish
from meanshift_fast._index.series import move_by_cumulants, remainder, write_series
from meanshift_fast._index.sigma_points import HUGE, SigmaPoints, find_sigma_points, nodes_of
from meanshift_fast._index.traversal import STACK_BLOCKS, Group, fill_group
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import parallel, step
from meanshift_fast._jit.simd import LANES, flat, item, load, lowest, put, total

BLOCK_POSITIONS = 1024  # a task shifts so many, and a group holds no more
FIRST_CHUNK_VALUES = 1 << 30  # that the passes of the first chunk go through at most
MAX_GROUPED_FEATURES = 3  # features up to which a series serves a group
MAX_DIRECT_FEATURES = 8  # features up to which sums may be direct
MAX_CUT_POSITIONS = 64  # of a group that is cut to fill all lanes
MAX_GROUPED_SUMS = 40  # of a pass for a group: in three features
NODES_SHARE = 0.7  # of the accuracy, for the nodes' errors where positions go in groups
USUAL_REMAINDER = 1.0  # R / rho^4, before any is known
MAX_GROUP_RADIUS = 1.0  # bandwidths
FAR_BANDWIDTHS = 1e9  # from the rows; beyond, squares round away which row is nearest


# Groups of positions.


@step
def _bound_group(positions, first, stop, n_features, center):
    """Write the middle of some positions' box; returns their largest distance from it."""
    for f in range(n_features):
        low = high = item(positions, first * n_features + f)
        for i in range(first + 1, stop):
            low = min(low, item(positions, i * n_features + f))
            high = max(high, item(positions, i * n_features + f))
        put(center, f, 0.5 * low + 0.5 * high)
    most_sq = 0.0
    for i in range(first, stop):
        away_sq = 0.0
        for f in range(n_features):
            away = item(positions, i * n_features + f) - item(center, f)
            away_sq += away * away
        most_sq = max(most_sq, away_sq)
    return math.sqrt(most_sq)


# Positions that are left of rows of a tree are no whole nodes of it. Halved in the middle, groups
# spanned the gaps between nodes: the first shift of the 673,470 cells of 0.01 bandwidths that a
# million rows in 20 blobs lie in took 39,753 passes and takes 20,775; one of all rows 20,285.


@step
def _widest_gap(positions, first, stop, n_features):
    """Where to split some positions: of those in the middle half, between the two farthest apart.

    Between the first two equals; with no gap at all, as of NaNs, in the middle.
    """
    edge = (stop - first) // 4
    widest, most_sq = (first + stop) // 2, 0.0
    for i in range(first + max(edge, 1), stop - edge):
        gap_sq = 0.0
        for f in range(n_features):
            gap = item(positions, i * n_features + f) - item(positions, (i - 1) * n_features + f)
            gap_sq += gap * gap
        if gap_sq > most_sq:
            widest, most_sq = i, gap_sq
    return widest


# Shifts from the sums.


@step
def _move_to_mean(positions, first, stop, n_features, work, reference_sq, support, moves):
    """Move equal positions to the mean of all rows."""
    weight, move_sq = total(load(work.sums, n_features)), 0.0
    for f in range(n_features):
        move = total(load(work.sums, f)) / weight
        move_sq += move * move
        put(work.position, f, item(work.position, f) + move)
    for i in range(first, stop):
        support[i], moves[i] = weight * math.exp(-0.5 * reference_sq), math.sqrt(move_sq)
        for f in range(n_features):
            put(positions, i * n_features + f, item(work.position, f))


@step
def _shift_group(nodes, work, series, positions, first, stop, rho, accuracy, support, moves):
    """Shift the positions about a center, or none where R is too large; the bound of R / rho^4."""
    n_features = nodes.n_features
    promise = accuracy * NODES_SHARE if rho > 0.0 else accuracy
    reference_sq = sum_about(nodes, work, rho, promise, 2 * np.int64(rho > 0.0))
    if rho == 0.0:
        _move_to_mean(positions, first, stop, n_features, work, reference_sq, support, moves)
        return 0.0
    if reference_sq > 0.0:
        return HUGE
    weight = write_series(work.sums, n_features, series)
    ratio = remainder(series, n_features, rho, work.scratch)
    if ratio * rho * rho * rho * rho <= accuracy * (1.0 - NODES_SHARE):
        gradients = work.sums
        for i in range(first, stop):
            moves[i], denser = move_by_cumulants(
                positions, i, n_features, work.position, series, work.scratch, gradients
            )
            support[i] = weight * math.exp(denser)
    return ratio


@step
def _push(groups, waiting, first, stop, is_crowded):
    """Push a group of positions; how many numbers wait."""
    put(groups, waiting, first)
    put(groups, waiting + 1, stop)
    put(groups, waiting + 2, is_crowded)
    return waiting + 3


@step
def _push_halves(positions, groups, waiting, first, stop, n_features, is_crowded, fills_lanes):
    """Push two parts of a group: where positions go by sixteen, so many in each."""
    if fills_lanes and LANES < stop - first <= MAX_CUT_POSITIONS:
        middle = first + (stop - first + LANES) // (2 * LANES) * LANES
    else:
        middle = _widest_gap(positions, first, stop, n_features)
    waiting = _push(groups, waiting, first, middle, is_crowded)
    return _push(groups, waiting, middle, stop, is_crowded)


@step
def _push_members(groups, waiting, first, members):
    """Push some members of a group, given as bits, each for a pass of its own."""
    while members != 0:
        member = first + lowest(members)
        members &= members - 1
        waiting = _push(groups, waiting, member, member + 1, 1)
    return waiting


@step
def _shift_block(
    tree, sigma, positions, block, size, accuracy, support, moves, memory, stacks, numbers
):  # fmt: skip
    """Shift a block of positions, in groups as large as the accuracy allows."""
    nodes, at = nodes_of(tree, sigma), flat(positions)
    n_features, series, groups = nodes.n_features, flat(memory[5]), flat(stacks[1])
    work = Workspace(
        flat(stacks[0]), flat(memory[0]), flat(memory[1]), flat(memory[2]), flat(memory[3]),
        flat(memory[4]),
    )  # fmt: skip
    few = Group(flat(memory[6]), flat(memory[7]), flat(memory[8]), work.scratch)
    reach, near = reach_of(nodes.total_weight, tree.order.shape[0], accuracy), flat(numbers)
    most_direct, is_direct = LANES if n_features <= MAX_DIRECT_FEATURES else 0, False
    target = (1.0 - NODES_SHARE) * accuracy
    ratio, widest = USUAL_REMAINDER, MAX_GROUP_RADIUS if n_features <= MAX_GROUPED_FEATURES else 0.0
    waiting = _push(groups, 0, block * size, min((block + 1) * size, positions.shape[0]), 0)
    while waiting > 0:
        waiting -= 3
        first, stop = item(groups, waiting), item(groups, waiting + 1)
        is_crowded, n_members = item(groups, waiting + 2), stop - first
        if is_crowded == 0 and n_members <= most_direct:
            fill_group(at, first, n_members, n_features, few)
            most = LEAVES_A_POSITION * n_members
            leaves = near_leaves(nodes, few, reach, most, work.stack, near)
            is_direct = leaves.n <= most
            if is_direct:
                left = shift_directly(
                    nodes, few, first, n_members, reach, leaves, work.sums, at, support, moves
                )
                waiting = _push_members(groups, waiting, first, left)
                continue
        rho = _bound_group(at, first, stop, n_features, work.position)
        # What R was about the last center is about what it is here.
        if rho == 0.0 or (rho <= widest and rho * rho * rho * rho * ratio <= target):
            here = _shift_group(nodes, work, series, at, first, stop, rho, accuracy, support, moves)
            if rho > 0.0 and here < HUGE:
                ratio = here
            if rho == 0.0 or rho * rho * rho * rho * here <= target:
                continue
        if n_members <= most_direct and rho <= MAX_GROUP_RADIUS:
            is_crowded = 1  # as each half then is: the reach hardly shrinks with the box
        waiting = _push_halves(at, groups, waiting, first, stop, n_features, is_crowded, is_direct)


@parallel
def _gaussian_shifts(tree, sigma, positions, size, accuracy, support, moves):
    for block in prange((positions.shape[0] + size - 1) // size):
        n_features = positions.shape[1]
        n_sums = MAX_GROUPED_SUMS if n_features <= MAX_GROUPED_FEATURES else 2 * n_features
        memory = np.empty((9, n_sums, LANES))
        stacks = np.empty((2, STACK_BLOCKS), np.int64)
        numbers = np.empty((LEAVES_A_POSITION + 1) * LANES, np.int64)
        at = np.int64(block)  # prange counts unsigned, which would compile the block twice
        _shift_block(
            tree, sigma, positions, at, size, accuracy, support, moves, memory, stacks, numbers
        )


def _bring_near(
    tree: MomentTree, positions: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Bring positions far from all rows nearer to them, straight on; which, and where they were.

    From so far the same row is the nearest, but for ties that are below a position's rounding.
    """
    low, high = tree.lower[0].min(axis=1), tree.upper[0].max(axis=1)
    middle = 0.5 * low + 0.5 * high
    reach = FAR_BANDWIDTHS + float(np.sqrt(((high - middle) ** 2).sum()))
    none = np.empty(0, dtype=np.intp)
    # Over all columns at once: column by column it was 1.6 of the 25 ms that 20,000 shifts took.
    if max(positions.max() - middle.min(), middle.max() - positions.min()) <= reach:
        return none, positions[none]
    far = np.flatnonzero((np.abs(positions - middle) > reach).any(axis=1))
    begun = positions[far]
    away = begun - middle
    away /= np.abs(away).max(axis=1)[:, None]
    away *= reach / np.sqrt((away * away).sum(axis=1))[:, None]
    positions[far] = middle + away
    return far, begun


def gaussian_shift(
    tree: MomentTree, sigma: SigmaPoints, positions: NDArray[np.float64], *, accuracy: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move every position, in place, to the mean of all rows as the Gaussian kernel weighs them.

    Rows and positions are in bandwidths; fastest where neighbours in space follow one another. A
    mean is within ``accuracy`` bandwidths of that of the exact sums; with 0 every row is summed, up
    to rounding. Bit-equal for every number of threads.

    Returns
    -------
    support : float64 array of shape (n_positions,)
        The weight of the rows as the kernel weighs them, around the position as it was; 0 where
        that is less than 1e-308.
    moves : float64 array of shape (n_positions,)
        The length of each position's shift.
    """
    support = np.empty(len(positions))
    moves = np.empty(len(positions))
    far, begun = _bring_near(tree, positions)
    # A task for each 64 positions where they are few, so that there is one for each thread.
    size = min(max(len(positions) // 64, 64), BLOCK_POSITIONS)
    # A pass may sum every row.
    first = FIRST_CHUNK_VALUES // tree.points.size
    if positions.shape[1] > MAX_GROUPED_FEATURES or accuracy == 0.0:
        # No series serves a group, and where passes are long, so are blocks: one of 1,024 took
        # 5.1 s among 120,000 x 48 rows, on one thread, which no Ctrl-C could end.
        size = min(size, max(first // 16, 1))
    for start, stop in chunks(len(positions), first=first, multiple=size):
        _gaussian_shifts(
            tree, sigma, positions[start:stop], size, min(accuracy, 1.0),
            support[start:stop], moves[start:stop],
        )  # fmt: skip
    if far.size:
        moves[far] = np.sqrt(((positions[far] - begun) ** 2).sum(axis=1))
    return support, moves


@dataclass(frozen=True)
class GaussianIndex(TreeIndex):
    """Rows that all count, by their distance; positions are in bandwidths."""

    tree: MomentTree
    sigma_points: SigmaPoints
    accuracy: float
    radius: float
    is_smooth = True

    @classmethod
    def of(cls, tree: MomentTree, radius: float, accuracy: float) -> Self:
        """The index on a tree of rows."""
        return cls(tree, find_sigma_points(tree), accuracy, radius)

    def shift(
        self, positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move every position to the mean of all rows, as the kernel weighs them."""
        return gaussian_shift(self.tree, self.sigma_points, positions, accuracy=self.accuracy)

    def sorts(self, *, scattered: bool, coalescing: bool) -> bool:
        """Groups of neighbours share their sums; without coalescing they stay in order."""
        # Of 400,000 x 2 rows a fit takes 9.9 s so, and 17.4 in the order that they began in.
        return coalescing and self.tree.points.shape[1] <= MAX_GROUPED_FEATURES

    def with_accuracy(self, accuracy: float) -> Self:
        """The same with another error."""
        return replace(self, accuracy=accuracy)

    def refined(self) -> Self:
        """The same with a hundredth of the error."""
        return self.with_accuracy(self.accuracy / 100.0)

    def polish(self, modes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move modes to where the density is stationary, by Newton's steps."""
        return polish(self.tree, self.sigma_points, modes)

    @property
    def reach(self) -> float:
        """Two radii of the ball in which a coordinate has the variance of the kernel."""
        return 2.0 * self.radius * math.sqrt(self.tree.points.shape[1] + 2)

    def density(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum the kernel: the support of a shift, to a hundredth of the accuracy."""
        return self.refined().shift(places.copy())[0]
