"""Options of the command line: parameters in kebab case, and readers of their values.

A text that an option cannot take is wrong usage: the exit code is 2.
"""

import argparse
import inspect
import re
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from sklearn.utils._param_validation import Interval, StrOptions

from meanshift_fast._cli.places import add_degrees, arc, period
from meanshift_fast._files.formats import FORMATS
from meanshift_fast._input.messages import quoted
from meanshift_fast._input.scaling import POSITIVE
from meanshift_fast.estimator import MeanShift

_CONSTRAINTS = MeanShift._parameter_constraints

# A comma and a name after it, in quotes (group 1) or bare (group 2).
_NAME = re.compile(r',(?:"((?:[^"]|"")*)"(?=,|\Z)|([^,]*))')

# Help for the parameters whose constraints make an option. `bandwidth` and `n_jobs` are added
# apart; `seeds` is no option, and `progress` keeps its default.
_HELP = {
    "kernel": "how the rows in a ball count",
    "bin_seeding": "start from the occupied bins rather than from every row",
    "min_bin_freq": "only bins that hold so many rows are seeds",
    "cluster_all": "give rows beyond the bandwidth of every centre the nearest, not -1",
    "assign": "rows take the nearest centre, or the one that their own trajectory reaches",
    "tol": "a trajectory ends with the first move of at most so many bandwidths",
    "max_iter": "a trajectory ends after so many moves and one",
    "coalesce": "trajectories in one cell of so many bandwidths go on as one",
    "min_support": "drop centres of less support: a weight, or below 1 a share of the heaviest's",
    "metric": "distances in the columns, between latitudes and longitudes, or by the cosine",
    "min_prominence": "merge modes less prominent: at least 0 and below 1, or auto, which merges "
    "what sampling alone may have produced",
    "accuracy": "the largest error of one shift, in bandwidths",
}


def add_parameters(
    parser: argparse.ArgumentParser,
    function: Callable[..., Any],
    bandwidth: Callable[[str], Any],
    **defaults: Any,
) -> None:
    """Add the parameters that a function shares with MeanShift, as options.

    ``bandwidth`` reads the text of ``--bandwidth``. The names go to the default ``parameters``.
    ``defaults`` are those that are not MeanShift's.
    """
    rules = ", ".join(choices("bandwidth"))
    each = " or one for each column," if bandwidth is lengths else ""
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--bandwidth",
        type=bandwidth,
        metavar="X",
        help=f"the radius,{each} or one of {rules} (default: estimated); places on Earth: 50km",
    )
    add_quantile(either)
    shared = set(inspect.signature(function).parameters) - {"seeds", "progress"}
    if "metric" in shared:
        add_degrees(parser)
    parameters = [p for p in inspect.signature(MeanShift).parameters.values() if p.name in shared]
    parser.set_defaults(parameters=[parameter.name for parameter in parameters])
    for parameter in parameters:
        if parameter.name == "period":
            add_period(parser)
        elif parameter.name not in ("bandwidth", "n_jobs"):
            default = defaults.get(parameter.name, parameter.default)
            _add_parameter_of_fit(parser, parameter.name, default)


def add_parameter(
    parser: argparse.ArgumentParser, name: str, constraints: list[Any], default: Any, about: str
) -> None:
    """Add a parameter as an option that takes what scikit-learn's constraints allow.

    ``default`` is that of a signature: a parameter without one is required.
    """
    how: dict[str, Any] = {"default": default}
    if default is inspect.Parameter.empty:
        how = {"required": True}
    elif default is not None:
        said = {True: "yes", False: "no"} if "boolean" in constraints else {}
        about += f" (default: {said.get(default, default)})"
    words = _words(constraints)
    if "boolean" in constraints:
        how["action"] = argparse.BooleanOptionalAction
    elif words and len(constraints) == 1:
        how["choices"] = words
    else:
        how |= {"type": number(name, constraints), "metavar": "X"}
    parser.add_argument(f"--{name.replace('_', '-')}", help=about, **how)


def _add_parameter_of_fit(parser: argparse.ArgumentParser, name: str, default: Any) -> None:
    """Add one parameter of MeanShift as an option."""
    about = _HELP.get(name, "as in MeanShift")
    add_parameter(parser, name, _CONSTRAINTS[name], default, about)


