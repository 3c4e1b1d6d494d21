"""What those who build, restore or subclass the estimator of scikit-learn do with this one."""

import copy
import pickle

import numpy as np
import pytest
import sklearn
import sklearn.cluster
from sklearn.base import clone

import samples
from meanshift_fast import MeanShift, bandwidth_curve, mean_shift

CENTRES = np.array([[0.0, 0.0], [5.0, 5.0]])


def test_centres_that_are_set_by_hand_predict_as_in_scikit_learn():
    X = samples.blobs(50, 2)
    restored = []
    for kind in (MeanShift, sklearn.cluster.MeanShift):
        model = kind()
        model.cluster_centers_ = CENTRES
        model._n_threads = 1
        restored.append(model.predict(X))
    np.testing.assert_array_equal(*restored)


def test_centres_of_other_columns_than_the_rows_are_refused():
    model = MeanShift()
    model.cluster_centers_ = CENTRES
    with pytest.raises(ValueError, match="X has 3 features, but MeanShift has cluster_centers_ of"):
        model.predict(np.zeros((4, 3)))


def test_a_limit_is_measured_by_the_parameter_where_nothing_was_fitted():
    model = MeanShift(bandwidth=1.0, cluster_all=False)
    model.cluster_centers_ = CENTRES
    assert model.predict([[0.5, 0.0], [2.5, 2.5], [5.0, 4.5]]).tolist() == [0, -1, 1]
    model.bandwidth = [1.0, 4.0]
    assert model.predict([[0.0, 1.9], [1.5, 0.0]]).tolist() == [0, -1]
    model.bandwidth = None
    with pytest.raises(ValueError, match="neither the attribute bandwidth_ nor a number"):
        model.predict(CENTRES)


def test_a_subclass_whose_fit_knows_no_weights_predicts():
    class Plain(MeanShift):
        def fit(self, X, y=None):
            return super().fit(X)

    X = samples.blobs(100, 2)
    np.testing.assert_array_equal(
        Plain(bandwidth=1.0).fit_predict(X), MeanShift(bandwidth=1.0).fit_predict(X)
    )
    with pytest.raises(TypeError, match="sample_weight"):
        Plain(bandwidth=1.0).fit_predict(X, sample_weight=np.ones(100))


@pytest.mark.parametrize("n_known", range(len(MeanShift().get_params())))
def test_a_pickle_of_fewer_parameters_takes_the_others_defaults(n_known):
    X = samples.blobs(60, 2)
    fitted = MeanShift(bandwidth=1.0).fit(X)
    state = fitted.__getstate__()
    dropped = [name for name in sorted(fitted.get_params()) if name != "bandwidth"][n_known - 1 :]
    older = MeanShift.__new__(MeanShift)
    older.__setstate__({name: value for name, value in state.items() if name not in dropped})
    assert older.get_params() == MeanShift(bandwidth=1.0).get_params()
    assert repr(older) == "MeanShift(bandwidth=1.0)"
    np.testing.assert_array_equal(older.predict(X), fitted.labels_)
    np.testing.assert_array_equal(clone(older).fit(X).labels_, fitted.labels_)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(older)).labels_, copy.copy(older).labels_
    )


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"bandwidth": "wide"}, "bandwidth must be a number.*got 'wide'"),
        ({"bandwidth": -1.0}, "bandwidth must be positive and finite, got -1.0"),
        ({"bandwidth": 1.0, "kernel": "flatt"}, "kernel must be one of .*got 'flatt'"),
        ({"bandwidth": 1.0, "assign": "basins"}, "assign must be one of .*got 'basins'"),
        ({"bandwidth": 1.0, "tol": -0.1}, "tol must be at least 0 and finite, got -0.1"),
        ({"bandwidth": 1.0, "bin_seeding": True, "min_bin_freq": 0}, "min_bin_freq must be at"),
    ],
)
def test_without_validation_what_would_be_wrong_is_refused(params, words):
    class Bare(MeanShift):
        def __init__(self, **parameters):
            super().__init__(**parameters)

    X = samples.blobs(60, 2)
    skipping = sklearn.config_context(skip_parameter_validation=True)
    with skipping, pytest.raises(ValueError, match=words):
        MeanShift(**params).fit(X)
    with pytest.raises(ValueError, match=words):
        Bare(**params).fit(X)


def test_masked_values_are_refused_with_the_remedy():
    X = np.ma.masked_greater(np.array([[1.0, 2.0], [1.1, 999.0], [0.9, 2.1]]), 100.0)
    for call in (MeanShift(bandwidth=1.0).fit, mean_shift, bandwidth_curve):
        with pytest.raises(
            ValueError, match=r"X must have no masked values, got one at row 1.*fill"
        ):
            call(X)
    weights = np.ma.array([1.0, 1.0, 5.0], mask=[False, False, True])
    with pytest.raises(ValueError, match=r"sample_weight must have no masked values.*weight 0"):
        MeanShift(bandwidth=1.0).fit(X.filled(2.0), sample_weight=weights)
    unmasked = np.ma.array(X.filled(2.0))
    assert MeanShift(bandwidth=1.0).fit(unmasked).labels_.tolist() == [0, 0, 0]


def test_a_curve_whose_balls_are_all_empty_says_so():
    with pytest.raises(ValueError, match="No point was within bandwidth=1e-19"):
        bandwidth_curve(np.full((3, 1), 0.1), [1e-19])
