"""What the steps after decoding may read of a valid interaction.

It is a model of ``schemas.interaction`` or a struct of ``pipeline.structs``: the same fields with
the same values, and nothing else in common. Unknown fields stand in ``Decoded.event`` only.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Protocol


class AcceptedRating(Protocol):
    """As ``schemas.interaction.Rating``."""

    @property
    def scale(self) -> str: ...  # noqa: D102  # described there, as everything below
    @property
    def score(self) -> float: ...  # noqa: D102


class Accepted(Protocol):
    """As ``schemas.interaction.Envelope``, which describes the fields."""

    @property
    def event_id(self) -> str: ...  # noqa: D102
    @property
    def schema_version(self) -> str: ...  # noqa: D102
    @property
    def channel(self) -> str: ...  # noqa: D102
    @property
    def action(self) -> str: ...  # noqa: D102
    @property
    def occurred_at(self) -> datetime: ...  # noqa: D102
    @property
    def sent_at(self) -> datetime | None: ...  # noqa: D102
    @property
    def identifiers(self) -> dict[str, str]: ...  # noqa: D102
    @property
    def case_ids(self) -> dict[str, str]: ...  # noqa: D102
    @property
    def segment(self) -> str | None: ...  # noqa: D102
    @property
    def need(self) -> str | None: ...  # noqa: D102
    @property
    def language(self) -> str | None: ...  # noqa: D102
    @property
    def rating(self) -> AcceptedRating | None: ...  # noqa: D102
    @property
    def sentiment(self) -> float | None: ...  # noqa: D102
    @property
    def currency(self) -> str | None: ...  # noqa: D102
    @property
    def amount(self) -> Decimal | None: ...  # noqa: D102
    @property
    def promise_due_at(self) -> datetime | None: ...  # noqa: D102
    @property
    def direction(self) -> str | None: ...  # noqa: D102
