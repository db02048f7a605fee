"""Journeys that lead to a purchase, or nearly: browse, cart, checkout, payment, till."""

from __future__ import annotations

from collections.abc import Generator

from pipeline.simulator.aftercare import after_store, fulfil
from pipeline.simulator.company import NONE, Product
from pipeline.simulator.contact import ask, reach_agent
from pipeline.simulator.trip import Fields, Script, Step, Trip


def browse(trip: Trip, wait: int, channel: str) -> Generator[Step, None, Product]:
    """Look around in the shop, on the site, in the app or at a kiosk.

    Returns:
        The product looked at last, as the value of ``yield from``.
    """
    dice = trip.dice
    product = trip.product()
    if dice.chance(0.5):
        touchpoint = "company_website" if channel == "web" else "site_navigation"
        yield trip.page(wait, touchpoint, "home", channel)
        wait = trip.seconds(4, 60)
    if dice.chance(0.012):
        yield trip.click(wait, channel, NONE, "cookie_consent_given", {})
        wait = trip.seconds(2, 10)
    if dice.chance(0.5):
        yield trip.page(wait, "site_navigation", "category", channel)
        wait = trip.seconds(5, 90)
    if dice.chance(0.15):
        fields = {"filter": "price", "category": product.category}
        yield trip.click(wait, channel, "site_navigation", "filter_applied", fields)
        wait = trip.seconds(5, 60)
    if dice.chance(0.45):
        yield trip.click(wait, channel, "site_search", "search", {"search_terms": product.name})
        wait = trip.seconds(4, 40)
    for _ in range(dice.between(1, 3) if dice.chance(0.02) else 0):  # the site is broken
        fields = {"error_code": "http_503"}
        yield trip.click(wait, channel, "site_navigation", "error_shown", fields)
        wait = trip.seconds(3, 30)
    for _ in range(dice.between(0, 2)):
        yield trip.page(wait, "product_page", "product", channel, trip.product())
        wait = trip.seconds(15, 240)
    yield trip.page(wait, "product_page", "product", channel, product)
    if dice.chance(0.03):
        fields = {"product_id": product.id}
        wait = trip.seconds(2, 20)
        yield trip.click(wait, channel, "product_page", "out_of_stock_shown", fields)
    if dice.chance(0.3):
        yield trip.page(trip.seconds(10, 120), "review", "reviews", channel, product)
    return product


def fill_cart(trip: Trip, channel: str, product: Product) -> Script:
    """Put a product into the cart and look at it."""
    dice = trip.dice
    fields = {"product_id": product.id}
    yield trip.click(trip.seconds(5, 120), channel, "cart", "add_to_cart", fields)
    if dice.chance(0.15):
        yield trip.click(trip.seconds(10, 120), channel, "cart", "remove_from_cart", fields)
        yield trip.click(trip.seconds(10, 120), channel, "cart", "add_to_cart", fields)
    if dice.chance(0.5):
        yield trip.page(trip.seconds(3, 60), "cart", "cart", channel)


def check_out(trip: Trip, channel: str, product: Product) -> Generator[Step, None, str | None]:
    """Go through the checkout, pay and see the order confirmed.

    Returns:
        The order's number, or None if it was given up.
    """
    dice = trip.dice
    yield trip.click(trip.seconds(5, 60), channel, "checkout", "checkout_started", {})
    for _ in range(dice.between(1, 3) if dice.chance(0.06) else 0):
        fields = {"form_id": "checkout", "error_code": "postcode_invalid"}
        yield trip.click(trip.seconds(10, 60), channel, "checkout", "form_rejected", fields)
    if dice.chance(0.05):
        yield trip.click(trip.seconds(30, 300), channel, "checkout", "checkout_abandoned", {})
        return None
    if dice.chance(0.6):
        fields = {"step": "delivery"}
        yield trip.click(
            trip.seconds(20, 120), channel, "checkout", "checkout_step_completed", fields
        )
    order = trip.number("O")
    method = dice.pick(("card", "card", "wallet", "wallet", "bank_transfer"))
    extra: Fields = {
        "case_ids": {"order_id": order}, "amount": product.cents / 100, "currency": "EUR"
    }  # fmt: skip
    if method != "bank_transfer":
        yield from _pay(trip, channel, method, extra)
    fields = {"product_id": product.id, "payment_method": method}
    yield trip.click(trip.seconds(1, 5), channel, "order", "checkout_completed", fields, **extra)
    cases = {"case_ids": extra["case_ids"]}
    shown = "order_confirmation"
    yield trip.page(trip.seconds(1, 4), shown, shown, channel, **cases)
    if method == "bank_transfer":
        wait = trip.days(1, 3, "bank")
        yield Step(wait, "bank", "payment", "transfer_received", {}, extra)
    return order


