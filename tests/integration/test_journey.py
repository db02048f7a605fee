"""``touchline journey``: one customer's history, against plain Python and as a person reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from clickhouse_connect.driver.client import Client

from pipeline.embedded.stack import embedded, endpoints
from pipeline.identify import Keyring
from pipeline.settings import Settings
from pipeline.warehouse.biography import biography
from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.client import connect
from pipeline.warehouse.ledger import Ledger
from pipeline.warehouse.ledger_rows import MomentRow, PromiseRow
from pipeline.warehouse.migrate import migrate
from tests.integration import moment_oracle, warehouse_oracle
from tests.integration.command import touchline
from tests.integration.warehouse_catalog import CATALOG, GLORIES_PER_PAIN
from tests.integration.warehouse_engine import engine
from tests.integration.warehouse_moments import fill, moments, promises
from tests.integration.warehouse_records import START, Record, insert, rebuild, record, records

pytestmark = pytest.mark.integration

EVER = (datetime(1970, 1, 1, tzinfo=timezone.utc), datetime(2100, 1, 1, tzinfo=timezone.utc))
SOME = (datetime(2026, 1, 30, 1, tzinfo=timezone.utc), datetime(2026, 2, 25, tzinfo=timezone.utc))
GAP = timedelta(days=14)
DAY = timedelta(days=1)


class Filled:
    """A database with the nasty records, and what is in it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        publish(client, CATALOG, "1+abc")
        made = records(21)
        insert(client, made, 100)
        self.events = warehouse_oracle.events(made)
        self.moments = moments(21, self.events, 300)
        self.promises = promises(21, self.events, 200)
        fill(Ledger(client), self.moments, self.promises, 97)
        rebuild(client)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with engine(tmp_path_factory.mktemp("home")) as fresh:
        client, settings = fresh()
        migrate(client, settings)
        yield Filled(client)


def steps_of(found: Any) -> list[Record]:
    return [step for told in found.journeys for step in told["steps"]]


@pytest.mark.parametrize("since, until", [EVER, SOME])
def test_every_customer_is_told_whole(filled: Filled, since: datetime, until: datetime) -> None:
    standing = moment_oracle.standing(filled.moments)
    kept = moment_oracle.standing(filled.promises)
    balances = moment_oracle.trust(standing, GLORIES_PER_PAIN)
    for customer, history in warehouse_oracle.histories(filled.events).items():
        found = biography(filled.client, customer, since, until, 10_000)
        assert found is not None
        trust = balances.get(customer, (0, 0, 0, 0.0, None))
        assert [found.who[n] for n in ("glories", "pains", "open_pains", "balance")] == [*trust[:4]]
        assert (found.who["interactions"], found.left_out) == (len(history), 0)
        inside = [event for event in history if since <= event["occurred_at"] < until]
        told = steps_of(found)
        assert [step["event_id"] for step in told] == [event["event_id"] for event in inside]
        numbers = {
            event["event_id"]: number
            for number, part in enumerate(warehouse_oracle.cut(history, GAP), 1)
            for event in part
        }
        assert [s["journey_number"] for s in told] == [numbers[e["event_id"]] for e in inside]
        own = {event["event_id"] for event in history}
        for step in told:
            here = (customer, step["event_id"])
            assert {m["moment_id"] for m in step["moments"] if m["cause"] in own} == {
                str(m.moment_id)
                for m in standing
                if (m.customer_key, m.cause) == here and m.status != "retracted"
            }
            assert {p["promise_id"] for p in step["made"]} == {
                str(p.promise_id) for p in kept if (p.customer_key, p.made_by) == here
            }


def test_a_moment_that_no_interaction_caused_stands_where_it_occurred(filled: Filled) -> None:
    lone = next(
        row
        for row in moment_oracle.standing(filled.moments)
        if row.cause == "no event" and row.status == "open" and row.customer_key != "f" * 32
    )
    found = biography(filled.client, lone.customer_key, *EVER, 10_000)
    steps = steps_of(found)
    at = [str(lone.moment_id) in {m["moment_id"] for m in step["moments"]} for step in steps]
    assert sum(at) == 1
    place = at.index(True)
    assert steps[place]["occurred_at"] <= lone.occurred_at
    assert all(step["occurred_at"] > lone.occurred_at for step in steps[place + 1 :])


def test_a_limit_keeps_the_latest_and_counts_the_others(filled: Filled) -> None:
    customer, history = max(
        warehouse_oracle.histories(filled.events).items(), key=lambda item: len(item[1])
    )
    found = biography(filled.client, customer, *EVER, 5)
    assert found is not None
    assert [step["event_id"] for step in steps_of(found)] == [e["event_id"] for e in history[-5:]]
    assert found.left_out == len(history) - 5
    assert biography(filled.client, "nobody", *EVER, 5) is None


