"""The customers: who they are, what they prefer, and which journey they begin next."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from pipeline.simulator import aftercare, business, buying, contact, reaching, service
from pipeline.simulator.dice import Dice
from pipeline.simulator.trip import Fields, Journey, Script, Trip

#: Segment, share of all customers, journeys begun a day.
_SEGMENTS = (
    ("new", 0.46, 0.062),
    ("regular", 0.36, 0.080),
    ("vip", 0.08, 0.130),
    ("business", 0.10, 0.045),
)
_LANGUAGES = ("nl", "nl", "nl", "nl", "nl", "de", "de", "en", "en", "fr")
_DEVICES = ("mobile", "mobile", "mobile", "desktop", "desktop", "tablet")
_CONTACTS = ("phone", "phone", "phone", "email", "email", "chat", "store", "web", "messaging")
_NOTICES = ("email", "email", "email", "app", "messaging")


class Customer:
    """One customer: what they prefer, and what they have done so far.

    Attributes:
        index: Number from 0; with ``mark`` every identifier derives from it.
        mark: Four digits of the simulation, so that two simulations have no customer in common.
        segment: Segment of the catalog.
        language: Language they are addressed in.
        device: Device they use on the web.
        shops: Where they shop online: web or app.
        in_store: Whether they would rather buy in a store.
        contact: Channel on which they ask for help.
        notices: Channel on which they want to be told about an order.
        card: Whether they have a loyalty card.
        subscribed: Whether they get the newsletter.
        rate: Journeys they begin a day, on average.
        purchases: Purchases so far.
        complaints: Complaints so far.
        last_order: The last order's number.
    """

    __slots__ = (
        *("card", "complaints", "contact", "device", "in_store", "index", "language", "mark"),
        *("last_order", "notices", "purchases", "rate", "segment", "shops", "subscribed"),
    )

    def __init__(self, index: int, dice: Dice) -> None:
        self.index = index
        self.mark = dice.mark
        fate = dice.random()
        for segment, share, rate in _SEGMENTS:
            self.segment = segment
            self.rate = rate
            fate -= share
            if fate < 0:
                break
        self.rate *= dice.pick((0.4, 0.7, 1.0, 1.0, 1.9))
        self.language = dice.pick(_LANGUAGES)
        self.device = dice.pick(_DEVICES)
        self.shops = "app" if dice.chance(0.2) else "web"
        self.in_store = dice.chance(0.45)
        self.contact = dice.pick(_CONTACTS)
        self.notices = dice.pick(_NOTICES)
        self.card = self.segment == "vip" or dice.chance(0.2)
        self.subscribed = dice.chance(0.5)
        self.purchases = 0
        self.complaints = 0
        self.last_order: str | None = None

    @property
    def customer_id(self) -> str:
        """The company's number of the customer."""
        return f"C-{self.mark}-{self.index + 1:07}"

    def identifiers(self, channel: str) -> Fields:
        """Return who the customer is, as far as a channel knows: always with the customer number.

        All of it is made up: the mail domain is reserved, the country code unassigned.
        """
        known: Fields = {"customer_id": self.customer_id}
        if channel == "web":
            known["anonymous_id"] = f"a-{self.mark}-{self.index * 2654435761 % 2**32:08x}"
        elif channel == "email":
            known["email"] = f"customer{self.index + 1}.{self.mark}@mail.example"
        elif channel in ("phone", "messaging"):
            known["phone"] = f"+999{self.mark}{self.index + 1:07}"
        elif channel == "store" and self.card:
            known["loyalty_card"] = f"L-{self.mark}-{self.index + 1:07}"
        return known


def _help(trip: Trip) -> Script:
    return service.HELP[trip.customer.contact](trip)


class _Choice:
    """Journeys with their weights."""

    def __init__(self, weights: dict[Journey, int]) -> None:
        self._journeys = tuple(weights)
        self._sums = tuple(accumulate(weights.values()))

    def pick(self, dice: Dice) -> Journey:
        return self._journeys[bisect_right(self._sums, dice.below(self._sums[-1]))]


_PROSPECT = _Choice({
    reaching.follow_advert: 12, reaching.follow_print: 7, reaching.see_social: 8,
    reaching.read_newsletter: 16, reaching.read_up: 4, reaching.hear_of_us: 4,
    reaching.try_sample: 2, reaching.visit_event: 2, buying.look_around: 8, buying.buy_online: 23,
    buying.research_then_store: 10, buying.order_at_kiosk: 3, buying.order_by_phone: 5,
    buying.ask_and_buy: 7, buying.abandon_cart: 6, contact.contact_form: 4, service.look_up: 2,
})  # fmt: skip
_BUYER = _Choice({
    reaching.follow_advert: 4, reaching.follow_print: 3, reaching.see_social: 4,
    reaching.read_newsletter: 16, reaching.read_up: 2, reaching.visit_event: 1,
    buying.look_around: 5, buying.buy_online: 14, buying.research_then_store: 5,
    buying.order_at_kiosk: 2, buying.order_by_phone: 3, buying.ask_and_buy: 3,
    buying.abandon_cart: 3, contact.contact_form: 3, service.look_up: 6, _help: 18,
    service.complain: 6, service.return_goods: 6, service.cancel: 2, service.suspend: 1,
    aftercare.collect_points: 5, aftercare.recommend: 4, aftercare.ask_for_recommendation: 5,
})  # fmt: skip
_BUSINESS = _Choice({
    business.do_business: 40, reaching.follow_print: 4, reaching.read_up: 4,
    reaching.read_newsletter: 6, reaching.visit_event: 5, buying.order_by_phone: 10,
    buying.buy_online: 8, contact.contact_form: 6, _help: 17,
})  # fmt: skip


def begin(customer: Customer, dice: Dice) -> Journey:
    """Return the journey that a customer begins now."""
    if customer.segment == "business":
        return _BUSINESS.pick(dice)
    journey = (_BUYER if customer.purchases else _PROSPECT).pick(dice)
    if journey is buying.buy_online and customer.in_store:
        return buying.buy_in_store
    return journey
