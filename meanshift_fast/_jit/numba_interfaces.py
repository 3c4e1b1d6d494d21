"""Whether the linker and the sealed cache work with the Numba that is installed.

    both modules and a kernel's parts are made ----- error ----+
         |                                                     |
    first use: a trial kernel is compiled and kept - error ----+--> Numba's compiler and cache,
         |                                                          and one warning
    linked kernels, sealed caches

Both rest on private interfaces of Numba, which may change with any release. This module alone
decides whether they are used. Without them a first compilation takes up to twice as long, and
answers are the same. The trial kernel lies in the sealed cache, so that later processes load it,
in some milliseconds.

It has no parallel loop: loading one starts Numba's threads, which small fits and forked children do
not need. The first parallel kernel that cannot be compiled shows what breaks such loops alone. From
then on plain Numba compiles them; where it cannot either, kernels run on one thread.

Numba's own cache does not look at the files of steps. Here its files have the digest of all sources
in their names, so that code of an older step is never loaded.
"""

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numba

from meanshift_fast._jit import sealing

TRIED_VERSIONS = "0.60 to 0.68"

# The files whose text all kernels depend on: they choose the options, link, and lower vectors.
_COMPILERS = [
    os.path.join(os.path.dirname(__file__), name)
    for name in (
        "compiler.py",
        "numba_interfaces.py",
        "linking.py",
        "simd.py",
        "simd_types.py",
        "simd_lowering.py",
        "simd_pairs.py",
        "simd_pairs_lowering.py",
    )
]

_errors: list[Exception] = []  # the first is why the interfaces are not used
_link_errors: list[Exception] = []  # the first is why plain Numba compiles parallel loops
_loop_errors: list[Exception] = []  # the first is why parallel loops are not spread
_trials: list[Any] = []  # the trial kernel, from import to the first use


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
    """Note an error of the interfaces instead of raising it, and warn once."""
    try:
        yield
    except Exception as error:
        if not _errors:
            _errors.append(error)
            _warn(error, _SLOWER)


_SLOWER, _ALONE = "the first fit takes longer", "fits run on one thread"


def _warn(error: Exception, otherwise: str) -> None:
    """Warn of an error of the interfaces, naming both versions."""
    cause = [type(error).__name__, *str(error).strip().splitlines()[:1]]
    warnings.warn(
        f"Numba {numba.__version__} does not work as the versions {TRIED_VERSIONS} do, "
        f"with which meanshift_fast was tried ({': '.join(cause)}): answers are the same, "
        f"but {otherwise}",
        RuntimeWarning,
        stacklevel=4,
    )


with _guarded():
    from numba.core.compiler import Compiler

    from meanshift_fast._jit.disk_cache import SealedCache
    from meanshift_fast._jit.linking import KernelCompiler, StepCompiler


def are_usable() -> bool:
    """Whether linker and sealed cache are used; the first call compiles or loads the trial kernel.

    It is made under the lock of Numba's compiler, before any other kernel.
    """
    while _trials and not _errors:
        kernel = _trials.pop()  # first: its compilation calls this function
        with _guarded():
            kernel.compile((numba.float64,))
            if not getattr(kernel._cache, "is_used", True):
                raise RuntimeError("the disk cache is out of use")
    return not _errors


def loops_spread() -> bool:
    """Whether parallel loops are compiled; True until one could not be."""
    return not _loop_errors


def loops_are_linked() -> bool:
    """Whether the linker compiles parallel loops."""
    return not (_errors or _link_errors)


def unlink_loops(error: Exception) -> bool:
    """Let plain Numba compile parallel loops from now on; False where it does already."""
    if not loops_are_linked():
        return False
    _link_errors.append(error)
    return True


def warn_of_unlinked_loops(error: Exception) -> None:
    """Warn that plain Numba compiles parallel loops, because of an error of the linker."""
    _warn(error, _SLOWER)


def run_loops_on_one_thread(error: Exception) -> None:
    """Run parallel kernels on one thread from now on, because of an error of their compilation."""
    if not _loop_errors:
        _loop_errors.append(error)
        _warn(error, _ALONE)


def _kernel_compiler(*settings: Any) -> Any:
    return (KernelCompiler if are_usable() else Compiler)(*settings)


def _loop_compiler(*settings: Any) -> Any:
    return (Compiler if _link_errors else _kernel_compiler)(*settings)


def _step_compiler(*settings: Any) -> Any:
    return (StepCompiler if are_usable() else Compiler)(*settings)


def new_kernel(function: Callable[..., Any], form: str, **options: Any) -> Any:
    """A dispatcher of a function that Python calls, with its disk cache.

    ``form`` distinguishes its machine code from that of the same function with other options.
    """
    # Without the wrapper for C, which is never called, a kernel of ten arrays compiles in 137 ms,
    # and in 150 ms with it.
    compiler = _loop_compiler if options.get("parallel") else _kernel_compiler
    linked = {"pipeline_class": compiler, "no_cfunc_wrapper": True}
    dispatcher = _new_dispatcher(function, linked, options)
    digest = sealing.digest(function, _COMPILERS)
    if _errors:
        _keep_unsealed(dispatcher, form, digest)
        return dispatcher
    # A read-only install without a writable home has no folder for a cache, and Numba raises a
    # RuntimeError: then every process compiles anew.
    with contextlib.suppress(RuntimeError):
        dispatcher._cache = _FirstUse(dispatcher, form, digest)
    return dispatcher


def new_step(function: Callable[..., Any], **options: Any) -> Any:
    """A dispatcher of a function that only kernels call."""
    linked = {
        "pipeline_class": _step_compiler,
        "no_cpython_wrapper": True,
        "no_cfunc_wrapper": True,
    }
    return _new_dispatcher(function, linked, options)


def _new_dispatcher(
    function: Callable[..., Any], linked: dict[str, Any], options: dict[str, Any]
) -> Any:
    """A dispatcher with the linker's options, or, after an error, without them."""
    used = {} if _errors else linked
    return numba.njit(nogil=True, error_model="numpy", **used, **options)(function)


def _keep_unsealed(dispatcher: Any, form: str, digest: bytes) -> None:
    """Give a kernel Numba's own cache, whose files are named with the digest; or none."""
    function = dispatcher.py_func
    name = function.__qualname__
    with contextlib.suppress(Exception):
        try:
            function.__qualname__ = f"{name}-{form}-{digest.hex()}"
            dispatcher.enable_caching()
        finally:
            function.__qualname__ = name


class _FirstUse:
    """A kernel's cache until its first use, which decides between the sealed cache and Numba's."""

    def __init__(self, dispatcher: Any, form: str, digest: bytes) -> None:
        self._sealed = SealedCache(dispatcher.py_func, form, digest)
        self._none = dispatcher._cache
        self._dispatcher, self._form, self._digest = dispatcher, form, digest

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sealed, name)

    def load_overload(self, *settings: Any) -> Any:
        """Load the code of one signature from the cache that is used from here on."""
        dispatcher = self._dispatcher
        if are_usable():
            dispatcher._cache = self._sealed
        else:
            dispatcher._cache = self._none
            _keep_unsealed(dispatcher, self._form, self._digest)
        return dispatcher._cache.load_overload(*settings)


def _plus_one(value: float) -> float:
    return value + 1.0


def _trial(value: float) -> float:
    return _trial_step(value)  # type: ignore[no-any-return]


if not numba.config.DISABLE_JIT:
    with _guarded():
        _trial_step = new_step(_plus_one)
        _trials.append(new_kernel(_trial, "serial"))
