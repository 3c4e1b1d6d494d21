"""The memo: a trajectory that goes on by the steps of another ends where it would alone."""

import numpy as np
import pytest

from indexes import FunctionIndex, SteppedIndex, built_tree
from meanshift_fast._cluster import memo
from meanshift_fast._cluster.ascent import ascend
from meanshift_fast._index import flat, thresholds
from meanshift_fast._index.flat import FlatIndex
from samples import blobs, lattice, scattered

CASES = {
    "blobs": (blobs(120, 2), 0.8),
    "lattice": (np.ascontiguousarray(lattice(9, 9)), 2.0),
    "duplicates": (scattered(150, 3), 1.0),
    "one feature": (blobs(80, 1), 1.0),
    "all in one ball": (blobs(60, 5), 1e3),
}


def ascents(points, bandwidth, seeds, *, reports=None, **params):
    """The same ascent round by round and memoised, and how many shifts each computed."""
    built = built_tree(points)
    n_shifts = [0, 0]

    class Stepped(SteppedIndex):
        def shift(self, positions):
            n_shifts[0] += len(positions)
            return super().shift(positions)

    class Memoised(FlatIndex):
        def shift(self, positions):
            n_shifts[0] += len(positions)
            return super().shift(positions)

        def walk(self, positions, n_steps, rest):
            walk = super().walk(positions, n_steps, rest)
            n_shifts[1] += walk.moves.size
            return walk

    def report(done, total, stage):
        if reports is not None:
            reports.append((done, total, stage))

    params = {"tol": 1e-3, "max_iter": 300, "report": report} | params
    by_rounds = ascend(Stepped(built, bandwidth), seeds, **params)
    if reports is not None:
        reports.clear()
    return by_rounds, ascend(Memoised(built, bandwidth), seeds, **params), n_shifts


def assert_same(by_rounds, memoised):
    assert len(memoised.history) == len(by_rounds.history)
    np.testing.assert_allclose(memoised.endpoints, by_rounds.endpoints, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(memoised.support, by_rounds.support)
    for name in ("round", "n_active", "n_converged"):
        np.testing.assert_array_equal(memoised.history[name], by_rounds.history[name])
    for name in ("mean_shift", "max_shift"):
        np.testing.assert_allclose(
            memoised.history[name], by_rounds.history[name], rtol=1e-9, atol=1e-12
        )


@pytest.mark.jitless
@pytest.mark.parametrize("max_iter", [0, 3, 4, 15, 16, 300])
@pytest.mark.parametrize("name", [*CASES])
def test_a_memo_has_the_steps_of_rounds(name, max_iter):
    points, bandwidth = CASES[name]
    seeds = np.vstack([points, points.mean(axis=0) + 1e6])  # the last has an empty ball
    by_rounds, memoised, _ = ascents(points, bandwidth, seeds, max_iter=max_iter)
    assert_same(by_rounds, memoised)


@pytest.mark.parametrize("steps", [1, 2, 4, 16])
def test_steps_in_a_call_change_nothing(steps, monkeypatch):
    monkeypatch.setattr(flat, "STEPS_A_CALL", steps)
    points = blobs(3_000, 2, n_blobs=6)
    assert_same(*ascents(points, 0.5, points)[:2])


def test_many_positions_go_in_groups_and_the_last_alone():
    points = blobs(flat.MAX_WALKING_POSITIONS + 1_000, 2, n_blobs=5)
    by_rounds, memoised, _ = ascents(points, 0.4, points)
    assert_same(by_rounds, memoised)


@pytest.mark.jitless
@pytest.mark.parametrize("values", [1, 200, 3_000])
def test_a_full_memo_is_read_and_begun_anew(values, monkeypatch):
    monkeypatch.setattr(thresholds, "MAX_MEMO_VALUES", values)
    points, bandwidth = CASES["blobs"]
    assert_same(*ascents(points, bandwidth, points, order=np.arange(len(points))[::-1].copy())[:2])


def test_shifts_from_the_same_place_are_computed_once():
    points = blobs(4_000, 2, n_blobs=3)
    seeds = np.repeat(points[:500], 8, axis=0)
    by_rounds, memoised, (n_by_rounds, n_memoised) = ascents(points, 0.5, seeds)
    assert_same(by_rounds, memoised)
    assert n_memoised < n_by_rounds / 6


def test_a_trajectory_that_joins_another_has_the_rounds_left_that_it_had():
    # One seed stands where another comes to after some rounds, and the limit tells them apart.
    points = np.arange(200.0)[:, None] ** 0.9
    built = built_tree(points)
    late = points[:1].copy()
    for _ in range(3):
        FlatIndex(built, 30.0).shift(late)
    seeds = np.vstack([points[:1], late])
    for max_iter in range(12):
        by_rounds, memoised, _ = ascents(points, 30.0, seeds, max_iter=max_iter, tol=1e-9)
        assert_same(by_rounds, memoised)


@pytest.mark.parametrize("max_iter", [10, 500])
def test_a_trajectory_that_meets_itself_goes_round_to_the_last_round(max_iter):
    to = {0.0: 1.0, 1.0: 2.0, 2.0: 3.0, 3.0: 1.0, 7.0: 2.0}  # two seeds come into a ring of three

    def once(positions):
        before = positions.copy()
        positions[:, 0] = [to[x] for x in positions[:, 0].tolist()]
        return np.ones(len(positions)), np.abs(positions - before)[:, 0]

    params = {"tol": 0.0, "max_iter": max_iter, "report": lambda *_: None}
    seeds = np.array([[0.0], [7.0]])
    by_rounds = ascend(FunctionIndex(once), seeds, **params)
    assert_same(by_rounds, ascend(FunctionIndex(once, 1.0, True), seeds, **params))
    assert len(by_rounds.history) == max_iter + 1


def test_both_zeros_and_places_beyond_all_floats_are_places():
    seeds = np.array([[0.0, 1.0], [-0.0, 1.0], [np.inf, 0.0], [1e308, -1e308]])
    found = memo.Memo(seeds, 0.5)
    np.testing.assert_array_equal(found.positions(), seeds)
    np.testing.assert_array_equal(np.signbit(found.positions()), np.signbit(seeds))


@pytest.mark.parametrize("values", [thresholds.MAX_MEMO_VALUES, 20_000])
def test_progress_never_goes_back_and_ends_with_all_seeds(values, monkeypatch):
    monkeypatch.setattr(thresholds, "MAX_MEMO_VALUES", values)
    reports = []
    points = blobs(3_000, 2, n_blobs=4)
    ascents(points, 0.5, points, reports=reports)
    done = [entry[0] for entry in reports]
    assert done == sorted(done)
    assert reports[-1] == (3_000, 3_000, "climb")


def test_more_seeds_than_a_memo_serves_go_round_by_round_at_first(monkeypatch):
    points = blobs(2_000, 2, n_blobs=4)
    monkeypatch.setattr(thresholds, "MAX_MEMO_TRAJECTORIES", 700)
    by_rounds, memoised, (n_by_rounds, n_memoised) = ascents(points, 0.5, points)
    assert_same(by_rounds, memoised)
    assert n_by_rounds > by_rounds.history["n_active"].sum()  # the second ascent began with some
    assert n_memoised > 0
