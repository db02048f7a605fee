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
from uuid import uuid4

from pipeline.errors import RetryableError
from pipeline.pulse import JOURNEYS, Pulse
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
        pulse: Is told what is done.
    """

    def __init__(self, journeys: Journeys, every: float, pulse: Pulse) -> None:
        self._journeys = journeys
        self._every = every
        self._pulse = pulse
        self._lock = threading.Lock()
        self._pending: list[Change] = []
        self._partitions: frozenset[int] = frozenset()
        self._assignment = 0
        self._working: list[Change] = []
        #: When the oldest of what is pending, and of what is being refreshed, was noted.
        self._since: float | None = None
        self._working_since: float | None = None
        # what is being noted, and by which id: both stay until it is known to be noted
        self._batch, self._unsure = uuid4(), set[tuple[int, str]]()
        self._noted: list[Change] = []

    def assign(self, partitions: Collection[int]) -> None:
        """Take over partitions, with what their last owner left."""
        with self._lock:
            self._partitions, self._pending = frozenset(partitions), []
            self._since = None
            self._assignment += 1  # also where the partitions are the same as before
        self._batch, self._unsure, self._noted = uuid4(), set(), []

    def note(self, customers: Iterable[tuple[int, str]]) -> None:
        """Note customers whose moments are about to change; blocks until that is stored.

        Here they are not refreshed before ``release``, and after a crash by whoever comes next: so
        neither a refresh that is too early nor a crash leaves a moment out of their journeys.
        Whoever calls it after a failure repeats what failed: another id would leave behind what was
        noted all the same, and nobody would refresh it before the next assignment.

        Args:
            customers: Partition and customer key, as ``Journeys.changed`` takes them.
        """
        self._unsure.update(customers)
        if self._unsure:
            self._noted = self._journeys.changed(self._unsure, self._batch)

    def release(self) -> None:
        """Have what was noted refreshed: everything that changes is stored."""
        with self._lock:
            self._note(self._noted)
        self._noted = []
        self._batch, self._unsure = uuid4(), set()

    def waiting(self) -> tuple[int, float]:
        """Return how many customers wait, and for how many seconds the longest has."""
        with self._lock:
            times = [at for at in (self._since, self._working_since) if at is not None]
            customers = sum(change.customers for change in [*self._pending, *self._working])
        return customers, monotonic() - min(times) if times else 0.0

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
                self._pulse.failed(JOURNEYS, error)
                log.warning("journeys not refreshed, next try in %.0f s: %s", PAUSE, error)
                due = monotonic() + PAUSE
                continue
            self._pulse.succeeded(JOURNEYS)
            if done:
                took = monotonic() - began
                self._pulse.refreshed(done, took)
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
                self._note([])
        return assignment

    def _refresh(self) -> int:
        with self._lock:
            self._working, self._working_since = self._pending, self._since
            self._pending, self._since = [], None
        try:
            return self._journeys.refresh(self._working)
        except BaseException:
            with self._lock:
                self._pending += self._working
                self._since = self._working_since
                self._note([])
            raise
        finally:
            with self._lock:
                self._working, self._working_since = [], None

    def _note(self, changes: list[Change]) -> None:
        self._pending += changes
        if self._pending and self._since is None:
            self._since = monotonic()
