"""The lattice: the pixels of an image, or of a part of it, as the kernels read them.

    image (row, column, band)  -->  planes (band, plane, row, column)
                                    masked pixels, and 16 columns beyond each row, are infinite

Everything has three axes in space; a picture is one plane. Positions are counted in pixels of the
whole image, so that a part of it gives the same numbers to the last bit.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._input.scaling import readonly
from meanshift_fast._jit.simd import LANES

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
    planes : read-only float64 array of shape (n_bands, n_planes, n_rows, n_columns + 16)
        The bands, in range radii for a joint window. The first is infinite where nothing counts.
    frame : read-only int64 array of shape (9,)
        The first pixel in memory, the last one, and the shape of the image, along each axis.
    """

    planes: NDArray[np.float64]
    frame: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Planes, rows and columns in memory."""
        return (*self.planes.shape[1:3], self.planes.shape[3] - LANES)


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
        The place of the first of them in the image.
    image_shape : tuple of int, optional
        The shape of the image; None: all of it is here.

    Returns
    -------
    Lattice
    """
    n_planes, n_rows, n_columns, n_bands = bands.shape
    planes = np.empty((n_bands, n_planes, n_rows, n_columns + LANES))
    planes[..., n_columns:] = np.inf
    n_at_once = max(BLOCK_PIXELS // n_columns, 1)  # rows, of which a conversion makes copies
    for z in range(n_planes):
        for start in range(0, n_rows, n_at_once):
            rows = slice(start, start + n_at_once)
            block = bands[z, rows]
            if convert is not None:
                block = convert(block.reshape(-1, n_bands)).reshape(block.shape)
            planes[:, z, rows, :n_columns] = np.moveaxis(block, -1, 0)
    if window.is_joint:
        planes /= window.range_radius
    if mask is not None:
        planes[:, ..., :n_columns][:, ~mask] = np.inf
    last = np.add(first, (*planes.shape[1:3], n_columns)) - 1
    whole = bands.shape[:3] if image_shape is None else image_shape
    frame = np.concatenate([first, last, whole]).astype(np.int64)
    frame.flags.writeable = False
    return Lattice(readonly(planes), frame)
