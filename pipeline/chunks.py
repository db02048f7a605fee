"""Chunks of records out of Kafka: the thread that owns the aiokafka consumer.

A chunk is what one fetch returned for one partition, undecoded, with the position it was fetched
from and the position after it.

Made for faust-streaming 0.15 on aiokafka 0.14; the methods overridden are the whole coupling.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, NamedTuple, Protocol

import aiokafka
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust import Schema
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, Message

from pipeline.assignor import WholeNumbers
from pipeline.errors import FatalError

log = logging.getLogger(__name__)

#: Seconds after which a commit is given up, and tried again with the next.
COMMIT_SECONDS = 10.0


class Record(Protocol):
    """A record as aiokafka reads it out of a batch."""

    @property
    def offset(self) -> int:
        """Return its offset."""

    @property
    def timestamp(self) -> int | None:
        """Return Kafka's timestamp, milliseconds since 1970."""

    @property
    def key(self) -> bytes | None:
        """Return its key."""

    @property
    def value(self) -> bytes | None:
        """Return its value."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Return its headers."""


class Chunk(NamedTuple):
    """What one fetch returned for one partition.

    Attributes:
        topic: Topic.
        partition: Partition.
        begin: Position the fetch began at.
        end: Position after it; everything in between is here or does not exist.
        records: Records in offset order, possibly none (offsets can have gaps).
        size: Bytes of their values.
        epoch: Assignment it belongs to; set when it is handed to the agent.
    """

    topic: str
    partition: int
    begin: int
    end: int
    records: list[Record]
    size: int = 0
    epoch: int = -1

    @property
    def tp(self) -> TP:
        """Return topic and partition."""
        return TP(self.topic, self.partition)


class ChunkSchema(Schema[None, Any]):
    """Passes a chunk through Faust undecoded."""

    def loads_key(self, app: Any, message: Message, **_: Any) -> None:
        """Return no key: a chunk has many."""
        return

    def loads_value(self, app: Any, message: Message, **_: Any) -> Any:
        """Return the chunk itself."""
        return message.value


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that owns the aiokafka consumer: fetches chunks, commits offsets."""

    #: Faust's own assigns round robin over all partitions; with this one a worker sees all channels
    #: of its customers.
    assignor: type[AbstractPartitionAssignor] = WholeNumbers

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        self._assignor = self.assignor
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[self.assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=500,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )

    async def _fetch_records(
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> dict[TP, list[Chunk]]:
        fetcher = consumer._fetcher
        subscriptions: SubscriptionState = fetcher._subscriptions
        deadline = monotonic() + (timeout or 0)
        while self.consumer.flow_active:
            if consumer._closed or fetcher._closed:
                raise ConsumerStoppedError
            consumer._coordinator.check_errors()
            if fetcher.error_future.done():  # its routine ended: nothing would come any more
                fetcher.error_future.result()
                raise ConsumerStoppedError
            active = frozenset(active_partitions)  # the main thread changes it as it likes
            if active and not subscriptions.reassignment_in_progress:
                before = _positions(subscriptions, active)
                with subscriptions.fetch_context():
                    # timeout 0 and no reassignment: returns without giving up the event loop, so
                    # the positions before and after belong to exactly these records
                    drained = await _drained(fetcher, active, max_records, before)
                chunks = _chunks(before, _positions(subscriptions, active), drained)
                if chunks:
                    return chunks
            remaining = deadline - monotonic()
            if remaining <= 0:
                break
            await _wait_for_records(fetcher, remaining)
        return {}

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        wanted = {
            TopicPartition(*tp): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if tp in assigned
        }
        if not wanted:
            return False
        try:
            await asyncio.wait_for(consumer.commit(wanted), COMMIT_SECONDS)
        except asyncio.TimeoutError:
            log.warning("no commit within %s s, will be tried again", COMMIT_SECONDS)
            return False
        except (CommitFailedError, IllegalStateError, ConsumerStoppedError) as error:
            log.info("commit refused, the partitions moved on: %s", error)
            return False
        except KafkaError as error:
            if not error.retriable:
                raise  # crashing is the main thread's: this one could not stop itself
            log.warning("commit failed, will be tried again: %r", error)
            return False
        now = monotonic()
        self.tp_last_committed_at.update(dict.fromkeys(offsets, now))
        return True


def _positions(subscriptions: SubscriptionState, partitions: frozenset[TP]) -> dict[TP, int]:
    subscription = subscriptions.subscription
    assignment = subscription.assignment if subscription is not None else None
    if assignment is None or not assignment.active:
        return {}
    found = {}
    for tp in partitions:
        if tp in assignment.tps:
            state = assignment.state_value(tp)
            if state is not None and state.has_valid_position:
                found[TP(*tp)] = state.position
    return found


def _chunks(
    before: Mapping[TP, int], after: Mapping[TP, int], drained: Mapping[Any, list[Record]]
) -> dict[TP, list[Chunk]]:
    return {
        tp: [_chunk(tp, before[tp], end, drained.get(tp, []))]
        for tp, end in after.items()
        if tp in before and end > before[tp]
    }


def _chunk(tp: TP, begin: int, end: int, records: list[Record]) -> Chunk:
    size = sum([len(record.value or b"") for record in records])
    return Chunk(tp.topic, tp.partition, begin, end, records, size)


async def _drained(
    fetcher: Any, active: frozenset[TP], limit: int | None, positions: Mapping[TP, int]
) -> Mapping[Any, list[Record]]:
    for result in fetcher._records.values():
        if type(result) is FetchResult:
            # aiokafka would build a ConsumerRecord of each: half of its work on them
            result._partition_records._consumer_record = _as_read
    try:
        found: Mapping[Any, list[Record]] = await fetcher.fetched_records(
            active, timeout=0, max_records=limit
        )
    except UnicodeDecodeError as error:
        places = ", ".join(f"{tp.topic}[{tp.partition}] {at}" for tp, at in positions.items())
        raise FatalError(
            "a record has a header whose name is not UTF-8, and cannot be read past; it stands "
            f"soon after one of: {places} (fix: delete the records up to it with kafka-delete-"
            "records, after copying them)"
        ) from error
    return found


def _as_read(_: TopicPartition, record: Record) -> Record:
    return record


async def _wait_for_records(fetcher: Any, seconds: float) -> None:
    waiter = fetcher._create_fetch_waiter()
    done, _ = await asyncio.wait([waiter], timeout=seconds)
    if done:
        waiter.result()  # raises what the fetcher could not fetch for, e.g. authorization
    else:
        waiter.cancel()
