"""Choosing a bandwidth: count the clusters up a ladder of bandwidths, and look for a plateau.

    clusters  |***
              |   **
              |     ************            the longest plateau: a count that lasts
              |                 **  ***
              |____________________________  bandwidth, each rung a fixed ratio above the last

A structure that is in the data, and not in the choice, lasts over a range of bandwidths, as in
scale-space clustering [1]_. The rungs are climbed upwards: the modes of one are the seeds of the
next, so that all rungs but the first have few trajectories.

References
----------
.. [1] Y. Leung, J.-S. Zhang and Z.-B. Xu, "Clustering by scale-space filtering", IEEE
   Transactions on Pattern Analysis and Machine Intelligence 22 (12), 2000, pp. 1396-1410,
   :doi:`10.1109/34.895974`, on the lifetime of a number of clusters.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array

from meanshift_fast import tree
from meanshift_fast.bandwidth import mean_kth_distance
from meanshift_fast.climb import climb
from meanshift_fast.modes import merge_modes
from meanshift_fast.shift import shift
from meanshift_fast.threads import borrowed_threads
from meanshift_fast.units import numeric_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RATIO = 2.0**0.125  # between rungs: eight an octave
SEEDS = 10_000  # rows that the first rung starts from, and that measure its bandwidth
STRAGGLER = 0.05  # of the heaviest mode's support

PLATEAU_DTYPE = np.dtype(
    [
        ("n_clusters", np.int64),
        ("low", np.float64),
        ("high", np.float64),
        ("stability", np.float64),
    ]
)

_UNWEIGHTED: NDArray[np.float64] = np.empty(0)
_UNWEIGHTED.flags.writeable = False


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
    """

    bandwidths: NDArray[np.float64]
    n_clusters: NDArray[np.int64]
    n_modes: NDArray[np.int64]
    plateaus: NDArray[np.void]

    @property
    def stable(self) -> np.void:
        """The longest plateau, the finest of equals."""
        longest: np.void = self.plateaus[int(np.argmax(self.plateaus["stability"]))]
        return longest

    @property
    def bandwidth(self) -> float:
        """A bandwidth from the middle half of the longest plateau.

        The middle of those rungs there that have the fewest stragglers; where no rung lies in
        the middle half, of those on the plateau.
        """
        low, high = self.stable["low"], self.stable["high"]
        edge = 2.0 ** (self.stable["stability"] / 4)
        in_half = (self.bandwidths >= low * edge) & (self.bandwidths <= high / edge)
        on_it = (self.bandwidths >= low) & (self.n_clusters == self.stable["n_clusters"])
        on_it &= (self.bandwidths < high) | (self.bandwidths == low)
        chosen = on_it & in_half if (on_it & in_half).any() else on_it
        fewest = self.bandwidths[chosen & (self.n_modes == self.n_modes[chosen].min())]
        return float(np.sqrt(fewest[0]) * np.sqrt(fewest[-1]))

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
        from meanshift_fast.plot import COLOURS, new_axes

        ax = new_axes() if ax is None else ax
        stable = self.stable
        low, high, count = stable["low"], stable["high"], int(stable["n_clusters"])
        ax.axvspan(low, high, color=COLOURS[0], alpha=0.15, linewidth=0)
        ax.step(self.bandwidths, self.n_clusters, where="post", color=COLOURS[0], linewidth=2)
        ax.axvline(self.bandwidth, color=COLOURS[1], linestyle="--")
        ax.set(xscale="log", yscale="log", xlabel="bandwidth", ylabel="clusters")
        noun = "cluster" if count == 1 else "clusters"
        ax.set_title(
            f"The longest plateau: {count} {noun} from {low:.3g} to {high:.3g} (shaded);\n"
            f"bandwidth {self.bandwidth:.3g} (dashed)",
            fontsize="medium",
        )
        return ax


