"""Into ClickHouse, each record once: column blocks behind a read-back fence.

A block that was sent may or may not have been stored when a worker dies or a connection breaks, so
after every assignment and every ambiguous insert the sink asks ClickHouse how far each partition is
stored. Records beyond that are inserted at once; for those below it, it reads which offsets are
there and inserts only the missing ones. Deduplication tokens are not used: they can drop rows that
were never stored.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import timezone
from typing import Any
from uuid import UUID

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DataError

from pipeline.decode import Reason
from pipeline.errors import RejectedRecord, TouchlineError
from pipeline.rejects import Reject
from pipeline.rows import COLUMNS, Row, columns
from pipeline.warehouse.client import translated

log = logging.getLogger(__name__)

#: Most months in one insert; ClickHouse refuses blocks that touch over 100 partitions.
MAX_MONTHS = 90
#: One partition of one life of a topic.
Source = tuple[str, UUID, int]

_TOPIC, _TOPIC_ID, _PARTITION, _OFFSET = 0, 1, 2, 3
_OCCURRED_AT = COLUMNS.index("occurred_at")
_SETTINGS = {"async_insert": 0, "insert_deduplicate": 0}

_STORED_TO = """
SELECT topic, topic_id, partition, max(offset)
FROM {table:Identifier}
WHERE topic = {topic:String} AND topic_id = {topic_id:UUID}
  AND partition IN {partitions:Array(UInt32)}
GROUP BY topic, topic_id, partition
"""
_STORED_OFFSETS = """
SELECT DISTINCT offset
FROM {table:Identifier}
WHERE topic = {topic:String} AND topic_id = {topic_id:UUID} AND partition = {partition:UInt32}
  AND offset BETWEEN {first:UInt64} AND {last:UInt64}
