"""The loop that stores: batch after batch through the steps, into ClickHouse, and only then safe.

A batch that cannot be stored for now is tried again with growing pauses while Faust stops fetching;
a batch whose partitions were taken away is dropped, its new owner reads it again; anything else
that goes wrong ends the loop, and with it the process, without acknowledging.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from time import monotonic
from typing import Any, cast

import faust
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerClosed

from pipeline import topics
from pipeline.batch import Batch, Steps
from pipeline.chunks import Chunk
from pipeline.detection import Detection, News
from pipeline.errors import FatalError, RejectedRecord, RetryableError
from pipeline.intake import Intake
from pipeline.journeys import Refresher
from pipeline.moments.statements import message
from pipeline.pulse import STORE, Pulse
from pipeline.rejects import Reject, RejectLimit
from pipeline.rows import COLUMNS, Place, Row
from pipeline.settings import Settings
from pipeline.sink import Sink
from pipeline.threads import in_thread
from pipeline.topics import TopicPartition
from pipeline.transport import Consumer

log = logging.getLogger(__name__)

#: First and longest pause before a batch is tried again, seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
#: Seconds without events after which it is looked whether time has ended a term.
PATIENCE = 1.0
_PARTITION, _CUSTOMER = COLUMNS.index("partition"), COLUMNS.index("customer_key")
_Work = Callable[[bool], Awaitable[None]]


class Loop:
    """Stores what comes in.

    Args:
        app: The Faust application, for its consumer and producer.
        settings: Reject limits and topic names.
        steps: What happens to a record.
        sink: Where it ends.
        detection: Finds moments in what is stored.
        refresher: Is told whose journeys change.
        watch: Notices topics that are made anew.
        pulse: Is told what is done.
    """

    def __init__(
        self,
        app: faust.App,
        settings: Settings,
        steps: Steps,
        sink: Sink,
        detection: Detection,
        refresher: Refresher,
        watch: topics.Watch,
        pulse: Pulse,
    ) -> None:
        self._app = app
        self._settings = settings
        self._steps = steps
        self._sink = sink
        self._detection = detection
        self._refresher = refresher
        self._watch = watch
        self._pulse = pulse
        self._limit = RejectLimit(settings.reject_ratio_limit, settings.reject_window)
        self._rejected_topic = topics.rejected(settings)
        self._moments_topic = topics.moments(settings)
        self._epoch = -1

    @property
    def _consumer(self) -> Consumer:
        return cast(Consumer, self._app.consumer)

    async def run(self, intake: Intake) -> None:
        """Store batch after batch until cancelled.

        Raises:
            FatalError: Going on could lose something.
        """
        self._pulse.consumer = self._consumer
        while True:
            chunks = await intake.batch(PATIENCE)
            if chunks:
                await self._patiently(partial(self._store, chunks), chunks)
            else:
                await self._patiently(self._pass_time, [])

    async def _patiently(self, work: _Work, chunks: list[Chunk]) -> None:
        """Do something until it succeeds, with growing pauses."""
        pause, first = FIRST_PAUSE, True
        while True:
            try:
                async with self._consumer.storing:
                    await work(first)
                break
            except RetryableError as error:
                self._pulse.failed(STORE, error)
                self._sink.forget()  # what is stored by now is not to be stored again
                wait = pause * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, not a secret
                log.warning("batch not stored, next try in %.1f s: %s", wait, error)
                await asyncio.sleep(wait)
                pause = min(pause * 2, LONGEST_PAUSE)
            first = False
            if chunks and not any(map(self._consumer.is_current, chunks)):
                break
        self._pulse.succeeded(STORE)

    async def _store(self, chunks: list[Chunk], first: bool) -> None:
        chunks = [chunk for chunk in chunks if self._consumer.is_current(chunk)]
        if not chunks:
            return
        began = monotonic()
        positions, ends = self._consumer.positions(), self._consumer.ends()
        batch, stored = await in_thread(lambda: self._attempt(chunks, first, positions))
        await self._reject(batch.rejects)
        now = datetime.now(timezone.utc)
        news = await in_thread(lambda: self._detection.detect(chunks, batch, ends, now))
        if self._consumer.positions()[0] != positions[0]:
            return  # the new owner says it
        await self._say(news, batch.rows)
        self._pulse.flushed(chunks, batch, stored, monotonic() - began)
        log.info(
            "stored %d of %d records, %d rejected, %d unclassified, %d late, %d of the future; "
            "%d moments and %d promises changed, %d subjects held",
            stored,
            len(batch.rows) + len(batch.rejects),
            len(batch.rejects),
            batch.unclassified,
            batch.late,
            batch.future,
            len(news.moments),
            len(news.promises),
            len(self._detection),
        )

    async def _pass_time(self, _: bool) -> None:
        epoch, positions = self._consumer.positions()
        if epoch != self._epoch and positions:
            await in_thread(lambda: self._assign(epoch, positions))
        if epoch == self._epoch:
            ends, now = self._consumer.ends(), datetime.now(timezone.utc)
            await self._say(await in_thread(lambda: self._detection.pass_time(ends, now)), ())

    def _assign(self, epoch: int, positions: Mapping[TopicPartition, int]) -> None:
        self._sink.forget()
        self._detection.assign(positions)
        self._refresher.assign({partition for _, partition in positions})
        self._epoch = self._pulse.begun = epoch

    def _attempt(
        self, chunks: list[Chunk], first: bool, assigned: tuple[int, Mapping[TopicPartition, int]]
    ) -> tuple[Batch, int]:
        """Take a batch through the steps and into ClickHouse. Runs in a thread."""
        # chunks fetched before the ids are seen unchanged belong to the topics they name
        self._watch.check()
        if assigned[0] != self._epoch:
            self._assign(*assigned)
        watermark = self._detection.watermarks.__getitem__
        batch = self._steps.run(chunks, datetime.now(timezone.utc), watermark)
        cause = batch.rejects[0].cause if batch.rejects else None
        if first:  # a batch counts once, however often it is tried
            total = len(batch.rows) + len(batch.rejects)
            self._limit.count(total, len(batch.rejects), cause)
        stored, unstorable = self._sink.store(batch.rows)
        if unstorable:
            if first:
                self._limit.count(0, len(unstorable), unstorable[0][1])
            _rejected(batch, chunks, unstorable)
        return batch, stored

    async def _say(self, news: News, rows: Sequence[Row]) -> None:
        """Send moments, wait for the broker, record them; then everything before is safe."""
        futures: list[Awaitable[Any]] = []
        results: list[BaseException | None] = []
        try:
            for row in news.moments:  # one after the other: tasks that wait for room crowd it
                key, value = row.customer_key.encode(), message(row)
                futures.append(await self._send_on(self._moments_topic, key, value))
        except Exception as error:  # noqa: BLE001  # raised below, when those before have ended
            results.append(error)
        results += await asyncio.gather(*futures, return_exceptions=True)
        for failed in results:
            if isinstance(failed, BaseException):
                raise _explained(failed, "the topic of moments") from failed
        touched = {(row[_PARTITION], row[_CUSTOMER]) for row in rows}
        touched.update((row.partition, row.customer_key) for row in news.moments)
        if touched:  # before the moments are stored: a crash in between must not forget them
            await in_thread(lambda: self._refresher.note(touched))
        if news.changes:
            await in_thread(lambda: self._detection.record(news))
            self._pulse.said(news)
        self._refresher.release()
        for chunk in news.done:
            self._consumer.processed(chunk)

    async def _reject(self, rejects: list[Reject]) -> None:
        """Send rejects to their topic, wait for the broker, then list those it has."""
        fresh = await in_thread(lambda: self._sink.unrecorded(rejects))
        if not fresh:
            return
        results = await asyncio.gather(*map(self._send, fresh), return_exceptions=True)
        sent = [item for item, result in zip(fresh, results, strict=True) if result is None]
        await in_thread(lambda: self._sink.record(sent, datetime.now(timezone.utc)))
        for error in results:
            if error is not None:
                raise _explained(error, "the reject topic") from error

    async def _send(self, reject: Reject) -> None:
        try:
            await self._produce(self._rejected_topic, *reject.message())
        except (KafkaError, faust.exceptions.ProducerSendError) as error:
            if not isinstance(_cause(error), MessageSizeTooLargeError):
                raise
            log.warning(
                "%s[%d] offset %d is too large for the reject topic: its beginning is kept",
                reject.topic,
                reject.partition,
                reject.offset,
            )
            await self._produce(self._rejected_topic, *reject.shortened())

    async def _produce(self, topic: str, key: Any, value: Any, headers: Any) -> None:
        await (await self._send_on(topic, key, value, headers))

    async def _send_on(
        self, topic: str, key: Any, value: Any, headers: Any = None
    ) -> Awaitable[Any]:
        """Hand a record to the producer; return what waits for the broker to have it."""
        return await self._app.producer.send(topic, key, value, None, None, headers)


def _rejected(
    batch: Batch, chunks: list[Chunk], unstorable: list[tuple[Row, RejectedRecord]]
) -> None:
    """Add the rejects for rows that ClickHouse cannot hold; they mean nothing to any rule."""
    records = {
        (chunk.topic, chunk.partition, record.offset): record
        for chunk in chunks
        for record in chunk.records
    }
    gone = set()
    for row, why in unstorable:
        place = cast(Place, row[:5])
        record = records[row[0], row[2], row[3]]
        headers = tuple(record.headers)
        batch.rejects.append(Reject(*place, record.key, record.value, headers, why))
        gone.add((row[0], row[2], row[3]))
    batch.sightings = [
        None if (row[0], row[2], row[3]) in gone else sighting
        for row, sighting in zip(batch.rows, batch.sightings, strict=True)
    ]


def _cause(error: BaseException) -> BaseException:
    return error.__cause__ or error


def _explained(error: BaseException, topic: str) -> Exception:
    cause = _cause(error)
    if isinstance(cause, ProducerClosed) or (isinstance(cause, KafkaError) and cause.retriable):
        return RetryableError(f"{topic} did not take a record: {cause!r}", "kafka")
    return FatalError(f"{topic} does not take a record: {cause!r}")
