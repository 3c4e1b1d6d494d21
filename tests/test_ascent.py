"""The climb: rounds of shifts tell the same stories as one trajectory after the other."""

from functools import partial

import numpy as np
import pytest

import naive
from meanshift_fast._cluster.ascent import climb
from meanshift_fast._index import moment_tree as tree
from meanshift_fast._index.flat import next_steps, shift
from meanshift_fast._jit.threads import borrowed_threads
from samples import blobs, lattice, scattered


def SILENT(*_):
    """Report to nobody."""


CASES = {
    "blobs": (blobs(120, 2), 0.8),
    "lattice": (np.ascontiguousarray(lattice(9, 9)), 2.0),
    "duplicates": (scattered(150, 3), 1.0),
    "one feature": (blobs(80, 1), 1.0),
}


@pytest.mark.jitless
@pytest.mark.parametrize("max_iter", [0, 1, 300])
@pytest.mark.parametrize("name", [*CASES])
def test_rounds_end_where_trajectories_do(name, max_iter):
    points, bandwidth = CASES[name]
    built = tree.build(points, np.empty(0))
    path = climb(
        partial(shift, built, bandwidth=bandwidth),
        points,
        bandwidth,
        tol=1e-3,
        max_iter=max_iter,
        order=built.order,
        report=SILENT,
    )
    stories = naive.climb(points, np.ones(len(points)), points, bandwidth, max_iter=max_iter)
    ends, support, n_steps = naive.ends_of(stories)
    np.testing.assert_allclose(path.ends, ends, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(path.support, support)
    assert len(path.history) == n_steps.max()
    expected = naive.history(stories, bandwidth)
    for field in ("round", "n_active", "n_converged"):
        np.testing.assert_array_equal(path.history[field], expected[field])
    for field in ("mean_shift", "max_shift"):
        np.testing.assert_allclose(path.history[field], expected[field], rtol=1e-9, atol=1e-12)


def test_a_ring_pulls_its_seeds_into_the_empty_middle():
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    built = tree.build(ring, np.empty(0))
    path = climb(
        partial(shift, built, bandwidth=0.5),
        np.zeros((1, 2)),
        0.5,
        tol=1e-3,
        max_iter=300,
        report=SILENT,
    )
    assert path.support[0] == 0
    assert len(path.history) == 1


def test_bandwidth_zero_leaves_every_seed_where_it_is():
    points = np.repeat([[0.1], [0.7]], [20, 17], axis=0)
    built = tree.build(points, np.empty(0))
    path = climb(
        partial(shift, built, bandwidth=0.0),
        points,
        0.0,
        tol=1e-3,
        max_iter=300,
        order=built.order,
        report=SILENT,
    )
    np.testing.assert_array_equal(path.ends, points)
    np.testing.assert_array_equal(path.support, np.repeat([20.0, 17.0], [20, 17]))


def test_next_steps_are_bit_equal_for_every_number_of_threads():
    points = blobs(5_000, 3)
    built = tree.build(points, np.empty(0))
    results = []
    for n_jobs in (1, 2):
        with borrowed_threads(n_jobs):
            positions = points[::7].copy()
            places, support, moves = next_steps(built, positions, 5, 1e-3, 0.5)
            n_steps = naive.steps_taken(support, moves, 1e-3)
            taken = np.arange(moves.shape[1]) < n_steps[:, None]  # what comes after is not set
            results.append((places[taken], support[taken], moves[taken], n_steps, positions))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.jitless
@pytest.mark.parametrize("tracks", [False, True], ids=["step by step", "on tracks"])
def test_equal_seeds_beyond_those_with_tracks_climb_once(tracks, monkeypatch):
    points = scattered(400, 2, side=6)
    built = tree.build(points, np.empty(0))
    shifted = []

    def counted(move, positions, *args, **params):
        shifted.append(len(positions))
        return move(built, positions, *args, bandwidth=1.5, **params)

    def path():
        steps = partial(counted, next_steps) if tracks else None
        return climb(
            partial(counted, shift), points, 1.5, tol=1e-3, max_iter=300, report=SILENT,
            next_steps=steps, order=built.order,
        )  # fmt: skip

    expected = path()
    shifted.clear()
    monkeypatch.setattr("meanshift_fast._cluster.ascent.TRACKED", 40)
    found = path()
    assert len(np.unique(points, axis=0)) == 36
    assert max(shifted) == 36
    np.testing.assert_array_equal(found.ends, expected.ends)
    np.testing.assert_array_equal(found.support, expected.support)
    assert len(found.history) == len(expected.history)
    assert found.history["n_active"].tolist() == expected.history["n_active"].tolist()
    assert found.history["n_converged"].tolist() == expected.history["n_converged"].tolist()
    for name in ("mean_shift", "max_shift"):
        np.testing.assert_allclose(found.history[name], expected.history[name], rtol=1e-12)


@pytest.mark.jitless
@pytest.mark.parametrize("max_iter", [0, 1, 12, 300])
@pytest.mark.parametrize("start", ["in a blob", "far away"])
def test_a_seed_alone_takes_the_steps_of_one_in_company(start, max_iter):
    points = blobs(300, 2)
    built = tree.build(points, np.empty(0))
    seed = points[7] + 0.5 if start == "in a blob" else points[0] + 100.0
    told = []

    def path(seeds, steps):
        return climb(
            partial(shift, built, bandwidth=0.4), seeds, 0.4, tol=1e-6, max_iter=max_iter,
            report=lambda *numbers: told.append(numbers), next_steps=steps,
        )  # fmt: skip

    steps = partial(next_steps, built, bandwidth=0.4)
    alone, expected = path(seed[None], steps), path(seed[None], None)
    assert told[-1] == (1, 1, "climb")
    np.testing.assert_array_equal(alone.ends, expected.ends)
    np.testing.assert_array_equal(alone.support, expected.support)
    np.testing.assert_array_equal(alone.history, expected.history)
    in_company = path(np.stack([seed, points[1]]), steps)
    np.testing.assert_array_equal(alone.ends[0], in_company.ends[0])
    assert len(alone.history) == len(expected.history)


@pytest.mark.parametrize("how", ["on tracks", "step by step", "coalescing"])
def test_positions_that_are_put_in_order_anew_come_to_the_same_ends(how):
    points = blobs(6_000, 2)
    built = tree.build(points, np.empty(0))
    asked = []

    def order_of(positions):
        asked.append(len(positions))
        return tree.order_of(positions)

    def path(order_of):
        steps = partial(next_steps, built, bandwidth=0.8) if how == "on tracks" else None
        return climb(
            partial(shift, built, bandwidth=0.8), points, 0.8, tol=1e-3, max_iter=300,
            report=SILENT, next_steps=steps, order=built.order, order_of=order_of,
            coalesce=0.01 if how == "coalescing" else 0.0,
        )  # fmt: skip

    found, expected = path(order_of), path(None)
    assert asked
    np.testing.assert_allclose(found.ends, expected.ends, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(found.support, expected.support)
    for name in ("n_active", "n_converged"):
        np.testing.assert_array_equal(found.history[name], expected.history[name])


def test_a_shift_of_what_was_put_in_order_anew_sees_neighbours_together():
    """Of two heaps of seeds that take turns, each is together after the first round."""
    seeds = np.tile([[0.0, 0.0], [100.0, 0.0]], (200, 1)) + 1e-3 * blobs(400, 2)
    seen = []

    def step(positions):
        seen.append(positions.copy())
        positions += 0.5
        return np.ones(len(positions)), np.full(len(positions), float(len(seen) < 3))

    path = climb(step, seeds, 1.0, tol=1e-3, max_iter=300, report=SILENT, order_of=tree.order_of)
    np.testing.assert_allclose(path.ends, seeds + 1.5)
    jumps = [int((np.abs(np.diff(positions[:, 0])) > 50).sum()) for positions in seen]
    assert len(jumps) == 3
    assert jumps[0] == 399
    assert max(jumps[1:]) <= 3  # a leaf of sixteen rows may hold some of both
