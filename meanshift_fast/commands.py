"""What the commands of the command line do, once their arguments are understood.

    cluster   table -> labels, and on demand centres and a model
    predict   model, table -> labels, batch by batch
    bandwidth, trace, info, warmup   -> lines on stdout

stdout carries the answer: one line, or one line of JSON. All else goes to stderr.
"""

import importlib.metadata
import json
import platform
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numba.np.ufunc import threading_layer
from numpy.typing import NDArray

import meanshift_fast
from meanshift_fast import MeanShift, demo, estimate_bandwidth
from meanshift_fast.formats import Batch
from meanshift_fast.io import (
    Table,
    check_target,
    open_table,
    write_centers,
    write_labels,
    write_whole,
)
from meanshift_fast.models import load_model, write_model
from meanshift_fast.threads import thread_count

_PACKAGES = (
    "numpy",
    "numba",
    "llvmlite",
    "scikit-learn",
    "pyarrow",
    "psutil",
    "tqdm",
    "matplotlib",
    "pillow",
)


def cluster(arguments: Namespace) -> None:
    """Find the centres of a table and label its rows."""
    targets = [arguments.output, arguments.centers, arguments.model]
    for target in filter(None, targets):
        check_target(target)
    began = time.perf_counter()
    table = _opened(arguments)
    rows = table.read()
    model = MeanShift(**{name: getattr(arguments, name) for name in arguments.parameters})
    model.set_params(progress=_has_terminal())
    was_read = time.perf_counter()
    if arguments.quantile is not None:
        model.set_params(bandwidth=_radius(arguments, rows, quantile=arguments.quantile))
    model.fit(rows.X, sample_weight=rows.weights)
    if table.has_names:
        model.feature_names_in_ = np.array(table.choice.features, dtype=object)
    was_fitted = time.perf_counter()

    writers: dict[Path, Callable[[Path], None]] = {
        arguments.output: _label_writer(arguments, [(model.labels_, rows.kept)])
    }
    if arguments.centers:
        form, names = arguments.centers.suffix.lower(), table.choice.features
        centers = model.cluster_centers_
        writers[arguments.centers] = lambda part: write_centers(part, form, centers, names)
    if arguments.model:
        writers[arguments.model] = partial(write_model, model)
    write_whole(writers)
    was_written = time.perf_counter()

    bandwidth = np.asarray(model.bandwidth_).tolist()
    n_clusters = len(model.cluster_centers_)
    n_orphans = int(np.count_nonzero(model.labels_ < 0))
    facts = {
        "rows": len(model.labels_),
        "columns": table.choice.features,
        "clusters": n_clusters,
        "orphans": n_orphans,
        "bandwidth": bandwidth,
        "n_iter": int(model.n_iter_),
        "seconds": {
            "read": round(was_read - began, 6),
            "fit": round(was_fitted - was_read, 6),
            "write": round(was_written - was_fitted, 6),
        },
        **_told_files(arguments, "output", "centers", "model"),
    }
    orphans = f", {n_orphans:,} rows in none" if n_orphans else ""
    _answer(
        arguments,
        facts,
        f"{_told_shape(table, len(model.labels_))}: {_counted(n_clusters, 'cluster')}{orphans}; "
        f"bandwidth {_told_bandwidth(bandwidth)}; {was_written - began:.2f} s; labels in "
        f"{arguments.output}",
    )


def predict(arguments: Namespace) -> None:
    """Label the rows of a table by a model from a file, in memory for one batch."""
    check_target(arguments.output)
    began = time.perf_counter()
    model = load_model(arguments.model)
    if hasattr(model, "feature_names_in_"):
        # By these the columns are chosen here; the arrays that `predict` gets have no names.
        names = model.feature_names_in_.tolist()
        del model.feature_names_in_
        if arguments.columns is None and arguments.input.suffix.lower() != ".npy":
            arguments.columns = names
    table = _opened(arguments)
    n_features = len(table.choice.features)
    if n_features != model.n_features_in_:
        raise ValueError(
            f"{arguments.input} has {n_features} columns of numbers and the model "
            f"{model.n_features_in_}; choose with --columns"
        )
    model.set_params(n_jobs=arguments.n_jobs, progress=_has_terminal())
    counts = np.zeros(len(model.cluster_centers_) + 1, dtype=np.int64)

    def pieces() -> Iterator[tuple[NDArray[np.int64], Any]]:
        for rows in table.parts():
            labels = model.predict(rows.X)
            counts[:] += np.bincount(labels + 1, minlength=len(counts))
            yield labels, rows.kept

    write_whole({arguments.output: _label_writer(arguments, pieces())})
    seconds = time.perf_counter() - began
    n_rows, n_clusters = int(counts.sum()), int(np.count_nonzero(counts[1:]))
    facts = {
        "rows": n_rows,
        "columns": table.choice.features,
        "clusters": len(model.cluster_centers_),
        "clusters_met": n_clusters,
        "orphans": int(counts[0]),
        "seconds": {"all": round(seconds, 6)},
        **_told_files(arguments, "output", "model"),
    }
    orphans = f", {counts[0]:,} rows in none" if counts[0] else ""
    _answer(
        arguments,
        facts,
        f"{_told_shape(table, n_rows)}: {n_clusters} of "
        f"{_counted(len(model.cluster_centers_), 'cluster')}{orphans}; {seconds:.2f} s; "
        f"labels in {arguments.output}",
    )


