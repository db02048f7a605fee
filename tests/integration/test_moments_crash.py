"""Detection that ends anywhere, and begins anew from what is stored, finds the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from pipeline import catalog
from pipeline.chunks import Chunk
from pipeline.classify import Classifier
from pipeline.detection import Detection
from pipeline.simulator import Plan, simulate
from pipeline.sink import Sink
from pipeline.topics import TopicPartition
from pipeline.warehouse.ledger import Ledger
from pipeline.warehouse.migrate import migrate
from tests.integration.warehouse_engine import engine
from tests.moment_found import Seen
from tests.offline_worker import OfflineWorker, partition_of

pytestmark = pytest.mark.integration

MOMENTS = """
SELECT moment_id, status, occurred_at, due_at, closed_at, closed_by, evidence FROM moments
"""
PROMISES = "SELECT promise_id, status, made_at, due_at, answered_at FROM promises"


class Crash(Exception):
    """The process is killed here."""


class Fragile:
    """Something whose calls crash, before or after what they do."""

    def __init__(self, real: Any, crash: Callable[[], None]) -> None:
        self._real, self._crash = real, crash

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not name.startswith(("record", "store")) or name == "stored_to":
            return found

        def fragile(*args: Any) -> Any:
            self._crash()
            result = found(*args)
            self._crash()
            return result

        return fragile


class Killed:
    """A worker that dies at random while it reads a log, and is started again each time."""

    def __init__(self, worker: OfflineWorker, log: dict[TopicPartition, list[Any]], seed: int):
        self.worker, self.log = worker, log
        self.dice = random.Random(seed)
        self.committed = dict.fromkeys(log, 0)
        self.deaths = 0

    def run(self) -> None:
        while any(self.committed[place] < len(log) for place, log in self.log.items()):
            try:
                self._life()
            except Crash:
                self.deaths += 1

    def _crash(self) -> None:
        if self.dice.random() < 0.04:
            raise Crash

    def _life(self) -> None:
        worker = self.worker
        sink: Any = Fragile(Sink(worker.client), self._crash)
        ledger: Any = Fragile(Ledger(worker.client), self._crash)
        detection = Detection(worker.settings, worker.rules, ledger, sink, worker.ids)
        detection.assign(self.committed)
        ends: dict[TopicPartition, int | None] = {
            place: len(log) for place, log in self.log.items()
        }
        read = dict(self.committed)
        while chunks := list(self._chunks(read)):
            now = datetime.now(timezone.utc)
            batch = worker.steps.run(chunks, now, detection.watermarks.__getitem__)
            sink.store(batch.rows)
            news = detection.detect(chunks, batch, ends, now)
            self._crash()
            detection.record(news)
            self._crash()
            for chunk in news.done:
                place = (chunk.topic, chunk.partition)
                self.committed[place] = max(self.committed[place], chunk.end)

    def _chunks(self, read: dict[TopicPartition, int]) -> Iterator[Chunk]:
        left = [place for place, log in self.log.items() if read[place] < len(log)]
        for topic, partition in self.dice.sample(left, min(len(left), self.dice.randint(1, 6))):
            begin = read[topic, partition]
            records = self.log[topic, partition][begin : begin + self.dice.randint(1, 60)]
            read[topic, partition] = begin + len(records)
            yield Chunk(topic, partition, begin, begin + len(records), records)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[OfflineWorker]:
    with engine(tmp_path) as fresh:
        client, settings = fresh()
        migrate(client, settings)
        yield OfflineWorker(client, settings, catalog.load())


@pytest.mark.parametrize("seed", [2])
def test_killed_anywhere_the_moments_are_those_of_the_oracle(
    worker: OfflineWorker, seed: int
) -> None:
    log: dict[TopicPartition, list[Any]] = {place: [] for place in worker.places()}
    events: list[Seen] = []
    classify = Classifier(worker.loaded.catalog).classify
    arrived = int(datetime.now(timezone.utc).timestamp() * 1000)
    for produced in simulate(Plan(customers=40, days=40, seed=seed, malformed=0)):
        event = orjson.loads(produced.value)
        customer = event["identifiers"]["customer_id"]
        place = (f"interactions.{event['channel']}", partition_of(customer))
        records = log[place]
        records.append(
            SimpleNamespace(
                offset=len(records), key=b"", value=produced.value, timestamp=arrived, headers=()
            )
        )
        key = next(iter(worker.keyring.keys(event["identifiers"]).values()))
        at = datetime.fromisoformat(event["occurred_at"].replace("Z", "+00:00"))
        events.append(Seen(key, event["event_id"], at, event, classify(event)))
    killed = Killed(worker, log, seed)
    killed.run()
    assert killed.deaths > 5
    wanted = worker.expected(worker.loaded, events)
    found = {(*row[:6], tuple(row[6])) for row in worker.client.query(MOMENTS).result_rows}
    assert found == {
        (m.moment_id, m.status, m.occurred_at, m.due_at, m.closed_at, m.closed_by, m.evidence)
        for m in wanted.moments
    }
    assert set(worker.client.query(PROMISES).result_rows) == {
        (p.promise_id, p.status, p.made_at, p.due_at, p.answered_at) for p in wanted.promises
    }
    assert len(wanted.moments) > 50


def test_who_is_in_two_partitions_is_late_in_each_alone(tmp_path: Path) -> None:
    """As after partitions were added, or where somebody keys otherwise."""
    one, other = (next(f"k{n}" for n in range(99) if partition_of(f"k{n}") == p) for p in (0, 1))

    def form(place: str, number: int, customer: str, day: int) -> tuple[str, str, bytes]:
        event = {
            "event_id": f"e-{number}",
            "schema_version": "1.0",
            "channel": "web",
            "action": "form_submitted",
            "occurred_at": f"2026-03-{day:02}T10:00:00Z",
            "identifiers": {"customer_id": customer},
            "case_ids": {"request_id": f"R-{number}"},
            "details": {"form_id": "contact"},
        }
        return "web", place, orjson.dumps(event)

    values = [
        form(one, 1, "A", 1), form(other, 2, "A", 1), form(one, 3, "B", 1), form(other, 4, "B", 1),
        form(one, 5, "C", 20), form(other, 6, "D", 20),
        # both late, each in another partition
        form(one, 7, "A", 2), form(other, 8, "B", 2),
    ]  # fmt: skip
    with engine(tmp_path) as fresh:
        client, settings = fresh()
        migrate(client, settings)
        OfflineWorker(client, settings, catalog.load()).work(values, size=6)
        made = client.query(
            "SELECT count(), uniqExact(made_by) FROM promises WHERE promise = 'answer'"
        ).result_rows
    assert made == [(8, 8)]
