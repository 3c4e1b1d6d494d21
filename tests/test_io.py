"""Tables in files: what goes in comes out, and what is wrong is shown with its place."""

import csv
import gc
import gzip
import os
import re
import resource
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from meanshift_fast._files.atomic import check_target, write_whole
from meanshift_fast._files.csv_format import _unlimited
from meanshift_fast._files.formats import FORMATS
from meanshift_fast._files.text import Utf8, _Block, _Lent
from meanshift_fast._files.writers import write_centers, write_labels
from meanshift_fast.io import open_table
from meanshift_fast.models import load_model
from samples import blobs

X = blobs(1000, 3)
NAMES = ["x", "y", "z"]


def save(path, columns, **options):
    """Write a table with named columns; npy takes them in their order."""
    path = Path(path)
    if path.suffix == ".npy":
        np.save(path, np.stack(list(columns.values()), axis=1))
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(pa.table(columns), path)
    else:
        pq.write_table(pa.table(columns), path, **options)
    return path


def named(table):
    return dict(zip(NAMES, table.T.copy(), strict=False))


def text(path, lines):
    path.write_text(lines, encoding="utf-8")
    return path


@pytest.fixture
def small_batches(monkeypatch):
    """Parts of a few rows, so that a small file has many."""
    monkeypatch.setattr("meanshift_fast._files.tables.MAX_BATCH_VALUES", 300)
    monkeypatch.setattr("meanshift_fast._files.parquet_format.MAX_BATCH_VALUES", 300)
    monkeypatch.setattr("meanshift_fast._files.csv_format._BLOCK_BYTES", 4096)


@pytest.mark.parametrize("form", FORMATS)
def test_a_table_is_read_to_the_last_bit_in_its_order(form, tmp_path):
    table = open_table(save(tmp_path / f"t{form}", named(X)))
    read = table.read()
    np.testing.assert_array_equal(read.X, X)
    assert (read.weights, read.kept) == (None, None)
    assert table.n_rows == (pytest.approx(len(X), rel=0.02) if form == ".csv" else len(X))
    assert table.choice.features == (["0", "1", "2"] if form == ".npy" else NAMES)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.usefixtures("small_batches")
def test_batches_are_bounded_and_begin_anew_each_time(form, tmp_path):
    table = open_table(save(tmp_path / f"t{form}", named(X)))
    for _ in range(2):
        parts = [part.X for part in table.parts(300)]
        assert len(parts) >= 10
        assert max(map(len, parts)) <= 100
        np.testing.assert_array_equal(np.concatenate(parts), X)
    np.testing.assert_array_equal(np.concatenate(list(table.batches())), X)
    np.testing.assert_array_equal(table.read().X, X)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.usefixtures("small_batches")
def test_columns_weights_and_what_is_kept_stay_together(form, tmp_path):
    x, y, z = X.T
    path = save(tmp_path / f"t{form}", {"id": np.arange(1000.0), "x": x, "w": np.abs(z), "y": y})
    name = dict(zip(["id", "x", "w", "y"], "0123", strict=True)) if form == ".npy" else {}
    keep, weight = name.get("id", "id"), name.get("w", "w")
    table = open_table(path, weight_column=weight, keep=[keep])
    assert table.choice.features == [name.get("x", "x"), name.get("y", "y")]
    read = table.read()
    np.testing.assert_array_equal(read.X, X[:, :2])
    np.testing.assert_array_equal(read.weights, np.abs(z))
    assert read.kept.column_names == [keep]
    np.testing.assert_array_equal(np.array(read.kept[keep]).astype(float), np.arange(1000.0))
    parts, weights = zip(*table.batches(), strict=True)
    np.testing.assert_array_equal(np.concatenate(parts), X[:, :2])
    np.testing.assert_array_equal(np.concatenate(weights), np.abs(z))


@pytest.mark.parametrize("form", FORMATS)
def test_columns_come_in_the_order_in_which_they_are_named(form, tmp_path):
    path = save(tmp_path / f"t{form}", named(X))
    columns = ["2", "0"] if form == ".npy" else ["z", "x"]
    np.testing.assert_array_equal(open_table(path, columns=columns).read().X, X[:, [2, 0]])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">i2", "u1", "i8", "?"])
def test_npy_keeps_its_type_in_the_machine_s_byte_order(dtype, tmp_path):
    rows = (X > 5).astype(dtype)
    np.save(tmp_path / "t.npy", rows)
    read = open_table(tmp_path / "t.npy").read().X
    assert read.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(read, rows)


def test_npy_is_mapped_and_may_be_of_either_order(tmp_path):
    np.save(tmp_path / "t.npy", np.asfortranarray(X))
    read = open_table(tmp_path / "t.npy").read().X
    assert isinstance(read, np.memmap)
    np.testing.assert_array_equal(read, X)


@pytest.mark.parametrize(
    ("types", "dtype"),
    [
        (["f4", "f4"], "f4"),
        (["f4", "f8"], "f8"),
        (["u1", "u1"], "u1"),
        (["i4", "f4"], "f8"),
        (["u8", "i8"], "f8"),
    ],
)
def test_parquet_columns_share_the_type_that_holds_all(types, dtype, tmp_path):
    columns = {name: np.arange(5).astype(kind) for name, kind in zip("xy", types, strict=True)}
    read = open_table(save(tmp_path / "t.parquet", columns)).read().X
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, np.arange(5.0)[:, np.newaxis].repeat(2, axis=1))


def test_parquet_takes_numbers_of_every_kind_and_leaves_out_the_rest(tmp_path):
    columns = {
        "half": np.arange(3, dtype="f2"),
        "decimal": [Decimal(1), Decimal("2.00"), Decimal(3)],
        "when": np.zeros(3, "M8[s]"),
        "yes": [True, False, True],
        "list": [[1], [2], []],
        "a.b": [7, 8, 9],
        "__index_level_0__": [0, 1, 2],
    }
    table = open_table(save(tmp_path / "t.parquet", columns))
    assert table.choice.features == ["half", "decimal", "a.b"]
    np.testing.assert_array_equal(table.read().X, [[0, 1, 7], [1, 2, 8], [2, 3, 9]])


def test_parts_of_a_parquet_file_let_go_of_those_before(tmp_path):
    rows = np.random.default_rng(0).standard_normal((800_000, 2))
    path = save(tmp_path / "t.parquet", named(rows), row_group_size=10_000)
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in open_table(path).parts(20_000)]
    assert len(held) == 80  # some versions of pyarrow held 2.6 MB
    assert max(held) < path.stat().st_size / 4


def test_a_folder_is_one_table_in_the_order_of_its_numbers(tmp_path):
    for number in range(12):
        folder = tmp_path / ("sub" if number == 11 else ".")
        folder.mkdir(exist_ok=True)
        save(folder / f"part.{number}.parquet", {"x": [number + 0.0], "k": [f"row {number}"]})
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / "_metadata.parquet").write_text("none of ours")
    read = open_table(tmp_path, keep=["k"]).read()
    np.testing.assert_array_equal(read.X[:, 0], np.arange(12.0))
    assert read.kept["k"].to_pylist() == [f"row {number}" for number in range(12)]


