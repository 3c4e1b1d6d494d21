"""Sixteen numbers at a time: a vector type for the kernels, spelt like NumPy.

    +-----------+   load    +---------+   + - * <=   +--------+   bits
    | rows of   | --------> | vector  | -----------> |  mask  | -------> the set lanes, one by one
    | 16 values | <-------- | (a few  | <----------- |        |
    +-----------+   store   | regs.)  |    where     +--------+
                            +---------+

LLVM unrolls a loop over sixteen values before it is vectorised, and then cannot prove
that the arrays do not overlap: one shift through a tree over 1M x 2 rows took 22 us written
with plain loops, 6.8 us with a trip count hidden from LLVM, and takes 3.2 us written with
these vectors. It compiles no slower, and does not depend on what the vectoriser makes of a loop.

Every operation is a NumPy function on arrays of sixteen, so that the kernels run (slowly)
without a compiler; compiled, it is one or two vector instructions. Nothing here reorders or
contracts: a lane holds to the last bit what scalar code would compute. The exceptions are `fused`,
and `exp`, about thirty instructions whose last bits may differ from those of ``math.exp``.
simd_lowering.py defines how each is compiled.
"""

import numpy as np

LANES = 16
ACCUMULATOR_VECTORS = 4  # the sums of three features, and a support
# A number added to it is rounded to an integer, which the last bits of the sum hold.
ROUNDER = 1.5 * 2.0**52


def flat(array):
    """A C-ordered array as a bare pointer, for steps of a few nanoseconds.

    An array passed to a step counts its references, in memory that all threads share: a shift took
    24 us with arrays and takes 2.6 us with pointers. A pointer keeps nothing alive: make it from an
    argument, which the caller holds, or of an array made in the same function only in a loop that
    begins after it, where it is held to the loop's end.
    """
    return array.reshape(-1)


def load(rows, i):
    """Load a vector: row ``i`` of an array of shape (n, 16), or of a flat pointer."""
    return rows.reshape(-1, LANES)[i].copy()


def store(rows, i, values):
    """Store a vector in row ``i`` of an array of shape (n, 16), or of a flat pointer.

    A flat pointer may be to float32, to which the values are rounded.
    """
    rows.reshape(-1, LANES)[i] = values


def load_from(rows, i):
    """Load values ``i`` to ``i + 15`` of a flat pointer as a vector, cast to float64."""
    return rows[i : i + LANES].astype(np.float64)


def load_narrow(rows, i):
    """Load values ``i`` to ``i + 15`` of a flat pointer as a vector of float32, cast to it."""
    return rows[i : i + LANES].astype(np.float32)


def item(rows, i):
    """Value ``i`` of a flat pointer."""
    return rows[i]


def put(rows, i, value):
    """Write value ``i`` of a flat pointer."""
    rows[i] = value


def holds_integers(rows):
    """Whether a flat pointer is to integers: known where it is compiled, so no branch is left."""
    return np.issubdtype(rows.dtype, np.integer)


def accumulator():
    """Uninitialised memory for ACCUMULATOR_VECTORS vectors on the stack, as a flat pointer.

    LLVM keeps it in registers where all row numbers are known at compile time.
    """
    return np.empty(ACCUMULATOR_VECTORS * LANES)


def fetch_add(counter, n):
    """Add ``n`` to a flat counter that threads share, atomically; the value before."""
    first = counter[0]
    counter[0] += n
    return first


def bit_patterns(rows):
    """A flat pointer to float64 as a pointer to the int64 of the same bits."""
    return rows.view(np.int64)


def full(value):
    """A vector whose lanes all hold ``value``."""
    return np.full(LANES, value, dtype=np.float64)


def where(mask, yes, no):
    """Lane by lane: ``yes`` where the mask is set, else ``no``; both are vectors."""
    return np.where(mask, yes, no)


def total(values):
    """The sum of all lanes, always added in the same order: halves onto halves."""
    while values.size > 1:
        half = values.size // 2
        values = values[:half] + values[half:]
    return float(values[0])


def least(values):
    """The smallest lane; none is NaN."""
    return float(values.min())


def most(values):
    """The largest lane; none is NaN."""
    return float(values.max())


def bits(mask):
    """The mask as an integer: bit j is lane j."""
    return int(np.dot(mask, 1 << np.arange(LANES)))


def are_equal(one, other):
    """Whether two masks are equal, in fewer instructions than it takes to make integers of them."""
    return bool(np.all(one == other))


def mask_of(set_bits):
    """The mask whose lane j is bit j of an integer; undoes :func:`bits`."""
    return (set_bits >> np.arange(LANES)) & 1 == 1


def n_set(set_bits):
    """How many bits of an integer that is not negative are set."""
    return int(set_bits).bit_count()


def lowest(set_bits):
    """The number of the lowest set bit of a positive integer."""
    set_bits = int(set_bits)
    return (set_bits & -set_bits).bit_length() - 1


def sqrt(values):
    """The square root of each lane."""
    return np.sqrt(values)


def fused(x, y, z):
    """``x * y + z``, rounded once where the machine can: only where a last bit decides nothing."""
    return x * y + z


def exp(values):
    """The exponential of each lane, to 3e-16 relative; constant below -708, undefined above 709.

    0.6 ns a lane, where ``math.exp`` takes 4.5 ns.
    """
    return np.exp(np.maximum(values, -708.0))
