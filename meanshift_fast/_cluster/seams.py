"""The merging of endpoints in the space they lie in: across the seams of columns that wrap."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meanshift_fast._cluster.modes import merge_modes, merging_radius
from meanshift_fast._input.scaling import Units
from meanshift_fast._input.wrapping import short_way

# A query's ball is larger by so much of the radius, and by so much of the largest period: positions
# are brought between the seams, and a tree's distances round otherwise. Answers are measured anew.
RADIUS_ROUNDING, PERIOD_ROUNDING = 1e-9, 1e-15


def merge_in(
    units: Units, endpoints: NDArray[np.float64], support: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Merge endpoints as `merge_modes` does, within the radius of the units, and across seams.

    There a query of SciPy's k-d tree for each mode: 0.4 s for 900 modes among 100,000 distinct
    endpoints, where a sweep over those left took 4 s.
    """
    radius = merging_radius(units.radius)
    if not (units.period.size and radius > 0.0):
        return merge_modes(endpoints, support, radius)
    waiting, weights = merge_modes(endpoints, support, 0.0)
    kept = np.zeros(len(waiting), dtype=bool)
    is_waiting = np.ones(len(waiting), dtype=bool)
    tree = _periodic_tree(waiting, units.period)
    longest = float(units.period[np.isfinite(units.period)].max())
    reach = radius * (1.0 + RADIUS_ROUNDING) + longest * PERIOD_ROUNDING
    for mode in range(len(waiting)):  # the heaviest first
        if is_waiting[mode]:
            kept[mode] = True
            near = tree.query_ball_point(tree.data[mode], reach)
            away = short_way(waiting[near], waiting[mode], units.period)
            is_within = np.einsum("rf,rf->r", away, away) <= radius * radius
            is_waiting[np.array(near)[is_within]] = False
    return waiting[kept], weights[kept]


def _periodic_tree(positions: NDArray[np.float64], period: NDArray[np.float64]) -> cKDTree:
    """A k-d tree that measures the short way round."""
    size = np.where(np.isfinite(period), period, 0.0)  # 0: the column does not wrap
    inside = np.where(size > 0.0, np.mod(positions, period), positions)
    return cKDTree(np.where(inside == period, 0.0, inside), boxsize=size)
