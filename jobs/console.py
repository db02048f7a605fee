"""The two consoles: results on standard output, everything else on standard error."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

#: Results, for people and pipes.
out = Console(highlight=False)
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