def test_a_folder_s_files_may_differ_in_type_and_order_and_the_rest(tmp_path):
    save(tmp_path / "a.parquet", {"x": [1, 2], "y": [3, 4]})
    save(tmp_path / "b.parquet", {"more": ["?"], "y": [0.5], "x": np.array([7], "f4")})
    np.testing.assert_array_equal(open_table(tmp_path).read().X, [[1, 3], [2, 4], [7, 0.5]])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("\ufeffx,y\n1,2\n", [[1, 2]]),
        ("\n\nx,y\n\n1,2\n\n\n3,4\n\n", [[1, 2], [3, 4]]),
        ("x,y\r\n1,2\r\n3,4", [[1, 2], [3, 4]]),
        ("x,y\r1,2\r3,4\r", [[1, 2], [3, 4]]),
        ('"x","y"\n"1.5","-2e3"\n', [[1.5, -2000]]),
        ("x,y\n 1 , 2\n", [[1, 2]]),
        ("x,y\n9007199254740993,1\n", [[9007199254740992, 1]]),
        ("x\n1\n", [[1]]),
        ('x,pipe\n1,5" wide\n2,6" wide\n3,7" wide\n', [[1], [2], [3]]),
        ('name,x\n"a,\n""b""",5\nc,6\n', [[5], [6]]),
        ("name,x,y\n,1,2\n,3,4\n", [[1, 2], [3, 4]]),
        ("0,1\n7,8\n", [[7, 8]]),
        ("\u5bbd,h\u00f6he\n1,2\n", [[1, 2]]),
    ],
)
def test_csv_as_people_write_it(lines, expected, tmp_path):
    (tmp_path / "t.csv").write_bytes(lines.encode())
    np.testing.assert_array_equal(open_table(tmp_path / "t.csv").read().X, expected)


def test_kept_csv_columns_stay_the_text_they_are(tmp_path):
    path = text(tmp_path / "t.csv", 'id,x,note\n007,1,\n1e3,2,"a ""b"", c"\nNA,3,NULL\n')
    kept = open_table(path, keep=["id", "note"]).read().kept
    assert kept.to_pydict() == {"id": ["007", "1e3", "NA"], "note": ["", 'a "b", c', "NULL"]}


def rows_of(name, value, row, n=20):
    column = np.ones(n)
    column[row] = value
    return {"x": np.ones(n), name: column}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("form", [".npy", ".parquet"])
@pytest.mark.usefixtures("small_batches")
def test_what_is_not_finite_is_reported_with_its_row_and_column(value, form, tmp_path):
    path = save(tmp_path / f"t{form}", rows_of("y", value, 777, 1000))
    name = "1" if form == ".npy" else "y"
    complaint = rf"t{form}: column '{name}' must hold finite numbers, got {value} at row 777"
    complaint += "; --drop-missing .* missing values$" if np.isnan(value) else "$"
    with pytest.raises(ValueError, match=complaint):
        open_table(path).read()
    with pytest.raises(ValueError, match=complaint):
        list(open_table(path).batches())
    with pytest.raises(ValueError, match=complaint):
        open_table(path, columns=["0" if form == ".npy" else "x"], weight_column=name).read()


@pytest.mark.parametrize("cell", ["nan", "NaN", "inf", "-Infinity", "NA", "x1", "0x10", "1_0"])
def test_what_is_no_number_in_csv_is_reported_with_its_row_and_line(cell, tmp_path):
    path = text(tmp_path / "t.csv", f"x,y\n\n1,2\n3,4\n5,{cell}\n7,8\n9,oops\n")
    complaint = f"t.csv: column 'y' must hold finite numbers, got '{cell}' at row 2, line 5"
    remedies = {"nan": "; --drop-missing", "na": "; --drop-missing"}
    remedies |= dict.fromkeys(["x1", "0x10", "1_0"], "; a column of text is left out of --columns")
    complaint += remedies.get(cell.lower(), "$")
    with pytest.raises(ValueError, match=complaint):
        open_table(path).read()


ALMOST = ["nan", "NaN", "-NAN", "inf", "+Inf", "-Infinity", "1e999", "-1e999", "1,5", "-1,234.5"]
MISSING = ["NA", "na", "N/A", "N/a", "nA", "nUll", "null", "NULL", "None", "<NA>", "?", "-"]


@pytest.mark.parametrize("cell", [*ALMOST, *MISSING, ""])
def test_a_first_value_that_is_no_number_does_not_hide_its_column(cell, tmp_path):
    shown = f"'{cell}'" if cell else "an empty cell"
    for rest in ("3,4\n", "3,nan\n5,4\n", "3,\n5,4\n"):
        table = open_table(text(tmp_path / "t.csv", f'x,y\n2,"{cell}"\n{rest}'))
        assert table.choice.features == ["x", "y"]
        complaint = rf"column 'y' must hold finite numbers, got {re.escape(shown)} at row 0, line 2"
        with pytest.raises(ValueError, match=complaint):
            table.read()


@pytest.mark.parametrize("cell", MISSING)
def test_rows_with_a_word_for_missing_are_dropped_whatever_its_case(cell, tmp_path):
    table = open_table(text(tmp_path / "t.csv", f"x\n{cell}\n2\n"), drop_missing=True)
    assert table.read().X.tolist() == [[2.0]]


@pytest.mark.parametrize("cell", ALMOST)
def test_a_column_of_almost_numbers_alone_is_reported_and_not_left_out(cell, tmp_path):
    table = open_table(text(tmp_path / "t.csv", f'x,y\n2,"{cell}"\n3,"{cell}"\n'))
    with pytest.raises(ValueError, match=rf"'y' must hold .* got '{re.escape(cell)}' at row 0"):
        table.read()


@pytest.mark.parametrize("cell", [*ALMOST, *MISSING, ""])
def test_words_are_left_out_whatever_stands_above_them(cell, tmp_path):
    table = open_table(text(tmp_path / "t.csv", f'x,name\n2,"{cell}"\n3,Nancy\n4,5\n'))
    assert table.left_out == {"name": "text, e.g. 'Nancy'"}
    np.testing.assert_array_equal(table.read().X, [[2], [3], [4]])


@pytest.mark.parametrize("cell", ["\u00a03", "3\u00a0", "\uff13", '"\n3"', "\x0b3"])
@pytest.mark.parametrize("rows", ["2,1\n{},4\n", "{},4\n2,1\n"])
def test_a_number_that_python_alone_reads_is_reported_with_its_place(cell, rows, tmp_path):
    path = text(tmp_path / "t.csv", "x,y\n" + rows.format(cell))
    said = r"column 'x' must hold finite numbers, got .* at row \d, line \d; write it in digits"
    with pytest.raises(ValueError, match=said):
        open_table(path).read()


@pytest.mark.parametrize("cell", [" ", "   ", "\u00a0", "\u00a0\u00a0"])
def test_a_cell_of_blanks_is_one_without_a_value(cell, tmp_path):
    path = text(tmp_path / "t.csv", f"x,y\n1,2\n{cell},4\n5,6\n")
    assert open_table(path, drop_missing=True).read().missing.tolist() == [False, True, False]
    with pytest.raises(ValueError, match="got a cell of blanks at row 1, line 3; --drop-missing"):
        open_table(path).read()
    path = text(path, f"x,y\n1,2\n{50 * cell},4\n")
    with pytest.raises(
        ValueError, match="a cell of blanks at row 1, line 3; leave such cells empty"
    ):
        open_table(path, drop_missing=True).read()


