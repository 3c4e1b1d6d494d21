"""What comes before the imports that take a second: Ctrl-C ends the command without a traceback.

Only in the process of the command itself, where nothing has begun that would need an end. Whoever
imports the package elsewhere has his own say about signals.
"""

import os
import signal
import sys
from typing import Any


def leave(*_: Any) -> None:
    """Say so and be gone; no exception, which a half-imported module might take for its own."""
    os.write(2, b"\nmeanshift-fast: interrupted\n")
    os._exit(130)


def begin() -> None:
    """Turn Ctrl-C into KeyboardInterrupt again: from here on there may be files to clean up."""
    if signal.getsignal(signal.SIGINT) is leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if (
    os.path.basename(sys.argv[0] if sys.argv else "") in ("meanshift-fast", "meanshift-fast.exe")
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
):
    signal.signal(signal.SIGINT, leave)
