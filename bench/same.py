"""Whether a refactoring changed any bit of any answer: record before it, compare after it.

    python -m bench.same record FILE     run all settings --> digests and small arrays --> FILE
    python -m bench.same compare FILE    run all settings --> differences from FILE    --> exit code

The settings are those of `bench.same_fits`, `bench.same_others` and `bench.same_errors`. An outcome
is a set of named parts: arrays, numbers and texts, warnings and the error among them. FILE is an
``.npz`` file without pickles: an index in JSON that has a digest of each part, and the arrays of at
most 20,000 values, from which `compare` says how large a difference is.

The results do not depend on the number of threads, so FILE serves with any of them.
"""

import argparse
import hashlib
import json
import re
import sys
import time
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from bench.same_errors import errors
from bench.same_fits import Parts, Setting, fits
from bench.same_others import others

MAX_KEPT_VALUES = 20_000  # of an array that FILE holds
INDEX = "index"
# Parts whose differences are told in bandwidths too.
LENGTHS = ("cluster_centers_", "loaded.cluster_centers_", "bandwidth_")
# Importing an optional library may give these, in the first setting that needs it.
NOT_OURS = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


class Record(NamedTuple):
    """One part of an outcome as FILE describes it.

    Attributes
    ----------
    form : str
        "text"; or the type, dtype, shape and memory layout.
    digest : str
        SHA-256 of the form and of all bytes.
    text : str
        The text, where it is one; else the largest absolute value.
    """

    form: str
    digest: str
    text: str


class Recording(NamedTuple):
    """What FILE holds.

    Attributes
    ----------
    parts : dict
        Name of the setting -> name of the part -> its record.
    arrays : mapping
        "setting/part" -> the array, where it is small.
    """

    parts: dict[str, dict[str, Record]]
    arrays: Mapping[str, npt.NDArray[Any]]


def outcome(setting: Setting) -> Parts:
    """Run one setting, with random numbers of its own.

    Returns
    -------
    parts : dict
        What came out; an exception is the part "error", and warnings are the part "warnings".
    """
    rng = np.random.default_rng(zlib.crc32(setting.name.encode()))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            parts = setting.run(rng)
        except Exception as error:
            parts = {"error": f"{type(error).__qualname__}: {_sorted_sets(str(error))}"}
    lines = [
        # The file: a warning is to point to the caller's line, not to one of the package.
        f"{warning.category.__name__} in {Path(warning.filename).name}: {warning.message}"
        for warning in caught
        if not issubclass(warning.category, NOT_OURS)
    ]
    return parts | {"warnings": "\n".join(lines)}


def _sorted_sets(text: str) -> str:
    """Write the sets in a text in ascending order; scikit-learn writes them as they are hashed."""
    return re.sub(
        r"\{([^{}:]*)\}", lambda found: f"{{{', '.join(sorted(found[1].split(', ')))}}}", text
    )


def described(value: Any) -> Record:
    """Describe a part: a text, a number or a numeric array."""
    if isinstance(value, str):
        form, content, text = "text", value.encode(), value
    else:
        array = np.asarray(value)
        order = "C" if array.flags.c_contiguous else "F" if array.flags.f_contiguous else "strided"
        access = "" if array.flags.writeable else ", read-only"
        form = f"{type(value).__name__} {array.dtype.str} {array.shape} {order}{access}"
        content = array.tobytes()
        text = f"{_largest(array):.3g}"
    return Record(form, hashlib.sha256(form.encode() + b"\0" + content).hexdigest(), text)


def _largest(array: npt.NDArray[Any]) -> float:
    """The largest absolute value; of no values, 0."""
    return float(np.abs(array.astype(np.float64)).max(initial=0.0))


def record(path: Path, chosen: Sequence[Setting]) -> int:
    """Run settings and write what comes out to a file.

    Parameters
    ----------
    path : Path
        The file; one that is there is replaced.
    chosen : sequence of Setting

    Returns
    -------
    n_parts : int
    """
    index, arrays = {}, {}
    for setting in chosen:
        parts = outcome(setting)
        index[setting.name] = {name: described(value) for name, value in parts.items()}
        for name, value in parts.items():
            if not isinstance(value, str) and np.size(value) <= MAX_KEPT_VALUES:
                arrays[f"{setting.name}/{name}"] = np.asarray(value)
    arrays[INDEX] = np.frombuffer(json.dumps(index).encode(), dtype=np.uint8)
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return sum(map(len, index.values()))


