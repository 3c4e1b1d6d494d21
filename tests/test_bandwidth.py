"""The mean distance to the k-th neighbour: scikit-learn's figure, the twin's, and at extremes."""

import numba
import numpy as np
import pytest
import sklearn.cluster

import naive
import samples
from meanshift_fast import bandwidth_curve, estimate_bandwidth
from meanshift_fast._index import kth_neighbors as bandwidth
from meanshift_fast._index import moment_tree as tree
from meanshift_fast._index.kth_neighbors import mean_kth_distance
from meanshift_fast._input.scaling import NO_PERIOD

pytestmark = pytest.mark.usefixtures("small_fits_on_threads")

RNG = np.random.default_rng(0)


def table(points):
    """The points as the estimator hands them on."""
    points = np.ascontiguousarray(points, dtype=np.float64).view()
    points.flags.writeable = False
    return points


def kth_distances(points, k):
    """Each row's distance to its k-th neighbour, in the order of the table."""
    rows = tree.build(table(points), bandwidth.UNWEIGHTED)
    distances = np.empty(len(points))
    distances[rows.order] = bandwidth._kth_distances(rows, float(k), NO_PERIOD)
    return distances


def kth_distances_by_pairs(points, k):
    """The same of few rows."""
    return bandwidth._kth_distances_of_few(table(points), bandwidth.UNWEIGHTED, float(k))


def measured(points, k, some):
    """The same by measuring all pairs, for some of the rows."""
    return np.array(
        [np.sqrt(np.partition(naive.distances_sq(points, points[i]), k - 1)[k - 1]) for i in some]
    )


# Tables of several blocks, each of a shape that some shortcut of the search could stumble over.
SHAPES = {
    "blobs": samples.blobs(3000, 2),
    "1-d": RNG.standard_normal((3000, 1)),
    "5-d": samples.blobs(2000, 5),
    "40-d": samples.blobs(700, 40),
    "heavy tails": RNG.standard_cauchy((3000, 2)),
    "many scales": np.exp(RNG.uniform(-30, 0, (3000, 1))) * RNG.standard_normal((3000, 2)),
    "two scales": np.vstack([samples.blobs(1500, 2), 1e-6 * samples.blobs(1500, 2)]),
    "a line in 3-d": np.outer(RNG.uniform(size=2000), [1, 2, 3])
    + 1e-9 * RNG.normal(size=(2000, 3)),
    "a heavy speck": np.vstack(
        [RNG.uniform(size=(3000, 2)), 0.5 + 1e-6 * RNG.standard_normal((3000, 2))]
    ),
    "geometric": np.exp(np.linspace(0, 300, 4000))[:, None],
    "heaviest tails": RNG.pareto(0.3, (4000, 2)),
    "lattice": samples.lattice(50, 50),
    "crowded lattice": samples.scattered(4000, 2, side=5),
    "thirds": samples.lattice(50, 50) / 3,
    "a heavy cell and outliers": np.vstack([np.full((2500, 2), 0.1), RNG.normal(size=(500, 2))]),
    "two heavy cells": np.repeat([[0.1, 0.7], [3.0, 0.7]], [1700, 900], axis=0),
    "far": 1e9 + samples.blobs(3000, 2),
    "a constant column": np.column_stack([samples.blobs(2000, 2), np.full(2000, 1e300)]),
}


@pytest.mark.parametrize("quantile", [0.0, 0.01, 0.3, 0.8, 1.0])
@pytest.mark.parametrize("points", SHAPES.values(), ids=SHAPES)
def test_every_kth_distance_is_exact(points, quantile):
    points = RNG.permutation(points)
    k = max(1, int(len(points) * quantile))
    some = np.arange(0, len(points), 13)
    np.testing.assert_array_equal(kth_distances(points, k)[some], measured(points, k, some))


@pytest.mark.parametrize("quantile", [0.0, 0.01, 0.3, 0.8, 1.0])
@pytest.mark.parametrize("points", SHAPES.values(), ids=SHAPES)
def test_every_kth_distance_by_pairs_is_exact(points, quantile):
    points = RNG.permutation(points)[: bandwidth.MAX_PAIRS_ROWS]
    k = max(1, int(len(points) * quantile))
    some = np.arange(0, len(points), 13)
    np.testing.assert_array_equal(
        kth_distances_by_pairs(points, k)[some], measured(points, k, some)
    )


