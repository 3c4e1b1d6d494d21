"""Signals that end the command, from before the imports that take a second: never a traceback.

Only in the process of the command itself. While nothing has begun that would need an end, it is
gone at once; later files are cleaned up on the way out. Whoever imports the package elsewhere has
his own say about signals.
"""

import os
import signal
import sys
from contextlib import suppress
from typing import Any, NoReturn

# What a terminal sends that is closed; Windows has no such signal.
_ENDS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def leave(number: int, _: Any) -> None:
    """Say so and be gone; no exception, which a half-imported module might take for its own."""
    _tell("interrupted" if number == signal.SIGINT else "terminated")
    os._exit(128 + number)


def unwind(number: int, _: Any) -> NoReturn:
    """Say so and clean up, however often one is told to end."""
    signal.signal(number, signal.SIG_IGN)
    _tell("terminated")
    raise SystemExit(128 + number)


def begin() -> None:
    """Let signals raise exceptions: from here on there may be files to clean up."""
    if signal.getsignal(signal.SIGINT) is leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in _ENDS:
        if signal.getsignal(number) is leave:
            signal.signal(number, unwind)


def _tell(what: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        os.write(2, f"\nmeanshift-fast: {what}\n".encode())


def _is_command() -> bool:
    """Whether this process is the command, installed or as `python -m meanshift_fast`."""
    name = os.path.basename(sys.argv[0] if sys.argv else "")
    if name == "-m":  # so Python calls a module until it is found; its name is before the arguments
        return sys.orig_argv[-len(sys.argv)].removeprefix("-m") == "meanshift_fast"
    return name in ("meanshift-fast", "meanshift-fast.exe")


if _is_command():
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)
    for _number in _ENDS:
        if signal.getsignal(_number) is signal.SIG_DFL:
            signal.signal(_number, leave)
