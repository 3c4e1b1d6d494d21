"""The explorer's model: requests and answers, without a page."""

import shlex
import sys
import threading
import time
import tracemalloc
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from meanshift_fast import MeanShift, bandwidth_curve, trace
from meanshift_fast._cli.main import main
from meanshift_fast._cli.places import in_engine_units
from meanshift_fast._explore.code import command_line, python_lines
from meanshift_fast._explore.colouring import coloured
from meanshift_fast._explore.projection import COMPONENTS, N_COLOURS, RASTER_SHAPE, project
from meanshift_fast._explore.rows import rows_of
from meanshift_fast._explore.saving import save
from meanshift_fast._explore.session import Session
from meanshift_fast._explore.worker import Worker
from meanshift_fast._files.standard_input import StandardInput
from meanshift_fast._index import choice
from meanshift_fast._pictures.colours import COLOURS, GREY, rgb_of
from meanshift_fast._pictures.rasters import MAX_MARKERS
from meanshift_fast.datasets import demo_table
from meanshift_fast.io import open_table
from meanshift_fast.models import load_model

LIMIT_SECONDS = 600
BINS = {"bin_seeding": True}
CHANGES = [
    {},
    {"bandwidth": 1.25},
    {"bandwidth": 1.0, "kernel": "gaussian", "bin_seeding": False},
    {"bandwidth": 1.5, "assign": "basin", "coalesce": 0.01},
    {"bandwidth": 0.8, "cluster_all": False, "min_support": 2.0},
]


@pytest.fixture
def explored():
    """Make sessions, and end their threads."""
    made = []

    def make(X, parameters=BINS, **weights):
        heard = []
        session = Session(rows_of(X, **weights), dict(parameters), lambda *what: heard.append(what))
        session.heard = heard
        made.append(session)
        return session

    yield make
    for session in made:
        session.close()


def begun(session):
    session.begin()
    session.worker.wait()
    return session


def test_the_first_answer_is_followed_by_the_curve_and_the_stable_bandwidth(explored):
    session = begun(explored(demo_table()))
    curve = bandwidth_curve(demo_table())
    np.testing.assert_array_equal(session.curve.n_clusters, curve.n_clusters)
    assert session.answer.model.bandwidth_ == pytest.approx(curve.bandwidth, rel=1e-3)
    assert [kind for kind, _ in session.heard].count("answer") == 2


def test_a_given_bandwidth_stays_when_the_curve_is_known(explored):
    session = begun(explored(demo_table(), {**BINS, "bandwidth": 0.9}))
    assert session.answer.model.bandwidth_ == 0.9
    assert [kind for kind, _ in session.heard].count("answer") == 1


def test_a_bandwidth_that_was_chosen_meanwhile_stays(explored):
    session = explored(demo_table())
    session.change(bandwidth=3.0)
    assert begun(session).answer.model.bandwidth_ == 3.0


def test_a_bandwidth_that_is_chosen_while_the_stable_one_is_taken_stays(explored, monkeypatch):
    session, chosen = explored(demo_table()), []

    def rounded_late(bandwidth):
        chosen.append(threading.Thread(target=session.change, kwargs={"bandwidth": 3.0}))
        chosen[0].start()
        chosen[0].join(0.5)
        return bandwidth

    monkeypatch.setattr("meanshift_fast._explore.session.rounded", rounded_late)
    begun(session)
    (thread,) = chosen
    thread.join(LIMIT_SECONDS)
    session.worker.wait()
    assert session.parameters["bandwidth"] == session.answer.model.bandwidth_ == 3.0


