"""The catalog: what a company knows of its touchpoints, as data.

Channels, needs, lifecycle stages, segments, facts and touchpoints with the rules that recognise
them. A catalog is a TOML file of this shape; ``catalogs/default.toml`` is the one that ships.
Vocabulary: touchpoint kinds after Brigman (communication, human, physical, sensory) and the
practical three (digital, human, physical).
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from schemas.text import Label, Name

#: Touchpoint and stage of an interaction that no rule matches.
UNCLASSIFIED = "unclassified"
#: What no channel may be called: ``interactions.<id>`` would be the topic of the rejected records.
REJECTED = "rejected"

_DURATION = re.compile(r"^(\d{1,6})(s|m|h|d|w)$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(value: Any) -> timedelta:
    """Read a length of time such as ``30m``, ``48h`` or ``14d``.

    Raises:
        ValueError: The text is not a whole number followed by s, m, h, d or w.
    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0:
        raise ValueError('must be a whole number and a unit, e.g. "30m", "48h" or "14d"')
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


#: A length of time, written ``30s``, ``30m``, ``48h``, ``14d`` or ``2w``.
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
#: The author's version of a catalog.
Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
Scalar = str | bool | int | float
#: Fields of the envelope that a rule can look at, apart from those below ``FREE_FIELDS``.
FIELDS = (
    "direction",
    "segment",
    "need",
    "language",
    "sentiment",
    "amount",
    "currency",
    "promise_due_at",
    "rating.scale",
    "rating.score",
)
#: Fields of the envelope with keys of their own, any of which a rule can look at.
FREE_FIELDS = ("details", "case_ids", "identifiers")
_FIELD_PATH = "|".join(
    (*map(re.escape, FIELDS), rf"({'|'.join(FREE_FIELDS)})\.[A-Za-z0-9_]{{1,64}}")
)
#: Path of a field of the envelope, e.g. ``details.page_type`` or ``rating.scale``.
FieldPath = Annotated[str, StringConstraints(pattern=rf"^({_FIELD_PATH})$")]


class Entry(BaseModel):
    """Base of everything in a catalog: strict, unknown keys refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Channel(Entry):
    """A medium that interactions arrive on; its topic is ``interactions.<id>``.

    The id ``rejected`` is refused: that topic holds what could not be used.
    """

    id: Name
    name: Label


class Need(Entry):
    """Something a customer wants, e.g. learn, order, complain."""

    id: Name
    name: Label


class Stage(Entry):
    """A lifecycle stage, in the order a customer passes them."""

    id: Name
    name: Label
    weight: float = Field(ge=0, le=1, description="Share of touchpoints the business wants here.")
    phase: Literal["before", "during", "after"] = Field(description="Roll-up around the purchase.")
    funnel: Literal["awareness", "consideration", "decision", "post_purchase"] = Field(
        description="Roll-up of the marketing funnel."
    )


class Segment(Entry):
    """A group of customers; the touchpoint map has a row for each."""

    id: Label
    name: Label


class Fact(Entry):
    """Something a customer has done that later interactions can depend on, e.g. a purchase."""

    id: Name
    name: Label
    touchpoints: list[Name] = Field(min_length=1, description="Touchpoints that establish it.")


class Condition(Entry):
    """A condition on one field; every key given must hold."""

    one_of: list[Scalar] | None = Field(None, min_length=1, description="Equal to one of these.")
    exists: bool | None = Field(None, description="Present and not null, or not.")
    min: float | None = Field(None, description="A number, at least this.")
    max: float | None = Field(None, description="A number, at most this.")
    prefix: str | None = Field(None, min_length=1, description="A text starting with this.")

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if not self.model_fields_set:
            raise ValueError("needs one of: one_of, exists, min, max, prefix")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"no number is at least {self.min:g} and at most {self.max:g}")
        return self


def _condition(value: Any) -> Any:
    if isinstance(value, (str, bool, int, float)):
        return {"one_of": [value]}
    if isinstance(value, list):
        return {"one_of": value}
    return value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Match(Entry):
    """One rule: the interaction is on one of the channels, with one of the actions, and so on."""

    channel: Annotated[list[Name], BeforeValidator(_listed)] = Field(min_length=1)
    action: Annotated[list[Label], BeforeValidator(_listed)] | None = Field(None, min_length=1)
    where: dict[FieldPath, Annotated[Condition, BeforeValidator(_condition)]] = Field(
        default_factory=dict
    )


class StageAfter(Entry):
    """The stage a touchpoint serves once the customer has done something before."""

    fact: Name
    times: int = Field(1, ge=1, le=100, description="How often it must have happened before.")
    stage: Name


class Touchpoint(Entry):
    """A moment of interaction that serves a need, on any of several channels."""

    id: Name
    name: Label
    kind: Literal["communication", "human", "physical", "sensory"]
    contact: Literal["digital", "human", "physical"]
    needs: list[Name] = Field(min_length=1, description="Needs it serves; the first is typical.")
    stage: Name
    stage_after: list[StageAfter] = Field(
        default_factory=list, description="Other stages, the first that applies wins."
    )
    service: bool = Field(False, description="Service and support, which cuts across the stages.")
    owner: Label = Field(description="Who answers for it.")
    outcome: Label = Field(description="What the customer should leave with.")
    process: Label = Field(description="Process of the company behind it.")
    importance: int = Field(ge=1, le=5, description="5 decides the relation, 1 hardly matters.")
    match: list[Match] = Field(min_length=1)


class Journey(Entry):
    """How a customer's interactions are cut into journeys."""

    gap: Duration = Field(description="A silence longer than this begins a new journey.")


class Catalog(Entry):
    """Everything Touchline knows about a company. Rules are tried in file order, first match wins.

    ``version`` is the author's; every stored row carries it with a digest of the content.
    """

    version: Version
    name: Label
    journey: Journey
    channels: list[Channel] = Field(min_length=1)
    needs: list[Need] = Field(min_length=1)
    stages: list[Stage] = Field(min_length=1)
    segments: list[Segment] = Field(default_factory=list)
    facts: list[Fact] = Field(default_factory=list)
    touchpoints: list[Touchpoint] = Field(min_length=1)
