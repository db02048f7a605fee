"""Rejects sent again after a fix, and ranges read again after a loss."""

import json
import re

import orjson
import pytest
from kafka import KafkaConsumer, KafkaProducer

from pipeline import topics
from pipeline.brokers import kafka_python_options
from pipeline.simulator import Plan
from tests.integration.command import touchline
from tests.kafka import choice
from tests.line import running_line
from tests.moments_line import check_moments
from tests.unit.events import event
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

#: Every table that a worker fills.
FILLED = (
    "interaction_records",
    "rejections",
    "moment_records",
    "promise_records",
    "detection_progress",
    "step_records",
    "journey_records",
    "customer_changes",
    "customer_refreshes",
)
STORED = "SELECT count() FROM interaction_records"
EVENTS = "SELECT count() FROM interactions"


@pytest.fixture
def line(tmp_path):
    with running_line(tmp_path / ".touchline", partitions=2, idle=1.0) as running:
        yield running


def send(line, values, key=b"customer_id:C-1"):
    producer = KafkaProducer(**kafka_python_options(line.settings), acks="all", linger_ms=20)
    topic = topics.interactions(line.settings, "web")
    for value in values:
        producer.send(topic, key=key, value=value, headers=[("trace", b"7")])
    producer.flush()
    producer.close()


def small(number):
    return orjson.dumps(event(event_id=f"small-{number}"))


def large(number):
    return orjson.dumps(event(event_id=f"large-{number}", anything="x" * 5_000))


def run(line, *arguments):
    return touchline(line.settings.home.parent, *arguments, settings=choice.given(line.settings))


def answer(line, *arguments, code=0):
    done = run(line, *arguments, "--json")
    assert done.returncode == code, done.stderr.decode()
    return json.loads(done.stdout)


def web_records(line):
    consumer = KafkaConsumer(
        topics.interactions(line.settings, "web"),
        **kafka_python_options(line.settings),
        auto_offset_reset="earliest",
        consumer_timeout_ms=2000,
        group_id=None,
    )
    try:
        return list(consumer)
    finally:
        consumer.close()


def test_rejects_are_sent_again_once_after_a_fix(line):
    send(line, [*map(small, range(10)), *map(large, range(5)), *[b"no json"] * 3])
    worker = line.worker(max_record_bytes=2_000, reject_ratio_limit=1.0)
    line.drain(worker)
    worker.stop()
    before = line.account()
    assert before.rejected == {"too_large": 5, "invalid_json": 3}

    tried = answer(line, "replay", "rejects", "--dry-run", code=1)
    assert (tried["selected"], tried["sent"], tried["refused"]) == (8, 5, {"invalid_json": 3})
    assert line.account() == before, "a dry run sent something"
    some = answer(line, "replay", "rejects", "--reason", "too_large", "--limit", "2")
    assert (some["sent"], some["beyond"]) == (2, 3)
    done = answer(line, "replay", "rejects", "--reason", "too_large")
    assert (done["selected"], done["sent"], done["replayed"]) == (5, 3, 2)

    line.drain(line.worker())
    found = line.account()
    assert found.balanced
    assert (found.produced, found.stored, found.duplicates) == (23, 15, 0)
    assert found.rejected == before.rejected, "a rejection stays counted; its replay is a record"
    assert line.count(EVENTS) == 15
    records = {(each.partition, each.offset): each for each in web_records(line)}
    for record in records.values():
        of = dict(record.headers).get("touchline-replay-of", b"").decode()
        if record.offset < before.produced:
            assert not of
            continue
        place = re.fullmatch(r"\S*interactions\.web\[(\d)]@(\d+) [0-9a-f-]{36}", of)
        original = records[int(place[1]), int(place[2])]
        assert (record.key, record.value) == (original.key, original.value)
        assert record.headers[:-1] == original.headers


