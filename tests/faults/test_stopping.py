"""SIGTERM, whatever the worker is about: exit 0 in time, and nothing acknowledged too early."""

from __future__ import annotations

from time import monotonic

import pytest

from pipeline.simulator import Plan
from tests.faults.harness import log_of, trial
from tests.faults.http_proxy import Fault
from tests.waiting import until

pytestmark = pytest.mark.timeout(600)

PLAN = Plan(customers=200, days=30, seed=41)
SMALL = {"batch_rows": 150, "batch_seconds": 0.05}
#: Seconds within which a worker ends that was told to, on a busy machine.
DEADLINE = 30.0

FAULTS = {
    "idle": lambda run: None,
    "under load": lambda run: None,
    "ClickHouse down": lambda run: run.wire.refuse(),
    "ClickHouse frozen": lambda run: run.wire.silence(),
    "broker down": lambda run: run.kafka.refuse(),
    "broker frozen": lambda run: run.kafka.silence(),
}


def stopped(tmp_path, fault):
    with trial(tmp_path, 3, f"SIGTERM {fault}", f"exit 0 within {DEADLINE:.0f} s", **SMALL) as run:
        if fault != "idle":
            run.line.produce(PLAN)
        worker = run.worker()
        if fault == "idle":
            run.until_ready(worker)
        else:
            run.until_stored(0, worker)
        FAULTS[fault](run)
        if "down" in fault or "frozen" in fault:
            run.until_stuck(worker)
        began = monotonic()
        worker.process.terminate()
        run.faults += 1
        code = worker.process.wait(DEADLINE)
        took = monotonic() - began
        assert code == 0, log_of(worker)[-2000:]
        run.wire.resume()
        run.kafka.resume()
        stored = run.stored()
        assert run.committed() <= stored + len(run.line.values) - len(run.line.events)
        if fault == "idle":
            run.line.produce(PLAN)
        else:
            assert stored < len(run.line.events), "it had nothing left to do"
        run.finish()
        run.result.outcome += f" (took {took:.1f} s)"


@pytest.mark.parametrize("fault", ["ClickHouse frozen"])
def test_sigterm_is_obeyed_while_clickhouse_does_not_answer(tmp_path, fault):
    stopped(tmp_path, fault)


@pytest.mark.parametrize(
    ("seconds", "ended"), [(3.0, True), pytest.param(12.0, False, marks=pytest.mark.slow)]
)
def test_the_batch_that_is_being_stored_ends_first_where_it_can(tmp_path, seconds, ended):
    """Its moments go to Kafka: the producer must not stop before it, and need not be there."""
    with trial(
        tmp_path, 3, f"SIGTERM while an insert takes {seconds:.0f} s",
        f"exit 0, the batch {'is' if ended else 'is not'} acknowledged", **SMALL,
    ) as run:  # fmt: skip
        run.line.produce(PLAN)
        slow = Fault("late", "INSERT INTO interaction_records", seconds=seconds)
        run.clickhouse.inject(slow)
        worker = run.worker()
        until(lambda: slow.done or worker.check(), 60, "the slow insert")
        committed = run.committed()
        worker.process.terminate()
        assert worker.process.wait(DEADLINE) == 0, log_of(worker)[-2000:]
        assert (run.committed() > committed) is ended, log_of(worker)[-2000:]
        assert "CRITICAL" not in log_of(worker)
        run.finish()


@pytest.mark.slow
@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "ClickHouse frozen"])
def test_sigterm_is_obeyed(tmp_path, fault):
    stopped(tmp_path, fault)
