"""Partitions of a table, which are a stream's batches or Dask's partitions, and their steps.

    partition --check--> rows ---> sample ---> bandwidth     where it is to be estimated
                          `------> cells ----> model

Streams and Dask share these steps; an error names the batch or partition, and its row.
"""

from collections.abc import Iterator
from math import ceil
from numbers import Integral
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanshift_fast._cluster.bandwidth_rules import Found, find_bandwidth
from meanshift_fast._cluster.grid import Grid
from meanshift_fast._cluster.model import adopt, fitted
from meanshift_fast._cluster.seeding import checked_seeds
from meanshift_fast._index.kernels import KERNELS
from meanshift_fast._index.soft_cells import widths_of
from meanshift_fast._input.checks import check_parameters, refuse_masked
from meanshift_fast._input.frames import is_frame, refuse_column, refuse_times
from meanshift_fast._input.messages import cut, quoted, zero_reason
from meanshift_fast._input.metrics import EUCLIDEAN, Metric, metric_of
from meanshift_fast._input.scaling import CELL_WIDTHS, checked_lengths, is_number, readonly_table
from meanshift_fast._input.weights import UNWEIGHTED, check_total, checked_weights
from meanshift_fast._jit.threads import thread_count
from meanshift_fast._summaries.grid_cells import Cells, Condensed
from meanshift_fast._summaries.priority_sample import Sample

BLOCK_ROWS = 1 << 16  # rows converted at a time, where a partition is not in the kernels' layout
MAX_HALVINGS = 6  # of cells, while they are few

Width = float | ArrayLike
Model = TypeVar("Model")  # an object with the parameters of MeanShift


class Resolution(NamedTuple):
    """How fine the cells are.

    No cell is wider than ``coarsest`` bandwidths; cells are halved as long as there are no more
    than ``n_fine``.
    """

    coarsest: float
    n_fine: int

    def checked(self) -> "Resolution":
        """Refuse values out of range; errors have the parameters' names."""
        if not is_number(self.coarsest) or self.coarsest not in CELL_WIDTHS:
            raise ValueError(
                f"resolution must be a number between 1e-9 and 1, got "
                f"{quoted(self.coarsest)}; it is the side of a cell in bandwidths"
            )
        if not isinstance(self.n_fine, Integral) or self.n_fine < 1:
            raise ValueError(
                f"n_fine must be a whole number of at least 1, got {quoted(self.n_fine)}; it is "
                "a number of cells"
            )
        return self


class Partition(NamedTuple):
    """Some of the rows, checked except for finite values, which are checked block by block.

    Attributes
    ----------
    table : numeric array of shape (n_rows, n_features)
        In any layout.
    weights : read-only float64 array of shape (n_rows,) or (0,)
        Empty where all are 1.
    name : str
        What an error calls them.
    """

    table: NDArray[Any]
    weights: NDArray[np.float64]
    name: str

    def blocks(self) -> Iterator[tuple[int, NDArray[Any], NDArray[np.float64]]]:
        """Yield blocks of rows in the kernels' layout: first row, rows, weights."""
        dtype = np.float32 if self.table.dtype == np.float32 else np.float64
        for start in range(0, len(self.table), BLOCK_ROWS):
            points = np.ascontiguousarray(self.table[start : start + BLOCK_ROWS], dtype=dtype)
            yield start, points, self.weights[start : start + BLOCK_ROWS]


def checked_partition(table: ArrayLike, weights: ArrayLike | None, name: str) -> Partition:
    """Check some rows and their weights; no rows, and weights that are all 0, are allowed.

    ``name`` is what an error calls the rows.
    """
    array = _numbers(table, name)
    try:
        return Partition(array, checked_weights(weights, len(array), part=True), name)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _numbers(table: ArrayLike, name: str) -> NDArray[Any]:
    """Make an array of numbers of a table; an error about a frame names column and row."""
    refuse_masked(table, name)
    if not is_frame(table):
        return _array(table, name)
    refuse_times(table, name)
    try:
        array = _array(table, name)
    except ValueError:
        refuse_column(table, name)
        raise
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        refuse_column(table, name)
    return array


def _array(table: ArrayLike, name: str) -> NDArray[Any]:
    array = np.asarray(table)
    if array.ndim != 2 or array.shape[1] == 0:
        hint = "; a single table is a list of one batch: [table]" if array.ndim == 1 else ""
        raise ValueError(
            f"{name} must be a table of shape (n_rows, n_features), got shape {array.shape}{hint}"
        )
    if array.dtype.kind == "O":
        try:
            array = array.astype(np.float64)
        except (OverflowError, TypeError, ValueError) as error:
            raise ValueError(
                f"{name} must be numbers, got {cut(str(error))}; convert its columns"
            ) from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be numbers, got dtype {array.dtype}; convert its columns")
    return array


