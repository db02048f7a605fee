"""Stories of the way to a purchase: carts, checkouts, payments, forms, errors, queues, again."""

from __future__ import annotations

from pipeline.simulator.company import Product
from pipeline.simulator.hours import HOUR, MINUTE
from pipeline.simulator.trip import Fields, Script, Step, Trip


def _channel(trip: Trip) -> str:
    return trip.dice.pick(("web", "web", "app"))


def _fill(trip: Trip, wait: int, channel: str, product: Product) -> Step:
    return trip.click(wait, channel, "cart", "add_to_cart", {"product_id": product.id})


def _start(trip: Trip, wait: int, channel: str) -> Step:
    return trip.click(wait, channel, "checkout", "checkout_started", {})


def bought(trip: Trip, wait: int, channel: str, product: Product, order: str) -> Step:
    """Return a purchase, on the site, by phone or in a store."""
    money: Fields = {"amount": product.cents / 100, "currency": "EUR"}
    cases = {"order_id": order}
    if channel == "store":
        fields = {"product_id": product.id, "receipt_id": trip.number("R"), "wait_seconds": 60}
        return trip.store(wait, "point_of_sale", "purchase", fields, case_ids=cases, **money)
    if channel == "phone":
        extra = {"case_ids": cases, **money}
        return Step(wait, "phone", "order", "order_placed", {}, extra)
    fields = {"product_id": product.id}
    return trip.click(wait, channel, "order", "checkout_completed", fields, case_ids=cases, **money)


def cart_left(trip: Trip) -> Script:
    """Fill a cart in two goes and leave it."""
    channel, product = _channel(trip), trip.product()
    yield _fill(trip, trip.today(channel), channel, trip.product())
    yield _fill(trip, trip.minutes(1, 20), channel, product).causes("cart_abandoned")


def cart_taken_to_the_phone(trip: Trip) -> Script:
    """Fill a cart on the site and order by phone an hour later."""
    channel, product = _channel(trip), trip.product()
    filled = _fill(trip, trip.today("phone"), channel, product)
    yield filled.spares("ordered by phone an hour later", "cart_abandoned")
    yield bought(trip, trip.minutes(40, 70), "phone", product, trip.number("O"))


def cart_emptied(trip: Trip) -> Script:
    """Fill a cart and take it out again: in time, or when it was abandoned already."""
    channel, product = _channel(trip), trip.product()
    filled = _fill(trip, trip.today(channel), channel, product)
    late = trip.dice.chance(0.5)
    if late:
        yield filled.causes("cart_abandoned")
    else:
        yield filled.spares("taken out again", "cart_abandoned")
    wait = trip.hours(25, 40) if late else trip.minutes(5, 50)
    fields: Fields = {"product_id": product.id}
    yield trip.click(wait, channel, "cart", "remove_from_cart", fields)


def checkout_left(trip: Trip) -> Script:
    """Begin the checkout and leave."""
    channel, product = _channel(trip), trip.product()
    yield _fill(trip, trip.today(channel), channel, product)
    yield _start(trip, trip.seconds(5, 60), channel).causes("checkout_abandoned")


def checkout_interrupted(trip: Trip) -> Script:
    """Begin the checkout twice, be away in between, and complete it."""
    channel, product = _channel(trip), trip.product()
    yield _fill(trip, trip.today(channel), channel, product)
    why = "completed, after a break"
    yield _start(trip, trip.seconds(5, 60), channel).spares(why, "checkout_abandoned")
    yield _start(trip, trip.minutes(8, 12), channel)
    yield bought(trip, trip.minutes(5, 9), channel, product, trip.number("O"))


def buys(trip: Trip) -> Script:
    """Buy; whoever never did before has not come again."""
    channel = trip.dice.pick(("web", "phone", "store"))
    wait = trip.today("store" if channel == "store" else "phone")
    order = bought(trip, wait, channel, trip.product(), trip.number("O"))
    if not trip.customer.purchases:
        order = order.spares("the first purchase", "repeat_purchase")
    yield order


def buys_again(trip: Trip) -> Script:
    """Come again, on whatever channel."""
    channel = trip.dice.pick(("app", "phone", "store"))
    wait = trip.today("store" if channel == "store" else "phone")
    order = bought(trip, wait, channel, trip.product(), trip.number("O"))
    yield order.causes("repeat_purchase")


def _pays(trip: Trip, wait: int, channel: str, order: str, product: Product, ok: bool) -> Step:
    fields: Fields = {"payment_method": "card"}
    extra: Fields = {"case_ids": {"order_id": order}}
    if ok:
        extra.update(amount=product.cents / 100, currency="EUR")
    else:
        fields["error_code"] = "declined"
    action = "payment_succeeded" if ok else "payment_failed"
    return trip.click(wait, channel, "payment", action, fields, **extra)


def payment_fails(trip: Trip) -> Script:
    """Fail to pay three times in minutes; some succeed in the end."""
    channel, product, order = _channel(trip), trip.product(), trip.number("O")
    yield _start(trip, trip.today(channel), channel)
    yield _pays(trip, trip.seconds(20, 90), channel, order, product, ok=False)
    yield _pays(trip, trip.seconds(20, 200), channel, order, product, ok=False)
    third = _pays(trip, trip.seconds(20, 200), channel, order, product, ok=False)
    yield third.causes("payment_failing")
    if trip.dice.chance(0.6):
        yield _pays(trip, trip.seconds(30, 500), channel, order, product, ok=True)
        yield bought(trip, trip.seconds(1, 5), channel, product, order)


