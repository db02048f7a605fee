"""Journeys into service and support: help, complaint, return, refund, cancellation, suspension."""

from __future__ import annotations

from pipeline.simulator.aftercare import survey
from pipeline.simulator.contact import chat, reach_agent, talk
from pipeline.simulator.hours import DAY, HOUR
from pipeline.simulator.trip import Fields, Script, Step, Trip


def _cases(trip: Trip, **more: str) -> dict[str, str]:
    order = trip.customer.last_order
    return {"order_id": order, **more} if order else dict(more)


def look_up(trip: Trip) -> Script:
    """Try to find the answer alone; one in three then asks."""
    dice = trip.dice
    channel = trip.customer.shops
    yield trip.page(trip.today(channel), "faq", "faq", channel)
    if dice.chance(0.4):
        fields: Fields = {"helpful": dice.chance(0.6)}
        yield trip.click(trip.seconds(20, 200), channel, "faq", "faq_rated", fields)
    if dice.chance(0.3):
        wait = trip.seconds(9, 90)
        yield trip.page(wait, "instruction_manual", "manual", product=trip.product())
        yield trip.click(trip.seconds(5, 40), "web", "instruction_manual", "manual_downloaded", {})
    if dice.chance(0.35):
        yield from HELP[trip.customer.contact](trip)


def phone_help(trip: Trip) -> Script:
    """Call for help; unresolved calls become a ticket."""
    dice = trip.dice
    if dice.chance(0.3):
        yield trip.page(trip.today("web"), "faq", "faq")
    call_id = yield from reach_agent(trip, trip.days(0, 1, "phone"), "2-1")
    if call_id is None:
        if dice.chance(0.5):  # once more, later
            call_id = yield from reach_agent(trip, trip.days(0, 1, "phone"), "2-1")
        if call_id is None:
            return
    step = talk(trip, "phone_support", None, call_id, case_ids=_cases(trip), need="get_help")
    yield step
    if step.details["outcome"] == "unresolved":
        yield from _ticket(trip, trip.seconds(30, 200), "phone", _cases(trip, call_id=call_id))
    if dice.chance(0.4):
        yield from survey(trip, "ces", {"call_id": call_id})


def _ticket(trip: Trip, wait: int, channel: str, cases: dict[str, str]) -> Script:
    """Open a ticket and have it solved within a promised day, or late, or twice."""
    dice = trip.dice
    extra: Fields = {"case_ids": {**cases, "ticket_id": trip.number("T")}}
    told: Fields = {**extra, "need": "get_help", "direction": "inbound"}
    details: Fields = {"topic": "help"}
    yield Step(wait, channel, "help_desk_ticket", "ticket_opened", details, told, 24 * HOUR)
    late = dice.chance(0.15)
    wait = trip.days(2, 6, "office") if late else trip.hours(1, 20)
    yield from trip.message(wait, "help_desk_ticket", "ticket_update", 0.7, 0.2, **extra)
    yield Step(trip.minutes(5, 200), channel, "help_desk_ticket", "ticket_solved", details, extra)
    if dice.chance(0.12):
        wait = trip.days(1, 3, "web")
        yield Step(wait, channel, "help_desk_ticket", "ticket_reopened", details, extra)
        wait = trip.days(1, 4, "office")
        yield Step(wait, channel, "help_desk_ticket", "ticket_solved", details, extra)


def ticket_help(trip: Trip) -> Script:
    """Write to the help desk."""
    dice = trip.dice
    channel = "email" if trip.customer.contact == "email" else "web"
    if channel == "email":
        details: Fields = {"message_id": trip.number("M")}
        extra: Fields = {"case_ids": _cases(trip), "direction": "inbound", "need": "get_help"}
        wait = trip.today("email")
        yield Step(wait, "email", "help_desk_ticket", "email_received", details, extra)
        yield from _ticket(trip, trip.seconds(1, 60), channel, _cases(trip))
    else:
        yield from _ticket(trip, trip.today("web"), channel, _cases(trip))
    if dice.chance(0.5):
        yield trip.page(trip.hours(1, 20), "help_desk_ticket", "ticket")
    if dice.chance(0.3):
        yield from survey(trip, "ces", {})


def chat_help(trip: Trip) -> Script:
    """Chat for help."""
    yield from chat(trip, trip.today("chat"), "live_chat", "help", need="get_help")
    if trip.dice.chance(0.2):
        yield from survey(trip, "ces", {})


