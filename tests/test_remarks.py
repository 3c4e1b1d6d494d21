"""What is likely not meant is said once: on stderr by the command line, in Python as a log."""

import json
import logging

import numpy as np
import pytest

from meanshift_fast import MeanShift
from meanshift_fast._cli.main import main
from meanshift_fast._explore.rows import rows_of
from meanshift_fast._explore.session import Session
from meanshift_fast._input import remarks
from meanshift_fast.io import Table
from meanshift_fast.stream import fit_batches
from samples import blobs
from test_io import save

X = blobs(200, 2)
COUNTED = np.column_stack([np.arange(200.0) + 7, X])
UNEVEN = X * [1.0, 5000.0]


def heard(caplog, table, **parameters):
    with caplog.at_level(logging.INFO, logger="meanshift_fast"):
        MeanShift(**{"bandwidth": 3.0, "bin_seeding": True} | parameters).fit(table)
    return [record.message for record in caplog.records if record.levelno == logging.INFO]


def table_of(path, table):
    names = [f"c{column}" for column in range(table.shape[1])]
    save(path, dict(zip(names, table.T, strict=True)))


def notes(capsys, command):
    assert main(command.split()) == 0
    return capsys.readouterr().err.splitlines()


def test_a_plain_table_gets_no_remark(caplog):
    assert heard(caplog, X) == []


def test_an_identifier_among_the_features_is_named(caplog):
    (message,) = heard(caplog, COUNTED)
    assert message == "column 0 only counts the rows, and is among the features; leave it out"


def test_the_only_feature_is_no_identifier(caplog):
    # A table of counts has a row for each value, and the counts as weights.
    assert heard(caplog, COUNTED[:, :1]) == []


@pytest.mark.parametrize("row", [5, 150])
def test_whole_numbers_that_skip_one_count_nothing(row, caplog):
    table = COUNTED.copy()
    table[row:, 0] += 1
    assert heard(caplog, table) == []


def test_columns_a_thousand_times_apart_share_one_bandwidth(caplog):
    (message,) = heard(caplog, UNEVEN)
    assert message.startswith("the columns share one bandwidth, and column 0 spreads over ")
    caplog.clear()
    assert heard(caplog, UNEVEN, bandwidth=[1.0, 5000.0]) == []
    caplog.clear()
    assert heard(caplog, X * [1.0, 0.0]) == []  # a constant column has no unit


def test_more_than_so_many_rows_are_all_seeds(caplog, monkeypatch):
    monkeypatch.setattr(remarks, "MAX_ROW_SEEDS", 199)
    (message,) = heard(caplog, X, bin_seeding=False)
    assert message == "all 200 rows are seeds; bin_seeding=True takes a second"
    caplog.clear()
    assert heard(caplog, X, bin_seeding=False, seeds=X[:3]) == []


def test_the_first_batch_of_a_stream_is_looked_over(caplog):
    with caplog.at_level(logging.INFO, logger="meanshift_fast"):
        fit_batches([COUNTED[:120], COUNTED[120:]], bandwidth=3.0)
    (message,) = [record.message for record in caplog.records if record.levelno == logging.INFO]
    assert message.startswith("column 0 only counts the rows")


def test_the_first_batch_with_rows_is_looked_over_where_the_first_is_empty(caplog):
    with caplog.at_level(logging.INFO, logger="meanshift_fast"):
        fit_batches([COUNTED[:0], COUNTED, COUNTED], bandwidth=3.0)
    (message,) = [record.message for record in caplog.records if record.levelno == logging.INFO]
    assert message.startswith("column 0 only counts the rows")


NUMBERS = {
    "bool": X.mean(axis=0) < X,
    "uint8": (200 - X * 10).astype(np.uint8),
    "int8": np.where(np.arange(200)[:, None] % 2, 127, [[-128, -127]]).astype(np.int8),
    "uint64": (2**64 - 1) // np.arange(1, 401, dtype=np.uint64).reshape(200, 2),
    "float16": np.where(np.arange(200)[:, None] % 2, 6e4, [[-6e4, -5e4]]).astype(np.float16),
    "the largest": np.where(np.arange(200)[:, None] % 2, 1.7e308, [[-1.7e308, -1e308]]),
    "large spreads": np.where(np.arange(200)[:, None] % 2, 1e150, -1e150) * [[1.0, 10.0]],
    "the largest after ten": np.vstack([np.c_[:10, :10], np.full((9, 2), 1e308), [[-1e308] * 2]]),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_every_kind_are_looked_over_without_a_warning(name):
    found = remarks.remarks(NUMBERS[name], None, one_bandwidth=True, rows_are_seeds=True)
    assert list(found) == []


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64, np.float16])
def test_an_identifier_of_a_small_type_is_one_too(dtype):
    table = np.column_stack([np.arange(40), np.arange(40)[::-1]]).astype(dtype)
    (found,) = remarks.remarks(table, None, one_bandwidth=True, rows_are_seeds=False)
    assert found.text.startswith("column 0 only counts the rows")


