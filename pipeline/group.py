"""The workers' consumer group: who is in it, how far it is, and setting it back.

Kafka refuses to change the offsets of a group that has members. The embedded broker keeps members
for ever, dead ones too, and refuses always once a group has existed. There the file that workers
touch while they live tells whether one does, and the group is deleted and its offsets written anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic, sleep, time
from typing import Any, TypeVar

from kafka import KafkaConsumer
from kafka import TopicPartition as KafkaPartition
from kafka.errors import KafkaError, UnknownMemberIdError
from kafka.structs import OffsetAndMetadata

from pipeline import topics
from pipeline.alive import ALIVE_SECONDS, alive_file
from pipeline.brokers import kafka_python_options
from pipeline.errors import FatalError, RetryableError
from pipeline.settings import Settings
from pipeline.topics import TopicPartition

#: A broker that has no group yet looks for a coordinator for a while.
_COORDINATOR_SECONDS = 10.0
#: A worker touches its file so much later than it should.
_GRACE_SECONDS = 2.0
_T = TypeVar("_T")


@dataclass(frozen=True)
class Group:
    """What Kafka tells of a consumer group.

    Attributes:
        state: Empty, Stable, PreparingRebalance, … as Kafka calls it, Dead where there is none;
            empty where the broker does not tell.
        members: Client id and host of every member.
    """

    state: str
    members: list[str]

    @property
    def active(self) -> bool:
        """Whether somebody is in it, as far as is known."""
        return self.state not in ("", "Empty", "Dead")


def describe(settings: Settings) -> Group:
    """Return what Kafka tells of the workers' group.

    Raises:
        RetryableError: Kafka does not answer.
    """
    with topics.admin(settings) as client:
        try:
            found = _patiently(lambda: client.describe_groups([settings.kafka_group]))
        except ValueError:  # kafka-python cannot read the embedded broker's answer
            return Group("", [])
    told = found[settings.kafka_group]
    members = [f"{each['client_id']} at {each['client_host']}" for each in told["members"]]
    return Group(told["group_state"], members)


def committed(settings: Settings) -> dict[TopicPartition, int]:
    """Return the committed offsets; as ``topics.committed``, also before there is any group.

    Raises:
        RetryableError: Kafka does not answer.
    """
    return _patiently(lambda: topics.committed(settings))


def bounds(
    settings: Settings, names: list[str]
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    """Return the first offset that is still kept, and the end, of every partition of some topics.

    Raises:
        RetryableError: Kafka does not answer.
    """
    ends = topics.ends(settings, names)
    starts = _ask(settings, lambda consumer: consumer.beginning_offsets(_partitions(ends)))
    return {(tp.topic, tp.partition): offset for tp, offset in starts.items()}, ends


def offsets_at(
    settings: Settings, ends: Mapping[TopicPartition, int], milliseconds: int
) -> dict[TopicPartition, int]:
    """Return of every partition the first offset whose record is as young as a time or younger.

    Args:
        settings: Where Kafka is.
        ends: The end of every partition asked about: the answer where no record is as young.
        milliseconds: The time, milliseconds since 1970, compared with Kafka's timestamps.

    Raises:
        RetryableError: Kafka does not answer.
    """
    asked = dict.fromkeys(_partitions(ends), milliseconds)
    found = _ask(settings, lambda consumer: consumer.offsets_for_times(asked))
    return {
        (tp.topic, tp.partition): ends[tp.topic, tp.partition]
        if at is None or at.timestamp < 0
        else at.offset
        for tp, at in found.items()
    }


def reset(settings: Settings, offsets: Mapping[TopicPartition, int]) -> None:
    """Make workers read on from other offsets.

    Args:
        settings: Name the group.
        offsets: The next offset to be read, of the partitions that change.

    Raises:
        FatalError: A worker is in the group, or Kafka refuses to.
        RetryableError: Kafka does not answer.
    """
    found = describe(settings)
    if found.active or (settings.embedded_kafka and _worked_just_now(settings)):
        raise _active(settings, found.members)
    wanted = dict(offsets)
    with topics.admin(settings) as client:
        if settings.embedded_kafka:
            wanted = {**committed(settings), **wanted}
            _patiently(lambda: client.delete_groups([settings.kafka_group]))
        answers = _patiently(
            lambda: client.alter_group_offsets(settings.kafka_group, _with_metadata(wanted))
        )
    refused = [kind for kind in answers.values() if kind.errno]
    if UnknownMemberIdError in refused:
        raise _active(settings, [])
    if refused:
        raise FatalError(f"Kafka does not change the group's offsets: {refused[0].__name__}")


def _worked_just_now(settings: Settings) -> bool:
    """Whether a worker of this home lives, or did until a moment ago."""
    try:
        at = alive_file(settings).stat().st_mtime
    except OSError:
        return False
    return time() - at < ALIVE_SECONDS + _GRACE_SECONDS


def _with_metadata(offsets: Mapping[TopicPartition, int]) -> dict[Any, OffsetAndMetadata]:
    return {
        KafkaPartition(*place): OffsetAndMetadata(offset, "", -1)
        for place, offset in offsets.items()
    }


def _active(settings: Settings, members: list[str]) -> FatalError:
    who = f": {', '.join(members)}" if members else ""
    return FatalError(
        f"workers of group {settings.kafka_group!r} are running, and Kafka keeps the offsets of a "
        f"group that somebody is in{who} (fix: stop every worker, wait "
        f"{max(settings.session_timeout, ALIVE_SECONDS + _GRACE_SECONDS):g} s where one was killed "
        "or the broker is the embedded one, and try again)"
    )


def _ask(settings: Settings, question: Callable[[KafkaConsumer], _T]) -> _T:
    consumer = None
    try:
        consumer = KafkaConsumer(**kafka_python_options(settings), enable_auto_commit=False)
        return question(consumer)
    except KafkaError as error:
        raise RetryableError(f"Kafka does not tell offsets: {error!r}") from error
    finally:
        if consumer is not None:
            consumer.close()


def _partitions(places: Mapping[TopicPartition, int]) -> list[Any]:
    return [KafkaPartition(*place) for place in places]


def _patiently(question: Callable[[], _T]) -> _T:
    deadline = monotonic() + _COORDINATOR_SECONDS
    while True:
        try:
            return question()
        except KafkaError as error:
            if not error.retriable or monotonic() > deadline:
                raise RetryableError(f"Kafka does not tell of the group: {error!r}") from error
            sleep(0.2)
