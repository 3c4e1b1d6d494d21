import numba
import numpy as np
import pytest

from meanshift_fast.compiled import parallel, serial, step


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


@serial
def _one(value, n_times):
    return _tenfold(value, n_times)


@parallel
def _all(values, n_times, results):
    for i in numba.prange(values.shape[0]):
        results[i] = _tenfold(values[i], n_times)


def test_a_step_runs_as_part_of_serial_and_parallel_kernels_and_has_no_machine_code():
    values, results = np.arange(1000) + 0.3, np.empty(1000)
    assert _one(2.3, 3) == 60.0
    _all(values, 3, results)
    np.testing.assert_array_equal(results, np.arange(1000) * 30.0)
    assert _has_machine_code(_one)
    assert _has_machine_code(_all.spread)
    assert not _has_machine_code(_tenfold)


def test_what_a_step_raises_reaches_the_caller():
    with pytest.raises(ValueError, match="too many times"):
        _one(2.3, 10)
    with pytest.raises(ValueError, match="negative dimensions"):
        _one(2.3, -1)


def test_a_function_of_numba_itself_links_kernels():
    @numba.njit
    def twice(value):
        return 2.0 * _one(value, 1) + _tenfold(value, 1)

    assert twice(2.3) == 60.0
