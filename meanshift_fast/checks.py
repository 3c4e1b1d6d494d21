"""scikit-learn's checks, and a short way past them for what plainly passes.

Its checks of parameters and of X take 190 us, most of a fit of a thousand rows; what is here takes
25. Whatever does not plainly pass goes to scikit-learn, which says what is wrong with it.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from meanshift_fast.units import numeric_table

_PLAIN = {bool, int, float, str, type(None)}
_NUMBERS = {np.dtype(np.float32), np.dtype(np.float64)}


def checked_table(estimator: BaseEstimator, X: ArrayLike, *, reset: bool = True) -> NDArray[Any]:
    """Check the rows that an estimator is given, and note its columns or compare with those noted.

    Parameters
    ----------
    estimator : estimator
        Whose ``n_features_in_`` and ``feature_names_in_`` are set, or must agree.
    X : array-like of shape (n_samples, n_features)
        The rows.
    reset : bool, default=True
        Whether they are set.

    Returns
    -------
    numeric array of shape (n_samples, n_features)
        X itself where it is a plain array of numbers that float64 holds.

    Raises
    ------
    ValueError
        As scikit-learn's ``validate_data`` and :func:`numeric_table` say it.
    """
    if type(X) is np.ndarray and X.ndim == 2 and X.size and X.dtype in _NUMBERS:
        noted = vars(estimator)
        named, n_features = "feature_names_in_" in noted, X.shape[1]
        if reset or (not named and noted.get("n_features_in_") == n_features):
            with np.errstate(over="ignore", invalid="ignore"):
                is_finite = math.isfinite(X.sum())
            if is_finite:
                noted.pop("feature_names_in_", None)
                noted["n_features_in_"] = n_features
                return X
    return numeric_table(validate_data(estimator, X, reset=reset))


def check_parameters(estimator: BaseEstimator) -> None:
    """Check the parameters of an estimator as scikit-learn does, plain values once only.

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        As scikit-learn says it.
    """
    kind: Any = type(estimator)
    values = {name: getattr(estimator, name) for name in _parameter_names(kind)}
    bandwidth = values.get("bandwidth")
    if isinstance(bandwidth, float) and 0.0 < bandwidth < math.inf:
        values["bandwidth"] = 1.0  # any such passes, and a search tries many
    if _PLAIN.issuperset(map(type, values.values())):
        _check_once(kind, *values.values())
    else:
        BaseEstimator._validate_params(estimator)


@lru_cache(maxsize=64)
def _parameter_names(kind: Any) -> tuple[str, ...]:
    return tuple(kind._get_param_names())


@lru_cache(maxsize=256, typed=True)  # True passes where 1 does not, though they are equal
def _check_once(kind: Any, *values: Any) -> None:
    fresh = kind.__new__(kind)
    vars(fresh).update(zip(_parameter_names(kind), values, strict=True))
    BaseEstimator._validate_params(fresh)
