"""Metrics: how rows enter the engine's space, what a bandwidth is there, and how positions leave.

                 rows                    engine's columns            a bandwidth r there
    euclidean    as they are             the same                    r
    period       as they are             wrapped to [0, period)      r; rows repeat across the seams
    haversine    latitude, longitude     unit vectors, 3 columns     the chord 2 sin(r / 2)
    cosine       any but 0               of length 1                 the chord sqrt(2 r)

A cap of the sphere is the part of the sphere in a ball about a point of it, so the engine's balls
serve as they are. A mean of unit vectors lies inside the sphere; the direction of it is where a
shift leads, and `_index/sphere.py` brings it back. Angles come from chords and from arctan2: near 0
the arccosine of a dot product has lost half of the digits.

A metric is a class here and an entry of `_METRICS`. The engine does not know it by name: it sees
the `Units` that a metric makes, whose ``angle`` or ``period`` say that the space is a sphere or
wraps around. Pictures choose a page by its ``page`` (`_pictures/spaces.py`).
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._input.messages import quoted
from meanshift_fast._input.scaling import (
    NO_PERIOD,
    Units,
    checked_lengths,
    is_number,
    overflows,
    units_of,
)
from meanshift_fast._input.wrapping import short_way, wrapped

_Floats = NDArray[np.float64]

EARTH_RADIUS_KM = 6371.0088  # the mean radius of the Earth
MAX_LATITUDE_ROUNDING = 1e-6  # float32 exceeds pi / 2 by 4e-8, and some conversions round worse
POLE_DISTANCE = 1e-15  # radians within which a position is at the pole: unit vectors hold no less
WIDE = 1.0 + 1e-9  # times the diameter: a cap of pi holds rows on the opposite side, rounded or not


class Metric:
    """The Euclidean metric, and what every other metric answers too."""

    name = "euclidean"
    has_arcs = False  # whether a ball's radius in the engine is not the length along the space
    has_rules_of_thumb = True  # "scott" and "silverman", which measure the spread of columns
    period = NO_PERIOD  # infinite where a column does not wrap
    page = "columns"  # of pictures: "columns", "map" or "wrapped"
    move_unit = "the unit of the columns"
    min_length = 0.0  # of an estimated radius
    is_plain = True  # whether the engine's columns are the rows' own, without seams

    def n_columns(self, n_features: int) -> int:
        """How many columns rows have in the engine."""
        return n_features

    def n_features(self, n_columns: int) -> int:
        """The number of input columns, from that of engine columns."""
        return n_columns

    def dimension(self, n_columns: int) -> int:
        """How many dimensions the space has, in which a ball has its variance."""
        return n_columns

    def enter(self, table: NDArray[Any], name: str = "X", first: int = 0) -> NDArray[Any]:
        """Bring rows into the engine's space; the table itself where that is the same.

        ``name`` and ``first``, the number of the first row, are for messages.
        """
        return table

    def leave(self, positions: _Floats, dtype: Any = np.float64) -> NDArray[Any]:
        """Bring positions back into the columns of the rows."""
        return positions.astype(dtype)

    def cast(self, centers: _Floats, dtype: Any) -> NDArray[Any]:
        """Centres in another format, which may round."""
        return centers.astype(dtype)

    def distances(self, points: _Floats, position: _Floats) -> _Floats:
        """How far points are from a position, in the engine's columns."""
        lengths: _Floats = np.linalg.norm(points - position, axis=1)
        return lengths

    def checked_bandwidth(self, bandwidth: Any, n_features: int) -> Any:
        """Refuse a bandwidth that the metric has no ball for; a number, or one for each column."""
        if is_number(bandwidth):
            return bandwidth
        return checked_lengths("bandwidth", bandwidth, n_features)

    def units(
        self,
        bandwidth: float | _Floats,
        *tables: _Floats,
        in_bandwidths: bool = False,
        in_bins: bool = False,
    ) -> Units:
        """Choose the engine's unit for a bandwidth and tables in the engine's columns."""
        length = self.length_of(bandwidth) if in_bandwidths else self.side(bandwidth)
        units = units_of(length, *tables, in_bandwidths=in_bandwidths, in_bins=in_bins)
        return self._in_space(units, bandwidth)

    def _in_space(self, units: Units, bandwidth: Any) -> Units:
        """Say of a unit what the space is, where it is not flat or has seams."""
        return units

    def side(self, bandwidth: Any) -> Any:
        """The side of a bin, in the engine's columns: the radius of a ball."""
        return bandwidth

    def lengths(self, distances: Any) -> Any:
        """Convert distances in the engine to lengths along the space: arcs on a sphere."""
        return distances

    def bandwidth_of(self, length: Any) -> Any:
        """The bandwidth whose ball has this radius, measured along the space."""
        return length

    def length_of(self, bandwidth: Any) -> Any:
        """The radius of a ball, measured along the space."""
        return bandwidth

    def bandwidth_text(self, bandwidth: Any) -> str:
        """A bandwidth for the title of a picture."""
        widths = np.atleast_1d(bandwidth)
        if len(widths) == 1:
            return f"bandwidth {widths[0]:.4g}"
        if len(widths) > 3:
            return f"bandwidths from {widths.min():.4g} to {widths.max():.4g}"
        return f"bandwidths {', '.join(f'{width:.4g}' for width in widths)}"

    def max_length(self) -> float:
        """The largest radius."""
        return math.inf

    def seeds_of_bins(self, centers: _Floats, side: Any, points: _Floats) -> _Floats:
        """Bring the centres of bins into the space that rows lie in."""
        return centers

    def check_rule(self, rule: str | None) -> None:
        """Refuse a rule for the bandwidth that measures what the metric has not."""
        if rule in ("scott", "silverman") and not self.has_rules_of_thumb:
            raise ValueError(
                f"{quoted(rule)} measures the spread of columns, which {self._text()} has not; "
                'give a bandwidth, None (the distance to the k-th neighbour) or "stable"'
            )

    def _text(self) -> str:
        return f'metric="{self.name}"'


