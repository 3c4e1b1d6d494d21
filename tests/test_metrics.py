"""Metrics: caps of the sphere and columns that wrap, against the naive twin and exact answers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive_metrics as naive
from meanshift_fast import MeanShift, bandwidth_curve, estimate_bandwidth, mean_shift, trace
from meanshift_fast._input.metrics import metric_of
from meanshift_fast._input.wrapping import wrapped
from meanshift_fast.models import load_model, save_model
from meanshift_fast.stream import fit_batches

RADIUS = 0.3
PERIODS = [((24, None), 2.0), ((24,), 3.0), ((24, 7), 1.5), ((24, None), 12.0)]
WAYS = [
    {},
    {"bin_seeding": True, "cluster_all": False},
    {"assign": "basin"},
    {"kernel": "gaussian"},
    {"kernel": "gaussian", "assign": "basin"},
]


def on_globe(seed, n_rows=90, n_features=3):
    """Unit vectors about five directions."""
    rng = np.random.default_rng(seed)
    vectors = naive.directions(rng.normal(size=(5, n_features)))[rng.integers(5, size=n_rows)]
    return naive.directions(vectors + 0.12 * rng.normal(size=vectors.shape))


def on_wheel(seed, period, whole=False):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(80, len(period))) + 6.0 * rng.integers(0, 4, size=(80, len(period)))
    return np.round(rows) if whole else rows


def weights_of(seed, n_rows):
    return np.random.default_rng(seed).integers(0, 4, n_rows).astype(float) if seed % 2 else None


def rotation(seed):
    turned, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return turned


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("metric", ["haversine", "cosine"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_fit_on_the_sphere_is_the_twin_s(metric, way, seed):
    vectors = on_globe(seed)
    X, bandwidth = naive.places(vectors), RADIUS
    if metric == "cosine":
        X, bandwidth = vectors * np.linspace(0.5, 3.0, 90)[:, None], 1.0 - math.cos(RADIUS)
    weights = weights_of(seed, len(X))
    centers, labels, support, n_iter = naive.mean_shift(
        X, bandwidth=bandwidth, metric=metric, weights=weights, **way
    )
    model = MeanShift(bandwidth=bandwidth, metric=metric, accuracy=1e-6, **way)
    model.fit(X, sample_weight=weights)
    # A Gaussian's twin is not polished; it rests after a move of 1e-7.
    precision = 1e-6 if "kernel" in way else 1e-12
    np.testing.assert_allclose(model.cluster_centers_, centers, rtol=0, atol=precision)
    np.testing.assert_allclose(model.mode_weight_, support, rtol=1e-9)
    np.testing.assert_array_equal(model.labels_, labels)
    np.testing.assert_array_equal(model.predict(X), labels)
    assert "kernel" in way or model.n_iter_ == n_iter


@pytest.mark.parametrize("way", WAYS[:4], ids=str)
@pytest.mark.parametrize(("period", "bandwidth"), PERIODS)
def test_a_fit_across_seams_is_the_twin_s(period, bandwidth, way):
    X = on_wheel(1, period, whole=bandwidth == 12.0)
    bandwidth /= 2.0 if "kernel" in way else 1.0
    weights = weights_of(1, len(X))
    centers, labels, support, _ = naive.mean_shift(
        X, bandwidth=bandwidth, metric="euclidean", period=period, weights=weights, **way
    )
    model = MeanShift(bandwidth=bandwidth, period=period, accuracy=1e-6, **way)
    model.fit(X, sample_weight=weights)
    precision = (1e-5 if "kernel" in way else 1e-9) * bandwidth
    np.testing.assert_allclose(model.cluster_centers_, centers, rtol=0, atol=precision)
    np.testing.assert_allclose(model.mode_weight_, support, rtol=1e-9)
    np.testing.assert_array_equal(model.labels_, labels)
    np.testing.assert_array_equal(model.predict(X), labels)


def test_places_about_a_pole_have_their_centre_there():
    X = np.radians([[89.9, 0], [89.9, 90], [89.9, 180], [89.9, -90]])
    model = MeanShift(bandwidth=math.radians(1), metric="haversine").fit(X)
    assert model.cluster_centers_.tolist() == [[math.pi / 2, 0.0]]


def test_the_middle_of_two_places_lies_on_their_great_circle():
    X = np.radians([[60, 10], [60, -10]])
    model = MeanShift(bandwidth=math.radians(30), metric="haversine").fit(X)
    np.testing.assert_allclose(np.degrees(model.cluster_centers_), [[60.37834812, 0]], atol=1e-8)


def test_places_on_either_side_of_the_date_line_are_one_cluster():
    X = np.radians([[10, 179], [10, -179], [10, 180], [10, -180], [10, 539]])
    model = MeanShift(bandwidth=math.radians(3), metric="haversine").fit(X)
    assert model.labels_.tolist() == [0] * 5
    assert -math.pi < model.cluster_centers_[0, 1] <= math.pi


@given(seed=st.integers(0, 10_000), way=st.sampled_from(WAYS))
@settings(max_examples=20)
def test_turning_the_globe_changes_no_label_of_separated_clusters(seed, way):
    axes = np.repeat(np.vstack([np.eye(3), -np.eye(3)]), [60, 50, 40, 30, 20, 10], axis=0)
    vectors = naive.directions(axes + 0.04 * np.random.default_rng(7).normal(size=axes.shape))
    model, turned = MeanShift(bandwidth=RADIUS, metric="haversine", **way), rotation(seed)
    here = model.fit(naive.places(vectors))
    centers, labels = naive.vectors(here.cluster_centers_) @ turned, here.labels_
    there = model.fit(naive.places(vectors @ turned))
    np.testing.assert_allclose(naive.vectors(there.cluster_centers_), centers, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(there.labels_, labels)
    assert len(centers) == 6


@given(turn=st.floats(-1e3, 1e3), way=st.sampled_from(WAYS))
@settings(max_examples=20)
def test_moving_a_periodic_column_changes_no_label_of_separated_clusters(turn, way):
    X = np.repeat([[2.0, 0.0], [14.0, 0.0], [22.5, 9.0]], [30, 20, 10], axis=0)
    X += 0.3 * np.random.default_rng(3).normal(size=X.shape)
    model, move = MeanShift(bandwidth=2.0, period=(24, None), **way), np.array([turn, 0.0])
    here = model.fit(X)
    centers, labels = here.cluster_centers_ + move, here.labels_
    there = model.fit(X + move)
    away = naive.away(there.cluster_centers_, centers, np.array([24.0, np.inf]))
    assert np.abs(away).max() < 1e-9
    np.testing.assert_array_equal(there.labels_, labels)
    assert len(centers) == 3


def test_cosine_in_three_columns_is_haversine():
    vectors = on_globe(2, n_rows=300)
    for way in WAYS:
        one = MeanShift(bandwidth=RADIUS, metric="haversine", **way).fit(naive.places(vectors))
        cosine = MeanShift(bandwidth=1.0 - math.cos(RADIUS), metric="cosine", **way)
        other = cosine.fit(vectors)
        np.testing.assert_allclose(
            naive.vectors(one.cluster_centers_), other.cluster_centers_, atol=1e-9
        )
        np.testing.assert_array_equal(one.labels_, other.labels_)
        np.testing.assert_allclose(one.history_["max_shift"], other.history_["max_shift"])


def test_rows_spread_evenly_leave_a_position_where_it_is():
    X = [[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.0]]
    model = MeanShift(bandwidth=2.0, metric="cosine").fit(X)
    assert model.cluster_centers_.tolist() == [[1.0, 0.0, 0.0]]
    assert model.mode_weight_.tolist() == [4.0]


def test_a_metre_on_earth_is_told_apart():
    metre = 1e-3 / 6371.0088
    X = np.array([[0.8, 0.1], [0.8 + 0.4 * metre, 0.1], [0.8 + 3 * metre, 0.1]])
    labels = MeanShift(bandwidth=metre, metric="haversine").fit(X).labels_
    assert labels[0] == labels[1] != labels[2]


def test_polished_modes_are_stationary_on_the_sphere():
    vectors = on_globe(4, n_rows=400)
    model = MeanShift(bandwidth=0.4, kernel="gaussian", metric="cosine")
    model.set_params(bandwidth=1.0 - math.cos(0.4)).fit(vectors)
    for center in model.cluster_centers_:
        moved, _ = naive.fisher_shift(vectors, np.ones(400), center, 0.4)
        assert naive.angles(moved[None], center)[0] < 1e-10 * 0.4


@pytest.mark.parametrize("accuracy", [1e-2, 1e-4])
@pytest.mark.parametrize("bandwidth", [0.2, 1.0, 3.0])
def test_accuracy_bounds_the_angle_of_a_shift(accuracy, bandwidth):
    # a wide kernel, whose sums are short
    vectors = naive.directions(np.random.default_rng(5).normal(size=(3000, 3)))
    X, starts = naive.places(vectors), naive.places(vectors[:40])
    model = MeanShift(
        bandwidth=bandwidth, kernel="gaussian", metric="haversine", accuracy=accuracy, max_iter=0,
        seeds=starts,
    )  # fmt: skip
    from meanshift_fast._cluster.model import settings_of
    from meanshift_fast._index import choice

    metric = settings_of(model).metric
    rows = metric.enter(X)
    rows.flags.writeable = False
    units = metric.units(bandwidth, rows, in_bandwidths=True)
    index = choice.build(
        units.enter(rows), radius=units.radius, kernel="gaussian", accuracy=accuracy, space=units
    )
    positions = vectors[:40] / units.divisor
    index.shift(positions)
    for start, moved in zip(vectors[:40], positions * units.divisor, strict=True):
        exact, _ = naive.fisher_shift(vectors, np.ones(3000), start, bandwidth)
        assert naive.angles(moved[None], exact)[0] <= accuracy * bandwidth


def test_an_estimated_bandwidth_is_the_mean_angle_to_the_kth_neighbour():
    vectors = on_globe(6, n_rows=300)
    places = naive.places(vectors)
    exact = naive.kth_distance(vectors, 0.3, naive.angles)
    assert estimate_bandwidth(places, metric="haversine") == pytest.approx(exact, rel=1e-12)
    found = estimate_bandwidth(vectors, metric="cosine")
    assert found == pytest.approx(1.0 - math.cos(exact), rel=1e-12)
    assert MeanShift(metric="haversine").fit(places).bandwidth_ == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("spread", [1.0, 30.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_kth_neighbours_are_found_across_seams(spread, weighted):
    X = wrapped(on_wheel(2, (24, None)), np.array([24.0, np.inf])) * [1.0, spread]
    weights = np.random.default_rng(1).integers(1, 4, len(X)).astype(float) if weighted else None
    period = np.array([24.0, np.inf])

    def distance(points, position):
        return np.sqrt((naive.away(points, position, period) ** 2).sum(axis=1))

    exact = naive.kth_distance(X, 0.3, distance, weights)
    found = estimate_bandwidth(X, period=(24, None), sample_weight=weights)
    assert found == pytest.approx(exact, rel=1e-12)


def test_the_curve_of_angles_is_that_of_cosine_distances():
    vectors = on_globe(1, n_rows=500)
    angles = bandwidth_curve(naive.places(vectors), metric="haversine")
    cosines = bandwidth_curve(vectors, metric="cosine")
    assert int(angles.stable["n_clusters"]) == int(cosines.stable["n_clusters"])
    np.testing.assert_array_equal(angles.n_clusters, cosines.n_clusters)
    np.testing.assert_allclose(1.0 - np.cos(angles.bandwidths), cosines.bandwidths, rtol=1e-6)
    assert angles.bandwidths[-1] <= math.pi
    model = MeanShift(bandwidth="stable", metric="haversine").fit(naive.places(vectors))
    assert len(model.cluster_centers_) == int(angles.stable["n_clusters"])
    ladder = bandwidth_curve(naive.places(vectors), [0.1, 0.3], metric="haversine")
    np.testing.assert_allclose(ladder.bandwidths, [0.1, 0.3])


def test_the_curve_of_a_wheel_ends_at_half_a_period():
    curve = bandwidth_curve(on_wheel(2, (24, None)), period=(24, None))
    assert curve.bandwidths[-1] <= 12.0


@pytest.mark.parametrize("kernel", ["flat", "gaussian"])
@pytest.mark.parametrize("metric", ["haversine", "cosine"])
def test_a_trace_is_the_twin_s(metric, kernel):
    vectors = on_globe(3)
    X = naive.places(vectors) if metric == "haversine" else vectors
    bandwidth = RADIUS if metric == "haversine" else 1.0 - math.cos(RADIUS)
    traced = trace(X, X[0], bandwidth=bandwidth, metric=metric, kernel=kernel)
    shift = naive.cap_shift if kernel == "flat" else naive.fisher_shift
    position, angle = vectors[0], 0.0
    for row, length in zip(traced.positions[0][1:], traced.shifts[0], strict=True):
        moved, _ = shift(vectors, np.ones(len(X)), position, RADIUS)
        angle, position = naive.angles(moved[None], position)[0], moved
        np.testing.assert_allclose(length, angle, atol=1e-9)
        there = naive.vectors(row[None])[0] if metric == "haversine" else row
        np.testing.assert_allclose(there, position, atol=1e-9)
    assert angle <= 1e-3 * RADIUS
    assert "It rests at" in str(traced)
    inside = naive.angles(vectors, vectors[0]) <= (RADIUS if kernel == "flat" else 3 * RADIUS)
    np.testing.assert_array_equal(traced.neighbours(0), np.flatnonzero(inside))


@pytest.mark.parametrize("metric", ["haversine", "cosine"])
def test_three_wide_bandwidths_hold_the_whole_sphere(metric):
    X = naive.places(on_globe(3)) if metric == "haversine" else on_globe(3)
    traced = trace(X, X[0], bandwidth=1.8, metric=metric, kernel="gaussian")
    assert traced.neighbours(0).tolist() == list(range(len(X)))


def test_a_trace_goes_across_a_seam():
    X = np.array([[23.0, 0.0], [1.0, 0.0], [0.5, 0.0], [12.0, 0.0]])
    traced = trace(X, [23.5, 0.0], bandwidth=3.0, period=(24, None))
    assert traced.neighbours(0).tolist() == [0, 1, 2]
    np.testing.assert_allclose(traced.positions[0][-1], [1 / 6, 0.0])
    np.testing.assert_allclose(traced.shifts[0][0], 2 / 3)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("metric", ["haversine", "cosine", "period"])
def test_streams_and_models_label_as_a_fit_does(metric, way, tmp_path):
    vectors = on_globe(8, n_rows=600)
    X = {"haversine": naive.places(vectors), "cosine": vectors}.get(metric)
    parameters = {"metric": metric, "bandwidth": RADIUS}
    if metric == "cosine":
        parameters["bandwidth"] = 1.0 - math.cos(RADIUS)
    if metric == "period":
        rng = np.random.default_rng(2)
        X = rng.normal([[23.9, 0.0], [8.0, 5.0]] * 300, 0.7)
        parameters = {"period": (24, None), "bandwidth": 3.0}
    whole = MeanShift(**parameters, **way).fit(X)
    model = fit_batches([X[:100], X[100:]], **parameters, **way)
    np.testing.assert_array_equal(model.predict(X), whole.labels_)
    assert model.cluster_centers_.shape == whole.cluster_centers_.shape
    for fitted in (whole, model):
        save_model(fitted, tmp_path / "a.model")
        loaded = load_model(tmp_path / "a.model")
        np.testing.assert_array_equal(loaded.predict(X), whole.labels_)
        assert loaded.metric == fitted.metric


def test_a_dask_fit_labels_as_a_fit_does():
    da = pytest.importorskip("dask.array")
    from meanshift_fast.dask import MeanShift as DaskMeanShift

    X = naive.places(on_globe(9, n_rows=600))
    whole = MeanShift(bandwidth=RADIUS, metric="haversine", bin_seeding=True).fit(X)
    lazy = DaskMeanShift(bandwidth=RADIUS, metric="haversine", bin_seeding=True)
    lazy.fit(da.from_array(X, chunks=(200, 2)))
    np.testing.assert_array_equal(lazy.labels_.compute(), whole.labels_)
    estimated = DaskMeanShift(metric="haversine", bin_seeding=True)
    estimated.fit(da.from_array(X, chunks=(200, 2)))
    assert estimated.bandwidth_ == pytest.approx(estimate_bandwidth(X, metric="haversine"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_centres_keep_the_dtype(dtype):
    X = naive.places(on_globe(1)).astype(dtype)
    centers, _ = mean_shift(X, bandwidth=RADIUS, metric="haversine")
    assert centers.dtype == dtype
    rows = np.array([[23.99999999], [24.00000001]]).astype(dtype)
    centers, labels = mean_shift(rows, bandwidth=1.0, period=(24,))
    assert labels.tolist() == [0, 0]
    assert 0.0 <= centers[0, 0] < 24.0


def test_seeds_are_in_the_columns_of_the_rows():
    X = naive.places(on_globe(1))
    model = MeanShift(bandwidth=RADIUS, metric="haversine", seeds=X[:3]).fit(X)
    assert model.history_["n_active"][0] == 3


def test_many_columns_take_the_projected_index_on_a_sphere():
    vectors = on_globe(3, n_rows=700, n_features=40) @ np.diag(np.linspace(2, 0.1, 40))
    model = MeanShift(bandwidth=0.3, metric="cosine").fit(vectors)
    centers, labels, _, _ = naive.mean_shift(vectors, bandwidth=0.3, metric="cosine")
    np.testing.assert_allclose(model.cluster_centers_, centers, atol=1e-9)
    np.testing.assert_array_equal(model.labels_, labels)


def test_bins_about_zero_start_from_a_row():
    vectors = on_globe(3, n_rows=200, n_features=20)
    model = MeanShift(bandwidth=1.9, metric="cosine", bin_seeding=True).fit(vectors)
    assert np.isfinite(model.cluster_centers_).all()


def test_wrapping_never_gives_the_period():
    values = wrapped(np.array([[-1e-20], [24.0], [-24.0], [23.5]]), np.array([24.0]))
    assert values[:, 0].tolist() == [0.0, 0.0, 0.0, 23.5]


def test_no_period_at_all_is_the_euclidean_metric():
    assert metric_of("euclidean", (None, None)) is metric_of()


HAVERSINE = {"metric": "haversine", "bandwidth": 0.1}


@pytest.mark.parametrize(
    ("X", "parameters", "message"),
    [
        ([[50.0, 8.0]], HAVERSINE, r"got 50 at row 0; likely they are degrees"),
        ([[0.5, 8.0], [-1.6, 0.0]], HAVERSINE, r"got -1\.6 at row 1"),
        ([[0.5, 0.5, 0.5]], HAVERSINE, "two columns .* latitude and longitude"),
        ([[0.5, 0.5]], HAVERSINE | {"bandwidth": 3.2}, r"at most 3\.14159 .* 6371\.0088"),
        ([[0.5, 0.5]], HAVERSINE | {"bandwidth": [0.1, 0.1]}, "one number"),
        ([[0.5, 0.5]], HAVERSINE | {"bandwidth": "scott"}, "spread of columns"),
        ([[0.5, 0.5]], HAVERSINE | {"period": (None, 6.3)}, "leave one of them out"),
        ([[1.0, 1.0], [0.0, 0.0]], {"metric": "cosine", "bandwidth": 0.1}, "got one at row 1"),
        ([[1.0, 1.0]], {"metric": "cosine", "bandwidth": 2.1}, "at most 2 "),
        ([[1.0, 1.0]], {"metric": "polar", "bandwidth": 2.1}, "metric"),
        ([[1.0, 1.0]], {"period": (24,), "bandwidth": 1.0}, "got 1 where there are 2 columns"),
        ([[1.0, 1.0]], {"period": (24, None), "bandwidth": 12.1}, "half the period, 12 of column"),
        ([[1.0, 1.0]], {"period": (24, 7), "bandwidth": [1.0, 4.0]}, r"3\.5 of column 1"),
        ([[1.0, 1.0]], {"period": (-24, None), "bandwidth": 1.0}, "positive and finite"),
        ([[1.0, 1.0]], {"period": [[1, 2]], "bandwidth": 1.0}, "one entry for each column"),
        ([[1.0, 1.0]], {"period": (24, None), "bandwidth": "silverman"}, "spread of columns"),
    ],
)
def test_bad_input_is_refused_with_value_reason_and_remedy(X, parameters, message):
    with pytest.raises(ValueError, match=message):
        MeanShift(**parameters).fit(X)


@pytest.mark.parametrize(
    "use",
    [
        lambda X, **way: MeanShift(bandwidth=1.0, **way).fit(X),
        lambda X, **way: trace(X, X[0], bandwidth=1.0, **way),
        lambda X, **way: fit_batches([X], bandwidth=1.0, **way),
        lambda X, **way: bandwidth_curve(X, [1.0, 2.0], **way),
        lambda X, **way: estimate_bandwidth(X, **way),
    ],
    ids=["fit", "trace", "batches", "curve", "estimate"],
)
def test_a_period_of_other_columns_is_named_by_all(use):
    message = r"period must have one entry for each column of X, .* got 3 where there are 2 columns"
    with pytest.raises(ValueError, match=message):
        use(np.ones((4, 2)), period=(24, None, 7))


def test_rules_of_thumb_are_for_columns():
    with pytest.raises(ValueError, match="spread of columns"):
        estimate_bandwidth([[0.5, 0.5]], metric="haversine", method="scott")


def test_a_batch_in_degrees_is_named():
    rows = naive.places(on_globe(0))
    with pytest.raises(ValueError, match=r"batch 1 .* at row"):
        fit_batches([rows, np.degrees(rows)], **HAVERSINE)


def test_a_trace_ends_where_the_weight_of_all_images_vanishes():
    rows = np.zeros((3, 1))
    found = trace(rows, [[50.0]], bandwidth=1.0, kernel="gaussian", period=(100,))
    assert len(found.shifts[0]) == 0
    with pytest.raises(ValueError, match="No point was within"):
        MeanShift(bandwidth=1.0, kernel="gaussian", period=(100,), seeds=[[50.0]]).fit(rows)


@pytest.mark.parametrize("n_columns", [3, 10, 300, 1500])
@pytest.mark.parametrize("rule", [None, "fine"])
def test_rows_of_one_direction_are_one_cluster_whatever_their_lengths(n_columns, rule):
    rng = np.random.default_rng(n_columns)
    rows = np.outer(rng.uniform(0.5, 2.0, 200), rng.normal(size=n_columns))
    model = MeanShift(bandwidth=rule, metric="cosine").fit(rows)
    assert 0.0 < model.bandwidth_ < 1e-29
    assert len(model.cluster_centers_) == 1


def test_rows_at_a_pole_are_one_cluster_whatever_their_longitudes():
    places = np.column_stack([np.full(12, np.pi / 2), np.linspace(-3.0, 3.0, 12)])
    model = MeanShift(metric="haversine").fit(places)
    assert len(model.cluster_centers_) == 1
