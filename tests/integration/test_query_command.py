"""``touchline query`` and ``touchline migrate`` as people and programs run them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from pipeline.embedded.stack import embedded, endpoints
from pipeline.identify import Keyring
from pipeline.settings import Settings
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrate import migrate
from tests.integration.command import touchline
from tests.integration.warehouse_records import insert, rebuild, record

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory whose embedded engine runs and holds sixty interactions of one customer."""
    path = tmp_path_factory.mktemp("work")
    settings = Settings(home=path / ".touchline")
    with (
        embedded(settings, broker=False),
        endpoints(settings, kafka=False, clickhouse=True) as connected,
    ):
        client = connect(connected.settings)
        migrate(client, connected.settings)
        assert connected.settings.pepper is not None
        key = Keyring(connected.settings.pepper).key("customer_id", "C-17")
        made = [record(n, customer_key=key, touchpoint=f"t{n % 60}") for n in range(60)]
        insert(client, made, 100)
        rebuild(client)
        yield path


def test_a_newcomer_with_nothing_stored_gets_an_answer(tmp_path: Path) -> None:
    ran = touchline(tmp_path, "query", "top_paths")
    assert (ran.returncode, ran.stdout) == (1, b"")
    assert b"no data in .touchline yet (fix: run `touchline demo`" in ran.stderr
    assert b"Traceback" not in ran.stderr
    assert list(tmp_path.iterdir()) == []
    assert touchline(tmp_path, "migrate").returncode == 0
    ran = touchline(tmp_path, "query", "top_paths")
    assert ran.returncode == 0, ran.stderr
    assert b"nothing found" in ran.stdout
    assert b"data_quality" in ran.stderr
    again = touchline(tmp_path, "migrate")
    assert (again.returncode, again.stdout) == (0, b"database touchline is up to date\n")


def test_table_shows_a_screenful_and_says_so(directory: Path) -> None:
    ran = touchline(directory, "query", "transitions")
    assert ran.returncode == 0, ran.stderr
    assert b"only the first 40 rows are shown (--limit 0 shows all)" in ran.stderr
    everything = touchline(directory, "query", "transitions", "--limit", "0")
    assert len(everything.stdout.splitlines()) == len(ran.stdout.splitlines()) + 19
    assert b"only the first" not in everything.stderr


def test_a_misspelt_name_is_wrong_usage(directory: Path, tmp_path: Path) -> None:
    for wrong, said in (
        (("paths_from", "-p", "at=t599"), "parameter at: no touchpoint 't599' (did you mean t59"),
        (("funnel", "-p", "by=channel", "-p", "steps=web,fone"), "parameter steps: no channel"),
        (("top_paths", "-p", "channel=wbe"), "parameter channel: no channel 'wbe' (did you"),
    ):
        ran = touchline(directory, "query", *wrong, "--json")
        shown = re.sub(r"[\s│]+", " ", ran.stderr.decode())
        assert (ran.returncode, ran.stdout) == (2, b""), shown
        assert said in shown
    right = touchline(directory, "query", "paths_from", "-p", "at=t59", "--json")
    assert (right.returncode, right.stderr) == (0, b"")
    target = tmp_path / "log.csv"
    ran = touchline(directory, "export", "--out", str(target), "--channel", "wbe")
    assert ran.returncode == 2
    assert "--channel: no channel 'wbe'" in re.sub(r"[\s│]+", " ", ran.stderr.decode())
    assert not target.exists()


def test_a_limit_on_a_matrix_limits_its_lines(directory: Path) -> None:
    ran = touchline(directory, "query", "touchpoint_channels", "--limit", "3")
    assert ran.returncode == 0, ran.stderr
    lines = [line.split() for line in ran.stdout.decode().splitlines()]
    assert [line for line in lines if line and line[0].startswith("t")] == [
        ["touchpoint", "web", "all"],
        ["t0", "1", "1"],
        ["t1", "1", "1"],
        ["t10", "1", "1"],
    ]
    assert b"only the first 3 rows" in ran.stderr


def test_json_is_one_document(directory: Path) -> None:
    ran = touchline(directory, "query", "timeline", "--json", "-p", "customer=customer_id:C-17")
    rows = json.loads(ran.stdout)
    assert [row["touchpoint"] for row in rows] == sorted(
        (f"t{n}" for n in range(60)), key=lambda name: f"event-{name[1:]}"
    )
    assert rows[0]["occurred_at"] == "2026-01-29T22:00:00Z"
    assert rows[0]["seconds_since_previous"] is None
    assert b"C-17" not in ran.stdout + ran.stderr


