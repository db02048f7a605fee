"""What is held: moments that wait for the end of quiet hours or of a silence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from pipeline.alerts.routing import Routing
from pipeline.alerts.state import Order, Reason, Seen
from schemas.alerts import Route


class Holding:
    """Moments that wait, and the silences that some of them wait for.

    Args:
        routing: The routes.
    """

    def __init__(self, routing: Routing) -> None:
        self._routing = routing
        self._held: dict[UUID, dict[str, Seen]] = {}
        self._silences: dict[UUID, Order] = {}

    def of(self, moment: UUID) -> Mapping[str, Seen]:
        """Return what is held of a moment, by route."""
        return self._held.get(moment, {})

    def hold(self, item: Seen) -> None:
        """Keep a moment until it is let go."""
        self._held.setdefault(item.told.moment_id, {})[item.route] = item

    def let_go(self, item: Seen) -> None:
        """Keep a moment no longer."""
        routes = self._held.get(item.told.moment_id, {})
        routes.pop(item.route, None)
        if not routes:
            self._held.pop(item.told.moment_id, None)

    def all(self) -> list[Seen]:
        """Return everything that waits, the longest first, and the same way after a restart."""
        found = [item for routes in self._held.values() for item in routes.values()]
        return sorted(found, key=lambda item: (item.decided_at, item.told.moment_id, item.route))

    def silence(self, order: Order) -> None:
        """Begin a silence."""
        order.status = "active"
        self._silences[order.order_id] = order

    def end(self, silence: UUID | None) -> Order | None:
        """End a silence before its time; return it if it went on."""
        ended = None if silence is None else self._silences.pop(silence, None)
        if ended is not None:
            ended.status = "done"
        return ended

    def end_over(self, now: datetime) -> list[Order]:
        """End the silences whose time is over; return them."""
        over = [item for item in self._silences.values() if (item.until or now) <= now]
        return [ended for item in over if (ended := self.end(item.order_id)) is not None]

    def waits(self, route: Route, item: Seen, now: datetime) -> tuple[Reason, datetime] | None:
        """Return why a moment waits, and until when; None where it need not.

        Of several silences the one that ends last counts.
        """
        silent = [
            silence.until
            for silence in self._silences.values()
            if silence.until is not None
            and silence.until > now
            and silence.rule in ("", item.told.rule)
            and silence.owner in ("", item.owner)
        ]
        if silent:
            return "silenced", max(silent)
        opens = self._routing.opens_at(route, item.told, now)
        return None if opens is None else ("quiet_hours", opens)
