"""The sum that must always hold: what Kafka holds is stored or rejected, and nothing else.

Counted in ClickHouse, over ranges of offsets, so that one run can be told from all that was stored
before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from clickhouse_connect.driver.client import Client

from pipeline.topics import TopicPartition

_RANGES = """
WITH arrayJoin(arrayZip(
    {topics:Array(String)}, {ids:Array(UUID)}, {partitions:Array(UInt32)},
    {firsts:Array(UInt64)}, {ends:Array(UInt64)})) AS range
SELECT range.1 AS topic, range.2 AS topic_id, range.3 AS partition, range.4 AS first, range.5 AS end
"""
_WITHIN = "r.topic_id = t.topic_id AND r.topic = t.topic AND r.partition = t.partition"
# S608: the pieces are constants of this module; every value is bound
_RECORDS = f"""
SELECT count() AS records, uniqExact(customer_key, event_id) AS events,
       countIf(touchpoint = 'unclassified') AS unclassified
FROM (
    SELECT DISTINCT t.topic, t.topic_id, t.partition, t.offset, t.customer_key, t.event_id,
           t.touchpoint
    FROM interaction_records AS t INNER JOIN ({_RANGES}) AS r ON {_WITHIN}
    WHERE t.offset >= r.first AND t.offset < r.end
)
"""  # noqa: S608
_KNOWN = f"""
WITH mine AS (
    SELECT t.customer_key AS customer_key, t.event_id AS event_id,
           uniqExact(t.topic, t.topic_id, t.partition, t.offset) AS records
    FROM interaction_records AS t INNER JOIN ({_RANGES}) AS r ON {_WITHIN}
    WHERE t.offset >= r.first AND t.offset < r.end
    GROUP BY customer_key, event_id
)
SELECT count()
FROM (
    SELECT customer_key, event_id, uniqExact(topic, topic_id, partition, offset) AS records
    FROM interaction_records
    WHERE (customer_key, event_id) IN (SELECT customer_key, event_id FROM mine)
    GROUP BY customer_key, event_id
) AS everywhere INNER JOIN mine USING (customer_key, event_id)
WHERE everywhere.records > mine.records
"""  # noqa: S608
_REJECTED = f"""
SELECT reason, uniqExact(t.topic, t.topic_id, t.partition, t.offset) AS records
FROM rejections AS t INNER JOIN ({_RANGES}) AS r ON {_WITHIN}
WHERE t.offset >= r.first AND t.offset < r.end
  AND (t.topic, t.topic_id, t.partition, t.offset) NOT IN (
    -- rejected once, and accepted when it was read again
    SELECT s.topic, s.topic_id, s.partition, s.offset
    FROM interaction_records AS s INNER JOIN ({_RANGES}) AS q
    ON s.topic_id = q.topic_id AND s.topic = q.topic AND s.partition = q.partition
    WHERE s.offset >= q.first AND s.offset < q.end
  )
GROUP BY reason ORDER BY records DESC, reason
"""  # noqa: S608


@dataclass(frozen=True)
class Account:
    """What became of a range of records.

    Attributes:
        produced: Records in the range, by offsets.
        records: Records stored, duplicates included.
        stored: Distinct events among them.
        known: Those of them that are stored from elsewhere as well: sent before, or sent again.
        unclassified: Stored records that no rule of the catalog matched.
        rejected: Records rejected, by reason.
    """

    produced: int
    records: int
    stored: int
    known: int
    unclassified: int
    rejected: dict[str, int] = field(default_factory=dict)

    @property
    def duplicates(self) -> int:
        """Stored records that repeat an event: named, and collapsed by every view."""
        return self.records - self.stored

    @property
    def balanced(self) -> bool:
        """Whether produced = stored + duplicates + rejected."""
        return self.produced == self.records + sum(self.rejected.values())


def account(
    client: Client,
    topic_ids: Mapping[str, UUID],
    starts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> Account:
    """Add up what ClickHouse holds of the offsets from ``starts`` to before ``ends``.

    Args:
        client: Client on the database.
        topic_ids: Id of each topic.
        starts: First offset of each partition; 0 where it is not named.
        ends: Offset after the last one of each partition.
    """
    places = sorted(ends)
    parameters = {
        "topics": [topic for topic, _ in places],
        "ids": [str(topic_ids[topic]) for topic, _ in places],
        "partitions": [partition for _, partition in places],
        "firsts": [starts.get(place, 0) for place in places],
        "ends": [ends[place] for place in places],
    }
    records, stored, unclassified = client.query(_RECORDS, parameters=parameters).result_rows[0]
    known = client.query(_KNOWN, parameters=parameters).result_rows[0][0]
    rejected = client.query(_REJECTED, parameters=parameters).result_rows
    return Account(
        produced=sum(ends[place] - starts.get(place, 0) for place in places),
        records=records,
        stored=stored,
        known=known,
        unclassified=unclassified,
        rejected={str(row[0]): int(row[1]) for row in rejected},
    )
