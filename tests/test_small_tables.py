"""A small table in one call: to the last bit what the stages find, or nothing at all."""

import re
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import samples
from meanshift_fast import MeanShift
from meanshift_fast._cluster import small_tables as small
from meanshift_fast._cluster.inputs import Rows
from meanshift_fast._cluster.model import settings_of
from meanshift_fast._cluster.seeding import bin_seeds
from meanshift_fast._index.moment_tree import MAX_UNORDERED_ROWS
from meanshift_fast._input.weights import UNWEIGHTED

PLAIN = {"bandwidth": 2.0, "bin_seeding": True}
FITTED = (
    "cluster_centers_", "labels_", "n_iter_", "bandwidth_", "mode_weight_", "history_"
)  # fmt: skip

TABLES = {
    "one row twice": np.array([[3.0, -1.0]]).repeat(2, axis=0),
    "1-d": samples.blobs(300, 1),
    "2-d": samples.blobs(500, 2),
    "3-d": samples.blobs(500, 3),
    "6-d": samples.blobs(400, 6),
    "40-d": samples.blobs(600, 40),
    "sixteen rows": samples.blobs(16, 2),
    "seventeen rows": samples.blobs(17, 2),
    "256 rows, a block": samples.blobs(256, 2),
    "257 rows": samples.blobs(257, 2),
    "as many rows as there may be": samples.blobs(small.MAX_ROWS, 2),
    "rows on the sphere": samples.lattice(9, 9),
    "bins that need an order": 5.0 * samples.blobs(700, 2),
    "nearly as many modes as rows": 7.0 * (np.arange(1020.0)[:, None] % 1000.0),
    "nearly as many bins as rows": 10.0 * samples.blobs(small.MAX_ROWS, 2),
    "equal rows": np.repeat(samples.scattered(30, 2), 5, axis=0),
    "whole numbers": samples.scattered(200, 3).astype(np.int16),
    "bytes": np.repeat(np.arange(12, dtype=np.uint8), 3)[:, None],
    "signed zeros": np.array([[0.0, 0.5], [-0.0, 0.5], [0.2, -0.0], [0.0, 0.0]] * 8),
    "seconds since 1970": 1.7e9 + samples.blobs(300, 2),
    "beyond whole floats": np.repeat(samples.blobs(99, 2) * 1e18, 3, axis=0),
    "in rows of Fortran": np.asfortranarray(samples.blobs(200, 2)),
    "the other byte order": samples.blobs(200, 2).astype(">f8"),
}
ASKED = {
    "plain": {},
    "an estimate": {"bandwidth": None},
    "a whole number": {"bandwidth": 3},
    "float64, whose bins are float64": {"bandwidth": np.float64(1.7)},
    "float32": {"bandwidth": np.float32(1.7)},
    "float32, in which bytes are divided": {"bandwidth": np.float32(2 / 3)},
    "full bins": {"min_bin_freq": 4},
    "no orphans": {"cluster_all": False, "bandwidth": 1.1},
    "one step": {"max_iter": 0},
    "three steps": {"max_iter": 2},
    "no rest": {"tol": 0.0},
    "a rest at once": {"tol": 10.0},
    "one ball": {"bandwidth": 1e4},
    "one thread": {"n_jobs": 1},
}


@pytest.fixture
def calls(monkeypatch):
    """How many centres each fit in one call found; 0 leaves the table to the stages."""
    found, fit = [], small.fit

    def noting(*args):
        answer = fit(*args)
        found.append(len(answer[0]))
        return answer

    monkeypatch.setattr(small, "fit", noting)
    return found


def assert_equal_fits(found, expected):
    for name in FITTED:
        ours, theirs = (np.asarray(getattr(model, name)) for model in (found, expected))
        assert ours.dtype == theirs.dtype, name
        np.testing.assert_array_equal(ours, theirs)
        assert ours.tobytes() == theirs.tobytes(), name  # 0.0 is not -0.0


