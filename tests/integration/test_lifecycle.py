"""Terms on the real engine: what is older goes, the rest stays, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from pipeline.errors import FatalError
from pipeline.settings import Settings
from pipeline.warehouse.lifecycle import KEPT, apply_lifecycle, lifecycle_statements
from pipeline.warehouse.migrate import migrate
from tests.integration.warehouse_engine import Fresh, engine
from tests.integration.warehouse_records import insert, record
from tests.waiting import until

pytestmark = pytest.mark.integration

NOW = datetime.now(timezone.utc)
DAYS = {kept.setting: 400 for kept in KEPT}
ENGINE = "SELECT engine_full FROM system.tables WHERE database = {d:String} AND name = {t:String}"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    with engine(tmp_path_factory.mktemp("home")) as made:
        yield made


def ready(fresh: Fresh, **terms: int) -> tuple[Client, Settings]:
    client, settings = fresh()
    migrate(client, settings)
    return client, settings.model_copy(update=terms)


def apply(client: Client, settings: Settings) -> list[str]:
    statements = lifecycle_statements(client, settings)
    apply_lifecycle(client, statements)
    return list(statements)


def engine_of(client: Client, settings: Settings, table: str) -> str:
    asked = {"d": settings.database, "t": table}
    return str(client.query(ENGINE, parameters=asked).result_rows[0][0])


def fill(client: Client, ages: list[int]) -> None:
    """Put a row of each age in days into every table that has a term."""
    at = [NOW - timedelta(days=age) for age in ages]
    insert(client, [record(n, occurred_at=time) for n, time in enumerate(at)], 100)
    for kept in KEPT[1:]:
        key = {"rejections": "offset", "alert_records": "sequence"}.get(kept.table, "customer_key")
        rows: list[list[Any]] = [
            [str(number) if key == "customer_key" else number, time]
            for number, time in enumerate(at)
        ]
        client.insert(kept.table, rows, column_names=[key, kept.column])


def ages(client: Client, table: str, column: str) -> list[int]:
    sql = f"SELECT {column} FROM {table} ORDER BY 1 DESC"  # noqa: S608
    return [round((NOW - row[0]) / timedelta(days=1)) for row in client.query(sql).result_rows]


def merge(client: Client, left: list[int]) -> None:
    """Merge every table, and wait until it has just the rows of these ages."""
    for kept in KEPT:
        client.command(f"OPTIMIZE TABLE {kept.table} FINAL")
        until(lambda kept=kept: ages(client, kept.table, kept.column) == left, what=kept.table)


def test_a_term_ends_what_is_older_and_nothing_else(fresh: Fresh) -> None:
    client, settings = ready(fresh, **DAYS)
    apply(client, settings)
    # only rows of a month that is over altogether go with their part
    fill(client, [0, 30, 390, 500, 3000])
    merge(client, [0, 30, 390])
    assert client.query("SELECT count() FROM interactions").result_rows == [(3,)]


def test_rows_that_are_there_when_a_term_is_set_go_too(fresh: Fresh) -> None:
    client, settings = ready(fresh, **DAYS)
    fill(client, [0, 390, 3000])
    assert ages(client, "interaction_records", "occurred_at") == [0, 390, 3000]
    apply(client, settings)
    merge(client, [0, 390])


def test_a_second_time_changes_nothing_and_a_setting_taken_away_takes_the_term_away(
    fresh: Fresh,
) -> None:
    client, settings = ready(fresh)
    before = {kept.table: engine_of(client, settings, kept.table) for kept in KEPT}
    assert lifecycle_statements(client, settings) == {}
    limited = settings.model_copy(update=DAYS)
    tables = [kept.table for kept in KEPT]
    assert apply(client, limited) == tables
    assert apply(client, limited) == []
    assert "TTL rejected_at + toIntervalDay(400)" in engine_of(client, settings, "rejections")
    longer = limited.model_copy(update={"keep_moments_days": 500})
    assert apply(client, longer) == ["moment_records", "promise_records"]
    assert "TTL cause_at + toIntervalDay(500)" in engine_of(client, settings, "moment_records")
    assert "ttl_only_drop_parts = 1" in engine_of(client, settings, "moment_records")
    assert apply(client, settings) == tables
    assert {kept.table: engine_of(client, settings, kept.table) for kept in KEPT} == before
    fill(client, [3000])
    client.command("OPTIMIZE TABLE rejections FINAL")
    assert ages(client, "rejections", "rejected_at") == [3000]


def test_a_term_of_somebody_elses_is_left_alone(fresh: Fresh) -> None:
    client, settings = ready(fresh)
    client.command("ALTER TABLE rejections MODIFY TTL kafka_at + toIntervalDay(9)")
    assert lifecycle_statements(client, settings) == {}
    with pytest.raises(FatalError, match=r"rejections has a TTL that is not Touchline's, kafka_at"):
        lifecycle_statements(client, settings.model_copy(update=DAYS))


def test_a_term_that_is_partly_set_is_completed(fresh: Fresh) -> None:
    client, settings = ready(fresh, keep_interactions_days=400)
    client.command(
        "ALTER TABLE interaction_records MODIFY TTL occurred_at + toIntervalDay(400)"
    )  # as a run that broke off would leave it
    assert "interaction_records" in apply(client, settings)
    assert "ttl_only_drop_parts = 1" in engine_of(client, settings, "interaction_records")
    assert apply(client, settings) == []
