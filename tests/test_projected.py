"""One shift through projections: the same balls as by the tree, to the last row."""

import time
import tracemalloc

import numpy as np
import pytest
import sklearn.cluster

import naive
from meanshift_fast import MeanShift
from meanshift_fast._index import projected
from meanshift_fast._index.projected import ProjectedIndex
from meanshift_fast._index.projection import _axes_of, project
from meanshift_fast._jit.threads import borrowed_threads
from samples import blobs, digits, scattered

UNWEIGHTED = np.empty(0)


def lines(n_samples, n_features, *, seed=0):
    """Lattice points on a few directions: most distances are whole, and many rows are equal."""
    rng = np.random.default_rng(seed)
    which = rng.integers(0, 6, (n_samples, 2))
    points = np.zeros((n_samples, n_features))
    np.add.at(points, (np.arange(n_samples)[:, None], which), rng.integers(-4, 5, which.shape))
    return points


CASES = {
    "digits": (digits(600), 20.0),
    "rows on the sphere": (lines(500, 40), 5.0),
    "rows on the sphere, far away": (lines(500, 40) + 1e6, 5.0),
    "tenths": (scattered(500, 33, side=4, step=0.1)[:, [0] * 20 + [*range(13)]], 0.6),
    "blobs": (blobs(700, 64), 5.0),
    "blobs far away": (blobs(700, 64) + 1e6, 5.0),
    "a cluster in each ball": (blobs(700, 50, spread=0.1), 3.0),
    "everything in the ball": (blobs(300, 48), 1e3),
    "many blocks": (np.repeat(blobs(1000, 36), 5, axis=0), 4.0),
    "equal rows": (np.full((50, 40), 3.7), 1.0),
    "a row far off": (np.vstack([blobs(300, 48), np.full((1, 48), 1e9)]), 4.0),
}

JITLESS = ["a cluster in each ball", "equal rows", "everything in the ball", "rows on the sphere"]


def projected_rows(points, weights=UNWEIGHTED):
    points = np.ascontiguousarray(points)
    points.flags.writeable = False
    found = project(points, weights)
    assert found is not None
    return found


def places_near(points):
    """Rows, places between rows, and one outside."""
    rows = points[:: max(1, len(points) // 25)]
    return np.vstack([rows, (rows[1:] + rows[:-1]) / 2.0, points.mean(axis=0) + 1e3])


def check_paths(points, weights, positions, bandwidth, row_weights):
    last_means = positions.copy()
    rest, n_rounds = 1e-3 * bandwidth, 12
    places, support, moves = ProjectedIndex(*projected_rows(points, row_weights), bandwidth).walk(
        last_means, n_rounds, rest
    )
    n_steps = naive.steps_taken(support, moves, rest)
    assert support.shape == moves.shape == (len(positions), n_rounds)
    scale = np.abs(points).max()
    for i, position in enumerate(positions):
        for number in range(n_steps[i]):
            mean, weight = naive.shift(points, weights, position, bandwidth)
            assert support[i, number] == pytest.approx(weight, rel=1e-12)
            move = np.linalg.norm(mean - position)
            assert moves[i, number] == pytest.approx(move, rel=1e-9, abs=1e-12 * scale)
            np.testing.assert_allclose(places[i, number], mean, rtol=0, atol=1e-12 * scale)
            position = places[i, number]
        np.testing.assert_array_equal(last_means[i], position)
        last = n_steps[i] - 1
        at_rest = moves[i, last] <= rest or support[i, last] == 0.0
        assert at_rest or n_steps[i] == n_rounds


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.jitless] * (name in JITLESS)) for name in CASES],
)
def test_a_path_goes_from_mean_to_mean_of_the_closed_ball(name):
    points, bandwidth = CASES[name]
    check_paths(points, np.ones(len(points)), places_near(points), bandwidth, UNWEIGHTED)


@pytest.mark.parametrize("name", ["digits", "rows on the sphere", "blobs", "many blocks"])
def test_weights_count_as_so_many_rows(name):
    points, bandwidth = CASES[name]
    weights = np.random.default_rng(0).uniform(0.1, 3.0, len(points))
    check_paths(points, weights, places_near(points), bandwidth, weights)


@pytest.mark.parametrize("seed", range(12))
def test_balls_through_rows_hold_just_those_that_the_definition_tells(seed):
    rng = np.random.default_rng(seed)
    points = blobs(200, 40, seed=seed) + rng.choice([0.0, 1e3, 1e6])
    at, through = points[rng.integers(0, len(points), (2, 20))]
    on = projected_rows(points)
    for place, row in zip(at, through, strict=True):
        edge = np.sqrt(naive.distances_sq(row[None], place)[0])
        for bandwidth in (edge, np.nextafter(edge, 0.0), np.nextafter(edge, np.inf)):
            if bandwidth > 0.0:
                _, weight = naive.shift(points, np.ones(len(points)), place, bandwidth)
                support, _ = ProjectedIndex(*on, bandwidth).shift(place[None].copy())
                assert support[0] == weight


