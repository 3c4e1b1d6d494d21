"""Text tables: pyarrow reads them, and Python's `csv` names the line where pyarrow fails."""

import csv
import io
import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from meanshift_fast._files.arrow import batch_of
from meanshift_fast._files.dialect import DECIMAL_COMMA, Dialect
from meanshift_fast._files.tables import DROP_MISSING, Batch, Choice, import_pyarrow
from meanshift_fast._files.text import Utf8, foreign_line, guessed_lines, has_empty_line, open_lines
from meanshift_fast._input.messages import cut, number_text, quoted

_BLOCK_BYTES = 1 << 23
# Rows that are searched for what a column holds: it may begin with empty cells.
_MAX_HEAD_ROWS = 1000
_MAX_CELL_CHARACTERS = (1 << 31) - 1  # the most that `csv` takes on every platform
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}

_limit_lock = threading.Lock()
_process_limit: int | None = None  # the one of `csv`, while a line is read without it


def _reset_limit() -> None:
    """Give `csv` its limit back in a forked child, where no other thread reads."""
    global _limit_lock, _process_limit
    _limit_lock = threading.Lock()
    if _process_limit is not None:
        csv.field_size_limit(_process_limit)
        _process_limit = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_limit)


class Csv:
    """Delimited text whose first line names the columns; empty lines are skipped.

    Those between others in a single column are empty cells.

    pyarrow reads it, ten times as fast as Python's `csv`. Where it fails, `csv`, which counts
    lines, reads again from the start. ``is_given`` says that the delimiter was given.
    """

    def __init__(self, path: Path, dialect: Dialect, is_given: bool) -> None:
        self.path, self.dialect = path, dialect
        self.has_names = dialect.header
        self.n_rows = guessed_lines(path)
        rows = (cells for _, cells in self._lines())
        try:
            first = next(rows)
        except StopIteration:
            raise ValueError(f"{path} is empty; its first line must name the columns") from None
        if len(first) == 1 and (not dialect.is_plain or has_empty_line(path)):
            self.dialect = dialect._replace(has_empty_cells=True)
        if not is_given:
            self._check_delimiter(first)
        self.names = first if dialect.header else [str(column) for column in range(len(first))]
        head = list(islice(rows, _MAX_HEAD_ROWS))
        if not is_given:
            self._check_spaces([first, *head[:5]])
        if not dialect.header:
            head.insert(0, first)
        elif not dialect.is_header_given and dialect.are_numbers(first):
            raise ValueError(
                f"{path}: the first line must name the columns, got numbers, "
                f"{cut(','.join(first[:5]))}; put a line of names before it, or read it with "
                "--no-header (header=False), or with --header (header=True) if these are names"
            )
        pairs = list(zip(self.names, dialect.contents_of(head, len(first)), strict=True))
        self.numeric = [name for name, other in pairs if not other]
        self.others = {name: other for name, other in pairs if other}
        self._grouped = dialect.points_of_thousands(self.names, head)

    def _check_delimiter(self, first: list[str]) -> None:
        """Refuse a first line that another delimiter splits into as many cells or more."""
        line = self.dialect.delimiter.join(first)
        n_delimiters = len(first) - 1
        for delimiter, plural in _DELIMITERS.items():
            if delimiter != self.dialect.delimiter and 0 < line.count(delimiter) >= n_delimiters:
                raise ValueError(
                    f"{self.path}: the first line holds {plural}, got {quoted(line)}; read it with "
                    f"--delimiter {delimiter!r} (delimiter={delimiter!r})"
                )

    def _check_spaces(self, lines: list[list[str]]) -> None:
        """Refuse lines without a delimiter that spaces split, all into as many numbers or names."""
        split = [cells[0].split() for cells in lines if len(cells) == 1]
        n_cells = {len(words) for words in split}
        if len(split) < len(lines) or len(n_cells) > 1 or n_cells == {1}:
            return
        if all(map(self.dialect.is_number, split[-1])):
            line = " ".join(split[0])
            raise ValueError(
                f"{self.path}: spaces separate the cells, got {quoted(line)} as the first line; "
                "read it with --delimiter ' ' (delimiter=' ')"
            )

    def check(self, choice: Choice) -> None:
        """Warn of numbers whose points may mark thousands; text has no types."""
        for name in choice.numbers:
            if name in self._grouped:
                value, beside = self._grouped[name]
                warnings.warn(
                    f"{self.path}: column {quoted(name)} has {quoted(value)}, which is read with a "
                    f"decimal point, and there is {quoted(beside)} too: if points mark thousands, "
                    "write the numbers without them",
                    stacklevel=3,
                )

    def parts(self, choice: Choice, most_values: int) -> Iterator[Batch]:
        """Parse block by block; kept columns stay text, as they are."""
        arrow = import_pyarrow()
        types = dict.fromkeys(choice.keep, arrow.string())
        types |= dict.fromkeys(choice.numbers, arrow.float64())
        n_rows = max(1, most_values // len(choice.features))
        names = None if self.dialect.header else self.names
        nulls = self.dialect.nulls if choice.drop_missing else [""]
        options = {
            "read_options": arrow.csv.ReadOptions(
                block_size=_BLOCK_BYTES, column_names=names,
                skip_rows=int(self.dialect.has_sep_line),
            ),
            "parse_options": arrow.csv.ParseOptions(
                newlines_in_values=True, delimiter=self.dialect.delimiter
            ),
            "convert_options": arrow.csv.ConvertOptions(
                column_types=types, include_columns=choice.all, null_values=nulls,
                decimal_point=self.dialect.decimal,
            ),
        }  # fmt: skip
        with Utf8(self.path, self.dialect) as file:
            try:
                for block in _blocks(arrow.csv.open_csv(file.lent(), **options)):
                    for first in range(0, block.num_rows, n_rows):
                        rows = block.slice(first, n_rows)
                        yield batch_of(rows, choice, np.float64, partial(self._complain, choice))
            except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
                self._find_fault(choice)
                raise ValueError(f"{self.path}: {error}") from error
            if file.n_quotes % 2:
                # pyarrow takes a quote that is never closed for a text that ends with the file.
                self._find_fault(choice)

    def _complain(self, choice: Choice, row: int, name: str, value: object) -> NoReturn:
        """Raise an error about a value, with its line where it is found."""
        self._find_fault(choice._replace(features=[name], weight=None, keep=[]))
        raise ValueError(
            f"{self.path}: column {quoted(name)} must hold finite numbers, got {value}"
        )

    def _find_fault(self, choice: Choice) -> None:
        """Raise an error about the first line that cannot be right; return where there is none."""
        missing = set(self.dialect.nulls) if choice.drop_missing else set()
        column_of = {name: column for column, name in enumerate(self.names)}
        columns = [(column_of[name], name) for name in choice.numbers]
        for row, (line, cells) in enumerate(islice(self._lines(), int(self.dialect.header), None)):
            if len(cells) != len(self.names):
                raise ValueError(
                    f"{self.path}: line {line} has {len(cells)} field(s) where the first line "
                    f"names {len(self.names)} columns"
                )
            for column, name in columns:
                cell = cells[column]
                is_nan = choice.drop_missing and cell.strip().lstrip("+-").lower() == "nan"
                if not (cell in missing or is_nan or self.dialect.is_number(cell)):
                    blank = "a cell of blanks" if cell else "an empty cell"
                    value = quoted(cell) if cell.strip() else blank
                    message = f"{number_text(self.path, name, value, row)}, line {line}"
                    raise ValueError(message + self._remedy(cell, choice.drop_missing))

    def _remedy(self, cell: str, drop_missing: bool) -> str:
        """What to do about a cell that is no finite number."""
        if not cell.strip() and drop_missing:
            return "; leave such cells empty"
        if self.dialect.is_missing(cell) or cell.strip().lstrip("+-").lower() == "nan":
            return f"; --na {cell!r} names it as missing" if drop_missing else DROP_MISSING
        if self.dialect.is_foreign_number(cell):
            return "; write it in digits 0 to 9, with no space but blanks"
        if DECIMAL_COMMA.fullmatch(cell.strip()) and "," not in self.dialect[:2]:
            return "; --decimal , reads decimal commas"
        if self.dialect.is_grouped(cell.strip()):
            mark = "a decimal comma" if self.dialect.decimal == "," else "a decimal point"
            return f"; write numbers with {mark} and without marks of thousands"
        if self.dialect.is_almost_number(cell.strip()):
            return ""
        return "; a column of text is left out of --columns, or named in --exclude"

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Read with Python's `csv`: the number of the line, the cells; header first."""
        reader = csv.reader(
            open_lines(self.path, self.dialect), strict=True, delimiter=self.dialect.delimiter
        )
        try:
            for cells in _unlimited(reader):
                if cells:
                    yield reader.line_num, cells
        except UnicodeDecodeError as error:
            line = foreign_line(self.path, self.dialect)
            raise ValueError(
                f"{self.path}: line {line} is not {self.dialect.encoding.upper()} text; save the "
                "file as UTF-8, or name its encoding with --encoding"
            ) from error
        except csv.Error as error:
            raise ValueError(f"{self.path}: line {reader.line_num}: {error}") from error
        except OSError as error:
            if error.filename is not None:
                raise
            raise ValueError(f"{self.path} is cut off or damaged: {error}") from error


def _unlimited(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """The rows of a reader of `csv`, with cells of any length; its limit is the process's."""
    global _process_limit
    while True:
        with _limit_lock:
            limit = _process_limit = csv.field_size_limit()
            try:
                csv.field_size_limit(_MAX_CELL_CHARACTERS)
                cells = next(reader)
            except StopIteration:
                return
            finally:
                csv.field_size_limit(limit)
                _process_limit = None
        yield cells


def _blocks(reader: Any) -> Iterator[Any]:
    """The blocks of a reader; the end lets go of it."""
    try:
        with reader:
            yield from reader
    finally:
        del reader  # which a traceback would hold, and through it the file


def csv_line(names: Iterable[str]) -> str:
    """Names with commas between them, in quotes where needed."""
    line = io.StringIO()
    # What ends a line puts a name that holds any part of it into quotes.
    csv.writer(line, lineterminator="\r\n").writerow(names)
    return line.getvalue().removesuffix("\r\n")


def write_csv(file: IO[bytes], tables: Iterable[Any]) -> None:
    """Write csv, with quotes in the header only where needed."""
    arrow = import_pyarrow()
    options = arrow.csv.WriteOptions(include_header=False)
    for number, table in enumerate(tables):
        if number == 0:  # pyarrow would put every name into quotes
            file.write(f"{csv_line(table.column_names)}\n".encode())
        arrow.csv.write_csv(table, file, options)
