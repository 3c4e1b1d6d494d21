r"""Dask: mean shift over the partitions of a collection, on whatever scheduler or client is active.

    partition 0 --condense--> cells \
    partition 1 --condense--> cells  >--merge--> cells \
         ...                        /                   >--merge--> cells --fit, here--> model
    partition n --condense--> cells ------merge--> ... /

    partition i --predict with the model--> labels          when they are computed

Cells are merged in the order of the partitions, so that the model does not depend on the scheduler,
and on the cutting into partitions only by the rounding of sums.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _get_feature_names,
    check_is_fitted,
)

from meanshift_fast import estimator
from meanshift_fast._cluster.bandwidth_rules import Found
from meanshift_fast._cluster.model import forget
from meanshift_fast._input.checks import refuse_masked
from meanshift_fast._input.messages import quoted
from meanshift_fast._input.metrics import Metric, metric_of
from meanshift_fast._input.scaling import CELL_WIDTH, FINE_CELLS, is_rule
from meanshift_fast._jit.threads import borrowed_threads, task_threads
from meanshift_fast._summaries import tasks
from meanshift_fast._summaries.grid_cells import Condensed
from meanshift_fast._summaries.partitions import (
    Resolution,
    check_columns,
    checked_model,
    estimated,
    fit_cells,
)
from meanshift_fast._summaries.priority_sample import Sample

try:
    import dask
    import dask.array as da
    from dask.delayed import Delayed, delayed
except ImportError as error:
    raise ImportError(
        "meanshift_fast.dask needs dask, which is not installed or not whole; "
        'install it with: pip install "meanshift_fast[dask]"'
    ) from error

MAX_MERGED = 8  # summaries that one task merges: a worker holds so many at a time


class MeanShift(estimator.MeanShift):
    """Mean shift clustering of a Dask array or dataframe.

    Parameters
    ----------
    resolution : float, default=1/16
        No cell is wider than ``resolution * bandwidth``; at most 1.
    n_fine : int, default=2**19
        Cells are halved, up to six times, as long as there are no more than so many of them.
    **parameters
        Those of :class:`meanshift_fast.MeanShift`. ``n_jobs`` is the number of threads of each
        task of ``predict``, None for one, and of the fit on the cells, None for all. ``progress``
        reports that fit; the tasks have Dask's own progress bars.

    Attributes
    ----------
    labels_ : dask array or series of int64
        The label of each row; lazy.
    cluster_centers_, bandwidth_, mode_weight_, n_iter_, history_, n_features_in_, feature_names_in_
        As in :class:`meanshift_fast.MeanShift`, and here already.

    See Also
    --------
    meanshift_fast.stream.fit_batches : The same on one machine, for data larger than its memory.

    Notes
    -----
    Nothing here starts a cluster: what computes is the active client, or the scheduler that
    ``dask.config`` names.

    A bandwidth that is None or a rule is estimated in a pass of its own from 32,768 rows, chosen
    by their numbers; where the sizes of the chunks are not known, counting them is one more.

    :doc:`/guides/dask` has the cost of each stage.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from meanshift_fast.dask import MeanShift
    >>> X = da.from_array(np.array([[1.0, 1], [2, 1], [1, 0], [4, 7], [3, 5], [3, 6]]), chunks=2)
    >>> model = MeanShift(bandwidth=2).fit(X)
    >>> model.labels_
    dask.array<_labels_of, shape=(6,), dtype=int64, chunksize=(2,), chunktype=numpy.ndarray>
    >>> model.labels_.compute()
    array([1, 1, 1, 0, 0, 0])
    """

    _weight_column: str | None

    def __init__(
        self, *, resolution: float = CELL_WIDTH, n_fine: int = FINE_CELLS, **parameters: Any
    ) -> None:
        super().__init__(**parameters)
        self.resolution = resolution
        self.n_fine = n_fine

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the centres of X; its labels are lazy.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_samples, n_features)
            The rows. The sizes of chunks need not be known.
        y : Ignored
            Present by convention.
        sample_weight : dask array or series, str, array-like or float, default=None
            The rows' weights, cut as X is; or the name of the column that has them, which is then
            none of the features. An array-like goes with an array of known chunks only.

        Returns
        -------
        self : MeanShift
            The fitted model.

        Raises
        ------
        TypeError
            Where X is no Dask collection.
        ValueError
            As :meth:`meanshift_fast.MeanShift.fit`, naming the partition and its row.
        """
        resolution = Resolution(self.resolution, self.n_fine).checked()
        checked_model(self)
        try:
            self._fit(_parts_of(X, sample_weight), resolution)
            self.labels_ = self.predict(X)
        except BaseException:
            forget(self)
            raise
        return self

    def _fit(self, parts: "_Parts", resolution: Resolution) -> None:
        """Set all attributes but ``labels_``."""
        metric = metric_of(self.metric, self.period)
        if is_rule(self.bandwidth):
            sample: Sample = _reduced(_samples(parts, metric), tasks.merged_samples)
            with borrowed_threads(self.n_jobs):
                found = estimated(sample, self)
        else:
            found = Found(self.bandwidth)
        width = found.bandwidth
        check_columns(self, width, parts.n_features)
        condensed: Condensed = _reduced(
            [
                delayed(tasks.condensed)(partition, width, resolution, parts.n_features, metric)
                for partition in parts.partitions
            ],
            partial(tasks.merged_cells, n_fine=resolution.n_fine),
        )
        if len(condensed.points) == 0:
            raise _no_rows()
        fit_cells(self, condensed, found, dtype=parts.dtype, names=parts.names)
        self._weight_column = parts.weight_column

    def predict(self, X: Any) -> Any:
        """Label rows, as :meth:`meanshift_fast.MeanShift.predict` does; partition by partition.

        Parameters
        ----------
        X : dask array or dataframe, or array-like, of shape (n_samples, n_features)
            The rows to label. A dataframe may still have the column of the weights.

        Returns
        -------
        labels : dask array or series of int64, or int64 ndarray, of shape (n_samples,)
            Of the kind of X, and not computed where X is not. A series is called "label", and has
            X's divisions.
        """
        check_is_fitted(self, "cluster_centers_")
        X = self._without_weights(X)
        if not dask.is_dask_collection(X):
            return super().predict(X)
        model = self._plain()
        if _is_frame(X):
            _check_feature_names(self, X._meta, reset=False)
            _check_n_features(self, X._meta, reset=False)
            return X.map_partitions(_labels_of_frame, delayed(model), meta=("label", np.int64))
        X = _in_rows(X)
        columns = np.empty((1, X.shape[1]))
        _check_feature_names(self, columns, reset=False)
        _check_n_features(self, columns, reset=False)
        model.__dict__.pop("feature_names_in_", None)  # arrays have none, and each would warn
        return X.map_blocks(
            _labels_of,
            model=delayed(model),
            drop_axis=1,
            dtype=np.int64,
            meta=np.empty(0, dtype=np.int64),
        )

    def _without_weights(self, X: Any) -> Any:
        """A dataframe of Dask or pandas without the column of the fit's weights, if it has it."""
        column = getattr(self, "_weight_column", None)
        if column is None or not hasattr(X, "iloc") or X.ndim != 2 or column not in X.columns:
            return X
        return X.drop(columns=column)

    def _plain(self) -> estimator.MeanShift:
        """The fitted model for workers: no Dask, no bar, one thread where n_jobs is None."""
        names = estimator.MeanShift._get_param_names()
        model = estimator.MeanShift(**{name: getattr(self, name) for name in names})
        own = {*self.get_params(deep=False), "labels_", "_weight_column"}
        model.__dict__ |= {name: kept for name, kept in vars(self).items() if name not in own}
        model.n_jobs = task_threads(self.n_jobs)
        model.progress = False
        return model


