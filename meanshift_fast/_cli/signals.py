"""Signals that end the command without a traceback, from before the imports that take a second.

Handlers are set only in the process of the command itself. Until the command begins, and after
it, while Python ends, a signal ends the process at once; between the two, files are cleaned up
first.
"""

import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Any, NoReturn

REDELIVERY_SECONDS = 0.01  # a callback has returned by then; if not, the signal is delivered again
# A terminal that is closed sends SIGHUP; Windows has no such signal.
_ENDS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
_received: list[int] = []  # signals, since the command began


def end_now(number: int, _: Any) -> None:
    """Print a line and end the process: a module being imported could catch an exception."""
    _print_note("interrupted" if number == signal.SIGINT else "terminated")
    os._exit(128 + number)


def interrupt(number: int, frame: Any) -> None:
    """Raise KeyboardInterrupt, as Python does."""
    _received.append(number)
    signal.default_int_handler(number, frame)


def unwind(number: int, _: Any) -> NoReturn:
    """Unwind the stack, so that files are cleaned up; ignore further signals."""
    signal.signal(number, signal.SIG_IGN)
    _received.append(number)
    raise SystemExit(128 + number)


# Until the command begins, and after it, `end_now` handles these.
_DURING: dict[int, Any] = {signal.SIGINT: interrupt} | dict.fromkeys(_ENDS, unwind)


def begin() -> None:
    """Let signals raise exceptions: from now on there may be files to clean up."""
    if _IS_COMMAND:
        sys.unraisablehook = _deliver_again
        for number, handler in _DURING.items():
            _replace(number, end_now, handler)


def end(code: object = None) -> None:
    """Let signals end the process at once again: no file is left to clean up.

    ``code`` is that of a SystemExit; where a signal raised it, a line is printed.
    """
    if _is_of_signal(code):
        _print_note("terminated")
    if _IS_COMMAND:
        for number, handler in _DURING.items():
            _replace(number, handler, end_now)


def _replace(number: int, before: Any, handler: Any) -> None:
    """Set a signal's handler, if it has the one that it had before."""
    if signal.getsignal(number) is before:
        signal.signal(number, handler)


def _is_of_signal(code: object) -> bool:
    """Whether an exit code is that of a signal."""
    return isinstance(code, int) and code - 128 in _ENDS


def _deliver_again(caught: Any) -> None:
    """Deliver a signal once more, whose exception was raised in a callback of C and dropped.

    Such callbacks are LLVM's, and finalizers: Python prints their exceptions and continues.
    """
    if caught.exc_type is KeyboardInterrupt:
        number = signal.SIGINT
    elif caught.exc_type is SystemExit and _is_of_signal(caught.exc_value.code):
        number = signal.Signals(caught.exc_value.code - 128)
        signal.signal(number, unwind)
    else:
        if not _received:  # after a signal, finalizers may fail on work that was cut short
            sys.__unraisablehook__(caught)
        return
    timer = threading.Timer(REDELIVERY_SECONDS, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()


def _print_note(what: str) -> None:
    """Write a line to stderr, without Python's buffers."""
    with suppress(OSError):  # the terminal may be gone
        os.write(2, f"\nmeanshift-fast: {what}\n".encode())


def _is_command() -> bool:
    """Whether this process is the command, installed or as `python -m meanshift_fast`."""
    name = os.path.basename(sys.argv[0] if sys.argv else "")
    if name == "-m":  # until the module is found; its name is before the arguments
        return sys.orig_argv[-len(sys.argv)].removeprefix("-m") == "meanshift_fast"
    return name in ("meanshift-fast", "meanshift-fast.exe")


_IS_COMMAND = _is_command()  # at the import: the name of `-m` is found after it
if _IS_COMMAND:
    _replace(signal.SIGINT, signal.default_int_handler, end_now)
    for _number in _ENDS:
        _replace(_number, signal.SIG_DFL, end_now)
