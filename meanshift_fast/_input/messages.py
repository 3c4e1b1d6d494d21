"""How a value looks in a message: as `repr` shows it, but never long."""

import reprlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 100  # characters


class _Short(reprlib.Repr):
    """The first items of what has many; whole numbers however long they are."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxlong = self.maxother = MOST

    def repr_int(self, value: int, level: int) -> str:
        """Not all digits of what has too many for Python to tell them."""
        try:
            return super().repr_int(value, level)
        except ValueError:
            return f"a whole number of {value.bit_length()} bits"


_SHORT = _Short()


def quoted(value: Any) -> str:
    """A value for a message: on one line, its middle left out where it is long.

    Parameters
    ----------
    value : any
        What somebody gave.

    Returns
    -------
    str
        What ``repr`` says, where that is short; at most 100 characters.
    """
    shown = _SHORT.repr(value)
    return cut(shown if isinstance(value, str) else " ".join(shown.split()))


def cut(text: str, most: int = MOST) -> str:
    """A text without its middle where it has more characters than so many."""
    if len(text) <= most:
        return text
    end = (most - 3) // 3
    return f"{text[: most - 3 - end]}...{text[-end:]}"


def bandwidth_text(bandwidth: float | NDArray[np.float64]) -> str:
    """A bandwidth for a message."""
    return f"{bandwidth:g}" if np.ndim(bandwidth) == 0 else cut(str(bandwidth))
