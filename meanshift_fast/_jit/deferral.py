"""Signals that wait while something must not be cut short."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Defer Ctrl-C, SIGTERM and SIGHUP, which Python handles in the main thread alone.

    A handler may raise. Where Python runs as a callback of C, the exception is dropped and the
    callback has no result.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    # None is a handler that C has set, and that Python cannot set again.
    handlers = {n: handler for n in numbers if (handler := signal.getsignal(n)) is not None}
    try:
        for number in handlers:
            signal.signal(number, lambda n, _: received.append(n))
        yield
    finally:
        # SIGINT last: its handler may raise at once, and the others would stay deferred.
        for number in reversed(handlers):
            signal.signal(number, handlers[number])
        for deferred in received:
            signal.raise_signal(deferred)
