"""What touchpoints and channels bring, asked of the real engine, against plain Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.ledger import Ledger
from pipeline.warehouse.migrate import migrate
from pipeline.warehouse.queries import run
from tests.integration import contribution_oracle
from tests.integration import effect_oracle as oracle
from tests.integration.moment_oracle import standing
from tests.integration.warehouse_effect import (
    CATALOG,
    GOAL,
    STAGES,
    effect_moments,
    effect_records,
)
from tests.integration.warehouse_engine import Fresh, engine
from tests.integration.warehouse_moments import fill
from tests.integration.warehouse_oracle import events
from tests.integration.warehouse_records import START, Record, insert, rebuild, record

pytestmark = [pytest.mark.integration, pytest.mark.slow]

EVER = {
    "since": datetime(1970, 1, 1, tzinfo=timezone.utc),
    "until": datetime(2100, 1, 1, tzinfo=timezone.utc),
}
SOME = {
    "since": datetime(2026, 1, 30, 1, tzinfo=timezone.utc),
    "until": datetime(2026, 2, 19, tzinfo=timezone.utc),
}
FILTERS: list[dict[str, Any]] = [
    EVER,
    SOME,
    {**EVER, "segment": "vip"},
    {**EVER, "segment": "(none)"},
    {**EVER, "channel": "phone"},
    {**EVER, "stage": "consideration"},
    {**EVER, "touchpoint": "faq"},
    {**EVER, "outcome": GOAL},
    {**EVER, "outcome": "(none)"},
    {**SOME, "since": EVER["since"], "channel": "web", "outcome": "advice"},
]
NOTHING = {**EVER, "touchpoint": "nowhere"}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    with engine(tmp_path_factory.mktemp("home")) as made:
        yield made


@dataclass(frozen=True)
class Filled:
    """A database with records in it, their events, and those that asked customers again."""

    client: Client
    events: list[Record]
    asked: set[tuple[str, str]]


@pytest.fixture(scope="module", params=[1, 2])
def filled(request: pytest.FixtureRequest, fresh: Fresh) -> Filled:
    client, settings = fresh()
    migrate(client, settings)
    publish(client, CATALOG, "1+effect")
    made = effect_records(request.param)
    insert(client, made, 200)
    found = events(made)
    moments = effect_moments(request.param, found)
    fill(Ledger(client), moments, [], 400)
    rebuild(client)
    asked = {
        (row.customer_key, row.cause)
        for row in standing(moments)
        if row.rule in ("asked_again", "told_twice") and row.status != "retracted"
    }
    return Filled(client, found, asked)


def ask(filled: Filled, name: str, filters: dict[str, Any], **more: Any) -> list[tuple[Any, ...]]:
    texts = {
        key: value.isoformat() if isinstance(value, datetime) else str(value)
        for key, value in {**filters, **more}.items()
    }
    return run(filled.client, name, texts).rows


def nearly(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [
        tuple(pytest.approx(value) if isinstance(value, float) else value for value in row)
        for row in rows
    ]


@pytest.mark.parametrize("filters", FILTERS)
def test_handoffs(filled: Filled, filters: dict[str, Any]) -> None:
    found = ask(filled, "handoffs", filters)
    assert found == nearly(oracle.handoffs(filled.events, filled.asked, filters))
    if filters is EVER:
        assert all(sum(row[place] for row in found) > 0 for place in (2, 4, 5, 8))
        assert sum(row[8] for row in found) < sum(row[2] for row in found)


@pytest.mark.parametrize("filters", [*FILTERS, NOTHING])
def test_channel_census(filled: Filled, filters: dict[str, Any]) -> None:
    steps = oracle.chosen_steps(filled.events, filters)
    found = ask(filled, "channel_census", filters)
    assert found == nearly(oracle.channel_census(steps))
    assert sum(row[2] for row in found) == len(steps)
    assert {row[5] for row in found if row[0] == "give_back"} == {0}


@pytest.mark.parametrize("filters", [*FILTERS, NOTHING])
def test_channel_preference(filled: Filled, filters: dict[str, Any]) -> None:
    steps = oracle.chosen_steps(filled.events, filters)
    found = ask(filled, "channel_preference", filters)
    assert found == nearly(oracle.channel_preference(steps))
    if filters is EVER:
        assert any(row[4] == row[7] > 0 for row in found)  # ties are met


@pytest.mark.parametrize("filters", [*FILTERS, NOTHING])
def test_usage(filled: Filled, filters: dict[str, Any]) -> None:
    steps = oracle.chosen_steps(filled.events, filters)
    for over, under in [(2.0, 0.5), (1.0, 1.0)]:
        found = ask(filled, "usage", filters, over=over, under=under)
        assert found == nearly(oracle.usage(steps, over, under))
        assert sum(row[7] for row in found) == pytest.approx(1)


@pytest.mark.parametrize(
    "filters, least", [*((chosen, 1) for chosen in FILTERS), (EVER, 0), (EVER, 12)]
)
def test_effectiveness(filled: Filled, filters: dict[str, Any], least: int) -> None:
    taken = oracle.chosen_journeys(filled.events, filters)
    found = ask(filled, "effectiveness", filters, least=least)
    expected = contribution_oracle.effectiveness(taken, least)
    # differences may be equal but for their last digits, so not in the order of the oracle
    assert sorted(found) == nearly(sorted(expected))
    known = [(STAGES.index(row[0]), row[4] is None, -(row[4] or 0)) for row in found]
    assert known == sorted(known)


@pytest.mark.parametrize(
    "filters, first, last",
    [*((chosen, 0.4, 0.4) for chosen in FILTERS), (EVER, 1.0, 0.5), (EVER, 0.0, 0.0)],
)
def test_contribution(filled: Filled, filters: dict[str, Any], first: float, last: float) -> None:
    taken = oracle.chosen_journeys(filled.events, filters)
    found = ask(filled, "contribution", filters, first_weight=first, last_weight=last)
    expected = contribution_oracle.contribution(taken, first, last)
    assert {row[0]: row for row in found} == {
        row[0]: row for row in nearly(list(expected.values()))
    }
    assert [row[7] for row in found] == sorted((row[7] for row in found), reverse=True)
    conversions = sum(step["outcome"] == GOAL for steps in taken for step in steps)
    assert (conversions == 0) == (filters.get("outcome") == "(none)")
    for model in range(3, 8):
        assert sum(row[model] for row in found) == pytest.approx(conversions, rel=1e-12, abs=1e-12)


def test_a_goal_that_nobody_reached_credits_nothing(filled: Filled) -> None:
    found = ask(filled, "contribution", EVER, goal="nothing of the catalog")
    assert found
    assert {value for row in found for value in row[2:]} == {0}
    assert ask(filled, "contribution", NOTHING) == []
    assert ask(filled, "effectiveness", NOTHING) == ask(filled, "handoffs", NOTHING) == []


def test_merges_and_threads_change_no_digit(filled: Filled) -> None:
    names = (
        "handoffs",
        "channel_census",
        "channel_preference",
        "usage",
        "effectiveness",
        "contribution",
    )
    first = [run(filled.client, name).rows for name in names]
    for table in ("step_records", "journey_records"):
        filled.client.command(f"OPTIMIZE TABLE {table} FINAL")
    assert [run(filled.client, name).rows for name in names] == first
    filled.client.set_client_setting("max_threads", 1)
    try:
        assert [run(filled.client, name).rows for name in names] == first
    finally:
        filled.client.set_client_setting("max_threads", 0)


@pytest.mark.parametrize(
    "with_it, without, low, high",
    [  # the first, fourth and last examples of Newcombe's table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_the_interval_is_newcombes(
    fresh: Fresh, with_it: tuple[int, int], without: tuple[int, int], low: float, high: float
) -> None:
    client, settings = fresh()
    migrate(client, settings)
    publish(client, CATALOG, "1+effect")
    made = list[Record]()
    for touchpoint, (went_on, journeys) in (("ad", with_it), ("blog", without)):
        for number in range(journeys):
            customer = f"{touchpoint}-{number}"
            steps = [(touchpoint, "awareness")] + [("till", "purchase")] * (number < went_on)
            made += [
                record(
                    len(made) + place,
                    customer_key=customer,
                    touchpoint=name,
                    stage_default=stage,
                    occurred_at=START + timedelta(hours=place),
                )
                for place, (name, stage) in enumerate(steps)
            ]
    insert(client, made, 1000)
    rebuild(client)
    row = next(row for row in run(client, "effectiveness").rows if row[1] == "ad")
    assert row[9:13] == (with_it[1], with_it[0], without[1], without[0])
    assert row[5:7] == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
    assert row[2] == "more"
