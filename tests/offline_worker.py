"""A worker without Kafka: the steps, the sink and the detection of the real one, fed by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import count, islice
from types import SimpleNamespace
from typing import Any
from uuid import UUID
from zlib import crc32

from clickhouse_connect.driver.client import Client

from pipeline.batch import Steps
from pipeline.catalog import LoadedCatalog
from pipeline.chunks import Chunk
from pipeline.detection import Detection
from pipeline.identify import Keyring
from pipeline.moments.rules import Rules
from pipeline.rows import COLUMNS
from pipeline.settings import Settings
from pipeline.sink import Sink
from pipeline.topics import TopicPartition
from pipeline.warehouse.ledger import Ledger
from pipeline.warehouse.refresh import Change, Journeys
from tests.moment_found import Found, Seen
from tests.moment_oracle import find

PARTITIONS = 3
_PARTITION, _CUSTOMER = COLUMNS.index("partition"), COLUMNS.index("customer_key")
_WATERMARKS = "SELECT partition, max(watermark) FROM detection_progress FINAL GROUP BY partition"


@dataclass
class OfflineWorker:
    """Stores and detects what it is given.

    Args:
        client: On a migrated database.
        settings: With a pepper.
        loaded: The catalog.
    """

    client: Client
    settings: Settings
    loaded: LoadedCatalog
    seen: dict[int, list[Seen]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.settings.pepper is not None
        self.ids = {
            f"interactions.{channel}": UUID(int=number << 70 | number)
            for number, channel in enumerate(sorted(self.loaded.channels), 1)
        }
        self.keyring = Keyring(self.settings.pepper)
        self.rules = Rules(self.loaded)
        self.steps = Steps(self.loaded, self.rules.matcher, self.keyring, self.ids, 1 << 20)
        self._ends: dict[TopicPartition, int] = {
            (topic, partition): 0 for topic in self.ids for partition in range(PARTITIONS)
        }

    def places(self) -> list[TopicPartition]:
        """Return every topic and partition."""
        return list(self._ends)

    def work(
        self, values: Iterable[tuple[str, str, bytes]], size: int = 2_000, refresh: int = 0
    ) -> None:
        """Take channel, customer_id and value of every record, in batches, as they would arrive.

        Args:
            values: Channel, customer_id and value.
            size: Records of a batch.
            refresh: Batches after which journeys are refreshed; 0 leaves them alone.
        """
        journeys, noted = Journeys(self.client), list[Change]()
        sink = Sink(self.client)
        detection = Detection(self.settings, self.rules, Ledger(self.client), sink, self.ids)
        detection.assign(self._ends)
        iterator = iter(values)
        for number in count(1):
            if not (taken := list(islice(iterator, size))):
                break
            chunks = list(self._chunks(taken))
            now = datetime.now(timezone.utc)
            batch = self.steps.run(chunks, now, detection.watermarks.__getitem__)
            assert not batch.rejects
            sink.store(batch.rows)
            news = detection.detect(chunks, batch, dict(self._ends), now)
            detection.record(news)
            if refresh:
                touched = {(row[_PARTITION], row[_CUSTOMER]) for row in batch.rows}
                touched |= {(row.partition, row.customer_key) for row in news.moments}
                noted += journeys.changed(touched)
                if number % refresh == 0:
                    journeys.refresh(noted)
                    noted = []
        journeys.refresh(noted)

    def expected(self, loaded: LoadedCatalog, events: Iterable[Seen]) -> Found:
        """Return what the oracle finds with some rules in events that this worker was given."""
        rows = self.client.query(_WATERMARKS).result_rows
        watermarks = {row[0]: row[1] for row in rows}
        apart: dict[int, list[Seen]] = {}
        for each in events:
            apart.setdefault(partition_of(each.event["identifiers"]["customer_id"]), []).append(
                each
            )
        found = [
            find(loaded.catalog, some, watermarks[partition]) for partition, some in apart.items()
        ]
        return Found(
            frozenset().union(*(each.moments for each in found)),
            frozenset().union(*(each.promises for each in found)),
        )

    def _chunks(self, values: list[tuple[str, str, bytes]]) -> Iterator[Chunk]:
        records: dict[TopicPartition, list[Any]] = {}
        now = int(datetime.now(timezone.utc).timestamp() * 1000)
        for channel, customer, value in values:
            place = (f"interactions.{channel}", partition_of(customer))
            of_place = records.setdefault(place, [])
            of_place.append(
                SimpleNamespace(
                    key=b"", value=value, timestamp=now, headers=(),
                    offset=self._ends[place] + len(of_place),
                )
            )  # fmt: skip
        for (topic, partition), some in records.items():
            begin = self._ends[topic, partition]
            self._ends[topic, partition] = begin + len(some)
            yield Chunk(topic, partition, begin, begin + len(some), some)


def partition_of(customer: str) -> int:
    """Return the partition of a customer."""
    return crc32(customer.encode()) % PARTITIONS
