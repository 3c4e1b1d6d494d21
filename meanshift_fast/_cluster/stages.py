"""The stages of a fit: each is reported as it begins, and logged as it ends."""

import logging
from time import perf_counter
from typing import Any

from meanshift_fast._input.progress import Report, is_silent

logger = logging.getLogger("meanshift_fast")


class Stages:
    """Reports stages to a callable, and logs at DEBUG what each found and how long it took."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self._began = perf_counter()

    @property
    def is_silent(self) -> bool:
        """Whether no progress is reported, so that a short fit needs no stages."""
        return is_silent(self.report)

    def begin(self, stage: str) -> None:
        """Report a stage."""
        self.report(0, 1, stage)
        self._began = perf_counter()

    def end(self, facts: str, *values: Any) -> None:
        """Log what was found since a stage began or the last one ended."""
        if logger.isEnabledFor(logging.DEBUG):
            now = perf_counter()
            logger.debug(f"{facts}, %.3g s", *values, now - self._began)
            self._began = now
