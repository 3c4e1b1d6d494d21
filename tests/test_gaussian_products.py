"""The Gaussian shift by matrix products: within the promised accuracy of the exact sums."""

import dataclasses
import math
import tracemalloc

import numpy as np
import pytest

import naive
from meanshift_fast import MeanShift
from meanshift_fast._index import acceleration, choice, thresholds
from meanshift_fast._index.filled_rows import FilledRows
from meanshift_fast._index.gaussian import GaussianIndex
from meanshift_fast._index.gaussian_products import FilledGaussianIndex
from meanshift_fast._jit.threads import borrowed_threads
from samples import blobs, directions
from test_products import UNWEIGHTED, single


def built(points, accuracy, weights=UNWEIGHTED, n_seeds=None):
    points = np.ascontiguousarray(points)
    points.flags.writeable = False
    return choice.build(
        points, weights, radius=1.0, kernel="gaussian", accuracy=accuracy,
        n_seeds=len(points) if n_seeds is None else n_seeds,
    )  # fmt: skip


CASES = {
    "unit rows": directions(700, 64) / 0.4,
    "narrow": single(directions(600, 128, noise=20.0)) / 0.15,
    "wide": directions(600, 200) / 2.0,
    "far away": directions(600, 80) / 0.3 + 1e4,
    "a tail of lengths": directions(600, 80) * np.linspace(0.1, 40.0, 600)[:, None],
}


@pytest.fixture(autouse=True)
def _products(monkeypatch):
    monkeypatch.setattr(thresholds, "MIN_PRODUCT_GAUSSIAN_SHARE", -1.0)


def places_near(points):
    return np.vstack([points[::40], 0.5 * points[::40] + 0.5 * points[1::40], points[:1] + 30.0])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("accuracy", [1e-2, 1e-3, 1e-5, 1e-9, 0.0])
@pytest.mark.parametrize("name", CASES)
def test_means_are_as_near_as_promised(name, accuracy, weighted):
    points = CASES[name]
    weights = np.random.default_rng(0).uniform(0.2, 3.0, len(points))
    index = built(points, accuracy, weights if weighted else UNWEIGHTED)
    assert isinstance(index, FilledGaussianIndex)
    places = places_near(points)
    moved = places.copy()
    support, moves = index.shift(moved)
    rounding = 1e-11 * max(np.abs(points).max(), 1.0)
    for i, place in enumerate(places):
        mean, weight = naive.gaussian_shift(
            points, weights if weighted else np.ones(len(points)), place, 1.0
        )
        assert np.linalg.norm(moved[i] - mean) <= accuracy + rounding
        assert abs(moves[i] - np.linalg.norm(mean - place)) <= accuracy + 2.0 * rounding
        assert support[i] == pytest.approx(weight, rel=max(accuracy, 1e-9), abs=1e-300)


def test_float32_serves_an_accuracy_that_has_room_for_it_and_no_other():
    points = CASES["unit rows"]
    norms = np.linalg.norm(points - points.mean(axis=0), axis=1)
    assert (built(points, 1e-3)._kinds(norms) == 1).all()
    assert (built(points, 1e-4)._kinds(norms) == 2).all()
    assert (built(points, 1e-8)._kinds(norms) == 2).all()
    assert (built(points, 0.0)._kinds(norms) == 0).all()
    assert built(points, 1e-3)._kinds(np.array([np.inf, np.nan])).tolist() == [0, 0]


def test_light_rows_count_beside_a_heavy_one_far_away():
    points = np.vstack([directions(600, 40), np.full(40, 16.0 / math.sqrt(40.0))])
    weights = np.append(np.full(600, 1e-46), 1.0)
    index, places = built(points, 2e-3, weights), points[:600:17].copy()
    assert (index._kinds(np.linalg.norm(places - index.rows.middle, axis=1)) == 1).all()
    moved = places.copy()
    support, _ = index.shift(moved)
    for i, place in enumerate(places):
        mean, weight = naive.gaussian_shift(points, weights, place, 1.0)
        assert np.linalg.norm(moved[i] - mean) <= 2e-3
        assert support[i] == pytest.approx(weight, rel=2e-3)


def test_two_threads_give_the_same_bits_as_one():
    index, results = built(CASES["unit rows"], 1e-3), []
    for n_jobs in (1, 2):
        with borrowed_threads(n_jobs):
            positions = CASES["unit rows"].copy()
            results.append((positions, *index.shift(positions)))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("assign", ["nearest", "basin"])
def test_a_fit_has_the_centres_and_labels_of_a_fit_by_the_tree(assign, monkeypatch):
    X = directions(800, 48, k=5, noise=0.5)
    params = {"bandwidth": 0.25, "kernel": "gaussian", "assign": assign}
    found = MeanShift(**params).fit(X)
    monkeypatch.setattr(thresholds, "MIN_PRODUCT_GAUSSIAN_SHARE", 9.0)
    expected = MeanShift(**params).fit(X)
    np.testing.assert_allclose(found.cluster_centers_, expected.cluster_centers_, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found.labels_, expected.labels_)


