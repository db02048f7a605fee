"""``touchline backtest`` on the real engine: its differences are those of the oracle."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline import catalog, rule_file
from pipeline.backtest import Backtest, Report, identity
from pipeline.classify import Classifier
from pipeline.simulator import Plan, simulate
from pipeline.warehouse.migrate import migrate
from pipeline.warehouse.past import Past
from tests.integration.command import touchline
from tests.integration.warehouse_engine import engine
from tests.moment_found import Found, Seen
from tests.offline_worker import OfflineWorker

pytestmark = pytest.mark.integration

DEFAULT = files("schemas").joinpath("catalogs/default.toml").read_text(encoding="utf-8")
#: A promise that is no part of the default catalog, and a rule about it.
SENT = """
[[promises]]
id = "sent"
name = "Sent"
per = "case"
case = "order_id"
made = { touchpoint = "order" }
kept = { touchpoint = "shipping_confirmation" }
term = "12h"

[[rules]]
id = "sent_late"
name = "Not sent in time"
type = "absence"
kind = "pain"
promise = "sent"
text = "{subject} should have been sent by {due_at}."
source = "test"
"""
MOMENTS = """
SELECT moment_id, rule, status, occurred_at, due_at, closed_at, closed_by, evidence FROM moments
"""
PROMISES = "SELECT promise_id, promise, status, made_at, due_at, answered_at FROM promises"
REVISIONS = """
SELECT (SELECT count() FROM moment_records), (SELECT count() FROM promise_records)
"""


def entry(name: str, **changes: Any) -> str:
    """Return a rule or promise of the default catalog with other texts in it."""
    blocks = re.split(r"^(?=\[\[\w+\]\]$)", DEFAULT, flags=re.MULTILINE)
    (block,) = (block for block in blocks if f'\nid = "{name}"\n' in block and "\nname" in block)
    for old, new in changes.items():
        assert old in block
        block = block.replace(old, new)
    return block


def changed_rules() -> str:
    """Return pains found sooner or at other times, a glory found less often, a new promise."""
    return (
        entry("long_queue", **{"min = 600": "min = 240"})
        + entry("repeat_purchase", **{'["order", "point_of_sale"]': '["order"]'})
        + entry("cart_abandoned", **{'within = "24h"': 'within = "23h"'})
        + SENT
    )


class Filled:
    """A database with what a worker stored and found of a simulation."""

    def __init__(self, fresh: Callable[[], Any], home: Path) -> None:
        self.client, self.settings = fresh()
        self.home = home
        migrate(self.client, self.settings)
        self.worker = OfflineWorker(self.client, self.settings, catalog.load())
        classify = Classifier(self.worker.loaded.catalog).classify
        self.seen: list[Seen] = []
        values = []
        for produced in simulate(Plan(customers=250, days=30, seed=11, malformed=0)):
            event = orjson.loads(produced.value)
            customer = event["identifiers"]["customer_id"]
            values.append((event["channel"], customer, produced.value))
            at = datetime.fromisoformat(event["occurred_at"].replace("Z", "+00:00"))
            key = self.worker.keyring.key("customer_id", customer)
            at = at.astimezone(timezone.utc)
            self.seen.append(Seen(key, event["event_id"], at, event, classify(event)))
        self.worker.work(values, size=500)

    def oracle(self, loaded: catalog.LoadedCatalog) -> Found:
        return self.worker.expected(loaded, self.seen)

    def run(self, path: Path | None = None, **options: Any) -> Report:
        window = {name: options.pop(name, None) for name in ("since", "until")}
        return Backtest(Past(self.client), rule_file.load(path), **window).run(**options)

    def shown(self) -> tuple[set[Any], set[Any]]:
        """Return what the views show of moments and promises."""
        moments = [(*row[:7], tuple(row[7])) for row in self.client.query(MOMENTS).result_rows]
        return set(moments), set(self.client.query(PROMISES).result_rows)

    def revisions(self) -> list[int]:
        return list(self.client.query(REVISIONS).result_rows[0])


def as_shown(found: Found) -> tuple[set[Any], set[Any]]:
    """Return what the views must show of what the oracle found."""
    moments = {
        (
            each.moment_id,
            each.rule,
            each.status,
            each.occurred_at,
            each.due_at,
            each.closed_at,
            each.closed_by,
            each.evidence,
        )
        for each in found.moments
    }
    promises = {
        (
            each.promise_id,
            each.promise,
            each.status,
            each.made_at,
            each.due_at,
            each.answered_at,
        )
        for each in found.promises
    }
    return moments, promises


def difference(before: set[Any], after: set[Any]) -> dict[str, set[Any]]:
    """Return the ids of what is new, gone and changed; values begin with their id."""
    old, new = {value[0]: value for value in before}, {value[0]: value for value in after}
    both = old.keys() & new.keys()
    return {
        "new": new.keys() - old.keys(),
        "gone": old.keys() - new.keys(),
        "changed": {key for key in both if old[key] != new[key]},
    }


def reported(differences: list[Any]) -> dict[str, set[Any]]:
    return {
        kind: {identity(each.row) for each in differences if each.kind == kind}
        for kind in ("new", "gone", "changed")
    }


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    home = tmp_path_factory.mktemp("home")
    with engine(home) as fresh:
        yield Filled(fresh, home)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(changed_rules(), encoding="utf-8")
    return path


def test_the_catalog_that_workers_used_makes_no_difference(filled: Filled) -> None:
    assert filled.shown() == as_shown(filled.oracle(catalog.load()))
    before = filled.revisions()
    report = filled.run(apply=True)
    assert (report.moment_differences, report.promise_differences, report.written) == ([], [], 0)
    assert sum(tally.found for tally in report.rules.values()) == len(filled.shown()[0])
    assert all(tally.found == tally.would for tally in report.rules.values())
    assert report.records == sum(1 for _ in filled.seen)
    assert filled.revisions() == before


def test_changed_terms_make_the_difference_that_the_oracle_makes(
    filled: Filled, rules: Path
) -> None:
    trial = rule_file.load(rules)
    moments, promises = as_shown(filled.oracle(trial.loaded))
    known_moments, known_promises = filled.shown()
    report = filled.run(rules)
    wanted = difference(known_moments, moments)
    assert all(wanted.values()), "the simulation should show every sort of difference"
    assert reported(report.moment_differences) == wanted
    assert reported(report.promise_differences) == difference(known_promises, promises)
    follow = {"three_strikes"}
    given = {"long_queue", "repeat_purchase", "cart_abandoned", "sent_late"}
    assert set(report.rules) == given | follow
    assert set(report.promises) == {"sent"}
    assert report.promises["sent"].new > 0
    for rule, tally in report.rules.items():
        times = [each[3] for each in moments if each[1] == rule]
        assert tally.found == sum(each[1] == rule for each in known_moments)
        assert tally.would == len(times)
        assert tally.would == tally.found + tally.new - tally.gone
        assert (tally.first, tally.last) == (min(times, default=None), max(times, default=None))
    few = filled.run(rules, keep=3)
    earliest = [identity(each.row) for each in report.moment_differences[:3]]
    assert [identity(each.row) for each in few.moment_differences] == earliest
    assert few.rules == report.rules


def test_a_window_asks_for_what_touches_it(filled: Filled, rules: Path) -> None:
    everything = filled.run(rules)
    times = sorted(each.row.occurred_at for each in everything.moment_differences)  # type: ignore[union-attr]
    since, until = times[len(times) // 3], times[2 * len(times) // 3]
    report = filled.run(rules, since=since, until=until)
    wanted = {
        identity(each.row)
        for each in everything.moment_differences
        for row in (each.before, each.row)
        if row is not None and since <= row.occurred_at < until  # type: ignore[union-attr]
    }
    assert wanted
    assert {identity(each.row) for each in report.moment_differences} == wanted
    firsts = [tally.first for tally in report.rules.values() if tally.first is not None]
    lasts = [tally.last for tally in report.rules.values() if tally.last is not None]
    assert since <= min(firsts)
    assert max(lasts) < until
    after = filled.run(rules, since=times[-1] + timedelta(days=1000))
    assert (after.moment_differences, after.promise_differences) == ([], [])


@pytest.mark.slow
def test_applied_it_is_shown_and_applied_again_it_writes_nothing(
    filled: Filled, rules: Path
) -> None:
    trial = rule_file.load(rules)
    before = filled.shown()
    first = filled.run(rules, apply=True, keep=0)
    assert first.written > 0
    assert filled.shown() == as_shown(filled.oracle(trial.loaded))
    written = filled.revisions()
    again = filled.run(rules, apply=True)
    assert (again.written, again.moment_differences, again.promise_differences) == (0, [], [])
    assert filled.revisions() == written
    # a longer term changes promises, and ends pains that were none
    longer = rules.with_name("longer.toml")
    longer.write_text(rules.read_text().replace('term = "12h"', 'term = "48h"'))
    report = filled.run(longer, apply=True)
    assert report.promises["sent"].changed > 0
    assert report.rules["sent_late"].gone > 0
    assert filled.shown() == as_shown(filled.oracle(rule_file.load(longer).loaded))
    # and back: what was withdrawn is found again, what was found is withdrawn
    back = filled.run(apply=True)
    assert back.promises["sent"].gone > 0
    assert filled.shown() == before
    assert filled.run(rules, apply=True).written == first.written
    assert filled.shown() == as_shown(filled.oracle(trial.loaded))
    filled.run(apply=True)
    assert filled.shown() == before


def test_rules_that_are_no_more_are_gone(filled: Filled, tmp_path: Path) -> None:
    before = filled.shown()
    whole = tmp_path / "whole.toml"
    whole.write_text(DEFAULT.replace(entry("long_queue"), ""), encoding="utf-8")
    found = {each[0] for each in before[0] if each[1] == "long_queue"}
    report = filled.run(whole)
    assert found
    assert {
        identity(each.row)
        for each in report.moment_differences
        if each.row.rule == "long_queue"  # type: ignore[union-attr]
    } == found
    tally = report.rules["long_queue"]
    assert (tally.gone, tally.would, tally.first) == (len(found), 0, None)
    assert list(report.rules)[-1] == "long_queue"
    wanted = as_shown(filled.oracle(catalog.load(whole)))
    assert reported(report.moment_differences) == difference(before[0], wanted[0])


def test_the_command_says_it_to_people_and_programs(
    filled: Filled, rules: Path, tmp_path: Path
) -> None:
    (tmp_path / "touchline.toml").write_text(
        f'home = "{filled.home}"\ndatabase = "{filled.settings.database}"\n'
    )
    before = filled.revisions()
    ran = touchline(tmp_path, "backtest", "--limit", "1")
    assert ran.returncode == 0, ran.stderr
    assert b"no difference" in ran.stdout
    ran = touchline(tmp_path, "backtest", "rules.toml", "--limit", "2")
    assert ran.returncode == 0, ran.stderr
    text = ran.stdout.decode()
    assert re.search(r"long_queue +\d+ +\d+ +\d+ +· +·", text), text
    assert "three_strikes (follows)" in text
    assert "--apply writes them" in text
    assert b"more (--limit" in ran.stderr
    window = ("--since", "2026-09-03", "--until", "2026-09-29T12:00:00Z")
    ran = touchline(tmp_path, "backtest", "rules.toml", "--json", *window)
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert (said["since"], said["until"]) == ("2026-09-03T00:00:00Z", "2026-09-29T12:00:00Z")
    assert (said["applied"], said["written"]) == (False, 0)
    new = [each for each in said["moment_differences"] if each["difference"] == "new"]
    counted = {each["rule"]: each for each in said["rules"]}
    assert len(new) == sum(each["new"] for each in said["rules"]) > 0
    assert new[0]["before"] is None
    assert new[0]["after"]["rule"] in counted
    assert counted["three_strikes"]["follows"]
    assert filled.revisions() == before


def test_it_starts_the_engine_where_none_runs(tmp_path: Path, rules: Path) -> None:
    assert touchline(tmp_path, "migrate").returncode == 0
    ran = touchline(tmp_path, "backtest", str(rules), "--apply")
    assert ran.returncode == 0, ran.stderr
    assert b"tried on 0 stored records" in ran.stdout.replace(b"\n", b" ")
    assert b"0 rows written" in ran.stdout


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (["nowhere.toml"], 2, "nowhere.toml: No such file"),
        (
            ["wrong.toml"],
            2,
            "wrong.toml:3: strikes.treshold: unknown key (fix: did you mean 'threshold'?)",
        ),
        (["--since", "soon"], 2, "must be a time such as 2026-10-01"),
        (["--since", "2026-10-02", "--until", "2026-10-01"], 2, "must be before --until"),
        ([], 1, "no data in"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    (tmp_path / "wrong.toml").write_text('[strikes]\nwindow = "30d"\ntreshold = 2\n')
    ran = touchline(tmp_path, "backtest", *arguments)
    assert ran.returncode == code
    plain = " ".join(re.sub("[─│╭╮╰╯]", " ", ran.stderr.decode()).split())
    assert said in plain
    assert ran.stdout == b""
