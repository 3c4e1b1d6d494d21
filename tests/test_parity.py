"""The same answer as scikit-learn: centres, their order, labels, rounds, bins and bandwidths."""

from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest
import sklearn
import sklearn.cluster
from sklearn.datasets import load_iris, load_wine
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import _base as neighbors
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import naive
import samples
from meanshift_fast import MeanShift, estimate_bandwidth, mean_shift
from meanshift_fast._index import moment_tree as tree


def far_blobs(offset):
    """Sixteen distant blobs on a fine lattice: exact sums, whatever the offset.

    scikit-learn expands the square where there are few centres, and so loses the bandwidth
    among the digits of the offset; with sixteen it does not, and the comparison is fair.
    """
    corners = 1000 * samples.lattice(4, 4)
    return offset + samples.rounded(
        np.repeat(corners, 10, axis=0) + 0.3 * samples.blobs(160, 2, box=1.0), 1 / 16
    )


def with_orphans(n_features=2):
    rng = np.random.default_rng(7)
    crowd = samples.blobs(120, n_features, spread=0.3, seed=3)
    return np.vstack([crowd, rng.uniform(-30, 30, (25, n_features))])


BLOBS_2D = samples.blobs(150, 2)
EXACT_2D = samples.rounded(BLOBS_2D)
SEEDS = [[2.0, 9.0], [8.0, 1.0], [5.0, 5.0], [900.0, 0.0], [5.0, 5.0]]

# The tiny ones, which the suite repeats with interpreted kernels.
TINY = {
    "1-d blobs": (samples.blobs(40, 1), {"bandwidth": 0.7}),
    "lattice in 2-d": (samples.lattice(7, 6), {"bandwidth": 2.0}),
    "3-d by bins with orphans": (
        samples.scattered(60, 3, side=5),
        {"bandwidth": 1.5, "bin_seeding": True, "min_bin_freq": 2, "cluster_all": False},
    ),
    "17-d blobs": (samples.blobs(40, 17), {"bandwidth": 4.0}),
    "estimated bandwidth": (samples.blobs(50, 2), {}),
}

