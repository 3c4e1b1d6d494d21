"""Importing does nothing, a read-only install works, and the caller's arrays are the caller's."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import meanshift_fast
import samples
from meanshift_fast import MeanShift, estimate_bandwidth, get_bin_seeds, mean_shift, trace
from served import run_script

PACKAGE = Path(meanshift_fast.__file__).parent


# What an import does: run in an interpreter of its own.
IMPORTED = """
import json
import sys
import threading
import sklearn.cluster
imported = set(sys.modules)  # scikit-learn brings pandas, and that pyarrow, where installed
import meanshift_fast
brought = set(sys.modules) - imported
import meanshift_fast.trace
brought_with_traces = set(sys.modules) - imported
import numba
from numba.core.registry import CPUDispatcher

modules = [m for name, m in sys.modules.items() if name.startswith("meanshift_fast")]
values = [getattr(k, "spread", k) for m in modules for k in vars(m).values()]
kernels = {k for k in values if isinstance(k, CPUDispatcher)}
compiled = [str(kernel) for kernel in kernels if kernel.signatures]
try:
    layer = numba.threading_layer()
except ValueError as error:
    layer = str(error)
print(json.dumps([len(kernels), compiled, layer, threading.active_count(), sorted(brought),
                  sorted(brought_with_traces)]))
"""


@pytest.fixture(scope="module")
def imported():
    """What an import of the package did."""
    names = ("n_kernels", "compiled", "layer", "n_threads", "brought", "brought_with_traces")
    environment = {"PYTHONPATH": str(PACKAGE.parent), "NUMBA_DISABLE_JIT": "0"}
    run = subprocess.run(
        [sys.executable, "-c", IMPORTED],
        env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True, timeout=600,
    )  # fmt: skip
    return SimpleNamespace(**dict(zip(names, json.loads(run.stdout), strict=True)))


def test_importing_compiles_nothing_and_starts_no_thread(imported):
    assert imported.n_kernels > 5
    assert imported.compiled == []
    assert "not initialized" in imported.layer
    assert imported.n_threads == 1


def test_importing_the_package_imports_nothing_optional(imported):
    optional = (
        "matplotlib",
        "pyarrow",
        "dask",
        "tqdm",
        "pandas",
        "psutil",
        "PIL",
        "skimage",
        "shtab",
        "bokeh",
        "tornado",
        "distributed",
        "IPython",
    )
    wings = ("meanshift_fast._pictures", "meanshift_fast._files", "meanshift_fast._explore")
    assert "meanshift_fast.estimator" in imported.brought
    assert [name for name in imported.brought if name.startswith((*optional, *wings))] == []
    packages = {name.partition(".")[0] for name in imported.brought_with_traces}
    assert not packages & {*optional}


@pytest.fixture
def run(executable):
    """Runs a script with the package from some place, imported anew there and from there."""

    def run(script, *, place=PACKAGE.parent, **environment):
        script = f"import os, sys\nsys.path.insert(0, os.getcwd())\nforget_package()\n{script}"
        return run_script(executable, script, cwd=place, environment=environment)

    return run


def test_all_public_names_are_there_and_listed():
    names = ["MeanShift", "estimate_bandwidth", "get_bin_seeds", "mean_shift", "trace", "warm_up"]
    assert set(names) <= set(meanshift_fast.__all__)
    for name in meanshift_fast.__all__:
        assert getattr(meanshift_fast, name) is not None
    assert (PACKAGE / "py.typed").is_file()


def test_a_warm_up_leaves_nothing_for_the_first_fit_to_compile(run):
    run(
        """
import sys
import warnings
import numpy as np
from numba.core.registry import CPUDispatcher
import meanshift_fast
from meanshift_fast.datasets import china_pixels

def compiled():
    modules = [m for name, m in sys.modules.items() if name.startswith("meanshift_fast")]
    values = [getattr(k, "spread", k) for m in modules for k in vars(m).values()]
    kernels = {k for k in values if isinstance(k, CPUDispatcher)}
    return {(k.__module__, k.__name__): len(k.signatures) for k in kernels}

warnings.filterwarnings("ignore", "Binning data failed")
meanshift_fast.warm_up()
warm = compiled()
assert sum(warm.values()) > 5, warm

rng = np.random.default_rng(0)
for X in (
    rng.normal(size=(300, 2)),
    rng.normal(size=(9000, 3)),
    rng.normal(size=(300, 40)),
    rng.normal(size=(300, 2)).astype(np.float32),
    rng.integers(0, 9, (300, 2)),
    np.asfortranarray(rng.normal(size=(300, 2))),
):
    for params in ({}, {"bandwidth": 1.0, "bin_seeding": True}, {"bandwidth": 1, "seeds": X[:5]}):
        meanshift_fast.MeanShift(cluster_all=False, **params).fit(X).predict(X)
assert compiled() == warm, set(compiled().items()) - set(warm.items())

pixels = china_pixels()[0]
for X, bandwidth in [
    (pixels, 25.0),
    (pixels[:150_000].astype(np.uint8), 25.0),
    *[(rng.normal(size=(280_000, n_features)), 2.5) for n_features in (2, 3, 4)],
    (rng.normal(size=(280_000, 2)).astype(np.float32), 2.0),
]:
    model = meanshift_fast.MeanShift(bandwidth=bandwidth, bin_seeding=True).fit(X)
    assert compiled() == warm, (X.shape, set(compiled().items()) - set(warm.items()))
    model.predict(X), model.predict(X[:9])
    assert compiled() == warm, (X.shape, set(compiled().items()) - set(warm.items()))

