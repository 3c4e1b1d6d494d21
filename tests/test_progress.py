"""Progress is reported where a call asks for it, and nowhere else."""

import contextlib
import io
import os
import re
import sys
import threading
import types

import dask.array as da
import numba
import numpy as np
import pytest

from meanshift_fast import MeanShift, bandwidth_curve, estimate_bandwidth, mean_shift
from meanshift_fast._input import progress
from meanshift_fast._input.progress import reporting
from meanshift_fast._jit.chunks import chunks
from meanshift_fast.dask import MeanShift as DaskMeanShift
from meanshift_fast.image import mean_shift_segment
from meanshift_fast.stream import fit_batches
from samples import blobs

X = blobs(200, 2)
PICTURE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
STAGES = ["bandwidth", "seeds", "tree", "climb", "modes", "labels"]


def test_a_callable_hears_every_stage_in_order():
    heard = []
    MeanShift(progress=lambda *report: heard.append(report)).fit(X)
    assert list(dict.fromkeys(stage for _, _, stage in heard)) == STAGES
    climbed = [(done, total) for done, total, stage in heard if stage == "climb"]
    assert climbed == sorted(climbed)
    assert climbed[-1] == (len(X), len(X))


def test_what_the_callable_raises_ends_the_fit():
    def stop(done, total, stage):
        if stage == "climb":
            raise KeyboardInterrupt

    model = MeanShift(progress=stop)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert not hasattr(model, "labels_")


def test_nothing_is_printed_by_default(capfd):
    MeanShift().fit(X)
    assert capfd.readouterr() == ("", "")


def test_a_bar_is_drawn_on_stderr(capfd):
    MeanShift(progress=True).fit(X)
    out, err = capfd.readouterr()
    assert out == ""
    assert "labels" in err


def test_without_tqdm_a_plain_line_is_written_over(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with reporting(True) as report:
        report(0, 1, "tree")
        report(2, 4, "labels")
        report(70_000, 0, "condense")
    lines = capsys.readouterr().err.split("\r")[1:]
    assert [line.rstrip() for line in lines] == [
        "mean shift: tree [00:00]",
        "mean shift: labels 50% [00:00]",
        "mean shift: condense 70,000 rows [00:00]",
    ]


def test_a_bar_takes_a_stream_of_unknown_length(capsys):
    with reporting(True) as report:
        report(70_000, 0, "condense")
    assert "mean shift: condense 70,000 rows [" in capsys.readouterr().err


class Terminal:
    """A pseudo-terminal as stderr, and a clock that goes on by so many seconds a reading."""

    def __init__(self, monkeypatch, step):
        self.now, self.step = 0.0, step
        ours, theirs = os.openpty()
        # The buffer of a terminal is small, and nobody else empties it.
        os.set_blocking(ours, False)
        self._ours, self._stderr = ours, os.fdopen(theirs, "w", encoding="utf-8")
        self._read = b""
        # Not of `sys` itself, where the test runner puts its own between setup and test.
        seen = types.SimpleNamespace(stderr=self, modules=sys.modules)
        monkeypatch.setattr(progress, "sys", seen)
        monkeypatch.setattr(progress, "monotonic", self.tick)

    def tick(self):
        self.now += self.step
        return self.now

    def __getattr__(self, name):
        return getattr(self._stderr, name)

    def write(self, text):
        self._stderr.write(text)
        self.flush()

    def flush(self):
        self._stderr.flush()
        with contextlib.suppress(BlockingIOError):
            while True:
                self._read += os.read(self._ours, 1 << 16)

    def text(self):
        self.flush()
        return self._read.decode()

    def close(self):
        self._stderr.close()
        os.close(self._ours)


@pytest.fixture
def terminal(monkeypatch):
    opened = Terminal(monkeypatch, step=0.5)
    monkeypatch.setattr(progress, "_has_named_compiling", [True])
    yield opened
    monkeypatch.undo()
    opened.close()


@pytest.fixture
def has_tqdm(request, monkeypatch):
    if not request.param:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)


