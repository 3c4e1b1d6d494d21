"""Regions: touching pixels with endpoints near each other.

    endpoints --join--> regions, numbered by their first pixels --merge--> labels, likewise

A region's number is the rank of its first pixel in raster order, also after small ones are merged
(`small_regions.py`), so that ties are decided by numbers. The bands are summed in whole steps of a
millionth of the range radius: a sum has no rounding, whatever the order of its parts.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._image.lattice import Window
from meanshift_fast._jit.compiler import serial, step
from meanshift_fast._jit.simd import flat, put
from meanshift_fast._jit.union_find import root_of

MEAN_STEPS = float(1 << 20)  # of a range radius
MAX_TOTAL = float(1 << 42)  # range radii, of all values: half of what int64 holds in such steps
MASKED = -1  # the region of a pixel that does not count
REGION = np.int32  # the number of a region


def count_type(n: int) -> type[np.signedinteger[Any]]:
    """The type of arrays that count or number n things."""
    return np.int32 if n <= np.iinfo(np.int32).max else np.int64


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
    """Join two trees of a union-find forest; the root is the smaller number."""
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


@step
def number_trees(links):
    """Number the trees of a forest in the order of their roots, in place; how many there are."""
    n_trees = np.int64(0)
    for member in range(links.shape[0]):
        if links[member] == member:
            links[member] = -2 - n_trees  # a root, with its number; roots come first
            n_trees += 1
        elif links[member] != MASKED:
            at = links[member]
            while links[at] >= 0:
                at = links[at]
            links[member] = links[at]
    for member in range(links.shape[0]):
        if links[member] != MASKED:
            links[member] = -2 - links[member]
    return n_trees


@serial
def _join(endpoints, first, start, shape, n_space, moves, limits, links):
    """Join pixels from ``start`` on and touching ones before them that are near.

    ``endpoints`` has those of pixels from ``first`` on; ``moves`` lead to touching pixels before
    one. ``links`` is a forest with each pixel's own number, or MASKED.
    """
    forest = flat(links)
    for pixel in range(start, first + endpoints.shape[0]):
        if links[pixel] == MASKED:
            continue
        for m in range(moves.shape[0]):
            other = neighbor_of(pixel, shape, moves[m])
            if other < first or links[other] == MASKED:
                continue
            if are_near(endpoints, pixel - first, other - first, n_space, limits):
                link(forest, np.int64(pixel), other)


@serial
def _number(links):
    """Number the regions of a forest; how many there are."""
    return number_trees(links)


@serial
def _measure(bands, first_band, per_step, regions, sizes, sums):
    """Count the pixels of each region, and add up their bands, columns from ``first_band`` on.

    Returns the sum of all magnitudes in range radii.
    """
    total = 0.0
    for pixel in range(regions.shape[0]):
        region = regions[pixel]
        if region != MASKED:
            sizes[region] += 1
            for band in range(sums.shape[1]):
                value = bands[pixel, first_band + band] / per_step
                total += abs(value)
                if total <= MAX_TOTAL:
                    sums[region, band] += np.int64(np.rint(value * MEAN_STEPS))
    return total


def check_total(total: float) -> None:
    """Refuse values whose sums int64 does not hold."""
    if not total <= MAX_TOTAL:
        raise ValueError(
            f"the magnitudes of image, of all pixels together, must be at most {MAX_TOTAL:.3g} "
            f"range_radius, got {total:.3g}; subtract an offset from its bands, or give a larger "
            "range_radius"
        )


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
        radii = self.window.spatial_radius, self.window.range_radius
        space, bands = (self.merge * radius for radius in radii)
        return np.array([*self.window.spacing, space * space, bands * bands])


def unjoined(n_pixels: int, mask: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Make a forest in which each pixel is alone: its own number, or MASKED."""
    links = np.arange(n_pixels, dtype=count_type(n_pixels))
    if mask is not None:
        links[~mask.ravel()] = MASKED
    return links


