"""Stories of the relation: the same need again, another channel, thanks, anger, winning back."""

from __future__ import annotations

from pipeline.simulator.hours import DAY, HOUR
from pipeline.simulator.stories.shopping import bought
from pipeline.simulator.trip import Fields, Script, Step, Trip


def _contact(trip: Trip, wait: int, channel: str, need: str = "get_help") -> Step:
    """Return a contact about a need that comes to nothing."""
    if channel == "phone":
        call_id = trip.number("CALL")
        return trip.call(wait, "phone_support", None, "unresolved", call_id, need=need)
    extra: Fields = {"direction": "inbound", "need": need}
    if channel == "chat":
        extra["case_ids"] = {"chat_id": trip.number("CHAT")}
        return Step(wait, "chat", "live_chat", "chat_ended", {"topic": "help"}, extra)
    details: Fields = {"topic": "help"}
    return Step(wait, "email", "help_desk_ticket", "email_received", details, extra)


def _call_back(trip: Trip, wait: int, outcome: str = "resolved", need: str = "get_help") -> Step:
    call_id = trip.number("CALL")
    return trip.call(wait, "phone_support", None, outcome, call_id, "outbound", need=need)


def brought_up_again(trip: Trip) -> Script:
    """Ask for the same thing on three channels, until somebody calls back, or nobody."""
    need = trip.dice.pick(("get_help", "get_help", "get_refund"))
    yield _contact(trip, trip.today("phone"), "phone", need)
    yield _contact(trip, trip.days(1, 3, "chat"), "chat", need)
    third = _contact(trip, trip.days(1, 3, "phone"), trip.dice.pick(("email", "phone")), need)
    yield third.causes("repeated_need")
    if trip.dice.chance(0.6):
        yield _call_back(trip, trip.days(1, 3, "phone"), need=need)


def brought_up_later(trip: Trip) -> Script:
    """Ask twice for the same thing, and a third time when the two weeks are over."""
    yield _contact(trip, trip.today("phone"), "phone")
    yield _contact(trip, trip.hours(20, 26), "chat")
    third = _contact(trip, 14 * DAY - 19 * HOUR, "email")
    yield third.spares("the third time, but after more than two weeks", "repeated_need")
    yield _call_back(trip, trip.hours(1, 4))


def _form(trip: Trip, case: dict[str, str]) -> Step:
    channel = trip.dice.pick(("web", "app"))
    asked = trip.click(
        trip.today("phone"), channel, "contact_form", "form_submitted", {"form_id": "contact"},
        case_ids=case, need="get_help", direction="inbound",
    )  # fmt: skip
    return asked._replace(promise=48 * HOUR)


def _about(trip: Trip, wait: int, case: dict[str, str], outcome: str, again: bool | None) -> Step:
    call_id = trip.number("CALL")
    call = trip.call(wait, "phone_support", None, outcome, call_id, case_ids=case, need="get_help")
    if again is not None:
        call.details["asked_again"] = again
    return call


def told_again(trip: Trip) -> Script:
    """Call about a form and have to tell everything again; some are called back."""
    case = {"request_id": trip.number("Q")}
    yield _form(trip, case)
    call = _about(trip, trip.days(1, 1, "phone"), case, "unresolved", again=True)
    yield call.causes("repeated_after_switch")
    if trip.dice.chance(0.6):
        call_id = trip.number("CALL")
        yield trip.call(
            trip.days(1, 2, "phone"), "phone_support", None, "resolved", call_id, "outbound",
            case_ids=case, need="get_help",
        )  # fmt: skip


def known_on_the_phone(trip: Trip) -> Script:
    """Call about a form, and they know what it said."""
    case = {"request_id": trip.number("Q")}
    yield _form(trip, case)
    call = _about(trip, trip.days(1, 1, "phone"), case, "resolved", again=False)
    yield call.spares("another channel, but nothing was asked again", "repeated_after_switch")


def told_again_on_the_phone(trip: Trip) -> Script:
    """Call twice about the same, and tell it twice: no change of channel."""
    case = {"request_id": trip.number("Q")}
    yield _about(trip, trip.today("phone"), case, "unresolved", again=None)
    call = _about(trip, trip.days(1, 2, "phone"), case, "resolved", again=True)
    yield call.spares("asked again, but on the same channel", "repeated_after_switch")


def helped_at_once(trip: Trip) -> Script:
    """Be helped in one talk: by phone, in a chat or in a store."""
    channel = trip.dice.pick(("phone", "chat", "store"))
    wait = trip.today("store")
    if channel == "phone":
        call_id = trip.number("CALL")
        step = trip.call(wait, "phone_support", None, "resolved", call_id, need="get_help")
    elif channel == "chat":
        step = _contact(trip, wait, "chat")
        step.details["outcome"] = "resolved"
    else:
        visit = {"visit_reason": "help", "wait_seconds": 60}
        yield trip.store(wait, "store_help_visit", "visit", visit)
        solved = {"outcome": "resolved"}
        step = trip.store(trip.minutes(3, 20), "store_help_visit", "help_given", solved)
    yield step.causes("first_contact_resolved")
    if trip.dice.chance(0.3):  # it was not: the glory is taken back
        yield _contact(trip, trip.days(1, 5, "phone"), trip.dice.pick(("phone", "chat")))


def helped_after_being_passed_on(trip: Trip) -> Script:
    """Be helped by the second person."""
    call_id = trip.number("CALL")
    wait = trip.today("phone")
    call = trip.call(wait, "phone_support", None, "resolved", call_id, need="get_help")
    call.details["transfers"] = 1
    yield call.spares("solved, but passed on before", "first_contact_resolved")


