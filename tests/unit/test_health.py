"""What readiness and alarms say, for workers in every kind of trouble."""

import asyncio
import threading
from contextlib import suppress
from time import monotonic
from types import SimpleNamespace
from typing import Any, cast

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from pipeline import health
from pipeline.batch import Batch
from pipeline.chunks import Chunk
from pipeline.detection import News
from pipeline.errors import RejectedRecord, RetryableError
from pipeline.health import ALARMS, AWAY_SECONDS, WorkerHealth
from pipeline.metrics import WorkerMetrics
from pipeline.pulse import JOURNEYS, STORE, Pulse
from pipeline.settings import Settings
from pipeline.warehouse.client import translated
from pipeline.watermarks import SECOND, Watermarks

WEB, EMAIL = ("interactions.web", 0), ("interactions.email", 0)
NOW = 1_700_000_000.0


class Consumer:
    """Stands in for the consumer of a worker with one partition of two topics."""

    def __init__(self) -> None:
        self.app = SimpleNamespace(rebalancing=False)
        self.at = {WEB: 0, EMAIL: 0}
        self.end: dict[tuple[str, int], int | None] = {WEB: 0, EMAIL: None}
        self.pending = False
        self.committed_at = 0.0

    def safe(self):
        return dict(self.at)

    def ends(self):
        return dict(self.end)

    def positions(self):
        return 1, dict(self.at)

    def uncommitted(self):
        return self.pending


class Held:
    """Stands in for the detection of a worker that holds seven subjects."""

    def __init__(self, watermarks: Watermarks) -> None:
        self.watermarks = watermarks

    def __len__(self) -> int:
        return 7


class Bench:
    """A worker's health with everything around it made up, and a clock that is turned by hand."""

    def __init__(self, **settings: Any) -> None:
        self.metrics = WorkerMetrics("v1", ALARMS, ["invalid_json"])
        self.pulse = Pulse(self.metrics)
        self.consumer = Consumer()
        self.pulse.consumer, self.pulse.begun = cast(Any, self.consumer), 1
        self.watermarks = Watermarks(300.0, 60.0)
        self.health = WorkerHealth(
            Settings(**settings),
            self.metrics,
            self.pulse,
            cast(Any, SimpleNamespace(waiting=0)),
            cast(Any, Held(self.watermarks)),
            cast(Any, SimpleNamespace(waiting=lambda: (0, 0.0))),
            lambda: True,
        )
        self.start = monotonic()

    def look(self, seconds: float) -> dict[str, str]:
        """Look, some seconds after the start; return what keeps it from being ready."""
        self.health.look(self.start + seconds, NOW + seconds)
        status = self.health.ready()
        assert self.metrics.registry.get_sample_value("touchline_ready") == (not status.problems)
        return dict(status.problems)

    def alarms(self) -> list[str]:
        value = self.metrics.registry.get_sample_value
        return [reason for reason in ALARMS if value("touchline_alarm", {"reason": reason})]


@pytest.fixture
def bench():
    return Bench(alarm_lag_seconds=300, alarm_stuck_seconds=120)


def chunk(end, topic="interactions.web", epoch=1, records=1, timestamp=NOW):
    record = SimpleNamespace(timestamp=int(timestamp * 1000))
    return Chunk(topic, 0, end - records, end, cast(Any, [record] * records), 0, epoch)


def test_a_worker_with_nothing_to_do_is_ready_for_ever(bench):
    for second in range(0, 10_000, 10):
        assert bench.look(second) == {}
    assert bench.alarms() == []
    assert not bench.health.alive().problems


def test_it_is_not_ready_before_it_has_begun_and_stuck_when_it_never_does(bench):
    bench.pulse.consumer = None
    assert list(bench.look(0)) == ["starting"]
    bench.pulse.consumer, bench.consumer.app.rebalancing = bench.consumer, True
    assert "joins" in bench.look(10)["starting"]
    bench.consumer.app.rebalancing, bench.pulse.begun = False, 0
    assert "takes up" in bench.look(20)["starting"]
    assert bench.alarms() == []
    assert "stuck" in bench.look(130)
    assert bench.alarms() == ["stuck"]
    bench.pulse.begun = 1
    assert bench.look(140) == {}
    bench.look(160)
    assert bench.alarms() == []


def test_a_worker_that_nothing_is_assigned_to_is_ready(bench):
    bench.consumer.at, bench.pulse.begun = {}, -1
    assert bench.look(0) == {}


def test_records_that_wait_for_long_are_a_lag_also_while_others_are_stored(bench):
    bench.consumer.end[WEB] = 1_000
    for second in range(0, 400, 10):
        bench.pulse.took(chunk(second + 10, records=10, timestamp=NOW))
        bench.consumer.at[WEB] = second
        problems = bench.look(second)
        assert ("lag" in problems) == (second > 300), second
    assert bench.alarms() == ["lag"]
    assert "610 records wait" in problems["lag"]
    assert "stuck" not in problems
    bench.consumer.at[WEB] = 1_000
    assert bench.look(400) == {}