def bandwidth_curve(
    X: ArrayLike,
    bandwidths: ArrayLike | None = None,
    *,
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

    Notes
    -----
    A mode is a straggler, and not counted, where its ball holds less than the square root of the
    number of rows and less than a twentieth of what the heaviest mode's holds. One cluster lasts
    for ever; it is counted up to the root mean square distance of the rows from their mean.

    The first rung starts from at most 10,000 rows, later ones from the modes of the last, so a
    mode that no trajectory of the first rung reaches is not found.

    Examples
    --------
    >>> from meanshift_fast.curve import bandwidth_curve
    >>> from meanshift_fast.datasets import demo_table
    >>> int(bandwidth_curve(demo_table()).stable["n_clusters"])
    3
    """
    points = np.ascontiguousarray(numeric_table(check_array(X)), dtype=np.float64)
    weights = _checked_weights(sample_weight, len(points))
    if weights.size:
        points, weights = points[weights > 0], weights[weights > 0]
    ladder = None if bandwidths is None else _checked_ladder(bandwidths)
    with borrowed_threads(n_jobs):
        return _curve(_read_only(points), _read_only(weights), ladder)


def stable_bandwidth(
    points: NDArray[np.float64], weights: NDArray[np.float64] = _UNWEIGHTED
) -> float:
    """Find the bandwidth in the middle of the longest plateau; `bandwidth_curve` of a ready table.

    Parameters
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows; finite, at least one.
    weights : read-only float64 array of shape (n_samples,) or (0,), default=empty
        The rows' weights, positive; empty where all are 1.

    Returns
    -------
    float
        In the unit of the columns of ``points``; 0 where all rows are equal.
    """
    return _curve(points, weights, None).bandwidth


def _curve(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    ladder: NDArray[np.float64] | None,
) -> BandwidthCurve:
    n_rows, weights = _effective(len(points), weights)
    rows = tree.build(points, weights)
    first = rows.order[:: -(-len(points) // SEEDS)]
    seeds = _read_only(points[first])
    mean = np.average(points, axis=0, weights=weights if weights.size else None)
    spread_sq = np.average((points - mean) ** 2, axis=0, weights=weights if weights.size else None)
    spread = float(np.sqrt(spread_sq.sum()))
    least = 0.0
    if ladder is None:
        sampled = _read_only(weights[first]) if weights.size else _UNWEIGHTED
        least = float(mean_kth_distance(seeds, quantile=n_rows**-0.5, weights=sampled))
        # Where most rows are equal the ball has no radius; a thousandth of the spread serves.
        least = least or spread / 1000
    rungs: list[tuple[float, int, int]] = []
    while True:
        bandwidth = least * RATIO ** len(rungs) if ladder is None else float(ladder[len(rungs)])
        seeds, support = _modes(rows, seeds, bandwidth)
        enough = min(n_rows**0.5, STRAGGLER * support[0])
        rungs.append((bandwidth, int(np.count_nonzero(support >= enough)), len(seeds)))
        done = len(seeds) == 1 if ladder is None else len(rungs) == len(ladder)
        if done:
            break
    steps, counts, n_modes = (np.array(column) for column in zip(*rungs, strict=True))
    return BandwidthCurve(steps, counts, n_modes, _plateaus(steps, counts, spread))


def _modes(
    rows: tree.MomentTree, seeds: NDArray[np.float64], bandwidth: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    move = partial(shift, rows, bandwidth=bandwidth)
    path = climb(move, seeds, bandwidth, tol=1e-3, max_iter=300, report=lambda *_: None)
    reached = path.support > 0
    modes, support = merge_modes(_read_only(path.ends[reached]), path.support[reached], bandwidth)
    return _read_only(modes), support


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
    plateaus["stability"] = 0.0
    plateaus["stability"][positive] = np.log2(high[positive] / low[positive])
    return plateaus


def _effective(n_samples: int, weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """How many equal rows the weights amount to (Kish), and the weights with that for a sum."""
    if not weights.size:
        return float(n_samples), weights
    shares = weights / weights.sum()
    n_rows = 1.0 / float(shares @ shares)
    return n_rows, _read_only(shares * n_rows)


def _read_only(array: NDArray[Any]) -> NDArray[np.float64]:
    view = np.ascontiguousarray(array, dtype=np.float64).view()
    view.flags.writeable = False
    return view


def _checked_ladder(bandwidths: ArrayLike) -> NDArray[np.float64]:
    ladder = np.asarray(bandwidths, dtype=np.float64)
    if ladder.ndim != 1 or ladder.size == 0:
        raise ValueError(f"bandwidths must be a list of numbers, got shape {ladder.shape}")
    if not (np.isfinite(ladder).all() and ladder[0] > 0 and (np.diff(ladder) > 0).all()):
        raise ValueError(
            f"bandwidths must be positive, finite and ascending, got {ladder}; sort them"
        )
    return ladder


def _checked_weights(sample_weight: ArrayLike | None, n_samples: int) -> NDArray[np.float64]:
    if sample_weight is None:
        return _UNWEIGHTED
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n_samples,):
        raise ValueError(
            f"sample_weight must have one weight for each of the {n_samples} rows, got shape "
            f"{weights.shape}"
        )
    if not np.isfinite(weights).all() or weights.min() < 0 or weights.max() == 0:
        raise ValueError(
            "sample_weight must be finite, at least 0 and not all 0, got weights from "
            f"{weights.min()} to {weights.max()}"
        )
    return weights
