"""Weights: a row of weight w is w rows, whatever the setting."""

import numpy as np
import pytest
import sklearn.cluster

import naive
import samples
from meanshift_fast import MeanShift, condense, estimate_bandwidth, mean_shift, trace
from meanshift_fast._cluster.seeding import whole_rows_once
from meanshift_fast._input.weights import UNWEIGHTED

RNG = np.random.default_rng(0)
X = samples.blobs(160, 2, spread=1.0)
WEIGHTS = RNG.integers(0, 4, len(X)).astype(float)
FRACTIONS = RNG.choice([0.0, 0.25, 0.7, 1.9], len(X))

SETTINGS = {
    "defaults": {},
    "a bandwidth": {"bandwidth": 1.2},
    "bins": {"bandwidth": 1.2, "bin_seeding": True},
    "bins of the estimate": {"bin_seeding": True},
    "full bins": {"bandwidth": 1.2, "bin_seeding": True, "min_bin_freq": 4},
    "orphans": {"bandwidth": 0.9, "bin_seeding": True, "min_bin_freq": 4, "cluster_all": False},
    "seeds": {"bandwidth": 1.2, "seeds": X[:9].copy()},
    "basins": {"bandwidth": 1.2, "assign": "basin"},
    "basins from bins": {"bandwidth": 1.2, "assign": "basin", "bin_seeding": True},
    "coalesced": {"bandwidth": 1.2, "assign": "basin", "coalesce": 0.01},
    "a rule": {"bandwidth": "scott"},
    "another rule": {"bandwidth": "silverman"},
    "a bandwidth for each feature": {"bandwidth": [1.0, 1.5]},
    "bins of each feature": {"bandwidth": [1.0, 1.5], "bin_seeding": True, "min_bin_freq": 2},
}
settings = pytest.mark.parametrize("params", SETTINGS.values(), ids=SETTINGS)


@settings
def test_a_weight_is_so_many_rows(params):
    weighted = MeanShift(**params).fit(X, sample_weight=WEIGHTS)
    repeated = MeanShift(**params).fit(X.repeat(WEIGHTS.astype(int), axis=0))
    np.testing.assert_allclose(weighted.bandwidth_, repeated.bandwidth_, rtol=1e-9)
    np.testing.assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_, atol=1e-8)
    np.testing.assert_allclose(weighted.mode_weight_, repeated.mode_weight_, rtol=1e-12)
    assert weighted.n_iter_ == repeated.n_iter_
    counted = WEIGHTS > 0
    of_rows = repeated.labels_[np.cumsum(WEIGHTS[counted]).astype(int) - 1]
    np.testing.assert_array_equal(weighted.labels_[counted], of_rows)
    np.testing.assert_array_equal(weighted.predict(X), repeated.predict(X))


@settings
def test_rows_of_weight_zero_get_the_labels_that_predict_gives(params):
    model = MeanShift(**params).fit(X, sample_weight=WEIGHTS)
    assert model.labels_.shape == (len(X),)
    np.testing.assert_array_equal(model.labels_, model.predict(X))


@settings
def test_weights_of_one_and_zero_choose_rows_to_the_bit(params):
    chosen = WEIGHTS > 0
    weighted = MeanShift(**params).fit(X, sample_weight=chosen)
    alone = MeanShift(**params).fit(X[chosen])
    np.testing.assert_array_equal(weighted.cluster_centers_, alone.cluster_centers_)
    np.testing.assert_array_equal(weighted.labels_[chosen], alone.labels_)


@pytest.mark.jitless
@pytest.mark.parametrize("assign", ["nearest", "basin"])
@pytest.mark.parametrize("weights", [WEIGHTS, FRACTIONS], ids=["whole", "fractions"])
@pytest.mark.parametrize("bin_seeding", [False, True])
def test_a_weighted_fit_is_the_twins(weights, bin_seeding, assign):
    params = {"bandwidth": 1.2, "bin_seeding": bin_seeding, "assign": assign}
    found = MeanShift(**params).fit(X, sample_weight=weights)
    expected = naive.mean_shift(X, weights=weights, **params)
    np.testing.assert_allclose(found.cluster_centers_, expected.centers, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.mode_weight_, expected.support, rtol=1e-12)
    np.testing.assert_array_equal(found.labels_, expected.labels)
    assert found.n_iter_ == expected.n_iter


def test_the_unit_of_the_weights_does_not_matter_to_the_centres():
    """Powers of two scale exactly; the bandwidth is given, for it counts rows."""
    model = MeanShift(bandwidth=1.2).fit(X, sample_weight=FRACTIONS)
    scaled = MeanShift(bandwidth=1.2).fit(X, sample_weight=1024 * FRACTIONS)
    np.testing.assert_array_equal(scaled.cluster_centers_, model.cluster_centers_)
    np.testing.assert_array_equal(scaled.mode_weight_, 1024 * model.mode_weight_)


