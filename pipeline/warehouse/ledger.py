"""What detection wrote and where it stood, and the history it starts from again.

State lives in the worker's memory and is made anew from here after a restart or a rebalance: how
far each partition was detected, the moments and promises that can still change, and the
interactions that can still be part of one. Everything is stored before the progress that claims it,
so what is found here is never behind it.

History is read in ranges of customers: all rows of a customer come in one block, the engine never
holds more than one block of the answer, and each range is one of the tables' own order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from itertools import groupby, pairwise
from typing import Any, TypeVar
from uuid import UUID

from clickhouse_connect.driver.client import Client

from pipeline.warehouse.client import explained
from pipeline.warehouse.ledger_rows import MomentRow, ProgressRow, PromiseRow

#: One partition of one life of a topic: topic, its id, partition.
Source = tuple[str, UUID, int]
#: One interaction by column name.
Interaction = dict[str, Any]

#: What ``interactions`` can give of each.
INTERACTION_COLUMNS = (
    "topic",
    "partition",
    "offset",
    "customer_key",
    "event_id",
    "occurred_at",
    "channel",
    "action",
    "direction",
    "touchpoint",
    "need",
    "stage_default",
    "stage_after",
    "facts",
    "catalog_version",
    "promise_due_at",
    "segment",
    "language",
    "case_ids",
    "rating_scale",
    "rating_score",
    "sentiment",
    "amount",
    "currency",
    "details",
    "clock",
)
#: Rows of a block, about; all rows of a customer are in the same.
BLOCK_ROWS = 50_000

#: Most months in one insert; ClickHouse refuses blocks that touch over 100 partitions.
_MAX_MONTHS = 90
#: Most customers asked for at once: ClickHouse limits the length of a parameter.
_MAX_CUSTOMERS = 1_000
_SAMPLE = 8_192
_SETTINGS = {"async_insert": 0, "insert_deduplicate": 0}

_PROGRESS = """
SELECT topic, topic_id, partition, next_offset, watermark
FROM detection_progress FINAL
WHERE topic IN {topics:Array(String)}
"""
_IN_RANGE = "customer_key >= {first:String} AND ({end:String} = '' OR customer_key < {end:String})"
#: The time that decides where a row is kept never changes; the time asked for may.
_RECENT = """
FROM {table:Identifier}
WHERE partition IN {partitions:Array(UInt32)} AND {kept_at:Identifier} >= (
    SELECT minOrNull({kept_at:Identifier}) FROM {table:Identifier}
    WHERE partition IN {partitions:Array(UInt32)} AND {asked_at:Identifier} >= {since:DateTime64(6)}
)
"""
_OF = "FROM {table:Identifier} WHERE customer_key IN {customers:Array(String)}"
#: transform() looks the end of each row's own source up in a hash table, 0 where there is none.
_BEFORE = """
FROM interaction_records
WHERE (occurred_at >= {since:DateTime64(6)} OR promise_due_at >= {since:DateTime64(6)})
  AND touchpoint IN {touchpoints:Array(String)}
  AND partition IN {partitions:Array(UInt32)}
  AND offset < transform(
    cityHash64(topic, topic_id, partition),
    arrayMap(
        (topic, id, partition) -> cityHash64(topic, id, partition),
        {topics:Array(String)}, {ids:Array(UUID)}, {partitions:Array(UInt32)}
    ),
    {ends:Array(UInt64)},
    toUInt64(0)
  )
