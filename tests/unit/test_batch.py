"""What a batch says about the clocks of its events."""

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from uuid import UUID

import orjson
import pytest
from pydantic import SecretStr

from pipeline import catalog
from pipeline.batch import Steps
from pipeline.chunks import Chunk
from pipeline.identify import Keyring
from pipeline.moments.hours import microseconds
from pipeline.moments.rules import Rules
from pipeline.rows import COLUMNS

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
COMPLETE = NOW - timedelta(hours=1)


@pytest.fixture(scope="module")
def steps():
    loaded = catalog.load()
    keyring = Keyring(SecretStr("pepper" * 4))
    matcher = Rules(loaded).matcher
    return Steps(loaded, matcher, keyring, {"interactions.web": UUID(int=1)}, 1 << 20, 300)


def stored(steps, occurred_at, arrived_at=NOW, now=NOW):
    event = {
        "event_id": "e",
        "schema_version": "1.0",
        "channel": "web",
        "action": "form_submitted",
        "occurred_at": occurred_at.isoformat(),
        "identifiers": {"customer_id": "c"},
        "details": {"form_id": "contact"},
    }
    timestamp = None if arrived_at is None else int(arrived_at.timestamp() * 1000)
    value = orjson.dumps(event)
    record = SimpleNamespace(offset=5, key=b"", value=value, timestamp=timestamp, headers=())
    chunk = Chunk("interactions.web", 0, 5, 6, [record])
    batch = steps.run([chunk], now, lambda partition: microseconds(COMPLETE))
    (row,) = batch.rows
    return batch, dict(zip(COLUMNS, row, strict=True))


def test_on_time(steps):
    batch, row = stored(steps, COMPLETE)
    assert (row["clock"], row["claimed_at"], row["occurred_at"]) == ("", None, COMPLETE)
    assert (batch.late, batch.future) == (0, 0)
    assert batch.latest == {("interactions.web", 0): microseconds(COMPLETE)}


def test_beyond_the_lateness_it_is_flagged_and_kept_as_it_is(steps):
    at = COMPLETE - timedelta(microseconds=1)
    batch, row = stored(steps, at)
    assert (row["clock"], row["occurred_at"], batch.late) == ("late", at, 1)
    assert batch.sightings[0].note.at == microseconds(at)


def test_within_the_tolerance_the_future_is_believed(steps):
    at = NOW + timedelta(seconds=300)
    batch, row = stored(steps, at)
    assert (row["clock"], row["occurred_at"], batch.future) == ("", at, 0)


@pytest.mark.parametrize("arrived_at", [NOW, None, NOW + timedelta(days=900)])
def test_beyond_it_the_event_is_taken_as_of_its_arrival(steps, arrived_at):
    at = NOW + timedelta(seconds=301)
    batch, row = stored(steps, at, arrived_at)
    assert (row["clock"], row["occurred_at"], row["claimed_at"]) == ("future", NOW, at)
    assert batch.future == 1
    assert batch.latest == {("interactions.web", 0): microseconds(NOW)}
    assert batch.sightings[0].note.at == microseconds(NOW)


def test_what_was_of_the_future_on_arrival_still_is_on_replay(steps):
    arrived_at = NOW - timedelta(minutes=30)
    batch, row = stored(steps, NOW - timedelta(minutes=5), arrived_at)
    assert (row["clock"], row["occurred_at"]) == ("future", arrived_at)
    assert batch.latest == {("interactions.web", 0): microseconds(arrived_at)}
