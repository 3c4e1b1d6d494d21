"""One shift: alone or in a group, the mean of the closed ball and its weight."""

import numpy as np
import pytest

import naive
from indexes import built_tree
from meanshift_fast._index import flat
from meanshift_fast._index.flat import FlatIndex
from meanshift_fast._index.traversal import BLOCK_POSITIONS, MAX_GROUPED_FEATURES
from meanshift_fast._jit import chunks
from meanshift_fast._jit.threads import borrowed_threads
from samples import blobs, lattice, scattered

CASES = {
    "lattice with rows on the sphere": (np.ascontiguousarray(lattice(20, 20)), 3.0),
    "duplicates": (scattered(900, 2), 1.0),
    "cube lattice": (np.ascontiguousarray(lattice(8, 8, 8)), 2.0),
    "one feature": (scattered(400, 1, side=90), 5.0),
    "blobs": (blobs(700, 2), 0.7),
    "eight features": (blobs(600, 8), 1.5),
    "forty features": (blobs(200, 40), 4.0),
    "everything in the ball": (blobs(300, 2), 1e3),
    "bandwidth zero": (scattered(300, 2), 0.0),
}


def check_shift(points, weights, positions, bandwidth, tree_weights):
    built = built_tree(points, tree_weights)
    shifted = positions.copy()
    support, moves = FlatIndex(built, bandwidth).shift(shifted)
    for i, position in enumerate(positions):
        mean, weight = naive.shift(points, weights, position, bandwidth)
        assert support[i] == pytest.approx(weight, rel=1e-12)
        np.testing.assert_allclose(shifted[i], mean, rtol=0, atol=1e-12 * np.abs(points).max())
        assert moves[i] == pytest.approx(np.linalg.norm(shifted[i] - position), rel=1e-12)


