"""Three workers on twelve partitions: shared evenly, left and joined while records come."""

import re
from collections import Counter

import pytest

from pipeline.simulator import Plan
from tests.asking import samples
from tests.faults.harness import STORED
from tests.faults.invariant import verdict
from tests.line import running_line
from tests.waiting import until

SAID = re.compile(r"metrics and health at http://(\S+?)/metrics")
LAG = "touchline_lag_records"


def start(line):
    """Start a worker; return it, and where it tells what it has."""
    known = addresses(line)
    worker = line.worker(status_port=0, batch_rows=300, batch_seconds=0.05)

    def fresh():
        worker.check()
        return addresses(line) - known

    (address,) = until(fresh, 90, "an address")
    return worker, address


def addresses(line):
    log_file = line.settings.home / "worker.log"  # they share it
    return set(SAID.findall(log_file.read_text())) if log_file.exists() else set()


def evenly_shared(line, running):
    """Whether each worker has a third of the partitions, and all channels of each of those."""
    found = []
    for _, address in running:
        topics = Counter(
            int(dict(labels)["partition"]) for name, labels in samples(address) if name == LAG
        )
        if set(topics.values()) - {len(line.ids)}:
            return False  # a worker has a partition of one channel and not of another
        found.append(sorted(topics))
    everything = sorted(number for share in found for number in share)
    return everything == list(range(12)) and [len(share) for share in found] == [4, 4, 4]


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.timeout(600)
def test_three_workers_share_twelve_partitions_and_come_and_go(tmp_path):
    with running_line(tmp_path / "home", partitions=12, idle=1.0) as line:
        running = [start(line) for _ in range(3)]
        until(lambda: evenly_shared(line, running), 90, "partitions shared by three")

        line.produce(Plan(customers=120, days=30, seed=11))
        until(lambda: line.count(STORED) > 200, 60, "something stored")
        killed, _ = running.pop(0)
        killed.process.kill()
        killed.process.wait()
        stopped, _ = running.pop(0)
        stopped.stop()
        assert stopped.process.returncode == 0
        line.produce(Plan(customers=60, days=30, seed=12))
        running += [start(line), start(line)]
        until(lambda: evenly_shared(line, running), 90, "partitions shared by three again")

        line.drain()
        assert not (found := verdict(line)).found, found