def test_a_partition_that_stands_while_others_move_is_stuck(bench):
    bench.consumer.end.update({WEB: 1_000, EMAIL: 3})
    for second in range(0, 140, 10):
        bench.consumer.at[WEB] = second
        problems = bench.look(second)
        assert ("stuck" in problems) == (second > 120)
    assert "interactions.email[0]" in problems["stuck"]
    assert bench.alarms() == ["stuck"]


def test_ends_that_kafka_told_count_where_fetching_has_stopped(bench):
    bench.consumer.end[WEB] = 5
    bench.health.kafka(None, {WEB: 900, ("interactions.web", 1): 7})
    bench.look(0)
    assert bench.health.ready().facts["lag_records"] == 900
    text = bench.health.exposition().decode()
    assert 'touchline_lag_records{partition="0",topic="interactions.web"} 900.0' in text
    assert 'partition="1"' not in text  # another worker's
    assert "touchline_open_subjects 7.0" in text
    assert 'touchline_lag_records{partition="0",topic="interactions.email"} 0.0' in text
    del bench.consumer.at[EMAIL]
    assert "interactions.email" not in bench.health.exposition().decode()


def test_offsets_that_are_never_committed_are_said(bench):
    bench.consumer.pending = True
    assert bench.look(0) == {}
    assert "committed" in bench.look(121)["stuck"]
    bench.consumer.pending = False
    assert bench.look(122) == {}


def test_clickhouse_away_is_told_at_once_and_an_alarm_when_it_stays_away(bench):
    bench.health.clickhouse(False, bench.start)
    assert list(bench.look(0)) == ["clickhouse"]
    assert bench.alarms() == []
    bench.health.clickhouse(False, bench.start + 5)
    bench.look(AWAY_SECONDS)
    assert bench.alarms() == ["clickhouse"]
    bench.health.clickhouse(True, bench.start + AWAY_SECONDS)
    assert bench.look(AWAY_SECONDS + 1) == {}


@pytest.mark.parametrize(
    ("code", "name", "cause", "fix"),
    [
        (242, "TABLE_IS_READ_ONLY", "read_only", "Keeper"),
        (243, "NOT_ENOUGH_SPACE", "disk_full", "free space"),
        (252, "TOO_MANY_PARTS", "too_many_parts", "merges do not keep up"),
        (241, "MEMORY_LIMIT_EXCEEDED", "memory", "memory"),
        (209, "SOCKET_TIMEOUT", "timeout", "load"),
        (439, "CANNOT_SCHEDULE_TASK", "other", ""),
    ],
)
@pytest.mark.parametrize("work", [STORE, JOURNEYS])
def test_clickhouse_that_refuses_is_told_with_the_cause(bench, work, code, name, cause, fix):
    refused = DatabaseError(f"Code: {code}. DB::Exception: x")
    refused.code, refused.name = code, name
    error = translated(refused)
    assert isinstance(error, RetryableError)
    bench.pulse.failed(work, error)
    problems = bench.look(1)
    assert problems["clickhouse"].startswith(f"{cause}: ")
    assert f"error {code} {name}" in problems["clickhouse"]
    assert fix in problems["clickhouse"]
    assert bench.alarms() == []
    bench.pulse.failed(work, error)
    bench.look(AWAY_SECONDS + 1)
    assert bench.alarms() == ["clickhouse"]
    counted = {"work": work, "cause": cause}
    assert bench.metrics.registry.get_sample_value("touchline_retries_total", counted) == 2
    bench.pulse.succeeded(work)
    assert bench.look(AWAY_SECONDS + 2) == {}


def test_clickhouse_that_is_gone_and_kafka_that_takes_nothing_are_told_apart(bench):
    bench.pulse.failed(STORE, cast(RetryableError, translated(OperationalError("refused"))))
    assert bench.look(0)["clickhouse"].startswith("unreachable: ")
    bench.pulse.failed(STORE, RetryableError("the topic of moments did not take it", "kafka"))
    assert list(bench.look(0)) == ["kafka"]


def test_kafka_away_is_told(bench):
    bench.health.kafka(RetryableError("no Kafka broker", "kafka"))
    assert bench.look(0) == {"kafka": "no Kafka broker"}
    bench.look(AWAY_SECONDS + 1)
    assert bench.alarms() == ["kafka"]
    bench.health.kafka(None, {})
    assert bench.look(20) == {}


def test_a_watermark_that_stands_is_told_and_one_that_moves_is_not(bench):
    moving = int((NOW - 400) * SECOND)
    bench.watermarks.begin({0: int((NOW - 5_000) * SECOND), 1: moving, 2: -(1 << 62)}, 0.0)
    for second in range(0, 240, 10):
        bench.watermarks.pass_time(1, int((NOW + second) * SECOND))
        assert bench.look(second) == {}
    problems = bench.look(250)
    assert list(problems) == ["watermark"]
    assert "partition 0" in problems["watermark"]
    assert bench.alarms() == ["watermark"]
    bench.watermarks.pass_time(0, int((NOW + 250) * SECOND))
    assert bench.look(251) == {}


