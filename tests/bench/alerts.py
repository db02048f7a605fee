"""How soon a pain is told, and what telling costs the worker.

Seconds from an event's arrival in Kafka to the webhook that tells of its pain, at a steady rate of
events of which one in a hundred is a pain; and the speed of a worker beside an alerter whose
endpoint hangs, with moments grouped by rule and owner and with an alert for each, against one
without an alerter, in turn, on the same records.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from statistics import median, quantiles
from time import monotonic, sleep, time
from typing import Any

import orjson
from kafka import KafkaProducer
from rich.console import Console
from rich.table import Table

from jobs.drain import start_worker
from pipeline import catalog, topics
from pipeline.embedded.stack import Stack, endpoints
from pipeline.identify import partition_key
from pipeline.settings import Settings
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrate import migrate
from tests.alert_line import with_routes
from tests.bench.detection import load, until
from tests.webhook_receiver import Receiver, receiving

#: Events of the latency run a second, seconds it lasts after one to warm up, one pain in so many.
RATE, SECONDS, WARM, ONE_IN = 5_000, 30, 10, 100
#: Seconds between two sends of the producer.
_TICK = 0.05
_EACH = """
[[routes]]
id = "each"
to = "desk"
group_by = "moment"
"""
_GROUPED = """
[[routes]]
id = "grouped"
to = "desk"
"""
#: Whom the worker's speed is measured beside, with the routes.
_BESIDE = {
    "no alerter": None,
    "an alerter, grouped": _GROUPED,
    "an alerter, each moment": _EACH,
}
_ARRIVED = """
SELECT moment_id, toUnixTimestamp64Milli(kafka_at) / 1e3
FROM moment_records AS found
INNER JOIN interaction_records AS caused ON caused.event_id = found.cause
"""


def alerts(console: Console, home: Path, records: int, runs: int) -> None:
    """Run the benchmark and print its tables."""
    with ExitStack() as stack:
        desk, hanging = Receiver(), Receiver(hangs=True)
        for receiver in (desk, hanging):
            stack.enter_context(receiving(receiver))
        chosen = Settings(home=home / "alerts", partitions=4, session_timeout=6)
        stack.enter_context(Stack.start(chosen, lasting=True))
        connected = stack.enter_context(endpoints(chosen, kafka=True, clickhouse=True))
        base = connected.settings
        for batch_seconds in (1.0, 0.05):
            line = _line(base, home, f"soon_{batch_seconds * 100:.0f}", desk, _EACH)
            console.print(f"{RATE:,} events/s for {SECONDS} s, batches of {batch_seconds:g} s")
            _latency(console, line.model_copy(update={"batch_seconds": batch_seconds}), desk)
        _cost(console, base, home, hanging, records, runs)


def _line(base: Settings, home: Path, name: str, receiver: Receiver, routes: str) -> Settings:
    """Return settings of topics and tables that no other run has, and make them."""
    catalog_file = with_routes(home / name, {"desk": receiver}, routes)
    settings = base.model_copy(
        update={
            "database": f"bench_{name}",
            "clickhouse": f"{str(base.clickhouse).rsplit('/', 1)[0]}/bench_{name}",
            "kafka_group": f"bench-{name}",
            "topic_prefix": f"{name}.",
            "catalog": catalog_file,
            "home": home / name,
        }
    )
    client = connect(settings)
    migrate(client, settings)
    client.close()
    topics.ensure(settings, catalog.load(catalog_file).catalog)
    return settings


@contextmanager
def _running(settings: Settings, *commands: str) -> Iterator[list[Any]]:
    processes = [start_worker(settings, command) for command in commands]
    try:
        yield processes
    finally:
        for process in processes:
            process.stop()


def _latency(console: Console, settings: Settings, desk: Receiver) -> None:
    already = len(desk.told)
    with _running(settings, "worker", "alerter"):
        _pace(settings, RATE // 10, 12)  # both have joined their groups, and are warm
        _pace(settings, RATE, WARM)
        since = time()
        pains = _pace(settings, RATE, SECONDS)
        client = connect(settings)
        deadline = monotonic() + 60
        while len(desk.told) - already < pains and monotonic() < deadline:
            sleep(0.5)
        sleep(2.0)
        arrived = {str(row[0]): row[1] for row in client.query(_ARRIVED).result_rows}
        client.close()
    waits = []
    for at, event in desk.told[already:]:
        for moment in event["data"]["moment_ids"]:
            if arrived.get(moment, 0) >= since:
                waits.append(at - arrived[moment])
    cuts = quantiles(waits, n=100)
    console.print(
        f"  {len(waits):,} of {pains:,} pains told; seconds from Kafka to the webhook: median "
        f"{median(waits):.2f}, p90 {cuts[89]:.2f}, p99 {cuts[98]:.2f}, longest {max(waits):.2f}"
    )


def _pace(settings: Settings, rate: int, seconds: int) -> int:
    """Send events at a rate; return the number of pains among them."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka, linger_ms=5, batch_size=131_072)
    topic, began, sent, pains = topics.interactions(settings, "web"), monotonic(), 0, 0
    mark = f"{time():.0f}"
    while (passed := monotonic() - began) < seconds:
        while sent < passed * rate:
            hurts = sent % ONE_IN == 0
            producer.send(topic, **_event(mark, sent, hurts))
            sent, pains = sent + 1, pains + hurts
        sleep(_TICK)
    producer.flush()
    producer.close()
    return pains


def _event(mark: str, number: int, hurts: bool) -> dict[str, bytes]:
    identifiers = {"customer_id": f"{mark}-{number if hurts else number % 50_000}"}
    event: dict[str, Any] = {
        "event_id": f"{mark}-{number}",
        "schema_version": "1.0",
        "channel": "web",
        "action": "page_view",
        "occurred_at": datetime.now(timezone.utc).isoformat(),
        "identifiers": identifiers,
        "details": {"page_type": "product"},
    }
    if hurts:
        event["action"], event["rating"] = "survey_answered", {"scale": "nps", "score": 2}
        event["details"] = {}
    return {"key": partition_key(identifiers), "value": orjson.dumps(event)}


def _cost(
    console: Console, base: Settings, home: Path, hanging: Receiver, records: int, runs: int
) -> None:
    """Compare a worker with and without an alerter beside it."""
    found: dict[str, list[float]] = {kind: [] for kind in _BESIDE}
    for run in range(runs):
        for number, (kind, routes) in enumerate(_BESIDE.items()):
            settings = _line(base, home, f"beside_{number}_{run}", hanging, routes or _EACH)
            load(settings, records)
            commands = ("alerter", "worker") if routes else ("worker",)
            with _running(settings, *commands) as processes:
                began = until(settings, processes[-1], lambda done: done > 0)
                ended = until(settings, processes[-1], lambda done: done >= records)
            found[kind].append(records / (ended - began))
            console.print(f"beside {kind}, run {run + 1}: {found[kind][-1]:,.0f} records/s")
    table = Table("beside", title=f"{records:,} records, {runs} runs in turn, a hanging endpoint")
    table.add_column("records/s (median)", justify="right")
    table.add_column("ratio (median)", justify="right")
    alone = found["no alerter"]
    for kind, speeds in found.items():
        ratio = median(one / other for one, other in zip(speeds, alone, strict=True))
        table.add_row(kind, f"{median(speeds):,.0f}", f"{ratio:.2f}")
    console.print(table)
