"""What was told lately and is not told again for a while."""

from __future__ import annotations

from datetime import datetime

from pipeline.alerts.routing import Routing, common
from pipeline.alerts.state import Seen
from schemas.alerts import Route

#: Cooldowns that are kept before those that are over are looked for.
_MOST = 100_000


class Cooldowns:
    """The cooldowns of routes that have one.

    Args:
        routing: The routes.
    """

    def __init__(self, routing: Routing) -> None:
        self._routing = routing
        self._until: dict[tuple[str, tuple[str, ...]], datetime] = {}

    def begin(self, item: Seen) -> None:
        """Begin one where a moment was alerted and its route has a cooldown."""
        route = self._routing[item.route]
        if route is not None and route.cooldown is not None and item.alerted_at is not None:
            key, until = _key(route, item), item.alerted_at + route.cooldown
            self._until[key] = max(until, self._until.get(key, until))

    def holds(self, route: Route, item: Seen, now: datetime) -> bool:
        """Return whether the same was told lately."""
        return self._until.get(_key(route, item), now) > now

    def forget_over(self, now: datetime) -> None:
        """Forget those that are over, where they are many."""
        if len(self._until) > _MOST:
            self._until = {key: at for key, at in self._until.items() if at > now}


def _key(route: Route, item: Seen) -> tuple[str, tuple[str, ...]]:
    return route.id, tuple(common(route.cooldown_by, item.told, item.owner).values())
