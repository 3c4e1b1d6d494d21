"""What those who build, restore or subclass the estimator of scikit-learn do with this one."""

import copy
import inspect
import pickle
import re
from email.message import Message
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import sklearn
import sklearn.cluster
from sklearn.base import clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import meanshift_fast
import samples
from meanshift_fast import (
    MeanShift,
    bandwidth_curve,
    condense,
    estimate_bandwidth,
    get_bin_seeds,
    mean_shift,
    trace,
)
from meanshift_fast.dask import MeanShift as DaskMeanShift
from meanshift_fast.image import mean_shift_filter

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


def test_fit_predict_hands_on_what_the_fit_of_a_subclass_takes():
    class Scaled(MeanShift):
        def fit(self, X, y=None, scale=1.0):
            return super().fit(np.asarray(X) * scale)

    X = samples.blobs(100, 2)
    np.testing.assert_array_equal(
        Scaled(bandwidth=1.0).fit_predict(X, scale=0.1),
        MeanShift(bandwidth=1.0).fit_predict(0.1 * X),
    )


@pytest.mark.parametrize("name", ["MeanShift", "mean_shift", "estimate_bandwidth", "get_bin_seeds"])
def test_the_parameters_of_scikit_learn_have_their_place_kind_and_default(name):
    theirs = inspect.signature(getattr(sklearn.cluster, name)).parameters
    ours = inspect.signature(getattr(meanshift_fast, name)).parameters
    known = {parameter: (ours[parameter].kind, ours[parameter].default) for parameter in theirs}
    assert known == {name: (theirs[name].kind, theirs[name].default) for name in theirs}
    places = [p for p in ours.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [p.name for p in places] == [
        p.name for p in theirs.values() if p.kind is p.POSITIONAL_OR_KEYWORD
    ]


def test_a_parameter_of_the_function_is_named_as_its():
    with pytest.raises(ValueError, match="'bandwidth' parameter of mean_shift must"):
        mean_shift(samples.blobs(20, 2), bandwidth=-1.0)


def test_routed_weights_are_requested_or_declined_as_by_any_weighted_estimator():
    X, weights = samples.blobs(60, 2), np.ones(60)
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            make_pipeline(scaler, MeanShift(bandwidth=0.5)).fit(X, sample_weight=weights)
        for wanted in (True, False):
            model = MeanShift(bandwidth=0.5).set_fit_request(sample_weight=wanted)
            fitted = make_pipeline(scaler, model).fit(X, sample_weight=weights)
            assert len(fitted[-1].cluster_centers_) == 4


def linked(model):
    """Pages; the parameters are places on them."""
    return {link.partition("#")[0] for link in re.findall(r'href="([^"]+)"', model._repr_html_())}


def test_the_html_of_an_estimator_has_no_link_while_the_package_names_no_address(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", lambda name: Message())
    assert linked(MeanShift()) == set()
    monkeypatch.setattr(metadata, "metadata", missing)
    assert linked(MeanShift()) == set()


def test_the_html_of_an_estimator_links_the_manual_at_the_address_of_the_package(monkeypatch):
    entries = Message()
    entries["Project-URL"] = "https://example.org/without-a-name"
    entries["Project-URL"] = "Changelog,https://example.org/changes"
    entries["Project-URL"] = "Documentation, https://example.org/manual/"
    monkeypatch.setattr(metadata, "metadata", lambda name: entries)
    reference = (Path(__file__).parents[1] / "docs/reference.md").read_text()
    pages = {MeanShift: "MeanShift", DaskMeanShift: "dask.MeanShift"}
    for kind, page in pages.items():
        address = f"https://example.org/manual/reference/meanshift_fast.{page}.html"
        assert linked(kind(bandwidth=1.0)) == {address}
        assert f"\n   {page}\n" in reference

    class Mine(MeanShift):
        """A class of another package has no page there."""

    assert linked(Mine()) == set()


def test_extended_precision_is_clustered_in_float64():
    X = samples.blobs(60, 2)
    extended = MeanShift(bandwidth=1.0).fit(X.astype(np.longdouble))
    assert extended.cluster_centers_.dtype == np.float64
    np.testing.assert_array_equal(extended.labels_, MeanShift(bandwidth=1.0).fit(X).labels_)
    expected = sklearn.cluster.get_bin_seeds(X.astype(np.longdouble), 0.5)
    np.testing.assert_array_equal(
        get_bin_seeds(X.astype(np.longdouble), 0.5), expected, strict=True
    )


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


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda X: estimate_bandwidth(X, quantile=2.0), "quantile"),
        (lambda X: estimate_bandwidth(X, n_samples=-3), "n_samples"),
        (lambda X: estimate_bandwidth(X, method="nope"), "method"),
        (lambda X: get_bin_seeds(X, np.nan), "bin_size"),
        (lambda X: mean_shift_filter(X, -1.0, 2.0, channel_axis=None), "spatial_radius"),
        (lambda X: mean_shift_filter(X, 1.0, 2.0, window="nope", channel_axis=None), "window"),
    ],
)
def test_functions_refuse_it_too(call, name):
    with (
        sklearn.config_context(skip_parameter_validation=True),
        pytest.raises(ValueError, match=f"The '{name}' parameter of"),
    ):
        call(samples.blobs(60, 2))


def test_masked_values_are_refused_with_the_remedy():
    X = np.ma.masked_greater(np.array([[1.0, 2.0], [1.1, 999.0], [0.9, 2.1]]), 100.0)
    model = MeanShift(bandwidth=1.0, assign="basin").fit(X.filled(2.0))
    for call in (
        MeanShift(bandwidth=1.0).fit,
        model.predict,
        model.score_samples,
        mean_shift,
        bandwidth_curve,
        estimate_bandwidth,
        lambda X: get_bin_seeds(X, 1.0),
        lambda X: condense(X, 1.0),
        lambda X: trace(X, [1.0, 2.0], bandwidth=1.0),
    ):
        with pytest.raises(
            ValueError, match=r"X must have no masked values, got one at row 1.*fill"
        ):
            call(X)
    with pytest.raises(ValueError, match="start must have no masked values, got one at row 0"):
        trace(X.filled(2.0), X[1], bandwidth=1.0)
    lengths = np.ma.array([1.0, 2.0], mask=[False, True])
    with pytest.raises(ValueError, match="bandwidth must be positive and finite, got masked_array"):
        MeanShift(bandwidth=lengths).fit(X.filled(2.0))
    with pytest.raises(ValueError, match=r"bandwidths must be positive.*, got masked_array"):
        bandwidth_curve(X.filled(2.0), lengths)
    weights = np.ma.array([1.0, 1.0, 5.0], mask=[False, False, True])
    with pytest.raises(ValueError, match=r"sample_weight must have no masked values.*weight 0"):
        MeanShift(bandwidth=1.0).fit(X.filled(2.0), sample_weight=weights)
    unmasked = np.ma.array(X.filled(2.0))
    assert MeanShift(bandwidth=1.0).fit(unmasked).labels_.tolist() == [0, 0, 0]


def test_a_curve_whose_balls_are_all_empty_says_so():
    with pytest.raises(ValueError, match="No point was within bandwidth=1e-19"):
        bandwidth_curve(np.full((3, 1), 0.1), [1e-19])
