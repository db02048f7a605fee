"""The worker as a process: bad records, bad releases, stopping, and Faust's own command line."""

import os
import subprocess
import sys
from datetime import datetime, timezone

import orjson
import pytest
from kafka import KafkaConsumer, KafkaProducer

from jobs.drain import WorkerProcess
from pipeline import topics
from pipeline.alive import alive_file
from pipeline.brokers import kafka_python_options
from pipeline.settings import environment
from tests.line import running_line
from tests.unit.events import event
from tests.unit.test_decode import POISON
from tests.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture
def line(tmp_path, request):
    own = request.node.get_closest_marker("own_broker") is not None
    with running_line(tmp_path / "home", own_broker=own, partitions=2) as running:
        yield running


def send(line, channel, values, key=b"customer_id:C-1"):
    producer = KafkaProducer(**kafka_python_options(line.settings), acks="all", linger_ms=20)
    topic = topics.interactions(line.settings, channel)
    for value in values:
        producer.send(topic, key=key, value=value, headers=[("trace", b"7")])
    producer.flush()
    producer.close()


def valid(number):
    return orjson.dumps(event(event_id=f"e-{number}"))


def rejected_records(line):
    consumer = KafkaConsumer(
        topics.rejected(line.settings),
        **kafka_python_options(line.settings),
        auto_offset_reset="earliest",
        consumer_timeout_ms=2000,
        group_id=None,
    )
    try:
        return list(consumer)
    finally:
        consumer.close()


def test_poison_is_rejected_whole_and_everything_else_is_stored(line):
    too_large = 262_144 + 1
    poison = [(value, reason) for value, reason in POISON if reason != "too_large"]
    poison.append((b'{"x":"' + b"y" * too_large + b'"}', "too_large"))
    values = [valid(number) for number in range(2000)]
    for place, (value, _) in enumerate(poison):
        values.insert(place * 40, value)
    send(line, "web", values)
    line.drain(line.worker())

    found = line.account()
    assert found.balanced
    assert found.stored == 2000
    wanted = {}
    for _, reason in poison:
        wanted[reason] = wanted.get(reason, 0) + 1
    assert found.rejected == wanted
    records, topic = rejected_records(line), topics.interactions(line.settings, "web")
    assert sorted((r.value or b"") for r in records) == sorted((v or b"") for v, _ in poison)
    for record in records:
        headers = dict(record.headers)
        assert record.key == b"customer_id:C-1"
        assert headers["trace"] == b"7"
        original = values[int(headers["touchline-offset"])]
        assert (record.value or b"") == (original or b"")
        assert headers["touchline-topic"].decode() == topic
        assert headers["touchline-error"]
        assert headers["touchline-reason"].decode() in wanted
        assert headers["touchline-topic-id"].decode() == str(line.ids[topic])


def test_a_worker_that_rejects_most_stops_before_it_drains_the_topic(line):
    send(line, "web", [b"not json"] * 1500)
    worker = line.worker()
    assert worker.process.wait(60) != 0
    log = worker.log_file.read_text()
    assert "records were rejected" in log
    assert "TOUCHLINE_REJECT_RATIO_LIMIT" in log
    assert not topics.committed(line.settings)
    assert rejected_records(line) == []
    line.drain(line.worker(reject_ratio_limit=1.0))
    assert line.account().rejected == {"invalid_json": 1500}


def test_a_record_too_large_for_the_reject_topic_is_shortened_and_blocks_nobody(line):
    large = b'{"x":"' + b"y" * 70_000_000 + b'"}'
    producer = KafkaProducer(
        **kafka_python_options(line.settings), max_request_size=80_000_000, compression_type="gzip"
    )
    topic = topics.interactions(line.settings, "web")
    producer.send(topic, large, partition=0)
    producer.send(topic, valid(1), partition=0)
    producer.flush()
    producer.close()
    line.drain(line.worker())
    found = line.account()
    assert (found.stored, found.rejected) == (1, {"too_large": 1})
    (record,) = rejected_records(line)
    assert large.startswith(record.value)
    assert dict(record.headers)["touchline-bytes"] == str(len(large)).encode()


def test_a_topic_made_anew_under_a_worker_ends_it_and_loses_nothing(line):
    send(line, "web", [valid(number) for number in range(300)])
    worker = line.worker()
    line.drain(worker)
    with topics.admin(line.settings) as client:
        client.delete_topics([topics.interactions(line.settings, "web")])
    line.ids = topics.ensure(line.settings, line.loaded.catalog)
    send(line, "web", [valid(1000 + number) for number in range(400)])
    assert worker.process.wait(60) != 0
    assert "was deleted while it was read" in worker.log_file.read_text()
    last = line.worker()
    until(lambda: line.count("SELECT count() FROM interactions") == 700 or last.check(), 60, "700")


@pytest.mark.own_broker
def test_sigterm_is_obeyed_while_the_broker_is_gone(line):
    send(line, "web", [valid(number) for number in range(2000)])
    worker = line.worker(batch_rows=100, batch_seconds=0.05)
    until(lambda: line.count("SELECT count() FROM interaction_records"), 60, "a batch")
    line.broker.suspend()
    try:
        worker.process.terminate()
        assert worker.process.wait(60) is not None
    finally:
        line.broker.resume()


def test_sigterm_ends_it_cleanly_with_everything_stored_committed(line):
    send(line, "web", [valid(number) for number in range(5000)])
    worker = line.worker(batch_rows=500, batch_seconds=0.05)
    stored = "SELECT count() FROM interaction_records"
    until(lambda: sum(topics.committed(line.settings).values()) > 500, 60, "some batches")
    worker.process.terminate()
    assert worker.process.wait(30) == 0
    committed = sum(topics.committed(line.settings).values())
    assert 500 < committed <= line.count(stored) <= 5000
    assert alive_file(line.settings).exists()
    line.drain(line.worker())
    assert line.count(stored) == 5000


def test_a_missing_table_stops_it_with_the_fix(line):
    send(line, "web", [valid(1)])
    line.client.command("DROP TABLE interaction_records")
    worker = line.worker()
    assert worker.process.wait(60) != 0
    assert "touchline migrate" in worker.log_file.read_text()


def test_faust_users_run_it_their_way(line):
    send(line, "web", [valid(number) for number in range(10)])
    log_file = line.settings.home / "faust.log"
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TOUCHLINE_")}
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "faust", "-A", "jobs.worker", "worker", "--without-web"],
            stdout=log,
            stderr=log,
            env={**kept, **environment(line.settings), "PYTHONPATH": os.getcwd()},
        )
    worker = WorkerProcess(process, log_file)
    line.workers.append(worker)
    line.drain(worker)
    assert line.account().stored == 10


def test_a_worker_without_anything_to_connect_to_says_what_to_do(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "jobs.cli", "worker"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "touchline up" in done.stderr
    assert "Traceback" not in done.stderr


def test_occurred_at_of_ages_in_one_batch(line):
    months = [datetime(1980 + n // 12, n % 12 + 1, 3, tzinfo=timezone.utc) for n in range(240)]
    values = [
        orjson.dumps(event(event_id=f"e-{n}", occurred_at=at.isoformat()))
        for n, at in enumerate(months)
    ]
    send(line, "web", values)
    line.drain(line.worker())
    assert line.account().stored == 240
