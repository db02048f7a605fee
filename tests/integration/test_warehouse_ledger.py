"""The ledger on the real engine: what is written can be read, once, whatever was stored twice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from clickhouse_connect.driver.client import Client

from pipeline.errors import SchemaMismatch
from pipeline.warehouse import history
from pipeline.warehouse import ledger as module
from pipeline.warehouse.history import INTERACTION_COLUMNS, Source
from pipeline.warehouse.ledger import Ledger
from pipeline.warehouse.ledger_rows import MomentRow, ProgressRow
from pipeline.warehouse.migrate import migrate
from schemas.rules import STRIKES
from tests.integration import moment_oracle, warehouse_oracle
from tests.integration.warehouse_engine import Fresh, engine
from tests.integration.warehouse_moments import fill, moments, promises
from tests.integration.warehouse_records import START, TOPIC_IDS, Record, insert, record, records

pytestmark = pytest.mark.integration

EVER = datetime(1970, 1, 1, tzinfo=timezone.utc)
TOUCHPOINTS = ["product_page", "faq", "checkout", "complaint", "unclassified", "no_longer_known"]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    with engine(tmp_path_factory.mktemp("home")) as made:
        yield made


@pytest.fixture
def client(fresh: Fresh) -> Client:
    made, settings = fresh()
    migrate(made, settings)
    return made


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "BLOCK_ROWS", 50)


def ends(rows: list[Record], end: int) -> dict[Source, int]:
    """Every source of the records, to the same offset."""
    return {(row["topic"], row["topic_id"], row["partition"]): end for row in rows}


def insert_unmerged(client: Client, rows: list[Record], size: int) -> None:
    """Insert records that stay as they were stored.

    A merge keeps, of a record that workers with different catalogs stored, what one of them saw:
    whether it is at a touchpoint that is asked for would depend on when that happens.
    """
    client.command("SYSTEM STOP MERGES interaction_records")
    insert(client, rows, size)


def expected(
    rows: list[Record], next_offsets: dict[Source, int], since: datetime, touchpoints: list[str]
) -> dict[tuple[str, str], Record]:
    """What detection has seen, by customer and event."""
    seen: dict[tuple[str, str], Record] = {}
    newest = sorted(rows, key=lambda row: row["ingested_at"], reverse=True)
    for row in sorted(newest, key=warehouse_oracle.place):
        source = row["topic"], row["topic_id"], row["partition"]
        wanted = row["occurred_at"] >= since and row["touchpoint"] in touchpoints
        if wanted and row["offset"] < next_offsets.get(source, 0):
            seen.setdefault((row["customer_key"], row["event_id"]), row)
    return seen


def given(row: Record, columns: tuple[str, ...]) -> Record:
    return {name: row.get(name, "") for name in columns}


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("seed", [5, 6])
def test_what_was_seen_comes_once_and_whole_customers_together(client: Client, seed: int) -> None:
    stored = records(seed)
    insert_unmerged(client, stored, 90)
    everything = ends(stored, 10_000)
    some = dict.fromkeys(list(everything)[::2], 300)
    later, few = START + timedelta(days=2), ["faq", "checkout"]
    for asked in (
        (everything, EVER, TOUCHPOINTS),
        (ends(stored, 300), EVER, TOUCHPOINTS),
        (some, later, few),
    ):
        read = Ledger(client)
        kinds = read.kinds(*asked)
        assert len(kinds) == len(set(kinds))
        blocks = list(read.interactions(asked[0], dict.fromkeys(kinds, asked[1])))
        found = [row for block in blocks for row in block]
        wanted = expected(stored, *asked)
        assert len(found) == len(wanted)
        for row in found:
            assert row == given(wanted[row["customer_key"], row["event_id"]], INTERACTION_COLUMNS)
        customers = [{row["customer_key"] for row in block} for block in blocks]
        assert sum(map(len, customers)) == len(set().union(*customers))
        assert (len(blocks) > 1) == (len(found) > 50)
    assert len(expected(stored, everything, EVER, TOUCHPOINTS)) < len(stored)


def test_only_the_columns_asked_for(client: Client) -> None:
    insert(client, [record(number) for number in range(3)], 10)
    sources = {("interactions.web", TOPIC_IDS[0], 0): 2}
    kinds = dict.fromkeys(Ledger(client).kinds(sources, EVER, TOUCHPOINTS), EVER)
    blocks = Ledger(client).interactions(sources, kinds, ("details", "customer_key"))
    assert [list(block) for block in blocks] == [
        [{"details": "{}", "customer_key": "customer-1"}] * 2
    ]
    with pytest.raises(ValueError, match="identity_keys"):
        list(Ledger(client).interactions(sources, kinds, ("identity_keys",)))


def test_nothing_was_seen(client: Client) -> None:
    insert(client, [record(number) for number in range(3)], 10)
    read = Ledger(client)
    for sources, touchpoints in (
        ({}, TOUCHPOINTS),
        ({("interactions.web", TOPIC_IDS[0], 0): 0}, TOUCHPOINTS),
        ({("interactions.web", TOPIC_IDS[1], 0): 9}, TOUCHPOINTS),
        ({("interactions.web", TOPIC_IDS[0], 1): 9}, TOUCHPOINTS),
        ({("interactions.web", TOPIC_IDS[0], 0): 9}, []),
    ):
        assert read.kinds(sources, EVER, touchpoints) == []
        kinds = read.kinds({("interactions.web", TOPIC_IDS[0], 0): 9}, EVER, TOUCHPOINTS)
        assert (
            list(read.interactions(sources, dict.fromkeys(kinds, EVER) if touchpoints else {}))
            == []
        )
        assert read.history(["customer-1"], sources, EVER, touchpoints) == []


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("most", [1_000, 2])
def test_each_kind_from_its_own_time_on(
    client: Client, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_KINDS", most)
    stored = records(5)
    for row in stored:
        if sum(map(ord, row["event_id"])) % 7 == 0:
            row["promise_due_at"] = row["occurred_at"] + timedelta(days=2)
    insert_unmerged(client, stored, 90)
    read, sources = Ledger(client), ends(stored, 10_000)
    kinds = sorted(read.kinds(sources, EVER, TOUCHPOINTS))
    assert len(kinds) > 4
    days = {kind: START + timedelta(days=number % 4) for number, kind in enumerate(kinds[1:])}
    found = {
        (row["customer_key"], row["event_id"])
        for block in read.interactions(sources, days)
        for row in block
    }
    wanted = {
        (row["customer_key"], row["event_id"])
        for row in stored
        if (since := days.get((row["touchpoint"], row["channel"], row["action"]))) is not None
        and max(row["occurred_at"], row.get("promise_due_at") or row["occurred_at"]) >= since
    }
    assert found == wanted
    everything = {(row["customer_key"], row["event_id"]) for row in stored}
    assert len(wanted) < len(everything)
    promised = {
        row["customer_key"]
        for row in stored
        if row.get("promise_due_at")
        and (since := days.get((row["touchpoint"], row["channel"], row["action"]))) is not None
        and max(row["occurred_at"], row["promise_due_at"]) >= since
    }
    assert read.promised(sources, days) == sorted(promised) != []


@pytest.mark.usefixtures("small_blocks")
def test_when_customers_did_something_for_the_first_times(client: Client) -> None:
    stored = records(5)
    for number, row in enumerate(stored):
        row["facts"] = [["purchase"], ["visit", "purchase"], [], ["other"]][number % 4]
    insert_unmerged(client, stored, 90)
    sources = ends(stored, 400)
    seen = expected(stored, sources, EVER, ["faq", "checkout"])
    wanted: dict[tuple[int, str, str], list[tuple[int, str]]] = {}
    for row in seen.values():
        for fact in {"purchase", "visit"} & set(row["facts"]):
            at = (row["occurred_at"] - EVER) // timedelta(microseconds=1)
            key = (row["partition"], row["customer_key"], fact)
            wanted.setdefault(key, []).append((at, row["event_id"]))
    found = Ledger(client).first_times(sources, ["faq", "checkout"], {"purchase": 2, "visit": 1})
    told = {tuple(row[:3]): [tuple(each) for each in row[3]] for row in found}
    assert told == {key: sorted(times)[:2] for key, times in wanted.items()}
    assert any(len(times) > 2 for times in wanted.values())


def test_numbers_and_times_come_back_as_they_were_sent(client: Client) -> None:
    due = START + timedelta(microseconds=1)
    exact = {"rating_score": 0.1, "sentiment": -0.7, "promise_due_at": due}
    insert(client, [record(0, **exact, stage_after=[("purchase", 2, "loyalty")])], 10)
    row = Ledger(client).history(
        ["customer-1"], {("interactions.web", TOPIC_IDS[0], 0): 1}, EVER, TOUCHPOINTS
    )[0]
    assert {name: row[name] for name in exact} == exact
    assert row["stage_after"] == [("purchase", 2, "loyalty")]


def test_the_history_of_some_customers(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_CUSTOMERS", 2)
    monkeypatch.setattr(module, "MAX_CUSTOMERS", 2)
    stored = records(7)
    insert_unmerged(client, stored, 90)
    asked = (ends(stored, 400), START + timedelta(days=1), TOUCHPOINTS[:4])
    wanted = expected(stored, *asked)
    keys = sorted({key for key, _ in wanted})[:5]
    found = Ledger(client).history([*keys, "nobody"], *asked)
    assert {(row["customer_key"], row["event_id"]): row for row in found} == {
        key: given(row, INTERACTION_COLUMNS) for key, row in wanted.items() if key[0] in keys
    }
    assert len({(row["customer_key"], row["event_id"]) for row in found}) == len(found) > 5


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("partitions", [[0, 1, 2], [1], [7]])
@pytest.mark.parametrize("days", [-400, 1, 25, 400])
def test_the_latest_revisions_of_recent_moments_and_promises(
    client: Client, partitions: list[int], days: int
) -> None:
    events = warehouse_oracle.events(records(8))
    found, made = moments(8, events), promises(8, events)
    fill(Ledger(client), found, made, 50)
    since = START + timedelta(days=days)
    read = Ledger(client)
    assert read.moments(partitions, since) == {
        row.moment_id: row
        for row in moment_oracle.latest(found)
        if row.partition in partitions and row.occurred_at >= since
    }
    assert read.promises(partitions, since) == {
        row.promise_id: row
        for row in moment_oracle.latest(made)
        if row.partition in partitions and row.due_at >= since
    }


def test_a_moment_that_moved_out_of_the_time_is_not_shown_as_it_was(client: Client) -> None:
    events = warehouse_oracle.events(records(8))
    first = moments(8, events)[0]._replace(occurred_at=START + timedelta(days=9))
    moved = first._replace(revision=first.revision + 1, occurred_at=START + timedelta(days=3))
    read = Ledger(client)
    read.record_moments([first, moved])
    assert read.moments([first.partition], START + timedelta(days=5)) == {}
    assert read.moments([first.partition], START) == {moved.moment_id: moved}


@pytest.mark.parametrize("partitions", [[0, 1, 2], [1], [7]])
def test_whose_strikes_go_on(client: Client, partitions: list[int]) -> None:
    def lately(row: MomentRow, since: datetime) -> bool:
        return row.status == "resolved" and row.closed_at is not None and row.closed_at >= since

    events = warehouse_oracle.events(records(8))
    found = [
        row._replace(rule=STRIKES) if row.moment_id.int % 2 else row for row in moments(8, events)
    ]
    read = Ledger(client)
    fill(read, found, [], 50)
    for begun, ended in ((400, -400), (20, 10), (20, 400), (10, 25), (-400, -400)):
        begun_before, ended_since = START + timedelta(days=begun), START + timedelta(days=ended)
        assert read.struck(partitions, begun_before, ended_since) == sorted(
            {
                row.customer_key
                for row in moment_oracle.latest(found)
                if row.rule == STRIKES
                and row.partition in partitions
                and row.occurred_at < begun_before
                and (row.status == "open" or lately(row, ended_since))
            }
        )


def test_everything_of_some_customers(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_CUSTOMERS", 2)
    monkeypatch.setattr(module, "MAX_CUSTOMERS", 2)
    events = warehouse_oracle.events(records(9))
    found, made = moments(9, events), promises(9, events)
    read = Ledger(client)
    fill(read, found, made, 50)
    keys = sorted({row.customer_key for row in made})[:5]
    assert sorted(read.moments_of(keys)) == sorted(
        row for row in moment_oracle.latest(found) if row.customer_key in keys
    )
    promised = [row for row in moment_oracle.latest(made) if row.customer_key in keys]
    assert sorted(read.promises_of(keys)) == sorted(promised)
    assert read.moments_of(["nobody"]) == []
    assert read.promises_of([]) == []


def test_moments_of_many_years_go_in_together(client: Client) -> None:
    some = moments(8, warehouse_oracle.events(records(8)))[0]
    old = [
        some._replace(
            moment_id=UUID(int=number),
            cause_at=datetime(2005, 1, 2, tzinfo=timezone.utc) + timedelta(days=31 * number),
        )
        for number in range(130)
    ]
    read = Ledger(client)
    read.record_moments(old)
    read.record_moments(old)  # the answer was lost
    assert read.moments([some.partition], EVER) == {row.moment_id: row for row in old}
    assert client.query("SELECT count() FROM moments WHERE status = 'open'").result_rows == [
        (130 if some.status == "open" else 0,)
    ]


def test_no_rows_are_no_insert() -> None:
    class Unused:
        def insert(self, *arguments: Any, **options: Any) -> None:
            raise AssertionError("nothing is to be inserted")

    unused: Any = Unused()
    Ledger(unused).record_moments([])
    Ledger(unused).record_promises([])
    Ledger(unused).record_progress([])


def test_progress_is_what_was_recorded_last(client: Client) -> None:
    read, web, again = Ledger(client), TOPIC_IDS[0], TOPIC_IDS[1]
    assert read.progress(["interactions.web"]) == {}
    rows = [
        ProgressRow("interactions.web", web, 0, 10, START),
        ProgressRow("interactions.web", web, 1, 11, START),
        ProgressRow("interactions.web", again, 0, 12, START),
        ProgressRow("interactions.email", web, 0, 13, START),
    ]
    read.record_progress(rows)
    read.record_progress([rows[0]._replace(next_offset=99, watermark=START + timedelta(1))])
    read.record_progress([rows[1]._replace(next_offset=3)])  # what was detected again
    assert read.progress(["interactions.web"]) == {
        ("interactions.web", web, 0): (99, START + timedelta(1)),
        ("interactions.web", web, 1): (3, START),
        ("interactions.web", again, 0): (12, START),
    }
    client.command("OPTIMIZE TABLE detection_progress FINAL")
    assert len(read.progress(["interactions.web", "interactions.email"])) == 4


def test_without_the_tables_it_says_so(fresh: Fresh) -> None:
    client, settings = fresh()
    client.database = None
    client.command(f"CREATE DATABASE {settings.database}")
    client.database = settings.database
    read = Ledger(client)
    some: list[Callable[[], Any]] = [
        lambda: read.progress(["interactions.web"]),
        lambda: read.moments([0], EVER),
        lambda: read.kinds({("t", TOPIC_IDS[0], 0): 1}, EVER, TOUCHPOINTS),
        lambda: list(read.interactions({("t", TOPIC_IDS[0], 0): 1}, {("faq", "web", "x"): EVER})),
        lambda: list(read.first_times({("t", TOPIC_IDS[0], 0): 1}, ["faq"], {"purchase": 1})),
        lambda: read.record_progress([ProgressRow("t", TOPIC_IDS[0], 0, 1, START)]),
    ]
    for call in some:
        with pytest.raises(SchemaMismatch, match="touchline migrate"):
            call()


def test_a_worker_that_starts_reads_the_recent_months_only(client: Client) -> None:
    some = moments(8, warehouse_oracle.events(records(8)))[0]
    rows = [
        some._replace(
            moment_id=UUID(int=number),
            cause_at=START - timedelta(days=number),
            occurred_at=START - timedelta(days=number),
        )
        for number in range(365)
    ]
    Ledger(client).record_moments(rows)
    asked = {
        "table": "moment_records",
        "kept_at": "cause_at",
        "asked_at": "occurred_at",
        "partitions": [some.partition],
        "since": START - timedelta(days=20),
    }
    fields = ", ".join(MomentRow._fields)
    plan = client.query(
        f"EXPLAIN indexes = 1 SELECT {fields} {module._RECENT}",  # noqa: S608
        parameters=asked,
    )
    text = "\n".join(line[0] for line in plan.result_rows)
    read, every = map(int, re.findall(r"Parts: (\d+)/(\d+)", text)[0])
    assert read <= 2 < 12 <= every
