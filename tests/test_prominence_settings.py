"""Merging by prominence with other settings: metrics, seams, weights, seeds, bandwidths of columns.

Each fit is that of the naive twin, or that of columns in which the setting has nothing to do.
"""

import dask.array as da
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import naive
import naive_metrics
from meanshift_fast import MeanShift
from meanshift_fast._cluster.prominence import N_NEIGHBOURS
from meanshift_fast.dask import MeanShift as DaskMeanShift
from meanshift_fast.models import load_model, save_model
from meanshift_fast.stream import fit_batches

RNG = np.random.default_rng(5)
ROWS = RNG.normal(size=(110, 2)) + RNG.integers(0, 3, (110, 1)) * 2.0
WEIGHTS = RNG.uniform(0.5, 2.0, 110)  # no two modes have the same support
WIDTHS = {"flat": 0.8, "gaussian": 0.3}
HOURS = 24.0

kernels = pytest.mark.parametrize("kernel", ["flat", "gaussian"])
assignments = pytest.mark.parametrize("assign", ["nearest", "basin"])


def on_globe(n_rows, n_features=3, seed=0):
    """Unit vectors about five directions, wide enough for several modes each."""
    rng = np.random.default_rng(seed)
    vectors = naive_metrics.directions(rng.normal(size=(5, n_features)))
    return naive_metrics.directions(
        vectors[rng.integers(5, size=n_rows)] + 0.2 * rng.normal(size=(n_rows, n_features))
    )


def on_wheel(n_rows, seed=0):
    """Hours all around the clock, and another column."""
    rng = np.random.default_rng(seed)
    hours = rng.uniform(0.0, HOURS, n_rows)
    hours[::2] = rng.normal(0.0, 2.0, n_rows // 2)
    return np.column_stack([hours, rng.normal(0.0, 0.5, n_rows)])


def density_of(kernel):
    return naive.flat_density if kernel == "flat" else naive.gaussian_density


def reach_of(kernel, bandwidth, n_columns):
    return 2 * bandwidth * (1.0 if kernel == "flat" else np.sqrt(n_columns + 2))


def cuts_of(prominence):
    """A value between each two prominences that differ."""
    values = np.unique(np.append(prominence, 0.0))
    return (values[1:] + values[:-1])[np.diff(values) > 1e-5] / 2


def same_partition(labels, others):
    return adjusted_rand_score(labels, others) == 1.0


def check_with_twin(model, labels, density, saddles):
    """Hold a model to the twin's tree of the modes that rows have without merging."""
    assert len(saddles) > 1
    np.testing.assert_allclose(model.mode_density_, density, rtol=1e-7)
    prominence = naive.prominences(density, saddles)
    np.testing.assert_allclose(model.mode_prominence_, prominence, atol=1e-6)
    for least in cuts_of(prominence):
        heads = naive.merge_by_prominence(density, saddles, least)
        assert same_partition(model.labels_at(least), heads[labels])
    np.testing.assert_array_equal(model.labels_at(model.min_prominence), model.labels_)


def check_alike(model, other, factor=1.0):
    """Hold a model to another of the same rows in other columns."""
    np.testing.assert_allclose(model.modes_, other.modes_ * factor, atol=1e-6)
    np.testing.assert_allclose(model.mode_density_, other.mode_density_, rtol=1e-7)
    np.testing.assert_allclose(model.mode_prominence_, other.mode_prominence_, atol=1e-6)
    for least in [model.min_prominence, *cuts_of(other.mode_prominence_)]:
        np.testing.assert_array_equal(model.labels_at(least), other.labels_at(least))


# Spheres.


@kernels
@assignments
@pytest.mark.parametrize("metric", ["haversine", "cosine"])
def test_modes_on_a_sphere_are_merged_as_the_twin_merges_unit_vectors(metric, kernel, assign):
    angle = WIDTHS[kernel] / 4
    points, enter, bandwidth = on_globe(100, 4), naive_metrics.directions, 1.0 - np.cos(angle)
    X = points * np.linspace(0.5, 3.0, 100)[:, None]
    if metric == "haversine":
        points, enter, bandwidth = on_globe(100), naive_metrics.vectors, angle
        X = naive_metrics.places(points)
    words = {"metric": metric, "kernel": kernel, "assign": assign, "accuracy": 1e-9}
    plain = MeanShift(bandwidth=bandwidth, **words).fit(X)
    model = MeanShift(bandwidth=bandwidth, min_prominence=0.4, **words).fit(X)
    chord = 2.0 * np.sin(angle / 2.0)
    width, each = (chord if kernel == "flat" else angle), np.ones(len(X))
    saddles = naive.saddles(
        points, plain.labels_, density_of(kernel)(points, each, points, width), N_NEIGHBOURS,
        reach_of(kernel, chord, points.shape[1]),
    )  # fmt: skip
    at_modes = density_of(kernel)(points, each, enter(plain.cluster_centers_), width)
    check_with_twin(model, plain.labels_, at_modes, saddles)
    np.testing.assert_array_equal(model.predict(X), model.labels_)


# Columns that wrap.


@kernels
@assignments
def test_modes_all_around_a_clock_are_merged_as_the_twin_merges_images(kernel, assign):
    X = on_wheel(90)
    words = {
        "bandwidth": WIDTHS[kernel], "period": (HOURS, None), "kernel": kernel, "assign": assign,
        "accuracy": 1e-9,
    }  # fmt: skip
    plain = MeanShift(**words).fit(X)
    model = MeanShift(**words, min_prominence=0.4).fit(X)
    wrapped = np.column_stack([X[:, 0] % HOURS, X[:, 1]])
    images = np.concatenate([wrapped + np.array([turn * HOURS, 0.0]) for turn in range(-2, 3)])
    labels = np.tile(plain.labels_, (5, 1))
    labels[[0, -1]] = -1  # the outer images have no rows beyond them
    measure, each = density_of(kernel), np.ones(len(images))
    density = np.tile(measure(images, each, wrapped, words["bandwidth"]), 5)
    reach = min(reach_of(kernel, words["bandwidth"], 2), HOURS / 2)
    saddles = naive.saddles(images, labels.ravel(), density, N_NEIGHBOURS, reach)
    at_modes = measure(images, each, plain.cluster_centers_, words["bandwidth"])
    check_with_twin(model, plain.labels_, at_modes, saddles)


@kernels
@assignments
def test_a_seam_through_the_rows_changes_no_cluster(kernel, assign):
    words = {"kernel": kernel, "assign": assign, "accuracy": 1e-9, "min_prominence": "auto"}
    plain = MeanShift(bandwidth=WIDTHS[kernel], **words).fit(ROWS, sample_weight=WEIGHTS)
    turned = np.column_stack([(ROWS[:, 0] - 2.0) % HOURS, ROWS[:, 1]])
    model = MeanShift(bandwidth=WIDTHS[kernel], period=(HOURS, None), **words)
    model.fit(turned, sample_weight=WEIGHTS)
    assert same_partition(model.labels_, plain.labels_)
    assert len(model.modes_) == len(plain.modes_)
    for least in cuts_of(plain.mode_prominence_):
        assert same_partition(model.labels_at(least), plain.labels_at(least))
    np.testing.assert_allclose(
        np.sort(model.mode_prominence_), np.sort(plain.mode_prominence_), atol=1e-6
    )


# Streams, Dask and files.


@kernels
@assignments
@pytest.mark.parametrize("space", ["haversine", "period"])
def test_streams_dask_and_files_merge_as_a_fit_in_other_spaces(space, kernel, assign, tmp_path):
    X, words = naive_metrics.places(on_globe(500)), {"metric": "haversine"}
    words["bandwidth"] = WIDTHS[kernel] / 3
    if space == "period":
        X = np.random.default_rng(1).normal([[0.0, 0.0], [12.0, 0.0]] * 200, [1.5, 0.5])
        words = {"period": (HOURS, None), "bandwidth": WIDTHS[kernel]}
    words |= {"kernel": kernel, "assign": assign, "min_prominence": 0.5}
    inside = MeanShift(**words).fit(X)
    assert 1 < len(inside.cluster_centers_) < len(inside.modes_)
    streamed = fit_batches([X[:150], X[150:]], **words)
    spread = DaskMeanShift(**words).fit(da.from_array(X, chunks=(200, 2)))
    for model in (inside, streamed):
        save_model(model, tmp_path / "a.model")
        loaded = load_model(tmp_path / "a.model")
        np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
        for name in ("modes_", "mode_density_", "mode_prominence_", "mode_labels_", "merge_tree_"):
            np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name))
    for model in (streamed, spread):
        assert len(model.cluster_centers_) == len(inside.cluster_centers_)
        assert adjusted_rand_score(np.asarray(model.predict(X)), inside.labels_) > 0.97


