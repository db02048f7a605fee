"""The whole line with something breakable between all of its parts.

    worker ──TCP──► HTTP ──► engine        worker ──TCP──► broker

Workers are processes of the real program, configured by settings alone. The test itself asks the
engine directly, and the broker through its proxy, because a broker tells every client one address.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from pydantic import SecretStr

from jobs.drain import EVERY, WorkerProcess, start_worker
from pipeline import catalog, topics
from pipeline.settings import Settings
from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrate import migrate
from tests.faults.brokers import Proxied, proxied_broker
from tests.faults.engines import Engine
from tests.faults.http_proxy import HttpProxy
from tests.faults.invariant import Verdict, verdict
from tests.faults.proxy import HOST, TcpProxy
from tests.faults.results import Result, noted
from tests.line import Line
from tests.waiting import until

#: Seconds to wait for what takes one or two: the machine may be busy.
PATIENCE = 120.0
STORED = "SELECT count() FROM interaction_records"


@dataclass
class Trial:
    """One run with faults.

    Attributes:
        line: Producing, checking and counting.
        broker: The broker.
        kafka: Between every client and the broker.
        wire: Before ``clickhouse``: workers connect to it.
        clickhouse: Between the workers and the engine.
        engine: The engine.
        result: Its line in the table.
    """

    line: Line
    broker: Proxied
    kafka: TcpProxy
    wire: TcpProxy
    clickhouse: HttpProxy
    engine: Engine
    result: Result
    directory: Path
    faults: int = 0
    workers: list[WorkerProcess] = field(default_factory=list)

    def worker(self, **changes: Any) -> WorkerProcess:
        """Start a worker process that reaches everything through the proxies."""
        worker = self._start("worker", len(self.workers), changes)
        self.workers.append(worker)
        return worker

    def alerter(self, **changes: Any) -> WorkerProcess:
        """Start an alerter process that reaches everything through the proxies."""
        return self._start("alerter", 0, changes)

    def _start(self, command: str, number: int, changes: dict[str, Any]) -> WorkerProcess:
        home = self.directory / f"{command}-{number}"
        home.mkdir()
        address = f"clickhouse://touchline@{HOST}:{self.wire.port}/{self.line.settings.database}"
        settings = self.line.settings.model_copy(
            update={"home": home, "clickhouse": address, **changes}
        )
        process = start_worker(settings, command)
        self.line.workers.append(process)
        return process

    def stored(self) -> int:
        """Return the number of stored records, copies included."""
        return int(self.line.count(STORED))

    def committed(self) -> int:
        """Return the sum of the committed offsets."""
        return sum(topics.committed(self.line.settings).values())

    def until_stored(self, more_than: int, worker: WorkerProcess) -> int:
        """Wait until more records than these are stored; return how many are."""
        until(lambda: self.stored() > more_than or worker.check(), PATIENCE, "anything stored")
        return self.stored()

    def until_said(self, text: str, worker: WorkerProcess) -> None:
        """Wait until a worker's log holds a text."""
        until(lambda: text in log_of(worker) or worker.check(), PATIENCE, f"'{text}' in its log")

    def until_ready(self, worker: WorkerProcess) -> None:
        """Wait until a worker has its partitions: it has touched its file, and asked for work."""
        home = self.directory / f"worker-{self.workers.index(worker)}"
        until(
            lambda: (home / "worker.alive").exists() or worker.check(), PATIENCE, "a ready worker"
        )

    def until_stuck(self, worker: WorkerProcess) -> None:
        """Wait until nothing was stored for a while, because nothing can be."""
        stored, since = self.stored(), monotonic()
        while monotonic() - since < 2.0:
            worker.check()
            sleep(0.2)
            if (now := self.stored()) != stored:
                stored, since = now, monotonic()

    def reconnect(self) -> None:
        """Ask the engine anew, after it was started again."""
        self.line.client.close()
        self.line.settings = _reached(self.line.settings, self.engine)
        self.line.client = connect(self.line.settings)

    def finish(self, worker: WorkerProcess | None = None) -> Verdict:
        """Wait until everything is stored, count, note, and fail where anything is wrong."""
        self.line.drain(worker or self.worker())
        found = verdict(self.line)
        self.result.faults = self.faults + self.kafka.faults + self.wire.faults
        self.result.faults += self.clickhouse.faults
        self.result.records = found.produced
        self.result.lost = found.lost
        self.result.duplicated, self.result.wrong = found.duplicated, found.wrong
        assert not found.found, "\n".join(found.found)
        return found


def log_of(worker: WorkerProcess) -> str:
    """Return what a worker wrote so far."""
    return worker.log_file.read_text(encoding="utf-8", errors="replace")


@contextmanager
def trial(
    directory: Path, row: int, fault: str, outcome: str, home: Path | None = None, **settings: Any
) -> Iterator[Trial]:
    """Run the parts for the duration of a block, and note what came of it.

    Args:
        directory: For everything that is written.
        row: Row of the fault matrix.
        fault: What is done, for the table.
        outcome: What is expected to come of it, for the table.
        home: Directory of the engine where it is not to be below ``directory``.
        settings: Of everything.
    """
    assert not [name for name in os.environ if name.startswith("TOUCHLINE_")]
    with ExitStack() as parts:
        result = parts.enter_context(noted(row, fault, outcome))
        broker = parts.enter_context(proxied_broker(directory))
        kafka, result.broker = broker.proxy, broker.name
        engine = Engine(home or directory / "home")
        parts.callback(lambda: engine.stack.stop())
        clickhouse = parts.enter_context(HttpProxy(engine.address))
        wire = parts.enter_context(TcpProxy(clickhouse.port))
        chosen: dict[str, Any] = {
            **{"home": directory / "home", "kafka": f"{HOST}:{kafka.port}", "partitions": 4},
            **{"session_timeout": 6.0, "idle": 1.0, "journeys_every": EVERY},
            **{"pepper": engine.stack.endpoints.pepper, **settings},
        }
        ready = _reached(Settings(**chosen), engine)
        loaded = catalog.load(ready.catalog)
        client = connect(ready)
        migrate(client, ready)
        publish(client, loaded.catalog, loaded.version)
        ids = topics.ensure(ready, loaded.catalog)
        pid = engine.stack.endpoints.pid
        line = Line(ready, loaded, client, ids, stack_pid=pid, broker=None)
        parts.callback(lambda: line.client.close())
        parts.callback(lambda: _end(line.workers))
        yield Trial(line, broker, kafka, wire, clickhouse, engine, result, directory)


def _end(workers: list[WorkerProcess]) -> None:
    """Kill what still runs: the line has been counted by now, and something may be frozen."""
    for worker in workers:
        worker.process.kill()
        worker.process.wait()


def _reached(settings: Settings, engine: Engine) -> Settings:
    """Return settings with the engine's own address and its present password."""
    port, password = engine.address()
    update = {
        "clickhouse": f"clickhouse://touchline@{HOST}:{port}/{settings.database}",
        "clickhouse_password": SecretStr(password),
    }
    return settings.model_copy(update=update)
