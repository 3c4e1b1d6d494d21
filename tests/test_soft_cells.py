"""One shift among cells: each counts by the part of it in the ball, alone and in a group."""

import numpy as np
import pytest

import naive
from indexes import built_tree
from meanshift_fast._index import soft_cells
from meanshift_fast._index.flat import FlatIndex
from meanshift_fast._index.soft_cells import SoftCellIndex
from meanshift_fast._jit.threads import borrowed_threads
from samples import blobs, lattice, scattered

CASES = {
    "lattice with points on the sphere": (np.ascontiguousarray(lattice(20, 20)), 3.0),
    "duplicates": (scattered(900, 2), 1.0),
    "one feature": (scattered(400, 1, side=90), 5.0),
    "blobs": (blobs(700, 2), 0.7),
    "three features": (blobs(600, 3), 1.0),
    "twelve features": (blobs(300, 12), 2.5),
    "everything in the ball": (blobs(300, 2), 1e3),
}
WIDTHS = {  # in bandwidths
    "none": lambda n: np.zeros(n),
    "equal": lambda n: np.full(n, 0.1),
    "any": lambda n: np.random.default_rng(1).uniform(0.0, 0.3, n),
    "some": lambda n: np.random.default_rng(1).choice([0.0, 0.2], n),
    "as wide as can be": lambda n: np.full(n, np.sqrt(3.0)),
}


def index_of(points, weights, widths, bandwidth):
    return SoftCellIndex.of(built_tree(points, weights), widths, bandwidth)


@pytest.mark.jitless
@pytest.mark.parametrize("widths", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_a_shift_among_cells_is_the_twins(name, weighted, widths):
    points, bandwidth = CASES[name]
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.0, 3.0, len(points)) if weighted else np.ones(len(points))
    widths = bandwidth * widths(len(points))
    index = index_of(points, weights if weighted else np.empty(0), widths, bandwidth)
    positions = points[built_order(points)][:: max(1, len(points) // 40)].copy()
    positions[1::2] += 0.1 * bandwidth
    shifted = positions.copy()
    support, moves = index.shift(shifted)
    for i, position in enumerate(positions):
        mean, weight = naive.slab_shift(points, weights, widths, position, bandwidth)
        assert support[i] == pytest.approx(weight, rel=1e-11, abs=1e-11)
        np.testing.assert_allclose(shifted[i], mean, rtol=0, atol=1e-11 * np.abs(points).max())
        assert moves[i] == pytest.approx(np.linalg.norm(shifted[i] - position), rel=1e-12)


def built_order(points):
    return built_tree(points).order


@pytest.mark.parametrize("name", CASES)
def test_in_groups_of_neighbours_and_alone_the_answer_is_one(name):
    points, bandwidth = CASES[name]
    built = built_tree(points)
    widths = bandwidth * WIDTHS["any"](len(points))
    together = points[built.order].copy()
    alone = together.copy()
    grouping, parting = built._replace(leaf_width=np.inf), built._replace(leaf_width=0.0)
    in_groups, _ = SoftCellIndex.of(grouping, widths, bandwidth).shift(together)
    one_by_one, _ = SoftCellIndex.of(parting, widths, bandwidth).shift(alone)
    np.testing.assert_allclose(in_groups, one_by_one, rtol=1e-11)
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-11 * np.abs(points).max())


@pytest.mark.parametrize("name", CASES)
def test_slabs_of_no_width_are_rows(name):
    """And the closed ball falls to the last bit as there."""
    points, bandwidth = CASES[name]
    positions = points.copy()
    expected = points.copy()
    index = index_of(points, np.empty(0), np.zeros(len(points)), bandwidth)
    support, _ = index.shift(positions)
    rows, _ = FlatIndex(built_tree(points), bandwidth).shift(expected)
    np.testing.assert_array_equal(support, rows)
    np.testing.assert_allclose(positions, expected, rtol=0, atol=1e-12 * np.abs(points).max())


@pytest.mark.jitless
def test_a_position_with_an_empty_ball_stays():
    index = index_of(blobs(300, 2), np.empty(0), np.full(300, 0.1), 1.0)
    positions = np.array([[1e6, 0.0], [-1e6, 5.0]])
    support, moves = index.shift(positions)
    np.testing.assert_array_equal(positions, [[1e6, 0.0], [-1e6, 5.0]])
    assert not support.any()
    assert not moves.any()


def test_shifts_are_bit_equal_for_every_number_of_threads():
    points = blobs(20_000, 3)
    widths = 0.5 * WIDTHS["any"](len(points))
    results = []
    for n_jobs in (1, 2):
        with borrowed_threads(n_jobs):
            positions = points.copy()
            index = index_of(points, np.empty(0), widths, 0.5)
            results.append((*index.shift(positions), positions))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.jitless
def test_cells_that_are_all_narrow_are_points():
    assert not soft_cells.widths_of(np.full(9, 0.99 / (12 * 256**2))).size
    np.testing.assert_allclose(soft_cells.widths_of(np.array([0.0, 3.0, 0.12])), [0, 6, 1.2])
