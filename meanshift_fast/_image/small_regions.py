"""Small regions, each merged with the neighbour of the nearest mean range.

    slabs of pixels --merge single pixels--> slabs, far fewer regions
                                               |
                      labels <--merge others-- pairs that touch

Regions are merged by size, the smallest first, and of equals that with the first pixel, whose
number is the smallest. Regions of one pixel come first, and are most: three of four in a photograph
whose texture the window does not smooth. They need no list of neighbours, as these are the regions
of touching pixels. Pairs are listed for the regions that are left, which in a picture of single
pixels takes a third of the memory.

Slabs are what the pixels of an image are read from, in raster order: the array itself, or the
packed tiles of an image of Dask, one row of tiles after another.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._image.regions import (
    MASKED,
    MEAN_STEPS,
    REGION,
    check_total,
    count_type,
    link,
    neighbor_of,
    number_trees,
)
from meanshift_fast._jit.compiler import serial, step
from meanshift_fast._jit.simd import flat
from meanshift_fast._jit.union_find import root_of

RECENT_PAIRS = 1 << 16  # a power of two; with them 2.7 pairs a region are kept, of 4.1


class Block(NamedTuple):
    """Some layers of an image, with a layer of each neighbouring slab.

    Attributes
    ----------
    regions : int32 array of shape (n_pixels,)
        The region of each pixel, or MASKED.
    shape : int64 array of shape (3,)
        Planes, rows and columns.
    first, stop : int
        Which pixels are the slab's own.
    """

    regions: NDArray[np.int32]
    shape: NDArray[np.int64]
    first: int
    stop: int


class Slabs(Protocol):
    """The regions of the pixels of an image."""

    def blocks(self) -> Iterator[Block]:
        """All slabs, in raster order."""
        ...

    def renumber(self, numbers: NDArray[np.int32]) -> None:
        """Give each region a new number."""
        ...


class Whole:
    """The pixels of an image in memory; numbered anew in place."""

    def __init__(self, regions: NDArray[np.int32], shape: tuple[int, int, int]) -> None:
        self.regions, self.shape = regions, np.array(shape, dtype=np.int64)

    def blocks(self) -> Iterator[Block]:
        """All at once."""
        yield Block(self.regions, self.shape, 0, len(self.regions))

    def renumber(self, numbers: NDArray[np.int32]) -> None:
        """Give each region a new number."""
        _renumber(self.regions, numbers)


@serial
def _renumber(regions, numbers):
    """Give the region of each pixel a new number."""
    for pixel in range(regions.shape[0]):
        if regions[pixel] != MASKED:
            regions[pixel] = numbers[regions[pixel]]


@serial
def _rank(regions, first, stop, ranks, n_ranks, sizes):
    """Number regions in the order of their first pixels, from ``n_ranks`` on.

    ``sizes`` counts the pixels of each. Returns how many have numbers.
    """
    for pixel in range(first, stop):
        region = regions[pixel]
        if region == MASKED:
            continue
        if ranks[region] < 0:
            ranks[region] = n_ranks
            n_ranks += 1
        sizes[ranks[region]] += 1
    return n_ranks


@serial
def _add_up(groups, sums, group_sums):
    """Add the sums of regions to those of the groups that they are in; all their magnitudes."""
    total = 0.0
    for region in range(groups.shape[0]):
        for band in range(sums.shape[1]):
            group_sums[groups[region], band] += sums[region, band]
            total += abs(sums[region, band])
    return total


def contracted(
    slabs: Slabs, groups: NDArray[np.int32], sums: Iterable[NDArray[np.int64]], n_pixels: int
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Let groups of regions be regions, numbered by their first pixels.

    Parameters
    ----------
    slabs : Slabs
        The pixels; numbered anew.
    groups : int32 array of shape (n_regions,)
        The group of each region, from 0; overwritten with its new number.
    sums : iterable of int64 arrays of shape (n, n_bands)
        Of the regions, part after part.

    Returns
    -------
    sizes : int32 or int64 array of shape (n_groups,)
    sums : int64 array of shape (n_groups, n_bands)
    """
    n_groups = int(groups.max(initial=-1)) + 1
    slabs.renumber(groups)
    sizes = np.zeros(n_groups, dtype=count_type(n_pixels))
    ranks, n_ranks = np.full(n_groups, -1, dtype=REGION), 0
    for block in slabs.blocks():
        n_ranks = _rank(block.regions, block.first, block.stop, ranks, n_ranks, sizes)
    slabs.renumber(ranks)
    _renumber(groups, ranks)
    start, added, total = 0, None, 0.0
    for part in sums:
        if added is None:
            added = np.zeros((n_groups, part.shape[1]), dtype=np.int64)
        total += _add_up(groups[start : start + len(part)], part, added)
        check_total(total / MEAN_STEPS)
        start += len(part)
    assert added is not None
    return sizes, added


