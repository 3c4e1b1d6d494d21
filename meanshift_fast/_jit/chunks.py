"""Long work in pieces, because a kernel runs to its end and Ctrl-C waits for it.

    |--|------|--------------|--------------|--------------|      a first piece that is short
     Ctrl-C is heard between them                                 whatever the data, then as
                                                                  many items as take a quarter
                                                                  of a second

How long an item takes is not known beforehand: between a table in two columns and one in sixty
lie four orders of magnitude. Small work is one piece and costs nothing, and neither does large
work: 10M x 2 rows with bins take 581 ms in pieces and 587 in one go.
"""

from collections.abc import Iterator
from time import perf_counter

PIECE = 0.25  # seconds
GROWTH = 2.0  # of a piece over the last, at most: what comes next may take longer


def pieces(n_items: int, *, first: int, multiple: int = 1) -> Iterator[tuple[int, int]]:
    """Cut a range of items into pieces of a quarter of a second.

    Parameters
    ----------
    n_items : int
        How many there are.
    first : int
        So many, at least ``multiple``, are the first piece: no more than take a second where
        each takes as long as it can.
    multiple : int, default=1
        Pieces begin at multiples of this.

    Yields
    ------
    start, stop : int
        The next piece; the caller works on it before it asks for another.
    """
    start, size = 0, first
    while start < n_items:
        stop = start + max(size // multiple, 1) * multiple
        began = perf_counter()
        yield start, min(stop, n_items)
        took = perf_counter() - began
        size = int((stop - start) * min(PIECE / max(took, 1e-9), GROWTH))
        start = stop
