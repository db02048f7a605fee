"""Topics that are not what they were: more partitions."""

from __future__ import annotations

import pytest

from pipeline import topics
from tests.faults.harness import log_of, trial
from tests.faults.sending import send, tally, valid
from tests.kafka import choice
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_partitions_added_to_one_topic_are_noticed(tmp_path):
    if not choice.is_apache():
        pytest.skip("the embedded broker adds no partitions: --kafka apache")
    with trial(
        tmp_path, 16, "partitions added to one topic under a running worker, then to all",
        "worker stops and says so, refuses to start until all have as many", partitions=2,
    ) as run:  # fmt: skip
        send(run, [valid(number) for number in range(300)])
        worker = run.worker()
        run.line.drain(worker)
        names = sorted(run.line.ids)
        with topics.admin(run.line.settings) as client:
            client.create_partitions({names[0]: 4})
        run.faults += 1
        until(lambda: worker.process.poll() is not None, 120, "the worker to stop")
        assert worker.process.returncode == 1
        assert "partitions were added" in log_of(worker)
        refused = run.worker()
        assert refused.process.wait(120) == 1
        assert "equal partition counts" in log_of(refused)
        with topics.admin(run.line.settings) as client:
            client.create_partitions(dict.fromkeys(names[1:], 4))
        send(run, [valid(number) for number in range(300, 600)], key=b"customer_id:C-2")
        run.line.drain(run.worker())
        tally(run, 600, {})