def _signature() -> inspect.Signature:
    """The estimator's parameters, and those of its own: what ``get_params`` reads."""
    own = list(inspect.signature(MeanShift.__init__).parameters.values())[:-1]
    inherited = list(inspect.signature(estimator.MeanShift.__init__).parameters.values())[1:]
    return inspect.Signature([own[0], *inherited, *own[1:]])


MeanShift.__init__.__signature__ = _signature()  # type: ignore[attr-defined]


# Collections and their partitions.


class _Parts(NamedTuple):
    """A collection in partitions.

    Attributes
    ----------
    partitions : list of Delayed
        Their rows and weights.
    n_rows : tuple of int, or None
        How many rows each has; None where that is not known.
    n_features : int
    dtype : dtype
    names : array of shape (n_features,), or None
        The names of the columns, where all are strings.
    weight_column : str or None
    """

    partitions: list[Delayed]
    n_rows: tuple[int, ...] | None
    n_features: int
    dtype: np.dtype[Any]
    names: NDArray[Any] | None
    weight_column: str | None


def _is_frame(X: Any) -> bool:
    return hasattr(X, "divisions") and hasattr(X, "columns") and X.ndim == 2


def _in_rows(X: Any) -> da.Array:
    """An array whose chunks have all columns."""
    if X.ndim != 2:
        raise ValueError(
            f"X must be a table of shape (n_samples, n_features), got {X.ndim} dimensions; reshape "
            "it to one row for each sample"
        )
    if np.isnan(X.shape[1]):
        raise ValueError(
            "X must have a known number of columns; call X.compute_chunk_sizes(), or set its shape"
        )
    return X if X.numblocks[1] == 1 else X.rechunk({1: -1})


