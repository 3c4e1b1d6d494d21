"""Grid cells: rows become weighted points, in the order in which they first enter a cell.

    bin           -1        |         0         |         1         |     sides are bandwidths
    cells   . | . | . | . | . | . | . | . | . | . | . | . | . | . | .     n_parts in a bin

    row --hash of its cell--> slot --> cell: first row, weight, sums of offsets from the first row
                                             and of their squares

The cells of a grid are parts of the bins that seeds come from. No cell lies in two bins, so seeds
from cells are those from rows. Halving the parts splits each cell in two along each dimension: fine
cells merge to coarse ones, and the result does not depend on when they merge.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanshift_fast._cluster.grid import Grid, cell_number
from meanshift_fast._input.checks import plain_table
from meanshift_fast._input.messages import quoted
from meanshift_fast._input.scaling import checked_lengths, readonly, readonly_table
from meanshift_fast._input.weights import UNWEIGHTED, checked_weights
from meanshift_fast._jit.compiler import serial, step
from meanshift_fast._jit.hashing import find_slot, hash_of_patterns, mixed
from meanshift_fast._jit.simd import bit_patterns, flat, item, put

BLOCK_ROWS = 512  # rows that are numbered at a time
FIRST_CELLS = 1024  # cells that a new table has space for


# A cell is a row of the table: its number along each feature, its first row, the sum of weighted
# offsets from that, its weight, and the weighted squares of offsets in sides of a bin, side by
# side, because a table of many cells lies beyond the caches. Each step handles a block of rows,
# so that divisions and memory accesses of several rows overlap. In two columns a row takes 12 ns at
# 500 cells, 26 at 70,000 and 65 at 700,000; row by row, in four arrays, it took 65, 83 and 184.


@step
def _number_block(points, start, sizes, n_parts, numbers, patterns, hashes):
    """Number the cells of a block of rows from ``start`` on, and hash them; how many rows."""
    n_features = points.shape[1]
    n_rows = min(hashes.shape[0], points.shape[0] - start)
    for k in range(n_rows):
        for f in range(n_features):
            numbers[k, f] = cell_number(np.float64(points[start + k, f]), sizes[f], n_parts)
    for k in range(n_rows):
        # The last bits of whole floats are zeros, and a second round of mixing spreads the hash:
        # a row takes 13 ns, without it 31.
        code = hash_of_patterns(flat(patterns), k * n_features, n_features)
        hashes[k] = mixed(code, np.int64(0))
    return n_rows


@step
def _find_block(table, slots, numbers, hashes, n_rows, found):
    """Find the cells of a block of rows; -1 where there is none yet.

    The first loop only loads slots, so that cache misses of many rows overlap.
    """
    n_features, last_slot = numbers.shape[1], slots.shape[0] - 1
    cells, marks, keys = flat(table), flat(slots), flat(numbers)
    for k in range(n_rows):
        found[k] = slots[hashes[k] & last_slot]
    for k in range(n_rows):
        if found[k] > 0:
            slot = find_slot(
                hashes[k], keys, k * n_features, n_features, cells, table.shape[1], marks, last_slot
            )
            found[k] = item(marks, slot)
        found[k] -= 1


@step
def _enter_cell(points, row, numbers, k, slots, slot, table, n_cells):
    """Make a row the first of a new cell; False where the table is full or a number infinite."""
    n_features = numbers.shape[1]
    for f in range(n_features):
        if not np.isfinite(numbers[k, f]):
            return False
    if n_cells == table.shape[0]:
        return False
    slots[slot] = n_cells + 1
    for f in range(n_features):
        table[n_cells, f] = numbers[k, f]
        table[n_cells, n_features + f] = points[row, f]
        table[n_cells, 2 * n_features + f] = 0.0
    table[n_cells, 3 * n_features] = table[n_cells, 3 * n_features + 1] = 0.0
    return True


@step
def _add_row(points, row, weight, variance, sizes, table, cell):
    """Add a row to the sums of its cell."""
    n_features = points.shape[1]
    table[cell, 3 * n_features] += weight
    square = n_features * variance
    for f in range(n_features):
        offset = points[row, f] - table[cell, n_features + f]
        table[cell, 2 * n_features + f] += weight * offset
        square += (offset / sizes[f]) * (offset / sizes[f])
    table[cell, 3 * n_features + 1] += weight * square


@serial
def _add(points, start, weights, variances, sizes, n_parts, slots, table, n_cells, inverse):
    """Add rows from ``start`` on to their cells; the number of cells, and the row where it ended.

    With ``variances``, the rows are points of cells whose rows have these variances. Ends early
    where the table is full, or where a cell has no finite number. ``inverse`` takes the cells of
    the rows, unless it is empty.
    """
    n_samples, n_features = points.shape
    last_slot = slots.shape[0] - 1
    numbers = np.empty((BLOCK_ROWS, n_features))
    hashes, found = np.empty((2, BLOCK_ROWS), dtype=np.int64)
    row = start
    while row < n_samples:
        n_rows = _number_block(points, row, sizes, n_parts, numbers, numbers.view(np.int64), hashes)
        _find_block(table, slots, numbers, hashes, n_rows, found)
        for k in range(n_rows):
            cell = found[k]
            if cell < 0:  # unless an earlier row of this block has entered it
                slot = find_slot(
                    hashes[k], flat(numbers), k * n_features, n_features, flat(table),
                    table.shape[1], flat(slots), last_slot,
                )  # fmt: skip
                cell = slots[slot] - 1
                if cell < 0:
                    if not _enter_cell(points, row, numbers, k, slots, slot, table, n_cells):
                        return n_cells, row
                    cell = n_cells
                    n_cells += 1
            weight = weights[row] if weights.shape[0] > 0 else 1.0
            variance = variances[row] if variances.shape[0] > 0 else 0.0
            _add_row(points, row, weight, variance, sizes, table, cell)
            if inverse.shape[0] > 0:
                inverse[row] = cell
            row += 1
    return n_cells, n_samples


@serial
def _place(table, n_cells, slots):
    """Enter all cells, which are distinct, into empty slots."""
    n_features, last_slot = table.shape[1] // 3, slots.shape[0] - 1
    cells, marks = flat(table), flat(slots)
    for cell in range(n_cells):
        first = cell * table.shape[1]
        code = mixed(hash_of_patterns(bit_patterns(cells), first, n_features), np.int64(0))
        slot = find_slot(code, cells, first, n_features, cells, table.shape[1], marks, last_slot)
        put(marks, slot, cell + 1)


@step
def _in_cell(mean, first, size, n_parts, number):
    """Move a mean towards its cell's first row, to the nearest float in the cell.

    A bisection: where the border is 0, 10^16 floats may lie between it and the mean.
    """
    if cell_number(mean, size, n_parts) == number:
        return mean
    inside, outside = first, mean
    while True:
        middle = 0.5 * inside + 0.5 * outside  # no sum of two halves overflows
        if middle in (inside, outside):
            return inside
        if cell_number(middle, size, n_parts) == number:
            inside = middle
        else:
            outside = middle


@serial
def _moments(table, sizes, n_parts, means, totals, variances):
    """Find each cell's mean, weight and variance.

    A mean beside the border may round across it; it is moved back, so that it keeps its cell when
    condensed again.
    """
    n_features = means.shape[1]
    for cell in range(means.shape[0]):
        totals[cell] = table[cell, 3 * n_features]
        variances[cell] = 0.0
        if totals[cell] > 0.0:
            variances[cell] = table[cell, 3 * n_features + 1] / totals[cell]
        for f in range(n_features):
            first = mean = table[cell, n_features + f]
            if totals[cell] > 0.0:
                offset = table[cell, 2 * n_features + f] / totals[cell]
                if not np.isfinite(offset):  # the sum of the largest numbers overflows
                    offset = 0.0
                mean += offset
                variances[cell] -= (offset / sizes[f]) * (offset / sizes[f])
            means[cell, f] = _in_cell(mean, first, sizes[f], n_parts, table[cell, f])
        variances[cell] = max(variances[cell] / n_features, 0.0)


class Condensed(NamedTuple):
    """The summary of some rows: their cells.

    Attributes
    ----------
    points : float64 array of shape (n_cells, n_features)
        The means of the cells' rows, in the order in which rows first entered the cells.
    weights : float64 array of shape (n_cells,)
        The weights of the cells' rows.
    variances : float64 array of shape (n_cells,)
        The variances of the rows within their cells, in squares of a bin's sides: the mean over
        the features. 0 where all rows of a cell are equal.
    grid : Grid
        Their grid, its parts halved ``halvings`` times.
    halvings : int
        How often.
    """

    points: NDArray[np.float64]
    weights: NDArray[np.float64]
    variances: NDArray[np.float64]
    grid: Grid
    halvings: int


class Cells:
    """The occupied cells of a grid, to which rows are added.

    Parameters
    ----------
    grid : Grid
        The cells.
    halvings : int, default=0
        How often the grid's parts are halved at first. A halving is undone where there are more
        than ``n_fine`` cells.
    n_fine : int, default=1
        The most cells that a halved grid may have.
    room : int, default=1024
        Cells that the table has space for at first.

    Notes
    -----
    How often cells are halved in the end depends on all rows together, and not on their order or
    their batches. Memory: 24 n_features + 32 to 48 bytes a cell of the table, which has space for
    at most half as many again as there are; twice that while it grows.
    """

    def __init__(
        self, grid: Grid, *, halvings: int = 0, n_fine: int = 1, room: int = FIRST_CELLS
    ) -> None:
        self.n_fine = n_fine
        self._begin(grid, halvings, room)

    def _begin(self, grid: Grid, halvings: int, room: int) -> None:
        """Start with an empty table."""
        room = min(room, self.n_fine) if halvings else room
        self.grid = Grid(readonly(grid.sizes), grid.n_parts << halvings)
        self.halvings = halvings
        self.n_cells = 0
        self._table = np.empty((room, 3 * len(grid.sizes) + 2))
        self._slots = np.zeros(1 << (2 * room - 1).bit_length(), dtype=np.int64)

    def add(
        self,
        points: NDArray[Any],
        weights: NDArray[np.float64] = UNWEIGHTED,
        inverse: NDArray[np.int64] | None = None,
        variances: NDArray[np.float64] = UNWEIGHTED,
    ) -> int:
        """Add rows to their cells, in order; how many were added.

        Fewer than all where the next row's cell has no finite number, because the row is not finite
        or too far out. ``inverse`` takes the number of each row's cell, for cells that are not
        halved. ``variances`` are those of `Condensed` where the rows are points of other cells.
        """
        inverse = np.empty(0, dtype=np.int64) if inverse is None else inverse
        points, weights, variances = readonly(points), readonly(weights), readonly(variances)
        row = 0
        while True:
            self.n_cells, row = _add(
                points, row, weights, variances, self.grid.sizes, float(self.grid.n_parts),
                self._slots, self._table, self.n_cells, inverse,
            )  # fmt: skip
            if row == len(points) or self.n_cells < len(self._table):
                return int(row)
            if self.halvings and self.n_cells >= self.n_fine:
                self.coarsen(self.halvings - 1)
            else:
                self._make_room()

    def condensed(self) -> Condensed:
        """The means, weights and variances of the cells."""
        means = np.empty((self.n_cells, len(self.grid.sizes)))
        totals, variances = np.empty((2, self.n_cells))
        n_parts = float(self.grid.n_parts)
        _moments(self._table, self.grid.sizes, n_parts, means, totals, variances)
        return Condensed(means, totals, variances, self.grid, self.halvings)

    def merge(self, other: Condensed) -> None:
        """Add the cells of other rows, and halve cells no more often than those."""
        self.coarsen(other.halvings)
        self.add(other.points, other.weights, variances=other.variances)

    def coarsen(self, halvings: int) -> None:
        """Merge cells, until they are halved no more than so often."""
        if halvings < self.halvings:
            finer = self.condensed()
            base = Grid(self.grid.sizes, self.grid.n_parts >> self.halvings)
            self._begin(base, halvings, len(self._table))
            self.add(finer.points, finer.weights, variances=finer.variances)

    def _make_room(self) -> None:
        """Enlarge the table by half, and the slots where they get too few."""
        room = self.n_cells + self.n_cells // 2 + 1
        if self.halvings:
            room = min(room, self.n_fine)
        self._table.resize((room, self._table.shape[1]), refcheck=False)
        if len(self._slots) < 2 * room:
            self._slots = np.zeros(1 << (2 * room - 1).bit_length(), dtype=np.int64)
            _place(self._table, self.n_cells, self._slots)


def condense(
    X: ArrayLike, cell_size: float | ArrayLike, *, sample_weight: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Condense a table into one weighted point for each occupied cell of a grid.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The rows.
    cell_size : float or array-like of shape (n_features,)
        The sides of a cell, in the unit of the columns of X. The centres of the cells are the
        multiples of it, as those of bins are.
    sample_weight : array-like of shape (n_samples,), default=None
        The rows' weights; None counts each once. A row of weight w is w rows.

    Returns
    -------
    points : float64 ndarray of shape (n_cells, n_features)
        The weighted mean of the rows of each cell, in the order in which rows first enter the
        cells. Each lies in its cell.
    weights : float64 ndarray of shape (n_cells,)
        The weight of the rows of each cell. A cell of rows of weight 0 has weight 0, and its
        point is the first of them.
    inverse : int64 ndarray of shape (n_samples,)
        The cell of each row: ``points[inverse]`` is a table as X, a little coarser, and
        ``labels[inverse]`` hands the labels of the points down to the rows.

    Raises
    ------
    ValueError
        Where X is not a finite table, ``cell_size`` is not positive or X has infinitely many
        cells, or weights are negative, not finite or not one for each row.

    See Also
    --------
    MeanShift : Takes the weights as ``sample_weight``.

    Notes
    -----
    Condensing can be repeated: the points of several chunks, one after the other, condense with
    their weights to the points of the whole, in the same order, up to rounding. Equal rows condense
    to themselves to the last bit.

    No row moves farther than a cell's diagonal, so that with cells of side s a mean is off by no
    more than that, and by far less where the rows spread evenly in the cells.

    Time: 12 to 65 ns a row in two columns, the less the fewer cells there are, one thread.
    Memory: a copy of the table where it is not float64, 24 n_features + 48 bytes for each cell,
    half as much again while that grows, and what is returned.

    Examples
    --------
    >>> import numpy as np
    >>> from meanshift_fast import condense
    >>> X = np.array([[1.0, 0.9], [0.8, 1.3], [4.0, 7.0], [1.2, 0.8]])
    >>> points, weights, inverse = condense(X, 1.0)
    >>> points
    array([[1., 1.],
           [4., 7.]])
    >>> weights
    array([3., 1.])
    >>> inverse
    array([0, 0, 1, 0])
    """
    points = readonly_table(plain_table(X))
    sizes = checked_lengths("cell_size", cell_size, points.shape[1])
    weights = checked_weights(sample_weight, len(points), part=True)
    weight = float(weights.sum()) if weights.size else float(len(points))
    if not math.isfinite(weight * float(sizes.max())) and not math.isfinite(
        2.0 * weight * float(np.abs(points).max())
    ):
        raise ValueError(
            f"cell_size={quoted(cell_size)} times the weight of all rows, {weight:g}, overflows; "
            "divide the weights by their largest, or X and cell_size by that"
        )
    cells = Cells(Grid(sizes, 1))
    inverse = np.empty(len(points), dtype=np.int64)
    if cells.add(points, weights, inverse) < len(points):
        raise ValueError(
            f"cell_size={quoted(cell_size)} is too small for X, whose largest coordinate is "
            f"{np.abs(points).max():g}: the numbers of the cells overflow. Give a larger cell_size"
        )
    found = cells.condensed()
    return found.points, found.weights, inverse
