"""A Numba whose private interfaces changed: Numba's own compiler and cache, and equal answers."""

from importlib.metadata import requires

import numba
import numpy as np
import pytest
from numba.core.codegen import JITCodeLibrary
from numba.parfors import parfor_lowering

from meanshift_fast import MeanShift, get_bin_seeds
from meanshift_fast._jit import linking, numba_interfaces
from meanshift_fast._jit.compiler import parallel, serial, step
from meanshift_fast._jit.disk_cache import SealedCache
from served import run_script

# Each breaks one interface. All run in one process, one after the other, and each imports the
# package anew. The first compiles, and the others load its code from Numba's own cache.
BREAKAGES = """
import contextlib, os, sys, types, warnings
from unittest import mock
import numba, numpy as np
from numba.core import caching, codegen, compiler, typed_passes

@contextlib.contextmanager
def gone(module, name):
    "A module without a name, for those who import from it from now on."
    rest = {key: value for key, value in vars(module).items() if key != name}
    sys.modules[module.__name__] = types.SimpleNamespace(**rest)
    try:
        yield
    finally:
        sys.modules[module.__name__] = module

@contextlib.contextmanager
def index_key_with_one_more_argument():
    key = caching.Cache._index_key
    load = lambda self, sig, context: self._enabled and (
        (data := self._cache_file.load(self._index_key(sig, context.codegen(), None))) and
        self._impl.rebuild(context, data)) or None
    def save(self, sig, data):
        self._impl.locator.ensure_cache_path()
        self._cache_file.save(self._index_key(sig, data.codegen, None), self._impl.reduce(data))
    with mock.patch.multiple(caching.Cache, _load_overload=load, _save_overload=save,
                             _index_key=lambda self, sig, codegen, new: key(self, sig, codegen)):
        yield

@contextlib.contextmanager
def define_pipelines_with_one_more_argument():
    plain, run = compiler.Compiler.define_pipelines, compiler.CompilerBase._compile_core
    def define_pipelines(self, new):
        return plain(self)
    def compile_core(self):
        method = self.define_pipelines
        with mock.patch.object(self, "define_pipelines", lambda: method(None), create=True):
            return run(self)
    with mock.patch.object(compiler.Compiler, "define_pipelines", define_pipelines), \\
            mock.patch.object(compiler.CompilerBase, "_compile_core", compile_core):
        yield

@contextlib.contextmanager
def no_check_of_finalized():
    "Numba's own libraries check by another name."
    library, check = codegen.JITCodeLibrary, codegen.CodeLibrary._raise_if_finalized
    def checks(self):
        if type(self) is not library:
            raise AttributeError("_raise_if_finalized")
        check(self)
    with mock.patch.object(codegen.CodeLibrary, "_raise_if_finalized", checks):
        yield

@contextlib.contextmanager
def cache_with_other_methods():
    "Numba writes its files by methods with new names, so that ours are dead."
    Plain = caching.IndexDataCacheFile
    new = {f"new{name}": vars(Plain)[name]
           for name in ("_load_index", "_save_index", "_load_data", "_save_data")}
    def save(self, key, data):
        overloads = self.new_load_index()
        name = overloads.setdefault(key, self._data_name(len(overloads) + 1))
        self.new_save_index(overloads)
        self.new_save_data(name, data)
    def load(self, key):
        name = self.new_load_index().get(key)
        return name and self.new_load_data(name)
    with mock.patch.multiple(Plain, create=True, save=save, load=load, **new):
        yield

@contextlib.contextmanager
def constructor_with_one_more_argument(owner):
    plain = owner.__init__
    def init(self, *args, **named):
        if type(self) is not owner and "new" not in named:
            raise TypeError("__init__() missing 1 required argument: 'new'")
        named.pop("new", None)
        plain(self, *args, **named)
    with mock.patch.object(owner, "__init__", init):
        yield

def broken():
    yield "no JITCPUCodegen", gone(codegen, "JITCPUCodegen")
    yield "no JITCodeLibrary", gone(codegen, "JITCodeLibrary")
    yield "no InlineOverloads", gone(typed_passes, "InlineOverloads")
    yield "no NopythonRewrites", gone(typed_passes, "NopythonRewrites")
    yield "no IndexDataCacheFile", gone(caching, "IndexDataCacheFile")
    yield "no FunctionCache", gone(caching, "FunctionCache")
    yield "define_pipelines takes more", define_pipelines_with_one_more_argument()
    yield "no _raise_if_finalized", no_check_of_finalized()
    yield "JITCodeLibrary takes more", constructor_with_one_more_argument(codegen.JITCodeLibrary)
    yield "Compiler takes more", constructor_with_one_more_argument(compiler.Compiler)
    yield "FunctionCache takes more", constructor_with_one_more_argument(caching.FunctionCache)
    yield "files take more", constructor_with_one_more_argument(caching.IndexDataCacheFile)
    yield "_index_key takes more", index_key_with_one_more_argument()
    yield "dead methods of the cache", cache_with_other_methods()

X = np.load(sys.argv[1])
for name, breakage in broken():
    forget_package()
    with breakage, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import meanshift_fast
        from meanshift_fast._jit import numba_interfaces
        model = meanshift_fast.MeanShift(bandwidth=2.0, n_jobs=1).fit(X)
        assert not numba_interfaces.are_usable(), name
    np.savez(os.path.join(sys.argv[2], name), centers=model.cluster_centers_, labels=model.labels_)
    messages = [str(w.message) for w in caught if issubclass(w.category, RuntimeWarning)]
    assert len(messages) == 1 and numba.__version__ in messages[0], (name, messages)
    assert numba_interfaces.TRIED_VERSIONS in messages[0]
"""