def message_help(trip: Trip) -> Script:
    """Send a message to the company."""
    details: Fields = {"topic": "help"}
    asked: Fields = {"direction": "inbound", "need": "get_help"}
    answered: Fields = {"direction": "outbound"}
    yield Step(trip.today("chat"), "messaging", "live_chat", "message_received", details, asked)
    for _ in range(trip.dice.between(1, 2)):
        wait = trip.minutes(3, 200)
        yield Step(wait, "messaging", "live_chat", "message_sent", details, answered)


def store_help(trip: Trip) -> Script:
    """Take it to a store."""
    dice = trip.dice
    waited = dice.between(900, 2400) if dice.chance(0.1) else dice.between(0, 400)
    reason = dice.pick(("help", "help", "repair"))
    fields: Fields = {"visit_reason": reason, "wait_seconds": waited}
    cases = _cases(trip)
    yield trip.store(trip.today("store"), "store_help_visit", "visit", fields, case_ids=cases)
    action = "repair_accepted" if reason == "repair" else "help_given"
    solved = {"outcome": dice.pick(("resolved", "resolved", "unresolved"))}
    yield trip.store(
        waited * 1000 + trip.minutes(3, 20), "store_help_visit", action, solved, case_ids=cases
    )


#: Help by the channel that a customer prefers.
HELP = {
    "phone": phone_help,
    "email": ticket_help,
    "web": ticket_help,
    "chat": chat_help,
    "messaging": message_help,
    "store": store_help,
}


def _make_complaint(trip: Trip, cases: dict[str, str]) -> Script:
    """Complain once, on the channel the customer prefers or by letter or in public."""
    dice = trip.dice
    extra: Fields = {"case_ids": cases, "need": "complain", "direction": "inbound"}
    extra["sentiment"] = -dice.between(2, 10) / 10
    preferred = dice.pick(("mail", "social", *(trip.customer.contact,) * 8))
    if preferred == "phone":
        call_id = yield from reach_agent(trip, trip.days(0, 1, "phone"), "3")
        if call_id is not None:
            extra["case_ids"] = {**cases, "call_id": call_id}
            step = talk(trip, "complaint", "complaint", call_id)
            yield step._replace(extra={**step.extra, **extra}, promise=5 * DAY)
            return
        preferred = "email"
    if preferred == "chat":
        yield from chat(trip, trip.days(0, 1, "chat"), "complaint", "complaint", **extra)
        return
    if preferred == "store":
        wait = trip.days(0, 2, "store")
        yield trip.store(wait, "store_help_visit", "visit", {"visit_reason": "complaint"})
        made = trip.store(trip.minutes(3, 20), "complaint", "complaint_made", **extra)
    else:
        action, about = _COMPLAINTS[preferred]
        wait = trip.days(0, 1, preferred)
        made = Step(wait, preferred, "complaint", action, about, extra)
    yield made._replace(promise=5 * DAY)


#: How a complaint is written, by channel.
_COMPLAINTS: dict[str, tuple[str, Fields]] = {
    "mail": ("letter_received", {"template": "complaint"}),
    "web": ("form_submitted", {"form_id": "complaint"}),
    "email": ("email_received", {"topic": "complaint"}),
    "messaging": ("message_received", {"topic": "complaint"}),
    "social": ("complaint_posted", {}),
}


def complain(trip: Trip) -> Script:
    """Complain; mostly answered within the promised five days, and mostly to satisfaction."""
    dice = trip.dice
    cases = _cases(trip, complaint_id=trip.number("X"))
    before = trip.customer.complaints
    yield from _make_complaint(trip, cases)
    if trip.customer.complaints == before:
        return  # gave up before it was said
    if dice.chance(0.3):
        yield from trip.message(
            trip.minutes(1, 90), "complaint_answer", "complaint_received", case_ids=cases
        )
    fate = dice.random()
    if fate < 0.08:
        return  # never answered
    wait = trip.days(6, 10, "office") if fate < 0.2 else trip.days(1, 4, "office")
    extra: Fields = {"case_ids": cases, "direction": "outbound"}
    answer = dice.pick(("email", "email", "phone", "mail", "social", "store"))
    if answer == "phone":
        call_id = trip.number("CALL")
        yield trip.call(
            wait, "complaint_answer", "complaint_answer", "resolved", call_id, "outbound",
            case_ids=cases,
        )  # fmt: skip
    elif answer == "mail":
        details: Fields = {"template": "complaint_answer"}
        yield Step(wait, "mail", "complaint_answer", "letter_delivered", details, extra)
    elif answer == "social":
        yield Step(wait, "social", "complaint_answer", "complaint_answered", {}, extra)
    elif answer == "store":
        wait = trip.days(2, 4, "store")
        yield trip.store(wait, "complaint_answer", "complaint_resolved", case_ids=cases)
    else:
        yield from trip.message(wait, "complaint_answer", "complaint_answer", 0.9, 0.1, **extra)
    if dice.chance(0.12):  # not to satisfaction
        yield from _make_complaint(trip, cases)


