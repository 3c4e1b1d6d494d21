"""Options of `segment`: the parameters of `mean_shift_segment`, in kebab case."""

import argparse
import inspect
from pathlib import Path

from meanshift_fast._cli.arguments import add_parameter, file_of, n_jobs
from meanshift_fast._files.images import LABELS
from meanshift_fast._files.regions import REGION_TABLES
from meanshift_fast.image import mean_shift_segment

_HELP = {
    "spatial_radius": "how far the window reaches in space, in pixels",
    "range_radius": "how far it reaches in range, in units of the bands, or of Lab",
    "min_size": "smaller regions join the nearest that they touch",
    "merge": "pixels that end within so many of both radii are near",
    "min_prominence": "regions less prominent join the one across their highest saddle",
    "window": "within both radii, or in the ellipsoid of both",
    "convert2lab": "compare colours in Lab (default: three bands, of 8 bits or of floats from 0 to "
    "1)",
    "max_iter": "moves of a trajectory, at most",
    "tol": "a trajectory rests after a move of at most so many radii",
}


def add_segment(parser: argparse.ArgumentParser) -> None:
    """Add the files and the parameters, whose names go to the default ``parameters``."""
    _add_files(parser)
    constraints = mean_shift_segment._skl_parameter_constraints  # type: ignore[attr-defined]
    defaults = inspect.signature(mean_shift_segment).parameters
    for name, about in _HELP.items():
        add_parameter(parser, name, constraints[name], defaults[name].default, about)
    parser.add_argument(
        "--connectivity", type=int, choices=[1, 2], default=defaults["connectivity"].default,
        help="whether pixels touch at their corners too (default: %(default)s)",
    )  # fmt: skip
    parser.set_defaults(parameters=[*_HELP, "connectivity", "n_jobs"])
    parser.add_argument("--n-jobs", type=n_jobs, metavar="N", help="threads (default: all)")
    parser.add_argument("--json", action="store_true", help="answer in JSON, on one line")


def _add_files(parser: argparse.ArgumentParser) -> None:
    """Add what is read and what is written."""
    parser.add_argument(
        "input", type=Path, metavar="INPUT", help="a png, jpeg or tiff picture, or a GeoTIFF raster"
    )
    parser.add_argument(
        "-o", "--output", type=file_of(LABELS), required=True, metavar="OUTPUT",
        help="where the labels go: a tif, png or npy file; 0 where the image has no value",
    )  # fmt: skip
    parser.add_argument(
        "--boundaries",
        type=file_of([".png"]),
        metavar="PNG",
        help="draw the outlines over the image",
    )
    parser.add_argument(
        "--regions", type=file_of(REGION_TABLES), metavar="FILE",
        help="a table of the regions: size, box, means and standard deviations of the bands, in "
        "csv, parquet, or GeoJSON with their outlines",
    )  # fmt: skip
