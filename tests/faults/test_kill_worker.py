"""Workers killed at random moments: nothing lost, nothing twice, and the same journeys."""

import os
import random
from datetime import timedelta
from subprocess import TimeoutExpired

import pytest

from pipeline.simulator import Plan
from tests import oracle
from tests.line import running_line
from tests.moments_line import check_moments
from tests.waiting import until

#: Kills in ``make test``; ``make test-faults`` sets 20 and more.
KILLS = int(os.environ.get("FAULT_CYCLES", "3"))


STORED = "SELECT count() FROM interaction_records"
STORED_TWICE = """
SELECT count() - uniqExact(topic, topic_id, partition, offset) FROM interaction_records
"""

CLASSIFIED = "SELECT event_id, touchpoint, stage FROM {view:Identifier}"
REVISIONS = "SELECT * FROM moment_records ORDER BY moment_id, revision"


def await_progress(line, worker, before):
    """Wait until a worker has stored something."""
    until(lambda: line.count(STORED) > before or worker.check(), 60, "anything stored")


def check_everything(line):
    """Compare ClickHouse with the simulator's truth and the sequential oracle."""
    found = line.account()
    assert found.balanced, found
    assert found.stored == len(line.truth)
    assert found.records == len(line.events)
    assert sum(found.rejected.values()) == len(line.values) - len(line.events)
    assert found.unclassified <= 0.01 * found.records

    assert line.count(STORED_TWICE) == 0
    assert line.count("SELECT count() - uniqExact(event_id) FROM interactions") == 0

    meant = {key: (truth.touchpoint, truth.stage) for key, truth in line.truth.items()}
    for view in ("interactions", "steps"):
        rows = line.client.query(CLASSIFIED, parameters={"view": view}).result_rows
        assert len(rows) == len(meant)
        assert {event_id: (touchpoint, stage) for event_id, touchpoint, stage in rows} == meant

    customers = oracle.customers_of(
        line.events, {key: str(truth.touchpoint) for key, truth in line.truth.items()}
    )
    gap = timedelta(seconds=line.loaded.catalog.journey.gap.total_seconds())
    rows = line.client.query("SELECT path, count() FROM journeys GROUP BY path").result_rows
    assert {tuple(path): count for path, count in rows} == oracle.paths(customers, gap)


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_killed_at_random_and_started_again(tmp_path):
    dice = random.Random(2026)
    with running_line(tmp_path / "home", partitions=4, idle=1.0) as line:
        line.produce(Plan(customers=max(500, 200 * KILLS), days=30, seed=7))
        small = {"batch_rows": 150, "batch_seconds": 0.05}
        stored = 0
        for _ in range(KILLS):
            worker = line.worker(**small)
            await_progress(line, worker, stored)
            pause = dice.uniform(0, 0.3)
            with pytest.raises(TimeoutExpired):
                worker.process.wait(pause)
            worker.process.kill()
            worker.process.wait()
            stored = line.count(STORED)
        assert stored < len(line.events), "the load was over before the last kill"
        last = line.worker()
        line.drain(last)
        check_everything(line)
        assert len(check_moments(line).moments) > 300
        line.check_rebuilt()


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.timeout(600)
def test_replay_and_three_workers_change_nothing(tmp_path):
    with running_line(tmp_path / "home", partitions=4, idle=1.0) as line:
        line.produce(Plan(customers=120, days=30, seed=11))
        for _ in range(3):
            line.worker()
        line.drain()
        check_everything(line)
        check_moments(line)
        said = line.client.query(REVISIONS).result_rows
        before = line.derived()
        line.replay()
        line.drain()
        assert line.count(STORED) == 2 * len(line.events)
        assert line.count("SELECT count() FROM interactions") == len(line.truth)
        assert line.derived() == before
        check_moments(line)
        assert line.client.query(REVISIONS).result_rows == said
        found = line.account()
        assert found.balanced
        assert found.duplicates == 2 * len(line.events) - len(line.truth)
        line.check_rebuilt()