def test_an_old_log_whose_watermark_moves_with_its_events_is_no_alarm(bench):
    bench.watermarks.begin({0: int((NOW - 1e6 - 300) * SECOND)}, 0.0)
    for second in range(100, 2_000, 100):
        bench.watermarks.pass_time(0, int((NOW - 1e6 + second) * SECOND))
        assert bench.look(second) == {}


def test_a_worker_that_ends_is_not_alive(bench):
    bench.pulse.ended = "ClickHouse refused the statement"
    assert dict(bench.health.alive().problems) == {"ended": "ClickHouse refused the statement"}


# --- what is counted ------------------------------------------------------------------------------


def test_a_batch_is_counted_by_topic_and_reason(bench):
    reject = SimpleNamespace(topic="interactions.web", cause=RejectedRecord("invalid_json", "x"))
    batch = Batch(rejects=[cast(Any, reject)] * 3, unclassified=2, late=1, future=4)
    chunks = [chunk(10, records=10), chunk(5, "interactions.email", records=5)]
    bench.pulse.flushed(chunks, batch, 8, 0.2)
    bench.pulse.flushed(chunks, Batch(), 15, 0.2)
    value = bench.metrics.registry.get_sample_value
    web, email = {"topic": "interactions.web"}, {"topic": "interactions.email"}
    assert value("touchline_records_consumed_total", web) == 20
    assert value("touchline_records_stored_total", web) == 17
    assert value("touchline_records_stored_total", email) == 10
    assert value("touchline_records_stored_before_total") == 4
    assert value("touchline_records_rejected_total", {"reason": "invalid_json"}) == 3
    assert value("touchline_records_unclassified_total") == 2
    assert value("touchline_records_late_total") == 1
    assert value("touchline_records_future_total") == 4
    assert value("touchline_flush_seconds_count") == 2
    assert value("touchline_flush_records_sum") == 30


def test_moments_are_counted_by_rule_kind_and_status(bench):
    moment = SimpleNamespace(rule="long_queue", kind="pain", status="open")
    promise = SimpleNamespace(promise="answer", status="broken")
    bench.pulse.said(cast(News, SimpleNamespace(moments=[moment] * 2, promises=[promise])))
    value = bench.metrics.registry.get_sample_value
    labels = {"rule": "long_queue", "kind": "pain", "status": "open"}
    assert value("touchline_moments_changed_total", labels) == 2
    of_promise = {"promise": "answer", "status": "broken"}
    assert value("touchline_promises_changed_total", of_promise) == 1


def test_what_waits_is_forgotten_when_it_is_stored_or_taken_away(bench):
    pulse = bench.pulse
    pulse.took(chunk(5, timestamp=NOW))
    pulse.took(chunk(9, timestamp=NOW + 60))
    pulse.took(chunk(9, "interactions.email", records=0))  # a gap in the offsets waits for nobody
    assert pulse.oldest({WEB: 0}) == {WEB: NOW}
    assert pulse.oldest({WEB: 5}) == {WEB: NOW + 60}
    pulse.took(chunk(12, "interactions.email", epoch=2, timestamp=NOW + 70))
    pulse.took(chunk(12, epoch=1, timestamp=NOW))  # of the assignment before
    assert pulse.oldest({WEB: 5, EMAIL: 0}) == {EMAIL: NOW + 70}
    assert pulse.oldest({WEB: 5}) == {}


def test_kafka_that_says_nothing_any_more_is_told(bench):
    assert bench.look(1_000) == {}  # not asked yet
    bench.health.kafka(None, {})
    assert bench.look(29) == {}
    assert list(bench.look(32)) == ["kafka"]
    assert bench.alarms() == ["kafka"]
    bench.health.kafka(RetryableError("timed out", "kafka"))  # the same trouble, not a new one
    for second in range(33, 90):
        assert bench.look(second) == {"kafka": "timed out"}
    assert bench.alarms() == ["kafka"]
    bench.health.kafka(None, {})
    assert bench.look(10) == {}


def test_looking_goes_on_when_it_fails_or_clickhouse_never_answers(bench, monkeypatch, caplog):
    monkeypatch.setattr(health, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(health, "PING_SECONDS", 0.01)
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.05)
    answers, hanging = iter([True, OSError("no descriptors left")]), threading.Event()

    def ping():
        answer = next(answers, None)
        if isinstance(answer, OSError):
            raise answer
        return answer or hanging.wait(30)

    def broken():
        raise RuntimeError("a fault of ours")

    bench.health._ping = ping

    async def main():
        task = asyncio.ensure_future(bench.health.run())
        deadline = monotonic() + 20
        bench.consumer.safe = broken
        up = bench.metrics.registry.get_sample_value
        while up("touchline_clickhouse_up") != 0 or "a fault of ours" not in caplog.text:
            assert monotonic() < deadline
            await asyncio.sleep(0.01)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    try:
        asyncio.run(main())
    finally:
        hanging.set()
    assert "no descriptors left" in caplog.text
