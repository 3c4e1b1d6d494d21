"""What must not matter: the order of the rows, and how many clusters there are."""

import dask
import dask.dataframe
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn.cluster
from hypothesis import given, settings
from hypothesis import strategies as st

from meanshift_fast import MeanShift
from meanshift_fast.dask import MeanShift as DaskMeanShift
from meanshift_fast.models import load_model, save_model
from meanshift_fast.stream import fit_batches
from test_far_from_zero import WAYS, tables_and_offsets


@pytest.mark.filterwarnings("ignore:Binning data failed")
@pytest.mark.parametrize("fit", WAYS)
@given(
    drawn=tables_and_offsets(),
    seed=st.integers(0, 2**32 - 1),
    kernel=st.sampled_from(["flat", "gaussian"]),
    assign=st.sampled_from(["nearest", "basin"]),
    bin_seeding=st.booleans(),
)
def test_the_order_of_the_rows_changes_no_cluster(fit, drawn, seed, kernel, assign, bin_seeding):
    X, bandwidth, _ = drawn
    order = np.random.default_rng(seed).permutation(len(X))
    params = {
        "bandwidth": bandwidth, "kernel": kernel, "assign": assign, "bin_seeding": bin_seeding
    }  # fmt: skip
    here, there = fit(X, **params), fit(X[order], **params)
    assert len(there.cluster_centers_) == len(here.cluster_centers_)
    np.testing.assert_allclose(np.sort(there.mode_weight_), np.sort(here.mode_weight_), rtol=1e-3)
    pairs = {*zip(here.predict(X).tolist(), there.predict(X).tolist(), strict=True)}
    assert len(pairs) == len(here.cluster_centers_)


