"""The commands on files: what they answer, where it goes, and what they do when things go wrong."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from PIL import Image

from meanshift_fast import MeanShift, bandwidth_curve, estimate_bandwidth, trace
from meanshift_fast._cli.main import main
from meanshift_fast._files.formats import FORMATS, READABLE
from meanshift_fast._files.npy_format import Npy
from meanshift_fast._input import progress
from meanshift_fast.io import open_table
from meanshift_fast.models import load_model, save_model
from meanshift_fast.stream import fit_batches
from samples import blobs
from served import BEFORE
from test_io import full_disk, named, save, text

X = blobs(500, 2)


@cache
def model():
    return MeanShift(bandwidth=1.0).fit(X)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The same table in each format, in a folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    for form in FORMATS:
        save(tmp_path / f"t{form}", named(X))
    return tmp_path


def run(command, capsys, code=0):
    """Run a command in this process; return what it printed."""
    assert main(command.split()) == code
    return capsys.readouterr()


def estimated(parameters):
    """The parameters; in place of those of an estimate the bandwidth that it finds."""
    if parameters.keys() & {"method", "quantile"}:
        return {"bandwidth": float(estimate_bandwidth(X, **parameters))}
    return parameters


def labels_of(path):
    if path.suffix == ".npy":
        return np.load(path)
    return open_table(path, columns=["label"]).read().X[:, 0]


@pytest.mark.parametrize("form_out", FORMATS)
@pytest.mark.parametrize("form_in", FORMATS)
def test_cluster_and_predict_label_as_the_estimator_does(form_in, form_out, folder, capsys):
    files = f"-o out{form_out} --centers c{form_out} --model m.model"
    printed = run(f"cluster t{form_in} --bandwidth 1 {files}", capsys)
    columns = "0, 1" if form_in == ".npy" else "x, y"
    assert printed.out.startswith(f"500 rows, 2 columns ({columns}): 4 clusters; bandwidth 1; ")
    assert printed.out.endswith(f" s; labels in out{form_out}\n")
    assert printed.out.count("\n") == 1
    assert printed.err == ""
    np.testing.assert_array_equal(labels_of(folder / f"out{form_out}"), model().labels_)
    np.testing.assert_array_equal(
        open_table(folder / f"c{form_out}").read().X, model().cluster_centers_
    )
    printed = run(f"predict m.model t{form_in} -o again{form_out}", capsys)
    assert printed.out.startswith(f"500 rows, 2 columns ({columns}): 4 of 4 clusters; ")
    np.testing.assert_array_equal(labels_of(folder / f"again{form_out}"), model().labels_)


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ("--bandwidth 0.8,1.2", {"bandwidth": [0.8, 1.2]}),
        ("--bandwidth scott", {"bandwidth": "scott"}),
        ("", {}),
        ("--quantile 0.1", {"quantile": 0.1}),
        ("--bandwidth 1 --assign basin", {"bandwidth": 1.0, "assign": "basin"}),
        (
            "--bandwidth 0.5 --kernel gaussian --accuracy 1e-4",
            {"bandwidth": 0.5, "kernel": "gaussian", "accuracy": 1e-4},
        ),
        (
            "--bandwidth 1 --bin-seeding --min-bin-freq 3 --no-cluster-all",
            {"bandwidth": 1.0, "bin_seeding": True, "min_bin_freq": 3, "cluster_all": False},
        ),
        (
            "--bandwidth .5 --tol 0.01 --max-iter 9 --coalesce 0.02 --n-jobs 1 --kernel flat",
            {"bandwidth": 0.5, "tol": 0.01, "max_iter": 9, "coalesce": 0.02, "n_jobs": 1},
        ),
    ],
)
def test_options_are_the_parameters(options, parameters, folder, capsys):
    run(f"cluster t.npy -o out.npy --model m.model {options}", capsys)
    expected = MeanShift(**estimated(parameters)).fit(X)
    np.testing.assert_array_equal(np.load("out.npy"), expected.labels_)
    loaded = load_model("m.model")
    np.testing.assert_array_equal(loaded.bandwidth_, expected.bandwidth_)
    for name, value in expected.get_params().items():
        np.testing.assert_array_equal(getattr(loaded, name), value)


def test_weights_columns_and_what_is_kept(folder, capsys):
    weights = np.arange(500.0) % 3
    columns = {"id": np.arange(500), "w": weights, "a": X[:, 0], "b": X[:, 1], "c": X[:, 0]}
    save("w.parquet", columns)
    run("cluster w.parquet -o o.parquet --columns a,b --weight-column w --keep id "
        "--bandwidth 1", capsys)  # fmt: skip
    expected = MeanShift(bandwidth=1.0).fit(X, sample_weight=weights)
    out = pq.read_table("o.parquet")
    assert out.column_names == ["id", "label"]
    np.testing.assert_array_equal(out["id"], np.arange(500))
    np.testing.assert_array_equal(out["label"], expected.labels_)
    found = run("bandwidth w.parquet --columns a,b --weight-column w", capsys).out
    assert float(found) == estimate_bandwidth(X, sample_weight=weights)


@pytest.mark.parametrize("command", ["cluster t.csv -o o.npy --bandwidth 1", "bandwidth t.csv"])
def test_columns_of_text_that_are_left_out_are_reported(command, folder, capsys):
    text(folder / "t.csv", "id,x,y\na7,1,2\nb8,3,4\nc9,5,7\n")
    assert run(command, capsys).err == "meanshift-fast: left out: id (text, e.g. 'a7')\n"
    assert run(f"{command} --columns x,y", capsys).err == ""
    names = [f"c{i}" for i in range(8)]
    text(folder / "t.csv", f"{','.join(names)},x\n{'a,' * 8}1\n{'b,' * 8}3\n")
    shown = run(command, capsys).err
    assert shown.endswith("c3 (text, e.g. 'a'), c4 (text, e.g. 'a') and 3 more\n")


def test_a_column_that_begins_with_nan_is_no_success(folder, capsys):
    for cell in ("nan", "inf", "1e999", "NA", '"1,5"'):
        text(folder / "t.csv", f"x,y\n{cell},2\n3,4\n")
        printed = run("cluster t.csv -o o.npy --bandwidth 1", capsys, 1)
        assert printed.out == ""
        bare = cell.strip('"')
        place, remedy = printed.err.split("line 2")
        assert place == (
            f"meanshift-fast: t.csv: column 'x' must hold finite numbers, got '{bare}' at row 0, "
        )
        remedies = {
            "nan": "; --drop-m",
            "NA": "; --drop-m",
            "1,5": "; write numbers with a decimal",
        }
        assert remedy.startswith(remedies.get(bare, "\n"))


def test_weights_that_are_a_feature_too_are_an_error(folder, capsys):
    text(folder / "t.csv", "x,w\n1,2\n3,4\n")
    shown = run("cluster t.csv -o o.npy --columns x,w --weight-column w", capsys, 1).err
    assert "weight column must be none of the features, got 'w' as both; leave it out" in shown


def test_a_model_that_is_not_there_is_reported_as_a_table_is(folder, capsys):
    shown = run("predict nope.model t.csv -o o.npy", capsys, 1).err
    assert shown == "meanshift-fast: there is no file nope.model\n"
    (folder / "a.model").mkdir()
    shown = run("predict a.model t.csv -o o.npy", capsys, 1).err
    assert shown == "meanshift-fast: cannot open a.model: Is a directory\n"


def test_a_model_finds_its_columns_by_name(folder, capsys):
    run("cluster t.csv -o out.npy --bandwidth 1 --model m.model", capsys)
    save("more.parquet", {"id": np.arange(500), "y": X[:, 1], "x": X[:, 0]})
    run("predict m.model more.parquet -o o.csv --keep id", capsys)
    np.testing.assert_array_equal(labels_of(folder / "o.csv"), model().labels_)
    save("less.csv", {"x": X[:, 0]})
    shown = run("predict m.model less.csv -o o.csv", capsys, 1).err
    assert shown == "meanshift-fast: less.csv has no column 'y'; its columns are 'x'\n"
    save("more.npy", {"x": X[:, 0], "z": X[:, 0], "y": X[:, 1]})
    shown = run("predict m.model more.npy -o o.npy", capsys, 1).err
    assert "more.npy has 3 columns of numbers and the model 2; choose with --columns" in shown
    run("predict m.model more.npy -o o.npy --columns 0,2", capsys)
    np.testing.assert_array_equal(np.load("o.npy"), model().labels_)
    np.testing.assert_array_equal(
        load_model("m.model").feature_names_in_, np.array(["x", "y"], object)
    )


@pytest.mark.parametrize("options", ["--columns y,x", "--columns y,more,x --exclude more"])
def test_columns_of_the_model_s_names_are_found_by_name_whatever_their_order(
    options, folder, capsys
):
    run("cluster t.csv -o out.npy --bandwidth 1 --model m.model", capsys)
    save("more.csv", {"x": X[:, 0], "y": X[:, 1], "more": X[:, 0]})
    run(f"predict m.model more.csv -o o.npy {options}", capsys)
    np.testing.assert_array_equal(np.load("o.npy"), model().labels_)


def test_columns_of_other_names_are_those_of_the_model_by_their_place(folder, capsys):
    run("cluster t.csv -o out.npy --bandwidth 1 --model m.model", capsys)
    save("other.csv", {"y": X[:, 0], "z": X[:, 1]})
    run("predict m.model other.csv -o o.npy --columns y,z", capsys)
    np.testing.assert_array_equal(np.load("o.npy"), model().labels_)


@pytest.mark.parametrize("assign", ["nearest", "basin"])
@pytest.mark.usefixtures("small_parts")
def test_predict_goes_batch_by_batch(assign, folder, capsys):
    run(f"cluster t.npy -o out.npy --bandwidth .7 --assign {assign} --model m.model "
        "--no-cluster-all", capsys)  # fmt: skip
    new = blobs(700, 2, seed=1)
    save("new.parquet", {**named(new), "id": np.arange(700)})
    printed = run("predict m.model new.parquet -o o.parquet --keep id --json", capsys)
    out = pq.read_table("o.parquet")
    expected = load_model("m.model")
    np.testing.assert_array_equal(out["label"], expected.predict(new))
    np.testing.assert_array_equal(out["id"], np.arange(700))
    facts = json.loads(printed.out)
    assert facts["rows"] == 700
    assert facts["orphans"] == np.count_nonzero(np.array(out["label"]) < 0) > 0


def test_json_beside_labels_on_stdout_is_the_one_line_on_stderr(folder, capsys):
    printed = run("cluster t.csv -o - --bandwidth 1 --json", capsys)
    assert printed.out.startswith("label\n")
    assert json.loads(printed.err)["rows"] == 500
    assert printed.err.count("\n") == 1


def test_a_name_with_a_line_break_is_found_and_the_answer_is_one_line(folder, capsys):
    text(folder / "t.csv", 'a,"x\n(m)","y, ""z"""\n1,1,2\n2,9,2\n')
    command = ["cluster", "t.csv", "--bandwidth", "2", "-o", "o.csv"]
    assert main([*command, "--columns", 'x\n(m),"y, ""z"""']) == 0
    assert capsys.readouterr().out.startswith('2 rows, 2 columns (x (m), y, "z"): 2 clusters;')
    assert main([*command, "--columns", "a", "--keep", "x\n(m)"]) == 0
    assert (folder / "o.csv").read_text().startswith('"x\n(m)",label\n"1",')
    assert main([*command, "--exclude", "x\n(m)"]) == 0


