"""Bad input gets an error that names the parameter and the value; extreme input an answer."""

import re
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.exceptions import NotFittedError

import naive
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
from meanshift_fast.stream import fit_batches

X = samples.blobs(60, 2)


@pytest.fixture(scope="module")
def fitted():
    return MeanShift(bandwidth=1.0).fit(X)


# What is no table of finite numbers, and a word of the reason.
BAD_TABLES = {
    "NaN": ([[0.0, np.nan], [1.0, 2.0]], ValueError, "NaN"),
    "infinity": ([[0.0, np.inf], [1.0, 2.0]], ValueError, "infinity"),
    "minus infinity": ([[0.0, -np.inf], [1.0, 2.0]], ValueError, "infinity"),
    "NaN in float32": (np.array([[0, np.nan]], np.float32), ValueError, "NaN"),
    "complex": ([[0.0, 1j], [1.0, 2.0]], ValueError, "[Cc]omplex"),
    "words": ([["a", "b"], ["c", "d"]], ValueError, "string|numeric"),
    "no rows": (np.empty((0, 2)), ValueError, "0 sample"),
    "no columns": (np.empty((3, 0)), ValueError, "0 feature"),
    "one dimension": (np.arange(5.0), ValueError, "2D array"),
    "three dimensions": (np.zeros((2, 2, 2)), ValueError, "dim 3|3D|3 dim"),
    "a number": (3.0, ValueError, "2D array|array-like"),
    "nothing": (None, (ValueError, TypeError), "None|NoneType|array"),
    "ragged": ([[1.0, 2.0], [3.0]], ValueError, "inhomogeneous|sequence"),
    "times": (np.array([["2020-01-01", "NaT"]], "datetime64[D]"), ValueError, "numbers.*datetime"),
    "lengths of time": (np.array([[1, 2]], "timedelta64[D]"), ValueError, "numbers.*timedelta"),
    "categories": (pd.DataFrame([["x", "y"]], dtype="category"), ValueError, "'x'"),
    "beyond float64": (np.array([[1.0, np.longdouble("1e400")]]), ValueError, "finite|[Ii]nfinity"),
    "sparse": (scipy.sparse.csr_matrix(np.eye(3)), TypeError, "[Ss]parse|dense"),
}

bad_tables = pytest.mark.parametrize(
    ("table", "error", "reason"), BAD_TABLES.values(), ids=BAD_TABLES
)


@bad_tables
def test_fit_refuses(table, error, reason):
    with pytest.raises(error, match=reason):
        MeanShift(bandwidth=1.0).fit(table)


@bad_tables
def test_the_function_refuses(table, error, reason):
    with pytest.raises(error, match=reason):
        mean_shift(table, bandwidth=1.0)


@bad_tables
def test_predict_refuses(fitted, table, error, reason):
    with pytest.raises(error, match=reason):
        fitted.predict(table)


@bad_tables
def test_get_bin_seeds_and_condense_refuse(table, error, reason):
    with pytest.raises(error, match=reason):
        get_bin_seeds(table, 1.0)
    with pytest.raises(error, match=reason):
        condense(table, 1.0)


@bad_tables
def test_estimate_bandwidth_refuses(table, error, reason):
    with pytest.raises(error, match=reason):
        estimate_bandwidth(table)


@bad_tables
def test_trace_refuses(table, error, reason):
    with pytest.raises(error, match=reason):
        trace(table, [0.0, 0.0], bandwidth=1.0)


# A seed may be the only one, and a trace may start at a row of one dimension: not bad there.
@pytest.mark.parametrize(
    ("table", "reason"),
    [BAD_TABLES[name][::2] for name in ("NaN", "infinity", "complex", "words")],
)
def test_seeds_and_starts_are_refused(table, reason):
    with pytest.raises(ValueError, match=reason):
        MeanShift(bandwidth=1.0, seeds=table).fit(X)
    with pytest.raises(ValueError, match=reason):
        trace(X, table, bandwidth=1.0)


