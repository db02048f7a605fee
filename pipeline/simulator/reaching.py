"""Journeys by which people come to know the company."""

from __future__ import annotations

from pipeline.simulator.aftercare import fulfil
from pipeline.simulator.buying import browse, check_out, fill_cart, till
from pipeline.simulator.company import CAMPAIGNS, NONE
from pipeline.simulator.trip import Fields, Script, Step, Trip


def follow_advert(trip: Trip) -> Script:
    """See advertisements online, perhaps follow one."""
    dice = trip.dice
    details: Fields = {"campaign": dice.pick(CAMPAIGNS)}
    channel = dice.pick(("web", "web", "social", "app"))
    wait = trip.today(channel)
    for _ in range(dice.between(1, 4)):
        yield Step(wait, channel, "online_ad", "ad_viewed", details, {"direction": "outbound"})
        wait = trip.hours(1, 30)
    if not dice.chance(0.6):
        return
    yield Step(trip.seconds(1, 20), channel, "online_ad", "ad_clicked", details, {})
    if channel == "app":
        yield Step(trip.seconds(1, 4), "app", "landing_page", "deep_link_opened", details, {})
    else:
        yield trip.page(trip.seconds(1, 4), "landing_page", "landing")
    if dice.chance(0.4):
        yield from browse(trip, trip.seconds(5, 60), "web")


def follow_print(trip: Trip) -> Script:
    """Meet the company on paper: a press advert, direct mail, a catalogue."""
    dice = trip.dice
    medium = dice.pick(("press", "direct_mail", "direct_mail"))
    touchpoint = "press_ad" if medium == "press" else "direct_mail"
    wait = trip.today("mail")
    if medium == "direct_mail":
        template = dice.pick(("direct_mail", "direct_mail", "product_catalogue"))
        touchpoint = template
        extra: Fields = {"direction": "outbound"}
        returned = dice.chance(0.02)
        action = "letter_returned" if returned else "letter_delivered"
        yield Step(wait, "mail", touchpoint, action, {"template": template}, extra)
        if returned or template == "product_catalogue":
            return
        wait = trip.days(0, 4, "web")
    fate = dice.random()
    if fate < 0.4:
        yield trip.click(wait, "web", touchpoint, "code_scanned", {"medium": medium})
        yield trip.page(trip.seconds(1, 4), "landing_page", "landing")
        yield from browse(trip, trip.seconds(5, 60), "web")
    elif fate < 0.65:
        coupon: Fields = {"medium": medium, "campaign": dice.pick(CAMPAIGNS)}
        wait = trip.days(0, 5, "store")
        yield trip.store(wait, "store_visit", "visit", {"visit_reason": "buy"})
        yield trip.store(trip.minutes(5, 30), touchpoint, "coupon_redeemed", coupon)
        yield from till(trip, trip.product())
    elif fate < 0.8:
        details: Fields = {"medium": medium, "call_id": trip.number("CALL")}
        yield Step(trip.days(0, 3, "phone"), "phone", touchpoint, "advert_answered", details, {})


def see_social(trip: Trip) -> Script:
    """Follow the company on social media."""
    dice = trip.dice
    yield Step(trip.today("social"), "social", "social_post", "post_viewed", {}, {})
    if dice.chance(0.35):
        action = dice.pick(("post_liked", "post_liked", "post_shared", "post_commented"))
        yield Step(trip.seconds(3, 60), "social", "social_post", action, {}, {})
    if dice.chance(0.3):
        yield Step(trip.seconds(5, 90), "social", "video", "video_played", {}, {})
    if dice.chance(0.1):
        yield Step(trip.hours(1, 50), "social", "review", "review_viewed", {}, {})
    if dice.chance(0.1):
        mood = dice.between(-4, 10) / 10
        yield Step(
            trip.hours(1, 50), "social", "word_of_mouth", "brand_mentioned", {}, {"sentiment": mood}
        )


