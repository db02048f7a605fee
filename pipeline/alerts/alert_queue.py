"""What one destination is still to be told of one alert, in order, and what may be left out.

An update that was never tried is left out when a later notification comes: that one says how the
alert stands, and takes over the ids of moments that would have been told. In the outbox the update
stays pending until the outcome of the later one is written, both at once. So whoever takes the
outbox up again after a crash finds both and does the same once more; were it written at once, a
crash would leave the later notification without those ids.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from pipeline.alerts.deliveries import Delivery
from schemas.notification import MOST_LISTED, Notification

#: Alerts of which is remembered what a destination has heard.
MOST_REMEMBERED = 20_000


@dataclass
class Entry:
    """A delivery to be made.

    Attributes:
        delivery: As it stands.
        absorbed: Updates that it stands for, too.
        noted_at: Monotonic time when a failed try was last written into the outbox.
    """

    delivery: Delivery
    absorbed: tuple[Delivery, ...] = ()
    noted_at: float | None = None


class AlertQueue:
    """The pending deliveries of one alert to one destination, never empty.

    Attributes:
        state: ``ready``: the head can be tried. ``waiting``: not before ``due``. ``busy``: it is
            being tried, or its outcome written.
        due: Monotonic time, while waiting.
        asked: The destination asked for the wait.
    """

    def __init__(self, first: Delivery) -> None:
        self._entries = deque([Entry(first)])
        self.state: Literal["ready", "waiting", "busy"] = "ready"
        self.due = 0.0
        self.asked = False

    def __len__(self) -> int:
        """Deliveries to be made."""
        return len(self._entries)

    @property
    def head(self) -> Entry:
        """The one whose turn it is."""
        return self._entries[0]

    @property
    def last_sequence(self) -> int:
        """Sequence of the latest."""
        return self._entries[-1].delivery.sequence

    def add(self, later: Delivery) -> None:
        """Add a delivery whose sequence is higher than all before."""
        tail = self._entries[-1]
        begun = len(self._entries) == 1 and self.state == "busy"
        if begun or tail.delivery.attempts or tail.delivery.notification.action != "update":
            self._entries.append(Entry(later))
            return
        merged = merge(tail.delivery.notification, later.notification)
        absorbed = (*tail.absorbed, tail.delivery)
        self._entries[-1] = Entry(replace(later, notification=merged), absorbed)

    def pop(self) -> Entry:
        """Take off the head: its outcome is written. The queue may be empty then."""
        return self._entries.popleft()


def merge(left_out: Notification, later: Notification) -> Notification:
    """Return the later notification with the moments of one before it that is left out.

    An update does not hide that the one before said that it was escalated.
    """
    ids = list(dict.fromkeys([*left_out.moment_ids, *later.moment_ids]))[:MOST_LISTED]
    escalated = later.escalated or (later.action == "update" and left_out.escalated)
    return later.model_copy(update={"moment_ids": ids, "escalated": escalated})


class Heard:
    """What a destination has heard of alerts, as far as it matters later; forgets the oldest."""

    def __init__(self) -> None:
        self._alerts: OrderedDict[UUID, tuple[int, bool]] = OrderedDict()

    def note(self, ended: Delivery) -> None:
        """Note an outcome; those of an alert come in order, known ones do no harm."""
        last, nothing = self._alerts.get(ended.alert_id, (0, False))
        if ended.sequence <= last:
            return
        if ended.status == "sent":
            nothing = False
        elif ended.status == "dead" and ended.notification.action == "trigger":
            nothing = True
        self._alerts[ended.alert_id] = (ended.sequence, nothing)
        self._alerts.move_to_end(ended.alert_id)
        if len(self._alerts) > MOST_REMEMBERED:
            self._alerts.popitem(last=False)

    def forget(self, alert: UUID) -> None:
        """Forget what was heard of an alert, to tell it again."""
        self._alerts.pop(alert, None)

    def ended(self, delivery: Delivery) -> bool:
        """Return whether this one, or a later one of its alert, is known to have ended."""
        return self._alerts.get(delivery.alert_id, (0, False))[0] >= delivery.sequence

    def nothing_of(self, alert: UUID) -> bool:
        """Return whether it is known that the destination has taken nothing of the alert."""
        return self._alerts.get(alert, (0, False))[1]