# Weights, seeds, bandwidths.


@kernels
@assignments
def test_rows_of_no_weight_raise_no_saddle(kernel, assign):
    words = {"bandwidth": WIDTHS[kernel], "kernel": kernel, "assign": assign}
    model, alone = (MeanShift(**words, min_prominence=0.4) for _ in range(2))
    weights = np.arange(len(ROWS)) % 3
    model.fit(ROWS, sample_weight=weights)
    alone.fit(ROWS[weights > 0], sample_weight=weights[weights > 0])
    for name in ("modes_", "mode_density_", "mode_prominence_", "mode_labels_", "merge_tree_"):
        np.testing.assert_array_equal(getattr(model, name), getattr(alone, name))
    for least in cuts_of(alone.mode_prominence_):
        np.testing.assert_array_equal(model.labels_at(least)[weights > 0], alone.labels_at(least))
    np.testing.assert_array_equal(model.labels_, alone.predict(ROWS))


@kernels
@assignments
def test_modes_of_given_seeds_are_merged_as_the_twin_merges_them(kernel, assign):
    words = {
        "bandwidth": WIDTHS[kernel], "kernel": kernel, "assign": assign, "accuracy": 1e-9,
        "seeds": ROWS[::6].copy(),
    }  # fmt: skip
    plain = MeanShift(**words).fit(ROWS)
    model = MeanShift(**words, min_prominence=0.4).fit(ROWS)
    measure, each = density_of(kernel), np.ones(len(ROWS))
    saddles = naive.saddles(
        ROWS, plain.labels_, measure(ROWS, each, ROWS, words["bandwidth"]), N_NEIGHBOURS,
        reach_of(kernel, words["bandwidth"], 2),
    )  # fmt: skip
    at_modes = measure(ROWS, each, plain.cluster_centers_, words["bandwidth"])
    check_with_twin(model, plain.labels_, at_modes, saddles)


@kernels
@assignments
def test_columns_with_a_bandwidth_each_are_merged_as_in_one_unit(kernel, assign):
    scales = np.array([1.0, 7.3])
    words = {"kernel": kernel, "assign": assign, "accuracy": 1e-9, "min_prominence": "auto"}
    one = MeanShift(bandwidth=WIDTHS[kernel], **words).fit(ROWS)
    each = MeanShift(bandwidth=WIDTHS[kernel] * scales, **words).fit(ROWS * scales)
    check_alike(each, one, scales)
