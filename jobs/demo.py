"""``touchline demo``: the whole pipeline on this machine, on simulated customers, with its sums."""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer
from clickhouse_connect.driver.client import Client
from rich.progress import Progress

from jobs.console import err, out, progress
from jobs.drain import (
    EVERY,
    wait_until_closed,
    wait_until_refreshed,
    wait_until_stored,
    wait_until_told,
    working,
)
from jobs.moments_compared import compare
from jobs.tables import present
from pipeline import catalog, topics
from pipeline.embedded.stack import endpoints
from pipeline.errors import FatalError, SettingsError
from pipeline.identify import Keyring
from pipeline.producers import Producer
from pipeline.settings import Settings, load
from pipeline.simulator import Book, Plan, Produced, simulate, start_for
from pipeline.warehouse.accounting import Account, account
from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrate import migrate
from pipeline.warehouse.queries import run as run_query

#: Named queries that the demo shows, with their row limit.
SHOWN = {"touchpoint_map": 0, "touchpoint_channels": 0, "top_paths": 10, "moments_by_rule": 0}
#: Seconds without events after which the demo's worker lets the wall clock end terms.
IDLE = 1.0

_STORED = """
SELECT event_id, touchpoint, stage FROM interactions WHERE event_id IN {ids:Array(String)}
"""
_TOLD = """
SELECT
    countIf(decision = 'alerted'),
    uniqExactIf(alert_id, decision = 'alerted'),
    countIf(reason = 'closed_before'),
    countIf(decision != 'alerted' AND reason != 'closed_before')
FROM alert_moments
"""
_TRUTH_BATCH = 5_000


@dataclass
class Sent:
    """What the demo produced.

    Attributes:
        by_channel: Records by channel.
        malformed: Malformed ones among them.
        truth: For each valid event what the simulator meant: touchpoint and stage.
    """

    by_channel: Counter[str] = field(default_factory=Counter)
    malformed: int = 0
    truth: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)


class Stopwatch:
    """Seconds that each part took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measure a block."""
        since = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(perf_counter() - since, 2)


