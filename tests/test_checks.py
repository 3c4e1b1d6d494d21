"""The short way past scikit-learn's checks lets through what they do, and notes the same."""

import numpy as np
import pandas as pd
import pytest

from meanshift_fast import MeanShift

X = np.random.default_rng(0).standard_normal((50, 2))


def fitted(X, **parameters):
    return MeanShift(bandwidth=1.5, **parameters).fit(X)


def test_equal_values_of_other_types_are_distinguished():
    fitted(X, min_bin_freq=1, cluster_all=True)
    with pytest.raises(ValueError, match="min_bin_freq"):
        fitted(X, min_bin_freq=1.0)
    with pytest.raises(ValueError, match="cluster_all"):
        fitted(X, cluster_all=1)


@pytest.mark.parametrize("bandwidth", [-1.0, 0.0, np.inf, np.nan, np.float64(-2.0), "wide"])
def test_a_bad_bandwidth_after_a_good_one_is_refused_every_time(bandwidth):
    model = fitted(X)
    for _ in range(2):
        with pytest.raises(ValueError, match="'bandwidth' parameter of MeanShift"):
            model.set_params(bandwidth=bandwidth).fit(X)


def test_a_subclass_is_checked_by_its_own_constraints_and_name():
    class Choosy(MeanShift):
        _parameter_constraints = MeanShift._parameter_constraints | {"cluster_all": [str]}

    fitted(X)
    with pytest.raises(ValueError, match="'cluster_all' parameter of Choosy"):
        Choosy(bandwidth=1.5).fit(X)


def test_an_array_forgets_the_names_of_a_frame():
    model = fitted(pd.DataFrame(np.hstack([X, X]), columns=list("abcd")))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(np.hstack([X, X]))
    model.fit(X)
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_value_that_is_not_finite_is_found(dtype):
    for value in (np.nan, np.inf, -np.inf):
        rows = X.astype(dtype)
        rows[17, 1] = value
        with pytest.raises(ValueError, match="Input X contains"):
            fitted(rows)
        with pytest.raises(ValueError, match="Input X contains"):
            fitted(X).predict(rows)


@pytest.mark.filterwarnings("error")
def test_finite_values_whose_sum_is_not_are_let_through():
    rows = np.array([[1e308, 0.0], [1.7e308, 0.0], [1e308, 1.0]])
    assert MeanShift(bandwidth=1e307).fit(rows).labels_.tolist() == [0, 1, 0]


@pytest.mark.parametrize("columns", [1, 3])
def test_other_columns_than_those_of_the_fit_are_refused(columns):
    with pytest.raises(ValueError, match="is expecting 2 features"):
        fitted(X).predict(np.zeros((4, columns)))
