"""A real log in the warehouse: its journeys are its cases, counted anew by polars.

The log of a municipality's permits (WABO receipt phase, CoSeLoG project, 4TU.ResearchData): one
request is one customer, one task is one touchpoint, and months lie between the tasks of some.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from clickhouse_connect.driver.client import Client

from pipeline.warehouse.migrate import migrate
from pipeline.warehouse.queries import run
from tests.integration.process_mining import MISSING, mined
from tests.integration.warehouse_engine import engine
from tests.integration.warehouse_records import insert, rebuild, record

LOG = Path(__file__).resolve().parents[3] / "shared" / "data" / "receipt" / "receipt.csv"
CHANNELS = {
    "Internet": "web",
    "e-mail": "email",
    "Desk": "store",
    "Post": "mail",
    "Intern": "internal",
}
NEVER = {"gap_days": "1e6"}

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not LOG.exists(), reason="the receipt log is not part of the project"),
]


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    columns = {
        "case:concept:name": "case",
        "concept:instance": "event",
        "concept:name": "task",
        "case:channel": "channel",
        "time:timestamp": "at",
    }
    read = pl.read_csv(LOG, columns=list(columns)).rename(columns)
    at = pl.col("at").str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z", time_unit="us")
    channel = pl.col("channel").replace_strict(CHANNELS)
    return read.with_columns(at.dt.convert_time_zone("UTC"), channel).sort("case", "at", "event")


@pytest.fixture(scope="module")
def client(log: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with engine(tmp_path_factory.mktemp("home")) as fresh:
        opened, settings = fresh()
        migrate(opened, settings)
        rows = [
            record(
                offset,
                event_id=row["event"],
                customer_key=row["case"],
                touchpoint=row["task"],
                channel=row["channel"],
                occurred_at=row["at"],
            )
            for offset, row in enumerate(log.sample(fraction=1, shuffle=True, seed=1).to_dicts())
        ]
        insert(opened, rows, 1_000)
        rebuild(opened)
        yield opened


def follows(log: pl.DataFrame) -> pl.DataFrame:
    """Count what directly follows what within a case."""
    return (
        log.with_columns(
            pl.col("task").shift().over("case").alias("before"),
            (pl.col("at") - pl.col("at").shift().over("case")).alias("silence"),
        )
        .drop_nulls("before")
        .with_columns(pl.col("silence").dt.total_microseconds() / 1e6)
        .group_by("before", "task")
        .agg(
            pl.len(),
            pl.col("case").n_unique().alias("customers"),
            pl.col("silence").median().alias("median"),
            pl.col("silence").quantile(0.9, "linear").alias("p90"),
        )
    )


def test_transitions_are_the_directly_follows_graph(client: Client, log: pl.DataFrame) -> None:
    expected = {
        (row["before"], row["task"]): (row["len"], row["customers"], row["median"], row["p90"])
        for row in follows(log).to_dicts()
    }
    found = {
        (row[0], row[1]): (row[2], row[3], row[5], row[6])
        for row in run(client, "transitions", NEVER).rows
    }
    assert found.keys() == expected.keys()
    assert sum(row[0] for row in found.values()) == log.height - log["case"].n_unique() == 7_143
    for pair, values in expected.items():
        assert found[pair] == pytest.approx(values)


def test_paths_are_the_variants_of_the_cases(client: Client, log: pl.DataFrame) -> None:
    variants = log.group_by("case", maintain_order=True).agg("task")["task"].to_list()
    counts: dict[str, int] = {}
    for variant in variants:
        path = " > ".join(variant)
        counts[path] = counts.get(path, 0) + 1
    asked = {**NEVER, "depth": "0", "top": "0", "collapse_repeats": "false"}
    found = run(client, "top_paths", asked).rows
    assert {row[0]: row[2] for row in found} == counts
    assert sum(counts.values()) == 1_434


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
def test_transitions_and_variants_are_those_of_process_mining(client: Client) -> None:
    """pm4py reads the file itself."""
    found = mined([LOG])[LOG.name]
    edges = {(row[0], row[1]): row[2] for row in run(client, "transitions", NEVER).rows}
    assert edges == {(before, after): count for before, after, count in found["edges"]}
    asked = {**NEVER, "depth": "0", "top": "0", "collapse_repeats": "false"}
    paths = {row[0]: row[2] for row in run(client, "top_paths", asked).rows}
    assert paths == {" > ".join(path): count for path, count in found["variants"]}
    assert (len(edges), len(paths)) == (99, 116)


def test_a_gap_cuts_cases_that_rested(client: Client, log: pl.DataFrame) -> None:
    silence = pl.col("at") - pl.col("at").shift().over("case")
    rests = log.select((silence > pl.duration(days=30)).sum()).item()
    assert rests > 0
    found = run(client, "transitions", {"gap_days": "30"}).rows
    assert sum(row[2] for row in found) == 7_143 - rests
    paths = run(client, "top_paths", {"gap_days": "30", "top": "0"}).rows
    assert sum(row[2] for row in paths) == 1_434 + rests
