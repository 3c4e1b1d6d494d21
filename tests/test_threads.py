"""Threads change the time and nothing else, and are given back as they were found."""

import hashlib
from pathlib import Path

import joblib
import numba
import numpy as np
import pytest

import busy
import samples
from meanshift_fast import (
    MeanShift,
    bandwidth_curve,
    estimate_bandwidth,
    estimator,
    mean_shift,
    trace,
)
from served import run_script

MOST = numba.config.NUMBA_NUM_THREADS
EVERY_N_JOBS = [1, 2, None, -1, 1000, -1000]

# Enough rows for several tasks a thread, in few and in many dimensions, with heavy ties.
CASES = {
    "every row a seed": (samples.blobs(6000, 2), {"bandwidth": 0.5}),
    "bins": (samples.blobs(60_000, 2, n_blobs=9), {"bandwidth": 0.7, "bin_seeding": True}),
    "pixels": (samples.pixels(3), {"bandwidth": 25.0, "bin_seeding": True, "cluster_all": False}),
    "ties": (samples.scattered(5000, 3), {"bandwidth": 1.0}),
    "24-d": (samples.blobs(1500, 24), {"bandwidth": 3.0}),
    "estimated": (samples.blobs(5000, 2), {"bin_seeding": True}),
    "cells": (samples.blobs(270_000, 2), {"bandwidth": 0.4, "seeds": samples.blobs(90, 2)}),
    "float32": (samples.blobs(5000, 3).astype(np.float32), {"bandwidth": 0.6, "bin_seeding": True}),
}


def answer(X, params, n_jobs):
    """Everything a fit says, as bytes: -0.0 is not 0.0 here."""
    model = MeanShift(**params, n_jobs=n_jobs).fit(X)
    parts = ("cluster_centers_", "labels_", "n_iter_", "history_", "bandwidth_", "mode_weight_")
    return {part: np.asarray(getattr(model, part)).tobytes() for part in parts}


@pytest.mark.parametrize(("X", "params"), CASES.values(), ids=CASES)
def test_results_are_bit_equal_for_every_n_jobs_and_from_run_to_run(X, params):
    first = answer(X, params, n_jobs=1)
    for n_jobs in [1, 2, 2, None, -1]:
        assert answer(X, params, n_jobs) == first, n_jobs


def test_the_bandwidth_is_bit_equal_for_every_n_jobs():
    X = samples.blobs(5000, 3)
    first = estimate_bandwidth(X, n_jobs=1)
    for n_jobs in [1, 2, None, -1]:
        assert estimate_bandwidth(X, n_jobs=n_jobs) == first


DIGESTS = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
import numba, test_threads
assert numba.config.NUMBA_NUM_THREADS == 8
for name in ("every row a seed", "bins", "cells", "estimated"):
    for n_jobs in (1, 3, 8):
        parts = test_threads.answer(*test_threads.CASES[name], n_jobs)
        print(name, hashlib.sha256(b"".join(parts.values())).hexdigest(), sep=": ")
