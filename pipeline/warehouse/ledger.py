"""What detection wrote and where it stood, and the history it starts from again.

State lives in the worker's memory and is made anew from here after a restart or a rebalance: how
far each partition was detected, the moments and promises that can still change, and the
interactions that can still be part of one. Everything is stored before the progress that claims it,
so what is found here is never behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from itertools import groupby
from typing import Any, TypeVar
from uuid import UUID

from pipeline.warehouse.client import explained
from pipeline.warehouse.history import IN_RANGE, MAX_CUSTOMERS, History, Source
from pipeline.warehouse.ledger_rows import MomentRow, ProgressRow, PromiseRow
from schemas.rules import STRIKES

#: Most months in one insert; ClickHouse refuses blocks that touch over 100 partitions.
_MAX_MONTHS = 90
_SETTINGS = {"async_insert": 0, "insert_deduplicate": 0}

_PROGRESS = """
SELECT topic, topic_id, partition, next_offset, watermark
FROM detection_progress FINAL
WHERE topic IN {topics:Array(String)}
"""
#: The time that decides where a row is kept never changes; the time asked for may.
_RECENT = """
FROM {table:Identifier}
WHERE partition IN {partitions:Array(UInt32)} AND {kept_at:Identifier} >= (
    SELECT minOrNull({kept_at:Identifier}) FROM {table:Identifier}
    WHERE partition IN {partitions:Array(UInt32)} AND {asked_at:Identifier} >= {since:DateTime64(6)}
)
"""
_STRUCK = """
SELECT DISTINCT customer_key
FROM (
    SELECT
        customer_key, moment_id,
        argMax((status, closed_at, occurred_at), (revision, changed_at)) AS latest
    FROM moment_records
    WHERE partition IN {partitions:Array(UInt32)} AND rule = {rule:String}
    GROUP BY customer_key, moment_id
)
WHERE latest.3 < {begun:DateTime64(6)}
  AND (latest.1 = 'open' OR (latest.1 = 'resolved' AND latest.2 >= {ended:DateTime64(6)}))
