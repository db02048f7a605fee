"""Rows of the tables that detection writes and reads back, in the order of their columns."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID


class MomentRow(NamedTuple):
    """One revision of a moment, as in ``moment_records``; what the fields mean: schemas.moment.

    Attributes:
        partition: Kafka partition of the customer.
        watermark: Watermark of that partition when the revision was made.
    """

    schema_version: str
    moment_id: UUID
    revision: int
    status: str
    kind: str
    severity: str
    rule: str
    rule_version: str
    catalog_version: str
    customer_key: str
    subject: str
    segment: str
    touchpoint: str
    channel: str
    need: str
    owner: str
    text: str
    cause: str
    evidence: list[str]
    cause_at: datetime
    occurred_at: datetime
    due_at: datetime | None
    closed_at: datetime | None
    closed_by: str
    detected_at: datetime
    changed_at: datetime
    partition: int
    watermark: datetime


class PromiseRow(NamedTuple):
    """One revision of a promise, as in ``promise_records``.

    Attributes:
        status: A ``schemas.moment.PromiseStatus``.
        made_by: Id of the event that made it; touchpoint, channel, need and segment are that
            event's, and the owner is that touchpoint's.
        answered_by: Id of the event that kept it, in time or late, or empty.
        answered_channel: Channel of that event, or empty.
        ended_at: When it was cancelled.
        partition: Kafka partition of the customer.
        watermark: Watermark of that partition when the revision was made.
    """

    promise_id: UUID
    revision: int
    status: str
    promise: str
    promise_version: str
    catalog_version: str
    customer_key: str
    subject: str
    segment: str
    touchpoint: str
    channel: str
    need: str
    owner: str
    made_by: str
    made_at: datetime
    due_at: datetime
    answered_by: str
    answered_channel: str
    answered_at: datetime | None
    ended_at: datetime | None
    changed_at: datetime
    partition: int
    watermark: datetime


class ProgressRow(NamedTuple):
    """How far moments were detected in one partition of one life of a topic.

    Attributes:
        next_offset: What stands before it is in the moments and promises.
        watermark: Watermark of the partition after that.
    """

    topic: str
    topic_id: UUID
    partition: int
    next_offset: int
    watermark: datetime
