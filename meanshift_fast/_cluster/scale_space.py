"""Choosing a bandwidth: count the clusters up a ladder of bandwidths, and look for a plateau.

    clusters  |***
              |   **
              |     ************            the longest plateau: a count that lasts
              |                 **  ***
              |____________________________  bandwidth, each rung a fixed ratio above the last

A structure that is in the data, and not in the choice, lasts over a range of bandwidths, as in
scale-space clustering [1]_. Rungs are computed upwards: the modes of one are the seeds of the
next, so that all rungs but the first have few trajectories.

A fit does not start from such modes, though, and among a million rows some lie so far out that no
other is in their ball: each is a centre of its own. Of 20 blobs that last from 0.43 to 2.25, a fit
at 0.43 finds 229, at the middle 23, and 20 only from 1.7 on. So a bandwidth is tried before it is
chosen: it is the first in the third quarter of the plateau, from its middle up, at which a fit
finds as many centres as the plateau has, or comes nearest. Over twenty tables of 3 to 15 blobs in 2
to 5 columns, ten of them with 10 to 30 % of uniform rows, the mean adjusted Rand index of the rows
of blobs was 0.81 at the lower end of the plateau, 0.83 in its middle, 0.82 at three quarters, and
0.71 at the upper end; 0.83 so, and 0.80 where the trials went on to the upper end.

References
----------
.. [1] Y. Leung, J.-S. Zhang and Z.-B. Xu, "Clustering by scale-space filtering", IEEE
   Transactions on Pattern Analysis and Machine Intelligence 22 (12), 2000, pp. 1396-1410,
   :doi:`10.1109/34.895974`, on the lifetime of a number of clusters.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.ascent import ascend
from meanshift_fast._cluster.bins import find_bins
from meanshift_fast._cluster.modes import count_supported
from meanshift_fast._cluster.seams import merge_in
from meanshift_fast._cluster.seeding import centers_of
from meanshift_fast._index import choice
from meanshift_fast._index import moment_tree as tree
from meanshift_fast._index.base import Index
from meanshift_fast._index.kth_neighbors import mean_kth_distance
from meanshift_fast._index.torus import repeated
from meanshift_fast._input.extent import bounds_of
from meanshift_fast._input.messages import no_point_error
from meanshift_fast._input.metrics import Metric
from meanshift_fast._input.progress import Report
from meanshift_fast._input.scaling import FLAT_MOST, Units, readonly_table
from meanshift_fast._input.weights import UNWEIGHTED

RUNGS_AN_OCTAVE = 8
MIN_RADIUS, MAX_RADIUS = 1e-100, 1e150  # that one unit can hold
MAX_FIRST_SEEDS = 10_000  # rows that the first rung starts from, and that measure its bandwidth
# Rows have all their images up to so many columns that wrap, eight of each; beyond, those that
# twice the radius reaches, and a new tree where the radius has doubled.
MAX_COLUMNS_OF_ALL_IMAGES, IMAGED_RADII = 3, 2.0
MIN_SUPPORT_SHARE = 0.05  # of the heaviest mode's, below which a mode may be an outlier
MAX_TRIED_SEEDS = 200_000  # rows: 12 s in all; a million would take 80

PLATEAU_DTYPE = np.dtype(
    [("n_clusters", np.int64), ("low", np.float64), ("high", np.float64), ("stability", np.float64)]
)


class Curve(NamedTuple):
    """What `count_clusters` finds: the attributes of `meanshift_fast.BandwidthCurve`, in order."""

    bandwidths: NDArray[np.float64]
    n_clusters: NDArray[np.int64]
    n_modes: NDArray[np.int64]
    plateaus: NDArray[np.void]
    bandwidth: float
    n_centers: int


class _Counting(NamedTuple):
    """Which modes count: ``n_rows`` equal rows, ``unit`` of them for a weight of 1."""

    n_rows: float
    unit: float
    min_support: float

    def centers(self, support: NDArray[np.float64]) -> int:
        """How many centres a fit has."""
        # The scaling of the weights rounds, and must not drop a mode of exactly the least support.
        return count_supported(support / self.unit * (1.0 + 1e-9), self.min_support)

    def clusters(self, support: NDArray[np.float64]) -> int:
        """How many of them are clusters: without a least support, outliers are left out."""
        if self.min_support > 0.0:
            return self.centers(support)
        enough = min(self.n_rows**0.5, MIN_SUPPORT_SHARE * support[0])
        return int(np.count_nonzero(support >= enough))


class _Arranged(NamedTuple):
    """The rows, and their tree in the unit that suits a bandwidth; with images across seams."""

    metric: Metric
    table: NDArray[np.float64]
    weights: NDArray[np.float64]
    bounds: NDArray[np.float64]
    units: Units
    entered: NDArray[np.float64]
    tree: tree.MomentTree
    reach: float  # the largest radius that the tree has the images for

    @property
    def order(self) -> NDArray[np.signedinteger]:
        """The rows in an order of neighbourhood, without their images."""
        order = self.tree.order
        return order[order < len(self.table)] if len(order) > len(self.table) else order

    def at(self, bandwidth: float) -> "_Arranged":
        """The same for another bandwidth: in the same unit, as long as that will do."""
        radius = bandwidth / self.units.divisor
        if not MIN_RADIUS <= radius <= min(MAX_RADIUS, self.reach):
            return _arrange(self.metric, self.table, self.weights, self.bounds, bandwidth)
        units = self.units._replace(radius=float(radius))
        if self.metric.has_arcs:
            own = self.metric.units(self.metric.bandwidth_of(bandwidth), self.bounds)
            scale = float(own.divisor / self.units.divisor)
            units = units._replace(radius=own.radius * scale, angle=own.angle * scale)
        return self._replace(units=units)

    def shifting(self) -> Index:
        """The index that shifts positions."""
        return choice.balls_on(self.tree, self.units, self.entered, self.weights)


def _arrange(
    metric: Metric,
    table: NDArray[np.float64],
    weights: NDArray[np.float64],
    bounds: NDArray[np.float64],
    bandwidth: float,
) -> _Arranged:
    """Enter the rows in the unit of a bandwidth, and build their tree."""
    units = metric.units(metric.bandwidth_of(bandwidth), bounds)
    entered = units.enter(table)
    reach = math.inf
    if units.period.size:
        if np.count_nonzero(units.period < math.inf) > MAX_COLUMNS_OF_ALL_IMAGES:
            reach = IMAGED_RADII * units.radius
        images = repeated(entered, units.period, np.minimum(0.5 * units.period, reach))
        arranged = tree.build(images.points, images.of(weights))
    else:
        arranged = tree.build(entered, weights)
    return _Arranged(metric, table, weights, bounds, units, entered, arranged, reach)


def count_clusters(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    ladder: NDArray[np.float64] | None,
    *,
    every_row: bool,
    min_support: float,
    metric: Metric,
    coalesce: float = 0.0,
    recount: bool = False,
    report: Report = lambda *_: None,
) -> Curve:
    """Count the clusters at each bandwidth of a ladder, find the plateaus and choose a bandwidth.

    Parameters
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows, in the engine's columns; finite, at least one.
    weights : read-only float64 array of shape (n_samples,) or (0,)
        Positive; empty where all are 1.
    ladder : float64 array of shape (n_rungs,), or None
        The bandwidths, ascending, on a sphere as angles; None: by eighths of an octave, until one
        cluster is left or no ball is larger.
    every_row : bool
        Whether to try the bandwidth with every row as a seed, besides the bins; up to 200,000 rows.
    coalesce : float, default=0
        As in `ascend`, for the rows that are seeds.
    min_support : float
        As in `count_supported`: centres of less support are none.
    recount : bool, default=False
        Whether ``n_centers`` is of a fit from every row, where ``every_row`` says so and bins had
        another count: one more fit.

    Returns
    -------
    Curve
        Its ``bandwidth`` is 0 where all rows are equal.

    Raises
    ------
    ValueError
        Where the values leave no room for distances, or no ball holds a row.
    """
    n_rows, unit, weights = _effective(len(points), weights)
    counting = _Counting(n_rows, unit, min_support)
    bounds = bounds_of(points)
    most = metric.max_length()
    distance = min(math.sqrt(points.shape[1]) * spread_of(points, weights), FLAT_MOST)
    spread = min(float(metric.lengths(np.float64(distance))), most)
    rows = _arrange(metric, points, weights, bounds, 0.0)
    first = rows.order[:: -(-len(points) // MAX_FIRST_SEEDS)]
    seeds = readonly_table(points[first])
    least = 0.0
    if ladder is None:
        sampled = readonly_table(weights[first]) if weights.size else UNWEIGHTED
        least = float(
            mean_kth_distance(seeds, quantile=n_rows**-0.5, weights=sampled, metric=metric)
        )
        if least == 0.0:
            least = _least_of_equal_rows(bounds, spread)
    rungs: list[tuple[float, int, int]] = []
    while True:
        n = len(rungs)
        bandwidth = min(float(_rung(least, n)), most) if ladder is None else float(ladder[n])
        if bandwidth == math.inf:
            raise ValueError(
                f"X must leave room for distances, got values up to {np.abs(bounds).max():g}, and "
                "more clusters than one at every bandwidth; divide X by that, or give bandwidths"
            )
        rows = rows.at(bandwidth)
        seeds, support = _modes(rows, seeds)
        if len(support) == 0:
            raise no_point_error(bandwidth, rows.table)
        rungs.append((bandwidth, counting.clusters(support), len(seeds)))
        report(len(rungs), 0 if ladder is None else len(ladder), "bandwidth")
        is_top = len(seeds) == 1 or most <= bandwidth < math.inf  # one cluster, or no larger one
        is_last = is_top if ladder is None else len(rungs) == len(ladder)
        if is_last:
            break
    steps, counts, n_modes = (np.array(column) for column in zip(*rungs, strict=True))
    plateaus = _plateaus(steps, counts, spread)
    report(0, 1, "trial")
    every_row = every_row and len(points) <= MAX_TRIED_SEEDS
    bandwidth, n_centers, is_of_rows = _tried(
        rows, longest_plateau(plateaus), every_row, coalesce, counting
    )
    if recount and every_row and not is_of_rows:
        rows = rows.at(bandwidth)
        n_centers = counting.centers(_modes(rows, rows.table, coalesce, rows.order)[1])
    return Curve(steps, counts, n_modes, plateaus, bandwidth, n_centers)


def _least_of_equal_rows(bounds: NDArray[np.float64], spread: float) -> float:
    """The first rung where most rows are equal, so that the ball that holds them has no radius.

    A thousandth of the spread serves, or the rounding error of a mean of equal rows. Where all are
    equal, there is no spread.
    """
    varying = bounds[1] > bounds[0]
    if not varying.any():
        return 0.0
    return max(spread / 1000, 8.0 * float(np.spacing(np.abs(bounds[:, varying]).max())))


def _rung(first: float, steps: Any) -> Any:
    """The bandwidth so many steps above the first; infinite beyond the largest number."""
    octaves, left = np.divmod(steps, RUNGS_AN_OCTAVE)
    with np.errstate(over="ignore"):
        return np.ldexp(first * 2.0 ** (left / RUNGS_AN_OCTAVE), octaves.astype(np.int64))


def spread_of(points: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The root of the mean of the columns' variances."""
    each = weights if weights.size else np.ones(len(points))
    share = each / each.sum()
    # Powers of two, which round nothing, keep the squares of every column finite.
    exponents = np.clip(np.frexp(np.abs(points).max(axis=0))[1], -1000, 1000)
    offsets = points * np.ldexp(1.0, -exponents)
    # From the first row, so that rows that are all equal have a spread of exactly 0.
    offsets -= offsets[0].copy()
    # Not by BLAS, whose sums depend on the number of its threads.
    offsets -= np.einsum("i,ij->j", share, offsets)
    variances = np.einsum("i,ij,ij->j", share, offsets, offsets)
    unit = int(exponents[variances > 0.0].max(initial=-1000))
    shared = np.ldexp(variances, 2 * np.minimum(exponents - unit, 0))
    return float(np.ldexp(np.sqrt(shared.mean()), unit))


