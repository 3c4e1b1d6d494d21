"""Filter and segment an image that is in memory, stage by stage."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._image.ascent import NUMBER, follow, in_blocks
from meanshift_fast._image.checks import (
    Picture,
    check_finite,
    checked_image,
    checked_mask,
    checked_window,
    lab_scale,
)
from meanshift_fast._image.colours import from_lab, to_lab
from meanshift_fast._image.lattice import BLOCK_PIXELS, Lattice, Window, lattice_of
from meanshift_fast._image.prominence import Density, densities_of, heights_of, merge_shallow
from meanshift_fast._image.regions import MASKED, Joining, half_of_neighbors, regions_of
from meanshift_fast._image.small_regions import Whole, contracted, merge_small
from meanshift_fast._input.progress import Report, reporting
from meanshift_fast._jit.threads import borrowed_threads


class Ascending(NamedTuple):
    """How trajectories are followed.

    Attributes
    ----------
    window : Window
        What is averaged.
    max_iter : int
        Moves of a trajectory, at most.
    tol : float
        The length of a move after which a trajectory rests, in units of both radii together.
    """

    window: Window
    max_iter: int
    tol: float


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
    with borrowed_threads(n_jobs), reporting(progress) as report:
        lattice, numbers = arranged(picture, how)
        has_places = wanted.joining is not None or wanted.positions
        endpoints = endpoints_of(picture, lattice, numbers, how, has_places, report)
        density = None
        if wanted.joining is not None and wanted.joining.min_prominence > 0.0:
            moves = half_of_neighbors(picture.n_space, wanted.joining.connectivity)
            density = densities_of(
                lattice, how.window, numbers, numbers, len(endpoints), moves, report
            )
        del lattice
        if wanted.joining is not None:
            report(0, 1, "labels")
            regions = regions_of(
                endpoints, picture.shape, picture.mask, picture.n_space, wanted.joining
            )
            if not (wanted.filtered or wanted.positions):
                del endpoints  # the largest array that is left
            found.append(labels_of(picture, *regions, density, wanted.joining))
            report(1, 1, "labels")
    positions = [positions_of(picture, endpoints)] if wanted.positions else []
    if wanted.filtered:
        found.append(filtered_of(picture, endpoints))
    return found + positions


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


def arranged(picture: Picture, how: Ascending) -> tuple[Lattice, NDArray[np.uint32]]:
    """The lattice, and the numbers of the pixels that count; none where all do."""
    lattice = lattice_of(
        picture.bands, picture.mask, how.window, convert=to_lab if picture.lab_scale else None
    )
    no_numbers = np.empty(0, dtype=NUMBER)
    return lattice, no_numbers if picture.mask is None else in_blocks(picture.mask)


def endpoints_of(
    picture: Picture,
    lattice: Lattice,
    numbers: NDArray[np.uint32],
    how: Ascending,
    has_places: bool,
    report: Report,
) -> NDArray[np.float64]:
    """Follow all pixels that count, shape (n_pixels, n_space + n_bands); 0 for the others.

    Without their places the columns are the bands alone.
    """
    n_pixels, n_bands = picture.bands[..., 0].size, picture.bands.shape[3]
    endpoints = np.empty((n_pixels, (picture.n_space if has_places else 0) + n_bands))
    if picture.mask is not None:
        endpoints[~picture.mask.ravel()] = 0.0
    follow(
        lattice, how.window, numbers, numbers, endpoints, tol=how.tol, max_iter=how.max_iter,
        report=report,
    )  # fmt: skip
    if how.window.is_joint:
        endpoints[:, -n_bands:] *= how.window.range_radius
    return endpoints


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
