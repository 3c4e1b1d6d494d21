"""Whatever the table: what must not matter to merging by prominence does not."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

import naive
from meanshift_fast import MeanShift

pytestmark = pytest.mark.usefixtures("small_fits_on_threads")

some = settings(max_examples=10 if numba.config.DISABLE_JIT else 40)
PROMINENCES = st.one_of(st.just("auto"), st.floats(0.01, 0.99))


@st.composite
def tables(draw):
    """Some clouds of normal variates: no two distances alike."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_samples, n_features = draw(st.integers(2, 80)), draw(st.integers(1, 4))
    places = rng.uniform(0, 6, (draw(st.integers(1, 5)), n_features))
    return places[rng.integers(0, len(places), n_samples)] + rng.normal(
        size=(n_samples, n_features)
    )


@st.composite
def models(draw, **words):
    kernel = draw(st.sampled_from(["flat", "gaussian"]))
    return MeanShift(
        kernel=kernel,
        bandwidth=draw(st.sampled_from([0.8, 1.3])) * (1.0 if kernel == "flat" else 0.5),
        assign=draw(st.sampled_from(["nearest", "basin"])),
        min_prominence=draw(PROMINENCES),
        accuracy=1e-9,
        **words,
    )


def same_partition(labels, others):
    return adjusted_rand_score(labels, others) == 1.0


@some
@given(X=tables(), model=models(), data=st.data())
def test_the_order_of_the_rows_changes_no_partition(X, model, data):
    order = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))).permutation(len(X))
    labels = model.fit(X).labels_
    assert same_partition(model.fit(X[order]).labels_, labels[order])


@some
@given(X=tables(), model=models(), exponent=st.integers(-40, 40))
def test_scaling_by_a_power_of_two_changes_no_label(X, model, exponent):
    labels, unit = model.fit(X).labels_, 2.0**exponent
    model.set_params(bandwidth=model.bandwidth * unit)
    np.testing.assert_array_equal(model.fit(X * unit).labels_, labels)


@some
@given(X=tables(), model=models(), angle=st.floats(0, 6.28))
def test_turning_a_plane_changes_no_partition(X, model, angle):
    # Flat modes of equal support merge in the order of their coordinates, as in scikit-learn; with
    # these weights no two are equal.
    weights = np.random.default_rng(len(X)).uniform(0.5, 2.0, len(X))
    labels = model.fit(X, sample_weight=weights).labels_
    turned = X.copy()
    if X.shape[1] > 1:
        turned[:, 0] = np.cos(angle) * X[:, 0] - np.sin(angle) * X[:, 1]
        turned[:, 1] = np.sin(angle) * X[:, 0] + np.cos(angle) * X[:, 1]
    assert same_partition(model.fit(turned, sample_weight=weights).labels_, labels)


@some
@given(X=tables(), model=models(), least=st.lists(st.floats(0.001, 0.999), min_size=2, max_size=5))
def test_larger_values_only_merge_and_each_cut_equals_a_fit(X, model, least):
    model.fit(X)
    np.testing.assert_array_equal(model.labels_at(model.min_prominence), model.labels_)
    before = model.labels_at(1e-300)
    for value in sorted(least):
        labels = model.labels_at(value)
        assert len(np.unique(np.stack([before, labels]), axis=1).T) == len(np.unique(before))
        before = labels
    again = MeanShift(**model.get_params()).set_params(min_prominence=value).fit(X)
    np.testing.assert_array_equal(labels, again.labels_)


@some
@given(X=tables(), model=models())
def test_threads_change_no_bit(X, model):
    one, two = (MeanShift(**model.get_params()).set_params(n_jobs=n).fit(X) for n in (1, 2))
    for name in ("labels_", "mode_density_", "mode_prominence_", "merge_tree_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@some
@given(X=tables(), model=models())
def test_auto_merges_below_the_widest_gap(X, model):
    model.set_params(min_prominence="auto").fit(X)
    is_merged = naive.is_merged_by_gap(
        model.mode_density_, model.mode_prominence_, model.kernel, X.shape[1]
    )
    assert len(model.cluster_centers_) == np.count_nonzero(~is_merged)
    np.testing.assert_array_equal(model.cluster_centers_, model.modes_[~is_merged])
