"""Medians of wall-clock times, for whatever pytest-benchmark does not time."""

from collections.abc import Callable
from statistics import median
from time import perf_counter


def seconds(function: Callable[..., object], *arguments: object) -> float:
    """Time one call."""
    start = perf_counter()
    function(*arguments)
    return perf_counter() - start


def median_seconds(
    function: Callable[..., object], *arguments: object, budget: float = 1.0, most: int = 9
) -> float:
    """Time a function by the median of as many calls as a budget holds.

    Parameters
    ----------
    function : callable
        The work.
    *arguments : object
        Its arguments.
    budget : float, default=1.0
        Seconds for the repeats. A first call that alone takes longer is the figure; otherwise it
        was the warm-up and does not count.
    most : int, default=9
        Largest number of repeats.

    Returns
    -------
    seconds : float
        The median.
    """
    first = seconds(function, *arguments)
    repeats = min(most, int(budget / first))
    return median(seconds(function, *arguments) for _ in range(repeats)) if repeats else first
