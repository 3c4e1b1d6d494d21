"""The regions of an image of Dask: packed tiles, read as slabs of whole rows of tiles."""

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
        """The regions of a row of tiles."""
        chunks = list(self._chunks)
        chunks[self._axis] = chunks[self._axis][row : row + 1]
        grid = tuple(map(len, chunks))
        n_tiles = int(np.prod(grid))
        parts = np.empty(grid, dtype=object)
        for tile, place in enumerate(np.ndindex(grid), row * n_tiles):
            sides = [sizes[k] for sizes, k in zip(chunks, place, strict=True)]
            regions = unpacked(self._tiles[tile], REGION)
            parts[place] = self.of_tile(tile)[regions].reshape(sides)
        return np.block(parts.tolist())

    def blocks(self) -> Iterator[Block]:
        """All slabs, in raster order, each with the layers that touch it."""
        rows = [row for row, size in enumerate(self._chunks[self._axis]) if size]
        last, here = slice(-1, None), self._slab(rows[0])
        before = self._layer(here, slice(0))
        for row in [*rows[1:], -1]:
            after = self._layer(here, slice(0)) if row < 0 else self._slab(row)
            parts = [before, here, self._layer(after, slice(1))]
            block = np.concatenate(parts, axis=self._axis)
            shape = np.array(block.shape, dtype=np.int64)
            yield Block(block.ravel(), shape, before.size, before.size + here.size)
            before, here = self._layer(here, last), after

    def _layer(self, slab: NDArray[np.int32], layers: slice) -> NDArray[np.int32]:
        """Some layers of a slab."""
        return slab[layers] if self._axis == 0 else slab[:, layers]
