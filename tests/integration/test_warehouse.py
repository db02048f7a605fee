"""Tables, views and named queries on the real engine, against plain Python."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from pipeline.rows import COLUMNS
from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.ledger import Ledger
from pipeline.warehouse.ledger_rows import MomentRow, PromiseRow
from pipeline.warehouse.migrate import migrate
from pipeline.warehouse.queries import run
from pipeline.warehouse.query_files import named_queries
from pipeline.warehouse.refresh import Journeys
from tests.integration import warehouse_oracle as oracle
from tests.integration.filter_oracle import Filters, steps
from tests.integration.moment_oracle import counted, grouped, standing
from tests.integration.warehouse_catalog import (
    CATALOG,
    CATALOG_CHANNELS,
    OWNERS,
    SEGMENTS,
    STAGES,
    WEIGHTS,
)
from tests.integration.warehouse_engine import engine
from tests.integration.warehouse_moments import fill, moments, promises
from tests.integration.warehouse_records import (
    TOPIC_IDS,
    Record,
    insert,
    insert_steadily,
    rebuild,
    record,
    records,
)

pytestmark = pytest.mark.integration

EVER = (datetime(1970, 1, 1, tzinfo=timezone.utc), datetime(2100, 1, 1, tzinfo=timezone.utc))
SOME = (datetime(2026, 1, 30, 1, tzinfo=timezone.utc), datetime(2026, 2, 19, tzinfo=timezone.utc))
GAP = timedelta(days=14)
#: What is computed from the base tables.
DERIVED = ("step_records", "journey_records")
#: Makes a client on a migrated database of a test's own, with the catalog published.
Make = Callable[[], Client]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    with engine(tmp_path_factory.mktemp("home")) as fresh:

        def made() -> Client:
            client, settings = fresh()
            migrate(client, settings)
            publish(client, CATALOG, "1+abc")
            return client

        yield made


@dataclass(frozen=True)
class Filled:
    """A database with records in it, and what there should be one row of for each event."""

    client: Client
    records: list[Record]
    events: list[Record]
    moments: list[MomentRow]
    promises: list[PromiseRow]

    @property
    def felt(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Pains and glories by the event that caused them."""
        caused = grouped(standing(self.moments), lambda row: (row.customer_key, row.cause))
        numbers = {key: counted(rows) for key, rows in caused.items()}
        return {key: (found["pains"], found["glories"]) for key, found in numbers.items()}


@pytest.fixture(scope="module", params=[1, 2])
def filled(request: pytest.FixtureRequest, make: Make) -> Filled:
    made = records(request.param)
    client = make()
    insert(client, made, 7)
    events = oracle.events(made)
    found, given = moments(request.param, events), promises(request.param, events)
    fill(Ledger(client), found, given, 40)
    rebuild(client)
    return Filled(client, made, events, found, given)


def view(client: Client, sql: str) -> list[Record]:
    found = client.query(sql)
    return [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]


def texts(since: datetime, until: datetime, **more: Any) -> dict[str, str]:
    return {"since": since.isoformat(), "until": until.isoformat()} | {
        name: str(value) for name, value in more.items()
    }


