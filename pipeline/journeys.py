"""Keeping journeys up to date while a worker runs, beside the loop that stores.

The loop notes which customers every batch touched; here they are refreshed soon after, many batches
at once, and never more than a fifth of the time. What a worker leaves when it ends is in the
table of changes, and the next owner of its partitions goes on with it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Collection, Iterable
from time import monotonic

from pipeline.errors import RetryableError
from pipeline.threads import in_thread
from pipeline.warehouse.refresh import Change, Journeys

log = logging.getLogger(__name__)

#: How often it is looked whether there is something to do, seconds.
TICK = 0.1
#: After a refresh, at least so many times its length passes before the next.
REST = 4.0
#: Pause after a refresh that did not succeed, seconds.
PAUSE = 5.0


class Refresher:
    """Refreshes the journeys of the customers of this worker.

    Args:
        journeys: On a database that has the tables; used in one thread at a time.
        every: Seconds between two refreshes at least.
    """

    def __init__(self, journeys: Journeys, every: float) -> None:
        self._journeys = journeys
        self._every = every
        self._lock = threading.Lock()
        self._pending: list[Change] = []
        self._partitions: frozenset[int] = frozenset()
        self._assignment = 0

    def assign(self, partitions: Collection[int]) -> None:
        """Take over partitions, with what their last owner left."""
        with self._lock:
            self._partitions, self._pending = frozenset(partitions), []
            self._assignment += 1  # also where the partitions are the same as before

    def changed(self, customers: Iterable[tuple[int, str]]) -> None:
        """Note customers; blocks until that is stored. As ``Journeys.changed``."""
        changes = self._journeys.changed(customers)
        with self._lock:
            self._pending += changes

    async def run(self) -> None:
        """Refresh until cancelled.

        Raises:
            FatalError: ClickHouse refuses it for good.
        """
        taken_over, due = 0, monotonic()
        while True:
            await asyncio.sleep(TICK)
            if monotonic() < due:
                continue
            began = monotonic()
            try:
                if self._assignment != taken_over:
                    taken_over = await in_thread(self._take_over)
                done = await in_thread(self._refresh)
            except RetryableError as error:
                log.warning("journeys not refreshed, next try in %.0f s: %s", PAUSE, error)
                due = monotonic() + PAUSE
                continue
            if done:
                took = monotonic() - began
                log.info("refreshed the journeys of %d customers in %.1f s", done, took)
                due = monotonic() + max(self._every, REST * took)

    def _take_over(self) -> int:
        """Take up what is noted for the partitions; return which assignment that was for."""
        with self._lock:
            assignment, partitions = self._assignment, self._partitions
        left = self._journeys.pending(partitions) if partitions else []
        with self._lock:
            if self._assignment == assignment:
                self._pending = [*{*left, *self._pending}]
        return assignment

    def _refresh(self) -> int:
        with self._lock:
            changes, self._pending = self._pending, []
        try:
            return self._journeys.refresh(changes)
        except BaseException:
            with self._lock:
                self._pending += changes
            raise