"""
#: Where a row stands, which decides between duplicates; read with every block.
_PLACE = ("customer_key", "event_id", "topic", "topic_id", "partition", "offset", "ingested_at")

#: What is quicker to read in another type; a named tuple would come as a dictionary. Without names
#: of their own, which the conditions would take for the columns.
_AS = {
    "topic_id": "toLowCardinality(toString(topic_id))",
    "ingested_at": "toUnixTimestamp64Milli(ingested_at)",
    "stage_after": "CAST(stage_after, 'Array(Tuple(String, UInt8, String))')",
}

_Row = TypeVar("_Row", MomentRow, PromiseRow)
_TABLES: dict[type, str] = {MomentRow: "moment_records", PromiseRow: "promise_records"}


class Ledger:
    """Writes and reads what detection knows.

    Every method raises RetryableError where ClickHouse does not answer or cannot for now,
    SchemaMismatch where tables or columns are missing, and FatalError where it refuses for good.
    Inserts can be repeated: a row that is stored twice counts once.

    Args:
        client: ClickHouse client on the database that has the tables.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

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

    def interactions(
        self,
        next_offsets: Mapping[Source, int],
        since: datetime,
        touchpoints: Collection[str],
        columns: Sequence[str] = INTERACTION_COLUMNS,
    ) -> Iterator[list[Interaction]]:
        """Yield the stored interactions that detection has seen, in blocks.

        All of a customer's are in one block, in no order. Each event comes once: of duplicates the
        one that stands first in Kafka, as in the view ``interactions``, but of those asked for. A
        record that workers with different catalogs stored may come as either of them saw it.

        Args:
            next_offsets: For each partition of each topic the offset before which to read; others
                are not read.
            since: Those that happened, or promised something that was due, at or after this.
            touchpoints: Those of these touchpoints.
            columns: Columns to give, some of ``INTERACTION_COLUMNS``: each left out is time saved.
                ``stage_after`` is a list of (fact, times, stage), ``details`` the JSON text; what
                an event did not carry is empty or None.
        """
        asked = _asked(next_offsets, since, touchpoints)
        selected = f"{selected_columns(columns)} {_BEFORE} AND {_IN_RANGE}"
        for first, end in self._ranges(_BEFORE, asked):
            yield self._events(selected, {**asked, "first": first, "end": end}, columns)

    def history(
        self,
        customer_keys: Collection[str],
        next_offsets: Mapping[Source, int],
        since: datetime,
        touchpoints: Collection[str],
        columns: Sequence[str] = INTERACTION_COLUMNS,
    ) -> list[Interaction]:
        """Return what ``interactions`` gives, of some customers only."""
        asked, keys = _asked(next_offsets, since, touchpoints), list(customer_keys)
        selected = (
            f"{selected_columns(columns)} {_BEFORE} AND customer_key IN {{customers:Array(String)}}"
        )
        found: list[Interaction] = []
        for start in range(0, len(keys), _MAX_CUSTOMERS):
            some = {**asked, "customers": keys[start : start + _MAX_CUSTOMERS]}
            found += self._events(selected, some, columns)
        return found

    def _events(
        self, selected: str, asked: Mapping[str, Any], columns: Sequence[str]
    ) -> list[Interaction]:
        """Return every event of a block once."""
        values = self._columns(selected, asked)
        if not values:
            return []
        found = dict(zip(_read(columns), values, strict=True))
        repeats = _repeats(found)
        rows = zip(*(found[name] for name in columns), strict=True)
        return [
            dict(zip(columns, row, strict=True)) for at, row in enumerate(rows) if at not in repeats
        ]

    def _revisions(self, kind: type[_Row], asked: Mapping[str, Any]) -> Iterator[_Row]:
        """Yield all revisions of what has any that is recent."""
        selected = f"SELECT {', '.join(kind._fields)} {_RECENT} AND {_IN_RANGE}"
        for first, end in self._ranges(_RECENT, asked):
            rows = zip(*self._columns(selected, {**asked, "first": first, "end": end}), strict=True)
            yield from map(kind._make, rows)

    def _of(self, kind: type[_Row], customer_keys: Collection[str]) -> Iterator[_Row]:
        """Yield all revisions of some customers."""
        keys, selected = list(customer_keys), f"SELECT {', '.join(kind._fields)} {_OF}"
        for start in range(0, len(keys), _MAX_CUSTOMERS):
            some = keys[start : start + _MAX_CUSTOMERS]
            columns = self._columns(selected, {"table": _TABLES[kind], "customers": some})
            yield from map(kind._make, zip(*columns, strict=True))

    def _ranges(self, source: str, asked: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return ranges of customer keys of about a block of rows each; an empty end is open."""
        counted = f"SELECT count(), groupArraySample({_SAMPLE}, 1)(customer_key) {source}"
        with explained():
            rows, sample = self._client.query(counted, parameters=dict(asked)).result_rows[0]
        if rows == 0:
            return []
        # by code point, as ClickHouse compares the bytes
        keys, parts = sorted(sample), min(-(-rows // BLOCK_ROWS), len(sample))
        bounds = sorted({keys[len(keys) * number // parts] for number in range(1, parts)})
        return list(pairwise(["", *bounds, ""]))

    def _columns(self, selected: str, asked: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        with explained():
            found = self._client.query(selected, parameters=dict(asked), column_oriented=True)
            return found.result_columns  # none where there are no rows

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


def _asked(
    next_offsets: Mapping[Source, int], since: datetime, touchpoints: Collection[str]
) -> dict[str, Any]:
    """Return the parameters of ``_BEFORE``."""
    return {
        "topics": [topic for topic, _, _ in next_offsets],
        "ids": [str(topic_id) for _, topic_id, _ in next_offsets],
        "partitions": [partition for _, _, partition in next_offsets],
        "ends": list(next_offsets.values()),
        "since": since,
        "touchpoints": list(touchpoints),
    }


def _recent(partitions: Collection[int], since: datetime) -> dict[str, Any]:
    """Return parameters of ``_RECENT``."""
    return {"partitions": list(partitions), "since": since}


def _read(columns: Sequence[str]) -> list[str]:
    """Return what has to be read to give columns: where a row stands comes first."""
    return [*_PLACE, *(name for name in columns if name not in _PLACE)]


def selected_columns(columns: Sequence[str]) -> str:
    """Return the SELECT of what has to be read.

    Raises:
        ValueError: One of the columns is none.
    """
    unknown = set(columns) - set(INTERACTION_COLUMNS)
    if unknown:
        raise ValueError(f"not columns of an interaction: {sorted(unknown)}")
    return "SELECT " + ", ".join(_AS.get(name, name) for name in _read(columns))


def _repeats(found: Mapping[str, Sequence[Any]]) -> set[int]:
    """Return the rows whose event another row shows, the one that stands first in Kafka."""
    keys = list(zip(found["customer_key"], found["event_id"], strict=True))
    if len(set(keys)) == len(keys):
        return set()

    def place(row: int) -> tuple[Any, ...]:
        topic, topic_id, *rest, ingested_at = (found[name][row] for name in _PLACE[2:])
        halves = divmod(UUID(topic_id).int, 1 << 64)  # ClickHouse orders by the second one first
        return topic, halves[1], halves[0], *rest, -ingested_at

    first: dict[tuple[str, str], int] = {}
    repeats: set[int] = set()
    for row, key in enumerate(keys):
        known = first.setdefault(key, row)
        if known != row:
            first[key], other = sorted((known, row), key=place)
            repeats.add(other)
    return repeats


def _blocks(rows: Sequence[_Row], kept_at: Callable[[_Row], datetime]) -> Iterator[list[_Row]]:
    """Split rows so that no block touches too many months of the table."""

    def month(row: _Row) -> tuple[int, int]:
        at = kept_at(row).astimezone(timezone.utc)
        return at.year, at.month

    months = [list(group) for _, group in groupby(sorted(rows, key=month), month)]
    for start in range(0, len(months), _MAX_MONTHS):
        yield [row for group in months[start : start + _MAX_MONTHS] for row in group]
