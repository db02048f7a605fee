"""What becomes of promises, for the oracle of moments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from schemas.moment import moment_id
from schemas.terms import Promise
from tests.moment_found import OraclePromise
from tests.moment_patterns import Hours, Item, any_fits, threads


@dataclass(frozen=True)
class Promised:
    """A promise with the event that made it and the one that kept it, in time or late."""

    record: OraclePromise
    made: Item
    answer: Item | None


def promised(
    promise: Promise, customer: str, items: list[Item], hours: Hours, watermark: datetime
) -> list[Promised]:
    """Return what became of every such promise to a customer, in the order of being made.

    Args:
        promise: What makes and keeps it.
        customer: The customer's key.
        items: The customer's events, in order.
        hours: The catalog's calendars.
        watermark: Up to here everything has arrived.
    """
    found = []
    for subject, thread in threads(promise, items).items():
        for made in thread:
            due = _due(promise, made, hours) if any_fits(promise.made, made) else None
            if due is None:
                continue
            status, answer = _outcome(promise, thread, made, due, watermark)
            record = OraclePromise(
                moment_id(promise.id, customer, subject, made.id),
                promise.id,
                status,
                customer,
                subject,
                made.id,
                made.at,
                due,
                None if answer is None else answer.at,
                "" if answer is None else answer.id,
            )
            found.append(Promised(record, made, answer))
    return sorted(found, key=lambda each: each.made.key)


def _due(promise: Promise, made: Item, hours: Hours) -> datetime | None:
    said = made.event.get("promise_due_at") if made.event is not None else None
    if said is not None:
        due = datetime.fromisoformat(said.replace("Z", "+00:00")).astimezone(timezone.utc)
        if due >= made.at:
            return due
    if promise.term is None:
        return None
    return hours.due(promise.calendar, made.at, promise.term)


def _outcome(
    promise: Promise, items: list[Item], made: Item, due: datetime, watermark: datetime
) -> tuple[str, Item | None]:
    if promise.before is not None:
        for item in reversed(items):  # of several the nearest
            in_time = item.key < made.key and made.at - item.at <= promise.before
            if in_time and any_fits(promise.kept, item):
                return "kept", item
    later = [item for item in items if item.key > made.key]
    for item in later:
        if item.at <= due and any_fits(promise.cancelled, item):
            return "cancelled", None
        if item.at <= due and any_fits(promise.kept, item):
            return "kept", item
    if due >= watermark:
        return "pending", None
    for item in later:
        if due < item.at <= due + promise.open_for and any_fits(promise.kept, item):
            return "kept_late", item
    return "broken", None
