"""The Faust application: one agent over the interaction topics, and the loop that stores.

The agent only passes chunks on. The loop collects them into batches by size and age, takes each
batch through the steps and into ClickHouse in a thread, and only then declares it processed. A
batch that cannot be stored for now is tried again with growing pauses while Faust stops fetching;
a batch whose partitions were taken away is dropped, its new owner reads it again; an error that
nobody foresaw stops the process without acknowledging anything.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar, cast
from uuid import UUID

import faust
from aiokafka.errors import KafkaError
from faust.auth import SASLCredentials

from pipeline import topics
from pipeline.batch import Batch, Steps
from pipeline.brokers import bootstrap_servers, sasl_credentials, ssl_context
from pipeline.catalog import LoadedCatalog
from pipeline.errors import RetryableError, TouchlineError
from pipeline.identify import Keyring
from pipeline.rejects import Reject, RejectLimit
from pipeline.rows import Place
from pipeline.settings import Settings
from pipeline.sink import Sink
from pipeline.transport import Chunk, ChunkSchema, Consumer, Transport

log = logging.getLogger(__name__)
_T = TypeVar("_T")

#: First and longest pause before a batch is tried again, seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
#: Chunks that may wait between the agent and the loop.
INTAKE = 64
#: How often a worker shows that it is not stuck, seconds.
ALIVE_SECONDS = 10.0
#: Records that one fetch returns at most.
FETCH_RECORDS = 5_000


class Worker(faust.App):
    """Faust with our transport and nothing that Touchline does not use."""

    def _new_transport(self) -> Any:
        return Transport(self.conf.broker_consumer, self)

    async def on_start(self) -> None:
        """Start, and look for garbage in cycles less often.

        A batch makes hundreds of thousands of objects and no cycles; by default Python would look
        through them again and again (measured: a third to a half of the time of the steps).
        """
        gc.freeze()
        gc.set_threshold(100_000, 20, 100)
        await super().on_start()


class Loop:
    """Collects chunks into batches and stores them.

    Args:
        app: The application, for its consumer and producer.
        settings: Batch limits and reject limits.
        steps: What happens to a record.
        sink: Where it ends.
    """

    def __init__(self, app: Worker, settings: Settings, steps: Steps, sink: Sink) -> None:
        self._app = app
        self._settings = settings
        self._steps = steps
        self._sink = sink
        self._limit = RejectLimit(settings.reject_ratio_limit, settings.reject_window)
        self._rejected_topic = topics.rejected(settings)
        self._epoch = -1
        self._intake: asyncio.Queue[Chunk] | None = None

    @property
    def _consumer(self) -> Consumer:
        return cast(Consumer, self._app.consumer)

    @property
    def intake(self) -> asyncio.Queue[Chunk]:
        """Return the queue between agent and loop, made on the loop that runs both."""
        if self._intake is None:
            self._intake = asyncio.Queue(INTAKE)
        return self._intake

    async def run(self) -> None:
        """Store batch after batch until cancelled."""
        while True:
            chunks = await self._collect()
            await self._store(chunks)

    async def _collect(self) -> list[Chunk]:
        """Wait for a chunk, then take more until the batch is large or old enough."""
        chunks = [await self.intake.get()]
        rows = len(chunks[0].records)
        deadline = monotonic() + self._settings.batch_seconds
        while rows < self._settings.batch_rows:
            try:
                chunk = await asyncio.wait_for(self.intake.get(), max(deadline - monotonic(), 0))
            except asyncio.TimeoutError:
                break
            chunks.append(chunk)
            rows += len(chunk.records)
        return chunks

    async def _store(self, chunks: list[Chunk]) -> None:
        pause = FIRST_PAUSE
        while chunks := [chunk for chunk in chunks if self._consumer.is_current(chunk)]:
            try:
                batch, stored = await in_thread(lambda: self._attempt(chunks))
                await self._reject(batch.rejects)
            except RetryableError as error:
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

    def _attempt(self, chunks: list[Chunk]) -> tuple[Batch, int]:
        """Take a batch through the steps and into ClickHouse. Runs in a thread."""
        if chunks[0].epoch != self._epoch:
            self._sink.forget()
            self._epoch = chunks[0].epoch
        batch = self._steps.run(chunks, datetime.now(timezone.utc))
        self._check_limit(batch)
        stored, unstorable = self._sink.store(batch.rows)
        if unstorable:
            values = {
                (chunk.topic, chunk.partition, record.offset): record
                for chunk in chunks
                for record in chunk.records
            }
            for row, cause in unstorable:
                record = values[row[0], row[2], row[3]]
                place = cast(Place, row[:5])
                batch.rejects.append(
                    Reject(*place, record.key, record.value, tuple(record.headers), cause)
                )
        return batch, stored

    def _check_limit(self, batch: Batch) -> None:
        """Count the batch record by record, in the order of the topic where they are mixed."""
        causes = {(item.topic, item.partition, item.offset): item.cause for item in batch.rejects}
        places = [*causes, *((row[0], row[2], row[3]) for row in batch.rows)]
        for place in sorted(places) if causes else places:
            cause = causes.get(place)
            self._limit.count(cause is not None, cause)

    async def _reject(self, rejects: list[Reject]) -> None:
        """Send rejects whole to their topic, wait for the broker, then list them."""
        fresh = await in_thread(lambda: self._sink.unrecorded(rejects))
        try:
            sent = [
                await self._app.producer.send(
                    self._rejected_topic,
                    item.key,
                    item.value,
                    None,
                    item.kafka_at.timestamp(),
                    item.message_headers(),
                )
                for item in fresh
            ]
            await asyncio.gather(*sent)
        except (KafkaError, faust.exceptions.ProducerSendError) as error:
            raise RetryableError(
                f"the reject topic did not take {len(fresh)}: {error!r}"
            ) from error
        await in_thread(lambda: self._sink.record(fresh, datetime.now(timezone.utc)))


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
            future.set_result(result)  # type: ignore[arg-type]

    def target() -> None:
        outcome: tuple[_T | None, BaseException | None]
        try:
            outcome = work(), None
        except BaseException as error:  # noqa: BLE001  # handed to the waiting coroutine
            outcome = None, error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=target, daemon=True, name="touchline-flush").start()
    return await future


def create(
    settings: Settings,
    catalog: LoadedCatalog,
    keyring: Keyring,
    sink: Sink,
    ids: Mapping[str, UUID],
) -> Worker:
    """Wire the worker.

    Args:
        settings: With a Kafka address filled in.
        catalog: The catalog to classify by.
        keyring: Hashes identifiers.
        sink: On a database that has the schema.
        ids: Id of every input topic, from ``topics.ensure``.
    """
    app = Worker(settings.kafka_group, **_options(settings))
    steps = Steps(catalog, keyring, ids, settings.max_record_bytes)
    loop = Loop(app, settings, steps, sink)
    channel = app.topic(*sorted(ids), schema=ChunkSchema())

    @app.agent(channel, name="interactions")
    async def interactions(chunks: Any) -> None:
        async for chunk in chunks:
            await loop.intake.put(chunk)

    async def store() -> None:
        try:
            await alive()
            await loop.run()
        except TouchlineError as error:
            log.critical("stopping, nothing of the present batch is acknowledged: %s", error)
            await app.crash(error)
        except Exception as error:
            log.exception("stopping, nothing of the present batch is acknowledged")
            await app.crash(error)

    async def alive() -> None:
        alive_file(settings).touch()

    app.task(store)
    app.timer(ALIVE_SECONDS)(alive)
    return app


def alive_file(settings: Settings) -> Path:
    """Return the file a worker touches every ``ALIVE_SECONDS`` while its event loop turns."""
    return settings.home / "worker.alive"


def _options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "broker": [f"aiokafka://{server}" for server in bootstrap_servers(settings)],
        "autodiscover": False,
        "broker_commit_interval": 0.5,
        "broker_heartbeat_interval": settings.session_timeout / 3,
        "broker_max_poll_interval": settings.max_poll_interval,
        "broker_max_poll_records": FETCH_RECORDS,
        "broker_request_timeout": max(40.0, settings.session_timeout + 10),
        "broker_session_timeout": settings.session_timeout,
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": 4_194_304,
        "datadir": settings.home / "faust",
        "producer_acks": -1,
        "store": "memory://",
        "stream_buffer_maxsize": 16,
        "stream_wait_empty": False,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "web_bind": "127.0.0.1",
        "web_enabled": False,
        "web_host": "127.0.0.1",
    }
    context = ssl_context(settings)
    credentials = sasl_credentials(settings)
    if credentials is not None:
        options["broker_credentials"] = SASLCredentials(
            username=credentials[0],
            password=credentials[1],
            ssl_context=context,
            mechanism=settings.kafka_sasl_mechanism,
        )
    elif context is not None:
        options["broker_credentials"] = context
    return options
