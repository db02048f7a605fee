"""Records as a producer without our library writes them."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from kafka import KafkaConsumer, KafkaProducer

from pipeline import topics
from pipeline.brokers import kafka_python_options
from pipeline.settings import Settings
from tests.faults.harness import Trial
from tests.unit.events import event

KEY = b"customer_id:C-1"


def valid(number: int, **changes: object) -> bytes:
    """Return a valid interaction of the web."""
    return orjson.dumps(event(event_id=f"e-{number}", **changes))


def send(
    run: Trial,
    values: Iterable[bytes | None],
    key: bytes = KEY,
    channel: str = "web",
    *,
    large: bool = False,
) -> None:
    """Write values to a channel's topic as they are; large ones only fit compressed."""
    options = {"max_request_size": 80_000_000, "compression_type": "gzip"} if large else {}
    producer = KafkaProducer(
        **kafka_python_options(run.line.settings), acks="all", linger_ms=20, **options
    )
    topic = topics.interactions(run.line.settings, channel)
    futures = [producer.send(topic, key=key, value=value) for value in values]
    producer.flush()
    for future in futures:
        future.get(30)
    producer.close()


def tally(run: Trial, stored: int, rejected: dict[str, int]) -> None:
    """Count what became of everything sent, note it, and fail where anything is wrong.

    Args:
        run: Everything sent is drained.
        stored: Distinct events that there should be.
        rejected: Rejected records that there should be, by reason.
    """
    found, line = run.line.account(), run.line
    result = run.result
    result.faults = result.faults or run.faults + sum(rejected.values())
    result.records = found.produced
    result.lost = abs(found.produced - found.records - sum(found.rejected.values()))
    result.duplicated = int(line.count("SELECT count() - uniqExact(event_id) FROM interactions"))
    result.duplicated += int(line.count("SELECT count() - uniqExact(event_id) FROM steps"))
    reasons = found.rejected.keys() | rejected.keys()
    result.wrong = abs(found.stored - stored) + sum(
        abs(found.rejected.get(reason, 0) - rejected.get(reason, 0)) for reason in reasons
    )
    assert (result.lost, result.duplicated, result.wrong) == (0, 0, 0), found


def records(settings: Settings, topic: str) -> list[tuple[bytes | None, dict[str, bytes]]]:
    """Return value and headers of everything in a topic."""
    consumer = KafkaConsumer(
        topic,
        **kafka_python_options(settings),
        auto_offset_reset="earliest",
        consumer_timeout_ms=2_000,
        group_id=None,
    )
    try:
        return [(record.value, dict(record.headers)) for record in consumer]
    finally:
        consumer.close()
