"""The order of pixels: slabs that follow one another, and blocks of neighbours in them.

    slab 0   +----+----+--      block after block of 16 x 16 pixels, which threads take
             | 0  | 1  | 2      one at a time
    slab 1   +----+----+--
             | 3  | 4  | 5      a slab is joined to the last layer of the one before

Where pixels end is kept for a slab and one layer alone: positions in space, which joining needs,
would take 16 bytes a pixel of a picture.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._image.byte_pairs import byte_at
from meanshift_fast._jit.compiler import step
from meanshift_fast._jit.simd import fetch_add, holds_integers, item, put

BLOCK_SIDE = 16  # pixels: trajectories of neighbours share positions in the memo
TAKEN_PIXELS = BLOCK_SIDE**2  # that a thread takes at a time
SLAB_PIXELS = 1 << 17  # of a slab, about, and no more than an eighth of the image
NUMBER = np.uint32  # the numbers of pixels: half the memory of int64


@step
def next_index(i, counter):
    """The index after i of those that a thread takes from a shared counter; the first after -1."""
    if (i + 1) % TAKEN_PIXELS != 0:
        return i + 1
    return fetch_add(counter, TAKEN_PIXELS)


@step
def place_of(number, pixels, room, here):
    """Write the position of a pixel in memory to ``room[here:]``."""
    frame, n_bands = pixels.frame, pixels.n_bands
    n_rows, n_columns = item(frame, 4) - item(frame, 1) + 1, item(frame, 5) - item(frame, 2) + 1
    plane, row, column = (
        number // n_columns // n_rows, number // n_columns % n_rows, number % n_columns
    )  # fmt: skip
    put(room, here, plane + item(frame, 0))
    put(room, here + 1, row + item(frame, 1))
    put(room, here + 2, column + item(frame, 2))
    block = (plane * pixels.n_down + row // 4) * pixels.n_across + column // 4
    pixel = row % 4 * 4 + column % 4
    for band in range(n_bands):
        if holds_integers(pixels.blocks):
            value = byte_at(pixels.blocks, block, pixel, band) / item(pixels.filter, 4)
        else:
            value = item(pixels.blocks, (block * n_bands + band) * 16 + pixel)
        put(room, here + 3 + band, value)


def in_blocks(mask: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """The numbers of the pixels that count, block of BLOCK_SIDE columns and rows after block."""
    numbers = np.arange(mask.size, dtype=NUMBER).reshape(mask.shape)
    side = BLOCK_SIDE
    blocks = (
        (plane, slice(row, row + side), slice(column, column + side))
        for plane in range(mask.shape[0])
        for row in range(0, mask.shape[1], side)
        for column in range(0, mask.shape[2], side)
    )
    return np.concatenate([numbers[block][mask[block]] for block in blocks])


class Slab(NamedTuple):
    """Some rows of a picture, or planes of a volume.

    Attributes
    ----------
    start, stop : int
        Its first pixel, and the first beyond it.
    numbers : uint32 array of shape (n,)
        Its pixels that count, in the order in which they are followed.
    """

    start: int
    stop: int
    numbers: NDArray[np.uint32]


def layer_pixels(shape: tuple[int, ...], n_space: int) -> int:
    """The pixels of a row of a picture, or of a plane of a volume: a layer of a slab."""
    return math.prod(shape[4 - n_space :])


def slabs_of(
    shape: tuple[int, int, int], mask: NDArray[np.bool_] | None, n_space: int
) -> Iterator[Slab]:
    """Cut an image of so many planes, rows and columns into slabs, in raster order."""
    layer, axis = layer_pixels(shape, n_space), 3 - n_space
    side = BLOCK_SIDE if n_space == 2 else 1
    counting = np.broadcast_to(True, shape) if mask is None else mask
    n_layers = min(SLAB_PIXELS, math.prod(shape) // 8) // layer
    n_layers = max(n_layers // side, 1) * side
    for first in range(0, shape[axis], n_layers):
        last = min(first + n_layers, shape[axis])
        place = (slice(None),) * axis + (slice(first, last),)
        start = first * layer
        yield Slab(start, last * layer, in_blocks(counting[place]) + NUMBER(start))
