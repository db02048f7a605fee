"""Blocking work off the event loop: kafka-python and the ClickHouse client would stop it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar, cast

_T = TypeVar("_T")


async def in_thread(work: Callable[[], _T]) -> _T:
    """Run blocking work in a daemon thread, so that a hanging server cannot keep the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(cast(_T, result))

    def target() -> None:
        outcome: tuple[_T | None, BaseException | None]
        try:
            outcome = work(), None
        except BaseException as error:  # noqa: BLE001  # handed to the waiting coroutine
            outcome = None, error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=target, daemon=True, name="touchline-store").start()
    return await future