@pytest.mark.parametrize("width", [1, 3])
def test_a_wrong_width_is_refused(fitted, width):
    table = np.zeros((4, width))
    with pytest.raises(ValueError, match=rf"\b{width}\b.*\b2\b|\b2\b.*\b{width}\b"):
        fitted.predict(table)
    with pytest.raises(ValueError, match=rf"seeds.*(\b{width}\b.*\b2\b|\b2\b.*\b{width}\b)"):
        MeanShift(bandwidth=1.0, seeds=table).fit(X)
    with pytest.raises(ValueError, match=rf"start.*(\b{width}\b.*\b2\b|\b2\b.*\b{width}\b)"):
        trace(X, table, bandwidth=1.0)


@pytest.mark.parametrize("seeds", [[1.0, 2.0], 3.0, "rows", [[]]])
def test_seeds_that_are_no_table_are_refused(seeds):
    with pytest.raises((ValueError, TypeError), match="seeds"):
        MeanShift(bandwidth=1.0, seeds=seeds).fit(X)


# Parameter, value, and the kind of error. scikit-learn's own error for a wrong parameter,
# InvalidParameterError, is a ValueError and a TypeError at once.
BAD_PARAMETERS = [
    *[
        ("bandwidth", value)
        for value in (0, 0.0, -1.0, np.nan, np.inf, -np.inf, "wide", [1.0, 0.0], 1j)
    ],
    *[("min_bin_freq", value) for value in (0, -3, 1.5, "one", None)],
    *[("max_iter", value) for value in (-1, 1.5, "many", None, np.nan)],
    *[("n_jobs", value) for value in (0, 1.5, "all")],
    *[("tol", value) for value in (-1e-3, np.nan, np.inf, "small", None)],
    *[("coalesce", value) for value in (-1e-3, np.nan, np.inf, "near", None)],
    *[("bin_seeding", value) for value in ("yes", 2, None)],
    *[("cluster_all", value) for value in ("yes", 2, None)],
    *[("kernel", value) for value in ("epanechnikov", 3, None)],
    *[("assign", value) for value in ("closest", 3, None)],
    *[("progress", value) for value in ("loud", 3)],
]


@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS, ids=lambda part: str(part))
def test_a_bad_parameter_is_named_with_its_value(name, value):
    model = MeanShift(**{"bandwidth": 1.0, name: value})
    with pytest.raises((ValueError, TypeError), match=rf"(?s){name}.*{re.escape(repr(value))}"):
        model.fit(X)


@pytest.mark.parametrize(
    ("name", "value"),
    [part for part in BAD_PARAMETERS if part[0] in ("bandwidth", "max_iter", "n_jobs")],
    ids=lambda part: str(part),
)
def test_the_functions_refuse_what_the_estimator_does(name, value):
    with pytest.raises((ValueError, TypeError), match=rf"(?s){name}.*{re.escape(repr(value))}"):
        mean_shift(X, **{"bandwidth": 1.0, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("quantile", value) for value in (-0.1, 1.5, np.nan, "half", None)],
        *[("n_samples", value) for value in (0, -1, 1.5, "all")],
        *[("n_jobs", value) for value in (0, 1.5, "all")],
        *[("random_state", value) for value in ("lucky", 0.5)],
    ],
    ids=lambda part: str(part),
)
def test_estimate_bandwidth_names_a_bad_parameter(name, value):
    with pytest.raises((ValueError, TypeError), match=rf"(?s){name}.*{re.escape(repr(value))}"):
        estimate_bandwidth(X, **{name: value})


