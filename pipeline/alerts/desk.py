"""What there is to tell, and when: moments become alerts, alerts become notifications.

A plain state machine: it reads no clock, does no I/O, and everything it changes it hands out whole
(``settle``), to be stored before anybody is told. Made anew from what was stored it goes on as if
nothing had happened, so a crash tells nothing twice and leaves nothing out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from pipeline.alerts.cooldowns import Cooldowns
from pipeline.alerts.deliveries import Delivery
from pipeline.alerts.gathering import Gathering
from pipeline.alerts.holding import Holding
from pipeline.alerts.phrases import Wording
from pipeline.alerts.routing import Routing
from pipeline.alerts.standing import acts
from pipeline.alerts.state import Alert, Order, Reason, Seen
from pipeline.alerts.telling import Telling
from pipeline.alerts.timers import Timers
from schemas.alerts import Route
from schemas.moment import Moment

#: What was made of a moment, by route.
Verdicts = dict[str, Seen]


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
        self._timers = Timers()
        self._gathering = Gathering(routing, self._timers)
        self._holding = Holding(routing)
        self._cooldowns = Cooldowns(routing)
        self._seen: dict[UUID, Verdicts] = {}
        self._acknowledging: set[UUID] = set()
        self._orders: list[Order] = []

    @property
    def alerts(self) -> dict[UUID, Alert]:
        """The alerts in mind."""
        return self._gathering.alerts

    # --- restart --------------------------------------------------------------------------------

    def restore(
        self, alerts: Iterable[Alert], seen: Iterable[Seen], orders: Iterable[Order], now: datetime
    ) -> None:
        """Go on from what was stored.

        Args:
            alerts: Those that are open and were opened or told of lately, or can be escalated.
            seen: Those held; and those that were alerted lately, for cooldowns.
            orders: Silences that go on.
            now: The time.
        """
        for order in orders:
            if order.action == "silence" and order.status == "active":
                self._holding.silence(order)
                self._timers.note(order.until, None)
        for alert in alerts:
            if alert.closed_at is None:
                self._gathering.watch(alert, now)
        for item in seen:
            if item.decision == "held":
                self._hold(item)
            self._cooldowns.begin(item)

    # --- what comes in --------------------------------------------------------------------------

    def adopt(self, alerts: Iterable[Alert]) -> None:
        """Take in stored alerts that the moments or orders of a batch belong to."""
        self._gathering.adopt(alerts)

    def take(self, moment: Moment, stored: Iterable[Seen], now: datetime) -> None:
        """Take a revision of a moment.

        Args:
            moment: The revision. Earlier ones, and this one again, change nothing.
            stored: What is stored of it; what was decided since is known here. The alerts that it
                names were adopted.
            now: The time.
        """
        known = {item.route: item for item in stored}
        known.update(self._holding.of(moment.moment_id))
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
                self._gathering.changed[alert.alert_id] = alert
                self._acknowledging.add(alert.alert_id)
        elif order.action == "silence" and order.until is not None and order.until > now:
            self._holding.silence(order)
            self._timers.note(order.until, None)
            self._orders.append(order)
            return
        elif order.action == "unsilence" and (ended := self._holding.end(order.target)):
            self._orders.append(ended)
            self._release(now)
        order.status = "done"
        self._orders.append(order)

    def pass_time(self, now: datetime) -> None:
        """Do what was due."""
        while (due := self._timers.pop(now)) is not None:
            _, alert = due
            if alert is None:
                self._release(now)
            elif alert in self.alerts:
                self._gathering.act(self.alerts[alert], now)

    def next_at(self) -> datetime | None:
        """Return when there is something to do next."""
        return self._timers.next_at()

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
        item.decided_at, item.until = now, None
        told = item.told
        # Who was told that it is mended has to hear that it is not, however old or often told.
        again = item.alerted_at is not None
        if item.status != "open":
            item.decision, item.reason = "suppressed", "closed_before"
        elif not again and route.max_age is not None and told.occurred_at < now - route.max_age:
            item.decision, item.reason = "suppressed", "too_old"
        elif (wait := self._holding.waits(route, item, now)) is not None:
            item.decision, (item.reason, item.until) = "held", wait
            self._hold(item)
        elif not again and self._cooldowns.holds(route, item, now):
            item.decision, item.reason = "suppressed", "cooldown"
        else:
            self._alerted(item, self._gathering.join(route, item, now), now)

    def _alerted(self, item: Seen, alert: UUID, now: datetime) -> None:
        item.decision, item.reason, item.until = "alerted", "", None
        item.alert_id, item.decided_at, item.alerted_at = alert, now, now
        self._note(item)
        self._cooldowns.begin(item)

    def _suppress(self, item: Seen, reason: Reason, now: datetime) -> None:
        item.decision, item.reason, item.until = "suppressed", reason, None
        item.decided_at = now
        self._note(item)

    def _again(self, item: Seen, moment: Moment, now: datetime) -> None:
        was_open, item.status, item.revision = item.status == "open", moment.status, moment.revision
        is_open = moment.status == "open"
        self._note(item)
        route = self._routing[item.route]
        alert = self.alerts.get(item.alert_id) if item.alert_id is not None else None
        if item.decision == "held":
            self._tell_of(item, moment)
            if not is_open:
                self._holding.let_go(item)
                self._suppress(item, "closed_while_held", now)
        elif item.decision == "alerted" and alert is not None and alert.closed_at is None:
            alert.revise(moment.moment_id, moment.status)
            if was_open != is_open:
                alert.open += 1 if is_open else -1
                alert.closed_at = None if alert.open else now
            self._gathering.changed[alert.alert_id] = alert
        elif is_open and not was_open and route is not None:  # it was not mended after all
            self._tell_of(item, moment)
            self._decide(route, item, now)

    def _tell_of(self, item: Seen, moment: Moment) -> None:
        item.told, item.owner = self._routing.told(moment), moment.owner

    def _note(self, item: Seen) -> None:
        self._seen.setdefault(item.told.moment_id, {})[item.route] = item

    def _hold(self, item: Seen) -> None:
        self._holding.hold(item)
        self._timers.note(item.until, None)

    def _release(self, now: datetime) -> None:
        """Tell of what was held and need wait no longer, one summary a route."""
        self._orders += self._holding.end_over(now)
        over: dict[str, list[Seen]] = {}
        for item in self._holding.all():
            route = self._routing[item.route]
            wait = None if route is None else self._holding.waits(route, item, now)
            if wait is None:
                self._holding.let_go(item)
                over.setdefault(item.route, []).append(item)
            elif (item.reason, item.until) != wait:
                item.reason, item.until = wait
                self._note(item)
                self._timers.note(item.until, None)
        for name, items in over.items():
            route = self._routing[name]
            if route is None:
                for item in items:
                    self._suppress(item, "route_gone", now)
            else:
                alert = self._gathering.summarise(route, items, now)
                for item in items:
                    self._alerted(item, alert, now)

    # --- what comes out -------------------------------------------------------------------------

    def settle(self, now: datetime) -> Decided:
        """Return everything that changed, with the notifications that are due, and forget it."""
        decided = Decided(orders=self._orders)
        for alert in self._gathering.changed.values():
            route = self._routing[alert.route]
            decided.deliveries += self._telling.due(
                alert,
                route,
                now,
                acknowledged=alert.alert_id in self._acknowledging,
                escalated=alert.alert_id in self._gathering.escalating,
            )
            self._gathering.wait_to_update(alert)
            decided.alerts.append((alert, acts(route, alert)))
        decided.seen = [item for routes in self._seen.values() for item in routes.values()]
        self._gathering.settle(now)
        self._cooldowns.forget_over(now)
        self._seen, self._orders, self._acknowledging = {}, [], set()
        return decided
