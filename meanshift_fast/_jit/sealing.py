"""What a kernel's machine code depends on, as one digest: sources, constants and Numba's version.

Kernels of several files share a step by importing it by its name. So the digest holds the texts of
all files whose steps the kernel's file imports, directly or through other steps, and the values of
the numbers that these files import.
"""

import hashlib
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numba
import numpy as np
from numba.extending import is_jitted

SEAL_BYTES = 16


def _is_constant(value: Any) -> bool:
    """Whether Numba would freeze a global into machine code as a number."""
    if isinstance(value, tuple):
        return all(map(_is_constant, value))
    return isinstance(value, int | float | np.number | np.bool_)


def step_files(function: Callable[..., Any]) -> tuple[list[str], list[str]]:
    """The other files whose steps a kernel's file imports, and the constants of all these files.

    Steps are followed through the files that they come from. A file that supplies a constant alone
    is not among the files; the constant's value counts.
    """
    own = function.__code__.co_filename
    found, waiting, constants = {own}, [function], []
    while waiting:
        names = waiting.pop().__globals__
        for name, value in names.items():
            if is_jitted(value):
                file = value.py_func.__code__.co_filename
                if file not in found:
                    found.add(file)
                    waiting.append(value.py_func)
            elif _is_constant(value):
                constants.append(f"{names['__name__']}.{name} = {value!r}")
    return sorted(found - {own}), sorted(constants)


@cache
def _read(loader: Any, path: str) -> bytes:
    """The bytes of a file in a folder or in a zip archive."""
    return loader.get_data(path)  # type: ignore[no-any-return]


def digest(function: Any, compilers: Iterable[str]) -> bytes:
    """A digest of a kernel's file at import, and of all else that its machine code depends on.

    ``compilers`` are the files whose text every kernel depends on.
    """
    seal = hashlib.blake2b(numba.__version__.encode(), digest_size=SEAL_BYTES)
    loader = function.__globals__["__loader__"]
    seal.update(loader.get_data(function.__code__.co_filename))
    files, constants = step_files(function)
    for file in (*compilers, *files):
        seal.update(_read(loader, file))
    seal.update("\n".join(constants).encode())
    return seal.digest()
