"""Blocking work off the event loop: kafka-python and the ClickHouse client would stop it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

log = logging.getLogger(__name__)

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


def leave_after(seconds: float, code: Callable[[], int]) -> None:
    """End this process if it has not ended by itself by then.

    Args:
        seconds: How long it may take.
        code: Returns the exit code.
    """

    def leave() -> None:
        log.warning("leaving without a farewell: something does not answer for %.0f s", seconds)
        logging.shutdown()
        os._exit(code())

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Make several blocking calls at once and wait for all of them.

    In daemon threads, so that a hanging server cannot keep the process.

    Returns:
        What they returned, in order.

    Raises:
        BaseException: What the first of those that failed, in order, raised.
    """
    results: list[Any] = [None] * len(calls)
    errors: list[BaseException | None] = [None] * len(calls)

    def make(number: int) -> None:
        try:
            results[number] = calls[number]()
        except BaseException as error:  # noqa: BLE001  # raised again below
            errors[number] = error

    others = [
        threading.Thread(target=make, args=(number,), daemon=True, name="touchline-together")
        for number in range(1, len(calls))
    ]
    for thread in others:
        thread.start()
    make(0)
    for thread in others:
        thread.join()
    for error in errors:
        if error is not None:
            raise error
    return results