def test_a_curve_of_few_rows_names_a_wrong_number_of_threads():
    with pytest.raises(ValueError, match="n_jobs must not be 0, got 0"):
        bandwidth_curve(X, n_jobs=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("bandwidth", value) for value in (0.0, -1.0, np.nan, np.inf, "wide", None)],
        *[("tol", value) for value in (-1.0, np.nan, np.inf, "small")],
        *[("max_iter", value) for value in (-1, 1.5, "many")],
        ("kernel", "epanechnikov"),
    ],
    ids=lambda part: str(part),
)
def test_trace_names_a_bad_parameter(name, value):
    with pytest.raises((ValueError, TypeError), match=rf"(?s){name}.*{re.escape(repr(value))}"):
        trace(X, X[0], **{"bandwidth": 1.0, name: value})


@pytest.mark.parametrize(
    ("name", "args"),
    [
        *[("bin_size", (value,)) for value in (np.nan, np.inf, "wide")],
        *[("min_bin_freq", (1.0, value)) for value in (np.nan, "one")],
    ],
    ids=lambda part: str(part),
)
def test_get_bin_seeds_names_a_bad_parameter(name, args):
    with pytest.raises((ValueError, TypeError), match=rf"(?s){name}.*{re.escape(repr(args[-1]))}"):
        get_bin_seeds(X, *args)


def test_a_bad_parameter_is_refused_whatever_the_table():
    # "give me a bandwidth" must not hide behind an expensive estimate or a missing row
    with pytest.raises(ValueError, match="min_bin_freq"):
        MeanShift(min_bin_freq=0).fit(X)


def test_parameters_are_checked_by_fit_and_not_before():
    model = MeanShift(bandwidth=-1.0, seeds="rows")
    assert model.bandwidth == -1.0
    assert model.set_params(bandwidth="wide").get_params()["bandwidth"] == "wide"


def test_predict_before_fit_says_so():
    with pytest.raises(NotFittedError, match="not fitted"):
        MeanShift().predict(X)


def test_a_failed_fit_leaves_no_model():
    model = MeanShift(bandwidth=0.1, seeds=[[-900.0, 0.0]])
    with pytest.raises(ValueError, match="No point was within bandwidth="):
        model.fit(X)
    with pytest.raises(NotFittedError):
        model.predict(X)


def stop_at(stage):
    def progress(done, total, at):
        if at == stage:
            raise InterruptedError(stage)

    return progress


@pytest.mark.parametrize("stage", ["bandwidth", "tree", "climb", "modes", "labels"])
@pytest.mark.parametrize("assign", ["nearest", "basin"])
def test_a_second_fit_that_is_interrupted_leaves_no_half_of_the_first(stage, assign):
    model = MeanShift(bandwidth=1.0, assign=assign).fit(X)
    with pytest.raises(InterruptedError):
        model.set_params(progress=stop_at(stage)).fit(X[:, :1])
    with pytest.raises(NotFittedError):
        model.set_params(progress=False).predict(X[:, :1])


def test_a_second_fit_with_bad_weights_leaves_no_half_of_the_first():
    model = MeanShift(bandwidth=1.0).fit(X)
    with pytest.raises(ValueError, match="sample_weight"):
        model.fit(X[:, :1], sample_weight=[1.0])
    with pytest.raises(NotFittedError):
        model.predict(X[:, :1])


# No seed is left: scikit-learn's "max() arg is an empty sequence" names no remedy.


@pytest.mark.jitless
def test_no_bin_of_so_many_rows_names_min_bin_freq():
    with pytest.raises(ValueError, match=r"(?s)min_bin_freq.*1000"):
        MeanShift(bandwidth=1.0, bin_seeding=True, min_bin_freq=1000).fit(X)


@pytest.mark.jitless
def test_empty_seeds_are_named():
    with pytest.raises(ValueError, match="seeds"):
        MeanShift(bandwidth=1.0, seeds=np.empty((0, 2))).fit(X)
    with pytest.raises(ValueError, match="seeds"):
        MeanShift(bandwidth=1.0, seeds=[]).fit(X)


@pytest.mark.jitless
def test_seeds_out_of_reach_are_reported_as_scikit_learn_does():
    with pytest.raises(ValueError, match=r"^No point was within bandwidth=0\.1"):
        MeanShift(bandwidth=0.1, seeds=[[-900.0, 0.0], [0.0, 900.0]]).fit(X)