CASES = {
    # every row a seed, from 1 to 64 dimensions
    "1-d": (samples.blobs(120, 1), {"bandwidth": 0.7}),
    "2-d": (BLOBS_2D, {"bandwidth": 1.0}),
    "2-d, wide": (BLOBS_2D, {"bandwidth": 4.0}),
    "2-d, narrow": (BLOBS_2D, {"bandwidth": 0.15}),
    "2-d, one cluster": (BLOBS_2D, {"bandwidth": 100}),
    "3-d": (samples.blobs(120, 3), {"bandwidth": 1.2}),
    "4-d": (samples.blobs(120, 4), {"bandwidth": 1.3}),
    "5-d": (samples.blobs(120, 5), {"bandwidth": 1.5}),
    "8-d": (samples.blobs(100, 8), {"bandwidth": 1.8}),
    "10-d": (samples.blobs(100, 10), {"bandwidth": 2.0}),
    "15-d": (samples.blobs(100, 15), {"bandwidth": 2.3}),
    "16-d": (samples.blobs(100, 16), {"bandwidth": 2.4}),
    "20-d": (samples.blobs(100, 20), {"bandwidth": 2.7}),
    "33-d": (samples.blobs(80, 33), {"bandwidth": 3.4}),
    "64-d, digits": (samples.digits(150), {"bandwidth": 25.0}),
    "64-d, blobs": (samples.blobs(80, 64), {"bandwidth": 4.7}),
    "uniform, no clusters": (
        np.random.default_rng(5).uniform(0, 10, (150, 2)),
        {"bandwidth": 1.7},
    ),
    # bins
    "1-d by bins": (samples.blobs(600, 1), {"bandwidth": 0.5, "bin_seeding": True}),
    "2-d by bins": (samples.blobs(1000, 2), {"bandwidth": 0.8, "bin_seeding": True}),
    "3-d by bins": (samples.blobs(800, 3), {"bandwidth": 1.0, "bin_seeding": True}),
    "7-d by bins": (samples.blobs(300, 7), {"bandwidth": 2.0, "bin_seeding": True}),
    "bins of 5 rows": (
        samples.blobs(1000, 2),
        {"bandwidth": 0.8, "bin_seeding": True, "min_bin_freq": 5},
    ),
    "negative coordinates by bins": (
        samples.blobs(500, 2) - 5,
        {"bandwidth": 0.9, "bin_seeding": True},
    ),
    "bins of an estimate, which are not rounded to float32": (
        samples.scattered(60, 1, side=7),
        {"bin_seeding": True},
    ),
    # given seeds
    "seeds, one of them out of reach": (BLOBS_2D, {"bandwidth": 1.5, "seeds": SEEDS}),
    "seeds win over bins": (
        BLOBS_2D,
        {"bandwidth": 1.5, "seeds": SEEDS, "bin_seeding": True},
    ),
    "whole seeds on whole rows": (
        samples.scattered(80, 3).astype(int),
        {"bandwidth": 2.0, "seeds": samples.lattice(3, 3, 3).astype(int)},
    ),
    "a single seed": (BLOBS_2D, {"bandwidth": 2.0, "seeds": BLOBS_2D[:1]}),
    # orphans
    "orphans": (
        with_orphans(),
        {"bandwidth": 1.0, "bin_seeding": True, "min_bin_freq": 4, "cluster_all": False},
    ),
    "orphans, all clustered": (
        with_orphans(),
        {"bandwidth": 1.0, "bin_seeding": True, "min_bin_freq": 4},
    ),
    "orphans in 20-d": (
        with_orphans(20),
        {"bandwidth": 3.0, "seeds": with_orphans(20)[:30], "cluster_all": False},
    ),
    "orphans by seeds": (
        BLOBS_2D,
        {"bandwidth": 1.0, "seeds": BLOBS_2D[:2], "cluster_all": False},
    ),
    # rows exactly on the sphere, and equal distances to several centres
    "1-d lattice": (samples.lattice(40), {"bandwidth": 3}),
    "2-d lattice, bandwidth 1": (samples.lattice(9, 6), {"bandwidth": 1.0}),
    "2-d lattice, bandwidth 5": (samples.lattice(13, 12), {"bandwidth": 5.0}),
    "3-d lattice": (samples.lattice(5, 5, 5), {"bandwidth": 2.0}),
    "lattice by bins": (
        samples.lattice(12, 12),
        {"bandwidth": 2.0, "bin_seeding": True, "cluster_all": False},
    ),
    "half lattice": (samples.scattered(140, 2, step=0.5), {"bandwidth": 0.5}),
    "lattice left of zero": (samples.lattice(9, 9) - 20, {"bandwidth": 2.5}),
    # repeated rows
    "duplicates": (samples.scattered(200, 2, side=4), {"bandwidth": 1.0}),
    "each row thrice": (np.repeat(samples.blobs(40, 2), 3, axis=0), {"bandwidth": 1.0}),
    "all rows equal": (np.full((30, 2), 0.75), {"bandwidth": 0.5}),
    "a constant column": (
        np.column_stack([samples.blobs(100, 2), np.full(100, 3.0)]),
        {"bandwidth": 1.0},
    ),
    # pixels
    "pixels": (samples.pixels(48), {"bandwidth": 30.0}),
    "pixels by bins": (samples.pixels(20), {"bandwidth": 25.0, "bin_seeding": True}),
    "pixels as floats": (samples.pixels(48).astype(float), {"bandwidth": 40.0}),
    "pixels as float32 by bins": (
        samples.pixels(24).astype(np.float32),
        {"bandwidth": 20.0, "bin_seeding": True, "cluster_all": False},
    ),
    "pixels over 255": (samples.pixels(24) / 255, {"bandwidth": 0.1, "bin_seeding": True}),
    # far from the origin
    "offset 1e6": (far_blobs(1e6), {"bandwidth": 2.0}),
    "offset -1e7": (far_blobs(-1e7), {"bandwidth": 2.0, "bin_seeding": True}),
    "offset 1e9": (far_blobs(1e9), {"bandwidth": 2.0}),
    # few rounds
    "max_iter 0": (EXACT_2D, {"bandwidth": 1.0, "max_iter": 0}),
    "max_iter 1": (BLOBS_2D, {"bandwidth": 1.0, "max_iter": 1}),
    "max_iter 5": (samples.blobs(300, 2, spread=1.0), {"bandwidth": 0.5, "max_iter": 5}),
    "max_iter 1 by bins": (
        samples.blobs(500, 3),
        {"bandwidth": 0.8, "bin_seeding": True, "max_iter": 1},
    ),
    # estimated bandwidth
    "estimated in 3-d": (samples.blobs(100, 3), {}),
    "estimated by bins": (samples.blobs(400, 2), {"bin_seeding": True}),
    "estimated in 64-d": (samples.digits(80), {}),
    "estimated zero": (
        np.repeat([[0.0, 1.0], [2.0, 0.0], [0.5, 8.0]], [9, 7, 6], axis=0),
        {},
    ),
    # dtypes and layouts
    "float32": (EXACT_2D.astype(np.float32), {"bandwidth": 1.0}),
    "float32 lattice": (samples.lattice(8, 8).astype(np.float32), {"bandwidth": 2.0}),
    "float32 by bins": (
        samples.rounded(samples.blobs(500, 3)).astype(np.float32),
        {"bandwidth": 1.0, "bin_seeding": True},
    ),
    "int64": (samples.scattered(100, 2, side=9).astype(np.int64), {"bandwidth": 2}),
    "int32": (samples.scattered(100, 3).astype(np.int32), {"bandwidth": 1.5}),
    "int8 by bins": (
        samples.scattered(100, 2, side=9).astype(np.int8) - np.int8(4),
        {"bandwidth": 2.0, "bin_seeding": True},
    ),
    "Fortran order": (np.asfortranarray(BLOBS_2D), {"bandwidth": 1.0}),
    "columns of a wider table": (samples.blobs(100, 6)[::2, 1:4], {"bandwidth": 1.0}),
    "backwards": (BLOBS_2D[::-1, ::-1], {"bandwidth": 1.0}),
    # tiny tables, where scikit-learn takes another path
    "one row": (np.array([[1.5, -2.0]]), {"bandwidth": 1.0}),
    "two rows a bandwidth apart": (np.array([[0.0], [2.0]]), {"bandwidth": 2.0}),
    "six rows": (
        np.array([[1, 1], [2, 1], [1, 0], [4, 7], [3, 5], [3, 6]]),
        {"bandwidth": 2},
    ),
}