def test_a_fit_a_stream_and_the_explorer_look_over_a_table_of_bool(caplog):
    table = NUMBERS["bool"]
    assert heard(caplog, table, bandwidth=1.0) == []
    with caplog.at_level(logging.INFO, logger="meanshift_fast"):
        fit_batches([table], bandwidth=1.0)
    session = Session(rows_of(table), {"bandwidth": 1.0})
    assert session.remarks == []
    session.close()


def test_nothing_is_looked_for_where_nobody_hears(monkeypatch):
    looked = []
    monkeypatch.setattr(remarks, "spreads_of", looked.append)
    MeanShift(bandwidth=3.0).fit(UNEVEN)
    assert looked == []


@pytest.mark.parametrize("stream", ["", " --stream"])
def test_the_command_line_names_the_option_once(stream, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table_of(tmp_path / "t.csv", np.column_stack([np.arange(200), UNEVEN]))
    first, second = notes(capsys, f"cluster t.csv -o o.csv --bandwidth 3{stream}")
    assert first.endswith("leave it out with --exclude 'c0'")
    assert "standardise them with --scale" in second
    assert (
        len(notes(capsys, f"cluster t.csv -o o.csv --exclude c0 --scale --bandwidth 3{stream}"))
        == 0
    )


def test_the_command_line_names_bins_where_too_many_rows_are_seeds(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(remarks, "MAX_ROW_SEEDS", 199)
    monkeypatch.chdir(tmp_path)
    table_of(tmp_path / "t.csv", X)
    command = "cluster t.csv -o o.csv --bandwidth 3"
    (note,) = notes(capsys, command)
    assert note == "meanshift-fast: all 200 rows are seeds; --bin-seeding takes a second"
    for others in ("--bin-seeding", "--stream"):
        assert notes(capsys, f"{command} {others}") == []


@pytest.mark.parametrize(("stream", "n_passes"), [("", 1), (" --stream", 2)])
def test_remarks_read_no_table_once_more(stream, n_passes, tmp_path, monkeypatch, capsys):
    # A stream is read for its cells and for its labels.
    passes = []
    parts = Table.parts
    monkeypatch.setattr(Table, "parts", lambda *its: passes.append(1) or parts(*its))
    monkeypatch.chdir(tmp_path)
    table_of(tmp_path / "t.csv", UNEVEN)
    (note,) = notes(capsys, f"cluster t.csv -o o.csv --bandwidth 3{stream}")
    assert "--scale" in note
    assert len(passes) == n_passes


@pytest.mark.parametrize("stream", ["", " --stream"])
def test_with_scale_the_deviations_are_measured_once(stream, tmp_path, monkeypatch, capsys):
    measured = []

    def spreads_of(table, weights):
        measured.append(len(table))
        return remarks.spreads_of(table, weights)

    monkeypatch.setattr("meanshift_fast._cli.commands.spreads_of", spreads_of)
    monkeypatch.setattr(
        "meanshift_fast._input.remarks._unlike_spreads", lambda *_: pytest.fail("measured again")
    )
    monkeypatch.chdir(tmp_path)
    table_of(tmp_path / "t.csv", UNEVEN)
    notes(capsys, f"cluster t.csv -o o.csv --bandwidth 3 --scale{stream}")
    assert measured == [200]


@pytest.mark.parametrize("stream", ["", " --stream"])
@pytest.mark.parametrize("options", ["--bandwidth 0.3", "", "--quantile 0.2", "--bandwidth scott"])
def test_scaled_columns_are_measured_in_their_deviations(
    options, stream, tmp_path, monkeypatch, capsys
):
    from sklearn.metrics import adjusted_rand_score

    from meanshift_fast.io import open_table

    monkeypatch.chdir(tmp_path)
    for name, table in (("even", X), ("uneven", UNEVEN)):
        table_of(tmp_path / f"{name}.csv", table)
        command = f"cluster {name}.csv -o {name}_o.csv --centers {name}_c.csv --scale {options}"
        assert notes(capsys, command + stream) == []
    labels = [
        open_table(f"{name}_o.csv", columns=["label"]).read().X for name in ("even", "uneven")
    ]
    assert adjusted_rand_score(*(of.ravel() for of in labels)) == 1.0
    even, uneven = (open_table(f"{name}_c.csv").read().X for name in ("even", "uneven"))
    np.testing.assert_allclose(even * [1.0, 5000.0], uneven, rtol=1e-6)


@pytest.mark.parametrize("stream", ["", " --stream"])
@pytest.mark.parametrize("options", ["--bandwidth 0.3", "--quantile 0.2"])
def test_with_scale_a_row_of_weight_w_is_w_rows(options, stream, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    weights = np.random.default_rng(0).integers(0, 4, len(UNEVEN))
    far = np.where(weights[:, None] == 0, 1e200, UNEVEN)
    np.save("weighted.npy", np.column_stack([far, weights]))
    np.save("repeated.npy", np.repeat(UNEVEN, weights, axis=0))
    options = f"-o o.npy --json --scale {options}{stream}"
    found = []
    for command in ("cluster weighted.npy --weight-column 2", "cluster repeated.npy"):
        assert main(f"{command} {options}".split()) == 0
        found.append(json.loads(capsys.readouterr().out)["bandwidth"])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)