@pytest.mark.jitless
def test_numbers_farther_apart_than_the_bandwidth_are_reported():
    with pytest.raises(ValueError, match=r"1\.3e\+308 are 2e\+292 apart .* Subtract a row"):
        MeanShift(bandwidth=1.0).fit(np.full((9, 1), 1.3e308))


def test_seeds_far_from_rows_that_float64_tells_apart_are_to_be_given_nearer():
    with pytest.raises(ValueError, match="Give seeds nearer to the rows"):
        MeanShift(bandwidth=1.0, seeds=[[1e17, 0.0]]).fit(X)


def test_a_ladder_beyond_float64_is_named():
    with pytest.raises(ValueError, match="bandwidths must be finite as float64"):
        bandwidth_curve(X, [1, 10**400])


# Extremes that must work.


def assert_same_partition(found, expected):
    np.testing.assert_array_equal(found.labels_, expected.labels)
    assert len(found.cluster_centers_) == len(expected.centers)
    assert np.isfinite(found.cluster_centers_).all()
    np.testing.assert_array_equal(found.mode_weight_, expected.support)
    assert found.n_iter_ == expected.n_iter
    assert np.isfinite(found.history_["mean_shift"]).all()
    assert np.isfinite(found.history_["max_shift"]).all()


@pytest.mark.jitless
@pytest.mark.parametrize("params", [{}, {"bandwidth": 2.0}, {"bandwidth": 1e-9}])
def test_one_row_is_one_cluster(params):
    model = MeanShift(**params).fit([[3.5, -1.25]])
    np.testing.assert_array_equal(model.cluster_centers_, [[3.5, -1.25]])
    assert model.labels_.tolist() == [0]
    assert model.mode_weight_.tolist() == [1]


@pytest.mark.parametrize("value", [0.1, 1 / 3, -1e6 / 7])
@pytest.mark.parametrize(
    "params",
    [{}, {"bandwidth": 1.0}, {"bandwidth": 1e-9}, {"bandwidth": 1.0, "bin_seeding": True}],
)
def test_five_thousand_equal_rows_are_one_cluster(params, value):
    rows = np.full((5000, 3), value)
    model = MeanShift(**params).fit(rows)
    np.testing.assert_allclose(model.cluster_centers_, rows[:1], rtol=1e-12, atol=0)
    assert not model.labels_.any()
    assert model.mode_weight_.tolist() == [5000]


@pytest.mark.jitless
def test_a_constant_column_changes_nothing(fitted):
    flat = np.column_stack([X, np.full(len(X), 1 / 3)])
    model = MeanShift(bandwidth=1.0).fit(flat)
    np.testing.assert_array_equal(model.labels_, fitted.labels_)
    np.testing.assert_allclose(model.cluster_centers_[:, :2], fitted.cluster_centers_, rtol=1e-12)
    np.testing.assert_allclose(model.cluster_centers_[:, 2], 1 / 3, rtol=1e-12)
    assert estimate_bandwidth(flat) == pytest.approx(estimate_bandwidth(X), rel=1e-12)


def test_a_huge_bandwidth_is_one_cluster():
    for bandwidth in (1e9, 1e200):
        model = MeanShift(bandwidth=bandwidth).fit(X)
        np.testing.assert_allclose(model.cluster_centers_, [X.mean(axis=0)], rtol=1e-12)
        assert not model.labels_.any()


def test_a_tiny_bandwidth_is_a_cluster_for_each_row():
    rows = np.random.default_rng(0).uniform(0, 1, (300, 2))
    for bandwidth in (1e-9, 1e-200):
        model = MeanShift(bandwidth=bandwidth).fit(rows)
        by_size = np.array(sorted(map(tuple, rows), reverse=True))
        np.testing.assert_array_equal(model.cluster_centers_, by_size)
        np.testing.assert_array_equal(model.cluster_centers_[model.labels_], rows)
        assert model.n_iter_ == 0


@pytest.mark.parametrize("scale", [1e150, 1e-150])
@pytest.mark.parametrize("params", [{"bandwidth": 1.0}, {"bandwidth": 0.8, "bin_seeding": True}])
def test_scaled_data_and_bandwidth_give_the_scaled_answer(scale, params):
    here = MeanShift(**params).fit(X)
    there = MeanShift(**params | {"bandwidth": scale * params["bandwidth"]}).fit(scale * X)
    np.testing.assert_array_equal(there.labels_, here.labels_)
    np.testing.assert_allclose(there.cluster_centers_ / scale, here.cluster_centers_, rtol=1e-12)
    assert there.n_iter_ == here.n_iter_


@pytest.mark.parametrize("scale", [1e150, 1e-150])
def test_the_bandwidth_scales_with_the_data(scale):
    assert estimate_bandwidth(scale * X) / scale == pytest.approx(estimate_bandwidth(X), rel=1e-12)
    model = MeanShift().fit(scale * X)
    np.testing.assert_array_equal(model.labels_, MeanShift().fit(X).labels_)


# An infinite seed was a crash of the interpreter, as no child of a block excludes it.


@pytest.mark.parametrize("bandwidth", [1.0, 1e-300, [1.0, 2.0]], ids=str)
def test_rows_farther_than_float32_counts_bandwidths_have_bins(bandwidth):
    rows = np.array([[1e39, 0.0], [0.0, 0.0], [0.0, 0.0], [1e39, 0.0], [0.0, 0.0]])
    rows *= np.min(bandwidth)
    model = MeanShift(bandwidth=bandwidth, bin_seeding=True).fit(rows)
    np.testing.assert_array_equal(model.cluster_centers_, rows[1::-1])
    assert model.labels_.tolist() == [1, 0, 0, 1, 0]


def test_seeds_and_new_rows_may_be_farther_than_floats_count_bandwidths(fitted):
    for bandwidth in (1e-200, np.array([1e-200, 2e-200])):
        unit = 1e-200 * np.array([1.0, 1.0 if np.ndim(bandwidth) == 0 else 2.0])
        far = np.array([[1e300, 0.0], [-1e300, 1e300]])
        model = MeanShift(bandwidth=bandwidth, seeds=np.vstack([far, X * unit])).fit(X * unit)
        np.testing.assert_allclose(model.cluster_centers_ / unit, fitted.cluster_centers_)
        labels = model.predict(np.vstack([far, X * unit]))
        np.testing.assert_array_equal(labels[2:], fitted.labels_)


def test_a_bandwidth_whose_square_vanishes_beside_the_rows_is_refused():
    with pytest.raises(ValueError, match=r"(?s)bandwidth=1e-200 is too small for X.*larger"):
        MeanShift(bandwidth=1e-200).fit(np.vstack([X * 1e-200, [[1e300, 0.0]]]))


@pytest.mark.parametrize("bandwidth", [1e-310, 1e-320, [1e-310, 1e-310]], ids=str)
def test_a_bandwidth_whose_bins_have_no_numbers_is_refused(bandwidth):
    message = r"bandwidth=.* is too small for X: .* 1.79769e\+308 bandwidths. Give a larger"
    with pytest.raises(ValueError, match=message):
        MeanShift(bandwidth=bandwidth, bin_seeding=True).fit(X)
    model = MeanShift(bandwidth=bandwidth).fit(X)  # which counts no bandwidths
    assert len(model.cluster_centers_) == len(X)
    seeded = MeanShift(bandwidth=bandwidth, bin_seeding=True, seeds=X).fit(X)
    np.testing.assert_array_equal(seeded.labels_, model.labels_)


def test_a_move_longer_than_any_number_is_reported_as_the_largest():
    seeds = [[1.7e308, -1.7e308], [0.0, 0.0]]
    model = MeanShift(kernel="gaussian", bandwidth=1e300, seeds=seeds).fit(X)
    assert model.history_["max_shift"][0] == np.finfo(np.float64).max
    np.testing.assert_allclose(model.cluster_centers_, [X.mean(axis=0)])


