"""Coalescing: trajectories that come into one cell go on as one, and little else changes."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import naive
import samples
from indexes import FunctionIndex, built_tree
from meanshift_fast import MeanShift
from meanshift_fast._cluster.ascent import ascend
from meanshift_fast._cluster.coalescing import _cell_keys
from meanshift_fast._index.flat import FlatIndex


def SILENT(*_):
    """Report to nobody."""


TABLES = {
    "blobs": (samples.blobs(250, 2, spread=0.8), 1.0),
    "three features": (samples.blobs(150, 3, spread=0.8), 1.5),
    "one feature": (samples.blobs(200, 1), 1.0),
    "a lattice with duplicates": (samples.scattered(200, 2, side=12), 2.0),
    "a far corner": (samples.blobs(150, 2) + 1e6, 1.0),
}
tables = pytest.mark.parametrize(("X", "bandwidth"), TABLES.values(), ids=TABLES)


@pytest.mark.jitless
@tables
@pytest.mark.parametrize("coalesce", [0.01, 0.3, 1.5])
@pytest.mark.parametrize("max_iter", [1, 300])
def test_a_coalescing_ascent_is_the_twins(X, bandwidth, coalesce, max_iter):
    built = built_tree(X)
    ascent = ascend(
        FlatIndex(built, bandwidth), X, tol=1e-3, max_iter=max_iter, report=SILENT,
        coalesce=coalesce,
    )  # fmt: skip
    leaders, ends, support, rounds = naive.coalesced(
        X, np.ones(len(X)), X, bandwidth, coalesce, max_iter=max_iter
    )
    np.testing.assert_array_equal(ascent.trajectories, np.unique(leaders, return_inverse=True)[1])
    np.testing.assert_allclose(ascent.endpoints[ascent.trajectories], ends, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(ascent.support[ascent.trajectories], support)
    assert ascent.history[["n_active", "n_converged"]].tolist() == rounds


@pytest.mark.jitless
@pytest.mark.parametrize("coalesce", [1e-300, 1e-30, 1e-12])
def test_cells_too_small_to_share_leave_every_seed_its_trajectory(coalesce):
    X = samples.blobs(120, 2)
    apart = MeanShift(bandwidth=1.0, assign="basin").fit(X)
    almost = MeanShift(bandwidth=1.0, assign="basin", coalesce=coalesce).fit(X)
    np.testing.assert_array_equal(almost.labels_, apart.labels_)
    np.testing.assert_allclose(almost.cluster_centers_, apart.cluster_centers_, atol=1e-9)


@pytest.mark.jitless
def test_no_seeds_share_a_key_but_those_of_one_cell():
    """The table of cells grows on the way, and loses no cell."""
    X = np.random.default_rng(0).uniform(0, 100, (60, 2))
    built = built_tree(X)
    steps = []

    def wander(positions):
        """Walk on for a while through new cells, then rest."""
        steps.append(len(positions))
        positions += 1000.0
        return np.ones(len(positions)), np.full(len(positions), float(len(steps) < 40))

    ascent = ascend(FunctionIndex(wander), X, tol=1e-3, max_iter=300, report=SILENT, coalesce=0.01)
    np.testing.assert_array_equal(ascent.trajectories, np.arange(60))
    assert steps == [60] * 40
    assert len(built.order) == 60


@tables
def test_coalesced_basins_hardly_differ(X, bandwidth):
    apart = MeanShift(bandwidth=bandwidth, assign="basin").fit(X)
    together = MeanShift(bandwidth=bandwidth, assign="basin", coalesce=0.01).fit(X)
    np.testing.assert_array_equal(together.labels_, apart.labels_)
    assert together.history_["n_active"].sum() <= apart.history_["n_active"].sum()


def test_of_many_rows_few_change_their_basin_and_many_shifts_are_saved():
    X = samples.blobs(60_000, 2, n_blobs=8, spread=1.3)
    apart = MeanShift(bandwidth=1.2, assign="basin").fit(X)
    together = MeanShift(bandwidth=1.2, assign="basin", coalesce=0.02).fit(X)
    assert adjusted_rand_score(apart.labels_, together.labels_) >= 0.9995
    assert 10 * together.history_["n_active"].sum() < apart.history_["n_active"].sum()


@tables
@pytest.mark.parametrize("bin_seeding", [True, False])
def test_every_seed_comes_to_rest_by_the_last_round(X, bandwidth, bin_seeding):
    model = MeanShift(bandwidth=bandwidth, coalesce=0.1, bin_seeding=bin_seeding).fit(X)
    n_seeds = len(naive.bin_seeds(X, bandwidth)) if bin_seeding else len(X)
    assert model.history_["n_converged"][-1] == n_seeds
    assert (np.diff(model.history_["n_converged"]) >= 0).all()
    assert model.n_iter_ == len(model.history_) - 1


@tables
def test_a_support_is_the_weight_around_the_mean_before_the_last(X, bandwidth):
    """Ends are means of balls, so that each has a support that some ball has."""
    model = MeanShift(bandwidth=bandwidth, coalesce=0.2, tol=1e-9).fit(X)
    for mode, support in zip(model.cluster_centers_, model.mode_weight_, strict=True):
        mean, weight = naive.shift(X, np.ones(len(X)), mode, bandwidth)
        assert weight == support
        np.testing.assert_allclose(mean, mode, rtol=1e-12)


def test_a_bandwidth_of_zero_has_no_cells():
    X = np.repeat([[0.1], [0.7]], [20, 17], axis=0)
    model = MeanShift(coalesce=0.5).fit(X)
    np.testing.assert_array_equal(model.cluster_centers_, [[0.1], [0.7]])


@pytest.mark.jitless
@pytest.mark.parametrize("n_features", [1, 2, 3, 5])
def test_cells_side_by_side_have_slots_side_by_side_and_keys_of_their_own(n_features):
    """Also beyond all whole numbers, and where a coordinate in cells is beyond all floats."""
    rng = np.random.default_rng(n_features)
    cells = np.unique(rng.integers(-20, 20, (3000, n_features)).astype(float), axis=0)
    tables = [cells, cells + 2.0**60, 1e300 * cells]
    for positions in [table for table in tables if len(table)]:
        positions = np.unique(positions, axis=0)
        keys, scratch = np.empty(len(positions), dtype=np.int64), np.empty(n_features)
        _cell_keys(positions, 1e-10, scratch, scratch.view(np.int64), keys)
        assert len(np.unique(keys)) == len(positions)
        assert (keys & 1 == 1).all()
    keys = np.empty(len(cells), dtype=np.int64)
    _cell_keys(cells, 1.0, scratch, scratch.view(np.int64), keys)
    sizes = [8] if n_features == 1 else [4, 2] if n_features == 2 else [2, 2, 2]
    blocks = cells.copy()
    blocks[:, : len(sizes)] //= sizes
    _, block = np.unique(blocks, axis=0, return_inverse=True)
    _, shared = np.unique(keys >> 4, return_inverse=True)
    assert len(np.unique(np.column_stack([block.ravel(), shared]), axis=0)) == block.max() + 1
