"""Hashes of bit patterns, and the open-addressing table most kernels share.

    values --hash--> slot --linear probing--> slot of an equal entry, or the first empty slot

A slot holds the number of an entry plus 1, and 0 where it is empty; the entries lie in an array
of the caller, the same number of values apart. A table has a power of two of slots, and at least
twice as many as entries.

Two tables are built otherwise. Bins (`_cluster/bins.py`) keep no coordinates, so that an entry's
are rounded anew at each comparison. Coalescing (`_cluster/coalescing.py`) compares hashes of 64
bits and no values.
"""

import numpy as np

from meanshift_fast._jit.compiler import step
from meanshift_fast._jit.simd import item


@step
def mixed(code, pattern):
    """Mix 64 bits into a hash; the last bits of the result depend on the upper bits of both."""
    code = (code ^ pattern) * -0x61C8864680B583EB  # 2^64 over the golden ratio
    return code ^ (code >> 32)


@step
def hash_of_patterns(patterns, first, n_patterns):
    """Mix the bit patterns of a flat pointer from ``first`` on."""
    code = np.int64(0)
    for k in range(first, first + n_patterns):
        code = mixed(code, item(patterns, k))
    return code


@step
def hash_of_row(rows, patterns, n_features, row):
    """Mix the bit patterns of a row; 0.0 and -0.0, which are equal, have the same hash.

    ``rows`` and ``patterns`` are flat pointers to the values and to their bit patterns.
    """
    code = np.int64(0)
    for f in range(n_features):
        k = row * n_features + f
        code = mixed(code, item(patterns, k) if item(rows, k) != 0.0 else np.int64(0))
    return code


@step
def find_slot(code, values, first, n_values, entries, stride, slots, last_slot):
    """Find the slot of the entry that equals ``values[first : first + n_values]``, or an empty one.

    Entry number e begins at ``entries[e * stride]``. All arrays are flat pointers, to float64 or to
    bit patterns.
    """
    slot = code & last_slot
    known = item(slots, slot)
    while known > 0:
        entry = (known - 1) * stride
        k = 0
        while k < n_values and item(entries, entry + k) == item(values, first + k):
            k += 1
        if k == n_values:
            return slot
        slot = (slot + 1) & last_slot
        known = item(slots, slot)
    return slot


@step
def find_row_slot(rows, patterns, n_features, row, others, slots, last_slot):
    """Find the slot of the row among ``others`` that equals a row, or an empty one."""
    code = hash_of_row(rows, patterns, n_features, row)
    return find_slot(code, rows, row * n_features, n_features, others, n_features, slots, last_slot)