def approximately(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [
        tuple(pytest.approx(value) if isinstance(value, float) else value for value in row)
        for row in rows
    ]


def by_event(rows: list[Record]) -> list[Record]:
    return sorted(rows, key=lambda row: (row["customer_key"], row["event_id"]))


def test_interactions_are_one_row_an_event_with_its_stage(filled: Filled) -> None:
    found = by_event(view(filled.client, "SELECT * FROM interactions"))
    expected = by_event(filled.events)
    assert len(found) == len(expected) < len(filled.records)
    for row in found:  # the client gives named tuples as dictionaries
        row["stage_after"] = [tuple(option.values()) for option in row["stage_after"]]
    for column in (*COLUMNS, "stage"):
        assert [row[column] for row in found] == [row[column] for row in expected], column


def test_every_kind_of_stage_rule_was_met(filled: Filled) -> None:
    changed = {
        (event["stage_default"], event["stage"])
        for event in filled.events
        if event["stage"] != event["stage_default"]
    }
    assert {("consideration", "trial"), ("consideration", "loyalty")} <= changed
    assert {("knowledge", "satisfaction"), ("purchase", "loyalty")} <= changed


def test_a_filter_on_anything_but_the_customer_changes_no_row(filled: Filled) -> None:
    until = SOME[1]
    found = filled.client.query(
        "SELECT customer_key, event_id, stage FROM interactions "
        "WHERE occurred_at >= {at:DateTime64(6)} ORDER BY customer_key, event_id",
        parameters={"at": until},
    )
    expected = [
        (event["customer_key"], event["event_id"], event["stage"])
        for event in by_event(filled.events)
        if event["occurred_at"] >= until
    ]
    assert [tuple(row) for row in found.result_rows] == expected


def test_journeys(filled: Filled) -> None:
    found = view(filled.client, "SELECT * FROM journeys ORDER BY customer_key, journey_number")
    expected = oracle.journeys(filled.events, GAP)
    expected.sort(key=lambda item: (item["customer_key"], item["journey_number"]))
    assert max(item["journey_number"] for item in expected) > 1
    assert [{name: item[name] for name in expected[0]} for item in found] == expected
    assert len({item["journey_id"] for item in found}) == len(found)


def test_one_customer_is_the_same_alone_as_among_all(filled: Filled) -> None:
    customer = filled.events[0]["customer_key"]
    for name in ("interactions", "journeys"):
        asked = {"view": name, "customer": customer}
        one = "SELECT * FROM {view:Identifier} WHERE customer_key = {customer:String} ORDER BY ALL"
        alone = filled.client.query(one, parameters=asked).result_rows
        every = "SELECT * FROM {view:Identifier} ORDER BY ALL"
        everything = filled.client.query(every, parameters=asked)
        place = everything.column_names.index("customer_key")
        assert list(alone) == [row for row in everything.result_rows if row[place] == customer]


@pytest.mark.parametrize("since, until", [EVER, SOME])
@pytest.mark.parametrize("gap_days", [0, 1, 100_000])
def test_transitions(filled: Filled, since: datetime, until: datetime, gap_days: float) -> None:
    gap = timedelta(days=gap_days) if gap_days else GAP
    found = run(filled.client, "transitions", texts(since, until, gap_days=gap_days)).rows
    assert found
    assert found == approximately(oracle.transitions(filled.events, gap, since, until, filled.felt))


@pytest.mark.parametrize("since, until", [EVER, SOME])
@pytest.mark.parametrize("depth, top, collapse", [(2, 5, True), (0, 0, False), (1, 3, False)])
def test_top_paths(
    filled: Filled, since: datetime, until: datetime, depth: int, top: int, collapse: bool
) -> None:
    asked = texts(since, until, depth=depth, top=top, collapse_repeats=collapse, gap_days=1)
    found = run(filled.client, "top_paths", asked).rows
    column = "path_collapsed" if collapse else "path"
    expected = oracle.top_paths(
        filled.events, timedelta(days=1), since, until, depth, top, lambda item: item[column]
    )
    assert found == approximately(expected)
    assert sum(row[2] for row in found) == sum(row[2] for row in expected) > 0
    assert sum(row[4] for row in found) == pytest.approx(1)


def test_a_limit_leaves_top_paths_adding_up(filled: Filled) -> None:
    everything = run(filled.client, "top_paths", {"top": "0"}).rows
    limited = run(filled.client, "top_paths", limit=4).rows
    assert limited[:4] == everything[:4]
    assert [row[0] for row in limited[4:]] == ["(other)"]
    assert sum(row[2] for row in limited) == sum(row[2] for row in everything)
    assert len(run(filled.client, "transitions", limit=4).rows) == 4


@pytest.mark.parametrize("since, until", [EVER, SOME])
def test_touchpoint_map(filled: Filled, since: datetime, until: datetime) -> None:
    found = run(filled.client, "touchpoint_map", texts(since, until)).rows
    known = (SEGMENTS, STAGES, OWNERS)
    expected = oracle.touchpoint_map(filled.events, since, until, known, filled.felt)
    assert found == expected
    assert ("nobody_yet", "trial", 0, 0, 0, [], 0, 0) in found
    assert all(sum(column) > 0 for column in list(zip(*found, strict=True))[6:])
    inside = [event for event in filled.events if since <= event["occurred_at"] < until]
    assert sum(row[2] for row in found) == len(inside) > 0


@pytest.mark.parametrize("since, until", [EVER, SOME])
def test_touchpoint_channels(filled: Filled, since: datetime, until: datetime) -> None:
    inside = [event for event in filled.events if since <= event["occurred_at"] < until]
    rows = list(OWNERS) + sorted({event["touchpoint"] for event in inside} - set(OWNERS))
    places = CATALOG_CHANNELS + sorted(
        {event["channel"] for event in inside} - set(CATALOG_CHANNELS)
    )
    expected = []
    for touchpoint in rows:
        used = [event for event in inside if event["touchpoint"] == touchpoint]
        for channel in places:
            here = [event for event in used if event["channel"] == channel]
            customers = {event["customer_key"] for event in here}
            share = len(here) / len(used) if used else 0.0
            owner = OWNERS.get(touchpoint, "")
            expected.append((touchpoint, owner, channel, len(here), len(customers), share))
    found = run(filled.client, "touchpoint_channels", texts(since, until)).rows
    assert found == approximately(expected)


@pytest.mark.parametrize("since, until", [EVER, SOME])
def test_stage_distribution(filled: Filled, since: datetime, until: datetime) -> None:
    inside = [event for event in filled.events if since <= event["occurred_at"] < until]
    weights = dict(zip(STAGES, WEIGHTS, strict=True))
    expected = []
    for stage in STAGES + sorted({event["stage"] for event in inside} - set(STAGES)):
        here = [event for event in inside if event["stage"] == stage]
        share, weight = len(here) / len(inside), weights.get(stage, 0.0)
        customers = {event["customer_key"] for event in here}
        expected.append((stage, len(here), len(customers), share, weight, share - weight))
    found = run(filled.client, "stage_distribution", texts(since, until)).rows
    assert found == approximately(expected)


@pytest.mark.parametrize("since, until", [EVER, SOME])
@pytest.mark.parametrize("gap_days", [0, 1])
def test_timeline(filled: Filled, since: datetime, until: datetime, gap_days: int) -> None:
    gap = timedelta(days=gap_days) if gap_days else GAP
    customer, steps = max(oracle.histories(filled.events).items(), key=lambda item: len(item[1]))
    expected = []
    for number, part in enumerate(oracle.cut(steps, gap), 1):
        for step in part:
            place = steps.index(step)
            seconds = None
            if place:
                seconds = (step["occurred_at"] - steps[place - 1]["occurred_at"]).total_seconds()
            if since <= step["occurred_at"] < until:
                where = [step[name] for name in ("touchpoint", "channel", "stage")]
                what = [step[name] for name in ("action", "direction", "need", "event_id")]
                caused = sorted(
                    (row.occurred_at, row.rule, row.kind, row.status)
                    for row in standing(filled.moments)
                    if (row.customer_key, row.cause) == (customer, step["event_id"])
                    and row.status != "retracted"
                )
                texts_of = [f"{kind} {rule} ({status})" for _, rule, kind, status in caused]
                expected.append((step["occurred_at"], seconds, *where, number, *what, texts_of))
    asked = texts(since, until, customer=customer, gap_days=gap_days)
    found = run(filled.client, "timeline", asked).rows
    assert found == expected
    assert found
    fewer = run(filled.client, "timeline", {**asked, "channel": "web", "stage": "loyalty"}).rows
    assert fewer == [row for row in expected if row[3:5] == ("web", "loyalty")]
    assert not run(filled.client, "timeline", {**asked, "segment": "nobody_yet"}).rows


@pytest.mark.parametrize("since, until", [EVER, SOME])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"channel": "web"},
        {"touchpoint": "faq"},
        {"segment": "vip"},
        {"stage": "loyalty", "channel": "phone"},
        {"outcome": "(none)", "segment": "vip"},
    ],
    ids=lambda asked: "-".join(asked.values()),
)
def test_data_quality(
    filled: Filled, since: datetime, until: datetime, asked: dict[str, str]
) -> None:
    found = run(filled.client, "data_quality", texts(since, until, **asked)).rows
    values = {(row[0], row[1]): row[2] if row[2] is not None else row[4] for row in found}
    # by the record: time, channel and touchpoint; by its event: segment, stage and outcome
    own = {name: asked.get(name, "") for name in ("channel", "touchpoint")}
    fits = Filters(filled.events, steps(filled.events, GAP, []), {**asked, "touchpoint": ""})

    def of(item: Record) -> bool:
        at = since <= item["occurred_at"] < until
        key, event_id = item["customer_key"], item["event_id"]
        right = all(wanted in ("", item[name]) for name, wanted in own.items())
        return at and right and fits.caused(key, event_id, asked.get("channel", ""), "")

    kept = [item for item in oracle.stored(filled.records) if of(item)]
    inside = [event for event in filled.events if of(event)]
    distinct = len(inside)
    unclassified = sum(event["touchpoint"] == "unclassified" for event in inside)
    late = [(item["kafka_at"] - item["occurred_at"]).total_seconds() for item in kept]
    slow = [(item["ingested_at"] - item["kafka_at"]).total_seconds() for item in kept]
    assert values["stored", "records"] == len(kept)
    assert values["stored", "events"] == distinct
    assert values["stored", "duplicates"] == len(kept) - distinct
    assert values["stored", "unclassified"] == unclassified
    assert values["stored", "unclassified_share"] == pytest.approx(unclassified / len(inside))
    assert values["rejected", "all"] == 0
    assert values["time", "first_event"] == min(item["occurred_at"] for item in kept)
    assert values["time", "last_event"] == max(item["occurred_at"] for item in kept)
    assert values["delay", "arrival_delay_max"] == pytest.approx(max(late), abs=1e-3)
    assert values["delay", "processing_delay_max"] == pytest.approx(max(slow), abs=1e-3)
    for clock in ("late", "future"):
        assert values["delay", clock] == sum(item["clock"] == clock for item in kept)
    assert values.get(("channels", "kiosk"), 0) == 0
    for channel in {item["channel"] for item in kept}:
        expected = sum(item["channel"] == channel for item in kept)
        assert values["channels", channel] == expected


