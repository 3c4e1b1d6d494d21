"""Dask: the same centres as one machine, whatever the chunks, the scheduler and the workers do."""

import importlib
import multiprocessing
import os
import signal
import sys
from functools import cache, partial
from multiprocessing import forkserver

import dask
import dask.array as da
import dask.dataframe as dd
import numba
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster, wait
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score

import busy
from meanshift_fast import MeanShift
from meanshift_fast.dask import MeanShift as DaskMeanShift
from meanshift_fast.models import load_model, save_model
from samples import blobs

# Dask 2025.5 warns where one process computes while a cluster, the fixture's, is up.
pytestmark = pytest.mark.filterwarnings("ignore:Running on a single-machine:UserWarning")

X = blobs(30_000, 2, n_blobs=6, spread=1.0, box=25.0)
MOST = numba.config.NUMBA_NUM_THREADS
SETTINGS = {"bandwidth": 2.0, "bin_seeding": True}


@cache
def one_machine():
    """The model of all rows; not fitted at import, because workers import this file too."""
    return MeanShift(**SETTINGS).fit(X)


@pytest.fixture(scope="module")
def client():
    """Two worker processes, of one thread each."""
    # Forks of a process that has imported what each would import for five seconds.
    multiprocessing.set_forkserver_preload(
        ["distributed", "sklearn.metrics", "meanshift_fast.dask"]
    )
    forkserver.ensure_running()  # before Dask has it import less
    with (
        dask.config.set(
            {
                "distributed.worker.multiprocessing-method": "forkserver",
                "distributed.worker.daemon": False,
                "distributed.comm.timeouts.connect": "600s",
            }
        ),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as connected,
    ):
        yield connected


def check(model, labels):
    whole = one_machine()
    assert len(model.cluster_centers_) == len(whole.cluster_centers_)
    away = np.linalg.norm(model.cluster_centers_ - whole.cluster_centers_, axis=1)
    assert away.max() <= 0.05 * 2.0
    assert adjusted_rand_score(whole.labels_, labels) >= 0.998


def test_two_workers_find_what_one_machine_finds(client):
    model = DaskMeanShift(**SETTINGS).fit(da.from_array(X, chunks=(4000, 1)))
    assert isinstance(model.labels_, da.Array)
    check(model, model.labels_.compute())


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_workers_use_one_thread_each_unless_given(client, n_jobs):
    model = DaskMeanShift(**SETTINGS, n_jobs=n_jobs).fit(da.from_array(X, chunks=10_000))
    labels = model.predict(da.from_array(np.tile(X, (20, 1)), chunks=(300_000, 2)))
    np.testing.assert_array_equal(labels.compute()[: len(X)], model.labels_.compute())

    def count(plain, block):
        with busy.threads_allowed() as allowed:
            plain.predict(block)
        return allowed, busy.threads_at_work(partial(plain.predict, block)), os.getpid()

    there = [
        client.submit(count, model._plain(), np.tile(X, (10, 1)), workers=[worker], pure=False)
        for worker in client.scheduler_info()["workers"]
    ]
    allowed, at_work, processes = zip(*client.gather(there), strict=True)
    assert len({*processes, os.getpid()}) == 3
    expected = 1 if n_jobs is None else min(n_jobs, MOST)
    assert set().union(*allowed) == {expected}
    assert max(at_work) <= expected


