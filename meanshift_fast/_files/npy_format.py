"""The npy format: mapped, not read; its columns are called by their numbers."""

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._files.tables import (
    Batch,
    Choice,
    finite_batch,
    import_pyarrow,
    refuse_value,
)
from meanshift_fast._input.messages import cut


class Npy:
    """A file of `numpy.save`, or of `numpy.savez` with one array; columns have numbers as names."""

    has_names = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows = _checked(path, _mapped(path))
        self.n_rows = len(self._rows)
        self.names = [str(column) for column in range(self._rows.shape[1])]
        self.numeric = self.names
        self.others: dict[str, str] = {}

    def check(self, choice: Choice) -> None:
        """Do nothing: all columns hold numbers of one type."""

    def parts(self, choice: Choice, most_values: int) -> Iterator[Batch]:
        """Take slices of the map, views where all columns are taken."""
        features = [int(name) for name in choice.features]
        is_whole = features == list(range(self._rows.shape[1]))
        n_rows = max(1, most_values // len(features))
        for first in range(0, len(self._rows), n_rows):
            rows = self._rows[first : first + n_rows]
            X = rows if is_whole else rows[:, features]
            weights = kept = None
            if choice.weight is not None:
                weights = rows[:, int(choice.weight)].astype(np.float64)
            if choice.keep:
                columns = {name: np.ascontiguousarray(rows[:, int(name)]) for name in choice.keep}
                kept = import_pyarrow().table(columns)
            missing = np.zeros(len(rows), dtype=np.bool_) if choice.drop_missing else None
            batch = Batch(X, weights, kept, missing)
            yield finite_batch(batch, choice, partial(refuse_value, self.path, first))


def _mapped(path: Path) -> NDArray[Any]:
    """Map an npy file, or read the one array of an npz file."""
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty, not an npy file")
    with path.open("rb") as file:
        magic = file.read(6)
    if magic != b"\x93NUMPY" and not magic.startswith(b"PK\x03\x04"):
        raise ValueError(f"{path} is not an npy file; numpy.save writes one")
    try:
        loaded: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            n_arrays = len(loaded.files)
            rows: NDArray[Any] | None = loaded[loaded.files[0]] if n_arrays == 1 else None
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if "pickle" in str(error) or "Python objects" in str(error):
            raise ValueError(
                f"{path} holds pickled Python objects, which could run code when read; save a "
                "plain array of numbers"
            ) from error
        raise ValueError(f"{path} is cut off or damaged: {error}") from error
    if rows is None:
        raise ValueError(f"{path} must hold one array, got {n_arrays}; numpy.save writes one")
    return rows


def _checked(path: Path, rows: NDArray[Any]) -> NDArray[Any]:
    """Refuse an array that is no table of numbers."""
    if rows.dtype.kind not in "biuf":
        fields = "; numpy.lib.recfunctions.structured_to_unstructured makes a plain table of fields"
        raise ValueError(
            f"{path} must hold real numbers, got dtype {cut(str(rows.dtype))}"
            + (fields if rows.dtype.names else "")
        )
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ValueError(
            f"{path} must hold a table of shape (n_samples, n_features), got shape {rows.shape}; "
            "one column is reshape(-1, 1)"
        )
    if not rows.dtype.isnative:
        return rows.astype(rows.dtype.newbyteorder("="))
    return rows


def write_npy(file: IO[bytes], batches: Iterable[NDArray[Any]]) -> None:
    """Write an array batch by batch; the header again once the rows are counted.

    By the file's own ``write``: where a disk is full, `np.save` does not say so.
    """
    n_rows = 0
    for number, batch in enumerate(batches):
        if number == 0:
            _npy_header(file, batch, 0)
        file.write(np.ascontiguousarray(batch).data)
        n_rows += len(batch)
    file.seek(0)
    _npy_header(file, batch, n_rows)


def _npy_header(file: IO[bytes], batch: NDArray[Any], n_rows: int) -> None:
    """Write the header, which NumPy pads so that the number of rows may grow in place."""
    header = np.lib.format.header_data_from_array_1_0(np.ascontiguousarray(batch))
    np.lib.format.write_array_header_1_0(file, header | {"shape": (n_rows, *batch.shape[1:])})
