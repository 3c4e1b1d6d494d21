"""One shift by matrix products: the balls of the definition, to the last row."""

import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest
import threadpoolctl

import naive
from meanshift_fast import MeanShift
from meanshift_fast._index import (
    choice,
    product_choice,
    product_levels,
    products,
    singles,
    thresholds,
)
from meanshift_fast._jit import blas
from meanshift_fast._jit.threads import borrowed_threads
from samples import blobs, digits, directions, scattered

UNWEIGHTED = np.empty(0)
UNWEIGHTED.flags.writeable = False


def product_index(points, radius, weights=UNWEIGHTED):
    points = np.ascontiguousarray(points, dtype=np.float64)
    points.flags.writeable = False
    return products.ProductIndex(product_levels.table_of(points, weights), radius)


def single(points):
    """Rounded to float32, as embeddings are."""
    return points.astype(np.float32).astype(np.float64)


CASES = {
    "unit rows": (directions(700, 96), 1.0),
    "unit rows in float32": (single(directions(700, 96)), 1.0),
    "all columns left over": (directions(200, 13), 0.9),
    "whole numbers on the sphere": (scattered(300, 40, side=2), 4.0),
    "whole numbers far away": (scattered(300, 40, side=2) + 1e6, 4.0),
    "digits": (digits(600), 25.0),
    "blobs far away": (blobs(700, 64) + 1e6, 5.0),
    "everything in the ball": (blobs(300, 48), 1e3),
    "equal rows": (np.full((50, 40), 3.7), 1.0),
    "a row far off": (np.vstack([blobs(300, 48), np.full((1, 48), 1e9)]), 4.0),
    "one row": (np.ones((1, 35)), 1.0),
}

JITLESS = ["all columns left over", "equal rows", "one row"]


def places_near(points):
    """Rows, places between rows, one outside, and one very far."""
    rows = points[:: max(1, len(points) // 25)]
    return np.vstack([rows, (rows[1:] + rows[:-1]) / 2.0, rows[:1] + 1e3, rows[:1] + 1e200])


def check_shift(points, bandwidth, positions, row_weights=UNWEIGHTED):
    weights = row_weights if row_weights.size else np.ones(len(points))
    moved = positions.copy()
    support, moves = product_index(points, bandwidth, row_weights).shift(moved)
    scale = np.abs(points).max()
    for i, position in enumerate(positions):
        mean, weight = naive.shift(points, weights, position, bandwidth)
        if weight == 0.0:
            mean = position
        assert support[i] == pytest.approx(weight, rel=1e-12)
        np.testing.assert_allclose(moved[i], mean, rtol=0, atol=1e-12 * max(scale, 1.0))
        move = np.linalg.norm(mean - position)
        assert moves[i] == pytest.approx(move, rel=1e-9, abs=1e-12 * scale)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.jitless] * (name in JITLESS)) for name in CASES],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_positions_and_rows_move_to_the_means_of_their_closed_balls(name):
    points, bandwidth = CASES[name]
    check_shift(points, bandwidth, places_near(points)[:-1])
    some = points if name in JITLESS else points[:120]
    check_shift(some, bandwidth, some)


@pytest.mark.parametrize("name", ["unit rows", "unit rows in float32", "digits"])
def test_weights_count_as_so_many_rows(name):
    points, bandwidth = CASES[name]
    weights = np.random.default_rng(0).uniform(0.1, 3.0, len(points))
    weights.flags.writeable = False
    check_shift(points, bandwidth, places_near(points)[:-1], weights)


@pytest.mark.parametrize("weight", [1e6, 1e12, 1e18])
def test_heavy_rows_outside_a_ball_leave_its_mean_exact(weight):
    rows = np.random.default_rng(0).normal(size=(700, 40))
    rows[:5] += 8.0
    weights = np.ones(700)
    weights[:5] = weight
    weights.flags.writeable = False
    positions = 0.1 * rows[5:105]
    support, _ = product_index(rows, 12.0, weights).shift(positions)
    assert (support == 695.0).all()
    np.testing.assert_allclose(positions - rows[5:].mean(axis=0), 0.0, atol=1e-13)


def test_a_position_beyond_float32_has_an_empty_ball():
    points, bandwidth = CASES["unit rows"]
    position = np.full((1, 96), 1e150)
    support, moves = product_index(points, bandwidth).shift(position)
    assert support[0] == moves[0] == 0.0
    assert (position == 1e150).all()


