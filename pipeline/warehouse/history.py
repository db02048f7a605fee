"""The stored interactions that detection starts from again, in ranges of customers.

All rows of a customer come in one block, the engine never holds more than one block of the answer,
and each range is one of the tables' own order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from uuid import UUID

from clickhouse_connect.driver.client import Client

from pipeline.warehouse.client import explained

#: One partition of one life of a topic: topic, its id, partition.
Source = tuple[str, UUID, int]
#: One interaction by column name.
Interaction = dict[str, Any]
#: Touchpoint, channel and action.
Kind = tuple[str, str, str]
#: First times that a customer did something: partition, customer, fact, and each time as
#: microseconds since 1970 with the event's id.
FirstTimes = tuple[int, str, str, list[tuple[int, str]]]

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

#: Most customers asked for at once: ClickHouse limits the length of a parameter.
MAX_CUSTOMERS = 1_000
#: Most kinds of events asked for at once, for the same reason: producers may send any action.
MAX_KINDS = 1_000
_SAMPLE = 8_192
_EVER = datetime(1970, 1, 1, tzinfo=timezone.utc)
IN_RANGE = "customer_key >= {first:String} AND ({end:String} = '' OR customer_key < {end:String})"
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
#: As above: from when on each kind of event is asked for, and others never.
_OF_KINDS = f"""
{_BEFORE}
  AND toUnixTimestamp64Micro(greatest(occurred_at, ifNull(promise_due_at, occurred_at)))
  >= transform(
    cityHash64(touchpoint, channel, action),
    arrayMap(
        (touchpoint, channel, action) -> cityHash64(touchpoint, channel, action),
        {{kind_touchpoints:Array(String)}}, {{kind_channels:Array(String)}},
        {{kind_actions:Array(String)}}
    ),
    {{kind_since:Array(Int64)}},
    toInt64(9223372036854775807)
  )
"""
_PROMISED = f"SELECT DISTINCT customer_key {_OF_KINDS} AND promise_due_at IS NOT NULL"
_KINDS = f"SELECT DISTINCT touchpoint, channel, action {_BEFORE}"
#: Of duplicates the one that stands first in Kafka tells when something was done, and what.
_FIRST_TIMES = f"""
SELECT
    first.1 AS kafka_partition, customer_key, fact,
    arraySlice(arraySort(groupArray((first.2, event_id))), 1, {{times:UInt32}}) AS first_times
