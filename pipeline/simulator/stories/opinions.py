"""Stories of what customers say: scores, stars, moods, thanks, recommendations."""

from __future__ import annotations

from pipeline.simulator.trip import Fields, Script, Step, Trip


def _score(trip: Trip, wait: int, scale: str, score: int) -> Step:
    touchpoint = f"{scale}_survey"
    rating = {"scale": scale, "score": score}
    return trip.click(
        wait, "web", touchpoint, "survey_answered", {"form_id": touchpoint}, rating=rating
    )


def _stars(trip: Trip, wait: int, channel: str, stars: int) -> Step:
    rating = {"scale": "stars", "score": stars}
    fields: Fields = {"product_id": trip.product().id}
    return trip.click(wait, channel, "review_written", "review_posted", fields, rating=rating)


def detractor(trip: Trip) -> Script:
    """Would not recommend us."""
    score = trip.dice.between(0, 6)
    yield _score(trip, trip.today("web"), "nps", score).causes("low_nps")


def passive(trip: Trip) -> Script:
    """Neither would nor would not recommend us: the scores just between."""
    yield _score(trip, trip.today("web"), "nps", 7).spares("neither low nor high", "low_nps")
    yield _score(trip, trip.days(2, 5, "web"), "nps", 8).spares("not yet high", "high_rating")


def dissatisfied(trip: Trip) -> Script:
    """Score a purchase, and the effort it took, low."""
    yield _score(trip, trip.today("web"), "csat", trip.dice.between(1, 2)).causes("low_csat")
    yield _score(trip, trip.days(1, 3, "web"), "ces", trip.dice.between(1, 3)).causes("low_ces")


def so_so(trip: Trip) -> Script:
    """Score a purchase, and the effort it took, just not low, and review it so."""
    why = "in the middle of the scale"
    yield _score(trip, trip.today("web"), "csat", 3).spares(why, "low_csat")
    yield _score(trip, trip.days(1, 2, "web"), "ces", 4).spares(why, "low_ces")
    channel = trip.dice.pick(("app", "social", "kiosk"))
    stars = _stars(trip, trip.days(1, 2, "kiosk"), channel, 3)
    yield stars.spares(why, "low_review", "review_praised")


def delighted(trip: Trip) -> Script:
    """Give the highest score, and the most stars."""
    scale, score = trip.dice.pick((("nps", 10), ("csat", 5), ("ces", 7)))
    yield _score(trip, trip.today("web"), scale, score).causes("high_rating")
    channel = trip.dice.pick(("web", "app", "social"))
    yield _stars(trip, trip.days(1, 3, "web"), channel, 5).causes("review_praised")


def panned(trip: Trip) -> Script:
    """Write a bad review."""
    channel = trip.dice.pick(("web", "app", "social"))
    stars = _stars(trip, trip.today("web"), channel, trip.dice.between(1, 2))
    yield stars.causes("low_review")


def recommended(trip: Trip) -> Script:
    """Tell a friend, in a store, a message or in public."""
    channel = trip.dice.pick(("web", "app", "social", "messaging"))
    if trip.dice.chance(0.4):
        yield trip.store(trip.today("store"), "referral", "referral_named").causes("referral_made")
        return
    shared = trip.click(trip.today(channel), channel, "referral", "referral_shared", {})
    yield shared.causes("referral_made")


def invited_to_recommend(trip: Trip) -> Script:
    """Be asked to tell a friend, open the message, and not do it."""
    details: Fields = {"message_id": trip.number("M"), "template": "referral_invitation"}
    sent: Fields = {"direction": "outbound"}
    yield Step(trip.today("office"), "email", "referral", "email_delivered", details, sent)
    opened = Step(trip.hours(0, 9) + 5_000, "email", "referral", "email_opened", details, {})
    yield opened.spares("invited, opened, and told nobody", "referral_made")