class Spherical(Metric):
    """What metrics share whose rows are unit vectors: all lengths are angles."""

    has_arcs = True
    has_rules_of_thumb = False
    move_unit = "radians"
    min_length = 16.0 * float(np.finfo(np.float64).eps)  # rounding of one direction lies within
    largest = 0.0  # bandwidth
    unit = ""  # of the bandwidth, in words
    is_plain = False

    def dimension(self, n_columns: int) -> int:
        """A sphere has one dimension less than the space around it."""
        return max(n_columns - 1, 1)

    def checked_bandwidth(self, bandwidth: Any, n_features: int) -> float:
        """Refuse more than one, and what no cap has."""
        if np.ndim(bandwidth):
            raise ValueError(
                f"bandwidth must be one number with {self._text()}, got {quoted(bandwidth)}; "
                f"it is {self.unit}, the same in every direction"
            )
        if not 0.0 < bandwidth <= self.largest:
            raise ValueError(
                f"bandwidth must be positive and at most {self.largest:.6g} with {self._text()}, "
                f"got {quoted(bandwidth)}; it is {self.unit}"
            )
        return float(bandwidth)

    def max_length(self) -> float:
        """That of the whole sphere."""
        return math.pi

    def side(self, bandwidth: Any) -> float:
        """The chord from the middle of a cap to its edge."""
        angle = float(self.length_of(bandwidth))
        return 2.0 * WIDE if angle >= math.pi else 2.0 * math.sin(0.5 * angle)

    def _in_space(self, units: Units, bandwidth: Any) -> Units:
        """The Gaussian kernel's standard deviation is the angle, laid along the chord."""
        chord, angle = self.side(bandwidth), float(self.length_of(bandwidth))
        divisor = float(np.max(units.divisor))
        return units._replace(radius=chord / divisor, angle=angle / divisor)

    def lengths(self, distances: Any) -> Any:
        """The angles of chords."""
        return 2.0 * np.arcsin(np.minimum(0.5 * distances, 1.0))

    def seeds_of_bins(self, centers: _Floats, side: Any, points: _Floats) -> _Floats:
        """Bring centres to the sphere; the bin about 0, which has no direction, is its first row.

        In hundreds of columns most rows are in that bin.
        """
        seeds = np.array(centers, dtype=np.float64)
        middle = np.flatnonzero(~seeds.any(axis=1))
        if middle.size:
            inside = (np.abs(points) <= 0.5 * side).all(axis=1)
            seeds[middle] = points[np.flatnonzero(inside)[0]]
        return _of_length_one(seeds)


