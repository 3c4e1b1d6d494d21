"""The index of rows that fill many columns: most pairs are settled by matrix products in float32.

    every row a position    half of the pairs by all columns, the others mirrored  --.
    positions    heads      a few axes of the positions        (`product_levels.py`) |
              `- the rest   all columns             (`singles.py`, `ball_bits.py`) --+--> bits
                                                                                      |
                                                 means <-- sums of rows (`ball_sums.py`)

Where rows fill their dimensions neither boxes nor sixteen axes settle much, and all pairs are
measured: a matrix product does that at the speed of the machine. Its error is bounded, and the rows
too near to a sphere for it are measured by the one expression, so the rows in each ball are the
flat index's. A mean is a sum over them in the order of the table.

Positions that have shifted are means, of many rows each, and lie near few axes however the rows do,
so products of 16 or 64 numbers settle most pairs of most of them. 16,000 token embeddings of 256
columns after a step: 11,354 are settled by 16 axes, 4,385 by 64, and 261 by all.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index.ball_bits import settle, settle_mirrored
from meanshift_fast._index.ball_sums import TASK_POSITIONS, move_to_means
from meanshift_fast._index.base import Index
from meanshift_fast._index.epanechnikov import sum_epanechnikov
from meanshift_fast._index.equal_rows import find_repeats
from meanshift_fast._index.moment_tree import build
from meanshift_fast._index.product_levels import MAX_MEASURED_SHARE, Level, ProductTable, heads
from meanshift_fast._index.singles import VANISHING, error_of, rounding_of, scale_of
from meanshift_fast._input.scaling import FLAT_MOST, readonly
from meanshift_fast._jit.blas import run_tasks
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.simd import LANES

TILE_ROWS = 512  # of positions, and of rows: 1 MB of products, in cache
MAX_BITS_BYTES = 1 << 25  # for the bits of the positions that shift at once
FIRST_CHUNK_VALUES = 1 << 28  # added by the first chunk
MAX_REACH_IN_RADII = 1e3  # of a table whose sums outside are subtracted from those of all


# Bounds.


def _bounds(
    norms: NDArray[np.float64],
    radius: float,
    most: float,
    error: float,
    unit: float,
    n_features: int,
) -> NDArray[np.float64]:
    """The least and the largest product that leaves a row of norm ``most`` on the sphere open.

    ``norms`` are those of the positions. From products half the row's square is subtracted, and all
    are scaled by ``unit``. The third column is 0: where all columns are multiplied, rows have no
    tails.
    """
    threshold = 0.5 * (norms * norms - radius * radius)
    # Beyond all rows: so far away that float32 might overflow.
    threshold[norms > (most + radius) * (1.0 + 1e-9)] = np.inf
    slack = error * most * norms
    slack += rounding_of(n_features) * (norms * norms + most * most + radius * radius)
    slack += VANISHING * n_features / unit
    bounds = np.zeros((len(norms), 3))
    np.multiply(threshold - slack, unit, out=bounds[:, 0])
    np.multiply(threshold + slack, unit, out=bounds[:, 1])
    return bounds


def _products(
    positions: NDArray[np.float32], rows: NDArray[np.float32], memory: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The products of positions and rows, in memory for those of a tile."""
    made = memory[: len(positions) * len(rows)].reshape(len(positions), len(rows))
    return np.dot(positions, rows.T, out=made)


# Every row.


def _settle_rows(table: ProductTable, radius: float, masks: NDArray[np.uint16]) -> None:
    """Write the bits of the rows' own balls: tiles above the diagonal, each with its mirror."""
    singles, radius_sq = table.singles, min(radius * radius, FLAT_MOST)
    n_padded, n_features = singles.values.shape
    half, unit = singles.half_squares(len(table.points)), singles.scale * singles.scale
    half *= unit
    starts = range(0, n_padded, TILE_ROWS)
    tasks = [(i, j) for i in starts for j in starts if j >= i]
    numbers, ignored = np.arange(len(table.points)), np.zeros(len(table.points), dtype=np.int64)

    def worker() -> Callable[[tuple[int, int]], None]:
        """Make a worker with memory of its own."""
        memory = np.empty(TILE_ROWS * TILE_ROWS, dtype=np.float32)
        columns = np.empty(LANES, dtype=np.int64)

        def run(task: tuple[int, int]) -> None:
            """Settle a tile of positions and rows, and its mirror."""
            places, rows = (slice(start, min(start + TILE_ROWS, n_padded)) for start in task)
            products = _products(singles.values[places], singles.values[rows], memory)
            norms = singles.norms[places]
            most = float(max(norms.max(), singles.norms[rows].max()))
            bounds = _bounds(norms, radius, most, error_of(n_features), unit, n_features)
            if places == rows:
                n_places = len(numbers[places])
                settle(
                    products[:n_places], half[rows], half[rows], bounds, table.points, rows.start,
                    table.points, numbers[places], radius_sq, len(numbers), ignored, masks,
                )  # fmt: skip
            else:
                settle_mirrored(
                    products, half[rows], bounds, table.points, rows.start, places.start, radius_sq,
                    columns, masks,
                )  # fmt: skip

        return run

    run_tasks(tasks, worker, n_products=TILE_ROWS * TILE_ROWS * n_features)


# Any positions.


