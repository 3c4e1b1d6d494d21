"""What an installation gets: the declared needs, the files in the wheel, the README's commands."""

import os
import re
import shutil
import tarfile
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from pathspec import GitIgnoreSpec

import meanshift_fast

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]


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
    assert everything.extras == set(EXTRAS) - {"all", "test", "docs", "bench"}


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


# What is built. Everything in these folders that git does not ignore, and these files.

FOLDERS = [
    folder.strip("/")
    for folder in PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
]
BESIDE = {".gitignore", "LICENSE", "README.md", "pyproject.toml"}
IGNORED = GitIgnoreSpec.from_lines((ROOT / ".gitignore").read_text().splitlines())
FILES = BESIDE | {
    name
    for folder in FOLDERS
    for path in [ROOT / folder, *(ROOT / folder).rglob("*")]
    if path.is_file() and not IGNORED.match_file(name := path.relative_to(ROOT).as_posix())
}
NAME = f"meanshift_fast-{meanshift_fast.__version__}"


def build(builder, tree, folder):
    (built,) = builder(str(tree)).build(directory=str(folder), versions=["standard"])
    return Path(built)


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path):
    with zipfile.ZipFile(build(WheelBuilder, ROOT, tmp_path)) as files:
        held = files.namelist()
        about = files.read(f"{NAME}.dist-info/WHEEL").decode().splitlines()
    package = {name for name in FILES if name.startswith("meanshift_fast/")}
    assert "meanshift_fast/py.typed" in package
    told = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    assert sorted(held) == sorted(package | {f"{NAME}.dist-info/{file}" for file in told})
    assert {"Root-Is-Purelib: true", "Tag: py3-none-any"} <= set(about)


def test_the_sdist_holds_the_tree_and_nothing_else(tmp_path):
    with tarfile.open(build(SdistBuilder, ROOT, tmp_path)) as files:
        held = [member.name for member in files.getmembers() if not member.isdir()]
    assert sorted(held) == sorted(f"{NAME}/{name}" for name in FILES | {"PKG-INFO"})


@pytest.mark.parametrize("builder", [WheelBuilder, SdistBuilder])
@pytest.mark.parametrize("epoch", [None, "1700000000"])
def test_two_builds_are_equal_to_the_byte(builder, epoch, tmp_path, monkeypatch):
    """Of trees that differ in place, in times, in the order of making and in who may read."""
    if epoch:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    else:
        monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    built = []
    for number, names in enumerate([sorted(FILES), sorted(FILES, reverse=True)]):
        tree = tmp_path / f"tree{number}" / ("deeper" * number)
        for name in names:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
            os.utime(tree / name, (1_500_000_000 + number, 1_600_000_000 + number))
            (tree / name).chmod(0o600 if number else 0o644)
        built.append(build(builder, tree, tmp_path / str(number)).read_bytes())
    assert built[0] == built[1]
