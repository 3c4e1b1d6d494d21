"""What the soak does: draws a table and parameters, does something with them, verifies the answer.

Each deed takes one case and raises AssertionError where the answer is wrong. Small tables are held
to the slow twins of tests/naive.py, others to what holds of any fit (tests/hostile.py), and all
ways to one answer (threads, pickles, batches, Dask) to each other, bit by bit.
"""

import copy
import io
import pickle
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import dask
import dask.array as da
import joblib
import numpy as np
import numpy.typing as npt

from meanshift_fast import (
    MeanShift,
    bandwidth_curve,
    condense,
    estimate_bandwidth,
    get_bin_seeds,
    mean_shift,
    trace,
)
from meanshift_fast._cli import main as cli
from meanshift_fast.dask import MeanShift as DaskMeanShift
from meanshift_fast.models import load_model, save_model
from meanshift_fast.stream import fit_batches

sys.path.append(str(Path(__file__).parents[1] / "tests"))
naive, hostile = import_module("naive"), import_module("hostile")

MOST_FOR_A_TWIN = 200  # rows: a twin of so many takes some 50 ms
MOST_GAUSSIAN = 4000


class Case(NamedTuple):
    """A table, its weights and the parameters of a fit.

    Attributes
    ----------
    X : array of shape (n_samples, n_features)
        In one of four number formats.
    weights : float64 array of shape (n_samples,) or None
        Whole numbers, some of them 0; or, where not ``plain``, from 1e-12 to 1e12.
    params : dict
        For `MeanShift`.
    plain : bool
        Whether the slow twin has all the parameters and sums to the same answer.
    """

    X: npt.NDArray[Any]
    weights: npt.NDArray[np.float64] | None
    params: dict[str, Any]
    plain: bool

    def __str__(self) -> str:
        """Tell what a person needs to see what went wrong."""
        told = {k: v if np.ndim(v) < 2 else f"X[:{len(v)}]" for k, v in self.params.items()}
        weights = "no weights" if self.weights is None else "weights"
        return f"{self.X.shape[0]} x {self.X.shape[1]} {self.X.dtype}, {weights}, {told}"


def drawn(rng: np.random.Generator) -> Case:
    """Draw a case; four of five are small enough for a twin."""
    small = rng.random() < 0.8
    n_samples = int(10.0 ** (rng.uniform(0.0, 2.3) if small else rng.uniform(2.4, 5.0)))
    n_features = int(rng.choice([1, 2, 2, 3, 4, 6, 12, 40] if n_samples < 3000 else [1, 2, 3, 4]))
    dtype = rng.choice(["float64", "float64", "float32", "int64", "uint8"])
    X = hostile.shaped(rng.choice(hostile.SHAPES), n_samples, n_features, rng)
    X = X.astype(dtype) if dtype.startswith("float") else hostile.as_whole(X, dtype)
    X = np.asarray(X, order=str(rng.choice(["C", "F"])))  # type: ignore[call-overload]
    weights, wide = None, rng.random() < 0.1
    if wide:
        weights = 10.0 ** rng.uniform(-12.0, 12.0, n_samples)
    elif rng.random() < 0.4:
        weights = rng.integers(0, 4, n_samples).astype(float)
        weights[0] = 1.0
    # A ball of at most a quarter of the reach: or a fit of 100,000 rows is one cluster.
    share = rng.uniform(0.03, 0.6 if small else 0.25)
    params: dict[str, Any] = {
        "bandwidth": float(1.0173 * share * hostile.reach(X)),
        "kernel": str(rng.choice(["flat", "flat", "gaussian"])),
        "assign": str(rng.choice(["nearest", "basin"])),
        "bin_seeding": bool(rng.random() < (0.4 if small else 0.8)),
        "min_bin_freq": int(rng.choice([1, 1, 1, 2])),
        "cluster_all": bool(rng.random() < 0.6),
        "coalesce": float(rng.choice([0.0, 0.01] if small else [0.0, 0.01, 0.1])),
        "tol": float(rng.choice([1e-3, 1e-3, 0.05])),
        "max_iter": int(rng.choice([300, 300, 300, 3, 0] if small else [300])),
        "accuracy": float(rng.choice([1e-3, 1e-3, 1e-2, 0.0] if small else [1e-3, 1e-2])),
        "n_jobs": [None, 1, 2, -1][rng.integers(4)],
    }
    plain = params["kernel"] == "flat" and params["coalesce"] == 0.0 and not wide
    how = rng.random()
    if how < 0.15:
        params["bandwidth"] = [None, "scott", "silverman", "stable"][rng.integers(4)]
    elif how < 0.25:
        params["bandwidth"] = params["bandwidth"] * rng.uniform(0.7, 1.5, n_features)
        plain = False
    if rng.random() < 0.15 or n_samples > 20_000:
        params |= {"seeds": X[:50], "bin_seeding": False}
    if params["kernel"] == "gaussian":  # 60,000 rows that climb may take a minute
        X, weights = X[:MOST_GAUSSIAN], None if weights is None else weights[:MOST_GAUSSIAN]
    return Case(X, weights, params, plain and n_samples <= MOST_FOR_A_TWIN)


