"""A DataFrame's error names the column and the row, in Python and in the command line alike."""

import datetime
import re

import dask
import dask.dataframe
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from meanshift_fast import MeanShift, bandwidth_curve, estimate_bandwidth, get_bin_seeds, trace
from meanshift_fast._cli.main import main
from meanshift_fast.dask import MeanShift as DaskMeanShift
from meanshift_fast.plot import MeanShiftDisplay
from meanshift_fast.stream import fit_batches

NUMBERS = [1.0, 2.0, 3.0]
DAYS = [datetime.date(2020, 1, day) for day in (1, 2, 3)]
TEXT, MISSING, TIMES = "code words as numbers", "fill it, or drop the row", "count times in days"
COLUMNS = {
    "text": (["1.5", "x", "y"], "'x'", 1, TEXT),
    "a category": (pd.Categorical(["u", "v", "u"]), "'u'", 0, TEXT),
    "a missing number": (pd.array([1, None, 3], dtype="Int64"), "N", 1, MISSING),
    "NaN": ([1.0, 2.0, np.nan], "NaN", 2, MISSING),
    "an infinity": ([1.0, np.inf, np.nan], "inf", 1, MISSING),
    "None": (np.array([1, 2, None], dtype=object), "no value", 2, MISSING),
    "a date": (DAYS, "", 0, ""),
    "a time": (pd.to_datetime(DAYS), "'2020-01-01 00:00:00' of type datetime64", 0, TIMES),
    "a duration": (pd.to_timedelta([1, 2, 3], unit="s"), "'0 days 00:00:01' of type", 0, TIMES),
    "a complex number": ([1j, 2.0, 3.0], "1j", 0, TEXT),
    "a number without end": (np.array([1, 2, 10**400], dtype=object), "1000", 2, "scale"),
}
POLARS = {
    "text": (pl.Series(["x", "y", "z"]), "'x'", 0, TEXT),
    "a category": (pl.Series(["x", "y", "z"], dtype=pl.Categorical), "'x'", 0, TEXT),
    "a missing number": (pl.Series([1, None, 3]), "NaN", 1, MISSING),
    "NaN": (pl.Series([1.0, 2.0, np.nan]), "NaN", 2, MISSING),
    "a date": (pl.Series(DAYS), "'2020-01-01' of type Date", 0, TIMES),
    "a list": (pl.Series([[1], [2], [3]]), "", 0, TEXT),
}


def complaint(frame):
    with pytest.raises(ValueError, match="column") as caught:
        MeanShift(bandwidth=1.0).fit(frame)
    return str(caught.value)


@pytest.mark.parametrize("name", COLUMNS)
def test_an_error_about_a_frame_of_pandas_names_column_row_and_remedy(name):
    column, value, row, remedy = COLUMNS[name]
    said = complaint(pd.DataFrame({"a": NUMBERS, "b": column}))
    assert said.startswith(f"X: column 'b' must hold finite numbers, got {value}")
    assert f" at row {row}; {remedy}" in said


@pytest.mark.parametrize("name", POLARS)
def test_an_error_about_a_frame_of_polars_names_column_row_and_remedy(name):
    column, value, row, remedy = POLARS[name]
    said = complaint(pl.DataFrame({"a": NUMBERS, "b": column}))
    assert said.startswith(f"X: column 'b' must hold finite numbers, got {value}")
    assert f" at row {row}; {remedy}" in said


@pytest.mark.parametrize("name", COLUMNS)
def test_a_batch_and_a_partition_have_the_same_words(name):
    column, value, row, _ = COLUMNS[name]
    good = pd.DataFrame({"a": NUMBERS, "b": NUMBERS})
    bad = good.assign(b=column)
    said = rf"1: column 'b' must hold finite numbers, got {re.escape(value)}.* at row {row}; "
    with pytest.raises(ValueError, match=f"batch {said}"):
        fit_batches([good, bad], bandwidth=1.0)
    parts = dask.dataframe.from_delayed([dask.delayed(good), dask.delayed(bad)], meta=good[:0],
                                        verify_meta=False)  # fmt: skip
    with dask.config.set(scheduler="sync"), pytest.raises(ValueError, match=f"partition {said}"):
        DaskMeanShift(bandwidth=1.0).fit(parts)