def test_numbers_are_names_with_header(folder, capsys):
    text(folder / "t.csv", "2019,2020\n1,2\n9,9\n")
    refused = run("cluster t.csv --bandwidth 2 -o o.csv", capsys, 1)
    assert "the first line must name the columns" in refused.err
    assert (
        "2 columns (2019, 2020)" in run("cluster t.csv --header --bandwidth 2 -o o.csv", capsys).out
    )


def test_json_is_one_line_on_stdout_with_everything(folder, capsys):
    printed = run(
        "cluster t.csv -o o.npy --centers c.csv --model m.model --bandwidth 1 --json", capsys
    )
    assert (printed.out.count("\n"), printed.err) == (1, "")
    facts = json.loads(printed.out)
    assert facts.pop("seconds").keys() == {"read", "fit", "write"}
    assert facts == {
        "rows": 500, "columns": ["x", "y"], "clusters": 4, "orphans": 0, "bandwidth": 1.0,
        "n_iter": model().n_iter_, "stream": False,
        "output": "o.npy", "centers": "c.csv", "model": "m.model",
    }  # fmt: skip
    facts = json.loads(run("cluster t.csv -o o.npy --bandwidth 1,2 --json", capsys).out)
    assert facts["bandwidth"] == [1.0, 2.0]
    facts = json.loads(run("bandwidth t.csv --json", capsys).out)
    assert facts == {"bandwidth": estimate_bandwidth(X), "rows": 500, "columns": ["x", "y"]}
    facts = json.loads(run("trace t.csv --row 3 --bandwidth 1 --json", capsys).out)
    traced = trace(X, X[3], bandwidth=1.0)
    assert facts["positions"] == traced.positions[0].tolist()
    assert facts["shifts"] == traced.shifts[0].tolist()
    assert facts["support"] == traced.support[0].tolist()


