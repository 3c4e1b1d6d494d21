"""One point's trajectory: the numbers are the twin's, and the printed sentences say the same."""

import re

import numpy as np
import pytest

import naive
import samples
from meanshift_fast import MeanShift, trace

X = samples.blobs(200, 2)
ROWS = np.array([[0.0], [1.0], [2.0], [3.0], [10.0]])


@pytest.mark.parametrize(
    ("table", "bandwidth"),
    [
        (X, 1.0),
        (X, 3.0),
        (samples.blobs(90, 1), 0.4),
        (samples.lattice(7, 6), 2.0),
        (samples.digits(150), 30.0),
        (samples.pixels(24), 25.0),
    ],
    ids=["2-d", "2-d, wide", "1-d", "lattice", "digits", "pixels"],
)
def test_positions_shifts_and_support_are_the_twins(table, bandwidth):
    starts = table[::17]
    traced = trace(table, starts, bandwidth=bandwidth)
    points, weights = table.astype(float), np.ones(len(table))

    assert len(traced.positions) == len(traced.shifts) == len(traced.support) == len(starts)
    for i, start in enumerate(starts.astype(float)):
        positions, shifts, support = naive.trajectory(points, weights, start, bandwidth)
        assert traced.positions[i].shape == (len(shifts) + 1, table.shape[1])
        np.testing.assert_array_equal(traced.positions[i][0], start)
        np.testing.assert_allclose(traced.positions[i], positions, rtol=0, atol=1e-9 * bandwidth)
        np.testing.assert_allclose(traced.shifts[i], shifts, rtol=0, atol=1e-9 * bandwidth)
        np.testing.assert_array_equal(traced.support[i], support)


def test_a_trajectory_by_hand():
    traced = trace(ROWS, [0.0], bandwidth=1.0)
    np.testing.assert_array_equal(traced.positions[0], [[0.0], [0.5], [0.5]])
    np.testing.assert_array_equal(traced.shifts[0], [0.5, 0.0])
    np.testing.assert_array_equal(traced.support[0], [2, 2])


def test_one_start_may_be_given_as_one_row():
    alone, listed = trace(X, X[3], bandwidth=1.0), trace(X, X[3:4], bandwidth=1.0)
    assert len(alone.positions) == 1
    np.testing.assert_array_equal(alone.positions[0], listed.positions[0])


def test_a_start_need_not_be_a_row_and_one_out_of_reach_stays():
    traced = trace(ROWS, [[0.25], [500.0]], bandwidth=1.0)
    np.testing.assert_array_equal(traced.positions[1], [[500.0]])
    assert traced.shifts[1].shape == traced.support[1].shape == (0,)
    assert len(traced.shifts[0]) > 0


def test_max_iter_allows_one_move_more():
    free = trace(X, X[0], bandwidth=0.5)
    assert len(free.shifts[0]) > 3
    for max_iter in (0, 1, 2):
        traced = trace(X, X[0], bandwidth=0.5, max_iter=max_iter)
        assert traced.shifts[0].shape == (max_iter + 1,)
        np.testing.assert_array_equal(traced.positions[0], free.positions[0][: max_iter + 2])


def test_a_coarse_tol_ends_the_trajectory_early():
    fine, coarse = trace(X, X[1], bandwidth=0.5), trace(X, X[1], bandwidth=0.5, tol=0.2)
    steps = len(coarse.shifts[0])
    assert 1 < steps < len(fine.shifts[0])
    np.testing.assert_array_equal(coarse.shifts[0], fine.shifts[0][:steps])
    assert coarse.shifts[0][-1] <= 0.2 * 0.5 < coarse.shifts[0][:-1].min()


def test_the_trajectories_of_the_rows_are_what_a_fit_goes_through():
    model = MeanShift(bandwidth=0.8).fit(X)
    traced = trace(X, X, bandwidth=0.8)
    steps = np.array([len(shifts) for shifts in traced.shifts])
    assert model.n_iter_ == steps.max() - 1
    active = [np.count_nonzero(steps > i) for i in range(steps.max())]
    np.testing.assert_array_equal(model.history_["n_active"], active)
    ends = np.array([positions[-1] for positions in traced.positions])
    for center in model.cluster_centers_:
        assert np.sqrt(naive.distances_sq(ends, center)).min() <= 1e-9