def _pay(trip: Trip, channel: str, method: str, extra: Fields) -> Script:
    """Pay on the site; now and then it fails, once or again and again, before it works."""
    dice = trip.dice
    paid = {"payment_method": method}
    cases = {"case_ids": extra["case_ids"]}
    if dice.chance(0.3):
        yield trip.click(
            trip.seconds(5, 60), channel, "payment", "payment_started", dict(paid), **cases
        )
    for _ in range(dice.between(1, 4) if dice.chance(0.05) else 0):
        failed = {**paid, "error_code": "declined"}
        yield trip.click(
            trip.seconds(10, 90), channel, "payment", "payment_failed", failed, **cases
        )
    yield trip.click(trip.seconds(10, 90), channel, "payment", "payment_succeeded", paid, **extra)


def buy_online(trip: Trip) -> Script:
    """Browse and buy on the site or in the app, and get it delivered."""
    channel = trip.customer.shops
    product = yield from browse(trip, trip.today(channel), channel)
    yield from fill_cart(trip, channel, product)
    order = yield from check_out(trip, channel, product)
    if order is not None:
        yield from fulfil(trip, order, product)


def look_around(trip: Trip) -> Script:
    """Browse and leave."""
    channel = trip.customer.shops
    yield from browse(trip, trip.today(channel), channel)


def abandon_cart(trip: Trip) -> Script:
    """Fill a cart and leave; some come back when they are reminded."""
    channel = trip.customer.shops
    product = yield from browse(trip, trip.today(channel), channel)
    yield from fill_cart(trip, channel, product)
    if trip.dice.chance(0.5):
        yield trip.click(trip.seconds(5, 60), channel, "checkout", "checkout_started", {})
    yield trip.click(trip.minutes(30, 40), channel, "cart", "cart_abandoned", {})
    clicked = yield from trip.message(trip.hours(2, 20), "cart", "cart_reminder", click=0.25)
    if clicked:
        yield trip.page(trip.seconds(2, 10), "cart", "cart")
        order = yield from check_out(trip, "web", product)
        if order is not None:
            yield from fulfil(trip, order, product)


def ask_and_buy(trip: Trip) -> Script:
    """Ask customer service before buying."""
    channel = trip.customer.shops
    product = yield from browse(trip, trip.today(channel), channel)
    yield from ask(trip, product)
    if trip.dice.chance(0.5):
        yield trip.page(trip.minutes(5, 300), "product_page", "product", channel, product)
        yield from fill_cart(trip, channel, product)
        order = yield from check_out(trip, channel, product)
        if order is not None:
            yield from fulfil(trip, order, product)


def order_by_phone(trip: Trip) -> Script:
    """Call, ask, order and pay on the phone."""
    call_id = yield from reach_agent(trip, trip.today("phone"), "1-1")
    if call_id is None:
        return
    product = trip.product()
    order = trip.number("O")
    cases = {"call_id": call_id, "order_id": order}
    money = {"amount": product.cents / 100, "currency": "EUR"}
    details = {"call_id": call_id}
    if trip.dice.chance(0.2):
        named = {"call_id": call_id, "heard_from": trip.dice.pick(("friend", "family"))}
        yield Step(trip.seconds(10, 60), "phone", "word_of_mouth", "source_named", named, {})
    extra = {"case_ids": cases, **money}
    yield Step(trip.seconds(60, 400), "phone", "order", "order_placed", details, extra)
    yield Step(trip.seconds(10, 60), "phone", "payment", "payment_succeeded", details, extra)
    yield trip.call(
        trip.seconds(10, 60), "buying_question", "product_question", "resolved", call_id,
        case_ids={"order_id": order}, need="order",
    )  # fmt: skip
    yield from fulfil(trip, order, product)


