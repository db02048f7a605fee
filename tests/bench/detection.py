"""What detection adds to the cost of the line, with many customers holding open cases.

The same records through the same program in turn: a worker with a catalog without rules, and one
with the default catalog. Before, each of many customers was promised an answer that is not due yet,
and so holds an open case. Measured is the time in which a worker, started again on what is stored,
takes the load; its start and its memory are told, too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import NamedTuple

import orjson
from kafka import KafkaProducer
from rich.console import Console
from rich.table import Table

from jobs.drain import WorkerProcess, start_worker
from pipeline import catalog, topics
from pipeline.embedded.stack import Stack, endpoints
from pipeline.identify import partition_key
from pipeline.settings import Settings
from pipeline.simulator import Plan, simulate
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrate import migrate

_POLL_SECONDS = 0.02
_LONGEST = 600.0
#: Records that are stored and looked at: offsets begin at 0 and have no gaps here.
DONE = "SELECT sum(next_offset) FROM detection_progress FINAL"
HELD = "SELECT count() FROM promises WHERE status = 'pending'"


class Run(NamedTuple):
    """One worker's run.

    Attributes:
        speed: Records of the load per second.
        start: Seconds from its start to the first record it stored.
        memory: Its resident memory after the load, MiB.
        held: Promises that were open when it was started.
    """

    speed: float
    start: float
    memory: float
    held: int


def without_rules(home: Path) -> Path:
    """Write the default catalog without anything that finds moments; return its path."""
    text = Path("schemas/catalogs/default.toml").read_text(encoding="utf-8")
    kept, skipping = [], False
    for line in text.splitlines():
        if line.startswith("["):
            name = line.strip("[]").split(".")[0]
            skipping = name in ("promises", "rules", "strikes", "routes")
        if not skipping:
            kept.append(line)
    path = home / "without-rules.toml"
    path.write_text("\n".join(kept), encoding="utf-8")
    return path


def open_cases(settings: Settings, customers: int) -> None:
    """Promise every customer an answer that is not due for long."""
    with_producer(
        settings,
        (
            {
                "event_id": f"open-{number}",
                "schema_version": "1.0",
                "channel": "web",
                "action": "form_submitted",
                "occurred_at": "2026-08-30T10:00:00Z",
                "identifiers": {"customer_id": f"waiting-{number}"},
                "case_ids": {"request_id": f"R-{number}"},
                "promise_due_at": "2031-01-01T00:00:00Z",
                "details": {"form_id": "contact"},
            }
            for number in range(customers)
        ),
    )


def load(settings: Settings, records: int) -> None:
    """Send ordinary simulated interactions."""
    plan = Plan(customers=max(records // 4, 50), days=10, seed=1, malformed=0, duplicates=0)
    stream = (orjson.loads(produced.value) for produced in simulate(plan))
    with_producer(settings, (event for event, _ in zip(stream, range(records), strict=False)))


def with_producer(settings: Settings, events: object) -> None:
    """Send events as fast as it goes, keyed by customer."""
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka, linger_ms=50, batch_size=262_144, acks="all"
    )
    for event in events:  # type: ignore[attr-defined]
        producer.send(
            topics.interactions(settings, event["channel"]),
            key=partition_key(event["identifiers"]),
            value=orjson.dumps(event),
        )
    producer.flush()
    producer.close()


def until(settings: Settings, worker: WorkerProcess, enough: Callable[[int], bool]) -> float:
    """Wait until so many records are done; return the time."""
    client = connect(settings)
    deadline = monotonic() + _LONGEST
    try:
        while not enough(client.query(DONE).result_rows[0][0]):
            worker.check()
            if monotonic() > deadline:
                raise SystemExit(f"not stored within {_LONGEST} s")
            sleep(_POLL_SECONDS)
        return monotonic()
    finally:
        client.close()


def memory(worker: WorkerProcess) -> float:
    """Return a worker's resident memory, MiB."""
    status = Path(f"/proc/{worker.process.pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def measure(settings: Settings, waiting: int, records: int) -> Run:
    """Start a worker on what it stored before, and time the load."""
    client = connect(settings)
    held = int(client.query(HELD).result_rows[0][0])
    client.close()
    started = monotonic()
    worker = start_worker(settings)
    try:
        first = until(settings, worker, lambda done: done > waiting)
        last = until(settings, worker, lambda done: done >= waiting + records)
        sleep(2.0)
        return Run(records / (last - first), first - started, memory(worker), held)
    finally:
        worker.stop()


def detection(console: Console, home: Path, waiting: int, records: int, runs: int) -> None:
    """Run the benchmark and print its table."""
    found: dict[str, list[Run]] = {"without": [], "with": []}
    chosen = Settings(home=home / "detection", partitions=4)
    with (
        Stack.start(chosen, lasting=True),
        endpoints(chosen, kafka=True, clickhouse=True) as connected,
    ):
        base = connected.settings
        topics.ensure(base, catalog.load().catalog)
        plain = without_rules(home)
        lines = {
            f"{kind} {run}": base.model_copy(
                update={
                    "database": f"bench_{kind}_{run}",
                    "clickhouse": f"{str(base.clickhouse).rsplit('/', 1)[0]}/bench_{kind}_{run}",
                    "kafka_group": f"bench-{kind}-{run}",
                    "catalog": plain if kind == "without" else None,
                    "home": home / f"{kind}-{run}",
                }
            )
            for run in range(runs)
            for kind in found
        }
        console.print(f"{waiting:,} customers wait for an answer")
        open_cases(base, waiting)
        for settings in lines.values():
            settings.home.mkdir()
            client = connect(settings)
            migrate(client, settings)
            client.close()
            worker = start_worker(settings)
            try:
                until(settings, worker, lambda done: done >= waiting)
            finally:
                worker.stop()
        console.print(f"producing {records:,} records")
        load(base, records)
        for name, settings in lines.items():
            run = measure(settings, waiting, records)
            found[name.split()[0]].append(run)
            console.print(f"{name}: {run.speed:,.0f} records/s, {run.held:,} open cases")
    table = Table("line", title=f"{records:,} records, {waiting:,} open cases, {runs} runs in turn")
    for column in ("records/s (median)", "start, s", "memory, MiB"):
        table.add_column(column, justify="right")
    for kind, of_kind in found.items():
        figures = (median(getattr(run, name) for run in of_kind) for name in Run._fields[:3])
        table.add_row(f"{kind} detection", *(f"{figure:,.1f}" for figure in figures))
    console.print(table)
    pairs = list(zip(found["without"], found["with"], strict=True))
    cost = median(plain.speed / ruled.speed for plain, ruled in pairs)
    case = median((ruled.memory - plain.memory) * 1_048_576 / waiting for plain, ruled in pairs)
    console.print(f"cost per event with detection: {cost:.2f} of that without")
    console.print(f"memory per open case: {case:,.0f} bytes")
