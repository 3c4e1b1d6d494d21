"""The Gaussian kernel: a shift keeps its promise, modes are stationary, basins are the twin's."""

import numba
import numpy as np
import pytest
from sklearn.datasets import make_moons
from sklearn.metrics import adjusted_rand_score

import naive
from indexes import built_tree
from meanshift_fast import MeanShift
from meanshift_fast._index import error_bounds
from meanshift_fast._index.gaussian import gaussian_shift
from meanshift_fast._index.newton import polish
from meanshift_fast._index.sigma_points import find_sigma_points
from meanshift_fast._jit.simd import LANES, full
from meanshift_fast._jit.threads import borrowed_threads
from samples import blobs, lattice, scattered

pytestmark = pytest.mark.usefixtures("small_fits_on_threads")

UNWEIGHTED = np.empty(0)
ACCURACIES = (0.3, 1e-2, 1e-3, 1e-5, 0.0)
ROUNDING = 1e-9


def rings(n_samples, seed=0):
    rng = np.random.default_rng(seed)
    angle, radius = rng.uniform(0, 2 * np.pi, n_samples), rng.choice([1.0, 3.0], n_samples)
    radius = radius + 0.08 * rng.standard_normal(n_samples)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def heavy_and_single(n_features=2, seed=0):
    """A tight cluster of thousands, and single rows 5 to 15 bandwidths away."""
    rng = np.random.default_rng(seed)
    heavy = 0.02 * rng.standard_normal((4000, n_features))
    away = rng.standard_normal((40, n_features))
    away *= np.linspace(5, 15, 40)[:, None] / np.linalg.norm(away, axis=1)[:, None]
    return np.concatenate([heavy, away])


def two_scales(seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [0.01 * rng.standard_normal((1500, 2)), 1.0 * rng.standard_normal((1500, 2)) + 3.0]
    )


# Tables in bandwidths, made to break a promise.
HARD = {
    "a heavy cluster and single rows": heavy_and_single(),
    "the same in one dimension": heavy_and_single(1),
    "the same in five": heavy_and_single(5),
    "two scales": two_scales(),
    "sixty-four features": blobs(500, 64, box=3.0, spread=0.5),
    "duplicates": np.repeat(scattered(60, 2), 40, axis=0),
    "equal rows": np.full((500, 3), 0.7),
    "one row": np.array([[2.0, 3.0]]),
    "a lattice": lattice(40, 40) / 7.0,
    "a line in three dimensions": np.outer(np.linspace(-9, 9, 2000), [1.0, -2.0, 0.5]),
    "blobs": blobs(6000, 2, box=8.0),
    "blobs in four dimensions": blobs(3000, 4, box=5.0),
    "far from the origin": blobs(2000, 2, box=6.0) + 1e6,
    "few rows": scattered(300, 2, side=30, step=2.3),
    "few rows in four dimensions": scattered(400, 4, side=7, step=1.9),
    "pairs far apart": np.repeat(scattered(200, 3, side=20, step=9.0), 2, axis=0),
}


def positions_about(points, seed=1):
    """Rows; between rows; about rows; far from all of them, and beyond all kernels."""
    rng = np.random.default_rng(seed)
    n_features = points.shape[1]
    rows = points[rng.integers(0, len(points), 60)]
    others = points[rng.integers(0, len(points), 60)]
    far = rng.standard_normal((6, n_features)) * np.array([20, 60, 3e2, 1e4, 1e6, 1e9])[:, None]
    return np.concatenate(
        [
            points[:200],
            rows,
            0.5 * (rows + others),
            0.9 * rows + 0.1 * others,
            rows + rng.standard_normal(rows.shape),
            points.mean(axis=0) + far,
        ]
    )


