"""The slow twins agree with scikit-learn, so that agreeing with the twins means something."""

import numpy as np
import pytest
import sklearn.cluster
from threadpoolctl import threadpool_limits

import naive
import samples

CASES = {
    "blobs": (samples.blobs(120, 2), {"bandwidth": 1.0}),
    "five dimensions": (samples.blobs(100, 5), {"bandwidth": 1.5}),
    "estimated bandwidth": (samples.blobs(80, 3), {}),
    "rows on the sphere, 1-d": (samples.lattice(30), {"bandwidth": 3.0}),
    "rows on the sphere, 2-d": (samples.lattice(8, 7), {"bandwidth": 2.0}),
    "rows on the sphere, 3-d": (samples.lattice(4, 5, 4), {"bandwidth": 1.0}),
    "bins": (samples.scattered(90, 2), {"bandwidth": 1.5, "bin_seeding": True}),
    "frequent bins and orphans": (
        samples.blobs(100, 2, box=20.0),
        {"bandwidth": 0.8, "bin_seeding": True, "min_bin_freq": 4, "cluster_all": False},
    ),
    "seeds, one of them out of reach": (
        samples.blobs(100, 2),
        {"bandwidth": 1.5, "seeds": [[2.0, 9.0], [8.0, 1.0], [5.0, 5.0], [900.0, 0.0]]},
    ),
    "pixels": (samples.pixels(40), {"bandwidth": 30.0}),
    "pixels by bins": (samples.pixels(24), {"bandwidth": 25.0, "bin_seeding": True}),
    "float32": (
        samples.rounded(samples.blobs(80, 2)).astype(np.float32),
        {"bandwidth": 1.0, "bin_seeding": True},
    ),
    "max_iter 0": (samples.blobs(60, 2), {"bandwidth": 1.0, "max_iter": 0}),
    "max_iter 2": (samples.scattered(90, 2, side=9), {"bandwidth": 2.5, "max_iter": 2}),
    "digits": (samples.digits(100), {"bandwidth": 25.0}),
}


@pytest.mark.parametrize(("X", "params"), CASES.values(), ids=CASES)
def test_the_twin_clusters_as_scikit_learn_does(X, params):
    with threadpool_limits(1, user_api="openmp"):  # many short calls: threads only wait
        expected = sklearn.cluster.MeanShift(**params).fit(X)
    fit = naive.mean_shift(X, **params)

    assert fit.centers.dtype == expected.cluster_centers_.dtype
    np.testing.assert_allclose(fit.centers, expected.cluster_centers_, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(fit.labels, expected.labels_)
    assert fit.n_iter == expected.n_iter_


def test_the_cases_hold_what_they_promise():
    X, params = CASES["frequent bins and orphans"]
    assert (naive.mean_shift(X, **params).labels == -1).any()
    X, params = CASES["max_iter 2"]
    assert naive.mean_shift(X, **params).n_iter == 2
    assert naive.mean_shift(X, **(params | {"max_iter": 300})).n_iter > 2


@pytest.mark.parametrize("bin_size", [0.3, 1.0, 2, np.float64(0.7), np.float32(0.5)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("min_bin_freq", [1, 2])
def test_the_twin_bins_as_scikit_learn_does(bin_size, dtype, min_bin_freq):
    X = samples.scattered(60, 2, step=0.5).astype(dtype) - 1
    expected = sklearn.cluster.get_bin_seeds(X, bin_size, min_bin_freq)
    seeds = naive.bin_seeds(X, bin_size, min_bin_freq)
    np.testing.assert_array_equal(seeds, expected, strict=True)


def test_the_twin_answers_with_the_rows_where_bins_do_not_help():
    X = samples.blobs(10, 2)
    assert naive.bin_seeds(X, 0) is X
    with pytest.warns(UserWarning, match=r"Binning data failed with provided bin_size=0\.001000"):
        assert naive.bin_seeds(X, 1e-3) is X


@pytest.mark.parametrize("quantile", [0.0, 0.1, 0.3, 0.49, 1.0])
@pytest.mark.parametrize("n_features", [1, 2, 20])
def test_the_twin_estimates_as_scikit_learn_does(quantile, n_features):
    X = samples.blobs(70, n_features)
    expected = sklearn.cluster.estimate_bandwidth(X, quantile=quantile)
    found = naive.estimate_bandwidth(X, quantile=quantile)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("quantile", [0.1, 0.3, 0.8])
def test_a_row_of_weight_three_is_three_rows(quantile):
    points = samples.blobs(40, 2)
    weights = np.random.default_rng(0).integers(1, 4, len(points)).astype(float)
    repeated = np.repeat(points, weights.astype(int), axis=0)

    assert naive.estimate_bandwidth(points, quantile=quantile, weights=weights) == pytest.approx(
        naive.estimate_bandwidth(repeated, quantile=quantile), rel=1e-12
    )
    weighted = naive.mean_shift(points, bandwidth=1.0, weights=weights)
    plain = naive.mean_shift(repeated, bandwidth=1.0)
    np.testing.assert_allclose(weighted.centers, plain.centers, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(weighted.support, plain.support)
    np.testing.assert_array_equal(np.repeat(weighted.labels, weights.astype(int)), plain.labels)


def test_the_history_is_the_trajectories_told_by_rounds():
    # By hand: 0 and 1 meet half way and rest there; 2.5 sees nobody and never moves.
    points = np.array([[0.0], [1.0], [2.5]])
    told = naive.history(naive.climb(points, np.ones(3), points, 1.0), 1.0)
    assert told.tolist() == [(1, 3, 1 / 3, 0.5, 1), (2, 2, 0.0, 0.0, 3)]
    # A seed that sees nobody at all rests where it is.
    told = naive.history(naive.climb(points, np.ones(3), [[0.0], [90.0]], 1.0), 1.0)
    assert told.tolist() == [(1, 2, 0.25, 0.5, 1), (2, 1, 0.0, 0.0, 2)]
