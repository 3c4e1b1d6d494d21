"""T17: the filter of images against OpenCV's on the photograph, `python -m bench.images`.

OpenCV's `pyrMeanShiftFiltering` at `maxLevel=0` with 100 rounds: a square window, positions and
colours rounded in each round. The agreement printed is the median difference of colours. Wall clock
needs a quiet machine; processor time is printed beside it.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from meanshift_fast.datasets import china_pixels
from meanshift_fast.image import mean_shift_filter

WINDOWS = {(8, 16): 1.0, (16, 32): 3.0, (32, 32): 8.0}  # and the ratio that T17 wants


def timed(run: Callable[[], Any], rounds: int) -> tuple[Any, float, float]:
    """What a call answers, and its median wall clock and processor time."""
    walls, processor = [], []
    for _ in range(rounds):
        began, began_processor = time.perf_counter(), time.process_time()
        answer = run()
        walls.append(time.perf_counter() - began)
        processor.append(time.process_time() - began_processor)
    return answer, float(np.median(walls)), float(np.median(processor))


def main() -> None:
    """Time both on the photograph, window by window."""
    import cv2

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each (default: %(default)s)")
    parser.add_argument("--windows", type=int, default=3, help="the first so many of three")
    arguments = parser.parse_args()
    pixels, shape = china_pixels()
    photograph = pixels.reshape(shape).astype(np.uint8)
    criteria = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 100, 1e-3)
    mean_shift_filter(photograph[:40, :40], 8, 16, convert2lab=False)  # compiles
    for (space, band), wanted in list(WINDOWS.items())[: arguments.windows]:
        ours, wall, processor = timed(
            partial(mean_shift_filter, photograph, space, band, convert2lab=False), arguments.rounds
        )
        theirs, their_wall, their_processor = timed(
            partial(
                cv2.pyrMeanShiftFiltering, photograph, space, band, maxLevel=0, termcrit=criteria
            ),
            arguments.rounds,
        )
        apart = np.median(np.abs(ours - theirs))
        print(
            f"({space}, {band}): {wall:.2f} s (processor {processor:.2f}), OpenCV "
            f"{their_wall:.2f} s ({their_processor:.2f}): {their_wall / wall:.2f} x, wanted "
            f"{wanted:g}; colours differ by {apart:.2f} in the median",
            flush=True,
        )


if __name__ == "__main__":
    main()
