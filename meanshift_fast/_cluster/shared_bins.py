"""Bins that hold rows of several clusters: what many columns do, and how it is noticed.

In up to four columns each row is within a bandwidth of its bin's centre. In more it need not be,
and in hundreds all rows may share one bin, whose centre is near none of them: 4,000 unit rows of
256 columns are in one at any usual bandwidth, and come out as one cluster. So where few bins have
served many rows, some rows ascend as well:

    a trial    few rows take some steps      most come near a mode --> bins have served
                                             fewer do              --> may miss modes
    then       more rows ascend to the end   many reach modes that the fit lacks --> a warning

A small table's trial is in the call that fits it (`small_tables.py`): 1,000 x 8 rows in 36 bins
take 0.22 ms, of which the trial takes 13 us. That of a large one has an index of every so many-th
row: of 100,000 x 8 rows it takes 0.2 ms, and 0.8 among all of them.
"""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.ascent import Ascent
from meanshift_fast._cluster.inputs import Bandwidth, Rows, Settings
from meanshift_fast._cluster.labelling import ascending
from meanshift_fast._cluster.seams import merge_in
from meanshift_fast._index.base import Index
from meanshift_fast._index.nearest import nearest_labels
from meanshift_fast._input.messages import bandwidth_text, caller_level, counted
from meanshift_fast._input.scaling import Units, readonly, readonly_table

# Measured by `python -m bench.shared_bins`: of 120 fits of blobs and unit rows in 2 to 128 columns
# 28 miss clusters; these limits warn of 8 of them, and of none without cause. Up to 256 bins 9, and
# one without cause; up to 16 bins 7, up to 4 bins 4; with 32 rows 7, and one without cause. Shares
# from 0.05 to 0.4, and columns from 1 to 16, give the same; a share of 0.6 gives 2.
MIN_FEATURES = 5  # in four a bin's centre is within a bandwidth of all its rows
MAX_BINS = 64
# More rows ascend before a warning, because one row that reaches a mode merges all others within
# the bandwidth: of those unit rows, in 20 clusters, a twentieth reaches the middle at bandwidth
# 1.2, and one cluster is right.
FEW_ROWS, MANY_ROWS = 16, 128
MIN_STRAY_SHARE = 0.25  # of sampled rows: fewer may be outliers
# The trial. Rows within half a bandwidth of a mode are within a bandwidth of each other. Of 322
# such tables of 200 to 6,000 rows in 5 to 128 columns, 112 are warned of without a trial and 111
# with; it clears 169 of the others. Within 0.6 bandwidths 4 more go without a warning, with five
# rows near 2. After 3 means it clears 151 of the others, and in tables of 256 rows 160.
TRIED_ROWS, MIN_NEAR_ROWS = 8, 6
TRIAL_MEANS = 5
NEAR_BANDWIDTHS = 0.5
MAX_TRIAL_TABLE_ROWS = 1024


class Trial(NamedTuple):
    """The trial of a small table, in the call that fits it.

    Attributes
    ----------
    places : float64 array of shape (n_tried, n_features)
        The rows, and then where their steps lead to.
    min_near : int
        So many must come near a mode; 0 where bins need no trial.
    n_means : int
        In so many steps.
    max_bins : int
        Where there are more bins, none is tried.
    near_sq : float
        The squared distance from a mode within which a row is near it.
    """

    places: NDArray[np.float64]
    min_near: int
    n_means: int
    max_bins: int
    near_sq: float


def trial_of(points: NDArray[np.float64], radius: float, settings: Settings) -> Trial:
    """The trial of a small table."""
    n_means, near = min(TRIAL_MEANS, settings.max_iter + 1), NEAR_BANDWIDTHS * radius
    if not _are_tried(points, settings):
        return Trial(np.empty((0, points.shape[1])), 0, n_means, MAX_BINS, near * near)
    places = _sample_of(points, TRIED_ROWS)
    return Trial(places, MIN_NEAR_ROWS, n_means, MAX_BINS, near * near)


