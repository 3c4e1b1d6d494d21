"""Equal rows: the distinct rows of a table, and the rows of one table that another one has.

row      0  1  2  3  4  5
value    a  b  a  c  b  a          first rows   0  1  3
                                   numbers      0  1  0  2  1  0
"""

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._input.scaling import readonly
from meanshift_fast._jit.chunks import chunks
from meanshift_fast._jit.compiler import serial
from meanshift_fast._jit.hashing import find_row_slot
from meanshift_fast._jit.simd import bit_patterns, flat, item, put

FIRST_CHUNK_ROWS = 1 << 20  # rows of the first chunk
MAX_SAMPLE_ROWS = 4096  # of a million rows in equal pairs, 16 of the sample have an equal in it
SEED = 0  # of the sample: with a step, equal rows side by side or half a table apart are missed


@serial
def _number_rows(rows, start, stop, slots, firsts, numbers, n_distinct):
    """Number rows start:stop, equal ones alike; the number of distinct rows so far."""
    n_features, last_slot = rows.shape[1], slots.shape[0] - 1
    table, marks, first_rows, found = flat(rows), flat(slots), flat(firsts), flat(numbers)
    for row in range(start, stop):
        slot = find_row_slot(table, bit_patterns(table), n_features, row, table, marks, last_slot)
        if item(marks, slot) == 0:
            put(marks, slot, row + 1)
            put(first_rows, n_distinct, row)
            put(found, row, n_distinct)
            n_distinct += 1
        else:
            put(found, row, item(found, item(marks, slot) - 1))
    return n_distinct


@serial
def _look_up(points, start, stop, others, slots, found):
    """Look rows start:stop up among the distinct rows of another table; -1 where there is none."""
    n_features, last_slot = points.shape[1], slots.shape[0] - 1
    table, known, marks = flat(points), flat(others), flat(slots)
    for row in range(start, stop):
        slot = find_row_slot(table, bit_patterns(table), n_features, row, known, marks, last_slot)
        found[row] = item(marks, slot) - 1


def may_repeat(rows: NDArray[np.float64]) -> bool:
    """Whether a sample of the first values has equal ones: if not, equal rows are probably few.

    False may be wrong, so only speed may depend on it. 0.1 ms, where `find_repeats` takes 71 ns a
    row, and 0.4 s once to compile.
    """
    if len(rows) < 2:
        return False
    n_drawn = min(len(rows) - 1, MAX_SAMPLE_ROWS // 2)
    drawn = np.random.default_rng(SEED).choice(len(rows) - 1, n_drawn, replace=False)
    begin = np.sort(rows[np.union1d(drawn, drawn + 1), 0])
    return bool((begin[1:] == begin[:-1]).any())


def _numbered(
    rows: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Number the distinct rows; the first of each, each row's number, and the slots."""
    n_samples, n_distinct = len(rows), 0
    slots = np.zeros(2 << n_samples.bit_length(), dtype=np.int64)
    firsts, numbers = np.empty((2, n_samples), dtype=np.int64)
    for start, stop in chunks(n_samples, first=FIRST_CHUNK_ROWS):
        n_distinct = _number_rows(rows, start, stop, slots, firsts, numbers, n_distinct)
    return firsts[:n_distinct], numbers, slots


def find_repeats(rows: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the distinct rows of a read-only table: the first of each, and each row's number.

    ``firsts``, of shape (n_distinct,), are in order of appearance; ``numbers``, of shape (n_rows,),
    are places among them; both are int64. Rows are finite; 0.0 and -0.0 are equal. A pass over the
    rows, of 71 ns each for a million; memory 32 to 48 bytes a row.
    """
    firsts, numbers, _ = _numbered(rows)
    return firsts, numbers


def distinct_rows(
    rows: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The distinct rows in order of appearance, and how much each weighs; both read-only."""
    firsts, numbers = find_repeats(rows)
    together = np.bincount(numbers, weights if weights.size else None).astype(np.float64)
    return readonly(rows.take(firsts, axis=0)), readonly(together)


def equal_rows(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find for each row of a table the first of another's rows that equals it; -1 where none does.

    Both are read-only and finite. Some 100 ns for each row of either table; memory 32 to 48 bytes
    for each of ``others``.
    """
    slots = _numbered(others)[2]
    found = np.empty(len(points), dtype=np.int64)
    for start, stop in chunks(len(points), first=FIRST_CHUNK_ROWS):
        _look_up(points, start, stop, others, slots, found)
    return found
