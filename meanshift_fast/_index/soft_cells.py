r"""The index of wide cells: a cell that the sphere cuts counts by the part of it in the ball.

    position                                sphere
       x . . . . . . . . d . . . . . . *       :          *  the point of a cell
       x . . . . . . . . . r . . . . . . . . . :
                              |<-------- w ----:--->|     the cell, as if spread along the line

    counts by   1 / 2 + (r - d) / w,   at least 0, at most 1

A point of a cell stands for rows that are spread over it. Where it counts whole or not at all, the
means of balls jump by a cell: with cells of a sixteenth of the bandwidth they are off by some 0.004
bandwidths, and a plateau's mode by 0.05. The variance of a cell's rows gives its width: rows spread
evenly over a width w have a variance of w^2 / 12 along any line.

A square root is saved: r - d = (r^2 - d^2) / (r + d), and r + d is 2 r where the sphere cuts. So a
block is not opened where its box lies

    d^2 <= r^2 - r w   inside          d^2 > r^2 + r w   outside          w the largest width

and the traversal is that of rows: see `traversal.py`, which counts a cell's part. A point of no
width is in the closed ball or not, as a row is.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._index.base import TreeIndex
from meanshift_fast._index.epanechnikov import sum_epanechnikov
from meanshift_fast._index.moment_tree import MomentTree
from meanshift_fast._index.traversal import BLOCK_POSITIONS, room_for, shift_block
from meanshift_fast._input.weights import UNWEIGHTED
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import parallel

FIRST_CHUNK_VALUES = 1 << 30  # read or measured by the first chunk, at most: less than a second
MAX_POINT_WIDTH_IN_BANDWIDTHS = 1 / 256  # wider cells count in part


@parallel
def _shift_all(tree, inverse_widths, positions, ball, support, moves):
    for block in prange((positions.shape[0] + BLOCK_POSITIONS - 1) // BLOCK_POSITIONS):
        first = np.int64(block) * BLOCK_POSITIONS  # prange counts unsigned: compiled twice
        stop = min(first + BLOCK_POSITIONS, positions.shape[0])
        numbers, integers = room_for(positions.shape[1])
        shift_block(
            tree, inverse_widths, positions, first, stop, ball, support, moves, numbers, integers
        )  # fmt: skip


def widths_of(variances: NDArray[np.float64]) -> NDArray[np.float64]:
    """The widths of cells in bandwidths, from the variances of their rows in squares of it.

    Empty where none is wider than a 256th: such cells are points.
    """
    widths = np.sqrt(12.0 * variances)
    return widths if widths.max(initial=0.0) > MAX_POINT_WIDTH_IN_BANDWIDTHS else UNWEIGHTED


@dataclass(frozen=True)
class SoftCellIndex(TreeIndex):
    """Cells that count by the part of them in the ball.

    Attributes
    ----------
    tree : MomentTree
        The points of the cells.
    inverse_widths : float64 array of shape (n_leaves, 16)
        One over the width of each point's cell; 0 where that is 0.
    widest : float
        The largest width, in the unit of the points.
    """

    tree: MomentTree
    inverse_widths: NDArray[np.float64]
    widest: float
    radius: float

    @classmethod
    def of(cls, tree: MomentTree, widths: NDArray[np.float64], radius: float) -> Self:
        """The index of cells, with widths in the unit of the points and in the table's order."""
        inverse_widths = np.zeros(tree.points.shape[::2])
        ranks = inverse_widths.reshape(-1)[: len(widths)]
        ordered = widths[tree.order]
        np.divide(1.0, ordered, out=ranks, where=ordered > 0.0)
        return cls(tree, inverse_widths, float(widths.max()), radius)

    def shift(
        self, positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move every position to the mean of the parts of cells in its ball."""
        tree, radius_sq = self.tree, self.radius * self.radius
        support, moves = np.empty((2, len(positions)))
        margin = self.radius * self.widest
        ball = (radius_sq + margin, radius_sq - margin, radius_sq, 0.5 / self.radius)
        first = FIRST_CHUNK_VALUES // tree.points.size
        for start, stop in chunks(len(positions), first=first, multiple=BLOCK_POSITIONS):
            _shift_all(
                tree, self.inverse_widths, positions[start:stop], ball, support[start:stop],
                moves[start:stop],
            )  # fmt: skip
        return support, moves

    def density(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum Epanechnikov's kernel, which a cell's width changes little."""
        return sum_epanechnikov(self.tree, places, self.radius)
