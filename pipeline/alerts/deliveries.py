"""A delivery: one notification for one destination, one line of the outbox; and the time it knows.

A delivery is *pending* until it has an outcome. ``sent``: the destination took it. ``dead``: it
never will, or not in time. ``superseded``: it was never tried, and a later notification says
all that it said. ``skipped``: there was nothing to take back at the destination.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from schemas.notification import Notification, delivery_id

DeliveryStatus = Literal["pending", "sent", "dead", "superseded", "skipped"]


@dataclass(frozen=True)
class Delivery:
    """One line of the outbox, as it stands.

    Attributes:
        alert_id: Alert that the notification is of.
        sequence: Place of the notification within its alert.
        destination: Id of the destination in the catalog.
        notification: What to say.
        created_at: When it was put into the outbox, UTC; ``give_up`` counts from here.
        status: What became of it.
        attempts: How often it was tried.
        next_at: Not to be tried before this, after a failed try; else None.
        ended_at: When it stopped being pending, or None.
        http_status: What the last try was answered with, 0 where there was no HTTP answer.
        detail: The last answer or error in one short line without secrets.
    """

    alert_id: UUID
    sequence: int
    destination: str
    notification: Notification
    created_at: datetime
    status: DeliveryStatus = "pending"
    attempts: int = 0
    next_at: datetime | None = None
    ended_at: datetime | None = None
    http_status: int = 0
    detail: str = ""

    @property
    def delivery_id(self) -> UUID:
        """Identity of the delivery, the same in every try and after every restart."""
        return delivery_id(self.alert_id, self.destination, self.sequence)


class Clock(Protocol):
    """Time as the alerter sees it, so that tests can turn it."""

    def now(self) -> datetime:
        """Return the wall time, UTC, aware."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    async def sleep(self, seconds: float) -> None:
        """Wait; not at all where ``seconds`` is not positive, but let others run."""