# Tables of many chunks and several levels of blocks, from few seeds, because scikit-learn lists
# the neighbours of every one.
FEW = {"seeds": samples.blobs(12, 2, spread=1.0, seed=0)}
HEAVY = np.vstack([np.full((9000, 2), 0.75), samples.blobs(400, 2)])
LARGE = {
    "1-d by bins": lambda: (samples.blobs(20_000, 1), {"bandwidth": 0.6, "bin_seeding": True}),
    "2-d by bins": lambda: (samples.blobs(6000, 2), {"bandwidth": 0.8, "bin_seeding": True}),
    "2-d, three levels": lambda: (samples.blobs(70_000, 2), {"bandwidth": 0.5, **FEW}),
    "3-d by bins": lambda: (
        samples.blobs(9000, 3),
        {"bandwidth": 1.2, "bin_seeding": True, "min_bin_freq": 20},
    ),
    "8-d": lambda: (
        samples.blobs(5000, 8),
        {"bandwidth": 1.6, "seeds": samples.blobs(5000, 8)[:20]},
    ),
    "30-d": lambda: (
        samples.blobs(4500, 30),
        {"bandwidth": 3.2, "seeds": samples.blobs(4500, 30)[:8]},
    ),
    "one heavy cell": lambda: (HEAVY, {"bandwidth": 1.0, **FEW, "cluster_all": False}),
    "a far row stretches the grid": lambda: (
        np.vstack([samples.blobs(6000, 2), [[1e6, -1e6]]]),
        {"bandwidth": 0.8, "bin_seeding": True},
    ),
    "a constant column": lambda: (
        np.column_stack([samples.blobs(6000, 2), np.zeros(6000)]),
        {"bandwidth": 0.8, "bin_seeding": True, "min_bin_freq": 9},
    ),
    "lattice": lambda: (samples.lattice(90, 70), {"bandwidth": 13.0, "bin_seeding": True}),
    "lattice with duplicates": lambda: (
        samples.scattered(12_000, 3, side=9),
        {"bandwidth": 3.0, "seeds": samples.lattice(4, 4, 4) * 2},
    ),
    "pixels": lambda: (
        samples.pixels(8),
        {"bandwidth": 25.0, "bin_seeding": True, "min_bin_freq": 16},
    ),
    "float32 pixels": lambda: (
        samples.pixels(10).astype(np.float32),
        {"bandwidth": 32.0, "bin_seeding": True, "min_bin_freq": 12, "cluster_all": False},
    ),
    "offset 1e8": lambda: (  # beyond 2^24 bins of 30, seeds are others on purpose
        1e8 + samples.lattice(80, 80) * 4,
        {"bandwidth": 30.0, "bin_seeding": True},
    ),
    # from 2^18 rows on, rows are sorted into cells first; below, where a test says so
    "cells": lambda: (samples.blobs(270_000, 2), {"bandwidth": 0.4, **FEW}),
    "cells of a heavy cell": lambda: (
        np.vstack([np.full((9000, 2), 0.75), samples.blobs(20_000, 2)]),
        {"bandwidth": 0.3, **FEW, "cluster_all": False},
    ),
    "cells stretched by a far row": lambda: (
        np.vstack([samples.blobs(25_000, 2), [[1e7, -1e7]]]),
        {"bandwidth": 0.4, **FEW},
    ),
    "cells of a lattice": lambda: (
        samples.lattice(4, 90, 80),
        {"bandwidth": 7.0, "seeds": 11.5 * samples.lattice(1, 8, 6), "cluster_all": False},
    ),
    "every pixel": lambda: (
        samples.pixels(1),
        {"bandwidth": 25.0, "seeds": samples.pixels(80), "max_iter": 3},
    ),
}


