"""The alerts in mind: which a moment joins, and what they do by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from pipeline.alerts.routing import Routing, common
from pipeline.alerts.standing import escalates, is_hot, is_over
from pipeline.alerts.state import Alert, Seen
from pipeline.alerts.timers import Timers
from schemas.alerts import Route
from schemas.notification import alert_id


class Gathering:
    """Alerts that can still do something, and those that a batch is about.

    Args:
        routing: The routes.
        timers: Where it is noted when an alert is to be looked at.

    Attributes:
        alerts: The alerts, by id.
        changed: Those among them that changed since they were settled.
        escalating: Those whose term is just over.
    """

    def __init__(self, routing: Routing, timers: Timers) -> None:
        self._routing = routing
        self._timers = timers
        self.alerts: dict[UUID, Alert] = {}
        self.changed: dict[UUID, Alert] = {}
        self.escalating: set[UUID] = set()
        self._joinable: dict[tuple[str, tuple[str, ...]], UUID] = {}
        self._looked_at: list[Alert] = []

    def adopt(self, alerts: Iterable[Alert]) -> None:
        """Take in stored alerts until all is settled."""
        for alert in alerts:
            if alert.alert_id not in self.alerts:
                self.alerts[alert.alert_id] = alert
                self._looked_at.append(alert)

    def watch(self, alert: Alert, now: datetime) -> None:
        """Keep an open alert in mind while it can be joined or act by itself."""
        route = self._routing[alert.route]
        if route is None:
            return
        self.alerts[alert.alert_id] = alert
        if not is_over(alert, now):
            if list(alert.group) == list(dict.fromkeys(route.group_by)):
                self._joinable[route.id, tuple(alert.group.values())] = alert.alert_id
            self._timers.note(alert.joins_until, alert.alert_id)
        if escalates(route, alert) and route.escalate is not None:
            self._timers.note(alert.opened_at + route.escalate.after, alert.alert_id)
        self.wait_to_update(alert)

    def wait_to_update(self, alert: Alert) -> None:
        """Note when what is new in an alert is to be told."""
        route = self._routing[alert.route]
        if route is not None and alert.fresh and alert.notified_at is not None:
            self._timers.note(alert.notified_at + route.update_every, alert.alert_id)

    def join(self, route: Route, item: Seen, now: datetime) -> UUID:
        """Add a moment to the alert of those it has something in common with; return its id."""
        group = common(route.group_by, item.told, item.owner)
        found = self._joinable.get((route.id, tuple(group.values())))
        alert = self.alerts.get(found) if found is not None else None
        if alert is None or alert.closed_at is not None or is_over(alert, now):
            alert = self._open(route, item, group, now)
        self._add(alert, item)
        return alert.alert_id

    def summarise(self, route: Route, items: Iterable[Seen], now: datetime) -> UUID:
        """Add moments to a new alert of their own; return its id."""
        alert: Alert | None = None
        for item in items:
            if alert is None:
                alert = self._open(route, item, {}, now)
                alert.summary = True
            self._add(alert, item)
        if alert is None:
            raise ValueError("a summary of nothing")
        return alert.alert_id

    def act(self, alert: Alert, now: datetime) -> None:
        """Do what an alert does by itself: escalate, tell what is new, or be forgotten."""
        route = self._routing[alert.route]
        if route is None or alert.closed_at is not None:
            return
        if (
            escalates(route, alert)
            and route.escalate is not None
            and alert.opened_at + route.escalate.after <= now
        ):
            alert.escalated_at = now
            self.escalating.add(alert.alert_id)
            self.changed[alert.alert_id] = alert
        elif alert.fresh:
            self.changed[alert.alert_id] = alert
        else:
            self._looked_at.append(alert)

    def settle(self, now: datetime) -> None:
        """Forget what changed, and the alerts that do nothing by themselves."""
        for alert in (*self.changed.values(), *self._looked_at):
            if not is_hot(self._routing[alert.route], alert, now):
                self._forget(alert)
        self.changed, self._looked_at, self.escalating = {}, [], set()

    def _open(self, route: Route, item: Seen, group: dict[str, str], now: datetime) -> Alert:
        alert = Alert(
            alert_id=alert_id(route.id, item.told.moment_id, item.revision),
            route=route.id,
            group=group,
            kind=item.kind,
            severity=item.told.severity,
            opened_at=now,
            joins_until=now if "moment" in group else now + route.window,
        )
        self.watch(alert, now)
        return alert

    def _add(self, alert: Alert, item: Seen) -> None:
        alert.add(item.told, item.owner)
        self.changed[alert.alert_id] = alert

    def _forget(self, alert: Alert) -> None:
        self.alerts.pop(alert.alert_id, None)
        key = (alert.route, tuple(alert.group.values()))
        if self._joinable.get(key) == alert.alert_id:
            del self._joinable[key]
