"""Clusters of any shape: what a fit keeps of its modes, and a cut of their merge tree.

    modes, labels by mode --> saddles --> merge tree --cut--> clusters --min_support--> labels

A cut at another prominence needs neither rows nor a new fit.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._cluster.basins import Labelled
from meanshift_fast._cluster.inputs import Settings
from meanshift_fast._cluster.modes import count_supported
from meanshift_fast._cluster.prominence import MergeRule, MergeTree, find_saddles, merge_tree
from meanshift_fast._index.base import Index
from meanshift_fast._index.density import density_of
from meanshift_fast._index.kernels import KERNELS
from meanshift_fast._index.nearest import nearest_labels
from meanshift_fast._input.messages import no_support_error
from meanshift_fast._input.scaling import readonly_table


class Clusters(NamedTuple):
    """A cut of a merge tree.

    Attributes
    ----------
    heads : int64 array of shape (n_clusters,)
        The densest mode of each cluster that is left, ascending.
    nearest : int64 array of shape (n_modes,)
        The cluster of each mode; of one whose cluster has too little support, that of the nearest
        mode of another.
    dropped : bool array of shape (n_modes,)
        Which modes' clusters have too little support.
    """

    heads: NDArray[np.int64]
    nearest: NDArray[np.int64]
    dropped: NDArray[np.bool_]

    def labels(self, *, every: bool) -> NDArray[np.int64]:
        """The cluster of each mode; -1 for those dropped, unless all get one."""
        return self.nearest if every else np.where(self.dropped, -1, self.nearest)

    def relabelled(self, kept: Labelled, labels: NDArray[np.int64]) -> Labelled:
        """What labels other rows by basin, by cluster in place of mode."""
        dropped = self.dropped[kept.modes] if self.dropped.any() else kept.dropped
        return kept._replace(labels=labels, modes=self.nearest[kept.modes], dropped=dropped)


class Shapes(NamedTuple):
    """All modes of a fit, as attributes of a model.

    Attributes
    ----------
    modes : array of shape (n_modes, n_features)
        In the unit and the dtype of the rows.
    density, prominence, across : arrays of shape (n_modes,)
        `MergeTree`.
    labels : int64 array of shape (n_modes,)
        The cluster of each mode; -1 for none.
    linkage : float64 array of shape (n_modes - 1, 4)
        The merge tree in scipy's form.
    support : float64 array of shape (n_modes,)
        The weight that each was computed from.
    of_rows : int64 array of shape (n_samples,), or None
        The mode of each row of the fit, -1 for none.
    """

    modes: NDArray[Any]
    density: NDArray[np.float64]
    prominence: NDArray[np.float64]
    labels: NDArray[np.int64]
    linkage: NDArray[np.float64]
    support: NDArray[np.float64]
    across: NDArray[np.int64]
    of_rows: NDArray[np.int64] | None = None

    @property
    def tree(self) -> MergeTree:
        """How the modes join."""
        return MergeTree(self.density, self.prominence, self.across)

    def rule(self, settings: Settings) -> MergeRule:
        """What merges the modes."""
        return merge_rule(settings, settings.metric.n_columns(self.modes.shape[1]))

    def kinds(
        self, settings: Settings
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        """Which modes are clusters, which were merged into those, and which are in none.

        The last are those whose cluster has too little support, its densest mode included.
        """
        heads, n_kept, numbers = _heads(
            self.tree, self.support, self.rule(settings), settings.min_support
        )
        is_cluster = np.zeros(len(self.modes), dtype=np.bool_)
        is_cluster[heads[:n_kept]] = True
        is_dropped = numbers >= n_kept
        return is_cluster, ~is_cluster & ~is_dropped, is_dropped


# The attributes of a model, in the order of the fields.
SHAPE_ATTRIBUTES = (
    "modes_", "mode_density_", "mode_prominence_", "mode_labels_", "merge_tree_",
    "_mode_support", "_mode_across", "_row_modes",
)  # fmt: skip


def merge_rule(settings: Settings, n_columns: int) -> MergeRule:
    """What merges modes in so many of the engine's columns."""
    dimension = settings.metric.dimension(n_columns)
    return MergeRule(settings.min_prominence, KERNELS[settings.kernel].variance_share(dimension))


def _heads(
    tree: MergeTree, support: NDArray[np.float64], rule: MergeRule, min_support: float
) -> tuple[NDArray[np.int64], int, NDArray[np.int64]]:
    """The modes merged into no other, how many of them have support; and which is each mode's."""
    is_merged = tree.is_merged(rule)
    heads = np.flatnonzero(~is_merged)
    n_kept = count_supported(support[heads], min_support)
    return heads, n_kept, np.searchsorted(heads, tree.representatives(is_merged))


def cut(
    tree: MergeTree,
    support: NDArray[np.float64],
    places: NDArray[np.float64],
    settings: Settings,
    period: NDArray[np.float64],
) -> Clusters:
    """Cut a merge tree by the settings' prominence, and drop clusters of too little support.

    The support of the modes is descending, and they lie in the unit of the index.
    """
    rule = merge_rule(settings, places.shape[1])
    heads, n_kept, nearest = _heads(tree, support, rule, settings.min_support)
    if n_kept == 0:
        raise no_support_error(settings.min_support, support[heads[0]])
    dropped = nearest >= n_kept
    if dropped.any():
        left, others = readonly_table(places[~dropped]), readonly_table(places[dropped])
        nearest[dropped] = nearest[~dropped][nearest_labels(others, left, period=period)]
    return Clusters(heads[:n_kept], nearest, dropped)


def find_tree(
    index: Index,
    points: NDArray[np.float64],
    of_rows: NDArray[np.int64],
    peaks: NDArray[np.float64],
    period: NDArray[np.float64],
) -> MergeTree:
    """Find how modes join: the ``peaks``, in the unit of the index, of the mode of each row."""
    density = np.maximum(density_of(index, peaks), np.finfo(np.float64).tiny)
    return merge_tree(density, find_saddles(index, points, of_rows, len(peaks), period))