def test_tiny_values_are_distinguished_where_the_bandwidth_is_zero():
    rows = np.repeat([1e-200, 7e-200], [23, 17])[:, None]
    model = MeanShift().fit(rows)
    assert model.bandwidth_ == 0
    np.testing.assert_array_equal(model.labels_, np.repeat([0, 1], [23, 17]))
    np.testing.assert_array_equal(model.predict(rows), model.labels_)


def test_integers_near_the_largest_work():
    step = 2**53
    rows = 2**62 + step * samples.scattered(60, 2, side=9).astype(np.int64)
    model = MeanShift(bandwidth=2.5 * step).fit(rows)
    assert_same_partition(model, naive.mean_shift(rows.astype(float), bandwidth=2.5 * step))
    assert model.cluster_centers_.dtype == np.float64


def test_unsigned_integers_do_not_wrap():
    rows = np.array([[0, 1], [1, 0], [2, 2], [250, 255], [255, 250]], dtype=np.uint8)
    model = MeanShift(bandwidth=10.0).fit(rows)
    assert_same_partition(model, naive.mean_shift(rows, bandwidth=10.0))
    assert model.labels_.tolist() == [0, 0, 0, 1, 1]


def test_integers_beyond_64_bits_work():
    rows = np.array([[2**70, 0], [2**70 + 2**30, 0], [0, 0]], dtype=object)
    for bin_seeding in (False, True):
        model = MeanShift(bandwidth=2.0**31, bin_seeding=bin_seeding).fit(rows)
        assert model.labels_.tolist() == [0, 0, 1]
    assert len(get_bin_seeds(np.vstack([rows, rows]), 2.0**40)) == 2


def test_float16_works():
    rows = samples.scattered(80, 2, side=9).astype(np.float16)
    model = MeanShift(bandwidth=2.5).fit(rows)
    expected = naive.mean_shift(rows.astype(float), bandwidth=2.5)
    np.testing.assert_array_equal(model.labels_, expected.labels)
    np.testing.assert_allclose(model.cluster_centers_, expected.centers, rtol=1e-3)
    assert np.isfinite(MeanShift().fit(rows).cluster_centers_).all()


def test_truth_values_work():
    rows = np.array([[0, 0], [0, 0], [1, 1], [1, 1], [1, 1]], dtype=bool)
    model = MeanShift(bandwidth=0.5).fit(rows)
    np.testing.assert_array_equal(model.cluster_centers_, [[1, 1], [0, 0]])
    assert model.labels_.tolist() == [1, 1, 0, 0, 0]


@pytest.mark.parametrize("params", [{"bandwidth": 1.0}, {"bandwidth": 1.0, "bin_seeding": True}])
def test_layout_does_not_matter(params, tmp_path):
    np.save(tmp_path / "rows.npy", X)
    expected = MeanShift(**params).fit(X)
    spread = np.zeros((120, 6))
    spread[::2, 1::3] = X
    layouts = {
        "Fortran order": np.asfortranarray(X),
        "negative strides": X[::-1, ::-1].copy()[::-1, ::-1],
        "every other row of a wider table": spread[::2, 1::3],
        "read-only memory map": np.load(tmp_path / "rows.npy", mmap_mode="r"),
        "other byte order": X.astype(X.dtype.newbyteorder()),
        "lists": X.tolist(),
    }
    for name, table in layouts.items():
        model = MeanShift(**params).fit(table)
        np.testing.assert_array_equal(
            model.cluster_centers_, expected.cluster_centers_, err_msg=name
        )
        np.testing.assert_array_equal(model.labels_, expected.labels_, err_msg=name)
        np.testing.assert_array_equal(model.predict(table), expected.labels_, err_msg=name)
        assert estimate_bandwidth(table) == estimate_bandwidth(X), name


