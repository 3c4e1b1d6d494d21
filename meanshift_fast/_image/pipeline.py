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
from meanshift_fast._image.regions import (
    Graph,
    Joining,
    half_of_neighbors,
    merge_small,
    regions_of,
)
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
            joined = joined_of(picture, endpoints, density, wanted.joining, report)
            if not (wanted.filtered or wanted.positions):
                del endpoints  # the largest array that is left
            found.append(labels_of(picture, *joined, wanted.joining, report))
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


def joined_of(
    picture: Picture,
    endpoints: NDArray[np.float64],
    density: Density | None,
    joining: Joining,
    report: Report,
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None, Graph]:
    """The regions of the pixels, what each is part of, if not itself, and the graph of these.

    With their density the less prominent ones are merged.
    """
    report(0, 1, "labels")
    regions, graph = regions_of(endpoints, picture.shape, picture.mask, picture.n_space, joining)
    joined = None
    if density is not None:
        moves = half_of_neighbors(picture.n_space, joining.connectivity)
        heights = heights_of(regions, len(graph.sizes), density, picture.shape, moves)
        joined, graph = merge_shallow(graph, heights, joining.min_prominence, joining.min_size)
    return regions, joined, graph


def labels_of(
    picture: Picture,
    regions: NDArray[np.int64],
    joined: NDArray[np.int64] | None,
    graph: Graph,
    joining: Joining,
    report: Report,
) -> NDArray[np.int32]:
    """Label the pixels by their regions, once the small ones are merged; 0 where masked."""
    merged = merge_small(graph, joining.min_size)
    labels = np.append(merged if joined is None else merged[joined], 0).astype(np.int32)
    report(1, 1, "labels")
    return labels[regions].reshape(picture.shape[3 - picture.n_space :])  # MASKED is the last


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
