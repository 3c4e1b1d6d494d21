"""Machine code is made once: of a kernel as a whole, and of nothing that is only linked into one.

Numba optimises every function that it compiles and makes machine code of it, a step that no one
calls by itself like any other. A ``prange`` loop gets four layers around it, each of which holds
the whole loop again:

             a step     the body of a loop     its two wrappers     the kernel
    Numba    code       code                   code, code           code
    here     a part     a part                 parts                code

What is linked in stays plain LLVM code, a part, and LLVM optimises the kernel with all its parts.
On a quiet machine a first fit with an empty cache takes 8.6 s and took 13.3 s; the kernels run as
fast as they did. On a slower day two things more made 10.7 to 11.9 s of 11.6 to 13.2: no function
is optimised before it is in its kernel, where that would be done again, and Python's garbage
collector rests while the compiler makes its millions of objects, of which few are garbage. Parts
are linked once, into the kernel, and not into each part on the way, which spares 8 % more: a first
fit of 5,000 rows takes 6.3 times as long as its types take to infer, and took 6.9.

This rests on four of Numba's joints: `pipeline_class` of ``njit``, the passes of such a pipeline, a
target context's `subtarget` with a code generator of its own, and the steps in which a code library
is finalised. They are the same in Numba 0.60 and 0.68.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core.codegen import JITCodeLibrary, JITCPUCodegen
from numba.core.compiler import Compiler
from numba.core.typed_passes import InlineOverloads, NopythonRewrites
from numba.core.untyped_passes import InlineClosureLikes


def _all_parts(libraries: list[Any]) -> list[Any]:
    """Libraries, and the parts that any of them needs, once each; of a part its own code alone."""
    found: dict[int, Any] = {}
    waiting = libraries[::-1]
    while waiting:
        library = waiting.pop()
        if id(library) not in found:
            is_part = isinstance(library, _Part)
            found[id(library)] = _OwnCode(library) if is_part else library
            waiting += library._linking_libraries[::-1] if is_part else []
    return list(found.values())


class _Whole(JITCodeLibrary):
    """Code that Python calls. It is optimised as a whole, with all its parts, and not before."""

    _linking_libraries: list[Any]

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        """Link all parts, and make machine code."""
        self._linking_libraries = _all_parts(self._linking_libraries)
        super().finalize()


class _Part(_Whole):
    """Code to be linked into other code, once and not into the parts between.

    It is not optimised by itself and has no address.
    """

    def finalize(self) -> None:
        """Note that there is no more to come."""
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        self._finalized = True

    def own_module(self) -> Any:
        """Its code without that of other parts."""
        return super()._get_module_for_linking()

    def _get_module_for_linking(self) -> Any:
        """Its code with that of all parts, for functions of Numba's own kind."""
        module = self.own_module().clone()
        for library in _all_parts(self._linking_libraries):
            module.link_in(library._get_module_for_linking(), preserve=True)
        return module

    def get_pointer_to_function(self, name: str) -> int:
        return 0  # Numba's word for a function that Python cannot call


class _OwnCode:
    """A part as a kernel links it: what else Numba asks of a library, the part itself tells."""

    def __init__(self, part: _Part) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)

    def _get_module_for_linking(self) -> Any:
        return self._part.own_module()


class _PartCodegen(JITCPUCodegen):
    """Numba's code generator, all of whose libraries are parts."""

    _library_class = _Part

    def __init__(self, codegen: JITCPUCodegen) -> None:
        self.__dict__ = codegen.__dict__

    def set_env(self, env_name: str, env: Any) -> None:
        """Do nothing: parts have no memory of their own.

        Numba keeps there what an exception says if that is not a constant; nor does it survive
        Numba's own cache. Kernels raise nothing but Numba's constants (out of memory).
        """


# For closures, whole-array expressions and overloads that ask to be inlined, of which kernels have
# none; with any they would compile to slower code, or not at all. Without these passes, without
# wrappers for C and with two kernels less a first fit of 5,000 rows takes 16.6 s and not 18.8, by
# turns, three each.
IDLE_PASSES = {InlineClosureLikes, NopythonRewrites, InlineOverloads}

# What Numba compiles on its own account, and links into whatever asks for it again.
_subroutines: dict[Any, Any] = {}


class PartCompiler(Compiler):
    """Compiles a function that only other kernels call."""

    def __init__(self, typingctx: Any, targetctx: Any, *settings: Any) -> None:
        self._codegen = targetctx.codegen()
        targetctx.refresh()
        parts = targetctx.subtarget(_internal_codegen=_PartCodegen(self._codegen))
        parts.cached_internal_func = _subroutines
        super().__init__(typingctx, parts, *settings)

    def define_pipelines(self) -> list[Any]:
        """Numba's passes, but for those that our functions leave nothing to do."""
        pipelines: list[Any] = super().define_pipelines()
        for pipeline in pipelines:
            pipeline.passes = [step for step in pipeline.passes if step[0] not in IDLE_PASSES]
            pipeline.finalize()
        return pipelines


@contextmanager
def paused_collector() -> Iterator[None]:
    """Collect no garbage within, where much would be looked at for little; after it as before."""
    was_at_work = gc.isenabled()
    try:  # where Ctrl-C comes after the first line, the second is undone
        gc.disable()
        yield
    finally:
        if was_at_work:
            gc.enable()


class KernelCompiler(PartCompiler):
    """Compiles a function that Python calls; all that Numba puts around it are parts."""

    def compile_extra(self, func: Any) -> Any:
        """Compile ``func`` into a library of Numba's own kind."""
        self.state.library = _Whole(self._codegen, func.__qualname__)
        self.state.library.enable_object_caching()
        with paused_collector():
            return super().compile_extra(func)
