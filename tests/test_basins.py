"""Basins: a row belongs to the mode that its own trajectory reaches, in fit and in predict."""

import pickle

import numba
import numpy as np
import pytest

import naive
import samples
from meanshift_fast import MeanShift, mean_shift
from meanshift_fast._cluster.basins import beside_others
from meanshift_fast._index.equal_rows import equal_rows
from meanshift_fast._input.scaling import readonly
from meanshift_fast.models import load_model, save_model

pytestmark = pytest.mark.usefixtures("small_fits_on_threads")


def rings(n_samples=600, seed=0):
    """Two rings, one in the other."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n_samples)
    radius = np.where(np.arange(n_samples) % 2, 1.0, 3.0) + 0.1 * rng.standard_normal(n_samples)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


TABLES = {
    "two rings": (rings(), 0.6),
    "overlapping blobs": (samples.blobs(700, 2, n_blobs=5, spread=1.3), 1.2),
    "three features": (samples.blobs(300, 3, spread=1.0), 1.5),
    "one feature": (samples.blobs(300, 1, spread=1.0), 0.7),
    "a lattice with duplicates": (samples.scattered(300, 2, side=15), 2.0),
}
if numba.config.DISABLE_JIT:
    TABLES = {name: (X[::3], bandwidth) for name, (X, bandwidth) in TABLES.items()}
tables = pytest.mark.parametrize(("X", "bandwidth"), TABLES.values(), ids=TABLES)


@pytest.mark.jitless
@tables
@pytest.mark.parametrize("cluster_all", [True, False])
@pytest.mark.parametrize("bin_seeding", [True, False])
def test_basins_are_the_twins(X, bandwidth, cluster_all, bin_seeding):
    params = {"bandwidth": bandwidth, "cluster_all": cluster_all, "bin_seeding": bin_seeding}
    found = MeanShift(assign="basin", **params).fit(X)
    expected = naive.mean_shift(X, assign="basin", **params)
    np.testing.assert_allclose(found.cluster_centers_, expected.centers, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(found.labels_, expected.labels)


@pytest.mark.jitless
@tables
@pytest.mark.parametrize("coalesce", [0.0, 0.05])
def test_predict_agrees_with_fit_on_its_rows(X, bandwidth, coalesce):
    model = MeanShift(bandwidth=bandwidth, assign="basin", coalesce=coalesce).fit(X)
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    np.testing.assert_array_equal(model.predict(X[::-3]), model.labels_[::-3])


@tables
def test_new_rows_climb_as_in_the_twin(X, bandwidth):
    model = MeanShift(bandwidth=bandwidth, assign="basin").fit(X)
    new = samples.blobs(200, X.shape[1], n_blobs=5, spread=2.0, seed=7)
    stories = naive.climb(X, np.ones(len(X)), new, bandwidth)
    ends, _, _ = naive.ends_of(stories)
    expected = naive.nearest_labels(ends, model.cluster_centers_, bandwidth)
    np.testing.assert_array_equal(model.predict(new), expected)
    model.set_params(cluster_all=False)
    expected = naive.nearest_labels(ends, model.cluster_centers_, bandwidth, cluster_all=False)
    np.testing.assert_array_equal(model.predict(new), expected)


def test_where_blobs_overlap_some_rows_do_not_climb_to_the_nearest_mode():
    X, bandwidth = TABLES["overlapping blobs"]
    by_basin = MeanShift(bandwidth=bandwidth, assign="basin").fit(X)
    by_distance = MeanShift(bandwidth=bandwidth).fit(X)
    np.testing.assert_array_equal(by_basin.cluster_centers_, by_distance.cluster_centers_)
    assert (by_basin.labels_ != by_distance.labels_).any()


def test_a_row_that_climbs_to_a_peak_without_a_seed_is_an_orphan():
    X = np.vstack([samples.blobs(80, 2, n_blobs=1), samples.blobs(80, 2, n_blobs=1) + 50])
    params = {"bandwidth": 2.0, "seeds": X[:1], "assign": "basin"}
    np.testing.assert_array_equal(MeanShift(**params).fit(X).labels_, 0)
    model = MeanShift(cluster_all=False, **params).fit(X)
    np.testing.assert_array_equal(model.labels_, np.repeat([0, -1], 80))
    np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_a_new_row_out_of_reach_takes_the_nearest_mode_or_none():
    X = np.vstack([samples.blobs(80, 2, n_blobs=1), samples.blobs(70, 2, n_blobs=1) + 50])
    model = MeanShift(bandwidth=2.0, assign="basin").fit(X)
    far = [[-100.0, 0.0], [200.0, 200.0]]
    np.testing.assert_array_equal(model.predict(far), [0, 1])
    np.testing.assert_array_equal(model.set_params(cluster_all=False).predict(far), [-1, -1])


@pytest.mark.parametrize("coalesce", [0.0, 0.03])
@pytest.mark.parametrize("bin_seeding", [True, False])
def test_basins_are_bit_equal_for_every_number_of_threads(bin_seeding, coalesce):
    X = samples.blobs(6000, 2, n_blobs=6, spread=1.3)
    new = samples.blobs(3000, 2, n_blobs=6, spread=2.0, seed=3)
    models = [
        MeanShift(
            bandwidth=1.2, assign="basin", bin_seeding=bin_seeding, coalesce=coalesce, n_jobs=n_jobs
        ).fit(X)
        for n_jobs in (1, 2, -1)
    ]
    for model in models[1:]:
        np.testing.assert_array_equal(model.labels_, models[0].labels_)
        np.testing.assert_array_equal(model.cluster_centers_, models[0].cluster_centers_)
        np.testing.assert_array_equal(model.history_, models[0].history_)
        np.testing.assert_array_equal(model.predict(new), models[0].predict(new))


def test_a_model_out_of_a_pickle_predicts_alike():
    X, bandwidth = TABLES["overlapping blobs"]
    model = MeanShift(bandwidth=bandwidth, assign="basin").fit(X)
    new = X + 0.01
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.predict(new), model.predict(new))


def test_a_model_fitted_by_distance_keeps_no_rows_and_says_so_when_asked_for_basins():
    X, bandwidth = TABLES["overlapping blobs"]
    model = MeanShift(bandwidth=bandwidth).fit(X)
    assert len(pickle.dumps(model)) < X.nbytes
    with pytest.raises(ValueError, match=r'assign="basin".*fit again'):
        model.set_params(assign="basin").predict(X)


@pytest.mark.parametrize("least", [0.0, 0.3])
def test_whoever_writes_to_the_labels_of_a_fit_changes_no_prediction(least, tmp_path):
    X, bandwidth = TABLES["overlapping blobs"]
    model = MeanShift(bandwidth=bandwidth, assign="basin", min_prominence=least)
    labels = model.fit_predict(X)
    right = labels.copy()
    labels += 1
    np.testing.assert_array_equal(model.predict(X), right)
    save_model(model, tmp_path / "a.model")
    loaded = load_model(tmp_path / "a.model")
    loaded.labels_ += 1
    np.testing.assert_array_equal(loaded.predict(X), right)


def test_the_function_takes_basins():
    X, bandwidth = TABLES["overlapping blobs"]
    centers, labels = mean_shift(X, bandwidth=bandwidth, assign="basin", coalesce=0.01)
    model = MeanShift(bandwidth=bandwidth, assign="basin", coalesce=0.01).fit(X)
    np.testing.assert_array_equal(centers, model.cluster_centers_)
    np.testing.assert_array_equal(labels, model.labels_)


@pytest.mark.jitless
def test_equal_rows_are_found_and_others_not():
    X = samples.scattered(300, 2, side=9)
    rows = np.vstack([X, [[-0.0, 3.0], [0.5, 0.5], [0.0, 3.0]]])
    found = equal_rows(readonly(rows), readonly(X))
    for row, first in zip(rows, found, strict=True):
        same = np.flatnonzero((row == X).all(axis=1))
        assert first == (same[0] if same.size else -1)


@pytest.mark.jitless
@pytest.mark.parametrize("n_features", [1, 2, 4])
def test_cells_beside_one_of_another_label_are_the_twins(n_features):
    rng = np.random.default_rng(n_features)
    numbers = np.unique(rng.integers(-4, 4, (200, n_features)), axis=0).astype(float)
    rng.shuffle(numbers)
    labels = (numbers[:, 0] > 1).astype(np.int64)
    labels[0] = -1
    found = beside_others(numbers, labels)
    np.testing.assert_array_equal(found, naive.beside_others(numbers, labels))
    assert 0 < found.mean() < 1