def test_data_quality_counts_every_rejected_record_once(make: Make) -> None:
    client = make()
    at, later = SOME[0], SOME[1] + timedelta(days=1)
    reasons = ["invalid_json", "invalid_field", "invalid_json", "invalid_json"]
    rows = [
        ("interactions.web", TOPIC_IDS[0], 0, offset, later if offset == 3 else at, at, reason)
        for offset, reason in enumerate(reasons)
    ]
    names = ["topic", "topic_id", "partition", "offset", "kafka_at", "rejected_at", "reason"]
    for _ in range(2):  # listed twice
        client.insert("rejections", rows, column_names=names)

    def rejected(since: datetime, until: datetime, **more: str) -> list[tuple[Any, ...]]:
        found = run(client, "data_quality", texts(since, until, **more)).rows
        return [row[1:4] for row in found if row[0] == "rejected"]

    assert rejected(*EVER) == [
        ("all", 4, "records"),
        ("invalid_json", 3, "records"),
        ("invalid_field", 1, "records"),
    ]
    assert rejected(*SOME)[0] == ("all", 3, "records")
    for channel, number in (("web", 4), ("eb", 0), ("phone", 0)):
        assert rejected(*EVER, channel=channel)[0] == ("all", number, "records")
    for name in ("segment", "stage", "touchpoint", "outcome"):
        assert rejected(*EVER, **{name: "(none)"}) == [("all", 0, "records")]
    assert client.query("SELECT count() FROM interactions").result_rows == [(0,)]


