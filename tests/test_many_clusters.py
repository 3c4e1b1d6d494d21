"""Two thousand clusters: whatever answers for three answers for them."""

import dask
import dask.array as da
import numpy as np
import pytest

from meanshift_fast import MeanShift, bandwidth_curve
from meanshift_fast.dask import MeanShift as DaskMeanShift
from meanshift_fast.models import load_model, save_model
from meanshift_fast.plot import MeanShiftDisplay
from meanshift_fast.stream import fit_batches

SHAPE = 40, 50
CENTRES = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1).reshape(-1, 2)
NUMBERS = np.random.default_rng(0).permutation(np.repeat(np.arange(len(CENTRES)), 4))
X = CENTRES[NUMBERS] + np.random.default_rng(1).uniform(-0.1, 0.1, (len(NUMBERS), 2))
SETTINGS = {"bandwidth": 0.3, "bin_seeding": True}


def check(model, labels):
    """Each cluster is the rows about one point of the lattice."""
    assert len(model.cluster_centers_) == len(CENTRES)
    first = np.unique(NUMBERS, return_index=True)[1]
    np.testing.assert_array_equal(labels, labels[first][NUMBERS])
    assert len(np.unique(labels)) == len(CENTRES)


@pytest.mark.parametrize("assign", ["nearest", "basin"])
@pytest.mark.parametrize("kernel", ["flat", "gaussian"])
def test_a_fit_and_its_prediction_have_them_all(kernel, assign):
    settings = {"bandwidth": 0.3 if kernel == "flat" else 0.15, "bin_seeding": True}
    model = MeanShift(**settings, kernel=kernel, assign=assign).fit(X)
    check(model, model.labels_)
    np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_merging_by_prominence_keeps_apart_what_does_not_touch():
    model = MeanShift(**SETTINGS, assign="basin", min_prominence="auto").fit(X)
    check(model, model.labels_)
    np.testing.assert_array_equal(model.labels_at(0.9), model.labels_)


def test_streams_and_dask_have_them_all():
    streamed = fit_batches([X[:3000], X[3000:]], **SETTINGS)
    check(streamed, streamed.predict(X))
    with dask.config.set(scheduler="sync"):
        model = DaskMeanShift(**SETTINGS).fit(da.from_array(X, chunks=(2000, 2)))
        check(model, model.labels_.compute())


def test_a_model_file_keeps_them_all(tmp_path):
    model = MeanShift(**SETTINGS).fit(X)
    save_model(model, tmp_path / "model")
    np.testing.assert_array_equal(load_model(tmp_path / "model").predict(X), model.labels_)


def test_the_curve_counts_them():
    curve = bandwidth_curve(X, [0.3, 0.31])
    np.testing.assert_array_equal(curve.n_clusters, len(CENTRES))


def test_a_picture_shows_them():
    model = MeanShift(**SETTINGS).fit(X)
    ax = MeanShiftDisplay.from_estimator(model, X).ax_
    assert "2,000 clusters" in ax.get_title()
