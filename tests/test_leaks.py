"""What a fit touches, keeps and gives back: no input but by reference, and all it does not keep."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from meanshift_fast import MeanShift
from samples import blobs

COMBINATIONS = pytest.mark.parametrize(
    ("kernel", "assign"),
    [(kernel, assign) for kernel in ("flat", "gaussian") for assign in ("nearest", "basin")],
)


@COMBINATIONS
@pytest.mark.parametrize("seeding", ["rows", "bins", "seeds"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weights", ["none", "some", "some zero"])
def test_the_input_is_not_written_to_and_copies_of_a_model_do_not_keep_it(
    kernel, assign, seeding, dtype, weights
):
    X = blobs(200, 2).astype(dtype)
    given = {
        "X": X,
        "weights": 1.0 + np.arange(200) % 2 if weights == "some" else np.arange(200.0) % 2,
        "seeds": X[:20].astype(float),
        "bandwidth": np.array([1.0, 1.5]),
        "new": X + dtype(0.25),
    }
    for array in given.values():
        array.flags.writeable = False
    before = {name: array.tobytes() for name, array in given.items()}
    model = MeanShift(
        bandwidth=given["bandwidth"],
        kernel=kernel,
        assign=assign,
        bin_seeding=seeding == "bins",
        seeds=given["seeds"] if seeding == "seeds" else None,
    ).fit(X, sample_weight=None if weights == "none" else given["weights"])
    made = {"predict": model.predict(X), "predict new": model.predict(given["new"])}
    made |= {
        name: value
        for name, value in vars(copy.copy(model)).items()
        if isinstance(value, np.ndarray) and name not in model.get_params()
    }
    assert {name: array.tobytes() for name, array in given.items()} == before
    assert {"labels_", "cluster_centers_", "bandwidth_", "mode_weight_"} <= made.keys()
    for name, array in made.items():
        for whose, other in given.items():
            assert not np.shares_memory(array, other), f"{name} shares memory with {whose}"
    kept = [name for name, value in vars(model).items() if value is X]
    assert kept == (["_fitted_table"] if assign == "nearest" else [])


def test_a_model_does_not_change_with_the_table_it_was_fitted_on():
    X = blobs(300, 2)
    model = MeanShift(bandwidth=1.0, assign="basin").fit(X)
    rows, labels = X.copy(), model.labels_.copy()
    X[:] = 0.0
    np.testing.assert_array_equal(model.predict(rows), labels)


# One process imports the package; each task is a fork of it, two at a time.
#
# Where Linux joins pages into huge ones, it does so as time goes by, and a process then holds what
# was free between them: 16 MB more after 100 s in which no fit ran, and 0 where it does not. (200
# fits once held 27 MB more on a busy machine.) So the script asks for none, by PR_SET_THP_DISABLE.
# Pages of libraries come and go as Linux sees fit; what leaks is anonymous. And Numba makes an
# arena of TBB for each parallel loop, which stays where processors are busy: 7 kB a loop, on and on
# (numba issues 10225 and 10556), in a bare `prange` too, and none with another threading layer.
TASKS = """
import ctypes, json, multiprocessing, sys
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)
import numpy as np
from meanshift_fast import MeanShift
from meanshift_fast._index import moment_tree as tree, thresholds

thresholds.MAX_ONE_THREAD_ROW_VALUES = 0  # 300 rows on two threads too

def resident(name):
    lines = dict(line.split(":") for line in open("/proc/self/status"))
    return 1024 * int(lines[name].split()[0])

def growths():
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 10, (5, 2))[rng.integers(5, size=300)] + rng.normal(size=(300, 2))
    settings = [
        {"kernel": kernel, "assign": assign, "n_jobs": n_jobs}
        for kernel in ("flat", "gaussian") for assign in ("nearest", "basin") for n_jobs in (1, 2)
    ]
    kept = []

    def fit(number):
        model = MeanShift(bandwidth=1.0, coalesce=0.1, bin_seeding=True, **settings[number % 8])
        model.fit(X).predict(X[:100] + 0.5)

    def floors(leaks):
        # The least that is held in each of three times 80 fits; which ones is all one to a leak.
        held = []
        for number in range(240):
            fit(0 if leaks else number)
            if leaks:
                kept.append(np.ones(50_000))
            held.append(resident("RssAnon"))
        return [min(held[first:first + 80]) for first in (0, 80, 160)]

    # The first fits load kernels and start threads. A leak goes on: the least that is held grows
    # from 80 fits to the next, and from these to the last. What comes late comes once.
    for number in range(40):
        fit(number)
    return [min(np.diff(floors(leaks)).tolist()) for leaks in (False, True)]

