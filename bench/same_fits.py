"""The fits of `bench.same`: what a setting is, what a fit comes to, and some 300 of them.

    setting = name + function of a random generator --> parts of the outcome

Only the public interface is used, so that the modules behind it can be moved and renamed. Sizes lie
on both sides of the package's thresholds: 1,024 rows, 4,096 values, 65,536 seeds, 2^18 rows.
"""

import pickle
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from bench.same_tables import (
    LAYOUTS,
    SENTINEL,
    Array,
    Table,
    any_weights,
    as_dtype,
    blobs,
    constant,
    copies,
    geometric,
    integers,
    lattice,
    line,
    moved,
    radius,
    ring,
    rounded,
    scaled,
    uniform,
    weights_with_zeros,
    with_outliers,
)
from meanshift_fast import MeanShift, mean_shift
from meanshift_fast.datasets import china_pixels, demo_table

# Arrays, numbers and texts by their names.
Parts = dict[str, Any]
Weights = Callable[[np.random.Generator, int], Array]

KERNELS = ("flat", "gaussian")
ASSIGNMENTS = ("nearest", "basin")
N_NEW = 24  # rows that no fit has seen
ATTRIBUTES = (
    "cluster_centers_", "labels_", "mode_weight_", "n_iter_", "bandwidth_", "n_features_in_"
)  # fmt: skip


class Setting(NamedTuple):
    """What is run, and under which name."""

    name: str
    run: Callable[[np.random.Generator], Parts]


def model_parts(model: MeanShift) -> Parts:
    """Take a fitted model apart; what it lacks is left out."""
    parts = {name: getattr(model, name) for name in ATTRIBUTES if hasattr(model, name)}
    history = model.history_
    parts |= {f"history_.{name}": history[name] for name in history.dtype.names or ()}
    if hasattr(model, "feature_names_in_"):
        parts["feature_names_in_"] = repr(list(model.feature_names_in_))
    parts["attributes"] = ", ".join(sorted(name for name in vars(model) if name[0] != "_"))
    return parts


def new_rows(X: Any, rng: np.random.Generator) -> Array:
    """Rows near those of a table, and a few beyond them."""
    rows = np.asarray(X, dtype=np.float64)
    near = rows[rng.integers(0, len(rows), N_NEW)]
    spread = 0.1 * (np.quantile(rows, 0.9, axis=0) - np.quantile(rows, 0.1, axis=0)) + 0.01
    near = near + spread * rng.standard_normal(near.shape)
    near[:3] += 20.0 * spread
    return near


def predicted(model: MeanShift, X: Any, rng: np.random.Generator) -> Parts:
    """Label old and new rows, by the model and by its pickled copy."""
    new, copy = new_rows(X, rng), pickle.loads(pickle.dumps(model))
    return {
        "predict(X)": model.predict(X),
        "predict(new)": model.predict(new),
        "pickled.predict(X)": copy.predict(X),
        "pickled.predict(new)": copy.predict(new),
    }


def fit(
    rng: np.random.Generator,
    table: Table,
    params: dict[str, Any],
    weights: Weights | None = None,
    layout: Callable[[Array], Any] = np.asarray,
) -> Parts:
    """Fit, label, pickle, label again.

    Parameters
    ----------
    rng : Generator
    table : callable
        Makes the rows.
    params : dict
        For `MeanShift`. A callable among them makes the value from the rows.
    weights : callable, default=None
        Makes the rows' weights.
    layout : callable, default=np.asarray
        Lays the rows out in memory.

    Returns
    -------
    parts : dict
    """
    rows = table(rng)
    sample_weight = None if weights is None else weights(rng, len(rows))
    params = {name: value(rows) if callable(value) else value for name, value in params.items()}
    X = layout(rows)
    model = MeanShift(**params).fit(X, sample_weight=sample_weight)
    return model_parts(model) | predicted(model, X, rng)


def _fit(name: str, table: Table, weights: Weights | None = None, **params: Any) -> Setting:
    """A setting that fits to a table, whose parameters complete its name."""
    told = ", ".join(f"{key}={value}" for key, value in params.items() if not callable(value))
    return Setting(f"{name}; {told}", partial(fit, table=table, params=params, weights=weights))


def _kinds() -> Iterator[dict[str, Any]]:
    """Both kernels with both assignments."""
    for kernel, assign in product(KERNELS, ASSIGNMENTS):
        yield {"kernel": kernel, "assign": assign}


