import contextlib
import gc

import numba
import numpy as np
import pytest

from meanshift_fast._jit.compiler import parallel, serial, step


def _has_machine_code(dispatcher):
    (compiled,) = dispatcher.overloads.values()
    return compiled.library._compiled_object is not None


@step
def _tenfold(value, n_times):
    if n_times > 9:
        raise ValueError("too many times")
    memory = np.empty(n_times)
    memory[:] = np.rint(value)
    return memory.sum() * 10.0


def _one(value, n_times):
    return _tenfold(value, n_times)


def _all(values, n_times, results):
    for i in numba.prange(values.shape[0]):
        results[i] = _tenfold(values[i], n_times)


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))


def test_a_step_runs_as_part_of_serial_and_parallel_kernels_and_has_no_machine_code():
    values, results = np.arange(1000) + 0.3, np.empty(1000)
    one, every = serial(_one), parallel(_all)
    assert one(2.3, 3) == 60.0
    every(values, 3, results)
    np.testing.assert_array_equal(results, np.arange(1000) * 30.0)
    assert _has_machine_code(one)
    assert _has_machine_code(every.spread)
    assert not _has_machine_code(_tenfold)


@step
def _hundredfold(value):
    return 10.0 * _tenfold(value, 1)


@step
def _thousandfold(value):
    return 10.0 * _hundredfold(value) + 0.0 * _tenfold(value, 2)


def _far(value):
    return _thousandfold(value) + _hundredfold(value) + _tenfold(value, 1)


def test_steps_of_steps_are_linked_once_whoever_calls_them():
    assert serial(_far)(2.3) == 2220.0
    assert numba.njit(_far)(2.3) == 2220.0


def test_what_a_step_raises_reaches_the_caller():
    one = serial(_one)
    with pytest.raises(ValueError, match="too many times"):
        one(2.3, 10)
    with pytest.raises(ValueError, match="negative dimensions"):
        one(2.3, -1)


def test_a_function_of_numba_itself_links_kernels():
    one = serial(_one)

    @numba.njit
    def twice(value):
        return 2.0 * one(value, 1) + _tenfold(value, 1)

    assert twice(2.3) == 60.0


def _note(value):
    """Nothing, but that its compilation is noted."""


_collector_worked = []


@numba.extending.overload(_note)
def _compile_note(value):
    _collector_worked.append(gc.isenabled())
    return lambda value: None


def _noting(value):
    _note(value)


def _failing(value):
    return value.nothing


def _compile_and_look(kernel):
    """Whether the garbage collector is at work after a kernel was compiled, or could not be."""
    with contextlib.suppress(numba.TypingError):
        kernel(1.0)
    return gc.isenabled()


def test_no_garbage_is_collected_while_a_kernel_is_compiled_and_after_that_as_before():
    for function in (_noting, _failing):
        assert _compile_and_look(serial(function))
        gc.disable()
        try:
            assert not _compile_and_look(serial(function))
        finally:
            gc.enable()
    assert _collector_worked
    assert not any(_collector_worked)
