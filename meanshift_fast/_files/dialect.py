"""The dialect of text tables: which text is a number, which is missing, what a column holds."""

import codecs
import re
from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from meanshift_fast._input.messages import quoted

# Cells without a value, in lower case.
_MISSING = {"", "na", "n/a", "#n/a", "<na>", "null", "none", "-", "--", "?", "."}
# Blanks in a missing cell, at most: pyarrow knows a missing value by its whole text, so that each
# length is a text of its own; few padded columns are wider.
MAX_BLANKS = 32
_BLANK = [blank * number for blank in " \u00a0" for number in range(1, MAX_BLANKS + 1)]
_NOT_FINITE = {"nan", "inf", "infinity"}
_WITH_COMMAS = re.compile(r"[+-]?\d+(,\d+)+(\.\d*)?")
_WITH_THOUSANDS = re.compile(
    r"[+-]?\d{1,3}(?:([,.'\u2019 \u00a0\u202f])\d{3})(?:\1\d{3})*(?:[.,]\d*)?"
)
_WITH_POINTS = re.compile(r"[+-]?(0|[1-9]\d{0,2}(\.\d{3})*)")
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


class Dialect(NamedTuple):
    """How a text table is written.

    Attributes
    ----------
    delimiter : str
        One character between cells; of spaces, any number.
    decimal : {".", ","}
        The decimal mark.
    header : bool
        Whether the first line names the columns; if not, their names are their numbers.
    comment : str
        A line that begins with this character is skipped, but not within a quoted cell; empty: no
        line is.
    encoding : str
        A codec of Python.
    missing : tuple of str
        Texts, besides the usual ones, of cells without a value.
    has_sep_line : bool
        Whether a line before all others names the delimiter, ``sep=;``, as Excel reads it.
    has_empty_cells : bool
        Whether there is one column, and an empty line between others is an empty cell of it.
    is_header_given : bool
        Whether the first line is known to name the columns, though numbers may be their names.
    """

    delimiter: str = ","
    decimal: str = "."
    header: bool = True
    comment: str = ""
    encoding: str = "utf-8"
    missing: tuple[str, ...] = ()
    has_sep_line: bool = False
    has_empty_cells: bool = False
    is_header_given: bool = False

    @property
    def nulls(self) -> list[str]:
        """The texts of cells without a value, where rows may have such cells."""
        usual = [
            form for word in _MISSING for form in product(*zip(word, word.upper(), strict=True))
        ]
        return sorted({*map("".join, usual), *_BLANK, *self.missing})

    def is_missing(self, text: str) -> bool:
        """Whether a text, blanks aside, is that of a cell without a value."""
        return text.strip().lower() in _MISSING or text in self.missing

    def checked(self) -> "Dialect":
        """Refuse values that a dialect cannot have."""
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n' or not self.delimiter.isascii():
            raise ValueError(
                f"delimiter must be one ASCII character, got {quoted(self.delimiter)}; "
                "a tab is '\\t'"
            )
        if self.decimal not in (".", ","):
            raise ValueError(f"decimal must be '.' or ',', got {quoted(self.decimal)}")
        if self.decimal == self.delimiter:
            raise ValueError(
                f"delimiter must differ from the decimal mark, got {quoted(self.decimal)} as both; "
                "tables with decimal commas mostly have the delimiter ';'"
            )
        if len(self.comment) > 1:
            raise ValueError(f"comment must be one character, got {quoted(self.comment)}")
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise ValueError(
                f"encoding must be one of Python, got {quoted(self.encoding)}"
            ) from None
        return self

    @property
    def is_plain(self) -> bool:
        """Whether pyarrow reads the bytes of a file as they are.

        They are UTF-8 without comments, spaces between cells, or empty lines that are cells.
        """
        is_utf8 = codecs.lookup(self.encoding).name == "utf-8"
        return is_utf8 and not self.comment and self.delimiter != " " and not self.has_empty_cells

    def is_number(self, text: str) -> bool:
        """Whether a text is a finite number to pyarrow: ASCII, between blanks and tabs."""
        bare = text.strip(" \t")
        is_readable = bare.isascii() and bare == bare.strip()
        return is_readable and bool(np.isfinite(self._number(bare)))

    def _number(self, text: str) -> float:
        """The number that a text is to Python, which reads more; NaN for other texts."""
        if "_" in text or (self.decimal == "," and "." in text):
            return np.nan
        try:
            return float(text.replace(",", ".") if self.decimal == "," else text)
        except ValueError:
            return np.nan

    def is_foreign_number(self, text: str) -> bool:
        """Whether Python alone reads a text: no-break spaces, digits of other scripts."""
        return bool(np.isfinite(self._number(text))) and not self.is_number(text)

    def is_almost_number(self, text: str) -> bool:
        """Whether a text is a number or like one: NaN, -inf, 1e999, 1,5 or 1 234."""
        if text.lstrip("+-").lower() in _NOT_FINITE:
            return True
        return self.is_grouped(text) or not np.isnan(self._number(text))

    @staticmethod
    def is_grouped(text: str) -> bool:
        """Whether a text is a number with commas, or with marks of thousands."""
        return bool(_WITH_COMMAS.fullmatch(text) or _WITH_THOUSANDS.fullmatch(text))

    def are_numbers(self, names: Sequence[str]) -> bool:
        """Whether a line that should name the columns is one of values, not of their numbers."""
        are_values = any(np.isfinite(self._number(name)) for name in names) and all(
            self.is_number(name) or self.is_almost_number(name.strip()) for name in names
        )
        return are_values and not _are_column_numbers(names)

    def contents_of(self, rows: Iterable[list[str]], n_columns: int) -> list[str]:
        """Describe what each column holds; an empty text where it holds numbers.

        The first number or word decides. A column that has neither but almost numbers is one of
        numbers too: leaving it out would hide the error, which names the row.
        """
        contents = ["no value"] * n_columns
        undecided = set(range(n_columns))
        for cells in rows:
            for column in list(undecided):
                value = cells[column].strip() if column < len(cells) else ""
                if self.is_missing(value):
                    continue
                if self.is_almost_number(value) and not self.is_number(value):
                    contents[column] = ""
                    continue
                contents[column] = "" if self.is_number(value) else f"text, e.g. {quoted(value)}"
                undecided.remove(column)
            if not undecided:
                break
        return contents

    def points_of_thousands(
        self, names: Sequence[str], rows: Sequence[list[str]]
    ) -> dict[str, tuple[str, str]]:
        """Find columns whose decimal points may be marks of thousands: 3.968 beside 920.

        Returns
        -------
        dict
            Column -> its first value with a point, and what makes it suspect: a whole number of 1
            to 999 in the column, or a decimal comma in another. Where all values have a point and
            three decimals, as "%.3f" writes them, nothing does.
        """
        found: dict[str, tuple[str, str]] = {}
        if self.decimal != "." or self.delimiter not in ";\t":
            return found
        columns = [_values(rows, column) for column in range(len(names))]
        commas = (cell for cells in columns for cell in cells if DECIMAL_COMMA.fullmatch(cell))
        comma = next(commas, "")
        for name, cells in zip(names, columns, strict=True):
            if not all(map(_WITH_POINTS.fullmatch, cells)):
                continue
            value = next((cell for cell in cells if "." in cell), "")
            beside = next((cell for cell in cells if "." not in cell and cell != "0"), comma)
            if value and beside:
                found[name] = value, beside
        return found


def _values(rows: Sequence[list[str]], column: int) -> list[str]:
    """The cells of a column that are not missing."""
    cells = (row[column].strip() for row in rows if column < len(row))
    return [cell for cell in cells if cell.lower() not in _MISSING]


def _are_column_numbers(names: Sequence[str]) -> bool:
    """Whether names are the columns' numbers, as pandas writes where there are no names."""
    return all(name.isdecimal() and int(name) < len(names) for name in names)
