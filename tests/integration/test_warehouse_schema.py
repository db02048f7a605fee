"""The schema on the real engine: made once, kept from harm, and quick where it must be."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from pipeline.errors import FatalError, SchemaMismatch
from pipeline.sink import Fence
from pipeline.warehouse import migrate as module
from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.ddl import Migration, render, shipped
from pipeline.warehouse.migrate import check_schema, migrate, pending
from schemas.catalog import Catalog
from schemas.rules import Strikes
from tests.integration.warehouse_engine import Fresh, engine
from tests.integration.warehouse_records import TOPIC_IDS, insert, rebuild, record
from tests.unit.catalogs import SMALL

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.integration

FILES = [migration.name for migration in shipped()]
#: Many customers and offsets, so that reading all is not reading a little.
MANY = """
INSERT INTO interaction_records (topic, topic_id, partition, offset, event_id, customer_key,
    occurred_at)
SELECT 'interactions.web', {id:UUID}, number % 8, number, toString(number),
    lower(hex(sipHash128(number % 20000))), now64(6)
FROM numbers(200000)
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    with engine(tmp_path_factory.mktemp("home")) as made:
        yield made


@pytest.fixture(scope="module")
def large(fresh: Fresh) -> Client:
    client, settings = fresh()
    migrate(client, settings)
    client.command(MANY, parameters={"id": str(TOPIC_IDS[0])})
    for table, first in (("step_records", "event_id"), ("journey_records", "first_event_id")):
        client.command(
            f"INSERT INTO {table} (customer_key, {first}) "  # noqa: S608
            "SELECT customer_key, event_id FROM interaction_records"
        )
    return client


def count(client: Client, table: str) -> int:
    found = client.query("SELECT count() FROM {t:Identifier}", parameters={"t": table})
    return int(found.result_rows[0][0])


def test_migrating_creates_everything_once(fresh: Fresh) -> None:
    client, settings = fresh()
    with pytest.raises(
        SchemaMismatch, match=rf"lacks {len(FILES)} of {len(FILES)} .*fix: run `touchline migrate`"
    ):
        check_schema(client)
    said: list[str] = []
    applied = migrate(client, settings, lambda migration, sql: said.append(migration.name))
    assert [migration.name for migration in applied] == FILES == sorted(set(said))
    check_schema(client)
    assert count(client, "interactions") == count(client, "journeys") == 0
    said.clear()
    assert migrate(client, settings, lambda *_: said.append("again")) == []
    assert said == []


def test_a_database_that_is_there_is_not_created(fresh: Fresh) -> None:
    client, settings = fresh()
    client.database = None
    client.command(f"CREATE DATABASE {settings.database}")
    run: list[str] = []
    migrate(client, settings, lambda _, sql: run.append(sql))
    assert not [sql for sql in run if sql.startswith("CREATE DATABASE")]
    check_schema(client)


def test_a_migration_that_broke_off_is_run_again(fresh: Fresh) -> None:
    client, settings = fresh()

    def break_off(migration: Migration, sql: str) -> None:
        if "catalog_segments" in sql:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrate(client, settings, break_off)
    with pytest.raises(SchemaMismatch, match=f"lacks {len(FILES) - 3} of {len(FILES)}"):
        check_schema(client)
    assert [migration.name for migration in migrate(client, settings)] == FILES[3:]
    for migration in shipped():  # every statement can be run again
        for statement in render(migration, settings.database, None):
            client.command(statement.sql)
    check_schema(client)


