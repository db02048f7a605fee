"""The default catalog knows every touchpoint that DESIGN.md, section 5, lists, on its channels."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from pipeline import catalog
from pipeline.classify import Classification, Classifier, stage_of
from schemas.catalog import UNCLASSIFIED, Catalog, Match
from schemas.entry import Condition

#: Item of the list -> touchpoints with their channels. Bracketed kinds are touchpoints of their
#: own, except for payment: one touchpoint, whose site, bank and cash are channels.
BEFORE = {
    "advertising online": {"online_ad": "web social app"},
    "advertising press": {"press_ad": "web phone store app"},
    "advertising direct mail": {"direct_mail": "web phone store mail app"},
    "social post": {"social_post": "social"},
    "word of mouth": {"word_of_mouth": "web phone store social messaging"},
    "review": {"review": "web social app kiosk"},
    "informational content": {"blog_article": "web social app", "video": "web social app kiosk"},
    "company website": {"company_website": "web"},
    "landing page": {"landing_page": "web app"},
    "newsletter": {"newsletter": "web email store app messaging"},
    "event": {"event": "web email phone store mail social app"},
    "product catalogue": {"product_catalogue": "web email store mail app kiosk"},
    "sample": {"sample": "web email store mail app"},
    "sales proposal": {"sales_proposal": "web email phone store mail"},
    "contact form": {"contact_form": "web email phone app messaging kiosk"},
    "business card/letterhead": {
        "business_card": "web store app",
        "letterhead": "web email mail app",
    },
}
DURING = {
    "site navigation and search": {
        "site_navigation": "web app kiosk",
        "site_search": "web app kiosk",
    },
    "product page": {"product_page": "web social app kiosk"},
    "cart": {"cart": "web email app messaging kiosk"},
    "checkout": {
        "checkout": "web app kiosk",
        "order": "web email phone store chat app messaging kiosk",
    },
    "payment (site, bank, cash)": {"payment": "web email phone store mail app kiosk bank"},
    "customer-service question while buying": {
        "buying_question": "web email phone store chat app messaging kiosk"
    },
    "quote": {"quote": "web email phone store mail app"},
    "sales representative talk": {"sales_talk": "web email phone store"},
    "point of sale": {"point_of_sale": "store"},
    "receipt": {"receipt": "web email store app kiosk"},
    "contract": {"contract": "web email store mail app"},
}
AFTER = {
    "order and shipping confirmation": {
        "order_confirmation": "web email app messaging kiosk",
        "shipping_confirmation": "email app messaging",
    },
    "delivery notice": {"delivery_notice": "web email mail app messaging"},
    "parcel and label": {"parcel": "store mail", "parcel_label": "web app"},
    "instruction manual": {"instruction_manual": "web email mail app"},
    "invoice": {"invoice": "web email phone mail app"},
    "follow-up email": {"follow_up_email": "email"},
    "thank-you message": {"thank_you_message": "email phone mail app messaging"},
    "cross-sell email": {"cross_sell_email": "email"},
    "satisfaction survey NPS": {"nps_survey": "web email phone app messaging"},
    "satisfaction survey CSAT": {
        "csat_survey": "web email phone store chat app messaging kiosk",
    },
    "satisfaction survey CES": {"ces_survey": "web email phone chat app messaging"},
    "review request": {
        "review_request": "email mail app messaging",
        "review_written": "web social app kiosk",
    },
    "loyalty programme": {"loyalty_programme": "web email phone store mail app kiosk"},
    "referral": {"referral": "web email phone store social app messaging"},
}
SERVICE = {
    "help desk ticket": {
        "help_desk_ticket": "web email phone store social chat app messaging kiosk"
    },
    "live chat": {"live_chat": "web chat app messaging"},
    "phone support and its menu (IVR)": {"phone_support": "phone", "phone_menu": "phone"},
    "FAQ": {"faq": "web chat app kiosk"},
    "complaint and its answer": {
        "complaint": "web email phone store mail social chat app messaging kiosk",
        "complaint_answer": "web email phone store mail social app messaging",
    },
    "return": {"product_return": "web email phone store mail app kiosk"},
    "refund": {"refund": "web email phone store app bank"},
    "cancellation": {"cancellation": "web email phone store mail app"},
    "suspension": {"suspension": "web email phone store app"},
    "store visit for help": {"store_help_visit": "store"},
}
#: Not in the list, and yet there: a store that is visited to look or to buy, and what a customer
#: says without having a need.
MORE = {
    "store visit": {"store_visit": "store"},
    "thanks of a customer": {"thanks": "email phone store mail social chat messaging"},
}
EVERYTHING = {**BEFORE, **DURING, **AFTER, **SERVICE, **MORE}


@pytest.fixture(scope="module")
def shipped() -> Catalog:
    return catalog.load().catalog


@pytest.fixture(scope="module")
def classifier(shipped: Catalog) -> Classifier:
    return Classifier(shipped)


@pytest.mark.parametrize("item", EVERYTHING)
def test_every_item_of_the_list_is_a_touchpoint_on_its_channels(
    shipped: Catalog, item: str
) -> None:
    found = {
        entry.id: {channel for match in entry.match for channel in match.channel}
        for entry in shipped.touchpoints
    }
    for touchpoint, channels in EVERYTHING[item].items():
        assert found[touchpoint] == set(channels.split())


def test_every_touchpoint_belongs_to_an_item_of_the_list(shipped: Catalog) -> None:
    listed = [touchpoint for item in EVERYTHING.values() for touchpoint in item]
    assert sorted(listed) == sorted(entry.id for entry in shipped.touchpoints)


def test_service_touchpoints_are_marked(shipped: Catalog) -> None:
    listed = {touchpoint for item in SERVICE.values() for touchpoint in item}
    assert {entry.id for entry in shipped.touchpoints if entry.service} == listed


def test_every_rule_reaches_its_own_touchpoint(shipped: Catalog, classifier: Classifier) -> None:
    reached: set[tuple[str, str]] = set()
    for entry in shipped.touchpoints:
        for match in entry.match:
            for event in _events(match):
                found = classifier.classify(event)
                assert (found.touchpoint, event) == (entry.id, event)
                reached.add((entry.id, event["channel"]))
    wanted = {
        (touchpoint, channel)
        for item in EVERYTHING.values()
        for touchpoint, channels in item.items()
        for channel in channels.split()
    }
    assert reached == wanted


def _events(match: Match) -> Iterator[dict[str, Any]]:
    """Make every event that the lists of a rule name."""
    values = [[(path, value) for value in _values(wanted)] for path, wanted in match.where.items()]
    for channel, action, *fields in product(match.channel, match.action or ["any"], *values):
        event: dict[str, Any] = {"channel": channel, "action": action}
        for path, value in fields:
            parent, _, child = path.partition(".")
            if child:
                event.setdefault(parent, {})[child] = value
            else:
                event[parent] = value
        yield event


def _values(wanted: Condition) -> list[Any]:
    if wanted.one_of is not None:
        return list(wanted.one_of)
    assert wanted.exists is False, "teach this test the new kind of condition"
    return [None]


def test_vocabulary_is_the_designs(shipped: Catalog) -> None:
    assert " ".join(channel.id for channel in shipped.channels) == (
        "web email phone store mail social chat app messaging kiosk bank"
    )
    assert " ".join(need.id for need in shipped.needs) == (
        "learn compare order pay receive get_help complain cancel_or_suspend get_refund "
        "give_feedback recommend"
    )
    assert " ".join(stage.id for stage in shipped.stages) == (
        "awareness knowledge consideration selection satisfaction loyalty advocacy"
    )
    assert " ".join(segment.id for segment in shipped.segments) == "new regular vip business"


def test_weights_sum_to_one(shipped: Catalog) -> None:
    assert sum(stage.weight for stage in shipped.stages) == pytest.approx(1)


def test_everything_referred_to_is_declared(shipped: Catalog) -> None:
    channels = {channel.id for channel in shipped.channels}
    needs = {need.id for need in shipped.needs}
    stages = {stage.id for stage in shipped.stages}
    facts = {fact.id for fact in shipped.facts}
    touchpoints = {entry.id for entry in shipped.touchpoints}
    assert len(touchpoints) == len(shipped.touchpoints)
    for fact in shipped.facts:
        assert set(fact.touchpoints) <= touchpoints
    used_needs, used_channels, used_stages = set(), set(), set()
    for entry in shipped.touchpoints:
        used_needs |= set(entry.needs)
        used_stages |= {entry.stage, *(option.stage for option in entry.stage_after)}
        used_channels |= {channel for match in entry.match for channel in match.channel}
        assert {option.fact for option in entry.stage_after} <= facts
    assert (used_needs, used_stages, used_channels) == (needs, stages, channels)


def test_roll_ups_follow_the_order_of_the_stages(shipped: Catalog) -> None:
    phases = ["before", "during", "after"]
    funnel = ["awareness", "consideration", "decision", "post_purchase"]
    assert [stage.phase for stage in shipped.stages] == sorted(
        (stage.phase for stage in shipped.stages), key=phases.index
    )
    assert [stage.funnel for stage in shipped.stages] == sorted(
        (stage.funnel for stage in shipped.stages), key=funnel.index
    )
    assert {stage.phase for stage in shipped.stages} == set(phases)
    assert {stage.funnel for stage in shipped.stages} == set(funnel)


def _templates(shipped: Catalog) -> set[Any]:
    return {
        value
        for entry in shipped.touchpoints
        for match in entry.match
        if "email" in match.channel and "details.template" in match.where
        for value in _values(match.where["details.template"])
    }


def test_mail_opened_by_a_machine_is_no_touchpoint(
    shipped: Catalog, classifier: Classifier
) -> None:
    templates = _templates(shipped)
    assert len(templates) > 25
    for template in templates:
        seen = {
            machine: classifier.classify(
                {
                    "channel": "email",
                    "action": "email_opened",
                    "details": {"template": template, "machine_open": machine},
                }
            ).touchpoint
            for machine in (True, False, None)
        }
        assert seen[True] == UNCLASSIFIED
        assert seen[False] == seen[None] != UNCLASSIFIED


@pytest.mark.parametrize(
    ("channel", "action", "details", "touchpoint"),
    [
        ("web", "page_view", {"page_type": "product"}, "product_page"),
        ("app", "screen_view", {"page_type": "product"}, "product_page"),
        ("web", "checkout_completed", {}, "order"),
        ("web", "payment_succeeded", {"payment_method": "card"}, "payment"),
        ("bank", "transfer_received", {}, "payment"),
        ("store", "payment_succeeded", {"payment_method": "cash"}, "payment"),
        ("email", "email_delivered", {"template": "newsletter"}, "newsletter"),
        ("phone", "call_ended", {"topic": "complaint"}, "complaint"),
        ("phone", "call_ended", {"topic": "something else"}, "phone_support"),
        ("phone", "call_ended", {}, "phone_support"),
        ("email", "email_received", {"topic": "complaint"}, "complaint"),
        ("email", "email_received", {}, "help_desk_ticket"),
        ("email", "email_received", {"topic": "thanks"}, "thanks"),
        ("email", "email_sent", {}, "help_desk_ticket"),
        ("chat", "chat_ended", {"topic": "product_question"}, "buying_question"),
        ("chat", "chat_ended", {}, "live_chat"),
        ("store", "visit", {"visit_reason": "help"}, "store_help_visit"),
        ("store", "visit", {"visit_reason": "return"}, "product_return"),
        ("store", "visit", {}, "store_visit"),
        ("web", "ticket_opened", {"topic": "complaint"}, "complaint"),
        ("web", "ticket_opened", {"topic": "delivery"}, "help_desk_ticket"),
        ("web", "page_view", {"page_type": "imprint"}, UNCLASSIFIED),
        ("store", "wifi_connected", {}, UNCLASSIFIED),
    ],
)
def test_what_an_engineer_would_guess(
    classifier: Classifier, channel: str, action: str, details: dict[str, Any], touchpoint: str
) -> None:
    event = {"channel": channel, "action": action, "details": details}
    assert classifier.classify(event).touchpoint == touchpoint


def _classified(classifier: Classifier, channel: str, action: str, **details: str) -> Any:
    return classifier.classify({"channel": channel, "action": action, "details": details})


def _stages(found: Classification, fact: str) -> list[str]:
    """Return the stage of an interaction after none, one and two of a fact."""
    return [
        stage_of(found, (9, "e"), {fact: [(moment, "e") for moment in range(times)]})
        for times in range(3)
    ]


def test_stage_depends_on_what_was_bought_before(classifier: Classifier) -> None:
    page = _classified(classifier, "web", "page_view", page_type="product")
    assert _stages(page, "purchase") == ["consideration", "loyalty", "loyalty"]
    mail = _classified(classifier, "email", "email_delivered", template="newsletter")
    assert _stages(mail, "purchase") == ["awareness", "loyalty", "loyalty"]
    thanks = _classified(classifier, "email", "email_delivered", template="thank_you")
    assert _stages(thanks, "purchase") == ["satisfaction", "satisfaction", "loyalty"]
    offer = _classified(classifier, "email", "email_delivered", template="cross_sell")
    assert _stages(offer, "complaint") == ["loyalty", "satisfaction", "satisfaction"]


def test_steps_of_one_case_establish_a_fact_once(classifier: Classifier) -> None:
    steps = [
        ("web", "checkout_started", {}),
        ("web", "payment_succeeded", {}),
        ("web", "checkout_completed", {}),
        ("web", "page_view", {"page_type": "order_confirmation"}),
        ("email", "email_delivered", {"template": "order_confirmation"}),
    ]
    facts = [_classified(classifier, *step[:2], **step[2]).facts for step in steps]
    assert facts == [(), (), ("purchase",), (), ()]
    assert _classified(classifier, "store", "purchase").facts == ("purchase",)
    assert _classified(classifier, "store", "complaint_made").facts == ("complaint",)
