"""The table of an image's regions: size, box, means and standard deviations of the bands."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._files.images import require_rasterio
from meanshift_fast._files.writers import write_table

REGION_TABLES = (".csv", ".parquet", ".geojson")


class RegionSums:
    """Sums over the regions of an image, window by window.

    Squares are summed around the first value of each region, which loses no digits of bands far
    from 0.
    """

    def __init__(self, n_bands: int) -> None:
        self._sums = np.zeros((0, 2, n_bands))
        self._around = np.full((0, n_bands), np.nan)
        self._sizes = np.zeros(0, dtype=np.int64)
        self._boxes = np.zeros((0, 4), dtype=np.int64)

    def add(
        self, rows: slice, columns: slice, labels: NDArray[np.int32], values: NDArray[Any]
    ) -> None:
        """Add a window: where it lies, labels, and values of shape (n_rows, n_columns, ...)."""
        here = np.flatnonzero(labels)
        if not here.size:
            return
        regions = labels.ravel()[here].astype(np.int64) - 1
        bands = values.reshape(labels.size, -1)[here].astype(np.float64)
        self._grow(int(regions.max()) + 1)
        new, first = np.unique(regions, return_index=True)
        unknown = self._sizes[new] == 0
        self._around[new[unknown]] = bands[first[unknown]]
        n_regions = len(self._sizes)
        self._sizes += np.bincount(regions, minlength=n_regions)
        for band in range(bands.shape[1]):
            away = bands[:, band] - self._around[regions, band]
            for power in (1, 2):
                total = np.bincount(regions, away**power, n_regions)
                self._sums[:, power - 1, band] += total
        y, x = np.divmod(here, labels.shape[1])
        for axis, pixels in enumerate((y + rows.start, x + columns.start)):
            np.minimum.at(self._boxes[:, axis], regions, pixels)
            np.maximum.at(self._boxes[:, 2 + axis], regions, pixels + 1)

    def _grow(self, n_regions: int) -> None:
        """Make room for the sums of so many regions."""
        more = n_regions - len(self._sizes)
        if more > 0:
            n_bands = self._around.shape[1]
            most = np.iinfo(np.int64).max
            self._sums = np.concatenate([self._sums, np.zeros((more, 2, n_bands))])
            self._around = np.concatenate([self._around, np.zeros((more, n_bands))])
            self._sizes = np.concatenate([self._sizes, np.zeros(more, dtype=np.int64)])
            self._boxes = np.concatenate([self._boxes, np.tile([most, most, 0, 0], (more, 1))])

    def columns(self) -> dict[str, NDArray[Any]]:
        """The table, column by column; boxes are half open, as in scikit-image."""
        sizes = self._sizes[:, None]
        means = self._sums[:, 0] / sizes
        variances = np.maximum(self._sums[:, 1] / sizes - means**2, 0.0)
        columns = {"label": np.arange(1, len(sizes) + 1), "size": self._sizes}
        names = ("row_first", "column_first", "row_stop", "column_stop")
        columns |= dict(zip(names, self._boxes.T, strict=True))
        for band in range(means.shape[1]):
            columns[f"mean_{band + 1}"] = means[:, band] + self._around[:, band]
            columns[f"std_{band + 1}"] = np.sqrt(variances[:, band])
        return columns


def write_regions(
    part: Path, form: str, sums: RegionSums, labels: Any, profile: dict[str, Any] | None
) -> None:
    """Write the table of regions; GeoJSON has their outlines, in the raster's own coordinates."""
    columns = sums.columns()
    if form == ".geojson":
        _write_geojson(part, columns, np.asarray(labels), profile or {})
    else:
        write_table(part, form, columns)


def _write_geojson(
    part: Path, columns: dict[str, NDArray[Any]], labels: NDArray[Any], profile: dict[str, Any]
) -> None:
    """Write the regions as GeoJSON features."""
    require_rasterio("GeoJSON")
    from rasterio.features import shapes
    from rasterio.transform import Affine

    transform = profile.get("transform", Affine.identity())
    outlines: dict[int, list[Any]] = {}
    for outline, label in shapes(labels.astype(np.int32), labels > 0, transform=transform):
        outlines.setdefault(int(label), []).append(outline["coordinates"])
    features = [
        {
            "type": "Feature",
            "properties": {name: column[row].item() for name, column in columns.items()},
            "geometry": {"type": "MultiPolygon", "coordinates": outlines[row + 1]},
        }
        for row in range(len(columns["label"]))
    ]
    whole: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if profile.get("crs"):
        whole["crs"] = {"type": "name", "properties": {"name": profile["crs"].to_string()}}
    part.write_text(json.dumps(whole))
