"""Pain and glory of asking for help: not heard, not helped, asked again, helped at once."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.simulator.hours import DAY, HOUR, Clock
from pipeline.simulator.truth.notes import (
    Found,
    Note,
    Notes,
    apart,
    full,
    glory,
    mended,
    never,
    pain,
    where,
)
from pipeline.simulator.truth.waiting import in_vain
from pipeline.simulator.truth.words import (
    called_back,
    complaint_answered,
    solved_by_call_back,
    solved_on_phone,
)

# --- not heard --------------------------------------------------------------------------------

_DESKS = frozenset(
    (
        *("help_desk_ticket", "buying_question", "contact_form", "live_chat", "sales_talk"),
        *("refund", "phone_support"),
    )
)


def _wrote(note: Note) -> bool:
    wrote = ("email_received", "message_received", "form_submitted", "voicemail_left")
    loose = not note.has("request_id") and not note.has("ticket_id")
    return note.touchpoint in _DESKS and note.action in wrote and loose


def _heard(note: Note) -> bool:
    replies = ("email_sent", "message_sent", "ticket_opened", "ticket_answered", "ticket_solved")
    if note.action in replies or called_back(note):
        return True
    if note.touchpoint == "contact_form" and note.action in (
        "email_delivered",
        "message_delivered",
    ):
        return bool(note.detail("template") == "contact_form_answer")
    if note.action == "email_delivered":
        return note.touchpoint in ("help_desk_ticket", "quote", "sales_proposal")
    if note.action in ("help_given", "advice_given", "chat_ended"):
        return note.channel in ("store", "chat")
    return note.direction == "inbound" and solved_on_phone(note)


def question_unanswered(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield questions without a case that nobody answered in two working days."""
    yield from in_vain(
        "question_unanswered", life, _wrote, _heard, lambda at: clock.office(at, 16 * HOUR),
        clock.end, 14 * DAY, anew=True,
    )  # fmt: skip


def _helped_after_all(note: Note) -> bool:
    if note.action == "ticket_solved" or solved_on_phone(note):
        return True
    if note.action in ("chat_ended", "help_given"):
        return bool(note.detail("outcome") == "resolved")
    return note.channel == "phone" and note.action == "call_back_made"


