"""Units of the command line: degrees, kilometres on Earth, and columns that wrap around.

`--degrees`       the table's columns are converted to radians, and results back to degrees
`--bandwidth 5km` an angle, from a length on Earth
`--period A=24`   by the names of columns; the engine takes periods in the order of columns
"""

import argparse
import math
from argparse import Namespace
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._files.tables import MAX_BATCH_VALUES, Batch
from meanshift_fast._input.messages import quoted
from meanshift_fast._input.metrics import EARTH_RADIUS_KM, MAX_LATITUDE_ROUNDING
from meanshift_fast.io import Table
from meanshift_fast.trace import Trace

_KILOMETRES = {"km": 1.0, "m": 0.001}


class Arc(float):
    """An angle that was given as a length on Earth."""


def arc(text: str) -> Arc | None:
    """Read a length with its unit, as 50km or 300m; None where there is none."""
    for unit, kilometres in _KILOMETRES.items():
        number = text.removesuffix(unit)
        if number == text:
            continue
        try:
            length = float(number) * kilometres
        except ValueError:
            continue
        if not 0.0 < length < math.inf:
            raise argparse.ArgumentTypeError(f"a length must be positive, got {quoted(text)}")
        return Arc(length / EARTH_RADIUS_KM)
    return None


def period(text: str) -> tuple[str, float]:
    """Read NAME=LENGTH: a column that wraps around, and its period."""
    name, _, length = text.rpartition("=")
    try:
        value = float(length)
    except ValueError:
        value = math.nan
    if not (name and 0.0 < value < math.inf):
        raise argparse.ArgumentTypeError(f"a column and its period, as hour=24, got {quoted(text)}")
    return name, value


def add_degrees(parser: Any) -> None:
    """Add --degrees."""
    parser.add_argument(
        "--degrees",
        action="store_true",
        help="latitudes and longitudes are degrees, and so is a bandwidth without a unit",
    )


def metric_words(arguments: Namespace) -> dict[str, Any]:
    """The parameters of the metric, of commands that have them."""
    return {name: getattr(arguments, name) for name in ("metric", "period") if name in arguments}


def _are_degrees(arguments: Namespace) -> bool:
    """Whether --degrees is given."""
    return getattr(arguments, "degrees", False)


def clash(arguments: Namespace) -> str | None:
    """Describe which options of metrics do not go together; None where they do."""
    metric = getattr(arguments, "metric", "haversine")
    if metric != "haversine" and getattr(arguments, "degrees", False):
        return f"--degrees is for --metric haversine, got {metric}"
    if metric != "haversine" and isinstance(getattr(arguments, "bandwidth", None), Arc):
        return f"a bandwidth in m or km is for --metric haversine, got {metric}"
    is_plain = metric == "euclidean" and not getattr(arguments, "period", None)
    if getattr(arguments, "scale", False) and not is_plain:
        return "--scale measures columns, which have no other metric; leave it out"
    return None


class _Places(Table):
    """A table of latitudes and longitudes in radians; errors quote the file's own values."""

    largest: ClassVar[float] = 0.5 * math.pi + MAX_LATITUDE_ROUNDING
    wanted: ClassVar[str] = "-pi/2 and pi/2"
    remedy: ClassVar[str] = "give --degrees if the file holds degrees"

    def parts(self, most_values: int = MAX_BATCH_VALUES) -> Iterator[Batch]:
        """Read the rows in parts; refuse the first latitude beyond a pole."""
        n_rows = 0
        for part in super().parts(most_values):
            bad = np.flatnonzero(np.abs(part.X[:, 0]) > self.largest)
            if bad.size and part.X.shape[1] == 2:
                row = n_rows + part.row_of(bad[0])
                raise ValueError(
                    f"{self.path}: column {quoted(self.choice.features[0])} must hold latitudes "
                    f"between {self.wanted}, got {part.X[bad[0], 0]:.6g} at row {row}; "
                    f"{self.remedy}; the order is latitude, longitude, as in --columns lat,lon"
                )
            n_rows += part.n_rows
            yield part


class _PlacesInDegrees(_Places):
    """A table whose columns are degrees in the file."""

    in_degrees = True
    largest = 90.0 + math.degrees(MAX_LATITUDE_ROUNDING)
    wanted = "-90 and 90 degrees"
    remedy = "choose the columns"

    def parts(self, most_values: int = MAX_BATCH_VALUES) -> Iterator[Batch]:
        """Read the rows in parts, in radians."""
        for part in super().parts(most_values):
            yield part._replace(X=np.radians(part.X, dtype=np.float64))


def in_engine_units(arguments: Namespace, table: Table) -> Table:
    """Match options to the table's columns, once; places checked and in radians."""
    given = getattr(arguments, "period", None)
    if given is not None:
        arguments.period = _by_columns(given, table)
    if getattr(arguments, "metric", "") != "haversine":
        return table
    if not _are_degrees(arguments):
        return _Places(**vars(table))
    width = getattr(arguments, "bandwidth", None)
    if isinstance(width, float) and not isinstance(width, Arc):
        arguments.bandwidth = math.radians(width)
    return _PlacesInDegrees(**vars(table))


def _by_columns(given: list[tuple[str, float]], table: Table) -> tuple[float | None, ...]:
    """The periods in the order of the columns."""
    features, periods = table.choice.features, dict(given)
    if len(periods) < len(given):
        both = ", ".join(f"{name}={value:g}" for name, value in given)
        raise ValueError(f"period must be given once for a column, got {both}")
    for name in periods:
        if name not in features:
            raise ValueError(
                f"period must be of one of the columns {quoted(features)}, got {quoted(name)}"
            )
    return tuple(periods.get(name) for name in features)


def in_own_units(arguments: Namespace, values: NDArray[Any]) -> NDArray[Any]:
    """Values in degrees again, where the table was in degrees."""
    return np.degrees(values) if _are_degrees(arguments) else values


def bandwidth_text(arguments: Namespace, bandwidth: Any) -> str:
    """The bandwidth in the unit of the options; on Earth in kilometres too."""
    own = ", ".join(f"{width:.6g}" for width in np.atleast_1d(bandwidth))
    if getattr(arguments, "metric", "") != "haversine":
        return own
    are_degrees = _are_degrees(arguments)
    angle = math.radians(bandwidth) if are_degrees else bandwidth
    unit = "degrees" if are_degrees else "radians"
    return f"{own} {unit} ({angle * EARTH_RADIUS_KM:.6g} km on Earth)"


def traced_text(arguments: Namespace, traced: Trace) -> str:
    """A trace in words, in degrees where the table was in degrees."""
    return str(traced._in_degrees() if _are_degrees(arguments) else traced)
