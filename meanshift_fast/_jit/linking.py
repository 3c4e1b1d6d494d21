"""Machine code is made once for each kernel, and not for the steps linked into it.

Numba optimises every function that it compiles and makes machine code of it, even of a step that
is never called from Python. A ``prange`` loop gets four layers around it, each of which holds the
whole loop again:

             step            body of a loop            its two wrappers     kernel
    Numba    machine code    machine code              machine code         machine code
    here     LLVM code       LLVM code                 LLVM code            machine code

Here a step stays LLVM code, and LLVM optimises the kernel with all its steps: with an empty cache a
first fit takes two thirds of the time, and the kernels run equally fast. No function is optimised
before it is linked into its kernel, where it would be optimised again, and Python's garbage
collector is paused while the compiler allocates its millions of objects: a tenth less. Steps are
linked once, into the kernel, and not into each other: 8 % less.

This depends on four interfaces inside Numba: `pipeline_class` of ``njit``, the passes of such a
pipeline, a target context's `subtarget` with a code generator of its own, and the way in which a
code library is finalised. numba_interfaces.py checks whether they still work.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core.codegen import JITCodeLibrary, JITCPUCodegen
from numba.core.compiler import Compiler
from numba.core.typed_passes import InlineOverloads, NopythonRewrites
from numba.core.untyped_passes import InlineClosureLikes

from meanshift_fast._jit.deferral import deferred_signals


def _all_libraries(libraries: list[Any]) -> list[Any]:
    """Libraries and all steps that they need, once each; of a step its own code alone."""
    found: dict[int, Any] = {}
    waiting = libraries[::-1]
    while waiting:
        library = waiting.pop()
        if id(library) not in found:
            is_step = isinstance(library, _StepLibrary)
            found[id(library)] = _OwnModule(library) if is_step else library
            waiting += library._linking_libraries[::-1] if is_step else []
    return list(found.values())


class _KernelLibrary(JITCodeLibrary):
    """Code that Python calls, optimised once it is linked with all its steps."""

    _linking_libraries: list[Any]

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        """Link all steps, and make machine code, which LLVM gives to a callback for the cache."""
        self._linking_libraries = _all_libraries(self._linking_libraries)
        with deferred_signals():
            super().finalize()


class _StepLibrary(_KernelLibrary):
    """LLVM code of a step, linked into kernels and not into other steps.

    It is not optimised alone and has no address.
    """

    def finalize(self) -> None:
        """Close the library without linking it."""
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        self._finalized = True

    def own_module(self) -> Any:
        """Its code without that of other steps."""
        return super()._get_module_for_linking()

    def _get_module_for_linking(self) -> Any:
        """Its code with that of all its steps, for functions that plain Numba compiles."""
        module = self.own_module().clone()
        for library in _all_libraries(self._linking_libraries):
            module.link_in(library._get_module_for_linking(), preserve=True)
        return module

    def get_pointer_to_function(self, name: str) -> int:
        """No address, as Numba marks a function that Python cannot call."""
        return 0


class _OwnModule:
    """A step's library as a kernel links it: its own code; all else is the library's."""

    def __init__(self, library: _StepLibrary) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def _get_module_for_linking(self) -> Any:
        return self._library.own_module()


class _StepCodegen(JITCPUCodegen):
    """Numba's code generator, all of whose libraries are those of steps."""

    _library_class = _StepLibrary

    def __init__(self, codegen: JITCPUCodegen) -> None:
        self.__dict__ = codegen.__dict__

    def set_env(self, env_name: str, env: Any) -> None:
        """Do nothing: a step has no environment of its own.

        Numba keeps the arguments of exceptions there where they are not constant; its own cache
        loses them too. Kernels raise nothing but Numba's constants (out of memory).
        """


# For closures, whole-array expressions and inlined overloads. Kernels have none of them; with any
# they would compile to slower code, or not at all. Without these passes and wrappers for C a first
# fit takes a tenth less.
IDLE_PASSES = {InlineClosureLikes, NopythonRewrites, InlineOverloads}

# Numba's own subroutines, compiled once and linked into whatever needs them again.
_subroutines: dict[Any, Any] = {}


class StepCompiler(Compiler):
    """Compiles a function that only other kernels call."""

    def __init__(self, typingctx: Any, targetctx: Any, *settings: Any) -> None:
        self._codegen = targetctx.codegen()
        targetctx.refresh()
        parts = targetctx.subtarget(_internal_codegen=_StepCodegen(self._codegen))
        parts.cached_internal_func = _subroutines
        super().__init__(typingctx, parts, *settings)

    def define_pipelines(self) -> list[Any]:
        """Numba's passes without the idle ones."""
        pipelines: list[Any] = super().define_pipelines()
        for pipeline in pipelines:
            pipeline.passes = [step for step in pipeline.passes if step[0] not in IDLE_PASSES]
            pipeline.finalize()
        return pipelines


@contextmanager
def paused_collector() -> Iterator[None]:
    """Pause the garbage collector, and restore its state after."""
    was_enabled = gc.isenabled()
    try:  # an interrupt after gc.disable() still restores it
        gc.disable()
        yield
    finally:
        if was_enabled:
            gc.enable()


class KernelCompiler(StepCompiler):
    """Compiles a function that Python calls; the wrappers that Numba adds are steps."""

    def compile_extra(self, func: Any) -> Any:
        """Compile ``func`` into a library of Numba's own kind."""
        self.state.library = _KernelLibrary(self._codegen, func.__qualname__)
        self.state.library.enable_object_caching()
        with paused_collector():
            return super().compile_extra(func)
