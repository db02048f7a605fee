"""The engine killed while it stores: what it had acknowledged is there, the rest comes again."""

from __future__ import annotations

import os
import random
from time import sleep

import pytest

from tests.faults.harness import trial
from tests.faults.load import Load

#: Kills of the engine.
KILLS = int(os.environ.get("FAULT_ENGINE_CYCLES", "10"))


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * KILLS)
def test_killed_at_random_and_started_again(tmp_path):
    dice = random.Random(2)
    with trial(
        tmp_path, 2, "ClickHouse engine killed (SIGKILL) while it stores, started again",
        "read-back repairs; one copy", batch_rows=150, batch_seconds=0.05,
    ) as run:  # fmt: skip
        worker, load = run.worker(), Load(run)
        stored = 0
        for _ in range(KILLS):
            load.refill()
            stored = run.until_stored(stored, worker)
            sleep(dice.uniform(0, 0.5))
            run.engine.kill()
            run.faults += 1
            run.engine.restart()
            run.reconnect()
        run.result.runs = KILLS
        run.finish(worker)
