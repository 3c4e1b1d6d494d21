"""Parts of generated tables: boxes, clouds, balls, lines and curves of rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Parts = list[Floats]


def box(rng: Any, n: int, low: Any, high: Any) -> Floats:
    """Uniform between two corners."""
    return np.asarray(rng.uniform(low, high, (n, len(low))))


def cloud(rng: Any, n: int, middle: Any, width: Any) -> Floats:
    """Normal around a middle."""
    return np.asarray(rng.normal(middle, width, (n, len(middle))))


def ball(rng: Any, n: int, middle: Any, outer: float, inner: float = 0.0) -> Floats:
    """Uniform between two radii."""
    d = len(middle)
    way = rng.normal(size=(n, d))
    way /= np.linalg.norm(way, axis=1)[:, None]
    share = rng.uniform((inner / outer) ** d, 1, n)[:, None]
    return np.asarray(middle + outer * share ** (1 / d) * way)


def stroke(rng: Any, n: int, corners: Any, width: float, *, even: bool = False) -> Floats:
    """Along a line of corners, with a normal or an even width."""
    corners = np.asarray(corners, dtype=float)
    lengths = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    at = rng.uniform(0, lengths.sum(), n)
    ends = np.append(0, np.cumsum(lengths))
    rows = np.column_stack([np.interp(at, ends, column) for column in corners.T])
    away = rng.uniform(-width, width, rows.shape) if even else rng.normal(0, width, rows.shape)
    return np.asarray(rows + away)


def curve(
    rng: Any, n: int, of: Callable[[Any], Any], low: float, high: float, width: float
) -> Floats:
    """Along a curve that a function gives, evenly by its length."""
    return stroke(rng, n, np.column_stack(of(np.linspace(low, high, 400))), width)


def sine(height: float, start: float, level: float) -> Callable[[Any], Any]:
    """A sine, as `curve` takes it."""
    return lambda t: (t, height * np.sin(t + start) + level)


def arc(
    rng: Any, n: int, radius: float, width: float, middle: Any = (0, 0), turn: Any = (0, 2)
) -> Floats:
    """Along an arc of a circle, from a turn to another, in half circles."""

    def of(t: Any) -> Any:
        return middle[0] + radius * np.cos(np.pi * t), middle[1] + radius * np.sin(np.pi * t)

    return curve(rng, n, of, turn[0], turn[1], width)


def spaced(rng: Any, k: int, d: int, apart: float, room: float) -> Floats:
    """Centres no nearer to each other than some distance."""
    found: Parts = []
    while len(found) < k:
        center = rng.uniform(0, room, d)
        if all(np.linalg.norm(center - other) > apart for other in found):
            found.append(center)
        room *= 1.001
    return np.array(found)


def mixed(rng: Any, sizes: Any, d: int, apart: float, stretch: float) -> Parts:
    """Stretched and turned normal clouds whose middles are some widths apart."""
    parts = []
    for n, middle in zip(sizes, spaced(rng, len(sizes), d, apart, apart), strict=True):
        mix = rng.normal(size=(d, d)) / d**0.5 * stretch + np.eye(d)
        parts.append(middle + rng.normal(size=(n, d)) @ mix)
    return parts
