"""The box of a table is that of its columns' extremes, however the rows are shared out."""

import numpy as np
import pytest

from meanshift_fast._input.extent import MIN_PARALLEL_VALUES, bounds_of, extremes
from meanshift_fast._input.scaling import readonly
from meanshift_fast._jit.threads import borrowed_threads


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("n_features", [1, 2, 3, 17])
@pytest.mark.parametrize("n_samples", [1, 15, 16, 33, 1000])
def test_bounds_are_the_least_and_the_largest_of_each_column(n_samples, n_features, n_threads):
    rng = np.random.default_rng(n_samples)
    points = readonly(rng.normal(size=(n_samples, n_features)) * 10.0 ** rng.integers(-99, 99))
    with borrowed_threads(n_threads):
        found = bounds_of(points)
    np.testing.assert_array_equal(found, [points.min(axis=0), points.max(axis=0)])
    assert not found.flags.writeable


@pytest.mark.parametrize("place", [0, 1, MIN_PARALLEL_VALUES // 4, MIN_PARALLEL_VALUES // 2 - 1])
def test_an_extreme_is_found_wherever_it_stands(place):
    points = np.zeros((MIN_PARALLEL_VALUES // 2, 2))
    points[place] = -3.0, 5.0
    np.testing.assert_array_equal(extremes(readonly(points)), [[-3.0, 0.0], [0.0, 5.0]])


def test_of_a_small_table_the_extremes_are_looked_for_where_they_are():
    points = readonly(np.zeros((MIN_PARALLEL_VALUES // 2 - 1, 2)))
    assert extremes(points) is points
    assert len(extremes(readonly(np.zeros((MIN_PARALLEL_VALUES // 2, 2))))) == 2