def phone(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield callers who got lost, gave up, or waited ten minutes and more."""
    for note, later in where(life, lambda note: note.touchpoint in ("phone_menu", "phone_support")):
        queued = note.detail("queue_seconds")
        if note.action == "menu_abandoned":
            yield mended(pain("phone_menu_lost", note), later, 7 * DAY, _helped_after_all)
        elif note.action == "call_abandoned" and (queued is None or queued >= 10):
            yield mended(pain("call_abandoned", note), later, 7 * DAY, _helped_after_all)
        elif note.action == "call_answered" and queued is not None and queued >= 600:
            yield mended(pain("long_queue", note), later, 14 * DAY, _eased)


def _eased(note: Note) -> bool:
    scored = note.action == "survey_answered"
    return scored and (note.score("csat", 4) or note.score("ces", 5))


# --- asked again ------------------------------------------------------------------------------


def _brought_up(note: Note) -> bool:
    """Return whether it is one contact about a need of service."""
    if note.need not in ("get_help", "complain", "cancel_or_suspend", "get_refund"):
        return False
    if note.action in ("call_ended", "chat_ended"):
        return note.direction == "inbound"
    if note.action == "email_received":
        return not note.has("ticket_id")
    if note.need not in ("get_help", "complain"):
        return False
    if note.action == "ticket_opened":
        return note.channel in ("web", "app")
    if note.action == "form_submitted":
        return note.touchpoint in ("contact_form", "complaint")
    if note.action in ("complaint_made", "complaint_posted", "letter_received"):
        return True
    at_desk = note.touchpoint == "store_help_visit" and note.action == "visit"
    return at_desk and note.need == "get_help"


def _taken_on(note: Note) -> bool:
    return note.action in ("ticket_solved", "complaint_resolved") or solved_by_call_back(note)


def repeated_need(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield the third time in two weeks that the same need is brought up."""
    for notes in apart(life, lambda note: note.need):
        for note in full(notes, _brought_up, 3, 14 * DAY):
            later = notes[notes.index(note) + 1 :]
            yield mended(pain("repeated_need", note), later, 14 * DAY, _taken_on)


_CASES = ("complaint_id", "request_id", "ticket_id", "return_id", "order_id")
_TOLD = frozenset(
    (
        *("form_submitted", "ticket_opened", "email_received", "message_received"),
        *("letter_received", "chat_ended", "call_ended", "complaint_made", "complaint_posted"),
        *("return_requested", "help_given"),
    )
)
_ASKS = frozenset(
    (
        *("call_transferred", "call_ended", "chat_transferred", "chat_ended"),
        *("email_sent", "message_sent", "advice_given", "help_given"),
    )
)


def _understood(note: Note) -> bool:
    if note.action in ("ticket_solved", "complaint_resolved", "complaint_answered", "refund_paid"):
        return True
    return solved_on_phone(note) and note.detail("asked_again") is None


def _cased(life: Notes) -> Notes:
    return [note for note in life if note.case(*_CASES)]


def repeated_after_switch(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield who had to tell again, on another channel, what the case already held."""
    for case in apart(_cased(life), lambda note: note.case(*_CASES)):
        told: Note | None = None
        for number, note in enumerate(case, 1):
            again = note.action in _ASKS and note.detail("asked_again") is True
            moved = told is not None and told.channel != note.channel
            if told is not None and again and moved and note.at - told.at <= 30 * DAY:
                found = pain("repeated_after_switch", note)
                yield mended(found, case[number:], 14 * DAY, _understood)
            if note.action in _TOLD:
                told = note


# --- not helped -------------------------------------------------------------------------------


def _opened(note: Note) -> bool:
    return note.action in ("ticket_opened", "ticket_reopened") and note.has("ticket_id")


def tickets(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield tickets that stayed open for three working days, or were opened again."""
    for ticket in apart(life, lambda note: note.case("ticket_id")):
        yield from in_vain(
            "ticket_open_for_days", ticket,
            _opened, lambda note: note.action in ("ticket_solved", "ticket_closed"),
            lambda at: clock.office(at, 24 * HOUR), clock.end, 30 * DAY,
        )  # fmt: skip
        for note, later in where(ticket, lambda note: note.action == "ticket_reopened"):
            found = pain("ticket_reopened", note)
            yield mended(found, later, 30 * DAY, lambda note: note.action == "ticket_solved")


def complaint_repeated(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield complaints after an answer, within thirty days, with none in between."""
    for case in apart(life, lambda note: note.case("complaint_id", "ticket_id", "request_id")):
        answer: Note | None = None
        for number, note in enumerate(case, 1):
            if note.touchpoint == "complaint":
                if answer is not None and note.at - answer.at <= 30 * DAY:
                    found = pain("complaint_repeated", note)
                    yield mended(found, case[number:], 60 * DAY, complaint_answered)
                answer = None
            elif complaint_answered(note):
                answer = note


def _leaves(note: Note) -> bool:
    if note.touchpoint not in ("cancellation", "suspension"):
        return False
    if note.action == "call_ended":
        return note.direction == "inbound"
    if note.touchpoint == "suspension":
        return note.action in ("suspension_requested", "email_received")
    return note.action in ("cancellation_requested", "email_received", "letter_received")


def _may_leave(note: Note) -> bool:
    confirms = (
        *("cancellation_confirmed", "suspension_confirmed"),
        *("email_delivered", "letter_delivered"),
    )
    return note.touchpoint in ("cancellation", "suspension") and note.action in confirms


def cancellation_not_completed(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield who cancelled or suspended, and had nothing that confirms it for five days."""
    yield from in_vain(
        "cancellation_not_completed", life, _leaves, _may_leave, lambda at: at + 5 * DAY,
        clock.end, 60 * DAY, drops=lambda note: note.action == "cancellation_withdrawn", anew=True,
    )  # fmt: skip


# --- helped -----------------------------------------------------------------------------------


def _solved_at_once(note: Note) -> bool:
    if note.detail("outcome") != "resolved":
        return False
    if note.touchpoint == "phone_support":
        inbound = note.action == "call_ended" and note.direction == "inbound"
        return inbound and not note.detail("transfers")
    return (note.touchpoint, note.action) in (
        ("live_chat", "chat_ended"),
        ("store_help_visit", "help_given"),
    )


def _came_back(note: Note) -> bool:
    if note.action in ("call_ended", "call_abandoned", "chat_ended"):
        return note.direction == "inbound"
    if note.action == "visit":
        return note.touchpoint == "store_help_visit"
    return note.action in (
        *("email_received", "message_received", "form_submitted"),
        *("ticket_opened", "ticket_reopened"),
    )


def first_contact_resolved(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield who was helped in one talk; not so if they come back with that need in a week."""
    for notes in apart(life, lambda note: note.need):
        for note, later in where(notes, _solved_at_once):
            found = glory("first_contact_resolved", note)
            yield mended(found, later, 7 * DAY, never, _came_back)


RULES = (
    *(question_unanswered, phone, repeated_need, repeated_after_switch, tickets),
    *(complaint_repeated, cancellation_not_completed, first_contact_resolved),
)
