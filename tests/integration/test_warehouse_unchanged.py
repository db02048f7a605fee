"""A load that comes twice, out of order and late, against the same load once and in order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from clickhouse_connect.driver.client import Client

from pipeline import catalog
from pipeline.simulator import Plan, simulate
from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.migrate import migrate
from pipeline.warehouse.queries import run
from pipeline.warehouse.query_files import named_queries
from tests.integration.warehouse_engine import engine
from tests.offline_worker import OfflineWorker

pytestmark = [pytest.mark.integration, pytest.mark.slow]

Value = tuple[str, str, bytes]
#: When something was computed, found or stored, and where the record stands, differs by nature.
VIEWS = {
    "interactions": "topic, topic_id, partition, offset, kafka_at, ingested_at, clock",
    "steps": "refreshed_at",
    "journeys": "refreshed_at",
    "customers": "",
    "moments": "detected_at, delay_seconds, changed_at, revision, watermark",
    "promises": "changed_at, revision, watermark",
    "moments_by_event": "",
    "trust_balance": "",
}
#: Parameters that queries need, and columns that tell when something was found.
ASKED = {"paths_from": {"at": "product_page"}, "paths_to": {"at": "order"}}
ASKED["paths_around"] = {"at": "cart"}
DELAYS = {"median_delay_seconds", "delay_seconds", "detected_at"}


def plan() -> Iterator[tuple[datetime, Value]]:
    """Yield every event once, with the time at which it happened."""
    for produced in simulate(Plan(customers=60, days=75, seed=5, malformed=0, duplicates=0)):
        event = orjson.loads(produced.value)
        at = datetime.fromisoformat(event["occurred_at"].replace("Z", "+00:00"))
        yield at, (event["channel"], event["identifiers"]["customer_id"], produced.value)


def messy(events: list[tuple[datetime, Value]], dice: random.Random) -> list[Value]:
    """Return the events with 5 % duplicates, 10 % out of order, 1 % thirty days late, all twice."""
    arriving = []
    for at, value in events:
        delay = timedelta()
        if dice.random() < 0.10:
            delay = timedelta(seconds=dice.uniform(0, 280))
        elif dice.random() < 0.01:
            delay = timedelta(days=30)
        arriving.append((at + delay, value))
        if dice.random() < 0.05:
            arriving.append((at + timedelta(hours=dice.uniform(0, 72)), value))
    arriving.sort(key=lambda item: item[0])
    return [value for _, value in arriving] * 2


def shown(client: Client) -> dict[str, Any]:
    """Return everything that views and named queries show."""
    found: dict[str, Any] = {}
    for view, left_out in VIEWS.items():
        columns = f"* EXCEPT ({left_out})" if left_out else "*"
        found[view] = client.query(f"SELECT {columns} FROM {view} ORDER BY ALL").result_rows  # noqa: S608
    customer = found["customers"][0][0]
    for name, query in named_queries().items():
        if name == "data_quality":  # counts records and how late they came
            continue
        needed = {"customer": customer} if name == "timeline" else ASKED.get(name, {})
        kept = [n for n, column in enumerate(query.columns) if column.name not in DELAYS]
        found[name] = [[row[n] for n in kept] for row in run(client, name, needed).rows]
        assert found[name] or name == "three_strikes", name
    return found


def test_nothing_changes(tmp_path: Path) -> None:
    events = sorted(plan(), key=lambda item: item[0])
    with engine(tmp_path) as fresh:
        results = []
        for values, size in (
            ([value for _, value in events], 500),
            (messy(events, random.Random(3)), 331),
        ):
            client, settings = fresh()
            migrate(client, settings)
            loaded = catalog.load()
            publish(client, loaded.catalog, loaded.version)
            worker = OfflineWorker(client, settings, loaded)
            worker.work(values, size=size, refresh=4)
            results.append(shown(client))
    clean, after = results
    assert clean.keys() == after.keys()
    for name, rows in clean.items():
        assert after[name] == rows, name
