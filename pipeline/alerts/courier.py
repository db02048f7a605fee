"""The courier: delivers notifications at least once, in order per alert and destination.

What it is given is in the outbox already, pending. It tries each delivery until the destination
took it or its time is up, and writes what became of it into the outbox. The next notification of
an alert goes to a destination only when that is written. So after a crash the last one may come
again, with the same delivery id, and never an earlier one after a later one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from random import Random

from pipeline.alerts.answers import Sender
from pipeline.alerts.courier_events import CourierEvents
from pipeline.alerts.deliveries import Clock, Delivery
from pipeline.alerts.lane import Lane, Surroundings
from pipeline.alerts.recorder import Record, Recorder
from schemas.alerts import DestinationBase

log = logging.getLogger(__name__)


class Courier:
    """Delivers until cancelled. For one event loop, and for one run.

    What is pending stands in memory: a few kilobytes for each notification, and of an alert as
    many as it has; updates left out are held until what stands for them has an outcome. Besides,
    for every destination, what it has heard of the last 20,000 alerts, some 200 bytes each.

    Args:
        senders: Speak to the destinations, by id; whoever made them closes them.
        destinations: Their settings, by id; of the same ids.
        record: Writes lines of the outbox as they stand now, all or none of those it is given; of
            a delivery the line written last counts. Raises RetryableError where the same can be
            written later.
        clock: Time.
        random: Spreads waits.
        events: Told of what happens.
        may_send: Asked right before each send and each write. While it says no, nothing is sent,
            given up or written.
    """

    def __init__(
        self,
        senders: Mapping[str, Sender],
        destinations: Mapping[str, DestinationBase],
        record: Record,
        clock: Clock,
        *,
        random: Random,
        events: CourierEvents,
        may_send: Callable[[], bool],
    ) -> None:
        self._ran = False
        self._recorder = Recorder(record, clock, random, may_send)
        around = Surroundings(clock, random, self._recorder, events, may_send)
        self._lanes = {
            name: Lane(destination, senders[name], around)
            for name, destination in destinations.items()
        }

    def put(self, deliveries: Iterable[Delivery]) -> None:
        """Take deliveries that are in the outbox.

        After a restart all pending ones of an alert come in one call, with those that ended among
        them where they are known: of a trigger that the destination never took nothing is
        resolved. What is known already is left out, so that giving something twice does no harm;
        what is for a destination that there is none of stays pending in the outbox.

        Args:
            deliveries: In any order; from call to call an alert's sequence rises.
        """
        unknown = set()
        for delivery in sorted(deliveries, key=lambda d: (d.status == "pending", d.sequence)):
            lane = self._lanes.get(delivery.destination)
            if lane is not None:
                lane.put(delivery)
            elif delivery.status == "pending":
                unknown.add(delivery.destination)
        for name in sorted(unknown):
            log.warning("there is no destination %s (any more): what is for it stays pending", name)

    def again(self, deliveries: Iterable[Delivery]) -> None:
        """Take deliveries that had ended and are to be made again, pending in the outbox.

        Args:
            deliveries: Those of an alert and destination that follow everything it was sent of it.
        """
        for delivery in sorted(deliveries, key=lambda delivery: delivery.sequence):
            lane = self._lanes.get(delivery.destination)
            if lane is not None:
                lane.again(delivery)

    def waiting(self) -> Mapping[str, int]:
        """Return how many deliveries of each destination have no written outcome yet."""
        return {name: lane.waiting for name, lane in self._lanes.items()}

    async def drained(self) -> None:
        """Wait until every delivery has an outcome, and all is written."""
        while any(self.waiting().values()) or not self._recorder.empty:
            self._recorder.written.clear()
            await self._recorder.written.wait()

    async def run(self) -> None:
        """Deliver until cancelled. What is being sent then is cancelled, too.

        Raises:
            Exception: What ``record`` raised, unless it was a RetryableError.
            RuntimeError: It ran before: what was in the air then is known only to the outbox.
        """
        if self._ran:
            raise RuntimeError("a courier runs once: make another, and put what is pending")
        self._ran = True
        tasks = [asyncio.ensure_future(self._recorder.run())]
        tasks += [asyncio.ensure_future(lane.run()) for lane in self._lanes.values()]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
