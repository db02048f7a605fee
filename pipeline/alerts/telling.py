"""Which notifications of an alert are due, and to whom."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from pipeline.alerts.deliveries import Delivery
from pipeline.alerts.phrases import Wording
from pipeline.alerts.state import Alert
from schemas.alerts import Route
from schemas.notification import Action


class Telling:
    """Makes the notifications of alerts that changed.

    Args:
        wording: Says it in words.
    """

    def __init__(self, wording: Wording) -> None:
        self._wording = wording

    def due(
        self,
        alert: Alert,
        route: Route | None,
        now: datetime,
        *,
        acknowledged: bool,
        escalated: bool,
    ) -> list[Delivery]:
        """Return what is to be delivered now, in order, and note that it was told.

        Args:
            alert: The alert, with what is new.
            route: Its route; None where the catalog no longer has it: then only those who were told
                before hear that it is over.
            now: The time.
            acknowledged: Whether it has just been acknowledged.
            escalated: Whether its term is just over.
        """
        found: list[Delivery] = []
        if route is not None and alert.sequence == 0:
            alert.destinations, alert.notified_at = list(route.to), now
            found += self._tell(alert, "trigger", route.to, now)
        if escalated and route is not None and route.escalate is not None:
            found += self._escalate(alert, route.escalate.to, now)
        if acknowledged:
            found += self._tell(alert, "acknowledge", alert.destinations, now)
        if alert.closed_at is not None and (route is None or route.resolved):
            found += self._tell(alert, "resolve", alert.destinations, now)
        elif route is not None and alert.fresh and self._may_update(alert, route, now):
            alert.notified_at = now
            found += self._tell(alert, "update", alert.destinations, now)
        return found

    def _escalate(self, alert: Alert, to: Collection[str], now: datetime) -> list[Delivery]:
        # What is new is told to everybody who was told before: it would be new to nobody later.
        told = [name for name in alert.destinations if alert.fresh or name in to]
        others = [name for name in to if name not in alert.destinations]
        if alert.fresh:
            alert.notified_at = now
        alert.destinations = [*alert.destinations, *others]
        return [
            *self._tell(alert, "update", told, now),
            *self._tell(alert, "trigger", others, now),
        ]

    def _may_update(self, alert: Alert, route: Route, now: datetime) -> bool:
        if alert.closed_at is not None:  # the last chance to say what is new
            return True
        return (alert.notified_at or now) + route.update_every <= now

    def _tell(
        self, alert: Alert, action: Action, destinations: Collection[str], now: datetime
    ) -> list[Delivery]:
        if not destinations:
            return []
        sequence = alert.sequence + 1
        notification = self._wording.notification(alert, action, sequence, now)
        alert.told(sequence)
        return [
            Delivery(alert.alert_id, sequence, name, notification, now) for name in destinations
        ]
