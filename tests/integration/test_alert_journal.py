"""The journal of alerts on the real engine: whole or not at all, and read back as written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from clickhouse_connect.driver.client import Client

from pipeline.alerts import journal as module
from pipeline.alerts.desk import Decided
from pipeline.alerts.journal import Journal
from pipeline.alerts.orders import dead_letters, leave, open_alert
from pipeline.alerts.orders import order as make_order
from pipeline.alerts.state import Order
from pipeline.errors import RejectedInput
from pipeline.settings import Settings
from pipeline.warehouse.lifecycle import apply_lifecycle, lifecycle_statements
from pipeline.warehouse.migrate import migrate
from tests.alerting import START, Office, catalog, moment, revised
from tests.integration.warehouse_engine import Fresh, engine
from tests.integration.warehouse_records import insert, record

pytestmark = pytest.mark.integration

ROUTES = """
[[routes]]
id = "pain"
to = ["team", "desk"]
escalate = { after = "30m", to = "boss" }
cooldown = "1h"
cooldown_by = ["customer", "rule", "owner"]
window = "5m"
hours = "office"
"""
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    with engine(tmp_path_factory.mktemp("home")) as made:
        yield made


@pytest.fixture(scope="module")
def made(fresh: Fresh) -> tuple[Client, Settings]:
    client, settings = fresh()
    migrate(client, settings)
    return client, settings


@pytest.fixture
def client(made: tuple[Client, Settings]) -> Client:
    made[0].command("TRUNCATE TABLE alert_records")
    return made[0]


def rows(client: Client, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(sql).result_rows]


class Story:
    """What an office decides, kept in a real journal, too."""

    def __init__(self, client: Client) -> None:
        self.office = Office(catalog(ROUTES))
        self.journal = Journal(client)

    def round(self, *moments: Any, **more: Any) -> Decided:
        decided = self.office.round(*moments, **more)
        self.journal.store(decided)
        return decided


def told(client: Client) -> Story:
    """A story with an alert of each kind, a held moment, a suppressed one and a silence."""
    story = Story(client)
    story.round(moment("a"), moment("b"), moment("c", owner="Sales"))
    story.round(revised(moment("c"), "resolved"))
    story.round(moment("d", customer_key="customer-2", severity="high"))
    silence = Order(UUID(int=7), "silence", START, until=START + 9 * HOUR, owner="Sales", by="é")
    story.round(moment("e", owner="Sales"), orders=[silence])
    return story


def test_everything_is_read_back_as_the_desk_needs_it(client: Client) -> None:
    story = told(client)
    office, kept = story.office, story.journal
    assert office.verdict(moment("b")) == ("suppressed", "cooldown")
    assert office.verdict(moment("e")) == ("held", "silenced")
    verdicts = office.verdicts()
    found = kept.seen([item for item, _ in verdicts])
    assert {item: one for item, (one,) in found.items()} == {
        item: one for (item, _), one in verdicts.items()
    }
    alerts = office.alerts()
    assert len(alerts) == 2
    by_id = sorted(kept.alerts([item.alert_id for item in alerts]), key=lambda it: it.alert_id)
    assert by_id == sorted(alerts, key=lambda item: item.alert_id)
    assert kept.alerts([UUID(int=5)]) == kept.alerts([]) == []
    assert kept.orders("active") == office.orders("active")
    pending = kept.deliveries("pending")
    key = ("alert_id", "destination", "sequence")
    assert sorted(pending, key=lambda it: [str(getattr(it, n)) for n in key]) == sorted(
        office.delivered, key=lambda it: [str(getattr(it, n)) for n in key]
    )


def test_a_desk_is_made_anew_from_what_it_finds(client: Client) -> None:
    story = told(client)
    office, kept = story.office, story.journal
    for after in (timedelta(0), timedelta(minutes=4), timedelta(minutes=2), HOUR, HOUR):
        story.round(after=after)
        since = office.now - HOUR
        assert kept.hot_alerts(office.now) == office.hot_alerts()
        live = kept.live_moments(since, ["pain"])
        order = {item: place for place, item in enumerate(office.verdicts())}
        live.sort(key=lambda item: order[item.told.moment_id, item.route])
        assert live == office.live(since)
    assert [item.decision for item in kept.live_moments(since, [])] == ["held"]


@pytest.mark.parametrize("number", [1, 20_000])
def test_a_round_is_one_part_however_large(client: Client, number: int) -> None:
    client.command("SYSTEM STOP MERGES alert_records")
    try:
        _one_part(client, number)
    finally:
        client.command("SYSTEM START MERGES alert_records")


def _one_part(client: Client, number: int) -> None:
    story = Story(client)
    decided = story.round(*(moment(f"m{n}", customer_key=f"c{n}") for n in range(number)))
    assert len(decided.seen) == number
    parts = (
        "SELECT rows FROM system.parts "
        "WHERE database = currentDatabase() AND active AND table = 'alert_records'"
    )
    assert rows(client, parts) == [(number + 3,)]  # an alert, two deliveries
    story.journal.store(decided)  # again: nothing is held for a repetition, and it counts once
    assert len(rows(client, parts)) == 2
    assert rows(client, "SELECT count() FROM alert_moments") == [(number,)]
    assert len(story.journal.seen([item.told.moment_id for item in decided.seen])) == number


def test_views_show_what_was_decided(client: Client) -> None:
    story = told(client)
    ids = {name: moment(name).moment_id for name in "abcde"}
    verdicts = story.office.verdicts()
    alert_of = {name: verdicts[ids[name], "pain"].alert_id for name in "abcde"}
    shown = "SELECT moment_id, decision, reason, alert_id, moment_status FROM alert_moments"
    assert {row[0]: row[1:] for row in rows(client, shown)} == {
        ids["a"]: ("alerted", "", alert_of["a"], "open"),
        ids["b"]: ("suppressed", "cooldown", None, "open"),
        ids["c"]: ("alerted", "", alert_of["c"], "resolved"),
        ids["d"]: ("alerted", "", alert_of["a"], "open"),
        ids["e"]: ("held", "silenced", None, "open"),
    }
    shown = "SELECT alert_id, status, severity, owner, moments, open_moments, opened_at, closed_at"
    assert {row[0]: row[1:] for row in rows(client, f"{shown} FROM alerts")} == {
        alert_of["a"]: ("open", "high", "Service", 2, 2, START, None),
        alert_of["c"]: ("closed", "medium", "Sales", 1, 0, START, START),
    }
    shown = "SELECT alert_id, destination, sequence, action, status FROM alert_deliveries"
    assert sorted(rows(client, shown)) == sorted(
        (item.alert_id, item.destination, item.sequence, item.notification.action, "pending")
        for item in story.office.delivered
    )
    shown = "SELECT action, status, owner, rule, made_by, alert_id, until FROM alert_orders"
    assert rows(client, shown) == [("silence", "active", "Sales", "", "é", None, START + 9 * HOUR)]


def test_one_that_was_opened_again_and_waits_is_in_no_alert(client: Client) -> None:
    story, found = Story(client), moment("a")
    closed = revised(found, "resolved")
    story.round(found)
    story.round(closed)
    story.round(revised(closed, "open"), after=10 * HOUR)
    shown = "SELECT decision, reason, alert_id, decided_at FROM alert_moments"
    assert rows(client, shown) == [("held", "quiet_hours", None, story.office.now)]
    assert story.journal.live_moments(START - HOUR, ["pain"])[0].alerted_at == START


def test_the_last_written_counts_whatever_the_clock_says(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(client)
    monkeypatch.setattr(module, "time_ns", lambda: 5_000)
    first = story.round(moment("a")).deliveries[0]
    monkeypatch.setattr(module, "time_ns", lambda: 7)
    later = Journal(client)  # another process, whose clock is behind
    later.begin()
    later.record([replace(first, status="sent", attempts=1)])
    dead = replace(first, status="dead", attempts=2)
    later.record([dead])
    assert dead in later.deliveries("dead")
    assert later.deliveries("sent") == []
    versions = "SELECT max(version) FROM alert_records"
    assert rows(client, versions) == [(5_002,)]
    without = Journal(client)
    without.begin()
    without.ask([Order(UUID(int=1), "silence", START)])
    assert rows(client, versions) == [(5_002,)]
    assert [item.order_id for item in without.orders("asked")] == [UUID(int=1)]


def test_an_alert_is_named_by_its_beginning_or_that_of_a_moment(client: Client) -> None:
    story = told(client)
    kept = story.journal
    alert = next(item for item in story.office.alerts() if item.closed_at is None)
    closed = next(item for item in story.office.alerts() if item.closed_at is not None)
    for name in (str(alert.alert_id), str(alert.alert_id)[:8], str(moment("a").moment_id)[:9]):
        assert kept.named(name) == [alert.alert_id]
        assert open_alert(kept, name.upper()) == alert
    assert kept.named(str(moment("b").moment_id)) == []  # suppressed
    assert kept.named("%") == kept.named("zzzzzzzz") == []
    for name, said in (
        ("1234567", "too short"),
        ("zzzzzzzz", "begins with"),
        (str(closed.alert_id), "is closed"),
    ):
        with pytest.raises(RejectedInput, match=said):
            open_alert(kept, name)


def test_several_alerts_of_one_beginning_are_told_apart(client: Client) -> None:
    kept = told(client).journal
    (alert,) = kept.open_alerts(10)
    twin = replace(alert, alert_id=UUID(int=alert.alert_id.int ^ 1))
    kept.store(Decided(alerts=[(twin, False)]))
    with pytest.raises(RejectedInput, match="the beginning of several"):
        open_alert(kept, str(alert.alert_id)[:12])
    assert open_alert(kept, str(alert.alert_id)) == alert
    assert len(kept.open_alerts(1)) == 1


def test_open_alerts_are_the_worst_first_and_then_the_newest(client: Client) -> None:
    story = Story(client)
    for severity in ("low", "critical", "medium", "medium"):
        found = moment(severity + str(story.office.now), owner=severity, severity=severity)
        story.round(found, after=timedelta(minutes=10))
    shown = [(item.severity, item.opened_at) for item in story.journal.open_alerts(10)]
    opened = [START + timedelta(minutes=10 * n) for n in range(1, 5)]
    assert shown[0] == ("critical", opened[1])
    assert shown[-1] == ("low", opened[0])
    assert [at for severity, at in shown if severity == "medium"] == sorted(
        (at for severity, at in shown if severity == "medium"), reverse=True
    )


def test_deliveries_come_whole_by_alert_and_destination(client: Client) -> None:
    story = told(client)
    kept, made = story.journal, story.office.delivered
    closed = next(item for item in story.office.alerts() if item.closed_at is not None)
    team = [it for it in made if (it.alert_id, it.destination) == (closed.alert_id, "team")]
    assert [item.notification.action for item in team] == ["trigger", "resolve"]
    gone = replace(team[0], status="dead", attempts=3, http_status=410, detail="gone",
                   ended_at=START, next_at=START + HOUR)  # fmt: skip
    kept.record([gone, replace(team[1], status="skipped")])
    assert kept.deliveries("dead") == [gone, replace(team[1], status="skipped")]
    assert kept.deliveries("dead", destination="desk") == []
    assert len(kept.deliveries("dead", destination="team", alert=closed.alert_id)) == 2
    assert kept.deliveries("dead", alert=UUID(int=1)) == []
    assert len(kept.deliveries("pending", "dead")) == len(made)
    wanted = make_order("redeliver", "Ann")
    assert dead_letters(kept, wanted) == [gone, replace(team[1], status="skipped")]
    kept.record([replace(team[1], status="sent")])  # was told to be mended: not raised again
    assert dead_letters(kept, wanted) == []


def test_an_order_waits_for_the_alerter(client: Client) -> None:
    story = told(client)
    kept = story.journal
    wanted = make_order("acknowledge", "Ann", "on it")
    wanted.alert_id = kept.open_alerts(1)[0].alert_id
    assert not leave(kept, [wanted], wait=0)
    assert kept.orders("asked") == [wanted]
    story.round(orders=kept.orders("asked"))
    assert kept.orders("asked") == []
    assert rows(client, "SELECT status, reason FROM alert_orders WHERE action = 'acknowledge'") == [
        ("done", "on it")
    ]
    assert kept.open_alerts(1)[0].acknowledged_by == "Ann"


def test_alerts_are_kept_as_long_as_the_setting_says(made: tuple[Client, Settings]) -> None:
    client, settings = made
    engine_of = (
        "SELECT extract(engine_full, 'TTL .*? SETTINGS') FROM system.tables "
        "WHERE database = currentDatabase() AND name = 'alert_records'"
    )
    assert rows(client, engine_of) == [("",)]
    for days, ttl in (
        (90, "TTL created_at + toIntervalDay(90) SETTINGS"),
        (None, ""),
    ):
        chosen = settings.model_copy(update={"keep_alerts_days": days})
        apply_lifecycle(client, lifecycle_statements(client, chosen))
        assert rows(client, engine_of) == [(ttl,)]
        assert lifecycle_statements(client, chosen) == {}


def test_the_last_touchpoints_of_customers(client: Client) -> None:
    made = [
        record(n, touchpoint=f"t{n}", customer_key="customer-1", occurred_at=START + n * HOUR)
        for n in range(5)
    ]
    insert(client, [*made, *made[3:]], 10)
    kept = Journal(client)
    assert kept.lately(["customer-1", "customer-9"]) == {
        "customer-1": [("t2", "web"), ("t3", "web"), ("t4", "web")]
    }
    assert kept.lately([]) == {}


def test_nothing_is_written_where_nothing_was_decided(client: Client) -> None:
    Journal(client).store(Decided())
    assert rows(client, "SELECT count() FROM alert_records") == [(0,)]
    journal = Journal(client)
    journal.begin()
    assert journal.hot_alerts(datetime.fromisoformat("2026-01-01T00:00:00+00:00")) == []
