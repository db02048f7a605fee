"""The truth of a simulation beside what was found in its lines, moment by moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from pipeline.simulator.book import Book
from schemas.moment import moment_id
from schemas.rules import STRIKES


@dataclass(frozen=True)
class Finding:
    """A moment as it is compared; the customer is the customer_id."""

    rule: str
    kind: str
    customer: str
    cause: str
    status: str
    occurred_at: datetime
    due_at: datetime | None
    closed_at: datetime | None
    closed_by: str


def expected(book: Book, until: Callable[[str], int] | None = None) -> set[Finding]:
    """Return the moments of truth that a simulation noted.

    Args:
        book: Its notes.
        until: Watermark of a customer, milliseconds since 1970, if not the end.
    """
    return {
        Finding(
            moment.rule,
            moment.kind,
            moment.customer,
            moment.cause,
            moment.status,
            instant(moment.occurred_at),
            None if moment.due_at is None else instant(moment.due_at),
            None if moment.closed_at is None else instant(moment.closed_at),
            moment.closed_by,
        )
        for moment in book.moments(until)
    }


def instant(text: str) -> datetime:
    """Read a time of the truth."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def comparable(found: Iterable[tuple[str, Finding]]) -> set[Finding]:
    """Return what was found as the truth tells it.

    Three strikes name the last pain by its id, of several the largest, and ids depend on the
    secret that customers are hashed with; the truth names the smallest cause of those pains.

    Args:
        found: Subject and moment, with the keys that ids are made of as customers.
    """
    moments = list(found)
    pains: dict[tuple[str, datetime], list[str]] = {}
    for _, item in moments:
        if item.rule != STRIKES and item.kind == "pain" and item.status != "retracted":
            pains.setdefault((item.customer, item.occurred_at), []).append(item.cause)
    ids = {
        moment_id(item.rule, item.customer, subject, item.cause): item for subject, item in moments
    }
    result = set()
    for _, item in moments:
        if item.rule == STRIKES:
            pain = ids[UUID(item.cause)]
            result.add(replace(item, cause=min(pains[pain.customer, pain.occurred_at])))
        else:
            result.add(item)
    return result
