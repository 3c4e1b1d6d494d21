"""Pictures of other metrics: a map in degrees, caps in pieces, columns that wrap."""

import math

import matplotlib
import numpy as np
import pytest

import naive_metrics as naive
from meanshift_fast import MeanShift, trace
from meanshift_fast.plot import MeanShiftDisplay

matplotlib.use("Agg")

CENTRES = np.radians([[60, 178], [-17, -179], [85, 20], [10, 20]])


@pytest.fixture(scope="module")
def places():
    rng = np.random.default_rng(0)
    vectors = naive.vectors(CENTRES)[rng.integers(4, size=300)]
    return naive.places(naive.directions(vectors + 0.05 * rng.normal(size=vectors.shape)))


@pytest.fixture(scope="module")
def display(places):
    model = MeanShift(bandwidth=math.radians(14), metric="haversine").fit(places)
    return MeanShiftDisplay.from_estimator(
        model, places, basins=True, contours=True, starts=places[:3]
    )


def test_a_map_has_longitude_across_and_latitude_up_in_degrees(display, places):
    np.testing.assert_allclose(display.rows, np.degrees(places[:, ::-1]), atol=1e-12)
    assert display.ax_.get_xlabel() == "longitude, degrees"
    assert display.ax_.get_ylabel() == "latitude, degrees"
    assert "14 degrees (1557 km on Earth)" in display.ax_.get_title()
    left, right, bottom, top = display.basins.extent
    assert max(-left, right) <= 180
    assert max(-bottom, top) <= 90


def test_a_cap_is_what_it_looks_like_on_the_map(display):
    for center, cap in zip(display.centers, display.caps, strict=True):
        outline = cap[np.isfinite(cap).all(axis=1) & (np.abs(cap[:, 0]) < 180)]
        away = naive.angles(
            naive.vectors(np.radians(outline[:, ::-1])),
            naive.vectors(np.radians(center[None, ::-1]))[0],
        )
        np.testing.assert_allclose(np.degrees(away), 14, atol=1e-9)


def test_a_cap_over_the_date_line_is_in_two_pieces(display):
    for center, cap in zip(display.centers, display.caps, strict=True):
        n_cuts = int(np.isnan(cap[:, 0]).sum())
        if abs(center[1]) < 70:
            assert n_cuts == (2 if abs(center[0]) > 170 else 0)
        assert np.nanmax(np.abs(np.diff(cap[:, 0]))) < 180


def test_contours_are_of_the_density_on_the_sphere(display, places):
    values, (left, right, bottom, top) = display.contours
    across, up = np.linspace(left, right, 200)[100], np.linspace(bottom, top, 200)[90]
    place = naive.vectors(np.radians([[up, across]]))[0]
    chord = 2 * math.sin(math.radians(7))
    squares = ((naive.vectors(places) - place) ** 2).sum(axis=1) / chord**2
    assert values[90, 100] == pytest.approx(np.maximum(1 - squares, 0).sum(), abs=1e-9)


def test_directions_are_laid_by_principal_components(places):
    vectors = naive.vectors(places)
    model = MeanShift(bandwidth=0.03, metric="cosine", kernel="gaussian").fit(vectors)
    one = MeanShiftDisplay.from_estimator(model, vectors, starts=vectors[:2])
    other = MeanShiftDisplay.from_estimator(model, 5.0 * vectors)
    np.testing.assert_allclose(one.rows, other.rows, atol=1e-12)
    assert one.ax_.get_xlabel().startswith("principal component 1")


def test_wrapped_columns_lie_between_0_and_the_period():
    rows = np.random.default_rng(1).normal([[23.5, 0.0], [9.0, 3.0]] * 50, 1.0)
    model = MeanShift(bandwidth=2.5, period=(24, None)).fit(rows)
    display = MeanShiftDisplay.from_estimator(
        model, rows + np.array([24.0, 0.0]), starts=[[0.9, 0.1]], contours=True, basins=True
    )
    assert display.rows[:, 0].min() >= 0.0
    assert display.rows[:, 0].max() < 24.0
    assert np.isnan(display.paths[0]).any()
    hours = MeanShift(bandwidth=2.5, period=(24,)).fit(rows[:, :1])
    hill = MeanShiftDisplay.from_estimator(hours, rows[:, :1]).hill
    assert hill[0, 1] == pytest.approx(hill[-1, 1], rel=1e-6)
    assert (np.diff(hill[:, 0]) > 0).all()


def test_a_trace_is_drawn_on_the_map(places):
    ax = trace(places, places[0], bandwidth=0.25, metric="haversine").plot()
    assert "km on Earth" in " ".join(ax.get_title().split())  # long titles are wrapped
    assert ax.get_xlabel() == "longitude, degrees"


def test_the_line_of_rest_is_an_angle(places):
    model = MeanShift(bandwidth=0.03, metric="cosine").fit(naive.vectors(places))
    ax = MeanShiftDisplay.plot_history(model)
    angle = 2 * math.asin(math.sqrt(0.015))
    assert any(
        np.allclose(line.get_ydata(), 1e-3 * angle) for line in ax.lines if len(line.get_ydata())
    )
    assert "radians" in ax.get_ylabel()


@pytest.mark.parametrize("kernel", ["flat", "gaussian"])
@pytest.mark.parametrize("bandwidth", [2.0, [2.0, 1.0]], ids=str)
def test_trajectories_are_drawn_across_seams_in_a_bandwidth_of_each_column(bandwidth, kernel):
    rows = np.random.default_rng(1).normal([[23.5, 0.0], [9.0, 3.0]] * 50, 0.5)
    model = MeanShift(bandwidth=bandwidth, period=(24, None), kernel=kernel).fit(rows)
    starts = [[0.5, 0.2], [9.5, 3.1]]
    display = MeanShiftDisplay.from_estimator(model, rows, starts=starts)
    for start, path in zip(starts, display.paths, strict=True):
        np.testing.assert_allclose(path[0], start)
        away = np.abs(model.cluster_centers_ - path[-1]).max(axis=1)
        assert away.min() < 0.02
