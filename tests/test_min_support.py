"""Centres of little support: which are dropped, and whose rows they leave to others."""

import dask.array as da
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import naive
from meanshift_fast import MeanShift, mean_shift
from meanshift_fast._cli.main import main
from meanshift_fast.dask import MeanShift as DaskMeanShift
from meanshift_fast.io import open_table
from meanshift_fast.models import load_model, save_model
from meanshift_fast.stream import fit_batches
from samples import blobs
from test_io import named, save

RNG = np.random.default_rng(7)
X = np.concatenate([blobs(120, 2, spread=0.5), RNG.uniform(-2, 12, (60, 2))])
WEIGHTS = RNG.choice([0.0, 0.5, 1.0, 3.0], len(X))
NEW = RNG.uniform(-4, 14, (300, 2))

either_assignment = pytest.mark.parametrize("assign", ["nearest", "basin"])
with_orphans_and_without = pytest.mark.parametrize("cluster_all", [True, False])


@pytest.mark.parametrize("min_support", [0.05, 0.5, 2, 7.5])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["rows", "weights"])
@pytest.mark.parametrize("bin_seeding", [False, True], ids=["every row", "bins"])
@with_orphans_and_without
@either_assignment
def test_what_is_left_is_what_the_definition_leaves(
    assign, cluster_all, bin_seeding, weights, min_support
):
    words = {
        "bandwidth": 1.1,
        "assign": assign,
        "cluster_all": cluster_all,
        "bin_seeding": bin_seeding,
        "min_support": min_support,
    }
    model = MeanShift(**words).fit(X, sample_weight=weights)
    twin = naive.mean_shift(X, weights=weights, **words)
    assert 1 <= len(twin.centers) < len(MeanShift(bandwidth=1.1).fit(X).cluster_centers_)
    np.testing.assert_allclose(model.cluster_centers_, twin.centers, atol=1e-9)
    np.testing.assert_allclose(model.mode_weight_, twin.support)
    np.testing.assert_array_equal(model.labels_, twin.labels)
    np.testing.assert_array_equal(model.predict(X), model.labels_)


@pytest.mark.parametrize("assign", ["nearest", "basin"])
@with_orphans_and_without
@pytest.mark.parametrize("coalesce", [0.0, 0.01])
def test_gaussian_modes_are_dropped_after_they_were_polished(assign, cluster_all, coalesce):
    words = {
        "kernel": "gaussian",
        "bandwidth": 0.5,
        "assign": assign,
        "cluster_all": cluster_all,
        "coalesce": coalesce,
    }
    every = MeanShift(**words).fit(X)
    least = float(every.mode_weight_[4])
    model = MeanShift(**words, min_support=least).fit(X)
    np.testing.assert_array_equal(model.cluster_centers_, every.cluster_centers_[:5])
    np.testing.assert_array_equal(model.mode_weight_, every.mode_weight_[:5])
    assert len(every.cluster_centers_) > 5
    kept = every.cluster_centers_[:5]
    if assign == "nearest":
        labels = naive.nearest_labels(X, kept, 0.5, cluster_all)
    else:
        of_modes = naive.nearest_labels(every.cluster_centers_, kept, 0.5)
        of_modes[5:] = of_modes[5:] if cluster_all else -1
        labels = np.where(every.labels_ < 0, -1, of_modes[every.labels_])
    np.testing.assert_array_equal(model.labels_, labels)
    np.testing.assert_array_equal(model.predict(X), labels)


@either_assignment
def test_zero_changes_nothing(assign):
    plain = MeanShift(bandwidth=1.1, assign=assign).fit(X)
    same = MeanShift(bandwidth=1.1, assign=assign, min_support=0).fit(X)
    np.testing.assert_array_equal(same.cluster_centers_, plain.cluster_centers_)
    np.testing.assert_array_equal(same.labels_, plain.labels_)


def test_below_one_it_is_a_share_of_the_heaviest():
    every = MeanShift(bandwidth=1.1).fit(X)
    least = 0.3 * every.mode_weight_[0]
    share = MeanShift(bandwidth=1.1, min_support=0.3).fit(X)
    assert len(share.cluster_centers_) == np.count_nonzero(every.mode_weight_ >= least)
    weight = MeanShift(bandwidth=1.1, min_support=least).fit(X)
    np.testing.assert_array_equal(share.labels_, weight.labels_)
    scaled = MeanShift(bandwidth=1.1, min_support=0.3).fit(X, sample_weight=np.full(len(X), 8.0))
    np.testing.assert_array_equal(share.labels_, scaled.labels_)


