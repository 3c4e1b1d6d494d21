"""Seeds from bins: scikit-learn's to the last bit, as far as float32 holds the bins' numbers."""

import re
import warnings

import numpy as np
import pytest
import sklearn.cluster
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import naive
import samples
from meanshift_fast import MeanShift, get_bin_seeds, mean_shift
from meanshift_fast._cluster import bins
from meanshift_fast._index import thresholds

RNG = np.random.default_rng(0)


def called(function, X, *args):
    """What a call answers, and what it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        seeds = function(X, *args)
    return seeds, [str(entry.message) for entry in caught if entry.category is UserWarning]


def assert_seeds_are_scikit_learns(X, *args):
    expected, expected_warnings = called(sklearn.cluster.get_bin_seeds, X, *args)
    found, found_warnings = called(get_bin_seeds, X, *args)
    assert found_warnings == expected_warnings
    assert (found is X) == (expected is X)
    if not len(expected):
        assert found.shape == (0, X.shape[1])
        return
    assert found.shape == expected.shape
    bin_size = args[0]
    far = np.abs(expected.astype(np.float64) / np.float64(bin_size)) > 2**24
    if found is not X and far.any():
        with warnings.catch_warnings(action="ignore"):
            twins = naive.bin_seeds(X, *args)
        np.testing.assert_array_equal(found, twins, strict=True)
        expected = np.where(far, found, expected)
    assert found.dtype == expected.dtype
    # Bytes, because 0.0 and -0.0 are equal.
    assert found.tobytes() == expected.tobytes()


HALVES = samples.lattice(9, 4) / 2 - 2
# Each bin twice at least, unless a case is about rows with bins of their own.
TABLES = {
    "blobs": samples.blobs(900, 2),
    "1-d": samples.blobs(500, 1),
    "3-d, both signs": samples.blobs(900, 3) - 5,
    "64-d": np.repeat(samples.blobs(60, 64), 3, axis=0),
    "halves and quarters": samples.scattered(900, 2, side=33, step=0.25) - 4,
    "thirds": samples.scattered(900, 2, side=33) / 3 - 4,
    "zeros of both signs": RNG.choice([-0.2, -0.0, 0.0, 0.2, 1.0], size=(60, 3)),
    "an outlier": np.vstack([samples.blobs(400, 2), [[1e9, -1e7]]]),
    "far": 1e7 + samples.blobs(400, 2),
    "spread": 1e12 * np.repeat(RNG.standard_normal((300, 2)), 2, axis=0),
    "bins beyond 2**53": 1e20 * RNG.integers(-3, 4, (300, 2)),
    "a constant column": np.column_stack([samples.blobs(300, 2), np.full(300, 7.3)]),
    "one row": np.array([[0.3, -0.4]]),
    "two equal rows": np.array([[0.3, -0.4], [0.3, -0.4]]),
    "pixels": samples.pixels(20),
    "left of zero": samples.blobs(400, 3) - 7,
    "halves, which round to even": np.vstack([HALVES, HALVES]),
    "negative zeros": np.array([[-0.0, 0.2], [0.0, -0.2], [-0.1, 0.0], [5.0, -0.0]]),
    "large": 1e6 * samples.blobs(300, 2),
    "whole": samples.scattered(200, 2, side=40).astype(np.int64) - 20,
    "small whole": samples.scattered(200, 3, side=9).astype(np.int8) - np.int8(4),
    "Fortran order": np.asfortranarray(samples.blobs(200, 2)),
    "backwards": samples.blobs(200, 2)[::-1, ::-1],
}
SIZES = [0.5, 1, 0.3, 2.0, 1e-3, 1e6, 1e12, -0.7, np.float64(0.3), np.float32(0.3), np.int32(2)]


@pytest.mark.jitless
@pytest.mark.parametrize("bin_size", SIZES, ids=lambda size: f"{type(size).__name__} {size}")
@pytest.mark.parametrize("X", TABLES.values(), ids=TABLES)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_the_seeds_are_scikit_learns(X, bin_size):
    for min_bin_freq in (1, 2, 4, 0, 1.5, -3):
        assert_seeds_are_scikit_learns(X, bin_size, min_bin_freq)


@pytest.mark.jitless
@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "int8", "uint8", "int16", "int32", "int64", "uint64", "bool"]
)
@pytest.mark.parametrize("bin_size", SIZES, ids=lambda size: f"{type(size).__name__} {size}")
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_the_seeds_of_any_dtype_are_scikit_learns(dtype, bin_size):
    X = (samples.blobs(300, 2) * 3).astype(dtype)
    own_size = 2 if dtype == "bool" else X.dtype.type(2)
    if np.issubdtype(dtype, np.signedinteger) or np.issubdtype(dtype, np.floating):
        X = X - X.dtype.type(9)
    for min_bin_freq in (1, 3):
        assert_seeds_are_scikit_learns(X, bin_size, min_bin_freq)
        assert_seeds_are_scikit_learns(X, own_size, min_bin_freq)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("bin_size", [0.1, 0.3, 1 / 3, 7.7, np.float32(0.1), np.float16(0.1)])
def test_the_quotient_is_rounded_as_in_the_tables_own_precision(dtype, bin_size):
    """Halves of bins and their neighbours, where a quotient of more digits rounds elsewhere."""
    halves = (np.arange(-60, 60) * float(bin_size) / 2).astype(dtype)
    near = np.concatenate(
        [halves, np.nextafter(halves, dtype(99)), np.nextafter(halves, dtype(-99))]
    )
    assert_seeds_are_scikit_learns(near[:, None], bin_size)
    assert_seeds_are_scikit_learns(near[:, None], np.float64(bin_size))


@pytest.mark.parametrize("n_features", [1, 2, 5])
def test_many_bins_are_scikit_learns(n_features):
    X = RNG.uniform(-1, 1, (20_000, n_features))
    for bin_size in (0.5, 0.01, 1e-5):
        assert_seeds_are_scikit_learns(np.vstack([X, X[::-2]]), bin_size, 2)


@pytest.mark.jitless
@pytest.mark.parametrize("bin_size", [0.4, 1.0, 1e-7, 1e7])
def test_the_seeds_are_the_twins(bin_size):
    X = np.vstack([samples.blobs(200, 3), samples.blobs(20, 3, seed=1)] * 2)
    for min_bin_freq in (1, 2, 30):
        np.testing.assert_array_equal(
            get_bin_seeds(X, bin_size, min_bin_freq),
            naive.bin_seeds(X, bin_size, min_bin_freq),
            strict=True,
        )


@pytest.mark.jitless
@pytest.mark.parametrize("n_features", [1, 2, 3])
def test_a_slot_for_each_bin_and_hashing_find_the_same(n_features):
    """A far row takes away the room for a slot each, and adds one seed."""
    X = samples.blobs(300, n_features)
    far = np.full((1, n_features), 1e12)
    seeds = get_bin_seeds(np.vstack([X, far]), 0.5)
    np.testing.assert_array_equal(seeds[:-1], get_bin_seeds(X, 0.5))


@pytest.mark.parametrize("bin_size", [2.0, 0.1, 1e-4])
@pytest.mark.parametrize("far", [10.0, 1e12], ids=["slots", "hashing"])
def test_rows_in_parts_fall_into_the_same_bins(far, bin_size, monkeypatch):
    """Some bins are of one part only, some of both; the last are a row's own."""
    X = np.vstack([samples.blobs(5000, 2), [[far, far]], samples.blobs(4000, 2, seed=1)])
    X.flags.writeable = False
    everywhere = np.empty(0, dtype=np.int64)
    rows, counts = bins.find_bins(X, bin_size, everywhere)
    keys = np.rint(X / bin_size)
    _, first, often = np.unique(keys, axis=0, return_index=True, return_counts=True)
    np.testing.assert_array_equal(rows, np.sort(first))
    np.testing.assert_array_equal(counts, often[np.argsort(first)])
    monkeypatch.setattr(thresholds, "MIN_PARALLEL_BIN_ROWS", 100)
    for n_parts in (2, 3, 7):
        monkeypatch.setattr(bins, "part_count", lambda n=n_parts: n)
        found = bins.find_bins(X, bin_size, everywhere)
        np.testing.assert_array_equal(found[0], rows, strict=True)
        np.testing.assert_array_equal(found[1], counts, strict=True)


