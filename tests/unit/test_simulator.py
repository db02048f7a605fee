"""The simulator repeats itself to the byte, and the catalog agrees with what it meant."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer
from pydantic import ValidationError
from typer.testing import CliRunner

from jobs.simulate import simulate as command
from pipeline import catalog
from pipeline.classify import Classifier, Moment, stage_of
from pipeline.decode import decode
from pipeline.errors import RejectedRecord, SettingsError
from pipeline.settings import Settings
from pipeline.simulator import Book, Plan, Produced, company, simulate
from pipeline.simulator.dice import Dice
from pipeline.simulator.hours import Clock
from pipeline.simulator.noise import KINDS, malform
from schemas.interaction import INTERACTION, Envelope

#: Bytes of a small run. They change only with the simulator, never with machine or Python version.
GOLDEN = "e3ccc6a0d7aa444ff6f0e263017514e3bf2763e3f366cb4712c53ba090dc3846"
MONTH = Plan(customers=500, days=30)


@pytest.fixture(scope="module")
def month() -> list[Produced]:
    return list(simulate(MONTH))


@pytest.fixture(scope="module")
def loaded() -> catalog.LoadedCatalog:
    return catalog.load()


def _digest(plan: Plan) -> str:
    digest = hashlib.sha256()
    for produced in simulate(plan):
        digest.update(produced.value + b"\n")
        digest.update(orjson.dumps(produced.truth))
    return digest.hexdigest()


def _first_copies(lines: list[Produced]) -> list[Produced]:
    return [line for line in lines if line.truth.valid and not line.truth.duplicate]


def _when(line: Produced) -> datetime:
    return datetime.fromisoformat(orjson.loads(line.value)["occurred_at"].replace("Z", "+00:00"))


# --- determinism ------------------------------------------------------------------------------


def test_same_plan_same_bytes_as_ever() -> None:
    plan = Plan(customers=60, days=14, seed=7)
    assert _digest(plan) == _digest(plan) == GOLDEN


def test_another_seed_another_run() -> None:
    plan = Plan(customers=60, days=14, seed=7)
    assert _digest(plan) != _digest(replace(plan, seed=8))


def test_two_plans_share_no_customer() -> None:
    first, second = (
        {
            value
            for line in _first_copies(list(simulate(Plan(customers=60, days=14, seed=seed))))
            for value in orjson.loads(line.value)["identifiers"].values()
        }
        for seed in (1, 2)
    )
    assert first
    assert not first & second


def test_two_plans_share_no_event_id() -> None:
    plan = Plan(customers=60, days=14)
    first, *others = (
        {line.truth.event_id for line in _first_copies(list(simulate(other)))}
        for other in (
            plan,
            replace(plan, days=15),
            replace(plan, seed=2),
            replace(plan, customers=61),
        )
    )
    assert first
    assert all(first.isdisjoint(other) for other in others)


def test_noise_changes_no_event(month: list[Produced]) -> None:
    quiet = replace(MONTH, duplicates=0, late=0, out_of_order=0, malformed=0)
    calm = [line.truth for line in simulate(quiet)]
    noisy = [line.truth for line in _first_copies(month)]

    def meant(truths: list[Any]) -> set[tuple[Any, ...]]:
        return {(t.event_id, t.customer_id, t.touchpoint, t.stage) for t in truths}

    assert meant(calm) == meant(noisy)
    assert not any(t.late or t.duplicate or t.out_of_order or t.malformed for t in calm)


# --- truth and lines --------------------------------------------------------------------------


def test_truth_stands_beside_its_line(month: list[Produced]) -> None:
    assert [line.truth.line for line in month] == list(range(1, len(month) + 1))
    for line in month:
        assert b"\n" not in line.value
        assert b"\r" not in line.value
        truth = line.truth
        assert truth.valid == (truth.malformed is None)
        if truth.valid:
            event = orjson.loads(line.value)
            assert event["event_id"] == truth.event_id
            assert event["channel"] == truth.channel
            assert event["identifiers"]["customer_id"] == truth.customer_id
        else:
            assert truth.malformed in KINDS
            assert (truth.event_id, truth.customer_id) == (None, None)
            assert (truth.touchpoint, truth.stage) == (None, None)


def test_valid_lines_are_valid_and_malformed_ones_are_refused(
    month: list[Produced], loaded: catalog.LoadedCatalog
) -> None:
    limit = Settings.model_fields["max_record_bytes"].default
    for line in month:
        if line.truth.valid:
            INTERACTION.validate_json(line.value)
            decode(line.value, loaded.channels, limit)
        else:
            with pytest.raises(RejectedRecord):
                decode(line.value, loaded.channels, limit)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_malformed_line_is_refused(
    kind: str, month: list[Produced], loaded: catalog.LoadedCatalog
) -> None:
    event = orjson.loads(_first_copies(month)[0].value)
    dice = Dice(f"until it is {kind}")
    found, value = malform(event, dice)
    for _ in range(100 * len(KINDS)):
        if found == kind:
            break
        found, value = malform(event, dice)
    assert found == kind
    with pytest.raises(RejectedRecord):
        decode(value, loaded.channels, 262_144)
    if kind not in ("duplicate_key", "unknown_channel"):  # of which the models know nothing
        with pytest.raises(ValidationError):
            INTERACTION.validate_json(value)


def test_event_ids_are_unique_and_shaped_like_uuids(month: list[Produced]) -> None:
    ids = [line.truth.event_id or "" for line in _first_copies(month)]
    assert len(set(ids)) == len(ids)
    for event_id in ids:
        assert [len(part) for part in event_id.split("-")] == [8, 4, 4, 4, 12]
        int(event_id.replace("-", ""), 16)


def test_malformed_lines_take_no_valid_event_away(month: list[Produced]) -> None:
    ids = {line.truth.event_id for line in _first_copies(month)}
    for line in month:
        if not line.truth.valid and len(line.value) > 100:
            assert not any((event_id or "").encode() in line.value for event_id in ids)


# --- what the pipeline makes of it ------------------------------------------------------------


def _classified(
    lines: list[Produced], loaded: catalog.LoadedCatalog
) -> list[tuple[Produced, Envelope, str, str]]:
    """Classify every valid line as the pipeline does: stages by event time, duplicates once."""
    classifier = Classifier(loaded.catalog)
    found = []
    history: dict[str, dict[str, set[Moment]]] = {}
    for line in lines:
        if line.truth.valid:
            decoded = decode(line.value, loaded.channels, 262_144)
            moment = (decoded.interaction.occurred_at, decoded.interaction.event_id)
            result = classifier.classify(decoded.event)
            for fact in result.facts:
                mine = history.setdefault(line.truth.customer_id or "", {})
                mine.setdefault(fact, set()).add(moment)
            found.append((line, decoded.interaction, moment, result))
    return [
        (
            line,
            interaction,
            result.touchpoint,
            stage_of(
                result,
                moment,
                {
                    fact: list(moments)
                    for fact, moments in history.get(line.truth.customer_id or "", {}).items()
                },
            ),
        )
        for line, interaction, moment, result in found
    ]


def test_the_catalog_agrees_with_what_was_meant(
    month: list[Produced], loaded: catalog.LoadedCatalog
) -> None:
    wrong = Counter(
        (line.truth.touchpoint, touchpoint, line.truth.stage, stage, interaction.action)
        for line, interaction, touchpoint, stage in _classified(month, loaded)
        if (touchpoint, stage) != (line.truth.touchpoint, line.truth.stage)
    )
    assert wrong == Counter()


def test_every_stage_by_history_occurs(month: list[Produced]) -> None:
    stages: dict[str, set[str]] = {}
    for line in _first_copies(month):
        stages.setdefault(line.truth.touchpoint or "", set()).add(line.truth.stage or "")
    assert stages["product_page"] == {"consideration", "loyalty"}
    assert stages["order"] == {"selection", "loyalty"}
    assert stages["newsletter"] == {"awareness", "loyalty"}
    assert stages["cross_sell_email"] == {"loyalty", "satisfaction"}
    assert stages["thank_you_message"] == {"satisfaction", "loyalty"}


def test_hardly_anything_is_unclassified(month: list[Produced]) -> None:
    events = _first_copies(month)
    unknown = sum(line.truth.touchpoint == company.NONE for line in events)
    assert 0 < unknown <= 0.01 * len(events)


def test_every_touchpoint_and_channel_occurs(loaded: catalog.LoadedCatalog) -> None:
    assert set(company.TOUCHPOINTS) == {entry.id for entry in loaded.catalog.touchpoints}
    lines = list(simulate(Plan(customers=1_500, days=60)))
    assert {line.truth.touchpoint for line in _first_copies(lines)} == {
        *company.TOUCHPOINTS,
        company.NONE,
    }
    assert {line.truth.channel for line in _first_copies(lines)} == loaded.channels


# --- plausible --------------------------------------------------------------------------------


def test_a_month_is_about_as_busy_as_expected(month: list[Produced]) -> None:
    events = _first_copies(month)
    assert 6_000 <= len(events) <= 10_000
    channels = Counter(line.truth.channel for line in events)
    for channel in ("web", "email", "phone", "store"):
        assert channels[channel] >= 0.06 * len(events)


def test_customers_come_back(month: list[Produced]) -> None:
    buys = Counter(
        line.truth.customer_id
        for line in _first_copies(month)
        if line.truth.touchpoint in company.BUYING
    )
    assert sum(count > 1 for count in buys.values()) > 0.1 * len(buys)


def test_stores_and_lines_are_open(month: list[Produced]) -> None:
    visits, calls = [], []
    for line in _first_copies(month):
        event = orjson.loads(line.value)
        if (event["channel"], event["action"]) == ("store", "visit"):
            visits.append(_when(line))
        if event["action"] == "menu_entered":
            calls.append(_when(line))
    assert len(visits) > 100
    assert len(calls) > 50
    assert all(9 <= visit.hour < 20 for visit in visits)
    assert all(visit.hour >= 12 for visit in visits if visit.weekday() == 6)
    assert all(8 <= call.hour < 20 and call.weekday() < 6 for call in calls)


def test_promises_cases_ratings_and_amounts_are_there(month: list[Produced]) -> None:
    seen: Counter[str] = Counter()
    cases: set[str] = set()
    for line in _first_copies(month):
        event = orjson.loads(line.value)
        seen.update(event.keys())
        cases |= set(event.get("case_ids", ()))
        if "promise_due_at" in event:
            due = datetime.fromisoformat(event["promise_due_at"].replace("Z", "+00:00"))
            assert due > _when(line)
        if event["action"] in ("purchase", "checkout_completed", "order_placed"):
            assert event["amount"] > 0
            assert "order_id" in event["case_ids"]
        if event["action"] == "survey_answered":
            assert "rating" in event
    assert min(seen[name] for name in ("promise_due_at", "case_ids", "amount", "rating")) > 20
    assert {"order_id", "ticket_id", "call_id", "request_id", "complaint_id"} <= cases


def test_events_stay_within_the_days_of_the_plan() -> None:
    plan = Plan(customers=200, days=10, start=date(2026, 3, 25))
    days = {_when(line).date() for line in _first_copies(list(simulate(plan)))}
    assert min(days) >= date(2026, 3, 24)  # in UTC; local midnight is an hour before
    assert max(days) <= plan.start + timedelta(days=9)


# --- noise ------------------------------------------------------------------------------------


def test_rates_are_near_the_knobs() -> None:
    plan = Plan(
        customers=500, days=30, duplicates=0.05, late=0.03, out_of_order=0.1, malformed=0.02
    )
    lines = list(simulate(plan))
    events = _first_copies(lines)
    found = {
        "duplicates": sum(line.truth.duplicate for line in lines),
        "late": sum(line.truth.late for line in events),
        "out_of_order": sum(line.truth.out_of_order for line in events),
        "malformed": sum(not line.truth.valid for line in lines),
    }
    for name, count in found.items():
        assert count / len(events) == pytest.approx(getattr(plan, name), rel=0.25)


def test_duplicates_are_the_same_bytes_later() -> None:
    lines = list(simulate(Plan(customers=200, days=14, duplicates=0.2)))
    first = {line.truth.event_id: line for line in _first_copies(lines)}
    again = [line for line in lines if line.truth.duplicate]
    assert len(again) > 50
    for line in again:
        original = first[line.truth.event_id]
        assert line.value == original.value
        assert line.truth.line > original.truth.line
        assert line.truth.stage == original.truth.stage


def test_lines_come_in_the_order_of_arrival(month: list[Produced]) -> None:
    assert [line.arrived_at for line in month] == sorted(line.arrived_at for line in month)
    for line in _first_copies(month):
        waited = line.arrived_at - _when(line).timestamp() * 1000
        if line.truth.late:
            assert 3_600_000 <= waited <= 3 * 86_400_000
        elif line.truth.out_of_order:
            assert 30_000 <= waited <= 300_000
        else:
            assert 0 < waited < 1_000


def test_a_customers_events_are_in_order_without_noise() -> None:
    quiet = Plan(customers=300, days=20, duplicates=0, late=0, out_of_order=0, malformed=0)
    latest: dict[str | None, datetime] = {}
    overtaken = total = 0
    for line in simulate(quiet):
        total += 1
        when = _when(line)
        overtaken += when < latest.get(line.truth.customer_id, when)
        latest[line.truth.customer_id] = when
    assert overtaken <= total * 0.001


def test_disorder_is_there(month: list[Produced]) -> None:
    times = [_when(line) for line in _first_copies(month)]
    assert sum(later < earlier for earlier, later in pairwise(times)) > 50


# --- settings and clock -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"customers": 0},
        {"days": 0},
        {"seed": -1},
        {"late": 1.1},
        {"malformed": -0.1},
        {"duplicates": float("nan")},
        {"late": 0.6, "out_of_order": 0.6},
        {"start": date(1969, 12, 31)},
        {"start": date(2099, 12, 1)},
        {"days": 100_000},
    ],
)
def test_a_plan_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Plan(**{"customers": 1, "days": 1, **wrong})


@pytest.mark.parametrize(
    ("moment", "local"),
    [
        ("2026-03-29T00:59:59.999Z", "2026-03-29T01:59:59.999+01:00"),
        ("2026-03-29T01:00:00.000Z", "2026-03-29T03:00:00.000+02:00"),
        ("2026-10-25T00:59:59.999Z", "2026-10-25T02:59:59.999+02:00"),
        ("2026-10-25T01:00:00.000Z", "2026-10-25T02:00:00.000+01:00"),
    ],
)
def test_clocks_are_changed(moment: str, local: str) -> None:
    clock = Clock(date(2026, 1, 1), 365)
    when = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    millis = round(when.timestamp() * 1000)
    assert clock.utc(millis) == moment
    assert clock.local(millis) == local


def test_local_days_begin_at_midnight() -> None:
    clock = Clock(date(2026, 10, 24), 3)
    begins = [clock.local(clock.midnight(day)) for day in range(4)]
    assert begins == [
        "2026-10-24T00:00:00.000+02:00",
        "2026-10-25T00:00:00.000+02:00",
        "2026-10-26T00:00:00.000+01:00",
        "2026-10-27T00:00:00.000+01:00",
    ]
    assert [clock.day(clock.midnight(day)) for day in range(3)] == [0, 1, 2]
    assert clock.end == clock.midnight(3)


def test_stages_by_purchases_and_complaints() -> None:
    assert [company.stage("product_page", count, 0) for count in (0, 1, 5)] == [
        "consideration",
        "loyalty",
        "loyalty",
    ]
    assert company.stage("nps_survey", 2, 0) == "loyalty"
    assert company.stage("nps_survey", 2, 1) == "satisfaction"
    assert company.stage(company.NONE, 2, 1) == company.NONE


# --- the command ------------------------------------------------------------------------------


def _run(*arguments: str) -> Any:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(arguments))


def test_command_writes_lines_and_truth(tmp_path: Path) -> None:
    out, truth = tmp_path / "events.ndjson", tmp_path / "truth.ndjson"
    scale = ("--customers", "40", "--days", "7", "--seed", "3", "--start", "2026-10-01")
    result = _run(*scale, "--out", str(out), "--truth", str(truth), "--json")
    assert result.exit_code == 0, result.output
    summary = orjson.loads(result.stdout)
    expected = list(simulate(Plan(40, 7, 3, date(2026, 10, 1))))
    assert out.read_bytes() == b"".join(line.value + b"\n" for line in expected)
    truths = [orjson.loads(line) for line in truth.read_bytes().splitlines()]
    assert [item["line"] for item in truths] == list(range(1, len(expected) + 1))
    assert [item["stage"] for item in truths] == [line.truth.stage for line in expected]
    assert summary["lines"] == len(expected)
    assert summary["bytes"] == out.stat().st_size
    assert summary["events"] == len(_first_copies(expected))
    assert summary["events"] + summary["duplicate"] + summary["malformed"] == summary["lines"]
    assert sum(summary["channels"].values()) == summary["events"]
    assert sum(summary["touchpoints"].values()) == summary["events"]


def test_command_writes_to_standard_output_and_sums_up_on_standard_error() -> None:
    result = _run("--customers", "40", "--days", "7", "--out", "-")
    assert result.exit_code == 0, result.output
    expected = b"".join(line.value + b"\n" for line in simulate(Plan(40, 7)))
    assert result.stdout_bytes == expected


def test_an_older_file_is_replaced_and_a_device_is_not(tmp_path: Path) -> None:
    target, link = tmp_path / "events.ndjson", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    assert _run("--customers", "20", "--days", "5", "--out", str(link)).exit_code == 0
    assert target.read_bytes().startswith(b"{")
    assert link.is_symlink()
    assert _run("--customers", "20", "--days", "5", "--out", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.ndjson", "link"]


@pytest.mark.parametrize("trouble", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_file_that_is_not_finished_never_has_its_name(
    trouble: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, truth = tmp_path / "events.ndjson", tmp_path / "truth.ndjson"
    truth.write_bytes(b"old")
    seen: list[str] = []

    def interrupted(plan: Plan, book: Book | None) -> Iterator[Produced]:
        yield from islice(simulate(plan), 5)
        seen.extend(path.name for path in tmp_path.iterdir())
        raise trouble

    monkeypatch.setattr("jobs.simulate.simulated", interrupted)
    result = _run("--out", str(out), "--truth", str(truth))
    assert result.exit_code != 0
    assert len(seen) == 3
    assert out.name not in seen
    assert [path.name for path in tmp_path.iterdir()] == [truth.name]
    assert truth.read_bytes() == b"old"


def test_command_shows_channels_and_touchpoints(tmp_path: Path) -> None:
    result = _run("--customers", "40", "--days", "7", "--out", str(tmp_path / "events.ndjson"))
    assert result.exit_code == 0
    assert "product_page" in result.stdout
    assert "phone" in result.stdout


@pytest.mark.parametrize(
    "wrong",
    [
        ("--out", "-", "--json"),
        ("--out", "{tmp}/no/such/folder"),
        ("--out", "{tmp}/same", "--truth", "{tmp}/same"),
        ("--out", "{tmp}/same", "--moments", "{tmp}/same"),
        ("--out", "{tmp}/x", "--truth", "{tmp}/same", "--moments", "{tmp}/same"),
        ("--out", "{tmp}/x", "--late", "0.7", "--out-of-order", "0.7"),
        ("--out", "{tmp}/x", "--start", "tomorrow"),
        ("--out", "{tmp}/x", "--start", "2200-01-01"),
        ("--out", "{tmp}/x", "--customers", "0"),
        (),
    ],
)
def test_command_refuses_wrong_usage(wrong: tuple[str, ...], tmp_path: Path) -> None:
    result = _run(*(word.format(tmp=tmp_path) for word in wrong))
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []
