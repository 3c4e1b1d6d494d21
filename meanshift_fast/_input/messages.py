"""Messages: values, never long; the errors of several callers; the line that a warning is about."""

import reprlib
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_CHARACTERS = 100


class _Short(reprlib.Repr):
    """The first items of long collections; integers of any length."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxlong = self.maxother = MAX_CHARACTERS

    def repr_int(self, value: int, level: int) -> str:
        """The digits, or how many bits where Python refuses to convert them."""
        try:
            return super().repr_int(value, level)
        except ValueError:
            return f"a whole number of {value.bit_length()} bits"


_SHORT = _Short()


def quoted(value: Any) -> str:
    """A value for a message: its ``repr`` on one line, at most 100 characters."""
    shown = _SHORT.repr(value)
    return cut(shown if isinstance(value, str) else on_one_line(shown))


def on_one_line(text: str) -> str:
    """A text with blanks for line breaks and other space."""
    return " ".join(text.split())


def cut(text: str, most: int = MAX_CHARACTERS) -> str:
    """A text without its middle where it has more characters than so many."""
    if len(text) <= most:
        return text
    end = (most - 3) // 3
    return f"{text[: most - 3 - end]}...{text[-end:]}"


def number_text(source: object, column: str, value: object, row: int) -> str:
    """The error of a value in a table that is no finite number; rows count from 0."""
    return f"{source}: column {quoted(column)} must hold finite numbers, got {value} at row {row}"


def bandwidth_text(bandwidth: float | NDArray[np.float64]) -> str:
    """A bandwidth for a message."""
    return f"{bandwidth:g}" if np.ndim(bandwidth) == 0 else cut(str(bandwidth))


def no_point_error(bandwidth: float | NDArray[np.float64], table: NDArray[Any]) -> ValueError:
    """The error of an ascent in which every ball is empty, with a remedy.

    The bandwidth (a number or one for each feature) is in the unit of the rows.
    """
    largest = max(-float(table.min()), float(table.max()))
    step = float(np.spacing(largest))
    remedy = "Give seeds nearer to the rows, or a larger bandwidth."
    if 0.0 < np.min(bandwidth) < step:
        remedy = (
            f"Numbers as large as {largest:g} are {step:.2g} apart in float64, and the mean of "
            "rows may be as far from all of them. Subtract a row from all rows, or give a larger "
            "bandwidth."
        )
    return ValueError(
        f"No point was within bandwidth={bandwidth_text(bandwidth)} of any seed: every ball is "
        f"empty. {remedy}"
    )


_CALLEES = {"meanshift_fast", "sklearn", "joblib"}  # packages whose lines no warning is about


def caller_level() -> int:
    """The ``stacklevel``, in the function that warns, of the line that called the package.

    Wrappers and pipelines of scikit-learn may lie between.
    """
    level, frame = 0, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in _CALLEES:
        level, frame = level + 1, frame.f_back
    return level


def counted(count: float, noun: str) -> str:
    """Write a number of things."""
    return f"{count:,.15g} {noun}" if count == 1 else f"{count:,.15g} {noun}s"


def zero_reason(rule: str | None, quantile: float, n_samples: int) -> str:
    """Why a rule finds a bandwidth of 0; None is the rule of the k-th neighbour."""
    if rule is None and n_samples * quantile < 2.0:
        return f"{quantile:g} of {counted(n_samples, 'row')} is each row alone"
    return "most rows are equal"


def not_installed(need: str, extra: str) -> ImportError:
    """The error of a package that is not installed; ``need`` says what needs it."""
    return ImportError(
        f'{need}, which is not installed; install it with: pip install "meanshift_fast[{extra}]"'
    )


def no_support_error(min_support: float, heaviest: float) -> ValueError:
    """The error of a least support that no centre has."""
    return ValueError(
        f"min_support={min_support:g} leaves no centre: the heaviest has a support of "
        f"{heaviest:.6g}; lower it, or give a share of that, below 1"
    )
