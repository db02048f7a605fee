"""Stories that plant moments of truth: each rule's pain or glory, and what is nearly one.

Ordinary journeys cause many moments too, but some hardly ever, and none of them nearly on purpose.
A story marks the steps at which it means a rule to find a moment, or to stay silent.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from pipeline.simulator.stories import bonds, contact, delivery, desk, mailings, opinions, shopping
from pipeline.simulator.trip import Journey


class Story(NamedTuple):
    """A journey that plants something.

    Attributes:
        journey: How it goes.
        days: Days until all of it has happened and what it waits for was due.
        bought: Whether only somebody who has bought would live through it.
    """

    journey: Journey
    days: int = 8
    bought: bool = False


STORIES = (
    Story(contact.form_never_answered),
    Story(contact.form_answered_late, 10),
    Story(contact.form_answered_by_phone),
    Story(contact.form_answered_early),
    Story(contact.lost_in_the_menu),
    Story(contact.gave_up_in_the_queue),
    Story(contact.misdialled),
    Story(contact.waited_long),
    Story(contact.nearly_waited_long),
    Story(desk.ticket_left_open, 18),
    Story(desk.ticket_solved_by_phone),
    Story(desk.ticket_reopened, 10),
    Story(desk.complaint_ignored, 14, bought=True),
    Story(desk.complaint_settled, bought=True),
    Story(desk.complaint_repeated, 12, bought=True),
    Story(desk.complaint_pressed, bought=True),
    *(Story(desk.refund_overdue, 24, bought=True),) * 3,  # there is time for it at first only
    Story(desk.refund_in_time, 22, bought=True),
    Story(desk.refund_in_advance, 20, bought=True),
    Story(desk.return_refused, 20, bought=True),
    Story(desk.cancellation_ignored, 16, bought=True),
    Story(desk.cancellation_regretted, 12, bought=True),
    Story(desk.cancellation_confirmed, bought=True),
    Story(shopping.cart_left),
    Story(shopping.cart_taken_to_the_phone),
    Story(shopping.cart_emptied),
    Story(shopping.buys),
    Story(shopping.buys_again, bought=True),
    Story(shopping.checkout_left),
    Story(shopping.checkout_interrupted),
    Story(shopping.payment_fails),
    Story(shopping.payment_works_in_between),
    Story(shopping.payment_fails_slowly),
    Story(shopping.form_refused),
    Story(shopping.forms_refused),
    Story(shopping.site_breaks),
    Story(shopping.site_breaks_now_and_then),
    Story(shopping.sold_out),
    Story(shopping.in_stock),
    Story(shopping.waited_in_store),
    Story(shopping.nearly_waited_in_store),
    Story(delivery.delivered_late, 14),
    Story(delivery.delivered_on_time),
    Story(delivery.order_cancelled, 12),
    Story(delivery.delivered_wrong, 10),
    Story(delivery.delivered_whole, 10),
    Story(delivery.parcel_came_back, 14),
    Story(delivery.invoice_wrong),
    Story(delivery.invoice_asked_about),
    Story(opinions.detractor, bought=True),
    Story(opinions.passive, 10, bought=True),
    Story(opinions.dissatisfied, bought=True),
    Story(opinions.so_so, bought=True),
    Story(opinions.delighted, bought=True),
    Story(opinions.panned, bought=True),
    Story(opinions.recommended, bought=True),
    Story(opinions.invited_to_recommend, bought=True),
    Story(mailings.flooded, 10),
    Story(mailings.kept_informed, 10, bought=True),
    Story(mailings.just_not_interested),
    Story(mailings.reported),
    Story(mailings.confirmation_bounced, bought=True),
    Story(mailings.confirmation_sent_again, bought=True),
    Story(mailings.newsletter_bounced),
    Story(bonds.brought_up_again, 14),
    Story(bonds.brought_up_later, 20),
    Story(bonds.told_again, 10),
    Story(bonds.known_on_the_phone),
    Story(bonds.told_again_on_the_phone),
    Story(bonds.helped_at_once, 10),
    Story(bonds.helped_after_being_passed_on),
    Story(bonds.says_thanks),
    Story(bonds.is_thanked, bought=True),
    Story(bonds.angry),
    Story(bonds.annoyed),
    Story(bonds.question_lost, 14),
    Story(bonds.won_back, 14),
    Story(bonds.back_without_repair, 10),
    Story(bonds.third_strike, 12, bought=True),
    Story(bonds.no_third_strike, 12, bought=True),
)


class Stories:
    """All stories in turn, so that each is told about as often as the others."""

    def __init__(self) -> None:
        self._waiting = deque(STORIES)

    def next(self, days: int, bought: bool) -> Journey | None:
        """Return the story that has waited longest, of those that fit.

        Args:
            days: Days left.
            bought: Whether the customer has bought something.
        """
        for place, story in enumerate(self._waiting):
            if story.days <= days and (bought or not story.bought):
                del self._waiting[place]
                self._waiting.append(story)
                return story.journey
        return None