def _parts_of(X: Any, sample_weight: Any) -> _Parts:
    """The partitions of a collection and of its weights."""
    if _is_frame(X):
        return _parts_of_frame(X, sample_weight)
    if isinstance(X, da.Array):
        return _parts_of_array(_in_rows(X), sample_weight)
    raise TypeError(
        f"X must be a dask array or dataframe, got {type(X).__name__}; what is in memory goes to "
        "meanshift_fast.MeanShift, or through dask.array.from_array"
    )


def _parts_of_array(X: da.Array, sample_weight: Any) -> _Parts:
    sizes = None if np.isnan(X.chunks[0]).any() else X.chunks[0]
    blocks = X.to_delayed().ravel().tolist()
    weights = _weights_of(sample_weight, len(blocks), sizes)
    partitions = _partitioned(blocks, weights, X.shape[1])
    return _Parts(partitions, sizes, X.shape[1], X.dtype, None, None)


def _parts_of_frame(X: Any, sample_weight: Any) -> _Parts:
    column = sample_weight if isinstance(sample_weight, str) else None
    if column is not None and column not in X.columns:
        raise ValueError(
            f"sample_weight must name a column of X, got {quoted(column)} where X has the "
            f"columns {quoted(list(X.columns))}"
        )
    features = X._meta if column is None else X._meta.drop(columns=column)
    blocks = X.to_delayed() if column is not None or sample_weight is None else _delayed(X)
    if column is not None:
        weights = [None] * len(blocks)
    else:
        if getattr(sample_weight, "divisions", X.divisions) != X.divisions:
            raise ValueError(
                f"sample_weight must have the divisions of X, got "
                f"{quoted(sample_weight.divisions)} where X has {quoted(X.divisions)}; "
                "repartition it, or make it a column of X"
            )
        weights = _weights_of(sample_weight, len(blocks), None)
    dtype = np.dtype(np.float32 if (features.dtypes == np.float32).all() else np.float64)
    names = _get_feature_names(features)
    partitions = _partitioned(blocks, weights, features.shape[1], column)
    return _Parts(partitions, None, features.shape[1], dtype, names, column)