def shifted(points, weights, positions, accuracy):
    built = built_tree(points, weights)
    moved = positions.copy()
    support, moves = gaussian_shift(built, find_sigma_points(built), moved, accuracy=accuracy)
    return moved, support, moves


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", HARD)
def test_a_shift_keeps_its_promise(name, weighted):
    points = np.ascontiguousarray(HARD[name])
    rng = np.random.default_rng(2)
    weights = 10.0 ** rng.uniform(-4, 4, len(points)) if weighted else np.ones(len(points))
    positions = positions_about(points)
    means, densities = zip(
        *(naive.gaussian_shift(points, weights, x, 1.0) for x in positions), strict=True
    )
    scale = np.abs(positions).max(axis=1)
    for accuracy in ACCURACIES:
        moved, support, moves = shifted(
            points, weights if weighted else UNWEIGHTED, positions, accuracy
        )
        errors = np.linalg.norm(moved - np.array(means), axis=1)
        # What a sum of so many terms, or a difference of two such coordinates, rounds away.
        assert (errors <= accuracy + ROUNDING + 1e-15 * scale * (1.0 + scale)).all()
        np.testing.assert_allclose(
            support, densities, rtol=5.0 * accuracy + 1e-6 + 1e-15 * scale.max() ** 2, atol=1e-280
        )
        np.testing.assert_allclose(
            moves, np.linalg.norm(moved - positions, axis=1), rtol=1e-9, atol=1e-12 * scale.max()
        )


def companies(points, seed=3):
    """Groups of neighbours, which shifts may take together: tight and wide, near rows and far."""
    rng = np.random.default_rng(seed)
    n_features = points.shape[1]
    rows = points[rng.integers(0, len(points), 30)]
    away = rng.standard_normal((30, n_features))
    away /= np.linalg.norm(away, axis=1)[:, None]
    centers = rows + np.repeat([0.0, 1.0, 4.0, 12.0, 30.0, 45.0], 5)[:, None] * away
    widths = 10.0 ** rng.uniform(-3, 0, 30)
    spread = rng.standard_normal((30, 8, n_features))
    return (centers[:, None] + widths[:, None, None] * spread).reshape(-1, n_features)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", HARD)
def test_neighbours_that_shift_together_keep_the_promise(name, weighted):
    points = np.ascontiguousarray(HARD[name])
    weights = np.ones(len(points))
    if weighted:
        weights = 10.0 ** np.random.default_rng(2).uniform(-12, 12, len(points))
    positions = companies(points)
    means = np.array([naive.gaussian_shift(points, weights, x, 1.0)[0] for x in positions])
    scale = np.abs(positions).max()
    for accuracy in (10.0, 1.0, 1e-1, 1e-3, 1e-6):
        moved, _, _ = shifted(points, weights if weighted else UNWEIGHTED, positions, accuracy)
        errors = np.linalg.norm(moved - means, axis=1)
        # Terms 45 bandwidths away differ in their exponents by what both coordinates round away.
        assert errors.max() <= min(accuracy, 1.0) + ROUNDING + 1e-14 * scale


def errors_of(away, radius, skew, tail, n_features, n_sigma, reach):
    """The kernel's bound, sixteen distances at a time, as plain NumPy."""
    bound = getattr(error_bounds.node_errors, "py_func", error_bounds.node_errors)
    lanes = (full(radius), full(skew), full(tail), n_features, n_sigma, reach)
    return np.concatenate([bound(some, *lanes) for some in away.reshape(-1, LANES)])


def largest_about(centers, bound):
    """The largest that a bound gets up to each distance from a center."""
    return np.array([bound(np.linspace(0.0, a, 400)).max() for a in centers])


@pytest.mark.parametrize("n_features", [1, 2, 3, 4])
def test_norms_of_third_moments_do_not_fall_behind_those_nearer_to_the_center(n_features):
    """The error of a node is bounded for all positions of a group by that at its far end."""
    n = n_features
    away = np.linspace(0.0, 4.0, LANES * 8)

    def third(a):
        return np.sqrt(np.maximum(a**6 - 6 * a**4 + 3 * (n + 2) * a**2, 0.0))

    def fourth(a):
        square = a**8 - 12 * a**6 + 6 * (n + 6) * a**4 - 12 * (n + 2) * a**2 + 3 * n * (n + 2)
        return np.sqrt(np.maximum(square, 0.0))

    for reach in (0.0, 2.0):
        least = largest_about(away, lambda a, reach=reach: (fourth(a) + third(a) * reach) / 6.0)
        assert (errors_of(away, 0.1, 1.0, 0.0, n, 2 * n, reach) >= least * (1.0 - 1e-12)).all()