def till(trip: Trip, product: Product) -> Script:
    """Pay at the till of a store and get a receipt."""
    dice = trip.dice
    receipt = trip.number("R")
    cases = {"order_id": trip.number("O")}
    money = {"amount": product.cents / 100, "currency": "EUR"}
    queued = dice.between(600, 1500) if dice.chance(0.03) else dice.between(0, 240)
    fields = {"product_id": product.id, "receipt_id": receipt, "wait_seconds": queued}
    extra = {"case_ids": cases, **money}
    yield trip.store(
        queued * 1000 + trip.seconds(20, 60), "point_of_sale", "purchase", fields, **extra
    )
    method = dice.pick(("cash", "card", "card", "card", "voucher"))
    paid = {"receipt_id": receipt, "payment_method": method}
    if method == "card" and dice.chance(0.04):
        yield trip.store(trip.seconds(5, 20), "payment", "payment_failed", paid, case_ids=cases)
    yield trip.store(trip.seconds(5, 40), "payment", "payment_succeeded", paid, **extra)
    if trip.customer.card and dice.chance(0.7):
        yield trip.store(
            trip.seconds(1, 10), "loyalty_programme", "loyalty_card_used", {"receipt_id": receipt}
        )
    if dice.chance(0.75):
        yield trip.store(
            trip.seconds(1, 10), "receipt", "receipt_issued", {"receipt_id": receipt},
            case_ids=cases,
        )  # fmt: skip
    else:
        yield from trip.message(trip.seconds(2, 30), "receipt", "receipt", case_ids=cases)


def shop_in_store(trip: Trip, wait: int, product: Product) -> Script:
    """Visit a store, perhaps be advised, perhaps try it, and mostly buy."""
    dice = trip.dice
    yield trip.store(wait, "store_visit", "visit", {"visit_reason": dice.pick(("browse", "buy"))})
    if dice.chance(0.02):
        yield trip.store(trip.seconds(5, 60), NONE, "wifi_connected")
    if dice.chance(0.1):
        named = {"heard_from": dice.pick(("friend", "family", "colleague"))}
        yield trip.store(trip.seconds(60, 300), "word_of_mouth", "source_named", named)
    shown = {"product_id": product.id, "wait_seconds": dice.between(0, 500)}
    if dice.chance(0.3):
        yield trip.store(trip.seconds(120, 500), "buying_question", "advice_given", shown)
    elif dice.chance(0.15):
        yield trip.store(trip.seconds(120, 500), "sales_talk", "sales_talk", shown)
    if dice.chance(0.12):
        tried = {"product_id": product.id}
        yield trip.store(trip.seconds(60, 300), "sample", "sample_tried", tried)
    if dice.chance(0.05):
        yield trip.store(trip.seconds(30, 200), "product_catalogue", "catalogue_taken")
    if dice.chance(0.7):
        yield from till(trip, product)
        yield from after_store(trip)


def buy_in_store(trip: Trip) -> Script:
    """Walk into a store."""
    yield from shop_in_store(trip, trip.today("store"), trip.product())


def research_then_store(trip: Trip) -> Script:
    """Research online, buy in a store some days later."""
    product = yield from browse(trip, trip.today("web"), "web")
    if trip.dice.chance(0.3):
        yield trip.page(trip.seconds(10, 60), "company_website", "store_finder")
    yield from shop_in_store(trip, trip.days(0, 4, "store"), product)


def order_at_kiosk(trip: Trip) -> Script:
    """Order at a kiosk in a store what is not on its shelves; collect it or get it sent."""
    dice = trip.dice
    yield trip.store(trip.today("kiosk"), "store_visit", "visit", {"visit_reason": "browse"})
    product = yield from browse(trip, trip.seconds(60, 600), "kiosk")
    if dice.chance(0.3):
        yield trip.click(
            trip.seconds(5, 40), "kiosk", "buying_question", "assistance_requested", {}
        )
    yield from fill_cart(trip, "kiosk", product)
    order = yield from check_out(trip, "kiosk", product)
    if order is None:
        return
    yield trip.click(
        trip.seconds(2, 9), "kiosk", "receipt", "receipt_issued", {}, case_ids={"order_id": order}
    )
    yield from fulfil(trip, order, product)
