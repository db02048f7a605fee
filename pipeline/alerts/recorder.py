"""Writes what became of deliveries into the outbox, many at a time.

Nothing is sent on before the outcome before it is kept, so the wait for it is short; and a thousand
outcomes a second must not become a thousand inserts, so it is not nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from uuid import UUID

from pipeline.alerts.deliveries import Clock, Delivery
from pipeline.alerts.pace import backoff
from pipeline.errors import RetryableError

log = logging.getLogger(__name__)

#: Seconds that outcomes wait for others.
GATHER = 0.03
#: Seconds until it is asked again whether anything may be sent or written.
WITHHELD = 0.25
#: Most lines written at once, unless the outcomes of one delivery alone are more.
MOST_LINES = 2_000
#: Longest wait, in seconds, before the outbox is tried again.
LONGEST_WAIT = 10.0

Record = Callable[[Sequence[Delivery]], Awaitable[None]]


class Recorder:
    """Gathers outcomes and notes, and writes them.

    Args:
        record: Writes lines of the outbox, all or none; of a delivery the later line counts.
            Raises RetryableError where the same lines can be written later.
        clock: Time.
        random: Spreads the tries.
        may_write: Asked right before each write; while it says no, nothing is written. A process
            that stood still must not write over what another found out meanwhile.
    """

    def __init__(
        self, record: Record, clock: Clock, random: Random, may_write: Callable[[], bool]
    ) -> None:
        self._record = record
        self._clock = clock
        self._random = random
        self._may_write = may_write
        self._groups: deque[tuple[list[Delivery], Callable[[], None]]] = deque()
        self._notes: dict[UUID, Delivery] = {}
        self._writing = False
        self._some = asyncio.Event()
        #: Set whenever something was written.
        self.written = asyncio.Event()

    @property
    def empty(self) -> bool:
        """Whether everything is written."""
        return not (self._groups or self._notes or self._writing)

    def keep(self, lines: Sequence[Delivery], kept: Callable[[], None]) -> None:
        """Write outcomes, together; ``kept`` is called once they are."""
        for line in lines:
            self._notes.pop(line.delivery_id, None)
        self._groups.append((list(lines), kept))
        self._some.set()

    def note(self, line: Delivery) -> None:
        """Write how a delivery that is still pending stands; only the latest note of it counts."""
        self._notes[line.delivery_id] = line
        self._some.set()

    async def run(self) -> None:
        """Write until cancelled.

        Raises:
            Exception: What ``record`` raised, unless it was a RetryableError.
        """
        while True:
            await self._some.wait()
            await self._clock.sleep(GATHER)
            lines, kept = self._take()
            self._writing = True
            await self._write(lines)
            self._writing = False
            for call in kept:
                call()
            self.written.set()

    def _take(self) -> tuple[list[Delivery], list[Callable[[], None]]]:
        # Notes of deliveries whose outcome is here, too, are gone already: see keep.
        lines = [self._notes.pop(key) for key in list(self._notes)[:MOST_LINES]]
        kept: list[Callable[[], None]] = []
        while self._groups and (not kept or len(lines) + len(self._groups[0][0]) <= MOST_LINES):
            group, call = self._groups.popleft()
            lines += group
            kept.append(call)
        if not self._groups and not self._notes:
            self._some.clear()
        return lines, kept

    async def _write(self, lines: list[Delivery]) -> None:
        failures = 0
        while True:
            while not self._may_write():
                await self._clock.sleep(WITHHELD)
            try:
                await self._record(lines)
            except RetryableError as error:
                failures += 1
                if failures == 1:
                    log.warning("the outbox takes no outcomes for now: %s", type(error).__name__)
                await self._clock.sleep(min(backoff(failures, self._random), LONGEST_WAIT))
            else:
                if failures:
                    log.info("the outbox takes outcomes again, after %d failures", failures)
                return
