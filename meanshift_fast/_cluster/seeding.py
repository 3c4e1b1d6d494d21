"""Seeds, where trajectories start: those given, all rows, or the centres of bins of enough rows.

And equal rows of whole numbers as one.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanshift_fast._cluster.bins import find_bins
from meanshift_fast._cluster.inputs import Bandwidth, Rows, Settings
from meanshift_fast._index import thresholds
from meanshift_fast._input.checks import plain_table
from meanshift_fast._input.messages import bandwidth_text, caller_level, cut
from meanshift_fast._input.scaling import readonly_table
from meanshift_fast._input.weights import UNWEIGHTED
from meanshift_fast._jit.simd import LANES

MAX_SAMPLE_ROWS = 8192  # of the sample that predicts whether rows repeat
LEAST_BIN = float(np.finfo(np.float32).tiny)
MAX_SINGLE_NUMBER = float(1 << 24)  # up to which float32 holds every whole number
MAX_DOUBLE_NUMBER = float(1 << 53)  # the same of float64


def whole_rows_once(
    points: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make of equal rows of whole numbers one row of their weight, where that halves the table.

    Pixels repeat: of the 273,280 of a photograph 96,615 are distinct. Finding them takes 7 ms; the
    tree is built in 5 ms and not in 19, and the ascent takes 80 ms and not 150. Sums of whole
    numbers are whole numbers, and come out the same.

    The distinct rows are in order of appearance, and their weights are how often each occurs; with
    weights given, nothing is done.
    """
    if weights.size or len(points) < thresholds.MIN_COUNTED_ROWS:
        return points, weights
    first = points[:LANES]  # most tables show it at once
    if (first != np.rint(first)).any():
        return points, weights
    no_inverse = np.empty(0, dtype=np.int64)
    some = readonly_table(points[:: -(-len(points) // MAX_SAMPLE_ROWS)])
    if (some != np.rint(some)).any():
        return points, weights
    # Were half of the rows distinct, so many of the sample would repeat.
    n_repeated = len(some) - len(find_bins(some, 1.0, no_inverse)[0])
    if n_repeated < len(some) ** 2 / len(points) or (points != np.rint(points)).any():
        return points, weights
    rows, counts = find_bins(points, 1.0, no_inverse)
    if 2 * len(rows) > len(points):
        return points, weights
    distinct, often = points.take(rows, axis=0), counts.astype(np.float64)
    distinct.flags.writeable = often.flags.writeable = False
    return distinct, often


def _full_bins(
    points: NDArray[np.float64], bin_size: float, min_bin_freq: float, weights: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Find the first row of each bin that holds enough rows."""
    inverse = np.empty(weights.size, dtype=np.int64)
    rows, counts = find_bins(points, bin_size, inverse)
    if min_bin_freq <= 1:  # every occupied bin, however little it weighs
        return rows
    if weights.size == 0:
        return rows[counts >= min_bin_freq]
    # Sums of fractions come out a little short of a whole number, depending on their order.
    return rows[np.bincount(inverse, weights) >= min_bin_freq * (1.0 - 1e-10)]


def warn_of_bins(bin_size: float | NDArray[np.float64]) -> None:
    """Warn that the rows are the seeds, as from the line that called the package."""
    text = cut(str(bin_size) if isinstance(bin_size, np.ndarray) else f"{float(bin_size):f}")
    warnings.warn(
        f"Binning data failed with provided bin_size={text}, using data points as seeds.",
        stacklevel=caller_level(),
    )


class BinSeeds(NamedTuple):
    """The centres of a table's bins, in its dtype, before the metric takes them to its space.

    Attributes
    ----------
    table : array of shape (n_seeds, n_features)
        Where they lie, in the unit of the columns.
    are_rows : bool
        Whether they are the rows: bins have no size, or are as many as the rows.
    """

    table: NDArray[Any]
    are_rows: bool


def bin_seeds(
    X: NDArray[Any],
    bin_size: float | NDArray[np.float64],
    min_bin_freq: float,
    *,
    weights: NDArray[np.float64] = UNWEIGHTED,
) -> BinSeeds:
    """Find the seeds of a table that needs no checks, in its own dtype.

    A side of a bin is finite, and in an array positive. Bins that hold at least ``min_bin_freq``
    rows have a seed, all do where that is at most 1; a row counts as it weighs. The seeds are X
    where the side is 0, or there are as many bins as rows and no weights.
    """
    if isinstance(bin_size, np.ndarray) and (bin_size == bin_size[0]).all():
        bin_size = float(bin_size[0])
    if not isinstance(bin_size, np.ndarray) and bin_size == 0:
        return BinSeeds(X, True)
    table, size = _in_bins(X, bin_size)
    points = readonly_table(table)
    rows = _full_bins(points, size, min_bin_freq, weights)
    if len(rows) == len(X) and weights.size == 0:
        warn_of_bins(bin_size)
        return BinSeeds(X, True)
    with np.errstate(over="ignore"):
        numbers = np.rint(points.take(rows, axis=0) / size)
    return BinSeeds(_centers(numbers, bin_size, X[rows]), False)


def _in_bins(X: NDArray[Any], bin_size: float | NDArray[np.float64]) -> tuple[NDArray[Any], float]:
    """The rows in a unit in which all sides of a bin are one length, and that length."""
    if isinstance(bin_size, np.ndarray):
        with np.errstate(over="ignore"):
            return X / bin_size, 1.0
    if X.dtype == np.float64:
        return X, float(bin_size)
    # NumPy chooses the precision of the quotient: a Python float follows X. Where it cannot hold
    # the bin size, scikit-learn divides by zero; where it cannot hold the bins' numbers,
    # scikit-learn makes one bin of many. In both cases float64 replaces it.
    with np.errstate(over="ignore", under="ignore"):
        precision = np.true_divide(X[:0], bin_size).dtype
        if precision == np.float64 or precision.type(bin_size) == 0:
            return X, float(bin_size)
        most = np.abs(np.array([X.min(), X.max()], dtype=X.dtype) / bin_size).max()
        if not np.isfinite(most):
            return X, float(bin_size)
        numbers = np.round(X / bin_size)
        if most > MAX_SINGLE_NUMBER:
            exact = np.rint(X.astype(np.float64) / float(bin_size))
            numbers = np.where(np.abs(numbers) > MAX_SINGLE_NUMBER, exact, numbers)
    return numbers, 1.0


def _centers(
    numbers: NDArray[np.float64], bin_size: float | NDArray[np.float64], rows: NDArray[Any]
) -> NDArray[Any]:
    """The centres of bins, from their numbers and a row of each.

    Up to `MAX_SINGLE_NUMBER` they are scikit-learn's, which pass through float32. Each
    number is judged alone: the rounding of one row far away moves no other seed.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        singles: NDArray[Any] = numbers.astype(np.float32) * bin_size
        # Numbers that float32 cannot hold make scikit-learn's seeds zero, infinite or NaN.
        serve = (np.abs(numbers) <= MAX_SINGLE_NUMBER) & np.isfinite(singles)
    serve &= np.abs(bin_size) >= LEAST_BIN
    if serve.all():
        return singles
    return np.where(serve, singles, centers_of(numbers, np.float64(bin_size), rows))


def centers_of(
    numbers: NDArray[np.float64], bin_size: float | NDArray[np.float64], rows: NDArray[Any]
) -> NDArray[np.float64]:
    """The centres of bins in float64; a row's own coordinate where floats have no centre there.

    Of each bin its numbers along the features, its sides, and a row.
    """
    with np.errstate(over="ignore"):
        centers = numbers * bin_size
    # Beyond 2^53 a bin is narrower than the step between floats: one coordinate of rows is in it.
    serve = (np.abs(numbers) <= MAX_DOUBLE_NUMBER) & np.isfinite(centers)
    return np.where(serve, centers, rows)


class Seeds(NamedTuple):
    """Where trajectories start.

    Attributes
    ----------
    kind : {"rows", "bins", "given"}
        What they are.
    table : read-only C-ordered float64 array of shape (n_seeds, n_features)
        Where they lie, in the unit of the columns.
    """

    kind: str
    table: NDArray[np.float64]

    @property
    def are_rows(self) -> bool:
        """Whether every row is a seed."""
        return self.kind == "rows"

    @property
    def are_bins(self) -> bool:
        """Whether they are the centres of bins."""
        return self.kind == "bins"


def checked_seeds(seeds: ArrayLike, n_features: int) -> NDArray[np.float64]:
    """Check seeds that are given, and convert them as the kernels take them."""
    if np.ndim(seeds) != 2 or 0 in np.shape(seeds):
        raise ValueError(
            f"seeds must be a table of at least one row and {n_features} columns, got "
            f"shape {np.shape(seeds)}; seeds=None starts from the rows of X"
        )
    table = plain_table(seeds, "seeds")
    if table.shape[1] != n_features:
        raise ValueError(
            f"seeds must have as many columns as X, got {table.shape[1]} columns where "
            f"X has {n_features}"
        )
    return readonly_table(table)


def find_seeds(rows: Rows, bandwidth: Bandwidth, settings: Settings) -> Seeds:
    """Find the seeds of a fit: those given, the centres of bins a bandwidth wide, or all rows."""
    metric = settings.metric
    if settings.seeds is not None:
        given = checked_seeds(settings.seeds, metric.n_features(rows.points.shape[1]))
        return Seeds("given", readonly_table(metric.enter(given, "seeds")))
    if not settings.bin_seeding:
        return Seeds("rows", rows.points)
    side = metric.side(bandwidth)
    bins = bin_seeds(rows.heavy, side, settings.min_bin_freq, weights=rows.heavy_weights)
    if bins.are_rows:
        return Seeds("rows", rows.points)
    if len(bins.table) == 0:
        raise ValueError(
            f"min_bin_freq={settings.min_bin_freq} leaves no seed: no bin of side "
            f"{bandwidth_text(bandwidth)} holds so many rows; give a smaller min_bin_freq or a "
            "larger bandwidth"
        )
    return Seeds("bins", readonly_table(metric.seeds_of_bins(bins.table, side, rows.points)))
