"""Rows of the journal of alerts: what stands in which column, beside the whole as JSON."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from pipeline.alerts.deliveries import Delivery
from pipeline.alerts.state import Alert, Order, Seen

#: Stands where there is no alert.
NOTHING = UUID(int=0)
#: To JSON and back.
SEEN, ALERT, ORDER = TypeAdapter(Seen), TypeAdapter(Alert), TypeAdapter(Order)

#: Columns that are written, with what stands there where a row says nothing.
COLUMNS: dict[str, Any] = {
    "kind": "",
    "id": NOTHING,
    "part": "",
    "sequence": 0,
    "version": 0,
    "status": "",
    "acts": False,
    "reason": "",
    "detail": "",
    "alert_id": NOTHING,
    "route": "",
    "destination": "",
    "action": "",
    "moment_kind": "",
    "moment_status": "",
    "rule": "",
    "severity": "",
    "owner": "",
    "customer_key": "",
    "segment": "",
    "touchpoint": "",
    "channel": "",
    "subject": "",
    "revision": 0,
    "moments": 0,
    "open_moments": 0,
    "attempts": 0,
    "http_status": 0,
    "cause_at": None,
    "occurred_at": None,
    "created_at": datetime(1970, 1, 1, tzinfo=timezone.utc),
    "due_at": None,
    "ended_at": None,
    "actor": "",
    "body": "",
}


def of_moment(item: Seen, version: int) -> dict[str, Any]:
    """Return the row of what a route made of a moment."""
    told = item.told
    return {
        "kind": "moment",
        "id": told.moment_id,
        "part": item.route,
        "version": version,
        "status": item.decision,
        "reason": item.reason,
        "alert_id": item.alert_id or NOTHING,
        "route": item.route,
        "moment_kind": item.kind,
        "moment_status": item.status,
        "rule": told.rule,
        "severity": told.severity,
        "owner": item.owner,
        "customer_key": told.customer_key,
        "segment": told.segment,
        "touchpoint": told.touchpoint,
        "channel": told.channel,
        "subject": told.subject,
        "revision": item.revision,
        "cause_at": told.cause_at,
        "occurred_at": told.occurred_at,
        "created_at": item.decided_at,
        "due_at": item.until,
        "body": SEEN.dump_json(item).decode(),
    }


def of_alert(item: Alert, acts: bool, version: int) -> dict[str, Any]:
    """Return the row of an alert; ``acts`` as in ``Decided``."""
    return {
        "kind": "alert",
        "id": item.alert_id,
        "version": version,
        "status": "open" if item.closed_at is None else "closed",
        "acts": acts,
        "alert_id": item.alert_id,
        "route": item.route,
        "moment_kind": item.kind,
        "rule": item.group.get("rule", ""),
        "severity": item.severity,
        "owner": ", ".join(item.owners),
        "moments": item.count,
        "open_moments": item.open,
        "created_at": item.opened_at,
        "due_at": item.joins_until,
        "ended_at": item.closed_at,
        "actor": item.acknowledged_by,
        "body": ALERT.dump_json(item).decode(),
    }


def of_delivery(item: Delivery, version: int) -> dict[str, Any]:
    """Return the row of a delivery."""
    said = item.notification
    return {
        "kind": "delivery",
        "id": item.alert_id,
        "part": item.destination,
        "sequence": item.sequence,
        "version": version,
        "status": item.status,
        "detail": item.detail,
        "alert_id": item.alert_id,
        "route": said.route,
        "destination": item.destination,
        "action": said.action,
        "moment_kind": said.kind,
        "severity": said.severity,
        "owner": said.owner,
        "moments": said.count,
        "open_moments": said.open,
        "attempts": item.attempts,
        "http_status": item.http_status,
        "created_at": item.created_at,
        "due_at": item.next_at,
        "ended_at": item.ended_at,
        "body": said.model_dump_json(),
    }


def of_order(item: Order, version: int) -> dict[str, Any]:
    """Return the row of an order."""
    return {
        "kind": "order",
        "id": item.order_id,
        "version": version,
        "status": item.status,
        "detail": item.reason,
        "alert_id": item.alert_id or NOTHING,
        "destination": item.destination,
        "action": item.action,
        "rule": item.rule,
        "owner": item.owner,
        "created_at": item.made_at,
        "due_at": item.until,
        "actor": item.by,
        "body": ORDER.dump_json(item).decode(),
    }
