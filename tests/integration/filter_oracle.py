"""The filters that every named query takes, in plain Python.

Written from the texts of the parameters, not from the SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from tests.integration.warehouse_oracle import Record, cut, histories, segments_of

#: A customer and one of their events.
Event = tuple[str, str]


class Outcome(NamedTuple):
    """What an interaction reaches: at one of the touchpoints, by one of the actions (or any)."""

    id: str
    touchpoints: Sequence[str]
    actions: Sequence[str] = ()


class Step(NamedTuple):
    """What filters look at of an interaction that is not in what it caused."""

    stage: str
    journey_outcome: str


def reached(event: Record, outcomes: Iterable[Outcome]) -> str:
    """The first outcome that an interaction reaches, or empty."""
    for outcome in outcomes:
        at = event["touchpoint"] in outcome.touchpoints
        if at and (not outcome.actions or event["action"] in outcome.actions):
            return outcome.id
    return ""


def steps(
    events: Iterable[Record], gap: timedelta, outcomes: Sequence[Outcome]
) -> dict[Event, Step]:
    """Every interaction with its stage and the last outcome of its journey.

    No outcome of the tests ends a journey, so only the gap cuts.
    """
    found = {}
    for customer, history in histories(events).items():
        for journey in cut(history, gap):
            last = [reached(event, outcomes) for event in journey]
            outcome = next((name for name in reversed(last) if name), "")
            for event in journey:
                found[customer, event["event_id"]] = Step(event["stage"], outcome)
    return found


class Filters:
    """What a question asks for.

    Args:
        events: Every event.
        known: Every interaction as a step.
        asked: The values of the parameters that are given.
    """

    def __init__(
        self, events: Iterable[Record], known: Mapping[Event, Step], asked: Mapping[str, str]
    ) -> None:
        self.segment_of = segments_of(events)
        self._known = known
        self._asked = asked

    def customer(self, key: str) -> bool:
        """Whether a customer is of the segment; one without interactions is of none."""
        return self._is("segment", self.segment_of.get(key, ""))

    def caused(self, key: str, event_id: str, channel: str, touchpoint: str) -> bool:
        """Whether what an event of a customer caused fits, but for its time."""
        step = self._known.get((key, event_id))
        if not (self._is("channel", channel) and self._is("touchpoint", touchpoint)):
            return False
        if not (self._asked.get("stage") or self._asked.get("outcome")):
            return self.customer(key)
        return (
            step is not None
            and self._is("stage", step.stage)
            and self._is("outcome", step.journey_outcome)
            and self.customer(key)
        )

    def interaction(self, event: Record) -> bool:
        """Whether an interaction fits, but for its time."""
        return self.caused(
            event["customer_key"], event["event_id"], event["channel"], event["touchpoint"]
        )

    def _is(self, name: str, value: str) -> bool:
        wanted = self._asked.get(name, "")
        if wanted == "(none)" and name in ("segment", "outcome"):
            return value == ""
        return wanted in ("", value)


def within(at: datetime, since: datetime, until: datetime) -> bool:
    """Whether an instant is in the time asked for."""
    return since <= at < until
