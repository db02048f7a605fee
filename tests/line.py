"""The whole line on engine and broker, for tests that break or measure it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import psutil
from clickhouse_connect.driver.client import Client

from jobs.drain import (
    EVERY,
    WorkerProcess,
    start_worker,
    wait_until_refreshed,
    wait_until_stored,
)
from pipeline import catalog, topics
from pipeline.embedded.stack import Stack, endpoints
from pipeline.producers import Producer
from pipeline.settings import Settings
from pipeline.simulator import Plan, Truth, simulate
from pipeline.warehouse.accounting import Account, account
from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrate import migrate
from pipeline.warehouse.refresh import Journeys
from tests.kafka import choice
from tests.kafka.server import Apache


@dataclass
class Line:
    """A running stack with topics and schema, and what was sent through it."""

    settings: Settings
    loaded: catalog.LoadedCatalog
    client: Client
    ids: dict[str, UUID]
    stack_pid: int
    broker: psutil.Process | None
    events: list[dict[str, Any]] = field(default_factory=list)
    truth: dict[str, Truth] = field(default_factory=dict)
    values: list[tuple[str, bytes]] = field(default_factory=list)
    workers: list[WorkerProcess] = field(default_factory=list)
    _valid: set[bytes] = field(default_factory=set)

    def produce(self, plan: Plan) -> None:
        """Send a simulation, malformed records and all, and keep its truth."""
        with Producer(self.settings, self.loaded.channels) as producer:
            for produced in simulate(plan):
                truth = produced.truth
                self.values.append((truth.channel, produced.value))
                if truth.valid:
                    self._valid.add(produced.value)
                    producer.send_raw(produced.value)
                    self.events.append(orjson.loads(produced.value))
                    self.truth.setdefault(str(truth.event_id), truth)
                else:
                    producer.send_unchecked(truth.channel, produced.value)

    def replay(self) -> None:
        """Send everything once more."""
        with Producer(self.settings, self.loaded.channels) as producer:
            for channel, value in self.values:
                producer.send_unchecked(channel, value)

    def valid(self) -> list[tuple[str, bytes]]:
        """Return channel and value of every valid record sent, duplicates and all."""
        return [(channel, value) for channel, value in self.values if value in self._valid]

    def worker(self, **changes: Any) -> WorkerProcess:
        """Start a worker process."""
        worker = start_worker(self.settings.model_copy(update=changes))
        self.workers.append(worker)
        return worker

    def ends(self) -> dict[topics.TopicPartition, int]:
        """Return the ends of the input topics."""
        return topics.ends(self.settings, sorted(self.ids))

    def drain(self, worker: WorkerProcess | None = None) -> None:
        """Wait until everything produced is stored and in the journeys."""
        wait_until_stored(self.settings, self.ends(), lambda left: None, worker)
        wait_until_refreshed(self.client, worker)

    def account(self) -> Account:
        """Add up what became of everything produced."""
        return account(self.client, self.ids, {}, self.ends())

    def derived(self) -> list[list[Any]]:
        """Return all steps and journeys, in order, once nothing is left to refresh."""
        wait_until_refreshed(self.client)
        everything = "SELECT * EXCEPT refreshed_at FROM {view:Identifier} ORDER BY ALL"
        return [
            list(self.client.query(everything, parameters={"view": view}).result_rows)
            for view in ("steps", "journeys")
        ]

    def check_rebuilt(self) -> None:
        """Compare steps and journeys with what computing them anew from the records gives."""
        kept = self.derived()
        assert kept[0]
        Journeys(self.client).rebuild(None, lambda customers: None)
        assert self.derived() == kept

    def count(self, sql: str, **parameters: Any) -> Any:
        """Return the only value of a query."""
        return self.client.query(sql, parameters=parameters).result_rows[0][0]


@contextmanager
def running_line(home: Path, *, own_broker: bool = False, **settings: Any) -> Iterator[Line]:
    """Run a stack, and stop it and every worker whatever happens.

    Args:
        home: Of the stack, in a directory of the test's own.
        own_broker: Whether the test does something to ``Line.broker``, which only then is its own.
        settings: Of the line.
    """
    assert not [name for name in os.environ if name.startswith("TOUCHLINE_")]
    with ExitStack() as parts:
        reached, broker = choice.reach(home.parent), None
        if own_broker and reached:
            apache = Apache.start(home.parent / "kafka")
            parts.callback(apache.stop)
            reached["kafka"], broker = apache.address, psutil.Process(apache.process.pid)
        chosen = Settings(home=home, **{"journeys_every": EVERY, **reached, **settings})
        loaded = catalog.load(chosen.catalog)
        stack = parts.enter_context(Stack.start(chosen, broker=not reached, lasting=True))
        connected = parts.enter_context(endpoints(chosen, kafka=True, clickhouse=True))
        if not reached:
            broker = embedded_broker(stack.endpoints.pid)
        ready = connected.settings
        client = connect(ready)
        migrate(client, ready)
        publish(client, loaded.catalog, loaded.version)
        ids = topics.ensure(ready, loaded.catalog)
        line = Line(ready, loaded, client, ids, stack.endpoints.pid, broker)
        try:
            yield line
        finally:
            for worker in line.workers:
                worker.stop()
            client.close()


def embedded_broker(stack_pid: int) -> psutil.Process:
    """Return the process of the broker that a stack runs."""
    children = psutil.Process(stack_pid).children()
    (broker,) = (child for child in children if child.name().startswith("tansu"))
    return broker
