"""Rejected records, sent back to where they came from.

The topic of rejects holds them whole. One that is replayed goes to its topic and partition again
with its key, value and headers, plus one that says what it replays; then a mark is written beside
it into the topic of rejects, so that the next replay knows. Killed in between, the record is sent
twice at the worst: the event then counts once, as whenever a producer repeats itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, NamedTuple
from uuid import UUID

from kafka import KafkaConsumer
from kafka import TopicPartition as KafkaPartition
from kafka.errors import KafkaError

from pipeline import topics
from pipeline.brokers import kafka_python_options
from pipeline.errors import RejectedRecord, RetryableError
from pipeline.rejects import HEADERS
from pipeline.settings import Settings

#: Header of a record that is sent again: what it replays, as ``topic[partition]@offset topic-id``.
REPLAY_OF = "touchline-replay-of"
#: Header of the mark in the topic of rejects; ``touchline-topic`` and so on say of which record.
REPLAYED = "touchline-replayed"
#: Header of a reject that was too large to be kept whole.
SHORTENED = "touchline-bytes"
#: Names of the headers that make up a place.
_PLACE = ("touchline-topic", "touchline-topic-id", "touchline-partition", "touchline-offset")
#: Seconds without a record, though there are some, after which reading is given up.
_PATIENCE = 30.0


class Place(NamedTuple):
    """Where a record stood before it was rejected."""

    topic: str
    topic_id: UUID
    partition: int
    offset: int

    def __str__(self) -> str:
        """Return it as one word and the topic's id."""
        return f"{self.topic}[{self.partition}]@{self.offset} {self.topic_id}"


@dataclass(frozen=True)
class Kept:
    """A record of the topic of rejects.

    Attributes:
        place: Where the record stood that was rejected.
        partition: Partition of the topic of rejects.
        at: When it was rejected, milliseconds since 1970.
        reason: Why, as a code.
        key: Its key, as it came.
        value: Its value, as it came.
        headers: Its own headers, without those that rejecting added.
        shortened: Whether only its beginning was kept.
        replayed: Whether this is no reject but the mark that one was replayed.
    """

    place: Place
    partition: int
    at: int
    reason: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    shortened: bool
    replayed: bool


@dataclass(frozen=True)
class Selection:
    """Which rejects are meant; everything that is None or empty leaves nothing out.

    Attributes:
        reasons: Codes.
        topics: Topics they came from.
        since: Rejected at or after this.
        until: Rejected before this.
    """

    reasons: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, kept: Kept) -> bool:
        """Return whether a reject is meant."""
        at = kept.at / 1000
        return (
            (not self.reasons or kept.reason in self.reasons)
            and (not self.topics or kept.place.topic in self.topics)
            and (self.since is None or at >= self.since.timestamp())
            and (self.until is None or at < self.until.timestamp())
        )


@dataclass
class Outcome:
    """What became of the selected rejects; the numbers below ``selected`` add up to it.

    Attributes:
        selected: Distinct rejected records that were asked for.
        sent: Sent again, or to be sent where it is only tried.
        replayed: Left alone: replayed before.
        stored: Left alone: accepted when they were read again, without any replay.
        refused: Left alone: this version would reject them again, by reason.
        shortened: Cannot be sent: only their beginning was kept.
        homeless: Cannot be sent: their topic is not there any more.
        beyond: Left for the next time: more than were asked for.
    """

    selected: int = 0
    sent: int = 0
    replayed: int = 0
    stored: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    shortened: int = 0
    homeless: int = 0
    beyond: int = 0

    @property
    def unsent(self) -> int:
        """Those that somebody may have to do something about."""
        return self.refused.total() + self.shortened + self.homeless


