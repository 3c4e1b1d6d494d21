"""Merging by prominence: touching regions that meet at a shallow saddle are one.

    pixels in each pixel's window --> density --> peaks, saddles --> merge tree --> regions

The density of a pixel is the number of pixels in the window at its own position: the weight of its
trajectory's first step. A region's peak is the largest density of its pixels. The saddle of two
regions is the highest value, over pairs of touching pixels in them that lie in each other's window,
of the lower density of the two: an edge that no window reaches across has none. From there on the
rule is that of modes (`_cluster/prominence.py`). Densities are whole numbers: neither threads nor
tiles change a bit.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from meanshift_fast._cluster.prominence import Saddles, merge_tree
from meanshift_fast._image.ascent import FIRST_CHUNK_VALUES
from meanshift_fast._image.cut_blocks import center_at, rooms_of
from meanshift_fast._image.lattice import Lattice, Window
from meanshift_fast._image.order import TAKEN_PIXELS, next_index, place_of
from meanshift_fast._image.regions import MASKED, REGION, neighbor_of
from meanshift_fast._image.window import mean_of_window, pixels_of
from meanshift_fast._input.progress import Report
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import parallel, serial, step
from meanshift_fast._jit.simd import flat, item
from meanshift_fast._jit.threads import available_threads


class Density(NamedTuple):
    """What the windows of pixels at their own positions hold.

    Attributes
    ----------
    counts : float64 array of shape (n_pixels,)
        How many pixels; 0 where a pixel does not count.
    near : uint16 array of shape (n_pixels,)
        Bit m says whether the touching pixel of move m is among them.
    """

    counts: NDArray[np.float64]
    near: NDArray[np.uint16]

    @classmethod
    def nothing(cls, n_pixels: int) -> "Density":
        """That of pixels of which none counts."""
        return cls(np.zeros(n_pixels), np.zeros(n_pixels, dtype=np.uint16))

    def of(self, pixels: NDArray[np.int64]) -> "Density":
        """Those of some pixels."""
        return Density(self.counts[pixels], self.near[pixels])


class Heights(NamedTuple):
    """The densities at which regions peak, and meet.

    Attributes
    ----------
    peaks : float64 array of shape (n_regions,)
        The largest density of each.
    saddles : Saddles
        Of the regions that touch, each pair once, the smaller number first.
    """

    peaks: NDArray[np.float64]
    saddles: Saddles


@step
def _is_near(one, other, pixels, lengths, is_joint, move, room):
    """Whether a pixel in memory lies in the window of another, by its exact expression.

    ``move``: from one to the other, in pixels. Pixels that do not count are infinite.
    """
    distance_sq = 0.0
    for axis in range(3):
        away = move[axis] * item(lengths, axis)
        distance_sq += away * away
    if not is_joint:
        if distance_sq > item(lengths, 3):
            return False
        distance_sq = 0.0
    here = center_at(pixels.n_bands)
    there = here + 3 + pixels.n_bands  # where means are written
    place_of(one, pixels, room, here)
    place_of(other, pixels, room, there)
    for band in range(pixels.n_bands):
        away = item(room, there + 3 + band) - item(room, here + 3 + band)
        distance_sq += away * away
    return distance_sq <= item(lengths, 4)


@step
def _near_of(number, pixels, lengths, is_joint, touching, room):
    """Which of the touching pixels lie in the window of one, as bits.

    ``touching``: the moves to them, and the planes, rows and columns in memory.
    """
    (moves, sides), near = touching, np.int64(0)
    for m in range(moves.shape[0]):
        other = neighbor_of(number, sides, moves[m])
        if other >= 0 and _is_near(number, other, pixels, lengths, is_joint, moves[m], room):
            near |= np.int64(1) << np.int64(m)
    return near


@step
def _count_some(pixels, lengths, is_joint, numbers, rows, touching, density, room, scaled, counter):
    """Count the windows of pixels that this thread takes until none is left to take."""
    counts, near = density
    i = next_index(np.int64(-1), counter)
    while i < numbers.shape[0]:
        number, target = np.int64(numbers[i]), np.int64(rows[i])
        place_of(number, pixels, room, center_at(pixels.n_bands))
        counts[target] = mean_of_window(pixels, lengths, is_joint, room, scaled)
        near[target] = _near_of(number, pixels, lengths, is_joint, touching, room)
        i = next_index(i, counter)


@parallel
def _count_all(lattice, lengths, is_joint, numbers, rows, touching, density, rooms, counter):
    """Count the windows of pixels, on all threads that have room."""
    wide, narrow = rooms
    for t in prange(wide.shape[0]):
        _count_some(
            pixels_of(lattice), flat(lengths), is_joint, numbers, rows, touching, density,
            flat(wide[t]), flat(narrow[t]), flat(counter),
        )  # fmt: skip


def densities_of(
    lattice: Lattice,
    window: Window,
    numbers: NDArray[np.uint32],
    rows: NDArray[np.uint32],
    moves: NDArray[np.int64],
    report: Report,
    density: Density,
) -> None:
    """Count the pixels in the window of each pixel at its own position.

    ``numbers`` are the pixels' numbers in memory, with all that their windows reach, and ``rows``
    where in ``density`` each one's is written. ``moves`` are those of `half_of_neighbors`.
    """
    rooms = rooms_of(available_threads(), lattice.n_bands)
    touching = moves, np.array(lattice.shape, dtype=np.int64)
    first = max(FIRST_CHUNK_VALUES // window.n_values(lattice), TAKEN_PIXELS)
    for start, stop in chunks(len(numbers), first=first):
        _count_all(
            lattice, window.lengths(0.0), window.is_joint, numbers[start:stop], rows[start:stop],
            touching, density, rooms, np.zeros(1, dtype=np.int64),
        )  # fmt: skip
        report(stop, len(numbers), "labels")


@serial
def _meet(regions, shape, moves, density, peaks, pairs, saddles):
    """Write the peaks, and each two touching pixels of two regions; how many pairs there are."""
    (counts, near), n_pairs = density, np.int64(0)
    for pixel in range(regions.shape[0]):
        here = regions[pixel]
        if here == MASKED:
            continue
        peaks[here] = max(peaks[here], counts[pixel])
        for m in range(moves.shape[0]):
            other = neighbor_of(pixel, shape, moves[m])
            if other < 0 or regions[other] == here or not (near[pixel] >> m) & 1:
                continue
            if n_pairs < saddles.shape[0]:
                pairs[n_pairs, 0], pairs[n_pairs, 1] = here, regions[other]
                saddles[n_pairs] = min(counts[pixel], counts[other])
            n_pairs += 1
    return n_pairs


@serial
def _meet_at_seams(pixels, regions, shape, moves, density, pairs, saddles):
    """Write each two touching pixels of two regions among pixels that are sorted; how many."""
    (counts, near), n_pairs = density, np.int64(0)
    for i in range(pixels.shape[0]):
        for m in range(moves.shape[0]):
            other = neighbor_of(pixels[i], shape, moves[m])
            if other < 0 or not (near[i] >> m) & 1:
                continue
            j = np.searchsorted(pixels, other)
            if j < pixels.shape[0] and pixels[j] == other and regions[i] != regions[j]:
                pairs[n_pairs, 0], pairs[n_pairs, 1] = regions[i], regions[j]
                saddles[n_pairs] = min(counts[i], counts[j])
                n_pairs += 1
    return n_pairs


def _highest(pairs: NDArray[np.int64], density: NDArray[np.float64]) -> Saddles:
    """The highest saddle of each two regions."""
    first, second = np.sort(pairs, axis=1).T
    order = np.lexsort((-density, second, first))
    first, second, density = first[order], second[order], density[order]
    is_first = np.append(True, (np.diff(first) != 0) | (np.diff(second) != 0))[: len(first)]
    return Saddles(first[is_first], second[is_first], density[is_first])


def heights_of(
    regions: NDArray[np.int32],
    n_regions: int,
    density: Density,
    shape: tuple[int, ...],
    moves: NDArray[np.int64],
) -> Heights:
    """Find the peaks of regions, and their saddles.

    ``regions`` has the region of each pixel of an image of this shape, or MASKED; ``moves`` are
    those of `half_of_neighbors`.
    """
    peaks, sides = np.zeros(n_regions), np.array(shape, dtype=np.int64)
    pairs, saddles = np.empty((0, 2), dtype=np.int64), np.empty(0)
    n_pairs = _meet(regions, sides, moves, density, peaks, pairs, saddles)
    pairs, saddles = np.empty((n_pairs, 2), dtype=np.int64), np.empty(n_pairs)
    _meet(regions, sides, moves, density, peaks, pairs, saddles)
    return Heights(peaks, _highest(pairs, saddles))


def join_heights(
    tiles: Sequence[Heights],
    joined: NDArray[np.int32],
    pixels: NDArray[np.int64],
    regions: NDArray[np.int32],
    density: Density,
    shape: tuple[int, ...],
    moves: NDArray[np.int64],
) -> Heights:
    """Find the peaks and the saddles of regions that were joined across the seams of tiles.

    Parameters
    ----------
    tiles : sequence of Heights
        Of the regions of each tile.
    joined : int32 array of shape (n,)
        What each region of all tiles, tile after tile, is part of.
    pixels : int64 array of shape (n_pixels,)
        The pixels at seams, by their numbers in the image, sorted.
    regions, density : int32 array of shape (n_pixels,), Density
        Their regions, among those of all tiles, and what their windows hold.
    shape, moves : tuple of int, int64 array of shape (n_moves, 3)
        Of the image, as `heights_of` takes them.
    """
    starts = np.cumsum([0, *(len(tile.peaks) for tile in tiles)])
    peaks = np.zeros(int(joined.max(initial=-1)) + 1)
    np.maximum.at(peaks, joined, np.concatenate([tile.peaks for tile in tiles]))
    inside = np.concatenate(
        [
            joined[start:stop][np.stack(tile.saddles[:2], axis=1)]
            for tile, (start, stop) in zip(tiles, pairwise(starts), strict=True)
        ]
    )
    most = len(pixels) * len(moves)
    pairs, saddles = np.empty((most, 2), dtype=np.int64), np.empty(most)
    sides = np.array(shape, dtype=np.int64)
    n_pairs = _meet_at_seams(pixels, joined[regions], sides, moves, density, pairs, saddles)
    pairs = np.concatenate([inside, pairs[:n_pairs]])
    saddles = np.concatenate([*(tile.saddles.density for tile in tiles), saddles[:n_pairs]])
    differ = pairs[:, 0] != pairs[:, 1]
    return Heights(peaks, _highest(pairs[differ], saddles[differ]))


def merge_shallow(heights: Heights, min_prominence: float) -> NDArray[np.int32]:
    """Let regions that are less prominent join the one across their highest saddle.

    Returns the group that each region joins, from 0.
    """
    n_regions = len(heights.peaks)
    if not heights.saddles.density.size:
        return np.arange(n_regions, dtype=REGION)
    tree = merge_tree(heights.peaks, heights.saddles)
    roots = tree.representatives(tree.prominence < min_prominence)
    groups: NDArray[np.int32] = np.cumsum(roots == np.arange(n_regions), dtype=REGION)[roots] - 1
    return groups
