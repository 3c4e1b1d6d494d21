"""Basins: each row takes the label of the mode that its own trajectory reaches.

    row --ascent--> endpoint --nearest--> mode        in fit; in predict where a row is new
    row --equal--> row of the fit --> its label       in predict, for all others

The last bits of a trajectory depend on which others are in its group (sums are shared), and where
trajectories coalesce, its endpoint does too. So only new rows ascend in `predict`, without
coalescing, and the others are looked up: for rows of the fit the answer is `labels_`.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.ascent import Ascent
from meanshift_fast._cluster.bins import find_bins
from meanshift_fast._cluster.grid import Grid
from meanshift_fast._index.equal_rows import equal_rows, find_repeats
from meanshift_fast._index.nearest import nearest_labels
from meanshift_fast._input.scaling import readonly

WATERSHED_CELL_SIDES = 8.0  # a cell of the search for watersheds, in sides of coalescing cells
MAX_MODE_DISTANCE_IN_BANDWIDTHS = 0.25  # farther endpoints may be on a saddle

Ascend = Callable[..., Ascent]  # `ascend` on an index, with the settings of a fit


class MergedEndpoints(NamedTuple):
    """The endpoints that are left after merging, and the mode of each.

    Attributes
    ----------
    endpoints : read-only C-ordered float64 array of shape (n_merged, n_features)
        The endpoints that are left where those within a bandwidth merge, in the unit of the index
        or of the columns.
    mode_numbers : int64 array of shape (n_merged,)
        The mode that each belongs to. With the flat kernel the endpoints are the modes; with the
        Gaussian they move when they are polished, and may merge once more.
    modes : read-only C-ordered float64 array of shape (n_modes, n_features)
        The modes themselves, in the same unit; those of too little support too.
    dropped : bool array of shape (n_merged,) or (0,)
        Which endpoints had a mode of too little support; ``mode_numbers`` has the nearest that is
        left. Empty where all have enough.
    """

    endpoints: NDArray[np.float64]
    mode_numbers: NDArray[np.int64]
    modes: NDArray[np.float64]
    dropped: NDArray[np.bool_] = np.empty(0, dtype=np.bool_)

    def without(self, n_kept: int, period: NDArray[np.float64]) -> "MergedEndpoints":
        """The same where only the first modes are left; ``period`` as in `nearest_labels`."""
        if n_kept == len(self.modes):
            return self
        nearest = nearest_labels(self.modes, readonly(self.modes[:n_kept]), period=period)
        nearest[:n_kept] = np.arange(n_kept)
        return self._replace(
            mode_numbers=nearest[self.mode_numbers], dropped=self.mode_numbers >= n_kept
        )

    def labels(self, *, every: bool) -> NDArray[np.int64]:
        """The label of each, and then -1 for none; -1 for those dropped, unless all get one."""
        labels = np.append(self.mode_numbers, -1)
        if self.dropped.size and not every:
            labels[:-1][self.dropped] = -1
        return labels

    def in_unit(
        self, unit: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    ) -> "MergedEndpoints":
        """The same in another unit."""
        endpoints, modes = (readonly(unit(table)) for table in (self.endpoints, self.modes))
        return self._replace(endpoints=endpoints, modes=modes)


class Labelled(NamedTuple):
    """What a fitted model keeps of its rows to label others by basin.

    Arrays and a number, no objects: a model holds them as attributes of its own, which every
    format that holds arrays can write. The names of the fields are those of model files.

    Attributes
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows; or the points of the cells that the model was fitted on.
    weights : read-only float64 array of shape (n_samples,) or (0,)
        Their weights; empty where all are 1.
    labels : int64 array of shape (n_samples,)
        Their labels.
    places, modes, peaks, dropped : arrays
        The endpoints, mode numbers, modes and ``dropped`` of their `MergedEndpoints`, in the unit
        of the columns.
    sizes : read-only float64 array of shape (n_features,) or (0,)
        The sides of the bins that cells are parts of; empty where the points are rows.
    n_parts : int
        The parts of a side: `Grid`.
    widths : float64 array of shape (n_samples,) or (0,)
        How many bandwidths wide the cells are, as the kernel takes them; empty where they are
        narrow enough to be points, and where the points are rows.
    mixed : bool array of shape (n_samples,) or (0,)
        Which of the wide cells lie beside one of another label: rows in these cells ascend.
    """

    points: NDArray[np.float64]
    weights: NDArray[np.float64]
    labels: NDArray[np.int64]
    places: NDArray[np.float64]
    modes: NDArray[np.int64]
    peaks: NDArray[np.float64]
    sizes: NDArray[np.float64] = np.empty(0)
    n_parts: int = 0
    widths: NDArray[np.float64] = np.empty(0)
    mixed: NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
    dropped: NDArray[np.bool_] = np.empty(0, dtype=np.bool_)

    @property
    def merged(self) -> MergedEndpoints:
        """The merged endpoints of the trajectories."""
        return MergedEndpoints(self.places, self.modes, self.peaks, self.dropped)

    @property
    def grid(self) -> Grid | None:
        """The cells' grid; None where the points are rows."""
        return Grid(self.sizes, self.n_parts) if self.n_parts else None

    def find(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        """Find for each of other rows one that equals it, or its cell; -1 for those that ascend."""
        if self.grid is None:
            return equal_rows(points, self.points)
        found = equal_rows(
            readonly(self.grid.numbers(points)), readonly(self.grid.numbers(self.points))
        )
        if self.mixed.size:
            found[self.mixed[found]] = -1
        return found

    def in_cells(self, grid: Grid) -> "Labelled":
        """The same, where the points are of the cells of a grid."""
        known = self._replace(sizes=grid.sizes, n_parts=grid.n_parts)
        if not self.widths.size:
            return known
        return known._replace(mixed=beside_others(readonly(grid.numbers(self.points)), self.labels))


def beside_others(numbers: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Find the cells, by their numbers along each feature, that share a face with another label.

    ``numbers`` are read-only and C-ordered, of shape (n_cells, n_features).
    """
    found = np.zeros(len(numbers), dtype=np.bool_)
    for feature in range(numbers.shape[1]):
        beside = numbers.copy()
        beside[:, feature] += 1.0
        neighbours = equal_rows(readonly(beside), numbers)
        cells = np.flatnonzero((neighbours >= 0) & (labels[neighbours] != labels))
        found[cells] = found[neighbours[cells]] = True
    return found


def label_endpoints(
    ascent: Ascent,
    merged: MergedEndpoints,
    *,
    limit: float | None,
    period: NDArray[np.float64],
    refine: Ascend | None = None,
) -> NDArray[np.int64]:
    """Label each seed of an ascent with the mode that its trajectory reached.

    Parameters
    ----------
    limit : float or None
        A trajectory that ends farther than this from all merged endpoints has no label. None labels
        all.
    refine : callable or None
        For a smooth density, in which trajectories slow down at saddles and may rest there:
        ascends again, with stricter settings, from endpoints more than a quarter of a bandwidth
        from every mode.

    Returns
    -------
    int64 array of shape (n_seeds,)
        The mode of the merged endpoint nearest to the trajectory's, the first of equals; with a
        limit, -1 beyond it, and where that mode had too little support.

    Notes
    -----
    An endpoint merges into a mode within the bandwidth of it ([1]_ section 4, step 3), the nearest
    where there are several. Seeds that were not the rows may leave modes undiscovered; the limit
    makes orphans of the rows that ascend to those.

    References
    ----------
    .. [1] D. Comaniciu and P. Meer, "Mean shift: a robust approach toward feature space
       analysis", IEEE Transactions on Pattern Analysis and Machine Intelligence 24 (5), 2002,
       pp. 603-619, :doi:`10.1109/34.1000236`, section 4.
    """
    endpoints = readonly(ascent.endpoints)
    found = nearest_labels(endpoints, merged.endpoints, limit=limit, period=period)
    labels = merged.labels(every=limit is None)[found]
    if refine:
        most = MAX_MODE_DISTANCE_IN_BANDWIDTHS
        away = nearest_labels(endpoints, merged.modes, limit=most, period=period)
        is_far = away < 0
        if is_far.any():
            further = refine(readonly(endpoints[is_far]))
            labels[is_far] = label_endpoints(further, merged, limit=limit, period=period)
    return labels if ascent.trajectories is None else labels[ascent.trajectories]


def label_rows_of_fit(
    ascent: Ascent,
    points: NDArray[np.float64],
    merged: MergedEndpoints,
    *,
    order: NDArray[np.signedinteger],
    limit: float | None,
    side: float,
    ascend: Ascend,
    refine: Ascend | None,
    period: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Label the rows of a fit, all of which have ascended; equal rows alike.

    Where trajectories coalesced, rows near a watershed may be in the wrong basin. Such rows lie
    in cells that hold several labels, and ascend again without coalescing.

    Parameters
    ----------
    order : int array of shape (n_samples,)
        An order of the rows in which neighbours in space follow one another.
    side : float
        The side of the cells in which trajectories coalesced; 0 where none did.
    ascend : callable
        ``ascend(seeds)`` follows seeds without coalescing.
    limit, refine
        As in :func:`label_endpoints`.

    Notes
    -----
    Of a million rows in 20 blobs, coalesced at 0.01 bandwidths, 23 in 100,000 were in another
    basin than without coalescing. 0.6 % ascended again, and it was 1 in 100,000.

    Equal rows share cells and trajectories. Without coalescing they ascend in different groups,
    and the last bits of their means may differ: they take the label of the first.
    """
    label = partial(label_endpoints, limit=limit, refine=refine, period=period)
    labels = label(ascent, merged)
    if side == 0.0:
        firsts, numbers = find_repeats(points)
        return labels[firsts][numbers]
    again = order[_on_watersheds(points, labels, WATERSHED_CELL_SIDES * side)[order]]
    if again.size:
        seeds = readonly(points[again])
        found = label(ascend(seeds), merged)
        firsts, numbers = find_repeats(seeds)
        labels[again] = found[firsts][numbers]
    return labels


def _on_watersheds(
    points: NDArray[np.float64], labels: NDArray[np.int64], side: float
) -> NDArray[np.bool_]:
    """Find the rows of all cells that hold more than one label."""
    cells = np.empty(len(points), dtype=np.int64)
    first_rows, _ = find_bins(points, side, cells)
    is_mixed = np.zeros(len(first_rows), dtype=np.bool_)
    is_mixed[cells[labels != labels[first_rows][cells]]] = True
    return is_mixed[cells]