def _settle_level(
    table: ProductTable,
    places: NDArray[np.float64],
    numbers: NDArray[np.int64],
    norms: NDArray[np.float64],
    level: Level,
    radius: float,
    masks: NDArray[np.uint16],
) -> NDArray[np.int64]:
    """Write the bits of some positions' balls; those of which too many rows would be measured.

    Where the level has all columns, none is.
    """
    n_padded, n_numbers = level.rows.shape
    n_features, half = places.shape[1], table.singles.half_squares(len(table.points))
    half *= level.scale
    radius_sq, unit = min(radius * radius, FLAT_MOST), level.scale
    is_whole = not level.offs.size
    max_measured = len(half) if is_whole else int(MAX_MEASURED_SHARE * len(half))
    n_measured = np.zeros(len(places), dtype=np.int64)
    tails = half if is_whole else level.tails * unit
    starts = range(0, n_padded, TILE_ROWS)
    some = [numbers[start : start + TILE_ROWS] for start in range(0, len(numbers), TILE_ROWS)]
    tasks = [(part, starts) for part in some]
    if is_whole:
        tasks = [(part, range(start, start + 1)) for part in some for start in starts]

    def worker() -> Callable[[tuple[NDArray[np.int64], range]], None]:
        """Make a worker with memory of its own."""
        memory = np.empty(TILE_ROWS * TILE_ROWS, dtype=np.float32)

        def run(task: tuple[NDArray[np.int64], range]) -> None:
            """Settle some positions with some tiles of rows."""
            chosen, tiles = task
            factors, lengths = level.places.take(chosen, axis=0), norms[chosen]
            for start in tiles:
                rows = slice(start, min(start + TILE_ROWS, n_padded))
                products = _products(factors, level.rows[rows], memory)
                most = float(table.singles.norms[rows].max())
                bounds = _bounds(lengths, radius, most, level.error, unit, n_features)
                if not is_whole:
                    bounds[:, 2] = level.offs[chosen]
                settle(
                    products, half[rows], tails[rows], bounds, table.points, start, places, chosen,
                    radius_sq, max_measured, n_measured, masks,
                )  # fmt: skip

        return run

    n_products = TILE_ROWS * TILE_ROWS * n_numbers * len(tasks[0][1])
    run_tasks(tasks, worker, n_products=n_products)
    return numbers[n_measured[numbers] > max_measured]


def _settle_places(
    table: ProductTable, places: NDArray[np.float64], radius: float, masks: NDArray[np.uint16]
) -> None:
    """Write the bits of positions' balls."""
    singles = table.singles
    most = float(singles.norms.max())
    with np.errstate(over="ignore", invalid="ignore"):
        away = places - table.middle
        norms = np.sqrt(np.einsum("ij,ij->i", away, away))
    is_near = norms <= (most + radius) * (1.0 + 1e-9)
    numbers = np.flatnonzero(is_near)
    if not len(numbers):
        return
    scale = scale_of(float(norms[numbers].max()))
    left = numbers
    for level in heads(table, away, norms, numbers, scale, radius):
        left = _settle_level(table, places, left, norms, level, radius, masks)
        if not len(left):
            return
    away[~is_near] = 0.0
    factors = (away * scale).astype(np.float32)
    none = np.empty(0)
    whole = Level(
        singles.values, factors, singles.scale * scale, none, none, error_of(places.shape[1])
    )
    _settle_level(table, places, left, norms, whole, radius, masks)


@dataclass(frozen=True)
class ProductIndex(Index):
    """Rows in many columns, most pairs settled by matrix products."""

    table: ProductTable
    radius: float
    depends_on_position_alone = True

    @property
    def order(self) -> NDArray[np.signedinteger]:
        """The rows in their own order."""
        return np.arange(len(self.table.points))

    def shift(
        self, positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move every position to the mean of the rows in its ball."""
        table, n_masks = self.table, len(self.table.singles.values) // LANES
        fit_at_once = len(positions) * n_masks * 2 <= MAX_BITS_BYTES
        if fit_at_once and np.array_equal(positions, table.points):
            masks = np.zeros((len(positions), n_masks), dtype=np.uint16)
            _settle_rows(table, self.radius, masks)
            return _move(table, self.radius, masks, positions)
        firsts, numbers = find_repeats(readonly(positions))
        if len(firsts) < len(positions):
            places = positions.take(firsts, axis=0)
            support, moves = self._shift_distinct(places)
            np.take(places, numbers, axis=0, out=positions)
            return support[numbers], moves[numbers]
        return self._shift_distinct(positions)

    def _shift_distinct(
        self, places: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move positions that are no rows, some at a time."""
        table, (n_padded, n_features) = self.table, self.table.singles.values.shape
        support, moves = np.empty(len(places)), np.empty(len(places))
        # The bits of the positions that shift at once, and two copies of them, are of some size.
        step = max(MAX_BITS_BYTES // max(n_padded // 8, 12 * n_features), TILE_ROWS)
        for start in range(0, len(places), step):
            some = slice(start, start + step)
            masks = np.zeros((len(places[some]), n_padded // LANES), dtype=np.uint16)
            _settle_places(table, places[some], self.radius, masks)
            support[some], moves[some] = _move(table, self.radius, masks, places[some])
        return support, moves

    def density(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum the shadow of the kernel, Epanechnikov's, on a tree of the rows."""
        tree = build(self.table.points, self.table.weights)
        return sum_epanechnikov(tree, places, self.radius)


def _move(
    table: ProductTable, radius: float, masks: NDArray[np.uint16], places: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move positions to the means of the balls that bits say."""
    support, moves = np.empty(len(places)), np.empty(len(places))
    may_subtract = float(table.singles.norms.max()) <= MAX_REACH_IN_RADII * radius
    values = table.singles.values if table.singles.are_exact else table.points
    arrays = (
        values, table.weights, table.sums, table.weight, may_subtract, np.int64(len(table.points)),
    )  # fmt: skip
    first = FIRST_CHUNK_VALUES // table.points.size
    for start, stop in chunks(len(places), first=first, multiple=TASK_POSITIONS):
        move_to_means(
            arrays, masks[start:stop], places[start:stop], support[start:stop], moves[start:stop]
        )  # fmt: skip
    return support, moves
