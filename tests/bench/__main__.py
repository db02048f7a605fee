"""``make bench``: what the record-batch transport gains over a stock Faust agent.

Same broker, same records, same decode, in turn; each consumer is a process of its own that times
itself from its first record to its last. Quote the ratio: absolute speeds depend on the machine.
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

KINDS = {
    "stock": "stock Faust agent, decode",
    "chunks": "record-batch transport, decode",
    "steps": "record-batch transport, decode + identify + classify + rows",
}
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
    parser.add_argument("--runs", type=int, default=3, help="runs of each consumer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="touchline-bench-") as folder:
        broker = Broker.start(Path(folder) / "broker.log")
        try:
            settings = Settings(kafka=broker.address, home=Path(folder))
            console.print(f"producing {options.records:,} records")
            fill(settings, options.records)
            speeds: dict[str, list[float]] = {kind: [] for kind in KINDS}
            for run in range(options.runs):
                for kind in KINDS:
                    speeds[kind].append(consume(kind, broker, options.records, folder))
                    console.print(f"run {run + 1}: {kind} {speeds[kind][-1]:,.0f} records/s")
        finally:
            broker.stop()
    table = Table("consumer", title=f"{options.records:,} records, {options.runs} runs in turn")
    for column in ("min", "median", "max", "ratio to stock"):
        table.add_column(column, justify="right")
    for kind, found in speeds.items():
        ratio = median(speed / base for speed, base in zip(found, speeds["stock"], strict=True))
        figures = (f"{value:,.0f}" for value in (min(found), median(found), max(found)))
        table.add_row(KINDS[kind], *figures, f"{ratio:.1f}")
    console.print(table)


if __name__ == "__main__":
    main()