@pytest.fixture
def small_parts(monkeypatch):
    """Streams in parts of 45 rows of two columns."""
    monkeypatch.setattr("meanshift_fast._cli.commands.Table.parts.__defaults__", (90,))


def leave_free(n_bytes, monkeypatch):
    """Let there be so little memory."""
    memory = psutil.virtual_memory()._replace(available=n_bytes)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("assign", ["nearest", "basin"])
@pytest.mark.parametrize("form", FORMATS)
def test_a_stream_is_fitted_and_labelled_batch_by_batch(form, assign, folder, capsys):
    options = f"--stream --bandwidth 1 --assign {assign} --no-cluster-all --bin-seeding"
    files = "-o o.npy --centers c.npy --model m.model"
    printed = run(f"cluster t{form} {options} --resolution 0.25 --json {files}", capsys)
    facts = json.loads(printed.out)
    expected = fit_batches(
        [X], bandwidth=1.0, assign=assign, cluster_all=False, bin_seeding=True, resolution=0.25
    )
    np.testing.assert_array_equal(np.load("o.npy"), expected.predict(X))
    np.testing.assert_array_equal(np.load("c.npy"), expected.cluster_centers_)
    assert (facts["stream"], facts["rows"], facts["clusters"]) == (True, 500, 4)
    assert facts["orphans"] == np.count_nonzero(expected.predict(X) < 0)
    assert printed.err == ""
    run(f"predict m.model t{form} -o again.npy", capsys)
    np.testing.assert_array_equal(np.load("again.npy"), np.load("o.npy"))
    assert hasattr(load_model("m.model"), "feature_names_in_") == (form != ".npy")


