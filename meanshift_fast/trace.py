"""`trace`: single trajectories, step by step, and what they look like in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from meanshift_fast._cluster.trajectory import rows_near, trajectories
from meanshift_fast._index.kernels import KERNELS
from meanshift_fast._index.plain_rows import rows_in_ball
from meanshift_fast._index.stopping import rest_of
from meanshift_fast._input.checks import plain_table
from meanshift_fast._input.messages import counted, quoted
from meanshift_fast._input.metrics import metric_of
from meanshift_fast._input.scaling import NOT_NEGATIVE, POSITIVE, is_number
from meanshift_fast._input.weights import checked_weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """The trajectories of one or more starting points, as `trace` finds them.

    Printed, it reads as the prediction trace, a line a step; long trajectories, wide rows and long
    lists of starting points are shortened in the middle.

    Attributes
    ----------
    positions : list of ndarray of shape (n_steps + 1, n_features), float64
        For each start, where it was: first the start itself, then the mean of each ball. In the
        unit of the columns of `X`. `n_steps` differs from start to start.
    shifts : list of ndarray of shape (n_steps,), float64
        For each start, the length of each move.
    support : list of ndarray of shape (n_steps,), float64
        For each start, the number of rows in the ball behind each move, or their weight; with
        the Gaussian kernel, the weight of all rows as the kernel counts them.
    bandwidth : float
        Radius of the balls, or standard deviation of the Gaussian kernel.
    kernel : {"flat", "gaussian"}
        How rows count.
    tol : float
        A trajectory ends with the first move of at most ``tol * bandwidth``.
    max_iter : int
        A trajectory ends after ``max_iter + 1`` moves at the latest.
    points : ndarray of shape (n_samples, n_features), float64
        The rows, for `neighbours`. The caller's own array where that was float64 already.
    weights : ndarray of shape (n_samples,) or (0,), float64
        The rows' weights; empty where each counts once.
    metric : {"euclidean", "haversine", "cosine"}
        How distances are measured.
    period : array-like of shape (n_features,) or None
        For columns that wrap around.

    See Also
    --------
    trace : Makes it.

    Examples
    --------
    >>> from meanshift_fast import trace
    >>> traced = trace([[1, 1], [2, 1], [1, 2]], [2.5, 2.5], bandwidth=2)
    >>> traced
    <Trace: 1 starting point(s), at most 3 shift(s)>
    >>> traced.positions[0].round(2)
    array([[2.5 , 2.5 ],
           [1.5 , 1.5 ],
           [1.33, 1.33],
           [1.33, 1.33]])
    """

    positions: list[_Floats]
    shifts: list[_Floats]
    support: list[_Floats]
    bandwidth: float
    kernel: str
    tol: float
    max_iter: int
    points: _Floats
    weights: _Floats
    metric: str = "euclidean"
    period: npt.ArrayLike | None = None

    def neighbours(self, step: int, start: int = 0) -> npt.NDArray[np.intp]:
        """Find the rows in the ball of one step, or those that the Gaussian kernel counts most.

        Parameters
        ----------
        step : int
            0 for the ball around the start itself; negative numbers count from the end.
        start : int, default=0
            Which trajectory, where there are several.

        Returns
        -------
        rows : ndarray of shape (n_neighbours,), int64
            Row numbers in `X`, ascending; their mean is ``positions[start][step + 1]``. With the
            Gaussian kernel, for which every row is a neighbour, those within three bandwidths (on a
            sphere within three times the angle), beyond which a row counts for less than a
            ninetieth. Rows of weight 0 are not among them.

        Raises
        ------
        IndexError
            If there is no such trajectory or no such step.

        Notes
        -----
        Nothing is stored: each call is one pass over the rows.
        """
        if not -len(self.shifts) <= start < len(self.shifts):
            raise IndexError(
                f"start must be one of the {len(self.shifts)} trajectories, got {start}"
            )
        n_steps = len(self.shifts[start])
        if not -n_steps <= step < n_steps:
            raise IndexError(
                f"step must be one of the {n_steps} steps of the trajectory, got {step}"
            )
        centre = self.positions[start][step % n_steps]
        space, radius = metric_of(self.metric, self.period), self.bandwidth
        reach = KERNELS[self.kernel].neighbour_bandwidths
        if reach != 1.0:
            radius = space.bandwidth_of(reach * space.length_of(radius))
        if space.is_plain:
            inside = np.concatenate(
                [first + inside for first, inside, _ in rows_in_ball(self.points, centre, radius)]
            )
        else:
            inside = rows_near(space, self.points, centre, radius)
        return inside[self.weights[inside] > 0.0] if self.weights.size else inside

    def plot(self, ax: Axes | None = None, *, legend: bool = True) -> Axes:
        """Draw the trajectories over the rows: each start, its first ball, its steps and its end.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; the legend then lies where it hides no data, inside, beside or below, or
            is left out. None: a new figure, the legend beside.
        legend : bool, default=True
            Whether to draw a legend.

        Returns
        -------
        matplotlib Axes
            The axes drawn on. More than two columns are shown by their principal components.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from meanshift_fast._pictures.trajectories import draw_trajectories

        return draw_trajectories(self, ax, legend=legend)

    def __repr__(self) -> str:
        """Write how many trajectories there are and how long the longest is."""
        longest = max(len(shifts) for shifts in self.shifts)
        return f"<Trace: {len(self.shifts)} starting point(s), at most {longest} shift(s)>"

    def _in_degrees(self) -> Trace:
        """The same in degrees, for the words of tables that were in degrees."""
        return replace(
            self,
            positions=[np.degrees(positions) for positions in self.positions],
            shifts=[np.degrees(shifts) for shifts in self.shifts],
            bandwidth=math.degrees(self.bandwidth),
            weights=self.weights[:0],
            metric="euclidean",
        )

    def __str__(self) -> str:
        """Write the trajectories, a line a step."""
        n_starts = len(self.shifts)
        return "\n\n".join(
            _elide(n_starts, self._description, 3, 2, "... {} more starting points ...")
        )

    def _description(self, start: int) -> str:
        positions, shifts = self.positions[start], self.shifts[start]
        kernel = KERNELS[self.kernel]

        def step(number: int) -> str:
            """Write a step in a line."""
            support = self.support[start][number]
            neighbours = counted(support, "neighbour")
            if not kernel.is_ball:
                neighbours = f"neighbours of weight {support:.6g}"
            elif self.weights.size:
                neighbours = counted(len(self.neighbours(number, start)), "neighbour")
                neighbours += f" of weight {support:.6g}"
            mean = self._row(positions[number + 1])
            shift = shifts[number]
            return f"Step {number + 1}: {neighbours}, their mean {mean}, shift {shift:.3g}."

        neighbours = kernel.neighbours.format(len(self.points))
        return "\n".join(
            [
                f"Select the point {self._row(positions[0])}.",
                f"Its neighbours are {neighbours}, {self.bandwidth:.4g}.",
                *_elide(len(shifts), step, 9, 3, "... {} more steps ..."),
                self._ending(positions[-1], shifts),
            ]
        )

    def _ending(self, end: _Floats, shifts: _Floats) -> str:
        if len(shifts) == 0:
            return "There are none: the ball is empty, and the point stays where it is."
        moves = f"after {counted(len(shifts), 'shift')}"
        rest = rest_of(self.tol, metric_of(self.metric, self.period).length_of(self.bandwidth))
        if shifts[-1] <= rest:
            return (
                f"It rests at {self._row(end)} {moves}:\n"
                f"the last one is at most tol * bandwidth = {rest:.3g}."
            )
        if len(shifts) > self.max_iter:
            return f"It is still moving {moves}, the most that max_iter = {self.max_iter} allows."
        return f"It stops at {self._row(end)} {moves}: the next ball is empty."

    def _row(self, row: _Floats) -> str:
        """Write a row as "[x, y]", to a thousandth of the bandwidth or of its largest value."""
        largest = np.abs(row).max()
        decimals = 3 - math.floor(math.log10(min(largest or math.inf, self.bandwidth)))

        def value(feature: int) -> str:
            """Write a coordinate."""
            # The zero that is added turns -0.0 into 0.0.
            return f"{round(float(row[feature]), decimals) + 0.0:.15g}"

        return f"[{', '.join(_elide(len(row), value, 3, 1, '...'))}]"


