"""Alerters on a running stack, and moments to feed them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from kafka import KafkaProducer

from jobs.drain import WorkerProcess, start_worker
from pipeline import topics
from pipeline.brokers import kafka_python_options
from schemas.moment import Moment
from tests.line import Line, running_line
from tests.webhook_receiver import SECRET, Receiver


def a_moment(customer: str, **fields: Any) -> Moment:
    """Return an open pain of now."""
    now = datetime.now(timezone.utc)
    values: dict[str, Any] = {
        "moment_id": uuid4(),
        "revision": 1,
        "status": "open",
        "kind": "pain",
        "severity": "high",
        "rule": "message_unanswered",
        "rule_version": "1",
        "catalog_version": "test",
        "customer_key": customer,
        "subject": "",
        "segment": "",
        "touchpoint": "contact_form",
        "channel": "web",
        "need": "get_help",
        "owner": "Customer service",
        "text": f"{customer} waits for an answer.",
        "cause": str(uuid4()),
        "evidence": [],
        "cause_at": now,
        "occurred_at": now,
        "due_at": None,
        "closed_at": None,
        "closed_by": "",
        "detected_at": now,
        "changed_at": now,
    }
    return Moment(**{**values, **fields})


def resolved(moment: Moment) -> Moment:
    """Return the next revision of a moment, mended."""
    now = datetime.now(timezone.utc)
    changes = {"revision": moment.revision + 1, "status": "resolved", "closed_at": now}
    return moment.model_copy(update={**changes, "changed_at": now})


def with_routes(home: Path, destinations: Mapping[str, Receiver], routes: str, **more: str) -> Path:
    """Write the default catalog with other routes, to receivers by their names.

    Args:
        home: Where.
        destinations: Receivers that run, or are to run where they ran.
        routes: TOML of the routes.
        more: Further lines for each destination.
    """
    text = files("schemas").joinpath("catalogs/default.toml").read_text(encoding="utf-8")
    kept = text[: text.index("[[destinations]]")]
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / "hook_secret").write_text(SECRET)
    lines = [kept]
    for name, receiver in destinations.items():
        lines += [
            "[[destinations]]",
            f'id = "{name}"',
            'type = "webhook"',
            f'url = "{receiver.url}"',
            f'secret_from = "file:{home / "hook_secret"}"',
            "allow_loopback_http = true",
            "per_minute = 60000",
            more.get(name, ""),
        ]
    path = home / "catalog.toml"
    path.write_text("\n".join([*lines, routes]))
    return path


@dataclass
class AlertLine:
    """A stack for alerters.

    Attributes:
        line: The stack.
        alerters: Those that were started.
    """

    line: Line
    alerters: list[WorkerProcess] = field(default_factory=list)

    def alerter(self, **changes: Any) -> WorkerProcess:
        """Start an alerter process."""
        process = start_worker(self.line.settings.model_copy(update=changes), "alerter")
        self.alerters.append(process)
        return process

    def feed(self, moments: Sequence[Moment]) -> None:
        """Put revisions of moments on their topic, and wait until they are there."""
        producer = KafkaProducer(
            **kafka_python_options(self.line.settings), linger_ms=5, batch_size=131_072
        )
        try:
            topic = topics.moments(self.line.settings)
            sent = [
                producer.send(
                    topic, value=it.model_dump_json().encode(), key=it.customer_key.encode()
                )
                for it in moments
            ]
            for future in sent:
                future.get(30)
        finally:
            producer.close()

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return list(self.line.client.query(sql, parameters=parameters).result_rows)

    def alerts_of(self) -> dict[UUID, UUID]:
        """Return the alert of every alerted moment."""
        sql = "SELECT moment_id, alert_id FROM alert_moments WHERE decision = 'alerted'"
        return {row[0]: row[1] for row in self.rows(sql)}


@contextmanager
def alert_line(home: Path, catalog: Path, **settings: Any) -> Iterator[AlertLine]:
    """Run a stack for alerters, and stop it and every alerter whatever happens."""
    with running_line(home, catalog=catalog, session_timeout=6.0, **settings) as line:
        found = AlertLine(line)
        try:
            yield found
        finally:
            for process in found.alerters:
                process.stop()


def check_told(receiver: Receiver) -> None:
    """Check that what was told of each alert makes sense in the order of receipt.

    A repeat of what was told before is allowed, but nothing comes back after a resolve.
    """
    last: dict[str, int] = {}
    ended: dict[str, int] = {}
    for said in receiver.notifications():
        alert, sequence = said["alert_id"], said["sequence"]
        assert alert in last or said["action"] == "trigger", "something came before its trigger"
        assert alert not in ended or sequence == ended[alert], "something came after a resolve"
        assert sequence >= last.get(alert, 0), "an earlier notification came after a later one"
        last[alert] = sequence
        if said["action"] == "resolve":
            ended[alert] = sequence
