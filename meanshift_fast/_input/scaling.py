"""Lengths, and the unit that the engine measures in.

The engine has one bandwidth. Where each feature has its own, the columns are divided by theirs and
the bandwidth is 1; for the Gaussian kernel they always are. Where data are so large or small that
squares overflow or vanish, all is divided by a power of two, which rounds nothing.
"""

from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval

from meanshift_fast._input.messages import quoted

FLAT_MOST = float(np.finfo(np.float64).max)
GAUSSIAN_MOST = 1e140  # bandwidths whose squares, summed over the features, are numbers
MIN_MEASURE, MAX_MEASURE = 1e-100, 1e150  # of bandwidths whose squares are numbers
MAX_COORDINATE, MAX_COORDINATE_EXPONENT = 1e280, 930  # whose sums over the rows are numbers; 2^930
MAX_SCALE_EXPONENT = 1000  # of the power of two that scales
MIN_RADIUS = 1e-150  # whose square is a number
NO_PERIOD: NDArray[np.float64] = np.empty(0)
NO_PERIOD.flags.writeable = False


class Finite(Interval):
    """An interval of what float64 holds; Python's integers may be larger."""

    def __contains__(self, value: Any) -> bool:
        """Whether it is in the interval and float64 can hold it."""
        return not overflows(value) and bool(super().__contains__(value))


POSITIVE = Finite(Real, 0, None, closed="neither")
NOT_NEGATIVE = Finite(Real, 0, None, closed="left")
ANY_FINITE = Finite(Real, None, None, closed="neither")
CELL_WIDTHS = Finite(Real, 1e-9, 1, closed="both")  # of the grid of a stream, in bandwidths
CELL_WIDTH, FINE_CELLS = 1 / 16, 1 << 19  # that width, and up to how many cells are halved