def read(path: Path) -> Recording:
    """Read what `record` wrote."""
    arrays = np.load(path, allow_pickle=False)
    index = {
        setting: {name: Record(*fields) for name, fields in parts.items()}
        for setting, parts in json.loads(arrays[INDEX].tobytes()).items()
    }
    return Recording(index, arrays)


def differences(recording: Recording, setting: Setting) -> Iterator[str]:
    """Run one setting and give a line for each part that is not as recorded."""
    before = recording.parts.get(setting.name)
    if before is None:
        yield "is not in the file"
        return
    parts = outcome(setting)
    bandwidth = parts.get("bandwidth_", 0.0)
    unit = float(np.max(bandwidth)) if np.size(bandwidth) else 0.0
    for name in [*before, *(name for name in parts if name not in before)]:
        if name not in parts:
            yield f"{name}: is missing, was {_shown(before[name])}"
        elif name not in before:
            yield f"{name}: is new, {_shown(described(parts[name]))}"
        elif (now := described(parts[name])) != before[name]:
            kept = recording.arrays.get(f"{setting.name}/{name}")
            length = unit if name in LENGTHS else 0.0
            yield f"{name}: {_difference(before[name], now, kept, parts[name], length)}"


def _shown(part: Record) -> str:
    return repr(part.text) if part.form == "text" else f"{part.form}, up to {part.text}"


def _difference(
    before: Record, now: Record, kept: npt.NDArray[Any] | None, value: Any, unit: float
) -> str:
    """Say how a part differs; ``unit`` is the bandwidth, or 0 where there is none."""
    if before.form != now.form or now.form == "text":
        return f"was {_shown(before)}, is {_shown(now)}"
    if kept is None:
        return f"other bytes, {_shown(now)}, was up to {before.text}"
    one, other = kept.astype(np.float64), np.asarray(value).astype(np.float64)
    differ = ~((one == other) | (np.isnan(one) & np.isnan(other)))
    with np.errstate(all="ignore"):
        gaps = np.abs(one - other)[differ]
        relative = gaps / np.maximum(np.abs(one), np.abs(other))[differ]
    largest = gaps.max(initial=0.0)
    return (
        f"{np.count_nonzero(differ):,} of {one.size:,} values, largest difference {largest:.2g}"
        + (f" or {largest / unit:.2g} bandwidths" if unit > 0.0 else "")
        + f", relative {relative.max(initial=0.0):.2g}"
    )


def compare(path: Path, chosen: Sequence[Setting], only: str) -> int:
    """Run settings and print what is not as the file has it.

    Parameters
    ----------
    path : Path
        What `record` wrote.
    chosen : sequence of Setting
    only : str
        What the names of the settings contain.

    Returns
    -------
    n_different : int
        Settings with a difference, or that are in one place only.
    """
    recording = read(path)
    names = {setting.name for setting in chosen}
    lost = [name for name in recording.parts if only in name and name not in names]
    for name in lost:
        print(f"{name}\n    is in the file only")
    n_different = len(lost)
    for setting in chosen:
        lines = list(differences(recording, setting))
        if lines:
            print("\n    ".join([setting.name, *lines]), flush=True)
            n_different += 1
    return n_different


def main(arguments: Sequence[str] | None = None) -> int:
    """Record or compare; 1 where anything differs."""
    parser = argparse.ArgumentParser(prog="python -m bench.same", description=__doc__)
    parser.add_argument("action", choices=("record", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="of the settings' names")
    parser.add_argument("--threads", type=int, default=2, help="1 is the fastest on a busy machine")
    options = parser.parse_args(arguments)
    numba.set_num_threads(max(1, min(options.threads, numba.get_num_threads())))
    chosen = [
        setting for setting in (*fits(), *others(), *errors()) if options.only in setting.name
    ]
    if not chosen:
        parser.error(f"no setting's name contains {options.only!r}")
    began = time.perf_counter()
    if options.action == "record":
        n_parts = record(options.file, chosen)
        told, code = f"{len(chosen)} settings, {n_parts:,} parts recorded", 0
    else:
        n_different = compare(options.file, chosen, options.only)
        told = f"{len(chosen)} settings, {n_different or 'all'} "
        told, code = told + ("different" if n_different else "equal"), int(n_different > 0)
    print(told)
    print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
