"""The bandwidth curve: what it counts, where it lasts, and what it picks."""

import dataclasses
import warnings

import numpy as np
import pytest

import naive
import samples
from bench.workloads import blobs
from meanshift_fast import MeanShift, bandwidth_curve
from meanshift_fast._cluster.bandwidth_rules import find_bandwidth
from meanshift_fast._cluster.modes import count_supported
from meanshift_fast._cluster.scale_space import spread_of
from meanshift_fast.datasets import demo_table
from meanshift_fast.stream import fit_batches


@pytest.mark.parametrize("n_samples", [5_000, 20_000, 60_000])
def test_it_finds_the_twenty_blobs_and_so_does_a_fresh_fit(n_samples):
    X = blobs(n_samples)
    curve = bandwidth_curve(X)
    assert curve.stable["n_clusters"] == curve.n_centers == 20
    assert curve.stable["low"] <= curve.bandwidth <= curve.stable["high"]
    model = MeanShift(bandwidth="stable", bin_seeding=True).fit(X)
    assert model.bandwidth_ == curve.bandwidth
    assert len(model.cluster_centers_) == 20


def test_the_gaussian_kernel_finds_the_twenty_blobs_too():
    X = blobs(20_000)
    model = MeanShift(bandwidth="stable", kernel="gaussian", bin_seeding=True).fit(X)
    assert model.bandwidth_ == bandwidth_curve(X).bandwidth / 2
    assert len(model.cluster_centers_) == 20


def test_a_million_rows_are_twenty_blobs():
    X = blobs(1_000_000)
    with pytest.warns(UserWarning, match="20 clusters last longest, but the fit has 21 centres"):
        model = MeanShift(bandwidth="stable", bin_seeding=True).fit(X)
    assert model.mode_weight_[-1] == 1  # a row far out
    model = MeanShift(bandwidth=model.bandwidth_, bin_seeding=True, min_support=2).fit(X)
    assert len(model.cluster_centers_) == 20


def test_a_stream_finds_the_twenty_blobs_as_well():
    X = blobs(200_000)
    model = fit_batches([X[:70_000], X[70_000:]], bandwidth="stable", bin_seeding=True)
    assert len(model.cluster_centers_) == 20


def test_every_row_as_a_seed_finds_the_twenty_blobs():
    X = blobs(20_000)
    model = MeanShift(bandwidth="stable").fit(X)
    assert model.bandwidth_ == bandwidth_curve(X, bin_seeding=False).bandwidth
    assert len(model.cluster_centers_) == 20


def test_a_row_far_from_all_others_is_told_of():
    X = np.vstack([demo_table(), [[500.0, 500.0]]])
    curve = bandwidth_curve(X)
    n_centers = len(MeanShift(bandwidth=curve.bandwidth, bin_seeding=True).fit(X).cluster_centers_)
    assert curve.n_centers == n_centers == curve.stable["n_clusters"] + 1


def test_a_weight_of_two_is_two_rows():
    X = demo_table()
    curve = bandwidth_curve(X, [0.5, 1.0, 2.0], sample_weight=np.where(X[:, 0] < 5, 2.0, 1.0))
    doubled = bandwidth_curve(np.vstack([X, X[X[:, 0] < 5]]), [0.5, 1.0, 2.0])
    np.testing.assert_array_equal(curve.n_modes, doubled.n_modes)


def test_one_blob_is_one_cluster():
    X = np.random.default_rng(0).standard_normal((2000, 2))
    assert bandwidth_curve(X).stable["n_clusters"] == 1


def test_every_rung_is_the_twins_climb_from_the_modes_of_the_last():
    X, ladder = samples.blobs(150, 2), [0.5, 1.0, 2.0, 4.0]
    curve = bandwidth_curve(X, ladder)
    seeds, n_modes = X, []
    for bandwidth in ladder:
        ends, support, _ = naive.ends_of(naive.climb(X, np.ones(len(X)), seeds, bandwidth))
        seeds, _ = naive.merge_modes(ends, support, bandwidth)
        n_modes.append(len(seeds))
    np.testing.assert_array_equal(curve.n_modes, n_modes)
    np.testing.assert_array_equal(curve.bandwidths, ladder)


def test_the_plateaus_are_the_runs_of_the_count():
    curve = bandwidth_curve(demo_table())
    plateaus = curve.plateaus
    assert (np.diff(plateaus["n_clusters"]) != 0).all()
    np.testing.assert_array_equal(plateaus["low"][1:], plateaus["high"][:-1])
    np.testing.assert_allclose(
        plateaus["stability"], np.log2(plateaus["high"] / plateaus["low"]), rtol=1e-12
    )
    assert curve.stable["low"] <= curve.bandwidth <= curve.stable["high"]


def test_the_estimators_function_is_the_curves_bandwidth():
    X = demo_table()
    assert find_bandwidth("stable", "flat", X).bandwidth == bandwidth_curve(X).bandwidth


