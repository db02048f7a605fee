"""Foreign logs through Kafka into ClickHouse, with nothing configured."""

from __future__ import annotations

import subprocess
from pathlib import Path

import orjson
import pytest

from pipeline import catalog
from pipeline.embedded.stack import Stack, endpoints
from pipeline.settings import Settings
from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrate import migrate
from tests.integration.command import ROOT, touchline
from tests.kafka import choice

pytestmark = pytest.mark.integration

RECEIPT = ROOT / "docs" / "examples" / "receipt"
REAL_LOG = ROOT.parent / "shared" / "data" / "receipt" / "receipt.csv"

ROWS = """\
case:channel,case:concept:name,case:deadline,case:department,case:enddate,case:enddate_planned,\
case:group,case:responsible,case:startdate,concept:instance,concept:name,lifecycle:transition,\
org:group,org:resource,time:timestamp
Internet,case-1,2030-02-28 10:00:00+01:00,General,,,,,,task-1,Confirmation of receipt,complete,,,\
2030-01-02 10:30:00+01:00
Desk,case-2,2030-02-28 10:00:00+01:00,General,,,,,,task-2,Something else,complete,,,\
2030-01-02 10:30:00+01:00
Fax,case-3,2030-02-28 10:00:00+01:00,General,,,,,,task-3,Confirmation of receipt,complete,,,\
2030-01-02 10:30:00+01:00
Intern,case-4,sometime,General,,,,,,task-4,Confirmation of receipt,complete,,,\
2030-01-02 10:30:00+01:00
"""


def ingest(directory: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return touchline(
        directory, "ingest", *arguments, "--map", str(RECEIPT / "map.toml"),
        "--catalog", str(RECEIPT / "catalog.toml"), settings=Settings(**choice.reach(directory)),
    )  # fmt: skip


@pytest.mark.kafka
@pytest.mark.slow
def test_ingest_stores_what_fits_and_keeps_the_rest(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(ROWS, encoding="utf-8")
    done = ingest(tmp_path, "log.csv", "--json", "--rejects", "bad.csv")
    assert done.returncode == 1, done.stderr
    report = orjson.loads(done.stdout)
    assert (report["read"], report["delivered"], report["stored"]) == (4, 2, 2)
    assert (report["unclassified"], report["rejected"], report["balanced"]) == (1, {}, True)
    assert [(i["row"], i["line"], i["reason"], i["field"]) for i in report["problems"]] == [
        (3, 4, "unknown_value", "channel"),
        (4, 5, "invalid_time", "promise_due_at"),
    ]
    kept = (tmp_path / "bad.csv").read_text(encoding="utf-8")
    assert kept.splitlines()[0].startswith("touchline_row,case:channel,")
    mended = kept.replace("Fax", "Post").replace("sometime", "2030-02-28 10:00:00+01:00")
    (tmp_path / "mended.csv").write_text(mended, encoding="utf-8")
    again = ingest(tmp_path, "mended.csv")
    assert (again.returncode, again.stdout.decode().splitlines()) == (
        0,
        [
            "2 rows = 2 sent + 0 that do not fit",
            "2 sent = 2 stored + 0 duplicates + 0 rejected; 0 unclassified",
        ],
    )


def test_a_map_that_does_not_fit_the_log_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(ROWS.replace("case:deadline", "deadline"), encoding="utf-8")
    done = ingest(tmp_path, "log.csv")
    told = done.stderr.decode().replace("\n", " ")
    assert done.returncode == 2
    assert "map.toml:17: event.promise_due_at: the log has no column 'case:deadline' (fix: " in told
    assert not (tmp_path / ".touchline").exists()


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.skipif(not REAL_LOG.exists(), reason="the real log is not beside this checkout")
def test_the_real_log_is_stored_row_by_row(tmp_path: Path) -> None:
    done = ingest(tmp_path, str(REAL_LOG), "--json")
    report = orjson.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert (report["read"], report["delivered"], report["stored"]) == (8_577, 8_577, 8_577)
    assert (report["distinct"], report["unclassified"], report["rejected"]) == (8_577, 0, {})


def test_running_workers_must_use_the_same_catalog(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / ".touchline")
    default = catalog.load(None)
    (tmp_path / "log.csv").write_text(ROWS, encoding="utf-8")
    with (
        Stack.start(settings, lasting=True),
        endpoints(settings, kafka=True, clickhouse=True) as connected,
    ):
        client = connect(connected.settings)
        migrate(client, connected.settings)
        publish(client, default.catalog, default.version)
        client.close()
        done = ingest(tmp_path, "log.csv")
    told = done.stderr.decode().replace("\n", " ")
    assert done.returncode == 1
    assert f"the running workers use catalog version {default.version}" in told
    assert done.stdout == b""
