"""Lengths: one for all features, or one for each."""

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray


def checked_lengths(name: str, lengths: ArrayLike, n_features: int) -> NDArray[np.float64]:
    """Check a parameter that is a positive length, or one for each feature.

    Parameters
    ----------
    name : str
        The parameter's name, for the message.
    lengths : float or array-like of shape (n_features,)
        Positive and finite, in the unit of the columns.
    n_features : int
        Columns of the table.

    Returns
    -------
    float64 array of shape (n_features,)

    Raises
    ------
    ValueError
        "bandwidth must ...", with the value.
    """
    given = np.asarray(lengths)
    if given.dtype.kind not in "iuf" and not isinstance(lengths, Real):
        raise ValueError(f"{name} must be a number or one for each column, got {lengths!r}")
    if given.shape not in ((), (n_features,)):
        raise ValueError(
            f"{name} must be one number or have shape ({n_features},), one for each column of X, "
            f"got shape {given.shape}"
        )
    checked = np.broadcast_to(given, n_features).astype(np.float64)
    if not ((checked > 0.0) & np.isfinite(checked)).all():
        raise ValueError(
            f"{name} must be positive and finite, got {lengths!r}; it is a length in the unit of "
            "the columns of X. Leave out columns that shall not count"
        )
    return checked