FROM (
    SELECT customer_key, event_id, argMin(
        (partition, toUnixTimestamp64Micro(occurred_at), facts),
        (topic, topic_id, partition, offset, -toUnixTimestamp64Milli(ingested_at))
    ) AS first
    {_BEFORE} AND {IN_RANGE}
    GROUP BY customer_key, event_id
)
ARRAY JOIN arrayIntersect(first.3, {{facts:Array(String)}}) AS fact
GROUP BY kafka_partition, customer_key, fact
"""  # noqa: S608  # constants of this module, no values
#: Where a row stands, which decides between duplicates; read with every block.
_PLACE = ("customer_key", "event_id", "topic", "topic_id", "partition", "offset", "ingested_at")

#: What is quicker to read in another type; a named tuple would come as a dictionary. Without names
#: of their own, which the conditions would take for the columns.
_AS = {
    "topic_id": "toLowCardinality(toString(topic_id))",
    "ingested_at": "toUnixTimestamp64Milli(ingested_at)",
    "stage_after": "CAST(stage_after, 'Array(Tuple(String, UInt8, String))')",
}


class History:
    """Reads stored interactions; raises what ``Ledger`` raises.

    Args:
        client: ClickHouse client on the database that has the tables.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def kinds(
        self,
        next_offsets: Mapping[Source, int],
        since: datetime,
        touchpoints: Collection[str],
    ) -> list[Kind]:
        """Return the kinds of events there are among the stored interactions.

        Args:
            next_offsets: For each partition of each topic the offset before which to look; others
                are not looked at.
            since: Among those that happened, or promised something that was due, at or after this.
            touchpoints: Among those of these touchpoints.
        """
        asked = _asked(next_offsets, since, touchpoints)
        with explained():
            return [(*row,) for row in self._client.query(_KINDS, parameters=asked).result_rows]

    def interactions(
        self,
        next_offsets: Mapping[Source, int],
        since: Mapping[Kind, datetime],
        columns: Sequence[str] = INTERACTION_COLUMNS,
    ) -> Iterator[list[Interaction]]:
        """Yield the stored interactions that detection has seen, in blocks.

        All of a customer's are in one block, in no order, for up to ``MAX_KINDS`` kinds. Each event
        comes once: of duplicates the one that stands first in Kafka, as in the view
        ``interactions``, but of those asked for. A record that workers with different catalogs
        stored may come as either of them saw it.

        Args:
            next_offsets: For each partition of each topic the offset before which to read; others
                are not read.
            since: Of each kind those that happened, or promised something that was due, at or after
                this; other kinds are not read.
            columns: Columns to give, some of ``INTERACTION_COLUMNS``: each left out is time saved.
                ``stage_after`` is a list of (fact, times, stage), ``details`` the JSON text; what
                an event did not carry is empty or None.
        """
        selected = f"{selected_columns(columns)} {_OF_KINDS} AND {IN_RANGE}"
        for asked in _asked_by_kind(next_offsets, since):
            for first, end in self._ranges(_OF_KINDS, asked):
                yield self._events(selected, {**asked, "first": first, "end": end}, columns)

    def promised(
        self, next_offsets: Mapping[Source, int], since: Mapping[Kind, datetime]
    ) -> list[str]:
        """Return the customers of those of the same interactions that say themselves what is due.

        Args:
            next_offsets: As for ``interactions``.
            since: As for ``interactions``.
        """
        found = set[str]()
        for asked in _asked_by_kind(next_offsets, since):
            with explained():
                found.update(row[0] for row in self._client.query(_PROMISED, asked).result_rows)
        return sorted(found)

    def first_times(
        self,
        next_offsets: Mapping[Source, int],
        touchpoints: Collection[str],
        facts: Mapping[str, int],
    ) -> Iterator[FirstTimes]:
        """Yield when customers did something for the first times.

        Args:
            next_offsets: For each partition of each topic the offset before which to read; others
                are not read.
            touchpoints: Touchpoints at which it is done.
            facts: What is asked for, with how many times of it at most.
        """
        if not facts:
            return
        times = max(facts.values())
        asked = {**_asked(next_offsets, _EVER, touchpoints), "facts": sorted(facts), "times": times}
        for first, end in self._ranges(_BEFORE, asked):
            with explained():
                told = {**asked, "first": first, "end": end}
                rows = self._client.query(_FIRST_TIMES, parameters=told).result_rows
            yield from ((*row,) for row in rows)

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
        for start in range(0, len(keys), MAX_CUSTOMERS):
            some = {**asked, "customers": keys[start : start + MAX_CUSTOMERS]}
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


def _asked_by_kind(
    next_offsets: Mapping[Source, int], since: Mapping[Kind, datetime]
) -> Iterator[dict[str, Any]]:
    """Yield the parameters of ``_OF_KINDS`` for ``MAX_KINDS`` kinds at a time."""
    kinds = sorted(since)
    for start in range(0, len(kinds), MAX_KINDS):
        some = kinds[start : start + MAX_KINDS]
        times = [since[kind] for kind in some]
        yield {
            **_asked(next_offsets, min(times), sorted({touchpoint for touchpoint, _, _ in some})),
            "kind_touchpoints": [kind[0] for kind in some],
            "kind_channels": [kind[1] for kind in some],
            "kind_actions": [kind[2] for kind in some],
            "kind_since": [(at - _EVER) // timedelta(microseconds=1) for at in times],
        }


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