@pytest.mark.parametrize("n_sigma", [1, 4])
def test_tails_are_the_largest_derivatives_within_reach(n_sigma):
    """He2 to He5 of a coordinate, and the length of the gradient, over the ball of radius b."""
    away, radius = np.linspace(0.0, 5.0, LANES * 16), 0.25
    z = np.linspace(0.0, away + radius, 2000)
    he2, he3 = z**2 - 1, z**3 - 3 * z
    he4, he5 = z**4 - 6 * z**2 + 3, z**5 - 10 * z**3 + 15 * z
    low, high, times = (he2, he3, 0.5) if n_sigma == 1 else (he4, he5, 1.0 / 24.0)
    across_sq = (away + radius) ** 2 - z**2
    gradient = np.sqrt(high**2 + across_sq * low**2).max(axis=0)
    for reach in (0.0, 3.0):
        least = times * (gradient + reach * np.abs(low).max(axis=0))
        found = errors_of(away, radius, 0.0, 1.0, 2, n_sigma, reach)
        assert (found >= least * (1.0 - 1e-9)).all()


def test_dense_groups_keep_the_promise():
    points = blobs(60_000, 2, n_blobs=3, spread=1.0, box=6.0)
    built = built_tree(points)
    positions = points[built.order]
    moved = positions.copy()
    gaussian_shift(built, find_sigma_points(built), moved, accuracy=1e-3)
    some = np.linspace(0, len(points) - 1, 60).astype(int)
    for i in some:
        mean, _ = naive.gaussian_shift(points, np.ones(len(points)), positions[i], 1.0)
        assert np.linalg.norm(moved[i] - mean) <= 1e-3


@pytest.mark.jitless
def test_every_row_is_summed_where_no_error_is_allowed():
    points = blobs(150, 2, box=4.0)
    moved, support, _ = shifted(points, UNWEIGHTED, points[:10].copy(), 0.0)
    for i in range(10):
        mean, density = naive.gaussian_shift(points, np.ones(150), points[i], 1.0)
        np.testing.assert_allclose(moved[i], mean, rtol=0, atol=1e-13)
        assert support[i] == pytest.approx(density, rel=1e-13)


