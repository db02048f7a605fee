"""Producing for real: what Kafka holds afterwards, byte by byte."""

from __future__ import annotations

import gc
import gzip
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
from kafka import KafkaConsumer
from kafka import TopicPartition as Place
from kafka.consumer.fetcher import ConsumerRecord
from kafka.partitioner.default import murmur2

from pipeline import broker_check, catalog, topics
from pipeline.errors import FatalError, RejectedRecord, RetryableError
from pipeline.identify import partition_key
from pipeline.producers import Producer
from pipeline.settings import Settings
from schemas.interaction import INTERACTION
from tests.integration.command import environment, touchline
from tests.kafka import choice
from tests.kafka.choice import Reached
from tests.unit.events import event
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.kafka]

CHANNELS = catalog.load(None).channels


@pytest.fixture
def broker(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Reached]:
    own = request.node.get_closest_marker("own_broker") is not None
    with choice.broker(tmp_path, own=own) as reached:
        yield reached


@pytest.fixture
def leaky() -> Iterator[None]:
    """Let kafka-python leave sockets open that it could not connect; collect them here."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def ready(broker: Reached, **changes: Any) -> Settings:
    settings = Settings(kafka=broker.address, partitions=4, **broker.names, **changes)
    topics.ensure(settings, catalog.load(None).catalog)
    return settings


def records(settings: Settings, channel: str) -> list[ConsumerRecord]:
    """Return everything that a channel's topic holds, in the order of partition and offset."""
    ends = topics.ends(settings, [topics.interactions(settings, channel)])
    consumer = KafkaConsumer(
        bootstrap_servers=settings.kafka, auto_offset_reset="earliest", enable_auto_commit=False
    )
    try:
        consumer.assign([Place(*place) for place in ends])
        found: list[ConsumerRecord] = []
        deadline = time.monotonic() + 30
        while len(found) < sum(ends.values()):
            assert time.monotonic() < deadline, "the records do not come back"
            for batch in consumer.poll(timeout_ms=500).values():
                found += batch
    finally:
        consumer.close()
    return sorted(found, key=lambda record: (record.partition, record.offset))


