"""Filter and segment an image that is in memory, stage by stage."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._image.ascent import Ascending, follow
from meanshift_fast._image.checks import (
    Picture,
    check_finite,
    checked_image,
    checked_mask,
    checked_window,
    lab_scale,
)
from meanshift_fast._image.colours import from_lab, to_lab
from meanshift_fast._image.lattice import BLOCK_PIXELS, Lattice, lattice_of
from meanshift_fast._image.order import NUMBER, Slab, layer_pixels, slabs_of
from meanshift_fast._image.prominence import Density, densities_of, heights_of, merge_shallow
from meanshift_fast._image.regions import (
    MASKED,
    REGION,
    Joining,
    half_of_neighbors,
    join,
    measured,
    regions_of,
    unjoined,
)
from meanshift_fast._image.small_regions import Whole, contracted, merge_small
from meanshift_fast._input.progress import Report, reporting
from meanshift_fast._jit.threads import borrowed_threads


class Wanted(NamedTuple):
    """The results that a call returns.

    Attributes
    ----------
    joining : Joining or None
        How pixels are joined, where labels are wanted.
    filtered, positions : bool
        Whether the endpoints are, in range and in space.
    """

    joining: Joining | None
    filtered: bool
    positions: bool


def run(
    picture: Picture, how: Ascending, wanted: Wanted, n_jobs: int | None, progress: bool | Report
) -> list[NDArray[Any]]:
    """Labels, filtered image and positions, those that are wanted."""
    found: list[NDArray[Any]] = []
    joining, density = wanted.joining, None
    with borrowed_threads(n_jobs), reporting(progress) as report:
        lattice = lattice_of(
            picture.bands, picture.mask, how.window, convert=to_lab if picture.lab_scale else None
        )
        endpoints, links = endpoints_of(picture, lattice, how, wanted, report)
        if joining is not None and joining.min_prominence > 0.0:
            moves = half_of_neighbors(picture.n_space, joining.connectivity)
            density = Density.nothing(len(endpoints))
            for slab, slab_report in _slabs_of(picture, report):
                densities_of(
                    lattice, how.window, slab.numbers, slab.numbers, moves, slab_report, density
                )
        del lattice
        if joining is not None:
            report(0, 1, "labels")
            if wanted.positions:
                shape, n_space = picture.shape, picture.n_space
                regions = regions_of(endpoints, shape, picture.mask, n_space, joining)
            else:
                regions = measured(links, endpoints, 0, joining)
            if not (wanted.filtered or wanted.positions):
                del endpoints  # the largest array that is left
            found.append(labels_of(picture, *regions, density, joining))
            report(1, 1, "labels")
    if wanted.filtered:
        found.append(filtered_of(picture, endpoints))
    return found + ([positions_of(picture, endpoints)] if wanted.positions else [])


def picture_of(
    image: NDArray[Any], mask: Any, channel_axis: int | None, convert2lab: bool | None, name: str
) -> Picture:
    """Check an image in memory and its mask; ``name`` is the function's, for messages."""
    bands, n_space, channel_axis = checked_image(image, channel_axis)
    mask = checked_mask(mask, bands.shape[3 - n_space : 3])
    if mask is not None:
        mask = mask.reshape(bands.shape[:3])
    check_finite(bands, mask, n_space, (0, 0, 0))

    def extremes() -> tuple[float, float]:
        """The least and the largest value of pixels that count."""
        counting = bands if mask is None else bands[mask]
        return float(counting.min()), float(counting.max())

    scale = lab_scale(convert2lab, bands.shape[3], bands.dtype, extremes, name)
    return Picture(bands, mask, n_space, channel_axis, scale)


def ascending(
    radii: tuple[float, float], window: str, spacing: Any, max_iter: int, tol: float, n_space: int
) -> Ascending:
    """Check the window, and collect the settings that a trajectory depends on."""
    return Ascending(checked_window(*radii, window, spacing, n_space), int(max_iter), float(tol))


def _slabs_of(picture: Picture, report: Report) -> Iterator[tuple[Slab, Report]]:
    """The slabs of an image, each with a report of its part of the progress."""
    n_pixels = math.prod(picture.shape) if picture.mask is None else int(picture.mask.sum())
    n_before = 0
    for slab in slabs_of(picture.shape, picture.mask, picture.n_space):
        yield slab, partial(_report_slab, report, n_before, n_pixels)
        n_before += len(slab.numbers)