def join(
    endpoints: NDArray[np.float64],
    first: int,
    start: int,
    shape: tuple[int, int, int],
    n_space: int,
    joining: Joining,
    links: NDArray[Any],
) -> None:
    """Join pixels to touching ones, of them and before them, whose endpoints are near.

    Parameters
    ----------
    endpoints : float64 array of shape (n, n_space + n_bands)
        Where pixels end: a slab, and the layer before it.
    first, start : int
        The number of the first of them, and the first one of the slab.
    shape, n_space : tuple of int, int
        Planes, rows and columns of the image, and how many of these axes it has.
    joining : Joining
        What is near.
    links : int32 or int64 array of shape (n_pixels,)
        The forest of the image's pixels.
    """
    moves = -half_of_neighbors(n_space, joining.connectivity)
    sides = np.array(shape, dtype=np.int64)
    _join(endpoints, first, start, sides, n_space, moves, joining.limits, links)


def measured(
    links: NDArray[Any], bands: NDArray[np.float64], first_band: int, joining: Joining
) -> tuple[NDArray[np.int32], NDArray[Any], NDArray[np.int64]]:
    """Number the regions of a forest of pixels, and measure them.

    Parameters
    ----------
    links : int32 or int64 array of shape (n_pixels,)
        The forest; overwritten.
    bands : float64 array of shape (n_pixels, first_band + n_bands)
        The bands of each pixel's endpoint, in the last columns.

    Returns
    -------
    regions : int32 array of shape (n_pixels,)
        The region of each pixel, by raster order of the first pixels, or MASKED.
    sizes : int32 or int64 array of shape (n_regions,)
        Pixels of each.
    sums : int64 array of shape (n_regions, n_bands)
        The bands of its endpoints, in MEAN_STEPS of the range radius; too large ones are errors.
    """
    sizes = np.zeros(_number(links), dtype=links.dtype)
    sums = np.zeros((len(sizes), bands.shape[1] - first_band), dtype=np.int64)
    regions = links.astype(REGION, copy=False)
    check_total(_measure(bands, first_band, joining.window.range_radius, regions, sizes, sums))
    return regions, sizes, sums


def regions_of(
    endpoints: NDArray[np.float64],
    shape: tuple[int, int, int],
    mask: NDArray[np.bool_] | None,
    n_space: int,
    joining: Joining,
) -> tuple[NDArray[np.int32], NDArray[Any], NDArray[np.int64]]:
    """Join the pixels of an image or a tile; their regions, as `measured` gives them.

    ``endpoints``, of shape (n_pixels, n_space + n_bands), are those of all its pixels.
    """
    links = unjoined(len(endpoints), mask)
    join(endpoints, 0, 0, shape, n_space, joining, links)
    return measured(links, endpoints, n_space, joining)


@serial
def _join_seams(pixels, regions, endpoints, shape, n_space, moves, limits, links):
    """Join regions whose pixels touch and are near, and number the groups.

    ``pixels`` are sorted numbers in the image; ``links`` has each region's own number, and is
    overwritten with that of its group.
    """
    forest = flat(links)
    for i in range(pixels.shape[0]):
        for m in range(moves.shape[0]):
            other = neighbor_of(pixels[i], shape, moves[m])
            if other < 0:
                continue
            j = np.searchsorted(pixels, other)
            if j == pixels.shape[0] or pixels[j] != other or regions[i] == regions[j]:
                continue
            if are_near(endpoints, i, j, n_space, limits):
                link(forest, np.int64(regions[i]), np.int64(regions[j]))
    number_trees(links)


def joined_at_seams(
    n_regions: int,
    pixels: NDArray[np.int64],
    regions: NDArray[np.int32],
    endpoints: NDArray[np.float64],
    shape: tuple[int, ...],
    n_space: int,
    joining: Joining,
) -> NDArray[np.int32]:
    """Join the regions of all tiles across the seams between these.

    ``pixels`` are those at seams, by their numbers in the image, sorted; ``regions``, numbered tile
    after tile, and ``endpoints``, of shape (n, n_space + n_bands), are theirs. Returns the group of
    each region, from 0.
    """
    groups = np.arange(n_regions, dtype=REGION)
    moves = half_of_neighbors(n_space, joining.connectivity)
    sides = np.array(shape, dtype=np.int64)
    _join_seams(pixels, regions, endpoints, sides, n_space, moves, joining.limits, groups)
    return groups
