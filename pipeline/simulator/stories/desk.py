"""Stories of the service desk: tickets, complaints, refunds, cancellations."""

from __future__ import annotations

from pipeline.simulator.hours import DAY, HOUR
from pipeline.simulator.trip import Fields, Script, Step, Trip


def _ticket(trip: Trip, action: str, wait: int, ticket: str, channel: str = "web") -> Step:
    extra: Fields = {"case_ids": {"ticket_id": ticket}}
    if action in ("ticket_opened", "ticket_reopened"):
        extra.update(need="get_help", direction="inbound")
    else:
        extra["direction"] = "outbound"
    return Step(wait, channel, "help_desk_ticket", action, {"topic": "help"}, extra)


def ticket_left_open(trip: Trip) -> Script:
    """Open a ticket by email that is worked on, and not solved for days."""
    ticket = trip.number("T")
    opened = _ticket(trip, "ticket_opened", trip.today("office"), ticket, "email")
    yield opened.causes("ticket_open_for_days", "message_unanswered")
    yield _ticket(trip, "ticket_updated", trip.days(1, 2, "office"), ticket, "email")
    yield _ticket(trip, "ticket_solved", trip.days(9, 12, "office"), ticket, "email")


def ticket_solved_by_phone(trip: Trip) -> Script:
    """Open a ticket that is solved within days, on another channel, and stays solved."""
    ticket = trip.number("T")
    opened = _ticket(trip, "ticket_opened", trip.today("office"), ticket)
    why = "solved by phone the next working day"
    yield opened.spares(why, "ticket_open_for_days", "message_unanswered")
    yield _ticket(trip, "ticket_solved", trip.days(1, 1, "office"), ticket, "phone")
    yield _ticket(trip, "ticket_closed", trip.days(1, 2, "office"), ticket).spares(
        "closed, and not opened again", "ticket_reopened"
    )


def ticket_reopened(trip: Trip) -> Script:
    """Have a ticket solved that is not."""
    ticket = trip.number("T")
    yield _ticket(trip, "ticket_opened", trip.today("office"), ticket)
    yield _ticket(trip, "ticket_solved", trip.hours(1, 20), ticket)
    again = _ticket(trip, "ticket_reopened", trip.hours(1, 40), ticket)
    yield again.causes("ticket_reopened")
    if trip.dice.chance(0.6):
        yield _ticket(trip, "ticket_solved", trip.days(1, 2, "office"), ticket)


def _complaint(trip: Trip, case: dict[str, str], wait: int, channel: str) -> Step:
    action, details = _WRITTEN[channel]
    extra: Fields = {"case_ids": case, "need": "complain", "direction": "inbound"}
    return Step(wait, channel, "complaint", action, dict(details), extra, 5 * DAY)


#: How a complaint is made, by channel.
_WRITTEN: dict[str, tuple[str, Fields]] = {
    "mail": ("letter_received", {"template": "complaint"}),
    "web": ("form_submitted", {"form_id": "complaint"}),
    "email": ("email_received", {"topic": "complaint"}),
    "messaging": ("message_received", {"topic": "complaint"}),
    "store": ("complaint_made", {}),
}


def _answered(wait: int, case: dict[str, str], channel: str) -> Step:
    action, details = _ANSWERS[channel]
    extra: Fields = {"case_ids": case, "direction": "outbound"}
    return Step(wait, channel, "complaint_answer", action, dict(details), extra)


_ANSWERS: dict[str, tuple[str, Fields]] = {
    "phone": ("call_ended", {"topic": "complaint_answer", "outcome": "resolved"}),
    "mail": ("letter_delivered", {"template": "complaint_answer"}),
    "email": ("email_delivered", {"template": "complaint_answer"}),
    "store": ("complaint_resolved", {}),
    "social": ("complaint_answered", {}),
}


def complaint_ignored(trip: Trip) -> Script:
    """Complain, and be answered too late or never; that it was received is no answer."""
    case = {"complaint_id": trip.number("X")}
    channel = trip.dice.pick(tuple(_WRITTEN))
    yield _complaint(trip, case, trip.today("office"), channel).causes("complaint_unanswered")
    yield from trip.message(
        trip.minutes(1, 90), "complaint_answer", "complaint_received", case_ids=case
    )
    if trip.dice.chance(0.5):
        answer = trip.dice.pick(tuple(_ANSWERS))
        yield _answered(trip.days(6, 9, "office"), case, answer)


def complaint_settled(trip: Trip) -> Script:
    """Complain by letter and be called in time."""
    case = {"complaint_id": trip.number("X")}
    made = _complaint(trip, case, trip.today("office"), "mail")
    yield made.spares("answered by phone within the five days", "complaint_unanswered")
    yield _answered(trip.days(1, 3, "office"), case, "phone")


def complaint_repeated(trip: Trip) -> Script:
    """Complain, be answered, and complain again on another channel."""
    case = {"complaint_id": trip.number("X")}
    yield _complaint(trip, case, trip.today("office"), "email")
    yield _answered(trip.days(1, 3, "office"), case, "email")
    again = _complaint(trip, case, trip.days(1, 4, "office"), trip.dice.pick(("store", "web")))
    yield again.causes("complaint_repeated")
    if trip.dice.chance(0.6):
        yield _answered(trip.days(1, 3, "office"), case, "phone")


