"""Hashes: the steps that all files with hash tables share."""

import numpy as np

from meanshift_fast.compiled import step
from meanshift_fast.lanes import item


@step
def mixed(code, word):
    """Mix a word into a hash; the last bits of the result depend on the upper ones of both."""
    code = (code ^ word) * -0x61C8864680B583EB  # 2^64 over the golden ratio
    return code ^ (code >> 32)


@step
def hash_of(rows, words, n_features, row):
    """Mix the bits of a row; 0.0 and -0.0, being equal, count as the same.

    ``rows`` and ``words`` are flat pointers to the values and to their bits.
    """
    code = np.int64(0)
    for f in range(n_features):
        k = row * n_features + f
        code = mixed(code, item(words, k) if item(rows, k) != 0.0 else np.int64(0))
    return code


@step
def are_equal(rows, n_features, i, j):
    """Whether two rows are equal, value by value; ``rows`` is a flat pointer."""
    f = 0
    while f < n_features and item(rows, i * n_features + f) == item(rows, j * n_features + f):
        f += 1
    return f == n_features