def test_repeated_positions_move_as_one():
    points, bandwidth = CASES["unit rows"]
    index = product_index(points, bandwidth)
    once = points[5:9] * 0.9
    many = np.tile(once, (7, 1))
    support, _ = index.shift(once)
    repeated, _ = index.shift(many)
    np.testing.assert_array_equal(many, np.tile(once, (7, 1)))
    np.testing.assert_array_equal(repeated, np.tile(support, 7))


def test_a_few_axes_settle_means_of_many_rows_and_change_nothing(monkeypatch):
    points = directions(1500, 200, noise=20.0)
    index = product_index(points, 1.31)
    positions = points.copy()
    index.shift(positions)
    with_heads, without = positions.copy(), positions.copy()
    levels = []

    def heads(*args, found=products.heads):
        levels.append(found(*args))
        return levels[-1]

    monkeypatch.setattr(products, "heads", heads)
    support, _ = index.shift(with_heads)
    assert levels[0]
    monkeypatch.setattr(products, "heads", lambda *args: [])
    plain, _ = index.shift(without)
    np.testing.assert_array_equal(with_heads, without)
    np.testing.assert_array_equal(support, plain)


def test_tiles_and_batches_change_nothing(monkeypatch):
    points = directions(900, 70)
    positions = np.vstack([points, points[:200] * 0.9])
    whole = product_index(points, 1.0).shift(positions.copy())
    rows = product_index(points, 1.0).shift(points.copy())
    monkeypatch.setattr(products, "TILE_ROWS", 48)
    monkeypatch.setattr(products, "MAX_BITS_BYTES", 1 << 12)
    for found, known in zip(product_index(points, 1.0).shift(positions.copy()), whole, strict=True):
        np.testing.assert_array_equal(found, known)
    monkeypatch.setattr(products, "MAX_BITS_BYTES", 1 << 25)
    for found, known in zip(product_index(points, 1.0).shift(points.copy()), rows, strict=True):
        np.testing.assert_array_equal(found, known)


# The bound.


def edge_rows(rng, scale, spread, offset, n_rows=1000, n_features=48):
    """Rows whose distances from a place are about 1, times a scale, far from the middle."""
    directions = rng.standard_normal((n_rows, n_features))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    place = offset * rng.standard_normal(n_features)
    ulps = rng.integers(-1, 2, (n_rows, 1)) * spread
    return scale * (place + directions * (1.0 + ulps)), scale * place[None]


@pytest.mark.parametrize(
    ("scale", "offset"),
    [
        (1.0, 0.0), (1.0, 3.0), (1e-3, 1e11), (1e-3, 1e5), (1e-40, 0.0), (1e-40, 50.0),
        (1e-95, 1.0), (1e30, 1.0), (1e80, 20.0), (2.0**-60, 1e3),
    ],
)  # fmt: skip
def test_no_row_next_to_the_sphere_is_on_the_wrong_side(scale, offset):
    rng = np.random.default_rng(int(abs(np.log2(scale))) + int(offset))
    rows, place = edge_rows(rng, scale, 2.0**-23, offset)
    rows = np.vstack([rows, -rows[:100]])  # so that the middle is not the place
    distances_sq = naive.distances_sq(rows, place[0])
    n_pairs = 0
    for radius in np.sqrt(rng.choice(distances_sq[:1000], 60)):
        for edge in (radius, np.nextafter(radius, 0.0), np.nextafter(radius, np.inf)):
            support, _ = product_index(rows, edge).shift(place.copy())
            assert support[0] == np.count_nonzero(distances_sq <= edge * edge)
            n_pairs += len(rows)
    assert n_pairs > 150_000


def test_a_million_pairs_at_an_ulp_of_float32_are_on_their_side():
    rng = np.random.default_rng(1)
    rows, _ = edge_rows(rng, 1.0, 2.0**-23, 0.0, n_features=128)
    places = rows * 2.0**-20 * rng.uniform(-1.0, 1.0, (1000, 1))
    index = product_index(rows, 1.0)
    support, _ = index.shift(places.copy())
    expected = [np.count_nonzero(naive.distances_sq(rows, place) <= 1.0) for place in places]
    np.testing.assert_array_equal(support, expected)
    assert 300 < np.mean(support) < 700


