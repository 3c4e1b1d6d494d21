"""Values in messages: as repr shows them where that is short, and never long."""

import json
import zipfile

import numpy as np
import pandas as pd
import pytest

import samples
from meanshift_fast import (
    MeanShift,
    bandwidth_curve,
    condense,
    estimate_bandwidth,
    get_bin_seeds,
    mean_shift,
    trace,
)
from meanshift_fast._cli.arguments import length
from meanshift_fast._input.messages import MAX_CHARACTERS, cut, quoted
from meanshift_fast.io import open_table
from meanshift_fast.models import load_model
from meanshift_fast.stream import fit_batches

X = samples.blobs(60, 2)
BEYOND = 10**400


@pytest.mark.parametrize(
    "value",
    [1, -2.5, np.float64(1.5), "a  b", [1.0, 0.0], ["a"], (), None, 1j, np.nan, {"a": 1}, "x" * 98],
    ids=repr,
)
def test_a_short_value_is_as_repr_shows_it(value):
    assert quoted(value) == repr(value)


@pytest.mark.parametrize(
    ("value", "begins"),
    [
        (["1"] * 100_000, "['1', '1', '1',"),
        (list(range(1000)), "[0, 1, 2, 3,"),
        ([[list(range(50))] * 50] * 50, "[[[0, 1,"),
        (np.arange(1000.0), "array([ 0., 1., 2.,"),
        (pd.Series(np.arange(500.0)), "0 0.0 1 1.0"),
        ("word " * 1000, "'word word"),
        (BEYOND, "10000000000"),
        (-(10**6000), "a whole number of 19932 bits"),
        ({i: "word" * 90 for i in range(90)}, "{0: 'word"),
    ],
    ids=["strings", "list", "lists", "array", "series", "text", "integer", "longer", "dict"],
)
def test_a_long_value_is_shortened_to_one_line(value, begins):
    shown = quoted(value)
    assert shown.startswith(begins)
    assert len(shown) <= MAX_CHARACTERS
    assert "\n" not in shown


def test_a_text_keeps_its_ends():
    assert cut("abcdefghij" * 3, 12) == "abcdef...hij"
    assert cut("abcdefghij", 10) == "abcdefghij"


def table(path, lines):
    path.write_text(lines)
    return open_table(path)


LONG = "word" * 20_000
MANY = [0.5] * 20_000
USES = {
    "weights": lambda _: MeanShift(bandwidth=1.0).fit(X, sample_weight=["1"] * 100_000),
    "weights beyond": lambda _: MeanShift(bandwidth=1.0).fit(X, sample_weight=[BEYOND] * 60),
    "bandwidth, words": lambda _: MeanShift(bandwidth=["1"] * 1000).fit(X),
    "bandwidth, zeros": lambda _: MeanShift(bandwidth=[0.0] * 9999).fit(np.ones((2, 9999))),
    "bandwidth, a word": lambda _: MeanShift(bandwidth=LONG).fit(X),
    "bandwidth beyond": lambda _: MeanShift(bandwidth=BEYOND).fit(X),
    "bandwidth far beyond": lambda _: MeanShift(bandwidth=BEYOND**20).fit(X),
    "bandwidth too small": lambda _: MeanShift(bandwidth=[1e-300, 1e-299] * 400).fit(
        np.full((2, 800), 1e300)
    ),
    "no seed": lambda _: MeanShift(
        bandwidth=np.arange(1.0, 901.0), bin_seeding=True, min_bin_freq=9
    ).fit(np.ones((2, 900))),
    "kernel": lambda _: mean_shift(X, bandwidth=1.0, kernel=[LONG]),
    "cell": lambda _: MeanShift(bandwidth=1.0).fit([[BEYOND, 1]]),
    "quantile": lambda _: estimate_bandwidth(X, quantile=MANY),
    "bin_size": lambda _: get_bin_seeds(X, MANY),
    "bin_size beyond": lambda _: get_bin_seeds(X, BEYOND),
    "cell_size": lambda _: condense(X, ["1"] * 1000),
    "bandwidths": lambda _: bandwidth_curve(X, bandwidths=[-1.0] * 900),
    "trace, kernel": lambda _: trace(X, X[0], bandwidth=1.0, kernel=LONG),
    "trace, bandwidth": lambda _: trace(X, X[0], bandwidth=MANY),
    "trace, beyond": lambda _: trace(X, X[0], bandwidth=BEYOND),
    "trace, tol": lambda _: trace(X, X[0], bandwidth=1.0, tol=-BEYOND),
    "trace, max_iter": lambda _: trace(X, X[0], bandwidth=1.0, max_iter=-BEYOND),
    "resolution": lambda _: fit_batches([X], bandwidth=1.0, resolution=LONG),
    "n_fine": lambda _: fit_batches([X], bandwidth=1.0, n_fine=LONG),
    "batch": lambda _: fit_batches([np.array([[LONG, 1]], dtype=object)], bandwidth=1.0),
    "names": lambda _: fit_batches(
        [pd.DataFrame(np.ones((2, 900))).add_prefix(name) for name in "ab"], bandwidth=1.0
    ),
    "option": lambda _: length(LONG),
    "csv cell": lambda path: table(path / "t.csv", f"x\n1\n{LONG}\n").read(),
    "csv header": lambda path: table(path / "t.csv", "1" * 300 + "\n2\n"),
    "csv name": lambda path: table(path / "t.csv", f"{LONG}\nnan\n").read(),
    "columns": lambda path: open_table(
        table(path / "t.csv", "x\n1\n").path, columns=["x" * 9000, LONG]
    ),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_messages_are_short_whatever_was_given(use, tmp_path):
    with pytest.raises(Exception, match=r"\.\.\.|a whole number of \d+ bits") as shown:
        use(tmp_path)
    assert len(str(shown.value).replace(str(tmp_path), "")) < 500


def test_a_model_of_a_long_format_is_reported_shortly(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.model", "w") as file:
        file.writestr("model.json", json.dumps({"format": LONG}))
    with pytest.raises(ValueError, match=r"it is a 'word") as shown:
        load_model(tmp_path / "m.model")
    assert len(str(shown.value)) < 500


def test_a_warning_of_bins_is_short():
    with pytest.warns(UserWarning, match="Binning data failed") as shown:
        get_bin_seeds([[1.0]], 1e300)
    assert len(str(shown[0].message)) < 300