def test_the_curve_is_about_fits_from_the_seeds_shown(explored):
    rows = np.random.default_rng(5).standard_t(2, size=(150, 2))
    session = begun(explored(rows, {"bandwidth": 1.0, "bin_seeding": False}))
    for bin_seeding, n_centers in ((False, 6), (True, 5)):
        session.change(bin_seeding=bin_seeding)
        session.worker.wait()
        assert session.curve.n_centers == n_centers
        fit = MeanShift(bandwidth=session.curve.bandwidth, bin_seeding=bin_seeding).fit(rows)
        assert len(fit.cluster_centers_) == n_centers


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_answers_are_those_of_a_fit(changes, explored):
    X = demo_table()
    session = begun(explored(X))
    session.change(**changes)
    session.worker.wait()
    model = MeanShift(**session.answer.model.get_params()).fit(X)
    np.testing.assert_array_equal(session.answer.model.labels_, model.labels_)
    np.testing.assert_array_equal(session.answer.model.cluster_centers_, model.cluster_centers_)
    sizes = np.bincount(model.labels_ + 1, minlength=len(model.cluster_centers_) + 1)
    np.testing.assert_array_equal(session.answer.sizes, sizes)


def test_a_tree_is_built_once_for_all_bandwidths_and_answers_stay_those_of_a_fit(
    explored, monkeypatch
):
    built, build = [], choice.build_tree
    monkeypatch.setattr(
        choice, "build_tree", lambda *rows, **how: built.append(how) or build(*rows, **how)
    )
    X = np.random.default_rng(7).normal(size=(3000, 2)).round(2)
    session = begun(explored(X, {**BINS, "bandwidth": 1.5}))
    for changes, n_built in (
        ({"bandwidth": 1.0}, 1),
        ({"bandwidth": 0.8}, 1),
        ({"bandwidth": 0.8, "assign": "basin"}, 1),
        ({"bandwidth": 0.8, "bin_seeding": False}, 2),  # at medians
        ({"bandwidth": 0.4}, 2),
        ({"bandwidth": 0.4, "kernel": "gaussian"}, 3),  # in bandwidths
        ({"bandwidth": 0.5, "kernel": "flat"}, 3),
    ):
        session.change(**changes)
        session.worker.wait()
        assert len(built) == n_built, changes
        model = MeanShift(**session.answer.model.get_params()).fit(X)
        del built[n_built:]
        np.testing.assert_array_equal(session.answer.model.labels_, model.labels_)
        np.testing.assert_array_equal(session.answer.model.cluster_centers_, model.cluster_centers_)


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_the_python_shown_gives_the_labels_shown(changes, explored):
    session = begun(explored(demo_table()))
    session.change(**changes)
    session.worker.wait()
    names = {"X": demo_table()}
    exec(session.code()[0], names)
    np.testing.assert_array_equal(names["labels"], session.answer.model.labels_)


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_the_command_shown_gives_the_labels_shown(changes, explored, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("X.npy", demo_table())
    session = begun(explored(demo_table()))
    session.change(**changes)
    session.worker.wait()
    note, line = session.code()[1].splitlines()
    assert note.startswith("#")
    assert main(shlex.split(line)[1:]) == 0
    np.testing.assert_array_equal(np.load("labels.npy"), session.answer.model.labels_)


def test_the_code_of_a_file_reads_it_with_its_options(explored, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = ["a b;c;w;name"] + [f"{x};{y};2;n" for x, y in demo_table().round(3)]
    (tmp_path / "my table.csv").write_text("\n".join(lines).replace(".", ","))
    table = open_table(
        "my table.csv", columns=["a b", "c"], weight_column="w", delimiter=";", decimal=","
    )
    session = begun(explored(table))
    names = {}
    python, line = session.code()
    exec(python, names)
    np.testing.assert_array_equal(names["labels"], session.answer.model.labels_)
    assert main(shlex.split(line)[1:]) == 0
    np.testing.assert_array_equal(np.load("labels.npy"), session.answer.model.labels_)
    assert session.rows.names == ["a b", "c"]


def test_the_command_keeps_columns_in_a_format_that_names_them(explored, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = ["x,y,name"] + [f"{x},{y},n" for x, y in demo_table()]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    session = begun(explored(open_table("t.csv", keep=["name"])))
    assert main(shlex.split(session.code()[1])[1:]) == 0
    read = open_table("labels.csv", columns=["label"], keep=["name"]).read()
    np.testing.assert_array_equal(read.X[:, 0], session.answer.model.labels_)
    assert set(read.kept["name"].to_pylist()) == {"n"}


def test_numbers_of_numpy_are_those_of_python_in_the_code():
    changed = {"bandwidth": np.float32(0.5), "cluster_all": np.False_, "max_iter": np.int64(9)}
    changed |= {"tol": np.float64(0.0001), "period": (np.float64(24.0), None)}
    given = {**MeanShift().get_params(), **changed}
    line = python_lines(given, None).splitlines()[2]
    assert eval(line.removesuffix(".fit(X)").removeprefix("model = ")).get_params() == given
    assert "np." not in line
    options = "--bandwidth=0.5 --no-cluster-all --max-iter=9 --tol=0.0001 --period=0=24.0"
    assert options in command_line(given, None)


def test_the_code_of_standard_input_names_what_can_be_read_again(explored, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = "x,y\n" + "".join(f"{x},{y}\n" for x, y in demo_table())
    (tmp_path / "spooled").mkdir()
    spooled = StandardInput(tmp_path, "spooled", "stdin.csv")
    spooled.write_text(lines)
    session = begun(explored(open_table(spooled, format="csv"), {**BINS, "bandwidth": 1.5}))
    python, command = session.code()
    assert "spooled" not in python + command
    Path("stdin.csv").write_text(lines)
    names = {}
    exec(python, names)
    np.testing.assert_array_equal(names["labels"], session.answer.model.labels_)
    with open("stdin.csv", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert main(shlex.split(command, comments=True)[1:]) == 0
    np.testing.assert_array_equal(np.load("labels.npy"), session.answer.model.labels_)


def test_switches_in_the_command_have_both_forms():
    line = command_line({**MeanShift().get_params(), "cluster_all": False, "n_jobs": 2}, None)
    assert line.endswith("meanshift-fast cluster X.npy --no-cluster-all -o labels.npy")


def test_weights_of_an_array_are_named_in_the_code():
    assert "fit(X, sample_weight=sample_weight)" in python_lines({}, None, has_weights=True)


def test_the_command_for_weights_of_an_array_counts_them(explored, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, weights = demo_table(), np.arange(300.0) % 3
    session = begun(explored(X, sample_weight=weights))
    np.save("X.npy", np.column_stack([X, weights]))
    note, line = session.code()[1].splitlines()
    assert "sample_weight" in note
    assert main(shlex.split(line)[1:]) == 0
    np.testing.assert_array_equal(np.load("labels.npy"), session.answer.model.labels_)


def test_the_command_for_a_period_names_its_columns(explored, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X = demo_table()
    np.save("X.npy", X)
    session = begun(explored(X, {"period": np.array([None, 9.5]), "bandwidth": 1.5}))
    line = session.code()[1].splitlines()[1]
    assert "--period=1=9.5" in line
    assert main(shlex.split(line)[1:]) == 0
    np.testing.assert_array_equal(np.load("labels.npy"), session.answer.model.labels_)


def test_degrees_of_a_file_come_back_as_degrees(explored, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    degrees = demo_table() + np.array([45.0, 0.0])
    np.save("places.npy", degrees)
    options = Namespace(degrees=True, metric="haversine", bandwidth=2.5)
    table = in_engine_units(options, open_table("places.npy"))
    session = begun(explored(table, {"metric": "haversine", "bandwidth": options.bandwidth}))
    names = {}
    python, line = session.code()
    exec(python, names)
    np.testing.assert_array_equal(names["labels"], session.answer.model.labels_)
    assert main(shlex.split(line)[1:]) == 0
    np.testing.assert_array_equal(np.load("labels.npy"), session.answer.model.labels_)
    save("centres", Path("c.npy"), session.answer.model, session.rows)
    assert np.load("c.npy")[:, 0].min() > 40.0


def test_weights_count(explored):
    X = demo_table()
    weights = np.linspace(0.0, 3.0, len(X))
    session = begun(explored(X, {**BINS, "bandwidth": 1.0}, sample_weight=weights))
    model = MeanShift(bandwidth=1.0, bin_seeding=True).fit(X, sample_weight=weights)
    np.testing.assert_array_equal(session.answer.model.labels_, model.labels_)


def test_the_other_kernel_takes_the_bandwidth_of_the_same_reach(explored):
    session = begun(explored(demo_table(), {**BINS, "bandwidth": 2.0}))
    session.change(kernel="gaussian")
    assert session.parameters["bandwidth"] == 1.0
    session.change(kernel="flat")
    assert session.parameters["bandwidth"] == 2.0


def test_limits_go_from_nearest_neighbours_to_the_whole_table(explored):
    X = np.arange(100.0)[:, None]
    low, high = explored(X, {**BINS, "bandwidth": 3.0}).limits
    assert low == 1.0
    assert high == 49.5


@pytest.mark.parametrize("X", [[[1.0, 2.0]] * 5, [[0.0], [0.0], [0.0], [1e100]]])
def test_tables_without_scales_have_limits_and_answers(X, explored):
    session = begun(explored(X))
    low, high = session.limits
    assert 0.0 < low < high < np.inf
    assert session.answer is not None


def test_an_error_is_heard_and_the_session_goes_on(explored):
    session = begun(explored(demo_table()))
    session.change(bandwidth=0.5, min_support=1e6)
    session.worker.wait()
    errors = [value for kind, value in session.heard if kind == "error"]
    assert "leaves no centre" in errors[0]
    session.change(min_support=0.0)
    session.worker.wait()
    assert session.answer.model.bandwidth_ == 0.5


@pytest.mark.parametrize("bandwidth", [[1.0, 2.0], -1.0, "no rule"])
def test_a_bandwidth_that_is_no_number_is_refused(bandwidth):
    with pytest.raises(ValueError, match="bandwidth"):
        Session(rows_of(demo_table()), {"bandwidth": bandwidth})


def test_a_file_has_its_weights_in_a_column(tmp_path):
    np.save(tmp_path / "X.npy", demo_table())
    with pytest.raises(ValueError, match="weight_column"):
        rows_of(open_table(tmp_path / "X.npy"), sample_weight=np.ones(300))


# Trajectories.


def test_a_click_gives_the_trajectory_that_trace_gives(explored):
    X = demo_table()
    session = begun(explored(X, {**BINS, "bandwidth": 2.5}))
    session.follow(4.5, 3.5)
    session.worker.wait()
    traced = trace(X, [4.5, 3.5], bandwidth=2.5)
    assert str(session.trajectory.traced) == str(traced)
    np.testing.assert_array_equal(session.trajectory.path, traced.positions[0])
    assert session.trajectory.row is None


def test_where_the_page_shows_fewer_columns_the_trajectory_begins_at_the_nearest_row(explored):
    X = np.random.default_rng(0).normal(size=(500, 4))
    session = begun(explored(X, {**BINS, "bandwidth": 2.0}))
    session.look("feature 1", "feature 3")
    session.worker.wait()
    session.follow(*X[17, [1, 3]])
    session.worker.wait()
    assert session.trajectory.row == 17
    np.testing.assert_array_equal(session.trajectory.traced.positions[0][0], X[17])


def test_in_one_column_only_the_place_across_counts(explored):
    session = begun(explored(demo_table()[:, :1], {**BINS, "bandwidth": 2.0}))
    session.follow(3.0, 17.0)
    session.worker.wait()
    assert session.trajectory.traced.positions[0][0].tolist() == [3.0]


# Saving.


def test_labels_centres_and_models_are_saved(explored, tmp_path):
    X = demo_table()
    session = begun(explored(X, {**BINS, "bandwidth": 2.5}))
    for what, name in (("labels", "l.npy"), ("centres", "c.csv"), ("model", "m.model")):
        session.save(what, str(tmp_path / name))
        session.worker.wait()
    model = session.answer.model
    np.testing.assert_array_equal(np.load(tmp_path / "l.npy"), model.labels_)
    assert (tmp_path / "c.csv").read_text().startswith("feature 0,feature 1\n")
    np.testing.assert_array_equal(load_model(tmp_path / "m.model").predict(X), model.labels_)
    assert [value.split(" written")[0] for kind, value in session.heard if kind == "saved"] == [
        "300 labels", "3 centres", "the model",
    ]  # fmt: skip


def test_labels_of_a_file_keep_its_columns_and_its_missing_rows(explored, tmp_path):
    (tmp_path / "t.csv").write_text("id,x\na,1\nb,\nc,1.5\nd,9\n")
    table = open_table(tmp_path / "t.csv", keep=["id"], drop_missing=True)
    session = begun(explored(table, {**BINS, "bandwidth": 2.0}))
    session.save("labels", str(tmp_path / "l.csv"))
    session.worker.wait()
    assert (tmp_path / "l.csv").read_text() == 'id,label\n"a",0\n"b",\n"c",0\n"d",1\n'


@pytest.mark.parametrize(
    ("what", "name", "message"),
    [
        ("labels", "l.txt", "must end in"),
        ("centres", "none/c.npy", "there is no folder"),
        ("labels", "X.npy", "read from"),
    ],
)
def test_a_file_that_cannot_be_written_is_an_error(what, name, message, explored, tmp_path):
    np.save(tmp_path / "X.npy", demo_table())
    session = begun(explored(open_table(tmp_path / "X.npy"), {**BINS, "bandwidth": 2.5}))
    session.save(what, str(tmp_path / name))
    session.worker.wait()
    assert message in session.heard[-1][1]
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), demo_table())


# The page.


def test_two_columns_are_laid_as_they_are():
    X = demo_table()
    projection = project(X, ["x", "y"])
    np.testing.assert_array_equal(projection.laid, X)
    assert projection.page.names == ["x", "y"]
    assert not projection.is_raster
    (ball,) = projection.balls(X[:1], 2.0)
    assert np.linalg.norm(ball - X[0], axis=1) == pytest.approx(2.0)


def test_many_columns_are_laid_by_components_or_by_those_chosen():
    X = np.random.default_rng(1).normal(size=(300, 3)) * (1.0, 9.0, 3.0)
    names = ["a", "b", "c"]
    projection = project(X, names)
    assert "variance" in projection.page.names[0]
    assert abs(np.corrcoef(projection.laid[:, 0], X[:, 1])[0, 1]) > 0.999
    np.testing.assert_array_equal(project(X, names, "c", "a").laid, X[:, [2, 0]])
    mixed = project(X, names, "c", COMPONENTS[0])
    np.testing.assert_allclose(mixed.laid[:, 0], X[:, 2] - X[:, 2].mean(), atol=1e-12)
    np.testing.assert_allclose(mixed.lay(X), mixed.laid, atol=1e-12)


def test_two_of_very_many_columns_take_memory_by_their_number():
    X = np.arange(6_000.0).reshape(3, 2_000)
    names = [str(column) for column in range(2_000)]
    tracemalloc.start()
    projection = project(X, names, "7", "1999")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(projection.laid, X[:, [7, 1_999]])
    np.testing.assert_array_equal(projection.lay(X), projection.laid)
    assert peak < 2_000 * 2_000 * 8 / 4


def test_the_components_of_two_columns_can_be_shown():
    X = demo_table()
    laid = project(X, ["x", "y"], *COMPONENTS).laid
    assert np.cov(laid.T)[0, 1] == pytest.approx(0.0, abs=1e-9)


def test_one_column_is_a_histogram_of_rows():
    X = np.repeat([0.0, 1.0, 5.0], [3, 1, 2])[:, None]
    laid = project(X, ["x"]).laid
    np.testing.assert_array_equal(laid[:, 0], X[:, 0])
    assert sorted(laid[:, 1].tolist()) == [1, 1, 1, 2, 2, 3]


def test_a_raster_shows_the_mean_colour_of_each_pixels_rows():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(MAX_MARKERS + 1, 2))
    projection = project(X, ["x", "y"])
    colours = rng.integers(N_COLOURS, size=len(X)).astype(np.uint8)
    image = projection.picture(colours).view(np.uint8).reshape(*RASTER_SHAPE, 4)
    (n_up, n_across), palette = RASTER_SHAPE, rgb_of(list(COLOURS))
    parts = (X - projection.low) / (projection.high - projection.low)
    across, up = (parts * (n_across, n_up)).astype(int).T
    pixels = up * n_across + across
    for pixel in (np.bincount(pixels).argmax(), pixels[5]):
        here = (up == pixel // n_across) & (across == pixel % n_across)
        mean = 255 * palette[colours[here].astype(int) - 1].mean(axis=0)
        np.testing.assert_allclose(image.reshape(-1, 4)[pixel, :3], mean, atol=0.51)
    assert (image[..., 3] > 0).sum() == len(np.unique(pixels))


def test_orphans_are_grey(explored):
    X = np.vstack([demo_table(), [[90.0, 90.0]]])
    parameters = {**BINS, "bandwidth": 2.5, "cluster_all": False, "min_support": 5.0}
    session = begun(explored(X, parameters))
    colours = session.answer.row_colours
    assert colours[-1] == 0
    assert session.answer.sizes[0] == (colours == 0).sum() > 0
    assert GREY not in COLOURS


def test_clusters_keep_their_colours_from_answer_to_answer():
    rng = np.random.default_rng(3)
    centers = rng.uniform(0, 100, (30, 2))
    first = coloured(centers)
    moved = rng.permutation(30)
    second = coloured(centers[moved] + 0.01, (centers, first), 1.0)
    np.testing.assert_array_equal(second, first[moved])
    far = coloured(centers + 500.0, (centers, first), 1.0)
    assert far.max() < len(COLOURS)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("magnitude", [1e200, 1e-200])
def test_clusters_of_any_magnitude_keep_their_colours(magnitude):
    centers = np.random.default_rng(3).uniform(0, 100, (30, 2)) * magnitude
    first = coloured(centers)
    np.testing.assert_array_equal(coloured(centers[::-1], (centers, first), magnitude), first[::-1])


def test_many_clusters_have_colours_without_delay():
    centers = np.random.default_rng(4).uniform(0, 100, (5_000, 2))
    began = time.thread_time()
    assert len(coloured(centers, (centers, coloured(centers)), 1.0)) == 5_000
    assert time.thread_time() - began < 2.0


# The worker.


def test_a_newer_request_replaces_the_one_at_work():
    began, done = threading.Event(), []
    worker = Worker(["fit"], lambda *_: None)

    def endless(report):
        began.set()
        while True:
            report(1, 2, "climb")
            time.sleep(0.001)

    worker.submit("fit", endless)
    assert began.wait(LIMIT_SECONDS)
    worker.submit("fit", lambda _: done.append("newest"))
    worker.wait()
    assert done == ["newest"]
    worker.close()


def test_of_requests_that_wait_the_newest_is_run():
    release, done = threading.Event(), []
    worker = Worker(["fit", "curve"], lambda *_: None)
    worker.submit("curve", lambda _: release.wait(LIMIT_SECONDS))
    for number in range(5):
        worker.submit("fit", lambda _, number=number: done.append(number))
    release.set()
    worker.wait()
    assert done == [4]
    worker.close()


def test_a_long_job_lets_earlier_kinds_go_between_and_goes_on():
    order, began, go_on = [], threading.Event(), threading.Event()
    worker = Worker(["fit", "curve"], lambda *_: None)

    def curve(report):
        began.set()
        assert go_on.wait(LIMIT_SECONDS)
        report(1, 2, "bandwidth")
        order.append("curve")

    worker.submit("curve", curve)
    assert began.wait(LIMIT_SECONDS)
    worker.submit("fit", lambda _: order.append("fit"))
    go_on.set()
    worker.wait()
    assert order == ["fit", "curve"]
    worker.close()


def test_a_fit_is_dropped_within_its_rounds(explored):
    X = np.random.default_rng(5).uniform(size=(30_000, 2))
    session = explored(X, {"bandwidth": 0.05, "bin_seeding": False})
    for bandwidth in (0.05, 0.051, 0.3):
        session.change(bandwidth=bandwidth, bin_seeding=bandwidth == 0.3)
        time.sleep(0.05)
    session.worker.wait()
    fits = [value for kind, value in session.heard if kind == "answer"]
    assert fits[-1].model.bandwidth_ == 0.3


def test_the_worker_says_what_it_computes():
    seen = []
    worker = Worker(["fit"], lambda *_: None)

    def job(report):
        report(1, 4, "climb")
        seen.append(worker.stage)

    worker.submit("fit", job)
    worker.wait()
    assert (seen[0][0], seen[0][2]) == ("fit", "climb 25%")
    assert worker.stage is None
    worker.close()


# Other metrics.


def test_places_on_the_globe_are_a_map_in_degrees(explored):
    rng = np.random.default_rng(6)
    X = np.radians(rng.normal([[48.0, 2.0], [52.0, 13.0], [10.0, 179.0]] * 40, 0.5))
    session = begun(explored(X, {**BINS, "metric": "haversine", "bandwidth": 0.05}))
    np.testing.assert_allclose(session.projection.laid[0], np.degrees(X[0, ::-1]))
    model = MeanShift(bandwidth=0.05, bin_seeding=True, metric="haversine").fit(X)
    np.testing.assert_array_equal(session.answer.model.labels_, model.labels_)
    curve = bandwidth_curve(X, metric="haversine")
    np.testing.assert_array_equal(session.curve.n_clusters, curve.n_clusters)
    balls = session.projection.balls(model.cluster_centers_, 0.05)
    assert len(balls) == len(model.cluster_centers_)
    session.follow(2.1, 48.1)
    session.worker.wait()
    start = np.radians([48.1, 2.1])
    np.testing.assert_allclose(session.trajectory.traced.positions[0][0], start)
    traced = trace(X, start, bandwidth=0.05, metric="haversine")
    assert str(session.trajectory.traced) == str(traced)


def test_trajectories_of_directions_lie_at_length_1(explored):
    session = begun(explored(demo_table(), {**BINS, "metric": "cosine", "bandwidth": 0.01}))
    session.follow(6.0, 3.0)
    session.worker.wait()
    np.testing.assert_allclose(np.linalg.norm(session.trajectory.path, axis=1), 1.0)


def test_a_trajectory_over_a_seam_is_cut_there(explored):
    X = np.random.default_rng(8).normal([[0.3, 5.0], [9.8, 5.0]] * 200, 0.3)
    session = begun(explored(X, {**BINS, "period": (10.0, None), "bandwidth": 1.0}))
    session.follow(9.2, 5.2)
    session.worker.wait()
    path = session.projection.path(session.trajectory.traced.positions[0])
    assert np.isnan(path[:, 0]).sum() == 1
    assert np.nanmax(np.abs(np.diff(path[:, 0]))) < 5.0
    assert (session.trajectory.path[:, 0] >= 0.0).all()


@pytest.mark.parametrize("space", [{"metric": "cosine"}, {"period": (None, 10.0)}], ids=str)
def test_answers_in_other_spaces_are_those_of_a_fit(space, explored):
    X = demo_table() + 0.01
    session = begun(explored(X, {"bandwidth": 0.05 if "metric" in space else 2.0, **BINS, **space}))
    model = MeanShift(**session.answer.model.get_params()).fit(X)
    np.testing.assert_array_equal(session.answer.model.labels_, model.labels_)
    low, high = session.limits
    assert 0.0 < low < high