def demo(
    customers: Annotated[int, typer.Option(min=1, help="Simulated customers.")] = 300,
    days: Annotated[int, typer.Option(min=1, help="Days they are followed.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other customers.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Simulate customers, send their interactions through Kafka, and show their journeys.

    Starts an embedded Kafka broker and ClickHouse engine (or uses what is configured), produces
    events of all channels with duplicates, late and malformed ones among them, runs a worker until
    everything is stored, adds up what became of each record and compares every touchpoint, stage
    and moment of truth with what the simulator meant. Data stays in ./.touchline for
    `touchline query`.
    """
    settings = load()
    if settings.catalog is not None:
        raise FatalError(
            "the demo simulates the company of the default catalog (fix: unset TOUCHLINE_CATALOG)"
        )
    for sign in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: stop in order
        signal.signal(sign, signal.default_int_handler)
    today = datetime.now(timezone.utc).date()
    plan = Plan(customers=customers, days=days, seed=seed, start=start_for(days, today))
    watch = Stopwatch()
    with watch.part("all"), progress() as bar:
        report, tables = _run(settings, plan, watch, bar)
    report["seconds"] = watch.seconds
    if as_json:
        out.print_json(json.dumps(report))
    else:
        for table in tables:
            present(table, out)
        _print(report)
    moments = report["moments"]
    failed = not report["balanced"] or report["truth"]["differ"]
    failed = failed or moments["missing"] or moments["extra"]
    raise typer.Exit(1 if failed else 0)


def _run(
    settings: Settings, plan: Plan, watch: Stopwatch, bar: Progress
) -> tuple[dict[str, Any], list[Any]]:
    loaded = catalog.load(settings.catalog)
    task = bar.add_task("starting", total=None)
    book = Book(plan.start, plan.days)
    with ExitStack() as parts:
        with watch.part("start"):
            stack = endpoints(settings, kafka=True, clickhouse=True)
            ready = parts.enter_context(stack).settings.model_copy(
                update={"idle": IDLE, "journeys_every": EVERY}
            )
        client = connect(ready)
        migrate(client, ready)
        publish(client, loaded.catalog, loaded.version)
        ids = topics.ensure(ready, loaded.catalog)
        names = topics.inputs(ready, loaded.catalog)
        starts = topics.ends(ready, names)
        with working(ready) as worker, working(ready, "alerter") as alerter:
            with watch.part("produce"):
                sent = _produce(ready, loaded, plan, book, bar)
            total = sum(sent.by_channel.values())
            bar.update(task, description="storing", total=total)
            with watch.part("store"):
                ends = topics.ends(ready, names)
                wait_until_stored(
                    ready, ends, lambda left: bar.update(task, completed=total - left), worker
                )
            bar.update(task, description="closing what time has ended")
            with watch.part("close"):
                wait_until_closed(client, ready, worker)
            bar.update(task, description="refreshing journeys")
            with watch.part("refresh"):
                wait_until_refreshed(client, worker)
            with watch.part("alert"):
                wait_until_told(ready, alerter)
        with watch.part("query"):
            found = account(client, ids, starts, ends)
            truth = _compare(client, sent)
            moments = compare(client, _keyring(ready), book)
            alerts = _alerts(client, alerter.log_file)
            tables = [run_query(client, name, limit=limit) for name, limit in SHOWN.items()]
        return _report(plan, sent, found, truth) | {"moments": moments, "alerts": alerts}, tables


def _keyring(settings: Settings) -> Keyring:
    if settings.pepper is None:
        raise SettingsError("TOUCHLINE_PEPPER: not set")
    return Keyring(settings.pepper)


def _produce(
    settings: Settings, loaded: catalog.LoadedCatalog, plan: Plan, book: Book, bar: Progress
) -> Sent:
    sent = Sent()
    task = bar.add_task("producing", total=None)
    with Producer(settings, loaded.channels) as producer:
        for produced in simulate(plan, book):
            _send(producer, produced, sent)
            bar.update(task, advance=1)
    bar.update(task, visible=False)
    return sent


def _send(producer: Producer, produced: Produced, sent: Sent) -> None:
    truth = produced.truth
    sent.by_channel[truth.channel] += 1
    if truth.valid:
        producer.send_raw(produced.value)
        sent.truth[str(truth.event_id)] = (truth.touchpoint, truth.stage)
    else:  # what other producers, which check nothing, put into a topic
        producer.send_unchecked(truth.channel, produced.value)
        sent.malformed += 1


def _compare(client: Client, sent: Sent) -> dict[str, Any]:
    """Compare what is stored with what the simulator meant, event by event."""
    ids = sorted(sent.truth)
    differ, compared = [], 0
    for start in range(0, len(ids), _TRUTH_BATCH):
        part = ids[start : start + _TRUTH_BATCH]
        rows = client.query(_STORED, parameters={"ids": part}).result_rows
        stored = {event_id: (touchpoint, stage) for event_id, touchpoint, stage in rows}
        compared += len(part)
        differ += [event_id for event_id in part if stored.get(event_id) != sent.truth[event_id]]
    return {"compared": compared, "differ": len(differ), "examples": differ[:5]}


def _alerts(client: Client, log_file: Path) -> dict[str, Any]:
    """Return what was told of the moments, and where it was told."""
    names = ("told", "alerts", "closed_before", "kept_back")
    return {
        **dict(zip(names, client.query(_TOLD).result_rows[0], strict=True)),
        "log": str(log_file),
    }


def _report(plan: Plan, sent: Sent, found: Account, truth: dict[str, Any]) -> dict[str, Any]:
    return {
        "customers": plan.customers,
        "days": plan.days,
        "seed": plan.seed,
        "produced": sum(sent.by_channel.values()),
        "produced_by_channel": dict(sorted(sent.by_channel.items())),
        "produced_malformed": sent.malformed,
        "stored": found.stored,
        "already_stored": found.known,
        "duplicates": found.duplicates,
        "rejected": sum(found.rejected.values()),
        "rejected_by_reason": found.rejected,
        "unclassified": found.unclassified,
        "balanced": found.balanced and found.produced == sum(sent.by_channel.values()),
        "truth": truth,
    }


def _print(report: dict[str, Any]) -> None:
    mark = "=" if report["balanced"] else "≠"
    out.print(
        f"\n{report['produced']:,} produced {mark} {report['stored']:,} stored + "
        f"{report['duplicates']:,} duplicates + {report['rejected']:,} rejected"
    )
    if report["already_stored"]:
        out.print(f"{report['already_stored']:,} of the stored ones were there from an earlier run")
    reasons = ", ".join(f"{name} {count}" for name, count in report["rejected_by_reason"].items())
    out.print(f"rejected: {reasons or 'none'}; unclassified: {report['unclassified']:,}")
    truth = report["truth"]
    out.print(
        f"touchpoint and stage of {truth['compared']:,} events compared with what the simulator "
        f"meant: {truth['differ']:,} differ"
    )
    moments = report["moments"]
    out.print(
        f"{moments['found']:,} moments of truth found, {moments['pains']:,} of pain and "
        f"{moments['glories']:,} of glory; compared with what the simulator meant: "
        f"{moments['missing']:,} missing, {moments['extra']:,} too many"
    )
    alerts = report["alerts"]
    out.print(
        f"{alerts['told']:,} pains told in {alerts['alerts']:,} alerts, see {alerts['log']}; "
        f"{alerts['closed_before']:,} were mended before anybody was told, "
        f"{alerts['kept_back']:,} kept back",
        soft_wrap=True,
    )
    seconds = report["seconds"]
    speed = report["produced"] / max(seconds["produce"] + seconds["store"], 0.01)
    out.print(f"{seconds['all']:.1f} s in all, {speed:,.0f} events/s from producer to table")
    command = "touchline" if shutil.which("touchline") else ".venv/bin/touchline"
    err.print(f"\nNow try: {command} query --list", highlight=False)
