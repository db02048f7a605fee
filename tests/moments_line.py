"""What a running line found, against the sequential oracle of moments."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta, timezone
from typing import Any

from jobs.drain import wait_until_refreshed
from pipeline.classify import Classifier
from pipeline.decode import decode, known_channels
from pipeline.identify import Keyring
from tests.line import Line
from tests.moment_found import Found, Seen
from tests.moment_oracle import find
from tests.waiting import until

WATERMARKS = """
SELECT partition, max(watermark) AS watermark FROM detection_progress FINAL GROUP BY partition
"""
PARTITIONS = "SELECT DISTINCT customer_key, partition FROM interaction_records"
MOMENTS = """
SELECT rule, customer_key, subject, cause, kind, status, occurred_at, due_at, closed_at, closed_by,
    evidence
FROM moments
"""
PROMISES = """
SELECT promise, customer_key, subject, made_by, status, made_at, due_at, answered_at FROM promises
"""


def settle(line: Line) -> None:
    """Wait until the wall clock has ended every term that was open, and journeys show it."""

    def all_passed() -> bool:
        recent = datetime.now(timezone.utc) - timedelta(seconds=line.settings.lateness + 90)
        found = line.client.query(WATERMARKS).result_rows
        return bool(found) and all(watermark >= recent for _, watermark in found)

    until(all_passed, 60, "the watermark to follow the wall clock")
    wait_until_refreshed(line.client)  # a worker stopped before leaves that to the next one


def seen(line: Line) -> list[Seen]:
    """Return every event of the line as the oracle wants it."""
    classify = Classifier(line.loaded.catalog).classify
    channels = known_channels(line.loaded.channels)
    assert line.settings.pepper is not None
    keys = Keyring(line.settings.pepper).keys
    found = []
    for value in (value for _, value in line.valid()):
        decoded = decode(value, channels, 1 << 20)
        interaction = decoded.interaction
        key = next(iter(keys(interaction.identifiers).values()))
        at = interaction.occurred_at
        event = classify(decoded.event)
        found.append(Seen(key, interaction.event_id, at, decoded.event, event))
    return found


def expected(line: Line) -> Found:
    """Return what the oracle finds in what was produced, at each partition's watermark."""
    watermarks = dict(line.client.query(WATERMARKS).result_rows)
    partitions = dict(line.client.query(PARTITIONS).result_rows)
    events: dict[int, list[Seen]] = defaultdict(list)
    for each in seen(line):
        events[partitions[each.customer_key]].append(each)
    found = [
        find(line.loaded.catalog, some, watermarks[partition]) for partition, some in events.items()
    ]
    return Found(
        frozenset().union(*(each.moments for each in found)),
        frozenset().union(*(each.promises for each in found)),
    )


def check_moments(line: Line) -> Found:
    """Compare what the views show with the oracle, exactly; return what there was to find."""
    settle(line)
    wanted, missing, extra = differences(line)
    assert (extra[:5], missing[:5]) == ([], []), f"{extra[:5]} too many, {missing[:5]} missing"
    return wanted


def differences(line: Line) -> tuple[Found, list[Any], list[Any]]:
    """Return what there was to find, what the views lack of it, and what they show beyond it."""
    wanted = expected(line)
    moments = {
        (
            each.rule,
            each.customer_key,
            each.subject,
            each.cause,
            each.kind,
            each.status,
            each.occurred_at,
            each.due_at,
            each.closed_at,
            each.closed_by,
            each.evidence,
        )
        for each in wanted.moments
    }
    rows = line.client.query(MOMENTS).result_rows
    shown = {(*row[:10], tuple(row[10])) for row in rows}
    assert len(rows) == len(shown)
    promises = {
        (
            each.promise,
            each.customer_key,
            each.subject,
            each.made_by,
            each.status,
            each.made_at,
            each.due_at,
            each.answered_at,
        )
        for each in wanted.promises
    }
    kept = set(line.client.query(PROMISES).result_rows)
    missing = sorted(moments - shown, key=str) + sorted(promises - kept, key=str)
    extra = sorted(shown - moments, key=str) + sorted(kept - promises, key=str)
    return wanted, missing, extra
