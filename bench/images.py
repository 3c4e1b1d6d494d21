"""T17: images against OpenCV and Orfeo, and their memory; `python -m bench.images`.

OpenCV's `pyrMeanShiftFiltering` at `maxLevel=0` with 100 rounds: a square window, positions and
colours rounded in each round. The agreement is the median difference of colours. Orfeo's
`MeanShiftSmoothing` (otb-bin of Debian), where it is installed, has the joint window, and its
processor time counts. Wall clock needs a quiet machine. `--large` measures the raster of Dask too;
`python -m bench.report --parts images` puts all into the manual.
"""

import argparse
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.process import figure_of
from meanshift_fast.datasets import china_pixels
from meanshift_fast.image import mean_shift_filter

# What report.py writes to results.json.
Results = dict[str, Any]

WINDOWS = {(8, 16): 1.0, (16, 32): 3.0, (32, 32): 8.0}  # and the ratio that T17 wants
LARGE_SIDE = 4  # photographs along each axis: 4,372,480 pixels
MEMORY_SIDE = 6  # 9,838,080 pixels, so that the 5 MB of threads and memos count little
RASTER_PIXELS = 10_000  # along each axis
RASTER_CHUNK = 1024
RASTER_RADII = (3, 16)

# The peak of a process beyond what it holds before the call, with the image: VmHWM since it is set
# to what is held now. Linux alone counts it anew.
_MEMORY = """
import sys
import numpy as np
from bench.images import photographs
from meanshift_fast import image
def kilobytes(name):
    lines = dict(line.split(":") for line in open("/proc/self/status"))
    return int(lines[name].split()[0])
large = photographs(int(sys.argv[2]))
run, how = getattr(image, sys.argv[1]), {"convert2lab": False}
run(large[:40, :40], 3, 16, **how)
open("/proc/self/clear_refs", "w").write("5")
before = kilobytes("VmRSS")
run(large, 3, 16, **how)
print(1024 * (kilobytes("VmHWM") - before) / large[..., 0].size)
"""

# The labels are counted tile by tile, and the peak of the whole process is printed. Most of it are
# the regions before small ones merge, 0.28 a pixel: their sums, their sizes and three numbers.
_RASTER = """
import sys
import dask
from bench.images import RASTER_RADII, raster
from meanshift_fast.image import mean_shift_segment
labels = mean_shift_segment(raster(int(sys.argv[1])), *RASTER_RADII, min_size=50, convert2lab=False)
with dask.config.set(scheduler="threads", num_workers=2):
    assert int(labels.max().compute()) > 1
lines = dict(line.split(":") for line in open("/proc/self/status"))
print(1024 * int(lines["VmHWM"].split()[0]))
"""


def photographs(side: int) -> npt.NDArray[np.uint8]:
    """The photograph beside itself, so many times along each axis, each of another brightness."""
    pixels, shape = china_pixels()
    rows = [
        np.hstack([_brighter(pixels.reshape(shape), side * row + column) for column in range(side)])
        for row in range(side)
    ]
    return np.vstack(rows)


def _brighter(photograph: npt.NDArray[Any], number: int) -> npt.NDArray[np.uint8]:
    """The photograph, brighter by up to 16 or darker; the first as it is."""
    return (photograph + (7 * number) % 33 - 16 * (number > 0)).clip(0, 255).astype(np.uint8)


def raster(n_pixels: int) -> Any:
    """A raster of Dask, photographs made as they are read, with so many pixels along each axis."""
    import dask.array as da

    pixels, shape = china_pixels()
    photograph = pixels.reshape(shape).astype(np.int16)

    def block(block_info: Any = None) -> npt.NDArray[np.uint8]:
        rows, columns = (np.arange(*sides) for sides in block_info[None]["array-location"][:2])
        number = (rows // shape[0])[:, None] * 5 + columns // shape[1]
        values = photograph[(rows % shape[0])[:, None], columns % shape[1]]
        brighter: npt.NDArray[Any] = values + (7 * number % 33 - 16)[..., None]
        return brighter.clip(0, 255).astype(np.uint8)

    sides = da.core.normalize_chunks((RASTER_CHUNK, RASTER_CHUNK), (n_pixels, n_pixels))
    return da.map_blocks(block, chunks=(*sides, (3,)), dtype=np.uint8)


def timed(run: Callable[[], Any], rounds: int) -> tuple[Any, float, float]:
    """What a call answers, and its median wall clock and processor time."""
    walls, processor = [], []
    for _ in range(rounds):
        began, began_processor = time.perf_counter(), time.process_time()
        answer = run()
        walls.append(time.perf_counter() - began)
        processor.append(time.process_time() - began_processor)
    return answer, float(np.median(walls)), float(np.median(processor))


def against_opencv(space: int, band: int, rounds: int) -> Results:
    """Time the filter and OpenCV's on the photograph."""
    import cv2

    photograph = photographs(1)
    criteria = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 100, 1e-3)
    ours, wall, processor = timed(
        partial(mean_shift_filter, photograph, space, band, convert2lab=False), rounds
    )
    theirs, their_wall, their_processor = timed(
        partial(cv2.pyrMeanShiftFiltering, photograph, space, band, maxLevel=0, termcrit=criteria),
        rounds,
    )
    return {
        "seconds": wall,
        "processor_s": processor,
        "opencv_s": their_wall,
        "opencv_processor_s": their_processor,
        "apart": float(np.median(np.abs(ours - theirs))),
    }


