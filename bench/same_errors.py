"""The errors of `bench.same`: what is refused, by whom, and the texts that say why."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dask.array as da
import numpy as np

from bench.same_fits import Parts, Setting
from bench.same_tables import Array, blobs
from meanshift_fast import (
    MeanShift,
    bandwidth_curve,
    condense,
    estimate_bandwidth,
    get_bin_seeds,
    mean_shift,
    trace,
)
from meanshift_fast.dask import MeanShift as DaskMeanShift
from meanshift_fast.models import load_model, save_model
from meanshift_fast.plot import MeanShiftDisplay
from meanshift_fast.stream import fit_batches


def _refused(rng: np.random.Generator, call: Callable[[Array], Any]) -> Parts:
    """What raises gives its error; the answer of what does not is a text."""
    return {"answer": repr(call(blobs(60)(rng)))}


def _model(**params: Any) -> Callable[[Array], Any]:
    return lambda X: MeanShift(**{"bandwidth": 1.0} | params).fit(X)


def _loaded(content: bytes) -> Callable[[Array], Any]:
    """Read a file that holds no model; its place is left out of the error."""

    def load(X: Array) -> Any:
        with TemporaryDirectory() as folder:
            path = Path(folder, "a.model")
            path.write_bytes(content)
            try:
                return load_model(path)
            except ValueError as error:
                raise ValueError(str(error).replace(folder, "FOLDER")) from error

    return load


BAD_TABLES: dict[str, Any] = {
    "NaN": [[0.0, np.nan], [1.0, 2.0]],
    "infinity": [[0.0, np.inf], [1.0, 2.0]],
    "complex": [[0.0, 1j], [1.0, 2.0]],
    "words": [["a", "b"], ["c", "d"]],
    "no rows": np.empty((0, 2)),
    "no columns": np.empty((3, 0)),
    "one dimension": np.arange(5.0),
    "three dimensions": np.zeros((2, 2, 2)),
    "ragged": [[1.0, 2.0], [3.0]],
    "times": np.array([["2020-01-01", "NaT"]], "datetime64[D]"),
    "nothing": None,
}
BAD_PARAMETERS: dict[str, tuple[Any, ...]] = {
    "bandwidth": (0, -1.0, np.nan, np.inf, "wide", [1.0, 0.0], [1.0, 2.0, 3.0], 1j),
    "kernel": ("epanechnikov", None),
    "assign": ("closest", 3),
    "min_bin_freq": (0, 1.5),
    "max_iter": (-1, "many"),
    "tol": (-1e-3, np.nan),
    "coalesce": (-1e-3, "near"),
    "accuracy": (-1.0,),
    "n_jobs": (0, 1.5),
    "bin_seeding": ("yes",),
    "cluster_all": (2,),
    "progress": ("loud",),
    "seeds": ([1.0, 2.0], np.zeros((4, 3)), np.empty((0, 2)), "rows", [[np.nan, 0.0]]),
}
BAD_WEIGHTS: dict[str, Any] = {
    "negative": [-1.0] * 60,
    "all 0": np.zeros(60),
    "too few": [1.0],
    "NaN": [np.nan] * 60,
    "huge": [1e30] * 60,
    "words": ["a"] * 60,
    "two dimensions": np.ones((60, 2)),
}
BAD_CALLS: dict[str, Callable[[Array], Any]] = {
    "predict before fit": lambda X: MeanShift().predict(X),
    "predict of another width": lambda X: MeanShift(bandwidth=1.0).fit(X).predict(X[:, :1]),
    "basins after the fit": lambda X: (
        MeanShift(bandwidth=1.0).fit(X).set_params(assign="basin").predict(X)
    ),
    "no bin with so many rows": _model(bin_seeding=True, min_bin_freq=1000),
    "rows too far apart": lambda X: MeanShift(bandwidth=1.0).fit(np.full((9, 1), 1.3e308)),
    "mean_shift": lambda X: mean_shift(X, bandwidth=-1.0),
    "quantile": lambda X: estimate_bandwidth(X, quantile=1.5),
    "method": lambda X: estimate_bandwidth(X, method="rule"),
    "n_samples": lambda X: estimate_bandwidth(X, n_samples=0),
    "bin_size": lambda X: get_bin_seeds(X, np.nan),
    "bin frequency": lambda X: get_bin_seeds(X, 1.0, 0),
    "cell_size": lambda X: condense(X, 0.0),
    "cell_size too small": lambda X: condense(X, 5e-324),
    "cell sizes": lambda X: condense(X, [1.0, 1.0, 1.0]),
    "ladder that falls": lambda X: bandwidth_curve(X, [2.0, 1.0]),
    "ladder of nothing": lambda X: bandwidth_curve(X, []),
    "ladder with 0": lambda X: bandwidth_curve(X, [0.0, 1.0]),
    "trace without bandwidth": lambda X: trace(X, X[0], bandwidth=0.0),
    "trace from another width": lambda X: trace(X, [1.0], bandwidth=1.0),
    "trace that has no such step": lambda X: trace(X, X[0], bandwidth=1.0).neighbours(99),
    "batch of another width": lambda X: fit_batches([X, X[:, :1]], bandwidth=1.0),
    "batches once": lambda X: fit_batches(iter([X]), bandwidth=1.0),
    "no batches": lambda X: fit_batches([], bandwidth=1.0),
    "batch with NaN": lambda X: fit_batches([X, X * np.nan], bandwidth=1.0),
    "batch with bad weights": lambda X: fit_batches([(X, [1.0])], bandwidth=1.0),
    "batches of a number": lambda X: fit_batches(3, bandwidth=1.0),  # type: ignore[arg-type]
    "resolution": lambda X: fit_batches([X], bandwidth=1.0, resolution=2.0),
    "n_fine": lambda X: fit_batches([X], bandwidth=1.0, n_fine=0),
    "unknown parameter": lambda X: fit_batches([X], bandwidth=1.0, radius=2.0),
    "equal rows in a stream": lambda X: fit_batches([np.ones((9, 2))]),
    "Dask of a table": lambda X: DaskMeanShift(bandwidth=1.0).fit(X),
    "Dask of a vector": lambda X: DaskMeanShift(bandwidth=1.0).fit(da.from_array(X[:, 0])),
    "save an unfitted model": lambda X: save_model(MeanShift(), "nowhere"),
    "save a class": lambda X: save_model(MeanShift, "nowhere"),  # type: ignore[arg-type]
    "load what is not there": lambda X: load_model("nowhere/a.model"),
    "load foreign bytes": _loaded(b"no model"),
    "picture before fit": lambda X: MeanShiftDisplay.from_estimator(MeanShift(), X),
}


def errors() -> Iterator[Setting]:
    """Give all settings that are refused."""
    uses: dict[str, Callable[[Any], Any]] = {
        "fit": lambda bad: MeanShift(bandwidth=1.0).fit(bad),
        "estimate_bandwidth": estimate_bandwidth,
        "get_bin_seeds": lambda bad: get_bin_seeds(bad, 1.0),
        "fit_batches": lambda bad: fit_batches([bad], bandwidth=1.0),
        "trace": lambda bad: trace(bad, [0.0, 0.0], bandwidth=1.0),
    }
    for (kind, bad), (use, call) in product(BAD_TABLES.items(), uses.items()):
        run = partial(_refused, call=lambda X, call=call, bad=bad: call(bad))  # type: ignore[misc]
        yield Setting(f"refused by {use}: {kind}", run)
    for name, values in BAD_PARAMETERS.items():
        for number, value in enumerate(values):
            run = partial(_refused, call=_model(**{name: value}))
            yield Setting(f"refused: {name}, {number}", run)
    for kind, bad in BAD_WEIGHTS.items():
        for use, weighted in (("fit", MeanShift(bandwidth=1.0).fit), ("curve", bandwidth_curve)):
            run = partial(_refused, call=partial(weighted, sample_weight=bad))
            yield Setting(f"weights refused by {use}: {kind}", run)
    for name, call in BAD_CALLS.items():
        yield Setting(f"refused: {name}", partial(_refused, call=call))
