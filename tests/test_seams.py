"""Many columns that wrap: distances the short way round, with no more images than are needed."""

import tracemalloc

import numpy as np
import pytest

import naive_metrics as naive
from meanshift_fast import MeanShift, bandwidth_curve, estimate_bandwidth
from meanshift_fast._index import choice, nearest, nearest_across, torus
from meanshift_fast._index.nearest import nearest_labels
from meanshift_fast._index.nearest_across import nearest_images
from meanshift_fast._index.torus import repeated

COLUMNS = range(1, 13)


def periods(n_features, seed):
    """Of several lengths; about every fifth column does not wrap, but one does."""
    rng = np.random.default_rng(seed)
    period = rng.uniform(0.5, 30.0, n_features)
    period[1:][rng.random(n_features - 1) < 0.2] = np.inf
    return period


def given(period):
    return [None if np.isinf(length) else length for length in period]


def noise(n_rows, period, seed, spread=50.0):
    rng = np.random.default_rng(seed)
    return rng.random((n_rows, len(period))) * np.where(np.isinf(period), spread, period)


def groups(period, seed, n_groups=4, n_each=12):
    """Rows about some places, which lie near seams or not."""
    rng = np.random.default_rng(seed)
    places = noise(n_groups, period, seed, 9.0)
    places[0] = 0.0
    rows = np.repeat(places, n_each, axis=0)
    rows += 0.15 / np.sqrt(len(period)) * rng.standard_normal(rows.shape)
    return np.where(np.isinf(period), rows, rows % period)


def distance_over(period):
    return lambda rows, place: np.sqrt((naive.away(rows, place, period) ** 2).sum(axis=1))


def table(rows):
    rows = np.ascontiguousarray(rows, dtype=np.float64)
    rows.flags.writeable = False
    return rows


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_features", COLUMNS)
def test_an_estimate_is_the_mean_distance_the_short_way_round(n_features, weighted):
    for seed, quantile, spread in [(0, 0.02, 3.0), (1, 0.3, 50.0), (2, 0.9, 1e4), (3, 1.0, 1.0)]:
        period = periods(n_features, seed)
        X = noise(130, period, seed, spread)
        X = np.round(X) if seed == 1 else X
        rng = np.random.default_rng(seed)
        weights = rng.integers(1, 4, len(X)).astype(float) if weighted else None
        exact = naive.kth_distance(X, quantile, distance_over(period), weights)
        found = estimate_bandwidth(
            X, quantile=quantile, period=given(period), sample_weight=weights
        )
        assert found == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("n_features", [2, 14])
def test_an_estimate_takes_the_memory_of_a_tree_for_any_number_of_columns(n_features):
    """Balls of the second column are far wider than the period of the first."""
    X = np.random.default_rng(0).random((5000, n_features))
    X[:, 1] *= 1000.0
    period = [1, None] + [1] * (n_features - 2)
    estimate_bandwidth(X, period=period, quantile=0.01)  # loads all kernels that the next call runs
    tracemalloc.start()
    try:
        estimate_bandwidth(X, period=period, quantile=0.01)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    entered = X.nbytes + len(X) * 8  # a table between the seams, and the distances
    assert most < 3 * entered + len(X) * (10 * n_features + 30)


@pytest.mark.parametrize("limit", [None, 2.0])
@pytest.mark.parametrize("n_features", COLUMNS)
def test_labels_of_images_and_without_are_the_twin_s(n_features, limit, monkeypatch):
    for seed in range(2):
        period = periods(n_features, seed) if seed else np.full(n_features, 8.0)
        rows, modes = noise(90, period, seed), noise(19, period, seed + 1)
        if seed == 0:  # a lattice, full of ties
            rows, modes = np.floor(rows), np.floor(modes)
        exact = naive.nearest(rows, modes, distance_over(period), limit, limit is None)
        labels = []
        for images in (True, False):
            monkeypatch.setattr(nearest, "images_are_worth", lambda *_, images=images: images)
            labels.append(nearest_labels(table(rows), table(modes), limit=limit, period=period))
            np.testing.assert_array_equal(labels[-1], exact)


