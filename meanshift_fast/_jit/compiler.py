"""How functions are compiled here: as a step of others, serial, and parallel over ``prange``.

Kernels are compiled at their first call, never at import, and their machine code is kept on
disk where there is a place to keep it. STYLE of the kernels: `parallel` functions are a few lines
around a `step`, because a ``prange`` body compiles several times slower than a plain loop.

Kernels of several files share a `step` by importing it by its name. Every cache is sealed with the
texts of all files whose steps the kernel's file has so imported, and of those that these import
from, so no code is loaded that holds a step as it was.
"""

import contextlib
from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher
from numpy.typing import NDArray

from meanshift_fast._jit import linking, simd, threads
from meanshift_fast._jit.disk_cache import SealedCache
from meanshift_fast._jit.linking import KernelCompiler, PartCompiler

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def _files_of_steps(function: Callable[..., Any]) -> list[str]:
    """The other files whose steps a kernel's file imports by name, and so on from theirs."""
    known = {function.__code__.co_filename, __file__}
    found, waiting = set(known), [function]
    while waiting:
        for value in waiting.pop().__globals__.values():
            if isinstance(value, Dispatcher):
                file = value.py_func.__code__.co_filename
                if file not in found:
                    found.add(file)
                    waiting.append(value.py_func)
    return sorted(found - known)


def _compile(function: Kernel, form: str, **options: Any) -> Kernel:
    # The wrapper for C, which nobody calls: a kernel of ten arrays compiles in 150 ms with it, and
    # in 137 without.
    dispatcher = numba.njit(
        nogil=True,
        error_model="numpy",
        pipeline_class=KernelCompiler,
        no_cfunc_wrapper=True,
        **options,
    )(function)
    # A read-only install with no writable home has no place for a cache, and Numba says so
    # with a RuntimeError: then every process compiles for itself.
    with contextlib.suppress(RuntimeError):
        # Machine code contains what simd.py lowers to, and this file chooses the options.
        makers = (__file__, simd.__file__, linking.__file__, *_files_of_steps(function))
        dispatcher._cache = SealedCache(function, form, makers)
    return dispatcher  # type: ignore[no-any-return]


def _interpreted(function: Kernel) -> Kernel:
    """Leave ``function`` to Python; like machine code it does not tell of what overflows."""
    return np.errstate(all="ignore")(function)


def serial(function: Kernel) -> Kernel:
    """Compile ``function`` for one thread; it releases the interpreter's lock."""
    if numba.config.DISABLE_JIT:
        return _interpreted(function)
    return _compile(function, "serial")


def step(function: Kernel) -> Kernel:
    """Compile ``function`` for other kernels, which LLVM puts it into.

    It has no entry in the cache: it comes with the kernels that it is a part of. Those of other
    files import it by its name, at the top, as they do the constants that go with it.
    """
    return _step(function)


def as_step(kernel: Kernel) -> Kernel:
    """Compile a `serial` kernel of another file as a step of a kernel that does several stages.

    Its source stays in one place, and is sealed into the cache as that of other steps is.
    """
    return step(getattr(kernel, "py_func", kernel))


def inlined(function: Kernel) -> Kernel:
    """Compile a step that is copied to wherever it is called, and made for what is known there.

    For descents, which are worth it: a trip count that is known spares loops, and sums that are
    kept in an `accumulator` of simd.py stay in registers.
    """
    return _step(function, forceinline=True)


def _step(function: Kernel, *, forceinline: bool = False) -> Kernel:
    return numba.njit(  # type: ignore[no-any-return]
        nogil=True,
        error_model="numpy",
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        pipeline_class=PartCompiler,
        forceinline=forceinline,
    )(function)


@step
def empty_floats(n: int) -> NDArray[np.float64]:
    """Memory for ``n`` float64 values, for a task.

    The same for all kernels: Numba compiles `np.empty` anew for each one that asks for it with
    options of its own, eleven times in a first fit. With two times, and no step compiled a second
    time for a literal that it begins with, a first fit that took 10.7 to 11.9 s takes 9.1 to 9.8.
    """
    return np.empty(n)


@step
def empty_integers(n: int) -> NDArray[np.int64]:
    """Memory for ``n`` int64 values."""
    return np.empty(n, np.int64)


class Parallel:
    """A kernel that spreads its ``prange`` loops over Numba's threads, where it may.

    Attributes
    ----------
    spread : dispatcher
        The kernel over threads.
    alone : dispatcher
        The same on the thread that calls, where Numba's must not be entered: see threads.py.
        Compiled there and nowhere else; its results are equal to the last bit.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self._function = function
        self.spread: Any = _compile(function, "parallel", parallel=True)

    @cached_property
    def alone(self) -> Any:
        """The same source on one thread."""
        return _compile(self._function, "alone")

    def __call__(self, *args: Any) -> Any:
        """Run the kernel, on as many threads as may be."""
        if threads.are_ours():
            return self.spread(*args)
        with threads.our_share() as may_spread:
            return self.spread(*args) if may_spread else self.alone(*args)


def parallel(function: Kernel) -> Kernel:
    """Compile ``function`` with its ``prange`` loops spread over Numba's threads."""
    if numba.config.DISABLE_JIT:
        return _interpreted(function)
    return Parallel(function)  # type: ignore[return-value]
