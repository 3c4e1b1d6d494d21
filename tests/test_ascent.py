"""The ascent: rounds of shifts take the steps of one trajectory after the other."""

import numpy as np
import pytest

import naive
from indexes import CountedIndex, FunctionIndex, SteppedIndex, built_tree
from meanshift_fast._cluster.ascent import ascend
from meanshift_fast._index import moment_tree
from meanshift_fast._index.choice import build
from meanshift_fast._index.flat import ExactIndex, FlatIndex
from meanshift_fast._jit.threads import borrowed_threads
from samples import blobs, lattice, scattered


def SILENT(*_):
    """Report nothing."""


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
    built = built_tree(points)
    ascent = ascend(
        SteppedIndex(built, bandwidth), points, tol=1e-3, max_iter=max_iter, order=built.order,
        report=SILENT,
    )  # fmt: skip
    stories = naive.climb(points, np.ones(len(points)), points, bandwidth, max_iter=max_iter)
    ends, support, n_steps = naive.ends_of(stories)
    np.testing.assert_allclose(ascent.endpoints, ends, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(ascent.support, support)
    assert len(ascent.history) == n_steps.max()
    expected = naive.history(stories, bandwidth)
    for field in ("round", "n_active", "n_converged"):
        np.testing.assert_array_equal(ascent.history[field], expected[field])
    for field in ("mean_shift", "max_shift"):
        np.testing.assert_allclose(ascent.history[field], expected[field], rtol=1e-9, atol=1e-12)


def test_a_ring_pulls_its_seeds_into_the_empty_middle():
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    built = built_tree(ring)
    ascent = ascend(FlatIndex(built, 0.5), np.zeros((1, 2)), tol=1e-3, max_iter=300, report=SILENT)
    assert ascent.support[0] == 0
    assert len(ascent.history) == 1


def test_bandwidth_zero_leaves_every_seed_where_it_is():
    points = np.repeat([[0.1], [0.7]], [20, 17], axis=0)
    index = build(points, radius=0.0)
    assert isinstance(index, ExactIndex)
    ascent = ascend(index, points, tol=1e-3, max_iter=300, order=index.order, report=SILENT)
    np.testing.assert_array_equal(ascent.endpoints, points)
    np.testing.assert_array_equal(ascent.support, np.repeat([20.0, 17.0], [20, 17]))


def test_walks_are_bit_equal_for_every_number_of_threads():
    points = blobs(5_000, 3)
    built = built_tree(points)
    results = []
    for n_jobs in (1, 2):
        with borrowed_threads(n_jobs):
            positions = points[::7].copy()
            places, support, moves = FlatIndex(built, 0.5).walk(positions, 5, 1e-3)
            n_steps = naive.steps_taken(support, moves, 1e-3)
            taken = np.arange(moves.shape[1]) < n_steps[:, None]  # what comes after is not set
            results.append((places[taken], support[taken], moves[taken], n_steps, positions))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.jitless
@pytest.mark.parametrize("memoised", [False, True], ids=["step by step", "memoised"])
def test_equal_seeds_beyond_those_with_a_memo_ascend_once(memoised, monkeypatch):
    points = scattered(400, 2, side=6)
    built = built_tree(points)
    shifted = []
    index = CountedIndex(built, 1.5, shifted, memoised)

    def ascent():
        return ascend(index, points, tol=1e-3, max_iter=300, report=SILENT, order=built.order)

    expected = ascent()
    shifted.clear()
    monkeypatch.setattr("meanshift_fast._index.thresholds.MAX_MEMO_TRAJECTORIES", 40)
    found = ascent()
    assert len(np.unique(points, axis=0)) == 36
    assert max(shifted) == 36
    np.testing.assert_array_equal(found.endpoints, expected.endpoints)
    np.testing.assert_array_equal(found.support, expected.support)
    assert len(found.history) == len(expected.history)
    assert found.history["n_active"].tolist() == expected.history["n_active"].tolist()
    assert found.history["n_converged"].tolist() == expected.history["n_converged"].tolist()
    for name in ("mean_shift", "max_shift"):
        np.testing.assert_allclose(found.history[name], expected.history[name], rtol=1e-12)


@pytest.mark.jitless
@pytest.mark.parametrize("max_iter", [0, 1, 12, 300])
@pytest.mark.parametrize("start", ["in a blob", "far away"])
def test_a_lone_seed_takes_the_steps_that_it_takes_among_others(start, max_iter):
    points = blobs(300, 2)
    built = built_tree(points)
    seed = points[7] + 0.5 if start == "in a blob" else points[0] + 100.0
    reports = []

    def ascent(seeds, kind):
        return ascend(
            kind(built, 0.4), seeds, tol=1e-6, max_iter=max_iter,
            report=lambda *numbers: reports.append(numbers),
        )  # fmt: skip

    alone, expected = ascent(seed[None], FlatIndex), ascent(seed[None], SteppedIndex)
    assert reports[-1] == (1, 1, "climb")
    np.testing.assert_array_equal(alone.endpoints, expected.endpoints)
    np.testing.assert_array_equal(alone.support, expected.support)
    np.testing.assert_array_equal(alone.history, expected.history)
    among = ascent(np.stack([seed, points[1]]), FlatIndex)
    np.testing.assert_array_equal(alone.endpoints[0], among.endpoints[0])
    assert len(alone.history) == len(expected.history)


@pytest.mark.parametrize("how", ["memoised", "step by step", "coalescing"])
def test_positions_that_are_sorted_anew_come_to_the_same_endpoints(how, monkeypatch):
    points = blobs(6_000, 2)
    built = built_tree(points)
    n_sorted = []

    def order_of(positions):
        n_sorted.append(len(positions))
        return moment_tree.order_of(positions)

    monkeypatch.setattr("meanshift_fast._cluster.ascent.order_of", order_of)

    def ascent(sorts_anew):
        kind = FlatIndex if how == "memoised" else SteppedIndex
        return ascend(
            kind(built, 0.8), points, tol=1e-3, max_iter=300, report=SILENT, order=built.order,
            sorts_anew=sorts_anew, coalesce=0.01 if how == "coalescing" else 0.0,
        )  # fmt: skip

    found = ascent(True)
    assert n_sorted
    n_sorted.clear()
    expected = ascent(False)
    assert not n_sorted
    np.testing.assert_allclose(found.endpoints, expected.endpoints, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(found.support, expected.support)
    for name in ("n_active", "n_converged"):
        np.testing.assert_array_equal(found.history[name], expected.history[name])


def test_positions_that_are_sorted_anew_shift_beside_their_neighbours():
    """Of two heaps of seeds that take turns, each is together after the first round."""
    seeds = np.tile([[0.0, 0.0], [100.0, 0.0]], (200, 1)) + 1e-3 * blobs(400, 2)
    seen = []

    def step(positions):
        seen.append(positions.copy())
        positions += 0.5
        return np.ones(len(positions)), np.full(len(positions), float(len(seen) < 3))

    ascent = ascend(
        FunctionIndex(step), seeds, tol=1e-3, max_iter=300, report=SILENT, sorts_anew=True
    )
    np.testing.assert_allclose(ascent.endpoints, seeds + 1.5)
    jumps = [int((np.abs(np.diff(positions[:, 0])) > 50).sum()) for positions in seen]
    assert len(jumps) == 3
    assert jumps[0] == 399
    assert max(jumps[1:]) <= 3  # a leaf of sixteen rows may hold some of both


def step_towards_a_count(positions):
    """Steps of 0.5 along x: one to three of them, as y says; support and moves differ by row."""
    positions[:, 0] += 0.5
    x, y = positions.T
    taken = np.rint(2 * (x - 100 * (x > 50)))
    is_last = taken == 1 + np.floor(1e7 * y) % 3
    return 1 + np.abs(y) + taken, np.where(is_last, 0.0, 1 + np.abs(x * y))


def test_positions_that_are_sorted_anew_keep_their_support_and_moves(monkeypatch):
    seeds = np.tile([[0.0, 0.0], [100.0, 0.0]], (200, 1)) + 1e-3 * blobs(400, 2)
    n_sorted = []

    def order_of(positions):
        n_sorted.append(len(positions))
        return moment_tree.order_of(positions)

    monkeypatch.setattr("meanshift_fast._cluster.ascent.order_of", order_of)

    found, expected = (
        ascend(
            FunctionIndex(step_towards_a_count), seeds, tol=1e-3, max_iter=300, report=SILENT,
            coalesce=1e-9, sorts_anew=is_sorting,
        )
        for is_sorting in (True, False)
    )  # fmt: skip
    n_active = expected.history["n_active"].tolist()
    assert n_active[0] == 400 > n_active[1] > n_active[2] > 0
    assert n_sorted == n_active[1:]
    for name in ("endpoints", "support", "trajectories", "history"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
