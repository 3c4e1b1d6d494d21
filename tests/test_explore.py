"""The explorer's page and server, without a browser."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from argparse import Namespace
from contextlib import contextmanager
from urllib.parse import urljoin

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.events import Tap
from bokeh.models import Range1d
from tornado.websocket import websocket_connect

import meanshift_fast.explore
from meanshift_fast import MeanShift
from meanshift_fast._cli.main import main
from meanshift_fast._cli.places import in_engine_units
from meanshift_fast._explore.figures import MAX_BARS
from meanshift_fast._explore.rows import rows_of
from meanshift_fast._explore.themes import DARK, LIGHT, TEMPLATE
from meanshift_fast._explore.view import View
from meanshift_fast._input import remarks
from meanshift_fast._pictures.colours import COLOURS, GREY
from meanshift_fast.datasets import demo_table
from meanshift_fast.explore import explore
from meanshift_fast.io import open_table

LIMIT_SECONDS = 600


@pytest.fixture
def shown():
    """Make pages in documents without a server, and end their threads."""
    made = []

    def make(X, **parameters):
        view = View(Document(), rows_of(X), {"bin_seeding": True} | parameters)
        made.append(view)
        return settled(view)

    yield make
    for view in made:
        view.session.close()


def settled(view):
    """Run what waits for the next tick, until nothing is left to do."""
    document = view._document
    while True:
        view.session.worker.wait()
        waiting = [one for one in document.session_callbacks if not hasattr(one, "period")]
        if not waiting:
            return view
        for one in waiting:
            one.callback()


# Callbacks.


def test_the_page_shows_the_stable_bandwidth(shown):
    view = shown(demo_table())
    assert "3 clusters" in view.controls.status.text
    assert view.controls.bandwidth.value == pytest.approx(
        np.log10(view.session.curve.bandwidth), abs=1e-3
    )
    assert "3 clusters last longest" in view.curve.figure.title.text
    assert view.curve.place.location == view.session.answer.model.bandwidth_


def test_the_slider_changes_the_clusters(shown):
    view = shown(demo_table())
    view.controls.bandwidth.value = 0.0
    settled(view)
    model = MeanShift(bandwidth=1.0, bin_seeding=True).fit(demo_table())
    assert len(view.map.centers.data["x"]) == len(model.cluster_centers_) > 3
    colours = view.session.answer.colours[model.labels_] + 1
    np.testing.assert_array_equal(view.map.rows.data["colour"], colours)
    assert view.controls.exact.value == 1.0
    assert "bandwidth=1.0" in view.controls.python.text
    assert "--bandwidth=1.0" in view.controls.command.text


def test_an_exact_bandwidth_moves_the_slider(shown):
    view = shown(demo_table())
    view.controls.exact.value = 1.2345678
    settled(view)
    assert view.session.answer.model.bandwidth_ == 1.2345678
    assert view.controls.bandwidth.value == pytest.approx(np.log10(1.2345678))


@pytest.mark.parametrize("bandwidth", [1e-3, 50.0])
def test_the_slider_reaches_the_bandwidth_that_is_given(bandwidth, shown):
    slider = shown(demo_table(), bandwidth=bandwidth).controls.bandwidth
    assert slider.value == pytest.approx(np.log10(bandwidth))
    assert slider.start <= slider.value <= slider.end


def test_the_curve_has_ticks_at_round_numbers(shown):
    view = shown(demo_table(), bandwidth=2.5)
    x, y = view.curve.curve.data["x"], view.curve.curve.data["y"]
    assert view.curve.counts.ticks == [1, 2, 5, 10, 20, 50]
    assert max(y) < 100
    assert view.curve.widths.ticks == [0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1, 1.5, 2, 3, 4, 6]
    assert 0.1 < x[0] < x[-1] < 10
    noisy = np.vstack([demo_table(), [[300.0, 300.0]]])
    assert shown(noisy, bandwidth=2.5).curve.widths.ticks[:4] == [1, 2, 5, 10]


def test_logarithmic_axes_show_all_values_and_have_ends_before_there_are_any(shown):
    view = shown(demo_table(), bandwidth=2.5)
    for axis, values in (
        (view.curve.figure.x_range, view.curve.curve.data["x"]),
        (view.curve.figure.y_range, view.curve.curve.data["y"]),
        (view.history.figure.y_range, view.history.largest.data["y"]),
        (view.history.figure.y_range, view.history.rest.data["y"]),
    ):
        assert isinstance(axis, Range1d)  # which Bokeh does not look for, and warn
        assert 0.0 < axis.start < min(values) <= max(values) < axis.end


def test_the_facts_of_two_quick_answers_are_the_second_s(shown):
    view = shown(demo_table())
    first = view.session.answer
    view.controls.bandwidth.value = 0.0
    view.session.worker.wait()
    second = view.session.answer
    assert len(second.colours) != len(first.colours)
    for answer in (first, second):  # as if each had been the newest when it came
        view.session.answer = answer
        view._show_answer(answer)
    settled(view)
    assert len(view.sizes.bars.data["x"]) == min(len(second.colours), MAX_BARS)


def test_a_click_on_the_curve_goes_there(shown):
    view = shown(demo_table())
    view.curve.figure._trigger_event(Tap(view.curve.figure, x=0.91234, y=2.0))
    settled(view)
    assert view.session.answer.model.bandwidth_ == 0.9123
    assert view.curve.place.location == 0.9123


@pytest.mark.parametrize(
    ("name", "active", "value"),
    [
        ("kernel", 1, "gaussian"),
        ("bin_seeding", 1, False),
        ("assign", 1, "basin"),
        ("cluster_all", 1, False),
    ],
)
def test_each_switch_sets_its_parameter(name, active, value, shown):
    view = shown(demo_table(), bandwidth=2.0)
    view.controls.switches[name].active = active
    settled(view)
    assert getattr(view.session.answer.model, name) == value


def test_the_gaussian_kernel_has_a_curve_of_its_own_bandwidths(shown):
    view = shown(demo_table(), bandwidth=2.0)
    before, start = view.curve.curve.data["x"], view.controls.bandwidth.start
    view.controls.switches["kernel"].active = 1
    settled(view)
    np.testing.assert_allclose(view.curve.curve.data["x"], before / 2.0)
    assert view.controls.bandwidth.start == pytest.approx(start - np.log10(2.0))
    assert view.controls.exact.value == 1.0


def test_the_least_support_drops_centres_and_counts_the_curve_anew(shown):
    view = shown(demo_table(), bandwidth=0.5)
    many = len(view.map.centers.data["x"])
    view.controls.min_support.value = 5.0
    settled(view)
    assert len(view.map.centers.data["x"]) < many


def test_the_slider_of_prominence_merges_modes(shown):
    view = shown(demo_table(), bandwidth=0.8, assign="basin")
    view.controls.min_prominence.value = 0.3
    settled(view)
    model = MeanShift(bandwidth=0.8, bin_seeding=True, assign="basin", min_prominence=0.3).fit(
        demo_table()
    )
    np.testing.assert_array_equal(view.session.answer.model.labels_, model.labels_)
    assert "min_prominence=0.3" in view.controls.python.text


def test_the_slider_of_prominence_says_auto_until_it_is_moved(shown):
    view = shown(demo_table(), bandwidth=0.8, assign="basin", min_prominence="auto")
    slider = view.controls.min_prominence
    assert slider.title == "Least prominence of a mode: auto, until moved"
    assert not slider.show_value
    assert "min_prominence='auto'" in view.controls.python.text
    slider.value = 0.3
    settled(view)
    assert slider.title == "Least prominence of a mode"
    assert slider.show_value
    assert "min_prominence=0.3" in view.controls.python.text


def test_places_on_the_globe_have_a_page(shown):
    X = np.radians(np.random.default_rng(0).normal([[48, 2], [10, 179]] * 50, 1.0))
    view = shown(X, bandwidth=0.1, metric="haversine")
    assert view.map.figure.xaxis[0].axis_label == "feature 1, degrees"
    assert np.isnan(view.map.balls.data["x"]).sum() >= 2  # after each ball, and at the seam
    view.map.figure._trigger_event(Tap(view.map.figure, x=2.0, y=48.0))
    settled(view)
    assert len(view.map.reach.data["x"]) > 100


def test_orphans_are_grey_and_counted(shown):
    view = shown(demo_table(), bandwidth=1.0, cluster_all=False)
    assert 0 in view.map.rows.data["colour"]
    assert view.sizes.bars.data["colour"][-1] == GREY
    assert view.sizes.bars.data["what"][-1] == "orphans"
    assert "orphan" in view.sizes.figure.title.text


def test_centres_have_their_support_and_their_balls_to_scale(shown):
    view = shown(demo_table(), bandwidth=2.5)
    model = view.session.answer.model
    assert view.map.written.data["text"] == [f"{weight:,.6g}" for weight in model.mode_weight_]
    drawn = np.column_stack([view.map.balls.data[name] for name in "xy"])
    balls = np.split(drawn, np.flatnonzero(np.isnan(drawn[:, 0])) + 1)
    assert len(balls[-1]) == 0
    for ball, center in zip(balls, model.cluster_centers_, strict=False):
        np.testing.assert_allclose(np.linalg.norm(ball[:-1] - center, axis=1), 2.5)


def test_sizes_are_in_the_clusters_colours(shown):
    view = shown(demo_table(), bandwidth=2.5)
    answer = view.session.answer
    assert view.sizes.bars.data["colour"] == [COLOURS[number] for number in answer.colours]
    assert sum(view.sizes.bars.data["rows"]) == 300


def test_the_history_is_that_of_the_fit(shown):
    view = shown(demo_table(), bandwidth=2.5)
    history = view.session.answer.model.history_
    moved = history[history["max_shift"] > 0.0]
    np.testing.assert_array_equal(view.history.largest.data["y"], moved["max_shift"])
    assert f"after {len(history)} rounds" in view.history.figure.title.text


def test_a_click_draws_a_trajectory_step_by_step(shown):
    view = shown(demo_table(), bandwidth=2.5)
    view.map.figure._trigger_event(Tap(view.map.figure, x=4.5, y=3.5))
    settled(view)
    found = view.session.trajectory
    assert view.controls.steps.text == str(found.traced)
    drawn = [len(view.map.path.data["x"])]
    for _ in range(len(found.path) + 1):
        view._take_step()
        drawn.append(len(view.map.path.data["x"]))
    assert drawn == [*range(1, len(found.path) + 1), len(found.path), len(found.path)]
    x, y = view.map.reach.data["x"], view.map.reach.data["y"]
    np.testing.assert_allclose(np.hypot(x - found.path[-1, 0], y - found.path[-1, 1]), 2.5)
    view.controls.step.value = 1
    assert len(view.map.path.data["x"]) == 2


def test_the_trajectory_of_a_table_in_degrees_is_written_in_degrees(shown, tmp_path):
    np.save(tmp_path / "places.npy", demo_table() + np.array([45.0, 0.0]))
    options = Namespace(degrees=True, metric="haversine", bandwidth=2.5)
    table = in_engine_units(options, open_table(tmp_path / "places.npy"))
    view = shown(table, metric="haversine", bandwidth=options.bandwidth)
    view.map.figure._trigger_event(Tap(view.map.figure, x=3.5, y=49.5))
    settled(view)
    text = view.controls.steps.text
    assert "Select the point [49.5, 3.5]" in text
    assert "within the bandwidth, 2.5." in text


def test_menus_choose_what_is_across_and_up(shown):
    X = np.random.default_rng(0).normal(size=(60, 4))
    view = shown(X, bandwidth=2.0)
    assert "variance" in view.map.figure.xaxis[0].axis_label
    view.controls.across.value = "feature 3"
    settled(view)
    assert view.map.figure.xaxis[0].axis_label == "feature 3, from its mean"
    view.controls.up.value = "feature 0"
    settled(view)
    np.testing.assert_array_equal(view.map.rows.data["y"], X[:, 0])


def test_many_rows_are_a_raster(shown):
    X = np.random.default_rng(0).normal(size=(20_001, 2))
    view = shown(X, bandwidth=1.0)
    assert view.map._raster.visible
    assert not view.map._markers.visible
    before = view.map.image.data["image"][0]
    view.controls.bandwidth.value = np.log10(0.4)
    settled(view)
    assert (view.map.image.data["image"][0] != before).any()
    assert len(view.map.rows.data["x"]) == 0


def test_a_ball_looks_round(shown):
    view = shown(demo_table(), bandwidth=2.5)
    view._resize("inner_width", 600, 900)
    view._resize("inner_height", 450, 300)
    ranges = view.map.figure.x_range, view.map.figure.y_range
    across, up = (one.end - one.start for one in ranges)
    assert across / up == pytest.approx(3.0)


def test_an_error_is_shown_until_the_next_request(shown):
    view = shown(demo_table(), bandwidth=0.5)
    view.controls.min_support.value = 1e6
    settled(view)
    assert "no answer" in view.controls.status.text
    view.controls.min_support.value = 0.0
    settled(view)
    assert "no answer" not in view.controls.status.text


def test_what_is_computed_is_said(shown, monkeypatch):
    view = shown(demo_table(), bandwidth=0.5)
    view.session.worker.stage = ("fit", -1e9, "climb 50%")
    view._show_status()
    assert "computing</b> the fit: climb 50%" in view.controls.status.text
    view.session.worker.stage = None
    view._show_status()
    assert "computing" not in view.controls.status.text


def test_what_is_probably_a_mistake_is_said_as_cluster_notes_it(shown, monkeypatch):
    monkeypatch.setattr(remarks, "MAX_ROW_SEEDS", 299)
    X = demo_table()
    view = shown(np.column_stack([np.arange(300.0), X * [1.0, 5000.0]]), bandwidth=2.5)
    counts, spreads = view.controls.status.text.split("<br>")[1:]
    assert counts == "column 0 only counts the rows, and is among the features; leave it out"
    assert spreads.startswith("the columns share one bandwidth, and column 1 spreads over ")
    view = shown(X, bandwidth=2.5)
    assert "<br>" not in view.controls.status.text
    view.controls.switches["bin_seeding"].active = 1
    settled(view)
    note = "<br>all 300 rows are seeds; bin_seeding=True takes a second"
    assert view.controls.status.text.endswith(note)


def test_a_file_is_saved_and_named(shown, tmp_path):
    view = shown(demo_table(), bandwidth=2.5)
    view.controls.path.value = str(tmp_path / "l.npy")
    view._save("labels")
    settled(view)
    assert view.controls.saved.text == f"300 labels written to {tmp_path / 'l.npy'}"
    view.controls.path.value = str(tmp_path / "<b>.txt")
    view._save("labels")
    settled(view)
    assert view.controls.saved.text == ""
    assert "&lt;b&gt;.txt" in view.controls.status.text


def test_figures_have_the_colours_of_light_and_dark_pages(shown):
    view = shown(demo_table(), bandwidth=2.5)
    styles = {(part, name): pair for part, names in view._styles() for name, *pair in names}
    for chart in (view.map, view.curve, view.sizes, view.history):
        for part, name, pair in (
            (chart.figure, "background_fill_color", [LIGHT.paper, DARK.paper]),
            (chart.figure.title, "text_color", [LIGHT.ink, DARK.ink]),
        ):
            assert styles[part, name] == pair
            assert getattr(part, name) == pair[0]
    assert LIGHT.paper in TEMPLATE
    assert DARK.paper in TEMPLATE


@pytest.mark.parametrize("X", [[[1.0]], [[1.0, 2.0]] * 3, np.zeros((30, 5))])
def test_degenerate_tables_have_a_page(X, shown):
    assert "1 cluster" in shown(X).controls.status.text


# The server.


def fetched(url):
    try:
        with urllib.request.urlopen(url, timeout=LIMIT_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


@contextmanager
def connected(url):
    """Open the page and its websocket, as a browser does."""
    _, page = fetched(url)
    session = re.search(r'"token":"([^"]+)"', page).group(1)
    address = urljoin(url, "ws").replace("http:", "ws:")

    async def connect():
        socket = await websocket_connect(address, subprotocols=["bokeh", session])
        assert "ACK" in await socket.read_message()
        return socket

    async def disconnect(socket):
        socket.close()
        while await socket.read_message() is not None:
            pass

    with asyncio.Runner() as runner:
        socket = runner.run(connect())
        yield
        runner.run(disconnect(socket))


@pytest.fixture
def explorer():
    served = explore(demo_table(), browser=False, bandwidth=2.5)
    yield served
    served.close()


def test_the_page_is_served_with_the_token_and_nothing_without(explorer):
    token = explorer.url.rstrip("/").rsplit("/", 1)[1]
    host = explorer.url.split(token)[0]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", host)
    assert len(token) >= 32
    status, page = fetched(explorer.url)
    assert status == 200
    assert "data-theme" in page
    script = re.search(r'src="([^"]*bokeh[^"]*\.js[^"]*)"', page).group(1)
    assert (
        fetched(host.rstrip("/") + script if script.startswith("/") else explorer.url + script)[0]
        == 200
    )
    for path in (
        "",
        "ws",
        "static/js/bokeh.min.js",
        "autoload.js",
        "metadata",
        f"{token[:-1]}/",
        "favicon.ico",
    ):
        assert fetched(host + path)[0] == 404


def test_sessions_that_the_server_did_not_sign_are_refused(explorer):
    assert fetched(f"{explorer.url}?bokeh-session-id=mine")[0] == 403


def test_other_addresses_of_the_machine_do_not_listen(explorer):
    port = int(explorer.url.split(":")[2].split("/")[0])
    (socket,) = explorer._server._http._sockets.values()
    assert socket.getsockname() == ("127.0.0.1", port)


def test_the_model_shown_is_at_hand(explorer):
    assert explorer.model is None
    with connected(explorer.url):
        explorer._views[-1].session.worker.wait()
        assert explorer.model.bandwidth_ == 2.5
        assert np.isfinite(explorer.model.score_samples(explorer.model.cluster_centers_)).all()


def test_a_notebook_shows_the_page_in_a_frame(explorer):
    assert f'<iframe src="{explorer.url}"' in explorer._repr_html_()
    assert explorer.url in repr(explorer)


def test_a_browser_is_opened(monkeypatch):
    opened = []
    monkeypatch.setattr(meanshift_fast.explore.webbrowser, "open", opened.append)
    served = explore(demo_table())
    served.close()
    assert opened == [served.url]


def test_without_bokeh_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh", None)
    with pytest.raises(ImportError, match=r"meanshift_fast\[explore\]"):
        explore(demo_table())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bandwidth": [1.0, 2.0]}, "one number"),
        ({"kernel": "round"}, "kernel"),
        ({"seeds": [[1.0, 2.0]]}, "seeds"),
    ],
)
def test_parameters_are_checked_before_a_page_is_served(parameters, message):
    with pytest.raises(ValueError, match=message):
        explore(demo_table(), browser=False, **parameters)


def test_a_table_is_checked_before_a_page_is_served():
    with pytest.raises(ValueError, match="NaN"):
        explore([[np.nan, 1.0]], browser=False)


# The command.


@pytest.fixture
def started(tmp_path, executable):
    """Start the command on a table, and read its first line."""
    running = []

    def start(*options):
        np.save(tmp_path / "X.npy", demo_table())
        process = subprocess.Popen(
            [executable, "explore", "X.npy", "--no-browser", *options], cwd=tmp_path,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        running.append(process)
        return process, process.stdout.readline()

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_ctrl_c_ends_the_command(started):
    process, line = started("--bandwidth", "2")
    assert fetched(re.search(r"http://\S+", line).group())[0] == 200
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT_SECONDS) == 0
    assert process.stderr.read() == ""


def test_with_once_closing_the_page_ends_the_command(started):
    process, line = started("--once", "--json")
    facts = json.loads(line)
    assert facts["once"]
    with connected(facts["address"]):
        time.sleep(1.0)
        assert process.poll() is None
    assert process.wait(LIMIT_SECONDS) == 0


@pytest.mark.parametrize(
    "words",
    [["none.npy"], ["X.npy", "--columns", "7"], ["X.csv"], ["X.npy", "--weight-column", "9"]],
)
def test_bad_files_and_columns_have_the_errors_of_cluster(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("X.npy", demo_table())
    (tmp_path / "X.csv").write_text("a,b\n1,2\n3,x\n")
    assert main(["cluster", *words, "-o", "l.npy"]) == 1
    of_cluster = capsys.readouterr().err
    assert main(["explore", *words]) == 1
    assert capsys.readouterr().err == of_cluster


def test_the_command_begins_with_its_options(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("X.npy", demo_table())
    given = []

    class Served:
        url = "http://127.0.0.1:1/token/"
        wait = close = lambda self: None

    monkeypatch.setattr(
        meanshift_fast.explore,
        "explore",
        lambda table, **how: given.append((table, how)) or Served(),
    )
    assert main(["explore", "X.npy", "--kernel", "gaussian", "--quantile", "0.1", "--once"]) == 0
    table, how = given[0]
    assert table.choice.features == open_table("X.npy").choice.features
    assert how["kernel"] == "gaussian"
    assert how["bin_seeding"]
    assert 0.0 < how["bandwidth"] < 2.0
    assert how["once"]
    assert "token" in capsys.readouterr().out
