"""Repeats: NumPy's distinct rows, in order of appearance."""

import numpy as np
import pytest

from meanshift_fast._index.equal_rows import MAX_SAMPLE_ROWS, find_repeats, may_repeat
from meanshift_fast._input.scaling import readonly
from samples import blobs, scattered

TABLES = {
    "crowded": scattered(300, 3, side=4),
    "distinct": blobs(200, 2),
    "all equal": np.full((70, 2), 0.1),
    "one row": np.ones((1, 1)),
    "signed zeros": np.where(scattered(90, 2, side=2) == 0, [0.0, -0.0], 1.0),
}


@pytest.mark.jitless
@pytest.mark.parametrize("rows", TABLES.values(), ids=TABLES)
def test_equal_rows_share_the_number_of_their_first(rows):
    firsts, numbers = find_repeats(readonly(rows))
    _, expected = np.unique(rows + 0.0, axis=0, return_index=True)
    np.testing.assert_array_equal(firsts, np.sort(expected))
    np.testing.assert_array_equal(rows[firsts][numbers], rows)
    np.testing.assert_array_equal(numbers[firsts], np.arange(len(firsts)))


@pytest.mark.jitless
def test_zeros_of_either_sign_are_equal():
    rows = np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0], [1.0, -0.0]])
    firsts, numbers = find_repeats(readonly(rows))
    assert firsts.tolist() == [0, 2]
    assert numbers.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("n_rows", [2, 90, MAX_SAMPLE_ROWS, MAX_SAMPLE_ROWS + 1, 300_000])
def test_rows_that_are_two_of_each_may_repeat_and_distinct_ones_may_not(n_rows):
    rows = np.random.default_rng(0).normal(size=(n_rows, 2))
    assert not may_repeat(readonly(rows))
    assert may_repeat(readonly(rows[np.random.default_rng(1).permutation(np.arange(n_rows) // 2)]))
    assert not may_repeat(rows[:1])


@pytest.mark.parametrize("n_rows", [2, 90, 8192, 9001])
def test_equal_rows_side_by_side_and_half_a_table_apart_are_seen(n_rows):
    rows = np.random.default_rng(0).normal(size=(n_rows, 2))
    assert may_repeat(np.repeat(rows, 2, axis=0))
    assert may_repeat(np.tile(rows, (2, 1)))
