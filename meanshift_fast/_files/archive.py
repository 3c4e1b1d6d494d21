"""A zip of JSON and npy files, read only where it declares no more than the file holds.

A zip may declare any size, and an npy file any shape; both are compared with the size of the file
before memory is taken. Nothing is unpacked to a path, and nothing is unpickled.
"""

import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._input.messages import quoted

MAX_WORDS_BYTES = 1 << 26  # of the JSON, which takes many times as many in memory

_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def write_archive(
    path: Path, words_name: str, words: dict[str, Any], arrays: dict[str, NDArray[Any]]
) -> None:
    """Write words as JSON and arrays as npy files, uncompressed."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(words_name, json.dumps(words, indent=1))
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def read_archive(path: Path, words_name: str) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Read the words, and the arrays by their names; C-ordered and in the machine's byte order.

    Raises
    ------
    ValueError, KeyError, zipfile.BadZipFile
        If the file is something else.
    """
    with zipfile.ZipFile(path) as file:
        entries = {entry.filename: entry for entry in file.infolist()}
        _check_sizes(file.infolist(), path.stat().st_size)
        if entries[words_name].file_size > MAX_WORDS_BYTES:
            raise ValueError(f"{words_name} has more than {MAX_WORDS_BYTES:,} bytes")
        words = json.loads(file.read(words_name))
        arrays = {
            name.removesuffix(".npy"): _array(file, entry)
            for name, entry in entries.items()
            if name != words_name
        }
    return words, arrays


def _check_sizes(entries: list[zipfile.ZipInfo], n_bytes: int) -> None:
    """Check that entries are uncompressed, and together no longer than the file."""
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise ValueError(f"its entry {quoted(entry.filename)} is compressed")
    if sum(entry.file_size for entry in entries) > n_bytes:
        raise ValueError("its entries declare more bytes than the file has")
    if len({entry.filename for entry in entries}) < len(entries):
        raise ValueError("two of its entries have one name")


def _array(file: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    """Read an array whose shape fits the size of its entry."""
    with file.open(entry) as opened:
        version = np.lib.format.read_magic(opened)
        if version not in _HEADER_READERS:
            raise ValueError(f"{quoted(entry.filename)} is of npy version {version}")
        shape, _, dtype = _HEADER_READERS[version](opened)
        if dtype.hasobject:
            raise ValueError(f"{quoted(entry.filename)} holds objects, which would be unpickled")
        n_bytes = entry.file_size - opened.tell()
        if dtype.itemsize == 0 or math.prod(shape) * dtype.itemsize != n_bytes:
            raise ValueError(
                f"{quoted(entry.filename)} declares the shape {shape} and has {n_bytes} bytes"
            )
    with file.open(entry) as opened:
        array = np.lib.format.read_array(opened, allow_pickle=False)
    return np.require(array, array.dtype.newbyteorder("="), requirements="C")
