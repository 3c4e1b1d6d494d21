"""Arrow's own files: feather of version 2, and streams of record batches."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from meanshift_fast._files.arrow import (
    batch_of,
    check_types,
    column_kinds,
    common_type,
    read_batches,
)
from meanshift_fast._files.tables import Batch, Choice, import_pyarrow, refuse_value


class Feather:
    """A file of record batches; one that is not compressed is mapped, not read."""

    has_names = True

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb"):  # this error names the file
            pass
        first = next(self._batches(), None)
        self.schema = self._opened()[0].schema
        self.n_rows = 0 if first is None else first.num_rows * max(self._opened()[1], 1)
        self.names = self.schema.names
        self.numeric, self.others = column_kinds(self.schema)

    def check(self, choice: Choice) -> None:
        """Refuse columns without numbers among those that must hold them."""
        check_types(self.path, self.schema, choice)

    def parts(self, choice: Choice, most_values: int) -> Iterator[Batch]:
        """Read batch after batch, in slices of at most so many values."""
        dtype = common_type([self.schema], choice.features)
        n_rows = max(1, most_values // len(choice.all))
        first = 0
        for batch in self._batches():
            for start in range(0, batch.num_rows, n_rows):
                rows = batch.slice(start, n_rows)
                yield batch_of(rows, choice, dtype, partial(refuse_value, self.path, first))
                first += rows.num_rows

    def _opened(self) -> tuple[Any, int]:
        """Open the file, or the stream that has the same suffix; with its number of batches."""
        arrow = import_pyarrow()
        try:
            try:
                reader = arrow.ipc.open_file(arrow.memory_map(os.fspath(self.path)))
                return reader, reader.num_record_batches
            except arrow.ArrowInvalid:
                return arrow.ipc.open_stream(arrow.memory_map(os.fspath(self.path))), 1
        except (arrow.ArrowException, OSError) as error:
            raise ValueError(
                f"{self.path} is not an arrow or feather file, or is cut off: {error}"
            ) from error

    def _batches(self) -> Iterator[Any]:
        """Read the record batches one after the other."""
        reader, n_batches = self._opened()
        is_file = hasattr(reader, "get_batch")
        batches = map(reader.get_batch, range(n_batches)) if is_file else reader
        return read_batches(self.path, batches)
