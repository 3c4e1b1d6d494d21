"""Pairs of neighbouring rows in different basins: where two basins touch.

Two rows are neighbours where one is among the k nearest of the other, ties included, and not
farther than a reach. Neighbours in one basin say nothing of a saddle, and most rows have no others:

    leaf, and the largest distance in it = d     its rows have their k nearest within d
         |
    all leaves within d are of its basin         nothing to do; else its rows are searched

so that a search takes the rows near watersheds only. Rows are distinct: equal ones count once.
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.box_distances import box_gaps_sq, distances_sq, gaps_sq
from meanshift_fast._index.moment_tree import MomentTree
from meanshift_fast._index.traversal import STACK_BLOCKS, push_children
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import empty_floats, empty_integers, parallel, step
from meanshift_fast._jit.simd import LANES, bits, flat, item, load, lowest, put, store

MIXED, ABSENT = -1.0, -2.0  # labels of nodes: of several basins, and where there is no child
TASK_LEAVES = 16
FIRST_CHUNK_VALUES = 1 << 30  # read or measured by the first chunk, at most: less than a second
FIRST_CHUNK_LEAVES = 1 << 14  # of the test of leaves


def _labels_of_nodes(
    tree: MomentTree, labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The basin of each row, by rank, and of each block's children, as lanes."""
    n_leaves, n_blocks = len(tree.points), len(tree.lower)
    by_rank = np.empty(n_leaves * LANES)
    by_rank[: len(labels)] = labels[tree.order]
    by_rank[len(labels) :] = by_rank[len(labels) - 1]
    of_rows = by_rank.reshape(n_leaves, LANES)
    of_children = np.full((n_blocks, LANES), ABSENT)
    leaves = of_children[tree.n_upper :].reshape(-1)
    is_one = (of_rows == of_rows[:, :1]).all(axis=1)
    leaves[:n_leaves] = np.where(is_one, of_rows[:, 0], MIXED)
    for block in range(tree.n_upper - 1, -1, -1):
        first = tree.first_child[block]
        children = of_children[first : first + LANES]
        is_one = ((children == children[:, :1]) | (children == ABSENT)).all(axis=1)
        of_children[block, : len(children)] = np.where(is_one, children[:, 0], MIXED)
    return of_rows, of_children


@step
def _equals(labels, at, own):
    """Bits of the lanes that have a label."""
    return bits(load(labels, at) <= own) & bits(load(labels, at) >= own)


# Leaves beside another basin.


@step
def _is_beside(tree, of_children, block, lane, n_features, edges, stack):
    """Whether leaves of other basins are as near to a leaf as its rows may be to each other."""
    lower, upper, first_child = flat(tree.lower), flat(tree.upper), flat(tree.first_child)
    labels = flat(of_children)
    own, width_sq = item(labels, block * LANES + lane), 0.0
    if own == MIXED:
        return True
    for f in range(n_features):
        low = item(lower, (block * n_features + f) * LANES + lane)
        high = item(upper, (block * n_features + f) * LANES + lane)
        put(edges[0], f, low)
        put(edges[1], f, high)
        width_sq += (high - low) * (high - low)
    put(stack, 0, 0)
    waiting = 1
    while waiting > 0:
        waiting -= 1
        at = item(stack, waiting)
        gap_sq = box_gaps_sq(lower, upper, at, n_features, *edges)
        others = bits(gap_sq <= width_sq) & ~_equals(labels, at, own)
        if others == 0:
            continue
        if at >= tree.n_upper:
            return True
        waiting = push_children(stack, waiting, item(first_child, at), others)
    return False