def everything(client: Client) -> list[Any]:
    asked = [
        client.query("SELECT * FROM interactions ORDER BY ALL").result_rows,
        client.query("SELECT * EXCEPT refreshed_at FROM steps ORDER BY ALL").result_rows,
        client.query("SELECT * EXCEPT refreshed_at FROM journeys ORDER BY ALL").result_rows,
        client.query("SELECT * FROM moments ORDER BY ALL").result_rows,
        client.query("SELECT * FROM promises ORDER BY ALL").result_rows,
    ]
    given = {f"paths_{where}": {"at": "faq"} for where in ("from", "to", "around")}
    names = [name for name in named_queries() if name != "timeline"]
    return asked + [run(client, name, given.get(name)).rows for name in names]


@pytest.mark.slow
def test_order_batches_and_merges_change_nothing(filled: Filled, make: Make) -> None:
    first = everything(filled.client)
    other = make()
    shuffled = list(filled.records)
    random.Random(99).shuffle(shuffled)
    found, given = list(filled.moments), list(filled.promises)
    random.Random(98).shuffle(found)
    random.Random(97).shuffle(given)
    fill(Ledger(other), found[:40], given, 61)
    # and some of it once more
    insert_steadily(other, shuffled + shuffled[:50], 61, 3, random.Random(96))
    fill(Ledger(other), found[40:] + found[:20], given[:20], 61)
    touched = Journeys(other).changed((0, row.customer_key) for row in found)
    Journeys(other).refresh(touched)
    assert everything(other) == first
    for table in ("interaction_records", "moment_records", "promise_records", *DERIVED):
        other.command(f"OPTIMIZE TABLE {table} FINAL")
    assert everything(other) == first
    rebuild(other)
    assert everything(other) == first
    kept = other.query("SELECT count() FROM interaction_records").result_rows[0][0]
    assert kept == len(oracle.stored(filled.records))  # merges never lose a record