# Serial kernels are compiled or loaded as ever; parallel loops cannot be, and are not loaded.
LOOPS_BROKEN = """
import sys, warnings
from unittest import mock
import numpy as np
from numba.parfors import parfor_lowering
import meanshift_fast
from meanshift_fast._jit import numba_interfaces
from meanshift_fast._jit.disk_cache import SealedCache

def broken(lowerer, parfor):
    raise AttributeError("'Lower' object has no attribute 'new_joint'")

load = SealedCache.load_overload
def load_no_loop(cache, *settings):
    return None if cache._form == "parallel" else load(cache, *settings)

X = np.load(sys.argv[1])
with warnings.catch_warnings(record=True) as caught, \
        mock.patch.object(SealedCache, "load_overload", load_no_loop), \
        mock.patch.object(parfor_lowering, "_lower_parfor_parallel", broken):
    warnings.simplefilter("always")
    bins = meanshift_fast.get_bin_seeds(X, 2.0)
    assert not numba_interfaces.loops_spread()
    model = meanshift_fast.MeanShift(bandwidth=2.0, n_jobs=2, bin_seeding=True).fit(X)
    predicted = model.predict(X)
assert numba_interfaces.are_usable() and not numba_interfaces.loops_spread()
messages = [str(w.message) for w in caught if issubclass(w.category, RuntimeWarning)]
assert len(messages) == 1 and numba_interfaces.TRIED_VERSIONS in messages[0], messages
assert messages[0].endswith("fits run on one thread"), messages
np.savez(sys.argv[2] + "/found.npz", centers=model.cluster_centers_, labels=model.labels_,
         predicted=predicted, bins=bins)
"""


def test_a_numba_with_other_interfaces_gives_equal_answers_and_one_warning(tmp_path, executable):
    X = np.random.RandomState(0).uniform(0, 10, (60, 2))
    np.save(tmp_path / "X.npy", X)
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    run_script(executable, BREAKAGES, tmp_path / "X.npy", tmp_path, environment=environment)
    expected = MeanShift(bandwidth=2.0).fit(X)
    results = sorted(tmp_path.glob("*.npz"))
    assert len(results) == 14
    for path in results:
        found = np.load(path)
        assert np.array_equal(found["centers"], expected.cluster_centers_), path.stem
        assert np.array_equal(found["labels"], expected.labels_), path.stem
    # One set of files, which all but the first have loaded.
    code, indexes = (list((tmp_path / "cache").rglob(f"*.{ending}")) for ending in ("nbc", "nbi"))
    assert len(code) == len(indexes) > 0


