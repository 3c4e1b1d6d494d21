"""Hashes: the steps that all files with hash tables share."""

import numpy as np

from meanshift_fast._jit.compiler import step
from meanshift_fast._jit.simd import item

WIDE = 16  # words and more go in four chains


@step
def mixed(code, word):
    """Mix a word into a hash; the last bits of the result depend on the upper ones of both."""
    code = (code ^ word) * -0x61C8864680B583EB  # 2^64 over the golden ratio
    return code ^ (code >> 32)


@step
def hash_of_words(words, first, n_words):
    """Mix some words of a flat pointer, where they are many in four chains.

    Each word of a chain waits for the one before: 12,100 places of 64 features enter their tracks
    in 1.8 ms by one chain, and in 1.3 by four.
    """
    code, k, stop = np.int64(0), first, first + n_words
    if n_words >= WIDE:
        a, b, c, d = np.int64(1), np.int64(2), np.int64(3), np.int64(4)  # zeros tell chains apart
        while k + 4 <= stop:
            a, b = mixed(a, item(words, k)), mixed(b, item(words, k + 1))
            c, d = mixed(c, item(words, k + 2)), mixed(d, item(words, k + 3))
            k += 4
        code = mixed(mixed(mixed(mixed(code, a), b), c), d)
    while k < stop:
        code = mixed(code, item(words, k))
        k += 1
    return code


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
