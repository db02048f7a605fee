"""What the oracle of moments is given and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pipeline.classify import Classification


@dataclass(frozen=True)
class Seen:
    """A valid interaction as detection gets it."""

    customer_key: str
    event_id: str
    occurred_at: datetime
    event: Mapping[str, Any]
    classification: Classification


@dataclass(frozen=True)
class OracleMoment:
    """A moment of truth that stands, was resolved or was retracted."""

    moment_id: UUID
    rule: str
    kind: str
    status: str
    customer_key: str
    subject: str
    cause: str
    evidence: tuple[str, ...]
    cause_at: datetime
    occurred_at: datetime
    due_at: datetime | None = None
    closed_at: datetime | None = None
    closed_by: str = ""


@dataclass(frozen=True)
class OraclePromise:
    """What became of a promise."""

    promise_id: UUID
    promise: str
    status: str
    customer_key: str
    subject: str
    made_by: str
    made_at: datetime
    due_at: datetime
    answered_at: datetime | None = None
    answered_by: str = ""


@dataclass(frozen=True)
class Found:
    """Everything there is to find."""

    moments: frozenset[OracleMoment]
    promises: frozenset[OraclePromise]
