"""An alerter without Kafka, ClickHouse or a clock: a desk, and what a journal would keep of it.

What is kept goes through the JSON of the journal, and is found by the conditions of its queries,
here in plain Python over the same columns.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid5

from pipeline.alerts import journal_rows
from pipeline.alerts.deliveries import Delivery
from pipeline.alerts.desk import Decided, Desk
from pipeline.alerts.phrases import Wording
from pipeline.alerts.routing import Routing
from pipeline.alerts.state import Alert, Order, OrderAction, Seen
from schemas.catalog import Catalog
from schemas.moment import Moment
from tests.unit.catalogs import SMALL

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: A Monday, in open hours.
START = datetime(2026, 10, 19, 8, tzinfo=timezone.utc)
_IDS = UUID("7f0d9f5e-3d3f-4a67-9b25-0c1c3b8d2f11")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
Row = dict[str, Any]

PLACES = """
[[calendars]]
id = "office"
zone = "Europe/Amsterdam"
hours.mon = ["09:00-17:00"]
hours.tue = ["09:00-17:00"]
hours.fri = ["09:00-17:00"]
hours.sun = ["01:00-05:00"]
holidays = [2026-10-20]

[[destinations]]
id = "team"
type = "stdout"

[[destinations]]
id = "boss"
type = "stdout"

