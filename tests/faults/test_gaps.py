"""Offsets without records: aborted transactions, control records, and what compaction took."""

from __future__ import annotations

import asyncio
from time import sleep

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType

from pipeline import topics
from tests.faults.harness import Trial, trial
from tests.faults.sending import KEY, records, send, valid
from tests.kafka import choice
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


async def _transactions(run: Trial, number: int) -> tuple[int, int]:
    """Send transactions of ten records, every third aborted; return both counts of records."""
    producer = AIOKafkaProducer(
        bootstrap_servers=run.line.settings.kafka, transactional_id="a-till", acks="all"
    )
    topic = topics.interactions(run.line.settings, "web")
    kept = aborted = 0
    await producer.start()
    try:
        for transaction in range(number):
            await producer.begin_transaction()
            for place in range(10):
                await producer.send_and_wait(topic, valid(10 * transaction + place), KEY)
            if transaction % 3:
                await producer.commit_transaction()
                kept += 10
            else:
                await producer.abort_transaction()
                aborted += 10
    finally:
        await producer.stop()
    return kept, aborted


def test_transactions_leave_gaps_that_are_passed(tmp_path):
    if not choice.is_apache():
        pytest.skip("the embedded broker has no transactions: --kafka apache")
    with trial(
        tmp_path, 21, "20 transactions, a third aborted: gaps of records and control records",
        "commit advances to the end, nothing skipped, nothing of the aborted", partitions=1,
        batch_rows=50, batch_seconds=0.05,
    ) as run:  # fmt: skip
        first = [valid(number) for number in range(5_000, 5_100)]
        send(run, first)
        worker = run.worker()
        run.line.drain(worker)
        kept, aborted = asyncio.run(_transactions(run, 20))
        last = [valid(number) for number in range(6_000, 6_100)]
        send(run, last)
        place = (topics.interactions(run.line.settings, "web"), 0)
        end = run.line.ends()[place]
        assert end == len(first) + kept + aborted + 20 + len(last)  # one control record each
        until(
            lambda: topics.committed(run.line.settings).get(place) == end or worker.check(),
            120, "the commit to pass the gaps",
        )  # fmt: skip
        until(lambda: run.stored() >= len(first) + kept + len(last), 60, "everything stored")
        result = run.result
        result.records, result.faults = len(first) + kept + aborted + len(last), aborted // 10
        result.lost = max(len(first) + kept + len(last) - run.stored(), 0)
        result.duplicated = int(
            run.line.count("SELECT count() - uniqExact(event_id) FROM interactions")
        )
        result.wrong = max(run.stored() - len(first) - kept - len(last), 0)
        assert (result.lost, result.duplicated, result.wrong) == (0, 0, 0)


#: Keeps of each key the last record, at once, but for what is still written to.
COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.001",
    "max.compaction.lag.ms": "1000",
    "segment.ms": "1000",
}


def test_what_compaction_took_leaves_gaps_that_are_passed(tmp_path):
    if not choice.is_apache():
        pytest.skip("the embedded broker compacts nothing: --kafka apache")
    with trial(
        tmp_path, 21, "a worker away while its topic is compacted: 300 records become 30",
        "commit advances to the end, what is left is stored", partitions=1,
        batch_rows=50, batch_seconds=0.05,
    ) as run:  # fmt: skip
        settings, topic = run.line.settings, topics.interactions(run.line.settings, "web")
        send(run, [valid(number) for number in range(100)])
        worker = run.worker()
        run.line.drain(worker)
        worker.stop()
        with topics.admin(settings) as client:
            client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, COMPACTED)])
        for number in range(100, 400):
            send(run, [valid(number)], key=b"customer_id:C-%d" % (number % 30))
        sleep(2.0)
        send(run, [valid(number) for number in range(400, 450)], key=b"another")  # a new segment
        until(
            lambda: len(records(settings, topic)) <= 1 + 30 + 50,
            120, "the log to be compacted",
        )  # fmt: skip
        left = {orjson.loads(value or b"")["event_id"] for value, _ in records(settings, topic)}
        wanted = left | {f"e-{number}" for number in range(100)}
        assert len(wanted) == 100 + 30 + 50
        end = run.line.ends()[topic, 0]
        assert end == 450
        worker = run.worker()
        until(
            lambda: topics.committed(settings).get((topic, 0)) == end or worker.check(),
            120, "the commit to pass the gaps",
        )  # fmt: skip
        stored = run.line.client.query("SELECT event_id FROM interaction_records").result_columns[0]
        result = run.result
        result.records, result.faults = 450, 450 - len(left)
        result.lost, result.duplicated = len(wanted - {*stored}), len(stored) - len({*stored})
        result.wrong = len({*stored} - wanted)
        assert (result.lost, result.duplicated, result.wrong) == (0, 0, 0)
