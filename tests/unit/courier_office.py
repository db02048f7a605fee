"""An outbox, destinations that do as they are told, and a courier between them, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from uuid import UUID, uuid5

from pipeline.alerts.answers import Answer
from pipeline.alerts.courier import Courier
from pipeline.alerts.courier_events import NoEvents
from pipeline.alerts.deliveries import Delivery
from schemas.alerts import DestinationBase
from schemas.notification import Action, Notification, Told
from tests.virtual_time import BEGIN, VirtualClock

_IDS = UUID("7f0c5d0a-8a35-4a7e-9d9b-3e8f4d3c2b1a")


def an_id(name: object) -> UUID:
    return uuid5(_IDS, str(name))


def notification(
    alert: object, sequence: int, action: Action = "trigger", **other: object
) -> Notification:
    """A notification of one moment, named after it unless `moment_ids` says others."""
    given: dict[str, object] = {
        "route": "care",
        "group": {},
        "kind": "pain",
        "severity": "high",
        "owner": "care",
        "title": "",
        "text": "",
        "count": 1,
        "open": 1,
        "customers": [],
        "moments": [],
        "moment_ids": [an_id((alert, sequence))],
        "opened_at": BEGIN,
        "changed_at": BEGIN,
    }
    return Notification.model_validate(
        {**given, "alert_id": an_id(alert), "sequence": sequence, "action": action, **other}
    )


def told(occurred_at: datetime) -> Told:
    """A moment as an alert describes it, that became one at this time."""
    return Told.model_validate(
        {
            "moment_id": an_id("moment"),
            "status": "open",
            "rule": "form_unanswered",
            "severity": "high",
            "customer_key": "k",
            "segment": "",
            "touchpoint": "contact_form",
            "channel": "web",
            "subject": "",
            "text": "",
            "cause_at": occurred_at - timedelta(hours=48),
            "occurred_at": occurred_at,
        }
    )


@dataclass(frozen=True)
class Taken:
    """What a destination got."""

    at: float
    alert: UUID
    sequence: int
    action: Action
    delivery: UUID
    moment_ids: tuple[UUID, ...]


#: What a destination does with a notification: answers, raises, or takes its time.
Behaviour = Callable[["Post", Notification], Awaitable[Answer]]


async def take(post: Post, notification: Notification) -> Answer:
    return Answer(202, "thanks")


class Post:
    """A destination that gets what is sent to it, and then behaves as told."""

    def __init__(self, behave: Behaviour = take) -> None:
        self.behave = behave
        self.tries: list[float] = []
        self.taken: list[Taken] = []
        self.at_once = 0
        self.most_at_once = 0

    async def send(self, notification: Notification, delivery: UUID) -> Answer:
        now = asyncio.get_running_loop().time()
        self.tries.append(now)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            answer = await self.behave(self, notification)
            self.got(notification, delivery)
            return answer
        finally:
            self.at_once -= 1

    def got(self, notification: Notification, delivery: UUID) -> None:
        now = asyncio.get_running_loop().time()
        self.taken.append(
            Taken(
                now,
                notification.alert_id,
                notification.sequence,
                notification.action,
                delivery,
                tuple(notification.moment_ids),
            )
        )

    async def close(self) -> None:
        """Nothing to let go of."""

    def sequences(self, alert: object) -> list[int]:
        return [taken.sequence for taken in self.taken if taken.alert == an_id(alert)]


class Counted(NoEvents):
    """Events, counted."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.circuits: list[str] = []
        self.times: list[tuple[float, float | None]] = []

    def sent(self, destination: str, action: Action, waited: float, since: float | None) -> None:
        self.counts["sent"] += 1
        self.times.append((waited, since))

    def failed(self, destination: str, cause: str) -> None:
        self.counts[cause] += 1

    def dead(self, destination: str, action: Action) -> None:
        self.counts["dead"] += 1

    def superseded(self, destination: str) -> None:
        self.counts["superseded"] += 1

    def skipped(self, destination: str) -> None:
        self.counts["skipped"] += 1

    def circuit(self, destination: str, state: str) -> None:
        self.circuits.append(state)


@dataclass
class Outbox:
    """Lines by delivery, as the courier writes them; the last of a delivery counts."""

    lines: dict[UUID, Delivery] = field(default_factory=dict)
    writes: list[list[Delivery]] = field(default_factory=list)
    before: Callable[[], Awaitable[None]] | None = None
    after: Callable[[], Awaitable[None]] | None = None

    async def record(self, lines: Sequence[Delivery]) -> None:
        if self.before:
            await self.before()
        self.writes.append(list(lines))
        for line in lines:
            self.lines[line.delivery_id] = line
        if self.after:
            await self.after()

    def status(self, alert: object, destination: str = "post") -> list[str]:
        return [
            line.status
            for line in sorted(self.lines.values(), key=lambda line: line.sequence)
            if (line.alert_id, line.destination) == (an_id(alert), destination)
        ]


class Office:
    """A courier, its outbox and its destinations. To be made inside a virtual loop."""

    def __init__(
        self,
        posts: dict[str, Post] | None = None,
        settings: dict[str, dict[str, object]] | None = None,
        seed: int = 1,
    ) -> None:
        self.posts = posts or {"post": Post()}
        self.destinations = {
            name: DestinationBase.model_validate(
                {"id": name, "per_minute": 60_000, **(settings or {}).get(name, {})}
            )
            for name in self.posts
        }
        self.outbox = Outbox()
        self.clock = VirtualClock()
        self.events = Counted()
        self.random = Random(seed)
        self.allowed = True
        self.may_send: Callable[[], bool] = lambda: self.allowed
        self.courier = self.new_courier()

    @property
    def post(self) -> Post:
        return self.posts["post"]

    def new_courier(self) -> Courier:
        return Courier(
            self.posts,
            self.destinations,
            self.outbox.record,
            self.clock,
            random=self.random,
            events=self.events,
            may_send=lambda: self.may_send(),
        )

    def put(self, *notifications: Notification, to: str = "post", age: float = 0.0) -> None:
        """Write notifications into the outbox, pending, and give them to the courier."""
        created = self.clock.now() - timedelta(seconds=age)
        deliveries = [Delivery(n.alert_id, n.sequence, to, n, created) for n in notifications]
        self.outbox.lines |= {delivery.delivery_id: delivery for delivery in deliveries}
        self.courier.put(deliveries)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the courier meanwhile, and stop it as Ctrl-C does; its error ends the meantime."""
        task = asyncio.ensure_future(self.courier.run())
        try:
            yield
        finally:
            if not task.done():
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def drain(self) -> None:
        async with self.running():
            await self.courier.drained()

    def restart(self) -> None:
        """Forget the courier; a new one takes up the outbox, where every line is found."""
        self.courier = self.new_courier()
        self.courier.put(self.outbox.lines.values())
