"""Seeds: where trajectories start, and what they are."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanshift_fast._cluster.inputs import Settings
from meanshift_fast._cluster.seeding import bin_seeds
from meanshift_fast._input.checks import plain_table
from meanshift_fast._input.messages import bandwidth_text
from meanshift_fast._input.scaling import readonly_table


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


def find_seeds(
    X: NDArray[Any],
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    bandwidth: float | NDArray[np.float64],
    settings: Settings,
) -> Seeds:
    """Find the seeds of a fit.

    Parameters
    ----------
    X : numeric array of shape (n_samples, n_features)
        The rows in their own dtype, in which bins are numbered.
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The same.
    weights : read-only float64 array of shape (n_samples,) or (0,)
        Their weights; empty where all are 1.
    bandwidth : float, or float64 array of shape (n_features,)
        The side of a bin.
    settings : NamedTuple
        Its ``seeds``, ``bin_seeding``, ``min_bin_freq`` and ``metric``.

    Returns
    -------
    Seeds
    """
    metric = settings.metric
    if settings.seeds is not None:
        given = checked_seeds(settings.seeds, metric.n_features(points.shape[1]))
        return Seeds("given", readonly_table(metric.enter(given, "seeds")))
    if not settings.bin_seeding:
        return Seeds("rows", points)
    side = metric.side(bandwidth)
    bins = bin_seeds(X, side, settings.min_bin_freq, weights=weights)
    if bins.are_rows:
        return Seeds("rows", points)
    if len(bins.table) == 0:
        raise ValueError(
            f"min_bin_freq={settings.min_bin_freq} leaves no seed: no bin of side "
            f"{bandwidth_text(bandwidth)} holds so many rows; give a smaller min_bin_freq or a "
            "larger bandwidth"
        )
    return Seeds("bins", readonly_table(metric.seeds_of_bins(bins.table, side, points)))
