"""The two consoles: results on standard output, everything else on standard error."""

from __future__ import annotations

import os
import sys

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
_width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPED_COLUMNS

#: Results, for people and pipes.
out = Console(highlight=False, width=_width)
#: Progress, warnings and errors.
err = Console(stderr=True, highlight=False)


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