@pytest.mark.jitless
@pytest.mark.parametrize("bin_size", [0.5, 0.3, np.float64(0.3), np.float32(0.25), 7])
@pytest.mark.parametrize("place", [2**24, 1e9, 1.7e9, 2.0**44, 1.7e18, 1e25])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_bins_far_from_zero_have_their_seed_within_half_a_bin(bin_size, place, dtype):
    if dtype == np.int64 and place > 1e18:
        place = 1e18
    X = (place * (1 + np.finfo(np.float32).eps * np.arange(-6, 7))).astype(dtype)
    X = np.column_stack([X, np.arange(13)]).repeat(2, axis=0).astype(dtype)
    seeds = get_bin_seeds(X, bin_size)
    away = np.abs(seeds[:, None].astype(float) - X.astype(float)).min(axis=1)
    is_far = float(X.max()) / bin_size > 2**24
    step = np.spacing(float(X.max()) if is_far else np.float32(X.max()))
    assert (away <= (0.5 + 1e-6) * bin_size + 2 * step).all()
    if bin_size < step / 2:
        assert (away[:, 0] == 0).all()


@pytest.mark.jitless
def test_a_row_far_away_moves_no_other_seed():
    X = samples.blobs(300, 2)
    for bin_size in (0.3, np.float64(0.3)):
        near = get_bin_seeds(X, bin_size)
        with_far = get_bin_seeds(np.vstack([X, [[1.7e9, 3.0]]]), bin_size)
        np.testing.assert_array_equal(with_far[:-1], near)
        assert abs(with_far[-1, 0] - 1.7e9) <= 0.15
        assert with_far.dtype == np.float64