@pytest.mark.parametrize("bin_seeding", [False, True])
def test_weights_that_sum_to_one_are_shares_of_the_rows(bin_seeding):
    shares = np.full(len(X), 1 / len(X))
    model = MeanShift(bin_seeding=bin_seeding).fit(X, sample_weight=shares)
    expected = MeanShift(bin_seeding=bin_seeding).fit(X)
    assert model.bandwidth_ == pytest.approx(expected.bandwidth_, rel=1e-9)
    np.testing.assert_array_equal(model.labels_, expected.labels_)
    assert estimate_bandwidth(X, sample_weight=shares, quantile=0.0) == 0.0


@pytest.mark.parametrize("quantile", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("method", ["quantile", "scott", "silverman"])
def test_an_estimated_bandwidth_counts_a_weight_as_so_many_rows(method, quantile):
    params = {"method": method, "quantile": quantile}
    repeated = estimate_bandwidth(X.repeat(WEIGHTS.astype(int), axis=0), **params)
    weighted = estimate_bandwidth(X, sample_weight=WEIGHTS, **params)
    assert weighted == pytest.approx(repeated, rel=1e-12)


@pytest.mark.jitless
@pytest.mark.parametrize("weights", [WEIGHTS, FRACTIONS], ids=["whole", "fractions"])
def test_a_weighted_estimate_is_the_twins(weights):
    counted = weights > 0
    expected = naive.estimate_bandwidth(X[counted], weights=weights[counted])
    assert estimate_bandwidth(X, sample_weight=weights) == pytest.approx(expected, rel=1e-9)


@pytest.mark.jitless
@pytest.mark.parametrize("rule", ["scott", "silverman"])
@pytest.mark.parametrize("weights", [None, WEIGHTS, FRACTIONS], ids=["none", "whole", "fractions"])
def test_a_rule_of_thumb_is_the_twins(weights, rule):
    expected = naive.rule_of_thumb(X, rule, weights)
    found = estimate_bandwidth(X, method=rule, sample_weight=weights)
    assert type(found) is np.float64
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1e200])
@pytest.mark.parametrize("rule", ["scott", "silverman"])
def test_a_rule_of_thumb_scales_with_the_rows(rule, scale):
    at_one = estimate_bandwidth(X, method=rule)
    assert estimate_bandwidth(X * scale, method=rule) == pytest.approx(at_one * scale, rel=1e-9)


def test_a_drawn_sample_takes_its_weights_along():
    estimate = estimate_bandwidth(X, n_samples=50, random_state=3, sample_weight=WEIGHTS)
    counted = WEIGHTS > 0
    drawn = np.random.RandomState(3).permutation(np.count_nonzero(counted))[:50]
    rows, weights = X[counted][drawn], WEIGHTS[counted][drawn]
    assert estimate == pytest.approx(naive.estimate_bandwidth(rows, weights=weights), rel=1e-9)


def test_a_condensed_table_clusters_as_the_whole():
    big = samples.blobs(5000, 2, n_blobs=6, spread=0.5, box=30)
    points, weights, inverse = condense(big, 0.02)
    whole = MeanShift(bandwidth=1.5, bin_seeding=True).fit(big)
    condensed = MeanShift(bandwidth=1.5, bin_seeding=True).fit(points, sample_weight=weights)
    np.testing.assert_allclose(condensed.cluster_centers_, whole.cluster_centers_, atol=0.02)
    np.testing.assert_array_equal(condensed.labels_[inverse], whole.labels_)


def test_the_function_and_fit_predict_take_weights():
    model = MeanShift(bandwidth=1.2).fit(X, sample_weight=FRACTIONS)
    centers, labels = mean_shift(X, bandwidth=1.2, sample_weight=FRACTIONS)
    np.testing.assert_array_equal(centers, model.cluster_centers_)
    np.testing.assert_array_equal(labels, model.labels_)
    found = MeanShift(bandwidth=1.2).fit_predict(X, sample_weight=FRACTIONS)
    np.testing.assert_array_equal(found, model.labels_)


@pytest.mark.parametrize("weights", [WEIGHTS, FRACTIONS], ids=["whole", "fractions"])
def test_a_weighted_trace_is_the_twins(weights):
    story = trace(X, X[5], bandwidth=1.2, sample_weight=weights)
    positions, shifts, support = naive.trajectory(X, weights, X[5], 1.2)
    np.testing.assert_allclose(story.positions[0], positions, rtol=0, atol=1e-12)
    np.testing.assert_allclose(story.shifts[0], shifts, rtol=0, atol=1e-12)
    np.testing.assert_allclose(story.support[0], support, rtol=1e-12)


