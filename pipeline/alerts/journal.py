"""The journal of alerts in ClickHouse: everything the alerter knows, written in one piece.

One insert of one block into a table without partitions is there whole or not at all, so a crash
leaves no moment without its alert and no alert without its deliveries. A row that is written again
counts once: the highest version does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from threading import Lock
from time import time_ns
from typing import Any, TypeVar
from uuid import UUID

from clickhouse_connect.driver.client import Client
from pydantic import TypeAdapter

from pipeline.alerts.deliveries import Delivery
from pipeline.alerts.desk import Decided
from pipeline.alerts.journal_rows import (
    ALERT,
    COLUMNS,
    NOTHING,
    ORDER,
    SEEN,
    of_alert,
    of_delivery,
    of_moment,
    of_order,
)
from pipeline.alerts.state import Alert, Order, Seen
from pipeline.warehouse.client import explained
from schemas.notification import Notification

_TABLE = "alert_records"
#: Acknowledged when it is in the table, as one block, and never held to be a repetition.
_SETTINGS = {
    "async_insert": 0,
    "insert_deduplicate": 0,
    "max_insert_block_size": 1_048_576,
    "min_insert_block_size_rows": 1_048_576,
    "min_insert_block_size_bytes": 1_073_741_824,
}
#: Most ids asked for at once: ClickHouse limits the length of a parameter.
_MOST_IDS = 2_000
_LATEST = """
SELECT body FROM alert_records FINAL WHERE kind = {kind:String} AND id IN {ids:Array(UUID)}
"""
_HOT_ALERTS = """
SELECT body FROM alert_records FINAL
WHERE kind = 'alert' AND status = 'open' AND (acts OR due_at > {now:DateTime64(6)})
"""
_LIVE_MOMENTS = """
SELECT body FROM alert_records FINAL
WHERE kind = 'moment' AND (
    status = 'held'
    OR (
        alert_id != toUUID('00000000-0000-0000-0000-000000000000')
        AND part IN {routes:Array(String)}
        AND created_at > {since:DateTime64(6)}
    )
)
"""
_ORDERS = """
SELECT body FROM alert_records FINAL WHERE kind = 'order' AND status IN {statuses:Array(String)}
ORDER BY created_at, id
"""
#: Every delivery of the alerts that have one of these.
_DELIVERIES = """
SELECT id, part, sequence, status, created_at, attempts, due_at, ended_at, http_status, detail, body
FROM alert_records FINAL
WHERE kind = 'delivery'
    AND ({destination:String} = '' OR part = {destination:String})
    AND ({alert:UUID} = toUUID('00000000-0000-0000-0000-000000000000') OR id = {alert:UUID})
    AND (id, part) IN (
        SELECT id, part FROM alert_records FINAL
        WHERE kind = 'delivery' AND status IN {statuses:Array(String)}
    )
ORDER BY id, part, sequence
"""
_NAMED = """
SELECT DISTINCT alert_id FROM alert_records FINAL
WHERE (kind = 'alert' OR (kind = 'moment' AND status = 'alerted'))
    AND startsWith(toString(id), {name:String})
