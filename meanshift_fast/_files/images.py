"""Images: pictures through Pillow, rasters through rasterio, labels in either.

    png, jpeg, bmp, gif   Pillow
    tif, tiff             rasterio, where it is installed: any bands and dtype, nodata and alpha as
                          the mask, georeference kept; larger ones as a Dask array, window by window

Imported only where needed, as Pillow, rasterio and Dask are.
"""

import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._files.npy_format import write_npy
from meanshift_fast._input.messages import not_installed

RASTERS = (".tif", ".tiff")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
LABELS = (*RASTERS, ".png", ".npy")
WINDOW_SIDE = 2048  # pixels of a window; a raster with more than one is read window by window
# What Pillow makes of a sample of these raw modes, but not of the colour that is transparent.
_SAMPLE_RATIOS = {"1": (1, 255), "L;2": (85, 1), "L;4": (17, 1), "RGB;16B": (1, 256)}

_filters = threading.Lock()


class ImageFile(NamedTuple):
    """An image from a file.

    Attributes
    ----------
    values : array of shape (n_rows, n_columns[, n_bands])
        Of NumPy, or of Dask where it is read window by window.
    mask : bool array of shape (n_rows, n_columns), or None
        False where the file says that there is no value.
    profile : dict or None
        The georeference of a raster.
    """

    values: Any
    mask: Any
    profile: dict[str, Any] | None

    @property
    def channel_axis(self) -> int | None:
        """The axis of the bands, None where there is one band."""
        return -1 if self.values.ndim == 3 else None


def open_image(path: Path) -> ImageFile:
    """Open a picture or a raster.

    Raises
    ------
    ImportError
        Where the package that reads it is not installed.
    OSError
        "cannot open ...", where it is missing or no image.
    """
    if path.suffix.lower() not in (*RASTERS, *PICTURES):
        raise ValueError(
            f"{path} must be an image by its name, one of {', '.join((*PICTURES, *RASTERS))}"
        )
    if not path.exists():
        raise FileNotFoundError(2, "no such file", str(path))
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or a device"
        raise OSError(f"cannot open {path}: it is {kind}; name a file")
    if path.suffix.lower() in RASTERS and _rasterio() is not None:
        return _open_raster(path)
    return _open_picture(path)


def _rasterio() -> Any:
    """Import rasterio; None where it is not installed."""
    try:
        import rasterio
    except ImportError:
        return None
    return rasterio


def require_rasterio(what: str) -> Any:
    """Import rasterio, or raise the error that ``what`` needs it."""
    module = _rasterio()
    if module is None:
        raise not_installed(f"{what} needs rasterio", "raster")
    return module


def _pillow() -> Any:
    """Import Pillow, or name the command that installs it."""
    try:
        from PIL import Image
    except ImportError as error:
        raise not_installed("pictures are read and written with Pillow", "image") from error
    return Image


