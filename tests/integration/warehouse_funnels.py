"""What the query funnel must answer, by trying every walk, and retention, in plain Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from tests.integration.warehouse_oracle import p90
from tests.integration.warehouse_walks import Step


def funnel(
    counted: Sequence[Sequence[Step]],
    by: str,
    wanted: Sequence[str],
    within: timedelta | None,
    strict: bool,
) -> list[tuple[Any, ...]]:
    """How many get from step to step, and how long each takes."""
    taken = [furthest(steps, by, wanted, within, strict) for steps in counted]
    rows: list[tuple[Any, ...]] = []
    for place, name in enumerate(wanted):
        reached = [walk for walk in taken if len(walk) > place]
        first, previous = (rows[0][2], rows[-1][2]) if rows else (len(reached), len(reached))
        seconds = [(walk[place] - walk[place - 1]).total_seconds() for walk in reached]
        timed = place > 0 and seconds
        rows.append(
            (
                place + 1,
                name,
                len(reached),
                len(reached) / first if first else 0,
                len(reached) / previous if previous else 0,
                median(seconds) if timed else None,
                p90(seconds) if timed else None,
            )
        )
    return rows


def furthest(
    steps: Sequence[Step], by: str, wanted: Sequence[str], within: timedelta | None, strict: bool
) -> list[datetime]:
    """The times of the walk that counts: reaches furthest, of these begins earliest."""
    best: list[datetime] = []
    for start, step in enumerate(steps):
        if wanted and getattr(step, by) == wanted[0]:
            walk = _walk(steps, start, by, wanted, within, strict)
            if len(walk) > len(best):
                best = walk
    return best


def _walk(
    steps: Sequence[Step],
    start: int,
    by: str,
    wanted: Sequence[str],
    within: timedelta | None,
    strict: bool,
) -> list[datetime]:
    """From one interaction of the first step on, always the first that may follow."""
    times, place = [steps[start].at], start
    for name in wanted[1:]:
        following = (
            number
            for number in range(place + 1, len(steps))
            if getattr(steps[number], by) == name
            and (not strict or steps[number].at > times[-1])
            and (within is None or steps[number].at - times[0] <= within)
        )
        place = next(following, -1)
        if place < 0:
            break
        times.append(steps[place].at)
    return times


def most(
    steps: Sequence[Step], by: str, wanted: Sequence[str], within: timedelta | None, strict: bool
) -> int:
    """How far anybody could get, whichever interactions one chooses: every choice is tried."""

    def further(place: int, done: int, began: datetime) -> int:
        if done == len(wanted):
            return done
        return max(
            (
                further(number, done + 1, began)
                for number in range(place + 1, len(steps))
                if getattr(steps[number], by) == wanted[done]
                and (not strict or steps[number].at > steps[place].at)
                and (within is None or steps[number].at - began <= within)
            ),
            default=done,
        )

    starts = [n for n, step in enumerate(steps) if getattr(step, by) == wanted[0]]
    return max((further(start, 1, steps[start].at) for start in starts), default=0)


#: Number and name of the period that a time lies in.
Period = Callable[[datetime], tuple[int, str]]


def month(at: datetime) -> tuple[int, str]:
    """Return the calendar month."""
    return at.year * 12 + at.month, f"{at.year}-{at.month:02}"


def week(at: datetime) -> tuple[int, str]:
    """Return the week from its Monday."""
    monday = at.date() - timedelta(days=at.weekday())
    return monday.toordinal() // 7, monday.isoformat()


def retention(
    customers: Mapping[str, Sequence[Step]],
    since: datetime | None,
    period: Period,
    starts: Callable[[Step], bool],
    active: Callable[[Step], bool],
    most_periods: int,
) -> list[tuple[Any, ...]]:
    """Customers by the period they began in, and how many were active in those after it."""
    cohorts: dict[tuple[int, str], list[set[int]]] = {}
    last = max((period(steps[-1].at)[0] for steps in customers.values()), default=0)
    for steps in customers.values():
        began = next((step.at for step in steps if starts(step)), None)
        if began is None or (since is not None and began < since):
            continue
        first = period(began)[0]
        seen = {period(s.at)[0] - first for s in steps if active(s) and s.at >= began}
        cohorts.setdefault(period(began), []).append(seen)
    rows = []
    for (first, name), members in sorted(cohorts.items()):
        later = last - first
        for number in range((min(later, most_periods) if most_periods else later) + 1):
            here = sum(number in seen for seen in members)
            rows.append((name, number, len(members), here, here / len(members)))
    return rows
