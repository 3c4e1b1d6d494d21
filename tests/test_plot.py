"""The pictures: what is drawn, where, and in colours that differ."""

from itertools import pairwise

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

import samples
from bench.workloads import blobs
from meanshift_fast import MeanShift, trace
from meanshift_fast.curve import bandwidth_curve
from meanshift_fast.datasets import demo_table
from meanshift_fast.plot import COLOURS, MeanShiftDisplay, colours_apart

X = demo_table()


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def model():
    return MeanShift(bandwidth=2.5).fit(X)


def luminance(code):
    rgb = np.array([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


def test_the_display_draws_on_the_axes_it_is_given(model):
    _, ax = plt.subplots()
    display = MeanShiftDisplay.from_estimator(model, X, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure


def test_rows_are_drawn_where_they_are_and_centres_upon_them(model):
    rows, centers = MeanShiftDisplay.from_estimator(model, X).ax_.collections
    np.testing.assert_array_equal(rows.get_offsets(), X)
    np.testing.assert_array_equal(centers.get_offsets(), model.cluster_centers_)


def test_the_legend_counts_the_rows_beside_the_axes(model):
    display = MeanShiftDisplay.from_estimator(model, X)
    legend = display.ax_.get_legend()
    said = [text.get_text() for text in legend.get_texts()]
    assert said == [f"{i}: {n:,} rows" for i, n in enumerate(np.bincount(model.labels_))]
    display.figure_.canvas.draw()
    assert legend.get_window_extent().x0 >= display.ax_.get_window_extent().x1


def test_more_than_two_columns_are_principal_components_and_the_axes_say_so():
    table = samples.blobs(200, 5)
    ax = MeanShiftDisplay.from_estimator(MeanShift(bandwidth=3.0).fit(table), table).ax_
    assert ax.get_xlabel().startswith("principal component 1 (")
    assert ax.get_ylabel().startswith("principal component 2 (")


def test_one_column_stands_on_the_hill_that_it_climbs():
    table = samples.blobs(100, 1)
    model = MeanShift(bandwidth=1.0).fit(table)
    rows = MeanShiftDisplay.from_estimator(model, table).ax_.collections[0]
    near = np.abs(table - table.T) <= 1.0
    np.testing.assert_array_equal(rows.get_offsets()[:, 1], near.sum(axis=0))


def test_many_rows_are_one_image_and_no_markers():
    table = blobs(50_000)
    ax = MeanShiftDisplay.from_estimator(
        MeanShift(bandwidth=1.5, bin_seeding=True).fit(table), table
    ).ax_
    assert len(ax.images) == 1
    assert len(ax.collections) == 1


def test_basins_are_what_predict_says(model):
    display = MeanShiftDisplay.from_estimator(model, X, basins=True)
    regions, (left, _, bottom, _) = display.basins
    assert regions[0, 0] == model.predict([[left, bottom]])[0]
    assert len(display.ax_.images) == 1


def test_basins_of_three_columns_are_refused():
    table = samples.blobs(50, 3)
    fitted = MeanShift(bandwidth=3.0).fit(table)
    with pytest.raises(ValueError, match="needs two columns, got 3"):
        MeanShiftDisplay.from_estimator(fitted, table, basins=True)


def test_trajectories_are_those_of_the_trace(model):
    display = MeanShiftDisplay.from_estimator(model, X, starts=X[:2])
    story = trace(X, X[:2], bandwidth=2.5)
    for path, positions in zip(display.paths, story.positions, strict=True):
        np.testing.assert_array_equal(path, positions)


def test_the_history_plot_shows_the_shifts_of_every_round(model):
    ax = MeanShiftDisplay.plot_history(model)
    moved = model.history_[model.history_["max_shift"] > 0]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), moved["max_shift"])


def test_a_trace_is_drawn_from_its_start_to_its_end():
    story = trace(X, X[0], bandwidth=2.5)
    ends = story.plot().collections[-1].get_offsets()
    np.testing.assert_array_equal(ends, story.positions[0][-1:])


def test_the_curve_plot_names_the_plateau():
    curve = bandwidth_curve(X)
    assert "3 clusters" in curve.plot().get_title()


def test_colours_are_seen_on_white_and_on_black():
    for code in COLOURS:
        assert 1.05 / (luminance(code) + 0.05) > 2.7
        assert (luminance(code) + 0.05) / 0.05 > 3


def test_neighbouring_clusters_differ_in_colour():
    line = np.column_stack([np.arange(30.0), np.zeros(30)])
    colours = colours_apart(line)
    assert all(a != b for a, b in pairwise(colours))


def test_orphans_are_named_as_such():
    far = np.vstack([X, [[500.0, 500.0]]])
    fitted = MeanShift(bandwidth=2.5, seeds=X[:3], cluster_all=False).fit(far)
    texts = MeanShiftDisplay.from_estimator(fitted, far).ax_.get_legend().get_texts()
    assert texts[-1].get_text().startswith("orphans: ")
