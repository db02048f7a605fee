"""What there is to tell, and when: moments become alerts, alerts become notifications.

A plain state machine: it reads no clock, does no I/O, and everything it changes it hands out whole
(``settle``), to be stored before anybody is told. Made anew from what was stored it goes on as if
nothing had happened, so a crash tells nothing twice and leaves nothing out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from uuid import UUID

from pipeline.alerts.deliveries import Delivery
from pipeline.alerts.phrases import Wording
from pipeline.alerts.routing import Routing, common
from pipeline.alerts.state import Alert, Order, Reason, Seen
from pipeline.alerts.telling import Telling
from schemas.alerts import Route
from schemas.moment import Moment
from schemas.notification import alert_id

#: Cooldowns that are kept before those that are over are looked for.
_MOST_COOLDOWNS = 100_000

#: What was made of a moment, by route.
Verdicts = dict[str, Seen]
_GroupKey = tuple[str, tuple[str, ...]]


@dataclass
class Decided:
    """What changed, to be stored in one piece.

    Attributes:
        seen: What was made of moments.
        alerts: Alerts, each with whether it will do something by itself.
        deliveries: New ones.
        orders: Orders that were carried out.
    """

    seen: list[Seen] = field(default_factory=list)
    alerts: list[tuple[Alert, bool]] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Return whether anything changed."""
        return bool(self.seen or self.alerts or self.deliveries or self.orders)