@pytest.mark.usefixtures("small_parts")
def test_a_stream_has_weights_and_keeps_columns(folder, capsys):
    weights = np.arange(500.0) % 3
    save("w.parquet", {"id": np.arange(500), "w": weights, "a": X[:, 0], "b": X[:, 1]})
    run("cluster w.parquet -o o.parquet --stream --weight-column w --keep id --bandwidth 1", capsys)
    expected = fit_batches([(X, weights)], bandwidth=1.0)
    out = pq.read_table("o.parquet")
    np.testing.assert_array_equal(out["id"], np.arange(500))
    np.testing.assert_array_equal(out["label"], expected.predict(X))


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ("", {"method": "quantile"}),
        ("--bandwidth scott", {"method": "scott"}),
        ("--quantile 0.1", {"quantile": 0.1}),
        ("--bandwidth 1,2", {"bandwidth": [1.0, 2.0]}),
    ],
)
def test_a_stream_finds_its_bandwidth(options, settings, folder, capsys):
    width = estimated(settings)["bandwidth"]
    facts = json.loads(run(f"cluster t.csv -o o.npy --stream --json {options}", capsys).out)
    assert facts["bandwidth"] == pytest.approx(width, rel=1e-12)


@pytest.mark.parametrize("form", FORMATS)
def test_what_would_not_fit_is_a_stream_and_a_note_says_so(form, folder, capsys, monkeypatch):
    command = f"cluster t{form} -o o.npy --bandwidth 1 --json"
    leave_free(17_000, monkeypatch)
    printed = run(command, capsys)
    assert (json.loads(printed.out)["stream"], printed.err) == (False, "")
    leave_free(15_000, monkeypatch)
    printed = run(command, capsys)
    assert json.loads(printed.out)["stream"] is True
    assert printed.err.startswith(f"meanshift-fast: t{form} takes ")
    assert printed.err.endswith(
        "e-06 GB, and 1.5e-05 GB of memory are free: fitting a stream, in cells of 0.0625 "
        "bandwidths\n"
    )
    printed = run(f"{command} --no-stream", capsys)
    assert (json.loads(printed.out)["stream"], printed.err) == (False, "")
    printed = run(f"bandwidth t{form}", capsys)
    assert "estimating from a sample of the rows" in printed.err
    assert float(printed.out) == estimate_bandwidth(X)


def test_without_psutil_streams_are_on_demand(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    for option, is_stream in (("", False), ("--stream", True)):
        printed = run(f"cluster t.npy -o o.npy --bandwidth 1 --json {option}", capsys)
        assert json.loads(printed.out)["stream"] is is_stream


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("cell", "complaint"),
    [
        ("1,nan,1", "column 'y' must hold finite numbers, got 'nan' at row 300, line 302"),
        ("1,1,-2", "column 'w' must hold weights of at least 0, got -2.0 at row 300"),
    ],
)
def test_a_fault_in_a_late_batch_is_an_error_that_keeps_the_old_file(
    cell, complaint, folder, capsys
):
    lines = ["x,y,w", *("1,2,3" for _ in range(400))]
    lines[301] = cell
    text(folder / "bad.csv", "\n".join(lines))
    text(folder / "o.npy", "old")
    printed = run("cluster bad.csv -o o.npy --stream --bandwidth 1 --weight-column w", capsys, 1)
    assert printed.err.startswith(f"meanshift-fast: bad.csv: {complaint}")
    assert Path("o.npy").read_text() == "old"


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ("", {}),
        ("--quantile 0.1", {"quantile": 0.1}),
        ("--method silverman", {"method": "silverman"}),
        ("--n-samples 50 --random-state 3", {"n_samples": 50, "random_state": 3}),
    ],
)
def test_bandwidth_says_the_number(options, settings, folder, capsys):
    printed = run(f"bandwidth t.parquet {options}", capsys)
    assert float(printed.out) == estimate_bandwidth(X, **settings)
    assert printed.err == ""


