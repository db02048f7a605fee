"""A catalog's rules, each ready to be asked what it finds in the events of one subject.

A group is what shares a subject and its events: one rule, or a promise with the rules about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import NamedTuple

from pipeline.moments import finding
from pipeline.moments.finding import Closing
from pipeline.moments.hours import DueAt, due_at
from pipeline.moments.notes import (
    AFTER,
    CANCELLED,
    FIRST,
    FIRST_CLOSING,
    KEPT,
    MADE,
    THEN,
    UNLESS,
    UNTIL,
    WHEN,
    Entry,
    Found,
    Promised,
)
from schemas.catalog import Catalog
from schemas.patterns import Pattern
from schemas.rules import Change, Count, Rate, Rule, RuleBase, Single
from schemas.rules import Sequence as SequenceRule
from schemas.terms import Calendar, Promise, Subject

_MICROSECOND = timedelta(microseconds=1)
#: What a rule finds: moments, and due times still to come.
_Find = Callable[[finding.Entries, finding.Promises, int], finding.Result]


@dataclass(slots=True)
class Outcome:
    """What the events of a subject show.

    Attributes:
        moments: Rule (its place in the catalog) and moment.
        promises: What became of the promises.
        wake: The earliest instant that can change this once the watermark passes it, or None.
        keep: The subject can be forgotten once the watermark is later than this.
        oldest: Instant of the oldest event that something open or pending rests on, or None.
    """

    moments: list[tuple[int, Found]] = field(default_factory=list)
    promises: list[Promised] = field(default_factory=list)
    wake: int | None = None
    keep: int = 0
    oldest: int | None = None

    def waits(self, since: int, until: int) -> None:
        """Note that something is decided once the watermark passes an instant."""
        self.wake = until if self.wake is None else min(self.wake, until)
        self.holds(since, until)

    def holds(self, since: int, until: int) -> None:
        """Note that an event is needed until the watermark passes an instant."""
        self.oldest = since if self.oldest is None else min(self.oldest, since)
        self.keep = max(self.keep, until)


@dataclass(frozen=True)
class Asked:
    """A rule within a group.

    Attributes:
        place: Its place in the catalog.
        rule: The rule.
        closing: What closes its moments.
        find: What it finds.
    """

    place: int
    rule: RuleBase
    closing: Closing
    find: _Find

    @property
    def watched(self) -> int:
        """Return how long after it occurred a moment can still change, microseconds."""
        closes = self.closing.resolve | self.closing.retract or isinstance(self.rule, Rate)
        return self.closing.open_for if closes else 0


class Kept(NamedTuple):
    """The promise of a group.

    Attributes:
        promise: The promise.
        term: When it is due where the event does not say, or None.
        before: How much earlier an answer may come, microseconds.
        late: How long a late answer is awaited, microseconds.
    """

    promise: Promise
    term: DueAt | None
    before: int
    late: int


class Group:
    """Rules on the same subjects and events.

    Args:
        number: Its number.
        subject: What it looks at one of at a time.
        asked: Its rules.
        parts: The patterns, each with the part that a fitting event plays.
        looks_back: At which parts, and how far, later events look back, microseconds.
        same: Field whose values are looked at apart.
        promise: Its promise.
    """

    def __init__(
        self,
        number: int,
        subject: Subject,
        asked: Sequence[Asked],
        parts: Sequence[tuple[int, Pattern]],
        looks_back: tuple[int, int],
        same: str | None = None,
        promise: Kept | None = None,
    ) -> None:
        self.number = number
        self.subject = subject
        self.asked = {rule.place: rule for rule in asked}
        self.parts = tuple(parts)
        self.same = same
        self.promise = promise
        self.of_moments = any(pattern.moment is not None for _, pattern in parts)
        self._looking, self.span = looks_back

    @property
    def longest(self) -> int:
        """Return how long after an event its term may be over, microseconds; a rough bound."""
        entries = [self.promise.promise] if self.promise is not None else []
        rules = [asked.rule for asked in self.asked.values()]
        found = timedelta()
        for entry in [*entries, *rules]:
            term = getattr(entry, "term", None) or getattr(entry, "within", None) or timedelta()
            if getattr(entry, "calendar", None) is not None:
                term = 10 * term + timedelta(days=14)
            found = max(found, term)
        return found // _MICROSECOND

    @property
    def watched(self) -> int:
        """Return how long after it occurred anything found here can still change."""
        late = self.promise.late if self.promise is not None else 0
        return max([late, *(asked.watched for asked in self.asked.values())])

    def evaluate(self, entries: Sequence[Entry], watermark: int) -> Outcome:
        """Return what the events of a subject show.

        Args:
            entries: The events in order.
            watermark: Everything earlier has arrived; microseconds since 1970.
        """
        outcome = Outcome()
        if self.promise is not None:
            _, term, before, late = self.promise
            outcome.promises = finding.promises(entries, term, before, late, watermark)
            for promised in outcome.promises:
                if promised.status == "pending":
                    outcome.waits(promised.made.at, promised.due_at)
                elif promised.status == "broken":
                    outcome.holds(promised.made.at, promised.due_at + late)
        for asked in self.asked.values():
            found, pending = asked.find(entries, outcome.promises, watermark)
            for since, due in pending:
                outcome.waits(since, due)
            for moment in found:
                outcome.moments.append((asked.place, moment))
                if moment.status == "open" and (watched := asked.watched):
                    outcome.holds(moment.cause.at, moment.occurred_at + watched)
        outcome.keep = max(outcome.keep, self._remembers(entries))
        return outcome

    def _remembers(self, entries: Sequence[Entry]) -> int:
        last = entries[-1].at
        if self.span:
            for entry in reversed(entries):
                if entry.at + self.span <= last:
                    break
                if entry.parts & self._looking or entry.states:
                    last = entry.at + self.span
                    break
        return last


def groups(catalog: Catalog) -> list[Group]:
    """Return the groups of a catalog."""
    calendars = {calendar.id: calendar for calendar in catalog.calendars}
    found: list[Group] = []
    for promise in catalog.promises:
        term = None
        if promise.term is not None:
            term = due_at(promise.term, calendars.get(promise.calendar or ""))
        found.append(_of_promise(len(found), promise, term, catalog.rules))
    for place, rule in enumerate(catalog.rules):
        if getattr(rule, "promise", None) is None:
            found.append(_of_rule(len(found), place, rule, calendars))
    return found


def _of_promise(number: int, promise: Promise, term: DueAt | None, rules: Sequence[Rule]) -> Group:
    asked: list[Asked] = []
    parts = [
        *_parts(MADE, promise.made),
        *_parts(KEPT, promise.kept),
        *_parts(CANCELLED, promise.cancelled),
    ]
    for place, rule in enumerate(rules):
        if getattr(rule, "promise", None) != promise.id:
            continue
        bit = FIRST_CLOSING << (2 * len(asked))
        parts += _closing_parts(rule, bit)
        if isinstance(rule, SequenceRule):
            closing = _closing(rule, bit)
            find = partial(finding.early, closing=closing, share=rule.share or 1.0)
        else:
            closing = _closing(rule, bit, KEPT, CANCELLED)
            find = partial(finding.broken, closing=closing)
        asked.append(Asked(place, rule, closing, find))
    before = (promise.before or timedelta()) // _MICROSECOND
    late = promise.open_for // _MICROSECOND
    kept = Kept(promise, term, before, late)
    return Group(number, promise, asked, parts, (KEPT, before), promise=kept)


def _of_rule(number: int, place: int, rule: Rule, calendars: Mapping[str, Calendar]) -> Group:
    closing = _closing(rule, FIRST_CLOSING)
    within = (getattr(rule, "within", None) or timedelta()) // _MICROSECOND
    find: _Find
    looking, span = WHEN, within
    if isinstance(rule, Single):
        parts, span = _parts(WHEN, rule.when), 0
        find = partial(finding.single, closing=closing)
    elif isinstance(rule, Count):
        # whether it was reached at the event before decides, too
        parts, span = [*_parts(WHEN, rule.when), *_parts(UNLESS, rule.unless)], 2 * within
        find = partial(finding.count, closing=closing, wanted=rule.count, within=within)
    elif isinstance(rule, Rate):
        parts, span = _parts(WHEN, rule.when), 2 * within
        find = partial(
            finding.rate,
            closing=closing,
            more_than=rule.more_than,
            within=within,
            ends=rule.kind == "pain",
        )
    elif isinstance(rule, SequenceRule):
        parts = [*_parts(FIRST, rule.first), *_parts(THEN, rule.then)]
        parts += _parts(UNLESS, rule.unless)
        looking = FIRST
        find = partial(finding.sequence, closing=closing, within=within)
    elif isinstance(rule, Change):
        parts = [*_parts(WHEN, rule.when), *_parts(THEN, rule.then or rule.when)]
        find = partial(finding.change, closing=closing, within=within)
    else:
        parts = [*_parts(AFTER, rule.after), *_parts(UNTIL, rule.until)]
        parts += _parts(UNLESS, rule.unless)
        span = 0
        closing = _closing(rule, FIRST_CLOSING, UNTIL, UNLESS)
        due = due_at(rule.within or timedelta(), calendars.get(rule.calendar or ""))
        find = partial(finding.absence, closing=closing, due=due, each=rule.each)
    parts += _closing_parts(rule, FIRST_CLOSING)
    asked = [Asked(place, rule, closing, find)]
    return Group(number, rule, asked, parts, (looking, span), getattr(rule, "same", None))


def _parts(part: int, patterns: Sequence[Pattern]) -> list[tuple[int, Pattern]]:
    return [(part, pattern) for pattern in patterns]


def _closing(rule: RuleBase, bit: int, resolve: int = 0, retract: int = 0) -> Closing:
    resolve |= bit if rule.resolved_by else 0
    if rule.kind == "glory":  # there is nothing to mend
        resolve = 0
    retract |= bit << 1 if rule.retracted_by else 0
    return Closing(resolve, retract, rule.open_for // _MICROSECOND)


def _closing_parts(rule: RuleBase, bit: int) -> list[tuple[int, Pattern]]:
    return [*_parts(bit, rule.resolved_by), *_parts(bit << 1, rule.retracted_by)]
