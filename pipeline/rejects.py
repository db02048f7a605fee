"""Records that could not be used: kept whole in Kafka, listed in ClickHouse, limited in number.

A rejected record goes to ``interactions.rejected`` as it was, key and value and headers, with the
reason and its coordinates in headers of its own. ClickHouse gets the reason without the payload.
A worker that rejects most of what it reads has a bad catalog or release and must stop before it
drains a topic into the reject topic.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pipeline.errors import FatalError, RejectedRecord

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

    def message_headers(self) -> list[tuple[str, bytes]]:
        """Return the record's headers followed by those of ``HEADERS``."""
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
    """Stops a worker that rejects too much.

    Args:
        ratio: Share of rejected records in a window that is still borne.
        window: Records in the window; that many rejected in a row are too many as well.
    """

    def __init__(self, ratio: float, window: int) -> None:
        self._ratio = ratio
        self._size = window
        self._window: deque[bool] = deque(maxlen=window)
        self._rejected = 0
        self._run = 0

    def count(self, rejected: bool, cause: RejectedRecord | None = None) -> None:
        """Count one record.

        Raises:
            FatalError: Too much of the window, or too long a run, was rejected.
        """
        if len(self._window) == self._size:
            self._rejected -= self._window[0]
        self._window.append(rejected)
        self._rejected += rejected
        self._run = self._run + 1 if rejected else 0
        if self._ratio >= 1 or not rejected:
            return
        full = len(self._window) == self._size
        if (full and self._rejected > self._ratio * self._size) or self._run >= self._size:
            raise FatalError(
                f"{self._rejected} of the last {len(self._window)} records were rejected, the last "
                f"one because: {cause}. Nothing of this batch was acknowledged (fix: the producer, "
                "the catalog or this release; or raise TOUCHLINE_REJECT_RATIO_LIMIT)"
            )
