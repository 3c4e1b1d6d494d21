"""The history of an ascent: a row for each round, and the totals that rows are made of."""

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._jit.compiler import step
from meanshift_fast._jit.simd import item, put

HISTORY_DTYPE = np.dtype(
    [
        ("round", np.int64),
        ("n_active", np.int64),
        ("mean_shift", np.float64),
        ("max_shift", np.float64),
        ("n_converged", np.int64),
    ]
)


@step
def count_move(totals, number, move, at_rest):
    """Add a move to a round's totals: how many, their sum, the largest, how many were the last."""
    first = 4 * number
    put(totals, first, item(totals, first) + 1.0)
    put(totals, first + 1, item(totals, first + 1) + move)
    put(totals, first + 2, max(item(totals, first + 2), move))
    put(totals, first + 3, item(totals, first + 3) + at_rest)


def history_of(totals: NDArray[np.float64]) -> NDArray[np.void]:
    """The history of the rounds in which anything moved, from totals of shape (n_rounds, 4)."""
    n_rounds = np.count_nonzero(totals[:, 0])
    n_active, moved, largest, n_last = totals[:n_rounds].T
    history = np.empty(n_rounds, dtype=HISTORY_DTYPE)
    history["round"] = np.arange(1, n_rounds + 1)
    history["n_active"], history["max_shift"] = n_active, largest
    history["mean_shift"] = moved / n_active
    history["n_converged"] = n_last.cumsum()
    return history