@contextmanager
def running(
    directory: Path, *arguments: str, settings: Settings
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.cli", *arguments],
        cwd=directory, env=environment(settings),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def interactions(count: int, **changes: Any) -> list[bytes]:
    return [
        orjson.dumps(
            event(event_id=f"e-{n}", identifiers={"email": f"A{n % 9}@x.example"}, **changes)
        )
        for n in range(count)
    ]


# --- the producer ---------------------------------------------------------------------------


def test_a_broker_that_takes_us_is_not_blamed(broker: Reached) -> None:
    broker_check.check(ready(broker))  # whoever lost the connection for a moment asks this


def test_what_is_sent_comes_back_keyed_and_in_order(broker: Reached) -> None:
    settings = ready(broker)
    values = interactions(500)
    odd = b'{ "channel":"web" ,' + interactions(1)[0].replace(b'"channel":"web",', b"")[1:]
    model = INTERACTION.validate_json(values[0]).model_copy(update={"event_id": "model"})
    with Producer(settings, CHANNELS) as producer:
        for number, value in enumerate(values):
            producer.send_raw(value, number)
        producer.send_raw(odd)
        producer.send(model)
        producer.send(event(event_id="dict", channel="store", details=None))
        producer.send_unchecked("phone", b"\xffnot even JSON")
        producer.flush()
        assert (producer.delivered, producer.failed) == (504, 0)
        ranges = producer.ranges
    found = records(settings, "web")
    sent = [orjson.loads(record.value)["event_id"] for record in found]
    assert sorted(sent) == sorted([f"e-{n}" for n in range(500)] + ["e-0", "model"])
    assert {record.value for record in found} >= {*values, odd}
    for record in found:
        identifiers = orjson.loads(record.value)["identifiers"]
        assert (
            record.key
            == partition_key(identifiers)
            == b"email:" + identifiers["email"].lower().encode()
        )
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % 4
        assert abs(record.timestamp / 1000 - time.time()) < 600  # when sent, not when occurred
    for key in {record.key for record in found}:
        numbers = [
            int(orjson.loads(r.value)["event_id"][2:])
            for r in found
            if r.key == key and r.value in values
        ]
        assert [n for n in numbers if n] == sorted(n for n in numbers if n)
    assert [orjson.loads(record.value)["event_id"] for record in records(settings, "store")] == [
        "dict"
    ]
    assert [(r.key, r.value) for r in records(settings, "phone")] == [(None, b"\xffnot even JSON")]
    ends = topics.ends(settings, [topics.interactions(settings, "web")])
    assert {place: (0, end - 1) for place, end in ends.items() if end} == {
        place: pair for place, pair in ranges.items() if place[0].endswith(".web")
    }


def test_a_channel_without_a_topic_is_told_at_once(broker: Reached) -> None:
    settings = Settings(kafka=broker.address, **broker.names)
    with (
        pytest.raises(FatalError, match=r"no such topic: (t\w+\.)?interactions\.web \(fix: "),
        Producer(settings, frozenset({"web"})),
    ):
        pass


def test_a_record_that_the_broker_finds_too_large_stops_no_other(broker: Reached) -> None:
    settings = ready(broker, max_record_bytes=8_192)
    with Producer(settings, CHANNELS) as producer:
        with pytest.raises(RejectedRecord, match="too_large"):
            producer.send(event(details={"page_type": "x", "note": "y" * 9_000}))
        producer.send(event())
    assert producer.delivered == 1


@pytest.mark.faults
@pytest.mark.own_broker
@pytest.mark.usefixtures("leaky")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_a_broker_that_goes_away_is_told_in_time(broker: Reached, fault: int) -> None:
    settings = ready(broker)
    since = time.monotonic()
    accepted = 0
    producer = Producer(settings, CHANNELS, timeout=2)
    with pytest.raises(RetryableError), producer:
        for value in interactions(200):
            producer.send_raw(value)
            accepted += 1
        producer.flush()
        broker.process.send_signal(fault)
        for value in interactions(200):
            producer.send_raw(value)
            accepted += 1
    assert time.monotonic() - since < 20
    assert producer.delivered == 200
    assert producer.delivered + producer.failed == accepted


@pytest.mark.faults
@pytest.mark.own_broker
@pytest.mark.usefixtures("leaky")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_broker_that_never_answers_is_told_in_time(broker: Reached) -> None:
    """Without a producer id kafka-python expires nothing by itself."""
    settings = ready(broker)
    producer = Producer(settings, CHANNELS, timeout=2)
    since = time.monotonic()
    taken = []
    with producer:
        broker.process.send_signal(signal.SIGSTOP)
        stopped = psutil.Process(broker.process.pid)
        until(lambda: stopped.status() == psutil.STATUS_STOPPED, 10, "the broker stopped")
        with pytest.raises(RetryableError):
            producer.send(event(), "mine")  # Apache Kafka has not told of the topic yet: not taken
            taken.append("mine")
            producer.flush()
        assert [failure.reference for failure in producer.take_failures()] == taken
        with pytest.raises(RetryableError):
            producer.send(event())
    assert time.monotonic() - since < 20


# --- touchline produce ----------------------------------------------------------------------


def test_produce_delivers_the_good_lines_and_keeps_the_bad(broker: Reached, tmp_path: Path) -> None:
    settings = ready(broker)
    good = [*interactions(300), *interactions(3, channel=None, schema_version=None)]
    bad = {
        5: b'{"a":NaN}',
        17: orjson.dumps(event(event_id=None)),
        150: orjson.dumps(event(channel="store", details=None)),
        151: orjson.dumps(event(details={"page_url": "u" * 300_000})),
        302: b'{"a":1,"a":2}',
    }
    lines = list(good)
    for number, line in bad.items():
        lines.insert(number - 1, line)
    lines[9] += b"\r"
    (tmp_path / "in.ndjson").write_bytes(b"\n".join(lines))
    arguments = ["produce", "web", "in.ndjson", "--json", "--rejects", "bad.ndjson"]
    done = touchline(tmp_path, *arguments, settings=settings)
    report = orjson.loads(done.stdout)
    assert done.returncode == 1
    assert (report["read"], report["delivered"]) == (308, 303)
    assert {(item["line"], item["reason"], item["field"]) for item in report["problems"]} == {
        (5, "invalid_json", ""),
        (17, "missing_field", "event_id"),
        (150, "other_channel", "channel"),
        (151, "too_large", ""),
        (302, "duplicate_key", ""),
    }
    assert (tmp_path / "bad.ndjson").read_bytes().splitlines() == [*bad.values()]
    reasons = (tmp_path / "bad.ndjson.reasons.ndjson").read_bytes().splitlines()
    assert [orjson.loads(line)["line"] for line in reasons] == [*bad]
    values = [record.value for record in records(settings, "web")]
    assert sorted(values)[-300:] == sorted(good[:300])
    completed = [orjson.loads(value) for value in sorted(values)[:3]]
    assert completed == [orjson.loads(value) for value in interactions(3)]

    again = touchline(tmp_path, *arguments, settings=settings)
    assert (again.returncode, b"is there already" in again.stderr) == (2, True)
    (tmp_path / "mended.ndjson.gz").write_bytes(gzip.compress(b"\n".join(interactions(2)) + b"\n"))
    mended = touchline(tmp_path, "produce", "web", "mended.ndjson.gz", settings=settings)
    assert (mended.returncode, mended.stdout) == (0, b"2 of 2 lines delivered\n")


def test_produce_takes_every_channel_from_a_pipe(broker: Reached, tmp_path: Path) -> None:
    settings = ready(broker)
    values = [*interactions(2), *interactions(3, channel="store", details=None), b"", b"  "]
    given = b"\n".join(values)
    done = touchline(tmp_path, "produce", "all", "-", settings=settings, given=given)
    assert (done.returncode, done.stdout) == (0, b"5 of 5 lines delivered\n"), done.stderr
    assert (len(records(settings, "web")), len(records(settings, "store"))) == (2, 3)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["webb", "in.ndjson"], 2, b"'webb' is not a channel of the catalog (fix: say one of "),
        (["web", "none.ndjson"], 2, b"none.ndjson: No such file"),
        (["web", "wide.ndjson"], 2, b"is UTF-16 (fix: save it as UTF-8)"),
        (["web", "in.ndjson", "--catalog", "none.toml"], 2, b"none.toml: No such file"),
        (["web", "in.ndjson", "--rejects", "no/such/directory"], 2, b"cannot be made"),
    ],
)
def test_what_cannot_be_used_ends_with_2(
    broker: Reached, tmp_path: Path, arguments: list[str], code: int, told: bytes
) -> None:
    (tmp_path / "in.ndjson").write_bytes(interactions(1)[0])
    (tmp_path / "wide.ndjson").write_bytes("{}".encode("utf-16"))
    done = touchline(tmp_path, "produce", *arguments, settings=ready(broker))
    assert done.returncode == code
    assert told in done.stderr.replace(b"\n", b" ")
    assert b"Traceback" not in done.stderr