class Desk:
    """Decides who is told what. Not for several threads at once.

    Args:
        routing: The routes.
        wording: Says it in words.
    """

    def __init__(self, routing: Routing, wording: Wording) -> None:
        self._routing = routing
        self._telling = Telling(wording)
        self.alerts: dict[UUID, Alert] = {}
        self._joinable: dict[_GroupKey, UUID] = {}
        self._held: dict[UUID, Verdicts] = {}
        self._cooldowns: dict[_GroupKey, datetime] = {}
        self._silences: dict[UUID, Order] = {}
        self._timers: list[tuple[datetime, int, UUID | None]] = []
        self._scheduled: set[tuple[datetime, UUID | None]] = set()
        self._numbers = count()
        self._adopted: list[Alert] = []
        self._seen: dict[UUID, Verdicts] = {}
        self._changed: dict[UUID, Alert] = {}
        self._escalating: set[UUID] = set()
        self._acknowledging: set[UUID] = set()
        self._orders: list[Order] = []

    # --- restart --------------------------------------------------------------------------------

    def restore(
        self, alerts: Iterable[Alert], seen: Iterable[Seen], orders: Iterable[Order], now: datetime
    ) -> None:
        """Go on from what was stored.

        Args:
            alerts: Those that are open and were opened or told of lately, or can be escalated.
            seen: Those held; and those alerted lately, for cooldowns.
            orders: Silences that go on.
            now: The time.
        """
        for order in orders:
            if order.action == "silence" and order.status == "active":
                self._silences[order.order_id] = order
                self._at(order.until, None)
        for alert in alerts:
            if alert.closed_at is None:
                self._watch(alert, now)
        for item in seen:
            if item.waits:
                self._hold(item)
            elif item.decision == "alerted":
                self._cool(item)

    # --- what comes in --------------------------------------------------------------------------

    def adopt(self, alerts: Iterable[Alert]) -> None:
        """Take in stored alerts that the moments or orders of a batch belong to."""
        for alert in alerts:
            if alert.alert_id not in self.alerts:
                self.alerts[alert.alert_id] = alert
                self._adopted.append(alert)

    def take(self, moment: Moment, stored: Iterable[Seen], now: datetime) -> None:
        """Take a revision of a moment.

        Args:
            moment: The revision. Earlier ones, and this one again, change nothing.
            stored: What is stored of it; what was decided since is known here. The alerts that it
                names were adopted.
            now: The time.
        """
        known = {item.route: item for item in stored}
        known.update(self._held.get(moment.moment_id, {}))
        known.update(self._seen.get(moment.moment_id, {}))
        if known:
            for item in known.values():
                if moment.revision > item.revision:
                    self._again(item, moment, now)
        else:
            for route in self._routing.of(moment):
                self._first(route, moment, now)

    def order(self, order: Order, now: datetime) -> None:
        """Carry out what a person asked; orders to deliver again are the courier's.

        Args:
            order: The order, and for ``acknowledge`` its alert in ``alerts`` if it is open.
            now: The time.
        """
        if order.action == "acknowledge" and order.alert_id in self.alerts:
            alert = self.alerts[order.alert_id]
            if alert.closed_at is None and alert.acknowledged_at is None:
                alert.acknowledged_at, alert.acknowledged_by = order.made_at, order.by
                self._changed[alert.alert_id] = alert
                self._acknowledging.add(alert.alert_id)
        elif order.action == "silence" and order.until is not None and order.until > now:
            order.status = "active"
            self._silences[order.order_id] = order
            self._at(order.until, None)
            self._orders.append(order)
            return
        elif order.action == "unsilence" and order.target in self._silences:
            ended = self._silences.pop(order.target)
            ended.status = "done"
            self._orders.append(ended)
            self._release(now)
        order.status = "done"
        self._orders.append(order)

    def pass_time(self, now: datetime) -> None:
        """Do what was due."""
        while self._timers and self._timers[0][0] <= now:
            at, _, alert = heappop(self._timers)
            self._scheduled.discard((at, alert))
            if alert is None:
                self._release(now)
            elif alert in self.alerts:
                self._act(self.alerts[alert], now)

    def next_at(self) -> datetime | None:
        """Return when there is something to do next."""
        return self._timers[0][0] if self._timers else None

    # --- decisions ------------------------------------------------------------------------------

    def _first(self, route: Route, moment: Moment, now: datetime) -> None:
        item = Seen(
            route=route.id,
            revision=moment.revision,
            status=moment.status,
            kind=moment.kind,
            owner=moment.owner,
            told=self._routing.told(moment),
            decision="suppressed",
            reason="",
            decided_at=now,
        )
        self._note(item)
        self._decide(route, item, now)

    def _decide(self, route: Route, item: Seen, now: datetime) -> None:
        told = item.told
        if item.status != "open":
            item.decision, item.reason = "suppressed", "closed_before"
        elif route.max_age is not None and told.occurred_at < now - route.max_age:
            item.decision, item.reason = "suppressed", "too_old"
        elif (wait := self._waits(route, item, now)) is not None:
            item.decision, (item.reason, item.until) = "held", wait
            self._hold(item)
        elif self._cooldowns.get(_again_key(route, item), now) > now:
            item.decision, item.reason = "suppressed", "cooldown"
        else:
            self._join(route, item, now)

    def _waits(self, route: Route, item: Seen, now: datetime) -> tuple[Reason, datetime] | None:
        """Return why a moment waits, and until when."""
        for silence in self._silences.values():
            if (
                silence.until is not None
                and silence.until > now
                and silence.rule in ("", item.told.rule)
                and silence.owner in ("", item.owner)
            ):
                return "silenced", silence.until
        opens = self._routing.opens_at(route, item.told, now)
        return None if opens is None else ("quiet_hours", opens)

    def _join(self, route: Route, item: Seen, now: datetime, summary: UUID | None = None) -> None:
        group = common(route.group_by, item.told, item.owner)
        key: _GroupKey = (route.id, tuple(group.values()))
        found = summary or self._joinable.get(key)
        alert = self.alerts.get(found) if found is not None else None
        if alert is None or alert.closed_at is not None or (summary is None and _over(alert, now)):
            alert = self._open(route, item, {} if summary else group, now)
            alert.summary = summary is not None
            if summary is None:
                self._joinable[key] = alert.alert_id
        alert.add(item.told, item.owner)
        item.decision, item.reason, item.until = "alerted", "", None
        item.alert_id, item.decided_at = alert.alert_id, now
        self._changed[alert.alert_id] = alert
        self._note(item)
        self._cool(item)

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
        self._watch(alert, now)
        return alert

    def _again(self, item: Seen, moment: Moment, now: datetime) -> None:
        was_open, item.status, item.revision = item.status == "open", moment.status, moment.revision
        is_open, item.owner = moment.status == "open", moment.owner
        self._note(item)
        route = self._routing[item.route]
        alert = self.alerts.get(item.alert_id) if item.alert_id is not None else None
        if item.waits:
            item.told = self._routing.told(moment)
            if not is_open:
                item.decision, item.reason, item.until = "suppressed", "closed_while_held", None
                self._let_go(item)
        elif item.decision == "alerted" and alert is not None and alert.closed_at is None:
            if was_open != is_open:
                alert.open += 1 if is_open else -1
                self._changed[alert.alert_id] = alert
                if alert.open == 0:
                    alert.closed_at = now
        elif is_open and not was_open and route is not None:  # it was not mended after all
            item.told = self._routing.told(moment)
            self._decide(route, item, now)

    def _note(self, item: Seen) -> None:
        self._seen.setdefault(item.told.moment_id, {})[item.route] = item

    def _hold(self, item: Seen) -> None:
        self._held.setdefault(item.told.moment_id, {})[item.route] = item
        self._at(item.until, None)

    def _let_go(self, item: Seen) -> None:
        routes = self._held.get(item.told.moment_id, {})
        routes.pop(item.route, None)
        if not routes:
            self._held.pop(item.told.moment_id, None)

    # --- time -----------------------------------------------------------------------------------

    def _at(self, at: datetime | None, alert: UUID | None) -> None:
        """Note to look at an alert then; or, without one, at what is held."""
        if at is not None and (at, alert) not in self._scheduled:
            self._scheduled.add((at, alert))
            heappush(self._timers, (at, next(self._numbers), alert))

    def _watch(self, alert: Alert, now: datetime) -> None:
        """Keep an open alert in mind while it can act by itself."""
        self.alerts[alert.alert_id] = alert
        route = self._routing[alert.route]
        if route is None:
            return
        if not alert.summary and not _over(alert, now) and list(alert.group) == route.group_by:
            self._joinable[route.id, tuple(alert.group.values())] = alert.alert_id
        self._at(alert.joins_until, alert.alert_id)
        if escalates(route, alert) and route.escalate is not None:
            self._at(alert.opened_at + route.escalate.after, alert.alert_id)
        if alert.fresh and alert.notified_at is not None:
            self._at(alert.notified_at + route.update_every, alert.alert_id)

    def _act(self, alert: Alert, now: datetime) -> None:
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
            self._escalating.add(alert.alert_id)
            self._changed[alert.alert_id] = alert
        elif alert.fresh:
            self._changed[alert.alert_id] = alert
        else:
            self._adopted.append(alert)  # looked at when all is settled, and forgotten if cold

    def _release(self, now: datetime) -> None:
        """Tell of what was held and need wait no longer, one summary a route."""
        for silence in [item for item in self._silences.values() if (item.until or now) <= now]:
            silence.status = "done"
            self._orders.append(self._silences.pop(silence.order_id))
        summaries: dict[str, UUID] = {}
        for item in [item for routes in self._held.values() for item in routes.values()]:
            route = self._routing[item.route]
            wait = None if route is None else self._waits(route, item, now)
            if wait is not None:
                if (item.reason, item.until) != wait:
                    item.reason, item.until = wait
                    self._note(item)
                    self._at(item.until, None)
                continue
            self._let_go(item)
            if route is None:
                item.decision, item.reason, item.until = "suppressed", "route_gone", None
                self._note(item)
                continue
            begun = alert_id(route.id, item.told.moment_id, item.revision)
            self._join(route, item, now, summary=summaries.setdefault(route.id, begun))

    def _cool(self, item: Seen) -> None:
        route = self._routing[item.route]
        if route is not None and route.cooldown is not None:
            key = _again_key(route, item)
            until = item.decided_at + route.cooldown
            self._cooldowns[key] = max(until, self._cooldowns.get(key, until))

    # --- what comes out -------------------------------------------------------------------------

    def settle(self, now: datetime) -> Decided:
        """Return everything that changed, with the notifications that are due, and forget it."""
        decided = Decided(orders=self._orders)
        changed = list(self._changed.values())
        for alert in changed:
            route = self._routing[alert.route]
            decided.deliveries += self._telling.due(
                alert,
                route,
                now,
                acknowledged=alert.alert_id in self._acknowledging,
                escalated=alert.alert_id in self._escalating,
            )
            if route is not None and alert.fresh and alert.notified_at is not None:
                self._at(alert.notified_at + route.update_every, alert.alert_id)
            decided.alerts.append((alert, acts(route, alert)))
        decided.seen = [item for routes in self._seen.values() for item in routes.values()]
        for alert in (*changed, *self._adopted):
            if not is_hot(self._routing[alert.route], alert, now):
                self._forget(alert)
        if len(self._cooldowns) > _MOST_COOLDOWNS:
            self._cooldowns = {key: at for key, at in self._cooldowns.items() if at > now}
        self._seen, self._changed, self._orders, self._adopted = {}, {}, [], []
        self._escalating, self._acknowledging = set(), set()
        return decided

    def _forget(self, alert: Alert) -> None:
        self.alerts.pop(alert.alert_id, None)
        key = (alert.route, tuple(alert.group.values()))
        if self._joinable.get(key) == alert.alert_id:
            del self._joinable[key]


def is_hot(route: Route | None, alert: Alert, now: datetime) -> bool:
    """Return whether an alert can still do something by itself."""
    if alert.closed_at is not None or route is None:
        return False
    return not _over(alert, now) or acts(route, alert)


def acts(route: Route | None, alert: Alert) -> bool:
    """Return whether there is something an open alert will do, however long that takes."""
    if alert.closed_at is not None:
        return False
    return bool(alert.fresh) or (route is not None and escalates(route, alert))


def escalates(route: Route, alert: Alert) -> bool:
    """Return whether an alert is told to others when its term is over."""
    return (
        route.escalate is not None
        and alert.escalated_at is None
        and alert.acknowledged_at is None
        and alert.closed_at is None
    )


def _over(alert: Alert, now: datetime) -> bool:
    return alert.joins_until <= now


def _again_key(route: Route, item: Seen) -> _GroupKey:
    return route.id, tuple(common(route.cooldown_by, item.told, item.owner).values())
