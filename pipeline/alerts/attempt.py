"""One try of one delivery: whatever a sender does, it ends as an answer or as a failure."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass

from pipeline.alerts.answers import Answer, DeliveryError, Sender
from pipeline.alerts.clock import done_within
from pipeline.alerts.courier_events import Cause
from pipeline.alerts.deliveries import Clock, Delivery

log = logging.getLogger(__name__)

#: Longest detail that is kept, in characters.
MOST_DETAIL = 200
#: Longest wait, in seconds, that a destination can ask for.
LONGEST_ASKED = 3600.0


@dataclass(frozen=True)
class Failure:
    """A try that failed.

    Attributes:
        cause: Why, in one of a few words.
        detail: Why, in one short line.
        status: HTTP status, or 0.
        permanent: Trying again is no use.
        retry_after: Seconds that the destination asked to wait, at most an hour, or None.
    """

    cause: Cause
    detail: str
    status: int = 0
    permanent: bool = False
    retry_after: float | None = None


async def attempt(
    sender: Sender, delivery: Delivery, seconds: float, clock: Clock
) -> Answer | Failure:
    """Hand over a delivery once.

    Args:
        sender: To whom.
        delivery: What.
        seconds: A sender that takes longer is cancelled; it has a shorter limit of its own.
        clock: Measures it.
    """
    work = asyncio.ensure_future(sender.send(delivery.notification, delivery.delivery_id))
    try:
        if not await done_within(clock, seconds, work):
            work.cancel()  # not waited for: it may not end even so
            work.add_done_callback(_forget)
            return Failure("timeout", f"no answer within {seconds:g} s")
    except asyncio.CancelledError:
        work.cancel()
        await asyncio.wait({work})
        _forget(work)
        raise
    if work.cancelled():  # by something inside the sender: this task was not
        log.warning("the sender of %s cancelled itself", delivery.destination)
        return Failure("crashed", "the sender cancelled itself")
    error = work.exception()
    if error is None:
        answer = work.result()
        return Answer(answer.status, one_line(answer.detail))
    if isinstance(error, DeliveryError):
        return _understood(error)
    if not isinstance(error, Exception):
        raise error
    # Only its type: what it says may hold addresses with secrets, or payloads.
    log.warning("the sender of %s failed: %s", delivery.destination, type(error).__name__)
    return Failure("crashed", type(error).__name__)


def one_line(text: str) -> str:
    """Return a text fit for a detail: one short line of printable characters."""
    words = " ".join(text[: 10 * MOST_DETAIL].split())
    return "".join(char for char in words if char.isprintable())[:MOST_DETAIL]


def _understood(error: DeliveryError) -> Failure:
    asked = error.retry_after
    if asked is not None:
        asked = min(max(asked, 0.0), LONGEST_ASKED) if math.isfinite(asked) else None
    return Failure(_cause(error), one_line(error.reason), error.status, error.permanent, asked)


def _cause(error: DeliveryError) -> Cause:
    if error.permanent:
        return "refused"
    if error.status == 429:
        return "throttled"
    if error.status >= 500:
        return "http_5xx"
    return "http_4xx" if error.status >= 400 else "no_answer"


def _forget(work: asyncio.Future[Answer]) -> None:
    if not work.cancelled():
        work.exception()  # seen, so that asyncio does not report it as never looked at
