"""The loop that stores: batch after batch through the steps, into ClickHouse, and only then safe.

A batch that cannot be stored for now is tried again with growing pauses while Faust stops fetching;
a batch whose partitions were taken away is dropped, its new owner reads it again; anything else
that goes wrong ends the loop, and with it the process, without acknowledging.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from typing import Any, TypeVar, cast

import faust
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from pipeline import topics
from pipeline.batch import Batch, Steps
from pipeline.chunks import Chunk
from pipeline.errors import FatalError, RetryableError
from pipeline.intake import Intake
from pipeline.rejects import Reject, RejectLimit
from pipeline.rows import Place
from pipeline.settings import Settings
from pipeline.sink import Sink
from pipeline.transport import Consumer

log = logging.getLogger(__name__)
_T = TypeVar("_T")

#: First and longest pause before a batch is tried again, seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0


class Loop:
    """Stores what comes in.

    Args:
        app: The Faust application, for its consumer and producer.
        settings: Reject limits and topic names.
        steps: What happens to a record.
        sink: Where it ends.
        watch: Notices topics that are made anew.
    """

    def __init__(
        self, app: faust.App, settings: Settings, steps: Steps, sink: Sink, watch: topics.Watch
    ) -> None:
        self._app = app
        self._settings = settings
        self._steps = steps
        self._sink = sink
        self._watch = watch
        self._limit = RejectLimit(settings.reject_ratio_limit, settings.reject_window)
        self._rejected_topic = topics.rejected(settings)
        self._epoch = -1

    @property
    def _consumer(self) -> Consumer:
        return cast(Consumer, self._app.consumer)

    async def run(self, intake: Intake) -> None:
        """Store batch after batch until cancelled.

        Raises:
            FatalError: Going on could lose something.
        """
        while True:
            await self._store(await intake.batch())

    async def _store(self, chunks: list[Chunk]) -> None:
        pause, first = FIRST_PAUSE, True
        while chunks := [chunk for chunk in chunks if self._consumer.is_current(chunk)]:
            attempt = partial(self._attempt, chunks, first)
            first = False
            try:
                batch, stored = await in_thread(attempt)
                await self._reject(batch.rejects)
            except RetryableError as error:
                self._sink.forget()  # what is stored by now is not to be stored again
                wait = pause * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, not a secret
                log.warning("batch not stored, next try in %.1f s: %s", wait, error)
                await asyncio.sleep(wait)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            for chunk in chunks:
                self._consumer.processed(chunk)
            log.info(
                "stored %d of %d records, %d rejected, %d unclassified",
                stored,
                len(batch.rows) + len(batch.rejects),
                len(batch.rejects),
                batch.unclassified,
            )
            return

    def _attempt(self, chunks: list[Chunk], first: bool) -> tuple[Batch, int]:
        """Take a batch through the steps and into ClickHouse. Runs in a thread."""
        # chunks fetched before the ids are seen unchanged belong to the topics they name
        self._watch.check()
        if chunks[0].epoch != self._epoch:
            self._sink.forget()
            self._epoch = chunks[0].epoch
        batch = self._steps.run(chunks, datetime.now(timezone.utc))
        cause = batch.rejects[0].cause if batch.rejects else None
        if first:  # a batch counts once, however often it is tried
            total = len(batch.rows) + len(batch.rejects)
            self._limit.count(total, len(batch.rejects), cause)
        stored, unstorable = self._sink.store(batch.rows)
        if unstorable:
            if first:
                self._limit.count(0, len(unstorable), unstorable[0][1])
            records = {
                (chunk.topic, chunk.partition, record.offset): record
                for chunk in chunks
                for record in chunk.records
            }
            for row, why in unstorable:
                record = records[row[0], row[2], row[3]]
                place = cast(Place, row[:5])
                headers = tuple(record.headers)
                batch.rejects.append(Reject(*place, record.key, record.value, headers, why))
        return batch, stored

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
                raise _explained(error) from error

    async def _send(self, reject: Reject) -> None:
        try:
            await self._produce(*reject.message())
        except (KafkaError, faust.exceptions.ProducerSendError) as error:
            if not isinstance(_cause(error), MessageSizeTooLargeError):
                raise
            log.warning(
                "%s[%d] offset %d is too large for the reject topic: its beginning is kept",
                reject.topic,
                reject.partition,
                reject.offset,
            )
            await self._produce(*reject.shortened())

    async def _produce(self, key: Any, value: Any, headers: Any) -> None:
        producer = self._app.producer
        await (await producer.send(self._rejected_topic, key, value, None, None, headers))


def _cause(error: BaseException) -> BaseException:
    return error.__cause__ or error


def _explained(error: BaseException) -> Exception:
    cause = _cause(error)
    if isinstance(cause, KafkaError) and cause.retriable:
        return RetryableError(f"the reject topic did not take a record: {cause!r}")
    return FatalError(f"the reject topic does not take a record: {cause!r}")


async def in_thread(work: Callable[[], _T]) -> _T:
    """Run blocking work in a daemon thread, so that a hanging server cannot keep the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(cast(_T, result))

    def target() -> None:
        outcome: tuple[_T | None, BaseException | None]
        try:
            outcome = work(), None
        except BaseException as error:  # noqa: BLE001  # handed to the waiting coroutine
            outcome = None, error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=target, daemon=True, name="touchline-store").start()
    return await future