@pytest.mark.parametrize("has_tqdm", [True, False], indirect=True)
def test_a_bar_appears_on_a_terminal_after_five_seconds_and_goes_away(terminal, has_tqdm):
    with reporting("auto") as report:
        report(0, 1, "tree")
        while terminal.now < 4.0:
            report(1, 4, "climb")
        assert terminal.text() == ""
        while terminal.now < 7.0:
            report(2, 4, "labels")
        assert "mean shift: labels 50% [00:05]" in terminal.text()
    assert screen(terminal.text()) == ""


def screen(text):
    """What a terminal of one line shows in the end."""
    shown = []
    for line in text.split("\r"):
        shown[: len(line)] = line
    return "".join(shown).strip()


def test_a_bar_says_the_round_how_many_move_and_how_far(terminal):
    MeanShift(bandwidth=1.0, progress="auto").fit(blobs(3000, 2, spread=2.0))
    rounds = re.findall(
        r"mean shift: climb, round (\d+): ([\d,]+) move, at most ([\d.e-]+) bandwidths",
        terminal.text(),
    )
    assert rounds
    for number, moving, largest in rounds:
        assert 1 <= int(number) <= 301
        assert 0 <= int(moving.replace(",", "")) <= 3000
        assert 0.0 < float(largest) <= 2.0
    assert screen(terminal.text()) == ""


def test_a_bar_estimates_what_a_long_kernel_has_left(terminal):
    with reporting("auto", "bandwidth"):
        for start, stop in chunks(1 << 10, first=1):
            if start > 256:
                break
            assert start < stop
    assert re.search(r"mean shift: bandwidth \d+% \[00:\d\d, 00:\d\d left\]", terminal.text())


@pytest.mark.parametrize(
    "call",
    [
        lambda: MeanShift().fit(X),
        lambda: MeanShift(bandwidth=1.0).fit(X).predict(X),
        lambda: MeanShift(bandwidth=1.0, assign="basin").fit(X).predict(X + 0.1),
        lambda: mean_shift(X, bandwidth=1.0),
        lambda: estimate_bandwidth(X),
        lambda: bandwidth_curve(X),
        lambda: fit_batches([X, X], bandwidth=1.0).predict(X),
        lambda: DaskMeanShift(bandwidth=1.0).fit(da.from_array(X, chunks=(50, 2))),
        lambda: mean_shift_segment(PICTURE, spatial_radius=4, range_radius=20),
    ],
    ids=["fit", "predict", "basins", "function", "estimate", "curve", "stream", "Dask", "segment"],
)
def test_long_calls_show_a_bar_by_default_and_nothing_in_pipes(call, terminal, monkeypatch):
    monkeypatch.setattr(progress, "AUTO_SECONDS", 0.25)
    call()
    assert "mean shift: " in terminal.text()
    assert screen(terminal.text()) == ""
    shown = len(terminal.text())
    monkeypatch.setattr(terminal, "isatty", lambda: False, raising=False)
    call()
    assert len(terminal.text()) == shown


def test_other_threads_and_short_calls_show_none(terminal, monkeypatch):
    terminal.step = 1e-3
    MeanShift(bandwidth=2.0, bin_seeding=True).fit(X)
    assert terminal.text() == ""
    monkeypatch.setattr(progress, "AUTO_SECONDS", 0.0)
    thread = threading.Thread(target=lambda: MeanShift(bandwidth=1.0).fit(X))
    thread.start()
    thread.join()
    assert terminal.text() == ""


def test_compiling_is_said_once_on_a_terminal(terminal, monkeypatch):
    monkeypatch.setattr(progress, "_has_named_compiling", [])

    def plus_one(value):
        return value + 1

    plus_one.__module__ = "meanshift_fast.somewhere"
    for _ in range(2):
        with reporting("auto"):
            assert numba.njit(plus_one)(1) == 2
    assert terminal.text().count("mean shift: compiling its kernels") == 1


def test_a_notebook_is_watched_too(monkeypatch):
    monkeypatch.setattr(progress, "AUTO_SECONDS", 0.0)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    shell = types.SimpleNamespace(kernel=None)
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    heard = io.StringIO()
    monkeypatch.setattr(sys, "stderr", heard)
    MeanShift(bandwidth=1.0).fit(X)
    assert "mean shift: labels" in heard.getvalue()
