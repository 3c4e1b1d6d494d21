"""How functions are compiled: as a step of kernels, serial, and parallel over ``prange``.

Kernels are compiled at their first call, never at import, and their machine code is cached on disk
where a folder can be written. A `parallel` function is a few lines around a `step`, because a
``prange`` body compiles several times slower than a plain loop.

Kernels of several files share a `step` by importing it by its name.
"""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from meanshift_fast._jit import (
    numba_interfaces,
    simd_lowering,  # noqa: F401 (registers vectors)
    simd_pairs_lowering,  # noqa: F401 (likewise)
    threads,
)

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def _interpreted(function: Kernel) -> Kernel:
    """Leave ``function`` to Python; like machine code it does not warn of overflow."""
    return np.errstate(all="ignore")(function)


def serial(function: Kernel) -> Kernel:
    """Compile ``function`` for one thread; it releases the global interpreter lock."""
    if numba.config.DISABLE_JIT:
        return _interpreted(function)
    return numba_interfaces.new_kernel(function, "serial")  # type: ignore[no-any-return]


def step(function: Kernel) -> Kernel:
    """Compile ``function`` to be linked into kernels.

    It has no cache of its own: its code is part of the kernels'. Other files import it by its name.
    """
    return numba_interfaces.new_step(function)  # type: ignore[no-any-return]


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
    return numba_interfaces.new_step(function, forceinline=True)  # type: ignore[no-any-return]


@step
def empty_floats(n: int) -> NDArray[np.float64]:
    """Memory for ``n`` float64 values, for a task.

    One step for all kernels: Numba would compile `np.empty` anew for each kernel that calls it,
    eleven times in a first fit.
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
        self._alone: Any = None
        self.spread: Any = self._new_spread()

    def _new_spread(self) -> Any:
        return numba_interfaces.new_kernel(self._function, "parallel", parallel=True)

    @property
    def alone(self) -> Any:
        """The same source, compiled for one thread."""
        # Not `cached_property`: until Python 3.12 it has a lock, which a fork may leave held.
        if self._alone is None:
            self._alone = numba_interfaces.new_kernel(self._function, "alone")
        return self._alone

    def __call__(self, *args: Any) -> Any:
        """Run the kernel, on as many threads as are available."""
        if threads.is_only_fit():
            return self._over_threads(args)
        with threads.thread_share() as may_spread:
            return self._over_threads(args) if may_spread else self.alone(*args)

    def _over_threads(self, args: tuple[Any, ...]) -> Any:
        """Run over threads; alone where Numba cannot compile parallel loops any more."""
        if not numba_interfaces.loops_spread():
            return self.alone(*args)
        # Another thread may have found the same error, and replaced what is compiled here.
        spread, are_linked = self.spread, numba_interfaces.loops_are_linked()
        try:
            return spread(*args)
        except Exception as error:
            if spread.overloads or isinstance(error, MemoryError):
                raise
            return self._compiled_otherwise(args, error, are_linked)

    def _compiled_otherwise(self, args: tuple[Any, ...], error: Exception, are_linked: bool) -> Any:
        """Run over threads what plain Numba compiles; alone where it cannot either."""
        if are_linked:
            is_first = numba_interfaces.unlink_loops(error)
            # Anew: a dispatcher raises an error of types again.
            self.spread = spread = self._new_spread()
            try:
                results = spread(*args)
            except Exception as other:
                if spread.overloads or isinstance(other, MemoryError):
                    raise
            else:
                if is_first:
                    numba_interfaces.warn_of_unlinked_loops(error)
                return results
        numba_interfaces.run_loops_on_one_thread(error)
        return self.alone(*args)


def parallel(function: Kernel) -> Kernel:
    """Compile ``function`` with its ``prange`` loops spread over Numba's threads."""
    if numba.config.DISABLE_JIT:
        return _interpreted(function)
    return Parallel(function)  # type: ignore[return-value]
