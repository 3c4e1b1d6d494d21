"""The commands that read tables.

    cluster   table -> labels, and on demand centres and a model
    predict   model, table -> labels, batch by batch
    bandwidth, trace   table -> lines on stdout

`cluster` fits a table that is too large for the memory as a stream: batches to cells, cells to
centres, and once more batches to labels. stdout has the answer: one line, or one line of JSON. All
else goes to stderr.
"""

import json
import shutil
import sys
import time
from argparse import Namespace
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

import meanshift_fast
from meanshift_fast import MeanShift, estimate_bandwidth
from meanshift_fast._cli.memory import free_memory
from meanshift_fast._cli.output import Stdout, print_error_line, print_line, print_note
from meanshift_fast._cli.places import (
    bandwidth_text,
    clash,
    in_engine_units,
    in_own_units,
    metric_words,
    traced_text,
)
from meanshift_fast._files.atomic import check_target, write_whole
from meanshift_fast._files.formats import UNNAMED
from meanshift_fast._files.standard_input import StandardInput
from meanshift_fast._files.tables import Batch
from meanshift_fast._files.writers import spread_labels, write_centers, write_labels
from meanshift_fast._input.messages import counted, on_one_line, zero_reason
from meanshift_fast._input.progress import reporting
from meanshift_fast._input.remarks import remarks, spreads_of
from meanshift_fast._input.scaling import is_rule
from meanshift_fast._input.weights import checked_weights, without_weightless
from meanshift_fast.bandwidth import kernel_bandwidth
from meanshift_fast.io import Table, format_of, open_table
from meanshift_fast.models import load_model, write_model
from meanshift_fast.stream import fit_batches, sample_batches

OF_WHOLE_TABLES = ("stable", "fine")  # methods that estimate_bandwidth has not

Labels = tuple[NDArray[np.int64], Batch]


def cluster(arguments: Namespace) -> None:
    """Find the centres of a table and label its rows."""
    targets = [arguments.output, arguments.centers, arguments.model]
    for target in filter(None, targets):
        _check_target(target)
    began = time.perf_counter()
    table = opened(arguments)
    model = MeanShift(**{name: getattr(arguments, name) for name in arguments.parameters})
    was_read = began
    if is_stream := _is_stream(arguments, table):
        model = _fitted_on_batches(arguments, table, model)
        labelled = _labelled_parts(model, table)
    else:
        rows = table.read()
        was_read = time.perf_counter()
        _print_remarks(arguments, table, rows.X, rows_are_seeds=not arguments.bin_seeding)
        if arguments.quantile is not None or arguments.scale:
            model.set_params(bandwidth=found_bandwidth(arguments, rows))
        model.fit(rows.X, sample_weight=rows.weights)
        labelled = iter([(model.labels_, rows)])
    was_fitted = time.perf_counter()
    others: dict[Path, Callable[[Path], None]] = {}
    if arguments.centers:
        others[arguments.centers] = partial(
            write_centers,
            form=arguments.centers.suffix.lower(),
            centers=in_own_units(arguments, model.cluster_centers_),
            names=table.choice.features,
        )
    if arguments.model:
        others[arguments.model] = partial(_write_model, table, model)
    counts = _written(arguments, model, labelled, others)
    ended = time.perf_counter()

    bandwidth = in_own_units(arguments, np.asarray(model.bandwidth_)).tolist()
    facts = {
        **_count_facts(table, counts),
        "bandwidth": bandwidth,
        "n_iter": int(model.n_iter_),
        "stream": is_stream,
        "seconds": {
            "read": round(was_read - began, 6),
            "fit": round(was_fitted - was_read, 6),
            "write": round(ended - was_fitted, 6),
        },
        **_file_facts(arguments, "output", "centers", "model"),
    }
    print_answer(
        arguments,
        facts,
        f"{_shape_text(table, counts)}: {counted(len(counts) - 2, 'cluster')}"
        f"{_orphans_text(counts)}; bandwidth {bandwidth_text(arguments, bandwidth)}; "
        f"{ended - began:.2f} s{_output_text(arguments)}",
    )