def test_more_columns_than_rows_work():
    rows = samples.blobs(12, 1000, n_blobs=2)
    model = MeanShift(bandwidth=20.0).fit(rows)
    assert_same_partition(model, naive.mean_shift(rows, bandwidth=20.0))


# An estimated bandwidth of 0: the distinct values are the clusters.


@pytest.mark.jitless
@pytest.mark.parametrize("bin_seeding", [False, True])
@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ([0.1], [20]),
        ([0.1, 0.7], [23, 17]),
        ([0.7, 0.1], [23, 17]),
        ([1 / 3, -0.1, 0.3], [9, 8, 7]),
    ],
)
def test_each_distinct_value_is_a_cluster_where_the_bandwidth_is_zero(values, counts, bin_seeding):
    rows = np.repeat(values, counts)[:, None]
    model = MeanShift(bin_seeding=bin_seeding).fit(rows)
    assert model.bandwidth_ == 0
    np.testing.assert_array_equal(model.cluster_centers_, np.reshape(values, (-1, 1)))
    np.testing.assert_array_equal(model.labels_, np.repeat(np.arange(len(values)), counts))
    np.testing.assert_array_equal(model.mode_weight_, counts)
    np.testing.assert_array_equal(model.predict(rows), model.labels_)


def test_orphans_of_a_zero_bandwidth_are_reported():
    rows = np.repeat([0.1, 0.7], [23, 17])[:, None]
    model = MeanShift(seeds=[[0.1]], cluster_all=False).fit(rows)
    np.testing.assert_array_equal(model.labels_, np.repeat([0, -1], [23, 17]))


BEYOND = 10**400  # float() of it overflows


@pytest.mark.parametrize("name", ["bandwidth", "tol", "coalesce", "accuracy"])
@pytest.mark.parametrize("kernel", ["flat", "gaussian"])
def test_a_whole_number_beyond_float64_is_refused_by_name(name, kernel):
    model = MeanShift(**{"bandwidth": 1.0, "kernel": kernel, name: BEYOND})
    with pytest.raises(ValueError, match=f"The '{name}' parameter of MeanShift must be"):
        model.fit(np.arange(6.0).reshape(3, 2))


TABLE_BEYOND = np.array([[BEYOND, 1], [0, 1]], dtype=object)


@pytest.mark.jitless
@pytest.mark.parametrize(
    "work",
    [
        MeanShift(bandwidth=1.0).fit,
        estimate_bandwidth,
        bandwidth_curve,
        partial(get_bin_seeds, bin_size=1.0),
        partial(condense, cell_size=1.0),
        partial(trace, start=[0.0, 0.0], bandwidth=1.0),
    ],
)
def test_a_whole_number_that_float64_does_not_hold_is_reported(work):
    with pytest.raises(ValueError, match=r"^X must be finite as float64, got 1000.*000; scale it"):
        work(TABLE_BEYOND)
    with pytest.raises(ValueError, match=r"^X must be finite as float64, got 1000.*000; scale it"):
        work(TABLE_BEYOND.tolist())


@pytest.mark.jitless
def test_so_it_is_in_seeds_starts_weights_and_bandwidths():
    larger = r"must be finite as float64, got 1000.*000; scale it"
    with pytest.raises(ValueError, match=f"^seeds {larger}"):
        MeanShift(bandwidth=1.0, seeds=TABLE_BEYOND).fit(X)
    with pytest.raises(ValueError, match=f"^start {larger}"):
        trace(X, TABLE_BEYOND, bandwidth=1.0)
    with pytest.raises(ValueError, match=f"^sample_weight {larger}"):
        MeanShift(bandwidth=1.0).fit([[0.0], [1.0]], sample_weight=[1, BEYOND])
    with pytest.raises(ValueError, match=f"^bandwidth {larger}"):
        MeanShift(bandwidth=[BEYOND, 1]).fit(X)


