"""Bins that hold rows of several clusters: what many columns do, and how it is noticed.

In up to four columns each row is within a bandwidth of its bin's centre. In more it need not be,
and in hundreds all rows may share one bin, whose centre is near none of them: 4,000 unit rows of
256 columns are in one at any usual bandwidth, and come out as one cluster. So where few bins have
served many rows, some rows ascend as well.

A small table tries its few rows in the call that fits it (`small_tables.py`): they stop where they
come near a mode, and ascend to their endpoints only where too few do. 1,000 x 8 rows in 36 bins
take 0.26 ms so, and 1.0 with an index for it.
"""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.ascent import Ascent
from meanshift_fast._cluster.basins import Ascend
from meanshift_fast._cluster.modes import merge_modes, merging_radius
from meanshift_fast._index.base import Index
from meanshift_fast._index.stopping import are_at_rest
from meanshift_fast._input.messages import bandwidth_text, caller_level, counted
from meanshift_fast._input.scaling import readonly_table
from meanshift_fast._jit.compiler import empty_integers, serial, step
from meanshift_fast._jit.simd import flat, item, put

# Measured by `python -m bench.shared_bins`: of 120 fits of blobs and unit rows in 2 to 128 columns
# 28 miss clusters; these limits warn of 8 of them, and of none without cause. Up to 256 bins 9, and
# one without cause; up to 16 bins 7, up to 4 bins 4; with 32 rows 7, and one without cause. Shares
# from 0.05 to 0.4, and columns from 1 to 16, give the same; a share of 0.6 gives 2.
MIN_FEATURES = 5  # in four a bin's centre is within a bandwidth of all its rows
MAX_BINS = 64
# Few rows clear most fits. More ascend before a warning, because one row that reaches a mode
# merges all others within the bandwidth: of those unit rows, in 20 clusters, a twentieth reaches
# the middle at bandwidth 1.2, and one cluster is right.
FEW_ROWS, MANY_ROWS = 16, 128
MIN_STRAY_SHARE = 0.25  # of sampled rows: fewer may be outliers
# Rows so near to a mode are within a bandwidth of each other. Of 1,400 such tables of 200 to 6,000
# rows 140 are warned of; a trial that clears rows within 0.6 loses 4 of them, within 0.7 31.
NEAR_BANDWIDTHS = 0.5


class Trial(NamedTuple):
    """How few rows of a small table are tried in its own fit.

    Attributes
    ----------
    n_rows : int
        So many ascend, evenly apart in their order; 0 where bins need no trial.
    max_bins : int
        Where there are more bins, none ascends.
    near_sq : float
        A row that comes so near to a mode, squared, has reached no other.
    min_stray : float
        From so many on the bins may have missed modes.
    """

    n_rows: int
    max_bins: int
    near_sq: float
    min_stray: float


@step
def nearest_mode(positions, i, n_features, modes, n_modes):
    """The nearest mode to position ``i``, the first of equals, and its squared distance; flat."""
    nearest, least_sq = 0, np.inf
    for k in range(n_modes):
        away_sq = 0.0
        for f in range(n_features):
            away = item(positions, i * n_features + f) - item(modes, k * n_features + f)
            away_sq += away * away
        if away_sq < least_sq:
            nearest, least_sq = k, away_sq
    return nearest, least_sq


@serial
def measure_all(places, modes, squares):
    """Write the squared distance from each place to the nearest mode."""
    n_places, n_features = places.shape
    for i in range(n_places):
        _, away_sq = nearest_mode(flat(places), i, n_features, flat(modes), modes.shape[0])
        put(flat(squares), i, away_sq)


@serial
def count_stray(endpoints, modes, n_modes, found, n_found):
    """How many endpoints are at another found mode than most of those nearest to the same mode."""
    (n_ends, n_features), pairs = endpoints.shape, empty_integers(n_modes * n_found)
    for k in range(pairs.shape[0]):
        pairs[k] = 0
    for i in range(n_ends):
        mode, _ = nearest_mode(flat(endpoints), i, n_features, flat(modes), n_modes)
        other, _ = nearest_mode(flat(endpoints), i, n_features, flat(found), n_found)
        pairs[mode * n_found + other] += 1
    n_stray = n_ends
    for mode in range(n_modes):
        most = 0
        for other in range(n_found):
            most = max(most, pairs[mode * n_found + other])
        n_stray -= most
    return n_stray


def trial_of(points: NDArray[np.float64], radius: float, min_bin_freq: float) -> Trial:
    """The trial of a small table; bins of few rows are left out on request."""
    is_tried = min_bin_freq == 1 and points.shape[1] >= MIN_FEATURES and len(points) >= MANY_ROWS
    near = NEAR_BANDWIDTHS * radius
    return Trial(FEW_ROWS if is_tried else 0, MAX_BINS, near * near, MIN_STRAY_SHARE * FEW_ROWS)