@step
def _distance_sq(one, other, sizes, sums):
    """The squared distance of the mean ranges of two regions."""
    away_sq = 0.0
    for band in range(sums.shape[1]):
        away = sums[other, band] / sizes[other] - sums[one, band] / sizes[one]
        away_sq += away * away
    return away_sq


@step
def _merge(one, other, forest, sizes, sums):
    """Merge two regions into the one with the smaller number; that, and the other."""
    root = link(forest, one, other)
    gone = one + other - root
    sizes[root] += sizes[gone]
    for band in range(sums.shape[1]):
        sums[root, band] += sums[gone, band]
    return root, gone


@step
def _nearest_of_pixel(pixel, region, regions, shape, moves, forest, sizes, sums):
    """The region that touches a pixel with the nearest mean range, the first of equals, or -1."""
    nearest, least_sq = np.int64(-1), np.inf
    for m in range(moves.shape[0]):
        other = neighbor_of(pixel, shape, moves[m])
        if other < 0 or regions[other] == MASKED:
            continue
        there = np.int64(root_of(forest, np.int64(regions[other])))
        away_sq = _distance_sq(region, there, sizes, sums)
        if away_sq < least_sq or (away_sq == least_sq and there < nearest):
            nearest, least_sq = there, away_sq
    return nearest


@serial
def _merge_single_pixels(regions, shape, first, stop, moves, links, sizes, sums):
    """Merge the regions of one pixel."""
    forest = flat(links)
    for pixel in range(first, stop):
        region = np.int64(regions[pixel])
        if region == MASKED or links[region] != region or sizes[region] != 1:
            continue
        nearest = _nearest_of_pixel(pixel, region, regions, shape, moves, forest, sizes, sums)
        if nearest >= 0:
            _merge(region, nearest, forest, sizes, sums)


@serial
def _pack(links, sizes, sums):
    """Number the trees of a forest, and move their sizes and sums up to the front; how many."""
    n_roots = np.int64(0)
    for region in range(links.shape[0]):
        if links[region] == region:
            sizes[n_roots] = sizes[region]
            for band in range(sums.shape[1]):
                sums[n_roots, band] = sums[region, band]
            n_roots += 1
    return number_trees(links)


def _without_single_pixels(
    slabs: Slabs, sizes: NDArray[Any], sums: NDArray[np.int64], moves: NDArray[np.int64]
) -> int:
    """Merge the regions of one pixel, and number those that are left; how many."""
    links, every_move = np.arange(len(sizes), dtype=REGION), np.concatenate([moves, -moves])
    for block in slabs.blocks():
        _merge_single_pixels(*block, every_move, links, sizes, sums)
    n_left: int = _pack(links, sizes, sums)
    slabs.renumber(links)
    return n_left


@serial
def _touching(regions, shape, first, stop, moves, sizes, min_size, recent, pairs):
    """Write the pairs of touching regions of which one is small; how many there are.

    Each time that two pixels touch counts, unless the pair is among recent ones: ``recent`` holds
    one for each hash, and is overwritten.
    """
    n_pairs, last_slot = np.int64(0), np.int64(recent.shape[0] - 1)
    for pixel in range(first, stop):
        here = np.int64(regions[pixel])
        if here == MASKED:
            continue
        for m in range(moves.shape[0]):
            other = neighbor_of(pixel, shape, moves[m])
            if other < 0:
                continue
            there = np.int64(regions[other])
            if there in (MASKED, here) or min(sizes[here], sizes[there]) >= min_size:
                continue
            a, b = min(here, there), max(here, there)
            slot = (a * 31 + b) & last_slot
            if recent[slot, 0] == a and recent[slot, 1] == b:
                continue
            recent[slot, 0], recent[slot, 1] = a, b
            if n_pairs < pairs.shape[0]:
                pairs[n_pairs, 0], pairs[n_pairs, 1] = a, b
            n_pairs += 1
    return n_pairs


