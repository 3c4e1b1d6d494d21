"""Regions: touching pixels with endpoints near each other; small ones are merged.

    endpoints --join--> regions --merge small--> regions --number--> labels from 1, in raster order
                          |            ^
                          `-- graph ---'       sizes, sums of the bands, pairs that touch

A region's number is the rank of its first pixel in raster order, also after merging, so that ties
are decided by numbers. The bands are summed in whole steps of a millionth of the range radius: a
sum has no rounding, whatever the order of its parts.
"""

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._image.lattice import Window
from meanshift_fast._jit.compiler import serial, step
from meanshift_fast._jit.simd import flat, put
from meanshift_fast._jit.union_find import root_of

MEAN_STEPS = float(1 << 20)  # of a range radius
MASKED = -1  # the region of a pixel that does not count


def half_of_neighbors(n_space: int, connectivity: int) -> NDArray[np.int64]:
    """Steps to the pixels that touch one and come later in raster order, shape (n, 3)."""
    every = itertools.product((-1, 0, 1), repeat=n_space)
    later = [
        (*(0,) * (3 - n_space), *move)
        for move in every
        if move > (0,) * n_space and np.abs(move).sum() <= connectivity
    ]
    return np.array(later, dtype=np.int64)


@step
def link(links, one, other):
    """Join two regions of a union-find forest; the root is the smaller number."""
    one, other = root_of(links, one), root_of(links, other)
    put(links, max(one, other), min(one, other))
    return min(one, other)


@step
def are_near(endpoints, one, other, n_space, limits):
    """Whether two endpoints are near in space and in range.

    ``limits``: the spacing of three axes, then the squares of what is near in space and in range.
    """
    space_sq, range_sq = 0.0, 0.0
    for axis in range(n_space):
        away = endpoints[one, axis] - endpoints[other, axis]
        away *= limits[3 - n_space + axis]
        space_sq += away * away
    for band in range(n_space, endpoints.shape[1]):
        away = endpoints[one, band] - endpoints[other, band]
        range_sq += away * away
    return space_sq <= limits[3] and range_sq <= limits[4]


@step
def neighbor_of(pixel, shape, move):
    """The number of a neighbour, or -1 where the image ends."""
    z = pixel // (shape[1] * shape[2]) + move[0]
    y = pixel // shape[2] % shape[1] + move[1]
    x = pixel % shape[2] + move[2]
    if 0 <= z < shape[0] and 0 <= y < shape[1] and 0 <= x < shape[2]:
        return (z * shape[1] + y) * shape[2] + x
    return np.int64(-1)


@serial
def _join(endpoints, shape, n_space, moves, limits, links):
    """Join touching pixels that are near, and number the regions; how many there are.

    ``links`` has each pixel's own number, or MASKED, and is overwritten with its region.
    """
    forest = flat(links)
    for pixel in range(links.shape[0]):
        if links[pixel] == MASKED:
            continue
        for m in range(moves.shape[0]):
            other = neighbor_of(pixel, shape, moves[m])
            if other < 0 or links[other] == MASKED:
                continue
            if are_near(endpoints, pixel, other, n_space, limits):
                link(forest, np.int64(pixel), other)
    return _number_regions(links)


@step
def _number_regions(links):
    """Number the trees of a forest in the order of their roots; how many there are."""
    n_regions = np.int64(0)
    for pixel in range(links.shape[0]):
        if links[pixel] == pixel:
            links[pixel] = -2 - n_regions  # a root, with its number; roots come first
            n_regions += 1
        elif links[pixel] != MASKED:
            at = links[pixel]
            while links[at] >= 0:
                at = links[at]
            links[pixel] = links[at]
    for pixel in range(links.shape[0]):
        if links[pixel] != MASKED:
            links[pixel] = -2 - links[pixel]
    return n_regions


