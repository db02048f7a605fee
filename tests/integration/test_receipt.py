"""The real log of the README, through the commands a user types, against polars over the file."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from pipeline import catalog
from pipeline.settings import Settings
from tests.integration.command import environment
from tests.kafka import choice

ROOT = Path(__file__).resolve().parents[2]
LOG = ROOT.parent / "shared" / "data" / "receipt" / "receipt.csv"
EXAMPLE = ROOT / "docs" / "examples" / "receipt"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.kafka,
    pytest.mark.skipif(
        not LOG.exists(), reason="the receipt log is not part of the project: see docs/ingest.md"
    ),
]


def touchline(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "jobs.cli", *map(str, arguments)],
        cwd=folder,
        env=environment(Settings(**choice.reach(folder))),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def directly_follows():
    """Count which activity follows which within a request, from the file alone."""
    log = pl.read_csv(LOG, infer_schema=False)
    ordered = log.with_columns(
        pl.col("time:timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z", time_zone="UTC")
    ).sort("case:concept:name", "time:timestamp")
    after = pl.col("concept:name").shift(-1).over("case:concept:name").alias("after")
    pairs = ordered.with_columns(after).drop_nulls("after")
    return {
        (before, after): count
        for before, after, count in pairs.group_by("concept:name", "after").len().iter_rows()
    }


def names(catalog_file):
    """Return the activity of each touchpoint, by the catalog's own rules."""
    return {
        touchpoint.id: action
        for touchpoint in catalog.load(catalog_file).catalog.touchpoints
        for match in touchpoint.match
        for action in match.action or []
    }


@pytest.mark.timeout(300)
def test_the_receipt_log_twice(tmp_path):
    arguments = (LOG, "--map", EXAMPLE / "map.toml", "--catalog", EXAMPLE / "catalog.toml")
    activity = names(EXAMPLE / "catalog.toml")
    wanted = directly_follows()
    channels = {"web": 7478, "store": 657, "post": 308, "email": 128, "intern": 6}
    for times in (1, 2):
        report = touchline(tmp_path, "ingest", *arguments, "--json")
        assert report["read"] == report["delivered"] == report["stored"] == 8577
        assert report["balanced"]
        assert report["unclassified"] == 0
        assert report["already_stored"] == (times - 1) * 8577

        rows = touchline(tmp_path, "query", "transitions", "--format", "json")
        found = {
            (activity[row["from_touchpoint"]], activity[row["to_touchpoint"]]): row["transitions"]
            for row in rows
        }
        assert found == wanted, f"after ingesting it {times} times"
    rows = touchline(tmp_path, "query", "data_quality", "--format", "json")
    quality = {(row["section"], row["measure"]): row["value"] for row in rows}
    assert quality["stored", "records"] == 2 * 8577
    assert quality["stored", "events"] == quality["stored", "duplicates"] == 8577
    rows = touchline(tmp_path, "query", "touchpoint_channels", "--format", "json")
    by_channel: Counter[str] = Counter()
    for row in rows:
        by_channel[row["channel"]] += row["interactions"]
    assert {name: count for name, count in by_channel.items() if count} == channels
    rows = touchline(tmp_path, "query", "top_paths", "--format", "json", "--param", "top=100000")
    assert sum(row["journeys"] for row in rows) == 1434