"""


def test_a_machine_of_eight_threads_gives_the_same_bits(executable):
    told = run_script(
        executable, DIGESTS, Path(__file__).parent, environment={"NUMBA_NUM_THREADS": "8"}
    ).splitlines()
    for name in ("every row a seed", "bins", "cells", "estimated"):
        digest = hashlib.sha256(b"".join(answer(*CASES[name], 1).values())).hexdigest()
        assert told[:3] == [f"{name}: {digest}"] * 3
        del told[:3]
    assert not told


def test_predict_does_not_depend_on_the_threads_either():
    X = samples.blobs(20_000, 2)
    labels = [
        MeanShift(bandwidth=0.7, bin_seeding=True, n_jobs=n_jobs).fit(X).predict(X)
        for n_jobs in (1, 2)
    ]
    np.testing.assert_array_equal(*labels)


@pytest.fixture(params=sorted({1, MOST}))
def threads_before(request):
    """Numba set by the caller to one thread, or to all."""
    found = numba.get_num_threads()
    numba.set_num_threads(request.param)
    yield request.param
    numba.set_num_threads(found)


@pytest.mark.parametrize("n_jobs", EVERY_N_JOBS)
def test_threads_are_given_back_after_success(n_jobs, threads_before):
    X = samples.blobs(600, 2)
    MeanShift(bandwidth=1.0, n_jobs=n_jobs).fit(X).predict(X)
    assert numba.get_num_threads() == threads_before
    mean_shift(X, bandwidth=1.0, n_jobs=n_jobs)
    assert numba.get_num_threads() == threads_before
    estimate_bandwidth(X, n_jobs=n_jobs)
    assert numba.get_num_threads() == threads_before


@pytest.mark.parametrize("n_jobs", EVERY_N_JOBS)
@pytest.mark.parametrize(
    "params",
    [{"seeds": [[-900.0, 0.0]]}, {"bin_seeding": True, "min_bin_freq": 10_000}],
    ids=["out of reach", "no bin"],
)
def test_threads_are_given_back_after_an_error(params, n_jobs, threads_before):
    with pytest.raises(ValueError, match="bandwidth"):
        MeanShift(bandwidth=1.0, n_jobs=n_jobs, **params).fit(samples.blobs(600, 2))
    assert numba.get_num_threads() == threads_before


@pytest.mark.parametrize("n_jobs", EVERY_N_JOBS)
@pytest.mark.parametrize("at", ["bandwidth", "climb", "labels"])
def test_threads_are_given_back_after_an_interruption(n_jobs, at, threads_before):
    def interrupt(done, total, stage):
        if stage == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MeanShift(n_jobs=n_jobs, progress=interrupt).fit(samples.blobs(600, 2))
    assert numba.get_num_threads() == threads_before


def threads_of_a_fit(n_jobs):
    """How many threads Numba was set to, whenever a fit said where it was."""
    seen = []
    MeanShift(n_jobs=n_jobs, progress=lambda *_: seen.append(numba.get_num_threads())).fit(
        samples.blobs(600, 2)
    )
    return set(seen)


@pytest.mark.parametrize(
    ("n_jobs", "expected"), [(1, 1), (MOST, MOST), (1000, MOST), (-1, MOST), (-1000, 1)]
)
def test_n_jobs_is_clamped_to_the_machine(n_jobs, expected, threads_before):
    assert threads_of_a_fit(n_jobs) == {expected}


def test_no_n_jobs_means_what_numba_is_set_to(threads_before):
    assert threads_of_a_fit(None) == {threads_before}


def test_small_fits_estimates_and_predictions_take_one_thread():
    X, seen = samples.blobs(500, 2), []
    report = lambda *_: seen.append(numba.get_num_threads())  # noqa: E731
    model = MeanShift(assign="basin", kernel="gaussian", progress=report).fit(X)
    model.predict(X + 0.01)
    model.score_samples(X)
    bandwidth_curve(X, progress=report)
    estimate_bandwidth(X, progress=report)
    assert set(seen) == {1}
    seen.clear()
    for seeds, rows in ((samples.blobs(4 * len(X), 2), X), (X[:2], samples.blobs(2000, 2))):
        model.set_params(bandwidth=1.0, seeds=seeds).fit(rows)
    rows = samples.blobs(60_000, 2)
    many = MeanShift(bandwidth=1.0, bin_seeding=True, assign="basin", progress=report).fit(rows)
    many.predict(X[:1] + 0.01)
    many.score_samples(X[:1])
    assert set(seen) == {MOST}


def test_n_jobs_is_kept_as_given():
    model = MeanShift(bandwidth=1.0, n_jobs=1000).fit(samples.blobs(30, 2))
    assert model.n_jobs == 1000
    assert model.get_params()["n_jobs"] == 1000


def test_a_story_leaves_the_threads_alone(threads_before):
    X = samples.blobs(600, 2)
    trace(X, X[:3], bandwidth=1.0)
    assert numba.get_num_threads() == threads_before


@pytest.fixture(scope="module")
def one_by_one():
    """What two fits find, one after the other."""
    return [busy.fit_and_count(seed) for seed in range(2)]


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_jobs_of_joblib_answer_right_and_share_the_processors(backend, one_by_one):
    expected = one_by_one
    assert expected[0][1] == MOST
    found = joblib.Parallel(n_jobs=2, backend=backend)(
        joblib.delayed(busy.fit_and_count)(seed) for seed in range(2)
    )
    for (centers, allowed, at_work), (alone, _, _) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(centers, alone)
        if backend == "loky":  # of each process; of one with two jobs it is the sum
            assert at_work <= allowed <= max(joblib.cpu_count() // 2, 1)
        else:
            assert at_work <= max(MOST, 2)


@pytest.mark.parametrize(
    ("rows", "params", "alone"),
    [
        (1_000, {}, True),
        (3_000, {}, False),
        (1_000, {"bin_seeding": False}, False),
        (1_000, {"kernel": "gaussian"}, False),
        (1_000, {"assign": "basin"}, False),
        (1_000, {"bandwidth": None}, False),
    ],
)
def test_a_tiny_table_is_fitted_from_bins_by_one_thread(rows, params, alone):
    """On busy processors two threads would wait a hundred times as long for each other."""
    seen, most = set(), numba.get_num_threads()
    settings = {"bandwidth": 1.0, "bin_seeding": True} | params
    MeanShift(**settings, progress=lambda *_: seen.add(numba.get_num_threads())).fit(
        np.random.default_rng(0).normal(size=(rows, 2))
    )
    assert seen == ({1} if alone else {most})
    assert numba.get_num_threads() == most


@pytest.mark.parametrize(("rows", "alone"), [(100, True), (50_000, False)])
def test_few_rows_are_labelled_by_one_thread(monkeypatch, rows, alone):
    seen, most, nearest_labels = set(), numba.get_num_threads(), estimator.nearest_labels
    model = MeanShift(bandwidth=1.0).fit(samples.blobs(100, 2))

    def labels(*args, **kwargs):
        seen.add(numba.get_num_threads())
        return nearest_labels(*args, **kwargs)

    monkeypatch.setattr(estimator, "nearest_labels", labels)
    model.predict(samples.blobs(rows, 2))
    assert seen == ({1} if alone else {most})
    assert numba.get_num_threads() == most
