"""The rules that an event of a kind can play a part in, ready to be asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from pipeline.classify import Classification, Event, matches, reader_of, test_of
from pipeline.moments.groups import Group
from pipeline.moments.notes import THEN, WHEN, State
from schemas.entry import FIELDS, FREE_FIELDS
from schemas.patterns import Pattern
from schemas.rules import placeholders

#: Touchpoint, channel and action.
Kind = tuple[str, str, str]
#: A field that texts show, with its reader.
Show = tuple[str, Callable[[Event], Any]]


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


@dataclass(frozen=True)
class Fit:
    """A pattern that depends on more than the kind of the event.

    Attributes:
        part: The part a fitting event plays.
        needs: Needs it takes, or None.
        tests: Conditions on the event.
        state: The pattern, where it also asks what the customer did before.
    """

    part: int
    needs: frozenset[str] | None
    tests: tuple[Callable[[Event], bool], ...]
    state: Pattern | None


@dataclass(frozen=True)
class Candidate:
    """A group of rules that events of a kind may matter to.

    Attributes:
        group: The group.
        certain: Parts that every event of the kind plays.
        fits: The other patterns.
        cases: Kinds of case id, where the rules look at one case at a time.
        by_need: Whether they look at one need at a time.
        same: Reads the field whose values are looked at apart.
        carries: A field without which the event plays no part, or None.
        shows: Fields that texts show, with their readers.
    """

    group: Group
    certain: int
    fits: tuple[Fit, ...]
    cases: tuple[str, ...] | None
    by_need: bool
    same: Callable[[Event], Any] | None
    carries: str | None
    shows: tuple[Show, ...]

    @property
    def always(self) -> bool:
        """Whether every event of the kind plays the same part, whatever else it says."""
        return not self.fits and self.cases is None and not self.by_need and self.same is None


def candidate(group: Group, kind: Kind) -> Candidate | None:
    """Return a group with what events of a kind can play in it; None where that is nothing."""
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
            fits.append(Fit(part, needs, tests, pattern if depends else None))
        else:
            certain |= part
    if not certain and not fits:
        return None
    per = group.subject.per
    return Candidate(
        group,
        certain,
        tuple(fits),
        tuple(group.subject.case or ()) if per == "case" else None,
        per == "need",
        reader_of(group.same) if group.same is not None else None,
        None if certain else _carried(fitting),
        _shows(group),
    )


def asked(
    candidates: Sequence[Candidate], event: Event, need: str, classification: Classification
) -> tuple[tuple[Part, ...], tuple[Show, ...]]:
    """Return what an event plays where more than its kind decides, and the fields to show."""
    found: list[Part] = []
    shows: tuple[Show, ...] = ()
    for each in candidates:
        if each.carries is not None and event.get(each.carries) is None:
            continue
        played = each.certain
        states: tuple[State, ...] = ()
        for fit in each.fits:
            if fit.needs is not None and need not in fit.needs:
                continue
            for test in fit.tests:
                if not test(event):
                    break
            else:
                if fit.state is None:
                    played |= fit.part
                else:
                    states = (*states, _state_of(fit.part, fit.state, classification))
        if played or states:
            subject = _subject_of(each, event, need)
            if subject is not None:
                found.append(Part(each.group.number, subject, played, states))
                if each.shows and (played & (WHEN | THEN) or states):
                    shows += each.shows
    return tuple(found), shows


def _shows(group: Group) -> tuple[Show, ...]:
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


def _state_of(part: int, pattern: Pattern, classification: Classification) -> State:
    """Return a condition on the past, with what the event says of its stage."""
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


def _subject_of(candidate: Candidate, event: Event, need: str) -> str | None:
    """Return what the event is about to the rules; None where it lacks the field they look at."""
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