def moment(row: Record, **changes: Any) -> MomentRow:
    made = moments(1, [row], 1)[0]._replace(
        status="open", severity="high", cause=row["event_id"], customer_key=row["customer_key"],
        closed_at=None, occurred_at=row["occurred_at"], revision=9,
        moment_id=UUID(int=row["offset"]),
    )  # fmt: skip
    return made._replace(**changes)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory whose embedded engine runs and holds two journeys of one customer."""
    path = tmp_path_factory.mktemp("work")
    settings = Settings(home=path / ".touchline")
    with (
        embedded(settings, broker=False),
        endpoints(settings, kafka=False, clickhouse=True) as connected,
    ):
        client = connect(connected.settings)
        migrate(client, connected.settings)
        publish(client, CATALOG, "1+abc")
        assert connected.settings.pepper is not None
        key = Keyring(connected.settings.pepper).key("customer_id", "C-17")
        case = {"case_ids": {"ticket_id": "T-1"}, "customer_key": key}
        made = [
            record(1, **case, occurred_at=START, segment="vip", touchpoint="faq"),
            record(2, **case, occurred_at=START + DAY, channel="phone", touchpoint="complaint"),
            record(3, customer_key=key, occurred_at=START + 40 * DAY, touchpoint="checkout"),
        ]
        insert(client, made, 100)
        answer = promises(1, made[:1], 1)[0]._replace(
            status="kept_late", made_by="event-1", answered_by="event-2", promise="answer",
            due_at=START + DAY / 2, answered_at=START + DAY, customer_key=key, revision=9,
        )  # fmt: skip
        assert isinstance(answer, PromiseRow)
        found = [
            moment(made[1], kind="pain", rule="long_queue", text="[b]she waits[/b]"),
            moment(made[2], kind="glory", rule="thanked", text="well done"),
        ]
        fill(Ledger(client), found, [answer], 10)
        rebuild(client)
        yield path


def test_a_person_sees_who_it_is_and_what_happened(directory: Path) -> None:
    ran = touchline(directory, "journey", "customer_id:C-17")
    assert ran.returncode == 0, ran.stderr
    lines = [" ".join(re.sub("─+", "", line).split()) for line in ran.stdout.decode().splitlines()]
    assert re.match(
        r"customer [0-9a-f]{32} · segment vip · since 2026-01-29 · 3 interactions in 2 journeys · "
        r"1 open pain · trust -1.5 · \d strikes?",
        " ".join(lines[:2]),
    )
    start = next(n for n, line in enumerate(lines) if line.startswith("journey 1"))
    assert lines[start:] == [
        "journey 1 · 1 d · 2 interactions · no outcome",
        "2026-01-29 22:00:00 web faq consideration",
        "promise answer, due 2026-01-30 10:00:00: kept late",
        "2026-01-30 22:00:00 web → phone complaint consideration",
        "✗ pain long_queue (high, open): [b]she waits[/b]",
        "promise answer kept late",
        "… 39 d without an interaction",
        "journey 2 · 0 s · 1 interaction · no outcome",
        "2026-03-10 22:00:00 web checkout consideration",
        "✓ glory thanked (high, open): well done",
    ]
    assert b"C-17" not in ran.stdout + ran.stderr


def test_a_time_a_limit_and_json(directory: Path) -> None:
    asked = ("journey", "customer_id:C-17", "--since", "2026-01-30")
    ran = touchline(directory, *asked, "--json")
    document = json.loads(ran.stdout)
    assert document["customer"]["open_pains"] == 1
    assert [told["journey_number"] for told in document["journeys"]] == [1, 2]
    assert [len(told["steps"]) for told in document["journeys"]] == [1, 1]
    assert document["journeys"][1]["seconds_since_previous"] == 39 * 86_400
    assert document["journeys"][0]["steps"][0]["handoff_from"] == "web"
    ran = touchline(directory, *asked, "--limit", "1")
    assert b"1 earlier interactions are not shown (--limit 0 shows all)" in ran.stderr
    assert b"journey 2" in ran.stdout
    assert b"journey 1" not in ran.stdout


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (["customer_id:C-18"], 1, "nothing is known of this customer"),
        (["C-18"], 2, "an identifier written kind:value"),
        (["customer_id:C-17", "--since", "soon"], 2, "a time such as 2026-10-01"),
        (["customer_id:C-17", "--until", "1960-01-01"], 2, "must be before --until"),
    ],
)
def test_what_cannot_be_shown_is_said(
    directory: Path, arguments: list[str], code: int, said: str
) -> None:
    ran = touchline(directory, "journey", *arguments)
    assert (ran.returncode, ran.stdout) == (code, b"")
    assert said in " ".join(re.sub("[─│╭╮╰╯]", " ", ran.stderr.decode()).split())
    assert b"C-18" not in ran.stderr