"""
_OF = "FROM {table:Identifier} WHERE customer_key IN {customers:Array(String)}"
_Row = TypeVar("_Row", MomentRow, PromiseRow)
_TABLES: dict[type, str] = {MomentRow: "moment_records", PromiseRow: "promise_records"}


class Ledger(History):
    """Writes and reads what detection knows.

    Every method raises RetryableError where ClickHouse does not answer or cannot for now,
    SchemaMismatch where tables or columns are missing, and FatalError where it refuses for good.
    Inserts can be repeated: a row that is stored twice counts once.

    Args:
        client: ClickHouse client on the database that has the tables.
    """

    def record_moments(self, rows: Sequence[MomentRow]) -> None:
        """Store revisions of moments; when it returns, they are there."""
        for block in _blocks(rows, lambda row: row.cause_at):
            self._insert("moment_records", block, MomentRow._fields)

    def record_promises(self, rows: Sequence[PromiseRow]) -> None:
        """Store revisions of promises; when it returns, they are there."""
        for block in _blocks(rows, lambda row: row.made_at):
            self._insert("promise_records", block, PromiseRow._fields)

    def record_progress(self, rows: Sequence[ProgressRow]) -> None:
        """Say how far detection is done: after the moments and promises of it are stored."""
        if rows:
            self._insert("detection_progress", rows, ProgressRow._fields)

    def progress(self, topics: Collection[str]) -> dict[Source, tuple[int, datetime]]:
        """Return next offset and watermark of each partition of the topics.

        Args:
            topics: Names of topics. A topic that was deleted and made again has entries of every
                life, told apart by its id: what was delivered in an earlier one is history, too.
        """
        with explained():
            rows = self._client.query(_PROGRESS, parameters={"topics": list(topics)}).result_rows
        return {(row[0], row[1], row[2]): (row[3], row[4]) for row in rows}

    def moments(self, partitions: Collection[int], since: datetime) -> dict[UUID, MomentRow]:
        """Return the latest revision of every moment that occurred at or after ``since``.

        Those that were withdrawn are among them: they keep their id and go on counting revisions.

        Args:
            partitions: Kafka partitions of the customers.
            since: Compared with ``occurred_at`` of the latest revision.
        """
        asked = {"table": "moment_records", "kept_at": "cause_at", "asked_at": "occurred_at"}
        latest = latest_moments(self._revisions(MomentRow, {**asked, **_recent(partitions, since)}))
        return {key: row for key, row in latest.items() if row.occurred_at >= since}

    def struck(
        self, partitions: Collection[int], begun_before: datetime, ended_since: datetime
    ) -> list[str]:
        """Return the customers of strikes that began long ago, and are open or were lately.

        Args:
            partitions: Kafka partitions of the customers.
            begun_before: Compared with ``occurred_at`` of the latest revision.
            ended_since: Compared with ``closed_at`` of the latest revision.
        """
        asked = {
            "partitions": list(partitions),
            "rule": STRIKES,
            "begun": begun_before,
            "ended": ended_since,
        }
        with explained():
            rows = self._client.query(_STRUCK, parameters=asked).result_rows
        return sorted(row[0] for row in rows)

    def promises(self, partitions: Collection[int], since: datetime) -> dict[UUID, PromiseRow]:
        """Return the latest revision of every promise that was due at or after ``since``.

        Args:
            partitions: Kafka partitions of the customers.
            since: Compared with ``due_at`` of the latest revision.
        """
        asked = {"table": "promise_records", "kept_at": "made_at", "asked_at": "due_at"}
        latest = latest_promises(
            self._revisions(PromiseRow, {**asked, **_recent(partitions, since)})
        )
        return {key: row for key, row in latest.items() if row.due_at >= since}

    def moments_of(self, customer_keys: Collection[str]) -> list[MomentRow]:
        """Return the latest revision of every moment of some customers."""
        return list(latest_moments(self._of(MomentRow, customer_keys)).values())

    def promises_of(self, customer_keys: Collection[str]) -> list[PromiseRow]:
        """Return the latest revision of every promise to some customers."""
        return list(latest_promises(self._of(PromiseRow, customer_keys)).values())

    def _revisions(self, kind: type[_Row], asked: Mapping[str, Any]) -> Iterator[_Row]:
        """Yield all revisions of what has any that is recent."""
        selected = f"SELECT {', '.join(kind._fields)} {_RECENT} AND {IN_RANGE}"
        for first, end in self._ranges(_RECENT, asked):
            rows = zip(*self._columns(selected, {**asked, "first": first, "end": end}), strict=True)
            yield from map(kind._make, rows)

    def _of(self, kind: type[_Row], customer_keys: Collection[str]) -> Iterator[_Row]:
        """Yield all revisions of some customers."""
        keys, selected = list(customer_keys), f"SELECT {', '.join(kind._fields)} {_OF}"
        for start in range(0, len(keys), MAX_CUSTOMERS):
            some = keys[start : start + MAX_CUSTOMERS]
            columns = self._columns(selected, {"table": _TABLES[kind], "customers": some})
            yield from map(kind._make, zip(*columns, strict=True))

    def _insert(self, table: str, rows: Sequence[tuple[Any, ...]], names: Sequence[str]) -> None:
        with explained():
            self._client.insert(
                table,
                list(zip(*rows, strict=True)),
                column_names=names,
                column_oriented=True,
                settings=_SETTINGS,
            )


def latest_moments(revisions: Iterable[MomentRow]) -> dict[UUID, MomentRow]:
    """Return the latest revision of every moment."""
    latest: dict[UUID, MomentRow] = {}
    for row in revisions:
        known = latest.setdefault(row.moment_id, row)
        if (known.revision, known.changed_at) < (row.revision, row.changed_at):
            latest[row.moment_id] = row
    return latest


def latest_promises(revisions: Iterable[PromiseRow]) -> dict[UUID, PromiseRow]:
    """Return the latest revision of every promise."""
    latest: dict[UUID, PromiseRow] = {}
    for row in revisions:
        known = latest.setdefault(row.promise_id, row)
        if (known.revision, known.changed_at) < (row.revision, row.changed_at):
            latest[row.promise_id] = row
    return latest


def _recent(partitions: Collection[int], since: datetime) -> dict[str, Any]:
    """Return parameters of ``_RECENT``."""
    return {"partitions": list(partitions), "since": since}


def _blocks(rows: Sequence[_Row], kept_at: Callable[[_Row], datetime]) -> Iterator[list[_Row]]:
    """Split rows so that no block touches too many months of the table."""

    def month(row: _Row) -> tuple[int, int]:
        at = kept_at(row).astimezone(timezone.utc)
        return at.year, at.month

    months = [list(group) for _, group in groupby(sorted(rows, key=month), month)]
    for start in range(0, len(months), _MAX_MONTHS):
        yield [row for group in months[start : start + _MAX_MONTHS] for row in group]
