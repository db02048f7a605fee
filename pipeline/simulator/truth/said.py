"""Pain and glory in what customers say: scores, stars, moods, recommendations, thanks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pipeline.simulator.hours import DAY, Clock
from pipeline.simulator.truth.notes import Found, Note, Notes, Test, glory, mended, pain, where
from pipeline.simulator.truth.words import solved_by_call_back


def _scored(note: Note, scale: str, low: float, high: float = 10) -> bool:
    """Return whether a customer gave such a score: in a survey or, but for nps, after a talk."""
    asked = (
        ("survey_answered",) if scale == "nps" else ("survey_answered", "call_ended", "chat_ended")
    )
    return note.action in asked and note.score(scale, low, high)


def _low(life: Notes, rule: str, is_low: Test, is_good: Test) -> Iterator[Found]:
    def repaired(note: Note) -> bool:
        return is_good(note) or solved_by_call_back(note)

    for note, later in where(life, is_low):
        yield mended(pain(rule, note), later, 30 * DAY, repaired)


def _stars(note: Note, low: float, high: float = 5) -> bool:
    return note.touchpoint == "review_written" and note.score("stars", low, high)


def low_scores(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield low scores, until there is a good one of the kind or somebody calls and helps."""
    for scale, low, good in (("nps", 6, 7), ("csat", 2, 4), ("ces", 3, 5)):
        is_low = partial(_scored, scale=scale, low=0, high=low)
        yield from _low(life, f"low_{scale}", is_low, partial(_scored, scale=scale, low=good))
    yield from _low(life, "low_review", partial(_stars, low=0, high=2), partial(_stars, low=4))


def high_scores(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield the best scores, and reviews with four stars and more."""
    for note in life:
        if _scored(note, "nps", 9) or _scored(note, "csat", 5) or _scored(note, "ces", 6):
            yield glory("high_rating", note)
        if _stars(note, 4):
            yield glory("review_praised", note)


#: Where a mood is looked at; complaints and reviews are found as such.
_TALKS = frozenset(
    (
        *("phone_support", "live_chat", "help_desk_ticket", "contact_form", "buying_question"),
        *("sales_talk", "store_help_visit", "word_of_mouth", "social_post", "product_return"),
        *("refund", "cancellation", "suspension", "invoice"),
    )
)


def _cheered_up(note: Note) -> bool:
    satisfied = note.action == "survey_answered" and note.score("csat", 4)
    talked = note.touchpoint in _TALKS or note.touchpoint == "thanks"
    return satisfied or (talked and note.sentiment >= 0.3)


def negative_sentiment(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield who sounded very unhappy."""
    for note, later in where(
        life, lambda note: note.touchpoint in _TALKS and note.sentiment <= -0.6
    ):
        yield mended(pain("negative_sentiment", note), later, 14 * DAY, _cheered_up)


def spread_the_word(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield who recommended us, or thanked."""
    for note in life:
        told = note.touchpoint == "referral" and note.action in (
            "referral_shared",
            "referral_named",
        )
        if told or (note.action == "brand_mentioned" and note.sentiment >= 0.5):
            yield glory("referral_made", note)
        if note.touchpoint == "thanks":
            yield glory("thanked", note)


RULES = (low_scores, high_scores, negative_sentiment, spread_the_word)