def by_stages(X, params):
    """Fit with the stages, whatever the table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small, "MAX_ROWS", 0)
        return MeanShift(**params).fit(X)


@pytest.mark.filterwarnings("ignore:Binning data failed")
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("X", TABLES.values(), ids=TABLES)
def test_one_call_finds_what_the_stages_find(X, asked, calls):
    params = PLAIN | asked
    try:
        expected = by_stages(X, params)
    except ValueError as error:
        with pytest.raises(ValueError, match=re.escape(str(error))):
            MeanShift(**params).fit(X)
        assert calls in ([], [0])
        return
    assert calls == []
    assert_equal_fits(MeanShift(**params).fit(X), expected)
    assert len(calls) <= 1


numbers = (
    st.integers(-4, 4).map(float)
    | st.floats(-1e3, 1e3)
    | st.floats(allow_nan=False, allow_infinity=False)
)


@pytest.mark.jitless
@given(
    X=st.tuples(st.integers(1, 40), st.integers(1, 3)).flatmap(
        lambda shape: arrays(np.float64, shape, elements=numbers)
    ),
    bandwidth=st.sampled_from([0.5, 1.0, 3.0, 1e3, 1e30]),
    cluster_all=st.booleans(),
)
def test_whatever_the_numbers_one_call_does_as_the_stages_do(X, bandwidth, cluster_all):
    params = {"bandwidth": bandwidth, "bin_seeding": True, "cluster_all": cluster_all}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = by_stages(X, params)
        except ValueError as error:
            with pytest.raises(ValueError, match=re.escape(str(error))):
                MeanShift(**params).fit(X)
        else:
            assert_equal_fits(MeanShift(**params).fit(X), expected)


@pytest.mark.parametrize("name", sorted(set(TABLES) - {"40-d"}))  # a bin for each row
def test_a_plain_fit_is_one_call(name, calls):
    MeanShift(**PLAIN).fit(TABLES[name])
    assert calls[0] > 0


def test_some_bins_need_an_order():
    assert len(bin_seeds(TABLES["bins that need an order"], 2.0, 1).table) > MAX_UNORDERED_ROWS


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_whatever_is_asked_of_a_plain_fit_it_is_one_call(asked, calls):
    MeanShift(**PLAIN | asked).fit(TABLES["2-d"])
    assert calls[0] > 0


def test_numbers_of_every_type_are_one_to_the_compiler():
    X, asked = samples.blobs(200, 2), {"min_bin_freq": 2, "tol": 1e-3, "max_iter": 300}
    MeanShift(**PLAIN | asked).fit(X)
    n_compiled = len(small._fit.signatures)
    asked = {"min_bin_freq": np.int32(2), "tol": np.float32(1e-3), "max_iter": np.int16(300)}
    MeanShift(**PLAIN | asked | {"bandwidth": np.float32(2.0)}).fit(X)
    MeanShift(**PLAIN | {"min_bin_freq": 2, "max_iter": np.uint8(9)}).fit(X)
    assert len(small._fit.signatures) == n_compiled


apart = np.arange(1020.0)[:, None] % 530.0  # in bins of their own but for their likes
far = np.vstack([samples.blobs(200, 2), [[1e151, 0.0]]])
LEFT = {
    "many bins of many columns": (apart.repeat(32, axis=1), {"bandwidth": 1.0}),
    "seeds that projections pay for": (
        (apart[:300] % 100.0).repeat(33, axis=1),
        {"bandwidth": 1.0},
    ),
    "a bin for each row": (samples.blobs(100, 2), {"bandwidth": 1e-3}),
    "a row more": (samples.blobs(small.MAX_ROWS + 1, 2), {}),
    "many columns": (np.zeros((small.MAX_ROWS, 65)), {}),
    "a coordinate whose square is none": (far, {}),
    "a bandwidth below float32's": (1e-39 * samples.blobs(100, 2), {"bandwidth": 2e-39}),
    "a bandwidth above float32's": (1e39 * samples.blobs(100, 2), {"bandwidth": 2e39}),
    "float32": (samples.blobs(200, 2).astype(np.float32), {}),
    "bytes divided in float32": (TABLES["bytes"], {"bandwidth": np.float32(2 / 3)}),
    "a bandwidth for each column": (samples.blobs(200, 2), {"bandwidth": [2.0, 2.0]}),
}
NOT_ASKED = {
    "weights": {"sample_weight": np.full(200, 2.0)},
    "a weight of 0": {"sample_weight": np.arange(200.0) > 0},
    "seeds": {"seeds": [[0.0, 0.0], [5.0, 5.0]]},
    "every row a seed": {"bin_seeding": False},
    "a Gaussian kernel": {"kernel": "gaussian"},
    "basins": {"assign": "basin"},
    "coalescing": {"coalesce": 0.01},
    "progress": {"progress": lambda done, total, stage: None},
}


@pytest.mark.filterwarnings("ignore:Binning data failed")
@pytest.mark.parametrize(("X", "params"), LEFT.values(), ids=LEFT)
def test_what_is_not_plain_is_left_to_the_stages(X, params, calls):
    model = MeanShift(**PLAIN | params).fit(X)
    assert calls in ([], [0])
    assert len(model.labels_) == len(X)


def test_a_bandwidth_whose_seeds_are_objects_is_left_to_the_stages():
    X = samples.blobs(100, 2)
    settings = settings_of(MeanShift(**PLAIN))
    rows = Rows.of(X, UNWEIGHTED, UNWEIGHTED)
    assert small.serves(rows, 1.5, settings)
    assert not small.serves(rows, Fraction(3, 2), settings)


@pytest.mark.parametrize("asked", NOT_ASKED.values(), ids=NOT_ASKED)
def test_what_one_call_does_not_do_is_not_asked_of_it(asked, calls):
    X, asked = samples.blobs(200, 2), asked.copy()
    weights = asked.pop("sample_weight", None)
    model = MeanShift(**PLAIN | asked).fit(X, sample_weight=weights)
    assert calls == []
    assert len(model.labels_) == len(X)


@pytest.mark.jitless
@pytest.mark.parametrize("max_iter", [1, 2, 3, 300])
def test_more_rounds_than_there_is_room_for_are_left_to_the_stages(max_iter, calls, monkeypatch):
    monkeypatch.setattr(small, "MAX_ITER", 2)
    X, params = samples.blobs(300, 2), PLAIN | {"tol": 0.0, "max_iter": max_iter}
    assert_equal_fits(MeanShift(**params).fit(X), by_stages(X, params))
    assert len(calls) == (max_iter <= 2)


def test_a_fit_in_one_call_forgets_the_basins_of_the_last():
    X = samples.blobs(200, 2)
    model = MeanShift(**PLAIN | {"assign": "basin"}).fit(X)
    model.set_params(assign="nearest").fit(X)
    fresh = MeanShift(**PLAIN).fit(X)
    assert vars(model).keys() == vars(fresh).keys()


def test_what_is_found_is_the_callers_own():
    model = MeanShift(**PLAIN).fit(samples.blobs(200, 2))
    for name in ("cluster_centers_", "mode_weight_", "labels_"):
        found = getattr(model, name)
        assert found.flags.owndata
        assert found.flags.writeable
    assert model.history_.flags.writeable