def trace(
    X: npt.ArrayLike,
    start: npt.ArrayLike,
    *,
    bandwidth: float,
    kernel: str = "flat",
    accuracy: float = 1e-3,
    tol: float = 1e-3,
    max_iter: int = 300,
    metric: str = "euclidean",
    period: npt.ArrayLike | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> Trace:
    """Follow starting points as each shifts to the mean of its neighbours, until it rests.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The rows that pull.
    start : array-like of shape (n_features,) or (n_starts, n_features)
        Where to begin: a row of `X` or any other place.
    bandwidth : float
        Radius of the ball, in the unit of the columns of `X`, or standard deviation of the
        Gaussian kernel. A row exactly at a ball's radius is a neighbour.
    kernel : {"flat", "gaussian"}, default="flat"
        "flat": every row in the ball counts the same. "gaussian": every row counts, by
        ``exp(-d**2 / 2)`` for a distance of d bandwidths.
    accuracy : float, default=1e-3
        As in `MeanShift`. A trace sums every row, which is within any accuracy.
    tol : float, default=1e-3
        A point rests when a move is at most ``tol * bandwidth``.
    max_iter : int, default=300
        As in `MeanShift`: at most ``max_iter + 1`` moves.
    metric : {"euclidean", "haversine", "cosine"}, default="euclidean"
        As in `MeanShift`; the moves on a sphere are angles.
    period : array-like of shape (n_features,), default=None
        As in `MeanShift`.
    sample_weight : array-like of shape (n_samples,), default=None
        The rows' weights: a row of weight w pulls as w rows. None counts each once.

    Returns
    -------
    traced : Trace
        Positions, lengths of the moves and numbers of neighbours, step by step. ``str(traced)``
        writes them as sentences.

    Raises
    ------
    TypeError
        If a parameter is not a number of the right kind.
    ValueError
        If `X` or `start` is not a finite table of the right width, or a parameter is out of its
        range.

    See Also
    --------
    MeanShift : The same shifts for every seed at once, merged into clusters.

    Notes
    -----
    A step costs O(n_samples * n_features) time and a few megabytes whatever the size of `X`.
    Squared distances are sums over the features in their order, as in scikit-learn's trees, so
    the same rows lie in the ball to the last bit. A start with an empty ball has no step.

    References
    ----------
    .. [1] D. Comaniciu and P. Meer, "Mean shift: a robust approach toward feature space
       analysis", IEEE Transactions on Pattern Analysis and Machine Intelligence 24(5), 2002,
       section 2.2. https://doi.org/10.1109/34.1000236

    Examples
    --------
    >>> from meanshift_fast import trace
    >>> X = [[1, 1], [2, 1], [1, 2], [8, 8], [9, 8]]
    >>> traced = trace(X, [2.5, 2.5], bandwidth=2)
    >>> print(traced)
    Select the point [2.5, 2.5].
    Its neighbours are those of the 5 rows within the bandwidth, 2.
    Step 1: 2 neighbours, their mean [1.5, 1.5], shift 1.41.
    Step 2: 3 neighbours, their mean [1.333, 1.333], shift 0.236.
    Step 3: 3 neighbours, their mean [1.333, 1.333], shift 0.
    It rests at [1.333, 1.333] after 3 shifts:
    the last one is at most tol * bandwidth = 0.002.
    >>> traced.neighbours(0)
    array([1, 2])
    """
    points = _checked_table(X, "X")
    starts = _checked_starts(start, points.shape[1])
    _check_parameters(bandwidth, kernel, accuracy, tol, max_iter)
    weights = checked_weights(sample_weight, len(points))

    bandwidth, tol, max_iter = float(bandwidth), float(tol), int(max_iter)
    space = metric_of(metric, period)
    space.checked_bandwidth(bandwidth, points.shape[1])
    found = trajectories(space, points, weights, starts, bandwidth, kernel, tol, max_iter)
    positions, shifts, support = (list(part) for part in zip(*found, strict=True))
    return Trace(
        positions, shifts, support, bandwidth, kernel, tol, max_iter, points, weights, metric,
        period,
    )  # fmt: skip


def _checked_table(table: npt.ArrayLike, name: str) -> _Floats:
    # Asked for float64 at once, scikit-learn would read words such as "1.5" as numbers.
    given = plain_table(table, name, estimator="trace")
    return np.asarray(given, dtype=np.float64)


def _checked_starts(start: npt.ArrayLike, n_features: int) -> _Floats:
    table = np.asanyarray(start)  # with its mask, which is refused
    starts = _checked_table(table[np.newaxis] if table.ndim == 1 else table, "start")
    if starts.shape[1] != n_features:
        raise ValueError(
            f"start must have as many features as X, got {starts.shape[1]} and {n_features}; "
            "give one value for each column of X"
        )
    return starts


def _check_parameters(
    bandwidth: float, kernel: str, accuracy: float, tol: float, max_iter: int
) -> None:
    if kernel not in KERNELS:
        names = " or ".join(f'"{name}"' for name in KERNELS)
        raise ValueError(
            f'kernel must be {names}, got {quoted(kernel)}; "flat" counts every row in the ball '
            "the same"
        )
    _check_lengths(bandwidth, accuracy, tol)
    if isinstance(max_iter, bool | np.bool_) or not isinstance(max_iter, Integral):
        raise TypeError(
            f"max_iter must be an integer, got {quoted(max_iter)} of type {type(max_iter).__name__}"
        )
    if max_iter < 0:
        raise ValueError(f"max_iter must be at least 0, got {quoted(max_iter)}; 0 allows one move")


def _check_lengths(bandwidth: float, accuracy: float, tol: float) -> None:
    for name, value in (("bandwidth", bandwidth), ("accuracy", accuracy), ("tol", tol)):
        if isinstance(value, bool | np.bool_) or not is_number(value):
            raise TypeError(
                f"{name} must be a real number, got {quoted(value)} of type {type(value).__name__}"
            )
    if bandwidth not in POSITIVE:
        raise ValueError(
            f"bandwidth must be positive and finite, got {quoted(bandwidth)}; it is the radius "
            "of the ball, in the unit of the columns of X"
        )
    for name, value in (("accuracy", accuracy), ("tol", tol)):
        if value not in NOT_NEGATIVE:
            raise ValueError(
                f"{name} must be finite and at least 0, got {quoted(value)}; it is a fraction of "
                "the bandwidth"
            )


def _elide(n_items: int, text: Callable[[int], str], head: int, tail: int, note: str) -> list[str]:
    """Write the first and last items, with a note of how many were left out between them."""
    left_out = n_items - head - tail
    if left_out <= 1:
        return [text(item) for item in range(n_items)]
    first, last = range(head), range(n_items - tail, n_items)
    return [*map(text, first), note.format(left_out), *map(text, last)]
