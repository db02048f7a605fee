"""A warehouse that is not what this version writes to: the worker halts and says so."""

from __future__ import annotations

import pytest

from tests.faults.harness import log_of, trial
from tests.faults.sending import send, tally, valid
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DAMAGE = {
    "a column renamed": "ALTER TABLE interaction_records RENAME COLUMN touchpoint TO touch",
    "a table renamed": "RENAME TABLE interaction_records TO elsewhere",
}
REPAIR = {
    "a column renamed": "ALTER TABLE interaction_records RENAME COLUMN touch TO touchpoint",
    "a table renamed": "RENAME TABLE elsewhere TO interaction_records",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_worker_halts_and_goes_on_after_the_repair(tmp_path, damage):
    with trial(
        tmp_path, 7, f"{damage} under a running worker", "halts with the fix, nothing acknowledged"
    ) as run:
        send(run, [valid(number) for number in range(500)])
        worker = run.worker()
        run.line.drain(worker)
        committed = run.committed()
        run.line.client.command(DAMAGE[damage])
        run.faults += 1
        send(run, [valid(number) for number in range(500, 1_000)])
        until(lambda: worker.process.poll() is not None, 120, "the worker to halt")
        assert worker.process.returncode == 1
        assert "touchline migrate" in log_of(worker)
        assert run.committed() == committed
        # and one that starts does not get that far
        assert run.worker().process.wait(120) == 1
        run.line.client.command(REPAIR[damage])
        run.line.drain(run.worker())
        tally(run, 1_000, {})