def payment_works_in_between(trip: Trip) -> Script:
    """Fail twice, pay, and fail twice at the next order within the hour."""
    channel, product, order = _channel(trip), trip.product(), trip.number("O")
    yield _start(trip, trip.today(channel), channel)
    for ok in (False, False, True):
        yield _pays(trip, trip.seconds(20, 90), channel, order, product, ok)
    yield bought(trip, trip.seconds(1, 5), channel, product, order)
    product, order = trip.product(), trip.number("O")
    yield _start(trip, trip.minutes(2, 9), channel)
    third = _pays(trip, trip.seconds(20, 90), channel, order, product, ok=False)
    yield third.spares("the third failure, but a payment worked in between", "payment_failing")
    yield _pays(trip, trip.seconds(20, 90), channel, order, product, ok=True)
    yield bought(trip, trip.seconds(1, 5), channel, product, order)


def payment_fails_slowly(trip: Trip) -> Script:
    """Fail to pay three times, over more than an hour."""
    channel, product, order = _channel(trip), trip.product(), trip.number("O")
    yield _start(trip, trip.today(channel), channel)
    yield _pays(trip, trip.seconds(20, 90), channel, order, product, ok=False)
    yield _pays(trip, trip.minutes(30, 40), channel, order, product, ok=False)
    third = _pays(trip, trip.minutes(31, 40), channel, order, product, ok=False)
    yield third.spares("the third failure, but over more than an hour", "payment_failing")
    yield _pays(trip, trip.seconds(30, 500), channel, order, product, ok=True)
    yield bought(trip, trip.seconds(1, 5), channel, product, order)


def _refused(trip: Trip, wait: int, channel: str, form: str, touchpoint: str) -> Step:
    fields: Fields = {"form_id": form, "error_code": "postcode_invalid"}
    return trip.click(wait, channel, touchpoint, "form_rejected", fields)


def form_refused(trip: Trip) -> Script:
    """Have the same form refused three times."""
    channel = _channel(trip)
    yield _refused(trip, trip.today(channel), channel, "contact", "contact_form")
    yield _refused(trip, trip.seconds(10, 90), channel, "contact", "contact_form")
    third = _refused(trip, trip.seconds(10, 90), channel, "contact", "contact_form")
    yield third.causes("form_rejected_repeatedly")


def forms_refused(trip: Trip) -> Script:
    """Have a step of the checkout refused twice, and another one once."""
    channel, product = _channel(trip), trip.product()
    yield _start(trip, trip.today(channel), channel)
    yield _refused(trip, trip.seconds(10, 90), channel, "checkout", "checkout")
    yield _refused(trip, trip.seconds(10, 90), channel, "checkout", "checkout")
    fields: Fields = {"step": "delivery"}
    yield trip.click(trip.seconds(20, 120), channel, "checkout", "checkout_step_completed", fields)
    third = _refused(trip, trip.minutes(1, 3), channel, "checkout", "checkout")
    why = "the third refusal, but a step worked in between"
    yield third.spares(why, "form_rejected_repeatedly")
    yield bought(trip, trip.minutes(2, 9), channel, product, trip.number("O"))


def _error(trip: Trip, wait: int, channel: str) -> Step:
    fields: Fields = {"error_code": "http_503"}
    return trip.click(wait, channel, "site_navigation", "error_shown", fields)


def site_breaks(trip: Trip) -> Script:
    """Be shown an error again and again."""
    channel = trip.dice.pick(("web", "app", "kiosk"))
    yield _error(trip, trip.today("kiosk"), channel)
    yield _error(trip, trip.seconds(5, 60), channel)
    yield _error(trip, trip.seconds(5, 60), channel).causes("site_error_repeated")


def site_breaks_now_and_then(trip: Trip) -> Script:
    """Be shown two errors, and a third when hours have passed."""
    channel = _channel(trip)
    yield _error(trip, trip.today("store"), channel)
    yield _error(trip, trip.seconds(5, 60), channel)
    third = _error(trip, 2 * HOUR, channel)
    yield third.spares("two errors, and a third hours later", "site_error_repeated")


def sold_out(trip: Trip) -> Script:
    """Look at a product that is out of stock."""
    channel, product = trip.dice.pick(("web", "app", "kiosk")), trip.product()
    fields: Fields = {"product_id": product.id}
    shown = trip.click(trip.today("kiosk"), channel, "product_page", "out_of_stock_shown", fields)
    yield shown.causes("out_of_stock")


def in_stock(trip: Trip) -> Script:
    """Look at a product that is there."""
    channel, product = trip.dice.pick(("web", "app", "kiosk")), trip.product()
    fields: Fields = {"product_id": product.id}
    seen = trip.click(trip.today("kiosk"), channel, "product_page", "product_viewed", fields)
    yield seen.spares("the product was there", "out_of_stock")


def waited_in_store(trip: Trip) -> Script:
    """Wait long to be helped in a store."""
    fields: Fields = {"visit_reason": "help", "wait_seconds": trip.dice.between(600, 2400)}
    visit = trip.store(trip.today("store"), "store_help_visit", "visit", fields)
    yield visit.causes("long_store_wait")


def nearly_waited_in_store(trip: Trip) -> Script:
    """Wait a second less than long."""
    fields: Fields = {"visit_reason": "help", "wait_seconds": 599}
    visit = trip.store(trip.today("store"), "store_help_visit", "visit", fields)
    yield visit.spares("a second less than ten minutes", "long_store_wait")
    yield trip.store(10 * MINUTE, "store_help_visit", "help_given", {"outcome": "resolved"})
