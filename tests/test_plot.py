"""The pictures: what is drawn, where, and in colours that differ."""

import tracemalloc
from functools import cache
from itertools import pairwise

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from scipy.spatial.distance import pdist

import naive
import samples
from bench.workloads import blobs
from meanshift_fast import MeanShift, bandwidth_curve, trace
from meanshift_fast._input.metrics import EUCLIDEAN
from meanshift_fast._pictures.axes import _broken
from meanshift_fast._pictures.colours import COLOURS, GREY, colours_apart, contrast, ink_of
from meanshift_fast._pictures.legends import marks_of
from meanshift_fast._pictures.spaces import page_in
from meanshift_fast.datasets import demo_table
from meanshift_fast.plot import MeanShiftDisplay

X = demo_table()


@pytest.fixture(scope="module")
def model():
    return MeanShift(bandwidth=2.5).fit(X)


def linear(code):
    rgb = np.array([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def luminance(code):
    return linear(code) @ (0.2126, 0.7152, 0.0722)


def test_the_display_draws_on_the_axes_it_is_given(model):
    _, ax = plt.subplots()
    display = MeanShiftDisplay.from_estimator(model, X, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure


def test_rows_are_drawn_where_they_are_and_centres_upon_them(model):
    rows, _, centers = MeanShiftDisplay.from_estimator(model, X).ax_.collections
    np.testing.assert_array_equal(rows.get_offsets(), X)
    np.testing.assert_array_equal(centers.get_offsets(), model.cluster_centers_)


def test_the_legend_counts_the_rows_beside_the_axes(model):
    display = MeanShiftDisplay.from_estimator(model, X)
    legend = display.ax_.get_legend()
    said = [text.get_text() for text in legend.get_texts()]
    sizes = np.bincount(model.labels_)
    assert said == [
        *(f"cluster {i}: {n:,} rows" for i, n in enumerate(sizes)),
        "centre",
        "one bandwidth about it",
    ]
    display.figure_.draw_without_rendering()
    assert legend.get_window_extent().x0 >= display.ax_.get_window_extent().x1


def test_more_than_two_columns_are_principal_components_and_the_axes_say_so():
    table = samples.blobs(200, 5)
    ax = MeanShiftDisplay.from_estimator(MeanShift(bandwidth=3.0).fit(table), table).ax_
    assert ax.get_xlabel().startswith("principal component 1 (")
    assert ax.get_ylabel().startswith("principal component 2 (")


@pytest.mark.parametrize("n_rows", [1, 2, 3, 30])
def test_few_rows_in_many_columns_lie_along_the_axes_of_a_matrix_decomposition(n_rows):
    # 3,000 x 3,000 products would be 72 MB.
    rows = np.random.default_rng(0).standard_normal((n_rows, 3000))
    rows[: n_rows // 2] *= 3.0
    tracemalloc.start()
    page = page_in(EUCLIDEAN, rows, np.empty(0), 1.0, "flat")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6
    np.testing.assert_allclose(page.axes.T @ page.axes, np.eye(2), atol=1e-9)
    lengths = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)[:2]
    laid = np.linalg.norm(page.lay(rows), axis=0)
    np.testing.assert_allclose(laid[: len(lengths)], lengths, atol=1e-9)


def test_one_column_stands_on_the_hill_that_it_climbs():
    table = samples.blobs(100, 1)
    model = MeanShift(bandwidth=1.0).fit(table)
    rows = MeanShiftDisplay.from_estimator(model, table).ax_.collections[0]
    hill = naive.flat_density(table, np.ones(100), table, 1.0)
    np.testing.assert_allclose(rows.get_offsets()[:, 1], hill, atol=1e-9)


def test_many_rows_of_one_column_are_shown_from_end_to_end():
    table = blobs(50_000, 1)
    fitted = MeanShift(bandwidth=1.0, bin_seeding=True).fit(table)
    display = MeanShiftDisplay.from_estimator(fitted, table)
    shown = display.ax_.collections[0].get_offsets()[:, 0]
    assert len(shown) <= 20_000
    assert np.abs(np.sort(table[:, 0])[:: len(table) // 100, None] - shown).min(axis=1).max() < 0.1
    assert not display.ax_.images


def test_many_rows_are_one_image_and_no_markers():
    table = blobs(50_000)
    ax = MeanShiftDisplay.from_estimator(
        MeanShift(bandwidth=1.5, bin_seeding=True).fit(table), table
    ).ax_
    assert len(ax.images) == 1
    markers = [drawn for drawn in ax.collections if isinstance(drawn, PathCollection)]
    assert [len(drawn.get_offsets()) for drawn in markers] == [len(ax.collections[0].get_paths())]


def test_basins_are_what_predict_says(model):
    display = MeanShiftDisplay.from_estimator(model, X, basins=True)
    regions, (left, _, bottom, _) = display.basins
    assert regions[0, 0] == model.predict([[left, bottom]])[0]
    assert len(display.ax_.images) == 1


@pytest.mark.parametrize("asked", ["basins", "contours"])
def test_what_needs_two_columns_is_refused_three(asked):
    table = samples.blobs(50, 3)
    fitted = MeanShift(bandwidth=3.0).fit(table)
    with pytest.raises(ValueError, match=f"{asked}=True needs two columns, got 3"):
        MeanShiftDisplay.from_estimator(fitted, table, **{asked: True})


def test_equal_rows_can_be_drawn():
    line, plane = np.full((20, 1), 3.0), np.full((20, 2), 3.0)
    display = MeanShiftDisplay.from_estimator(MeanShift().fit(line), line, starts=[[3.0]])
    assert (display.rows == (3.0, 20.0)).all()
    assert (display.paths[0] == (3.0, 20.0)).all()
    fitted = MeanShift().fit(plane)
    display = MeanShiftDisplay.from_estimator(fitted, plane, basins=True, contours=True)
    assert (display.basins.values == 0).all()
    assert bandwidth_curve(plane).plot().get_title() == "1 cluster lasts longest"


def test_trajectories_are_those_of_the_trace(model):
    display = MeanShiftDisplay.from_estimator(model, X, starts=X[:2])
    traced = trace(X, X[:2], bandwidth=2.5)
    for path, positions in zip(display.paths, traced.positions, strict=True):
        np.testing.assert_array_equal(path, positions)


@pytest.mark.parametrize("bandwidth", [2.5, [4.0, 1.5]])
def test_trajectories_of_a_weighted_fit_are_weighted_and_end_at_its_centres(bandwidth):
    weights = np.random.default_rng(0).uniform(0, 3, len(X))
    fitted = MeanShift(bandwidth=bandwidth, tol=1e-6).fit(X, sample_weight=weights)
    display = MeanShiftDisplay.from_estimator(fitted, X, sample_weight=weights, starts=X)
    stretched, units = X / bandwidth, np.asarray(bandwidth)
    ends, _, _ = naive.ends_of(naive.climb(stretched, weights, stretched, 1.0, tol=1e-6))
    np.testing.assert_allclose([path[-1] for path in display.paths], ends * units, rtol=1e-9)


def test_gaussian_trajectories_end_at_the_centres():
    fitted = MeanShift(bandwidth=1.0, kernel="gaussian").fit(X)
    display = MeanShiftDisplay.from_estimator(fitted, X, starts=X[:20])
    ends = np.array([path[-1] for path in display.paths])
    away = np.linalg.norm(ends[:, None] - fitted.cluster_centers_, axis=2).min(axis=1)
    assert away.max() < 0.05
    np.testing.assert_allclose(np.hypot(*display.ball.T), 1.0, rtol=1e-12)


def test_the_ball_of_a_bandwidth_for_each_feature_is_an_ellipse():
    fitted = MeanShift(bandwidth=[4.0, 1.5]).fit(X)
    ball = MeanShiftDisplay.from_estimator(fitted, X).ball
    np.testing.assert_allclose(np.hypot(*(ball / (4.0, 1.5)).T), 1.0, rtol=1e-12)


def test_in_more_columns_a_ball_is_round_whichever_bandwidths_there_are():
    table = samples.blobs(100, 3) * (1, 100, 1e-3)
    fitted = MeanShift(bandwidth=[3.0, 300.0, 3e-3]).fit(table)
    display = MeanShiftDisplay.from_estimator(fitted, table, starts=table[:1])
    np.testing.assert_allclose(np.hypot(*display.ball.T), 1.0, rtol=1e-12)
    away = np.linalg.norm((display.paths[0][-1] - display.centers), axis=1)
    assert away.min() < 1e-2
    assert "in bandwidths" in display.ax_.get_xlabel()


@pytest.mark.parametrize(
    ("kernel", "bandwidth", "twin"),
    [("flat", 2.5, naive.flat_density), ("gaussian", 1.0, naive.gaussian_density)],
)
def test_contours_are_of_the_density_that_is_climbed(kernel, bandwidth, twin):
    weights = np.random.default_rng(0).uniform(0, 3, len(X))
    fitted = MeanShift(bandwidth=bandwidth, kernel=kernel).fit(X, sample_weight=weights)
    display = MeanShiftDisplay.from_estimator(fitted, X, sample_weight=weights, contours=True)
    density, (left, right, bottom, top) = display.contours
    places = np.array([[left, bottom], [left, top], [right, bottom]])
    corners = density[[0, -1, 0], [0, 0, -1]]
    # A Gaussian sum is as exact as lines on a page need it.
    exact = twin(X, weights, places, bandwidth)
    np.testing.assert_allclose(corners, exact, rtol=0, atol=1e-9 if kernel == "flat" else 1e-2)
    if kernel == "gaussian":
        assert (exact > 0).all()
    across, up = np.linspace(left, right, density.shape[1]), np.linspace(bottom, top, len(density))
    row, column = np.unravel_index(density.argmax(), density.shape)
    away = np.linalg.norm(fitted.cluster_centers_ - (across[column], up[row]), axis=1)
    assert away.min() < 0.2


def test_the_history_plot_shows_the_shifts_of_every_round(model):
    ax = MeanShiftDisplay.plot_history(model)
    moved = model.history_[model.history_["max_shift"] > 0]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), moved["max_shift"])


def test_the_history_of_a_coalesced_climb_counts_every_seed():
    ax = MeanShiftDisplay.plot_history(MeanShift(bandwidth=2.5, coalesce=0.1).fit(X))
    assert ax.get_title().startswith("300 at rest after ")


def test_the_history_with_a_bandwidth_for_each_feature_is_in_bandwidths():
    ax = MeanShiftDisplay.plot_history(MeanShift(bandwidth=[2.0, 3.0]).fit(X))
    assert "in bandwidths" in ax.get_ylabel()
    assert ax.lines[-1].get_ydata()[0] == 1e-3


def test_the_history_says_when_not_all_came_to_rest():
    ax = MeanShiftDisplay.plot_history(MeanShift(bandwidth=2.5, max_iter=1).fit(X))
    assert ax.get_title().endswith(", others move")


def test_a_trace_is_drawn_from_its_start_to_its_end():
    traced = trace(X, X[0], bandwidth=2.5)
    ends = traced.plot().collections[-1].get_offsets()
    np.testing.assert_array_equal(ends, traced.positions[0][-1:])


def test_a_gaussian_trace_has_all_rows_for_neighbours():
    traced = trace(X, X[0], bandwidth=1.0, kernel="gaussian")
    said = [text.get_text() for text in traced.plot().get_legend().get_texts()]
    assert "rows" in said
    assert "its neighbours" not in said


def test_the_curve_plot_names_the_plateau():
    curve = bandwidth_curve(X)
    assert curve.plot().get_title() == "3 clusters last longest"


@pytest.mark.parametrize("code", [*COLOURS, GREY])
@pytest.mark.parametrize("page", ["#ffffff", "#0d1117", "#000000"])
def test_colours_are_seen_on_any_page(code, page):
    dark, bright = sorted([luminance(code), luminance(page)])
    assert (bright + 0.05) / (dark + 0.05) >= 3


# What is left of linear red, green and blue without one kind of cones (Machado, Oliveira and
# Fernandes, 2009, severity 1.0), and CIE's matrix from those to XYZ, over its white.
SIGHTS = {
    "all": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
) / [[0.95047], [1.0], [1.08883]]


@pytest.mark.parametrize("sight", SIGHTS)
def test_any_two_colours_stay_apart(sight):
    seen = np.array([linear(code) for code in (*COLOURS, GREY)]) @ np.transpose(SIGHTS[sight])
    t = seen.clip(0, 1) @ XYZ.T
    f = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    lab = np.stack([116 * f[:, 1], 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
    assert pdist(lab).min() >= 24


def test_neighbouring_clusters_differ_in_colour():
    line = np.column_stack([np.arange(30.0), np.zeros(30)])
    colours = colours_apart(line)
    assert all(a != b for a, b in pairwise(colours))


def test_orphans_are_named_as_such():
    far = np.vstack([X, [[500.0, 500.0]]])
    fitted = MeanShift(bandwidth=2.5, seeds=X[:3], cluster_all=False).fit(far)
    texts = MeanShiftDisplay.from_estimator(fitted, far).ax_.get_legend().get_texts()
    assert f"orphans: {(fitted.labels_ < 0).sum()} rows" in [text.get_text() for text in texts]


PLANE = samples.blobs(200, 5)
fitted_to_plane = cache(lambda: MeanShift(bandwidth=2.5).fit(X))
fitted_to_five = cache(lambda: MeanShift(bandwidth=[3.0] * 5).fit(PLANE))
fitted_to_one = cache(lambda: MeanShift(bandwidth=2.0).fit(X[:, :1]))
counted_clusters = cache(lambda: bandwidth_curve(X))
DRAWN = {
    "fit": lambda **at: MeanShiftDisplay.from_estimator(
        fitted_to_plane(), X, basins=True, contours=True, starts=X[:3], **at
    ),
    "components": lambda **at: MeanShiftDisplay.from_estimator(
        fitted_to_five(), PLANE, starts=PLANE[:2], **at
    ),
    "line": lambda **at: MeanShiftDisplay.from_estimator(fitted_to_one(), X[:, :1], **at),
    "history": lambda **at: MeanShiftDisplay.plot_history(fitted_to_five(), **at),
    "curve": lambda **at: counted_clusters().plot(**at),
    "trace": lambda **at: trace(X, X[0], bandwidth=2.5).plot(**at),
    "traces": lambda **at: trace(PLANE, PLANE[:20], bandwidth=3.0).plot(**at),
}


FOUR = [["fit", "components", "line", "history"], ["curve", "trace", "traces", "fit"]]


@pytest.mark.parametrize(
    ("shape", "names", "style", "layout"),
    [
        *(
            ((1, 2), pair, "dark_background", layout)
            for four in FOUR
            for pair, layout in ((four[:2], None), (four[2:], "constrained"))
        ),
        *(
            ((2, 2), names, "default", layout)
            for names in FOUR
            for layout in (None, "constrained", "tight")
        ),
    ],
)
def test_nothing_leaves_the_slot_of_given_axes(shape, names, style, layout, monkeypatch):
    layouts = []
    with plt.style.context(style):
        figure, axes = plt.subplots(*shape, layout=layout, squeeze=False)
        if layout:
            engine = figure.get_layout_engine()
            execute = engine.execute
            monkeypatch.setattr(engine, "execute", lambda fig: (layouts.append(1), execute(fig)))
        for ax, name in zip(axes.flat, names, strict=True):
            DRAWN[name](ax=ax)
        assert len(layouts) <= 4 * len(names)  # a layout measures all axes of the figure, twice
        figure.draw_without_rendering()
    boxes = [(ax.get_window_extent(), ax.get_tightbbox()) for ax in axes.flat]
    # A layout of matplotlib's may find other numbers on an axis than it then has: the last one may
    # reach over the end of the axis, by half of its width.
    half = 10 if layout == "constrained" else 0
    for ax, (_, everything) in zip(axes.flat, boxes, strict=True):
        assert (everything.min >= -0.1).all()
        assert (everything.max <= figure.bbox.max + half + 0.1).all()
        core = everything.padded(-half - 0.1)
        assert not any(core.overlaps(other) for _, other in boxes if other != everything)
        if (legend := ax.get_legend()) is not None:
            assert not n_hidden(ax)
            named = [t for text in legend.get_texts() if "cluster " in (t := text.get_text())]
            assert not named or named[0].startswith("cluster 0:")  # all of them or none
    assert sum(ax.get_legend() is not None for ax in axes.flat) > len(names) / 2


def n_hidden(ax):
    """How many rows, corners of lines and written numbers lie under a legend."""
    box = ax.get_legend().get_window_extent()
    points = [np.empty((0, 2))]
    points += [c.get_offsets() for c in ax.collections if isinstance(c, PathCollection)]
    points += [line.get_xydata() for line in ax.lines if line.get_transform() is ax.transData]
    shown = ax.transData.transform(np.concatenate(points))
    texts = sum(box.overlaps(text.get_window_extent()) for text in ax.texts)
    return texts + np.count_nonzero(((shown > box.min) & (shown < box.max)).all(axis=1))


@pytest.mark.parametrize("name", DRAWN)
def test_the_legend_of_small_axes_hides_no_data_or_is_left_out(name):
    for layout in (None, "constrained", "tight"):
        figure, ax = plt.subplots(figsize=(3, 2), layout=layout)
        DRAWN[name](ax=ax)
        figure.draw_without_rendering()
        if (legend := ax.get_legend()) is not None:
            box = legend.get_window_extent()
            assert (box.min >= -0.1).all()
            assert (box.max <= figure.bbox.max + 0.1).all()
            assert not n_hidden(ax), layout
    tiny = plt.figure(figsize=(1, 1)).add_subplot()
    DRAWN[name](ax=tiny)
    assert tiny.get_legend() is None


@pytest.mark.parametrize("name", DRAWN)
def test_a_caller_may_have_drawn_an_image_of_four_columns(name):
    ax = plt.figure().add_subplot()
    ax.imshow(np.zeros((3, 4)), extent=(0, 1, 0, 1))
    DRAWN[name](ax=ax)
    assert np.shape(ax.images[0].get_array()) == (3, 4)


def test_a_line_of_two_points_is_data_and_one_from_end_to_end_is_not():
    ax = plt.figure().add_subplot()
    ax.axhline(0.25)
    ax.axvline(0.25)
    assert marks_of(ax).paths == []
    ax.plot([0, 1], [0, 1])
    (path,) = marks_of(ax).paths
    np.testing.assert_allclose(path.vertices, ax.transData.transform([[0, 0], [1, 1]]))


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("is_given", [False, True])
def test_a_picture_has_no_legend_where_none_is_wanted(name, is_given):
    at = {"ax": plt.figure().add_subplot()} if is_given else {}
    drawn = DRAWN[name](legend=False, **at)
    assert getattr(drawn, "ax_", drawn).get_legend() is None


@pytest.mark.parametrize("name", [*DRAWN, "globe"])
def test_nothing_leaves_a_figure_of_its_own(name):
    if name == "globe":
        places = np.radians(samples.blobs(60, 2) * 3.0)
        model = MeanShift(bandwidth=0.1, metric="haversine").fit(places)
        drawn = MeanShiftDisplay.from_estimator(model, places)
    else:
        drawn = DRAWN[name]()
    ax = getattr(drawn, "ax_", drawn)
    ax.figure.draw_without_rendering()
    everything = ax.get_tightbbox()
    assert (everything.min >= -0.1).all()
    assert (everything.max <= ax.figure.bbox.max + 0.1).all()


def test_axes_of_a_subfigure_are_drawn_on_as_others_are():
    figure = plt.figure(layout="constrained")
    ax = figure.subfigures(1, 2)[1].subplots()
    DRAWN["fit"](ax=ax)
    figure.draw_without_rendering()
    assert ax.get_tightbbox().x0 >= figure.bbox.width / 2


def test_without_a_layout_the_bars_of_the_history_have_their_scale_in_the_legend(model):
    ax = MeanShiftDisplay.plot_history(model, ax=plt.figure().add_subplot())
    said = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "still moving, of 300" in said
    assert list(ax.figure.axes[1].get_yticks()) == []


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_frame_of_named_columns_is_drawn_with_basins_and_without_a_warning(kind):
    frame = pytest.importorskip(kind).DataFrame({"across": X[:, 0], "up": X[:, 1]})
    fitted = MeanShift(bandwidth=2.5).fit(frame)
    for starts in (X[:2], frame[:2]):
        display = MeanShiftDisplay.from_estimator(fitted, frame, basins=True, starts=starts)
        assert display.ax_.get_xlabel() == "across"
        assert len(display.paths) == 2
    plain = MeanShiftDisplay.from_estimator(MeanShift(bandwidth=2.5).fit(X), X, basins=True)
    np.testing.assert_array_equal(display.basins.values, plain.basins.values)
    assert list(fitted.feature_names_in_) == ["across", "up"]


def test_balls_in_more_than_two_columns_are_called_projected(model):
    for drawn, is_projected in (
        (DRAWN["components"](), True),
        (DRAWN["traces"](), True),
        (DRAWN["trace"](), False),
        (MeanShiftDisplay.from_estimator(model, X), False),
    ):
        said = [text.get_text() for text in getattr(drawn, "ax_", drawn).get_legend().get_texts()]
        assert ("one bandwidth about it, projected" in said) == is_projected


@pytest.mark.parametrize("style", ["default", "dark_background", "seaborn-v0_8-darkgrid"])
@pytest.mark.parametrize("name", ["fit", "trace"])
def test_trajectories_and_centres_are_seen_on_the_page(name, style):
    with plt.style.context(style):
        ax = plt.figure().add_subplot()
        DRAWN[name](ax=ax)
        ink, paper = ink_of(ax)
    colours = [to_rgb(line.get_color()) for line in ax.lines]
    n_balls = name == "trace"
    assert 2 * colours.count(ink) == 2 * colours.count(paper) == len(colours) - n_balls
    assert contrast(np.array(ink), np.array(paper)) > 12


def test_axes_that_are_seen_through_have_the_ink_of_the_figure_behind():
    figure = plt.figure(facecolor="#0d1117")
    ax = figure.add_subplot(facecolor="none")
    assert ink_of(ax) == (to_rgb("white"), to_rgb("#0d1117"))
    figure.set_facecolor("none")
    assert ink_of(ax) == (to_rgb("black"), to_rgb("white"))


def test_the_start_of_a_trace_is_smaller_than_its_end():
    start, end = trace(X, X[0], bandwidth=2.5).plot().collections[-2:]
    assert start.get_sizes()[0] <= end.get_sizes()[0] / 2


def test_plateaus_have_their_numbers_written_on_the_curve():
    curve = bandwidth_curve(blobs(3000, 2))
    levels = [curve.stable["n_clusters"], *curve.runners_up["n_clusters"]]
    for ax in (curve.plot(), curve.plot(plt.subplots(2, 2)[1][0, 0])):
        ax.figure.draw_without_rendering()
        assert [text.get_text() for text in ax.texts] == [str(level) for level in levels]
        room = ax.get_window_extent()
        for text in ax.texts:
            box = text.get_window_extent()
            assert room.y0 < box.y0 < box.y1 < room.y1


def test_long_words_break_at_commas_and_brackets():
    lines = _broken("3 clusters of 400 rows, bandwidth 14 degrees (1593 km on Earth)", 25)
    assert lines == ["3 clusters of 400 rows,", "bandwidth 14 degrees", "(1593 km on Earth)"]
    assert _broken("principal component 2 (24% of variance)", 30)[1] == "(24% of variance)"
    assert _broken("a very long name, b", 10) == ["a very", "long name,", "b"]
    assert _broken("unbreakable", 10) == ["unbreakable"]


@pytest.mark.parametrize("scale", [1e-170, 1e-3, 1e160, 1e300])
@pytest.mark.parametrize("own", [False, True])
def test_components_are_those_of_a_table_of_any_magnitude(own, scale):
    rows = samples.blobs(60, 3)
    bandwidth = np.array([1.0, 2.0, 3.0]) if own else 1.0
    usual = page_in(EUCLIDEAN, rows, np.empty(0), bandwidth, "flat")
    page = page_in(EUCLIDEAN, rows * scale, np.empty(0), bandwidth * scale, "flat")
    # Components in bandwidths have no unit of their own.
    unit = 1.0 if own else scale
    np.testing.assert_allclose(page.lay(rows * scale), usual.lay(rows) * unit, rtol=1e-9)
    # The axes of a circle are any.
    outline, expected = page.ball()[:-1] / unit, usual.ball()[:-1]
    np.testing.assert_allclose(outline.T @ outline, expected.T @ expected, rtol=1e-9, atol=1e-9)
    assert page.names == usual.names