def predict(arguments: Namespace) -> None:
    """Label the rows of a table by a model from a file, in memory for one batch."""
    _check_target(arguments.output)
    began = time.perf_counter()
    model = load_model(arguments.model)
    arguments.metric = model.metric
    if problem := clash(arguments):
        raise ValueError(problem)
    if hasattr(model, "feature_names_in_"):
        # These names choose the columns here, and order them where no others are named; the arrays
        # that `predict` gets have no names.
        names = model.feature_names_in_.tolist()
        del model.feature_names_in_
        has_header = arguments.header is not False
        is_named = has_header and format_of(arguments.input, arguments.format) not in UNNAMED
        given = names if arguments.columns is None else arguments.columns
        places = {name: place for place, name in enumerate(names)}
        if is_named and places.keys() >= {*given} - {*arguments.exclude}:
            # Names that are excluded may have no place; as they are left out, any place serves.
            arguments.columns = sorted(given, key=lambda name: places.get(name, -1))
    table = opened(arguments)
    n_features = len(table.choice.features)
    if n_features != model.n_features_in_:
        raise ValueError(
            f"{arguments.input} has {n_features} columns of numbers and the model "
            f"{model.n_features_in_}; choose with --columns"
        )
    model.set_params(n_jobs=arguments.n_jobs)
    counts = _written(arguments, model, _labelled_parts(model, table), {})
    seconds = time.perf_counter() - began
    n_met = int(np.count_nonzero(counts[2:]))
    facts = {
        **_count_facts(table, counts),
        "clusters_met": n_met,
        "seconds": {"all": round(seconds, 6)},
        **_file_facts(arguments, "output", "model"),
    }
    print_answer(
        arguments,
        facts,
        f"{_shape_text(table, counts)}: {n_met} of {counted(len(counts) - 2, 'cluster')}"
        f"{_orphans_text(counts)}; {seconds:.2f} s{_output_text(arguments)}",
    )


def bandwidth(arguments: Namespace) -> None:
    """Print the estimated bandwidth of a table: the number, and nothing else."""
    table = opened(arguments)
    if size := _too_large(table):
        print_note(f"{size}: estimating from a sample of the rows")
        rows = _sampled(table.batches)
    else:
        rows = table.read()
    how = {"sample_weight": rows.weights, "n_jobs": arguments.n_jobs, **metric_words(arguments)}
    if arguments.method in OF_WHOLE_TABLES:
        found = kernel_bandwidth(rows.X, arguments.method, "flat", **how)
    else:
        names = ("method", "quantile", "n_samples", "random_state")
        how |= {name: getattr(arguments, name) for name in names}
        found = estimate_bandwidth(rows.X, **how)
    width = float(in_own_units(arguments, np.asarray(found)))
    facts = {"bandwidth": width, "rows": len(rows.X), "columns": table.choice.features}
    print_answer(arguments, facts, repr(width))


def trace(arguments: Namespace) -> None:
    """Print the trajectory of one row, step by step."""
    table = opened(arguments)
    rows = table.read()
    missing = np.zeros(len(rows.X), dtype=np.bool_) if rows.missing is None else rows.missing
    if arguments.row >= len(missing):
        raise ValueError(
            f"row must be one of the {len(missing)} rows of {arguments.input}, which count from 0, "
            f"got {arguments.row}"
        )
    if missing[arguments.row]:
        raise ValueError(f"row {arguments.row} of {arguments.input} has missing values")
    index = arguments.row - np.count_nonzero(missing[: arguments.row])
    bandwidth = arguments.bandwidth
    if not isinstance(bandwidth, float):
        bandwidth = _estimated_bandwidth(arguments, rows)
    others = {name: getattr(arguments, name) for name in arguments.parameters}
    traced = meanshift_fast.trace(
        rows.X, rows.X[index], sample_weight=rows.weights, **(others | {"bandwidth": bandwidth})
    )
    facts = {
        "row": arguments.row,
        "columns": table.choice.features,
        "bandwidth": float(in_own_units(arguments, np.asarray(bandwidth))),
        "positions": in_own_units(arguments, traced.positions[0]).tolist(),
        "shifts": in_own_units(arguments, traced.shifts[0]).tolist(),
        "support": traced.support[0].tolist(),
    }
    print_answer(arguments, facts, traced_text(arguments, traced))