@serial
def _measure(endpoints, n_space, per_step, regions, sizes, sums, firsts):
    """Add up the pixels of each region, and note the first."""
    for pixel in range(regions.shape[0] - 1, -1, -1):
        region = regions[pixel]
        if region != MASKED:
            sizes[region] += 1
            firsts[region] = pixel
            for band in range(sums.shape[1]):
                value = endpoints[pixel, n_space + band] / per_step * MEAN_STEPS
                sums[region, band] += np.int64(np.rint(value))


@serial
def _touching(regions, shape, moves, sizes, min_size, pairs):
    """Write the pairs of touching regions of which one is small; how many there are.

    Each time that two pixels touch counts; equal pairs that follow one another are one.
    """
    n_pairs, a, b = np.int64(0), np.int64(-1), np.int64(-1)
    for pixel in range(regions.shape[0]):
        here = regions[pixel]
        if here == MASKED:
            continue
        for m in range(moves.shape[0]):
            other = neighbor_of(pixel, shape, moves[m])
            if other < 0:
                continue
            there = regions[other]
            if there in (MASKED, here) or min(sizes[here], sizes[there]) >= min_size:
                continue
            if here != a or there != b:
                a, b = here, there
                if n_pairs < pairs.shape[0]:
                    pairs[n_pairs, 0], pairs[n_pairs, 1] = here, there
                n_pairs += 1
    return n_pairs


