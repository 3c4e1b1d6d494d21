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
    assert n_shown >= 1


@pytest.mark.parametrize(("assign", "least", "most"), [("nearest", 0.9, 0.95), ("basin", 0.99, 1)])
def test_nearest_centres_cut_the_moons_of_the_picture_and_basins_do_not(assign, least, most):
    points, upper = picture.moons()
    labels = MeanShift(bandwidth=picture.BANDWIDTH, assign=assign).fit(points).labels_
    assert labels.max() == 1
    assert least <= max(np.mean(labels == upper), np.mean(labels != upper)) <= most


@pytest.mark.parametrize("page", picture.PAGES)
def test_the_picture_has_a_panel_for_each_way(page):
    titles = [ax.get_title() for ax in picture.draw(page).axes]
    assert titles == list(picture.TITLES.values())


def test_the_index_picture_adds_skips_and_tests_as_the_ball_demands():
    rows = np.random.default_rng(0).standard_normal((600, 2))
    boxes = list(picture.boxes(rows, picture.POSITION, picture.RADIUS))
    assert {box.case for box in boxes} == set(picture.CASES)
    found = {case: np.vstack([b.rows for b in boxes if b.case == case]) for case in picture.CASES}
    inside = {
        case: np.linalg.norm(of_case - picture.POSITION, axis=1) <= picture.RADIUS
        for case, of_case in found.items()
    }
    assert sum(map(len, found.values())) == len(rows)
    assert inside["added whole"].all()
    assert not inside["skipped"].any()


def test_it_is_short():
    assert README.stat().st_size <= 8_000