@pytest.mark.parametrize("kernel", ["flat", "gaussian"])
def test_a_bandwidth_is_found_as_the_estimator_finds_it(kernel, folder, capsys):
    def shown(command):
        return json.loads(run(f"{command} --json --kernel {kernel}", capsys).out)["bandwidth"]

    for rule in (None, "stable", "scott"):
        expected = MeanShift(bandwidth=rule, kernel=kernel).fit(X).bandwidth_
        option = "" if rule is None else f"--bandwidth {rule}"
        assert shown(f"trace t.npy --row 0 {option}") == pytest.approx(expected, rel=1e-12)
    expected = MeanShift(kernel=kernel).fit(X).bandwidth_
    for command in ("trace t.npy --row 0", "cluster t.npy -o o.npy"):
        assert shown(f"{command} --quantile 0.3") == pytest.approx(expected, rel=1e-12)
    fine = MeanShift(bandwidth="fine").fit(X).bandwidth_
    for rule, expected in (("stable", bandwidth_curve(X).bandwidth), ("fine", fine)):
        found = float(run(f"bandwidth t.npy --method {rule}", capsys).out)
        assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ("--bandwidth 1", {"bandwidth": 1.0}),
        ("", {"method": "quantile"}),
        ("--quantile 0.1", {"quantile": 0.1}),
        ("--bandwidth scott", {"method": "scott"}),
        ("--bandwidth 1 --tol 0 --max-iter 2", {"bandwidth": 1.0, "tol": 0, "max_iter": 2}),
        ("--bandwidth 1 --kernel gaussian", {"bandwidth": 1.0, "kernel": "gaussian"}),
    ],
)
def test_trace_prints_the_trajectory_of_a_row(options, settings, folder, capsys):
    printed = run(f"trace t.npy --row 499 {options}", capsys)
    assert printed.out == f"{trace(X, X[499], **estimated(settings))}\n"
    shown = run(f"trace t.npy --row 500 {options}", capsys, 1).err
    assert "row must be one of the 500 rows of t.npy, which count from 0, got 500" in shown


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("cluster t.npy", "-o/--output"),
        ("cluster -o o.npy", "INPUT"),
        ("cluster t.npy -o o.txt", "must end in .npy, .csv, .parquet"),
        ("cluster t.npy -o /dev/null", "must end in .npy"),
        ("cluster t.npy -o o.npy --centers c", "must end in .npy"),
        ("cluster t.npy -o o.npy --bandwidth one", "got 'one'; or one of fine, scott, silverman"),
        ("cluster t.npy -o o.npy --bandwidth 0", "got '0'"),
        ("cluster t.npy -o o.npy --bandwidth -1", "got '-1'"),
        ("cluster t.npy -o o.npy --bandwidth nan", "got 'nan'"),
        ("cluster t.npy -o o.npy --bandwidth inf", "got 'inf'"),
        ("cluster t.npy -o o.npy --bandwidth 1,two", "got 'two'"),
        ("cluster t.npy -o o.npy --bandwidth 1 --quantile 0.1", "not allowed with"),
        ("cluster t.npy -o o.npy --resolution 2", "resolution must be a float in the range"),
        ("cluster t.npy -o o.npy --quantile 1.5", "quantile must be"),
        ("cluster t.npy -o o.npy --tol x", "tol must be a float in the range [0.0, inf)"),
        ("cluster t.npy -o o.npy --max-iter 1e3", "max_iter must be an int in the range [0, inf)"),
        ("cluster t.npy -o o.npy --min-bin-freq 0", "min_bin_freq must be an int in the range [1"),
        ("cluster t.npy -o o.npy --kernel cubic", "--kernel"),
        ("cluster t.npy -o o.npy --assign far", "--assign"),
        ("cluster t.npy -o o.npy --n-jobs 0", "got '0'; -1 means all threads"),
        ("cluster t.csv -o o.npy --keep x", "--keep needs a csv or parquet output"),
        ("cluster t.csv -o o.csv --keep x,x", "--keep must name different columns"),
        ("cluster t.csv -o o.csv --keep label", "none of them label"),
        ("cluster t.npy -o o.npy --centers ./o.npy", "must be different files"),
        ("cluster t.npy -o o.npy --centers c.npy --model c.npy", "must be different files"),
        ("cluster t.npy -o t.npy", "t.npy is read"),
        ("cluster t.npy -o o.npy --model ../{here}/t.npy", "t.npy is read"),
        ("cluster . -o o.npy", "o.npy is read, or lies in the folder that is"),
        ("predict m.npy t.npy -o m.npy", "m.npy is read"),
        ("predict t.npy -o m.npy", "INPUT"),
        ("trace t.npy", "--row"),
        ("trace t.npy --row -1", "row must be an int in the range [0, inf)"),
        ("bandwidth t.npy --n-samples 0", "n_samples must be"),
        ("bandwidth t.npy --method best", "--method"),
        ("bandwidth t.npy --method stable --n-samples 9", "--n-samples is for the other methods"),
        ("bandwidth t.npy --method fine --n-samples 9", "leave it out with --method fine"),
        ("segment - -o o.tif --spatial-radius 8 --range-radius 7", "reads an image from a file"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_touches_nothing(command, reason, folder, capsys):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(SystemExit) as end:
        main(command.format(here=folder.name).split())
    assert end.value.code == 2
    printed = capsys.readouterr()
    assert reason in printed.err
    assert printed.out == ""
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("cluster none.csv -o o.npy", "there is no file none.csv"),
        ("cluster t.csv -o none/o.npy", "there is no folder"),
        ("cluster t.csv -o o.npy --centers none/c.npy", "there is no folder"),
        ("cluster t.csv -o o.npy --model none/m", "there is no folder"),
        ("cluster t.csv -o o.npy --columns q", "t.csv has no column 'q'"),
        ("cluster t.npy -o o.npy --columns x", "t.npy has no column 'x'"),
        (
            "cluster few.csv -o o.npy --quantile .5",
            "of 0, because 0.5 of 3 rows is each row alone; ",
        ),
        ("cluster bad.csv -o o.npy", "bad.csv: column 'y' must hold finite numbers, got 'oops' at"),
        ("cluster ragged.csv -o o.npy", "ragged.csv: line 3 has 3 field(s)"),
        ("cluster t.csv -o o.npy --bandwidth 1,2,3", "bandwidth must be one number or have shape"),
        ("cluster t.csv -o o.npy --bandwidth 1 --bin-seeding --min-bin-freq 999", "leaves no seed"),
        (
            "cluster w.csv -o o.npy --weight-column w",
            "must hold weights of at least 0, got -1.0 at row 1",
        ),
        ("cluster same.csv -o o.npy --quantile 0.5", "same.csv give a bandwidth of 0"),
        ("trace same.csv --row 0", "same.csv give a bandwidth of 0"),
        ("predict t.csv t.csv -o o.npy", "t.csv is not a model"),
        ("predict none t.csv -o o.npy", "none"),
        ("bandwidth bad.csv", "got 'oops' at row 1, line 3"),
    ],
)
def test_bad_data_is_exit_code_1_one_line_and_touches_nothing(command, reason, folder, capsys):
    text(folder / "bad.csv", "x,y\n1,2\n3,oops\n")
    text(folder / "ragged.csv", "x,y\n1,2\n3,4,5\n")
    text(folder / "w.csv", "x,w\n1,1\n2,-1\n")
    text(folder / "few.csv", "x\n1\n2\n3\n")
    text(folder / "same.csv", "x\n" + "1\n" * 20)
    (folder / "o.npy").write_text("old")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    printed = run(command, capsys, 1)
    assert printed.out == ""
    assert printed.err.startswith("meanshift-fast: ")
    assert printed.err.count("\n") == 1
    assert reason in printed.err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_links_in_a_circle_are_no_file_to_read_and_one_to_replace(folder, capsys):
    (folder / "a.npy").symlink_to("b.npy")
    (folder / "b.npy").symlink_to("a.npy")
    assert "there is no file a.npy" in run("cluster a.npy -o o.npy", capsys, 1).err
    run("cluster t.npy -o a.npy --bandwidth 1", capsys)
    np.testing.assert_array_equal(np.load("a.npy"), model().labels_)