@pytest.mark.jitless
@pytest.mark.parametrize("n_samples", [2, 15, 16, 17, 33, 70])
def test_every_kth_distance_of_few_rows_is_exact(n_samples):
    for points in (samples.blobs(n_samples, 2), samples.scattered(n_samples, 3, side=3)):
        for k in {1, n_samples // 3 + 1, n_samples}:
            expected = measured(points, k, range(n_samples))
            np.testing.assert_array_equal(kth_distances(points, k), expected)
            np.testing.assert_array_equal(kth_distances_by_pairs(points, k), expected)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("n_features", [1, 2, 16, 17])
@pytest.mark.parametrize("n_samples", [100, bandwidth.MAX_PAIRS_ROWS, bandwidth.MAX_PAIRS_ROWS + 1])
def test_a_tree_and_all_pairs_give_one_figure(n_samples, n_features, weighted, monkeypatch):
    points = samples.blobs(n_samples, n_features)
    weights = np.random.default_rng(0).exponential(1.0, n_samples) if weighted else None
    trees, build = [], tree.build
    monkeypatch.setattr(
        tree, "build", lambda *args, **kind: (trees.append(args), build(*args, **kind))[1]
    )
    found = estimate_bandwidth(points, sample_weight=weights)
    is_few = n_samples <= bandwidth.MAX_PAIRS_ROWS and points.size <= bandwidth.MAX_PAIRS_VALUES
    assert len(trees) == 1 - is_few
    monkeypatch.setattr(bandwidth, "MAX_PAIRS_ROWS", 0 if is_few else 2000)
    monkeypatch.setattr(bandwidth, "MAX_PAIRS_VALUES", 1 << 20)
    assert estimate_bandwidth(points, sample_weight=weights) == pytest.approx(found, rel=1e-14)
    assert len(trees) == 1


@pytest.mark.jitless
def test_equal_rows_by_the_hundred_stand_for_each_other():
    points = np.repeat([[0.1, 0.7], [3.0, 0.7], [3.0, 4.7]], [290, 300, 3], axis=0)
    for k, expected in ((1, 0.0), (290, 0.0), (291, 2.9), (593, np.hypot(2.9, 4.0))):
        assert kth_distances(points, k)[0] == pytest.approx(expected, rel=1e-15)


def signed_zeros(points):
    """Every other zero with a minus, so that equal rows differ in their bits."""
    zeros = np.argwhere(points == 0)[::2]
    points = points.astype(float)
    points[zeros[:, 0], zeros[:, 1]] = -0.0
    return points


@pytest.mark.jitless
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X / 3,
        lambda X: (X / 3).astype(np.float32),
        lambda X: X.astype(np.int16),
        signed_zeros,
    ],
    ids=["float64", "float32", "integers", "signed zeros"],
)
def test_equal_rows_are_searched_once(convert, weighted, monkeypatch):
    points = convert(samples.scattered(90, 2, side=5))
    weights = np.random.default_rng(0).exponential(1.0, 90) if weighted else None
    searched, build = [], tree.build
    monkeypatch.setattr(bandwidth, "MAX_PAIRS_ROWS", 0)
    monkeypatch.setattr(
        tree,
        "build",
        lambda rows, each, **kind: (searched.append(len(rows)), build(rows, each, **kind))[1],
    )
    for quantile in (0.0, 0.05, 0.3, 1.0):
        found = estimate_bandwidth(points, quantile=quantile, sample_weight=weights)
        assert found == pytest.approx(
            naive.estimate_bandwidth(points.astype(float), quantile=quantile, weights=weights),
            rel=1e-13, abs=0,
        )  # fmt: skip
    assert set(searched) == {len(np.unique(points.astype(float) + 0.0, axis=0))}


@pytest.mark.parametrize("n_taken", [1, 2, 37, 700])
@pytest.mark.parametrize("name", ["blobs", "two scales", "lattice", "geometric"])
def test_no_prediction_changes_the_answer(name, n_taken):
    """Each row is predicted from others, or from none."""
    points = table(SHAPES[name][:700])
    rows = tree.build(points, bandwidth.UNWEIGHTED)
    span = np.ptp(points, axis=0)
    found = np.empty(len(points))
    bandwidth.search_all(
        rows, None, 200.0, 1.001 * float(np.sqrt(span @ span)),
        (0, len(points), n_taken), np.zeros(1, dtype=np.int64), 1, found,
    )  # fmt: skip
    np.testing.assert_array_equal(found, bandwidth._kth_distances(rows, 200.0, NO_PERIOD))
    np.testing.assert_array_equal(found, measured(points, 200, rows.order))


def random_table(rng):
    """Rows of one of six forms, half of them with weights, and a quantile from 0.001 to 1."""
    n_samples, n_features = int(rng.integers(2, 120)), int(rng.integers(1, 7))
    points = rng.standard_normal((n_samples, n_features)) + 9.0 * rng.integers(
        3, size=(n_samples, 1)
    )
    form = rng.integers(6)
    if form == 1:
        points = np.round(points)  # a lattice, full of ties
    elif form == 2:
        points = points[rng.integers(n_samples, size=n_samples)]  # equal rows
    elif form == 3:
        points = np.outer(np.exp(rng.uniform(-20, 20, n_samples)), np.ones(n_features))
    elif form == 4:
        points = rng.integers(0, 2, (n_samples, n_features)) / 3.0
    elif form == 5:
        points[:, 1:] *= 1e-9
    weights = None
    if rng.random() < 0.5:
        weights = rng.integers(1, 6, n_samples) / rng.choice([1.0, 3.0])
    return points, weights, float(np.exp(rng.uniform(np.log(0.001), 0.0)))