@pytest.mark.parametrize(
    "options", [{}, {"comment": "#"}, {"encoding": "utf-16"}, {"delimiter": " "}]
)
def test_an_empty_line_within_a_quoted_name_is_part_of_the_name(options, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('"x\n\n#y"\n1\n\n3\n', encoding=options.get("encoding", "utf-8"))
    table = open_table(path, drop_missing=True, **options)
    assert table.choice.features == ["x\n\n#y"]
    assert table.read().missing.tolist() == [False, True, False]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_name_with_a_line_break_of_any_kind_is_written_in_quotes(end, tmp_path):
    write_centers(tmp_path / "c.csv", ".csv", np.eye(2), [f"x{end}y", "z"])
    table = open_table(tmp_path / "c.csv")
    assert table.choice.features == [f"x{end}y", "z"]
    np.testing.assert_array_equal(table.read().X, np.eye(2))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of a fork beside threads
def test_a_child_that_is_forked_while_a_line_is_read_reads_lines_with_its_own_limit():
    limit = csv.field_size_limit()
    is_reading, may_end = threading.Event(), threading.Event()

    def lines():
        is_reading.set()
        may_end.wait()
        yield "x"

    thread = threading.Thread(target=lambda: list(_unlimited(csv.reader(lines()))))
    thread.start()
    is_reading.wait()
    child = os.fork()
    if not child:
        is_right = False
        try:
            signal.alarm(60)  # ends a child that waits for ever
            cells = list(_unlimited(csv.reader(["y"])))
            is_right = cells == [["y"]] and csv.field_size_limit() == limit
        finally:
            os._exit(not is_right)
    may_end.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "options", [{}, {"comment": "#"}, {"encoding": "utf-16"}, {"delimiter": " "}]
)
def test_an_empty_line_within_a_single_column_is_an_empty_cell(options, end, tmp_path):
    lines = ["", "x", "", "1", "", "#" if "comment" in options else "2", "", "3", "", ""]
    path = tmp_path / "t.csv"
    path.write_bytes(end.join(lines).encode(options.get("encoding", "utf-8")))
    missing = open_table(path, drop_missing=True, keep="x", columns="x", **options).read().missing
    is_gap = [True, False, True, True, False] if "comment" in options else [True, False] * 3
    assert missing.tolist() == is_gap
    with pytest.raises(ValueError, match="got an empty cell at row 0, line 3; --drop-missing"):
        open_table(path, **options).read()


