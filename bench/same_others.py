"""The other settings of `bench.same`: streams, Dask, files, curves, traces, grids, pictures."""

import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.same_fits import ASSIGNMENTS, KERNELS, Parts, Setting, model_parts, new_rows
from bench.same_tables import (
    SENTINEL,
    Array,
    Table,
    any_weights,
    as_dtype,
    blobs,
    copies,
    integers,
    lattice,
    moved,
    radius,
    ring,
    uniform,
    weights_with_zeros,
    with_outliers,
)
from meanshift_fast import (
    MeanShift,
    bandwidth_curve,
    condense,
    estimate_bandwidth,
    get_bin_seeds,
    trace,
)
from meanshift_fast.dask import MeanShift as DaskMeanShift
from meanshift_fast.datasets import china_pixels, demo_table
from meanshift_fast.models import load_model, save_model
from meanshift_fast.plot import MeanShiftDisplay
from meanshift_fast.stream import fit_batches

Frame = Callable[[Any], Any]


def _setting(name: str, run: Callable[..., Parts], **params: Any) -> Setting:
    """A setting whose parameters, but for tables and functions, complete its name."""
    told = ", ".join(f"{key}={value}" for key, value in params.items() if not callable(value))
    return Setting(f"{name}; {told}", partial(run, **params))


