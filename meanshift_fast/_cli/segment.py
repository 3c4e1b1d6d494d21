"""`segment`: an image -> labels, and on demand its outlines and a table of its regions."""

import time
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cli.commands import print_answer
from meanshift_fast._files.atomic import check_target, write_whole
from meanshift_fast._files.images import (
    ImageFile,
    open_image,
    require_boundaries,
    require_rasterio,
    write_boundaries,
    write_labels_image,
)
from meanshift_fast._files.regions import RegionSums, write_regions
from meanshift_fast._files.tables import import_pyarrow
from meanshift_fast._input.messages import counted
from meanshift_fast.image import mean_shift_segment


def segment(arguments: Namespace) -> None:
    """Segment an image, and write its files, all or none."""
    _check_outputs(arguments)
    began = time.perf_counter()
    image = open_image(arguments.input)
    labels = mean_shift_segment(
        image.values,
        mask=image.mask,
        channel_axis=image.channel_axis,
        progress=False if arguments.json else "auto",
        **{name: getattr(arguments, name) for name in arguments.parameters},
    )
    if arguments.boundaries or _form_of_regions(arguments) == ".geojson":
        labels = np.asarray(labels)  # outlines need the whole image
    n_bands = 1 if image.channel_axis is None else image.values.shape[-1]
    found = _Found(image, RegionSums(n_bands) if arguments.regions else None)
    write_whole(_writers(arguments, image, labels, found))
    seconds = time.perf_counter() - began
    n_rows, n_columns = labels.shape
    facts = {
        "rows": n_rows,
        "columns": n_columns,
        "bands": n_bands,
        "masked": found.n_masked,
        "regions": found.n_regions,
        "seconds": round(seconds, 6),
    }
    for name in ("output", "boundaries", "regions"):
        if path := getattr(arguments, name):
            facts[f"{name}_file"] = str(path)
    masked = f", {found.n_masked:,} masked" if found.n_masked else ""
    print_answer(
        arguments,
        facts,
        f"{n_rows:,} x {n_columns:,} pixels, {counted(n_bands, 'band')}{masked}: "
        f"{counted(found.n_regions, 'region')}; {seconds:.2f} s; labels in {arguments.output}",
    )


def _check_outputs(arguments: Namespace) -> None:
    """Check before the work that the files can be written, and what writes them is installed."""
    for target in filter(None, [arguments.output, arguments.boundaries, arguments.regions]):
        check_target(target)
    if arguments.boundaries:
        require_boundaries()
    if _form_of_regions(arguments) == ".geojson":
        require_rasterio("GeoJSON")
    elif arguments.regions:
        import_pyarrow()


def _form_of_regions(arguments: Namespace) -> str:
    """The suffix of the table of regions; empty where there is none."""
    return arguments.regions.suffix.lower() if arguments.regions else ""


class _Found:
    """Counts and sums of regions, taken while labels are written."""

    def __init__(self, image: ImageFile, sums: RegionSums | None) -> None:
        self._image, self.sums = image, sums
        self.n_regions = self.n_masked = 0

    def note(self, rows: slice, columns: slice, labels: NDArray[np.int32]) -> None:
        """Count a window."""
        self.n_regions = max(self.n_regions, int(labels.max()))
        self.n_masked += int(np.count_nonzero(labels == 0))
        if self.sums is not None:
            values = self._image.values[rows, columns]
            if not isinstance(values, np.ndarray):
                values = values.compute(scheduler="synchronous")
            self.sums.add(rows, columns, labels, values)


def _writers(
    arguments: Namespace, image: ImageFile, labels: Any, found: _Found
) -> dict[Path, Callable[[Path], None]]:
    """The writer of each file; that of the labels first, as it counts the regions."""
    form = arguments.output.suffix.lower()
    writers: dict[Path, Callable[[Path], None]] = {
        arguments.output: partial(
            write_labels_image, form=form, labels=labels, profile=image.profile, note=found.note
        )
    }
    if arguments.boundaries:
        values = np.asarray(image.values)
        writers[arguments.boundaries] = partial(write_boundaries, values=values, labels=labels)
    if arguments.regions:
        assert found.sums is not None
        writers[arguments.regions] = partial(
            write_regions, form=_form_of_regions(arguments), sums=found.sums, labels=labels,
            profile=image.profile,
        )  # fmt: skip
    return writers