def test_products_are_no_farther_off_than_their_bound():
    rng = np.random.default_rng(0)
    for n_features in (33, 256, 1536):
        rows = 1e3 + rng.standard_normal((300, n_features)) * 10.0 ** rng.uniform(-6, 6, (300, 1))
        middle = rows.mean(axis=0)
        copy = singles.singles_of(rows, middle)
        away = (rows - middle).astype(np.longdouble)
        exact = away @ away.T
        found = (copy.values @ copy.values.T)[:300, :300].astype(np.longdouble) / copy.scale**2
        norms = copy.norms[:300]
        bound = singles.error_of(n_features) * np.outer(norms, norms)
        bound += n_features * singles.VANISHING / copy.scale**2
        assert (np.abs(found - exact) <= bound).all()


def test_sums_in_float64_are_no_farther_off_than_their_bound():
    rng = np.random.default_rng(0)
    for n_features in (33, 4096, 60_000):
        rows = rng.uniform(0.5, 1.5, (20, n_features))
        exact = (rows.astype(np.longdouble) ** 2).sum(axis=1)
        found = np.add.accumulate(rows * rows, axis=1)[:, -1]  # one after the other
        off = np.abs(found - exact) / exact
        assert (off <= singles.rounding_of(n_features)).all()
        assert singles.rounding_of(n_features) >= n_features * 2.0**-53


# Threads, libraries and memory.


def test_two_threads_give_the_same_bits_as_one():
    points = directions(1200, 130)
    index = product_index(points, 1.05)
    for start in (points, points * 0.8):
        results = []
        for n_jobs in (1, 2):
            with borrowed_threads(n_jobs):
                positions = start.copy()
                results.append((positions, *index.shift(positions)))
        for one, two in zip(*results, strict=True):
            np.testing.assert_array_equal(one, two)


FIT = """
import numpy as np, sys
sys.path.insert(0, {tests!r})
from samples import directions
from meanshift_fast import MeanShift
model = MeanShift(bandwidth=1.0).fit(directions(900, 150).astype(np.float32))
sys.stdout.buffer.write(model.cluster_centers_.tobytes() + model.labels_.tobytes())
sys.stdout.buffer.write(model.history_.tobytes())
"""


def test_two_kernels_of_a_blas_library_give_the_same_bits():
    code = FIT.format(tests=os.path.dirname(__file__))
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "OPENBLAS_CORETYPE": kind},
            capture_output=True, check=True,
        ).stdout
        for kind in ("Haswell", "Nehalem")
    }  # fmt: skip
    assert len(outputs) == 1
    assert len(outputs.pop()) > 1000


BLAS_OF_NUMPY = """
import numpy, threadpoolctl
for library in threadpoolctl.threadpool_info():
    if library["user_api"] == "blas":
        print(library["filepath"])
"""


@pytest.fixture(scope="module")
def blas_threads():
    """Read the threads of NumPy's own library, not of those that other packages load.

    A library on OpenMP, as that of mlpack, is limited in the calling thread alone.
    """
    run = subprocess.run([sys.executable, "-c", BLAS_OF_NUMPY], capture_output=True, check=True)
    paths = run.stdout.decode().splitlines()
    assert paths

    def read():
        found = threadpoolctl.threadpool_info()
        return [library["num_threads"] for library in found if library["filepath"] in paths]

    return read