def _die_once(block, flag, parent):
    if os.getpid() != parent and not os.path.exists(flag):
        open(flag, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return block


def test_a_worker_killed_in_mid_fit_changes_nothing(client, tmp_path):
    flag = str(tmp_path / "died")
    table = da.from_array(X, chunks=(3000, 2)).map_blocks(
        _die_once, flag, os.getpid(), dtype=X.dtype
    )
    model = DaskMeanShift(**SETTINGS).fit(table)
    assert os.path.exists(flag)
    check(model, model.labels_.compute())
    wait(client.submit(int, 1))


@pytest.mark.parametrize("scheduler", ["threads", "sync"])
def test_the_schedulers_of_one_process_do_as_well(scheduler):
    with dask.config.set(scheduler=scheduler):
        model = DaskMeanShift(**SETTINGS).fit(da.from_array(X, chunks=7000))
        check(model, model.labels_.compute())


@pytest.mark.parametrize("n_fine", [1, 1 << 19])
def test_the_answer_does_not_depend_on_the_chunks(n_fine):
    with dask.config.set(scheduler="threads"):
        models = [
            DaskMeanShift(**SETTINGS, n_fine=n_fine).fit(da.from_array(X, chunks=size))
            for size in (30_000, 6000, 1234)
        ]
        for model in models[1:]:
            np.testing.assert_allclose(
                model.cluster_centers_, models[0].cluster_centers_, rtol=1e-10
            )
            np.testing.assert_array_equal(model.labels_.compute(), models[0].labels_.compute())


def test_chunks_of_unknown_sizes_will_do():
    with dask.config.set(scheduler="threads"):
        table = da.from_array(np.vstack([X, X[:500] + 1e6]), chunks=5000)
        table = table[table[:, 0] < 1e5]
        assert np.isnan(table.shape[0])
        model = DaskMeanShift(**SETTINGS).fit(table)
        check(model, model.labels_.compute())
        estimated = DaskMeanShift(bin_seeding=True).fit(table)
        assert estimated.bandwidth_ == pytest.approx(
            MeanShift(bin_seeding=True).fit(X).bandwidth_, rel=0.02
        )


@pytest.mark.parametrize("assign", ["nearest", "basin"])
def test_a_dataframe_keeps_its_divisions_and_waits_until_it_is_computed(assign):
    asked = []

    def noted(part):
        asked.append(len(part))
        return part

    with dask.config.set(scheduler="sync"):
        frame = dd.from_pandas(pd.DataFrame(X, columns=["a", "b"]), npartitions=4)
        model = DaskMeanShift(**SETTINGS, assign=assign).fit(frame)
        later = frame.map_partitions(noted, meta=frame._meta)
        labels = model.predict(later)
        assert asked == []
        assert (labels.name, labels.dtype) == ("label", np.int64)
        assert labels.divisions == frame.divisions
        np.testing.assert_array_equal(labels.compute(), model.labels_.compute())
        assert sum(asked) == len(X)
        assert list(model.feature_names_in_) == ["a", "b"]
        whole = MeanShift(**SETTINGS, assign=assign).fit(X)
        assert adjusted_rand_score(whole.labels_, labels.compute()) >= 0.998


def test_weights_come_as_a_column_or_beside():
    weights = np.random.default_rng(0).uniform(0.0, 3.0, len(X))
    whole = MeanShift(**SETTINGS).fit(X, sample_weight=weights)
    with dask.config.set(scheduler="threads"):
        frame = pd.DataFrame(X, columns=["a", "b"]).assign(w=weights)
        of_column = DaskMeanShift(**SETTINGS).fit(
            dd.from_pandas(frame, npartitions=3), sample_weight="w"
        )
        beside = DaskMeanShift(**SETTINGS).fit(
            da.from_array(X, chunks=9000), sample_weight=da.from_array(weights, chunks=9000)
        )
    for model in (of_column, beside):
        assert model.n_features_in_ == 2
        away = np.linalg.norm(model.cluster_centers_ - whole.cluster_centers_, axis=1)
        assert away.max() <= 0.05 * 2.0


def test_bad_partitions_are_named():
    table = X[:300].copy()
    table[250, 1] = np.nan
    with dask.config.set(scheduler="sync"):
        with pytest.raises(ValueError, match="partition 2 must be finite, got nan at row 50"):
            DaskMeanShift(bandwidth=2.0).fit(da.from_array(table, chunks=100))
        with pytest.raises(ValueError, match="at least one row"):
            DaskMeanShift(bandwidth=2.0).fit(da.from_array(X[:0], chunks=10))
    with pytest.raises(TypeError, match="must be a dask array or dataframe, got ndarray"):
        DaskMeanShift(bandwidth=2.0).fit(X)


def test_it_is_an_estimator_like_any_other():
    model = DaskMeanShift(bandwidth=3.0, resolution=0.25, kernel="gaussian")
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(resolution=0.5).resolution == 0.5
    assert "accuracy" in model.get_params()


def test_an_array_waits_until_it_is_computed():
    asked = []

    def noted(block):
        asked.append(len(block))
        return block

    with dask.config.set(scheduler="sync"):
        model = DaskMeanShift(**SETTINGS, assign="basin", coalesce=0.01).fit(
            da.from_array(X, chunks=9000)
        )
        later = da.from_array(X, chunks=(7000, 1)).map_blocks(noted, meta=X[:0])
        labels = model.predict(later)
        assert asked == []
        assert (labels.dtype, labels.chunks) == (np.int64, ((7000,) * 4 + (2000,),))
        np.testing.assert_array_equal(labels.compute(), model.labels_.compute())
        assert sum(asked) == 2 * len(X)  # each column's blocks by themselves
        np.testing.assert_array_equal(model.predict(X[:50]), labels[:50].compute())


def test_the_estimate_does_not_depend_on_the_chunks():
    """40,000 rows are more than the sample has; the weights are cut anew."""
    table, weights = blobs(40_000, 1), np.random.default_rng(0).pareto(2.0, 40_000)
    with dask.config.set(scheduler="threads"):
        widths = [
            DaskMeanShift(bin_seeding=True, max_iter=0)
            .fit(da.from_array(table, chunks=size), sample_weight=weights)
            .bandwidth_
            for size in (40_000, 9999)
        ]
    assert widths[1] == widths[0]


def test_a_series_of_weights_is_cut_as_the_frame_is():
    frame = pd.DataFrame(X[:300], columns=["a", "b"]).assign(w=1.0)
    with dask.config.set(scheduler="sync"):
        cut = dd.from_pandas(frame, npartitions=3)
        model = DaskMeanShift(bandwidth=3.0).fit(cut[["a", "b"]], sample_weight=cut["w"])
        of_column = DaskMeanShift(bandwidth=3.0).fit(cut, sample_weight="w")
        np.testing.assert_array_equal(model.cluster_centers_, of_column.cluster_centers_)
        np.testing.assert_array_equal(of_column.predict(cut), of_column.labels_)
        other = dd.from_pandas(frame["w"], npartitions=2)
        with pytest.raises(ValueError, match="sample_weight must have the divisions of X"):
            DaskMeanShift(bandwidth=3.0).fit(cut[["a", "b"]], sample_weight=other)
        with pytest.raises(ValueError, match=r"sample_weight must name a column.*'v'"):
            DaskMeanShift(bandwidth=3.0).fit(cut, sample_weight="v")
        with pytest.raises(ValueError, match=r"(?s)feature names.*w"):
            model.predict(cut)


def test_weights_of_one_column_of_parquet_files_are_cut_as_the_rows_are(tmp_path):
    # Dask reads several files as one partition where few of their columns are used.
    for start in range(0, 300, 30):
        rows = pd.DataFrame(X[start : start + 30], columns=["a", "b"]).assign(w=1.0 + start)
        rows.assign(other=0.0, more=0.0).to_parquet(tmp_path / f"{start:03}.parquet")
    with dask.config.set(scheduler="sync"):
        frame = dd.read_parquet(tmp_path)
        assert len(frame["w"].to_delayed()) < len(frame["w"].to_delayed(optimize_graph=False)) == 10
        model = DaskMeanShift(bandwidth=3.0).fit(frame[["a", "b"]], sample_weight=frame["w"])
        of_column = DaskMeanShift(bandwidth=3.0).fit(frame[["a", "b", "w"]], sample_weight="w")
        np.testing.assert_allclose(model.cluster_centers_, of_column.cluster_centers_)
        np.testing.assert_array_equal(model.labels_, of_column.labels_)


@pytest.mark.parametrize(
    ("weights", "shown"),
    [
        (np.ones(299), r"shape \(300,\).*got shape \(299,\)"),
        (da.ones((300, 1), chunks=100), "one-dimensional"),
        (da.ones(300, chunks=100) * -1.0, r"partition \d.*got -1.0 at row 0"),
        (da.zeros(300, chunks=100), "positive for at least one row"),
    ],
)
def test_bad_weights_are_named(weights, shown):
    with dask.config.set(scheduler="sync"), pytest.raises(ValueError, match=shown):
        DaskMeanShift(bandwidth=2.0).fit(da.from_array(X[:300], chunks=90), sample_weight=weights)


def test_unknown_chunks_take_weights_that_are_cut_alike():
    table = da.from_array(X[:300], chunks=100)
    table = table[table[:, 0] > -1e9]
    with dask.config.set(scheduler="sync"):
        model = DaskMeanShift(bandwidth=3.0)
        model.fit(table, sample_weight=da.ones(300, chunks=100))
        with pytest.raises(ValueError, match="got ndarray; make it a column of X"):
            model.fit(table, sample_weight=np.ones(300))
        with pytest.raises(ValueError, match="cut as X is, got 2 partitions where X has 3"):
            model.fit(table, sample_weight=da.ones(300, chunks=150))


def test_what_cannot_be_labelled_is_refused_at_once():
    table = da.from_array(X[:300], chunks=100)
    model = DaskMeanShift(bandwidth=3.0)
    with pytest.raises(NotFittedError):
        model.predict(table)
    with dask.config.set(scheduler="sync"):
        model.fit(table)
    with pytest.raises(ValueError, match="X has 1 features, but MeanShift is expecting 2"):
        model.predict(table[:, :1])
    with pytest.raises(ValueError, match=r"must be a table.*got 1 dim"):
        model.predict(table[:, 0])


def test_an_array_for_a_model_of_names_warns_once_as_in_scikit_learn():
    frame = pd.DataFrame(X[:300], columns=["a", "b"])
    with dask.config.set(scheduler="sync"):
        model = DaskMeanShift(bandwidth=3.0).fit(dd.from_pandas(frame, npartitions=3))
        with pytest.warns(UserWarning, match="X does not have valid feature names") as caught:
            labels = model.predict(da.from_array(X[:300], chunks=100)).compute()
        assert len(caught) == 1
        np.testing.assert_array_equal(labels, model.labels_.compute())


def test_a_fit_to_other_columns_forgets_the_names_of_the_first():
    frame = dd.from_pandas(pd.DataFrame(X[:300], columns=["a", "b"]), npartitions=2)
    wider = da.from_array(np.column_stack([X[:300], X[:300, :1]]), chunks=100)
    with dask.config.set(scheduler="sync"):
        model = DaskMeanShift(bandwidth=3.0).fit(frame)
        assert model.feature_names_in_.tolist() == ["a", "b"]
        model.fit(wider)
        assert model.n_features_in_ == 3
        assert not hasattr(model, "feature_names_in_")
        assert model.fit(frame[["b", "a"]]).feature_names_in_.tolist() == ["b", "a"]


@pytest.mark.parametrize(
    ("table", "bandwidth"),
    [
        (X[:300], 3.0),  # no collection
        (da.from_array(np.full((9, 2), np.nan), chunks=3), 3.0),
        (da.from_array(X[:300], chunks=100), [1.0, 1.0, 1.0]),
        (da.from_array(X[:0], chunks=1), 3.0),
        (da.from_array(np.zeros((9, 2)), chunks=3), "scott"),
    ],
    ids=["no collection", "not finite", "another bandwidth", "no rows", "equal rows"],
)
@pytest.mark.parametrize("assign", ["nearest", "basin"])
def test_a_fit_that_fails_leaves_no_model(table, bandwidth, assign):
    with dask.config.set(scheduler="sync"):
        model = DaskMeanShift(bandwidth=3.0, assign=assign).fit(da.from_array(X[:90], chunks=30))
        with pytest.raises((TypeError, ValueError)):
            model.set_params(bandwidth=bandwidth).fit(table)
        with pytest.raises(NotFittedError):
            model.predict(X[:9])


@pytest.mark.parametrize("assign", ["nearest", "basin"])
def test_a_saved_model_is_loaded_without_dask(assign, tmp_path):
    frame = pd.DataFrame(X[:900], columns=["a", "b"])
    with dask.config.set(scheduler="sync"):
        model = DaskMeanShift(bandwidth=3.0, assign=assign, n_fine=99, n_jobs=1)
        labels = model.fit(dd.from_pandas(frame, npartitions=3)).labels_.compute()
    save_model(model, tmp_path / "a.model")
    loaded = load_model(tmp_path / "a.model")
    assert type(loaded) is MeanShift
    assert (loaded.bandwidth, loaded.n_jobs, loaded.assign) == (3.0, 1, assign)
    np.testing.assert_array_equal(loaded.predict(frame), labels)


def test_partitions_may_be_empty():
    frame = pd.DataFrame(X[:900], columns=["a", "b"]).assign(part=np.arange(900) // 300)
    cut = dd.from_pandas(frame, npartitions=3)
    with dask.config.set(scheduler="sync"):
        labels = DaskMeanShift(**SETTINGS).fit(cut[cut["part"] != 1][["a", "b"]]).labels_.compute()
    assert len(labels) == 600
    rest = np.vstack([X[:300], X[600:900]])
    np.testing.assert_array_equal(labels, MeanShift(**SETTINGS).fit(rest).labels_)


def test_without_dask_an_error_names_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "meanshift_fast.dask")
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(ImportError, match=r'pip install "meanshift_fast\[dask\]"'):
        importlib.import_module("meanshift_fast.dask")


def test_a_frame_in_memory_is_labelled_with_the_column_of_weights_or_without():
    frame = pd.DataFrame(X[:900], columns=["a", "b"]).assign(w=1.0 + np.arange(900) % 3)
    with dask.config.set(scheduler="sync"):
        cut = dd.from_pandas(frame, npartitions=3)
        model = DaskMeanShift(**SETTINGS).fit(cut, sample_weight="w")
        expected = model.labels_.compute()
    for table in (frame, frame[["a", "b"]]):
        np.testing.assert_array_equal(model.predict(table), expected)


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_centres_set_by_hand_label_a_frame():
    model = DaskMeanShift(bandwidth=3.0)
    model.cluster_centers_ = np.array([[0.0, 0.0], [5.0, 5.0]])
    frame = pd.DataFrame({"a": [0.1, 4.0], "b": [0.0, 4.5]})
    with dask.config.set(scheduler="sync"):
        assert model.predict(dd.from_pandas(frame, npartitions=2)).compute().tolist() == [0, 1]
