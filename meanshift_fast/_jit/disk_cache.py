"""Numba's disk cache, with seals: a damaged or outdated file counts as absent.

    kernel -> index file: which data file holds the code for these types, on this processor
                          |
                          v
              data file:  the index key, the code, a seal over both

Numba runs whatever it finds in a cache: a truncated file raises out of the first fit, one flipped
bit is run. It checks a kernel's own file by time and size only (before 0.68), and the files of its
steps not at all, so that code of an older version could be loaded. Here every file ends in a digest
of its bytes, of all the sources and of the constants that they import. A file whose digest differs
is ignored and written anew.

Two processes that compile at once may give their data files the same name; then the index leads to
the other's code. So a data file holds its index key, and one with another key is not used.
"""

import hashlib
import os
import pickle
import warnings
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache, IndexDataCacheFile

from meanshift_fast._jit.deferral import deferred_signals
from meanshift_fast._jit.linking import paused_collector
from meanshift_fast._jit.sealing import SEAL_BYTES


class _SealedFiles(IndexDataCacheFile):
    """The index and the data files of one kernel."""

    is_used = False  # whether Numba has read or written here

    def save(self, key: Any, data: Any) -> None:
        """Write data, and the key beside them: names of files are used again."""
        super().save(key, (key, data))

    def load(self, key: Any) -> Any:
        """The data of a key; None where the file is another key's."""
        owner, data = super().load(key) or (None, None)
        return data if owner == key else None

    def _load_index(self) -> dict[Any, str]:
        return self._unsealed(self._index_path) or {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._save_sealed(self._index_path, overloads)

    def _load_data(self, name: str) -> Any:
        return self._unsealed(self._data_path(name))

    def _save_data(self, name: str, data: Any) -> None:
        self._save_sealed(self._data_path(name), data)

    def _seal(self, body: bytes) -> bytes:
        """The digest of some bytes, keyed with that of the sources."""
        return hashlib.blake2b(body, digest_size=SEAL_BYTES, key=self._source_stamp).digest()

    def _unsealed(self, path: str) -> Any:
        """The content of a file; None where it cannot be read or its seal differs."""
        try:
            content = Path(path).read_bytes()
        except OSError:
            return None
        body, seal = content[:-SEAL_BYTES], content[-SEAL_BYTES:]
        if seal != self._seal(body):
            return None
        self.is_used = True
        return pickle.loads(body)

    def _save_sealed(self, path: str, content: Any) -> None:
        self.is_used = True
        body = self._dump(content)
        with self._open_for_write(path) as file:
            file.write(body)
            file.write(self._seal(body))


class SealedCache(FunctionCache):
    """The disk cache of one kernel.

    ``form`` distinguishes its machine code from that of the same function compiled with other
    options; ``digest`` is of all that its machine code depends on. A RuntimeError says that no
    folder can be written: a read-only installation without a writable home.
    """

    def __init__(self, function: Any, form: str, digest: bytes) -> None:
        super().__init__(function)
        self._form = form
        self._cache_file = _SealedFiles(self._cache_path, self._impl.filename_base, digest)

    @property
    def is_used(self) -> bool:
        """Whether Numba has read or written a sealed file."""
        return self._cache_file.is_used

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load the code of one signature, or None.

        The first load makes Numba fill its registries: 63,000 objects, few of them garbage. The
        first fit of a process, of 5,000 rows, takes 0.44 s, and 0.52 s with the garbage collector
        enabled (means of nine, by turns).

        LLVM takes the code through a callback. Where Ctrl-C raised there, LLVM got no code, and
        Numba wrote to address 0.
        """
        with paused_collector(), deferred_signals():
            return super().load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write the code of one signature, or warn where it cannot be written."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            self._cache_file.is_used = True
            warnings.warn(
                f"the machine code of {self._py_func.__name__} cannot be kept in "
                f"{os.fspath(self._cache_path)} ({error}), and the next process will compile "
                "again; name another folder with NUMBA_CACHE_DIR",
                stacklevel=2,
            )

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return (*super()._index_key(sig, codegen), self._form)