_THANKS: dict[str, tuple[str, Fields]] = {
    "email": ("email_received", {"topic": "thanks"}),
    "messaging": ("message_received", {"topic": "thanks"}),
    "mail": ("letter_received", {"template": "thanks"}),
    "store": ("thanks_given", {}),
    "social": ("thanks_posted", {}),
}


def _thanks(trip: Trip, wait: int) -> Step:
    channel = trip.dice.pick(tuple(_THANKS))
    action, details = _THANKS[channel]
    extra: Fields = {"direction": "inbound", "sentiment": trip.dice.between(5, 10) / 10}
    return Step(wait, channel, "thanks", action, dict(details), extra)


def says_thanks(trip: Trip) -> Script:
    """Thank somebody."""
    yield _thanks(trip, trip.today("store")).causes("thanked")


def is_thanked(trip: Trip) -> Script:
    """Get a letter of thanks from the company."""
    extra: Fields = {"direction": "outbound"}
    details: Fields = {"template": "thank_you"}
    wait = trip.today("mail")
    letter = Step(wait, "mail", "thank_you_message", "letter_delivered", details, extra)
    yield letter.spares("thanks from the company, not from the customer", "thanked")


def _mood(trip: Trip, wait: int, sentiment: float) -> Step:
    channel = trip.dice.pick(("messaging", "email"))
    action = "message_received" if channel == "messaging" else "email_received"
    touchpoint = "live_chat" if channel == "messaging" else "help_desk_ticket"
    extra: Fields = {"direction": "inbound", "sentiment": sentiment, "need": "get_help"}
    return Step(wait, channel, touchpoint, action, {"topic": "help"}, extra)


def angry(trip: Trip) -> Script:
    """Write an angry message; calm down when called, or not."""
    mood = -trip.dice.between(6, 10) / 10
    yield _mood(trip, trip.today("office"), mood).causes("negative_sentiment")
    if trip.dice.chance(0.6):
        call = _call_back(trip, trip.hours(1, 20))
        yield call._replace(extra={**call.extra, "sentiment": trip.dice.between(3, 8) / 10})


def annoyed(trip: Trip) -> Script:
    """Write a message that is not quite angry, and be answered in a chat."""
    asked = _mood(trip, trip.today("office"), -0.59)
    yield asked.spares("annoyed, not angry", "negative_sentiment").spares(
        "answered in a chat within hours", "question_unanswered"
    )
    yield _contact(trip, trip.hours(1, 4), "chat")


def question_lost(trip: Trip) -> Script:
    """Write without a case, and be answered by phone when it is too late, or never."""
    channel = trip.dice.pick(("messaging", "email"))
    action = "message_received" if channel == "messaging" else "email_received"
    extra: Fields = {"direction": "inbound", "need": "compare"}
    details: Fields = {"topic": "product_question"}
    asked = Step(trip.today("office"), channel, "buying_question", action, details, extra)
    yield asked.causes("question_unanswered")
    if trip.dice.chance(0.5):
        yield _call_back(trip, trip.days(5, 8, "phone"), "unresolved", "compare")


def won_back(trip: Trip) -> Script:
    """Be answered late, and come back all the same: buy, or thank."""
    case = {"request_id": trip.number("Q")}
    yield _form(trip, case)
    call_id = trip.number("CALL")
    yield trip.call(
        trip.days(3, 5, "phone"), "contact_form", "contact_form", "unresolved", call_id,
        "outbound", case_ids=case,
    )  # fmt: skip
    if trip.dice.chance(0.5):
        back = bought(trip, trip.days(1, 5, "phone"), "phone", trip.product(), trip.number("O"))
    else:
        back = _thanks(trip, trip.days(1, 5, "store"))
    yield back.causes("recovered")


def back_without_repair(trip: Trip) -> Script:
    """Never be answered, and buy all the same: loyal, but not won back."""
    yield _form(trip, {"request_id": trip.number("Q")})
    order = bought(trip, trip.days(3, 6, "phone"), "phone", trip.product(), trip.number("O"))
    yield order.spares("back, but nobody mended the pain", "recovered")


def _lost_call(trip: Trip, wait: int) -> Step:
    call_id = trip.number("CALL")
    extra: Fields = {"case_ids": {"call_id": call_id}, "direction": "inbound"}
    details: Fields = {"call_id": call_id, "queue_seconds": 300, "outcome": "abandoned"}
    return Step(wait, "phone", "phone_support", "call_abandoned", details, extra)


def _low(trip: Trip, wait: int, scale: str) -> Step:
    rating = {"scale": scale, "score": 1}
    fields: Fields = {"form_id": f"{scale}_survey"}
    touchpoint = f"{scale}_survey"
    return trip.click(wait, "web", touchpoint, "survey_answered", fields, rating=rating)


def third_strike(trip: Trip) -> Script:
    """Three pains within days; some are called, and that mends them."""
    yield _lost_call(trip, trip.today("phone"))
    yield _low(trip, trip.days(1, 2, "web"), "csat")
    yield _low(trip, trip.days(1, 2, "web"), "ces").causes("three_strikes")
    if trip.dice.chance(0.5):
        yield _call_back(trip, trip.days(1, 3, "phone"))


def no_third_strike(trip: Trip) -> Script:
    """Three pains, but one was mended before the third came."""
    yield _lost_call(trip, trip.today("phone"))
    yield _low(trip, trip.days(1, 2, "web"), "csat")
    yield _call_back(trip, trip.days(1, 1, "phone"))
    third = _low(trip, trip.days(1, 2, "web"), "ces")
    yield third.spares("the third pain, but the others were mended", "three_strikes")
