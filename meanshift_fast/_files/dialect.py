"""The dialect of csv: which text is a number, which is missing, and what a column holds."""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from meanshift_fast._input.messages import quoted

# Cells without a value, in lower case.
_MISSING = {"", "na", "n/a", "#n/a", "<na>", "null", "none", "-", "--", "?", "."}
_NOT_FINITE = {"nan", "inf", "infinity"}
# A number whose decimal point is a comma, or whose thousands are parted by commas.
_WITH_COMMAS = re.compile(r"[+-]?\d+(,\d+)+(\.\d*)?")


def is_number(text: str) -> bool:
    """Whether a text is a finite number."""
    try:
        return bool(np.isfinite(float(text))) and "_" not in text
    except ValueError:
        return False


def _is_almost_number(text: str) -> bool:
    """Whether a text may stand among numbers and is no finite one: NaN, -inf, 1e999, 1,5."""
    if text.lstrip("+-").lower() in _NOT_FINITE or _WITH_COMMAS.fullmatch(text):
        return True
    try:
        return "_" not in text and bool(np.isinf(float(text)))
    except ValueError:
        return False


def are_numbers(names: Sequence[str]) -> bool:
    """Whether a line that should name the columns is one of values."""
    return any(map(is_number, names)) and all(
        is_number(name) or _is_almost_number(name.strip()) for name in names
    )


def contents_of(rows: Iterable[list[str]], n_columns: int) -> list[str]:
    """Describe what each column holds; an empty text where it holds numbers.

    The first number or word decides. Where there is neither but what almost is a number, the column
    is one of numbers too: the error that follows names the row, and leaving it out would hide it.
    """
    contents = ["no value"] * n_columns
    undecided = set(range(n_columns))
    for cells in rows:
        for column in list(undecided):
            value = cells[column].strip() if column < len(cells) else ""
            if value.lower() in _MISSING:
                continue
            if _is_almost_number(value):
                contents[column] = ""
                continue
            contents[column] = "" if is_number(value) else f"text, e.g. {quoted(value)}"
            undecided.remove(column)
        if not undecided:
            break
    return contents


def are_places(names: Sequence[str]) -> bool:
    """Whether names are the columns' numbers, as pandas writes where there are no names."""
    return all(name.isdecimal() and int(name) < len(names) for name in names)
