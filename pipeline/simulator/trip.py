"""One customer's way through one journey, and the single steps that journeys are told in.

A journey is a generator of steps: it is resumed at the time of the step it has yielded, so it sees
the customer as they are then.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.simulator.company import NONE, PRODUCTS, STORES, Product
from pipeline.simulator.dice import Dice
from pipeline.simulator.hours import HOUR, MINUTE, SECOND, Clock

if TYPE_CHECKING:
    from pipeline.simulator.customers import Customer

Fields = dict[str, Any]


class Mark(NamedTuple):
    """What a story means by one of its steps.

    Attributes:
        rule: Rule of moments of truth that it is about.
        why: Why the rule must not find a moment here, though nearly; None where it must.
    """

    rule: str
    why: str | None = None


class Step(NamedTuple):
    """What happens next.

    Attributes:
        wait: Milliseconds since the step before, at least 1.
        channel: Channel it happens on.
        touchpoint: Touchpoint it is meant to be.
        action: What the event says.
        details: The event's details.
        extra: Other fields of the event.
        promise: Milliseconds until something promised here is due; 0 for no promise.
        marks: Moments of truth that a story plants here, or nearly.
    """

    wait: int
    channel: str
    touchpoint: str
    action: str
    details: Fields
    extra: Fields
    promise: int = 0
    marks: tuple[Mark, ...] = ()

    def causes(self, *rules: str) -> Step:
        """Return the step as the cause of moments of these rules."""
        return self._replace(marks=(*self.marks, *map(Mark, rules)))

    def spares(self, why: str, *rules: str) -> Step:
        """Return the step as one at which these rules must stay silent, and why."""
        return self._replace(marks=(*self.marks, *(Mark(rule, why) for rule in rules)))


Script = Iterator[Step]
Journey = Callable[["Trip"], Script]
#: How a screen is called: the app has screens, web and kiosk have pages.
_VIEW = {"web": "page_view", "app": "screen_view", "kiosk": "page_view"}


class Trip:
    """Where a customer is on a journey.

    Args:
        customer: Who.
        now: When it begins, milliseconds.
        dice: Chance.
        clock: Days and opening hours.

    Attributes:
        identifiers: By channel, what the channel knows of the customer, filled when first used.
    """

    __slots__ = ("clock", "customer", "dice", "identifiers", "now")

    def __init__(self, customer: Customer, now: int, dice: Dice, clock: Clock) -> None:
        self.customer = customer
        self.now = now
        self.dice = dice
        self.clock = clock
        self.identifiers: dict[str, Fields] = {}

    def seconds(self, low: int, high: int) -> int:
        """Return a wait of so many seconds."""
        return low * SECOND + self.dice.below((high - low) * SECOND)

    def minutes(self, low: int, high: int) -> int:
        """Return a wait of so many minutes."""
        return low * MINUTE + self.dice.below((high - low) * MINUTE)

    def hours(self, low: int, high: int) -> int:
        """Return a wait of so many hours."""
        return low * HOUR + self.dice.below((high - low) * HOUR)

    def days(self, low: int, high: int, channel: str) -> int:
        """Return a wait of so many days, until a plausible time of day for the channel."""
        day = self.clock.day(self.now) + self.dice.between(low, high)
        moment = self.clock.sometime(day, channel, self.dice)
        while moment <= self.now:
            day += 1
            moment = self.clock.sometime(day, channel, self.dice)
        return moment - self.now

    def today(self, channel: str) -> int:
        """Return a wait until a plausible time of this day, or the next one with such a time."""
        return self.days(0, 0, channel)

    def number(self, letter: str) -> str:
        """Return a new number of a case, a message or a call."""
        return f"{letter}-{self.dice.serial():08}"

    def product(self) -> Product:
        """Return a product of the company."""
        return self.dice.pick(PRODUCTS)

    def page(
        self,
        wait: int,
        touchpoint: str,
        page_type: str,
        channel: str = "web",
        product: Product | None = None,
        **extra: Any,
    ) -> Step:
        """Return the view of a page of the site or a screen of the app."""
        details: Fields = {"page_type": page_type}
        if channel == "web":
            tail = f"/{product.id.lower()}" if product else ""
            details["page_url"] = f"https://shop.example/{page_type}{tail}"
            details["device"] = self.customer.device
        if product:
            details["product_id"] = product.id
        details["duration_seconds"] = self.dice.between(3, 180)
        return Step(wait, channel, touchpoint, _VIEW[channel], details, extra)

    def click(
        self, wait: int, channel: str, touchpoint: str, action: str, fields: Fields, **extra: Any
    ) -> Step:
        """Return something done on the site, in the app or at a kiosk."""
        if channel == "web":
            fields["device"] = self.customer.device
        return Step(wait, channel, touchpoint, action, fields, extra)

    def store(
        self, wait: int, touchpoint: str, action: str, fields: Fields | None = None, **extra: Any
    ) -> Step:
        """Return something that happens in the customer's store."""
        details: Fields = {"store_id": STORES[self.customer.index % len(STORES)]}
        if fields:
            details.update(fields)
        return Step(wait, "store", touchpoint, action, details, extra)

    def message(
        self, wait: int, touchpoint: str, template: str, read: float = 0.4, click: float = 0.1,
        promise: int = 0, campaign: str | None = None, **extra: Any,
    ) -> Generator[Step, None, bool]:  # fmt: skip
        """Send an email: delivered, or bounced; opened by a machine, a person or nobody; clicked.

        Returns:
            Whether a link was followed, as the value of ``yield from``.
        """
        dice = self.dice
        details: Fields = {"message_id": self.number("M"), "template": template}
        if campaign is not None:
            details["campaign"] = campaign
        extra["direction"] = "outbound"
        if dice.chance(0.006):
            bounce = {**details, "bounce_type": dice.pick(("hard", "soft", "soft"))}
            yield Step(wait, "email", touchpoint, "email_bounced", bounce, extra)
            return False
        yield Step(wait, "email", touchpoint, "email_delivered", details, extra, promise)
        extra = {key: extra[key] for key in ("case_ids",) if key in extra}
        if dice.chance(0.02):  # a mail proxy, seconds after the delivery: nobody's doing
            opened = {**details, "machine_open": True}
            yield Step(self.seconds(1, 30), "email", NONE, "email_opened", opened, extra)
        if not dice.chance(read):
            return False
        opened = {**details, "machine_open": False} if dice.chance(0.7) else details
        yield Step(self.hours(0, 10) + 5_000, "email", touchpoint, "email_opened", opened, extra)
        if not dice.chance(click / read):
            return False
        clicked = {**details, "link_url": f"https://shop.example/m/{template}"}
        yield Step(self.seconds(5, 90), "email", touchpoint, "email_clicked", clicked, extra)
        return True

    def notify(
        self, wait: int, touchpoint: str, template: str, promise: int = 0, **extra: Any
    ) -> Script:
        """Send what the customer wants to read: an email, a push message or a text message."""
        wanted = self.customer.notices
        if wanted == "email":
            yield from self.message(wait, touchpoint, template, promise=promise, **extra)
            return
        delivered, opened = (
            ("notification_delivered", "notification_opened")
            if wanted == "app"
            else ("message_delivered", "message_read")
        )
        details = {"message_id": self.number("M"), "template": template}
        extra["direction"] = "outbound"
        yield Step(wait, wanted, touchpoint, delivered, details, extra, promise)
        if self.dice.chance(0.5):
            yield Step(self.minutes(0, 90) + 2_000, wanted, touchpoint, opened, details, extra)

    def call(
        self, wait: int, touchpoint: str, topic: str | None, outcome: str, call_id: str,
        direction: str = "inbound", **extra: Any,
    ) -> Step:  # fmt: skip
        """Return the end of a call; which touchpoint it was, its topic tells."""
        dice = self.dice
        details: Fields = {
            "call_id": call_id,
            "agent_id": f"A-{dice.below(40):03}",
            "talk_seconds": dice.between(40, 900),
            "outcome": outcome,
        }
        if topic is not None:
            details["topic"] = topic
        if dice.chance(0.2):
            details["hold_seconds"] = dice.between(10, 240)
        cases = {"call_id": call_id, **extra.pop("case_ids", {})}
        extra = {"case_ids": cases, "direction": direction, **extra}
        return Step(wait, "phone", touchpoint, "call_ended", details, extra)