def _pairs_of(
    slabs: Slabs, sizes: NDArray[Any], moves: NDArray[np.int64], min_size: int
) -> NDArray[np.int32]:
    """The pairs of touching regions of which one is small, shape (n_pairs, 2).

    They are counted first: arrays of each slab, put together, would take twice the memory.
    """
    pairs = np.empty((0, 2), dtype=REGION)
    for _ in range(2):
        n_pairs = 0
        for block in slabs.blocks():
            recent = np.full((RECENT_PAIRS, 2), -1, dtype=REGION)
            n_pairs += _touching(*block, moves, sizes, min_size, recent, pairs[n_pairs:])
        if not n_pairs:
            break
        if not len(pairs):
            pairs = np.empty((n_pairs, 2), dtype=REGION)
    return pairs


@serial
def _list_neighbors(pairs, entries, following):
    """Chain the neighbours of each region, in a ring.

    Entry 2 p + side is that side's region of pair p; ``entries`` has one of each ring, or -1.
    """
    for entry in range(2 * pairs.shape[0]):
        region = pairs[entry // 2, 1 - entry % 2]
        if entries[region] < 0:
            entries[region] = following[entry] = entry
        else:
            following[entry] = following[entries[region]]
            following[entries[region]] = entry


@step
def _nearest_neighbor(region, pairs, entries, following, forest, sizes, sums):
    """The neighbour of a region with the nearest mean range, the first of equals; -1: none."""
    nearest, least_sq = np.int64(-1), np.inf
    entry = entries[region]
    while entry >= 0:
        other = np.int64(root_of(forest, np.int64(pairs[entry // 2, entry % 2])))
        entry = following[entry]
        if other != region:
            away_sq = _distance_sq(region, other, sizes, sums)
            if away_sq < least_sq or (away_sq == least_sq and other < nearest):
                nearest, least_sq = other, away_sq
        if entry == entries[region]:
            break
    return nearest


@serial
def _merge_of_size(size, pairs, entries, following, links, sizes, sums):
    """Merge the regions of a size, in the order of their numbers; the next size, or 0."""
    forest, larger = flat(links), np.int64(0)
    for region in range(links.shape[0]):
        if links[region] != region or sizes[region] != size:
            continue
        nearest = _nearest_neighbor(
            np.int64(region), pairs, entries, following, forest, sizes, sums
        )
        if nearest >= 0:
            root, gone = _merge(np.int64(region), nearest, forest, sizes, sums)
            a, b = entries[root], entries[gone]
            following[a], following[b] = following[b], following[a]
    # A region that another joins grows beyond this size, so none of this size is left to come.
    for region in range(links.shape[0]):
        if links[region] == region and sizes[region] > size:
            larger = min(larger, sizes[region]) if larger else np.int64(sizes[region])
    return larger


def _merge_larger(
    pairs: NDArray[np.int32], sizes: NDArray[Any], sums: NDArray[np.int64], min_size: int
) -> NDArray[np.int32]:
    """Merge small regions of which the single pixels are gone; the new number of each."""
    links = np.arange(len(sizes), dtype=REGION)
    following = np.empty(2 * len(pairs), dtype=count_type(2 * len(pairs)))
    entries = np.full(len(sizes), -1, dtype=following.dtype)
    _list_neighbors(pairs, entries, following)
    size = 1
    while 0 < size < min_size:
        size = _merge_of_size(size, pairs, entries, following, links, sizes, sums)
    _pack(links, sizes, sums)
    return links


def merge_small(
    slabs: Slabs,
    sizes: NDArray[Any],
    sums: NDArray[np.int64],
    moves: NDArray[np.int64],
    min_size: int,
) -> None:
    """Join small regions to the touching region with the nearest mean range.

    Regions of fewer than ``min_size`` pixels are small. The smallest first; of equals, and of
    equally near ones, that with the first pixel. One that nothing touches stays. Regions have
    numbers by their first pixels, before and after; ``sizes`` and ``sums``, as `measured` gives
    them, are overwritten. ``moves`` are those of `half_of_neighbors`.
    """
    if min_size < 2:
        return
    n_left = _without_single_pixels(slabs, sizes, sums, moves)
    sizes.resize(n_left, refcheck=False)  # frees what is behind, of the caller's array too
    sums.resize((n_left, sums.shape[1]), refcheck=False)
    slabs.renumber(_merge_larger(_pairs_of(slabs, sizes, moves, min_size), sizes, sums, min_size))
