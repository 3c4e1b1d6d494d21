"""What must be set before anything imports SciPy, and how hypothesis draws its examples."""

import atexit
import gc
import importlib.util
import os
import shutil
import signal
import sys
import tempfile

import pytest

# scikit-learn skips its check of array API input unless SciPy was imported with this switch on.
os.environ["SCIPY_ARRAY_API"] = "1"
# GNU OpenMP's threads spin while they wait, on a busy machine at the cost of those they wait for.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# With TBB, Numba's first choice, each parallel loop leaves an arena where processors are busy, and
# each later loop walks past them (numba issue 10556): on a loaded machine a loop of 100 items took
# 306 us, after 2,000 more of them 1,436, and after 4,000 3,987; with GNU OpenMP 17 us, always.
# test_layers runs all layers.
os.environ.setdefault("NUMBA_THREADING_LAYER_PRIORITY", "omp tbb workqueue")
# Processes that may keep no byte code compile all that they import, on each start. They keep it;
# where packages have none beside them, all of it lies in a folder apart, which is not read then.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    sys.dont_write_bytecode = False
    if not os.path.exists(importlib.util.cache_from_source(pytest.__file__)):
        sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, sys.pycache_prefix, ignore_errors=True)

import numba
from hypothesis import HealthCheck, settings

from meanshift_fast._index import thresholds
from served import served

# While tests are collected: what is imported stays. Not disabled, as Dask notes on import whether
# it is, and leaves it so. While they run, collections are rarer than Python's: those of 5,000 young
# objects took 9 s of a run, and half a million objects that were imported are looked through in
# each of the oldest generation, for 0.4 s.
gc.set_threshold(1_000_000)
THRESHOLDS = 50_000, 20, 50

# Whoever runs the tests in the background ignores signals, and would have all children do so.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(
            _number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL
        )

# Always the same examples; no deadline, because the first of them compiles, and no look at how long
# they take to be drawn, which depends on what else runs. Interpreted kernels are a hundred times
# slower, and get fewer.
settings.register_profile(
    "bounded",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=10 if numba.config.DISABLE_JIT else 120,
)
settings.load_profile("bounded")


@pytest.fixture(autouse=True)
def _close_figures():
    """No figure of one test counts among the twenty of which matplotlib warns in another."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture(scope="session")
def executable():
    """The command, which starts without the 2.5 seconds of its imports."""
    with served() as path:
        yield path


# Files that begin first, each in one of the processes: one compiles most kernels while another has
# kernels of its own; then those that take long, so that both processes end at the same time. Those
# whose processes load kernels come after those that compile them.
FIRST = [
    f"test_{name}.py"
    for name in (
        "sklearn_checks", "numba_interfaces", "disk_cache", "gaussian", "image", "chunks", "plot",
        "parity", "stream", "image_tiles", "explore", "leaks", "layers", "notebooks", "signals",
        "demo", "manual", "cli", "install", "products", "filled_columns", "dask", "soak",
    )
]  # fmt: skip


def pytest_collection_modifyitems(items):
    """Order the files."""
    place = {name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


def pytest_ignore_collect(collection_path, config):
    """Where no browser is asked for, Selenium need not be imported."""
    without = "not browser" in config.option.markexpr
    return True if without and collection_path.name == "test_explore_browser.py" else None


def pytest_collection_finish(session):
    """Collect garbage again."""
    gc.set_threshold(*THRESHOLDS)


@pytest.fixture(scope="module")
def small_fits_on_threads():
    """Small tables, of which one thread makes all, are fitted on as many as larger ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thresholds, "MAX_ONE_THREAD_ROW_VALUES", 0)
        yield
