"""Whatever lies in the cache, the code that runs is the code of the sources."""

import gc
import importlib
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import meanshift_fast
from meanshift_fast._index import box_distances, flat, soft_cells, stopping, traversal
from meanshift_fast._input import extent as bounds
from meanshift_fast._jit import disk_cache as cache
from meanshift_fast._jit import numba_interfaces, sealing
from served import SCRIPT, run_script

KERNELS = """
from numba import prange
from shared_steps import scaled
from meanshift_fast._jit.compiler import parallel, serial, step
from plain_constants import RAISE

@step
def raised(x):
    return x + RAISE

@serial
def shifted(x):
    return raised(scaled(x))

@parallel
def spread(x):
    for i in prange(x.shape[0]):
        x[i] = x[i] + 1
"""
# Steps of other files: one that the kernels import, and one that this imports.
SHARED = """
from meanshift_fast._jit.compiler import step
from deeper_steps import FACTOR, doubled

@step
def scaled(x):
    return doubled(x) + FACTOR * x
"""
DEEPER = """
from meanshift_fast._jit.compiler import step

FACTOR = 1

@step
def doubled(x):
    return 2 * x
"""

MODULES = ("kernels", "shared_steps", "deeper_steps", "plain_constants")


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    """A file of kernels in a folder of its own, and the cache beside it."""
    monkeypatch.setattr("numba.config.CACHE_DIR", "")
    monkeypatch.setattr("sys.dont_write_bytecode", True)  # Python's own cache is not the matter
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "kernels.py"
    path.write_text(KERNELS)
    (tmp_path / "shared_steps.py").write_text(SHARED)
    (tmp_path / "deeper_steps.py").write_text(DEEPER)
    (tmp_path / "plain_constants.py").write_text("RAISE = 1\n")  # a file without steps
    return path


def load(path):
    """The kernels as a new process would have them: none compiled, the cache as it is on disk."""
    for name in MODULES:
        sys.modules.pop(name, None)
    sealing._read.cache_clear()
    importlib.invalidate_caches()
    module = importlib.import_module("kernels")
    assert module.__file__ == str(path)
    return module


def hits(kernel):
    return sum(kernel.stats.cache_hits.values())


def cached(path, ending):
    """The files of the kernel `shifted`, whose answers are looked at."""
    (found,) = path.parent.glob(f"__pycache__/kernels.shifted-*.{ending}")
    return found


def test_a_later_process_loads_what_an_earlier_one_compiled(kernels):
    first, second = load(kernels).shifted, load(kernels).shifted
    assert (first(2), hits(first)) == (7, 0)
    assert (second(2), hits(second)) == (7, 1)


