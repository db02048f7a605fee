"""When things happen: opening hours, the customers' day, and local time with its two offsets.

Everything is whole milliseconds since 1970 in UTC. The company is in Central Europe; its stores and
call centre write local time with an offset, everything else writes UTC, as such systems do.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import date, datetime, timedelta, timezone

from pipeline.simulator.dice import Dice

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
#: Days after the last one on which something may still be planned; it is never carried out.
BEYOND = 60

_WINTER, _SUMMER = 1 * HOUR, 2 * HOUR
_OFFSETS = {_WINTER: "+01:00", _SUMMER: "+02:00"}
#: Opening and closing hour from Monday to Sunday; the same hour twice is closed.
_OPEN: dict[str, tuple[tuple[int, int], ...]] = {
    "store": ((9, 18), (9, 18), (9, 18), (9, 20), (9, 20), (9, 17), (12, 17)),
    "kiosk": ((9, 18), (9, 18), (9, 18), (9, 20), (9, 20), (9, 17), (12, 17)),
    "phone": ((8, 20), (8, 20), (8, 20), (8, 20), (8, 20), (9, 17), (0, 0)),
    "chat": ((8, 22), (8, 22), (8, 22), (8, 22), (8, 22), (9, 20), (10, 18)),
    "office": ((8, 17), (8, 17), (8, 17), (8, 17), (8, 16), (0, 0), (0, 0)),
    "mail": ((9, 19), (9, 19), (9, 19), (9, 19), (9, 19), (9, 15), (0, 0)),
    "bank": ((7, 18), (7, 18), (7, 18), (7, 18), (7, 18), (0, 0), (0, 0)),
}
#: Hours at which people are online, and how often; from two to five they sleep.
_ONLINE = {
    **{0: 1, 6: 1, 7: 2, 8: 2, 9: 2, 10: 2, 11: 2, 12: 3, 13: 2, 14: 1, 15: 2, 16: 2, 17: 2},
    **{18: 3, 19: 3, 20: 4, 21: 4, 22: 2, 23: 1},
}
_AWAKE = tuple(hour for hour, times in _ONLINE.items() for _ in range(times))
#: How each minute of the day is written.
_MINUTES = tuple(f"T{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60))
#: Time left free before closing, so that a contact begun can also be finished.
_MARGIN = 50 * MINUTE


class Clock:
    """The days of a simulation.

    Args:
        start: First local day.
        days: Number of days.

    Attributes:
        end: First millisecond after the last day.
    """

    def __init__(self, start: date, days: int) -> None:
        span = [start + timedelta(days=number) for number in range(days + BEYOND)]
        self._changes: list[tuple[int, int]] = [(0, _WINTER)]
        for year in range(span[0].year, span[-1].year + 1):
            self._changes.append((_last_sunday(year, 3), _SUMMER))
            self._changes.append((_last_sunday(year, 10), _WINTER))
        self._walls = [_epoch(day) for day in span]
        self._midnights = [wall - self._offset(wall - 2 * HOUR) for wall in self._walls]
        self._noons = [wall + 12 * HOUR - self._offset(wall + 10 * HOUR) for wall in self._walls]
        self._weekday = start.weekday()
        self._dates: dict[int, str] = {}
        self.end = self._midnights[days]

    def midnight(self, day: int) -> int:
        """Return the first millisecond of a local day, counted from 0."""
        return self._midnights[day]

    def day(self, moment: int) -> int:
        """Return the local day, counted from 0, that a moment falls on."""
        return bisect_right(self._midnights, moment) - 1

    def sometime(self, day: int, channel: str, dice: Dice) -> int:
        """Return a plausible moment on a day, or on the next one on which the channel is open."""
        hours = _OPEN.get(channel)
        if hours is None:
            wall = dice.pick(_AWAKE) * HOUR + dice.below(HOUR)
        else:
            opens, closes = hours[(self._weekday + day) % 7]
            while opens == closes:
                day += 1
                opens, closes = hours[(self._weekday + day) % 7]
            wall = opens * HOUR + dice.below((closes - opens) * HOUR - _MARGIN)
        if wall < 2 * HOUR:
            return self._midnights[day] + wall
        return self._noons[day] + wall - 12 * HOUR  # the clock is changed between two and three

    def office(self, moment: int, work: int) -> int:
        """Return when so many milliseconds of office time, 9 to 17 on weekdays, have passed."""
        day = self.day(moment)
        while True:
            if (self._weekday + day) % 7 < 5:
                opens, closes = self._noons[day] - 3 * HOUR, self._noons[day] + 5 * HOUR
                begins = max(opens, moment)
                if begins + work <= closes:
                    return begins + work
                work -= max(0, closes - begins)
            day += 1

    def utc(self, moment: int) -> str:
        """Write a moment as UTC, e.g. ``2026-09-02T07:15:30.250Z``."""
        return f"{self._written(moment)}Z"

    def local(self, moment: int) -> str:
        """Write a moment as local time, e.g. ``2026-09-02T09:15:30.250+02:00``."""
        offset = self._offset(moment)
        return f"{self._written(moment + offset)}{_OFFSETS[offset]}"

    def _written(self, wall: int) -> str:
        day, rest = divmod(wall, DAY)
        minute, rest = divmod(rest, MINUTE)
        text = self._dates.get(day)
        if text is None:
            text = (date(1970, 1, 1) + timedelta(days=day)).isoformat()
            self._dates[day] = text
        return f"{text}{_MINUTES[minute]}{rest // SECOND:02}.{rest % SECOND:03}"

    def _offset(self, moment: int) -> int:
        for since, offset in reversed(self._changes):
            if moment >= since:
                return offset
        return _WINTER


def _epoch(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY


def _last_sunday(year: int, month: int) -> int:
    """Return when the clocks change: the month's last Sunday, one o'clock UTC."""
    last = date(year, month, 31)
    sunday = last - timedelta(days=(last.weekday() + 1) % 7)
    return int(datetime(year, month, sunday.day, 1, tzinfo=timezone.utc).timestamp()) * SECOND
