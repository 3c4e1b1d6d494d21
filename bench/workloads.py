"""The work that every library is given: one table, generated data only."""

import json
from collections.abc import Callable
from functools import partial
from importlib.metadata import files
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

from meanshift_fast.datasets import china_pixels

Floats = npt.NDArray[np.float64]


class Settings(NamedTuple):
    """What a library is asked for, besides the points.

    Attributes
    ----------
    bandwidth : float
        Radius of the balls, in the unit of the columns.
    bin_seeding : bool
        Climb from the occupied bins; otherwise from every row.
    n_jobs : int or None
        scikit-learn's. meanshift_fast always runs on its default, mlpack has one thread.
    """

    bandwidth: float
    bin_seeding: bool = False
    n_jobs: int | None = None


class Workload(NamedTuple):
    """One row of the table.

    Attributes
    ----------
    title : str
        What the report calls it, after "rows x features".
    points : callable
        Makes the points, of shape (n_samples, n_features), from a number of rows.
    rows, quick_rows : int
        That number in a full and in a quick run.
    settings : Settings
        What the libraries are asked for.
    size : {"small", "medium", "large"}
        How long scikit-learn takes: seconds, half a minute, more. It decides the repeats.
    sample : int or None
        Where scikit-learn would take hours: the number of rows that the libraries climb from
        when they are compared. scikit-learn is timed on these only, ours on all.
    """

    title: str
    points: Callable[[int], npt.NDArray[Any]]
    rows: int
    quick_rows: int
    settings: Settings
    size: Literal["small", "medium", "large"]
    sample: int | None = None
    fills_columns: bool = False
    """Whether NumPy's lines, which measure all pairs, take part."""


def blobs(n_samples: int, n_features: int = 2) -> Floats:
    """Draw 20 Gaussian blobs of standard deviation 1, their centres uniform in a 40-box.

    Seed 3 is the first to put all centres of the plane more than 3 apart, so that the 20 blobs
    are 20 modes.
    """
    rng = np.random.default_rng(3)
    centers = rng.uniform(0, 40, (20, n_features))
    points = rng.standard_normal((n_samples, n_features))
    points += centers[rng.integers(20, size=n_samples)]
    return points


def pixels(n_samples: int) -> Floats:
    """Take about `n_samples` of the pixels of china.jpg, evenly spread."""
    points, _ = china_pixels()
    return np.ascontiguousarray(points[:: max(1, len(points) // n_samples)])


def digits(n_samples: int) -> Floats:
    """Take the first of scikit-learn's 1,797 digits, 8 x 8 pixels each."""
    points: Floats = load_digits().data[:n_samples]
    return points


def directions(
    n_samples: int, n_features: int, *, noise: float = 0.7, n_directions: int = 50
) -> Floats:
    """Draw unit rows about some directions, with isotropic noise."""
    rng = np.random.default_rng(0)
    axes = rng.standard_normal((n_directions, n_features))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    rows: Floats = axes[rng.integers(n_directions, size=n_samples)]
    rows += noise / np.sqrt(n_features) * rng.standard_normal(rows.shape)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def embeddings(n_samples: int) -> npt.NDArray[np.float32]:
    """Read the first of the 32,000 token embeddings of the wheel ``wordllama``, as unit rows.

    The package is not imported: a safetensors file is a length, a header of JSON, and the values.
    """
    path = next(
        file for file in files("wordllama") or () if file.name == "l2_supercat_256.safetensors"
    )
    raw = Path(str(path.locate())).read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    (entry,) = (value for name, value in header.items() if name != "__metadata__")
    first, last = entry["data_offsets"]
    values = np.frombuffer(raw[8 + size + first : 8 + size + last], dtype=np.float16)
    rows = values.reshape(entry["shape"])[:n_samples].astype(np.float64)
    unit: npt.NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit.astype(np.float32)


def sampled(points: Floats, size: int) -> Floats:
    """Choose `size` of the rows, or all if they are fewer; always the same ones."""
    rng = np.random.default_rng(0)
    return points[rng.choice(len(points), min(size, len(points)), replace=False)]


BINS = Settings(bandwidth=1.5, bin_seeding=True)

WORKLOADS = {
    "bins-1m": Workload("blobs, bins", blobs, 1_000_000, 20_000, BINS, "medium"),
    "bins-10m": Workload("blobs, bins", blobs, 10_000_000, 200_000, BINS, "large", sample=50),
    "china": Workload(
        "pixels of china.jpg, bins",
        pixels,
        273_280,
        3_416,
        Settings(bandwidth=25.0, bin_seeding=True),
        "medium",
    ),
    "bins-8d": Workload(
        "blobs, bins",
        partial(blobs, n_features=8),
        100_000,
        2_000,
        Settings(bandwidth=4.0, bin_seeding=True),
        "small",
    ),
    "rows-20k": Workload(
        "blobs, every row a seed",
        blobs,
        20_000,
        500,
        Settings(bandwidth=1.5, n_jobs=-1),
        "large",
    ),
    "rows-1m": Workload(
        "blobs, every row a seed",
        blobs,
        1_000_000,
        10_000,
        Settings(bandwidth=1.5),
        "large",
        sample=500,
    ),
    "digits": Workload(
        "digits, every row a seed",
        digits,
        1_797,
        300,
        Settings(bandwidth=20.0, n_jobs=-1),
        "small",
    ),
    "embeddings": Workload(
        "token embeddings, float32, every row a seed",
        embeddings,
        16_000,
        1_000,
        Settings(bandwidth=1.279, n_jobs=-1),
        "large",
        sample=200,
        fills_columns=True,
    ),
}

# `estimate_bandwidth` at its defaults: the rows alone are the work.
BANDWIDTH_ROWS, BANDWIDTH_QUICK_ROWS = 20_000, 2_000
