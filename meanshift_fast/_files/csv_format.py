"""The csv format: pyarrow reads it, and Python's `csv` names the line where pyarrow fails."""

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from meanshift_fast._files.arrow import batch_of
from meanshift_fast._files.dialect import are_numbers, are_places, contents_of, is_number
from meanshift_fast._files.tables import Batch, Choice, import_pyarrow
from meanshift_fast._input.messages import cut, quoted

_BLOCK_BYTES = 1 << 23
# Rows that are searched for what a column holds: it may begin with empty cells.
_MAX_HEAD_ROWS = 1000


class _Quotes(io.FileIO):
    """A file that counts the double quotes that it reads."""

    count = 0

    def read(self, size: int | None = -1) -> Any:
        text = super().read(size)
        self.count += text.count(b'"') if text else 0
        return text


class Csv:
    """Comma-separated UTF-8 text whose first line names the columns; empty lines are skipped.

    pyarrow reads it, ten times as fast as Python's `csv`. Where it fails, `csv`, which counts
    lines, reads again from the start.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_rows = _guessed_lines(path)
        rows = self._lines()
        try:
            _, self.names = next(rows)
        except StopIteration:
            raise ValueError(f"{path} is empty; its first line must name the columns") from None
        if are_numbers(self.names) and not are_places(self.names):
            raise ValueError(
                f"{path}: the first line must name the columns, got numbers, "
                f"{cut(','.join(self.names[:5]))}; put a line of names before it"
            )
        contents = contents_of(
            (cells for _, cells in islice(rows, _MAX_HEAD_ROWS)), len(self.names)
        )
        pairs = list(zip(self.names, contents, strict=True))
        self.numeric = [name for name, other in pairs if not other]
        self.others = {name: other for name, other in pairs if other}

    def check(self, choice: Choice) -> None:
        """Text has no types."""

    def parts(self, choice: Choice, most_values: int) -> Iterator[Batch]:
        """Parse block by block; kept columns stay text, as they are."""
        arrow = import_pyarrow()
        types = dict.fromkeys(choice.keep, arrow.string())
        types |= dict.fromkeys(choice.numbers, arrow.float64())
        n_rows = max(1, most_values // len(choice.features))
        options = {
            "read_options": arrow.csv.ReadOptions(block_size=_BLOCK_BYTES),
            "parse_options": arrow.csv.ParseOptions(newlines_in_values=True),
            "convert_options": arrow.csv.ConvertOptions(
                column_types=types, include_columns=choice.all, null_values=[""]
            ),
        }
        with _Quotes(self.path) as file:
            try:
                with arrow.csv.open_csv(file, **options) as blocks:
                    for block in blocks:
                        for first in range(0, block.num_rows, n_rows):
                            rows = block.slice(first, n_rows)
                            yield batch_of(rows, choice, np.float64, self._complain)
            except arrow.ArrowException as error:
                self._find_fault(choice)
                raise ValueError(f"{self.path}: {error}") from error
            if file.count % 2:
                # pyarrow takes a quote that is never closed for a text that ends with the file.
                self._find_fault(choice)

    def _complain(self, row: int, name: str, value: object) -> NoReturn:
        self._find_fault(Choice([name], None, []))
        raise ValueError(
            f"{self.path}: column {quoted(name)} must hold finite numbers, got {value}"
        )

    def _find_fault(self, choice: Choice) -> None:
        """Raise an error about the first line that cannot be right; return where there is none."""
        place_of = {name: place for place, name in enumerate(self.names)}
        places = [(place_of[name], name) for name in choice.numbers]
        for row, (line, cells) in enumerate(islice(self._lines(), 1, None)):
            if len(cells) != len(self.names):
                raise ValueError(
                    f"{self.path}: line {line} has {len(cells)} field(s) where the first line "
                    f"names {len(self.names)} columns"
                )
            for place, name in places:
                if not is_number(cells[place]):
                    value = quoted(cells[place]) if cells[place].strip() else "an empty cell"
                    raise ValueError(
                        f"{self.path}: column {quoted(name)} must hold finite numbers, got "
                        f"{value} at row {row}, line {line}"
                    )

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Read with Python's `csv`: the number of the line, the cells; header first."""
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                for cells in reader:
                    if cells:
                        yield reader.line_num, cells
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{self.path}: line {_foreign_line(self.path)} is not UTF-8 text; save the "
                    "file as UTF-8"
                ) from error
            except csv.Error as error:
                raise ValueError(f"{self.path}: line {reader.line_num}: {error}") from error


def _guessed_lines(path: Path) -> int:
    """Guess a text's number of lines from the length of the first."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
    n_lines = len(head.splitlines())
    return n_lines * path.stat().st_size // max(len(head), 1)


def _foreign_line(path: Path) -> int:
    """Find the first line that is not UTF-8; the decoder reports only a block of lines."""
    with path.open(encoding="utf-8", errors="surrogateescape") as file:
        return next(n for n, line in enumerate(file, 1) if re.search("[\udc80-\udcff]", line))