class Units(NamedTuple):
    """The engine's unit.

    Attributes
    ----------
    divisor : float, or float64 array of shape (n_features,)
        What the columns are divided by; 1.0 for a flat kernel on all but extreme data.
    radius : float
        The bandwidth, so divided.
    most : float
        The largest coordinate that the engine measures with.
    angle : float
        On a sphere, the bandwidth as the length of an arc, while ``radius`` is its chord; the
        sphere's radius is one over the divisor. 0 in a space that is flat.
    period : float64 array of shape (n_features,) or (0,)
        Where columns wrap, so divided; infinite for those that do not. Empty where none does.
    """

    divisor: float | NDArray[np.float64]
    radius: float
    most: float = FLAT_MOST
    angle: float = 0.0
    period: NDArray[np.float64] = NO_PERIOD

    @property
    def is_own(self) -> bool:
        """Whether it is the unit of the columns."""
        return isinstance(self.divisor, float) and self.divisor == 1.0

    @property
    def sphere(self) -> float:
        """The radius of the sphere that all positions lie on; 0 in a space that is flat."""
        return 1.0 / float(np.max(self.divisor)) if self.angle else 0.0

    def enter(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """Measure a table in the engine's unit; itself where that is the table's own.

        Values beyond ``most`` in that unit are clipped to it, and never infinite.
        """
        if self.is_own and (self.most == FLAT_MOST or max(table.max(), -table.min()) <= self.most):
            return table
        with np.errstate(over="ignore"):
            entered = table / self.divisor
        return readonly_table(np.clip(entered, -self.most, self.most, out=entered))

    def leave(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """Measure in the columns' own units again; itself where they are the engine's.

        Values that overflow, as a move may, are clipped to the largest number.
        """
        if self.is_own:
            return table
        with np.errstate(over="ignore"):
            left: NDArray[np.float64] = table * self.divisor
        return np.clip(left, -FLAT_MOST, FLAT_MOST, out=left)


def units_of(
    bandwidth: float | NDArray[np.float64],
    *tables: NDArray[np.float64],
    in_bandwidths: bool = False,
    in_bins: bool = False,
) -> Units:
    """Choose the unit for a bandwidth and some tables.

    Parameters
    ----------
    bandwidth : float, or float64 array of shape (n_features,)
        In the unit of the columns. One that is equal for all features counts as one number.
    *tables : float64 arrays of shape (n_rows, n_features)
        The tables to measure.
    in_bandwidths : bool, default=False
        Whether the unit is the bandwidth, where that is not 0.
    in_bins : bool, default=False
        Whether rows are to be sorted into bins that are a bandwidth wide.

    Raises
    ------
    ValueError
        Where a coordinate is too many bandwidths from 0.
    """
    widths = np.atleast_1d(bandwidth)
    is_one = widths.size == 1 or bool((widths == widths[0]).all())
    if is_one and (widths[0] == 0.0 or not in_bandwidths):
        return _shared_unit(float(widths[0]), bandwidth, tables, in_bins=in_bins)
    with np.errstate(over="ignore"):
        largest = max(np.abs(table / widths).max() for table in tables)
    most = GAUSSIAN_MOST if in_bandwidths else MAX_COORDINATE
    if not largest <= most:
        raise _too_small(bandwidth, most)
    each = float(widths[0]) if is_one else widths.astype(np.float64)
    return Units(each, 1.0, GAUSSIAN_MOST if in_bandwidths else FLAT_MOST)


def _shared_unit(
    width: float, bandwidth: Any, tables: tuple[NDArray[np.float64], ...], *, in_bins: bool
) -> Units:
    """The unit of columns that share one; that of the columns where no square leaves the floats."""
    largest = float(max(max(table.max(), -table.min()) for table in tables))
    measure = width or largest
    if in_bins and width > 0.0 and largest / width > FLAT_MOST:
        raise _too_small(bandwidth, FLAT_MOST)
    is_usual = MIN_MEASURE <= measure <= MAX_MEASURE and largest <= MAX_COORDINATE
    if measure == 0.0 or is_usual:
        return Units(1.0, width)
    # The bandwidth becomes about 1, as far as sums of the largest coordinate stay finite.
    room = MAX_COORDINATE_EXPONENT - int(np.frexp(largest)[1])
    exponent = max(min(-int(np.frexp(measure)[1]), room, MAX_SCALE_EXPONENT), -MAX_SCALE_EXPONENT)
    divisor = float(np.ldexp(1.0, -exponent))
    if width > 0.0 and width / divisor < MIN_RADIUS:
        raise _too_small(bandwidth, MAX_COORDINATE)
    return Units(divisor, width / divisor)


def _too_small(bandwidth: float | NDArray[np.float64], most: float) -> ValueError:
    return ValueError(
        f"bandwidth={quoted(bandwidth)} is too small for X: some coordinate is more than {most:g} "
        "bandwidths. Give a larger bandwidth, or leave out the rows or the column so far away"
    )


def readonly(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """A read-only view: a kernel would be compiled again for an array that it might write to."""
    view = array.view()
    view.flags.writeable = False
    return view


def readonly_table(table: NDArray[Any]) -> NDArray[np.float64]:
    """A table in the kernels' layout: read-only, C-ordered, float64."""
    return readonly(np.ascontiguousarray(table, dtype=np.float64))


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a real number: a float, or what the slower test of its class accepts."""
    return isinstance(value, (float, Real))


def is_rule(bandwidth: Any) -> TypeGuard[str | None]:
    """Whether a bandwidth is one that a rule finds: a word, or None."""
    return bandwidth is None or isinstance(bandwidth, str)


def overflows(value: Any) -> bool:
    """Whether a value is a number, such as a large integer, that float64 does not hold."""
    try:
        float(value)
    except OverflowError:
        return True
    except (TypeError, ValueError):
        pass
    return False


def too_large(name: str, objects: ArrayLike) -> ValueError:
    """The error for a parameter of which some value overflows."""
    value = next(filter(overflows, np.asarray(objects, dtype=object).flat), objects)
    return ValueError(f"{name} must be finite as float64, got {quoted(value)}; scale it")


def numbers_of(name: str, given: NDArray[Any]) -> NDArray[Any]:
    """Make float64 of an array of objects that are all numbers; any other is left as it is."""
    if given.dtype.kind != "O" or not all(
        isinstance(value, Real | Decimal) for value in given.flat
    ):
        return given
    try:
        return given.astype(np.float64)
    except OverflowError as error:
        raise too_large(name, given) from error


def checked_lengths(name: str, lengths: ArrayLike, n_features: int) -> NDArray[np.float64]:
    """Check a parameter that is a positive length, or one for each feature.

    The name is for the message; the lengths are returned as float64 array of shape (n_features,).
    """
    given = np.asarray(lengths)
    if given.ndim:
        given = numbers_of(name, given)
    if given.dtype.kind not in "iuf" and not is_number(lengths):
        raise ValueError(
            f"{name} must be a number, or one for each column of X, got {quoted(lengths)}; give "
            "lengths in the unit of the columns"
        )
    if given.shape not in ((), (n_features,)):
        raise ValueError(
            f"{name} must be one number or have shape ({n_features},), one for each column of X, "
            f"got shape {given.shape}; give one length for each column"
        )
    fits = given.dtype.kind != "O" or given.item() in POSITIVE
    checked = np.broadcast_to(given if fits else np.inf, n_features).astype(np.float64)
    if np.ma.is_masked(lengths) or not ((checked > 0.0) & np.isfinite(checked)).all():
        raise ValueError(
            f"{name} must be positive and finite, got {quoted(lengths)}; it is a length in the "
            "unit of the columns of X. Leave out columns that shall not count"
        )
    return checked
