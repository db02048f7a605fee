"""Moments and promises as workers store them, with everything that makes counting them wrong.

Several revisions of each, revisions stored twice with another content, some withdrawn, some whose
cause is no stored event, of rules and promises that the catalog does not have, at equal times.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pipeline.warehouse.ledger import Ledger
from pipeline.warehouse.ledger_rows import MomentRow, PromiseRow
from tests.integration.warehouse_catalog import PROMISES, RULES
from tests.integration.warehouse_records import START, Record

#: Rules as (id, kind); the last is not in the catalog.
FOUND_BY = [*((rule, kind) for rule, kind, _ in RULES if rule != "silent"), ("old_rule", "pain")]
STRANGER = "f" * 32


def moments(seed: int, events: Sequence[Record], count: int = 160) -> list[MomentRow]:
    """Return revisions of moments that events caused, in the order they were made."""
    dice = random.Random(seed)
    made: list[MomentRow] = []
    for number in range(count):
        event, (rule, kind) = dice.choice(events), dice.choice(FOUND_BY)
        revision = MomentRow(
            schema_version="1.0",
            moment_id=UUID(int=dice.getrandbits(128)),
            revision=1,
            status=dice.choice(["open", "withdrawn"]),
            kind=kind,
            severity=dice.choice(["low", "medium", "high", "critical"]),
            rule=rule,
            rule_version=str(dice.randrange(3)),
            catalog_version="1+abc",
            customer_key=STRANGER if number == 0 else event["customer_key"],
            subject=dice.choice(["", "ticket_id:T-1", "é 漢"]),
            segment=event["segment"],
            touchpoint=event["touchpoint"],
            channel=event["channel"],
            need=event["need"],
            owner=dice.choice(["Service", "E-commerce", "Somebody else"]),
            text=f"what was found, {number}",
            cause="no event" if number % 20 == 0 else event["event_id"],
            evidence=[event["event_id"], "another"][: dice.randrange(3)],
            cause_at=event["occurred_at"],
            occurred_at=event["occurred_at"] + timedelta(hours=dice.choice([0, 0, 48, 24 * 30])),
            due_at=dice.choice([None, event["occurred_at"]]),
            closed_at=None,
            closed_by="",
            detected_at=START + timedelta(days=90, seconds=dice.randrange(1000) / 8),
            changed_at=START + timedelta(days=90, seconds=dice.randrange(1000)),
            partition=dice.randrange(3),
            watermark=START,
        )
        for step in range(dice.choice([1, 1, 2, 3, 12])):
            if step:
                revision = _revised(dice, revision)
            made.append(revision)
            if dice.random() < 0.2:  # stored twice: what was changed last counts
                again = _revised(dice, revision)
                made.append(again._replace(revision=revision.revision))
    return made


def promises(seed: int, events: Sequence[Record], count: int = 160) -> list[PromiseRow]:
    """Return revisions of promises that events made, in the order they were made."""
    dice = random.Random(seed)
    made: list[PromiseRow] = []
    for _ in range(count):
        event = dice.choice(events)
        revision = PromiseRow(
            promise_id=UUID(int=dice.getrandbits(128)),
            revision=1,
            status="pending",
            promise=dice.choice([*PROMISES[:-1], "old_promise"]),
            promise_version="1",
            catalog_version="1+abc",
            customer_key=event["customer_key"],
            subject="",
            segment=event["segment"],
            touchpoint=event["touchpoint"],
            channel=event["channel"],
            need=event["need"],
            owner="Service",
            made_by=event["event_id"],
            made_at=event["occurred_at"],
            due_at=event["occurred_at"] + timedelta(hours=48),
            answered_by="",
            answered_channel="",
            answered_at=None,
            ended_at=None,
            changed_at=START + timedelta(days=90, seconds=dice.randrange(1000)),
            partition=dice.randrange(3),
            watermark=START,
        )
        made.append(revision)
        for number in range(2, dice.choice([2, 3, 4])):
            status = dice.choice(["kept", "kept", "kept_late", "broken", "cancelled", "withdrawn"])
            kept = status.startswith("kept")
            at = revision.made_at + timedelta(minutes=dice.choice([-30, 0, 7, 500, 5000]))
            revision = revision._replace(
                revision=number,
                status=status,
                answered_by="answer" if kept else "",
                answered_channel="phone" if kept else "",
                answered_at=at if kept else None,
                ended_at=at if status == "cancelled" else None,
                changed_at=revision.changed_at + timedelta(seconds=dice.choice([-5, 5])),
            )
            made.append(revision)
    return made


def store(rows: Iterable[Any], record: Any, size: int) -> None:
    """Store revisions, so many at a time."""
    waiting = list(rows)
    for start in range(0, len(waiting), size):
        record(waiting[start : start + size])


def fill(ledger: Ledger, found: Sequence[MomentRow], made: Sequence[PromiseRow], size: int) -> None:
    """Store moments and promises."""
    store(found, ledger.record_moments, size)
    store(made, ledger.record_promises, size)


def _revised(dice: random.Random, row: MomentRow) -> MomentRow:
    """Return the next revision; a worker's clock may be behind that of the one before."""
    status = dice.choice(["open", "resolved", "resolved", "retracted", "withdrawn"])
    closed_at: datetime | None = None
    if status in ("resolved", "retracted"):
        closed_at = row.occurred_at + timedelta(minutes=dice.choice([0, 1, 90, 10_000]))
    return row._replace(
        revision=row.revision + 1,
        status=status,
        closed_at=closed_at,
        closed_by="closing" if closed_at else "",
        changed_at=row.changed_at + timedelta(seconds=dice.choice([-3, 4, 5])),
    )
