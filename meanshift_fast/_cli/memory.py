"""How much memory is free: on the machine, and in the container that the process may be in.

    /proc/self/cgroup      0::/a/b            version 2: memory.max, memory.current
                           4:memory:/a/b      version 1: memory.limit_in_bytes, ...usage_in_bytes
    /sys/fs/cgroup/a/b -> /sys/fs/cgroup/a -> /sys/fs/cgroup     each with a limit of its own

psutil reports the machine only, also where a container has far less.
"""

from collections.abc import Iterator
from pathlib import Path


def free_memory(root: Path = Path("/")) -> int | None:
    """How many bytes may still be taken; None without psutil, of the extra ``io``.

    The least of the machine's memory and of the room in each control group of the process. ``root``
    is the folder of /proc and /sys.
    """
    try:
        import psutil
    except ImportError:
        return None
    return min([int(psutil.virtual_memory().available), *_rooms(root)])


def _rooms(root: Path) -> Iterator[int]:
    """The room in each group that has a limit; cached files are room."""
    for group, limit, use, again in _groups(root):
        try:
            most, used = int((group / limit).read_text()), int((group / use).read_text())
            lines = (group / "memory.stat").read_text().splitlines()
        except (OSError, ValueError):  # there is no such group, or its limit is "max"
            continue
        counts = dict(line.split(maxsplit=1) for line in lines)
        yield max(most - used + int(counts.get(again, 0)), 0)


def _groups(root: Path) -> Iterator[tuple[Path, str, str, str]]:
    """Each group's folder, up to the topmost, with the files of its limit, its use and its cache.

    In a container the path may be the host's and not exist here; the topmost is then the group.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, kind, path = line.split(":", 2)
        if kind == "":
            top = root / "sys/fs/cgroup"
            names = "memory.max", "memory.current", "inactive_file"
        elif "memory" in kind.split(","):
            top = root / "sys/fs/cgroup/memory"
            names = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        group = top / path.lstrip("/")
        for folder in [group, *group.parents]:
            if folder == top.parent:
                break
            yield folder, *names
