"""Waiting for a Kafka that has only just begun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kafka.errors import CoordinatorNotAvailableError

from jobs import drain
from pipeline import topics
from pipeline.errors import RetryableError
from pipeline.settings import Settings

PLACE = ("interactions.web", 0)


class Coordinatorless:
    """A client of a Kafka that nobody has asked for a group before."""

    def __init__(self, **_: Any) -> None:
        pass

    def list_group_offsets(self, groups: list[str]) -> Any:
        raise CoordinatorNotAvailableError(f"no coordinator of {groups}")

    def close(self) -> None:
        pass


def test_a_kafka_without_groups_yet_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "KafkaAdminClient", Coordinatorless)
    with pytest.raises(RetryableError, match="CoordinatorNotAvailable"):
        topics.committed(Settings(kafka="127.0.0.1:1"))


def test_waiting_outlasts_a_kafka_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    told = iter([RetryableError("not yet"), {PLACE: 3}, RetryableError("not now"), {PLACE: 5}])

    def committed(_: Settings) -> dict[topics.TopicPartition, int]:
        found = next(told)
        if isinstance(found, RetryableError):
            raise found
        return found

    monkeypatch.setattr(topics, "committed", committed)
    monkeypatch.setattr(drain, "_POLL_SECONDS", 0)
    left: list[int] = []
    drain.wait_until_stored(Settings(kafka="x"), {PLACE: 5}, left.append)
    assert left == [5, 2, 2, 0]


def test_a_worker_starts_where_no_stack_made_its_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "none" / "yet", kafka="127.0.0.1:1", clickhouse="bad")
    worker = drain.start_worker(settings)
    try:
        assert worker.process.wait(30) == 1  # it needs a pepper
    finally:
        worker.stop()
    assert "TOUCHLINE_PEPPER" in worker.log_file.read_text(encoding="utf-8")