@pytest.mark.parametrize(
    "lines", ["x\n1\n2\n", "x\n1\n2\n\n\n", "\nx\n1\n2", "x\r\n1\r\n2\r\n\r\n"]
)
def test_empty_lines_around_a_single_column_are_none(lines, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(lines.encode())
    assert open_table(path).read().X.tolist() == [[1], [2]]
    assert open_table(path, header=False, columns="0", drop_missing=True, na="x").read().n_rows == 3


def test_a_cell_may_be_longer_than_the_csv_module_allows(tmp_path):
    lines = f'x,outline,y\n1,"{"1 2," * 50000}",2\n3,,4\n'
    limit = csv.field_size_limit()
    read = open_table(text(tmp_path / "t.csv", lines), keep="outline").read()
    assert read.X.tolist() == [[1, 2], [3, 4]]
    with pytest.raises(ValueError, match="got 'six' at row 2, line 4"):
        open_table(text(tmp_path / "t.csv", lines + "5,,six\n")).read()
    assert csv.field_size_limit() == limit


def test_what_is_left_out_is_reported_with_what_it_holds(tmp_path):
    path = text(tmp_path / "t.csv", "id,x,note,kind,w\na7,1,,NA,1\nb8,2,,null,1\n")
    held = {"id": "text, e.g. 'a7'", "note": "no value", "kind": "no value"}
    assert open_table(path, weight_column="w").left_out == held
    del held["id"]
    assert open_table(path, keep=["id"]).left_out == held
    assert open_table(path, columns=["x"]).left_out == {}
    path = save(tmp_path / "t.parquet", {"id": ["a", "b"], "x": [1.0, 2.0], "yes": [True, False]})
    assert open_table(path).left_out == {"id": "string", "yes": "bool"}
    assert open_table(path, columns=["x"]).left_out == {}
    path = save(tmp_path / "t.npy", named(X))
    assert open_table(path).left_out == {}


@pytest.mark.parametrize("value", [np.nan, np.inf, None])
def test_a_parquet_column_is_one_of_numbers_by_its_type(value, tmp_path):
    column = pa.array([value, 4.0], pa.float64())
    table = open_table(save(tmp_path / "t.parquet", {"x": [1.0, 2.0], "y": column}))
    with pytest.raises(ValueError, match=r"column 'y' must hold finite numbers, got .* at row 0\b"):
        table.read()


def test_a_header_of_numbers_is_reported_though_one_is_none(tmp_path):
    with pytest.raises(ValueError, match="must name the columns, got numbers, nan,2"):
        open_table(text(tmp_path / "t.csv", "nan,2\n3,4\n"))


@pytest.mark.parametrize("first", ["\u00a01.5,\u00a02", "\uff11\uff12,\uff12"])
def test_a_header_of_numbers_that_python_alone_reads_is_reported(first, tmp_path):
    with pytest.raises(ValueError, match="must name the columns, got numbers, "):
        open_table(text(tmp_path / "t.csv", f"{first}\n3,4\n5,6\n"))


def test_a_header_of_numbers_is_one_where_it_is_asked_for(tmp_path):
    path = text(tmp_path / "t.csv", "2019,2020\n1,2\n")
    table = open_table(path, header=True)
    assert table.choice.features == ["2019", "2020"]
    assert table.read().X.tolist() == [[1, 2]]
    assert table.options == {"header": True}


@pytest.mark.parametrize("form", FORMATS)
def test_weights_are_no_feature(form, tmp_path):
    path = save(tmp_path / f"t{form}", named(X))
    x, y = ("0", "1") if form == ".npy" else ("x", "y")
    complaint = f"must be none of the features, got '{y}' as both; leave it out of the columns"
    with pytest.raises(ValueError, match=complaint):
        open_table(path, columns=[x, y], weight_column=y)
    assert open_table(path, columns=[x], weight_column=y).choice.features == [x]


def test_an_empty_cell_is_no_number(tmp_path):
    path = text(tmp_path / "t.csv", "x,y\n1,2\n3,\n")
    with pytest.raises(ValueError, match=r"got an empty cell at row 1, line 3; --drop-missing"):
        open_table(path).read()
    path = save(tmp_path / "t.parquet", {"x": [1.0, 2.0, None]})
    with pytest.raises(
        ValueError, match=r"'x' must hold .*, got no value at row 2; --drop-missing"
    ):
        open_table(path).read()


@pytest.mark.usefixtures("small_batches")
def test_a_fault_far_into_a_csv_is_reported_with_its_line(tmp_path):
    lines = ["x,y"] + [f"{i},{i}" for i in range(5000)]
    lines[4001] = "4,four thousand"
    with pytest.raises(ValueError, match="got 'four thousand' at row 4000, line 4002"):
        open_table(text(tmp_path / "t.csv", "\n".join(lines))).read()
    lines[3001] = "1,2,3"
    with pytest.raises(ValueError, match=r"line 3002 has 3 field\(s\) where the first"):
        open_table(text(tmp_path / "t.csv", "\n".join(lines))).read()


def test_the_first_fault_of_a_folder_is_reported_with_its_file(tmp_path):
    save(tmp_path / "a.parquet", rows_of("y", 1.0, 0))
    save(tmp_path / "b.parquet", rows_of("y", np.nan, 5))
    with pytest.raises(ValueError, match=r"b\.parquet: column 'y' .* at row 5; --drop-missing"):
        open_table(tmp_path).read()


@pytest.mark.parametrize(
    ("lines", "options", "complaint"),
    [
        ("", {}, "t.csv is empty; its first line must name the columns"),
        ("\n\n", {}, "t.csv is empty"),
        ("x,y\n", {"columns": ["x"]}, "t.csv has no rows"),
        ("x,y\n", {}, "t.csv has no column of numbers to cluster by; its columns are 'x', 'y'"),
        ("x,y\n1,2\n", {"keep": ["x", "y"]}, "features only where --columns names them too; its"),
        ("x,y\n1,2\n3\n", {}, r"line 3 has 1 field\(s\)"),
        ('x,name\n1,"a\nb"\n2,c\n3,d,e\n', {}, r"line 5 has 3 field\(s\)"),
        ("x,y\n1,2\n", {"columns": ["x", "q"]}, "no column 'q'; its columns are 'x', 'y'"),
        ("x,y\n1,2\n", {"weight_column": "w"}, "no column 'w'"),
        ("x,y\n1,2\n", {"keep": ["id"]}, "no column 'id'"),
        ("x,x\n1,2\n", {}, "has 2 columns 'x'; give each its own name"),
        ("x,y\n1,2\n", {"columns": ["x", "x"]}, "columns must differ, got x, x"),
        ("1.5,2.5\n3,4\n", {}, r"the first line must name the columns, got numbers, 1\.5,2\.5"),
        ("a;b\n1;2\n", {}, "line holds semicolons, got 'a;b'; read it with --delimiter ';'"),
        ("a\tb\n1\t2\n", {}, r"line holds tabs, got 'a\\tb'; read it with --delimiter"),
        (
            "a b\n1.5 2\n",
            {},
            "spaces separate the cells, got 'a b' as the first line; read it with",
        ),
        ("1.5   2\n 3 4e2\n", {}, r"--delimiter ' ' \(delimiter=' '\)"),
        ("a;b\n1,5;2\n", {"delimiter": ";"}, "got '1,5' at row 0, line 2; --decimal , reads"),
        ("1;2\n3;4\n", {"delimiter": ";"}, "put a line of names before it, or read it with --no-h"),
        ("a\n1,5\n", {"decimal": ","}, "delimiter must differ from the decimal mark"),
        ("a\n1\n", {"delimiter": ";;"}, "delimiter must be one ASCII character, got ';;'"),
        ("a\n1\n", {"encoding": "klingon"}, "encoding must be one of Python"),
        ("a\n1\n", {"comment": "//"}, "comment must be one character"),
        ("a\n1\n", {"exclude": ["b"]}, "no column 'b'"),
        ("a\n1\n", {"columns": ["a"], "exclude": ["a"]}, "columns must name at least one column"),
        ("a\n1\n", {"columns": []}, "columns must name at least one column that exclude leaves"),
        ("a\n1\n", {"format": "xyz"}, "format must be one of csv, .*, got 'xyz'"),
        ("a\nNA\nabc\n", {"columns": ["a"], "drop_missing": True}, "got 'abc' at row 1, line 3"),
        ("name,x\nann,1\n", {"columns": ["name"]}, "got 'ann' at row 0, line 2"),
        ('x,name\n1,ann\n3,"4\n5,6\n', {}, "line 4: unexpected end of data"),
        ('x,y\n1,2\n3,"4\n5,6\n', {}, "line 4: unexpected end of data"),
        ("x,w\n1,1\n2,lots\n", {"weight_column": "w"}, "'w' must hold finite numbers, got 'lots'"),
    ],
)
def test_a_csv_that_cannot_be_right_is_refused_with_the_reason(lines, options, complaint, tmp_path):
    with pytest.raises(ValueError, match=complaint):
        open_table(text(tmp_path / "t.csv", lines), **options).read()


@pytest.mark.parametrize(("encoding", "line"), [("latin-1", 2), ("utf-16", 1), ("utf-8-sig", None)])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_that_is_not_utf8_is_reported_with_its_line(encoding, line, end, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(end.join(["name,x", "Jos\u00e9,1", "Anna,2", ""]).encode(encoding))
    if line is None:
        assert open_table(path, columns=["x"]).read().X.tolist() == [[1], [2]]
        return
    with pytest.raises(ValueError, match=rf"t\.csv: line {line} is not UTF-8 text; save the file"):
        open_table(path, columns=["x"]).read()


def test_a_line_that_is_not_utf8_is_found_far_into_a_text(tmp_path):
    lines = ["name,x", *[f'"Jos\u00e9\n{i}",{i}' for i in range(3000)], "Caf\u00e9,1"]
    foreign = lines.pop().encode("latin-1")
    (tmp_path / "t.csv").write_bytes("\n".join([*lines, ""]).encode() + foreign)
    with pytest.raises(ValueError, match="line 6002 is not UTF-8 text"):
        open_table(tmp_path / "t.csv", columns=["x"], keep=["name"]).read()


def test_npy_files_that_are_no_table_are_refused_with_the_reason(tmp_path):
    path = tmp_path / "t.npy"
    for array, complaint in [
        (np.ones(3), r"must hold a table .* got shape \(3,\); one column is reshape"),
        (np.ones((3, 2, 2)), r"got shape \(3, 2, 2\)"),
        (np.ones((3, 0)), r"got shape \(3, 0\)"),
        (np.ones((0, 2)), "has no rows"),
        (np.array([["a", "b"]]), "must hold real numbers, got dtype <U1"),
        (np.ones((3, 2), complex), "must hold real numbers, got dtype complex128"),
        (
            np.ones(3, [("x", "f8"), ("y", "f8")]),
            r"must hold real numbers, got dtype \[\('x', .*structured_to_unstructured makes",
        ),
        (np.array([[1, None]], object), "holds pickled Python objects, which could run code"),
    ]:
        np.save(path, array, allow_pickle=True)
        with pytest.raises(ValueError, match=rf"t\.npy.*{complaint}"):
            open_table(path).read()
    for content, complaint in [
        (b"", "is empty, not an npy file"),
        (b"1,2\n3,4\n", "is not an npy file"),
        (b"\x93NUMPY\x01\x00", "is cut off or damaged"),
    ]:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=complaint):
            open_table(path)
    np.save(path, X)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is cut off or damaged"):
        open_table(path)
    np.save(path, X)
    with pytest.raises(ValueError, match="has no column '3'; its columns are '0', '1', '2'"):
        open_table(path, columns=["3"])


def test_parquet_files_that_are_none_are_refused_with_the_reason(tmp_path):
    path = save(tmp_path / "t.parquet", {"x": X[:, 0], "name": ["a"] * 1000})
    with pytest.raises(ValueError, match="'name' must hold numbers, got string from row 0 on"):
        open_table(path, columns=["x", "name"])
    whole = path.read_bytes()
    for content in (b"", b"x,y\n1,2\n", whole[:-5], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"t\.parquet is not a parquet file, or is cut off"):
            open_table(path)
    path.write_bytes(whole[:4] + b"\xff" * 200 + whole[204:])
    with pytest.raises(ValueError, match=r"t\.parquet is damaged"):
        open_table(path).read()
    save(path, {"x": np.empty(0)})
    with pytest.raises(ValueError, match="has no rows"):
        open_table(path).read()
    pq.write_table(pa.table([[1.0], [2.0]], names=["x", "x"]), path)
    with pytest.raises(ValueError, match="has 2 columns 'x'"):
        open_table(path)


def test_a_folder_of_other_schemas_is_refused_by_file(tmp_path):
    with pytest.raises(ValueError, match="is a folder without parquet files"):
        open_table(tmp_path)
    save(tmp_path / "a.parquet", {"x": [1.0], "y": [1.0], "id": [1]})
    save(tmp_path / "b.parquet", {"x": [1.0], "y": ["a"], "id": ["b"]})
    with pytest.raises(ValueError, match=r"b\.parquet: column 'y' must hold numbers, got string"):
        open_table(tmp_path)
    with pytest.raises(ValueError, match=r"b\.parquet: column 'id' must be of one type to be kept"):
        open_table(tmp_path, columns=["x"], keep=["id"])
    save(tmp_path / "b.parquet", {"x": [1.0], "id": [2]})
    with pytest.raises(ValueError, match=r"b\.parquet has no column 'y'"):
        open_table(tmp_path)
    assert open_table(tmp_path, columns=["x"], keep=["id"]).read().kept["id"].to_pylist() == [1, 2]


def test_a_missing_file_and_a_foreign_format_are_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*t\.csv"):
        open_table(tmp_path / "t.csv")
    text(tmp_path / "t.xls", "?")
    with pytest.raises(
        ValueError,
        match=r"must end in \.csv, .*\.arrow or be a folder .*; save .* CSV first",
    ):
        open_table(tmp_path / "t.xls")


def test_npy_needs_no_pyarrow_and_the_others_say_how_to_get_it(tmp_path, monkeypatch):
    paths = [save(tmp_path / f"t{form}", named(X)) for form in FORMATS]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    np.testing.assert_array_equal(open_table(paths[0]).read().X, X)
    write_whole({paths[0]: lambda part: write_labels(part, ".npy", [(np.arange(3), None)])})
    np.testing.assert_array_equal(np.load(paths[0]), np.arange(3))
    for path in paths[1:]:
        with pytest.raises(ImportError, match=r'pip install "meanshift_fast\[io\]"'):
            open_table(path).read()


@pytest.fixture
def unprivileged():
    """Give up what lets root read and write everything; a folder that others may enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(before)


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_may_not_be_read_is_reported(form, unprivileged):
    path = save(unprivileged / f"t{form}", named(X))
    path.chmod(0)
    with pytest.raises(PermissionError, match=f"t{form}"):
        open_table(path)


def test_targets_are_checked_before_the_work(unprivileged):
    check_target(unprivileged / "new.npy")
    with pytest.raises(NotADirectoryError, match=r"cannot write .*: there is no folder .*; create"):
        check_target(unprivileged / "none" / "t.npy")
    (unprivileged / "folder.npy").mkdir()
    with pytest.raises(FileExistsError, match="it is a folder"):
        check_target(unprivileged / "folder.npy")
    os.mkfifo(unprivileged / "pipe.npy")
    with pytest.raises(FileExistsError, match="it is no ordinary file"):
        check_target(unprivileged / "pipe.npy")
    (unprivileged / "folder.npy").chmod(0o555)
    with pytest.raises(PermissionError, match="is not open for writing"):
        check_target(unprivileged / "folder.npy" / "t.npy")
    (unprivileged / "old.npy").touch(0o444)
    with pytest.raises(PermissionError, match=r"old.npy: it is not open for writing; choose"):
        check_target(unprivileged / "old.npy")


@pytest.mark.parametrize("is_made_anew", [False, True])
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_new_file_keeps_the_mode_of_the_old_one(mode, is_made_anew, tmp_path):
    path = tmp_path / "t.npy"
    path.touch()
    path.chmod(mode)

    def write(part):
        if is_made_anew:
            part.unlink()
        part.write_text("new")

    write_whole({path: write})
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", mode)
    assert os.listdir(tmp_path) == ["t.npy"]


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    path = tmp_path / ("n" * 251 + ".npy")
    write_whole({path: lambda part: part.write_text("new")})
    assert path.read_text() == "new"


def test_threads_that_write_one_file_leave_it_whole(tmp_path):
    path, both = tmp_path / "t.npy", threading.Barrier(2, timeout=60)

    def write(part, letter):
        with part.open("w") as file:
            both.wait()
            file.write(letter)
            file.flush()
            both.wait()
            file.write(letter)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda letter: write_whole({path: lambda p: write(p, letter)}), "ab"))
    assert path.read_text() in ("aa", "bb")
    assert os.listdir(tmp_path) == ["t.npy"]


@pytest.mark.parametrize("form", FORMATS)
def test_labels_come_back_as_they_were_from_one_piece_or_many(form, tmp_path):
    labels = np.arange(-1, 99)
    for cuts in ([], [1], [30, 60], [0, 0, 40]):
        pieces = [(piece, None) for piece in np.split(labels, cuts)]
        path = tmp_path / f"labels{form}"
        write_whole({path: lambda part, p=pieces: write_labels(part, form, p)})
        if form == ".npy":
            read = np.load(path, allow_pickle=False)
        elif form == ".csv":
            assert path.read_text().startswith("label\n-1\n0\n")
            read = np.loadtxt(path, dtype=int, skiprows=1)
        else:
            assert pq.read_schema(path) == pa.schema({"label": pa.int64()})
            read = pq.read_table(path)["label"].to_numpy()
        assert (read.dtype, read.shape) == (np.int64, (100,))
        np.testing.assert_array_equal(read, labels)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_centers_come_back_to_the_last_bit(form, dtype, tmp_path):
    centers = X[:7].astype(dtype)
    path = tmp_path / f"c{form}"
    write_whole({path: lambda part: write_centers(part, form, centers, ["x", "a,b", "h\u00f6he"])})
    table = open_table(path)
    np.testing.assert_array_equal(table.read().X.astype(dtype), centers)
    if form != ".npy":
        assert table.choice.features == ["x", "a,b", "h\u00f6he"]


@pytest.mark.parametrize("form", [".csv", ".parquet"])
def test_kept_columns_go_before_the_labels(form, tmp_path):
    source = save(tmp_path / "t.parquet", {"id": [10, 20], "x": [0.5, 1.5], "name": ["a", "b,c"]})
    kept = open_table(source, keep=["name", "id"]).read().kept
    path = tmp_path / f"labels{form}"
    write_whole({path: lambda part: write_labels(part, form, [(np.array([1, 0]), kept)])})
    if form == ".csv":
        assert path.read_text() == 'name,id,label\n"a",10,1\n"b,c",20,0\n'
    else:
        expected = {"name": ["a", "b,c"], "id": [10, 20], "label": [1, 0]}
        assert pq.read_table(path).to_pydict() == expected


@pytest.mark.parametrize("form", [".csv", ".parquet"])
def test_text_as_polars_writes_it_is_kept_as_text(form, tmp_path):
    words, drinks = ["a", None, "b"], ["tea", "rum", "tea"]
    frame = {"x": [1.0, 2.0, 9.0], "w": words, "c": pl.Series(drinks, dtype=pl.Categorical)}
    frame["e"] = pl.Series(drinks, dtype=pl.Enum(["rum", "tea"]))
    pl.DataFrame(frame).write_ipc(tmp_path / "t.arrow")
    table, path = open_table(tmp_path / "t.arrow", keep=["w", "c", "e"]), tmp_path / f"o{form}"
    batches = [(np.arange(3), table.read().kept)]
    write_whole({path: lambda part: write_labels(part, form, batches)})
    read = pl.read_csv(path) if form == ".csv" else pl.read_parquet(path)
    assert read["w"].to_list() == words
    assert read["c"].to_list() == read["e"].to_list() == drinks


@pytest.mark.parametrize(
    ("form", "kept", "remedy"),
    [
        (".csv", pa.array([[1], [2]]), "leave it out of --keep, or write parquet"),
        (".parquet", pa.array([(1, 2, 3)] * 2, pa.month_day_nano_interval()), "out of --keep$"),
    ],
    ids=["lists", "intervals"],
)
def test_a_kept_column_that_a_format_cannot_hold_is_named(form, kept, remedy, tmp_path):
    feather.write_feather(pa.table({"x": [1.0, 2.0], "k": kept}), tmp_path / "t.arrow")
    batches = [(np.arange(2), open_table(tmp_path / "t.arrow", keep=["k"]).read().kept)]
    said = rf"^t\.arrow: column 'k' must be of a type that {form[1:]} holds .* got {kept.type}; "
    with pytest.raises(ValueError, match=said.replace("<", r"\<") + ".*" + remedy):
        write_whole({tmp_path / "o": lambda part: write_labels(part, form, batches, "t.arrow")})
    assert not (tmp_path / "o").exists()


@contextmanager
def full_disk(n_bytes):
    """Let no file grow beyond so many bytes: a write fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(form, tmp_path):
    path = tmp_path / f"labels{form}"
    path.write_text("old")
    labels = np.random.default_rng(0).integers(0, 1 << 60, 100_000)
    with full_disk(10_000), pytest.raises(OSError, match=rf"cannot write .*labels{form}: File too"):
        write_whole({path: lambda part: write_labels(part, form, [(labels, None)])})
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError, MemoryError])
def test_whatever_ends_the_writing_leaves_the_old_files(failure, tmp_path):
    first, second = tmp_path / "a.npy", tmp_path / "b.npy"
    first.write_text("old")

    def fail(part):
        part.write_text("half")
        raise failure

    with pytest.raises(failure):
        write_whole({first: lambda part: part.write_text("new"), second: fail})
    assert first.read_text() == "old"
    assert list(tmp_path.iterdir()) == [first]


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "real.npy", tmp_path / "link.npy"
    target.write_text("old")
    link.symlink_to(target)
    write_whole({link: lambda part: part.write_text("new")})
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_ctrl_c_between_two_files_waits_for_both(tmp_path, monkeypatch):
    targets = [tmp_path / "labels.csv", tmp_path / "centers.csv"]
    for target in targets:
        target.write_text("old")
    rename = os.replace

    def interrupted(part, target):
        rename(part, target)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "replace", interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        write_whole({target: lambda part: part.write_text("new") for target in targets})
    assert [target.read_text() for target in targets] == ["new", "new"]
    assert sorted(tmp_path.iterdir()) == sorted(targets)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("form", [".csv", ".parquet"])
