"""Batches and partitions: the errors are those of a fit in memory, however the rows are cut."""

import math
from fractions import Fraction

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

import samples
from meanshift_fast import MeanShift
from meanshift_fast._input.metrics import EUCLIDEAN
from meanshift_fast._summaries import tasks
from meanshift_fast._summaries.partitions import checked_partition
from meanshift_fast._summaries.priority_sample import Sample
from meanshift_fast.dask import MeanShift as DaskMeanShift
from meanshift_fast.stream import fit_batches

X = samples.blobs(40, 2)


@pytest.fixture(autouse=True)
def _in_this_thread():
    with dask.config.set(scheduler="sync"):
        yield


def in_memory(table, weights, n_cuts, **params):
    return MeanShift(**params).fit(table, sample_weight=weights)


def as_stream(table, weights, n_cuts, **params):
    cut = np.array_split(np.arange(len(table)), n_cuts)
    batches = [table[rows] if weights is None else (table[rows], weights[rows]) for rows in cut]
    return fit_batches(batches, **params)


def by_dask(table, weights, n_cuts, **params):
    chunks = (-(-len(table) // n_cuts), 2)
    rows = da.from_array(table, chunks=chunks, asarray=False)
    return DaskMeanShift(**params).fit(rows, sample_weight=weights)


WAYS = pytest.mark.parametrize("fit", [in_memory, as_stream, by_dask])
BANDWIDTHS = pytest.mark.parametrize("bandwidth", [1.0, None, "scott", "stable"])


@WAYS
@BANDWIDTHS
def test_weights_that_are_all_zero_are_refused(fit, bandwidth):
    with pytest.raises(ValueError, match="sample_weight must be positive for at least one row"):
        fit(X, np.zeros(40), 4, bandwidth=bandwidth)


@WAYS
@pytest.mark.parametrize("n_cuts", [1, 4, 40])
@pytest.mark.parametrize(
    ("weight", "good"), [(1e-26, True), (1e-27, False), (2e23, True), (1e24, False), (1e26, False)]
)
def test_the_limits_of_weights_are_those_of_their_sum(fit, n_cuts, weight, good):
    weights = np.full(40, weight)
    if good:
        assert len(fit(X, weights, n_cuts, bandwidth=1.0).cluster_centers_) == 4
        return
    for bandwidth in (1.0, None):
        with pytest.raises(ValueError, match="sample_weight must have a sum between 1e-25 and"):
            fit(X, weights, n_cuts, bandwidth=bandwidth)


@WAYS
@BANDWIDTHS
def test_masked_values_are_refused(fit, bandwidth):
    masked = np.ma.masked_greater(np.where(np.arange(40)[:, None] == 11, 999.0, X), 900.0)
    with pytest.raises(ValueError, match=r"must have no masked values, got one at row 1.*filled"):
        fit(masked, None, 4, bandwidth=bandwidth)
    weights = np.ma.masked_equal(np.where(np.arange(40) == 11, 7.0, 1.0), 7.0)
    with pytest.raises(ValueError, match=r"sample_weight must have no masked values.*weight 0"):
        fit(X, weights, 4, bandwidth=bandwidth)
    plain = fit(np.ma.array(X), np.ma.ones(40), 4, bandwidth=bandwidth)
    assert len(plain.cluster_centers_) == len(fit(X, None, 4, bandwidth=bandwidth).cluster_centers_)


@BANDWIDTHS
def test_no_rows_at_all_are_refused(bandwidth):
    message = "at least one row, got none"
    with pytest.raises(ValueError, match=message):
        fit_batches([X[:0], X[:0]], bandwidth=bandwidth)
    left = da.from_array(X, chunks=(10, 2))
    nothing = dd.from_pandas(pd.DataFrame(X, columns=["a", "b"]), npartitions=3)
    for none_left in (left[left[:, 0] > 1e9], nothing[nothing.a > 1e9], left[:0]):
        with pytest.raises(ValueError, match=message):
            DaskMeanShift(bandwidth=bandwidth).fit(none_left)


@BANDWIDTHS
@pytest.mark.parametrize("n_columns", [1, 3])
def test_blocks_of_other_columns_than_the_metadata_are_refused(bandwidth, n_columns):
    rows = da.from_array(np.tile(X, 2)[:, :n_columns], chunks=(10, n_columns))
    wrong = da.map_blocks(lambda block: block, rows, chunks=(rows.chunks[0], (2,)), meta=X[:0])
    with pytest.raises(ValueError, match=rf"partition \d must have 2 columns.*got {n_columns}"):
        DaskMeanShift(bandwidth=bandwidth).fit(wrong)


def test_a_number_of_columns_that_is_not_known_is_refused():
    rows = da.from_array(X, chunks=(10, 2))
    unknown = da.map_blocks(lambda block: block, rows, chunks=(rows.chunks[0], (np.nan,)))
    with pytest.raises(ValueError, match=r"X must have a known number of columns"):
        DaskMeanShift(bandwidth=1.0).fit(unknown)


@pytest.mark.parametrize("table", [X[:, :1], np.tile(X, 2), np.tile(X, 2)[:, :3]])
def test_a_second_pass_of_other_columns_is_refused(table):
    passes = iter([[X], [table]])
    with pytest.raises(ValueError, match="batch 0 must have as many columns in each pass as"):
        fit_batches(lambda: next(passes), bandwidth=None)
    frames = iter([[pd.DataFrame(X, columns=names)] for names in (["a", "b"], ["b", "a"])])
    with pytest.raises(ValueError, match="batch 0 must have the columns of batch 0 in their order"):
        fit_batches(lambda: next(frames), bandwidth=None)


@pytest.mark.parametrize("fit", [as_stream, by_dask])
@pytest.mark.parametrize("weight", [0.0, 1e-20])
def test_a_cell_whose_mean_rounds_across_a_border_at_zero_ends_the_fit(fit, weight):
    table = np.zeros((20_001, 2))
    table[0, 0], table[-1] = 0.06, 5.0
    weights = np.random.default_rng(1).random(len(table))
    weights[0] = weight
    model = fit(table, weights, 1, bandwidth=1.0, n_fine=1)
    assert len(model.cluster_centers_) == 2


def test_samples_of_partitions_add_up_their_weights_exactly():
    rng = np.random.default_rng(0)
    weights = np.concatenate([rng.random(500), 10.0 ** rng.uniform(-300, 300, 500), [0.0, 5e-324]])
    for some in (weights[:500], weights[500:], weights, np.array([1e308, 1e308])):
        for n_cuts in (1, 2, len(some)):
            merged = Sample()
            for part in np.array_split(some, n_cuts):
                sample = Sample()
                sample.add(np.zeros((len(part), 1)), part)
                merged.merge(sample)
            exact = sum(map(Fraction, some.tolist()))
            assert merged.total == (math.inf if exact > Fraction(2) ** 1024 else float(exact))
    unweighted = Sample()
    unweighted.add(np.zeros((7, 1)))
    assert unweighted.total == 7.0


def test_a_merge_of_samples_that_is_run_again_counts_no_row_twice():
    parts = [
        tasks.sampled(checked_partition(X[start : start + 20], None, "rows"), start, EUCLIDEAN)
        for start in (0, 20)
    ]
    for _ in range(2):
        rows, weights = tasks.merged_samples(parts).drawn()
        np.testing.assert_array_equal(rows, X)
        assert weights.size == 0