def test_a_rebuild_since_a_time_computes_whole_histories_of_who_was_there(make: Make) -> None:
    client, made = make(), records(4)
    insert(client, made, 300)
    since = SOME[1]
    found = oracle.events(made)
    there = {row["customer_key"] for row in made if row["occurred_at"] >= since}
    assert len(there) > 0
    gone = {event["customer_key"] for event in found} - there
    insert(client, [record(9_000, customer_key="f" * 32, occurred_at=SOME[0])], 1)
    assert Journeys(client).rebuild(since, lambda customers: None) == len(there)
    rows = client.query("SELECT customer_key, event_id FROM steps").result_rows
    assert sorted(rows) == sorted(
        (event["customer_key"], event["event_id"])
        for event in found
        if event["customer_key"] not in gone
    )


def test_a_rebuild_ends_what_is_no_more(make: Make) -> None:
    client = make()
    insert(client, [record(n, customer_key="a" * 32) for n in range(3)], 3)
    rebuild(client)
    assert client.query("SELECT count() FROM steps").result_rows == [(3,)]
    client.command(
        "DELETE FROM interaction_records WHERE customer_key = {c:String}",
        parameters={"c": "a" * 32},
        settings={"lightweight_deletes_sync": 2},
    )
    rebuild(client)
    for view in ("steps", "journeys", "customers"):
        counted = "SELECT count() FROM {view:Identifier}"
        assert client.query(counted, parameters={"view": view}).result_rows == [(0,)]
