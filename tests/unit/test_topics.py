"""Topics that a broker learns of a moment after they were made."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from pipeline import catalog, topics
from pipeline.errors import RetryableError
from pipeline.settings import Settings

UNKNOWN_TOPIC = 3


class Slow:
    """A cluster whose brokers hear of new topics after some questions."""

    def __init__(self, after: int) -> None:
        self.left = after

    def list_topics(self) -> list[str]:
        return []

    def create_topics(self, _: Any) -> None:
        pass

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        self.left -= 1
        code = UNKNOWN_TOPIC if self.left >= 0 else 0
        partitions = [{"partition_index": number} for number in range(4)]
        return [
            {"error_code": code, "name": name, "topic_id": UUID(int=1), "partitions": partitions}
            for name in names
        ]

    def close(self) -> None:
        pass


def test_new_topics_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "KafkaAdminClient", lambda **_: Slow(3))
    loaded = catalog.load(None).catalog
    ids = topics.ensure(Settings(kafka="k:9092"), loaded)
    assert ids.keys() == set(topics.inputs(Settings(), loaded))


def test_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "KafkaAdminClient", lambda **_: Slow(1_000))
    monkeypatch.setattr(topics, "APPEAR_SECONDS", 0.3)
    with pytest.raises(RetryableError, match="Kafka error 3"):
        topics.ensure(Settings(kafka="k:9092"), catalog.load(None).catalog)
