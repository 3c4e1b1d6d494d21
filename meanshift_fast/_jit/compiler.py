"""How functions are compiled: as a step of kernels, serial, and parallel over ``prange``.

Kernels are compiled at their first call, never at import, and their machine code is cached on disk
where a folder can be written. A `parallel` function is a few lines around a `step`, because a
``prange`` body compiles several times slower than a plain loop.

Kernels of several files share a `step` by importing it by its name. Every cache is sealed with the
texts of all files whose steps the kernel's file imports, directly or through other steps, and with
the values of the numbers that these files import, so no machine code of an older step or constant
is loaded.
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
from meanshift_fast._jit.linking import KernelCompiler, StepCompiler

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def _is_constant(value: Any) -> bool:
    """Whether Numba would freeze a global into machine code as a number."""
    if isinstance(value, tuple):
        return all(map(_is_constant, value))
    return isinstance(value, int | float | np.number | np.bool_)


def _sealed(function: Callable[..., Any]) -> tuple[list[str], list[str]]:
    """The other files whose steps a kernel's file imports, and the constants of all these files.

    Steps are followed through the files that they come from. A file that supplies a constant alone
    is not among the files; the constant's value counts.
    """
    known = {function.__code__.co_filename, __file__}
    found, waiting, constants = set(known), [function], []
    while waiting:
        names = waiting.pop().__globals__
        for name, value in names.items():
            if isinstance(value, Dispatcher):
                file = value.py_func.__code__.co_filename
                if file not in found:
                    found.add(file)
                    waiting.append(value.py_func)
            elif _is_constant(value):
                constants.append(f"{names['__name__']}.{name} = {value!r}")
    return sorted(found - known), sorted(constants)


def _compile(function: Kernel, form: str, **options: Any) -> Kernel:
    # Without the wrapper for C, which is never called, a kernel of ten arrays compiles in 137 ms,
    # and in 150 ms with it.
    dispatcher = numba.njit(
        nogil=True,
        error_model="numpy",
        pipeline_class=KernelCompiler,
        no_cfunc_wrapper=True,
        **options,
    )(function)
    # A read-only install without a writable home has no folder for a cache, and Numba raises a
    # RuntimeError: then every process compiles for itself.
    with contextlib.suppress(RuntimeError):
        # Machine code contains what simd.py lowers to, and this file chooses the options.
        files, constants = _sealed(function)
        sources = (__file__, simd.__file__, linking.__file__, *files)
        dispatcher._cache = SealedCache(function, form, sources, constants)
    return dispatcher  # type: ignore[no-any-return]


def _interpreted(function: Kernel) -> Kernel:
    """Leave ``function`` to Python; like machine code it does not warn of overflow."""
    return np.errstate(all="ignore")(function)


def serial(function: Kernel) -> Kernel:
    """Compile ``function`` for one thread; it releases the global interpreter lock."""
    if numba.config.DISABLE_JIT:
        return _interpreted(function)
    return _compile(function, "serial")


def step(function: Kernel) -> Kernel:
    """Compile ``function`` to be linked into kernels.

    It has no cache of its own: its code is part of the kernels'. Other files import it by its name.
    """
    return _step(function)


def as_step(kernel: Kernel) -> Kernel:
    """Compile a `serial` kernel of another file as a step of a kernel that does several stages.

    Its source file is sealed into the cache as those of other steps are.
    """
    return step(getattr(kernel, "py_func", kernel))


def inlined(function: Kernel) -> Kernel:
    """Compile a step that LLVM copies into each caller and specialises for constants there.

    For traversals: a constant trip count unrolls loops, and sums in an `accumulator` of simd.py
    stay in registers.
    """
    return _step(function, forceinline=True)


def _step(function: Kernel, *, forceinline: bool = False) -> Kernel:
    return numba.njit(  # type: ignore[no-any-return]
        nogil=True,
        error_model="numpy",
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        pipeline_class=StepCompiler,
        forceinline=forceinline,
    )(function)


@step
def empty_floats(n: int) -> NDArray[np.float64]:
    """Memory for ``n`` float64 values, for a task.

    One step for all kernels: Numba would compile `np.empty` anew for each kernel that calls it,
    eleven times in a first fit. Compiled twice, and with no step compiled a second time for a
    literal argument, a first fit that took 10.7 to 11.9 s takes 9.1 to 9.8 s.
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
        The same on the calling thread, where Numba's threads must not be entered: see threads.py.
        Compiled at its first use; its results are equal to the last bit.
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
        """Run the kernel, on as many threads as are available."""
        if threads.are_ours():
            return self.spread(*args)
        with threads.our_share() as may_spread:
            return self.spread(*args) if may_spread else self.alone(*args)


def parallel(function: Kernel) -> Kernel:
    """Compile ``function`` with its ``prange`` loops spread over Numba's threads."""
    if numba.config.DISABLE_JIT:
        return _interpreted(function)
    return Parallel(function)  # type: ignore[return-value]