@pytest.mark.parametrize("far", [1e9, 1e14, 1e20, 1e30])
@pytest.mark.parametrize("step", [1e-9, 1.0])
def test_a_ball_narrower_than_projections_can_tell_holds_its_own_rows_alone(far, step):
    """Beside a row so far off, the projections of all others may be one."""
    points = np.zeros((121, 36))
    points[:-1, 0] = step * (np.arange(120) % 9)
    points[-1, 0] = -far
    on = projected_rows(points)
    for bandwidth in (0.1 * step, 1.5 * step):
        positions = points.copy()
        support, moves = ProjectedIndex(*on, bandwidth).shift(positions)
        for i, point in enumerate(points):
            mean, weight = naive.shift(points, np.ones(len(points)), point, bandwidth)
            assert support[i] == weight
            np.testing.assert_allclose(positions[i], mean, rtol=1e-12)
            assert moves[i] == pytest.approx(np.linalg.norm(mean - point), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_late_balls_through_rows_hold_just_those_that_the_definition_tells(seed):
    """Where a path leads is found first; then the ball there gets a row for its border."""
    points = digits(400) + np.random.default_rng(seed).choice([0.0, 1e3, 1e6])
    weights, on, on_the_border = np.ones(len(points)), projected_rows(points), 0
    for start in range(seed, 400, 40):
        places, support, moves = ProjectedIndex(*on, 22.0).walk(points[[start]], 5, 0.0)
        for place in places[0, 1 : naive.steps_taken(support, moves, 0.0)[0]]:
            to_rows = np.sqrt(naive.distances_sq(points, place))
            bandwidth = to_rows[np.argmin(np.abs(to_rows - 22.0))]
            led_to, support, moves = ProjectedIndex(*on, bandwidth).walk(points[[start]], 6, 0.0)
            n_steps = naive.steps_taken(support, moves, 0.0)[0]
            for later in range(1, n_steps):
                at = led_to[0, later - 1]
                assert support[0, later] == naive.shift(points, weights, at, bandwidth)[1]
                gaps = np.abs(np.sqrt(naive.distances_sq(points, at)) - bandwidth)
                on_the_border += gaps.min() <= 1e-12 * bandwidth
    assert on_the_border >= 10


def test_many_steps_at_once_end_where_single_steps_end():
    points, bandwidth = CASES["digits"]
    on, rest, round_by_round = projected_rows(points), 1e-3 * bandwidth, points.copy()
    at_once = points.copy()
    ProjectedIndex(*on, bandwidth).walk(at_once, 8, rest)
    live = np.arange(len(points))
    for _ in range(8):
        moved = round_by_round[live]
        _, moves = ProjectedIndex(*on, bandwidth).shift(moved)
        round_by_round[live] = moved
        live = live[moves > rest]
    np.testing.assert_array_equal(at_once, round_by_round)  # pixels sum exactly


def test_paths_are_bit_equal_for_every_number_of_threads():
    points = blobs(3000, 64)
    results = []
    for n_jobs in (1, 2):
        with borrowed_threads(n_jobs):
            positions = points.copy()
            _, support, moves = ProjectedIndex(*projected_rows(points), 5.0).walk(
                positions, 6, 1e-3
            )
            n_steps = naive.steps_taken(support, moves, 1e-3)
            taken = np.arange(6) < n_steps[:, None]  # what comes after is not set
            results.append((support[taken], moves[taken], n_steps, positions))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "points",
    [
        np.random.default_rng(0).standard_normal((900, 64)),
        np.zeros((50, 40)),
        1e200 * blobs(50, 40),
        1e-200 * blobs(50, 40),
    ],
    ids=["one Gaussian", "equal rows", "huge", "tiny"],
)
def test_rows_that_projections_cannot_tell_apart_are_not_projected(points):
    points.flags.writeable = False
    assert project(points, UNWEIGHTED) is None


def test_a_fit_is_the_same_with_projections_and_without(monkeypatch):
    X = digits(500)
    models = []
    for is_worth in (True, False):
        monkeypatch.setattr(projected, "is_worth", lambda *_, answer=is_worth: answer)
        models.append(MeanShift(bandwidth=22.0).fit(X))
    for name in ("cluster_centers_", "labels_", "mode_weight_", "n_iter_"):
        np.testing.assert_array_equal(*(getattr(model, name) for model in models))
    np.testing.assert_array_equal(*(model.history_["n_active"] for model in models))


def test_axes_are_those_of_a_matrix_decomposition():
    scales = np.r_[np.linspace(30.0, 10.0, 16), np.ones(240)]  # the sixteenth is ten times the next
    for n_rows in (100, 400):
        away = np.random.default_rng(0).standard_normal((n_rows, 256)) * scales
        axes, part = _axes_of(away)
        _, lengths, directions = np.linalg.svd(away, full_matrices=False)
        np.testing.assert_allclose(np.linalg.norm(directions[:16] @ axes.T, axis=1), 1.0, rtol=1e-3)
        assert part == pytest.approx((lengths[:16] ** 2).sum(), rel=1e-3)


@pytest.mark.parametrize(("n_rows", "n_features"), [(30, 10_000), (3, 20_000)])
def test_few_rows_in_many_columns_take_the_memory_that_the_readme_says(n_rows, n_features):
    X = np.random.default_rng(0).standard_normal((n_rows, n_features))
    X[n_rows // 2 :] += 3.0
    bandwidth = 2.0 * n_features**0.5
    MeanShift(bandwidth=bandwidth).fit(X)  # compiles
    tracemalloc.start()
    began = time.process_time()
    model = MeanShift(bandwidth=bandwidth).fit(X)
    took, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (10 + 18 + 30) * n_features * (n_rows if n_rows > 16 else 64)
    assert took < 1.0
    theirs = sklearn.cluster.MeanShift(bandwidth=bandwidth).fit(X)
    np.testing.assert_array_equal(model.labels_, theirs.labels_)


def test_rows_in_a_plane_have_two_axes():
    rng = np.random.default_rng(0)
    axes, _ = _axes_of(rng.standard_normal((50, 2)) @ rng.standard_normal((2, 64)))
    assert len(axes) == 2
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-14)