def test_the_time_for_many_columns_grows_with_their_number(form, tmp_path):
    path = save(tmp_path / f"t{form}", {f"c{i}": np.arange(3.0) for i in range(20_000)})
    began = time.process_time()
    assert open_table(path).read().X.shape == (3, 20_000)
    assert time.process_time() - began < 8.0  # 400 million comparisons of names would be 20 s


# Tables as people have them.

PLAIN = "x,y\n1.5,2\n-3,4e2\n"
ROWS = np.array([[1.5, 2.0], [-3.0, 400.0]])


@pytest.mark.parametrize(
    ("lines", "name", "options"),
    [
        (PLAIN.replace(",", "\t"), "t.tsv", {}),
        (PLAIN, "t.txt", {}),
        (PLAIN.replace(",", ";"), "t.txt", {"delimiter": ";"}),
        (PLAIN.replace(",", ";").replace(".", ","), "t.csv", {"delimiter": ";", "decimal": ","}),
        (PLAIN.replace(",", " "), "t.txt", {"delimiter": " "}),
        ("  x    y\n1.5    2 \n -3  4e2\n", "t.txt", {"delimiter": " "}),
        ("# made by hand\n" + PLAIN.replace("-3", "# no row\n-3"), "t.csv", {"comment": "#"}),
        (PLAIN, "table", {"format": "csv"}),
        ("id,x,y\n1,1.5,2\n2,-3,4e2\n", "t.csv", {"exclude": ["id"]}),
    ],
    ids=[
        "tsv",
        "txt",
        "semicolons",
        "decimal commas",
        "spaces",
        "runs of spaces",
        "comments",
        "no suffix",
        "exclude",
    ],
)
def test_texts_of_other_dialects_are_read(lines, name, options, tmp_path):
    (tmp_path / name).write_text(lines)
    table = open_table(tmp_path / name, **options)
    assert table.choice.features == ["x", "y"]
    np.testing.assert_array_equal(table.read().X, ROWS)
    np.testing.assert_array_equal(table.read().X, ROWS)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", " ", "\t"])
