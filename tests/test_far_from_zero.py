"""Far from 0: what is added to all rows is added to the centres, and changes no cluster."""

import dask
import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meanshift_fast import MeanShift, bandwidth_curve, get_bin_seeds
from meanshift_fast._cli.main import main
from meanshift_fast.dask import MeanShift as DaskMeanShift
from meanshift_fast.stream import fit_batches

TIMES = np.concatenate(
    [np.random.RandomState(0).uniform(begin, begin + 0.3, 12) for begin in (0, 10, 20, 30)]
)
SECONDS = (TIMES + 1.7e9)[:, None]
NANOSECONDS = (SECONDS * 1e9).astype(np.int64)
GROUPS = np.repeat([3, 2, 1, 0], 12)  # equally many: centres in falling order


def as_stream(X, **params):
    return fit_batches([X[: len(X) // 2], X[len(X) // 2 :]], **params)


def by_dask(X, **params):
    with dask.config.set(scheduler="sync"):
        return DaskMeanShift(**params).fit(da.from_array(X, chunks=(-(-len(X) // 2), X.shape[1])))


def in_memory(X, **params):
    return MeanShift(**params).fit(X)


WAYS = [in_memory, as_stream, by_dask]


def labels_of(model, X):
    return np.asarray(model.predict(X))


@pytest.mark.parametrize("fit", WAYS)
@pytest.mark.parametrize("assign", ["nearest", "basin"])
@pytest.mark.parametrize("bin_seeding", [False, True])
@pytest.mark.parametrize("unit", [1, 10**9])
@pytest.mark.parametrize("rule", [float, np.float64, lambda width: [width], lambda _: "stable"])
def test_times_since_1970_keep_their_groups(fit, assign, bin_seeding, unit, rule):
    X = SECONDS if unit == 1 else NANOSECONDS
    model = fit(X, bandwidth=rule(0.5 * unit), bin_seeding=bin_seeding, assign=assign)
    assert len(model.cluster_centers_) == 4
    _, expected = np.unique(GROUPS, return_inverse=True)
    _, found = np.unique(labels_of(model, X), return_inverse=True)
    assert len({*zip(expected.tolist(), found.tolist(), strict=True)}) == 4


def test_a_curve_tries_what_a_fit_finds():
    curve = bandwidth_curve(SECONDS)
    model = MeanShift(bandwidth=curve.bandwidth, bin_seeding=True).fit(SECONDS)
    assert len(model.cluster_centers_) == curve.n_centers == 4
    assert len(get_bin_seeds(SECONDS, curve.bandwidth)) >= 4


def test_the_command_finds_the_groups(tmp_path, capsys):
    np.save(tmp_path / "times.npy", SECONDS)
    for more in ([], ["--stream"]):
        args = ["--bandwidth", "0.5", "--bin-seeding", "-o", str(tmp_path / "labels.npy"), *more]
        assert main(["cluster", str(tmp_path / "times.npy"), *args]) == 0
        assert len(np.unique(np.load(tmp_path / "labels.npy"))) == 4
    capsys.readouterr()


@st.composite
def tables_and_offsets(draw):
    """Groups apart on a grid of 1/64, where sums with the offset are exact, and the bandwidth."""
    n_features = draw(st.sampled_from([1, 2, 3, 7]))
    bandwidth = draw(st.sampled_from([0.5, 1.0, 2.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_groups, n_samples = draw(st.integers(1, 5)), draw(st.integers(8, 60))
    reach = draw(st.sampled_from([0.1, 0.3, 0.6])) * bandwidth / n_features**0.5
    groups = rng.permuted(np.arange(12.0))[:n_groups] * 8.0 * bandwidth
    which = rng.integers(n_groups, size=n_samples)
    X = groups[which, None] + rng.uniform(-reach, reach, (n_samples, n_features))
    # whole bins, and an even number of them: halves round to even in both places
    unit = 2.0 * bandwidth
    size = 2.0 ** draw(st.sampled_from([0, 10, 20, 23, 24, 25, 26, 31, 38, 44]))
    offset = np.round(rng.uniform(-size, size, n_features) / unit) * unit
    return np.round(X * 64.0) / 64.0, bandwidth, offset


@pytest.mark.parametrize("fit", WAYS)
@pytest.mark.parametrize("kernel", ["flat", "gaussian"])
@given(
    drawn=tables_and_offsets(),
    assign=st.sampled_from(["nearest", "basin"]),
    bin_seeding=st.booleans(),
    rule=st.sampled_from([float, np.float64, list]),
    coalesce=st.sampled_from([0.0, 0.01]),
)
def test_what_is_added_to_all_rows_changes_no_cluster(
    fit, kernel, drawn, assign, bin_seeding, rule, coalesce
):
    X, bandwidth, offset = drawn
    moved = X + offset
    np.testing.assert_array_equal(moved - offset, X)
    n_features = X.shape[1]
    params = {
        "bandwidth": [bandwidth] * n_features if rule is list else rule(bandwidth),
        "kernel": kernel,
        "assign": assign,
        "bin_seeding": bin_seeding,
        "coalesce": coalesce,
    }
    here, there = fit(X, **params), fit(moved, **params)
    assert len(there.cluster_centers_) == len(here.cluster_centers_)
    step = np.spacing(np.abs(moved).max())
    away = np.abs(there.cluster_centers_[:, None] - offset - here.cluster_centers_).max(axis=2)
    assert (away.min(axis=0) <= 0.01 * bandwidth + 4 * step).all()
    pairs = {*zip(labels_of(here, X).tolist(), labels_of(there, moved).tolist(), strict=True)}
    assert len(pairs) == len(here.cluster_centers_)


# "stable" tries bins, which lie elsewhere when the rows do.
@pytest.mark.parametrize("rule", [None, "scott", "silverman"])
@given(drawn=tables_and_offsets())
def test_what_is_added_to_all_rows_changes_no_estimate(rule, drawn):
    X, _, offset = drawn
    here, there = (MeanShift(bandwidth=rule).fit(table).bandwidth_ for table in (X, X + offset))
    assert there == pytest.approx(here, rel=1e-6, abs=8 * np.spacing(np.abs(X + offset).max()))
