"""Which rules an event plays a part in, and what is kept of it.

What the event alone decides is decided here; what depends on the customer's past travels along as
``State``. The same sighting comes from an event that just arrived and from its stored row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from pipeline.classify import Classification, Event, matches, reader_of, test_of
from pipeline.moments.groups import Group
from pipeline.moments.hours import microseconds
from pipeline.moments.notes import THEN, WHEN, Note, State
from schemas.catalog import UNCLASSIFIED, Catalog, StageAfter
from schemas.entry import FIELDS, FREE_FIELDS
from schemas.interaction import Envelope
from schemas.rules import Pattern, placeholders

#: Kinds of events whose rules are remembered; actions are open-ended.
_MOST_KINDS = 100_000


class Part(NamedTuple):
    """What an event plays in the rules of one subject.

    Attributes:
        group: Number of the group of rules.
        subject: Case, need or value, or empty.
        parts: The parts it plays.
        states: Parts that depend on the customer's past.
    """

    group: int
    subject: str
    parts: int
    states: tuple[State, ...]


class Sighting(NamedTuple):
    """An event that matters to some rule.

    Attributes:
        customer: The customer's key.
        note: What is kept of it.
        parts: What it plays where.
        facts: What the customer has done by it, of what rules ask about.
    """

    customer: str
    note: Note
    parts: tuple[Part, ...]
    facts: tuple[str, ...]


@dataclass(frozen=True)
class _Fit:
    part: int
    needs: frozenset[str] | None
    tests: tuple[Callable[[Event], bool], ...]
    state: Pattern | None


@dataclass(frozen=True)
class _Candidate:
    group: Group
    certain: int
    fits: tuple[_Fit, ...]
    cases: tuple[str, ...] | None
    by_need: bool
    same: Callable[[Event], Any] | None
    carries: str | None
    shows: tuple[tuple[str, Callable[[Event], Any]], ...]


_Kind = tuple[str, str, str]


class Matcher:
    """Finds the parts of events.

    Args:
        catalog: The catalog.
        groups: Its rules.
    """

    def __init__(self, catalog: Catalog, groups: Sequence[Group]) -> None:
        self._groups = groups
        self._kinds: dict[_Kind, tuple[_Candidate, ...]] = {}
        patterns = [
            pattern for group in groups for _, pattern in group.parts if pattern.moment is None
        ]
        self.facts = _facts(catalog, patterns)
        self.fact_touchpoints = {
            touchpoint
            for fact in catalog.facts
            if fact.id in self.facts
            for touchpoint in fact.touchpoints
        }
        self._known = [UNCLASSIFIED, *(touchpoint.id for touchpoint in catalog.touchpoints)]

    def touchpoints(self) -> list[str]:
        """Return the touchpoints that matter to any rule or fact."""
        found = set(self.fact_touchpoints)
        for group in self._groups:
            for _, pattern in group.parts:
                if pattern.moment is None:
                    found.update(self._known if pattern.touchpoint is None else pattern.touchpoint)
        return sorted(found)

    def sighting(
        self,
        event: Event,
        interaction: Envelope,
        customer: str,
        classification: Classification,
        occurred_at: datetime | None = None,
    ) -> Sighting | None:
        """Return what an event means to the rules, or None where it means nothing.

        Args:
            event: The valid event as JSON values.
            interaction: The same, validated.
            customer: The customer's key.
            classification: What it is.
            occurred_at: When it happened, where that is not what it says.
        """
        kind = (classification.touchpoint, interaction.channel, interaction.action)
        candidates = self._kinds.get(kind)
        if candidates is None:
            candidates = self._select(kind)
        facts = self._facts_of(classification.facts)
        if not candidates and not facts:
            return None
        amount = interaction.amount
        if amount is not None and type(event["amount"]) is str:  # stored, it is a number
            event = {**event, "amount": float(amount)}
        return self._sighting(
            candidates,
            facts,
            event,
            customer,
            interaction.event_id,
            occurred_at or interaction.occurred_at,
            interaction.promise_due_at,
            interaction.need or classification.need,
            classification,
        )

    def stored(self, row: Mapping[str, Any]) -> Sighting | None:
        """Return the same for a stored row.

        Args:
            row: Columns of ``interaction_records`` by name.
        """
        kind = (row["touchpoint"], row["channel"], row["action"])
        candidates = self._kinds.get(kind)
        if candidates is None:
            candidates = self._select(kind)
        facts = self._facts_of(row["facts"])
        if not candidates and not facts:
            return None
        event = {
            name: row[name] or None
            for name in ("channel", "action", "direction", "segment", "language", "currency")
        }
        event["sentiment"], event["case_ids"] = row["sentiment"], row["case_ids"]
        event["amount"] = None if row["amount"] is None else float(row["amount"])
        event["details"] = orjson.loads(row["details"])
        if row["rating_scale"]:
            event["rating"] = {"scale": row["rating_scale"], "score": row["rating_score"]}
        due = row["promise_due_at"]
        event["promise_due_at"] = None if due is None else due.isoformat()
        classification = Classification(
            row["touchpoint"],
            row["need"],
            row["stage_default"],
            tuple(
                StageAfter(fact=fact, times=times, stage=stage)
                for fact, times, stage in row["stage_after"]
            ),
            tuple(row["facts"]),
        )
        return self._sighting(
            candidates,
            facts,
            event,
            row["customer_key"],
            row["event_id"],
            row["occurred_at"],
            due,
            row["need"],
            classification,
        )

    def _sighting(
        self,
        candidates: Sequence[_Candidate],
        facts: tuple[str, ...],
        event: Event,
        customer: str,
        event_id: str,
        at: datetime,
        due: datetime | None,
        need: str,
        classification: Classification,
    ) -> Sighting | None:
        found: list[Part] = []
        shows: list[tuple[str, Callable[[Event], Any]]] = []
        for candidate in candidates:
            if candidate.carries is not None and event.get(candidate.carries) is None:
                continue
            played = candidate.certain
            states: tuple[State, ...] = ()
            for fit in candidate.fits:
                if fit.needs is not None and need not in fit.needs:
                    continue
                for test in fit.tests:
                    if not test(event):
                        break
                else:
                    if fit.state is None:
                        played |= fit.part
                    else:
                        states = (*states, _state(fit.part, fit.state, classification))
            if played or states:
                subject = _subject(candidate, event, need)
                if subject is not None:
                    found.append(Part(candidate.group.number, subject, played, states))
                    if candidate.shows and (played & (WHEN | THEN) or states):
                        shows += candidate.shows
        if not found and not facts:
            return None
        values = {path: value for path, read in shows if (value := read(event)) is not None}
        note = Note(
            microseconds(at),
            event_id,
            event["channel"],
            classification.touchpoint,
            need,
            event.get("segment") or "",
            None if due is None else microseconds(due),
            values or None,
        )
        return Sighting(customer, note, tuple(found), facts)

    def _facts_of(self, facts: Sequence[str]) -> tuple[str, ...]:
        if not facts or not self.facts:
            return ()
        return tuple(fact for fact in facts if fact in self.facts)

    def _select(self, kind: _Kind) -> tuple[_Candidate, ...]:
        found = tuple(candidate for group in self._groups if (candidate := _candidate(group, kind)))
        if len(self._kinds) < _MOST_KINDS:
            self._kinds[kind] = found
        return found


def _candidate(group: Group, kind: _Kind) -> _Candidate | None:
    touchpoint, channel, action = kind
    certain, fits, fitting = 0, [], []
    for part, pattern in group.parts:
        if (
            pattern.moment is not None
            or (pattern.touchpoint is not None and touchpoint not in pattern.touchpoint)
            or (pattern.channel is not None and channel not in pattern.channel)
            or (pattern.action is not None and action not in pattern.action)
        ):
            continue
        fitting.append(pattern)
        tests = _tests(pattern)
        depends = pattern.stage is not None or pattern.customer is not None
        needs = None if pattern.need is None else frozenset(pattern.need)
        if tests or depends or needs is not None:
            fits.append(_Fit(part, needs, tests, pattern if depends else None))
        else:
            certain |= part
    if not certain and not fits:
        return None
    per = group.subject.per
    return _Candidate(
        group,
        certain,
        tuple(fits),
        tuple(group.subject.case or ()) if per == "case" else None,
        per == "need",
        reader_of(group.same) if group.same is not None else None,
        None if certain else _carried(fitting),
        _shows(group),
    )


def _shows(group: Group) -> tuple[tuple[str, Callable[[Event], Any]], ...]:
    """Return the fields that the texts of a group's rules show."""
    named = {name for asked in group.asked.values() for name in placeholders(asked.rule.text)}
    fields = sorted(n for n in named if n in FIELDS or n.partition(".")[0] in FREE_FIELDS)
    return tuple((path, reader_of(path)) for path in fields)


