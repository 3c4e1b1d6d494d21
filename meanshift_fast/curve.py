"""Choosing a bandwidth: count the clusters up a ladder of bandwidths, and look for a plateau.

    clusters  |***
              |   **
              |     ************            the longest plateau: a count that lasts
              |                 **  ***
              |____________________________  bandwidth, each rung a fixed ratio above the last

A structure that is in the data, and not in the choice, lasts over a range of bandwidths, as in
scale-space clustering [1]_. The rungs are climbed upwards: the modes of one are the seeds of the
next, so that all rungs but the first have few trajectories.

A fit starts afresh, though, and among a million rows some lie so far out that no other is in their
ball: each is a centre of its own. Of 20 blobs that last from 0.43 to 2.25, a fit at 0.43 finds
229, at the middle 23, and 20 only from 1.7 on. So the bandwidth that is picked is tried: it is the
first above the middle of the plateau at which fresh climbs find as many centres as the plateau has.

References
----------
.. [1] Y. Leung, J.-S. Zhang and Z.-B. Xu, "Clustering by scale-space filtering", IEEE
   Transactions on Pattern Analysis and Machine Intelligence 22 (12), 2000, pp. 1396-1410,
   :doi:`10.1109/34.895974`, on the lifetime of a number of clusters.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanshift_fast import tree
from meanshift_fast.bandwidth import mean_kth_distance, rule_of_thumb
from meanshift_fast.bounds import bounds_of
from meanshift_fast.checks import plain_table
from meanshift_fast.climb import climb
from meanshift_fast.modes import merge_modes
from meanshift_fast.quoting import quoted
from meanshift_fast.seeding import find_bins
from meanshift_fast.shift import shift
from meanshift_fast.threads import borrowed_threads
from meanshift_fast.units import FLAT_MOST, Units, readonly_table, units_of
from meanshift_fast.weights import UNWEIGHTED, checked_weights, without_weightless

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AN_OCTAVE = 8  # rungs
LEAST, MOST = 1e-100, 1e150  # bandwidths that one unit serves
SEEDS = 10_000  # rows that the first rung starts from, and that measure its bandwidth
STRAGGLER = 0.05  # of the heaviest mode's support
MOST_SEEDS = 200_000  # rows that are tried as seeds: 12 s in all; a million would take 80

PLATEAU_DTYPE = np.dtype(
    [
        ("n_clusters", np.int64),
        ("low", np.float64),
        ("high", np.float64),
        ("stability", np.float64),
    ]
)


@dataclass(frozen=True, eq=False)
class BandwidthCurve:
    """The number of clusters at each bandwidth of a ladder, and its plateaus.

    Attributes
    ----------
    bandwidths : ndarray of shape (n_rungs,), float64
        The ladder, ascending, in the unit of the columns of X.
    n_clusters : ndarray of shape (n_rungs,), int64
        The modes of each rung, stragglers not counted.
    n_modes : ndarray of shape (n_rungs,), int64
        All modes of each rung.
    plateaus : structured ndarray of shape (n_plateaus,)
        For each run of equal counts: ``n_clusters``, the bandwidths ``low`` and ``high`` between
        which it lasts, and ``stability``, how many times the bandwidth doubles between them.
    bandwidth : float
        The one to use, on the longest plateau, in the unit of the columns of X.
    n_centers : int
        How many centres a fit at that bandwidth has; mostly as many as the plateau's clusters.

    See Also
    --------
    bandwidth_curve : Makes it.

    Examples
    --------
    >>> from meanshift_fast import bandwidth_curve
    >>> from meanshift_fast.datasets import demo_table
    >>> curve = bandwidth_curve(demo_table(), [0.5, 1, 2, 4, 8])
    >>> curve.n_clusters
    array([34,  5,  3,  2,  1])
    """

    bandwidths: NDArray[np.float64]
    n_clusters: NDArray[np.int64]
    n_modes: NDArray[np.int64]
    plateaus: NDArray[np.void]
    bandwidth: float
    n_centers: int

    @property
    def stable(self) -> np.void:
        """The longest plateau, the finest of equals."""
        return _longest(self.plateaus)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the curve and mark its longest plateau.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.

        Returns
        -------
        matplotlib Axes
            The axes drawn on; both of its scales are logarithmic.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

        from meanshift_fast.page import COLOURS, ink_of, key, new_axes, put_beside

        ax = new_axes() if ax is None else ax
        ink, _ = ink_of(ax)
        stable = self.stable
        low, high, count = stable["low"], stable["high"], int(stable["n_clusters"])
        counted = "1 cluster lasts" if count == 1 else f"{count} clusters last"
        ax.axvspan(low, high, color=COLOURS[1], alpha=0.15, linewidth=0)
        ax.step(self.bandwidths, self.n_clusters, where="post", color=ink, linewidth=1.5)
        ax.plot([low, high], [count, count], color=COLOURS[1], linewidth=4)
        ax.axvline(self.bandwidth, color=ink, linestyle="--", linewidth=1)
        ax.set(xlabel="bandwidth", ylabel="clusters", title=f"{counted} longest", yscale="log")
        if self.bandwidths[0] > 0.0:
            ax.set_xscale("log")
        for axis in (ax.xaxis, ax.yaxis) if self.bandwidths[0] > 0.0 else (ax.yaxis,):
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
            axis.set_minor_formatter(NullFormatter())
        put_beside(
            ax,
            [
                key("clusters at each bandwidth", color=ink, linewidth=1.5),
                key(f"longest plateau, {low:.3g} to {high:.3g}", color=COLOURS[1], linewidth=4),
                key(f"bandwidth to use, {self.bandwidth:.3g}", color=ink, linestyle="--"),
            ],
        )
        return ax


def bandwidth_curve(
    X: ArrayLike,
    bandwidths: ArrayLike | None = None,
    *,
    bin_seeding: bool = True,
    sample_weight: ArrayLike | None = None,
    n_jobs: int | None = None,
) -> BandwidthCurve:
    """Count the clusters of X at each bandwidth of a ladder, each rung started from the last.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The rows.
    bandwidths : array-like of shape (n_rungs,), default=None
        The ladder, positive and ascending. None: from the bandwidth whose ball holds the square
        root of the number of rows, up by eighths of an octave until one cluster is left.
    bin_seeding : bool, default=True
        True: the bandwidth is to suit a fit from bins. False: a fit from every row as well, which
        takes longer to try, and is not tried with more than 200,000 rows.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; a row of weight 0 is none.
    n_jobs : int, default=None
        Threads, as in :class:`MeanShift`.

    Returns
    -------
    BandwidthCurve
        The counts and the plateaus; its ``bandwidth`` is the one to use.

    Raises
    ------
    ValueError
        Where X is not a finite table, or the bandwidths or weights are out of range.

    See Also
    --------
    MeanShift : With ``bandwidth="stable"`` it uses the bandwidth that is found here.
    estimate_bandwidth : Quicker rules, which know nothing of clusters.

    Notes
    -----
    A mode is a straggler, and not counted, where its ball holds less than the square root of the
    number of rows and less than a twentieth of what the heaviest mode's holds. One cluster lasts
    for ever; it is counted up to the root mean square distance of the rows from their mean.

    The first rung starts from at most 10,000 rows, later ones from the modes of the last, so a
    mode that no trajectory of the first rung reaches is not found.

    The bandwidth to use is the first from the middle of the longest plateau upwards, by sixteenths
    of an octave, at which a fit has as many centres as the plateau has clusters. Where none has (a
    row far from all others is a centre at every bandwidth), it is the one that comes nearest, and
    ``n_centers`` tells how near. ``MeanShift(bandwidth="stable")`` uses that bandwidth.

    References
    ----------
    .. [1] Y. Leung, J.-S. Zhang and Z.-B. Xu, "Clustering by scale-space filtering", IEEE
       Transactions on Pattern Analysis and Machine Intelligence 22 (12), 2000, pp. 1396-1410,
       :doi:`10.1109/34.895974`.

    Examples
    --------
    >>> from meanshift_fast import bandwidth_curve
    >>> from meanshift_fast.datasets import demo_table
    >>> int(bandwidth_curve(demo_table()).stable["n_clusters"])
    3
    """
    table = plain_table(X)
    points, weights = without_weightless(table, checked_weights(sample_weight, len(table)))
    ladder = None if bandwidths is None else _checked_ladder(bandwidths)
    with borrowed_threads(n_jobs):
        return _curve(readonly_table(points), weights, ladder, every_row=not bin_seeding)


def find_bandwidth(
    rule: str | None,
    kernel: str,
    points: NDArray[np.float64],
    weights: NDArray[np.float64] = UNWEIGHTED,
    *,
    every_row: bool = False,
    coalesce: float = 0.0,
) -> np.float64:
    """Find a kernel's bandwidth by a rule.

    Parameters
    ----------
    rule : {"scott", "silverman", "stable"} or None
        None: the mean distance to the k-th nearest row, as `estimate_bandwidth` finds it.
    kernel : {"flat", "gaussian"}
        None and "stable" find the radius of a ball. The Gaussian takes the standard deviation of
        a coordinate in that ball: the radius over ``sqrt(n_features + 2)``.
    points, weights, every_row, coalesce
        As in `stable_bandwidth`.

    Returns
    -------
    np.float64
        In the unit of the columns. NumPy's own, as in scikit-learn: float32 bins times it are
        float64, times a Python float they are not.
    """
    if rule in ("scott", "silverman"):
        return rule_of_thumb(points, rule, weights=weights)
    if rule == "stable":
        radius = stable_bandwidth(points, weights, every_row=every_row, coalesce=coalesce)
    else:
        radius = mean_kth_distance(points, quantile=0.3, weights=weights)
    return kernel_bandwidth(radius, kernel, points.shape[1])


def kernel_bandwidth(radius: float, kernel: str, n_features: int) -> np.float64:
    """Turn the radius of a ball into a kernel's bandwidth; `find_bandwidth` tells how."""
    return np.float64(radius / math.sqrt(n_features + 2) if kernel == "gaussian" else radius)