def drawn(n, d):
    rng = np.random.default_rng(3)
    centers = rng.uniform(0, 40, (20, d))
    return centers[rng.integers(20, size=n)] + rng.standard_normal((n, d))

def peak(n, d, params):
    if params.pop("few"):
        params["seeds"] = drawn(50, d)
    weighted = params.pop("weighted", False)
    # The small tables compile all that the large one needs.
    medians = tree.MAX_MEDIAN_ROWS
    small = drawn(6000, d)
    for table, tree.MAX_MEDIAN_ROWS in ((small, 0), (small, medians), (drawn(n, d), medians)):
        weights = np.linspace(0.5, 2.0, len(table)) if weighted else None
        open("/proc/self/clear_refs", "w").write("5")
        before = resident("VmRSS")
        MeanShift(**({"max_iter": 2} | params)).fit(table, sample_weight=weights)
    return resident("VmHWM") - before

def run(task):
    return peak(*task) if task else growths()

with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
    print(json.dumps(pool.map(run, json.load(sys.stdin), chunksize=1)))
"""

ROWS, COLUMNS, SEEDS, MEMO = 10, 9, 30, 200  # the manual's bytes a column
PEAK_CASES = {
    "few seeds": (1_000_000, 2, {"few": True}, lambda d: ROWS * d + 30),
    "few seeds, 8 columns": (500_000, 8, {"few": True}, lambda d: ROWS * d + 30),
    "Gaussian": (
        400_000, 8, {"few": True, "kernel": "gaussian"}, lambda d: (ROWS + COLUMNS) * d + 30
    ),
    "weights": (1_000_000, 2, {"few": True, "weighted": True}, lambda d: ROWS * d + 30 + 16),
    "every row": (400_000, 2, {"few": False}, lambda d: (ROWS + SEEDS) * d + 70),
    "basins": (
        400_000, 2, {"few": False, "assign": "basin", "coalesce": 0.01},
        lambda d: (ROWS + SEEDS) * d + 130,
    ),
    "Gaussian basins": (
        200_000, 2,
        {
            "few": False, "kernel": "gaussian", "assign": "basin", "coalesce": 0.01,
            "accuracy": 1e-2,
        },
        lambda d: (ROWS + COLUMNS + SEEDS) * d + 130,
    ),
    "Gaussian, every row": (
        400_000, 1, {"few": False, "kernel": "gaussian", "bandwidth": 1.5, "accuracy": 1e-2},
        lambda d: (ROWS + COLUMNS + SEEDS) * d + 70,
    ),
    "bins, each of a few rows": (
        500_000, 2, {"few": False, "bandwidth": 0.005, "bin_seeding": True},
        lambda d: (ROWS + SEEDS) * d + 70 + 48,
    ),
    "a memo": (
        32_000, 2, {"few": False, "max_iter": 300},
        lambda d: (ROWS + SEEDS + MEMO) * d + 70 + 450,
    ),
    "many columns": (20_000, 64, {"few": False}, lambda d: (ROWS + 48) * d + 70),
}  # fmt: skip


@pytest.fixture(scope="module")
def measured():
    """The growth without and with a leak, and each peak, in bytes."""
    tasks = [
        (n, d, {"bandwidth": 1.5 if d == 2 else 6.0} | params)
        for n, d, params, _ in PEAK_CASES.values()
    ]
    done = subprocess.run(
        [sys.executable, "-c", TASKS],
        input=json.dumps([None, *tasks]),
        cwd=Path(__file__).parent.parent,
        env=os.environ | {"MALLOC_ARENA_MAX": "2", "NUMBA_THREADING_LAYER": "workqueue"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    growths, *peaks = json.loads(done.stdout)
    return dict(zip(["as it is", "with a leak", *PEAK_CASES], [*growths, *peaks], strict=True))


@pytest.mark.parametrize("leaks", [False, True], ids=["as it is", "with a leak of 400 kB a fit"])
def test_memory_does_not_grow_with_the_number_of_fits(leaks, measured):
    growth = measured["with a leak" if leaks else "as it is"]
    assert (growth > 4e6) == leaks, growth  # 50 kB a fit


@pytest.mark.parametrize("name", PEAK_CASES)
def test_the_peak_of_a_fit_is_what_the_readme_says(name, measured):
    n, d, _, bytes_a_row = PEAK_CASES[name]
    peak, most = measured[name], bytes_a_row(d) * n
    assert 0.4 * most < peak < most + 5e6, f"{peak / n:.0f} bytes a row, at most {bytes_a_row(d)}"
