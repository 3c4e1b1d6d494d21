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


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trials")
    script = folder / "meanshift-fast"  # a process of that name is the command
    shutil.copy(Path(delivered.__file__), script)
    run = subprocess.run(
        [sys.executable, script, folder, str(N_MOMENTS)],
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return folder, json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", delivered.COMMANDS)
def test_a_signal_at_any_moment_leaves_whole_files_or_the_old_and_one_line(name, trials):
    folder, found = trials
    mine = [trial for trial in found if trial["name"] == name]
    assert len(mine) == N_MOMENTS + 1
    assert mine[0]["code"] == 0
    for trial in mine:
        place = folder / trial["place"]
        shown = place.with_suffix(".stderr").read_text()
        assert "Traceback" not in shown, (trial, shown)
        assert trial["code"] in {2: (130, 0), 15: (143, 0), None: (0,)}[trial["number"]], trial
        what = {130: "interrupted", 143: "terminated"}.get(trial["code"])
        if what:
            assert shown.endswith(f"meanshift-fast: {what}\n"), (trial, shown)
        others = {path.name for path in place.iterdir()} - {"t.npy", "t.csv", "t.png", "old.model"}
        assert others == set(delivered.OUTPUTS), trial
        written = [path for path in map(place.joinpath, others) if path.read_bytes() != b"old"]
        for path in written:
            READERS[path.suffix](path)
        if trial["code"] == 0:
            named = {word for word in delivered.COMMANDS[name].split() if word in others}
            assert {path.name for path in written} == named, trial