@pytest.mark.jitless
@pytest.mark.parametrize("name", [*CASES])
def test_a_shift_goes_to_the_mean_of_the_closed_ball(name):
    points, bandwidth = CASES[name]
    positions = points[:: max(1, len(points) // 40)].copy()
    check_shift(points, np.ones(len(points)), positions, bandwidth, np.empty(0))


@pytest.mark.jitless
@pytest.mark.parametrize("name", ["blobs", "cube lattice", "forty features"])
def test_weights_count_as_so_many_rows(name):
    points, bandwidth = CASES[name]
    weights = np.random.default_rng(0).uniform(0.0, 3.0, len(points))
    check_shift(points, weights, points[:20].copy(), bandwidth, weights)


@pytest.mark.parametrize("name", [*CASES])
def test_in_groups_of_neighbours_and_alone_the_answer_is_one(name):
    points, bandwidth = CASES[name]
    built = built_tree(points)
    together = points[built.order].copy()
    alone = together.copy()
    group_support, _ = FlatIndex(built._replace(leaf_width=np.inf), bandwidth).shift(together)
    alone_support, _ = FlatIndex(built._replace(leaf_width=0.0), bandwidth).shift(alone)
    np.testing.assert_array_equal(group_support, alone_support)
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-12 * np.abs(points).max())


@pytest.mark.jitless
def test_a_position_with_an_empty_ball_stays():
    built = built_tree(blobs(300, 2))
    positions = np.array([[1e6, 0.0], [-1e6, 5.0]])
    support, moves = FlatIndex(built, 1.0).shift(positions)
    np.testing.assert_array_equal(positions, [[1e6, 0.0], [-1e6, 5.0]])
    assert not support.any()
    assert not moves.any()


def test_shifts_are_bit_equal_for_every_number_of_threads():
    points = blobs(20_000, 3)
    results = []
    for n_jobs in (1, 2):
        with borrowed_threads(n_jobs):
            built = built_tree(points)
            positions = points.copy()
            results.append((*FlatIndex(built, 0.5).shift(positions), positions))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.jitless
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_features", [1, 2, 3, 4])
def test_a_step_alone_goes_to_the_mean_in_few_columns_and_in_many(n_features, weighted):
    """In two columns and three it has code of its own."""
    points = np.ascontiguousarray(blobs(400, n_features))
    weights = np.random.default_rng(1).uniform(0.5, 2.0, 400) if weighted else np.ones(400)
    built = built_tree(points, weights if weighted else np.empty(0))
    far = np.full((1, n_features), 1e3)
    positions = np.vstack([points[:70], far])
    places, support, moves = FlatIndex(built, 0.8).walk(positions.copy(), 1, 0.0)
    assert places.shape == (71, 1, n_features)
    for i, position in enumerate(positions[:-1]):
        mean, weight = naive.shift(points, weights, position, 0.8)
        np.testing.assert_allclose(places[i, 0], mean, rtol=1e-12)
        assert support[i, 0] == pytest.approx(weight, rel=1e-12)
        assert moves[i, 0] == pytest.approx(np.linalg.norm(mean - position), rel=1e-9, abs=1e-12)
    assert support[-1, 0] == moves[-1, 0] == 0.0
    np.testing.assert_array_equal(places[-1, 0], positions[-1])


# No child of a block tells that it is none: what is near to all of them, or to whom all are near,
# would be led beyond the tree.


@pytest.mark.jitless
@pytest.mark.parametrize("n_features", [1, 2, 3, 5, 12])
@pytest.mark.parametrize("places", [[np.nan], [np.nan, 0.5], [np.inf, np.nan, -np.inf]], ids=str)
def test_a_position_that_is_no_number_has_an_empty_ball(n_features, places):
    built = built_tree(blobs(300, n_features))
    positions = np.repeat(places, 17)[:, None] * np.ones(n_features)
    support, _ = FlatIndex(built, 0.5).shift(positions.copy())
    assert not support[~np.isfinite(positions).all(axis=1)].any()
    _, support, _ = FlatIndex(built, 0.5).walk(positions.copy(), 1, 1e-3)
    assert not support[~np.isfinite(positions).all(axis=1)].any()


@pytest.mark.jitless
@pytest.mark.parametrize("bandwidth", [1e160, 1e308, np.inf])
def test_a_ball_whose_square_is_no_number_holds_all_rows(bandwidth):
    points = blobs(300, 2)
    built = built_tree(points)
    support, _ = FlatIndex(built, bandwidth).shift(points[:20].copy())
    assert support.tolist() == [300.0] * 20
    _, support, _ = FlatIndex(built, bandwidth).walk(points[:20].copy(), 1, 1e-3)
    assert support[:, 0].tolist() == [300.0] * 20


@pytest.mark.parametrize(("n_positions", "n_features"), [(64, 2), (6000, 2), (40_000, 2), (90, 9)])
def test_each_thread_draws_often_what_others_wait_for(n_positions, n_features, monkeypatch):
    drawn = []

    def spy(tree, positions, *args):
        drawn.append((len(positions), args[4]))
        kernel(tree, positions, *args)

    kernel = flat._shift_all
    monkeypatch.setattr(flat, "_shift_all", spy)
    points = blobs(700, n_features)
    built = built_tree(points)
    positions = np.resize(points, (n_positions, n_features))
    with borrowed_threads(2):
        FlatIndex(built, 0.7).shift(positions)
    assert sum(n_shifted for n_shifted, _ in drawn) == n_positions
    for n_shifted, at_once in drawn:
        assert at_once * 2 * flat.MIN_TAKES_A_THREAD <= n_shifted or at_once == BLOCK_POSITIONS
        assert at_once % BLOCK_POSITIONS == 0 or n_features > MAX_GROUPED_FEATURES


@pytest.mark.parametrize("n_features", [2, 9])
def test_a_shift_cut_small_gives_the_same_bits(n_features, monkeypatch):
    points = blobs(700, n_features)
    built = built_tree(points)
    whole, cut = points.copy(), points.copy()
    FlatIndex(built, 1.5).shift(whole)
    monkeypatch.setattr(flat, "FIRST_CHUNK_VALUES", 1)
    monkeypatch.setattr(chunks, "CHUNK_SECONDS", 0.0)  # whatever a call takes is too long
    FlatIndex(built, 1.5).shift(cut)
    assert whole.tobytes() == cut.tobytes() != points.tobytes()
