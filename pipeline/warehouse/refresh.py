"""Keeping steps and journeys up to date: what changed is computed anew from the base tables.

Whoever writes records or moments first notes the customers it touched (``changed``); ``refresh``
then computes everything of these customers anew, in SQL, and replaces what was there. So the tables
depend on the stored records and moments alone, not on the order or the batches they came in, and a
rebuild is a refresh of everybody.

All of it can be repeated. Rows carry the server's time at which their refresh began; of two that
overlap the later one counts, and whoever stored something after it notes the customer again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from functools import cache
from importlib.resources import files
from typing import NamedTuple
from uuid import UUID, uuid4

from clickhouse_connect.driver.client import Client

from pipeline.warehouse.client import explained

#: Customers that one statement computes at most: bounds its memory.
SLICE = 50_000
#: Changes that one statement names at most.
_MAX_CHANGES = 1_000
_ALWAYS = datetime(1900, 1, 1, tzinfo=timezone.utc)
_STATEMENTS = ("steps", "stale_steps", "journeys")
_SETTINGS = {
    "async_insert": 0,
    "insert_deduplicate": 0,
    # old and new versions of a row are in the same month, so each is looked at alone
    "do_not_merge_across_partitions_select_final": 1,
    # a history may be long
    "max_partitions_per_insert_block": 0,
    "distributed_product_mode": "global",
}
_PENDING = """
SELECT partition, batch, count()
FROM customer_changes
WHERE (empty({partitions:Array(UInt32)}) OR partition IN {partitions:Array(UInt32)})
    AND (partition, batch) NOT IN (SELECT partition, batch FROM customer_refreshes)
GROUP BY partition, batch
ORDER BY partition, batch
"""
_VERSION = """
SELECT greatest(toUInt64(toUnixTimestamp64Micro(now64(6))), max(version) + 1)
FROM customer_refreshes
"""
#: The customers of a range of keys with something at or after a time; where no time is given, also
#: those of whom only steps are left.
_EVERYBODY = """
INSERT INTO customer_changes (partition, batch, customer_key)
SELECT max(partition) AS partition, {batch:UUID} AS batch, customer_key
FROM
(
    SELECT customer_key, partition FROM interaction_records
    WHERE customer_key >= {first:String} AND (customer_key < {end:String} OR {end:String} = '')
        AND occurred_at >= {since:DateTime64(6)}
    UNION ALL
    SELECT customer_key, 0 AS partition FROM step_records
    WHERE customer_key >= {first:String} AND (customer_key < {end:String} OR {end:String} = '')
        AND NOT {partly:Bool}
)
GROUP BY customer_key
"""
_CUSTOMERS = "SELECT uniq(customer_key) FROM interaction_records"
_NEVER_BUILT = """
SELECT (SELECT count() FROM step_records) = 0
    AND (SELECT count() FROM interaction_records) > 0
    AND (SELECT count() FROM customer_changes) = 0
