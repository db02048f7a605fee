"""A newer version of the program, schema and catalog beside the one that runs; nothing is lost."""

import os
import shutil
import subprocess
import sys

import orjson
import pytest
from kafka import KafkaProducer

from jobs.drain import WorkerProcess
from pipeline import catalog, topics
from pipeline.brokers import kafka_python_options
from pipeline.settings import environment
from pipeline.simulator import Plan
from pipeline.warehouse.ddl import shipped
from tests.integration.command import ROOT
from tests.line import running_line
from tests.moments_line import check_moments
from tests.unit.events import event
from tests.waiting import until

pytestmark = pytest.mark.integration

#: What a later version brings: a table, and a column of the table that every worker writes to.
MIGRATION = """\
-- What a later version may add; this one neither knows nor needs it.
ALTER TABLE ${database}.${table:interaction_records} ${on_cluster}
    ADD COLUMN IF NOT EXISTS pages UInt32 COMMENT 'Pages of a fax';
CREATE TABLE IF NOT EXISTS ${database}.${table:fax_numbers} ${on_cluster}
(number String COMMENT 'A number')
ENGINE = ${engine:ReplacingMergeTree} ORDER BY number COMMENT 'Numbers';
"""
CHANNEL = """
[[channels]]
id = "fax"
name = "Fax"

[[touchpoints]]
id = "fax_received"
name = "Fax received"
kind = "communication"
contact = "physical"
needs = ["get_help"]
stage = "satisfaction"
owner = "Service"
outcome = "Has told us"
process = "Post room"
importance = 1
match = [{ channel = "fax", action = "fax_received" }]
"""
STORED_TWICE = """
SELECT count() - uniqExact(topic, topic_id, partition, offset) FROM interaction_records
"""
FAXES = "SELECT count() FROM interactions WHERE touchpoint = 'fax_received'"


class Newer:
    """A copy of the program with a migration and a catalog of its own."""

    def __init__(self, folder, line):
        for part in ("jobs", "pipeline", "schemas"):
            shutil.copytree(
                ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__")
            )
        self.folder, self.line = folder, line
        self.migration = f"{len(shipped()) + 1:04}_fax.sql"
        (folder / "schemas/sql/migrations" / self.migration).write_text(MIGRATION)
        self.catalog = folder / "catalog.toml"
        default = (ROOT / "schemas/catalogs/default.toml").read_text(encoding="utf-8")
        # keys of the file's beginning come first, tables can follow in any order
        self.catalog.write_text(default + CHANNEL, encoding="utf-8")
        self.settings = line.settings.model_copy(update={"catalog": self.catalog})

    def environment(self):
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TOUCHLINE_")}
        return {**kept, **environment(self.settings), "PYTHONPATH": str(self.folder)}

    def migrate(self):
        subprocess.run(
            [sys.executable, "-m", "jobs.cli", "migrate"], cwd=self.folder,
            env=self.environment(), check=True, timeout=110,
        )  # fmt: skip

    def worker(self):
        log_file = self.folder / "worker.log"
        with log_file.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "jobs.cli", "-v", "worker"], cwd=self.folder,
                env=self.environment(), stdout=log, stderr=log,
            )  # fmt: skip
        worker = WorkerProcess(process, log_file)
        self.line.workers.append(worker)
        return worker


def send_faxes(line, count):
    producer = KafkaProducer(**kafka_python_options(line.settings), acks="all", linger_ms=20)
    for number in range(count):
        customer = f"F-{number % 40}"
        value = event(
            event_id=f"fax-{number}", channel="fax", action="fax_received", details=None,
            identifiers={"customer_id": customer},
        )  # fmt: skip
        key = f"customer_id:{customer}".encode()
        producer.send(topics.interactions(line.settings, "fax"), orjson.dumps(value), key=key)
    producer.flush()
    producer.close()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_versions_side_by_side_lose_and_repeat_nothing(tmp_path):
    with running_line(tmp_path / "home", partitions=4, idle=1.0) as line:
        newer = Newer(tmp_path / "newer", line)
        line.produce(Plan(customers=60, days=30, seed=11))
        small = {"batch_rows": 150, "batch_seconds": 0.05}
        first = line.worker(**small)
        until(lambda: line.count("SELECT count() FROM interaction_records"), 60, "a batch")

        newer.migrate()  # while a worker runs that knows nothing of it
        second = line.worker(**small)  # an older one that starts only now
        third = newer.worker()
        line.ids = until(lambda: with_faxes(line, newer), 60, "the topic of the new channel")
        send_faxes(line, 200)
        line.produce(Plan(customers=60, days=30, seed=12))
        until(lambda: line.count(FAXES) or third.check(), 90, "a fax")
        assert line.count("SELECT count() FROM interaction_records WHERE pages = 0")
        assert first.process.poll() is None
        assert second.process.poll() is None
        assert "the database is newer than this program" in second.log_file.read_text()
        assert newer.migration in second.log_file.read_text()
        first.stop()
        second.stop()

        line.drain(third)
        found = line.account()
        assert found.balanced, found
        assert found.stored == len(line.truth) + 200
        assert found.records == len(line.events) + 200
        assert sum(found.rejected.values()) == len(line.values) - len(line.events)
        assert line.count(STORED_TWICE) == 0
        assert line.count(FAXES) == 200
        line.check_rebuilt()
        check_moments(line)


def with_faxes(line, newer):
    """Return the ids of all topics once the newer worker has made its own."""
    with topics.admin(line.settings) as client:
        if topics.interactions(line.settings, "fax") not in client.list_topics():
            return None
    return topics.ensure(line.settings, catalog.load(newer.catalog).catalog)
