"""ClickHouse that is away, slow, in trouble, or loses its answers: one copy of everything."""

from __future__ import annotations

import os
from time import monotonic, sleep

import psutil
import pytest

from pipeline.simulator import Plan
from tests.faults.harness import log_of, trial
from tests.faults.http_proxy import (
    MEMORY,
    NO_SPACE,
    TABLE_IS_READ_ONLY,
    TIMEOUT,
    TOO_MANY_PARTS,
    Fault,
)
from tests.faults.samples import Sampler

pytestmark = pytest.mark.timeout(900)

SMALL = {"batch_rows": 300, "batch_seconds": 0.05}
PLAN = Plan(customers=120, days=30, seed=31)
#: Every table that a worker writes while it works.
WRITTEN = (
    "interaction_records",
    "rejections",
    "moment_records",
    "promise_records",
    "detection_progress",
    "customer_changes",
    "step_records",
    "journey_records",
)
#: Seconds that ClickHouse is away; 1200 is the twenty minutes of the fault matrix.
OUTAGE = float(os.environ.get("FAULT_OUTAGE", "60"))
#: What a worker may grow by while it waits: its queues fill up to what they may hold.
GROWTH = 150_000_000


@pytest.mark.slow
def test_answers_lost_after_success_and_requests_lost_before_leave_one_copy(tmp_path):
    with trial(
        tmp_path, 5, "answers cut off after success, requests cut off; every table written",
        "one copy", **SMALL,
    ) as run:  # fmt: skip
        run.line.produce(PLAN)
        lost = [Fault("lose_answer", f"INSERT INTO {table}", 2, every=3) for table in WRITTEN]
        cut = [Fault("cut", f"INSERT INTO {table}", 1, every=5) for table in WRITTEN]
        for fault in [*cut, *lost, Fault("lose_answer", "SELECT", 5, every=9)]:
            run.clickhouse.inject(fault)
        run.finish()
        assert [fault.statement for fault in lost if not fault.done] == []


def test_answers_lost_where_it_matters_most_leave_one_copy(tmp_path):
    with trial(
        tmp_path, 5, "answers to inserts of records, moments and notes cut off after success",
        "one copy", **SMALL,
    ) as run:  # fmt: skip
        run.line.produce(Plan(customers=40, days=20, seed=32))
        for table in ("interaction_records", "moment_records", "customer_changes"):
            run.clickhouse.inject(Fault("lose_answer", f"INSERT INTO {table}", 1))
        run.finish()
        assert run.clickhouse.served["lose_answer"] == 3


@pytest.mark.slow
def test_a_server_in_trouble_is_asked_again_and_nothing_is_rejected_for_it(tmp_path):
    with trial(
        tmp_path, 6, "read-only, disk full, too many parts, memory, timeout; 500, 502, 503 without "
        "a word", "warning, tried again, nothing rejected", **SMALL,
    ) as run:  # fmt: skip
        run.line.produce(PLAN)
        codes = (TABLE_IS_READ_ONLY, TOO_MANY_PARTS, NO_SPACE, MEMORY, TIMEOUT)
        for number, code in enumerate(codes):
            table = ("interaction_records", "moment_records", "rejections")[number % 3]
            run.clickhouse.inject(Fault("error", f"INSERT INTO {table}", 2, every=3, code=code))
        for status in (500, 502, 503):
            run.clickhouse.inject(Fault("status", "interaction_records", 1, every=4, status=status))
        worker = run.worker()
        run.finish(worker)
        assert "ClickHouse cannot do this for now (error 2" in log_of(worker)
        assert run.clickhouse.faults > 5


@pytest.mark.slow
def test_a_slow_server_is_waited_for(tmp_path):
    with trial(
        tmp_path, 5, "every insert answered 2 s late, every piece of network 20 ms", "one copy",
        **{**SMALL, "batch_rows": 1000},
    ) as run:  # fmt: skip
        run.line.produce(PLAN)
        run.clickhouse.inject(Fault("late", "INSERT INTO interaction_records", -1, seconds=2.0))
        run.clickhouse.inject(Fault("late", "INSERT INTO moment_records", -1, seconds=2.0))
        run.wire.delay = 0.02
        run.finish()


@pytest.mark.slow
def test_a_frozen_server_costs_nothing_but_time(tmp_path):
    with trial(
        tmp_path, 5, "host frozen for 15 s (accepts, never answers), then its connections reset",
        "one copy", **SMALL,
    ) as run:  # fmt: skip
        run.line.produce(PLAN)
        worker = run.worker()
        stored = run.until_stored(0, worker)
        run.wire.silence()
        sleep(15)
        worker.check()
        assert run.stored() <= stored + 2 * SMALL["batch_rows"]
        run.wire.resume()
        run.finish(worker)


@pytest.mark.slow
@pytest.mark.timeout(900 + 2 * int(OUTAGE))
def test_an_outage_is_ridden_out_with_flat_memory(tmp_path):
    with trial(
        tmp_path, 5, f"ClickHouse down for {OUTAGE:.0f} s under load (connections refused)",
        "lag grows, memory flat, catches up; one copy", **{**SMALL, "batch_bytes": 1_048_576},
    ) as run:  # fmt: skip
        run.line.produce(PLAN)
        worker = run.worker()
        run.until_stored(0, worker)
        run.wire.refuse()
        run.line.produce(Plan(customers=900, days=30, seed=33))
        memory = Sampler(psutil.Process(worker.process.pid))
        until = monotonic() + OUTAGE
        while monotonic() < until:
            memory.sample()
            worker.check()
            sleep(0.5)
        stored, committed = run.stored(), run.committed()
        ends = sum(run.line.ends().values())
        assert committed <= stored < ends / 2, "nothing waited: no load while it was down"
        assert memory.growth() < GROWTH, memory.values
        run.wire.resume()
        run.finish(worker)
        assert "alarm: clickhouse: unreachable" in log_of(worker)
        run.result.outcome += (
            f" (memory +{max(memory.growth(), 0) / 1e6:.0f} MB, lag {ends - committed:,})"
        )