def stable_bandwidth(
    points: NDArray[np.float64],
    weights: NDArray[np.float64] = UNWEIGHTED,
    *,
    every_row: bool = False,
    coalesce: float = 0.0,
) -> float:
    """Find the bandwidth that `bandwidth_curve` picks, of a ready table.

    Parameters
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows; finite, at least one.
    weights : read-only float64 array of shape (n_samples,) or (0,), default=empty
        The rows' weights, positive; empty where all are 1.
    every_row : bool, default=False
        Whether to try it with every row as a seed, besides the bins; up to 200,000 rows.
    coalesce : float, default=0
        As in `climb`, for the rows that are seeds.

    Returns
    -------
    float
        In the unit of the columns of ``points``; 0 where all rows are equal.
    """
    return _curve(points, weights, None, every_row=every_row, coalesce=coalesce).bandwidth


class _Rows(NamedTuple):
    """The rows, and their tree in the unit that suits a bandwidth."""

    table: NDArray[np.float64]
    weights: NDArray[np.float64]
    bounds: NDArray[np.float64]
    units: Units
    entered: NDArray[np.float64]
    tree: tree.MomentTree

    def at(self, bandwidth: float) -> "_Rows":
        """The same for another bandwidth: in the same unit, as long as that will do."""
        radius = bandwidth / self.units.divisor
        if LEAST <= radius <= MOST:
            return self._replace(units=self.units._replace(radius=float(radius)))
        return _rows_of(self.table, self.weights, self.bounds, bandwidth)


