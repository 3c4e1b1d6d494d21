"""One thread of work, in which a newer request of a kind replaces an older one of that kind.

    submit(kind, job) -> waiting[kind] -> the thread runs job(report), by the order of kinds
                              |
        a newer job of the kind that runs: the next report raises Superseded, and it is dropped
        a job of an earlier kind: the next report runs it, and then the long one continues

A page stays usable while its answer is computed, and a slider that is dragged computes only what
is shown.
"""

import threading
from collections.abc import Callable, Sequence
from time import monotonic

from meanshift_fast._input.progress import Report
from meanshift_fast._jit.chunks import heartbeat

Job = Callable[[Report], None]


class Superseded(BaseException):
    """A newer request has replaced the one at work; no Exception, as no error is to be shown."""


class Worker:
    """A thread that runs the newest job of each kind.

    Parameters
    ----------
    kinds : sequence of str
        Kinds of jobs, in the order of their precedence.
    on_error : callable
        Called as ``on_error(kind, error)`` where a job fails.

    Attributes
    ----------
    stage : tuple of (str, float, str) or None
        The kind of the job at work, when it began, and what it last reported; None at rest.
    """

    def __init__(self, kinds: Sequence[str], on_error: Callable[[str, Exception], None]) -> None:
        self._kinds, self._on_error = list(kinds), on_error
        self._waiting: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._is_closed = False
        self._at_work: list[str] = []  # a long job, and what runs in between
        self.stage: tuple[str, float, str] | None = None
        self._thread = threading.Thread(target=self._run, name="explorer", daemon=True)
        self._thread.start()

    def submit(self, kind: str, job: Job) -> None:
        """Let a job be run; one of its kind that waits or is at work is dropped."""
        with self._changed:
            self._waiting[kind] = job
            self._changed.notify_all()

    def wait(self, seconds: float = 600.0) -> None:
        """Wait until nothing is left to do.

        Raises
        ------
        TimeoutError
            Where something is.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not (self._waiting or self._at_work), seconds):
                raise TimeoutError(f"{self._at_work} at work, {sorted(self._waiting)} waiting")

    def close(self, *, wait: bool = True) -> None:
        """Drop what is at work or waits, and end the thread; ``wait`` until it has ended."""
        with self._changed:
            self._is_closed = True
            self._waiting.clear()
            self._changed.notify_all()
        if wait and threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        """Run jobs until the worker is closed."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                if self._is_closed:
                    return
            self._run_waiting(len(self._kinds))

    def _run_waiting(self, before: int) -> None:
        """Run the waiting jobs of the kinds before one, the first kind first."""
        while (kind := self._next(before)) is not None:
            with self._changed:
                job = self._waiting.pop(kind)
                self._at_work.append(kind)
            outer, self.stage = self.stage, (kind, monotonic(), "")
            beating = heartbeat.set(lambda *_, kind=kind: self._check_newer(kind))
            try:
                job(self._reporting(kind))
            except Superseded:
                pass
            except Exception as error:
                self._on_error(kind, error)
            finally:
                heartbeat.reset(beating)
                self.stage = outer
                with self._changed:
                    self._at_work.pop()
                    self._changed.notify_all()

    def _next(self, before: int) -> str | None:
        """The first kind with a waiting job, of the kinds before one; None: none."""
        with self._changed:
            return next((kind for kind in self._kinds[:before] if kind in self._waiting), None)

    def _check_newer(self, kind: str) -> None:
        """Raise Superseded where the job at work is no longer needed."""
        if self._is_closed or kind in self._waiting:
            raise Superseded

    def _reporting(self, kind: str) -> Report:
        """The function that a job calls between its rounds."""
        began, rank = monotonic(), self._kinds.index(kind)

        def report(done: int, total: int, stage: str) -> None:
            """End the job where a newer one waits."""
            self._check_newer(kind)
            if rank:
                self._run_waiting(rank)
            share = f" {done / total:.0%}" if total > 1 else ""
            self.stage = kind, began, f"{stage}{share}"

        return report
