"""The journey of a business customer: sold by people, on paper, paid by transfer."""

from __future__ import annotations

from collections.abc import Generator

from pipeline.simulator.aftercare import fulfil
from pipeline.simulator.contact import reach_agent
from pipeline.simulator.hours import DAY
from pipeline.simulator.trip import Fields, Script, Step, Trip


def do_business(trip: Trip) -> Script:
    """Meet, propose, quote, contract, order, deliver, get paid by transfer; half end before."""
    dice = trip.dice
    product = trip.product()
    product = product._replace(cents=product.cents * dice.between(3, 20))
    cases = {"quote_id": trip.number("B")}
    met = yield from _meet(trip, cases)
    if not met:
        return
    yield from _offer(trip, cases)
    if not dice.chance(0.55):
        return
    if dice.chance(0.7):
        yield from trip.message(
            trip.days(0, 2, "office"), "contract", "contract", 0.9, 0.5, case_ids=cases
        )
        wait = trip.days(0, 2, "office")
        yield trip.click(wait, "web", "contract", "contract_signed", {}, case_ids=cases)
    order = trip.number("O")
    money: Fields = {"amount": product.cents / 100, "currency": "EUR"}
    ordered: Fields = {"case_ids": {**cases, "order_id": order}, **money}
    channel = dice.pick(("email", "phone"))
    yield Step(trip.days(0, 1, "office"), channel, "order", "order_placed", {}, ordered)
    yield from fulfil(trip, order, product)
    wait = trip.days(3, 12, "bank")
    yield Step(wait, "bank", "payment", "transfer_received", {}, ordered)


def _meet(trip: Trip, cases: dict[str, str]) -> Generator[Step, None, bool]:
    """Make contact and talk.

    Returns:
        Whether they talked, as the value of ``yield from``.
    """
    dice = trip.dice
    if dice.chance(0.4):
        yield trip.store(trip.today("store"), "business_card", "business_card_given")
    if dice.chance(0.4):
        details: Fields = {"template": "business_letter"}
        told: Fields = {"case_ids": cases, "direction": "outbound"}
        yield Step(trip.days(1, 3, "mail"), "mail", "letterhead", "letter_delivered", details, told)
    if dice.chance(0.5):
        call_id = yield from reach_agent(trip, trip.days(0, 2, "office"), "5")
        if call_id is None:
            return False
        yield trip.call(trip.minutes(5, 20), "sales_talk", "sales", "resolved", call_id)
    else:
        yield trip.click(trip.days(0, 3, "office"), "web", "sales_talk", "meeting_held", {})
    return True


def _offer(trip: Trip, cases: dict[str, str]) -> Script:
    """Send a proposal, and a quote that was promised within two days."""
    dice = trip.dice
    if dice.chance(0.7):
        yield from trip.message(
            trip.days(0, 2, "office"), "sales_proposal", "sales_proposal", 0.8, 0.3, case_ids=cases
        )
    if dice.chance(0.7):
        wait = trip.days(0, 2, "office")
        asked = trip.click(wait, "web", "quote", "quote_requested", {}, case_ids=cases)
        yield asked._replace(promise=2 * DAY)
        wait = trip.days(3, 4, "office") if dice.chance(0.15) else trip.days(0, 1, "office")
        yield from trip.message(wait, "quote", "quote", 0.9, 0.5, case_ids=cases)
