"""The Faust application: one agent over the interaction topics, wired to the loop that stores.

The agent only passes chunks on. An error that ends the loop stops the process without
acknowledging anything.
"""

from __future__ import annotations

import gc
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

import faust
from faust.auth import SASLCredentials

from pipeline import topics
from pipeline.alive import ALIVE_SECONDS, alive_file
from pipeline.batch import Steps
from pipeline.brokers import bootstrap_servers, sasl_credentials, ssl_context
from pipeline.catalog import LoadedCatalog
from pipeline.chunks import ChunkSchema
from pipeline.decode import Reason
from pipeline.detection import Detection
from pipeline.errors import FatalError, RetryableError, TouchlineError
from pipeline.health import ALARMS, WorkerHealth
from pipeline.identify import Keyring
from pipeline.intake import Intake
from pipeline.journeys import Refresher
from pipeline.metrics import WorkerMetrics
from pipeline.moments.rules import Rules
from pipeline.pulse import Pulse
from pipeline.settings import Settings
from pipeline.sink import Sink
from pipeline.status_server import StatusServer
from pipeline.storing import Loop
from pipeline.threads import in_thread, leave_after
from pipeline.transport import Transport
from pipeline.warehouse.ledger import Ledger
from pipeline.warehouse.refresh import Journeys

log = logging.getLogger(__name__)

#: Records that are taken out of what was fetched in one go. aiokafka fetches again when all of it
#: is taken: with fewer a worker waits for Kafka while it could work.
FETCH_RECORDS = 10_000
#: Bytes that one request writes to a partition at most, well below what brokers take (1 MB).
PRODUCER_BATCH_BYTES = 262_144
#: Seconds within which the broker must take a record; by default 20 minutes, in which a worker
#: whose topic of rejects or moments is gone would not say a word.
PRODUCER_SECONDS = 60.0
#: Seconds after which a worker that stops leaves, whoever does not answer; below the half minute
#: that is usual before SIGKILL.
STOP_SECONDS = 20.0


class Worker(faust.App):
    """Faust with our transport and nothing that Touchline does not use.

    Attributes:
        health: Looked at while it runs.
        status: Answers monitoring while it runs.
        pulse: Knows the consumer once it is used.
    """

    health: WorkerHealth | None = None
    status: StatusServer | None = None
    pulse: Pulse | None = None

    transport_class: type[Transport] = Transport

    def _new_transport(self) -> Any:
        return self.transport_class(self.conf.broker_consumer, self)

    async def on_start(self) -> None:
        """Start, and look for garbage in cycles less often.

        A batch makes hundreds of thousands of objects and no cycles; by default Python would look
        through them again and again (measured: a third to a half of the time of the steps).
        """
        gc.freeze()
        gc.set_threshold(100_000, 20, 100)
        if self.status is not None:
            await self.add_runtime_dependency(self.status)
        if self.health is not None:
            self.add_future(self.health.run())
        await super().on_start()

    async def stop(self) -> None:
        """Finish the present batch and stop; leave after ``STOP_SECONDS`` whoever does not answer.

        Faust stops its producer before the loop that stores, and waits with aiokafka for a broker
        through several requests in turn. Nothing depends on either: what was not committed is read
        again, as after a kill.
        """
        leave_after(STOP_SECONDS, lambda: int(self.crashed))
        if self.pulse is not None and self.pulse.consumer is not None and not self.crashed:
            await self.pulse.consumer.hold()
        await super().stop()


def create(
    settings: Settings,
    catalog: LoadedCatalog,
    keyring: Keyring,
    sink: Sink,
    ledger: Ledger,
    journeys: Journeys,
    ids: Mapping[str, UUID],
    ping: Callable[[], bool],
    taken: socket.socket | None = None,
) -> Worker:
    """Wire the worker.

    Args:
        settings: With a Kafka address filled in.
        catalog: The catalog to classify by.
        keyring: Hashes identifiers.
        sink: On a database that has the schema.
        ledger: On the same.
        journeys: On the same, with a client of its own.
        ids: Id of every input topic, from ``topics.ensure``.
        ping: Asks ClickHouse whether it is there.
        taken: A socket to answer monitoring on, from ``status_server.listening``.
    """
    app = Worker(settings.kafka_group, **options(settings))
    rules = Rules(catalog)
    detection = Detection(settings, rules, ledger, sink, ids)
    steps = Steps(
        catalog,
        rules.matcher,
        keyring,
        ids,
        settings.max_record_bytes,
        settings.clock_tolerance,
    )
    metrics = WorkerMetrics(catalog.version, ALARMS, [reason.value for reason in Reason])
    pulse = Pulse(metrics)
    refresher = Refresher(journeys, settings.journeys_every, pulse)
    watch = topics.Watch(settings, ids)
    loop = Loop(app, settings, steps, sink, detection, refresher, watch, pulse)
    idle_watch = topics.Watch(settings, ids)
    intake = Intake(settings)
    health = WorkerHealth(settings, metrics, pulse, intake, detection, refresher, ping)
    app.health, app.pulse = health, pulse
    if taken is not None:
        app.status = StatusServer(settings, taken, health.exposition, health.alive, health.ready)
    channel = app.topic(*sorted(ids), schema=ChunkSchema())

    @app.agent(channel, name="interactions")
    async def interactions(chunks: Any) -> None:
        async for chunk in chunks:
            pulse.took(chunk)
            await intake.put(chunk)

    async def store() -> None:
        await alive()
        await until_stopped(loop.run(intake))

    async def refresh() -> None:
        await until_stopped(refresher.run())

    async def until_stopped(work: Awaitable[None]) -> None:
        try:
            await work
        except TouchlineError as error:
            if app.should_stop:  # its producer has stopped already
                log.warning("stopped, nothing of the present batch is acknowledged: %s", error)
                return
            pulse.ended = str(error)
            log.critical("stopping, nothing of the present batch is acknowledged: %s", error)
            await app.crash(error)
        except Exception as error:
            pulse.ended = type(error).__name__
            log.exception("stopping, nothing of the present batch is acknowledged")
            await app.crash(error)

    async def alive() -> None:
        try:
            # nothing may come from a topic that is gone
            await in_thread(idle_watch.check)
            health.kafka(None, await in_thread(lambda: idle_watch.ends(health.assigned())))
        except RetryableError as error:
            health.kafka(error)
            log.warning("%s", error)
        except FatalError as error:
            pulse.ended = str(error)
            log.critical("stopping: %s", error)
            await app.crash(error)
        else:
            alive_file(settings).touch()

    app.task(store)
    app.task(refresh)
    app.timer(ALIVE_SECONDS)(alive)
    return app


def options(settings: Settings) -> dict[str, Any]:
    """Return what Faust is told: nothing of its own storing, web server or acknowledging.

    Args:
        settings: With a Kafka address filled in.
    """
    told: dict[str, Any] = {
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
        "broker_commit_livelock_soft_timeout": settings.max_poll_interval,
        "producer_acks": -1,
        # by default 16 kB, a dozen moments: a batch's moments then took dozens of requests in turn
        "producer_max_batch_size": PRODUCER_BATCH_BYTES,
        "producer_max_request_size": 67_108_864,
        "producer_request_timeout": PRODUCER_SECONDS,
        "store": "memory://",
        "stream_buffer_maxsize": 4,
        "stream_processing_timeout": settings.max_poll_interval,
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
        told["broker_credentials"] = SASLCredentials(
            username=credentials[0],
            password=credentials[1],
            ssl_context=context,
            mechanism=settings.kafka_sasl_mechanism,
        )
    elif context is not None:
        told["broker_credentials"] = context
    return told
