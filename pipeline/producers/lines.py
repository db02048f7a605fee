"""The lines of a file or a pipe, in bounded memory, however long one of them is.

A line that is too long to be a record must not fill the memory and must not be lost either: its
beginning is handed out, and the rest can be copied on piece by piece.
"""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from pipeline.errors import RejectedInput

#: What a file name stands for that means standard input.
STDIN = Path("-")
BOM = b"\xef\xbb\xbf"

_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")
# Also the buffer of a file: each read gives up the interpreter's lock and may wait milliseconds to
# get it back from the thread that sends.
_PIECE = 1 << 20


@dataclass(frozen=True)
class Source:
    """An open file or pipe.

    Attributes:
        stream: Its content, unpacked.
        name: What to call it in messages.
        size: Its size on disk in bytes; None where it is not known.
        position: Returns how many bytes of it, as it is on disk, have been read.
    """

    stream: BinaryIO
    name: str
    size: int | None
    position: Callable[[], int]


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open a file, unpacking ``.gz``; ``-`` is standard input.

    Raises:
        RejectedInput: It cannot be opened.
    """
    if path == STDIN:
        yield Source(sys.stdin.buffer, "standard input", None, lambda: 0)
        return
    try:
        raw = path.open("rb", buffering=_PIECE)
    except OSError as error:
        raise RejectedInput(f"{path}: {error.strerror}") from None
    with raw:
        size = os.fstat(raw.fileno()).st_size
        if path.suffix != ".gz":
            yield Source(raw, str(path), size, raw.tell)
            return
        with gzip.open(raw) as unpacked:
            yield Source(cast(BinaryIO, unpacked), str(path), size, raw.tell)


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        number: 1 for the first.
        value: Its bytes, without the line feed.
        whole: False where it is longer than the limit: ``Lines.rest`` has what follows ``value``.
    """

    number: int
    value: bytes
    whole: bool = True


class Lines:
    """Iterates over the lines of a stream; a UTF-8 byte order mark at the start is dropped.

    Args:
        source: What to read.
        limit: Longest line in bytes that is handed out whole.
    """

    def __init__(self, source: Source, limit: int) -> None:
        self._source = source
        self._limit = limit
        self._unfinished = False
        #: Number of the last line that was read.
        self.number = 0

    def __iter__(self) -> Iterator[Line]:
        """Yield each line.

        Raises:
            RejectedInput: The file cannot be read on, or is not UTF-8 but UTF-16.
        """
        while head := self._read():
            self.number += 1
            if self.number == 1:
                head = self._without_mark(head)
            self._unfinished = not head.endswith(b"\n") and len(head) > self._limit
            yield Line(self.number, head.removesuffix(b"\n"), whole=not self._unfinished)
            for _ in self.rest():  # what the caller did not want
                continue

    def rest(self) -> Iterator[bytes]:
        """Yield what follows the value of a line that is not whole, in pieces."""
        while self._unfinished:
            piece = self._read()
            self._unfinished = bool(piece) and not piece.endswith(b"\n")
            yield piece.removesuffix(b"\n")

    def _read(self) -> bytes:
        size = _PIECE if self._unfinished else self._limit + len(BOM) + 1
        try:
            return self._source.stream.readline(size)
        except (OSError, EOFError, zlib.error) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise RejectedInput(
                f"{self._source.name}: cannot be read on after line {self.number}: {why}"
            ) from None

    def _without_mark(self, head: bytes) -> bytes:
        if head.startswith(_WIDE_BOMS):
            raise RejectedInput(f"{self._source.name}: is UTF-16 (fix: save it as UTF-8)")
        return head.removeprefix(BOM)
