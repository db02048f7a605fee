"""The real clock of the alerter, and waiting with a limit by any clock."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timezone
from typing import Any

from pipeline.alerts.deliveries import Clock


class SystemClock:
    """The machine's clocks, and the event loop's sleep."""

    def now(self) -> datetime:
        """Return the wall time, UTC."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


async def done_within(clock: Clock, seconds: float, work: asyncio.Future[Any]) -> bool:
    """Wait until work is done, or so long; return whether it is done.

    The work goes on either way, and whoever began it sees to its end.
    """
    alarm = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({work, alarm}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        alarm.cancel()
    return work.done()


async def pause(clock: Clock, seconds: float | None, woken: asyncio.Event) -> None:
    """Wait until woken, or so long; None is for ever."""
    if seconds is None:
        await woken.wait()
        return
    waiter = asyncio.ensure_future(woken.wait())
    try:
        await done_within(clock, seconds, waiter)
    finally:
        waiter.cancel()