def return_goods(trip: Trip) -> Script:
    """Return something, in a store, at a kiosk or by mail, and wait for the refund."""
    dice = trip.dice
    cases = _cases(trip, return_id=trip.number("RET"))
    money: Fields = {"amount": trip.product().cents / 100, "currency": "EUR"}
    extra: Fields = {"case_ids": cases}
    if dice.chance(0.4):
        wait = trip.today("store")
        yield trip.store(wait, "product_return", "visit", {"visit_reason": "return"}, **extra)
        yield trip.store(trip.minutes(3, 15), "product_return", "return_accepted", **extra)
        if dice.chance(0.6):
            yield trip.store(trip.minutes(1, 5), "refund", "refund_paid", **extra, **money)
            return
    else:
        yield trip.page(trip.today("web"), "product_return", "return")
        asked: Fields = {**extra, "need": "get_refund"}
        requested = trip.click(
            trip.seconds(30, 300), "web", "product_return", "return_requested", {}, **asked
        )
        yield requested._replace(promise=14 * DAY)
        yield from trip.message(
            trip.seconds(20, 200), "product_return", "return_label", 0.9, 0.5, case_ids=cases
        )
        if dice.chance(0.15):
            wait = trip.days(1, 3, "kiosk")
            yield Step(wait, "kiosk", "product_return", "return_dropped_off", {}, extra)
        else:
            yield Step(trip.days(1, 4, "mail"), "mail", "product_return", "return_sent", {}, extra)
        wait = trip.days(1, 3, "mail")
        yield Step(wait, "mail", "product_return", "return_received", {}, extra)
    if dice.chance(0.25):
        yield trip.page(trip.days(1, 4, "web"), "refund", "refund", case_ids=cases)
    if dice.chance(0.06):
        return  # the money never comes
    wait = trip.days(2, 8, "bank")
    yield Step(wait, "bank", "refund", "refund_paid", {}, {**extra, **money})
    if dice.chance(0.5):
        yield from trip.message(trip.hours(1, 9), "refund", "refund_confirmation", case_ids=cases)


def _leave(trip: Trip, touchpoint: str, number: str) -> Script:
    """Cancel or suspend a service plan, online or by phone; confirmed within a day, mostly."""
    dice = trip.dice
    cases = {"contract_id": trip.number(number)}
    need = "cancel_or_suspend"
    if trip.customer.contact == "phone":
        call_id = yield from reach_agent(trip, trip.today("phone"), "4")
        if call_id is None:
            return
        step = talk(trip, touchpoint, touchpoint, call_id, case_ids=cases, need=need)
        yield step._replace(promise=DAY)
    elif trip.customer.contact == "store":
        action = f"{touchpoint}_requested"
        yield trip.store(trip.today("store"), touchpoint, action, case_ids=cases, need=need)
    else:
        channel = trip.customer.shops
        yield trip.page(trip.today(channel), touchpoint, touchpoint, channel)
        asked = trip.click(
            trip.seconds(20, 200), channel, touchpoint, f"{touchpoint}_requested", {},
            case_ids=cases, need=need,
        )  # fmt: skip
        yield asked._replace(promise=DAY)
    if dice.chance(0.85):
        template = f"{touchpoint}_confirmation"
        yield from trip.message(trip.hours(1, 40), touchpoint, template, case_ids=cases)


def cancel(trip: Trip) -> Script:
    """Cancel a service plan."""
    yield from _leave(trip, "cancellation", "K")


def suspend(trip: Trip) -> Script:
    """Suspend a service plan and resume it."""
    yield from _leave(trip, "suspension", "K")
    if trip.dice.chance(0.5):
        channel = trip.customer.shops
        yield trip.click(trip.days(5, 14, channel), channel, "suspension", "service_resumed", {})
