"""The doctor and the topics command on a running line, well and unwell."""

import json
import os
import subprocess
import sys

import pytest

from pipeline import topics
from pipeline.doctor.findings import Level
from pipeline.producers import Producer
from tests.integration.command import environment, touchline
from tests.kafka import choice
from tests.line import running_line
from tests.unit.events import event

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    with running_line(tmp_path_factory.mktemp("line") / ".touchline", partitions=2) as running:
        yield running


def run(line, *arguments):
    return touchline(line.settings.home.parent, *arguments, settings=choice.given(line.settings))


def answer(line, *arguments, code=0):
    done = run(line, *arguments, "--json")
    assert done.returncode == code, done
    return json.loads(done.stdout)


def levels(found):
    worst = {}
    for each in found["checks"]:
        worst.setdefault(each["check"], set()).add(each["level"])
    return worst


def test_a_line_that_is_well(line):
    worker = line.worker()
    with Producer(line.settings, line.loaded.channels) as producer:
        producer.send(event(event_id="e-1"))
    line.drain(worker)
    found = answer(line, "doctor")
    assert found["healthy"]
    assert found["fail"] == 0
    said = levels(found)
    assert {"settings", "catalog", "kafka", "topics", "workers", "clickhouse", "clock"} <= set(said)
    for check in ("kafka", "workers", "clock", "schema", "published catalog"):
        assert said[check] == {"ok"}, found
    # a real broker alone keeps one copy, and is told to
    assert said["topics"] == ({"ok", "warn"} if choice.is_apache() else {"ok"})
    assert all(bool(each["fix"]) == (each["level"] in ("warn", "fail")) for each in found["checks"])
    worker.stop()


def test_the_doctor_changes_nothing_and_starts_nothing(line, tmp_path):
    done = touchline(tmp_path, "doctor")
    assert done.returncode == 0, done
    assert b"does not run" in done.stdout
    assert os.listdir(tmp_path) == []


def test_what_is_wrong_is_found_and_the_rest_is_looked_at(line):
    client = line.client
    client.command("RENAME TABLE schema_migrations TO hidden")
    try:
        found = answer(line, "doctor", code=1)
    finally:
        client.command("RENAME TABLE hidden TO schema_migrations")
    said = levels(found)
    assert said["schema"] == {"fail"}
    assert said["published catalog"] == {"skip"}
    assert "ok" in said["topics"]
    (schema,) = [each for each in found["checks"] if each["check"] == "schema"]
    assert "touchline migrate" in schema["fix"]


def test_servers_that_are_not_there(tmp_path):
    settings = {
        "TOUCHLINE_KAFKA": "127.0.0.1:1",
        "TOUCHLINE_CLICKHOUSE": "clickhouse://me@127.0.0.1:1/touchline",
        "TOUCHLINE_PEPPER": "p" * 16,
    }
    done = subprocess.run(
        [sys.executable, "-m", "jobs.cli", "doctor", "--json"], cwd=tmp_path,
        env={**environment(), **settings}, capture_output=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 1, done
    said = levels(json.loads(done.stdout))
    assert said["kafka"] == said["clickhouse"] == {Level.FAIL.value}
    assert said["topics"] == said["schema"] == {Level.SKIP.value}
    assert b"p" * 16 not in done.stdout + done.stderr


def test_topics_are_made_once_and_equal(line):
    web, moments = topics.interactions(line.settings, "web"), topics.moments(line.settings)
    with topics.admin(line.settings) as client:
        client.delete_topics([web, moments])
    tried = answer(line, "topics", "create", "--dry-run")
    assert [each["name"] for each in tried["created"]] == [web, moments]
    assert {each["partitions"] for each in tried["created"]} == {2}, "as the other input topics"
    missing = answer(line, "topics", "check")
    assert f"{web}, {moments}" in missing["checks"][0]["said"]
    refused = run(line, "topics", "create", "--partitions", "3")
    assert refused.returncode == 1
    assert b"--partitions 2" in refused.stderr
    assert answer(line, "topics", "create")["created"] == tried["created"]
    assert answer(line, "topics", "create")["created"] == []
    found = answer(line, "topics", "check")
    assert found["healthy"]
    assert found["topics"][web] == {
        "partitions": 2,
        "replication": 1,
        "in_sync": 1,
    }
    line.ids = topics.ensure(line.settings, line.loaded.catalog)
