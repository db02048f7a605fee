"""Streams are what they say, and the oracle keeps its word on any of them."""

from __future__ import annotations

import json
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.decode import decode
from tests.moment_catalog import RULES, read
from tests.moment_oracle import find
from tests.moment_streams import arrivals, as_seen, event, latest, streams

_slowly = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@_slowly
@given(streams())
def test_streams_are_of_valid_events(stream):
    for seen in stream:
        decoded = decode(json.dumps(seen.event).encode(), frozenset(), 100_000)
        assert decoded.event == seen.event
        wanted = seen.event["action"]
        assert seen.classification.touchpoint == wanted.replace("unknown", "unclassified")


@_slowly
@given(streams(), st.data())
def test_arrivals_are_the_stream_within_the_lateness(stream, data):
    lateness = timedelta(hours=2)
    newest = None
    arrived = set()
    for seen in (seen for batch in data.draw(arrivals(stream, lateness)) for seen in batch):
        if seen.event_id not in arrived:
            assert newest is None or newest - seen.occurred_at <= lateness
        newest = max(newest or seen.occurred_at, seen.occurred_at)
        arrived.add(seen.event_id)
    assert arrived == {seen.event_id for seen in stream}


@_slowly
@given(streams(25), st.integers(0, 30), st.randoms())
def test_order_and_duplicates_change_nothing(stream, hours, random):
    watermark = latest(stream) + timedelta(hours=hours)
    again = [*stream, *stream[: len(stream) // 2]]
    random.shuffle(again)
    assert find(read(RULES), again, watermark) == find(read(RULES), stream, watermark)


@_slowly
@given(streams(25), st.integers(0, 12))
def test_what_is_closed_stays_when_the_watermark_moves_on(stream, hours):
    """Over complete streams, time only adds moments and closes open ones."""
    early = find(read(RULES), stream, latest(stream) + timedelta(hours=hours, microseconds=1))
    late = find(read(RULES), stream, latest(stream) + timedelta(days=400))
    after = {each.moment_id: each for each in late.moments}
    for each in early.moments:
        now = after[each.moment_id]
        assert now == each or (each.status == "open" and now.status == "resolved")
    known = {each.promise_id: each for each in early.promises}
    for promise in late.promises:
        assert known[promise.promise_id].status in (promise.status, "pending")


@_slowly
@given(streams(25), st.integers(1, 5))
def test_an_event_far_later_changes_nothing_found_before(stream, extra):
    """Everything is closed or given up after 90 days; by then only new moments appear."""
    watermark = latest(stream) + timedelta(days=200)
    much_later = [
        as_seen(seen.customer_key, event(f"z{place}", "e", watermark, direction="inbound"))
        for place, seen in enumerate(stream[:extra])
    ]
    before = find(read(RULES), stream, watermark)
    after = find(read(RULES), [*stream, *much_later], watermark)
    assert before.moments <= after.moments
    assert before.promises <= after.promises
    assert all(each.occurred_at >= watermark for each in after.moments - before.moments)