def _sizes() -> Iterator[Setting]:
    """Numbers of rows about the thresholds."""
    for n in (1, 2, 15, 200, 1000, 1024, 1025, 3000):
        for kind in _kinds():
            yield _fit(f"{n} rows", blobs(n), bandwidth=1.2, **kind)
        for min_bin_freq in (1, 3):
            bins: dict[str, Any] = {"bin_seeding": True, "min_bin_freq": min_bin_freq}
            yield _fit(f"{n} rows", blobs(n), bandwidth=1.2, **bins)
        yield _fit(f"{n} rows", blobs(n))
        yield _fit(f"{n} rows", blobs(n), weights_with_zeros, bandwidth=1.2, bin_seeding=True)
    for n, d in ((1024, 4), (1025, 4), (2048, 2), (2049, 2), (700, 100)):
        for coalesce in (0, 0.01):
            options: dict[str, Any] = {
                "bin_seeding": True,
                "coalesce": coalesce,
                "cluster_all": False,
            }
            yield _fit(f"{n} rows in {d} columns", blobs(n, d), bandwidth=radius(d), **options)


def _large_sizes() -> Iterator[Setting]:
    """Tables whose climbs, merges and labels are shared out to threads."""
    bins: dict[str, Any] = {"bandwidth": 1.2, "bin_seeding": True}
    for kind in _kinds():
        coalesce = 0.0 if kind["kernel"] == "flat" else 0.01
        yield _fit("20000 rows", blobs(20_000), bandwidth=0.8, coalesce=coalesce, **kind)
        coalesce = 0.05 if kind["assign"] == "basin" else 0.0
        options = bins | kind | {"coalesce": coalesce}
        yield _fit("20000 rows, weights", blobs(20_000), weights_with_zeros, **options)
    yield _fit("4000 rows", uniform(4_000), **bins, kernel="gaussian", accuracy=1e-2)
    yield _fit("20000 rows, many modes", uniform(20_000), bandwidth=0.1, bin_seeding=True)
    yield _fit("20000 rows, many modes", uniform(20_000), bandwidth=0.15)
    yield _fit("20000 rows, estimated", blobs(20_000), bin_seeding=True)
    yield _fit("20000 rows, pixels", as_dtype(uniform(20_000, 3), "uint8", 12.0), bandwidth=12)
    yield _fit("20000 rows in 5 columns", blobs(20_000, 5, 20), bandwidth=1.8)
    for n, d in ((65_536, 2), (65_537, 2), (55_000, 5)):  # 2^18 numbers are 52,429 rows of 5
        table = blobs(n, d, 400)
        yield _fit(f"{n} rows in {d} columns", table, bandwidth=0.3 * radius(d), coalesce=0.01)
    yield _fit("70000 rows", blobs(70_000), bandwidth=0.6)
    yield _fit("70000 rows, basins", blobs(70_000), bandwidth=0.6, assign="basin", coalesce=0.01)
    yield _fit("70000 rows, basins of bins", blobs(70_000), **bins, assign="basin", coalesce=0.05)
    yield _fit("70000 rows, equal ones", integers(70_000, 3, 20), bandwidth=2.5, bin_seeding=True)
    yield _fit("270000 rows, weights", blobs(270_000), any_weights, **bins)
    yield _fit("270000 rows", blobs(270_000), bandwidth=0.5, coalesce=0.05)
    pixels: dict[str, Any] = {"bandwidth": 25.0, "bin_seeding": True, "cluster_all": False}
    yield _fit("273280 rows, photograph", lambda rng: china_pixels()[0], **pixels)


def _columns() -> Iterator[Setting]:
    """Numbers of columns about the thresholds of the kernels, the index and the projections."""
    for d in (1, 2, 3, 5, 8, 16, 17, 32, 33, 64, 100, 300):
        name, table, width = f"{d} columns", blobs(400, d), radius(d)
        for kind in _kinds():
            yield _fit(name, table, bandwidth=width, **kind)
        yield _fit(f"{name}, weights", table, weights_with_zeros, bandwidth=width, coalesce=0.01)
        yield _fit(name, table, bandwidth=width, bin_seeding=True, coalesce=0.01)
        large = blobs(2500, d, 12)
        yield _fit(f"{name}, 2500 rows", large, bandwidth=0.8 * width)
        yield _fit(f"{name}, 2500 rows, weights", large, any_weights, bandwidth=width)
    for d in (1, 3, 4, 5, 33):
        table, width = blobs(2500, d), radius(d)
        yield _fit(f"{d} columns, 2500 rows", table, bandwidth=width / 2, kernel="gaussian")


