"""Merging ends into modes: the twin's modes, their order and their support."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
import samples
from meanshift_fast._cluster.modes import merge_modes
from meanshift_fast._index import thresholds
from meanshift_fast._jit.threads import borrowed_threads


def assert_merges_as_the_twin(ends, support, bandwidth):
    expected_modes, expected_support = naive.merge_modes(ends, support, bandwidth)
    found_modes, mode_support = merge_modes(ends, support, bandwidth)
    np.testing.assert_array_equal(found_modes, expected_modes)
    np.testing.assert_array_equal(mode_support, expected_support)


# With a budget of one visit, the ends that wait after the first sweep go into a tree at once.
@pytest.mark.jitless
@pytest.mark.parametrize("budget", [thresholds.MIN_ENDPOINT_VISITS, 1], ids=["sweeps", "tree"])
@given(data=st.data())
def test_coarse_ends_merge_as_in_the_twin(budget, data):
    shape = (data.draw(st.integers(1, 40)), data.draw(st.integers(1, 4)))
    ends = data.draw(arrays(np.int64, shape, elements=st.integers(-3, 3))).astype(float)
    support = data.draw(arrays(np.int64, shape[0], elements=st.integers(1, 4))).astype(float)
    bandwidth = data.draw(st.sampled_from([0.0, 0.5, 1.0, 2.0, 2.5, 100.0]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thresholds, "MIN_ENDPOINT_VISITS", budget)
        patch.setattr(thresholds, "MAX_ENDPOINT_SWEEPS", 0)
        assert_merges_as_the_twin(ends, support, bandwidth)


@pytest.mark.jitless
@pytest.mark.parametrize("bandwidth", [0.1, 1.0, 2.5])
def test_a_tree_of_several_blocks_merges_as_the_twin(bandwidth, monkeypatch):
    monkeypatch.setattr(thresholds, "MIN_ENDPOINT_VISITS", 1)
    monkeypatch.setattr(thresholds, "MAX_ENDPOINT_SWEEPS", 0)
    ends = samples.scattered(600, 2, side=30)
    support = np.random.default_rng(0).integers(1, 9, 600).astype(float)
    assert_merges_as_the_twin(ends, support, bandwidth)


@pytest.mark.parametrize("n_features", [1, 2, 3, 8, 40])
@pytest.mark.parametrize("width", [0.02, 0.3, 1.0])
def test_hundreds_of_modes_merge_as_in_the_twin(n_features, width):
    rng = np.random.default_rng(n_features)
    ends = rng.uniform(-1, 1, (1200, n_features))
    support = rng.integers(1, 50, 1200).astype(float)
    assert_merges_as_the_twin(ends, support, width * np.sqrt(n_features))


@pytest.mark.parametrize("n_features", [1, 2, 5])
def test_a_lattice_of_equal_support_merges_as_in_the_twin(n_features):
    ends = samples.scattered(1500, n_features, side=12)
    for bandwidth in (1.0, 2.0, 5.0):
        assert_merges_as_the_twin(ends, np.full(len(ends), 7.0), bandwidth)


def test_clouds_of_ends_collapse_to_their_heaviest():
    rng = np.random.default_rng(3)
    ends = np.repeat(100 * samples.lattice(6, 6), 80, axis=0) + rng.uniform(-1, 1, (2880, 2))
    support = rng.permutation(2880.0 + np.arange(2880))
    assert len(merge_modes(ends, support, 10.0)[0]) == 36
    assert_merges_as_the_twin(ends, support, 10.0)


@pytest.mark.jitless
def test_of_equal_ends_the_last_one_counts():
    ends = np.array([[1.0, 0.0], [5.0, 0.0], [1.0, 0.0], [-0.0, 9.0], [0.0, 9.0]])
    kept, support = merge_modes(ends, np.array([9.0, 4.0, 3.0, 2.0, 8.0]), 0.5)
    np.testing.assert_array_equal(kept, [[0.0, 9.0], [5.0, 0.0], [1.0, 0.0]])
    np.testing.assert_array_equal(support, [8, 4, 3])


@pytest.mark.jitless
def test_an_end_exactly_a_bandwidth_from_a_mode_is_removed():
    ends = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, np.nextafter(4.0, 5)]])
    kept, _ = merge_modes(ends, np.array([3.0, 2.0, 1.0]), 5.0)
    np.testing.assert_array_equal(kept, ends[[0, 2]])


@pytest.mark.jitless
@pytest.mark.parametrize("n_features", [15, 16, 33, 64])
def test_in_many_columns_the_border_falls_as_in_the_sum_over_the_features(n_features):
    rng = np.random.default_rng(n_features)
    for _ in range(20):
        heavy, light = ends = rng.normal(size=(2, n_features))
        edge = np.sqrt(naive.distances_sq(light[None], heavy)[0])
        for bandwidth in (edge, np.nextafter(edge, 0.0), np.nextafter(edge, 9.0)):
            assert_merges_as_the_twin(ends, np.array([2.0, 1.0]), bandwidth)


@pytest.mark.jitless
def test_what_a_removed_end_was_near_to_stays():
    ends = np.array([[0.0], [0.9], [1.8], [2.7]])
    kept, support = merge_modes(ends, np.array([4.0, 3.0, 2.0, 1.0]), 1.0)
    np.testing.assert_array_equal(kept, [[0.0], [1.8]])
    np.testing.assert_array_equal(support, [4, 2])


@pytest.fixture
def into_a_tree(monkeypatch):
    """Leave one mode to the sweeps, and the others to the tree."""
    monkeypatch.setattr(thresholds, "MIN_ENDPOINT_VISITS", 1)
    monkeypatch.setattr(thresholds, "MAX_ENDPOINT_SWEEPS", 0)


@pytest.mark.jitless
@pytest.mark.parametrize("bandwidth", [0.0, 1.0])
def test_one_end_is_the_mode(bandwidth):
    kept, support = merge_modes(np.array([[3.0, -2.0]]), np.array([5.0]), bandwidth)
    assert kept.tolist() == [[3.0, -2.0]]
    assert support.tolist() == [5.0]


@pytest.mark.parametrize("bandwidth", [0.0, 1.0])
def test_ends_that_are_all_equal_are_one_mode_with_the_support_of_the_last(bandwidth):
    kept, support = merge_modes(np.full((5000, 3), 0.1), np.arange(5000.0, 0.0, -1), bandwidth)
    assert kept.tolist() == [[0.1, 0.1, 0.1]]
    assert support.tolist() == [1.0]


@pytest.mark.jitless
def test_of_equal_ends_the_first_is_shown():
    kept, _ = merge_modes(np.array([[-0.0, 1.0], [0.0, 1.0]]), np.array([1.0, 2.0]), 0.0)
    assert np.signbit(kept[0, 0])


@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled"])
def test_a_chain_keeps_every_other_end_from_its_heavy_side(order, into_a_tree):
    n = 20_001
    line = {
        "ascending": np.arange(n),
        "descending": np.arange(n)[::-1],
        "shuffled": np.random.default_rng(0).permutation(n),
    }[order]
    ends = np.zeros((n, 3))
    ends[:, 2] = line
    kept, support = merge_modes(ends, np.full(n, 4.0), 1.0)
    np.testing.assert_array_equal(kept[:, 2], np.arange(n)[::-2])
    np.testing.assert_array_equal(support, 4.0)


def test_isolated_ends_are_all_modes_in_order(into_a_tree):
    rng = np.random.default_rng(1)
    ends = rng.permutation(samples.lattice(30, 30, 30))
    support = rng.integers(1, 4, len(ends)).astype(float)
    kept, _ = merge_modes(ends, support, 0.9)
    order = np.lexsort((*ends.T[::-1], support))[::-1]
    np.testing.assert_array_equal(kept, ends[order])


@pytest.mark.parametrize("n_features", [2, 30])
@pytest.mark.parametrize("bandwidth", [0.01, 0.5, 3.0])
def test_sweeps_and_tree_keep_the_same_modes(n_features, bandwidth, monkeypatch):
    ends = samples.blobs(6000, n_features, spread=0.3)
    ends = np.vstack([ends, ends[:500]])
    support = np.random.default_rng(0).integers(1, 9, len(ends)).astype(float)
    monkeypatch.setattr(thresholds, "MAX_ENDPOINT_SWEEPS", len(ends))
    swept, swept_support = merge_modes(ends, support, bandwidth)
    monkeypatch.setattr(thresholds, "MAX_ENDPOINT_SWEEPS", 0)
    monkeypatch.setattr(thresholds, "MIN_ENDPOINT_VISITS", 1)
    sifted, sifted_support = merge_modes(ends, support, bandwidth)
    np.testing.assert_array_equal(sifted, swept)
    np.testing.assert_array_equal(sifted_support, swept_support)


def test_modes_are_bit_equal_for_one_thread_and_two(into_a_tree):
    ends = samples.blobs(30_000, 2, spread=2.0)
    support = np.random.default_rng(0).integers(1, 9, len(ends)).astype(float)
    found = []
    for n_threads in (1, 2):
        with borrowed_threads(n_threads):
            found.append(merge_modes(ends, support, 0.2))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_what_goes_in_stays_as_it_is():
    ends = np.repeat(samples.blobs(50, 2), 2, axis=0)
    support = np.arange(1.0, 101.0)
    ends.flags.writeable = support.flags.writeable = False
    merge_modes(ends, support, 1.0)
    np.testing.assert_array_equal(support, np.arange(1.0, 101.0))


@pytest.mark.jitless
def test_squares_that_overflow_are_beyond_every_ball(into_a_tree):
    ends = np.array([[1e200, 0.0], [-1e200, 0.0], [1e200, 1.0], [0.0, 0.0], [0.0, 0.5]])
    with np.errstate(over="ignore"):
        assert_merges_as_the_twin(ends, np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 1.0)
