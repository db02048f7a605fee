"""The same once more: replays, and a group whose offsets are gone or were set back."""

from __future__ import annotations

import pytest
from kafka import TopicPartition as KafkaPartition
from kafka.structs import OffsetAndMetadata

from pipeline import topics
from pipeline.simulator import Plan
from tests.faults.harness import trial
from tests.kafka import choice
from tests.moments_line import settle
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

REVISIONS = "SELECT * FROM moment_records ORDER BY moment_id, revision"


def set_back(run, ends):
    """Set the group's offsets to the beginning; return whether the broker did."""
    with topics.admin(run.line.settings) as client:
        back = {KafkaPartition(*place): OffsetAndMetadata(0, "", -1) for place in ends}
        done = client.alter_group_offsets(run.line.settings.kafka_group, back)
    return {error.__name__ for error in done.values()} == {"NoError"}


def test_offsets_set_back_under_the_same_group(tmp_path):
    with trial(
        tmp_path, 14, "a group that knows no offsets (Apache Kafka: also set to the beginning)",
        "tables, moments, journeys unchanged",
    ) as run:  # fmt: skip
        run.line.produce(Plan(customers=120, days=30, seed=141, duplicates=0.1))
        worker = run.worker()
        run.line.drain(worker)
        settle(run.line)
        worker.stop()
        stored, ends = run.stored(), run.line.ends()
        said = run.line.client.query(REVISIONS).result_rows
        settings = run.line.settings
        if choice.is_apache():  # the embedded broker never forgets a member that left
            until(lambda: set_back(run, ends), 60, "the group's offsets to be set back")
            assert run.committed() == 0
            run.faults += 1
            worker = run.worker()
            run.line.drain(worker)
            assert run.stored() == stored
            worker.stop()
        again = run.worker(kafka_group="another")
        theirs = settings.model_copy(update={"kafka_group": "another"})
        until(
            lambda: sum(topics.committed(theirs).values()) == sum(ends.values()) or again.check(),
            120, "a group that knows nothing to read everything",
        )  # fmt: skip
        run.faults += 1
        assert run.stored() == stored
        assert run.line.client.query(REVISIONS).result_rows[: len(said)] == said
        run.finish(again)


def test_everything_produced_twice_more(tmp_path):
    with trial(
        tmp_path, 14, "every record produced twice more, a tenth of them twice at once",
        "views, moments, journeys unchanged",
    ) as run:  # fmt: skip
        run.line.produce(Plan(customers=120, days=30, seed=142, duplicates=0.1, malformed=0.0))
        worker = run.worker()
        run.line.drain(worker)
        settle(run.line)
        before = run.line.derived()
        for _ in range(2):
            run.line.replay()
            run.faults += 1
        run.line.drain(worker)
        assert run.stored() == 3 * len(run.line.values)
        assert run.line.derived() == before
        run.line.values *= 3
        run.line.events *= 3
        run.finish(worker)
