"""The moment tree: every row in one leaf, every block the sum and the box of its children."""

import numpy as np
import pytest

from indexes import built_tree
from meanshift_fast._index import moment_tree as tree
from meanshift_fast._jit.threads import borrowed_threads
from samples import blobs, lattice, scattered

NONE = np.empty(0)


def with_outlier():
    points = blobs(12_000, 2)
    points[77] = 1e12
    return points


TABLES = {
    "one row": np.array([[3.0, 4.0]]),
    "one feature": blobs(500, 1),
    "a full block and one": blobs(257, 3),
    "equal rows": np.full((9000, 2), 0.1),
    "lattice": np.ascontiguousarray(lattice(100, 100)),
    "duplicates": scattered(10_000, 2, side=3),
    "many chunks": blobs(40_000, 2),
    "an outlier makes one cell heavy": with_outlier(),
    "geometric spacing": 2.0 ** -np.arange(900.0)[:, None],
    "one line in three features": np.linspace(0, 1, 9001)[:, None] * [1.0, -2.0, 0.0],
    "wide": blobs(300, 70),
    "large": blobs(5000, 2) * 1e300,
}
SMALL = [name for name, points in TABLES.items() if len(points) < 1000]


def children_of(built, block):
    first = built.first_child[block]
    return range(first, first + np.isfinite(built.lower[block, 0]).sum())


def rows_of_leaves(built):
    return built.points.transpose(0, 2, 1).reshape(-1, built.points.shape[1])


def check_tree(built, points, weights):
    n_samples = len(points)
    np.testing.assert_array_equal(np.sort(built.order), np.arange(n_samples))
    rows = rows_of_leaves(built)
    np.testing.assert_array_equal(rows[:n_samples], points[built.order])
    assert np.isposinf(rows[n_samples:]).all()
    leaf_weights = np.broadcast_to(built.point_weights, (len(built.points), tree.LANES)).ravel()
    np.testing.assert_array_equal(leaf_weights[:n_samples], weights[built.order])
    for block in range(len(built.first_child)):
        for lane, child in enumerate(children_of(built, block)):
            if block < built.n_upper:
                finite = np.isfinite(built.lower[child, 0])
                low = built.lower[child][:, finite].min(axis=1)
                high = built.upper[child][:, finite].max(axis=1)
                weight, weighted_sum = built.weight[child].sum(), built.weighted_sum[child].sum(1)
            else:
                inside = slice(child * tree.LANES, min((child + 1) * tree.LANES, n_samples))
                low, high = rows[inside].min(axis=0), rows[inside].max(axis=0)
                weight = leaf_weights[inside].sum()
                weighted_sum = leaf_weights[inside] @ rows[inside]
            np.testing.assert_array_equal(built.lower[block, :, lane], low)
            np.testing.assert_array_equal(built.upper[block, :, lane], high)
            assert built.weight[block, lane] == pytest.approx(weight, rel=1e-13)
            np.testing.assert_allclose(
                built.weighted_sum[block, :, lane],
                weighted_sum,
                rtol=1e-12,
                atol=1e-12 * weight * np.abs(points).max(),
            )
    assert built.weight[0].sum() == pytest.approx(weights.sum(), rel=1e-12)


@pytest.fixture(params=[False, True], ids=["cells", "medians"])
def by_medians(request, monkeypatch):
    """Both ways to an order, for tables of every size."""
    monkeypatch.setattr(tree, "MAX_MEDIAN_ROWS", tree.MAX_MEDIAN_ROWS if request.param else 0)
    return request.param


@pytest.mark.parametrize("name", [*TABLES])
def test_every_block_holds_its_childrens_moments(name, by_medians):
    points = TABLES[name]
    check_tree(built_tree(points), points, np.ones(len(points)))


@pytest.mark.parametrize("name", ["one row", "lattice", "many chunks", "wide"])
def test_weights_travel_with_their_rows(name):
    points = TABLES[name]
    weights = np.random.default_rng(1).uniform(0.1, 9.0, len(points))
    check_tree(built_tree(points, weights), points, weights)


@pytest.mark.jitless
@pytest.mark.parametrize("name", SMALL)
def test_small_tables_without_a_compiler(name):
    points = TABLES[name]
    weights = np.random.default_rng(1).uniform(0.1, 9.0, len(points))
    check_tree(built_tree(points, weights), points, weights)


@pytest.mark.jitless
def test_more_than_one_chunk_without_a_compiler(by_medians):
    points = np.vstack([blobs(4200, 2), [[1e6, 0.0]]])
    check_tree(built_tree(points), points, np.ones(len(points)))


@pytest.mark.parametrize("name", ["many chunks", "duplicates", "an outlier makes one cell heavy"])
def test_the_tree_does_not_depend_on_threads(name, by_medians):
    trees = []
    for n_jobs in (1, 2):
        with borrowed_threads(n_jobs):
            trees.append(built_tree(TABLES[name]))
    for one, two in zip(*trees, strict=True):
        np.testing.assert_array_equal(one, two)


def test_neighbours_in_rank_are_neighbours_in_space(by_medians):
    points = np.random.default_rng(5).uniform(size=(65_536, 2))
    built = built_tree(points)
    # A square that holds sixteen of 65,536 rows in the unit square has a diagonal of 0.022.
    assert built.leaf_width < 0.03


def leaf_area(points):
    """The area of all leaves' boxes."""
    built = built_tree(points)
    lower, upper = built.lower[built.n_upper :], built.upper[built.n_upper :]
    sides = np.where(lower <= upper, upper - lower, 0.0)
    return (sides[:, 0] * sides[:, 1]).sum()


def test_crowded_buckets_are_cut_like_any_others(monkeypatch):
    """Half of the rows are in one bucket of their chunk's widest side."""
    rng = np.random.default_rng(5)
    points = rng.uniform(size=(30_000, 2))
    points[::2, 0] = 0.5 + 1e-4 * rng.uniform(size=15_000)
    by_medians = leaf_area(points)
    monkeypatch.setattr(tree, "MAX_MEDIAN_ROWS", 0)
    # Cut by other rows' values, the boxes overlap: 2.3 times the area.
    assert leaf_area(points) < 1.6 * by_medians


def test_one_heavy_cell_is_split_like_any_other(by_medians):
    points = np.random.default_rng(5).uniform(size=(65_536, 2))
    alone = built_tree(points).leaf_width
    points[0] = 1e9
    assert built_tree(points).leaf_width < 1.2 * alone
