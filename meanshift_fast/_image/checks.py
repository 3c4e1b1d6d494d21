"""An image and its mask, checked, with three axes in space and the bands last."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanshift_fast._image.colours import require_scikit_image
from meanshift_fast._image.lattice import Window
from meanshift_fast._input.messages import counted, quoted

MAX_PIXELS = (1 << 32) - 1  # pixels that uint32 can number
MIN_RADIUS, MAX_RADIUS = 1e-150, 1e150  # in the unit of pixels or bands
MAX_MAGNITUDE = 1e300  # of a band: the sum over all pixels that fit in memory is finite


class Picture(NamedTuple):
    """An image in the layout of the computation.

    Attributes
    ----------
    bands : array of shape (n_planes, n_rows, n_columns, n_bands)
        A view of the image, in its dtype.
    mask : bool array of shape (n_planes, n_rows, n_columns), or None
        False where a pixel does not count.
    n_space : int
        2 or 3; the first axis of a picture has one plane.
    channel_axis : int or None
        Where the image has its bands, counted from the first axis.
    lab_scale : float
        0.0 where the bands are compared as they are; else the largest red, green and blue.
    """

    bands: NDArray[Any]
    mask: NDArray[np.bool_] | None
    n_space: int
    channel_axis: int | None
    lab_scale: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Planes, rows and columns."""
        return self.bands.shape[:3]

    def as_image(self, values: NDArray[Any]) -> NDArray[Any]:
        """Give values of shape (n_pixels, n_bands) the axes of the image."""
        shaped = values.reshape(*self.shape[3 - self.n_space :], -1)
        if self.channel_axis is None:
            return shaped[..., 0]
        return np.moveaxis(shaped, -1, self.channel_axis)


def checked_image(image: Any, channel_axis: int | None) -> tuple[Any, int, int | None]:
    """Check an image's axes and dtype, of NumPy or Dask; what is wrong is a ValueError.

    Its message begins with "image must" or "channel_axis must". Returns the image's bands, n_space
    and channel_axis as `Picture` has them.
    """
    if np.ma.is_masked(image):
        raise ValueError(
            "image must have no masked values of its own, got a masked array; give "
            "image.data, and mask=~image.mask of one band"
        )
    shape = image.shape
    if channel_axis is not None and not -len(shape) <= channel_axis < len(shape):
        raise ValueError(
            f"channel_axis must be an axis of the image, got {channel_axis} for shape {shape}; "
            "give the axis of the bands, or None where each pixel is one number"
        )
    n_space = len(shape) - (channel_axis is not None)
    if n_space not in (2, 3):
        remedy = "pictures and volumes have two or three"
        if len(shape) in (2, 3):
            remedy = "give channel_axis=None where each pixel is one number"
        raise ValueError(
            f"image must have two or three axes in space, got {n_space} in shape {shape} with "
            f"channel_axis={channel_axis}; {remedy}"
        )
    _check_pixels(image, channel_axis)
    if channel_axis is None:
        bands = image[..., None]
    else:
        channel_axis %= len(shape)
        order = [axis for axis in range(len(shape)) if axis != channel_axis]
        bands = image.transpose(*order, channel_axis)
    return (bands if n_space == 3 else bands[None]), n_space, channel_axis


def _check_pixels(image: Any, channel_axis: int | None) -> None:
    """Refuse an image without pixels, with too many, or of values that are no numbers."""
    shape = image.shape
    if 0 in shape:
        raise ValueError(f"image must have at least one pixel and one band, got shape {shape}")
    n_pixels = math.prod(shape) // (1 if channel_axis is None else shape[channel_axis])
    if n_pixels > MAX_PIXELS and not hasattr(image, "__dask_graph__"):
        raise ValueError(
            f"image must have at most {MAX_PIXELS:,} pixels in memory, got {n_pixels:,}; give an "
            "array of Dask, which is computed tile by tile"
        )
    if image.dtype.kind not in "biuf":
        raise ValueError(
            f"image must hold real numbers, got dtype {image.dtype}; convert it with "
            "image.astype(float)"
        )


