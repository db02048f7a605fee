"""The simulator plants every moment of truth and near misses, and knows what came of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer
from typer.testing import CliRunner

from jobs.simulate import simulate as command
from pipeline import catalog
from pipeline.classify import Classifier
from pipeline.simulator import Book, MomentTruth, Plan, moments_of, simulate
from pipeline.simulator.findings import Finding, comparable, expected, instant
from pipeline.simulator.hours import HOUR, Clock
from schemas.rules import STRIKES
from tests.moment_found import Seen
from tests.moment_oracle import find

#: Truth of a small run. It changes only with the simulator and with what the rules mean.
GOLDEN = "bc6552ab101bbdcf4bcde7eba60fa753c75fe4b4f6124611ac23855bd39f08a2"
PLAN = Plan(customers=1_000, days=40, seed=11)


@pytest.fixture(scope="module")
def book() -> Book:
    return moments_of(PLAN)


@pytest.fixture(scope="module")
def moments(book: Book) -> list[MomentTruth]:
    return list(book.moments())


@pytest.fixture(scope="module")
def kinds() -> dict[str, str]:
    rules = catalog.load().catalog.rules
    return {**{rule.id: rule.kind for rule in rules}, STRIKES: "pain"}


def _digest(book: Book) -> str:
    digest = hashlib.sha256()
    for record in (*book.moments(), *book.near_misses()):
        digest.update(orjson.dumps(record))
    return digest.hexdigest()


# --- everything is planted --------------------------------------------------------------------


def test_every_rule_finds_something_of_its_kind(
    moments: list[MomentTruth], kinds: dict[str, str]
) -> None:
    assert {moment.rule: moment.kind for moment in moments} == kinds


def test_every_rule_has_a_planted_moment_and_a_near_miss(
    book: Book, moments: list[MomentTruth], kinds: dict[str, str]
) -> None:
    planted = Counter(moment.rule for moment in moments if moment.planted)
    near = Counter(miss.rule for miss in book.near_misses())
    assert set(planted) == set(near) == set(kinds)
    assert min(planted.values()) >= 2
    assert min(near.values()) >= 4


def test_what_is_planted_comes_to_be(book: Book, moments: list[MomentTruth]) -> None:
    found = {(moment.rule, moment.cause) for moment in moments}
    missing = Counter(rule for rule, event in book.planted() if (rule, event) not in found)
    # these count what happens to the customer, so something else may have made it so before, or not
    depends = {STRIKES, "repeated_need", "too_many_messages", "recovered", "cart_abandoned"}
    depends |= {"question_unanswered", "first_contact_resolved"}
    assert set(missing) <= depends
    assert missing.total() <= 0.05 * sum(1 for _ in book.planted())


def test_near_misses_hold(book: Book, moments: list[MomentTruth]) -> None:
    found = {(moment.rule, moment.cause) for moment in moments}
    misses = list(book.near_misses())
    assert not any((miss.rule, miss.event_id) in found for miss in misses)
    assert all(miss.why for miss in misses)


def test_moments_are_open_resolved_and_retracted(moments: list[MomentTruth]) -> None:
    statuses: dict[str, set[str]] = {}
    for moment in moments:
        statuses.setdefault(moment.rule, set()).add(moment.status)
    for rule in ("message_unanswered", "complaint_unanswered", "delivery_late", "phone_menu_lost"):
        assert {"open", "resolved"} <= statuses[rule]
    for rule in ("cart_abandoned", "cancellation_not_completed", "first_contact_resolved"):
        assert "retracted" in statuses[rule]


def test_stories_cross_channels() -> None:
    channels: dict[str, set[str]] = {}
    book = Book(PLAN.start, PLAN.days)
    events = {}
    for line in simulate(PLAN, book):
        if line.truth.valid:
            events[line.truth.event_id] = line.truth.channel
    for moment in book.moments():
        channels.setdefault(moment.rule, set()).add(events[moment.cause])
        if moment.closed_by and events[moment.closed_by] != events[moment.cause]:
            channels[moment.rule].add("closed on another")
    assert "closed on another" in channels["message_unanswered"]
    assert "closed on another" in channels["complaint_unanswered"]
    assert len(channels["message_unanswered"] & {"web", "app", "kiosk", "email", "phone"}) >= 4
    assert len(channels["thanked"]) >= 3
    assert len({channel for found in channels.values() for channel in found}) >= 10


# --- the truth is well formed -----------------------------------------------------------------


def test_times_are_in_order_and_known_by_the_end(book: Book, moments: list[MomentTruth]) -> None:
    end = instant(book.end)
    for moment in moments:
        occurred = instant(moment.occurred_at)
        assert occurred < end
        assert (moment.closed_at is None) == (moment.status == "open")
        if moment.closed_at is not None:
            assert occurred < instant(moment.closed_at) < end
        assert not (moment.kind == "glory" and moment.status == "resolved")


def test_a_moment_is_told_once(moments: list[MomentTruth]) -> None:
    names = Counter(
        (moment.rule, moment.customer, moment.cause, moment.occurred_at) for moment in moments
    )
    assert max(names.values()) == 1


def test_causes_are_events_of_the_customer() -> None:
    plan = Plan(customers=200, days=30, seed=3)
    book = Book(plan.start, plan.days)
    owners = {line.truth.event_id: line.truth.customer_id for line in simulate(plan, book)}
    for moment in book.moments():
        assert owners[moment.cause] == moment.customer
        assert not moment.closed_by or owners[moment.closed_by] == moment.customer
    for miss in book.near_misses():
        assert owners[miss.event_id] == miss.customer


# --- determinism ------------------------------------------------------------------------------


def test_same_plan_same_truth_as_ever() -> None:
    plan = Plan(customers=60, days=30, seed=7)
    assert _digest(moments_of(plan)) == _digest(moments_of(plan)) == GOLDEN
    assert _digest(moments_of(replace(plan, seed=8))) != GOLDEN


@pytest.mark.parametrize(
    "noise",
    [
        {"duplicates": 0, "late": 0, "out_of_order": 0, "malformed": 0},
        {"duplicates": 0.3, "late": 0.2, "out_of_order": 0.5, "malformed": 0.2},
    ],
)
def test_noise_changes_no_truth(noise: dict[str, Any]) -> None:
    plan = Plan(customers=60, days=30, seed=7)
    book = Book(plan.start, plan.days)
    for _ in simulate(replace(plan, **noise), book):
        pass
    assert _digest(book) == _digest(moments_of(plan))


def test_noting_changes_no_line() -> None:
    plan = Plan(customers=60, days=14, seed=7)
    noted = [line.value for line in simulate(plan, Book(plan.start, plan.days))]
    assert noted == [line.value for line in simulate(plan)]


# --- office hours -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begins", "hours", "due"),
    [
        ("2026-10-22T07:00:00.000Z", 8, "2026-10-22T15:00:00.000Z"),  # Thursday, nine to five
        ("2026-10-23T14:00:00.000Z", 8, "2026-10-26T15:00:00.000Z"),  # over the end of summer time
        ("2026-10-24T12:00:00.000Z", 16, "2026-10-27T16:00:00.000Z"),  # from a Saturday
        ("2026-10-22T20:00:00.000Z", 1, "2026-10-23T08:00:00.000Z"),  # from an evening
        ("2026-10-22T01:00:00.000Z", 40, "2026-10-28T16:00:00.000Z"),
    ],
)
def test_terms_run_in_office_hours(begins: str, hours: int, due: str) -> None:
    clock = Clock(PLAN.start, 60)
    millis = round(instant(begins).timestamp() * 1000)
    assert clock.utc(clock.office(millis, hours * HOUR)) == due


# --- the command ------------------------------------------------------------------------------


def _run(*arguments: str) -> Any:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(arguments))


def test_command_writes_moments_and_near_misses(tmp_path: Path) -> None:
    out, file = tmp_path / "events.ndjson", tmp_path / "moments.ndjson"
    scale = ("--customers", "60", "--days", "30", "--seed", "7")
    result = _run(*scale, "--out", str(out), "--moments", str(file), "--json")
    assert result.exit_code == 0, result.output
    summary = orjson.loads(result.stdout)
    records = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    book = moments_of(Plan(60, 30, 7))
    found = [record for record in records if record.pop("truth") == "moment"]
    assert found == [orjson.loads(orjson.dumps(moment)) for moment in book.moments()]
    assert records[len(found) :] == [
        orjson.loads(orjson.dumps(miss)) for miss in book.near_misses()
    ]
    assert summary["moments_found"] == dict(Counter(item["rule"] for item in found))
    assert sum(summary["near_misses"].values()) == len(records) - len(found) > 0
    assert summary["moments_until"] == book.end
    assert summary["moments"] == str(file)


# --- against the oracle -----------------------------------------------------------------------


def test_the_oracle_finds_exactly_this() -> None:
    loaded = catalog.load()
    classify = Classifier(loaded.catalog).classify
    plan = Plan(customers=150, days=60, seed=4)
    book = Book(plan.start, plan.days)
    events = {
        line.truth.event_id: orjson.loads(line.value)
        for line in simulate(plan, book)
        if line.truth.valid
    }
    seen = [
        Seen(
            event["identifiers"]["customer_id"],
            event["event_id"],
            instant(event["occurred_at"]),
            event,
            classify(event),
        )
        for event in events.values()
    ]
    found = find(loaded.catalog, seen, instant(book.end)).moments
    assert expected(book) == comparable(
        (
            item.subject,
            Finding(
                item.rule,
                item.kind,
                item.customer_key,
                item.cause,
                item.status,
                item.occurred_at,
                item.due_at,
                item.closed_at,
                item.closed_by,
            ),
        )
        for item in found
    )
