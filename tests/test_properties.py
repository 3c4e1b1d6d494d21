"""Whatever the table: the package and its slow twin agree, and what must not matter does not."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from meanshift_fast import MeanShift, estimate_bandwidth, get_bin_seeds, trace

pytestmark = pytest.mark.filterwarnings("ignore:Binning data failed:UserWarning")

SIZES = st.tuples(st.integers(1, 30), st.integers(1, 5))


@st.composite
def coarse_tables(draw, sizes=SIZES):
    """Few distinct coordinates: exact sums, duplicates, ties, rows exactly on the sphere."""
    whole = draw(arrays(np.int64, draw(sizes), elements=st.integers(-4, 4)))
    return whole * draw(st.sampled_from([0.25, 1.0, 8.0]))


@st.composite
def generic_tables(draw):
    """Normal variates of some scale and place: no two distances alike."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_samples, n_features = draw(SIZES)
    table = rng.standard_normal((n_samples, n_features)) * draw(st.sampled_from([0.01, 1.0, 300.0]))
    return table + draw(st.sampled_from([0.0, -5.0]))


@st.composite
def options(draw, X):
    """Any way to seed, stop and label, with a bandwidth on the scale of the table."""
    step = np.abs(X[X != 0]).min(initial=np.abs(X).max() or 1.0)
    params = {
        # Powers of two and small multiples: their squares, like those of the table, are exact.
        "bandwidth": step * draw(st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0, 5.0])),
        "cluster_all": draw(st.booleans()),
        "max_iter": draw(st.sampled_from([0, 1, 2, 300])),
    }
    how = draw(st.sampled_from(["rows", "bins", "seeds"]))
    if how == "bins":
        params |= {"bin_seeding": True, "min_bin_freq": draw(st.integers(1, 3))}
    if how == "seeds":
        shape = (draw(st.integers(1, 6)), X.shape[1])
        params["seeds"] = step * draw(arrays(np.int64, shape, elements=st.integers(-5, 5)))
    return params


def assert_agrees_with_the_twin(X, params):
    try:
        expected = naive.mean_shift(X, **params)
    except ValueError:
        with pytest.raises(ValueError, match=r"No point was within bandwidth=|min_bin_freq"):
            MeanShift(**params).fit(X)
        return
    found = MeanShift(**params).fit(X)

    assert found.bandwidth_ == pytest.approx(expected.bandwidth, rel=1e-12, abs=0)
    np.testing.assert_allclose(
        found.cluster_centers_, expected.centers, rtol=0, atol=1e-9 * found.bandwidth_
    )
    np.testing.assert_array_equal(found.mode_weight_, expected.support)
    np.testing.assert_array_equal(found.labels_, expected.labels)
    assert found.n_iter_ == expected.n_iter

    assert found.history_.dtype.names == expected.history.dtype.names
    for field in ("round", "n_active", "n_converged"):
        np.testing.assert_array_equal(found.history_[field], expected.history[field])
    for field in ("mean_shift", "max_shift"):
        np.testing.assert_allclose(
            found.history_[field], expected.history[field], rtol=1e-9, atol=1e-9 * found.bandwidth_
        )


@pytest.mark.jitless
@given(data=st.data())
def test_a_coarse_table_clusters_as_in_the_twin(data):
    X = data.draw(coarse_tables())
    assert_agrees_with_the_twin(X, data.draw(options(X)))


@pytest.mark.jitless
@given(data=st.data())
def test_a_generic_table_clusters_as_in_the_twin(data):
    X = data.draw(generic_tables())
    # The bandwidth is drawn from the twin's own distances, so that balls are neither all empty
    # nor all full.
    scale = naive.estimate_bandwidth(X, quantile=data.draw(st.sampled_from([0.1, 0.3, 0.9])))
    assume(scale > 0)
    params = data.draw(options(X)) | {"bandwidth": 1.01 * scale}
    if "seeds" in params:
        params["seeds"] = X[: data.draw(st.integers(1, 4))] + 0.1 * scale
    assert_agrees_with_the_twin(X, params)


@pytest.mark.jitless
@given(X=st.one_of(coarse_tables(), generic_tables()))
def test_an_estimated_bandwidth_clusters_as_in_the_twin(X):
    assert_agrees_with_the_twin(X, {})


@pytest.mark.jitless
@given(
    X=st.one_of(coarse_tables(), generic_tables()),
    quantile=st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)),
)
def test_the_estimated_bandwidth_is_the_twins(X, quantile):
    expected = naive.estimate_bandwidth(X, quantile=quantile)
    assert estimate_bandwidth(X, quantile=quantile) == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.jitless