@pytest.mark.parametrize("step", [0, 1, -1])
def test_the_neighbours_of_a_step_are_the_rows_of_its_mean(step):
    traced = trace(X, X[:5], bandwidth=1.0)
    rows = traced.neighbours(step, start=4)
    moves = len(traced.shifts[4])
    assert len(rows) == traced.support[4][step]
    np.testing.assert_allclose(
        X[rows].mean(axis=0), traced.positions[4][step % moves + 1], rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(("step", "start"), [(99, 0), (-99, 0), (0, 5), (0, -6)])
def test_a_step_that_was_not_taken_has_no_neighbours(step, start):
    traced = trace(X, X[:5], bandwidth=1.0)
    with pytest.raises(IndexError, match=str(step if step else start)):
        traced.neighbours(step, start)


def test_the_text_follows_the_trajectory_step_by_step():
    traced = trace(X, X[0], bandwidth=1.0)
    shown = str(traced)
    n_steps = len(traced.shifts[0])
    assert n_steps < 10
    for support in traced.support[0]:
        assert f"{int(support)} neighbours" in shown
    first, last = traced.positions[0][0], traced.positions[0][-1]
    for x, y in (first, last):
        assert f"[{round(x, 3):.15g}, {round(y, 3):.15g}]" in shown
    assert shown.count("Step ") == n_steps
    assert "rests" in shown
    assert f"after {n_steps} shifts" in shown


def test_the_text_says_how_the_trajectory_ends():
    assert "rests" in str(trace(ROWS, [0.0], bandwidth=1.0))
    assert "max_iter = 1" in str(trace(X, X[0], bandwidth=0.5, max_iter=1))
    assert "empty" in str(trace(ROWS, [500.0], bandwidth=1.0))


def test_a_long_trajectory_is_shortened_in_the_middle():
    ever_denser = np.sqrt(np.linspace(0, 1, 2000))[:, None]
    traced = trace(ever_denser, [0.0], bandwidth=0.1)
    n_steps = len(traced.shifts[0])
    assert n_steps > 20
    left_out = re.search(r"\.\.\. (\d+) more steps \.\.\.", str(traced))
    assert str(traced).count("Step ") + int(left_out[1]) == n_steps
    assert f"Step {n_steps}:" in str(traced)


def test_several_trajectories_are_written_one_after_the_other():
    traced = trace(X, X[:3], bandwidth=1.0)
    assert str(traced).split("\n\n") == [str(trace(X, row, bandwidth=1.0)) for row in X[:3]]
    assert repr(traced).startswith("<Trace: 3 starting point")


def test_a_wide_row_is_reported_by_its_ends():
    row = str(trace(samples.digits(50), samples.digits(1), bandwidth=30.0)).splitlines()[0]
    assert "..." in row
    assert len(row) < 100


def test_a_gaussian_trajectory_is_the_twins():
    points = samples.blobs(200, 3)
    weights = np.random.default_rng(0).uniform(0, 2, 200)
    traced = trace(points, points[7], bandwidth=0.5, kernel="gaussian", sample_weight=weights)
    position = points[7]
    for step, mean in enumerate(traced.positions[0][1:]):
        expected, density = naive.gaussian_shift(points, weights, position, 0.5)
        np.testing.assert_allclose(mean, expected, rtol=1e-12)
        assert traced.support[0][step] == pytest.approx(density, rel=1e-12)
        assert traced.shifts[0][step] == pytest.approx(np.linalg.norm(expected - position))
        position = mean
    assert traced.shifts[0][-1] <= 1e-3 * 0.5 < traced.shifts[0][-2]
    distances = np.linalg.norm(points - points[7], axis=1)
    np.testing.assert_array_equal(traced.neighbours(0), np.flatnonzero(distances <= 1.5))
    assert "of weight" in str(traced)


def test_a_gaussian_trajectory_begins_however_far_away():
    points = samples.blobs(50, 2)
    traced = trace(points, [1e200, -1e200], bandwidth=0.5, kernel="gaussian")
    assert np.isfinite(traced.positions[0]).all()
    assert np.isfinite(traced.shifts[0]).all()
    assert traced.support[0][0] == 0.0


def test_rows_that_no_square_reaches_count_nothing():
    points = samples.blobs(60, 2) * 1e-153
    traced = trace(points, points[0], bandwidth=1e-310, kernel="gaussian")
    np.testing.assert_array_equal(traced.positions[0][-1], points[0])
    assert traced.support[0].tolist() == [1.0]