def test_threads_of_blas_are_borrowed_and_given_back(blas_threads):
    before = blas_threads()
    inner = []

    def worker():
        return lambda task: inner.append(blas_threads())

    blas.run_tasks([1, 2, 3], worker, n_products=1)
    assert inner
    assert all(set(counts) == {1} for counts in inner)
    assert blas_threads() == before
    with pytest.raises(ZeroDivisionError):
        blas.run_tasks([1], lambda: lambda task: 1 // 0, n_products=1)
    assert blas_threads() == before


def test_ctrl_c_while_a_thread_starts_leaves_no_thread_behind(monkeypatch):
    start, started, running = threading.Thread.start, [], []

    def interrupted_start(thread):
        start(thread)
        started.append(thread)
        signal.raise_signal(signal.SIGINT)

    def worker():
        return lambda task: (running.append(task), time.sleep(0.1))

    monkeypatch.setattr(threading.Thread, "start", interrupted_start)
    with borrowed_threads(2), pytest.raises(KeyboardInterrupt):
        blas.run_tasks([1, 2, 3], worker, n_products=1)
    assert started
    assert not any(thread.is_alive() for thread in started)


def test_memory_besides_the_table_is_a_float32_copy_and_blocks():
    points = single(directions(6000, 64))
    points.flags.writeable = False
    index = product_index(points, 1.0)
    positions = points * 0.9
    index.shift(positions.copy())
    tracemalloc.start()
    table = product_levels.table_of(points, UNWEIGHTED)
    copy = tracemalloc.get_traced_memory()[0]
    products.ProductIndex(table, 1.0).shift(positions)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert copy < points.nbytes // 2 + 200_000
    assert peak - copy < 64e6


# The choice.


def chosen(points, radius, n_seeds=None):
    points = np.ascontiguousarray(points)
    points.flags.writeable = False
    n_seeds = len(points) if n_seeds is None else n_seeds
    return type(choice.build(points, radius=radius, n_seeds=n_seeds)).__name__


RNG = np.random.default_rng(0)
PROBED = {
    "unit rows": directions(2000, 64),
    "digits": digits(1700),
    "blobs": blobs(3000, 40),
    "columns in order": np.sort(RNG.standard_normal((2000, 40)), axis=0),
    "rows in turns": np.tile(5.0 * RNG.standard_normal((16, 40)), (150, 1))
    + RNG.standard_normal((2400, 40)),
    "a dense part": np.vstack([0.1 * RNG.standard_normal((1000, 40)), RNG.random((1000, 40))]),
}


@pytest.mark.parametrize("points", PROBED.values(), ids=PROBED)
def test_a_first_look_settles_only_what_all_rows_would(points):
    distances, _ = product_choice.probe(points, points)
    radii = np.quantile(distances, np.linspace(0.02, 0.98, 25))
    each = np.ones(len(distances))
    shares = np.array([product_choice.open_share(distances, radius * each) for radius in radii])
    settled = np.array([product_choice._is_settled_by_few(points, radius) for radius in radii])
    limit, error = thresholds.MIN_PRODUCT_OPEN_SHARE, product_choice.FIRST_LOOK_ERROR
    few, many = shares <= limit - 2 * error, shares > limit  # of unit rows and digits never few
    assert few.any() or many.any()
    assert settled[few].all()
    assert not settled[many].any()


def test_a_first_look_settles_the_probe_of_narrow_clusters(monkeypatch):
    monkeypatch.setattr(product_choice, "_is_in_range", lambda points: 1 / 0)
    assert not product_choice.is_worth(blobs(3000, 40, n_blobs=30, box=40.0), 4.0, 3000)
    assert not product_choice.is_worth(np.full((3000, 40), 1e200), 4.0, 3000)


def test_products_are_chosen_where_rows_fill_their_dimensions():
    full = directions(1500, 128)
    assert chosen(full, 1.0) == "ProductIndex"
    assert chosen(full, 1.0, n_seeds=20) != "ProductIndex"
    assert chosen(full[:, :20], 0.4) == "FlatIndex"
    assert chosen(blobs(1500, 64, n_blobs=30, box=40.0), 4.0) != "ProductIndex"


def test_a_sentinel_leaves_the_rows_to_the_tree():
    full = directions(1500, 64)
    full[::100, 3] = 1e20
    assert chosen(full.copy(), 1.0) != "ProductIndex"
    full[0, 5] = 1e200
    assert chosen(full, 1.0) != "ProductIndex"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_fit_is_the_same_by_products_and_by_trees(dtype, monkeypatch):
    table = directions(900, 100, k=12).astype(dtype)
    by_products = MeanShift(bandwidth=1.0).fit(table)
    monkeypatch.setattr(thresholds, "MIN_PRODUCT_OPEN_SHARE", 9.0)
    by_trees = MeanShift(bandwidth=1.0).fit(table)
    np.testing.assert_allclose(
        by_products.cluster_centers_, by_trees.cluster_centers_, rtol=0, atol=1e-6
    )
    np.testing.assert_array_equal(by_products.labels_, by_trees.labels_)
    assert by_products.n_iter_ == by_trees.n_iter_
