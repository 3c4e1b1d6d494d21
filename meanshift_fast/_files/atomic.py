"""Atomic writing: all files of a call are complete under their names, or none is changed.

What is written goes into a file beside the target, and takes its name when it is complete. A full
disk, Ctrl-C or an error before that leaves an old file as it was, and no other file. Of calls at
one time that write one file, one comes last, and its file is whole.
"""

import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from meanshift_fast._jit.deferral import deferred_signals


def real_path(path: Path) -> Path:
    """Follow links; unlike `Path.resolve`, without an error where links form a circle."""
    return Path(os.path.realpath(path))


def check_target(path: Path) -> None:
    """Check before the work that a file can be written after it."""
    folder = real_path(path).parent
    if not folder.is_dir():
        raise NotADirectoryError(f"cannot write {path}: there is no folder {folder}; create it")
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no ordinary file"
        raise FileExistsError(f"cannot write {path}: it is {kind}; choose another name")
    by_effect = os.access in os.supports_effective_ids
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=by_effect):
        raise PermissionError(f"cannot write {path}: the folder {folder} is not open for writing")
    if path.exists() and not os.access(path, os.W_OK, effective_ids=by_effect):
        raise PermissionError(
            f"cannot write {path}: it is not open for writing; choose another name"
        )


def write_whole(writers: Mapping[Path, Callable[[Path], None]]) -> None:
    """Write files, all of them or none.

    For each file, ``write(part)`` writes to another name in the same folder. A link stays a link:
    its target is replaced. A new file keeps the mode of the old one. An OSError begins with
    "cannot write ..."; one that names another file, such as an input that is read meanwhile and is
    gone, stays as it is.
    """
    targets = {path: real_path(path) for path in writers}
    # A name of its own for each call, and short: the target's may be as long as a name can be.
    parts = {path: to.with_name(f".{secrets.token_hex(8)}.part") for path, to in targets.items()}
    try:
        for path, write in writers.items():
            with _named_in_errors(path, parts[path]):
                parts[path].touch(exist_ok=False)
                _copy_mode(targets[path], parts[path])
                write(parts[path])
                _copy_mode(targets[path], parts[path])  # GDAL makes the file anew
        with deferred_signals():
            for path, target in targets.items():
                with _named_in_errors(path, parts[path]):
                    os.replace(parts[path], target)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _copy_mode(target: Path, part: Path) -> None:
    """Give a part the mode of the file that it is to replace, if there is one."""
    if target.exists():  # links that form a circle lead to none
        mode = stat.S_IMODE(target.stat().st_mode)
        if mode != stat.S_IMODE(part.stat().st_mode):  # file systems without modes refuse any
            part.chmod(mode)


@contextmanager
def _named_in_errors(path: Path, part: Path) -> Iterator[None]:
    """Name the file in an OSError, unless it names a file other than the part."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and Path(error.filename) != part:
            raise
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error


def check_source(path: Path) -> None:
    """Check that a path leads to a file or folder; reading a pipe might never end."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if not (path.is_file() or path.is_dir()):
        raise OSError(f"{path} is a pipe or a device; save what it gives to a file, and name that")
