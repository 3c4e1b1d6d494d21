"""The density whose modes mean shift finds, at some places: for contours and for one column.

A flat mean shift does not ascend the counts of rows in balls, but Epanechnikov's kernel
(`epanechnikov.py`); a Gaussian one the sum of the rows' kernel values, which is the support of a
shift.
"""

import math

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._index import moment_tree as tree
from meanshift_fast._index.epanechnikov import sum_epanechnikov
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
    """
    rows = tree.build(readonly_table(points), weights)
    if bandwidth == 0.0:
        support, _ = shift(rows, places.copy(), 0.0)
        return support
    # Neighbours in space share a traversal: five times faster where the places are a million rows.
    order = tree.order_of(readonly_table(places))
    density = np.empty(len(places))
    density[order] = sum_epanechnikov(rows, places[order], bandwidth)
    return density


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


def log_norm(kernel: str, n_features: int) -> float:
    """The logarithm of the integral of a kernel of bandwidth 1, which is 1 at 0."""
    if kernel == "gaussian":
        return 0.5 * n_features * math.log(2.0 * math.pi)
    ball = 0.5 * n_features * math.log(math.pi) - math.lgamma(0.5 * n_features + 1.0)
    return ball + math.log(2.0 / (n_features + 2.0))


def variance_share(kernel: str, n_features: int) -> float:
    """The variance of a sum of kernel values of rows, as a share of the sum: ∫K² / ∫K."""
    if kernel == "gaussian":
        return float(2.0 ** (-0.5 * n_features))
    return 4.0 / (n_features + 4.0)