def read(settings: Settings, ends: Mapping[topics.TopicPartition, int]) -> Iterator[Kept]:
    """Yield every record of the topic of rejects, of each partition in order.

    Args:
        settings: Where Kafka is.
        ends: Its ends, from ``topics.ends``; what comes after is not waited for.

    Raises:
        RetryableError: Kafka does not answer.
    """
    try:
        consumer = KafkaConsumer(
            **kafka_python_options(settings),
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
    except KafkaError as error:
        raise RetryableError(f"no Kafka broker at {settings.kafka}: {error!r}") from error
    try:
        yield from _read(consumer, ends)
    except KafkaError as error:
        raise RetryableError(f"cannot read the topic of rejects: {error!r}") from error
    finally:
        consumer.close()


def _read(consumer: Any, ends: Mapping[topics.TopicPartition, int]) -> Iterator[Kept]:
    wanted = {KafkaPartition(*place): end for place, end in ends.items()}
    consumer.assign(list(wanted))
    consumer.seek_to_beginning(*wanted)
    moved_at = monotonic()
    left = {tp for tp, end in wanted.items() if consumer.position(tp) < end}
    while left:
        for tp, records in consumer.poll(timeout_ms=200).items():
            moved_at = monotonic()
            for record in records:
                kept = _kept(record) if record.offset < wanted[tp] else None
                if kept is not None:
                    yield kept
        left = {tp for tp in left if consumer.position(tp) < wanted[tp]}
        if left and monotonic() - moved_at > _PATIENCE:
            raise RetryableError(f"Kafka gave no record of the rejects for {_PATIENCE:g} s")


def _kept(record: Any) -> Kept | None:
    """Return what a record of the topic says; None where it is none of ours."""
    headers = dict(record.headers)
    try:
        topic, topic_id, partition, offset = (headers[name].decode() for name in _PLACE)
        place = Place(topic, UUID(topic_id), int(partition), int(offset))
    except (KeyError, ValueError):
        return None
    return Kept(
        place,
        record.partition,
        record.timestamp,
        headers.get("touchline-reason", b"").decode("utf-8", "replace"),
        record.key,
        record.value,
        tuple(each for each in record.headers if each[0] not in HEADERS),
        SHORTENED in headers,
        REPLAYED in headers,
    )


class Judge:
    """Decides what becomes of each reject.

    Args:
        selection: Which are meant.
        replayed: Places of those that were replayed before.
        partitions: Number of partitions of every topic that is there.
        check: Decodes a value as a worker would, or raises RejectedRecord.
        limit: Most to be sent; None for all.
    """

    def __init__(
        self,
        selection: Selection,
        replayed: frozenset[Place],
        partitions: Mapping[str, int],
        check: Callable[[bytes | None], object],
        limit: int | None,
    ) -> None:
        self._selection = selection
        self._replayed = replayed
        self._partitions = partitions
        self._check = check
        self._limit = limit
        self._seen: set[Place] = set()
        self.outcome = Outcome()

    def wanted(self, found: Sequence[Kept], missing: Callable[..., list[bool]]) -> list[Kept]:
        """Return those of some rejects that are to be sent, and count the others.

        Args:
            found: Rejects, in the order of their topic.
            missing: Tells of places whether nothing is stored of them, as ``sink.Fence.missing``.
        """
        fresh = []
        for kept in found:
            # a worker that was killed may have written one twice
            if kept.place not in self._seen and self._selection.takes(kept):
                self._seen.add(kept.place)
                fresh.append(kept)
        absent = missing([(kept.place[:3], kept.place.offset) for kept in fresh]) if fresh else []
        return [
            kept
            for kept, is_absent in zip(fresh, absent, strict=True)
            if self._decide(kept, is_absent)
        ]

    def _decide(self, kept: Kept, absent: bool) -> bool:
        told = self.outcome
        told.selected += 1
        if kept.place in self._replayed:
            told.replayed += 1
        elif not absent:
            told.stored += 1
        elif kept.shortened:
            told.shortened += 1
        elif kept.place.topic not in self._partitions:
            told.homeless += 1
        elif self._limit is not None and told.sent >= self._limit:
            told.beyond += 1
        else:
            try:
                self._check(kept.value)
            except RejectedRecord as cause:
                told.refused[cause.reason] += 1
                return False
            told.sent += 1
            return True
        return False


def again(kept: Kept, partitions: Mapping[str, int]) -> dict[str, Any]:
    """Return a reject as a producer's arguments: the record as it came, to where it was.

    Args:
        kept: The reject.
        partitions: Number of partitions of every topic.
    """
    own = [each for each in kept.headers if each[0] != REPLAY_OF]
    place = kept.place
    # a topic that was made anew with fewer partitions has none of that number: its key decides
    partition = place.partition if place.partition < partitions[place.topic] else None
    return {
        "topic": place.topic,
        "partition": partition,
        "key": kept.key,
        "value": kept.value,
        "headers": [*own, (REPLAY_OF, str(place).encode())],
    }


def mark(kept: Kept, topic: str) -> dict[str, Any]:
    """Return, as a producer's arguments, the mark that a reject was replayed.

    Args:
        kept: The reject.
        topic: The topic of rejects.
    """
    told = [str(part).encode() for part in kept.place]
    return {
        "topic": topic,
        "partition": kept.partition,
        "key": kept.key,
        "value": b"",
        "headers": [(REPLAYED, b"1"), *zip(_PLACE, told, strict=True)],
    }
