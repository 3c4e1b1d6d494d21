"""A bandwidth for each feature: columns in units of their own."""

import numpy as np
import pytest

import naive
import samples
from meanshift_fast import MeanShift, mean_shift

X = samples.blobs(180, 3, spread=0.9)
WIDTHS = np.array([1.0, 2.5, 0.7])
SETTINGS = {
    "rows": {},
    "bins": {"bin_seeding": True},
    "full bins": {"bin_seeding": True, "min_bin_freq": 3, "cluster_all": False},
    "basins": {"assign": "basin"},
    "coalesced basins": {"assign": "basin", "coalesce": 0.05},
}
settings = pytest.mark.parametrize("params", SETTINGS.values(), ids=SETTINGS)


@settings
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_one_bandwidth_repeated_is_that_bandwidth_to_the_bit(params, dtype):
    rows = X.astype(dtype)
    one = MeanShift(bandwidth=1.3, **params).fit(rows)
    each = MeanShift(bandwidth=[1.3, 1.3, 1.3], **params).fit(rows)
    np.testing.assert_array_equal(each.labels_, one.labels_)
    np.testing.assert_array_equal(each.cluster_centers_, one.cluster_centers_, strict=True)
    np.testing.assert_array_equal(each.predict(rows + 1), one.predict(rows + 1))
    np.testing.assert_array_equal(each.bandwidth_, [1.3, 1.3, 1.3])


@pytest.mark.jitless
@pytest.mark.parametrize(
    "params",
    [part for name, part in SETTINGS.items() if name != "coalesced basins"],
    ids=[name for name in SETTINGS if name != "coalesced basins"],
)
def test_each_feature_counts_in_its_own_bandwidths(params):
    expected = naive.mean_shift(X / WIDTHS, bandwidth=1.0, **params)
    found = MeanShift(bandwidth=WIDTHS, **params).fit(X)
    np.testing.assert_allclose(found.cluster_centers_, expected.centers * WIDTHS, atol=1e-9)
    np.testing.assert_array_equal(found.labels_, expected.labels)
    np.testing.assert_array_equal(found.mode_weight_, expected.support)
    np.testing.assert_allclose(
        found.history_["mean_shift"], expected.history["mean_shift"], rtol=0, atol=1e-12
    )
    np.testing.assert_array_equal(found.bandwidth_, WIDTHS)


@settings
def test_stretched_columns_and_bandwidths_cluster_alike(params):
    stretch = np.array([1.0, 1024.0, 1 / 64])
    plain = MeanShift(bandwidth=WIDTHS, **params).fit(X)
    stretched = MeanShift(bandwidth=WIDTHS * stretch, **params).fit(X * stretch)
    np.testing.assert_array_equal(stretched.labels_, plain.labels_)
    np.testing.assert_allclose(stretched.cluster_centers_, plain.cluster_centers_ * stretch)


@settings
def test_predict_agrees_with_fit_on_its_rows(params):
    model = MeanShift(bandwidth=WIDTHS, **params).fit(X)
    np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_given_seeds_are_in_the_columns_own_units():
    model = MeanShift(bandwidth=WIDTHS, seeds=X[:7]).fit(X)
    expected = naive.mean_shift(X / WIDTHS, bandwidth=1.0, seeds=X[:7] / WIDTHS)
    np.testing.assert_allclose(model.cluster_centers_, expected.centers * WIDTHS, atol=1e-9)


def test_bandwidths_far_apart_in_size_serve():
    scale = np.array([1e200, 1e-200, 1.0])
    plain = MeanShift(bandwidth=WIDTHS).fit(X)
    model = MeanShift(bandwidth=WIDTHS * scale).fit(X * scale)
    np.testing.assert_array_equal(model.labels_, plain.labels_)


def test_the_function_takes_bandwidths():
    centers, labels = mean_shift(X, bandwidth=WIDTHS)
    model = MeanShift(bandwidth=WIDTHS).fit(X)
    np.testing.assert_array_equal(centers, model.cluster_centers_)
    np.testing.assert_array_equal(labels, model.labels_)


@pytest.mark.parametrize(
    ("bandwidth", "reason"),
    [
        ([1.0, 2.0], r"shape \(3,\).*got shape \(2,\)"),
        ([[1.0, 2.0, 3.0]], r"shape \(3,\).*got shape \(1, 3\)"),
        ([], r"shape \(3,\).*got shape \(0,\)"),
        ([1.0, 0.0, 1.0], r"positive.*got \[1.0, 0.0, 1.0\]"),
        ([1.0, -2.0, 1.0], r"positive.*-2.0"),
        ([1.0, np.nan, 1.0], r"finite.*nan"),
        ([1.0, np.inf, 1.0], r"finite.*inf"),
        (["a", "b", "c"], r"must be a number.*'a'"),
        ([1e-300, 1.0, 1e300], "too small for X"),
    ],
    ids=str,
)
def test_bad_bandwidths_are_named_with_their_values(bandwidth, reason):
    with pytest.raises(ValueError, match=f"(?s)bandwidth.*{reason}"):
        MeanShift(bandwidth=bandwidth).fit(X * [1, 1, 1])
