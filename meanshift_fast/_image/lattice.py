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

SIDE = 4  # pixels; the sixteen pixels of a block are the lanes of a vector
PAIR_SIDE = 2 * SIDE  # of two rows of blocks, which are read together
BLOCK_PIXELS = 1 << 16  # pixels that are converted at once
MAX_SINGLE = float(np.finfo(np.float32).max)
# In place of bytes that do not count: no window of such a range radius reaches it. The squares of
# these radii are far from the limits of float32.
NOTHING = np.int16(32767)
MIN_BYTE_RADIUS, MAX_BYTE_RADIUS = 1e-2, 1e4
FILTER_VALUES = 5  # before the middles
FARTHEST = 1e15  # range radii from the middle: float32 can add squares of thousands of bands


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
        """The distance of neighbouring pixels in the unit of the kernels."""
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
    blocks : read-only float64 or int16 array of shape (n_planes, n_down, n_across, n_bands, 16)
        The bands, in range radii for a joint window; infinite where nothing counts. Of an image of
        bytes the bands as they are, in int16; NOTHING where nothing counts.
    narrow : read-only float32 or int16 array of the same shape
        The same about their middles, in range radii; of an image of bytes the blocks.
    boxes : read-only float32 array of shape (2 * n_bands, n_planes, n_pairs, 2 * n_across + 16)
        Of each block the least and the largest of each narrow band; the largest is infinite where
        a pixel does not count. Two rows of blocks alternate: eight columns of a pair are read at
        once, of which a window of radius 8 has five. Blocks of nothing end each pair.
    sums : read-only float64 or float32 array of shape (n_bands, n_planes, n_pairs, as above)
        Of each block, likewise; float32 of an image of bytes.
    filter : read-only float64 array of shape (FILTER_VALUES + n_bands,)
        Squared distances in float32 up to which a pixel is surely inside, and from which it is
        surely outside, in units of the narrow bands; the range radius in those; what bands of the
        window's unit are multiplied by to be narrow, and blocks divided by to be in that unit; the
        narrow bands' middles, in the window's unit.
    frame : read-only int64 array of shape (9,)
        The first pixel in memory, the last one, and the shape of the image, along each axis.
    """

    blocks: NDArray[np.float64]
    narrow: NDArray[np.float32]
    boxes: NDArray[np.float32]
    sums: NDArray[np.float64]
    filter: NDArray[np.float64]
    frame: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Planes, rows and columns in memory."""
        planes, rows, columns = (self.frame[3:6] - self.frame[:3] + 1).tolist()
        return planes, rows, columns

    @property
    def is_whole(self) -> bool:
        """Whether all pixels of the image are in memory."""
        return self.shape == tuple(self.frame[6:].tolist())


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
        Converts the bands of some pixels, an array of shape (n, n_bands).
    first : tuple of int, default=(0, 0, 0)
        The indices of the first of them in the image; its row begins a pair of blocks, its column
        a block.
    image_shape : tuple of int, optional
        The shape of the image; None: all of it is here.

    Returns
    -------
    Lattice
    """
    n_planes, n_rows, n_columns, n_bands = bands.shape
    n_down, n_across = -(-n_rows // SIDE), -(-n_columns // SIDE)
    is_bytes = convert is None and bands.dtype.itemsize == 1
    is_bytes = is_bytes and MIN_BYTE_RADIUS <= window.range_radius <= MAX_BYTE_RADIUS
    dtype, nothing = (np.int16, NOTHING) if is_bytes else (np.float64, np.inf)
    blocks = np.empty((n_planes, n_down, n_across, n_bands, LANES), dtype)
    n_at_once = max(BLOCK_PIXELS // n_columns // SIDE, 1)  # rows of blocks: they are copied
    for z in range(n_planes):
        for start in range(0, n_down, n_at_once):
            rows = slice(SIDE * start, SIDE * (start + n_at_once))
            part = bands[z, rows]
            if convert is not None:
                part = convert(part.reshape(-1, n_bands)).reshape(part.shape)
            n_some = SIDE * min(n_at_once, n_down - start)
            values = np.full((n_some, SIDE * n_across, n_bands), nothing)
            values[: part.shape[0], :n_columns] = part
            if window.is_joint and not is_bytes:
                values /= window.range_radius
            if mask is not None:
                values[: part.shape[0], :n_columns][~mask[z, rows]] = nothing
            some = values.reshape(-1, SIDE, n_across, SIDE, n_bands)
            some = some.transpose(0, 2, 4, 1, 3).reshape(-1, n_across, n_bands, 16)
            blocks[z, start : start + len(some)] = some
    last = np.add(first, (n_planes, n_rows, n_columns)) - 1
    whole = bands.shape[:3] if image_shape is None else image_shape
    frame = np.concatenate([first, last, whole]).astype(np.int64)
    narrow, boxes, sums, filter = _filter_of(blocks, window)
    for array in (narrow, boxes, sums, filter):
        array.flags.writeable = False
    frame.flags.writeable = False
    blocks.flags.writeable = False
    return Lattice(blocks, narrow, boxes, sums, filter, frame)


def _filter_of(blocks: NDArray[Any], window: Window) -> tuple[NDArray[Any], ...]:
    """The narrow bands, their boxes, the sums of the blocks, and the filter."""
    n_planes, n_down, n_across, n_bands, _ = blocks.shape
    flat_blocks, is_bytes = blocks.reshape(-1, n_bands, LANES), blocks.dtype == np.int16
    least, largest = np.full(n_bands, np.inf), np.full(n_bands, -np.inf)
    sums = np.empty((len(flat_blocks), n_bands))
    some = range(0, len(flat_blocks), BLOCK_PIXELS // LANES)
    for start in some:
        part = flat_blocks[start : start + some.step]
        counts = _counting(part)
        least = np.minimum(least, np.where(counts, part, np.inf).min(axis=(0, 2)))
        largest = np.maximum(largest, np.where(counts, part, -np.inf).max(axis=(0, 2)))
        sums[start : start + some.step] = _ordered_sum(np.where(counts, part, 0.0))
    filter = _limits_of(least, largest, window, is_bytes=is_bytes)
    scale, middles = filter[3], filter[FILTER_VALUES:]
    narrow = blocks if is_bytes else np.empty(blocks.shape, dtype=np.float32)
    in_pairs = n_planes, -(-n_down // 2), n_across + LANES // 2, 2
    boxes = np.full((2 * n_bands, *in_pairs), np.inf, dtype=np.float32)
    for z in range(n_planes):
        for down in range(n_down):
            part, counts = blocks[z, down], _counting(blocks[z, down])
            if not is_bytes:
                part = np.clip((part - middles[:, None]) * scale, -FARTHEST, FARTHEST)
            part = np.where(counts, part, np.inf).astype(np.float32)
            if not is_bytes:
                narrow[z, down] = part
            row = boxes[:, z, down // 2, :n_across, down % 2]
            row[:n_bands] = part.min(axis=2).T
            row[n_bands:] = part.max(axis=2).T
    by_band = np.zeros((n_bands, *in_pairs), dtype=np.float32 if is_bytes else np.float64)
    for second in range(2):
        rows = sums.reshape(blocks.shape[:4])[:, second::2]
        by_band[:, :, : rows.shape[1], :n_across, second] = np.moveaxis(rows, 3, 0)
    flat = (*in_pairs[:2], -1)
    return narrow, boxes.reshape(2 * n_bands, *flat), by_band.reshape(n_bands, *flat), filter


def _limits_of(
    least: NDArray[np.float64], largest: NDArray[np.float64], window: Window, *, is_bytes: bool
) -> NDArray[np.float64]:
    """The values of `Lattice.filter`, from the least and the largest value of each band.

    Bands about their middles, at most m range radii away, and the position's are rounded to
    float32 with errors of at most m 2^-24 each; e = m 2^-22 bounds a difference's error with room
    to spare. A distance of 1 is then wrong by at most 2 e sqrt(n) + e^2 n, and by the rounding of
    the sum. In space the same holds for offsets of a reach and a block. A filter without digits
    leaves out what is infinite, and nothing else. Bytes are not rounded, and are their own unit.
    """
    n_bands, radius = len(least), window.range_radius
    if is_bytes:
        middles, most, unit = np.zeros(n_bands), 256.0 / radius, radius
        scale = divisor = radius if window.is_joint else 1.0
    else:
        unit, divisor = 1.0, 1.0
        with np.errstate(over="ignore", invalid="ignore"):
            middles = np.where(np.isfinite(least), 0.5 * least + 0.5 * largest, 0.0)
            scale = 1.0 if window.is_joint else min(1.0 / radius, 1e300)
            most = float(np.max((largest - middles) * scale, initial=0.0))
    step = float(np.max(window.steps)) / (1.0 if window.is_joint else window.spatial_radius)
    error = (max(most, 1.0) + 1.0 + 8.0 * step) * 2.0**-22
    tolerance = (2.0 * error * np.sqrt(n_bands + 3.0) + error * error * (n_bands + 3.0)) + (
        n_bands + 8.0
    ) * 2.0**-22
    limits = (-1.0, MAX_SINGLE)
    if tolerance < 0.5:
        limits = (1.0 - tolerance) * unit * unit, (1.0 + tolerance) * unit * unit
    return np.array([*limits, unit, scale, divisor, *middles])


def _counting(blocks: NDArray[Any]) -> NDArray[np.bool_]:
    """Which pixels of blocks count."""
    counts: NDArray[np.bool_] = (
        blocks != NOTHING if blocks.dtype == np.int16 else np.isfinite(blocks)
    )
    return counts


def _ordered_sum(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over the last axis, pixel after pixel, in the same order for every shape."""
    total = np.zeros(values.shape[:2])
    for pixel in range(LANES):
        total += values[:, :, pixel]
    return total
