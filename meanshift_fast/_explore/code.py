"""The lines of Python, and the command, that give the answer shown."""

import math
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from meanshift_fast._files.csv_format import csv_line
from meanshift_fast._files.standard_input import StandardInput
from meanshift_fast.estimator import MeanShift
from meanshift_fast.io import Table

_DEFAULTS = MeanShift().get_params()


def python_lines(
    parameters: Mapping[str, Any], source: Table | None, *, has_weights: bool = False
) -> str:
    """Write the lines of Python that fit the model shown; without a source to an array ``X``."""
    listed = ", ".join(f"{name}={value!r}" for name, value in _changed(parameters))
    lines = ["from meanshift_fast import MeanShift"]
    rows, weights = "X", ", sample_weight=sample_weight" if has_weights else ""
    if source is not None:
        is_spooled = isinstance(source.path, StandardInput)
        path = source.path.name if is_spooled else str(source.path)
        options = "".join(f", {name}={value!r}" for name, value in source.options.items())
        lines += [
            "from meanshift_fast.io import open_table",
            "",
            *[f"# {path}: what standard input gave, saved"] * is_spooled,
            f"rows = open_table({path!r}{options}).read()",
        ]
        rows = "numpy.radians(rows.X)" if source.in_degrees else "rows.X"
        lines[:0] = ["import numpy", ""] * source.in_degrees
        weights = ", sample_weight=rows.weights" if source.choice.weight else ""
    else:
        lines.append("")
    lines += [f"model = MeanShift({listed}).fit({rows}{weights})", "labels = model.labels_"]
    return "\n".join(lines)


def command_line(
    parameters: Mapping[str, Any], source: Table | None, *, weight_column: int | None = None
) -> str:
    """Write the command that labels the rows so; an array is saved first, with its weights."""
    changed = dict(_changed(parameters))
    periods = changed.pop("period", None) or ()
    path, note = _read_by_command(source, weight_column)
    options = {} if source is None else source.options
    words = ["meanshift-fast", "cluster", path, *_flags(options.items())]
    if source is not None and source.in_degrees:
        words.append("--degrees")
        changed["bandwidth"] = math.degrees(parameters["bandwidth"])
    if weight_column is not None:
        words.append(f"--weight-column={weight_column}")
    words += _flags(changed.items())
    for column, length in enumerate(periods):
        name = column if source is None else source.choice.features[column]
        words += [f"--period={name}={length}"] if length else []
    # What is kept goes into a format with names.
    output = "labels.csv" if options.get("keep") else "labels.npy"
    return note + shlex.join([*words, "-o", output])


def _read_by_command(source: Table | None, weight_column: int | None) -> tuple[str, str]:
    """What the command reads, and a comment on what is to be done first."""
    if source is None:
        rows = "X" if weight_column is None else "numpy.column_stack([X, sample_weight])"
        return "X.npy", f'# after numpy.save("X.npy", {rows})\n'
    if isinstance(source.path, StandardInput):
        return "-", "# with the same standard input\n"
    return str(source.path), ""


def _changed(parameters: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The parameters that are not the defaults, but for those that change no answer."""
    return [
        (name, _plain(value))
        for name, value in parameters.items()
        if name not in ("progress", "n_jobs") and value != _DEFAULTS[name]
    ]


def _plain(value: Any) -> Any:
    """A number of Python's for one of NumPy's, whose ``repr`` names NumPy."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value


def _flags(options: Any) -> Iterator[str]:
    """Write options as the command line takes them; switches as --name or --no-name."""
    for name, value in options:
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            yield f"--{flag}" if value else f"--no-{flag}"
        elif isinstance(value, list | tuple):
            yield f"--{flag}={csv_line(value)}"
        else:
            yield f"--{flag}={value}"
