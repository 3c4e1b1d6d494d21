"""Under each threading layer, four fits at once and children of every kind: right answers, no end.

Each layer has a process, which Numba believes has eight processors.
"""

import json
import os
import platform
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import forks
import layers
import meanshift_fast

PROCESSORS = 8  # as Numba is told
TBB = sys.platform == "linux" and platform.machine() == "x86_64"  # where the extra `test` has it
OMP = find_spec("numba.np.ufunc.omppool") is not None  # not where Numba was built without
LAYERS = [*["omp"] * OMP, "workqueue", *["tbb"] * TBB]
FORKED = ["fork", "fork, twice"]
FRESH = ["forkserver", "spawn"]  # import everything anew, whatever layer the parent runs
CHILDREN = {layer: [*FORKED, *(FRESH if layer == LAYERS[0] else [])] for layer in LAYERS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with what each layer's process wrote."""
    folder = tmp_path_factory.mktemp("layers")
    # pip puts TBB into the environment's lib, where Numba's look-up does not go by itself.
    paths = [str(Path(sys.prefix, "lib")), os.environ.get("LD_LIBRARY_PATH", "")]
    places = [str(Path(meanshift_fast.__file__).parents[1]), str(Path(__file__).parent)]
    run = subprocess.run(
        [sys.executable, layers.__file__, folder, json.dumps(CHILDREN)],
        env=os.environ
        | {
            "NUMBA_NUM_THREADS": str(PROCESSORS),
            "OMP_WAIT_POLICY": "passive",  # eight that spin on two are slow
            "LD_LIBRARY_PATH": os.pathsep.join(filter(None, paths)),
            "PYTHONPATH": os.pathsep.join(places),
        },
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def said(folder):
    """For each layer what its process said, step by step."""
    said = {}
    for layer in LAYERS:
        # Under "tbb" Numba tells on stdout that other threads were there at a fork.
        lines = (folder / layer).read_text().splitlines()
        said[layer] = dict(json.loads(line) for line in lines if line.startswith("["))
    return said


@pytest.mark.parametrize("layer", LAYERS)
def test_the_layer_is_the_one_that_was_asked_for(said, layer):
    assert said[layer]["layer"] == layer


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_and_number_of_threads_gives_the_same_bits(said, layer):
    assert said[layer]["here"] == said[layer]["here, after"] == layers.digests()


@pytest.mark.parametrize("layer", LAYERS)
def test_four_fits_at_once_answer_as_one_after_the_other(said, layer):
    # Numba ends the process under "workqueue" where two threads enter it at once.
    assert said[layer]["at once"] == said[layer]["here"] | {"threads": PROCESSORS}


@pytest.mark.parametrize(
    ("layer", "method"), [(layer, method) for layer in LAYERS for method in CHILDREN[layer]]
)
def test_children_of_a_process_that_has_fitted_fit_and_predict(said, layer, method):
    # Numba ends a forked child under "omp" at its first parallel kernel.
    exitcode, (one_by_one, at_once) = said[layer][method]
    assert exitcode == 0
    assert one_by_one == said[layer]["here"]
    assert {name: at_once[name] for name in one_by_one} == one_by_one


@pytest.mark.parametrize("layer", LAYERS)
def test_four_fits_at_once_run_on_no_more_threads_than_there_are_processors(said, layer):
    # Each with threads of its own, as GNU OpenMP gives them, would be four times as many.
    if "running" in said[layer]:
        assert 1 <= said[layer]["running"] <= PROCESSORS
    else:
        assert not os.path.isdir("/proc/self/task")


def test_children_that_are_forked_while_eight_threads_fit_do_not_wait_for_a_lock(folder):
    assert json.loads((folder / "forks").read_text()) == [0] * forks.N_FORKS
