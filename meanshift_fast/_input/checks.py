"""scikit-learn's checks, and shortcuts for plain values that pass them.

Its checks of parameters and of X take 190 us, most of a fit of a thousand rows; the shortcuts take
25. What they do not accept goes to scikit-learn, whose errors are raised.
"""

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial, wraps
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils._param_validation import InvalidParameterError, validate_parameter_constraints
from sklearn.utils.validation import validate_data

from meanshift_fast._input.frames import is_frame, refuse_column, refuse_times, with_names
from meanshift_fast._input.messages import cut, quoted
from meanshift_fast._input.scaling import too_large

Function = TypeVar("Function", bound=Callable[..., Any])

_PLAIN = {bool, int, float, str, type(None)}
_NUMBERS = {np.dtype(np.float32), np.dtype(np.float64)}


def checked_table(estimator: BaseEstimator, X: ArrayLike, *, reset: bool = True) -> NDArray[Any]:
    """Check rows; ``n_features_in_`` and ``feature_names_in_`` are set, or must agree.

    X itself where it is a plain array of numbers that float64 holds.
    """
    if type(X) is np.ndarray and X.ndim == 2 and X.size and X.dtype in _NUMBERS:
        attributes = vars(estimator)
        named, n_features = "feature_names_in_" in attributes, X.shape[1]
        if reset or (not named and attributes.get("n_features_in_") == n_features):
            with np.errstate(over="ignore", invalid="ignore"):
                is_finite = math.isfinite(X.sum())
            if is_finite:
                attributes.pop("feature_names_in_", None)
                attributes["n_features_in_"] = n_features
                return X
    return _checked_by(partial(validate_data, estimator, reset=reset), X, "X")


def plain_table(X: ArrayLike, name: str = "X", **options: Any) -> NDArray[Any]:
    """Check rows without an estimator; the options are those of scikit-learn's ``check_array``.

    X itself where it is a plain array of numbers that float64 holds. The name is for messages.
    """
    return _checked_by(partial(check_array, input_name=name, **options), X, name)


def _checked_by(
    check: Callable[[ArrayLike], NDArray[Any]], X: ArrayLike, name: str
) -> NDArray[Any]:
    """Let scikit-learn check X, and make numbers of what it lets pass."""
    refuse_masked(X, name)
    X = with_names(X)
    framed = is_frame(X)
    if framed:
        refuse_times(X, name)
    try:
        return _numeric(check(X), name)
    except (OverflowError, TypeError, ValueError) as error:
        if framed:
            refuse_column(X, name)
        if isinstance(error, OverflowError):  # Python's whole numbers, in an array of objects
            raise too_large(name, X) from error
        raise


def refuse_masked(values: Any, name: str) -> None:
    """Refuse a masked array with masked values, whose mask NumPy would drop."""
    if np.ma.is_masked(values):
        row = int(np.argwhere(np.ma.getmaskarray(values))[0][0])
        raise ValueError(
            f"{name} must have no masked values, got one at row {row}; fill them by "
            ".filled(value), leave such rows out (one column by .compressed()), or fill them and "
            "give their rows weight 0"
        )


def _numeric(table: NDArray[Any], name: str) -> NDArray[Any]:
    """Refuse times, which pass scikit-learn's checks, and convert objects and wide floats.

    The table itself where its dtype is one of numbers that float64 holds.
    """
    if table.dtype.kind in "biuf" and table.dtype.itemsize <= 8:
        return table
    try:
        if table.dtype.kind in "mM":
            raise TypeError
        with np.errstate(over="ignore"):
            numbers: NDArray[np.float64] = table.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must hold numbers, got dtype {table.dtype} with {quoted(table.flat[0])} "
            "first; count times in days or seconds, code words as numbers or leave them out"
        ) from error
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"{name} must be finite as float64, got dtype {table.dtype} with a larger number or "
            "none; scale the columns, fill or drop the rows"
        )
    return numbers


def check_parameters(estimator: BaseEstimator) -> None:
    """Check the parameters of an estimator as scikit-learn does, plain values once only."""
    kind: Any = type(estimator)
    values = {name: getattr(estimator, name) for name in _parameter_names(kind)}
    bandwidth = values.get("bandwidth")
    if isinstance(bandwidth, float) and 0.0 < bandwidth < math.inf:
        values["bandwidth"] = 1.0  # any such passes, and a search tries many
    if are_plain(values.values()):
        _check_once(kind, *values.values())
    else:
        _check(estimator._parameter_constraints, values, kind.__name__)


def are_plain(values: Iterable[Any]) -> bool:
    """Whether all values are of Python's simplest types, so that one check of each will do."""
    return _PLAIN.issuperset(map(type, values))


def checked(constraints: dict[str, list[Any]]) -> Callable[[Function], Function]:
    """Check the parameters of a function first, by the constraints of scikit-learn's decorator.

    What it calls may be an estimator that checks its own; the error names the function. Validation
    cannot be switched off here: functions check nothing else, and would answer wrongly.
    """

    def decorated(function: Function) -> Function:
        """Wrap a function in the check of its arguments."""
        names = tuple(inspect.signature(function).parameters)
        name = function.__qualname__

        @wraps(function)
        def checking(*args: Any, **kwargs: Any) -> Any:
            """Check the arguments that are given, and call the function."""
            # What is not given has its default, and `bind` takes 20 us.
            _check(constraints, dict(zip(names, args, strict=False)) | kwargs, name)
            try:
                return function(*args, **kwargs)
            except InvalidParameterError as error:
                named = re.sub(r"parameter of \w+ must", f"parameter of {name} must", str(error))
                raise InvalidParameterError(named) from None

        checking._skl_parameter_constraints = constraints  # type: ignore[attr-defined]
        return checking  # type: ignore[return-value]

    return decorated


@lru_cache(maxsize=64)
def _parameter_names(kind: Any) -> tuple[str, ...]:
    return tuple(kind._get_param_names())


@lru_cache(maxsize=256, typed=True)  # True passes where 1 does not, though they are equal
def _check_once(kind: Any, *values: Any) -> None:
    named = dict(zip(_parameter_names(kind), values, strict=True))
    _check(kind._parameter_constraints, named, kind.__name__)


class _Whole(int):
    """A number whose digits are too many for a message."""

    def __repr__(self) -> str:
        return quoted(int(self))


def _check(constraints: dict[str, list[Any]], values: Mapping[str, Any], name: str) -> None:
    """Check values by scikit-learn's constraints, and cut long values out of its message."""
    shown = {
        key: _Whole(value) if type(value) is int and value.bit_length() > 300 else value
        for key, value in values.items()
    }
    try:
        validate_parameter_constraints(constraints, shown, name)
    except InvalidParameterError as error:
        rule, got, value = str(error).partition(" Got ")
        value = cut(" ".join(value.removesuffix(" instead.").split()))
        raise InvalidParameterError(f"{rule}{got}{value} instead.") from None
