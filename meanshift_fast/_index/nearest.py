"""Each row takes the label of its nearest mode.

    all modes        sixteen rows in lanes, against one mode after the other
    block by block   the same down a tree of the rows, against the modes that may still be nearest:
                     a mode is dropped where another is nearer to all of a block's box
    row by row       sixteen modes in lanes, down a tree of the modes, the nearest block first
    products         all modes by matrix products, and few of them measured: `nearest_products.py`

All four sum squared distances feature by feature, in order, and give the first of equal modes: the
choice among them changes the time only. Few modes need no tree. In two or three dimensions blocks
are small and the second is fastest. In many, where a block is as wide as the table, the third is
fastest if the modes lie apart, and the last if they do not. No rule found predicts that, so where
there are many modes it is measured on a few rows. One thread, ns a row:

    n_features, n_modes     2, 20   2, 1,000   2, 100,000   8, 1,000   64, 1,000   64, 50,000
    all modes                   5        105       11,000        300       2,200      166,000
    block by block              6          9          320        310       2,400      184,000
    row by row                 54        185          610        290         910        2,700
"""

import math

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index import thresholds
from meanshift_fast._index.moment_tree import MomentTree, build, in_lanes
from meanshift_fast._index.nearest_across import (
    images_are_worth,
    label_by_all_across,
    nearest_images,
)
from meanshift_fast._index.nearest_kernels import (
    TASK_LEAVES,
    PackedModes,
    label_all_by_all,
    label_all_by_blocks,
    label_all_by_tree,
    label_by_blocks,
    label_by_tree,
)
from meanshift_fast._index.nearest_products import (
    MAX_MEASURED_SHARE,
    TIME_OF_PRODUCT,
    ModeProducts,
    label_by_products,
    may_serve,
    measured_share,
)
from meanshift_fast._input.scaling import NO_PERIOD, readonly_table
from meanshift_fast._input.weights import UNWEIGHTED
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.simd import LANES

TASK_ROWS = TASK_LEAVES * LANES  # fewer where a task of so many would take long
FIRST_CHUNK_TASKS = 16  # where tasks are of fewer rows
# Rows of a task where all rows would be one: 1,797 digits and 342 modes take 1.6 ms and not 3.
SMALL_TASK_ROWS = 512
MIN_PAIRS_FOR_TREES = 1 << 23  # of a row and a mode: fewer take a millisecond or so by any way
MAX_MODES_WITHOUT_BLOCKS = 64  # block by block is no faster
MAX_ROWS_WITHOUT_TREE = 4096  # a tree of the modes does not pay
FIRST_CHUNK_VALUES = 1 << 31  # read or measured by the first chunk, at most: less than a second
MEASURED_LEAVES = 8  # block by block, and eight times as many rows row by row


def limit_square(limit: float | None) -> float:
    """Find the largest number with a square root of at most ``limit``; None is no limit."""
    if limit is None:
        return math.inf
    square = limit * limit
    while math.sqrt(square) > limit:
        square = math.nextafter(square, 0.0)
    while square < math.inf and math.sqrt(math.nextafter(square, math.inf)) <= limit:
        square = math.nextafter(square, math.inf)
    return square


def _boxes(rows: MomentTree) -> tuple[NDArray[np.float64], ...]:
    """Bound the blocks of leaves, then the blocks of those: low and high corners of each."""
    low = rows.lower[rows.n_upper :].min(axis=2)
    high = rows.upper[rows.n_upper :].max(axis=2)
    starts = np.arange(0, len(low), LANES)
    return low, high, np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)


