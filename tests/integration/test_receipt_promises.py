"""The deadlines of the real log as promises, found by the line, against polars over the file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.settings import Settings
from tests.integration.command import ROOT, touchline
from tests.kafka import choice
from tests.line import Line, running_line
from tests.waiting import until

LOG = ROOT.parent / "shared" / "data" / "receipt" / "receipt.csv"
EXAMPLE = ROOT / "docs" / "examples" / "receipt"
pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not LOG.exists(), reason="the receipt log is not part of the project: see docs/ingest.md"
    ),
]

#: What becomes of a promise: its status, when it was made, due and answered.
Fate = tuple[str, datetime, datetime, datetime | None]


def requests() -> pl.DataFrame:
    """Return one row a request, from the file alone."""
    columns = {
        "case:startdate": "made_at",
        "case:deadline": "due_at",
        "case:enddate": "ended_at",
        "time:timestamp": "at",
    }
    log = pl.read_csv(LOG, infer_schema=False)
    times = [
        pl.col(column).str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z", time_zone="UTC").alias(name)
        for column, name in columns.items()
    ]
    read = log.select(pl.col("case:concept:name").alias("request"), *times)
    told = [pl.col(name).drop_nulls().n_unique() for name in ("made_at", "due_at", "ended_at")]
    assert read.group_by("request").agg(told).drop("request").max().row(0) == (1, 1, 1)
    first = [pl.col(name).drop_nulls().first() for name in ("made_at", "due_at", "ended_at")]
    return read.group_by("request").agg(
        *first, pl.col("at").min().alias("first_at"), pl.col("at").max().alias("last_at")
    )


def fates(known: pl.DataFrame) -> dict[str, Fate]:
    """Return what must become of the promise of each request, as seen from now."""
    ended, due = pl.col("ended_at"), pl.col("due_at")
    status = (
        pl.when(ended <= due)
        .then(pl.lit("kept"))
        .when(ended > due)
        .then(pl.lit("kept_late"))
        .otherwise(pl.lit("broken"))
    )
    assert known["due_at"].null_count() == 0
    assert known["due_at"].max() < datetime.now(timezone.utc)
    rows = known.select("request", status, "made_at", "due_at", "ended_at").iter_rows()
    return {f"request_id:{row[0]}": row[1:] for row in rows}


def found(line: Line) -> dict[str, Fate]:
    """Return what the line says became of the promise of each request."""
    rows = line.client.query(
        "SELECT subject, status, made_at, due_at, answered_at FROM promises"
    ).result_rows
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: tuple(map(_utc, row[1:])) for row in rows}


def _utc(value: Any) -> Any:
    return value.replace(tzinfo=timezone.utc) if isinstance(value, datetime) else value


def moments(line: Line) -> dict[str, tuple[str, datetime, datetime | None]]:
    """Return the missed deadlines: status, when they occurred and when they were closed."""
    rows = line.client.query(
        "SELECT subject, status, occurred_at, closed_at FROM moments WHERE rule = 'deadline_missed'"
    ).result_rows
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: tuple(map(_utc, row[1:])) for row in rows}


def wanted_moments(wanted: dict[str, Fate]) -> dict[str, tuple[str, datetime, datetime | None]]:
    """Return the moments that must be found, given what must become of the promises."""
    status = {"kept_late": "resolved", "broken": "open"}
    return {
        subject: (status[fate], due, answered)
        for subject, (fate, _, due, answered) in wanted.items()
        if fate in status
    }


def said(line: Line) -> list[int]:
    """Return how often anything was said of promises and moments."""
    return [
        line.count("SELECT uniqExact(promise_id, revision) FROM promise_records"),
        line.count("SELECT uniqExact(moment_id, revision) FROM moment_records"),
    ]


def counts(line: Line) -> dict[str, int]:
    """Return the promises by status, as ``touchline query promise_keeping`` gives them."""
    done = touchline(line.settings.home.parent, "query", "promise_keeping", "--format", "json")
    assert done.returncode == 0, done.stderr.decode()
    (row,) = (row for row in json.loads(done.stdout) if row["made"])
    assert (row["promise"], row["segment"]) == ("end_by_deadline", "")
    return {name: row[name] for name in ("made", "pending", "kept", "kept_late", "broken")}


def ingest(line: Line, log: Path) -> dict[str, Any]:
    done = touchline(
        line.settings.home.parent, "ingest", str(log), "--map", str(EXAMPLE / "promises.toml"),
        "--catalog", str(EXAMPLE / "catalog.toml"), "--json",
        settings=Settings(**choice.reach(line.settings.home.parent)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def wait_for_the_clock(line: Line) -> None:
    """Wait until the wall clock has moved on every partition that had events."""
    query = """
        SELECT count() > 0 AND min(watermark) > now() - toIntervalMinute(10)
        FROM (
            SELECT partition, max(watermark) AS watermark
            FROM detection_progress GROUP BY partition
        )
    """
    until(lambda: line.count(query), 60, "idle partitions are closed by the wall clock")


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    catalog = EXAMPLE / "catalog.toml"
    with running_line(tmp_path / ".touchline", catalog=catalog, lateness=5.0, idle=1.0) as running:
        running.worker()
        yield running


@pytest.fixture(scope="module")
def known() -> pl.DataFrame:
    return requests()


def test_the_classes_of_the_documentation(known: pl.DataFrame) -> None:
    made, due, ended = (pl.col(name) for name in ("made_at", "due_at", "ended_at"))
    log_ends = known["last_at"].max()
    classes = {
        "requests": known,
        "without end": known.filter(ended.is_null()),
        "without end, due before the log ends": known.filter(ended.is_null(), due <= log_ends),
        "without end, due after the log ends": known.filter(ended.is_null(), due > log_ends),
        "in time": known.filter(ended <= due),
        "on the deadline": known.filter(ended == due),
        "late": known.filter(ended > due),
        "ended before they began": known.filter(ended < made),
        "due before they began": known.filter(due < made),
        "due before the first activity": known.filter(due < pl.col("first_at")),
        "ended before the first activity": known.filter(ended < pl.col("first_at")),
        "more than a day early": known.filter(ended < made - pl.duration(days=1)),
        "later than 90 days": known.filter(ended - due > pl.duration(days=90)),
        "later than 274 days": known.filter(ended - due > pl.duration(days=274)),
    }
    assert {name: rows.height for name, rows in classes.items()} == {
        "requests": 1434,
        "without end": 105,
        "without end, due before the log ends": 39,
        "without end, due after the log ends": 66,
        "in time": 952,
        "on the deadline": 0,
        "late": 377,
        "ended before they began": 2,
        "due before they began": 0,
        "due before the first activity": 60,
        "ended before the first activity": 117,
        "more than a day early": 0,
        "later than 90 days": 38,
        "later than 274 days": 0,
    }


def test_deadlines_of_the_log_are_kept_kept_late_and_broken(
    line: Line, known: pl.DataFrame
) -> None:
    wanted = fates(known)
    assert Counter(fate[0] for fate in wanted.values()) == {
        "kept": 952, "kept_late": 377, "broken": 105,
    }  # fmt: skip
    report = ingest(line, LOG)
    assert (report["read"], report["also"]) == (8577, 1434 + 1329)
    assert report["delivered"] == report["stored"] == report["distinct"] == 11_340
    assert (report["unclassified"], report["balanced"]) == (0, True)
    wait_for_the_clock(line)
    assert found(line) == wanted
    assert moments(line) == wanted_moments(wanted)
    assert counts(line) == {
        "made": 1434, "pending": 0, "kept": 952, "kept_late": 377, "broken": 105,
    }  # fmt: skip

    before = said(line)
    for times in (2, 3):  # event time is years after all of it now
        again = ingest(line, LOG)
        assert (again["stored"], again["already_stored"]) == (11_340, 11_340)
        wait_for_the_clock(line)
        assert said(line) == before, f"after ingesting it {times} times"
        line.workers[-1].stop()
        line.worker()  # makes its state anew from what is stored
    assert found(line) == wanted
    assert moments(line) == wanted_moments(wanted)


def test_ends_that_are_told_years_too_late_say_the_same(
    line: Line, known: pl.DataFrame, tmp_path: Path
) -> None:
    wanted = fates(known)
    log = pl.read_csv(LOG, infer_schema=False)
    unknown = log.with_columns(pl.lit(None, pl.String).alias("case:enddate"))
    unknown.write_csv(tmp_path / "unknown.csv")
    report = ingest(line, tmp_path / "unknown.csv")
    assert (report["also"], report["distinct"]) == (1434, 8577 + 1434)
    wait_for_the_clock(line)
    assert found(line) == {
        subject: ("broken", made, due, None) for subject, (_, made, due, _) in wanted.items()
    }
    assert {moment[0] for moment in moments(line).values()} == {"open"}
    assert counts(line)["broken"] == len(moments(line)) == 1434

    report = ingest(line, LOG)
    assert (report["distinct"], report["already_stored"]) == (11_340, 8577 + 1434)
    wait_for_the_clock(line)
    assert found(line) == wanted
    assert moments(line) == wanted_moments(wanted)