@parallel
def _mark_leaves(tree, of_children, first, n_leaves, is_beside):
    for task in prange((n_leaves + TASK_LEAVES - 1) // TASK_LEAVES):
        start = np.int64(task) * TASK_LEAVES
        low, high = empty_floats(tree.lower.shape[1]), empty_floats(tree.lower.shape[1])
        stack = empty_integers(STACK_BLOCKS)
        for leaf in range(start, min(start + TASK_LEAVES, n_leaves)):
            block = tree.n_upper + (first + leaf) // LANES
            is_beside[leaf] = _is_beside(
                tree, of_children, block, (first + leaf) % LANES, tree.lower.shape[1],
                (flat(low), flat(high)), flat(stack),
            )  # fmt: skip


# The k nearest of a row.


@step
def _keep_nearest(tree, leaf, own_lane, n_features, place, k, nearest_sq, scratch):
    """Enter the rows of a leaf into the ascending list of the k smallest squared distances."""
    distance_sq = distances_sq(flat(tree.points), leaf, n_features, place, 0)
    near = bits(distance_sq < item(nearest_sq, k - 1))
    if own_lane >= 0:
        near &= ~(1 << own_lane)
    if near != 0:
        store(scratch, 0, distance_sq)
    while near != 0:
        lane = lowest(near)
        near &= near - 1
        value = item(scratch, lane)
        if value < item(nearest_sq, k - 1):
            at = k - 1
            while at > 0 and item(nearest_sq, at - 1) > value:
                put(nearest_sq, at, item(nearest_sq, at - 1))
                at -= 1
            put(nearest_sq, at, value)


@step
def _kth_sq(tree, leaf, lane, n_features, place, k, most_sq, nearest_sq, scratch, stack):
    """The squared distance to the k-th nearest row, at most ``most_sq``."""
    for j in range(k):
        put(nearest_sq, j, most_sq)
    _keep_nearest(tree, leaf, lane, n_features, place, k, nearest_sq, scratch)
    put(stack, 0, 0)
    waiting = 1
    while waiting > 0:
        waiting -= 1
        block = item(stack, waiting)
        gap_sq = gaps_sq(flat(tree.lower), flat(tree.upper), block, n_features, place, 0)
        near = bits(gap_sq < item(nearest_sq, k - 1))
        child = item(flat(tree.first_child), block)
        if block < tree.n_upper:
            waiting = push_children(stack, waiting, child, near)
            continue
        while near != 0:
            other = child + lowest(near)
            near &= near - 1
            if other != leaf:
                _keep_nearest(tree, other, np.int64(-1), n_features, place, k, nearest_sq, scratch)
    return item(nearest_sq, k - 1)


@step
def _list_across(tree, of_rows, of_children, own, n_features, place, reach_sq, stack, found, n):
    """List the ranks of rows of other basins within reach, from ``found[n]`` on if it has room.

    Returns where the list ends.
    """
    put(stack, 0, 0)
    waiting = 1
    while waiting > 0:
        waiting -= 1
        block = item(stack, waiting)
        gap_sq = gaps_sq(flat(tree.lower), flat(tree.upper), block, n_features, place, 0)
        others = bits(gap_sq <= reach_sq)
        others &= ~_equals(flat(of_children), block, own)
        child = item(flat(tree.first_child), block)
        if block < tree.n_upper:
            waiting = push_children(stack, waiting, child, others)
            continue
        while others != 0:
            leaf = child + lowest(others)
            others &= others - 1
            distance_sq = distances_sq(flat(tree.points), leaf, n_features, place, 0)
            rows = bits(distance_sq <= reach_sq)
            rows &= ~_equals(flat(of_rows), leaf, own)
            while rows != 0:
                if n < found.shape[0]:
                    found[n] = leaf * LANES + lowest(rows)
                rows &= rows - 1
                n += 1
    return n


@parallel
def _search(tree, labels, leaves, k, most_sq, reach_sq, starts, found):
    """Find the reach of each row of some leaves, or list the rows across within it.

    With ``found`` of no room ``reach_sq`` is written, and ``starts`` counts the rows to list.
    """
    of_rows, of_children = labels
    for task in prange(leaves.shape[0]):
        leaf, n_features = leaves[task], tree.lower.shape[1]
        place, nearest_sq, scratch = (
            empty_floats(n_features), empty_floats(k), empty_floats(LANES)
        )  # fmt: skip
        stack = empty_integers(STACK_BLOCKS)
        for lane in range(LANES):
            rank = leaf * LANES + lane
            if rank >= tree.order.shape[0]:
                break
            at = np.int64(task) * LANES + lane
            for f in range(n_features):
                put(flat(place), f, item(flat(tree.points), (leaf * n_features + f) * LANES + lane))
            if found.shape[0] == 0:
                reach_sq[at] = _kth_sq(
                    tree, leaf, np.int64(lane), n_features, flat(place), k, most_sq,
                    flat(nearest_sq), flat(scratch), flat(stack),
                )  # fmt: skip
            stop = _list_across(
                tree, of_rows, of_children, of_rows[leaf, lane], n_features, flat(place),
                reach_sq[at], flat(stack), found, starts[at],
            )  # fmt: skip
            if found.shape[0] == 0:
                starts[at] = stop


def pairs_across(
    tree: MomentTree, labels: NDArray[np.int64], *, k: int, reach: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List the pairs of neighbouring rows with different labels, as two arrays of row numbers.

    ``labels`` are the basins of the rows, at least 0. Neighbours of a row are the k nearest, and
    all as near as the last of them, none farther than ``reach``. A pair may come twice, once from
    either side. The same for every number of threads.
    """
    n_leaves = len(tree.points)
    of_rows, of_children = _labels_of_nodes(tree, labels)
    is_beside = np.empty(n_leaves, dtype=np.bool_)
    for start, stop in chunks(n_leaves, first=FIRST_CHUNK_LEAVES):
        _mark_leaves(tree, of_children, start, stop - start, is_beside[start:stop])
    # Where a leaf has no more than k rows, its width is no bound of the distance to the k-th.
    if k >= LANES:
        is_beside[:] = True
    elif len(tree.order) % LANES:
        is_beside[-1] = True
    leaves = np.flatnonzero(is_beside)
    most_sq = min(reach * reach, float(np.finfo(np.float64).max))
    size = LANES * len(leaves)
    reach_sq, counts = np.zeros(size), np.zeros(size, dtype=np.int64)
    nothing = np.empty(0, dtype=np.int64)
    first = FIRST_CHUNK_VALUES // (tree.points.size * LANES)
    node_labels = of_rows, of_children
    for start, stop in chunks(len(leaves), first=first):
        part = slice(start * LANES, stop * LANES)
        _search(
            tree, node_labels, leaves[start:stop], k, most_sq, reach_sq[part], counts[part], nothing
        )
    ends = np.cumsum(counts)
    found = np.empty(int(ends[-1]) if size else 0, dtype=np.int64)
    if not found.size:
        return found, found
    starts = ends - counts
    for start, stop in chunks(len(leaves), first=first):
        part = slice(start * LANES, stop * LANES)
        _search(
            tree, node_labels, leaves[start:stop], k, most_sq, reach_sq[part], starts[part], found
        )
    ranks = np.repeat(leaves, LANES) * LANES + np.tile(np.arange(LANES), len(leaves))
    rows = np.repeat(ranks, counts)
    return tree.order[rows].astype(np.int64), tree.order[found].astype(np.int64)
