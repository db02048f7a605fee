"""What detection keeps of an event, and what it finds: small tuples, because many are held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from schemas.catalog import StageAfter

# Parts an event can play in a rule; the closing parts of each rule of a cell follow.
WHEN = FIRST = AFTER = MADE = 1
THEN = UNTIL = KEPT = 2
UNLESS = CANCELLED = 4
FIRST_CLOSING = 8


class Note(NamedTuple):
    """What is kept of an event, once, whatever rules it plays a part in.

    Attributes:
        at: When it happened, microseconds since 1970.
        event_id: Its id.
        channel: Its channel.
        touchpoint: Its touchpoint.
        need: Its need.
        segment: Segment as delivered, or empty.
        due: What it promised is due then, microseconds since 1970; None without a promise.
        values: Fields that the texts of rules show, by path.
    """

    at: int
    event_id: str
    channel: str
    touchpoint: str
    need: str
    segment: str
    due: int | None = None
    values: Mapping[str, Any] | None = None


class State(NamedTuple):
    """A condition on what the customer did before: a part that is only played if it holds.

    Attributes:
        part: The part.
        stages: Lifecycle stages it takes, or None.
        stage: Stage of the event at face value.
        stage_after: Its other stages.
        fact: Fact that must have happened, or None.
        times: So often.
        absent: Or not so often.
    """

    part: int
    stages: frozenset[str] | None
    stage: str
    stage_after: tuple[StageAfter, ...]
    fact: str | None
    times: int
    absent: bool


class Entry(NamedTuple):
    """An event in a cell. Entries of a cell are in the order of the first two fields.

    Attributes:
        at: When it happened.
        event_id: Its id, or a moment's.
        parts: The parts it plays in the rules of the cell.
        note: The event.
        states: Parts that depend on the customer's past.
    """

    at: int
    event_id: str
    parts: int
    note: Note
    states: tuple[State, ...] = ()


class Found(NamedTuple):
    """A moment as the events show it.

    Attributes:
        cause: The event that caused it.
        evidence: Ids of the events that show it, in order.
        occurred_at: When it became a moment, microseconds since 1970.
        due_at: When its term or promise was due, or None.
        status: open, resolved or retracted.
        closed_at: When it was closed, or None.
        closed_by: Id of the event that closed it; empty where time did.
    """

    cause: Note
    evidence: tuple[str, ...]
    occurred_at: int
    due_at: int | None = None
    status: str = "open"
    closed_at: int | None = None
    closed_by: str = ""


class Promised(NamedTuple):
    """A promise as the events show it.

    Attributes:
        made: The event that made it.
        due_at: When it is due, microseconds since 1970.
        status: pending, kept, kept_late, broken or cancelled.
        answer: The event that kept or cancelled it, or None.
        place: Where in the cell the event that made it stands.
    """

    made: Note
    due_at: int
    status: str
    answer: Note | None
    place: int
