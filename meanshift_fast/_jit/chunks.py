"""Long work in chunks, because a kernel runs to its end and Ctrl-C waits for it.

    |--|------|--------------|--------------|--------------|      a short first chunk,
     a signal is handled between chunks                           then chunks of a quarter second

How long an item takes is not known beforehand: a table of two columns and one of sixty differ by
four orders of magnitude. Small work is one chunk. The chunks of large work cost nothing: 10M x 2
rows with bins take 581 ms in chunks and 587 ms in one call.
"""

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from time import perf_counter

CHUNK_SECONDS = 0.25
MAX_CHUNK_GROWTH = 2.0  # times the chunk before: the next items may take longer

# Called after each chunk with how many items are done, of how many: what shows progress within a
# kernel sets it for the length of a call.
heartbeat: ContextVar[Callable[[int, int], None] | None] = ContextVar("heartbeat", default=None)


def chunks(n_items: int, *, first: int, multiple: int = 1) -> Iterator[tuple[int, int]]:
    """Cut a range of items into chunks of a quarter of a second: where each starts and stops.

    ``first`` is the length of the first chunk, no more than takes a second where each item takes as
    long as it can. Chunks begin at multiples of ``multiple``. The work of a chunk is timed until
    the next one is requested.
    """
    start, size = 0, first
    while start < n_items:
        stop = start + max(size // multiple, 1) * multiple
        began = perf_counter()
        yield start, min(stop, n_items)
        seconds = perf_counter() - began
        growth = min(CHUNK_SECONDS / max(seconds, 1e-9), MAX_CHUNK_GROWTH)
        size = int((stop - start) * growth)
        start = stop
        if (beat := heartbeat.get()) is not None:
            beat(min(stop, n_items), n_items)