def bandwidth(arguments: Namespace) -> None:
    """Say the estimated bandwidth of a table: the number, and nothing else."""
    table = _opened(arguments)
    rows = table.read()
    found = _estimated(
        arguments,
        rows,
        quantile=arguments.quantile,
        n_samples=arguments.n_samples,
        random_state=arguments.random_state,
        method=arguments.method,
    )
    facts = {"bandwidth": found, "rows": len(rows.X), "columns": table.choice.features}
    _answer(arguments, facts, repr(found))


def trace(arguments: Namespace) -> None:
    """Tell the story of one row."""
    table = _opened(arguments)
    rows = table.read()
    if arguments.row >= len(rows.X):
        raise ValueError(
            f"row must be one of the {len(rows.X)} rows of {arguments.input}, which count from 0, "
            f"got {arguments.row}"
        )
    bandwidth = arguments.bandwidth
    if arguments.quantile is not None:
        bandwidth = _radius(arguments, rows, quantile=arguments.quantile)
    elif bandwidth is None:
        bandwidth = _radius(arguments, rows)
    elif isinstance(bandwidth, str):
        bandwidth = _radius(arguments, rows, method=bandwidth)
    others = {name: getattr(arguments, name) for name in arguments.parameters}
    story = meanshift_fast.trace(
        rows.X,
        rows.X[arguments.row],
        sample_weight=rows.weights,
        **(others | {"bandwidth": bandwidth}),
    )
    facts = {
        "row": arguments.row,
        "columns": table.choice.features,
        "bandwidth": bandwidth,
        "positions": story.positions[0].tolist(),
        "shifts": story.shifts[0].tolist(),
        "support": story.support[0].tolist(),
    }
    _answer(arguments, facts, str(story))


def info(arguments: Namespace) -> None:
    """Say versions, threads and the cache folder."""
    demo.say(f"meanshift_fast   {meanshift_fast.__version__}")
    demo.say(f"python           {platform.python_version()} on {platform.platform(terse=True)}")
    for package in _PACKAGES:
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            version = "not installed"
        demo.say(f"{package:<16} {version}")
    # Asking for the number of threads starts them, and only then has the layer a name.
    demo.say(f"threads          {thread_count(None)} of {thread_count(-1)}")
    demo.say(f"threading layer  {threading_layer()}")
    folders = demo.cache_folders()
    for folder in folders:
        demo.say(f"cache folder     {folder} ({len(list(folder.glob('*.nbi')))} kernels)")
    if not folders:
        demo.say("cache folder     none: every process compiles for itself")


def warmup(arguments: Namespace) -> None:
    """Compile the kernels, or load them from the cache."""
    demo.warm_up()


def show(arguments: Namespace) -> None:
    """Run the demo."""
    demo.run(arguments.output, compare=arguments.compare, n_jobs=arguments.n_jobs)


def _opened(arguments: Namespace) -> Table:
    return open_table(
        arguments.input,
        columns=arguments.columns,
        weight_column=getattr(arguments, "weight_column", None),
        keep=getattr(arguments, "keep", ()),
    )


def _has_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _estimated(arguments: Namespace, rows: Batch, **settings: Any) -> float:
    found = estimate_bandwidth(
        rows.X, sample_weight=rows.weights, n_jobs=arguments.n_jobs, **settings
    )
    return float(found)


def _radius(arguments: Namespace, rows: Batch, **settings: Any) -> float:
    """Estimate a bandwidth that must not be 0."""
    found = _estimated(arguments, rows, **settings)
    if found == 0.0:
        raise ValueError(
            f"the rows of {arguments.input} give a bandwidth of 0, as many are equal; give a "
            "larger --quantile, or a --bandwidth"
        )
    return found


def _label_writer(arguments: Namespace, pieces: Any) -> Callable[[Path], None]:
    form = arguments.output.suffix.lower()
    return lambda part: write_labels(part, form, pieces)


def _answer(arguments: Namespace, facts: dict[str, Any], line: str) -> None:
    demo.say(json.dumps(facts) if arguments.json else line)


def _told_files(arguments: Namespace, *names: str) -> dict[str, str]:
    paths = {name: getattr(arguments, name) for name in names}
    return {name: str(path) for name, path in paths.items() if path}


def _told_shape(table: Table, n_rows: int) -> str:
    names = table.choice.features
    told = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"{_counted(n_rows, 'row')}, {_counted(len(names), 'column')} ({told})"


def _told_bandwidth(bandwidth: Any) -> str:
    return ", ".join(f"{width:.6g}" for width in np.atleast_1d(bandwidth))


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