@st.composite
def whole_tables(draw):
    """Few or many rows of whole numbers, whose sums are exact in any order, and whole weights."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_samples = draw(st.sampled_from([5, 12, 30, 2000]))
    X = rng.integers(0, 9, (n_samples, draw(st.integers(1, 3)))).astype(float)
    weights = rng.integers(1, 4, n_samples).astype(float) if draw(st.booleans()) else None
    return X, weights, rng.permutation(n_samples)


@pytest.mark.filterwarnings("ignore:Binning data failed")
@settings(max_examples=40)
@given(
    drawn=whole_tables(),
    bandwidth=st.sampled_from([1.0, 1.5, 2.0]),
    assign=st.sampled_from(["nearest", "basin"]),
    bin_seeding=st.booleans(),
    cluster_all=st.booleans(),
)
def test_labels_move_with_rows_whose_sums_are_exact(drawn, bandwidth, **params):
    X, weights, order = drawn
    moved = None if weights is None else weights[order]
    here = MeanShift(bandwidth=bandwidth, **params).fit(X, sample_weight=weights)
    there = MeanShift(bandwidth=bandwidth, **params).fit(X[order], sample_weight=moved)
    np.testing.assert_array_equal(there.cluster_centers_, here.cluster_centers_)
    np.testing.assert_array_equal(there.mode_weight_, here.mode_weight_)
    np.testing.assert_array_equal(there.labels_, here.labels_[order])


@pytest.mark.filterwarnings("ignore:Binning data failed")
@settings(max_examples=40)
@given(
    drawn=tables_and_offsets(),
    seed=st.integers(0, 2**32 - 1),
    assign=st.sampled_from(["nearest", "basin"]),
    bin_seeding=st.booleans(),
)
def test_labels_by_the_gaussian_kernel_move_with_the_rows(drawn, seed, **params):
    X, bandwidth, _ = drawn
    rng = np.random.default_rng(seed)
    order, weights = rng.permutation(len(X)), rng.uniform(0.5, 2.0, len(X))
    model = MeanShift(bandwidth=bandwidth, kernel="gaussian", **params)
    here = model.fit(X, sample_weight=weights).labels_[order]
    there = model.fit(X[order], sample_weight=weights[order]).labels_
    pairs = {*zip(here.tolist(), there.tolist(), strict=True)}
    assert len(pairs) == len(model.cluster_centers_)


def grid_of(n_clusters, n_features, per=4):
    """So many small clusters on a lattice, their rows in no order; and the clusters of the rows."""
    rng = np.random.default_rng(0)
    side = int(np.ceil(n_clusters ** (1 / n_features)))
    centres = 6.0 * np.indices((side,) * n_features).reshape(n_features, -1).T[:n_clusters]
    which = rng.permutation(np.repeat(np.arange(n_clusters), per))
    return centres[which] + rng.uniform(-0.3, 0.3, (len(which), n_features)), which


def assert_finds(labels, n_centers, which):
    pairs = {*zip(labels.tolist(), which.tolist(), strict=True)}
    assert len(pairs) == n_centers == which.max() + 1


@pytest.mark.parametrize("n_features", [1, 2, 5])
@pytest.mark.parametrize("assign", ["nearest", "basin"])
@pytest.mark.parametrize(
    "params",
    [
        {"bandwidth": 1.2, "bin_seeding": True},
        {"bandwidth": 1.2, "cluster_all": False},
        {"bandwidth": 0.4, "kernel": "gaussian"},
        {"bandwidth": 1.2, "coalesce": 0.01},
    ],
    ids=lambda params: ", ".join(params),
)
def test_a_thousand_clusters_are_found(n_features, assign, params, tmp_path):
    X, which = grid_of(1000, n_features)
    model = MeanShift(assign=assign, **params).fit(X)
    assert_finds(model.labels_, len(model.cluster_centers_), which)
    assert_finds(model.predict(X + 1e-7), len(model.cluster_centers_), which)
    save_model(model, tmp_path / "model")
    assert_finds(load_model(tmp_path / "model").predict(X), 1000, which)


@pytest.mark.parametrize("fit", WAYS)
@pytest.mark.parametrize("assign", ["nearest", "basin"])
def test_ten_thousand_clusters_are_found(fit, assign):
    X, which = grid_of(10_000, 2)
    model = fit(X, bandwidth=1.2, bin_seeding=True, assign=assign)
    assert_finds(np.asarray(model.predict(X)), len(model.cluster_centers_), which)


FRAME = pd.DataFrame(grid_of(9, 2)[0], columns=["a", "b"])
OTHERS = {
    "in another order": FRAME[["b", "a"]],
    "of another name": FRAME.rename(columns={"a": "c"}),
    "one more": FRAME.assign(c=1.0),
    "one less": FRAME[["a"]],
}


@pytest.mark.parametrize("kind", [pl.from_pandas, pa.Table.from_pandas])
@pytest.mark.parametrize("table", OTHERS.values(), ids=OTHERS)
def test_frames_of_other_libraries_are_refused_in_scikit_learn_s_words(kind, table):
    errors = []
    for model in (MeanShift(bandwidth=1.0), sklearn.cluster.MeanShift(bandwidth=1.0)):
        with pytest.raises(ValueError, match="feature names should match") as caught:
            model.fit(kind(FRAME)).predict(kind(table))
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


@pytest.mark.parametrize("table", OTHERS.values(), ids=OTHERS)
def test_columns_in_another_order_or_of_other_names_are_not_predicted(table, tmp_path):
    fitted = MeanShift(bandwidth=1.0).fit(FRAME)
    save_model(fitted, tmp_path / "model")
    with dask.config.set(scheduler="sync"):
        by_columns = DaskMeanShift(bandwidth=1.0).fit(
            dask.dataframe.from_pandas(FRAME, npartitions=2)
        )
        lazily = dask.dataframe.from_pandas(table, npartitions=2)
        models = [
            fitted,
            MeanShift(bandwidth=1.0, assign="basin").fit(FRAME),
            fit_batches([FRAME], bandwidth=1.0),
            load_model(tmp_path / "model"),
            by_columns,
        ]
        for model in models:
            with pytest.raises(ValueError, match="feature names should match"):
                model.predict(table)
        with pytest.raises(ValueError, match="feature names should match"):
            models[1].score_samples(table)
        with pytest.raises(ValueError, match="feature names should match"):
            by_columns.predict(lazily)
