"""The history of an ascent: a row for each round, and the totals that rows are made of."""

import numpy as np

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


@step
def write_history(totals, n_rounds, reals, integers):
    """Write the rounds in which anything moved, to one table seen as float64 and int64."""
    number, n_at_rest = 0, 0.0
    while number < n_rounds and item(totals, 4 * number) > 0.0:
        first, n_active = 5 * number, item(totals, 4 * number)
        n_at_rest += item(totals, 4 * number + 3)
        number += 1
        put(integers, first, number)
        put(integers, first + 1, np.int64(n_active))
        put(reals, first + 2, item(totals, 4 * number - 3) / n_active)
        put(reals, first + 3, item(totals, 4 * number - 2))
        put(integers, first + 4, np.int64(n_at_rest))
    return number