def _modes(
    rows: _Arranged,
    seeds: NDArray[np.float64],
    coalesce: float = 0.0,
    order: NDArray[np.signedinteger] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ascend from seeds in the unit of the columns; the modes in that unit, and their support."""
    units = rows.units
    ascent = ascend(
        rows.shifting(), units.enter(seeds), tol=1e-3, max_iter=300, report=lambda *_: None,
        coalesce=coalesce, order=order,
    )  # fmt: skip
    reached = ascent.support > 0
    if not reached.any():
        return seeds[:0], ascent.support[:0]
    endpoints = readonly_table(ascent.endpoints[reached])
    modes, support = merge_in(units, endpoints, ascent.support[reached])
    return readonly_table(units.leave(modes)), support


def longest_plateau(plateaus: NDArray[np.void]) -> np.void:
    """The longest plateau, the finest of equals."""
    # Lifetimes of as many rungs differ in their last bits.
    longest: np.void = plateaus[int(np.argmax(plateaus["stability"].round(9)))]
    return longest


def _middle(low: float, high: float) -> float:
    """The geometric mean; the product of both may be too large or too small for a float."""
    exponent = (math.frexp(low)[1] + math.frexp(high)[1]) // 2
    return math.ldexp(math.sqrt(math.ldexp(low, -exponent) * math.ldexp(high, -exponent)), exponent)


def _bins(rows: _Arranged, bandwidth: float) -> NDArray[np.float64]:
    """The centres of the occupied bins, in the unit of the columns."""
    metric = rows.metric
    width = metric.bandwidth_of(bandwidth)
    metric.units(width, rows.bounds, in_bins=True)  # refuses rows that have no bins
    radius = rows.units.radius
    first_rows, _ = find_bins(rows.entered, radius, np.empty(0, dtype=np.int64))
    firsts = rows.entered[first_rows]
    centers = rows.units.leave(centers_of(np.rint(firsts / radius), radius, firsts))
    return readonly_table(metric.seeds_of_bins(centers, metric.side(width), rows.table))


def _tried(
    rows: _Arranged, plateau: np.void, every_row: bool, coalesce: float, counting: "_Counting"
) -> tuple[float, int, bool]:
    """Fit at bandwidths of a plateau's third quarter, upwards, until one agrees with its count.

    Returns the bandwidth, the number of centres, and whether they are of a fit from every row.
    """
    low, high, count = float(plateau["low"]), float(plateau["high"]), int(plateau["n_clusters"])
    if low == 0.0:
        return 0.0, count, True
    n_tries = max(1, round(RUNGS_AN_OCTAVE * float(plateau["stability"]) / 2.0))
    best: tuple[bool, int, float, int] = (True, len(rows.table), 0.0, 0)
    for bandwidth in _rung(_middle(low, high), np.arange(n_tries) / 2.0).tolist():
        rows = rows.at(bandwidth)
        bins = _bins(rows, bandwidth)
        n_centers = counting.centers(_modes(rows, bins, order=tree.order_of(bins))[1])
        differs = n_centers != count
        if every_row and not differs:  # slow, and it rarely agrees where bins do not
            support = _modes(rows, rows.table, coalesce, rows.order)[1]
            n_centers = counting.centers(support)
        best = min(best, (differs, abs(n_centers - count), bandwidth, n_centers))
        if best[:2] == (False, 0):
            break
    return best[2], best[3], every_row and not best[0]


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


def _effective(
    n_samples: int, weights: NDArray[np.float64]
) -> tuple[float, float, NDArray[np.float64]]:
    """How many equal rows the weights amount to (Kish): in all, for a weight of 1, for each row."""
    if not weights.size:
        return float(n_samples), 1.0, weights
    total = weights.sum()
    shares = weights / total
    n_rows = 1.0 / float(shares @ shares)
    return n_rows, n_rows / float(total), readonly_table(shares * n_rows)