@pytest.mark.jitless
def test_bins_do_not_depend_on_the_layout():
    X = np.repeat(samples.blobs(100, 3), 2, axis=0)
    expected = get_bin_seeds(X, 0.7)
    read_only = X.copy()
    read_only.flags.writeable = False
    for same in (np.asfortranarray(X), X[::-1][::-1], np.repeat(X, 2, axis=1)[:, ::2], read_only):
        np.testing.assert_array_equal(get_bin_seeds(same, 0.7), expected, strict=True)
    np.testing.assert_array_equal(get_bin_seeds(X.tolist(), 0.7), expected, strict=True)


@pytest.mark.jitless
def test_the_table_is_left_alone():
    X = np.repeat(samples.blobs(40, 2), 2, axis=0)
    before = X.copy()
    get_bin_seeds(X, 0.5)
    np.testing.assert_array_equal(X, before)
    assert X.flags.writeable


@pytest.mark.jitless
@pytest.mark.parametrize("zero", [0, 0.0, -0.0, np.float32(0), np.float64(0), np.int8(0)])
def test_bins_of_no_size_are_the_rows_themselves(zero):
    X = samples.blobs(9, 2)
    assert get_bin_seeds(X, zero) is X


@pytest.mark.jitless
def test_a_bin_for_each_row_warns_and_gives_the_rows_themselves():
    X = samples.blobs(30, 2)
    message = "Binning data failed with provided bin_size=0.000010, using data points as seeds."
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$") as caught:
        assert get_bin_seeds(X, 1e-5) is X
    assert caught[0].filename == __file__


@pytest.mark.jitless
@pytest.mark.parametrize("bin_size", [0.5, 1e9, 1e-9])
def test_a_frequency_that_no_bin_reaches_leaves_an_empty_table(bin_size):
    assert get_bin_seeds(samples.blobs(50, 3), bin_size, 51).shape == (0, 3)


# Where float32 cannot hold the bin size, scikit-learn's seeds are zeros, infinite or NaN.


@pytest.mark.jitless
@pytest.mark.parametrize("exponent", [-1000, -500, -200, 200, 500, 1000])
def test_seeds_scale_with_the_table_beyond_float32(exponent):
    X = samples.scattered(200, 2, side=50, step=0.25)
    expected = get_bin_seeds(X, 1.0).astype(np.float64)
    scaled = get_bin_seeds(np.ldexp(X, exponent), 2.0**exponent)
    np.testing.assert_array_equal(scaled, np.ldexp(expected, exponent), strict=True)


@pytest.mark.jitless
@pytest.mark.parametrize("bin_size", [0.5, 3, -0.7, np.float32(0.3), 1e-300])
def test_bins_whose_numbers_float32_cannot_hold_have_finite_seeds(bin_size):
    X = np.array([[1e39, 0.0], [1e39, 0.0], [-1e300, 2.0], [-1e300, 2.0]])
    seeds = get_bin_seeds(X, bin_size)
    np.testing.assert_allclose(seeds, X[::2], rtol=1e-12, atol=2.0)
    assert seeds.dtype == np.float64


@pytest.mark.jitless
def test_a_bin_beyond_all_rows_has_its_seed_at_zero():
    X = samples.blobs(30, 2).astype(np.float32)
    np.testing.assert_array_equal(get_bin_seeds(X, 1e300), [[0.0, 0.0]])


