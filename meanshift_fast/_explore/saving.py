"""Labels, centres or the model of an answer, written as `cluster` writes them."""

from pathlib import Path

import numpy as np

from meanshift_fast._explore.rows import ExploredRows
from meanshift_fast._files.atomic import check_target, write_whole
from meanshift_fast._files.formats import FORMATS, UNNAMED
from meanshift_fast._files.writers import spread_labels, write_centers, write_labels
from meanshift_fast._input.messages import counted, quoted
from meanshift_fast.estimator import MeanShift
from meanshift_fast.models import write_model


def save(what: str, path: Path, model: MeanShift, rows: ExploredRows) -> str:
    """Write "labels", "centres" or the "model" of a fit to rows; what was written, in words.

    Whole or not at all; what is there is replaced. Labels and centres are npy, csv or parquet. A
    name that ends in no format, or is that of the rows' file, is a ValueError; a file that cannot
    be written an OSError.
    """
    form = path.suffix.lower()
    if what != "model" and form not in FORMATS:
        raise ValueError(
            f"the name chooses the format, got {quoted(str(path))}; it must end in "
            f"{', '.join(FORMATS)}"
        )
    if rows.source is not None and path.exists() and path.samefile(rows.source.path):
        raise ValueError(f"{path} is what the rows were read from; choose another name")
    check_target(path)
    write = {"labels": _write_labels, "centres": _write_centres, "model": _write_model}[what]
    write_whole({path: lambda part: write(part, form, model, rows)})
    n_modes = counted(len(model.cluster_centers_), "centre")
    done = {
        "labels": counted(len(model.labels_), "label"),
        "centres": n_modes,
        "model": "the model",
    }
    return f"{done[what]} written to {path}"


def _write_labels(part: Path, form: str, model: MeanShift, rows: ExploredRows) -> None:
    labels, kept, source = model.labels_, None, rows.source and rows.source.path
    if rows.batch is not None:
        labels = spread_labels(labels, rows.batch.missing, form not in UNNAMED)
        kept = None if form in UNNAMED else rows.batch.kept
    write_labels(part, form, [(labels, kept)], source)


def _write_centres(part: Path, form: str, model: MeanShift, rows: ExploredRows) -> None:
    centers = model.cluster_centers_
    if rows.source is not None and rows.source.in_degrees:
        centers = np.degrees(centers)
    write_centers(part, form, centers, rows.names)


def _write_model(part: Path, form: str, model: MeanShift, rows: ExploredRows) -> None:
    write_model(model, part)
