"""Reaching somebody at the company: phone menu and queue, chat, message, email, store, form."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pipeline.simulator.company import NONE, Product
from pipeline.simulator.hours import HOUR
from pipeline.simulator.trip import Fields, Script, Step, Trip


def reach_agent(trip: Trip, wait: int, menu_path: str) -> Generator[Step, None, str | None]:
    """Call, go through the menu, wait in the queue.

    Returns:
        The call's number, or None if the caller got lost in the menu or gave up in the queue.
    """
    dice = trip.dice
    call_id = trip.number("CALL")
    extra: Fields = {"case_ids": {"call_id": call_id}, "direction": "inbound"}
    if dice.chance(0.02):
        details: Fields = {"call_id": call_id, "advertised_number": True}
        yield Step(wait, "phone", NONE, "wrong_number", details, extra)
        return None
    details = {"call_id": call_id}
    yield Step(wait, "phone", "phone_menu", "menu_entered", details, extra)
    lost = dice.chance(0.05)
    for _ in range(dice.between(4, 8) if lost else dice.between(1, 2)):
        details = {"call_id": call_id, "menu_path": menu_path}
        yield Step(trip.seconds(5, 30), "phone", "phone_menu", "menu_option_chosen", details, extra)
    if lost:
        details = {"call_id": call_id, "outcome": "abandoned"}
        yield Step(trip.seconds(5, 30), "phone", "phone_menu", "menu_abandoned", details, extra)
        return None
    queued = dice.between(400, 1800) if dice.chance(0.1) else dice.between(5, 240)
    details = {"call_id": call_id, "queue": "service", "queue_seconds": queued}
    if dice.chance(0.25 if queued >= 400 else 0.01):
        details["outcome"] = "abandoned"
        yield Step(queued * 1000, "phone", "phone_support", "call_abandoned", details, extra)
        return None
    yield Step(queued * 1000, "phone", "phone_support", "call_answered", details, extra)
    if dice.chance(0.1):
        moved: Fields = {"call_id": call_id, "transfers": 1, "asked_again": dice.chance(0.4)}
        yield Step(
            trip.seconds(40, 200), "phone", "phone_support", "call_transferred", moved, extra
        )
    return call_id


def talk(trip: Trip, touchpoint: str, topic: str | None, call_id: str, **extra: Any) -> Step:
    """Return the talk with an agent, by its end."""
    outcome = trip.dice.pick(("resolved", "resolved", "resolved", "unresolved"))
    mood = trip.dice.between(-8, 10) / 10
    wait = trip.seconds(60, 700)
    return trip.call(wait, touchpoint, topic, outcome, call_id, sentiment=mood, **extra)


def ask(trip: Trip, product: Product) -> Script:
    """Ask about a product, on the channel the customer prefers; most are answered."""
    preferred = trip.customer.contact
    topic = "product_question"
    about = {"topic": topic, "product_id": product.id}
    extra: Fields = {"direction": "inbound", "need": "compare"}
    if preferred == "phone":
        call_id = yield from reach_agent(trip, trip.days(0, 1, "phone"), "1-2")
        if call_id is not None:
            yield talk(trip, "buying_question", topic, call_id, need="compare")
    elif preferred == "chat":
        yield from chat(trip, trip.days(0, 1, "chat"), "buying_question", topic)
    elif preferred == "messaging":
        wait = trip.minutes(2, 60)
        yield Step(wait, "messaging", "buying_question", "message_received", about, extra)
        answer: Fields = {"topic": topic}
        sent: Fields = {"direction": "outbound"}
        wait = trip.minutes(10, 300)
        yield Step(wait, "messaging", "live_chat", "message_sent", answer, sent)
    elif preferred == "email":
        wait = trip.minutes(2, 60)
        yield Step(wait, "email", "buying_question", "email_received", about, extra, 24 * HOUR)
        yield from _write_back(trip, topic)
    else:
        fields: Fields = {"form_id": topic, "product_id": product.id}
        channel = "app" if trip.customer.shops == "app" else "web"
        yield trip.click(
            trip.minutes(1, 9), channel, "buying_question", "form_submitted", fields, need="compare"
        )
        yield from _write_back(trip, topic)


def _write_back(trip: Trip, topic: str) -> Script:
    if trip.dice.chance(0.85):
        details: Fields = {"message_id": trip.number("M"), "topic": topic}
        sent: Fields = {"direction": "outbound", "need": "compare"}
        wait = trip.days(0, 1, "office")
        yield Step(wait, "email", "buying_question", "email_sent", details, sent)


def chat(trip: Trip, wait: int, touchpoint: str, topic: str, **extra: Any) -> Script:
    """Chat with an agent; the topic tells which touchpoint it was."""
    dice = trip.dice
    chat_id = trip.number("CHAT")
    cases: Fields = {"case_ids": {"chat_id": chat_id}, "direction": "inbound"}
    if dice.chance(0.3):
        channel = "app" if trip.customer.shops == "app" else "web"
        yield trip.click(wait, channel, "live_chat", "chat_opened", {}, **cases)
        wait = trip.seconds(2, 20)
    details: Fields = {"topic": topic, "wait_seconds": dice.between(2, 300)}
    yield Step(wait, "chat", "live_chat", "chat_started", details, cases)
    if dice.chance(0.25):
        yield Step(trip.seconds(2, 9), "chat", "faq", "bot_answered", {"topic": topic}, cases)
    if dice.chance(0.08):
        yield Step(trip.seconds(60, 400), "chat", "live_chat", "chat_abandoned", details, cases)
        return
    if dice.chance(0.06):
        moved: Fields = {"topic": topic, "asked_again": dice.chance(0.5)}
        yield Step(trip.seconds(30, 200), "chat", "live_chat", "chat_transferred", moved, cases)
    yield Step(trip.seconds(90, 900), "chat", touchpoint, "chat_ended", details, {**cases, **extra})


def contact_form(trip: Trip) -> Script:
    """Fill in the contact form; mostly answered within two days, sometimes late or never."""
    dice = trip.dice
    channel = trip.customer.shops
    case = {"request_id": trip.number("Q")}
    yield trip.page(trip.today(channel), "contact_form", "contact", channel)
    fields: Fields = {"form_id": "contact"}
    if dice.chance(0.4):
        yield trip.click(trip.seconds(5, 60), channel, "contact_form", "form_started", fields)
    for _ in range(dice.between(1, 3) if dice.chance(0.12) else 0):
        wrong: Fields = {"form_id": "contact", "error_code": "phone_invalid"}
        yield trip.click(trip.seconds(10, 90), channel, "contact_form", "form_rejected", wrong)
    submitted = trip.click(
        trip.seconds(30, 400), channel, "contact_form", "form_submitted", fields, case_ids=case,
        need="get_help", direction="inbound",
    )  # fmt: skip
    yield submitted._replace(promise=48 * HOUR)
    if dice.chance(0.6):
        yield from trip.message(
            trip.seconds(5, 60), "contact_form", "contact_form_received", 0.3, 0.02, case_ids=case
        )
    fate = dice.random()
    if fate >= 0.12:  # the others are never answered
        wait = trip.days(3, 6, "office") if fate < 0.25 else trip.days(0, 1, "office")
        yield from _answer_form(trip, wait, case)


def _answer_form(trip: Trip, wait: int, case: dict[str, str]) -> Script:
    """Answer a contact form, on the channel the customer prefers."""
    extra: Fields = {"case_ids": case, "direction": "outbound"}
    if trip.customer.contact == "phone":
        call_id = trip.number("CALL")
        yield trip.call(
            wait, "contact_form", "contact_form", "resolved", call_id, "outbound", case_ids=case
        )
    elif trip.customer.contact == "messaging":
        details: Fields = {"template": "contact_form_answer"}
        yield Step(wait, "messaging", "contact_form", "message_delivered", details, extra)
    else:
        yield from trip.message(wait, "contact_form", "contact_form_answer", 0.8, 0.1, **extra)
