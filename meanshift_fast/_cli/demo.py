"""The demo: the pipeline on a small table, stage by stage, then the colours of a photograph.

What it prints is ASCII, at most 80 columns wide unless a path is longer, and each line is printed
at once.
"""

import importlib.util
import math
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import meanshift_fast
from meanshift_fast._cli.commands import print_line
from meanshift_fast._files.atomic import check_target, write_whole
from meanshift_fast._input.messages import quoted
from meanshift_fast.datasets import china_pixels, demo_table
from meanshift_fast.warmup import cache_folders, compiled_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Floats = npt.NDArray[np.float64]
_Labels = npt.NDArray[np.int64]

# In units of colour, 0 to 255: the radius at which the benchmarks compare this photograph with
# other packages, and wide enough to join the shades of one surface.
PHOTOGRAPH_BANDWIDTH = 25.0

_BAR_WIDTH = 24
_TITLE: dict[str, Any] = {"size": 17, "weight": "bold", "color": "#1a1a1a", "family": "DejaVu Sans"}
_NOTE: dict[str, Any] = {"size": 12, "color": "#5f5f5f", "family": "DejaVu Sans"}


def run(output: Path, *, compare: bool = False, n_jobs: int | None = None) -> None:
    """Print all stages on the table, then cluster the photograph and draw it into a PNG file.

    With ``compare`` scikit-learn runs on the same pixels too, which takes about half a minute. An
    ImportError names a missing package after the table and before the photograph.
    """
    if not output.parent.is_dir():
        raise NotADirectoryError(
            f"the picture's folder must exist, got {quoted(str(output.parent))}; "
            "create it or choose another --output"
        )
    check_target(output)
    print_line(
        f"meanshift_fast {meanshift_fast.__version__}: a table of 300 rows, then a photograph"
    )
    print_line()
    warm_up()
    print_line()
    show_table(demo_table(), n_jobs)
    print_line()
    show_photograph(output, compare, n_jobs)


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
    """Cluster the pixels of the photograph by colour, draw the result, perhaps compare."""
    _require_matplotlib()
    pixels, shape = china_pixels()
    print_line(f"7. Real input: china.jpg, {shape[1]} x {shape[0]} pixels -> X {pixels.shape}")
    settings: dict[str, Any] = {
        "bandwidth": PHOTOGRAPH_BANDWIDTH,
        "bin_seeding": True,
        "n_jobs": n_jobs,
    }
    model = meanshift_fast.MeanShift(**settings)
    if compare:
        model.fit(pixels)  # kernels load and memory comes at the first fit of a process
    seconds = _fit_seconds(model, pixels)
    print_line(f"   rows       {len(pixels):,}")
    print_line(f"   bandwidth  {PHOTOGRAPH_BANDWIDTH:g}; red, green and blue go from 0 to 255")
    print_line(f"   clusters   {len(model.cluster_centers_)}")
    print_line(f"   seconds    {seconds:.3f}")
    draw(pixels.reshape(shape), model.labels_, model.cluster_centers_, output)
    print_line(f"   picture    {output}")
    if compare:
        print_line()
        _show_comparison(pixels, model.labels_, seconds, settings)


def _show_comparison(
    pixels: _Floats, labels: _Labels, seconds: float, settings: dict[str, Any]
) -> None:
    """Fit scikit-learn on the same pixels, and print times and agreement."""
    import sklearn
    from sklearn.cluster import MeanShift
    from sklearn.metrics import adjusted_rand_score

    print_line("8. scikit-learn on the same pixels with the same settings, some half a minute ...")
    theirs = MeanShift(**settings)
    their_seconds = _fit_seconds(theirs, pixels)
    print_line(f"   {'scikit-learn ' + sklearn.__version__:<22} {their_seconds:8.3f} s")
    print_line(f"   {'meanshift_fast ' + meanshift_fast.__version__:<22} {seconds:8.3f} s")
    print_line(f"   {'ratio, one run of each':<22} {their_seconds / seconds:8.0f} x")
    print_line(f"   {'ARI of the labels':<22} {adjusted_rand_score(theirs.labels_, labels):8.6f}")


def _fit_seconds(model: Any, X: _Floats) -> float:
    """Fit a model; the seconds that it took."""
    began = time.perf_counter()
    model.fit(X)
    return time.perf_counter() - began


