"""Models as Python carries them: pickled, dumped, copied, by other processes and threads."""

import copy
import json
import pickle

import joblib
import numpy as np
import pytest

from meanshift_fast import MeanShift
from meanshift_fast._index import equal_rows
from meanshift_fast.stream import fit_batches
from samples import blobs
from served import run_script

X = blobs(600, 2, spread=1.0)
NEW = blobs(300, 2, seed=1) + 0.1
WEIGHTS = np.arange(600) % 3
SETTINGS = {
    f"{kernel}, {assign}, {'each its own' if np.ndim(bandwidth) else 'one'}": {
        "kernel": kernel,
        "assign": assign,
        "bandwidth": bandwidth,
        "cluster_all": False,
    }
    for kernel in ("flat", "gaussian")
    for assign in ("nearest", "basin")
    for bandwidth in (0.7, [0.7, 1.0])
}


def fitted(name, **parameters):
    """A model of these settings; one fitted on cells for "stream"."""
    if name == "stream":
        return fit_batches([X, NEW], bandwidth=0.7, assign="basin", bin_seeding=True, **parameters)
    return MeanShift(**SETTINGS[name], **parameters).fit(X, sample_weight=WEIGHTS)


EVERY = pytest.mark.parametrize("name", [*SETTINGS, "stream"])

# The package is imported anew by what reads the models; Numba has the number of threads.
READER = """
import json, pickle, sys
from pathlib import Path
import joblib, numba, numpy as np
from skops import io as skops

forget_package()
folder = Path(sys.argv[1])
rows = np.load(folder / "rows.npy")
found = {"threads": numba.get_num_threads()}
for path in sorted(folder.glob("*.pickle")):
    written = json.loads(path.with_suffix(".json").read_text())
    models = {
        "pickle": pickle.loads(path.read_bytes()),
        "joblib": joblib.load(path.with_suffix(".joblib")),
        "skops": skops.load(path.with_suffix(".skops"), trusted=written["trusted"]),
    }
    for how, model in models.items():
        for n_jobs in (model.n_jobs, 3 - model.n_jobs):
            labels = model.set_params(n_jobs=n_jobs).predict(rows).tolist()
            if labels != written["labels"]:
                found[f"{path.stem}, {how}, n_jobs={n_jobs}"] = labels
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def skops():
    """Its import takes a second."""
    from skops import io

    return io


@pytest.fixture(scope="module")
def folder(tmp_path_factory, skops):
    """Each kind of model, fitted with one thread and with two, in three formats."""
    folder = tmp_path_factory.mktemp("models")
    rows = np.vstack([X, NEW])
    np.save(folder / "rows.npy", rows)
    for number, name in enumerate([*SETTINGS, "stream"]):
        for n_jobs in (1, 2):
            model = fitted(name, n_jobs=n_jobs)
            path = folder / f"{number}, {n_jobs}.pickle"
            path.write_bytes(pickle.dumps(model))
            joblib.dump(model, path.with_suffix(".joblib"))
            skops.dump(model, path.with_suffix(".skops"))
            trusted = skops.get_untrusted_types(file=path.with_suffix(".skops"))
            words = {"labels": model.predict(rows).tolist(), "trusted": trusted}
            path.with_suffix(".json").write_text(json.dumps(words))
    return folder


@pytest.mark.parametrize("threads", [1, 2])
def test_a_fresh_process_of_any_number_of_threads_predicts_the_same(threads, folder, executable):
    environment = {"NUMBA_NUM_THREADS": str(threads)}
    found = run_script(executable, READER, folder, environment=environment)
    assert json.loads(found) == {"threads": threads}


@EVERY
def test_copies_answer_alike_and_are_copies(name):
    model = fitted(name)
    rows = np.vstack([X, NEW])
    labels = model.predict(rows)
    same = copy.copy(model)
    np.testing.assert_array_equal(same.predict(rows), labels)
    deep = copy.deepcopy(model)
    np.testing.assert_array_equal(deep.predict(rows), labels)
    for attribute, array in vars(deep).items():
        if isinstance(array, np.ndarray):
            assert not np.shares_memory(array, vars(model)[attribute]), attribute


@EVERY
def test_a_fitted_model_holds_arrays_and_scalars_only(name):
    model = fitted(name)
    for attribute, value in vars(model).items():
        if isinstance(value, np.ndarray):
            assert value.dtype.kind in "bif" or value.dtype.names, attribute
        elif attribute != "bandwidth":  # as it was given: a list may be
            assert value is None or type(value) in (bool, int, float, str), attribute


@EVERY
def test_skops_need_trust_nothing_but_the_class(name, skops):
    model = fitted(name)
    written = skops.dumps(model)
    trusted = skops.get_untrusted_types(data=written)
    assert trusted == ["meanshift_fast.estimator.MeanShift"]
    rows = np.vstack([X, NEW])
    read = skops.loads(written, trusted=trusted)
    np.testing.assert_array_equal(read.predict(rows), model.predict(rows))
    assert vars(read).keys() == vars(copy.copy(model)).keys()


def test_a_model_that_was_read_takes_no_kernels_of_its_own():
    # Formats forget that an array is read-only, and a kernel compiles again for one that is not.
    model = fitted("flat, basin, one")
    model.predict(NEW)
    kernels = equal_rows._look_up, equal_rows._number_rows
    known = [len(kernel.signatures) for kernel in kernels]
    pickle.loads(pickle.dumps(model)).predict(NEW)
    assert [len(kernel.signatures) for kernel in kernels] == known


def told_size(n_rows, n_features, model, *, weighted):
    """The manual's formula, in bytes."""
    n_modes, n_rounds = len(model.cluster_centers_), len(model.history_)
    size = 8 * n_rows + (model.cluster_centers_.itemsize * n_features + 8) * n_modes + 40 * n_rounds
    if model.assign == "basin":
        size += 8 * (n_features + 1) * n_rows + 8 * n_rows * weighted
        size += (16 * n_features + 8) * n_modes
    if model.min_prominence:
        every = len(model.modes_)
        size += 8 * n_rows + (model.modes_.itemsize * n_features + 72) * every
        size += (16 * n_features + 8) * (every - n_modes) * (model.assign == "basin")
    return size


@pytest.mark.parametrize("kernel", ["flat", "gaussian"])
@pytest.mark.parametrize("assign", ["nearest", "basin"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_pickle_is_as_large_as_the_readme_says(kernel, assign, dtype, weighted):
    for table in (blobs(4000, 3), blobs(40_000, 2)):
        weights = 1.0 + np.arange(len(table)) % 2 if weighted else None
        model = MeanShift(bandwidth=0.8, kernel=kernel, assign=assign, coalesce=0.1)
        model.set_params(bin_seeding=assign == "nearest")
        model.fit(table.astype(dtype), sample_weight=weights)
        told = told_size(*table.shape, model, weighted=weighted)
        assert told <= len(pickle.dumps(model)) <= told + 3_000


@pytest.mark.parametrize("kernel", ["flat", "gaussian"])
@pytest.mark.parametrize("assign", ["nearest", "basin"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_pickle_with_prominence_is_as_large_as_the_manual_says(kernel, assign, dtype):
    table = blobs(2000, 3)
    bandwidth = 0.09 if kernel == "gaussian" else 0.2
    model = MeanShift(bandwidth=bandwidth, kernel=kernel, assign=assign, min_prominence=0.5)
    model.fit(table.astype(dtype))
    assert len(model.modes_) > 300 + len(model.cluster_centers_)
    told = told_size(*table.shape, model, weighted=False)
    assert told <= len(pickle.dumps(model)) <= told + 3_000