def test_produce_refuses_a_broker_that_would_end_with_it(tmp_path: Path) -> None:
    (tmp_path / "in.ndjson").write_bytes(interactions(1)[0])
    done = touchline(tmp_path, "produce", "web", "in.ndjson")
    assert done.returncode == 1
    assert b"touchline up" in done.stderr
    assert b"TOUCHLINE_KAFKA" in done.stderr
    assert not (tmp_path / ".touchline").exists()


def test_a_broker_that_is_down_is_told_in_time(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{probe.getsockname()[1]}"
    (tmp_path / "in.ndjson").write_bytes(interactions(1)[0])
    since = time.monotonic()
    done = touchline(
        tmp_path, "produce", "web", "in.ndjson", settings=Settings(kafka=nobody, home=tmp_path)
    )
    assert time.monotonic() - since < 40
    assert done.returncode == 1
    assert f"no Kafka broker at {nobody}".encode() in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.faults
@pytest.mark.own_broker
def test_a_broker_that_dies_under_produce_costs_no_line(broker: Reached, tmp_path: Path) -> None:
    settings = ready(broker)
    lines = interactions(400)
    arguments = ["produce", "web", "-", "--json", "--rejects", "left", "--timeout", "2"]
    with running(tmp_path, *arguments, settings=settings) as process:
        assert process.stdin is not None
        process.stdin.write(b"".join(line + b"\n" for line in lines[:200]))
        process.stdin.flush()
        place = [topics.interactions(settings, "web")]
        until(lambda: sum(topics.ends(settings, place).values()) >= 200)
        broker.process.kill()
        stdout, _ = process.communicate(b"".join(line + b"\n" for line in lines[200:]), 60)
    report = orjson.loads(stdout)
    assert process.returncode == 1
    assert "recognised by its event_id" in report["error"]
    assert (report["read"], report["delivered"]) == (400, 200)
    assert sum(report["undelivered"].values()) == 200
    assert sorted((tmp_path / "left").read_bytes().splitlines()) == sorted(lines[200:])


def test_ctrl_c_waits_for_what_was_sent_and_says_how_much(broker: Reached, tmp_path: Path) -> None:
    settings = ready(broker)
    with running(tmp_path, "produce", "web", "-", "--json", settings=settings) as process:
        assert process.stdin is not None
        process.stdin.write(b"".join(line + b"\n" for line in interactions(50)))
        process.stdin.flush()
        place = [topics.interactions(settings, "web")]
        until(lambda: sum(topics.ends(settings, place).values()) >= 50)
        process.send_signal(signal.SIGINT)  # while it waits for more
        assert process.wait(30) == 130
        assert process.stdout is not None
        report = orjson.loads(process.stdout.read())
    assert (report["read"], report["delivered"], report["interrupted"]) == (50, 50, True)
    assert len(records(settings, "web")) == 50
