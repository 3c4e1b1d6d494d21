"""The history of an ascent: a row for each round, and the totals that rows are made of."""

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._jit.compiler import serial, step
from meanshift_fast._jit.simd import bit_patterns, flat, item, put

HISTORY_DTYPE = np.dtype(
    [
        ("round", np.int64),
        ("n_active", np.int64),
        ("mean_shift", np.float64),
        ("max_shift", np.float64),
        ("n_converged", np.int64),
    ]
)
N_FIELDS = HISTORY_DTYPE.itemsize // 8


@step
def count_move(totals, number, move, at_rest):
    """Add a move to a round's totals: how many, their sum, the largest, how many were the last."""
    first = 4 * number
    put(totals, first, item(totals, first) + 1.0)
    put(totals, first + 1, item(totals, first + 1) + move)
    put(totals, first + 2, max(item(totals, first + 2), move))
    put(totals, first + 3, item(totals, first + 3) + at_rest)


@serial
def write_history(totals, history):
    """Write the fields of the rounds in which anything moved, integers bit by bit; how many."""
    sums, reals, integers = flat(totals), flat(history), bit_patterns(flat(history))
    number, n_at_rest = 0, 0.0
    while number < history.shape[0] and item(sums, 4 * number) > 0.0:
        first, n_active = 5 * number, item(sums, 4 * number)
        n_at_rest += item(sums, 4 * number + 3)
        number += 1
        put(integers, first, number)
        put(integers, first + 1, np.int64(n_active))
        put(reals, first + 2, item(sums, 4 * number - 3) / n_active)
        put(reals, first + 3, item(sums, 4 * number - 2))
        put(integers, first + 4, np.int64(n_at_rest))
    return number


def history_of(totals: NDArray[np.float64]) -> NDArray[np.void]:
    """The history of rounds, from the totals of each, shape (n_rounds, 4)."""
    history = np.empty((len(totals), N_FIELDS))
    write_history(totals, history)
    return history.view(HISTORY_DTYPE)[:, 0]
