"""Rows that fill many columns: scikit-learn's answer by matrix products, whatever is chosen."""

import numpy as np
import pytest
import sklearn.cluster

import naive
from meanshift_fast import MeanShift, estimate_bandwidth
from meanshift_fast._index import choice, thresholds
from meanshift_fast._index.products import ProductIndex
from samples import directions, rounded, scattered
from test_parity import assert_same_answer


def at(points, quantile, **params):
    """A case with the bandwidth whose balls hold such a part of the rows."""
    return points, {"bandwidth": float(estimate_bandwidth(points, quantile=quantile)), **params}


def with_strays(points):
    strays = np.random.default_rng(5).standard_normal((20, points.shape[1]))
    return np.vstack([points, 2.0 * strays])


def with_sentinel(points):
    points = points.copy()
    points[::60, 7] = 1e20
    return points


@pytest.fixture(autouse=True)
def _few_rows_are_enough_for_products(monkeypatch):
    """Half as many rows as products pay for are a quarter of scikit-learn's time."""
    monkeypatch.setattr(thresholds, "MIN_PRODUCT_PAIRS", 1 << 16)


WHOLE = scattered(280, 64, side=2)
CASES = {
    "64 columns": lambda: at(directions(330, 64), 0.01),
    "96 columns, float32": lambda: at(rounded(directions(300, 96)).astype(np.float32), 0.02),
    "256 columns, the nearest row": lambda: at(directions(300, 256), 0.008),
    "384 columns, isotropic": lambda: at(directions(280, 384, noise=20.0), 0.01),
    "1,536 columns": lambda: at(directions(280, 1536, k=4), 0.05),
    "1,536 columns, float32": lambda: at(rounded(directions(280, 1536)).astype(np.float32), 0.02),
    "a third of the rows": lambda: at(directions(300, 128), 0.3),
    "two of a thousand rows": lambda: at(directions(1000, 64), 0.002),
    "bins refused": lambda: (WHOLE, {"bandwidth": 0.9, "bin_seeding": True}),
    "orphans": lambda: at(with_strays(directions(300, 64)), 0.02, cluster_all=False),
    "one mean": lambda: at(directions(300, 64), 0.02, max_iter=0),
    "two means, isotropic": lambda: at(directions(300, 64, noise=20.0), 0.02, max_iter=1),
    "a far offset": lambda: at(rounded(directions(300, 64)) + 4096.0, 0.02),
    "whole numbers on the sphere": lambda: (WHOLE, {"bandwidth": 5.0}),
    "whole numbers on the sphere, as float32": lambda: (
        WHOLE.astype(np.float32),
        {"bandwidth": 5.0},
    ),
    "equal rows": lambda: at(np.repeat(directions(180, 64), 3, axis=0), 0.02),
}


@pytest.mark.filterwarnings("ignore:Binning data failed")
@pytest.mark.parametrize("name", CASES)
def test_a_fit_by_products_is_scikit_learns(name, monkeypatch):
    X, params = CASES[name]()
    monkeypatch.setattr(thresholds, "MIN_PRODUCT_OPEN_SHARE", -1.0)
    built = []

    def build(*args, make=choice.build, **kwargs):
        built.append(make(*args, **kwargs))
        return built[-1]

    monkeypatch.setattr(choice, "build", build)
    assert_same_answer(X, params)
    assert isinstance(built[0], ProductIndex)


def test_a_sentinel_in_one_column_leaves_the_answer_as_it_is():
    X = with_sentinel(directions(540, 64))
    # scikit-learn expands squares, and is wrong about the distances of two such rows.
    expected = naive.mean_shift(X, bandwidth=0.9)
    found = MeanShift(bandwidth=0.9).fit(X)
    np.testing.assert_allclose(found.cluster_centers_, expected.centers, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(found.labels_, expected.labels)


def test_weights_count_as_scikit_learn_counts_repeated_rows():
    X = rounded(directions(300, 64), 1 / 256)
    weights = np.random.default_rng(3).integers(1, 4, len(X))
    found = MeanShift(bandwidth=0.95).fit(X, sample_weight=weights)
    many = np.repeat(X, weights, axis=0)
    theirs = sklearn.cluster.MeanShift(bandwidth=0.95).fit(many)
    np.testing.assert_allclose(found.cluster_centers_, theirs.cluster_centers_, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(np.repeat(found.labels_, weights), theirs.labels_)
