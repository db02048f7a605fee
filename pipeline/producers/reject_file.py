"""What could not be used, whole, in a file that a person can mend and send again.

``FILE`` holds the input as it was, one entry a line, nothing added to a line of interactions and
only its number to a row of a foreign log. ``FILE.reasons.ndjson`` says for each of them, in the
same order, where it stood and why it was refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import orjson

from pipeline.errors import FatalError, RejectedInput

#: Put behind the name of the reject file.
REASONS = ".reasons.ndjson"


class RejectFile:
    """A pair of files, made at once so that they are known to be writable; removed if empty.

    Use it as a context manager.

    Args:
        path: The file; nothing is written where it is None.

    Raises:
        RejectedInput: From the context manager: a file is there already or cannot be made.
    """

    def __init__(self, path: Path | None) -> None:
        #: The file.
        self.path = path
        self._entries: BinaryIO | None = None
        self._reasons: BinaryIO | None = None
        self._lines = 0
        #: Whether anything was added.
        self.used = False

    @property
    def reasons(self) -> Path | None:
        """The file that holds the reasons."""
        return None if self.path is None else self.path.with_name(self.path.name + REASONS)

    def __enter__(self) -> RejectFile:
        """Make the files."""
        if self.path is not None and self.reasons is not None:
            self._entries = _created(self.path)
            try:
                self._reasons = _created(self.reasons)
            except RejectedInput:
                self._entries.close()
                self.path.unlink()
                raise
        return self

    def header(self, line: bytes) -> None:
        """Write the header that the file needs to be read again, before the first entry."""
        if self._entries is not None:
            with self._told():
                self._entries.write(line + b"\n")
            self._lines += 1

    def add(self, entry: Iterable[bytes], **why: str | int) -> None:
        """Write one entry.

        Args:
            entry: Its bytes, in pieces.
            why: What to say of it: its place in the input, reason, field, error.

        Raises:
            FatalError: It cannot be written; nothing more should be read.
        """
        if self._entries is None or self._reasons is None:
            return
        self.used = True
        first, breaks = self._lines + 1, 0
        with self._told():
            for piece in entry:
                breaks += piece.count(b"\n")
                self._entries.write(piece)
            self._entries.write(b"\n")
            self._reasons.write(orjson.dumps({"rejects_line": first, **why}) + b"\n")
        self._lines += breaks + 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files; remove them where nothing was rejected.

        Raises:
            FatalError: The last of them cannot be written.
        """
        if self._entries is None or self._reasons is None:
            return
        with self._told():
            self._entries.close()
            self._reasons.close()
        if not self.used and self.path is not None and self.reasons is not None:
            self.path.unlink()
            self.reasons.unlink()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FatalError(
                f"{self.path}: cannot be written: {error.strerror} (what was rejected is only in "
                "the input)"
            ) from error


def _created(path: Path) -> BinaryIO:
    try:
        return path.open("xb")
    except FileExistsError:
        raise RejectedInput(
            f"{path}: is there already (fix: name another file for the rejects, or remove it)"
        ) from None
    except OSError as error:
        raise RejectedInput(f"{path}: cannot be made: {error.strerror}") from None