def opened(arguments: Namespace) -> Table:
    """Open the input by the options for it; columns that are left out are listed on stderr."""
    options = ("columns", "exclude", "format", "delimiter", "decimal", "header", "comment")
    table = open_table(
        arguments.input,
        weight_column=getattr(arguments, "weight_column", None),
        keep=getattr(arguments, "keep", ()),
        encoding=arguments.encoding,
        na=arguments.na,
        drop_missing=arguments.drop_missing,
        **{name: getattr(arguments, name) for name in options},
    )
    if table.left_out:
        names = [f"{name} ({held})" for name, held in table.left_out.items()]
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        print_note(f"left out: {', '.join(names[:5])}{more}")
    return in_engine_units(arguments, table)


@contextmanager
def spooled(arguments: Namespace) -> Iterator[None]:
    """Copy standard input to a temporary file: commands read a table more than once."""
    if str(getattr(arguments, "input", "")) != "-":
        yield
        return
    with TemporaryDirectory() as folder:
        arguments.input = StandardInput(folder, f"stdin.{arguments.format}")
        with arguments.input.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield


def _check_target(path: Path) -> None:
    """Check before the work that a file can be written after it; - always can."""
    if str(path) != "-":
        check_target(path)


def _print_remarks(
    arguments: Namespace, table: Table, X: NDArray[Any], *, rows_are_seeds: bool
) -> None:
    """Print remarks on a table that was likely meant otherwise."""
    one_bandwidth = not arguments.scale and np.ndim(arguments.bandwidth) == 0
    for remark in remarks(
        X, table.choice.features, one_bandwidth=one_bandwidth, rows_are_seeds=rows_are_seeds
    ):
        print_note(f"{remark.text}; {remark.option}")


def found_bandwidth(arguments: Namespace, rows: Batch) -> Any:
    """Find the bandwidth: by --quantile or a rule, with --scale in standard deviations."""
    if not arguments.scale:
        return _estimated_bandwidth(arguments, rows)
    weights = checked_weights(rows.weights, len(rows.X))
    spreads = spreads_of(*without_weightless(rows.X, weights))
    if not np.isfinite(spreads).all():
        raise ValueError(f"the columns of {arguments.input} are too large for --scale; divide them")
    lengths = np.where(spreads > 0.0, spreads, 1.0)
    width = arguments.bandwidth
    if is_rule(width) or arguments.quantile is not None:
        width = _estimated_bandwidth(arguments, rows._replace(X=rows.X / lengths))
    return np.asarray(width) * lengths


def _estimated_bandwidth(arguments: Namespace, rows: Batch) -> np.float64:
    """Estimate a kernel's bandwidth, by --quantile or the rule that --bandwidth names; not 0."""
    quantile = 0.3 if arguments.quantile is None else arguments.quantile
    found = kernel_bandwidth(
        rows.X,
        arguments.bandwidth,
        arguments.kernel,
        quantile=quantile,
        **metric_words(arguments),
        n_jobs=arguments.n_jobs,
        sample_weight=rows.weights,
    )
    if found == 0.0:
        reason = zero_reason(arguments.bandwidth, quantile, len(rows.X))
        raise ValueError(
            f"the rows of {arguments.input} give a bandwidth of 0, because {reason}; give a larger "
            "--quantile, or a --bandwidth"
        )
    return found


def _too_large(table: Table) -> str | None:
    """Describe a table that does not fit into half of the free memory; None for others."""
    free = free_memory()
    needed = 8 * table.n_rows * len(table.choice.numbers)
    if free is None or needed <= free // 2:
        return None
    return f"{table.path} takes {needed / 1e9:.3g} GB, and {free / 1e9:.3g} GB of memory are free"


def _is_stream(arguments: Namespace, table: Table) -> bool:
    """Whether to read a table in batches; a note says so where no option does."""
    if arguments.stream is not None:
        return bool(arguments.stream)
    if size := _too_large(table):
        print_note(f"{size}: fitting a stream, in cells of {arguments.resolution:g} bandwidths")
    return size is not None


def _fitted_on_batches(arguments: Namespace, table: Table, model: MeanShift) -> MeanShift:
    """Fit a model on the cells of a table's batches."""
    parameters = model.get_params()
    is_new = True

    def batches() -> Iterator[Any]:
        """Yield the batches, with remarks on the first."""
        nonlocal is_new
        for batch in table.batches():
            if is_new:
                is_new = False
                X = batch[0] if isinstance(batch, tuple) else batch
                _print_remarks(arguments, table, X, rows_are_seeds=False)
            yield batch

    if arguments.quantile is not None or arguments.scale:
        parameters["bandwidth"] = found_bandwidth(arguments, _sampled(batches))
    parameters |= {"resolution": arguments.resolution}
    return fit_batches(batches, **parameters)


