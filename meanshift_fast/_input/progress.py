"""Progress of a long call: a bar on a terminal or in a notebook, or a callable.

    stages, rounds --report(done, total, stage)--> callable
           |                     `---------------> bar --+--> tqdm, or a plain line, on stderr
           `--chunks of a kernel, compilations --------->'

The stages are those of the pipeline: "bandwidth", "seeds", "tree", "climb" (trajectories at rest,
of all), "modes", "density" (of the rows, for prominence), "labels"; of streams "sample" and
"condense"; of a stable bandwidth "trial". A bar shows more than a callable
receives: the round, how far trajectories still move, and the time that a long kernel has left.
"""

import multiprocessing
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from time import monotonic
from typing import Any

from meanshift_fast._jit.chunks import heartbeat

Report = Callable[[int, int, str], None]

AUTO_SECONDS = 5.0  # that a call lasts before "auto" shows a bar
REDRAW_SECONDS = 0.1
MIN_KERNEL_SECONDS = 2.0  # of a kernel, before the bar estimates what is left of it

_shown: ContextVar["_Bar | None"] = ContextVar("_shown", default=None)
_has_named_compiling: list[bool] = []  # whether this process has said that it compiles


def reporting(progress: bool | str | Report, stage: str = "") -> AbstractContextManager[Report]:
    """Turn the parameter ``progress`` into a callable for the length of a call.

    False: silent. "auto": a bar from the fifth second on, where stderr is a terminal or a notebook;
    it is gone at the end. True: a bar from the start, wherever stderr goes. A callable is called as
    ``progress(done, total, stage)``; an exception from it ends the call. Calls within a call share
    its bar. ``stage`` is what the bar shows until the first report.
    """
    if callable(progress):
        return nullcontext(progress)
    outer = _shown.get()
    if not progress or (progress == "auto" and outer is None and not _is_watched()):
        return _SILENT
    if outer is not None:
        return nullcontext(outer)
    return _Bar(AUTO_SECONDS if progress == "auto" else 0.0, stage).on_display()


def _is_watched() -> bool:
    """Whether what this thread writes to stderr is shown: on a terminal, or in a notebook."""
    if multiprocessing.parent_process() is not None:
        return False
    if threading.current_thread() is not threading.main_thread():
        return False
    if sys.stderr is not None and sys.stderr.isatty():
        return True
    return is_notebook()