@contextmanager
def quick_scikit_learn():
    """Let scikit-learn check nothing: it would check every mean whose ball it asks for.

    That is a third of its time. Above 15 dimensions its threads and ours would wait for each
    other's cores.
    """
    unchecked = sklearn.config_context(assume_finite=True, skip_parameter_validation=True)
    with unchecked, threadpool_limits(1, user_api="openmp"), pytest.MonkeyPatch.context() as patch:
        if check := getattr(neighbors, "validate_data", None):  # from 1.6 on
            patch.setattr(
                neighbors, "validate_data", lambda estimator, X, *args, reset=True, **how: (
                    check(estimator, X, *args, **how) if reset else np.asarray(X)
                ),
            )  # fmt: skip
        yield


@cache
def scikit_learns(name):
    """The reference fit of a case, which several tests compare with."""
    X, params = CASES[name]
    with quick_scikit_learn():
        return sklearn.cluster.MeanShift(**params).fit(X)


def assert_same_answer(X, params, expected=None):
    if expected is None:
        with quick_scikit_learn():
            expected = sklearn.cluster.MeanShift(**params).fit(X)
    found = MeanShift(**params).fit(X)

    centers = expected.cluster_centers_
    assert found.cluster_centers_.shape == centers.shape
    assert found.cluster_centers_.dtype == centers.dtype
    np.testing.assert_allclose(
        found.cluster_centers_, centers, rtol=0, atol=1e-6 * found.bandwidth_
    )
    np.testing.assert_array_equal(found.labels_, expected.labels_, strict=True)
    assert found.n_iter_ == expected.n_iter_
    return found


