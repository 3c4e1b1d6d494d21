"""Progress of a long call: a bar, a plain line, or a callable.

A report is ``report(done, total, stage)``. The stages are those of the pipeline: "bandwidth",
"seeds", "tree", "climb" (trajectories at rest, of all), "modes", "labels"; of streams "sample" and
"condense".
"""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Report = Callable[[int, int, str], None]


@contextmanager
def reporting(progress: bool | Report) -> Iterator[Report]:
    """Turn the parameter ``progress`` into a callable for the length of a call.

    False: silent. True: a tqdm bar where tqdm is installed, else a plain line, on stderr either
    way. A callable is called as ``progress(done, total, stage)``; an exception from it ends the
    call.
    """
    if callable(progress):
        yield progress
    elif not progress:
        yield _Silent()
    else:
        try:
            with warnings.catch_warnings():  # tqdm warns where a notebook has no ipywidgets
                warnings.simplefilter("ignore")
                from tqdm.auto import tqdm
        except ImportError:
            bar: _Bar | _Line = _Line()
        else:
            bar = _Bar(tqdm)
        try:
            yield bar
        finally:
            bar.close()


class _Silent:
    """Drops reports."""

    def __call__(self, done: int, total: int, stage: str) -> None:
        pass


def is_silent(report: Report) -> bool:
    """Whether reports are dropped."""
    return isinstance(report, _Silent)


class _Bar:
    """One tqdm bar that goes from stage to stage."""

    def __init__(self, tqdm: Any) -> None:
        self._bar = tqdm(bar_format="mean shift", file=sys.stderr)
        self._stage = ""

    def __call__(self, done: int, total: int, stage: str) -> None:
        if stage != self._stage:
            self._stage = stage
            # A stage of one step has no share, and the length of a stream is unknown.
            counts = "{percentage:3.0f}% |{bar:24}| {n:,} " if total > 1 else "{n:,} rows "
            counts = "" if total == 1 else counts
            self._bar.bar_format = f"mean shift: {stage} {counts}[{{elapsed}}]"
            self._bar.reset(total or None)
        self._bar.n = done
        self._bar.refresh()

    def close(self) -> None:
        self._bar.close()


class _Line:
    """One line on stderr that is written over."""

    def __call__(self, done: int, total: int, stage: str) -> None:
        counts = f"{done / total:.0%}" if total > 1 else f"{done:,} rows" if total == 0 else ""
        sys.stderr.write(f"\r{f'mean shift: {stage} {counts}':<40}")
        sys.stderr.flush()

    def close(self) -> None:
        sys.stderr.write("\n")