def _fitted(case: Case, **changes: Any) -> MeanShift:
    model = MeanShift(**case.params | changes)
    model.fit(case.X, sample_weight=case.weights)
    return model


def _alike(one: MeanShift, other: MeanShift, rows: npt.NDArray[Any]) -> None:
    """Two models are the same to the last bit, and label the same."""
    for name in ("cluster_centers_", "mode_weight_", "bandwidth_", "n_iter_", "history_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    np.testing.assert_array_equal(one.predict(rows), other.predict(rows))


def fit(case: Case, rng: np.random.Generator) -> None:
    """Fit and predict: the twin's answer or, without one, what every fit must hold."""
    before = case.X.tobytes()
    model = _fitted(case)
    assert case.X.tobytes() == before
    hostile.check_answer(model, case.X, _weights(case))
    if model.kernel == "gaussian":
        _check_peaks(model, case)
    if not (case.plain and model.bandwidth_ > 0):
        return
    params = case.params | {"weights": case.weights}
    if not isinstance(params["bandwidth"], float):
        params["bandwidth"] = np.float64(model.bandwidth_)  # which bins take for another type
    for ours in ("kernel", "coalesce", "accuracy", "n_jobs"):
        del params[ours]
    twin = naive.mean_shift(case.X, **params)
    slack = 1e-9 * float(model.bandwidth_)
    if case.X.dtype == np.float32:
        slack += 1e-6 * float(np.abs(case.X).max())
    np.testing.assert_allclose(model.cluster_centers_, twin.centers, rtol=0, atol=slack)
    np.testing.assert_array_equal(model.mode_weight_, twin.support)
    np.testing.assert_array_equal(model.labels_, twin.labels)
    assert model.n_iter_ == twin.n_iter


def _weights(case: Case) -> npt.NDArray[np.float64]:
    return np.ones(len(case.X)) if case.weights is None else case.weights


def _check_peaks(model: MeanShift, case: Case) -> None:
    """Centres of the Gaussian kernel are stationary, to a millionth of the bandwidth."""
    if len(case.X) > 3000 or not np.all(model.bandwidth_ > 0):
        return
    there = _weights(case) > 0
    rows = case.X[there].astype(float) / model.bandwidth_
    slack = 1e-6 + 8 * np.finfo(model.cluster_centers_.dtype).eps * np.abs(rows).max()
    for center in model.cluster_centers_[:30].astype(float) / model.bandwidth_:
        mean, _ = naive.gaussian_shift(rows, _weights(case)[there], center, 1.0)
        assert np.linalg.norm(mean - center) <= slack


def threads(case: Case, rng: np.random.Generator) -> None:
    """Fits side by side, on any number of threads, are the fit alone."""
    alone = _fitted(case, n_jobs=1)
    with ThreadPoolExecutor(3) as pool:
        for other in pool.map(lambda n_jobs: _fitted(case, n_jobs=n_jobs), [1, 2, None]):
            _alike(alone, other, case.X)
            np.testing.assert_array_equal(alone.labels_, other.labels_)
    centers, labels = mean_shift(case.X, sample_weight=case.weights, **case.params)
    np.testing.assert_array_equal(centers, alone.cluster_centers_)
    np.testing.assert_array_equal(labels, alone.labels_)


def pickles(case: Case, rng: np.random.Generator) -> None:
    """A model that was stored, copied or sent is the model."""
    model = _fitted(case)
    rows = case.X[rng.integers(len(case.X), size=30)]
    stored = io.BytesIO()
    joblib.dump(model, stored)
    others = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model), joblib.load(stored)]
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder, "a.model"))
        others.append(load_model(Path(folder, "a.model")))
    for other in others:
        _alike(model, other.set_params(n_jobs=1), rows)


