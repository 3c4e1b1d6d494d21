"""What an installation gets: the declared needs, the files in the wheel, the README's commands."""

import re
import tarfile
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement

import meanshift_fast

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
MODULES = {str(path.relative_to(ROOT)) for path in (ROOT / "meanshift_fast").rglob("*.py")}


def names(requirements):
    return {Requirement(requirement).name for requirement in requirements}


def test_the_core_needs_three_packages():
    assert names(PROJECT["dependencies"]) == {"numba", "numpy", "scikit-learn"}


@pytest.mark.parametrize(
    "requirement", sorted({*PROJECT["dependencies"], *(r for e in EXTRAS.values() for r in e)})
)
def test_every_need_has_a_floor_and_no_ceiling(requirement):
    needed = Requirement(requirement)
    bounds = [bound.operator for bound in needed.specifier]
    assert bounds == ([] if needed.name == PROJECT["name"] else [">="])


def test_all_is_every_extra_but_those_for_developers():
    (everything,) = map(Requirement, EXTRAS["all"])
    assert everything.name == PROJECT["name"]
    assert everything.extras == set(EXTRAS) - {"all", "test", "bench"}


def test_the_command_is_a_function():
    module, _, function = PROJECT["scripts"]["meanshift-fast"].partition(":")
    assert callable(getattr(import_module(module), function))


def test_readme_has_its_two_commands():
    blocks = re.findall(
        r"^```sh\n(pip install [^\n]*)\n```$", (ROOT / "README.md").read_text(), re.M
    )
    assert blocks == [
        'pip install ".[all]" && meanshift-fast demo',
        'pip install -e ".[test]" && pytest',
    ]


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path):
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as files:
        held = set(files.namelist())
    about = f"meanshift_fast-{meanshift_fast.__version__}.dist-info"
    assert {name for name in held if not name.startswith(about)} == MODULES | {
        "meanshift_fast/py.typed"
    }
    assert f"{about}/licenses/LICENSE" in held


def test_the_sdist_holds_what_it_takes_to_build_test_and_measure(tmp_path):
    (sdist,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(sdist) as files:
        held = {name.partition("/")[2] for name in files.getnames()}
    tests = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").glob("*.py")}
    bench = {str(path.relative_to(ROOT)) for path in (ROOT / "bench").glob("*.py")}
    rest = {"LICENSE", "README.md", "pyproject.toml", ".ci/run", "meanshift_fast/py.typed"}
    assert MODULES | tests | bench | rest <= held
    assert not [name for name in held if "__pycache__" in name or name.startswith(".git/")]