def test_the_function_takes_it_too():
    centers, labels = mean_shift(X, bandwidth=1.1, min_support=9, cluster_all=False)
    model = MeanShift(bandwidth=1.1, min_support=9, cluster_all=False).fit(X)
    np.testing.assert_array_equal(centers, model.cluster_centers_)
    np.testing.assert_array_equal(labels, model.labels_)


def test_more_than_the_heaviest_has_is_an_error_with_the_remedy():
    with pytest.raises(ValueError, match=r"min_support=1000 leaves no centre.* lower it"):
        MeanShift(bandwidth=1.1, min_support=1000).fit(X)


@pytest.mark.parametrize("bad", [-1, np.nan, np.inf, "few", None])
@pytest.mark.parametrize("validates", [True, False])
def test_what_is_no_weight_is_refused(bad, validates):
    import sklearn

    with (
        sklearn.config_context(skip_parameter_validation=not validates),
        pytest.raises((ValueError, TypeError), match=r"min_support|float"),
    ):
        MeanShift(bandwidth=1.1, min_support=bad).fit(X)


@with_orphans_and_without
@either_assignment
def test_a_model_in_a_file_predicts_the_same(assign, cluster_all, tmp_path):
    words = {"assign": assign, "cluster_all": cluster_all, "min_support": 9}
    model = MeanShift(bandwidth=1.1, **words).fit(X)
    save_model(model, tmp_path / "m.model")
    loaded = load_model(tmp_path / "m.model")
    assert loaded.min_support == 9
    for rows in (X, NEW):
        np.testing.assert_array_equal(loaded.predict(rows), model.predict(rows))
    if not cluster_all:
        assert (model.predict(NEW) == -1).any()


@with_orphans_and_without
@either_assignment
def test_streams_and_dask_drop_the_same_centres(assign, cluster_all):
    words = {"bandwidth": 1.1, "assign": assign, "cluster_all": cluster_all, "min_support": 9}
    inside = MeanShift(**words).fit(X)
    streamed = fit_batches([X[:70], X[70:]], **words)
    spread = DaskMeanShift(**words).fit(da.from_array(X, chunks=(50, 2)))
    for model in (streamed, spread):
        assert len(model.cluster_centers_) == len(inside.cluster_centers_)
        assert adjusted_rand_score(model.predict(X), inside.labels_) > 0.98
        assert model.mode_weight_.min() >= 9
    np.testing.assert_array_equal(spread.labels_.compute(), spread.predict(X))


def test_the_command_line_drops_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "t.csv", named(X))
    command = "cluster t.csv --bandwidth 1.1 --min-support 9 --no-cluster-all -o o.csv"
    assert main(command.split()) == 0
    model = MeanShift(bandwidth=1.1, min_support=9, cluster_all=False).fit(X)
    labels = open_table("o.csv", columns=["label"]).read().X[:, 0]
    np.testing.assert_array_equal(labels, model.labels_)


def test_uniform_noise_leaves_the_blobs():
    rng = np.random.default_rng(0)
    at = rng.integers(0, 4, 4000)
    table = rng.normal(np.array([[0, 0], [6, 0], [0, 6], [6, 6]])[at], 0.4)
    table = np.concatenate([table, rng.uniform(-3, 9, (6000, 2))])
    every = MeanShift(bandwidth=1.0, bin_seeding=True, cluster_all=False).fit(table)
    assert len(every.cluster_centers_) > 30
    model = MeanShift(bandwidth=1.0, bin_seeding=True, cluster_all=False, min_support=0.3)
    model.fit(table)
    assert len(model.cluster_centers_) == 4
    truth = np.concatenate([at, np.full(6000, -1)])
    assert adjusted_rand_score(truth, every.labels_) < 0.3
    assert adjusted_rand_score(truth, model.labels_) > 0.8
    found = model.labels_[:4000] >= 0
    assert adjusted_rand_score(at[found], model.labels_[:4000][found]) > 0.999


def test_the_stable_bandwidth_counts_what_is_left():
    rng = np.random.default_rng(3)
    centers = rng.uniform(0, 20, (6, 2))
    table = np.concatenate([
        np.repeat(centers, 300, axis=0) + rng.normal(0, 0.4, (1800, 2)),
        rng.uniform(-3, 23, (600, 2)),
    ])  # fmt: skip
    model = MeanShift(bandwidth="stable", bin_seeding=True, min_support=0.2).fit(table)
    assert len(model.cluster_centers_) == 6
