from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import errors
from kafka.partitioner import DefaultPartitioner
from kafka.producer.future import RecordMetadata

from pipeline.errors import (
    FatalError,
    RetryableError,
    TouchlineError,
)
from pipeline.identify import partition_key
from pipeline.producers import Producer
from pipeline.producers.delivery import MAX_FAILURES, Deliveries
from pipeline.producers.kafka_client import CustomerPartitioner, options
from pipeline.producers.producer import checker
from pipeline.settings import Settings
from schemas.interaction import INTERACTION
from tests.unit.events import event
from tests.unit.logs import reason_of

CHANNELS = frozenset({"web", "store", "mail"})
CHECK = checker(CHANNELS, 4_096)
DONE = RecordMetadata("interactions.web", 3, None, 7, 0, None, 1, 1, -1)


def test_a_record_is_in_flight_until_it_is_settled_once() -> None:
    deliveries = Deliveries()
    first, second = deliveries.begin("a", b"1"), deliveries.begin("b", b"2")
    assert deliveries.in_flight == 2
    deliveries.succeed(first, DONE)
    deliveries.succeed(first, DONE)
    deliveries.fail(first, errors.KafkaTimeoutError())
    deliveries.succeed(second, DONE._replace(offset=9))
    assert (deliveries.in_flight, deliveries.delivered, deliveries.failed) == (0, 2, 0)
    assert deliveries.ranges == {("interactions.web", 3): (7, 9)}
    deliveries.check()


@pytest.mark.parametrize(
    ("error", "reason", "stops"),
    [
        (errors.MessageSizeTooLargeError("big"), "refused", None),
        (errors.InvalidRecordError("odd"), "refused", None),
        (errors.KafkaTimeoutError("late"), "not_confirmed", RetryableError),
        (errors.NotEnoughReplicasError(), "not_confirmed", RetryableError),
        (errors.KafkaError("part of a bad batch"), "not_confirmed", RetryableError),
        (errors.TopicAuthorizationFailedError("t"), "not_confirmed", FatalError),
        (errors.SaslAuthenticationFailedError("s"), "not_confirmed", FatalError),
    ],
)
def test_a_failure_is_kept_and_stops_delivery_unless_it_is_the_records_own(
    error: Exception, reason: str, stops: type[TouchlineError] | None
) -> None:
    deliveries = Deliveries()
    deliveries.fail(deliveries.begin(41, b"value"), error)
    [failure] = deliveries.take_failures()
    assert (failure.reference, failure.value, failure.reason) == (41, b"value", reason)
    assert deliveries.failed == 1
    assert deliveries.take_failures() == []
    if stops is None:
        deliveries.check()
    else:
        with pytest.raises(stops):
            deliveries.check()


def test_abandoned_records_are_failures_and_late_answers_change_nothing() -> None:
    deliveries = Deliveries()
    tickets = [deliveries.begin(number, b"v") for number in range(3)]
    deliveries.succeed(tickets[0], DONE)
    deliveries.abandon(RetryableError("gone"))
    deliveries.succeed(tickets[1], DONE)
    assert [failure.reference for failure in deliveries.take_failures()] == [1, 2]
    assert (deliveries.delivered, deliveries.failed, deliveries.in_flight) == (1, 2, 0)
    with pytest.raises(RetryableError, match="gone"):
        deliveries.check()


def test_failures_that_nobody_takes_do_not_fill_the_memory() -> None:
    deliveries = Deliveries()
    for number in range(MAX_FAILURES):
        deliveries.check()
        deliveries.fail(deliveries.begin(number, b""), errors.InvalidRecordError())
    with pytest.raises(FatalError, match="refused"):
        deliveries.check()


def test_no_room_until_half_is_settled() -> None:
    deliveries = Deliveries(max_in_flight=100_000)
    tickets = []
    while deliveries.wait_for_room(0):
        tickets.append(deliveries.begin(None, b"x" * 8_500))  # and what a record costs beside
    assert len(tickets) == 10
    waiting, went_on = threading.Event(), threading.Event()

    def wait() -> None:
        waiting.set()
        if deliveries.wait_for_room(30):
            went_on.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(10)
    for ticket in tickets[:5]:
        deliveries.succeed(ticket, DONE)
    assert went_on.wait(10)
    thread.join()


