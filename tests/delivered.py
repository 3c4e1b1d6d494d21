"""Signals at many moments of every command: the script that `test_signals` runs, named as it is.

The package is imported once, as the command imports it; each trial is a fork, which runs a command
in a folder of its own and gets its signal after a share of the time that the command takes.

    meanshift-fast FOLDER N_MOMENTS            moments of each command, one signal by turns
    meanshift-fast FOLDER --every SECONDS NAME one command, a moment so often, both signals
"""

import gc
import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
import traceback
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from meanshift_fast._cli.main import main  # first: it sets the handlers

COMMANDS = {
    "cluster": "cluster t.npy -o o.npy --centers c.csv --model m.model --bandwidth 1",
    "cluster csv": "cluster t.csv -o o.parquet --keep x --bandwidth 1 --bin-seeding",
    "stream": "cluster t.npy --stream -o o.npy --centers c.csv --bandwidth 1",
    "predict": "predict old.model t.npy -o o.csv",
    "bandwidth": "bandwidth t.npy",
    "trace": "trace t.npy --row 3 --bandwidth 1",
    "segment": "segment t.png -o o.npy --regions c.csv --spatial-radius 2 --range-radius 20",
    "info": "info --json",
    "warmup": "warmup",
}
# What takes long is tried at night only: the demo, and a command that a signal alone ends.
LONG_COMMANDS = {
    "demo": "demo --output o.png",
    "explore": "explore t.npy --no-browser --bandwidth 1",
}
MAX_TRIALS_SECONDS = 240.0  # of one command; where it takes more than 3.5 s, moments are rarer
EXPLORE_SECONDS = 3.0  # of its life; its page is served by then
OUTPUTS = ("o.npy", "o.csv", "o.parquet", "o.png", "c.csv", "m.model")


def prepare(folder):
    """Write the inputs, and old files under the names of outputs."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    X = rng.integers(0, 4, (3000, 1)) * 5 + rng.standard_normal((3000, 2))
    np.save(folder / "t.npy", X)
    np.savetxt(folder / "t.csv", X, delimiter=",", header="x,y", comments="")
    Image.fromarray(rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)).save(folder / "t.png")
    for name in OUTPUTS:
        (folder / name).write_text("old")


def begun(folder, command):
    """Fork a process that runs a command in a folder, with its streams in files."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.chdir(folder)
        for stream, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(folder.with_suffix(f".{name}"), os.O_CREAT | os.O_WRONLY), stream)
        try:
            code = main(command.split())
        except SystemExit as ended:
            code = ended.code
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def trial(folder, command, after, number):
    """Run a command, and send it a signal after some seconds; return its exit code and time."""
    shutil.copytree(folder.parent / "inputs", folder)
    if "old.model" in command:
        (folder / "old.model").write_bytes((folder.parent / "old.model").read_bytes())
    start = time.perf_counter()
    pid = begun(folder, command)
    if number is not None:
        time.sleep(max(after, 0.001))
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), time.perf_counter() - start


def moments(seconds, n_moments, every):
    """The moments of a command, each with a signal."""
    both = (signal.SIGINT, signal.SIGTERM)
    if every is None:
        return [(seconds * (i + 0.5) / n_moments, both[i % 2]) for i in range(n_moments)]
    apart = max(every, seconds**2 / MAX_TRIALS_SECONDS)  # n moments, twice, take n * seconds
    return [(after, number) for after in np.arange(apart, seconds, apart) for number in both]


def trials_of(root, n_moments, every, name):
    """What each trial of a command did; the first has no signal where it ends without one."""
    command, folder = (COMMANDS | LONG_COMMANDS)[name], name.replace(" ", "_")
    after, number = (EXPLORE_SECONDS, signal.SIGINT) if name == "explore" else (0.0, None)
    place = f"{folder}_whole"
    code, seconds = trial(root / place, command, after, number)
    found = [{"name": name, "number": number, "after": after, "code": code, "place": place}]
    for moment, (after, number) in enumerate(moments(seconds, n_moments, every)):
        place = f"{folder}_{moment}"
        code, _ = trial(root / place, command, after, number)
        found.append({"name": name, "number": number, "after": after, "code": code, "place": place})
    return found


def sweep(root, names, n_moments=None, every=None):
    """What the trials of some commands did, of two commands at a time."""
    prepare(root / "inputs")
    shutil.copytree(root / "inputs", root / "model")
    made = "cluster t.npy --model ../old.model --bandwidth 1 --bin-seeding"
    for command in ("warmup", made):  # nothing is left to compile
        os.waitpid(begun(root / "model", command), 0)
    gc.freeze()  # a collection in a fork would copy all that is imported
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(partial(trials_of, root, n_moments, every), names, chunksize=1)


if __name__ == "__main__":
    root, *how = sys.argv[1:]
    if how[0] == "--every":
        trials = sweep(Path(root).resolve(), how[2:], every=float(how[1]))
    else:
        trials = sweep(Path(root).resolve(), list(COMMANDS), n_moments=int(how[0]))
    print(json.dumps([found for of_command in trials for found in of_command]))