@pytest.mark.parametrize("name", ["narrow", "wide", "far away"])
def test_modes_are_polished_by_products_to_where_the_tree_polishes_them(name):
    points = CASES[name]
    index = built(points, 1e-3)
    start = np.ascontiguousarray(points[:: len(points) // 5])
    for _ in range(30):
        index.shift(start)
    fine, norms = index.with_accuracy(1e-10), np.linalg.norm(start - points.mean(axis=0), axis=1)
    assert (fine._kinds(norms) == 2).all()
    modes, density = index.polish(start)
    expected, expected_density = GaussianIndex.polish(index, start)
    np.testing.assert_allclose(modes, expected, rtol=0, atol=1e-7)
    np.testing.assert_allclose(density, expected_density, rtol=1e-9)
    again = modes.copy()
    _, moves = fine.shift(again)
    assert moves.max() <= 1e-9


def test_a_flat_ridge_is_polished_in_few_shifts(monkeypatch):
    points = 0.05 * directions(600, 80)
    points[:, 0] += np.linspace(-2.5, 2.5, 600)
    index, shift, n_shifts = built(points, 1e-3), FilledGaussianIndex.shift, []
    monkeypatch.setattr(
        FilledGaussianIndex, "shift", lambda self, x: n_shifts.append(len(x)) or shift(self, x)
    )
    start = np.ascontiguousarray(points[::120])
    modes, _ = index.polish(start)
    assert len(n_shifts) < 40
    assert np.linalg.norm(modes - modes[0], axis=1).max() < 1e-6
    for _ in range(40):
        _, moves = shift(index.with_accuracy(1e-10), start)
    assert moves.max() > 1e-6  # so slow are plain shifts


def mirrored(n_features=80):
    """Two groups that mirror each other, with a saddle amid them."""
    group = 0.1 * np.random.default_rng(0).normal(size=(600, n_features))
    group[:, 0] += 1.5
    other = group.copy()
    other[:, 0] *= -1.0
    return np.vstack([group, other])


@pytest.mark.parametrize("away", [1e-2, 1e-3, 1e-5, 1e-7, 1e-9])
def test_a_polish_that_begins_beside_a_saddle_ends_at_a_mode(away):
    points = mirrored()
    start = points.mean(axis=0)[None]
    start[0, 0] = away
    modes, _ = built(points, 1e-3).polish(start)
    assert abs(modes[0, 0]) > 1.4


@pytest.mark.parametrize("seed", range(6))
def test_a_polish_beside_saddles_of_several_groups_ends_where_plain_shifts_do(seed):
    rng = np.random.default_rng(seed)
    n_groups, n_features = 2 + seed % 3, 70
    middles = rng.uniform(1.2, 2.2) * directions(n_groups, n_features, k=n_groups, seed=seed)
    points = np.vstack([m + 0.15 * rng.normal(size=(200, n_features)) for m in middles])
    index = built(points, 1e-3)
    spread = 10.0 ** rng.uniform(-9.0, -2.0, (6, 1))
    start = (middles[0] + middles[1]) / 2.0 + spread * rng.normal(size=(6, n_features))
    _, density = index.polish(start)
    exact = index.with_accuracy(1e-12)
    moves = np.ones(1)
    while moves.max() > 1e-9:
        expected, moves = exact.shift(start)
    np.testing.assert_allclose(density, expected, rtol=1e-7)


def test_a_row_amid_two_groups_is_no_cluster():
    rows = np.vstack([mirrored(), np.zeros((1, 80))])
    model = MeanShift(bandwidth=1.0, kernel="gaussian").fit(rows)
    assert len(model.cluster_centers_) == 2


def test_what_a_polish_remembers_is_of_some_modes_at_a_time():
    modes = np.random.default_rng(0).normal(size=(400, 2048))
    rates = np.linspace(0.2, 0.9, 2048)

    def shift(positions):
        moves = np.linalg.norm((1.0 - rates) * positions, axis=1)
        positions *= rates
        return np.exp(-0.5 * (positions * positions).sum(axis=1)), moves

    tracemalloc.start()
    found, _ = acceleration.fixed_points(shift, 0.01 * modes, np.asarray, tolerance=1e-5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.abs(found).max() < 1e-4
    assert peak < 2.5 * modes.nbytes + 2 * 8 * acceleration.MAX_HELD_VALUES


def test_memory_besides_the_table_is_a_float32_copy_and_blocks():
    points = np.ascontiguousarray(directions(6000, 256) / 0.4)
    points.flags.writeable = False
    positions, tree = points * 0.5, built(points, 1e-3)
    tree.shift(positions[::2].copy())
    tracemalloc.start()
    rows = FilledRows.of(points, UNWEIGHTED)
    copy = tracemalloc.get_traced_memory()[0]
    for accuracy in (1e-3, 1e-5, 1e-10):
        dataclasses.replace(tree, rows=rows, accuracy=accuracy).shift(positions[::60].copy())
    dataclasses.replace(tree, rows=rows).shift(positions[::2].copy())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert copy < points.nbytes // 2 + 300_000
    assert peak - copy < 64e6


def test_products_are_chosen_by_what_a_tree_would_sum(monkeypatch):
    monkeypatch.undo()
    full, apart = directions(1000, 64) / 0.4, blobs(1000, 64, n_blobs=30, box=100.0)
    assert isinstance(built(full, 1e-3), FilledGaussianIndex)
    assert not isinstance(built(full, 1e-3, n_seeds=50), FilledGaussianIndex)
    assert not isinstance(built(apart, 1e-3), FilledGaussianIndex)