def test_weights_that_are_all_equal_change_nothing():
    X = demo_table()
    weighted = bandwidth_curve(X, sample_weight=np.full(len(X), 7.0))
    np.testing.assert_allclose(weighted.bandwidth, bandwidth_curve(X).bandwidth, rtol=1e-6)


def test_rows_of_weight_zero_are_no_rows():
    X = demo_table()
    weights = np.ones(len(X))
    weights[::3] = 0
    kept = bandwidth_curve(X[weights > 0], sample_weight=weights[weights > 0])
    assert bandwidth_curve(X, sample_weight=weights).bandwidth == kept.bandwidth


def test_equal_rows_have_the_bandwidth_zero():
    assert find_bandwidth("stable", "flat", np.full((20, 2), 3.0)).bandwidth == 0.0


@pytest.mark.parametrize("value", [1.39734428, 1e8 + 0.3])
def test_equal_rows_whose_mean_is_rounded_do_so_too(value):
    rows = np.full((257, 3), value)
    assert rows.mean(axis=0)[0] != value
    assert MeanShift(bandwidth="stable").fit(rows).bandwidth_ == 0.0


@pytest.mark.parametrize("ladder", [[], [0.0, 1.0], [2.0, 1.0], [1.0, np.inf], [[1.0]]])
def test_a_ladder_that_does_not_rise_is_refused(ladder):
    with pytest.raises(ValueError, match="bandwidths must be"):
        bandwidth_curve(demo_table(), ladder)


@pytest.mark.parametrize("weights", [[1.0], [-1.0] * 300, [0.0] * 300, [np.nan] * 300])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="sample_weight must"):
        bandwidth_curve(demo_table(), sample_weight=weights)


# Where squares overflow or vanish. (A curve there was a crash of the interpreter.)


def scaled(curve, exponent):
    """The figures of a curve, lengths times a power of two."""
    plateaus = {name: curve.plateaus[name].tolist() for name in ("n_clusters", "stability")}
    lengths = (curve.bandwidths, curve.plateaus["low"], curve.plateaus["high"], curve.bandwidth)
    counts = (curve.n_clusters.tolist(), curve.n_modes.tolist(), curve.n_centers)
    return plateaus, counts, [np.ldexp(length, exponent).tolist() for length in lengths]


@pytest.mark.parametrize("params", [{}, {"bin_seeding": False, "sample_weight": np.arange(1, 301)}])
def test_a_curve_scales_by_powers_of_two_to_the_last_bit(params):
    X = np.random.default_rng(0).normal(size=(300, 2))
    here = bandwidth_curve(X, **params)
    for exponent in (-1000, -565, -545, -510, 505, 512, 565, 1000):
        there = bandwidth_curve(np.ldexp(X, exponent), **params)
        assert scaled(there, 0) == scaled(here, exponent)


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e-150, 1e150, 1e153, 1e300])
def test_a_curve_scales_with_the_table(scale):
    X = demo_table()
    here, there = bandwidth_curve(X), bandwidth_curve(scale * X)
    np.testing.assert_array_equal(there.n_clusters, here.n_clusters)
    np.testing.assert_array_equal(there.n_modes, here.n_modes)
    np.testing.assert_allclose(there.bandwidths / scale, here.bandwidths, rtol=1e-12)
    assert there.bandwidth / scale == pytest.approx(here.bandwidth, rel=1e-12)
    assert there.stable["high"] / scale == pytest.approx(here.stable["high"], rel=1e-12)
    assert MeanShift(bandwidth="stable", bin_seeding=True).fit(scale * X).bandwidth_ == (
        there.bandwidth
    )


@pytest.mark.parametrize("ladder", [[1e160], [1e308], [1e-320, 1e-290], [1e-200, 1e200]], ids=str)
def test_a_ladder_may_begin_and_end_anywhere(ladder):
    X = np.random.default_rng(0).normal(size=(300, 2))
    curve = bandwidth_curve(X, ladder)
    np.testing.assert_array_equal(curve.n_modes, [300 if width < 1.0 else 1 for width in ladder])


def test_a_bandwidth_too_small_for_bins_is_refused():
    with pytest.raises(ValueError, match=r"bandwidth=1e-320 is too small for X.*Give a larger"):
        bandwidth_curve(demo_table(), [1e-320])


def test_rows_that_no_ball_holds_are_refused():
    ends = np.array([-1.7e308, 1.7e308])
    X = np.repeat(ends, 50)[:, None] * np.linspace(0.99, 1.0, 100)[:, None]
    with pytest.raises(ValueError, match=r"X must leave room for distances, got .*divide X"):
        bandwidth_curve(X)


def test_the_finest_of_plateaus_that_last_as_long_is_the_longest():
    curve = bandwidth_curve(demo_table(), [0.5, 1.0, 2.0, 4.0, 8.0])
    plateaus = curve.plateaus.copy()
    plateaus["stability"] = np.array([1.0, 1.0 + 1e-15, 1.0, 0.5, 0.0])
    tied = dataclasses.replace(curve, plateaus=plateaus)
    assert tied.stable["n_clusters"] == plateaus["n_clusters"][0]


