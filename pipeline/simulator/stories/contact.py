"""Stories of customers who write or call: answered or not, early or late, once or again."""

from __future__ import annotations

from pipeline.simulator.contact import talk
from pipeline.simulator.hours import HOUR
from pipeline.simulator.trip import Fields, Script, Step, Trip


def _form(trip: Trip, case: dict[str, str]) -> Step:
    """Return the contact form, sent at a time at which somebody works; an answer in two days."""
    channel = trip.dice.pick(("web", "web", "app", "kiosk"))
    asked = trip.click(
        trip.today("office"), channel, "contact_form", "form_submitted", {"form_id": "contact"},
        case_ids=case, need="get_help", direction="inbound",
    )  # fmt: skip
    return asked._replace(promise=48 * HOUR)


def _call_back(trip: Trip, wait: int, case: dict[str, str]) -> Step:
    call_id = trip.number("CALL")
    return trip.call(
        wait, "contact_form", "contact_form", "resolved", call_id, "outbound", case_ids=case
    )


def form_never_answered(trip: Trip) -> Script:
    """Fill in the form and hear nothing but that it was received."""
    case = {"request_id": trip.number("Q")}
    yield _form(trip, case).causes("message_unanswered")
    yield from trip.message(
        trip.seconds(5, 60), "contact_form", "contact_form_received", case_ids=case
    )


def form_answered_late(trip: Trip) -> Script:
    """Fill in the form and be called back when the time promised is over."""
    case = {"request_id": trip.number("Q")}
    yield _form(trip, case).causes("message_unanswered")
    yield _call_back(trip, trip.days(3, 6, "office"), case)


def form_answered_by_phone(trip: Trip) -> Script:
    """Fill in the form and be called back the next day: in time, though not early."""
    case = {"request_id": trip.number("Q")}
    why = "answered by phone within the time promised"
    yield _form(trip, case).spares(why, "message_unanswered")
    called = _call_back(trip, trip.hours(25, 31), case)
    yield called.spares("in time, but after more than half of it", "answered_early")


def form_answered_early(trip: Trip) -> Script:
    """Fill in the form and be answered by a message within hours."""
    case = {"request_id": trip.number("Q")}
    why = "answered by a message within hours"
    yield _form(trip, case).spares(why, "message_unanswered")
    details: Fields = {"message_id": trip.number("M"), "template": "contact_form_answer"}
    extra: Fields = {"case_ids": case, "direction": "outbound"}
    answer = Step(
        trip.hours(1, 7), "messaging", "contact_form", "message_delivered", details, extra
    )
    yield answer.causes("answered_early")


def _menu(trip: Trip, wait: int, call_id: str, options: int) -> Script:
    extra: Fields = {"case_ids": {"call_id": call_id}, "direction": "inbound"}
    details: Fields = {"call_id": call_id}
    yield Step(wait, "phone", "phone_menu", "menu_entered", details, extra)
    for _ in range(options):
        details = {"call_id": call_id, "menu_path": "2-1"}
        yield Step(trip.seconds(5, 30), "phone", "phone_menu", "menu_option_chosen", details, extra)


def _queue(trip: Trip, call_id: str, action: str, queued: int) -> Step:
    extra: Fields = {"case_ids": {"call_id": call_id}, "direction": "inbound"}
    details: Fields = {"call_id": call_id, "queue": "service", "queue_seconds": queued}
    if action == "call_abandoned":
        details["outcome"] = "abandoned"
    return Step(queued * 1000, "phone", "phone_support", action, details, extra)


def lost_in_the_menu(trip: Trip) -> Script:
    """Press one key after the other and hang up."""
    call_id = trip.number("CALL")
    yield from _menu(trip, trip.today("phone"), call_id, trip.dice.between(4, 8))
    details: Fields = {"call_id": call_id, "outcome": "abandoned"}
    extra: Fields = {"case_ids": {"call_id": call_id}, "direction": "inbound"}
    gone = Step(trip.seconds(5, 30), "phone", "phone_menu", "menu_abandoned", details, extra)
    yield gone.causes("phone_menu_lost")


def gave_up_in_the_queue(trip: Trip) -> Script:
    """Wait in the queue and hang up."""
    call_id = trip.number("CALL")
    yield from _menu(trip, trip.today("phone"), call_id, 1)
    gone = _queue(trip, call_id, "call_abandoned", trip.dice.between(90, 500))
    yield gone.causes("call_abandoned").spares("gave up, and was not answered", "long_queue")


def misdialled(trip: Trip) -> Script:
    """Hang up after seconds."""
    call_id = trip.number("CALL")
    yield from _menu(trip, trip.today("phone"), call_id, 1)
    gone = _queue(trip, call_id, "call_abandoned", 9)
    yield gone.spares("hung up within ten seconds", "call_abandoned")


def waited_long(trip: Trip) -> Script:
    """Wait in the queue for ten minutes and more, and be helped."""
    call_id = trip.number("CALL")
    yield from _menu(trip, trip.today("phone"), call_id, 2)
    answered = _queue(trip, call_id, "call_answered", trip.dice.between(600, 1700))
    yield answered.causes("long_queue").spares("waited long, but was answered", "call_abandoned")
    yield talk(trip, "phone_support", None, call_id, need="get_help")


def nearly_waited_long(trip: Trip) -> Script:
    """Find the way through a long menu, and be answered a second before it was a long wait."""
    call_id = trip.number("CALL")
    *chosen, last = _menu(trip, trip.today("phone"), call_id, 7)
    yield from chosen
    yield last.spares("a long menu, but no way lost", "phone_menu_lost")
    answered = _queue(trip, call_id, "call_answered", 599)
    yield answered.spares("a second less than ten minutes", "long_queue")
    yield talk(trip, "phone_support", None, call_id, need="get_help")
