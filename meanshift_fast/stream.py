"""Streams: a table of any length is read batch by batch; the memory is that of its grid cells.

    pass 0  (only where the bandwidth is to be estimated)   batches -> sample -> bandwidth
    pass 1  batches -> weighted cells, no wider than resolution * bandwidth -> fit
    pass 2  (yours)   batch -> predict: nearest centre; or, in basins, the label of the row's cell,
                      or of its own trajectory where the cell lies beside another basin

What a row adds to its cell does not depend on its batch, and neither does whether it is in the
sample: the model is the same to the last bit for all ways to cut the rows into batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import _get_feature_names

from meanshift_fast._cluster.bandwidth_rules import Found
from meanshift_fast._cluster.stages import log_remarks
from meanshift_fast._input.frames import with_names
from meanshift_fast._input.messages import quoted
from meanshift_fast._input.metrics import metric_of
from meanshift_fast._input.progress import Report, reporting
from meanshift_fast._input.scaling import CELL_WIDTH, FINE_CELLS, is_rule
from meanshift_fast._jit.threads import borrowed_threads
from meanshift_fast._summaries.partitions import (
    Partition,
    Resolution,
    cells_of,
    check_columns,
    checked_model,
    checked_partition,
    condense_partition,
    estimated,
    fit_cells,
    sample_partition,
)
from meanshift_fast._summaries.priority_sample import Sample
from meanshift_fast.estimator import MeanShift

Batch = ArrayLike | tuple[ArrayLike, ArrayLike]
MakeBatches = Iterable[Batch] | Callable[[], Iterable[Batch]]


class _Passes:
    """Passes over the batches, which check that each pass has the same columns and rows."""

    def __init__(self, make_batches: MakeBatches) -> None:
        self.make_batches = make_batches
        self.n_rows: int | None = None
        self.n_features = 0
        self.dtype: np.dtype[Any] = np.dtype(np.bool_)
        self.names: NDArray[Any] | None = None

    def _fresh(self) -> Iterator[Batch]:
        batches = self.make_batches() if callable(self.make_batches) else self.make_batches
        if not isinstance(batches, Iterable):
            raise TypeError(
                f"make_batches must be an iterable of batches or a function that makes one, got "
                f"{type(batches).__name__}; a list of arrays will do"
            )
        iterator = iter(batches)
        if iterator is self.make_batches:
            raise TypeError(
                f"make_batches must begin anew each time, got a {type(batches).__name__}, which "
                "can be gone through but once; give the function that makes it, a list, or an "
                "object whose __iter__ makes a new iterator (manual: guides/streams)"
            )
        return iterator

    def partitions(self, stage: str, report: Report) -> Iterator[Partition]:
        """Read the batches once more, each checked; reports their rows."""
        n_rows = 0
        for number, batch in enumerate(self._fresh()):
            name = f"batch {number}"
            table, weights = _rows_and_weights(batch, name)
            table = with_names(table)
            partition = checked_partition(table, weights, name)
            names = _get_feature_names(table)
            if self.n_features == 0:
                self.n_features = partition.table.shape[1]
                self.dtype, self.names = partition.table.dtype, names
            if partition.table.shape[1] != self.n_features:
                like = "as batch 0" if self.n_rows is None else "in each pass as in the first"
                raise ValueError(
                    f"{name} must have as many columns {like}, got {partition.table.shape[1]} "
                    f"where that has {self.n_features}"
                )
            if names is not None and self.names is not None and list(names) != list(self.names):
                raise ValueError(
                    f"{name} must have the columns of batch 0 in their order, got "
                    f"{quoted(list(names))} where that has {quoted(list(self.names))}"
                )
            self.dtype = np.result_type(self.dtype, partition.table.dtype)
            n_rows += len(partition.table)
            yield partition
            report(n_rows, 0, stage)
        if n_rows == 0 and self.n_rows is None:
            raise ValueError("make_batches must give at least one row, got none")
        if self.n_rows not in (None, n_rows):
            raise ValueError(
                f"make_batches must give the same batches each time, got {self.n_rows} rows and "
                f"then {n_rows}; a function must make a new iterator at each call"
            )
        self.n_rows = n_rows


def _rows_and_weights(batch: Batch, name: str) -> tuple[ArrayLike, ArrayLike | None]:
    """Split a batch into rows and weights."""
    if not isinstance(batch, tuple):
        return batch, None
    if len(batch) != 2:
        raise ValueError(
            f"{name} must be an array or a tuple (array, weights), got a tuple of {len(batch)}"
        )
    return batch


def sample_batches(
    make_batches: MakeBatches,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Sample the rows that `fit_batches` estimates a bandwidth from.

    Parameters
    ----------
    make_batches : iterable of batches, or callable
        As in `fit_batches`.

    Returns
    -------
    rows : float64 array of shape (n_sampled, n_features)
        All rows, or 32,768 that a hash of the rows' numbers chooses, heavy ones more often.
    weights : float64 array of shape (n_sampled,), or None
        Weights whose sum is that of all rows; None where all are 1.
    """
    sample = Sample()
    with reporting(False) as report:
        for partition in _Passes(make_batches).partitions("sample", report):
            sample_partition(sample, partition)
    rows, weights = sample.drawn()
    return rows, weights if weights.size else None


