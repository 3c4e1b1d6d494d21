"""mean_shift_filter and mean_shift_segment: images, smoothed and segmented in the joint domain."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions

from meanshift_fast._image import pipeline
from meanshift_fast._image.ascent import MAX_ITERATIONS
from meanshift_fast._image.checks import as_array
from meanshift_fast._image.regions import Joining
from meanshift_fast._input.checks import checked
from meanshift_fast._input.scaling import NOT_NEGATIVE, POSITIVE

_CONSTRAINTS: dict[str, list[Any]] = {
    "spatial_radius": [POSITIVE],
    "range_radius": [POSITIVE],
    "window": [StrOptions({"product", "joint"})],
    "convert2lab": ["boolean", None],
    "max_iter": [Interval(Integral, 1, MAX_ITERATIONS, closed="both")],
    "tol": [NOT_NEGATIVE],
    "channel_axis": [Integral, None],
    "return_positions": ["boolean"],
    "n_jobs": [Integral, None],
    "progress": ["boolean", callable, StrOptions({"auto"})],
}


@checked(_CONSTRAINTS)
def mean_shift_filter(
    image: ArrayLike,
    spatial_radius: float,
    range_radius: float,
    *,
    window: str = "product",
    spacing: float | ArrayLike | None = None,
    mask: ArrayLike | None = None,
    convert2lab: bool | None = None,
    max_iter: int = 100,
    tol: float = 1e-3,
    channel_axis: int | None = -1,
    return_positions: bool = False,
    n_jobs: int | None = None,
    progress: bool | str | Callable[[int, int, str], None] = "auto",
) -> Any:
    r"""Smooth an image and keep its edges: each pixel takes the range where its trajectory ends.

    A pixel's trajectory starts at itself, in space and in range (grey value, colour, bands). It
    goes to the mean of the pixels in the window around it, again and again, and rests when it
    moves by no more than ``tol``. Read more in :doc:`/guides/images`.

    Parameters
    ----------
    image : array of shape (n_rows, n_columns, n_bands) or (n_planes, n_rows, n_columns, n_bands)
        A picture or a volume of any real dtype, with any number of bands; of NumPy, or of Dask:
        then the answer is one of Dask, computed tile by tile.
    spatial_radius : float
        How far the window reaches in space, in units of ``spacing``.
    range_radius : float
        How far it reaches in range, in units of the bands, or of Lab where they are converted.
    window : {"product", "joint"}, default="product"
        "product": pixels within ``spatial_radius`` in space and within ``range_radius`` in range;
        both balls are closed. "joint": the sum of both squared ratios is at most 1, as in
        :class:`meanshift_fast.MeanShift` with a bandwidth for each column.
    spacing : float or array-like of shape (n_space,), default=None
        The distance of neighbouring pixels along each axis in space; None: 1.
    mask : array-like of bool of the image's shape in space, default=None
        True where a pixel counts. Others pull no trajectory, and keep what they are.
    convert2lab : bool, default=None
        Whether to compare colours in Lab, through scikit-image. None: three bands of uint8, or of
        floats from 0 to 1, are colours.
    max_iter : int, default=100
        Moves of a trajectory, at most; no more than 65,536.
    tol : float, default=1e-3
        A trajectory rests when the squares of its move, in spatial radii and in range radii, sum
        to at most the square of this.
    channel_axis : int or None, default=-1
        The axis of the bands; None: each pixel is one number.
    return_positions : bool, default=False
        Whether to return the endpoints' positions too.
    n_jobs : int, default=None
        Threads: None as many as Numba may use, -1 all. Of Dask, those of each tile; None: one.
    progress : "auto", bool or callable, default="auto"
        As in :class:`meanshift_fast.MeanShift`. Not used for an image of Dask, which has progress
        bars of its own.

    Returns
    -------
    filtered : float64 ndarray of the image's shape
        The range of each end, in the image's space: uint8 colours are floats from 0 to 255.
    positions : float64 ndarray of shape (\*space, n_space)
        Where it is, in pixels along each axis in space; only with ``return_positions``.

    Raises
    ------
    ValueError
        "image must ...", "mask must ...", "spacing must ...", "channel_axis must ...", or
        "convert2lab=True needs ...", with the value, the reason and the remedy.
    ImportError
        Where colours are to be converted and scikit-image is not installed.

    See Also
    --------
    mean_shift_segment : Regions of pixels that end near each other.
    skimage.restoration.denoise_bilateral : One step of a similar mean, with soft weights.

    Notes
    -----
    A trajectory in a product window may run in a cycle. It is seen exactly, and ends at the cycle's
    smallest position (the first coordinate in space first). Results are equal to the last bit for
    every number of threads, and for every size of the chunks of a Dask array: a pixel whose
    trajectory leaves its tile and the margin around it is followed again with a wider margin.

    The filter is that of [1]_, section 4.1, without its rounding of positions to pixels.

    References
    ----------
    .. [1] D. Comaniciu and P. Meer, "Mean shift: a robust approach toward feature space
       analysis", IEEE Transactions on Pattern Analysis and Machine Intelligence 24 (5), 2002,
       pp. 603-619, :doi:`10.1109/34.1000236`.

    Examples
    --------
    >>> import numpy as np
    >>> from meanshift_fast.image import mean_shift_filter
    >>> image = np.array([[1, 2, 9], [1, 1, 8], [2, 1, 9]])
    >>> mean_shift_filter(image, 2, 3, channel_axis=None).round(2)
    array([[1.33, 1.33, 8.67],
           [1.33, 1.33, 8.67],
           [1.33, 1.33, 8.67]])
    """
    engine = _engine_for(image := as_array(image))
    picture = engine.picture_of(image, mask, channel_axis, convert2lab, "mean_shift_filter")
    radii = spatial_radius, range_radius
    how = pipeline.ascending(radii, window, spacing, max_iter, tol, picture.n_space)
    wanted = pipeline.Wanted(None, True, return_positions)
    return _one_or_all(engine.run(picture, how, wanted, n_jobs, progress))


@checked(
    _CONSTRAINTS
    | {
        "min_size": [Interval(Integral, 0, None, closed="left")],
        "connectivity": [Interval(Integral, 1, 3, closed="both")],
        "merge": [NOT_NEGATIVE],
        "min_prominence": [Interval(Real, 0, 1, closed="left")],
        "return_filtered": ["boolean"],
    }
)
def mean_shift_segment(
    image: ArrayLike,
    spatial_radius: float,
    range_radius: float,
    *,
    min_size: int = 20,
    connectivity: int = 1,
    merge: float = 0.5,
    min_prominence: float = 0.0,
    return_filtered: bool = False,
    window: str = "product",
    spacing: float | ArrayLike | None = None,
    mask: ArrayLike | None = None,
    convert2lab: bool | None = None,
    max_iter: int = 100,
    tol: float = 1e-3,
    channel_axis: int | None = -1,
    return_positions: bool = False,
    n_jobs: int | None = None,
    progress: bool | str | Callable[[int, int, str], None] = "auto",
) -> Any:
    r"""Segment an image: touching pixels whose trajectories end near each other are a region.

    Regions smaller than ``min_size`` join the touching region whose mean range is nearest: the
    smallest first, and of equals, and of equally near ones, that with the first pixel in raster
    order, until none is small. Read more in :doc:`/guides/images`.

    Parameters
    ----------
    image : array of shape (n_rows, n_columns, n_bands) or (n_planes, n_rows, n_columns, n_bands)
        A picture or a volume of any real dtype, with any number of bands; of NumPy, or of Dask:
        then the answer is one of Dask, computed tile by tile.
    spatial_radius : float
        How far the window reaches in space, in units of ``spacing``.
    range_radius : float
        How far it reaches in range, in units of the bands, or of Lab where they are converted.
    min_size : int, default=20
        Pixels of a region, at least; only a region that touches no other may have fewer.
    connectivity : int, default=1
        How many coordinates of touching pixels may differ, as in :func:`skimage.measure.label`.
    merge : float, default=0.5
        Ends are near within ``merge * spatial_radius`` in space and ``merge * range_radius`` in
        range.
    min_prominence : float, default=0
        At least 0 and below 1. Regions less prominent join the one across their highest saddle,
        as modes do in :class:`meanshift_fast.MeanShift`, before small ones join others. The
        prominence is 1 - saddle / peak. The density of a pixel is the number of pixels in the
        window at its own position, a region's peak the largest density of its pixels, and the
        saddle of two regions the highest, over pairs of touching pixels in them that lie in each
        other's window, of the lower density of the two. Regions with none keep apart.
    return_filtered : bool, default=False
        Whether to return what :func:`mean_shift_filter` would.
    window : {"product", "joint"}, default="product"
        The kind of the window, as in :func:`mean_shift_filter`.
    spacing : float or array-like of shape (n_space,), default=None
        The distance of neighbouring pixels along each axis in space; None: 1.
    mask : array-like of bool of the image's shape in space, default=None
        True where a pixel counts. Others pull no trajectory, and have the label 0.
    convert2lab : bool, default=None
        Whether to compare colours in Lab, as in :func:`mean_shift_filter`.
    max_iter : int, default=100
        Moves of a trajectory, at most; no more than 65,536.
    tol : float, default=1e-3
        The move after which a trajectory rests, as in :func:`mean_shift_filter`.
    channel_axis : int or None, default=-1
        The axis of the bands; None: each pixel is one number.
    return_positions : bool, default=False
        Whether to return the endpoints' positions too.
    n_jobs : int, default=None
        Threads: None as many as Numba may use, -1 all. Of Dask, those of each tile; None: one.
    progress : "auto", bool or callable, default="auto"
        As in :class:`meanshift_fast.MeanShift`. Not used for an image of Dask, which has progress
        bars of its own.

    Returns
    -------
    labels : int32 ndarray of the image's shape in space
        From 1, in raster order of the regions' first pixels; 0 where masked. Each region is
        connected.
    filtered : float64 ndarray of the image's shape
        Only with ``return_filtered``.
    positions : float64 ndarray of shape (\*space, n_space)
        Only with ``return_positions``.

    Raises
    ------
    ValueError
        As :func:`mean_shift_filter`, "connectivity must ...", and where the magnitudes of all
        values add up to more than 4e12 range radii.
    ImportError
        Where colours are to be converted and scikit-image is not installed.

    See Also
    --------
    mean_shift_filter : The ends themselves.
    skimage.segmentation.mark_boundaries : The outlines of the regions, drawn.

    Notes
    -----
    A mean range is that of the ends, in whole steps of 2^-20 range radii, so that it does not
    depend on the order of its sum.

    Examples
    --------
    >>> import numpy as np
    >>> from meanshift_fast.image import mean_shift_segment
    >>> image = np.array([[1, 2, 9], [1, 1, 8], [2, 1, 9]])
    >>> mean_shift_segment(image, 2, 3, min_size=2, channel_axis=None)
    array([[1, 1, 2],
           [1, 1, 2],
           [1, 1, 2]], dtype=int32)
    """
    engine = _engine_for(image := as_array(image))
    picture = engine.picture_of(image, mask, channel_axis, convert2lab, "mean_shift_segment")
    radii = spatial_radius, range_radius
    how = pipeline.ascending(radii, window, spacing, max_iter, tol, picture.n_space)
    if connectivity > picture.n_space:
        raise ValueError(
            f"connectivity must be at most the number of axes in space, {picture.n_space}, got "
            f"{connectivity}"
        )
    joining = Joining(
        how.window, float(merge), int(min_size), int(connectivity), float(min_prominence)
    )
    wanted = pipeline.Wanted(joining, return_filtered, return_positions)
    return _one_or_all(engine.run(picture, how, wanted, n_jobs, progress))


def _engine_for(image: Any) -> Any:
    """What computes: the pipeline in memory, or tiles of an array of Dask."""
    if not hasattr(image, "__dask_graph__"):
        return pipeline
    from meanshift_fast._image import tiles

    return tiles


def _one_or_all(found: list[Any]) -> Any:
    return found[0] if len(found) == 1 else tuple(found)
