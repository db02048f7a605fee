"""Sending rejects again, awaited; each is marked only when Kafka has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kafka.errors import KafkaError

from pipeline import topics
from pipeline.errors import RetryableError
from pipeline.producers.kafka_client import KafkaClient, options
from pipeline.replay.rejected import Kept, again, mark
from pipeline.settings import Settings

_DELIVERY_SECONDS, _REQUEST_SECONDS, _LINGER_MS = 60.0, 30.0, 20


class Sending:
    """Sends rejects to where they came from; a context manager.

    Args:
        settings: Where Kafka is.
        partitions: Number of partitions of every topic that is there.

    Raises:
        RetryableError: From the context manager: no broker answers.
    """

    def __init__(self, settings: Settings, partitions: Mapping[str, int]) -> None:
        self._settings = settings
        self._partitions = partitions
        self._topic = topics.rejected(settings)
        self._kafka: KafkaClient | None = None

    def __enter__(self) -> Sending:
        """Connect."""
        try:
            self._kafka = KafkaClient(
                **options(self._settings, _DELIVERY_SECONDS, _REQUEST_SECONDS, _LINGER_MS)
            )
        except KafkaError as error:
            raise RetryableError(f"no Kafka broker at {self._settings.kafka}: {error!r}") from error
        return self

    def __exit__(self, *_: object) -> None:
        """Close; everything that was sent has been awaited, or given up."""
        if self._kafka is not None:
            self._kafka.abort()
            self._kafka = None

    def send(self, wanted: Sequence[Kept], on_sent: Callable[[int], None]) -> None:
        """Send rejects and mark them, and wait for Kafka in between and afterwards.

        Args:
            wanted: The rejects.
            on_sent: Called with the number of those that are sent and marked.

        Raises:
            RetryableError: Kafka did not take one; those before it may be sent and not marked.
        """
        self._await([again(kept, self._partitions) for kept in wanted])
        self._await([mark(kept, self._topic) for kept in wanted])
        on_sent(len(wanted))

    def _await(self, records: list[dict[str, Any]]) -> None:
        if self._kafka is None:
            raise RetryableError("the sending is not open: use it as a context manager")
        try:
            futures = [self._kafka.send(**record) for record in records]
            for future in futures:
                future.get(timeout=_DELIVERY_SECONDS + _REQUEST_SECONDS)
        except KafkaError as error:
            raise RetryableError(f"Kafka did not take a record: {error!r}") from error
