"""When there is something to do: a queue of times, each noted once."""

from __future__ import annotations

from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from uuid import UUID


class Timers:
    """Times to look at an alert, or, without one, at what is held."""

    def __init__(self) -> None:
        self._queue: list[tuple[datetime, int, UUID | None]] = []
        self._noted: set[tuple[datetime, UUID | None]] = set()
        self._numbers = count()

    def note(self, at: datetime | None, alert: UUID | None) -> None:
        """Note to look at an alert then; nothing where there is no such time."""
        if at is not None and (at, alert) not in self._noted:
            self._noted.add((at, alert))
            heappush(self._queue, (at, next(self._numbers), alert))

    def pop(self, now: datetime) -> tuple[datetime, UUID | None] | None:
        """Take off what was due first; None where nothing is due."""
        if not self._queue or self._queue[0][0] > now:
            return None
        at, _, alert = heappop(self._queue)
        self._noted.discard((at, alert))
        return at, alert

    def next_at(self) -> datetime | None:
        """Return when there is something to do next."""
        return self._queue[0][0] if self._queue else None
