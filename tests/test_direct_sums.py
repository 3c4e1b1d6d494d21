"""Direct sums of the Gaussian shift: the promise near few rows, and no dependence on others."""

import numpy as np
import pytest

import naive
from indexes import built_tree
from meanshift_fast._index.direct_sums import LEAST_DENSITY, Reach, reach_of
from meanshift_fast._index.gaussian import gaussian_shift
from meanshift_fast._index.sigma_points import find_sigma_points
from meanshift_fast._jit.compiler import serial
from meanshift_fast._jit.threads import borrowed_threads

UNWEIGHTED = np.empty(0)


@serial
def _fields_of_reach(total_weight, n_rows, accuracy):
    reach = reach_of(total_weight, n_rows, accuracy)
    return reach.near_sq, reach.far_sq, reach.beyond, reach.least, reach.accuracy


def reach_among(total_weight, n_rows, accuracy):
    """The reach of direct sums; a step is called by kernels only."""
    return Reach(*_fields_of_reach(total_weight, n_rows, accuracy))


def sparse(n_samples, n_features, *, rows_a_cube=0.3, seed=0):
    """Rows spread evenly, so many in a cube whose side is a bandwidth."""
    side = (n_samples / rows_a_cube) ** (1.0 / n_features)
    return np.random.default_rng(seed).uniform(0.0, side, (n_samples, n_features))


def shifted(points, weights, positions, accuracy):
    built = built_tree(points, weights)
    moved = positions.copy()
    support, moves = gaussian_shift(built, find_sigma_points(built), moved, accuracy=accuracy)
    return moved, support, moves


@pytest.mark.parametrize("n_features", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("accuracy", [1e-1, 1e-3, 1e-6])
def test_shifts_near_few_rows_keep_the_promise(n_features, accuracy):
    points = sparse(4000, n_features)
    positions = points[built_tree(points).order[:300]]
    moved, support, moves = shifted(points, UNWEIGHTED, positions, accuracy)
    for i, place in enumerate(positions):
        mean, density = naive.gaussian_shift(points, np.ones(len(points)), place, 1.0)
        assert np.linalg.norm(moved[i] - mean) <= accuracy
        assert support[i] == pytest.approx(density, rel=accuracy + 1e-12)
        assert moves[i] == pytest.approx(np.linalg.norm(moved[i] - place), rel=1e-9, abs=1e-12)


def test_a_clump_just_beyond_the_near_rows_keeps_the_promise():
    """It counts for more than the accuracy, though it lies beyond what is near to single rows."""
    near = np.sqrt(reach_among(4000.0, 4000, 1e-3).near_sq)
    rng = np.random.default_rng(0)
    clump = 0.05 * rng.standard_normal((3900, 2))
    angles = rng.uniform(0.0, 2.0 * np.pi, 100)
    ring = (near + 0.4) * np.column_stack([np.cos(angles), np.sin(angles)])
    points = np.concatenate([clump, ring])
    counts = np.where(np.arange(4000) < 3900, 1.0, 0.1)
    moved, _, _ = shifted(points, counts, ring, 1e-3)
    means = [naive.gaussian_shift(points, counts, place, 1.0)[0] for place in ring]
    without = [naive.gaussian_shift(ring, counts[3900:], place, 1.0)[0] for place in ring]
    assert np.linalg.norm(np.array(without) - means, axis=1).max() > 2e-3
    assert np.linalg.norm(moved - means, axis=1).max() <= 1e-3


def test_rows_much_lighter_than_most_keep_the_promise_too():
    points = sparse(3000, 2, rows_a_cube=0.05)
    weights = np.where(np.arange(len(points)) % 5, 1.0, 1e-9)
    positions = points[:400] + 0.3
    moved, _, _ = shifted(points, weights, positions, 1e-3)
    means = [naive.gaussian_shift(points, weights, place, 1.0)[0] for place in positions]
    assert np.linalg.norm(moved - np.array(means), axis=1).max() <= 1e-3


@pytest.mark.parametrize("accuracy", [1.0, 1e-3, 1e-12])
def test_rows_beyond_the_reach_cannot_break_the_promise(accuracy):
    """All weight just beyond it, pulling straight away from a shift as long as it may be."""
    n_rows, total = 5000, 7000.0
    reach = reach_among(total, n_rows, accuracy)
    assert reach.near_sq <= reach.far_sq
    assert reach.least == pytest.approx(LEAST_DENSITY * total / n_rows)
    longest = np.sqrt(2.0 * np.log(total / reach.least))
    dropped = total * (np.sqrt(reach.far_sq) + longest) * np.exp(-0.5 * reach.far_sq)
    assert dropped <= reach.beyond == accuracy * reach.least


def test_shifts_near_few_rows_are_bit_equal_for_every_number_of_threads():
    points = sparse(6000, 3)
    found = []
    for n_jobs in (1, 2):
        with borrowed_threads(n_jobs):
            found.append(shifted(points, UNWEIGHTED, points, 1e-3))
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)
