"""The demo: the pipeline on a small table, stage by stage, then a photograph.

The photograph's colours are clustered, and it is segmented by place and colour.

What it prints is ASCII, at most 80 columns wide unless a path is longer, and each line is printed
at once.
"""

import importlib
import math
import time
from argparse import Namespace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import meanshift_fast
from meanshift_fast._cli.demo_picture import Palette, Panel, draw, outlined, require_matplotlib
from meanshift_fast._cli.output import print_line
from meanshift_fast._files.atomic import check_target
from meanshift_fast._input.messages import counted, quoted
from meanshift_fast.datasets import china_pixels, demo_table
from meanshift_fast.image import mean_shift_filter, mean_shift_segment
from meanshift_fast.warmup import cache_folders, compiled_count

_Floats = npt.NDArray[np.float64]

# In units of colour, 0 to 255: the radius at which the benchmarks compare this photograph with
# other packages, and wide enough to join the shades of one surface.
PHOTOGRAPH_BANDWIDTH = 25.0
# The window of the filter, in pixels and in units of colour, and the pixels of a segment.
SPATIAL_RADIUS, RANGE_RADIUS, MIN_SIZE = 8, 16, 200

_BAR_WIDTH = 24


def run(arguments: Namespace) -> None:
    """Print all stages on the table, then cluster and segment the photograph and draw it as PNG.

    With ``--compare`` scikit-learn runs on the same pixels too, which takes about half a minute,
    and OpenCV's filter where it is installed. An ImportError names a missing package after the
    table and before the photograph.
    """
    folder = arguments.output.parent
    if not folder.is_dir():
        raise NotADirectoryError(
            f"the picture's folder must exist, got {quoted(str(folder))}; "
            "create it or choose another --output"
        )
    check_target(arguments.output)
    print_line(
        f"meanshift_fast {meanshift_fast.__version__}: a table of 300 rows, then a photograph"
    )
    print_line()
    warm_up()
    print_line()
    show_table(demo_table(), arguments.n_jobs)
    print_line()
    show_photograph(arguments.output, arguments.compare, arguments.n_jobs)


def warm_up() -> None:
    """Compile or load the kernels, and print in one line how long that took.

    The first half of the line is printed before, from what the cache folder holds. The second half
    has what was compiled: the files may be of an older version.
    """
    is_cached = any(any(folder.glob("*.nbi")) for folder in cache_folders())
    print_line("Loading kernels ..." if is_cached else "Compiling kernels ...", end="")
    n_before = compiled_count()
    began = time.perf_counter()
    meanshift_fast.warm_up()
    seconds = time.perf_counter() - began
    if n_compiled := compiled_count() - n_before:
        later = "; later runs load them from the cache" if cache_folders() else ""
        print_line(f" {n_compiled} compiled in {seconds:.1f} s{later}.")
    else:
        print_line(f" ready in {seconds:.2f} s, nothing to compile.")


def show_table(X: _Floats, n_jobs: int | None) -> None:
    """Cluster a small table with two columns and print each stage, with its shapes."""
    model = meanshift_fast.MeanShift(n_jobs=n_jobs).fit(X)
    centers, labels, history = model.cluster_centers_, model.labels_, model.history_
    # The row farthest from its centre has the longest trajectory.
    row = int(np.argmax(np.linalg.norm(X - centers[labels], axis=1)))
    traced = meanshift_fast.trace(X, X[row], bandwidth=float(model.bandwidth_))
    positions, support = traced.positions[0], traced.support[0]

    print_line(f"1. Input: X {X.shape}")
    for first in range(3):
        print_line(f"   row {first}: {_point(X[first])}")
    print_line("   ...")
    print_line()
    print_line(f"2. Bandwidth: X {X.shape} -> a number")
    print_line(
        f"   estimate_bandwidth(X) = {model.bandwidth_:.3f}, the radius of every neighbourhood"
    )
    print_line()
    print_line(f"3. Iteration: seeds {X.shape} -> the means of their neighbours {X.shape}")
    print_line(f"   every row is a seed; row {row} has {support[0]:.0f} neighbours, and its")
    print_line(f"   {_point(positions[0])} shifts to {_point(positions[1])}")
    print_line()
    print_line(f"4. Convergence, the training trace: {len(X)} seeds -> {len(history)} rounds")
    print_line("   round  moving  mean shift  largest shift  converged  moving as stars")
    for step in history:
        stars = "*" * math.ceil(_BAR_WIDTH * step["n_active"] / len(X))
        print_line(
            f"   {step['round']:5d}  {step['n_active']:6d}  {step['mean_shift']:10.4f}  "
            f"{step['max_shift']:13.4f}  {step['n_converged']:9d}  {stars}"
        )
    print_line()
    print_line(f"5. Clusters: centres {centers.shape}, labels {labels.shape}")
    for label, size in enumerate(np.bincount(labels, minlength=len(centers))):
        print_line(f"   cluster {label}: {size:3d} rows about {_point(centers[label])}")
    print_line()
    print_line(f"6. Prediction trace of row {row}: positions {positions.shape}")
    for line in str(traced).splitlines():
        print_line(f"   {line}")
    print_line(f"   The nearest centre is that of cluster {labels[row]}: the row's label.")


