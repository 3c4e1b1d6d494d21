"""The lattice: the pixels of an image, or of a part of it, as the kernels read them.

    image (plane, row, column, band)  -->  blocks of 4 x 4 pixels, band after band
                                           boxes: the blocks' weights, sums, least and largest

Everything has three axes in space; a picture is one plane. Positions are counted in pixels of the
whole image, and blocks begin at multiples of their sides, so that a part of the image gives the
same sums to the last bit. Pixels that are masked, or beyond the image, are infinite.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._input.scaling import readonly
from meanshift_fast._jit.simd import LANES

SIDE = 4  # pixels of a block, whose sixteen are the lanes of a vector
BLOCK_PIXELS = 1 << 16  # that are converted at once


class Window(NamedTuple):
    """The region around a position whose pixels are averaged.

    Attributes
    ----------
    spatial_radius, range_radius : float
        In the units of ``spacing`` and of the bands.
    spacing : float64 array of shape (3,)
        The distance of neighbouring pixels along each axis.
    is_joint : bool
        Whether the sum of both squared ratios is at most 1; otherwise each of them is.
    """

    spatial_radius: float
    range_radius: float
    spacing: NDArray[np.float64]
    is_joint: bool

    @property
    def steps(self) -> NDArray[np.float64]:
        """The distance of neighbouring pixels in the unit that the kernels measure in."""
        return self.spacing / self.spatial_radius if self.is_joint else self.spacing

    @property
    def reach(self) -> NDArray[np.float64]:
        """The spatial radius in pixels, along each axis; no image is larger than the most."""
        return np.minimum(self.spatial_radius / self.spacing, 1e15)

    def lengths(self, tol: float) -> NDArray[np.float64]:
        """Steps, squared radii in space and range, reach, and the squared move of a rest."""
        squares = (1.0, 1.0) if self.is_joint else (self.spatial_radius**2, self.range_radius**2)
        return readonly(np.array([*self.steps, *squares, *self.reach, tol * tol]))


class Lattice(NamedTuple):
    """Pixels in memory, and where in the image they lie.

    Attributes
    ----------
    blocks : read-only float64 array of shape (n_planes, n_down, n_across, n_bands, 16)
        The bands, in range radii for a joint window; infinite where nothing counts.
    boxes : read-only float64 array of shape (3 + 3 * n_bands, n_planes, n_down, n_across + 16)
        Of each block: the weight, the sums of the rows, of the columns and of each band, and the
        least and the largest value of each band. Sixteen blocks of nothing end each row.
    frame : read-only int64 array of shape (9,)
        The first pixel in memory, the last one, and the shape of the image, along each axis.
    """

    blocks: NDArray[np.float64]
    boxes: NDArray[np.float64]
    frame: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Planes, rows and columns in memory."""
        planes, rows, columns = (self.frame[3:6] - self.frame[:3] + 1).tolist()
        return planes, rows, columns


def lattice_of(
    bands: NDArray[Any],
    mask: NDArray[np.bool_] | None,
    window: Window,
    *,
    convert: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
    first: tuple[int, ...] = (0, 0, 0),
    image_shape: tuple[int, ...] | None = None,
) -> Lattice:
    """Arrange pixels for the kernels.

    Parameters
    ----------
    bands : numeric array of shape (n_planes, n_rows, n_columns, n_bands)
        The pixels in memory.
    mask : bool array of shape (n_planes, n_rows, n_columns), optional
        False where a pixel does not count.
    window : Window
        A joint window measures in range radii.
    convert : callable, optional
        Makes of some pixels, an array of shape (n, n_bands), what the bands shall be.
    first : tuple of int, default=(0, 0, 0)
        The place of the first of them in the image; its row and column begin a block.
    image_shape : tuple of int, optional
        The shape of the image; None: all of it is here.

    Returns
    -------
    Lattice
    """
    n_planes, n_rows, n_columns, n_bands = bands.shape
    n_down, n_across = -(-n_rows // SIDE), -(-n_columns // SIDE)
    blocks = np.empty((n_planes, n_down, n_across, n_bands, LANES))
    boxes = np.full((3 + 3 * n_bands, n_planes, n_down, n_across + LANES), np.inf)
    boxes[: 3 + n_bands] = 0.0
    n_at_once = max(BLOCK_PIXELS // n_columns // SIDE, 1)  # rows of blocks: they are copied
    for z in range(n_planes):
        for start in range(0, n_down, n_at_once):
            rows = slice(SIDE * start, SIDE * (start + n_at_once))
            part = bands[z, rows]
            if convert is not None:
                part = convert(part.reshape(-1, n_bands)).reshape(part.shape)
            n_some = SIDE * min(n_at_once, n_down - start)
            values = np.full((n_some, SIDE * n_across, n_bands), np.inf)
            values[: part.shape[0], :n_columns] = part
            if window.is_joint:
                values /= window.range_radius
            if mask is not None:
                values[: part.shape[0], :n_columns][~mask[z, rows]] = np.inf
            some = values.reshape(-1, SIDE, n_across, SIDE, n_bands)
            some = some.transpose(0, 2, 4, 1, 3).reshape(-1, n_across, n_bands, 16)
            down = slice(start, start + len(some))
            blocks[z, down] = some
            _measure(some, first[1] + SIDE * start, first[2], boxes[:, z, down, :n_across])
    last = np.add(first, (n_planes, n_rows, n_columns)) - 1
    whole = bands.shape[:3] if image_shape is None else image_shape
    frame = np.concatenate([first, last, whole]).astype(np.int64)
    frame.flags.writeable = False
    return Lattice(readonly(blocks), readonly(boxes), frame)


def _measure(
    blocks: NDArray[np.float64], first_row: int, first_column: int, boxes: NDArray[np.float64]
) -> None:
    """Write the weights, sums, least and largest values of some rows of blocks.

    A band is summed pixel after pixel, in an order that no shape changes.
    """
    n_down, n_across, n_bands = blocks.shape[:3]
    counts = np.isfinite(blocks[:, :, 0])
    rows = np.repeat(np.arange(SIDE), SIDE)
    columns = np.tile(np.arange(SIDE), SIDE)
    boxes[0] = counts.sum(axis=2)
    above = first_row + SIDE * np.arange(n_down)
    before = first_column + SIDE * np.arange(n_across)
    boxes[1] = counts @ rows + boxes[0] * above[:, None]
    boxes[2] = counts @ columns + boxes[0] * before
    for band in range(n_bands):
        values = blocks[:, :, band]
        total = np.zeros(values.shape[:2])
        for pixel in range(values.shape[2]):
            total += np.where(counts[:, :, pixel], values[:, :, pixel], 0.0)
        boxes[3 + band] = total
        boxes[3 + n_bands + band] = values.min(axis=2)
        boxes[3 + 2 * n_bands + band] = np.where(counts, values, -np.inf).max(axis=2)
