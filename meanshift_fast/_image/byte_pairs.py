"""Images of bytes: up to three bands of a pixel, and a count of 1, as two pairs.

    block of 16 pixels    band 0, band 1, band 0, band 1, ...     band 2, count, band 2, count, ...

A block has 64 bytes, of which two squares and some sums are a test: distances in range are measured
in integers, in 128ths of a byte, with a position that is rounded to them. Sums of 256 blocks fit 16
bits. A pixel of nothing has a count so large that it is far from all others.

Processor time of a window's mean on the photograph, by turns, as int16 that become float32 in the
test, and here: (8, 16) 0.26 and 0.25 us, (16, 32) 0.54 and 0.47, (32, 32) 1.22 and 1.04; with AVX2
alone (32, 32) 1.76 and 1.42. The filter as a whole takes 1.3, 1.7 and 1.9 times as long for the
same values of int16, which become float64. Of the 274
blocks of (32, 32) 52 lie beyond the disk, 20 are outside in range, 73 inside, and 128 are cut, 117
of them in truth: wider blocks, tried by counting, leave as many to test.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._jit.compiler import inlined, step
from meanshift_fast._jit.simd import full, item, where
from meanshift_fast._jit.simd_pairs import firsts, load_pairs, seconds

MAX_BANDS = 3
VALUES = 4  # of a pixel
BITS = 7  # of a byte that are measured: the squares of two differences fit an int32
UNIT = 1 << BITS
NOTHING = 255  # the count of no pixel
NOTHING_SQ = float((NOTHING - 1) * UNIT) ** 2  # at least, from all pixels, in squared units
# Range radii beyond which the rounding of a position is as long as the radius, or nothing is near.
MIN_RADIUS, MAX_RADIUS = 0.05, 250.0


def values_of(bands: NDArray[Any], counts: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The four values of pixels.

    Parameters
    ----------
    bands : uint8 or bool array of shape (n_bands, ...)
    counts : bool array of shape (...)
        Which pixels count.

    Returns
    -------
    uint8 array of shape (4, ...)
    """
    values = np.zeros((VALUES, *counts.shape), dtype=np.uint8)
    values[: len(bands)] = np.where(counts, bands, 0)
    values[3] = np.where(counts, 1, NOTHING)
    return values


EMPTY = values_of(np.zeros((1, 1), dtype=np.uint8), np.zeros(1, dtype=np.bool_))[:, 0]


def bounds_and_sums(blocks: NDArray[np.uint8]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """The least and the largest of each value of blocks, in 128ths, and the sum of each.

    Parameters
    ----------
    blocks : uint8 array of shape (n_blocks, 4, 16)

    Returns
    -------
    bounds : int16 array of shape (n_blocks, 8)
        Where a pixel does not count, the largest count is that of nothing, and no window holds it.
    sums : int16 array of shape (n_blocks, 4)
    """
    counts = blocks[:, -1:] == 1
    largest = blocks.max(axis=2)
    least = np.where(counts | ~counts.any(axis=2)[..., None], blocks, NOTHING).min(axis=2)
    bounds = np.concatenate([least, largest], axis=1).astype(np.int16) << BITS
    return bounds, np.where(counts, blocks, 0).sum(axis=2).astype(np.int16)


@step
def byte_at(blocks, block, pixel, band):
    """A band of a pixel of a block; infinite where it does not count."""
    if item(blocks, ((block * 2 + 1) * 16 + pixel) * 2 + 1) == NOTHING:
        return np.inf
    return float(item(blocks, ((block * 2 + (band >> 1)) * 16 + pixel) * 2 + (band & 1)))


@inlined
def band_of(blocks, block, band):
    """A band of the pixels of a block as a vector of float64."""
    pairs = load_pairs(blocks, (block * 2 + (band >> 1)) * 16)
    return seconds(pairs) if band & 1 == 1 else firsts(pairs)


@inlined
def beyond(blocks, block):
    """What to add to the squared distances of the pixels of a block: infinity where none counts."""
    counts = seconds(load_pairs(blocks, (block * 2 + 1) * 16))
    return where(counts <= 1.0, full(0.0), full(np.inf))
