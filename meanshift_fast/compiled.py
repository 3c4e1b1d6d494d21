"""How functions are compiled here: as a step of others, serial, and parallel over ``prange``.

Kernels are compiled at their first call, never at import, and their machine code is kept on
disk where there is a place to keep it. STYLE of the kernels: `parallel` functions are a few lines
around a `serial` one, because a ``prange`` body compiles several times slower than a plain loop.
"""

import contextlib
import hashlib
import pathlib
from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba.core.caching import FunctionCache

from meanshift_fast import lanes
from meanshift_fast.linking import KernelCompiler, PartCompiler

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# Machine code contains what lanes.py lowers to, and Numba's cache looks at a kernel's own file
# only: without this stamp a changed lanes.py would go on running as it was.
_LANES_STAMP = hashlib.sha256(pathlib.Path(lanes.__file__).read_bytes()).hexdigest()


class _Cache(FunctionCache):
    """Numba's disk cache, whose entries also name the lanes they were compiled with."""

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return (*super()._index_key(sig, codegen), _LANES_STAMP)


def _compile(function: Kernel, **options: Any) -> Kernel:
    dispatcher = numba.njit(
        nogil=True, error_model="numpy", pipeline_class=KernelCompiler, **options
    )(function)
    if not numba.config.DISABLE_JIT:
        # A read-only install with no writable home has no place for a cache, and Numba says so
        # with a RuntimeError: then every process compiles for itself.
        with contextlib.suppress(RuntimeError):
            dispatcher._cache = _Cache(function)
    return dispatcher  # type: ignore[no-any-return]


def serial(function: Kernel) -> Kernel:
    """Compile ``function`` for one thread; it releases the interpreter's lock."""
    return _compile(function)


def step(function: Kernel) -> Kernel:
    """Compile ``function`` for other kernels of its file only, which LLVM puts it into.

    It has no entry in the cache: it comes with the kernels that it is a part of.
    """
    return numba.njit(  # type: ignore[no-any-return]
        nogil=True,
        error_model="numpy",
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        pipeline_class=PartCompiler,
    )(function)


def parallel(function: Kernel) -> Kernel:
    """Compile ``function`` with its ``prange`` loops spread over Numba's threads."""
    return _compile(function, parallel=True)
