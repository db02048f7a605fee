"""An event loop whose time passes only when nothing else can happen, and then at once.

A day of retries takes milliseconds, and the order of everything is the same in every run. A test
in which nothing can ever happen again fails instead of waiting, and so does one that waits for
more than two days.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Coroutine
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

Result = TypeVar("Result")

#: Seconds that a test may take.
LONGEST = 2 * 86_400.0

BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=timezone.utc)


class _NoWaiting(selectors.DefaultSelector):
    """Lets the loop's time go on where a real selector would wait."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(0)
        if not events:
            if timeout is None:
                raise RuntimeError("nothing will ever happen: every task waits for another")
            self.loop.elapsed += max(timeout, 0.0)
            if self.loop.elapsed > self.loop.until:
                self.loop.until = math.inf
                raise RuntimeError("what the test waits for does not happen")
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.elapsed = 0.0
        self.until = LONGEST
        selector = _NoWaiting()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.elapsed


class VirtualClock:
    """The clock of the loop that runs; the wall clock can be put off."""

    def __init__(self, begin: datetime = BEGIN) -> None:
        self.begin = begin

    def now(self) -> datetime:
        return self.begin + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0))


def run_virtually(main: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end, in no time; fails when tasks are left behind that do not end."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
