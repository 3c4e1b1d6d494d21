"""The tables of `bench.same`: each a function of a random generator, so that names tell the data.

Boxes have sides of 10; a blob's coordinates have a standard deviation of 0.4.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Table = Callable[[np.random.Generator], Array]

SENTINEL = 1e20  # a number that stands for a missing value


def radius(n_features: int) -> float:
    """A bandwidth at which a ball about a row of a blob holds much of that blob."""
    return 0.3 + 0.65 * math.sqrt(n_features)


def blobs(n_samples: int, n_features: int = 2, n_blobs: int = 5) -> Table:
    """Gaussian blobs in a box."""

    def make(rng: np.random.Generator) -> Array:
        centers = rng.uniform(0, 10, (n_blobs, n_features))
        noise = 0.4 * rng.standard_normal((n_samples, n_features))
        return centers[rng.integers(0, n_blobs, n_samples)] + noise

    return make


def uniform(n_samples: int, n_features: int = 2) -> Table:
    """Rows everywhere in a box, so that a small bandwidth has many modes."""
    return lambda rng: rng.uniform(0, 10, (n_samples, n_features))


def integers(n_samples: int, n_features: int = 2, side: int = 8) -> Table:
    """Random integer points: rows on the sphere of an integer bandwidth, and equal rows."""
    return lambda rng: rng.integers(0, side, (n_samples, n_features)).astype(float)


def lattice(*shape: int) -> Table:
    """Every integer point of a box, once."""
    return lambda rng: np.indices(shape).reshape(len(shape), -1).T.astype(float)


def constant(n_samples: int, n_features: int = 2) -> Table:
    """One row, many times."""
    return lambda rng: np.full((n_samples, n_features), 0.1)


def copies(n_samples: int, n_distinct: int, n_features: int = 2) -> Table:
    """Few distinct rows, each many times."""

    def make(rng: np.random.Generator) -> Array:
        distinct = rng.uniform(0, 10, (n_distinct, n_features))
        return distinct[rng.integers(0, n_distinct, n_samples)]

    return make


def rounded(table: Table, step: float) -> Table:
    """The same rows on a fine lattice, many of them equal."""
    return lambda rng: np.round(table(rng) / step) * step


def line(n_samples: int, n_features: int = 3) -> Table:
    """Rows along one direction."""
    return lambda rng: rng.uniform(0, 10, (n_samples, 1)) * rng.standard_normal(n_features)


def geometric(n_samples: int, n_features: int = 2) -> Table:
    """Rows of all magnitudes."""
    return lambda rng: 2.0 ** rng.uniform(-30, 4, (n_samples, n_features))


def moved(table: Table, by: float) -> Table:
    """Rows far from 0."""
    return lambda rng: table(rng) + by


def scaled(table: Table, factor: float) -> Table:
    """Rows in another unit."""
    return lambda rng: table(rng) * factor


def with_outliers(table: Table, value: float, every: int = 50) -> Table:
    """Every so many-th row has one number in the first column, far from all others."""

    def make(rng: np.random.Generator) -> Array:
        rows = table(rng)
        rows[::every, 0] = value
        return rows

    return make


def ring(n_samples: int) -> Table:
    """A ring around a blob: clusters of other shapes than balls."""

    def make(rng: np.random.Generator) -> Array:
        angle = rng.uniform(0, 2 * np.pi, n_samples)
        length = np.where(rng.random(n_samples) < 0.3, 0.3, 4.0) + 0.2 * rng.standard_normal(
            n_samples
        )
        rows: Array = 5.0 + length[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        return rows

    return make


def as_dtype(table: Table, dtype: str, factor: float = 1.0) -> Table:
    """The same rows as numbers of another format."""
    return lambda rng: (table(rng) * factor).astype(dtype)


def _strided(rows: Array, columns: slice) -> Array:
    wide: Array = np.repeat(rows, 2, axis=1)
    return wide[:, columns]


def _read_only(rows: Array) -> Array:
    rows.flags.writeable = False
    return rows


# The same rows, otherwise in memory.
LAYOUTS: dict[str, Callable[[Array], Any]] = {
    "Fortran order": np.asfortranarray,
    "every other column": partial(_strided, columns=slice(None, None, 2)),
    "columns backwards": lambda rows: rows[:, ::-1],
    "rows backwards": lambda rows: rows[::-1],
    "read-only": _read_only,
    "nested lists": lambda rows: rows.tolist(),
    "objects": lambda rows: rows.astype(object),
}


def weights_with_zeros(rng: np.random.Generator, n_samples: int) -> Array:
    """Whole weights, every fourth of them 0."""
    weights = rng.integers(0, 4, n_samples).astype(float)
    weights[0] = 1.0
    return weights


def any_weights(rng: np.random.Generator, n_samples: int) -> Array:
    """Weights that no sum of is exact."""
    return rng.uniform(0.1, 3.0, n_samples)