"""
_OF_BATCH = """
SELECT partition, batch, count() FROM customer_changes WHERE batch = {batch:UUID}
GROUP BY partition, batch
"""


class Change(NamedTuple):
    """Customers of one Kafka partition that a batch touched.

    Attributes:
        partition: Kafka partition of the customers.
        batch: Id of the batch.
        customers: How many they are.
    """

    partition: int
    batch: UUID
    customers: int


class Journeys:
    """Writes steps and journeys.

    Every method raises RetryableError where ClickHouse does not answer or cannot for now,
    SchemaMismatch where tables or columns are missing, and FatalError where it refuses for good.

    Args:
        client: ClickHouse client on the database that has the tables.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def changed(
        self, customers: Iterable[tuple[int, str]], batch: UUID | None = None
    ) -> list[Change]:
        """Note customers whose records or moments were stored; when it returns, they are noted.

        Args:
            customers: Kafka partition and key of each.
            batch: Id to note them by; the same again where it is not known whether they were noted.
        """
        touched = sorted(set(customers))
        if not touched:
            return []
        batch, counts = batch or uuid4(), dict[int, int]()
        for partition, _ in touched:
            counts[partition] = counts.get(partition, 0) + 1
        with explained():
            self._client.insert(
                "customer_changes",
                [[item[0] for item in touched], [batch] * len(touched), [i[1] for i in touched]],
                column_names=("partition", "batch", "customer_key"),
                column_oriented=True,
                settings={"async_insert": 0, "insert_deduplicate": 0},
            )
        return [Change(partition, batch, count) for partition, count in counts.items()]

    def pending(self, partitions: Collection[int] = ()) -> list[Change]:
        """Return what was noted and not refreshed yet.

        Args:
            partitions: Kafka partitions to look at; all when empty.
        """
        with explained():
            asked = {"partitions": sorted(partitions)}
            rows = self._client.query(_PENDING, parameters=asked).result_rows
        return [Change(*row) for row in rows]

    def refresh(self, changes: Sequence[Change]) -> int:
        """Compute steps and journeys of the customers of some changes anew.

        Returns:
            The number of customers, each counted once a change.
        """
        for start in range(0, len(changes), _MAX_CHANGES):
            self._refresh(changes[start : start + _MAX_CHANGES])
        return sum(change.customers for change in changes)

    def rebuild(self, since: datetime | None, on_progress: Callable[[int], None]) -> int:
        """Compute everything anew, or everything of the customers with an event since a time.

        Args:
            since: UTC time, or None for everybody, also those of whom only steps are left.
            on_progress: Called with the number of customers after each part of them.

        Returns:
            The number of customers.
        """
        total = 0
        for first, end in _ranges(customers(self._client)):
            asked = {
                "batch": uuid4(),
                "first": first,
                "end": end,
                "since": since or _ALWAYS,
                "partly": since is not None,
            }
            with explained():
                self._client.command(_EVERYBODY, parameters=asked, settings=_SETTINGS)
                rows = self._client.query(_OF_BATCH, parameters=asked).result_rows
            done = self.refresh([Change(*row) for row in rows])
            on_progress(done)
            total += done
        return total

    def _refresh(self, changes: Sequence[Change]) -> None:
        with explained():
            version = self._client.query(_VERSION).result_rows[0][0]
            asked = {
                "partitions": sorted({change.partition for change in changes}),
                "batches": list({change.batch for change in changes}),
                "version": version,
            }
            for first, end in _ranges(sum(change.customers for change in changes)):
                for name in _STATEMENTS:
                    self._client.command(
                        _sql(name),
                        parameters={**asked, "first": first, "end": end},
                        settings=_SETTINGS,
                    )
            self._client.insert(
                "customer_refreshes",
                [(change.partition, change.batch, version) for change in changes],
                column_names=("partition", "batch", "version"),
                settings={"async_insert": 0, "insert_deduplicate": 0},
            )


def _ranges(number: int) -> Iterator[tuple[str, str]]:
    """Yield ranges of customer keys with about ``SLICE`` of so many customers each.

    Keys are hexadecimal hashes, so equal ranges hold about as many. The last end is open.
    """
    digits = 0
    while 16**digits * SLICE < number:
        digits += 1
    edges = ["", *(f"{edge:0{digits}x}" for edge in range(1, 16**digits))]
    yield from zip(edges, [*edges[1:], ""], strict=True)


def never_built(client: Client) -> bool:
    """Return whether there are interactions and no steps, as after an upgrade.

    Raises:
        RetryableError: ClickHouse does not answer for now.
        SchemaMismatch: The tables are not there.
    """
    with explained():
        return bool(client.query(_NEVER_BUILT).result_rows[0][0])


def customers(client: Client) -> int:
    """Return about how many customers are stored.

    Raises:
        RetryableError: ClickHouse does not answer for now.
        SchemaMismatch: The tables are not there.
    """
    with explained():
        return int(client.query(_CUSTOMERS).result_rows[0][0])


@cache
def _sql(name: str) -> str:
    return files("schemas").joinpath(f"sql/refresh/{name}.sql").read_text(encoding="utf-8")
