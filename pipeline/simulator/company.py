"""What the company of the simulation offers, and what its touchpoints say about the customer.

``stage`` is the simulator's own knowledge of the lifecycle, written down by purchases made before
and not read from the catalog: it is what the catalog's classification is checked against.
"""

from __future__ import annotations

from typing import NamedTuple


class Product(NamedTuple):
    """Something the company sells.

    Attributes:
        id: Product number.
        name: What people search for.
        category: Shelf it stands on.
        cents: Price in euro cents.
    """

    id: str
    name: str
    category: str
    cents: int


PRODUCTS = (
    Product("P-1001", "espresso machine", "coffee", 44900),
    Product("P-1002", "coffee grinder", "coffee", 12900),
    Product("P-1003", "milk frother", "coffee", 5995),
    Product("P-1004", "filter coffee maker", "coffee", 7950),
    Product("P-2001", "washing machine", "laundry", 64900),
    Product("P-2002", "tumble dryer", "laundry", 72900),
    Product("P-2003", "steam iron", "laundry", 4999),
    Product("P-3001", "vacuum cleaner", "cleaning", 22900),
    Product("P-3002", "robot vacuum", "cleaning", 39900),
    Product("P-3003", "window cleaner", "cleaning", 6990),
    Product("P-4001", "stand mixer", "kitchen", 34900),
    Product("P-4002", "blender", "kitchen", 8990),
    Product("P-4003", "toaster", "kitchen", 3995),
    Product("P-4004", "induction hob", "kitchen", 49900),
    Product("P-5001", "air purifier", "air", 17900),
    Product("P-5002", "dehumidifier", "air", 19900),
    Product("P-5003", "fan heater", "air", 5490),
    Product("P-6001", "electric toothbrush", "care", 8999),
    Product("P-6002", "hair dryer", "care", 4590),
    Product("P-6003", "shaver", "care", 13900),
)
STORES = ("S-AMS", "S-RTM", "S-UTR", "S-EIN", "S-GRO", "S-CGN", "S-ANR")
CAMPAIGNS = ("autumn_clean", "coffee_weeks", "back_to_work", "warm_home")

#: Stage of a touchpoint for who has bought nothing, once, and more often.
_STAGES: dict[str, tuple[str, str, str]] = {}


def _always(stage: str, *touchpoints: str) -> None:
    for touchpoint in touchpoints:
        _STAGES[touchpoint] = (stage, stage, stage)


def _once_bought(first: str, then: str, *touchpoints: str) -> None:
    for touchpoint in touchpoints:
        _STAGES[touchpoint] = (first, then, then)


def _twice_bought(first: str, then: str, *touchpoints: str) -> None:
    for touchpoint in touchpoints:
        _STAGES[touchpoint] = (first, first, then)


_always("awareness", "online_ad", "press_ad", "word_of_mouth", "business_card")
_always("knowledge", "blog_article", "video", "landing_page")
_always("consideration", "review")
_always("selection", "sample", "payment", "receipt")
_always(
    "satisfaction",
    *("order_confirmation", "shipping_confirmation", "delivery_notice", "parcel", "parcel_label"),
    *("instruction_manual", "invoice", "csat_survey", "ces_survey", "complaint"),
    *("complaint_answer", "product_return", "refund", "store_help_visit"),
)
_always("loyalty", "loyalty_programme", "cancellation", "suspension", "cross_sell_email")
_always("advocacy", "review_request", "review_written", "referral")
_once_bought("awareness", "loyalty", "direct_mail", "social_post", "newsletter", "event")
_once_bought("knowledge", "loyalty", "company_website", "product_catalogue", "letterhead")
_once_bought(
    *("consideration", "loyalty"),
    *("site_navigation", "site_search", "product_page", "store_visit", "buying_question"),
    *("sales_talk", "sales_proposal", "quote"),
)
_once_bought("selection", "loyalty", "cart", "checkout", "order", "point_of_sale", "contract")
_once_bought("knowledge", "satisfaction", "faq")
_once_bought(
    *("consideration", "satisfaction"),
    *("contact_form", "phone_menu", "phone_support", "live_chat", "help_desk_ticket"),
)
_twice_bought(
    "satisfaction", "loyalty", "follow_up_email", "thank_you_message", "nps_survey", "thanks"
)
#: Touchpoints that look at who has complained as somebody to be satisfied again.
_WARY = frozenset({"cross_sell_email", "nps_survey"})

#: What customers want at the touchpoints of service, where an event does not say it.
SERVICE_NEEDS = {
    **dict.fromkeys(("contact_form", "faq", "store_help_visit", "phone_menu"), "get_help"),
    **dict.fromkeys(("phone_support", "live_chat", "help_desk_ticket"), "get_help"),
    **dict.fromkeys(("complaint", "complaint_answer"), "complain"),
    **dict.fromkeys(("product_return", "refund"), "get_refund"),
    **dict.fromkeys(("cancellation", "suspension"), "cancel_or_suspend"),
}

#: Touchpoint of an interaction that no touchpoint of the company is meant by, and its stage.
NONE = "unclassified"
#: Touchpoints at which something is bought, once each.
BUYING = frozenset({"order", "point_of_sale"})
#: Touchpoints at which a complaint is made, once each.
COMPLAINING = frozenset({"complaint"})
TOUCHPOINTS = tuple(_STAGES)


def stage(touchpoint: str, purchases: int, complaints: int) -> str:
    """Return the lifecycle stage a touchpoint serves.

    Args:
        touchpoint: One of ``TOUCHPOINTS``, or ``NONE``.
        purchases: Purchases of the customer before it.
        complaints: Complaints of the customer before it.
    """
    if touchpoint == NONE:
        return NONE
    if complaints and touchpoint in _WARY:
        return "satisfaction"
    return _STAGES[touchpoint][min(purchases, 2)]
