"""Labels: the nearest centre, the first of equals, for few centres and for thousands."""

import math

import numpy as np
import pytest

import naive
import samples
from indexes import built_tree
from meanshift_fast import MeanShift
from meanshift_fast._index import nearest as labels
from meanshift_fast._jit import chunks
from meanshift_fast._jit.threads import borrowed_threads


def model_with_centers(centers, **params):
    """A model whose centres are these: each is alone in its ball."""
    return MeanShift(bandwidth=1e-9, seeds=centers, **params).fit(centers)


@pytest.mark.parametrize("n_features", [1, 2, 3, 10, 40])
@pytest.mark.parametrize("n_centers", [1, 2, 15, 16, 17, 300, 4000])
def test_the_label_is_the_nearest_centre(n_centers, n_features):
    rng = np.random.default_rng(n_centers)
    model = model_with_centers(rng.uniform(-1, 1, (n_centers, n_features)))
    assert len(model.cluster_centers_) == n_centers
    rows = rng.uniform(-1.5, 1.5, (700, n_features))
    np.testing.assert_array_equal(
        model.predict(rows), naive.nearest_labels(rows, model.cluster_centers_, 1e-9)
    )


@pytest.mark.parametrize("shape", [(9,), (200,), (4, 4), (40, 30), (7, 8, 9)], ids=str)
def test_of_equally_near_centres_the_first_wins(shape):
    model = model_with_centers(2 * samples.lattice(*shape))
    # every lattice point between the centres is as near to 2, 4 or 8 of them
    rows = samples.lattice(*(2 * side for side in shape)) - 1
    expected = naive.nearest_labels(rows, model.cluster_centers_, 1e-9)
    np.testing.assert_array_equal(model.predict(rows), expected)


@pytest.mark.parametrize("shape", [(3, 3), (25, 25), (40, 50)], ids=str)
@pytest.mark.parametrize("cluster_all", [True, False])
def test_rows_beyond_the_bandwidth_are_orphans_if_so_asked(shape, cluster_all):
    centers = 4 * samples.lattice(*shape)
    rows = np.vstack([centers, samples.lattice(*(2 * side for side in shape)) * 2 + [0.0, 1.0]])
    model = MeanShift(bandwidth=1.0, seeds=centers, max_iter=0, cluster_all=cluster_all).fit(rows)
    expected = naive.nearest_labels(rows, model.cluster_centers_, 1.0, cluster_all)
    assert (-1 in expected) is not cluster_all
    np.testing.assert_array_equal(model.labels_, expected)
    np.testing.assert_array_equal(model.predict(rows), expected)


def test_many_rows_are_labelled_as_few_at_a_time():
    model = model_with_centers(samples.blobs(500, 2, spread=2.0))
    rows = samples.blobs(20_000, 2, spread=2.0, seed=1)
    piecewise = [model.predict(rows[i : i + 900]) for i in range(0, len(rows), 900)]
    np.testing.assert_array_equal(model.predict(rows), np.concatenate(piecewise))
    np.testing.assert_array_equal(
        model.predict(rows), naive.nearest_labels(rows, model.cluster_centers_, 1e-9)
    )


def test_labels_of_the_fit_and_of_predict_are_alike_over_many_centres():
    X = np.random.default_rng(0).uniform(0, 100, (9000, 2))
    model = MeanShift(bandwidth=1.5, bin_seeding=True).fit(X)
    assert len(model.cluster_centers_) > 1000
    expected = naive.nearest_labels(X, model.cluster_centers_, 1.5)
    np.testing.assert_array_equal(model.labels_, expected)
    np.testing.assert_array_equal(model.predict(X), expected)


WAYS = {"all": "label_all_by_all", "blocks": "label_all_by_blocks", "rows": "label_all_by_tree"}


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """Make labels take one of the ways without products, and fail where it took another."""
    taken = []

    def spied(name):
        kernel = getattr(labels, name)
        return lambda *args: (taken.append(name), kernel(*args))[1]

    for name in WAYS.values():
        monkeypatch.setattr(labels, name, spied(name))
    modes_met, blocks_opened = labels._modes_met, labels._blocks_opened
    met = {"all": 0.0, "blocks": 1.0, "rows": np.inf}[request.param]
    monkeypatch.setattr(labels, "MIN_PAIRS_FOR_TREES", 0 if request.param != "all" else np.inf)
    monkeypatch.setattr(labels, "_modes_met", lambda *args: min(modes_met(*args), 0.0) + met)
    monkeypatch.setattr(labels, "_blocks_opened", lambda *args: min(blocks_opened(*args), 0.0))
    monkeypatch.setattr(labels, "may_serve", lambda *args: False)
    yield request.param
    assert set(taken) == {WAYS[request.param]}


@pytest.mark.jitless
@pytest.mark.parametrize("limit", [None, 0.3])
@pytest.mark.parametrize("n_features", [1, 3])
def test_each_way_takes_the_nearest_mode(way, n_features, limit):
    rng = np.random.default_rng(n_features)
    rows = rng.uniform(-1, 1, (4100, n_features))
    modes = rng.uniform(-1, 1, (70, n_features))
    modes[3:] -= 0.4  # room for rows beyond the limit
    assert_labels_are_the_twins(rows, modes, limit)


@pytest.mark.parametrize("limit", [None, 2.0])
def test_each_way_takes_the_first_of_equals(way, limit):
    rows = samples.lattice(17, 18, 19)
    modes = np.random.default_rng(0).permutation(4 * samples.lattice(5, 5, 5) - 1)
    assert_labels_are_the_twins(rows, np.vstack([modes, modes[:30]]), limit)


