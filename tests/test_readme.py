"""The README does what it says: its code runs, prints what it shows, and its pictures are there."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bench import picture
from meanshift_fast import MeanShift
from pages import ROOT, blocks_of, is_printed, run_process, run_shell

README = ROOT / "README.md"
BLOCKS = blocks_of(README)


def run(language, code, folder):
    """Run a block in a process of its own; what it prints."""
    if language == "sh":
        return run_shell(code, folder)
    return run_process([sys.executable, "-W", "error", "-c", code], folder)


def test_every_block_runs_and_prints_what_is_shown(tmp_path):
    # Each is a process, mostly on one processor: two at a time.
    with ThreadPoolExecutor(2) as pool:
        runs = [
            None if language == "text" else pool.submit(run, language, code, tmp_path)
            for language, code in BLOCKS
        ]
    printed, n_shown = "", 0
    for (language, code), ran in zip(BLOCKS, runs, strict=True):
        if language == "text":
            assert is_printed(code, printed), printed
            n_shown += 1
        else:
            assert language in {"python", "sh"}
            printed = ran.result()
    assert n_shown >= 2


@pytest.mark.parametrize(("assign", "share"), [("nearest", "94.3 %"), ("basin", "99.6 %")])
def test_the_moons_are_parted_as_the_text_says(assign, share):
    points, upper = picture.moons()
    labels = MeanShift(bandwidth=picture.BANDWIDTH, assign=assign).fit(points).labels_
    right = max(np.mean(labels == upper), np.mean(labels != upper))
    assert labels.max() == 1
    assert f"{right:.1%}".replace("%", " %") == share
    assert share in README.read_text()


@pytest.mark.parametrize("page", picture.PAGES)
def test_the_picture_has_a_panel_for_each_way(page):
    titles = [ax.get_title() for ax in picture.draw(page).axes]
    assert titles == list(picture.TITLES.values())