@pytest.mark.jitless
@pytest.mark.parametrize(("dtype", "bin_size"), [(np.float32, 1e-50), (np.float16, 1e-9)])
def test_a_bin_size_that_vanishes_in_the_tables_precision_is_not_divided_by(dtype, bin_size):
    X = np.array([[0.0, 1.0], [0.0, 1.0], [0.5, 0.25], [0.0, 0.0]], dtype=dtype)
    seeds = get_bin_seeds(X, bin_size)
    assert seeds.shape == (3, 2)
    np.testing.assert_array_equal(seeds[2], [0.0, 0.0])


@pytest.mark.jitless
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"bin_size": np.nan}, "bin_size.*got nan"),
        ({"bin_size": np.inf}, "bin_size.*got inf"),
        ({"bin_size": "wide"}, "bin_size.*got 'wide'"),
        ({"bin_size": 1.0, "min_bin_freq": np.nan}, "min_bin_freq.*got nan"),
        ({"bin_size": 1.0, "min_bin_freq": "few"}, "min_bin_freq.*got 'few'"),
    ],
)
def test_a_bad_parameter_is_named_with_its_value(params, message):
    with pytest.raises(ValueError, match=f"(?i){message}"):
        get_bin_seeds(samples.blobs(20, 2), **params)


@pytest.mark.jitless
@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[1.0, np.nan]], "NaN"),
        ([[1.0, -np.inf]], "infinity"),
        ([[1.0, 2j]], "Complex data not supported"),
        (np.empty((0, 2)), "0 sample"),
        (np.empty((2, 0)), "0 feature"),
        ([1.0, 2.0], "Expected 2D array"),
    ],
)
def test_a_bad_table_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        get_bin_seeds(X, 1.0)


@pytest.mark.jitless
def test_bins_that_hash_to_one_slot_are_told_apart():
    """Rows are compared by their bins; the hash only says where to look."""
    X = np.arange(12.0)[:, None]
    rows, counts = np.empty((2, 24), dtype=np.int64)
    noted = bins.Bins(np.zeros(16, dtype=np.int32), rows, counts)
    points = np.vstack([X, X[::-1]])
    points.flags.writeable = False
    n_bins = np.zeros(1, dtype=np.int64)
    bins._count_bins(
        points, np.array([0, 24]), 0, 24, bins.BinGrid(1.0, np.zeros(1), np.empty(1), True), noted,
        np.array([0, 16]), n_bins, rows[:0],
    )  # fmt: skip
    assert n_bins == [12]
    np.testing.assert_array_equal(rows[:12], np.arange(12))
    np.testing.assert_array_equal(counts[:12], 2)


@pytest.mark.jitless
@pytest.mark.parametrize(
    ("dtype", "bin_size", "far"), [(np.float32, 1e-10, 1e30), (np.float16, 1e-3, 100.0)]
)
def test_bins_whose_numbers_the_tables_precision_cannot_hold_are_told_apart(dtype, bin_size, far):
    X = np.array([[far], [1.5 * far], [far], [-far], [2 * far]], dtype=dtype)
    np.testing.assert_allclose(get_bin_seeds(X, bin_size), X[[0, 1, 3, 4]], rtol=1e-3)


# The warning is about the line that called, by whatever way.


def pipeline_fit(X):
    return make_pipeline(FunctionTransformer(), MeanShift(bandwidth=1e-5, bin_seeding=True)).fit(X)


CALLS = {
    "get_bin_seeds": lambda X: get_bin_seeds(X, 1e-5),
    "mean_shift": lambda X: mean_shift(X, bandwidth=1e-5, bin_seeding=True),
    "fit": lambda X: MeanShift(bandwidth=1e-5, bin_seeding=True).fit(X),
    "fit_predict": lambda X: MeanShift(bandwidth=1e-5, bin_seeding=True).fit_predict(X),
    "an array": lambda X: MeanShift(bandwidth=[1e-5, 2e-5], bin_seeding=True).fit(X),
    "a pipeline": pipeline_fit,
    "balls that are empty": lambda X: MeanShift(bandwidth=4.0, bin_seeding=True).fit(
        np.random.default_rng(0).normal(size=(30, 60)).repeat(2, axis=0)
    ),
}


@pytest.mark.parametrize("name", [*CALLS])
def test_the_warning_points_at_the_line_that_called(name):
    call = CALLS[name]
    with pytest.warns(UserWarning, match="Binning data failed") as caught:
        call(samples.blobs(30, 2))
    lines = {line for _, _, line in call.__code__.co_lines() if line}
    assert [warning.filename for warning in caught] == [__file__]
    assert caught[0].lineno in lines
