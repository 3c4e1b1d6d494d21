"""The grid whose cells are parts of bins: the number of the cell that a row lies in."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._input.scaling import readonly
from meanshift_fast._jit.compiler import serial, step


class Grid(NamedTuple):
    """Bins, and into how many parts they are cut.

    Attributes
    ----------
    sizes : read-only float64 array of shape (n_features,)
        The sides of a bin, positive, in the unit of the columns. The centres of the bins are the
        multiples of it.
    n_parts : int
        Each side of a bin is so many sides of a cell.
    """

    sizes: NDArray[np.float64]
    n_parts: int

    def numbers(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Number the cells of rows along each feature; not finite where numbers are too large."""
        numbers = np.empty(points.shape)
        _number_rows(readonly(points), readonly(self.sizes), float(self.n_parts), numbers)
        return numbers


@step
def cell_number(value, size, n_parts):
    """Number a cell: the bin, rounded half to even, and the part of it.

    Adding 0.0 makes one cell of -0.0 and 0.0. With a power of two more parts, each part is cut to
    the last bit.
    """
    place = value / size
    middle = np.rint(place)
    part = min(np.floor((place - middle + 0.5) * n_parts), n_parts - 1.0)
    return middle * n_parts + part + 0.0


@serial
def _number_rows(points, sizes, n_parts, numbers):
    for i in range(points.shape[0]):
        for f in range(points.shape[1]):
            numbers[i, f] = cell_number(points[i, f], sizes[f], n_parts)
