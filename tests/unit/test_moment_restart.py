"""What was said before a crash, and is ahead of what is known after it, is not left standing."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from pipeline.catalog import LoadedCatalog
from pipeline.moments.detector import Detector
from pipeline.moments.hours import microseconds
from pipeline.moments.unsaid import Recalled
from tests.detecting import NOW, Memory
from tests.moment_catalog import read
from tests.moment_streams import event

AT = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
PROMISE = """
[[promises]]
id = "answer"
name = "Answer"
made = { touchpoint = "a" }
kept = { touchpoint = "b" }
term = "2h"
"""
PAIN = """
[[rules]]
id = "pain"
type = "single"
kind = "pain"
when = { touchpoint = "a" }
resolved_by = { touchpoint = "b" }
"""


@pytest.mark.parametrize(("rules", "then"), [(PROMISE, "kept"), (PAIN, "resolved")])
def test_what_was_said_ahead_is_looked_at_again_when_time_gets_there(rules, then):
    memory = Memory(LoadedCatalog(read(rules), "1", "made_up.toml"))
    memory.batch([event("1", "a", AT)], AT - timedelta(hours=3))
    (key,), at = memory.said, microseconds(AT) - 3 * 3_600_000_000
    # said, and then the worker was killed before it recorded how far it had come
    said = {key: {name: s._replace(watermark=at) for name, s in memory.said[key].items()}}
    detector = Detector(memory.rules, memory.recall)
    detector.restore(Recalled([], said))
    for each in (event("1", "a", AT), event("2", "b", AT + timedelta(minutes=5))):
        sighting = memory.sighting(each)
        assert sighting is not None
        detector.feed(sighting)
    assert detector.advance(at - 1, NOW) == []  # perhaps there is more to come
    (change,) = detector.advance(at, NOW)
    assert (change.what.status, change.revision) == (then, 2)
    detector.confirm([change])
    assert detector.advance(microseconds(AT + timedelta(days=40)), NOW) == []