def fit_batches(
    make_batches: MakeBatches,
    *,
    bandwidth: float | str | ArrayLike | None = None,
    resolution: float = CELL_WIDTH,
    n_fine: int = FINE_CELLS,
    **parameters: Any,
) -> MeanShift:
    """Fit mean shift to batches of rows that need not fit in memory together.

    Read more in :doc:`/guides/streams`.

    Parameters
    ----------
    make_batches : iterable of batches, or callable
        What can be iterated more than once: a list, an object whose ``__iter__`` begins
        anew, or a function that is called for a new iterator. A batch is an array-like of shape
        (n_rows, n_features), or a tuple of one and the rows' weights.
    bandwidth : float, {"scott", "silverman", "stable", "fine"} or array-like of shape \
(n_features,), default=None
        As in :class:`~meanshift_fast.MeanShift`. None and the words: estimated in a pass of its
        own, from 32,768 of the rows, which a hash of the rows' numbers chooses.
    resolution : float, default=1/16
        No cell is wider than ``resolution * bandwidth``; at most 1.
    n_fine : int, default=2**19
        Cells are halved, up to six times, as long as there are no more than so many of them.
        Raise it for peaks of few rows, lower it to save memory and time.
    **parameters
        The other parameters of :class:`~meanshift_fast.MeanShift`.

    Returns
    -------
    model : MeanShift
        Fitted on the cells: all attributes but ``labels_``, for the rows are not kept.
        ``predict`` labels a batch.

    Raises
    ------
    ValueError
        Where a batch is not a finite table of as many columns as the first, its weights are not
        one for each row, finite and at least 0, there are no rows, the bandwidth is estimated as
        0, or a parameter is out of range. It names the batch, counted from 0, and its row.
    TypeError
        Where ``make_batches`` can be iterated only once.

    See Also
    --------
    meanshift_fast.dask.MeanShift : The same for Dask collections.
    meanshift_fast.condense : One table's cells.

    Notes
    -----
    A row of weight w is w rows. With ``bin_seeding`` the seeds are those of the rows: the cells
    are parts of the bins. Otherwise each cell is a seed.

    With ``assign="basin"`` a row of ``predict`` takes the label of its cell. It ascends where no
    row of the fit was in the cell, and in a cell beside one of another label, where cells are wider
    than a 256th of the bandwidth.

    With the flat kernel, a cell that the sphere cuts counts by the part of it in the ball. Centres
    are then within 0.05 bandwidths of those of a fit in memory and labels agree to an ARI of
    0.998, on blobs with cells of a sixteenth of the bandwidth, on places and pixels with the
    default's finer ones. With ``n_fine=1`` labels of places and pixels agree less, and some
    peaks of few rows are not found.

    Memory: 24 n_features + 32 to 48 bytes a cell, up to twice that while the table of them grows,
    what :class:`~meanshift_fast.MeanShift` needs for as many rows, and a batch. Time: as the
    rows, the less the fewer cells there are.

    Examples
    --------
    >>> import numpy as np
    >>> from meanshift_fast.stream import fit_batches
    >>> def batches():
    ...     for seed in range(100):
    ...         yield np.random.default_rng(seed).normal([[0, 0], [9, 9]] * 500)
    >>> model = fit_batches(batches, bandwidth=3, bin_seeding=True)
    >>> model.predict([[1, 1], [8, 8]]).tolist() in ([0, 1], [1, 0])
    True
    """
    finest = Resolution(resolution, n_fine).checked()
    model = checked_model(MeanShift(bandwidth=bandwidth, **parameters))
    passes, metric = _Passes(make_batches), metric_of(model.metric, model.period)
    with reporting(model.progress) as report:
        with borrowed_threads(model.n_jobs):
            if is_rule(bandwidth):
                sample = Sample()
                for partition in passes.partitions("sample", report):
                    sample_partition(sample, partition, metric)
                found = estimated(sample, model)
            else:
                found = Found(bandwidth)
            cells, awaits_rows = None, True
            for partition in passes.partitions("condense", report):
                if cells is None:
                    check_columns(model, found.bandwidth, partition.table.shape[1])
                    cells = cells_of(found.bandwidth, finest, partition.table.shape[1], metric)
                if awaits_rows and len(partition.table):
                    log_remarks(partition.table, model, passes.names, is_stream=True)
                    awaits_rows = False
                condense_partition(cells, partition, metric)
            assert cells is not None
            condensed = cells.condensed()
        del cells, partition  # to free their memory for the fit
        fit_cells(model, condensed, found, dtype=passes.dtype, names=passes.names)
    return model
