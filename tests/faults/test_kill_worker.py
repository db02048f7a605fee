"""Workers killed at random moments: nothing lost, nothing twice, and the same journeys."""

from __future__ import annotations

import os
import random
from time import sleep

import pytest

from pipeline.simulator import Plan
from tests.faults.harness import trial
from tests.faults.load import Load
from tests.moments_line import settle

#: Kills in ``make test``; ``make test-faults`` sets a hundred.
KILLS = int(os.environ.get("FAULT_CYCLES", "3"))
#: Not only views: where nothing else stores at the time, the fence leaves one row of a record.
STORED_TWICE = """
SELECT count() - uniqExact(topic, topic_id, partition, offset) FROM interaction_records
"""
REVISIONS = "SELECT * FROM moment_records ORDER BY moment_id, revision"


@pytest.mark.kafka
@pytest.mark.timeout(600 + 60 * KILLS)
def test_killed_at_random_and_started_again(tmp_path):
    dice = random.Random(2026)
    with trial(
        tmp_path,
        1,
        "worker killed (SIGKILL) at random moments",
        "one copy, moments as the oracle's",
    ) as run:
        small = {"batch_rows": 150, "batch_seconds": 0.05}
        stored, load = 0, Load(run)
        for _ in range(KILLS):
            load.refill()
            worker = run.worker(**small)
            run.until_stored(stored, worker)
            sleep(dice.uniform(0, 0.3))
            worker.process.kill()
            worker.process.wait()
            run.faults += 1
            stored = run.stored()
        run.result.runs = KILLS
        assert run.finish().moments > 100
        assert run.line.count(STORED_TWICE) == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_replay_and_three_workers_change_nothing(tmp_path):
    with trial(
        tmp_path, 14, "everything replayed under three workers", "tables, moments unchanged"
    ) as run:
        run.line.produce(Plan(customers=120, days=30, seed=11))
        workers = [run.worker() for _ in range(3)]
        run.line.drain(workers[0])
        settle(run.line)
        said = run.line.client.query(REVISIONS).result_rows
        before, records = run.line.derived(), len(run.line.events)
        run.line.replay()
        run.faults += 1
        run.line.drain(workers[0])
        assert run.stored() == 2 * records
        assert run.line.count("SELECT count() FROM interactions") == len(run.line.truth)
        assert run.line.derived() == before
        run.line.values *= 2
        run.line.events *= 2
        run.finish(workers[0])
        assert run.line.count(STORED_TWICE) == 0
        assert run.line.client.query(REVISIONS).result_rows == said
