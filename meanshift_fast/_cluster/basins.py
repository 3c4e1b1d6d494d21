"""Basins: each row takes the label of the mode that its own trajectory reaches.

    row --climb--> end --nearest--> mode              in fit; in predict where a row is new
    row --equal--> row of the fit --> its label       in predict, for all others

A trajectory's last bits depend on the company that it climbs in (sums are taken in groups), and
where trajectories coalesce, even its end does. So `predict` climbs only with what is new, each row
for itself, and looks up the rest: on the rows of the fit it answers with `labels_`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.ascent import Climb
from meanshift_fast._cluster.seeding import find_bins
from meanshift_fast._index.nearest import nearest_labels
from meanshift_fast._input.scaling import readonly
from meanshift_fast._jit.chunks import pieces
from meanshift_fast._jit.compiler import serial, step
from meanshift_fast._jit.hashing import hash_of
from meanshift_fast._jit.simd import flat
from meanshift_fast._summaries.grid_cells import Grid

FIRST = 1 << 20  # rows of the first piece that is looked up
DOUBT = 8.0  # a cell of doubt is so many cells of coalescing wide
IN_DOUBT = 0.25  # bandwidths from the nearest peak, beyond which an end may lie on a saddle

Follow = Callable[..., Climb]  # `climb`, with all but the seeds and how they run together


class Landings(NamedTuple):
    """Where trajectories come to rest, and what becomes of it.

    Attributes
    ----------
    places : read-only C-ordered float64 array of shape (n_landings, n_features)
        The ends that are left where ends within a bandwidth merge, in the unit of the climb or
        of the columns.
    modes : int64 array of shape (n_landings,)
        The mode that each belongs to. The flat kernel's landings are its modes; the Gaussian's
        move when they are polished, and may merge once more.
    peaks : read-only C-ordered float64 array of shape (n_modes, n_features)
        The modes themselves, in the same unit.
    """

    places: NDArray[np.float64]
    modes: NDArray[np.int64]
    peaks: NDArray[np.float64]

    def within(self, unit: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> "Landings":
        """The same in another unit."""
        places, peaks = (readonly(unit(table)) for table in (self.places, self.peaks))
        return Landings(places, self.modes, peaks)


class Labelled(NamedTuple):
    """Rows that have climbed, what a fitted model keeps of them to label others.

    Flat, arrays and a number: a model holds them as attributes of its own, which every format
    that holds arrays can write.

    Attributes
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows; or the points of the cells that the model was fitted on.
    weights : read-only float64 array of shape (n_samples,) or (0,)
        Their weights; empty where all are 1.
    labels : int64 array of shape (n_samples,)
        Their labels.
    places, modes, peaks : arrays
        Where their trajectories came to rest, in the unit of the columns: `Landings`.
    sizes : read-only float64 array of shape (n_features,) or (0,)
        The sides of the bins that cells are parts of; empty where the points are rows.
    n_parts : int
        The parts of a side: `Grid`.
    widths : float64 array of shape (n_samples,) or (0,)
        How many bandwidths wide the cells are, as the kernel takes them; empty where they are
        narrow enough to be points, and where the points are rows.
    mixed : bool array of shape (n_samples,) or (0,)
        Which of the wide cells lie beside one of another label: their rows climb for themselves.
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

    @property
    def landings(self) -> Landings:
        """Where trajectories came to rest."""
        return Landings(self.places, self.modes, self.peaks)

    @property
    def grid(self) -> Grid | None:
        """The cells' grid; None where the points are rows."""
        return Grid(self.sizes, self.n_parts) if self.n_parts else None

    def find(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        """Find for each of other rows one that equals it, or its cell; -1 for those that climb."""
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


@step
def _slot_of(points, words, row, others, slots):
    """Find the slot of a row's equal among others, or the empty one where it would be."""
    last_slot = slots.shape[0] - 1
    slot = hash_of(flat(points), flat(words), points.shape[1], row) & last_slot
    while slots[slot] >= 0:
        f = 0
        while f < points.shape[1] and points[row, f] == others[slots[slot], f]:
            f += 1
        if f == points.shape[1]:
            break
        slot = (slot + 1) & last_slot
    return slot


@serial
def _note_rows(points, words, start, stop, slots):
    for row in range(start, stop):
        slot = _slot_of(points, words, row, points, slots)
        if slots[slot] < 0:
            slots[slot] = row


@serial
def _look_up(points, words, others, slots, found):
    for row in range(points.shape[0]):
        found[row] = slots[_slot_of(points, words, row, others, slots)]


def equal_rows(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find for each row of a table the first of another's rows that equals it.

    Parameters
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows to look up; finite.
    others : read-only C-ordered float64 array of shape (n_others, n_features)
        Where to look; finite.

    Returns
    -------
    int64 array of shape (n_samples,)
        The number of the first equal row, -1 where there is none.

    Notes
    -----
    Some 100 ns for each row of either table; memory 16 to 32 bytes for each of ``others``.
    """
    slots = np.full(2 << len(others).bit_length(), -1)
    found = np.empty(len(points), dtype=np.int64)
    words = others.view(np.int64)
    for start, stop in pieces(len(others), first=FIRST):
        _note_rows(others, words, start, stop, slots)
    words = points.view(np.int64)
    for start, stop in pieces(len(points), first=FIRST):
        _look_up(points[start:stop], words[start:stop], others, slots, found[start:stop])
    return found


def beside_others(numbers: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Find the cells that share a face with one of another label.

    Parameters
    ----------
    numbers : read-only C-ordered float64 array of shape (n_cells, n_features)
        The cells of a grid, by their numbers along each feature.
    labels : int64 array of shape (n_cells,)
        Their labels.

    Returns
    -------
    bool array of shape (n_cells,)
    """
    found = np.zeros(len(numbers), dtype=np.bool_)
    for feature in range(numbers.shape[1]):
        beside = numbers.copy()
        beside[:, feature] += 1.0
        neighbours = equal_rows(readonly(beside), numbers)
        cells = np.flatnonzero((neighbours >= 0) & (labels[neighbours] != labels))
        found[cells] = found[neighbours[cells]] = True
    return found


def basin_labels(
    path: Climb,
    landings: Landings,
    *,
    limit: float | None = None,
    patient: Follow | None = None,
) -> NDArray[np.int64]:
    """Label each seed of a climb with the mode that its trajectory reached.

    Parameters
    ----------
    path : Climb
        How the seeds climbed.
    landings : Landings
        Where ends merge; at least one.
    limit : float, optional
        A trajectory that ends farther than this from all of them has no label. None labels all.
    patient : callable, optional
        For a kernel with which trajectories crawl over saddles, and may rest there: a climb that
        goes on with those that ended more than a quarter of a bandwidth from every peak.

    Returns
    -------
    int64 array of shape (n_seeds,)
        The mode of the landing nearest to the end, the first of equals; -1 beyond the limit.

    Notes
    -----
    An end merges into a mode within the bandwidth of it ([1]_ section 4, step 3), the nearest
    where there are several. Seeds that were not the rows may leave peaks undiscovered; what
    climbs to those is the orphan that the limit is about.

    References
    ----------
    .. [1] D. Comaniciu and P. Meer, "Mean shift: a robust approach toward feature space
       analysis", IEEE Transactions on Pattern Analysis and Machine Intelligence 24 (5), 2002,
       pp. 603-619, :doi:`10.1109/34.1000236`, section 4.
    """
    ends = path.ends.view()
    ends.flags.writeable = False
    labels = np.append(landings.modes, -1)[nearest_labels(ends, landings.places, limit=limit)]
    if patient:
        resting = np.flatnonzero(nearest_labels(ends, landings.peaks, limit=IN_DOUBT) < 0)
        if resting.size:
            seeds = ends[resting]
            seeds.flags.writeable = False
            labels[resting] = basin_labels(patient(seeds), landings, limit=limit)
    return labels if path.stories is None else labels[path.stories]


def row_labels(
    path: Climb,
    points: NDArray[np.float64],
    landings: Landings,
    *,
    order: NDArray[np.signedinteger],
    limit: float | None,
    side: float,
    follow: Follow,
    patient: Follow | None = None,
) -> NDArray[np.int64]:
    """Label the rows of a fit, all of which have climbed; equal rows alike.

    Where trajectories coalesced, rows near a watershed may have gone astray. They are found by
    the company they keep, and climb again, each for itself.

    Parameters
    ----------
    path : Climb
        How the rows climbed.
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows, in the unit of the climb.
    landings : Landings
        Where ends merge.
    order : int array of shape (n_samples,)
        An order of the rows in which neighbours in space follow one another.
    limit : float or None
        As in :func:`basin_labels`.
    side : float
        The side of the cells in which trajectories coalesced; 0 where none did.
    follow : callable
        ``follow(seeds)`` climbs without coalescing.
    patient : callable, optional
        As in :func:`basin_labels`.

    Returns
    -------
    int64 array of shape (n_samples,)

    Notes
    -----
    Of a million rows in 20 blobs, coalesced at 0.01 bandwidths, 23 in 100,000 were in another
    basin than without coalescing. 0.6 % climbed again, and it was 1 in 100,000.

    Equal rows share cells and stories. Without coalescing they climb in different groups, and the
    last bits of their means may differ: they take the label of the first.
    """
    labels = basin_labels(path, landings, limit=limit, patient=patient)
    if side == 0.0:
        labels[:] = labels[equal_rows(points, points)]
        return labels
    again = order[_among_others(points, labels, DOUBT * side)[order]]
    if again.size:
        seeds = points[again]
        seeds.flags.writeable = False
        climbed = basin_labels(follow(seeds), landings, limit=limit, patient=patient)
        labels[again] = climbed[equal_rows(seeds, seeds)]
    return labels


def _among_others(
    points: NDArray[np.float64], labels: NDArray[np.int64], side: float
) -> NDArray[np.bool_]:
    """Find the rows in whose cell not all labels are the same."""
    cells = np.empty(len(points), dtype=np.int64)
    first_rows, _ = find_bins(points, side, cells)
    is_mixed = np.zeros(len(first_rows), dtype=np.bool_)
    is_mixed[cells[labels != labels[first_rows][cells]]] = True
    return is_mixed[cells]
