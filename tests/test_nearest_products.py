"""Labels by matrix products: the nearest of many modes in many columns, the first of equals."""

import numpy as np
import pytest

import naive
import samples
from meanshift_fast._index import nearest, nearest_products
from meanshift_fast._input.scaling import readonly_table
from meanshift_fast._jit.threads import borrowed_threads


@pytest.fixture
def taken(monkeypatch):
    """Let products label tables of any size; the list of those that they have labelled."""
    tables = []
    by_products = nearest.label_by_products
    for name in ("MIN_FEATURES", "MIN_MODES", "MIN_VALUES"):
        monkeypatch.setattr(nearest_products, name, 0)
    monkeypatch.setattr(nearest, "MAX_MEASURED_SHARE", np.inf)
    monkeypatch.setattr(
        nearest,
        "label_by_products",
        lambda rows, *args: tables.append(rows) or by_products(rows, *args),
    )
    return tables


def labels_of(rows, modes, limit=None):
    return nearest.nearest_labels(readonly_table(rows), modes, limit=limit)


def assert_labels_are_the_twins(rows, modes, limit=None):
    expected = naive.nearest_labels(
        rows, modes, np.inf if limit is None else limit, cluster_all=limit is None
    )
    np.testing.assert_array_equal(labels_of(rows, modes, limit), expected)
    return expected


@pytest.mark.parametrize("limit", [None, 4.5])
@pytest.mark.parametrize("n_features", [1, 40, 300])
@pytest.mark.parametrize("n_modes", [2, 16, 17, 400])
def test_products_find_the_nearest_mode(taken, n_modes, n_features, limit):
    rng = np.random.default_rng(n_modes)
    rows, modes = (rng.normal(size=(n, n_features)) for n in (600, n_modes))
    if limit:
        limit *= np.sqrt(n_features) / 4.0
    assert_labels_are_the_twins(rows, modes, limit)
    assert len(taken) == 1


@pytest.mark.parametrize("scale", [2.0**-500, 2.0**-100, 1.0, 2.0**100, 2.0**300])
@pytest.mark.parametrize("offset", [0.0, 2.0**20])
def test_of_equally_near_modes_products_take_the_first(taken, scale, offset):
    rows = (samples.lattice(17, 18, 19) + offset) * scale
    modes = np.random.default_rng(0).permutation(4 * samples.lattice(5, 5, 5) - 1.0)
    labels = labels_of(rows, (np.vstack([modes, modes[:30]]) + offset) * scale)
    expected = naive.nearest_labels(samples.lattice(17, 18, 19), modes, np.inf)
    np.testing.assert_array_equal(labels, expected)
    assert len(taken) == 1


@pytest.mark.parametrize("norm", [1.0, 1e8])
def test_rows_some_ulps_from_the_middle_of_two_modes_take_the_nearer(taken, norm):
    rng = np.random.default_rng(1)
    modes = norm + rng.normal(size=(2, 64))
    rows = np.repeat(modes.mean(axis=0)[None], 2000, axis=0)
    ulps = rng.integers(-40, 41, rows.shape) * (rng.random(rows.shape) < 0.05)
    rows += ulps * np.spacing(rows)
    expected = assert_labels_are_the_twins(rows, modes)
    assert set(expected) == {0, 1}
    assert len(taken) == 1


@pytest.mark.parametrize("far", ["row", "mode", "column"])
def test_values_far_from_all_others_change_no_label(taken, far):
    rng = np.random.default_rng(2)
    rows, modes = rng.normal(size=(500, 48)), rng.normal(size=(90, 48))
    if far == "row":
        rows[::7] *= 1e20
    elif far == "mode":
        modes[5] = 1e20
    else:
        rows[::3, 4] = modes[::2, 4] = 1e20
    assert_labels_are_the_twins(rows, modes)
    assert len(taken) == 1


def test_products_are_not_taken_where_they_have_no_digits(taken, monkeypatch):
    monkeypatch.setattr(nearest, "MAX_MEASURED_SHARE", 0.05)
    rng = np.random.default_rng(3)
    rows, modes = rng.normal(size=(500, 48)), rng.normal(size=(90, 48))
    modes[5] = 1e20  # the middle is far from all rows
    assert_labels_are_the_twins(rows, modes)
    assert not taken
    assert_labels_are_the_twins(rows, modes[6:])
    assert len(taken) == 1


def test_coordinates_whose_squares_overflow_are_left_to_other_ways(taken):
    rows, modes = np.full((40, 48), 1e200), np.vstack([np.zeros(48), np.full(48, 1e199)])
    assert labels_of(rows, modes).tolist() == [0] * 40
    assert not taken


def test_products_of_one_thread_and_two_label_alike(taken):
    rng = np.random.default_rng(4)
    rows, modes = rng.normal(size=(5000, 33)), rng.normal(size=(300, 33))
    found = []
    for n_threads in (1, 2):
        with borrowed_threads(n_threads):
            found.append(labels_of(rows, modes))
    np.testing.assert_array_equal(found[0], found[1])
    assert len(taken) == 2


def test_many_modes_in_many_columns_are_taken_by_products(monkeypatch):
    taken = []
    monkeypatch.setattr(nearest, "label_by_products", lambda *args: taken.append(args))
    rng = np.random.default_rng(5)
    modes = rng.normal(size=(600, 64))
    for n_rows in (100, 4000):
        labels_of(rng.normal(size=(n_rows, 64)), modes)
    assert len(taken) == 1