def show_photograph(output: Path, compare: bool, n_jobs: int | None) -> None:
    """Cluster the colours of the photograph, segment it, draw both, perhaps compare."""
    require_matplotlib()
    pixels, shape = china_pixels()
    photograph = _as_colours(pixels).reshape(shape)
    print_line(f"7. Real input: china.jpg, {shape[1]} x {shape[0]} pixels -> X {pixels.shape}")
    model, seconds = _cluster_colours(pixels, compare, n_jobs)
    print_line()
    labels, filtered, filter_seconds = _segment(photograph, compare, n_jobs)
    counts = np.bincount(model.labels_, minlength=len(model.cluster_centers_))
    palette = Palette(_as_colours(model.cluster_centers_), counts / counts.sum())
    panels = [
        _panel(photograph, "The photograph"),
        Panel(
            outlined(photograph, labels),
            counted(labels.max(), "segment"),
            "touching pixels whose trajectories end together, in their mean colour",
        ),
        Panel(
            palette.colours[model.labels_].reshape(shape),
            f"The same in {counted(len(palette.colours), 'colour')}",
            "mean shift found them, each pixel took the nearest",
        ),
    ]
    others = _filtered_by_opencv(photograph) if compare else None
    if others is not None:
        panels += [
            _panel(_as_colours(filtered), "Filtered by meanshift_fast"),
            _panel(others.filtered, "Filtered by OpenCV"),
        ]
    draw(panels, palette, output)
    print_line(f"   picture    {output}")
    if compare:
        print_line()
        _show_comparison(pixels, model, seconds)
        print_line()
        _show_filters(filtered, filter_seconds, others)


def _cluster_colours(
    pixels: _Floats, compare: bool, n_jobs: int | None
) -> tuple[meanshift_fast.MeanShift, float]:
    """Cluster the pixels by colour, and print what was found; the model and its seconds."""
    model = meanshift_fast.MeanShift(
        bandwidth=PHOTOGRAPH_BANDWIDTH, bin_seeding=True, n_jobs=n_jobs
    )
    if compare:
        model.fit(pixels)  # kernels load and memory comes at the first fit of a process
    _, seconds = _timed(model.fit, pixels)
    print_line(f"   rows       {len(pixels):,}")
    print_line(f"   bandwidth  {PHOTOGRAPH_BANDWIDTH:g}; red, green and blue go from 0 to 255")
    print_line(f"   clusters   {len(model.cluster_centers_)}")
    print_line(f"   seconds    {seconds:.3f}")
    return model, seconds


def _segment(
    photograph: npt.NDArray[np.uint8], compare: bool, n_jobs: int | None
) -> tuple[Any, Any, float]:
    """Segment the photograph, and print it; labels, filtered image and seconds of the filter."""
    print_line(f"8. Segments: the same pixels by place and colour -> labels {photograph.shape[:2]}")
    how: dict[str, Any] = {
        "spatial_radius": SPATIAL_RADIUS,
        "range_radius": RANGE_RADIUS,
        "convert2lab": False,
        "n_jobs": n_jobs,
        "progress": False,
    }
    _, seconds = _timed(mean_shift_segment, photograph[:16, :16], return_filtered=True, **how)
    print_line(f"   kernels    ready in {seconds:.2f} s")
    (labels, filtered), seconds = _timed(
        mean_shift_segment, photograph, min_size=MIN_SIZE, return_filtered=True, **how
    )
    print_line(f"   radii      {SPATIAL_RADIUS} pixels, {RANGE_RADIUS} of 255")
    print_line(f"   segments   {labels.max()}, of at least {MIN_SIZE} pixels")
    print_line(f"   seconds    {seconds:.3f}")
    if compare:
        _, seconds = _timed(mean_shift_filter, photograph, **how)
    return labels, filtered, seconds