def test_waiting_ends_when_delivery_stops() -> None:
    deliveries = Deliveries(max_in_flight=1)
    ticket, _ = deliveries.begin(None, b""), deliveries.begin(None, b"")
    assert not deliveries.wait_for_all(0)
    deliveries.fail(ticket, errors.KafkaTimeoutError())
    assert deliveries.wait_for_room(0)
    assert deliveries.wait_for_all(0)
    assert not deliveries.wait_for_all(0, stopped=False)


@given(st.lists(st.sampled_from(["ok", "bad", "late", "withdrawn"]), max_size=40), st.data())
def test_every_record_is_counted_once(fates: list[str], data: Any) -> None:
    deliveries = Deliveries()
    tickets = [(deliveries.begin(place, b"v"), fate) for place, fate in enumerate(fates)]
    for ticket, fate in data.draw(st.permutations(tickets)):
        if fate == "ok":
            deliveries.succeed(ticket, DONE)
        elif fate == "withdrawn":
            deliveries.withdraw(ticket)
        else:
            kind = errors.InvalidRecordError if fate == "bad" else errors.KafkaTimeoutError
            deliveries.fail(ticket, kind())
    assert deliveries.in_flight == 0
    assert deliveries.delivered == fates.count("ok")
    assert deliveries.failed == fates.count("bad") + fates.count("late")
    assert {failure.reference for failure in deliveries.take_failures()} == {
        place for place, fate in enumerate(fates) if fate in ("bad", "late")
    }


def test_what_is_not_valid_is_refused_before_anything_else() -> None:
    producer = Producer(Settings(), CHANNELS)
    assert reason_of(producer.send_raw, b"{}") == "missing_field"
    assert reason_of(producer.send, event(channel="phone")) == "unknown_channel"
    assert reason_of(producer.send, event(channel="fax")) == "unknown_channel"
    assert reason_of(producer.send_unchecked, "phone", b"x") == "unknown_channel"
    assert reason_of(producer.send, event(details={"page_url": 5})) == "invalid_field"
    assert reason_of(producer.send, event(details={"x": "y" * 300_000})) == "too_large"
    assert reason_of(producer.send, event(note="\ud800")) == "invalid_json"
    assert reason_of(producer.send, event(note=object())) == "invalid_json"
    model = INTERACTION.validate_python(event(), strict=False)
    assert reason_of(producer.send, model.model_copy(update={"action": 5})) == "invalid_field"
    with pytest.raises(FatalError, match="not open"):
        producer.send(event())
    with pytest.raises(FatalError, match="not open"):
        producer.send(model)


def test_without_any_broker_it_says_what_to_do(tmp_path: Path) -> None:
    with (
        pytest.raises(FatalError, match="touchline up"),
        Producer(Settings(home=tmp_path), CHANNELS),
    ):
        pass


@given(st.dictionaries(st.sampled_from(["customer_id", "email"]), st.text(), min_size=1))
def test_partitions_are_those_of_every_kafka_client(identifiers: dict[str, str]) -> None:
    class Cluster:
        def topics(self) -> set[str]:
            return {"t"}

        def partitions_for_topic(self, topic: str) -> set[int]:
            return set(range(12))

        available_partitions_for_topic = partitions_for_topic

    ours, theirs = CustomerPartitioner(), DefaultPartitioner()
    key = partition_key(identifiers)
    arguments = ("t", key, key, b"", b"", Cluster())
    assert ours.partition(*arguments) == theirs.partition(*arguments)
    assert ours.partition(*arguments) == ours.partition(*arguments)
    assert 0 <= ours.partition("t", None, None, b"", b"x", Cluster()) < 12


def test_options_lose_nothing() -> None:
    made = options(Settings(kafka="k:1", max_record_bytes=2 << 20), 60, 30, 20)
    assert made["acks"] == "all"
    assert made["enable_idempotence"] is True
    assert made["allow_auto_create_topics"] is False
    assert "retries" not in made
    assert made["max_request_size"] > 2 << 20
    assert made["delivery_timeout_ms"] >= made["request_timeout_ms"] + made["linger_ms"]