@pytest.mark.parametrize("seed", range(200))
def test_a_random_table_has_the_figure_of_a_plain_sort(seed, monkeypatch):
    points, weights, quantile = random_table(np.random.default_rng(seed))
    expected = naive.estimate_bandwidth(points, quantile=quantile, weights=weights)
    for most in (bandwidth.MAX_PAIRS_ROWS, 0):
        monkeypatch.setattr(bandwidth, "MAX_PAIRS_ROWS", most)
        found = estimate_bandwidth(points, quantile=quantile, sample_weight=weights)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("name", ["blobs", "5-d", "heavy tails", "crowded lattice"])
def test_the_figure_is_scikit_learns(name):
    for quantile in (0.3, 0.05):
        expected = sklearn.cluster.estimate_bandwidth(SHAPES[name], quantile=quantile)
        found = estimate_bandwidth(SHAPES[name], quantile=quantile)
        assert found == pytest.approx(expected, rel=1e-12, abs=0)
        assert type(found) is np.float64


@pytest.mark.jitless
@pytest.mark.parametrize("n_features", [1, 2, 3, 20])
def test_the_figure_is_the_twins(n_features):
    points = samples.blobs(60, n_features)
    for quantile in (0, 0.1, 0.3, 0.5, 0.99, 1):
        assert estimate_bandwidth(points, quantile=quantile) == pytest.approx(
            naive.estimate_bandwidth(points, quantile=quantile), rel=1e-14, abs=0
        )


@pytest.mark.jitless
@pytest.mark.parametrize("largest", [1, 3, 40])
def test_a_row_of_weight_w_is_w_rows(largest):
    points = samples.scattered(50, 2, side=30, seed=largest)
    weights = np.random.default_rng(largest).integers(1, largest + 1, 50)
    for quantile in (0.0, 0.2, 0.3, 0.9, 1.0):
        found = mean_kth_distance(
            table(points), quantile=quantile, weights=table(weights.astype(float))
        )
        repeated = table(np.repeat(points, weights, axis=0))
        assert found == pytest.approx(mean_kth_distance(repeated, quantile=quantile), rel=1e-14)
        assert found == pytest.approx(
            naive.estimate_bandwidth(points, quantile=quantile, weights=weights), rel=1e-14
        )


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e9, 0.1])
def test_weights_need_not_be_whole(scale):
    points = np.vstack([samples.blobs(900, 2), np.full((600, 2), 0.1)])
    weights = scale * np.random.default_rng(0).exponential(1.0, len(points))
    for quantile in (0.1, 0.3, 1.0):
        assert mean_kth_distance(
            table(points), quantile=quantile, weights=table(weights)
        ) == pytest.approx(
            naive.estimate_bandwidth(points, quantile=quantile, weights=weights), rel=1e-12
        )


@pytest.mark.jitless
def test_distances_beyond_all_floats_are_told():
    points = np.array([[1.7e308], [1.6e308], [-1.7e308]] * 5)
    with pytest.raises(ValueError, match=r"X must leave room.*1\.7e\+308 times 2; divide X"):
        estimate_bandwidth(points, quantile=1.0)
    assert np.isfinite(estimate_bandwidth(points, quantile=0.6))


@pytest.mark.parametrize(
    "name",
    ["blobs", "40-d", "heavy tails", "a heavy cell and outliers", "a heavy speck", "geometric"],
)
def test_threads_do_not_change_a_bit(name):
    figures = {estimate_bandwidth(SHAPES[name], n_jobs=n_jobs) for n_jobs in (1, 2, None, -1, 1)}
    assert len(figures) == 1


def test_the_threads_setting_is_given_back():
    before = numba.get_num_threads()
    estimate_bandwidth(SHAPES["blobs"], n_jobs=1)
    assert numba.get_num_threads() == before


@pytest.mark.jitless
@pytest.mark.parametrize("exponent", [-1000, -900, -500, -450, 0, 450, 500, 900, 1000])
def test_a_power_of_two_scales_the_figure_exactly(exponent):
    points = samples.scattered(60, 2, side=40)
    expected = np.ldexp(estimate_bandwidth(points), exponent)
    assert estimate_bandwidth(np.ldexp(points, exponent)) == expected