def _stream(rng: np.random.Generator, table: Table, weighted: bool = False, **params: Any) -> Parts:
    """Fit to batches of unequal lengths."""
    X = table(rng)
    weights = weights_with_zeros(rng, len(X))
    cuts = [len(X) // 7, len(X) // 3, len(X) // 2]
    batches: list[Any] = np.split(X, cuts)
    if weighted:
        batches = list(zip(batches, np.split(weights, cuts), strict=True))
    heard: list[str] = []

    def progress(done: int, total: int, stage: str) -> None:
        if heard[-1:] != [stage]:
            heard.append(stage)

    model = fit_batches(lambda: iter(batches), progress=progress, **params)
    parts = model_parts(model) | {"stages": ", ".join(heard)}
    parts["predict(new)"] = model.predict(new_rows(X, rng))
    return parts | {"predict(X)": model.predict(X)} | _filed(model.set_params(progress=False), X)


def _streams() -> Iterator[Setting]:
    for kernel, assign, bins in product(KERNELS, ASSIGNMENTS, (False, True)):
        kind = {"kernel": kernel, "assign": assign, "bin_seeding": bins, "bandwidth": 1.2}
        kind |= {"coalesce": 0.01}
        table = blobs(6000)
        yield _setting("stream", _stream, table=table, n_fine=1, **kind)
        yield _setting("stream", _stream, table=table, n_fine=1, weighted=True, **kind)
        yield _setting("stream", _stream, table=blobs(1500), **kind)
    for bandwidth, kernel in product((None, "scott", "silverman", "stable"), KERNELS):
        params = {"bandwidth": bandwidth, "kernel": kernel, "bin_seeding": True, "n_fine": 1}
        yield _setting("stream", _stream, table=blobs(3000, 3), **params)
        yield _setting("stream", _stream, table=blobs(3000, 3), weighted=True, **params)
    each = {"bandwidth": [1.0, 2.0, 0.7], "bin_seeding": True}
    yield _setting("stream", _stream, table=blobs(3000, 3), **each)
    for d in (1, 5, 20):
        table, width = blobs(2000, d), radius(d)
        yield _setting(f"stream in {d} columns", _stream, table=table, bandwidth=width)
    for dtype in ("float32", "float16", "int16", ">f8"):
        table = as_dtype(blobs(2000), dtype, 10.0)
        yield _setting(f"stream of {dtype}", _stream, table=table, bandwidth=11)
    seeds = [[1.0, 1.0], [5.0, 5.0], [5.0, 9.0], [90.0, 0.0]]
    yield _setting("stream", _stream, table=blobs(3000), bandwidth=3, seeds=seeds)
    for resolution in (1, 0.3):
        yield _setting("stream", _stream, table=ring(4000), bandwidth=0.8, resolution=resolution)
    rest = {"bandwidth": 1.2, "bin_seeding": True}
    yield _setting("stream of 100000 rows", _stream, table=blobs(100_000), **rest)
    yield _setting("stream of 100000 rows", _stream, table=blobs(100_000), bin_seeding=True)
    yield _setting("stream, sentinel", _stream, table=with_outliers(blobs(500), SENTINEL), **rest)
    yield _setting("stream, far from 0", _stream, table=moved(blobs(500), 1e6), **rest)


def _with_dask(
    rng: np.random.Generator, table: Table, frame: Frame, weighted: bool = False, **params: Any
) -> Parts:
    """Fit a collection of several partitions."""
    X = table(rng)
    with dask.config.set(scheduler="synchronous"):
        model = DaskMeanShift(**params)
        collection = frame(X)
        weights = da.from_array(any_weights(rng, len(X)), chunks=500) if weighted else None
        model.fit(collection, sample_weight=weights)
        parts = model_parts(model)
        parts["labels_"] = np.asarray(parts["labels_"].compute())
        parts["predict(new)"] = model.predict(np.asarray(new_rows(X, rng)))
    return parts


def _unknown(X: Array) -> Any:
    """An array whose chunks have sizes that Dask does not know."""
    whole = da.from_array(X, chunks=(500, -1))
    return whole[whole[:, 0] > -np.inf]


def _framed(X: Array) -> Any:
    columns = [f"column {number}" for number in range(X.shape[1])]
    return dd.from_pandas(pd.DataFrame(X, columns=columns), npartitions=4)


def _collections() -> Iterator[Setting]:
    arrays = partial(da.from_array, chunks=(500, -1))
    cut = partial(da.from_array, chunks=(700, 1))
    table = blobs(2200, 3)
    for kernel, assign, bins in product(KERNELS, ASSIGNMENTS, (False, True)):
        kind = {"kernel": kernel, "assign": assign, "bin_seeding": bins, "bandwidth": 1.4}
        kind |= {"n_fine": 1, "coalesce": 0.01}
        yield _setting("Dask array", _with_dask, table=table, frame=arrays, **kind)
    for assign in ASSIGNMENTS:
        kind = {"assign": assign, "bandwidth": 1.4, "bin_seeding": True}
        yield _setting("Dask array", _with_dask, table=table, frame=arrays, **kind)
        yield _setting("Dask frame", _with_dask, table=table, frame=_framed, **kind)
        yield _setting("cut columns", _with_dask, table=table, frame=cut, **kind)
        yield _setting("unknown sizes", _with_dask, table=table, frame=_unknown, **kind)
        kind |= {"weighted": True}
        yield _setting("Dask array", _with_dask, table=table, frame=arrays, **kind)
    for bandwidth in (None, "scott", "stable"):
        for frame, name in ((arrays, "Dask array"), (_unknown, "unknown sizes")):
            params = {"bandwidth": bandwidth, "bin_seeding": True}
            yield _setting(name, _with_dask, table=table, frame=frame, **params)
    small = as_dtype(table, "float32")
    yield _setting("Dask array of float32", _with_dask, table=small, frame=arrays, bandwidth=1.4)


def _filed(model: MeanShift, X: Array) -> Parts:
    """Write a model, read it again; the bytes of the file's entries are parts."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.model")
        save_model(model, path)
        loaded = load_model(path)
        with zipfile.ZipFile(path) as file:
            entries = {f"file/{name}": file.read(name) for name in file.namelist()}
    text = entries.pop("file/model.json").decode()
    parts: Parts = {name: np.frombuffer(raw, np.uint8) for name, raw in entries.items()}
    parts |= {f"loaded.{name}": value for name, value in model_parts(loaded).items()}
    return parts | {"file/model.json": text, "loaded.predict(X)": loaded.predict(X)}


def _file(rng: np.random.Generator, table: Table, named: bool = False, **params: Any) -> Parts:
    rows = table(rng)
    X = pd.DataFrame(rows, columns=[f"c{i}" for i in range(rows.shape[1])]) if named else rows
    model = MeanShift(**params).fit(X, sample_weight=weights_with_zeros(rng, len(rows)))
    return model_parts(model) | _filed(model, X)


def _files() -> Iterator[Setting]:
    for kernel, assign, named in product(KERNELS, ASSIGNMENTS, (False, True)):
        kind = {"kernel": kernel, "assign": assign, "named": named}
        yield _setting("file", _file, table=blobs(300), bandwidth=1.0, **kind)
        yield _setting("file", _file, table=blobs(300), bandwidth=[1.0, 2.0], **kind)
    yield _setting("file of float32", _file, table=as_dtype(blobs(300), "float32"))


def _curve(rng: np.random.Generator, table: Table, weights: Any = None, **params: Any) -> Parts:
    X = table(rng)
    sample_weight = None if weights is None else weights(rng, len(X))
    curve = bandwidth_curve(X, sample_weight=sample_weight, **params)
    parts = {name: getattr(curve, name) for name in ("bandwidths", "n_clusters", "n_modes")}
    parts |= {f"plateaus.{name}": curve.plateaus[name] for name in curve.plateaus.dtype.names or ()}
    axes = curve.plot(Figure().add_subplot())
    drawn = f"{axes.get_title()}; {axes.get_xlabel()}; {axes.get_ylabel()}"
    return parts | {
        "bandwidth": curve.bandwidth,
        "n_centers": curve.n_centers,
        "stable": str(curve.stable),
        "drawn": drawn,
    }


def _curves() -> Iterator[Setting]:
    for n, d, bins in product((1, 200, 1500), (1, 2, 6), (True, False)):
        yield _setting(
            f"curve of {n} rows, {d} columns", _curve, table=blobs(n, d), bin_seeding=bins
        )
    ladder = {"bandwidths": [0.5, 1, 2, 4, 8]}
    yield _setting("curve, ladder", _curve, table=blobs(500), **ladder)
    yield _setting("curve, weights", _curve, table=blobs(500), weights=weights_with_zeros)
    yield _setting(
        "curve, ladder, weights", _curve, table=blobs(500), weights=any_weights, **ladder
    )
    yield _setting("curve, few distinct rows", _curve, table=copies(300, 4))
    yield _setting("curve, demo", _curve, table=lambda rng: demo_table())
    yield _setting("curve of 10500 rows", _curve, table=blobs(10_500))


def _trace(
    rng: np.random.Generator, table: Table, weights: Any = None, far: float = 0.0, **params: Any
) -> Parts:
    X = table(rng)
    sample_weight = None if weights is None else weights(rng, len(X))
    start = X[:4] + far
    found = trace(X, start, sample_weight=sample_weight, **params)
    parts: Parts = {"printed": str(found), "repr": repr(found), "bandwidth": found.bandwidth}
    for name in ("positions", "shifts", "support"):
        values = getattr(found, name)
        parts |= {f"{name}[{number}]": value for number, value in enumerate(values)}
    if len(found.shifts[0]):
        parts["neighbours"] = found.neighbours(0)
    axes = found.plot(Figure().add_subplot())
    return parts | {"drawn": f"{axes.get_title()}; {axes.get_xlabel()}; {axes.get_ylabel()}"}


def _traces() -> Iterator[Setting]:
    for kernel, d in product(KERNELS, (1, 2, 3, 12)):
        kind = {"kernel": kernel, "bandwidth": radius(d)}
        yield _setting(f"trace in {d} columns", _trace, table=blobs(700, d), **kind)
        weighted = {"weights": weights_with_zeros, **kind}
        yield _setting(f"trace in {d} columns, weights", _trace, table=blobs(700, d), **weighted)
        yield _setting(f"trace in {d} columns", _trace, table=blobs(700, d), far=90.0, **kind)
        yield _setting(f"trace in {d} columns", _trace, table=blobs(700, d), max_iter=2, **kind)
    yield _setting("trace on a lattice", _trace, table=lattice(9, 9), bandwidth=2, tol=0)


def _condensed(rng: np.random.Generator, table: Table, weights: Any = None, **params: Any) -> Parts:
    X = table(rng)
    sample_weight = None if weights is None else weights(rng, len(X))
    points, totals, inverse = condense(X, sample_weight=sample_weight, **params)
    return {"points": points, "weights": totals, "inverse": inverse}


def _bins(rng: np.random.Generator, table: Table, **params: Any) -> Parts:
    X = table(rng)
    seeds = get_bin_seeds(X, **params)
    return {"seeds": np.asarray(seeds), "is X": str(seeds is X)}


def _grids() -> Iterator[Setting]:
    for n, d, size in product((1, 500, 20_000), (1, 2, 5, 20), (0.3, 2)):
        name, table = f"{n} rows, {d} columns", blobs(n, d)
        yield _setting(f"condense {name}", _condensed, table=table, cell_size=size)
        yield _setting(f"bins of {name}", _bins, table=table, bin_size=size)
    each = {"cell_size": [0.3, 2.0], "weights": any_weights}
    yield _setting("condense, weights", _condensed, table=blobs(900), **each)
    yield _setting(
        "condense, zeros", _condensed, table=blobs(900), cell_size=1, weights=weights_with_zeros
    )
    sizes: tuple[Any, ...] = (0, 0.5, np.float32(0.5), -1.0, 1e-300)
    for bin_size in sizes:
        for dtype, freq in product(("float64", "float32", "float16", "int32"), (1, 3)):
            params = {
                "table": as_dtype(blobs(400), dtype),
                "bin_size": bin_size,
                "min_bin_freq": freq,
            }
            yield _setting(f"bins of {dtype}, {type(bin_size).__name__}", _bins, **params)
    for n in (140_000, 270_000):
        yield _setting(f"bins of {n} rows", _bins, table=uniform(n), bin_size=0.02)
        yield _setting(f"condense {n} rows", _condensed, table=uniform(n), cell_size=0.1)
    yield _setting(
        "bins of pixels", _bins, table=lambda rng: china_pixels()[0], bin_size=8, min_bin_freq=5
    )


def _estimate(rng: np.random.Generator, table: Table, weights: Any = None, **params: Any) -> Parts:
    X = table(rng)
    sample_weight = None if weights is None else weights(rng, len(X))
    return {"bandwidth": estimate_bandwidth(X, sample_weight=sample_weight, **params)}


def _estimates() -> Iterator[Setting]:
    for n, d in product((1, 2, 15, 200, 1024, 1025, 3000), (1, 2, 3, 17, 64)):
        for quantile in (0, 0.05, 0.3, 1):
            params = {"table": blobs(n, d), "quantile": quantile}
            yield _setting(f"estimate of {n} rows, {d} columns", _estimate, **params)
    makers = {"zeros": weights_with_zeros, "any": any_weights}
    for (name, make), n, quantile in product(makers.items(), (200, 3000), (0.05, 0.5)):
        params = {"table": blobs(n), "weights": make, "quantile": quantile}
        yield _setting(f"estimate of {n} rows, weights, {name}", _estimate, **params)
    for method, n in product(("scott", "silverman"), (1, 200, 3000)):
        yield _setting(f"estimate of {n} rows", _estimate, table=blobs(n, 3), method=method)
        weighted = {"method": method, "weights": any_weights}
        yield _setting(f"estimate of {n} rows, weights", _estimate, table=blobs(n, 3), **weighted)
    yield _setting("estimate of 20000 rows", _estimate, table=blobs(20_000), quantile=0.01)
    yield _setting("estimate, equal rows", _estimate, table=integers(9000), quantile=0.001)
    yield _setting("estimate, some rows", _estimate, table=blobs(900), n_samples=300)
    seeded = {"n_samples": 300, "random_state": 5}
    yield _setting("estimate, some rows", _estimate, table=blobs(900), **seeded)


def _picture(rng: np.random.Generator, table: Table, kernel: str, width: Any) -> Parts:
    X = table(rng)
    model = MeanShift(bandwidth=width, kernel=kernel).fit(X)
    flat = X.shape[1] == 2
    display = MeanShiftDisplay.from_estimator(
        model, X, starts=X[:3], basins=flat, contours=flat, ax=Figure().add_subplot()
    )
    parts = {name: getattr(display, name) for name in ("rows", "labels", "centers", "ball")}
    parts |= {f"paths[{number}]": path for number, path in enumerate(display.paths)}
    parts |= {} if display.hill is None else {"hill": display.hill}
    for name in ("basins", "contours"):
        if (field := getattr(display, name)) is not None:
            parts |= {f"{name}.values": field.values, f"{name}.extent": np.array(field.extent)}
    return parts | {"names": repr(display.names), "title": display.ax_.get_title()}


def _pictures() -> Iterator[Setting]:
    for kernel, d in product(KERNELS, (1, 2, 3, 10)):
        params = {"kernel": kernel, "table": blobs(300, d)}
        yield _setting(f"picture in {d} columns", _picture, width=radius(d), **params)
    widths = [1.0, 2.0]
    yield _setting("picture", _picture, kernel="flat", table=blobs(300), width=widths)


def others() -> Iterator[Setting]:
    """Give all settings that are more, or less, than the fit of a table in memory."""
    for group in (
        _streams, _collections, _files, _curves, _traces, _grids, _estimates, _pictures
    ):  # fmt: skip
        yield from group()
