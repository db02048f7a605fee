"""Event logs of a simulated load, read by pm4py, against what the stored rows say."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from jobs.export import export
from pipeline.simulator import Plan
from pipeline.warehouse.queries import run
from tests.integration.command import touchline
from tests.integration.process_mining import MISSING, mined
from tests.line import Line, running_line

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
]

ROWS = """
SELECT DISTINCT customer_key, event_id, occurred_at, touchpoint, channel, segment,
    toJSONString(case_ids) AS case_ids
FROM interaction_records
"""
CAUSED = """
SELECT kind, count() FROM moments
WHERE status != 'retracted'
  AND (customer_key, cause) IN (SELECT customer_key, event_id FROM interactions)
GROUP BY kind
"""
JOURNEYS = ["log.xes", "log.xes.gz", "log.csv", "log.csv.gz", "log.parquet"]
ORDER = ["customer_key", "occurred_at", "event_id"]


@dataclass
class Stored:
    """A line whose worker has stored everything, and what is in the table."""

    line: Line
    directory: Path
    events: pl.DataFrame

    def export(self, name: str, **options: Any) -> Path:
        file = self.directory / name
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TOUCHLINE_HOME", str(self.line.settings.home))
            export(file, **options)
        return file

    @property
    def middle(self) -> tuple[datetime, datetime]:
        """A time with half of the events in it."""
        times = self.events["occurred_at"].sort()
        return times[len(times) // 4], times[len(times) * 3 // 4]

    @property
    def segment(self) -> tuple[str, pl.DataFrame]:
        """The largest segment, and the events of its customers."""
        given = self.events.filter(pl.col("segment") != "").sort(ORDER)
        latest = given.group_by("customer_key", maintain_order=True).last()
        segment = str(latest["segment"].mode().sort()[0])
        keys = latest.filter(pl.col("segment") == segment)["customer_key"]
        return segment, self.events.filter(pl.col("customer_key").is_in(keys.to_list()))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    path = tmp_path_factory.mktemp("work")
    with running_line(path / ".touchline", partitions=2) as line:
        line.produce(Plan(customers=60, days=40, seed=11))
        worker = line.worker()
        line.drain(worker)
        worker.stop()  # or time would go on finding moments
        rows = line.client.query(ROWS)
        frame = pl.DataFrame(rows.result_rows, schema=list(rows.column_names), orient="row")
        assert frame.height == frame.select("customer_key", "event_id").n_unique() > 400
        gap = line.loaded.catalog.journey.gap
        silence = pl.col("occurred_at").diff().over("customer_key")
        events = frame.sort(ORDER).with_columns(
            (silence > gap).fill_null(False).cast(pl.Int64).cum_sum().over("customer_key")
            .alias("number"),
            pl.col("case_ids").str.json_path_match("$.order_id").alias("order_id"),
        )  # fmt: skip
        yield Stored(line, path, events)


@pytest.fixture(scope="module")
def found(stored: Stored) -> dict[str, Any]:
    """What pm4py reads of exports, in one process: it takes long to start."""
    since, until = (time.isoformat() for time in stored.middle)
    wanted: dict[str, dict[str, Any]] = {
        **{name: {} for name in (*JOURNEYS, "log.json.gz")},
        "customers.parquet": {"case": "customer"},
        "orders.xes": {"case": "order_id"},
        "some.parquet": {"since": since, "until": until},
        "spoken.csv": {"channel": ["phone", "store"]},
        "segment.xes": {"segment": [stored.segment[0]]},
    }
    return mined([stored.export(name, **options) for name, options in wanted.items()])


def expected(events: pl.DataFrame, *case: str) -> dict[str, Any]:
    """Count a log: an order, its cases, and what follows what in them."""
    ordered = events.sort([*case, "occurred_at", "event_id"])
    following = ordered.with_columns(pl.col("touchpoint").shift(-1).over(case).alias("next"))
    pairs = following.drop_nulls("next").select("touchpoint", "next").rows()
    groups = ordered.group_by(case, maintain_order=True)
    return {
        "events": ordered.height,
        "cases": ordered.select(case).n_unique(),
        "activities": sorted(ordered["touchpoint"].unique()),
        "edges": sorted([*pair, count] for pair, count in Counter(pairs).items()),
        "starts": dict(Counter(groups.first()["touchpoint"])),
        "ends": dict(Counter(groups.last()["touchpoint"])),
    }


def agrees(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert {**{name: found[name] for name in wanted}, "cases": len(found["cases"])} == wanted
    assert found["times"].startswith("datetime64[")
    assert "UTC" in found["times"]


@pytest.mark.parametrize("name", JOURNEYS)
def test_journeys(stored: Stored, found: dict[str, Any], name: str) -> None:
    log = found[name]
    agrees(log, expected(stored.events, "customer_key", "number"))
    ids = "SELECT journey_id FROM journeys"
    assert log["cases"] == sorted(row[0] for row in stored.line.client.query(ids).result_rows)
    assert {"channel", "stage", "need", "segment", "direction", "action"} <= {*log["columns"]}
    assert {"customer", "journey", "moments", "org:group", "case_ids"} <= {*log["columns"]}
    assert log["sums"]["journey_number"] == (stored.events["number"] + 1).sum()
    counted = dict(stored.line.client.query(CAUSED).result_rows)
    assert log["sums"]["pains"] == counted["pain"] > 0
    assert log["sums"]["glories"] == counted["glory"] > 0
    transitions = run(stored.line.client, "transitions")
    place = [column.name for column in transitions.query.columns].index("transitions")
    edges = sum(count for *_, count in log["edges"])
    assert edges == sum(row[place] for row in transitions.rows)


def test_cases_of_your_choice(stored: Stored, found: dict[str, Any]) -> None:
    agrees(found["customers.parquet"], expected(stored.events, "customer_key"))
    keys = stored.events["customer_key"].unique()
    assert found["customers.parquet"]["cases"] == sorted(keys)
    orders = stored.events.drop_nulls("order_id")
    agrees(found["orders.xes"], expected(orders, "order_id"))
    assert found["orders.xes"]["cases"] == sorted(orders["order_id"].unique())


def test_filters_leave_out_events_and_renumber_nothing(
    stored: Stored, found: dict[str, Any]
) -> None:
    some = stored.events.filter(pl.col("occurred_at").is_between(*stored.middle, closed="left"))
    agrees(found["some.parquet"], expected(some, "customer_key", "number"))
    assert found["some.parquet"]["sums"]["journey_number"] == (some["number"] + 1).sum()
    spoken = stored.events.filter(pl.col("channel").is_in(["phone", "store"]))
    agrees(found["spoken.csv"], expected(spoken, "customer_key", "number"))
    theirs = stored.segment[1]
    assert 0 < theirs.height < stored.events.height
    agrees(found["segment.xes"], expected(theirs, "customer_key", "number"))


def test_objects(stored: Stored, found: dict[str, Any]) -> None:
    log = found["log.json.gz"]
    related = [pair for ids in stored.events["case_ids"] for pair in json.loads(ids).items()]
    wanted = Counter(kind for kind, _ in {*related})
    wanted["customer"] = stored.events["customer_key"].n_unique()
    wanted["journey"] = stored.events.select("customer_key", "number").n_unique()
    assert log["objects"] == log["related"] == dict(wanted)
    assert log["types"] == sorted(wanted)
    assert len(wanted) > 5
    assert log["events"] == stored.events.height
    assert log["relations"] == 2 * stored.events.height + len(related)
    assert log["o2o"] == wanted["journey"]
    assert log["activities"] == sorted(stored.events["touchpoint"].unique())
    orders = {value for kind, value in related if kind == "order_id"}
    assert log["orders"] == sorted(f"order_id:{value}" for value in orders)
    assert log["pains"] == found["log.csv"]["sums"]["pains"]


def test_the_same_data_gives_the_same_bytes(stored: Stored) -> None:
    first = stored.export("first.xes.gz").read_bytes()
    assert stored.export("second.xes.gz").read_bytes() == first
    assert gzip.decompress(first) == stored.export("plain.xes").read_bytes()
    objects = stored.export("first.json").read_bytes()
    assert stored.export("second.json").read_bytes() == objects
    assert set(json.loads(objects)) == {"events", "objects", "objectTypes", "eventTypes"}


def test_the_command_says_what_it_wrote_and_that_there_is_no_identifier(stored: Stored) -> None:
    said = touchline(stored.directory, "export", "--out", "all.csv")
    assert (said.returncode, said.stdout) == (0, b""), said.stderr
    journeys = stored.events.select("customer_key", "number").n_unique()
    told = f"{stored.events.height:,} events of {journeys:,} journeys written to all.csv\n"
    assert said.stderr.decode() == told
    text = (stored.directory / "all.csv").read_text() + stored.export("all.json").read_text()
    for event in stored.line.events:
        for value in event["identifiers"].values():
            assert str(value) not in text
    none = touchline(stored.directory, "export", "--out", "none.xes", "--case", "no_such_id")
    assert none.returncode == 0
    assert b"0 events of 0 cases" in none.stderr
    assert b"nothing was found" in none.stderr