def condense_partition(cells: Cells, partition: Partition, metric: Metric) -> None:
    """Add rows to their cells, in the engine's columns."""
    for start, block, weights in partition.blocks():
        points = _entered(metric, block, start, partition.name)
        n_added = cells.add(points, weights)
        if n_added < len(points):
            _refuse_infinite(points, start, partition.name)
            value = np.abs(points[n_added]).max()
            raise ValueError(
                f"bandwidth is too small for {partition.name}, row {start + n_added}, whose "
                f"largest coordinate is {value:g}: the numbers of the cells overflow; give a "
                "larger one"
            )


def sample_partition(sample: Sample, partition: Partition, metric: Metric = EUCLIDEAN) -> None:
    """Add rows to the sample, in their own columns."""
    for start, points, weights in partition.blocks():
        _refuse_infinite(points, start, partition.name)
        _entered(metric, points, start, partition.name)
        sample.add(points, weights)


def _entered(metric: Metric, points: NDArray[Any], start: int, name: str) -> NDArray[Any]:
    """Rows in the engine's columns; an error names the row in the partition."""
    if not metric.is_plain:
        _refuse_infinite(points, start, name)
    return metric.enter(points, name, start)


def _refuse_infinite(points: NDArray[Any], start: int, name: str) -> None:
    """Refuse the first value that is not finite."""
    bad = np.argwhere(~np.isfinite(points))
    if bad.size:
        row, column = bad[0]
        raise ValueError(
            f"{name} must be finite, got {points[row, column]} at row {start + row}, column "
            f"{column}; leave such rows out, or fill them"
        )


def checked_model(model: Model) -> Model:
    """Refuse a model's parameters before any row is read."""
    check_parameters(model)
    thread_count(model.n_jobs)  # type: ignore[attr-defined]
    return model


def check_columns(model: Any, width: Width, n_features: int) -> None:
    """Refuse a bandwidth or seeds of other columns than the rows', before all rows are read."""
    metric = metric_of(model.metric, model.period)
    metric.enter(np.ones((1, n_features)))  # refuses another number of columns
    metric.checked_bandwidth(width, n_features)
    if model.seeds is not None:
        checked_seeds(model.seeds, n_features)


def cells_of(
    width: Width, resolution: Resolution, n_features: int, metric: Metric = EUCLIDEAN
) -> Cells:
    """Make an empty grid of cells: parts of bins that are a bandwidth wide."""
    sizes = checked_lengths("bandwidth", metric.side(width), metric.n_columns(n_features))
    n_parts = ceil(1.0 / resolution.coarsest - 1e-9)
    return Cells(Grid(sizes, n_parts), halvings=MAX_HALVINGS, n_fine=int(resolution.n_fine))


def estimated(sample: Sample, model: Any) -> Found:
    """Estimate a model's bandwidth from a sample of at least one row, by its rule."""
    check_total(sample.total)
    rows, weights = sample.drawn()
    metric = metric_of(model.metric, model.period)
    found = find_bandwidth(
        model.bandwidth, model.kernel, readonly_table(metric.enter(rows)), weights,
        min_support=model.min_support, metric=metric,
    )  # fmt: skip
    if found.bandwidth == 0.0:
        raise ValueError(
            "bandwidth was estimated as 0, because "
            f"{zero_reason(model.bandwidth, 0.3, len(rows))}, and cells must have a width; give "
            "a bandwidth"
        )
    return found


def fit_cells(
    model: Any,
    condensed: Condensed,
    found: Found,
    *,
    dtype: np.dtype[Any],
    names: NDArray[Any] | None,
) -> None:
    """Fit a model on cells, to predict rows; sets all attributes but ``labels_``.

    Its ``bandwidth`` may be a rule, and is not overwritten by the one found. Centres keep the dtype
    of the rows where it is floating.
    """
    metric = metric_of(model.metric, model.period)
    # A Gaussian is smooth: cells a sixteenth as wide hardly move a mean.
    is_ball = KERNELS[model.kernel].is_ball
    widths = widths_of(condensed.variances) if is_ball else UNWEIGHTED
    weights = checked_weights(condensed.weights, len(condensed.points))
    fit = fitted(model, condensed.points, weights, widths, bandwidth=found.bandwidth, entered=True)
    found.warn_of(len(fit.centers))
    if fit.kept:
        fit = fit._replace(kept=fit.kept.in_cells(condensed.grid))
    if fit.shapes:
        modes = fit.shapes.modes
        if dtype.kind == "f" and dtype.itemsize <= 8:
            modes = metric.cast(modes, dtype.newbyteorder("="))
        fit = fit._replace(shapes=fit.shapes._replace(modes=modes, of_rows=None))
    adopt(model, fit)
    model.n_features_in_ = metric.n_features(condensed.points.shape[1])
    if dtype.kind == "f" and dtype.itemsize <= 8:
        model.cluster_centers_ = metric.cast(model.cluster_centers_, dtype.newbyteorder("="))
    vars(model).pop("feature_names_in_", None)
    if names is not None:
        model.feature_names_in_ = names
    del model.labels_