@pytest.mark.jitless
@pytest.mark.parametrize(("X", "params"), TINY.values(), ids=TINY)
def test_a_tiny_fit_is_scikit_learns(X, params):
    assert_same_answer(X, params)


@pytest.mark.parametrize("name", CASES)
def test_a_fit_is_scikit_learns(name):
    assert_same_answer(*CASES[name], scikit_learns(name))


@pytest.mark.jitless
@pytest.mark.parametrize("name", ["2-d", "orphans"])
def test_the_function_gives_the_models_answer(name):
    X, params = CASES[name]
    X = X[::4]
    model = MeanShift(**params).fit(X)
    centers, labels = mean_shift(X, **params)
    np.testing.assert_array_equal(centers, model.cluster_centers_)
    np.testing.assert_array_equal(labels, model.labels_)


@pytest.mark.parametrize("name", LARGE)
def test_a_large_fit_is_scikit_learns(name, monkeypatch):
    if name.startswith("cells "):
        monkeypatch.setattr(tree, "MAX_MEDIAN_ROWS", 0)
    assert_same_answer(*LARGE[name]())


# scikit-learn takes a minute for all rows of such a table; the twin, that it agrees with, less.
@pytest.mark.parametrize(
    ("X", "bandwidth"),
    [
        (samples.scattered(4200, 2, side=50), 2.0),
        (samples.rounded(samples.blobs(4200, 2, spread=0.1)), 1.0),
        (np.vstack([np.full((4200, 1), 0.75), samples.blobs(300, 1)]), 0.5),
    ],
    ids=["lattice", "blobs", "mostly equal"],
)
def test_every_row_of_a_large_table_climbs_as_in_the_twin(X, bandwidth):
    expected = naive.mean_shift(X, bandwidth=bandwidth)
    found = MeanShift(bandwidth=bandwidth).fit(X)
    np.testing.assert_allclose(
        found.cluster_centers_, expected.centers, rtol=0, atol=1e-9 * bandwidth
    )
    np.testing.assert_array_equal(found.labels_, expected.labels)
    np.testing.assert_array_equal(found.mode_weight_, expected.support)
    assert found.n_iter_ == expected.n_iter
    for field in ("n_active", "n_converged"):
        np.testing.assert_array_equal(found.history_[field], expected.history[field])


# The kernels that only a table of several chunks of 1,024 rows reaches, interpreted.
@pytest.mark.jitless
@pytest.mark.parametrize(
    "X",
    [samples.scattered(4200, 2, side=30), np.vstack([HEAVY[:4150], HEAVY[-50:]])],
    ids=["spread", "heavy"],
)
@pytest.mark.parametrize("cells", [False, True])
def test_a_few_seeds_climb_through_several_chunks(X, cells, monkeypatch):
    if cells:  # and buckets, which would else take 2^18 rows
        monkeypatch.setattr(tree, "MAX_MEDIAN_ROWS", 0)
    params = {"bandwidth": 2.0, "seeds": X[-4:], "cluster_all": False}
    assert_same_answer(X, params)


def test_the_cases_hold_what_they_promise():
    """A case about orphans has orphans, one about rounds has used them up, and so on."""

    def fit(name):
        X, params = CASES[name]
        return MeanShift(**params).fit(X)

    for name, (_, params) in CASES.items():
        if not params.get("cluster_all", True) and "orphans" in name:
            assert (fit(name).labels_ == -1).any(), name
    for name, (_, params) in CASES.items():
        if "max_iter" in params:
            assert fit(name).n_iter_ == params["max_iter"], name
    assert len(fit("2-d, one cluster").cluster_centers_) == 1
    assert len(fit("2-d, narrow").cluster_centers_) > 50
    assert fit("estimated zero").bandwidth_ == 0


