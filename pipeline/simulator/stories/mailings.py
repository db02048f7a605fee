"""Stories of what the company sends: too much of it, unwanted, or not arriving."""

from __future__ import annotations

from pipeline.simulator.trip import Fields, Script, Step, Trip

_TEMPLATES = {
    "newsletter": "newsletter",
    "cross_sell": "cross_sell_email",
    "event_invitation": "event",
    "loyalty_statement": "loyalty_programme",
    "order_confirmation": "order_confirmation",
    "delivery_notice": "delivery_notice",
    "invoice": "invoice",
    "thank_you": "thank_you_message",
    "receipt": "receipt",
    "shipping_confirmation": "shipping_confirmation",
}
_MARKETING = ("newsletter", "cross_sell", "newsletter", "event_invitation")
_TRANSACTIONAL = (
    "order_confirmation",
    "invoice",
    "shipping_confirmation",
    "delivery_notice",
    "receipt",
)


def _sent(trip: Trip, wait: int, template: str, action: str = "email_delivered") -> Step:
    details: Fields = {"message_id": trip.number("M"), "template": template}
    if action == "email_bounced":
        details["bounce_type"] = "hard"
    extra: Fields = {"direction": "outbound"} if action in _OURS else {}
    return Step(wait, "email", _TEMPLATES[template], action, details, extra)


_OURS = ("email_delivered", "email_bounced")


def flooded(trip: Trip) -> Script:
    """Get more and more marketing messages; some unsubscribe."""
    *sent, last = (_sent(trip, trip.hours(3, 12), _MARKETING[index % 4]) for index in range(7))
    yield from sent
    yield last.causes("too_many_messages")
    gone = _sent(trip, trip.hours(1, 9), "newsletter", "email_unsubscribed")
    yield gone.causes("unsubscribed_after_many")


def kept_informed(trip: Trip) -> Script:
    """Get as many messages, about an order."""
    *sent, last = (_sent(trip, trip.hours(3, 12), _TRANSACTIONAL[i % 5]) for i in range(7))
    yield from sent
    yield last.spares("as many, but about an order", "too_many_messages")


def just_not_interested(trip: Trip) -> Script:
    """Get a newsletter and unsubscribe."""
    yield _sent(trip, trip.today("office"), "newsletter")
    gone = _sent(trip, trip.hours(1, 9), "newsletter", "email_unsubscribed")
    yield gone.spares("unsubscribed, but got few", "unsubscribed_after_many", "spam_reported")


def reported(trip: Trip) -> Script:
    """Report a newsletter as spam."""
    yield _sent(trip, trip.today("office"), "newsletter")
    spam = _sent(trip, trip.hours(1, 9), "newsletter", "email_spam_reported")
    yield spam.causes("spam_reported")


def _bounced(trip: Trip, order: str) -> Step:
    template = trip.dice.pick(("order_confirmation", "shipping_confirmation", "invoice"))
    bounced = _sent(trip, trip.today("office"), template, "email_bounced")
    return bounced._replace(extra={**bounced.extra, "case_ids": {"order_id": order}})


def _again(trip: Trip, wait: int, order: str) -> Step:
    details: Fields = {"message_id": trip.number("M"), "template": "order_confirmation"}
    extra: Fields = {"case_ids": {"order_id": order}, "direction": "outbound"}
    return Step(wait, "messaging", "order_confirmation", "message_delivered", details, extra)


def confirmation_bounced(trip: Trip) -> Script:
    """Not get what matters, or only the next day."""
    order = trip.number("O")
    yield _bounced(trip, order).causes("important_message_bounced")
    if trip.dice.chance(0.5):
        yield _again(trip, trip.hours(5, 30), order)


def confirmation_sent_again(trip: Trip) -> Script:
    """Get what bounced in the afternoon, as a message."""
    order = trip.number("O")
    bounced = _bounced(trip, order)
    yield bounced.spares("arrived as a message within hours", "important_message_bounced")
    yield _again(trip, trip.hours(1, 4), order)


def newsletter_bounced(trip: Trip) -> Script:
    """Not get what hardly matters."""
    bounced = _sent(trip, trip.today("office"), "newsletter", "email_bounced")
    yield bounced.spares("bounced, but only a newsletter", "important_message_bounced")
