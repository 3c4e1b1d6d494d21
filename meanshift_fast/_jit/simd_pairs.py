"""Sixteen pairs of small integers at a time: the bytes of pixels, as kernels measure and add them.

    uint8 or int16 of memory    a, b, a, b, ...  -->  a lane for each a, b: two halves of 16 bits

Distances are measured half by half, with signs: the squares of two numbers of 16 bits and their
sum are one instruction of all x86-64. Sums are added as they lie, without signs: a half holds
65,535. Values that are wider wrap.

Every operation is a NumPy function on arrays of sixteen int32, as those of simd.py are on floats.
simd_pairs_lowering.py defines how each is compiled.
"""

import numpy as np

from meanshift_fast._jit.simd import LANES


def _halves(pairs):
    """The halves of pairs as numbers with signs; an array of shape (2, 16)."""
    return np.stack([pairs << 16 >> 16, pairs >> 16])


def _joined(halves):
    """The pairs of halves, of which the lowest 16 bits count."""
    return ((halves[0] & 0xFFFF) | (halves[1] << 16)).astype(np.int32)


def load_pairs(rows, i):
    """Load pairs ``i`` to ``i + 15``, of values of a flat pointer to uint8 or int16."""
    return _joined(rows[2 * i : 2 * (i + LANES)].astype(np.int32).reshape(LANES, 2).T)


def pair_of(first, second):
    """Sixteen times the pair of two integers."""
    return _joined(np.full((2, LANES), [[first], [second]], dtype=np.int32))


def raised(pairs, n_bits):
    """Pairs times a power of two."""
    return _joined(_halves(pairs) << n_bits)


def minus(pairs, others):
    """The differences of pairs, half by half."""
    return _joined(_halves(pairs) - _halves(others))


def larger_halves(pairs, others):
    """The larger of two pairs, half by half."""
    return _joined(np.maximum(_halves(pairs), _halves(others)))


def smaller_halves(pairs, others):
    """The smaller of two pairs, half by half."""
    return _joined(np.minimum(_halves(pairs), _halves(others)))


def sum_of_squares(pairs, others):
    """The sums of the squares of four halves as a vector of float32; those of two below 2^31."""
    return sum((_halves(each) ** 2).sum(axis=0).astype(np.float32) for each in (pairs, others))


def add_where(mask, sums, pairs):
    """Add pairs to sums where the mask is set."""
    return np.where(mask, sums + pairs, sums)


def firsts(pairs):
    """The first halves without signs, as a vector of float64."""
    return (pairs & 0xFFFF).astype(np.float64)


def seconds(pairs):
    """The second halves without signs, as a vector of float64."""
    return (pairs >> 16 & 0xFFFF).astype(np.float64)