@pytest.mark.jitless
@pytest.mark.parametrize("scale", [1e150, 1e-150, 1e300, 1e-300])
def test_extreme_scales_scale_the_figure(scale):
    points = samples.blobs(60, 2)
    assert estimate_bandwidth(scale * points) == pytest.approx(
        scale * estimate_bandwidth(points), rel=1e-12, abs=0
    )


@pytest.mark.jitless
def test_the_widest_table_of_all():
    most = np.finfo(np.float64).max
    points = np.array([[-most], [-most], [0.0], [most], [most]])
    # k = 2: the third row's nearest is a largest float away, the others have an equal.
    assert estimate_bandwidth(points, quantile=0.4) == pytest.approx(most / 5, rel=1e-15)


@pytest.mark.jitless
def test_a_constant_column_is_in_no_distance_however_large():
    points = np.ldexp(samples.scattered(40, 2, side=40), -600)
    wider = np.column_stack([points, np.full(40, 1e300)])
    assert estimate_bandwidth(wider) == estimate_bandwidth(points) > 0


@pytest.mark.jitless
@pytest.mark.parametrize(
    "points", [np.full((500, 3), 0.1), np.zeros((1, 1)), np.full((40, 1), -1e300)]
)
def test_equal_rows_have_no_bandwidth(points):
    ways = [{"quantile": quantile} for quantile in (0, 0.3, 1)]
    for params in (*ways, {"method": "scott"}, {"method": "silverman"}):
        found = estimate_bandwidth(points, **params)
        assert type(found) is np.float64
        assert found == 0


@pytest.mark.jitless
@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.astype(np.float16),
        lambda X: X.astype(np.float32),
        lambda X: X.astype(np.int8),
        lambda X: X.astype(np.uint64),
        lambda X: X.astype(object),
        np.asfortranarray,
        lambda X: X[::-1, ::-1][::-1, ::-1],
        lambda X: X.tolist(),
        lambda X: np.repeat(X, 3, axis=0)[::3],
    ],
    ids=["float16", "float32", "int8", "uint64", "object", "Fortran", "flipped", "list", "strided"],
)
def test_dtype_and_layout_do_not_matter(convert):
    points = samples.scattered(40, 2, side=9)
    assert estimate_bandwidth(convert(points)) == estimate_bandwidth(points)


def test_large_integers_are_not_lost():
    points = samples.scattered(40, 2, side=9).astype(np.int64) * 2**58
    assert estimate_bandwidth(points) == 2.0**58 * estimate_bandwidth(points // 2**58)


def test_the_table_is_left_alone():
    points = samples.blobs(100, 2)
    before = points.copy()
    estimate_bandwidth(points)
    np.testing.assert_array_equal(points, before)
    assert points.flags.writeable


@pytest.mark.jitless
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"quantile": -0.1}, "quantile.*got -0.1"),
        ({"quantile": 1.01}, "quantile.*got 1.01"),
        ({"quantile": np.nan}, "quantile.*got nan"),
        ({"quantile": "half"}, "quantile.*got 'half'"),
        ({"n_samples": 0}, "n_samples.*got 0"),
        ({"n_samples": 2.5}, "n_samples.*got 2.5"),
        ({"random_state": "dice"}, "random_state.*got 'dice'"),
        ({"n_jobs": 0}, "n_jobs must not be 0, got 0"),
        ({"n_jobs": 1.5}, "n_jobs.*got 1.5"),
    ],
)
def test_a_bad_parameter_is_named_with_its_value(params, message):
    with pytest.raises(ValueError, match=f"(?i){message}"):
        estimate_bandwidth(samples.blobs(20, 2), **params)


@pytest.mark.jitless
@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[1.0, np.nan]], "NaN"),
        ([[1.0, np.inf]], "infinity"),
        ([[1.0, 2j]], "Complex data not supported"),
        ([["a", "b"]], "compatible with arrays of bytes/strings"),
        (np.empty((0, 2)), "0 sample"),
        (np.empty((2, 0)), "0 feature"),
        ([1.0, 2.0], "Expected 2D array"),
    ],
)
def test_a_bad_table_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        estimate_bandwidth(X)


@pytest.mark.parametrize("weight", [2.0, 2, np.float32(2.0)])
def test_one_weight_serves_all_rows(weight):
    X = samples.blobs(60, 2)
    expected = estimate_bandwidth(X, sample_weight=np.full(len(X), 2.0))
    assert estimate_bandwidth(X, sample_weight=weight) == expected


@pytest.mark.parametrize(("name", "value"), [("progress", "off"), ("bin_seeding", "no")])
def test_a_curve_names_a_bad_parameter(name, value):
    with pytest.raises((ValueError, TypeError), match=f"{name}.*bandwidth_curve.*{value!r}"):
        bandwidth_curve(samples.blobs(60, 2), **{name: value})