@pytest.mark.jitless
def test_a_small_fit_is_the_twins():
    points = blobs(90 if not numba.config.DISABLE_JIT else 25, 2, n_blobs=2, box=4.0)
    model = MeanShift(kernel="gaussian", bandwidth=0.5, assign="basin").fit(points)
    modes, labels = naive.gaussian_mean_shift(points, 0.5)
    np.testing.assert_allclose(model.cluster_centers_, modes, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(model.labels_, labels)


def test_shifts_and_fits_are_bit_equal_for_every_number_of_threads():
    points = blobs(5000, 3, box=4.0)
    found = []
    for n_jobs in (1, 2):
        with borrowed_threads(n_jobs):
            moved, support, moves = shifted(points, UNWEIGHTED, points, 1e-3)
        model = MeanShift(kernel="gaussian", bandwidth=0.6, assign="basin", n_jobs=n_jobs)
        model.fit(points)
        found.append((moved, support, moves, model.cluster_centers_, model.labels_))
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("n_features", [1, 2, 3, 6, 70])
def test_modes_are_stationary(n_features):
    points = blobs(800, n_features, box=6.0, spread=0.7)
    built = built_tree(points)
    sigma = find_sigma_points(built)
    start = points[::40].copy()
    before = [naive.gaussian_shift(points, np.ones(800), x, 1.0)[1] for x in start]
    modes, density = polish(built, sigma, start)
    for mode, reached, least in zip(modes, density, before, strict=True):
        mean, exact = naive.gaussian_shift(points, np.ones(800), mode, 1.0)
        assert np.linalg.norm(mean - mode) <= 1e-7
        assert reached == pytest.approx(exact, rel=1e-9)
        assert reached >= least * (1.0 - 1e-12)


@pytest.mark.parametrize("bandwidth", [0.3, 0.8])
def test_centres_of_a_fit_are_stationary_to_a_millionth_of_the_bandwidth(bandwidth):
    points = blobs(3000, 2, box=8.0, spread=1.0)
    model = MeanShift(kernel="gaussian", bandwidth=bandwidth, tol=0.05).fit(points)
    step = 1e-4 * bandwidth
    for center in model.cluster_centers_:
        gradient, hessian = np.empty(2), np.empty((2, 2))
        shift = {}
        for f in range(2):
            for sign in (-1, 1):
                place = center.copy()
                place[f] += sign * step
                mean, _ = naive.gaussian_shift(points, np.ones(3000), place, bandwidth)
                shift[f, sign] = mean - place
        mean, _ = naive.gaussian_shift(points, np.ones(3000), center, bandwidth)
        gradient = mean - center
        for f in range(2):
            hessian[f] = (shift[f, 1] - shift[f, -1]) / (2 * step)
        assert np.linalg.norm(np.linalg.solve(hessian, gradient)) <= 1e-6 * bandwidth


BASINS = {
    "two rings": (rings(200), 0.35),
    "overlapping blobs": (blobs(200, 2, n_blobs=3, spread=1.0, box=5.0), 0.6),
    "two moons": (make_moons(200, noise=0.06, random_state=0)[0], 0.15),
}


def on_a_watershed(points, row, bandwidth, width):
    """Whether starting points about a row, ``width`` bandwidths away, reach different modes."""
    angles = np.arange(8) * np.pi / 4
    around = points[row] + width * bandwidth * np.column_stack([np.cos(angles), np.sin(angles)])
    ends = []
    for start in around:
        for _ in range(5000):
            mean, _ = naive.gaussian_shift(points, np.ones(len(points)), start, bandwidth)
            move, start = np.linalg.norm(mean - start), mean
            if move <= 1e-5 * bandwidth:
                break
        ends.append(start)
    return np.ptp(np.array(ends), axis=0).max() > 0.1 * bandwidth


@pytest.mark.parametrize("name", BASINS)
def test_basins_are_those_of_a_plain_climb(name):
    points, bandwidth = BASINS[name]
    modes, labels = naive.gaussian_mean_shift(points, bandwidth, tol=1e-4)
    model = MeanShift(kernel="gaussian", bandwidth=bandwidth, assign="basin").fit(points)
    assert len(model.cluster_centers_) == len(modes)
    np.testing.assert_allclose(model.cluster_centers_, modes, rtol=0, atol=0.02 * bandwidth)
    astray = np.flatnonzero(model.labels_ != labels)
    assert len(astray) <= 0.005 * len(points)
    assert all(on_a_watershed(points, row, bandwidth, 1e-3) for row in astray)


def test_a_coalesced_fit_finds_nearly_the_same_basins():
    points = blobs(4000, 2, spread=1.0, box=9.0)
    plain, coalesced = (
        MeanShift(kernel="gaussian", bandwidth=0.7, assign="basin", coalesce=coalesce).fit(points)
        for coalesce in (0.0, 0.01)
    )
    np.testing.assert_allclose(coalesced.cluster_centers_, plain.cluster_centers_, atol=1e-5)
    assert adjusted_rand_score(plain.labels_, coalesced.labels_) >= 0.9995
    np.testing.assert_array_equal(coalesced.predict(points), coalesced.labels_)


def test_trajectories_that_crawl_land_on_the_mode_they_climb_to():
    # One broad hill: at a tol this coarse, trajectories stop up to bandwidths before its top.
    points = np.random.default_rng(0).normal(size=(800, 1)) * 6.0
    points = np.sort(points, axis=0)
    model = MeanShift(kernel="gaussian", bandwidth=3.0, assign="basin", tol=0.2).fit(points)
    exact, _ = naive.gaussian_mean_shift(points, 3.0, tol=1e-4)
    np.testing.assert_allclose(model.cluster_centers_, exact, atol=0.02)
    assert set(model.labels_) == {0}


def test_a_row_of_weight_two_is_two_rows():
    points = blobs(600, 2, spread=0.8)
    weights = np.random.default_rng(0).integers(0, 4, 600)
    settings = {"kernel": "gaussian", "bandwidth": 0.6, "assign": "basin"}
    weighted = MeanShift(**settings).fit(points, sample_weight=weights)
    repeated = MeanShift(**settings).fit(np.repeat(points, weights, axis=0))
    np.testing.assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_, atol=1e-6)
    np.testing.assert_allclose(weighted.mode_weight_, repeated.mode_weight_, rtol=1e-6)
    np.testing.assert_array_equal(np.repeat(weighted.labels_, weights), repeated.labels_)


def test_each_feature_may_have_its_own_bandwidth():
    points = blobs(500, 2, spread=0.8)
    stretch = np.array([1.0, 50.0])
    settings = {"kernel": "gaussian", "assign": "basin"}
    own = MeanShift(bandwidth=0.5 * stretch, **settings).fit(points * stretch)
    one = MeanShift(bandwidth=0.5, **settings).fit(points)
    np.testing.assert_allclose(own.cluster_centers_, one.cluster_centers_ * stretch, rtol=1e-9)
    np.testing.assert_array_equal(own.labels_, one.labels_)
    repeated = MeanShift(bandwidth=[0.5, 0.5], **settings).fit(points)
    np.testing.assert_array_equal(repeated.labels_, one.labels_)


