"""Records as a worker stores them, with everything that makes a warehouse count wrong.

Equal times, late arrivals, the same event at other coordinates with the same or another content,
the same coordinates stored twice, the same offset of a topic that was made again, and one event id
used by two customers.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from clickhouse_connect.driver.client import Client

from pipeline.rows import COLUMNS
from pipeline.warehouse.refresh import Change, Journeys

Record = dict[str, Any]

START = datetime(2026, 1, 29, 22, tzinfo=timezone.utc)  # a month ends within the records
TOPIC_IDS = [UUID(int=number << 100 | 7) for number in (3, 1, 2)]
CHANNELS = ("web", "email", "phone", "store", "unheard_of")
#: Touchpoint, stage at face value, other stages, facts.
TOUCHPOINTS: list[tuple[str, str, list[tuple[str, int, str]], list[str]]] = [
    ("product_page", "consideration", [("purchase", 3, "loyalty"), ("purchase", 1, "trial")], []),
    ("faq", "knowledge", [("complaint", 1, "satisfaction"), ("purchase", 2, "loyalty")], []),
    ("checkout", "purchase", [("purchase", 1, "loyalty")], ["purchase"]),
    ("complaint", "satisfaction", [], ["complaint", "purchase"]),
    ("unclassified", "unclassified", [], []),
    ("no_longer_known", "an_old_stage", [], []),
]


def record(offset: int = 0, **changes: Any) -> Record:
    """Return one record; changes are by column name."""
    made: Record = dict.fromkeys(COLUMNS, "")
    made |= {
        "topic": "interactions.web",
        "topic_id": TOPIC_IDS[0],
        "partition": 0,
        "offset": offset,
        "kafka_at": START + timedelta(days=40),
        "ingested_at": START + timedelta(days=40, seconds=1),
        "event_id": f"event-{offset}",
        "customer_key": "customer-1",
        "identity_keys": {"customer_id": "customer-1"},
        "channel": "web",
        "touchpoint": "product_page",
        "stage_default": "consideration",
        "stage_after": [],
        "facts": [],
        "occurred_at": START,
        "claimed_at": None,
        "sent_at": None,
        "promise_due_at": None,
        "case_ids": {},
        "rating_score": None,
        "sentiment": None,
        "amount": None,
        "details": "{}",
    }
    return {**made, **changes}


def records(seed: int, count: int = 600, customers: int = 25) -> list[Record]:
    """Return many records in the order of their offsets."""
    dice = random.Random(seed)
    made: list[Record] = []
    for offset in range(count):
        known = made and dice.random() < 0.15
        made.append(_repeated(dice, offset, made) if known else _fresh(dice, offset, customers))
    again = [
        # a worker that was thought dead stored it too, with another catalog
        {
            **item,
            "ingested_at": item["ingested_at"] + timedelta(seconds=dice.choice([-1, 1])),
            "catalog_version": "2+later",
            **_touchpoint(dice),
        }
        for item in dice.sample(made, count // 20)
    ]
    return made + again


def insert(client: Client, rows: Iterable[Record], size: int) -> None:
    """Insert records, so many at a time."""
    values = [[row[name] for name in COLUMNS] for row in rows]
    for start in range(0, len(values), size):
        client.insert(
            "interaction_records", values[start : start + size], column_names=list(COLUMNS)
        )


def insert_steadily(
    client: Client, rows: Iterable[Record], size: int, every: int, dice: random.Random
) -> None:
    """Insert records as workers do, refreshing the journeys after some of the batches."""
    journeys, noted = Journeys(client), list[Change]()
    records = list(rows)
    for number, start in enumerate(range(0, len(records), size)):
        batch = records[start : start + size]
        insert(client, batch, size)
        noted += journeys.changed((row["partition"], row["customer_key"]) for row in batch)
        if number % every == 0:
            dice.shuffle(noted)
            journeys.refresh(noted)
            noted = []
    assert {change.batch for change in journeys.pending()} == {change.batch for change in noted}
    journeys.refresh(journeys.pending())


def rebuild(client: Client) -> None:
    """Compute steps and journeys of everybody anew."""
    Journeys(client).rebuild(None, lambda customers: None)


def _fresh(dice: random.Random, offset: int, customers: int) -> Record:
    customer = f"{dice.randrange(customers):032x}"
    channel = dice.choice(CHANNELS)
    kafka_at = START + timedelta(days=dice.randrange(60))
    return record(
        offset,
        topic=f"interactions.{channel}",
        topic_id=dice.choice(TOPIC_IDS),
        partition=dice.randrange(3),
        kafka_at=kafka_at,
        ingested_at=kafka_at + timedelta(milliseconds=dice.randrange(5_000)),
        # few ids, so that customers share them; é sorts after z by code point
        event_id=dice.choice(["e", "z", "é", "漢"]) + str(dice.randrange(200)),
        customer_key=customer,
        identity_keys={"customer_id": customer, "email": customer[::-1]},
        channel=channel,
        action=dice.choice(["page_view", "click"]),
        direction=dice.choice(["inbound", "outbound", ""]),
        need=dice.choice(["learn", "pay"]),
        catalog_version="1+first",
        occurred_at=_time(dice),
        segment=dice.choice(["", "", "vip", "new", "a group nobody declared"]),
        case_ids=dice.choice([{}, {"order_id": "O-1"}]),
        amount=dice.choice([None, Decimal("12.3400")]),
        sentiment=dice.choice([None, 0.5]),
        clock=("", "late", "", "future")[offset % 4],
        **_touchpoint(dice),
    )


def _repeated(dice: random.Random, offset: int, earlier: Sequence[Record]) -> Record:
    """Return an earlier event again: word for word, or with another content."""
    again = {**dice.choice(earlier), "offset": offset, "partition": dice.randrange(3)}
    again["topic_id"] = dice.choice(TOPIC_IDS)
    if dice.random() < 0.5:
        again |= {
            "occurred_at": _time(dice),
            "segment": dice.choice(["", "vip"]),
            **_touchpoint(dice),
        }
    if dice.random() < 0.3:
        channel = dice.choice(CHANNELS)
        again |= {"channel": channel, "topic": f"interactions.{channel}"}
    return again


def _touchpoint(dice: random.Random) -> Record:
    touchpoint, stage, after, facts = dice.choice(TOUCHPOINTS)
    return {
        "touchpoint": touchpoint,
        "stage_default": stage,
        "stage_after": after,
        "facts": facts,
    }


def _time(dice: random.Random) -> datetime:
    """A time that others have too, or one that is a microsecond away from it."""
    days = dice.choice([0, 0, 1, 2, 3, 20, 50])
    return START + timedelta(
        days=days, hours=dice.randrange(4), microseconds=dice.choice([0, 0, 1])
    )
