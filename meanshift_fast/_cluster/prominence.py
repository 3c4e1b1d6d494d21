"""Merging by prominence: modes whose basins meet at a shallow saddle are one cluster.

    rows of other basins nearby --> saddles --> merge tree --> prominences --> clusters

The saddle of two basins is the highest value, over pairs of neighbouring rows in them, of the lower
density of the two. Neighbours: one row is among the seven nearest of the other, and they are at
most the width of a ball apart (`_index/neighbours.py`). Basins join in the order of falling saddles
([1]_, [2]_): the less dense mode of the two parts that meet ends there, and its prominence is

    1 - saddle / density        0 to 1; 1 for the densest of a connected part

A mode less prominent than asked belongs to the basin across its saddle. All modes that joined its
part before are less prominent than it is, so that any threshold is a cut of one tree.

References
----------
.. [1] F. Chazal, L. J. Guibas, S. Y. Oudot and P. Skraba, "Persistence-based clustering in
   Riemannian manifolds", Journal of the ACM 60 (6), 2013, :doi:`10.1145/2535927`.
.. [2] S. Paris and F. Durand, "A topological approach to hierarchical segmentation using mean
   shift", IEEE Conference on Computer Vision and Pattern Recognition, 2007,
   :doi:`10.1109/CVPR.2007.383228`.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.inputs import Bandwidth, Rows, Settings
from meanshift_fast._index.base import Index
from meanshift_fast._index.density import density_of
from meanshift_fast._index.equal_rows import find_repeats
from meanshift_fast._index.kernels import KERNELS
from meanshift_fast._index.moment_tree import build
from meanshift_fast._index.neighbours import pairs_across
from meanshift_fast._index.torus import repeated
from meanshift_fast._input.extent import extremes
from meanshift_fast._input.scaling import readonly
from meanshift_fast._input.weights import UNWEIGHTED
from meanshift_fast._jit.compiler import serial
from meanshift_fast._jit.simd import flat
from meanshift_fast._jit.union_find import root_of

_Floats = NDArray[np.float64]

N_NEIGHBOURS = 7
# Between these contrasts lies the gap that parts modes of chance from those of clusters. On half of
# 76 kinds of public tables, drawn anew (`bench/shape_tables.py`), six pairs around them gave a mean
# adjusted Rand index of 0.79 to 0.82, a fixed threshold 0.76; on the other half 0.78 to 0.79 and
# 0.71.
MIN_CONTRAST, MAX_CONTRAST = 0.25, 4.5
N_STEPS_OF_PROMINENCE = 1001  # of the threshold that a picture shows


class Saddles(NamedTuple):
    """Pairs of basins that touch, each once: the numbers of their modes, and the density there."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    density: _Floats


class MergeRule(NamedTuple):
    """Which modes join the basin across their saddle.

    Attributes
    ----------
    min_prominence : float or "auto"
        Modes below it join; "auto" chooses by contrast.
    variance_share : float
        The square of a standard error of a sum of kernel values, as a share of the sum.
    """

    min_prominence: float | str
    variance_share: float


