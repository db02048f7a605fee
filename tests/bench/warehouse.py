"""How fast analysts get answers from the tables of journeys, against SQL over the interactions.

Simulated customers go through the steps and the detection of the real worker once; ClickHouse then
multiplies them (other keys, the same days) up to the size asked for. Every question is asked in two
ways in the same run: as the named query, over steps and journeys, and as an analyst without these
tables would write it, over the view interactions; the answers must be equal. Told are also the rows
that are read, bytes on disk, and what keeping journeys up to date costs while more arrives.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any, NamedTuple

import orjson
from clickhouse_connect.driver.client import Client
from rich.console import Console
from rich.table import Table

from pipeline import catalog
from pipeline.simulator import Plan, simulate
from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.migrate import migrate
from pipeline.warehouse.queries import bind, named_query
from pipeline.warehouse.refresh import Journeys
from tests.integration.warehouse_engine import engine
from tests.offline_worker import OfflineWorker

#: Days that the simulated customers are followed.
DAYS = 40
#: Simulated customers; the others are copies of them.
MOULD = 10_000
#: Interactions asked for, for which there is a customer: 10 million are of 500,000.
EACH = 20
#: Interactions between two refreshes while more arrives.
BATCH = 100_000
PLAIN = Path(__file__).parent / "plain"
#: Parameters of the questions.
ASKED: dict[str, dict[str, str]] = {
    "touchpoint_map": {},
    "transitions": {},
    "top_paths": {},
    "funnel": {
        "by": "touchpoint",
        "steps": "product_page,cart,checkout,order",
        "within_days": "30",
    },
    "timeline": {},
}
#: First columns that are compared, where ClickHouse has nothing like the others.
COMPARED = {"funnel": 3}
_SIZES = """
SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS bytes FROM system.parts
WHERE active AND database = currentDatabase() AND table IN ('interaction_records', 'moment_records',
    'step_records', 'journey_records', 'customer_changes')
GROUP BY table ORDER BY bytes DESC
"""


#: Distance of the offsets of copies, and from which of them on they are additions.
_SHIFT, _FAR, _MORE = 1_000_000_000, 1_000_000, 3
_READ = "SELECT value FROM system.events WHERE event = 'SelectedRows'"
_COPY = """
INSERT INTO interaction_records
SELECT * REPLACE (
    lower(hex(MD5(concat(customer_key, {copy:String})))) AS customer_key,
    offset + {shift:UInt64} AS offset
)
FROM interaction_records AS known
WHERE known.offset < {first:UInt64} AND known.customer_key IN
(
    SELECT DISTINCT customer_key FROM interaction_records WHERE offset < {first:UInt64}
    ORDER BY customer_key LIMIT {most:UInt64}
)
"""
_COPY_MOMENTS = """
INSERT INTO moment_records
SELECT * REPLACE (
    lower(hex(MD5(concat(customer_key, {copy:String})))) AS customer_key,
    reinterpretAsUUID(MD5(concat(toString(moment_id), {copy:String}))) AS moment_id
)
FROM moment_records AS known
WHERE known.customer_key IN
(
    SELECT DISTINCT customer_key FROM interaction_records WHERE offset < {first:UInt64}
    ORDER BY customer_key LIMIT {most:UInt64}
)
"""
_ADD = """
INSERT INTO interaction_records
SELECT * REPLACE (
    concat(event_id, '-', toString({number:UInt64})) AS event_id,
    offset + {shift:UInt64} AS offset,
    occurred_at + toIntervalDay({days:UInt32}) AS occurred_at
)
FROM interaction_records AS known
WHERE known.offset < {far:UInt64}
    AND cityHash64(known.customer_key, known.event_id, {number:UInt64}) % {every:UInt64} = 0
