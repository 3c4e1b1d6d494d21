"""The regions of an image of Dask: packed tiles, read as slabs of whole rows of tiles."""

import math
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from meanshift_fast._image.regions import MASKED, REGION
from meanshift_fast._image.small_regions import Block


def packed(array: NDArray[np.signedinteger[Any]]) -> bytes:
    """Compress whole numbers, byte after byte: a pixel's region to 0.5 bytes, a sum to 1.9."""
    planes = array.reshape(-1).view(np.uint8).reshape(-1, array.itemsize).T
    return zlib.compress(planes.tobytes(), 1)


def unpacked(data: bytes, dtype: DTypeLike) -> NDArray[Any]:
    """Expand what was packed, flat."""
    planes = np.frombuffer(zlib.decompress(data), dtype=np.uint8)
    rows = np.ascontiguousarray(planes.reshape(np.dtype(dtype).itemsize, -1).T)
    return rows.reshape(-1).view(dtype)


class PackedSlabs:
    """The regions of the pixels of all tiles, numbered tile after tile and then anew.

    Attributes
    ----------
    numbers : int32 array of shape (n_regions,)
        The number of each tile's regions at present.
    """

    def __init__(
        self,
        tiles: Sequence[bytes],
        starts: Sequence[int],
        chunks: tuple[tuple[int, ...], ...],
        n_space: int,
    ) -> None:
        self._tiles, self._starts, self._chunks = tiles, starts, chunks
        self._axis = 3 - n_space  # along which slabs follow one another
        self.numbers = np.arange(starts[-1], dtype=REGION)

    def renumber(self, numbers: NDArray[np.int32]) -> None:
        """Give each region a new number."""
        self.numbers = numbers[self.numbers]

    def of_tile(self, tile: int) -> NDArray[np.int32]:
        """The numbers of a tile's regions, and last MASKED."""
        start, stop = self._starts[tile : tile + 2]
        return np.append(self.numbers[start:stop], REGION(MASKED))

    def _slab(self, row: int) -> NDArray[np.int32]:
        """The regions of a row of tiles, flat, with room for the layers that touch it."""
        chunks = list(self._chunks)
        chunks[self._axis] = chunks[self._axis][row : row + 1]
        grid, sides = tuple(map(len, chunks)), tuple(map(sum, chunks))
        layer = math.prod(sides) // sides[self._axis]
        slab = np.empty(math.prod(sides) + 2 * layer, dtype=REGION)
        own = slab[layer:-layer].reshape(sides)
        stops = [np.cumsum(sizes).tolist() for sizes in chunks]
        for tile, place in enumerate(np.ndindex(grid), row * math.prod(grid)):
            box = tuple(
                slice(stops[axis][k] - chunks[axis][k], stops[axis][k])
                for axis, k in enumerate(place)
            )
            regions = unpacked(self._tiles[tile], REGION)
            own[box] = self.of_tile(tile)[regions].reshape(own[box].shape)
        return slab

    def blocks(self) -> Iterator[Block]:
        """All slabs, in raster order, each with the layers that touch it."""
        rows = [row for row, size in enumerate(self._chunks[self._axis]) if size]
        sides = list(map(sum, self._chunks))
        layer = math.prod(sides) // sides[self._axis]
        here, start = self._slab(rows[0]), layer
        for row in [*rows[1:], None]:
            stop = end = len(here) - layer
            after = here[:0]
            if row is not None:
                after, end = self._slab(row), len(here)
                here[stop:], after[:layer] = after[layer : 2 * layer], here[stop - layer : stop]
            sides[self._axis] = (end - start) // layer
            shape = np.array(sides, dtype=np.int64)
            yield Block(here[start:end], shape, layer - start, stop - start)
            here, start = after, 0