def test_a_comment_sign_within_a_quoted_cell_begins_no_comment(delimiter, end, tmp_path):
    lines = [
        "# by hand", "x,note,y", '1.5,"first', '# of  ""two', 'lines",2', "# no row",
        '-3,5" nail,4e2', "# no row",
    ]  # fmt: skip
    if delimiter != ",":
        lines = [line.replace(",", delimiter) for line in lines]
        lines[6] = delimiter.join(["-3", '5"nail', "4e2"])
    path = tmp_path / "t.csv"
    path.write_bytes(end.join([*lines, ""]).encode())
    table = open_table(path, delimiter=delimiter, comment="#", columns=["x", "y"], keep=["note"])
    read = table.read()
    np.testing.assert_array_equal(read.X, ROWS)
    first, nail = read.kept["note"].to_pylist()
    assert first == end.join(["first", '# of  "two', "lines"])
    assert nail.startswith('5"')


@pytest.mark.parametrize("lines", ["my column\n1.5\n2\n", "x\n1 234\n", "first name,x\na b,1\n"])
def test_spaces_within_cells_separate_none(lines, tmp_path):
    table = open_table(text(tmp_path / "t.csv", lines))
    assert table.choice.features in (["my column"], ["x"])
    if "234" in lines:
        with pytest.raises(ValueError, match="column 'x' must hold finite numbers, got '1 234'"):
            table.read()


def test_a_text_without_a_header_has_numbers_for_names(tmp_path):
    (tmp_path / "t.csv").write_text("1.5,2\n-3,4e2\n")
    table = open_table(tmp_path / "t.csv", header=False)
    assert (table.choice.features, table.has_names) == (["0", "1"], False)
    np.testing.assert_array_equal(table.read().X, ROWS)
    np.testing.assert_array_equal(
        open_table(tmp_path / "t.csv", header=False, columns=["1"]).read().X, ROWS[:, 1:]
    )
    (tmp_path / "t.csv").write_text("1.5,2\n-3,x\n")
    with pytest.raises(ValueError, match="column '1' must hold finite numbers, got 'x' at row 1, "):
        open_table(tmp_path / "t.csv", header=False).read()


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252", "utf-8-sig"])
def test_texts_of_other_encodings_are_read(encoding, tmp_path):
    (tmp_path / "t.csv").write_bytes("größe,y\n1.5,2\n-3,4e2\n".encode(encoding))
    table = open_table(tmp_path / "t.csv", encoding=encoding)
    assert table.choice.features == ["größe", "y"]
    np.testing.assert_array_equal(table.read().X, ROWS)


