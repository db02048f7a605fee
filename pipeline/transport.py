"""Faust's consumer on chunks of records, with acknowledging of our own.

A stock Faust agent pays for every event with hops between coroutines, and its acknowledging loses
events when an agent fails or finishes out of order. Here one Faust event is a ``Chunk`` (see
``pipeline.chunks``), and an offset is committed only when the agent said that everything before it
is safe (``Consumer.processed``); what Faust thinks was acknowledged counts for nothing.

Nothing is skipped: each chunk says from which position it was fetched, and a chunk that does not
begin where the last one ended is dropped and its partition sought back. Nothing stale is committed:
an assignment has an ``epoch``, and what belongs to an earlier one is ignored.

Made for faust-streaming 0.15 on aiokafka 0.14; the methods overridden are the whole coupling.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from time import monotonic, time
from typing import Any, cast

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message

from pipeline.chunks import Chunk, ConsumerThread
from pipeline.errors import FatalError

log = logging.getLogger(__name__)

#: A topic and a partition, without Faust's type.
TopicAndPartition = tuple[str, int]
#: Seconds that a rebalance waits for the batch that is being stored: whoever gets its partitions
#: while an insert is under way cannot see it, and stores the same again.
REVOKE_STORE_SECONDS = 10.0
#: The same of a worker that stops: what its batch says needs a producer that has not stopped.
STOP_STORE_SECONDS = 5.0
#: Seconds that a rebalance waits for a last commit of what is already safe.
REVOKE_COMMIT_SECONDS = 5.0


class Consumer(driver.Consumer):
    """Faust's consumer, on chunks, committing what the agent declared processed."""

    thread: type[ConsumerThread] = ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._begun: dict[TP, int] = {}
        self._expected: dict[TP, int] = {}
        self._processed: dict[TP, int] = {}
        self._safely_committed: dict[TP, int] = {}
        self._epoch = 0
        #: Held by the agent while it stores a batch, and for good by a worker that stops.
        self.storing = asyncio.Lock()
        self._held = False
        #: When Kafka last took offsets, seconds since 1970; 0 before the first time.
        self.committed_at = 0.0
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ConsumerThread:
        return self.thread(self, loop=self.loop, beacon=self.beacon)

    # --- what the agent says ------------------------------------------------------------------

    def is_current(self, chunk: Chunk) -> bool:
        """Return whether the chunk belongs to the present assignment."""
        return chunk.epoch == self._epoch and chunk.tp in self._expected

    def positions(self) -> tuple[int, dict[TopicAndPartition, int]]:
        """Return the present assignment's epoch, and the committed position of each partition."""
        return self._epoch, {(tp.topic, tp.partition): at for tp, at in self._begun.items()}

    def ends(self) -> dict[TopicAndPartition, int | None]:
        """Return the end of every assigned partition in Kafka, None where it is not known yet."""
        return {(tp.topic, tp.partition): self.highwater(tp) for tp in self._begun}

    def safe(self) -> dict[TopicAndPartition, int]:
        """Return up to where every assigned partition was declared processed."""
        return {
            (tp.topic, tp.partition): self._processed.get(tp, at) for tp, at in self._begun.items()
        }

    def uncommitted(self) -> bool:
        """Return whether something was declared processed and is not committed yet."""
        committed = self._safely_committed
        return any(at > committed.get(tp, -1) for tp, at in self._processed.items())

    def processed(self, chunk: Chunk) -> None:
        """Declare everything up to the end of a chunk safe; stale chunks are ignored.

        Chunks of one partition must be declared in order.
        """
        if self.is_current(chunk):
            self._processed[chunk.tp] = max(chunk.end, self._processed.get(chunk.tp, 0))

    # --- delivery -----------------------------------------------------------------------------

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Yield chunks as Faust messages, contiguous per partition."""
        fetched, _ = await self._wait_next_records(timeout)
        for tp, chunks in (fetched or {}).items():
            for chunk in chunks:
                if self.should_stop or not self.flow_active:
                    return
                if await self._accept(TP(*tp), chunk):
                    yield TP(*tp), self._to_message(TP(*tp), chunk)

    async def _accept(self, tp: TP, chunk: Chunk) -> bool:
        expected = self._expected.get(tp)
        if expected is None or chunk.begin < expected:
            return False  # fetched before the assignment was settled: the seek brings it again
        if chunk.begin > expected:
            epoch = self._epoch
            earliest = (await self.earliest_offsets(tp))[tp]
            if epoch != self._epoch:
                return False  # the partition was taken away meanwhile
            if earliest <= expected:
                log.warning("seeking %s back from %d to %d", tp, chunk.begin, expected)
                await self.seek(tp, expected)
                return False
            log.error(
                "%s: offsets %d to %d were deleted from Kafka before they were read "
                "(fix: longer retention, or more workers)",
                tp,
                expected,
                earliest - 1,
            )
            if chunk.begin > earliest:
                self._expected[tp] = earliest
                await self.seek(tp, earliest)
                return False
        self._expected[tp] = chunk.end
        self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
        return True

    def _to_message(self, tp: TP, chunk: Chunk) -> ConsumerMessage:
        return ConsumerMessage(
            chunk.topic,
            chunk.partition,
            chunk.begin,
            monotonic(),
            0,
            None,
            None,
            cast(Any, chunk._replace(epoch=self._epoch)),
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    def ack(self, message: Message) -> bool:
        """Forget the message: Faust's acknowledging decides nothing here."""
        message.acked = True
        self._unacked_messages.discard(message)
        return False

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        return  # chunks know their own ends

    # --- assignment ---------------------------------------------------------------------------

    async def perform_seek(self) -> None:
        """Seek every partition to its committed offset, or to the beginning without one."""
        # Faust gives up waiting for this after the request timeout, and then never resumes
        limit = self.app.conf.broker_request_timeout * 0.75
        try:
            await asyncio.wait_for(self._seek_all(), limit)
        except asyncio.TimeoutError as error:
            raise FatalError(f"Kafka did not tell the positions within {limit:.0f} s") from error

    async def _seek_all(self) -> None:
        self._forget()
        epoch, begun = self._epoch, dict[TP, int]()
        await super().perform_seek()
        assigned = {TP(*tp) for tp in self.assignment()}
        fresh = [tp for tp in assigned if not self._committed_offset.get(tp)]
        if fresh:  # the stock seek leaves these wherever a stray fetch had moved them
            await self._thread.seek_to_beginning(*(TopicPartition(*tp) for tp in fresh))
        for tp in assigned:
            position = await self.position(TopicPartition(*tp))
            if position is not None:
                begun[tp] = self._expected[tp] = position
                self._read_offset[tp] = None
        if epoch == self._epoch:
            self._begun = begun  # all at once: who looks meanwhile must not see a part

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let the present batch end, commit what is safe, then forget the assignment."""
        stored = not self._held and await self._stored(REVOKE_STORE_SECONDS, "of a rebalance")
        try:
            await asyncio.wait_for(self.force_commit(), REVOKE_COMMIT_SECONDS)
        except asyncio.TimeoutError:
            log.warning("no commit within %s s of a rebalance", REVOKE_COMMIT_SECONDS)
        finally:
            self._forget()
            if stored:
                self.storing.release()
            await super().on_partitions_revoked(revoked)

    async def hold(self) -> None:
        """Let the present batch end, and see to it that no other begins: this worker stops."""
        if not self._held and await self._stored(STOP_STORE_SECONDS, "of being told to stop"):
            self._held = True

    async def _stored(self, seconds: float, when: str) -> bool:
        """Wait until no batch is being stored; return whether the lock was taken for that."""
        try:
            return await asyncio.wait_for(self.storing.acquire(), seconds)
        except asyncio.TimeoutError:
            log.warning("a batch is not stored within %s s %s", seconds, when)
            return False

    def _forget(self) -> None:
        self._epoch += 1
        self._begun = {}
        self._expected.clear()
        self._processed.clear()
        self._safely_committed.clear()

    # --- committing ---------------------------------------------------------------------------

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what was declared processed and is not committed yet."""
        ready = {
            tp: offset
            for tp, offset in self._processed.items()
            if offset > self._safely_committed.get(tp, -1)
        }
        epoch = self._epoch
        if not ready:
            return False
        try:
            if not await self._commit(ready):
                return False
        except KafkaError as error:
            log.critical("commit refused for good: %r", error)
            await self.app.crash(error)
            return False
        if epoch == self._epoch:
            self._safely_committed.update(ready)
        self.committed_at = time()
        self.app.monitor.on_tp_commit(ready)
        return True


class Transport(driver.Transport):
    """Faust's aiokafka transport with the consumer of this module."""

    Consumer = Consumer
