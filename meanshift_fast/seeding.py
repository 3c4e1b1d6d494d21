"""get_bin_seeds: the centres of the occupied bins of a grid."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from meanshift_fast._cluster.seeding import bin_seeds
from meanshift_fast._input.checks import checked, plain_table
from meanshift_fast._input.scaling import ANY_FINITE


@checked({"X": ["array-like"], "bin_size": [ANY_FINITE], "min_bin_freq": [ANY_FINITE]})
def get_bin_seeds(X: ArrayLike, bin_size: float, min_bin_freq: float = 1) -> NDArray[Any]:
    """Find seeds for mean shift: the centres of the occupied bins of a grid.

    Sorts the rows into bins whose centres are the multiples of ``bin_size``, and answers with the
    centre of each bin that holds enough rows. The seeds are those of
    :func:`sklearn.cluster.get_bin_seeds`, bit by bit and in the same order, up to bins whose
    number is 2^24, beyond which float32 does not hold it.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The rows.
    bin_size : float
        The side of a bin, in the unit of the columns of X; the bandwidth is a good choice.
    min_bin_freq : float, default=1
        Only bins that hold at least so many rows make a seed; all do where it is at most 1.

    Returns
    -------
    bin_seeds : ndarray of shape (n_seeds, n_features)
        The seeds, in the order in which the rows first enter the bins; float32, or what NumPy
        makes of float32 times ``bin_size``; float64 where a seed lies more than 2^24 bins from 0.
        With shape (0, n_features) where no bin holds enough rows. X itself where ``bin_size`` is
        0, and where there are as many bins as rows.

    Raises
    ------
    ValueError
        Where X is not a finite table, or ``bin_size`` or ``min_bin_freq`` is not finite.

    Warns
    -----
    UserWarning
        "Binning data failed with provided bin_size=...": each row has a bin of its own.

    See Also
    --------
    MeanShift : Starts from these seeds with ``bin_seeding=True``.

    Notes
    -----
    Time, of two threads: some 4 ns a row in two columns where there are fewer bins between the
    extremes than twice a thread's rows; where not, 6 ns if few of them are occupied, 80 ns (in
    three columns) if as many as there are rows. Memory: some pages for each bin and thread, and no
    more than 48 bytes a row; for X that is not float64 a copy that is.

    Seeding from a grid is no part of [1]_, where the means start at all rows; it is justified by
    the trajectories of neighbouring rows running together.

    References
    ----------
    .. [1] D. Comaniciu and P. Meer, "Mean shift: a robust approach toward feature space
       analysis", IEEE Transactions on Pattern Analysis and Machine Intelligence 24 (5), 2002,
       pp. 603-619, :doi:`10.1109/34.1000236`, section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from meanshift_fast import get_bin_seeds
    >>> X = np.array([[1.1, 0.9], [0.8, 1.2], [4.0, 7.1], [1.0, 1.4]])
    >>> get_bin_seeds(X, 1.0)
    array([[1., 1.],
           [4., 7.]], dtype=float32)
    >>> get_bin_seeds(X, 1.0, min_bin_freq=2)
    array([[1., 1.]], dtype=float32)
    """
    if bin_size == 0:
        return X  # type: ignore[return-value]
    table = plain_table(X)
    seeds = bin_seeds(table, bin_size, min_bin_freq)
    return X if seeds.are_rows else seeds.table  # type: ignore[return-value]