def test_bins_too_small_to_help_warn_and_give_every_row_a_seed():
    with pytest.warns(UserWarning, match="Binning data failed"):
        found = assert_same_answer(samples.blobs(60, 2), {"bandwidth": 0.01, "bin_seeding": True})
    assert len(found.cluster_centers_) == 60


@pytest.mark.parametrize("name", ["2-d", "8-d", "pixels by bins", "orphans, all clustered"])
def test_predict_is_scikit_learns(name):
    X, params = CASES[name]
    new = np.random.default_rng(2).uniform(X.min(), X.max(), (500, X.shape[1]))
    expected = scikit_learns(name).predict(new)
    np.testing.assert_array_equal(MeanShift(**params).fit(X).predict(new), expected)


@pytest.mark.parametrize("name", ["2-d", "orphans", "20-d"])
def test_predict_of_the_rows_is_the_labels(name):
    X, params = CASES[name]
    model = MeanShift(**params)
    np.testing.assert_array_equal(model.fit_predict(X), model.labels_)
    np.testing.assert_array_equal(model.predict(X), model.labels_)


@pytest.mark.parametrize("name", ["2-d", "orphans", "max_iter 1 by bins", "estimated in 3-d"])
def test_the_function_is_scikit_learns(name):
    X, params = CASES[name]
    expected_centers, expected_labels = sklearn.cluster.mean_shift(X, **params)
    centers, labels = mean_shift(X, **params)
    np.testing.assert_allclose(centers, expected_centers, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(labels, expected_labels, strict=True)


@pytest.mark.parametrize(
    ("load", "bandwidth", "ari"), [(load_iris, 2, 0.5681), (load_wine, 3, 0.4010)]
)
def test_published_figures_reproduce(load, bandwidth, ari):
    X, species = load(return_X_y=True)
    labels = MeanShift(bandwidth=bandwidth).fit_predict(StandardScaler().fit_transform(X))
    assert round(adjusted_rand_score(species, labels), 4) == ari


BANDWIDTH_TABLES = {
    "blobs": samples.blobs(300, 2),
    "1-d": samples.blobs(300, 1),
    "7-d": samples.blobs(200, 7),
    "15-d": samples.blobs(150, 15),
    "uniform": np.random.default_rng(1).uniform(-1, 1, (300, 3)),
    "heavy tails": np.random.default_rng(1).standard_t(1, (300, 2)),
    "lattice": samples.lattice(12, 12),
    "duplicates": samples.scattered(300, 2, side=4),
    "mostly equal": np.vstack([np.full((250, 2), 0.1), samples.blobs(50, 2)]),
    "two scales": np.vstack([samples.blobs(150, 2), 1e-6 * samples.blobs(150, 2)]),
    "far": far_blobs(1e6),
    "pixels": samples.pixels(30),
    "whole": samples.scattered(200, 3).astype(np.int64),
    "float32": samples.blobs(300, 2).astype(np.float32),
    "Fortran order": np.asfortranarray(samples.blobs(200, 3)),
    "digits": samples.digits(200),
    "many chunks": samples.blobs(3100, 2),
}


@pytest.mark.parametrize("quantile", [0.3, 0.02, 0.11, 0.45, 0.0])
@pytest.mark.parametrize("X", BANDWIDTH_TABLES.values(), ids=BANDWIDTH_TABLES)
def test_the_estimated_bandwidth_is_scikit_learns(X, quantile):
    expected = sklearn.cluster.estimate_bandwidth(X, quantile=quantile)
    found = estimate_bandwidth(X, quantile=quantile)
    assert isinstance(found, np.float64)
    assert found == pytest.approx(expected, rel=1e-9, abs=0)


# From half of the rows on, scikit-learn expands the square; whole numbers stay exact there.
@pytest.mark.parametrize("quantile", [0.5, 0.77, 1.0])
@pytest.mark.parametrize("name", ["lattice", "pixels", "whole", "duplicates", "digits"])
def test_a_bandwidth_of_many_neighbours_is_scikit_learns(name, quantile):
    X = BANDWIDTH_TABLES[name]
    expected = sklearn.cluster.estimate_bandwidth(X, quantile=quantile)
    assert estimate_bandwidth(X, quantile=quantile) == pytest.approx(expected, rel=1e-9, abs=0)


@pytest.mark.parametrize("random_state", [0, 7, None])
@pytest.mark.parametrize("n_samples", [1, 40, 200, 10_000])
def test_a_sample_for_the_bandwidth_is_scikit_learns(n_samples, random_state):
    X = BANDWIDTH_TABLES["blobs"]

    def estimate(function):
        np.random.seed(3)  # noqa: NPY002, what random_state=None draws from
        return function(X, n_samples=n_samples, random_state=random_state)

    expected = estimate(sklearn.cluster.estimate_bandwidth)
    assert estimate(estimate_bandwidth) == pytest.approx(expected, rel=1e-9, abs=0)


def test_a_generator_for_the_bandwidths_sample_is_drawn_from_alike():
    X = BANDWIDTH_TABLES["blobs"]
    ours, theirs = np.random.RandomState(5), np.random.RandomState(5)
    for _ in range(3):
        assert estimate_bandwidth(X, n_samples=50, random_state=ours) == pytest.approx(
            sklearn.cluster.estimate_bandwidth(X, n_samples=50, random_state=theirs), rel=1e-9
        )


@pytest.mark.jitless
@pytest.mark.parametrize("n_samples", [1, 2, 3, 4, 5, 9])
def test_the_bandwidth_of_a_few_rows_is_scikit_learns(n_samples):
    X = samples.scattered(n_samples, 2, side=50)
    for quantile in (0.0, 0.3, 0.5, 1.0):
        expected = sklearn.cluster.estimate_bandwidth(X, quantile=quantile)
        assert estimate_bandwidth(X, quantile=quantile) == pytest.approx(expected, rel=1e-9, abs=0)


def test_centres_just_a_bandwidth_apart_are_one_cluster():
    # The ends 1.6 and 0.5: 1.6 - 0.5 is 1.1, but 1.6^2 - 2 * 1.6 * 0.5 + 0.5^2 is above 1.1^2,
    # and with a handful of centres scikit-learn looks for neighbours that way.
    X = samples.scattered(40, 1, side=7, seed=22)
    params = {"bandwidth": 1.1, "bin_seeding": True}
    ours, theirs = MeanShift(**params).fit(X), sklearn.cluster.MeanShift(**params).fit(X)
    assert 0.5 in theirs.cluster_centers_
    assert 0.5 not in ours.cluster_centers_
    assert np.isin(ours.cluster_centers_, theirs.cluster_centers_).all()
    assert abs(1.6 - 0.5) <= 1.1
    assert (ours.cluster_centers_[0], len(ours.cluster_centers_)) == (1.6, 3)


@pytest.mark.parametrize("assign", ["nearest", "basin"])
@pytest.mark.parametrize(
    "numbers",
    [
        {"tol": np.float16(0.125), "max_iter": np.int8(127), "coalesce": np.float16(0.0)},
        {"tol": np.longdouble(0.125), "max_iter": np.uint8(255), "coalesce": np.float16(0.25)},
        {"tol": 1, "max_iter": np.int64(3), "coalesce": np.float32(0.25)},
    ],
    ids=str,
)
def test_numbers_of_every_type_do_what_pythons_do(numbers, assign):
    X, asked = samples.blobs(300, 2), {"bandwidth": 1.0, "assign": assign}
    as_pythons = {name: float(value) for name, value in numbers.items()}
    as_pythons["max_iter"] = int(numbers["max_iter"])
    found = MeanShift(**asked, **numbers).fit(X)
    expected = MeanShift(**asked, **as_pythons).fit(X)
    np.testing.assert_array_equal(found.cluster_centers_, expected.cluster_centers_)
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    np.testing.assert_array_equal(found.history_, expected.history_)