"""
_REJECT_COLUMNS = (
    "topic",
    "topic_id",
    "partition",
    "offset",
    "kafka_at",
    "rejected_at",
    "reason",
    "field",
    "error",
    "bytes",
)


class Fence:
    """Knows which offsets of a table are stored already.

    Args:
        client: ClickHouse client.
        table: Table with the columns topic, topic_id, partition and offset.
    """

    def __init__(self, client: Client, table: str) -> None:
        self._client = client
        self._table = table
        self._stored_to: dict[Source, int] = {}

    def forget(self) -> None:
        """Know nothing any more: after an assignment or an ambiguous insert."""
        self._stored_to.clear()

    def stored_to(self, sources: Iterable[Source]) -> dict[Source, int]:
        """Return the highest stored offset of partitions, -1 where nothing is stored."""
        sources = list(sources)
        self._learn(source for source in sources if source not in self._stored_to)
        return {source: self._stored_to[source] for source in sources}

    def missing(self, places: Sequence[tuple[Source, int]]) -> list[bool]:
        """Return for each record whether it is not stored yet."""
        by_source: dict[Source, list[int]] = {}
        for source, offset in places:
            by_source.setdefault(source, []).append(offset)
        self._learn(source for source in by_source if source not in self._stored_to)
        stored = {
            source: self._stored(source, offsets)
            for source, offsets in by_source.items()
            if min(offsets) <= self._stored_to[source]
        }
        if not stored:
            return [True] * len(places)
        return [offset not in stored.get(source, ()) for source, offset in places]

    def _learn(self, sources: Iterable[Source]) -> None:
        topics: dict[tuple[str, UUID], list[int]] = {}
        for topic, topic_id, partition in sources:
            topics.setdefault((topic, topic_id), []).append(partition)
            self._stored_to[topic, topic_id, partition] = -1
        for (topic, topic_id), partitions in topics.items():
            found = self._client.query(
                _STORED_TO,
                parameters={
                    "table": self._table,
                    "topic": topic,
                    "topic_id": topic_id,
                    "partitions": partitions,
                },
            )
            for _, _, partition, offset in found.result_rows:
                self._stored_to[topic, topic_id, partition] = offset

    def _stored(self, source: Source, offsets: Sequence[int]) -> frozenset[int]:
        topic, topic_id, partition = source
        found = self._client.query(
            _STORED_OFFSETS,
            parameters={
                "table": self._table,
                "topic": topic,
                "topic_id": topic_id,
                "partition": partition,
                "first": min(offsets),
                "last": max(offsets),
            },
        )
        return frozenset(row[0] for row in found.result_rows)


class Sink:
    """Writes accepted records and rejections.

    Args:
        client: ClickHouse client on the database that has the tables.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._records = Fence(client, "interaction_records")
        self._rejections = Fence(client, "rejections")

    def forget(self) -> None:
        """Read back before the next insert: the assignment changed."""
        self._records.forget()
        self._rejections.forget()

    def stored_to(self, sources: Iterable[Source]) -> dict[Source, int]:
        """Return the highest stored offset of partitions, -1 where nothing is stored.

        Raises:
            RetryableError: ClickHouse does not answer for now.
            FatalError: ClickHouse refuses to.
        """
        try:
            return self._records.stored_to(sources)
        except ClickHouseError as error:
            raise self._explained(error) from error

    def store(self, rows: Sequence[Row]) -> tuple[int, list[tuple[Row, RejectedRecord]]]:
        """Insert the rows that are not stored yet.

        Returns:
            How many were inserted, and the rows that ClickHouse cannot hold, with the reason.

        Raises:
            RetryableError: ClickHouse did not take them for now; some may be stored.
            SchemaMismatch: The table is not there or has other columns.
            FatalError: ClickHouse refuses them for good.
        """
        if not rows:
            return 0, []
        try:
            missing = self._records.missing(
                [((row[_TOPIC], row[_TOPIC_ID], row[_PARTITION]), row[_OFFSET]) for row in rows]
            )
            wanted = [row for row, absent in zip(rows, missing, strict=True) if absent]
            unstorable: list[tuple[Row, RejectedRecord]] = []
            for block in _blocks(wanted):
                unstorable += self._insert(block)
        except ClickHouseError as error:
            raise self._explained(error) from error
        return len(wanted) - len(unstorable), unstorable

    def unrecorded(self, rejects: Sequence[Reject]) -> list[Reject]:
        """Return the rejects that are not in the table of rejections yet.

        Raises:
            RetryableError: ClickHouse does not answer for now.
            SchemaMismatch: The table is not there or has other columns.
            FatalError: ClickHouse refuses them for good.
        """
        if not rejects:
            return []
        try:
            missing = self._rejections.missing(
                [((item.topic, item.topic_id, item.partition), item.offset) for item in rejects]
            )
        except ClickHouseError as error:
            raise self._explained(error) from error
        return [item for item, absent in zip(rejects, missing, strict=True) if absent]

    def record(self, rejects: Sequence[Reject], rejected_at: Any) -> None:
        """List rejects in the table of rejections, without their payload.

        Raises:
            RetryableError: ClickHouse did not take them for now.
            SchemaMismatch: The table is not there or has other columns.
            FatalError: ClickHouse refuses them for good.
        """
        if not rejects:
            return
        rows = [
            (
                item.topic,
                item.topic_id,
                item.partition,
                item.offset,
                item.kafka_at,
                rejected_at,
                item.cause.reason,
                item.cause.field,
                item.cause.error,
                len(item.value or b""),
            )
            for item in rejects
        ]
        try:
            self._client.insert(
                "rejections", rows, column_names=_REJECT_COLUMNS, settings=_SETTINGS
            )
        except ClickHouseError as error:
            raise self._explained(error) from error

    def _insert(self, rows: Sequence[Row]) -> list[tuple[Row, RejectedRecord]]:
        """Insert rows; where some cannot be serialized, halve until they stand alone."""
        try:
            self._client.insert(
                "interaction_records",
                columns(rows),
                column_names=COLUMNS,
                column_oriented=True,
                settings=_SETTINGS,
            )
        except DataError as error:
            if len(rows) == 1:
                log.warning("a record cannot be stored: %s", type(error).__name__)
                return [
                    (rows[0], RejectedRecord(Reason.UNSTORABLE.value, "ClickHouse cannot hold it"))
                ]
            half = len(rows) // 2
            return self._insert(rows[:half]) + self._insert(rows[half:])
        return []

    def _explained(self, error: ClickHouseError) -> TouchlineError:
        self.forget()  # what was sent may or may not be stored: look before the next insert
        return translated(error)


def _blocks(rows: Sequence[Row]) -> Iterable[Sequence[Row]]:
    """Split rows so that no block touches more than ``MAX_MONTHS`` table partitions."""
    months: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        at = row[_OCCURRED_AT].astimezone(timezone.utc)
        months.setdefault((at.year, at.month), []).append(row)
    if len(months) <= MAX_MONTHS:
        return [rows] if rows else []
    groups = list(months.values())
    return [
        [row for group in groups[start : start + MAX_MONTHS] for row in group]
        for start in range(0, len(groups), MAX_MONTHS)
    ]