def test_a_weighted_trace_tells_of_weights_and_not_of_neighbours():
    story = trace([[0.0], [1.0], [9.0]], [0.0], bandwidth=2.0, sample_weight=[1.0, 0.5, 0.0])
    assert "Step 1: 2 neighbours of weight 1.5, their mean [0.3333]" in str(story)
    np.testing.assert_array_equal(story.neighbours(0), [0, 1])


# Weights that are none, and a word of the reason.
BAD_WEIGHTS = {
    "negative": (np.where(np.arange(160) == 7, -1.0, 1.0), "at least 0, got -1.0 at row 7"),
    "NaN": (np.where(np.arange(160) == 7, np.nan, 1.0), "finite.*got nan at row 7"),
    "infinite": (np.where(np.arange(160) == 7, np.inf, 1.0), "finite.*got inf at row 7"),
    "all zero": (np.zeros(160), "got zero for all"),
    "too few": (np.ones(159), r"shape \(160,\).*got shape \(159,\)"),
    "a table": (np.ones((160, 1)), r"shape \(160,\).*got shape \(160, 1\)"),
    "words": (["heavy"] * 160, "must be numbers"),
    "nothing among them": ([None] * 160, "must be numbers|got nan"),
    "too heavy to sum": (np.full(160, 1e308), "sum between.*got inf"),
    "too heavy": (np.full(160, 1e300), r"sum between.*got 1.6e\+302; divide"),
    "too light": (np.full(160, 1e-300), "sum between.*got 1.6e-298; divide"),
}
CALLS = {
    "fit": lambda weights: MeanShift(bandwidth=1.0).fit(X, sample_weight=weights),
    "fit_predict": lambda weights: MeanShift(bandwidth=1.0).fit_predict(X, sample_weight=weights),
    "mean_shift": lambda weights: mean_shift(X, bandwidth=1.0, sample_weight=weights),
    "estimate_bandwidth": lambda weights: estimate_bandwidth(X, sample_weight=weights),
    "trace": lambda weights: trace(X, X[0], bandwidth=1.0, sample_weight=weights),
}


@pytest.mark.parametrize(("weights", "reason"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_bad_weights_are_named_with_the_reason(call, weights, reason):
    with pytest.raises(ValueError, match=f"(?s)sample_weight.*{reason}"):
        call(weights)


def test_weights_of_zero_condense_to_points_of_no_weight():
    points, weights, inverse = condense([[0.0], [5.0]], 1.0, sample_weight=[0.0, 0.0])
    np.testing.assert_array_equal(points, [[0.0], [5.0]])
    np.testing.assert_array_equal(weights, [0.0, 0.0])
    np.testing.assert_array_equal(inverse, [0, 1])


@pytest.mark.parametrize("offset", [0.0, -1e6])
def test_repeated_rows_of_whole_numbers_become_one_of_their_weight(offset):
    rng = np.random.default_rng(0)
    points = rng.integers(-3, 9, (116_000, 3)) * np.array([1.0, 5.0, 2.0]) + offset
    points.flags.writeable = False
    rows, often = whole_rows_once(points, UNWEIGHTED)
    expected, counts = np.unique(points, axis=0, return_counts=True)
    order = np.lexsort(rows.T[::-1])
    np.testing.assert_array_equal(rows[order], expected)
    np.testing.assert_array_equal(often[order], counts)


@pytest.mark.parametrize(
    "points",
    [
        np.arange(30_000.0).reshape(-1, 2),  # none repeats
        np.repeat([[0.0, 1.5]], 16_000, axis=0),  # not whole
        np.vstack([np.zeros((16_000, 2)), [[0.5, 0.0]]]),  # nor to the last row
        np.zeros((10, 2)),  # few
    ],
)
def test_other_tables_keep_their_rows(points):
    rows, weights = whole_rows_once(points, UNWEIGHTED)
    assert rows is points
    assert weights is UNWEIGHTED


def test_a_table_of_pixels_is_clustered_as_scikit_learn_does():
    pixels = np.random.default_rng(1).integers(0, 12, (9_000, 2))
    pixels[:2_000] //= 3
    ours = MeanShift(bandwidth=3, bin_seeding=True).fit(pixels)
    theirs = sklearn.cluster.MeanShift(bandwidth=3, bin_seeding=True).fit(pixels)
    np.testing.assert_array_equal(ours.cluster_centers_, theirs.cluster_centers_)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    assert ours.n_iter_ == theirs.n_iter_