def _panel(image: npt.NDArray[np.uint8], title: str) -> Panel:
    """A panel that says how many colours it has."""
    n_rows, n_columns, _ = image.shape
    n_colours = len(np.unique(image.reshape(-1, 3), axis=0))
    return Panel(image, title, f"{n_rows * n_columns:,} pixels in {n_colours:,} colours")


def _as_colours(values: _Floats) -> npt.NDArray[np.uint8]:
    """The nearest whole numbers from 0 to 255."""
    return values.round().astype(np.uint8)


def _show_comparison(pixels: _Floats, model: meanshift_fast.MeanShift, seconds: float) -> None:
    """Fit scikit-learn on the same pixels, and print times and agreement."""
    import sklearn
    from sklearn.cluster import MeanShift
    from sklearn.metrics import adjusted_rand_score

    print_line("9. scikit-learn on the same pixels with the same settings, some half a minute ...")
    theirs = MeanShift(bandwidth=model.bandwidth, bin_seeding=True, n_jobs=model.n_jobs)
    _, their_seconds = _timed(theirs.fit, pixels)
    _print_times(f"scikit-learn {sklearn.__version__}", their_seconds, seconds)
    agreement = adjusted_rand_score(theirs.labels_, model.labels_)
    print_line(f"   {'ARI of the labels':<22} {agreement:8.6f}")


class _Others(NamedTuple):
    """What OpenCV's filter answers, its seconds and its version."""

    filtered: npt.NDArray[np.uint8]
    seconds: float
    version: str


def _filtered_by_opencv(photograph: npt.NDArray[np.uint8]) -> _Others | None:
    """Filter with OpenCV's window of the same radii for as many rounds; None without OpenCV."""
    try:
        opencv: Any = importlib.import_module("cv2")
    except ImportError:
        return None
    kinds = opencv.TERM_CRITERIA_COUNT + opencv.TERM_CRITERIA_EPS
    filtered, seconds = _timed(
        opencv.pyrMeanShiftFiltering, photograph, SPATIAL_RADIUS, RANGE_RADIUS, maxLevel=0,
        termcrit=(kinds, 100, 1e-3),
    )  # fmt: skip
    return _Others(filtered, seconds, opencv.__version__)


def _show_filters(filtered: _Floats, seconds: float, others: _Others | None) -> None:
    """Print the times of both filters, and how far apart their colours are."""
    print_line("10. The filter, and OpenCV's with the same radii and 100 rounds")
    if others is None:
        print_line("   OpenCV is not installed; pip install opencv-python-headless")
        return
    _print_times(f"OpenCV {others.version}", others.seconds, seconds)
    apart = np.median(np.abs(filtered - others.filtered))
    print_line(f"   {'median difference':<22} {apart:8.2f} of 255; OpenCV rounds each step")


def _print_times(name: str, their_seconds: float, seconds: float) -> None:
    """Print two times and their ratio."""
    print_line(f"   {name:<22} {their_seconds:8.3f} s")
    print_line(f"   {'meanshift_fast ' + meanshift_fast.__version__:<22} {seconds:8.3f} s")
    print_line(f"   {'ratio, one run of each':<22} {their_seconds / seconds:8.1f} x")


def _timed(function: Any, *arguments: Any, **how: Any) -> tuple[Any, float]:
    """Call a function; its answer, and the seconds that it took."""
    began = time.perf_counter()
    answer = function(*arguments, **how)
    return answer, time.perf_counter() - began


def _point(row: _Floats) -> str:
    """A row in brackets, with two decimals."""
    return f"[{', '.join(f'{value:.2f}' for value in row)}]"
