"""The command line's degrees, kilometres on Earth and columns that wrap around."""

import json
import math
import re

import numpy as np
import pytest

from meanshift_fast import MeanShift
from meanshift_fast._cli.main import main
from meanshift_fast._cli.places import arc, period
from meanshift_fast.models import load_model

DEGREES = np.array([[10.0, 179.0], [10.0, -179.0], [10.1, -179.5], [50.0, 8.0], [50.1, 8.1]])


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "places.csv"
    np.savetxt(path, DEGREES, delimiter=",", header="latitude,longitude", comments="")
    return path


def run(capsys, *words):
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def test_centres_come_back_in_degrees(table, tmp_path, capsys):
    labels, centers, model = (tmp_path / name for name in ("h.npy", "c.npy", "m.model"))
    said = run(
        capsys, "cluster", table, "--metric", "haversine", "--degrees", "--bandwidth", "200km",
        "-o", labels, "--centers", centers, "--model", model,
    )  # fmt: skip
    assert "bandwidth 1.79864 degrees (200 km on Earth)" in said
    fit = MeanShift(bandwidth=200 / 6371.0088, metric="haversine").fit(np.radians(DEGREES))
    np.testing.assert_array_equal(np.load(labels), fit.labels_)
    np.testing.assert_allclose(np.load(centers), np.degrees(fit.cluster_centers_))
    assert load_model(model).bandwidth_ == pytest.approx(200 / 6371.0088)
    run(capsys, "predict", model, table, "--degrees", "-o", labels)
    np.testing.assert_array_equal(np.load(labels), fit.labels_)


def test_a_bandwidth_without_a_unit_is_in_degrees_too(table, tmp_path, capsys):
    answer = run(
        capsys, "cluster", table, "--metric", "haversine", "--degrees", "--bandwidth", "2",
        "-o", tmp_path / "h.npy", "--json",
    )  # fmt: skip
    assert json.loads(answer)["bandwidth"] == pytest.approx(2.0)


def test_a_period_is_given_by_the_name_of_its_column(table, tmp_path, capsys):
    labels = tmp_path / "h.npy"
    run(capsys, "cluster", table, "--period", "longitude=360", "--bandwidth", "3", "-o", labels)
    assert np.load(labels).tolist() == [0, 0, 0, 1, 1]


def test_a_trace_is_written_in_degrees(table, capsys):
    said = run(
        capsys, "trace", table, "--metric", "haversine", "--degrees", "--row", "0", "--bandwidth",
        "200km",
    )  # fmt: skip
    assert "Select the point [10, 179]." in said
    assert "It rests at [10.034, -179.833]" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--degrees", "--bandwidth", "3"], "--degrees is for --metric haversine"),
        (["--bandwidth", "3km"], "m or km is for --metric haversine"),
        (["--metric", "cosine", "--scale", "--bandwidth", "1"], "--scale measures columns"),
        (["--period", "hour", "--bandwidth", "3"], "as hour=24"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(table, tmp_path, capsys, words, message):
    with pytest.raises(SystemExit) as ended:
        main(["cluster", str(table), *words, "-o", str(tmp_path / "h.npy")])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_period_of_no_column_is_an_error(table, tmp_path, capsys):
    words = ["--period", "hour=24", "--bandwidth", "3", "-o", str(tmp_path / "h.npy")]
    assert main(["cluster", str(table), *words]) == 1
    assert "period must be of one of the columns" in capsys.readouterr().err


def test_two_periods_of_one_column_are_an_error(table, tmp_path, capsys):
    words = ["--period", "latitude=24", "--period", "latitude=12", "--bandwidth", "3"]
    words += ["-o", str(tmp_path / "h.npy")]
    assert main(["cluster", str(table), *words]) == 1
    assert "once for a column, got latitude=24, latitude=12" in capsys.readouterr().err


def test_lengths_on_earth_are_angles():
    assert arc("6371.0088km") == pytest.approx(1.0)
    assert arc("1000m") == pytest.approx(arc("1km"))
    assert arc("1.5") is None
    assert arc("stable") is None
    assert period("a=b=24") == ("a=b", 24.0)
    assert math.isclose(arc("0.5m"), 0.5e-3 / 6371.0088)


@pytest.mark.parametrize(
    ("options", "complaint", "header"),
    [
        (
            [],
            "'latitude' .* pi/2, got 10 at row 0; give --degrees .*; the order is lat",
            "latitude,longitude",
        ),
        (
            ["--degrees", "--columns=longitude,lat"],
            "'longitude' .* got 179 at row 0; choose",
            "lat,longitude",  # a model would find its own names whatever their order
        ),
    ],
)
def test_latitudes_beyond_a_pole_are_quoted_as_the_file_has_them(
    options, complaint, header, table, tmp_path, capsys
):
    model, labels = tmp_path / "m.model", tmp_path / "h.npy"
    common = ["--metric", "haversine", "--bandwidth", "200km"]
    run(capsys, "cluster", table, *common, "--degrees", "--model", model)
    np.savetxt(table, DEGREES, delimiter=",", header=header, comments="")
    for words in (["cluster", table, *common], ["predict", model, table]):
        assert main([str(word) for word in [*words, *options, "-o", labels]]) == 1
        assert re.search(complaint, capsys.readouterr().err)


def test_degrees_are_refused_by_a_model_of_another_metric(table, tmp_path, capsys):
    model = tmp_path / "m.model"
    run(capsys, "cluster", table, "--bandwidth", "20", "--model", model)
    words = ["predict", model, table, "--degrees", "-o", tmp_path / "h.npy"]
    assert main([str(word) for word in words]) == 1
    assert "--degrees is for --metric haversine, got euclidean" in capsys.readouterr().err