def test_a_numba_that_breaks_parallel_loops_alone_gives_equal_answers_and_one_warning(
    tmp_path, executable
):
    X = np.random.RandomState(0).uniform(0, 100, (20_000, 2))
    np.save(tmp_path / "X.npy", X)
    run_script(executable, LOOPS_BROKEN, tmp_path / "X.npy", tmp_path)
    found = np.load(tmp_path / "found.npz")
    expected = MeanShift(bandwidth=2.0, n_jobs=2, bin_seeding=True).fit(X)
    np.testing.assert_array_equal(found["centers"], expected.cluster_centers_)
    np.testing.assert_array_equal(found["labels"], expected.labels_)
    np.testing.assert_array_equal(found["predicted"], expected.predict(X))
    np.testing.assert_array_equal(found["bins"], get_bin_seeds(X, 2.0))


@step
def _half(value):
    return value / 2.0


def _halves(values, results):
    for i in numba.prange(len(values)):
        results[i] = _half(values[i])


def _quarters(values, results):
    for i in numba.prange(len(values)):
        results[i] = _half(_half(values[i]))


@pytest.mark.parametrize("kind", [AttributeError, numba.TypingError])
def test_plain_numba_compiles_parallel_loops_that_the_linker_alone_cannot(
    kind, tmp_path, monkeypatch
):
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(numba_interfaces, "_link_errors", [])
    lower = parfor_lowering._lower_parfor_parallel

    def lower_unless_linked(lowerer, parfor):
        if isinstance(lowerer.library, linking._KernelLibrary):
            raise kind("a new joint is missing")
        lower(lowerer, parfor)

    monkeypatch.setattr(parfor_lowering, "_lower_parfor_parallel", lower_unless_linked)
    halves, quarters = parallel(_halves), parallel(_quarters)
    values, results = np.arange(1000.0), np.empty(1000)
    with pytest.warns(RuntimeWarning, match=f"{kind.__name__}: .*the first fit takes") as caught:
        halves(values, results)
    np.testing.assert_array_equal(results, values / 2.0)
    quarters(values, results)
    np.testing.assert_array_equal(results, values / 4.0)
    # As where another thread met the error in the same moment.
    other = parallel(_quarters)
    other._compiled_otherwise((results, values), kind("a new joint is missing"), are_linked=True)
    np.testing.assert_array_equal(values, results / 4.0)
    assert len(caught) == 1
    assert numba_interfaces.loops_spread()
    for kernel in (halves, quarters, other):
        (compiled,) = kernel.spread.overloads.values()
        assert type(compiled.library) is JITCodeLibrary


def _twice(value):
    return 2 * value


def test_a_numba_as_it_was_tried_uses_the_linker_and_the_sealed_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))
    assert numba_interfaces.are_usable()
    assert not numba_interfaces._errors
    kernel, later = serial(_twice), serial(_twice)
    assert kernel(2) == later(2) == 4
    assert type(kernel._cache) is SealedCache
    assert kernel._cache.is_used
    assert sum(later.stats.cache_hits.values()) == 1
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2
    for path in files:
        assert later._cache._cache_file._unsealed(path)
    (compiled,) = kernel.overloads.values()
    assert type(compiled.library) is linking._KernelLibrary


def test_the_oldest_numba_that_is_allowed_is_the_oldest_that_was_tried():
    (need,) = (need for need in requires("meanshift_fast") if need.startswith("numba"))
    assert need == f"numba>={numba_interfaces.TRIED_VERSIONS.split()[0]}"