def add_quantile(parser: Any, default: float | None = None) -> None:
    """Add --quantile to a parser or a group."""
    parser.add_argument(
        "--quantile",
        type=number("quantile", [Interval(Real, 0, 1, closed="both")]),
        default=default,
        metavar="Q",
        help="estimate the bandwidth: balls hold this part of the rows (default: 0.3)",
    )


def add_metric(parser: argparse.ArgumentParser) -> None:
    """Add --metric, --degrees and --period."""
    _add_parameter_of_fit(parser, "metric", "euclidean")
    add_degrees(parser)
    add_period(parser)


def add_period(parser: argparse.ArgumentParser) -> None:
    """Add --period."""
    parser.add_argument(
        "--period",
        type=period,
        action="append",
        metavar="COLUMN=X",
        help="a column that wraps around, and its period, as hour=24; once for each",
    )


def choices(name: str) -> list[str]:
    """List the choices of a parameter of MeanShift."""
    return _words(_CONSTRAINTS[name])


def _words(constraints: Sequence[Any]) -> list[str]:
    """List the words that constraints allow."""
    options = [c.options for c in constraints if isinstance(c, StrOptions)]
    return sorted(word for group in options for word in group)


def number(name: str, constraints: Sequence[Any]) -> Callable[[str], Any]:
    """Make a reader of what a parameter's constraints allow: an interval of numbers, or words."""
    (interval,) = (constraint for constraint in constraints if isinstance(constraint, Interval))
    words = _words(constraints)

    def read(text: str) -> Any:
        """Read a number within the interval, or one of the words."""
        if text in words:
            return text
        try:
            value = int(text) if interval.type is Integral else float(text)
        except ValueError:
            value = None
        if value is None or not interval.is_satisfied_by(value):
            others = f"; or one of {', '.join(words)}" if words else ""
            raise argparse.ArgumentTypeError(
                f"{name} must be {interval}, got {quoted(text)}{others}"
            )
        return value

    return read


def whole(name: str, least: int) -> Callable[[str], Any]:
    """Make a reader of whole numbers, ``least`` or more."""
    return number(name, [Interval(Integral, least, None, closed="left")])


def length(text: str) -> float | str:
    """Read a bandwidth: a length on Earth with its unit, a number, or the name of a rule."""
    angle = arc(text)
    bandwidth: float | str = (
        number("bandwidth", _CONSTRAINTS["bandwidth"])(text) if angle is None else angle
    )
    return bandwidth


def lengths(text: str) -> float | str | list[float]:
    """Read a bandwidth, or one for each column with commas between them."""
    if "," not in text:
        return length(text)
    return [number("bandwidth", [POSITIVE])(part) for part in text.split(",")]


def n_jobs(text: str) -> int:
    """Read a number of threads."""
    try:
        threads = int(text)
    except ValueError:
        threads = 0
    if threads == 0:
        raise argparse.ArgumentTypeError(
            f"n_jobs must be a whole number other than 0, got {quoted(text)}; -1 means all threads"
        )
    return threads


def names(text: str) -> list[str]:
    """Split at commas; quotes hold a name with a comma, or with quotes, which are doubled."""
    found = _NAME.findall(f",{text}") if text else []
    return [quoted_name.replace('""', '"') or name for quoted_name, name in found]


def png(text: str) -> Path:
    """Read the name of a picture."""
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(
            f"the picture is a PNG file, got {quoted(text)}; name it *.png"
        )
    return path


def one_character(text: str) -> str:
    """Read a character; `tab` and a backslash with a t are a tab."""
    character = "\t" if text in ("tab", "\\t") else text
    if len(character) != 1:
        raise argparse.ArgumentTypeError(f"one character, or tab, got {quoted(text)}")
    return character


def output_file(text: str) -> Path:
    """Read the name of an output table; - is the standard output."""
    return Path(text) if text == "-" else table_file(text)


def file_of(forms: Sequence[str]) -> Callable[[str], Path]:
    """Make a reader of names of files that are to be written, in one of some formats."""

    def read(text: str) -> Path:
        """Read a name whose end is that of a format."""
        path = Path(text)
        if path.suffix.lower() not in forms:
            raise argparse.ArgumentTypeError(
                f"the name chooses the format, got {quoted(text)}; it must end in "
                f"{', '.join(forms)}"
            )
        return path

    read.is_path = True  # type: ignore[attr-defined]
    return read


table_file = file_of(FORMATS)
# Completion offers files for these too.
png.is_path = output_file.is_path = True  # type: ignore[attr-defined]