def _weights_of(sample_weight: Any, n_blocks: int, sizes: tuple[int, ...] | None) -> list[Any]:
    """Cut weights as the rows are cut: a list with an entry for each partition."""
    if sample_weight is None or np.ndim(sample_weight) == 0:
        return [sample_weight] * n_blocks
    if not dask.is_dask_collection(sample_weight):
        if sizes is None:
            raise ValueError(
                "sample_weight must be a dask array or series where the sizes of X's chunks are "
                f"not known, got {type(sample_weight).__name__}; make it a column of X, or cut it "
                "as X is"
            )
        refuse_masked(sample_weight, "sample_weight")
        sample_weight = da.from_array(np.asarray(sample_weight))
    if sample_weight.ndim != 1:
        raise ValueError(
            f"sample_weight must be one-dimensional, got {sample_weight.ndim} dimensions; give one "
            "number for each row of X"
        )
    if sizes is not None and isinstance(sample_weight, da.Array):
        sample_weight = _rechunked(sample_weight, sizes)
    if sample_weight.npartitions != n_blocks:
        raise ValueError(
            f"sample_weight must be cut as X is, got {sample_weight.npartitions} partitions where "
            f"X has {n_blocks}; rechunk or repartition it"
        )
    if isinstance(sample_weight, da.Array):
        return list(sample_weight.to_delayed().ravel())
    return _delayed(sample_weight)


def _delayed(frame: Any) -> list[Delayed]:
    """The partitions of a dataframe or series, as many as its ``npartitions``.

    Dask's optimiser reads several files of parquet as one partition where few of their columns are
    used, so that rows and weights, optimised each by itself, are no longer cut alike.
    """
    parts: list[Delayed] = frame.simplify().to_delayed(optimize_graph=False)
    return parts


def _rechunked(weights: da.Array, sizes: tuple[int, ...]) -> da.Array:
    """Cut weights of known number into chunks of the rows' sizes."""
    n_weights = weights.shape[0]
    if np.isnan(n_weights):
        return weights
    if n_weights != sum(sizes):
        raise ValueError(
            f"sample_weight must have shape ({sum(sizes)},), one number for each row of X, got "
            f"shape ({n_weights},)"
        )
    return weights.rechunk((sizes,))


def _partitioned(
    blocks: list[Delayed], weights: list[Any], n_features: int, column: str | None = None
) -> list[Delayed]:
    return [
        delayed(tasks.checked)(block, some, n_features, column, f"partition {i}")
        for i, (block, some) in enumerate(zip(blocks, weights, strict=True))
    ]


# The tree of merges.


def _samples(parts: _Parts, metric: Metric) -> list[Delayed]:
    """A sample of each partition; rows are numbered through all partitions."""
    n_rows = parts.n_rows
    if n_rows is None:
        n_rows = dask.compute(*(delayed(tasks.n_rows)(partition) for partition in parts.partitions))
    if sum(n_rows) == 0:
        raise _no_rows()
    firsts = np.cumsum([0, *n_rows])
    return [
        delayed(tasks.sampled)(partition, int(first), metric)
        for partition, first in zip(parts.partitions, firsts[:-1], strict=True)
    ]


def _no_rows() -> ValueError:
    return ValueError("X must have at least one row, got none")


def _reduced(leaves: list[Delayed], merge: Callable[[list[Any]], Any]) -> Any:
    """Merge the summaries of partitions, neighbours first, and compute the result."""
    while len(leaves) > 1:
        leaves = [
            delayed(merge)(leaves[i : i + MAX_MERGED]) for i in range(0, len(leaves), MAX_MERGED)
        ]
    return leaves[0].compute()


def _labels_of(block: NDArray[Any], model: estimator.MeanShift) -> NDArray[np.int64]:
    return model.predict(block) if len(block) else np.empty(0, dtype=np.int64)


def _labels_of_frame(frame: Any, model: estimator.MeanShift) -> Any:
    import pandas as pd

    return pd.Series(_labels_of(frame, model), index=frame.index, name="label")
