"""What was promised, an answer, a delivery, the money back: what was broken, and what was early."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.simulator.hours import DAY, HOUR, Clock
from pipeline.simulator.truth.notes import (
    Found,
    Note,
    Notes,
    Test,
    after,
    apart,
    glory,
    mended,
    never,
    overdue,
)
from pipeline.simulator.truth.words import called_back, complaint_answered, in_hand, refunded


@dataclass
class _Promise:
    """Something promised.

    Attributes:
        made: What promised it.
        due: When it is due.
        kept: What kept it in time, if anything did.
        ended: Whether it was called off in time.
        later: What happened in the same case after it was due.
    """

    made: Note
    due: int
    kept: Note | None
    ended: bool
    later: Notes

    @classmethod
    def of(
        cls, case: Notes, made: Note, due: int, keeps: Test, ends: Test = never, before: int = 0
    ) -> _Promise:
        """Look at what became of a promise made in a case."""
        place = case.index(made)
        for note in case[:place]:
            if keeps(note) and made.at - note.at <= before:
                return cls(made, due, note, False, [])
        for note in case[place + 1 :]:
            if note.at > due:
                break
            if keeps(note):
                return cls(made, due, note, False, [])
            if ends(note):
                return cls(made, due, None, True, [])
        return cls(made, due, None, False, after(case, due))

    def broken(
        self, rule: str, wait: int, keeps: Test, clock: Clock, ends: Test = never
    ) -> Iterator[Found]:
        """Yield the pain of it, if it was broken by the end of the simulation."""
        if self.kept is None and not self.ended and self.due < clock.end:
            yield mended(overdue(rule, self.made, self.due), self.later, wait, keeps, ends)


def _due(made: Note, otherwise: int) -> int:
    return made.at + made.step.promise if made.step.promise else otherwise


# --- an answer --------------------------------------------------------------------------------


def _asked(note: Note) -> bool:
    if note.touchpoint == "help_desk_ticket" and note.action == "ticket_opened":
        return note.has("ticket_id") and not note.has("request_id")  # else it continues a form
    if note.touchpoint == "quote":
        return note.action == "quote_requested" and note.has("quote_id")
    forms = ("contact_form", "buying_question", "help_desk_ticket")
    return note.touchpoint in forms and note.action == "form_submitted" and note.has("request_id")


#: What answers, by touchpoint; that it was received is no answer.
_ANSWERS = {
    "help_desk_ticket": ("email_delivered", "email_sent", "ticket_answered", "ticket_solved"),
    "buying_question": ("email_sent", "advice_given"),
    "quote": ("email_delivered", "letter_delivered", "quote_given"),
    "letterhead": ("email_delivered", "letter_delivered"),
    "live_chat": ("message_sent", "chat_ended"),
    "store_help_visit": ("help_given",),
}


def _answers(note: Note) -> bool:
    if note.action in _ANSWERS.get(note.touchpoint, ()) or called_back(note):
        return True
    if note.touchpoint == "contact_form" and note.action in (
        "email_delivered",
        "message_delivered",
    ):
        return bool(note.detail("template") == "contact_form_answer")
    calls = note.channel == "phone" and note.action == "call_ended"
    return calls and note.direction == "inbound" and note.detail("outcome") == "resolved"


def _answer_off(note: Note) -> bool:
    if note.touchpoint == "help_desk_ticket":
        return note.action == "ticket_closed" and note.direction == "inbound"
    return note.touchpoint == "quote" and note.action == "quote_declined"


def answers(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield what was not answered in time, and what was in less than half of it.

    Promised with the question, else within two working days; clocks may differ by an hour.
    """
    for case in apart(life, lambda note: note.case("request_id", "ticket_id", "quote_id")):
        praised: set[str] = set()  # one answer to several questions is one glory
        for made in filter(_asked, case):
            due = _due(made, clock.office(made.at, 16 * HOUR))
            promise = _Promise.of(case, made, due, _answers, _answer_off, before=HOUR)
            yield from promise.broken("message_unanswered", 30 * DAY, _answers, clock, _answer_off)
            answer = promise.kept
            if answer is None or answer.event_id in praised:
                continue
            if 2 * (answer.at - made.at) <= due - made.at:
                praised.add(answer.event_id)
                yield glory("answered_early", answer, due)


# --- an answer to a complaint -----------------------------------------------------------------


def _complained(note: Note) -> bool:
    if note.touchpoint != "complaint":
        return False
    if note.action not in ("call_ended", "chat_ended"):
        return True
    # what the talk itself put right needs no answer, unless one was promised all the same
    return note.step.promise > 0 or note.detail("outcome") in (None, "unresolved", "transferred")


def _settles(note: Note) -> bool:
    if note.touchpoint == "help_desk_ticket":
        return note.action in ("ticket_answered", "ticket_solved")
    if note.touchpoint == "complaint_answer" and note.action == "call_ended":
        return note.detail("outcome") in ("resolved", "unresolved", None)
    return complaint_answered(note)


def complaint_answers(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield complaints not answered in time: as promised, else within five working days."""
    for case in apart(life, lambda note: note.case("complaint_id", "ticket_id", "request_id")):
        for made in filter(_complained, case):
            due = _due(made, clock.office(made.at, 40 * HOUR))
            promise = _Promise.of(case, made, due, _settles)
            yield from promise.broken("complaint_unanswered", 60 * DAY, _settles, clock)


# --- a delivery -------------------------------------------------------------------------------


def _under_way(note: Note) -> bool:
    if note.touchpoint == "order":
        return note.step.promise > 0 and note.has("order_id")
    sent = ("email_delivered", "message_delivered", "notification_delivered")
    return (
        note.touchpoint == "shipping_confirmation" and note.action in sent and note.has("order_id")
    )


def _order_off(note: Note) -> bool:
    return note.touchpoint == "cancellation" and note.action == "order_cancelled"


def deliveries(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield what arrived on time, and what did not: as promised, else five days after sending."""
    for case in apart(life, lambda note: note.case("order_id")):
        praised: set[str] = set()
        for made in filter(_under_way, case):
            promise = _Promise.of(case, made, _due(made, made.at + 5 * DAY), in_hand, _order_off)
            yield from promise.broken("delivery_late", 30 * DAY, in_hand, clock, _order_off)
            if promise.kept is not None and promise.kept.event_id not in praised:
                praised.add(promise.kept.event_id)
                yield glory("delivery_on_time", promise.kept, promise.due)


# --- the money back ---------------------------------------------------------------------------


def _goods_back(note: Note) -> bool:
    if note.touchpoint == "refund":
        return note.action == "refund_requested" and not note.has("return_id")
    back = ("return_received", "return_accepted")
    return note.touchpoint == "product_return" and note.action in back


def _return_refused(note: Note) -> bool:
    return note.touchpoint == "product_return" and note.action == "return_refused"


def refunds(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield refunds that took more than two weeks from when the goods were back.

    Paid before they were is paid as well.
    """
    for case in apart(life, lambda note: note.case("return_id", "order_id")):
        for made in filter(_goods_back, case):
            due = _due(made, made.at + 14 * DAY)
            promise = _Promise.of(case, made, due, refunded, _return_refused, before=14 * DAY)
            yield from promise.broken(
                "refund_not_completed", 60 * DAY, refunded, clock, _return_refused
            )


RULES = (answers, complaint_answers, deliveries, refunds)