def checked_window(
    spatial_radius: float, range_radius: float, window: str, spacing: Any, n_space: int
) -> Window:
    """Check the spacing, and make the window."""
    given = np.ones(n_space) if spacing is None else np.asarray(spacing)
    if given.dtype.kind not in "iuf" or given.shape not in ((), (n_space,)):
        raise ValueError(
            f"spacing must be one number or {n_space}, one for each axis in space, got "
            f"{quoted(spacing)}"
        )
    if not ((given > 0) & np.isfinite(given)).all():
        raise ValueError(
            f"spacing must be positive and finite, got {quoted(spacing)}; it is the distance of "
            "neighbouring pixels"
        )
    every = np.ones(3)
    every[3 - n_space :] = given
    # Radii beyond these say no more of float64 values, and their squares overflow.
    space, band = (
        min(max(float(radius), MIN_RADIUS), MAX_RADIUS) for radius in (spatial_radius, range_radius)
    )
    return Window(space, band, every, window == "joint")


def check_mask_layout(mask: Any, shape: tuple[int, ...]) -> None:
    """Refuse an array, of NumPy or Dask, that is no mask of an image of a shape in space."""
    if mask.shape != shape or mask.dtype.kind not in "biu":
        raise ValueError(
            f"mask must be boolean and have the shape of the image in space, {shape}, got dtype "
            f"{mask.dtype} and shape {mask.shape}; True where a pixel counts"
        )


def checked_mask(mask: Any, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """Check a mask's shape and dtype; None where all pixels count."""
    if mask is None:
        return None
    mask = np.asarray(mask)
    check_mask_layout(mask, shape)
    mask = mask.astype(bool, copy=False)
    if not mask.any():
        raise ValueError(
            f"mask must leave at least one pixel, got all {counted(mask.size, 'pixel')} masked; it "
            "is True where a pixel counts"
        )
    return None if mask.all() else mask


def check_finite(
    bands: NDArray[Any], mask: NDArray[np.bool_] | None, n_space: int, first: tuple[int, ...]
) -> None:
    """Refuse pixels that count and are not finite, or too large to add up, naming the first."""
    if bands.dtype.kind != "f":
        return
    most = bands.dtype.type(min(MAX_MAGNITUDE, float(np.finfo(bands.dtype).max)))
    for z, plane in enumerate(bands):
        is_bad = ~((plane <= most) & (plane >= -most)).all(axis=-1)
        if mask is not None:
            is_bad &= mask[z]
        if is_bad.any():
            y, x = np.argwhere(is_bad)[0]
            pixel = tuple(int(k) for k in np.add(first, (z, y, x)))[3 - n_space :]
            value = plane[y, x][~(np.abs(plane[y, x]) <= most)][0]
            if np.isfinite(value):
                raise ValueError(
                    f"image must be at most {MAX_MAGNITUDE:g} in magnitude, got {value:g} at pixel "
                    f"{pixel}; divide it, or mask such pixels"
                )
            raise ValueError(
                f"image must be finite where the mask is True, got {value} at pixel {pixel}; fill "
                "such pixels, or mask them: mask=np.isfinite(image), of several bands with "
                ".all(axis=channel_axis)"
            )


def lab_scale(
    convert2lab: bool | None, n_bands: int, dtype: np.dtype[Any], extremes: Any, function: str
) -> float:
    """Whether bands are colours to be converted: their largest possible value, or 0.0 where not.

    Colours are three bands of uint8, or of floats from 0 to 1: ``extremes()`` are the least and the
    largest value of pixels that count. ``function`` is the one that an error names.
    """
    if convert2lab is False or (convert2lab is None and n_bands != 3):
        return 0.0
    if n_bands == 3 and dtype == np.uint8:
        scale = 255.0
    else:
        reason = f"{n_bands} of dtype {dtype}"
        scale = 0.0
        if n_bands == 3 and dtype.kind == "f":
            least, largest = extremes()
            scale = 1.0 if least >= 0.0 and largest <= 1.0 else 0.0
            reason = f"values from {least:g} to {largest:g}"
        if scale == 0.0 and convert2lab:
            raise ValueError(
                "convert2lab=True needs three bands of red, green and blue, uint8 or floats from 0 "
                f"to 1, got {reason}; scale them, or give convert2lab=False"
            )
    if scale:
        require_scikit_image(function)
    return scale


def as_array(image: ArrayLike) -> Any:
    """An image as an array of NumPy; one of Dask as it is."""
    if hasattr(image, "__dask_graph__"):
        return image
    try:
        return image if isinstance(image, np.ndarray) else np.asarray(image)
    except ValueError as error:
        raise ValueError(
            f"image must be an array, got {quoted(image)}; rows must be equally long"
        ) from error
