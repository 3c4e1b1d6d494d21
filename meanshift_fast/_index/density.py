"""The density whose modes mean shift finds, at some places: for contours and for one column.

A flat mean shift does not ascend the counts of rows in balls. It ascends the density in which a row
counts by its distance ([1]_, section 2.1: Epanechnikov's kernel, the shadow of the flat one):

    density(x) = sum of w_i (1 - |x - x_i|^2 / h^2)     over the rows within h
               = W - (Q - 2 W x.m + W x.x) / h^2        W their weight, m their mean,
                                                        Q their weighted sum of x_i.x_i

A moment tree gives W and W m, and a second one, whose rows weigh w_i x_i.x_i, gives Q: no row is
listed. With the Gaussian kernel the density is the sum of the rows' kernel values, which is the
support of a shift.

References
----------
.. [1] D. Comaniciu and P. Meer, "Mean shift: a robust approach toward feature space analysis",
   IEEE Transactions on Pattern Analysis and Machine Intelligence 24 (5), 2002, pp. 603-619,
   :doi:`10.1109/34.1000236`, section 2.
"""

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index import moment_tree as tree
from meanshift_fast._index.flat import shift
from meanshift_fast._index.gaussian import gaussian_shift
from meanshift_fast._index.sigma_points import find_sigma_points
from meanshift_fast._input.scaling import readonly_table

_Floats = NDArray[np.float64]

ACCURACY_IN_BANDWIDTHS = 1e-2  # of a Gaussian shift: contours need no more


def flat_density(points: _Floats, weights: _Floats, places: _Floats, bandwidth: float) -> _Floats:
    """Measure the density at some places.

    Parameters
    ----------
    points : float64 array of shape (n_samples, n_features)
        The rows.
    weights : float64 array of shape (n_samples,) or (0,)
        Their weights; empty where each counts once.
    places : float64 array of shape (n_places, n_features)
        Where to measure.
    bandwidth : float
        Radius of the ball, in the unit of the columns.

    Returns
    -------
    float64 array of shape (n_places,)
        A row at the place counts its weight, one a bandwidth away nothing.

    Notes
    -----
    With the bandwidth 0, the number of rows equal to the place.

    The sums cancel: where rows lie k bandwidths from their mean, the last log10(k * k) of sixteen
    digits are lost. A picture needs three.
    """
    if bandwidth == 0.0:
        support, _ = shift(tree.build(readonly_table(points), weights), places.copy(), 0.0)
        return support
    middle = points.mean(axis=0)
    rows, at = readonly_table(points - middle), np.ascontiguousarray(places - middle)
    lengths_sq = np.einsum("rf,rf->r", rows, rows)
    # Neighbours in space share a traversal: five times faster where the places are a million rows.
    order = tree.order_of(readonly_table(at))
    means = at[order]
    support, _ = shift(tree.build(rows, weights), means, bandwidth)
    weighted_sq = readonly_table(lengths_sq * weights if weights.size else lengths_sq)
    squares, _ = shift(tree.build(rows, weighted_sq), at[order], bandwidth)

    ordered = at[order]
    across = np.einsum("rf,rf->r", ordered, ordered - 2.0 * means)
    density = np.empty(len(at))
    density[order] = support - (squares + support * across) / bandwidth**2
    return np.maximum(density, 0.0)


def gaussian_density(points: _Floats, weights: _Floats, places: _Floats) -> _Floats:
    """Sum the Gaussian kernel over the rows, at some places.

    Parameters
    ----------
    points : float64 array of shape (n_samples, n_features)
        The rows, in bandwidths.
    weights : float64 array of shape (n_samples,) or (0,)
        Their weights; empty where each counts once.
    places : float64 array of shape (n_places, n_features)
        Where to measure, in bandwidths.

    Returns
    -------
    float64 array of shape (n_places,)
        A row at the place counts its weight, one at d bandwidths exp(-d^2 / 2) of it.
    """
    rows = tree.build(readonly_table(points), weights)
    order = tree.order_of(readonly_table(places))
    density = np.empty(len(places))
    density[order], _ = gaussian_shift(
        rows, find_sigma_points(rows), places[order], accuracy=ACCURACY_IN_BANDWIDTHS
    )
    return density
