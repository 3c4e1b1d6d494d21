"""scikit-learn's own test file for mean shift passes, unchanged, against our four names."""

import ast
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import meanshift_fast

SUITE = "sklearn.cluster.tests.test_mean_shift"


def fewest_tests(path):
    """Tests in the file, those that take `global_dtype` counted for float32 and float64."""
    functions = [
        node
        for node in ast.parse(Path(path).read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    names = [[argument.arg for argument in function.args.args] for function in functions]
    return sum(2 if "global_dtype" in arguments else 1 for arguments in names)


def test_scikit_learns_own_test_file_passes_whole(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    report = tmp_path / "report.xml"
    places = [Path(__file__).parent, Path(meanshift_fast.__file__).parents[1]]
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-c", tmp_path / "pytest.ini"),
            *("-p", "sklearn_names", "-p", "no:cacheprovider"),
            *("--pyargs", SUITE, f"--junitxml={report}"),
        ],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(map(str, places)), "SKLEARN_RUN_FLOAT32_TESTS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    counts = ElementTree.parse(report).find("testsuite").attrib
    assert counts["failures"] == counts["errors"] == counts["skipped"] == "0"
    assert int(counts["tests"]) >= fewest_tests(find_spec(SUITE).origin) > 15
