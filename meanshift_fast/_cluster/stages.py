"""The log of a fit: each stage, reported as it begins and logged as it ends; and remarks."""

import logging
from time import perf_counter
from typing import Any

from numpy.typing import NDArray

from meanshift_fast._input.progress import Report
from meanshift_fast._input.remarks import remarks
from meanshift_fast._input.scaling import is_number, is_rule

logger = logging.getLogger("meanshift_fast")


def log_remarks(table: NDArray[Any], model: Any, names: Any, *, is_stream: bool = False) -> None:
    """Log at INFO what in a table, or a stream's first rows, is probably a mistake."""
    if not logger.isEnabledFor(logging.INFO):
        return
    found = remarks(
        table, names,
        one_bandwidth=is_rule(model.bandwidth) or is_number(model.bandwidth),
        rows_are_seeds=model.seeds is None and not model.bin_seeding and not is_stream,
    )  # fmt: skip
    for remark in found:
        logger.info("%s; %s", remark.text, remark.in_python)


class Stages:
    """Reports stages to a callable, and logs at DEBUG what each found and how long it took."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self._is_logged = logger.isEnabledFor(logging.DEBUG)
        self._began = perf_counter()

    def begin(self, stage: str) -> None:
        """Report a stage."""
        self.report(0, 1, stage)
        self._began = perf_counter()

    def end(self, facts: str, *values: Any) -> None:
        """Log what was found since a stage began or the last one ended; callables are called."""
        if self._is_logged:
            now = perf_counter()
            found = [value() if callable(value) else value for value in values]
            logger.debug(f"{facts}, %.3g s", *found, now - self._began)
            self._began = now
