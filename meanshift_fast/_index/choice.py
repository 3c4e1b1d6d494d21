"""The choice of an index: one function, one table of conditions.

    bandwidth 0                                               exact       equal rows only
    kernel="gaussian", 33 columns or more, 128 seeds or more,
    many rows of about equal weight                           gaussian by products
    kernel="gaussian"                                         gaussian
    rows are cells wider than a 256th of the bandwidth        soft cells
    33 columns or more, 128 seeds or more, and most rows of
    a probe are about as far as the bandwidth                 products
    33 columns or more, seeds for an eighth of the rows,
    and sixteen axes that hold half of the spread             projected
    anything else                                             flat

The lines of the Gaussian are in `gaussian_kernel.py`, those of cells and of anything else in
`flat_kernel.py`. On a sphere the index is wrapped by `sphere.py`; where columns wrap, the rows
repeat across the seams and the index is wrapped by `torus.py`.

Measured where the rules of a class stand: `product_choice.py`, `projected.py`, `soft_cells.py` for
the widths. `meanshift_fast`'s logger says at DEBUG which line of the table applied.
"""

import logging

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index import product_choice, projected
from meanshift_fast._index.base import Index, Request
from meanshift_fast._index.flat import ExactIndex, FlatIndex
from meanshift_fast._index.kernels import KERNELS
from meanshift_fast._index.moment_tree import MomentTree
from meanshift_fast._index.moment_tree import build as build_tree
from meanshift_fast._index.product_levels import table_of
from meanshift_fast._index.products import ProductIndex
from meanshift_fast._index.projection import project
from meanshift_fast._index.sphere import FIRST_ACCURACY_SHARE, SphereIndex
from meanshift_fast._index.torus import TorusIndex, repeated
from meanshift_fast._input.scaling import Units
from meanshift_fast._input.weights import UNWEIGHTED

logger = logging.getLogger("meanshift_fast")

# Seeds for each row from which leaves split at medians pay for themselves.
MIN_SEEDS_A_ROW_FOR_MEDIANS = 1 / 16
FLAT_SPACE = Units(1.0, 0.0)

Trees = dict[tuple[int, bool], MomentTree]  # of one table: by the number of rows, and with medians


def build(
    points: NDArray[np.float64],
    weights: NDArray[np.float64] = UNWEIGHTED,
    *,
    radius: float,
    kernel: str = "flat",
    accuracy: float = 1e-3,
    n_seeds: int = 0,
    widths: NDArray[np.float64] = UNWEIGHTED,
    space: Units = FLAT_SPACE,
    trees: Trees | None = None,
) -> Index:
    """Arrange rows for a kernel and a bandwidth.

    Parameters
    ----------
    points : read-only C-ordered float64 array of shape (n_samples, n_features)
        The rows, in the engine's unit; finite, at least one.
    weights : read-only float64 array of shape (n_samples,) or (0,), default=empty
        Their weights, positive; empty where all are 1.
    radius : float
        The bandwidth, in the unit of the rows; at least 0.
    kernel : {"flat", "gaussian"}, default="flat"
        How rows count.
    accuracy : float, default=1e-3
        The largest error of a Gaussian shift, in bandwidths.
    n_seeds : int, default=0
        The number of trajectories: the index is chosen for so many.
    widths : float64 array of shape (n_samples,) or (0,), default=empty
        The widths of the cells that the rows stand for, in bandwidths; empty for rows.
    space : Units, default=flat
        Its ``angle``, ``sphere`` and ``period`` say what space the rows lie in.
    trees : dict, optional
        For fits of one table at many bandwidths: in the columns' own unit its tree is the same
        at all of them. The last one built is left there.

    Returns
    -------
    Index
    """
    given = points, weights
    if space.period.size and radius > 0.0:
        images = repeated(points, space.period, KERNELS[kernel].image_reach(radius, space.period))
        points, weights, widths = images.points, images.of(weights), images.of(widths)
    inner_accuracy = accuracy * FIRST_ACCURACY_SHARE if space.angle else accuracy
    is_whole = KERNELS[kernel].is_ball and not widths.size
    request = Request(points, weights, radius, inner_accuracy, n_seeds, widths)
    is_kept = space.is_own and not space.period.size
    index, reason = _chosen(kernel, request, trees if is_kept else None, is_whole=is_whole)
    logger.debug("index: %s, because %s; %d rows", type(index).__name__, reason, len(points))
    if radius == 0.0:  # positions never move
        return index
    return in_space(index, space, *given, is_whole=is_whole, accuracy=accuracy)


def balls_on(
    tree: MomentTree, space: Units, points: NDArray[np.float64], weights: NDArray[np.float64]
) -> Index:
    """The index of balls on a tree that is there already, whichever other would pay.

    ``points`` and ``weights`` are the rows without images; the radius is that of the space's units.
    """
    if space.radius == 0.0:
        return ExactIndex(tree)
    return in_space(FlatIndex(tree, space.radius), space, points, weights)


def in_space(
    index: Index,
    space: Units,
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    *,
    is_whole: bool = True,
    accuracy: float = 0.0,
) -> Index:
    """Bring what an index answers back to the space that rows lie in; itself where that is flat.

    ``points`` and ``weights`` are the rows without the images that the index has; ``is_whole`` says
    whether rows count whole or not at all.
    """
    if space.period.size:
        return TorusIndex.of(index, space.period, points, weights, whole=is_whole)
    if space.angle:
        return SphereIndex.of(index, 1.0 / space.sphere, space.angle, accuracy)
    return index


def _chosen(
    kernel: str, request: Request, trees: Trees | None, *, is_whole: bool
) -> tuple[Index, str]:
    """The first line of the table that applies, and what it says."""
    points, weights, radius, _, n_seeds, _ = request
    if is_whole and radius > 0.0:
        if product_choice.is_worth(points, radius, n_seeds):
            return ProductIndex(table_of(points, weights), radius), "the rows fill their dimensions"
        if projected.is_worth(points, n_seeds):
            projections = project(points, weights)
            if projections is not None:
                index = projected.ProjectedIndex(*projections, radius)
                return index, "the rows lie near few axes"
    careful = n_seeds > len(points) * MIN_SEEDS_A_ROW_FOR_MEDIANS
    tree = _tree(points, weights, trees, careful=careful)
    if radius == 0.0:
        return ExactIndex(tree), "the bandwidth is 0"
    return KERNELS[kernel].index(tree, request)


def _tree(
    points: NDArray[np.float64], weights: NDArray[np.float64], trees: Trees | None, *, careful: bool
) -> MomentTree:
    """The tree that is kept, or a new one; of equal rows counted as one there are fewer rows."""
    if trees is None:
        return build_tree(points, weights, careful=careful)
    key = len(points), careful
    if key not in trees:
        trees.clear()
        trees[key] = build_tree(points, weights, careful=careful)
    return trees[key]