def may_miss_modes(
    points: NDArray[np.float64],
    modes: NDArray[np.float64],
    radius: float,
    n_bins: int,
    *,
    index: Index,
    rest: float,
    max_iter: int,
) -> bool:
    """Whether bins may have missed modes, which only whole ascents of rows can show.

    Parameters
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows.
    modes : float64 array of shape (n_modes, n_features)
        The modes that trajectories from the bins have reached.
    radius : float
        The bandwidth, in the unit of both.
    n_bins : int
        How many bins there were.
    index : Index
        What shifts positions.
    rest : float
        The longest move that is the last of a trajectory.
    max_iter : int
        A row takes ``max_iter + 1`` means at most, and fewer where others were tried before it.

    Returns
    -------
    bool
        False where nearly all sampled rows come within half a bandwidth of a mode: such rows are
        within a bandwidth of each other.

    Notes
    -----
    The nearest rows are tried first, and no more than are enough: of 10,000 x 8 rows in 47 bins
    thirteen come near in 0.5 ms, where the ascents of all sixteen take 0.7; of 100,000 rows in 2.7
    ms, and 8.4.
    """
    if points.shape[1] < MIN_FEATURES or n_bins > MAX_BINS or len(points) < MANY_ROWS:
        return False
    sample, near_sq = _sample_of(points, FEW_ROWS), (NEAR_BANDWIDTHS * radius) ** 2
    away_sq = squares_to(modes, sample)
    enough = int((1.0 - MIN_STRAY_SHARE) * FEW_ROWS) + 1
    n_near = int(np.count_nonzero(away_sq <= near_sq))
    if n_near >= enough:
        return False
    waiting, n_steps, n_taken = sample[np.argsort(away_sq)[n_near:]], 1, 0
    while n_near < enough <= n_near + len(waiting) and n_taken <= max_iter:
        n_tried = enough - n_near
        walk = index.walk(waiting[:n_tried].copy(), min(n_steps, max_iter + 1 - n_taken), rest)
        at_rest = are_at_rest(walk.moves, walk.support, rest)
        is_step = np.cumsum(at_rest, axis=1) == at_rest  # after a rest nothing is set
        came_near = (is_step & (squares_to(modes, walk.places) <= near_sq)).any(axis=1)
        going = ~(came_near | at_rest.any(axis=1))
        waiting = np.concatenate((walk.places[going, -1], waiting[n_tried:]))
        n_near, n_steps = n_near + int(np.count_nonzero(came_near)), 2 * n_steps
        n_taken += at_rest.shape[1]
    return n_near < enough


def squares_to(modes: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """The squared distance from each place to the nearest mode; columns are the last axis."""
    squares, table = np.empty(places.shape[:-1]), places.reshape(-1, places.shape[-1])
    measure_all(readonly_table(table), readonly_table(modes), squares.reshape(-1))
    return squares


def warn_of_missed_modes(
    points: NDArray[np.float64],
    modes: NDArray[np.float64],
    radius: float,
    n_bins: int,
    *,
    ascend: Ascend,
    bandwidth: float | NDArray[np.float64],
) -> None:
    """Let sampled rows ascend, and warn where they reach modes that the bins have missed.

    A row strays that reaches another mode than most of the sample whose endpoints are nearest to
    the same mode of the fit.

    Parameters
    ----------
    points, modes, radius, n_bins
        As in `may_miss_modes`; the modes are read-only.
    ascend : callable
        Follows rows to their endpoints.
    bandwidth : float, or float64 array of shape (n_features,)
        In the unit of the columns, for the message.
    """
    for n_sampled in (FEW_ROWS, MANY_ROWS):
        n_stray = _stray(ascend(_sample_of(points, n_sampled)), modes, radius)
        if n_stray < MIN_STRAY_SHARE * n_sampled:
            return
    warnings.warn(
        f"All rows are in {counted(n_bins, 'bin')} of side {bandwidth_text(bandwidth)}, which hold "
        f"rows of several clusters: of {n_sampled} rows that were tried, {n_stray} ascend to "
        "centres that the bins have missed. Start from every row (bin_seeding=False), or reduce "
        "the columns (manual: guides/embeddings).",
        stacklevel=caller_level(),
    )


def _stray(ascent: Ascent, modes: NDArray[np.float64], radius: float) -> int:
    """How many endpoints are at another mode than most of those that the fit has as one cluster."""
    endpoints = readonly_table(ascent.endpoints)
    found, _ = merge_modes(endpoints, ascent.support, merging_radius(radius))
    return int(count_stray(endpoints, modes, len(modes), readonly_table(found), len(found)))


def _sample_of(points: NDArray[np.float64], n_rows: int) -> NDArray[np.float64]:
    """Some rows, evenly apart in their order."""
    return readonly_table(points[np.arange(n_rows) * (len(points) - 1) // (n_rows - 1)])
