"""Moments, promises, trust and strikes on the real engine, against plain Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.ledger import Ledger
from pipeline.warehouse.ledger_rows import MomentRow, PromiseRow
from pipeline.warehouse.migrate import migrate
from pipeline.warehouse.queries import run
from schemas.catalog import Catalog
from tests.integration import moment_oracle as oracle
from tests.integration import warehouse_oracle
from tests.integration.filter_oracle import Event, Filters, Outcome, Step, steps
from tests.integration.warehouse_catalog import (
    CATALOG,
    GLORIES_PER_PAIN,
    OWNERS,
    PROMISES,
    RULE_OWNERS,
    RULES,
    SEGMENTS,
    STRIKES,
)
from tests.integration.warehouse_engine import engine
from tests.integration.warehouse_moments import STRANGER, fill, moments, promises
from tests.integration.warehouse_oracle import segments_of
from tests.integration.warehouse_records import Record, insert, rebuild, records

pytestmark = pytest.mark.integration

#: First instant of a time, and first instant after it.
Times = tuple[datetime, datetime]
EVER = (datetime(1970, 1, 1, tzinfo=timezone.utc), datetime(2100, 1, 1, tzinfo=timezone.utc))
SOME = (datetime(2026, 1, 30, 1, tzinfo=timezone.utc), datetime(2026, 2, 25, tzinfo=timezone.utc))
GAP = timedelta(days=14)
#: None of them ends a journey.
OUTCOMES = [Outcome("bought", ["checkout"]), Outcome("helped", ["faq", "complaint"], ["click"])]
WITH_OUTCOMES = Catalog.model_validate(
    CATALOG.model_dump(by_alias=True, exclude_unset=True)
    | {
        "outcomes": [
            {"id": name, "name": name, "touchpoints": places, "action": list(actions) or None}
            for name, places, actions in OUTCOMES
        ]
    }
)
#: Times and what else a question asks for, each alone and some together.
ASKED: list[tuple[tuple[datetime, datetime], dict[str, str]]] = [
    (EVER, {}),
    (SOME, {}),
    (SOME, {"segment": "vip"}),
    (EVER, {"segment": "(none)"}),
    (SOME, {"channel": "phone"}),
    (EVER, {"stage": "loyalty"}),
    (SOME, {"touchpoint": "faq"}),
    (EVER, {"outcome": "(none)"}),
    (SOME, {"segment": "vip", "channel": "web", "outcome": "bought"}),
    (EVER, {"stage": "knowledge", "touchpoint": "faq", "outcome": "helped"}),
    (SOME, {"channel": "kiosk"}),
]


def named(value: Any) -> str:
    """Return what a case is called."""
    return "-".join(value.values()) if isinstance(value, dict) else f"from {value[0].date()}"


CASES = pytest.mark.parametrize("times, filters", ASKED, ids=named)


@dataclass(frozen=True)
class Filled:
    """A database with interactions, moments and promises in it."""

    client: Client
    events: list[Record]
    moments: list[MomentRow]
    promises: list[PromiseRow]
    steps: dict[Event, Step]

    def filters(self, asked: dict[str, str]) -> Filters:
        """Return what decides whether something fits."""
        return Filters(self.events, self.steps, asked)


@pytest.fixture(scope="module", params=[11, 12])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with engine(tmp_path_factory.mktemp("home")) as fresh:
        client, settings = fresh()
        migrate(client, settings)
        publish(client, WITH_OUTCOMES, "1+abc")
        made = records(request.param)
        insert(client, made, 100)
        events = warehouse_oracle.events(made)
        found, given = moments(request.param, events, 400), promises(request.param, events, 300)
        fill(Ledger(client), found, given, 97)
        rebuild(client)
        yield Filled(client, events, found, given, steps(events, GAP, OUTCOMES))


def asked(filled: Filled, since: datetime, until: datetime, **filters: str) -> oracle.Asked:
    about = filled.filters(filters)
    return oracle.Asked(filled.moments, filled.events, since, until, about)


def answer(filled: Filled, name: str, since: datetime, until: datetime, **more: str) -> Any:
    times = {"since": since.isoformat(), "until": until.isoformat()}
    return run(filled.client, name, times | more).rows


def same(found: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> bool:
    assert found == [
        tuple(pytest.approx(value) if isinstance(value, float) else value for value in row)
        for row in expected
    ]
    return True


def view(client: Client, sql: str) -> list[Record]:
    found = client.query(sql)
    return [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]


def test_the_questions_leave_something_and_not_everything(filled: Filled) -> None:
    left = [len(asked(filled, *times, **filters).moments) for times, filters in ASKED]
    assert left[-1] == 0
    assert sum(number > 0 for number in left) >= 8
    assert max(left[1:]) < left[0]


def test_a_moment_is_shown_once_as_it_is_known_now(filled: Filled) -> None:
    found = view(filled.client, "SELECT * FROM moments ORDER BY toString(moment_id)")
    expected = sorted(oracle.standing(filled.moments), key=lambda row: str(row.moment_id))
    assert len(expected) < len(oracle.latest(filled.moments)) < len(filled.moments)
    assert [{name: row[name] for name in MomentRow._fields} for row in found] == [
        row._asdict() for row in expected
    ]
    for row in found:
        delay = (row["detected_at"] - row["occurred_at"]).total_seconds()
        closed = row["closed_at"] and (row["closed_at"] - row["occurred_at"]).total_seconds()
        assert (row["delay_seconds"], row["closed_after_seconds"]) == (delay, closed)


def test_a_promise_is_shown_once_as_it_is_known_now(filled: Filled) -> None:
    found = view(filled.client, "SELECT * FROM promises ORDER BY toString(promise_id)")
    expected = sorted(oracle.standing(filled.promises), key=lambda row: str(row.promise_id))
    assert len(expected) < len(oracle.latest(filled.promises)) < len(filled.promises)
    assert [{name: row[name] for name in PromiseRow._fields} for row in found] == [
        row._asdict() for row in expected
    ]
    answered = [row for row in found if row["answered_at"]]
    assert {row["answer_seconds"] for row in found if not row["answered_at"]} == {None}
    assert min(row["answer_seconds"] for row in answered) == 0
    for row in answered:
        seconds = (row["answered_at"] - row["made_at"]).total_seconds()
        assert row["answer_seconds"] == max(seconds, 0)


@CASES
def test_moments_by_rule(filled: Filled, times: Times, filters: dict[str, str]) -> None:
    by_rule = oracle.grouped(
        asked(filled, *times, **filters).moments, lambda row: (row.rule, row.kind)
    )
    severities = {(rule, kind): severity for rule, kind, severity in RULES}
    expected = []
    for rule, kind in [*severities, *sorted(set(by_rule) - set(severities))]:
        numbers = oracle.counted(by_rule[rule, kind])
        counts = [numbers[name] for name in ("moments", "open", "resolved", "retracted")]
        seconds = (*numbers["mending"], numbers["delay"])
        severity = severities.get((rule, kind), "")
        expected.append((rule, kind, severity, *counts, numbers["customers"], *seconds))
    found = answer(filled, "moments_by_rule", *times, **filters)
    assert same(found, expected)
    assert ("silent", "pain", "medium", 0, 0, 0, 0, 0, None, None, None) in found
    assert found[-1][0] == "old_rule" or filters


@CASES
def test_moments_by_touchpoint(filled: Filled, times: Times, filters: dict[str, str]) -> None:
    about = asked(filled, *times, **filters)
    by_touchpoint = oracle.grouped(about.moments, lambda row: row.touchpoint)
    met = [event["touchpoint"] for event in about.events]
    expected = []
    for touchpoint in oracle.known_first(list(OWNERS), {*met, *by_touchpoint}):
        numbers, visits = oracle.counted(by_touchpoint[touchpoint]), met.count(touchpoint)
        names = ("pains", "open_pains", "glories", "retracted", "in_pain")
        counts = [numbers[name] for name in names]
        rate = 100 * numbers["pains"] / visits if visits else None
        expected.append((touchpoint, OWNERS.get(touchpoint, ""), visits, *counts, rate))
    found = answer(filled, "moments_by_touchpoint", *times, **filters)
    assert same(found, expected)
    assert ("never_used", "Nobody", 0, 0, 0, 0, 0, 0, None) in found


@CASES
def test_moments_by_owner(filled: Filled, times: Times, filters: dict[str, str]) -> None:
    by_owner = oracle.grouped(asked(filled, *times, **filters).moments, lambda row: row.owner)
    expected = []
    for owner in {*by_owner, *OWNERS.values(), *filter(None, RULE_OWNERS)}:
        numbers = oracle.counted(by_owner[owner])
        names = ("pains", "open_pains", "resolved_pains", "glories", "retracted", "in_pain")
        counts = [numbers[name] for name in names]
        expected.append((owner, *counts, *numbers["mending_pains"], numbers["delay"]))
    expected.sort(key=lambda row: (-row[2], -row[1], row[0]))
    found = answer(filled, "moments_by_owner", *times, **filters)
    assert same(found, expected)
    assert {"Customer care", "Marketing", "Nobody"} <= {row[0] for row in found}


@CASES
def test_moments_by_segment(filled: Filled, times: Times, filters: dict[str, str]) -> None:
    about = asked(filled, *times, **filters)
    by_segment = oracle.grouped(
        about.moments, lambda row: about.segment_of.get(row.customer_key, "")
    )
    groups = list(about.customers.values())
    expected = []
    for segment in oracle.known_first(SEGMENTS, {*groups, *by_segment}):
        numbers, known = oracle.counted(by_segment[segment]), groups.count(segment)
        names = ("pains", "open_pains", "resolved_pains", "glories", "retracted")
        counts = [numbers[name] for name in names]
        share = numbers["in_pain"] / known if known else 0.0
        expected.append((segment, known, numbers["in_pain"], share, *counts))
    found = answer(filled, "moments_by_segment", *times, **filters)
    assert same(found, expected)
    assert ("nobody_yet", 0, 0, 0.0, 0, 0, 0, 0, 0) in found


@CASES
@pytest.mark.parametrize("rule", ["", "long_queue"])
def test_moments_by_day(filled: Filled, times: Times, filters: dict[str, str], rule: str) -> None:
    about = [row for row in asked(filled, *times, **filters).moments if rule in ("", row.rule)]
    by_day = oracle.grouped(about, lambda row: row.occurred_at.date())
    days = (max(by_day) - min(by_day)).days + 1 if by_day else 0
    expected = []
    for day in (min(by_day) + timedelta(days=number) for number in range(days)):
        numbers = oracle.counted(by_day[day])
        names = ("pains", "open_pains", "resolved_pains", "glories", "retracted", "in_pain")
        expected.append((day.isoformat(), *(numbers[name] for name in names)))
    found = answer(filled, "moments_by_day", *times, **filters, rule=rule)
    assert same(found, expected)
    assert any(sum(row[1:]) == 0 for row in found) or filters


@CASES
@pytest.mark.parametrize("owner, rule", [("", ""), ("Service", ""), ("", "long_queue")])
def test_open_pains(
    filled: Filled, times: Times, filters: dict[str, str], owner: str, rule: str
) -> None:
    about = asked(filled, *times, **filters)
    open_pains = oracle.worst_first(
        row for row in about.moments if owner in ("", row.owner) and rule in ("", row.rule)
    )
    expected = [
        (
            row.occurred_at,
            row.severity,
            row.rule,
            row.text,
            row.owner,
            row.touchpoint,
            row.channel,
            about.segment_of.get(row.customer_key, ""),
            row.subject,
            row.customer_key,
            str(row.moment_id),
        )
        for row in open_pains
    ]
    more = {**filters, "owner": owner, "rule": rule}
    assert answer(filled, "open_pains", *times, **more) == expected
    newest = answer(filled, "open_pains", *times, worst_first="no", **more)
    assert sorted(newest) == sorted(expected)
    assert [row[0] for row in newest] == sorted((row[0] for row in expected), reverse=True)


@CASES
def test_promise_keeping(filled: Filled, times: Times, filters: dict[str, str]) -> None:
    about, segment_of = filled.filters(filters), segments_of(filled.events)
    made = [
        row
        for row in oracle.standing(filled.promises)
        if times[0] <= row.made_at < times[1]
        and about.caused(row.customer_key, row.made_by, row.channel, row.touchpoint)
    ]
    by_both = oracle.grouped(made, lambda row: (row.promise, segment_of[row.customer_key]))
    expected = []
    for promise in oracle.known_first(PROMISES, {row.promise for row in made}):
        shown = {*SEGMENTS, ""} if promise in PROMISES else set()
        shown |= {segment for name, segment in by_both if name == promise}
        for segment in oracle.known_first([name for name in SEGMENTS if name in shown], shown):
            expected.append((promise, segment, *oracle.kept(by_both[promise, segment])))
    found = answer(filled, "promise_keeping", *times, **filters)
    assert same(found, expected)
    assert ("refund", "vip", 0, 0, 0, 0, 0, 0, None, None, None) in found
    assert sum(row[2] for row in found) == len(made)


def test_promise_keeping_as_a_view(filled: Filled) -> None:
    found = filled.client.query("SELECT * FROM promise_keeping ORDER BY ALL").result_rows
    asked_for = answer(filled, "promise_keeping", *EVER)
    assert list(found) == sorted(row[:9] for row in asked_for if row[2])


@CASES
def test_trust_balance(filled: Filled, times: Times, filters: dict[str, str]) -> None:
    about = asked(filled, *times, **filters)
    balances = oracle.trust(about.moments, GLORIES_PER_PAIN)
    groups = dict.fromkeys(balances, "") | about.customers
    expected = []
    for segment in oracle.known_first(SEGMENTS, groups.values()):
        own = [customer for customer, name in groups.items() if name == segment]
        mine = [balances[customer] for customer in own if customer in balances]
        glories, pains = sum(row[0] for row in mine), sum(row[1] for row in mine)
        balance = glories - GLORIES_PER_PAIN * pains
        ratio = glories / (GLORIES_PER_PAIN * pains) if pains else None
        below = sum(row[3] < 0 for row in mine)
        expected.append((segment, len(own), below, glories, pains, balance, ratio))
    found = answer(filled, "trust_balance", *times, **filters)
    assert same(found, expected)
    assert ("nobody_yet", 0, 0, 0, 0, 0.0, None) in found


@CASES
def test_trust_by_customer(filled: Filled, times: Times, filters: dict[str, str]) -> None:
    about = asked(filled, *times, **filters)
    rows = [
        (customer, about.segment_of.get(customer, ""), balance, glories, pains, unmended, ratio)
        for customer, (glories, pains, unmended, balance, ratio) in oracle.trust(
            about.moments, GLORIES_PER_PAIN
        ).items()
    ]
    rows.sort(key=lambda row: (row[2], -row[5], row[0]))
    found = answer(filled, "trust_by_customer", *times, **filters)
    assert same(found, rows)
    assert not found or found[0][2] < 0


def test_trust_balance_as_a_view_has_every_customer(filled: Filled) -> None:
    about = asked(filled, *EVER)
    balances = oracle.trust(about.moments, GLORIES_PER_PAIN)
    found = view(filled.client, "SELECT * FROM trust_balance")
    assert len(found) == len({*balances, *about.segment_of})
    for row in found:
        expected = balances.get(row["customer_key"], (0, 0, 0, 0.0, None))
        names = ("glories", "pains", "open_pains", "balance", "ratio")
        assert tuple(row[name] for name in names) == pytest.approx(expected)
        assert row["segment"] == about.segment_of.get(row["customer_key"], "")


@pytest.mark.parametrize("days", [20, 35, 45, 60])
@pytest.mark.parametrize("filters", [asks for _, asks in ASKED[1:]], ids=named)
def test_three_strikes(filled: Filled, days: int, filters: dict[str, str]) -> None:
    at = SOME[0] + timedelta(days=days)
    threshold, window = STRIKES
    about, segment_of = filled.filters(filters), segments_of(filled.events)
    struck = oracle.strikes(filled.moments, at, timedelta(days=window))
    rows = [
        (
            customer,
            segment_of.get(customer, ""),
            len(pains),
            pains[0].occurred_at,
            pains[-1].occurred_at,
            sorted({row.rule for row in pains}),
            sorted({row.owner for row in pains}),
        )
        for customer, pains in struck.items()
        if len(pains) >= threshold
        and any(about.caused(customer, row.cause, row.channel, row.touchpoint) for row in pains)
    ]
    rows.sort(key=lambda row: row[0])
    rows.sort(key=lambda row: (row[2], row[4]), reverse=True)
    asked_for = {"until": at.isoformat(), **filters}
    assert run(filled.client, "three_strikes", asked_for).rows == rows
    if not filters:
        assert 0 < len(rows) < len(struck)


def test_strikes_end_and_begin_at_their_instants(filled: Filled) -> None:
    pains = [
        row
        for rows in oracle.strikes(filled.moments, SOME[1], timedelta(days=40)).values()
        for row in rows
    ]
    row = min(pains, key=lambda row: row.moment_id)
    for at in (row.occurred_at, row.occurred_at + timedelta(days=40)):
        for moved in (-1, 0, 1):
            instant = at + timedelta(microseconds=moved)
            expected = oracle.strikes(filled.moments, instant, timedelta(days=40))
            found = filled.client.query(
                "SELECT customer_key, pains FROM strikes_at(at = {at:DateTime64(6, 'UTC')})",
                parameters={"at": instant},
            )
            assert {row[0]: row[1] for row in found.result_rows} == {
                key: len(own) for key, own in expected.items()
            }


def test_customer_strikes_are_as_of_now(filled: Filled) -> None:
    now = filled.client.query("SELECT now64(6, 'UTC')").result_rows[0][0]
    pain = next(row for row in oracle.standing(filled.moments) if row.kind == "pain")
    recent = [
        pain._replace(
            moment_id=type(pain.moment_id)(int=number),
            status="open",
            rule="long_queue",
            customer_key="new" if number < 3 else "newer",
            closed_at=None,
            cause_at=now,
            occurred_at=now - timedelta(minutes=number),
        )
        for number in range(1, 4)
    ]
    ledger = Ledger(filled.client)
    ledger.record_moments(recent)
    try:
        found = filled.client.query(
            "SELECT customer_key, pains, at_risk, last_pain_at FROM customer_strikes "
            "WHERE customer_key IN ('new', 'newer') ORDER BY customer_key"
        )
        assert list(found.result_rows) == [
            ("new", 2, True, recent[0].occurred_at),
            ("newer", 1, False, recent[2].occurred_at),
        ]
    finally:
        filled.client.command("DELETE FROM moment_records WHERE customer_key IN ('new', 'newer')")


def test_moments_by_day_as_a_view_adds_up(filled: Filled) -> None:
    found = filled.client.query(
        "SELECT day, segment, sum(moments), sum(open), sum(resolved), sum(retracted) "
        "FROM moments_by_day GROUP BY day, segment ORDER BY day, segment"
    )
    about = asked(filled, *EVER)
    by_both = oracle.grouped(
        about.moments,
        lambda row: (row.occurred_at.date(), about.segment_of.get(row.customer_key, "")),
    )
    names = ("moments", "open", "resolved", "retracted")
    expected = []
    for key, rows in sorted(by_both.items()):
        numbers = oracle.counted(rows)
        expected.append((*key, *(numbers[name] for name in names)))
    assert list(found.result_rows) == expected


def test_customers(filled: Filled) -> None:
    found = filled.client.query("SELECT * FROM customers ORDER BY customer_key").result_rows
    segment_of = segments_of(filled.events)
    assert list(found) == [
        (
            key,
            segment_of[key],
            len(history),
            len(warehouse_oracle.cut(history, GAP)),
            history[0]["occurred_at"],
            history[-1]["occurred_at"],
        )
        for key, history in sorted(warehouse_oracle.histories(filled.events).items())
    ]


@pytest.mark.parametrize(
    "name", ["moments", "promises", "moments_by_event", "customers", "trust_balance"]
)
def test_one_customer_is_the_same_alone_as_among_all(filled: Filled, name: str) -> None:
    customer = next(row.customer_key for row in filled.moments if row.customer_key != STRANGER)
    every = filled.client.query(f"SELECT * FROM {name} ORDER BY ALL")  # noqa: S608
    alone = filled.client.query(
        f"SELECT * FROM {name} WHERE customer_key = {{c:String}} ORDER BY ALL",  # noqa: S608
        parameters={"c": customer},
    )
    place = every.column_names.index("customer_key")
    expected = [row for row in every.result_rows if row[place] == customer]
    assert list(alone.result_rows) == expected != []


@pytest.fixture
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with engine(tmp_path_factory.mktemp("home")) as fresh:
        client, settings = fresh()
        migrate(client, settings)
        yield client


def test_without_a_catalog_twelve_glories_wipe_out_a_pain_and_nobody_strikes(
    empty: Client,
) -> None:
    made = records(3, 50)
    found = moments(3, warehouse_oracle.events(made), 60)
    Ledger(empty).record_moments(found)
    expected = oracle.trust(oracle.standing(found), 12)
    balances = empty.query("SELECT customer_key, balance FROM trust_balance").result_rows
    assert {key: balance for key, balance in balances if balance} == {
        key: row[3] for key, row in expected.items() if row[3]
    }
    assert empty.query("SELECT count() FROM customer_strikes").result_rows == [(0,)]
    assert run(empty, "three_strikes", {"until": "2026-03-01"}).rows == []
