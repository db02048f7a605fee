"""What a note says, where several rules care: an answer, a call that helped, a complaint."""

from __future__ import annotations

from pipeline.simulator.truth.notes import Note

#: A call came to something, as opposed to a voice mailbox or a caller who gave up.
_TALKED = ("resolved", "unresolved", None)


def called_back(note: Note) -> bool:
    """Return whether the company called and talked to the customer."""
    calls = note.channel == "phone" and note.action in ("call_ended", "call_back_made")
    return calls and note.direction == "outbound" and note.detail("outcome") in _TALKED


def solved_by_call_back(note: Note) -> bool:
    """Return whether the company called, and it ended well."""
    ended = note.channel == "phone" and note.action == "call_ended"
    return ended and note.direction == "outbound" and note.detail("outcome") == "resolved"


def solved_on_phone(note: Note) -> bool:
    """Return whether a call ended well, whoever called."""
    ended = note.channel == "phone" and note.action == "call_ended"
    return ended and note.detail("outcome") == "resolved"


def complaint_answered(note: Note) -> bool:
    """Return whether it answers a complaint; that it was received is no answer."""
    if note.touchpoint != "complaint_answer":
        return False
    sent = ("email_delivered", "message_delivered", "letter_delivered")
    if note.action in sent:
        return bool(note.detail("template") == "complaint_answer")
    return note.action in ("complaint_answered", "complaint_resolved", "call_ended")


def in_hand(note: Note) -> bool:
    """Return whether the customer got a parcel, delivered or collected."""
    return note.touchpoint == "parcel" and note.action in ("parcel_delivered", "order_collected")


def refunded(note: Note) -> bool:
    """Return whether the money came back."""
    return note.touchpoint == "refund" and note.action == "refund_paid"


def paid(note: Note) -> bool:
    """Return whether a payment worked."""
    works = ("payment_succeeded", "transfer_received")
    return note.touchpoint == "payment" and note.action in works
