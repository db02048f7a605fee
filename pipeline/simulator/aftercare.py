"""What follows a purchase: delivery, invoice, survey, review; then loyalty and referral."""

from __future__ import annotations

from pipeline.simulator.company import CAMPAIGNS, Product
from pipeline.simulator.hours import DAY
from pipeline.simulator.trip import Script, Step, Trip


def fulfil(trip: Trip, order: str, product: Product) -> Script:
    """Confirm an order, bill it, send it, and look after the customer."""
    dice = trip.dice
    cases = {"order_id": order}
    trip.customer.last_order = order
    if dice.chance(0.7):
        yield from trip.notify(
            trip.seconds(10, 90), "order_confirmation", "order_confirmation", case_ids=cases
        )
    yield from _bill(trip, product, cases)
    if dice.chance(0.15):
        yield from _collect(trip, cases)
    else:
        yield from _deliver(trip, cases)
    if dice.chance(0.25):
        yield trip.page(trip.hours(1, 9), "instruction_manual", "manual", "web", product)
    yield from _look_after(trip, cases)


def _bill(trip: Trip, product: Product, cases: dict[str, str]) -> Script:
    dice = trip.dice
    money = {"amount": product.cents / 100, "currency": "EUR"}
    if trip.customer.segment == "business" and dice.chance(0.6):
        details = {"template": "invoice"}
        extra = {"case_ids": cases, "direction": "outbound", **money}
        wait = trip.days(1, 3, "mail")
        yield Step(wait, "mail", "invoice", "letter_delivered", details, extra, 14 * DAY)
    elif dice.chance(0.5):
        yield from trip.message(trip.minutes(2, 60), "invoice", "invoice", case_ids=cases)
    if dice.chance(0.02):
        fields = {"template": "invoice"}
        yield trip.click(
            trip.hours(2, 40), "web", "invoice", "invoice_disputed", fields, case_ids=cases
        )


def _collect(trip: Trip, cases: dict[str, str]) -> Script:
    yield from trip.notify(
        trip.days(1, 2, "store"), "delivery_notice", "delivery_notice", case_ids=cases
    )
    yield trip.store(trip.days(0, 2, "store"), "store_visit", "visit", {"visit_reason": "collect"})
    yield trip.store(trip.minutes(2, 15), "parcel", "order_collected", case_ids=cases)


def _deliver(trip: Trip, cases: dict[str, str]) -> Script:
    """Ship, announce, and deliver: mostly within the promised three days, sometimes not at all."""
    dice = trip.dice
    if dice.chance(0.8):
        yield from trip.notify(
            trip.days(0, 1, "office"), "shipping_confirmation", "shipping_confirmation",
            promise=3 * DAY, case_ids=cases,
        )  # fmt: skip
    if dice.chance(0.35):
        channel = trip.customer.shops
        wait = trip.hours(2, 20)
        yield trip.page(wait, "delivery_notice", "order_tracking", channel, case_ids=cases)
    slow = dice.chance(0.08)
    if dice.chance(0.5):
        wait = trip.days(3, 5, "mail") if slow else trip.days(0, 1, "mail")
        yield from trip.notify(wait, "delivery_notice", "delivery_notice", case_ids=cases)
    extra = {"case_ids": cases}
    if dice.chance(0.06):
        yield Step(trip.days(0, 1, "mail"), "mail", "parcel", "parcel_failed", {}, extra)
        yield Step(trip.seconds(20, 90), "mail", "delivery_notice", "card_left", {}, extra)
    if dice.chance(0.015):
        yield Step(trip.days(5, 8, "mail"), "mail", "parcel", "parcel_returned", {}, extra)
        return
    wait = trip.days(2, 4, "mail") if slow else trip.days(0, 1, "mail")
    details = {"damaged": True} if dice.chance(0.02) else {}
    yield Step(wait, "mail", "parcel", "parcel_delivered", details, extra)
    if dice.chance(0.3):
        yield Step(1_000, "mail", "instruction_manual", "manual_enclosed", {}, extra)
    if dice.chance(0.06):
        channel = "app" if trip.customer.shops == "app" else "web"
        fields = {"medium": "parcel_label"}
        yield trip.click(trip.minutes(5, 200), channel, "parcel_label", "code_scanned", fields)


def _look_after(trip: Trip, cases: dict[str, str]) -> Script:
    dice = trip.dice
    if dice.chance(0.2):
        yield from trip.message(trip.days(1, 3, "office"), "follow_up_email", "follow_up")
    if dice.chance(0.25):
        yield from trip.notify(trip.days(0, 2, "office"), "thank_you_message", "thank_you")
    if dice.chance(0.35):
        yield from survey(trip, "csat", cases)
    if dice.chance(0.3):
        yield from ask_for_review(trip)
    if dice.chance(0.25):
        yield from trip.message(
            trip.days(3, 9, "office"), "cross_sell_email", "cross_sell", campaign="accessories"
        )