def _sampled(batches: Callable[[], Iterator[Any]]) -> Batch:
    """Sample the rows that a stream's bandwidth is estimated from."""
    return Batch(*sample_batches(batches), None)


def _labelled_parts(model: MeanShift, table: Table) -> Iterator[Labels]:
    """Label a table part by part, with one progress bar."""
    model.set_params(progress=False)
    n_rows = 0
    with reporting("auto") as report:
        for part in table.parts():
            labels = model.predict(part.X) if len(part.X) else np.empty(0, dtype=np.int64)
            n_rows += len(labels)
            report(n_rows, max(n_rows, table.n_rows), "labels")
            yield labels, part


def _written(
    arguments: Namespace,
    model: MeanShift,
    labelled: Iterator[Labels],
    others: dict[Path, Callable[[Path], None]],
) -> NDArray[np.int64]:
    """Write labels and other files.

    Returns how many rows have missing values, how many are in no cluster, and in each.
    """
    counts = np.zeros(len(model.cluster_centers_) + 2, dtype=np.int64)
    is_unnamed = arguments.output is not None and arguments.output.suffix.lower() in UNNAMED
    empty = arguments.missing_label == "empty" and not is_unnamed

    def counting() -> Iterator[tuple[Any, Any]]:
        """Count labels, and prepare them for writing."""
        for labels, (*_, kept, missing) in labelled:
            counts[1:] += np.bincount(labels + 1, minlength=len(counts) - 1)
            counts[0] += 0 if missing is None else np.count_nonzero(missing)
            yield spread_labels(labels, missing, empty), kept

    if arguments.output is None:
        write_whole(others)
        deque(counting(), maxlen=0)
    elif str(arguments.output) == "-":
        write_whole(others)
        stdout: Any = Stdout()
        write_labels(stdout, ".csv", counting(), arguments.input)
        stdout.flush()
    else:
        form = arguments.output.suffix.lower()
        labels = {
            arguments.output: lambda part: write_labels(part, form, counting(), arguments.input)
        }
        write_whole(labels | others)
    return counts


def _write_model(table: Table, model: MeanShift, part: Path) -> None:
    """Write the model, with the names of the columns."""
    if table.has_names:
        model.feature_names_in_ = np.array(table.choice.features, dtype=object)
    write_model(model, part)


def print_answer(arguments: Namespace, facts: dict[str, Any], line: str) -> None:
    """Print the answer; on stderr where stdout has the labels."""
    is_stdout_taken = str(getattr(arguments, "output", None)) == "-"
    if arguments.json:
        (print_error_line if is_stdout_taken else print_line)(json.dumps(facts))
    else:
        (print_note if is_stdout_taken else print_line)(line)


def _output_text(arguments: Namespace) -> str:
    """Where the labels are, as the end of a line."""
    if arguments.output is None:
        return f"; no labels written, but {arguments.centers or arguments.model}"
    return "" if str(arguments.output) == "-" else f"; labels in {arguments.output}"


def _file_facts(arguments: Namespace, *names: str) -> dict[str, str]:
    """The files written, by option."""
    paths = {name: getattr(arguments, name) for name in names}
    return {name: str(path) for name, path in paths.items() if path}


def _count_facts(table: Table, counts: NDArray[np.int64]) -> dict[str, Any]:
    """The shape of the table and the counts of its labels."""
    return {
        "rows": int(counts.sum()),
        "columns": table.choice.features,
        "clusters": len(counts) - 2,
        "orphans": int(counts[1]),
        **({"missing": int(counts[0])} if counts[0] else {}),
    }


def _shape_text(table: Table, counts: NDArray[np.int64]) -> str:
    """The shape of the table, in words."""
    names = table.choice.features
    listed = ", ".join(map(on_one_line, names[:5])) + (", ..." if len(names) > 5 else "")
    return f"{counted(counts.sum(), 'row')}, {counted(len(names), 'column')} ({listed})"


def _orphans_text(counts: NDArray[np.int64]) -> str:
    """The rows without a label, in words."""
    orphans = f", {counted(counts[1], 'row')} in none" if counts[1] else ""
    missing = f", {counted(counts[0], 'row')} with missing values" if counts[0] else ""
    return orphans + missing
