"""``make bench``: what transport and tables of journeys gain, and what detection costs.

The transport against a stock Faust agent: same broker, same records, same decode, in turn; each
consumer is a process of its own that times itself from its first record to its last. The line with
detection against the line without: ``tests.bench.detection``. How soon pains are told and what that
costs: ``tests.bench.alerts``. The tables of journeys against SQL
over the interactions: ``tests.bench.warehouse``. Quote the ratios: absolute speeds depend on the
machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path
from statistics import median

import orjson
from kafka import KafkaProducer
from rich.console import Console
from rich.table import Table

from pipeline import catalog, topics
from pipeline.embedded.broker import Broker
from pipeline.settings import Settings
from pipeline.simulator import Plan, simulate
from tests.bench.alerts import alerts
from tests.bench.detection import detection
from tests.bench.warehouse import warehouse

KINDS = {
    "stock": "stock Faust agent, decode",
    "chunks": "record-batch transport, decode",
    "steps": "record-batch transport, decode + identify + classify + rows",
}
PARTS = ("transport", "warehouse", "detection", "alerts")
console = Console(highlight=False)


def fill(settings: Settings, records: int) -> None:
    """Produce valid simulated interactions to every channel's topic."""
    topics.ensure(settings, catalog.load().catalog)
    plan = Plan(customers=max(records // 10, 50), days=60, seed=1, malformed=0)
    producer = KafkaProducer(bootstrap_servers=settings.kafka, linger_ms=50, batch_size=262_144)
    for produced in islice(simulate(plan), records):
        event = orjson.loads(produced.value)
        producer.send(
            topics.interactions(settings, event["channel"]),
            key=str(event["identifiers"]).encode(),
            value=produced.value,
        )
    producer.flush()
    producer.close()


def consume(kind: str, broker: Broker, records: int, home: str) -> float:
    """Run one consumer and return its records per second."""
    consumer = [sys.executable, "-m", "tests.bench.consumers"]
    command = [*consumer, kind, broker.address, str(records), home]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise SystemExit(f"{kind} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    report = json.loads(done.stdout.splitlines()[-1])
    return float(report["records"] / report["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000, help="records in the topics")
    parser.add_argument("--runs", type=int, default=3, help="runs of each")
    parser.add_argument("--only", choices=PARTS, help="one of them")
    parser.add_argument("--waiting", type=int, default=200_000, help="customers with open cases")
    parser.add_argument(
        "--interactions", type=int, default=1_000_000, help="interactions in the warehouse"
    )
    options = parser.parse_args()
    if options.only in (None, "transport"):
        transport(options.records, options.runs)
    if options.only in (None, "warehouse"):
        with tempfile.TemporaryDirectory(prefix="touchline-bench-") as folder:
            warehouse(console, Path(folder), options.interactions, options.runs)
    if options.only in (None, "detection"):
        with tempfile.TemporaryDirectory(prefix="touchline-bench-") as folder:
            detection(console, Path(folder), options.waiting, options.records, options.runs)
    if options.only in (None, "alerts"):
        with tempfile.TemporaryDirectory(prefix="touchline-bench-") as folder:
            alerts(console, Path(folder), options.records, options.runs)


def transport(records: int, runs: int) -> None:
    """Compare the consumers and print their table."""
    with tempfile.TemporaryDirectory(prefix="touchline-bench-") as folder:
        broker = Broker.start(Path(folder) / "broker.log")
        try:
            settings = Settings(kafka=broker.address, home=Path(folder))
            console.print(f"producing {records:,} records")
            fill(settings, records)
            speeds: dict[str, list[float]] = {kind: [] for kind in KINDS}
            for run in range(runs):
                for kind in KINDS:
                    speeds[kind].append(consume(kind, broker, records, folder))
                    console.print(f"run {run + 1}: {kind} {speeds[kind][-1]:,.0f} records/s")
        finally:
            broker.stop()
    table = Table("consumer", title=f"{records:,} records, {runs} runs in turn")
    for column in ("min", "median", "max", "ratio to stock"):
        table.add_column(column, justify="right")
    for kind, found in speeds.items():
        ratio = median(speed / base for speed, base in zip(found, speeds["stock"], strict=True))
        figures = (f"{value:,.0f}" for value in (min(found), median(found), max(found)))
        table.add_row(KINDS[kind], *figures, f"{ratio:.1f}")
    console.print(table)


if __name__ == "__main__":
    main()
