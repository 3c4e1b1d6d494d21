"""Progress is reported where a call asks for it, and nowhere else."""

import sys

import pytest

from meanshift_fast import MeanShift
from meanshift_fast._input.progress import reporting
from samples import blobs

X = blobs(200, 2)
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
        report(2, 4, "climb")
        report(70_000, 0, "condense")
    lines = capsys.readouterr().err.split("\r")[1:]
    assert [line.rstrip() for line in lines] == [
        "mean shift: tree",
        "mean shift: climb 50%",
        "mean shift: condense 70,000 rows",
    ]
    assert len({len(line.rstrip("\n")) for line in lines}) == 1


def test_a_bar_takes_a_stream_of_unknown_length(capsys):
    with reporting(True) as report:
        report(70_000, 0, "condense")
    assert "mean shift: condense 70,000 rows [" in capsys.readouterr().err