def _modes_met(
    rows: MomentTree,
    boxes: tuple[NDArray[np.float64], ...],
    modes: PackedModes,
    labels: NDArray[np.int64],
) -> float:
    """Count the modes that a row is measured against block by block, on average over few leaves."""
    n_groups, n_features = modes.positions.shape[:2]
    memory = PackedModes(
        np.empty((2, n_groups * n_features + 1, LANES)), np.empty((2, len(modes.numbers)))
    )
    n_tasks = len(boxes[2])
    leaves = range(0, n_tasks * TASK_LEAVES, -(-n_tasks // MEASURED_LEAVES) * TASK_LEAVES)
    n_met = [
        label_by_blocks(
            rows.points, rows.order, leaf, leaf + 1, boxes, modes, np.inf, memory, labels
        )
        for leaf in leaves
    ]
    return float(np.mean(n_met))


def _blocks_opened(points: NDArray[np.float64], modes: MomentTree) -> float:
    """Count the blocks and leaves that a row opens row by row, on average over a few rows."""
    tried = np.ascontiguousarray(points[:: -(-len(points) // (8 * MEASURED_LEAVES))])
    tried.flags.writeable = False
    n_nodes = len(modes.first_child) + len(modes.points)
    queue, queue_sq = np.empty(n_nodes, dtype=np.int64), np.empty(n_nodes)
    ignored = np.empty(len(tried), dtype=np.int64)
    n_opened = label_by_tree(
        tried, 0, len(tried), modes, np.inf, queue, queue_sq, np.empty(LANES), ignored
    )
    return float(n_opened / len(tried))


def _rows_a_task(n_rows: int, most: int) -> int:
    """How many rows a task has where the first chunk has so many."""
    return min(max(n_rows // (FIRST_CHUNK_TASKS * LANES), 1) * LANES, most)


# Each way over a table, in chunks.


def _take_all_modes(
    points: NDArray[np.float64], modes: PackedModes, limit_sq: float, labels: NDArray[np.int64]
) -> None:
    """Label a table by all modes, in chunks."""
    first = FIRST_CHUNK_VALUES // modes.positions.size
    most = TASK_ROWS if len(points) > TASK_ROWS else SMALL_TASK_ROWS
    n_rows = _rows_a_task(first, most)
    for start, stop in chunks(len(points), first=first, multiple=n_rows):
        some = points[start:stop], labels[start:stop]
        label_all_by_all(some[0], n_rows, *modes, limit_sq, some[1], None)


def _take_blocks(
    tree: MomentTree,
    boxes: tuple[NDArray[np.float64], ...],
    modes: PackedModes,
    n_met: float,
    limit_sq: float,
    labels: NDArray[np.int64],
) -> None:
    """Label a table block by block, in chunks."""
    # A task of 4,096 rows against 60,000 modes in 48 columns took 1.5 s, and Ctrl-C waits for
    # it. Four such tasks take 4.8 s, and the same rows in tasks of 256 take 6.0 s.
    is_short = TASK_ROWS * n_met * tree.points.shape[1] < FIRST_CHUNK_VALUES
    n_leaves = TASK_LEAVES if is_short else LANES
    first = FIRST_CHUNK_VALUES // modes.positions.size // LANES
    for start, stop in chunks(len(tree.points), first=first, multiple=n_leaves):
        label_all_by_blocks(
            tree.points, tree.order, start, stop, n_leaves, boxes, modes, limit_sq, labels
        )


def _take_rows(
    points: NDArray[np.float64],
    modes: MomentTree,
    n_like: float,
    limit_sq: float,
    labels: NDArray[np.int64],
) -> None:
    """Label a table row by row, in chunks."""
    n_values = int(FIRST_CHUNK_VALUES / max(n_like * points.shape[1], 1.0))
    first = min(FIRST_CHUNK_TASKS * TASK_ROWS, n_values)
    n_rows = _rows_a_task(first, TASK_ROWS)
    for start, stop in chunks(len(points), first=first, multiple=n_rows):
        some = points[start:stop], labels[start:stop]
        label_all_by_tree(some[0], n_rows, modes, limit_sq, some[1])


# What may be faster than to measure so many modes.


def _products_of(
    points: NDArray[np.float64], modes: NDArray[np.float64], n_met: float
) -> ModeProducts | None:
    """The modes for products; None where ``n_met`` modes are measured sooner."""
    if n_met <= TIME_OF_PRODUCT * len(modes) or not may_serve(points, modes):
        return None
    products = ModeProducts.of(modes)
    return products if measured_share(points, products) <= MAX_MEASURED_SHARE else None


def _tree_of_modes(
    points: NDArray[np.float64], modes: NDArray[np.float64], n_met: float
) -> tuple[MomentTree, float] | None:
    """A tree of the modes and how many a row meets there; None where ``n_met`` are met sooner."""
    is_small = len(points) * len(modes) < MIN_PAIRS_FOR_TREES
    # To open a block takes 45 + 1.2 n_features ns, to measure a mode 0.036 (n_features + 1) ns, and
    # each row opens at least three blocks.
    n_features = points.shape[1]
    modes_for_a_block = 32 * (40 + n_features) / (n_features + 1)
    if n_met <= 3 * modes_for_a_block or is_small or len(points) <= MAX_ROWS_WITHOUT_TREE:
        return None
    built = build(readonly_table(modes), UNWEIGHTED)
    n_like = _blocks_opened(points, built) * modes_for_a_block
    return (built, n_like) if n_like < n_met else None


def labels_take_one_thread(points: NDArray[np.float64], modes: NDArray[np.float64]) -> bool:
    """Whether there are too few rows and modes for more than one thread."""
    return points.size * len(modes) <= thresholds.MAX_ONE_THREAD_LABEL_VALUES


def _labels_across(
    points: NDArray[np.float64],
    modes: NDArray[np.float64],
    limit: float | None,
    tree: MomentTree | None,
    period: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Label each row where columns wrap; the parameters are those of `nearest_labels`."""
    if images_are_worth(modes, period):
        images, n_images = nearest_images(modes, period)
        labels = nearest_labels(points, images, limit=limit, tree=tree)
        return np.where(labels < 0, labels, labels // n_images)
    labels = np.empty(len(points), dtype=np.int64)
    label_by_all_across(points, modes, period, limit_square(limit), labels)
    return labels


def nearest_labels(
    points: NDArray[np.float64],
    modes: NDArray[np.float64],
    *,
    limit: float | None = None,
    tree: MomentTree | None = None,
    period: NDArray[np.float64] = NO_PERIOD,
) -> NDArray[np.int64]:
    """Label each row with its nearest mode, the first of equals; -1 beyond the limit.

    Rows and modes are finite, at least one; rows are read-only and C-ordered. ``limit`` is in the
    unit of the columns, and None labels all. With a ``tree`` of the same rows many modes are
    labelled faster. ``period`` is infinite for columns that do not wrap. Labels are the same for
    every number of threads, with a tree and without.

    Time n_samples * n_features times the modes that a row is measured against: all of them where
    they are few, or where many form one cloud in many dimensions; else a handful, or about
    log(n_modes) blocks of sixteen. Memory besides the labels: a few copies of the modes for each
    thread and, where a tree is used, a hundredth of the table.

    A row is beyond the limit where the square root of its squared distance exceeds it, as in
    scikit-learn's ``MeanShift(cluster_all=False)``. Distances whose squares overflow are equal,
    and exceed every limit.
    """
    if period.size:
        return _labels_across(points, modes, limit, tree, period)
    n_samples, n_modes = len(points), len(modes)
    if n_modes == 1 and limit is None:  # a thousand rows take 2 us, and a search 15
        return np.zeros(n_samples, dtype=np.int64)
    limit_sq = limit_square(limit)
    labels = np.empty(n_samples, dtype=np.int64)
    packed = PackedModes(in_lanes(modes), np.arange(float(n_modes)))
    is_small = n_samples * n_modes < MIN_PAIRS_FOR_TREES

    boxes, n_met = None, float(n_modes)
    if tree is not None and n_modes > MAX_MODES_WITHOUT_BLOCKS and not is_small:
        boxes = _boxes(tree)
        n_met = _modes_met(tree, boxes, packed, labels)
    products = _products_of(points, modes, n_met)
    if products:
        n_met = TIME_OF_PRODUCT * n_modes
    by_tree = _tree_of_modes(points, modes, n_met)
    if by_tree:
        _take_rows(points, *by_tree, limit_sq, labels)
    elif products:
        label_by_products(points, products, limit_sq, labels)
    elif tree is None or boxes is None:
        _take_all_modes(points, packed, limit_sq, labels)
    else:
        _take_blocks(tree, boxes, packed, n_met, limit_sq, labels)
    return labels