@pytest.mark.parametrize(("suffix", "codec"), [(".gz", "gzip"), (".bz2", "bz2"), (".zst", "zstd")])
@pytest.mark.usefixtures("small_batches")
def test_compressed_texts_are_read_in_batches(suffix, codec, tmp_path):
    plain = save(tmp_path / "t.csv", named(X))
    path = tmp_path / f"t.csv{suffix}"
    with pa.output_stream(str(path), compression=codec) as stream:
        stream.write(plain.read_bytes())
    table = open_table(path)
    assert table.choice.features == NAMES
    np.testing.assert_array_equal(np.concatenate(list(table.batches())), X)
    np.testing.assert_array_equal(table.read().X, X)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=rf"t\.csv\{suffix}"):
        open_table(path).read()


@pytest.mark.parametrize(("name", "delimiter"), [("t.tsv.gz", "\t"), ("T.TXT.GZ", ",")])
def test_compressed_texts_have_the_delimiter_of_their_format(name, delimiter, tmp_path):
    with gzip.open(tmp_path / name, "wt") as file:
        file.write(PLAIN.replace(",", delimiter))
    np.testing.assert_array_equal(open_table(tmp_path / name).read().X, ROWS)


@pytest.mark.parametrize("name", ["t.feather", "t.arrow", "stream.arrow", "packed.feather"])
@pytest.mark.usefixtures("small_batches")
def test_arrow_files_are_read(name, tmp_path):
    table = pa.table({**named(X), "word": ["a"] * len(X)})
    if name == "stream.arrow":
        with pa.ipc.new_stream(tmp_path / name, table.schema) as writer:
            writer.write_table(table, max_chunksize=300)
    else:
        packed = "lz4" if name == "packed.feather" else "uncompressed"
        feather.write_feather(table, tmp_path / name, compression=packed, chunksize=300)
    opened = open_table(tmp_path / name, keep=["word"])
    assert opened.choice.features == NAMES
    parts = list(opened.parts(200))
    assert max(len(part.X) for part in parts) <= 100
    np.testing.assert_array_equal(np.concatenate([part.X for part in parts]), X)
    assert opened.read().kept.num_rows == len(X)
    with pytest.raises(ValueError, match="column 'word' must hold numbers, got string"):
        open_table(tmp_path / name, columns=["word"])
    (tmp_path / name).write_bytes(b"no table")
    with pytest.raises(ValueError, match="is not an arrow or feather file, or is cut off"):
        open_table(tmp_path / name)


def test_an_npz_file_of_one_array_is_a_table(tmp_path):
    np.savez(tmp_path / "one.npz", X)
    np.savez_compressed(tmp_path / "two.npz", X, y=X)
    np.testing.assert_array_equal(open_table(tmp_path / "one.npz").read().X, X)
    with pytest.raises(ValueError, match=r"two\.npz must hold one array, got 2"):
        open_table(tmp_path / "two.npz")


@pytest.mark.parametrize(
    "cell", ["1,234", "1 234", "1\u00a0234", "1'234", "1\u2019234,5", "1,234.5"]
)
@pytest.mark.parametrize("decimal", [".", ","])
def test_thousands_that_are_grouped_are_refused_and_never_misread(cell, decimal, tmp_path):
    if decimal == "," and cell == "1,234":
        cell = "1.234"
    (tmp_path / "t.csv").write_text(f"x;y\n1;2\n3;{cell}\n", encoding="utf-8")
    table = open_table(tmp_path / "t.csv", delimiter=";", decimal=decimal)
    assert table.choice.features == ["x", "y"]
    complaint = f"got {re.escape(repr(cell))} at row 1, line 3; "
    is_ambiguous = decimal == "." and cell == "1,234"
    complaint += "--decimal ," if is_ambiguous else "write numbers .* without marks of thousands"
    with pytest.raises(ValueError, match=complaint):
        table.read()


EXCEL = '"Länge; cm"{0}Ort{0}Preis\n1{1}5{0}a{0}2\n-3{0}b{0}4e2\n'


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize(
    ("delimiter", "decimal"), [(";", "."), (",", "."), ("\t", "."), (";", ","), ("\t", ",")]
)
@pytest.mark.parametrize("form", [".csv", ".txt", ".tsv"])
def test_a_first_line_that_names_the_delimiter_is_understood(
    form, delimiter, decimal, encoding, end, tmp_path
):
    lines = f"sep={delimiter}\n" + EXCEL.format(delimiter, decimal)
    path = tmp_path / f"t{form}"
    path.write_bytes(lines.replace("\n", end).encode(encoding))
    named = encoding.removesuffix("-sig")
    table = open_table(path, decimal=decimal, encoding=named, keep=["Ort"])
    assert table.choice.features == ["Länge; cm", "Preis"]
    for _ in range(2):
        read = table.read()
        np.testing.assert_array_equal(read.X, ROWS)
        assert read.kept["Ort"].to_pylist() == ["a", "b"]


def test_below_a_line_that_names_the_delimiter_lines_are_counted_from_it(tmp_path):
    path = text(tmp_path / "t.csv", "sep=;\nx;y\n1;2\n3;four\n")
    with pytest.raises(ValueError, match="got 'four' at row 1, line 4"):
        open_table(path).read()
    path = text(tmp_path / "u.csv", "sep=;\n1,5;2\n-3;4e2\n")
    table = open_table(path, header=False, decimal=",")
    np.testing.assert_array_equal(table.read().X, ROWS)
    with pytest.raises(ValueError, match="is empty; its first line must name the columns"):
        open_table(text(tmp_path / "v.csv", "sep=;\n"))


def test_a_delimiter_that_is_given_is_taken_and_the_line_that_names_one_is_not(tmp_path):
    path = text(tmp_path / "t.csv", "SEP=;\nx|y\n1.5|2\n-3|4e2\n")
    np.testing.assert_array_equal(open_table(path, delimiter="|").read().X, ROWS)
    table = open_table(text(tmp_path / "u.csv", "sep=,x\n1.5,2\n-3,4e2\n"))
    assert table.choice.features == ["sep=", "x"]


@pytest.mark.parametrize(
    ("lines", "value", "beside"),
    [
        ("n;x\n3.968;1\n920;2\n", 3.968, "920"),
        ("n;x\n0;1\n-12.345;2.5\n-7;3\n", -12.345, "-7"),
        ("n\tx\n\t1\n20\t2\n3.968\t3\n", 3.968, "20"),
        ("n;price;x\n3.968;1,5;1\n35.000;2;2\n", 3.968, "1,5"),
    ],
)
def test_points_that_may_mark_thousands_are_warned_of_and_read_as_decimals(
    lines, value, beside, tmp_path
):
    path = text(tmp_path / "t.txt", lines)
    delimiter = "\t" if "\t" in lines else ";"
    said = f"'n' has '{value}', .* there is '{beside}' too: .* write the numbers without them"
    with pytest.warns(UserWarning, match=said) as caught:
        table = open_table(path, delimiter=delimiter, columns=["n", "x"], drop_missing=True)
    assert len(caught) == 1
    assert value in table.read().X[:, 0]
    open_table(path, delimiter=delimiter, columns=["x"])


