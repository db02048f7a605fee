"""When a term is over that only runs in open hours.

Counted in real seconds, so an hour that the clock skips or repeats has its real length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from schemas.terms import DAYS, Calendar, minutes

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
#: Days looked ahead at most: beyond, a calendar is taken for one that never opens.
_LONGEST = 3_660

#: From an instant to when a term that begins then is over; microseconds since 1970, UTC.
DueAt = Callable[[int], int]


def microseconds(at: datetime) -> int:
    """Return an instant as microseconds since 1970, UTC."""
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def instant(at: int) -> datetime:
    """Return microseconds since 1970 as an instant."""
    return _EPOCH + timedelta(microseconds=at)


def due_at(term: timedelta, calendar: Calendar | None) -> DueAt:
    """Return the function that says when a term is over.

    Args:
        term: How long.
        calendar: The open hours it runs in; it runs always when None.
    """
    length = term // _MICROSECOND
    if calendar is None:
        return lambda begin: begin + length
    return lambda begin: _over(begin, length, calendar)


def opening(at: int, calendar: Calendar) -> int:
    """Return when a calendar is next open: ``at`` itself where it is open then.

    Args:
        at: Microseconds since 1970, UTC.
        calendar: The open hours. One that hardly ever opens is taken for always open.
    """
    for opens, _ in _open(at, calendar):
        return max(opens, at)
    return at


def _over(begin: int, length: int, calendar: Calendar) -> int:
    left = length
    opens = begin
    for opens, closes in _open(begin, calendar):
        start = max(opens, begin)
        if start + left <= closes:
            return start + left
        left -= max(closes - start, 0)
    return opens + left  # a calendar that hardly ever opens: the rest runs on without it


def _open(begin: int, calendar: Calendar) -> Iterator[tuple[int, int]]:
    """Yield the open hours that end after an instant, in order."""
    zone = ZoneInfo(calendar.zone)
    closed = frozenset(calendar.holidays)
    day = instant(begin).astimezone(zone).date()
    for _ in range(_LONGEST):
        if day not in closed:
            for span in calendar.hours.get(DAYS[day.weekday()], ()):  # type: ignore[call-overload]
                opens, closes = (_at(day, minute, zone) for minute in minutes(span))
                if closes > begin:
                    yield opens, closes
        day += timedelta(days=1)


def _at(day: date, minute: int, zone: ZoneInfo) -> int:
    if minute == 1440:
        day, minute = day + timedelta(days=1), 0
    local = datetime.combine(day, time(minute // 60, minute % 60), zone)
    return microseconds(local.astimezone(timezone.utc))
