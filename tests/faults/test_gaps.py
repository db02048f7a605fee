"""Offsets without records: aborted transactions and control records."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from pipeline import topics
from tests.faults.harness import Trial, trial
from tests.faults.sending import KEY, send, valid
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
