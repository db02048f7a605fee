"""Alerts sent: the query against plain Python, with every filter."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from pipeline.alerts.deliveries import Delivery
from pipeline.alerts.journal import Journal
from pipeline.alerts.state import Seen
from schemas.moment import Moment
from tests.alerting import Office, catalog
from tests.integration.moment_oracle import latest
from tests.integration.test_warehouse_moments import (
    CASES,
    EVER,
    Filled,
    Times,
    answer,
    asked,
    filled,
)
from tests.integration.warehouse_records import START

__all__ = ["filled"]
pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROUTES = """
[[routes]]
id = "bad"
to = ["team", "boss"]
at_least = "medium"
rule = ["long_queue", "old_rule"]
go_on = true
group_by = ["rule", "severity"]
window = "30m"
update_every = "1m"

[[routes]]
id = "rest"
to = "desk"
at_least = "high"
cooldown = "3h"
cooldown_by = "customer"
"""
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True)
class Told:
    """What was decided of the moments, and what became of the deliveries."""

    verdicts: dict[UUID, list[Seen]]
    deliveries: dict[UUID, list[Delivery]]


@pytest.fixture(scope="module")
def told(filled: Filled) -> Told:  # noqa: F811  # the fixture is that of the module it is from
    """Moments in rounds with time between them, some of them closed later, and all outcomes."""
    dice = random.Random(5)
    office, journal = Office(catalog(ROUTES)), Journal(filled.client)
    office.now = START + timedelta(days=91)
    fields = set(Moment.model_fields)
    left = [
        Moment(**{name: value for name, value in row._asdict().items() if name in fields})
        for row in filled.moments
    ]
    decided = []
    while left:
        size = dice.randint(1, 60)
        some, left = left[:size], left[size:]
        decided.append(office.round(*some, after=timedelta(minutes=dice.choice([0, 1, 7, 40]))))
    decided.append(office.round(after=timedelta(hours=1)))
    for one in decided:
        journal.store(one)
    made = [_ended(dice, item) for one in decided for item in one.deliveries]
    journal.record(made)
    by_moment: dict[UUID, list[Seen]] = {}
    for (moment, _), verdict in office.verdicts().items():
        by_moment.setdefault(moment, []).append(verdict)
    by_alert: dict[UUID, list[Delivery]] = {}
    for item in made:
        by_alert.setdefault(item.alert_id, []).append(item)
    return Told(by_moment, by_alert)


def _ended(dice: random.Random, item: Delivery) -> Delivery:
    status = dice.choice(["pending", "sent", "sent", "sent", "dead", "superseded", "skipped"])
    ended = None
    if status != "pending":
        ended = item.created_at + timedelta(milliseconds=dice.randrange(90_000))
    return replace(
        item, status=status, ended_at=ended, attempts=dice.randrange(4), detail=f"{status} é"
    )  # type: ignore[arg-type]


def expected(told: Told, moment: Any, wanted: str) -> list[tuple[Any, ...]]:
    """Rows of one moment."""
    rows = []
    for verdict in told.verdicts.get(moment.moment_id, [None]):  # type: ignore[list-item]
        decision = "none" if verdict is None else verdict.decision
        reason = "" if verdict is None else verdict.reason
        alert = verdict.alert_id if verdict is not None and decision == "alerted" else None
        sent = told.deliveries.get(alert, []) if alert else []
        names = sorted({it.destination for it in sent if wanted in ("", it.destination)})
        for name in names or ([] if wanted else [""]):
            mine = [it for it in sent if it.destination == name]
            state, at = _became(mine, verdict.decided_at) if verdict and mine else ("", None)
            seconds = None
            if at is not None:
                seconds = (_milliseconds(at) - _milliseconds(moment.occurred_at)) / 1e3
            rows.append(
                (
                    moment.occurred_at, moment.kind, moment.severity, moment.rule, decision,
                    reason, name, state, at, seconds, sum(it.attempts for it in mine),
                    max(mine, key=lambda it: it.sequence).detail if mine else "", moment.owner,
                    moment.customer_key, str(alert) if alert else "", str(moment.moment_id),
                )
            )  # fmt: skip
    return rows


def _milliseconds(at: datetime) -> int:
    """An instant as a person reads it: what is finer is cut off before anything is counted."""
    return (at - EPOCH) // timedelta(milliseconds=1)


def _became(mine: list[Delivery], decided_at: datetime) -> tuple[str, datetime | None]:
    since = sorted((it for it in mine if it.created_at >= decided_at), key=lambda it: it.sequence)
    for item in since:
        if item.status == "sent":
            return "sent", item.ended_at
    states = {item.status for item in since}
    return ("dead" if "dead" in states and "pending" not in states else "pending"), None


@CASES
@pytest.mark.parametrize(
    "more",
    [{}, {"owner": "Service"}, {"rule": "long_queue"}, {"destination": "boss"},
     {"destination": "desk", "owner": "E-commerce"}],
    ids=str,
)  # fmt: skip
def test_alert_outbox(
    filled: Filled,  # noqa: F811
    told: Told,
    times: Times,
    filters: dict[str, str],
    more: dict[str, str],
) -> None:
    about = [
        row
        for row in asked(filled, *times, **filters).moments
        if more.get("owner", row.owner) == row.owner and more.get("rule", row.rule) == row.rule
    ]
    found = answer(filled, "alert_outbox", *times, **filters, **more)
    wanted = more.get("destination", "")
    right = [row for moment in about for row in expected(told, moment, wanted)]
    assert sorted(map(str, found)) == sorted(map(str, map(tuple, right)))
    keys = [(-(row[0] - EPOCH), row[15], row[6]) for row in found]
    assert keys == sorted(keys)


def test_the_moments_of_these_tests_become_everything(filled: Filled, told: Told) -> None:  # noqa: F811
    found = answer(filled, "alert_outbox", *EVER)
    assert {row[4] for row in found} == {"none", "alerted", "suppressed"}
    assert {row[5] for row in found} >= {"", "cooldown", "closed_before"}
    assert {row[7] for row in found} == {"", "sent", "dead", "pending"}
    assert {row[15] for row in found} == {
        str(row.moment_id) for row in latest(filled.moments) if row.status != "withdrawn"
    }