def test_no_garbage_is_collected_while_code_is_loaded_and_after_that_as_before(
    kernels, monkeypatch
):
    load(kernels).shifted(2)
    worked, read = [], cache._SealedFiles.load
    monkeypatch.setattr(
        cache._SealedFiles, "load", lambda *args: worked.append(gc.isenabled()) or read(*args)
    )
    kernel = load(kernels).shifted
    assert gc.isenabled()
    assert (kernel(2), hits(kernel), gc.isenabled()) == (7, 1, True)
    assert worked == [False]


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGES = {
    "empty": lambda content: b"",
    "one byte": lambda content: content[:1],
    "cut in half": lambda content: content[: len(content) // 2],
    "one byte short": lambda content: content[:-1],
    "one byte more": lambda content: content + b"\0",
    "noise": lambda content: random.Random(0).randbytes(len(content)),
    "noise at the end": lambda content: content[:99] + random.Random(1).randbytes(len(content)),
    "a flipped bit": lambda content: flipped(content, len(content) // 2),
    "a flipped bit in the seal": lambda content: flipped(content, len(content) - 1),
    "another program's": lambda content: b"%PDF-1.7",
}


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_a_damaged_file_is_written_anew(kernels, ending):
    load(kernels).shifted(2)
    for name, damage in DAMAGES.items():
        damaged = cached(kernels, ending)
        damaged.write_bytes(damage(damaged.read_bytes()))
        shifted, later = load(kernels).shifted, load(kernels).shifted
        assert (shifted(2), hits(shifted)) == (7, 0), name
        assert (later(2), hits(later)) == (7, 1), name


def test_data_without_an_index_and_an_index_without_data_are_written_anew(kernels):
    load(kernels).shifted(2)
    for ending in ("nbi", "nbc"):
        cached(kernels, ending).unlink()
        shifted = load(kernels).shifted
        assert (shifted(2), hits(shifted)) == (7, 0)
    assert load(kernels).shifted(2) == 7


def test_a_cache_that_takes_no_file_is_a_warning(kernels):
    load(kernels).shifted(2)
    index = cached(kernels, "nbi")
    index.unlink()
    index.mkdir()  # neither to be read nor replaced, not even by root
    shifted = load(kernels).shifted
    with pytest.warns(UserWarning, match=r"shifted.*NUMBA_CACHE_DIR"):
        assert shifted(2) == 7


@pytest.mark.parametrize(
    ("file", "old", "new", "answer"),
    [
        ("kernels", "raised(scaled(x))", "scaled(raised(x))", 9),
        ("kernels", "return x + RAISE", "return RAISE - x", -5),
        ("shared_steps", "doubled(x) + ", "doubled(x) - ", 3),
        ("deeper_steps", "2 * x", "3 * x", 9),
        ("deeper_steps", "FACTOR = 1", "FACTOR = 4", 13),
        ("plain_constants", "RAISE = 1", "RAISE = 5", 11),
    ],
    ids=[
        "the kernel",
        "a step of it",
        "of another file",
        "a step of that",
        "a constant of that",
        "a constant of a file without steps",
    ],
)
@pytest.mark.parametrize("cache_of", ["sealed", "numba"])
def test_an_edited_file_never_runs_as_it_was(
    kernels, file, old, new, answer, cache_of, monkeypatch
):
    if cache_of == "numba":  # where the sealed cache does not work
        monkeypatch.setattr(numba_interfaces, "_errors", [RuntimeError()])
    # The size and the time are the same, as where a package manager sets the times of what it
    # installs; where a constant changes, so is the byte code.
    load(kernels).shifted(2)
    edited = kernels.with_name(f"{file}.py")
    before, text = edited.stat(), edited.read_text()
    assert text.count(old) == 1
    edited.write_text(text.replace(old, new))
    os.utime(edited, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (edited.stat().st_size, edited.stat().st_mtime_ns) == (
        before.st_size,
        before.st_mtime_ns,
    )
    assert load(kernels).shifted(2) == answer


def test_the_files_of_the_steps_that_kernels_share_follow_from_the_imports():
    def files(kernel):
        found, _ = sealing.step_files(kernel._function)
        return [file for file in found if not file.endswith("compiler.py")]

    shared = [box_distances.__file__, traversal.__file__]
    assert files(flat._shift_all) == sorted([*shared, stopping.__file__])
    assert files(soft_cells._shift_all) == shared
    assert files(bounds._bound_parts) == []


def test_what_other_sources_or_another_numba_made_is_not_loaded(kernels, tmp_path, monkeypatch):
    maker = tmp_path / "maker.py"

    def hits_with(text):
        maker.write_text(text)
        shifted = load(kernels).shifted
        digest = sealing.digest(shifted.py_func, [str(maker)])
        shifted._cache = cache.SealedCache(shifted.py_func, "serial", digest)
        assert shifted(2) == 7
        return hits(shifted)

    assert [hits_with(text) for text in ("a", "a", "b", "b", "a")] == [0, 1, 0, 1, 0]
    monkeypatch.setattr("numba.__version__", "0.0")
    assert hits_with("a") == 0


def test_the_forms_of_a_kernel_do_not_take_each_others_code(kernels):
    form = load(kernels)
    x = np.arange(3.0)
    expected = x + 2
    form.spread.spread(x)
    form.spread.alone(x)
    assert x.tolist() == expected.tolist()
    later = load(kernels)
    later.spread.alone(x)
    later.spread.spread(x)
    assert hits(later.spread.alone) == hits(later.spread.spread) == 1


def test_data_that_is_not_whose_it_should_be_is_not_used(kernels):
    # Two processes that compile for different types number their files alike.
    shifted = load(kernels).shifted
    shifted(2)
    mine = cached(kernels, "nbc")
    content = mine.read_bytes()
    shifted(2.5)
    (other,) = set(kernels.parent.glob("__pycache__/kernels.shifted-*.nbc")) - {mine}
    other.write_bytes(content)
    later = load(kernels).shifted
    assert (later(2.5), later(2), hits(later)) == (8.5, 7, 1)


def test_two_processes_that_compile_at_once_into_one_cache_answer_right(kernels, executable):
    # In opposite orders, so that both number their first file 1.
    script = """
import sys
sys.path.insert(0, sys.argv[1])
import kernels
print("ready", flush=True)
sys.stdin.readline()
for value in eval(sys.argv[2]):
    assert kernels.shifted(value) == 3 * value + 1
"""
    runs = [
        subprocess.Popen(
            [executable, kernels.parent, values],
            env=os.environ | {SCRIPT: script, "NUMBA_CACHE_DIR": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for values in ("[2, 2.5]", "[2.5, 2]")
    ]
    assert [run.stdout.readline() for run in runs] == ["ready\n"] * 2
    for run in runs:
        run.stdin.write("\n")
        run.stdin.flush()
    for run in runs:
        _, err = run.communicate(timeout=600)
        assert run.returncode == 0, err
    later = load(kernels)
    assert (later.shifted(2), later.shifted(2.5)) == (7, 8.5)


# In an interpreter of its own: a process that has imported the package has handed on the callbacks.
SIGNALLED = """
import signal, sys
import numpy as np
from numba.core.codegen import JITCodeLibrary

signals = []

def signalled(callback):
    def called(cls, module, *code):
        if len(signals) < 3 and hasattr(module, "_CPUCodeLibrary__library"):
            signals.append(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return callback(cls, module, *code)
    return classmethod(called)

# LLVM calls one for code from the cache, the other with new code.
for name in ("_object_getbuffer_hook", "_object_compiled_hook"):
    setattr(JITCodeLibrary, name, signalled(getattr(JITCodeLibrary, name).__func__))

for how in ("compiled", "loaded"):
    for name in [name for name in sys.modules if name.startswith("meanshift_fast")]:
        del sys.modules[name]
    signals.clear()
    from meanshift_fast._index import equal_rows
    from meanshift_fast._input.scaling import readonly

    for _ in range(9):
        try:
            _, numbers = equal_rows.find_repeats(readonly(np.zeros((3, 2))))
        except KeyboardInterrupt:
            continue
        break
    hits = sum(equal_rows._number_rows.stats.cache_hits.values())
    print(how, hits, numbers.tolist(), len(signals))
"""


def test_ctrl_c_while_a_kernel_is_compiled_or_loaded_is_raised_after_it(tmp_path):
    place = str(Path(meanshift_fast.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-c", SIGNALLED],
        env=os.environ | {"PYTHONPATH": place, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == "compiled 0 [0, 0, 0] 3\nloaded 1 [0, 0, 0] 3\n"


WINGS = """
import os, sys
import numpy as np

sys.path.insert(0, os.getcwd())

def hits_of_a_process():
    forget_package()
    from meanshift_fast._index import equal_rows
    from meanshift_fast._input.scaling import readonly

    equal_rows.find_repeats(readonly(np.zeros((3, 2))))
    return sum(equal_rows._number_rows.stats.cache_hits.values())

print(hits_of_a_process(), hits_of_a_process())
with open("meanshift_fast/_jit/hashing.py", "r+") as steps:
    text = steps.read()
    edited = text.replace("code >> 32", "code >> 33")
    assert edited != text
    steps.seek(0)
    steps.write(edited)
print(hits_of_a_process(), hits_of_a_process())
"""


def test_an_edit_in_one_wing_compiles_the_kernels_of_another_anew(tmp_path, executable):
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(
        Path(meanshift_fast.__file__).parent, tmp_path / "meanshift_fast", ignore=ignored
    )
    said = run_script(executable, WINGS, environment={"NUMBA_CACHE_DIR": ""}, cwd=tmp_path)
    assert said == "0 1\n0 1\n"
