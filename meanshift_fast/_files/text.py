"""Text files: decompressed, decoded and without comments, as pyarrow and Python's `csv` read them.

file -> decompression -> bytes of UTF-8, as they are          plain
                     `-> text, comments dropped -> UTF-8      any other dialect
"""

import io
import os
import re
import threading
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Self, cast

from meanshift_fast._files.dialect import Dialect
from meanshift_fast._files.tables import import_pyarrow

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}  # pyarrow's names, by suffix
_RUN_OF_SPACES = re.compile(r'("(?:[^"]|"")*"?)| +(?=\r?\n?$)|^ +|  +')
_SEP_LINE = re.compile(r"\ufeff?sep=([^\w\s\"]|[ \t])\r?\n?", re.IGNORECASE)
_MAX_SEP_LINE = 16  # characters, more than such a line has
MAX_RELEASE_SECONDS = 5.0  # until pyarrow's threads have let go of a file
COMPRESSION_RATIO = 4  # of text, for the guess of a number of rows


def is_compressed(path: Path) -> bool:
    """Whether a name ends in that of a compression."""
    return path.suffix.lower() in COMPRESSIONS


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file, decompressed."""
    if not is_compressed(path):
        return path.open("rb")
    with path.open("rb"):  # this error names the file
        pass
    name = COMPRESSIONS[path.suffix.lower()]
    stream: IO[bytes] = import_pyarrow().input_stream(os.fspath(path), compression=name)
    return stream


def open_lines(path: Path, dialect: Dialect) -> Iterator[str]:
    """Yield the lines of a text, ready to be split into cells.

    Comments become empty lines, which keeps the count; a line within a quoted cell is no comment.
    So does a line that names the delimiter.
    Between cells that spaces separate there is one space, and none at the ends of a line.
    """
    encoding = "utf-8-sig" if dialect.is_plain else dialect.encoding
    is_quoted = False
    with open_bytes(path) as file, io.TextIOWrapper(file, encoding, newline="") as text:
        if dialect.has_sep_line:
            text.readline()
            yield "\n"
        for line in _with_empty_cells(text, dialect) if dialect.has_empty_cells else text:
            if not is_quoted and dialect.comment and line.startswith(dialect.comment):
                yield "\n"
                continue
            if not is_quoted and dialect.delimiter == " ":
                line = _RUN_OF_SPACES.sub(_one_space, line)
            if is_quoted or '"' in line:
                is_quoted = _ends_quoted(line, dialect.delimiter, is_quoted)
            yield line


def _with_empty_cells(lines: Iterable[str], dialect: Dialect) -> Iterator[str]:
    """Quote the empty cells of a single column, which readers would skip as empty lines.

    Those before the first line and after the last are no cells, those within a quoted cell part of
    it.
    """
    blanks, held, has_begun = "\r\n " if dialect.delimiter == " " else "\r\n", [], False
    is_quoted = False
    for line in lines:
        is_comment = bool(dialect.comment) and line.startswith(dialect.comment)
        if not is_quoted and (is_comment or not line.strip(blanks)):
            held.append(f'""{line}' if has_begun and not is_comment else line)
            continue
        if is_quoted or '"' in line:
            is_quoted = _ends_quoted(line, dialect.delimiter, is_quoted)
        yield from held
        held, has_begun = [], True
        yield line


def has_empty_line(path: Path) -> bool:
    """Whether a text of UTF-8 has an empty line; Python takes eight times as long to read lines."""
    last = b""
    with open_bytes(path) as file:
        try:
            while data := file.read(1 << 20):
                if any(ends in last + data for ends in (b"\n\n", b"\n\r\n", b"\r\r")):
                    return True
                last = data[-2:]
        except OSError:  # the reading of the rows says what is wrong
            pass
    return False


def named_delimiter(path: Path, encoding: str) -> str:
    """The delimiter that a text's first line names, as ``sep=;``; empty where it names none."""
    try:
        with open_bytes(path) as file, io.TextIOWrapper(file, encoding, newline="") as text:
            found = _SEP_LINE.fullmatch(text.readline(_MAX_SEP_LINE))
    except (OSError, LookupError, UnicodeError):
        return ""  # the reading of the rows says what is wrong
    return found[1] if found else ""


