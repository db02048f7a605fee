"""A late event counts wherever it is looked at, also where rules look at moments."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from pipeline.catalog import LoadedCatalog
from tests.detecting import Memory
from tests.moment_catalog import read
from tests.moment_streams import event

AT = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
RULES = """
[strikes]
threshold = 2
window = "4h"

[[rules]]
id = "pain"
type = "single"
kind = "pain"
when = { touchpoint = "e" }
resolved_by = { touchpoint = "b" }

[[rules]]
id = "back"
type = "sequence"
kind = "glory"
first = { moment = { kind = "pain", status = "resolved" } }
then = { touchpoint = "d" }
within = "2h"
"""


def made(memory: Memory) -> set[tuple[str, str]]:
    return {(rule, cause) for rule, _, _, cause in memory.moments()}


def test_a_late_event_is_seen_by_rules_over_moments() -> None:
    memory = Memory(LoadedCatalog(read(RULES), "1", "made_up.toml"))
    pain = event("1", "e", AT)
    again = event("3", "d", AT + timedelta(minutes=90))
    memory.batch([pain, again], AT + timedelta(days=1))
    assert made(memory) == {("pain", "1")}
    memory.batch([event("2", "b", AT + timedelta(hours=1))], AT + timedelta(days=2))
    assert made(memory) == {("pain", "1"), ("back", "3")}


def test_a_late_pain_makes_a_strike() -> None:
    memory = Memory(LoadedCatalog(read(RULES), "1", "made_up.toml"))
    memory.batch([event("1", "e", AT)], AT + timedelta(days=1))
    memory.batch([event("2", "e", AT + timedelta(hours=1))], AT + timedelta(days=2))
    assert [rule for rule, _ in made(memory)].count("three_strikes") == 1
