"""Standard output: a block for people who try it."""

from __future__ import annotations

import asyncio
import sys
from uuid import UUID

from pipeline.alerts.answers import Answer, DeliveryError
from pipeline.alerts.wording import lines, one_line
from pipeline.threads import in_thread
from schemas.alerts import Stdout
from schemas.notification import Notification

_WORDS = {
    "trigger": "ALERT",
    "update": "UPDATE",
    "acknowledge": "ACKNOWLEDGED",
    "resolve": "RESOLVED",
}


class StdoutSender:
    """Writes to standard output, from a thread: a reader that stands still blocks writing.

    Args:
        destination: Says how long writing may take.
    """

    def __init__(self, destination: Stdout) -> None:
        self._timeout = destination.timeout.total_seconds()
        self._one_at_a_time = asyncio.Lock()

    async def send(self, notification: Notification, delivery: UUID) -> Answer:
        """Write a notification; see ``Sender``."""
        text = block(notification)
        try:
            async with self._one_at_a_time:
                await asyncio.wait_for(in_thread(lambda: _write(text)), self._timeout)
        except asyncio.TimeoutError:
            raise DeliveryError(f"standard output: blocked for {self._timeout:g} s") from None
        except (OSError, ValueError) as error:  # ValueError: it was closed
            why = getattr(error, "strerror", None) or "closed"
            raise DeliveryError(f"standard output: {why}") from None
        return Answer()

    async def close(self) -> None:
        """Nothing is of ours."""


def block(notification: Notification) -> str:
    """Return what a person reads of a notification."""
    marks = [
        notification.severity,
        notification.kind,
        *(("test",) if notification.test else ()),
        *(("escalated",) if notification.escalated else ()),
        *(("summary",) if notification.summary else ()),
    ]
    word = _WORDS[notification.action]
    found = [f"{word} [{', '.join(marks)}] {one_line(notification.title, 500)}"]
    found += [f"  {line}" for line in lines(notification.text)]
    found.append(
        f"  {notification.open} of {notification.count} open · owner "
        f"{one_line(notification.owner) or '(none)'} · route {notification.route} · "
        f"alert {notification.alert_id}"
    )
    if notification.acknowledged_by:
        found.append(f"  acknowledged by {one_line(notification.acknowledged_by)}")
    if notification.link:
        found.append(f"  {one_line(notification.link, 500)}")
    return "\n".join(found) + "\n\n"


def _write(text: str) -> None:
    stream = sys.stdout
    if stream is None:
        raise ValueError("closed")
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()
