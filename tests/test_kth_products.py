"""The distance to the k-th neighbour by matrix products: that of the definition, exactly."""

import numpy as np
import pytest

import naive
from meanshift_fast import estimate_bandwidth
from meanshift_fast._index import kth_products, product_choice, thresholds
from meanshift_fast._jit.threads import borrowed_threads
from samples import blobs, digits, directions, scattered
from test_products import UNWEIGHTED, single


def ready(points):
    points = np.ascontiguousarray(points, dtype=np.float64)
    points.flags.writeable = False
    return points


def expected(points, k):
    return np.sqrt([np.partition(naive.distances_sq(points, row), k - 1)[k - 1] for row in points])


CASES = {
    "unit rows": directions(200, 70),
    "float32": single(directions(200, 70)),
    "whole numbers": digits(230),
    "few columns": scattered(90, 5, side=4),
    "far away": blobs(150, 40) + 1e6,
    "equal rows": np.repeat(blobs(30, 40), 5, axis=0),
    "many scales": blobs(150, 40) * 10.0 ** np.linspace(-6, 6, 150)[:, None],
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.jitless] * (name == "few columns")) for name in CASES],
)
@pytest.mark.parametrize("k", [1, 2, 40])
def test_each_distance_is_that_of_the_definition_to_the_last_bit(name, k):
    points = ready(CASES[name])
    found = kth_products.kth_distances(points, UNWEIGHTED, float(k))
    np.testing.assert_array_equal(found, expected(points, k))


def test_a_row_of_weight_two_is_two_rows():
    points = directions(150, 50)
    weights = np.random.default_rng(0).integers(1, 4, 150)
    many = ready(np.repeat(points, weights, axis=0))
    found = kth_products.kth_distances(ready(points), weights.astype(np.float64), 9.0)
    np.testing.assert_array_equal(np.repeat(found, weights), expected(many, 9))


def test_blocks_and_threads_change_nothing(monkeypatch):
    points = ready(directions(400, 60))
    whole = kth_products.kth_distances(points, UNWEIGHTED, 7.0)
    monkeypatch.setattr(kth_products, "BLOCK_VALUES", 6000)
    for n_jobs in (1, 2):
        with borrowed_threads(n_jobs):
            np.testing.assert_array_equal(
                kth_products.kth_distances(points, UNWEIGHTED, 7.0), whole
            )


@pytest.mark.parametrize("weighted", [False, True])
def test_estimates_are_the_same_by_products_and_by_trees(weighted, monkeypatch):
    table = directions(1300, 64)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, 1300) if weighted else None
    assert product_choice.is_worth_for_neighbours(ready(table), 0.3)
    found = estimate_bandwidth(table, sample_weight=weights)
    monkeypatch.setattr(thresholds, "MIN_PRODUCT_OPEN_NEIGHBOUR_SHARE", 9.0)
    assert estimate_bandwidth(table, sample_weight=weights) == found


def test_products_are_not_for_clusters_apart_nor_for_sentinels():
    apart = blobs(1500, 64, n_blobs=30, box=100.0, spread=0.4)
    assert not product_choice.is_worth_for_neighbours(ready(apart), 0.01)
    full = directions(1500, 64)
    full[::100, 3] = 1e20
    assert not product_choice.is_worth_for_neighbours(ready(full), 0.3)
