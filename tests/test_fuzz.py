"""Any table, any parameters: a documented error, or an answer that is one.

200 examples of each; `pytest -m nightly` draws 2,000.
"""

import re
import time
import warnings
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
from hostile import DOCUMENTED, SHAPES, as_whole, check_answer, reach, shaped
from meanshift_fast import MeanShift

pytestmark = pytest.mark.usefixtures("small_fits_on_threads")

EXPONENTS = st.one_of(st.just(0), st.integers(-150, 150))


@st.composite
def tables(draw):
    """A table in any number format and layout."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_samples = draw(st.one_of(st.integers(1, 40), *[st.integers(60, 400)] * 3))
    X = shaped(draw(st.sampled_from(SHAPES)), n_samples, draw(st.integers(1, 6)), rng)
    dtype = draw(st.sampled_from([np.float64, np.float64, np.float32, np.int64, np.int8]))
    if dtype is np.float64:
        X = X * 10.0 ** draw(EXPONENTS)
    elif dtype is np.float32:
        X = (X * 10.0 ** draw(st.integers(-25, 25))).astype(dtype)
    else:
        X = as_whole(X, dtype)
    if X.dtype.kind == "f" and draw(st.integers(0, 14)) == 0:
        X[rng.integers(0, n_samples), rng.integers(0, X.shape[1])] = draw(
            st.sampled_from([np.nan, np.inf, -np.inf])
        )
    layout = draw(st.sampled_from(["C", "F", "reversed", "every other"]))
    if layout == "F":
        X = np.asfortranarray(X)
    elif layout == "reversed":
        X = X[::-1, ::-1]
    elif layout == "every other":
        X = np.repeat(X, 2, axis=0)[::2]
    return X


@st.composite
def weights_of(draw, n_samples):
    kind = draw(st.sampled_from(["none", "none", "whole", "wide", "zeros"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if kind == "none":
        return None
    if kind == "wide":
        return 10.0 ** rng.uniform(-12, 12, n_samples)
    return rng.integers(1 if kind == "whole" else 0, 4, n_samples).astype(float)


@st.composite
def parameters(draw, X):
    """Mostly balls of a few rows, so that most fits have several modes; now and then of all."""
    shares = st.sampled_from([0.03, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 2.0])
    params = {
        "bandwidth": draw(
            st.one_of(
                *[shares.map(lambda share: share * reach(X))] * 4,
                st.sampled_from([None, "scott", "silverman"]),
            )
        ),
        "kernel": draw(st.sampled_from(["flat"] * 5 + ["gaussian"])),
        "bin_seeding": draw(st.booleans()),
        "min_bin_freq": draw(st.sampled_from([1, 1, 1, 3])),
        "cluster_all": draw(st.booleans()),
        "assign": draw(st.sampled_from(["nearest", "basin"])),
        "coalesce": draw(st.sampled_from([0.0, 0.0, 0.01, 1.0])),
        "tol": draw(st.sampled_from([1e-3, 0.0, 0.1])),
        "max_iter": draw(st.sampled_from([300] * 14 + [0, 3])),
        "n_jobs": draw(st.sampled_from([None, 1, 2])),
    }
    if draw(st.integers(0, 4)) == 0 and np.isfinite(X).all():
        params["seeds"] = X[: draw(st.integers(1, 5))]
    return params


def check(data):
    X = data.draw(tables())
    weights = data.draw(weights_of(len(X)))
    params = data.draw(parameters(X))
    before = X.tobytes()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Binning data failed", UserWarning)
            model = MeanShift(**params).fit(X, sample_weight=weights)
    except ValueError as error:
        if not re.search(DOCUMENTED, str(error)):
            raise
        return
    finally:
        assert X.tobytes() == before
    check_answer(model, X, np.ones(len(X)) if weights is None else weights)


@settings(max_examples=200)
@given(data=st.data())
def test_any_fit_is_refused_with_a_reason_or_holds_what_it_says(data):
    check(data)


@pytest.mark.nightly
@settings(max_examples=2000)
@given(data=st.data())
def test_any_fit_of_many_more(data):
    check(data)


def whole(data):
    """Whole numbers, whose sums are exact, with whole weights."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n_samples, n_features = data.draw(st.integers(1, 200)), data.draw(st.integers(1, 4))
    X = rng.integers(-6, 7, (n_samples, n_features)) * data.draw(st.sampled_from([1, 1000]))
    weights = rng.integers(1, 4, n_samples).astype(float) if data.draw(st.booleans()) else None
    params = {
        "bandwidth": np.abs(X).max(initial=1) * data.draw(st.sampled_from([0.1717, 0.37, 0.71])),
        "cluster_all": data.draw(st.booleans()),
    }
    return X, weights, params, rng