def after_store(trip: Trip) -> Script:
    """Thank and ask a customer who bought in a store."""
    dice = trip.dice
    if dice.chance(0.1):
        score = dice.pick((2, 3, 4, 4, 5, 5, 5))
        yield Step(
            trip.seconds(20, 90), "kiosk", "csat_survey", "survey_answered", {},
            {"rating": {"scale": "csat", "score": score}},
        )  # fmt: skip
    if not trip.customer.card and dice.chance(0.12):
        trip.customer.card = True
        yield trip.store(trip.seconds(20, 90), "loyalty_programme", "loyalty_joined")
    if dice.chance(0.2):
        yield from trip.notify(trip.days(1, 2, "office"), "thank_you_message", "thank_you")
    if dice.chance(0.15):
        yield from survey(trip, "csat", {})
    if dice.chance(0.1):
        yield from ask_for_review(trip)


#: By scale: touchpoint and scores as often as they are given.
_SURVEYS: dict[str, tuple[str, tuple[int, ...]]] = {
    "nps": ("nps_survey", (0, 2, 4, 5, 6, 6, 7, 7, 8, 8, 8, 9, 9, 9, 9, 10, 10, 10)),
    "csat": ("csat_survey", (1, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5)),
    "ces": ("ces_survey", (1, 2, 3, 4, 5, 5, 6, 6, 6, 7, 7)),
}


def survey(trip: Trip, scale: str, cases: dict[str, str]) -> Script:
    """Send a survey by email; some answer it."""
    touchpoint, scores = _SURVEYS[scale]
    clicked = yield from trip.message(
        trip.days(1, 4, "office"), touchpoint, touchpoint, 0.5, 0.3, case_ids=cases
    )
    if clicked:
        rating = {"scale": scale, "score": trip.dice.pick(scores)}
        fields = {"form_id": touchpoint}
        yield trip.click(
            trip.seconds(20, 200), "web", touchpoint, "survey_answered", fields, rating=rating
        )


def ask_for_review(trip: Trip) -> Script:
    """Ask for a review; some write one."""
    dice = trip.dice
    yield from trip.notify(trip.days(4, 8, "office"), "review_request", "review_request")
    if dice.chance(0.3):
        stars = dice.pick((1, 2, 3, 4, 4, 5, 5, 5))
        channel = dice.pick(("web", "web", trip.customer.shops, "social"))
        rating = {"scale": "stars", "score": stars}
        fields = {"product_id": trip.product().id}
        yield trip.click(
            trip.hours(1, 40), channel, "review_written", "review_posted", fields,
            rating=rating, sentiment=(stars - 3) / 2,
        )  # fmt: skip


def ask_for_recommendation(trip: Trip) -> Script:
    """Ask a customer how likely they are to recommend us, some weeks after a purchase."""
    yield trip.page(trip.today("web"), "company_website", "home")
    yield from survey(trip, "nps", {})


def collect_points(trip: Trip) -> Script:
    """Look after one's points, redeem some."""
    dice = trip.dice
    channel = trip.customer.shops
    if not trip.customer.card:
        trip.customer.card = True
        yield trip.page(trip.today(channel), "loyalty_programme", "loyalty", channel)
        yield trip.click(trip.seconds(20, 90), channel, "loyalty_programme", "loyalty_joined", {})
        details = {"template": "loyalty_card"}
        extra = {"direction": "outbound"}
        wait = trip.days(3, 6, "mail")
        yield Step(wait, "mail", "loyalty_programme", "letter_delivered", details, extra)
        return
    clicked = yield from trip.message(
        trip.today("office"), "loyalty_programme", "loyalty_statement", 0.5, 0.3
    )
    if clicked or dice.chance(0.3):
        yield trip.page(trip.minutes(1, 200), "loyalty_programme", "loyalty", channel)
    if dice.chance(0.3):
        yield trip.click(trip.seconds(20, 90), channel, "loyalty_programme", "points_redeemed", {})


def recommend(trip: Trip) -> Script:
    """Tell a friend."""
    dice = trip.dice
    if dice.chance(0.5):
        yield from trip.message(
            trip.today("office"), "referral", "referral_invitation", campaign=dice.pick(CAMPAIGNS)
        )
    channel = dice.pick(("web", "app", "social", "messaging", "messaging"))
    wait = trip.days(0, 2, "web")
    yield trip.click(wait, channel, "referral", "referral_shared", {}, need="recommend")
    if dice.chance(0.1):
        yield trip.store(trip.days(0, 5, "store"), "store_visit", "visit", {"visit_reason": "buy"})
        yield trip.store(trip.minutes(3, 20), "referral", "referral_named")