@given(
    X=st.one_of(coarse_tables(), generic_tables()),
    bin_size=st.sampled_from([0.5, 1.0, 0.3, 16.0, 1e-3]),
    min_bin_freq=st.integers(1, 3),
    dtype=st.sampled_from([np.float64, np.float32]),
)
def test_bins_are_the_twins(X, bin_size, min_bin_freq, dtype):
    X = X.astype(dtype)
    expected = naive.bin_seeds(X, bin_size, min_bin_freq)
    seeds = get_bin_seeds(X, bin_size, min_bin_freq)
    assert len(seeds) == len(expected)
    if len(expected):
        np.testing.assert_array_equal(seeds, expected, strict=True)


@given(data=st.data())
def test_a_story_is_the_twins(data):
    X = data.draw(coarse_tables())
    params = data.draw(options(X))
    bandwidth, max_iter = params["bandwidth"], params["max_iter"]
    start = X[0] + data.draw(st.sampled_from([0.0, 0.5, 3.0])) * bandwidth
    story = trace(X, start, bandwidth=bandwidth, max_iter=max_iter)
    positions, shifts, support = naive.trajectory(
        X, np.ones(len(X)), start, bandwidth, max_iter=max_iter
    )
    np.testing.assert_allclose(story.positions[0], positions, rtol=0, atol=1e-12 * bandwidth)
    np.testing.assert_allclose(story.shifts[0], shifts, rtol=0, atol=1e-12 * bandwidth)
    np.testing.assert_array_equal(story.support[0], support[support > 0])


@given(X=coarse_tables(), radius=st.sampled_from([0.5, 1.0, 2.0]))
def test_a_centre_that_rests_is_the_mean_of_its_own_ball(X, radius):
    found = MeanShift(bandwidth=radius, tol=0).fit(X)
    assert found.n_iter_ < 300
    for center, weight in zip(found.cluster_centers_, found.mode_weight_, strict=True):
        mean, support = naive.shift(X, np.ones(len(X)), center, radius)
        np.testing.assert_allclose(mean, center, rtol=0, atol=1e-12 * radius)
        assert support == weight


@given(data=st.data())
def test_centres_are_more_than_a_bandwidth_apart_and_lighter_and_lighter(data):
    X = data.draw(coarse_tables())
    found = MeanShift(bandwidth=data.draw(options(X))["bandwidth"]).fit(X)
    for i, center in enumerate(found.cluster_centers_):
        others = found.cluster_centers_[i + 1 :]
        assert (naive.distances_sq(others, center) > found.bandwidth_**2).all()
    assert (np.diff(found.mode_weight_) <= 0).all()


@given(data=st.data())
def test_equal_rows_share_a_label(data):
    X = data.draw(coarse_tables())
    found = MeanShift(**data.draw(options(X)) | {"seeds": None, "bin_seeding": False}).fit(X)
    _, group = np.unique(X, axis=0, return_inverse=True)
    for rows in np.unique(group):
        assert len(np.unique(found.labels_[group == rows])) == 1


@given(data=st.data())
def test_a_whole_shift_of_whole_rows_changes_nothing(data):
    X = data.draw(arrays(np.int64, data.draw(SIZES), elements=st.integers(-4, 4)))
    by = data.draw(arrays(np.int64, X.shape[1], elements=st.integers(-1000, 1000)))
    # No distance between means of at most 30 whole rows is near a multiple of this one.
    here = MeanShift(bandwidth=1.3717).fit(X)
    there = MeanShift(bandwidth=1.3717).fit(X + by)

    np.testing.assert_allclose(there.cluster_centers_ - by, here.cluster_centers_, atol=1e-9)
    np.testing.assert_array_equal(there.mode_weight_, here.mode_weight_)
    assert there.n_iter_ == here.n_iter_
    # A row as far from one centre as from another may go to either: thirds round differently
    # in different places.
    to_center = np.sqrt([naive.distances_sq(X, center) for center in here.cluster_centers_])
    nearest = np.sort(np.vstack([to_center, np.full(len(X), np.inf)]), axis=0)
    torn = nearest[1] - nearest[0] < 1e-9
    np.testing.assert_array_equal(there.labels_[~torn], here.labels_[~torn])


@given(
    data=st.data(),
    exponent=st.sampled_from([-300, -20, -1, 1, 7, 300]),
    bin_seeding=st.booleans(),
)
def test_a_power_of_two_scales_the_centres_and_nothing_else(data, exponent, bin_seeding):
    X = data.draw(st.one_of(coarse_tables(), generic_tables()))
    bandwidth = data.draw(options(X))["bandwidth"]
    scale = 2.0**exponent
    here = MeanShift(bandwidth=bandwidth, bin_seeding=bin_seeding).fit(X)
    there = MeanShift(bandwidth=scale * bandwidth, bin_seeding=bin_seeding).fit(scale * X)

    np.testing.assert_array_equal(there.cluster_centers_, scale * here.cluster_centers_)
    np.testing.assert_array_equal(there.labels_, here.labels_)
    np.testing.assert_array_equal(there.mode_weight_, here.mode_weight_)
    assert there.n_iter_ == here.n_iter_