class Haversine(Spherical):
    """Latitudes and longitudes in radians; bandwidths are great-circle angles."""

    name = "haversine"
    page = "map"
    largest = math.pi
    unit = "an angle in radians: kilometres / 6371.0088"

    def bandwidth_text(self, bandwidth: Any) -> str:
        """An angle in degrees, as a map is."""
        kilometres = float(bandwidth) * EARTH_RADIUS_KM
        return f"bandwidth {np.degrees(bandwidth):.4g} degrees ({kilometres:.4g} km on Earth)"

    def n_columns(self, n_features: int) -> int:
        """Three, as places are unit vectors."""
        return 3

    def n_features(self, n_columns: int) -> int:
        """Latitude and longitude."""
        return 2

    def enter(self, table: NDArray[Any], name: str = "X", first: int = 0) -> _Floats:
        """Make unit vectors of places."""
        if table.shape[1] != 2:
            raise ValueError(
                f'{name} must have two columns with metric="haversine", latitude and longitude in '
                f"radians, got {table.shape[1]}; choose them"
            )
        latitude, longitude = table.astype(np.float64, copy=False).T
        bad = np.flatnonzero(~(np.abs(latitude) <= 0.5 * math.pi + MAX_LATITUDE_ROUNDING))
        if bad.size:
            raise ValueError(
                f"{name} must have latitudes between -pi/2 and pi/2 in its first column, got "
                f"{latitude[bad[0]]:.6g} at row {first + bad[0]}; likely they are degrees, which "
                "numpy.radians converts, or the order is longitude, latitude"
            )
        latitude = np.clip(latitude, -0.5 * math.pi, 0.5 * math.pi)
        vectors = np.empty((len(table), 3))
        across = np.cos(latitude)
        np.multiply(across, np.cos(longitude), out=vectors[:, 0])
        np.multiply(across, np.sin(longitude), out=vectors[:, 1])
        np.sin(latitude, out=vectors[:, 2])
        return vectors

    def leave(self, positions: _Floats, dtype: Any = np.float64) -> NDArray[Any]:
        """Latitudes, and longitudes in (-pi, pi]; that of a pole is 0."""
        x, y, z = positions.T
        across = np.hypot(x, y)
        places = np.column_stack([np.arctan2(z, across), np.arctan2(y, x)])
        places[across <= POLE_DISTANCE * np.abs(z), 1] = 0.0
        places[places[:, 1] == -math.pi, 1] = math.pi
        return places.astype(dtype)


class Cosine(Spherical):
    """Directions in any number of columns; bandwidths are cosine distances."""

    name = "cosine"
    largest = 2.0
    unit = "a cosine distance, 1 - cos of the angle"

    def enter(self, table: NDArray[Any], name: str = "X", first: int = 0) -> _Floats:
        """Bring rows to length 1."""
        rows = np.array(table, dtype=np.float64)
        none = np.flatnonzero(~rows.any(axis=1))
        if none.size:
            raise ValueError(
                f'{name} must have no row of zeros with metric="cosine", as it has no direction, '
                f"got one at row {first + none[0]}; leave such rows out"
            )
        return _of_length_one(rows)

    def leave(self, positions: _Floats, dtype: Any = np.float64) -> NDArray[Any]:
        """Unit vectors."""
        return _of_length_one(np.array(positions)).astype(dtype)

    def length_of(self, bandwidth: Any) -> float:
        """The angle whose 1 - cos is the bandwidth."""
        return 2.0 * math.asin(min(math.sqrt(0.5 * bandwidth), 1.0))

    def bandwidth_of(self, length: Any) -> Any:
        """1 - cos of an angle, without the digits that a cosine near 1 has not; 2 of any wider."""
        return 2.0 * np.sin(0.5 * np.minimum(length, math.pi)) ** 2


