"""Sample weights: a row of weight w is w rows.

They enter as anything like a column of numbers. Inside they are a read-only float64 array of shape
(n_samples,), or of shape (0,) where every row counts once.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanshift_fast._input.checks import refuse_masked
from meanshift_fast._input.messages import quoted
from meanshift_fast._input.scaling import numbers_of

UNWEIGHTED: NDArray[np.float64] = np.empty(0)
UNWEIGHTED.flags.writeable = False
MIN_TOTAL, MAX_TOTAL = 1e-25, 1e25  # of all weights: their products with coordinates are numbers


def checked_weights(
    sample_weight: ArrayLike | None, n_samples: int, *, part: bool = False
) -> NDArray[np.float64]:
    """Check the weights of a table's rows.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), a number, or None
        Finite, at least 0, in any unit. A number weighs all rows alike.
    n_samples : int
        Rows of the table.
    part : bool, default=False
        Whether they are some of the weights only: all may be 0, or small.

    Returns
    -------
    read-only float64 array of shape (n_samples,) or (0,)
        Empty where ``sample_weight`` is None or all weights are 1.
    """
    if sample_weight is None:
        return UNWEIGHTED
    refuse_masked(sample_weight, "sample_weight")
    given = numbers_of("sample_weight", np.asarray(sample_weight))
    if given.dtype.kind not in "biuf":
        raise ValueError(
            f"sample_weight must be numbers, got {quoted(sample_weight)}; give one number for "
            "each row of X"
        )
    weights = np.array(np.broadcast_to(given, n_samples) if given.ndim == 0 else given, np.float64)
    if weights.shape != (n_samples,):
        raise ValueError(
            f"sample_weight must have shape ({n_samples},), one number for each row of X, got "
            f"shape {weights.shape}"
        )
    bad = np.flatnonzero(~((weights >= 0.0) & np.isfinite(weights)))
    if bad.size:
        raise ValueError(
            f"sample_weight must be finite and at least 0, got {weights[bad[0]]} at row {bad[0]}; "
            "leave out, or give weight 0 to, rows that shall not count"
        )
    with np.errstate(over="ignore"):
        total = float(weights.sum())
    if not part or total > MAX_TOTAL:
        check_total(total)
    weights.flags.writeable = False
    return UNWEIGHTED if (weights == 1.0).all() else weights


def check_total(total: float) -> None:
    """Refuse weights whose sum is 0, or too small or large for sums of weighted coordinates."""
    if total == 0.0:
        raise ValueError(
            "sample_weight must be positive for at least one row, got zero for all; "
            "sample_weight=None counts every row once"
        )
    if not MIN_TOTAL <= total <= MAX_TOTAL:
        raise ValueError(
            f"sample_weight must have a sum between 1e-25 and 1e25, got {total:g}; divide all "
            "weights by the largest"
        )


def without_weightless(
    table: NDArray[Any], weights: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Leave out the rows of weight 0.

    The table itself where no weight is 0. The weights are empty where those left are all 1.
    """
    if not weights.size or weights.all():
        return table, weights
    counts = weights > 0.0
    weights = weights[counts]
    weights.flags.writeable = False
    return table.compress(counts, axis=0), UNWEIGHTED if (weights == 1.0).all() else weights
