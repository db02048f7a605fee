"""The alerter's loop: round after round from the topic of moments into the journal, then out.

A round reads what is stored of its moments and alerts, lets the desk decide, stores all of it in
one piece and only then hands the deliveries to the courier and declares the records processed. What
cannot be stored for now is tried again with growing pauses, and nobody is told meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import TypeVar, cast
from uuid import UUID

import faust
from pydantic import ValidationError

from pipeline.alerts.answers import Sender
from pipeline.alerts.awake import Awake
from pipeline.alerts.courier import Courier
from pipeline.alerts.deliveries import Clock, Delivery
from pipeline.alerts.desk import Decided, Desk
from pipeline.alerts.journal import Journal
from pipeline.alerts.orders import dead_letters
from pipeline.alerts.phrases import Wording
from pipeline.alerts.routing import Routing
from pipeline.alerts.state import Order
from pipeline.chunks import Chunk
from pipeline.errors import RetryableError
from pipeline.intake import Intake
from pipeline.metrics import AlertMetrics
from pipeline.threads import in_thread
from pipeline.transport import Consumer
from schemas.catalog import Catalog
from schemas.moment import Moment

log = logging.getLogger(__name__)

#: First and longest pause before a round is tried again, seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
#: Longest wait for moments before time is looked at, and between looks at orders, seconds.
PATIENCE, ORDERS_EVERY = 0.5, 1.0
#: Seconds between two looks whether the partitions are ours.
_RECHECK = 0.05
_T = TypeVar("_T")


class Outdated(Exception):
    """The partitions were given to another alerter, or may have been: who has them does it anew."""


class Rounds:
    """Turns moments into notifications that are delivered.

    Attributes:
        turned_at: When the loop last turned, or tried to; monotonic.
        trouble: Why the present round waits, or empty.

    Args:
        app: The Faust application, for its consumer.
        catalog: With routes and destinations.
        journal: Where everything is kept.
        senders: Speak to the destinations, by id.
        metrics: Counts.
        clock: Time.
        session_timeout: Seconds after which Kafka gives the partitions of a frozen process away.
    """

    def __init__(
        self,
        app: faust.App,
        catalog: Catalog,
        journal: Journal,
        senders: Mapping[str, Sender],
        metrics: AlertMetrics,
        clock: Clock,
        session_timeout: float,
    ) -> None:
        self._app = app
        self._catalog = catalog
        self._journal = journal
        self._senders = senders
        self._metrics = metrics
        self._clock = clock
        self._awake = Awake(clock, session_timeout)
        self._routing = Routing(catalog)
        self._wording = Wording(catalog, self._routing)
        self._desk = Desk(self._routing, self._wording)
        self._courier: Courier | None = None
        self._delivering: asyncio.Task[None] | None = None
        self._epoch = -1
        self._orders_at = 0.0
        self.turned_at = clock.monotonic()
        self.trouble = ""

    @property
    def is_active(self) -> bool:
        """Return whether this alerter has the moments; otherwise it stands by."""
        return self._courier is not None

    def waiting(self) -> Mapping[str, int]:
        """Return how many deliveries have no outcome, by destination."""
        return self._courier.waiting() if self._courier is not None else {}

    @property
    def _consumer(self) -> Consumer:
        return cast(Consumer, self._app.consumer)

    async def run(self, intake: Intake) -> None:
        """Go on until cancelled.

        Raises:
            FatalError: Going on could lose something.
        """
        try:
            while True:
                chunks = await intake.batch(self._patience())
                self.turned_at = self._clock.monotonic()
                await self._see_to(chunks)
                self._show()
        finally:
            await self._dismiss()

    def alive(self) -> None:
        """Note that the loop turns; to be called often."""
        self._awake.tick(self._consumer_epoch())

    # --- assignment -----------------------------------------------------------------------------

    def _consumer_epoch(self) -> int:
        return self._consumer.positions()[0] if self._app.consumer is not None else -1

    async def _own(self) -> bool:
        """Make the desk anew after an assignment; return whether there is anything to do here."""
        epoch, positions = self._consumer.positions()
        if epoch != self._epoch:
            await self._dismiss()
            self._epoch = epoch
            if positions:
                try:
                    await self._begin()
                except Outdated:
                    self._epoch = -1
                    return False
        elif positions and self._courier is None:
            self._epoch = -1  # they were not told yet when the epoch began
            return await self._own()
        return bool(positions)

    async def _begin(self) -> None:
        now = self._clock.now()
        cooldowns = self._routing.cooldowns
        since = now - max(cooldowns.values(), default=timedelta(0))
        journal = self._journal
        await self._patiently(journal.begin)
        alerts = await self._patiently(lambda: journal.hot_alerts(now))
        seen = await self._patiently(lambda: journal.live_moments(since, list(cooldowns)))
        orders = await self._patiently(lambda: journal.orders("active"))
        pending = await self._patiently(lambda: journal.deliveries("pending"))
        self._desk = Desk(self._routing, self._wording)
        self._desk.restore(alerts, seen, orders, now)
        known = {destination.id: destination for destination in self._catalog.destinations}
        self._courier = Courier(
            self._senders,
            known,
            self._record,
            self._clock,
            random=Random(),  # noqa: S311  # jitter, not a secret
            events=self._metrics,
            may_send=self._may_send,
        )
        self._courier.put(pending)
        self._delivering = asyncio.create_task(self._courier.run())
        self._metrics.active.set(1)
        log.info(
            "took up %d alerts that can act, %d moments that wait or cool down, %d deliveries",
            len(alerts),
            len(seen),
            sum(delivery.status == "pending" for delivery in pending),
        )

    async def _dismiss(self) -> None:
        """Stop telling anybody anything."""
        self._metrics.active.set(0)
        self._courier = None
        if self._delivering is not None:
            self._delivering.cancel()
            await asyncio.gather(self._delivering, return_exceptions=True)
            self._delivering = None

    def _may_send(self) -> bool:
        return self._epoch == self._consumer_epoch() and self._awake.certain(self._epoch)

    async def _record(self, deliveries: Sequence[Delivery]) -> None:
        await in_thread(lambda: self._journal.record(deliveries))

    # --- rounds ---------------------------------------------------------------------------------

    async def _see_to(self, chunks: list[Chunk]) -> None:
        """Do a round with chunks; again and again as long as they are this alerter's."""
        while True:
            owned = await self._own()
            chunks = [chunk for chunk in chunks if self._consumer.is_current(chunk)]
            if (owned and await self._round(chunks)) or not chunks:
                return
            # assigned and the positions are not told yet, or it is not known whose they are
            await self._clock.sleep(_RECHECK)

    def _patience(self) -> float:
        due = self._desk.next_at()
        if due is None or self._courier is None:
            return PATIENCE
        return min(max((due - self._clock.now()).total_seconds(), 0.01), PATIENCE)

    async def _round(self, chunks: list[Chunk]) -> bool:
        """Do a round; return whether it was stored, and if not everything is to be done anew."""
        if self._delivering is not None and self._delivering.done():
            self._delivering.result()  # raises what ended it
        try:
            moments = self._moments(chunks)
            orders = await self._orders()
            due = self._desk.next_at()
            now = self._clock.now()
            if moments or orders or (due is not None and due <= now):
                again = await self._again(orders, now)
                decided = await self._decide(moments, orders, now)
                fresh, decided.deliveries = decided.deliveries, [*decided.deliveries, *again]
                await self._patiently(lambda: self._journal.store(decided))
                self._count(decided, fresh, len(moments), now)
                if self._courier is not None:
                    self._courier.again(again)
                    self._courier.put(fresh)
        except Outdated:
            self._epoch = -1  # the desk knows what was not stored: it is made anew
            return False
        for chunk in chunks:
            self._consumer.processed(chunk)
        return True

    async def _decide(
        self, moments: Sequence[Moment], orders: Sequence[Order], now: datetime
    ) -> Decided:
        journal, desk = self._journal, self._desk
        ids = list(dict.fromkeys(moment.moment_id for moment in moments))
        seen = await self._patiently(lambda: journal.seen(ids))
        named = {item.alert_id for items in seen.values() for item in items}
        named |= {order.alert_id for order in orders}
        wanted = [item for item in named if item is not None and item not in desk.alerts]
        desk.adopt(await self._patiently(lambda: journal.alerts(wanted)))
        desk.pass_time(now)
        for order in orders:
            desk.order(order, now)
        for moment in moments:
            desk.take(moment, seen.get(moment.moment_id, ()), now)
        decided = desk.settle(now)
        customers = {
            told.customer_key
            for delivery in decided.deliveries
            for told in delivery.notification.moments
        }
        lately = await self._patiently(lambda: journal.lately(customers))
        decided.deliveries = [
            replace(item, notification=self._wording.with_text(item.notification, lately))
            for item in decided.deliveries
        ]
        return decided

    async def _again(self, orders: Sequence[Order], now: datetime) -> list[Delivery]:
        """Return the dead letters that orders want delivered again."""
        found: dict[UUID, Delivery] = {}
        for order in orders:
            if order.action == "redeliver":
                dead = await self._patiently(partial(dead_letters, self._journal, order))
                found.update((item.delivery_id, item) for item in dead)
        return [
            replace(item, status="pending", attempts=0, created_at=now, ended_at=None, next_at=None)
            for item in found.values()
        ]

    async def _orders(self) -> list[Order]:
        if self._clock.monotonic() - self._orders_at < ORDERS_EVERY:
            return []
        orders = await self._patiently(lambda: self._journal.orders("asked"))
        self._orders_at = self._clock.monotonic()
        return orders

    def _moments(self, chunks: Sequence[Chunk]) -> list[Moment]:
        found = []
        for chunk in chunks:
            for record in chunk.records:
                try:
                    found.append(Moment.model_validate_json(record.value or b""))
                except ValidationError as error:
                    self._metrics.invalid.inc()
                    fields = {".".join(map(str, item["loc"])) for item in error.errors()}
                    log.error(
                        "%s[%d] offset %d is no moment, nobody is told of it: %s",
                        chunk.topic,
                        chunk.partition,
                        record.offset,
                        ", ".join(sorted(fields)) or "it is no JSON object",
                    )
        return found

    async def _patiently(self, work: Callable[[], _T]) -> _T:
        """Do blocking work until it succeeds, with growing pauses.

        Raises:
            Outdated: Another alerter has the partitions by now, or may have them.
        """
        pause = FIRST_PAUSE
        while True:
            if not self._may_send():
                raise Outdated
            self.turned_at = self._clock.monotonic()
            try:
                found = await in_thread(work)
            except RetryableError as error:
                self.trouble = str(error)
                wait = pause * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, not a secret
                log.warning("the round waits, next try in %.1f s: %s", wait, error)
                await self._clock.sleep(wait)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                self.trouble = ""
                return found

    # --- counting -------------------------------------------------------------------------------

    def _count(
        self, decided: Decided, deliveries: Sequence[Delivery], revisions: int, now: datetime
    ) -> None:
        self._metrics.revisions.inc(revisions)
        for item in decided.seen:
            if item.decided_at == now:  # another revision of it need not be another decision
                self._metrics.decided.labels(item.decision, item.reason).inc()
        opened = {item.alert_id for item in deliveries if item.sequence == 1}
        for alert, _ in decided.alerts:
            if alert.alert_id in opened:
                self._metrics.opened.labels(alert.route).inc()
            if alert.closed_at == now:
                self._metrics.closed.labels(alert.route).inc()

    def _show(self) -> None:
        for destination, waiting in self.waiting().items():
            self._metrics.waiting.labels(destination).set(waiting)
