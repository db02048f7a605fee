"""``touchline alerts``, ``ack`` and ``silence`` as people and programs run them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from pipeline.alerts.journal import Journal
from pipeline.alerts.state import Alert
from pipeline.embedded.stack import embedded, endpoints
from pipeline.settings import Settings
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrate import migrate
from tests.alerting import Office, catalog, moment, revised
from tests.integration.command import touchline

pytestmark = pytest.mark.integration

ROUTES = '[[routes]]\nid = "pain"\nto = ["team", "desk"]\n'


@dataclass
class Place:
    """A directory whose engine runs, with an open alert, a closed one, and a dead letter."""

    path: Path
    client: Client
    journal: Journal
    office: Office
    open: Alert
    closed: Alert

    def run(self, *arguments: str) -> tuple[int, str, str]:
        done = touchline(self.path, *arguments)
        assert b"Traceback" not in done.stderr
        said = " ".join(done.stderr.decode().replace("│", " ").split())
        return done.returncode, done.stdout.decode(), said

    def obey(self) -> None:
        """Take up the first order that comes, as an alerter does."""
        deadline = monotonic() + 60
        while not (orders := self.journal.orders("asked")):
            assert monotonic() < deadline
            sleep(0.05)
        self.office.now = datetime.now(timezone.utc)
        self.journal.store(self.office.round(orders=orders))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    path = tmp_path_factory.mktemp("work")
    settings = Settings(home=path / ".touchline")
    with (
        embedded(settings, broker=False),
        endpoints(settings, kafka=False, clickhouse=True) as connected,
    ):
        client = connect(connected.settings)
        migrate(client, connected.settings)
        office, journal = Office(catalog(ROUTES)), Journal(client)
        office.now = datetime.now(timezone.utc) - timedelta(days=1)
        for decided in (
            office.round(moment("a"), moment("b", severity="high"), moment("c", owner="Sales")),
            office.round(revised(moment("c"), "resolved")),
        ):
            journal.store(decided)
        by_state = {item.closed_at is None: item for item in office.alerts()}
        (dead,) = (
            item
            for item in office.delivered
            if (item.destination, item.notification.action) == ("team", "resolve")
        )
        journal.record([replace(dead, status="dead", attempts=3)])
        yield Place(path, client, journal, office, by_state[True], by_state[False])


def test_open_alerts_are_listed(place: Place) -> None:
    code, shown, _ = place.run("alerts", "list")
    assert code == 0
    assert str(place.open.alert_id)[:8] in shown
    assert "2 of 2" in shown
    assert str(place.closed.alert_id)[:8] not in shown
    code, shown, _ = place.run("alerts", "list", "--json")
    (row,) = json.loads(shown)
    assert (code, row["alert_id"], row["severity"], row["moments"], row["open"]) == (
        0, str(place.open.alert_id), "high", 2, 2,
    )  # fmt: skip
    assert row["group"] == {"rule": "long_queue", "owner": "Service"}
    assert place.run("alerts", "list", "--limit", "0")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["ack"], 2, "Missing argument"),
        (["ack", "abc"], 2, "too short"),
        (["ack", "00000000"], 2, "no alert or alerted moment begins with '00000000'"),
        (["silence"], 2, "say which: --rule, --owner, both, or --all"),
        (["silence", "--all", "--rule", "x", "--for", "1h"], 2, "goes with neither"),
        (["silence", "--all"], 2, "must be a whole number and a unit"),
        (["silence", "--all", "--for", "soon"], 2, "must be a whole number and a unit"),
        (["silence", "--end", "00000000"], 2, "no silence begins with '00000000'"),
        (["alerts", "redeliver", "--alert", "0000"], 2, "must be the whole id"),
        (["alerts", "redeliver", "--destination", "nobody"], 0, "there are no dead letters"),
        (["silence", "--list"], 0, "no silence goes on"),
    ],
)
def test_errors_are_words_and_codes(
    place: Place, arguments: list[str], code: int, says: str
) -> None:
    found = place.run(*arguments)
    assert (found[0], found[1]) == (code, "")
    assert says in found[2]
    assert place.journal.orders("asked", "active") == []


def test_a_closed_alert_cannot_be_acknowledged(place: Place) -> None:
    code, _, said = place.run("ack", str(place.closed.alert_id))
    assert code == 2
    assert "is closed: there is nothing to acknowledge" in said


def test_somebody_sees_to_it(place: Place) -> None:
    with ThreadPoolExecutor(1) as beside:
        obeyed = beside.submit(place.obey)
        name = str(moment("a").moment_id)[:8]
        code, shown, _ = place.run("ack", name, "--by", "Ann", "--json")
        obeyed.result()
    assert code == 0
    assert json.loads(shown) == {
        "alert_id": str(place.open.alert_id), "by": "Ann", "taken_up": True,
    }  # fmt: skip
    assert place.journal.open_alerts(1)[0].acknowledged_by == "Ann"
    listed = json.loads(place.run("alerts", "list", "--json")[1])
    assert listed[0]["acknowledged_by"] == "Ann"


def test_a_silence_is_left_listed_and_ended(place: Place) -> None:
    lasting = ["--owner", "Sales", "--for", "2h", "--reason", "a test", "--by", "Ann"]
    code, shown, _ = place.run("silence", *lasting, "--json")  # no alerter runs
    left: dict[str, Any] = json.loads(shown)
    assert (code, left["taken_up"], left["owner"], left["rule"]) == (0, False, "Sales", "")
    until = datetime.fromisoformat(left["until"])
    assert timedelta(0) < until - datetime.now(timezone.utc) <= timedelta(hours=2)
    code, shown, said = place.run("silence", "--list")
    assert code == 0
    assert "Sales" in shown
    assert "a test" in shown
    (listed,) = json.loads(place.run("silence", "--list", "--json")[1])
    assert listed["order_id"] == left["order_id"]
    place.obey()
    with ThreadPoolExecutor(1) as beside:
        obeyed = beside.submit(place.obey)
        code, _, said = place.run("silence", "--end", left["order_id"][:8])
        obeyed.result()
    assert code == 0
    assert "the silence is over" in said
    assert json.loads(place.run("silence", "--list", "--json")[1]) == []


def test_dead_letters_are_counted_and_ordered_again(place: Place) -> None:
    code, _, said = place.run("alerts", "redeliver", "--dry-run")
    assert (code, said) == (0, "1 dead letter to be delivered again")
    assert place.journal.orders("asked") == []
    code, shown, _ = place.run("alerts", "redeliver", "--destination", "team", "--json")
    assert code == 0
    assert json.loads(shown) == {"dead_letters": 1, "dry_run": False, "taken_up": False}
    (left,) = place.journal.orders("asked")
    assert (left.action, left.destination, left.alert_id) == ("redeliver", "team", None)
    place.obey()
    assert place.journal.orders("asked") == []
