"""Kernels are looked up in one registry, by traces, pictures and fits alike."""

import numpy as np
import pytest

from meanshift_fast import trace
from meanshift_fast._index import choice
from meanshift_fast._index.density import density
from meanshift_fast._index.gaussian_kernel import GaussianKernel
from meanshift_fast._index.kernels import KERNELS
from meanshift_fast._input.scaling import readonly_table
from meanshift_fast._input.weights import UNWEIGHTED


@pytest.fixture
def rows():
    return readonly_table(np.random.default_rng(0).normal(size=(200, 2)))


def test_a_kernel_of_another_name_is_found_wherever_kernels_are(rows, monkeypatch):
    monkeypatch.setitem(KERNELS, "bell", GaussianKernel())
    one, other = (trace(rows, rows[0], bandwidth=0.5, kernel=name) for name in ("bell", "gaussian"))
    assert str(one) == str(other)
    np.testing.assert_array_equal(one.neighbours(0), other.neighbours(0))
    one, other = (density(name, rows, UNWEIGHTED, rows[:20], 1.0) for name in ("bell", "gaussian"))
    np.testing.assert_array_equal(one, other)
    one, other = (
        choice.build(rows, radius=1.0, kernel=name).shift(rows[:20].copy())[0]
        for name in ("bell", "gaussian")
    )
    np.testing.assert_array_equal(one, other)


def test_a_kernel_that_is_not_there_is_an_error_of_the_registry(rows):
    with pytest.raises(KeyError, match="triangle"):
        choice.build(rows, radius=1.0, kernel="triangle")