def _open_picture(path: Path) -> ImageFile:
    """Read a picture; transparent pixels are masked."""
    library = _pillow()
    try:
        with library.open(path) as picture:
            raw_mode = str(picture.tile[0][3]) if picture.tile else ""
            # Beside its picture a camera's jpeg (MPO) may hold smaller ones of the same.
            n_pages = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
            picture.load()
    except library.UnidentifiedImageError:
        remedy = "is it an image? Rasters of many bands need: pip install meanshift_fast[raster]"
        raise OSError(f"cannot open {path}: Pillow does not know what it is; {remedy}") from None
    except (
        OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error,
        library.DecompressionBombError,
    ) as error:  # fmt: skip
        raise ValueError(f"{path} cannot be read, or is damaged: {error}") from error
    _check_pages(path, n_pages)
    if picture.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
        has_alpha = picture.mode == "PA" or "transparency" in picture.info
        picture = picture.convert("RGBA" if has_alpha else "RGB")
    values = np.asarray(picture)
    if picture.mode in ("LA", "RGBA"):
        mask = values[..., -1] > 0
        values = values[..., :-1] if picture.mode == "RGBA" else values[..., 0]
    elif "transparency" in picture.info:
        times, by = _SAMPLE_RATIOS.get(raw_mode, (1, 1))
        transparent = np.asarray(picture.info["transparency"])
        # Of one bit it is 1 or 255, as the version of Pillow has it.
        is_bit = values.dtype == np.bool_
        differs = values != (transparent > 0 if is_bit else transparent * times // by)
        mask = differs.any(axis=-1) if values.ndim == 3 else differs
    else:
        return ImageFile(values, None, None)
    return ImageFile(values, None if mask.all() else mask, None)


def _check_pages(path: Path, n_pages: int) -> None:
    """Refuse a stack of images, such as an animated gif."""
    if n_pages > 1:
        raise ValueError(
            f"{path} must hold one image, got {n_pages} pages or frames; save each as a file of "
            "its own"
        )


def _open_raster(path: Path) -> ImageFile:
    """Open a raster; a large one as Dask arrays of its windows."""
    with _named_when_damaged(path), _opened(path) as raster:
        n_pages = len(raster.subdatasets)
        profile = {"crs": raster.crs, "transform": raster.transform}
        shape, bands = (raster.height, raster.width), _feature_bands(raster)
        n_bands, dtype = len(bands), np.result_type(*(raster.dtypes[band - 1] for band in bands))
    _check_pages(path, n_pages)
    if max(shape) <= WINDOW_SIDE:
        values, mask = read_window(path, slice(0, shape[0]), slice(0, shape[1]))
        return ImageFile(values, None if mask.all() else mask, profile)
    try:
        import dask.array as da
    except ImportError as error:
        large = f"a raster of more than {WINDOW_SIDE:,} rows or columns"
        raise not_installed(f"{large} is read window by window with Dask", "dask") from error
    chunks = da.core.normalize_chunks((WINDOW_SIDE, WINDOW_SIDE), shape)
    layers = (chunks, dtype, 0), (chunks, np.dtype(bool), 1)
    values, mask = (
        da.map_blocks(
            _window_of, path=path, part=part,
            chunks=(*sides, (n_bands,)) if part == 0 and n_bands > 1 else sides, dtype=kind,
        )
        for sides, kind, part in layers
    )  # fmt: skip
    return ImageFile(values, mask, profile)


def _window_of(path: Path, part: int, block_info: Any = None) -> NDArray[Any]:
    """The values (part 0) or the mask (part 1) of a window, for Dask."""
    rows, columns = (slice(*sides) for sides in block_info[None]["array-location"][:2])
    return read_window(path, rows, columns)[part]


def read_window(path: Path, rows: slice, columns: slice) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read some rows and columns of a raster, and where they have values in all bands."""
    with _named_when_damaged(path), _opened(path) as raster:
        window, bands = (rows, columns), _feature_bands(raster)
        values = raster.read(bands, window=window)
        if alpha := sorted({*raster.indexes} - {*bands}):
            # GDAL's masks are of the alpha band or of nodata, and warn where there are both.
            mask = (raster.read(alpha, window=window) > 0).all(axis=0)
            for band, layer in zip(bands, values, strict=True):
                nodata = raster.nodatavals[band - 1]
                mask &= True if nodata is None else layer != nodata  # nan is left out below
        else:
            mask = (raster.read_masks(bands, window=window) > 0).all(axis=0)
    if values.dtype.kind == "f":
        mask &= np.isfinite(values).all(axis=0)
    return (values[0] if len(values) == 1 else np.moveaxis(values, 0, -1)), mask


def _feature_bands(raster: Any) -> list[int]:
    """The numbers of the bands that are no alpha, or of all where there is no other."""
    kinds = zip(raster.indexes, raster.colorinterp, strict=True)
    bands = [band for band, kind in kinds if kind.name != "alpha"]
    return bands or list(raster.indexes)


@contextmanager
def _named_when_damaged(path: Path) -> Iterator[None]:
    """Name the raster that cannot be read; an OSError would be taken for one of the output."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"{path} cannot be read, or is damaged: {error}") from error


@contextmanager
def _opened(path: Path, *args: Any, **layout: Any) -> Iterator[Any]:
    """Open a raster without the warning that it has no georeference.

    Filters of warnings are the process's: threads of Dask change them one at a time, and shortly.
    """
    rasterio = require_rasterio("a raster")
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        raster = rasterio.open(path, *args, **layout)
    with raster:
        yield raster


def write_labels_image(
    part: Path, form: str, labels: Any, profile: dict[str, Any] | None, note: Any
) -> None:
    """Write labels; ``note(rows, columns, labels)`` is called for each window that is written.

    tif: whole numbers of 32 bits, with the georeference where there is one. png: of 16 bits. npy.
    """
    if form in RASTERS and _rasterio() is not None:
        _write_raster(part, labels, profile or {}, note)
        return
    labels = np.asarray(labels)
    note(slice(0, labels.shape[0]), slice(0, labels.shape[1]), labels)
    if form == ".npy":
        with part.open("wb") as file:
            write_npy(file, [labels])
    elif form == ".png":
        if labels.max() > 65535:
            raise ValueError(
                f"a png file holds at most 65,535 labels, got {labels.max():,}; name a tif or npy "
                "file, or give a larger --min-size"
            )
        _pillow().fromarray(labels.astype(np.uint16)).save(part, format="PNG")
    else:
        _pillow().fromarray(labels).save(part, format="TIFF")


def _write_raster(part: Path, labels: Any, profile: dict[str, Any], note: Any) -> None:
    """Write labels as a raster, window by window where they are of Dask."""
    layout = {"driver": "GTiff", "count": 1, "dtype": "int32", "nodata": 0, "compress": "deflate"}
    size = {"height": labels.shape[0], "width": labels.shape[1], "BIGTIFF": "IF_SAFER"}
    with _opened(part, "w", **layout, **size, **profile) as raster:
        target = _RasterTarget(raster, note)
        if isinstance(labels, np.ndarray):
            target[: labels.shape[0], : labels.shape[1]] = labels
        else:
            import dask.array as da

            da.store(labels, target, lock=True)
    # What GDAL writes last it does not check: on a full disk the file may end too early.
    with _full_disk_named(), _opened(part) as raster:
        for _, window in raster.block_windows(1):
            raster.read(1, window=window)


@contextmanager
def _full_disk_named() -> Iterator[None]:
    """Name the likely reason of an error of GDAL's, which prints its own."""
    try:
        yield
    except require_rasterio("a raster").errors.RasterioIOError as error:
        raise OSError("it was not written whole; is the disk full?") from error


class _RasterTarget:
    """The raster that Dask stores windows in."""

    def __init__(self, raster: Any, note: Any) -> None:
        self._raster, self._note = raster, note

    def __setitem__(self, window: tuple[slice, slice], labels: NDArray[np.int32]) -> None:
        rows, columns = (slice(side.start or 0, side.stop) for side in window)
        with _full_disk_named():
            self._raster.write(labels, 1, window=(rows, columns))
        self._note(rows, columns, labels)


def require_boundaries() -> Any:
    """Import the function that draws boundaries, or name the command that installs it."""
    try:
        from skimage.segmentation import mark_boundaries
    except ImportError as error:
        raise not_installed("--boundaries needs scikit-image", "image") from error
    _pillow()
    return mark_boundaries


def write_boundaries(part: Path, values: NDArray[Any], labels: NDArray[Any]) -> None:
    """Draw the outlines of the regions over the image, in a png file."""
    mark_boundaries = require_boundaries()
    shown = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    if shown.ndim == 3:
        shown = shown[..., :3] if shown.shape[2] >= 3 else shown[..., 0]
    if values.dtype == np.uint8:
        shown = shown / 255.0
    else:
        least, most = np.percentile(shown, (1, 99))
        shown = ((shown - least) / max(most - least, 1e-300)).clip(0.0, 1.0)
    drawn = mark_boundaries(shown, labels, color=(1, 1, 0), mode="inner")
    _pillow().fromarray((255 * drawn).round().astype(np.uint8)).save(part, format="PNG")
