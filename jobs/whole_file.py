"""A file that is written whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import typer


@contextlib.contextmanager
def whole_file(target: Path, *, zipped: bool = False) -> Iterator[BinaryIO]:
    """Give a file beside the target to write to, which takes its place when the block ends well.

    Args:
        target: The file; what it was before stays where the block fails.
        zipped: Whether to compress; the same content gives the same bytes.

    Raises:
        typer.BadParameter: The file cannot be written.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            if zipped:
                with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield file
        part.replace(target)
    except OSError as error:
        raise typer.BadParameter(f"{target}: {error.strerror}", param_hint="--out") from None
    finally:
        part.unlink(missing_ok=True)