rows, others = rng.normal(size=(2, 3000, 2))
for bin_seeding in (False, True):
    model = meanshift_fast.MeanShift(bandwidth=1.0, bin_seeding=bin_seeding, assign="basin")
    model.fit(rows).predict(rows)
    model.predict(others)
    model.fit(rows, sample_weight=np.abs(others[:, 0])).predict(others)
meanshift_fast.MeanShift(bandwidth=1.0).fit(rows, sample_weight=np.abs(others[:, 0]))
assert compiled() == warm, set(compiled().items()) - set(warm.items())
""",
        NUMBA_DISABLE_JIT="0",
        NUMBA_NUM_THREADS="2",  # the bins of large tables are joined where there are several
    )


@pytest.fixture
def read_only_install(tmp_path):
    """A copy of the package with no place for a cache, not even for root.

    Where Numba would make a folder there is a plain file: beside the modules, and as the home
    and the cache folder of the user.
    """
    shutil.copytree(PACKAGE, tmp_path / "meanshift_fast", ignore=lambda *_: ["__pycache__"])
    (tmp_path / "meanshift_fast" / "__pycache__").write_text("a file, not a folder")
    (tmp_path / "home").write_text("a file, not a folder")
    (tmp_path / "meanshift_fast" / "bare.py").write_text(
        "import numba\n\n@numba.njit(cache=True)\ndef kernel():\n    return 1\n"
    )
    home = str(tmp_path / "home")
    return {
        "place": tmp_path,
        **dict.fromkeys(("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "USERPROFILE"), home),
        "NUMBA_CACHE_DIR": "",
    }


def test_a_read_only_install_imports_and_runs(read_only_install, run):
    told = run(
        """
import meanshift_fast
from meanshift_fast import get_bin_seeds
print(meanshift_fast.__file__)

try:
    import meanshift_fast.bare
except RuntimeError as error:
    assert "no locator available" in str(error)
else:
    raise AssertionError("there is a place for a cache after all")

# A fit has the same decorators, and compiles for fifteen seconds where this takes three.
print(get_bin_seeds([[1, 1], [2, 1], [1, 0], [4, 7]], 2.0).tolist())
""",
        NUMBA_DISABLE_JIT="0",
        **read_only_install,
    )
    assert told.splitlines() == [
        str(read_only_install["place"] / "meanshift_fast" / "__init__.py"),
        "[[0.0, 0.0], [2.0, 0.0], [4.0, 8.0]]",
    ]


# The caller's arrays.

USES = {
    "fit": lambda X: MeanShift(bandwidth=1.0).fit(X).predict(X),
    "fit, every row its own cluster": lambda X: MeanShift(bandwidth=1e-9).fit(X).predict(X),
    "fit, bins": lambda X: MeanShift(bandwidth=1.0, bin_seeding=True).fit(X),
    "fit, estimated": lambda X: MeanShift().fit(X),
    "fit, rows as seeds": lambda X: MeanShift(bandwidth=1.0, seeds=X, max_iter=0).fit(X),
    "mean_shift": lambda X: mean_shift(X, bandwidth=1.0),
    "estimate_bandwidth": lambda X: estimate_bandwidth(X, n_samples=20),
    "get_bin_seeds": lambda X: get_bin_seeds(X, 1.0),
    "trace": lambda X: trace(X, X[:2], bandwidth=1.0),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_input_is_never_written_to(use, dtype):
    X = samples.scattered(60, 2, side=40).astype(dtype)
    before = X.tobytes()
    use(X)
    assert X.tobytes() == before
    X.flags.writeable = False
    use(X)


@pytest.mark.parametrize(
    "params",
    [
        {"bandwidth": 1.0},
        {"bandwidth": 1e-9},
        {"bandwidth": 1.0, "max_iter": 0},
        {"bandwidth": 1.0, "bin_seeding": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("give_seeds", [False, True])
def test_results_are_no_views_of_the_input(params, give_seeds):
    X = samples.blobs(60, 2)
    seeds = X[:10].copy() if give_seeds else None
    model = MeanShift(seeds=seeds, **params).fit(X)
    found = [model.cluster_centers_, model.labels_, model.mode_weight_, model.history_]
    kept = [array.copy() for array in found]
    labels = model.predict(samples.blobs(60, 2))
    X[:] = -900.0
    if give_seeds:
        seeds[:] = -900.0
    for array, copy in zip(found, kept, strict=True):
        np.testing.assert_array_equal(array, copy)
    np.testing.assert_array_equal(model.predict(samples.blobs(60, 2)), labels)


def test_a_story_is_no_view_of_its_start():
    X = samples.blobs(60, 2)
    starts = X[:3].copy()
    story = trace(X, starts, bandwidth=1.0)
    kept = [positions.copy() for positions in story.positions]
    starts[:] = -900.0
    for positions, copy in zip(story.positions, kept, strict=True):
        np.testing.assert_array_equal(positions, copy)


def test_each_cluster_centre_may_be_changed_alone():
    model = MeanShift(bandwidth=1e-9).fit(samples.blobs(20, 2))
    assert model.cluster_centers_.flags.writeable
    assert model.labels_.flags.writeable