def noisy():
    rng = np.random.default_rng(1)
    centers = rng.uniform(0, 20, (6, 2))
    noise = rng.uniform(-3, 23, (600, 2))
    return np.concatenate([np.repeat(centers, 300, axis=0) + rng.normal(0, 0.4, (1800, 2)), noise])


def test_what_a_fit_has_is_said_beside_the_plateau():
    curve = bandwidth_curve(noisy())
    assert curve.stable["n_clusters"] == 6 < curve.n_centers
    assert f"a fit has {curve.n_centers} centres" in curve.plot().get_title()
    assert f"a fit at {curve.bandwidth:.4g} has {curve.n_centers} centres" in repr(curve)
    with pytest.warns(UserWarning, match=rf"6 clusters .* has {curve.n_centers} centres; min_supp"):
        MeanShift(bandwidth="stable", bin_seeding=True).fit(noisy())
    with pytest.warns(UserWarning, match="6 clusters last longest"):
        fit_batches([noisy()], bandwidth="stable", bin_seeding=True)


def test_without_bins_the_curve_counts_a_fit_from_every_row():
    rng = np.random.default_rng(1)
    topics = rng.standard_normal((5, 32))
    X = topics[rng.integers(5, size=300)] + 0.4 * rng.standard_normal((300, 32))
    n_centers = []
    for bin_seeding in (False, True):
        curve = bandwidth_curve(X, metric="cosine", bin_seeding=bin_seeding)
        with warnings.catch_warnings():  # bins in many columns hold rows of several clusters
            warnings.simplefilter("ignore", UserWarning)
            fit = MeanShift(bandwidth=curve.bandwidth, metric="cosine", bin_seeding=bin_seeding)
            assert len(fit.fit(X).cluster_centers_) == curve.n_centers
        n_centers.append(curve.n_centers)
    assert n_centers[0] == 5 > n_centers[1]


def test_the_curve_counts_with_the_least_support_of_the_fit():
    curve = bandwidth_curve(noisy(), min_support=0.2)
    assert curve.stable["n_clusters"] == curve.n_centers == 5  # two of the six lie close
    assert curve.plot().get_title() == "5 clusters last longest"
    least = bandwidth_curve(noisy(), min_support=1e-9)
    np.testing.assert_array_equal(least.n_clusters, least.n_modes)
    assert (curve.n_clusters < least.n_clusters)[:10].all()
    model = MeanShift(bandwidth="stable", bin_seeding=True, min_support=0.2).fit(noisy())
    assert model.bandwidth_ == curve.bandwidth
    assert len(model.cluster_centers_) == 5
    weighted = bandwidth_curve(noisy(), min_support=40.0, sample_weight=np.full(2400, 2.0))
    rows = bandwidth_curve(noisy(), min_support=20.0)
    np.testing.assert_array_equal(weighted.n_clusters, rows.n_clusters)


def test_a_weak_plateau_names_the_next_two():
    curve = bandwidth_curve(noisy())
    assert curve.stable["stability"] < 1.0
    assert len(curve.runners_up) == 2
    assert (curve.runners_up["stability"] <= curve.stable["stability"]).all()
    for plateau in curve.runners_up:
        assert f"{plateau['n_clusters']} clusters last, {plateau['low']:.4g} to" in repr(curve)
    said = [text.get_text() for text in curve.plot().get_legend().get_texts()]
    for plateau in (curve.stable, *curve.runners_up):
        assert any(f"{plateau['low']:.3g} to {plateau['high']:.3g}" in text for text in said)
    strong = bandwidth_curve(demo_table())
    assert strong.stable["stability"] > 1.0
    assert len(strong.runners_up) == 0


@pytest.mark.parametrize("bad", [-1, np.nan, "few"])
def test_a_least_support_that_is_none_is_refused(bad):
    with pytest.raises(ValueError, match="min_support must be a number of at least 0"):
        bandwidth_curve(demo_table(), min_support=bad)


def test_a_trial_without_a_row_in_any_ball_has_no_centre():
    assert count_supported(np.empty(0), 0.0) == 0
    assert count_supported(np.empty(0), 0.5) == 0
    assert count_supported(np.array([9.0, 4.5, 1.0]), 0.5) == 2
    assert count_supported(np.array([9.0, 4.5, 1.0]), 1.0) == 3
    assert count_supported(np.array([9.0, 4.5, 1.0]), 10.0) == 0


@pytest.mark.jitless
def test_a_huge_constant_column_leaves_the_spread_of_the_others():
    column = np.array([0.0, 1.0, 0.0, 1.0])
    for constant in (0.0, 1e170, -1e300):
        points = np.column_stack((column, np.full(4, constant)))
        assert spread_of(points, np.empty(0)) == np.sqrt(0.125)
