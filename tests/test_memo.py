"""Tracks: whoever goes on as another tells the same story as if he went alone."""

import numpy as np
import pytest

from meanshift_fast._cluster import ascent as climbing
from meanshift_fast._cluster import memo as tracks
from meanshift_fast._cluster.ascent import climb
from meanshift_fast._index import flat as shifting
from meanshift_fast._index import moment_tree as tree
from samples import blobs, lattice, scattered

CASES = {
    "blobs": (blobs(120, 2), 0.8),
    "lattice": (np.ascontiguousarray(lattice(9, 9)), 2.0),
    "duplicates": (scattered(150, 3), 1.0),
    "one feature": (blobs(80, 1), 1.0),
    "all in one ball": (blobs(60, 5), 1e3),
}


def climbs(points, bandwidth, seeds, *, told=None, **params):
    """The same climb round by round and along tracks, and how many shifts were computed."""
    built = tree.build(points, np.empty(0))
    n_shifts = [0, 0]

    def once(positions):
        n_shifts[0] += len(positions)
        return shifting.shift(built, positions, bandwidth)

    def some(positions, n_steps, rest):
        found = shifting.next_steps(built, positions, n_steps, rest, bandwidth)
        n_shifts[1] += found[1].size
        return found

    def report(done, total, stage):
        if told is not None:
            told.append((done, total, stage))

    params = {"tol": 1e-3, "max_iter": 300, "report": report} | params
    by_rounds = climb(once, seeds, bandwidth, **params)
    if told is not None:
        told.clear()
    return by_rounds, climb(once, seeds, bandwidth, next_steps=some, **params), n_shifts


def assert_same(by_rounds, along_tracks):
    assert len(along_tracks.history) == len(by_rounds.history)
    np.testing.assert_allclose(along_tracks.ends, by_rounds.ends, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(along_tracks.support, by_rounds.support)
    for name in ("round", "n_active", "n_converged"):
        np.testing.assert_array_equal(along_tracks.history[name], by_rounds.history[name])
    for name in ("mean_shift", "max_shift"):
        np.testing.assert_allclose(
            along_tracks.history[name], by_rounds.history[name], rtol=1e-9, atol=1e-12
        )


@pytest.mark.jitless
@pytest.mark.parametrize("max_iter", [0, 3, 4, 15, 16, 300])
@pytest.mark.parametrize("name", [*CASES])
def test_tracks_tell_what_rounds_tell(name, max_iter):
    points, bandwidth = CASES[name]
    seeds = np.vstack([points, points.mean(axis=0) + 1e6])  # the last has an empty ball
    by_rounds, along_tracks, _ = climbs(points, bandwidth, seeds, max_iter=max_iter)
    assert_same(by_rounds, along_tracks)


@pytest.mark.parametrize("steps", [1, 2, 4, 16])
def test_steps_in_a_call_change_nothing(steps, monkeypatch):
    monkeypatch.setattr(shifting, "STEPS", steps)
    points = blobs(3_000, 2, n_blobs=6)
    assert_same(*climbs(points, 0.5, points)[:2])


def test_many_positions_go_in_groups_and_the_last_alone():
    points = blobs(shifting.FEW + 1_000, 2, n_blobs=5)
    by_rounds, along_tracks, _ = climbs(points, 0.4, points)
    assert_same(by_rounds, along_tracks)


@pytest.mark.jitless
@pytest.mark.parametrize("values", [1, 200, 3_000])
def test_full_tracks_are_read_off_and_begun_anew(values, monkeypatch):
    monkeypatch.setattr(tracks, "VALUES", values)
    points, bandwidth = CASES["blobs"]
    assert_same(*climbs(points, bandwidth, points, order=np.arange(len(points))[::-1].copy())[:2])


def test_shifts_from_the_same_place_are_computed_once():
    points = blobs(4_000, 2, n_blobs=3)
    seeds = np.repeat(points[:500], 8, axis=0)
    by_rounds, along_tracks, (n_by_rounds, n_along) = climbs(points, 0.5, seeds)
    assert_same(by_rounds, along_tracks)
    assert n_along < n_by_rounds / 6


def test_who_joins_has_the_rounds_left_that_he_had():
    # One seed stands where another comes to after some rounds, and the limit tells them apart.
    points = np.arange(200.0)[:, None] ** 0.9
    built = tree.build(points, np.empty(0))
    late = points[:1].copy()
    for _ in range(3):
        shifting.shift(built, late, 30.0)
    seeds = np.vstack([points[:1], late])
    for max_iter in range(12):
        by_rounds, along_tracks, _ = climbs(points, 30.0, seeds, max_iter=max_iter, tol=1e-9)
        assert_same(by_rounds, along_tracks)


@pytest.mark.parametrize("max_iter", [10, 500])
def test_a_trajectory_that_meets_itself_goes_round_to_the_last_round(max_iter):
    to = {0.0: 1.0, 1.0: 2.0, 2.0: 3.0, 3.0: 1.0, 7.0: 2.0}  # two seeds come into a ring of three

    def once(positions):
        before = positions.copy()
        positions[:, 0] = [to[x] for x in positions[:, 0].tolist()]
        return np.ones(len(positions)), np.abs(positions - before)[:, 0]

    def some(positions, n_steps, rest):
        support, moves = once(positions)
        return positions[:, None], support[:, None], moves[:, None]

    params = {"tol": 0.0, "max_iter": max_iter, "report": lambda *_: None}
    seeds = np.array([[0.0], [7.0]])
    by_rounds = climb(once, seeds, 1.0, **params)
    assert_same(by_rounds, climb(once, seeds, 1.0, next_steps=some, **params))
    assert len(by_rounds.history) == max_iter + 1


def test_both_zeros_and_places_beyond_all_floats_are_places():
    seeds = np.array([[0.0, 1.0], [-0.0, 1.0], [np.inf, 0.0], [1e308, -1e308]])
    found = tracks.Tracks(seeds, 0.5)
    np.testing.assert_array_equal(found.positions(), seeds)
    np.testing.assert_array_equal(np.signbit(found.positions()), np.signbit(seeds))


@pytest.mark.parametrize("values", [tracks.VALUES, 20_000])
def test_progress_never_goes_back_and_ends_with_all_seeds(values, monkeypatch):
    monkeypatch.setattr(tracks, "VALUES", values)
    told = []
    points = blobs(3_000, 2, n_blobs=4)
    climbs(points, 0.5, points, told=told)
    done = [entry[0] for entry in told]
    assert done == sorted(done)
    assert told[-1] == (3_000, 3_000, "climb")


def test_more_seeds_than_are_tracked_go_round_by_round_at_first(monkeypatch):
    points = blobs(2_000, 2, n_blobs=4)
    monkeypatch.setattr(climbing, "TRACKED", 700)
    by_rounds, along_tracks, (n_by_rounds, n_along) = climbs(points, 0.5, points)
    assert_same(by_rounds, along_tracks)
    assert n_by_rounds > by_rounds.history["n_active"].sum()  # the second climb began with some
    assert n_along > 0