def streams(case: Case, rng: np.random.Generator) -> None:
    """However whole rows come, in batches or in Dask's chunks, they are the table's fit."""
    X = case.X.astype(float)
    X = hostile.as_whole(X / (np.abs(X).max() or 1.0), np.int64)
    # Cells are narrower than 1, so that each holds copies of one row; and with tol=0 the order of
    # the seeds does not tell.
    rest = {"tol": 0.0, "coalesce": 0.0, "seeds": None, "kernel": "flat", "max_iter": 300}
    rest["bandwidth"] = rng.uniform(1.5, 9.5)
    case = case._replace(X=X[:3000], weights=None, params=case.params | rest)
    table = _fitted(case)
    cuts = np.sort(rng.integers(0, len(case.X), 3))
    batches = [batch for batch in np.split(case.X, cuts) if len(batch)]
    params = {name: case.params[name] for name in case.params if name not in ("bandwidth", "seeds")}
    with dask.config.set(scheduler="threads"):
        model = DaskMeanShift(bandwidth=rest["bandwidth"], **params)
        model.fit(da.from_array(case.X, chunks=(max(len(case.X) // 3, 1), -1)))
        labels: Any = model.labels_
        np.testing.assert_array_equal(labels.compute(), table.labels_)
    streamed = fit_batches(batches, bandwidth=rest["bandwidth"], **params)
    for other in (streamed, model):
        np.testing.assert_array_equal(other.cluster_centers_, table.cluster_centers_)
        np.testing.assert_array_equal(other.mode_weight_, table.mode_weight_)
    np.testing.assert_array_equal(streamed.predict(case.X), table.labels_)


def commands(case: Case, rng: np.random.Generator) -> None:
    """The command line writes the labels of the model."""
    words = {name: case.params[name] for name in ("kernel", "assign", "bin_seeding", "cluster_all")}
    words["bandwidth"] = float(0.4173 * hostile.reach(case.X))
    model = MeanShift(**words).fit(case.X)
    options = [f"--{name}={words[name]}" for name in ("kernel", "assign", "bandwidth")]
    options += ["--bin-seeding"] * words["bin_seeding"]
    options += ["--no-cluster-all"] * (not words["cluster_all"])
    told = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(told), redirect_stderr(told):
        table, stored, labels = (str(Path(folder, name)) for name in ("t.npy", "m.model", "l.npy"))
        np.save(table, case.X)
        code = cli.main(["cluster", table, "-o", labels, "--model", stored, *options])
        assert code == 0, told.getvalue()
        np.testing.assert_array_equal(np.load(labels), model.labels_)
        code = cli.main(["predict", stored, table, "-o", labels])
        assert code == 0, told.getvalue()
        np.testing.assert_array_equal(np.load(labels), model.labels_)


def functions(case: Case, rng: np.random.Generator) -> None:
    """The functions give what their twins give."""
    X = case.X[:MOST_FOR_A_TWIN].astype(float)
    weights = _weights(case)[: len(X)]
    found = estimate_bandwidth(X, quantile=0.2, sample_weight=weights)
    there = weights > 0
    expected = naive.estimate_bandwidth(X[there], quantile=0.2, weights=weights[there])
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    width = 0.3 * hostile.reach(X)
    np.testing.assert_array_equal(get_bin_seeds(X, width), naive.bin_seeds(X, width))
    points, totals, inverse = condense(X, width, sample_weight=weights)
    means, sums, cells = naive.condense(X, width, weights)
    np.testing.assert_allclose(points, means, rtol=0, atol=1e-9 * np.abs(X).max(initial=1.0))
    np.testing.assert_allclose(totals, sums, rtol=1e-9)
    np.testing.assert_array_equal(inverse, cells)
    story = trace(X, X[0], bandwidth=width, sample_weight=weights)
    positions, *_ = naive.trajectory(X, weights, X[0], width)
    np.testing.assert_allclose(story.positions[0], positions, rtol=0, atol=1e-9 * width)
    curve = bandwidth_curve(X, sample_weight=weights)
    assert curve.bandwidth >= 0


DEEDS: dict[str, Callable[[Case, np.random.Generator], None]] = {
    "fit": fit,
    "threads": threads,
    "pickles": pickles,
    "streams": streams,
    "commands": commands,
    "functions": functions,
}