def may_miss_modes(
    rows: Rows,
    points: NDArray[np.float64],
    modes: NDArray[np.float64],
    units: Units,
    n_bins: int,
    settings: Settings,
) -> bool:
    """Whether bins may have missed modes, as too few of some rows come near one in some steps.

    Parameters
    ----------
    rows : Rows
        Their weights and widths.
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        Those that weigh anything, in the unit of the modes. They step among every so many-th of
        them where they are more than 1,024.
    modes : float64 array of shape (n_modes, n_features)
        The modes that trajectories from the bins have reached.
    """
    if n_bins > MAX_BINS or not _are_tried(points, settings):
        return False
    places, limit = _sample_of(points, TRIED_ROWS), NEAR_BANDWIDTHS * units.radius
    if _come_near(places, modes, limit, units):
        return False
    step = -(-len(points) // MAX_TRIAL_TABLE_ROWS)
    weights, widths = rows.heavy_weights[::step].copy(), rows.heavy_widths[::step].copy()
    index = settings.arrange(
        readonly_table(points[::step]), readonly(weights), units, widths=widths, n_seeds=TRIED_ROWS
    )
    for _ in range(min(TRIAL_MEANS, settings.max_iter + 1)):
        index.shift(places)
        if _come_near(places, modes, limit, units):
            return False
    return True


def _come_near(
    places: NDArray[np.float64], modes: NDArray[np.float64], limit: float, units: Units
) -> bool:
    """Whether enough of the rows of a trial are within a limit of a mode."""
    labels = nearest_labels(readonly(places), modes, limit=limit, period=units.period)
    return int(np.count_nonzero(labels >= 0)) >= MIN_NEAR_ROWS


def _are_tried(points: NDArray[np.float64], settings: Settings) -> bool:
    """Whether rows are tried where bins are few; bins of few rows are left out on request."""
    n_rows, n_features = points.shape
    return settings.min_bin_freq == 1 and n_features >= MIN_FEATURES and n_rows >= MANY_ROWS


def warn_of_missed_modes(
    index: Index,
    points: NDArray[np.float64],
    modes: NDArray[np.float64],
    units: Units,
    n_bins: int,
    bandwidth: Bandwidth,
    settings: Settings,
) -> None:
    """Let sampled rows ascend, and warn where they reach modes that the bins have missed.

    A row strays that reaches another mode than most of the sample whose endpoints are nearest to
    the same mode of the fit. Parameters as in `may_miss_modes`; and the index of all rows, and the
    bandwidth in the unit of the columns, for the message.
    """
    ascend_from = ascending(index, settings, lambda *_: None)
    for n_sampled in (FEW_ROWS, MANY_ROWS):
        n_stray = _stray(ascend_from(_sample_of(points, n_sampled)), modes, units)
        if n_stray < MIN_STRAY_SHARE * n_sampled:
            return
    warnings.warn(
        f"All rows are in {counted(n_bins, 'bin')} of side {bandwidth_text(bandwidth)}, which hold "
        f"rows of several clusters: of {n_sampled} rows that were tried, {n_stray} ascend to "
        "centres that the bins have missed. Start from every row (bin_seeding=False), or reduce "
        "the columns (manual: guides/embeddings).",
        stacklevel=caller_level(),
    )


def _stray(ascent: Ascent, modes: NDArray[np.float64], units: Units) -> int:
    """How many endpoints are at another mode than most of those that the fit has as one cluster."""
    endpoints = readonly_table(ascent.endpoints)
    found, _ = merge_in(units, endpoints, ascent.support)
    of_fit, of_rows = (
        nearest_labels(endpoints, places, period=units.period) for places in (modes, found)
    )
    pairs = np.zeros((len(modes), len(found)), dtype=np.int64)
    np.add.at(pairs, (of_fit, of_rows), 1)
    return len(endpoints) - int(pairs.max(axis=1).sum())


def _sample_of(points: NDArray[np.float64], n_rows: int) -> NDArray[np.float64]:
    """Some rows, evenly apart in their order."""
    return points[np.arange(n_rows) * (len(points) - 1) // (n_rows - 1)]