def _formats() -> Iterator[Setting]:
    """Number formats and layouts in memory."""
    wholes = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", ">i4")
    floats = ("float16", "float32", "float64", ">f4", ">f8", ">f2", "longdouble")
    for n, dtype in product((150, 1500), (*floats, *wholes)):
        factor = 1.0 if dtype in floats else 10.0
        table, width = as_dtype(blobs(n, 3), dtype, factor), 1.4 * factor
        yield _fit(f"{dtype}, {n} rows", table, bandwidth=width)
        yield _fit(f"{dtype}, {n} rows", table, bandwidth=width, bin_seeding=True)
    for dtype in ("float16", "float32"):
        yield _fit(dtype, as_dtype(blobs(300), dtype), bandwidth=0.6, kernel="gaussian")
        yield _fit(dtype, as_dtype(blobs(300), dtype), assign="basin")
    booleans = as_dtype(integers(300, 12, 2), "bool")
    for kind in _kinds():
        yield _fit("bool", booleans, bandwidth=1.5, **kind)
    for name, layout in LAYOUTS.items():
        for n, assign in product((150, 1500), ASSIGNMENTS):
            params = {"bandwidth": 1.4, "assign": assign}
            run = partial(fit, table=blobs(n, 3), params=params, layout=layout)
            yield Setting(f"{name}, {n} rows; assign={assign}", run)


def _bandwidths() -> Iterator[Setting]:
    """Bandwidths of all types, by all rules, for all columns or each."""
    for value in (1, 1.25, np.float32(1.3), np.float64(1.3), np.int64(1), 1e-9, 1e9):
        for options in ({}, {"bin_seeding": True}, {"kernel": "gaussian"}):
            name = f"{type(value).__name__} bandwidth"
            yield _fit(name, blobs(300), bandwidth=value, **options)
    for rule, kernel, n in product((None, "scott", "silverman", "stable"), KERNELS, (300, 1500)):
        yield _fit(f"{n} rows, rule", blobs(n, 3), bandwidth=rule, kernel=kernel)
        yield _fit(
            f"{n} rows, rule, weights", blobs(n, 3), weights_with_zeros, bandwidth=rule,
            kernel=kernel, bin_seeding=True,
        )  # fmt: skip
    for kind, bin_seeding in product(_kinds(), (False, True)):
        for each in ([1.0, 2.0, 0.7], np.array([1.5, 1.5, 1.5], np.float32)):
            name = f"{type(each).__name__} of bandwidths"
            yield _fit(name, blobs(700, 3), bandwidth=each, bin_seeding=bin_seeding, **kind)


def _options() -> Iterator[Setting]:
    """Ends of trajectories, coalescing, orphans, accuracy, threads."""
    for kind, max_iter, tol in product(_kinds(), (0, 1, 5), (0, 1e-3, 1e-1)):
        yield _fit("ends", blobs(350), bandwidth=0.7, max_iter=max_iter, tol=tol, **kind)
    for kind, coalesce in product(_kinds(), (0.01, 0.2, 1)):
        yield _fit("ring", ring(400), bandwidth=0.8, coalesce=coalesce, **kind)
    sparse = uniform(300)
    for kind, bin_seeding in product(_kinds(), (False, True)):
        options: dict[str, Any] = {"bin_seeding": bin_seeding, "min_bin_freq": 3}
        options |= {"cluster_all": False, "bandwidth": 0.5}
        yield _fit("orphans", sparse, **options, **kind)
    for accuracy, d, assign in product((0, 1e-3, 1e-6), (2, 6), ASSIGNMENTS):
        options = {"kernel": "gaussian", "accuracy": accuracy, "assign": assign}
        yield _fit(f"{d} columns", blobs(1200, d), bandwidth=radius(d) / 2, **options)
    for n_jobs, assign in product((1, 2, -1, -2), ASSIGNMENTS):
        yield _fit("threads", blobs(3000), bandwidth=1.0, n_jobs=n_jobs, assign=assign)


def _weights() -> Iterator[Setting]:
    """Weights of all kinds."""
    kinds: dict[str, Weights] = {
        "zeros": weights_with_zeros,
        "any": any_weights,
        "ones": lambda rng, n: np.ones(n),
        "whole": lambda rng, n: rng.integers(1, 5, n),
        "float32": lambda rng, n: any_weights(rng, n).astype(np.float32),
        "one row": lambda rng, n: np.eye(1, n)[0],
        "tiny and huge": lambda rng, n: 10.0 ** rng.uniform(-12, 12, n),
        "a number": lambda rng, n: np.asarray(2.5),
    }
    for (name, make), kind, bins in product(kinds.items(), _kinds(), (False, True)):
        yield _fit(f"weights, {name}", blobs(400), make, bandwidth=1.0, bin_seeding=bins, **kind)