def read_newsletter(trip: Trip) -> Script:
    """Get the newsletter; read, follow, unsubscribe, or report it."""
    dice = trip.dice
    customer = trip.customer
    if not customer.subscribed:
        if dice.chance(0.5):
            customer.subscribed = True
            yield trip.click(trip.today("web"), "web", "newsletter", "newsletter_subscribed", {})
        return
    campaign = dice.pick(CAMPAIGNS)
    clicked = yield from trip.message(
        trip.today("office"), "newsletter", "newsletter", 0.35, 0.15, campaign=campaign
    )
    if clicked:
        yield trip.page(trip.seconds(1, 5), "landing_page", "landing")
        product = yield from browse(trip, trip.seconds(5, 60), "web")
        if dice.chance(0.35):
            yield from fill_cart(trip, "web", product)
            order = yield from check_out(trip, "web", product)
            if order is not None:
                yield from fulfil(trip, order, product)
    elif dice.chance(0.02):
        customer.subscribed = False
        action = dice.pick(("email_unsubscribed", "email_unsubscribed", "email_spam_reported"))
        details: Fields = {"template": "newsletter", "campaign": campaign}
        yield Step(trip.hours(1, 9), "email", "newsletter", action, details, {})


def read_up(trip: Trip) -> Script:
    """Read and watch what the company publishes."""
    dice = trip.dice
    channel = trip.customer.shops
    wait = trip.today(channel)
    if dice.chance(0.5):
        yield trip.page(wait, "company_website", dice.pick(("home", "about")))
        wait = trip.seconds(10, 120)
    for _ in range(dice.between(1, 2)):
        yield trip.page(wait, "blog_article", "blog", channel)
        wait = trip.seconds(30, 400)
    if dice.chance(0.3):
        yield trip.click(wait, channel, "video", "video_played", {"product_id": trip.product().id})
        yield trip.click(trip.seconds(40, 300), channel, "video", "video_completed", {})
    if dice.chance(0.2):
        yield trip.click(
            trip.seconds(10, 90), channel, "product_catalogue", "catalogue_downloaded", {}
        )
    if channel == "app" and dice.chance(0.1):
        yield Step(trip.seconds(2, 20), "app", NONE, "app_updated", {}, {})


def hear_of_us(trip: Trip) -> Script:
    """Come by the recommendation of a friend."""
    dice = trip.dice
    named: Fields = {"heard_from": dice.pick(("friend", "family", "colleague"))}
    if dice.chance(0.5):
        wait = trip.today("messaging")
        yield Step(wait, "messaging", "word_of_mouth", "link_opened", named, {})
        yield trip.page(trip.seconds(1, 9), "company_website", "home")
    else:
        yield trip.page(trip.today("web"), "company_website", "home")
        yield trip.click(trip.seconds(9, 90), "web", "word_of_mouth", "source_named", named)
    yield from browse(trip, trip.seconds(5, 60), "web")


def try_sample(trip: Trip) -> Script:
    """Ask for a sample and get it by mail."""
    dice = trip.dice
    details: Fields = {"product_id": trip.product().id}
    if dice.chance(0.4):
        yield from trip.message(trip.today("office"), "sample", "sample_offer", 0.6, 0.4)
    wait = trip.days(0, 1, "web")
    yield trip.click(wait, "web", "sample", "sample_requested", dict(details))
    wait = trip.days(2, 5, "mail")
    yield Step(wait, "mail", "sample", "sample_delivered", details, {})


def visit_event(trip: Trip) -> Script:
    """Be invited to an event in a store, register, come."""
    dice = trip.dice
    if dice.chance(0.3):
        details: Fields = {"template": "event_invitation"}
        extra: Fields = {"direction": "outbound"}
        yield Step(trip.today("mail"), "mail", "event", "letter_delivered", details, extra)
    else:
        yield from trip.message(trip.today("office"), "event", "event_invitation", 0.5, 0.3)
    if not dice.chance(0.6):
        return
    yield trip.page(trip.days(0, 2, "web"), "event", "event")
    yield trip.click(trip.seconds(20, 200), "web", "event", "event_registered", {})
    if not dice.chance(0.7):
        return
    yield trip.store(trip.days(2, 7, "store"), "event", "event_attended")
    if dice.chance(0.5):
        tried: Fields = {"product_id": trip.product().id}
        yield trip.store(trip.minutes(5, 30), "sample", "sample_tried", tried)
    if dice.chance(0.3):
        yield trip.store(trip.minutes(1, 9), "product_catalogue", "catalogue_taken")
    if dice.chance(0.2):
        yield trip.store(trip.minutes(1, 9), "business_card", "business_card_given")
