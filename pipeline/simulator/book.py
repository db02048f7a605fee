"""What the customers of a simulation went through, and the moments of truth that came of it.

The simulator knows what it made happen, in the order in which it happened: the book notes it,
customer by customer, and ``truth`` tells from the notes which moments there were, one function a
rule, written from what the rule means. It reads no rules of the catalog and nothing of the
detection, so it is what the detection can be checked against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.simulator import truth
from pipeline.simulator.hours import Clock
from pipeline.simulator.trip import Mark, Step
from pipeline.simulator.truth.notes import Found, Note

if TYPE_CHECKING:
    from datetime import date

#: What leaves no trace in any moment: looking around.
_PASSING = frozenset({"page_view", "screen_view", "ad_viewed", "search", "filter_applied"})


@dataclass(frozen=True)
class MomentTruth:
    """A moment of truth that there is, as of the end of the simulation.

    Attributes:
        rule: Rule that must find it.
        kind: pain or glory.
        customer: The customer's number.
        cause: Id of the event that causes it; for ``three_strikes`` that of the last pain's cause.
        status: open, resolved or retracted.
        occurred_at: When it became a moment.
        due_at: When a promise or term was due, if it is about one.
        closed_at: When it was resolved or retracted.
        closed_by: Id of the event that did; empty if time did, or nothing.
        planted: Whether a story meant it; the others happened by themselves.
    """

    rule: str
    kind: str
    customer: str
    cause: str
    status: str
    occurred_at: str
    due_at: str | None
    closed_at: str | None
    closed_by: str
    planted: bool


@dataclass(frozen=True)
class NearMiss:
    """An event at which a rule must stay silent, though nearly it would not.

    Attributes:
        rule: The rule.
        customer: The customer's number.
        event_id: The event; no moment of the rule is caused by it.
        why: Why not.
    """

    rule: str
    customer: str
    event_id: str
    why: str


class Book:
    """Notes of a simulation; memory grows with what happens, about 0.7 kB an event noted.

    Args:
        start: First day of the simulation.
        days: Number of days. What is known at the end of the last one is the truth: whatever was
            due until then, and not what is due later.
    """

    def __init__(self, start: date, days: int) -> None:
        self._clock = Clock(start, days)
        self._notes: dict[str, list[Note]] = {}
        self._marks: dict[str, list[tuple[str, Mark]]] = {}

    @property
    def end(self) -> str:
        """The watermark of the truth: the first instant after the last day."""
        return self._clock.utc(self._clock.end)

    def customers(self) -> list[str]:
        """Return the customers to whom something happened that can matter."""
        return list(self._notes)

    def note(self, customer: str, at: int, event_id: str, step: Step) -> None:
        """Note what happens, in the order of (time, event id)."""
        if step.action not in _PASSING:
            self._notes.setdefault(customer, []).append(Note(at, event_id, step))
        for mark in step.marks:
            self._marks.setdefault(customer, []).append((event_id, mark))

    def moments(self, until: Callable[[str], int] | None = None) -> Iterator[MomentTruth]:
        """Yield every moment of truth that there is, customer by customer, in order.

        Args:
            until: Watermark of a customer, milliseconds since 1970, if not the end.
        """
        clock = copy(self._clock)
        for customer, notes in self._notes.items():
            planted = {
                (mark.rule, event_id)
                for event_id, mark in self._marks.get(customer, ())
                if mark.why is None
            }
            if until is not None:
                clock.end = until(customer)
            for found in truth.moments(notes, clock):
                yield self._written(customer, found, (found.rule, found.cause) in planted)

    def near_misses(self) -> Iterator[NearMiss]:
        """Yield what stories planted for rules to be silent at.

        Left out are those that something else in the customer's life turned into a moment.
        """
        for customer, marks in self._marks.items():
            nearly = [(event_id, mark) for event_id, mark in marks if mark.why is not None]
            if nearly:
                notes = self._notes.get(customer, [])
                found = {(item.rule, item.cause) for item in truth.moments(notes, self._clock)}
                for event_id, mark in nearly:
                    if (mark.rule, event_id) not in found:
                        yield NearMiss(mark.rule, customer, event_id, mark.why or "")

    def planted(self) -> Iterator[tuple[str, str]]:
        """Yield rule and event id of each moment that a story meant to cause."""
        for marks in self._marks.values():
            yield from ((mark.rule, event_id) for event_id, mark in marks if mark.why is None)

    def _written(self, customer: str, found: Found, planted: bool) -> MomentTruth:
        utc = self._clock.utc
        return MomentTruth(
            rule=found.rule,
            kind=found.kind,
            customer=customer,
            cause=found.cause,
            status=found.status,
            occurred_at=utc(found.occurred_at),
            due_at=None if found.due_at is None else utc(found.due_at),
            closed_at=None if found.closed_at is None else utc(found.closed_at),
            closed_by=found.closed_by,
            planted=planted,
        )
