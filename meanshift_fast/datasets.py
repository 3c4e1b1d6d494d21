"""The demo's data: a small table made of integers, and a photograph that scikit-learn carries."""

import numpy as np
import numpy.typing as npt

from meanshift_fast._input.messages import not_installed

# Centre (x, y) and spread of each blob, in hundredths, and the blobs of twelve consecutive rows.
_BLOBS = ((250, 650, 60), (650, 250, 110), (800, 750, 85))
_TURNS = (0, 1, 2, 0, 1, 0, 2, 1, 0, 2, 1, 0)


def demo_table() -> npt.NDArray[np.float64]:
    """Make a table of 300 rows in three blobs of different sizes and spreads.

    Returns
    -------
    table : ndarray of shape (300, 2), float64
        Values with two decimals. About (2.5, 6.5) lie 125 rows with a spread of 0.6, about
        (6.5, 2.5) 100 rows with 1.1, about (8, 7.5) 75 rows with 0.85; the blobs take turns.

    See Also
    --------
    china_pixels : The demo's large table.

    Notes
    -----
    No random generator of NumPy is involved, so every version and platform gives the same table.
    The recurrence s <- 48271 s mod (2^31 - 1), started at 3, yields the digits s mod 1000. Twelve
    of them, summed, have a standard deviation of 1000 and nearly a normal shape: that bell,
    times the spread, plus the centre, in whole hundredths, is one value.

    Examples
    --------
    >>> from meanshift_fast.datasets import demo_table
    >>> demo_table().shape
    (300, 2)
    """
    state = 3
    hundredths = []
    for row in range(300):
        *centre, spread = _BLOBS[_TURNS[row % len(_TURNS)]]
        for middle in centre:
            bell = -5994
            for _ in range(12):
                state = 48271 * state % 2147483647
                bell += state % 1000
            hundredths.append(middle + bell * spread // 1000)
    return np.array(hundredths, dtype=np.float64).reshape(300, 2) / 100


def china_pixels() -> tuple[npt.NDArray[np.float64], tuple[int, int, int]]:
    """Read the pixels of ``china.jpg``, the photograph of a temple that scikit-learn carries.

    Returns
    -------
    pixels : ndarray of shape (273280, 3), float64
        Red, green and blue of each pixel, whole numbers from 0 to 255, row by row.

    shape : tuple of int
        (height, width, 3): ``pixels.reshape(shape)`` is the photograph again.

    Raises
    ------
    ImportError
        If pillow, which decodes the file, is not installed.
    """
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise not_installed("reading the photograph needs pillow", "demo") from error
    from sklearn.datasets import load_sample_image

    photograph = load_sample_image("china.jpg")
    height, width, colours = photograph.shape
    return photograph.reshape(-1, colours).astype(np.float64), (height, width, colours)
