"""Colours: red, green and blue to Lab and back, through scikit-image.

A distance in Lab is about the difference that is perceived. scikit-image multiplies matrices, and a
product of one row may round otherwise than one of many: less than MIN_PIXELS pixels are
padded, so that a pixel's colour does not depend on how many are converted with it.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._input.messages import not_installed

MIN_PIXELS = 16


def require_scikit_image(function: str) -> None:
    """Raise an error with the remedy where scikit-image is not installed."""
    try:
        import skimage.color  # noqa: F401
    except ImportError as error:
        need = f"{function} converts three bands of colour to Lab with scikit-image"
        raise ImportError(
            f"{not_installed(need, 'image')}, or give convert2lab=False to compare the bands as "
            "they are"
        ) from error


def to_lab(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Convert pixels of red, green and blue, uint8 or floats from 0 to 1, shape (n, 3)."""
    from skimage.color import rgb2lab

    if pixels.dtype != np.uint8:
        pixels = pixels.astype(np.float64)
    return _converted(rgb2lab, pixels)


def from_lab(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert pixels of Lab to red, green and blue from 0 to 1, shape (n, 3)."""
    from skimage.color import lab2rgb

    return _converted(lab2rgb, pixels)


def _converted(function: Any, pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Convert pixels, padded where they are few."""
    n_pixels = len(pixels)
    if n_pixels < MIN_PIXELS:
        pixels = np.concatenate([pixels, np.zeros((MIN_PIXELS, 3), dtype=pixels.dtype)])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # means of colours may lie outside of what screens show
        converted: NDArray[np.float64] = function(pixels[None])[0, :n_pixels]
    return converted