def test_what_was_stored_before_exact_numbers_stays(
    fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, settings = fresh()
    monkeypatch.setattr(module, "shipped", lambda: shipped()[:6])
    migrate(client, settings)
    due = record()["occurred_at"] + timedelta(hours=1, milliseconds=7)
    rows = [record(n, rating_score=0.1, sentiment=0.5, promise_due_at=due) for n in range(1000)]
    names = [name for name in rows[0] if name not in ("clock", "claimed_at")]
    values = [[row[name] for name in names] for row in rows]
    client.insert("interaction_records", values, column_names=names)
    monkeypatch.undo()
    migrate(client, settings)
    insert(client, [record(1000, rating_score=0.1, sentiment=-0.7)], 1)
    found = client.query(
        "SELECT rating_score, sentiment, promise_due_at, clock, claimed_at, count() "
        "FROM interactions GROUP BY ALL ORDER BY count()"
    )
    assert [tuple(row) for row in found.result_rows] == [
        (0.1, -0.7, None, "", None, 1),
        (pytest.approx(0.1, rel=1e-7), 0.5, due, "", None, 1000),
    ]
    places = [(("interactions.web", TOPIC_IDS[0], 0), offset) for offset in (0, 999, 1000, 1001)]
    assert Fence(client, "interaction_records").missing(places) == [False, False, False, True]
    client.command("OPTIMIZE TABLE interaction_records FINAL")
    assert Fence(client, "interaction_records").missing(places) == [False, False, False, True]


def test_an_edited_file_is_refused(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    client, settings = fresh()
    migrate(client, settings)
    files = list(shipped())
    files[1] = replace(files[1], template=files[1].template + "-- a word more\n")
    monkeypatch.setattr(module, "shipped", lambda: tuple(files))
    for check in (lambda: check_schema(client), lambda: migrate(client, settings)):
        with pytest.raises(SchemaMismatch, match=rf"{FILES[1]} was edited .*fix: restore"):
            check()


def test_a_newer_database_is_used_and_not_migrated(
    fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, settings = fresh()
    migrate(client, settings)
    monkeypatch.setattr(module, "shipped", lambda: shipped()[:-1])
    assert check_schema(client) == [FILES[-1]]
    with pytest.raises(SchemaMismatch, match=rf"newer than this program: it has {FILES[-1]}"):
        migrate(client, settings)


def test_a_newer_database_that_breaks_older_programs_is_refused(
    fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, settings = fresh()
    number = len(FILES) + 1
    breaking = Migration(number, f"{number:04}_breaking.sql", "SELECT 1;")
    with monkeypatch.context() as newer:
        newer.setattr(module, "shipped", lambda: (*shipped(), breaking))
        migrate(client, settings)
    with pytest.raises(SchemaMismatch, match=rf"newer than this program: it has {breaking.name}"):
        check_schema(client)


def test_a_database_stays_what_it_was_made_as(fresh: Fresh) -> None:
    client, settings = fresh()
    migrate(client, settings)
    with pytest.raises(SchemaMismatch, match="made for one server"):
        pending(client, settings.model_copy(update={"cluster": "main"}))


def test_a_refused_statement_names_its_file(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    client, settings = fresh()
    name = f"{len(FILES) + 1:04}_broken.sql"
    broken = Migration(
        len(FILES) + 1, name, "CREATE TABLE ${database}.t (a Nonsense) ENGINE = Log;"
    )
    monkeypatch.setattr(module, "shipped", lambda: (*shipped(), broken))
    with pytest.raises(FatalError, match=rf"(?s){name}: .*Nonsense"):
        migrate(client, settings)
    assert client.database == settings.database
    with pytest.raises(SchemaMismatch, match=f"lacks 1 of {len(FILES) + 1}"):
        check_schema(client)


def test_everything_is_described(large: Client) -> None:
    bare = large.query(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND comment = ''"
    )
    assert bare.result_rows == []
    bare = large.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''"
    )
    assert bare.result_rows == []


class Watching:
    """Asks the engine how it would answer, besides letting it answer."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.plans: list[str] = []

    def query(self, sql: str, parameters: Mapping[str, Any]) -> Any:
        plan = self.client.query(f"EXPLAIN indexes = 1 {sql}", parameters=dict(parameters))
        self.plans.append("\n".join(row[0] for row in plan.result_rows))
        return self.client.query(sql, parameters=dict(parameters))


def granules(plan: str) -> tuple[int, int]:
    """Granules read of all there are, by the last index that chose."""
    read, every = re.findall(r"Granules: (\d+)/(\d+)", plan)[-1]
    return int(read), int(every)


def test_the_read_back_uses_the_projections(large: Client) -> None:
    watching = Watching(large)
    fence = Fence(watching, "interaction_records")  # type: ignore[arg-type]
    source = ("interactions.web", TOPIC_IDS[0], 3)
    offsets = [8_003, 8_011, 8_012, 300_003]
    assert fence.missing([(source, offset) for offset in offsets]) == [False, False, True, True]
    furthest, range_of = watching.plans
    assert "ReadFromMergeTree (stored_to)" in furthest
    assert "ReadFromMergeTree (by_offset)" in range_of


def test_a_question_about_one_customer_reads_only_theirs(large: Client) -> None:
    customer = large.query("SELECT any(customer_key) FROM interaction_records").result_rows[0][0]
    for view in (
        "interactions",
        "journeys",
        "journeys_by_gap(gap_seconds = 60)",
        "customers",
        "steps",
    ):
        plan = large.query(
            f"EXPLAIN indexes = 1 SELECT * FROM {view} WHERE customer_key = {{c:String}}",  # noqa: S608
            parameters={"c": customer},
        )
        read, every = granules("\n".join(row[0] for row in plan.result_rows))
        assert read <= 3 < 20 < every


def test_a_question_about_the_moments_of_one_customer_reads_only_theirs(large: Client) -> None:
    for table, key, at in (
        ("moment_records", "moment_id", "cause_at"),
        ("promise_records", "promise_id", "made_at"),
    ):
        large.command(
            f"INSERT INTO {table} ({key}, revision, customer_key, {at}) "  # noqa: S608
            "SELECT generateUUIDv4(), 1, lower(hex(sipHash128(number % 20000))), now64(6) "
            "FROM numbers(200000)"
        )
    customer = large.query("SELECT any(customer_key) FROM moment_records").result_rows[0][0]
    tables = {"moments": 1, "moments_by_event": 1, "promises": 1, "customer_strikes": 1}
    # one of trust_balance are the customers
    for view, number in {**tables, "trust_balance": 2}.items():
        plan = large.query(
            f"EXPLAIN indexes = 1 SELECT * FROM {view} WHERE customer_key = {{c:String}}",  # noqa: S608
            parameters={"c": customer},
        )
        text = "\n".join(row[0] for row in plan.result_rows)
        found = [
            (int(read), int(every)) for read, every in re.findall(r"Granules: (\d+)/(\d+)", text)
        ]
        assert sum(read <= 3 < 20 < every for read, every in found) == number


def test_rows_can_be_deleted_and_the_read_back_follows(fresh: Fresh) -> None:
    client, settings = fresh()
    migrate(client, settings)
    insert(client, [record(offset, customer_key=f"c{offset % 2}") for offset in range(10)], 10)
    client.command("DELETE FROM interaction_records WHERE customer_key = 'c1'")
    assert count(client, "interactions") == 5
    places = [(("interactions.web", TOPIC_IDS[0], 0), offset) for offset in range(10)]
    fence = Fence(client, "interaction_records")
    assert fence.missing(places) == [offset % 2 == 1 for offset in range(10)]
    client.command("OPTIMIZE TABLE interaction_records FINAL")
    assert Fence(client, "interaction_records").missing(places) == fence.missing(places)


def catalog(**changes: Any) -> Catalog:
    return Catalog.model_validate({**tomllib.loads(SMALL), **changes})


def current(client: Client) -> list[tuple[Any, ...]]:
    found = client.query("SELECT version, name, journey_gap_seconds FROM current_catalog")
    return [tuple(row) for row in found.result_rows]


MOMENTS = """
[[rules]]
id = "long_queue"
name = "Long queue"
type = "single"
kind = "pain"
severity = "high"
version = "2"
owner = "Telephony"
text = "{customer} waits"
source = "a test"
when = { touchpoint = "product_page" }

[[rules]]
id = "thanked"
name = "Thanks"
type = "count"
kind = "glory"
text = "{customer} is glad"
source = "another test"
when = { touchpoint = "product_page" }
count = 2
within = "1d"

[[promises]]
id = "answer"
name = "Answer"
version = "3"
made = { touchpoint = "product_page" }
kept = { direction = "outbound" }
term = "48h"
before = "1h"
open_for = "30d"
calendar = "office"

[[promises]]
id = "delivery"
name = "Delivery"
made = { touchpoint = "point_of_sale" }
kept = { direction = "outbound" }

[[calendars]]
id = "office"
zone = "UTC"
hours = { mon = ["09:00-17:00"] }

[trust]
glories_per_pain = 7.5

[strikes]
threshold = 4
window = "2w"
"""


def test_the_catalog_published_last_is_current(fresh: Fresh) -> None:
    client, settings = fresh()
    migrate(client, settings)
    assert current(client) == []
    first, second = catalog(), catalog(name="Larger shop", journey={"gap": "30m"})
    assert publish(client, first, "1+a")
    assert not publish(client, first, "1+a")
    assert current(client) == [("1+a", "Small shop", 14 * 86_400)]
    # another worker's clock is far ahead
    client.command(
        "INSERT INTO catalog_versions (version, name, published_at, journey_gap_seconds) "
        "SELECT '1+a', 'Small shop', now64(6) + INTERVAL 1 DAY, 1209600"
    )
    assert publish(client, second, "2+b")
    assert current(client) == [("2+b", "Larger shop", 1_800)]
    assert publish(client, first, "1+a")
    assert current(client) == [("1+a", "Small shop", 14 * 86_400)]
    client.command("OPTIMIZE TABLE catalog_versions FINAL")
    assert current(client) == [("1+a", "Small shop", 14 * 86_400)]


def test_the_current_catalog_is_shown_in_its_order(fresh: Fresh) -> None:
    client, settings = fresh()
    migrate(client, settings)
    shown = catalog()
    publish(client, catalog(touchpoints=tomllib.loads(SMALL)["touchpoints"][:1]), "0+z")
    publish(client, shown, "1+a")
    publish(client, catalog(name="x"), "2+b")
    publish(client, shown, "1+a")  # its rows are inserted twice

    def rows(view: str) -> list[tuple[Any, ...]]:
        found = client.query("SELECT * FROM {v:Identifier}", parameters={"v": view})
        return [tuple(row) for row in found.result_rows]

    assert rows("channels") == [(1, "web", "Web"), (2, "store", "Store"), (3, "mail", "Letter")]
    assert rows("needs") == [(1, "learn", "Learn")]
    assert rows("segments") == []
    assert rows("stages") == [
        (1, "consideration", "Consideration", 0.6, "before", "consideration"),
        (2, "loyalty", "Loyalty", 0.4, "after", "post_purchase"),
    ]
    assert rows("touchpoints") == [
        (
            place,
            item.id,
            item.name,
            item.kind,
            item.contact,
            item.needs,
            item.stage,
            item.service,
            item.owner,
            item.outcome,
            item.process,
            item.importance,
        )
        for place, item in enumerate(shown.touchpoints, 1)
    ]


def test_the_catalog_says_what_moments_are_found_and_how_they_weigh(fresh: Fresh) -> None:
    client, settings = fresh()
    migrate(client, settings)
    weights = "SELECT glories_per_pain, strikes_threshold, strikes_window_seconds FROM "

    def rows(sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in client.query(sql).result_rows]

    publish(client, catalog(), "0+z")
    assert rows(weights + "current_catalog") == [(12, 0, 0)]
    assert rows("SELECT * FROM rules") == rows("SELECT * FROM promise_terms") == []
    publish(client, catalog(**tomllib.loads(MOMENTS)), "1+a")
    assert rows(weights + "current_catalog") == [(7.5, 4, 14 * 86_400)]
    strikes = Strikes()
    told = (strikes.severity, strikes.version, strikes.owner, strikes.source)
    assert rows("SELECT * FROM rules") == [
        (1, "long_queue", "Long queue", "single", "pain", "high", "2", "Telephony", "a test"),
        (2, "thanked", "Thanks", "count", "glory", "medium", "1", "", "another test"),
        (3, "three_strikes", "Three strikes", "strikes", "pain", *told),
    ]
    assert rows("SELECT * FROM promise_terms") == [
        (1, "answer", "Answer", "3", 48 * 3_600, "office", 3_600, 30 * 86_400),
        (2, "delivery", "Delivery", "1", None, "", 0, 90 * 86_400),
    ]
    # one that was published before catalogs said any of it
    client.command(
        "INSERT INTO catalog_versions (version, name, published_at, journey_gap_seconds) "
        "SELECT '2+b', 'Old', now64(6) + INTERVAL 1 DAY, 60"
    )
    assert rows(weights + "current_catalog") == [(12, 0, 0)]
    assert rows("SELECT * FROM rules") == []


def test_without_a_catalog_journeys_are_never_cut(fresh: Fresh) -> None:
    client, settings = fresh()
    migrate(client, settings)
    start = record()["occurred_at"]
    insert(
        client,
        [record(n, occurred_at=start + timedelta(days=1_000 * n)) for n in range(3)],
        3,
    )
    rebuild(client)
    assert client.query("SELECT steps FROM journeys").result_rows == [(3,)]
    publish(client, catalog(), "1+a")
    rebuild(client)
    assert client.query("SELECT steps FROM journeys").result_rows == [(1,)] * 3
