"""The commands of the README, as a newcomer types them."""

import json
import signal
import subprocess
import sys
from time import monotonic

import pytest

from pipeline.settings import Settings
from tests.integration.command import environment
from tests.kafka import choice

TOUCHLINE = [sys.executable, "-m", "jobs.cli"]

pytestmark = pytest.mark.integration


def touchline(folder, *arguments, settings=None):
    return subprocess.run(
        [*TOUCHLINE, *arguments],
        cwd=folder,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.kafka
@pytest.mark.slow
def test_the_demo_of_the_issue(tmp_path):
    arguments = ["demo", "--customers", "500", "--days", "30", "--seed", "7", "--json"]
    settings = Settings(**choice.reach(tmp_path))
    done = touchline(tmp_path, *arguments, settings=settings)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["balanced"]
    assert report["produced"] == report["stored"] + report["duplicates"] + report["rejected"]
    assert report["produced"] > 5000
    assert report["duplicates"] > 0
    assert report["rejected"] == report["produced_malformed"] > 0
    assert report["truth"] == {"compared": report["stored"], "differ": 0, "examples": []}
    assert report["unclassified"] <= 0.01 * report["stored"]
    assert {"web", "email", "phone", "store"} <= set(report["produced_by_channel"])

    again = json.loads(touchline(tmp_path, *arguments, settings=settings).stdout)
    assert (again["stored"], again["truth"]) == (report["stored"], report["truth"])
    shown = touchline(tmp_path, "query", "data_quality", "--format", "json")
    quality = {(row["section"], row["measure"]): row["value"] for row in json.loads(shown.stdout)}
    assert quality["stored", "events"] == report["stored"]
    assert quality["rejected", "all"] == 2 * report["rejected"]


def test_up_produce_and_query_side_by_side(tmp_path):
    with (tmp_path / "up.log").open("w") as log:
        up = subprocess.Popen([*TOUCHLINE, "up"], cwd=tmp_path, env=environment(), stdout=log)
    try:
        simulate = ["simulate", "--customers", "40", "--days", "14", "--seed", "3"]
        simulated = touchline(
            tmp_path, *simulate, "--out", "events.ndjson", "--malformed", "0", "--json"
        )
        assert simulated.returncode == 0, simulated.stderr
        deadline = monotonic() + 60
        while "Ctrl-C stops" not in (tmp_path / "up.log").read_text():
            assert up.poll() is None
            assert monotonic() < deadline
        produced = touchline(tmp_path, "produce", "all", "events.ndjson", "--json")
        assert produced.returncode == 0, produced.stderr
        delivered = json.loads(produced.stdout)["delivered"]
        assert delivered > 100
        records = None
        while records != delivered:
            assert monotonic() < deadline, records
            shown = touchline(tmp_path, "query", "data_quality", "--format", "json")
            rows = {
                (row["section"], row["measure"]): row["value"] for row in json.loads(shown.stdout)
            }
            records = rows["stored", "records"]
        shown = touchline(tmp_path, "query", "top_paths")
        assert "Top paths" in shown.stdout
        second = touchline(tmp_path, "up")
        assert second.returncode == 1
        assert "already" in second.stderr
    finally:
        up.send_signal(signal.SIGINT)
        code = up.wait(40)
    assert code == 0
    after = touchline(tmp_path, "query", "stage_distribution", "--format", "csv")
    assert after.stdout.startswith("stage,")
