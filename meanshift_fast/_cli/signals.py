"""Signals that end the command without a traceback, from before the imports that take a second.

Handlers are set only in the process of the command itself. Until the command begins, a signal ends
the process at once; after that, files are cleaned up first.
"""

import os
import signal
import sys
from contextlib import suppress
from typing import Any, NoReturn

# What a terminal sends that is closed; Windows has no such signal.
_ENDS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def end_now(number: int, _: Any) -> None:
    """Print a line and end the process: a module being imported could catch an exception."""
    _print_note("interrupted" if number == signal.SIGINT else "terminated")
    os._exit(128 + number)


def unwind(number: int, _: Any) -> NoReturn:
    """Print a line and unwind the stack, so that files are cleaned up; ignore further signals."""
    signal.signal(number, signal.SIG_IGN)
    _print_note("terminated")
    raise SystemExit(128 + number)


def begin() -> None:
    """Let signals raise exceptions: from now on there may be files to clean up."""
    if signal.getsignal(signal.SIGINT) is end_now:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in _ENDS:
        if signal.getsignal(number) is end_now:
            signal.signal(number, unwind)


def _print_note(what: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        os.write(2, f"\nmeanshift-fast: {what}\n".encode())


def _is_command() -> bool:
    """Whether this process is the command, installed or as `python -m meanshift_fast`."""
    name = os.path.basename(sys.argv[0] if sys.argv else "")
    if name == "-m":  # until the module is found; its name is before the arguments
        return sys.orig_argv[-len(sys.argv)].removeprefix("-m") == "meanshift_fast"
    return name in ("meanshift-fast", "meanshift-fast.exe")


if _is_command():
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end_now)
    for _number in _ENDS:
        if signal.getsignal(_number) is signal.SIG_DFL:
            signal.signal(_number, end_now)