def test_a_batch_of_polars_has_them_too():
    good = pl.DataFrame({"a": NUMBERS, "b": NUMBERS})
    for column, value, row, _ in POLARS.values():
        said = rf"batch 0: column 'b' must hold finite numbers, got {value}.* at row {row}; "
        with pytest.raises(ValueError, match=said):
            fit_batches([good.with_columns(column.alias("b"))], bandwidth=1.0)
    with pytest.raises(ValueError, match=r"batch 0 must hold rows, got a LazyFrame .* its collect"):
        fit_batches([good.lazy()], bandwidth=1.0)


def test_an_arrow_table_has_the_same_errors():
    table = pa.table({"a": NUMBERS, "b": ["x", "y", "z"]})
    assert complaint(table).startswith("X: column 'b' must hold finite numbers, got 'x' at row 0")


def test_a_record_batch_of_arrow_has_names_as_a_table_has():
    batch = pa.record_batch({"a": NUMBERS, "b": [50.0, 51.0, 52.0]})
    other = batch.select(["b", "a"])
    model = MeanShift(bandwidth=9.0).fit(batch)
    assert list(model.feature_names_in_) == ["a", "b"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(other)
    with pytest.raises(ValueError, match="feature names should match"):
        MeanShiftDisplay.from_estimator(MeanShift(bandwidth=9.0).fit(other), other, starts=batch)
    streamed = fit_batches([batch], bandwidth=9.0)
    assert list(streamed.feature_names_in_) == ["a", "b"]
    with pytest.raises(ValueError, match="batch 1 must have the columns of batch 0 in their order"):
        fit_batches([batch, other], bandwidth=9.0)
    wrong = pa.record_batch({"a": NUMBERS, "b": ["x", "y", "z"]})
    assert complaint(wrong).startswith("X: column 'b' must hold finite numbers, got 'x' at row 0")


def test_a_lazy_frame_is_to_be_collected_and_a_column_of_times_is_named():
    X = pl.LazyFrame({"a": NUMBERS, "b": NUMBERS})
    with pytest.raises(ValueError, match=r"X must hold rows, got a LazyFrame .* call its collect"):
        MeanShift(bandwidth=1.0).fit(X)
    said = complaint(X.with_columns(c=pl.lit(DAYS[0])))
    assert said.startswith("X: column 'c' must hold finite numbers, got type Date")
    assert MeanShift(bandwidth=1.0).fit(X.collect()).labels_.shape == (3,)


def test_every_function_that_takes_a_table_names_the_column():
    X = pd.DataFrame({"a": NUMBERS, "b": [1.0, np.nan, 2.0]})
    model = MeanShift(bandwidth=1.0).fit(X.fillna(0.0))
    for call in (
        lambda: model.predict(X),
        lambda: estimate_bandwidth(X),
        lambda: bandwidth_curve(X, [1.0]),
        lambda: get_bin_seeds(X, 1.0),
        lambda: trace(X, [1.0, 2.0], bandwidth=1.0),
        lambda: MeanShift(bandwidth=1.0, seeds=X).fit(X.fillna(0.0)),
    ):
        with pytest.raises(
            ValueError, match=r"column 'b' must hold finite numbers, got NaN at row 1"
        ):
            call()


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": NUMBERS, "b": [True, False, True]}),
        pd.DataFrame({"a": NUMBERS, "b": pd.Categorical([1, 2, 1])}),
        pd.DataFrame({"a": NUMBERS, "date": ["1", "2", "3"]}),
        pd.DataFrame(np.zeros((3, 2))),
        pl.DataFrame({"a": NUMBERS, "b": pl.Series([1, 2, 3], dtype=pl.Decimal(10, 2))}),
        pa.table({"a": NUMBERS, "b": [1, 2, 3]}),
    ],
    ids=[
        "truth values",
        "whole categories",
        "text of numbers",
        "without names",
        "decimals",
        "arrow",
    ],
)
def test_what_scikit_learn_reads_as_numbers_is_read(frame):
    assert MeanShift(bandwidth=1.0).fit(frame).cluster_centers_.shape[1] == 2


def test_the_command_line_has_the_same_words(tmp_path, capsys):
    path = tmp_path / "t.parquet"
    pa.parquet.write_table(pa.table({"a": NUMBERS, "b": [1.0, np.nan, 2.0]}), path)
    assert main(["cluster", str(path), "-o", str(tmp_path / "out.csv")]) != 0
    said = complaint(pd.DataFrame({"a": NUMBERS, "b": [1.0, np.nan, 2.0]}))
    words = said.removeprefix("X: ").partition("; ")[0].lower()
    assert words in capsys.readouterr().err.lower()
