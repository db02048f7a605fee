"""``touchline up``: the embedded stack, until Ctrl-C."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.console import err, out
from jobs.drain import WorkerProcess, working
from pipeline import catalog, topics
from pipeline.embedded.stack import Stack, endpoints
from pipeline.errors import FatalError
from pipeline.settings import Settings, load
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrate import migrate

_CHECK_SECONDS = 0.5


def up(
    with_worker: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Run a worker as well.")
    ] = True,
    catalog_file: Annotated[
        Path | None, typer.Option("--catalog", help="Catalog TOML; the default one when not given.")
    ] = None,
    kafka_port: Annotated[
        int,
        typer.Option(
            min=0, max=65_535, help="Port of the broker on 127.0.0.1; 0 takes a free one."
        ),
    ] = 0,
) -> None:
    """Keep an embedded Kafka broker, ClickHouse engine and worker running until Ctrl-C.

    The broker keeps its records in memory: what no worker has stored by then ends with it. What
    is stored stays in ./.touchline for the next start and for `touchline query`.
    """
    settings = load(catalog=catalog_file)
    if not (settings.embedded_kafka and settings.embedded_clickhouse):
        raise FatalError(
            "`touchline up` runs the embedded stack, and TOUCHLINE_KAFKA or TOUCHLINE_CLICKHOUSE "
            "names a real one (fix: unset them, or run `touchline worker`)"
        )
    stopping = threading.Event()

    def stop(*_: Any) -> None:
        stopping.set()

    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, stop)
    with ExitStack() as parts:
        stack = parts.enter_context(Stack.start(settings, lasting=True, kafka_port=kafka_port))
        connected = parts.enter_context(endpoints(settings, kafka=True, clickhouse=True))
        migrate(connect(connected.settings), connected.settings)
        topics.ensure(connected.settings, catalog.load(settings.catalog).catalog)
        worker = parts.enter_context(working(connected.settings)) if with_worker else None
        _say(connected.settings, worker)
        while not stopping.wait(_CHECK_SECONDS):
            if not stack.alive:
                raise FatalError(f"the embedded stack ended; its logs are in {settings.home}")
            if worker is not None:
                worker.check()
        err.print("stopping")


def _say(settings: Settings, worker: WorkerProcess | None) -> None:
    out.print(f"Kafka       {settings.kafka}", markup=False)
    out.print(f"ClickHouse  embedded, in {settings.home / 'clickhouse'}", markup=False)
    if worker is not None:
        out.print(f"worker      process {worker.process.pid}, log {worker.log_file}", markup=False)
    else:
        out.print("worker      none: run `touchline worker` in another terminal", markup=False)
    out.print("\nIn another terminal, in this directory:", markup=False)
    out.print("  touchline produce web events.ndjson", markup=False)
    out.print("  touchline query top_paths", markup=False)
    out.print("  touchline alerter           # tells here what hurts", markup=False)
    out.print("\nCtrl-C stops.", markup=False)
