"""Bins that hold rows of several clusters, in many columns: a warning, and none without cause."""

import warnings

import numpy as np
import pytest

import samples
from meanshift_fast import MeanShift
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