def _seeds() -> Iterator[Setting]:
    """Given seeds, some or all of which have an empty ball."""

    def far(rows: Array) -> Array:
        return rows[:2] + 1000.0

    makers: dict[str, Callable[[Array], Any]] = {
        "some rows": lambda rows: rows[:30],
        "the rows": lambda rows: rows,
        "some rows as float32": lambda rows: rows[:30].astype(np.float32),
        "whole numbers": lambda rows: np.round(rows[:30]).astype(int).tolist(),
        "equal rows": lambda rows: np.repeat(rows[:5], 40, axis=0),
        "far rows": far,
        "near and far rows": lambda rows: np.vstack([far(rows), rows[:5]]),
    }
    for (name, make), kind in product(makers.items(), _kinds()):
        yield _fit(f"seeds, {name}", blobs(500), bandwidth=1.0, seeds=make, **kind)
    between: dict[str, Any] = {"seeds": lambda rows: (rows[:200] + rows[200:400]) / 2}
    yield _fit("seeds, between blobs", blobs(2000, 3), bandwidth=1.4, cluster_all=False, **between)
    for d in (20, 40):
        some: dict[str, Any] = {"seeds": lambda rows: rows[::50]}
        yield _fit(f"seeds in {d} columns", blobs(3000, d), bandwidth=radius(d), **some)


def _odd_tables() -> Iterator[Setting]:
    """Ties, duplicates, lines, all magnitudes, places far from 0, sentinels."""
    odd: dict[str, tuple[Table, float]] = {
        "lattice": (lattice(8, 8), 2.0),
        "lattice of 1,331 rows": (lattice(11, 11, 11), 3.0),
        "random lattice points": (integers(500, 3), 2.0),
        "one row many times": (constant(40), 1.0),
        "few distinct rows": (copies(500, 12), 1.5),
        "rounded": (rounded(blobs(1500), 1 / 64), 1.0),
        "line": (line(300), 1.0),
        "all magnitudes": (geometric(300), 0.5),
        "far from 0": (moved(blobs(400), 1e8), 1.0),
        "very far from 0": (moved(integers(20), 2.0**50), 2.0),
        "tiny unit": (scaled(blobs(300), 1e-200), 1e-200),
        "huge unit": (scaled(blobs(300), 1e120), 1e120),
        "sentinel": (with_outliers(blobs(300), SENTINEL), 1.0),
        "sentinel among many": (with_outliers(blobs(3000), -SENTINEL), 1.0),
        "ring": (ring(400), 0.8),
        "demo": (lambda rng: demo_table(), 2.5),
    }
    for (name, (table, width)), kind in product(odd.items(), _kinds()):
        yield _fit(name, table, bandwidth=width, **kind)
    for name, (table, width) in odd.items():
        yield _fit(name, table, bandwidth=width, bin_seeding=True, cluster_all=False)
        yield _fit(name, table, weights_with_zeros, bandwidth=width, coalesce=0.01)
        yield _fit(name, table)
    for kind in _kinds():  # the estimate is 0: each distinct row is a cluster
        yield _fit("bandwidth of 0", copies(90, 3), bandwidth=None, **kind)
        yield _fit("bandwidth of 0, bins", copies(90, 3), bin_seeding=True, **kind)


def _function(rng: np.random.Generator, **params: Any) -> Parts:
    """`mean_shift` and ``fit_predict``."""
    X = blobs(600, 3)(rng)
    weights = weights_with_zeros(rng, len(X))
    centers, labels = mean_shift(X, sample_weight=weights, **params)
    again = MeanShift(**params).fit_predict(X, sample_weight=weights)
    return {"cluster_centers": centers, "labels": labels, "fit_predict": again}


def _stages(rng: np.random.Generator, n_samples: int, **params: Any) -> Parts:
    """The stages that a callable hears; how often depends on the time that they take."""
    heard: list[str] = []

    def progress(done: int, total: int, stage: str) -> None:
        if heard[-1:] != [stage]:
            heard.append(stage)

    X = blobs(n_samples)(rng)
    model = MeanShift(progress=progress, **params).fit(X)
    parts = model_parts(model) | {"stages": ", ".join(heard)}
    heard.clear()
    return parts | {"predict(new)": model.predict(new_rows(X, rng)), "later": ", ".join(heard)}


def _calls() -> Iterator[Setting]:
    """The function, and progress."""
    for kind, bandwidth in product(_kinds(), (None, 1.4, "scott")):
        params: dict[str, Any] = {"bandwidth": bandwidth, **kind}
        yield Setting(f"mean_shift; {params}", partial(_function, **params))
    for kind, n, bins in product(_kinds(), (300, 3000), (False, True)):
        params = {"bandwidth": 0.8, "bin_seeding": bins, **kind}
        run = partial(_stages, n_samples=n, **params)
        yield Setting(f"progress, {n} rows; {params}", run)


def fits() -> Iterator[Setting]:
    """Give all settings that fit a table in memory."""
    for group in (
        _sizes, _large_sizes, _columns, _formats, _bandwidths, _options, _weights, _seeds,
        _odd_tables, _calls,
    ):  # fmt: skip
        yield from group()