def _one_space(run: re.Match[str]) -> str:
    """One space between cells; none at the ends of a line; quoted cells as they are."""
    if run[1] is not None:
        return run[1]
    is_between = run.start() > 0 and run.string[run.end() :].strip("\r\n")
    return " " if is_between else ""


def _ends_quoted(line: str, delimiter: str, is_quoted: bool) -> bool:
    """Whether a quoted cell continues in the next line; quotes open a cell at its start only."""
    at = 0
    while True:
        if is_quoted:
            at = line.find('"', at) + 1
            if not at:
                return True
            if line[at : at + 1] == '"':  # doubled: the quote is part of the cell
                at += 1
                continue
            is_quoted = False
        if at or not line.startswith('"'):
            at = line.find(f'{delimiter}"', at) + 1
            if not at:
                return False
        is_quoted, at = True, at + 1


class Utf8:
    """The bytes of a text in UTF-8 for pyarrow; counts the double quotes that were read.

    Its threads read ahead. One that frees an object of Python's while Python ends aborts the
    process; so the end of the context waits until they have freed all that they were lent.
    """

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self.n_quotes = 0
        self._file = open_bytes(path) if dialect.is_plain else None
        self._lines = open_lines(path, dialect)
        self._rest = b""
        self._lease = _Lease()
        self._is_free = threading.Event()
        weakref.finalize(self._lease, self._is_free.set)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        del self._lease
        if not self._is_free.wait(MAX_RELEASE_SECONDS):
            return  # a thread still reads: what it reads is closed with it
        self._lines.close()  # type: ignore[attr-defined]
        if self._file:
            self._file.close()

    def lent(self) -> IO[bytes]:
        """The file for pyarrow."""
        return cast(IO[bytes], _Lent(self, self._lease))

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes."""
        data = self._file.read(size) if self._file else self._encoded(size)
        self.n_quotes += data.count(b'"')
        return data

    def _encoded(self, size: int) -> bytes:
        """Up to so many bytes of the lines, as UTF-8."""
        parts, n_bytes = [self._rest], len(self._rest)
        for line in self._lines:
            parts.append(line.encode())
            n_bytes += len(parts[-1])
            if 0 <= size <= n_bytes:
                break
        data = b"".join(parts)
        size = len(data) if size < 0 else size
        self._rest = data[size:]
        return data[:size]


class _Lease:
    """What each lent object refers to: freed with the last of them."""


class _Block(bytes):
    """Bytes that refer to a lease."""

    lease: _Lease


class _Lent(io.RawIOBase):
    """A text as pyarrow reads it."""

    def __init__(self, text: Utf8, lease: _Lease) -> None:
        self._text, self._lease = text, lease

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes, which refer to the lease."""
        text, lease = self._text, self._lease
        del self  # which the traceback of an error would hold, and through it the lease
        try:
            block = _Block(text.read(size))
            block.lease = lease
            return block
        finally:
            del lease

    def readable(self) -> bool:
        """True: the stream can be read."""
        return True


def guessed_lines(path: Path) -> int:
    """Guess a text's number of lines from the length of the first."""
    with open_bytes(path) as file:
        try:
            head: Any = file.read(1 << 16)
        except OSError as error:
            raise ValueError(f"{path} is cut off or damaged: {error}") from error
    n_bytes = path.stat().st_size * (COMPRESSION_RATIO if is_compressed(path) else 1)
    n_lines = len(head.splitlines())
    return n_lines if len(head) < 1 << 16 else n_lines * n_bytes // max(len(head), 1)


def foreign_line(path: Path, dialect: Dialect) -> int:
    """Find the first line that cannot be decoded; the decoder reports only a block of lines."""
    with io.TextIOWrapper(open_bytes(path), dialect.encoding, "surrogateescape") as text:
        return next(n for n, line in enumerate(text, 1) if re.search("[\udc80-\udcff]", line))