def test_the_estimated_bandwidth_gives_a_coordinate_the_variance_it_has_in_the_ball():
    points = blobs(300, 4)
    flat, gaussian = MeanShift().fit(points), MeanShift(kernel="gaussian").fit(points)
    assert gaussian.bandwidth_ == pytest.approx(flat.bandwidth_ / np.sqrt(6), rel=1e-12)


def test_an_estimated_bandwidth_of_zero_gives_each_value_its_cluster():
    values = np.array([0.1] * 23 + [0.7] * 17)[:, None]
    model = MeanShift(kernel="gaussian", assign="basin").fit(values)
    np.testing.assert_array_equal(model.cluster_centers_, [[0.1], [0.7]])
    np.testing.assert_array_equal(model.labels_, [0] * 23 + [1] * 17)


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_extreme_scales_change_nothing(scale):
    points = blobs(200, 2)
    model = MeanShift(kernel="gaussian", bandwidth=0.5 * scale).fit(points * scale)
    plain = MeanShift(kernel="gaussian", bandwidth=0.5).fit(points)
    np.testing.assert_allclose(model.cluster_centers_ / scale, plain.cluster_centers_, rtol=1e-9)


def test_rows_and_seeds_beyond_all_kernels_still_climb():
    points = blobs(200, 2)
    model = MeanShift(kernel="gaussian", bandwidth=0.5, assign="basin", seeds=[[1e9, 0], [5, 5]])
    model.fit(points)
    assert np.isfinite(model.cluster_centers_).all()
    labels = model.predict([[1e300, -1e300], [1e12, 3.0], [0.0, 0.0]])
    assert ((labels >= 0) & (labels < len(model.cluster_centers_))).all()
    with pytest.raises(ValueError, match=r"bandwidth=.* is too small for X"):
        MeanShift(kernel="gaussian", bandwidth=1e-200).fit(points)


@pytest.mark.parametrize("accuracy", [-1e-3, np.nan, "exact"])
def test_a_bad_accuracy_is_refused(accuracy):
    with pytest.raises(ValueError, match="'accuracy' parameter"):
        MeanShift(kernel="gaussian", accuracy=accuracy).fit(blobs(30, 2))


@pytest.mark.parametrize("n_features", [1, 2, 5])
@pytest.mark.parametrize("distance", [1e8, 1e12, 1e16, 1e60, 1e139])
def test_from_far_away_a_shift_goes_to_the_row_that_lies_farthest_that_way(n_features, distance):
    rng = np.random.default_rng(1)
    points = 3.0 * rng.normal(size=(500, n_features))
    built = built_tree(points)
    ways = rng.normal(size=(40, n_features))
    ways /= np.linalg.norm(ways, axis=1)[:, None]
    positions = distance * ways
    _, moves = gaussian_shift(built, find_sigma_points(built), positions, accuracy=1e-3)
    np.testing.assert_allclose(positions, points[(points @ ways.T).argmax(axis=0)], atol=1e-3)
    np.testing.assert_allclose(moves, distance, rtol=1e-6)


def test_a_bandwidth_of_one_counts_far_rows_as_any_other():
    points = blobs(200, 2)
    seeds = np.vstack([points[:5], [[1.7e308, -1.7e308]]])
    model = MeanShift(kernel="gaussian", bandwidth=1.0, assign="basin", seeds=seeds).fit(points)
    assert np.isfinite(model.history_["max_shift"]).all()
    assert np.isfinite(model.cluster_centers_).all()
    far, near = model.predict([[1.7e308, 0.0], points[points[:, 0].argmax()]])
    assert far == near


def test_groups_part_where_positions_are_far_apart():
    """Two heaps in a block are two groups, each shifted as it is without the other."""
    points = blobs(6000, 2, box=8.0)
    built = built_tree(points)
    sigma = find_sigma_points(built)
    rng = np.random.default_rng(0)
    heaps = [
        place + 1e-3 * rng.standard_normal((size, 2))
        for place, size in (([2.0, 2.0], 18), ([6.0, 5.0], 46))
    ]
    together = np.concatenate(heaps)
    gaussian_shift(built, sigma, together, accuracy=1e-3)
    for heap in heaps:
        gaussian_shift(built, sigma, heap, accuracy=1e-3)
    np.testing.assert_array_equal(together, np.concatenate(heaps))
