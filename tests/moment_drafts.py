"""What each type of rule finds, for the oracle of moments: one plain function a type."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from schemas.rules import Absence, Change, Count, Rate, Sequence, Single
from tests.moment_patterns import Hours, Item, Key, any_fits
from tests.moment_promises import Promised

AnyRule = Single | Count | Rate | Sequence | Absence | Change


@dataclass(frozen=True)
class Draft:
    """A moment before anybody looked what closes it.

    Attributes:
        cause: The event that caused it.
        occurred_at: When it became a moment.
        evidence: The events that show it.
        complete: Place of the event that completed the evidence; only later ones close it.
        due_at: When the promise or term was due.
        calm_by: First event at which a rate is over.
        calm_at: When a rate is over by time.
        calm_seen: Whether a later event already shows that.
    """

    cause: Item
    occurred_at: datetime
    evidence: tuple[Item, ...]
    complete: Key
    due_at: datetime | None = None
    calm_by: Item | None = None
    calm_at: datetime | None = None
    calm_seen: bool = False


def drafts(rule: AnyRule, items: list[Item], hours: Hours, watermark: datetime) -> list[Draft]:
    """Return what a rule finds in the items of one subject, in order; not for rules on promises."""
    if isinstance(rule, Single):
        return [_at(item, (item,)) for item in items if any_fits(rule.when, item)]
    if isinstance(rule, Count):
        return _count(rule, items)
    if isinstance(rule, Rate):
        return _rate(rule, items)
    if isinstance(rule, Sequence):
        return _sequence(rule, items)
    if isinstance(rule, Change):
        return _change(rule, items)
    return _absence(rule, items, hours, watermark)


def overdue(promises: Iterable[Promised]) -> list[Draft]:
    """Return the breaking of each promise that was broken, kept late or not."""
    return [
        _when_due(each.made, each.record.due_at)
        for each in promises
        if each.record.status in ("broken", "kept_late")
    ]


def early(rule: Sequence, promises: Iterable[Promised]) -> list[Draft]:
    """Return the answers that kept a promise early enough; promises in the order of being made."""
    assert rule.share is not None
    found: dict[str, Draft] = {}
    for promise in promises:
        made, answer, due = promise.made, promise.answer, promise.record.due_at
        if promise.record.status != "kept" or answer is None:
            continue
        waited = max(answer.at - made.at, timedelta())
        if waited <= (due - made.at) * rule.share:
            complete = max(made.key, answer.key)
            draft = Draft(answer, answer.at, (made, answer), complete, due)
            found.setdefault(answer.id, draft)  # an answer that keeps several is one moment
    return list(found.values())


def _at(item: Item, evidence: tuple[Item, ...]) -> Draft:
    return Draft(item, item.at, evidence, item.key)


def _when_due(cause: Item, due: datetime) -> Draft:
    """Return a moment that time makes: only what is later than the due time closes it."""
    return Draft(cause, due, (cause,), (due + datetime.resolution, 0, ""), due)


def _count(rule: Count, items: list[Item]) -> list[Draft]:
    found = []
    enough_before = False
    for item in items:
        if not any_fits(rule.when, item):
            continue
        so_far = [each for each in items if each.key <= item.key]
        begins = [each.key for each in so_far if any_fits(rule.unless, each)]
        counted = [
            each
            for each in so_far
            if any_fits(rule.when, each)
            and item.at - each.at <= rule.within
            and (not begins or each.key >= begins[-1])
        ]
        if len(counted) >= rule.count and not enough_before:
            found.append(_at(item, tuple(counted)))
        enough_before = len(counted) >= rule.count
    return found


def _rate(rule: Rate, items: list[Item]) -> list[Draft]:
    when = [item for item in items if any_fits(rule.when, item)]
    windows = [
        [each for each in when if each.key <= item.key and item.at - each.at < rule.within]
        for item in when
    ]
    too_many = [len(window) > rule.more_than for window in windows]
    found = []
    for place, item in enumerate(when):
        if not too_many[place] or (place > 0 and too_many[place - 1]):
            continue
        after = range(place + 1, len(when))
        calm_by = next((when[other] for other in after if not too_many[other]), None)
        # the first from here on that none follows within the time
        last, following = next(
            (each, following)
            for each, following in zip(when[place:], [*when[place + 1 :], None], strict=True)
            if following is None or following.at - each.at > rule.within
        )
        draft = replace(
            _at(item, tuple(windows[place])),
            calm_by=calm_by,
            calm_at=last.at + rule.within,
            calm_seen=following is not None,
        )
        found.append(draft)
    return found


def _sequence(rule: Sequence, items: list[Item]) -> list[Draft]:
    assert rule.within is not None
    found = []
    for item in items:
        if not any_fits(rule.then, item):
            continue
        parts = [*rule.first, *rule.then, *rule.unless]
        earlier = [each for each in items if each.key < item.key and any_fits(parts, each)]
        if not earlier:
            continue
        nearest = earlier[-1]
        begins = any_fits(rule.first, nearest) and not any_fits(rule.unless, nearest)
        if begins and item.at - nearest.at <= rule.within:
            found.append(_at(item, (nearest, item)))
    return found


def _change(rule: Change, items: list[Item]) -> list[Draft]:
    found = []
    for item in items:
        if not any_fits(rule.then or rule.when, item):
            continue
        earlier = [each for each in items if each.key < item.key and any_fits(rule.when, each)]
        if not earlier:
            continue
        nearest = earlier[-1]
        if _channel(nearest) != _channel(item) and item.at - nearest.at <= rule.within:
            found.append(_at(item, (nearest, item)))
    return found


def _channel(item: Item) -> Any:
    return None if item.event is None else item.event["channel"]


def _absence(rule: Absence, items: list[Item], hours: Hours, watermark: datetime) -> list[Draft]:
    assert rule.within is not None
    ends = [*rule.until, *rule.unless, *([] if rule.each else rule.after)]
    found = []
    for item in items:
        if not any_fits(rule.after, item):
            continue
        due = hours.due(rule.calendar, item.at, rule.within)
        in_time = [each for each in items if each.key > item.key and each.at <= due]
        if due < watermark and not any(any_fits(ends, each) for each in in_time):
            found.append(_when_due(item, due))
    return found