@pytest.mark.parametrize("command", ["cluster t.npy --bandwidth 1", "predict m.model t.npy"])
@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_is_exit_code_1_and_leaves_the_old_file(form, command, folder, capsys):
    save("t.npy", named(np.random.default_rng(0).permutation(X.repeat(40, axis=0))))
    run("cluster t.npy -o o.npy --bandwidth 1 --model m.model", capsys)
    run("predict m.model t.npy -o o.npy", capsys)  # no machine code is left to be written
    (folder / f"old{form}").write_text("old")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with full_disk(1000):
        printed = run(f"{command} -o old{form}", capsys, 1)
    assert printed.err == f"meanshift-fast: cannot write old{form}: File too large\n"
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "command",
    [
        "cluster t.npy -o closed/o.npy --bandwidth 1",
        "cluster t.npy -o o.npy --centers closed/c.csv --bandwidth 1",
        "cluster t.npy --model closed/m.model --bandwidth 1 --stream",
        "predict m.model t.npy -o closed/o.csv",
        "segment t.png -o closed/o.npy --spatial-radius 2 --range-radius 20",
        "segment t.png -o o.npy --regions closed/c.csv --spatial-radius 2 --range-radius 20",
        "demo --output closed/o.png",
    ],
)
def test_a_folder_that_is_closed_is_one_line_before_the_work(command, folder, capsys):
    save_model(model(), "m.model")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("t.png")
    (folder / "closed").mkdir()
    (folder / "closed").chmod(0o555)
    before = os.geteuid()
    folder.chmod(0o777)
    for parent in folder.parents[:3]:  # pytest closes them for others
        parent.chmod(0o755)
    if before == 0:  # who may write everywhere
        os.seteuid(65534)
    try:
        printed = run(command, capsys, 1)
    finally:
        os.seteuid(before)
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "closed" in printed.err
    assert "is not open for writing" in printed.err
    assert sorted(path.name for path in folder.glob("o.*")) == []
    assert list((folder / "closed").iterdir()) == []


