"""Free memory: the machine's, or less in a container, of either version of control groups."""

from types import SimpleNamespace

import psutil
import pytest

from meanshift_fast._cli.memory import free_memory

MACHINE = 10_000


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty file system on a machine with some memory."""
    (tmp_path / "proc/self").mkdir(parents=True)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=MACHINE))
    return tmp_path


def is_in(root, *lines):
    (root / "proc/self/cgroup").write_text("".join(f"{line}\n" for line in lines))


def group(root, path, limit, used, files=0, *, version=2):
    folder = root / "sys/fs/cgroup" / path
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current", "inactive_file")
    if version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {files}\n")


@pytest.mark.jitless
def test_without_groups_it_is_the_machine_s(root):
    assert free_memory(root) == MACHINE
    is_in(root, "0::/")
    assert free_memory(root) == MACHINE
    assert free_memory() is not None


@pytest.mark.jitless
def test_a_container_has_what_its_limit_leaves(root):
    is_in(root, "0::/")
    group(root, ".", 3000, 1000)
    assert free_memory(root) == 2000
    group(root, ".", "max", 1000)
    assert free_memory(root) == MACHINE
    group(root, ".", 3000, 4000)
    assert free_memory(root) == 0


@pytest.mark.jitless
def test_the_least_of_the_groups_above_counts(root):
    is_in(root, "0::/a/b")
    group(root, "a", 3000, 1000)
    group(root, "a/b", 9000, 1000)
    assert free_memory(root) == 2000
    group(root, "a/b", 1500, 1000)
    assert free_memory(root) == 500


@pytest.mark.jitless
def test_files_that_can_be_read_again_are_room(root):
    is_in(root, "0::/")
    group(root, ".", 3000, 2900, files=2500)
    assert free_memory(root) == 2600


@pytest.mark.jitless
def test_groups_of_version_1_count_too_and_paths_of_the_host_lead_to_the_topmost(root):
    is_in(root, "3:cpu,cpuacct:/", "4:memory:/host/deep", "0::/")
    group(root, "memory", 3000, 2900, files=400, version=1)
    assert free_memory(root) == 500
    group(root, "memory/host/deep", 1000, 900, version=1)
    assert free_memory(root) == 100