def is_notebook() -> bool:
    """Whether this process is a notebook's, which shows what a cell ends with."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def is_silent(report: Report) -> bool:
    """Whether a call that takes no time need not report its stages."""
    return isinstance(report, _Silent) or (isinstance(report, _Bar) and report.delay > 0.0)


def note_round(report: Report, number: int, n_moving: int, largest: float) -> None:
    """Show a round of the ascent in a bar: its number, how many move, how far in bandwidths."""
    if isinstance(report, _Bar):
        report.round = f", round {number}: {n_moving:,} move, at most {largest:.2g} bandwidths"


class _Silent(AbstractContextManager["_Silent"]):
    """Drops reports."""

    def __call__(self, done: int, total: int, stage: str) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


_SILENT = _Silent()


class _Bar:
    """One bar that goes from stage to stage, drawn once a delay is over."""

    def __init__(self, delay: float, stage: str = "") -> None:
        self.delay, self.round = delay, ""
        self._stage, self._done, self._total = stage, 0, 1
        self._kernel = (0, 1)  # items that the current kernel has finished, and all
        self._began = self._kernel_began = monotonic()
        self._drawn = -REDRAW_SECONDS
        self._display: Any = None

    @contextmanager
    def on_display(self) -> Iterator["_Bar"]:
        """Listen to chunks and compilations for the length of a call; clear the bar at its end."""
        with ExitStack() as stack:
            stack.callback(self._close)
            stack.callback(heartbeat.reset, heartbeat.set(self._beat))
            stack.callback(_shown.reset, _shown.set(self))
            stack.enter_context(_listening_to_compilations(self.name_compiling))
            yield self

    def __call__(self, done: int, total: int, stage: str) -> None:
        """Report a stage."""
        is_new = stage != self._stage
        if is_new:
            self.round, self._kernel = "", (0, 1)
        self._done, self._total, self._stage = done, total, stage
        self._draw(at_once=is_new)

    def _beat(self, done: int, total: int) -> None:
        if done < self._kernel[0] or total != self._kernel[1]:
            self._kernel_began = monotonic()
        self._kernel = (done, total)
        self._draw()

    def name_compiling(self) -> None:
        """Say once that kernels are compiled."""
        if not _has_named_compiling:
            _has_named_compiling.append(True)
            text = (
                "mean shift: compiling its kernels, once after an installation; `meanshift-fast "
                "warmup` does so in advance"
            )
            if self._display is None:
                sys.stderr.write(f"{text}\n")
            else:
                self._display.say(text)
        self._draw()

    def _draw(self, *, at_once: bool = False) -> None:
        now = monotonic()
        is_due = at_once or now - self._drawn >= REDRAW_SECONDS
        if is_due and now - self._began >= self.delay:
            self._drawn = now
            if self._display is None:
                self._display = _new_display(leaves=self.delay == 0.0)
            self._display.show(self._text(now))

    def _text(self, now: float) -> str:
        done, total = self._done, self._total
        counts = ""
        if not self.round and total > 1:
            counts = f" {done / total:.0%}"
        elif total == 0:
            counts = f" {done:,} rows"
        seconds, (passed, every) = now - self._kernel_began, self._kernel
        left = ""
        if seconds >= MIN_KERNEL_SECONDS and 0 < passed < every:
            of_what = " of it" if self.round else ""
            counts += f"{',' if self.round else ''} {passed / every:.0%}{of_what}"
            left = f", {_clock(seconds * (every - passed) / passed)} left"
        return f"mean shift: {self._stage}{self.round}{counts} [{_clock(now - self._began)}{left}]"

    def _close(self) -> None:
        if self._display is not None:
            self._display.close()


def _listening_to_compilations(on_compile: Callable[[], None]) -> AbstractContextManager[Any]:
    """Call a function whenever Numba compiles a kernel of this package."""
    try:
        from numba.core import event
    except ImportError:  # a Numba without events
        return nullcontext()

    class Compilations(event.Listener):
        def on_start(self, happening: Any) -> None:
            """Call the function, where the kernel is of this package."""
            function = happening.data["dispatcher"].py_func
            if function.__module__.startswith("meanshift_fast."):
                on_compile()

        def on_end(self, happening: Any) -> None:
            """Nothing: a listener has to have both."""

    listening: AbstractContextManager[Any] = event.install_listener("numba:compile", Compilations())
    return listening


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"


def _new_display(*, leaves: bool) -> Any:
    """A line of tqdm where that is installed, else a plain one."""
    try:
        with warnings.catch_warnings():  # tqdm warns where a notebook has no ipywidgets
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm
    except ImportError:
        return _Line(leaves)
    return _Tqdm(tqdm, leaves)


class _Tqdm:
    """The line of a tqdm bar."""

    def __init__(self, tqdm: Any, leaves: bool) -> None:
        self._tqdm = tqdm
        self._bar = tqdm(bar_format="mean shift", file=sys.stderr, leave=leaves)

    def show(self, text: str) -> None:
        """Write over what is shown."""
        self._bar.bar_format = text.replace("{", "{{").replace("}", "}}")
        self._bar.refresh()

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        """End; clear what is shown, unless it is to stay."""
        self._bar.close()


class _Line:
    """One line on stderr that is written over."""

    def __init__(self, leaves: bool) -> None:
        self._leaves, self._width = leaves, 0

    def show(self, text: str) -> None:
        """Write over what is shown."""
        sys.stderr.write(f"\r{text:<{self._width}}")
        sys.stderr.flush()
        self._width = len(text)

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self.show("")
        sys.stderr.write(f"\r{text}\n")

    def close(self) -> None:
        """End; clear what is shown, unless it is to stay."""
        sys.stderr.write("\n" if self._leaves else f"\r{'':<{self._width}}\r")
        sys.stderr.flush()
