"""scikit-learn's own tests of mean shift pass, unchanged, against our four names."""

import ast
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest
import sklearn

from served import run_script

SUITE = "sklearn.cluster.tests.test_mean_shift"
FUNCTIONS = "sklearn.tests.test_public_functions"  # which name functions of all modules
NAMED = "test_mean_shift or estimate_bandwidth or mean_shift or get_bin_seeds"  # all of SUITE
NAMES = ("MeanShift", "mean_shift", "estimate_bandwidth", "get_bin_seeds")


def names_of_tests(module):
    """The names of a module's tests, those that take `global_dtype` twice: it is one of two."""
    functions = [
        node
        for node in ast.parse(Path(find_spec(module).origin).read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    return [
        function.name
        for function in functions
        for _ in range(1 + ("global_dtype" in [argument.arg for argument in function.args.args]))
    ]


RUN = """
import sys
import pytest

sys.path.insert(0, sys.argv[1])  # of `sklearn_names`
sys.exit(pytest.main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def n_passed(tmp_path_factory, executable):
    """Run scikit-learn's tests against our names; how often each passed."""
    folder = tmp_path_factory.mktemp("suite")
    (folder / "pytest.ini").write_text("[pytest]\n")
    report = folder / "report.xml"
    run_script(
        executable, RUN, Path(__file__).parent, "-c", folder / "pytest.ini",
        *("-p", "sklearn_names", "-p", "no:cacheprovider"),
        *("--pyargs", SUITE, FUNCTIONS, "-k", NAMED, f"--junitxml={report}"),
        environment={"SKLEARN_RUN_FLOAT32_TESTS": "1"}, cwd=folder,
    )  # fmt: skip
    suite = ElementTree.parse(report).find("testsuite")
    assert suite.attrib["failures"] == suite.attrib["errors"] == suite.attrib["skipped"] == "0"
    return Counter(case.attrib["name"].partition("[")[0] for case in suite.iter("testcase"))


def test_scikit_learns_own_test_file_passes_whole(n_passed):
    least = Counter(names_of_tests(SUITE))
    assert least.total() > 15
    assert least <= n_passed


def test_scikit_learns_test_of_public_functions_passes(n_passed):
    assert sum(n_passed[name] for name in names_of_tests(FUNCTIONS)) >= 2


def test_no_other_test_of_scikit_learn_mentions_our_names():
    tests = Path(sklearn.__file__).parent.rglob("test_*.py")
    mentioned = {path.name for path in tests if any(name in path.read_text() for name in NAMES)}
    assert mentioned <= {"test_mean_shift.py", "test_public_functions.py"}
