"""One batch through every step: decode, identify, classify, into rows; what fails, into rejects.

Pure computation on what one flush has collected: no Kafka, no ClickHouse, no clock but the one it
is given, so the same records always give the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from pipeline.catalog import LoadedCatalog
from pipeline.chunks import Chunk
from pipeline.classify import Classifier
from pipeline.decode import decode, known_channels
from pipeline.errors import RejectedRecord
from pipeline.identify import Keyring
from pipeline.moments.hours import instant, microseconds
from pipeline.moments.matching import Matcher, Sighting
from pipeline.rejects import Reject
from pipeline.rows import COLUMNS, FUTURE, LATE, Row, kafka_time, row
from pipeline.topics import TopicPartition

_CUSTOMER = COLUMNS.index("customer_key")


@dataclass
class Batch:
    """What became of the records of one flush.

    Attributes:
        rows: Accepted records, in the order they came.
        sightings: What each of them means to the rules about moments, or None.
        rejects: The others, whole.
        latest: When the latest event of each topic and partition happened, microseconds since 1970.
        unclassified: How many of the rows no rule matched.
        late: How many came later than the allowed lateness.
        future: How many claimed to be of the future.
    """

    rows: list[Row] = field(default_factory=list)
    sightings: list[Sighting | None] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    latest: dict[TopicPartition, int] = field(default_factory=dict)
    unclassified: int = 0
    late: int = 0
    future: int = 0


class Steps:
    """The steps with what they need to know.

    Args:
        catalog: The catalog to classify by.
        matcher: Finds what events mean to the rules about moments.
        keyring: Hashes identifiers.
        topic_ids: Id of each topic that is read.
        max_record_bytes: Larger records are rejected.
        tolerance: Seconds that an event may be in the future.
    """

    def __init__(
        self,
        catalog: LoadedCatalog,
        matcher: Matcher,
        keyring: Keyring,
        topic_ids: Mapping[str, UUID],
        max_record_bytes: int,
        tolerance: float = 300.0,
    ) -> None:
        self._classifier = Classifier(catalog.catalog)
        self._matcher = matcher
        self._version = catalog.version
        self._channels = known_channels(catalog.channels)
        self._keyring = keyring
        self._topic_ids = topic_ids
        self._max_bytes = max_record_bytes
        self._tolerance = timedelta(seconds=tolerance)

    def run(self, chunks: Sequence[Chunk], now: datetime, watermark: Callable[[int], int]) -> Batch:
        """Take the records of some chunks through all steps.

        Args:
            chunks: Chunks in the order they came.
            now: Written as the time of ingestion.
            watermark: Watermark of a partition, microseconds since 1970.
        """
        batch = Batch()
        for chunk in chunks:
            complete = instant(max(watermark(chunk.partition), 0))
            self._chunk(chunk, batch, now, complete)
        return batch

    def _chunk(self, chunk: Chunk, batch: Batch, now: datetime, complete: datetime) -> None:
        topic_id, latest = self._topic_ids[chunk.topic], None
        keys, classify = self._keyring.keys, self._classifier.classify
        sight = self._matcher.sighting
        for record in chunk.records:
            at = kafka_time(record.timestamp)
            place = (chunk.topic, topic_id, chunk.partition, record.offset, at)
            try:
                decoded = decode(record.value, self._channels, self._max_bytes)
            except RejectedRecord as cause:
                batch.rejects.append(
                    Reject(*place, record.key, record.value, tuple(record.headers), cause)
                )
                continue
            interaction, clock = decoded.interaction, ""
            occurred_at = interaction.occurred_at
            arrived = at if record.timestamp and at < now else now
            if occurred_at > arrived and occurred_at - arrived > self._tolerance:
                occurred_at, clock = arrived, FUTURE
                batch.future += 1
            if occurred_at < complete:
                clock = clock or LATE
                batch.late += 1
            if latest is None or occurred_at > latest:
                latest = occurred_at
            classification = classify(decoded.event)
            batch.unclassified += not classification.need
            identities = keys(interaction.identifiers)
            stored = row(
                place,
                now,
                decoded,
                identities,
                classification,
                self._version,
                occurred_at,
                clock,
            )
            batch.rows.append(stored)
            customer = stored[_CUSTOMER]
            batch.sightings.append(
                sight(decoded.event, interaction, customer, classification, occurred_at)
            )
        if latest is not None:
            tp = (chunk.topic, chunk.partition)
            batch.latest[tp] = max(microseconds(latest), batch.latest.get(tp, 0))
