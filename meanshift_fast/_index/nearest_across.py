"""Each row takes the label of its nearest mode, where columns wrap.

    few columns that wrap    2^d images of a mode, labelled as modes are: `nearest.py`
    many                     along each column the nearer of two values, against all modes

An image across the seam is the same number by both ways, and the sum of the least squares is the
least of the sums, rounded too: labels are equal to the last bit, the first of equal modes included.
2,000 rows of 10 columns that wrap and 20 modes take 171 ms by images and 0.13 directly, 20,000 rows
of three and 1,000 modes 38 and 46.
"""

import math

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index.moment_tree import in_lanes
from meanshift_fast._index.nearest_kernels import label_all_by_all
from meanshift_fast._input.scaling import readonly_table
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.simd import LANES

MAX_IMAGED_COLUMNS = 2  # four images of a mode at most
# Where modes are many, a tree of their images is faster than all modes.
MAX_IMAGED_COLUMNS_OF_MANY, MAX_MEASURED_MODES = 3, 1024
MAX_IMAGE_VALUES = 1 << 24  # of more columns: 128 MB
ROWS_A_TASK = 512
FIRST_CHUNK_VALUES = 1 << 30  # differences measured by the first chunk, at most


def across_seams(modes: NDArray[np.float64], period: NDArray[np.float64]) -> NDArray[np.float64]:
    """The images of modes across the seam of every column that wraps; elsewhere the same values."""
    length = np.where(period < math.inf, period, 0.0)
    return modes + np.where(modes < 0.5 * length, length, -length)


def images_are_worth(modes: NDArray[np.float64], period: NDArray[np.float64]) -> bool:
    """Whether so many images of all modes are few enough, and sooner searched than measured."""
    n_wrapped = int(np.count_nonzero(period < math.inf))
    if n_wrapped <= MAX_IMAGED_COLUMNS:
        return True
    is_small = n_wrapped <= MAX_IMAGED_COLUMNS_OF_MANY
    is_small = is_small or modes.size * 2.0**n_wrapped <= MAX_IMAGE_VALUES
    return len(modes) > MAX_MEASURED_MODES and is_small


def nearest_images(
    modes: NDArray[np.float64], period: NDArray[np.float64]
) -> tuple[NDArray[np.float64], int]:
    """Repeat modes so that the nearest image of each is there for any row, and how often.

    The images of a mode follow one another, so that the first of equals is that of the first mode.
    """
    images, across = modes[:, None], across_seams(modes, period)
    for column in np.flatnonzero(period < math.inf):
        other = images.copy()
        other[..., column] = across[:, None, column]
        images = np.concatenate([images, other], axis=1)
    n_images = images.shape[1]
    return readonly_table(images.reshape(-1, modes.shape[1])), n_images


def label_by_all_across(
    points: NDArray[np.float64],
    modes: NDArray[np.float64],
    period: NDArray[np.float64],
    limit_sq: float,
    labels: NDArray[np.int64],
) -> None:
    """Label a table by all modes, the short way round, in chunks; no image is made."""
    packed, across = in_lanes(modes), in_lanes(across_seams(modes, period))
    numbers = np.arange(float(len(modes)))
    first = FIRST_CHUNK_VALUES // packed.size
    for start, stop in chunks(len(points), first=first, multiple=LANES):
        n_rows = min(ROWS_A_TASK, stop - start)
        some = points[start:stop], labels[start:stop]
        label_all_by_all(some[0], n_rows, packed, numbers, limit_sq, some[1], across)
