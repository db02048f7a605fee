"""Pain and glory of buying: what stood in the way, what arrived, and who came again."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.simulator.hours import DAY, HOUR, MINUTE, Clock
from pipeline.simulator.truth.notes import (
    Found,
    Note,
    Notes,
    apart,
    full,
    glory,
    mended,
    pain,
    where,
)
from pipeline.simulator.truth.waiting import in_vain
from pipeline.simulator.truth.words import in_hand, paid, refunded

# --- what stood in the way --------------------------------------------------------------------


def _bought(note: Note) -> bool:
    return note.bought


def checkout_abandoned(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield checkouts without an order within the hour."""
    steps = ("checkout_started", "checkout_step_completed", "checkout_abandoned")
    yield from in_vain(
        "checkout_abandoned", life, lambda note: note.action in steps, _bought,
        lambda at: at + HOUR, clock.end, 7 * DAY, anew=True,
    )  # fmt: skip


def cart_abandoned(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield carts that nobody took to the checkout, or emptied, within a day."""
    yield from in_vain(
        "cart_abandoned", life, lambda note: note.action == "add_to_cart",
        lambda note: note.bought or note.action == "checkout_started",
        lambda at: at + 24 * HOUR, clock.end, 7 * DAY,
        drops=lambda note: note.action == "remove_from_cart", anew=True,
    )  # fmt: skip


def _failed(note: Note) -> bool:
    return note.touchpoint == "payment" and note.action == "payment_failed"


def _paid_or_bought(note: Note) -> bool:
    return paid(note) or note.bought


def payment_failing(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield the third failure to pay within an hour, with no payment that worked in between."""
    for note in full(life, _failed, 3, HOUR, resets=paid):
        later = life[life.index(note) + 1 :]
        yield mended(pain("payment_failing", note), later, 7 * DAY, _paid_or_bought)


def _got_through(note: Note) -> bool:
    through = ("form_submitted", "checkout_step_completed")
    return note.action in through or note.touchpoint == "order"


def form_rejected_repeatedly(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield the third refusal of a form within half an hour, with none accepted in between."""
    refused = full(
        life, lambda note: note.action == "form_rejected", 3, 30 * MINUTE, resets=_got_through
    )
    for note in refused:
        later = life[life.index(note) + 1 :]
        yield mended(pain("form_rejected_repeatedly", note), later, 7 * DAY, _got_through)


def site_error_repeated(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield the third error within a quarter of an hour."""
    for note in full(life, lambda note: note.action == "error_shown", 3, 15 * MINUTE):
        later = life[life.index(note) + 1 :]
        found = pain("site_error_repeated", note)
        yield mended(found, later, 3 * DAY, lambda note: note.touchpoint == "order")


def out_of_stock(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield products looked at that were not there."""
    for note, later in where(life, lambda note: note.action == "out_of_stock_shown"):
        yield mended(pain("out_of_stock", note), later, 7 * DAY, _bought)


def _long_wait(note: Note) -> bool:
    waited = note.detail("wait_seconds")
    return note.channel == "store" and waited is not None and waited >= 600


def _satisfied(note: Note) -> bool:
    return note.action == "survey_answered" and note.score("csat", 4)


def long_store_wait(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield ten minutes and more in a store, at the till, for advice or for help."""
    for note, later in where(life, _long_wait):
        yield mended(pain("long_store_wait", note), later, 14 * DAY, _satisfied)


# --- what arrived -----------------------------------------------------------------------------


def _wrong(note: Note) -> bool:
    if note.touchpoint != "parcel":
        return False
    spoilt = note.detail("damaged") is True or note.detail("wrong_item") is True
    return note.action == "parcel_failed" or (in_hand(note) and spoilt)


def _right_or_refunded(note: Note) -> bool:
    unspoilt = note.detail("damaged") is None and note.detail("wrong_item") is None
    return refunded(note) or (in_hand(note) and unspoilt)


def parcels(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield parcels that failed, were damaged or wrong, or went back."""
    for order in apart(life, lambda note: note.case("order_id")):
        for note, later in where(order, _wrong):
            found = pain("delivery_failed_or_wrong", note)
            yield mended(found, later, 30 * DAY, _right_or_refunded)
        for note, later in where(order, lambda note: note.action == "parcel_returned"):
            found = pain("delivery_returned", note)
            yield mended(found, later, 30 * DAY, lambda note: in_hand(note) or refunded(note))


def _cleared(note: Note) -> bool:
    if note.touchpoint == "invoice":
        if note.action == "call_ended":
            return bool(note.detail("outcome") == "resolved")
        return note.action in ("email_delivered", "letter_delivered")
    return paid(note) or refunded(note)


def invoice_disputed(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield disputed invoices, until there is another one, or it is paid or paid back."""
    for order in apart(life, lambda note: note.case("invoice_id", "order_id")):
        for note, later in where(order, lambda note: note.action == "invoice_disputed"):
            yield mended(pain("invoice_disputed", note), later, 30 * DAY, _cleared)


# --- who came again ---------------------------------------------------------------------------


def repeat_purchase(life: Notes, clock: Clock) -> Iterator[Found]:
    """Yield every purchase but the first."""
    purchases = [note for note in life if note.bought]
    yield from (glory("repeat_purchase", note) for note in purchases[1:])


RULES = (
    *(checkout_abandoned, cart_abandoned, payment_failing, form_rejected_repeatedly),
    *(site_error_repeated, out_of_stock, long_store_wait, parcels, invoice_disputed),
    repeat_purchase,
)
