"""Signals at any moment of any command: files whole or as they were, the exit code, one line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from PIL import Image

import delivered
from meanshift_fast.models import load_model

N_MOMENTS = 6
READERS = {
    ".npy": np.load,
    ".csv": pyarrow.csv.read_csv,
    ".parquet": pyarrow.parquet.read_table,
    ".png": lambda path: Image.open(path).load(),
    ".model": load_model,
}


def tried(folder, *how, timeout):
    """Run the script, and return what its trials did."""
    script = folder / "meanshift-fast"  # a process of that name is the command
    shutil.copy(Path(delivered.__file__), script)
    run = subprocess.run(
        [sys.executable, script, folder, *how], capture_output=True, text=True, timeout=timeout
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def check(folder, trial):
    """Check a trial's exit code, its line, and that its files are whole or as they were."""
    place = folder / trial["place"]
    shown = place.with_suffix(".stderr").read_text()
    assert "Traceback" not in shown, (trial, shown)
    assert trial["code"] in {2: (130, 0), 15: (143, 0), None: (0,)}[trial["number"]], (trial, shown)
    what = {130: "interrupted", 143: "terminated"}.get(trial["code"])
    if what:
        assert shown.endswith(f"meanshift-fast: {what}\n"), (trial, shown)
    others = {path.name for path in place.iterdir()} - {"t.npy", "t.csv", "t.png", "old.model"}
    assert others == set(delivered.OUTPUTS), trial
    written = [path for path in map(place.joinpath, others) if path.read_bytes() != b"old"]
    for path in written:
        READERS[path.suffix](path)
    if trial["code"] == 0:
        command = (delivered.COMMANDS | delivered.LONG_COMMANDS)[trial["name"]]
        named = {word for word in command.split() if word in others}
        assert {path.name for path in written} == named, trial


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trials")
    return folder, tried(folder, str(N_MOMENTS), timeout=1200)


@pytest.mark.parametrize("name", delivered.COMMANDS)
def test_a_signal_at_any_moment_leaves_whole_files_or_the_old_and_one_line(name, trials):
    folder, found = trials
    mine = [trial for trial in found if trial["name"] == name]
    assert len(mine) == N_MOMENTS + 1
    assert mine[0]["code"] == 0
    for trial in mine:
        check(folder, trial)


@pytest.mark.nightly
@pytest.mark.parametrize("name", [*delivered.COMMANDS, *delivered.LONG_COMMANDS])
def test_a_signal_every_50_ms_of_a_command_does_too(name, tmp_path):
    found = tried(tmp_path, "--every", "0.05", name, timeout=1200)
    faults = []
    for trial in found:
        try:
            check(tmp_path, trial)
        except AssertionError as fault:
            faults.append(str(fault))
    assert not faults, "\n".join(faults)
    assert {trial["name"] for trial in found} == {name}
    assert len(found) > 2  # the undisturbed run, and each signal at least once
