"""What customers did before, as far as rules ask about it."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence

from pipeline.moments.notes import Entry, State

#: When a fact happened, with the id of the event: the order of a customer's events.
_Instant = tuple[int, str]
#: Customer, what was done, when in microseconds since 1970, and the event's id.
Did = tuple[str, str, int, str]


class Facts:
    """The first times that customers did what rules ask about.

    Only so many are kept as rules can ask for, but for as long as the customer is known.

    Args:
        wanted: Facts, with how many times rules ask for at most.
    """

    def __init__(self, wanted: Mapping[str, int]) -> None:
        self._wanted = wanted
        self._known: dict[str, dict[str, list[_Instant]]] = {}

    def add(self, customer: str, fact: str, at: int, event_id: str) -> None:
        """Note that a customer did something."""
        known = self._known.setdefault(customer, {}).setdefault(fact, [])
        instant = (at, event_id)
        place = bisect_left(known, instant)
        if place < len(known) and known[place] == instant:
            return
        insort(known, instant)
        del known[self._wanted[fact] :]

    def before(self, customer: str, fact: str, at: int, event_id: str) -> int:
        """Return how often the customer had done it before an event, as far as anybody asks."""
        known = self._known.get(customer, {}).get(fact, ())
        return bisect_left(known, (at, event_id))


def played(entries: Sequence[Entry], facts: Facts, customer: str) -> list[Entry]:
    """Return entries with the parts that they play given what the customer did before."""
    return [
        entry._replace(
            parts=entry.parts | _parts(entry.states, facts, customer, entry.at, entry.event_id)
        )
        if entry.states
        else entry
        for entry in entries
    ]


def _parts(states: Sequence[State], facts: Facts, customer: str, at: int, event_id: str) -> int:
    found = 0
    for state in states:
        if state.stages is not None:
            stage = state.stage
            for option in state.stage_after:
                if facts.before(customer, option.fact, at, event_id) >= option.times:
                    stage = option.stage
                    break
            if stage not in state.stages:
                continue
        if state.fact is not None:
            often = facts.before(customer, state.fact, at, event_id) >= state.times
            if often is state.absent:
                continue
        found |= state.part
    return found