LIMIT 100
"""
_OPEN_ALERTS = """
SELECT body FROM alert_records FINAL WHERE kind = 'alert' AND status = 'open'
ORDER BY indexOf(['low', 'medium', 'high', 'critical'], severity) DESC, created_at DESC
LIMIT {limit:UInt32}
"""
_LAST_VERSION = "SELECT max(version) FROM alert_records"
_LATELY = """
SELECT customer_key, touchpoint, channel
FROM
(
    SELECT customer_key, event_id, occurred_at, touchpoint, channel
    FROM interaction_records
    WHERE customer_key IN {customers:Array(String)}
    ORDER BY topic, topic_id, partition, offset
    LIMIT 1 BY customer_key, event_id
)
ORDER BY customer_key, occurred_at DESC, event_id DESC
LIMIT 3 BY customer_key
"""
_T = TypeVar("_T")


class Journal:
    """Writes and reads the journal. Its methods block; one thread at a time for each client.

    Every method raises RetryableError where ClickHouse does not answer or cannot for now,
    SchemaMismatch where the table is missing, and FatalError where it refuses for good.

    Args:
        client: ClickHouse client on the database that has the table.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._versions = Versions()

    def begin(self) -> None:
        """Go on counting where the journal is, whatever clock its last writer had."""
        with explained():
            self._versions.begin(self._client.query(_LAST_VERSION).result_rows[0][0])

    # --- writing --------------------------------------------------------------------------------

    def store(self, decided: Decided) -> None:
        """Store what was decided, whole; when it returns, it is there."""
        version = self._versions.next()
        self._insert(
            [
                *(of_moment(item, version) for item in decided.seen),
                *(of_alert(item, acts, version) for item, acts in decided.alerts),
                *(of_delivery(item, version) for item in decided.deliveries),
                *(of_order(item, version) for item in decided.orders),
            ]
        )

    def record(self, deliveries: Sequence[Delivery]) -> None:
        """Store what became of deliveries."""
        version = self._versions.next()
        self._insert([of_delivery(item, version) for item in deliveries])

    def ask(self, orders: Iterable[Order]) -> None:
        """Leave orders for the alerter, which overwrites them whatever the clocks say."""
        self._insert([of_order(item, 1) for item in orders])

    def _insert(self, rows: Sequence[dict[str, Any]]) -> None:
        if not rows:
            return
        with explained():
            self._client.insert(
                _TABLE,
                [[row.get(name, default) for row in rows] for name, default in COLUMNS.items()],
                column_names=list(COLUMNS),
                column_oriented=True,
                settings=_SETTINGS,
            )

    # --- reading --------------------------------------------------------------------------------

    def seen(self, moments: Collection[UUID]) -> dict[UUID, list[Seen]]:
        """Return what was made of moments, by the moment's id."""
        found: dict[UUID, list[Seen]] = {}
        for item in self._bodies(SEEN, "moment", moments):
            found.setdefault(item.told.moment_id, []).append(item)
        return found

    def alerts(self, ids: Collection[UUID]) -> list[Alert]:
        """Return alerts."""
        return list(self._bodies(ALERT, "alert", ids))

    def named(self, name: str) -> list[UUID]:
        """Return the alerts whose id, or the id of a moment of theirs, begins so; at most 100."""
        with explained():
            rows = self._client.query(_NAMED, parameters={"name": name}).result_rows
        return [row[0] for row in rows]

    def open_alerts(self, limit: int) -> list[Alert]:
        """Return open alerts, the worst first and of those the newest."""
        with explained():
            rows = self._client.query(_OPEN_ALERTS, parameters={"limit": limit}).result_rows
        return [ALERT.validate_json(body) for (body,) in rows]

    def hot_alerts(self, now: datetime) -> list[Alert]:
        """Return the open alerts that can do something by themselves."""
        with explained():
            rows = self._client.query(_HOT_ALERTS, parameters={"now": now}).result_rows
        return [ALERT.validate_json(body) for (body,) in rows]

    def live_moments(self, since: datetime, routes: Collection[str]) -> list[Seen]:
        """Return the moments that are held, and those that some routes may have alerted since."""
        asked = {"since": since, "routes": list(routes)}
        with explained():
            rows = self._client.query(_LIVE_MOMENTS, parameters=asked).result_rows
        return [SEEN.validate_json(body) for (body,) in rows]

    def orders(self, *statuses: str) -> list[Order]:
        """Return orders of some statuses, in the order they were made."""
        with explained():
            asked = {"statuses": list(statuses)}
            rows = self._client.query(_ORDERS, parameters=asked).result_rows
        return [ORDER.validate_json(body) for (body,) in rows]

    def deliveries(
        self, *statuses: str, destination: str = "", alert: UUID | None = None
    ) -> list[Delivery]:
        """Return what was to be delivered of alerts, where any of it has one of these statuses.

        All deliveries of such an alert to such a destination, in their order.

        Args:
            statuses: Which.
            destination: Only to this destination.
            alert: Only of this alert.
        """
        asked = {
            "statuses": list(statuses),
            "destination": destination,
            "alert": str(alert or NOTHING),
        }
        with explained():
            rows = self._client.query(_DELIVERIES, parameters=asked).result_rows
        return [
            Delivery(
                alert_id=row[0],
                destination=row[1],
                sequence=row[2],
                status=row[3],
                created_at=row[4],
                attempts=row[5],
                next_at=row[6],
                ended_at=row[7],
                http_status=row[8],
                detail=row[9],
                notification=Notification.model_validate_json(row[10]),
            )
            for row in rows
        ]

    def lately(self, customers: Collection[str]) -> dict[str, list[tuple[str, str]]]:
        """Return the last three touchpoints of customers, as (touchpoint, channel), latest last."""
        found: dict[str, list[tuple[str, str]]] = {}
        for some in _some(sorted(customers)):
            with explained():
                rows = self._client.query(_LATELY, parameters={"customers": some}).result_rows
            for customer, touchpoint, channel in rows:
                found.setdefault(customer, []).insert(0, (touchpoint, channel))
        return found

    def _bodies(self, adapter: TypeAdapter[_T], kind: str, ids: Collection[UUID]) -> Iterator[_T]:
        for some in _some(list(ids)):
            asked = {"kind": kind, "ids": [str(item) for item in some]}
            with explained():
                rows = self._client.query(_LATEST, parameters=asked).result_rows
            yield from (adapter.validate_json(body) for (body,) in rows)


class Versions:
    """Numbers that rise with every write, also after a restart: the time in nanoseconds."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = Lock()

    def begin(self, last: int) -> None:
        """Go on behind a number."""
        with self._lock:
            self._last = max(self._last, last)

    def next(self) -> int:
        """Return the next."""
        with self._lock:
            self._last = max(self._last + 1, time_ns())
            return self._last


def _some(items: list[_T]) -> Iterator[list[_T]]:
    for start in range(0, len(items), _MOST_IDS):
        yield items[start : start + _MOST_IDS]