"""
_TOUCHED = """
SELECT partition, customer_key, count() FROM interaction_records
WHERE offset >= {shift:UInt64} AND offset < {end:UInt64}
GROUP BY partition, customer_key
"""


class Asked(NamedTuple):
    """One answer.

    Attributes:
        rows: The rows.
        seconds: Median time.
        read: Rows that ClickHouse read for it.
    """

    rows: list[tuple[Any, ...]]
    seconds: float
    read: int


def warehouse(console: Console, home: Path, interactions: int, runs: int) -> None:
    """Fill a warehouse, ask, and print the tables."""
    with engine(home) as fresh:
        client, settings = fresh()
        migrate(client, settings)
        loaded = catalog.load()
        publish(client, loaded.catalog, loaded.version)
        worker = OfflineWorker(client, settings, loaded)
        began = monotonic()
        worker.work(_values(), size=20_000)
        made = _count(client)
        console.print(
            f"{made:,} interactions of {MOULD:,} simulated customers in {monotonic() - began:.0f} s"
        )
        _multiply(client, interactions)
        console.print(f"{_count(client):,} interactions of {_customers(client):,} customers")
        began = monotonic()
        done = Journeys(client).rebuild(None, lambda customers: None)
        seconds = monotonic() - began
        console.print(
            f"rebuild of {done:,} customers: {seconds:.0f} s, "
            f"{seconds / _count(client) * 1e6:.1f} s a million interactions"
        )
        _compare(console, client, runs)
        _keep_up(console, client)
        _sizes(console, client)


def _values() -> Iterator[tuple[str, str, bytes]]:
    for produced in simulate(Plan(customers=MOULD, days=DAYS, seed=1, malformed=0)):
        event = orjson.loads(produced.value)
        yield event["channel"], event["identifiers"]["customer_id"], produced.value


def _count(client: Client) -> int:
    return int(client.query("SELECT count() FROM interaction_records").result_rows[0][0])


def _customers(client: Client) -> int:
    return int(
        client.query("SELECT uniqExact(customer_key) FROM interaction_records").result_rows[0][0]
    )


def _multiply(client: Client, interactions: int) -> None:
    """Add copies until there is a customer for every ``EACH`` interactions asked for.

    The last copy is of some customers only, so that there are exactly so many. Where the simulated
    ones have more than ``EACH`` interactions, there are more interactions than asked for; where
    they have fewer, there are so many customers that the interactions are about as many.
    """
    made, mould = _count(client), _customers(client)
    wanted = max(interactions // EACH, -(-interactions * mould // made))
    for copy in range(1, -(-wanted // mould)):
        _copy(client, copy, min(mould, wanted - copy * mould))


def _copy(client: Client, copy: int, most: int) -> None:
    """Add the first customers, so many at most, once more under other keys."""
    asked = {"copy": str(copy), "shift": copy * _SHIFT, "first": _SHIFT, "most": most}
    client.command(_COPY_MOMENTS, parameters=asked)
    client.command(_COPY, parameters=asked)


def _ask(client: Client, sql: str, parameters: dict[str, Any], runs: int) -> Asked:
    times, rows, before = [], [], client.query(_READ).result_rows[0][0]
    for _ in range(runs):
        began = monotonic()
        rows = [tuple(row) for row in client.query(sql, parameters=parameters).result_rows]
        times.append(monotonic() - began)
    read = client.query(_READ).result_rows[0][0] - before
    return Asked(rows, median(times), read // runs)


def _compare(console: Console, client: Client, runs: int) -> None:
    table = Table(title="named queries against SQL over the interactions")
    table.add_column("question", no_wrap=True)
    for column in ("named, s", "plain, s", "ratio", "rows read", "plain", "equal"):
        table.add_column(column, justify="right")
    customer = client.query("SELECT any(customer_key) FROM interaction_records").result_rows[0][0]
    for name, given in ASKED.items():
        query = named_query(name)
        needs = {"customer": customer} if name == "timeline" else {}
        bound = bind(query, {**given, **needs})
        plain = _ask(client, (PLAIN / f"{name}.sql").read_text("utf-8"), bound, 1)
        named = _ask(client, query.sql, bound, runs)
        table.add_row(
            name, f"{named.seconds:.3f}", f"{plain.seconds:.3f}",
            f"{plain.seconds / named.seconds:.1f}", f"{named.read:,}", f"{plain.read:,}",
            "yes" if _equal(named.rows, plain.rows, COMPARED.get(name)) else "NO",
        )  # fmt: skip
    console.print(table)


def _equal(rows: list[tuple[Any, ...]], others: list[tuple[Any, ...]], columns: int | None) -> bool:
    def rounded(row: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            round(value, 6) if isinstance(value, float) else value for value in row[:columns]
        )

    return [rounded(row) for row in rows] == [rounded(row) for row in others]


def _keep_up(console: Console, client: Client) -> None:
    """Add interactions of random customers, in batches, and refresh after each."""
    journeys, spent, every = Journeys(client), [], max(_count(client) // BATCH, 1)
    for number in range(_MORE):
        shift = (1 + number) * _FAR * _SHIFT
        asked = {"number": number, "shift": shift, "end": shift + _FAR * _SHIFT, "days": DAYS}
        asked |= {"far": _FAR * _SHIFT, "every": every}
        client.command(_ADD, parameters=asked)
        touched = client.query(_TOUCHED, parameters=asked).result_rows
        began = monotonic()
        journeys.refresh(journeys.changed((row[0], row[1]) for row in touched))
        spent.append((monotonic() - began) / sum(row[2] for row in touched))
        console.print(
            f"keeping up: {sum(row[2] for row in touched):,} new interactions of {len(touched):,} "
            f"customers, {spent[-1] * 1e6:.0f} s a million"
        )


def _sizes(console: Console, client: Client) -> None:
    table = Table("table", title="on disk")
    for column in ("rows", "MiB", "bytes a row"):
        table.add_column(column, justify="right")
    for name, rows, size in client.query(_SIZES).result_rows:
        table.add_row(name, f"{rows:,}", f"{size / 1048576:,.0f}", f"{size / rows:.0f}")
    console.print(table)
