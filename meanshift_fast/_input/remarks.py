"""Remarks on a table: valid input that is probably a mistake.

a column of whole numbers that only counts the rows      an identifier among the features
spreads more than a thousand times apart, one bandwidth  columns of different units
more than a million rows, all of them seeds              minutes, where bins take a second
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meanshift_fast._input.messages import quoted
from meanshift_fast._input.weights import UNWEIGHTED

MIN_COUNTED_ROWS = 10  # that whole numbers in steps of one may be without counting the rows
MAX_SPREAD_RATIO = 1000.0  # of the standard deviations of two columns
MAX_ROW_SEEDS = 1_000_000


class Remark(NamedTuple):
    """What is there, and what to do about it in Python and on the command line."""

    text: str
    in_python: str
    option: str


def remarks(
    table: NDArray[Any], names: Sequence[str] | None, *, one_bandwidth: bool, rows_are_seeds: bool
) -> Iterator[Remark]:
    """Look a table of finite numbers over; columns without names are counted.

    ``rows_are_seeds`` says that every row is a seed. One pass over the table for the spreads, where
    columns share one bandwidth; an identifier shows in its first rows.
    """
    named = [quoted(name) for name in (range(table.shape[1]) if names is None else names)]
    # The only feature is meant: in a table of counts it is the values, each with a weight.
    for column in range(table.shape[1] if table.shape[1] > 1 else 0):
        if counts_rows(table[:, column]):
            yield Remark(
                f"column {named[column]} only counts the rows, and is among the features",
                "leave it out",
                f"leave it out with --exclude {named[column]}",
            )
    if one_bandwidth:
        yield from _unlike_spreads(spreads_of(table), named)
    if rows_are_seeds:
        yield from remarks_on_seeds(len(table))


def remarks_on_seeds(n_rows: int) -> Iterator[Remark]:
    """Remark on so many rows that all are seeds."""
    if n_rows > MAX_ROW_SEEDS:
        yield Remark(
            f"all {n_rows:,} rows are seeds", "bin_seeding=True takes a second",
            "--bin-seeding takes a second",
        )  # fmt: skip


def _unlike_spreads(spreads: NDArray[np.float64], named: list[str]) -> Iterator[Remark]:
    """Remark on columns whose spreads differ too much for one bandwidth."""
    if spreads.max() > MAX_SPREAD_RATIO * float(spreads.min()) > 0.0:
        low, high = int(spreads.argmin()), int(spreads.argmax())
        yield Remark(
            f"the columns share one bandwidth, and column {named[low]} spreads over "
            f"{spreads[low]:.3g} where column {named[high]} spreads over {spreads[high]:.3g}",
            "give a bandwidth for each column, or standardise them",
            "standardise them with --scale, or give --bandwidth a number for each column",
        )


def counts_rows(column: NDArray[Any]) -> bool:
    """Whether a column is whole numbers that go up by one from row to row."""
    if len(column) < MIN_COUNTED_ROWS:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        if not _goes_up_by_one(column[:MIN_COUNTED_ROWS]):  # most columns' few rows show it
            return False
        return bool(_goes_up_by_one(column) and float(column[0]) % 1.0 == 0.0)


def _goes_up_by_one(column: NDArray[Any]) -> bool:
    """Whether each value is the last one and 1; of bool and small integers, as float64."""
    return bool((np.diff(column.astype(np.float64)) == 1.0).all())


def spreads_of(
    table: NDArray[Any], weights: NDArray[np.float64] = UNWEIGHTED
) -> NDArray[np.float64]:
    """The standard deviation of each column; that of columns too large to square is infinite."""
    rows = np.asarray(table, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if weights.size:
            shares = weights / weights.sum()
            spreads = np.sqrt(shares @ (rows - shares @ rows) ** 2)
        else:
            spreads = rows.std(axis=0)
    return np.where(np.isnan(spreads), np.inf, spreads)