def test_a_replay_that_is_rejected_again_can_be_replayed_again(line):
    send(line, [*map(small, range(10)), large(1)])
    tight = {"max_record_bytes": 2_000, "reject_ratio_limit": 1.0}
    worker = line.worker(**tight)
    line.drain(worker)
    assert answer(line, "replay", "rejects")["sent"] == 1
    line.drain(worker)
    worker.stop()
    assert line.account().rejected == {"too_large": 2}
    second = answer(line, "replay", "rejects")
    assert (second["selected"], second["sent"], second["replayed"]) == (2, 1, 1)
    line.drain(line.worker())
    found = line.account()
    assert (found.balanced, found.stored, found.rejected) == (True, 11, {"too_large": 2})


def test_what_was_kept_shortened_cannot_be_replayed(line):
    producer = KafkaProducer(
        **kafka_python_options(line.settings), max_request_size=80_000_000, compression_type="gzip"
    )
    topic = topics.interactions(line.settings, "web")
    producer.send(topic, b'{"x":"' + b"y" * 70_000_000 + b'"}', partition=0)
    producer.flush()
    producer.close()
    line.drain(line.worker(reject_ratio_limit=1.0))
    told = answer(line, "replay", "rejects", code=1)
    assert (told["selected"], told["sent"], told["shortened"]) == (1, 0, 1)


def read_again(line, *arguments):
    """Set the offsets back as soon as nobody is in the group any more."""
    done = until(
        lambda: (ran := run(line, "replay", "range", *arguments, "--json")).returncode == 0 and ran,
        60,
        "the worker to have left the group",
    )
    return json.loads(done.stdout)


def test_a_range_is_read_again_and_only_what_is_missing_is_stored(line):
    send(line, map(small, range(1000)))
    worker = line.worker()
    line.drain(worker)
    topic = topics.interactions(line.settings, "web")
    refused = run(line, "replay", "range", "--topic", topic, "--from-beginning")
    assert refused.returncode == 1
    assert b"stop every worker" in refused.stderr
    worker.stop()

    line.client.command("DELETE FROM interaction_records WHERE offset BETWEEN 100 AND 299")
    assert line.count(STORED) == 800
    at = ["--topic", topic, "--from-offset", "50"]
    tried = answer(line, "replay", "range", *at, "--dry-run")
    assert (tried["offsets"], tried["missing"]) == (950, 200)
    assert read_again(line, *at)["partitions"] == tried["partitions"]
    assert sum(topics.committed(line.settings).values()) == 50
    line.drain(line.worker())
    assert (line.count(STORED), line.count(EVENTS)) == (1000, 1000)
    assert line.account().balanced


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["everything", "some"])
def test_what_clickhouse_lost_comes_back_moments_and_all(line, lost):
    line.produce(Plan(customers=80, days=30, seed=11))
    worker = line.worker()
    line.drain(worker)
    assert len(check_moments(line).moments) > 50
    worker.stop()
    if lost == "everything":
        for table in FILLED:
            line.client.command(f"TRUNCATE TABLE {table}")
    else:
        line.client.command("DELETE FROM interaction_records WHERE offset % 3 = 0")
        line.client.command("DELETE FROM moment_records WHERE cityHash64(moment_id) % 3 = 0")
    read_again(line, "--from-beginning")
    worker = line.worker()
    line.drain(worker)
    found = line.account()
    assert (found.balanced, found.stored) == (True, len(line.truth))
    if lost == "some":  # detection was past these, and says nothing about what it has been past
        worker.stop()
        done = run(line, "backtest", "--apply")
        assert done.returncode == 0, done.stderr
        line.worker()
    check_moments(line)
    line.check_rebuilt()


def test_ranges_that_cannot_be(line):
    web = topics.interactions(line.settings, "web")
    for arguments, code, says in (
        ([], 2, "--from-offset"),
        (["--from-beginning", "--topic", "interactions.wbe"], 2, web),
        (["--from-beginning", "--topic", f"{web}:7"], 2, "0 to 1"),
        (["--since", "yesterday"], 2, "--since"),
        (["--from-beginning"], 0, "have not read that far"),
    ):
        done = run(line, "replay", "range", *arguments)
        assert done.returncode == code, done
        assert says in re.sub(r"[\s│]+", " ", (done.stdout + done.stderr).decode())