def _rows_of(
    table: NDArray[np.float64],
    weights: NDArray[np.float64],
    bounds: NDArray[np.float64],
    bandwidth: float,
) -> _Rows:
    units = units_of(bandwidth, bounds)
    entered = units.enter(table)
    return _Rows(table, weights, bounds, units, entered, tree.build(entered, weights))


def _curve(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    ladder: NDArray[np.float64] | None,
    *,
    every_row: bool,
    coalesce: float = 0.0,
) -> BandwidthCurve:
    n_rows, weights = _effective(len(points), weights)
    bounds = bounds_of(points)
    spread = _spread(points, weights, bounds)
    rows = _rows_of(points, weights, bounds, 0.0)
    first = rows.tree.order[:: -(-len(points) // SEEDS)]
    seeds = readonly_table(points[first])
    least = 0.0
    if ladder is None:
        sampled = readonly_table(weights[first]) if weights.size else UNWEIGHTED
        least = float(mean_kth_distance(seeds, quantile=n_rows**-0.5, weights=sampled))
        varying = bounds[1] > bounds[0]
        # Where most rows are equal the ball has no radius; a thousandth of the spread serves, or
        # what a mean of equal rows is rounded by. Where all are, there is no spread.
        if least == 0.0 and varying.any():
            largest = np.abs(bounds[:, varying]).max()
            least = max(spread / 1000, 8.0 * float(np.spacing(largest)))
    rungs: list[tuple[float, int, int]] = []
    while True:
        n = len(rungs)
        bandwidth = float(_rung(least, n) if ladder is None else ladder[n])
        if bandwidth == math.inf:
            raise ValueError(
                f"X must leave room for distances, got values up to {np.abs(bounds).max():g}, and "
                "more clusters than one at every bandwidth; divide X by that, or give bandwidths"
            )
        rows = rows.at(bandwidth)
        seeds, support = _modes(rows, seeds)
        enough = min(n_rows**0.5, STRAGGLER * support[0])
        rungs.append((bandwidth, int(np.count_nonzero(support >= enough)), len(seeds)))
        done = len(seeds) == 1 if ladder is None else len(rungs) == len(ladder)
        if done:
            break
    steps, counts, n_modes = (np.array(column) for column in zip(*rungs, strict=True))
    plateaus = _plateaus(steps, counts, spread)
    bandwidth, n_centers = _tried(rows, _longest(plateaus), every_row, coalesce)
    return BandwidthCurve(steps, counts, n_modes, plateaus, bandwidth, n_centers)


def _rung(first: float, steps: Any) -> Any:
    """The bandwidth so many steps above the first; infinite beyond the largest number."""
    octaves, left = np.divmod(steps, AN_OCTAVE)
    with np.errstate(over="ignore"):
        return np.ldexp(first * 2.0 ** (left / AN_OCTAVE), octaves.astype(np.int64))


def _spread(
    points: NDArray[np.float64], weights: NDArray[np.float64], bounds: NDArray[np.float64]
) -> float:
    """The root mean square distance of the rows from their mean, or the largest number."""
    each = weights if weights.size else None
    # Powers of two, which round nothing, keep the squares of every column finite.
    exponents = np.clip(np.frexp(np.abs(bounds).max(axis=0))[1], -1000, 1000)
    scales = np.ldexp(1.0, -exponents)
    offsets = points * scales
    mean = np.average(offsets, axis=0, weights=each)
    offsets -= np.clip(mean, *(bounds * scales))  # that of equal rows may be rounded
    np.multiply(offsets, offsets, out=offsets)
    variances = np.average(offsets, axis=0, weights=each)
    unit = int(exponents[variances > 0.0].max(initial=-1000))
    spread = np.sqrt(np.ldexp(variances, 2 * np.minimum(exponents - unit, 0)).sum())
    with np.errstate(over="ignore"):
        return min(float(np.ldexp(spread, unit)), FLAT_MOST)


def _modes(
    rows: _Rows,
    seeds: NDArray[np.float64],
    coalesce: float = 0.0,
    order: NDArray[np.signedinteger] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Climb from some seeds to modes, both in the unit of the columns, and what supports them."""
    units = rows.units
    move = partial(shift, rows.tree, bandwidth=units.radius)
    path = climb(
        move, units.enter(seeds), units.radius, tol=1e-3, max_iter=300, report=lambda *_: None,
        coalesce=coalesce, order=order,
    )  # fmt: skip
    reached = path.support > 0
    if not reached.any():
        return seeds[:0], path.support[:0]
    ends = readonly_table(path.ends[reached])
    modes, support = merge_modes(ends, path.support[reached], units.radius)
    return readonly_table(units.leave(modes)), support


def _longest(plateaus: NDArray[np.void]) -> np.void:
    # Lifetimes of as many rungs differ in their last bits.
    longest: np.void = plateaus[int(np.argmax(plateaus["stability"].round(9)))]
    return longest


def _middle(low: float, high: float) -> float:
    """The geometric mean, whose square need not be a number."""
    exponent = (math.frexp(low)[1] + math.frexp(high)[1]) // 2
    return math.ldexp(math.sqrt(math.ldexp(low, -exponent) * math.ldexp(high, -exponent)), exponent)


def _bins(rows: _Rows, bandwidth: float) -> NDArray[np.float64]:
    """The centres of the occupied bins, in the unit of the columns."""
    units_of(bandwidth, rows.bounds, in_bins=True)  # refuses what has no bins
    radius = rows.units.radius
    first_rows, _ = find_bins(rows.entered, radius, np.empty(0, dtype=np.int64))
    return readonly_table(rows.units.leave(np.round(rows.entered[first_rows] / radius) * radius))


def _tried(rows: _Rows, plateau: np.void, every_row: bool, coalesce: float) -> tuple[float, int]:
    """Climb afresh at bandwidths of a plateau, from its middle up; the first that agrees."""
    low, high, count = float(plateau["low"]), float(plateau["high"]), int(plateau["n_clusters"])
    if low == 0.0:
        return 0.0, count
    n_samples = len(rows.table)
    every_row = every_row and n_samples <= MOST_SEEDS
    n_tries = max(1, round(AN_OCTAVE * float(plateau["stability"])))
    best: tuple[bool, int, float, int] = (True, n_samples, 0.0, 0)
    for bandwidth in _rung(_middle(low, high), np.arange(n_tries) / 2.0).tolist():
        rows = rows.at(bandwidth)
        bins = _bins(rows, bandwidth)
        n_centers = len(_modes(rows, bins, order=tree.order_of(bins))[0])
        differs = n_centers != count
        if every_row and not differs:  # which takes far longer, and rarely helps where bins do not
            n_centers = len(_modes(rows, rows.table, coalesce, rows.tree.order)[0])
        best = min(best, (differs, abs(n_centers - count), bandwidth, n_centers))
        if best[:2] == (False, 0):
            break
    return best[2:]


def _plateaus(
    bandwidths: NDArray[np.float64], counts: NDArray[np.int64], spread: float
) -> NDArray[np.void]:
    """Find the runs of equal counts; a run lasts until the next begins."""
    firsts = np.flatnonzero(np.diff(counts, prepend=-1))
    lasts = np.append(firsts[1:], len(counts) - 1)
    low, high = bandwidths[firsts], bandwidths[lasts]
    if counts[-1] == 1:
        high[-1] = max(spread, low[-1])
    plateaus = np.empty(len(firsts), dtype=PLATEAU_DTYPE)
    plateaus["n_clusters"] = counts[firsts]
    plateaus["low"], plateaus["high"] = low, high
    positive = low > 0
    (highs, octaves), (lows, octaves_below) = np.frexp(high[positive]), np.frexp(low[positive])
    plateaus["stability"] = 0.0
    plateaus["stability"][positive] = np.log2(highs / lows) + (octaves - octaves_below)
    return plateaus


def _effective(n_samples: int, weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """How many equal rows the weights amount to (Kish), and the weights with that for a sum."""
    if not weights.size:
        return float(n_samples), weights
    shares = weights / weights.sum()
    n_rows = 1.0 / float(shares @ shares)
    return n_rows, readonly_table(shares * n_rows)


def _checked_ladder(bandwidths: ArrayLike) -> NDArray[np.float64]:
    ladder = np.asarray(bandwidths, dtype=np.float64)
    if ladder.ndim != 1 or ladder.size == 0:
        raise ValueError(f"bandwidths must be a list of numbers, got shape {ladder.shape}")
    if not (np.isfinite(ladder).all() and ladder[0] > 0 and (np.diff(ladder) > 0).all()):
        raise ValueError(
            f"bandwidths must be positive, finite and ascending, got {quoted(bandwidths)}; sort "
            "them"
        )
    return ladder