[[destinations]]
id = "desk"
type = "stdout"
"""
ROUTE = """
[[routes]]
id = "pain"
to = "team"
"""


def catalog(routes: str = ROUTE) -> Catalog:
    """A catalog with these routes."""
    return Catalog.model_validate(tomllib.loads(SMALL + PLACES + routes))


def moment(name: str = "m", **changes: Any) -> Moment:
    """A moment; its id is made of the name."""
    told: Row = {
        "moment_id": uuid5(_IDS, name),
        "revision": 1,
        "status": "open",
        "kind": "pain",
        "severity": "medium",
        "rule": "long_queue",
        "rule_version": "1",
        "catalog_version": "1+a",
        "customer_key": "customer-1",
        "subject": "",
        "segment": "",
        "touchpoint": "product_page",
        "channel": "web",
        "need": "learn",
        "owner": "Service",
        "text": f"what was found: {name}",
        "cause": name,
        "evidence": [],
        "cause_at": START,
        "occurred_at": START,
        "detected_at": START,
        "changed_at": START,
    }
    return Moment(**{**told, **changes})


def revised(earlier: Moment, status: str, **changes: Any) -> Moment:
    """The next revision of a moment."""
    update = {"status": status, "revision": earlier.revision + 1, **changes}
    return earlier.model_copy(update=update)


class Office:
    """A desk, its journal, and everything that was delivered.

    Args:
        catalog: With routes.
    """

    def __init__(self, chosen: Catalog) -> None:
        self.kept: dict[tuple[Any, ...], Row] = {}
        self.delivered: list[Delivery] = []
        self.now = START
        self.employ(chosen)

    def employ(self, chosen: Catalog) -> None:
        """Go on with another catalog, and a new desk."""
        self.routing = Routing(chosen)
        self.restart()

    def restart(self) -> None:
        """Make the desk anew from what is kept, as the rounds do."""
        cooldowns = self.routing.cooldowns
        since = self.now - max(cooldowns.values(), default=timedelta(0))
        self.desk = Desk(self.routing, Wording(self.catalog_of_words, self.routing))
        self.desk.restore(self.hot_alerts(), self.live(since), self.orders("active"), self.now)

    @property
    def catalog_of_words(self) -> Catalog:
        """Names that notifications use."""
        return catalog()

    def round(
        self, *moments: Moment, orders: Sequence[Order] = (), after: timedelta | None = None
    ) -> Decided:
        """Decide on moments and orders, after some time, and keep it."""
        self.now += after or timedelta(0)
        desk, ids = self.desk, {item.moment_id for item in moments}
        seen: dict[UUID, list[Seen]] = {}
        for row in self.kept.values():
            if row["kind"] == "moment" and row["id"] in ids:
                seen.setdefault(row["id"], []).append(_seen(row))
        named = {item.alert_id for items in seen.values() for item in items}
        named |= {order.alert_id for order in orders}
        wanted = named - set(desk.alerts)
        desk.adopt(_alert(row) for row in self.rows("alert") if row["id"] in wanted)
        desk.pass_time(self.now)
        for order in orders:
            desk.order(deepcopy(order), self.now)
        for item in moments:
            desk.take(item, seen.get(item.moment_id, ()), self.now)
        decided = desk.settle(self.now)
        self._keep(decided)
        return decided

    def told(self, decided: Decided) -> list[tuple[str, str, int]]:
        """What was to be delivered: destination, action, moments in the alert."""
        said = decided.deliveries
        return [(it.destination, it.notification.action, it.notification.count) for it in said]

    def _keep(self, decided: Decided) -> None:
        rows = [
            *(journal_rows.of_moment(item, 1) for item in decided.seen),
            *(journal_rows.of_alert(item, acts, 1) for item, acts in decided.alerts),
            *(journal_rows.of_order(item, 1) for item in decided.orders),
        ]
        for row in rows:
            self.kept[row["kind"], row["id"], row.get("part", "")] = row
        self.delivered += decided.deliveries

    # --- what the journal's queries find --------------------------------------------------------

    def rows(self, kind: str) -> list[Row]:
        """Rows of a kind in the order of the table's key."""
        found = [(key, row) for key, row in self.kept.items() if key[0] == kind]
        return [row for _, row in sorted(found, key=lambda item: item[0])]

    def verdicts(self) -> dict[tuple[UUID, str], Seen]:
        """What was made of every moment by every route."""
        return {(row["id"], row["part"]): _seen(row) for row in self.rows("moment")}

    def verdict(self, about: Moment, route: str = "pain") -> tuple[str, str]:
        """Decision on a moment, and the reason."""
        found = self.verdicts()[about.moment_id, route]
        return found.decision, found.reason

    def alerts(self) -> list[Alert]:
        """Every alert."""
        return [_alert(row) for row in self.rows("alert")]

    def hot_alerts(self) -> list[Alert]:
        """As Journal.hot_alerts."""
        hot = [
            row
            for row in self.rows("alert")
            if row["status"] == "open" and (row["acts"] or row["due_at"] > self.now)
        ]
        return [_alert(row) for row in hot]

    def live(self, since: datetime) -> list[Seen]:
        """As Journal.live_moments."""
        routes = list(self.routing.cooldowns)
        return [
            _seen(row)
            for row in self.rows("moment")
            if row["status"] == "held"
            or (
                row["alert_id"] != UUID(int=0)
                and row["part"] in routes
                and row["created_at"] > since
            )
        ]

    def orders(self, *statuses: str) -> list[Order]:
        """As Journal.orders."""
        found = [row for row in self.rows("order") if row["status"] in statuses]
        found.sort(key=lambda row: (row["created_at"], row["id"]))
        return [journal_rows.ORDER.validate_json(row["body"]) for row in found]


def by_alert(deliveries: Iterable[Delivery]) -> dict[UUID, list[Delivery]]:
    """Deliveries of each alert."""
    found: dict[UUID, list[Delivery]] = {}
    for item in deliveries:
        found.setdefault(item.alert_id, []).append(item)
    return found


def _alert(row: Row) -> Alert:
    found: Alert = journal_rows.ALERT.validate_json(row["body"])
    return found


def _seen(row: Row) -> Seen:
    found: Seen = journal_rows.SEEN.validate_json(row["body"])
    return found


# --- offices of examples --------------------------------------------------------------------------


def office(**keys: Any) -> Office:
    """An office with one route, ``pain``, that tells the team."""
    lines = [f"{key} = {value}" for key, value in {"to": '"team"', **keys}.items()]
    return Office(catalog('[[routes]]\nid = "pain"\n' + "\n".join(lines)))


def only(desk: Office) -> Alert:
    (found,) = desk.alerts()
    return found


def order(action: OrderAction, at: datetime = START, number: int = 1, **more: Any) -> Order:
    return Order(UUID(int=number), action, at, by="Ann", **more)


def silent(desk: Office, lasting: timedelta, number: int = 1, **more: Any) -> Order:
    return order("silence", desk.now, number, until=desk.now + lasting, **more)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
