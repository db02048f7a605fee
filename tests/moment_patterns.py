"""What the oracle of moments asks of an event: does it fit, what it belongs to, when it is due.

Written anew from ``docs/moments.md`` and ``docs/catalog.md``, slow and plain, and sharing nothing
with the code that it checks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.classify import Classification
from schemas.entry import Condition
from schemas.patterns import Pattern
from schemas.terms import Calendar

_MINUTE = timedelta(minutes=1)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Place of an event or a moment in the order of a customer.
Key = tuple[datetime, int, str]


@dataclass(frozen=True)
class Item:
    """Something that happened to one customer: an event, or a moment as an event.

    Attributes:
        at: When.
        id: Of the event or the moment.
        event: The interaction; None for a moment.
        stage: Lifecycle stage of the event, given what the customer did before.
        facts_before: Each fact that the customer had established before the event, so often.
        classification: Of the event; None for a moment.
        moment: Kind, rule and whether it is the moment's coming (open) or its end (resolved).
    """

    at: datetime
    id: str
    event: Mapping[str, Any] | None = None
    stage: str = ""
    facts_before: Mapping[str, int] | None = None
    classification: Classification | None = None
    moment: tuple[str, str, str] | None = None

    @property
    def key(self) -> Key:
        """Return the place in the order of the customer.

        At one instant events come before moments, and what was resolved before what began.
        """
        if self.moment is None:
            return (self.at, 0, self.id)
        return (self.at, 1 if self.moment[2] == "resolved" else 2, self.id)

    @property
    def need(self) -> str:
        """Return the need as delivered, else the typical one, else nothing."""
        if self.event is None or self.classification is None:
            return ""
        delivered = self.event.get("need")
        return delivered if delivered is not None else self.classification.need


def field(event: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path such as ``rating.score``; None where something is missing."""
    value: Any = event
    for part in path.split("."):
        if not isinstance(value, Mapping) or value.get(part) is None:
            return None
        value = value[part]
    return value


def same(option: object, value: object) -> bool:
    """Whether two values are equal in a catalog, where yes is not one."""
    return isinstance(option, bool) == isinstance(value, bool) and option == value


def meets(condition: Condition, value: Any) -> bool:
    """Whether a field's value, None where it is missing, meets a condition in everything."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if condition.exists is not None and condition.exists != (value is not None):
        return False
    if condition.one_of is not None and not any(same(each, value) for each in condition.one_of):
        return False
    if condition.prefix is not None and not (
        isinstance(value, str) and value.startswith(condition.prefix)
    ):
        return False
    if condition.min is not None and not (number and value >= condition.min):
        return False
    return condition.max is None or (number and value <= condition.max)


def fits(pattern: Pattern, item: Item) -> bool:
    """Whether everything that the pattern gives holds of the item."""
    if pattern.moment is not None:
        if item.moment is None:
            return False
        kind, rule, status = item.moment
        return (
            pattern.moment.kind in (None, kind)
            and (pattern.moment.rule is None or rule in pattern.moment.rule)
            and pattern.moment.status == status
        )
    if item.event is None or item.classification is None or item.facts_before is None:
        return False
    given = {
        "touchpoint": (pattern.touchpoint, item.classification.touchpoint),
        "channel": (pattern.channel, item.event["channel"]),
        "action": (pattern.action, item.event["action"]),
        "need": (pattern.need, item.need),
        "segment": (pattern.segment, item.event.get("segment")),
        "stage": (pattern.stage, item.stage),
    }
    for wanted, value in given.values():
        if wanted is not None and value not in wanted:
            return False
    if pattern.direction is not None and item.event.get("direction") != pattern.direction:
        return False
    if pattern.customer is not None:
        times = item.facts_before.get(pattern.customer.fact, 0)
        if (times >= pattern.customer.times) == pattern.customer.absent:
            return False
    return all(meets(wanted, field(item.event, path)) for path, wanted in pattern.where.items())


def any_fits(patterns: Iterable[Pattern], item: Item) -> bool:
    """Whether one of the patterns fits; of no patterns none does."""
    return any(fits(pattern, item) for pattern in patterns)


def subject_of(per: str, case: Sequence[str] | None, path: str | None, item: Item) -> str | None:
    """Return what the item belongs to, by a rule's ``per``, ``case`` and ``same``.

    None where ``same`` looks at a field that the item does not have.
    """
    subject = ""
    if per == "need":
        subject = item.need
    elif per == "case" and item.event is not None:
        ids = item.event.get("case_ids") or {}
        kind = next((kind for kind in case or () if ids.get(kind) is not None), None)
        subject = "" if kind is None else f"{kind}:{ids[kind]}"
    if path is None:
        return subject
    value = None if item.event is None else field(item.event, path)
    if value is None:
        return None
    text = (
        value
        if isinstance(value, str)
        else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    )
    return f"{subject} {text}" if subject else text


def threads(entry: Any, items: Iterable[Item]) -> dict[str, list[Item]]:
    """Return the items of each subject of a rule or promise, in order."""
    found: dict[str, list[Item]] = {}
    for item in items:
        subject = subject_of(entry.per, entry.case, getattr(entry, "same", None), item)
        if subject is not None:
            found.setdefault(subject, []).append(item)
    return found


def is_open(calendar: Calendar, at: datetime) -> bool:
    """Whether the minute that begins at an instant is an open one."""
    local = at.astimezone(ZoneInfo(calendar.zone))
    if local.date() in calendar.holidays:
        return False
    minute = local.hour * 60 + local.minute
    for span in calendar.hours.get(_WEEKDAYS[local.weekday()], []):  # type: ignore[call-overload]
        begins, ends = span.split("-")
        if _minute_of_day(begins) <= minute < _minute_of_day(ends):
            return True
    return False


def _minute_of_day(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


class Hours:
    """When a term ends, by the calendars of a catalog."""

    def __init__(self, calendars: Iterable[Calendar]) -> None:
        self._calendars = {calendar.id: calendar for calendar in calendars}

    def due(self, calendar: str | None, begins: datetime, term: timedelta) -> datetime:
        """Return when a term is over: at once counted, or only in a calendar's open hours."""
        if calendar is None:
            return begins + term
        return due_after(self._calendars[calendar], begins, term)


def due_after(calendar: Calendar, begins: datetime, term: timedelta) -> datetime:
    """Return when a term ends, walking minute by minute through the calendar's open hours."""
    at, left = begins, term
    while True:
        following = at.replace(second=0, microsecond=0) + _MINUTE
        if is_open(calendar, at):
            if following - at >= left:
                return at + left
            left -= following - at
        at = following