@pytest.mark.parametrize("suffix, read", [("parquet", pl.read_parquet), ("arrow", pl.read_ipc)])
def test_csv_parquet_and_arrow_hold_the_same(
    directory: Path, suffix: str, read: Callable[[Path], pl.DataFrame]
) -> None:
    text = touchline(directory, "query", "transitions", "--format", "csv", "--limit", "5")
    rows = list(csv.DictReader(io.StringIO(text.stdout.decode())))
    file = directory / f"transitions.{suffix}"
    ran = touchline(directory, "query", "transitions", "--limit", "5", "--out", str(file))
    assert (ran.returncode, ran.stdout) == (0, b"")
    frame = read(file)
    assert frame["transitions"].to_list() == [int(row["transitions"]) for row in rows]
    assert frame.height == 5
    assert [name for name in os.listdir(directory) if "part" in name] == []
    piped = touchline(directory, "query", "transitions", "--limit", "5", "--format", suffix)
    assert read(io.BytesIO(piped.stdout)).equals(frame)  # type: ignore[arg-type]


def test_csv_is_for_spreadsheets(directory: Path) -> None:
    asked = ("query", "timeline", "-p", "customer=customer_id:C-17")
    ran = touchline(directory, *asked, "--format", "csv")
    head, first = ran.stdout.decode().splitlines()[:2]
    assert head.startswith("occurred_at,seconds_since_previous,touchpoint,")
    assert first.startswith("2026-01-29T22:00:00Z,,t0,")
    frame = pl.read_csv(ran.stdout, try_parse_dates=True)
    rows = json.loads(touchline(directory, *asked, "--json").stdout)
    assert frame["seconds_since_previous"].to_list() == [r["seconds_since_previous"] for r in rows]
    assert frame["occurred_at"].dtype == pl.Datetime("us", "UTC")


def test_list_names_every_query(directory: Path) -> None:
    ran = touchline(directory, "query", "--list", "--json")
    listed = {item["name"]: item for item in json.loads(ran.stdout)}
    assert {"touchpoint_map", "top_paths", "timeline", "data_quality"} <= listed.keys()
    assert [item["name"] for item in listed["timeline"]["parameters"]][0] == "customer"
    assert b"touchpoint_map" in touchline(directory, "query").stdout


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["top_path"], "did you mean top_paths?"),
        (["top_paths", "-p", "dept=3"], "has no parameter 'dept' (did you mean depth?)"),
        (["top_paths", "-p", "depth=many"], "depth must be a whole number from 0 to 65535"),
        (["top_paths", "-p", "depth"], "not of the form name=value"),
        (["top_paths", "-p", "depth=1", "-p", "depth=2"], "depth is given twice"),
        (["transitions", "-p", "since=soon"], "since must be a time such as 2026-10-01"),
        (["timeline"], "needs parameter customer"),
        (["timeline", "-p", "customer=C-17"], "an identifier written kind:value"),
        (["top_paths", "-p", "gap_days=-1"], "gap_days must be a number, 0 or more"),
        (["top_paths", "-p", "since=2100-01-01"], "since must be before until"),
        (["top_paths", "--json", "-f", "csv"], "--json asks for another format"),
        (["--list", "-f", "csv"], "the list is a table or JSON"),
        (["top_paths", "-o", "paths.txt"], "end it in .json, .csv, .parquet or .arrow"),
        (["top_paths", "-o", "nowhere/paths.csv"], "no such directory"),
        (["top_paths", "-f", "table", "-o", "paths.csv"], "a table goes to the terminal"),
    ],
)
def test_wrong_usage_says_what_and_ends_with_2(
    directory: Path, arguments: list[str], said: str
) -> None:
    ran = touchline(directory, "query", *arguments)
    assert ran.returncode == 2
    assert said in " ".join(re.sub("[─│╭╮╰╯]", " ", ran.stderr.decode()).split())
    assert ran.stdout == b""
    assert b"C-17" not in ran.stderr.replace(b"customer_id:C-17", b"")


def test_dry_run_prints_the_sql_and_runs_nothing(tmp_path: Path) -> None:
    ran = touchline(tmp_path, "migrate", "--dry-run", "--cluster", "main")
    assert ran.returncode == 0, ran.stderr
    assert (
        b"CREATE TABLE IF NOT EXISTS `touchline`.interaction_records_local ON CLUSTER 'main'"
        in (ran.stdout)
    )
    first = touchline(tmp_path, "migrate", "--dry-run")
    assert first.stdout.count(b"CREATE") == touchline(tmp_path, "migrate").stderr.count(b"CREATE")
    assert touchline(tmp_path, "migrate", "--dry-run").stdout == b""


def test_migrate_refuses_a_cluster_on_the_embedded_engine(tmp_path: Path) -> None:
    ran = touchline(tmp_path, "migrate", "--cluster", "main")
    assert ran.returncode == 2
    assert b"the embedded engine is no cluster" in ran.stderr
