"""Detection and the sequential oracle find the same, whatever the way events arrive."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import catalog
from pipeline.catalog import LoadedCatalog
from schemas.moment import moment_id
from tests.detecting import Memory
from tests.moment_catalog import RULES, forgetful, read, written
from tests.moment_found import Seen
from tests.moment_oracle import find
from tests.moment_streams import arrivals, latest, streams

LATENESS = timedelta(hours=2)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: Without a database: what once differed is kept in ``test_moments_agree_examples``.
_slowly = settings(
    max_examples=50, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
#: From within the lateness to when everything is over.
_hours = st.sampled_from([-2, -1, 0, 0.5, 1, 2, 3, 5, 8, 24, 96, 24 * 120])

Table = set[tuple[Any, ...]]


@pytest.fixture(
    scope="module",
    params=[RULES, forgetful(RULES)],
    ids=["remembering", "forgetful"],
)
def rules(request: pytest.FixtureRequest) -> str:
    """Rules that hold nearly everything for long, and the same that soon forget."""
    return str(request.param)


@pytest.fixture(scope="module")
def loaded(rules: str, tmp_path_factory: pytest.TempPathFactory) -> LoadedCatalog:
    path = tmp_path_factory.mktemp("catalog") / "made_up.toml"
    path.write_text(written(rules))
    return catalog.load(path)


def microseconds(at: datetime | None) -> int | None:
    return None if at is None else (at - _EPOCH) // timedelta(microseconds=1)


def expected(stream: Iterable[Seen], watermark: datetime, rules: str) -> Table:
    """What the oracle finds: moments and promises as rows."""
    found = find(read(rules), stream, watermark)
    moments = {
        (
            each.moment_id,
            (each.rule, each.customer_key, each.subject, each.cause),
            each.status,
            microseconds(each.cause_at),
            microseconds(each.occurred_at),
            microseconds(each.due_at),
            microseconds(each.closed_at),
            each.closed_by,
            each.evidence,
        )
        for each in found.moments
    }
    promises = {
        (
            each.promise_id,
            (each.promise, each.customer_key, each.subject, each.made_by),
            each.status,
            microseconds(each.made_at),
            microseconds(each.due_at),
            microseconds(each.answered_at),
            each.answered_by,
        )
        for each in found.promises
    }
    return moments | promises


def detected(memory: Memory) -> Table:
    """The same of what detection said."""
    moments = {
        (
            moment_id(*name),
            name,
            each.status,
            each.cause.at,
            each.occurred_at,
            each.due_at,
            each.closed_at,
            each.closed_by,
            each.evidence,
        )
        for name, each in memory.moments().items()
    }
    promises = {
        (
            moment_id(*name),
            name,
            each.status,
            each.made.at,
            each.due_at,
            each.answer.at if each.answer and each.status.startswith("kept") else None,
            each.answer.event_id if each.answer and each.status.startswith("kept") else "",
        )
        for name, each in memory.promises().items()
    }
    return moments | promises


def after(
    loaded: LoadedCatalog,
    batches: Iterable[list[Seen]],
    lateness: timedelta,
    watermark: datetime,
    restarts: Iterable[int] = (),
) -> Table:
    """What was said when batches came one by one and then the watermark rose.

    Args:
        loaded: The catalog.
        batches: Events as they arrive.
        lateness: How far the watermark stays behind the newest event.
        watermark: The last one, where it is higher.
        restarts: Before these batches detection begins anew from what is stored.
    """
    memory = Memory(loaded)
    newest = _EPOCH
    for number, batch in enumerate(batches):
        if number in restarts:
            memory.restart()
        newest = max(newest, latest(batch))
        memory.batch([seen.event for seen in batch], newest - lateness)
    memory.batch([], max(watermark, newest - lateness))
    return detected(memory)


@_slowly
@given(streams(), st.data(), _hours, st.sampled_from([timedelta(), LATENESS, 3 * LATENESS]))
def test_within_the_lateness(loaded, rules, stream, data, hours, lateness):
    batches = data.draw(arrivals(stream, lateness))
    watermark = latest(stream) + max(timedelta(hours=hours), -lateness)
    found = after(loaded, batches, lateness, watermark)
    assert found == expected(stream, watermark, rules)


@_slowly
@given(streams(), st.data(), _hours)
def test_beyond_the_lateness(loaded, rules, stream, data, hours):
    """What is later still changes what is found: its past is read again."""
    batches = data.draw(arrivals(stream, timedelta(days=3)))
    watermark = latest(stream) + timedelta(hours=hours)
    found = after(loaded, batches, LATENESS, watermark)
    assert found == expected(stream, watermark, rules)


@_slowly
@given(streams(), st.data(), _hours, st.sets(st.integers(0, 8)))
def test_with_restarts(loaded, rules, stream, data, hours, restarts):
    batches = data.draw(arrivals(stream, LATENESS))
    watermark = latest(stream) + timedelta(hours=hours)
    found = after(loaded, batches, LATENESS, watermark, restarts)
    assert found == expected(stream, watermark, rules)
