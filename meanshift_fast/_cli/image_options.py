"""Options of `segment`: the parameters of `mean_shift_segment`, in kebab case."""

import argparse
import inspect
from numbers import Real
from pathlib import Path

from sklearn.utils._param_validation import Interval

from meanshift_fast._cli.arguments import file_of, n_jobs, number, whole
from meanshift_fast._files.images import LABELS
from meanshift_fast._files.regions import REGION_TABLES
from meanshift_fast.image import mean_shift_segment


def add_segment(parser: argparse.ArgumentParser) -> None:
    """Add the files and the parameters."""
    _add_files(parser)
    _add_regions(parser)
    _add_window(parser)
    defaults = inspect.signature(mean_shift_segment).parameters
    names = (
        "min_size", "merge", "min_prominence", "connectivity", "window", "convert2lab", "max_iter",
        "tol",
    )  # fmt: skip
    parser.set_defaults(**{name: defaults[name].default for name in names})
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


def _add_regions(parser: argparse.ArgumentParser) -> None:
    """Add the radii, and which pixels make a region."""
    radius = [Interval(Real, 0, None, closed="neither")]
    parser.add_argument(
        "--spatial-radius", type=number("spatial_radius", radius), required=True, metavar="X",
        help="how far the window reaches in space, in pixels",
    )  # fmt: skip
    parser.add_argument(
        "--range-radius", type=number("range_radius", radius), required=True, metavar="X",
        help="how far it reaches in range, in units of the bands, or of Lab",
    )  # fmt: skip
    parser.add_argument(
        "--min-size", type=whole("min_size", 0), metavar="N",
        help="smaller regions join the nearest that they touch (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--merge", type=number("merge", [Interval(Real, 0, None, closed="left")]), metavar="X",
        help="pixels that end within so many of both radii are near "
        "(default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--min-prominence", metavar="X",
        type=number("min_prominence", [Interval(Real, 0, 1, closed="left")]),
        help="regions less prominent join the one across their highest saddle "
        "(default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--connectivity", type=int, choices=[1, 2],
        help="whether pixels touch at their corners too (default: %(default)s)",
    )  # fmt: skip


def _add_window(parser: argparse.ArgumentParser) -> None:
    """Add the shape of the window, and when a trajectory rests."""
    parser.add_argument(
        "--window", choices=["product", "joint"],
        help="within both radii, or in the ellipsoid of both (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--convert2lab", action=argparse.BooleanOptionalAction,
        help="compare colours in Lab (default: three bands, of 8 bits or of floats from 0 to 1)",
    )  # fmt: skip
    parser.add_argument(
        "--max-iter", type=whole("max_iter", 1), metavar="N",
        help="moves of a trajectory, at most (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--tol", type=number("tol", [Interval(Real, 0, None, closed="left")]), metavar="X",
        help="a trajectory rests after a move of at most so many radii "
        "(default: %(default)s)",
    )  # fmt: skip