def test_memory_that_is_not_there_is_one_line(folder, capsys, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(MeanShift, "fit", fail)
    assert run("cluster t.npy -o o.npy", capsys, 1).err == "meanshift-fast: MemoryError\n"


def test_a_warning_is_one_line_on_stderr(folder, capsys):
    rng = np.random.default_rng(0)
    np.save("far.npy", rng.uniform(0, 1, (60, 30)) * 4)
    printed = run("cluster far.npy -o o.npy --bandwidth 1 --bin-seeding", capsys)
    assert printed.err.startswith("meanshift-fast: warning: ")
    assert printed.err.count("\n") == 1
    assert printed.out.startswith("60 rows, 30 columns (0, 1, 2, 3, 4, ...): ")


def test_the_bar_is_for_terminals_only(folder, capsys, monkeypatch):
    monkeypatch.setattr(progress, "AUTO_SECONDS", 0.0)
    assert run("cluster t.npy -o o.npy --bandwidth 1", capsys).err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert "mean shift: labels" in run("cluster t.npy -o o.npy --bandwidth 1", capsys).err


SIGNALS = {
    signal.SIGINT: (130, "interrupted"),
    signal.SIGTERM: (143, "terminated"),
    signal.SIGHUP: (129, "terminated"),
}
SLOW = """
import time
from meanshift_fast._files import npy_format

def slow(file, batch, n_rows, header=npy_format._npy_header):
    header(file, batch, n_rows)
    file.flush()
    print("writing", flush=True)
    time.sleep(900)

npy_format._npy_header = slow
"""


@pytest.fixture(scope="module")
def writing(tmp_path_factory, executable):
    """For each signal, a command in mid-write and its folder. All start at once."""
    started = {}
    for number in SIGNALS:
        folder = tmp_path_factory.mktemp("folder")
        np.save(folder / "t.npy", X)
        (folder / "o.npy").write_text("old")
        command = ["cluster", "t.npy", "-o", "o.npy", "--bandwidth", "1", "--bin-seeding"]
        process = subprocess.Popen(
            [executable, *command],
            cwd=folder,
            env=os.environ | {BEFORE: SLOW},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started[number] = process, folder
    yield started
    for process, _ in started.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_mid_write_leaves_the_old_file_and_nothing_else(number, writing):
    code, what = SIGNALS[number]
    process, folder = writing[number]
    assert process.stdout.readline() == "writing\n"
    assert any(path.name.endswith(".part") for path in folder.iterdir())
    time.sleep(0.1)
    process.send_signal(number)
    printed, shown = process.communicate(timeout=600)
    assert (process.returncode, printed, shown) == (code, "", f"\nmeanshift-fast: {what}\n")
    assert (folder / "o.npy").read_text() == "old"
    assert {path.name for path in folder.iterdir()} == {"o.npy", "t.npy"}


# Tables as people have them, and outputs that are no files.


def test_labels_go_to_stdout_and_the_answer_to_stderr(folder, capsys):
    run("cluster t.csv -o o.csv --bandwidth 1 --keep x --columns x,y", capsys)
    command = "cluster t.csv -o - --bandwidth 1 --keep x --columns x,y --model m.model"
    printed = run(command, capsys)
    assert printed.out == (folder / "o.csv").read_text()
    assert printed.err.startswith("meanshift-fast: 500 rows, 2 columns (x, y): 4 clusters; ")
    assert printed.err.count("\n") == 1
    printed = run("predict m.model t.csv -o - --keep x --json", capsys)
    assert printed.out == (folder / "o.csv").read_text()
    facts = json.loads(printed.err.removeprefix("meanshift-fast: "))
    assert (facts["rows"], facts["clusters"]) == (500, 4)


def test_an_input_that_cannot_be_read_on_is_no_error_of_stdout(folder, capsys, monkeypatch):
    def unreadable(table, choice, most_values):
        yield from parts(table, choice, 100)
        raise OSError(errno.EIO, "Input/output error")

    save_model(model(), "m.model")
    parts = Npy.parts
    monkeypatch.setattr(Npy, "parts", unreadable)
    printed = run("predict m.model t.npy -o -", capsys, code=1)
    assert printed.out.startswith("label\n")
    assert printed.err == "meanshift-fast: [Errno 5] Input/output error\n"


@pytest.mark.parametrize("stream", ["", "--stream"])
def test_labels_are_not_written_where_only_a_model_is_wanted(stream, folder, capsys):
    printed = run(f"cluster t.csv --model m.model --bandwidth 1 {stream}", capsys)
    assert printed.out.endswith(" s; no labels written, but m.model\n")
    assert len(load_model("m.model").cluster_centers_) == 4
    printed = run(f"cluster t.csv --centers c.npy --bandwidth 1 {stream}", capsys)
    assert printed.out.endswith(" s; no labels written, but c.npy\n")
    assert np.load("c.npy").shape == (4, 2)
    assert "-o/--output, or --centers" in run_wrong("cluster t.csv --bandwidth 1", capsys)


def run_wrong(command, capsys):
    """Run a command that is wrong usage; return its error."""
    with pytest.raises(SystemExit) as end:
        main(command.split())
    assert end.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("command", ["cluster - -o -", "bandwidth -", "trace - --row 0"])
def test_standard_input_is_a_table_of_the_format_named(command, folder, capsys, monkeypatch):
    options = " --bandwidth 1" if "bandwidth" not in command else ""
    expected = run(command.replace(" - ", " t.csv ").replace("h -", "h t.csv") + options, capsys)
    with open("t.csv", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdin", file)
        printed = run(f"{command}{options} --format csv", capsys)
    assert printed.out == expected.out
    assert "- needs --format" in run_wrong(f"{command}{options}", capsys)


@pytest.mark.parametrize("form", FORMATS)
def test_standard_input_may_be_of_any_format(form, folder, capsys, monkeypatch):
    expected = run(f"cluster t{form} -o - --bandwidth 1", capsys)
    with open(f"t{form}", encoding="latin-1") as file:
        monkeypatch.setattr(sys, "stdin", file)
        printed = run(f"cluster - -o - --bandwidth 1 --format {form[1:]}", capsys)
    assert printed.out == expected.out


def test_an_error_in_standard_input_names_it(folder, capsys, monkeypatch):
    path = text(folder / "bad.csv", "x,y\n1,2\n3,oops\n")
    with open(path, encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdin", file)
        error = run("cluster - -o - --format csv", capsys, 1).err
    assert error.startswith("meanshift-fast: standard input: column 'y' must hold finite numbers")


@pytest.mark.parametrize("form", READABLE)
def test_standard_input_that_is_not_of_its_format_is_called_so(form, folder, capsys, monkeypatch):
    path = text(folder / "bad", "\0bad")
    with open(path, encoding="latin-1") as file:
        monkeypatch.setattr(sys, "stdin", file)
        error = run(f"cluster - -o - --format {form[1:]}", capsys, 1).err
    assert "standard input" in error
    assert "stdin" not in error


def test_a_text_of_another_dialect_is_read_as_its_options_say(folder, capsys):
    _, *lines = (folder / "t.csv").read_text().replace(",", ";").replace(".", ",").splitlines()
    lines = ["# by hand", *(f"{row};{line}" for row, line in enumerate(lines))]
    (folder / "d.txt").write_text("\n".join(lines) + "\n", encoding="utf-16")
    options = "--delimiter ; --decimal , --no-header --comment # --encoding utf-16 --exclude 0"
    run("cluster t.csv -o o.npy --bandwidth 1", capsys)
    run(f"cluster d.txt -o d.npy {options} --bandwidth 1 --model d.model", capsys)
    np.testing.assert_array_equal(np.load("d.npy"), np.load("o.npy"))
    run(f"predict d.model d.txt -o again.npy {options}", capsys)
    np.testing.assert_array_equal(np.load("again.npy"), np.load("o.npy"))
    error = run("cluster d.txt -o o.npy --encoding utf-16 --bandwidth 1 --comment #", capsys, 1).err
    assert "holds semicolons" in error
    assert "--delimiter ';'" in error


@pytest.mark.parametrize("stream", ["", "--stream"])
@pytest.mark.usefixtures("small_parts")
def test_a_table_as_excel_writes_it_with_a_line_for_the_delimiter(stream, folder, capsys):
    names, *lines = (folder / "t.csv").read_text().replace(",", ";").replace(".", ",").splitlines()
    (folder / "e.csv").write_bytes("\r\n".join(["sep=;", names, *lines, ""]).encode("utf-8-sig"))
    run(f"cluster t.csv -o o.npy --bandwidth 1 {stream}", capsys)
    run(f"cluster e.csv -o e.npy --decimal , --bandwidth 1 --model e.model {stream}", capsys)
    np.testing.assert_array_equal(np.load("e.npy"), np.load("o.npy"))
    run("predict e.model e.csv -o again.npy --decimal ,", capsys)
    np.testing.assert_array_equal(np.load("again.npy"), np.load("o.npy"))


def test_the_command_warns_of_points_that_may_mark_thousands(folder, capsys):
    (folder / "d.csv").write_text("n;x\n3.968;1\n920;2\n12.001;3\n")
    error = run("cluster d.csv -o o.npy --delimiter ; --bandwidth 1", capsys).err
    assert "warning: d.csv: column 'n' has '3.968'" in error


@pytest.mark.parametrize("form", [".csv", ".parquet", ".npy"])
@pytest.mark.parametrize("stream", ["", "--stream"])
@pytest.mark.usefixtures("small_parts")
def test_rows_with_missing_values_have_no_label(form, stream, folder, capsys):
    holes = X.copy()
    holes[::7, 0] = np.nan
    names = dict(zip("xy", holes.T, strict=True))
    save(folder / f"h{form}", names)
    if form == ".csv":
        (folder / "h.csv").write_text((folder / "h.csv").read_text().replace("nan", "gone"))
    is_whole = np.isfinite(holes).all(axis=1)
    np.save("whole.npy", holes[is_whole])
    run(f"cluster whole.npy -o whole-labels.npy --bandwidth 1 --model m.model {stream}", capsys)
    na = " --na gone" if form == ".csv" else ""
    command = f"h{form} --drop-missing{na}"
    printed = run(f"cluster {command} -o o.csv --bandwidth 1 {stream}", capsys)
    assert f"4 clusters, {(~is_whole).sum()} rows with missing values; " in printed.out
    expected = np.full(len(X), -1)
    expected[is_whole] = np.load("whole-labels.npy")
    shown = (folder / "o.csv").read_text().splitlines()[1:]
    assert shown == ["" if label < 0 else str(label) for label in expected]
    run(f"cluster {command} -o o.npy --bandwidth 1 {stream}", capsys)
    np.testing.assert_array_equal(np.load("o.npy"), expected)
    columns = "" if form == ".npy" else "--columns x,y"
    run(f"predict m.model {command} -o p.csv --missing-label -1 {columns}", capsys)
    assert (folder / "p.csv").read_text().splitlines()[1:] == [str(label) for label in expected]
    assert run(f"cluster h{form} -o o.npy --bandwidth 1{na}", capsys, 1).err.count("at row 0") == 1
    found = run(f"trace {command} --row 8 --bandwidth 1", capsys).out
    assert found == run("trace whole.npy --row 6 --bandwidth 1", capsys).out
    assert "row 7 of" in run(f"trace {command} --row 7 --bandwidth 1", capsys, 1).err