def against_orfeo(rounds: int) -> Results:
    """Processor times of the joint window (8, 16), ours and Orfeo's; empty without Orfeo."""
    command = which("otbcli_MeanShiftSmoothing")
    if command is None:
        return {}
    from PIL import Image

    photograph = photographs(1)
    run = partial(mean_shift_filter, photograph, 8, 16, window="joint", convert2lab=False)
    _, _, processor = timed(run, rounds)
    with tempfile.TemporaryDirectory() as folder:
        given, wanted = Path(folder, "photograph.tif"), Path(folder, "filtered.tif")
        Image.fromarray(photograph).save(given)
        arguments = ["-in", given, "-fout", wanted, "-spatialr", "8", "-ranger", "16"]
        arguments += ["-maxiter", "100", "-thres", "0.001", "-modesearch", "0"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([command, *map(str, arguments)], check=True, capture_output=True, cwd=folder)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    theirs = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"processor_s": processor, "orfeo_processor_s": theirs}


def at_large(rounds: int, side: int = LARGE_SIDE) -> Results:
    """Times of many photographs and of one at (8, 16)."""
    once, many = photographs(1), photographs(side)
    once_s, many_s = (
        timed(partial(mean_shift_filter, pixels, 8, 16, convert2lab=False), rounds)[1]
        for pixels in (once, many)
    )
    return {"pixels": many[..., 0].size, "once_s": once_s, "seconds": many_s}


def memory(side: int = MEMORY_SIDE) -> Results:
    """Bytes a pixel beside the image in memory, at most, of both functions."""
    return {
        name: figure_of(_MEMORY, name, str(side))
        for name in ("mean_shift_filter", "mean_shift_segment")
    }


def large_raster(n_pixels: int = RASTER_PIXELS) -> Results:
    """Segment a raster of Dask in a process of its own: pixels, seconds, peak of the process."""
    began = time.perf_counter()
    peak = figure_of(_RASTER, str(n_pixels))
    return {"pixels": n_pixels**2, "seconds": time.perf_counter() - began, "peak_bytes": peak}


def measure(quick: bool, *, rounds: int = 3, raster_pixels: int = 0) -> Results:
    """Measure all, without the raster of Dask if it has no pixels; quick: one window, few."""
    rounds, side = (1, 2) if quick else (rounds, LARGE_SIDE)
    mean_shift_filter(photographs(1)[:40, :40], 8, 16, convert2lab=False)  # compiles
    return {
        "windows": {
            f"{space}, {band}": against_opencv(space, band, rounds)
            for space, band in list(WINDOWS)[: 1 if quick else None]
        },
        "orfeo": {} if quick else against_orfeo(rounds),
        "large": at_large(rounds, side),
        "memory": memory(2 if quick else MEMORY_SIDE),
        "raster": large_raster(min(raster_pixels, 1000 if quick else raster_pixels))
        if raster_pixels
        else {},
    }


def tables(results: Results) -> Iterator[str]:
    """Write the lines of the manual's part."""
    yield "| photograph, 273,280 pixels, window | meanshift_fast | OpenCV | median difference |"
    yield "| --- | ---: | ---: | ---: |"
    for window, found in results["windows"].items():
        ratio = found["opencv_s"] / found["seconds"]
        yield (
            f"| ({window}) | {found['seconds']:.2f} s | {found['opencv_s']:.2f} s ({ratio:.2f} x) "
            f"| {found['apart']:.2f} of 255 |"
        )
    yield ""
    yield "| | |"
    yield "| --- | ---: |"
    if orfeo := results["orfeo"]:
        ratio = orfeo["orfeo_processor_s"] / orfeo["processor_s"]
        yield (
            f"| joint window (8, 16), processor time, and Orfeo's | {orfeo['processor_s']:.2f} s, "
            f"{orfeo['orfeo_processor_s']:.1f} s ({ratio:.1f} x) |"
        )
    large = results["large"]
    yield (
        f"| {large['pixels']:,} pixels at (8, 16) | {large['seconds']:.1f} s, "
        f"{large['seconds'] / large['once_s']:.1f} x the photograph |"
    )
    for name, bytes_a_pixel in results["memory"].items():
        yield (f"| memory of `{name}` beside a large image | {bytes_a_pixel:.1f} bytes a pixel |")
    if found := results["raster"]:
        yield (
            f"| a raster of {found['pixels']:,} pixels, 3 bands, segmented at {RASTER_RADII} "
            f"through Dask: peak memory of the process | {found['peak_bytes'] / 1e6:,.0f} MB, "
            f"{found['seconds']:.0f} s |"
        )


def lines(results: Results) -> Iterator[str]:
    """Say each figure beside what is wanted of it."""
    for (window, found), wanted in zip(results["windows"].items(), WINDOWS.values(), strict=False):
        yield (
            f"({window}): {found['seconds']:.2f} s (processor {found['processor_s']:.2f}), OpenCV "
            f"{found['opencv_s']:.2f} s ({found['opencv_processor_s']:.2f}): "
            f"{found['opencv_s'] / found['seconds']:.2f} x, wanted {wanted:g}; colours differ by "
            f"{found['apart']:.2f} in the median"
        )
    yield from (line for line in tables(results | {"windows": {}}) if line.startswith("| "))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.images", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one window, few pixels")
    parser.add_argument(
        "--large", type=int, nargs="?", const=RASTER_PIXELS, default=0, metavar="N",
        help="the raster of Dask too, N x N pixels (default: %(const)s)",
    )  # fmt: skip
    chosen = parser.parse_args(arguments)
    found = measure(chosen.quick, rounds=chosen.rounds, raster_pixels=chosen.large)
    print("\n".join(lines(found)))


if __name__ == "__main__":
    main()
