"""A file that notifications are appended to: one CloudEvent a line, on disk before it is taken."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path
from uuid import UUID

from pipeline.alerts.answers import Answer, DeliveryError
from pipeline.alerts.destinations.http_sender import as_json, cloud_event
from pipeline.errors import SettingsError
from pipeline.threads import in_thread
from schemas.alerts import File
from schemas.notification import Notification


class FileSender:
    """Appends to one file, which is opened anew each time so that it can be rotated.

    Args:
        destination: Names the file; its directory must be there.

    Raises:
        SettingsError: The directory is missing, or the file cannot be written.
    """

    def __init__(self, destination: File) -> None:
        self._path = Path(destination.path)
        self._timeout = destination.timeout.total_seconds()
        self._one_at_a_time = asyncio.Lock()
        self._check(destination.id)

    async def send(self, notification: Notification, delivery: UUID) -> Answer:
        """Append a notification; see ``Sender``."""
        line = as_json(cloud_event(notification, delivery)) + b"\n"
        try:
            async with self._one_at_a_time:
                await asyncio.wait_for(in_thread(lambda: _append(self._path, line)), self._timeout)
        except asyncio.TimeoutError:
            raise DeliveryError(f"{self._path}: not written in {self._timeout:g} s") from None
        except OSError as error:
            raise DeliveryError(f"{self._path}: {error.strerror or type(error).__name__}") from None
        return Answer()

    async def close(self) -> None:
        """Nothing is kept open."""

    def _check(self, destination: str) -> None:
        folder = self._path.parent
        if not folder.is_dir():
            raise SettingsError(
                f"destination {destination}: there is no directory {folder} (fix: make it)"
            )
        at = self._path if self._path.exists() else folder
        if self._path.is_dir() or not os.access(at, os.W_OK):
            raise SettingsError(f"destination {destination}: cannot write {self._path}")


def _append(path: Path, line: bytes) -> None:
    """Append a line and wait until it is on disk.

    Raises:
        OSError: It is not; what there is of it is a line of its own, of which nothing is taken.
    """
    mode = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(path, mode, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # several alerters may write to one file
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line  # a try that broke off must not swallow this one
        while line:
            line = line[os.write(descriptor, line) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
