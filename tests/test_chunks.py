"""No kernel runs for long: Ctrl-C is heard in every stage of a fit of minutes."""

import gc
import os
import signal
import sys
import threading
import time
from collections import Counter
from functools import cache, partial

import numba
import numpy as np
import pytest

import samples
from meanshift_fast import MeanShift
from meanshift_fast._cluster import ball_removal, bins, coalescing, modes
from meanshift_fast._index import (
    equal_rows,
    flat,
    gaussian,
    gaussian_products,
    kth_neighbors,
    newton,
    products,
    sigma_points,
    soft_cells,
    tree_order,
)
from meanshift_fast._index import moment_tree as tree
from meanshift_fast._index import nearest as labels
from meanshift_fast._input.scaling import readonly_table
from meanshift_fast._input.weights import UNWEIGHTED
from meanshift_fast._jit import blas, chunks
from meanshift_fast.stream import fit_batches


def test_chunks_cover_the_range_in_order_and_begin_at_multiples():
    for n_items in (0, 1, 63, 64, 65, 10_000):
        for first in (0, 1, 64, 100, 1 << 40):
            cuts = list(chunks.chunks(n_items, first=first, multiple=64))
            assert [i for start, stop in cuts for i in range(start, stop)] == list(range(n_items))
            assert all(start % 64 == 0 for start, _ in cuts)
            assert all(stop <= max(first // 64, 1) * 64 for _, stop in cuts[:1])


def test_chunks_take_a_quarter_of_a_second_once_an_item_is_timed(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(chunks, "perf_counter", lambda: clock[0])
    sizes = []
    for start, stop in chunks.chunks(1 << 20, first=128):
        sizes.append(stop - start)
        clock[0] += sizes[-1] * 2.0 ** (-17 if start < 1 << 19 else -10)
    assert sizes[:10] == [128 << growth for growth in range(8)] + [32_768] * 2
    n_long = sizes.count(32_768)  # the last of them is the first that takes longer
    assert n_long == 17
    assert sizes[8 + n_long :][:2] == [256, 256]


# Cut as small as can be, every stage gives the same answer, in many calls. Each call spreads over
# threads, and waits for them on a busy machine: row by row the bins took minutes there.

CUTS = {
    "bandwidth": (kth_neighbors, "search_all", {"FIRST_CHUNK_VALUES": 1}),
    "seeds": (bins, "_count_bins", {"FIRST_CHUNK_ROWS": 251}),
    "build": (tree, "_arrange", {"FIRST_CHUNK_VALUES": 1}),
    "build, heavy cells": (tree_order, "_split_heavy_cells", {"MAX_SPLIT_RANKS": 1}),
    "climb": (flat, "_shift_all", {"FIRST_CHUNK_VALUES": 1}),
    "climb among cells": (soft_cells, "_shift_all", {"FIRST_CHUNK_VALUES": 1}),
    "Gaussian": (gaussian, "_gaussian_shifts", {"FIRST_CHUNK_VALUES": 1}),
    "sigma points": (sigma_points, "_write_all", {"FIRST_CHUNK_VALUES": 1}),
    "polishing": (newton, "_polish_all", {}),
    "coalescing": (coalescing, "_link", {"FIRST_CHUNK_POSITIONS": 1}),
    "roots written": (coalescing, "_write_roots", {"FIRST_CHUNK_POSITIONS": 1}),
    "equal ends": (modes, "collapse", {"FIRST_CHUNK_ENDPOINTS": 1}),
    "few modes": (modes, "sweep", {"MAX_CALL_VISITS": 1}),
    "many modes": (ball_removal, "_sift", {"MAX_CALL_VISITS": 1}),
    "labels": (labels, "label_all_by_all", {"FIRST_CHUNK_VALUES": 1}),
    "labels, block by block": (labels, "label_all_by_blocks", {"FIRST_CHUNK_VALUES": 1}),
    "basins": (equal_rows, "_look_up", {"FIRST_CHUNK_ROWS": 1}),
}
X = samples.blobs(20_000, 2, n_blobs=9)
FITS = {
    "bins": {"bin_seeding": True},
    "rows": {"bandwidth": 0.7, "coalesce": 0.01, "assign": "basin"},
    "many modes": {"bandwidth": 1e-4},
    "Gaussian": {"bandwidth": 0.2, "kernel": "gaussian", "seeds": X[:1200]},
}


def answer(name):
    """Everything that one of the fits says, or a stream, or the search for the nearest rows."""
    if name == "stream":
        model = fit_batches([X], bandwidth=0.7, coalesce=0.01, n_fine=1)
        return [model.cluster_centers_.tobytes(), model.history_.tobytes()]
    if name == "nearest rows":
        table = readonly_table(X)
        rows = tree.build(table, UNWEIGHTED)
        return [labels.nearest_labels(table, table[:500], tree=rows).tobytes()]
    model = MeanShift(**FITS[name]).fit(X)
    parts = (model.cluster_centers_, model.labels_, model.mode_weight_, model.history_)
    return [np.asarray(part).tobytes() for part in (*parts, model.predict(X))]


def counted(monkeypatch):
    """Count the calls of all these kernels."""
    calls = Counter()
    for stage, (module, name, _) in CUTS.items():
        kernel = getattr(module, name)
        counting = partial(
            lambda kernel, stage, *args: (calls.update([stage]), kernel(*args))[1], kernel, stage
        )
        monkeypatch.setattr(module, name, counting)
    return calls


@pytest.fixture(scope="module")
def uncut():
    """Of each fit its answer, and how often it calls each kernel."""
    found = {}
    for name in [*FITS, "stream", "nearest rows"]:
        with pytest.MonkeyPatch.context() as patch:
            calls = counted(patch)
            found[name] = answer(name), calls
    return found


@pytest.mark.parametrize("stage", CUTS)
def test_a_stage_cut_small_gives_the_same_bits(stage, uncut, monkeypatch):
    calls = counted(monkeypatch)
    monkeypatch.setattr(chunks, "CHUNK_SECONDS", np.inf)
    monkeypatch.setattr(chunks, "MAX_CHUNK_GROWTH", 1.0)  # all chunks are as long as the first
    module, _, sizes = CUTS[stage]
    for name, size in sizes.items():
        monkeypatch.setattr(module, name, size)
    n_before = 0
    for name, (expected, calls_before) in uncut.items():
        if calls_before[stage]:  # the others do not come there
            assert answer(name) == expected, name
            n_before += calls_before[stage]
    assert 0 < n_before < calls[stage] - 3


# A real Ctrl-C in each of the longest stages, which would go on for seconds or for minutes.


@cache
def noise(n_samples, n_features):
    return np.random.default_rng(0).standard_normal((n_samples, n_features))


NOISE, NARROW, MANY = (120_000, 48), (60_000, 40), (3_000_000, 2)
LONG = {  # what is reported before the stage, the modules whose chunks it is, table and fit
    "bandwidth": ("bandwidth", {kth_neighbors, blas}, NOISE, {}),
    "build": ("tree", {tree}, MANY, {"bandwidth": 0.01}),
    "ascent": ("tree", {flat}, MANY, {"bandwidth": 0.5}),
    "ascent by products": ("tree", {products, blas}, NOISE, {"bandwidth": 9.0}),
    "Gaussian ascent": ("tree", {gaussian}, MANY, {"bandwidth": 0.5, "kernel": "gaussian"}),
    "Gaussian ascent by products": (
        "tree", {gaussian_products, blas}, NOISE, {"bandwidth": 9.0, "kernel": "gaussian"},
    ),
    "merge": (
        "modes", {modes}, MANY, {"bandwidth": 1e-5, "max_iter": 0, "seeds": 2_000_000},
    ),
    "labels": (
        "labels", {labels}, NARROW, {"bandwidth": 1e-3, "seeds": 30_000, "max_iter": 0},
    ),
    "labels by products": (
        "labels", {blas}, NOISE, {"bandwidth": 1e-3, "seeds": 30_000, "max_iter": 0},
    ),
}  # fmt: skip


@pytest.fixture
def no_collection():
    """No garbage is collected: an exception in Hypothesis's callback there would be lost."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(("trigger", "modules", "shape", "params"), LONG.values(), ids=LONG)
def test_ctrl_c_ends_a_stage_by_its_next_chunk_and_the_next_fit_works(
    trigger, modules, shape, params, monkeypatch
):
    table = noise(*shape)
    if "seeds" in params:
        params = params | {"seeds": table[: params["seeds"]]}
    heard, turns, running, pressed = [], [], threading.Event(), []
    files = {module.__file__ for module in modules}

    def clock():
        """Note where a chunk of the stage begins and where it ends, as both are timed."""
        if heard[-1:] == [trigger] and sys._getframe(2).f_code.co_filename in files:
            turns.append(trigger)
            running.set()
        return time.perf_counter()

    def press():
        running.wait()
        pressed.append((len(turns), time.process_time()))
        os.kill(os.getpid(), signal.SIGINT)

    few = params | {"seeds": table[:99]}  # as many as projections pay for
    MeanShift(**few).fit(table[:300]).predict(table[:9])  # nothing is left to compile
    threads = numba.get_num_threads()
    monkeypatch.setattr(chunks, "perf_counter", clock)
    presser = threading.Thread(target=press, daemon=True)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        MeanShift(progress=lambda done, total, stage: heard.append(stage), **params).fit(table)
    ((n_turns, when),) = pressed
    assert len(turns) <= n_turns + 2  # the chunk that ran ends, and one more at most
    # Two seconds of as many processors as there are threads, however busy they are.
    assert time.process_time() - when < 2 * threads
    assert heard[-1] == trigger
    assert numba.get_num_threads() == threads
    monkeypatch.undo()
    next_one = MeanShift().fit(samples.blobs(300, 2))
    assert len(next_one.predict(samples.blobs(300, 2))) == 300
