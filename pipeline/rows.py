"""Accepted records as the columns of ``interaction_records``.

One Python list per column, filled record by record: what the sink inserts in one block.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import orjson

from pipeline.classify import Classification
from pipeline.decode import Decoded
from schemas.interaction import MODELS, OtherInteraction, Rating

#: Columns of ``interaction_records`` that the worker writes, in the order of the table.
COLUMNS = (
    "topic",
    "topic_id",
    "partition",
    "offset",
    "kafka_at",
    "ingested_at",
    "event_id",
    "schema_version",
    "customer_key",
    "identity_keys",
    "channel",
    "action",
    "direction",
    "touchpoint",
    "need",
    "stage_default",
    "stage_after",
    "facts",
    "catalog_version",
    "occurred_at",
    "sent_at",
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
    "extra",
    "clock",
    "claimed_at",
)
#: The event came later than the allowed lateness; it claims to be of the future.
LATE, FUTURE = "late", "future"

Row = tuple[Any, ...]
#: Where a record stands: topic, topic id, partition, offset, Kafka's timestamp.
Place = tuple[str, UUID, int, int, datetime]


def row(
    place: Place,
    ingested_at: datetime,
    decoded: Decoded,
    keys: dict[str, str],
    classification: Classification,
    catalog_version: str,
    occurred_at: datetime,
    clock: str,
) -> Row:
    """Return one record's values in the order of ``COLUMNS``.

    Args:
        place: Where the record stands in Kafka.
        ingested_at: When this worker took it.
        decoded: The valid record.
        keys: Keyed hashes of its identifiers by kind; the first is the customer key.
        classification: What the catalog says.
        catalog_version: Version of that catalog.
        occurred_at: When it happened, at the latest when it arrived.
        clock: What is wrong with that time: ``LATE``, ``FUTURE`` or nothing.
    """
    interaction, event = decoded.interaction, decoded.event
    rating = interaction.rating
    details = event.get("details")
    return (
        *place,
        ingested_at,
        interaction.event_id,
        interaction.schema_version,
        next(iter(keys.values())),
        keys,
        interaction.channel,
        interaction.action,
        interaction.direction or "",
        classification.touchpoint,
        interaction.need or classification.need,
        classification.stage,
        [(option.fact, option.times, option.stage) for option in classification.stage_after],
        classification.facts,
        catalog_version,
        occurred_at,
        interaction.sent_at,
        interaction.promise_due_at,
        interaction.segment or "",
        interaction.language or "",
        interaction.case_ids,
        "" if rating is None else rating.scale,
        None if rating is None else rating.score,
        interaction.sentiment,
        interaction.amount,
        interaction.currency or "",
        orjson.dumps(details).decode() if details else "{}",
        _extra(event),
        clock,
        interaction.occurred_at if clock == FUTURE else None,
    )


def columns(rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Turn rows into columns, in the order of ``COLUMNS``."""
    return list(zip(*rows, strict=True))


def kafka_time(timestamp_ms: int | None) -> datetime:
    """Return a Kafka timestamp in milliseconds as an instant; the epoch where there is none."""
    # out of range would fail the insert of everything beside it
    milliseconds = min(max(timestamp_ms or 0, 0), 4_102_444_800_000)
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc)


_KNOWN = {channel: frozenset(model.model_fields) for channel, model in MODELS.items()}
_KNOWN_OTHER = frozenset(OtherInteraction.model_fields)
_KNOWN_OF_RATING = frozenset(Rating.model_fields)


def _extra(event: dict[str, Any]) -> str:
    known, rating = _KNOWN.get(event["channel"], _KNOWN_OTHER), event.get("rating")
    if known.issuperset(event) and (not rating or _KNOWN_OF_RATING.issuperset(rating)):
        return ""
    unknown = {name: value for name, value in event.items() if name not in known}
    if rating and not _KNOWN_OF_RATING.issuperset(rating):
        unknown["rating"] = {
            name: value for name, value in rating.items() if name not in _KNOWN_OF_RATING
        }
    return orjson.dumps(unknown).decode()