def complaint_pressed(trip: Trip) -> Script:
    """Complain twice before an answer comes: impatient, but no answer was complained about."""
    case = {"complaint_id": trip.number("X")}
    yield _complaint(trip, case, trip.today("office"), "web")
    again = _complaint(trip, case, trip.hours(3, 40), "messaging")
    yield again.spares("complained twice, but before the answer", "complaint_repeated")
    yield _answered(trip.days(1, 2, "office"), case, "store")


def _return(trip: Trip, case: dict[str, str]) -> Step:
    asked = trip.click(
        trip.today("web"), "web", "product_return", "return_requested", {}, case_ids=case,
        need="get_refund",
    )  # fmt: skip
    return asked._replace(promise=14 * DAY)


def _refund(trip: Trip, wait: int, case: dict[str, str]) -> Step:
    extra: Fields = {"case_ids": case, "amount": trip.product().cents / 100, "currency": "EUR"}
    return Step(wait, "bank", "refund", "refund_paid", {}, extra)


def _sent_back(trip: Trip, action: str, case: dict[str, str]) -> Step:
    wait = trip.days(1, 3, "mail")
    return Step(wait, "mail", "product_return", action, {}, {"case_ids": case})


def refund_overdue(trip: Trip) -> Script:
    """Return something and get the money after the fourteen days, or never."""
    case = {"return_id": trip.number("RET")}
    yield _return(trip, case)
    yield _sent_back(trip, "return_sent", case)
    yield _sent_back(trip, "return_received", case).causes("refund_not_completed")
    if trip.dice.chance(0.5):
        yield _refund(trip, trip.days(15, 18, "bank"), case)


def refund_in_time(trip: Trip) -> Script:
    """Return something and get the money after a while, but within the fourteen days."""
    case = {"return_id": trip.number("RET")}
    yield _return(trip, case)
    yield _sent_back(trip, "return_sent", case)
    back = _sent_back(trip, "return_received", case)
    yield back.spares("paid within the fourteen days", "refund_not_completed")
    yield _refund(trip, trip.days(8, 11, "bank"), case)


def refund_in_advance(trip: Trip) -> Script:
    """Hand something in at a kiosk and get the money before the goods are back."""
    case = {"return_id": trip.number("RET")}
    extra: Fields = {"case_ids": case}
    wait = trip.today("kiosk")
    yield Step(wait, "kiosk", "product_return", "return_dropped_off", {}, extra)
    yield _refund(trip, trip.days(0, 1, "bank"), case)
    back = _sent_back(trip, "return_received", case)
    yield back.spares("paid before the goods were back", "refund_not_completed")


def return_refused(trip: Trip) -> Script:
    """Send back what cannot be taken back."""
    case = {"return_id": trip.number("RET")}
    back = _sent_back(trip, "return_received", case)
    yield back.spares("the return was refused", "refund_not_completed")
    yield trip.store(trip.days(1, 3, "store"), "product_return", "return_refused", case_ids=case)


def _cancellation(trip: Trip, case: dict[str, str]) -> Step:
    channel = trip.dice.pick(("web", "app"))
    asked = trip.click(
        trip.today("office"), channel, "cancellation", "cancellation_requested", {},
        case_ids=case, need="cancel_or_suspend",
    )  # fmt: skip
    return asked._replace(promise=24 * HOUR)


def cancellation_ignored(trip: Trip) -> Script:
    """Cancel a plan and hear nothing, for many days or for ever."""
    case = {"contract_id": trip.number("K")}
    yield _cancellation(trip, case).causes("cancellation_not_completed")
    if trip.dice.chance(0.5):
        yield from trip.message(
            trip.days(9, 12, "office"), "cancellation", "cancellation_confirmation", case_ids=case
        )


def cancellation_regretted(trip: Trip) -> Script:
    """Cancel, hear nothing, and stay: in time or when the pain was there already."""
    case = {"contract_id": trip.number("K")}
    asked = _cancellation(trip, case)
    late = trip.dice.chance(0.5)
    if late:
        yield asked.causes("cancellation_not_completed")
    else:
        yield asked.spares("withdrawn within days", "cancellation_not_completed")
    wait = trip.days(6, 8, "phone") if late else trip.days(1, 2, "phone")
    extra: Fields = {"case_ids": case, "direction": "inbound"}
    yield Step(wait, "phone", "cancellation", "cancellation_withdrawn", {}, extra)


def cancellation_confirmed(trip: Trip) -> Script:
    """Cancel a plan and get it confirmed within hours."""
    case = {"contract_id": trip.number("K")}
    yield _cancellation(trip, case).spares("confirmed in hours", "cancellation_not_completed")
    extra: Fields = {"case_ids": case, "direction": "outbound"}
    details: Fields = {
        "message_id": trip.number("M"), "template": "cancellation_confirmation"
    }  # fmt: skip
    yield Step(trip.hours(1, 12), "email", "cancellation", "email_delivered", details, extra)
