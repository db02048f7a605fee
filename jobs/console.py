"""The two consoles: results on standard output, everything else on standard error.

Output ends in ways that are no error of the command: the reader of a pipe has seen enough, a disk
is full, a terminal knows fewer characters than we write. None of them may show a traceback.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

#: Columns of a result that goes into a file or a pipe, which have no width of their own.
PIPED_COLUMNS = 140
#: Exit code when the reader of standard output went away: what a shell says of SIGPIPE.
CLOSED_PIPE = 141

_is_terminal = sys.stdout is not None and sys.stdout.isatty()
_width = None if _is_terminal or "COLUMNS" in os.environ else PIPED_COLUMNS

#: Results, for people and pipes.
out = Console(highlight=False, width=_width)
#: Progress, warnings and errors.
err = Console(stderr=True, highlight=False)

# As wide as what they stand for, so that columns stay straight; rich has ASCII frames of its own.
_PLAIN = str.maketrans("█▉▊▋▌▍▎▏▁▂▃▄▅▆▇–—·…≠→●✓✗", "####+-. _.:-=+*--..!>*vx")


def progress() -> Progress:
    """Return a progress bar on standard error that vanishes when done, silent without a terminal.

    Usage: ``with progress() as bar: task = bar.add_task("storing", total=n)``.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )


def write_document(data: bytes) -> None:
    """Write a document to standard output as it is, whatever the terminal's encoding."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


@contextmanager
def careful_output() -> Iterator[None]:
    """Guard standard output for the duration of a command, which is to be all of the process.

    Inside the block a character that the encoding lacks is written as one that looks like it. A
    write that fails ends the process from where it happens, so that what was started is stopped:
    with ``CLOSED_PIPE`` and no word when the reader went away, otherwise with 1 and one line on
    standard error. It is never 0: what the command did may be told by nothing but its output.
    """
    if sys.stdout is None:  # closed by who started us; what opens a file next must not become it
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    before = sys.stdout
    before.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Outlet(before.fileno(), "wb", closefd=False)),
        encoding=before.encoding,
        errors="touchline.plain",
        line_buffering=before.isatty(),
    )
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout = before


class _Outlet(io.FileIO):
    """The file below standard output."""

    def write(self, data: Any) -> int:
        """Write bytes, or end the process."""
        try:
            return super().write(data)
        except OSError as error:
            # what is still in a buffer must not fail once more on the way out
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if isinstance(error, BrokenPipeError):
                raise SystemExit(CLOSED_PIPE) from None
            err.print(f"touchline: standard output: {error.strerror}", style="red", markup=False)
            raise SystemExit(1) from None


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return what is written instead of characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(char if char.isascii() else "?" for char in text), error.end


codecs.register_error("touchline.plain", _plain)