def _carried(patterns: Sequence[Pattern]) -> str | None:
    """Return a field of the envelope without which none of the patterns fits; None without one."""
    common: set[str] | None = None
    for pattern in patterns:
        fields = {
            path.partition(".")[0]
            for path, wanted in pattern.where.items()
            if not matches(wanted, None)
        }
        common = fields if common is None else common & fields
    return min(common) if common else None


def _tests(pattern: Pattern) -> tuple[Callable[[Event], bool], ...]:
    tests = [test_of(path, wanted) for path, wanted in pattern.where.items()]
    if pattern.direction is not None:
        wanted_direction = pattern.direction
        tests.append(lambda event: event.get("direction") == wanted_direction)
    if pattern.segment is not None:
        segments = frozenset(pattern.segment)
        tests.append(lambda event: event.get("segment") in segments)
    return tuple(tests)


def _state(part: int, pattern: Pattern, classification: Classification) -> State:
    customer = pattern.customer
    return State(
        part,
        None if pattern.stage is None else frozenset(pattern.stage),
        classification.stage,
        classification.stage_after,
        None if customer is None else customer.fact,
        1 if customer is None else customer.times,
        customer is not None and customer.absent,
    )


def _subject(candidate: _Candidate, event: Event, need: str) -> str | None:
    subject = ""
    if candidate.cases is not None:
        cases = event.get("case_ids")
        if cases:
            for kind in candidate.cases:
                if kind in cases:
                    subject = f"{kind}:{cases[kind]}"
                    break
    elif candidate.by_need:
        subject = need
    if candidate.same is not None:
        value = candidate.same(event)
        if value is None:
            return None
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        subject = f"{subject} {text}" if subject else text
    return subject


def _facts(catalog: Catalog, patterns: Sequence[Pattern]) -> dict[str, int]:
    """Return the facts that rules ask about, with how many times at most."""
    found: dict[str, int] = {}
    for pattern in patterns:
        if pattern.customer is not None:
            fact, times = pattern.customer.fact, pattern.customer.times
            found[fact] = max(found.get(fact, 0), times)
    if any(pattern.stage is not None for pattern in patterns):
        for touchpoint in catalog.touchpoints:
            for option in touchpoint.stage_after:
                found[option.fact] = max(found.get(option.fact, 0), option.times)
    return found
