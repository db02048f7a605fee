"""Stories of what was sent: in time, late, wrong, returned; and of the invoice for it."""

from __future__ import annotations

from pipeline.simulator.hours import DAY
from pipeline.simulator.stories.shopping import bought
from pipeline.simulator.trip import Fields, Script, Step, Trip


def _ordered(trip: Trip, cases: dict[str, str]) -> Script:
    channel = trip.dice.pick(("web", "app", "phone"))
    yield bought(trip, trip.today("phone"), channel, trip.product(), cases["order_id"])


def _shipped(trip: Trip, cases: dict[str, str]) -> Step:
    """Return the confirmation that it is under way, to arrive within three days."""
    details: Fields = {"message_id": trip.number("M"), "template": "shipping_confirmation"}
    channel = trip.dice.pick(("email", "messaging"))
    action = "email_delivered" if channel == "email" else "message_delivered"
    extra: Fields = {"case_ids": cases, "direction": "outbound"}
    wait = trip.days(0, 1, "office")
    return Step(wait, channel, "shipping_confirmation", action, details, extra, 3 * DAY)


def _parcel(wait: int, action: str, cases: dict[str, str], **details: bool) -> Step:
    return Step(wait, "mail", "parcel", action, dict(details), {"case_ids": cases})


def delivered_late(trip: Trip) -> Script:
    """Get a parcel days after it was promised; some never."""
    cases = {"order_id": trip.number("O")}
    yield from _ordered(trip, cases)
    yield _shipped(trip, cases).causes("delivery_late")
    if trip.dice.chance(0.7):
        parcel = _parcel(trip.days(4, 8, "mail"), "parcel_delivered", cases)
        yield parcel.spares("delivered, but after it was due", "delivery_on_time")


def delivered_on_time(trip: Trip) -> Script:
    """Get a parcel when it was promised, at a second attempt or in a store."""
    cases = {"order_id": trip.number("O")}
    yield from _ordered(trip, cases)
    yield _shipped(trip, cases).spares("arrived within the three days", "delivery_late")
    if trip.dice.chance(0.5):
        wait = trip.hours(20, 40)
        yield trip.store(wait, "parcel", "order_collected", case_ids=cases).causes(
            "delivery_on_time"
        )
    else:
        yield _parcel(trip.hours(20, 40), "parcel_delivered", cases).causes("delivery_on_time")


def order_cancelled(trip: Trip) -> Script:
    """Cancel an order under way, in time or when it is late already."""
    cases = {"order_id": trip.number("O")}
    yield from _ordered(trip, cases)
    late = trip.dice.chance(0.5)
    shipped = _shipped(trip, cases)
    if late:
        yield shipped.causes("delivery_late")
    else:
        yield shipped.spares("cancelled before it was due", "delivery_late")
    wait = trip.days(4, 6, "web") if late else trip.days(0, 1, "web")
    yield trip.click(wait, "web", "cancellation", "order_cancelled", {}, case_ids=cases)


def delivered_wrong(trip: Trip) -> Script:
    """Get a parcel damaged, or not when it was tried."""
    cases = {"order_id": trip.number("O")}
    yield from _ordered(trip, cases)
    yield _shipped(trip, cases)
    if trip.dice.chance(0.5):
        tried = _parcel(trip.days(1, 2, "mail"), "parcel_failed", cases)
        yield tried.causes("delivery_failed_or_wrong")
        yield _parcel(trip.days(1, 2, "mail"), "parcel_delivered", cases)
    else:
        parcel = _parcel(trip.days(1, 2, "mail"), "parcel_delivered", cases, damaged=True)
        yield parcel.causes("delivery_failed_or_wrong")


def delivered_whole(trip: Trip) -> Script:
    """Get a parcel that was looked at: not damaged."""
    cases = {"order_id": trip.number("O")}
    yield from _ordered(trip, cases)
    yield _shipped(trip, cases)
    why = "delivered, looked at, not damaged"
    parcel = _parcel(trip.days(1, 2, "mail"), "parcel_delivered", cases, damaged=False)
    yield parcel.spares(why, "delivery_failed_or_wrong", "delivery_returned")


def parcel_came_back(trip: Trip) -> Script:
    """Never get a parcel: it is returned to the sender."""
    cases = {"order_id": trip.number("O")}
    yield from _ordered(trip, cases)
    yield _parcel(trip.days(1, 2, "mail"), "parcel_failed", cases)
    back = _parcel(trip.days(5, 8, "mail"), "parcel_returned", cases)
    yield back.causes("delivery_returned")


def _invoice(trip: Trip, cases: dict[str, str]) -> Step:
    details: Fields = {"message_id": trip.number("M"), "template": "invoice"}
    extra: Fields = {"case_ids": cases, "direction": "outbound"}
    return Step(trip.today("office"), "email", "invoice", "email_delivered", details, extra)


def invoice_wrong(trip: Trip) -> Script:
    """Dispute an invoice."""
    cases = {"order_id": trip.number("O")}
    yield from _ordered(trip, cases)
    yield _invoice(trip, cases)
    disputed = trip.click(
        trip.hours(2, 40), "web", "invoice", "invoice_disputed", {"template": "invoice"},
        case_ids=cases,
    )  # fmt: skip
    yield disputed.causes("invoice_disputed")


def invoice_asked_about(trip: Trip) -> Script:
    """Look an invoice up and ask about it, without disputing it."""
    cases = {"order_id": trip.number("O")}
    yield from _ordered(trip, cases)
    yield _invoice(trip, cases)
    yield trip.click(
        trip.hours(2, 9), "web", "invoice", "invoice_downloaded", {}, case_ids=cases
    ).spares("downloaded, not disputed", "invoice_disputed")