@pytest.mark.jitless
@pytest.mark.parametrize("number", [float, Fraction, Decimal, np.float32])
def test_objects_that_are_numbers_are_read_as_numbers(number):
    objects = np.array([number(1), number(2)], dtype=object)
    plain = MeanShift(bandwidth=[1.0, 2.0]).fit(X)
    found = MeanShift(bandwidth=objects).fit(X)
    np.testing.assert_array_equal(found.cluster_centers_, plain.cluster_centers_)
    plain = MeanShift(bandwidth=1.5).fit(X[:2], sample_weight=[1.0, 2.0])
    found = MeanShift(bandwidth=1.5).fit(X[:2], sample_weight=objects)
    np.testing.assert_array_equal(found.cluster_centers_, plain.cluster_centers_)


@pytest.mark.jitless
@pytest.mark.parametrize("other", ["2", None, b"2", 2j])
def test_objects_that_are_no_numbers_are_reported(other):
    objects = np.array([1.0, other], dtype=object)
    with pytest.raises(ValueError, match=r"^bandwidth must be a number, or one for each column"):
        MeanShift(bandwidth=objects).fit(X)
    with pytest.raises(ValueError, match=r"^sample_weight must be numbers, got"):
        MeanShift(bandwidth=1.0).fit(X[:2], sample_weight=objects)


@pytest.mark.parametrize("kernel", ["flat", "gaussian"])
@pytest.mark.parametrize("assign", ["nearest", "basin"])
@pytest.mark.parametrize(
    ("dtype", "centers"),
    [(">f8", "f8"), (">f4", "f4"), (">f2", "f2"), (">i4", "f8"), ("g", "f8"), ("<f4", "f4")],
)
def test_what_is_fitted_is_in_the_machine_s_byte_order(dtype, centers, assign, kernel):
    rows = samples.blobs(60, 2).astype(dtype)
    settings = {"bin_seeding": True, "assign": assign, "kernel": kernel}
    for bandwidth in (1.5, np.array([1.5, 1.5], ">f8")):
        model = MeanShift(bandwidth=bandwidth, **settings).fit(rows)
        plain = MeanShift(bandwidth=bandwidth, **settings).fit(rows.astype(centers))
        assert model.cluster_centers_.dtype.str == np.dtype(centers).str
        np.testing.assert_array_equal(model.cluster_centers_, plain.cluster_centers_)
        np.testing.assert_array_equal(model.predict(rows), plain.labels_)
        for name in ("labels_", "bandwidth_", "mode_weight_"):
            assert np.asarray(getattr(model, name)).dtype.isnative
    model = fit_batches([rows, rows], bandwidth=1.5, **settings)
    assert model.cluster_centers_.dtype.str == np.dtype(centers).str


def test_functions_refuse_whole_numbers_beyond_float64_too():
    X = np.arange(6.0).reshape(3, 2)
    with pytest.raises(ValueError, match="The 'bin_size' parameter of get_bin_seeds"):
        get_bin_seeds(X, BEYOND)
    with pytest.raises(ValueError, match="cell_size must be positive and finite"):
        condense(X, BEYOND)
    with pytest.raises(ValueError, match="sample_weight must be"):
        MeanShift(bandwidth=1.0).fit(X, sample_weight=[BEYOND] * 3)
    for name in ("bandwidth", "accuracy", "tol"):
        with pytest.raises(ValueError, match=f"{name} must be"):
            trace(X, X[0], **{"bandwidth": 1.0, name: BEYOND})


@pytest.mark.parametrize(
    "parameters", [{}, {"assign": "basin"}, {"min_prominence": 0.1}, {"bin_seeding": True}], ids=str
)
def test_a_fit_that_fails_leaves_no_attribute_of_the_fit_before(parameters):
    model = MeanShift(bandwidth=1.0, **parameters).fit(X)
    with pytest.raises(ValueError, match="NaN"):
        model.fit([[np.nan, 0.0]])
    left = set(vars(model)) - set(model.get_params())
    assert left <= {"n_features_in_"}