def check_permutation(data):
    # Which centres there are can hang on the order only where equal ends came with unequal
    # supports (the last seed's is kept): not where every trajectory rests at a fixed point.
    X, weights, params, rng = whole(data)
    order = rng.permutation(len(X))
    here = MeanShift(**params, tol=0.0).fit(X, sample_weight=weights)
    there = MeanShift(**params, tol=0.0).fit(
        X[order], sample_weight=None if weights is None else weights[order]
    )
    np.testing.assert_array_equal(there.cluster_centers_, here.cluster_centers_)
    np.testing.assert_array_equal(there.mode_weight_, here.mode_weight_)
    np.testing.assert_array_equal(there.labels_, here.labels_[order])


def check_scaling(data):
    X, weights, params, _ = whole(data)
    params["assign"] = data.draw(st.sampled_from(["nearest", "basin"]))
    params["kernel"] = data.draw(st.sampled_from(["flat", "gaussian"]))
    params["coalesce"] = data.draw(st.sampled_from([0.0, 0.01]))
    factor = 2.0 ** data.draw(st.sampled_from([-490, -30, -1, 1, 30, 490]))
    here = MeanShift(**params).fit(X, sample_weight=weights)
    params["bandwidth"] *= factor
    there = MeanShift(**params).fit(X * factor, sample_weight=weights)
    np.testing.assert_array_equal(there.labels_, here.labels_)
    np.testing.assert_array_equal(there.cluster_centers_, here.cluster_centers_ * factor)
    assert there.n_iter_ == here.n_iter_


CHECKS = {"permuted": check_permutation, "scaled": check_scaling}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@settings(max_examples=200)
@given(data=st.data())
def test_whole_rows_answer_alike(check, data):
    check(data)


@pytest.mark.nightly
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@settings(max_examples=2000)
@given(data=st.data())
def test_many_more_whole_rows_answer_alike(check, data):
    check(data)


# Shapes that a tree or a sort might take badly.

N = 100_000
RNG = np.random.default_rng(0)
UNIFORM = RNG.uniform(0, 1, (N, 2))
SORTED = UNIFORM[np.argsort(UNIFORM[:, 0])]
HOSTILE = {
    "all on one line": np.linspace(0, 1, N)[:, None] * [1.0, 2.0],
    "geometric spacing": np.geomspace(1e-9, 1, 2 * N).reshape(N, 2),
    "one heavy cell": np.vstack([1e-6 * UNIFORM[: N - 20], UNIFORM[-20:]]),
    "one heavy row": np.vstack([np.zeros((N - 20, 2)), UNIFORM[-20:]]),
    "sorted": SORTED,
    "reversed": SORTED[::-1],
    "organ pipe": np.vstack([SORTED[::2], SORTED[1::2][::-1]]),
    "zigzag": np.stack([SORTED[:, 0], np.resize([0.0, 1.0], N)], axis=1),
}
WORK = {
    "wide balls": lambda X: {
        "bandwidth": scale_of(X, 0.05),
        "seeds": X[:: N // 400],
        "max_iter": 5,
    },
    "every row a mode": lambda X: {"bandwidth": 1e-12 * (np.ptp(X) or 1.0)},
}


def scale_of(X, quantile):
    """The distance within which a typical row has such a share of the others."""
    sample = X[:: N // 500]
    away = np.sqrt([naive.distances_sq(sample, row) for row in sample])
    return float(np.median(np.quantile(away, quantile, axis=1))) or 1e-3


def seconds(X, params, n_fits=1):
    times = []
    for _ in range(n_fits):
        began = time.process_time()  # what else runs beside does not count
        MeanShift(**params).fit(X)
        times.append(time.process_time() - began)
    return median(times)


@pytest.mark.parametrize("work", WORK)
def test_no_shape_takes_five_times_as_long_as_uniform_rows(work):
    usual = seconds(UNIFORM, WORK[work](UNIFORM), 3)
    slow = {}
    for name, X in HOSTILE.items():
        params = WORK[work](X)
        # One fit shows it, but for a first fit's page faults.
        if seconds(X, params) > 5 * usual and (ratio := seconds(X, params, 3) / usual) > 5:
            slow[name] = ratio
    assert not slow
