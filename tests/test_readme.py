"""The README does what it says: its code runs, prints what it shows, and its pictures are there."""

import doctest
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bench import picture
from meanshift_fast import MeanShift

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.M | re.S)


def run(language, code, folder):
    """Run a block in a folder; what it prints."""
    if language == "python":
        command = [sys.executable, "-W", "error", "-c", code]
    else:
        # .ci/run runs what installs, in an environment of its own.
        lines = [line for line in code.splitlines() if not line.startswith("pip install")]
        command = ["bash", "-euo", "pipefail", "-c", "\n".join(lines)]
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "MPLBACKEND": "agg",
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{code}\n{done.stderr}"
    return done.stdout


def test_every_block_runs_and_prints_what_is_shown(tmp_path):
    # Each is a process, mostly on one processor: two at a time.
    with ThreadPoolExecutor(2) as pool:
        runs = [
            None if language == "text" else pool.submit(run, language, code, tmp_path)
            for language, code in BLOCKS
        ]
    checker, printed, n_shown = doctest.OutputChecker(), "", 0
    for (language, code), ran in zip(BLOCKS, runs, strict=True):
        if language == "text":
            assert checker.check_output(code, printed, doctest.ELLIPSIS), printed
            n_shown += 1
        else:
            assert language in {"python", "sh"}
            printed = ran.result()
    assert n_shown >= 2


def test_pictures_and_files_that_it_links_to_are_there():
    links = re.findall(r'(?:src|srcset)="([^"]+)"|\]\((?!https?:)([^)#]+)\)', README)
    paths = [image or link for image, link in links]
    assert len(paths) >= 2
    assert [path for path in paths if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize(("assign", "share"), [("nearest", "94.3 %"), ("basin", "99.6 %")])
def test_the_moons_are_parted_as_the_text_says(assign, share):
    points, upper = picture.moons()
    labels = MeanShift(bandwidth=picture.BANDWIDTH, assign=assign).fit(points).labels_
    right = max(np.mean(labels == upper), np.mean(labels != upper))
    assert labels.max() == 1
    assert f"{right:.1%}".replace("%", " %") == share
    assert share in README


@pytest.mark.parametrize("page", picture.PAGES)
def test_the_picture_has_a_panel_for_each_way(page):
    titles = [ax.get_title() for ax in picture.draw(page).axes]
    assert titles == list(picture.TITLES.values())