@serial
def _list_neighbors(pairs, first, last, following):
    """Chain the neighbours of each region: entry 2 p + side is that side's region of pair p."""
    for entry in range(2 * pairs.shape[0]):
        region = pairs[entry // 2, 1 - entry % 2]
        if first[region] < 0:
            first[region] = entry
        else:
            following[last[region]] = entry
        last[region] = entry


@step
def _nearest_neighbor(region, pairs, first, following, forest, sizes, sums):
    """The neighbour of a region with the nearest mean range, the first of equals; -1: none."""
    nearest, least = np.int64(-1), np.inf
    entry = first[region]
    while entry >= 0:
        other = root_of(forest, pairs[entry // 2, entry % 2])
        entry = following[entry]
        if other == region:
            continue
        away_sq = 0.0
        for band in range(sums.shape[1]):
            away = sums[other, band] / sizes[other] - sums[region, band] / sizes[region]
            away_sq += away * away
        if away_sq < least or (away_sq == least and other < nearest):
            nearest, least = other, away_sq
    return nearest


@serial
def _merge_members(members, size, pairs, first, last, following, links, sizes, sums):
    """Join each of some regions of a size to the neighbour with the nearest mean range."""
    forest = flat(links)
    for region in members:
        if links[region] != region or sizes[region] != size:
            continue  # it was joined with another of them
        nearest = _nearest_neighbor(region, pairs, first, following, forest, sizes, sums)
        if nearest < 0:
            continue
        root = link(forest, region, nearest)
        gone = region + nearest - root
        sizes[root] += sizes[gone]
        for band in range(sums.shape[1]):
            sums[root, band] += sums[gone, band]
        if first[root] < 0:
            first[root], last[root] = first[gone], last[gone]
        elif first[gone] >= 0:
            following[last[root]] = first[gone]
            last[root] = last[gone]


class Graph(NamedTuple):
    """Regions, in the raster order of their first pixels, and which of them touch.

    Attributes
    ----------
    sizes : int64 array of shape (n_regions,)
        Pixels of each.
    sums : int64 array of shape (n_regions, n_bands)
        The bands of its endpoints, in MEAN_STEPS of the range radius.
    firsts : int64 array of shape (n_regions,)
        The first pixel of each, by its number.
    pairs : int64 array of shape (n_pairs, 2)
        Regions that touch, if one of them is small.
    """

    sizes: NDArray[np.int64]
    sums: NDArray[np.int64]
    firsts: NDArray[np.int64]
    pairs: NDArray[np.int64]


class Joining(NamedTuple):
    """The settings by which pixels form regions.

    Attributes
    ----------
    window : Window
        The radii and the spacing.
    merge : float
        How far apart endpoints that are near may be, in each of both radii.
    min_size : int
        Regions of fewer pixels are small.
    connectivity : int
        How many coordinates of touching pixels may differ.
    min_prominence : float
        Regions less prominent join the one across their highest saddle.
    """

    window: Window
    merge: float
    min_size: int
    connectivity: int
    min_prominence: float

    @property
    def limits(self) -> NDArray[np.float64]:
        """The spacing, and the squares of what is near in space and in range."""
        space, bands = (
            self.merge * self.window.spatial_radius,
            self.merge * self.window.range_radius,
        )
        return np.array([*self.window.spacing, space * space, bands * bands])


def regions_of(
    endpoints: NDArray[np.float64],
    shape: tuple[int, int, int],
    mask: NDArray[np.bool_] | None,
    n_space: int,
    joining: Joining,
) -> tuple[NDArray[np.int64], Graph]:
    """Join touching pixels whose endpoints are near each other.

    Parameters
    ----------
    endpoints : float64 array of shape (n_pixels, n_space + n_bands)
        Where each pixel ends.
    shape : tuple of int
        Planes, rows and columns.
    mask : bool array of ``shape``, optional
        False where a pixel does not count.
    n_space : int
        2 or 3.
    joining : Joining
        What is near.

    Returns
    -------
    regions : int64 array of shape (n_pixels,)
        The region of each pixel, or MASKED.
    graph : Graph
    """
    regions = np.arange(len(endpoints))
    if mask is not None:
        regions[~mask.ravel()] = MASKED
    sides = np.array(shape, dtype=np.int64)
    moves = half_of_neighbors(n_space, joining.connectivity)
    n_regions = _join(endpoints, sides, n_space, moves, joining.limits, regions)
    n_bands = endpoints.shape[1] - n_space
    sizes = np.zeros(n_regions, dtype=np.int64)
    sums, firsts = np.zeros((n_regions, n_bands), dtype=np.int64), np.empty_like(sizes)
    _measure(endpoints, n_space, joining.window.range_radius, regions, sizes, sums, firsts)
    find = (regions, sides, moves, sizes, joining.min_size)
    pairs = np.empty((2 * n_regions + 1, 2), dtype=np.int64)
    n_pairs = _touching(*find, pairs)
    if n_pairs > len(pairs):
        pairs = np.empty((n_pairs, 2), dtype=np.int64)
        _touching(*find, pairs)
    return regions, Graph(sizes, sums, firsts, pairs[:n_pairs])


@serial
def _join_seams(pixels, regions, endpoints, shape, n_space, moves, limits, links, pairs):
    """Join regions whose pixels touch and are near, and write those that only touch.

    ``pixels`` are sorted numbers in the image. Returns how many pairs there are.
    """
    forest, n_pairs = flat(links), np.int64(0)
    for i in range(pixels.shape[0]):
        for m in range(moves.shape[0]):
            other = neighbor_of(pixels[i], shape, moves[m])
            if other < 0:
                continue
            j = np.searchsorted(pixels, other)
            if j == pixels.shape[0] or pixels[j] != other or regions[i] == regions[j]:
                continue
            if are_near(endpoints, i, j, n_space, limits):
                link(forest, regions[i], regions[j])
            else:
                pairs[n_pairs, 0], pairs[n_pairs, 1] = regions[i], regions[j]
                n_pairs += 1
    return n_pairs


def join_graphs(
    graph: Graph,
    pixels: NDArray[np.int64],
    regions: NDArray[np.int64],
    endpoints: NDArray[np.float64],
    shape: tuple[int, ...],
    n_space: int,
    moves: NDArray[np.int64],
    joining: Joining,
) -> tuple[NDArray[np.int64], Graph]:
    """Join the regions of tiles across the seams between these.

    Parameters
    ----------
    graph : Graph
        The regions of all tiles, tile after tile; the firsts are numbers in the image.
    pixels, regions : int64 arrays of shape (n,)
        The pixels at the tiles' sides, by their numbers in the image, sorted; and their regions.
    endpoints : float64 array of shape (n, n_space + n_bands)
        Where they end.
    shape : tuple of int
        Planes, rows and columns of the image.
    n_space : int
        2 or 3.
    moves : int64 array of shape (n_moves, 3)
        As `half_of_neighbors` gives them.
    joining : Joining
        What is near.

    Returns
    -------
    joined : int64 array of shape (n_regions,)
        What each region is part of, by raster order of the first pixels.
    graph : Graph
        The regions of the image.
    """
    links = np.arange(len(graph.sizes))
    pairs = np.empty((len(pixels) * len(moves), 2), dtype=np.int64)
    n_pairs = _join_seams(
        pixels, regions, endpoints, np.array(shape, dtype=np.int64), n_space, moves,
        joining.limits, links, pairs,
    )  # fmt: skip
    touching = np.concatenate([graph.pairs, pairs[:n_pairs]])
    return contracted(graph._replace(pairs=touching), roots_of(links), joining.min_size)


def contracted(
    graph: Graph, roots: NDArray[np.int64], min_size: int
) -> tuple[NDArray[np.int64], Graph]:
    """The graph whose regions are sets of another's, each set given by the number of one of it.

    Returns what each region is part of, by raster order of the first pixels, and the graph.
    """
    firsts = np.full(len(roots), np.iinfo(np.int64).max)
    np.minimum.at(firsts, roots, graph.firsts)
    kept = np.flatnonzero(roots == np.arange(len(roots)))
    kept = kept[np.argsort(firsts[kept])]
    ranks = np.empty(len(roots), dtype=np.int64)
    ranks[kept] = np.arange(len(kept))
    joined = ranks[roots]
    sizes, sums = (
        np.zeros(len(kept), np.int64),
        np.zeros((len(kept), graph.sums.shape[1]), np.int64),
    )
    np.add.at(sizes, joined, graph.sizes)
    np.add.at(sums, joined, graph.sums)
    touching = joined[graph.pairs]
    differ = touching[:, 0] != touching[:, 1]
    is_small = sizes[touching].min(axis=1) < min_size
    return joined, Graph(sizes, sums, firsts[kept], touching[differ & is_small])


def roots_of(links: NDArray[np.int64]) -> NDArray[np.int64]:
    """The root of each region of a union-find forest."""
    while True:
        above = links[links]
        if np.array_equal(above, links):
            return above
        links = above


def merge_small(graph: Graph, min_size: int) -> NDArray[np.int64]:
    """Join small regions to the touching region with the nearest mean range.

    The smallest first; of equals, and of equally near ones, that with the first pixel.

    Parameters
    ----------
    graph : Graph
        The regions; its sizes and sums are overwritten.
    min_size : int
        Regions of fewer pixels are small. One that nothing touches stays.

    Returns
    -------
    int64 array of shape (n_regions,)
        The label of each region, from 1, in raster order of the first pixels.
    """
    n_regions = len(graph.sizes)
    links, sizes, sums = np.arange(n_regions), graph.sizes, graph.sums
    first, last = np.full(n_regions, -1), np.full(n_regions, -1)
    following = np.full(2 * len(graph.pairs), -1)
    _list_neighbors(graph.pairs, first, last, following)
    size = 0
    while True:
        # A region that another joins grows beyond this size: members are known when it is reached.
        larger = sizes[(sizes > size) & (sizes < min_size) & (links == np.arange(n_regions))]
        if not larger.size:
            break
        size = int(larger.min())
        members = np.flatnonzero(sizes == size)
        _merge_members(members, size, graph.pairs, first, last, following, links, sizes, sums)
    is_root = links == np.arange(n_regions)
    return np.cumsum(is_root)[roots_of(links)]
