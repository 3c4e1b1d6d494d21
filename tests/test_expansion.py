"""Gaussian shifts by one expansion for many positions: the remainder's bound, and the promise."""

import math

import numpy as np
import pytest

import naive
from meanshift_fast._index import expansion, thresholds
from meanshift_fast._index.filled_rows import FilledRows
from meanshift_fast._index.gaussian_products import FilledGaussianIndex
from meanshift_fast._index.singles import error_of
from meanshift_fast._jit.threads import borrowed_threads
from samples import directions
from test_gaussian_products import built
from test_products import UNWEIGHTED


def skewed(n, n_features):
    rows = np.random.default_rng(1).exponential(0.7, (n, n_features))
    rows[: n // 10] += 2.0
    return rows


def with_a_far_row(n, n_features):
    rows = np.random.default_rng(2).standard_normal((n, n_features))
    rows[0] = 7.0
    return rows


TABLES = {
    "skewed": skewed(300, 3),
    "one column": skewed(200, 1),
    "a far row": with_a_far_row(200, 4),
    "two groups": np.vstack([skewed(100, 5), skewed(100, 5) + 2.5]),
    "all equal": np.ones((64, 6)),
    "one row apart": np.append(np.zeros(50), 1.0)[:, None],  # errors up to 0.95 of the bound
    "directions": directions(300, 40) / 0.4,
}


def ends_of(points, center, rng):
    """Steps from a center: along axes, at random, and towards the farthest rows."""
    n_features = points.shape[1]
    away = points - center
    far = away[np.argsort((away**2).sum(axis=1))[-4:]]
    steps = np.vstack([np.eye(n_features), rng.standard_normal((20, n_features)), far, -far])
    steps /= np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-12)
    return np.vstack([length * steps for length in (1e-4, 1e-2, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)])


@pytest.mark.parametrize("are_single", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", TABLES)
def test_no_shift_is_farther_from_its_expansion_than_the_remainder(name, weighted, are_single):
    points, rng = TABLES[name], np.random.default_rng(0)
    weights = rng.uniform(0.1, 50.0, len(points)) if weighted else np.ones(len(points))
    rows = FilledRows.of(points, weights)
    n_bounded = 0
    for center in (points[0], points.mean(axis=0), 0.5 * (points[1] + points[-1])):
        found = expansion.expand(rows, center - rows.middle, 1.0, math.inf if are_single else 0.0)
        covariance = found.covariance.astype(np.float64)
        for v in ends_of(points, center, rng):
            length, variance = np.linalg.norm(v)[None], (v @ covariance @ v)[None]
            (bound,) = expansion.remainders(length, variance, found.spread, found.farthest)
            mean, weight = naive.gaussian_shift(points, weights, center + v, 1.0)
            off = np.linalg.norm(found.mean + covariance @ v + rows.middle - mean)
            assert off <= bound + 1e-7 + found.rounding * length[0]
            if math.isfinite(bound):
                n_bounded += 1
                place = center + v - rows.middle
                log = found.log_density + v @ found.mean + 0.5 * variance[0] - 0.5 * place @ place
                rounding = 1e-6 + 0.5 * found.rounding * length[0] ** 2
                assert abs(log - math.log(weight)) <= bound * length[0] / 3.0 + rounding
    assert n_bounded > 20


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_a_covariance_of_rows_in_float32_is_as_near_as_its_rounding(offset):
    points = skewed(1000, 30) + offset
    rows = FilledRows.of(points, np.linspace(0.1, 5.0, len(points)))
    center = points[7] - rows.middle
    double, single = (expansion.expand(rows, center, 1.0, room) for room in (0.0, math.inf))
    assert double.rounding == error_of(30) * double.spread
    off = np.linalg.norm(single.covariance.astype(np.float64) - double.covariance)
    assert 0.0 < off <= single.rounding
    assert single.rounding < 1e-3 * rows.extent**2


def test_the_remainder_s_growth_is_just_above_its_integral():
    tilts = np.linspace(0.01, 1.0, 100)
    bounds = expansion.remainders(tilts, np.ones(100), 0.0, 1.0)
    integrals = (np.expm1(tilts) - tilts) / tilts**2
    assert (bounds >= integrals).all()
    np.testing.assert_allclose(bounds, integrals, rtol=1e-3)


def test_equal_rows_are_expanded_for_an_accuracy_of_zero(served):
    points = np.ones((600, 40))
    index = built(points, 0.0)
    moved = points.copy()
    support, moves = index.shift(moved)
    np.testing.assert_allclose(moved, points, rtol=0, atol=1e-14)
    np.testing.assert_allclose(support, 600.0)
    np.testing.assert_allclose(moves, 0.0, atol=1e-14)


def together(points, n_places, spread=0.01):
    """Places about two of the rows' means, and some that lie alone."""
    rng = np.random.default_rng(3)
    centers = np.vstack([points.mean(axis=0), points[: len(points) // 3].mean(axis=0)])
    places = centers[np.arange(n_places) % 2]
    places += spread / math.sqrt(points.shape[1]) * rng.standard_normal(places.shape)
    places *= 1.0 + np.linspace(0.0, 0.2, n_places)[:, None] ** 4
    return np.vstack([places, points[::50]])


@pytest.fixture
def served(monkeypatch):
    """How many positions each group had that an expansion shifted."""
    counts = []
    shift = expansion._shift_members

    def counted(*args):
        is_shifted = shift(*args)
        counts.append(int(is_shifted.sum()))
        return is_shifted

    monkeypatch.setattr(expansion, "_shift_members", counted)
    monkeypatch.setattr(thresholds, "MIN_PRODUCT_GAUSSIAN_SHARE", -1.0)
    return counts


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("accuracy", [1e-2, 1e-3, 1e-5])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_positions_that_share_an_expansion_are_as_near_as_promised(
    offset, accuracy, weighted, served
):
    points = directions(600, 64) / 0.6 + offset
    weights = np.random.default_rng(0).uniform(0.2, 3.0, len(points))
    index = built(points, accuracy, weights if weighted else UNWEIGHTED)
    assert isinstance(index, FilledGaussianIndex)
    places = together(points - offset, 700, spread=10.0 * accuracy) + offset
    moved = places.copy()
    support, moves = index.shift(moved)
    assert sum(served) > 300
    for i in range(0, len(places), 7):
        mean, weight = naive.gaussian_shift(
            points, weights if weighted else np.ones(len(points)), places[i], 1.0
        )
        assert np.linalg.norm(moved[i] - mean) <= accuracy
        assert abs(moves[i] - np.linalg.norm(mean - places[i])) <= accuracy
        assert support[i] == pytest.approx(weight, rel=accuracy)


def test_two_threads_share_the_same_expansions_to_the_last_bit(served):
    points = directions(600, 64) / 0.6
    index, places, results = built(points, 1e-3), together(points, 1500), []
    for n_jobs in (1, 2):
        with borrowed_threads(n_jobs):
            positions = places.copy()
            results.append((positions, *index.shift(positions)))
    assert served[: len(served) // 2] == served[len(served) // 2 :]
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


def test_positions_that_lie_apart_or_are_few_and_high_accuracies_have_no_group(served):
    points = directions(600, 64) / 0.3
    built(points, 1e-3).shift(points.copy())
    built(points, 1e-3).shift(together(points, 60))
    built(points, 1e-13).shift(together(points, 700))
    assert not served


def test_many_columns_have_no_covariance(served, monkeypatch):
    points = directions(300, 64) / 0.6
    monkeypatch.setattr(expansion, "MAX_EXPANDED_FEATURES", 63)
    built(points, 1e-3).shift(together(points, 700))
    assert not served