class Periodic(Metric):
    """Euclid's metric where some columns wrap around."""

    has_rules_of_thumb = False
    page = "wrapped"
    is_plain = False

    def __init__(self, period: tuple[float, ...]) -> None:
        self.period = np.array(period)

    def checked_bandwidth(self, bandwidth: Any, n_features: int) -> Any:
        """Refuse more than half a period: a ball would hold rows twice."""
        self.enter(np.empty((0, n_features)))  # refuses a period of other columns
        bandwidth = super().checked_bandwidth(bandwidth, n_features)
        bad = np.flatnonzero(2.0 * np.broadcast_to(bandwidth, n_features) > self.period)
        if bad.size:
            raise ValueError(
                f"bandwidth must be at most half the period, {self.period[bad[0]] / 2:g} of column "
                f"{bad[0]}, got {quoted(bandwidth)}; give a smaller one, or one for each column"
            )
        return bandwidth

    def max_length(self) -> float:
        """Half of the shortest period."""
        return float(self.period.min()) / 2.0

    def enter(self, table: NDArray[Any], name: str = "X", first: int = 0) -> _Floats:
        """Wrap the columns."""
        if table.shape[1] != len(self.period):
            raise ValueError(
                f"period must have one entry for each column of {name}, None for those that do not "
                f"wrap, got {len(self.period)} where there are {table.shape[1]} columns"
            )
        return wrapped(np.array(table, dtype=np.float64), self.period)

    def leave(self, positions: _Floats, dtype: Any = np.float64) -> NDArray[Any]:
        """Positions in [0, period), rounded up to it or not."""
        return wrapped(positions.astype(dtype), self.period)

    def cast(self, centers: _Floats, dtype: Any) -> NDArray[Any]:
        """As `leave`: the format may round up to the period."""
        return self.leave(centers, dtype)

    def distances(self, points: _Floats, position: _Floats) -> _Floats:
        """The short way round."""
        away = short_way(points, position, self.period)
        return super().distances(away, np.zeros(len(position)))

    def _in_space(self, units: Units, bandwidth: Any) -> Units:
        """The period is measured in the same unit."""
        return units._replace(period=self.period / units.divisor)

    def seeds_of_bins(self, centers: _Floats, side: Any, points: _Floats) -> _Floats:
        """Wrap the centres: the last bin's may lie beyond the seam."""
        return wrapped(np.array(centers, dtype=np.float64), self.period)

    def _text(self) -> str:
        return f"period={quoted(tuple(None if p == math.inf else p for p in self.period.tolist()))}"


EUCLIDEAN = Metric()
_METRICS = {"euclidean": EUCLIDEAN, "haversine": Haversine(), "cosine": Cosine()}
WORDS = tuple(_METRICS)


def metric_of(metric: str = "euclidean", period: Any = None) -> Metric:
    """Find the metric that two parameters name.

    A period has one entry a column, None where a column does not wrap. Raises a ValueError where
    the word is none of `WORDS`, a period is not positive or the metric has none.
    """
    if metric not in WORDS:
        raise ValueError(f"metric must be one of {WORDS}, got {quoted(metric)}")
    if period is None:
        return _METRICS[metric]
    given = _listed(period)
    if metric != "euclidean" and any(length is not None for length in given):
        raise ValueError(
            f'period is for metric="euclidean", got period={quoted(period)} with '
            f"metric={quoted(metric)}, whose lengths are angles already; leave one of them out"
        )
    lengths = tuple(math.inf if length is None else float(length) for length in given)
    return _METRICS[metric] if min(lengths) == math.inf else Periodic(lengths)


def _listed(period: Any) -> list[Any]:
    """The entries of a period: positive, finite numbers, or None."""
    if isinstance(period, str) or np.ndim(np.asarray(period, dtype=object)) != 1 or not len(period):
        raise ValueError(
            f"period must have one entry for each column, None for those that do not wrap, got "
            f"{quoted(period)}; (24, None) is for hours and another column"
        )
    for length in period:
        is_real = is_number(length) and length is not True and not overflows(length)
        if not (length is None or (is_real and 0.0 < length < math.inf)):
            raise ValueError(
                f"period must be positive and finite, or None where a column does not wrap, got "
                f"{quoted(length)} among {quoted(period)}"
            )
    return list(period)


def _of_length_one(rows: _Floats) -> _Floats:
    """Divide rows by their lengths, in place; squares neither overflow nor vanish."""
    rows /= np.abs(rows).max(axis=1)[:, None]
    rows /= np.sqrt(np.einsum("rf,rf->r", rows, rows))[:, None]
    return rows