class MergeTree(NamedTuple):
    """How the modes of a density join.

    Attributes
    ----------
    density : float64 array of shape (n_modes,)
        At each mode: the weight of the rows, as the kernel counts them.
    prominence : float64 array of shape (n_modes,)
        Between 0 and 1.
    across : int64 array of shape (n_modes,)
        The basin across each mode's highest saddle to a denser part; where there is no saddle, the
        densest mode of another part; -1 for the densest of all.
    """

    density: _Floats
    prominence: _Floats
    across: NDArray[np.int64]

    def contrast(self, rule: MergeRule) -> _Floats:
        """Of each mode: its prominence, times the height above its saddle in standard errors."""
        squares: _Floats = self.prominence * self.prominence
        return squares * np.sqrt(self.density / (rule.variance_share * (2.0 - self.prominence)))

    def largest_merged(self, rule: MergeRule) -> float:
        """The contrast up to which "auto" merges: amid the widest gap, by ratios.

        The gap is one of contrasts of modes that have a saddle, within two bounds.
        """
        contrasts = self.contrast(rule)[self.prominence < 1.0]
        within = np.clip(contrasts, MIN_CONTRAST, MAX_CONTRAST)
        logs = np.log(np.sort(np.append(within, [MIN_CONTRAST, MAX_CONTRAST])))
        widest = int(np.argmax(np.diff(logs)))
        return math.exp(0.5 * (logs[widest] + logs[widest + 1]))

    def is_merged(self, rule: MergeRule) -> NDArray[np.bool_]:
        """Which modes join the basin across their saddle."""
        if not isinstance(rule.min_prominence, str):
            return self.prominence < rule.min_prominence
        return (self.prominence < 1.0) & (self.contrast(rule) <= self.largest_merged(rule))

    def least_saddle(self, density: _Floats, rule: MergeRule) -> _Floats:
        """The saddle above which a mode of each density is merged."""
        if not isinstance(rule.min_prominence, str):
            return density * (1.0 - rule.min_prominence)
        prominence = np.linspace(0.0, 1.0, N_STEPS_OF_PROMINENCE)
        of_them = prominence * prominence / np.sqrt(2.0 - prominence)
        limits = self.largest_merged(rule) * np.sqrt(rule.variance_share / density)
        least: _Floats = np.interp(limits, of_them, prominence)
        return density * (1.0 - least)

    def representatives(self, is_merged: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The mode of each mode's cluster that is merged into no other: its densest."""
        found = np.where(is_merged, self.across, np.arange(len(is_merged)))
        while True:
            further = found[found]
            if np.array_equal(further, found):
                return found
            found = further

    def linkage(self) -> _Floats:
        """The tree in the form of `scipy.cluster.hierarchy.linkage`, the prominence as height."""
        n_modes = len(self.density)
        order = np.argsort(self.prominence, kind="stable")
        order = order[self.across[order] >= 0]
        rows = np.zeros((len(order), 4))
        _write_linkage(order, self.across, self.prominence, np.arange(2 * n_modes), rows)
        return rows


@serial
def _write_linkage(order, across, prominence, links, rows):
    """Join the modes in an order; cluster n_modes + i is the i-th join's."""
    n_modes = across.shape[0]
    for i in range(order.shape[0]):
        mode = order[i]
        one, other = root_of(flat(links), mode), root_of(flat(links), across[mode])
        rows[i, 0], rows[i, 1], rows[i, 2] = min(one, other), max(one, other), prominence[mode]
        for part in (one, other):
            rows[i, 3] += 1.0 if part < n_modes else rows[part - n_modes, 3]
            links[part] = n_modes + i


@serial
def _join(first, second, saddle, density, links, prominence, across):
    """Join basins in the order of falling saddles; the root of a part is its densest mode."""
    for i in range(first.shape[0]):
        one, other = root_of(flat(links), first[i]), root_of(flat(links), second[i])
        if one == other:
            continue
        far = second[i]
        if density[other] < density[one] or (density[other] == density[one] and other > one):
            one, other, far = other, one, first[i]
        across[one] = far
        prominence[one] = max(1.0 - saddle[i] / density[one], 0.0)
        links[one] = other


def merge_tree(density: _Floats, saddles: Saddles) -> MergeTree:
    """Join basins in the order of falling saddles, the less dense part to the denser.

    The densities are those at the modes, positive.
    """
    n_modes = len(density)
    order = np.lexsort((saddles.second, saddles.first, -saddles.density))
    links = np.arange(n_modes)
    prominence, across = np.ones(n_modes), np.full(n_modes, -1, dtype=np.int64)
    _join(
        saddles.first[order], saddles.second[order], saddles.density[order], density, links,
        prominence, across,
    )  # fmt: skip
    tops = np.flatnonzero(across < 0)
    densest = tops[np.argmax(density[tops])]
    across[tops] = densest
    across[densest] = -1
    return MergeTree(density, prominence, across)


def _distinct_rows(
    index: Index, points: _Floats, labels: NDArray[np.int64]
) -> tuple[_Floats, NDArray[np.int64], Index | None]:
    """The distinct rows, their labels, and the index where its rows are those."""
    firsts, _ = find_repeats(points)
    if len(firsts) == len(points):
        return points, labels, index
    return readonly(points[firsts]), labels[firsts], None


def find_saddles(
    index: Index,
    points: _Floats,
    labels: NDArray[np.int64],
    n_modes: int,
    period: _Floats,
) -> Saddles:
    """Find where the basins of labelled rows touch, and how dense the rows are there.

    The rows are in the unit of the index, with the mode of each row's basin, -1 for a row of none.
    Where columns wrap, they repeat across the seams.
    """
    points, labels, arranged = _distinct_rows(index, points, labels)
    reach, n_rows = index.reach, len(points)
    if period.size and index.radius > 0.0:
        reach = min(reach, 0.5 * float(period.min()))
        images = repeated(points, period, reach)
        of_images = images.of(labels.astype(np.float64))
        points, labels, arranged = images.points, of_images.astype(np.int64), None
    tree = arranged.boxes() if arranged else None
    if tree is None or len(tree.order) != len(points):
        tree = build(points, UNWEIGHTED)
    labels = np.where(labels < 0, n_modes, labels)
    rows, others = pairs_across(tree, labels, k=N_NEIGHBOURS, reach=reach)
    # At its outer edge an image lacks neighbours, and so has others; a row has all of its own.
    inside = (labels[rows] < n_modes) & (labels[others] < n_modes) & (rows < n_rows)
    rows, others = rows[inside], others[inside]
    if not rows.size:
        nothing = np.empty(0, dtype=np.int64)
        return Saddles(nothing, nothing, np.empty(0))
    touching, numbers = np.unique(np.concatenate([rows, others]), return_inverse=True)
    density = density_of(index, points[touching])[numbers]
    saddle = np.minimum(density[: len(rows)], density[len(rows) :])
    first, second = np.sort([labels[rows], labels[others]], axis=0)
    order = np.lexsort((-saddle, first * n_modes + second))
    key = (first * n_modes + second)[order]
    highest = order[np.append(True, key[1:] != key[:-1])]
    return Saddles(first[highest], second[highest], saddle[highest])


def log_density(rows: Rows, places: _Floats, bandwidth: Bandwidth, settings: Settings) -> _Floats:
    """Measure the log density of a fit's rows, normalised, at some places of the same columns."""
    widths = np.broadcast_to(bandwidth, places.shape[1])
    if not widths.all():
        raise ValueError("a density needs a bandwidth above 0, and this fit's is 0; give one")
    units = settings.units(bandwidth, extremes(rows.points), places)
    entered = units.enter(rows.points)
    index = settings.arrange(entered, rows.heavy_weights, units, n_seeds=len(places))
    total = rows.heavy_weights.sum() if rows.heavy_weights.size else float(len(rows.points))
    with np.errstate(divide="ignore"):
        found: _Floats = np.log(density_of(index, units.enter(places)) / total)
    found -= KERNELS[settings.kernel].log_norm(len(widths)) + float(np.log(widths).sum())
    return found