@pytest.mark.parametrize("n_features", COLUMNS)
def test_labels_beyond_many_columns_make_no_images(n_features, monkeypatch):
    made = []

    def counted(modes, period):
        images, n_images = nearest_images(modes, period)
        made.append(len(images))
        return images, n_images

    monkeypatch.setattr(nearest, "nearest_images", counted)
    monkeypatch.setattr(nearest_across, "MAX_IMAGE_VALUES", 1 << 16)
    period = np.full(n_features, 1.0)
    for n_modes in (20, 1500):
        rows, modes = noise(50, period, 1), noise(n_modes, period, 2)
        nearest_labels(table(rows), table(modes), period=period)
        most = max(n_modes << min(n_features, 3), (1 << 16) // n_features)
        assert sum(made) <= most
        assert len(made) == (n_features <= (2 if n_modes == 20 else 3) or sum(made) > 0)
        made.clear()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_labels_the_short_way_are_equal_for_any_number_of_threads(n_threads):
    period = np.full(6, 1.0)
    rows, modes = table(noise(3000, period, 0)), table(noise(40, period, 1))
    model = MeanShift(bandwidth=0.01, period=(1,) * 6, seeds=modes, max_iter=0, n_jobs=n_threads)
    labels = model.fit(np.vstack([modes, rows])).labels_[len(modes) :]
    centers = model.cluster_centers_
    exact = naive.nearest(rows, centers, distance_over(period), 1.0, True)
    np.testing.assert_array_equal(labels, exact)
    np.testing.assert_array_equal(model.predict(rows), exact)


@pytest.mark.parametrize(
    "way", [{}, {"assign": "basin"}, {"kernel": "gaussian"}, {"cluster_all": False}], ids=str
)
@pytest.mark.parametrize("n_features", COLUMNS)
def test_a_fit_of_any_number_of_columns_is_the_twin_s(n_features, way):
    if "kernel" in way and n_features > 8:
        n_features -= 8  # all 2^d images of a row count
    period = np.where(np.isinf(periods(n_features, 5)), np.inf, 4.0)
    X = groups(period, 5)
    bandwidth = 0.4 if "kernel" in way else 0.8
    centers, labels, support, _ = naive.mean_shift(
        X, bandwidth=bandwidth, metric="euclidean", period=given(period), **way
    )
    model = MeanShift(bandwidth=bandwidth, period=given(period), accuracy=1e-6, **way).fit(X)
    precision = 1e-5 if "kernel" in way else 1e-9
    apart = [naive.away(model.cluster_centers_, center, period) for center in centers]
    assert len(model.cluster_centers_) == len(centers)
    nearest_center = np.array([np.abs(a).max(axis=1).argmin() for a in apart])
    np.testing.assert_array_equal(np.sort(nearest_center), np.arange(len(centers)))
    for own, found in zip(apart, nearest_center, strict=True):
        assert np.abs(own[found]).max() < precision
    np.testing.assert_allclose(model.mode_weight_[nearest_center], support, rtol=1e-6)
    expected = np.where(labels < 0, -1, nearest_center[labels])
    np.testing.assert_array_equal(model.labels_, expected)
    np.testing.assert_array_equal(model.predict(X), expected)


def test_a_fit_has_images_only_beside_the_seams(monkeypatch):
    made = []

    def counted(points, period, reach):
        images = repeated(points, period, reach)
        made.append(len(images.points))
        return images

    monkeypatch.setattr(choice, "repeated", counted)
    X = np.random.default_rng(0).random((200, 14))
    model = MeanShift(bandwidth=0.05, period=(1,) * 14)
    tracemalloc.start()
    try:
        model.fit(X)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert made
    assert max(made) < 8 * len(X)
    assert most < 4e6
    assert len(model.cluster_centers_) == len(X)
    np.testing.assert_array_equal(np.sort(model.labels_), np.arange(len(X)))


def test_too_many_images_are_refused_and_say_how_many(monkeypatch):
    monkeypatch.setattr(torus, "MAX_IMAGE_VALUES", 1 << 16)
    X = np.random.default_rng(0).random((100, 14))
    MeanShift(bandwidth=0.05, period=(1,) * 14).fit(X)
    with pytest.raises(ValueError, match=r"got 3\.\d+e\+04 of 100 rows in 14 columns that wrap"):
        MeanShift(bandwidth=0.25, period=(1,) * 14).fit(X)
    with pytest.raises(ValueError, match="smaller bandwidth, fewer rows, or None"):
        MeanShift(bandwidth=0.25, period=(1,) * 14, kernel="gaussian").fit(X)
    for n_columns in (1, 2):  # few images of each row are no matter how many rows there are
        wide = np.random.default_rng(0).random((40_000, n_columns))
        MeanShift(bandwidth=0.4, period=(1,) * n_columns, seeds=wide[:1]).fit(wide)


@pytest.mark.parametrize("n_columns", [3, 4, 8])
def test_a_curve_has_the_images_that_a_bandwidth_reaches(n_columns):
    period = np.full(n_columns, 4.0)
    X = groups(period, 5)
    curve = bandwidth_curve(X, [0.4, 0.8, 1.9], period=given(period))
    counts = [
        len(naive.mean_shift(X, bandwidth=b, metric="euclidean", period=given(period))[0])
        for b in (0.4, 0.8, 1.9)
    ]
    assert curve.n_modes.tolist()[:2] == counts[:2] == [4, 4]
    model = MeanShift(bandwidth="stable", period=given(period)).fit(X)
    assert len(model.cluster_centers_) == 4
