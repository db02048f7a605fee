"""The catalog: what a company knows of its touchpoints, as data.

Channels, needs, lifecycle stages, segments, facts and touchpoints with the rules that recognise
them; outcomes that journeys come to; calendars, promises and the rules that find moments of truth
(``schemas.rules``); routes and destinations of alerts (``schemas.alerts``). A catalog is a TOML
file of this shape; ``catalogs/default.toml`` is the one that ships. Vocabulary: touchpoint kinds
after Brigman (communication, human, physical, sensory) and the practical three (digital, human,
physical).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from schemas.alerts import Destination, Route
from schemas.entry import Condition, Duration, Entry, FieldPath, Version, as_condition, as_list
from schemas.rules import Rule, Strikes, Trust
from schemas.terms import Calendar, Promise
from schemas.text import Label, Name

#: Touchpoint and stage of an interaction that no rule matches.
UNCLASSIFIED = "unclassified"
#: What no channel may be called: ``interactions.<id>`` would be the topic of the rejected records.
REJECTED = "rejected"


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


class Match(Entry):
    """One rule: the interaction is on one of the channels, with one of the actions, and so on."""

    channel: Annotated[list[Name], BeforeValidator(as_list)] = Field(min_length=1)
    action: Annotated[list[Label], BeforeValidator(as_list)] | None = Field(None, min_length=1)
    where: dict[FieldPath, Annotated[Condition, BeforeValidator(as_condition)]] = Field(
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
    version: Version = "1"
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


class Outcome(Entry):
    """What a journey can come to, e.g. a purchase: reached at one of the touchpoints."""

    id: Name
    name: Label
    touchpoints: list[Name] = Field(min_length=1, description="Touchpoints that reach it.")
    action: Annotated[list[Label], BeforeValidator(as_list)] | None = Field(
        None, min_length=1, description="Actions at them that reach it; any if unset."
    )
    ends_journey: bool = Field(False, description="Whether what follows is a new journey.")


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
    outcomes: list[Outcome] = Field(
        default_factory=list, description="An interaction reaches the first that applies."
    )
    calendars: list[Calendar] = Field(default_factory=list)
    promises: list[Promise] = Field(default_factory=list)
    rules: list[Rule] = Field(default_factory=list)
    strikes: Strikes | None = Field(
        None, description="Many unresolved pains; not looked for if unset."
    )
    trust: Trust = Field(default_factory=Trust)
    destinations: list[Destination] = Field(
        default_factory=list, description="Where alerts are delivered."
    )
    routes: list[Route] = Field(
        default_factory=list, description="A moment takes the first that matches it."
    )
