"""Funnels, conversion and retention of simulated customers, counted anew from what was meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson
import polars as pl
import pytest
from clickhouse_connect.driver.client import Client

from pipeline import catalog
from pipeline.simulator import Plan, simulate
from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.migrate import migrate
from pipeline.warehouse.queries import run
from tests.integration import warehouse_funnels as funnels
from tests.integration import warehouse_walks as expected
from tests.integration.warehouse_engine import engine
from tests.integration.warehouse_oracle import Record
from tests.integration.warehouse_records import rebuild
from tests.integration.warehouse_walks import Walk
from tests.offline_worker import OfflineWorker

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PLAN = Plan(customers=200, days=60, seed=5, malformed=0)
LOADED = catalog.load()
STAGES = [stage.id for stage in LOADED.catalog.stages]
OUTCOMES = [outcome.id for outcome in LOADED.catalog.outcomes]


@dataclass(frozen=True)
class Simulated:
    """A database with what a worker stored of a simulation, and what it meant."""

    client: Client
    events: list[Record]
    walks: list[Walk]


def reached(event: Record) -> tuple[str, bool]:
    """The first outcome of the catalog that an event reaches."""
    for outcome in LOADED.catalog.outcomes:
        actions = outcome.action or [event["action"]]
        if event["touchpoint"] in outcome.touchpoints and event["action"] in actions:
            return outcome.id, outcome.ends_journey
    return "", False


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    values, events = [], []
    for produced in simulate(PLAN):
        event, truth = orjson.loads(produced.value), produced.truth
        customer = event["identifiers"]["customer_id"]
        values.append((event["channel"], customer, produced.value))
        at = datetime.fromisoformat(event["occurred_at"].replace("Z", "+00:00"))
        if not truth.duplicate:
            names = ("event_id", "channel", "action")
            meant = {"touchpoint": truth.touchpoint, "stage": truth.stage, "customer_key": customer}
            more = {"occurred_at": at.astimezone(timezone.utc), "segment": "", "direction": ""}
            events.append({name: event[name] for name in names} | meant | more)
    with engine(tmp_path_factory.mktemp("home")) as fresh:
        client, settings = fresh()
        migrate(client, settings)
        publish(client, LOADED.catalog, LOADED.version)
        OfflineWorker(client, settings, LOADED).work(values)
        rebuild(client)
        gap = LOADED.catalog.journey.gap
        yield Simulated(client, events, expected.walks(events, gap, reached))


def approximately(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [
        tuple(pytest.approx(value) if isinstance(value, float) else value for value in row)
        for row in rows
    ]


@pytest.mark.parametrize("per", ["journey", "customer"])
@pytest.mark.parametrize("within_days", [0, 3])
@pytest.mark.parametrize(
    "by, steps",
    [
        ("stage", STAGES),
        ("stage", ["consideration", "selection", "satisfaction"]),
        ("touchpoint", ["company_website", "order", "delivery"]),
        ("channel", ["web", "phone", "store"]),
        ("outcome", ["purchase", "resolution"]),
    ],
)
def test_funnel(
    simulated: Simulated, by: str, steps: list[str], per: str, within_days: int
) -> None:
    counted = expected.units(simulated.walks, per)
    within = timedelta(days=within_days) if within_days else None
    asked = {"by": by, "per": per, "within_days": str(within_days)}
    if steps != STAGES:
        asked["steps"] = ",".join(steps)
    found = run(simulated.client, "funnel", asked).rows
    assert found == approximately(funnels.funnel(counted, by, steps, within, False))
    assert found[0][2] > 0


@pytest.mark.parametrize("per", ["journey", "customer"])
def test_stage_conversion(simulated: Simulated, per: str) -> None:
    counted = expected.units(simulated.walks, per)
    found = run(simulated.client, "stage_conversion", {"per": per}).rows
    assert found == approximately(expected.conversion(counted, STAGES, OUTCOMES))
    assert sum(row[3] for row in found) > 100


@pytest.mark.parametrize("outcome", ["", "purchase"])
@pytest.mark.parametrize("period, every", [("week", "1w"), ("month", "1mo")])
def test_retention(simulated: Simulated, period: str, every: str, outcome: str) -> None:
    customers = [event["customer_key"] for event in simulated.events]
    at = [event["occurred_at"] for event in simulated.events]
    is_start = [not outcome or reached(event)[0] == outcome for event in simulated.events]
    frame = pl.DataFrame({"customer": customers, "at": at, "is_start": is_start})
    # polars begins weeks on Monday
    frame = frame.with_columns(pl.col("at").dt.truncate(every).dt.date().alias("period"))
    began = frame.filter("is_start").group_by("customer").agg(pl.col("at").min().alias("began"))
    active = (
        frame.join(began, on="customer")
        .filter(pl.col("at") >= pl.col("began"))
        .with_columns(pl.col("began").dt.truncate(every).dt.date().alias("cohort"))
        .select("customer", "cohort", "period")
        .unique()
    )
    sizes = dict(
        active.filter(pl.col("cohort") == pl.col("period"))["cohort"].value_counts().rows()
    )
    counts = {(row[0], row[1]): row[2] for row in active.group_by("cohort", "period").len().rows()}
    starts = pl.date_range(min(sizes), frame["period"].max(), every, eager=True).to_list()
    rows = []
    for place, cohort in enumerate(starts):
        if cohort in sizes:
            name = cohort.isoformat() if period == "week" else f"{cohort:%Y-%m}"
            for number, later in enumerate(starts[place:]):
                here, size = counts.get((cohort, later), 0), sizes[cohort]
                rows.append((name, number, size, here, here / size))
    asked = {"period": period, "start_outcome": outcome, "periods": "0"}
    found = run(simulated.client, "retention", asked).rows
    assert found == approximately(rows)
    assert any(row[1] > 0 and 0 < row[3] < row[2] for row in found)
