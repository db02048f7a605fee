"""What only a customer's moments together show: left after too much, won back, about to leave."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.simulator.hours import DAY
from pipeline.simulator.truth.notes import Found, Note, Notes, glory, mended, pain, where
from pipeline.simulator.truth.sent import subscribed


def unsubscribed_after_many(life: Notes, found: list[Found]) -> Iterator[Found]:
    """Yield who unsubscribed within two weeks of too many messages."""
    floods = [item.occurred_at for item in found if item.rule == "too_many_messages"]
    last = -1
    leaves = ("email_unsubscribed", "newsletter_unsubscribed")
    for note, later in where(life, lambda note: note.action in leaves):
        if any(last <= flood <= note.at <= flood + 14 * DAY for flood in floods):
            yield mended(pain("unsubscribed_after_many", note), later, 30 * DAY, subscribed)
        last = note.at


#: Pains that others than the customer mend.
_MENDABLE = frozenset(
    (
        *("message_unanswered", "question_unanswered", "phone_menu_lost", "call_abandoned"),
        *("repeated_need", "repeated_after_switch", "ticket_open_for_days", "ticket_reopened"),
        *("complaint_unanswered", "complaint_repeated", "delivery_late"),
        *("delivery_failed_or_wrong", "delivery_returned", "invoice_disputed"),
        *("cancellation_not_completed", "refund_not_completed", "important_message_bounced"),
    )
)


def _is_back(note: Note) -> bool:
    """Return whether the customer buys, praises, recommends or thanks."""
    if note.bought or note.touchpoint == "thanks":
        return True
    if note.touchpoint == "referral":
        return note.action in ("referral_shared", "referral_named")
    if note.touchpoint == "review_written":
        return note.score("stars", 4)
    scored = note.score("nps", 9) or note.score("csat", 5) or note.score("ces", 6)
    return note.action == "survey_answered" and scored


def recovered(life: Notes, found: list[Found]) -> Iterator[Found]:
    """Yield who is back within thirty days of a pain that was mended, with no new one since.

    What mends one pain can begin another, as a parcel that comes late and damaged: a new one. And
    what mends it is not yet what shows that the customer is back.
    """
    pains = [item for item in found if item.rule in _MENDABLE and item.status != "retracted"]
    begun = [item.occurred_at for item in pains]
    mended_at = [item.closed_at for item in pains if item.closed_at is not None]
    last = -1
    for note in life:
        if _is_back(note):
            first = max((at for at in mended_at if last <= at < note.at), default=None)
            if first is not None and note.at - first <= 30 * DAY:
                again = any(first <= at < note.at for at in begun)
                yield from () if again else (glory("recovered", note),)
            last = note.at


def three_strikes(found: list[Found], until: int) -> Iterator[Found]:
    """Yield when a third pain stood unresolved, until there are fewer than three again.

    A pain counts for ninety days. The cause is that of the pain that began then; of several that
    began at that instant the smallest.
    """
    turns: dict[int, tuple[list[Found], list[Found]]] = {}
    for item in found:
        if item.kind == "pain" and item.status != "retracted":
            end = item.occurred_at + 90 * DAY
            end = end if item.closed_at is None else min(end, item.closed_at)
            if end > item.occurred_at:
                if end < until:
                    turns.setdefault(end, ([], []))[0].append(item)
                turns.setdefault(item.occurred_at, ([], []))[1].append(item)
    standing = 0
    strike: Found | None = None
    for at, (ended, begun) in sorted(turns.items()):
        standing -= len(ended)
        if strike is not None and standing < 3:
            strike.status, strike.closed_at = "resolved", at
            strike.closed_by = max(item.closed_by if item.closed_at == at else "" for item in ended)
            yield strike
            strike = None
        standing += len(begun)
        if strike is None and standing >= 3:
            cause = min(item.cause for item in begun)
            strike = Found("three_strikes", "pain", cause, at)
    if strike is not None:
        yield strike
