"""The rows of an explorer: checked and converted once, with their weights, names and source."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanshift_fast._files.tables import Batch
from meanshift_fast._input.checks import checked_table
from meanshift_fast._input.extent import bounds_of
from meanshift_fast._input.metrics import Metric
from meanshift_fast._input.scaling import readonly_table
from meanshift_fast._input.weights import checked_weights, without_weightless
from meanshift_fast.estimator import MeanShift
from meanshift_fast.io import Table

_Floats = NDArray[np.float64]

SAMPLED_ROWS = 32  # rows that are compared with all rows for a nearest neighbour


class ExploredRows(NamedTuple):
    """The rows of an explorer.

    Attributes
    ----------
    table : array of shape (n_samples, n_features)
        The rows as they came, checked.
    points : read-only float64 array of shape (n_samples, n_features)
        The same as the kernels take them.
    weights : read-only float64 array of shape (n_samples,) or (0,)
        Their weights; empty where each counts once.
    names : list of str
        What the columns are called.
    source : Table or None
        The file that they came from; None where they were an array.
    batch : Batch or None
        What was read of it.
    scales : tuple of float
        The least and the largest bandwidth to look at.
    has_names : bool
        Whether the columns have names of their own, which a model keeps.
    """

    table: NDArray[Any]
    points: _Floats
    weights: _Floats
    names: list[str]
    source: Table | None
    batch: Batch | None
    scales: tuple[float, float]
    has_names: bool


def rows_of(X: ArrayLike | Table, sample_weight: ArrayLike | None = None) -> ExploredRows:
    """Check and convert rows, as `MeanShift.fit` does; the weights of a file are a column of it."""
    source = batch = None
    if isinstance(X, Table):
        if sample_weight is not None:
            raise ValueError(
                "sample_weight must be None where X is a file; open_table takes a weight_column"
            )
        source, batch = X, X.read()
        X, sample_weight = batch.X, batch.weights
    checked_by = MeanShift()
    table = checked_table(checked_by, X)
    weights = checked_weights(sample_weight, len(table))
    if source is not None:
        names, has_names = list(source.choice.features), source.has_names
    else:
        has_names = hasattr(checked_by, "feature_names_in_")
        n_features = table.shape[1]
        counted = [f"feature {f}" for f in range(n_features)]
        names = [str(name) for name in getattr(checked_by, "feature_names_in_", counted)]
    points = readonly_table(table)
    scales = _scales(points, weights)
    return ExploredRows(table, points, weights, names, source, batch, scales, has_names)


def scales_in(metric: Metric, rows: ExploredRows) -> tuple[float, float]:
    """The least and the largest bandwidth in a metric's space."""
    if not metric.has_arcs:
        return rows.scales
    chords = _scales(readonly_table(metric.enter(rows.points)), rows.weights)
    low, high = (float(metric.bandwidth_of(metric.lengths(chord))) for chord in chords)
    return low, high


def _scales(points: _Floats, weights: _Floats) -> tuple[float, float]:
    """The least and the largest bandwidth: from nearest neighbours to the whole table."""
    heavy, _ = without_weightless(points, weights)
    low_corner, high_corner = bounds_of(heavy)
    with np.errstate(over="ignore"):
        whole = float(np.linalg.norm(high_corner - low_corner)) / 2.0
    if not 0.0 < whole < np.inf:
        whole = 1.0
    nearest = _nearest_distance(heavy)
    return max(min(nearest, whole / 10.0), whole / 1e6), whole


def _nearest_distance(points: _Floats) -> float:
    """The median distance from some rows to their nearest other row; 0 where all are equal."""
    sampled = points[:: -(-len(points) // SAMPLED_ROWS)]
    found = []
    for row in sampled:
        away = points - row
        with np.errstate(over="ignore"):
            squares = np.einsum("ij,ij->i", away, away)
        squares = squares[squares > 0.0]
        if squares.size:
            found.append(squares.min())
    return float(np.sqrt(np.median(found))) if found else 0.0
