"""Records that could not be used: kept whole in Kafka, listed in ClickHouse, limited in number.

A rejected record goes to ``interactions.rejected`` as it was, key and value and headers, with the
reason and its coordinates in headers of its own; one that is too large for Kafka to take back is
shortened, with its length and digest. ClickHouse gets the reason without the payload.
A worker that rejects most of what it reads has a bad catalog or release and must stop before it
drains a topic into the reject topic.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pipeline.errors import FatalError, RejectedRecord

#: Bytes that are kept of the key and the value of a record too large for the reject topic.
SHORTENED_KEY, SHORTENED_VALUE = 1_024, 262_144
#: Header names of a rejected record, with what each holds (UTF-8 text).
HEADERS = {
    "touchline-reason": "reason code",
    "touchline-error": "what is wrong, in words",
    "touchline-field": "dotted path of the field, may be empty",
    "touchline-topic": "topic it came from",
    "touchline-topic-id": "id of that topic",
    "touchline-partition": "partition",
    "touchline-offset": "offset",
}


@dataclass(frozen=True)
class Reject:
    """One record that could not be used, whole.

    Attributes:
        topic: Topic, with ``topic_id``, ``partition`` and ``offset`` its place.
        kafka_at: Kafka's timestamp of the record.
        key: The record's key.
        value: The record's value as it came, or None.
        headers: The record's own headers.
        cause: Why.
    """

    topic: str
    topic_id: UUID
    partition: int
    offset: int
    kafka_at: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    cause: RejectedRecord

    def message(self) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
        """Return key, value and headers for the reject topic: the record as it was."""
        value = self.value
        if value is None and self.key is None:  # Kafka's clients refuse to send nothing at all
            value = b""
        return self.key, value, self._headers()

    def shortened(self) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
        """Return the same for a record that the reject topic does not take: its beginning.

        Headers of its own are left out; ``touchline-bytes`` and ``touchline-sha256`` tell length
        and digest of the whole value.
        """
        value = self.value or b""
        own = [header for header in self._headers() if header[0] in HEADERS]
        digest = hashlib.sha256(value).hexdigest().encode()
        own += [("touchline-bytes", str(len(value)).encode()), ("touchline-sha256", digest)]
        return (self.key or b"")[:SHORTENED_KEY], value[:SHORTENED_VALUE], own

    def _headers(self) -> list[tuple[str, bytes]]:
        own = (
            self.cause.reason,
            self.cause.error,
            self.cause.field,
            self.topic,
            self.topic_id,
            self.partition,
            self.offset,
        )
        kept = [(name, value) for name, value in self.headers if name not in HEADERS]
        return kept + [
            (name, str(value).encode("utf-8", "replace"))
            for name, value in zip(HEADERS, own, strict=True)
        ]


class RejectLimit:
    """Stops a worker that rejects too much, whatever the batches are and in whatever order.

    Args:
        ratio: Share of rejected records that is still borne; 1 bears everything.
        window: Records, at the least, over which the share is taken: the latest batches that
            together hold so many.
    """

    def __init__(self, ratio: float, window: int) -> None:
        self._ratio = ratio
        self._window = window
        self._batches: deque[tuple[int, int]] = deque()

    def count(self, records: int, rejected: int, cause: RejectedRecord | None = None) -> None:
        """Count a batch.

        Args:
            records: Records of the batch.
            rejected: How many of them were rejected.
            cause: Why one of them was.

        Raises:
            FatalError: Too large a share was rejected.
        """
        self._batches.append((records, rejected))
        total = sum(size for size, _ in self._batches)
        while total - self._batches[0][0] >= self._window:
            total -= self._batches.popleft()[0]
        refused = sum(count for _, count in self._batches)
        if self._ratio < 1 and total >= self._window and refused > self._ratio * total:
            raise FatalError(
                f"{refused:,} of the last {total:,} records were rejected, one because: {cause}. "
                "Nothing of this batch was acknowledged (fix: the producer, the catalog or this "
                "release; or raise TOUCHLINE_REJECT_RATIO_LIMIT)"
            )
