"""What a destination answers, and what every destination can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from pipeline.errors import TouchlineError
from schemas.notification import Notification


@dataclass(frozen=True)
class Answer:
    """A destination took a notification.

    Attributes:
        status: HTTP status, or 0 where there is none.
        detail: What it said, in one short line without secrets.
    """

    status: int = 0
    detail: str = ""


class DeliveryError(TouchlineError):
    """A destination did not take a notification; it is tried again unless ``permanent``.

    Args:
        reason: Why, in words without secrets, addresses with tokens or payloads.
        status: HTTP status, or 0 where none came.
        permanent: This notification will never be taken as it is.
        retry_after: Seconds that the destination asked to wait, or None.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int = 0,
        permanent: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.permanent = permanent
        self.retry_after = retry_after


class Sender(Protocol):
    """Speaks to one destination. For one event loop; never blocks it."""

    async def send(self, notification: Notification, delivery: UUID) -> Answer:
        """Hand over a notification once.

        Args:
            notification: What to say.
            delivery: Id of the delivery, the same in every try, for receivers to tell repeats.

        Raises:
            DeliveryError: It was not taken.
        """

    async def close(self) -> None:
        """Let go of connections."""
