"""Dask: the same centres as one machine, whatever the chunks, the scheduler and the workers do."""

import os
import signal

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster, wait
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score

from meanshift_fast import MeanShift
from meanshift_fast.dask import MeanShift as DaskMeanShift
from samples import blobs

X = blobs(30_000, 2, n_blobs=6, spread=1.0, box=25.0)
SETTINGS = {"bandwidth": 2.0, "bin_seeding": True}
ONE_MACHINE = MeanShift(**SETTINGS).fit(X)


@pytest.fixture(scope="module")
def client():
    """Two worker processes, of one thread each."""
    with (
        dask.config.set({"distributed.worker.daemon": False}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster) as connected,
    ):
        yield connected


def check(model, labels):
    assert len(model.cluster_centers_) == len(ONE_MACHINE.cluster_centers_)
    away = np.linalg.norm(model.cluster_centers_ - ONE_MACHINE.cluster_centers_, axis=1)
    assert away.max() <= 0.05 * 2.0
    assert adjusted_rand_score(ONE_MACHINE.labels_, labels) >= 0.998


def test_two_workers_find_what_one_machine_finds(client):
    model = DaskMeanShift(**SETTINGS).fit(da.from_array(X, chunks=(4000, 1)))
    assert isinstance(model.labels_, da.Array)
    check(model, model.labels_.compute())


def test_workers_use_one_thread_each_unless_told(client):
    model = DaskMeanShift(**SETTINGS).fit(da.from_array(X, chunks=10_000))
    assert model._plain().n_jobs == 1
    assert DaskMeanShift(**SETTINGS, n_jobs=2).fit(da.from_array(X[:5000]))._plain().n_jobs == 2


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


def test_the_answer_does_not_depend_on_the_chunks():
    with dask.config.set(scheduler="threads"):
        models = [
            DaskMeanShift(**SETTINGS).fit(da.from_array(X, chunks=size))
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
def test_a_dataframe_keeps_its_divisions_and_waits_until_it_is_asked(assign):
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
    with pytest.raises(TypeError, match="Dask"):
        DaskMeanShift(bandwidth=2.0).fit(X)


def test_it_is_an_estimator_like_any_other():
    model = DaskMeanShift(bandwidth=3.0, resolution=0.25, kernel="gaussian")
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(resolution=0.5).resolution == 0.5
    assert "accuracy" in model.get_params()