def _report_slab(
    report: Report, n_before: int, n_pixels: int, done: int, total: int, stage: str
) -> None:
    """Report the pixels of a slab as some of the image."""
    report(n_before + done, n_pixels, stage)


def endpoints_of(
    picture: Picture, lattice: Lattice, how: Ascending, wanted: Wanted, report: Report
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Follow all pixels that count, slab by slab.

    Returns
    -------
    endpoints : float64 array of shape (n_pixels, n_space + n_bands) or (n_pixels, n_bands)
        Where they end, without places where these are not wanted; 0 where a pixel does not count.
    links : int32 or int64 array of shape (n_pixels,), or (0,)
        Without places: the forest of pixels that are joined.
    """
    n_space, layer = picture.n_space, layer_pixels(picture.shape, picture.n_space)
    n_pixels, n_bands = math.prod(picture.shape), picture.bands.shape[3]
    kept = np.zeros((n_pixels, (n_space if wanted.positions else 0) + n_bands))
    links, joining = np.empty(0, dtype=REGION), None if wanted.positions else wanted.joining
    if joining is not None:
        links = unjoined(n_pixels, picture.mask)
    last = np.empty((0, n_space + n_bands))
    for slab, slab_report in _slabs_of(picture, report):
        first, endpoints = 0, kept
        if not wanted.positions:
            first = slab.start - len(last)
            endpoints = np.zeros((slab.stop - first, n_space + n_bands))
            endpoints[: len(last)] = last
        rows = slab.numbers - NUMBER(first)
        follow(lattice, how, slab.numbers, rows, endpoints, slab_report)
        own = endpoints[slab.start - first : slab.stop - first]
        if how.window.is_joint:
            own[:, n_space:] *= how.window.range_radius
        if joining is not None:
            join(endpoints, first, slab.start, picture.shape, n_space, joining, links)
        if not wanted.positions:
            kept[slab.start : slab.stop], last = own[:, n_space:], own[-layer:].copy()
    return kept, links


def labels_of(
    picture: Picture,
    regions: NDArray[np.int32],
    sizes: NDArray[Any],
    sums: NDArray[np.int64],
    density: Density | None,
    joining: Joining,
) -> NDArray[np.int32]:
    """Merge shallow regions, where there is a density, and small ones; label pixels in place."""
    moves = half_of_neighbors(picture.n_space, joining.connectivity)
    slabs = Whole(regions, picture.shape)
    if density is not None:
        heights = heights_of(regions, len(sizes), density, picture.shape, moves)
        groups = merge_shallow(heights, joining.min_prominence)
        sizes, sums = contracted(slabs, groups, [sums], len(regions))
    merge_small(slabs, sizes, sums, moves, joining.min_size)
    regions -= MASKED  # from 1; 0 where masked
    return regions.reshape(picture.shape[3 - picture.n_space :])


def filtered_of(picture: Picture, endpoints: NDArray[np.float64]) -> NDArray[np.float64]:
    """The bands of the endpoints, in the space and the axes of the image; overwrites them."""
    bands = endpoints[:, -picture.bands.shape[3] :]
    if picture.lab_scale:
        for start in range(0, len(bands), BLOCK_PIXELS):
            block = bands[start : start + BLOCK_PIXELS]
            block[:] = from_lab(block) * picture.lab_scale
    if picture.mask is not None:
        bands[~picture.mask.ravel()] = picture.bands[~picture.mask]
    return picture.as_image(bands)


def positions_of(
    picture: Picture, endpoints: NDArray[np.float64], first: Any = 0
) -> NDArray[np.float64]:
    """Where the pixels ended, in pixels along each axis in space; masked ones where they are.

    ``first`` has the indices of the first pixel in the image.
    """
    shape = picture.shape[3 - picture.n_space :]
    positions = endpoints[:, : picture.n_space].reshape(*shape, picture.n_space)
    if picture.mask is not None:
        masked = ~picture.mask.reshape(shape)
        positions[masked] = np.argwhere(masked) + first
    return positions
