"""scikit-learn's own tests of mean shift pass, unchanged, against our four names."""

import ast
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import sklearn

import meanshift_fast

SUITE = "sklearn.cluster.tests.test_mean_shift"
FUNCTIONS = "sklearn.tests.test_public_functions"  # which name functions of all modules
NAMES = ("MeanShift", "mean_shift", "estimate_bandwidth", "get_bin_seeds")


def fewest_tests(path):
    """Tests in the file, those that take `global_dtype` counted for float32 and float64."""
    functions = [
        node
        for node in ast.parse(Path(path).read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    names = [[argument.arg for argument in function.args.args] for function in functions]
    return sum(2 if "global_dtype" in arguments else 1 for arguments in names)


def counts_of(folder, *asked):
    """Run some of scikit-learn's tests against our names; the counts of the report."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    report = folder / "report.xml"
    places = [Path(__file__).parent, Path(meanshift_fast.__file__).parents[1]]
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-c", folder / "pytest.ini"),
            *("-p", "sklearn_names", "-p", "no:cacheprovider"),
            *("--pyargs", *asked, f"--junitxml={report}"),
        ],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(map(str, places)), "SKLEARN_RUN_FLOAT32_TESTS": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    counts = ElementTree.parse(report).find("testsuite").attrib
    assert counts["failures"] == counts["errors"] == counts["skipped"] == "0"
    return int(counts["tests"])


def test_scikit_learns_own_test_file_passes_whole(tmp_path):
    assert counts_of(tmp_path, SUITE) >= fewest_tests(find_spec(SUITE).origin) > 15


def test_scikit_learns_test_of_public_functions_passes(tmp_path):
    named = "estimate_bandwidth or mean_shift or get_bin_seeds"
    assert counts_of(tmp_path, FUNCTIONS, "-k", named) >= 2


def test_no_other_test_of_scikit_learn_mentions_our_names():
    tests = Path(sklearn.__file__).parent.rglob("test_*.py")
    mentioned = {path.name for path in tests if any(name in path.read_text() for name in NAMES)}
    assert mentioned <= {"test_mean_shift.py", "test_public_functions.py"}
