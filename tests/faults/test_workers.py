"""Workers that join, leave and freeze: one state, and what belongs to the past is dropped."""

from __future__ import annotations

import signal
from time import sleep

import pytest

from tests.faults.harness import trial
from tests.faults.load import Load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SMALL = {"batch_rows": 150, "batch_seconds": 0.05}


def test_three_workers_join_and_leave_under_load(tmp_path):
    with trial(
        tmp_path, 13, "three workers join one after the other, two leave (SIGTERM, SIGKILL)",
        "one copy, one state", **SMALL,
    ) as run:  # fmt: skip
        load = Load(run)
        load.refill()
        first = run.worker()
        run.until_stored(0, first)
        second = run.worker()
        run.until_ready(second)
        load.refill()
        third = run.worker()
        run.until_ready(third)
        load.refill()
        run.until_stored(run.stored(), first)
        second.stop()
        sleep(2)
        first.process.kill()
        run.faults += 5
        run.finish(third)


def test_a_worker_frozen_past_its_session_drops_what_it_held(tmp_path):
    with trial(
        tmp_path, 13, "worker frozen (SIGSTOP) for 20 s, session timeout 6 s, another takes over, "
        "then it goes on", "stale batch dropped or stored once; one state", **SMALL,
    ) as run:  # fmt: skip
        load = Load(run)
        load.refill()
        frozen = run.worker()
        run.until_stored(0, frozen)
        for _ in range(2):
            other = run.worker()
            frozen.process.send_signal(signal.SIGSTOP)
            stored = run.stored()
            load.refill()
            sleep(20)
            run.until_stored(stored, other)
            frozen.process.send_signal(signal.SIGCONT)
            run.faults += 1
            sleep(3)
            frozen.check()
            other.stop()
        run.finish(frozen)
