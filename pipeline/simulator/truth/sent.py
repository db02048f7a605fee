"""Pain of what the company sends: too much, unwanted, or not arriving."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.simulator.hours import DAY, HOUR, Clock
from pipeline.simulator.truth.notes import Found, Note, Notes, apart, mended, pain, where
from pipeline.simulator.truth.waiting import in_vain

_UNASKED = frozenset(
    (
        *("newsletter", "cross_sell_email", "event", "sample", "product_catalogue"),
        *("loyalty_programme", "referral", "cart", "review_request", "nps_survey"),
        *("csat_survey", "ces_survey", "direct_mail"),
    )
)
_MANY, _WEEK = 6, 7 * DAY
#: How long it is looked at whether it is over.
_OPEN_FOR = 7 * DAY


def too_many_messages(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield the seventh message within a week that nobody asked for.

    It is over when fewer come, or a week after the last. Whether that is so is looked at for a
    week only: whoever gets more in the meantime stays annoyed.
    """
    messages = [note for note in life if note.touchpoint in _UNASKED and note.arrived]
    flood: Found | None = None
    for place, note in enumerate(messages):
        week = [other for other in messages[: place + 1] if note.at - other.at < _WEEK]
        if flood is None and len(week) > _MANY:
            flood = pain("too_many_messages", note)
        elif flood is not None and len(week) <= _MANY:
            yield _over(flood, messages[place - 1].at + _WEEK, note)
            flood = None
    if flood is not None:
        calm = messages[-1].at + _WEEK
        yield _over(flood, calm, None) if calm < clock.end else flood


def _over(flood: Found, calm: int, fewer: Note | None) -> Found:
    """Say that it was over: with a message when there were fewer, or a week after the last."""
    at, by = calm, ""
    if fewer is not None and fewer.at < calm:
        at, by = fewer.at, fewer.event_id
    if at <= flood.occurred_at + _OPEN_FOR:
        flood.status, flood.closed_at, flood.closed_by = "resolved", at, by
    return flood


def spam_reported(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield messages that were reported."""
    for note, later in where(life, lambda note: note.action == "email_spam_reported"):
        yield mended(pain("spam_reported", note), later, 30 * DAY, subscribed)


def subscribed(note: Note) -> bool:
    """Return whether the customer wants the newsletter, again."""
    return note.action == "newsletter_subscribed"


_CASES = (
    *("complaint_id", "return_id", "request_id", "ticket_id", "quote_id", "contract_id"),
    "order_id",
)
_IMPORTANT = frozenset(
    (
        *("order_confirmation", "shipping_confirmation", "delivery_notice", "invoice", "payment"),
        *("contract", "quote", "sales_proposal", "contact_form", "help_desk_ticket"),
        *("complaint_answer", "product_return", "refund", "cancellation", "suspension"),
    )
)


def important_message_bounced(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield what mattered, came back, and was not followed by anything that arrived in hours."""
    for case in apart(life, lambda note: note.case(*_CASES)):
        important = [note for note in case if note.touchpoint in _IMPORTANT]
        yield from in_vain(
            "important_message_bounced", important,
            lambda note: note.action in ("email_bounced", "letter_returned"),
            lambda note: note.arrived, lambda at: at + 4 * HOUR, clock.end, 14 * DAY,
        )  # fmt: skip


RULES = (too_many_messages, spam_reported, important_message_bounced)