def test_points_between_several_groups_are_warned_of_and_are_errors(tmp_path):
    path = text(tmp_path / "t.csv", "n\n1\n1.234.567\n")
    with pytest.warns(UserWarning, match=r"'n' has '1\.234\.567'"):
        table = open_table(path, delimiter=";")
    with pytest.raises(ValueError, match="without marks of thousands"):
        table.read()


@pytest.mark.parametrize(
    "lines",
    [
        "x;y\n13.405;52.520\n-2.125;1.000\n",  # "%.3f"
        "x;y\n13.405;1\n2;0.125\n0.500;2\n",
        "x;y\n13.405;1\n2;2\n7.5;3\n",
        "x;y\n1013.405;1\n2;2\n",
        "x;y\n2021;1\n2;2\n",
        "x;y\n0;1\n13.405;2\n",
        "x;y;note\n13.405;1;a, b\n2.125;2;c\n",
    ],
)
def test_decimals_of_three_places_are_no_marks_of_thousands(lines, tmp_path):
    rows = open_table(text(tmp_path / "t.csv", lines), delimiter=";").read()
    given = [line.split(";")[:2] for line in lines.split("\n")[1:-1]]
    np.testing.assert_array_equal(rows.X, np.array(given, dtype=float))


def test_options_of_texts_are_refused_for_other_files(tmp_path):
    np.save(tmp_path / "t.npy", X)
    with pytest.raises(ValueError, match=r"are for text, got .*t\.npy; leave them out"):
        open_table(tmp_path / "t.npy", delimiter=";")


@pytest.mark.parametrize("form", [".csv", ".parquet", ".feather"])
def test_rows_with_missing_values_are_dropped_and_their_places_known(form, tmp_path):
    columns = {
        "x": [1.5, None, 3.0, 4.0, None, 6.0],
        "n": [1, 2, None, 4, 5, 6],
        "w": [1.0, 1.0, 1.0, None, 1.0, 2.0],
        "id": ["a", "b", "c", "d", "e", "f"],
    }
    path = tmp_path / f"t{form}"
    if form == ".feather":
        feather.write_feather(pa.table(columns), path)
    else:
        save(path, columns)
    options = {"columns": ["x", "n"], "weight_column": "w", "keep": ["id"], "drop_missing": True}
    read = open_table(path, **options).read()
    assert read.X.tolist() == [[1.5, 1.0], [6.0, 6.0]]
    assert read.weights.tolist() == [1.0, 2.0]
    assert read.missing.tolist() == [False, True, True, True, True, False]
    assert read.kept["id"].to_pylist() == columns["id"]
    parts = list(open_table(path, **options).parts(2))
    assert [part.missing.size for part in parts].count(0) == 0
    assert np.concatenate([part.X for part in parts]).tolist() == read.X.tolist()
    batches = list(open_table(path, **options).batches())
    assert sum(len(rows) for rows, _ in batches) == 2
    with pytest.raises(ValueError, match=r"column 'x' must hold .* row 1"):
        open_table(path, columns=["x"]).read()
    columns["w"][5] = -1.0
    feather.write_feather(pa.table(columns), tmp_path / "w.feather")
    with pytest.raises(ValueError, match=r"weights of at least 0, got -1\.0 at row 5"):
        open_table(tmp_path / "w.feather", **options).read()
    columns["x"][5] = np.inf
    feather.write_feather(pa.table(columns), tmp_path / "w.feather")
    with pytest.raises(ValueError, match="column 'x' must hold finite numbers, got inf at row 5"):
        open_table(tmp_path / "w.feather", **options).read()


@pytest.mark.parametrize("na", ["-999", ["-999"], -999, [-999], np.array(["-999"])])
def test_a_word_for_missing_may_stand_alone_or_be_a_number(na, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x\n9\n-999\n-\n3\n")
    read = open_table(path, na=na, drop_missing=True).read()
    assert read.X.tolist() == [[9.0], [3.0]]
    assert read.missing.tolist() == [False, True, True, False]


def test_a_name_of_a_column_may_stand_alone_or_be_a_number(tmp_path):
    named_table = save(tmp_path / "t.csv", {"ab": [1.0], "a": [2.0], "b": [3.0]})
    assert open_table(named_table, columns="ab").read().X.tolist() == [[1.0]]
    assert open_table(named_table, exclude="ab").read().X.tolist() == [[2.0, 3.0]]
    assert open_table(named_table, keep="ab").read().kept.column_names == ["ab"]
    assert open_table(named_table, columns="ab").options == {"columns": ["ab"]}
    numbered = save(tmp_path / "t.npy", {"ab": [1.0], "a": [2.0], "b": [3.0]})
    assert open_table(numbered, columns=[2, np.int64(0)]).read().X.tolist() == [[3.0, 1.0]]
    assert open_table(numbered, exclude=1).read().X.tolist() == [[1.0, 3.0]]
    weighted = open_table(numbered, columns=[0], weight_column=2).read()
    assert (weighted.X.tolist(), weighted.weights.tolist()) == ([[1.0]], [3.0])


def test_a_lone_quote_beside_a_missing_value_is_read(tmp_path):
    path = text(tmp_path / "t.csv", 'x,name\n1,5" nail\nNA,b\n3,c\n')
    assert open_table(path, columns=["x"], drop_missing=True).read().X.tolist() == [[1.0], [3.0]]


def test_a_table_of_missing_values_alone_has_no_rows(tmp_path):
    np.save(tmp_path / "t.npy", np.full((5, 2), np.nan))
    with pytest.raises(ValueError, match="has no rows without missing values; there is nothing"):
        open_table(tmp_path / "t.npy", drop_missing=True).read()


@pytest.mark.parametrize("read", [open_table, load_model])
def test_a_pipe_is_refused_and_not_waited_for(read, tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(OSError, match=r"pipe\.csv is a pipe or a device; save"):
        read(tmp_path / "pipe.csv")


@cache
def sound():
    """Lines without a fault."""
    return "".join(f"{a},{b}\n" for a, b in np.random.default_rng(0).normal(size=(20_000, 2)))


FAULTS = {  # a file with an error in it, and the error
    "t.csv": lambda: (f"x,y\nword,1.0\n{sound()}".encode(), "'word' at row 0, line 2"),
    "t.csv.gz": lambda: (
        gzip.compress(f"x,y\n{sound()}".encode())[:-9_000],
        "is cut off or damaged",
    ),
    "t.txt": lambda: (
        f"x;y\n{sound().replace(',', ';')}\xe9".encode("latin-1"),
        "is not UTF-8 text",
    ),
}


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("name", FAULTS)
def test_threads_of_pyarrow_hold_no_file_after_an_error(name, tmp_path, monkeypatch):
    """One that frees an object of Python's while Python ends would abort the process."""
    content, complaint = FAULTS[name]()
    (tmp_path / name).write_bytes(content)
    read = Utf8.read

    def slowly(self, size=-1):
        time.sleep(0.005)
        return read(self, size)

    def lent():
        return {id(held) for held in gc.get_objects() if type(held) in (_Lent, _Block)}

    monkeypatch.setattr(Utf8, "read", slowly)
    before = lent()
    options = {"delimiter": ";"} if name == "t.txt" else {}
    with pytest.raises(ValueError, match=complaint) as caught:
        open_table(tmp_path / name, columns=["x", "y"], **options).read()
    assert lent() <= before, caught  # whose traceback holds none either
