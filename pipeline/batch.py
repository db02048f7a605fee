"""One batch through every step: decode, identify, classify, into rows; what fails, into rejects.

Pure computation on what one flush has collected: no Kafka, no ClickHouse, no clock but the one it
is given, so the same records always give the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from pipeline.catalog import LoadedCatalog
from pipeline.chunks import Chunk
from pipeline.classify import Classifier
from pipeline.decode import decode, known_channels
from pipeline.errors import RejectedRecord
from pipeline.identify import Keyring
from pipeline.rejects import Reject
from pipeline.rows import Row, kafka_time, row


@dataclass
class Batch:
    """What became of the records of one flush.

    Attributes:
        rows: Accepted records, in the order they came.
        rejects: The others, whole.
        unclassified: How many of the rows no rule matched.
    """

    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    unclassified: int = 0


class Steps:
    """The steps with what they need to know.

    Args:
        catalog: The catalog to classify by.
        keyring: Hashes identifiers.
        topic_ids: Id of each topic that is read.
        max_record_bytes: Larger records are rejected.
    """

    def __init__(
        self,
        catalog: LoadedCatalog,
        keyring: Keyring,
        topic_ids: Mapping[str, UUID],
        max_record_bytes: int,
    ) -> None:
        self._classifier = Classifier(catalog.catalog)
        self._version = catalog.version
        self._channels = known_channels(catalog.channels)
        self._keyring = keyring
        self._topic_ids = topic_ids
        self._max_bytes = max_record_bytes

    def run(self, chunks: Sequence[Chunk], now: datetime) -> Batch:
        """Take the records of some chunks through all steps.

        Args:
            chunks: Chunks in the order they came.
            now: Written as the time of ingestion.
        """
        batch = Batch()
        keys, classify = self._keyring.keys, self._classifier.classify
        for chunk in chunks:
            topic_id = self._topic_ids[chunk.topic]
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
                classification = classify(decoded.event)
                batch.unclassified += not classification.need
                batch.rows.append(
                    row(
                        place,
                        now,
                        decoded,
                        keys(decoded.interaction.identifiers),
                        classification,
                        self._version,
                    )
                )
        return batch
