"""A broker that is away: resumed when it is back, told clearly when it never comes."""

from __future__ import annotations

from time import monotonic, sleep

import pytest

from pipeline.simulator import Plan
from tests.faults.harness import log_of, trial
from tests.faults.load import Load
from tests.kafka import choice

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PLAN = Plan(customers=200, days=30, seed=51)
SMALL = {"batch_rows": 150, "batch_seconds": 0.05}


def test_connections_cut_again_and_again(tmp_path):
    with trial(tmp_path, 4, "every broker connection reset, 10 times", "resumes", **SMALL) as run:
        run.line.produce(PLAN)
        worker = run.worker()
        run.until_stored(0, worker)
        for _ in range(10):
            run.kafka.cut()
            sleep(0.7)
        run.finish(worker)


@pytest.mark.parametrize(("fault", "words"), [("refuse", "down"), ("silence", "frozen")])
def test_away_for_longer_than_a_session(tmp_path, fault, words):
    with trial(
        tmp_path, 4, f"broker {words} for 20 s under load (session timeout 6 s)", "resumes", **SMALL
    ) as run:
        run.line.produce(PLAN)
        worker = run.worker()
        run.until_stored(0, worker)
        getattr(run.kafka, fault)()
        began = monotonic()
        while monotonic() - began < 20:
            worker.check()
            sleep(0.5)
        assert run.stored() < len(run.line.events), "there was nothing left to do"
        run.kafka.resume()
        run.finish(worker)


def test_a_broker_killed_and_started_again(tmp_path):
    if not choice.is_apache():
        pytest.skip("the embedded broker keeps nothing: --kafka apache")
    with trial(
        tmp_path, 4, "broker killed (SIGKILL) under load, started again after 5 s, 3 times",
        "resumes", **SMALL,
    ) as run:  # fmt: skip
        worker, load, stored = run.worker(), Load(run), 0
        for _ in range(3):
            load.refill()
            stored = run.until_stored(stored, worker)
            assert run.broker.apache is not None
            run.broker.apache.stop()
            run.faults += 1
            sleep(5)
            run.broker.apache = run.broker.apache.again()
        run.finish(worker)


def test_a_worker_starts_before_its_broker(tmp_path):
    with trial(tmp_path, 4, "broker absent at start, there after 10 s", "starts then") as run:
        run.line.produce(PLAN)
        run.kafka.refuse()
        worker = run.worker()
        run.until_said("not ready yet", worker)
        sleep(10)
        worker.check()
        run.kafka.resume()
        run.finish(worker)


def test_a_broker_that_never_comes_ends_the_start_with_a_reason(tmp_path):
    with trial(
        tmp_path, 4, "broker never there", "exit 1 within two minutes, naming address and settings"
    ) as run:
        run.kafka.refuse()
        worker = run.worker()
        assert worker.process.wait(120) == 1
        said = log_of(worker).splitlines()[-1]
        assert "no Kafka broker at 127.0.0.1" in said
        assert "TOUCHLINE_KAFKA" in said
        run.result.faults = 1
