"""The Faust application of the alerter: one agent over the topic of moments, wired to its rounds.

A process of its own, so that no endpoint can slow the worker. Several may run: one has all
partitions, because moments of different customers are gathered into one alert; the others stand by
and take over when it is gone.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from typing import Any

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)

from pipeline import topics
from pipeline.alerts.answers import Sender
from pipeline.alerts.clock import SystemClock
from pipeline.alerts.destinations.opening import open_sender
from pipeline.alerts.health import ALARMS, AlertHealth
from pipeline.alerts.journal import Journal
from pipeline.alerts.rounds import Rounds
from pipeline.alerts.safe_http import SafeHttp
from pipeline.catalog import LoadedCatalog
from pipeline.chunks import ChunkSchema, ConsumerThread
from pipeline.errors import TouchlineError
from pipeline.intake import Intake
from pipeline.metrics import AlertMetrics
from pipeline.settings import Settings
from pipeline.status_server import StatusServer
from pipeline.transport import Consumer, Transport
from pipeline.worker import Worker, options

log = logging.getLogger(__name__)

#: Seconds that moments wait for others to come, so that a burst is one round.
_GATHER_SECONDS = 0.02
#: How often the loop shows that it turns, seconds.
_ALIVE_SECONDS = 0.5


class OneOfUs(RangePartitionAssignor):  # type: ignore[misc]  # aiokafka's types are not ours
    """Gives all partitions to one member of the group; the others stand by."""

    name = "touchline-one"

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Assign everything to the first member by id; the members differ in nothing else."""
        chosen = min(members)
        given = super().assign(cluster, {chosen: members[chosen]})
        nothing = ConsumerProtocolMemberAssignment(cls.version, [], b"")
        return {member: given.get(member, nothing) for member in members}


class AlertThread(ConsumerThread):
    """A consumer of a group in which one member has everything."""

    assignor = OneOfUs


class AlertConsumer(Consumer):
    """Faust's consumer on that thread."""

    thread = AlertThread


class AlertTransport(Transport):
    """Faust's transport with that consumer."""

    Consumer = AlertConsumer


class Alerter(Worker):
    """The worker's application on that transport."""

    transport_class = AlertTransport


def create(
    settings: Settings,
    catalog: LoadedCatalog,
    journal: Journal,
    taken: socket.socket | None = None,
) -> Alerter:
    """Wire the alerter.

    Args:
        settings: With a Kafka address filled in.
        catalog: With routes and destinations.
        journal: On a database that has the schema.
        taken: A socket to answer monitoring on, from ``status_server.listening``.

    Raises:
        SettingsError: A secret of a destination is missing.
    """
    told = options(settings)
    told["datadir"] = settings.home / "faust-alerter"
    app = Alerter(topics.alerter_group(settings), **told)
    http = SafeHttp()
    senders: dict[str, Sender] = {
        item.id: open_sender(item, http) for item in catalog.catalog.destinations
    }
    clock, metrics = SystemClock(), AlertMetrics(catalog.version, ALARMS, senders)
    timeout = settings.session_timeout
    rounds = Rounds(app, catalog.catalog, journal, senders, metrics, clock, timeout)
    health = AlertHealth(rounds, metrics, clock)
    if taken is not None:
        app.status = StatusServer(settings, taken, health.exposition, health.alive, health.ready)
    intake = Intake(settings.model_copy(update={"batch_seconds": _GATHER_SECONDS}))
    channel = app.topic(topics.moments(settings), schema=ChunkSchema())

    @app.agent(channel, name="moments")
    async def moments(chunks: Any) -> None:
        async for chunk in chunks:
            await intake.put(chunk)

    async def tell() -> None:
        try:
            await rounds.run(intake)
        except TouchlineError as error:
            log.critical("stopping: %s", error)
            await app.crash(error)
        except Exception as error:
            log.exception("stopping")
            await app.crash(error)
        finally:
            for sender in senders.values():
                await sender.close()
            await http.close()

    async def alive() -> None:
        rounds.alive()

    app.task(tell)
    app.timer(_ALIVE_SECONDS)(alive)
    return app
