"""The lane of one destination: when which of its deliveries is tried, and what then becomes of it.

Deliveries of one alert go one after the other, each when the outcome of the one before is written;
those of different alerts go side by side. A lane shares nothing with others but the recorder.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from random import Random

from pipeline.alerts.alert_queue import AlertQueue, Entry, Heard
from pipeline.alerts.answers import Answer, Sender
from pipeline.alerts.attempt import LONGEST_ASKED, Failure, attempt
from pipeline.alerts.circuit import Circuit, State
from pipeline.alerts.clock import pause
from pipeline.alerts.courier_events import CourierEvents
from pipeline.alerts.deliveries import Clock, Delivery, DeliveryStatus
from pipeline.alerts.pace import Pace, backoff
from pipeline.alerts.recorder import WITHHELD, Recorder
from pipeline.alerts.turns import Turns
from schemas.alerts import DestinationBase

log = logging.getLogger(__name__)

#: Tries of one destination at a time.
AT_ONCE = 8
#: Seconds that a sender may take beyond its own limit.
GRACE = 5.0
#: Seconds between two looks for deliveries whose time is up.
SWEEP = 10.0
#: A failed try is written when it is a delivery's first, and then at most so often, in seconds.
NOTE_EVERY = 30.0
#: Longest, in seconds, that one answer holds up the whole destination; what it answered waits on.
LONGEST_HOLD = 60.0


@dataclass(frozen=True)
class Surroundings:
    """What all lanes share."""

    clock: Clock
    random: Random
    recorder: Recorder
    events: CourierEvents
    may_send: Callable[[], bool]


class Lane:
    """All that goes to one destination.

    Args:
        destination: Its settings.
        sender: Speaks to it.
        around: What it shares.
    """

    def __init__(self, destination: DestinationBase, sender: Sender, around: Surroundings) -> None:
        self._id = destination.id
        self._limit = destination.timeout.total_seconds() + GRACE
        self._give_up = destination.give_up
        self._sender = sender
        self._around = around
        self._clock = around.clock
        self._circuit = Circuit(around.random, self._circuit_changed)
        self._pace = Pace(destination.per_minute, self._clock.monotonic())
        self._heard = Heard()
        self._turns = Turns()
        self._sweep_at = -math.inf
        self._sending = 0
        self._tries: set[asyncio.Task[None]] = set()
        self._bug: BaseException | None = None
        self._wake = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Deliveries without a written outcome, but for those a later one stands for."""
        return sum(map(len, self._turns.queues.values()))

    def put(self, delivery: Delivery) -> None:
        """Take a delivery; those of an alert in the order of their sequence."""
        if delivery.status != "pending":
            self._heard.note(delivery)
            return
        queue = self._turns.queues.get(delivery.alert_id)
        if queue and delivery.sequence <= queue.last_sequence:
            return  # it is in the queue, or stood for by another
        if self._heard.ended(delivery):
            log.warning("delivery %s came again after its end: not sent", delivery.delivery_id)
            return
        if queue:
            queue.add(delivery)
        else:
            queue = self._turns.queues[delivery.alert_id] = AlertQueue(delivery)
            wait = 0.0
            if delivery.next_at is not None:
                wait = (delivery.next_at - self._clock.now()).total_seconds()
            now = self._clock.monotonic()
            self._turns.wait(queue, now, min(wait, LONGEST_ASKED), asked=True)
        self._wake.set()

    def again(self, delivery: Delivery) -> None:
        """Take a delivery that had ended, and all that follow it."""
        self._heard.forget(delivery.alert_id)
        self.put(delivery)

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            while self._bug is None:
                self._wake.clear()
                seconds = self._dispatch()
                await pause(self._clock, seconds, self._wake)
            raise self._bug
        finally:
            for task in self._tries:
                task.cancel()
            if self._tries:
                # Real seconds: a sender that does not end when cancelled is left behind.
                await asyncio.wait(self._tries, timeout=1.0)

    def _dispatch(self) -> float | None:
        """Begin what can begin; return the seconds until there may be more, None until woken."""
        if not self._turns.queues:
            return None
        if not self._around.may_send():
            return WITHHELD
        now = self._clock.monotonic()
        self._sweep(now)
        self._turns.release(now)
        wait = self._circuit.wait(now)
        if self._circuit.state == "open" and wait <= 0 and self._turns.first() is None:
            self._turns.release_next()  # to probe with
        blocked = math.inf if wait <= 0 else wait
        while self._sending < AT_ONCE and (queue := self._turns.first()) is not None:
            if self._ended_unsent(queue):
                continue
            blocked = max(self._circuit.wait(now), self._pace.wait(now))
            if blocked > 0:
                break
            blocked = math.inf
            self._begin(queue, now)
        return max(0.001, min(blocked, self._turns.next_due() - now, self._sweep_at - now))

    def _sweep(self, now: float) -> None:
        """End what will not be sent, now and then; also while nothing can be."""
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP
            for queue in self._turns.idle():
                self._ended_unsent(queue)

    def _ended_unsent(self, queue: AlertQueue) -> bool:
        """End the head if it is not to be sent; return whether it was so."""
        delivery = queue.head.delivery
        action = delivery.notification.action
        if action == "resolve" and self._heard.nothing_of(delivery.alert_id):
            detail = "the destination took nothing of this alert"
            self._end(queue, replace(delivery, detail=detail), "skipped")
            self._around.events.skipped(self._id)
        elif self._clock.now() >= delivery.created_at + self._give_up:
            detail = delivery.detail if delivery.attempts else "was not tried in time"
            self._dead(queue, replace(delivery, detail=detail))
        else:
            return False
        return True

    def _begin(self, queue: AlertQueue, now: float) -> None:
        queue.state = "busy"
        self._sending += 1
        self._pace.take(now)
        task = asyncio.ensure_future(self._try(queue, self._circuit.begin()))
        self._tries.add(task)
        task.add_done_callback(self._tried)

    def _tried(self, task: asyncio.Task[None]) -> None:
        self._tries.discard(task)
        self._sending -= 1
        if not task.cancelled() and (error := task.exception()) is not None:
            self._bug = error
        self._wake.set()

    async def _try(self, queue: AlertQueue, probe: bool) -> None:
        if not self._around.may_send():  # asked again: the process may have stood still since
            self._circuit.withdraw(probe)
            self._pace.give_back()
            self._turns.ready(queue)
            return
        entry = queue.head
        outcome = await attempt(self._sender, entry.delivery, self._limit, self._clock)
        entry.delivery = replace(
            entry.delivery,
            attempts=entry.delivery.attempts + 1,
            next_at=None,
            http_status=outcome.status,
            detail=outcome.detail,
        )
        if isinstance(outcome, Answer):
            self._answered()
            self._sent(queue, entry.delivery)
        else:
            self._failed(queue, entry, outcome, probe)

    def _answered(self) -> None:
        """The destination is there; if it was not, what waits for it goes at once."""
        if self._circuit.succeeded():
            self._turns.release_all()

    def _sent(self, queue: AlertQueue, delivery: Delivery) -> None:
        notification, now = delivery.notification, self._clock.now()
        since = None
        if notification.action in ("trigger", "update") and notification.moments:
            since = (now - notification.moments[0].occurred_at).total_seconds()
        waited = (now - delivery.created_at).total_seconds()
        self._around.events.sent(self._id, notification.action, waited, since)
        self._end(queue, delivery, "sent")

    def _failed(self, queue: AlertQueue, entry: Entry, failure: Failure, probe: bool) -> None:
        now = self._clock.monotonic()
        self._around.events.failed(self._id, failure.cause)
        if failure.permanent:
            self._answered()
        else:
            self._circuit.failed(now, probe)
        # Somebody else may deliver by now: then nothing is decided here, and nothing noted.
        mine = self._around.may_send()
        if failure.permanent and mine:
            self._dead(queue, entry.delivery)
            return
        seconds = failure.retry_after
        if seconds is not None:
            self._pace.hold(now, min(seconds, LONGEST_HOLD))
        wait = backoff(entry.delivery.attempts, self._around.random) if seconds is None else seconds
        next_at = self._clock.now() + timedelta(seconds=wait)
        entry.delivery = replace(entry.delivery, next_at=next_at)
        self._turns.wait(queue, now, wait, asked=seconds is not None)
        if mine and (entry.noted_at is None or now - entry.noted_at >= NOTE_EVERY):
            entry.noted_at = now
            self._around.recorder.note(entry.delivery)

    def _dead(self, queue: AlertQueue, delivery: Delivery) -> None:
        log.warning("delivery %s to %s is given up", delivery.delivery_id, self._id)
        self._around.events.dead(self._id, delivery.notification.action)
        self._end(queue, delivery, "dead")

    def _end(self, queue: AlertQueue, delivery: Delivery, status: DeliveryStatus) -> None:
        """Write an outcome, and first the ends of the updates that it stands for."""
        queue.state = "busy"
        now = self._clock.now()
        ended = replace(delivery, status=status, next_at=None, ended_at=now)
        detail = f"said by notification {delivery.sequence}"
        left_out = [
            replace(update, status="superseded", ended_at=now, detail=detail)
            for update in queue.head.absorbed
        ]
        for _ in left_out:
            self._around.events.superseded(self._id)
        self._around.recorder.keep([*left_out, ended], partial(self._written, queue, ended))

    def _written(self, queue: AlertQueue, ended: Delivery) -> None:
        queue.pop()
        self._heard.note(ended)
        if len(queue):
            self._turns.ready(queue)
        else:
            del self._turns.queues[ended.alert_id]
        self._wake.set()

    def _circuit_changed(self, state: State) -> None:
        log.log(
            logging.INFO if state == "half_open" else logging.WARNING,
            "the circuit of destination %s is %s",
            self._id,
            state,
        )
        self._around.events.circuit(self._id, state)