@pytest.mark.parametrize("n_features", [2, 9, 40])
def test_each_way_takes_the_nearest_of_a_thousand(way, n_features):
    rows = samples.blobs(5000, n_features, n_blobs=9, spread=1.5)
    modes = np.random.default_rng(0).permutation(rows)[:1000]
    assert_labels_are_the_twins(rows, modes, None)


def test_each_way_takes_few_rows_at_a_time_where_they_meet_much(way, monkeypatch):
    sizes = []

    def told(*args, **kwargs):
        for start, stop in chunks.chunks(*args, **kwargs):
            sizes.append(stop - start)
            yield start, stop

    monkeypatch.setattr(labels, "chunks", told)
    monkeypatch.setattr(labels, "FIRST_CHUNK_VALUES", 1)
    monkeypatch.setattr(chunks, "CHUNK_SECONDS", 0.0)  # whatever a piece takes is too long
    rows = samples.blobs(5000, 3, n_blobs=9, spread=1.5)
    assert_labels_are_the_twins(rows, np.random.default_rng(0).permutation(rows)[:300], None)
    assert max(sizes) == 16  # rows, or block by block leaves


def test_each_way_is_bit_equal_for_one_thread_and_two(way):
    rows = samples.scattered(20_000, 2, side=300)
    rows.flags.writeable = False
    modes = samples.scattered(500, 2, side=300, seed=1)
    tree = built_tree(rows)
    found = []
    for n_threads in (1, 2):
        with borrowed_threads(n_threads):
            found.append(labels.nearest_labels(rows, modes, tree=tree))
    np.testing.assert_array_equal(found[0], found[1])


def test_rows_whose_squares_overflow_take_the_first_mode_or_none(way):
    rows = np.vstack([samples.blobs(4200, 2), np.full((30, 2), 1e200), np.full((1, 2), -1e200)])
    rows.flags.writeable = False
    modes = samples.blobs(70, 2, seed=1)
    tree = built_tree(rows)
    assert set(labels.nearest_labels(rows, modes, tree=tree)[4200:]) == {0}
    assert set(labels.nearest_labels(rows, modes, tree=tree, limit=1e9)[4200:]) == {-1}


def assert_labels_are_the_twins(rows, modes, limit):
    rows = np.ascontiguousarray(rows)
    rows.flags.writeable = False
    found = labels.nearest_labels(rows, modes, limit=limit, tree=built_tree(rows))
    expected = naive.nearest_labels(
        rows, modes, np.inf if limit is None else limit, cluster_all=limit is None
    )
    np.testing.assert_array_equal(found, expected, strict=True)
    if limit is not None:
        assert -1 in expected


def test_rows_far_from_all_centres_have_a_nearest_one():
    model = model_with_centers(np.array([[0.0, 0.0], [1.0, 0.0]]))
    assert model.cluster_centers_.tolist() == [[1.0, 0.0], [0.0, 0.0]]
    far = np.array([[1e9, 3.0], [-1e9, 3.0], [1e150, 0.0], [-1e150, 0.0], [1e300, 0.0]])
    found = model.predict(far)
    assert found[:2].tolist() == [0, 1]
    assert set(found) <= {0, 1}


@pytest.mark.jitless
@pytest.mark.parametrize("limit", [0.0, 5e-324, 1e-200, 0.1, 1 / 3, 2.0, 1e100, 1e200, np.inf])
def test_a_limit_has_a_square_that_decides_as_its_root_does(limit):
    square = labels.limit_square(limit)
    assert math.sqrt(square) <= limit
    assert square == math.inf or math.sqrt(math.nextafter(square, math.inf)) > limit


@pytest.mark.parametrize("n_features", [2, 30])
def test_new_rows_and_thousands_of_modes_need_no_tree_of_the_rows(n_features):
    modes = samples.blobs(2100, n_features, n_blobs=300, spread=0.05)
    rows = samples.blobs(4200, n_features, n_blobs=300, spread=0.05)
    rows.flags.writeable = False
    expected = naive.nearest_labels(rows, modes, np.inf)
    np.testing.assert_array_equal(labels.nearest_labels(rows, modes), expected)


def test_a_fit_labels_many_modes_by_the_tree_it_has(monkeypatch):
    taken = []
    by_blocks = labels.label_all_by_blocks
    monkeypatch.setattr(
        labels, "label_all_by_blocks", lambda *args: taken.append(args[0]) or by_blocks(*args)
    )
    rows = samples.blobs(9000, 2, n_blobs=1000, spread=0.01, box=100)
    model = MeanShift(bandwidth=0.5, bin_seeding=True).fit(rows)
    assert len(model.cluster_centers_) > 900
    assert len(taken) == 1
    np.testing.assert_array_equal(
        model.labels_, naive.nearest_labels(rows, model.cluster_centers_, 0.5)
    )


def test_the_ways_are_taken_where_they_are_fast(monkeypatch):
    taken = []
    for name in WAYS.values():
        monkeypatch.setattr(labels, name, lambda *args, name=name: taken.append(name))
    for n_features, n_modes in ((2, 20), (2, 2000), (30, 2000)):
        rows = samples.blobs(5000, n_features, n_blobs=1000, spread=0.01)
        rows.flags.writeable = False
        labels.nearest_labels(rows, rows[:n_modes], tree=built_tree(rows))
    assert taken == ["label_all_by_all", "label_all_by_blocks", "label_all_by_tree"]
