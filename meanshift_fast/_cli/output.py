"""What commands print: lines and bytes on standard output, notes on standard error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from meanshift_fast._input.messages import on_one_line


def print_line(line: str = "", end: str = "\n") -> None:
    """Print at once; letters that the terminal cannot show, as in a path, are escaped."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    with stdout_named():
        print(line.encode(encoding, "backslashreplace").decode(encoding), end=end, flush=True)


@contextmanager
def stdout_named() -> Iterator[None]:
    """Name standard output in an error of writing to it; a reader that has left is none."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(f"cannot write to standard output: {error.strerror or error}") from error


class Stdout:
    """The bytes of standard output, which errors of writing them name; reading has its own."""

    closed = False  # as pyarrow demands of a file

    def write(self, data: Any) -> int:
        """Write bytes."""
        with stdout_named():
            return sys.stdout.buffer.write(data)

    def flush(self) -> None:
        """Flush what is buffered."""
        with stdout_named():
            sys.stdout.buffer.flush()


def print_note(message: str, before: str = "") -> None:
    """Print a message on stderr as one line that names the program."""
    print_error_line(f"{before}meanshift-fast: {on_one_line(message)}")


def print_error_line(line: str) -> None:
    """Print a line on stderr, where there is one: `print` to None writes to stdout."""
    if sys.stderr is not None:
        print(line, file=sys.stderr)
