"""The lattice: the pixels of an image, or of a part of it, as the kernels read them.

    image (plane, row, column, band)  -->  blocks of 4 x 4 pixels, band after band
                                           boxes: the blocks' sums, least and largest

Everything has three axes in space; a picture is one plane. Positions are counted in pixels of the
whole image, and blocks begin at multiples of their sides, so that a part of the image gives the
same sums to the last bit. Pixels that are masked, or beyond the image, are infinite. Images of
bytes have a layout of their own, pairs of `byte_pairs.py`.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._image import byte_pairs
from meanshift_fast._input.scaling import readonly
from meanshift_fast._jit.simd import LANES

SIDE = 4  # pixels; the sixteen pixels of a block are the lanes of a vector
PAIR_SIDE = 2 * SIDE  # of two rows of blocks, which are read together
BLOCK_PIXELS = 1 << 16  # pixels that are converted at once
MAX_SINGLE = float(np.finfo(np.float32).max)
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

    def n_values(self, lattice: "Lattice") -> int:
        """How many values of a lattice a window reads, at most."""
        return int(np.prod(2.0 * np.minimum(self.reach, lattice.shape) + 1.0)) * lattice.n_bands

    def lengths(self, tol: float) -> NDArray[np.float64]:
        """Steps, squared radii in space and range, reach, and the squared move of a rest."""
        squares = (1.0, 1.0) if self.is_joint else (self.spatial_radius**2, self.range_radius**2)
        return readonly(np.array([*self.steps, *squares, *self.reach, tol * tol]))


class Lattice(NamedTuple):
    """Pixels in memory, and where in the image they lie.

    Attributes
    ----------
    blocks : read-only float64 array of shape (n_planes, n_down, n_across, n_bands, 16)
        The bands, in range radii for a joint window; infinite where nothing counts. Of an image of
        bytes uint8 of shape (n_planes, n_down, n_across, 2, 32): pairs of bands as they are.
    narrow : read-only float32 array of the same shape
        The same about their middles, in range radii; empty of an image of bytes.
    boxes : read-only float32 array of shape (2 * n_bands, n_planes, n_pairs, 2 * n_across + 16)
        Of each block the least and the largest of each narrow band; the largest is infinite where
        a pixel does not count. Two rows of blocks alternate: eight columns of a pair are read at
        once, of which a window of radius 8 has five. Blocks of nothing end each pair. Of an image
        of bytes int16 of shape (4, ..., twice as many): pairs of the least, then of the largest.
    sums : read-only float64 array of shape (n_bands, n_planes, n_pairs, as above)
        Of each block, likewise; of an image of bytes int16 of shape (2, ..., twice as many).
    filter : read-only float64 array of shape (FILTER_VALUES + n_bands,)
        Squared distances in float32 up to which a pixel is surely inside, and from which it is
        surely outside, in units of the narrow bands, of bytes 128ths; the range radius in those;
        what bands of the window's unit are multiplied by to be narrow, and blocks divided by to be
        in that unit; the narrow bands' middles, in the window's unit.
    frame : read-only int64 array of shape (9,)
        The first pixel in memory, the last one, and the shape of the image, along each axis.
    """

    blocks: NDArray[Any]
    narrow: NDArray[Any]
    boxes: NDArray[Any]
    sums: NDArray[Any]
    filter: NDArray[np.float64]
    frame: NDArray[np.int64]

    @property
    def n_bands(self) -> int:
        """The bands of a pixel."""
        return len(self.filter) - FILTER_VALUES

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
    bands, mask : arrays of shape (n_planes, n_rows, n_columns, n_bands) and without n_bands
        The pixels in memory; the mask is False where one does not count.
    window : Window
        A joint window measures in range radii.
    convert : callable, optional
        Converts the bands of some pixels, an array of shape (n, n_bands).
    first : tuple of int, default=(0, 0, 0)
        The indices of the first of them in the image; its row begins a pair of blocks, its column
        a block.
    image_shape : tuple of int, optional
        The shape of the image; None: all of it is here.
    """
    n_planes, n_rows, n_columns, n_bands = bands.shape
    is_bytes = convert is None and _are_bytes(bands.dtype, n_bands, window)
    n_down, n_across = -(-n_rows // SIDE), -(-n_columns // SIDE)
    held, dtype = (byte_pairs.VALUES, np.uint8) if is_bytes else (n_bands, np.float64)
    blocks = np.empty((n_planes, n_down, n_across, held, LANES), dtype)
    n_at_once = max(BLOCK_PIXELS // n_columns // SIDE, 1)  # rows of blocks: they are copied
    for z in range(n_planes):
        for start in range(0, n_down, n_at_once):
            rows = slice(SIDE * start, SIDE * (start + n_at_once))
            part = bands[z, rows]
            counts = np.ones(part.shape[:2], dtype=bool) if mask is None else mask[z, rows]
            n_some = min(n_at_once, n_down - start)
            some = blocks[z, start : start + n_some]
            if is_bytes:
                _fill(some, byte_pairs.values_of(np.moveaxis(part, 2, 0), counts), byte_pairs.EMPTY)
                continue
            if convert is not None:
                part = convert(part.reshape(-1, n_bands)).reshape(part.shape)
            part = np.where(counts, np.moveaxis(part, 2, 0).astype(np.float64), np.inf)
            if window.is_joint:
                part /= window.range_radius
            _fill(some, part, np.full(n_bands, np.inf))
    last = np.add(first, (n_planes, n_rows, n_columns)) - 1
    whole = bands.shape[:3] if image_shape is None else image_shape
    frame = np.concatenate([first, last, whole]).astype(np.int64)
    if is_bytes:
        boxes, sums = _boxes_of_bytes(blocks)
        narrow, blocks = np.empty((0,) * 5, dtype=np.float32), _side_by_side(blocks, 3)
        filter = _limits_of_bytes(n_bands, window)
    else:
        narrow, boxes, sums, filter = _filter_of(blocks, window)
    for array in (narrow, boxes, sums, filter, frame, blocks):
        array.flags.writeable = False
    return Lattice(blocks, narrow, boxes, sums, filter, frame)


def _fill(blocks: NDArray[Any], values: NDArray[Any], nothing: NDArray[Any]) -> None:
    """Write rows of pixels, an array of shape (held, rows, columns), to rows of blocks."""
    n_down, n_across, held, _ = blocks.shape
    padded = np.empty((held, SIDE * n_down, SIDE * n_across), blocks.dtype)
    padded[:] = nothing[:, None, None]
    padded[:, : values.shape[1], : values.shape[2]] = values
    blocks[:] = (
        padded.reshape(held, n_down, SIDE, n_across, SIDE)
        .transpose(1, 3, 0, 2, 4)
        .reshape(blocks.shape)
    )


def _pairs_for(blocks: NDArray[Any], nothing: NDArray[Any]) -> NDArray[Any]:
    """Room for values of blocks in pairs of rows, as `Lattice.boxes` has them; all are nothing."""
    n_planes, n_down, n_across = blocks.shape[:3]
    in_pairs = n_planes, -(-n_down // 2), n_across + LANES // 2, 2
    pairs = np.empty((len(nothing), *in_pairs), nothing.dtype)
    pairs[:] = nothing[:, None, None, None, None]
    return pairs


def _row_of(pairs: NDArray[Any], blocks: NDArray[Any], z: int, down: int) -> NDArray[Any]:
    """The values of a row of blocks in pairs of rows, a view of shape (n_across, n)."""
    return pairs[:, z, down // 2, : blocks.shape[2], down % 2].T


def _boxes_of_bytes(blocks: NDArray[np.uint8]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """The boxes and the sums of the blocks of an image of bytes."""
    empty = byte_pairs.bounds_and_sums(np.tile(byte_pairs.EMPTY[:, None], LANES)[None])
    boxes, sums = (_pairs_for(blocks, values[0]) for values in empty)
    for z in range(len(blocks)):
        for down in range(blocks.shape[1]):
            found = byte_pairs.bounds_and_sums(blocks[z, down])
            _row_of(boxes, blocks, z, down)[:], _row_of(sums, blocks, z, down)[:] = found
    flat = (*boxes.shape[1:3], -1)
    return (
        _side_by_side(boxes.reshape(len(boxes), *flat), 0),
        _side_by_side(sums.reshape(len(sums), *flat), 0),
    )


def _side_by_side(values: NDArray[Any], axis: int) -> NDArray[Any]:
    """Values in pairs of neighbours along an axis, which follow one another along the last one."""
    n = values.shape[axis] // 2
    shape = *values.shape[:axis], n, 2, *values.shape[axis + 1 :]
    pairs = np.moveaxis(values.reshape(shape), axis + 1, -1)
    return np.ascontiguousarray(pairs.reshape(*pairs.shape[:-2], -1))


def _filter_of(blocks: NDArray[np.float64], window: Window) -> tuple[NDArray[Any], ...]:
    """The narrow bands, their boxes, the sums of the blocks, and the filter."""
    n_planes, n_down, _, n_bands, _ = blocks.shape
    flat_blocks = blocks.reshape(-1, n_bands, LANES)
    least, largest = np.full(n_bands, np.inf), np.full(n_bands, -np.inf)
    sums = np.empty((len(flat_blocks), n_bands))
    some = range(0, len(flat_blocks), BLOCK_PIXELS // LANES)
    for start in some:
        part = flat_blocks[start : start + some.step]
        counts = np.isfinite(part)
        least = np.minimum(least, part.min(axis=(0, 2)))
        largest = np.maximum(largest, np.where(counts, part, -np.inf).max(axis=(0, 2)))
        sums[start : start + some.step] = _ordered_sum(np.where(counts, part, 0.0))
    filter = _limits_of(least, largest, window)
    scale, middles = filter[3], filter[FILTER_VALUES:]
    narrow = np.empty(blocks.shape, dtype=np.float32)
    boxes = _pairs_for(blocks, np.full(2 * n_bands, np.inf, dtype=np.float32))
    by_band = _pairs_for(blocks, np.zeros(n_bands))
    of_rows = sums.reshape(blocks.shape[:4])
    for z in range(n_planes):
        for down in range(n_down):
            part, counts = blocks[z, down], np.isfinite(blocks[z, down])
            part = np.clip((part - middles[:, None]) * scale, -FARTHEST, FARTHEST)
            part = np.where(counts, part, np.inf).astype(np.float32)
            narrow[z, down] = part
            row = _row_of(boxes, blocks, z, down)
            row[:, :n_bands], row[:, n_bands:] = part.min(axis=2), part.max(axis=2)
            _row_of(by_band, blocks, z, down)[:] = of_rows[z, down]
    flat = (*boxes.shape[1:3], -1)
    return narrow, boxes.reshape(2 * n_bands, *flat), by_band.reshape(n_bands, *flat), filter


def _rounding(n_bands: int, window: Window, most: float) -> float:
    """What float32 adds to a squared distance of 1, at most, of bands up to ``most``.

    Bands about their middles, at most ``most`` range radii away, and the position's are rounded to
    float32 with errors of at most most 2^-24 each; e = most 2^-22 bounds a difference's error with
    room to spare. A distance of 1 is then wrong by at most 2 e sqrt(n) + e^2 n, and by the rounding
    of the sum. In space the same holds for offsets of a reach and a block.
    """
    step = float(np.max(window.steps)) / (1.0 if window.is_joint else window.spatial_radius)
    error = (max(most, 1.0) + 1.0 + 8.0 * step) * 2.0**-22
    n_axes = n_bands + 3.0
    return 2.0 * error * math.sqrt(n_axes) + error * error * n_axes + (n_axes + 5.0) * 2.0**-22


def _limits_of(
    least: NDArray[np.float64], largest: NDArray[np.float64], window: Window
) -> NDArray[np.float64]:
    """The values of `Lattice.filter`, from the least and the largest value of each band.

    A filter without digits leaves out what is infinite, and nothing else.
    """
    n_bands, radius = len(least), window.range_radius
    with np.errstate(over="ignore", invalid="ignore"):
        middles = np.where(np.isfinite(least), 0.5 * least + 0.5 * largest, 0.0)
        scale = 1.0 if window.is_joint else min(1.0 / radius, 1e300)
        most = float(np.max((largest - middles) * scale, initial=0.0))
    rounding = _rounding(n_bands, window, most)
    limits = (1.0 - rounding, 1.0 + rounding) if rounding < 0.5 else (-1.0, MAX_SINGLE)
    return np.array([*limits, 1.0, scale, 1.0, *middles])


def _are_bytes(dtype: np.dtype[Any], n_bands: int, window: Window) -> bool:
    """Whether pixels can be kept as pairs of bytes.

    Where float32 has no digits for distances in space, the filter leaves everything open; it must
    still leave out blocks of nothing, which lie beyond what is in memory.
    """
    return (
        dtype in (np.uint8, np.bool_)
        and n_bands <= byte_pairs.MAX_BANDS
        and byte_pairs.MIN_RADIUS <= window.range_radius <= byte_pairs.MAX_RADIUS
        and bool(_limits_of_bytes(n_bands, window)[1] < byte_pairs.NOTHING_SQ)
    )


def _limits_of_bytes(n_bands: int, window: Window) -> NDArray[np.float64]:
    """The values of `Lattice.filter` of an image of bytes.

    A position that is rounded to 128ths moves by at most half of one in each band, and the distance
    to it, in space and range together too, by no more than the length of that.
    """
    unit, divisor = byte_pairs.UNIT * window.range_radius, 1.0
    if window.is_joint:
        divisor = window.range_radius
    moved, rounding = 0.51 * np.sqrt(n_bands), _rounding(n_bands, window, 1.0)
    limits = (
        (unit - moved) ** 2 * (1.0 - rounding) if unit > moved else -1.0,
        (unit + moved) ** 2 * (1.0 + rounding),
    )
    return np.array([*limits, unit, byte_pairs.UNIT * divisor, divisor, *np.zeros(n_bands)])


def _ordered_sum(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over the last axis, pixel after pixel, in the same order for every shape."""
    total = np.zeros(values.shape[:2])
    for pixel in range(LANES):
        total += values[:, :, pixel]
    return total