def draw(photograph: _Floats, labels: _Labels, centers: _Floats, output: Path) -> None:
    """Draw a photograph, its clustered version and the palette into a PNG file.

    The photograph has shape (height, width, 3) and colours from 0 to 255, the labels one entry for
    each pixel, row by row. Without pyplot, the caller's backend and figures stay as they are.
    """
    _require_matplotlib()
    from matplotlib.figure import Figure

    n_rows, n_columns, _ = photograph.shape
    before = photograph.round().astype(np.uint8)
    after = centers.round().astype(np.uint8)[labels].reshape(before.shape)
    n_before = len(np.unique(before.reshape(-1, 3), axis=0))
    n_after = f"{len(centers)} colour{'s' if len(centers) > 1 else ''}"

    # All in inches: two panels beside each other, a title above each, the palette below. At 200
    # dots an inch, a panel shows each of the demo's pixels as a square of 2 x 2 dots.
    side, margin, bottom = 6.4, 0.4, 2.5
    height = side * n_rows / n_columns
    full_width, full_height = 2 * side + 3 * margin, bottom + height + 1.0
    figure = Figure(figsize=(full_width, full_height), dpi=200, facecolor="white")

    def axes_at(x: float, y: float, width: float, height: float) -> "Axes":
        """Add axes, in inches."""
        box = (x / full_width, y / full_height, width / full_width, height / full_height)
        axes = figure.add_axes(box)
        axes.set_axis_off()
        return axes

    def head(x: float, y: float, title: str, note: str) -> None:
        """Write a title and a note, in inches."""
        figure.text(x / full_width, (y + 0.42) / full_height, title, **_TITLE)
        figure.text(x / full_width, (y + 0.15) / full_height, note, **_NOTE)

    right = margin + side + margin
    axes_at(margin, bottom, side, height).imshow(before, aspect="auto", interpolation="nearest")
    axes_at(right, bottom, side, height).imshow(after, aspect="auto", interpolation="nearest")
    n_pixels = f"{n_rows * n_columns:,} pixels in {n_before:,} colours"
    head(margin, bottom + height, "The photograph", n_pixels)
    head(
        right,
        bottom + height,
        f"The same in {n_after}",
        "mean shift found them, each pixel took the nearest",
    )
    head(margin, 1.45, "The palette", "each colour as wide as its share of the pixels")
    shares = np.bincount(labels, minlength=len(centers)) / len(labels)
    _draw_palette(axes_at(margin, 0.7, full_width - 2 * margin, 0.75), shares, centers)

    write_whole({output: partial(figure.savefig, format="png")})


def _draw_palette(axes: "Axes", shares: _Floats, centers: _Floats) -> None:
    """Fill the axes with a swatch for each cluster, the largest share first."""
    axes.set(xlim=(0, 1), ylim=(0, 1))
    order = np.argsort(-shares, kind="stable")
    for left, label in zip(np.cumsum(shares[order]) - shares[order], order, strict=True):
        share, colour = shares[label], centers[label].round().astype(int)
        code = "#{:02x}{:02x}{:02x}".format(*colour)
        axes.bar(left, 1, share, align="edge", color=code, edgecolor="#5f5f5f", linewidth=0.6)
        # A narrower swatch has no room for its label.
        if share < 0.06:
            continue
        # Rec. 709 luma, the perceived brightness.
        ink = "white" if colour @ (0.2126, 0.7152, 0.0722) < 128 else "#1a1a1a"
        middle = left + share / 2
        style: dict[str, Any] = {"ha": "center", "va": "center"}
        axes.text(middle, 0.5, f"{share:.0%}", **{**_TITLE, **style, "color": ink, "size": 15})
        axes.text(middle, -0.25, code, **_NOTE, **style)


def _require_matplotlib() -> None:
    """Raise the error that names how matplotlib is installed, where it is not."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ImportError(
            "drawing the picture needs matplotlib, which is not installed; "
            'install it with: pip install "meanshift_fast[demo]"'
        )


def _point(row: _Floats) -> str:
    """A row in brackets, with two decimals."""
    return f"[{', '.join(f'{value:.2f}' for value in row)}]"
