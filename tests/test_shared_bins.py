"""Bins that hold rows of several clusters, in many columns: a warning, and none without cause."""

import warnings

import numpy as np
import pytest

import samples
from meanshift_fast import MeanShift
from meanshift_fast._cluster import inputs, shared_bins, small_tables
from meanshift_fast.stream import fit_batches

LOST = r"^All rows are in 1 bin of side .*rows of several clusters: of 128 .*bin_seeding=False"


def unit_rows(n_samples, n_features, n_clusters):
    """Clusters on the sphere, as of embeddings."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((n_clusters, n_features))
    rows = centres[rng.integers(n_clusters, size=n_samples)]
    rows = rows + 0.4 * rng.standard_normal(rows.shape)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("shape", "params"),
    [
        ((4000, 256, 20), {"bandwidth": 1.0}),
        ((600, 64, 6), {"bandwidth": 1.1}),
        ((600, 64, 6), {"bandwidth": 1.1, "assign": "basin"}),
        ((600, 64, 6), {"bandwidth": [1.1] * 63 + [1.2]}),
    ],
)
def test_bins_that_hold_all_rows_of_several_clusters_warn(shape, params):
    X = unit_rows(*shape)
    with pytest.warns(UserWarning, match=LOST) as caught:
        model = MeanShift(bin_seeding=True, **params).fit(X)
    assert caught[0].filename == __file__
    assert len(model.cluster_centers_) == 1
    with warnings.catch_warnings(action="error"):
        assert len(MeanShift(**params).fit(X).cluster_centers_) == shape[2]


def test_a_stream_warns_as_well():
    X = unit_rows(600, 64, 6)
    with pytest.warns(UserWarning, match=LOST):
        fit_batches([X[:300], X[300:]], bandwidth=1.1, bin_seeding=True)


RNG = np.random.default_rng(1)
RIGHT = {
    "one ball": (0.4 * RNG.standard_normal((600, 64)), 3.4),
    "a cloud as wide as the ball": (RNG.standard_normal((600, 10)), 3.8),
    "a cloud in one bin": (RNG.standard_normal((600, 60)), 10.0),
    "rows that fill one bin": (RNG.uniform(-0.49, 0.49, (600, 8)), 1.0),
    "an outlier": (np.vstack([RNG.standard_normal((600, 8)), np.full((1, 8), 30.0)]), 5.0),
    "blobs": (samples.blobs(600, 8), 4.0),
    "clusters that one mode merges": (unit_rows(1000, 64, 6), 1.25),
    "few rows": (unit_rows(100, 64, 3), 1.1),
}


@pytest.mark.parametrize(("X", "bandwidth"), RIGHT.values(), ids=RIGHT)
def test_bins_that_miss_no_cluster_do_not_warn(X, bandwidth, recwarn):
    MeanShift(bandwidth=bandwidth, bin_seeding=True).fit(X)
    MeanShift(bandwidth=bandwidth, bin_seeding=True, assign="basin").fit(X)
    assert recwarn.list == []


def test_bins_that_are_left_out_on_request_do_not_warn(recwarn):
    X = np.vstack([unit_rows(600, 64, 6), 5.0 + unit_rows(3, 64, 1)])
    MeanShift(bandwidth=1.1, bin_seeding=True, min_bin_freq=4).fit(X)
    assert recwarn.list == []


# A small table tries few rows in the call that fits it.

SMALL = RIGHT | {
    "a tenth of blobs in a ball": (samples.blobs(1000, 8, n_blobs=12), 4.9),
    "rows that end far from modes, but together": (samples.blobs(1000, 5, n_blobs=12), 5.5),
    "rows that end far from modes, and apart": (samples.blobs(1000, 5, n_blobs=20), 6.0),
    "clusters in one bin": (unit_rows(600, 64, 6), 1.1),
    "clusters in some bins": (unit_rows(160, 12, 3), 1.1),
}


def may_miss_by_stages(X, bandwidth):
    """Whether too few rows come near the modes, as the stages find it."""
    found, may_miss = [], shared_bins.may_miss_modes

    def noting(*args):
        found.append(may_miss(*args))
        return found[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_tables, "MAX_ROWS", 0)
        patch.setattr(shared_bins, "may_miss_modes", noting)
        MeanShift(bandwidth=bandwidth, bin_seeding=True).fit(X)
    return found[0]


def may_miss_in_one_call(X, bandwidth):
    found, fit = [], small_tables.fit

    def noting(*args):
        found.append(fit(*args))
        return found[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_tables, "fit", noting)
        MeanShift(bandwidth=bandwidth, bin_seeding=True).fit(X)
    return found[0].may_miss_modes


@pytest.mark.filterwarnings("ignore:All rows are in")
@pytest.mark.parametrize(("X", "bandwidth"), SMALL.values(), ids=SMALL)
def test_rows_of_one_call_come_near_the_modes_where_those_of_the_stages_do(X, bandwidth):
    assert may_miss_in_one_call(X, bandwidth) == may_miss_by_stages(X, bandwidth)


@pytest.mark.jitless
@pytest.mark.filterwarnings("ignore:All rows are in")
def test_rows_of_some_tables_come_near_no_mode():
    X = unit_rows(160, 12, 3)
    assert may_miss_in_one_call(X, 1.1)
    assert not may_miss_in_one_call(X, 2.0)


def test_a_small_table_whose_rows_come_near_the_modes_gets_no_index(monkeypatch):
    def build(*args, **kwargs):
        raise AssertionError("an index was built")

    X, bandwidth = SMALL["a tenth of blobs in a ball"]
    monkeypatch.setattr(inputs.choice, "build", build)
    assert_few_are_near(MeanShift(bandwidth=bandwidth, bin_seeding=True).fit(X), X)


def assert_few_are_near(model, X):
    """Few rows are near at once: they have to ascend."""
    sample = shared_bins._sample_of(X, shared_bins.TRIED_ROWS)
    away = np.linalg.norm(sample[:, None] - model.cluster_centers_, axis=2).min(axis=1)
    n_near = np.count_nonzero(away <= shared_bins.NEAR_BANDWIDTHS * model.bandwidth)
    assert n_near < shared_bins.MIN_NEAR_ROWS


def test_rows_that_come_near_the_modes_ascend_no_farther(monkeypatch):
    def warn(*args, **kwargs):
        raise AssertionError("rows ascended to their ends")

    X, bandwidth = samples.blobs(3000, 5, n_blobs=6), 8.0
    monkeypatch.setattr(shared_bins, "warn_of_missed_modes", warn)
    model = MeanShift(bandwidth=bandwidth, bin_seeding=True).fit(X)
    assert model.history_["n_active"][0] <= shared_bins.MAX_BINS
    assert_few_are_near(model, X)
