"""Whose turn it is among the alerts of one destination: who is ready, and who waits how long."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Iterator
from uuid import UUID

from pipeline.alerts.alert_queue import AlertQueue


class Turns:
    """The queues of one destination, by alert. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.queues: dict[UUID, AlertQueue] = {}
        # Both may hold queues whose state has changed since; then the place is void.
        self._ready: deque[AlertQueue] = deque()
        self._waiting: list[tuple[float, int, AlertQueue]] = []
        self._ticket = itertools.count()

    def ready(self, queue: AlertQueue) -> None:
        """Its head can be tried, after all that are ready already."""
        queue.state = "ready"
        self._ready.append(queue)

    def wait(self, queue: AlertQueue, now: float, seconds: float, *, asked: bool) -> None:
        """Its head is not to be tried for so long; ``asked``: the destination said so."""
        if seconds <= 0:
            self.ready(queue)
            return
        queue.state = "waiting"
        queue.due = now + seconds
        queue.asked = asked
        heapq.heappush(self._waiting, (queue.due, next(self._ticket), queue))

    def first(self) -> AlertQueue | None:
        """Return the one whose turn it is; it stays so until its state changes."""
        while self._ready and self._ready[0].state != "ready":
            self._ready.popleft()
        return self._ready[0] if self._ready else None

    def release(self, now: float) -> None:
        """Make ready what waited long enough."""
        while self._waiting and (self._waiting[0][0] <= now or _void(self._waiting[0])):
            place = heapq.heappop(self._waiting)
            if not _void(place):
                self.ready(place[2])

    def release_next(self) -> None:
        """Make ready the next of those that wait, unless the destination asked it to."""
        waiting = list(self._unasked())
        if waiting:
            self.ready(min(waiting, key=lambda queue: queue.due))

    def release_all(self) -> None:
        """Make ready all that wait, unless the destination asked it of them."""
        for queue in list(self._unasked()):
            self.ready(queue)

    def next_due(self) -> float:
        """Return when the next has waited long enough, or infinity."""
        return self._waiting[0][0] if self._waiting else math.inf

    def idle(self) -> Iterator[AlertQueue]:
        """Return those whose head is neither being tried nor its outcome being written."""
        return (queue for queue in self.queues.values() if queue.state != "busy")

    def _unasked(self) -> Iterator[AlertQueue]:
        return (q for q in self.queues.values() if q.state == "waiting" and not q.asked)


def _void(place: tuple[float, int, AlertQueue]) -> bool:
    return place[2].state != "waiting" or place[2].due != place[0]
